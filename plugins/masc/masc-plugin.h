/* The plugin around MASC's machines: what its files share. The machines decide; here are
   connections, clocks, the store and the core's address space.

     masc.c               descriptor, hooks, control methods that change something
     masc-show.c          control methods that show something
     masc-config*.c     configuration
     masc-tables*.c       what is declared
     masc-plugin.c        life, time, the order of things
     masc-plugin-area.c   a scope: its zone, what it asks for, who of the peers is in it
     masc-plugin-space.c  what zones won <-> the core's address space and routes
     masc-plugin-vouch.c  what layer 2 took over from announcements <-> zones
     masc-plugin-demand.c who asks for addresses -> zones
     masc-plugin-peer.c   peers: their sessions, from and to zones
     masc-plugin-links.c  connections, listeners
     masc-plugin-store.c  records
     masc-plugin-news.c   events and counters

   What a zone says of addresses while it is called is only noted, and done after the call
   (masc_settle): neither zone nor core is ever entered twice. */
#ifndef MASC_PLUGIN_H
#define MASC_PLUGIN_H

#include "core/plugin.h"
#include "masc-config.h"

G_BEGIN_DECLS

typedef struct Masc Masc;
typedef struct MascPeering MascPeering;

/* A prefix as a zone has it. */
typedef struct {
  MalPrefix prefix;
  MalTime until;
  bool deprecated;
} MascGrant;

/* Somebody waited for COUNT addresses. */
typedef struct {
  int64_t at;               /* monotonic */
  uint64_t count;
  MalTime until;
} MascAsked;

/* One scope. */
typedef struct {
  Masc *masc;
  guint place;              /* in settings->scopes */
  char *scope;
  MalSpan span;
  MascZone *zone;
  GArray *local;            /* MascGrant: for our servers, by address */
  GArray *managed;          /* MascGrant: routes, by address */
  GArray *suspended;        /* MalSpan: of LOCAL, not leased anew */
  GArray *adopted;          /* MalSpan: what layer 2 took over, and we let it have */
  int64_t judged;           /* monotonic */
  GHashTable *stored;       /* keys (GBytes) of what the store has of LOCAL -> MascGrant */
  bool local_changed, managed_changed;

  uint64_t used;            /* at the last look */
  GArray *asked;            /* MascAsked: lately */
  uint64_t waiting;         /* as the zone was told */
  uint64_t credit;          /* told as arrivals when they began to wait, and not in use yet */
  int64_t asked_at;         /* monotonic */
  int64_t less_at;          /* monotonic: from then on it may be less; MASC_NEVER: it is not */
  bool asked_changed;
} MascArea;

/* One transport connection. */
typedef struct {
  Masc *masc;
  MascPeering *peer;        /* NULL: from the address of several, its OPEN will say which */
  MascLink link;
  MalStream *stream;
  bool up;
  MalEndpoint from;
  GByteArray *peeked;       /* what came before that was known */
  int64_t give_up;
} MascConnection;

typedef struct {
  MalListener *handle;
  MalFamily family;
} MascListener;

/* A configured peer. */
struct MascPeering {
  Masc *masc;
  unsigned id;              /* as zones know it */
  MascPeerSettings *settings; /* of masc->settings */
  MascSession *session;
  GPtrArray *connections;   /* MascConnection, owned */
  MascLink last_link;
  MascSessionStatus counted; /* what the counters have of it */
  MascDown last_down;
  bool was_down;
};

typedef struct {
  char *scope;
  GBytes *key, *value;
} MascStored;

struct Masc {
  MalHost host;
  MalConfig *config;
  MascSettings *settings;
  MascParams params;        /* of settings, where zones find it */
  GPtrArray *areas;         /* MascArea, by place */
  MascPeering *peers[MASC_PEERS_MAX]; /* by id; NULL: free */
  GPtrArray *listeners;     /* MascListener */
  GArray *secured;          /* MalAddress: of which listeners were told what they must bear */
  GArray *barred;           /* MalAddress: the system can't hold them to it */
  GPtrArray *peeking;       /* MascConnection, owned */
  MalTimer *timer;
  MascNow now;              /* of the call at hand */
  int64_t offset;           /* wall - monotonic clock, microseconds */
  int64_t started;          /* monotonic */
  int64_t looked, gauged;   /* when demand was looked at, and gauges set */
  bool running, settling, woken;

  /* masc-plugin-store.c */
  GPtrArray *restored;      /* MascStored, until the start */
  unsigned store_listener;
  bool had_identity, forgets;
  bool unsaved;             /* the last batch failed */
  MalTime recovering_until;
};

/* ---- masc-plugin.c --------------------------------------------------------------------------- */

Masc *masc_plugin_open(const MalHost *host, GError **error);
bool masc_plugin_start(Masc *masc, GError **error);
MalReload masc_plugin_reload(Masc *masc, const MalConfig *config);
void masc_plugin_stop(Masc *masc);
void masc_plugin_close(Masc *masc);
/* At the beginning of whatever comes from outside: looks whether the wall clock jumped. */
MascNow masc_step(Masc *masc);
/* At its end: does what zones asked for, and sets the timer. Never from inside a call of the core's
   or a machine's: those say masc_wake. */
void masc_settle(Masc *masc);
void masc_wake(Masc *masc);
static inline MascArea *masc_area_at(const Masc *masc, guint i)
{
  return g_ptr_array_index(masc->areas, i);
}
uint64_t masc_plugin_random(void *user, uint64_t low, uint64_t high); /* USER: MascArea */

/* ---- masc-plugin-area.c ---------------------------------------------------------------------- */

MascArea *masc_area_new(Masc *masc, guint place, const MalScope *scope);
void masc_area_free(MascArea *area);
MascArea *masc_area_find(const Masc *masc, const char *scope);  /* NULL: none */
/* The zone, with its peers and what was restored; it starts with the next. */
void masc_area_make_zone(MascArea *area);
void masc_area_start(MascArea *area);
void masc_area_add_peer(MascArea *area, const MascPeering *peer);
void masc_area_bound_peer(MascArea *area, const MascPeering *peer); /* as its settings say now */
bool masc_area_shares(const MascArea *area, const MascPeering *peer);
/* To the zones that it is about. 0, or a MascUpdateError. */
uint8_t masc_areas_heard(Masc *masc, const MascPeering *peer, const MascClaim *claim);
/* Of ours, the peer refused CLAIM. */
void masc_areas_refused(Masc *masc, const MascPeering *peer, const MascClaim *claim,
                        uint8_t subcode);

/* ---- masc-plugin-space.c --------------------------------------------------------------------- */

/* What the store says was available is made so before leases are read. */
void masc_space_restore(MascArea *area, const MascGrant *grant);
/* A set of addresses: what a grant covers of older ones is its own; what is taken back is cut
   out. */
void masc_space_set(GArray *grants, MalPrefix prefix, MalTime until, bool deprecated);
bool masc_space_unset(GArray *grants, MalPrefix prefix);
/* A set of prefixes, which may cover each other for a while. */
void masc_space_set_exact(GArray *grants, MalPrefix prefix, MalTime until, bool deprecated);
bool masc_space_unset_exact(GArray *grants, MalPrefix prefix);
/* The core's space is made what the zone said. */
void masc_space_fit(MascArea *area);
/* New leases keep out of what is deprecated, unless somebody waits. */
void masc_space_suspend(MascArea *area);
/* Before the plugin stops. */
void masc_space_unsuspend(MascArea *area);
void masc_space_forget(Masc *masc);
void masc_space_fit_routes(MascArea *area);
/* FUNC for what is in use of PREFIX. */
void masc_space_uses(MascArea *area, MalPrefix prefix,
                     void (*func)(MalSpan span, MalTime until, void *data), void *data);
/* Addresses in use of all that is local. */
uint64_t masc_space_used(MascArea *area);

/* ---- masc-plugin-vouch.c --------------------------------------------------------------------- */

void masc_vouch_start(Masc *masc);
void masc_vouch_stop(Masc *masc);
int64_t masc_vouch_due(const Masc *masc);
void masc_vouch_run(Masc *masc);

/* ---- masc-plugin-demand.c -------------------------------------------------------------------- */

void masc_demand_asked(Masc *masc, const MalScope *scope, uint64_t count, MalTime until);
void masc_demand_served(MascArea *area);
void masc_demand_run(Masc *masc);
int64_t masc_demand_due(const Masc *masc);

/* ---- masc-plugin-peer.c ---------------------------------------------------------------------- */

/* With settings of masc->settings. It is in its areas' zones from now on. */
MascPeering *masc_peer_add(Masc *masc, MascPeerSettings *settings);
void masc_peer_configure(MascPeering *peer);
void masc_peer_start(MascPeering *peer);
void masc_peer_remove(MascPeering *peer);   /* after masc_session_stop */
MascPeering *masc_peer_named(const Masc *masc, const char *name);

/* ---- masc-plugin-links.c --------------------------------------------------------------------- */

bool masc_links_listen(Masc *masc, GError **error);
void masc_links_close(Masc *masc);          /* listeners, and what is peeked at */
void masc_links_secure(Masc *masc);         /* listeners hear what peers must bear */
int64_t masc_links_due(const Masc *masc);
void masc_links_run(Masc *masc);
MascLink masc_links_connect(MascPeering *peer);
bool masc_links_send(MascPeering *peer, MascLink link, const uint8_t *octets, size_t length);
void masc_links_finish(MascPeering *peer, MascLink link);
void masc_listener_free(gpointer listener);
void masc_connection_free(gpointer connection);  /* closes at once */

/* ---- masc-plugin-store.c --------------------------------------------------------------------- */

bool masc_store_restore(Masc *masc, const MalRecord *record, GError **error);
void masc_store_start(Masc *masc);
void masc_store_stop(Masc *masc);
uint64_t masc_store_keep(MascArea *area, const MascKept *kept);
/* LOCAL of AREA as it is. */
void masc_store_keep_local(MascArea *area);
void masc_stored_free(gpointer stored);

/* ---- masc-plugin-news.c ---------------------------------------------------------------------- */

void masc_news_zone(MascArea *area, MascNote note, MalPrefix prefix, MascId domain, uint64_t n);
void masc_news_session(MascPeering *peer, MascSessionNote note, const MascSessionDetail *detail);
void masc_news_up(MascPeering *peer);
void masc_news_down(MascPeering *peer, MascDown why);
void masc_news_stranger(Masc *masc, MalEndpoint from);
void masc_news_count(MascPeering *peer);    /* what its session did since the last call */
void masc_news_gauges(Masc *masc);
const char *masc_prefix_format(MalPrefix prefix, char out[MAL_SPAN_STRLEN]); /* "A/len" */

G_END_DECLS
#endif
