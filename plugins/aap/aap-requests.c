/* Requests of an ASRP, combined until they fit (section 3.2.10.3). Combining two neighbours in the
   order of end times is to let the earlier one go and add its count to the later one: gaps only
   grow, so that a heap of gaps may be out of date and is put right where that shows. */
#include "aap-ranges.h"

#include <stdlib.h>

/* A gap and the index of the request before it: the smallest gap first, the earliest among
   equals. */
#define KEY(gap, index) ((uint64_t)(gap) << 32 | (uint64_t)(index))

typedef struct {
  AapRequest *requests;
  size_t *next;             /* that are still there */
  uint64_t *heap;
  size_t n_heap;
} Gaps;

static int by_end_time(const void *a, const void *b)
{
  const AapRequest *x = a, *y = b;
  return (x->end_time > y->end_time) - (x->end_time < y->end_time);
}

static uint32_t sum32(uint32_t a, uint32_t b)
{
  return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static size_t drop_empty(AapRequest *requests, size_t n)
{
  size_t kept = 0;

  for (size_t i = 0; i < n; i++)
    if (requests[i].count > 0)
      requests[kept++] = requests[i];
  return kept;
}

static void sift_down(Gaps *g, size_t at, uint64_t key)
{
  for (size_t child = 2 * at + 1; child < g->n_heap; child = 2 * at + 1) {
    if (child + 1 < g->n_heap && g->heap[child + 1] < g->heap[child])
      child++;
    if (g->heap[child] >= key)
      break;
    g->heap[at] = g->heap[child];
    at = child;
  }
  g->heap[at] = key;
}

static uint64_t key_of(const Gaps *g, size_t index)
{
  return KEY(g->requests[g->next[index]].end_time - g->requests[index].end_time, index);
}

/* The request before the smallest gap; it has a successor. */
static size_t closest(Gaps *g)
{
  for (;;) {
    size_t index = (size_t)(g->heap[0] & UINT32_MAX);
    uint64_t key = key_of(g, index);
    if (key == g->heap[0]) {
      uint64_t moved = g->heap[--g->n_heap];
      if (g->n_heap > 0)
        sift_down(g, 0, moved);
      return index;
    }
    sift_down(g, 0, key);
  }
}

static void combine(AapRequest *requests, size_t n, size_t excess)
{
  g_autofree size_t *next = g_new(size_t, n);
  g_autofree size_t *before = g_new(size_t, n);
  g_autofree uint64_t *heap = g_new(uint64_t, n);
  Gaps g = { .requests = requests, .next = next, .heap = heap, .n_heap = n - 1 };

  for (size_t i = 0; i < n; i++) {
    next[i] = i + 1;
    before[i] = i - 1;      /* of the first: beyond n */
  }
  for (size_t i = 0; i + 1 < n; i++)
    heap[i] = key_of(&g, i);
  for (size_t i = g.n_heap; i-- > 0;)
    sift_down(&g, i, heap[i]);
  for (; excess > 0; excess--) {
    size_t gone = closest(&g), into = next[gone];
    requests[into].count = sum32(requests[into].count, requests[gone].count);
    requests[gone].count = 0;
    before[into] = before[gone];
    if (before[gone] < n)
      next[before[gone]] = into;
  }
}

size_t aap_requests_combine(AapRequest *requests, size_t n, size_t limit)
{
  n = drop_empty(requests, n);
  if (n == 0)
    return 0;
  qsort(requests, n, sizeof *requests, by_end_time);
  limit = MAX(limit, 1);
  if (n <= limit)
    return n;
  combine(requests, n, n - limit);
  return drop_empty(requests, n);
}
