#include <criterion/criterion.h>
#include <string.h>

#include "core/leases-core.h"
#include "tests/support/fake-runtime.h"

/* ---- a lease engine over a memory store ---------------------------------------------------------------------- */

#define SCOPES \
  "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n" \
  "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n"
#define LAB "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.15\n"

typedef struct {
  FakeRuntime *fake;
  MalRuntime *rt;
  MalStore *store;
  MalSpace *space;
  MalLeases *leases;
  /* The last DONE call. */
  unsigned calls;
  char text[512];
  int code;
  MalTime start, end;
  unsigned changes[8];
} Bed;

static MalPlan *plan_of(const char *text)
{
  g_autoptr(GError) error = NULL;
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(MalConfig) config = mal_config_parse(schema, text, strlen(text), "t", &error);
  MalPlan *plan = config ? mal_plan_from_config(config, &error) : NULL;
  mal_conf_schema_free(schema);
  cr_assert_not_null(plan, "%s", error ? error->message : "");
  return plan;
}

static bool replan(Bed *b, const char *text, GError **error)
{
  g_autoptr(MalPlan) plan = plan_of(text);
  return mal_leases_replan(b->leases, plan, MAL_ETHERNET_DISTINCT, mal_runtime_now(b->rt), error);
}

static void on_change(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  (void)lease;
  (void)reason;
  ((Bed *)data)->changes[what]++;
}

static Bed bed_of(const char *config)
{
  g_autoptr(GError) error = NULL;
  Bed b = { .fake = fake_runtime_new(), .code = -1 };
  b.rt = fake_runtime(b.fake);
  b.store = mal_store_memory_new(b.rt);
  b.space = mal_space_new();
  b.leases = mal_leases_new(b.rt, b.store, b.space);
  cr_assert(replan(&b, config, &error), "%s", error ? error->message : "");
  return b;
}

static void bed_clear(Bed *b)
{
  mal_store_close(b->store);
  mal_leases_store_gone(b->leases);
  mal_leases_free(b->leases);
  mal_space_free(b->space);
  fake_runtime_free(b->fake);
}

static void done(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  Bed *b = user;
  (void)cookie;
  b->calls++;
  b->code = error ? error->code : -1;
  b->text[0] = '\0';
  if (!lease)
    return;
  g_autofree char *blocks = mal_blocks_format(lease->blocks, lease->n_blocks);
  g_strlcpy(b->text, blocks, sizeof b->text);
  b->start = lease->start;
  b->end = lease->end;
}

static MalLeaseId id_of(const char *text)
{
  return (MalLeaseId){ (const uint8_t *)text, strlen(text) };
}

static MalLeaseRequest request_of(Bed *b, const char *id, uint32_t count, int64_t lifetime)
{
  return (MalLeaseRequest){
    .id = id_of(id), .scope = mal_scope_set_find(mal_leases_scopes(b->leases), "local"), .min = count, .desired = count,
    .max_start = mal_runtime_now(b->rt), .lifetime = lifetime, .min_lifetime = lifetime,
    .client = mal_address_ipv4(0xc0000207), .origin = "madcap",
  };
}

static MalAnswer ask(Bed *b, const MalLeaseRequest *r, MalRefusal *why)
{
  b->calls = 0;
  MalAnswer answer = mal_leases_request(b->leases, r, mal_runtime_now(b->rt), done, b, 0, why);
  cr_assert_eq(b->calls, 0, "never from inside the call");
  fake_run(b->fake);
  mal_leases_check(b->leases, mal_runtime_now(b->rt));
  return answer;
}

static MalAnswer lease(Bed *b, const char *id, uint32_t count, int64_t lifetime, MalRefusal *why)
{
  MalLeaseRequest r = request_of(b, id, count, lifetime);
  return ask(b, &r, why);
}

static void expire(Bed *b)
{
  mal_leases_expire(b->leases, mal_runtime_now(b->rt));
  mal_leases_check(b->leases, mal_runtime_now(b->rt));
}

/* ---- granting ------------------------------------------------------------------------------------------------------ */

Test(leases, nobody_is_told_before_the_disk_has_it)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease view;
  mal_store_memory_hold(b.store, true);
  cr_assert_eq(lease(&b, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  cr_assert_eq(b.calls, 0);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view) && view.flags & MAL_LEASE_PENDING);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.code == -1 && b.end == FAKE_START + 60);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view) && !(view.flags & MAL_LEASE_PENDING));
  bed_clear(&b);
}

Test(leases, what_the_disk_refused_never_was)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease view;
  MalRefusal why;
  mal_store_memory_hold(b.store, true);
  lease(&b, "a", 16, 60, NULL);
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.code != -1 && !mal_leases_get(b.leases, id_of("a"), &view));
  cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED);
  cr_assert_eq(why.code, MAL_ERROR_STORE);
  mal_store_memory_fail(b.store, NULL);
  fake_run(b.fake);
  cr_assert_eq(lease(&b, "b", 16, 60, NULL), MAL_ANSWER_GRANTED, "all addresses are free again");
  bed_clear(&b);
}

Test(leases, rfc2730_2_4_an_identifier_names_one_lease)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  lease(&b, "a", 1, 60, NULL);
  cr_assert_eq(lease(&b, "a", 1, 60, &why), MAL_ANSWER_REFUSED);
  cr_assert(why.code == MAL_ERROR_EXISTS && why.part == MAL_REFUSED_ID);
  char long_id[MAL_LEASE_ID_MAX + 1];
  memset(long_id, 'x', sizeof long_id);
  long_id[MAL_LEASE_ID_MAX] = '\0';
  cr_assert_eq(lease(&b, long_id, 1, 60, NULL), MAL_ANSWER_GRANTED);
  MalLease view;
  cr_assert(mal_leases_get(b.leases, id_of(long_id), &view));
  bed_clear(&b);
}

Test(leases, rfc2730_3_8_between_minimum_and_desired)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.min = 4;
  r.desired = 100;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED);
  cr_assert_str_eq(b.text, "239.255.1.0-239.255.1.15");
  cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED);
  cr_assert(why.code == MAL_ERROR_NO_SPACE && why.part == MAL_REFUSED_OTHER);
  cr_assert_eq(lease(&b, "b", 2, 60, &why), MAL_ANSWER_REFUSED);
  cr_assert_eq(why.part, MAL_REFUSED_COUNT);
  bed_clear(&b);
}

Test(leases, rfc2730_3_11_named_addresses_or_nothing)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  MalBlock named[2] = { mal_block_make(mal_address_ipv4(0xefff0102), 2), mal_block_make(mal_address_ipv4(0xefff0108), 1) };
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.named = named;
  r.n_named = 2;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED);
  cr_assert_str_eq(b.text, "239.255.1.2-239.255.1.3,239.255.1.8");
  r.id = id_of("b");
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  cr_assert(why.code == MAL_ERROR_NO_SPACE && why.part == MAL_REFUSED_NAMED);
  named[1] = mal_block_make(mal_address_ipv4(0xe8000001), 1);
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  cr_assert(why.code == MAL_ERROR_INVALID && why.part == MAL_REFUSED_NAMED, "outside of the scope");
  bed_clear(&b);
}

/* There are the groups of MADCAP and other protocols, in IPv6 scopes as well. */
Test(leases, rfc2730_2_10_the_end_of_a_scope_is_not_leased)
{
  Bed b = bed_of("[scope six]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\n"
                 "[range all]\nscope=six\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\n");
  static const struct { const char *address; MalAnswer answer; } cases[] = {
    { "ff15::db8:8fff:fffe", MAL_ANSWER_REFUSED }, { "ff15::db8:8fff:ff00", MAL_ANSWER_REFUSED },
    { "ff15::db8:8fff:feff", MAL_ANSWER_GRANTED },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalBlock block = { .count = 1 };
    cr_assert(mal_address_parse(cases[i].address, &block.first, NULL));
    MalLeaseRequest r = request_of(&b, "a", 1, 60);
    r.scope = mal_scope_set_find(mal_leases_scopes(b.leases), "six");
    r.named = &block;
    r.n_named = 1;
    cr_assert_eq(ask(&b, &r, NULL), cases[i].answer, "%s", cases[i].address);
  }
  bed_clear(&b);
}

Test(leases, rfc2730_2_12_padding_keeps_both_sides)
{
  Bed b = bed_of(SCOPES "[range one]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n");
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 1, 100);
  r.pad = 50;
  r.start = r.max_start = FAKE_START + 1000;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED);
  MalLeaseRequest early = request_of(&b, "b", 1, 901);
  early.pad = 50;
  cr_assert_eq(ask(&b, &early, &why), MAL_ANSWER_REFUSED, "900 + 50 + 50 meets 1000");
  cr_assert_eq(why.part, MAL_REFUSED_LIFETIME);
  early.lifetime = 900;
  early.min_lifetime = 900;
  cr_assert_eq(ask(&b, &early, &why), MAL_ANSWER_GRANTED);
  fake_advance(b.fake, 949);
  expire(&b);
  cr_assert_eq(b.changes[0] + mal_leases_totals(b.leases, NULL).leases, 2);
  fake_advance(b.fake, 1);
  expire(&b);
  cr_assert_eq(mal_leases_totals(b.leases, NULL).leases, 1);
  bed_clear(&b);
}

Test(leases, rfc2730_2_2_4_shorter_or_later_within_what_the_client_said)
{
  Bed b = bed_of(SCOPES "[range one]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n");
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 1, 100);
  r.start = r.max_start = FAKE_START + 1000;
  ask(&b, &r, NULL);
  MalLeaseRequest s = request_of(&b, "b", 1, 5000);
  s.min_lifetime = 10;
  cr_assert_eq(ask(&b, &s, &why), MAL_ANSWER_GRANTED);
  cr_assert(b.start == FAKE_START && b.end == FAKE_START + 1000, "cut where the other begins");
  MalLeaseRequest t = request_of(&b, "c", 1, 500);
  t.max_start = FAKE_START + 50;
  cr_assert_eq(ask(&b, &t, &why), MAL_ANSWER_REFUSED);
  cr_assert_eq(why.part, MAL_REFUSED_START);
  t.max_start = FAKE_START + 5000;
  cr_assert_eq(ask(&b, &t, &why), MAL_ANSWER_GRANTED);
  cr_assert(b.start == FAKE_START + 1100 && b.end == FAKE_START + 1600, "as soon as possible");
  bed_clear(&b);
}

Test(leases, a_client_has_a_limit)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 3, 60);
  r.client_limit = 4;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED);
  r.id = id_of("b");
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  cr_assert_eq(why.code, MAL_ERROR_LIMIT);
  r.min = 1;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED);
  cr_assert_eq(mal_leases_client_addresses(b.leases, r.client), 4, "what is left of it");
  mal_leases_release(b.leases, id_of("a"), FAKE_START, "released", done, &b, 0, NULL);
  fake_run(b.fake);
  cr_assert_eq(mal_leases_client_addresses(b.leases, r.client), 1);
  bed_clear(&b);
}

/* ---- holds ----------------------------------------------------------------------------------------------------------- */

Test(leases, rfc2730_2_2_3_a_hold_becomes_the_lease_or_lapses)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease held, view;
  MalLeaseRequest r = request_of(&b, "a", 2, 60);
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, &held, NULL));
  g_autofree char *offered = mal_blocks_format(held.blocks, held.n_blocks);
  cr_assert(!mal_leases_get(b.leases, id_of("a"), &view) && mal_leases_get_hold(b.leases, id_of("a"), &view));
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  cr_assert_str_eq(b.text, offered);
  r.id = id_of("b");
  mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, NULL);
  cr_assert(mal_leases_unhold(b.leases, id_of("b")) && !mal_leases_unhold(b.leases, id_of("b")));
  mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, NULL);
  cr_assert_eq(mal_leases_due(b.leases), FAKE_START + 60);
  fake_advance(b.fake, 60);
  mal_leases_expire(b.leases, FAKE_START + 60);
  cr_assert_eq(mal_leases_totals(b.leases, NULL).holds, 0);
  bed_clear(&b);
}

Test(leases, offers_count_against_the_limit_of_a_client_too)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  MalLease view;
  MalLeaseRequest r = request_of(&b, "a", 3, 60);
  r.client_limit = 4;
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why));
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why), "replaces the first");
  r.id = id_of("b");
  cr_assert(!mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why));
  cr_assert(why.code == MAL_ERROR_LIMIT && why.part == MAL_REFUSED_COUNT);
  r.min = 1;
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, &view, &why));
  cr_assert_eq(mal_lease_addresses(&view), 1, "what is left of it");
  r = request_of(&b, "a", 3, 60);
  r.client_limit = 4;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED, "an offer is no obstacle to a request");
  r = request_of(&b, "c", 1, 60);
  r.client_limit = 4;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED, "nor another offer");
  bed_clear(&b);
}

/* DISCOVERs cost a client nothing, so offers to one of them must not keep the scope from the others. */
Test(leases, rfc2730_2_2_3_one_client_gets_no_more_than_a_quarter_of_a_scope_offered)
{
  Bed b = bed_of(SCOPES LAB "[range few]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.7\n");
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "x", 1, 60);
  unsigned held = 0;
  for (char id[] = "a"; id[0] <= 'p'; id[0]++) {
    r.id = id_of(id);
    held += mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why);
  }
  cr_assert_eq(held, 4);
  cr_assert_eq(why.code, MAL_ERROR_LIMIT);
  r.scope = mal_scope_set_find(mal_leases_scopes(b.leases), "org");
  r.id = id_of("elsewhere");
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why), "each scope by itself");
  r = request_of(&b, "other", 8, 60);
  r.client = mal_address_ipv4(0xc0000208);
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why), "the first may be of any size");
  fake_advance(b.fake, 61);
  expire(&b);
  r = request_of(&b, "y", 1, 60);
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START + 61, FAKE_START + 121, NULL, &why));
  bed_clear(&b);
}

/* ---- changes ---------------------------------------------------------------------------------------------------------- */

Test(leases, rfc2730_2_2_7_renewal_counts_from_now)
{
  Bed b = bed_of(SCOPES LAB);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 200 };
  lease(&b, "a", 1, 100, NULL);
  fake_advance(b.fake, 50);
  cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, FAKE_START + 50, done, &b, 0, NULL), MAL_ANSWER_GRANTED);
  fake_run(b.fake);
  cr_assert(b.start == FAKE_START && b.end == FAKE_START + 250);
  MalRefusal why;
  cr_assert_eq(mal_leases_renew(b.leases, id_of("x"), &renewal, FAKE_START + 50, done, &b, 0, &why),
               MAL_ANSWER_REFUSED);
  cr_assert(why.code == MAL_ERROR_NOT_FOUND && why.part == MAL_REFUSED_ID);
  bed_clear(&b);
}

Test(leases, a_failed_renewal_leaves_the_old_period)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease view;
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 900 };
  lease(&b, "a", 1, 100, NULL);
  mal_store_memory_hold(b.store, true);
  mal_leases_renew(b.leases, id_of("a"), &renewal, FAKE_START, done, &b, 0, NULL);
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_neq(b.code, -1);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view) && view.end == FAKE_START + 100);
  cr_assert_eq(mal_leases_due(b.leases), FAKE_START + 100);
  bed_clear(&b);
}

Test(leases, a_released_address_is_free_only_when_the_release_is_durable)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  lease(&b, "a", 16, 100, NULL);
  mal_store_memory_hold(b.store, true);
  mal_leases_release(b.leases, id_of("a"), FAKE_START, "released", done, &b, 0, NULL);
  cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(lease(&b, "b", 16, 60, &why), MAL_ANSWER_GRANTED);
  bed_clear(&b);
}

Test(leases, changes_of_one_lease_stand_in_line)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease view;
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 900 };
  mal_store_memory_hold(b.store, true);
  lease(&b, "a", 1, 100, NULL);
  cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, FAKE_START, done, &b, 0, NULL), MAL_ANSWER_GRANTED);
  cr_assert_eq(mal_leases_release(b.leases, id_of("a"), FAKE_START, "released", done, &b, 0, NULL), MAL_ANSWER_GRANTED);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 3);
  cr_assert(b.end == FAKE_START + 900 && !mal_leases_get(b.leases, id_of("a"), &view));
  bed_clear(&b);
}

Test(leases, when_durable_waits_for_what_is_on_its_way)
{
  Bed b = bed_of(SCOPES LAB);
  mal_store_memory_hold(b.store, true);
  lease(&b, "a", 1, 100, NULL);
  mal_leases_when_durable(b.leases, id_of("a"), done, &b, 0);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 0);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 2);
  mal_leases_when_durable(b.leases, id_of("a"), done, &b, 0);
  cr_assert_eq(b.calls, 2);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 3);
  mal_leases_when_durable(b.leases, id_of("a"), done, &b, 0);
  mal_leases_forget(b.leases, &b);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 3);
  bed_clear(&b);
}

/* Asks for one more lease from within DONE, as a message that comes between two commits would. */
static void done_and_ask(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  Bed *b = user;
  MalLeaseRequest r = request_of(b, "b", 1, 60);
  (void)lease;
  (void)error;
  (void)cookie;
  mal_leases_request(b->leases, &r, FAKE_START, NULL, NULL, 0, NULL);
}

Test(leases, when_durable_never_tells_of_another_lease)
{
  Bed b = bed_of(SCOPES LAB);
  lease(&b, "a", 1, 100, NULL);
  mal_store_memory_hold(b.store, true);
  mal_leases_release(b.leases, id_of("a"), FAKE_START, "released", NULL, NULL, 0, NULL);
  MalLeaseRequest r = request_of(&b, "c", 1, 60);
  cr_assert_eq(mal_leases_request(b.leases, &r, FAKE_START, done_and_ask, &b, 0, NULL), MAL_ANSWER_GRANTED);
  b.calls = 0;
  mal_leases_when_durable(b.leases, id_of("a"), done, &b, 0);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(b.calls, 1);
  cr_assert_str_eq(b.text, "", "a is gone; %s belongs to b, which took its slot", b.text);
  bed_clear(&b);
}

Test(leases, when_durable_tells_what_became_of_it_not_of_the_batch)
{
  Bed b = bed_of(SCOPES LAB);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 900 };
  lease(&b, "a", 1, 100, NULL);
  mal_store_memory_hold(b.store, true);
  mal_leases_renew(b.leases, id_of("a"), &renewal, FAKE_START, NULL, NULL, 0, NULL);
  mal_leases_when_durable(b.leases, id_of("a"), done, &b, 0);
  b.calls = 0;
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.code == -1 && b.end == FAKE_START + 100, "it lives on as it was");
  bed_clear(&b);
}

/* ---- time --------------------------------------------------------------------------------------------------------------- */

Test(leases, a_step_of_the_clock_takes_nothing_from_a_running_lease)
{
  static const int64_t steps[] = { 86400, -86400, 3600, -3600, 3 };
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    Bed b = bed_of(SCOPES LAB);
    MalLease view;
    lease(&b, "a", 16, 600, NULL);
    fake_advance(b.fake, 100);
    fake_step_wall(b.fake, steps[i]);
    MalRefusal why;
    cr_assert_eq(lease(&b, "b", 1, 60, &why), MAL_ANSWER_REFUSED, "step %" G_GINT64_FORMAT, steps[i]);
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

Test(leases, after_a_step_an_advance_lease_keeps_its_absolute_time)
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

/* ---- configuration -------------------------------------------------------------------------------------------------------- */

Test(leases, a_plan_that_takes_a_live_lease_its_place_is_refused)
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
    cr_assert(strstr(error->message, "239.255.1.2") && strstr(error->message, "release"), "%s", error->message);
    mal_leases_check(b.leases, FAKE_START);
  }
  MalLease view;
  cr_assert(replan(&b, SCOPES "[range other]\nscope=local\nfirst=239.255.1.2\nlast=239.255.1.3\n", NULL));
  mal_leases_check(b.leases, FAKE_START);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
  cr_assert_eq(lease(&b, "b", 1, 60, NULL), MAL_ANSWER_GRANTED);
  cr_assert_str_eq(b.text, "239.255.1.3");
  bed_clear(&b);
}

Test(leases, a_withdrawn_range_revokes_what_is_leased_of_it)
{
  Bed b = bed_of(SCOPES LAB);
  MalSpan span = { mal_address_ipv4(0xefff0500), mal_address_ipv4(0xefff0503) };
  MalBlock named = mal_block_make(span.first, 4);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.named = &named;
  r.n_named = 1;
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "extra", "control", NULL));
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

Test(leases, a_range_withdrawn_while_the_disk_fails)
{
  static const char *const ids[] = { "an identifier that is too long for the slot itself", "durable" };
  Bed b = bed_of(SCOPES LAB);
  MalSpan span = { mal_address_ipv4(0xefff0500), mal_address_ipv4(0xefff0503) };
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 900 };
  MalLease view;
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "extra", "control", NULL));
  for (unsigned i = 2; i-- > 0;) {
    MalBlock named = mal_block_make(mal_address_ipv4(0xefff0500 + i), 1);
    MalLeaseRequest r = request_of(&b, ids[i], 1, 60);
    r.named = &named;
    r.n_named = 1;
    mal_store_memory_hold(b.store, i == 0);
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  }
  cr_assert_eq(mal_leases_renew(b.leases, id_of(ids[1]), &renewal, FAKE_START, done, &b, 0, NULL), MAL_ANSWER_GRANTED);
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

Test(leases, a_revocation_that_the_disk_refuses_is_one_all_the_same)
{
  Bed b = bed_of(SCOPES LAB);
  MalSpan span = { mal_address_ipv4(0xefff0500), mal_address_ipv4(0xefff0503) };
  MalBlock named = mal_block_make(span.first, 4);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.named = &named;
  r.n_named = 1;
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "extra", "control", NULL));
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
  MalSpan span = { mal_address_ipv4(0xefff0700), mal_address_ipv4(0xefff0700 + (uint32_t)count - 1) };
  (void)level;
  (void)until;
  cr_assert_str_eq(scope->id, "local");
  mal_space_add(b->space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, "more", "test", NULL);
}

static void bring_nothing(MalLevel level, const MalScope *scope, uint64_t count, MalTime until, void *data)
{
  (void)level;
  (void)scope;
  (void)count;
  (void)until;
  (void)data;
}

Test(leases, demand_travels_outwards_and_what_it_brings_comes_back)
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

static void bring_late(MalLevel level, const MalScope *scope, uint64_t count, MalTime until, void *data)
{
  (void)level;
  (void)scope;
  (void)until;
  *(uint64_t *)data += count;
}

Test(leases, rfc2730_2_2_4_space_on_its_way_beats_a_later_start)
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
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", more, MAL_FOREVER, "more", "test", NULL));
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
  cr_assert(!mal_leases_hold(b.leases, &r, r.max_start, r.max_start + 60, NULL, &why) && wanted == 4);
  bed_clear(&b);
}

Test(leases, demand_is_raised_again_while_somebody_waits)
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

Test(leases, a_release_takes_back_what_waits)
{
  Bed b = bed_of(SCOPES);
  uint64_t wanted = 0;
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, bring_late, &wanted);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
  cr_assert_eq(mal_leases_release(b.leases, r.id, FAKE_START, "released", NULL, NULL, 0, NULL), MAL_ANSWER_WAITING);
  cr_assert(!mal_leases_is_waiting(b.leases, r.id) && b.calls == 0);
  fake_run(b.fake);
  cr_assert(b.calls == 1 && b.code == MAL_ERROR_NOT_FOUND);
  bed_clear(&b);
}

Test(leases, a_stored_lease_yields_to_a_later_one_on_its_address)
{
  Bed b = bed_of(SCOPES LAB);
  g_autoptr(GError) error = NULL;
  MalBlock block = mal_block_make(mal_address_ipv4(0xefff0102), 1), outside = mal_block_make(mal_address_ipv4(0xefff2000), 1);
  MalLease first = { .id = id_of("a"), .scope = "local", .blocks = &block, .n_blocks = 1, .start = FAKE_START - 100,
                     .end = FAKE_START + 100, .origin = "madcap" };
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

Test(leases, reserves_by_hand)
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

Test(leases, a_refusal_says_why)
{
  Bed b = bed_of(SCOPES LAB "[range twin]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.15\n");
  MalRefusal why;
  MalLeaseRequest r = request_of(&b, "a", 16, 60);
  ask(&b, &r, NULL);
  r.id = id_of("b");
  r.min = r.desired = 2;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  g_autoptr(GError) error = mal_leases_refusal_error(b.leases, &r, FAKE_START, &why);
  cr_assert(strstr(error->message, "16 owned") && strstr(error->message, "16 leased, 0 reserved, 0 free"), "%s",
            error->message);
  bed_clear(&b);
}

/* ---- anything, in any order ---------------------------------------------------------------------------------------------- */

static void random_step(Bed *b, GRand *rand)
{
  char id[8];
  MalTime now = mal_runtime_now(b->rt);
  g_snprintf(id, sizeof id, "%d", g_rand_int_range(rand, 0, 24));
  MalLeaseRequest r = request_of(b, id, (uint32_t)g_rand_int_range(rand, 1, 4), g_rand_int_range(rand, 1, 400));
  r.min = 1;
  r.pad = g_rand_int_range(rand, 0, 30);
  r.min_lifetime = g_rand_boolean(rand) ? r.lifetime : 0;
  if (g_rand_int_range(rand, 0, 3) == 0)
    r.start = now + g_rand_int_range(rand, 0, 500);
  r.max_start = MAX(r.start, now) + (g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 900) : 0);
  MalRenewal renewal = { .start = g_rand_boolean(rand) ? MAL_BEGINNING : now + g_rand_int_range(rand, 0, 300),
                         .max_start = MAL_FOREVER, .lifetime = g_rand_int_range(rand, 1, 600) };
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
    replan(b, g_rand_boolean(rand) ? SCOPES LAB : SCOPES LAB "[range m]\nscope=local\nfirst=239.255.9.0\nlast=239.255.9.7\n",
           NULL);
    break;
  }
}

Test(leases, the_invariants_hold_whatever_happens)
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
    cr_assert_eq(mal_leases_client_addresses(b.leases, mal_address_ipv4(0xc0000207)), 0, "seed %u", seed);
    cr_assert_eq(lease(&b, "all", 16, 60, NULL), MAL_ANSWER_GRANTED, "seed %u: nothing leaked", seed);
    g_rand_free(rand);
    bed_clear(&b);
  }
}
