/* Worlds of MADCAP from fixed seeds; tests/sim/soak-madcap runs any number of them. SEEDS is chosen
   so that `make check` spends half a minute to a minute here. */
#include "madcap-world.h"
#include "soak.h"
#include "test-worlds.h"

#include <criterion/criterion.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 240
#else
#define SEEDS 2000
#endif

/* All that is counted was seen, too. The rarest things happen once in 500 worlds. */
Test(sim_madcap, worlds_hold_and_everything_happens)
{
  MalWorldResult sum = { 0 };
  unsigned seeds = worlds_seeds(SEEDS);
  worlds_hold(&mal_madcap_world_type, 1, seeds, MAL_WORLD_ANY_SIZE, &sum);
  const char *missing = mal_world_result_missing(&mal_madcap_world_type, &sum);
  if (seeds >= 2000)
    cr_assert_null(missing, "never happened: %s", missing);
  cr_assert(sum.counts[0] > seeds);
}

Test(sim_madcap, one_seed_is_one_run)
{
  worlds_repeat(&mal_madcap_world_type, MAL_WORLD_MEDIUM);
}

/* What is drawn and what an item does depends on the seed, not on what else happens: with
   everything off but one server and one client, that client still does what it did. */
Test(sim_madcap, a_masked_world_runs)
{
  g_autoptr(MalWorldPlan) plan = mal_world_plan_new(&mal_madcap_world_type, 5, MAL_WORLD_MEDIUM);
  g_autofree char *mask = g_strdup_printf("0-%u", plan->items->len - 1);
  MalWorldResult result;
  cr_assert(mal_world_plan_set_mask(plan, mask, NULL));
  cr_assert(mal_soak_try(plan, &result), "%s", result.failure);
  cr_assert_eq(result.counts[0], 0);
}

/* ---- the shrinker ---------------------------------------------------------------------------- */

static MalWorldPlan *planted(unsigned plant, uint64_t seed, MalWorldResult *result)
{
  for (;; seed++) {
    g_autoptr(MalWorldPlan) plan =
      mal_world_plan_new(&mal_madcap_world_type, seed, MAL_WORLD_MEDIUM);
    plan->plant = plant;
    plan->quiet = true;
    if (!mal_soak_try(plan, result))
      return g_steal_pointer(&plan);
  }
}

static void reduces(unsigned plant, guint most)
{
  MalWorldResult result;
  g_autoptr(MalWorldPlan) plan = planted(plant, 1, &result);
  g_autofree char *words = g_strndup(result.failure, 12);
  guint before = mal_world_plan_live(plan);
  mal_soak_shrink(plan, &result, 600, NULL);
  guint after = mal_world_plan_live(plan);
  cr_assert(before > 2 * most && after <= most, "from %u to %u items", before, after);
  cr_assert(g_str_has_prefix(result.failure, words), "%s", result.failure);
  /* The mask brings the same world back. */
  g_autoptr(MalWorldPlan) again =
    mal_world_plan_new(&mal_madcap_world_type, plan->seed, (int)plan->size);
  g_autofree char *mask = mal_world_plan_mask(plan);
  again->plant = plant;
  again->quiet = true;
  again->until = plan->until;
  cr_assert(mal_world_plan_set_mask(again, mask, NULL));
  cr_assert_not(mal_soak_try(again, &result));
  cr_assert(g_str_has_prefix(result.failure, words), "%s", result.failure);
}

/* A server, a client, a crash and a reload suffice for it. */
Test(sim_madcap, a_planted_bug_is_reduced_to_what_it_takes)
{
  reduces(MAL_MADCAP_PLANT_THREE, 6);
}

Test(sim_madcap, what_aborts_is_reduced_too)
{
  reduces(MAL_MADCAP_PLANT_ABORT, 4);
}

/* ---- plans ----------------------------------------------------------------------------------- */

Test(world_plan, masks)
{
  g_autoptr(MalWorldPlan) plan = mal_world_plan_new(&mal_madcap_world_type, 1, MAL_WORLD_MEDIUM);
  static const char *const good[] = { "", "0", "3-7", "0-2,5,9-10" };
  static const char *const bad[] = { "x", "3-", "7-3", "1,,2", "-1", "1;2", "99999" };
  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    cr_assert(mal_world_plan_set_mask(plan, good[i], NULL));
    g_autofree char *mask = mal_world_plan_mask(plan);
    cr_assert_str_eq(mask, good[i]);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
    cr_assert_not(mal_world_plan_set_mask(plan, bad[i], NULL), "%s", bad[i]);
}
