/* The choice of addresses (3.2.7): what is free is gathered as runs of one class each (avoided or
   not, rank, end of the available range), and the best class that supplies all serves. */
#include "aap-record.h"

#include "aap-time.h"

#include <stdlib.h>

/* In the order in which they are used up. */
typedef struct {
  bool avoided;
  AapRank rank;
  MalTime end;
} Class;

typedef struct {
  MalSpan span;
  Class class;
  uint64_t luck; /* among runs of one size */
} Run;

static int class_compare(Class a, Class b)
{
  if (a.avoided != b.avoided)
    return a.avoided ? 1 : -1;
  if (a.rank != b.rank)
    return a.rank < b.rank ? -1 : 1;
  return (a.end > b.end) - (a.end < b.end);
}

/* Rank and avoidance, without the end: within one, ranges of several ends may be mixed. */
static bool same_tier(Class a, Class b)
{
  return a.avoided == b.avoided && a.rank == b.rank;
}

/* ---- gathering ------------------------------------------------------------------------------------- */

typedef struct {
  const AapChoice *choice;
  MalTime end;
  AapRank rank;
  GArray *runs; /* Run, by address */
} Gather;

static bool follows(MalAddress last, MalAddress first)
{
  MalAddress next;
  return mal_address_add(last, 1, &next) && mal_address_equal(next, first);
}

static void add_run(Gather *gather, MalSpan span, bool avoided)
{
  Run run = { span, { avoided, gather->rank, gather->end }, 0 };
  if (gather->runs->len > 0) {
    Run *before = &g_array_index(gather->runs, Run, gather->runs->len - 1);
    if (class_compare(before->class, run.class) == 0 && follows(before->span.last, span.first)) {
      before->span.last = span.last;
      return;
    }
  }
  g_array_append_val(gather->runs, run);
}

/* Cuts SPAN at the spans of SET: FUNC gets each part and whether it lies in SET. */
static void split(Gather *gather, MalSpan span, const GArray *set,
                  void (*func)(Gather *gather, MalSpan part, bool in))
{
  MalSpan next, in;
  MalAddress edge;
  for (;;) {
    if (set == NULL || !aap_spans_next(set, span.first, &next) ||
        !mal_span_intersect(next, span, &in)) {
      func(gather, span, false);
      return;
    }
    if (mal_address_compare(span.first, in.first) < 0 && mal_address_sub(in.first, 1, &edge))
      func(gather, (MalSpan){ span.first, edge }, false);
    func(gather, in, true);
    if (mal_address_equal(in.last, span.last) || !mal_address_add(in.last, 1, &span.first))
      return;
  }
}

static void not_ours(Gather *gather, MalSpan part, bool in)
{
  if (!in)
    split(gather, part, gather->choice->avoid, add_run);
}

static void not_excluded(Gather *gather, MalSpan part, bool in)
{
  if (!in)
    split(gather, part, gather->choice->ours, not_ours);
}

static void ranked(MalSpan span, AapRank rank, void *data)
{
  Gather *gather = data;
  gather->rank = rank;
  if (rank <= gather->choice->worst && rank < AAP_RANK_TAKEN)
    split(gather, span, gather->choice->excluded, not_excluded);
}

static GArray *runs_of(const AapChoice *choice, AapNow now)
{
  Gather gather = { .choice = choice, .runs = g_array_new(FALSE, FALSE, sizeof(Run)) };
  for (size_t i = 0; i < choice->n_available; i++) {
    const AapExtent *range = &choice->available[i];
    if (range->end < choice->end || aap_time_ended(range->end, now.wall))
      continue;
    gather.end = range->end;
    aap_record_ranks(choice->record, range->span, now, ranked, &gather);
  }
  return gather.runs;
}

/* ---- sums and luck ----------------------------------------------------------------------------------- */

static MalU128 sum(MalU128 a, MalU128 b)
{
  return a + b < b ? ~(MalU128)0 : a + b;
}

/* Uniform below BOUND, but for what 128 bits of luck leave of a huge one. */
static MalU128 draw(const AapChoice *choice, MalU128 bound)
{
  if (bound <= UINT32_MAX)
    return choice->random(choice->user, 0, (uint64_t)bound - 1);
  MalU128 bits = 0;
  for (unsigned i = 0; i < 4; i++)
    bits = bits << 32 | (uint32_t)choice->random(choice->user, 0, UINT32_MAX);
  return bits % bound;
}

/* ---- one block ----------------------------------------------------------------------------------------- */

typedef struct {
  bool below, above; /* ours ends right below, begins right above */
} Beside;

static Beside beside(const AapChoice *choice, MalSpan span)
{
  Beside out = { false, false };
  MalAddress at;
  if (choice->beside == NULL || choice->beside->len == 0)
    return out;
  if (mal_address_sub(span.first, 1, &at))
    out.below = aap_spans_overlap(choice->beside, (MalSpan){ at, at });
  if (mal_address_add(span.last, 1, &at))
    out.above = aap_spans_overlap(choice->beside, (MalSpan){ at, at });
  return out;
}

/* A block of COUNT in one of these RUNS: beside what is ours, else wherever it fits, each place as
   likely as each other. False: no run is that large. */
static bool one_block(const AapChoice *choice, const Run *runs, size_t n, uint64_t count,
                      MalSpan *block)
{
  MalU128 places = 0, sides = 0, at;
  for (size_t i = 0; i < n; i++) {
    MalU128 size = mal_span_size(runs[i].span);
    if (size < count)
      continue;
    Beside b = beside(choice, runs[i].span);
    places = sum(places, size - count + 1);
    sides += (MalU128)b.below + b.above;
  }
  if (places == 0)
    return false;
  at = draw(choice, sides > 0 ? sides : places);
  for (size_t i = 0; i < n; i++) {
    MalU128 size = mal_span_size(runs[i].span), here;
    if (size < count)
      continue;
    Beside b = beside(choice, runs[i].span);
    here = sides > 0 ? (MalU128)b.below + b.above : size - count + 1;
    if (at >= here) {
      at -= here;
      continue;
    }
    MalU128 skip = sides == 0 ? at : b.below && at == 0 ? 0 : size - count;
    mal_address_add(runs[i].span.first, skip, &block->first);
    mal_address_add(block->first, count - 1, &block->last);
    return true;
  }
  return false;
}

/* ---- a class ------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
  const Run *x = a, *y = b;
  MalU128 m = mal_span_size(x->span), n = mal_span_size(y->span);
  if (m != n)
    return m > n ? -1 : 1;
  return (x->luck > y->luck) - (x->luck < y->luck);
}

/* COUNT out of RUNS, which have as many, in as few blocks as may be: the largest whole until the rest
   fits in one of those that are left. */
static void serve(const AapChoice *choice, Run *runs, size_t n, uint64_t count, GArray *picks)
{
  MalSpan block;
  if (one_block(choice, runs, n, count, &block)) {
    g_array_append_val(picks, block);
    return;
  }
  for (size_t i = 0; i < n; i++)
    runs[i].luck = choice->random(choice->user, 0, UINT32_MAX);
  qsort(runs, n, sizeof *runs, by_size);
  for (size_t i = 0; i < n; i++) {
    MalU128 size = mal_span_size(runs[i].span);
    if (size >= count) {
      if (one_block(choice, runs + i, n - i, count, &block))
        g_array_append_val(picks, block);
      return;
    }
    g_array_append_val(picks, runs[i].span);
    count -= (uint64_t)size;
  }
}

static MalU128 supply(const Run *runs, size_t n)
{
  MalU128 all = 0;
  for (size_t i = 0; i < n; i++)
    all = sum(all, mal_span_size(runs[i].span));
  return all;
}

static size_t class_length(const Run *runs, size_t n)
{
  size_t length = 1;
  while (length < n && class_compare(runs[length].class, runs[0].class) == 0)
    length++;
  return length;
}

static size_t tier_length(const Run *runs, size_t n)
{
  size_t length = 1;
  while (length < n && same_tier(runs[length].class, runs[0].class))
    length++;
  return length;
}

/* The range with the shortest end that can supply all of COUNT does; where none can alone, they are
   used up in the order of their ends. */
static uint64_t serve_tier(const AapChoice *choice, Run *runs, size_t n, uint64_t count,
                           GArray *picks)
{
  uint64_t left = count;
  for (size_t i = 0, length; i < n; i += length) {
    length = class_length(runs + i, n - i);
    if (supply(runs + i, length) >= count) {
      serve(choice, runs + i, length, count, picks);
      return count;
    }
  }
  for (size_t i = 0, length; i < n && left > 0; i += length) {
    length = class_length(runs + i, n - i);
    uint64_t here = (uint64_t)MIN(supply(runs + i, length), (MalU128)left);
    serve(choice, runs + i, length, here, picks);
    left -= here;
  }
  return count - left;
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static int by_class(const void *a, const void *b)
{
  const Run *x = a, *y = b;
  int order = class_compare(x->class, y->class);
  return order != 0 ? order : mal_address_compare(x->span.first, y->span.first);
}

static int by_address(const void *a, const void *b)
{
  return mal_address_compare(((const MalSpan *)a)->first, ((const MalSpan *)b)->first);
}

uint64_t aap_choose(const AapChoice *choice, uint64_t count, AapNow now, GArray *spans)
{
  uint64_t left = count;
  if (count == 0)
    return 0;
  g_autoptr(GArray) found = runs_of(choice, now), picks = aap_spans_new();
  Run *runs = (Run *)(void *)found->data;
  if (found->len > 0)
    qsort(runs, found->len, sizeof *runs, by_class);
  for (size_t i = 0, length; i < found->len && left > 0; i += length) {
    length = tier_length(runs + i, found->len - i);
    left -= serve_tier(choice, runs + i, length, left, picks);
  }
  if (picks->len > 0)
    qsort(picks->data, picks->len, sizeof(MalSpan), by_address);
  for (guint i = 0; i < picks->len; i++)
    aap_spans_add(spans, g_array_index(picks, MalSpan, i));
  return count - left;
}
