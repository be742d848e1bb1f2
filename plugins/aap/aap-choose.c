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
  uint64_t luck; /* among runs of one size */
} Run;

typedef struct {
  Class class;
  GArray *runs; /* Run, by address */
} Bucket;

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

/* ---- gathering ------------------------------------------------------------------------------- */

typedef struct {
  const AapChoice *choice;
  MalTime end;
  AapRank rank;
  GArray *buckets; /* Bucket: few, classes are ranks times ends */
  guint latest;
} Gather;

static void bucket_clear(void *data)
{
  g_array_unref(((Bucket *)data)->runs);
}

static GArray *runs_of_class(Gather *gather, Class class)
{
  for (guint i = 0; i < gather->buckets->len; i++) {
    guint at = (gather->latest + i) % gather->buckets->len;
    const Bucket *bucket = &g_array_index(gather->buckets, Bucket, at);
    if (class_compare(bucket->class, class) != 0)
      continue;
    gather->latest = at;
    return bucket->runs;
  }
  Bucket fresh = { class, g_array_new(FALSE, FALSE, sizeof(Run)) };
  gather->latest = gather->buckets->len;
  g_array_append_val(gather->buckets, fresh);
  return fresh.runs;
}

static void add_run(Gather *gather, MalSpan span, bool avoided)
{
  GArray *runs = runs_of_class(gather, (Class){ avoided, gather->rank, gather->end });
  Run run = { span, 0 };
  if (runs->len > 0) {
    Run *before = &g_array_index(runs, Run, runs->len - 1);
    if (aap_follows(before->span.last, span.first)) {
      before->span.last = span.last;
      return;
    }
  }
  g_array_append_val(runs, run);
}

/* Cuts SPAN at the spans of SET: FUNC gets each part and whether it lies in SET. */
static void split(Gather *gather, MalSpan span, const GArray *set,
                  void (*func)(Gather *gather, MalSpan part, bool in))
{
  MalSpan next, in, below;
  for (;;) {
    if (set == NULL || !aap_spans_next(set, span.first, &next) ||
        !mal_span_intersect(next, span, &in)) {
      func(gather, span, false);
      return;
    }
    if (aap_span_below(span, in.first, &below))
      func(gather, below, false);
    func(gather, in, true);
    if (!aap_span_above(span, in.last, &span))
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

static int by_class(const void *a, const void *b)
{
  return class_compare(((const Bucket *)a)->class, ((const Bucket *)b)->class);
}

static GArray *gather_all(const AapChoice *choice, AapNow now)
{
  Gather gather = { .choice = choice, .buckets = g_array_new(FALSE, FALSE, sizeof(Bucket)) };
  g_array_set_clear_func(gather.buckets, bucket_clear);
  for (size_t i = 0; i < choice->n_available; i++) {
    const AapExtent *range = &choice->available[i];
    if (range->end < choice->end || aap_time_ended(range->end, now.wall))
      continue;
    gather.end = range->end;
    aap_record_ranks(choice->record, range->span, now, ranked, &gather);
  }
  g_array_sort(gather.buckets, by_class);
  return gather.buckets;
}

/* ---- luck ------------------------------------------------------------------------------------ */

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

/* ---- one block ------------------------------------------------------------------------------- */

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
    places += size - count + 1;
    sides += (MalU128)b.below + b.above;
  }
  if (places == 0)
    return false;
  at = draw(choice, sides > 0 ? sides : places);
  for (size_t i = 0;; i++) {
    g_assert(i < n);
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
}

/* ---- a class --------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
  const Run *x = a, *y = b;
  MalU128 m = mal_span_size(x->span), n = mal_span_size(y->span);
  if (m != n)
    return m > n ? -1 : 1;
  return (x->luck > y->luck) - (x->luck < y->luck);
}

/* COUNT out of RUNS, which have as many, in as few blocks as may be: the largest whole until the
   rest fits in one of those that are left. */
static void serve(const AapChoice *choice, Run *runs, size_t n, uint64_t count, GArray *picks)
{
  MalSpan block = { 0 };
  if (one_block(choice, runs, n, count, &block)) {
    g_array_append_val(picks, block);
    return;
  }
  for (size_t i = 0; i < n; i++)
    runs[i].luck = choice->random(choice->user, 0, UINT32_MAX);
  qsort(runs, n, sizeof *runs, by_size);
  for (; mal_span_size(runs->span) < count; runs++, n--) {
    g_array_append_val(picks, runs->span);
    count -= (uint64_t)mal_span_size(runs->span);
  }
  one_block(choice, runs, n, count, &block);
  g_array_append_val(picks, block);
}

static MalU128 supply(const Bucket *bucket)
{
  MalU128 all = 0;
  for (guint i = 0; i < bucket->runs->len; i++)
    all += mal_span_size(g_array_index(bucket->runs, Run, i).span);
  return all;
}

static size_t tier_length(const Bucket *buckets, size_t n)
{
  size_t length = 1;
  while (length < n && same_tier(buckets[length].class, buckets[0].class))
    length++;
  return length;
}

static void serve_bucket(const AapChoice *choice, const Bucket *bucket, uint64_t count,
                         GArray *picks)
{
  serve(choice, (Run *)(void *)bucket->runs->data, bucket->runs->len, count, picks);
}

/* The range with the shortest end that can supply all of COUNT does; where none can alone, they are
   used up in the order of their ends. */
static uint64_t serve_tier(const AapChoice *choice, const Bucket *buckets, size_t n,
                           uint64_t count, GArray *picks)
{
  uint64_t left = count;
  for (size_t i = 0; i < n; i++)
    if (supply(&buckets[i]) >= count) {
      serve_bucket(choice, &buckets[i], count, picks);
      return count;
    }
  for (size_t i = 0; i < n && left > 0; i++) {
    uint64_t here = (uint64_t)MIN(supply(&buckets[i]), (MalU128)left);
    serve_bucket(choice, &buckets[i], here, picks);
    left -= here;
  }
  return count - left;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
  return mal_address_compare(((const MalSpan *)a)->first, ((const MalSpan *)b)->first);
}

uint64_t aap_choose(const AapChoice *choice, uint64_t count, AapNow now, GArray *spans)
{
  uint64_t left = count;
  if (count == 0)
    return 0;
  g_autoptr(GArray) found = gather_all(choice, now), picks = aap_spans_new();
  const Bucket *buckets = (const Bucket *)(void *)found->data;
  for (size_t i = 0, length; i < found->len && left > 0; i += length) {
    length = tier_length(buckets + i, found->len - i);
    left -= serve_tier(choice, buckets + i, length, left, picks);
  }
  g_array_sort(picks, by_address);
  for (guint i = 0; i < picks->len; i++)
    aap_spans_add(spans, g_array_index(picks, MalSpan, i));
  return count - left;
}
