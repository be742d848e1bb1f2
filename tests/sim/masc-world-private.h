/* What the parts of a world of MASC share: masc-world.h. */
#ifndef MAL_MASC_WORLD_PRIVATE_H
#define MAL_MASC_WORLD_PRIVATE_H

#include "core/core.h"
#include "masc-world.h"
#include "plugins/masc/masc-plugin.h"
#include "sim-store.h"

#define TOPS 4
#define CHILDREN 6
#define DOMAINS (TOPS * (1 + CHILDREN))
#define NODES 3 /* of a domain */
#define SERVERS 3 /* behind them */
#define LINKS_MOST 160
#define SCOPES 8 /* the first one is everybody's */
#define NONE UINT_MAX
/* A day of these worlds: the core looks around once a second, which nobody wants to pay for two
   months. All times shrink alike. */
#define DAY (900 * (int64_t)MAL_US)
#define HOUR (DAY / 24)
#define SECONDS(time) ((int64_t)(time) / MAL_US)
#define WAITING (2 * DAY)
#define SKEW_MOST (11 * HOUR) /* either way */
#define SKEW_APART (2 * SKEW_MOST)
#define OPERATOR (6 * HOUR)
#define QUIET (14 * DAY)
#define QUIET_SCARCE (45 * DAY) /* who has far too much gives it up in the end */
#define LOOK_EVERY (HOUR / 2)
#define SITE_SETTLES (300 * (int64_t)MAL_US) /* AAP: aap-world.h; its times are not these worlds' */
#define WRITTEN_WITHIN HOUR /* when a disk works again: it is asked twice a minute */

#define MASC_KINDS_LIST(X)                                                                         \
  X(KIND_DOMAIN, "domains")                                                                        \
  X(KIND_CRASH, "crashes")                                                                         \
  X(KIND_WIPE, "crashes without disk")                                                             \
  X(KIND_BLACKOUT, "crashes of all")                                                               \
  X(KIND_BAD_DISK, "failing disks")                                                                \
  X(KIND_STEP, "clock steps")                                                                      \
  X(KIND_RESET, "sessions reset")                                                                  \
  X(KIND_CUT_SHORT, "short partitions")                                                            \
  X(KIND_CUT_LONG, "long partitions")                                                              \
  X(KIND_CUT_INSIDE, "partitions in a domain")                                                     \
  X(KIND_CUT_HALVES, "partitions of all")                                                          \
  X(KIND_ROLE, "wrong roles")                                                                      \
  X(KIND_PROVIDER, "changes of provider")                                                          \
  X(KIND_BURST, "bursts of requests")                                                              \
  X(KIND_LULL, "lulls of demand")                                                                  \
  X(KIND_FLOOD, "floods of claims")                                                                \
  X(KIND_CLAIM, "claims by hand")                                                                  \
  X(KIND_WITHDRAW, "withdrawals by hand")                                                          \
  X(KIND_SERVER_CRASH, "crashes of servers")                                                       \
  X(KIND_SERVER_WIPE, "crashes of servers without disk")                                           \
  X(KIND_SITE_CUT, "servers cut off")

#define MASC_COUNTS_LIST(X)                                                                        \
  X(COUNT_DOMAINS, "domains")                                                                      \
  X(COUNT_NODES, "nodes")                                                                          \
  X(COUNT_ZONED, "worlds with zones")                                                              \
  X(COUNT_TIGHT, "worlds with little space")                                                       \
  X(COUNT_SCOPES, "scopes")                                                                        \
  X(COUNT_IPV6, "worlds with IPv6 alone")                                                          \
  X(COUNT_BOTH, "worlds with both families")                                                       \
  X(COUNT_ZONE_TOPS, "top-level domains of zones with parents outside")                            \
  X(COUNT_TWO_PARENTS, "domains with two parents")                                                 \
  X(COUNT_GRANDCHILDREN, "domains below children")                                                 \
  X(COUNT_MANUAL, "domains that resolve by hand")                                                  \
  X(COUNT_BY_HAND, "domains that claim by hand alone")                                             \
  X(COUNT_SERVERS, "servers behind AAP")                                                           \
  X(COUNT_TOGETHER, "domains with all tiers in one process")                                       \
  X(COUNT_LEASES, "leases behind AAP")                                                             \
  X(COUNT_VIA_MADCAP, "of users of MADCAP")                                                        \
  X(COUNT_TWICE, "leased twice in a domain in trouble")                                            \
  X(COUNT_OWNED_TWICE, "owned twice in a domain")                                                  \
  X(COUNT_LOOKS, "looks")                                                                          \
  X(COUNT_WHOLE, "looks at a whole network")                                                       \
  X(COUNT_SETTLED, "looks that allow nothing")                                                     \
  X(COUNT_ASKED, "requests of users")                                                              \
  X(COUNT_SERVED, "served")                                                                        \
  X(COUNT_WAITED, "served after a wait")                                                           \
  X(COUNT_GAVE_UP, "gave up")                                                                      \
  X(COUNT_CLAIMS, "claims")                                                                        \
  X(COUNT_WON, "claims won")                                                                       \
  X(COUNT_RENEWED, "prefixes renewed")                                                             \
  X(COUNT_GREW, "prefixes grown")                                                                  \
  X(COUNT_COLLISION, "claims lost in collisions")                                                  \
  X(COUNT_DENIED, "claims denied")                                                                 \
  X(COUNT_HELD_UP, "claims held up without a parent")                                              \
  X(COUNT_CLASH, "clashes")                                                                        \
  X(COUNT_CLASH_WON, "clashes won")                                                                \
  X(COUNT_CLASH_LOST, "clashes lost")                                                              \
  X(COUNT_RESOLVED, "clashes resolved by hand")                                                    \
  X(COUNT_PARENT_WITHDREW, "prefixes withdrawn by parents")                                        \
  X(COUNT_GIVEN_BACK, "prefixes given back")                                                       \
  X(COUNT_ENDED, "prefixes ended")                                                                 \
  X(COUNT_RECOVERED, "prefixes recovered")                                                         \
  X(COUNT_DISOWNED, "prefixes disowned")                                                           \
  X(COUNT_FLOODED, "domains ignored")                                                              \
  X(COUNT_FORGIVEN, "domains forgiven")                                                            \
  X(COUNT_HINTS, "hints")                                                                          \
  X(COUNT_SESSIONS, "sessions")                                                                    \
  X(COUNT_OVERLAP, "overlaps while the network wasn't whole")                                      \
  X(COUNT_OUTSIDE, "children's space outside their parents'")                                      \
  X(COUNT_DURABLE, "ranges and routes there again")                                                \
  X(COUNT_RELOADS, "reloads")                                                                      \
  X(COUNT_RESTARTED, "restarts that reloads asked for")                                            \
  X(COUNT_CACHED, "records cached at the end")

#define NAME_OF(name, text) name,
typedef enum { MASC_KINDS_LIST(NAME_OF) KINDS } WorldKind;
typedef enum { MASC_COUNTS_LIST(NAME_OF) COUNTS } WorldCount;

/* ZONED: a scope with a zone for each top-level domain's tree; ZONES: scopes with any zones. LONG:
   identifiers are IPv6 addresses, sessions go over IPv6. */
enum {
  SET_TOPS, SET_NODES, SET_ZONED, SET_TIGHT, SET_MESH, SET_CALM, SET_ZONES, SET_FAMILIES, SET_LONG,
  SET_HAND, SET_SERVERS /* percent; at most */
};
enum { FAMILIES_IPV4, FAMILIES_IPV6, FAMILIES_BOTH };

typedef struct MascFaults World;
typedef struct Domain Domain;

typedef struct {
  const char *name;
  MalSpan span;
  bool any;               /* zones are not those of the tree */
  unsigned zone[DOMAINS]; /* which one the domain is in */
} Scope;

typedef enum { NODE_COORDINATOR, NODE_SERVER, NODE_CLIENT } NodeKind;

typedef struct {
  World *world;
  Domain *domain;
  NodeKind kind;
  unsigned index;        /* in the domain, of its kind */
  MalSimNode *node;
  MalCore *core;         /* NULL: down */
  Masc *masc;
  char *file;
  int64_t skew;          /* microseconds */
  bool bad_disk;
  int64_t disk_works;    /* since then it takes what it is given again */
  unsigned wrong;        /* place of the link whose role is configured wrongly; or NONE */
  GArray *told;          /* Told: before it went down, or its disk failed */
  unsigned subscription;
} Node;

/* Somebody who uses addresses. */
typedef struct {
  World *world;
  Domain *domain;
  unsigned scope, count;
  int64_t lifetime_s, patience; /* until when he goes on asking */
  int64_t asked, since;   /* this try; the first one */
  bool asking, done, via_madcap;
  unsigned tries;
} User;

struct Domain {
  World *world;
  unsigned index, n_nodes;
  bool absent, top, manual;
  bool by_hand;           /* claims nothing by itself */
  bool was_wrong;         /* a role was configured wrongly for longer than claims wait */
  unsigned zone;          /* the top-level domain in whose tree it is */
  Node node[NODES];
  /* What is behind them; SITE NULL: nothing, they lease themselves. */
  MalSimLink *site;
  Node server[SERVERS], client;
  unsigned n_servers, site_cuts;
  bool together;          /* they lease, too */
  int64_t site_disturbed;
  MalWorldRandom random;
  double gap_h;           /* between users */
  unsigned most;          /* addresses that one wants */
  int64_t lull_until, flooded_until;
  int64_t outside_since[SCOPES]; /* -1: all inside */
};

/* Between nodes of two domains: OTHER is parent or sibling of DOMAIN. */
typedef struct {
  unsigned domain, other, node, other_node;
  bool sibling;
  unsigned common;        /* parent of both siblings; NONE: top-level domains */
  uint32_t scopes;        /* that it is about, by bit */
  bool off;               /* configured no more */
} Link;

typedef struct {
  MalSpan span;
  MalTime until;
  bool route;
  bool orphan;            /* of a provider that was left: nothing but its end is left (12.5) */
} Told;

/* What a domain manages, or lets its servers use. */
typedef struct {
  MalSpan span;
  const Node *node;
  bool local, orphan;
} Held;

struct MascFaults {
  MalSim *sim;
  MalSimLink *lan;
  const MalWorldPlan *plan;
  MalWorldResult *result;
  char *dir;
  Domain domain[DOMAINS];
  Scope scope[SCOPES];
  unsigned n_scopes;
  uint32_t everybodys;    /* scopes without zones */
  Link link[LINKS_MOST];
  unsigned n_links;
  MalSimCut *cut[1024];   /* by item; NULL: none */
  GPtrArray *users;       /* User, owned */
  GArray *held;           /* Held: scratch */
  unsigned troubles;      /* under way */
  int64_t whole_since;    /* INT64_MAX: it isn't */
  bool healed;
  GPtrArray *happenings; /* owned */
};

static inline uint64_t between(MalWorldRandom *r, uint64_t low, uint64_t high)
{
  return mal_world_between(r, low, high);
}
static inline bool chance(MalWorldRandom *r, unsigned percent)
{
  return mal_world_chance(r, percent);
}
static inline void count(World *w, WorldCount what)
{
  w->result->counts[what]++;
}
static inline int64_t quiet(const World *w)
{
  return w->plan->settings[SET_TIGHT] == 1 && w->plan->size == MAL_WORLD_SMALL ? QUIET_SCARCE
                                                                               : QUIET;
}
static inline bool exists(const Domain *d)
{
  return !d->absent;
}

/* ---- masc-world-topology.c ------------------------------------------------------------------- */

void world_make_links(World *w);
bool world_is_parent(const World *w, unsigned scope, unsigned parent, unsigned child);
bool world_is_ancestor(const World *w, unsigned scope, unsigned ancestor, unsigned domain);
/* Another provider for DOMAIN; false: there is none. */
bool world_change_provider(World *w, Domain *d, MalWorldRandom *r);
MalAddress world_node_address(const Node *n);
/* The configuration of N; the caller frees. */
char *world_node_config(const Node *n);
/* Is that domain, by its identifier, a parent of D? 0, the whole scope, is above top-level ones; of
   others what they have of it they won while their parents' roles were configured wrongly. */
bool world_has_parent(const World *w, unsigned scope, const Domain *d, MascId parent);
char *world_domain_id(const World *w, unsigned domain); /* as text; the caller frees */

/* ---- masc-world-scopes.c --------------------------------------------------------------------- */

/* After the links of parents and children. */
void world_make_scopes(World *w);
unsigned world_scope_of(const World *w, MalAddress address);
/* Are both in one zone, so that the scope is the same to them? */
bool world_zoned(const World *w, unsigned scope, unsigned a, unsigned b);
uint32_t world_common_scopes(const World *w, unsigned a, unsigned b);
/* No parent of it is in its zone. */
bool world_is_top(const World *w, unsigned scope, unsigned domain);
void world_write_scopes(GString *text, const World *w);
void world_write_peer_scopes(GString *text, const World *w, uint32_t scopes);

/* ---- masc-world-node.c ----------------------------------------------------------------------- */

void world_node_init(Node *n, Domain *d, NodeKind kind, unsigned index);
void world_node_make(Node *n, Domain *d, unsigned index); /* a coordinator */
void world_node_clear(Node *n);
void world_node_start(Node *n);
void world_node_restart(void *node);
void world_node_crash(Node *n, MalSimCrash disk, int64_t down_for);
bool world_node_reload(Node *n); /* false: refused */
void world_domain_reload(Domain *d);
void world_node_free(Node *n);

/* ---- masc-world-site.c ----------------------------------------------------------------------- */

void world_site_make(Domain *d, uint64_t seed);
void world_site_start(Domain *d, MalWorldRandom *r);
void world_site_free(Domain *d);
MalAddress world_site_address(const Node *n, MalFamily family);
/* Those that lease; how many. */
unsigned world_leasing(Domain *d, Node *out[NODES + SERVERS]);
void world_write_roles(GString *text, const Node *n);
void world_write_site(GString *text, const Node *n);
/* Something befell it that AAP may need a while for. */
void world_site_disturb(Domain *d);
bool world_site_settled(const Domain *d);
void world_site_watch(Node *n); /* its core has started */
void world_check_site(Domain *d);

/* ---- masc-world-hand.c ----------------------------------------------------------------------- */

void world_claim_by_hand(Domain *d, MalWorldRandom *r);
void world_withdraw_by_hand(Domain *d, MalWorldRandom *r);
void world_operate(World *w); /* clashes by hand, floods forgiven */

/* ---- masc-world-user.c ----------------------------------------------------------------------- */

void world_users_begin(Domain *d);
void world_user_new(Domain *d, MalWorldRandom *r);
unsigned world_users_waiting(const World *w, int64_t for_longer_than, const User **one);

/* ---- masc-world-trouble.c -------------------------------------------------------------------- */

void world_troubles_plan(World *w);
void world_troubles_end(World *w);

/* ---- masc-world-check.c ---------------------------------------------------------------------- */

bool world_is_whole(const World *w, char why[200]);
void world_look(World *w);
bool world_ignores_nobody(const Node *n, char why[200]);
void world_remember(Node *n);      /* what it tells: before a crash, or while its disk works */
void world_remember_less(Node *n); /* what of that it still tells */
void world_check_back(Node *n); /* after it */
void world_check_node(Node *n);
void world_check_end(World *w);

void world_run(const MalWorldPlan *plan, MalWorldResult *result);

#endif
