/* The whole core: what is made by hand, and what goes wrong. */
#include "tests/unit/core-bed.h"

/* ---- by hand --------------------------------------------------------------------------------- */

Test(core, what_is_made_by_hand_survives_a_restart)
{
  Bed b = prepare(true);
  cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
  cr_assert(add_range(&b, "hand", "239.255.8.0/28", MAL_FOREVER), "%s", b.error);
  cr_assert(add_range(&b, "gone", "239.255.9.0/28", MAL_FOREVER), "%s", b.error);
  cr_assert(add_reserve(&b, "cam", "239.255.8.4-239.255.8.5"), "%s", b.error);
  cr_assert(remove_range(&b, "gone", false), "%s", b.error);
  cr_assert(b.done == 4 && b.code == -1);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1, "%s", b.error);
  down(&b);
  cr_assert(up(&b, DAEMON SCOPES), "%s", b.error);
  g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(b.core), MAL_LEVEL_AVAILABLE);
  cr_assert_eq(ranges->len, 1);
  cr_assert_eq(mal_leases_reserves(mal_core_leases(b.core))->len, 1);
  cr_assert(has_lease(&b, 1));
  cr_assert_not(remove_range(&b, "hand", false));
  cr_assert(strstr(b.error, "live lease"), "%s", b.error);
  cr_assert(remove_range(&b, "hand", true), "%s", b.error);
  cr_assert_not(has_lease(&b, 1));
  cr_assert(strstr(b.log->str, "lease.revoked"), "its holder is told");
  down(&b);
  cr_assert(up(&b, DAEMON SCOPES), "the lease is not on the disk any more: %s", b.error);
  clear(&b);
}

/* What the daemon took for ended stays ended, though its clock goes back: else its row would come
   to life at the next start, where no range may be any more. */
Test(core, what_had_lapsed_at_a_start_is_over_though_the_clock_goes_back)
{
  static const struct {
    const char *config;         /* of the last start */
    bool remove;
  } rows[] = {
    { DAEMON SCOPES LAB, true }, { DAEMON SCOPES, true }, { DAEMON SCOPES LAB, false },
  };
  static const char *const asked[] = {
    LEASE("01", ",\"lifetime\":60,\"address\":\"239.255.8.3\""),
    LEASE("02", ",\"lifetime\":60,\"address\":\"239.255.1.3\""),
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = prepare(true);
    cr_assert(up(&b, DAEMON SCOPES LAB), "%s", b.error);
    cr_assert(add_range(&b, "hand", "239.255.8.0/28", MAL_FOREVER), "%s", b.error);
    for (size_t k = 0; k < G_N_ELEMENTS(asked); k++)
      cr_assert_eq(call(&b, "lease.request", asked[k]), -1, "%s", b.error);
    down(&b);
    fake_advance(b.fake, 100);
    cr_assert(up(&b, DAEMON SCOPES LAB), "%s", b.error);
    cr_assert(!has_lease(&b, 1) && !has_lease(&b, 2));
    if (rows[i].remove)
      cr_assert(remove_range(&b, "hand", false), "row %zu: %s", i, b.error);
    fake_advance(b.fake, 2);
    down(&b);
    fake_step_wall(b.fake, -8 * 3600);
    cr_expect(up(&b, rows[i].config), "row %zu: %s", i, b.error);
    cr_expect(b.core && !has_lease(&b, 1) && !has_lease(&b, 2), "row %zu", i);
    clear(&b);
  }
}

/* The model goes back to what the disk says. */
Test(core, by_hand_on_a_disk_that_fails)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert(add_range(&b, "kept", "239.255.7.0/28", MAL_FOREVER)
            && add_reserve(&b, "cam", "239.255.1.1"));
  cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"address\":\"239.255.7.3\"")), -1, "%s",
               b.error);
  b.done = 0;
  mal_store_memory_hold(b.store, true);
  cr_assert(add_range(&b, "new", "239.255.8.0/28", MAL_FOREVER)
            && add_reserve(&b, "cam2", "239.255.1.2"));
  cr_assert(remove_range(&b, "kept", true));
  cr_assert(mal_core_reserve_remove(b.core, "cam", done, &b, NULL));
  cr_assert_not(remove_range(&b, "new", false));
  cr_assert(strstr(b.error, "being changed"), "%s", b.error);
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert(b.done == 4 && b.code == MAL_ERROR_STORE);
  MalSpace *space = mal_core_space(b.core);
  cr_assert_null(mal_space_containing(space, MAL_LEVEL_AVAILABLE, span("239.255.8.0").first));
  cr_assert_not_null(mal_space_containing(space, MAL_LEVEL_OWNED, span("239.255.7.0").first));
  const GPtrArray *reserves = mal_leases_reserves(mal_core_leases(b.core));
  cr_assert(reserves->len == 1 && strcmp(((MalReserve *)reserves->pdata[0])->name, "cam") == 0);
  cr_assert_not(has_lease(&b, 1), "withdrawn is withdrawn");
  mal_leases_check(mal_core_leases(b.core), mal_runtime_now(b.rt));
  uint64_t changes = mal_store_counters(b.store).changes;
  mal_store_memory_fail(b.store, NULL);
  fake_run(b.fake);
  cr_assert_eq(mal_store_counters(b.store).changes, changes + 1, "now its row is dropped");
  clear(&b);
}

Test(core, a_range_that_ends)
{
  Bed b = bed(DAEMON SCOPES);
  cr_assert(add_range(&b, "short", "239.255.8.0/28", FAKE_START + 1000), "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"lifetime\":900")), -1, "%s", b.error);
  cr_assert_eq(call(&b, "lease.request", LEASE("02", ",\"lifetime\":1001")), MAL_ERROR_NO_SPACE);
  cr_assert_eq(call(&b, "lease.request", LEASE("03", ",\"lifetime\":900,\"pad\":101")),
               MAL_ERROR_NO_SPACE);
  cr_assert_eq(call(&b, "lease.renew", "{\"lease\":\"01\",\"lifetime\":1001}"), MAL_ERROR_NO_SPACE);
  cr_assert(strstr(b.error, "range ends"), "%s", b.error);
  fake_advance(b.fake, 1001);
  cr_assert_not(has_lease(&b, 1));
  cr_assert_null(
      mal_space_containing(mal_core_space(b.core), MAL_LEVEL_AVAILABLE, span("239.255.8.0").first));
  cr_assert(add_range(&b, "short", "239.255.8.0/28", MAL_FOREVER), "its name is free again: %s",
            b.error);
  clear(&b);
}

Test(core, ranges_that_can_not_be)
{
  Bed b = bed(DAEMON SCOPES LAB);
  GError *error = NULL;
  cr_assert_not(mal_core_range_add(b.core, "six", "wide",
                                   span("ff15::db8:8000:0-ff15:1::db8:8000:0"), MAL_FOREVER, NULL,
                                   NULL, &error));
  cr_assert(strstr(error->message, "96"), "%s", error->message);
  g_clear_error(&error);
  cr_assert_not(add_range(&b, "lab", "239.255.8.0/28", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x", "239.255.1.8/29", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x", "239.1.0.0/29", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x y", "239.255.8.0/29", MAL_FOREVER));
  cr_assert_not(add_range(&b, "x", "239.255.8.0/29", FAKE_START));
  cr_assert_not(remove_range(&b, "lab", true));
  cr_assert(strstr(b.error, "configuration"), "%s", b.error);
  cr_assert_not(remove_range(&b, "nothing", true));
  clear(&b);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void must_be(Bed *b, const char *state)
{
  g_auto(Answer) a;
  json_object *value;
  begin(b, &a, "status", NULL);
  cr_assert(json_object_object_get_ex(a.result, "state", &value));
  cr_assert_str_eq(json_object_get_string(value), state);
}

Test(core, a_store_that_fails_and_recovers)
{
  Bed b = bed(DAEMON SCOPES LAB);
  must_be(&b, "ok");
  mal_store_memory_fail(b.store, "disk full");
  fake_advance(b.fake, 2);
  must_be(&b, "degraded");
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), MAL_ERROR_STORE);
  cr_assert(strstr(b.error, "disk full"), "%s", b.error);
  cr_assert_eq(call(&b, "lease.list", NULL), -1, "what needs no write is answered");
  mal_store_memory_fail(b.store, NULL);
  fake_advance(b.fake, 2);
  must_be(&b, "ok");
  cr_assert_eq(call(&b, "lease.request", LEASE("01", "")), -1);
  cr_assert(strstr(b.log->str, "store.failing") && strstr(b.log->str, "store.recovered"));
  clear(&b);
}

Test(core, the_clock_steps_a_day_either_way)
{
  for (int sign = -1; sign <= 1; sign += 2) {
    Bed b = bed(DAEMON SCOPES LAB);
    cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"lifetime\":100")), -1);
    fake_step_wall(b.fake, sign * 86400);
    fake_advance(b.fake, 2);
    cr_assert_eq(metric(&b, "clock-steps"), 1);
    cr_assert(strstr(b.log->str, "clock.stepped"));
    fake_advance(b.fake, 90);
    cr_assert(has_lease(&b, 1));
    fake_advance(b.fake, 20);
    cr_assert_not(has_lease(&b, 1));
    cr_assert_eq(metric(&b, "leases-expired"), 1);
    clear(&b);
  }
}

Test(core, gauges)
{
  Bed b = bed(DAEMON SCOPES LAB);
  cr_assert_eq(call(&b, "lease.request", LEASE("01", ",\"count\":3")), -1);
  cr_assert(metric(&b, "leases") == 1 && metric(&b, "addresses-leased") == 3
            && metric(&b, "changes-pending") == 0);
  cr_assert(metric(&b, "store-batches") > 0 && metric(&b, "lease-memory-bytes") > 0);
  cr_assert_eq(call(&b, "lease.release", "{\"lease\":\"01\"}"), -1);
  cr_assert(metric(&b, "leases") == 0 && metric(&b, "leases-released") == 1);
  clear(&b);
}

static size_t routes(Bed *b)
{
  cr_expect_eq(call(b, "route.list", "{}"), -1);
  cr_expect_eq(metric(b, "routes"), mal_routes_count(mal_core_routes(b->core)));
  return mal_routes_count(mal_core_routes(b->core));
}

/* Those of a plugin go when it stops, those of the configuration with it, all at their time. */
Test(core, routes_come_and_go)
{
  Bed b = bed(DAEMON SCOPES LAB "export=yes\n");
  MalPrefix prefix;
  cr_assert(mal_prefix_parse("239.255.0.0/16", &prefix, NULL));
  cr_expect_eq(routes(&b), 1);
  cr_assert(mal_routes_add(mal_core_routes(b.core), prefix, MAL_FOREVER, "alpha", NULL));
  prefix.length = 17;
  cr_assert(mal_routes_add(mal_core_routes(b.core), prefix, FAKE_START + 100, "beta", NULL));
  cr_expect_eq(routes(&b), 3);
  fake_advance(b.fake, 101);
  cr_expect_eq(routes(&b), 2);
  cr_assert(reload(&b, DAEMON SCOPES LAB));
  cr_expect_eq(routes(&b), 1);
  cr_assert_not(reload(&b, DAEMON SCOPES LAB "export=perhaps\n"));
  script.reload = MAL_RELOAD_RESTART;
  cr_assert(reload(&b, DAEMON SCOPES LAB "export=yes\n"));
  cr_expect_eq(routes(&b), 1);
  cr_expect(strstr(b.log->str, "route.added") && strstr(b.log->str, "route.removed"));
  clear(&b);
}
