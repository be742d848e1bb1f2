/* Interval maps and sets of spans against arrays. */
#include "plugins/aap/aap-intervals.h"
#include "tests/unit/aap-toy.h"

#include <criterion/criterion.h>

static const Toy toys[] = TOYS;

/* What the watch of a map saw. */
typedef struct {
  size_t count;
  MalU128 size;
} Seen;

static void seen(MalSpan span, const void *value, bool comes, void *data)
{
  Seen *s = data;
  MUST(*(const uint32_t *)value != 0);
  s->count += comes ? 1 : (size_t)-1;
  s->size += comes ? mal_span_size(span) : -mal_span_size(span);
}

typedef struct {
  const Toy *toy;
  const uint32_t *cells;
  MalSpan within;
  unsigned next; /* cell */
} Each;

static void visit(MalSpan span, void *value, void *data)
{
  Each *each = data;
  MUST(toy_fits(each->toy, span) && mal_span_contains(each->within, span));
  unsigned first = toy_cell(each->toy, span.first), last = toy_cell(each->toy, span.last);
  for (; each->next < first; each->next++)
    MUST(each->cells[each->next] == 0);
  for (; each->next <= last; each->next++)
    MUST(each->cells[each->next] == *(uint32_t *)value);
}

static void check_each(const Toy *toy, const AapIntervals *map, const uint32_t *cells, MalSpan span)
{
  Each each = { toy, cells, span, toy_cell(toy, span.first) };
  unsigned last = toy_cell(toy, span.last);
  bool any = false;
  aap_intervals_each(map, span, visit, &each);
  for (; each.next <= last; each.next++)
    MUST(cells[each.next] == 0);
  for (unsigned i = toy_cell(toy, span.first); i <= last; i++)
    any = any || cells[i] != 0;
  MUST(aap_intervals_overlaps(map, span) == any);
}

/* Stretches are as long as can be: that is what "neighbours join" means. */
static unsigned check_cells(const Toy *toy, const AapIntervals *map, const uint32_t *cells)
{
  unsigned stretches = 0;
  MalSpan span, next;
  void *next_value;
  for (unsigned i = 0; i < TOY_CELLS; i++) {
    MalAddress at = toy_address(toy, i);
    const uint32_t *value = aap_intervals_at(map, at, &span);
    MUST((value != NULL ? *value : 0) == cells[i]);
    stretches += cells[i] != 0 && (i == 0 || cells[i - 1] != cells[i]);
    unsigned k = i, e;
    while (k < TOY_CELLS && cells[k] == 0)
      k++;
    MUST(aap_intervals_next(map, at, &next, &next_value) == (k < TOY_CELLS));
    if (k == TOY_CELLS)
      continue;
    for (e = k; e + 1 < TOY_CELLS && cells[e + 1] == cells[k]; e++)
      continue;
    while (k > 0 && cells[k - 1] == cells[e])
      k--;
    MUST(mal_address_equal(next.first, toy_span(toy, k, e).first));
    MUST(mal_address_equal(next.last, toy_span(toy, k, e).last));
    MUST(*(uint32_t *)next_value == cells[k]);
  }
  return stretches;
}

static void check_cursor(const Toy *toy, const AapIntervals *map, const uint32_t *cells)
{
  Each each = { toy, cells, toy_all(toy), 0 };
  MalSpan span;
  void *value;
  for (AapCursor c = aap_intervals_cursor(map, toy_address(toy, 0));
       aap_cursor_get(c, &span, &value); aap_cursor_step(&c))
    visit(span, value, &each);
  for (; each.next < TOY_CELLS; each.next++)
    MUST(cells[each.next] == 0);
}

static void run_map(const Toy *toy, uint32_t seed)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  g_autoptr(AapIntervals) map = aap_intervals_new(sizeof(uint32_t), NULL);
  uint32_t cells[TOY_CELLS] = { 0 };
  Seen watch = { 0 };
  aap_intervals_watch(map, seen, &watch);
  for (unsigned step = 0; step < 400; step++) {
    MalSpan span = toy_random(toy, rand, step % 7 == 0 ? 200 : 12);
    uint32_t value = (uint32_t)g_rand_int_range(rand, 0, 4);
    MalU128 size = 0;
    if (value == 0)
      aap_intervals_remove(map, span);
    else
      aap_intervals_set(map, span, &value);
    for (unsigned i = toy_cell(toy, span.first); i <= toy_cell(toy, span.last); i++)
      cells[i] = value;
    if (step % 150 == 149) {
      aap_intervals_clear(map);
      memset(cells, 0, sizeof cells);
    }
    for (unsigned i = 0; i < TOY_CELLS; i++)
      size += cells[i] != 0 ? (MalU128)1 << toy->shift : 0;
    MUST(aap_intervals_count(map) == check_cells(toy, map, cells));
    MUST(aap_intervals_size(map) == size && watch.size == size);
    MUST(watch.count == aap_intervals_count(map));
    check_each(toy, map, cells, toy_random(toy, rand, 100));
    check_cursor(toy, map, cells);
  }
}

Test(aap_intervals, map_is_as_an_array)
{
  for (size_t t = 0; t < G_N_ELEMENTS(toys); t++)
    for (uint32_t seed = 1; seed <= 5; seed++)
      run_map(&toys[t], seed);
}

static bool both_odd_or_even(const void *a, const void *b)
{
  return (*(const uint32_t *)a ^ *(const uint32_t *)b) % 2 == 0;
}

Test(aap_intervals, equal_says_what_joins)
{
  const Toy toy = TOY_IPV4;
  g_autoptr(AapIntervals) map = aap_intervals_new(sizeof(uint32_t), both_odd_or_even);
  for (uint32_t i = 0; i < 3; i++) {
    uint32_t value = i == 2 ? 2 : 1 + 2 * i;
    aap_intervals_set(map, toy_span(&toy, i, i), &value);
  }
  MUST(aap_intervals_count(map) == 2);
}

Test(aap_intervals, sizes_saturate)
{
  const Toy toy = TOY_IPV6_HIGH;
  g_autoptr(AapIntervals) map = aap_intervals_new(1, NULL);
  g_autoptr(GArray) spans = aap_spans_new();
  MalSpan whole = { mal_address_make(MAL_IPV6, 0), toy_all(&toy).last };
  aap_intervals_set(map, whole, "");
  aap_spans_add(spans, whole);
  MUST(aap_intervals_size(map) == ~(MalU128)0);
  MUST(aap_spans_size(spans) == ~(MalU128)0);
  /* Two neighbours of two values. */
  aap_intervals_set(map, toy_all(&toy), "x");
  MUST(aap_intervals_count(map) == 2 && aap_intervals_size(map) == ~(MalU128)0);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void check_set(const Toy *toy, const GArray *spans, const bool *cells)
{
  unsigned at = 0;
  MalU128 size = 0;
  for (guint i = 0; i < spans->len; i++) {
    MalSpan span = g_array_index(spans, MalSpan, i);
    MUST(toy_fits(toy, span));
    unsigned first = toy_cell(toy, span.first), last = toy_cell(toy, span.last);
    MUST(i == 0 || first > at);
    for (; at < first; at++)
      MUST(!cells[at]);
    for (; at <= last; at++)
      MUST(cells[at]);
    size += mal_span_size(span);
  }
  for (; at < TOY_CELLS; at++)
    MUST(!cells[at]);
  MUST(aap_spans_size(spans) == size);
}

static void check_lookups(const Toy *toy, const GArray *spans, const bool *cells, MalSpan span)
{
  unsigned i = toy_cell(toy, span.first), last = toy_cell(toy, span.last), next = i;
  MalSpan found;
  bool any = false;
  for (; i <= last; i++)
    any = any || cells[i];
  MUST(aap_spans_overlap(spans, span) == any);
  while (next < TOY_CELLS && !cells[next])
    next++;
  MUST(aap_spans_next(spans, span.first, &found) == (next < TOY_CELLS));
  if (next < TOY_CELLS)
    MUST(mal_span_has(found, toy_address(toy, next)));
}

static void run_sets(const Toy *toy, uint32_t seed)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  g_autoptr(GArray) a = aap_spans_new(), b = aap_spans_new();
  bool in_a[TOY_CELLS] = { false }, in_b[TOY_CELLS] = { false }, both[TOY_CELLS];
  for (unsigned step = 0; step < 400; step++) {
    MalSpan span = toy_random(toy, rand, step % 7 == 0 ? 120 : 10);
    bool first = g_rand_boolean(rand), add = g_rand_int_range(rand, 0, 5) < 3;
    (add ? aap_spans_add : aap_spans_subtract)(first ? a : b, span);
    for (unsigned i = toy_cell(toy, span.first); i <= toy_cell(toy, span.last); i++)
      (first ? in_a : in_b)[i] = add;
    check_set(toy, a, in_a);
    check_set(toy, b, in_b);
    for (unsigned i = 0; i < TOY_CELLS; i++)
      both[i] = in_a[i] && in_b[i];
    g_autoptr(GArray) out = aap_spans_intersection(a, b);
    check_set(toy, out, both);
    MUST(aap_spans_equal(a, b) == (memcmp(in_a, in_b, sizeof in_a) == 0));
    MUST(aap_spans_equal(a, a));
    check_lookups(toy, a, in_a, toy_random(toy, rand, 8));
  }
}

Test(aap_intervals, sets_are_as_arrays)
{
  for (size_t t = 0; t < G_N_ELEMENTS(toys); t++)
    for (uint32_t seed = 1; seed <= 5; seed++)
      run_sets(&toys[t], seed);
}

/* ---- one span against an address ------------------------------------------------------------- */

/* What of cells 10 to 19 lies below and above; FIRST above LAST: nothing. */
Test(aap_intervals, what_lies_below_and_above)
{
  static const struct {
    unsigned at, below[2], above[2];
  } cases[] = {
    { 0, { 1, 0 }, { 10, 19 } },   { 9, { 1, 0 }, { 10, 19 } },   { 10, { 1, 0 }, { 11, 19 } },
    { 15, { 10, 14 }, { 16, 19 } }, { 19, { 10, 18 }, { 1, 0 } }, { 20, { 10, 19 }, { 1, 0 } },
    { 255, { 10, 19 }, { 1, 0 } },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const Toy toy = TOY_IPV4;
    MalSpan span = toy_span(&toy, 10, 19), out = span;
    MalAddress at = toy_address(&toy, cases[i].at);
    const unsigned *below = cases[i].below, *above = cases[i].above;
    cr_expect_eq(aap_span_below(span, at, &out), below[0] <= below[1], "%zu", i);
    if (below[0] <= below[1])
      cr_expect(toy_cell(&toy, out.first) == below[0] && toy_cell(&toy, out.last) == below[1]);
    else
      cr_expect(mal_address_equal(out.first, span.first), "untouched");
    out = span;
    cr_expect_eq(aap_span_above(span, at, &out), above[0] <= above[1], "%zu", i);
    if (above[0] <= above[1])
      cr_expect(toy_cell(&toy, out.first) == above[0] && toy_cell(&toy, out.last) == above[1]);
    else
      cr_expect(mal_address_equal(out.last, span.last), "untouched");
  }
}

Test(aap_intervals, nothing_follows_the_last_address_of_all)
{
  MalAddress top = mal_address_ipv4(UINT32_MAX);
  cr_expect(aap_follows(mal_address_ipv4(UINT32_MAX - 1), top));
  cr_expect_not(aap_follows(top, top));
  cr_expect_not(aap_follows(top, mal_address_ipv4(0)));
}

/* ---- what may be left out -------------------------------------------------------------------- */

Test(aap_intervals, who_looks_need_not_take_all)
{
  const Toy toy = TOY_IPV4;
  g_autoptr(AapIntervals) map = aap_intervals_new(sizeof(uint32_t), NULL);
  uint32_t value = 7;
  MalSpan span = { 0 };
  aap_intervals_free(NULL);
  aap_intervals_set(map, toy_span(&toy, 5, 9), &value);
  const uint32_t *found = aap_intervals_at(map, toy_address(&toy, 6), NULL);
  cr_expect(found != NULL && *found == 7);
  cr_expect(aap_intervals_next(map, toy_address(&toy, 0), &span, NULL));
  cr_expect_eq(toy_cell(&toy, span.first), 5);
}
