/* Leaf and non-leaf, what is for the domain's own use (RFC 2909 4.1, 12.2). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

#define CHILD_END 2

/* A child with 233.252.4.0/22 and an open child of its own, domain 5, that said nothing yet. */
static OwnBed *holder(void)
{
  OwnBed *own = own_bed_child();

  masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
  own_bed_win(own, 0, "233.252.4.0/22");
  masc_bed_clear(own->bed);
  return own;
}

static void child_claims(OwnBed *own, const char *prefix)
{
  MascClaim claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 5, prefix);

  claim.lifetime = 10 * OWN_DAY;
  cr_expect_eq(masc_bed_say(own->bed, 0, CHILD_END, &claim), 0);
  own_bed_pass(own, 0);
}

Test(masc_local, s4_1_a_leaf_uses_all_that_it_has)
{
  g_autoptr(OwnBed) own = holder();

  cr_expect(masc_zone_is_leaf(own->bed->nodes[0].zone));
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  own_expect(own_bed_held(own, 0, true), "");
}

Test(masc_local, s12_2_an_update_of_a_child_ends_that_but_for_what_is_in_use)
{
  static const struct {
    const char *uses[4], *local;
  } cases[] = {
    { { NULL }, "" },
    { { "233.252.4.7" }, "233.252.4.0/24" },
    { { "233.252.4.7", "233.252.4.200-233.252.4.210" }, "233.252.4.0/24" },
    { { "233.252.4.0-233.252.5.1" }, "233.252.4.0/23" },
    { { "233.252.4.7", "233.252.6.3", "233.252.7.9" }, "233.252.4.0/24 233.252.6.0/23" },
    { { "233.252.4.255-233.252.7.0" }, "233.252.4.0/22" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = holder();
    for (size_t k = 0; cases[i].uses[k] != NULL; k++)
      own_bed_use(own, 0, cases[i].uses[k]);
    child_claims(own, "233.252.5.0/24");
    own_expect(own_bed_local(own, 0), cases[i].local);
    own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_LEAF), 1);
    own_bed_pass(own, 500);
    own_expect(own_bed_local(own, 0), cases[i].local);
  }
}

Test(masc_local, s12_2_what_is_in_use_is_announced_at_once_and_wins)
{
  g_autoptr(OwnBed) own = holder();
  const MascHeld *held = &g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0);
  uint32_t stamp = held->claim.timestamp;
  MascClaim said;

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.4.0/24");
  cr_assert_geq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_PREFIX_IN_USE, &said), 1);
  cr_expect(masc_prefix_equal(said.prefix, masc_bed_prefix("233.252.4.0/24")));
  cr_expect(said.domain == 2);
  cr_expect_eq(said.role, MASC_CHILD);
  cr_expect_eq(said.timestamp, stamp);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 0,
               "that is nobody's business above");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* Who comes back without its disk hears from its peers which prefixes it has, but from nobody what
   its MAASs were to use of them: they go on, and what they use must not be given back. */
Test(masc_local, s12_2_s13_what_is_in_use_though_nobody_claims_it_is_claimed)
{
  g_autoptr(OwnBed) own = holder();

  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "");
  own_bed_use(own, 0, "233.252.4.7");
  own_bed_use(own, 0, "233.252.5.9");
  own_bed_use(own, 0, "233.252.6.1-233.252.7.2");
  for (int i = 0; i < 2; i++) {
    masc_own_plan(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
    own_bed_pass(own, 10);
  }
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  own_expect(own_bed_held(own, 0, true), "233.252.4.0/24 233.252.6.0/23");
  cr_expect_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_PREFIX_IN_USE, NULL), 2, "once");
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 0,
               "that is nobody's business above");
}

static void step(OwnBed *own, int64_t seconds)
{
  own->bed->nodes[0].skew += seconds;
  masc_zone_clock_stepped(own->bed->nodes[0].zone, seconds, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 10);
}

/* By a clock that was set back no claim is newer than what was given back there. */
Test(masc_local, s12_2_s13_what_does_not_count_is_claimed_once)
{
  g_autoptr(OwnBed) own = holder();

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_unuse(own, 0);
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "");
  step(own, -5000);
  own_bed_use(own, 0, "233.252.4.7");
  masc_bed_clear(own->bed);
  for (int i = 0; i < 3; i++) {
    masc_own_plan(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
    cr_expect_eq(own_bed_owns(own, 0)->dirty, i == 0);
    own_bed_pass(own, 10);
  }
  own_expect(own_bed_local(own, 0), "");
  cr_expect_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_PREFIX_IN_USE, NULL), 1);
  step(own, 5000);
  masc_own_plan(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 10);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_PREFIX_IN_USE, NULL), 2);
}

Test(masc_local, s12_2_a_non_leaf_claims_for_its_own_use_as_its_own_child)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim claim;

  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "");
  masc_bed_clear(own->bed);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
  own_bed_pass(own, 20);
  cr_assert_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_NEW_CLAIM, &claim), 1);
  cr_expect_eq(claim.role, MASC_CHILD);
  cr_expect(claim.domain == 2);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 0);
  own_expect(own_bed_local(own, 0), "");
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "233.252.6.0/24");
  own_expect(own_bed_held(own, 0, true), "233.252.6.0/24");
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/22");
  cr_expect_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_PREFIX_IN_USE, NULL), 1);
}

Test(masc_local, s5_1_c_a_childs_earlier_claim_wins_over_our_own_as_a_child)
{
  g_autoptr(OwnBed) own = holder();

  child_claims(own, "233.252.5.0/24");
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
  own_bed_pass(own, 20);
  own_bed_say(own, CHILD_END, MASC_NEW_CLAIM, "233.252.6.0/25", 100);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DENIES), 1, "its lifetime is beyond ours");
  MascClaim claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 5, "233.252.6.128/25");
  claim.lifetime = OWN_DAY;
  claim.timestamp -= 100;
  cr_expect_eq(masc_bed_say(own->bed, 0, CHILD_END, &claim), 0);
  own_bed_pass(own, 0);
  own_expect(own_bed_pending(own, 0), "");
  own_bed_pass(own, 1040);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_local, s12_4_a_clash_with_a_child)
{
  for (int64_t ago = -1; ago <= 1; ago += 2) {
    g_autoptr(OwnBed) own = holder();
    MascClaim claim, withdraw;
    child_claims(own, "233.252.5.0/24");
    own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
    own_bed_pass(own, 1100);
    own_expect(own_bed_local(own, 0), "233.252.6.0/24");
    const MascHeld *h = &g_array_index(own_bed_owns(own, 0)->held[1], MascHeld, 0);
    claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_INTERNAL, 5, "233.252.6.0/25");
    claim.timestamp = (uint32_t)(h->claim.timestamp - ago);
    claim.lifetime = claim.holdtime = OWN_DAY;
    cr_expect_eq(masc_bed_say(own->bed, 0, CHILD_END, &claim), 0);
    own_bed_pass(own, 0);
    own_expect(own_bed_local(own, 0), ago > 0 ? "233.252.6.128/25" : "233.252.6.0/24");
    own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
    cr_assert_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_WITHDRAW, &withdraw), ago > 0);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
    cr_expect(ago < 0 || withdraw.role == MASC_CHILD);
  }
}

static void child_says(OwnBed *own, MascClaimType type, uint32_t stamp, int64_t lifetime,
                       int64_t holdtime)
{
  MascClaim claim = masc_bed_claim(own->bed, type, MASC_INTERNAL, 5, "233.252.4.0/24");

  claim.timestamp = stamp;
  claim.node = 1;
  claim.lifetime = (uint32_t)lifetime;
  claim.holdtime = (uint32_t)holdtime;
  cr_expect_eq(masc_bed_say(own->bed, 0, CHILD_END, &claim), 0);
  own_bed_pass(own, 0);
}

/* The child takes back for a while what we gave way to, and we use it meanwhile. The WITHDRAW is
   there from the first time; by its timestamp it takes only what we had then. */
Test(masc_local, s12_4_giving_way_once_more_to_the_same_claim)
{
  g_autoptr(OwnBed) own = holder();

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  uint32_t stamp = g_array_index(own_bed_owns(own, 0)->held[1], MascHeld, 0).claim.timestamp;
  int64_t old = masc_bed_time(own->bed, 0) - stamp;
  child_says(own, MASC_PREFIX_IN_USE, stamp, OWN_DAY, OWN_DAY);
  own_expect(own_bed_local(own, 0), "");
  child_says(own, MASC_WITHDRAW, stamp, 0, old + 500);
  masc_own_plan(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 10);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 700);
  masc_bed_clear(own->bed);
  for (int i = 0; i < 3; i++) {
    masc_own_dirty(own->bed->nodes[0].zone);
    own_bed_pass(own, 10);
  }
  own_expect(own_bed_local(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), 2);
  cr_expect_eq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_WITHDRAW, NULL), 1);
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 10);
  own_expect(own_bed_local(own, 0), "");
}

Test(masc_local, s12_2_a_leaf_again_when_the_last_update_of_a_child_is_over)
{
  g_autoptr(OwnBed) own = holder();

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_pass(own, 2000);
  cr_expect(masc_zone_is_leaf(own->bed->nodes[0].zone));
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  own_expect(own_bed_held(own, 0, true), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_LEAF), 2);
}

/* What was claimed, and what was waited for, as a child of ourselves is no matter any more. */
Test(masc_local, s12_2_a_leaf_again_claims_nothing_of_itself)
{
  g_autoptr(OwnBed) own = holder();

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.5.0/24");
  own_bed_pass(own, 1000);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.6.0/24", NULL);
  own_bed_pass(own, 20);
  own_expect(own_bed_pending(own, 0), "233.252.6.0/24");
  for (int i = 0; i < 200 && !masc_zone_is_leaf(own->bed->nodes[0].zone); i++)
    own_bed_pass(own, 1);
  cr_assert(masc_zone_is_leaf(own->bed->nodes[0].zone));
  own_expect(own_bed_pending(own, 0), "");
  MascBedRecords r = masc_bed_records(own->bed, 0, 2);
  for (size_t i = 0; i < r.n; i++)
    cr_expect(r.claims[i].role != MASC_CHILD || r.claims[i].type == MASC_WITHDRAW, "%s",
              masc_claim_type_name(r.claims[i].type));
}

/* "If an UPDATE by a child is received": of whatever type, at once; but not one that is denied: it
   is kept no more than one that is refused. */
Test(masc_local, s12_2_any_update_of_a_child_ends_it)
{
  static const struct {
    MascClaimType type;
    const char *prefix;
    int64_t days;
    bool leaf;
  } rows[] = { { MASC_NEW_CLAIM, "0.0.0.0/24", 10, false },
               { MASC_NEW_CLAIM, "233.252.5.0/24", 10, false },
               { MASC_NEW_CLAIM, "233.252.5.0/24", 60, true },
               { MASC_PREFIX_IN_USE, "233.252.5.0/24", 10, false } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascClaim claim = masc_bed_claim(own->bed, rows[i].type, MASC_INTERNAL, 5, rows[i].prefix);
    claim.lifetime = (uint32_t)(rows[i].days * OWN_DAY);
    cr_expect_eq(masc_bed_say(own->bed, 0, CHILD_END, &claim), 0, "row %zu", i);
    own_bed_pass(own, 0);
    cr_expect_eq(masc_zone_is_leaf(own->bed->nodes[0].zone), rows[i].leaf, "row %zu", i);
    own_expect(own_bed_local(own, 0), rows[i].leaf ? "233.252.4.0/22" : "");
  }
}

Test(masc_local, s12_2_a_restart_in_between)
{
  g_autoptr(OwnBed) own = holder();

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.5.0/24");
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
}

Test(masc_local, s12_2_children_by_configuration)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZone *zone = own->bed->nodes[0].zone;

  zone->config.parent = true;
  masc_own_children_changed(zone, masc_bed_now(own->bed, 0));
  own_bed_win(own, 0, "233.252.4.0/22");
  own_expect(own_bed_local(own, 0), "");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
}

Test(masc_local, s5_4_what_children_use_is_not_given_back)
{
  g_autoptr(OwnBed) own = holder();

  child_claims(own, "233.252.5.0/24");
  own_bed_wish_parent(own, 0, MASC_WISH_GIVE, "233.252.4.0/22", NULL);
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/22");
  own_bed_wish_parent(own, 0, MASC_WISH_GIVE, "233.252.6.0/23", NULL);
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/23");
}

Test(masc_local, s11_5_what_children_ask_for_waits)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim hint = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 5, "233.252.5.0/24");

  child_claims(own, "233.252.5.0/24");
  own_bed_pass(own, 10);
  cr_expect_eq(own->nodes[0].seen.n_uses, 1);
  hint.prefix.address.value = 0;
  hint.prefix.length = MASC_BED_LENGTH(22);
  hint.timestamp++;
  cr_expect_eq(masc_bed_say(own->bed, 0, CHILD_END, &hint), 0);
  own_bed_pass(own, 10);
  cr_expect_eq(own->nodes[0].seen.waiting, 1024);
}

Test(masc_local, s11_5_our_own_hint_goes_to_the_parent)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim hint;

  own_bed_wish(own, 0, MASC_WISH_HINT, "233.252.0.0/20", NULL);
  cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &hint), 1);
  cr_expect(hint.prefix.address.value == 0);
  cr_expect_eq(hint.prefix.length, MASC_BED_LENGTH(20));
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_NEW_CLAIM, NULL), 0);
  own_bed_wish(own, 0, MASC_WISH_HINT, "233.252.0.0/20", NULL);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 1, "not so soon");
  own_bed_wish(own, 0, MASC_WISH_HINT, "233.252.0.0/19", NULL);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 2, "more");
}

/* ---- the real planner ------------------------------------------------------------------------ */

Test(masc_local, s12_2_parent_and_child_with_the_real_planner)
{
  g_autoptr(OwnBed) own = own_bed_new();
  unsigned c;

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 1000;
  own->bed->params.plan_interval = 250;
  own_bed_add(own, 1, 1000, true);
  own->bed->nodes[0].zone->config.parent = true;
  own_bed_owns(own, 0)->planner = masc_plan;
  c = own_bed_add(own, 2, 2000, false);
  own_bed_owns(own, c)->planner = masc_plan;
  masc_bed_join(own->bed, c, 0, MASC_CHILD, 0);
  own_bed_pass(own, 10);
  masc_own_children_changed(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  masc_zone_arrived(own->bed->nodes[1].zone, 256, masc_bed_now(own->bed, c));
  masc_zone_waiting(own->bed->nodes[1].zone, 256, MAL_FOREVER, masc_bed_now(own->bed, c));
  own_bed_pass(own, 5000);
  MascZoneUsage up = masc_zone_usage(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  MascZoneUsage down = masc_zone_usage(own->bed->nodes[c].zone, masc_bed_now(own->bed, c));
  cr_expect_geq(down.local, 256);
  cr_expect_geq(up.held, down.held);
  cr_expect_eq(up.used, down.held);
  cr_expect_eq(up.local, 0);
}

Test(masc_local, s12_2_a_leaf_again_and_no_leaf_again)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim said;

  own_bed_use(own, 0, "233.252.4.7");
  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  own_bed_unuse(own, 0);
  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.4.0/24", NULL);
  own_expect(own_bed_local(own, 0), "");
  own_bed_pass(own, 2000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  own_bed_use(own, 0, "233.252.4.7");
  masc_bed_clear(own->bed);
  child_claims(own, "233.252.5.0/24");
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  /* Newer than what was given back there. */
  cr_assert_geq(masc_bed_sent(own->bed, 0, CHILD_END, MASC_PREFIX_IN_USE, &said), 1);
  cr_expect_gt(said.timestamp, g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0)
                                   .claim.timestamp);
}
