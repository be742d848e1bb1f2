/* Our own claims from the wish to the end (RFC 2909 section 5). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

/* A parent domain 1 (top level) with 233.252.0.0/17, and its child, domain 2, a leaf. Node 0 is the
   parent. */
static OwnBed *family(unsigned *child)
{
  OwnBed *own = own_bed_new();

  own->bed->params.renew_interval = 5 * OWN_DAY;
  own_bed_add(own, 1, 1000, true);
  own->bed->nodes[0].zone->config.parent = true;
  masc_own_children_changed(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  own_bed_win(own, 0, "233.252.0.0/17");
  *child = own_bed_add(own, 2, 2000, false);
  masc_bed_join(own->bed, *child, 0, MASC_CHILD, 0);
  masc_bed_pass(own->bed, 100);
  masc_bed_clear(own->bed);
  return own;
}

Test(masc_own, s5_1_a_new_claim_becomes_ours)
{
  unsigned c;
  g_autoptr(OwnBed) own = family(&c);
  MascClaim claim;

  own_bed_wish(own, c, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  cr_expect_eq(masc_bed_sent(own->bed, c, 0, MASC_NEW_CLAIM, NULL), 0, "not before the delay");
  masc_bed_pass(own->bed, 10);
  cr_expect_eq(masc_bed_sent(own->bed, c, 0, MASC_NEW_CLAIM, &claim), 1);
  cr_expect_eq(claim.holdtime, 1000);
  cr_expect_eq(claim.role, MASC_INTERNAL);
  own_expect(own_bed_pending(own, c), "233.252.4.0/24");
  masc_bed_pass(own->bed, 980);
  own_expect(own_bed_local(own, c), "");
  cr_expect_eq(masc_bed_sent(own->bed, c, 0, MASC_PREFIX_IN_USE, NULL), 0);
  masc_bed_pass(own->bed, 20);
  MascClaim won;
  cr_expect_eq(masc_bed_sent(own->bed, c, 0, MASC_PREFIX_IN_USE, &won), 1);
  cr_expect_eq(won.timestamp, claim.timestamp, "5.2: it bears the time of the claim");
  cr_expect_eq(won.holdtime, won.lifetime);
  own_expect(own_bed_local(own, c), "233.252.4.0/24");
  own_expect(own_bed_routes(own, c), "233.252.4.0/24");
  own_expect(own_bed_pending(own, c), "");
  cr_expect(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 2, "233.252.4.0/24"));
  cr_expect_eq(own_bed_notes(own, c, MASC_NOTE_WON), 1);
  cr_expect_eq(own->bed->answers->len, 0);
}

/* Within (0, INITIATE_CLAIM_DELAY], and not the same again. */
Test(masc_own, s5_1_a_the_delay_is_random)
{
  unsigned c;
  g_autoptr(OwnBed) own = family(&c);
  GArray *pends = own_bed_owns(own, c)->pends;
  int64_t least = INT64_MAX, most = 0;

  own->bed->params.initiate_claim_delay = 600;
  for (int i = 0; i < 20; i++) {
    own_bed_wish(own, c, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    cr_assert_eq(pends->len, 1);
    MascPend *p = &g_array_index(pends, MascPend, 0);
    int64_t delay = p->due - own->bed->mono;
    cr_expect(delay > 0 && delay <= 600 * MASC_SECOND);
    least = MIN(least, delay);
    most = MAX(most, delay);
    masc_pend_drop(own->bed->nodes[c].zone, p);
  }
  cr_expect_lt(least, 150 * MASC_SECOND);
  cr_expect_gt(most, 450 * MASC_SECOND);
}

/* ---- collisions (5.1 c) ---------------------------------------------------------------------- */

Test(masc_own, s5_1_c_collisions)
{
  static const struct {
    const char *name, *prefix;
    MascClaimType type;
    int64_t ago;                /* ours is 0; negative: later */
    MascId node;                /* ours is 2000 */
    bool loses;
  } cases[] = {
    { "an earlier one", "233.252.4.0/24", MASC_NEW_CLAIM, 5, 3000, true },
    { "a later one", "233.252.4.0/24", MASC_NEW_CLAIM, -5, 1500, false },
    { "as old, a smaller node", "233.252.4.0/24", MASC_NEW_CLAIM, 0, 1500, true },
    { "as old, a larger node", "233.252.4.0/24", MASC_NEW_CLAIM, 0, 3000, false },
    { "earlier, a part of it", "233.252.4.128/25", MASC_NEW_CLAIM, 5, 3000, true },
    { "earlier, larger", "233.252.0.0/20", MASC_NEW_CLAIM, 5, 3000, true },
    { "earlier, beside it", "233.252.5.0/24", MASC_NEW_CLAIM, 5, 3000, false },
    { "a growth, though later", "233.252.4.0/23", MASC_CLAIM_TO_EXPAND, -5, 3000, true },
    { "in use, though later", "233.252.4.0/24", MASC_PREFIX_IN_USE, -5, 3000, true },
    { "in use, larger", "233.252.0.0/18", MASC_PREFIX_IN_USE, -5, 3000, true },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim ours = { 0 }, theirs;
    cr_expect_eq(own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.5.0/24", 50), 0);
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, 20);
    cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_NEW_CLAIM, &ours), 1);
    theirs = masc_bed_claim(own->bed, cases[i].type, MASC_INTERNAL, 3, cases[i].prefix);
    theirs.timestamp = (uint32_t)(ours.timestamp - cases[i].ago);
    theirs.node = cases[i].node;
    masc_bed_clear(own->bed);
    cr_expect_eq(masc_bed_say(own->bed, 0, OWN_SIBLING, &theirs), 0, "%s", cases[i].name);
    own_expect(own_bed_pending(own, 0), cases[i].loses ? "" : "233.252.4.0/24");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_COLLISION), cases[i].loses, "%s", cases[i].name);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), cases[i].loses,
                 "%s: the loser is withdrawn", cases[i].name);
    own_bed_pass(own, 1100);
    own_expect(own_bed_local(own, 0), cases[i].loses ? "" : "233.252.4.0/24");
  }
}

Test(masc_own, s5_1_c_a_new_prefix_is_planned_after_a_loss)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned plans;

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 20);
  plans = own->nodes[0].plans;
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.0/24", 60);
  own_bed_pass(own, 5);
  cr_expect_gt(own->nodes[0].plans, plans);
}

Test(masc_own, s5_1_c_the_winner_says_it_again_to_who_does_not_know)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/24");
  masc_bed_clear(own->bed);
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.0/24", 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL), 1);
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.0/25", -1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL), 1, "not so soon");
  own_bed_pass(own, 20);
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.128/25", -1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL), 2);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own, s5_1_a_delayed_claims_give_way_too)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_say(own, OWN_SIBLING, MASC_NEW_CLAIM, "233.252.4.0/25", -5);
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0, "nobody knew of it");
}

/* ---- who has to be in touch (5.1) ------------------------------------------------------------ */

Test(masc_own, s5_1_no_claim_without_a_parent_in_touch)
{
  g_autoptr(OwnBed) own = own_bed_child();

  masc_bed_down(own->bed, 0);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 500);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_NEW_CLAIM, NULL), 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 1);
  masc_bed_up(own->bed, 0);
  own_bed_pass(own, 100);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_NEW_CLAIM, NULL), 1);
}

Test(masc_own, s5_1_d_a_claim_is_held_up_until_a_parent_had_time_to_object)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 500);
  masc_bed_down(own->bed, 0);
  own_bed_pass(own, 2000);
  own_expect(own_bed_local(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 1);
  masc_bed_up(own->bed, 0);
  own_bed_pass(own, 50);
  own_expect(own_bed_local(own, 0), "");
  own_bed_pass(own, 100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own, s5_1_d_what_the_parent_tells_when_it_is_back_counts)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 500);
  masc_bed_down(own->bed, 0);
  own_bed_pass(own, 2000);
  masc_bed_up(own->bed, 0);
  own_bed_say_of(own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.4.0/24", 100, MASC_CHILD, 3, 3000);
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_held(own, 0, false), "");
}

Test(masc_own, s5_1_d_top_level_domains_wait_one_period_more_for_their_siblings)
{
  g_autoptr(OwnBed) own = own_bed_top();

  masc_bed_down(own->bed, 0);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 1900);
  own_expect(own_bed_local(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 1);
  own_bed_pass(own, 200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own, s5_1_d_a_top_level_domain_alone_in_the_world)
{
  g_autoptr(OwnBed) own = own_bed_new();

  own_bed_add(own, 2, 2000, true);
  own_bed_win(own, 0, "233.252.4.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 0);
  own_expect(own_bed_routes(own, 0), "233.252.4.0/24");
}

/* A provider was changed, or what was thought to be a sibling is the parent: what was claimed then
   waits for nobody. A domain that isn't known as yet may be the one. */
Test(masc_own, s12_5_a_claim_of_one_that_is_no_parent_any_more_is_given_up)
{
  const struct { bool top, again; MascId parent; } rows[] = {
    { true, false, 3 }, { false, false, 4 }, { false, true, 1 }, { false, true, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = rows[i].top ? own_bed_top() : own_bed_child();
    MascBedLink *up = &g_array_index(own->bed->links, MascBedLink, 0);

    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
    own_bed_pass(own, 500);
    own->bed->nodes[0].config.top = false;
    up->a_is = MASC_CHILD;
    up->domain = rows[i].parent;
    masc_bed_down(own->bed, 0);
    own_bed_reboot(own, 0, true);
    own_bed_pass(own, 2000);
    own_expect(own_bed_pending(own, 0), rows[i].again ? "233.252.4.0/24" : "");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), !rows[i].again, "row %zu", i);
    own_expect(own_bed_held(own, 0, false), "");
  }
}

/* ---- the disk -------------------------------------------------------------------------------- */

Test(masc_own, s13_nothing_is_used_or_said_before_it_is_on_the_disk)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->nodes[0].slow = true;
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 1100);
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_routes(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 0);
  own_bed_disk(own, 0, true);
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 1);
  own_bed_disk(own, 0, true);
  own_expect(own_bed_pending(own, 0), "");
}

Test(masc_own, s13_a_disk_that_fails_is_tried_again)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->nodes[0].slow = own->nodes[0].broken = true;
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 1100);
  for (int i = 0; i < 5; i++) {
    own_bed_disk(own, 0, false);
    own_bed_pass(own, 20);
    own_expect(own_bed_local(own, 0), "");
  }
  own->nodes[0].broken = false;
  own_bed_disk(own, 0, false);
  own_bed_pass(own, 20);
  own_bed_disk(own, 0, true);
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

Test(masc_own, s13_somebody_else_uses_it_while_it_is_being_written)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own->nodes[0].slow = true;
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 1100);
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.4.0/24", 2000);
  own_bed_disk(own, 0, true);
  own_bed_pass(own, 2000);
  own_expect(own_bed_held(own, 0, false), "");
  own_expect(own_bed_pending(own, 0), "");
}

/* ---- what is lost takes nothing along (11.7) ------------------------------------------------- */

/* The other node's clock is behind, so that we claimed what it was about to win. */
Test(masc_own, s5_1_c_what_loses_to_our_own_domain_is_left_to_expire)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned internal = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 500);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  own_bed_say_of(own, internal, MASC_PREFIX_MANAGED, "233.252.4.0/24", 900, MASC_INTERNAL, 2, 2001);
  own_bed_pass(own, 1);
  own_expect(own_bed_pending(own, 0), "");
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(masc_bed_sent(own->bed, 0, internal, MASC_WITHDRAW, NULL), 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
}

/* ---- demand ---------------------------------------------------------------------------------- */

Test(masc_own, s5_1_who_wants_nothing_claims_nothing)
{
  g_autoptr(OwnBed) own = own_bed_child();

  own_bed_pass(own, 5 * OWN_DAY);
  cr_expect_eq(own->nodes[0].plans, 0);
  masc_zone_waiting(own->bed->nodes[0].zone, 300, MAL_FOREVER, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 10);
  cr_expect_eq(own->nodes[0].plans, 1);
  cr_expect_eq(own->nodes[0].seen.waiting, 300);
  cr_expect_eq(own->nodes[0].seen.n_grounds, 1);
}

Test(masc_own, s5_1_the_real_planner_meets_a_demand)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZone *zone = own->bed->nodes[0].zone;

  own_bed_owns(own, 0)->planner = masc_plan;
  masc_zone_arrived(zone, 300, masc_bed_now(own->bed, 0));
  masc_zone_waiting(zone, 300, MAL_FOREVER, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 1100);
  MascZoneUsage usage = masc_zone_usage(zone, masc_bed_now(own->bed, 0));
  cr_expect_geq(usage.local, 300);
  cr_expect_eq(usage.held, usage.local);
  cr_expect_eq(usage.waiting, 300);
}
