/* Has what is there still its place under a new plan? Asked before anything changes. */
#include "space-internal.h"

#include <string.h>

bool mal_space_outlives(const MalPlan *plan, const MalRange *range)
{
  const MalScope *scope = mal_scope_set_find(plan->scopes, range->scope->id);
  if (strcmp(range->source, "config") == 0)
    return false;
  if (range->stand_in && (!scope || !mal_span_contains(scope->span, range->span)))
    return false;
  for (unsigned i = 0; range->stand_in && i < plan->ranges->len; i++)
    if (mal_span_overlaps(((MalStaticRange *)plan->ranges->pdata[i])->span, range->span))
      return false;
  return true;
}

/* What plugins and the control socket brought must still have its place under the new plan. */
bool mal_space_check_plan(const MalSpace *space, const MalPlan *plan, GError **error)
{
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++) {
    const MalRange *r = &space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (!mal_space_outlives(plan, r))
      continue;
    const MalScope *scope = mal_scope_set_find(plan->scopes, r->scope->id);
    if (!scope || !mal_span_contains(scope->span, r->span)) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                  "range %s (%s, from %s) would lie outside of scope %s: remove the range first, "
                  "or keep the scope",
                  r->name, mal_span_format(r->span, a), r->source, r->scope->id);
      return false;
    }
    for (unsigned j = 0; j < plan->ranges->len; j++) {
      const MalStaticRange *planned = g_ptr_array_index(plan->ranges, j);
      if (strcmp(planned->name, r->name) == 0) {
        g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                    "[range %s] has the name of a range from %s: rename one", planned->name,
                    r->source);
        return false;
      }
      if (mal_span_overlaps(planned->span, r->span)) {
        g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                    "[range %s] (%s) overlaps range %s (%s, from %s): remove that first, or "
                    "change the file",
                    planned->name, mal_span_format(planned->span, a), r->name,
                    mal_span_format(r->span, b), r->source);
        return false;
      }
    }
  }
  return true;
}
