/* Two domains use the same (RFC 2909 12.4, 11.7.3). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>
#include <string.h>

static MascClaim last_of(const OwnBed *own, unsigned peer, MascClaimType type)
{
  MascClaim claim = { 0 };

  cr_assert_geq(masc_bed_sent(own->bed, 0, peer, type, &claim), 1);
  return claim;
}

/* Its claim is AGO seconds older than ours. */
static MascClaim rival(OwnBed *own, const char *prefix, int64_t ago)
{
  const MascHeld *h = &g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0);
  MascClaim claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_INTERNAL, 3, prefix);

  claim.timestamp = (uint32_t)(h->claim.timestamp - ago);
  return claim;
}

static void hear(OwnBed *own, MascClaim claim)
{
  cr_expect_eq(masc_bed_say(own->bed, 0, OWN_SIBLING, &claim), 0);
  own_bed_pass(own, 0);
}

static OwnBed *holder(void)
{
  OwnBed *own = own_bed_child();

  own_bed_win(own, 0, "233.252.4.0/22");
  masc_bed_clear(own->bed);
  return own;
}

/* Who does not give way is told again and again, by and by less often, until something is new. */
static unsigned defended(OwnBed *own, unsigned seconds)
{
  masc_bed_clear(own->bed);
  for (unsigned i = 0; i < seconds; i++) {
    masc_own_dirty(own->bed->nodes[0].zone);
    own_bed_pass(own, 1);
  }
  return masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL);
}

Test(masc_clash, s12_4_who_does_not_give_way_hears_of_it_less_and_less_often)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim claim, other;

  own->bed->params.waiting_period = 48 * 80;
  own->bed->params.renew_interval = 10 * OWN_DAY;
  own_bed_win(own, 0, "233.252.4.0/22");
  claim = rival(own, "233.252.4.0/24", -10);
  other = rival(own, "233.252.6.0/24", -12);
  hear(own, claim);
  unsigned first = defended(own, 69), then = defended(own, 800);
  cr_expect_eq(first, 2, "after 10 s and 20 s, not %u times", first);
  cr_expect_eq(then, 10, "each 80 s, not %u times", then);
  own_bed_pass(own, 10);
  masc_bed_clear(own->bed);
  hear(own, other);
  last_of(own, OWN_SIBLING, MASC_PREFIX_IN_USE); /* this is new, so it is answered at once */
  then = defended(own, 800);
  cr_expect_leq(then, 13, "both together don't make it more often than %u times", then);
  claim.timestamp += 100;
  own_bed_pass(own, 10);
  masc_bed_clear(own->bed);
  hear(own, claim);
  last_of(own, OWN_SIBLING, MASC_PREFIX_IN_USE);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 2);
}

/* ---- automatic ------------------------------------------------------------------------------- */

Test(masc_clash, s12_4_who_wins_and_what_is_left)
{
  static const struct {
    const char *name, *theirs;
    int64_t ago; /* theirs is so much older */
    MascId node; /* ours is 2000 */
    const char *local, *routes;
  } cases[] = {
    { "ours is older", "233.252.4.0/22", -10, 1000, "233.252.4.0/22", "233.252.4.0/22" },
    { "ours is newer", "233.252.4.0/22", 10, 3000, "", "" },
    { "as old, their node is smaller", "233.252.4.0/22", 0, 1000, "", "" },
    { "as old, their node is larger", "233.252.4.0/22", 0, 3000, "233.252.4.0/22",
      "233.252.4.0/22" },
    { "theirs is larger", "233.252.0.0/20", 10, 3000, "", "" },
    { "11.7.3: a part, passing: the route stays", "233.252.5.0/24", 10, 3000,
      "233.252.4.0/24 233.252.6.0/23", "233.252.4.0/22" },
    { "a part, ours is older", "233.252.5.0/24", -10, 3000, "233.252.4.0/22", "233.252.4.0/22" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = holder();
    MascClaim theirs = rival(own, cases[i].theirs, cases[i].ago);
    theirs.node = cases[i].node;
    theirs.lifetime = theirs.holdtime = 20 * OWN_DAY;
    hear(own, theirs);
    own_expect(own_bed_local(own, 0), cases[i].local);
    own_expect(own_bed_routes(own, 0), cases[i].routes);
    bool wins = strcmp(cases[i].local, "233.252.4.0/22") == 0;
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 1, "%s", cases[i].name);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_WON), wins, "%s", cases[i].name);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), !wins, "%s", cases[i].name);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), !wins, "%s",
                 cases[i].name);
    if (!wins)
      continue;
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL), 1,
                 "%s: it hears of ours", cases[i].name);
  }
}

Test(masc_clash, s12_4_the_withdraw_is_the_winners_but_for_the_origin)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10), withdraw;

  theirs.lifetime = theirs.holdtime = 12345;
  hear(own, theirs);
  withdraw = last_of(own, OWN_SIBLING, MASC_WITHDRAW);
  cr_expect_eq(withdraw.timestamp, theirs.timestamp);
  cr_expect_eq(withdraw.lifetime, theirs.lifetime);
  cr_expect_eq(withdraw.holdtime, theirs.holdtime);
  cr_expect(masc_prefix_equal(withdraw.prefix, theirs.prefix));
  cr_expect_eq(withdraw.role, MASC_INTERNAL);
  cr_expect(withdraw.domain == 2);
  cr_expect(withdraw.node == 2000);
}

/* Its Claim Timestamp is ahead of our clock, which was set back, and it is free from then on. */
Test(masc_clash, s12_4_what_has_no_lifetime_is_in_nobodys_use)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10);

  own->bed->nodes[0].skew -= 5000;
  masc_zone_clock_stepped(own->bed->nodes[0].zone, -5000, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 10);
  theirs.lifetime = 0;
  theirs.holdtime = OWN_DAY;
  hear(own, theirs);
  own_bed_pass(own, 100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_WITHDRAW, NULL), 0);
  theirs.lifetime = theirs.holdtime;
  theirs.timestamp++;
  hear(own, theirs);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
}

/* But what is only claimed gives way to it, and is claimed by nobody as long as it is kept. */
Test(masc_clash, s11_2_2_what_has_no_lifetime_beats_a_claim)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim theirs = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_INTERNAL, 3,
                                    "233.252.5.0/24");

  theirs.lifetime = 0;
  theirs.holdtime = 5000;
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/23", NULL);
  own_bed_pass(own, 20);
  cr_expect_eq(own_bed_owns(own, 0)->pends->len, 1);
  hear(own, theirs);
  cr_expect_eq(own_bed_owns(own, 0)->pends->len, 0);
  for (int kept = 1; kept >= 0; kept--) {
    g_autoptr(GError) error = NULL;
    bool claimed = masc_zone_claim(own->bed->nodes[0].zone, masc_bed_prefix("233.252.5.0/24"),
                                   false, 0, masc_bed_now(own->bed, 0), &error);
    cr_expect_neq(claimed, kept);
    own_bed_pass(own, 5200);
  }
}

Test(masc_clash, s12_4_what_was_withdrawn_returns_when_nobody_uses_it)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10);

  theirs.lifetime = theirs.holdtime = 5000;
  hear(own, theirs);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  own_bed_pass(own, 5000 + 200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
}

Test(masc_clash, s11_7_3_what_is_lost_for_good_beside_what_passes)
{
  static const struct {
    const char *passes, *stays_lost, *routes;
  } cases[] = {
    { "233.252.5.0/24", "233.252.6.0/23", "233.252.4.0/23" },
    { "233.252.5.0/24", "233.252.5.0/25", "233.252.4.0/22" }, /* is no clash any more */
    { "233.252.5.0/25", "233.252.5.0/24", "233.252.4.0/24 233.252.6.0/23" },
    { "233.252.5.0/24", "233.252.4.0/22", "" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(OwnBed) own = holder();
    MascClaim a = rival(own, cases[i].passes, 10), b = rival(own, cases[i].stays_lost, 10);
    a.lifetime = a.holdtime = OWN_DAY;
    b.lifetime = b.holdtime = 100 * OWN_DAY;
    hear(own, a);
    own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
    hear(own, b);
    own_expect(own_bed_routes(own, 0), cases[i].routes);
  }
}

/* What it withdrew as its own child is another matter (12.2). */
Test(masc_clash, s11_7_3_what_passes_beside_what_children_lost)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim a = rival(own, "233.252.5.0/24", 10), lower = a;
  MascNow now = masc_bed_now(own->bed, 0);

  a.lifetime = a.holdtime = OWN_DAY;
  hear(own, a);
  lower.type = MASC_WITHDRAW;
  lower.role = MASC_CHILD;
  lower.domain = 2;
  lower.node = 2000;
  lower.prefix = masc_bed_prefix("233.252.6.0/23");
  lower.timestamp = masc_bed_time(own->bed, 0);
  lower.lifetime = 0;
  lower.holdtime = 100 * OWN_DAY;
  cr_assert_not_null(masc_originate(own->bed->nodes[0].zone, &lower, 2, true, NULL, now));
  masc_own_dirty(own->bed->nodes[0].zone);
  own_bed_pass(own, 10);
  own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
}

Test(masc_clash, s12_4_but_not_from_a_winner_who_renewed)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10);

  theirs.lifetime = theirs.holdtime = 5000;
  hear(own, theirs);
  own_bed_pass(own, 3000);
  /* Its renewed claim is younger than ours: a comparison would be ours now. */
  own_bed_say(own, OWN_SIBLING, MASC_CLAIM_TO_EXPAND, "233.252.5.0/24", 1000);
  own_bed_say(own, OWN_SIBLING, MASC_PREFIX_IN_USE, "233.252.5.0/24", 1000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  own_bed_pass(own, 3000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  own_bed_pass(own, 10 * OWN_DAY);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
}

/* What it had renewed ended just before our WITHDRAW: by our clock, not by its own. */
Test(masc_clash, s12_3_nor_from_one_whose_renewal_ended_just_now)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10), renewed = theirs;

  theirs.lifetime = theirs.holdtime = 5000;
  renewed.timestamp = theirs.timestamp + 1000;
  renewed.lifetime = renewed.holdtime = 4060;
  hear(own, theirs);
  own_bed_pass(own, 1100);
  hear(own, renewed);
  int64_t end = (int64_t)theirs.timestamp + 5000 - masc_bed_time(own->bed, 0);
  own_bed_pass(own, end + 100 + 20);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  own_bed_pass(own, 200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
}

Test(masc_clash, s12_4_a_renewal_of_ours_in_the_midst_of_it)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascClaim theirs;

  own->bed->params.prefix_lifetime = 20000;
  own->bed->params.renew_interval = 3000;
  own_bed_win(own, 0, "233.252.4.0/22");
  theirs = rival(own, "233.252.4.0/22", -10);
  own_bed_pass(own, 2900);
  hear(own, theirs);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_WON), 1);
  /* It doesn't give way (it didn't hear of ours); ours is renewed, and so younger than theirs. Both
     may lose now, but never both win. */
  own_bed_pass(own, 8000);
  MascHeld *held = own_bed_owns(own, 0)->held[0]->len > 0
                       ? &g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0)
                       : NULL;
  cr_expect(held == NULL || held->claim.timestamp < theirs.timestamp ||
            own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST) > 0);
}

Test(masc_clash, s12_4_one_that_gives_way_no_longer_clashes)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.4.0/22", -10), withdraw = theirs;

  hear(own, theirs);
  cr_expect_eq(own_bed_owns(own, 0)->clashes->len, 1);
  const MascHeld *h = &g_array_index(own_bed_owns(own, 0)->held[0], MascHeld, 0);
  withdraw.type = MASC_WITHDRAW;
  withdraw.timestamp = h->claim.timestamp;
  withdraw.lifetime = h->claim.lifetime;
  withdraw.holdtime = h->claim.holdtime;
  hear(own, withdraw);
  cr_expect_eq(own_bed_owns(own, 0)->clashes->len, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
}

/* ---- two real zones: one sees the other at last ---------------------------------------------- */

static OwnBed *apart(int64_t skew)
{
  OwnBed *own = own_bed_new();

  own->bed->params.renew_interval = 50 * OWN_DAY;
  own_bed_add(own, 2, 2000, true);
  own_bed_add(own, 3, 3000, true);
  own->bed->nodes[1].skew = skew;
  masc_bed_join(own->bed, 0, 1, MASC_SIBLING, 0);
  own_bed_pass(own, 100);
  masc_bed_down(own->bed, 0);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/23", NULL);
  own_bed_pass(own, 100);
  own_bed_wish(own, 1, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 2500);
  own_expect(own_bed_local(own, 0), "233.252.4.0/23");
  own_expect(own_bed_local(own, 1), "233.252.4.0/24");
  return own;
}

Test(masc_clash, s12_4_both_ends_decide_the_same)
{
  static const int64_t skews[] = { 0, -90, -3600, 3600 };

  for (size_t i = 0; i < G_N_ELEMENTS(skews); i++) {
    g_autoptr(OwnBed) own = apart(skews[i]);
    bool first = skews[i] > -95;
    masc_bed_up(own->bed, 0);
    own_bed_pass(own, 0);
    own_expect(own_bed_local(own, 0), first ? "233.252.4.0/23" : "233.252.5.0/24");
    own_expect(own_bed_local(own, 1), first ? "" : "233.252.4.0/24");
    own_bed_pass(own, 5 * OWN_DAY);
    own_expect(own_bed_local(own, 0), first ? "233.252.4.0/23" : "233.252.5.0/24");
    own_expect(own_bed_local(own, 1), first ? "" : "233.252.4.0/24");
  }
}

/* ---- manual ---------------------------------------------------------------------------------- */

static void note_rival(const MascEntry *entry, void *data)
{
  MascId *found = data;
  if (entry->kind == MASC_ENTRY_HELD && entry->rival != 0)
    *found = entry->rival;
}

/* As `masc prefixes` shows it. */
static MascId used_too_by(OwnBed *own)
{
  MascId found = 0;
  masc_zone_each(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0), note_rival, &found);
  return found;
}

Test(masc_clash, s12_4_manual_nobody_uses_it_until_it_is_decided)
{
  for (int64_t ago = -10; ago <= 10; ago += 20) {
    for (int keep = 0; keep < 2; keep++) {
      g_autoptr(OwnBed) own = holder();
      MascZone *zone = own->bed->nodes[0].zone;
      MascNow now = masc_bed_now(own->bed, 0);
      own->bed->params.clash = MASC_CLASH_MANUAL;
      const MascClaim claim = rival(own, "233.252.5.0/24", ago);
      const MascId theirs = claim.domain;
      hear(own, claim);
      own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
      own_expect(own_bed_routes(own, 0), "233.252.4.0/22");
      cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
      cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 1);
      cr_expect_eq(used_too_by(own), 0, "it is withheld");
      own_bed_pass(own, 2000);
      own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
      cr_assert(masc_zone_resolve(zone, masc_bed_prefix("233.252.5.0/24"), keep, now, NULL));
      own_bed_pass(own, 0);
      own_expect(own_bed_local(own, 0), keep ? "233.252.4.0/22" : "233.252.4.0/24 233.252.6.0/23");
      cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), !keep);
      cr_expect_eq(used_too_by(own), keep ? theirs : 0);
      own_bed_pass(own, 5000);
      own_expect(own_bed_local(own, 0), keep ? "233.252.4.0/22" : "233.252.4.0/24 233.252.6.0/23");
    }
  }
}

Test(masc_clash, s12_4_manual_over_when_the_other_gives_way)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10), withdraw = theirs;

  own->bed->params.clash = MASC_CLASH_MANUAL;
  hear(own, theirs);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  withdraw.type = MASC_WITHDRAW;
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_WON), 0, "undecided");
  hear(own, withdraw);
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_WON), 1, "who heard that it began");
}

Test(masc_clash, s12_4_manual_becomes_automatic)
{
  for (int64_t ago = -10; ago <= 10; ago += 20) {
    g_autoptr(OwnBed) own = holder();
    own->bed->params.clash = MASC_CLASH_MANUAL;
    hear(own, rival(own, "233.252.5.0/24", ago));
    own->bed->params.clash = MASC_CLASH_AUTOMATIC;
    masc_zone_params_changed(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
    own_bed_pass(own, 1000);
    unsigned won = own_bed_notes(own, 0, MASC_NOTE_CLASH_WON);
    cr_expect_eq(won + own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), 1);
    own_expect(own_bed_local(own, 0), won ? "233.252.4.0/22" : "233.252.4.0/24 233.252.6.0/23");
  }
}

/* By its own clock, which may be behind ours by the extra holding time, it uses that for longer. */
/* What the operator has decided stays so. */
Test(masc_clash, s12_4_manual_decided_becomes_automatic)
{
  g_autoptr(OwnBed) own = holder();
  MascZone *zone = own->bed->nodes[0].zone;
  own->bed->params.clash = MASC_CLASH_MANUAL;
  hear(own, rival(own, "233.252.5.0/24", 10));
  cr_assert(masc_zone_resolve(zone, masc_bed_prefix("233.252.5.0/24"), true,
                              masc_bed_now(own->bed, 0), NULL));
  own->bed->params.clash = MASC_CLASH_AUTOMATIC;
  masc_zone_params_changed(zone, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), 0);
}

/* Whoever claims what we use doesn't use it yet, however old his claim. */
Test(masc_clash, s12_4_a_claim_is_no_clash)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim claim = rival(own, "233.252.5.0/24", 10);
  claim.type = MASC_NEW_CLAIM;
  claim.holdtime = 3000;
  hear(own, claim);
  masc_own_dirty(own->bed->nodes[0].zone);
  own_bed_pass(own, 10);
  cr_expect(masc_bed_has(own->bed, 0, MASC_NEW_CLAIM, 3, "233.252.5.0/24"));
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
}

/* Decided by hand, and not yet when theirs ended by our clock. */
static OwnBed *ended_just_now(void)
{
  OwnBed *own = holder();
  MascClaim theirs = rival(own, "233.252.5.0/24", 10);

  own->bed->params.clash = MASC_CLASH_MANUAL;
  theirs.timestamp = masc_bed_time(own->bed, 0);
  theirs.lifetime = theirs.holdtime = 5000;
  hear(own, theirs);
  own_bed_pass(own, 5050);
  return own;
}

Test(masc_clash, s12_3_manual_not_over_before_it_is_by_their_clock)
{
  for (int reboot = 0; reboot < 2; reboot++) {
    g_autoptr(OwnBed) own = ended_just_now();
    if (reboot)
      own_bed_reboot(own, 0, true);
    own_bed_pass(own, 40);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
    cr_expect_eq(own_bed_owns(own, 0)->clashes->len, 1);
    own_bed_pass(own, 200);
    own_expect(own_bed_local(own, 0), "233.252.4.0/22");
    cr_expect_eq(own_bed_owns(own, 0)->clashes->len, 0);
  }
}

/* Nor is it ours at once where the operator then says that it is theirs. */
Test(masc_clash, s12_3_manual_given_to_who_ended_just_now)
{
  g_autoptr(OwnBed) own = ended_just_now();

  cr_assert(masc_zone_resolve(own->bed->nodes[0].zone, masc_bed_prefix("233.252.5.0/24"), false,
                              masc_bed_now(own->bed, 0), NULL));
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  own_bed_pass(own, 200);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
}

Test(masc_clash, s12_4_manual_survives_a_restart)
{
  g_autoptr(OwnBed) own = holder();

  own->bed->params.clash = MASC_CLASH_MANUAL;
  hear(own, rival(own, "233.252.5.0/24", -10));
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 0);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  cr_assert(masc_zone_resolve(own->bed->nodes[0].zone, masc_bed_prefix("233.252.5.0/24"), true,
                              masc_bed_now(own->bed, 0), NULL));
  own_bed_pass(own, 0);
  own_bed_reboot(own, 0, true);
  own_bed_pass(own, 100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/22");
}

Test(masc_clash, s12_4_resolve_what_is_no_clash)
{
  g_autoptr(OwnBed) own = holder();
  g_autoptr(GError) error = NULL;

  cr_expect_not(masc_zone_resolve(own->bed->nodes[0].zone, masc_bed_prefix("233.252.5.0/24"), true,
                                  masc_bed_now(own->bed, 0), &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_NOT_FOUND));
}

/* ---- what gives back is no clash ------------------------------------------------------------- */

Test(masc_clash, s5_4_a_withdraw_has_no_lifetime_and_one_of_a_clash_the_winners)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim withdraw;

  own_bed_wish(own, 0, MASC_WISH_GIVE, "233.252.6.0/23", NULL);
  withdraw = last_of(own, OWN_SIBLING, MASC_WITHDRAW);
  cr_expect_eq(withdraw.lifetime, 0);
  cr_expect_gt(withdraw.holdtime, 0);
  hear(own, rival(own, "233.252.4.0/24", 10));
  withdraw = last_of(own, OWN_SIBLING, MASC_WITHDRAW);
  cr_expect_gt(withdraw.lifetime, 0);
}

Test(masc_clash, s12_4_nothing_is_claimed_where_we_gave_way)
{
  g_autoptr(OwnBed) own = holder();
  g_autoptr(GError) error = NULL;
  MascClaim theirs = rival(own, "233.252.5.0/24", 10), back = theirs;

  hear(own, theirs);
  back.type = MASC_WITHDRAW;
  back.lifetime = 0;
  hear(own, back);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24 233.252.6.0/23");
  cr_expect_not(masc_zone_claim(own->bed->nodes[0].zone, masc_bed_prefix("233.252.5.0/24"), false,
                                0, masc_bed_now(own->bed, 0), &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_EXISTS));
}
