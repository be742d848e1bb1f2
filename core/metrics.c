#include "metrics.h"

#include <string.h>

struct MalMetrics {
  GPtrArray *sets;            /* MalMetricSet *, owned */
};

static void set_free(void *p)
{
  MalMetricSet *set = p;
  g_free((char *) set->owner);
  g_free(set->values);
  g_free(set);
}

MalMetrics *mal_metrics_new(void)
{
  MalMetrics *metrics = g_new0(MalMetrics, 1);
  metrics->sets = g_ptr_array_new_with_free_func(set_free);
  return metrics;
}

void mal_metrics_free(MalMetrics *metrics)
{
  if (!metrics)
    return;
  g_ptr_array_unref(metrics->sets);
  g_free(metrics);
}

MalMetricSet *mal_metrics_register(MalMetrics *metrics, const char *owner, const MalMetricDef *defs,
                                   size_t n)
{
  for (size_t i = 0; i < metrics->sets->len; i++) {
    MalMetricSet *set = metrics->sets->pdata[i];
    if (strcmp(set->owner, owner) != 0)
      continue;
    g_assert(set->n == n);
    set->defs = defs;         /* a plugin that was loaded again has its table elsewhere */
    return set;
  }
  MalMetricSet *set = g_new0(MalMetricSet, 1);
  set->owner = g_strdup(owner);
  set->defs = defs;
  set->n = n;
  set->values = g_new0(uint64_t, n);
  g_ptr_array_add(metrics->sets, set);
  return set;
}

size_t mal_metrics_size(const MalMetrics *metrics)
{
  return metrics->sets->len;
}

MalMetricSet *mal_metrics_at(const MalMetrics *metrics, size_t index)
{
  g_assert(index < metrics->sets->len);
  return metrics->sets->pdata[index];
}
