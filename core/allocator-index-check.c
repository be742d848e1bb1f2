/* What must hold of the tree of busy segments after every change. */
#include "allocator-index.h"

typedef struct {
  uint32_t segments, cells, pauses;
  const MalSegment *before;
} Count;

static void check_periods(const MalIndex *ix, const MalSegment *s, Count *count)
{
  const MalBusy *before = NULL;
  MalCursor cursor = { 0 };
  MalTime tail = MAL_BEGINNING;
  uint32_t n = 0;
  for (const MalBusy *b = mal_index_next(ix, s, &cursor); b != NULL;
       b = mal_index_next(ix, s, &cursor)) {
    g_assert(b->from < b->until);
    g_assert(before == NULL || mal_busy_compare(before, b) <= 0);
    n++;
    if (before != NULL && b->from > tail)
      count->pauses++;
    tail = MAX(tail, b->until);
    before = b;
  }
  if (s->many)
    count->cells += n;
  g_assert(s->many || n == 1);
  g_assert(mal_index_tail(ix, s) == tail && s->busy_at == mal_index_is_busy_at(ix, s));
}

static bool equal_segments(const MalIndex *ix, const MalSegment *a, const MalSegment *b)
{
  MalCursor x = { 0 }, y = { 0 };
  for (;;) {
    const MalBusy *p = mal_index_next(ix, a, &x);
    const MalBusy *q = mal_index_next(ix, b, &y);
    if (p == NULL || q == NULL)
      return p == q;
    if (mal_busy_compare(p, q) != 0)
      return false;
  }
}

static void check_neighbours(const MalIndex *ix, const MalSegment *before, const MalSegment *s)
{
  if (before == NULL)
    return;
  g_assert(before->keys.last < s->keys.first);
  g_assert(before->keys.last + 1 < s->keys.first || !equal_segments(ix, before, s));
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
  check_neighbours(ix, count->before, s);
  count->before = s;
  count->segments++;
  check_periods(ix, s, count);
  check_subtree(ix, s->right, count);
  MalSegment was = *s;
  /* writes what stands there already, or the comparison fails */
  mal_index_pull((MalIndex *)ix, id);
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
