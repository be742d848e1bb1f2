/* The tree of busy segments: pools and structure. */
#include "allocator-index.h"

#include <string.h>

/* ---- pools ----------------------------------------------------------------------------------- */

static void grow_segments(MalIndex *ix)
{
  size_t old = (size_t)((char *)ix->segments - (char *)ix->space);
  size_t used = ix->n_segments * sizeof(MalSegment);
  ix->max_segments = mal_index_grown(ix->max_segments);
  ix->space = g_realloc(ix->space, ((size_t)ix->max_segments + 1) * sizeof(MalSegment));
  size_t offset = -(uintptr_t)ix->space % sizeof(MalSegment);
  if (ix->segments != NULL && offset != old)
    memmove((char *)ix->space + offset, (char *)ix->space + old, used);
  ix->segments = (MalSegment *)(void *)((char *)ix->space + offset);
}

uint32_t mal_segment_new(MalIndex *ix)
{
  uint32_t id = ix->free_segments;
  ix->live++;
  if (id != 0) {
    ix->free_segments = ix->segments[id].left;
    return id;
  }
  if (ix->n_segments >= ix->max_segments)
    grow_segments(ix);
  return ix->n_segments++;
}

uint32_t mal_cell_new(MalIndex *ix)
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

void mal_cells_free(MalIndex *ix, uint32_t id)
{
  MalSegment *s = &ix->segments[id];
  for (uint32_t cell = s->many ? s->more : 0; cell != 0;) {
    uint32_t next = ix->cells[cell].next;
    ix->cells[cell].next = ix->free_cells;
    ix->free_cells = cell;
    ix->live_cells--;
    cell = next;
  }
  s->many = 0;
}

void mal_segment_free(MalIndex *ix, uint32_t id)
{
  mal_cells_free(ix, id);
  ix->segments[id].left = ix->free_segments;
  ix->free_segments = id;
  ix->live--;
}

/* ---- the treap ------------------------------------------------------------------------------- */

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
  return (Stretch){ mal_keys_count(s->reach), mal_run_of(s, s->lead), mal_run_of(s, s->trail),
                    mal_run_of(s, s->run) };
}

MalTime mal_index_tail(const MalIndex *ix, const MalSegment *s)
{
  if (!s->many || mal_short_is_exact(s->until))
    return mal_time_of_short(s->until);
  MalTime tail = MAL_BEGINNING;
  for (uint32_t cell = s->more; cell != 0; cell = ix->cells[cell].next)
    tail = MAX(tail, ix->cells[cell].busy.until);
  return tail;
}

static uint32_t short_run(uint64_t n)
{
  return (uint32_t)MIN(n, MAL_SHORT_RUN);
}

void mal_index_pull(MalIndex *ix, uint32_t id)
{
  MalSegment *s = &ix->segments[id];
  Stretch all = stretch(mal_keys_count(s->keys), !s->busy_at);
  s->reach = s->keys;
  s->gap = 0;
  s->head = s->from;
  s->tail = s->until;
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
  s->lead = short_run(all.lead) & MAL_SHORT_RUN;
  s->trail = short_run(all.trail) & MAL_SHORT_RUN;
  s->run = short_run(all.run) & MAL_SHORT_RUN;
}

bool mal_index_is_busy_at(const MalIndex *ix, const MalSegment *s)
{
  MalCursor cursor = { 0 };
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
  ix->segments[id].busy_at = mal_index_is_busy_at(ix, &ix->segments[id]);
  mal_index_pull(ix, id);
}

void mal_index_recentre(MalIndex *ix, MalTime at)
{
  ix->at = at;
  ix->walked = 0;
  recentre(ix, ix->root);
}

uint32_t mal_segments_join(MalIndex *ix, uint32_t a, uint32_t b)
{
  if (a == 0 || b == 0)
    return a | b;
  if (mal_index_rank(ix, a) > mal_index_rank(ix, b)) {
    uint32_t right = mal_segments_join(ix, ix->segments[a].right, b);
    ix->segments[a].right = right;
    mal_index_pull(ix, a);
    return a;
  }
  uint32_t left = mal_segments_join(ix, a, ix->segments[b].left);
  ix->segments[b].left = left;
  mal_index_pull(ix, b);
  return b;
}

void mal_segments_split(MalIndex *ix, uint32_t id, uint64_t key, uint32_t *low, uint32_t *high)
{
  if (id == 0) {
    *low = *high = 0;
    return;
  }
  MalSegment *s = &ix->segments[id];
  uint32_t inner;
  if (s->keys.last < key) {
    mal_segments_split(ix, s->right, key, &inner, high);
    s->right = inner;
    *low = id;
  } else {
    mal_segments_split(ix, s->left, key, low, &inner);
    s->left = inner;
    *high = id;
  }
  mal_index_pull(ix, id);
}

void mal_segments_split_after(MalIndex *ix, uint32_t id, uint64_t key, uint32_t *low,
                              uint32_t *high)
{
  if (id == 0) {
    *low = *high = 0;
    return;
  }
  MalSegment *s = &ix->segments[id];
  uint32_t inner;
  if (s->keys.first > key) {
    mal_segments_split_after(ix, s->left, key, low, &inner);
    s->left = inner;
    *high = id;
  } else {
    mal_segments_split_after(ix, s->right, key, &inner, high);
    s->right = inner;
    *low = id;
  }
  mal_index_pull(ix, id);
}
