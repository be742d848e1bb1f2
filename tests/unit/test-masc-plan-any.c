/* Whatever a planner is shown, what it wishes for can be done (RFC 2909 17.1): random situations of
   both families, in large and small grounds, with waiting periods of days and of seconds. */
#include "plugins/masc/masc-holes.h"

#include <criterion/criterion.h>

#define NOW 1767225600
#define ROUNDS 6000

typedef struct {
  uint64_t state;
  MalFamily family;
  unsigned unit;
  MascParams params;
  MascGround grounds[3];
  size_t n_grounds;
  GArray *busy, *holdings, *uses; /* as in the view */
  bool asked;
} World;

static uint64_t roll(void *user, uint64_t least, uint64_t most)
{
  World *w = user;
  cr_assert_leq(least, most);
  uint64_t z = w->state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return least + (z ^ z >> 31) % (most - least + 1);
}

static MalPrefix part_of(World *w, MalPrefix whole)
{
  unsigned length = whole.length + (unsigned)roll(w, 0, w->unit - whole.length);
  unsigned bits = MIN(length - whole.length, 60);
  return masc_prefix_part(whole, length, roll(w, 0, ((uint64_t)1 << bits) - 1));
}

static bool free_of(const World *w, MalPrefix prefix)
{
  for (guint i = 0; i < w->busy->len; i++) {
    if (masc_prefix_meets(g_array_index(w->busy, MalPrefix, i), prefix))
      return false;
  }
  for (guint i = 0; i < w->holdings->len; i++) {
    if (masc_prefix_meets(g_array_index(w->holdings, MascHolding, i).prefix, prefix))
      return false;
  }
  return true;
}

static int compare_holdings(const void *a, const void *b)
{
  const MascHolding *x = a, *y = b;
  int order = masc_prefix_compare(&x->prefix, &y->prefix);
  return order != 0 ? order : x->pending - y->pending;
}

static int compare_uses(const void *a, const void *b)
{
  return mal_address_compare(((const MascUse *)a)->span.first, ((const MascUse *)b)->span.first);
}

static void use_some(World *w, MalPrefix holding)
{
  unsigned bits = MIN(MIN(w->unit - holding.length, 3), 3);
  for (uint64_t i = 0; i < (uint64_t)1 << bits; i++) {
    MalPrefix part = masc_prefix_part(holding, holding.length + bits, i);
    MascUse use = { mal_span_of_prefix(part), NOW + (int64_t)roll(w, 0, 4000000) - 1000, false };
    if (roll(w, 0, 2) == 0)
      g_array_append_val(w->uses, use);
  }
}

static void draw(World *w)
{
  static const char *grounds4[] = { "228.0.0.0/6", "233.252.0.0/20", "233.252.0.0/24" };
  static const char *grounds6[] = { "ff3e::8000:0/97", "ff00::/8", "ff3e::db8:0/112" };
  w->family = roll(w, 0, 1) ? MAL_IPV4 : MAL_IPV6;
  w->unit = w->family == MAL_IPV4 ? w->params.unit4 : w->params.unit6;
  w->params.waiting_period = roll(w, 0, 1) ? 172800 : (int64_t)roll(w, 0, 5);
  w->params.max_prefixes = (unsigned)roll(w, 0, 3);
  MalPrefix whole;
  cr_assert(
      mal_prefix_parse((w->family == MAL_IPV4 ? grounds4 : grounds6)[roll(w, 0, 2)], &whole, NULL));
  w->n_grounds = roll(w, 0, 3) == 0 && whole.length < w->unit ? 2 : 1;
  for (size_t i = 0; i < w->n_grounds; i++) {
    MalPrefix ground = w->n_grounds == 1 ? whole : masc_prefix_part(whole, whole.length + 1, i);
    w->grounds[i] =
        (MascGround){ ground, roll(w, 0, 3) ? NOW + 4000000 : NOW + 1, roll(w, 0, 3) == 0 };
  }
  for (uint64_t n = roll(w, 0, 6); n > 0; n--) {
    MalPrefix prefix = part_of(w, whole);
    g_array_append_val(w->busy, prefix);
  }
  for (uint64_t n = roll(w, 0, 6); n > 0; n--) {
    MascHolding holding = { .prefix = part_of(w, whole), .until = NOW + 2592000, .since = NOW };
    holding.pending = roll(w, 0, 4) == 0;
    holding.draining = !holding.pending && roll(w, 0, 4) == 0;
    if (!free_of(w, holding.prefix))
      continue;
    g_array_append_val(w->holdings, holding);
    if (!holding.pending)
      use_some(w, holding.prefix);
  }
  g_array_sort(w->busy, masc_prefix_compare);
  g_array_sort(w->holdings, compare_holdings);
  g_array_sort(w->uses, compare_uses);
}

static bool grounded(const World *w, MalPrefix prefix)
{
  for (size_t i = 0; i < w->n_grounds; i++) {
    if (!w->grounds[i].deprecated && masc_prefix_covers(w->grounds[i].prefix, prefix))
      return true;
  }
  return false;
}

/* The holding that is ready and covers PREFIX. */
static MascHolding *ready(const World *w, MalPrefix prefix)
{
  for (guint i = 0; i < w->holdings->len; i++) {
    MascHolding *holding = &g_array_index(w->holdings, MascHolding, i);
    if (!holding->pending && masc_prefix_covers(holding->prefix, prefix))
      return holding;
  }
  return NULL;
}

static bool in_use(const World *w, MalPrefix prefix)
{
  for (guint i = 0; i < w->uses->len; i++) {
    if (mal_span_overlaps(g_array_index(w->uses, MascUse, i).span, mal_span_of_prefix(prefix)))
      return true;
  }
  return false;
}

static void judge_claim(World *w, const MascWish *wish)
{
  cr_assert_leq(wish->prefix.length, w->unit);
  cr_assert(grounded(w, wish->prefix));
  for (guint i = 0; i < w->busy->len; i++)
    cr_assert_not(masc_prefix_meets(g_array_index(w->busy, MalPrefix, i), wish->prefix));
  for (guint i = 0; i < w->holdings->len; i++) {
    const MascHolding *holding = &g_array_index(w->holdings, MascHolding, i);
    if (!masc_prefix_meets(holding->prefix, wish->prefix))
      continue;
    cr_assert_eq(wish->kind, MASC_WISH_GROW);
    cr_assert_not(holding->pending || holding->draining);
    cr_assert(masc_prefix_covers(wish->prefix, holding->prefix));
  }
  if (wish->kind == MASC_WISH_GROW) {
    const MascHolding *from = ready(w, wish->from);
    cr_assert(from != NULL && masc_prefix_equal(from->prefix, wish->from));
    cr_assert(masc_prefix_covers(wish->prefix, wish->from));
    cr_assert_lt(wish->prefix.length, wish->from.length);
  }
  /* Two wishes of one run are no rivals. */
  MascHolding mine = { .prefix = wish->prefix, .pending = true };
  g_array_append_val(w->holdings, mine);
}

static void judge(World *w, const MascWish *wish)
{
  MascHolding *holding;
  switch (wish->kind) {
  case MASC_WISH_CLAIM:
  case MASC_WISH_GROW: judge_claim(w, wish); break;
  case MASC_WISH_GIVE:
    cr_assert_not_null(ready(w, wish->prefix));
    cr_assert_not(in_use(w, wish->prefix));
    break;
  case MASC_WISH_DRAIN:
    holding = ready(w, wish->prefix);
    cr_assert(holding != NULL && !holding->draining);
    break;
  case MASC_WISH_KEEP:
    holding = ready(w, wish->prefix);
    cr_assert(holding != NULL && holding->draining);
    cr_assert(masc_prefix_equal(holding->prefix, wish->prefix));
    cr_assert(grounded(w, wish->prefix));
    holding->draining = false;
    break;
  case MASC_WISH_HINT:
    cr_assert_eq(wish->prefix.address.value, 0);
    cr_assert_leq(wish->prefix.length, w->unit);
    break;
  default: cr_assert_fail("wish %d", wish->kind);
  }
}

static const MalPrefix *busy_of(void *data, size_t *n)
{
  World *w = data;
  cr_assert_not(w->asked);
  w->asked = true;
  *n = w->busy->len;
  return (const MalPrefix *)(void *)w->busy->data;
}

static unsigned round_of(World *w, MascPlanKind kind)
{
  MascWish wishes[MASC_WISHES_MAX];
  MalTime next;
  size_t most = roll(w, 0, 9) == 0 ? roll(w, 0, 2) : MASC_WISHES_MAX;
  MascForecast *f = masc_forecast_new(kind, w->family, &w->params);
  for (uint64_t n = roll(w, 0, 5); n > 0; n--)
    masc_forecast_arrived(f, roll(w, 0, 1) ? 256 : UINT64_MAX >> roll(w, 0, 63),
                          NOW - (int64_t)(n * roll(w, 0, 90000)));
  MascPlanView view = { .now = NOW,
                        .grounds = w->grounds,
                        .n_grounds = w->n_grounds,
                        .busy = (const MalPrefix *)(void *)w->busy->data,
                        .n_busy = w->busy->len,
                        .holdings = (const MascHolding *)(void *)w->holdings->data,
                        .n_holdings = w->holdings->len,
                        .uses = (const MascUse *)(void *)w->uses->data,
                        .n_uses = w->uses->len,
                        .waiting = roll(w, 0, 1) ? 0 : UINT64_MAX >> roll(w, 0, 63),
                        .waiting_until = NOW + 3600 };
  if (roll(w, 0, 1)) {
    view.busy = NULL;
    view.n_busy = 0;
    view.busy_of = busy_of;
    view.busy_data = w;
  }
  size_t n = masc_plan(f, &view, roll, w, wishes, most, &next);
  cr_assert_leq(n, most);
  for (size_t i = 0; i < n; i++)
    judge(w, &wishes[i]);
  masc_forecast_free(f);
  return (unsigned)n;
}

Test(masc_plan_any, rfc2909_17_1_wishes_can_be_done)
{
  unsigned wishes = 0;
  for (uint64_t seed = 0; seed < ROUNDS; seed++) {
    World w = { .state = seed };
    masc_params_init(&w.params);
    w.busy = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
    w.holdings = g_array_new(FALSE, FALSE, sizeof(MascHolding));
    w.uses = g_array_new(FALSE, FALSE, sizeof(MascUse));
    draw(&w);
    wishes += round_of(&w, seed & 1 ? MASC_PLAN_LEAF : MASC_PLAN_PARENT);
    g_array_unref(w.busy);
    g_array_unref(w.holdings);
    g_array_unref(w.uses);
  }
  cr_assert_gt(wishes, ROUNDS);
}
