/* The Allocation Record of one scope: what others said (draft-ietf-malloc-aap-04 3.2.1). Own
   allocations, claims and preallocations are kept by their machines. All times are adjusted to our
   clock already (5.3.1); entries are kept as received, the effective end (what the available space
   leaves of them) is computed at each use. */
#ifndef AAP_RECORD_H
#define AAP_RECORD_H

#include "aap-intervals.h"
#include "aap-params.h"

G_BEGIN_DECLS

typedef struct AapRecord AapRecord;

AapRecord *aap_record_new(MalFamily family, const AapParams *params);
void aap_record_free(AapRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AapRecord, aap_record_free)

/* What may be used, with ends: effective ends are cut by it. Sorted, disjoint; copied. Until the
   first call nothing is cut, and all is available for ever. */
void aap_record_set_available(AapRecord *record, const AapExtent *ranges, size_t n);
/* The latest until when SPAN as a whole is available; MAL_BEGINNING where a part of it isn't. */
MalTime aap_record_available_until(const AapRecord *record, MalSpan span);

/* AIU: an unended range is a foreign allocation with this end, replacing any earlier one, and takes
   the addresses out of all foreign preallocations; an ended one deletes the allocation (3.2.8).
   False: the record is full and the entry was dropped (or not deleted, where that would cut another
   in two). Full: what is only avoided (claims, ended ones) goes first, then requests, then
   preallocations, those that end soonest; then new allocations are refused. What is worth less
   never displaces what is worth more. */
bool aap_record_in_use(AapRecord *record, MalEndpoint peer, const AapExtent *range, AapNow now);
/* AITU of (PEER, RSEQ): these ranges, unended, without what is known as allocated, are all that it
   preallocates from now on; none: it withdrew. RANGES are sorted and disjoint. Of more than four
   that intend one address those heard last are known. */
bool aap_record_intend(AapRecord *record, MalEndpoint peer, uint32_t rseq, const AapExtent *ranges,
                       size_t n, AapNow now);
/* ACLM: avoided for claim-memory. */
bool aap_record_claimed(AapRecord *record, MalEndpoint peer, uint32_t rseq, const AapExtent *ranges,
                        size_t n, AapNow now);
/* An allocation of ours or of another ended at END: no new one for reuse-guard. (Foreign ones: by
   itself.) */
void aap_record_ended(AapRecord *record, MalSpan span, MalTime end);
/* As stored. */
void aap_record_restore(AapRecord *record, MalSpan span, MalTime end, MalEndpoint peer);

/* The unended foreign allocations in SPAN, cut to it, with effective ends. */
typedef void (*AapForeignFunc)(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard,
                               void *data);
void aap_record_foreign(const AapRecord *record, MalSpan span, AapNow now, AapForeignFunc func,
                        void *data);
/* Foreign preallocations in SPAN (one call for each of the peers that intend an address). */
void aap_record_foreign_preallocated(const AapRecord *record, MalSpan span, AapNow now,
                                     AapForeignFunc func, void *data);
bool aap_record_is_foreign(const AapRecord *record, MalSpan span, AapNow now);

/* Choice (3.2.7): how an address stands. */
typedef enum {
  AAP_RANK_FREE, /* neither allocated nor preallocated by another, not claimed, not ended lately */
  AAP_RANK_GUARDED, /* as FREE, but claimed by another just now, or ended lately */
  AAP_RANK_RECENT,  /* preallocated by another that announced it recently */
  AAP_RANK_SILENT,  /* preallocated by another that has been silent */
  AAP_RANK_TAKEN,   /* allocated by another */
} AapRank;
/* Stretches of SPAN with one rank each, in address order, covering all of it. */
typedef void (*AapRankFunc)(MalSpan span, AapRank rank, void *data);
void aap_record_ranks(const AapRecord *record, MalSpan span, AapNow now, AapRankFunc func,
                      void *data);

/* Address requests (ANA, 3.2.9). True: new. The same (peer, rseq) with other values replaces the
   old one, as the newest. PEER NONE: ours. At most 1,024, and 128 of one peer. */
bool aap_record_request(AapRecord *record, MalEndpoint peer, uint32_t rseq, uint64_t count,
                        MalTime end, AapNow now);
void aap_record_drop_request(AapRecord *record, MalEndpoint peer, uint32_t rseq);
typedef struct {
  MalEndpoint peer;
  uint32_t rseq;
  uint64_t count;
  MalTime end;
} AapDemand;
/* In order of arrival: borrowed array of AapDemand, valid until the next change. */
const GArray *aap_record_requests(const AapRecord *record);
/* Drops the requests that the available space now satisfies, given how many addresses are allocated
   in each available range (ALLOCATED[i], ours included). Calls FUNC for each dropped. */
void aap_record_satisfy(AapRecord *record, const uint64_t *allocated, AapNow now,
                        void (*func)(const AapDemand *request, void *data), void *data);

/* Entries whose end came go (SHOULD, 3.2.1); FUNC hears of ended foreign allocations. The next
   instant at which one will. */
void aap_record_expire(AapRecord *record, AapNow now, AapForeignFunc func, void *data);
MalTime aap_record_due(const AapRecord *record);
void aap_record_clock_stepped(AapRecord *record, int64_t delta);
/* As aap_zone_foreign_changes. An end that moved by no more than end_tolerance_s since it was told
   is no change: each repetition is off by a second of transit or rounding. */
void aap_record_changes(AapRecord *record,
                        void (*func)(MalSpan span, MalTime end, MalEndpoint peer, void *data),
                        void *data);
bool aap_record_has_changes(const AapRecord *record);

typedef struct {
  size_t foreign, preallocated, claimed, ended, requests;
  uint64_t foreign_addresses, preallocated_addresses;
} AapRecordSize;
AapRecordSize aap_record_size(const AapRecord *record);
void aap_record_check(const AapRecord *record);

/* ---- the choice (aap-choose.c, 3.2.7) -------------------------------------------------------- */

typedef struct {
  const AapRecord *record;
  const AapExtent *available; /* sorted, disjoint */
  size_t n_available;
  const GArray *excluded; /* spans: never */
  const GArray *ours;   /* spans: own allocations, preallocations, claims on their way: not again */
  const GArray *beside; /* spans that neighbours are preferred of (own allocations) */
  const GArray *avoid;  /* spans that are taken only where nothing else is left; NULL: none */
  MalTime end;   /* wanted: the available range must last that long (less tolerance: exactly END) */
  AapRank worst; /* claims: SILENT; preallocations: GUARDED */
  uint64_t (*random)(void *user, uint64_t low, uint64_t high);
  void *user;
} AapChoice;
/* Appends to SPANS (array of MalSpan, sorted, disjoint) COUNT addresses or as many as there are:
   what is not avoided first, of that the best rank, inside it the range with the shortest end that
   suffices for all of COUNT, in it one contiguous block if there is one, else the fewest; beside
   what is ours, else at random. A rank is mixed with the next, and a range with the one that lasts
   longer, only where it can't supply all. Returns how many. O(n) in the entries of the record. */
uint64_t aap_choose(const AapChoice *choice, uint64_t count, AapNow now, GArray *spans);

G_END_DECLS
#endif
