/* Shared by tests/sim/madcap-world*.c only. */
#ifndef MAL_MADCAP_WORLD_PRIVATE_H
#define MAL_MADCAP_WORLD_PRIVATE_H

#include "core/core.h"
#include "madcap-world.h"
#include "plugins/madcap/madcap-wire.h"
#include "sim-store.h"

#define SERVERS 4
#define SCOPES 3
#define SLOTS 3               /* leases that one client may have at once */
#define ID_LENGTH 20
#define BLOCKS 40
#define SHARE_MOST 200        /* addresses of a server in a scope */
#define SHARE_EXTRA 40        /* more of them, which layer 3 may bring */
#define RETRY_AFTER 20        /* and the server's number more */
#define NOBODY UINT32_MAX
#define DELAY_MOST (3 * MAL_US)   /* no datagram is longer on its way */

typedef struct {
  const char *id;
  const char *first, *last;   /* the scope */
  const char *group;          /* its MADCAP server group */
  MalFamily family;
} WorldScope;
extern const WorldScope world_scopes[SCOPES];

typedef struct {
  MadcapWorld *world;
  unsigned index;
  MalSimNode *node;
  MalSimIface *iface;
  MalAddress address[2];      /* IPv4, IPv6 */
  MalCore *core;              /* NULL: down */
  MalStore *store;            /* the core's */
  char *file;                 /* its configuration */
  unsigned size[SCOPES];      /* of its ranges, as last accepted */
  unsigned boots;
  int64_t stepped;            /* the wall clock, against the true one, in seconds */
  int64_t step_seen;          /* virtual time of the last step */
  int64_t lags_until;         /* its disk fails, or it has not noticed yet that it works */
  bool disk_failed;           /* at some time */
  bool lapsed;                /* leases ended while it was down: nobody wrote that down */
  /* It may have leases after a restart that nobody has: its disk had failed before, and what was
     refused for that may be there all the same; or the clock went back, and what had lapsed is
     ahead again. */
  bool ghosts;
} Server;

/* What a server acknowledged. */
typedef struct {
  Server *server;
  uint8_t id[ID_LENGTH];
  MalBlock blocks[BLOCKS];
  size_t n_blocks;
  MalTime start, end;         /* by the server's clock; it may last longer, but no shorter */
  int64_t moved;              /* by how much steps forward moved the end since it was promised */
  int64_t asked;              /* when its client last wanted a change: virtual time */
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
    bool time, retry, shared;
  } wish;
} Slot;

typedef struct Client {
  MadcapWorld *world;
  unsigned index;
  unsigned link;
  MalSimNode *node;
  MalSimIface *iface;
  MalUdp *udp[2];             /* IPv4, IPv6 */
  MalUdp *rogue;              /* sends what nobody may answer */
  Slot slot[SLOTS];
  unsigned n_slots;
  int64_t hurry;              /* between its deeds, at most */
} Client;

typedef enum { AMBUSH_NONE, AMBUSH_ANSWER, AMBUSH_WRITE } Ambush;

struct MadcapWorld {
  MalSim *sim;
  unsigned n_servers, n_clients, n_links;
  MalSimLink *link[3];
  MalSimBorder *border[2];
  Server server[SERVERS];
  Client *client;
  unsigned pad;               /* extra-allocation-time */
  int64_t trouble;            /* when it ends: virtual time */
  bool layer3;                /* there is a plugin that brings space */
  bool talks;                 /* of each message, in the trace */
  bool closing;               /* clients come to rest */
  uint32_t last_xid;
  uint64_t ids;
  GHashTable *promises;       /* of Promise by server and id */
  GHashTable *answers;        /* of Answer by transaction */
  GByteArray *types;          /* of messages, by xid */
  Ambush ambush;              /* where a server is to crash, soon */
  Server *sprung;             /* which one, at once */
  MadcapWorldFigures figures;
};

static inline uint64_t between(MadcapWorld *w, uint64_t low, uint64_t high)
{
  return mal_sim_random_between(w->sim, low, high);
}

static inline bool chance(MadcapWorld *w, unsigned percent)
{
  return mal_sim_chance(w->sim, MAL_SIM_PERCENT(percent));
}

static inline MalTime server_now(Server *s)
{
  return mal_runtime_now(mal_sim_node_runtime(s->node));
}

/* madcap-world.c */
MalAddress world_address(const char *text);
/* The addresses that server N may ever have in a scope. */
MalSpan world_share(unsigned server, unsigned scope, unsigned size);

/* madcap-world-space.c */
extern const MalPlugin world_space_plugin;

/* madcap-world-client.c */
void world_clients_start(MadcapWorld *w);

/* madcap-world-check.c */
void world_check_init(MadcapWorld *w);
void world_check_clear(MadcapWorld *w);
/* Everything there is to check at an instant. */
void world_check(MadcapWorld *w);
/* At rest: clients and servers agree. */
void world_check_end(MadcapWorld *w);
/* Server S forgot everything. */
void world_forget(Server *s);
/* It crashes: what it has not yet written, or not noticed, it may forget. */
void world_crashed(Server *s);
/* Its wall clock is about to step by DELTA seconds. */
void world_stepped(Server *s, int64_t delta);

#endif
