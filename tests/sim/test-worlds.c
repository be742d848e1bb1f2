#include "test-worlds.h"

#include "soak.h"

#include <criterion/criterion.h>
#include <stdlib.h>

unsigned worlds_seeds(unsigned usual)
{
  const char *text = g_getenv("MAL_SIM_SEEDS");
  return text ? (unsigned)strtoul(text, NULL, 0) : usual;
}

void worlds_hold(const MalWorldType *type, uint64_t first, uint64_t last, int size,
                 MalWorldResult *sum)
{
  for (uint64_t seed = first; seed <= last; seed++) {
    g_autoptr(MalWorldPlan) plan = mal_world_plan_new(type, seed, size);
    MalWorldResult result;
    bool ok = mal_soak_try(plan, &result);
    g_autofree char *again = mal_soak_command(plan, true);
    cr_assert(ok, "%s; again: %s", result.failure, again);
    mal_world_result_add(sum, &result);
  }
}

void worlds_had_everything(const MalWorldType *type, const MalWorldResult *sum)
{
  for (size_t i = 0; i < type->n_kinds; i++)
    cr_assert_gt(sum->happened[i], 0, "never happened: %s", type->kinds[i]);
}

static uint64_t hash_of(const MalWorldType *type, uint64_t seed, int size)
{
  g_autoptr(MalWorldPlan) plan = mal_world_plan_new(type, seed, size);
  MalWorldResult result;
  cr_assert(mal_soak_try(plan, &result), "%s", result.failure);
  return result.hash;
}

void worlds_repeat(const MalWorldType *type, int size)
{
  uint64_t first = hash_of(type, 7, size);
  cr_assert_eq(first, hash_of(type, 7, size));
  cr_assert_neq(first, hash_of(type, 8, size));
}

void worlds_see(const MalWorldType *type, unsigned plant, uint64_t first, const char *words)
{
  for (uint64_t seed = first; seed < first + 60; seed++) {
    g_autoptr(MalWorldPlan) plan = mal_world_plan_new(type, seed, MAL_WORLD_SMALL);
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
