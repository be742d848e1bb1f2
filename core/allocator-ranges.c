/* The allocator's ranges: what of them may be given out, and where the indexes keep it. */
#include "allocator-private.h"

#include <string.h>

#define FLOOD_PRONE 256 /* first groups of each 2^23: those of x.0.0.0/24 and x.128.0.0/24 */
#define RELATIVE 256    /* last addresses of a scope (RFC 2365 section 9; RFC 2730 2.10 for IPv6) */
#define MAX_PLANES 256

static guint hash_base(gconstpointer key)
{
  const MalU128 *base = key;
  uint64_t high = (uint64_t)(*base >> 64), low = (uint64_t)*base;
  return (guint)((high * UINT64_C(0x9e3779b97f4a7c15) ^ low * UINT64_C(0xd6e8feb86659fd93)) >> 32);
}

static gboolean equal_bases(gconstpointer a, gconstpointer b)
{
  return *(const MalU128 *)a == *(const MalU128 *)b;
}

static void free_index(gpointer index)
{
  mal_index_clear(index);
  g_free(index);
}

static void free_range(gpointer data)
{
  OwnedRange *range = data;
  g_array_unref(range->areas);
  g_array_unref(range->usable);
  g_array_unref(range->pieces);
  g_free(range);
}

MalAllocator *mal_allocator_new(MalEthernetPolicy policy, uint64_t seed)
{
  MalAllocator *a = g_new0(MalAllocator, 1);
  a->policy = policy;
  a->random = seed;
  mal_index_init(&a->groups[0], (uint32_t)mal_random_next(&a->random));
  mal_index_init(&a->groups[1], (uint32_t)mal_random_next(&a->random));
  mal_index_init(&a->addresses4, (uint32_t)mal_random_next(&a->random));
  a->addresses6 = g_ptr_array_new_with_free_func(free_index);
  a->planes6 = g_array_new(FALSE, FALSE, sizeof(Plane));
  a->plane_of = g_hash_table_new_full(hash_base, equal_bases, g_free, NULL);
  a->by_first = g_ptr_array_new_with_free_func(free_range);
  a->by_until = g_ptr_array_new();
  a->blocked = g_array_new(FALSE, FALSE, sizeof(BlockOut));
  a->hints = g_array_new(FALSE, TRUE, sizeof(MalAddress));
  return a;
}

void mal_allocator_free(MalAllocator *a)
{
  if (a == NULL)
    return;
  mal_index_clear(&a->groups[0]);
  mal_index_clear(&a->groups[1]);
  mal_index_clear(&a->addresses4);
  g_ptr_array_unref(a->addresses6);
  g_array_unref(a->planes6);
  g_hash_table_unref(a->plane_of);
  g_ptr_array_unref(a->by_until);
  g_ptr_array_unref(a->by_first);
  g_array_unref(a->blocked);
  g_array_unref(a->hints);
  g_free(a);
}

/* ---- planes ---------------------------------------------------------------------------------- */

uint32_t mal_plane_number(MalAllocator *a, MalFamily family, MalU128 value)
{
  if (family == MAL_IPV4)
    return (uint32_t)(value >> 23);
  Plane plane = { value >> 32 << 32, family };
  gpointer number;
  if (g_hash_table_lookup_extended(a->plane_of, &plane.base, NULL, &number))
    return GPOINTER_TO_UINT(number);
  uint32_t fresh = PLANES4 + a->planes6->len;
  g_array_append_val(a->planes6, plane);
  MalIndex *index = g_new0(MalIndex, 1);
  mal_index_init(index, (uint32_t)mal_random_next(&a->random));
  g_ptr_array_add(a->addresses6, index);
  MalU128 *key = g_new(MalU128, 1);
  *key = plane.base;
  g_hash_table_insert(a->plane_of, key, GUINT_TO_POINTER(fresh));
  return fresh;
}

MalIndex *mal_view_index(MalAllocator *a, View view, uint32_t plane)
{
  if (view == VIEW_GROUPS)
    return &a->groups[plane < PLANES4 ? 0 : 1];
  return plane < PLANES4 ? &a->addresses4 : g_ptr_array_index(a->addresses6, plane - PLANES4);
}

MalKeys mal_view_keys(View view, uint32_t plane, MalU128 first, uint32_t more)
{
  uint32_t key = (uint32_t)first;
  if (view == VIEW_GROUPS && plane < PLANES4)
    key &= 0x7fffff;
  return (MalKeys){ key, key + more };
}

MalAddress mal_piece_address(const Piece *piece, View view, uint32_t key)
{
  MalKeys keys = mal_view_keys(view, piece->plane, piece->first, 0);
  MalFamily family = piece->plane < PLANES4 ? MAL_IPV4 : MAL_IPV6;
  return mal_address_make(family, piece->first + (key - keys.first));
}

/* ---- pieces ---------------------------------------------------------------------------------- */

uint64_t mal_pieces_count(const GArray *pieces)
{
  uint64_t sum = 0;
  for (guint i = 0; i < pieces->len; i++)
    sum += (uint64_t)mal_piece(pieces, i)->more + 1;
  return sum;
}

static MalU128 piece_last(const Piece *piece)
{
  return piece->first + piece->more;
}

/* The first piece that ends at VALUE or above. */
static guint piece_from(const GArray *pieces, MalU128 value)
{
  guint low = 0, high = pieces->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (piece_last(mal_piece(pieces, middle)) < value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const Piece *mal_piece_at(const GArray *pieces, MalU128 value)
{
  guint i = piece_from(pieces, value);
  return i < pieces->len && mal_piece(pieces, i)->first <= value ? mal_piece(pieces, i) : NULL;
}

static void subtract(GArray *pieces, MalU128 first, MalU128 last)
{
  guint i = piece_from(pieces, first);
  while (i < pieces->len && mal_piece(pieces, i)->first <= last) {
    Piece whole = *mal_piece(pieces, i);
    Piece above = whole;
    bool keep_below = whole.first < first;
    bool keep_above = piece_last(&whole) > last;
    if (keep_above) {
      above.first = last + 1;
      above.more = (uint32_t)(piece_last(&whole) - above.first);
      g_array_index(pieces, Piece, i) = above;
    }
    if (keep_below) {
      Piece below = whole;
      below.more = (uint32_t)(first - 1 - whole.first);
      if (keep_above)
        g_array_insert_val(pieces, i, below);
      else
        g_array_index(pieces, Piece, i) = below;
      i++;
    }
    if (keep_above)
      return;
    if (!keep_below)
      g_array_remove_index(pieces, i);
  }
}

/* Addresses of one plane for each step: 2^23 or 2^32. */
static MalU128 plane_size(MalFamily family)
{
  return (MalU128)1 << (family == MAL_IPV4 ? 23 : 32);
}

bool mal_next_part(MalAllocator *a, MalSpan span, uint64_t *done, Piece *part)
{
  MalFamily family = span.first.family;
  MalU128 more = span.last.value - span.first.value;
  if (*done > more)
    return false;
  MalU128 first = span.first.value + *done;
  MalU128 last = MIN(span.last.value, first | (plane_size(family) - 1));
  *part = (Piece){ first, (uint32_t)(last - first), mal_plane_number(a, family, first) };
  *done += (uint64_t)(last - first) + 1;
  return true;
}

static void make_areas(MalAllocator *a, OwnedRange *range)
{
  MalFamily family = range->span.first.family;
  uint64_t done = 0;
  Piece area;
  while (mal_next_part(a, range->span, &done, &area)) {
    MalU128 base = area.first & ~(plane_size(family) - 1);
    MalU128 first = area.first, last = piece_last(&area);
    if (family == MAL_IPV6) {
      first = MAX(first, base + range->group_id_first);
      last = MIN(last, base + range->group_id_last);
    }
    if (first <= last) {
      area.first = first;
      area.more = (uint32_t)(last - first);
      g_array_append_val(range->areas, area);
    }
  }
}

/* The areas' parts within FIRST to LAST. */
static GArray *clip(const GArray *areas, MalU128 first, MalU128 last)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(Piece));
  for (guint i = piece_from(areas, first); i < areas->len && mal_piece(areas, i)->first <= last;
       i++) {
    Piece part = *mal_piece(areas, i);
    MalU128 end = MIN(piece_last(&part), last);
    part.first = MAX(part.first, first);
    part.more = (uint32_t)(end - part.first);
    g_array_append_val(out, part);
  }
  return out;
}

static GArray *cut_within(const MalAllocator *a, const OwnedRange *range, bool keep_reserves,
                          MalU128 first, MalU128 last)
{
  GArray *pieces = clip(range->areas, first, last);
  if (range->span.first.family == MAL_IPV4) {
    for (guint i = 0; i < range->areas->len; i++) {
      MalU128 base = mal_piece(range->areas, i)->first >> 23 << 23;
      subtract(pieces, base, base + FLOOD_PRONE - 1);
    }
  }
  g_assert(range->scope_last >= RELATIVE); /* a multicast address */
  subtract(pieces, range->scope_last - RELATIVE + 1, range->scope_last);
  for (guint i = 0; i < a->blocked->len; i++) {
    const BlockOut *b = &g_array_index(a->blocked, BlockOut, i);
    if (b->span.first.family == range->span.first.family && b->span.first.value <= last
        && b->span.last.value >= first && !(b->reserved && keep_reserves))
      subtract(pieces, b->span.first.value, b->span.last.value);
  }
  return pieces;
}

GArray *mal_range_cut(const MalAllocator *a, const OwnedRange *range, bool keep_reserves)
{
  return cut_within(a, range, keep_reserves, range->span.first.value, range->span.last.value);
}

/* The pieces that touch FIRST to LAST, the neighbours outside with them, are cut anew: there may be
   many pieces, and many that are blocked one by one. */
static void recut_within(const MalAllocator *a, const OwnedRange *range, GArray *pieces,
                         bool keep_reserves, MalU128 first, MalU128 last)
{
  guint from = piece_from(pieces, first - 1), to = from;
  while (to < pieces->len && mal_piece(pieces, to)->first - 1 <= last)
    to++;
  if (from < to) {
    first = MIN(first, mal_piece(pieces, from)->first);
    last = MAX(last, piece_last(mal_piece(pieces, to - 1)));
  }
  g_autoptr(GArray) fresh = cut_within(a, range, keep_reserves, first, last);
  g_array_remove_range(pieces, from, to - from);
  if (fresh->len > 0)
    g_array_insert_vals(pieces, from, fresh->data, fresh->len);
}

static void recount(OwnedRange *range)
{
  range->n_usable = mal_pieces_count(range->usable);
  range->n_pieces = mal_pieces_count(range->pieces);
}

static void recut(const MalAllocator *a, OwnedRange *range)
{
  g_clear_pointer(&range->usable, g_array_unref);
  g_clear_pointer(&range->pieces, g_array_unref);
  range->usable = mal_range_cut(a, range, true);
  range->pieces = mal_range_cut(a, range, false);
  recount(range);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* The first range that ends at ADDRESS or above. */
static guint range_from(const MalAllocator *a, MalAddress address)
{
  guint low = 0, high = a->by_first->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (mal_address_compare(mal_range(a->by_first, middle)->span.last, address) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

OwnedRange *mal_range_at(const MalAllocator *a, MalAddress address)
{
  guint i = range_from(a, address);
  if (i >= a->by_first->len || !mal_span_has(mal_range(a->by_first, i)->span, address))
    return NULL;
  return mal_range(a->by_first, i);
}

OwnedRange *mal_next_owned(const MalAllocator *a, MalSpan span, uint64_t *done, MalSpan *part,
                           bool *gap)
{
  MalU128 more = span.last.value - span.first.value;
  if (*done > more)
    return NULL;
  part->first = mal_address_make(span.first.family, span.first.value + *done);
  guint i = range_from(a, part->first);
  part->last = span.last;
  if (i >= a->by_first->len || !mal_span_intersect(mal_range(a->by_first, i)->span, *part, part)) {
    *gap = true;
    return NULL;
  }
  if (part->first.value - span.first.value > *done)
    *gap = true;
  *done = (uint64_t)(part->last.value - span.first.value) + 1;
  return mal_range(a->by_first, i);
}

static OwnedRange *range_beginning_at(const MalAllocator *a, MalAddress first)
{
  OwnedRange *range = mal_range_at(a, first);
  return range != NULL && mal_address_equal(range->span.first, first) ? range : NULL;
}

guint mal_range_first_until(const MalAllocator *a, unsigned scope, MalTime until)
{
  guint low = 0, high = a->by_until->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const OwnedRange *range = mal_range(a->by_until, middle);
    if (range->scope < scope || (range->scope == scope && range->until < until))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void insert_by_until(MalAllocator *a, OwnedRange *range)
{
  guint i = mal_range_first_until(a, range->scope, range->until);
  for (; i < a->by_until->len; i++) {
    const OwnedRange *other = mal_range(a->by_until, i);
    if (other->scope != range->scope || other->until != range->until ||
        mal_address_compare(other->span.first, range->span.first) > 0)
      break;
  }
  g_ptr_array_insert(a->by_until, (gint)i, range);
}

static bool refuse(GError **error, MalErrorCode code, MalSpan span, const char *what)
{
  char text[MAL_SPAN_STRLEN];
  g_set_error(error, MAL_ERROR, (gint)code, "%s: %s", mal_span_format(span, text), what);
  return false;
}

static bool check_new_range(const MalAllocator *a, const MalScope *scope, MalSpan span,
                            GError **error)
{
  if (!mal_span_contains(scope->span, span))
    return refuse(error, MAL_ERROR_INVALID, span, "outside its scope");
  guint i = range_from(a, span.first);
  if (i < a->by_first->len && mal_span_overlaps(mal_range(a->by_first, i)->span, span))
    return refuse(error, MAL_ERROR_EXISTS, span, "overlaps an owned range");
  if (span.first.family == MAL_IPV6 &&
      (span.last.value >> 32) - (span.first.value >> 32) >= MAX_PLANES)
    return refuse(error, MAL_ERROR_INVALID, span, "covers more than 256 prefixes of length 96");
  return true;
}

bool mal_allocator_add_range(MalAllocator *a, const MalScope *scope, MalSpan span, MalTime until,
                             GError **error)
{
  if (!check_new_range(a, scope, span, error))
    return false;
  OwnedRange *range = g_new0(OwnedRange, 1);
  range->scope = scope->index;
  range->span = span;
  range->until = until;
  range->scope_last = scope->span.last.value;
  range->group_id_first = scope->group_id_first;
  range->group_id_last = scope->group_id_last;
  range->areas = g_array_new(FALSE, FALSE, sizeof(Piece));
  make_areas(a, range);
  recut(a, range);
  g_ptr_array_insert(a->by_first, (gint)range_from(a, span.first), range);
  insert_by_until(a, range);
  return true;
}

bool mal_allocator_set_until(MalAllocator *a, MalAddress first, MalTime until)
{
  OwnedRange *range = range_beginning_at(a, first);
  if (range == NULL)
    return false;
  g_ptr_array_remove(a->by_until, range);
  range->until = until;
  insert_by_until(a, range);
  return true;
}

bool mal_allocator_split_range(MalAllocator *a, MalAddress at)
{
  OwnedRange *lower = mal_range_at(a, at);
  if (lower == NULL || mal_address_equal(lower->span.first, at))
    return false;
  OwnedRange *upper = g_memdup2(lower, sizeof *lower);
  upper->span.first = at;
  mal_address_sub(at, 1, &lower->span.last);
  upper->areas = g_array_new(FALSE, FALSE, sizeof(Piece));
  upper->usable = upper->pieces = NULL;
  g_array_set_size(lower->areas, 0);
  make_areas(a, lower);
  make_areas(a, upper);
  recut(a, lower);
  recut(a, upper);
  View view = has_view(a, VIEW_ADDRESSES) ? VIEW_ADDRESSES : VIEW_GROUPS;
  /* What is held is counted in the smaller one: of a large range many small parts are cut off. */
  bool less = mal_span_size(lower->span) < mal_span_size(upper->span);
  uint64_t held = mal_range_held(a, view, less ? lower : upper), all = lower->busy;
  lower->busy = less ? held : all - held;
  upper->busy = all - lower->busy;
  g_ptr_array_insert(a->by_first, (gint)range_from(a, at), upper);
  insert_by_until(a, upper);
  return true;
}

bool mal_allocator_join_ranges(MalAllocator *a, MalAddress at)
{
  OwnedRange *upper = range_beginning_at(a, at), *lower;
  MalAddress before;
  if (upper == NULL)
    return false;
  mal_address_sub(at, 1, &before);
  if ((lower = mal_range_at(a, before)) == NULL || lower->scope != upper->scope ||
      lower->until != upper->until)
    return false;
  lower->span.last = upper->span.last;
  lower->busy += upper->busy;
  g_ptr_array_remove(a->by_until, upper);
  g_ptr_array_remove(a->by_first, upper);
  g_array_set_size(lower->areas, 0);
  make_areas(a, lower);
  recut(a, lower);
  return true;
}

bool mal_allocator_remove_range(MalAllocator *a, MalAddress first)
{
  OwnedRange *range = range_beginning_at(a, first);
  if (range == NULL)
    return false;
  uint64_t done = 0;
  Piece part;
  while (mal_next_part(a, range->span, &done, &part)) {
    for (View view = VIEW_GROUPS; view <= VIEW_ADDRESSES; view++) {
      if (has_view(a, view))
        mal_index_purge(mal_view_index(a, view, part.plane),
                        mal_view_keys(view, part.plane, part.first, part.more), part.plane);
    }
  }
  g_ptr_array_remove(a->by_until, range);
  g_ptr_array_remove(a->by_first, range);
  return true;
}

bool mal_allocator_range_use(const MalAllocator *a, MalAddress first, uint64_t *busy,
                             uint64_t *usable)
{
  const OwnedRange *range = range_beginning_at(a, first);
  if (range == NULL)
    return false;
  *busy = range->busy + (range->n_usable - range->n_pieces);
  *usable = range->n_usable;
  return true;
}

/* ---- excludes and reserves ------------------------------------------------------------------- */

/* Holds or frees the Ethernet groups of a reserve, whether a range has its addresses or not. */
static void hold_groups(MalAllocator *a, const BlockOut *b, bool hold)
{
  if (!b->reserved || a->policy == MAL_ETHERNET_IGNORE)
    return;
  MalFamily family = b->span.first.family;
  MalIndex *index = &a->groups[family == MAL_IPV4 ? 0 : 1];
  uint32_t top = (uint32_t)(plane_size(family) - 1);
  uint32_t first = (uint32_t)b->span.first.value & top, last = (uint32_t)b->span.last.value & top;
  MalKeys parts[2] = { { first, last }, { 0, last } };
  size_t n = 1;
  if (b->span.last.value - b->span.first.value >= top) {
    parts[0] = (MalKeys){ 0, top };
  } else if (first > last) {
    parts[0].last = top;
    n = 2;
  }
  MalBusy busy = { MAL_BEGINNING, MAL_FOREVER, b->id, MAL_PLANE_RESERVED };
  for (size_t i = 0; i < n; i++) {
    if (hold)
      mal_index_take(index, parts[i], busy);
    else
      mal_index_give(index, parts[i], b->id, MAL_PLANE_RESERVED);
  }
}

void mal_allocator_block_out(MalAllocator *a, MalSpan span, bool reserved)
{
  BlockOut b = { span, reserved, ++a->next_block_out };
  g_array_append_val(a->blocked, b);
  hold_groups(a, &b, true);
  for (guint i = range_from(a, span.first); i < a->by_first->len; i++) {
    if (!mal_span_overlaps(mal_range(a->by_first, i)->span, span))
      break;
    OwnedRange *range = mal_range(a->by_first, i);
    subtract(range->pieces, span.first.value, span.last.value);
    if (!reserved)
      subtract(range->usable, span.first.value, span.last.value);
    recount(range);
  }
}

void mal_allocator_unblock(MalAllocator *a, MalSpan span, bool reserved)
{
  for (guint i = 0; i < a->blocked->len; i++) {
    BlockOut b = g_array_index(a->blocked, BlockOut, i);
    if (b.reserved != reserved || !mal_address_equal(b.span.first, span.first) ||
        !mal_address_equal(b.span.last, span.last))
      continue;
    g_array_remove_index(a->blocked, i);
    hold_groups(a, &b, false);
    for (guint k = range_from(a, span.first); k < a->by_first->len; k++) {
      if (!mal_span_overlaps(mal_range(a->by_first, k)->span, span))
        break;
      OwnedRange *range = mal_range(a->by_first, k);
      recut_within(a, range, range->usable, true, span.first.value, span.last.value);
      recut_within(a, range, range->pieces, false, span.first.value, span.last.value);
      recount(range);
    }
    return;
  }
}
