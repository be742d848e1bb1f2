/* Between prefix coordinators and the core's address space (draft-ietf-malloc-aap-04 section 4). */
#include "aap-plugin.h"

#include <string.h>

/* What others than AAP made available of the scope; without any, what was taken over. */
void aap_coordinator_tell(AapServed *served)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(served->aap->host.space, MAL_LEVEL_AVAILABLE);
  g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < all->len; i++) {
    const MalRange *range = g_ptr_array_index(all, i);
    AapExtent extent = { range->span, range->until };
    if (strcmp(range->scope->id, served->scope->id) == 0 &&
        strcmp(range->source, served->aap->host.name) != 0)
      g_array_append_val(extents, extent);
  }
  if (extents->len > 0)
    g_array_set_size(served->adopted, 0);
  else
    g_array_append_vals(extents, served->adopted->data, served->adopted->len);
  aap_coordinator_set_ranges(served->coordinator, (const AapExtent *)(void *)extents->data,
                             extents->len, aap_now(served->aap));
}

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

const AapCoordinatorOps aap_coordinator_ops = {
  .send = act_send,
  .random = aap_plugin_random,
  .adopted = act_adopted,
  .demand = act_demand,
  .note = act_note,
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
