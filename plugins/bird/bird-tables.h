/* What the plugin declares: keys, events, metrics; and the configuration read by them. */
#ifndef BIRD_TABLES_H
#define BIRD_TABLES_H

#include "core/conf.h"
#include "core/events.h"
#include "core/metrics.h"

#include "bird-file.h"
#include "bird-sync.h"

typedef struct {
  const char *file, *socket;
  BirdForm form;
  BirdTimes times;
} BirdConfig;

extern const MalConfGroup bird_conf_groups[1];
/* What the keys' types can't say. */
bool bird_config_check(const MalConfSection *s, GError **error);
/* Borrows from the section. */
BirdConfig bird_config_from(const MalConfSection *s);

enum {
  BIRD_EVENT_EXPORTED,
  BIRD_EVENT_REFUSED,
  BIRD_EVENT_UNREACHABLE,
  BIRD_EVENT_NOT_WRITTEN,
  BIRD_EVENT_LEFT_OUT,
  BIRD_N_EVENTS
};
extern const MalEventDef *const bird_events[BIRD_N_EVENTS];

enum {
  BIRD_M_ROUTES,
  BIRD_M_LEFT_OUT,
  BIRD_M_IN_STEP,
  BIRD_M_WRITTEN,
  BIRD_M_NOT_WRITTEN,
  BIRD_M_ASKED,
  BIRD_M_ACCEPTED,
  BIRD_M_REFUSED,
  BIRD_M_LOST,
  BIRD_N_METRICS
};
extern const MalMetricDef bird_metrics[BIRD_N_METRICS];

#endif
