/* The choice of addresses against its rules, over random records (draft-ietf-malloc-aap-04 section
   3.2.7). */
#include "plugins/aap/aap-record.h"
#include "tests/unit/aap-toy.h"

#define NOW 5000000

static const Toy toys[] = TOYS;
static const AapParams params = { .end_tolerance_s = 10,
                                  .reuse_guard_s = 300,
                                  .claim_memory = 10 * AAP_US,
                                  .prealloc_recent = 90 * AAP_US,
                                  .max_entries = 100000 };
static const AapNow now = { 1000 * AAP_US, NOW };

static uint64_t luck(void *user, uint64_t low, uint64_t high)
{
  uint64_t draw = (uint64_t)g_rand_int(user) << 32 | g_rand_int(user);
  return high - low == UINT64_MAX ? draw : low + draw % (high - low + 1);
}

typedef struct {
  bool allowed, avoided, beside;
  AapRank rank;
  MalTime end;
} Cell;

typedef struct {
  Toy toy;
  GRand *rand;
  AapRecord *record;
  GArray *available, *excluded, *ours, *beside, *avoid;
  AapChoice choice;
  Cell cells[TOY_CELLS + 2]; /* one before and one behind: never allowed */
} World;

static int pick(World *w, int low, int high)
{
  return g_rand_int_range(w->rand, low, high);
}

/* ---- random worlds --------------------------------------------------------------------------- */

static void note_rank(MalSpan span, AapRank rank, void *data)
{
  World *w = data;
  for (unsigned i = toy_cell(&w->toy, span.first); i <= toy_cell(&w->toy, span.last); i++)
    w->cells[i + 1].rank = rank;
}

static GArray *some_spans(World *w, int n)
{
  GArray *spans = aap_spans_new();
  for (int i = pick(w, 0, n); i > 0; i--)
    aap_spans_add(spans, toy_random(&w->toy, w->rand, 12));
  return spans;
}

static void fill_record(World *w)
{
  for (int i = pick(w, 0, 25); i > 0; i--) {
    AapExtent range = { toy_random(&w->toy, w->rand, 10), NOW + 5000 };
    AapNow then = { now.mono - pick(w, 0, 180) * AAP_US, NOW };
    switch (pick(w, 0, 5)) {
    case 0:
    case 1:
      aap_record_in_use(w->record, toy_peer(1), &range, then);
      break;
    case 2:
      aap_record_claimed(w->record, toy_peer(1), 1, &range, 1, now);
      break;
    case 3:
      aap_record_ended(w->record, range.span, NOW - 10);
      break;
    default:
      aap_record_intend(w->record, toy_peer(1), (uint32_t)i, &range, 1, then);
      break;
    }
  }
}

static void fill_available(World *w)
{
  for (int i = 0; i < TOY_CELLS;) {
    int length = pick(w, 1, 100), last = MIN(i + length, TOY_CELLS) - 1;
    AapExtent range = { toy_span(&w->toy, (unsigned)i, (unsigned)last),
                        NOW + 1000 * pick(w, 0, 4) };
    if (pick(w, 0, 4) > 0)
      g_array_append_val(w->available, range);
    i = last + 1;
  }
}

static bool in(const GArray *spans, const Toy *toy, unsigned i)
{
  return aap_spans_overlap(spans, toy_span(toy, i, i));
}

static void world_init(World *w, const Toy *toy, uint32_t seed)
{
  *w = (World){ .toy = *toy,
                .rand = g_rand_new_with_seed(seed),
                .record = aap_record_new(toy->family, &params),
                .available = g_array_new(FALSE, FALSE, sizeof(AapExtent)) };
  fill_record(w);
  fill_available(w);
  w->excluded = some_spans(w, 4);
  w->ours = some_spans(w, 6);
  w->beside = pick(w, 0, 2) == 0 ? aap_spans_new() : some_spans(w, 6);
  w->avoid = some_spans(w, 4);
  const AapExtent *ranges = (const AapExtent *)(void *)w->available->data;
  aap_record_set_available(w->record, ranges, w->available->len);
  w->choice = (AapChoice){ .record = w->record,
                           .available = ranges,
                           .n_available = w->available->len,
                           .excluded = w->excluded,
                           .ours = w->ours,
                           .beside = w->beside,
                           .avoid = w->avoid,
                           .end = NOW + 1000 * pick(w, 1, 3),
                           .worst = pick(w, 0, 2) == 0 ? AAP_RANK_GUARDED : AAP_RANK_SILENT,
                           .random = luck,
                           .user = w->rand };
  aap_record_ranks(w->record, toy_all(toy), now, note_rank, w);
  for (unsigned i = 0; i < TOY_CELLS; i++) {
    Cell *cell = &w->cells[i + 1];
    cell->end = aap_record_available_until(w->record, toy_span(toy, i, i));
    cell->avoided = in(w->avoid, toy, i);
    cell->beside = in(w->beside, toy, i);
    cell->allowed = cell->end >= w->choice.end && cell->end > NOW &&
                    cell->rank <= w->choice.worst && !in(w->excluded, toy, i) &&
                    !in(w->ours, toy, i);
  }
}

static void world_clear(World *w)
{
  g_array_unref(w->available);
  g_array_unref(w->excluded);
  g_array_unref(w->ours);
  g_array_unref(w->beside);
  g_array_unref(w->avoid);
  aap_record_free(w->record);
  g_rand_free(w->rand);
}

/* ---- the rules ------------------------------------------------------------------------------- */

static unsigned tier(const Cell *cell)
{
  return (cell->avoided ? 16u : 0u) + cell->rank;
}

static bool is_class(const Cell *cell, unsigned of_tier, MalTime end)
{
  return cell->allowed && tier(cell) == of_tier && (end == MAL_FOREVER || cell->end == end);
}

static unsigned supply(const World *w, unsigned of_tier, MalTime end)
{
  unsigned n = 0;
  for (unsigned i = 1; i <= TOY_CELLS; i++)
    n += is_class(&w->cells[i], of_tier, end);
  return n;
}

/* How many blocks NEED cells of a class take at least. */
static unsigned fewest(const World *w, unsigned of_tier, MalTime end, unsigned need)
{
  unsigned lengths[TOY_CELLS + 1] = { 0 }, run = 0, blocks = 0;
  for (unsigned i = 1; i <= TOY_CELLS + 1; i++) {
    if (i <= TOY_CELLS && is_class(&w->cells[i], of_tier, end)) {
      run++;
    } else {
      lengths[run]++;
      run = 0;
    }
  }
  for (unsigned length = TOY_CELLS; length > 0 && need > 0; length--)
    for (; lengths[length] > 0 && need > 0; lengths[length]--, blocks++)
      need -= MIN(need, length);
  return blocks;
}

/* Whether a run of a class that has room for NEED touches what is preferred as neighbour. */
static bool could_touch(const World *w, unsigned of_tier, MalTime end, unsigned need)
{
  for (unsigned i = 1, last; i <= TOY_CELLS; i++) {
    if (!is_class(&w->cells[i], of_tier, end))
      continue;
    for (last = i; last < TOY_CELLS && is_class(&w->cells[last + 1], of_tier, end); last++)
      continue;
    if (last - i + 1 >= need && (w->cells[i - 1].beside || w->cells[last + 1].beside))
      return true;
    i = last;
  }
  return false;
}

/* The class was partly used: in as few blocks as may be, and beside what is ours. */
static void check_class(const World *w, const bool *chosen, unsigned of_tier, MalTime end,
                        unsigned taken)
{
  unsigned blocks = 0;
  bool touches = false, inside = false;
  for (unsigned i = 1; i <= TOY_CELLS + 1; i++) {
    bool here = i <= TOY_CELLS && chosen[i] && is_class(&w->cells[i], of_tier, end);
    blocks += here && !inside;
    touches = touches || (here && w->cells[i - 1].beside);
    touches = touches || (inside && !here && w->cells[i].beside);
    inside = here;
  }
  MUST(blocks == fewest(w, of_tier, end, taken));
  if (blocks == 1 && could_touch(w, of_tier, end, taken))
    MUST(touches);
}

static void check_tier(const World *w, const bool *chosen, unsigned of_tier, unsigned need)
{
  MalTime alone = MAL_BEGINNING;
  unsigned left = need;
  for (MalTime end = NOW + 3000; end > NOW; end -= 1000)
    if (supply(w, of_tier, end) >= need)
      alone = end;
  for (MalTime end = NOW + 1000; end <= NOW + 3000; end += 1000) {
    unsigned taken = 0, want = alone == MAL_BEGINNING ? MIN(left, supply(w, of_tier, end))
                                                      : (end == alone ? need : 0);
    for (unsigned i = 1; i <= TOY_CELLS; i++)
      taken += chosen[i] && is_class(&w->cells[i], of_tier, end);
    MUST(taken == want);
    left -= want;
    if (taken > 0)
      check_class(w, chosen, of_tier, end, taken);
  }
}

static void check(World *w, const GArray *spans, unsigned count, uint64_t got)
{
  bool chosen[TOY_CELLS + 2] = { false };
  unsigned left = count, n = 0;
  for (guint k = 0; k < spans->len; k++) {
    MalSpan span = g_array_index(spans, MalSpan, k);
    MUST(toy_fits(&w->toy, span));
    for (unsigned i = toy_cell(&w->toy, span.first); i <= toy_cell(&w->toy, span.last); i++, n++) {
      MUST(!chosen[i + 1] && w->cells[i + 1].allowed);
      chosen[i + 1] = true;
    }
  }
  MUST(n == got);
  for (unsigned t = 0; t < 32 && left > 0; t++) {
    unsigned need = MIN(left, supply(w, t, MAL_FOREVER));
    if (need > 0)
      check_tier(w, chosen, t, need);
    left -= need;
  }
  MUST(got == count - left);
}

Test(aap_choose, aap_101_113_114_115_116_random_records)
{
  for (size_t t = 0; t < G_N_ELEMENTS(toys); t++)
    for (uint32_t seed = 1; toys[t].shift == 0 && seed <= 500; seed++) {
      World w;
      world_init(&w, &toys[t], seed);
      g_autoptr(GArray) spans = aap_spans_new();
      unsigned count = (unsigned)pick(&w, 0, seed % 5 == 0 ? 300 : 40);
      check(&w, spans, count, aap_choose(&w.choice, count, now, spans));
      world_clear(&w);
    }
}

/* Cells of 2^104 addresses: counts don't end at 64 bits, places neither. */
Test(aap_choose, spans_of_2_to_the_112)
{
  for (size_t t = 0; t < G_N_ELEMENTS(toys); t++)
    for (uint32_t seed = 1; toys[t].shift > 0 && seed <= 300; seed++) {
      World w;
      MalU128 sum = 0;
      bool possible = false;
      world_init(&w, &toys[t], seed);
      g_autoptr(GArray) spans = aap_spans_new();
      uint64_t count = luck(w.rand, 1, seed % 2 == 0 ? UINT64_MAX : 1000);
      uint64_t got = aap_choose(&w.choice, count, now, spans);
      for (unsigned i = 1; i <= TOY_CELLS; i++)
        possible = possible || w.cells[i].allowed;
      MUST(got == (possible ? count : 0) && spans->len == (possible ? 1 : 0));
      for (guint k = 0; k < spans->len; k++) {
        MalSpan span = g_array_index(spans, MalSpan, k);
        for (unsigned i = toy_cell(&w.toy, span.first); i <= toy_cell(&w.toy, span.last); i++)
          MUST(w.cells[i + 1].allowed);
        sum += mal_span_size(span);
      }
      MUST(sum == got);
      world_clear(&w);
    }
}

/* Every place is as likely as every other: 249 places for 8 addresses in 256. */
Test(aap_choose, aap_116_at_random_among_equals)
{
  const Toy toy = TOY_IPV4;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  g_autoptr(GArray) none = aap_spans_new();
  AapExtent all = { toy_all(&toy), NOW + 1000 };
  AapChoice choice = { .record = record, .available = &all, .n_available = 1, .excluded = none,
                       .ours = none, .beside = none, .end = NOW + 1000,
                       .worst = AAP_RANK_SILENT, .random = luck, .user = rand };
  unsigned seen[TOY_CELLS] = { 0 };
  for (unsigned i = 0; i < 100 * 249; i++) {
    g_autoptr(GArray) spans = aap_spans_new();
    MUST(aap_choose(&choice, 8, now, spans) == 8 && spans->len == 1);
    seen[toy_cell(&toy, g_array_index(spans, MalSpan, 0).first)]++;
  }
  for (unsigned i = 0; i < 249; i++)
    MUST(seen[i] > 50 && seen[i] < 150);
  choice.end++;
  g_autoptr(GArray) spans = aap_spans_new();
  cr_expect_eq(aap_choose(&choice, 8, now, spans), 0, "no range lasts that long");
}

/* Whatever a caller would put up with; and nothing is needed beside it. */
Test(aap_choose, aap_115_what_another_allocated_is_never_chosen)
{
  const Toy toy = TOY_IPV4;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);
  g_autoptr(GArray) none = aap_spans_new(), spans = aap_spans_new();
  AapExtent all = { toy_all(&toy), NOW + 1000 }, theirs = { toy_span(&toy, 0, 199), NOW + 500 };
  AapChoice choice = { .record = record, .available = &all, .n_available = 1, .excluded = none,
                       .ours = none, .end = NOW + 1000, .worst = AAP_RANK_TAKEN,
                       .random = luck, .user = rand };
  cr_assert(aap_record_in_use(record, toy_peer(1), &theirs, now));
  cr_expect_eq(aap_choose(&choice, 100, now, spans), 56);
  cr_expect_not(aap_spans_overlap(spans, theirs.span));
}
