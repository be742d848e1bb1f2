/* What parents deny, and what becomes of it (RFC 2909 8.3, 11.3). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

static MascClaim pending(OwnBed *own)
{
  MascClaim claim = { 0 };

  cr_assert_geq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &claim), 1);
  return claim;
}

static uint8_t deny(OwnBed *own, MascClaim claim, uint32_t lifetime)
{
  uint8_t answer;

  claim.type = MASC_CLAIM_DENIED;
  claim.role = MASC_INTERNAL;
  claim.lifetime = lifetime;
  answer = masc_bed_say(own->bed, 0, OWN_PARENT, &claim);
  own_bed_pass(own, 0);
  return answer;
}

Test(masc_own_denied, s11_3_3_denied_for_its_lifetime_and_claimed_again)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim again;

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 20);
  cr_expect_eq(deny(own, pending(own), 5000), 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DENIED), 1);
  cr_expect_eq((uint64_t)own->bed->nodes[0].noted[MASC_NOTE_DENIED], 1, "the parent");
  own_bed_pass(own, 20);
  again = pending(own);
  cr_expect_eq(again.lifetime, 5000);
  cr_expect(masc_prefix_equal(again.prefix, masc_bed_prefix("233.252.4.0/24")));
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own_denied, s11_3_3_denied_altogether)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned plans;

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 20);
  plans = own->nodes[0].plans;
  cr_expect_eq(deny(own, pending(own), 0), 0);
  own_bed_pass(own, 20);
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_CLAIM_DENIED, NULL), 1);
  cr_expect_gt(own->nodes[0].plans, plans);
  cr_expect_eq(own->nodes[0].seen.n_busy, 2, "the denial and what is avoided because of it");
  own_bed_pass(own, 1100);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_own_denied, s11_3_3_nothing_of_ours_is_denied)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 2, "233.252.4.0/24");

  cr_expect_eq(deny(own, claim, 100), MASC_UPDATE_NO_INTERNAL_PREFIX);
}

Test(masc_own_denied, s11_3_3_what_others_are_denied_goes_on)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned peer = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  MascClaim claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 4, "233.252.4.0/24");

  cr_expect_eq(deny(own, claim, 100), 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_CLAIM_DENIED, NULL), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, peer, MASC_CLAIM_DENIED, NULL), 1);
}

/* As a child of ourselves we are denied by our own nodes (12.2). */
Test(masc_own_denied, s11_3_2_local_use_is_denied_by_an_internal_peer)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned peer = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 30, 0);
  MascClaim claim;

  own_bed_win(own, 0, "233.252.4.0/22");
  claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 30, "233.252.4.0/24");
  claim.lifetime = 10 * OWN_DAY;
  cr_expect_eq(masc_bed_say(own->bed, 0, child, &claim), 0);
  own_bed_pass(own, 1);
  masc_bed_clear(own->bed);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
  own_bed_pass(own, 20);
  own_expect(own_bed_pending(own, 0), "233.252.6.0/24");
  cr_assert_eq(masc_bed_sent(own->bed, 0, peer, MASC_NEW_CLAIM, &claim), 1);
  cr_expect_eq(claim.role, MASC_CHILD);
  claim.type = MASC_CLAIM_DENIED;
  claim.role = MASC_INTERNAL;
  claim.lifetime = 0;
  cr_expect_eq(masc_bed_say(own->bed, 0, peer, &claim), 0);
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DENIED), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, child, MASC_CLAIM_DENIED, NULL), 1);
}

/* Of what we ask of our parents nobody but they may deny us anything. */
Test(masc_own_denied, s11_3_2_what_an_internal_peer_denies_is_local_use)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned internal = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 30, 0);
  MascClaim denial;

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 20);
  denial = pending(own);
  denial.type = MASC_CLAIM_DENIED;
  denial.role = MASC_INTERNAL;
  cr_expect_eq(masc_bed_say(own->bed, 0, internal, &denial), 0);
  denial.role = MASC_PARENT;
  cr_expect_eq(masc_bed_say(own->bed, 0, child, &denial), 0);
  own_bed_pass(own, 1);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DENIED), 0);
}

/* Such local use may be for a shorter time, too. */
Test(masc_own_denied, s11_3_2_local_use_that_is_denied_for_its_lifetime)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned internal = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  MascClaim denial = { 0 }, again = { 0 };

  own_bed_win(own, 0, "233.252.4.0/22");
  masc_bed_open(own->bed, 0, MASC_PARENT, 30, 0);
  MascClaim hint = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_CHILD, 30, "0.0.0.0/24");
  cr_assert_eq(masc_bed_say(own->bed, 0, internal, &hint), 0);
  own_bed_pass(own, 0);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.5.0/24", NULL);
  masc_bed_clear(own->bed);
  own_bed_pass(own, 20);
  cr_assert_eq(masc_bed_sent(own->bed, 0, internal, MASC_NEW_CLAIM, &denial), 1);
  cr_assert_eq(denial.role, MASC_CHILD);
  denial.type = MASC_CLAIM_DENIED;
  denial.role = MASC_INTERNAL;
  denial.lifetime = 5000;
  masc_bed_clear(own->bed);
  cr_expect_eq(masc_bed_say(own->bed, 0, internal, &denial), 0);
  own_bed_pass(own, 20);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DENIED), 1);
  cr_assert_eq(masc_bed_sent(own->bed, 0, internal, MASC_NEW_CLAIM, &again), 1);
  cr_expect(masc_prefix_equal(again.prefix, denial.prefix));
  cr_expect_eq(again.lifetime, 5000);
}

/* A parent's node that answers a claim with an error has not taken it. */
Test(masc_own_denied, s8_3_what_a_parent_refuses_is_not_won)
{
  static const struct {
    unsigned by;
    bool other, gone;
    MascClaimType type;
  } rows[] = {
    { OWN_PARENT, false, true, MASC_NEW_CLAIM },
    { OWN_PARENT, true, false, MASC_NEW_CLAIM },
    { OWN_PARENT, false, false, MASC_PREFIX_IN_USE },
    { OWN_PARENT, false, false, MASC_WITHDRAW },
    { OWN_SIBLING, false, false, MASC_NEW_CLAIM },
    { 99, false, false, MASC_NEW_CLAIM },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim claim;

    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, 20);
    claim = pending(own);
    claim.type = rows[i].type;
    claim.timestamp -= rows[i].other;
    masc_zone_refused(own->bed->nodes[0].zone, rows[i].by, &claim, MASC_UPDATE_NO_PARENT_PREFIX,
                      masc_bed_now(own->bed, 0));
    own_bed_pass(own, 1);
    own_expect(own_bed_pending(own, 0), rows[i].gone ? "" : "233.252.4.0/24");
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_WITHDRAW, NULL), rows[i].gone);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_CLAIM_DENIED, NULL), 0);
    own_bed_pass(own, 1100);
    own_expect(own_bed_local(own, 0), rows[i].gone ? "" : "233.252.4.0/24");
  }
}

/* Too long, it can't say how much. */
Test(masc_own_denied, s8_3_what_is_refused_as_too_long_is_claimed_shorter)
{
  g_autoptr(OwnBed) own = own_bed_child();
  uint32_t before;

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.16.0/20", NULL);
  own_bed_pass(own, 20);
  before = pending(own).lifetime;
  for (unsigned i = 0; i < 2; i++) {
    MascClaim claim = pending(own);
    masc_zone_refused(own->bed->nodes[0].zone, OWN_PARENT, &claim, MASC_UPDATE_LIFETIME_LONG,
                      masc_bed_now(own->bed, 0));
    own_bed_pass(own, 20);
    own_expect(own_bed_pending(own, 0), "233.252.16.0/20");
    cr_expect_eq(pending(own).lifetime, before / 2, "%u", i);
    before /= 2;
  }
}

/* Too large however short: half of it, and again, down to the unit; not at all what the operator
   wants, and later nothing as large. */
Test(masc_own_denied, s8_3_what_is_too_large_is_claimed_smaller)
{
  static const char *const smaller[] = { "233.252.16.0/21", "233.252.16.0/22", "233.252.16.0/23",
                                         "233.252.16.0/24", "" };
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.16.0/20", NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(smaller); i++) {
    own_bed_pass(own, 20);
    if (i % 2 == 0) {
      cr_expect_eq(deny(own, pending(own), 0), 0);
    } else {
      MascClaim claim = pending(own);
      masc_zone_refused(own->bed->nodes[0].zone, OWN_PARENT, &claim, MASC_UPDATE_PREFIX_LARGE,
                        masc_bed_now(own->bed, 0));
    }
    own_expect(own_bed_pending(own, 0), smaller[i]);
  }
  masc_own_bound_size(own->bed->nodes[0].zone, 1, MASC_BED_LENGTH(21), masc_bed_now(own->bed, 0));
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.32.0/20", NULL);
  own_expect(own_bed_pending(own, 0), "233.252.32.0/22");
  own_bed_pass(own, 1100);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.64.0/20", NULL);
  own_expect(own_bed_pending(own, 0), "233.252.64.0/20");
}

/* What one parent denies another one may grant. */
Test(masc_own_denied, s8_3_bounds_are_those_of_the_parent_that_has_them)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 4, 0);
  MascClaim denial;

  own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.128.0/18", 0);
  own_bed_pass(own, 100);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.16.0/20", NULL);
  own_bed_pass(own, 20);
  cr_expect_eq(deny(own, pending(own), 0), 0);
  own_bed_pass(own, 20);
  cr_expect_eq(deny(own, pending(own), 5000), 0);
  own_bed_pass(own, 20);
  own_expect(own_bed_pending(own, 0), "233.252.16.0/21");
  cr_expect_eq(pending(own).lifetime, 5000);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.144.0/20", NULL);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.64.0/20", NULL);
  own_bed_pass(own, 20);
  own_expect(own_bed_pending(own, 0), "233.252.16.0/21 233.252.144.0/20 233.252.64.0/21");
  cr_assert_eq(masc_bed_sent(own->bed, 0, other, MASC_NEW_CLAIM, &denial), 1);
  cr_expect_gt(denial.lifetime, 5000);
}

/* ---- denied to others of the domain ---------------------------------------------------------- */

/* Two nodes of domain 2, and a parent of each. */
static OwnBed *pair(void)
{
  OwnBed *own = own_bed_new();

  own_bed_add(own, 2, 2000, false);
  own_bed_add(own, 2, 2001, false);
  masc_bed_open(own->bed, 0, MASC_CHILD, 1, 0);
  masc_bed_join(own->bed, 0, 1, MASC_INTERNAL, 0);
  masc_bed_open(own->bed, 1, MASC_CHILD, 1, 0);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  own_bed_pass(own, 100);
  masc_bed_clear(own->bed);
  return own;
}

/* Of ours is what any node of the domain claimed: who claimed it is told. */
static MascClaim claimed_by_peer(OwnBed *own)
{
  MascClaim claim = { 0 };

  own_bed_wish(own, 1, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 20);
  cr_assert_eq(masc_bed_sent(own->bed, 0, 0, MASC_NEW_CLAIM, &claim), 1);
  cr_assert_eq(claim.node, 2001);
  return claim;
}

static void expect_not_won(OwnBed *own)
{
  own_bed_pass(own, 0);
  own_expect(own_bed_pending(own, 1), "");
  cr_expect_eq(own_bed_notes(own, 1, MASC_NOTE_DENIED), 1);
  cr_expect_not(masc_bed_has(own->bed, 0, MASC_NEW_CLAIM, 2, "233.252.4.0/24"));
  own_bed_pass(own, 1100);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_local(own, 1), "");
}

/* What children and servers have of it was told to last as long as it does. */
Test(masc_own_denied, s4_2_no_renewal_makes_it_shorter)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim renewal;

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  MalTime until = own_bed_until(own, 0, "233.252.4.0/24");
  own_bed_pass(own, 2100);
  masc_bed_clear(own->bed);
  renewal = g_array_index(own_bed_owns(own, 0)->pends, MascPend, 0).claim;
  cr_assert_eq(renewal.type, MASC_CLAIM_TO_EXPAND);
  cr_expect_eq(deny(own, renewal, 5000), 0);
  own_bed_pass(own, 2000);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL), 0,
               "as long as the parent may remember that it grants no more");
  cr_expect_eq(own_bed_until(own, 0, "233.252.4.0/24"), until);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), 1);
  own_bed_pass(own, 4000);
  cr_expect_gt(own_bed_until(own, 0, "233.252.4.0/24"), until);
}

Test(masc_own_denied, s11_3_3_denied_to_an_internal_peer)
{
  g_autoptr(OwnBed) own = pair();
  MascClaim claim = claimed_by_peer(own);

  cr_expect_eq(deny(own, claim, 0), 0);
  expect_not_won(own);
}

Test(masc_own_denied, s8_3_what_a_parent_refuses_of_an_internal_peer_is_not_won)
{
  g_autoptr(OwnBed) own = pair();
  MascClaim claim = claimed_by_peer(own);

  masc_zone_refused(own->bed->nodes[0].zone, 0, &claim, MASC_UPDATE_PREFIX_SMALL,
                    masc_bed_now(own->bed, 0));
  expect_not_won(own);
}

Test(masc_own_denied, s11_5_an_internal_peers_hint_is_denied)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned peer = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  MascClaim hint = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 2, "0.0.0.0/20");

  hint.node = 2001;
  cr_expect_eq(masc_bed_say(own->bed, 0, peer, &hint), 0);
  cr_expect_eq(deny(own, hint, 0), 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, peer, MASC_CLAIM_DENIED, NULL), 1);
  cr_expect_not(masc_bed_has(own->bed, 0, MASC_NEW_CLAIM, 2, "0.0.0.0/20"));
  hint.timestamp--;
  cr_expect_eq(deny(own, hint, 0), MASC_UPDATE_NO_INTERNAL_PREFIX);
}
