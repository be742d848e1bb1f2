/* The record's inside: interval maps over addresses, each with an index of what ends first, so that
   expiry and the choice of a victim never scan. */
#ifndef AAP_RECORD_PRIVATE_H
#define AAP_RECORD_PRIVATE_H

#include "aap-record.h"

G_BEGIN_DECLS

/* What ends when: a tree of (instant, key). Ties go by key. */
typedef GTree AapEnds;
AapEnds *aap_ends_new(void);
void aap_ends_add(AapEnds *ends, int64_t when, MalU128 key);
void aap_ends_remove(AapEnds *ends, int64_t when, MalU128 key);
bool aap_ends_first(const AapEnds *ends, int64_t *when, MalU128 *key);

typedef struct {
  MalTime end;
  MalTime told; /* the end that aap_record_changes said last, or will say */
  int64_t heard;
  MalEndpoint peer;
} AapForeign;

/* What one AITU intends: the extents of (PEER, RSEQ), sorted and disjoint. */
typedef struct {
  MalEndpoint peer;
  uint32_t rseq;
  uint64_t serial;  /* in order of making: what is shown goes by it */
  int64_t heard;
  MalTime first_end; /* as it stands in the index */
  GArray *extents;  /* AapExtent */
} AapIntent;

/* So many intents are known of one address; of more, the one heard longest ago loses it. */
#define AAP_INTENTS 4

/* The intents of a stretch by serial, the rest NULL. */
typedef struct {
  AapIntent *by[AAP_INTENTS];
} AapIntents;

/* So many stretches are kept of one request: what its ranges leave between allocations. Who chose
   them among what is free has as many as ranges. */
#define AAP_INTENT_EXTENTS 4096

/* ANA of one sender, and in all: each is one unmet demand, and a report has room for 40. */
#define AAP_REQUESTS_MAX 1024
#define AAP_REQUESTS_PEER 128

struct AapRecord {
  MalFamily family;
  const AapParams *params;
  bool limited;      /* aap_record_set_available was called */
  GArray *available; /* AapExtent */

  AapIntervals *foreign; /* AapForeign */
  AapEnds *foreign_ends;
  MalU128 foreign_addresses;
  AapIntervals *changed; /* of what the store should hear; the value says nothing */

  GTree *intents;        /* AapIntent by (peer, rseq) */
  AapEnds *intent_ends;  /* by serial */
  GHashTable *serials;   /* serial -> AapIntent */
  AapIntervals *intended; /* AapIntents */
  uint64_t next_serial;
  size_t n_extents;
  MalU128 intended_addresses;

  AapIntervals *claimed; /* int64_t: heard */
  AapEnds *claimed_ends;
  AapIntervals *ended; /* MalTime: the end */
  AapEnds *ended_ends;
  GArray *requests; /* AapDemand */
};

/* Where entries stand when the record is full: one may displace those of lesser worth, and claims
   and ended ones their own kind. */
typedef enum {
  AAP_WORTH_CLAIMED,
  AAP_WORTH_ENDED,
  AAP_WORTH_REQUEST,
  AAP_WORTH_INTENDED,
  AAP_WORTH_FOREIGN,
} AapWorth;
size_t aap_record_entries(const AapRecord *record);
/* Drops what is worth less than WORTH until GROWTH more entries fit; false: they don't. */
bool aap_record_make_room(AapRecord *record, AapWorth worth, size_t growth);

/* The end of the available range with AT, MAL_BEGINNING outside them; LAST: how far that holds. */
MalTime aap_record_limit_at(const AapRecord *record, MalAddress at, MalAddress *last);
/* Cuts SPAN at the available ranges and calls FUNC for what has not ended. */
void aap_record_show(const AapRecord *record, MalSpan span, MalTime end, MalEndpoint peer,
                     int64_t heard, AapNow now, AapForeignFunc func, void *data);
/* The last address of the family. */
MalAddress aap_record_top(const AapRecord *record);

void aap_foreign_init(AapRecord *record);
void aap_foreign_free(AapRecord *record);
void aap_foreign_expire(AapRecord *record, AapNow now, AapForeignFunc func, void *data);
void aap_foreign_shift(AapRecord *record, int64_t delta);
void aap_foreign_check(const AapRecord *record);

void aap_intents_init(AapRecord *record);
void aap_intents_free(AapRecord *record);
void aap_intents_expire(AapRecord *record, AapNow now);
void aap_intents_shift(AapRecord *record, int64_t delta);
/* SPAN is allocated now: nobody intends it any more. */
void aap_intents_lose(AapRecord *record, MalSpan span);
bool aap_intents_drop_first(AapRecord *record);
/* The latest heard of those that intend AT and have not ended; false: none. Of a stretch of
   record->intended; LAST is lowered to where that holds. */
bool aap_intents_heard(const AapIntents *intents, MalAddress at, MalTime now, int64_t *heard,
                       MalAddress *last);
void aap_intents_check(const AapRecord *record);

/* Claims and ended allocations: what the choice avoids for a while. */
void aap_avoided_init(AapRecord *record);
void aap_avoided_free(AapRecord *record);
void aap_avoided_expire(AapRecord *record, AapNow now);
void aap_avoided_shift(AapRecord *record, int64_t delta);
bool aap_avoided_drop_first(AapRecord *record, AapWorth worth);

void aap_requests_expire(AapRecord *record, AapNow now);

/* END later by DELTA, within what the wire can say; "for ever" stays. */
MalTime aap_record_shifted(MalTime end, int64_t delta);

G_END_DECLS
#endif
