/* A prefix coordinator of the world's large scope. */
#include "aap-world-private.h"

static bool on_send(void *user, AapCoordinator *coordinator, const AapMessage *msg)
{
  (void)coordinator;
  return world_send(user, msg);
}

static uint64_t on_random(void *user, uint64_t low, uint64_t high)
{
  return between(&((AapNode *)user)->random, low, high);
}

static void on_adopted(void *user, AapCoordinator *coordinator, const AapExtent *ranges, size_t n)
{
  AapNode *c = user;
  (void)coordinator;
  g_clear_pointer(&c->announced, g_array_unref);
  c->announced = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_array_append_vals(c->announced, ranges, (guint)n);
}

static void on_demand(void *user, AapCoordinator *coordinator, uint64_t count, MalTime end)
{
  (void)coordinator;
  (void)count;
  (void)end;
  world_count(((AapNode *)user)->world, COUNT_DEMAND, 1);
}

static void on_note(void *user, AapCoordinator *coordinator, AapCoordinatorNote note,
                    MalEndpoint peer, uint64_t n)
{
  AapNode *c = user;
  (void)coordinator;
  (void)peer;
  (void)n;
  world_trace(c->world, "%2u coordinator notes %d", c->index, (int)note);
  world_count(c->world, COUNT_LEADS, note == AAP_CNOTE_LEADS);
  world_count(c->world, COUNT_INCONSISTENT, note == AAP_CNOTE_INCONSISTENT);
}

static const AapCoordinatorOps ops = {
  .send = on_send,
  .random = on_random,
  .adopted = on_adopted,
  .demand = on_demand,
  .note = on_note,
};

void world_settle_coordinator(AapNode *c)
{
  g_autoptr(GArray) ranges = g_steal_pointer(&c->announced);
  if (ranges != NULL)
    aap_coordinator_set_ranges(c->coordinator, (const AapExtent *)(void *)ranges->data,
                               ranges->len, world_clock(c));
  int64_t due = aap_coordinator_due(c->coordinator);
  if (due == AAP_NEVER)
    return;
  int64_t at = MAX(due - (world_clock(c).mono - c->world->now), c->world->now);
  if (at == c->scheduled)
    return;
  c->scheduled = at;
  world_push(c->world, EVENT_DUE, at, c->index);
}

/* What layer 3 gives it now; ends are in true time. */
void world_coordinator_ranges(AapNode *c)
{
  const AapWorld *w = c->world;
  g_autoptr(GArray) ranges = g_array_copy(w->ranges);
  if (c->coordinator == NULL)
    return;
  for (guint i = 0; i < ranges->len; i++) {
    AapExtent *range = &g_array_index(ranges, AapExtent, i);
    if (range->end != MAL_FOREVER)
      range->end += c->skew / AAP_US;
  }
  aap_coordinator_set_ranges(c->coordinator, (const AapExtent *)(void *)ranges->data, ranges->len,
                             world_clock(c));
  world_settle_coordinator(c);
}

void world_coordinator_start(AapNode *c)
{
  AapWorld *w = c->world;
  c->life++;
  c->up = true;
  c->scheduled = AAP_NEVER;
  c->sequence = aap_sequence_new();
  AapCoordinatorConfig config = { "world", w->scope, &c->params, c->sequence, &ops, c };
  c->coordinator = aap_coordinator_new(&config);
  aap_coordinator_start(c->coordinator, world_clock(c));
  /* One that lost its disk learns from what MAASs send again (4.1). */
  if (c->asa_length == 0)
    world_coordinator_ranges(c);
  c->asa_length = 0;
  world_settle_coordinator(c);
}
