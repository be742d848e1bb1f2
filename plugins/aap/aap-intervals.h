/* Disjoint spans of one family in address order, each with a value: setting a span cuts what it
   overlaps, neighbours with equal values join. Every operation is O(log n) and what it touches;
   addresses are never enumerated. */
#ifndef AAP_INTERVALS_H
#define AAP_INTERVALS_H

#include "core/address.h"

G_BEGIN_DECLS

typedef struct AapIntervals AapIntervals;

/* SIZE octets a value, copied; EQUAL (NULL: memcmp) says which neighbours join. */
AapIntervals *aap_intervals_new(size_t size, bool (*equal)(const void *a, const void *b));
void aap_intervals_free(AapIntervals *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AapIntervals, aap_intervals_free)
void aap_intervals_set(AapIntervals *map, MalSpan span, const void *value);
void aap_intervals_remove(AapIntervals *map, MalSpan span);
void aap_intervals_clear(AapIntervals *map);
size_t aap_intervals_count(const AapIntervals *map);
/* The sum of all sizes, saturating. */
MalU128 aap_intervals_size(const AapIntervals *map);
/* The value at AT, or NULL; SPAN (may be NULL) is its stretch. Valid until the next change. */
void *aap_intervals_at(const AapIntervals *map, MalAddress at, MalSpan *span);
/* The first stretch that ends at or after AT: false where there is none. VALUE may be NULL. */
bool aap_intervals_next(const AapIntervals *map, MalAddress at, MalSpan *span, void **value);
bool aap_intervals_overlaps(const AapIntervals *map, MalSpan span);
/* Stretches that overlap SPAN, cut to it. FUNC may not change the map. */
typedef void (*AapIntervalFunc)(MalSpan span, void *value, void *data);
void aap_intervals_each(const AapIntervals *map, MalSpan span, AapIntervalFunc func, void *data);

/* FUNC hears of each stretch that comes (before it can be found) and goes (while it is there
   still); it may not change the map. For indexes kept beside it. */
typedef void (*AapIntervalsWatch)(MalSpan span, const void *value, bool comes, void *data);
void aap_intervals_watch(AapIntervals *map, AapIntervalsWatch func, void *data);

/* A walk in address order, a step each O(1). Valid until the next change. */
typedef struct {
  GTreeNode *node; /* NULL: behind the last */
} AapCursor;
AapCursor aap_intervals_cursor(const AapIntervals *map, MalAddress at); /* as _next */
/* False: no stretch. Goes on from there with aap_cursor_step. */
bool aap_cursor_get(AapCursor cursor, MalSpan *span, void **value);
void aap_cursor_step(AapCursor *cursor);

/* Whether FIRST is the address right after LAST. */
bool aap_follows(MalAddress last, MalAddress first);
/* What of SPAN lies below AT, or above it; false (OUT untouched): nothing does. */
bool aap_span_below(MalSpan span, MalAddress at, MalSpan *out);
bool aap_span_above(MalSpan span, MalAddress at, MalSpan *out);

/* Sets of spans: sorted, disjoint, not adjacent arrays of MalSpan. */
GArray *aap_spans_new(void);
void aap_spans_add(GArray *spans, MalSpan span); /* union */
void aap_spans_subtract(GArray *spans, MalSpan span);
GArray *aap_spans_intersection(const GArray *a, const GArray *b);
bool aap_spans_equal(const GArray *a, const GArray *b);
/* The first that ends at or after AT. */
bool aap_spans_next(const GArray *spans, MalAddress at, MalSpan *span);
bool aap_spans_overlap(const GArray *a, MalSpan span);
MalU128 aap_spans_size(const GArray *spans);

G_END_DECLS
#endif
