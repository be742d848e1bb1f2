/* The allocator against a naive model: every address with a list of what is busy on it, every
   question answered by looking at all of them. Ranges are small and chosen so that they share
   Ethernet groups across scopes and within one, cross plane borders, flood-prone groups, and the
   top of a scope. */
#include "core/allocator.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_ADDRESSES 1400
#define HORIZON 60            /* beyond every finite instant of the test */

typedef struct { MalTime from, until; uint32_t owner; } Held;

typedef struct {
  MalAddress address;
  unsigned range;
  uint32_t group;
  bool never;                 /* flood-prone, top of the scope, wrong group id */
  GArray *held;               /* Held */
} Spot;

typedef struct { unsigned scope; MalTime until; bool on; MalSpan at; } ModelRange;
typedef struct { MalSpan span; bool reserved, on; } ModelBlock;
typedef struct { MalBlock block; uint32_t owner; } Taken;

typedef struct {
  MalEthernetPolicy policy;
  MalTime epoch;              /* the model's 0, as the allocator is told */
  MalAllocator *a;
  MalScope scopes[4];
  ModelRange ranges[8];
  ModelBlock blocks[8];
  Spot spots[MAX_ADDRESSES];
  size_t n_spots;
  GArray *taken;
  uint32_t last_owner;
  GRand *rand;
} Model;

/* The allocator keeps instants in 40 bits where they fit: nobody may see where they don't. */
static MalTime told(const Model *m, MalTime t)
{
  return t == MAL_BEGINNING || t == MAL_FOREVER ? t : t + m->epoch;
}

static MalTime heard(const Model *m, MalTime t)
{
  return t == MAL_BEGINNING || t == MAL_FOREVER ? t : t - m->epoch;
}

static MalFit told_fit(const Model *m, MalFit fit)
{
  fit.from = told(m, fit.from);
  fit.until = told(m, fit.until);
  return fit;
}

static const struct { const char *first, *last; uint32_t id_first, id_last; } scope_table[] = {
  { "239.1.0.0", "239.128.1.255", 0, 0 },
  { "239.129.0.0", "239.130.255.255", 0, 0 },
  { "ff15::", "ff15::ffff:ffff:ffff", 0x80000000, 0x8000004f },
  { "ff18::", "ff18::ffff:ffff:ffff", 0x80000000, 0x8fffffff },
};

static const struct { unsigned scope; const char *span; MalTime until; } range_table[] = {
  { 0, "239.1.1.0-239.1.1.63", 20 },
  { 0, "239.1.1.200-239.1.1.231", MAL_FOREVER },
  { 0, "239.127.255.230-239.128.1.15", 30 },
  { 1, "239.129.1.16-239.129.1.79", 30 },
  { 1, "239.129.1.80-239.129.1.210", MAL_FOREVER },
  { 2, "ff15::7fff:fff8-ff15::8000:6f", 30 },
  { 2, "ff15::1:8000:10-ff15::1:8000:5f", MAL_FOREVER },
  { 3, "ff18::7:8000:20-ff18::7:8000:3f", MAL_FOREVER },
};

static const struct { const char *span; bool reserved;
} block_table[] = {
  { "239.1.1.5-239.1.1.9", true },
  { "239.1.1.8-239.1.1.12", false },
  { "239.7.1.20-239.7.1.22", true },
  { "239.129.1.60-239.129.1.90", false },
  { "ff15::1:8000:30-ff15::1:8000:33", true },
  { "ff1e::8000:40-ff1e::8000:44", true },
  { "ff15::8000:9", false },
  { "239.255.1.100", true },
};

static uint32_t group_of(MalAddress address)
{
  return (uint32_t)address.value & (address.family == MAL_IPV4 ? 0x7fffff : 0xffffffff);
}

static bool is_never(const MalScope *scope, MalAddress address)
{
  if (address.family == MAL_IPV6)
    return group_of(address) < scope->group_id_first || group_of(address) > scope->group_id_last;
  return group_of(address) < 256 || address.value + 256 > scope->span.last.value;
}

static void add_model_range(Model *m, unsigned r)
{
  GError *error = NULL;
  ModelRange *range = &m->ranges[r];
  cr_assert(mal_allocator_add_range(m->a, &m->scopes[range->scope], range->at,
                                    told(m, range->until), &error));
  range->on = true;
}

static void add_spots(Model *m, unsigned r)
{
  const ModelRange *range = &m->ranges[r];
  for (MalU128 v = range->at.first.value; v <= range->at.last.value; v++) {
    MalAddress address = mal_address_make(range->at.first.family, v);
    cr_assert_lt(m->n_spots, MAX_ADDRESSES);
    m->spots[m->n_spots++] = (Spot){
      .address = address, .range = r, .group = group_of(address),
      .never = is_never(&m->scopes[range->scope], address),
      .held = g_array_new(FALSE, FALSE, sizeof(Held)),
    };
  }
}

static Model *model_new(MalEthernetPolicy policy, uint32_t seed, MalTime epoch)
{
  Model *m = g_new0(Model, 1);
  m->policy = policy;
  m->epoch = epoch;
  m->a = mal_allocator_new(policy, seed);
  m->rand = g_rand_new_with_seed(seed);
  m->taken = g_array_new(FALSE, FALSE, sizeof(Taken));
  for (unsigned i = 0; i < COUNT(scope_table); i++) {
    MalScope *scope = &m->scopes[i];
    scope->index = i;
    cr_assert(mal_address_parse(scope_table[i].first, &scope->span.first, NULL));
    cr_assert(mal_address_parse(scope_table[i].last, &scope->span.last, NULL));
    scope->group_id_first = scope_table[i].id_first;
    scope->group_id_last = scope_table[i].id_last;
  }
  for (unsigned i = 0; i < COUNT(range_table); i++) {
    m->ranges[i].scope = range_table[i].scope;
    m->ranges[i].until = range_table[i].until;
    cr_assert(mal_span_parse(range_table[i].span, &m->ranges[i].at, NULL));
    add_model_range(m, i);
    add_spots(m, i);
  }
  for (unsigned i = 0; i < COUNT(block_table); i++) {
    m->blocks[i].reserved = block_table[i].reserved;
    cr_assert(mal_span_parse(block_table[i].span, &m->blocks[i].span, NULL));
  }
  return m;
}

static void model_free(Model *m)
{
  for (size_t i = 0; i < m->n_spots; i++)
    g_array_unref(m->spots[i].held);
  g_array_unref(m->taken);
  g_rand_free(m->rand);
  mal_allocator_free(m->a);
  g_free(m);
}

/* ---- what the model says --------------------------------------------------------------------- */

static bool held_over(const Spot *spot, const MalFit *fit)
{
  for (guint i = 0; i < spot->held->len; i++) {
    const Held *h = &g_array_index(spot->held, Held, i);
    if (h->from < fit->until && h->until > fit->from
        && (fit->ignore_owner == 0 || h->owner != fit->ignore_owner))
      return true;
  }
  return false;
}

static bool blocked_out(const Model *m, const Spot *spot, bool excluded, bool reserved)
{
  for (size_t i = 0; i < COUNT(m->blocks); i++) {
    const ModelBlock *b = &m->blocks[i];
    if (b->on && (b->reserved ? reserved : excluded) && mal_span_has(b->span, spot->address))
      return true;
  }
  return false;
}

static bool shares_group(const Model *m, const Spot *spot, const MalFit *fit)
{
  for (size_t i = 0; i < m->n_spots; i++) {
    const Spot *other = &m->spots[i];
    if (other != spot && other->group == spot->group
        && other->address.family == spot->address.family && held_over(other, fit))
      return true;
  }
  for (size_t i = 0; i < COUNT(m->blocks); i++) {
    const ModelBlock *b = &m->blocks[i];
    if (!b->on || !b->reserved || b->span.first.family != spot->address.family)
      continue;
    for (MalU128 v = b->span.first.value; v <= b->span.last.value; v++) {
      if (group_of(mal_address_make(b->span.first.family, v)) == spot->group)
        return true;
    }
  }
  return false;
}

static bool usable(const Model *m, const Spot *spot, const MalFit *fit)
{
  const ModelRange *range = &m->ranges[spot->range];
  return range->on && range->scope == fit->scope && range->until >= fit->until && !spot->never &&
         !blocked_out(m, spot, true, true);
}

/* DISTINCT: by the eyes of that policy; else of the address alone. */
static bool grantable(const Model *m, const Spot *spot, const MalFit *fit, bool distinct)
{
  return usable(m, spot, fit) && !held_over(spot, fit) && !(distinct && shares_group(m, spot, fit));
}

static void grantable_all(const Model *m, const MalFit *fit, bool distinct, bool *out)
{
  for (size_t i = 0; i < m->n_spots; i++)
    out[i] = grantable(m, &m->spots[i], fit, distinct);
}

static const Spot *spot_at(const Model *m, MalAddress address)
{
  for (size_t i = 0; i < m->n_spots; i++) {
    if (mal_address_equal(m->spots[i].address, address))
      return &m->spots[i];
  }
  return NULL;
}

/* How many addresses could be given all at once. */
static uint32_t model_count(const Model *m, const MalFit *fit)
{
  bool distinct = m->policy == MAL_ETHERNET_DISTINCT;
  bool can[MAX_ADDRESSES];
  uint32_t n = 0;
  grantable_all(m, fit, distinct, can);
  for (size_t i = 0; i < m->n_spots; i++) {
    bool again = false;
    for (size_t k = 0; k < i && distinct && can[i]; k++)
      again |= can[k] && m->spots[k].group == m->spots[i].group;
    n += can[i] && !again;
  }
  return n;
}

/* The longest run in ranges that end at UNTIL (MAL_BEGINNING: in any). */
static uint32_t model_run(const Model *m, const MalFit *fit, bool distinct, MalTime until)
{
  bool can[MAX_ADDRESSES];
  uint32_t run = 0, best = 0;
  grantable_all(m, fit, distinct, can);
  for (size_t i = 0; i < m->n_spots; i++) {
    bool counts = can[i] && (until == MAL_BEGINNING || m->ranges[m->spots[i].range].until == until);
    if (!counts || (i > 0 && m->spots[i - 1].range != m->spots[i].range))
      run = 0;
    run += counts;
    best = MAX(best, run);
  }
  return best;
}

static uint32_t count_or_run(const Model *m, const MalFit *fit)
{
  return fit->count == 1 ? model_run(m, fit, m->policy == MAL_ETHERNET_DISTINCT, MAL_BEGINNING)
                         : model_count(m, fit);
}

/* ---- questions ------------------------------------------------------------------------------- */

static MalFit any_fit(Model *m)
{
  static const uint32_t counts[] = { 1, 1, 2, 3, 5, 8, 16, 30, 60, 200 };
  MalFit fit = { .scope = (unsigned)g_rand_int_range(m->rand, 0, 4) };
  fit.from = g_rand_int_range(m->rand, 0, 30);
  fit.until = fit.from + g_rand_int_range(m->rand, 1, 16);
  if (g_rand_int_range(m->rand, 0, 12) == 0)
    fit.until = MAL_FOREVER;
  if (g_rand_int_range(m->rand, 0, 40) == 0)
    fit.from = MAL_BEGINNING;
  fit.count = counts[g_rand_int_range(m->rand, 0, COUNT(counts))];
  if (m->taken->len > 0 && g_rand_int_range(m->rand, 0, 5) == 0)
    fit.ignore_owner =
        g_array_index(m->taken, Taken, g_rand_int_range(m->rand, 0, (gint32)m->taken->len)).owner;
  return fit;
}

static MalBlock any_block(Model *m)
{
  const Spot *spot = &m->spots[g_rand_int_range(m->rand, 0, (gint32)m->n_spots)];
  return mal_block_make(spot->address, (uint32_t)g_rand_int_range(m->rand, 1, 9));
}

static void expect_block_free(const Model *m, const MalFit *fit, MalBlock block, bool distinct)
{
  for (uint32_t i = 0; i < block.count; i++) {
    const Spot *spot = spot_at(m, mal_address_make(block.first.family, block.first.value + i));
    cr_assert(spot != NULL && grantable(m, spot, fit, distinct), "gave what isn't free");
  }
}

static void ask_run(Model *m, const MalFit *fit)
{
  MalBlock block;
  MalFit at = told_fit(m, *fit);
  bool found = mal_allocator_find_run(m->a, &at, &block);
  bool distinct = m->policy != MAL_ETHERNET_IGNORE;
  uint32_t best = model_run(m, fit, distinct, MAL_BEGINNING);
  if (best < fit->count && m->policy == MAL_ETHERNET_PREFER) {
    distinct = false;
    best = model_run(m, fit, false, MAL_BEGINNING);
  }
  cr_assert_eq(found, best >= fit->count, "run of %u, the model has %u", fit->count, best);
  if (!found)
    return;
  cr_assert_eq(block.count, fit->count);
  expect_block_free(m, fit, block, distinct);
  static const MalTime ends[] = { 20, 30, MAL_FOREVER };
  MalTime until = m->ranges[spot_at(m, block.first)->range].until;
  for (size_t i = 0; ends[i] < until; i++)
    cr_assert_lt(model_run(m, fit, distinct, ends[i]), fit->count,
                 "a range with an earlier end suffices");
}

static GArray *ask_some(Model *m, const MalFit *fit)
{
  GArray *blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  uint32_t min = (uint32_t)g_rand_int_range(m->rand, 1, (gint32)fit->count + 1);
  MalFit at = told_fit(m, *fit);
  uint32_t got = mal_allocator_find(m->a, &at, min, blocks);
  uint32_t most = MIN(model_count(m, fit), fit->count);
  cr_assert_eq(got, most >= min ? most : 0, "%u of %u (%u), the model has %u", got, fit->count, min,
               most);
  uint32_t sum = 0;
  g_autoptr(GHashTable) groups = g_hash_table_new(NULL, NULL);
  for (guint i = 0; i < blocks->len; i++) {
    MalBlock block = g_array_index(blocks, MalBlock, i);
    expect_block_free(m, fit, block, m->policy == MAL_ETHERNET_DISTINCT);
    if (i > 0) {
      MalBlock before = g_array_index(blocks, MalBlock, i - 1);
      cr_assert(before.first.value + before.count < block.first.value,
                "sorted, disjoint, not adjacent");
    }
    for (uint32_t k = 0; k < block.count; k++, sum++) {
      uint32_t group = group_of(mal_address_make(block.first.family, block.first.value + k));
      bool fresh = g_hash_table_add(groups, GUINT_TO_POINTER(group));
      cr_assert(fresh || m->policy != MAL_ETHERNET_DISTINCT, "two of one group in one answer");
    }
  }
  cr_assert_eq(sum, got);
  return blocks;
}

static void ask_named(Model *m, const MalFit *fit)
{
  MalBlock block = any_block(m);
  bool expected = true;
  for (uint32_t i = 0; i < block.count; i++) {
    const Spot *spot = spot_at(m, mal_address_make(block.first.family, block.first.value + i));
    expected &= spot != NULL && grantable(m, spot, fit, m->policy == MAL_ETHERNET_DISTINCT);
  }
  MalFit at = told_fit(m, *fit);
  cr_assert_eq(mal_allocator_is_free(m->a, &at, block), expected);
}

static void ask_shortage(Model *m, const MalFit *fit)
{
  MalShortage got, want = { 0 };
  for (size_t i = 0; i < m->n_spots; i++) {
    const Spot *spot = &m->spots[i];
    const ModelRange *range = &m->ranges[spot->range];
    if (!range->on || range->scope != fit->scope || spot->never
        || blocked_out(m, spot, true, false))
      continue;
    want.owned++;
    if (range->until < fit->until)
      want.ends_too_early++;
    else if (blocked_out(m, spot, false, true))
      want.reserved++;
    else if (held_over(spot, fit))
      want.leased++;
    else {
      want.free++;
      want.free_ethernet += m->policy != MAL_ETHERNET_IGNORE && shares_group(m, spot, fit);
    }
  }
  want.longest_run = model_run(m, fit, m->policy == MAL_ETHERNET_DISTINCT, MAL_BEGINNING);
  MalFit at = told_fit(m, *fit);
  mal_allocator_shortage(m->a, &at, &got);
  cr_assert_eq(got.owned, want.owned);
  cr_assert_eq(got.ends_too_early, want.ends_too_early);
  cr_assert_eq(got.reserved, want.reserved);
  cr_assert_eq(got.leased, want.leased, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, got.leased,
               want.leased);
  cr_assert_eq(got.free, want.free);
  cr_assert_eq(got.free_ethernet, want.free_ethernet);
  cr_assert_eq(got.longest_run, want.longest_run, "%u %u", got.longest_run, want.longest_run);
}

static void ask_longest(Model *m, MalFit fit)
{
  MalFit asked = told_fit(m, fit);
  MalTime got = heard(m, mal_allocator_longest_until(m->a, &asked));
  MalTime want = MAL_BEGINNING;
  MalTime first = MAX(fit.from, -1);
  for (MalTime until = first + 1; until <= HORIZON; until++) {
    MalFit at = fit;
    at.until = until;
    if (count_or_run(m, &at) < fit.count)
      break;
    want = until == HORIZON ? MAL_FOREVER : until;
  }
  /* Nothing begins before 0, so from the beginning the answer lies there at the earliest. */
  if (fit.from == MAL_BEGINNING && want == MAL_BEGINNING)
    cr_assert_lt(got, 1);
  else
    cr_assert_eq(got, want, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, got, want);
}

static void ask_earliest(Model *m, MalFit fit)
{
  if (fit.from == MAL_BEGINNING)
    fit.from = 0;
  MalTime latest = fit.from + g_rand_int_range(m->rand, 0, 25);
  MalFit asked = told_fit(m, fit);
  MalTime got = heard(m, mal_allocator_earliest(m->a, &asked, told(m, latest)));
  MalTime want = MAL_FOREVER;
  for (MalTime from = fit.from + 1; from <= latest && want == MAL_FOREVER; from++) {
    MalFit at = fit;
    at.from = from;
    at.until = mal_time_add(fit.until, from - fit.from);
    if (count_or_run(m, &at) >= fit.count)
      want = from;
  }
  cr_assert_eq(got, want, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, got, want);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void take_block(Model *m, MalBlock block, MalTime from, MalTime until, uint32_t owner)
{
  bool inside = true;
  for (uint32_t i = 0; i < block.count; i++) {
    const Spot *spot = spot_at(m, mal_address_make(block.first.family, block.first.value + i));
    inside &= spot != NULL && m->ranges[spot->range].on;
  }
  cr_assert_eq(mal_allocator_take(m->a, block, told(m, from), told(m, until), owner), inside);
  for (uint32_t i = 0; inside && i < block.count; i++) {
    Held held = { from, until, owner };
    g_array_append_val(
        spot_at(m, mal_address_make(block.first.family, block.first.value + i))->held, held);
  }
  Taken taken = { block, owner };
  if (inside)
    g_array_append_val(m->taken, taken);
}

static void give_one(Model *m)
{
  if (m->taken->len == 0)
    return;
  guint which = (guint)g_rand_int_range(m->rand, 0, (gint32)m->taken->len);
  Taken taken = g_array_index(m->taken, Taken, which);
  g_array_remove_index_fast(m->taken, which);
  mal_allocator_give(m->a, taken.block, taken.owner);
  for (uint32_t i = 0; i < taken.block.count; i++) {
    const Spot *spot =
        spot_at(m, mal_address_make(taken.block.first.family, taken.block.first.value + i));
    for (guint k = spot->held->len; k-- > 0;) {
      if (g_array_index(spot->held, Held, k).owner == taken.owner)
        g_array_remove_index(spot->held, k);
    }
  }
}

static void toggle_range(Model *m)
{
  unsigned r = (unsigned)g_rand_int_range(m->rand, 0, COUNT(range_table));
  ModelRange *range = &m->ranges[r];
  if (!range->on) {
    add_model_range(m, r);
  } else if (g_rand_int_range(m->rand, 0, 2) == 0) {
    static const MalTime ends[] = { 20, 30, MAL_FOREVER };
    range->until = ends[g_rand_int_range(m->rand, 0, COUNT(ends))];
    cr_assert(mal_allocator_set_until(m->a, range->at.first, told(m, range->until)));
  } else {
    cr_assert(mal_allocator_remove_range(m->a, range->at.first));
    cr_assert_not(mal_allocator_remove_range(m->a, range->at.first));
    range->on = false;
    for (size_t i = 0; i < m->n_spots; i++) {
      if (m->spots[i].range == r)
        g_array_set_size(m->spots[i].held, 0);
    }
  }
}

static void toggle_block(Model *m)
{
  ModelBlock *b = &m->blocks[g_rand_int_range(m->rand, 0, COUNT(block_table))];
  if (b->on)
    mal_allocator_unblock(m->a, b->span, b->reserved);
  else
    mal_allocator_block_out(m->a, b->span, b->reserved);
  b->on = !b->on;
}

static void take_found(Model *m, const MalFit *fit)
{
  g_autoptr(GArray) blocks = ask_some(m, fit);
  uint32_t owner = ++m->last_owner;
  for (guint i = 0; i < blocks->len; i++)
    take_block(m, g_array_index(blocks, MalBlock, i), fit->from, fit->until, owner);
}

/* FULL: takes outweigh gives, so that the space fills up. */
static void step(Model *m, bool full)
{
  MalFit fit = any_fit(m);
  int what = g_rand_int_range(m->rand, 0, 1000);
  if (what < 350)
    take_found(m, &fit);
  else if (what < 400)        /* as a restart does, whatever is busy there */
    take_block(m, any_block(m), fit.from, fit.until, ++m->last_owner);
  else if (what < (full ? 500 : 720))
    give_one(m);
  else if (what < 820)
    ask_run(m, &fit);
  else if (what < 900)
    ask_named(m, &fit);
  else if (what < 930)
    ask_shortage(m, &fit);
  else if (what < 950)
    ask_longest(m, fit);
  else if (what < 970)
    ask_earliest(m, fit);
  else if (what < 990)
    toggle_range(m);
  else
    toggle_block(m);
  mal_allocator_check(m->a);
}

typedef struct { MalEthernetPolicy policy; uint32_t seed; MalTime epoch; } Run;

/* So that the model's instants, 0 to HORIZON, go over the last one that 40 bits tell. */
#define BORDER ((MalTime)((INT64_C(1) << 40) - 28))

ParameterizedTestParameters(allocator_model, agrees_with_the_naive_one)
{
  static Run runs[] = {
    { MAL_ETHERNET_DISTINCT, 1, 0 },
    { MAL_ETHERNET_DISTINCT, 2, 0 },
    { MAL_ETHERNET_DISTINCT, 3, 0 },
    { MAL_ETHERNET_DISTINCT, 4, 0 },
    { MAL_ETHERNET_PREFER, 5, 0 },
    { MAL_ETHERNET_PREFER, 6, 0 },
    { MAL_ETHERNET_IGNORE, 7, 0 },
    { MAL_ETHERNET_IGNORE, 8, 0 },
    { MAL_ETHERNET_DISTINCT, 9, -20 },
    { MAL_ETHERNET_PREFER, 10, BORDER },
    { MAL_ETHERNET_IGNORE, 11, INT64_C(1) << 56 },
    { MAL_ETHERNET_DISTINCT, 12, 1000 },
  };
  return cr_make_param_array(Run, runs, COUNT(runs));
}

ParameterizedTest(Run *run, allocator_model, agrees_with_the_naive_one)
{
  const char *more = g_getenv("MAL_TEST_STEPS");
  guint64 steps = more != NULL ? g_ascii_strtoull(more, NULL, 10) : 5000;
  Model *m = model_new(run->policy, run->seed, run->epoch);
  for (guint64 i = 0; i < steps; i++)
    step(m, i / 700 % 2 == 0);
  model_free(m);
}
