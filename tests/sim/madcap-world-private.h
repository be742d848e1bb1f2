/* Shared by tests/sim/madcap-world*.c only. */
#ifndef MAL_MADCAP_WORLD_PRIVATE_H
#define MAL_MADCAP_WORLD_PRIVATE_H

#include "core/core.h"
#include "madcap-world.h"
#include "plugins/madcap/madcap-wire.h"
#include "sim-store.h"
#include "sim.h"
#include "world-plan.h"

#define SERVERS 4
#define SCOPES 4
#define EXTRA 3               /* this scope comes and goes */
#define AGENTS 12
#define SLOTS 3               /* leases that one client may have at once */
#define ID_LENGTH 20
#define BLOCKS 40
#define SHARE_MOST 200        /* addresses of a server in a scope */
#define SHARE_EXTRA 40        /* more of them, which layer 3 may bring */
#define SHARE_HAND 16         /* and more, which the control API may bring */
#define SHARE_ALL (SHARE_MOST + SHARE_EXTRA + SHARE_HAND)
#define RETRY_AFTER 20        /* and the server's number more */
#define RENEWS 6
#define NOBODY UINT32_MAX
#define DELAY_MOST (3 * MAL_US)   /* no datagram is longer on its way */

typedef struct MadcapWorld MadcapWorld;

typedef struct {
  const char *id;
  const char *first, *last;   /* the scope */
  const char *group;          /* its MADCAP server group */
  MalFamily family;
} WorldScope;
extern const WorldScope world_scopes[SCOPES];

/* What a plan is made of. WHO is the server, client, agent or link; the rest as
   madcap-world-trouble.c says. */
#define WORLD_KINDS_LIST(X) \
  X(SERVER, "server") \
  X(CLIENT, "scripted client") \
  X(AGENT, "client daemon") \
  X(LINK, "network faults") \
  X(LINK_BAD, "loss of 30 to 50 %") \
  X(CRASH, "crash") \
  X(WIPE, "crash with loss of the disk") \
  X(AMBUSH_ANSWER, "crash after an answer") \
  X(AMBUSH_WRITE, "crash within a write") \
  X(REBOOT, "orderly restart") \
  X(DISK_FULL, "disk full") \
  X(DISK_IO, "disk I/O errors") \
  X(DISK_SYNC, "disk sync errors") \
  X(STEP_FORWARD, "clock step forward") \
  X(STEP_BACK, "clock step back") \
  X(RELOAD_RANGES, "reload: ranges") \
  X(RELOAD_EXCLUDES, "reload: excludes") \
  X(RELOAD_RESERVES, "reload: reserves") \
  X(RELOAD_SCOPES, "reload: scopes") \
  X(RELOAD_SETTINGS, "reload: settings") \
  X(RELOAD_BAD, "reload: bad syntax") \
  X(HAND_RANGE, "control: range") \
  X(HAND_REVOKE, "control: range by force") \
  X(HAND_RESERVE, "control: reserve") \
  X(HAND_LEASE, "control: lease") \
  X(IFACE, "interface down") \
  X(BORDER, "border down") \
  X(PARTITION, "partition") \
  X(PARTITION_ONE_WAY, "partition, one way") \
  X(AGENT_CRASH, "client daemon: crash") \
  X(AGENT_WIPE, "client daemon: disk lost") \
  X(AGENT_REBOOT, "client daemon: restart") \
  X(AGENT_DISK, "client daemon: disk fault") \
  X(AGENT_STEP, "client daemon: clock step") \
  X(AGENT_RELOAD, "client daemon: reload")
/* What is counted besides. */
#define WORLD_COUNTS_LIST(X) \
  X(DISCOVER_GROUP, "DISCOVER to a group") \
  X(DISCOVER_ONE, "DISCOVER to one server") \
  X(REQUEST_GROUP, "REQUEST to a group") \
  X(REQUEST_ONE, "REQUEST to one server") \
  X(RENEW, "RENEW") \
  X(RENEW_START, "RENEW with a new start") \
  X(RELEASE, "RELEASE") \
  X(GETINFO_GROUP, "GETINFO to a group") \
  X(GETINFO_ONE, "GETINFO to one server") \
  X(NAMED, "named addresses wanted") \
  X(ADVANCE, "advance lease wanted") \
  X(MAX_START, "latest start wanted") \
  X(MIN_TIME, "least lease time wanted") \
  X(OVER_IPV6, "messages over IPv6") \
  X(UNKNOWN_TYPE, "messages of unknown type") \
  X(GARBAGE, "garbage") \
  X(FALSE_SERVER, "OFFER, ACK, NAK to a server") \
  X(OFFER, "OFFER") \
  X(ACK_LEASE, "ACK: lease") \
  X(ACK_ADVANCE, "ACK: advance lease") \
  X(ACK_SHARED, "ACK: shared lease") \
  X(ACK_RELEASE, "ACK: release") \
  X(ACK_INFO, "ACK: scopes and servers") \
  X(ACK_LATER, "ACK: come again later") \
  X(NAK_0, "NAK: not completed") \
  X(NAK_1, "NAK: invalid request") \
  X(NAK_2, "NAK: clock skew") \
  X(NAK_3, "NAK: lease not known") \
  X(NAK_4, "NAK: feature not supported") \
  X(REPEATED, "answers said again") \
  X(LEASES, "leases promised") \
  X(PROMISES, "promises checked") \
  X(CHANGES, "incremental checks") \
  X(WHOLE, "complete checks of a server") \
  X(WIPED, "leases lost with disks") \
  X(REVOKED, "leases revoked") \
  X(RELOAD_DONE, "reloads done") \
  X(RELOAD_REFUSED, "reloads refused") \
  X(TAIL_LOST, "unsynced octets lost") \
  X(TAIL_KEPT, "unsynced octets kept") \
  X(TAIL_TORN, "last write torn") \
  X(TAIL_HOLED, "last write with holes") \
  X(NET_LOST, "datagrams lost") \
  X(NET_DOUBLED, "datagrams doubled") \
  X(NET_REORDERED, "datagrams overtaken") \
  X(NET_CUT, "datagrams cut off") \
  X(AGENT_LEASED, "agents' leases") \
  X(AGENT_REFUSED, "agents' requests refused") \
  X(AGENT_RENEWED, "agents' renewals by themselves") \
  X(AGENT_ASKED_RENEW, "agents' renewals on demand") \
  X(AGENT_RELEASED, "agents' releases") \
  X(AGENT_SCOPES, "agents' questions for scopes") \
  X(AGENT_SURVIVED, "agents' leases after a restart") \
  X(AGENT_LOST, "agents' leases lost") \
  X(AGENT_ORPHANS, "leases that agents forgot") \
  X(COMPARED, "leases compared at the end")
#define KIND_OF(name, text) KIND_##name,
typedef enum { WORLD_KINDS_LIST(KIND_OF) KINDS } WorldKind;
#define COUNT_OF(name, text) COUNT_##name,
typedef enum { WORLD_COUNTS_LIST(COUNT_OF) COUNTS } WorldCount;

enum {
  SET_LINKS, SET_FILTERS, SET_PAD, SET_LAYER3, SET_CLIENT_LIMIT, SET_SERVERS, SET_CLIENTS,
  SET_AGENTS
};

/* Lease identifiers of several lengths, compared whole. */
typedef struct {
  uint8_t bytes[ID_LENGTH];
  uint8_t length;
} WorldId;

/* What a server's configuration says, in numbers within its share. */
typedef struct {
  unsigned size[SCOPES];      /* of the range; the one of EXTRA may be 0: no such scope */
  unsigned exclude[SCOPES], exclude_size[SCOPES];
  unsigned reserve[SCOPES], reserve_size[SCOPES];
  unsigned pad, max_lease;
} ServerConf;

typedef struct {
  MadcapWorld *world;
  unsigned index;
  MalSimNode *node;
  MalSimIface *iface;
  MalAddress address[2];      /* IPv4, IPv6 */
  MalCore *core;              /* NULL: down */
  MalStore *store;            /* the core's */
  char *file;                 /* its configuration */
  ServerConf conf;            /* as last accepted */
  bool absent;                /* switched off in the plan */
  unsigned boots;
  unsigned watch;             /* of its leases */
  uint64_t seen_changes, seen_batches, seen_holds, seen_leases; /* at the last check */
  bool dirty;
  GHashTable *groups;         /* Ethernet group -> GArray of WorldId: what the watch told */
  int64_t stepped;            /* the wall clock, against the true one, in seconds */
  int64_t step_seen;          /* virtual time of the last step */
  MalTime latest_start;       /* of all that it had leased or offered at its last step */
  int64_t revoked;            /* virtual time of the last revocation */
  int64_t lags_until;         /* its disk fails, or it has not noticed yet that it works */
  bool disk_failed;           /* at some time */
  bool lapsed;                /* leases ended while it was down, perhaps not yet written down */
  /* It may have leases after a restart that nobody has: its disk had failed before, and what was
     refused for that may be there all the same; or the clock went back, and what had lapsed is
     ahead again. */
  bool ghosts;
} Server;

/* What a server acknowledged. */
typedef struct {
  Server *server;
  WorldId id;
  MalBlock blocks[BLOCKS];
  size_t n_blocks;
  MalTime start, end;         /* by the server's clock; it may last longer, but no shorter */
  int64_t moved;              /* by how much steps forward moved the end since it was promised */
  int64_t asked;              /* when its client last wanted a change: virtual time */
  struct {
    uint32_t xid;
    int64_t at;
  } renew[RENEWS];            /* the last RENEWs, of which several may be on their way at once */
  bool given_up;              /* its client has sent a RELEASE, or nobody knows */
} Promise;

typedef enum { IDLE, ASKING, HAVING } SlotState;

/* One lease that a client has, or wants. */
typedef struct {
  struct Client *client;
  MalTimer *timer;
  SlotState state;
  bool resting;               /* done, while the world closes */
  uint8_t id[ID_LENGTH];
  unsigned scope;
  MalFamily transport;
  uint32_t touched;           /* servers that may have leased something under this identifier */
  uint32_t holder;            /* server, or NOBODY */
  MalBlock blocks[BLOCKS];
  size_t n_blocks;
  int64_t ends;               /* as the client reckons: virtual time */
  int64_t settled;            /* when the last exchange was over */
  /* the exchange under way */
  MadcapType type;
  uint32_t xid;
  uint32_t server;            /* whom it asks; NOBODY: all */
  MalEndpoint to;
  uint8_t bytes[512];
  size_t length;
  unsigned tries;
  uint32_t chosen;            /* DISCOVER: whose OFFER is the best so far */
  unsigned offers;
  /* what it wishes, for DISCOVER and the REQUEST after it */
  struct {
    uint32_t lease_time, min_lease_time, start_in, max_start_in;
    uint16_t min, desired;
    MalBlock named;           /* count 0: none */
    bool time, retry, shared, mobility;
  } wish;
} Slot;

typedef struct Client {
  MadcapWorld *world;
  unsigned index;
  MalWorldRandom random;
  unsigned link;
  MalSimNode *node;
  MalSimIface *iface;
  MalUdp *udp[2];             /* IPv4, IPv6 */
  MalUdp *rogue;              /* sends what nobody may answer */
  Slot slot[SLOTS];
  unsigned n_slots;
  int64_t hurry;              /* between its deeds, at most */
} Client;

/* A daemon with role client, and the program that uses it. */
typedef struct Agent Agent;

typedef enum { AMBUSH_NONE, AMBUSH_ANSWER, AMBUSH_WRITE } Ambush;

struct MadcapWorld {
  const MalWorldPlan *plan;
  MalWorldResult *result;
  MalSim *sim;
  char *dir;
  unsigned n_servers, n_clients, n_agents, n_links;
  MalSimLink *link[3];
  MalSimBorder *border[2];
  Server server[SERVERS];
  Client *client;
  Agent *agent[AGENTS];       /* NULL: switched off */
  bool layer3;                /* there is a plugin that brings space */
  bool talks;                 /* of each message, in the trace */
  bool closing;               /* clients come to rest */
  uint32_t last_xid;
  uint64_t ids;
  GHashTable *promises;       /* of Promise by server and id */
  GHashTable *answers;        /* of Answer by transaction */
  GHashTable *asked;          /* what clients sent, by transaction */
  Ambush ambush;              /* where a server is to crash, soon */
  Server *sprung;             /* which one, at once */
  unsigned planted;           /* what the planted bug has seen so far */
};

static inline void happened(MadcapWorld *w, WorldKind kind)
{
  w->result->happened[kind]++;
}

static inline void count(MadcapWorld *w, WorldCount what)
{
  w->result->counts[what]++;
}

static inline uint64_t between(MalWorldRandom *r, uint64_t low, uint64_t high)
{
  return mal_world_between(r, low, high);
}

static inline bool chance(MalWorldRandom *r, unsigned percent)
{
  return mal_world_chance(r, percent);
}

static inline MalTime server_now(Server *s)
{
  return mal_runtime_now(mal_sim_node_runtime(s->node));
}

static inline WorldId world_id(MalLeaseId id)
{
  WorldId out = { .length = (uint8_t)MIN(id.length, 255) };
  for (size_t i = 0; i < MIN(id.length, ID_LENGTH); i++)
    out.bytes[i] = id.bytes[i];
  return out;
}

static inline MalLeaseId lease_id(const WorldId *id)
{
  return (MalLeaseId){ id->bytes, MIN(id->length, ID_LENGTH) };
}

/* madcap-world.c */
/* The planted bug (madcap-world.h) looks at what happened to server WHO. */
void world_plant_saw(MadcapWorld *w, WorldKind kind, uint64_t who);
void world_plant_acked(MadcapWorld *w, const Server *s);
void world_run(const MalWorldPlan *plan, MalWorldResult *result);
MalAddress world_address(const char *text);
/* The addresses that server N may ever have in a scope. */
MalSpan world_share(unsigned server, unsigned scope, unsigned size);
MalAddress world_net_address(unsigned link, unsigned family, unsigned host);
MalSimIface *world_attach(MadcapWorld *w, MalSimNode *node, unsigned link, unsigned host);

/* madcap-world-server.c */
void world_server_start(Server *s);
void world_server_free(Server *s);
void world_server_restart(void *server);    /* where it is down */
void world_server_crash(Server *s, MalSimCrash disk, int64_t down_for);
void world_server_reboot(Server *s);
/* True where it was put into force; else nothing has changed. */
bool world_server_reload(Server *s, const ServerConf *conf);
/* The same configuration, spoilt, must be refused and change nothing. */
void world_server_reload_bad(Server *s, MalWorldRandom *r);
void world_server_step(Server *s, int64_t seconds);
void world_log_nothing(MalLogLevel level, const char *line, void *data);

/* madcap-world-trouble.c */
void world_troubles_plan(MadcapWorld *w);   /* lets what is in the plan happen in its time */
void world_troubles_end(MadcapWorld *w);

/* madcap-world-space.c */
extern const MalPlugin world_space_plugin;

/* madcap-world-client.c */
void world_client_start(Client *c);

/* madcap-world-agent.c */
Agent *world_agent_new(MadcapWorld *w, const MalWorldItem *item, unsigned link);
void world_agent_free(Agent *a);
MalSimNode *world_agent_node(Agent *a);
bool world_agent_is_at(const Agent *a, MalAddress address);
bool world_agent_restless(const Agent *a);
void world_agent_trouble(Agent *a, const MalWorldItem *item);
void world_agent_heal(Agent *a);
/* Is there a reason why it may not know of a lease? */
bool world_agent_is_excused(const Agent *a);

/* madcap-world-program.c */
/* Does it hold this lease, or did it until that ended by its own reckoning? */
bool world_agent_has(Agent *a, MalLeaseId id);
/* Its leases are those that its servers have. */
void world_agent_check_end(Agent *a);

/* madcap-world-promise.c */
void world_promises_init(MadcapWorld *w);
void world_promises_clear(MadcapWorld *w);
void world_promises_check(MadcapWorld *w);
Promise *world_promise_of(MadcapWorld *w, Server *s, MalLeaseId id);
/* LEASE was acknowledged by S just now. */
Promise *world_promise(Server *s, const MalLease *lease);
/* What it promised within SPAN doesn't count any more. */
void world_promises_revoke(Server *s, MalSpan span);
bool world_same_blocks(const MalBlock *a, size_t n_a, const MalBlock *b, size_t n_b);
void world_broken(Server *s, MalLeaseId id, const char *what, const MalLease *lease);
/* Server S forgot everything. */
void world_forget(Server *s);
/* It crashes: what it has not yet written, or not noticed, it may forget. */
void world_crashed(Server *s);
/* Its wall clock is about to step by DELTA seconds. */
void world_stepped(Server *s, int64_t delta);
bool world_may_lag(const Server *s);
Server *world_server_at(MadcapWorld *w, MalAddress address);

/* madcap-world-tap.c: every datagram */
void world_tap_init(MadcapWorld *w);
void world_tap_clear(MadcapWorld *w);
/* Is a RENEW other than XID under way? */
bool world_is_renewing(const Promise *p, uint32_t xid);

/* madcap-world-check.c */
void world_check_server_up(Server *s);
/* After each event, what changed; and everything where that is due. */
void world_check_step(MadcapWorld *w);
/* Everything there is to check at an instant. */
void world_check(MadcapWorld *w);
/* At rest: clients and servers agree. */
void world_check_end(MadcapWorld *w);

#endif
