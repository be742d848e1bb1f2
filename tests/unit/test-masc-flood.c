/* Who floods (RFC 2909 14): the counts alone. */
#include "plugins/masc/masc-flood.h"

#include <criterion/criterion.h>

#define PERIOD 1000

static MascNow at(int64_t seconds)
{
  return (MascNow){ seconds * MASC_SECOND, seconds };
}

static MascParams limit(unsigned most)
{
  MascParams params;
  masc_params_init(&params);
  params.waiting_period = PERIOD;
  params.flood_limit = most;
  return params;
}

Test(rfc2909_14, without_a_limit_nobody_floods)
{
  MascParams params = limit(0);
  MascFlood *flood = masc_flood_new();
  for (unsigned i = 0; i < 1000; i++)
    cr_assert_not(masc_flood_count(flood, 5, &params, at(1)));
  cr_expect_not(masc_flood_ignored(flood, 5, at(1)));
  masc_flood_free(flood);
}

/* Credits for what came to use after all, after two counts; three are too many. */
Test(rfc2909_14, what_was_meant_does_not_count)
{
  for (unsigned credits = 0; credits <= 4; credits++) {
    MascParams params = limit(2);
    MascFlood *flood = masc_flood_new();
    masc_flood_credit(flood, 5);
    cr_assert_not(masc_flood_count(flood, 5, &params, at(1)));
    cr_assert_not(masc_flood_count(flood, 5, &params, at(1)));
    for (unsigned i = 0; i < credits; i++)
      masc_flood_credit(flood, 5);
    cr_expect_eq(masc_flood_count(flood, 5, &params, at(1)), credits == 0, "%u credits", credits);
    /* None is saved up beyond what was counted. */
    cr_expect_eq(masc_flood_count(flood, 5, &params, at(1)), credits == 1, "%u credits", credits);
    masc_flood_free(flood);
  }
}

Test(rfc2909_14, only_who_is_ignored_is_forgiven)
{
  MascParams params = limit(1);
  MascFlood *flood = masc_flood_new();
  cr_expect_not(masc_flood_forgive(flood, 5), "never heard of");
  masc_flood_count(flood, 5, &params, at(1));
  cr_expect_not(masc_flood_forgive(flood, 5), "counted, not ignored");
  cr_assert(masc_flood_count(flood, 5, &params, at(1)));
  cr_expect(masc_flood_ignored(flood, 5, at(1 + 2 * PERIOD - 1)));
  cr_expect(masc_flood_forgive(flood, 5));
  cr_expect_not(masc_flood_ignored(flood, 5, at(2)));
  cr_expect_not(masc_flood_forgive(flood, 5), "once");
  masc_flood_free(flood);
}
