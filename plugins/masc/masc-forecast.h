/* What the planner remembers, and what it expects: arrivals and their gaps (leaf), growth (parent).
   Counts are units, prefixes of the smallest claim's size; times are seconds. Pure. */
#ifndef MASC_FORECAST_H
#define MASC_FORECAST_H

#include "masc-plan.h"

G_BEGIN_DECLS

#define MASC_SAMPLES 11         /* of a parent's size, half a waiting period apart */

struct MascForecast {
  MascPlanKind kind;
  MalFamily family;
  const MascParams *params;
  /* Leaf. */
  double gaps, weight;          /* sum of the gaps that count, and how many */
  double batch;                 /* units in one arrival, on average */
  MalU128 part;                 /* addresses that don't fill a unit yet */
  MalTime first, last;          /* arrivals; MAL_BEGINNING: none */
  uint64_t arrivals;            /* at most UINT32_MAX */
  int64_t life;                 /* the longest that a use has been seen to have left */
  MalTime short_since;          /* somebody waits, and nothing as large as needed is free; not kept;
                                   MAL_BEGINNING: not so */
  /* Parent. */
  double sizes[MASC_SAMPLES];   /* the newest first */
  unsigned n_sizes;
  MalTime sampled;
  MalTime slack_since;          /* from when on a piece could be spared; MAL_BEGINNING: none can */
};

unsigned masc_unit_length(const MascForecast *forecast);
/* Addresses as units, rounded up; saturates: nobody needs more, or has, as far as it counts. */
#define MASC_UNITS_MAX ((uint64_t)1 << 50)
uint64_t masc_units(const MascForecast *forecast, MalU128 addresses);

/* Seconds between arrivals of one unit. */
double masc_forecast_gap(const MascForecast *forecast, MalTime now);
/* How many units are expected to be in use WITHIN seconds from now at the most, with that risk of
   more: USED now, of which USES end as they say. */
uint64_t masc_forecast_need(const MascForecast *forecast, uint64_t used, const MascUse *uses,
                            size_t n_uses, int64_t within, MalTime now);
/* Units in use in the end if all goes on like this; 0 where what is in use now says it better. */
uint64_t masc_forecast_ramp(const MascForecast *forecast, MalTime now);
void masc_forecast_see_life(MascForecast *forecast, int64_t life);

/* A parent's size now. */
void masc_forecast_sample(MascForecast *forecast, uint64_t size, MalTime now);
/* How much more it was after a waiting period, on average; below 0: less. */
double masc_forecast_growth(const MascForecast *forecast, uint64_t size);

G_END_DECLS
#endif
