/* Callbacks of the lease engine that change leases themselves. */
#include "core/leases-core.h"
#include "tests/support/fake-runtime.h"

#include <criterion/criterion.h>
#include <string.h>

#define SCOPE(name, first, last) \
  "[scope " name "]\nfamily=ipv4\nfirst=239." first "\nlast=239." last "\n"
#define LOCAL SCOPE("local", "255.0.0", "255.255.255")
#define LAB "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n"

typedef struct {
  FakeRuntime *fake;
  MalRuntime *rt;
  MalStore *store;
  MalSpace *space;
  MalLeases *leases;
  unsigned answers, again, told;
  MalAnswer second;
} Bed;

static bool replan(Bed *b, const char *text)
{
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", NULL);
  g_autoptr(MalPlan) plan = mal_plan_from_config(config, NULL);
  mal_conf_schema_free(schema);
  return mal_leases_replan(b->leases, plan, MAL_ETHERNET_DISTINCT, mal_runtime_now(b->rt), NULL);
}

static Bed bed_new(void)
{
  Bed b = { .fake = fake_runtime_new() };
  b.rt = fake_runtime(b.fake);
  b.store = mal_store_memory_new(b.rt);
  b.space = mal_space_new();
  b.leases = mal_leases_new(b.rt, b.store, b.space);
  cr_assert(replan(&b, LOCAL LAB));
  return b;
}

static void bed_clear(Bed *b)
{
  fake_run(b->fake);
  mal_leases_check(b->leases, mal_runtime_now(b->rt));
  mal_allocator_check(mal_leases_allocator(b->leases));
  mal_store_close(b->store);
  mal_leases_store_gone(b->leases);
  mal_leases_free(b->leases);
  mal_space_free(b->space);
  fake_runtime_free(b->fake);
}

static const MalLeaseId id = { (const uint8_t *)"a", 1 };

static void count(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  (void)lease, (void)error, (void)cookie;
  ((Bed *)user)->answers++;
}

static MalAnswer ask(Bed *b, const MalScope *scope, MalLeaseFunc done)
{
  MalLeaseRequest r = { .id = id, .scope = scope, .min = 1, .desired = 1, .lifetime = 60,
                        .min_lifetime = 60, .max_start = mal_runtime_now(b->rt), .origin = "t" };
  return mal_leases_request(b->leases, &r, mal_runtime_now(b->rt), done, b, 0, NULL);
}

static const MalScope *local(Bed *b)
{
  return mal_scope_set_find(mal_leases_scopes(b->leases), "local");
}

static void lease_again(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  Bed *b = user;
  (void)cookie;
  cr_assert(lease && !error && lease->id.length == 1 && lease->n_blocks == 1);
  b->second = ask(b, local(b), count);
}

Test(leases_reenter, the_address_is_free_when_the_release_is_told)
{
  Bed b = bed_new();
  cr_assert_eq(ask(&b, local(&b), count), MAL_ANSWER_GRANTED);
  fake_run(b.fake);
  mal_leases_release(b.leases, id, FAKE_START, "released", lease_again, &b, 0, NULL);
  fake_run(b.fake);
  cr_assert_eq(b.second, MAL_ANSWER_GRANTED);
  cr_assert_eq(b.answers, 2);
  bed_clear(&b);
}

static void change_what_ends(MalLeaseChange what, const MalLease *lease, const char *reason,
                             void *data)
{
  Bed *b = data;
  MalRenewal renewal = { .max_start = MAL_FOREVER, .lifetime = 60 };
  (void)reason;
  if (what == MAL_LEASE_GRANTED)
    return;
  b->told++;
  cr_assert_eq(mal_leases_renew(b->leases, lease->id, &renewal, mal_runtime_now(b->rt), count, b,
                                0, NULL), MAL_ANSWER_REFUSED);
  cr_assert_eq(mal_leases_release(b->leases, lease->id, mal_runtime_now(b->rt), "released", count,
                                  b, 0, NULL), MAL_ANSWER_REFUSED);
}

Test(leases_reenter, a_watcher_changes_what_ends)
{
  Bed b = bed_new();
  mal_leases_watch(b.leases, change_what_ends, &b);
  cr_assert_eq(ask(&b, local(&b), count), MAL_ANSWER_GRANTED);
  fake_run(b.fake);
  mal_leases_release(b.leases, id, FAKE_START, "released", count, &b, 0, NULL);
  fake_run(b.fake);
  cr_assert_eq(ask(&b, local(&b), count), MAL_ANSWER_GRANTED);
  fake_advance(b.fake, 61);
  mal_leases_expire(b.leases, mal_runtime_now(b.rt));
  cr_assert_eq(b.told, 2);
  bed_clear(&b);
}

static void forget(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  Bed *b = user;
  (void)lease, (void)error, (void)cookie;
  b->again++;
  mal_leases_forget(b->leases, &b->answers);
}

static void must_not_come(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  (void)lease, (void)error, (void)user, (void)cookie;
  cr_assert_fail("its user is gone");
}

/* The first in line makes the user of the others go away. */
Test(leases_reenter, who_is_forgotten_is_not_told_any_more)
{
  Bed b = bed_new();
  MalRenewal bad = { .max_start = MAL_FOREVER, .lifetime = 0 };
  mal_leases_when_durable(b.leases, id, forget, &b, 0);
  mal_leases_when_durable(b.leases, id, must_not_come, &b.answers, 0);
  fake_run(b.fake);
  ask(&b, local(&b), count);
  mal_leases_renew(b.leases, id, &bad, FAKE_START, forget, &b, 0, NULL);
  mal_leases_renew(b.leases, id, &bad, FAKE_START, must_not_come, &b.answers, 0, NULL);
  fake_run(b.fake);
  cr_assert_eq(b.again, 2);
  bed_clear(&b);
}

/* By its place, "local" would be another scope now. */
Test(leases_reenter, a_scope_of_the_plan_before)
{
  Bed b = bed_new();
  const MalScope *old = local(&b);
  MalLease lease;
  cr_assert(replan(&b, SCOPE("org", "192.0.0", "195.255.255")
                   "[range o]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.9\n" LOCAL LAB));
  cr_assert_eq(ask(&b, old, count), MAL_ANSWER_GRANTED);
  cr_assert(mal_leases_get(b.leases, id, &lease));
  cr_assert_str_eq(lease.scope, "local");
  cr_assert_eq(lease.blocks[0].first.value, 0xefff0100);
  bed_clear(&b);
}

Test(leases_reenter, a_lease_that_lapsed_keeps_no_range)
{
  Bed b = bed_new();
  ask(&b, local(&b), count);
  fake_run(b.fake);
  cr_assert_not(replan(&b, LOCAL));
  fake_advance(b.fake, 60);
  cr_assert(replan(&b, LOCAL));
  bed_clear(&b);
}

Test(leases_reenter, times_at_their_limits)
{
  static const struct { int64_t lifetime, pad; MalTime start; MalErrorCode code; } table[] = {
    { INT64_MAX, 0, 0, MAL_ERROR_INVALID }, { 60, -1, 0, MAL_ERROR_INVALID },
    { 60, INT64_MAX, 0, MAL_ERROR_INVALID }, { 60, 0, INT64_MAX, MAL_ERROR_INVALID },
    { 0, 0, 0, MAL_ERROR_INVALID }, { 60, UINT32_MAX, INT64_MIN, MAL_ERROR_NO_SPACE },
  };
  Bed b = bed_new();
  ask(&b, local(&b), count);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    MalRefusal why;
    MalLeaseRequest r = { .id = { (const uint8_t *)"b", 1 }, .scope = local(&b), .min = 1,
                          .desired = 1, .lifetime = table[i].lifetime, .pad = table[i].pad,
                          .start = table[i].start, .origin = "t" };
    r.max_start = table[i].code == MAL_ERROR_NO_SPACE ? FAKE_START : MAL_FOREVER;
    cr_assert_eq(mal_leases_request(b.leases, &r, FAKE_START, count, &b, 0, &why),
                 MAL_ANSWER_REFUSED, "%zu", i);
    cr_assert_eq(why.code, table[i].code, "%zu", i);
  }
  bed_clear(&b);
}

/* Who watches may look at as many leases as he likes: who asked is told of his own. */
static void look_around(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  Bed *b = data;
  MalLease other;
  (void)what, (void)lease, (void)reason;
  for (unsigned i = 0; i < 100; i++)
    b->told += mal_leases_get(b->leases, (MalLeaseId){ (const uint8_t *)"b", 1 }, &other);
}

static void is_own(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  MalLease now;
  MalAddress first = lease ? lease->blocks[0].first : mal_address_none();
  (void)cookie;
  cr_assert(!error && mal_leases_get(((Bed *)user)->leases, lease->id, &now));
  cr_assert(mal_address_equal(first, now.blocks[0].first));
  ((Bed *)user)->answers++;
}

Test(leases_reenter, a_watcher_that_looks_at_others_leaves_the_answer_alone)
{
  Bed b = bed_new();
  cr_assert(replan(&b, LOCAL "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.9\n"));
  mal_leases_watch(b.leases, look_around, &b);
  MalLeaseRequest r = { .id = { (const uint8_t *)"b", 1 }, .scope = local(&b), .min = 1,
                        .desired = 1, .lifetime = 60, .min_lifetime = 60, .origin = "t",
                        .max_start = MAL_FOREVER };
  mal_leases_request(b.leases, &r, mal_runtime_now(b.rt), is_own, &b, 0, NULL);
  fake_run(b.fake);
  r.id = id;
  mal_leases_request(b.leases, &r, mal_runtime_now(b.rt), is_own, &b, 0, NULL);
  fake_run(b.fake);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 90 };
  mal_leases_renew(b.leases, id, &renewal, mal_runtime_now(b.rt), is_own, &b, 0, NULL);
  fake_run(b.fake);
  cr_assert_eq(b.answers, 3);
  cr_assert(b.told >= 200);
  bed_clear(&b);
}
