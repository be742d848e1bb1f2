/* The idealised world: everybody knows everything at once, no message is sent, each claim is won.
 */
#include <string.h>

#include "masc-workload.h"
#include "plugins/masc/masc-holes.h"

typedef struct {
  MalPrefix prefix, from;
  MalTime since, until; /* MAL_FOREVER: renewed */
  MalTime ready;
  bool pending, grows, draining;
} Held;

typedef struct {
  GArray *held; /* Held, sorted */
  MascForecast *forecast;
  Dice dice;
  uint64_t hint; /* units that it waits for */
} Domain;

typedef struct {
  Domain self;
  unsigned first, n; /* its leaves */
} Tld;

typedef struct {
  Domain self;
  Demand demand;
  unsigned tld;
} Leaf;

typedef struct {
  Score *score;
  MascParams params, top;
  Tld *tlds;
  Leaf *leaves;
  unsigned n_leaves;
  Agenda agenda;
  MalTime now;
  GArray *busy, *uses, *grounds, *holdings;
} Ideal;

enum { AT_REQUEST, AT_TICK, AT_TLD_TICK, AT_DONE, AT_TLD_DONE, AT_DAY };

#define held_of(domain, i) (&g_array_index((domain)->held, Held, i))

static int compare_held(const void *a, const void *b)
{
  const Held *x = a, *y = b;
  int order = masc_prefix_compare(&x->prefix, &y->prefix);
  return order != 0 ? order : x->pending - y->pending;
}

static uint64_t roll(void *user, uint64_t low, uint64_t high)
{
  return dice_between(user, low, high);
}

static void domain_init(Domain *domain, MascPlanKind kind, const MascParams *params, uint64_t seed)
{
  domain->held = g_array_new(FALSE, FALSE, sizeof(Held));
  domain->forecast = masc_forecast_new(kind, MAL_IPV4, params);
  domain->dice.state = seed;
}

/* ---- what a planner is shown ----------------------------------------------------------------- */

static int compare_uses(const void *a, const void *b)
{
  const MascUse *x = a, *y = b;
  return mal_address_compare(x->span.first, y->span.first);
}

/* Not what a pending claim of the same domain covers. */
static bool outgrown(const Domain *domain, guint which)
{
  const Held *held = held_of(domain, which);
  for (guint i = 0; i < domain->held->len; i++) {
    const Held *other = held_of(domain, i);
    if (i != which && other->pending && other->prefix.length < held->prefix.length &&
        masc_prefix_covers(other->prefix, held->prefix))
      return true;
  }
  return false;
}

static void show_holdings(Ideal *ideal, const Domain *domain)
{
  g_array_set_size(ideal->holdings, 0);
  for (guint i = 0; i < domain->held->len; i++) {
    const Held *held = held_of(domain, i);
    MascHolding holding = { .prefix = held->prefix,
                            .until = held->until,
                            .since = held->since,
                            .pending = held->pending,
                            .grows = held->grows,
                            .from = held->from,
                            .draining = held->draining };
    g_array_append_val(ideal->holdings, holding);
  }
}

static void add_busy(Ideal *ideal, const Domain *domain)
{
  for (guint i = 0; i < domain->held->len; i++)
    g_array_append_val(ideal->busy, held_of(domain, i)->prefix);
}

static MascPlanView view_of(Ideal *ideal)
{
  g_array_sort(ideal->busy, masc_prefix_compare);
  g_array_sort(ideal->uses, compare_uses);
  return (MascPlanView){
    .now = ideal->now,
    .grounds = (const MascGround *)(void *)ideal->grounds->data,
    .n_grounds = ideal->grounds->len,
    .busy = (const MalPrefix *)(void *)ideal->busy->data,
    .n_busy = ideal->busy->len,
    .holdings = (const MascHolding *)(void *)ideal->holdings->data,
    .n_holdings = ideal->holdings->len,
    .uses = (const MascUse *)(void *)ideal->uses->data,
    .n_uses = ideal->uses->len,
  };
}

static MascPlanView leaf_view(Ideal *ideal, unsigned which)
{
  const Leaf *leaf = &ideal->leaves[which];
  const Tld *tld = &ideal->tlds[leaf->tld];
  g_array_set_size(ideal->busy, 0);
  g_array_set_size(ideal->uses, 0);
  g_array_set_size(ideal->grounds, 0);
  show_holdings(ideal, &leaf->self);
  for (guint i = 0; i < tld->self.held->len; i++) {
    const Held *held = held_of(&tld->self, i);
    MascGround ground = { held->prefix, held->until, held->draining };
    if (!held->pending)
      g_array_append_val(ideal->grounds, ground);
  }
  for (unsigned i = tld->first; i < tld->first + tld->n; i++) {
    if (i != which)
      add_busy(ideal, &ideal->leaves[i].self);
  }
  for (unsigned i = 0; i < leaf->demand.n_blocks; i++) {
    MalAddress first = mal_address_ipv4(leaf->demand.blocks[i].unit << 8);
    MascUse use = { { first, { first.value | 255, MAL_IPV4 } },
                    leaf->demand.blocks[i].until,
                    false };
    g_array_append_val(ideal->uses, use);
  }
  MascPlanView view = view_of(ideal);
  view.waiting = 256 * (uint64_t)leaf->demand.queue;
  view.waiting_until = ideal->now + BLOCK_LIFE;
  return view;
}

static MascPlanView tld_view(Ideal *ideal, unsigned which)
{
  const Tld *tld = &ideal->tlds[which];
  MascGround all = { { mal_address_ipv4(0xe4000000), 6 }, MAL_FOREVER, false };
  uint64_t waiting = 0;
  g_array_set_size(ideal->busy, 0);
  g_array_set_size(ideal->uses, 0);
  g_array_set_size(ideal->grounds, 0);
  g_array_append_val(ideal->grounds, all);
  show_holdings(ideal, &tld->self);
  for (unsigned i = 0; i < ideal->score->options.tlds; i++) {
    if (i != which)
      add_busy(ideal, &ideal->tlds[i].self);
  }
  for (unsigned i = tld->first; i < tld->first + tld->n; i++) {
    const Domain *child = &ideal->leaves[i].self;
    waiting += child->hint;
    for (guint j = 0; j < child->held->len; j++) {
      const Held *held = held_of(child, j);
      MascUse use = { mal_span_of_prefix(held->prefix), held->until, held->pending };
      if (!outgrown(child, j))
        g_array_append_val(ideal->uses, use);
    }
  }
  MascPlanView view = view_of(ideal);
  view.waiting = 256 * waiting;
  view.waiting_until = ideal->now + BLOCK_LIFE;
  return view;
}

/* ---- what it wishes -------------------------------------------------------------------------- */

/* Cuts the holding around PREFIX, so that PREFIX is one itself. */
static Held *carve(Domain *domain, MalPrefix prefix)
{
  for (guint i = 0; i < domain->held->len; i++) {
    Held held = *held_of(domain, i);
    if (held.pending || !masc_prefix_covers(held.prefix, prefix))
      continue;
    while (held.prefix.length < prefix.length) {
      MalPrefix half = masc_prefix_widen(prefix, held.prefix.length + 1);
      Held rest = held;
      rest.prefix = masc_prefix_buddy(half);
      g_array_append_val(domain->held, rest);
      held.prefix = half;
    }
    *held_of(domain, i) = held;
    g_array_sort(domain->held, compare_held);
    for (i = 0; !masc_prefix_equal(held_of(domain, i)->prefix, prefix); i++)
      ;
    return held_of(domain, i);
  }
  g_error("no holding covers %x/%u", (unsigned)prefix.address.value, prefix.length);
}

static void drop(Domain *domain, const Held *held)
{
  g_array_remove_index(domain->held, (guint)(held - held_of(domain, 0)));
}

static void count(Ideal *ideal, bool tld, unsigned n)
{
  if (ideal->score->scoring)
    *(tld ? &ideal->score->updates_tld : &ideal->score->updates_leaf) += n;
}

/* True where something changed that others see. */
static bool obey(Ideal *ideal, Domain *domain, const MascWish *wish, bool tld, uint32_t who)
{
  const MascParams *params = tld ? &ideal->top : &ideal->params;
  Held held = { .prefix = wish->prefix, .from = wish->from, .since = ideal->now };
  switch (wish->kind) {
  case MASC_WISH_CLAIM:
  case MASC_WISH_GROW:
    held.pending = true;
    held.grows = wish->kind == MASC_WISH_GROW;
    held.until = MAL_FOREVER;
    held.ready = ideal->now + params->waiting_period;
    g_array_append_val(domain->held, held);
    g_array_sort(domain->held, compare_held);
    agenda_add(&ideal->agenda, held.ready, tld ? AT_TLD_DONE : AT_DONE, who, NULL, NULL);
    ideal->score->claims += ideal->score->scoring;
    count(ideal, tld, 2);
    return true;
  case MASC_WISH_GIVE:
    drop(domain, carve(domain, wish->prefix));
    count(ideal, tld, 1);
    return true;
  case MASC_WISH_DRAIN: {
    Held *drained = carve(domain, wish->prefix);
    drained->draining = true;
    drained->until = ideal->now + params->prefix_lifetime - params->renew_interval;
    return true;
  }
  case MASC_WISH_KEEP: {
    Held *kept = carve(domain, wish->prefix);
    kept->draining = false;
    kept->until = MAL_FOREVER;
    return true;
  }
  case MASC_WISH_HINT:
    domain->hint = (uint64_t)1 << (24 - MIN(wish->prefix.length, 24));
    ideal->score->hints += ideal->score->scoring;
    break;
  }
  return false;
}

static bool think(Ideal *ideal, Domain *domain, const MascPlanView *view, bool tld, uint32_t who)
{
  MascWish wishes[MASC_WISHES_MAX];
  MalTime next;
  bool changed = domain->hint > 0;
  size_t n = masc_plan(domain->forecast, view, roll, &domain->dice, wishes, MASC_WISHES_MAX, &next);
  domain->hint = 0;
  for (size_t i = 0; i < n; i++) {
    changed |= obey(ideal, domain, &wishes[i], tld, who);
  }
  return changed || domain->hint > 0;
}

static void show_rooms(Ideal *ideal, Leaf *leaf)
{
  g_autoptr(GArray) rooms = g_array_new(FALSE, FALSE, sizeof(Room));
  const Domain *tld = &ideal->tlds[leaf->tld].self;
  for (guint i = 0; i < leaf->self.held->len; i++) {
    const Held *held = held_of(&leaf->self, i);
    Room room = { held->prefix, held->until, held->draining };
    for (guint j = 0; j < tld->held->len; j++) {
      if (!held_of(tld, j)->pending && masc_prefix_covers(held_of(tld, j)->prefix, held->prefix))
        room.until = MIN(room.until, held_of(tld, j)->until);
    }
    if (!held->pending)
      g_array_append_val(rooms, room);
  }
  ideal->score->cut +=
      demand_set_rooms(&leaf->demand, (const Room *)(void *)rooms->data, rooms->len);
}

static void think_tld(Ideal *ideal, unsigned which);

static void think_leaf(Ideal *ideal, unsigned which)
{
  Leaf *leaf = &ideal->leaves[which];
  MascPlanView view = leaf_view(ideal, which);
  if (!think(ideal, &leaf->self, &view, false, which))
    return;
  show_rooms(ideal, leaf);
  think_tld(ideal, leaf->tld);
}

/* The children who wait look again. */
static void tld_changed(Ideal *ideal, unsigned which)
{
  Tld *tld = &ideal->tlds[which];
  for (unsigned i = tld->first; i < tld->first + tld->n; i++) {
    show_rooms(ideal, &ideal->leaves[i]);
    if (ideal->leaves[i].self.hint > 0)
      agenda_add(&ideal->agenda, ideal->now, AT_REQUEST, i, NULL, NULL);
  }
}

static void think_tld(Ideal *ideal, unsigned which)
{
  MascPlanView view = tld_view(ideal, which);
  if (think(ideal, &ideal->tlds[which].self, &view, true, which))
    tld_changed(ideal, which);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Claims that are won, prefixes that end. */
static bool mature(Ideal *ideal, Domain *domain)
{
  bool changed = false;
  for (guint i = 0; i < domain->held->len; i++) {
    Held *held = held_of(domain, i);
    if (!held->pending && held->until <= ideal->now) {
      g_array_remove_index(domain->held, i--);
      changed = true;
    } else if (held->pending && held->ready <= ideal->now) {
      Held won = *held;
      won.pending = won.grows = false;
      for (guint j = domain->held->len; j-- > 0;) {
        if (masc_prefix_covers(won.prefix, held_of(domain, j)->prefix))
          g_array_remove_index(domain->held, j);
      }
      g_array_append_val(domain->held, won);
      g_array_sort(domain->held, compare_held);
      i = (guint)-1;
      changed = true;
    }
  }
  return changed;
}

static void served(Ideal *ideal, unsigned which)
{
  Leaf *leaf = &ideal->leaves[which];
  Served served = demand_run(&leaf->demand, ideal->now);
  for (uint64_t i = 0; i < served.requests; i++)
    masc_forecast_arrived(leaf->self.forecast, 256, ideal->now);
  if (ideal->score->scoring) {
    ideal->score->requests += served.requests;
    ideal->score->waited += served.waited;
  }
}

static unsigned ready_prefixes(const Domain *domain, double *units)
{
  unsigned n = 0;
  for (guint i = 0; i < domain->held->len; i++) {
    const Held *held = held_of(domain, i);
    n += !held->pending;
    if (!held->pending && units != NULL)
      *units += (double)(1u << (24 - held->prefix.length));
  }
  return n;
}

static unsigned renewed(const Domain *domain)
{
  unsigned n = 0;
  for (guint i = 0; i < domain->held->len; i++)
    n += !held_of(domain, i)->pending && !held_of(domain, i)->draining;
  return n;
}

static void day(Ideal *ideal, unsigned number)
{
  const Options *options = &ideal->score->options;
  g_autofree unsigned *own = g_new0(unsigned, options->tlds),
                      *below = g_new0(unsigned, options->tlds);
  double blocks = 0, claimed = 0;
  for (unsigned i = 0; i < options->tlds; i++) {
    own[i] = ready_prefixes(&ideal->tlds[i].self, &claimed);
    count(ideal, true, renewed(&ideal->tlds[i].self));
  }
  for (unsigned i = 0; i < ideal->n_leaves; i++) {
    const Leaf *leaf = &ideal->leaves[i];
    blocks += leaf->demand.n_blocks;
    below[leaf->tld] += ready_prefixes(&leaf->self, NULL);
    count(ideal, false, renewed(&leaf->self));
  }
  score_day(ideal->score, number, blocks, claimed, own, below, options->tlds);
}

static void happen(Ideal *ideal, const Event *event)
{
  unsigned who = event->who;
  switch (event->kind) {
  case AT_REQUEST:
    served(ideal, who);
    think_leaf(ideal, who);
    if (event->data == NULL)
      break;
    agenda_add(&ideal->agenda, demand_due(&ideal->leaves[who].demand), AT_REQUEST, who, ideal,
               NULL);
    break;
  case AT_TICK:
  case AT_DONE:
    if (mature(ideal, &ideal->leaves[who].self))
      show_rooms(ideal, &ideal->leaves[who]);
    served(ideal, who);
    think_leaf(ideal, who);
    if (event->kind == AT_TICK)
      agenda_add(&ideal->agenda, ideal->now + HOUR * 12, AT_TICK, who, NULL, NULL);
    break;
  case AT_TLD_TICK:
  case AT_TLD_DONE:
    if (mature(ideal, &ideal->tlds[who].self))
      tld_changed(ideal, who);
    think_tld(ideal, who);
    if (event->kind == AT_TLD_TICK)
      agenda_add(&ideal->agenda, ideal->now + HOUR * 12, AT_TLD_TICK, who, NULL, NULL);
    break;
  default:
    day(ideal, who);
    agenda_add(&ideal->agenda, ideal->now + DAY, AT_DAY, who + 1, NULL, NULL);
  }
}

static void set_up(Ideal *ideal)
{
  const Options *options = &ideal->score->options;
  masc_params_init(&ideal->params);
  ideal->params.prefix_lifetime = 33 * DAY;
  ideal->top = ideal->params;
  ideal->top.prefix_lifetime = 36 * DAY;
  ideal->tlds = g_new0(Tld, options->tlds);
  ideal->leaves = g_new0(Leaf, ideal->n_leaves);
  unsigned leaf = 0;
  Dice dice = { options->seed };
  for (unsigned i = 0; i < options->tlds; i++) {
    Tld *tld = &ideal->tlds[i];
    domain_init(&tld->self, MASC_PLAN_PARENT, &ideal->top, dice_roll(&dice));
    tld->first = leaf;
    tld->n = tree_children(options, i);
    agenda_add(&ideal->agenda, EPOCH, AT_TLD_TICK, i, NULL, NULL);
    for (; leaf < tld->first + tld->n; leaf++) {
      Leaf *l = &ideal->leaves[leaf];
      domain_init(&l->self, MASC_PLAN_LEAF, &ideal->params, dice_roll(&dice));
      demand_init(&l->demand, dice_roll(&dice), tree_gap(options, leaf));
      l->tld = i;
      agenda_add(&ideal->agenda, demand_due(&l->demand), AT_REQUEST, leaf, ideal, NULL);
      agenda_add(&ideal->agenda, EPOCH + (MalTime)dice_between(&dice, 0, 12 * HOUR), AT_TICK, leaf,
                 NULL, NULL);
    }
  }
  agenda_add(&ideal->agenda, EPOCH + DAY, AT_DAY, 1, NULL, NULL);
}

static void domain_clear(Domain *domain)
{
  g_array_unref(domain->held);
  masc_forecast_free(domain->forecast);
}

void ideal_run(Score *score)
{
  Ideal ideal = { .score = score };
  ideal.n_leaves = score->n_leaves;
  ideal.busy = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  ideal.uses = g_array_new(FALSE, FALSE, sizeof(MascUse));
  ideal.grounds = g_array_new(FALSE, FALSE, sizeof(MascGround));
  ideal.holdings = g_array_new(FALSE, FALSE, sizeof(MascHolding));
  set_up(&ideal);
  Event event;
  while (agenda_next(&ideal.agenda, &event) &&
         event.time <= EPOCH + (MalTime)score->options.days * DAY) {
    ideal.now = event.time;
    score->scoring = ideal.now >= EPOCH + (MalTime)score->options.from * DAY;
    happen(&ideal, &event);
  }
  for (unsigned i = 0; i < score->options.tlds; i++)
    domain_clear(&ideal.tlds[i].self);
  for (unsigned i = 0; i < ideal.n_leaves; i++) {
    domain_clear(&ideal.leaves[i].self);
    demand_clear(&ideal.leaves[i].demand);
  }
  g_free(ideal.tlds);
  g_free(ideal.leaves);
  agenda_clear(&ideal.agenda);
  g_array_unref(ideal.busy);
  g_array_unref(ideal.uses);
  g_array_unref(ideal.grounds);
  g_array_unref(ideal.holdings);
}
