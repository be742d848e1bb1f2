/* Renewing, growing, giving back, ending (RFC 2909 5.2 to 5.4, 4.2, 4.3). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

/* A child with 233.252.4.0/24, and a lifetime and renewals as given. */
static OwnBed *holder(int64_t lifetime, int64_t renew)
{
  OwnBed *own = own_bed_child();

  own->bed->params.prefix_lifetime = lifetime;
  own->bed->params.renew_interval = renew;
  own_bed_win(own, 0, "233.252.4.0/24");
  masc_bed_clear(own->bed);
  return own;
}

/* The parent renews its own. */
static void parent_renews(OwnBed *own)
{
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
}

/* ---- renewing (5.2) -------------------------------------------------------------------------- */

Test(masc_own_expand, s5_2_renewed_by_the_same_prefix_and_the_waiting_period)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);
  MalTime before = own_bed_until(own, 0, "233.252.4.0/24");
  MascClaim claim, again;

  own_bed_pass(own, 1900);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL), 0);
  own_bed_pass(own, 150);
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, &claim), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_CLAIM_TO_EXPAND, NULL), 1);
  cr_expect(masc_prefix_equal(claim.prefix, masc_bed_prefix("233.252.4.0/24")));
  cr_expect_eq(own_bed_until(own, 0, "233.252.4.0/24"), before, "not before it is won");
  own_bed_pass(own, 1000);
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, &again), 1);
  cr_expect_eq(again.timestamp, claim.timestamp);
  cr_expect_geq(own_bed_until(own, 0, "233.252.4.0/24"), before + 2900);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1);
  own_bed_pass(own, 60000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_geq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 19);
}

Test(masc_own_expand, s5_2_never_beyond_the_parents_prefix)
{
  g_autoptr(OwnBed) own = holder(40 * OWN_DAY, 5 * OWN_DAY);
  MascNow now = masc_bed_now(own->bed, 0);
  MalTime until = own_bed_until(own, 0, "233.252.4.0/24");

  cr_expect_leq(until, now.wall + 30 * OWN_DAY);
  own_bed_pass(own, 6 * OWN_DAY);
  cr_expect_eq(own_bed_until(own, 0, "233.252.4.0/24"), until);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL), 0,
               "nothing to be gained");
  parent_renews(own);
  own_bed_pass(own, 5000);
  cr_expect_geq(own_bed_until(own, 0, "233.252.4.0/24"), until + 5 * OWN_DAY);
}

Test(masc_own_expand, s4_3_nothing_is_renewed_in_a_deprecated_prefix)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);
  MascClaim claim = masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_INTERNAL, 1,
                                   "233.252.0.0/17");

  claim.deprecated = true;
  cr_expect_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &claim), 0);
  own_bed_pass(own, 10000);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL), 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), 1);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 10000);
  own_expect(own_bed_local(own, 0), "");
}

/* A parent that lost its disk may know of less than it promised. */
Test(masc_own_expand, s5_2_a_renewal_never_shortens)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);
  MalTime before = own_bed_until(own, 0, "233.252.4.0/24");
  MascClaim claim = masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_INTERNAL, 1,
                                   "233.252.0.0/17");

  own_bed_pass(own, 2100);
  own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
  claim.timestamp = masc_bed_time(own->bed, 0);
  claim.lifetime = claim.holdtime = 5000;
  cr_expect_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &claim), 0);
  own_bed_pass(own, 2000);
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 0);
  cr_expect_eq(own_bed_until(own, 0, "233.252.4.0/24"), before);
}

Test(masc_own_expand, s5_2_a_renewal_loses_only_to_what_is_in_use)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);

  own_bed_pass(own, 2100);
  own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.0/24", 900);
  own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.4.0/24", 900);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_COLLISION), 1);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_say(own, OWN_SIBLING, MASC_WITHDRAW, "233.252.4.0/24", 900);
  own_bed_pass(own, 2000);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1, "claimed again");
}

/* Nor before it was said, nor to an older claim of the same type, which 5.1.1 puts first. */
Test(masc_own_expand, s5_2_a_renewal_does_not_lose_to_claims)
{
  static const struct {
    bool said;
    MascClaimType type;
    const char *prefix;
  } rows[] = { { false, MASC_NEW_CLAIM, "233.252.4.0/24" },
               { false, MASC_CLAIM_TO_EXPAND, "233.252.4.0/23" },
               { true, MASC_CLAIM_TO_EXPAND, "233.252.4.0/23" } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder(20000, 3000);
    GArray *pends = own_bed_owns(own, 0)->pends;
    MascPendState state = rows[i].said ? MASC_PEND_CLAIMING : MASC_PEND_DELAYED;

    own->bed->params.initiate_claim_delay = 200;
    own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.5.0/24", 2000);
    for (int k = 0; k < 3000 && pends->len == 0; k++)
      own_bed_pass(own, 1);
    own_bed_pass(own, rows[i].said ? 200 : 0);
    cr_assert_eq(pends->len, 1);
    cr_assert_eq(g_array_index(pends, MascPend, 0).state, state, "row %zu", i);
    cr_expect_eq(own_bed_say(own, OWN_SIBLING, rows[i].type, rows[i].prefix, 900), 0);
    own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_COLLISION), 0, "row %zu", i);
    own_bed_pass(own, 1250);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1, "row %zu", i);
  }
}

/* ---- renewals that the parent denies (4.2, 11.3.3) ------------------------------------------- */

/* For SECONDS each claim to expand is denied, or those of ONLY; how many there were. */
static unsigned deny_renewals(OwnBed *own, int64_t seconds, const char *only)
{
  unsigned denied = 0;

  for (int64_t end = own->bed->mono + seconds * MASC_SECOND; own->bed->mono < end;) {
    GArray *pends = own_bed_owns(own, 0)->pends;
    MascClaim claim = { .type = MASC_PREFIX_IN_USE };
    own_bed_pass(own, 5);
    for (guint i = 0; i < pends->len && claim.type != MASC_CLAIM_TO_EXPAND; i++) {
      const MascPend *p = &g_array_index(pends, MascPend, i);
      if (masc_pend_is_claim(p) &&
          (only == NULL || masc_prefix_equal(p->prefix, masc_bed_prefix(only))))
        claim = p->claim;
    }
    if (claim.type != MASC_CLAIM_TO_EXPAND)
      continue;
    claim.type = MASC_CLAIM_DENIED;
    claim.lifetime = 0;
    cr_assert_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &claim), 0);
    denied++;
  }
  return denied;
}

Test(masc_own_expand, s4_2_a_denied_renewal_is_tried_less_and_less_often)
{
  g_autoptr(OwnBed) own = holder(40000, 3000);
  unsigned first = deny_renewals(own, 6000, NULL), then = deny_renewals(own, 6000, NULL);

  cr_expect_geq(first, 4);
  cr_expect_leq(first, 7);
  cr_expect_eq(then, 2, "as often as it would be renewed, not %u times", then);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), 1, "the operator hears of it once");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 9000);
  cr_expect_geq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1, "granted one day");
  cr_expect_eq(deny_renewals(own, 6000, NULL), first, "it begins anew");
}

Test(masc_own_expand, s4_2_how_often_a_renewal_was_denied_outlives_a_restart)
{
  g_autoptr(OwnBed) own = holder(40000, 3000);
  unsigned first = deny_renewals(own, 6000, NULL);

  own_bed_reboot(own, 0, true);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  unsigned then = deny_renewals(own, 6000, NULL);
  cr_expect_leq(then, 3, "once at once, then as often as it would be renewed, not %u times (%u)",
                then, first);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), 1, "the operator has heard of it");
}

static bool ends(const OwnBed *own)
{
  MascZone *zone = own->bed->nodes[0].zone;
  MascNow now = masc_bed_now(own->bed, 0);
  const MascHeld *held = masc_own_find(zone, masc_bed_prefix("233.252.4.0/24"), false);

  cr_assert_not_null(held);
  return masc_own_ends(zone, held, masc_own_mark(zone, held->prefix, false, now), now);
}

/* Early enough for a claim of something in its place. */
Test(masc_own_expand, s4_2_what_is_denied_to_the_end_has_to_be_replaced_17_1_4)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);

  cr_expect_not(ends(own));
  deny_renewals(own, 15000, NULL);
  cr_expect_not(ends(own), "there is time");
  deny_renewals(own, 2200, NULL);
  cr_expect(ends(own));
  deny_renewals(own, 3000, NULL);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_own_expand, s4_2_what_nobody_denied_just_ends)
{
  g_autoptr(OwnBed) own = holder(20000, 50 * OWN_DAY);

  own_bed_pass(own, 17200);
  cr_expect_not(ends(own));
}

/* ---- growing (5.3) --------------------------------------------------------------------------- */

Test(masc_own_expand, s5_3_what_is_won_takes_the_place_of_what_it_covers)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);
  MascClaim claim, won;

  own_bed_win(own, 0, "233.252.6.0/24");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/24 233.252.6.0/24");
  masc_bed_clear(own->bed);
  own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.4.0/22", "233.252.4.0/24");
  own_bed_pass(own, 20);
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, &claim), 1);
  cr_expect(masc_prefix_equal(claim.prefix, masc_bed_prefix("233.252.4.0/22")));
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/24");
  own_bed_pass(own, 1000);
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, &won), 1);
  cr_expect(masc_prefix_equal(won.prefix, masc_bed_prefix("233.252.4.0/22")));
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/22");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_GREW), 1);
}

Test(masc_own_expand, s5_3_a_growth_that_loses_leaves_what_we_have)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);

  own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.4.0/23", "233.252.4.0/24");
  own_bed_pass(own, 20);
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.5.0/24", 0);
  own_expect(own_bed_pending(own, 0), "");
  own_bed_pass(own, 2000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own_expand, s5_3_two_growths_into_the_same)
{
  static const int64_t ago[] = { 5, -5 };

  for (size_t i = 0; i < G_N_ELEMENTS(ago); i++) {
    g_autoptr(OwnBed) own = holder(20000, 50000);
    MascClaim ours, theirs;
    own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.5.128/25", 0);
    own_bed_say(own, OWN_SIBLING, MASC_WITHDRAW, "233.252.5.128/25", 0);
    own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.6.0/24", 0);
    own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.4.0/22", "233.252.4.0/24");
    own_bed_pass(own, 20);
    own_expect(own_bed_pending(own, 0), "");
    own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.4.0/23", "233.252.4.0/24");
    own_bed_pass(own, 20);
    cr_assert_geq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_CLAIM_TO_EXPAND, &ours), 1);
    theirs = masc_bed_claim(own->bed, MASC_CLAIM_TO_EXPAND, MASC_INTERNAL, 3, "233.252.4.0/22");
    theirs.timestamp = (uint32_t)(ours.timestamp - ago[i]);
    masc_bed_say(own->bed, 0, OWN_SIBLING, &theirs);
    own_expect(own_bed_pending(own, 0), ago[i] > 0 ? "" : "233.252.4.0/23");
  }
}

/* ---- giving back (5.4) ----------------------------------------------------------------------- */

/* Leases and children's prefixes last as long as what grows: they would outlive it. */
Test(masc_own_expand, s5_3_what_grows_doesnt_end_earlier)
{
  static const struct {
    uint32_t before, later; /* the larger prefix of the parent lasts, when it grows and is won */
    bool claimed, grown;
  } cases[] = {
    { 30000, 30000, true, true },
    { 20000, 20000, false, false },
    { 30000, 20000, true, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim outer = masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_INTERNAL, 1,
                                     "233.252.128.0/18");
    own->bed->params.prefix_lifetime = 25000;
    own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.128.0/19", 0);
    outer.timestamp = masc_bed_time(own->bed, 1);
    own_bed_win(own, 0, "233.252.128.0/19");
    MalTime until = own_bed_until(own, 0, "233.252.128.0/19");
    outer.lifetime = outer.holdtime = cases[i].before;
    cr_expect_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &outer), 0);
    own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.128.0/18", "233.252.128.0/19");
    own_bed_pass(own, 20);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL),
                 cases[i].claimed, "case %zu", i);
    outer.timestamp++;
    outer.lifetime = outer.holdtime = cases[i].later;
    cr_expect_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &outer), 0);
    own_bed_pass(own, 1200);
    own_expect(own_bed_held(own, 0, false),
               cases[i].grown ? "233.252.128.0/18" : "233.252.128.0/19");
    cr_expect_geq(own_bed_until(own, 0, "233.252.128.0/19"), until, "case %zu", i);
    own_expect(own_bed_pending(own, 0), "");
  }
}

Test(masc_own_expand, s5_4_an_empty_prefix_is_withdrawn)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);
  MascClaim withdraw;

  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_routes(own, 0), "");
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, &withdraw), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_WITHDRAW, NULL), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 0);
  own_bed_pass(own, 30000);
  own_expect(own_bed_held(own, 0, false), "");
}

Test(masc_own_expand, s5_4_what_is_in_use_is_not_given_back)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);

  own_bed_use(own, 0, "233.252.4.200-233.252.4.201");
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/25", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.128/25");
}

Test(masc_own_expand, s5_4_of_a_part_the_rest_is_said_first)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);
  bool kept_first = false;

  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.128/25", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/25");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/25");
  for (guint i = 0; i < own->bed->sent->len; i++) {
    const MascSaid *said = &g_array_index(own->bed->sent, MascSaid, i);
    if (said->claim.type == MASC_PREFIX_IN_USE)
      kept_first = true;
    cr_expect(said->claim.type != MASC_WITHDRAW || kept_first);
  }
  cr_expect(kept_first);
  own_bed_pass(own, 3500);
  cr_expect_geq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1);
  own_bed_pass(own, 40000);
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/25");
}

Test(masc_own_expand, s5_4_and_claimed_again_later)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);

  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.128/25", NULL);
  own_bed_pass(own, 100);
  own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.4.0/24", "233.252.4.0/25");
  own_bed_pass(own, 1100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "");
  own_bed_pass(own, 100);
  own_bed_win(own, 0, "233.252.4.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own_expand, s5_4_a_withdrawal_leaves_when_it_is_on_the_disk)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);

  own->nodes[0].slow = true;
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
  own_bed_disk(own, 0, false);
  own_bed_pass(own, 20);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
  own_bed_disk(own, 0, true);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 1);
}

/* ---- ending (4.2), deprecated (4.3) ---------------------------------------------------------- */

Test(masc_own_expand, s4_2_at_its_end_nobody_uses_it_any_more)
{
  g_autoptr(OwnBed) own = holder(20000, 50000);
  MalTime until = own_bed_until(own, 0, "233.252.4.0/24");

  own_bed_pass(own, until - masc_bed_now(own->bed, 0).wall - 1);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 2);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_routes(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_ENDED), 1);
}

Test(masc_own_expand, s4_3_a_deprecated_prefix_is_told_as_such_and_ends)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);
  MascClaim claim;

  own_bed_wish(own, 0, MASC_WISH_DRAIN, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24D");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, &claim), 1);
  cr_expect(claim.deprecated);
  own_bed_pass(own, 10000);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 0);
  own_bed_wish(own, 0, MASC_WISH_KEEP, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 5000);
  cr_expect_geq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1);
}

/* A renewal that was on its way would be newer than the D-bit. */
Test(masc_own_expand, s4_3_a_deprecated_prefix_drops_its_renewal)
{
  static const char *const parts[] = { "233.252.4.0/24", "233.252.4.0/25" };

  for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autoptr(OwnBed) own = holder(20000, 3000);
    own_bed_pass(own, 2100);
    own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
    own_bed_wish(own, 0, MASC_WISH_DRAIN, parts[i], NULL);
    own_expect(own_bed_pending(own, 0), "");
    own_bed_pass(own, 8000);
    own_expect(own_bed_local(own, 0),
               i == 0 ? "233.252.4.0/24D" : "233.252.4.0/25D 233.252.4.128/25");
    own_bed_pass(own, 12000);
    own_expect(own_bed_local(own, 0), i == 0 ? "" : "233.252.4.128/25");
  }
}

/* Another node of the domain renews it, and hears of the D-bit. */
Test(masc_own_expand, s4_3_internal_peers_drop_their_renewal_too)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);
  MascClaim claim =
      masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_INTERNAL, 2, "233.252.4.0/25");

  unsigned other = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  own_bed_pass(own, 2100);
  own_expect(own_bed_pending(own, 0), "r:233.252.4.0/24");
  claim.timestamp = masc_bed_time(own->bed, 2000);
  claim.node = 2001;
  claim.deprecated = true;
  cr_expect_eq(masc_bed_say(own->bed, 0, other, &claim), 0);
  own_expect(own_bed_pending(own, 0), "");
  own_bed_pass(own, 8000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/25D 233.252.4.128/25");
}

Test(masc_own_expand, s4_3_a_part_of_a_prefix_is_deprecated)
{
  g_autoptr(OwnBed) own = holder(20000, 3000);

  own_bed_wish(own, 0, MASC_WISH_DRAIN, "233.252.4.64/26", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/26 233.252.4.64/26D 233.252.4.128/25");
  own_bed_wish(own, 0, MASC_WISH_DRAIN, "233.252.4.0/26", NULL);
  own_expect(own_bed_local(own, 0), "233.252.4.0/26D 233.252.4.64/26D 233.252.4.128/25");
  own_bed_pass(own, 18000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/26D 233.252.4.64/26D 233.252.4.128/25");
  own_bed_pass(own, 5000);
  own_expect(own_bed_local(own, 0), "233.252.4.128/25");
}
