/* What others say about our own domain (RFC 2909 11.2.4, 11.3.3, 11.4.4, 11.7.3, 11.7.4, 12.5,
   14). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

/* ---- internal peers: two real nodes of domain 2, and an open parent of each ------------------ */


static OwnBed *pair(void)
{
  OwnBed *own = own_bed_new();

  own->bed->params.renew_interval = 50 * OWN_DAY;
  own_bed_add(own, 2, 2000, false);
  own_bed_add(own, 2, 2001, false);
  masc_bed_open(own->bed, 0, MASC_CHILD, 1, 0);
  masc_bed_join(own->bed, 0, 1, MASC_INTERNAL, 0);
  masc_bed_open(own->bed, 1, MASC_CHILD, 1, 0);
  own_bed_say(own, 0, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  own_bed_pass(own, 100);
  masc_bed_clear(own->bed);
  return own;
}

Test(masc_own_told, s11_6_3_a_holding_is_the_whole_domains)
{
  g_autoptr(OwnBed) own = pair();

  own_bed_win(own, 0, "233.252.4.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_expect(own_bed_local(own, 1), "233.252.4.0/24");
  own_expect(own_bed_routes(own, 1), "233.252.4.0/24");
  own_bed_wish(own, 1, MASC_WISH_GIVE, "233.252.4.0/25", NULL);
  own_bed_pass(own, 10);
  own_expect(own_bed_local(own, 1), "233.252.4.128/25");
  own_expect(own_bed_local(own, 0), "233.252.4.128/25");
}

/* Of another prefix: whether something is still needed the plan says that is made anew. */
Test(masc_own_told, s5_1_a_a_peers_claim_cancels_what_still_waits)
{
  g_autoptr(OwnBed) own = pair();
  unsigned plans;

  own->bed->params.initiate_claim_delay = OWN_DAY;
  own_bed_wish(own, 1, MASC_WISH_CLAIM, "233.252.8.0/24", NULL);
  own_expect(own_bed_pending(own, 1), "233.252.8.0/24");
  plans = own->nodes[1].plans;
  own->bed->params.initiate_claim_delay = 1;
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
  own_bed_pass(own, 5);
  own_expect(own_bed_pending(own, 0), "233.252.6.0/24");
  own_expect(own_bed_pending(own, 1), "");
  cr_expect_eq(own_bed_notes(own, 1, MASC_NOTE_CANCELLED), 1);
  cr_expect_gt(own->nodes[1].plans, plans);
}

Test(masc_own_told, s5_1_c_the_same_prefix_claimed_by_two_nodes_of_a_domain)
{
  g_autoptr(OwnBed) own = pair();

  masc_bed_down(own->bed, 1);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 50);
  own_bed_wish(own, 1, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 50);
  masc_bed_up(own->bed, 1);
  own_bed_pass(own, 0);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  own_expect(own_bed_pending(own, 1), "");
  own_bed_pass(own, 1200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_expect(own_bed_local(own, 1), "233.252.4.0/24");
}

Test(masc_own_told, s5_2_a_peer_renews_what_nobody_else_does)
{
  g_autoptr(OwnBed) own = pair();

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  masc_bed_down(own->bed, 0);
  masc_bed_down(own->bed, 1);
  own_bed_pass(own, 4000);
  cr_expect_eq(own_bed_notes(own, 1, MASC_NOTE_RENEWED), 0);
  own_bed_pass(own, 4000);
  cr_expect_eq(own_bed_notes(own, 1, MASC_NOTE_RENEWED), 1);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 0, "no parent in touch");
  masc_bed_up(own->bed, 1);
  masc_bed_up(own->bed, 0);
  own_bed_pass(own, 2000);
  cr_expect_eq(own_bed_until(own, 0, "233.252.4.0/24"), own_bed_until(own, 1, "233.252.4.0/24"));
}

Test(masc_own_told, s5_2_but_not_twice)
{
  g_autoptr(OwnBed) own = pair();

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_pass(own, 30000);
  cr_expect_eq(own_bed_notes(own, 1, MASC_NOTE_RENEWED), 0);
  cr_expect_geq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 9);
  own_expect(own_bed_local(own, 1), "233.252.4.0/24");
}

Test(masc_own_told, s5_3_a_peers_growth)
{
  g_autoptr(OwnBed) own = pair();

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_wish(own, 1, MASC_WISH_GROW, "233.252.4.0/23", "233.252.4.0/24");
  own_bed_pass(own, 1100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/23");
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/23");
}

/* All in one go: what is said first is known when the next thing comes. */
Test(masc_own_told, s11_8_4_who_comes_back_takes_what_children_use_of_what_it_just_heard_of)
{
  g_autoptr(OwnBed) own = pair();
  unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);

  masc_bed_down(own->bed, 1);
  own_bed_win(own, 0, "233.252.4.0/22");
  own_bed_wish(own, 0, MASC_WISH_GROW, "233.252.0.0/21", "233.252.4.0/22");
  own_bed_pass(own, 20);
  own_bed_say(own, child, MASC_PREFIX_IN_USE, "233.252.5.0/24", 100);
  masc_bed_clear(own->bed);
  masc_bed_up(own->bed, 1);
  own_bed_pass(own, 0);
  cr_expect(masc_bed_has(own->bed, 1, MASC_CLAIM_TO_EXPAND, 2, "233.252.0.0/21"));
  cr_expect(masc_bed_has(own->bed, 1, MASC_PREFIX_IN_USE, 5, "233.252.5.0/24"));
  cr_expect_eq(own->bed->answers->len, 0);
  own_expect(own_bed_held(own, 1, false), "233.252.4.0/22");
}

/* It lost it somehow: what the child says in defence is no news to us, and goes no further. */
Test(masc_own_told, s12_2_a_peer_that_claims_what_a_child_uses_hears_of_that)
{
  g_autoptr(OwnBed) own = pair();
  unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
  MascCache *cache = own->bed->nodes[1].zone->cache;
  MascClaim used;

  own_bed_win(own, 0, "233.252.4.0/22");
  cr_assert_eq(own_bed_say(own, child, MASC_PREFIX_IN_USE, "233.252.6.0/24", 0), 0);
  used = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_INTERNAL, 5, "233.252.5.0/24");
  cr_assert_eq(masc_bed_say(own->bed, 0, child, &used), 0);
  own_bed_pass(own, 0);
  used.role = MASC_CHILD;
  masc_record_forget(own->bed->nodes[1].zone, masc_cache_same(cache, &used));
  own_bed_wish(own, 1, MASC_WISH_CLAIM, "233.252.5.0/24", NULL);
  own_expect(own_bed_pending(own, 1), "233.252.5.0/24");
  own_bed_pass(own, 20);
  cr_expect_not_null(masc_cache_same(cache, &used));
  own_expect(own_bed_pending(own, 1), "");
}

Test(masc_own_told, s5_3_a_growth_beside_a_peers_renewal)
{
  g_autoptr(OwnBed) own = pair();

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 1500;
  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_pass(own, 400);
  own_bed_wish(own, 1, MASC_WISH_GROW, "233.252.4.0/22", "233.252.4.0/24");
  own_bed_pass(own, 2000);
  own_bed_pass(own, 3000);
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/22");
  own_expect(own_bed_held(own, 1, false), "233.252.4.0/22");
  own_expect(own_bed_local(own, 1), "233.252.4.0/22");
}

Test(masc_own_told, s12_4_both_nodes_of_a_domain_withdraw_the_same_once)
{
  g_autoptr(OwnBed) own = pair();
  MascClaim theirs;

  own_bed_win(own, 0, "233.252.4.0/24");
  theirs = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_CHILD, 3, "233.252.4.0/24");
  theirs.timestamp = masc_bed_time(own->bed, 5000);
  cr_expect_eq(masc_bed_say(own->bed, 0, 0, &theirs), 0);
  own_bed_pass(own, 10);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_local(own, 1), "");
  MascBedRecords records = masc_bed_records(own->bed, 1, 2);
  unsigned withdrawals = 0;
  for (size_t i = 0; i < records.n; i++)
    withdrawals += records.claims[i].type == MASC_WITHDRAW;
  cr_expect_eq(withdrawals, 1);
}

/* ---- withdrawn by an internal peer (11.7.3) -------------------------------------------------- */

static MascClaim pending(OwnBed *own)
{
  MascClaim claim = { 0 };

  cr_assert_geq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &claim), 1);
  return claim;
}

Test(masc_own_told, s11_7_3_what_an_internal_peer_withdraws_is_ours_no_more)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned internal = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);
  MascClaim claim;

  own_bed_win(own, 0, "233.252.8.0/24");
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 20);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  claim = pending(own);
  claim.type = MASC_WITHDRAW;
  masc_bed_clear(own->bed);
  cr_expect_eq(masc_bed_say(own->bed, 0, internal, &claim), 0);
  own_bed_pass(own, 1);
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_WITHDRAW, NULL), 1);
  claim.prefix = masc_bed_prefix("233.252.8.0/24");
  claim.lifetime = claim.holdtime = 40 * OWN_DAY;
  cr_expect_eq(masc_bed_say(own->bed, 0, internal, &claim), 0);
  own_bed_pass(own, 1);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_routes(own, 0), "");
  own_bed_pass(own, 1100);
  own_expect(own_bed_local(own, 0), "");
}

/* ---- parents (11.7.4, 12.5) ------------------------------------------------------------------ */

Test(masc_own_told, s11_7_4_a_parents_withdraw_takes_what_we_have_in_it)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim withdraw;

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_win(own, 0, "233.252.64.0/24");
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.70.0/24", NULL);
  own_bed_pass(own, 20);
  masc_bed_clear(own->bed);
  cr_expect_eq(own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.64.0/18", 0), 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/24");
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_PARENT_WITHDREW), 1);
  bool found = false;
  for (guint i = 0; i < own->bed->sent->len; i++) {
    withdraw = g_array_index(own->bed->sent, MascSaid, i).claim;
    found = found || (withdraw.type == MASC_WITHDRAW && withdraw.domain == 2 &&
                      masc_prefix_equal(withdraw.prefix, masc_bed_prefix("233.252.64.0/24")));
  }
  cr_expect(found);
}

/* Its Holdtime is the parent's where that is the longer one; it names the node that won it. */
Test(masc_own_told, s11_7_4_how_long_it_counts_and_under_whose_name)
{
  static const struct {
    int64_t held, said;         /* days from now: our prefix, the parent's WITHDRAW */
  } rows[] = { { 10, 50 }, { 50, 10 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim w = masc_bed_claim(own->bed, MASC_WITHDRAW, MASC_INTERNAL, 1, "233.252.4.0/22");
    MascClaim ours = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_CHILD, 2, "233.252.4.0/24");
    MascClaim withdraw;

    ours.node = 2001;
    ours.timestamp -= 500;
    ours.lifetime = ours.holdtime = (uint32_t)(rows[i].held * OWN_DAY + 500);
    cr_assert_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &ours), 0);
    own_bed_pass(own, 0);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    w.holdtime = (uint32_t)(rows[i].said * OWN_DAY);
    cr_expect_eq(masc_bed_say(own->bed, 0, OWN_PARENT, &w), 0);
    own_bed_pass(own, 0);
    cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_WITHDRAW, &withdraw), 2);
    cr_expect_eq(withdraw.domain, 2);
    cr_expect_eq(withdraw.node, 2001);
    cr_expect_eq((MalTime)withdraw.timestamp + withdraw.holdtime,
                 (MalTime)w.timestamp + 50 * OWN_DAY, "row %zu", i);
  }
}

Test(masc_own_told, s11_7_4_a_part_of_what_we_have)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.4.64/26", 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/26 233.252.4.128/25");
}

Test(masc_own_told, s12_5_a_provider_that_is_left)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZone *zone = own->bed->nodes[0].zone;

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.8.0/24", NULL);
  own_bed_pass(own, 20);
  masc_bed_down(own->bed, 0);
  masc_zone_remove_peer(zone, OWN_PARENT, masc_bed_now(own->bed, 0));
  own_expect(own_bed_pending(own, 0), "");
  own_bed_pass(own, 10000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), 1);
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.0/24", 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 12000);
  own_expect(own_bed_local(own, 0), "");
}

/* ---- what is said to be ours (14) ------------------------------------------------------------ */

Test(masc_own_told, s14_an_empty_disk_is_filled_by_whom_we_believe)
{
  static const struct {
    const char *name;
    MascRole we_are;            /* to whom tells */
    bool parent;                /* there is one besides */
    MascRole role;              /* as told */
    MascClaimType type;
    bool taken;
  } cases[] = {
    { "a parent", MASC_CHILD, false, MASC_CHILD, MASC_PREFIX_IN_USE, true },
    { "an internal peer", MASC_INTERNAL, true, MASC_INTERNAL, MASC_PREFIX_MANAGED, true },
    { "a sibling, beside a parent", MASC_SIBLING, true, MASC_SIBLING, MASC_PREFIX_IN_USE, false },
    { "a top-level sibling", MASC_SIBLING, false, MASC_SIBLING, MASC_PREFIX_IN_USE, true },
    { "a child, beside a parent", MASC_PARENT, true, MASC_PARENT, MASC_WITHDRAW, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = own_bed_new();
    bool top = cases[i].we_are == MASC_SIBLING && !cases[i].parent;
    unsigned peer;
    own->bed->params.renew_interval = 50 * OWN_DAY;
    own_bed_add(own, 2, 2000, top);
    own_bed_reboot(own, 0, false);
    peer = masc_bed_open(own->bed, 0, cases[i].we_are, cases[i].we_are == MASC_INTERNAL ? 2 : 1,
                         cases[i].we_are == MASC_SIBLING && !top ? 9 : 0);
    if (cases[i].parent)
      masc_bed_open(own->bed, 0, MASC_CHILD, 9, 0);
    if (cases[i].parent)
      own_bed_say(own, peer + 1, MASC_PREFIX_MANAGED, "233.252.0.0/17", 10);
    else if (!top)
      own_bed_say(own, peer, MASC_PREFIX_MANAGED, "233.252.0.0/17", 10);
    own_bed_say_of(own, peer, cases[i].type, "233.252.4.0/24", 500, cases[i].role, 2, 2000);
    own_expect(own_bed_local(own, 0), cases[i].taken ? "233.252.4.0/24" : "");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RECOVERED), cases[i].taken, "%s",
                 cases[i].name);
  }
}

Test(masc_own_told, s14_with_the_disk_we_know_better)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/24", 500, MASC_CHILD, 2, 2000);
  own_expect(own_bed_local(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DISOWNED), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 1);
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/24", 500, MASC_CHILD, 2, 2000);
  cr_expect_leq(own_bed_notes(own, 0, MASC_NOTE_DISOWNED), 1);
}

Test(masc_own_told, s14_what_we_renewed_is_not_disowned)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/24", 5000, MASC_CHILD, 2, 2000);
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/25", 5000, MASC_CHILD, 2, 2000);
  own_bed_say_of(own, OWN_PARENT, MASC_CLAIM_TO_EXPAND, "233.252.4.0/24", 900, MASC_CHILD, 2, 2000);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DISOWNED), 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* Claimed later than what we have, under our own node's name: by whoever has it, or by nobody. */
Test(masc_own_told, s14_what_we_have_is_not_disowned_with_it)
{
  static const struct {
    const char *name, *told;
    int64_t ago;
    const char *withdrawn;      /* NULL: nothing is */
  } cases[] = {
    { "a part of it", "233.252.4.0/25", 500, NULL },
    { "it, newer", "233.252.4.0/24", 500, NULL },
    { "as new, and wider", "233.252.4.0/23", 500, "233.252.5.0/24" },
    { "beside it", "233.252.5.0/24", 500, "233.252.5.0/24" },
    { "older, and wider", "233.252.4.0/23", 5000, "233.252.4.0/23" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    bool some = cases[i].withdrawn != NULL;
    MascClaim withdraw;
    own_bed_win(own, 0, "233.252.4.0/24");
    masc_bed_clear(own->bed);
    own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, cases[i].told, cases[i].ago, MASC_CHILD, 2,
                   2000);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DISOWNED), some, "%s", cases[i].name);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, &withdraw), some, "%s",
                 cases[i].name);
    cr_expect(!some || masc_prefix_equal(withdraw.prefix, masc_bed_prefix(cases[i].withdrawn)),
              "%s", cases[i].name);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    own_bed_reboot(own, 0, true);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    own_expect(own_bed_routes(own, 0), "233.252.4.0/24");
  }
}

Test(masc_own_told, s14_recovering_is_over_after_a_waiting_period)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_reboot(own, 0, false);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  own_bed_pass(own, 1100);
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/24", 5000, MASC_CHILD, 2, 2000);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_own_told, s11_7_3_a_withdraw_by_whom_we_dont_believe)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_say_of(own, OWN_SIBLING, MASC_WITHDRAW, "233.252.4.0/24", 0, MASC_SIBLING, 2, 2000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* ---- away while it was said (11.7.4, 14) ----------------------------------------------------- */

Test(masc_own_told, s11_7_4_the_withdraw_before_what_it_is_about)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.4.0/22", 0);
  own_bed_reboot(own, 0, false);
  own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.64.0/18", 10);
  cr_expect_eq(own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.4.0/22", 0), 0);
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/24", 500, MASC_CHILD, 2, 2000);
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.65.0/24", 500, MASC_CHILD, 2, 2000);
  own_expect(own_bed_local(own, 0), "233.252.65.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_PARENT_WITHDREW), 1);
}

Test(masc_own_told, s11_7_4_not_what_another_parent_manages)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 9, 0);

  own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.128.0/17", 0);
  own_bed_win(own, 0, "233.252.130.0/24");
  own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.130.0/24", 0);
  own_expect(own_bed_local(own, 0), "233.252.130.0/24");
  own_bed_say(own, other, MASC_WITHDRAW, "233.252.130.0/24", 0);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_own_told, s11_7_4_a_child_that_uses_what_we_dont_manage_hears_of_it)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
  MascClaim withdraw;

  cr_expect_eq(own_bed_say(own, child, MASC_PREFIX_IN_USE, "233.252.4.0/24", 100),
               MASC_UPDATE_NO_PARENT_PREFIX);
  cr_assert_eq(masc_bed_sent(own->bed, 0, child, MASC_WITHDRAW, &withdraw), 1);
  cr_expect(masc_prefix_equal(withdraw.prefix, masc_bed_prefix("233.252.4.0/24")));
  cr_expect(withdraw.domain == 2);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
}

Test(masc_own_told, s14_while_we_recover_what_children_use_is_kept_for_later)
{
  for (int ours = 0; ours < 2; ours++) {
    g_autoptr(OwnBed) own = own_bed_child();
    unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
    own_bed_reboot(own, 0, false);
    masc_bed_clear(own->bed);
    own_bed_say(own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
    cr_expect_eq(own_bed_say(own, child, MASC_PREFIX_IN_USE, "233.252.4.0/24", 100),
                 MASC_UPDATE_NO_PARENT_PREFIX, "11.2.3 wants the word all the same");
    cr_expect_not(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 5, "233.252.4.0/24"));
    if (ours)
      own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/22", 500, MASC_CHILD, 2,
                     2000);
    own_bed_pass(own, 1100);
    cr_expect_eq(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 5, "233.252.4.0/24"), ours);
    cr_expect_eq(masc_bed_sent(own->bed, 0, child, MASC_WITHDRAW, NULL), !ours);
  }
}

Test(masc_own_told, s14_what_we_have_is_said_anew_to_who_thinks_it_withdrawn)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim again;

  own_bed_win(own, 0, "233.252.4.0/24");
  masc_bed_clear(own->bed);
  own_bed_say_of(own, OWN_SIBLING, MASC_WITHDRAW, "233.252.4.0/24", 10, MASC_SIBLING, 2, 2000);
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, &again), 1);
  cr_expect_eq(again.timestamp, masc_bed_time(own->bed, 9));
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* The one who knows takes our prefix for withdrawn, however new it is, so that nothing else would
   end this; it may be a child, who is not believed otherwise. */
Test(masc_own_told, s12_4_that_we_gave_way_is_believed_while_somebody_uses_it)
{
  static const struct {
    const char *used, *withdrawn;
    uint32_t lifetime;
    bool lost;
  } cases[] = {
    { "233.252.4.0/24", "233.252.4.0/24", 9000, true },
    { "233.252.4.0/24", "233.252.4.0/23", 9000, true },  /* the winner gave a part of it back */
    { "233.252.4.0/23", "233.252.4.0/24", 9000, true },
    { "233.252.4.0/24", "233.252.4.0/24", 0, false },    /* given back, not a clash */
    { "233.252.6.0/24", "233.252.4.0/24", 9000, false }, /* nobody uses it */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    unsigned child = masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
    own_bed_win(own, 0, "233.252.4.0/22");
    own_bed_use(own, 0, "233.252.4.7");
    own_bed_say(own, child, MASC_PREFIX_IN_USE, cases[i].used, 10);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    MascClaim withdraw =
      masc_bed_claim(own->bed, MASC_WITHDRAW, MASC_SIBLING, 2, cases[i].withdrawn);
    withdraw.timestamp = masc_bed_time(own->bed, 5000);
    withdraw.lifetime = cases[i].lifetime;
    withdraw.holdtime = 9000;
    uint8_t answer = masc_bed_say(own->bed, 0, child, &withdraw);
    own_bed_pass(own, 0);
    cr_expect_eq(answer, cases[i].lost ? 0 : MASC_UPDATE_NO_CHILD_PREFIX, "case %zu", i);
    own_expect(own_bed_local(own, 0), cases[i].lost ? "" : "233.252.4.0/24");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), cases[i].lost, "case %zu", i);
    own_bed_say(own, child, MASC_PREFIX_IN_USE, cases[i].used, 5);
    own_expect(own_bed_local(own, 0), cases[i].lost ? "" : "233.252.4.0/24");
  }
}

Test(masc_own_told, s11_4_3_who_refuses_a_renewal_hears_what_is_renewed)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim renewal;

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_pass(own, 2100);
  masc_bed_clear(own->bed);
  renewal = masc_bed_claim(own->bed, MASC_CLAIM_TO_EXPAND, MASC_INTERNAL, 2, "233.252.4.0/24");
  renewal.timestamp = g_array_index(own_bed_owns(own, 0)->pends, MascPend, 0).claim.timestamp;
  masc_zone_refused(own->bed->nodes[0].zone, OWN_PARENT, &renewal, MASC_UPDATE_NO_CHILD_PREFIX,
                    masc_bed_now(own->bed, 0));
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 1);
  own_bed_pass(own, 1300);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_RENEWED), 1);
}
