/* The tree of busy segments: structure and change. Every change takes the segments that touch the
   changed keys out of the tree, makes their new sequence (cut, filled, merged where equal), and
   puts that back. */
#include "allocator-index.h"

#include <string.h>

/* A segment while it is outside the tree; its periods are in ix->periods. */
typedef struct {
  MalKeys keys;
  uint32_t begin, n;
} Loose;

typedef struct {
  enum { TAKE, GIVE, PURGE } what;
  MalKeys keys;
  MalBusy busy;
  uint64_t removed;
} Change;

void mal_index_init(MalIndex *ix, uint32_t salt)
{
  *ix =
      (MalIndex){ .salt = salt, .at = MAL_BEGINNING, .n_segments = 1, .n_cells = 1, .n_pauses = 1 };
  ix->old = g_array_new(FALSE, FALSE, sizeof(Loose));
  ix->fresh = g_array_new(FALSE, FALSE, sizeof(Loose));
  ix->periods = g_array_new(FALSE, FALSE, sizeof(MalBusy));
}

void mal_index_clear(MalIndex *ix)
{
  g_free(ix->segments);
  g_free(ix->cells);
  g_free(ix->pauses);
  if (ix->old != NULL) {
    g_array_unref(ix->old);
    g_array_unref(ix->fresh);
    g_array_unref(ix->periods);
  }
  *ix = (MalIndex){ 0 };
}

size_t mal_index_bytes(const MalIndex *ix)
{
  return sizeof *ix + ix->max_segments * sizeof(MalSegment) +
         ix->max_cells * sizeof(MalCellOfPeriods) + ix->max_pauses * sizeof(MalPause);
}

/* ---- pools ---------------------------------------------------------------------------------- */

static uint32_t new_segment(MalIndex *ix)
{
  uint32_t id = ix->free_segments;
  ix->live++;
  if (id != 0) {
    ix->free_segments = ix->segments[id].left;
    return id;
  }
  if (ix->n_segments >= ix->max_segments) {
    ix->max_segments = mal_index_grown(ix->max_segments);
    ix->segments = g_realloc_n(ix->segments, ix->max_segments, sizeof(MalSegment));
  }
  return ix->n_segments++;
}

static uint32_t new_cell(MalIndex *ix)
{
  uint32_t id = ix->free_cells;
  ix->live_cells++;
  if (id != 0) {
    ix->free_cells = ix->cells[id].next;
    return id;
  }
  if (ix->n_cells >= ix->max_cells) {
    ix->max_cells = mal_index_grown(ix->max_cells);
    ix->cells = g_realloc_n(ix->cells, ix->max_cells, sizeof(MalCellOfPeriods));
  }
  return ix->n_cells++;
}

static void free_segment(MalIndex *ix, uint32_t id)
{
  for (uint32_t cell = ix->segments[id].more; cell != 0;) {
    uint32_t next = ix->cells[cell].next;
    ix->cells[cell].next = ix->free_cells;
    ix->free_cells = cell;
    ix->live_cells--;
    cell = next;
  }
  ix->segments[id].left = ix->free_segments;
  ix->free_segments = id;
  ix->live--;
}

/* ---- the treap ------------------------------------------------------------------------------ */

/* A stretch of keys at the reference instant: free at its beginning, at its end, and at most. */
typedef struct {
  uint64_t length, lead, trail, run;
} Stretch;

static Stretch stretch(uint64_t length, bool is_free)
{
  uint64_t n = is_free ? length : 0;
  return (Stretch){ length, n, n, n };
}

static Stretch append(Stretch a, Stretch b)
{
  return (Stretch){
    .length = a.length + b.length,
    .lead = a.lead == a.length ? a.length + b.lead : a.lead,
    .trail = b.trail == b.length ? b.length + a.trail : b.trail,
    .run = MAX(MAX(a.run, b.run), a.trail + b.lead),
  };
}

static Stretch stretch_of(const MalSegment *s)
{
  return (Stretch){ mal_keys_count(s->reach), s->lead, s->trail, s->run };
}

static void pull(MalIndex *ix, uint32_t id)
{
  MalSegment *s = &ix->segments[id];
  Stretch all = stretch(mal_keys_count(s->keys), !s->busy_at);
  s->reach = s->keys;
  s->gap = 0;
  s->head = s->busy.from;
  s->tail = mal_index_tail(ix, s);
  if (s->left != 0) {
    const MalSegment *left = &ix->segments[s->left];
    uint32_t gap = s->keys.first - left->reach.last - 1;
    all = append(append(stretch_of(left), stretch(gap, true)), all);
    s->reach.first = left->reach.first;
    s->gap = MAX(left->gap, gap);
    s->head = MAX(s->head, left->head);
    s->tail = MIN(s->tail, left->tail);
  }
  if (s->right != 0) {
    const MalSegment *right = &ix->segments[s->right];
    uint32_t gap = right->reach.first - s->keys.last - 1;
    all = append(append(all, stretch(gap, true)), stretch_of(right));
    s->reach.last = right->reach.last;
    s->gap = MAX(s->gap, MAX(right->gap, gap));
    s->head = MAX(s->head, right->head);
    s->tail = MIN(s->tail, right->tail);
  }
  s->lead = (uint32_t)MIN(all.lead, UINT32_MAX);
  s->trail = (uint32_t)MIN(all.trail, UINT32_MAX);
  s->run = (uint32_t)MIN(all.run, UINT32_MAX);
}

static bool is_busy_at(const MalIndex *ix, const MalSegment *s)
{
  uint32_t cursor = 0;
  for (const MalBusy *b = mal_index_next(ix, s, &cursor); b != NULL && b->from <= ix->at;
       b = mal_index_next(ix, s, &cursor)) {
    if (b->until > ix->at)
      return true;
  }
  return false;
}

static void recentre(MalIndex *ix, uint32_t id)
{
  if (id == 0)
    return;
  recentre(ix, ix->segments[id].left);
  recentre(ix, ix->segments[id].right);
  ix->segments[id].busy_at = is_busy_at(ix, &ix->segments[id]);
  pull(ix, id);
}

void mal_index_recentre(MalIndex *ix, MalTime at)
{
  ix->at = at;
  ix->walked = 0;
  recentre(ix, ix->root);
}

static uint32_t join(MalIndex *ix, uint32_t a, uint32_t b)
{
  if (a == 0 || b == 0)
    return a | b;
  if (mal_index_rank(ix, a) > mal_index_rank(ix, b)) {
    uint32_t right = join(ix, ix->segments[a].right, b);
    ix->segments[a].right = right;
    pull(ix, a);
    return a;
  }
  uint32_t left = join(ix, a, ix->segments[b].left);
  ix->segments[b].left = left;
  pull(ix, b);
  return b;
}

/* LOW gets the segments that end before KEY. */
static void split(MalIndex *ix, uint32_t id, uint64_t key, uint32_t *low, uint32_t *high)
{
  if (id == 0) {
    *low = *high = 0;
    return;
  }
  MalSegment *s = &ix->segments[id];
  uint32_t inner;
  if (s->keys.last < key) {
    split(ix, s->right, key, &inner, high);
    s->right = inner;
    *low = id;
  } else {
    split(ix, s->left, key, low, &inner);
    s->left = inner;
    *high = id;
  }
  pull(ix, id);
}

/* As split, but HIGH gets the segments that begin after KEY. */
static void split_after(MalIndex *ix, uint32_t id, uint64_t key, uint32_t *low, uint32_t *high)
{
  if (id == 0) {
    *low = *high = 0;
    return;
  }
  MalSegment *s = &ix->segments[id];
  uint32_t inner;
  if (s->keys.first > key) {
    split_after(ix, s->left, key, low, &inner);
    s->left = inner;
    *high = id;
  } else {
    split_after(ix, s->right, key, &inner, high);
    s->right = inner;
    *low = id;
  }
  pull(ix, id);
}

/* ---- change --------------------------------------------------------------------------------- */

static int compare_busy(const MalBusy *a, const MalBusy *b)
{
  if (a->from != b->from)
    return a->from < b->from ? -1 : 1;
  if (a->until != b->until)
    return a->until < b->until ? -1 : 1;
  if (a->owner != b->owner)
    return a->owner < b->owner ? -1 : 1;
  return a->plane == b->plane ? 0 : a->plane < b->plane ? -1 : 1;
}

/* Moves the subtree to ix->old, in order. */
static void loosen(MalIndex *ix, uint32_t id)
{
  if (id == 0)
    return;
  loosen(ix, ix->segments[id].left);
  const MalSegment *s = &ix->segments[id];
  uint32_t right = s->right;
  Loose loose = { s->keys, ix->periods->len, 0 };
  uint32_t cursor = 0;
  for (const MalBusy *b = mal_index_next(ix, s, &cursor); b != NULL;
       b = mal_index_next(ix, s, &cursor)) {
    g_array_append_val(ix->periods, *b);
    loose.n++;
  }
  g_array_append_val(ix->old, loose);
  mal_pauses_note(ix, s, false);
  free_segment(ix, id);
  loosen(ix, right);
}

static bool same_periods(const MalIndex *ix, Loose a, Loose b)
{
  if (a.n != b.n)
    return false;
  for (uint32_t i = 0; i < a.n; i++) {
    if (compare_busy(&g_array_index(ix->periods, MalBusy, a.begin + i),
                     &g_array_index(ix->periods, MalBusy, b.begin + i)) != 0)
      return false;
  }
  return true;
}

/* Appends to the new sequence, merging with what stands before where nothing differs. */
static void emit(MalIndex *ix, Loose loose)
{
  if (loose.n == 0)
    return;
  if (ix->fresh->len > 0) {
    Loose *before = &g_array_index(ix->fresh, Loose, ix->fresh->len - 1);
    if (before->keys.last + 1 == loose.keys.first && same_periods(ix, *before, loose)) {
      before->keys.last = loose.keys.last;
      return;
    }
  }
  g_array_append_val(ix->fresh, loose);
}

static bool is_removed(const Change *c, const MalBusy *b)
{
  if (c->what == PURGE)
    return b->plane == c->busy.plane;
  return b->plane == c->busy.plane && b->owner == c->busy.owner;
}

/* LOOSE, which lies inside the changed keys, with its periods as they are after the change. */
static Loose changed(MalIndex *ix, Change *c, Loose loose)
{
  Loose result = { loose.keys, ix->periods->len, 0 };
  bool added = c->what != TAKE;
  for (uint32_t i = 0; i < loose.n; i++) {
    MalBusy b = g_array_index(ix->periods, MalBusy, loose.begin + i);
    if (c->what != TAKE && is_removed(c, &b)) {
      c->removed += mal_keys_count(loose.keys);
      continue;
    }
    if (!added && compare_busy(&c->busy, &b) < 0) {
      g_array_append_val(ix->periods, c->busy);
      added = true;
    }
    g_array_append_val(ix->periods, b);
  }
  if (!added)
    g_array_append_val(ix->periods, c->busy);
  result.n = ix->periods->len - result.begin;
  return result;
}

static void emit_changed(MalIndex *ix, Change *c, uint64_t first, uint64_t last, const Loose *of)
{
  if (first > last)
    return;
  Loose part = of != NULL ? *of : (Loose){ .n = 0 };
  part.keys = (MalKeys){ (uint32_t)first, (uint32_t)last };
  emit(ix, changed(ix, c, part));
}

static void transform(MalIndex *ix, Change *c)
{
  uint64_t at = c->keys.first;
  uint64_t end = (uint64_t)c->keys.last + 1;
  for (uint32_t i = 0; i < ix->old->len; i++) {
    Loose loose = g_array_index(ix->old, Loose, i);
    uint64_t first = loose.keys.first, last = loose.keys.last;
    Loose part = loose;
    if (first < c->keys.first) {
      part.keys.last = (uint32_t)MIN(last, (uint64_t)c->keys.first - 1);
      emit(ix, part);
    }
    uint64_t in_first = MAX(first, at), in_last = MIN(last, end - 1);
    if (in_first <= in_last) {
      if (c->what == TAKE && in_first > at)
        emit_changed(ix, c, at, in_first - 1, NULL);
      emit_changed(ix, c, in_first, in_last, &loose);
      at = in_last + 1;
    }
    if (last >= end) {
      if (c->what == TAKE && at < end)
        emit_changed(ix, c, at, end - 1, NULL);
      at = end;
      part.keys = (MalKeys){ (uint32_t)MAX(first, end), (uint32_t)last };
      emit(ix, part);
    }
  }
  if (c->what == TAKE && at < end)
    emit_changed(ix, c, at, end - 1, NULL);
}

/* Stores all periods but the first, and when the last of all ends. */
static void store_more(MalIndex *ix, uint32_t id, Loose loose)
{
  uint32_t head = new_cell(ix);
  uint32_t before = head;
  MalTime tail = ix->segments[id].busy.until;
  for (uint32_t i = 1; i < loose.n; i++) {
    MalBusy b = g_array_index(ix->periods, MalBusy, loose.begin + i);
    tail = MAX(tail, b.until);
    uint32_t cell = new_cell(ix);
    ix->cells[cell].busy = b;
    ix->cells[before].next = cell;
    before = cell;
  }
  ix->cells[before].next = 0;
  ix->cells[head].tail = tail;
  ix->segments[id].more = head & 0x7fffffff;
}

static uint32_t fasten(MalIndex *ix, Loose loose)
{
  uint32_t id = new_segment(ix);
  ix->segments[id] = (MalSegment){ .keys = loose.keys };
  ix->segments[id].busy = g_array_index(ix->periods, MalBusy, loose.begin);
  if (loose.n > 1) {
    store_more(ix, id, loose);
    mal_pauses_note(ix, &ix->segments[id], true);
  }
  ix->segments[id].busy_at = is_busy_at(ix, &ix->segments[id]);
  pull(ix, id);
  return id;
}

/* Scratch that one huge change has blown up isn't kept. */
static void reset_scratch(GArray **array, guint element)
{
  if ((*array)->len > 4096) {
    g_array_unref(*array);
    *array = g_array_new(FALSE, FALSE, element);
  } else {
    g_array_set_size(*array, 0);
  }
}

static void change(MalIndex *ix, Change *c)
{
  uint32_t low, middle, high;
  /* The neighbours that only touch come along, because they may merge. */
  split(ix, ix->root, c->keys.first == 0 ? 0 : c->keys.first - 1, &low, &middle);
  split_after(ix, middle, (uint64_t)c->keys.last + 1, &middle, &high);
  loosen(ix, middle);
  transform(ix, c);
  uint32_t root = low;
  for (uint32_t i = 0; i < ix->fresh->len; i++)
    root = join(ix, root, fasten(ix, g_array_index(ix->fresh, Loose, i)));
  ix->root = join(ix, root, high);
  reset_scratch(&ix->old, sizeof(Loose));
  reset_scratch(&ix->fresh, sizeof(Loose));
  reset_scratch(&ix->periods, sizeof(MalBusy));
}

void mal_index_take(MalIndex *ix, MalKeys keys, MalBusy busy)
{
  g_assert(keys.first <= keys.last && busy.from < busy.until);
  Change c = { .what = TAKE, .keys = keys, .busy = busy };
  change(ix, &c);
}

uint64_t mal_index_give(MalIndex *ix, MalKeys keys, uint32_t owner, uint32_t plane)
{
  Change c = { .what = GIVE, .keys = keys, .busy = { .owner = owner, .plane = plane } };
  change(ix, &c);
  return c.removed;
}

void mal_index_purge(MalIndex *ix, MalKeys keys, uint32_t plane)
{
  Change c = { .what = PURGE, .keys = keys, .busy = { .plane = plane } };
  change(ix, &c);
}

/* ---- check ---------------------------------------------------------------------------------- */

typedef struct {
  uint32_t segments, cells, pauses;
  const MalSegment *before;
} Count;

static void check_periods(const MalIndex *ix, const MalSegment *s, Count *count)
{
  const MalBusy *before = NULL;
  uint32_t cursor = 0;
  MalTime tail = MAL_BEGINNING;
  if (s->more != 0)
    count->cells++;
  for (const MalBusy *b = mal_index_next(ix, s, &cursor); b != NULL;
       b = mal_index_next(ix, s, &cursor)) {
    g_assert(b->from < b->until);
    g_assert(before == NULL || compare_busy(before, b) <= 0);
    if (before != NULL)
      count->cells++;
    if (before != NULL && b->from > tail)
      count->pauses++;
    tail = MAX(tail, b->until);
    before = b;
  }
  g_assert(mal_index_tail(ix, s) == tail && s->busy_at == is_busy_at(ix, s));
}

static bool equal_segments(const MalIndex *ix, const MalSegment *a, const MalSegment *b)
{
  uint32_t x = 0, y = 0;
  for (;;) {
    const MalBusy *p = mal_index_next(ix, a, &x);
    const MalBusy *q = mal_index_next(ix, b, &y);
    if (p == NULL || q == NULL)
      return p == q;
    if (compare_busy(p, q) != 0)
      return false;
  }
}

static void check_subtree(const MalIndex *ix, uint32_t id, Count *count)
{
  if (id == 0)
    return;
  const MalSegment *s = &ix->segments[id];
  g_assert(id < ix->n_segments && s->keys.first <= s->keys.last);
  g_assert(s->left == 0 || mal_index_rank(ix, s->left) <= mal_index_rank(ix, id));
  g_assert(s->right == 0 || mal_index_rank(ix, s->right) <= mal_index_rank(ix, id));
  check_subtree(ix, s->left, count);
  if (count->before != NULL) {
    g_assert(count->before->keys.last < s->keys.first);
    g_assert(count->before->keys.last + 1 < s->keys.first || !equal_segments(ix, count->before, s));
  }
  count->before = s;
  count->segments++;
  check_periods(ix, s, count);
  check_subtree(ix, s->right, count);
  MalSegment was = *s;
  pull((MalIndex *)ix, id); /* writes what stands there already, or the comparison fails */
  g_assert(was.reach.first == s->reach.first && was.reach.last == s->reach.last &&
           was.gap == s->gap);
  g_assert(was.head == s->head && was.tail == s->tail);
  g_assert(was.run == s->run && was.lead == s->lead && was.trail == s->trail);
}

void mal_index_check(const MalIndex *ix)
{
  Count count = { 0 };
  check_subtree(ix, ix->root, &count);
  g_assert(count.segments == ix->live && count.cells == ix->live_cells);
  g_assert(count.pauses == ix->live_pauses && mal_pauses_check(ix) == count.pauses);
}
