/* The allocator's choice. A request is put to the ranges of its scope from the earliest sufficing
   end on (design: the allocator); in those of one end, first to wholly free space beside a lease,
   then to other wholly free space, then to addresses that are only busy at other times. */
#include "allocator-private.h"

/* While one answer is put together, what it has already is held for this owner. */
#define TENTATIVE 0

typedef struct {
  MalAllocator *a;
  View view;
  const MalFit *fit;
  uint32_t count; /* adjacent addresses wanted */
  MalBlock block; /* the answer */
  bool found;
  bool near;     /* the answer is in a range that has leases already */
  uint64_t seen; /* addresses of the pieces that could have given it, for a fair choice */
} Choice;

/* In how many gaps of a piece a neighbour of the same plane is looked for. */
#define TRIES 4

static MalQuery query_of(const MalFit *fit, View view, const Piece *piece)
{
  return (MalQuery){
    .within = mal_view_keys(view, piece->plane, piece->first, piece->more),
    .from = fit->from,
    .until = fit->until,
    .ignore = fit->ignore_owner,
    .ignore_reserves = fit->beside_reserves,
  };
}

static void choose(Choice *c, const Piece *piece, uint32_t key)
{
  c->block = mal_block_make(mal_piece_address(piece, c->view, key), c->count);
  c->found = true;
}

/* ---- one run --------------------------------------------------------------------------------- */

/* Is the address before or after the COUNT keys from KEY on held itself, not only its Ethernet
   group? */
static bool has_neighbour(const Choice *c, const MalIndex *index, const Piece *piece,
                          MalKeys within, uint32_t key)
{
  uint64_t after = (uint64_t)key + c->count;
  return (key > within.first && mal_index_has(index, key - 1, piece->plane)) ||
         (after <= within.last && mal_index_has(index, (uint32_t)after, piece->plane));
}

/* Notes a place that will do if there is none beside a lease: rather in a range that has leases. */
static void note(Choice *c, const OwnedRange *range, const Piece *piece, uint32_t key)
{
  bool near = range->busy > 0;
  if (c->found && c->near && !near)
    return;
  if (near && !c->near)
    c->seen = 0;
  uint64_t size = (uint64_t)piece->more + 1;
  c->near = near;
  c->seen += size;
  if (mal_random_below(&c->a->random, c->seen) < size)
    choose(c, piece, key);
}

/* True where the choice is made: beside what is leased of the same plane. */
static bool try_gap(Choice *c, const OwnedRange *range, const Piece *piece)
{
  MalQuery q = query_of(c->fit, c->view, piece);
  const MalIndex *index = mal_view_index(c->a, c->view, piece->plane);
  uint32_t key = 0;
  for (unsigned i = 0; i < TRIES; i++) {
    bool beside;
    if (!mal_index_find_gap(index, &q, c->count, &c->a->random, &key, &beside))
      return false;
    if (beside && has_neighbour(c, index, piece, q.within, key)) {
      choose(c, piece, key);
      return true;
    }
    if (!beside || range->busy == 0)
      break;
  }
  note(c, range, piece, key);
  return false;
}

static bool try_at_other_times(Choice *c, const OwnedRange *range, const Piece *piece)
{
  (void)range;
  MalQuery q = query_of(c->fit, c->view, piece);
  MalIndex *index = mal_view_index(c->a, c->view, piece->plane);
  MalKeys spot;
  if (c->count == 1) {
    if (!mal_index_find_spot(index, &q, &c->a->random, &spot))
      return false;
  } else if (!mal_index_find_run(index, &q, c->count, &spot.first)) {
    return false;
  }
  choose(c, piece, spot.first);
  return true;
}

typedef bool (*TryPiece)(Choice *c, const OwnedRange *range, const Piece *piece);

static bool try_range(Choice *c, const OwnedRange *range, TryPiece try)
{
  const GArray *pieces = range->pieces;
  guint skip = pieces->len > 1 ? (guint)mal_random_below(&c->a->random, pieces->len) : 0;
  for (guint k = 0; k < pieces->len; k++) {
    const Piece *piece = mal_piece(pieces, (k + skip) % pieces->len);
    if ((uint64_t)piece->more + 1 >= c->count && try(c, range, piece))
      return true;
  }
  return false;
}

/* Which of the ranges BEGIN..END-1, all of one scope and end, was changed last; END: none. */
static guint hinted(const MalAllocator *a, unsigned scope, guint begin, guint end)
{
  if (end - begin < 2 || scope >= a->hints->len)
    return end;
  MalAddress hint = g_array_index(a->hints, MalAddress, scope);
  guint low = begin, high = end;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (mal_address_compare(mal_range(a->by_until, middle)->span.first, hint) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < end && mal_address_equal(mal_range(a->by_until, low)->span.first, hint) ? low : end;
}

static void set_hint(MalAllocator *a, const OwnedRange *range)
{
  if (range->scope >= a->hints->len)
    g_array_set_size(a->hints, range->scope + 1);
  g_array_index(a->hints, MalAddress, range->scope) = range->span.first;
}

/* The pieces of ranges BEGIN..END-1: where something was changed last, there most likely is a place
   beside a lease, or one that was given back; then from one at random on. */
static bool try_pieces(Choice *c, guint begin, guint end, TryPiece try)
{
  guint n = end - begin;
  guint first = hinted(c->a, c->fit->scope, begin, end);
  if (first < end && try_range(c, mal_range(c->a->by_until, first), try))
    return true;
  guint start = n > 1 ? (guint)mal_random_below(&c->a->random, n) : 0;
  for (guint i = 0; i < n; i++) {
    guint at = begin + (start + i) % n;
    if (at != first && try_range(c, mal_range(c->a->by_until, at), try))
      return true;
  }
  return false;
}

/* The ranges from BEGIN on that end when that one does. */
static guint same_until(const MalAllocator *a, guint begin)
{
  const OwnedRange *first = mal_range(a->by_until, begin);
  guint end = begin + 1;
  while (end < a->by_until->len && mal_range(a->by_until, end)->scope == first->scope &&
         mal_range(a->by_until, end)->until == first->until)
    end++;
  return end;
}

static bool in_scope(const MalAllocator *a, guint i, unsigned scope)
{
  return i < a->by_until->len && mal_range(a->by_until, i)->scope == scope;
}

static bool find_one(MalAllocator *a, View view, const MalFit *fit, uint32_t count, bool only_gaps,
                     MalBlock *out)
{
  Choice c = { .a = a, .view = view, .fit = fit, .count = count };
  for (guint i = mal_range_first_until(a, fit->scope, fit->until); in_scope(a, i, fit->scope);) {
    guint end = same_until(a, i);
    if (try_pieces(&c, i, end, try_gap) || c.found ||
        (!only_gaps && try_pieces(&c, i, end, try_at_other_times))) {
      *out = c.block;
      return true;
    }
    i = end;
  }
  return false;
}

static bool is_askable(const MalFit *fit)
{
  return fit->count > 0 && fit->from < fit->until;
}

bool mal_allocator_find_run(MalAllocator *a, const MalFit *fit, MalBlock *out)
{
  if (!is_askable(fit))
    return false;
  if (has_view(a, VIEW_GROUPS) && find_one(a, VIEW_GROUPS, fit, fit->count, false, out))
    return true;
  return has_view(a, VIEW_ADDRESSES) && find_one(a, VIEW_ADDRESSES, fit, fit->count, false, out);
}

/* ---- several runs ---------------------------------------------------------------------------- */

/* Puts BLOCK on or takes it off the indexes, plane by plane; how many keys an owner held. */
static void hold(MalAllocator *a, MalBlock block, MalTime from, MalTime until, uint32_t owner)
{
  MalSpan span = mal_span_of_block(block);
  uint64_t done = 0;
  Piece part;
  while (mal_next_part(a, span, &done, &part)) {
    MalBusy busy = { from, until, owner, part.plane };
    for (View view = VIEW_GROUPS; view <= VIEW_ADDRESSES; view++) {
      if (has_view(a, view))
        mal_index_take(mal_view_index(a, view, part.plane),
                       mal_view_keys(view, part.plane, part.first, part.more), busy);
    }
  }
}

/* As hold, instead of what OWNER holds; how many keys that was. */
static uint64_t hold_again(MalAllocator *a, MalBlock block, MalTime from, MalTime until,
                           uint32_t owner)
{
  MalSpan span = mal_span_of_block(block);
  uint64_t done = 0, held = 0;
  Piece part;
  while (mal_next_part(a, span, &done, &part)) {
    MalBusy busy = { from, until, owner, part.plane };
    uint64_t n = 0;
    for (View view = VIEW_GROUPS; view <= VIEW_ADDRESSES; view++) {
      if (has_view(a, view))
        n = mal_index_retake(mal_view_index(a, view, part.plane),
                             mal_view_keys(view, part.plane, part.first, part.more), busy);
    }
    held += n;
  }
  return held;
}

static uint64_t let_go(MalAllocator *a, MalBlock block, uint32_t owner)
{
  MalSpan span = mal_span_of_block(block);
  uint64_t done = 0, held = 0;
  Piece part;
  while (mal_next_part(a, span, &done, &part)) {
    uint64_t n = 0;
    for (View view = VIEW_GROUPS; view <= VIEW_ADDRESSES; view++) {
      if (has_view(a, view))
        n = mal_index_give(mal_view_index(a, view, part.plane),
                           mal_view_keys(view, part.plane, part.first, part.more), owner,
                           part.plane);
    }
    held += n;
  }
  return held;
}

static void add_tentative(MalAllocator *a, const MalFit *fit, MalBlock block, GArray *blocks)
{
  hold(a, block, fit->from, fit->until, TENTATIVE);
  g_array_append_val(blocks, block);
}

/* The longest gap in any piece; on equal length that of the earliest end. */
static uint64_t longest_gap(MalAllocator *a, View view, const MalFit *fit)
{
  uint64_t best = 0;
  guint i = mal_range_first_until(a, fit->scope, fit->until);
  for (; in_scope(a, i, fit->scope); i++) {
    const GArray *pieces = mal_range(a->by_until, i)->pieces;
    for (guint k = 0; k < pieces->len; k++) {
      const Piece *piece = mal_piece(pieces, k);
      if (piece->more >= best)
        best = MAX(best, mal_index_longest_gap(mal_view_index(a, view, piece->plane),
                                               query_of(fit, view, piece).within));
    }
  }
  return best;
}

static bool lowest_spot(MalAllocator *a, View view, const MalFit *fit, uint32_t count,
                        MalBlock *out)
{
  guint i = mal_range_first_until(a, fit->scope, fit->until);
  for (; in_scope(a, i, fit->scope); i++) {
    const GArray *pieces = mal_range(a->by_until, i)->pieces;
    for (guint k = 0; k < pieces->len; k++) {
      const Piece *piece = mal_piece(pieces, k);
      MalQuery q = query_of(fit, view, piece);
      MalKeys spot;
      if (!mal_index_find_spot(mal_view_index(a, view, piece->plane), &q, NULL, &spot))
        continue;
      uint32_t n = (uint32_t)MIN(mal_keys_count(spot), count);
      *out = mal_block_make(mal_piece_address(piece, view, spot.first), n);
      return true;
    }
  }
  return false;
}

/* Holds up to COUNT addresses tentatively: in one run if there is one, else the longest gaps first,
   at last addresses that are busy at other times. */
static uint32_t gather(MalAllocator *a, View view, const MalFit *fit, uint32_t count,
                       GArray *blocks)
{
  uint32_t left = count;
  MalBlock block;
  for (bool first = true; left > 0; first = false) {
    if (!find_one(a, view, fit, left, !first, &block)) {
      uint64_t most = longest_gap(a, view, fit);
      g_assert(most < left);
      if (most == 0)
        break;
      bool found = find_one(a, view, fit, (uint32_t)most, true, &block);
      g_assert(found);
    }
    add_tentative(a, fit, block, blocks);
    left -= block.count;
  }
  while (left > 0 && lowest_spot(a, view, fit, left, &block)) {
    add_tentative(a, fit, block, blocks);
    left -= block.count;
  }
  return count - left;
}

static gint compare_blocks(gconstpointer a, gconstpointer b)
{
  return mal_address_compare(((const MalBlock *)a)->first, ((const MalBlock *)b)->first);
}

/* Appends SORTED to OUT, adjacent ones as one. */
static void append_merged(GArray *sorted, GArray *out)
{
  g_array_sort(sorted, compare_blocks);
  guint begin = out->len;
  for (guint i = 0; i < sorted->len; i++) {
    MalBlock block = g_array_index(sorted, MalBlock, i);
    MalBlock *before = out->len > begin ? &g_array_index(out, MalBlock, out->len - 1) : NULL;
    if (before != NULL && before->first.value + before->count == block.first.value)
      before->count += block.count;
    else
      g_array_append_val(out, block);
  }
}

uint32_t mal_allocator_find(MalAllocator *a, const MalFit *fit, uint32_t min, GArray *blocks)
{
  MalBlock block;
  if (!is_askable(fit))
    return 0;
  if (find_one(a, has_view(a, VIEW_GROUPS) ? VIEW_GROUPS : VIEW_ADDRESSES, fit, fit->count, false,
               &block)) {
    g_array_append_val(blocks, block);
    return fit->count;
  }
  g_autoptr(GArray) got = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  uint32_t n = 0;
  for (View view = VIEW_GROUPS; view <= VIEW_ADDRESSES; view++) {
    if (has_view(a, view))
      n += gather(a, view, fit, fit->count - n, got);
  }
  for (guint i = 0; i < got->len; i++)
    let_go(a, g_array_index(got, MalBlock, i), TENTATIVE);
  if (n == 0 || n < min)
    return 0;
  append_merged(got, blocks);
  return n;
}

/* ---- named addresses ------------------------------------------------------------------------- */

/* The addresses of BLOCK; false where it leaves the family's space. */
static bool span_of(MalBlock block, MalSpan *span)
{
  *span = mal_span_of_block(block);
  return block.count > 0 && span->last.value - span->first.value == block.count - 1;
}

/* Is PART, which lies in RANGE, grantable and free? */
static bool part_is_free(MalAllocator *a, const OwnedRange *range, const MalFit *fit, MalSpan part)
{
  View view = grant_view(a);
  uint64_t done = 0;
  Piece p;
  while (mal_next_part(a, part, &done, &p)) {
    const Piece *piece = mal_piece_at(range->pieces, p.first);
    if (piece == NULL || p.first + p.more > piece->first + piece->more)
      return false;
    MalQuery q = query_of(fit, view, &p);
    if (!mal_index_is_free(mal_view_index(a, view, p.plane), &q))
      return false;
  }
  return true;
}

bool mal_allocator_is_free(MalAllocator *a, const MalFit *fit, MalBlock block)
{
  MalSpan span, part;
  if (!span_of(block, &span) || fit->from >= fit->until)
    return false;
  uint64_t done = 0;
  bool gap = false;
  const OwnedRange *range;
  while ((range = mal_next_owned(a, span, &done, &part, &gap)) != NULL) {
    if (gap || range->scope != fit->scope || range->until < fit->until ||
        !part_is_free(a, range, fit, part))
      return false;
  }
  return !gap;
}

/* Does all of BLOCK lie in owned ranges? */
static bool is_owned(const MalAllocator *a, MalBlock block)
{
  MalSpan span, part;
  bool gap = false;
  if (!span_of(block, &span))
    return false;
  for (uint64_t done = 0; mal_next_owned(a, span, &done, &part, &gap) != NULL;)
    ;
  return !gap;
}

bool mal_allocator_take(MalAllocator *a, MalBlock block, MalTime from, MalTime until,
                        uint32_t owner)
{
  g_assert(owner != TENTATIVE);
  if (from >= until || !is_owned(a, block))
    return false;
  MalSpan span = mal_span_of_block(block), part;
  OwnedRange *range;
  bool gap = false;
  for (uint64_t done = 0; (range = mal_next_owned(a, span, &done, &part, &gap)) != NULL;) {
    range->busy += (uint64_t)(part.last.value - part.first.value) + 1;
    set_hint(a, range);
  }
  hold(a, block, from, until, owner);
  return true;
}

bool mal_allocator_retake(MalAllocator *a, MalBlock block, MalTime from, MalTime until,
                          uint32_t owner)
{
  g_assert(owner != TENTATIVE);
  if (from >= until || !is_owned(a, block)) {
    mal_allocator_give(a, block, owner);
    return false;
  }
  MalSpan span = mal_span_of_block(block), part;
  OwnedRange *range;
  bool gap = false;
  for (uint64_t done = 0; (range = mal_next_owned(a, span, &done, &part, &gap)) != NULL;) {
    uint32_t count = (uint32_t)(part.last.value - part.first.value) + 1;
    uint64_t held = hold_again(a, mal_block_make(part.first, count), from, until, owner);
    range->busy = range->busy + count - held;
  }
  return true;
}

void mal_allocator_give(MalAllocator *a, MalBlock block, uint32_t owner)
{
  MalSpan span, part;
  if (!span_of(block, &span))
    return;
  OwnedRange *range;
  bool gap = false;
  for (uint64_t done = 0; (range = mal_next_owned(a, span, &done, &part, &gap)) != NULL;) {
    uint32_t count = (uint32_t)(part.last.value - part.first.value) + 1;
    range->busy -= let_go(a, mal_block_make(part.first, count), owner);
    set_hint(a, range);
  }
}
