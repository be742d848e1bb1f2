/* The store on a simulated disk keeps the contract of core/store.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/sim/sim-store.h"

typedef struct {
  MalSim *sim;
  MalSimNode *node;
  MalStore *store;
  MalTicket told;
  unsigned failures, calls;
} Bed;

static void listener(MalTicket through, const GError *error, void *data)
{
  Bed *b = data;
  /* A store that recovers says the last durable one again. */
  cr_assert(through > b->told || (!error && through == mal_store_durable(b->store)));
  b->told = MAX(b->told, through);
  b->calls++;
  b->failures += error != NULL;
}

static void open_store(Bed *b)
{
  b->store = mal_sim_store_open(b->node);
  b->told = 0;
  mal_store_listen(b->store, listener, b);
}

static MalLeaseId id_of(const char *text)
{
  return (MalLeaseId){ (const uint8_t *)text, strlen(text) };
}

static MalTicket put(Bed *b, const char *id, MalTime end)
{
  MalBlock block = mal_block_make(mal_address_ipv4(0xEFFF0101u), 1);
  MalLease lease = { .id = id_of(id), .scope = "local", .blocks = &block, .n_blocks = 1,
                     .end = end, .origin = "test" };
  return mal_store_put_lease(b->store, &lease);
}

static void crash(Bed *b)
{
  mal_sim_node_crash(b->node, MAL_SIM_DISK_KEPT);
  mal_store_close(b->store);
  mal_sim_node_bury(b->node);
  mal_sim_node_restart(b->node);
  open_store(b);
}

static void end(Bed *b)
{
  mal_store_close(b->store);
  mal_sim_free(b->sim);
}

static Bed begin(uint64_t seed)
{
  Bed b = { .sim = mal_sim_new(seed) };
  b.node = mal_sim_node_new(b.sim, "host");
  mal_sim_set_quiet(b.sim, true);
  return b;
}

/* Whatever the crash makes of the tail, a batch is there wholly or not at all, and never one that
   listeners were told of and isn't. */
Test(sim_store, a_torn_tail_is_dropped)
{
  for (uint64_t seed = 1; seed <= 300; seed++) {
    Bed b = begin(seed);
    open_store(&b);
    put(&b, "first", 100);
    cr_assert(mal_sim_run_for(b.sim, MAL_US));
    cr_assert_eq(b.told, 1);
    put(&b, "second", 100);
    put(&b, "third", 100);
    mal_sim_run_for(b.sim, (int64_t)mal_sim_random_between(b.sim, 0, 8000));
    bool told = b.told == 2;
    crash(&b);
    bool second = mal_sim_store_get(b.store, id_of("second"), NULL);
    cr_assert(mal_sim_store_get(b.store, id_of("first"), NULL));
    cr_assert_eq(second, mal_sim_store_get(b.store, id_of("third"), NULL));
    cr_assert(second || !told, "seed %u", (unsigned)seed);
    put(&b, "fourth", 100);
    mal_sim_run_for(b.sim, MAL_US);
    crash(&b);
    cr_assert(mal_sim_store_get(b.store, id_of("fourth"), NULL), "behind a torn tail");
    end(&b);
  }
}

/* Killed with a frame written, but not synced; what the next daemon reads must survive the power
   cut that comes before anything else is written. */
Test(sim_store, what_was_read_is_on_the_disk)
{
  Bed b = begin(1);
  MalSimDisk *disk = mal_sim_node_disk(b.node, "journal");
  size_t length = 0;
  open_store(&b);
  put(&b, "a", 100);
  for (unsigned i = 0; length == 0 && i < 100; i++) {
    mal_sim_run_for(b.sim, 50);
    mal_sim_disk_data(disk, &length);
  }
  cr_assert(length > 0 && mal_sim_disk_synced(disk) == 0);
  mal_sim_disk_set_tail(disk, MAL_SIM_TAIL_KEPT);
  crash(&b);
  cr_assert(mal_sim_store_get(b.store, id_of("a"), NULL));
  mal_sim_disk_set_tail(disk, MAL_SIM_TAIL_LOST);
  crash(&b);
  cr_assert(mal_sim_store_get(b.store, id_of("a"), NULL));
  end(&b);
}

Test(sim_store, what_failed_does_not_count_and_what_comes_later_does)
{
  static const MalSimDiskFault faults[] = { MAL_SIM_DISK_FULL, MAL_SIM_DISK_IO_ERROR,
                                            MAL_SIM_DISK_SYNC_ERROR };
  for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
    Bed b = begin(1);
    open_store(&b);
    MalSimDisk *disk = mal_sim_node_disk(b.node, "journal");
    mal_sim_disk_set_fault(disk, faults[i]);
    put(&b, "a", 100);
    mal_sim_run_for(b.sim, MAL_US / 2);
    cr_assert(b.failures == 1 && mal_store_state(b.store, NULL) == MAL_STORE_FAILING);
    put(&b, "b", 100);
    mal_sim_run_for(b.sim, MAL_US / 4);
    cr_assert_eq(b.failures, 2, "still failing");
    mal_sim_disk_set_fault(disk, MAL_SIM_DISK_OK);
    mal_sim_run_for(b.sim, 31 * MAL_US);
    cr_assert_eq(mal_store_state(b.store, NULL), MAL_STORE_OK, "recovers by itself");
    put(&b, "c", 100);
    mal_sim_run_for(b.sim, MAL_US);
    crash(&b);
    cr_assert_not(mal_sim_store_get(b.store, id_of("a"), NULL));
    cr_assert_not(mal_sim_store_get(b.store, id_of("b"), NULL));
    cr_assert(mal_sim_store_get(b.store, id_of("c"), NULL));
    end(&b);
  }
}

/* Also where a batch that is bound to fail is always on its way. */
Test(sim_store, a_mended_disk_is_noticed_within_30_seconds)
{
  Bed b = begin(1);
  open_store(&b);
  MalSimDisk *disk = mal_sim_node_disk(b.node, "journal");
  mal_sim_disk_set_fault(disk, MAL_SIM_DISK_SYNC_ERROR);
  put(&b, "a", 100);
  cr_assert(mal_sim_run_for(b.sim, 60 * MAL_US));
  cr_assert_eq(mal_store_state(b.store, NULL), MAL_STORE_FAILING);
  mal_sim_disk_set_fault(disk, MAL_SIM_DISK_OK);
  for (int i = 0; i < 31000; i++) {
    put(&b, "b", 100);
    cr_assert(mal_sim_run_for(b.sim, MAL_US / 1000));
  }
  cr_assert_eq(mal_store_state(b.store, NULL), MAL_STORE_OK);
  end(&b);
}

static bool count(const MalLease *lease, void *data, GError **error)
{
  GString *seen = data;
  (void)error;
  g_string_append_len(seen, (const char *)lease->id.bytes, (gssize)lease->id.length);
  return true;
}

Test(sim_store, loads_what_lives_oldest_change_first)
{
  g_autoptr(GString) seen = g_string_new(NULL);
  Bed b = begin(1);
  open_store(&b);
  put(&b, "a", 100);
  put(&b, "b", 10);
  put(&b, "c", 100);
  put(&b, "d", 100);
  put(&b, "a", 200);
  mal_store_drop_lease(b.store, id_of("c"), 5, "released");
  mal_sim_run_for(b.sim, MAL_US);
  cr_assert_eq(b.calls, 1, "one batch");
  crash(&b);
  cr_assert(mal_store_load(b.store, 50, count, NULL, seen, NULL));
  cr_assert_str_eq(seen->str, "da");
  end(&b);
}
