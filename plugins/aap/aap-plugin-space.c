/* Between zones and the core's address space. What a zone says is ours (served->ours) is what the
   owned level holds, no more and no longer: a range of it that we lost a part of, or extended a
   part of, is split there. */
#include "aap-plugin.h"

#include "aap-time.h"

#include <string.h>

#define PIECES_MOST 64

/* ---- the levels ------------------------------------------------------------------------------ */

static bool is_ours(const AapServed *served, const MalRange *range)
{
  return strcmp(range->source, served->aap->host.name) == 0;
}

static void append(const MalRange *range, void *data)
{
  g_array_append_vals(data, range, 1);
}

/* Ranges of LEVEL in SPAN of this scope, copied: names go with the next change. */
static GArray *ranges_in(const AapServed *served, MalLevel level, MalSpan span)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalRange));
  mal_space_each(served->aap->host.space, level, served->scope, span, append, out);
  return out;
}

static char *name_of(const AapServed *served, MalAddress first)
{
  char text[MAL_ADDRESS_STRLEN];
  char *name = g_strdup_printf("%s-%s", served->aap->host.name, mal_address_format(first, text));
  return g_strdelimit(name, ":", '.');
}

/* What is made available here gives way to configuration. */
static bool add_range(AapServed *served, MalLevel level, MalSpan span, MalTime until)
{
  g_autoptr(GError) error = NULL;
  const MalHost *host = &served->aap->host;
  g_autofree char *name = name_of(served, span.first);
  const char *scope = served->scope->id;
  if (level == MAL_LEVEL_AVAILABLE
          ? mal_space_add_stand_in(host->space, scope, span, until, name, host->name, &error)
          : mal_space_add(host->space, level, scope, span, until, name, host->name, &error))
    return true;
  mal_event(host->events, &aap_event_space, NULL, 0, "%s", error->message);
  return false;
}

/* ---- available ------------------------------------------------------------------------------- */

typedef void (*PieceFunc)(MalSpan piece, void *data);

/* The parts of SPAN that may be allocated at all. */
static void each_piece(const MalScope *scope, MalSpan span, PieceFunc func, void *data)
{
  MalSpan piece;
  for (unsigned n = 0; n < PIECES_MOST && aap_scope_clip(scope, span, &piece); n++) {
    func(piece, data);
    if (mal_address_compare(piece.last, span.last) >= 0 ||
        !mal_address_add(piece.last, 1, &span.first))
      break;
  }
}

/* Adds what isn't there of SPAN. */
static void add_left(AapServed *served, MalLevel level, MalSpan span, MalTime until)
{
  g_autoptr(GArray) there = ranges_in(served, level, span);
  g_autoptr(GArray) left = aap_spans_new();
  aap_spans_add(left, span);
  for (guint i = 0; i < there->len; i++)
    aap_spans_subtract(left, g_array_index(there, MalRange, i).span);
  for (guint i = 0; i < left->len; i++)
    add_range(served, level, g_array_index(left, MalSpan, i), until);
}

static void make_available(MalSpan piece, void *data)
{
  add_left(data, MAL_LEVEL_AVAILABLE, piece, MAL_FOREVER);
}

/* A small scope of which nothing is configured is available as a whole (3.2.10); after a reload
   something may be, or nothing any more. */
void aap_space_prepare(AapServed *served)
{
  if (served->prepared || served->zone == NULL || served->scope->divisible)
    return;
  served->prepared = true;
  g_autoptr(GArray) there = ranges_in(served, MAL_LEVEL_AVAILABLE, served->scope->span);
  bool others = false;
  for (guint i = 0; i < there->len; i++)
    others = others || !is_ours(served, &g_array_index(there, MalRange, i));
  if (!others)
    each_piece(served->scope, served->scope->span, make_available, served);
  for (guint i = 0; others && i < there->len; i++)
    if (is_ours(served, &g_array_index(there, MalRange, i)))
      mal_space_remove(served->aap->host.space, MAL_LEVEL_AVAILABLE,
                       g_array_index(there, MalRange, i).span.first, NULL);
}

void aap_space_changed(MalSpaceChange what, const MalRange *range, void *data)
{
  Aap *aap = data;
  (void)what;
  AapServed *served =
      range->level == MAL_LEVEL_AVAILABLE ? aap_served_find(aap, range->scope->id) : NULL;
  if (served == NULL)
    return;
  served->available_changed = true;
  aap_wake(aap);
}

/* What others than AAP made available, as spans. */
static GArray *configured(const AapServed *served)
{
  g_autoptr(GArray) ranges = ranges_in(served, MAL_LEVEL_AVAILABLE, served->scope->span);
  GArray *out = aap_spans_new();
  for (guint i = 0; i < ranges->len; i++)
    if (!is_ours(served, &g_array_index(ranges, MalRange, i)))
      aap_spans_add(out, g_array_index(ranges, MalRange, i).span);
  return out;
}

/* What was announced where nothing is configured, unended: array of AapExtent. */
static GArray *announced(const AapServed *served)
{
  g_autoptr(GArray) taken = configured(served);
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  MalTime now = aap_now(served->aap).wall;
  for (guint i = 0; i < served->asa->len; i++) {
    AapExtent extent = g_array_index(served->asa, AapExtent, i);
    g_autoptr(GArray) left = aap_spans_new();
    if (aap_time_ended(extent.end, now) || !mal_span_contains(served->scope->span, extent.span))
      continue;
    aap_spans_add(left, extent.span);
    for (guint k = 0; k < taken->len; k++)
      aap_spans_subtract(left, g_array_index(taken, MalSpan, k));
    for (guint k = 0; k < left->len; k++) {
      AapExtent part = { g_array_index(left, MalSpan, k),
                         extent.end >= AAP_TIME_MAX ? MAL_FOREVER : extent.end };
      g_array_append_val(out, part);
    }
  }
  return out;
}

/* One of our ranges stays as long as any of it is announced or owned; the zone knows what of it it
   may use. */
static void keep_or_remove(AapServed *served, const MalRange *range, const GArray *wanted)
{
  MalSpace *space = served->aap->host.space;
  MalTime until = MAL_BEGINNING;
  g_autoptr(GArray) left = aap_spans_new();
  aap_spans_add(left, range->span);
  for (guint i = 0; i < wanted->len; i++) {
    const AapExtent *extent = &g_array_index(wanted, AapExtent, i);
    if (!mal_span_overlaps(extent->span, range->span))
      continue;
    until = MAX(until, extent->end);
    aap_spans_subtract(left, extent->span);
  }
  g_autoptr(GArray) owned = ranges_in(served, MAL_LEVEL_OWNED, range->span);
  if (until == MAL_BEGINNING || (left->len > 0 && owned->len == 0))
    mal_space_remove(space, MAL_LEVEL_AVAILABLE, range->span.first, NULL);
  else if (until != range->until)
    mal_space_set_until(space, MAL_LEVEL_AVAILABLE, range->span.first, until, NULL);
}

static void sync_announced(AapServed *served)
{
  g_autoptr(GArray) wanted = announced(served);
  g_autoptr(GArray) before = ranges_in(served, MAL_LEVEL_AVAILABLE, served->scope->span);
  for (guint i = 0; i < before->len; i++)
    if (is_ours(served, &g_array_index(before, MalRange, i)))
      keep_or_remove(served, &g_array_index(before, MalRange, i), wanted);
  for (guint i = 0; i < wanted->len; i++) {
    const AapExtent *extent = &g_array_index(wanted, AapExtent, i);
    add_left(served, MAL_LEVEL_AVAILABLE, extent->span, extent->end);
  }
}

/* Ends that moved by transit and rounding are the same. */
static bool is_same(const AapServed *served, const AapExtent *ranges, size_t n)
{
  bool same = served->asa->len == n;
  for (guint i = 0; same && i < n; i++) {
    const AapExtent *old = &g_array_index(served->asa, AapExtent, i);
    same = mal_address_equal(old->span.first, ranges[i].span.first) &&
           mal_address_equal(old->span.last, ranges[i].span.last) &&
           aap_time_same(old->end, ranges[i].end, served->aap->params.end_tolerance_s);
  }
  return same;
}

void aap_space_set_asa(AapServed *served, const AapExtent *ranges, size_t n)
{
  if (is_same(served, ranges, n))
    return;
  g_array_set_size(served->asa, 0);
  g_array_append_vals(served->asa, ranges, (guint)n);
  sync_announced(served);
  served->available_changed = true;
}

typedef struct {
  GArray *extents;
  MalTime end;
} Pieces;

static void add_piece(MalSpan piece, void *data)
{
  Pieces *pieces = data;
  AapExtent extent = { piece, pieces->end };
  g_array_append_val(pieces->extents, extent);
}

static int by_first(const void *a, const void *b)
{
  return mal_address_compare(((const AapExtent *)a)->span.first,
                             ((const AapExtent *)b)->span.first);
}

/* Of a large scope our own ranges in the core may be larger than what is announced: the zone hears
   what is. */
void aap_space_tell_available(AapServed *served)
{
  if (served->scope->divisible)
    sync_announced(served);
  Pieces pieces = { g_array_new(FALSE, FALSE, sizeof(AapExtent)), 0 };
  g_autoptr(GArray) extents = pieces.extents;
  g_autoptr(GArray) ranges = ranges_in(served, MAL_LEVEL_AVAILABLE, served->scope->span);
  served->available_changed = false;
  for (guint i = 0; i < ranges->len; i++) {
    const MalRange *range = &g_array_index(ranges, MalRange, i);
    pieces.end = range->until;
    if (!served->scope->divisible || !is_ours(served, range))
      each_piece(served->scope, range->span, add_piece, &pieces);
  }
  g_autoptr(GArray) more = announced(served);
  for (guint i = 0; i < more->len; i++) {
    pieces.end = g_array_index(more, AapExtent, i).end;
    each_piece(served->scope, g_array_index(more, AapExtent, i).span, add_piece, &pieces);
  }
  g_array_sort(extents, by_first);
  if (served->zone != NULL)
    aap_zone_set_available(served->zone, (const AapExtent *)(void *)extents->data, extents->len,
                           aap_now(served->aap));
}

/* ---- excluded -------------------------------------------------------------------------------- */

/* Switches flood these groups everywhere: they share Ethernet addresses with 224.0.0.0/24. */
static void add_flooded(GArray *spans, MalSpan scope)
{
  const uint32_t period = UINT32_C(1) << 23;
  uint64_t first = (uint64_t)scope.first.value, last = (uint64_t)scope.last.value;
  for (uint64_t base = first - first % period; base <= last; base += period) {
    MalSpan span = { mal_address_ipv4((uint32_t)base), mal_address_ipv4((uint32_t)base + 255) };
    g_array_append_val(spans, span);
  }
}

static void add_planned(const AapServed *served, GArray *spans)
{
  g_autoptr(MalPlan) plan = mal_plan_from_config(served->aap->config, NULL);
  for (guint i = 0; plan != NULL && i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    if (r->excludes != NULL && r->excludes->len > 0)
      g_array_append_vals(spans, r->excludes->data, r->excludes->len);
  }
}

void aap_space_tell_excluded(AapServed *served)
{
  g_autoptr(GArray) all = mal_leases_reserved(served->aap->host.leases);
  g_autoptr(GArray) mine = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  const GArray *places = served->aap->places;
  add_planned(served, all);
  if (served->scope->span.first.family == MAL_IPV4)
    add_flooded(all, served->scope->span);
  for (guint i = 0; i < places->len; i++) {
    MalAddress group = g_array_index(places, AapPlace, i).group;
    MalSpan span = { group, group };
    g_array_append_val(all, span);
  }
  for (guint i = 0; i < all->len; i++) {
    MalSpan span = g_array_index(all, MalSpan, i), part;
    if (span.first.family == served->scope->span.first.family &&
        mal_span_intersect(span, served->scope->span, &part))
      g_array_append_val(mine, part);
  }
  if (served->zone != NULL)
    aap_zone_set_excluded(served->zone, (const MalSpan *)(void *)mine->data, mine->len,
                          aap_now(served->aap));
}

/* ---- owned ----------------------------------------------------------------------------------- */

static void add_missing(AapServed *served, MalSpan span)
{
  g_autoptr(GArray) outer = ranges_in(served, MAL_LEVEL_AVAILABLE, span);
  for (guint i = 0; i < outer->len; i++) {
    const MalRange *range = &g_array_index(outer, MalRange, i);
    MalSpan part, stretch;
    void *value;
    MalAddress at;
    mal_span_intersect(range->span, span, &part);
    at = part.first;
    while (mal_address_compare(at, part.last) <= 0 &&
           aap_intervals_next(served->ours, at, &stretch, &value) &&
           mal_span_intersect(stretch, part, &stretch)) {
      add_left(served, MAL_LEVEL_OWNED, stretch, MIN(*(const MalTime *)value, range->until));
      if (!mal_address_add(stretch.last, 1, &at))
        break;
    }
  }
}

/* The longest part from the beginning of SPAN of which all is ours until one END, or nothing is
   (MAL_BEGINNING). */
static MalSpan first_part(const AapServed *served, MalSpan span, MalTime *end)
{
  MalSpan stretch;
  void *value;
  *end = MAL_BEGINNING;
  if (!aap_intervals_next(served->ours, span.first, &stretch, &value) ||
      !mal_span_intersect(stretch, span, &stretch))
    return span;
  if (mal_address_equal(stretch.first, span.first)) {
    *end = *(const MalTime *)value;
    return stretch;
  }
  mal_address_sub(stretch.first, 1, &span.last);
  return span;
}

static void fit_part(const AapServed *served, MalAddress first, MalTime end)
{
  MalSpace *space = served->aap->host.space;
  const MalRange *outer = mal_space_containing(space, MAL_LEVEL_AVAILABLE, first);
  if (end == MAL_BEGINNING)
    mal_space_remove(space, MAL_LEVEL_OWNED, first, NULL);
  else
    mal_space_set_until(space, MAL_LEVEL_OWNED, first,
                        outer != NULL ? MIN(end, outer->until) : end, NULL);
}

/* What was adjacent and had one end may have come in as one range. */
static void fit_range(const AapServed *served, MalSpan rest)
{
  const MalHost *host = &served->aap->host;
  for (;;) {
    MalTime end;
    MalAddress after;
    MalSpan part = first_part(served, rest, &end);
    bool more = !mal_address_equal(part.last, rest.last) && mal_address_add(part.last, 1, &after);
    if (more) {
      g_autofree char *name = name_of(served, after);
      mal_space_split_owned(host->space, after, name, host->name);
    }
    fit_part(served, rest.first, end);
    if (!more)
      return;
    rest.first = after;
  }
}

/* WANTED is all that the engine is to keep from new clients. */
static void set_blocked(AapServed *served, GArray *wanted)
{
  mal_leases_suspend_instead(served->aap->host.leases, wanted, served->blocked);
  g_array_unref(served->blocked);
  served->blocked = g_array_ref(wanted);
}

void aap_space_fit_suspended(AapServed *served)
{
  g_autoptr(GArray) wanted = g_array_copy(served->suspended);
  served->suspended_changed = false;
  set_blocked(served, wanted);
}

void aap_space_unblock(AapServed *served)
{
  g_autoptr(GArray) none = aap_spans_new();
  set_blocked(served, none);
}

/* What was lost in between is ours again, or parts last as long as each other now: leases may go
   across. */
static void join_ranges(const AapServed *served, MalSpan span)
{
  const MalHost *host = &served->aap->host;
  MalSpan stretch;
  mal_address_sub(span.first, 1, &span.first);
  mal_address_add(span.last, 1, &span.last);
  g_autoptr(GArray) owned = ranges_in(served, MAL_LEVEL_OWNED, span);
  for (guint i = 1; i < owned->len; i++) {
    MalAddress at = g_array_index(owned, MalRange, i).span.first;
    if (aap_intervals_at(served->ours, at, &stretch) != NULL &&
        !mal_address_equal(stretch.first, at))
      mal_space_join_owned(host->space, at, host->name);
  }
}

void aap_space_fit(AapServed *served, MalSpan span)
{
  g_autoptr(GArray) owned = ranges_in(served, MAL_LEVEL_OWNED, span);
  for (guint i = 0; i < owned->len; i++)
    if (is_ours(served, &g_array_index(owned, MalRange, i)))
      fit_range(served, g_array_index(owned, MalRange, i).span);
  add_missing(served, span);
  join_ranges(served, span);
}

void aap_space_gone(AapServed *served, MalSpan span)
{
  aap_intervals_remove(served->ours, span);
  aap_space_fit(served, span);
}

/* While leases are read from the store nothing may be written: the zone takes it over at the
   start. */
bool aap_space_adopt(Aap *aap, const MalScope *scope, MalSpan span, MalTime until)
{
  AapServed *served = aap_served_find(aap, scope->id);
  if (served == NULL || served->zone == NULL)
    return false;
  aap_space_prepare(served);
  aap_space_fit(served, span);
  if (mal_space_covers(aap->host.space, MAL_LEVEL_OWNED, scope, span, until))
    return true;
  MalTime end = MAX(until, mal_time_add(aap_now(aap).wall, aap->params.own_lifetime_s));
  g_autoptr(GArray) outer = ranges_in(served, MAL_LEVEL_AVAILABLE, span);
  for (guint i = 0; i < outer->len; i++)
    end = MIN(end, g_array_index(outer, MalRange, i).until);
  if (end < until)
    return false;
  AapExtent extent = { span, end };
  g_array_append_val(served->adopting, extent);
  aap_intervals_set(served->ours, span, &end);
  aap_space_fit(served, span);
  return mal_space_covers(aap->host.space, MAL_LEVEL_OWNED, scope, span, until);
}
