/* What the parts of a world of AAP share: aap-world.h. */
#ifndef MAL_AAP_WORLD_PRIVATE_H
#define MAL_AAP_WORLD_PRIVATE_H

#include "aap-world.h"
#include "plugins/aap/aap-coordinator.h"
#include "plugins/aap/aap-intervals.h"

#define SERVERS 50
#define COORDINATORS 2
#define NODES (SERVERS + COORDINATORS)
#define EPOCH ((MalTime)962409600) /* wall clock of true time at the beginning */
#define SEC(n) ((int64_t)(n)*AAP_US)
#define SETTLED SEC(60)
#define RESOLVED_WITHIN SEC(250)
#define QUIET SEC(900)
#define CLEAN_DELAY 900000

#define AAP_KINDS_LIST(X)                                                                          \
  X(KIND_SERVER, "servers")                                                                        \
  X(KIND_COORDINATOR, "coordinators")                                                              \
  X(KIND_CRASH, "crashes")                                                                         \
  X(KIND_WIPE, "crashes without disk")                                                             \
  X(KIND_BLACKOUT, "crashes of all")                                                               \
  X(KIND_SLOW_DISK, "slow disks")                                                                  \
  X(KIND_BAD_DISK, "failing disks")                                                                \
  X(KIND_STEP, "clock steps")                                                                      \
  X(KIND_JITTER, "jitter and reordering")                                                          \
  X(KIND_LOSS, "loss")                                                                             \
  X(KIND_CUT_SHORT, "short partitions")                                                            \
  X(KIND_CUT_LONG, "long partitions")                                                              \
  X(KIND_CUT_ONE_WAY, "one-way partitions")                                                        \
  X(KIND_MUTE, "messages that don't leave")                                                        \
  X(KIND_BURST, "bursts of requests")                                                              \
  X(KIND_NAMED, "named addresses")                                                                 \
  X(KIND_SHRINK, "space that shrinks")                                                             \
  X(KIND_GROW, "space that comes back")                                                            \
  X(KIND_END, "space whose end comes")                                                             \
  X(KIND_EXCLUDE, "addresses excluded")                                                            \
  X(KIND_FAILOVER, "coordinator crashes")                                                          \
  X(KIND_DISAGREE, "coordinators that disagree")                                                   \
  X(KIND_NO_COORDINATOR, "no coordinator for a while")

#define AAP_COUNTS_LIST(X)                                                                         \
  X(COUNT_CALM, "calm worlds")                                                                     \
  X(COUNT_LARGE, "worlds of large scopes")                                                         \
  X(COUNT_IPV6, "worlds of IPv6")                                                                  \
  X(COUNT_STORM, "start-up storms")                                                                \
  X(COUNT_SENT, "messages sent")                                                                   \
  X(COUNT_LOST, "datagrams lost")                                                                  \
  X(COUNT_CUT, "datagrams cut off")                                                                \
  X(COUNT_TWICE, "datagrams doubled")                                                              \
  X(COUNT_ACLM, "ACLM")                                                                            \
  X(COUNT_AIU, "AIU")                                                                              \
  X(COUNT_AITU, "AITU")                                                                            \
  X(COUNT_ASA, "ASA")                                                                              \
  X(COUNT_ASRP, "ASRP")                                                                            \
  X(COUNT_ANA, "ANA")                                                                              \
  X(COUNT_ASKED, "requests of clients")                                                            \
  X(COUNT_AT_ONCE, "answered at once")                                                             \
  X(COUNT_POOLED, "answered from the pool")                                                        \
  X(COUNT_WAITED, "answered after a wait")                                                         \
  X(COUNT_REFUSED, "refused")                                                                      \
  X(COUNT_TIMED_OUT, "timed out")                                                                  \
  X(COUNT_LEASE_LOST, "leases lost")                                                               \
  X(COUNT_EXHAUSTED, "worlds without a free address")                                              \
  X(COUNT_CLAIMED, "claims won")                                                                   \
  X(COUNT_COLLISION, "claims in collision")                                                        \
  X(COUNT_LOST_POOL, "preallocations lost")                                                        \
  X(COUNT_CONFLICT, "conflicts")                                                                   \
  X(COUNT_ECHO, "defences of own ones heard")                                                      \
  X(COUNT_DEFENDED, "defences")                                                                    \
  X(COUNT_STALE, "stale defences answered")                                                        \
  X(COUNT_EXTENDED, "blocks extended")                                                             \
  X(COUNT_GIVEN_BACK, "blocks given back")                                                         \
  X(COUNT_ENDED, "blocks ended")                                                                   \
  X(COUNT_SUSPENDED, "suspensions")                                                                \
  X(COUNT_ASA_INVALIDATES, "ASAs that invalidate")                                                 \
  X(COUNT_ASA_RESENT, "ASAs sent again")                                                           \
  X(COUNT_UNAVAILABLE, "owned spans made unavailable")                                             \
  X(COUNT_LEADS, "coordinators that lead")                                                         \
  X(COUNT_INCONSISTENT, "inconsistent coordinators")                                               \
  X(COUNT_DEMAND, "demands on layer 3")                                                            \
  X(COUNT_DUP_DIRTY, "duplicates: network not clean")                                              \
  X(COUNT_DUP_UNWITNESSED, "duplicates: no witness")                                               \
  X(COUNT_DUP_RESTORED, "duplicates: restored")                                                    \
  X(COUNT_DUP_ADOPTED, "duplicates: adopted")                                                      \
  X(COUNT_DUP_RETURNED, "duplicates: came back with space")                                        \
  X(COUNT_DUP_ADDRESSES, "duplicate addresses")                                                    \
  X(COUNT_LEFTOVER, "addresses on record and nobody's")                                            \
  X(COUNT_IN_1, "resolved within 1 s")                                                             \
  X(COUNT_IN_5, "resolved within 5 s")                                                             \
  X(COUNT_IN_10, "resolved within 10 s")                                                           \
  X(COUNT_IN_20, "resolved within 20 s")                                                           \
  X(COUNT_IN_30, "resolved within 30 s")                                                           \
  X(COUNT_IN_40, "resolved within 40 s")                                                           \
  X(COUNT_IN_60, "resolved within 60 s")                                                           \
  X(COUNT_IN_90, "resolved within 90 s")                                                           \
  X(COUNT_IN_120, "resolved within 120 s")                                                         \
  X(COUNT_IN_150, "resolved within 150 s")                                                         \
  X(COUNT_IN_200, "resolved within 200 s")                                                         \
  X(COUNT_IN_300, "resolved within 300 s")                                                         \
  X(COUNT_LATER, "resolved later")                                                                 \
  X(COUNT_BY_END, "ended with a crash or its end time")

#define NAME_OF(name, text) name,
typedef enum { AAP_KINDS_LIST(NAME_OF) KINDS } WorldKind;
typedef enum { AAP_COUNTS_LIST(NAME_OF) COUNTS } WorldCount;

enum {
  SET_SERVERS,
  SET_LARGE,
  SET_IPV6,
  SET_CALM,
  SET_ADDRESSES,
  SET_PREALLOCATE,
  SET_BLOCK,
  SET_LIFETIME,
  SET_STORM,
};

typedef struct AapWorld AapWorld;
typedef struct AapNode AapNode;

typedef struct {
  AapOwn own;
  bool forget, fails;
} DiskOp;

/* A client's wish that waits. */
typedef struct {
  int64_t asked;
  int64_t lifetime_s;
} Ticket;

typedef struct {
  MalTime end;
  int64_t told;
} Owned;

typedef struct {
  MalTime end;
  MalEndpoint peer;
} Foreign;

/* A server, or (COORDINATOR) a prefix coordinator. LIFE grows with each start and end: what was
   under way for an earlier one is void. */
struct AapNode {
  AapWorld *world;
  unsigned index, life;
  bool absent, up, mute, starting, returning, is_coordinator;
  MalWorldRandom random; /* the machine's */
  MalEndpoint endpoint;
  int64_t skew;          /* microseconds that its wall clock is ahead */
  AapParams params;
  AapSequence *sequence;
  AapZone *zone;
  AapCoordinator *coordinator;
  int64_t scheduled;
  unsigned stuck;
  int64_t takes_part; /* since; AAP_NEVER: listens, or down */

  AapIntervals *owned;     /* Owned: what clients may get */
  GArray *suspended;       /* spans */
  GArray *available;       /* AapExtent, what the zone was told */
  GArray *announced;       /* AapExtent of an ASA, to be told; NULL: none */
  GArray *adopted;         /* spans of leases that are older than AAP */
  GArray *excluded;        /* spans */
  int64_t excluded_at;
  uint8_t *mine;           /* by offset */
  bool hungry, failed;     /* what the zone said in the call under way */

  GHashTable *disk;        /* first address -> AapOwn */
  AapIntervals *durable;   /* MalTime: the same */
  AapIntervals *foreign;   /* Foreign, on the disk */
  GQueue writes;           /* DiskOp */
  int64_t disk_free, disk_us;
  bool disk_fails, news;
  uint8_t *asa;
  size_t asa_length;
  MalTime asa_received;

  double rate;             /* requests an hour */
  unsigned burst;
  int64_t lifetime_s;
  MalWorldRandom clients;
  uint8_t *leased;         /* by offset */
  uint32_t *lease;         /* number of the lease there */
  GArray *tickets;
  uint64_t n_leased;
};

typedef enum {
  EVENT_DUE,
  EVENT_DATAGRAM,
  EVENT_DISK,
  EVENT_NEWS,
  EVENT_CLIENT,
  EVENT_LEASE_END,
  EVENT_START,
  EVENT_ITEM,
  EVENT_MEND,
  EVENT_CHECK
} EventKind;

typedef struct {
  int64_t at;
  uint64_t order;
  EventKind kind;
  unsigned node, life;
  uint64_t a;
  GBytes *octets;
} Event;

struct AapWorld {
  const MalWorldPlan *plan;
  MalWorldResult *result;
  int64_t now;
  uint64_t order;
  bool over, deaf;
  GArray *heap; /* Event */
  AapNode node[NODES];
  unsigned n_servers, n_coordinators;
  bool large, ipv6;
  MalSpan scope;
  unsigned addresses;
  AapParams params;
  MalWorldRandom random; /* the network's */
  GArray *ranges;        /* AapExtent in true time: what coordinators announce, or all know */
  AapScratch *scratch;
  bool healed;

  unsigned loss, twice; /* per cent */
  int64_t delay, jitter;
  uint8_t cut[NODES][NODES]; /* from, to: by so many partitions */
  unsigned muted, cuts;
  int64_t clean_since; /* AAP_NEVER: it isn't */

  uint8_t *owners; /* by offset */
  int64_t *since;
  uint64_t duplicates; /* addresses with several owners now */
  unsigned look;
  MalAapWorldFigures figures;
};

static inline uint64_t between(MalWorldRandom *r, uint64_t low, uint64_t high)
{
  return mal_world_between(r, low, high);
}
static inline bool chance(MalWorldRandom *r, unsigned percent)
{
  return mal_world_chance(r, percent);
}

/* ---- aap-world.c ----------------------------------------------------------------------------- */
void world_run(const MalWorldPlan *plan, MalWorldResult *result);
void world_fail(AapWorld *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
void world_count(AapWorld *w, WorldCount what, uint64_t n);
Event *world_push(AapWorld *w, EventKind kind, int64_t at, unsigned node);
void world_trace(AapWorld *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
AapNow world_clock(const AapNode *node);
MalAddress world_at(const AapWorld *w, uint64_t offset);
uint64_t world_offset(const AapWorld *w, MalAddress address);
MalSpan world_span(const AapWorld *w, uint64_t first, uint64_t last);

/* ---- aap-world-wire.c ------------------------------------------------------------------------ */
bool world_send(AapNode *from, const AapMessage *msg);
void world_datagram(AapWorld *w, const Event *event);
void world_network_changed(AapWorld *w);

/* ---- aap-world-server.c ---------------------------------------------------------------------- */
extern const AapZoneOps world_zone_ops;
void world_server_start(AapNode *s);
void world_node_crash(AapNode *s);
void world_node_wipe(AapNode *s);
/* After each call of its zone. */
void world_settle(AapNode *s);
void world_disk_done(AapNode *s);
void world_news(AapNode *s);
void world_available(AapNode *s);

/* ---- aap-world-coordinator.c ----------------------------------------------------------------- */
void world_coordinator_start(AapNode *c);
void world_coordinator_ranges(AapNode *c);
void world_settle_coordinator(AapNode *c);

/* ---- aap-world-client.c ---------------------------------------------------------------------- */
void world_ask(AapNode *s, int64_t lifetime_s);
void world_serve(AapNode *s);
void world_refuse(AapNode *s, WorldCount why);
void world_client(AapNode *s);
void world_lease_end(AapNode *s, uint64_t offset, uint32_t lease);
void world_leases_drop(AapNode *s, MalSpan span);
void world_leases_look(AapNode *s);

/* ---- aap-world-trouble.c --------------------------------------------------------------------- */
void world_item(AapWorld *w, guint number);
void world_mend(AapWorld *w, guint number);
void world_heal(AapWorld *w);

/* ---- aap-world-check.c ----------------------------------------------------------------------- */
void world_check_owned(AapNode *s, MalSpan span, MalTime end);
void world_gained(AapNode *s, MalSpan span);
/* How an owner's share of a duplicate ended. */
void world_lost(AapNode *s, MalSpan span, bool by_itself);
void world_check_message(AapNode *s, const AapMessage *msg);
void world_check_bounds(AapNode *s);
void world_look(AapWorld *w);
void world_check_end(AapWorld *w);

#endif
