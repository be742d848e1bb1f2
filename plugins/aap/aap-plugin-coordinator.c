/* Between prefix coordinators and the core's address space (draft-ietf-malloc-aap-04 section 4). */
#include "aap-plugin.h"

#include <string.h>

/* ---- what there is --------------------------------------------------------------------------- */

/* What others than AAP made available of the scope. */
static GArray *brought(const AapServed *served)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(served->aap->host.space, MAL_LEVEL_AVAILABLE);
  GArray *extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < all->len; i++) {
    const MalRange *range = g_ptr_array_index(all, i);
    AapExtent extent = { range->span, range->until };
    if (strcmp(range->scope->id, served->scope->id) == 0 &&
        strcmp(range->source, served->aap->host.name) != 0)
      g_array_append_val(extents, extent);
  }
  return extents;
}

static void add_span(MalSpan part, void *data)
{
  aap_spans_add(data, part);
}

/* Of RANGES, what lies in SPANS. */
static void leave_within(GArray *ranges, const GArray *spans)
{
  g_autoptr(GArray) all = g_array_copy(ranges);
  g_array_set_size(ranges, 0);
  for (guint i = 0; i < all->len; i++) {
    AapExtent extent = g_array_index(all, AapExtent, i);
    for (guint k = 0; k < spans->len; k++) {
      AapExtent part = { .end = extent.end };
      if (mal_span_intersect(extent.span, g_array_index(spans, MalSpan, k), &part.span))
        g_array_append_val(ranges, part);
    }
  }
}

/* Leaves of RANGES what layer 3 vouches for. False: nobody knows better. */
static bool vouch(const AapServed *served, GArray *ranges)
{
  g_autoptr(GArray) asked = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  g_autoptr(GArray) vouched = aap_spans_new();
  for (guint i = 0; i < ranges->len; i++)
    g_array_append_val(asked, g_array_index(ranges, AapExtent, i).span);
  if (!mal_space_vouch(served->aap->host.space, served->scope,
                       (const MalSpan *)(void *)asked->data, asked->len, add_span, vouched))
    return false;
  leave_within(ranges, vouched);
  return true;
}

static void leave_without(GArray *ranges, const GArray *others)
{
  g_autoptr(GArray) left = aap_spans_new();
  for (guint i = 0; i < ranges->len; i++)
    aap_spans_add(left, g_array_index(ranges, AapExtent, i).span);
  for (guint i = 0; i < others->len; i++)
    aap_spans_subtract(left, g_array_index(others, AapExtent, i).span);
  leave_within(ranges, left);
}

static int by_first(const void *a, const void *b)
{
  return mal_address_compare(((const AapExtent *)a)->span.first,
                             ((const AapExtent *)b)->span.first);
}

/* What was taken over goes on beside what is brought where layer 3 vouches for it; without its
   word, only as long as nothing is. */
static void judge_adopted(AapServed *served, const GArray *others)
{
  if (served->adopted->len == 0)
    return;
  leave_without(served->adopted, others);
  if (!vouch(served, served->adopted) && others->len > 0)
    g_array_set_size(served->adopted, 0);
  /* The zone of this process, if there is one, hears of it by what is announced. */
  if (served->zone == NULL)
    aap_space_set_asa(served, (const AapExtent *)(void *)served->adopted->data,
                      served->adopted->len);
}

/* The end of what was taken over is said at once, since nobody else may lead to say it. */
void aap_coordinator_tell(AapServed *served)
{
  AapNow now = aap_now(served->aap);
  g_autoptr(GArray) extents = brought(served);
  g_autoptr(GArray) before = g_array_copy(served->adopted);
  judge_adopted(served, extents);
  g_array_append_vals(extents, served->adopted->data, served->adopted->len);
  g_array_sort(extents, by_first);
  bool leads = aap_coordinator_state(served->coordinator) == AAP_COORDINATOR_LEAD;
  aap_coordinator_set_ranges(served->coordinator, (const AapExtent *)(void *)extents->data,
                             extents->len, now);
  if (extents->len == 0 && !leads)
    aap_coordinator_take_back(served->coordinator, (const AapExtent *)(void *)before->data,
                              before->len, now);
}

void aap_coordinator_doubt(Aap *aap)
{
  for (guint i = 0; i < aap->served->len; i++) {
    AapServed *served = g_ptr_array_index(aap->served, i);
    served->available_changed = served->available_changed || served->adopted->len > 0;
  }
  aap_wake(aap);
}

/* ---- what it asks for ------------------------------------------------------------------------ */

static bool act_send(void *user, AapCoordinator *coordinator, const AapMessage *msg)
{
  (void)coordinator;
  return aap_plugin_send(user, msg, false);
}

static void later(AapServed *served, AapAction action)
{
  action.served = served;
  g_array_append_val(served->aap->actions, action);
}

static void act_adopted(void *user, AapCoordinator *coordinator, const AapExtent *ranges, size_t n)
{
  GArray *extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  (void)coordinator;
  g_array_append_vals(extents, ranges, (guint)n);
  later(user, (AapAction){ .what = AAP_DO_ADOPT, .extents = extents });
}

static void act_demand(void *user, AapCoordinator *coordinator, uint64_t count, MalTime end)
{
  (void)coordinator;
  later(user, (AapAction){ .what = AAP_DO_ASK, .count = count, .end = end });
}

static void act_note(void *user, AapCoordinator *coordinator, AapCoordinatorNote note,
                     MalEndpoint peer, uint64_t n)
{
  (void)coordinator;
  aap_news_cnote(user, note, peer, n);
}

static void act_vouch(void *user, AapCoordinator *coordinator, GArray *ranges)
{
  (void)coordinator;
  vouch(user, ranges);
}

const AapCoordinatorOps aap_coordinator_ops = {
  .send = act_send,
  .random = aap_plugin_random,
  .adopted = act_adopted,
  .demand = act_demand,
  .note = act_note,
  .vouch = act_vouch,
};

/* The zone of this process, if there is one, has heard the same announcement itself. */
bool aap_coordinator_do(AapServed *served, const AapAction *action)
{
  if (action->what == AAP_DO_ASK)
    return mal_space_ask(served->aap->host.space, served->scope, action->count, action->end);
  g_array_set_size(served->adopted, 0);
  g_array_append_vals(served->adopted, action->extents->data, action->extents->len);
  if (served->zone == NULL)
    aap_space_set_asa(served, (const AapExtent *)(void *)action->extents->data,
                      action->extents->len);
  served->available_changed = true;
  return true;
}
