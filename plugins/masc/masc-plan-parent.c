/* Algorithm C for who hands on to children: one prefix where it is well used, one beside it in its
   buddy, so that both merge; and a piece is given up only when the children in it find room in the
   rest. */
#include "masc-plan-private.h"

#define LIMIT 2        /* prefixes */
#define DOUBLE_FULL 65 /* the same for a second one that is in the way */
#define MAIN_FULL 80   /* per cent */
#define RESERVE 8      /* units */
#define RESERVE_BLOCKED 8
#define TREND 150       /* per cent of the growth in a waiting period */
#define RESERVE_PART 15 /* per cent of what children have, at most */
#define OVERFLOW 32     /* units */
#define EIGHTH 8        /* the smallest overflow beside a large prefix: such a part of it */
#define SLACK 8         /* units, and 2 per cent, that have to be left over */
#define PATIENCE 5      /* waiting periods before something is given up */
#define PIECES 8        /* a piece is a PIECES-th of all at least */
#define TRIES 4

typedef struct {
  uint64_t size; /* what children have, pending or not */
  uint64_t need;
} Demand;

static Demand look(MascPlan *plan)
{
  const MascPlanView *view = plan->view;
  MascForecast *f = plan->forecast;
  MalU128 size = 0;
  for (size_t i = 0; i < view->n_uses; i++)
    size += mal_span_size(view->uses[i].span);
  /* Children in what drains move, and for a while have both. */
  for (guint i = 0; i < plan->mine->len; i++) {
    if (masc_mine(plan, i)->doomed && !masc_mine(plan, i)->pending)
      size -= masc_mine(plan, i)->used;
  }
  Demand d = { .size = masc_units(f, size) };
  uint64_t blocked = masc_units(f, view->waiting);
  masc_forecast_sample(f, d.size, view->now);
  double least = (double)masc_plan_scaled(plan, RESERVE, 64);
  double most = MAX(least, (double)d.size * RESERVE_PART / 100);
  double reserve = CLAMP(masc_forecast_growth(f, d.size) * TREND / 100, least, most);
  if (blocked > 0)
    reserve = MAX((double)masc_plan_scaled(plan, RESERVE_BLOCKED, 64), reserve - (double)blocked);
  d.need = MIN(d.size + blocked + (uint64_t)reserve, MASC_UNITS_MAX);
  return d;
}

/* ---- growth ---------------------------------------------------------------------------------- */

static uint64_t main_size(const MascPlan *plan, uint64_t need)
{
  uint64_t size = masc_power_up(MAX(need, 1));
  return need * 100 >= size * MAIN_FULL || masc_plan_limit(plan, LIMIT) == 1 ? size : size / 2;
}

/* The largest, or the smallest, of those that stay. */
static bool pick(const MascPlan *plan, bool largest, guint *which)
{
  const MascMine *best = NULL;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (mine->pending || mine->doomed || mine->covered)
      continue;
    if (best == NULL || (largest ? mine->units > best->units : mine->units < best->units)) {
      best = mine;
      *which = i;
    }
  }
  return best != NULL;
}

typedef enum { DONE, WAIT, NO } Outcome;

static Outcome want_main(MascPlan *plan, uint64_t need)
{
  guint which = 0;
  uint64_t size = main_size(plan, need);
  if (masc_plan_largest(plan) >= size)
    return NO;
  if (pick(plan, true, &which)) {
    if (masc_plan_grow(plan, which, size))
      return DONE;
    if (masc_plan_obstructed(plan, which, size))
      return WAIT;
  }
  return masc_plan_claim(plan, MASC_PLACE_WORST, NULL, size) ? DONE : NO;
}

/* One more, in the buddy of the largest, where both merge one day. */
static bool add_overflow(MascPlan *plan, uint64_t size)
{
  guint which = 0;
  if (pick(plan, true, &which)) {
    MascMine main = *masc_mine(plan, which);
    MalPrefix buddy = masc_prefix_buddy(main.prefix);
    if (size >= main.units && masc_plan_grow(plan, which, 2 * main.units))
      return true;
    if (size < main.units && masc_plan_claim(plan, MASC_PLACE_BEST, &buddy, size))
      return true;
  }
  return masc_plan_claim(plan, MASC_PLACE_BEST, NULL, size);
}

/* As many as there should be: the smallest grows, or a larger one makes it needless. */
static bool replace_overflow(MascPlan *plan, uint64_t need, uint64_t deficit)
{
  guint least = 0, main = 0;
  bool any = pick(plan, false, &least);
  g_assert(any);
  pick(plan, true, &main);
  uint64_t units = masc_mine(plan, main)->units;
  uint64_t size = masc_power_up(deficit + masc_mine(plan, least)->units);
  return masc_plan_grow(plan, least, size) ||
         (need * 100 >= 2 * units * DOUBLE_FULL && masc_plan_grow(plan, main, 2 * units)) ||
         add_overflow(plan, size);
}

static bool want_overflow(MascPlan *plan, uint64_t need, uint64_t deficit)
{
  uint64_t least =
      MAX(masc_plan_scaled(plan, OVERFLOW, 16), masc_plan_largest(plan) / EIGHTH);
  uint64_t size = MAX(masc_power_up(deficit), least);
  bool room = masc_plan_count(plan) < masc_plan_limit(plan, LIMIT);
  if (room ? add_overflow(plan, size) : replace_overflow(plan, need, deficit))
    return true;
  if (masc_plan_claim(plan, MASC_PLACE_WORST, NULL, masc_power_up(need)))
    return true;
  for (; size > 0; size /= 2) {
    if (masc_plan_claim(plan, MASC_PLACE_BEST, NULL, size))
      return true;
  }
  return false;
}

static bool any_pending(const MascPlan *plan)
{
  for (guint i = 0; i < plan->mine->len; i++) {
    if (masc_mine(plan, i)->pending)
      return true;
  }
  return false;
}

static bool grow(MascPlan *plan, const Demand *d)
{
  for (unsigned i = 0; i < TRIES; i++) {
    uint64_t capacity = masc_plan_capacity(plan, true);
    if (capacity >= d->need)
      return i > 0;
    if (masc_plan_keep(plan))
      continue;
    if (masc_plan_count(plan) >= masc_plan_limit(plan, LIMIT) && any_pending(plan))
      return true;
    Outcome main = want_main(plan, d->need);
    if (main == WAIT)
      return true;
    if (main == NO && !want_overflow(plan, d->need, d->need - capacity)) {
      masc_plan_hint(plan, masc_power_up(d->need - capacity));
      return true;
    }
  }
  return true;
}

/* ---- giving back ----------------------------------------------------------------------------- */

static int compare_lengths(const void *a, const void *b)
{
  const unsigned *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* Would the children in PIECE find room in the rest of what we have? */
static bool packs(const MascPlan *plan, MalPrefix piece)
{
  const MascPlanView *view = plan->view;
  g_autoptr(GArray) grounds = g_array_new(FALSE, FALSE, sizeof(MascGround));
  g_autoptr(GArray) taken = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_autoptr(GArray) lengths = g_array_new(FALSE, FALSE, sizeof(unsigned));
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    MascGround ground = { mine->prefix, MAL_FOREVER, false };
    if (!mine->pending && !mine->doomed)
      g_array_append_val(grounds, ground);
  }
  g_array_append_val(taken, piece);
  for (size_t i = 0; i < view->n_uses; i++) {
    MalPrefix use = mal_prefix_first_of(view->uses[i].span);
    g_array_append_val(taken, use);
    if (masc_prefix_meets(use, piece))
      g_array_append_val(lengths, use.length);
  }
  g_array_sort(taken, masc_prefix_compare);
  g_array_sort(lengths, compare_lengths);
  g_autoptr(GArray) holes =
      masc_holes((const MascGround *)(void *)grounds->data, grounds->len,
                 (const MalPrefix *)(void *)taken->data, taken->len, MAL_BEGINNING, plan->unit);
  return masc_holes_pack(holes, (const unsigned *)(void *)lengths->data, lengths->len, plan->unit);
}

typedef struct {
  MalPrefix piece;
  MalU128 used;
} Piece;

/* What is used less for its size, then the larger one. */
static int compare_pieces(const void *a, const void *b)
{
  const Piece *x = a, *y = b;
  double u = (double)x->used * (double)masc_prefix_addresses(y->piece);
  double v = (double)y->used * (double)masc_prefix_addresses(x->piece);
  if (u != v)
    return u < v ? -1 : 1;
  if (x->piece.length != y->piece.length)
    return x->piece.length < y->piece.length ? -1 : 1;
  return masc_prefix_compare(&x->piece, &y->piece);
}

/* The pieces without which there's still enough. */
static GArray *find_pieces(const MascPlan *plan, const Demand *d)
{
  GArray *pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
  uint64_t ready = masc_plan_capacity(plan, false);
  uint64_t slack = masc_plan_scaled(plan, SLACK, 64) + ready * 2 / 100;
  /* Without a piece of an eighth of it, one prefix is three. */
  unsigned count = masc_plan_count(plan), limit = masc_plan_limit(plan, LIMIT);
  unsigned most = limit + 1 > count ? MIN(limit + 1 - count, 3) : 0;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (mine->pending || mine->doomed || mine->covered)
      continue;
    for (unsigned bits = 0; bits <= most && mine->prefix.length + bits <= plan->unit; bits++) {
      uint64_t units = mine->units >> bits;
      if ((bits > 0 && units < ready / PIECES) || d->need + slack + units > ready)
        continue;
      for (uint64_t k = 0; k < (uint64_t)1 << bits; k++) {
        Piece piece = { masc_prefix_part(mine->prefix, mine->prefix.length + bits, k), 0 };
        piece.used = masc_used_in(plan->view, piece.piece);
        g_array_append_val(pieces, piece);
      }
    }
  }
  g_array_sort(pieces, compare_pieces);
  return pieces;
}

static bool spare(const MascPlan *plan, const Demand *d, MalPrefix *piece)
{
  g_autoptr(GArray) pieces = find_pieces(plan, d);
  for (guint i = 0; i < pieces->len; i++) {
    *piece = g_array_index(pieces, Piece, i).piece;
    if (packs(plan, *piece))
      return true;
  }
  return false;
}

static bool give_drained(MascPlan *plan)
{
  bool drains = false;
  for (guint i = 0; i < plan->mine->len; i++) {
    const MascMine *mine = masc_mine(plan, i);
    if (mine->pending || mine->covered || !mine->doomed)
      continue;
    drains = true;
    if (mine->used == 0)
      masc_wish(plan, MASC_WISH_GIVE, mine->prefix, (MalPrefix){ 0 });
    else if (!mine->draining)
      masc_wish(plan, MASC_WISH_DRAIN, mine->prefix, (MalPrefix){ 0 });
  }
  return drains;
}

void masc_plan_parent(MascPlan *plan)
{
  MascForecast *f = plan->forecast;
  MalPrefix piece;
  Demand d = look(plan);
  bool grows = grow(plan, &d);
  bool drains = give_drained(plan);
  if (grows || drains || !spare(plan, &d, &piece)) {
    f->slack_since = MAL_BEGINNING;
    return;
  }
  if (f->slack_since == MAL_BEGINNING)
    f->slack_since = plan->view->now;
  if (plan->view->now - f->slack_since < PATIENCE * plan->params->waiting_period)
    return;
  f->slack_since = MAL_BEGINNING;
  masc_wish(plan, masc_used_in(plan->view, piece) == 0 ? MASC_WISH_GIVE : MASC_WISH_DRAIN, piece,
            (MalPrefix){ 0 });
}
