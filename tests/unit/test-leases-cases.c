/* Cases by table that no other test of the engine comes by: holds that turn into leases, what is
   said of a refusal, plans that meet, answers that come later. */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

static MalTime now_of(const Bed *b)
{
  return mal_runtime_now(b->rt);
}

static MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();
  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static const MalScope *scope_of(const Bed *b, const char *id)
{
  return mal_scope_set_find(mal_leases_scopes(b->leases), id);
}

/* ---- holds ----------------------------------------------------------------------------------- */

/* What was offered is what the request gets, where that answers it. */
Test(leases_cases, a_hold_and_the_request_after_it)
{
  static const struct {
    uint32_t held, min, desired;
    const char *named[2];
    bool same;
  } rows[] = {
    { 2, 1, 2, { NULL }, true },
    { 1, 2, 3, { NULL }, false },
    { 3, 1, 2, { NULL }, false },
    { 2, 0, 0, { "239.255.1.0-239.255.1.1" }, true },
    { 2, 0, 0, { "239.255.1.1-239.255.1.2" }, false },
    { 2, 0, 0, { "239.255.1.0-239.255.1.2" }, false },
    { 2, 0, 0, { "239.255.1.0", "239.255.1.1" }, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES LAB);
    const MalBlock first = mal_block_make(address("239.255.1.0"), rows[i].held);
    MalBlock named[2];
    MalLeaseRequest r = request_of(&b, "a", rows[i].held, 60);
    r.named = &first;
    r.n_named = 1;
    cr_assert(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, NULL));
    r = request_of(&b, "a", 1, 60);
    r.min = rows[i].min;
    r.desired = rows[i].desired;
    for (; r.n_named < 2 && rows[i].named[r.n_named]; r.n_named++) {
      MalSpan span;
      cr_assert(mal_span_parse(rows[i].named[r.n_named], &span, NULL));
      named[r.n_named] = mal_block_make(span.first, (uint32_t)mal_span_size(span));
    }
    r.named = r.n_named > 0 ? named : NULL;
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED, "row %zu", i);
    MalLease view;
    cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
    bool same = mal_address_equal(view.blocks[0].first, first.first) &&
                mal_lease_addresses(&view) == rows[i].held;
    cr_expect(same == rows[i].same || !rows[i].same, "row %zu", i);
    cr_expect(!rows[i].same || same, "row %zu", i);
    bed_clear(&b);
  }
}

/* Holding again is no more than holding once; who else holds under the identifier is another
   client. */
Test(leases_cases, holding_again)
{
  static const struct {
    const char *scope;
    const char *client;
    uint32_t limit, count;
    bool good;
  } rows[] = {
    { "local", "192.0.2.7", 0, 4, true }, /* a quarter of the scope, its own counted off */
    { "local", "192.0.2.8", 0, 4, true }, /* has none yet */
    { "local", "192.0.2.7", 0, 9, true }, { "org", "192.0.2.7", 0, 4, true },
    { "local", "192.0.2.7", 4, 4, true }, { "local", "192.0.2.7", 3, 4, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES LAB "[range o]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.15\n");
    MalLeaseRequest r = request_of(&b, "a", 4, 60);
    cr_assert(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, NULL));
    r.scope = scope_of(&b, rows[i].scope);
    r.client = address(rows[i].client);
    r.client_limit = rows[i].limit;
    r.min = r.desired = rows[i].count;
    cr_expect_eq(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, NULL),
                 rows[i].good, "row %zu", i);
    bed_clear(&b);
  }
}

Test(leases_cases, a_limit_is_used_up_by_offers)
{
  Bed b = bed_of(SCOPES LAB);
  MalLeaseRequest r = request_of(&b, "a", 2, 60);
  MalRefusal why = { 0 };
  r.client_limit = 2;
  cr_assert(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, NULL));
  r.id = id_of("b");
  r.min = r.desired = 1;
  cr_expect_not(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, &why));
  cr_expect(why.code == MAL_ERROR_LIMIT && why.part == MAL_REFUSED_COUNT);
  bed_clear(&b);
}

/* ---- times ----------------------------------------------------------------------------------- */

/* All that is free ends within the padding: nothing is left of it for a lease. */
Test(leases_cases, what_the_padding_takes)
{
  static const struct {
    int64_t start, lifetime;
  } rows[] = { { 140, 0 }, { 60, 0 }, { 40, 10 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES "[range one]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n");
    MalLeaseRequest r = request_of(&b, "a", 1, 100);
    MalRefusal why = { 0 };
    r.start = FAKE_START + 100;
    r.max_start = MAL_FOREVER;
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
    r = request_of(&b, "b", 1, 100);
    r.pad = 50;
    r.min_lifetime = 0;
    r.start = r.max_start = FAKE_START + rows[i].start;
    cr_expect_eq(ask(&b, &r, &why), rows[i].lifetime ? MAL_ANSWER_GRANTED : MAL_ANSWER_REFUSED,
                 "row %zu", i);
    cr_expect(rows[i].lifetime == 0 || b.end - b.start == rows[i].lifetime, "row %zu: %d", i,
              (int)(b.end - b.start));
    bed_clear(&b);
  }
}

/* No later start would do either: it is the scope that has nothing. */
Test(leases_cases, who_takes_any_start_hears_that_there_is_no_space)
{
  Bed b = bed_of(SCOPES);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  MalRefusal why = { 0 };
  r.max_start = MAL_FOREVER;
  cr_expect_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  cr_expect(why.code == MAL_ERROR_NO_SPACE && why.part == MAL_REFUSED_SCOPE, "%d", (int)why.part);
  bed_clear(&b);
}

Test(leases_cases, nothing_is_leased_without_a_store)
{
  Bed b = bed_of(SCOPES LAB);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  MalRefusal why = { 0 };
  mal_leases_store_gone(b.leases);
  cr_expect_eq(mal_leases_request(b.leases, &r, now_of(&b), done, &b, 0, &why), MAL_ANSWER_REFUSED);
  cr_expect_eq(why.code, MAL_ERROR_STORE);
  g_autoptr(GError) error = mal_leases_refusal_error(b.leases, &r, now_of(&b), &why);
  cr_expect_eq(error->code, MAL_ERROR_STORE);
  bed_clear(&b);
}

/* ---- what is said of a refusal --------------------------------------------------------------- */

Test(leases_cases, the_sentence_for_a_refusal)
{
  static const struct {
    MalErrorCode code;
    MalRefusedPart part;
    const char *fails, *says;
  } rows[] = {
    { MAL_ERROR_STORE, MAL_REFUSED_OTHER, "disk full", "disk full" },
    { MAL_ERROR_STORE, MAL_REFUSED_OTHER, NULL, "scope local" }, /* it works again meanwhile */
    { MAL_ERROR_EXISTS, MAL_REFUSED_ID, NULL, "is alive" },
    { MAL_ERROR_LIMIT, MAL_REFUSED_COUNT, NULL, "holds 1 addresses; its limit is 5" },
    { MAL_ERROR_INVALID, MAL_REFUSED_COUNT, NULL, "not so many" },
    { MAL_ERROR_NO_SPACE, MAL_REFUSED_OTHER, NULL, "2 of them in ranges that end too early" },
    { MAL_ERROR_NO_SPACE, MAL_REFUSED_NAMED, NULL, "not free for this period: 17 owned" },
  };
  Bed b = bed_of(
      SCOPES LAB
      "[range soon]\nscope=local\nfirst=239.255.3.1\nlast=239.255.3.2\n"
      "until=2026-01-01T00:05:00Z\n");
  static const MalBlock suspended = { { 0xefff0109, MAL_IPV4 }, 1 };
  mal_leases_suspend(b.leases, mal_span_of_block(suspended), true);
  cr_assert_eq(lease(&b, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalLeaseRequest r = request_of(&b, "b", 1, 3600);
    const MalRefusal why = { rows[i].code, rows[i].part };
    r.client_limit = 5;
    r.start = now_of(&b) + (i % 2 == 1 ? 10 : 0);
    r.named = &suspended;
    r.n_named = 1;
    mal_store_memory_fail(b.store, rows[i].fails);
    g_autoptr(GError) error = mal_leases_refusal_error(b.leases, &r, now_of(&b), &why);
    cr_expect_eq(error->code, (int)rows[i].code, "row %zu", i);
    cr_expect_not_null(strstr(error->message, rows[i].says), "row %zu: %s", i, error->message);
    mal_store_memory_fail(b.store, NULL);
    fake_run(b.fake);
  }
  bed_clear(&b);
}

/* Counts of what is free, but shares its Ethernet group. */
Test(leases_cases, ethernet_groups_in_the_sentence)
{
  Bed b = bed_of(SCOPES "[scope big]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.127.255.255\n"
                        "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n"
                        "[range twin]\nscope=big\nfirst=239.127.1.0\nlast=239.127.1.0\n");
  MalLeaseRequest r = request_of(&b, "b", 1, 60);
  MalRefusal why = { 0 };
  cr_assert_eq(lease(&b, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  r.scope = scope_of(&b, "big");
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  g_autoptr(GError) error = mal_leases_refusal_error(b.leases, &r, now_of(&b), &why);
  cr_expect_not_null(strstr(error->message, "1 free, of which 1 share an Ethernet group"), "%s",
                     error->message);
  bed_clear(&b);
}

/* A lease that ends before the period, or begins after it, is not in the way: what then is, is
   counted. */
Test(leases_cases, named_addresses_at_another_time)
{
  Bed b = bed_of(SCOPES LAB);
  static const MalBlock named[2] = { { { 0xefff0101, MAL_IPV4 }, 1 },
                                     { { 0xefff0109, MAL_IPV4 }, 1 } };
  mal_leases_suspend(b.leases, mal_span_of_block(named[1]), true);
  MalLeaseRequest r = request_of(&b, "a", 1, 60);
  MalRefusal why = { 0 };
  r.named = named;
  r.n_named = 1;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  r.id = id_of("b");
  r.n_named = 2;
  r.start = r.max_start = FAKE_START + 100;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  cr_expect_eq(why.part, MAL_REFUSED_NAMED);
  g_autoptr(GError) error = mal_leases_refusal_error(b.leases, &r, now_of(&b), &why);
  cr_expect_not_null(strstr(error->message, "not free for this period: 15 owned"), "%s",
                     error->message);
  bed_clear(&b);
}

/* ---- plans ----------------------------------------------------------------------------------- */

/* Excludes and reserves that overlap, and leases beside them. */
Test(leases_cases, excludes_and_reserves_that_overlap)
{
  static const struct {
    const char *plan, *lease;
    bool good;
  } rows[] = {
    { SCOPES LAB "exclude=239.255.1.2-239.255.1.5\n[reserve "
                 "r]\nscope=local\naddresses=239.255.1.4-239.255.1.9\n",
      "239.255.1.9", false },
    { SCOPES LAB "exclude=239.255.1.2-239.255.1.9\n[reserve "
                 "r]\nscope=local\naddresses=239.255.1.4-239.255.1.5\n",
      "239.255.1.9", false },
    { SCOPES LAB "exclude=239.255.1.2-239.255.1.5\n[reserve "
                 "r]\nscope=local\naddresses=239.255.1.4-239.255.1.9\n",
      "239.255.1.10", true },
    { "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.1.255\n[range "
      "lab]\nscope=local\n"
      "first=239.255.0.0\nlast=239.255.0.15\n",
      "239.255.1.10", false },
    { "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.1.9\n[range lab]\nscope=local\n"
      "first=239.255.0.0\nlast=239.255.0.15\n",
      "239.255.1.10", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES LAB);
    const MalBlock block = mal_block_make(address(rows[i].lease), 1);
    MalLeaseRequest r = request_of(&b, "a", 1, 60);
    r.named = &block;
    r.n_named = 1;
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
    cr_expect_eq(could_replan(&b, rows[i].plan), rows[i].good, "row %zu", i);
    cr_expect_eq(replan(&b, rows[i].plan, NULL), rows[i].good, "row %zu", i);
    mal_leases_check(b.leases, now_of(&b));
    bed_clear(&b);
  }
}

Test(leases_cases, a_reserve_of_nothing)
{
  Bed b = bed_of(SCOPES LAB);
  g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  MalReserve reserve = {
    .name = (char *)"r", .comment = (char *)"", .spans = none, .scope = scope_of(&b, "local")->index
  };
  cr_assert(mal_leases_reserve_add(b.leases, &reserve, now_of(&b), NULL));
  cr_expect(replan(&b, SCOPES LAB, NULL));
  cr_expect_eq(lease(&b, "a", 16, 60, NULL), MAL_ANSWER_GRANTED);
  bed_clear(&b);
}

/* ---- answers that come later ----------------------------------------------------------------- */

/* Behind the grant stands a renewal in line: the answer is told when that is durable, too. */
Test(leases_cases, durable_is_what_was_changed_again_meanwhile)
{
  Bed b = bed_of(SCOPES LAB), other = { .code = -1 };
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 500 };
  mal_store_memory_hold(b.store, true);
  cr_assert_eq(lease(&b, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, now_of(&b), NULL, NULL, 0, NULL),
               MAL_ANSWER_GRANTED);
  mal_leases_when_durable(b.leases, id_of("a"), done, &other, 0);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_expect_eq(other.calls, 1);
  cr_expect_eq(other.end, FAKE_START + 500);
  bed_clear(&b);
}

Test(leases_cases, an_identifier_of_any_length_may_be_asked_for)
{
  Bed b = bed_of(SCOPES LAB);
  uint8_t octets[MAL_LEASE_ID_MAX + 45] = { 1 };
  for (size_t n = MAL_LEASE_ID_MAX - 1; n <= sizeof octets; n += 23)
    mal_leases_when_durable(b.leases, (MalLeaseId){ octets, n }, done, &b, 0);
  fake_run(b.fake);
  cr_expect_eq(b.calls, 3);
  cr_expect_str_eq(b.text, "");
  bed_clear(&b);
}

/* One user goes: others are told. */
Test(leases_cases, who_stays_is_told_when_another_goes)
{
  Bed b = bed_of(SCOPES LAB), other = { .code = -1 };
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 500 };
  mal_store_memory_hold(b.store, true);
  cr_assert_eq(lease(&b, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  for (unsigned i = 0; i < 2; i++) {
    Bed *user = i == 0 ? &b : &other;
    mal_leases_renew(b.leases, id_of("a"), &renewal, now_of(&b), done, user, 0, NULL);
    mal_leases_when_durable(b.leases, id_of("nobody"), done, user, 0);
  }
  mal_leases_forget(b.leases, &b);
  b.calls = 0;
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_expect_eq(b.calls, 0);
  cr_expect_eq(other.calls, 2);
  bed_clear(&b);
}

/* What is on its way is counted by scope; a watcher that only comes by is told of nothing
   before. */
Test(leases_cases, pending_by_scope)
{
  Bed b = bed_of(SCOPES LAB "[range o]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.15\n");
  MalLeaseRequest r = request_of(&b, "o", 1, 60);
  mal_store_memory_hold(b.store, true);
  cr_assert_eq(lease(&b, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  r.scope = scope_of(&b, "org");
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  mal_leases_when_durable(b.leases, id_of("a"), NULL, NULL, 0);
  cr_expect_eq(mal_leases_totals(b.leases, NULL).pending, 2);
  cr_expect_eq(mal_leases_totals(b.leases, scope_of(&b, "local")).pending, 1);
  cr_expect_eq(mal_leases_totals(b.leases, r.scope).pending, 1);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_expect_eq(mal_leases_totals(b.leases, r.scope).pending, 0);
  bed_clear(&b);
}
