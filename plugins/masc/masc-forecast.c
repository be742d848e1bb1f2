#include <math.h>
#include <string.h>

#include "masc-forecast.h"
#include "masc-holes.h"

#define PRIOR 4.0        /* one arrival in a waiting period counts like so many gaps */
#define WINDOW 32.0      /* gaps */
#define RISK_Z 0.8416212 /* of .2: the normal distribution's quantile */
#define BUCKETS 96
#define VERSION 1

MascForecast *masc_forecast_new(MascPlanKind kind, MalFamily family, const MascParams *params)
{
  MascForecast *forecast = g_new0(MascForecast, 1);
  forecast->kind = kind;
  forecast->family = family;
  forecast->params = params;
  forecast->batch = 1;
  forecast->first = forecast->last = MAL_BEGINNING;
  forecast->sampled = forecast->slack_since = forecast->short_since = MAL_BEGINNING;
  return forecast;
}

void masc_forecast_free(MascForecast *forecast)
{
  g_free(forecast);
}

unsigned masc_unit_length(const MascForecast *forecast)
{
  unsigned length =
      forecast->family == MAL_IPV4 ? forecast->params->unit4 : forecast->params->unit6;
  return MIN(length, masc_family_bits(forecast->family));
}

uint64_t masc_units(const MascForecast *forecast, MalU128 addresses)
{
  unsigned shift = masc_family_bits(forecast->family) - masc_unit_length(forecast);
  MalU128 units = addresses >> shift;
  if (units << shift != addresses)
    units++;
  return units > MASC_UNITS_MAX ? MASC_UNITS_MAX : (uint64_t)units;
}

/* ---- arrivals -------------------------------------------------------------------------------- */

static void arrived(MascForecast *forecast, double units, MalTime now)
{
  double kept = 1 - 1 / WINDOW;
  if (forecast->last != MAL_BEGINNING) {
    double gap = now > forecast->last ? (double)(now - forecast->last) : 0;
    if (forecast->weight >= WINDOW) {
      forecast->gaps *= kept;
      forecast->weight *= kept;
    }
    forecast->gaps += gap;
    forecast->weight += 1;
    forecast->batch += (units - forecast->batch) / (forecast->weight + PRIOR);
  } else {
    forecast->first = now;
    forecast->batch += (units - forecast->batch) / (1 + PRIOR);
  }
  forecast->last = MAX(now, forecast->last);
  forecast->arrivals += forecast->arrivals < UINT32_MAX;
}

/* What a leaf is asked for is one address or thousands. Less than a unit is saved up: one arrival
   is a unit at least. A parent's growth is read off its size. */
void masc_forecast_arrived(MascForecast *forecast, uint64_t count, MalTime now)
{
  unsigned shift = masc_family_bits(forecast->family) - masc_unit_length(forecast);
  if (forecast->kind != MASC_PLAN_LEAF)
    return;
  forecast->part += count;
  MalU128 units = forecast->part >> shift;
  if (units == 0)
    return;
  forecast->part -= units << shift;
  arrived(forecast, (double)units, now);
}

/* The time since the last arrival counts once it is longer than the gaps before. */
double masc_forecast_gap(const MascForecast *forecast, MalTime now)
{
  double sum = PRIOR * (double)MAX(forecast->params->waiting_period, 1) + forecast->gaps;
  double weight = PRIOR + forecast->weight;
  double gap = sum / weight;
  if (forecast->last != MAL_BEGINNING && now > forecast->last)
    gap = MAX(gap, (sum + (double)(now - forecast->last)) / (weight + 1));
  return gap / MAX(forecast->batch, 1e-3);
}

/* m with P(Poisson(m) >= k) = risk, for k >= 1: a gamma quantile after Wilson and Hilferty. */
static double quantile(double k)
{
  double root = 1 - 1 / (9 * k) - RISK_Z / (3 * sqrt(k));
  return k * root * root * root;
}

typedef struct {
  double k, more;           /* MORE: from so many on there are more than K; 0: not known yet */
} Arrivals;

/* How many arrivals X expected ones may turn out to be. X never falls from one call to the next. */
static double arrivals_of(Arrivals *a, double x)
{
  if (x > 200)
    return floor(x + RISK_Z * sqrt(x) + 0.5);
  if (a->more == 0)
    a->more = quantile(a->k + 1);
  while (a->more <= x) {
    a->k++;
    a->more = quantile(a->k + 1);
  }
  return a->k;
}

uint64_t masc_forecast_need(const MascForecast *forecast, uint64_t used, const MascUse *uses,
                            size_t n_uses, int64_t within, MalTime now)
{
  MalU128 ending[BUCKETS] = { 0 }, ended = 0;
  double gap = masc_forecast_gap(forecast, now);
  Arrivals arrivals = { 0, 0 };
  within = MAX(within, 1);
  for (size_t i = 0; i < n_uses; i++) {
    if (uses[i].until >= mal_time_add(now, within))
      continue;
    int64_t left = MAX(uses[i].until, now) - now;
    ending[(size_t)((double)left / (double)within * BUCKETS)] += mal_span_size(uses[i].span);
  }
  double most = (double)used, batch = MAX(forecast->batch, 1);
  for (unsigned i = 0; i < BUCKETS; i++) {
    double t = (double)within * (i + 1) / BUCKETS;
    double units = ended == 0 ? 0 : (double)masc_units(forecast, ended);
    most = MAX(most, (double)used + batch * arrivals_of(&arrivals, t / (gap * batch)) - units);
    ended += ending[i];
  }
  return most >= (double)MASC_UNITS_MAX ? MASC_UNITS_MAX : 1 + (uint64_t)most;
}

uint64_t masc_forecast_ramp(const MascForecast *forecast, MalTime now)
{
  int64_t life = forecast->life;
  if (forecast->arrivals < 2 || life <= 0 || forecast->first == MAL_BEGINNING ||
      now - forecast->first >= life + life / 10)
    return 0;
  return (uint64_t)MIN((double)life / masc_forecast_gap(forecast, now), (double)MASC_UNITS_MAX);
}

void masc_forecast_see_life(MascForecast *forecast, int64_t life)
{
  forecast->life = MAX(forecast->life, MIN(life, forecast->params->prefix_lifetime));
}

/* ---- growth ---------------------------------------------------------------------------------- */

void masc_forecast_sample(MascForecast *forecast, uint64_t size, MalTime now)
{
  int64_t step = MAX(forecast->params->waiting_period / 2, 1);
  if (forecast->sampled != MAL_BEGINNING && now >= forecast->sampled &&
      now - forecast->sampled < step)
    return;
  memmove(forecast->sizes + 1, forecast->sizes, sizeof(double) * (MASC_SAMPLES - 1));
  forecast->sizes[0] = (double)size;
  forecast->n_sizes = MIN(forecast->n_sizes + 1, MASC_SAMPLES);
  forecast->sampled = now;
}

/* Over five waiting periods: what goes up and down in between is no trend. */
double masc_forecast_growth(const MascForecast *forecast, uint64_t size)
{
  unsigned n = forecast->n_sizes;
  return n == 0 ? 0 : ((double)size - forecast->sizes[n - 1]) * 2 / n;
}

/* ---- kept ------------------------------------------------------------------------------------ */

static void write_double(MalWriter *w, double value)
{
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  mal_write_u64(w, bits);
}

static double read_double(MalReader *r)
{
  double value;
  uint64_t bits = mal_read_u64(r);
  memcpy(&value, &bits, sizeof value);
  if (!isfinite(value) || value < 0)
    mal_reader_fail(r);
  return value;
}

static MalTime read_time(MalReader *r)
{
  MalTime time = (MalTime)mal_read_u64(r);
  if (time != MAL_BEGINNING && (time < 0 || time > (MalTime)1 << 40))
    mal_reader_fail(r);
  return time;
}

#define OCTETS (3 + 8 * (9 + MASC_SAMPLES))

uint8_t *masc_forecast_save(const MascForecast *forecast, size_t *length)
{
  uint8_t *octets = g_malloc(OCTETS);
  MalWriter w = mal_writer(octets, OCTETS);
  mal_write_u8(&w, VERSION);
  mal_write_u8(&w, (uint8_t)forecast->kind);
  mal_write_u8(&w, (uint8_t)forecast->n_sizes);
  write_double(&w, forecast->gaps);
  write_double(&w, forecast->weight);
  write_double(&w, forecast->batch);
  mal_write_u64(&w, (uint64_t)forecast->first);
  mal_write_u64(&w, (uint64_t)forecast->last);
  mal_write_u64(&w, forecast->arrivals);
  mal_write_u64(&w, (uint64_t)forecast->life);
  mal_write_u64(&w, (uint64_t)forecast->sampled);
  mal_write_u64(&w, (uint64_t)forecast->slack_since);
  for (unsigned i = 0; i < MASC_SAMPLES; i++)
    write_double(&w, forecast->sizes[i]);
  g_assert(mal_writer_ok(&w));
  *length = OCTETS;
  return octets;
}

bool masc_forecast_load(MascForecast *forecast, const uint8_t *octets, size_t length)
{
  MascForecast f = *forecast;
  MalReader r = mal_reader(octets, length);
  if (length != OCTETS || mal_read_u8(&r) != VERSION || mal_read_u8(&r) != forecast->kind)
    return false;
  f.n_sizes = mal_read_u8(&r);
  f.gaps = read_double(&r);
  f.weight = read_double(&r);
  f.batch = read_double(&r);
  f.first = read_time(&r);
  f.last = read_time(&r);
  f.arrivals = mal_read_u64(&r);
  f.life = (int64_t)mal_read_u64(&r);
  f.sampled = read_time(&r);
  f.slack_since = read_time(&r);
  for (unsigned i = 0; i < MASC_SAMPLES; i++)
    f.sizes[i] = read_double(&r);
  if (!mal_reader_ok(&r) || f.n_sizes > MASC_SAMPLES || f.life < 0 || f.arrivals > UINT32_MAX ||
      f.weight > WINDOW + 1)
    return false;
  f.part = 0;
  *forecast = f;
  return true;
}
