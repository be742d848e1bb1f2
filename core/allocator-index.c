/* The tree of busy segments: change. Every change takes the segments that touch the changed keys
   out of the tree, makes their new sequence (cut, filled, merged where equal), and puts that back. */
#include "allocator-index.h"

#include <string.h>

/* A segment while it is outside the tree; its periods are in ix->periods. */
typedef struct {
  MalKeys keys;
  uint32_t begin, n;
} Loose;

typedef struct {
  enum { TAKE, RETAKE, GIVE, PURGE } what;
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
  g_free(ix->space);
  g_free(ix->cells);
  g_free(ix->pauses);
  g_array_unref(ix->old);
  g_array_unref(ix->fresh);
  g_array_unref(ix->periods);
  *ix = (MalIndex){ 0 };
}

size_t mal_index_bytes(const MalIndex *ix)
{
  return sizeof *ix + ix->max_segments * sizeof(MalSegment) +
         ix->max_cells * sizeof(MalCellOfPeriods) + ix->max_pauses * sizeof(MalPause);
}

/* ---- change ---------------------------------------------------------------------------------- */

int mal_busy_compare(const MalBusy *a, const MalBusy *b)
{
  if (a->from != b->from)
    return a->from < b->from ? -1 : 1;
  if (a->until != b->until)
    return a->until < b->until ? -1 : 1;
  if (a->owner != b->owner)
    return a->owner < b->owner ? -1 : 1;
  return a->plane == b->plane ? 0 : a->plane < b->plane ? -1 : 1;
}

static Loose copy_periods(MalIndex *ix, const MalSegment *s)
{
  Loose loose = { s->keys, ix->periods->len, 0 };
  MalCursor cursor = { 0 };
  for (const MalBusy *b = mal_index_next(ix, s, &cursor); b != NULL;
       b = mal_index_next(ix, s, &cursor)) {
    g_array_append_val(ix->periods, *b);
    loose.n++;
  }
  return loose;
}

/* Moves the subtree to ix->old, in order. */
static void loosen(MalIndex *ix, uint32_t id)
{
  if (id == 0)
    return;
  loosen(ix, ix->segments[id].left);
  const MalSegment *s = &ix->segments[id];
  uint32_t right = s->right;
  Loose loose = copy_periods(ix, s);
  g_array_append_val(ix->old, loose);
  mal_pauses_note(ix, s, false);
  mal_segment_free(ix, id);
  loosen(ix, right);
}

static bool same_periods(const MalIndex *ix, Loose a, Loose b)
{
  if (a.n != b.n)
    return false;
  for (uint32_t i = 0; i < a.n; i++) {
    if (mal_busy_compare(&g_array_index(ix->periods, MalBusy, a.begin + i),
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

static bool adds(const Change *c)
{
  return c->what == TAKE || c->what == RETAKE;
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
  bool added = !adds(c);
  for (uint32_t i = 0; i < loose.n; i++) {
    MalBusy b = g_array_index(ix->periods, MalBusy, loose.begin + i);
    if (c->what != TAKE && is_removed(c, &b)) {
      c->removed += mal_keys_count(loose.keys);
      continue;
    }
    if (!added && mal_busy_compare(&c->busy, &b) < 0) {
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
  g_assert(first <= last);
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
      part.keys.last = c->keys.first - 1; /* it reaches there at least: others stayed in the tree */
      emit(ix, part);
    }
    uint64_t in_first = MAX(first, at), in_last = MIN(last, end - 1);
    if (in_first <= in_last) {
      if (adds(c) && in_first > at)
        emit_changed(ix, c, at, in_first - 1, NULL);
      emit_changed(ix, c, in_first, in_last, &loose);
      at = in_last + 1;
    }
    if (last >= end) {
      if (adds(c) && at < end)
        emit_changed(ix, c, at, end - 1, NULL);
      at = end;
      part.keys = (MalKeys){ (uint32_t)end, (uint32_t)last };
      emit(ix, part);
    }
  }
  if (adds(c) && at < end)
    emit_changed(ix, c, at, end - 1, NULL);
}

static bool is_plain(const MalBusy *b)
{
  return mal_time_is_short(b->from) && mal_time_is_short(b->until) &&
         (b->plane < MAL_SHORT_PLANE || b->plane == MAL_PLANE_RESERVED);
}

static void set_cells(MalIndex *ix, uint32_t id, Loose loose)
{
  uint32_t after = 0;
  MalTime tail = MAL_BEGINNING;
  for (uint32_t i = loose.n; i-- > 0;) {
    const MalBusy *b = &g_array_index(ix->periods, MalBusy, loose.begin + i);
    uint32_t cell = mal_cell_new(ix);
    ix->cells[cell] = (MalCellOfPeriods){ *b, after };
    tail = MAX(tail, b->until);
    after = cell;
  }
  MalSegment *s = &ix->segments[id];
  s->many = 1;
  s->more = after;
  s->from = mal_short_up(ix->cells[after].busy.from) & MAL_SHORT_FOREVER;
  s->until = mal_short_down(tail) & MAL_SHORT_FOREVER;
}

static void set_periods(MalIndex *ix, uint32_t id, Loose loose)
{
  MalBusy b = g_array_index(ix->periods, MalBusy, loose.begin);
  MalSegment *s = &ix->segments[id];
  if (loose.n > 1 || !is_plain(&b)) {
    set_cells(ix, id, loose);
  } else {
    s->many = 0;
    s->owner = b.owner;
    s->plane = b.plane & MAL_SHORT_PLANE;
    s->from = mal_short_down(b.from) & MAL_SHORT_FOREVER;
    s->until = mal_short_down(b.until) & MAL_SHORT_FOREVER;
  }
  mal_pauses_note(ix, s, true);
  s->busy_at = mal_index_is_busy_at(ix, s);
}

static uint32_t fasten(MalIndex *ix, Loose loose)
{
  uint32_t id = mal_segment_new(ix);
  ix->segments[id] = (MalSegment){ .keys = loose.keys };
  set_periods(ix, id, loose);
  mal_index_pull(ix, id);
  return id;
}

/* ---- change of one whole segment, or of a gap: what nearly every change is ------------------- */

static uint32_t find(const MalIndex *ix, MalKeys keys)
{
  uint32_t id = ix->root;
  while (id != 0) {
    const MalSegment *s = &ix->segments[id];
    if (s->keys.last < keys.first)
      id = s->right;
    else if (s->keys.first > keys.last)
      id = s->left;
    else
      break;
  }
  return id;
}

static bool is_like(MalIndex *ix, uint32_t key, Loose loose)
{
  uint32_t id = find(ix, (MalKeys){ key, key });
  if (id == 0)
    return false;
  const MalSegment *s = &ix->segments[id];
  const MalBusy *first = &g_array_index(ix->periods, MalBusy, loose.begin);
  MalCursor cursor = { 0 };
  return mal_busy_compare(mal_index_next(ix, s, &cursor), first) == 0 &&
         same_periods(ix, copy_periods(ix, s), loose);
}

/* Would LOOSE merge with a neighbour? */
static bool merges(MalIndex *ix, Loose loose)
{
  return (loose.keys.first > 0 && is_like(ix, loose.keys.first - 1, loose)) ||
         (loose.keys.last < UINT32_MAX && is_like(ix, loose.keys.last + 1, loose));
}

static uint32_t insert(MalIndex *ix, uint32_t id, uint32_t fresh)
{
  uint32_t key = ix->segments[fresh].keys.first, low, high;
  if (id == 0)
    return fresh;
  if (mal_index_rank(ix, fresh) > mal_index_rank(ix, id)) {
    mal_segments_split(ix, id, key, &low, &high);
    ix->segments[fresh].left = low;
    ix->segments[fresh].right = high;
    mal_index_pull(ix, fresh);
    return fresh;
  }
  if (ix->segments[id].keys.last < key)
    ix->segments[id].right = insert(ix, ix->segments[id].right, fresh);
  else
    ix->segments[id].left = insert(ix, ix->segments[id].left, fresh);
  mal_index_pull(ix, id);
  return id;
}

static uint32_t without(MalIndex *ix, uint32_t id, uint32_t gone)
{
  MalSegment *s = &ix->segments[id];
  if (id == gone) {
    uint32_t rest = mal_segments_join(ix, s->left, s->right);
    mal_pauses_note(ix, s, false);
    mal_segment_free(ix, id);
    return rest;
  }
  if (s->keys.last < ix->segments[gone].keys.first)
    s->right = without(ix, s->right, gone);
  else
    s->left = without(ix, s->left, gone);
  mal_index_pull(ix, id);
  return id;
}

/* Upwards from CHANGED, as far as anything changes; whether it did at ID. */
static bool pull_to(MalIndex *ix, uint32_t id, uint32_t changed)
{
  MalSegment *s = &ix->segments[id];
  if (id != changed) {
    uint32_t below = s->keys.last < ix->segments[changed].keys.first ? s->right : s->left;
    if (!pull_to(ix, below, changed))
      return false;
  }
  MalSegment was = *s;
  mal_index_pull(ix, id);
  return id == changed || was.head != s->head || was.tail != s->tail || was.run != s->run ||
         was.lead != s->lead || was.trail != s->trail;
}

/* False where the change needs more, and nothing was done. */
static bool change_one(MalIndex *ix, Change *c)
{
  uint32_t id = find(ix, c->keys);
  MalKeys keys = id != 0 ? ix->segments[id].keys : c->keys;
  if (id == 0 && !adds(c))
    return true;
  if (keys.first != c->keys.first || keys.last != c->keys.last)
    return false;
  Loose before = id != 0 ? copy_periods(ix, &ix->segments[id]) : (Loose){ .keys = c->keys };
  Loose after = changed(ix, c, before);
  if (after.n == 0) {
    ix->root = without(ix, ix->root, id);
  } else if (merges(ix, after)) {
    c->removed = 0;
    return false;
  } else if (id == 0) {
    ix->root = insert(ix, ix->root, fasten(ix, after));
  } else {
    mal_pauses_note(ix, &ix->segments[id], false);
    mal_cells_free(ix, id);
    set_periods(ix, id, after);
    pull_to(ix, ix->root, id);
  }
  return true;
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
  bool done = change_one(ix, c);
  reset_scratch(&ix->periods, sizeof(MalBusy));
  if (done)
    return;
  /* The neighbours that only touch come along, because they may merge. */
  mal_segments_split(ix, ix->root, c->keys.first == 0 ? 0 : c->keys.first - 1, &low, &middle);
  mal_segments_split_after(ix, middle, (uint64_t)c->keys.last + 1, &middle, &high);
  loosen(ix, middle);
  transform(ix, c);
  uint32_t root = low;
  for (uint32_t i = 0; i < ix->fresh->len; i++)
    root = mal_segments_join(ix, root, fasten(ix, g_array_index(ix->fresh, Loose, i)));
  ix->root = mal_segments_join(ix, root, high);
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

uint64_t mal_index_retake(MalIndex *ix, MalKeys keys, MalBusy busy)
{
  g_assert(keys.first <= keys.last && busy.from < busy.until);
  Change c = { .what = RETAKE, .keys = keys, .busy = busy };
  change(ix, &c);
  return c.removed;
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
