#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/leases-bed.h"

/* ---- time ------------------------------------------------------------------------------------ */

Test(leases_life, a_step_of_the_clock_takes_nothing_from_a_running_lease)
{
  static const int64_t steps[] = { 86400, -86400, 3600, -3600, 3 };
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    Bed b = bed_of(SCOPES LAB);
    MalLease view;
    lease(&b, "a", 16, 600, NULL);
    fake_advance(b.fake, 100);
    fake_step_wall(b.fake, steps[i]);
    MalRefusal why;
    cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED, "step %" G_GINT64_FORMAT,
                 steps[i]);
    cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
    cr_assert_eq(view.end, mal_runtime_now(b.rt) + 500);
    fake_advance(b.fake, 499);
    expire(&b);
    cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
    fake_advance(b.fake, 1);
    expire(&b);
    cr_assert(!mal_leases_get(b.leases, id_of("a"), &view));
    bed_clear(&b);
  }
}

Test(leases_life, a_step_of_no_whole_seconds_takes_nothing_either)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease view;
  lease(&b, "a", 1, 600, NULL);
  fake_advance_us(b.fake, 300000);
  fake_set_wall(b.fake, FAKE_START + 86400);   /* a step of 86399.7 s; 599.7 s are left */
  expire(&b);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
  cr_assert_eq(view.end, FAKE_START + 87000);
  fake_set_wall(b.fake, FAKE_START);           /* back by a whole number */
  expire(&b);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
  cr_assert_eq(view.end, FAKE_START + 600);
  bed_clear(&b);
}

/* The clock is stepped in the very second in which the lease was granted. */
Test(leases_life, a_step_right_after_the_grant_takes_nothing_either)
{
  static const int64_t steps[] = { 3600000001, 3600999999, 3600100000, 3600900000, 3600000000,
                                   2000001,    -3600000001, -3600999999, -3600100000 };
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
    for (int64_t passed = 0; passed < MAL_US; passed += 450000) {
      Bed b = bed_of(SCOPES LAB);
      MalLease view;
      lease(&b, "a", 16, 600, NULL);
      fake_advance_us(b.fake, passed);
      fake_step_wall_us(b.fake, steps[i]);
      MalRefusal why;
      cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED);
      cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
      int64_t left = view.end - mal_runtime_now(b.rt);
      cr_expect(left == 600 || left == 601, "step %" G_GINT64_FORMAT ": %" G_GINT64_FORMAT " left",
                steps[i], left);
      cr_expect_leq(view.start, mal_runtime_now(b.rt));
      bed_clear(&b);
    }
}

Test(leases_life, after_a_step_an_advance_lease_keeps_its_absolute_time)
{
  Bed b = bed_of(SCOPES "[range one]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n");
  MalLease view;
  MalLeaseRequest r = request_of(&b, "later", 1, 100);
  r.start = r.max_start = FAKE_START + 5000;
  ask(&b, &r, NULL);
  lease(&b, "now", 1, 600, NULL);
  fake_step_wall(b.fake, 4600);
  expire(&b);
  fake_run(b.fake);
  cr_assert(mal_leases_get(b.leases, id_of("later"), &view) && view.start == FAKE_START + 5000);
  cr_assert(mal_leases_get(b.leases, id_of("now"), &view));
  cr_assert_eq(view.end, FAKE_START + 5000, "600 s would have been left, but 400 are free");
  bed_clear(&b);
}

/* Scopes whose addresses share Ethernet groups, one address owned in each of two. */
#define TWINS                                                                   \
  SCOPES "[scope area]\nfamily=ipv4\nfirst=239.127.0.0\nlast=239.127.255.255\n" \
         "[scope site]\nfamily=ipv4\nfirst=238.127.0.0\nlast=238.127.255.255\n" \
         "[range one]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n"      \
         "[range twin]\nscope=area\nfirst=239.127.1.0\nlast=239.127.1.0\n"

static void replan_with(Bed *b, MalEthernetPolicy policy, const char *text)
{
  g_autoptr(GError) error = NULL;
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", &error);
  g_autoptr(MalPlan) plan = config ? mal_plan_from_config(config, &error) : NULL;
  mal_conf_schema_free(schema);
  cr_assert_not_null(plan, "%s", error ? error->message : "");
  cr_assert(mal_leases_replan(b->leases, plan, policy, mal_runtime_now(b->rt), &error), "%s",
            error ? error->message : "");
}

static void lease_twin(Bed *b, MalTime start)
{
  MalLeaseRequest r = request_of(b, "twin", 1, 600);
  r.scope = mal_scope_set_find(mal_leases_scopes(b->leases), "area");
  r.start = r.max_start = start;
  cr_assert_eq(ask(b, &r, NULL), MAL_ANSWER_GRANTED);
  fake_run(b->fake);
}

/* With a reserve, or with another lease since before groups had to be distinct. */
Test(leases_life, a_step_takes_nothing_from_a_lease_that_shares_its_ethernet_group_already)
{
  static const struct {
    bool twin, reserved;
    int64_t step;
  } rows[] = { { false, true, 138 },  { true, false, 138 },  { true, true, 138 },
               { false, true, 4600 }, { true, false, 4600 }, { true, true, -4600 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(TWINS);
    MalLease view;
    replan_with(&b, MAL_ETHERNET_IGNORE, TWINS);
    lease(&b, "now", 1, 600, NULL);
    if (rows[i].twin)
      lease_twin(&b, FAKE_START);
    replan_with(&b, MAL_ETHERNET_DISTINCT,
                rows[i].reserved ? TWINS "[reserve r]\nscope=site\naddresses=238.127.1.0\n"
                                 : TWINS);
    fake_step_wall(b.fake, rows[i].step);
    expire(&b);
    cr_assert(mal_leases_get(b.leases, id_of("now"), &view), "row %zu", i);
    cr_expect_eq(view.end, FAKE_START + rows[i].step + 600, "row %zu", i);
    if (rows[i].twin) {
      cr_assert(mal_leases_get(b.leases, id_of("twin"), &view), "row %zu", i);
      cr_expect_eq(view.end, FAKE_START + rows[i].step + 600, "row %zu", i);
    }
    bed_clear(&b);
  }
}

Test(leases_life, after_a_step_an_advance_lease_keeps_its_ethernet_group)
{
  Bed b = bed_of(TWINS);
  MalLease view;
  lease_twin(&b, FAKE_START + 5000);
  lease(&b, "now", 1, 600, NULL);
  fake_step_wall(b.fake, 4600);
  expire(&b);
  cr_assert(mal_leases_get(b.leases, id_of("now"), &view));
  cr_expect_eq(view.end, FAKE_START + 5000);
  cr_assert(mal_leases_get(b.leases, id_of("twin"), &view));
  cr_expect_eq(view.start, FAKE_START + 5000);
  bed_clear(&b);
}

/* ---- configuration --------------------------------------------------------------------------- */

Test(leases_life, a_plan_that_takes_a_live_lease_its_place_is_refused)
{
  Bed b = bed_of(SCOPES LAB);
  static const char *const bad[] = {
    SCOPES,
    "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n",
    SCOPES "[range lab]\nscope=local\nfirst=239.255.1.8\nlast=239.255.1.15\n",
    SCOPES LAB "exclude=239.255.1.2\n",
    SCOPES LAB "until=2026-01-01T00:00:30Z\n",
    SCOPES LAB "[reserve r]\nscope=local\naddresses=239.255.1.0-239.255.1.3\n",
  };
  MalBlock named = mal_block_make(mal_address_ipv4(0xefff0102), 1);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.named = &named;
  r.n_named = 1;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    cr_assert(!replan(&b, bad[i], &error), "plan %zu", i);
    cr_assert(strstr(error->message, "239.255.1.2") && strstr(error->message, "release"), "%s",
              error->message);
    mal_leases_check(b.leases, FAKE_START);
  }
  MalLease view;
  cr_assert(
      replan(&b, SCOPES "[range other]\nscope=local\nfirst=239.255.1.2\nlast=239.255.1.3\n", NULL));
  mal_leases_check(b.leases, FAKE_START);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
  cr_assert_eq(lease(&b, "b", 1, 60, NULL), MAL_ANSWER_GRANTED);
  cr_assert_str_eq(b.text, "239.255.1.3");
  bed_clear(&b);
}

Test(leases_life, a_withdrawn_range_revokes_what_is_leased_of_it)
{
  Bed b = bed_of(SCOPES LAB);
  MalSpan span = { mal_address_ipv4(0xefff0500), mal_address_ipv4(0xefff0503) };
  MalBlock named = mal_block_make(span.first, 4);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.named = &named;
  r.n_named = 1;
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "extra",
                          "control", NULL));
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  mal_leases_watch(b.leases, on_change, &b);
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, span.first, NULL));
  fake_run(b.fake);
  cr_assert_eq(b.changes[MAL_LEASE_REVOKED], 1);
  MalRefusal why;
  r.id = id_of("b");
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  bed_clear(&b);
}

Test(leases_life, a_range_withdrawn_while_the_disk_fails)
{
  static const char *const ids[] = { "an identifier that is too long for the slot itself",
                                     "durable" };
  Bed b = bed_of(SCOPES LAB);
  MalSpan span = { mal_address_ipv4(0xefff0500), mal_address_ipv4(0xefff0503) };
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 900 };
  MalLease view;
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "extra",
                          "control", NULL));
  for (unsigned i = 2; i-- > 0;) {
    MalBlock named = mal_block_make(mal_address_ipv4(0xefff0500 + i), 1);
    MalLeaseRequest r = request_of(&b, ids[i], 1, 60);
    r.named = &named;
    r.n_named = 1;
    mal_store_memory_hold(b.store, i == 0);
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  }
  cr_assert_eq(mal_leases_renew(b.leases, id_of(ids[1]), &renewal, FAKE_START, done, &b, 0, NULL),
               MAL_ANSWER_GRANTED);
  mal_leases_watch(b.leases, on_change, &b);
  mal_store_memory_fail(b.store, "disk full");
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, span.first, NULL));
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 2, "each is told, %u times in all", b.calls);
  cr_assert_eq(b.changes[MAL_LEASE_REVOKED], 1, "only one had been granted");
  for (unsigned i = 0; i < 2; i++)
    cr_assert_not(mal_leases_get(b.leases, id_of(ids[i]), &view), "%s", ids[i]);
  cr_assert_eq(mal_leases_totals(b.leases, NULL).leases, 0);
  mal_leases_check(b.leases, FAKE_START);
  bed_clear(&b);
}

Test(leases_life, a_revocation_that_the_disk_refuses_is_one_all_the_same)
{
  Bed b = bed_of(SCOPES LAB);
  MalSpan span = { mal_address_ipv4(0xefff0500), mal_address_ipv4(0xefff0503) };
  MalBlock named = mal_block_make(span.first, 4);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.named = &named;
  r.n_named = 1;
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "extra",
                          "control", NULL));
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  mal_leases_watch(b.leases, on_change, &b);
  mal_store_memory_hold(b.store, true);
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, span.first, NULL));
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(b.changes[MAL_LEASE_REVOKED], 1);
  cr_assert_eq(mal_leases_totals(b.leases, NULL).leases, 0);
  mal_leases_check(b.leases, FAKE_START);
  bed_clear(&b);
}

static void bring(MalLevel level, const MalScope *scope, uint64_t count, MalTime until, void *data)
{
  Bed *b = data;
  MalSpan span = { mal_address_ipv4(0xefff0700),
                   mal_address_ipv4(0xefff0700 + (uint32_t)count - 1) };
  (void)level;
  (void)until;
  cr_assert_str_eq(scope->id, "local");
  mal_space_add(b->space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "more", "test", NULL);
}

static void bring_nothing(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                          void *data)
{
  (void)level;
  (void)scope;
  (void)count;
  (void)until;
  (void)data;
}

Test(leases_life, demand_travels_outwards_and_what_it_brings_comes_back)
{
  Bed b = bed_of(SCOPES);
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 5, 60);
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED, "nobody could ever bring any");
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, bring, &b);
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_WAITING);
  cr_assert_str_eq(b.text, "239.255.7.0-239.255.7.4");
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, bring_nothing, &b);
  r.id = id_of("b");
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_WAITING);
  cr_assert(mal_leases_is_waiting(b.leases, id_of("b")) && b.calls == 0);
  fake_advance(b.fake, 600);
  mal_leases_expire(b.leases, mal_runtime_now(b.rt));
  cr_assert(!mal_leases_is_waiting(b.leases, id_of("b")) && b.code == MAL_ERROR_NO_SPACE);
  bed_clear(&b);
}

static void bring_late(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                       void *data)
{
  (void)level;
  (void)scope;
  (void)until;
  *(uint64_t *)data += count;
}

Test(leases_life, rfc2730_2_2_4_space_on_its_way_beats_a_later_start)
{
  Bed b = bed_of(SCOPES "[range one]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n");
  MalRefusal why;
  uint64_t wanted = 0;
  MalSpan more = { mal_address_ipv4(0xefff0700), mal_address_ipv4(0xefff0703) };
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, bring_late, &wanted);
  lease(&b, "a", 1, 5000, NULL);
  MalLeaseRequest r = request_of(&b, "b", 1, 60);
  r.max_start = MAL_FOREVER;
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_WAITING);
  cr_assert_eq(wanted, 1);
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", more, MAL_FOREVER, "more", "test",
                          NULL));
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.start == FAKE_START);
  r.id = id_of("c");
  r.min = r.desired = 4;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_WAITING);
  fake_advance(b.fake, 600);
  mal_leases_expire(b.leases, mal_runtime_now(b.rt));
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.code == -1, "nobody brought any: after ten minutes what there is");
  /* An offer waits for nothing, but who asks again may be luckier. */
  wanted = 0;
  r.id = id_of("d");
  r.max_start = mal_runtime_now(b.rt);
  cr_assert(!mal_leases_hold(b.leases, &r, r.max_start, r.max_start + 60, NULL, &why)
            && wanted == 4);
  bed_clear(&b);
}

Test(leases_life, demand_is_raised_again_while_somebody_waits)
{
  Bed b = bed_of(SCOPES);
  uint64_t wanted = 0;
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, bring_late, &wanted);
  MalLeaseRequest r = request_of(&b, "a", 4, 60);
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
  cr_assert_eq(mal_leases_due(b.leases), FAKE_START + 30);
  fake_advance(b.fake, 29);
  expire(&b);
  cr_assert_eq(wanted, 4);
  fake_advance(b.fake, 1);
  expire(&b);
  cr_assert_eq(wanted, 8);
  bed_clear(&b);
}

Test(leases_life, a_release_takes_back_what_waits)
{
  Bed b = bed_of(SCOPES);
  uint64_t wanted = 0;
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, bring_late, &wanted);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
  cr_assert_eq(mal_leases_release(b.leases, r.id, FAKE_START, "released", NULL, NULL, 0, NULL),
               MAL_ANSWER_WAITING);
  cr_assert(!mal_leases_is_waiting(b.leases, r.id) && b.calls == 0);
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.code == MAL_ERROR_NOT_FOUND);
  bed_clear(&b);
}

Test(leases_life, a_stored_lease_yields_to_a_later_one_on_its_address)
{
  Bed b = bed_of(SCOPES LAB);
  g_autoptr(GError) error = NULL;
  MalBlock block = mal_block_make(mal_address_ipv4(0xefff0102), 1),
           outside = mal_block_make(mal_address_ipv4(0xefff2000), 1);
  MalLease first = { .id = id_of("a"),
                     .scope = "local",
                     .blocks = &block,
                     .n_blocks = 1,
                     .start = FAKE_START - 100,
                     .end = FAKE_START + 100,
                     .origin = "madcap" };
  MalLease second = first;
  second.id = id_of("b");
  unsigned superseded = 0;
  cr_assert(mal_leases_restore(b.leases, &first, FAKE_START, &superseded, &error));
  cr_assert(mal_leases_restore(b.leases, &second, FAKE_START, &superseded, &error));
  MalLease view;
  cr_assert(superseded == 1 && !mal_leases_get(b.leases, id_of("a"), &view) &&
            mal_leases_get(b.leases, id_of("b"), &view));
  mal_leases_check(b.leases, FAKE_START);
  first.blocks = &outside;
  cr_assert(!mal_leases_restore(b.leases, &first, FAKE_START, &superseded, &error));
  cr_assert(strstr(error->message, "239.255.32.0"), "%s", error->message);
  bed_clear(&b);
}

Test(leases_life, reserves_by_hand)
{
  Bed b = bed_of(SCOPES LAB);
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  MalSpan span = { mal_address_ipv4(0xefff0100), mal_address_ipv4(0xefff010e) };
  g_array_append_val(spans, span);
  MalReserve reserve = { (char *)"r", 0, spans, NULL };
  cr_assert(mal_leases_reserve_add(b.leases, &reserve, FAKE_START, NULL));
  cr_assert(!mal_leases_reserve_add(b.leases, &reserve, FAKE_START, NULL), "the name is taken");
  lease(&b, "a", 1, 60, NULL);
  cr_assert_str_eq(b.text, "239.255.1.15");
  MalRefusal why;
  cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED);
  cr_assert(replan(&b, SCOPES LAB, NULL), "what was made by hand survives a reload");
  cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED);
  cr_assert(mal_leases_reserve_remove(b.leases, "r", NULL));
  cr_assert_eq(lease(&b, "b", 15, 60, &why), MAL_ANSWER_GRANTED);
  cr_assert(!mal_leases_reserve_add(b.leases, &reserve, FAKE_START, &error));
  cr_assert(strstr(error->message, "leased"), "%s", error->message);
  bed_clear(&b);
}

Test(leases_life, a_refusal_says_why)
{
  Bed b = bed_of(SCOPES LAB "[range twin]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.15\n");
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 16, 60);
  ask(&b, &r, NULL);
  r.id = id_of("b");
  r.min = r.desired = 2;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  g_autoptr(GError) error = mal_leases_refusal_error(b.leases, &r, FAKE_START, &why);
  cr_assert(strstr(error->message, "16 owned")
                && strstr(error->message, "16 leased, 0 reserved, 0 free"),
            "%s", error->message);
  bed_clear(&b);
}

/* ---- anything, in any order ------------------------------------------------------------------ */

static void random_step(Bed *b, GRand *rand)
{
  char id[8];
  MalTime now = mal_runtime_now(b->rt);
  g_snprintf(id, sizeof id, "%d", g_rand_int_range(rand, 0, 24));
  uint32_t count = (uint32_t)g_rand_int_range(rand, 1, 4);
  MalLeaseRequest r = request_of(b, id, count, g_rand_int_range(rand, 1, 400));
  r.min = 1;
  r.pad = g_rand_int_range(rand, 0, 30);
  r.min_lifetime = g_rand_boolean(rand) ? r.lifetime : 0;
  if (g_rand_int_range(rand, 0, 3) == 0)
    r.start = now + g_rand_int_range(rand, 0, 500);
  r.max_start = MAX(r.start, now) + (g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 900) : 0);
  MalRenewal renewal = { .max_start = MAL_FOREVER, .lifetime = g_rand_int_range(rand, 1, 600) };
  renewal.start = g_rand_boolean(rand) ? MAL_BEGINNING : now + g_rand_int_range(rand, 0, 300);
  switch (g_rand_int_range(rand, 0, 12)) {
  case 0: case 1: case 2: case 3:
    mal_leases_request(b->leases, &r, now, done, b, 0, NULL);
    break;
  case 4:
    mal_leases_hold(b->leases, &r, now, now + 60, NULL, NULL);
    break;
  case 5:
    mal_leases_renew(b->leases, r.id, &renewal, now, done, b, 0, NULL);
    break;
  case 6:
    mal_leases_release(b->leases, r.id, now, "released", done, b, 0, NULL);
    break;
  case 7:
    fake_advance(b->fake, g_rand_int_range(rand, 0, 60));
    break;
  case 8:
    mal_store_memory_hold(b->store, g_rand_boolean(rand));
    break;
  case 9:
    mal_store_memory_fail(b->store, g_rand_int_range(rand, 0, 4) == 0 ? "no" : NULL);
    break;
  case 10:
    if (g_rand_int_range(rand, 0, 8) == 0)
      fake_step_wall(b->fake, g_rand_int_range(rand, -2000, 2000));
    break;
  case 11:
    replan(b,
           g_rand_boolean(rand) ? SCOPES LAB
                                : SCOPES LAB
               "[range m]\nscope=local\nfirst=239.255.9.0\nlast=239.255.9.7\n",
           NULL);
    break;
  }
}

Test(leases_life, the_invariants_hold_whatever_happens)
{
  for (unsigned seed = 1; seed <= 40; seed++) {
    Bed b = bed_of(SCOPES LAB);
    GRand *rand = g_rand_new_with_seed(seed);
    for (unsigned i = 0; i < 1500; i++) {
      random_step(&b, rand);
      if (g_rand_boolean(rand))
        fake_run(b.fake);
      mal_leases_expire(b.leases, mal_runtime_now(b.rt));
      mal_leases_check(b.leases, mal_runtime_now(b.rt));
      mal_allocator_check(mal_leases_allocator(b.leases));
    }
    mal_store_memory_fail(b.store, NULL);
    mal_store_memory_hold(b.store, false);
    fake_run(b.fake);
    fake_advance(b.fake, 100000);
    mal_leases_expire(b.leases, mal_runtime_now(b.rt));
    cr_assert_eq(mal_leases_totals(b.leases, NULL).leases, 0, "seed %u", seed);
    cr_assert_eq(mal_leases_client_addresses(b.leases, mal_address_ipv4(0xc0000207)), 0, "seed %u",
                 seed);
    cr_assert_eq(lease(&b, "all", 16, 60, NULL), MAL_ANSWER_GRANTED, "seed %u: nothing leaked",
                 seed);
    g_rand_free(rand);
    bed_clear(&b);
  }
}
