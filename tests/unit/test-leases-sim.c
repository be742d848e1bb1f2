/* The lease engine over a disk that fails and a clock that steps, both simulated. Each of these was
   found by the worlds of tests/sim/madcap-world.h. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/leases-core.h"
#include "tests/sim/sim-store.h"

#define CONFIG                                                                                     \
  "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"                          \
  "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.15\n"
#define ID ((MalLeaseId){ (const uint8_t *)"a", 1 })

typedef struct {
  MalSim *sim;
  MalSimNode *node;
  MalRuntime *rt;
  MalStore *store;
  MalSpace *space;
  MalLeases *leases;
  int code;                   /* of the last DONE: -1 none, 0 well, else the error + 1 */
} Bed;

static void replan(Bed *b)
{
  g_autoptr(GError) error = NULL;
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, CONFIG, strlen(CONFIG), "t", &error);
  g_autoptr(MalPlan) plan = config ? mal_plan_from_config(config, &error) : NULL;
  mal_conf_schema_free(schema);
  cr_assert(plan && mal_leases_replan(b->leases, plan, MAL_ETHERNET_DISTINCT,
                                      mal_runtime_now(b->rt), &error),
            "%s", error ? error->message : "");
}

static Bed bed_new(void)
{
  Bed b = { .sim = mal_sim_new(1) };
  b.node = mal_sim_node_new(b.sim, "host");
  b.rt = mal_sim_node_runtime(b.node);
  b.store = mal_sim_store_open(b.node);
  b.space = mal_space_new();
  b.leases = mal_leases_new(b.rt, b.store, b.space);
  replan(&b);
  return b;
}

static void bed_free(Bed *b)
{
  mal_leases_check(b->leases, mal_runtime_now(b->rt));
  mal_store_close(b->store);
  mal_leases_store_gone(b->leases);
  mal_leases_free(b->leases);
  mal_space_free(b->space);
  mal_sim_free(b->sim);
}

static void pass(Bed *b, int64_t seconds)
{
  cr_assert(mal_sim_run_for(b->sim, seconds * MAL_US));
  mal_leases_expire(b->leases, mal_runtime_now(b->rt));
  cr_assert(mal_sim_run_for(b->sim, MAL_US));
}

static void done(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  (void)lease, (void)cookie;
  ((Bed *)user)->code = error ? error->code + 1 : 0;
}

static void request(Bed *b, int64_t lifetime)
{
  MalTime now = mal_runtime_now(b->rt);
  MalLeaseRequest r = {
    .id = ID, .scope = mal_scope_set_find(mal_leases_scopes(b->leases), "local"), .min = 1,
    .desired = 1, .start = now, .max_start = now, .lifetime = lifetime, .origin = "test",
  };
  b->code = -1;
  cr_assert_eq(mal_leases_request(b->leases, &r, now, done, b, 0, NULL), MAL_ANSWER_GRANTED);
}

static void release(Bed *b)
{
  b->code = -1;
  cr_assert_eq(mal_leases_release(b->leases, ID, mal_runtime_now(b->rt), "released", done, b, 0,
                                  NULL),
               MAL_ANSWER_GRANTED);
}

static void step(Bed *b, int64_t seconds)
{
  mal_sim_node_step_clock(b->node, seconds * MAL_US);
}

static MalTime end_on_disk(Bed *b)
{
  MalLease lease;
  cr_assert(mal_sim_store_get(b->store, ID, &lease));
  return lease.end;
}

static MalTime end_in_memory(Bed *b)
{
  MalLease lease;
  cr_assert(mal_leases_get(b->leases, ID, &lease));
  return lease.end;
}

static void disk(Bed *b, MalSimDiskFault fault)
{
  mal_sim_disk_set_fault(mal_sim_node_disk(b->node, "journal"), fault);
}

Test(leases_sim, what_a_step_moved_is_written_again_when_the_disk_recovers)
{
  Bed b = bed_new();
  request(&b, 600);
  pass(&b, 1);
  cr_assert_eq(b.code, 0);
  MalTime before = end_on_disk(&b);
  disk(&b, MAL_SIM_DISK_IO_ERROR);
  step(&b, 3600);
  pass(&b, 5);
  cr_assert_eq(end_in_memory(&b), before + 3600);
  cr_assert_eq(end_on_disk(&b), before);
  disk(&b, MAL_SIM_DISK_OK);
  pass(&b, 35);
  cr_assert_eq(end_on_disk(&b), before + 3600, "a restart would have ended it an hour too early");
  bed_free(&b);
}

Test(leases_sim, a_step_does_not_bring_back_what_is_being_released)
{
  Bed b = bed_new();
  request(&b, 600);
  pass(&b, 1);
  release(&b);
  step(&b, -60);
  mal_leases_now(b.leases);
  pass(&b, 1);
  cr_assert_eq(b.code, 0);
  cr_assert_not(mal_sim_store_get(b.store, ID, NULL), "it would be back after a restart");
  bed_free(&b);
}

Test(leases_sim, a_release_that_failed_across_a_step_leaves_the_moved_period)
{
  Bed b = bed_new();
  request(&b, 600);
  pass(&b, 1);
  MalTime before = end_on_disk(&b);
  disk(&b, MAL_SIM_DISK_FULL);
  release(&b);
  step(&b, 60);
  mal_leases_now(b.leases);
  pass(&b, 1);
  cr_assert_gt(b.code, 0);
  cr_assert_eq(end_in_memory(&b), before + 60);
  disk(&b, MAL_SIM_DISK_OK);
  pass(&b, 35);
  cr_assert_eq(end_on_disk(&b), before + 60);
  bed_free(&b);
}

Test(leases_sim, a_clock_that_goes_back_brings_no_lapsed_lease_to_life)
{
  Bed b = bed_new();
  request(&b, 60);
  pass(&b, 70);
  cr_assert_not(mal_leases_get(b.leases, ID, &(MalLease){ 0 }));
  cr_assert_not(mal_sim_store_get(b.store, ID, NULL),
                "if the clock steps back by a minute, a restart would have it again");
  bed_free(&b);
}

Test(leases_sim, the_engine_s_time_is_that_of_its_leases)
{
  Bed b = bed_new();
  request(&b, 600);
  pass(&b, 1);
  step(&b, 7200);
  MalTime now = mal_leases_now(b.leases);
  cr_assert_eq(now, mal_runtime_now(b.rt));
  cr_assert_gt(end_in_memory(&b), now, "taken for ended");
  cr_assert_lt(end_in_memory(&b), now + 600);
  bed_free(&b);
}
