/* Worlds of MASC from fixed seeds; tests/sim/soak-masc-faults runs any number. MAL_SIM_SEEDS in the
   environment says another number than SEEDS (sanitizers). */
#include "masc-world.h"
#include "soak.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 12
#else
#define SEEDS 80
#endif

static unsigned seeds(void)
{
  const char *text = g_getenv("MAL_SIM_SEEDS");
  return text ? (unsigned)strtoul(text, NULL, 0) : SEEDS;
}

static void hold(uint64_t first, uint64_t last, MalWorldResult *sum)
{
  for (uint64_t seed = first; seed <= last; seed++) {
    g_autoptr(MalWorldPlan) plan =
        mal_world_plan_new(&mal_masc_world_type, seed, MAL_WORLD_SMALL);
    MalWorldResult result;
    bool ok = mal_soak_try(plan, &result);
    g_autofree char *again = mal_soak_command(plan, true);
    cr_assert(ok, "%s; again: %s", result.failure, again);
    mal_world_result_add(sum, &result);
  }
}

/* Else a world in which nothing happens would pass as well: all that a plan may hold was seen. */
Test(sim_masc, worlds_hold_and_everything_happens)
{
  MalWorldResult sum = { 0 };
  hold(1, seeds(), &sum);
  /* Zones, IPv6, servers, operators: masc-world.h. */
  for (uint64_t about = 1; about <= 4; about++)
    hold(10000 * about + 1, 10000 * about + MIN(3, seeds()), &sum);
  for (size_t i = 0; seeds() >= SEEDS && SEEDS >= 80 && i < mal_masc_world_type.n_kinds; i++)
    cr_assert_gt(sum.happened[i], 0, "never happened: %s", mal_masc_world_type.kinds[i]);
}

/* Two parents had the same once: what one of them lets its own servers use of it is a rival. */
Test(sim_masc, a_parent_is_a_rival_in_what_another_one_had)
{
  g_autoptr(MalWorldPlan) plan = mal_world_plan_new(&mal_masc_world_type, 3093, MAL_WORLD_MEDIUM);
  MalWorldResult result;
  cr_assert(mal_world_plan_set_mask(plan, "10-22", NULL));
  plan->until = 4737304688;
  cr_assert(mal_soak_try(plan, &result), "%s", result.failure);
}

static uint64_t hash_of(uint64_t seed)
{
  g_autoptr(MalWorldPlan) plan = mal_world_plan_new(&mal_masc_world_type, seed, MAL_WORLD_SMALL);
  MalWorldResult result;
  cr_assert(mal_soak_try(plan, &result), "%s", result.failure);
  return result.hash;
}

Test(sim_masc, one_seed_is_one_run)
{
  uint64_t first = hash_of(7);
  cr_assert_eq(first, hash_of(7));
  cr_assert_neq(first, hash_of(8));
}

/* The checks see what they are there for. */
static void is_seen(unsigned plant, uint64_t first, const char *words)
{
  for (uint64_t seed = first; seed < first + 60; seed++) {
    g_autoptr(MalWorldPlan) plan = mal_world_plan_new(&mal_masc_world_type, seed, MAL_WORLD_SMALL);
    MalWorldResult result;
    plan->plant = plant;
    plan->quiet = true;
    if (mal_soak_try(plan, &result))
      continue;
    cr_assert_not_null(g_strstr_len(result.failure, -1, words), "%s", result.failure);
    return;
  }
  cr_assert_fail("nothing was seen");
}

Test(sim_masc, overlaps_are_found)
{
  is_seen(MAL_MASC_PLANT_DEAF, 1, "and the network is whole");
}

Test(sim_masc, what_is_not_on_the_disk_is_found)
{
  is_seen(MAL_MASC_PLANT_FORGETFUL, 1, "is gone after a crash");
}

Test(sim_masc, what_two_servers_of_a_domain_own_is_found)
{
  is_seen(MAL_MASC_PLANT_APART, 30001, ", and so does ");
}
