/* What the planner sees, and what becomes of its wishes (RFC 2909 5.1, Appendix A). */
#include "masc-own.h"

/* ---- what is in use -------------------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  MascNow now;
  GArray *used, *pending;   /* MascUse */
} Below;

static void add_use(GArray *out, MalPrefix prefix, MalTime until, bool pending)
{
  MascUse use = { mal_span_of_prefix(prefix), until, pending };

  g_array_append_val(out, use);
}

static bool find_below(MascRecord *record, void *data)
{
  Below *b = data;
  const MascClaim *c = &record->claim;
  MalPrefix left[32];

  if (c->role != MASC_CHILD || masc_claim_is_hint(c))
    return true;
  if (c->type == MASC_PREFIX_IN_USE && masc_claim_free_at(c) > b->now.wall) {
    size_t n = 1;
    if (masc_record_untouched(record))
      left[0] = c->prefix;
    else
      n = masc_cache_remains(b->zone->cache, record, left, G_N_ELEMENTS(left));
    for (size_t i = 0; i < MIN(n, G_N_ELEMENTS(left)); i++)
      add_use(b->used, left[i], masc_claim_free_at(c), false);
  }
  if ((c->type == MASC_NEW_CLAIM || c->type == MASC_CLAIM_TO_EXPAND) &&
      masc_claim_forget_at(c, 0) > b->now.wall &&
      (masc_record_untouched(record) || !masc_cache_withdrawn(b->zone->cache, record)))
    add_use(b->pending, c->prefix, masc_claim_free_at(c), true);
  return true;
}

static int by_span(const void *a, const void *b)
{
  const MascUse *x = a, *y = b;
  int order = mal_address_compare(x->span.first, y->span.first);

  return order != 0 ? order : mal_address_compare(y->span.last, x->span.last);
}

static void sort(GArray *uses)
{
  const MascUse *all = (const MascUse *)(void *)uses->data;

  for (guint i = 1; i < uses->len; i++)
    if (by_span(&all[i - 1], &all[i]) > 0) {
      g_array_sort(uses, by_span);
      return;
    }
}

/* Prefixes either nest or are apart: the outer one stands for what is in it. */
static void flatten(GArray *uses)
{
  guint kept = 0;

  sort(uses);
  for (guint i = 0; i < uses->len; i++) {
    MascUse use = g_array_index(uses, MascUse, i);
    MascUse *last = kept > 0 ? &g_array_index(uses, MascUse, kept - 1) : NULL;
    if (last != NULL && mal_span_contains(last->span, use.span))
      last->until = MAX(last->until, use.until);
    else
      g_array_index(uses, MascUse, kept++) = use;
  }
  g_array_set_size(uses, kept);
}

/* What of PENDING is not in use already, to USED. Both are sorted and disjoint. */
static void add_unused(GArray *used, const GArray *pending)
{
  g_autoptr(GArray) taken = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_autoptr(GArray) rest = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  guint n = used->len, next = 0;

  for (guint i = 0; i < pending->len; i++) {
    const MascUse *use = &g_array_index(pending, MascUse, i);
    g_array_set_size(taken, 0);
    g_array_set_size(rest, 0);
    for (; next < n; next++) {
      MalSpan span = g_array_index(used, MascUse, next).span;
      MalPrefix p = mal_prefix_first_of(span);
      if (mal_address_compare(span.first, use->span.last) > 0)
        break;
      if (mal_address_compare(span.last, use->span.first) >= 0)
        g_array_append_val(taken, p);
      if (mal_address_compare(span.last, use->span.last) > 0)
        break;                /* the next one may lie in it as well */
    }
    masc_prefix_minus(mal_prefix_first_of(use->span), (const MalPrefix *)(void *)taken->data,
                      taken->len, rest);
    for (guint k = 0; k < rest->len; k++)
      add_use(used, g_array_index(rest, MalPrefix, k), use->until, true);
  }
}

GArray *masc_own_children_uses(const MascZone *zone, MascNow now)
{
  GArray *used = g_array_new(FALSE, TRUE, sizeof(MascUse));
  g_autoptr(GArray) pending = g_array_new(FALSE, TRUE, sizeof(MascUse));
  Below b = { zone, now, used, pending };

  masc_cache_look(zone->cache, masc_everything(zone), find_below, &b);
  flatten(used);
  flatten(pending);
  add_unused(used, pending);
  sort(used);
  return used;
}

static void add_local_use(MalSpan span, MalTime until, void *data)
{
  MascUse use = { span, until, false };

  g_array_append_val((GArray *)data, use);
}

static GArray *local_uses(MascZone *zone, bool lower)
{
  GArray *out = g_array_new(FALSE, TRUE, sizeof(MascUse));
  GArray *held = zone->owns->held[lower];

  for (guint i = 0; i < held->len; i++)
    zone->config.ops->uses(zone->config.user, zone, g_array_index(held, MascHeld, i).prefix,
                           add_local_use, out);
  return out;
}

/* ---- what is ours ---------------------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  bool lower;
  MascNow now;
  GArray *out;            /* MascHolding */
} Pending;

static void add_pending(GArray *out, const MascZone *zone, MalPrefix prefix, bool lower,
                        MalTime since, MalTime until)
{
  MascHolding h = { .prefix = prefix, .until = until, .since = since, .pending = true };
  const MascHeld *inside = masc_own_meeting(zone, prefix, lower);

  if (inside != NULL) {
    h.grows = true;
    h.from = inside->prefix;
  }
  g_array_append_val(out, h);
}

static bool find_peer_claim(MascRecord *record, void *data)
{
  Pending *p = data;
  const MascClaim *c = &record->claim;

  if (masc_own_peer_claims(p->zone, record, p->lower, p->now) &&
      masc_own_covering(p->zone, c->prefix, p->lower) == NULL)
    add_pending(p->out, p->zone, c->prefix, p->lower, (MalTime)c->timestamp,
                masc_claim_free_at(c));
  return true;
}

static int by_holding(const void *a, const void *b)
{
  return masc_prefix_compare(&((const MascHolding *)a)->prefix, &((const MascHolding *)b)->prefix);
}

static GArray *holdings(MascZone *zone, bool lower, MascNow now)
{
  MascOwns *owns = zone->owns;
  GArray *out = g_array_new(FALSE, TRUE, sizeof(MascHolding));
  Pending p = { zone, lower, now, out };

  for (guint i = 0; i < owns->held[lower]->len; i++) {
    const MascHeld *h = &g_array_index(owns->held[lower], MascHeld, i);
    const MascMark *mark = masc_own_mark(zone, h->prefix, lower, now);
    MascHolding holding = { .prefix = h->prefix,
                            .until = h->until,
                            .since = mark->since,
                            .ends = masc_own_ends(zone, h, mark, now),
                            .draining = h->claim.deprecated };
    g_array_append_val(out, holding);
  }
  for (guint i = 0; i < owns->pends->len; i++) {
    const MascPend *pend = &g_array_index(owns->pends, MascPend, i);
    if (pend->lower == lower && !pend->renews && pend->state != MASC_PEND_KEPT)
      add_pending(out, zone, pend->prefix, lower, now.wall,
                  mal_time_add(now.wall, zone->config.params->prefix_lifetime));
  }
  masc_cache_each_of(zone->cache, zone->config.domain, find_peer_claim, &p);
  g_array_sort(out, by_holding);
  return out;
}

static int by_prefix(const void *a, const void *b)
{
  return masc_prefix_compare(a, b);
}

/* What others have, what we lost to them, what a parent denied us lately, and the space of parents
   that others of the domain speak to, while we speak to some. */
static GArray *busy(MascZone *zone, bool lower, MascNow now)
{
  GArray *out = masc_busy(zone, lower, now), *avoid = zone->owns->avoid;

  for (guint i = avoid->len; i-- > 0;)
    if (g_array_index(avoid, MascAvoid, i).until <= now.mono)
      g_array_remove_index(avoid, i);
    else
      g_array_append_val(out, g_array_index(avoid, MascAvoid, i).prefix);
  masc_clash_lost(zone, lower, out);
  if (!lower)
    masc_own_unreachable(zone, now, out);
  g_array_sort(out, by_prefix);
  return out;
}

/* ---- wishes ---------------------------------------------------------------------------------- */

static void wish_claim(MascZone *zone, const MascWish *wish, bool lower, MascNow now)
{
  MascPend pend = { .lower = lower, .prefix = wish->prefix };

  if (!lower)
    pend.prefix = masc_own_within_bound(zone, wish->prefix, now);
  if (masc_pend_meeting(zone, wish->prefix, lower) != NULL ||
      masc_own_meeting(zone, wish->prefix, lower) != NULL)
    return;
  masc_pend_add(zone, &pend, now);
  if (!lower)
    masc_own_hint_met(zone, pend.prefix, now);
}

/* A growth has the place of renewals that wait beside it. */
static void wish_grow(MascZone *zone, const MascWish *wish, bool lower, MascNow now)
{
  MascPend pend = { .lower = lower, .prefix = wish->prefix, .from = wish->from };
  const MascHeld *from = masc_own_meeting(zone, wish->from, lower);

  if (from == NULL || !masc_prefix_covers(wish->prefix, from->prefix) ||
      masc_prefix_equal(wish->prefix, from->prefix))
    return;
  for (MascPend *p; (p = masc_pend_meeting(zone, wish->prefix, lower)) != NULL;) {
    if (!p->renews)
      return;
    masc_pend_cancel(zone, p, now);
  }
  masc_pend_add(zone, &pend, now);
}

static bool by_hand(const MascZone *zone, MalPrefix prefix, bool lower)
{
  GArray *marks = zone->owns->marks;

  for (guint i = 0; i < marks->len; i++) {
    const MascMark *m = &g_array_index(marks, MascMark, i);
    if (m->hand && m->lower == lower && masc_prefix_meets(m->prefix, prefix))
      return true;
  }
  return false;
}

static void short_of(MascZone *zone, MalPrefix prefix)
{
  MalU128 n = masc_prefix_addresses(prefix);

  zone->owns->short_of = n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

/* What is to be claimed where nobody here is in touch with a parent is asked for. Of what grows, so
   much as it has not yet. */
static bool ask_inside(MascZone *zone, const MascWish *wish, bool lower, MascNow now)
{
  unsigned length = wish->prefix.length + (wish->kind == MASC_WISH_GROW);

  if (lower || zone->config.top || !masc_own_asks_inside(zone))
    return false;
  masc_own_hint(zone, length, now);
  return true;
}

/* UNASKED: nobody ever wanted anything, so nothing is claimed beyond what an operator claimed by
   hand, or others say that we have. */
static void fulfil(MascZone *zone, const MascWish *wish, bool lower, bool unasked, MascNow now)
{
  bool keeps = now.mono < zone->owns->give_at || by_hand(zone, wish->prefix, lower);

  if (unasked && (wish->kind == MASC_WISH_CLAIM || wish->kind == MASC_WISH_GROW ||
                  wish->kind == MASC_WISH_HINT))
    return;
  switch (wish->kind) {
  case MASC_WISH_CLAIM:
    if (!ask_inside(zone, wish, lower, now))
      wish_claim(zone, wish, lower, now);
    break;
  case MASC_WISH_GROW:
    if (!ask_inside(zone, wish, lower, now))
      wish_grow(zone, wish, lower, now);
    break;
  case MASC_WISH_GIVE:
    if (!keeps)
      masc_own_give(zone, wish->prefix, lower, now);
    break;
  case MASC_WISH_DRAIN:
    if (!keeps)
      masc_own_drain(zone, wish->prefix, lower, true, now);
    break;
  case MASC_WISH_KEEP:
    masc_own_drain(zone, wish->prefix, lower, false, now);
    break;
  case MASC_WISH_HINT:
    if (lower)
      short_of(zone, wish->prefix);
    else
      masc_own_hint(zone, wish->prefix.length, now);
    break;
  }
}

/* ---- planning -------------------------------------------------------------------------------- */

static uint64_t plus(uint64_t a, uint64_t b)
{
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool nobody_asked(const MascOwns *owns, uint64_t waiting, const GArray *uses)
{
  return !owns->asked && waiting == 0 && uses->len == 0;
}

/* What others have is gathered only for a planner that wants to claim. */
typedef struct {
  MascZone *zone;
  bool lower;
  MascNow now;
  GArray *taken;
} Taken;

static const MalPrefix *ask_busy(void *data, size_t *n)
{
  Taken *t = data;

  t->taken = busy(t->zone, t->lower, t->now);
  *n = t->taken->len;
  return (const MalPrefix *)(void *)t->taken->data;
}

static MalTime plan_arena(MascZone *zone, bool lower, GArray *uses, uint64_t waiting,
                          MascForecast *forecast, MascNow now)
{
  bool unasked = nobody_asked(zone->owns, waiting, uses);
  g_autoptr(GArray) grounds = masc_grounds(zone, lower, now);
  Taken taken = { zone, lower, now, NULL };
  g_autoptr(GArray) ours = holdings(zone, lower, now);
  MascWish wishes[MASC_WISHES_MAX];
  MalTime next = MAL_FOREVER;
  MascPlanView view = { .now = now.wall,
                        .grounds = (const MascGround *)(void *)grounds->data,
                        .n_grounds = grounds->len,
                        .busy_of = ask_busy,
                        .busy_data = &taken,
                        .holdings = (const MascHolding *)(void *)ours->data,
                        .n_holdings = ours->len,
                        .uses = (const MascUse *)(void *)uses->data,
                        .n_uses = uses->len,
                        .waiting = waiting,
                        .waiting_until = zone->owns->waiting_until };
  size_t n = zone->owns->planner(forecast, &view, zone->config.ops->random, zone->config.user,
                                 wishes, MASC_WISHES_MAX, &next);

  g_clear_pointer(&taken.taken, g_array_unref);
  for (size_t i = 0; i < n; i++)
    fulfil(zone, &wishes[i], lower, unasked, now);
  return next;
}

/* Children claimed more than before: that is what a parent's forecast is about. */
static void count_children(MascZone *zone, GArray *uses, MascNow now)
{
  MascOwns *owns = zone->owns;
  uint64_t total = 0;

  for (guint i = 0; i < uses->len; i++) {
    MalU128 size = mal_span_size(g_array_index(uses, MascUse, i).span);
    total = plus(total, size > UINT64_MAX ? UINT64_MAX : (uint64_t)size);
  }
  if (total > owns->claimed_below && owns->counted)
    masc_forecast_arrived(owns->children, total - owns->claimed_below, now.wall);
  owns->claimed_below = total;
  owns->counted = true;
}

/* And nothing is held: there is nothing to plan. */
static bool idle(const MascOwns *owns, bool lower, uint64_t waiting, const GArray *uses)
{
  return nobody_asked(owns, waiting, uses) && owns->held[lower]->len == 0;
}

static MalTime plan_leaf(MascZone *zone, bool lower, MascNow now)
{
  MascOwns *owns = zone->owns;
  g_autoptr(GArray) uses = local_uses(zone, lower);

  uint64_t waiting = owns->waiting;

  if (!lower)
    waiting = MAX(waiting, masc_own_wanted_inside(zone, now));
  owns->asked = owns->asked || uses->len > 0;
  owns->short_of = 0;
  if (idle(owns, lower, waiting, uses))
    return MAL_FOREVER;
  return plan_arena(zone, lower, uses, waiting, owns->uses, now);
}

static MalTime plan_parent(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  MalTime next = plan_leaf(zone, true, now), other;
  uint64_t hinted = plus(masc_hints(zone, now), owns->short_of);
  g_autoptr(GArray) uses = masc_own_children_uses(zone, now);

  hinted = MAX(hinted, masc_own_wanted_inside(zone, now));
  count_children(zone, uses, now);
  if (idle(owns, false, hinted, uses))
    return next;
  other = plan_arena(zone, false, uses, hinted, owns->children, now);
  return MIN(next, other);
}

void masc_own_plan(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  const MascParams *params = zone->config.params;
  MalTime next;

  owns->plan_at = masc_own_after(now, params->plan_interval);
  if (now.mono < owns->give_at)
    owns->plan_at = MIN(owns->plan_at, owns->give_at);
  if (!params->claim)
    return;
  if (!owns->leaf)
    masc_local_adopt(zone, now);
  next = owns->leaf ? plan_leaf(zone, false, now) : plan_parent(zone, now);
  if (next != MAL_FOREVER)
    owns->plan_at = MIN(owns->plan_at, MAX(masc_own_mono(now, next), masc_own_after(now, 1)));
  masc_forecasts_keep(zone);
  if (owns->marks_changed)
    masc_marks_keep(zone, now);
}
