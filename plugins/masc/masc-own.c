/* The life of our own claims: when what is looked at, and what the rest of the zone hands on. */
#include "masc-own.h"

MascOwns *masc_owns_new(MascZone *zone)
{
  MascOwns *owns = g_new0(MascOwns, 1);
  MalFamily family = zone->config.span.first.family;

  for (int lower = 0; lower < 2; lower++)
    owns->held[lower] = g_array_new(FALSE, TRUE, sizeof(MascHeld));
  owns->pends = g_array_new(FALSE, TRUE, sizeof(MascPend));
  owns->marks = g_array_new(FALSE, TRUE, sizeof(MascMark));
  owns->clashes = g_array_new(FALSE, TRUE, sizeof(MascClash));
  owns->routes = g_array_new(FALSE, TRUE, sizeof(MascShown));
  owns->shown = g_array_new(FALSE, TRUE, sizeof(MascShown));
  owns->later = g_array_new(FALSE, TRUE, sizeof(MascLater));
  owns->rows = g_array_new(FALSE, TRUE, sizeof(MascRow));
  owns->defended = g_array_new(FALSE, TRUE, sizeof(MascDefended));
  owns->avoid = g_array_new(FALSE, TRUE, sizeof(MascAvoid));
  owns->bounds = g_array_new(FALSE, TRUE, sizeof(MascBound));
  owns->strays = g_array_new(FALSE, TRUE, sizeof(MascStray));
  owns->touch = g_array_new(FALSE, TRUE, sizeof(MascTouch));
  owns->adopted = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  owns->unclaimed = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  owns->uses = masc_forecast_new(MASC_PLAN_LEAF, family, zone->config.params);
  owns->children = masc_forecast_new(MASC_PLAN_PARENT, family, zone->config.params);
  owns->planner = masc_plan;
  owns->leaf = !zone->config.parent;
  owns->due = owns->plan_at = owns->renew_at = owns->end_at = MASC_NEVER;
  owns->recovering_until = -1;
  owns->adopt_at = MASC_NEVER;
  owns->adopt_until = INT64_MIN;
  owns->hinted_at = INT64_MIN;
  owns->next_id = 1;
  return owns;
}

void masc_owns_free(MascOwns *owns)
{
  for (int lower = 0; lower < 2; lower++)
    g_array_unref(owns->held[lower]);
  g_array_unref(owns->pends);
  g_array_unref(owns->marks);
  g_array_unref(owns->clashes);
  g_array_unref(owns->routes);
  g_array_unref(owns->shown);
  g_array_unref(owns->later);
  g_array_unref(owns->rows);
  g_array_unref(owns->defended);
  g_array_unref(owns->avoid);
  g_array_unref(owns->bounds);
  g_array_unref(owns->strays);
  g_array_unref(owns->touch);
  g_array_unref(owns->adopted);
  g_array_unref(owns->unclaimed);
  masc_forecast_free(owns->uses);
  masc_forecast_free(owns->children);
  g_free(owns);
}

/* ---- time ------------------------------------------------------------------------------------ */

int64_t masc_own_after(MascNow now, int64_t seconds)
{
  int64_t out;

  if (__builtin_mul_overflow(seconds, MASC_SECOND, &out) ||
      __builtin_add_overflow(out, now.mono, &out))
    return seconds > 0 ? MASC_NEVER : INT64_MIN;
  return out;
}

int64_t masc_own_mono(MascNow now, MalTime at)
{
  int64_t seconds;

  if (at == MAL_FOREVER || __builtin_sub_overflow(at, now.wall, &seconds))
    return MASC_NEVER;
  return masc_own_after(now, seconds);
}

int64_t masc_own_settle(const MascZone *zone)
{
  const MascParams *params = zone->config.params;

  return MAX(params->initiate_claim_delay, params->waiting_period / 16);
}

unsigned masc_own_unit(const MascZone *zone)
{
  const MascParams *params = zone->config.params;

  return zone->config.span.first.family == MAL_IPV4 ? params->unit4 : params->unit6;
}

/* In (0, SECONDS), and never right now. */
int64_t masc_own_draw(MascZone *zone, MascNow now, int64_t seconds)
{
  uint64_t most = (uint64_t)CLAMP(seconds, 0, INT64_MAX / MASC_SECOND / 2) * MASC_SECOND;

  if (most <= 1)
    return now.mono + 1;
  return now.mono + (int64_t)zone->config.ops->random(zone->config.user, 1, most);
}

void masc_own_dirty(MascZone *zone)
{
  zone->owns->dirty = true;
  zone->owns->due = INT64_MIN;
}

bool masc_own_catch_up(MascZone *zone, MascNow now)
{
  if (!zone->started || !zone->owns->dirty)
    return false;
  masc_own_refresh(zone, now);
  return true;
}

void masc_own_plan_soon(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  int64_t soon = now.mono + zone->config.params->initiate_claim_delay * MASC_SECOND / 32;

  owns->plan_at = MIN(owns->plan_at, soon);
  owns->due = MIN(owns->due, owns->plan_at);
}

/* What others do all the time: renewals of many children are one reason to think again. */
void masc_own_plan_later(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;

  owns->plan_at =
      MIN(owns->plan_at, masc_own_after(now, zone->config.params->initiate_claim_delay));
  owns->due = MIN(owns->due, owns->plan_at);
}

/* ---- who is in touch ------------------------------------------------------------------------- */

static bool siblings_in_touch(const MascZone *zone)
{
  bool configured = false;

  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role != MASC_SIBLING)
      continue;
    if (peer->up)
      return true;
    configured = true;
  }
  return !configured;
}

/* Of a top-level domain it is the siblings that could object. */
static bool in_touch(const MascZone *zone, MascId parent)
{
  return zone->config.top ? siblings_in_touch(zone) : masc_parent_in_touch(zone, parent);
}

static MascTouch *touch_of(const MascZone *zone, MascId parent)
{
  GArray *touch = zone->owns->touch;

  for (guint i = 0; i < touch->len; i++)
    if (g_array_index(touch, MascTouch, i).parent == parent)
      return &g_array_index(touch, MascTouch, i);
  return NULL;
}

static void update_touch(MascZone *zone, MascId parent, MascNow now)
{
  MascTouch *touch = touch_of(zone, parent);
  bool is = in_touch(zone, parent);

  if (touch == NULL) {
    MascTouch fresh = { parent, is ? now.mono : MASC_NEVER };
    g_array_append_val(zone->owns->touch, fresh);
  } else if (!is) {
    touch->since = MASC_NEVER;
  } else if (touch->since == MASC_NEVER) {
    touch->since = now.mono;
  }
}

int64_t masc_own_touch_since(const MascZone *zone, MascId parent, bool lower)
{
  if (lower)
    return INT64_MIN;
  const MascTouch *touch = touch_of(zone, zone->config.top ? 0 : parent);
  return touch == NULL ? MASC_NEVER : touch->since;
}

bool masc_own_has_parent(const MascZone *zone, MascId parent)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_CHILD && (peer->domain == parent || peer->domain == 0))
      return true;
  }
  return zone->config.top;
}

void masc_own_touched(MascZone *zone, MascNow now)
{
  if (!zone->started)
    return;
  if (zone->config.top)
    update_touch(zone, 0, now);
  for (guint i = 0; i < zone->peers->len && !zone->config.top; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_CHILD && peer->domain != 0)
      update_touch(zone, peer->domain, now);
  }
  /* One whose last peer was removed is out of touch for good. */
  for (guint i = 0; i < zone->owns->touch->len; i++) {
    MascTouch *touch = &g_array_index(zone->owns->touch, MascTouch, i);
    if (!in_touch(zone, touch->parent))
      touch->since = MASC_NEVER;
  }
  zone->owns->due = INT64_MIN;
}

/* ---- what waits for the disk ----------------------------------------------------------------- */

void masc_own_spread_later(MascZone *zone, const MascClaim *claim, uint64_t ticket)
{
  MascLater later = { *claim, ticket, MASC_NEVER };

  if (ticket != 0) {
    g_array_append_val(zone->owns->later, later);
    return;
  }
  MascRecord *record = masc_cache_same(zone->cache, claim);
  if (record != NULL)
    masc_spread(zone, record, MASC_NO_PEER);
}

/* A disk that fails is not asked again at once: each answer would be the next question. */
static void later_failed(MascZone *zone, MascLater *l, MascNow now)
{
  l->ticket = 0;
  l->again = masc_own_after(now, MASC_DISK_PAUSE);
  zone->owns->due = MIN(zone->owns->due, l->again);
}

static void later_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  GArray *later = zone->owns->later;

  for (guint i = 0; i < later->len;) {
    MascLater *l = &g_array_index(later, MascLater, i);
    MascRecord *record = masc_cache_same(zone->cache, &l->claim);
    bool waits = !ok || l->ticket == 0 || l->ticket > through;
    if (record != NULL && !ok && l->ticket == through)
      later_failed(zone, l, now);
    if (record != NULL && waits) {
      i++;
      continue;
    }
    g_array_remove_index(later, i);
    if (record != NULL)
      masc_spread(zone, record, MASC_NO_PEER);
  }
}

static void later_run(MascZone *zone, MascNow now)
{
  GArray *later = zone->owns->later;

  for (guint i = later->len; i-- > 0;) {
    MascLater *l = &g_array_index(later, MascLater, i);
    if (l->again > now.mono)
      continue;
    MascClaim claim = l->claim;
    MascRecord *record = masc_cache_same(zone->cache, &claim);
    g_array_remove_index(later, i);
    if (record != NULL)
      masc_own_spread_later(zone, &claim, masc_record_keep(zone, record));
  }
}

void masc_owns_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  later_kept(zone, through, ok, now);
  masc_rows_kept(zone, through, ok, now);
  masc_pends_kept(zone, through, ok, now);
  masc_marks_kept(zone, through, ok, now);
}

/* ---- running --------------------------------------------------------------------------------- */

static void schedule(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  int64_t due = MIN(owns->plan_at, MIN(owns->renew_at, owns->end_at));

  if (owns->strays->len > 0)
    due = MIN(due, owns->recovering_until);
  if (owns->adopted->len > 0)
    due = MIN(due, owns->adopt_at);
  for (guint i = 0; i < owns->pends->len; i++)
    due = MIN(due, g_array_index(owns->pends, MascPend, i).due);
  due = MIN(due, masc_rows_due(zone));
  for (guint i = 0; i < owns->later->len; i++)
    due = MIN(due, g_array_index(owns->later, MascLater, i).again);
  /* What is due already was looked at just now. */
  owns->due = MAX(due, now.mono + 1);
}

void masc_owns_start(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  const MascParams *params = zone->config.params;

  zone->started = true;
  owns->counted = owns->leaf;
  if (zone->config.recovering && owns->recovering_until < 0)
    owns->recovering_until = masc_own_after(now, params->waiting_period);
  if (zone->config.recovering) {
    owns->adopt_at = owns->recovering_until;
    owns->adopt_until = masc_own_after(now, 2 * params->waiting_period);
  } else if (owns->adopt_until > now.mono) {
    owns->adopt_at = masc_own_after(now, masc_own_settle(zone));
  }
  masc_own_touched(zone, now);
  masc_pends_start(zone, now);
  masc_own_refresh(zone, now);
  masc_local_leaf(zone, now);
  owns->renew_at = now.mono;
  /* However short the waiting period is: what others use isn't known yet. */
  if (owns->held[MASC_UPPER]->len > 0)
    owns->give_at = masc_own_after(now, MASC_LEARNING);
  /* Where the disk is lost: not before others had time to say what we have. Else soon, so that what
     is planned can be seen (its own delay is random), but not before it is known what is in use:
     what seems empty is given back. */
  int64_t delay = params->initiate_claim_delay;
  owns->plan_at = masc_own_after(now, zone->config.recovering
                                          ? masc_own_settle(zone)
                                          : MIN(delay, MASC_LEARNING + delay / 32));
  owns->marks_changed = true;
  masc_marks_keep(zone, now);
  masc_own_dirty(zone);
}

int64_t masc_owns_due(const MascZone *zone)
{
  return zone->started ? MAX(zone->owns->due, 0) : MASC_NEVER;
}

void masc_owns_run(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;

  if (!zone->started || now.mono < owns->due)
    return;
  if (masc_local_leaf(zone, now) || owns->dirty || now.mono >= owns->end_at)
    masc_own_refresh(zone, now);
  masc_pends_run(zone, now);
  later_run(zone, now);
  masc_rows_run(zone, now);
  masc_own_strays_run(zone, now);
  masc_own_adopt(zone, now);
  if (owns->dirty)
    masc_own_refresh(zone, now);
  if (now.mono >= owns->renew_at)
    masc_own_renew(zone, now);
  if (now.mono >= owns->plan_at)
    masc_own_plan(zone, now);
  if (owns->dirty)
    masc_own_refresh(zone, now);
  schedule(zone, now);
}

/* Ends are instants of the wall clock; what is pending counts on. */
void masc_owns_stepped(MascZone *zone, int64_t delta G_GNUC_UNUSED, MascNow now)
{
  MascOwns *owns = zone->owns;

  if (!zone->started)
    return;
  for (guint i = 0; i < owns->pends->len; i++) {
    MascPend *p = &g_array_index(owns->pends, MascPend, i);
    if (p->state != MASC_PEND_DELAYED && p->state < MASC_PEND_KEEPING)
      masc_pend_keep(zone, p, now);
  }
  owns->renew_at = now.mono;
  masc_own_plan_soon(zone, now);
  masc_own_dirty(zone);
}

void masc_owns_params_changed(MascZone *zone, MascNow now)
{
  if (!zone->started)
    return;
  zone->owns->renew_at = now.mono;
  masc_own_plan_soon(zone, now);
  masc_own_dirty(zone);
}

/* ---- demand ---------------------------------------------------------------------------------- */

void masc_zone_arrived(MascZone *zone, uint64_t count, MascNow now)
{
  masc_forecast_arrived(zone->owns->uses, count, now.wall);
  if (!zone->owns->asked) {
    zone->owns->asked = true;
    zone->owns->marks_changed = true;
  }
  masc_own_plan_soon(zone, now);
}

void masc_zone_waiting(MascZone *zone, uint64_t count, MalTime until, MascNow now)
{
  MascOwns *owns = zone->owns;

  if (owns->waiting == count && owns->waiting_until == until)
    return;
  owns->waiting = count;
  owns->waiting_until = until;
  if (count > 0 && !owns->asked) {
    owns->asked = true;
    owns->marks_changed = true;
  }
  masc_own_plan_soon(zone, now);
}

void masc_zone_replan(MascZone *zone, MascNow now)
{
  masc_own_plan_soon(zone, now);
}

void masc_own_children_changed(MascZone *zone, MascNow now)
{
  if (!zone->started)
    return;
  if (masc_local_leaf(zone, now))
    masc_own_dirty(zone);
  masc_own_plan_later(zone, now);
}
