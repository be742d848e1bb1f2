/* The pool, inside: shared by aap-prealloc.c and aap-pool.c only. */
#ifndef AAP_POOL_H
#define AAP_POOL_H

#include "aap-zone-private.h"

/* One request of AITU (3.2.6). */
typedef struct {
  GArray *spans; /* MalSpan, a set */
  MalTime end;
  uint32_t rseq;
  uint8_t mseq;
  bool established;
  unsigned sent; /* in this round */
  int64_t interval, resend, establish;
  unsigned losses;  /* since it was last established */
  uint64_t missing; /* lost, and others are to take their place at RESEND; 0: SPANS are announced */
} AapPrealloc;

struct AapPool {
  AapSequence *sequence;
  GPtrArray *preallocs; /* AapPrealloc, owned */
  GHashTable *peers;    /* sender as text -> when last heard */
  GHashTable *idle;     /* first address of an own block -> looks that saw no lease in it */

  uint64_t wanted; /* by all that wait, until WANTED_END */
  MalTime wanted_end;
  GArray *wanted_spans; /* AapExtent: wanted while it was listening */
  double hour;          /* addresses taken, decaying with one hour */
  int64_t hour_at;
  int64_t losses_since; /* of preallocations, in one resend-wait */
  unsigned losses;
  int64_t look; /* when to look at pool and blocks again */
};

void aap_prealloc_free(void *prealloc);
/* Begins one of up to COUNT addresses; how many it got. */
uint64_t aap_prealloc_begin(AapZone *zone, uint64_t count);
/* Lets one go whose addresses aren't needed, and says so. */
void aap_prealloc_withdraw(AapZone *zone, AapPrealloc *prealloc);
/* Takes SPAN out of those that have a part of it. */
void aap_prealloc_release(AapZone *zone, MalSpan span);
int64_t aap_prealloc_due(const AapPool *pool);
void aap_prealloc_run(AapZone *zone);
void aap_prealloc_heard(AapZone *zone, const GArray *ranges);
void aap_prealloc_available_changed(AapZone *zone);
void aap_prealloc_sizes(const AapZone *zone, uint64_t *established, uint64_t *tentative);

#endif
