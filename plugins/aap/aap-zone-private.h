/* The parts of a zone, each the matter of one file, and what they ask of each other. A part has:
   _new, _free, _due (monotonic), _run, and what it hears. All are called with the zone; none calls
   the operations of the caller for another's matter. */
#ifndef AAP_ZONE_PRIVATE_H
#define AAP_ZONE_PRIVATE_H

#include "aap-record.h"
#include "aap-zone.h"

G_BEGIN_DECLS

typedef struct AapOwns AapOwns; /* aap-own.c, aap-own-announce.c, aap-conflict.c: own allocations */
typedef struct AapClaims AapClaims; /* aap-claim.c */
typedef struct AapPool AapPool;     /* aap-prealloc.c (the AITU machine), aap-pool.c (how much) */
typedef struct AapDefences AapDefences; /* aap-defence.c */
typedef struct AapSpace AapSpace;       /* aap-asa.c, aap-asrp.c, aap-ana.c: ASA cache, ASRP, ANA */

struct AapZone {
  char *scope;
  MalSpan span;
  bool large;
  const AapParams *params;
  AapSequence *sequence;
  const AapZoneOps *ops;
  void *user;

  bool started, listening; /* from the beginning until startup is over it listens */
  int64_t startup_ends;
  AapNow now;        /* of the step that runs */
  GArray *available; /* AapExtent, sorted, disjoint */
  GArray *excluded;  /* MalSpan, sorted, disjoint */
  bool limited;      /* some space was available once: entries end with theirs */
  AapRecord *record;
  AapOwns *owns;
  AapClaims *claims;
  AapPool *pool;
  AapDefences *defences;
  AapSpace *space;
};

/* ---- aap-zone.c: for all parts --------------------------------------------------------------- */

/* microseconds: U[low, high] x unit */
int64_t aap_zone_draw(AapZone *zone, double low, double high, int64_t unit);
/* A message with these spans; ENDS[i] belongs to SPANS[i]. False: not sent (also during startup,
   always). Splits what does not fit 500 octets into several messages: FIRST rseq for the first, new
   ones for the others is the caller's business, so callers cut their sets beforehand
   (aap_zone_fits). */
bool aap_zone_send_ranges(AapZone *zone, AapType type, uint32_t rseq, uint8_t mseq,
                          const AapExtent *ranges, size_t n);
bool aap_zone_send(AapZone *zone, AapMessage *msg);
/* How many ranges one message may carry: 40 or 13 (3.2.2). */
size_t aap_zone_fits(const AapZone *zone);
size_t aap_zone_limit(const AapZone *zone); /* octets of payload */
void aap_zone_note(AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer, uint64_t n);
/* The unended ranges of MSG with adjusted ends (array of AapExtent), joined where they overlap
   (latest end counts). */
GArray *aap_zone_ranges_of(AapZone *zone, const AapMessage *msg);
/* An AapOwnFunc that appends to a sorted array of AapExtent: neighbours with one end time make one
   range. */
void aap_zone_join(MalSpan span, MalTime end, void *ranges);
/* All that is ours in any way: own, being written, claimed, preallocated (fresh sets of spans; the
   caller frees). */
GArray *aap_zone_ours(const AapZone *zone);
static inline uint64_t aap_zone_saturated(MalU128 n)
{
  return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}
/* May this zone allocate at all now? Not while it listens, nor without space (3.2.4). */
bool aap_zone_may_allocate(const AapZone *zone);

/* ---- aap-own*.c, aap-conflict.c -------------------------------------------------------------- */

AapOwns *aap_owns_new(AapZone *zone);
void aap_owns_free(AapOwns *owns);
int64_t aap_owns_due(const AapOwns *owns);
void aap_owns_run(AapZone *zone);
void aap_owns_started(AapZone *zone); /* startup is over: announcing begins, spread (3.2.4) */
/* SPAN becomes ours until END once it is kept; until then it counts as ours, but can still be lost
   to a collision. */
void aap_owns_add(AapZone *zone, MalSpan span, MalTime end);
void aap_owns_restore(AapZone *zone, const AapOwn *own);
/* What was restored is told by ops->owned, and dropped where it ended meanwhile. */
void aap_owns_tell(AapZone *zone);
void aap_owns_kept(AapZone *zone, MalAddress first, bool ok);
/* Later (or earlier) end of what begins at FIRST: kept first where later. */
void aap_owns_set_end(AapZone *zone, MalAddress first, MalTime end);
/* Gives it back (3.2.8): layer 1 loses it at once, it is announced with an end delete-grace ahead
   until that has passed. */
void aap_owns_give_back(AapZone *zone, MalAddress first);
/* An AIU of PEER: conflicts, echoes, stale defences (3.2.3, 3.2.8). After the record took it. */
void aap_owns_heard_in_use(AapZone *zone, MalEndpoint peer, const GArray *ranges);
/* An ACLM or AITU of PEER: notes for the echo rule; allocations still being written are lost to an
   ACLM (TYPE). */
void aap_owns_heard_claim(AapZone *zone, MalEndpoint peer, AapType type, const GArray *ranges);
void aap_owns_available_changed(AapZone *zone); /* effective ends */
/* Own unended allocations that overlap SPAN, cut to it, with effective ends. KEPT_ONLY: not those
   still being written. */
typedef void (*AapOwnFunc)(MalSpan span, MalTime end, void *data);
void aap_owns_each(const AapZone *zone, MalSpan span, bool kept_only, AapOwnFunc func, void *data);
/* Whole blocks, for the pool's decisions. */
typedef struct {
  MalSpan span;
  MalTime end;
  bool writing, suspended, ending;
} AapOwnBlock;
void aap_owns_each_block(const AapZone *zone, void (*func)(const AapOwnBlock *block, void *data),
                         void *data);
/* All that is announced leaves as soon as it may; how many messages. */
unsigned aap_owns_announce(AapZone *zone);
void aap_owns_usage(const AapZone *zone, AapZoneUsage *usage);
void aap_owns_each_entry(const AapZone *zone, AapEntryFunc func, void *data);
void aap_owns_clock_stepped(AapZone *zone, int64_t delta);
void aap_owns_check(const AapZone *zone);

/* ---- aap-claim.c (3.2.5) --------------------------------------------------------------------- */

AapClaims *aap_claims_new(AapZone *zone);
void aap_claims_free(AapClaims *claims);
int64_t aap_claims_due(const AapClaims *claims);
void aap_claims_run(AapZone *zone);
/* Claims up to COUNT addresses until END at least, of its own choice, or exactly SPAN where that
   has a family. Returns how many it claims; 0: nothing to claim (the caller says so on: ANA or
   log). */
uint64_t aap_claims_begin(AapZone *zone, uint64_t count, MalTime end, MalSpan exactly);
void aap_claims_heard(AapZone *zone, MalEndpoint peer, AapType type,
                      const GArray *ranges); /* ACLM or AIU */
void aap_claims_available_changed(AapZone *zone);
uint64_t aap_claims_pending(const AapZone *zone); /* addresses on their way */
size_t aap_claims_count(const AapZone *zone);
void aap_claims_spans(const AapZone *zone, GArray *spans); /* adds them to a set */
void aap_claims_each_entry(const AapZone *zone, AapEntryFunc func, void *data);

/* ---- aap-prealloc.c, aap-pool.c (3.2.6) ------------------------------------------------------ */

AapPool *aap_pool_new(AapZone *zone);
void aap_pool_free(AapPool *pool);
int64_t aap_pool_due(const AapPool *pool);
void aap_pool_run(AapZone *zone);
void aap_pool_heard(AapZone *zone, MalEndpoint peer, AapType type,
                    const GArray *ranges); /* ACLM, AIU, AITU */
void aap_pool_available_changed(AapZone *zone);
/* Turns up to COUNT established addresses, in as few blocks as may be, into own allocations until
   END. Returns how many. */
uint64_t aap_pool_take(AapZone *zone, uint64_t count, MalTime end);
bool aap_pool_take_span(AapZone *zone, MalSpan span, MalTime end);
void aap_pool_want(AapZone *zone, uint64_t count,
                   MalTime end); /* aap_zone_want, and what comes of it */
void aap_pool_want_span(AapZone *zone, MalSpan span, MalTime end);
void aap_pool_demand_changed(AapZone *zone);
bool aap_pool_is_acquiring(const AapZone *zone);
/* A claim is over: GOT addresses are ours once they are kept, MISSING were lost to others (WHY). */
void aap_pool_claim_ended(AapZone *zone, uint64_t got, uint64_t missing, MalTime end, AapNote why);
/* What is told of own allocations: COUNT came by demand. */
void aap_pool_taken(AapZone *zone, uint64_t count);
/* The choice of COUNT addresses until END for a claim or a preallocation (3.2.7); spans, the caller
   frees. */
GArray *aap_pool_choose(AapZone *zone, uint64_t count, MalTime end, AapRank worst);
/* What END becomes for an own allocation of SPAN: own-lifetime at least, cut at what is
   available. */
MalTime aap_pool_end_for(AapZone *zone, MalSpan span, MalTime end);
void aap_pool_spans(const AapZone *zone, GArray *spans);
void aap_pool_usage(const AapZone *zone, AapZoneUsage *usage);
void aap_pool_each_entry(const AapZone *zone, AapEntryFunc func, void *data);

/* ---- aap-defence.c (3.2.2) ------------------------------------------------------------------- */

AapDefences *aap_defences_new(AapZone *zone);
void aap_defences_free(AapDefences *defences);
int64_t aap_defences_due(const AapDefences *defences);
void aap_defences_run(AapZone *zone);
void aap_defences_heard_claim(AapZone *zone, MalEndpoint peer, uint32_t rseq, const GArray *ranges);
void aap_defences_heard_in_use(AapZone *zone, MalEndpoint peer, const GArray *ranges);
void aap_defences_allocation_ended(AapZone *zone, MalSpan span);
size_t aap_defences_count(const AapDefences *defences);

/* ---- aap-asa.c, aap-asrp.c, aap-ana.c: large scopes (3.2.9, 3.2.10) -------------------------- */

AapSpace *aap_space_new(AapZone *zone);
void aap_space_free(AapSpace *space);
int64_t aap_space_due(const AapSpace *space);
void aap_space_run(AapZone *zone);
void aap_space_started(AapZone *zone);
bool aap_space_restore(AapZone *zone, const uint8_t *payload, size_t length, MalTime received);
void aap_space_heard_asa(AapZone *zone, MalEndpoint peer, const AapMessage *msg,
                         const uint8_t *payload, size_t length);
void aap_space_heard_asrp(AapZone *zone, MalEndpoint peer, const AapMessage *msg);
void aap_space_heard_ana(AapZone *zone, MalEndpoint peer, const AapMessage *msg);
/* COUNT addresses until END could not be allocated: ANA, once for the same unmet demand (3.2.9). */
void aap_space_failed(AapZone *zone, uint64_t count, MalTime end);
/* The available space grew or was extended: requests that it satisfies leave the record. */
void aap_space_available_changed(AapZone *zone);
bool aap_space_is_ready(const AapZone *zone); /* an ASA with an unended range is known */
void aap_space_clock_stepped(AapZone *zone, int64_t delta);
MalTime aap_space_expires(const AapZone *zone);

G_END_DECLS
#endif
