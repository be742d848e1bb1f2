/* The plugin around AAP's machines: what its files share. The machines decide; here are sockets,
   clocks, the store and the core's address space.

     aap.c                    descriptor and control methods
     aap-plugin.c             life, time, the order of things
     aap-plugin-scopes.c      which scopes are served, and in which groups
     aap-plugin-messages.c    datagrams out and in, who is told what
     aap-plugin-zone.c        what zones ask for
     aap-plugin-links.c       sockets, groups, interfaces
     aap-plugin-space.c       their addresses <-> the core's address space
     aap-plugin-coordinator.c prefix coordinators <-> the same
     aap-plugin-usage.c       what is in use, for layer 3
     aap-plugin-store.c       records
     aap-plugin-auth.c        the key file, counters
     aap-plugin-news.c        events and counters
     aap-peers.c              who was heard

   What a zone asks for while it is called is put in a queue and done after the call
   (aap_settle), and so is what the core asks for: neither is ever entered twice. */
#ifndef AAP_PLUGIN_H
#define AAP_PLUGIN_H

#include "aap-auth.h"
#include "aap-coordinator.h"
#include "aap-intervals.h"
#include "aap-peers.h"
#include "aap-plugin-links.h"
#include "aap-scope.h"
#include "aap-tables.h"
#include "aap-zone.h"
#include "core/plugin.h"

G_BEGIN_DECLS

typedef struct Aap Aap;

/* One scope that is served, with a machine for each role of this daemon. */
typedef struct {
  Aap *aap;
  const MalScope *scope; /* of aap->scopes */
  unsigned place;        /* index in aap->places */
  AapZone *zone;               /* role maas, else NULL */
  AapCoordinator *coordinator; /* role prefix-coordinator and a large scope, else NULL */

  AapIntervals *ours;  /* what the zone says is ours: address -> MalTime */
  GArray *suspended;   /* MalSpan: by the zone's word */
  GArray *blocked;     /* MalSpan: what the engine was told to keep from new clients */
  GArray *asa;         /* AapExtent: what was announced for a large scope */
  GArray *adopted;     /* AapExtent: the coordinator's, as long as it has none of its own */
  GArray *adopting;    /* AapExtent: where leases of the store lie and nothing was owned */
  bool prepared, available_changed, suspended_changed;
  bool said_nothing_available; /* until something is again */

  int64_t coordinator_heard; /* monotonic: another process' coordinator; AAP_NEVER: never */
  bool wants; /* of the core: COUNT addresses until UNTIL */
  uint64_t count;
  MalTime until;
  GArray *want_spans; /* AapExtent */

  /* kept in the store */
  AapIntervals *foreign; /* as it stands there */
  GHashTable *dirty;     /* first addresses (MalAddress *) whose records are to be written */
  uint8_t *asa_payload;
  size_t asa_length;
  MalTime asa_received;
  bool foreign_changed, asa_changed;
} AapServed;

/* Of one authenticated sender: the counter that it used last. */
typedef struct {
  uint32_t key_id;
  uint64_t sender, highest;
} AapHeard;

typedef enum {
  AAP_DO_OWN,
  AAP_DO_GONE,
  AAP_DO_SUSPEND,
  AAP_DO_LIFT,
  AAP_DO_ASA,
  AAP_DO_FAIL,
  AAP_DO_ASK,
  AAP_DO_ADOPT,
} AapDo;

typedef struct {
  AapDo what;
  AapServed *served;
  MalSpan span;
  MalTime end;
  AapGone why;
  uint64_t count;
  bool short_of_space; /* AAP_DO_FAIL: layer 3 might help */
  GArray *extents; /* owned by the action */
  bool fresh;      /* the ASA came just now: to be kept */
} AapAction;

/* What this process said to itself: from a zone to coordinators, or the other way (4.1). */
typedef struct {
  MalAddress group;
  bool to_zones;
  uint8_t *octets;
  size_t length;
} AapEcho;

struct Aap {
  MalHost host;
  MalConfig *config;
  AapParams params;
  AapSequence *sequence;
  MalScopeSet *scopes;
  GArray *places;    /* AapPlace */
  GPtrArray *served; /* AapServed */
  GHashTable *unserved; /* scope id -> why (text) */
  AapLinks *links;
  AapPeers *peers;
  AapScratch *scratch;
  uint8_t *buffer; /* AAP_MAX_LENGTH: a message on its way out */
  MalTimer *timer;
  int64_t gauged; /* when gauges were set */
  int64_t offset; /* wall - monotonic clock, microseconds */
  bool running, settling, woken;
  unsigned space_watch, reserve_watch;
  bool reserved_changed;
  GArray *actions;      /* AapAction */
  GArray *echoes;       /* AapEcho */
  GPtrArray *denied;    /* ids of scopes that aren't served, whose waiting are to be told */
  int64_t skew_log, skew_drop;

  /* aap-plugin-store.c */
  unsigned store_listener;
  GArray *writing;   /* AapWriting */
  GArray *undropped; /* AapWriting: of what isn't ours any more, and the disk didn't let go */
  bool unwritten;    /* something, lately */
  int64_t write_at; /* when what may follow late is written; AAP_NEVER: nothing is */

  /* aap-plugin-auth.c */
  AapKeys *keys;
  AapAuth *auth;
  uint64_t sender, next_counter; /* 0: none yet */
  MalTicket reserving;
  uint64_t reserve_upto;
  GArray *heard; /* AapHeard: as restored */
};

/* ---- aap-plugin.c ---------------------------------------------------------------------------- */

Aap *aap_plugin_open(const MalHost *host, GError **error);
bool aap_plugin_start(Aap *aap, GError **error);
MalReload aap_plugin_reload(Aap *aap, const MalConfig *config);
void aap_plugin_stop(Aap *aap);
void aap_plugin_close(Aap *aap);
AapNow aap_now(const Aap *aap);
/* The same at the beginning of a step: looks whether the wall clock jumped. */
AapNow aap_step(Aap *aap);
/* After each call of a machine: does what was asked for, and sets the timer. Never from inside a
   call of the core or of a machine: those say aap_wake. */
void aap_settle(Aap *aap);
void aap_wake(Aap *aap);
AapServed *aap_served_find(const Aap *aap, const char *scope_id);
uint64_t aap_plugin_random(void *user, uint64_t low, uint64_t high); /* USER: AapServed */
void aap_plugin_acquire(Aap *aap, const MalScope *scope, MalSpan span, uint64_t count,
                        MalTime until);
/* Own allocations told again now, a leading coordinator's ranges too; how many scopes. */
unsigned aap_plugin_announce(Aap *aap);

/* ---- aap-plugin-space.c ---------------------------------------------------------------------- */

/* What is available of its own accord (a small scope without any range) is made so; once, and after
   a reload again (served->prepared). */
void aap_space_prepare(AapServed *served);
void aap_space_changed(MalSpaceChange what, const MalRange *range, void *data); /* DATA: Aap */
/* Zone and coordinator hear what is available now. */
void aap_space_tell_available(AapServed *served);
void aap_space_tell_excluded(AapServed *served);
/* The owned level within SPAN is made what is ours; leases in what goes end. */
void aap_space_fit(AapServed *served, MalSpan span);
/* Nothing is kept from new clients any more. */
void aap_space_unblock(AapServed *served);
/* What the engine keeps from new clients is made what is suspended. */
void aap_space_fit_suspended(AapServed *served);
/* SPAN is ours no longer. */
void aap_space_gone(AapServed *served, MalSpan span);
bool aap_space_adopt(Aap *aap, const MalScope *scope, MalSpan span, MalTime until);
void aap_space_set_asa(AapServed *served, const AapExtent *ranges, size_t n);

/* ---- aap-plugin-zone.c ----------------------------------------------------------------------- */

extern const AapZoneOps aap_zone_ops; /* USER: AapServed */
void aap_zone_do(AapServed *served, const AapAction *action);

/* ---- aap-plugin-messages.c ------------------------------------------------------------------- */

/* Of a zone or coordinator: seals, sends on all links. False: it could not leave. */
bool aap_plugin_send(AapServed *served, const AapMessage *msg, bool from_zone);
void aap_messages_received(const MalDatagram *datagrams, size_t count, void *data); /* DATA: Aap */
void aap_messages_echo(Aap *aap, const AapEcho *echo, AapNow now);

/* ---- aap-plugin-coordinator.c ---------------------------------------------------------------- */

extern const AapCoordinatorOps aap_coordinator_ops; /* USER: AapServed */
void aap_coordinator_tell(AapServed *served);
/* Layer 3 may vouch no more for what was taken over. */
void aap_coordinator_doubt(Aap *aap);
bool aap_coordinator_do(AapServed *served, const AapAction *action);

/* ---- aap-plugin-usage.c ---------------------------------------------------------------------- */

void aap_plugin_usage(Aap *aap, const MalScope *scope, MalSpan span, MalUsageFunc func, void *to);

/* ---- aap-plugin-store.c ---------------------------------------------------------------------- */

void aap_store_open(Aap *aap);
void aap_store_close(Aap *aap);
void aap_store_start(Aap *aap);
void aap_store_stop(Aap *aap); /* writes what is still to be written */
bool aap_store_restore(Aap *aap, const MalRecord *record);
void aap_store_keep(AapServed *served, const AapOwn *own);
void aap_store_forget(AapServed *served, MalAddress first);
/* Something that may follow late has changed. */
void aap_store_later(Aap *aap);
void aap_store_write(Aap *aap); /* what is late */
MalTicket aap_store_put(Aap *aap, const char *kind, const uint8_t *key, size_t key_length,
                        const uint8_t *value, size_t length);
void aap_store_clock_stepped(AapServed *served, int64_t delta);
void aap_served_store_free(AapServed *served);

/* ---- aap-plugin-auth.c ----------------------------------------------------------------------- */

/* OUT is NULL where no key file is configured. */
bool aap_auth_load(const MalConfSection *section, AapKeys **out, GError **error);
void aap_auth_begin(Aap *aap); /* with what was restored */
void aap_auth_use(Aap *aap, AapKeys *keys); /* takes KEYS; NULL: none */
void aap_auth_end(Aap *aap);
bool aap_auth_restore(Aap *aap, const MalRecord *record);
void aap_auth_settled(Aap *aap, MalTicket through, bool ok);
void aap_auth_write(Aap *aap);
json_object *aap_auth_describe(const Aap *aap);

/* ---- aap-plugin-news.c ----------------------------------------------------------------------- */

void aap_news_note(AapServed *served, AapNote note, MalSpan span, MalEndpoint peer, uint64_t n);
void aap_news_cnote(AapServed *served, AapCoordinatorNote note, MalEndpoint peer, uint64_t n);
void aap_news_dropped(Aap *aap, MalEndpoint peer, const char *type, const char *reason);
void aap_news_auth(Aap *aap, MalEndpoint peer, AapAuthVerdict verdict);
void aap_news_skew(Aap *aap, MalEndpoint peer, int64_t skew, bool dropped);
void aap_news_gauges(Aap *aap);

G_END_DECLS
#endif
