/* Worlds of AAP from fixed seeds; tests/sim/soak-aap runs any number of them. */
#include "aap-world.h"
#include "test-worlds.h"

#include <criterion/criterion.h>

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 40
#else
#define SEEDS 150
#endif

Test(sim_aap, worlds_hold_and_everything_happens)
{
  MalWorldResult sum = { 0 };
  unsigned seeds = worlds_seeds(SEEDS);
  worlds_hold(&mal_aap_world_type, 1, seeds, MAL_WORLD_ANY_SIZE, &sum);
  if (seeds >= 150)
    worlds_had_everything(&mal_aap_world_type, &sum);
}

Test(sim_aap, one_seed_is_one_run)
{
  worlds_repeat(&mal_aap_world_type, MAL_WORLD_SMALL);
}

Test(sim_aap, a_deaf_server_is_found)
{
  worlds_see(&mal_aap_world_type, MAL_AAP_PLANT_DEAF, 1, " ");
}

Test(sim_aap, what_is_not_on_the_disk_is_found)
{
  worlds_see(&mal_aap_world_type, MAL_AAP_PLANT_EAGER, 1, "disk");
}
