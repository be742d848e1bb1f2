/* What the allocator says about itself: why nothing fits, the map, figures, and the check of its
   own state. */
#include "allocator-private.h"

/* ---- shortage -------------------------------------------------------------------------------- */

typedef struct {
  const MalFit *fit;
  uint32_t plane;
  uint64_t leased, shared;
} Shortfall;

static void count_segment(const MalIndex *ix, const MalSegment *segment, MalKeys keys, void *data)
{
  Shortfall *s = data;
  bool leased = false, shared = false;
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(ix, segment, &cursor); b != NULL;
       b = mal_index_next(ix, segment, &cursor)) {
    bool ignored = s->fit->ignore_owner != 0 && b->owner == s->fit->ignore_owner &&
                   b->plane != MAL_PLANE_RESERVED;
    if (ignored || b->from >= s->fit->until || b->until <= s->fit->from)
      continue;
    leased |= b->plane == s->plane;
    shared |= b->plane != s->plane;
  }
  if (leased)
    s->leased += mal_keys_count(keys);
  else if (shared)
    s->shared += mal_keys_count(keys);
}

static void count_piece(MalAllocator *a, const MalFit *fit, const Piece *piece, MalShortage *out)
{
  View view = has_view(a, VIEW_GROUPS) ? VIEW_GROUPS : VIEW_ADDRESSES;
  Shortfall s = { .fit = fit, .plane = piece->plane };
  mal_index_walk(mal_view_index(a, view, piece->plane),
                 mal_view_keys(view, piece->plane, piece->first, piece->more), count_segment, &s);
  /* The tree of addresses keeps IPv4 in one: there, another plane is never met. */
  out->leased += s.leased;
  out->free += (uint64_t)piece->more + 1 - s.leased;
  out->free_ethernet += s.shared;
  MalQuery q = { .within = mal_view_keys(grant_view(a), piece->plane, piece->first, piece->more),
                 .from = fit->from,
                 .until = fit->until,
                 .ignore = fit->ignore_owner };
  uint64_t run = mal_index_longest_run(mal_view_index(a, grant_view(a), piece->plane), &q);
  out->longest_run = (uint32_t)MAX(out->longest_run, MIN(run, UINT32_MAX));
}

void mal_allocator_shortage(MalAllocator *a, const MalFit *fit, MalShortage *out)
{
  *out = (MalShortage){ 0 };
  for (guint i = 0; i < a->by_first->len; i++) {
    const OwnedRange *range = mal_range(a->by_first, i);
    if (range->scope != fit->scope)
      continue;
    out->owned += range->n_usable;
    if (range->until < fit->until) {
      out->ends_too_early += range->n_usable;
      continue;
    }
    out->reserved += range->n_usable - range->n_pieces;
    for (guint k = 0; k < range->pieces->len; k++)
      count_piece(a, fit, mal_piece(range->pieces, k), out);
  }
}

/* ---- map ------------------------------------------------------------------------------------- */

typedef struct {
  MalCell *cells;
  size_t n;
  uint64_t total;  /* addresses of all areas */
  uint64_t offset; /* of the area at hand */
  const Piece *area;
  View view;
  MalTime at;
} Map;

static uint64_t cell_begin(const Map *m, size_t cell)
{
  g_assert(m->n > 0);
  return (uint64_t)((MalU128)m->total * cell / m->n);
}

static size_t cell_of(const Map *m, uint64_t offset)
{
  size_t cell = (size_t)((MalU128)offset * m->n / m->total);
  while (cell + 1 < m->n && cell_begin(m, cell + 1) <= offset)
    cell++;
  return cell;
}

/* Adds the addresses VALUE..VALUE+MORE, which lie in the area at hand, to a member of each cell
   they reach into. */
static void spread(Map *m, MalU128 value, uint32_t more, size_t member)
{
  uint64_t begin = m->offset + (uint64_t)(value - m->area->first);
  uint64_t end = begin + more + 1;
  for (size_t cell = cell_of(m, begin); begin < end; cell++) {
    uint64_t stop = MIN(end, cell_begin(m, cell + 1));
    *(uint64_t *)(void *)((char *)&m->cells[cell] + member) += stop - begin;
    begin = stop;
  }
}

static void map_segment(const MalIndex *ix, const MalSegment *segment, MalKeys keys, void *data)
{
  Map *m = data;
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(ix, segment, &cursor); b != NULL;
       b = mal_index_next(ix, segment, &cursor)) {
    if (b->plane == m->area->plane && b->from <= m->at && b->until > m->at) {
      MalU128 value = mal_piece_address(m->area, m->view, keys.first).value;
      spread(m, value, keys.last - keys.first, offsetof(MalCell, leased));
      return;
    }
  }
}

static void spread_pieces(Map *m, const GArray *pieces, size_t member)
{
  MalU128 end = m->area->first + m->area->more;
  for (guint i = 0; i < pieces->len; i++) {
    const Piece *piece = mal_piece(pieces, i);
    if (piece->first >= m->area->first && piece->first <= end)
      spread(m, piece->first, piece->more, member);
  }
}

static void map_area(MalAllocator *a, Map *m, const OwnedRange *range, const Piece *area)
{
  m->area = area;
  for (size_t cell = 0; cell < m->n; cell++) {
    uint64_t begin = cell_begin(m, cell);
    if (begin >= m->offset && begin - m->offset <= area->more)
      m->cells[cell].first =
          mal_address_make(range->span.first.family, area->first + (begin - m->offset));
  }
  spread(m, area->first, area->more, offsetof(MalCell, size));
  spread_pieces(m, range->usable, offsetof(MalCell, owned));
  spread_pieces(m, range->pieces, offsetof(MalCell, reserved));
  mal_index_walk(mal_view_index(a, m->view, area->plane),
                 mal_view_keys(m->view, area->plane, area->first, area->more), map_segment, m);
  m->offset += (uint64_t)area->more + 1;
}

size_t mal_allocator_map(MalAllocator *a, const MalScope *scope, MalTime at, MalCell *cells,
                         size_t n)
{
  Map m = { .cells = cells, .view = grant_view(a), .at = at };
  for (guint i = 0; i < a->by_first->len; i++) {
    if (mal_range(a->by_first, i)->scope == scope->index)
      m.total += mal_pieces_count(mal_range(a->by_first, i)->areas);
  }
  m.n = (size_t)MIN((uint64_t)n, m.total);
  for (size_t i = 0; i < m.n; i++)
    cells[i] = (MalCell){ 0 };
  for (guint i = 0; i < a->by_first->len && m.n > 0; i++) {
    const OwnedRange *range = mal_range(a->by_first, i);
    for (guint k = 0; range->scope == scope->index && k < range->areas->len; k++)
      map_area(a, &m, range, mal_piece(range->areas, k));
  }
  for (size_t i = 0; i < m.n; i++) {
    cells[i].reserved = cells[i].owned - cells[i].reserved; /* so far it held what isn't */
    cells[i].excluded = cells[i].size - cells[i].owned;
  }
  return m.n;
}

/* ---- figures --------------------------------------------------------------------------------- */

static void add_index(MalAllocatorStats *stats, const MalIndex *ix)
{
  stats->segments += ix->live;
  stats->bytes += mal_index_bytes(ix);
}

MalAllocatorStats mal_allocator_stats(const MalAllocator *a, int scope)
{
  MalAllocatorStats stats = { .bytes = sizeof *a };
  for (guint i = 0; i < a->by_first->len; i++) {
    const OwnedRange *range = mal_range(a->by_first, i);
    stats.bytes += sizeof *range +
                   (range->areas->len + range->usable->len + range->pieces->len) * sizeof(Piece);
    if (scope >= 0 && range->scope != (unsigned)scope)
      continue;
    stats.ranges++;
    stats.owned += range->n_usable;
    stats.busy += range->busy;
  }
  add_index(&stats, &a->groups[0]);
  add_index(&stats, &a->groups[1]);
  add_index(&stats, &a->addresses4);
  for (guint i = 0; i < a->addresses6->len; i++)
    add_index(&stats, g_ptr_array_index(a->addresses6, i));
  stats.bytes += a->blocked->len * sizeof(BlockOut) + a->planes6->len * sizeof(Plane);
  return stats;
}

/* ---- check ----------------------------------------------------------------------------------- */

typedef struct {
  bool all;
  uint32_t plane;
  uint64_t held;
} Held;

static void count_held(const MalIndex *ix, const MalSegment *segment, MalKeys keys, void *data)
{
  Held *held = data;
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(ix, segment, &cursor); b != NULL;
       b = mal_index_next(ix, segment, &cursor)) {
    g_assert(b->owner != 0);
    if (b->plane != MAL_PLANE_RESERVED && (held->all || b->plane == held->plane))
      held->held += mal_keys_count(keys);
  }
}

uint64_t mal_range_held(MalAllocator *a, View view, const OwnedRange *range)
{
  uint64_t done = 0, sum = 0;
  Piece part;
  while (mal_next_part(a, range->span, &done, &part)) {
    Held held = { .plane = part.plane };
    mal_index_walk(mal_view_index(a, view, part.plane),
                   mal_view_keys(view, part.plane, part.first, part.more), count_held, &held);
    sum += held.held;
  }
  return sum;
}

static void check_pieces(const GArray *pieces, const GArray *expected, uint64_t n)
{
  g_assert(pieces->len == expected->len && mal_pieces_count(pieces) == n);
  for (guint i = 0; i < pieces->len; i++) {
    const Piece *x = mal_piece(pieces, i), *y = mal_piece(expected, i);
    g_assert(x->first == y->first && x->more == y->more && x->plane == y->plane);
  }
}

static void check_range(const MalAllocator *a, guint i)
{
  const OwnedRange *range = mal_range(a->by_first, i);
  if (i > 0)
    g_assert(mal_address_compare(mal_range(a->by_first, i - 1)->span.last, range->span.first) < 0);
  g_autoptr(GArray) usable = mal_range_cut(a, range, true);
  g_autoptr(GArray) pieces = mal_range_cut(a, range, false);
  check_pieces(range->usable, usable, range->n_usable);
  check_pieces(range->pieces, pieces, range->n_pieces);
  const OwnedRange *listed = mal_range(a->by_until, i);
  g_assert(mal_range_at(a, listed->span.first) == listed);
  if (i > 0) {
    const OwnedRange *before = mal_range(a->by_until, i - 1);
    g_assert(before->scope < listed->scope ||
             (before->scope == listed->scope && before->until <= listed->until));
  }
}

static void check_view(MalAllocator *a, View view)
{
  Held held = { .all = true };
  MalKeys all = { 0, UINT32_MAX };
  uint64_t sum = 0;
  for (guint i = 0; i < a->by_first->len; i++) {
    const OwnedRange *range = mal_range(a->by_first, i);
    g_assert(mal_range_held(a, view, range) == range->busy);
    sum += range->busy;
  }
  if (view == VIEW_GROUPS) {
    mal_index_walk(&a->groups[0], all, count_held, &held);
    mal_index_walk(&a->groups[1], all, count_held, &held);
  } else {
    mal_index_walk(&a->addresses4, all, count_held, &held);
    for (guint i = 0; i < a->addresses6->len; i++)
      mal_index_walk(g_ptr_array_index(a->addresses6, i), all, count_held, &held);
  }
  g_assert(held.held == sum);
}

void mal_allocator_check(const MalAllocator *a)
{
  mal_index_check(&a->groups[0]);
  mal_index_check(&a->groups[1]);
  mal_index_check(&a->addresses4);
  for (guint i = 0; i < a->addresses6->len; i++)
    mal_index_check(g_ptr_array_index(a->addresses6, i));
  g_assert(a->by_first->len == a->by_until->len);
  for (guint i = 0; i < a->by_first->len; i++)
    check_range(a, i);
  for (View view = VIEW_GROUPS; view <= VIEW_ADDRESSES; view++) {
    if (has_view(a, view))
      check_view((MalAllocator *)a, view);
  }
}
