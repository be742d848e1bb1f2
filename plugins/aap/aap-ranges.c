/* Unions of ranges, by one sweep over their sorted ends. */
#include "aap-ranges.h"

#include <stdlib.h>

static int by_first(const void *a, const void *b)
{
  const AapRange *x = a, *y = b;
  return mal_address_compare(x->span.first, y->span.first);
}

/* ---- a heap by value, greatest first, in the part of the array that was read already --------- */

static bool above(const AapRange *a, const AapRange *b)
{
  if (a->value != b->value)
    return a->value > b->value;
  return mal_address_compare(a->span.last, b->span.last) > 0;
}

static void heap_push(AapRange *heap, size_t *n, AapRange item)
{
  size_t at = (*n)++;

  for (; at > 0 && above(&item, &heap[(at - 1) / 2]); at = (at - 1) / 2)
    heap[at] = heap[(at - 1) / 2];
  heap[at] = item;
}

static void heap_pop(AapRange *heap, size_t *n)
{
  AapRange item = heap[--*n];
  size_t at = 0;

  for (size_t child = 1; child < *n; child = 2 * at + 1) {
    if (child + 1 < *n && above(&heap[child + 1], &heap[child]))
      child++;
    if (!above(&heap[child], &item))
      break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = item;
}

/* ---- union ----------------------------------------------------------------------------------- */

static bool touches(const AapRange *before, MalAddress first)
{
  return first.value - before->span.last.value == 1;
}

static void emit(AapRange *out, size_t *n, AapRange piece)
{
  if (*n > 0 && out[*n - 1].value == piece.value && touches(&out[*n - 1], piece.span.first))
    out[*n - 1].span.last = piece.span.last;
  else
    out[(*n)++] = piece;
}

/* Sweeps over the addresses. Each turn takes a range in or lets one go, so 2 * n pieces are the
   most. */
size_t aap_ranges_unite(AapRange *ranges, size_t n, AapRange *out)
{
  size_t read = 0, open = 0, pieces = 0;
  MalAddress at = mal_address_none();

  if (n > 0)
    qsort(ranges, n, sizeof *ranges, by_first);
  while (read < n || open > 0) {
    if (open == 0)
      at = ranges[read].span.first;
    while (read < n && mal_address_compare(ranges[read].span.first, at) <= 0) {
      AapRange next = ranges[read++];
      heap_push(ranges, &open, next);
    }
    if (mal_address_compare(ranges[0].span.last, at) < 0) {
      heap_pop(ranges, &open);
      continue;
    }
    AapRange piece = { { at, ranges[0].span.last }, ranges[0].value };
    if (read < n && mal_address_compare(ranges[read].span.first, piece.span.last) <= 0)
      mal_address_sub(ranges[read].span.first, 1, &piece.span.last);
    emit(out, &pieces, piece);
    if (!mal_address_add(piece.span.last, 1, &at))
      break;
  }
  return pieces;
}

/* The run of addresses from RANGES[*I] on, over neighbours of other values. */
static MalSpan take_run(const AapRange *ranges, size_t n, size_t *i)
{
  MalSpan run = ranges[(*i)++].span;

  for (; *i < n && touches(&ranges[*i - 1], ranges[*i].span.first); (*i)++)
    run.last = ranges[*i].span.last;
  return run;
}

bool aap_ranges_same_addresses(const AapRange *a, size_t n_a, const AapRange *b, size_t n_b)
{
  size_t i = 0, j = 0;

  while (i < n_a && j < n_b) {
    MalSpan x = take_run(a, n_a, &i), y = take_run(b, n_b, &j);
    if (!mal_address_equal(x.first, y.first) || !mal_address_equal(x.last, y.last))
      return false;
  }
  return i == n_a && j == n_b;
}

MalU128 aap_ranges_addresses(const AapRange *ranges, size_t n)
{
  MalU128 sum = 0;

  for (size_t i = 0; i < n; i++)
    if (__builtin_add_overflow(sum, mal_span_size(ranges[i].span), &sum))
      return ~(MalU128)0;
  return sum;
}

uint32_t aap_in_use_to_wire(MalU128 count)
{
  return count >= AAP_IN_USE_MANY ? AAP_IN_USE_MANY : (uint32_t)count;
}

guint aap_extents_from(const GArray *extents, MalAddress at)
{
  guint low = 0, high = extents->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (mal_address_compare(g_array_index(extents, AapExtent, middle).span.last, at) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
