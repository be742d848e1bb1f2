#include "masc-plan-private.h"

/* ---- what there is --------------------------------------------------------------------------- */

MalU128 masc_used_in(const MascPlanView *view, MalPrefix prefix)
{
  MalSpan span = mal_span_of_prefix(prefix), part;
  MalU128 used = 0;
  size_t low = 0, high = view->n_uses;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (mal_address_compare(view->uses[middle].span.last, span.first) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < view->n_uses; low++) {
    if (!mal_span_intersect(view->uses[low].span, span, &part))
      break;
    used += mal_span_size(part);
  }
  return used;
}

/* When a claim that starts now is won, the ground has to last a while. */
static MalTime lasts(const MascPlan *plan)
{
  int64_t waiting = plan->params->waiting_period;
  return mal_time_add(plan->view->now, waiting + waiting / 2);
}

static bool in_good_ground(const MascPlan *plan, MalPrefix prefix)
{
  for (size_t i = 0; i < plan->view->n_grounds; i++) {
    const MascGround *ground = &plan->view->grounds[i];
    if (!ground->deprecated && ground->until > lasts(plan) &&
        masc_prefix_covers(ground->prefix, prefix))
      return true;
  }
  return false;
}

static int compare_mine(const void *a, const void *b)
{
  const MascMine *x = a, *y = b;
  int order = masc_prefix_compare(&x->prefix, &y->prefix);
  return order != 0 ? order : x->pending - y->pending;
}

static void add_mine(MascPlan *plan, MalPrefix prefix, bool pending, bool draining, bool ends)
{
  MascMine mine = { .prefix = prefix, .pending = pending, .draining = draining, .ends = ends };
  mine.units =
      prefix.length > plan->unit ? 0 : masc_units(plan->forecast, masc_prefix_addresses(prefix));
  mine.used = pending ? 0 : masc_used_in(plan->view, prefix);
  mine.doomed = draining || ends || !in_good_ground(plan, prefix);
  g_array_append_val(plan->mine, mine);
}

static void settle(MascPlan *plan)
{
  g_array_sort(plan->mine, compare_mine);
  for (guint i = 0; i < plan->mine->len; i++) {
    MascMine *inner = masc_mine(plan, i);
    for (guint j = 0; j < plan->mine->len && !inner->covered; j++) {
      const MascMine *outer = masc_mine(plan, j);
      inner->covered = i != j && outer->pending &&
                       (outer->prefix.length < inner->prefix.length || !inner->pending) &&
                       masc_prefix_covers(outer->prefix, inner->prefix);
    }
  }
}

uint64_t masc_plan_capacity(const MascPlan *plan, bool pending)
{
  uint64_t units = 0;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (!mine->doomed && (pending ? !mine->covered : !mine->pending))
      units += mine->units;
  }
  return units;
}

unsigned masc_plan_count(const MascPlan *plan)
{
  unsigned n = 0;
  for (guint i = 0; i < plan->mine->len; i++)
    n += !masc_mine(plan, i)->doomed && !masc_mine(plan, i)->covered;
  return n;
}

unsigned masc_plan_limit(const MascPlan *plan, unsigned usual)
{
  return plan->params->max_prefixes > 0 ? plan->params->max_prefixes : usual;
}

uint64_t masc_plan_largest(const MascPlan *plan)
{
  uint64_t units = 0;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (!mine->doomed)
      units = MAX(units, mine->units);
  }
  return units;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

uint64_t masc_power_down(uint64_t units)
{
  g_assert(units > 0);
  return (uint64_t)1 << (63 - __builtin_clzll(units));
}

uint64_t masc_power_up(uint64_t units)
{
  uint64_t power = masc_power_down(units);
  return power == units ? units : power << 1;
}

unsigned masc_plan_length(const MascPlan *plan, uint64_t units)
{
  unsigned order = (unsigned)(63 - __builtin_clzll(MAX(units, 1)));
  return order > plan->unit ? 0 : plan->unit - order;
}

uint64_t masc_plan_scaled(const MascPlan *plan, uint64_t units, uint64_t divisor)
{
  return MAX(MIN(units, plan->ground / divisor), 1);
}

/* ---- wishes ---------------------------------------------------------------------------------- */

bool masc_wish(MascPlan *plan, MascWishKind kind, MalPrefix prefix, MalPrefix from)
{
  if (plan->n == plan->most)
    return false;
  plan->wishes[plan->n++] = (MascWish){ kind, prefix, from };
  if (kind == MASC_WISH_CLAIM || kind == MASC_WISH_GROW) {
    add_mine(plan, prefix, true, false, false);
    settle(plan);
    if (plan->holes != NULL)
      masc_holes_take(plan->holes, prefix, plan->unit);
  }
  return true;
}

static void ask_busy(MascPlan *plan)
{
  const MascPlanView *view = plan->view;
  if (plan->busy_known)
    return;
  plan->busy_known = true;
  plan->busy = view->busy;
  plan->n_busy = view->n_busy;
  if (view->busy_of != NULL)
    plan->busy = view->busy_of(view->busy_data, &plan->n_busy);
}

static bool busy_in(MascPlan *plan, MalPrefix prefix)
{
  ask_busy(plan);
  for (size_t i = 0; i < plan->n_busy; i++) {
    if (masc_prefix_meets(plan->busy[i], prefix))
      return true;
  }
  return false;
}

/* Of our own what would be in the way: pending, or about to go. */
static bool own_in(const MascPlan *plan, MalPrefix prefix)
{
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if ((mine->pending || mine->doomed) && masc_prefix_meets(mine->prefix, prefix))
      return true;
  }
  return false;
}

/* What WHICH would be with UNITS; false where that is no growth or there's no room for it. */
static bool could_grow(MascPlan *plan, guint which, uint64_t units, MalPrefix *to)
{
  const MascMine *mine = masc_mine(plan, which);
  unsigned length = masc_plan_length(plan, units);
  if (mine->pending || mine->doomed || mine->covered || mine->units == 0)
    return false;
  g_assert(length < mine->prefix.length);
  *to = masc_prefix_widen(mine->prefix, length);
  return in_good_ground(plan, *to) && !busy_in(plan, *to);
}

bool masc_plan_grow(MascPlan *plan, guint which, uint64_t units)
{
  MalPrefix to;
  return could_grow(plan, which, units, &to) && !own_in(plan, to) &&
         masc_wish(plan, MASC_WISH_GROW, to, masc_mine(plan, which)->prefix);
}

bool masc_plan_obstructed(MascPlan *plan, guint which, uint64_t units)
{
  MalPrefix to;
  return could_grow(plan, which, units, &to) && own_in(plan, to);
}

static void make_holes(MascPlan *plan)
{
  const MascPlanView *view = plan->view;
  ask_busy(plan);
  g_autoptr(GArray) taken =
      g_array_sized_new(FALSE, FALSE, sizeof(MalPrefix), (guint)plan->n_busy + plan->mine->len);
  guint i = 0;
  for (size_t j = 0; j < plan->n_busy; j++) {
    for (; i < plan->mine->len &&
           masc_prefix_compare(&masc_mine(plan, i)->prefix, &plan->busy[j]) < 0;
         i++)
      g_array_append_val(taken, masc_mine(plan, i)->prefix);
    g_array_append_val(taken, plan->busy[j]);
  }
  for (; i < plan->mine->len; i++)
    g_array_append_val(taken, masc_mine(plan, i)->prefix);
  plan->holes = masc_holes(view->grounds, view->n_grounds, (const MalPrefix *)(void *)taken->data,
                           taken->len, lasts(plan), plan->unit);
}

bool masc_plan_claim(MascPlan *plan, MascPlace how, const MalPrefix *within, uint64_t units)
{
  MalPrefix place;
  if (plan->holes == NULL)
    make_holes(plan);
  return masc_holes_place(plan->holes, how, within, masc_plan_length(plan, units), plan->random,
                          plan->user, &place) &&
         masc_wish(plan, MASC_WISH_CLAIM, place, (MalPrefix){ 0 });
}

void masc_plan_hint(MascPlan *plan, uint64_t units)
{
  MalPrefix hint = { { 0, plan->forecast->family }, masc_plan_length(plan, units) };
  for (size_t i = 0; i < plan->n; i++) {
    if (plan->wishes[i].kind == MASC_WISH_HINT) {
      plan->wishes[i].prefix.length = MIN(plan->wishes[i].prefix.length, hint.length);
      return;
    }
  }
  masc_wish(plan, MASC_WISH_HINT, hint, (MalPrefix){ 0 });
}

bool masc_plan_keep(MascPlan *plan)
{
  for (guint i = 0; i < plan->mine->len; i++) {
    MascMine *mine = masc_mine(plan, i);
    if (!mine->draining || mine->ends || mine->covered || !in_good_ground(plan, mine->prefix))
      continue;
    if (!masc_wish(plan, MASC_WISH_KEEP, mine->prefix, (MalPrefix){ 0 }))
      return false;
    mine->draining = mine->doomed = false;
    return true;
  }
  return false;
}

/* ---- the run --------------------------------------------------------------------------------- */

static uint64_t ground_units(const MascPlan *plan)
{
  MalU128 addresses = 0;
  for (size_t i = 0; i < plan->view->n_grounds; i++) {
    if (!plan->view->grounds[i].deprecated)
      addresses += masc_prefix_addresses(plan->view->grounds[i].prefix);
  }
  return masc_units(plan->forecast, addresses);
}

size_t masc_plan(MascForecast *forecast, const MascPlanView *view, MascRandom random, void *user,
                 MascWish *wishes, size_t most, MalTime *next)
{
  *next = MAL_FOREVER;
  if (!forecast->params->claim)
    return 0;
  MascPlan plan = {
    .forecast = forecast,
    .view = view,
    .params = forecast->params,
    .random = random,
    .user = user,
    .wishes = wishes,
    .most = most,
    .bits = masc_family_bits(forecast->family),
    .unit = masc_unit_length(forecast),
    .mine = g_array_sized_new(FALSE, FALSE, sizeof(MascMine), (guint)view->n_holdings + 4),
  };
  plan.ground = ground_units(&plan);
  for (size_t i = 0; i < view->n_holdings; i++)
    add_mine(&plan, view->holdings[i].prefix, view->holdings[i].pending,
             view->holdings[i].draining, view->holdings[i].ends);
  settle(&plan);
  if (forecast->kind == MASC_PLAN_LEAF)
    masc_plan_leaf(&plan);
  else
    masc_plan_parent(&plan);
  g_array_unref(plan.mine);
  g_clear_pointer(&plan.holes, g_array_unref);
  return plan.n;
}
