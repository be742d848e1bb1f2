/* What befalls a world, how it is mended, and that all is healed in the end. */
#include "aap-world-private.h"

static void start_node(AapWorld *w, const MalWorldItem *item, bool coordinator)
{
  AapNode *n = &w->node[item->who + (coordinator ? SERVERS : 0)];
  MalWorldRandom r = { item->seed };
  int64_t most = chance(&r, 20) ? SEC(3600) : chance(&r, 50) ? SEC(2) : SEC(120);
  n->absent = false;
  n->skew = (int64_t)between(&r, 0, 2 * (uint64_t)most) - most;
  n->random.state = mal_world_random(&r);
  n->clients.state = mal_world_random(&r);
  n->disk_us = (int64_t)(chance(&r, 80) ? between(&r, 100, 20000) : between(&r, 20000, 3000000));
  if (coordinator) {
    world_coordinator_start(n);
    return;
  }
  world_server_start(n);
  n->lifetime_s = (int64_t)(chance(&r, 50) ? between(&r, 30, 600) : between(&r, 600, 7200));
  uint64_t rate = chance(&r, 70) ? between(&r, 5, 120) : between(&r, 120, 1200);
  n->burst = chance(&r, 70) ? 1 : (unsigned)between(&r, 2, 30);
  n->rate = (double)rate;
  world_push(w, EVENT_CLIENT, w->now + SEC(150), n->index);
}

/* ---- crashes --------------------------------------------------------------------------------- */

static void mend_later(AapWorld *w, guint number, const MalWorldItem *item)
{
  world_push(w, EVENT_MEND, w->now + SEC(item->b), NODES)->a = number;
}

static void start_again(AapWorld *w, unsigned node, uint64_t after_s)
{
  world_push(w, EVENT_START, w->now + SEC(after_s), node);
}

static void crash(AapWorld *w, const MalWorldItem *item)
{
  AapNode *s = &w->node[item->who];
  MalWorldRandom r = { item->seed };
  if (s->absent)
    return;
  if (item->kind != KIND_WIPE) {
    world_node_crash(s);
  } else {
    world_node_wipe(s);
    uint64_t first = between(&r, 0, w->addresses - 1);
    if (chance(&r, 30))
      aap_spans_add(s->adopted, world_span(w, first, MIN(first + 3, w->addresses - 1)));
  }
  start_again(w, s->index, item->b);
}

static void blackout(AapWorld *w, const MalWorldItem *item)
{
  MalWorldRandom r = { item->seed };
  for (unsigned i = 0; i < NODES; i++) {
    AapNode *s = &w->node[i];
    if (s->absent)
      continue;
    if (chance(&r, 5) && !s->is_coordinator)
      world_node_wipe(s);
    else
      world_node_crash(s);
    start_again(w, i, chance(&r, 70) ? item->a : item->b);
  }
}

static void step_clock(AapWorld *w, const MalWorldItem *item)
{
  AapNode *s = &w->node[item->who];
  MalWorldRandom r = { item->seed };
  int64_t most = chance(&r, 50) ? 30 : 3600;
  int64_t delta = (int64_t)between(&r, 0, 2 * (uint64_t)most) - most;
  s->skew += SEC(delta);
  if (s->zone == NULL)
    return;
  world_trace(w, "%2u clock steps by %" G_GINT64_FORMAT, s->index, delta);
  aap_zone_clock_stepped(s->zone, delta, world_clock(s));
  world_settle(s);
}

/* ---- the network ----------------------------------------------------------------------------- */

static void cut(AapWorld *w, const MalWorldItem *item, bool on)
{
  MalWorldRandom r = { item->seed };
  uint64_t side = mal_world_random(&r);
  bool one = chance(&r, 40);
  if (on)
    w->cuts++;
  else
    w->cuts--;
  for (unsigned i = 0; i < NODES; i++)
    for (unsigned k = 0; k < NODES; k++) {
      bool here = one ? i == item->who : side >> (i % 64) & 1;
      bool there = one ? k == item->who : side >> (k % 64) & 1;
      if (here == there || (item->kind == KIND_CUT_ONE_WAY && here))
        continue;
      w->cut[i][k] = (uint8_t)(on ? w->cut[i][k] + 1 : w->cut[i][k] - 1);
    }
}

static void count_muted(AapWorld *w)
{
  w->muted = 0;
  for (unsigned i = 0; i < NODES; i++)
    w->muted += w->node[i].mute;
}

static void jitter(AapWorld *w, const MalWorldItem *item)
{
  MalWorldRandom r = { item->seed };
  w->jitter = (int64_t)between(&r, 0, CLEAN_DELAY - 1000);
  w->twice = (unsigned)between(&r, 0, 30);
  if (!w->plan->settings[SET_CALM] && chance(&r, 30))
    w->jitter = (int64_t)between(&r, CLEAN_DELAY, 8 * AAP_US);
}

/* ---- space ----------------------------------------------------------------------------------- */

static void spread_ranges(AapWorld *w)
{
  for (unsigned i = 0; i < NODES; i++) {
    AapNode *n = &w->node[i];
    if (n->is_coordinator)
      world_coordinator_ranges(n);
    else if (!w->large && n->zone != NULL) {
      world_available(n);
      world_check_bounds(n);
      world_settle(n);
    }
  }
}

static void set_ranges(AapWorld *w, uint64_t first, uint64_t last, MalTime end)
{
  AapExtent extents[3];
  guint n = 0;
  if (first > 0)
    extents[n++] = (AapExtent){ world_span(w, 0, first - 1), MAL_FOREVER };
  if (end != MAL_BEGINNING)
    extents[n++] = (AapExtent){ world_span(w, first, last), end };
  if (last < w->addresses - 1)
    extents[n++] = (AapExtent){ world_span(w, last + 1, w->addresses - 1), MAL_FOREVER };
  g_array_set_size(w->ranges, 0);
  g_array_append_vals(w->ranges, extents, n);
}

static void whole(AapWorld *w)
{
  AapExtent all = { world_span(w, 0, w->addresses - 1), MAL_FOREVER };
  g_array_set_size(w->ranges, 0);
  g_array_append_val(w->ranges, all);
}

static void change_space(AapWorld *w, const MalWorldItem *item)
{
  MalWorldRandom r = { item->seed };
  uint64_t first = between(&r, 0, w->addresses - 1);
  uint64_t last = between(&r, first, w->addresses - 1);
  MalTime now = EPOCH + w->now / AAP_US;
  if (item->kind == KIND_GROW)
    whole(w);
  else
    set_ranges(w, first, last, item->kind == KIND_SHRINK ? MAL_BEGINNING : now + (MalTime)item->b);
  spread_ranges(w);
}

static void disagree(AapWorld *w, const MalWorldItem *item)
{
  AapNode *c = &w->node[SERVERS + item->who];
  MalWorldRandom r = { item->seed };
  AapExtent range = { world_span(w, 0, between(&r, 0, w->addresses - 1)), MAL_FOREVER };
  if (c->coordinator == NULL)
    return;
  aap_coordinator_set_ranges(c->coordinator, &range, 1, world_clock(c));
  world_settle_coordinator(c);
}

static void exclude(AapWorld *w, const MalWorldItem *item)
{
  AapNode *s = &w->node[item->who];
  MalWorldRandom r = { item->seed };
  uint64_t first = between(&r, 0, w->addresses - 1);
  g_array_set_size(s->excluded, 0);
  aap_spans_add(s->excluded, world_span(w, first, MIN(first + 10, w->addresses - 1)));
  s->excluded_at = w->now;
  if (s->zone == NULL)
    return;
  aap_zone_set_excluded(s->zone, (const MalSpan *)(void *)s->excluded->data, s->excluded->len,
                        world_clock(s));
  world_settle(s);
}

static void fail_over(AapWorld *w, const MalWorldItem *item, unsigned who)
{
  AapNode *c = &w->node[SERVERS + who];
  MalWorldRandom r = { item->seed };
  if (c->absent)
    return;
  world_node_crash(c);
  c->asa_length = chance(&r, 30);
  start_again(w, c->index, item->b);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void burst(AapWorld *w, const MalWorldItem *item)
{
  AapNode *s = &w->node[item->who];
  MalWorldRandom r = { item->seed };
  uint64_t n = chance(&r, 70) ? item->a * 2 : MIN(w->addresses, 300);
  for (uint64_t i = 0; i < n && !w->over; i++)
    world_ask(s, (int64_t)between(&r, 30, 900));
}

static void named(AapWorld *w, const MalWorldItem *item)
{
  AapNode *s = &w->node[item->who];
  MalWorldRandom r = { item->seed };
  uint64_t first = between(&r, 0, w->addresses - 1);
  if (s->zone == NULL)
    return;
  aap_zone_want_span(s->zone, world_span(w, first, MIN(first + item->a % 5, w->addresses - 1)),
                     world_clock(s).wall + (MalTime)between(&r, 60, 7200), world_clock(s));
  world_settle(s);
}

/* ---- items ----------------------------------------------------------------------------------- */

/* What lasts and is mended later; false: ITEM is something else. */
static bool begin_fault(AapWorld *w, const MalWorldItem *item)
{
  AapNode *s = &w->node[item->who];
  switch ((WorldKind)item->kind) {
  case KIND_SLOW_DISK: s->disk_us = (int64_t)item->a * AAP_US / 4; return true;
  case KIND_BAD_DISK: s->disk_fails = true; return true;
  case KIND_JITTER: jitter(w, item); return true;
  case KIND_LOSS: w->loss = (unsigned)item->a; return true;
  case KIND_CUT_SHORT:
  case KIND_CUT_LONG:
  case KIND_CUT_ONE_WAY: cut(w, item, true); return true;
  case KIND_MUTE: s->mute = true; return true;
  case KIND_DISAGREE: disagree(w, item); return true;
  default: return false;
  }
}

static void happen(AapWorld *w, guint number, const MalWorldItem *item)
{
  if (begin_fault(w, item)) {
    mend_later(w, number, item);
    return;
  }
  switch ((WorldKind)item->kind) {
  case KIND_SERVER:
  case KIND_COORDINATOR: start_node(w, item, item->kind == KIND_COORDINATOR); break;
  case KIND_CRASH:
  case KIND_WIPE: crash(w, item); break;
  case KIND_BLACKOUT: blackout(w, item); break;
  case KIND_STEP: step_clock(w, item); break;
  case KIND_BURST: burst(w, item); break;
  case KIND_NAMED: named(w, item); break;
  case KIND_SHRINK:
  case KIND_GROW:
  case KIND_END: change_space(w, item); break;
  case KIND_EXCLUDE: exclude(w, item); break;
  case KIND_NO_COORDINATOR:
    fail_over(w, item, 1);
    fail_over(w, item, 0);
    break;
  case KIND_FAILOVER: fail_over(w, item, (unsigned)item->who); break;
  default: break;
  }
}

void world_item(AapWorld *w, guint number)
{
  const MalWorldItem *item = mal_world_plan_item(w->plan, number);
  world_trace(w, "   %s %" G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT ")",
              w->plan->type->kinds[item->kind], item->who, item->a, item->b);
  w->result->happened[item->kind]++;
  happen(w, number, item);
  count_muted(w);
  world_network_changed(w);
}

void world_mend(AapWorld *w, guint number)
{
  const MalWorldItem *item = mal_world_plan_item(w->plan, number);
  AapNode *s = &w->node[item->who];
  if (w->healed)
    return;
  world_trace(w, "   mended: %s %" G_GUINT64_FORMAT, w->plan->type->kinds[item->kind], item->who);
  if (item->kind == KIND_SLOW_DISK)
    s->disk_us = 5000;
  else if (item->kind == KIND_BAD_DISK)
    s->disk_fails = false;
  else if (item->kind == KIND_JITTER)
    w->jitter = 2000, w->twice = 0;
  else if (item->kind == KIND_LOSS)
    w->loss = 0;
  else if (item->kind == KIND_MUTE)
    s->mute = false;
  else if (item->kind == KIND_DISAGREE)
    world_coordinator_ranges(&w->node[SERVERS + item->who]);
  else
    cut(w, item, false);
  count_muted(w);
  world_network_changed(w);
}

void world_heal(AapWorld *w)
{
  w->healed = true;
  w->loss = w->twice = w->cuts = 0;
  w->jitter = 2000;
  for (unsigned i = 0; i < NODES; i++) {
    AapNode *n = &w->node[i];
    for (unsigned k = 0; k < NODES; k++)
      w->cut[i][k] = 0;
    n->mute = n->disk_fails = false;
    n->disk_us = MIN(n->disk_us, 20000);
    if (!n->absent && !n->up)
      world_push(w, EVENT_START, w->now, i);
    n->asa_length = n->is_coordinator ? 0 : n->asa_length;
  }
  spread_ranges(w);
  count_muted(w);
  world_network_changed(w);
}
