/* What the planner expects (RFC 2909 17.1.2): arrivals, growth, and octets of a hostile disk. */
#include "plugins/masc/masc-forecast.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define NOW 1767225600
#define HOUR 3600

static MascForecast *forecast_of(MascPlanKind kind, MascParams *params)
{
  masc_params_init(params);
  return masc_forecast_new(kind, MAL_IPV4, params);
}

Test(masc_forecast, a_unit_is_an_address_at_the_least)
{
  MascParams params;
  MascForecast *f = forecast_of(MASC_PLAN_LEAF, &params);
  for (unsigned length = 30; length <= 33; length++) {
    params.unit4 = length;
    cr_expect_eq(masc_unit_length(f), MIN(length, 32));
    cr_expect_eq(masc_units(f, 8), (uint64_t)8 >> (32 - MIN(length, 32)));
  }
  masc_forecast_free(f);
}

/* Of few arrivals it is the exact quantile of Poisson's distribution, of many the normal one; where
   they meet there is no step, and more time never means less. */
Test(masc_forecast, s17_1_2_the_farther_the_more)
{
  MascParams params;
  MascForecast *f = forecast_of(MASC_PLAN_LEAF, &params);
  uint64_t before = 0;
  for (unsigned i = 0; i < 40; i++)
    masc_forecast_arrived(f, 256, NOW - (40 - i) * HOUR);
  double gap = masc_forecast_gap(f, NOW);
  for (int64_t days = 1; days <= 120; days++) {
    double x = (double)days * 86400 / gap;
    uint64_t need = masc_forecast_need(f, 0, NULL, 0, days * 86400, NOW);
    cr_expect_geq(need, before, "day %ld", (long)days);
    if (x > 10)
      cr_expect_leq(fabs((double)need - 1 - x - 0.8416 * sqrt(x)), 1.5, "day %ld", (long)days);
    before = need;
  }
  cr_expect_gt(before, 400);
  masc_forecast_free(f);
}

Test(masc_forecast, growth_needs_something_to_compare_with)
{
  MascParams params;
  MascForecast *f = forecast_of(MASC_PLAN_PARENT, &params);
  cr_expect_eq(masc_forecast_growth(f, 100), 0);
  for (unsigned i = 0; i < 20; i++)
    masc_forecast_sample(f, 100 + 10 * i, NOW + i * params.waiting_period / 2);
  cr_expect_float_eq(masc_forecast_growth(f, 100 + 10 * 20), 20, 1.0);
  masc_forecast_free(f);
}

/* Places in what masc_forecast_save writes. */
enum { GAPS = 3, WEIGHT = 11, FIRST = 27, ARRIVALS = 43, LIFE = 51, SIZES = 3 + 72 };

static void put(uint8_t *octets, size_t at, uint64_t value)
{
  for (unsigned i = 0; i < 8; i++)
    octets[at + i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t bits_of(double value)
{
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

Test(masc_forecast, s13_what_is_no_number_is_not_taken_from_the_disk)
{
  static const struct {
    size_t at;
    double value;
    bool taken;
  } rows[] = {
    { GAPS, 3600, true },      { GAPS, INFINITY, false },   { GAPS, NAN, false },
    { GAPS, -1, false },       { WEIGHT, 33, true },        { WEIGHT, 34, false },
    { SIZES, 12, true },       { SIZES, INFINITY, false },  { SIZES + 80, NAN, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascParams params;
    MascForecast *f = forecast_of(MASC_PLAN_LEAF, &params);
    size_t length;
    g_autofree uint8_t *octets = masc_forecast_save(f, &length);
    put(octets, rows[i].at, bits_of(rows[i].value));
    cr_expect_eq(masc_forecast_load(f, octets, length), rows[i].taken, "row %zu", i);
    masc_forecast_free(f);
  }
}

/* Arrivals of which the first one is not known can't be extrapolated. */
Test(masc_forecast, s13_a_ramp_needs_a_beginning)
{
  MascParams params;
  MascForecast *f = forecast_of(MASC_PLAN_LEAF, &params);
  size_t length;
  masc_forecast_see_life(f, 720 * HOUR);
  for (unsigned i = 0; i < 3; i++)
    masc_forecast_arrived(f, 256, NOW - (3 - i) * HOUR);
  cr_assert_gt(masc_forecast_ramp(f, NOW), 0);
  g_autofree uint8_t *octets = masc_forecast_save(f, &length);
  put(octets, FIRST, (uint64_t)MAL_BEGINNING);
  cr_assert(masc_forecast_load(f, octets, length));
  cr_expect_eq(masc_forecast_ramp(f, NOW), 0);
  masc_forecast_free(f);
}
