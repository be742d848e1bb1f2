#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/leases-bed.h"

/* ---- granting -------------------------------------------------------------------------------- */

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
  MalBlock named[2] = { mal_block_make(mal_address_ipv4(0xefff0102), 2),
                        mal_block_make(mal_address_ipv4(0xefff0108), 1) };
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

/* ---- holds ----------------------------------------------------------------------------------- */

Test(leases, rfc2730_2_2_3_a_hold_becomes_the_lease_or_lapses)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease held, view;
  MalLeaseRequest r = request_of(&b, "a", 2, 60);
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, &held, NULL));
  g_autofree char *offered = mal_blocks_format(held.blocks, held.n_blocks);
  cr_assert(!mal_leases_get(b.leases, id_of("a"), &view)
            && mal_leases_get_hold(b.leases, id_of("a"), &view));
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
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why),
            "replaces the first");
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

/* DISCOVERs cost a client nothing, so offers to one of them must not keep the scope from the
   others. */
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
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why),
            "each scope by itself");
  r = request_of(&b, "other", 8, 60);
  r.client = mal_address_ipv4(0xc0000208);
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START, FAKE_START + 60, NULL, &why),
            "the first may be of any size");
  fake_advance(b.fake, 61);
  expire(&b);
  r = request_of(&b, "y", 1, 60);
  cr_assert(mal_leases_hold(b.leases, &r, FAKE_START + 61, FAKE_START + 121, NULL, &why));
  bed_clear(&b);
}

/* ---- changes --------------------------------------------------------------------------------- */

Test(leases, rfc2730_2_2_7_renewal_counts_from_now)
{
  Bed b = bed_of(SCOPES LAB);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 200 };
  lease(&b, "a", 1, 100, NULL);
  fake_advance(b.fake, 50);
  cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, FAKE_START + 50, done, &b, 0, NULL),
               MAL_ANSWER_GRANTED);
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
  cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, FAKE_START, done, &b, 0, NULL),
               MAL_ANSWER_GRANTED);
  cr_assert_eq(mal_leases_release(b.leases, id_of("a"), FAKE_START, "released", done, &b, 0, NULL),
               MAL_ANSWER_GRANTED);
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
  cr_assert_eq(mal_leases_request(b.leases, &r, FAKE_START, done_and_ask, &b, 0, NULL),
               MAL_ANSWER_GRANTED);
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
