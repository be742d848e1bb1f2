/* What the domain uses of a scope, told to layer 3: by the Allocation Record where there is one
   (role maas), else by what the coordinator has overheard. */
#include "aap-plugin.h"

typedef struct {
  MalSpan span;
  MalUsageFunc func;
  void *to;
} Tell;

/* Preallocations are nobody's yet, and given up where others need them. */
static bool is_in_use(AapEntryKind kind)
{
  return kind == AAP_ENTRY_OWN || kind == AAP_ENTRY_OWN_WRITING || kind == AAP_ENTRY_CLAIM ||
         kind == AAP_ENTRY_FOREIGN;
}

static void tell(const AapEntry *entry, void *data)
{
  const Tell *t = data;
  MalU128 size = mal_span_size(entry->span);
  if (is_in_use(entry->kind) && mal_span_overlaps(entry->span, t->span))
    t->func(entry->span, size > UINT64_MAX ? UINT64_MAX : (uint64_t)size, entry->end, t->to);
}

void aap_plugin_usage(Aap *aap, const MalScope *scope, MalSpan span, MalUsageFunc func, void *to)
{
  const AapServed *served = aap_served_find(aap, scope->id);
  Tell t = { span, func, to };
  if (served != NULL && served->zone != NULL)
    aap_zone_each(served->zone, aap_now(aap), tell, &t);
  else if (served != NULL && served->coordinator != NULL)
    aap_coordinator_each_use(served->coordinator, span, aap_now(aap), func, to);
}
