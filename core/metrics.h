/* Counters and gauges, declared in tables: one array of values per owner, an index each. */
#ifndef MAL_METRICS_H
#define MAL_METRICS_H

#include "api.h"

G_BEGIN_DECLS

typedef enum { MAL_COUNTER, MAL_GAUGE } MalMetricKind;
typedef struct {
  const char *name;           /* "requests-refused" */
  MalMetricKind kind;
  const char *help;
} MalMetricDef;

/* The values of one owner ("core", "madcap"), in the order of its table. */
typedef struct {
  const char *owner;
  const MalMetricDef *defs;
  size_t n;
  uint64_t *values;
} MalMetricSet;

static inline void mal_count(MalMetricSet *set, size_t index, uint64_t n)
{
  set->values[index] += n;
}
static inline void mal_gauge(MalMetricSet *set, size_t index, uint64_t v)
{
  set->values[index] = v;
}

typedef struct MalMetrics MalMetrics;
MAL_API MalMetrics *mal_metrics_new(void);
MAL_API void mal_metrics_free(MalMetrics *metrics);
/* Owned by METRICS. DEFS must stay; registering an owner again (a plugin was restarted) gives the
   same set. */
MAL_API MalMetricSet *mal_metrics_register(MalMetrics *metrics, const char *owner,
                                           const MalMetricDef *defs, size_t n);
/* The sets, in the order of their registration. */
MAL_API size_t mal_metrics_size(const MalMetrics *metrics);
MAL_API MalMetricSet *mal_metrics_at(const MalMetrics *metrics, size_t index);

G_END_DECLS
#endif
