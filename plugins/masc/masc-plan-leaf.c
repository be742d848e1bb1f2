/* Algorithm C for who hands out addresses itself: one main prefix for what is in use on average,
   and two beside it that come and go. */
#include "masc-plan-private.h"

#define LIMIT 3      /* prefixes */
#define MAIN_FULL 85 /* per cent of the larger main prefix that make it worth having */
#define GROW_FULL 75 /* per cent in use below which no prefix is doubled */
#define OVERFLOW 2   /* units of the smallest overflow */
#define RAMP_STEP 4  /* a main prefix for what is expected: at most so many times more */
#define TRIES 4
#define SPARE 2      /* times what is needed that have to be left */
#define PATIENCE 5   /* waiting periods before a half is given up that is in use */
#define UNHEARD 2    /* the same before less is claimed than was asked for */

typedef struct {
  uint64_t used; /* units, everywhere, and what is waited for */
  uint64_t live; /* the same without what is in draining prefixes */
  uint64_t need; /* at the end of a waiting period, of room that does not drain */
  uint64_t hold; /* below that, nothing is given back */
} Demand;

static bool uses_drain(const MascPlan *plan, const MascUse *use)
{
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (mine->draining && mal_span_overlaps(use->span, mal_span_of_prefix(mine->prefix)))
      return true;
  }
  return false;
}

static bool any_drains(const MascPlan *plan)
{
  for (guint i = 0; i < plan->mine->len; i++) {
    if (masc_mine(plan, i)->draining)
      return true;
  }
  return false;
}

static Demand look(MascPlan *plan)
{
  const MascPlanView *view = plan->view;
  MascForecast *f = plan->forecast;
  MalU128 all = view->waiting, live = view->waiting;
  bool drains = any_drains(plan);
  g_autofree MascUse *left = drains ? g_new(MascUse, view->n_uses) : NULL;
  size_t n = 0;
  for (size_t i = 0; i < view->n_uses; i++) {
    const MascUse *use = &view->uses[i];
    MalU128 size = mal_span_size(use->span);
    all += size;
    masc_forecast_see_life(f, use->until == MAL_FOREVER ? INT64_MAX
                                                        : MAX(use->until, view->now) - view->now);
    if (drains && uses_drain(plan, use))
      continue;
    live += size;
    if (drains)
      left[n++] = *use;
  }
  const MascUse *uses = drains ? left : view->uses;
  n = drains ? n : view->n_uses;
  int64_t waiting = plan->params->waiting_period;
  Demand d = { .used = masc_units(f, all), .live = masc_units(f, live) };
  d.need = masc_forecast_need(f, d.live, uses, n, waiting, view->now);
  d.hold = 1 + masc_forecast_need(f, d.live, uses, n, waiting + waiting / 2, view->now);
  return d;
}

/* ---- growth ---------------------------------------------------------------------------------- */

/* The main prefix that is wanted, in units. */
static uint64_t main_size(const MascPlan *plan, const Demand *d)
{
  uint64_t reserve = d->need - MIN(d->live, d->need);
  uint64_t now = d->used + reserve;
  uint64_t ramp = masc_forecast_ramp(plan->forecast, plan->view->now) + reserve;
  uint64_t expected = MAX(now, MIN(ramp, RAMP_STEP * now));
  if (masc_plan_limit(plan, LIMIT) == 1)
    return masc_power_up(MAX(expected, 1));
  uint64_t size = masc_power_down(MAX(expected, 1));
  return expected * 100 >= 2 * size * MAIN_FULL ? 2 * size : size;
}

static bool larger(const MascMine *a, const MascMine *b)
{
  return b == NULL || a->units > b->units;
}

/* The largest that can be grown to UNITS. */
static bool grow_any(MascPlan *plan, uint64_t units)
{
  for (guint tried = 0; tried < 2; tried++) {
    const MascMine *best = NULL;
    guint which = 0;
    for (guint i = 0; i < plan->mine->len; i++) {
      const MascMine *mine = masc_mine(plan, i);
      if (mine->pending || mine->doomed || mine->covered)
        continue;
      if (tried == 0 ? larger(mine, best) : best == NULL || !larger(mine, best)) {
        best = mine;
        which = i;
      }
    }
    if (best != NULL && masc_plan_grow(plan, which, units))
      return true;
  }
  return false;
}

static bool want_main(MascPlan *plan, const Demand *d)
{
  uint64_t size = main_size(plan, d);
  if (masc_plan_largest(plan) >= size)
    return false;
  if (grow_any(plan, size) || masc_plan_claim(plan, MASC_PLACE_WORST, NULL, size))
    return true;
  masc_plan_hint(plan, size);
  return false;
}

/* Doubles one where that is enough, and not too much. */
static bool double_one(MascPlan *plan, const Demand *d, uint64_t capacity)
{
  for (guint i = 0; i < plan->mine->len; i++) {
    uint64_t gain = masc_mine(plan, i)->units;
    if (gain >= d->need - capacity && d->need * 100 >= (capacity + gain) * GROW_FULL &&
        masc_plan_grow(plan, i, 2 * gain))
      return true;
  }
  return false;
}

/* The smallest one of those that stay; its index in *WHICH. */
static const MascMine *smallest(const MascPlan *plan, guint *which)
{
  const MascMine *least = NULL;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (mine->pending || mine->doomed || mine->covered || (least != NULL && !larger(least, mine)))
      continue;
    least = mine;
    *which = i;
  }
  return least;
}

/* The smallest ground that is larger than UNITS units; *UNITS becomes its size. Of equal ones the
   first alone: to try them all wins nothing under the workload of SIGCOMM 98 (10 idealised
   top-level domains, 400 days: the same room, up to 0.7 % more routes), and what fits best anywhere
   comes last in any case. */
static const MascGround *next_larger(const MascPlan *plan, uint64_t *units)
{
  const MascGround *next = NULL;
  uint64_t least = 0;
  for (size_t i = 0; i < plan->view->n_grounds; i++) {
    const MascGround *ground = &plan->view->grounds[i];
    uint64_t size = masc_units(plan->forecast, masc_prefix_addresses(ground->prefix));
    if (ground->deprecated || size <= *units || (next != NULL && size >= least))
      continue;
    next = ground;
    least = size;
  }
  *units = least;
  return next;
}

/* What comes and goes is claimed in the smallest ground that has room: that leaves the largest one
   whole, so that what lasts finds room there, and the parent can give the others up. */
static bool claim_small(MascPlan *plan, uint64_t units)
{
  uint64_t size = 0;
  for (const MascGround *ground; (ground = next_larger(plan, &size)) != NULL;) {
    if (masc_plan_claim(plan, MASC_PLACE_BEST, &ground->prefix, units))
      return true;
  }
  return masc_plan_claim(plan, MASC_PLACE_BEST, NULL, units);
}

static bool want_overflow(MascPlan *plan, uint64_t deficit)
{
  guint which = 0;
  uint64_t size = MAX(masc_power_up(deficit), masc_plan_scaled(plan, OVERFLOW, 16));
  if (masc_plan_count(plan) < masc_plan_limit(plan, LIMIT) &&
      claim_small(plan, size))
    return true;
  const MascMine *overflow = smallest(plan, &which);
  if (overflow != NULL) {
    uint64_t units = masc_power_up(deficit + overflow->units);
    if (masc_plan_grow(plan, which, units))
      return true;
    size = units;
  }
  if (claim_small(plan, size))
    return true;
  masc_plan_hint(plan, size);
  return false;
}

/* Nothing as large is free: who waits and has nothing gets what there is, beside the hint. Who has
   some waits for more room: small pieces here and there cost everybody routes. But nobody may ever
   be able to grant as much: where a hint brought nothing for a while, what at least doubles what
   there is is not left free. */
static bool want_less(MascPlan *plan, const Demand *d, uint64_t capacity)
{
  MascForecast *f = plan->forecast;
  MalTime now = plan->view->now;
  if (plan->view->waiting == 0)
    return false;
  if (f->short_since == MAL_BEGINNING)
    f->short_since = now;
  bool heard = now - f->short_since < UNHEARD * plan->params->waiting_period;
  if (capacity > 0 && (heard || masc_plan_count(plan) >= masc_plan_limit(plan, UINT_MAX)))
    return false;
  for (uint64_t size = masc_power_up(d->live); size >= MAX(capacity, 1); size /= 2)
    if (claim_small(plan, size)) {
      f->short_since = MAL_BEGINNING;
      return true;
    }
  return false;
}

static void grow(MascPlan *plan, Demand *d)
{
  for (unsigned i = 0; i < TRIES; i++) {
    uint64_t capacity = masc_plan_capacity(plan, true);
    if (capacity >= d->need) {
      plan->forecast->short_since = MAL_BEGINNING;
      return;
    }
    if (masc_plan_keep(plan)) {
      *d = look(plan);
      continue;
    }
    if (!want_main(plan, d) && !double_one(plan, d, capacity) &&
        !want_overflow(plan, d->need - capacity) && !want_less(plan, d, capacity))
      return;
  }
}

/* ---- giving back ----------------------------------------------------------------------------- */

/* An empty half of a holding, the upper one first. */
static bool empty_half(const MascPlan *plan, const MascMine *mine, MalPrefix *half)
{
  if (mine->prefix.length >= plan->unit)
    return false;
  for (uint64_t i = 2; i-- > 0;) {
    *half = masc_prefix_part(mine->prefix, mine->prefix.length + 1, i);
    if (masc_used_in(plan->view, *half) == 0)
      return true;
  }
  return false;
}

/* The main prefix, if it has the right size: it stays, though it may be empty as yet. */
static guint main_one(const MascPlan *plan, const Demand *d)
{
  guint which = G_MAXUINT;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i), *best = which < i ? masc_mine(plan, which) : NULL;
    if (!mine->pending && !mine->doomed &&
        (best == NULL || mine->units > best->units ||
         (mine->units == best->units && mine->used > best->used)))
      which = i;
  }
  return which != G_MAXUINT && masc_mine(plan, which)->units <= main_size(plan, d) ? which
                                                                                   : G_MAXUINT;
}

static void give_empty(MascPlan *plan, const Demand *d)
{
  uint64_t all = masc_plan_capacity(plan, false), ready = all;
  guint main = main_one(plan, d);
  for (guint i = 0; i < plan->mine->len; i++) {
    MascMine *mine = masc_mine(plan, i);
    if (mine->pending || mine->covered || mine->used > 0)
      continue;
    if (!mine->doomed && (ready < mine->units + d->hold || i == main))
      continue;
    if (mine->doomed && !mine->draining && ready < d->need)
      continue;
    if (masc_wish(plan, MASC_WISH_GIVE, mine->prefix, (MalPrefix){ 0 }) && !mine->doomed)
      ready -= mine->units;
  }
  for (guint i = 0; i < plan->mine->len; i++) {
    MascMine *mine = masc_mine(plan, i);
    MalPrefix half;
    /* All of an empty one is given above, but where it is the only one. */
    if (!mine->pending && !mine->doomed && !mine->covered && i != main &&
        (mine->used > 0 || mine->units == all) && ready >= mine->units / 2 + d->hold &&
        empty_half(plan, mine, &half) &&
        masc_wish(plan, MASC_WISH_GIVE, half, (MalPrefix){ 0 }))
      ready -= mine->units / 2;
  }
}

/* What is in a ground that ends goes once there is a replacement; so does the smallest of too many.
 */
static void drain(MascPlan *plan, const Demand *d)
{
  uint64_t ready = masc_plan_capacity(plan, false);
  unsigned count = 0;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    count += !mine->pending && !mine->doomed;
    if (mine->doomed && !mine->draining && !mine->pending && mine->used > 0 && ready >= d->need)
      masc_wish(plan, MASC_WISH_DRAIN, mine->prefix, (MalPrefix){ 0 });
  }
  guint which = 0;
  const MascMine *least = smallest(plan, &which);
  if (least == NULL || least->used == 0 || count <= masc_plan_limit(plan, LIMIT))
    return;
  uint64_t there = masc_units(plan->forecast, least->used);
  if (ready - least->units >= d->need - MIN(there, d->need))
    masc_wish(plan, MASC_WISH_DRAIN, least->prefix, (MalPrefix){ 0 });
}

static bool any_changes(const MascPlan *plan)
{
  for (guint i = 0; i < plan->mine->len; i++)
    if (masc_mine(plan, i)->pending || masc_mine(plan, i)->doomed)
      return true;
  return false;
}

/* Of the largest that is not needed as the main prefix it is, the half with less in it. */
static bool find_spare(const MascPlan *plan, const Demand *d, MalPrefix *half)
{
  uint64_t ready = masc_plan_capacity(plan, false), second = 0;
  const MascMine *best = NULL;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    uint64_t units = best != NULL ? best->units : 0;
    second = MAX(second, MIN(mine->units, units));
    best = mine->units > units ? mine : best;
  }
  if (best == NULL || best->units < 2 || ready < best->units / 2 + SPARE * d->hold ||
      MAX(best->units / 2, second) < main_size(plan, d))
    return false;
  MalPrefix low = masc_prefix_part(best->prefix, best->prefix.length + 1, 0);
  MalPrefix high = masc_prefix_buddy(low);
  *half = masc_used_in(plan->view, low) < masc_used_in(plan->view, high) ? low : high;
  return true;
}

/* What is in use here and there in far more than is needed never leaves a half empty by itself. */
static void spare(MascPlan *plan, const Demand *d)
{
  MascForecast *f = plan->forecast;
  MalPrefix half;
  if (plan->n > 0 || any_changes(plan) || !find_spare(plan, d, &half)) {
    f->slack_since = MAL_BEGINNING;
    return;
  }
  if (f->slack_since == MAL_BEGINNING)
    f->slack_since = plan->view->now;
  if (plan->view->now - f->slack_since < PATIENCE * plan->params->waiting_period)
    return;
  f->slack_since = MAL_BEGINNING;
  masc_wish(plan, MASC_WISH_DRAIN, half, (MalPrefix){ 0 });
}

void masc_plan_leaf(MascPlan *plan)
{
  Demand d = look(plan);
  grow(plan, &d);
  if (plan->n == 0)
    give_empty(plan, &d);
  if (plan->n == 0)
    drain(plan, &d);
  spare(plan, &d);
}
