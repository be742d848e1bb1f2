/* The MADCAP server machine (RFC 2730 2; RFC 2907): `(state, event, now) -> actions`. It owns the
   transactions, which are the entries of its response cache, and knows no socket, clock, random
   number, store or engine.

   Events are calls of madcap_server_receive, _answer and _tick. Actions leave through
   MadcapServerOps during these calls. Each takes both clocks: NOW, wall seconds, goes into messages
   and leases; MONO, monotonic microseconds, is for deadlines. */
#ifndef MADCAP_SERVER_H
#define MADCAP_SERVER_H

#include "core/hash.h"
#include "core/leases.h"
#include "core/metrics.h"
#include "madcap-groups.h"
#include "madcap-wire.h"

G_BEGIN_DECLS

typedef struct MadcapServer MadcapServer;

/* How a datagram came in, and so where its answer goes: from server_id to peer. */
typedef struct {
  MalEndpoint peer;
  MalAddress destination;     /* as it bore: multicast (a server group) or ours */
  MalAddress server_id; /* our address on that interface: the Server Identifier of the answer */
  uint32_t ifindex;
} MadcapArrival;

/* Keys of [madcap], in seconds where they are times. */
typedef struct {
  int64_t default_lease_time, max_lease_time;
  int64_t offer_hold;
  int64_t response_cache;
  size_t cache_entries, cache_octets;
  int64_t extra_allocation_time;
  int64_t clock_skew_allowance;
  int64_t retry_after;
  uint32_t max_per_request, max_per_client;
  uint32_t rate_limit;
  bool anyone_may_change;     /* lease-owner = any */
  bool beyond_local_scope;
} MadcapServerConfig;

/* What happened, for events. */
typedef enum {
  MADCAP_NEWS_IGNORED,        /* REASON of the codec, or NONE: see TYPE */
  MADCAP_NEWS_REFUSED,        /* a NAK with CODE and OPTION */
  MADCAP_NEWS_SKEW,           /* a NAK for a clock that is SKEW seconds ahead */
  MADCAP_NEWS_RATE,
  MADCAP_NEWS_OVERLOAD,
  MADCAP_NEWS_WAITING,        /* ID waits for space */
} MadcapNewsKind;

typedef struct {
  MadcapNewsKind kind;
  const MadcapArrival *from;
  unsigned type;              /* MadcapType of the message, 0 where unknown */
  MadcapReason reason;
  unsigned code, option;
  int64_t skew;
  MalLeaseId id;              /* length 0: none */
} MadcapNews;

/* The actions. Model operations are those of core/leases.h, with its meaning; their DONE comes back
   by madcap_server_answer with the cookie (0: nobody waits for it), never from inside the call that
   was given the cookie. */
typedef struct {
  void (*send)(void *user, const MadcapArrival *to, const uint8_t *data, size_t length);
  bool (*lease)(void *user, MalLeaseId id, MalLease *out);
  bool (*waiting)(void *user, MalLeaseId id);
  bool (*hold)(void *user, const MalLeaseRequest *request, MalTime now, MalTime until,
               MalLease *out, MalRefusal *why);
  bool (*unhold)(void *user, MalLeaseId id);
  MalAnswer (*request)(void *user, const MalLeaseRequest *request, MalTime now, uint64_t cookie,
                       MalRefusal *why);
  MalAnswer (*renew)(void *user, MalLeaseId id, const MalRenewal *renewal, MalTime now,
                     uint64_t cookie, MalRefusal *why);
  MalAnswer (*release)(void *user, MalLeaseId id, MalTime now, uint64_t cookie, MalRefusal *why);
  void (*when_durable)(void *user, MalLeaseId id, uint64_t cookie);
  void (*news)(void *user, const MadcapNews *news);
} MadcapServerOps;

/* OPS, METRICS (madcap_metrics) stay the caller's and must outlive the server. KEY: random.
   Configure it before the first event. */
MadcapServer *madcap_server_new(const MadcapServerOps *ops, void *user, MalMetricSet *metrics,
                                const MalHashKey *key);
void madcap_server_free(MadcapServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MadcapServer, madcap_server_free)

/* Takes a reference on SCOPES, which must be those of the lease engine, and copies the rest; GROUPS
   of MadcapGroup. At any time: transactions and cached answers stay. */
void madcap_server_configure(MadcapServer *server, const MadcapServerConfig *config,
                             MalScopeSet *scopes, const GArray *groups);
/* All unicast addresses by which a client may name this server (RFC 2730 3.3). */
void madcap_server_set_addresses(MadcapServer *server, const MalAddress *addresses, size_t n);

void madcap_server_receive(MadcapServer *server, const MadcapArrival *from, const uint8_t *data,
                           size_t length, MalTime now, int64_t mono);
/* The engine's DONE: LEASE as there, or NULL with why it failed. */
void madcap_server_answer(MadcapServer *server, uint64_t cookie, const MalLease *lease,
                          const GError *error, MalTime now, int64_t mono);
void madcap_server_tick(MadcapServer *server, MalTime now, int64_t mono);
/* When to tick next (monotonic), INT64_MAX: no need. */
int64_t madcap_server_due(const MadcapServer *server);
/* Brings the gauges among the metrics up to date. */
void madcap_server_gauges(MadcapServer *server);

/* RFC 2730 2.3: a client's first retransmission comes after 4 s, and after 60 s it has given up. */
#define MADCAP_ANSWER_WITHIN (3 * INT64_C(1000000))
#define MADCAP_CLIENT_GIVES_UP (60 * INT64_C(1000000))
/* A client that was told to come again and does not within this after its time loses what was begun
   for it. */
#define MADCAP_RETRY_GRACE (600 * INT64_C(1000000))

G_END_DECLS
#endif
