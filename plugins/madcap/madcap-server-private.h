/* Shared by the files of the server machine only. */
#ifndef MADCAP_SERVER_PRIVATE_H
#define MADCAP_SERVER_PRIVATE_H

#include "madcap-server-cache.h"
#include "madcap-server-rate.h"
#include "madcap-server.h"
#include "madcap-tables.h"

G_BEGIN_DECLS

/* So many may wait for space at once; each counts against the cache, too. */
#define MADCAP_MAX_WAITING 1024
#define MADCAP_RATE_SOURCES 65536

typedef struct {
  MadcapGroup group;
  bool local;                 /* multicast GETINFO is answered here */
} MadcapServedGroup;

/* The scope list of one family, ready to be put. */
typedef struct {
  GPtrArray *order;           /* const MalScope * */
  MadcapScope *scopes;
  MadcapName **names;         /* of each scope */
} MadcapScopeTable;

struct MadcapServer {
  const MadcapServerOps *ops;
  void *user;
  MalMetricSet *metrics;
  MalHashKey key;
  MadcapServerConfig config;
  MalScopeSet *scopes;
  GArray *groups;             /* MadcapServedGroup */
  GArray *addresses;          /* MalAddress: us */
  MadcapScopeTable table[2];  /* IPv4, IPv6 */
  MadcapCache changes;        /* REQUEST, RENEW, RELEASE: must not be executed twice */
  MadcapCache others;         /* DISCOVER, GETINFO: apart, so that a flood of these spares those */
  MadcapRate *rate;           /* NULL: no limit */
  GArray *named;              /* MalBlock, of the request being handled */
  GArray *missing;            /* uint16_t: its required features that we haven't */
  uint8_t buffer[MADCAP_MAX_LENGTH];
};

/* One message while it is being handled. */
typedef struct {
  MadcapServer *s;
  const MadcapArrival *from;
  const MadcapMessage *msg;
  MalTime now;
  int64_t mono;
  bool multicast;
  MalLeaseId id;
} MadcapExchange;

/* For whom a reply is, and what all replies to him have in common: from an exchange or an entry. */
typedef struct {
  const MadcapArrival *to;
  uint8_t type;               /* of what is answered */
  uint32_t xid;
  MalFamily family;
  MadcapView id;              /* empty: none */
  bool features;              /* he sent a Feature List */
  bool shared;                /* Shared Lease Identifier was implemented */
} MadcapReplyTo;

/* An error option (RFC 2730 3.17). */
typedef struct {
  MadcapErrorCode code;
  uint16_t option;            /* codes 0 and 1 */
  const GArray *features;     /* code 4: of uint16_t; the server's, until the next message */
} MadcapRefusal;

static inline MadcapRefusal madcap_refusal(MadcapErrorCode code, uint16_t option)
{
  return (MadcapRefusal){ .code = code, .option = option };
}

static inline uint32_t madcap_time32(MalTime t)
{
  return t < 0 ? 0 : t > UINT32_MAX ? UINT32_MAX : (uint32_t)t;
}

static inline void madcap_server_count(MadcapServer *s, MadcapMetric metric)
{
  mal_count(s->metrics, metric, 1);
}

/* ---- madcap-server.c ------------------------------------------------------------------------- */

/* Answers at once and remembers it, or is silent where LENGTH is 0 and remembers nothing. What
   stands in the server's buffer is sent. PICKY: nobody else's copy gets this answer. */
void madcap_answer_now(const MadcapExchange *x, size_t length, bool picky);
void madcap_refuse_now(const MadcapExchange *x, const MadcapRefusal *why);
/* Sends what stands in the buffer. */
void madcap_emit(MadcapServer *s, const MadcapArrival *to, const uint8_t *data, size_t length);
MadcapReplyTo madcap_reply_to(const MadcapExchange *x);
MadcapReplyTo madcap_reply_to_entry(const MadcapEntry *entry);
void madcap_news_refused(MadcapServer *s, const MadcapArrival *from, unsigned type,
                         const MadcapRefusal *why);

/* ---- madcap-server-scope.c ------------------------------------------------------------------- */

void madcap_scope_tables_build(MadcapServer *s);
void madcap_scope_tables_clear(MadcapServer *s);
void madcap_groups_set(MadcapServer *s, const GArray *groups);
/* RFC 2730 2.11: may a multicast message for SCOPE be answered that arrived at DESTINATION? */
bool madcap_scope_arrives_well(const MadcapServer *s, MalAddress destination,
                               const MalScope *scope);
bool madcap_getinfo_arrives_well(const MadcapServer *s, MalAddress destination);
void madcap_handle_getinfo(const MadcapExchange *x);

/* ---- madcap-server-ask.c --------------------------------------------------------------------- */

/* Reads the wish of a DISCOVER or REQUEST; REQUEST borrows from the message and the server. */
bool madcap_ask(const MadcapExchange *x, MalLeaseRequest *request, MadcapRefusal *why);
bool madcap_ask_renewal(const MadcapExchange *x, MalRenewal *renewal, MadcapRefusal *why);
/* The engine's refusal in MADCAP's words, naming an option only where the client sent it. */
MadcapRefusal madcap_refusal_of(const MadcapMessage *msg, const MalRefusal *why);
/* Required features that we haven't (RFC 2730 3.13); SHARED_TOO: nor Shared Lease Identifier for
   this lease. */
bool madcap_features_missing(const MadcapExchange *x, bool shared_too, MadcapRefusal *why);
bool madcap_wants_shared(const MadcapMessage *msg);

/* ---- madcap-server-lease.c ------------------------------------------------------------------- */

void madcap_handle_discover(const MadcapExchange *x);
void madcap_handle_request(const MadcapExchange *x);
void madcap_handle_renew(const MadcapExchange *x);
void madcap_handle_release(const MadcapExchange *x);
void madcap_lease_answered(MadcapServer *s, MadcapEntry *entry, const MalLease *lease,
                           const GError *error, MalTime now, int64_t mono);
void madcap_wait_due(MadcapServer *s, MadcapEntry *entry, MalTime now, int64_t mono);

/* ---- madcap-server-reply.c: into the buffer; the length, 0 where it does not fit ------------- */

size_t madcap_reply_nak(MadcapServer *s, const MadcapReplyTo *to, const MadcapRefusal *why,
                        MalTime now);
/* OFFER, or ACK for REQUEST and RENEW. TOLD_START: the client gave a Start Time. DECIDED: when. */
size_t madcap_reply_lease(MadcapServer *s, const MadcapReplyTo *to, const MalLease *lease,
                          MalAddress scope, bool told_start, MalTime decided, MalTime now);
size_t madcap_reply_retry(MadcapServer *s, const MadcapReplyTo *to, MalAddress scope,
                          int64_t lease_time, MalTime now);
size_t madcap_reply_released(MadcapServer *s, const MadcapReplyTo *to);
void madcap_put_our_features(MadcapEncoder *e, const MadcapReplyTo *to, bool retry, bool unasked);

G_END_DECLS
#endif
