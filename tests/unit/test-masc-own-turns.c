/* Clashes, and what our own servers use, in their corners (RFC 2909 11.7, 12.2, 12.4, 14): single
   questions, each with what it takes to ask it. */
#include "tests/unit/masc-own-ask.h"

#include <criterion/criterion.h>

/* ---- clashes (12.4) -------------------------------------------------------------------------- */

static unsigned defended(OwnBed *own, MascClaim ours, MascId rival, uint32_t stamp)
{
  masc_bed_clear(own->bed);
  masc_clash_defend(zone_of(own), &ours, rival, stamp, now_of(own));
  return masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL);
}

/* A renewal of ours is new to who heard of what it renews, and every rival has its own turn. */
Test(masc_own_turns, s12_4_what_is_new_is_answered_at_once)
{
  static const struct {
    const char *why;
    MascId rival;
    uint32_t ours, theirs;      /* later than before */
    int64_t after;              /* seconds; the same would be answered again after 20 */
    unsigned n;
  } rows[] = {
    { "the same again", 3, 0, 0, 10, 0 },      { "ours is new", 3, 5, 0, 10, 1 },
    { "theirs is new", 3, 0, 5, 10, 1 },       { "new, but too soon", 3, 5, 5, 9, 0 },
    { "another one", 7, 0, 0, 1, 1 },          { "the same, later", 3, 0, 0, 20, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascClaim ours = held_of(own)->claim;
    own->bed->params.waiting_period = 48 * 80;
    cr_assert_eq(defended(own, ours, 3, 1000), 1);
    own->bed->mono += 10 * MASC_SECOND;
    cr_assert_eq(defended(own, ours, 3, 1000), 1);
    own->bed->mono += rows[i].after * MASC_SECOND;
    if (rows[i].ours > 0) {
      MascRecord renewed = { .claim = ours, .parent = 1, .forget_at = MAL_FOREVER };
      ours.timestamp += rows[i].ours;
      renewed.claim = ours;
      masc_cache_add(zone_of(own)->cache, &renewed);
    }
    cr_expect_eq(defended(own, ours, rows[i].rival, 1000 + rows[i].theirs), rows[i].n, "%s",
                 rows[i].why);
  }
}

/* What is older of ours is no news to who heard the newer one. */
Test(masc_own_turns, s12_4_what_was_renewed_is_not_new_again)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim first = held_of(own)->claim;
  MascRecord renewed = { .claim = first, .parent = 1, .forget_at = MAL_FOREVER };
  const GArray *answered = owns_of(own)->defended;

  own->bed->params.waiting_period = 48 * 80;
  renewed.claim.timestamp += 5;
  masc_cache_add(zone_of(own)->cache, &renewed);
  cr_expect_eq(defended(own, renewed.claim, 3, 1000), 1);
  own->bed->mono += 10 * MASC_SECOND;
  cr_expect_eq(defended(own, first, 3, 1000), 1);
  cr_assert_eq(answered->len, 1);
  cr_expect_eq(g_array_index(answered, MascDefended, 0).ours, first.timestamp + 5);
  own->bed->mono += 10 * MASC_SECOND;
  cr_expect_eq(defended(own, renewed.claim, 3, 1000), 0);
}

/* However short the waiting period is: no more often than claims are begun. */
Test(masc_own_turns, s12_4_the_shortest_pause)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim ours = held_of(own)->claim;

  own->bed->params.initiate_claim_delay = 100;
  cr_expect_eq(defended(own, ours, 3, 1000), 1);
  own->bed->mono += 99 * MASC_SECOND;
  cr_expect_eq(defended(own, ours, 3, 1000), 0);
  own->bed->mono += MASC_SECOND;
  cr_expect_eq(defended(own, ours, 3, 1000), 1);
}

Test(masc_own_turns, s14_of_very_many_rivals_the_last_ones_are_remembered)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim ours = held_of(own)->claim;

  for (MascId rival = 10; rival < 310; rival++)
    cr_expect_eq(defended(own, ours, rival, 1000), 1);
  cr_expect_eq(owns_of(own)->defended->len, 256);
  cr_expect_eq(defended(own, ours, 309, 1000), 0);
  cr_expect_eq(defended(own, ours, 10, 1000), 1);
}

/* What ended, or was denied, is no answer to anybody. */
Test(masc_own_turns, s12_4_what_is_not_said_again)
{
  static const struct {
    MascClaimType type;
    bool said;
  } rows[] = { { MASC_NEW_CLAIM, true }, { MASC_WITHDRAW, false }, { MASC_CLAIM_DENIED, false } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascRecord *r = add_record(own, rows[i].type, MASC_INTERNAL, 2, HELD, 0);
    MascClaim ours = r->claim;
    masc_bed_clear(own->bed);
    masc_clash_defend(zone_of(own), &ours, 3, 1000, now_of(own));
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, rows[i].type, NULL), rows[i].said);
  }
}

/* An end of ours that a WITHDRAW of ours had hidden comes back to who uses it meanwhile; by hand
   only what is new is decided. */
Test(masc_own_turns, s12_4_who_comes_back_loses)
{
  static const struct {
    const char *why;
    MascClashMode mode;
    bool returns, known;        /* and withheld */
    int32_t later;              /* theirs */
    bool lost, withheld;
  } rows[] = {
    { "ours is older", MASC_CLASH_AUTOMATIC, false, false, 50, false, false },
    { "theirs is older", MASC_CLASH_AUTOMATIC, false, false, -5000, true, false },
    { "ours is older, and comes back", MASC_CLASH_AUTOMATIC, true, false, 50, true, false },
    { "by hand", MASC_CLASH_MANUAL, false, false, 50, false, true },
    { "by hand, and comes back", MASC_CLASH_MANUAL, true, false, 50, true, false },
    { "no longer by hand", MASC_CLASH_AUTOMATIC, false, true, 50, false, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascHeld held = *held_of(own);
    MascClash clash = { .prefix = held.prefix, .domain = 3, .withheld = true };
    own->bed->params.clash = rows[i].mode;
    add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, rows[i].later);
    if (rows[i].known)
      g_array_append_val(owns_of(own)->clashes, clash);
    cr_expect_eq(masc_clash_check(zone_of(own), &held, false, rows[i].returns, now_of(own)),
                 rows[i].lost, "%s", rows[i].why);
    cr_expect_eq(masc_clash_withheld(zone_of(own), held.prefix, false), rows[i].withheld, "%s",
                 rows[i].why);
  }
}

/* A clash of the other arena, or with another domain, is another one; one that is over is none. */
Test(masc_own_turns, s12_4_which_clash_it_is)
{
  g_autoptr(OwnBed) own = holder();
  GArray *clashes = owns_of(own)->clashes;
  MascClash others[] = {
    { .prefix = masc_bed_prefix(HELD), .domain = 3, .lower = true, .keep = true },
    { .prefix = masc_bed_prefix(HELD), .domain = 9, .keep = true },
  };
  MascRecord *over = add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, -40 * 86400);

  g_array_append_vals(clashes, others, G_N_ELEMENTS(others));
  masc_clash_rivalled(zone_of(own), over, now_of(own));
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 0, "they use it no longer");
  MascRecord *used = add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, 50);
  masc_clash_rivalled(zone_of(own), used, now_of(own));
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH), 1);
  cr_assert_eq(clashes->len, 3);
  masc_clash_tidy(zone_of(own), now_of(own));
  cr_assert_eq(clashes->len, 1, "nobody uses what the others are about");
  cr_expect(g_array_index(clashes, MascClash, 0).domain == 3);
}

/* Whoever loses a prefix claims nothing of it any more. */
Test(masc_own_turns, s12_4_what_was_to_renew_it_is_lost_with_it)
{
  g_autoptr(OwnBed) own = holder();
  MascRecord *older = add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, -5000);

  add_pend(own, HELD, MASC_PEND_DELAYED)->renews = true;
  masc_clash_rivalled(zone_of(own), older, now_of(own));
  own_expect(own_bed_pending(own, 0), "");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), 1);
}

/* By hand it is left to those that it is about, and to them only what they use of it. */
Test(masc_own_turns, s12_4_to_whom_it_is_left)
{
  g_autoptr(OwnBed) own = holder();
  MascClash clash = { .prefix = masc_bed_prefix("233.252.4.0/22"), .domain = 3, .withheld = true };

  own->bed->params.clash = MASC_CLASH_MANUAL;
  add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 9, HELD, 50);
  add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, "233.252.6.0/24", 50);
  g_array_append_val(owns_of(own)->clashes, clash);
  masc_bed_clear(own->bed);
  cr_expect(masc_zone_resolve(zone_of(own), clash.prefix, false, now_of(own), NULL));
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 0);
  add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, "233.252.4.0/25", 50);
  g_array_index(owns_of(own)->clashes, MascClash, 0) = clash;
  cr_expect(masc_zone_resolve(zone_of(own), clash.prefix, false, now_of(own), NULL));
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_WITHDRAW, NULL), 1);
}

/* ---- local use (12.2) ------------------------------------------------------------------------ */

/* Of very much that is used here and there, so many prefixes at most: the nearest are joined. */
Test(masc_own_turns, s12_2_what_is_used_in_many_places)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *lower;

  own_bed_win(own, 0, "233.252.0.0/18");
  for (unsigned i = 1; i < 9; i++) {
    g_autofree char *text = g_strdup_printf("233.252.%u.0-233.252.%u.255", 7 * i, 7 * i);
    own_bed_use(own, 0, text);
  }
  own_bed_use(own, 0, "233.252.60.0-233.252.61.255");
  own_bed_use(own, 0, "233.252.62.5");
  zone_of(own)->config.parent = true;
  masc_own_children_changed(zone_of(own), now_of(own));
  own_bed_pass(own, 0);
  lower = owns_of(own)->held[MASC_LOWER];
  cr_expect_eq(lower->len, 8);
  MalPrefix joined = masc_bed_prefix("233.252.60.0/22");
  cr_expect_not_null(masc_own_covering(zone_of(own), joined, true));
  for (unsigned i = 1; i < 9; i++) {
    g_autofree char *text = g_strdup_printf("233.252.%u.0/24", 7 * i);
    cr_expect_not_null(masc_own_covering(zone_of(own), masc_bed_prefix(text), true), "%s", text);
  }
}

/* Newer than what was given up there; but not of the future, nor lasting for less than none. */
Test(masc_own_turns, s11_7_what_is_said_after_a_withdraw_is_newer)
{
  static const struct {
    const char *why;
    int32_t given_up;           /* seconds from now */
    int64_t lifetime;           /* of what we hold */
    int32_t said;               /* from now */
  } rows[] = {
    { "given up before", -100, 86400, -99 },
    { "in the future", 100, 86400, -500 },
    { "after it ended", -100, 50, -99 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim said;
    masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
    own_bed_win(own, 0, HELD);
    own_bed_use(own, 0, "233.252.4.7");
    held_of(own)->claim.timestamp = masc_bed_time(own->bed, 500);
    held_of(own)->claim.lifetime = held_of(own)->claim.holdtime = (uint32_t)rows[i].lifetime;
    add_record(own, MASC_WITHDRAW, MASC_CHILD, 2, HELD, rows[i].given_up);
    masc_bed_clear(own->bed);
    zone_of(own)->config.parent = true;
    cr_expect(masc_local_leaf(zone_of(own), now_of(own)));
    bool sent = masc_bed_sent(own->bed, 0, 2, MASC_PREFIX_IN_USE, &said) > 0;
    if (sent)
      cr_expect_eq((int32_t)(said.timestamp - masc_bed_time(own->bed, 0)), rows[i].said, "%s",
                   rows[i].why);
    cr_expect(sent || rows[i].lifetime < 500, "%s", rows[i].why);
  }
}

Test(masc_own_turns, s12_2_a_leaf_until_the_start)
{
  g_autoptr(OwnBed) own = holder();

  zone_of(own)->config.parent = true;
  zone_of(own)->started = false;
  cr_expect_not(masc_local_leaf(zone_of(own), now_of(own)));
  cr_expect(owns_of(own)->leaf);
  zone_of(own)->started = true;
  cr_expect(masc_local_leaf(zone_of(own), now_of(own)));
}
