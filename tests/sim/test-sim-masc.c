/* Worlds of MASC from fixed seeds; tests/sim/soak-masc-faults runs any number. */
#include "masc-world.h"
#include "soak.h"
#include "test-worlds.h"

#include <criterion/criterion.h>

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 12
#else
#define SEEDS 80
#endif

Test(sim_masc, worlds_hold_and_everything_happens)
{
  MalWorldResult sum = { 0 };
  unsigned seeds = worlds_seeds(SEEDS);
  worlds_hold(&mal_masc_world_type, 1, seeds, MAL_WORLD_SMALL, &sum);
  /* Zones, IPv6, servers, operators: masc-world.h. */
  for (uint64_t about = 1; about <= 4; about++)
    worlds_hold(&mal_masc_world_type, 10000 * about + 1, 10000 * about + MIN(3, seeds),
                MAL_WORLD_SMALL, &sum);
  if (seeds >= 80)
    worlds_had_everything(&mal_masc_world_type, &sum);
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

Test(sim_masc, one_seed_is_one_run)
{
  worlds_repeat(&mal_masc_world_type, MAL_WORLD_SMALL);
}

Test(sim_masc, overlaps_are_found)
{
  worlds_see(&mal_masc_world_type, MAL_MASC_PLANT_DEAF, 1, "and the network is whole");
}

Test(sim_masc, what_is_not_on_the_disk_is_found)
{
  worlds_see(&mal_masc_world_type, MAL_MASC_PLANT_FORGETFUL, 1, "is gone after a crash");
}

Test(sim_masc, what_two_servers_of_a_domain_own_is_found)
{
  worlds_see(&mal_masc_world_type, MAL_MASC_PLANT_APART, 30001, ", and so does ");
}
