/* Worlds of MADCAP from fixed seeds, small ones and one large; tests/sim/soak-madcap runs any
   number of them. */
#include "madcap-world.h"

#include <criterion/criterion.h>

#define WORLDS 40

static void run(uint64_t seed, MadcapWorldSize size)
{
  g_autoptr(MadcapWorld) world = mal_madcap_world_new(seed, size);
  bool ok = mal_madcap_world_run(world);
  cr_assert(ok, "again: tests/sim/soak-madcap %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u %"
                G_GINT64_FORMAT ": %s", seed, seed, size.clients_most, size.longest,
            mal_sim_failure(mal_madcap_world_sim(world)));
}

Test(sim_madcap, many_small_worlds)
{
  for (uint64_t seed = 1; seed <= WORLDS; seed++)
    run(seed, (MadcapWorldSize){ 20, 400 });
}

Test(sim_madcap, a_large_world)
{
  run(1, (MadcapWorldSize){ 200, 600 });
}

static uint64_t hash_of(uint64_t seed)
{
  g_autoptr(MadcapWorld) world = mal_madcap_world_new(seed, (MadcapWorldSize){ 30, 300 });
  cr_assert(mal_madcap_world_run(world));
  return mal_sim_hash(mal_madcap_world_sim(world));
}

Test(sim_madcap, one_seed_is_one_run)
{
  uint64_t first = hash_of(7);
  cr_assert_eq(first, hash_of(7));
  cr_assert_neq(first, hash_of(8));
}

/* Else a world that never gets going would pass as well. */
Test(sim_madcap, things_do_happen)
{
  MadcapWorldFigures sum = { 0 };
  for (uint64_t seed = 1; seed <= 10; seed++) {
    g_autoptr(MadcapWorld) world = mal_madcap_world_new(seed, (MadcapWorldSize){ 20, 400 });
    cr_assert(mal_madcap_world_run(world));
    MadcapWorldFigures f = mal_madcap_world_figures(world);
    sum.leases += f.leases, sum.naks += f.naks, sum.repeats += f.repeats;
    sum.crashes += f.crashes, sum.wipes += f.wipes, sum.disk_faults += f.disk_faults;
    sum.steps += f.steps, sum.reloads += f.reloads, sum.checked += f.checked;
    sum.waits += f.waits;
  }
  cr_assert(sum.leases > 500 && sum.naks > 100 && sum.repeats > 100 && sum.checked > 2000);
  cr_assert(sum.crashes > 10 && sum.wipes > 0 && sum.disk_faults > 5);
  cr_assert(sum.steps > 5 && sum.reloads > 5 && sum.waits > 0);
}
