/* The allocator's answers about time: how long, and from when. */
#include "allocator-private.h"

static bool can_be_had(MalAllocator *a, const MalFit *fit, MalTime from, MalTime until,
                       GArray *scratch)
{
  MalFit at = *fit;
  at.from = from;
  at.until = until;
  MalBlock block;
  if (fit->count == 1)
    return mal_allocator_find_run(a, &at, &block);
  g_array_set_size(scratch, 0);
  return mal_allocator_find(a, &at, fit->count, scratch) >= fit->count;
}

/* What is free until an instant is free until every earlier one, so the end can be searched for by
   halving. */
MalTime mal_allocator_longest_until(MalAllocator *a, const MalFit *fit)
{
  g_autoptr(GArray) scratch = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MalTime high = MAL_BEGINNING;
  guint i = mal_range_first_until(a, fit->scope, MAL_BEGINNING);
  for (; i < a->by_until->len && mal_range(a->by_until, i)->scope == fit->scope; i++)
    high = mal_range(a->by_until, i)->until;
  if (high <= fit->from || fit->count == 0)
    return MAL_BEGINNING;
  if (can_be_had(a, fit, fit->from, high, scratch))
    return high;
  MalTime low = fit->from + 1;
  if (!can_be_had(a, fit, fit->from, low, scratch))
    return MAL_BEGINNING;
  for (uint64_t step = 64; (uint64_t)high - (uint64_t)low > step && step < INT64_MAX; step *= 2) {
    MalTime next = low + (int64_t)step;
    if (!can_be_had(a, fit, fit->from, next, scratch)) {
      high = next;
      break;
    }
    low = next;
  }
  while ((uint64_t)high - (uint64_t)low > 1) {
    MalTime middle = low + (int64_t)(((uint64_t)high - (uint64_t)low) / 2);
    if (can_be_had(a, fit, fit->from, middle, scratch))
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* ---- the earliest start ---------------------------------------------------------------------- */

typedef struct {
  MalTime at;
  int64_t change; /* of how many addresses a period can begin on */
} Event;

typedef struct {
  const MalFit *fit;
  MalTime from, latest;
  MalTime until;     /* the range's end */
  uint64_t segments; /* addresses in segments */
  GArray *events;
} Sweep;

/* The end of the asked period when it begins at AT. A period without end has none from anywhere. */
static MalTime end_from(const MalFit *fit, MalTime at)
{
  if (fit->until == MAL_FOREVER)
    return MAL_FOREVER;
  uint64_t length = (uint64_t)fit->until - (uint64_t)fit->from;
  return (uint64_t)MAL_FOREVER - (uint64_t)at < length ? MAL_FOREVER
                                                       : (MalTime)((uint64_t)at + length);
}

/* N addresses are free over [FROM, UNTIL): on which instants can the period begin? */
static void add_starts(Sweep *s, MalTime from, MalTime until, uint64_t n)
{
  from = MAX(from, s->from);
  until = MIN(until, s->until);
  if (from > s->latest || end_from(s->fit, from) > until || n == 0)
    return;
  Event begin = { from, (int64_t)n };
  g_array_append_val(s->events, begin);
  if (until == MAL_FOREVER)
    return;
  uint64_t length = (uint64_t)s->fit->until - (uint64_t)s->fit->from;
  Event end = { (MalTime)((uint64_t)until - length) + 1, -(int64_t)n };
  g_array_append_val(s->events, end);
}

static void sweep_segment(const MalIndex *ix, const MalSegment *segment, MalKeys keys, void *data)
{
  Sweep *s = data;
  uint64_t n = mal_keys_count(keys);
  MalTime at = MAL_BEGINNING;
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(ix, segment, &cursor); b != NULL;
       b = mal_index_next(ix, segment, &cursor)) {
    if (s->fit->ignore_owner != 0 && b->owner == s->fit->ignore_owner &&
        b->plane != MAL_PLANE_RESERVED)
      continue;
    if (b->from > at)
      add_starts(s, at, b->from, n);
    at = MAX(at, b->until);
  }
  if (at < MAL_FOREVER)
    add_starts(s, at, MAL_FOREVER, n);
  s->segments += n;
}

static gint compare_events(gconstpointer a, gconstpointer b)
{
  const Event *x = a, *y = b;
  return x->at < y->at ? -1 : x->at > y->at;
}

/* Several addresses: the instants at which enough of them can begin, in order. Addresses of two
   pieces that share an Ethernet group were counted twice, so each instant is proven before it is
   believed. */
static MalTime earliest_of_many(MalAllocator *a, const MalFit *fit, Sweep *s)
{
  g_autoptr(GArray) scratch = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  g_array_sort(s->events, compare_events);
  int64_t n = 0;
  for (guint i = 0; i < s->events->len;) {
    MalTime at = g_array_index(s->events, Event, i).at;
    bool more = false;
    for (; i < s->events->len && g_array_index(s->events, Event, i).at == at; i++) {
      n += g_array_index(s->events, Event, i).change;
      more |= g_array_index(s->events, Event, i).change > 0;
    }
    if (more && n >= (int64_t)fit->count && can_be_had(a, fit, at, end_from(fit, at), scratch))
      return at;
  }
  return MAL_FOREVER;
}

static MalTime earliest_of_one(MalAllocator *a, const Sweep *s, const OwnedRange *range,
                               const Piece *piece)
{
  View view = grant_view(a);
  MalQuery q = {
    .within = mal_view_keys(view, piece->plane, piece->first, piece->more),
    .from = s->from,
    .until = end_from(s->fit, s->from),
    .ignore = s->fit->ignore_owner,
  };
  MalTime at = mal_index_earliest(mal_view_index(a, view, piece->plane), &q);
  return at <= s->latest && at != MAL_FOREVER && end_from(s->fit, at) <= range->until ? at
                                                                                      : MAL_FOREVER;
}

MalTime mal_allocator_earliest(MalAllocator *a, const MalFit *fit, MalTime latest)
{
  if (fit->count == 0 || fit->from >= fit->until || latest <= fit->from)
    return MAL_FOREVER;
  g_autoptr(GArray) events = g_array_new(FALSE, FALSE, sizeof(Event));
  Sweep s = { .fit = fit, .from = fit->from + 1, .latest = latest, .events = events };
  View view = grant_view(a);
  MalTime best = MAL_FOREVER;
  guint i = mal_range_first_until(a, fit->scope, end_from(fit, s.from));
  for (; i < a->by_until->len && mal_range(a->by_until, i)->scope == fit->scope; i++) {
    const OwnedRange *range = mal_range(a->by_until, i);
    for (guint k = 0; k < range->pieces->len; k++) {
      const Piece *piece = mal_piece(range->pieces, k);
      if (fit->count == 1) {
        best = MIN(best, earliest_of_one(a, &s, range, piece));
        continue;
      }
      s.until = range->until;
      s.segments = 0;
      mal_index_walk(mal_view_index(a, view, piece->plane),
                     mal_view_keys(view, piece->plane, piece->first, piece->more), sweep_segment,
                     &s);
      add_starts(&s, MAL_BEGINNING, MAL_FOREVER, (uint64_t)piece->more + 1 - s.segments);
    }
  }
  return fit->count == 1 ? best : earliest_of_many(a, fit, &s);
}
