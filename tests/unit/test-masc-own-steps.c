/* What others say of ours, and what is planned, step by step (RFC 2909 5, 11.2 to 11.7, 12.5, 14,
   17.1): single questions, each with what it takes to ask it. */
#include "tests/unit/masc-own-ask.h"

#include <criterion/criterion.h>

/* Of ours, by that node of ours. */
static MascRecord *add_ours(OwnBed *own, MascClaimType type, MascId node, const char *prefix,
                            int32_t later)
{
  MascRecord r = { .claim = masc_bed_claim(own->bed, type, MASC_INTERNAL, 2, prefix), .parent = 1 };

  r.claim.node = node;
  r.claim.timestamp += (uint32_t)later;
  r.forget_at = masc_claim_forget_at(&r.claim, 100);
  return masc_cache_add(zone_of(own)->cache, &r);
}

/* ---- told (11.2.4, 14) ----------------------------------------------------------------------- */

/* What an internal peer calls PREFIX_MANAGED is our PREFIX_IN_USE; of hints we believe whom we
   believe otherwise. */
Test(masc_own_steps, s11_6_3_managed_is_in_use)
{
  static const struct {
    const char *why;
    MascClaimType known, told;
    int32_t later;              /* what is known */
    bool hint;
    MascRole by;
    bool believed;
  } rows[] = {
    { "newer as managed", MASC_PREFIX_MANAGED, MASC_PREFIX_IN_USE, 5, false, MASC_INTERNAL, false },
    { "older as managed", MASC_PREFIX_MANAGED, MASC_PREFIX_MANAGED, -5, false, MASC_INTERNAL,
      true },
    { "a hint of an internal peer's", MASC_PREFIX_IN_USE, MASC_NEW_CLAIM, 5, true, MASC_INTERNAL,
      true },
    { "a hint by a sibling", MASC_PREFIX_IN_USE, MASC_NEW_CLAIM, 5, true, MASC_SIBLING, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPeer peer = { .role = rows[i].by, .domain = 2, .up = true };
    MascClaim told = masc_bed_claim(own->bed, rows[i].told, MASC_INTERNAL, 2, HELD);
    add_ours(own, rows[i].known, 2001, "233.252.4.0/23", rows[i].later);
    told.node = 2001;
    if (rows[i].hint)
      told.prefix.address.value = 0;
    cr_expect_eq(masc_own_told(zone_of(own), &told, &peer, now_of(own)), rows[i].believed, "%s",
                 rows[i].why);
  }
}

/* 5.1 a, c: of what internal peers have or claim nothing is begun; what comes back to us under our
   own name is no rival. */
Test(masc_own_steps, s5_1_c_what_an_internal_peer_told_and_what_waits)
{
  static const struct {
    MascClaimType type;
    MascId node;
    unsigned collides;
  } rows[] = {
    { MASC_NEW_CLAIM, 2001, 1 },
    { MASC_NEW_CLAIM, 2000, 0 },
    { MASC_PREFIX_MANAGED, 2000, 1 },
    { MASC_PREFIX_IN_USE, 2001, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    own_bed_wish(own, 0, MASC_WISH_CLAIM, HELD, NULL);
    masc_own_took(zone_of(own), add_ours(own, rows[i].type, rows[i].node, HELD, 0), now_of(own));
    own_expect(own_bed_pending(own, 0), "");
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_COLLISION), rows[i].collides, "row %zu", i);
  }
}

/* ---- withdrawn (11.7.3) ---------------------------------------------------------------------- */

static bool withdrawn(OwnBed *own, MascRecord withdraw, MascRole by)
{
  MascPeer peer = { .role = by, .domain = 2, .up = true };

  withdraw.claim.type = MASC_WITHDRAW;
  return masc_own_withdrawn(zone_of(own), &withdraw, &peer, now_of(own));
}

Test(masc_own_steps, s11_7_3_what_can_be_withdrawn)
{
  static const struct {
    MascClaimType type;
    bool can;
  } rows[] = {
    { MASC_PREFIX_IN_USE, true },
    { MASC_NEW_CLAIM, true },
    { MASC_CLAIM_DENIED, false },
    { MASC_WITHDRAW, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascRecord *r = add_record(own, rows[i].type, MASC_INTERNAL, 2, HELD, 0);
    cr_expect_eq(withdrawn(own, *r, MASC_INTERNAL), rows[i].can, "row %zu", i);
  }
}

/* 11.5: also what was only asked for. */
Test(masc_own_steps, s11_5_a_hint_can_be_withdrawn)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascRecord hint = { .claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 2, HELD),
                      .parent = 1 };

  hint.claim.prefix.address.value = 0;
  hint.forget_at = masc_claim_forget_at(&hint.claim, 100);
  cr_expect_not(withdrawn(own, hint, MASC_INTERNAL), "nobody asked for it");
  masc_cache_add(zone_of(own)->cache, &hint);
  cr_expect(withdrawn(own, hint, MASC_INTERNAL));
}

/* A claim that is won waits for its row only: what it won is another record. */
Test(masc_own_steps, s11_7_3_a_claim_that_is_withdrawn_elsewhere)
{
  static const struct {
    MascPendState state;
    bool gone;
  } rows[] = {
    { MASC_PEND_DELAYED, false },
    { MASC_PEND_CLAIMING, true },
    { MASC_PEND_HELD_UP, true },
    { MASC_PEND_KEEPING, true },
    { MASC_PEND_KEPT, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascRecord w = { .claim = add_pend(own, HELD, rows[i].state)->claim, .parent = 1 };
    cr_expect_eq(withdrawn(own, w, MASC_INTERNAL), rows[i].gone, "row %zu", i);
    cr_expect_eq(owns_of(own)->pends->len, !rows[i].gone, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), rows[i].gone, "row %zu", i);
  }
}

/* 14: it is said again to who takes it for withdrawn, if there is anything left to be said. */
Test(masc_own_steps, s14_what_would_be_over_is_not_said_again)
{
  for (unsigned left = 0; left < 2; left++) {
    g_autoptr(OwnBed) own = holder();
    MascRecord w = { .claim = masc_bed_claim(own->bed, MASC_WITHDRAW, MASC_INTERNAL, 2, HELD) };
    w.claim.timestamp--;
    held_of(own)->until = (MalTime)w.claim.timestamp + 1 + left;
    cr_expect_not(withdrawn(own, w, MASC_SIBLING));
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_SIBLING, MASC_PREFIX_IN_USE, NULL), left);
  }
}

/* 12.4: a sibling remembers that we gave way. The operator hears of that clash, and of no other. */
Test(masc_own_steps, s12_4_which_clash_was_lost)
{
  g_autoptr(OwnBed) own = holder();
  MascClash clashes[] = {
    { .prefix = masc_bed_prefix(HELD), .domain = 7, .lower = true },
    { .prefix = masc_bed_prefix("233.252.8.0/24"), .domain = 8 },
    { .prefix = masc_bed_prefix("233.252.4.0/25"), .domain = 9 },
  };
  MascRecord w = { .claim = held_of(own)->claim, .clash = true };

  g_array_append_vals(owns_of(own)->clashes, clashes, G_N_ELEMENTS(clashes));
  cr_expect(withdrawn(own, w, MASC_SIBLING));
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLASH_LOST), 1);
  cr_expect(own->bed->nodes[0].noted[MASC_NOTE_CLASH_LOST] == 9);
}

/* ---- parents (11.7.4, 12.5) ------------------------------------------------------------------ */

Test(masc_own_steps, s11_7_4_what_a_parent_withdrew_is_given_up_once)
{
  g_autoptr(OwnBed) own = holder();
  MascHeld held = *held_of(own);
  MascRecord *w = add_record(own, MASC_WITHDRAW, MASC_PARENT, 1, "233.252.0.0/17", 5);

  w->names = true;
  cr_expect_not(masc_own_cut_lost(zone_of(own), &held, now_of(own)), "it is of a claim only");
  masc_cache_remove(zone_of(own)->cache, w);
  add_record(own, MASC_WITHDRAW, MASC_PARENT, 1, "233.252.0.0/17", 5);
  cr_expect(masc_own_cut_lost(zone_of(own), &held, now_of(own)));
  cr_expect_not(masc_own_cut_lost(zone_of(own), &held, now_of(own)));
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_PARENT_WITHDREW), 1);
}

/* What others withdraw of it is no loss where another parent manages it. */
Test(masc_own_steps, s11_7_4_what_another_parent_manages_stays)
{
  g_autoptr(OwnBed) own = holder();
  MascHeld held = *held_of(own);

  add_record(own, MASC_WITHDRAW, MASC_PARENT, 7, "233.252.4.0/23", 5);
  add_record(own, MASC_WITHDRAW, MASC_PARENT, 8, "233.252.4.0/25", 5);
  cr_expect_not(masc_own_cut_lost(zone_of(own), &held, now_of(own)));
}

/* What we claim for our own use out of what a parent takes back ends with that. */
Test(masc_own_steps, s12_5_claims_below_what_a_parent_withdrew)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim w = masc_bed_claim(own->bed, MASC_WITHDRAW, MASC_PARENT, 1, HELD);

  add_pend(own, "233.252.4.0/25", MASC_PEND_DELAYED)->lower = true;
  add_pend(own, "233.252.6.0/25", MASC_PEND_DELAYED)->lower = true;
  add_pend(own, "233.252.4.128/25", MASC_PEND_KEPT)->lower = true;
  masc_own_parent_changed(zone_of(own), NULL, now_of(own));
  cr_expect_eq(owns_of(own)->pends->len, 3);
  masc_own_parent_changed(zone_of(own), &w, now_of(own));
  own_expect(own_bed_pending(own, 0), "233.252.6.0/25 233.252.4.128/25");
}

Test(masc_own_steps, s12_5_nothing_is_looked_at_before_the_start)
{
  g_autoptr(OwnBed) own = holder();
  MascClaim w = masc_bed_claim(own->bed, MASC_WITHDRAW, MASC_PARENT, 1, HELD);

  add_pend(own, "233.252.4.0/25", MASC_PEND_DELAYED)->lower = true;
  zone_of(own)->started = false;
  masc_own_parent_changed(zone_of(own), &w, now_of(own));
  own_expect(own_bed_pending(own, 0), "233.252.4.0/25");
  zone_of(own)->started = true;
  masc_own_parent_changed(zone_of(own), &w, now_of(own));
  own_expect(own_bed_pending(own, 0), "");
}

/* ---- children's strays (11.7.4, 14) ---------------------------------------------------------- */

Test(masc_own_steps, s11_7_4_who_hears_that_it_is_not_ours)
{
  static const struct {
    const char *why, *prefix;
    MascRole role;              /* what we are to who says it */
    unsigned told;
  } rows[] = {
    { "a child", "233.252.8.0/24", MASC_PARENT, 1 },
    { "of what we have", "233.252.4.0/25", MASC_PARENT, 0 },
    { "one that is no child any more", "233.252.8.0/24", MASC_SIBLING, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    unsigned id = masc_bed_open(own->bed, 0, rows[i].role, 5, 0);
    MascClaim claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_CHILD, 5, rows[i].prefix);
    MascPeer peer = { .id = id, .role = MASC_PARENT, .domain = 5, .up = true };
    masc_bed_clear(own->bed);
    masc_own_strays(zone_of(own), &claim, &peer, now_of(own));
    cr_expect_eq(masc_bed_sent(own->bed, 0, id, MASC_WITHDRAW, NULL), rows[i].told, "%s",
                 rows[i].why);
  }
}

/* While we recover so many wait at most, and no longer than that takes. */
Test(masc_own_steps, s14_strays_wait_until_it_is_known)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascOwns *owns = owns_of(own);
  unsigned id = masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
  MascClaim claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_CHILD, 5, "233.252.8.0/24");
  MascPeer peer = { .id = id, .role = MASC_PARENT, .domain = 5, .up = true };
  int64_t until = now_of(own).mono + 500 * MASC_SECOND;

  owns->recovering_until = until;
  owns->due = 5;
  masc_own_strays(zone_of(own), &claim, &peer, now_of(own));
  cr_expect_eq(owns->due, 5);
  owns->due = MASC_NEVER;
  for (unsigned i = 0; i < 300; i++)
    masc_own_strays(zone_of(own), &claim, &peer, now_of(own));
  cr_expect_eq(owns->due, until);
  cr_expect_eq(owns->strays->len, 256);
}

/* It is ours after all: heard again, of who is still there. */
Test(masc_own_steps, s14_a_stray_is_heard_again)
{
  static const struct {
    MascRole we_are;
    MascId domain;              /* whose it is; told by domain 5 */
    bool there, heard;
  } rows[] = {
    { MASC_PARENT, 5, true, true },
    { MASC_PARENT, 5, false, false },
    { MASC_PARENT, 6, true, true }, /* another child, of whom a child of ours knows */
    { MASC_SIBLING, 5, true, true },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    unsigned id = masc_bed_open(own->bed, 0, rows[i].we_are, 5, 1);
    MascStray stray = { masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_INTERNAL,
                                       rows[i].domain, "233.252.4.0/25"),
                        rows[i].there ? id : 99 };
    stray.claim.lifetime = stray.claim.holdtime = OWN_DAY;
    g_array_append_val(owns_of(own)->strays, stray);
    masc_own_strays_run(zone_of(own), now_of(own));
    cr_expect_eq(owns_of(own)->strays->len, 0);
    cr_expect_eq(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, rows[i].domain, "233.252.4.0/25"),
                 rows[i].heard, "row %zu", i);
  }
}

/* ---- planning (17.1) ------------------------------------------------------------------------- */

static int64_t nexts[2]; /* seconds from now: for our own use, for children's */
static const MascForecast *ours;

static size_t planner(MascForecast *forecast, const MascPlanView *view, MascRandom random,
                      void *user, MascWish *wishes, size_t most, MalTime *next)
{
  (void)random;
  (void)user;
  (void)wishes;
  (void)most;
  *next = mal_time_add(view->now, nexts[forecast != ours]);
  return 0;
}

/* As soon as the first of both plans wants it, not at once, and not later than usual. */
Test(masc_own_steps, s17_1_when_it_is_planned_again)
{
  static const struct {
    bool parent;
    int64_t own, children, interval, planned;
  } rows[] = {
    { false, 50, 0, 250, 50 },  { false, -5, 0, 250, 1 },   { false, 5000, 0, 250, 250 },
    { true, 20, 50, 250, 20 },  { true, 50, 20, 250, 20 },  { true, 500, 600, 250, 250 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascOwns *owns = owns_of(own);
    zone_of(own)->config.parent = rows[i].parent;
    masc_own_children_changed(zone_of(own), now_of(own));
    own_bed_pass(own, 1);
    own->bed->params.plan_interval = rows[i].interval;
    nexts[0] = rows[i].own;
    nexts[1] = rows[i].children;
    ours = owns->uses;
    owns->planner = planner;
    owns->asked = true;
    owns->give_at = 0;
    masc_own_plan(zone_of(own), now_of(own));
    cr_expect_eq(owns->plan_at, now_of(own).mono + rows[i].planned * MASC_SECOND, "row %zu", i);
  }
}

/* What is won and waits for its row is held: it doesn't count twice. */
Test(masc_own_steps, s5_1_what_the_planner_sees_of_claims)
{
  static const struct {
    MascPendState state;
    bool renews;
    size_t n;
  } rows[] = {
    { MASC_PEND_CLAIMING, false, 2 },
    { MASC_PEND_CLAIMING, true, 1 },
    { MASC_PEND_KEPT, false, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    add_pend(own, "233.252.8.0/24", rows[i].state)->renews = rows[i].renews;
    owns_of(own)->asked = true;
    masc_own_plan(zone_of(own), now_of(own));
    cr_expect_eq(own->nodes[0].seen.n_holdings, rows[i].n, "row %zu", i);
  }
}

/* 5.4: what was claimed by hand is not given back by itself; what is below it is another matter. */
Test(masc_own_steps, s5_4_what_was_claimed_by_hand_is_kept)
{
  for (unsigned lower = 0; lower < 2; lower++) {
    g_autoptr(OwnBed) own = holder();
    MascMark mark = { .prefix = masc_bed_prefix(HELD), .lower = lower, .hand = true };
    g_array_append_val(owns_of(own)->marks, mark);
    own_bed_wish(own, 0, MASC_WISH_GIVE, HELD, NULL);
    own_expect(own_bed_held(own, 0, false), lower ? "" : HELD);
  }
}

/* 11.5: a hint is not about any space. Of what is in very many pieces so many count. */
Test(masc_own_steps, s11_5_what_children_use)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascRecord hint = { .claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_CHILD, 5, HELD) };

  hint.claim.prefix.address.value = 0;
  hint.forget_at = masc_claim_forget_at(&hint.claim, 100);
  masc_cache_add(zone_of(own)->cache, &hint);
  g_autoptr(GArray) none = masc_own_children_uses(zone_of(own), now_of(own));
  cr_expect_eq(none->len, 0);
  add_record(own, MASC_PREFIX_IN_USE, MASC_CHILD, 6, "233.252.0.0/17", 0);
  for (unsigned i = 0; i < 40; i++) {
    g_autofree char *text = g_strdup_printf("233.252.%u.0/24", 2 * i);
    add_record(own, MASC_WITHDRAW, MASC_CHILD, 6, text, 5);
  }
  g_autoptr(GArray) uses = masc_own_children_uses(zone_of(own), now_of(own));
  cr_expect_eq(uses->len, 32);
}

/* 11.7: what a child took back is not asked for any more; what it claimed after that is. */
Test(masc_own_steps, s11_7_what_children_claim_and_took_back)
{
  for (int32_t later = -1; later <= 1; later++) {
    g_autoptr(OwnBed) own = own_bed_child();
    add_record(own, MASC_NEW_CLAIM, MASC_CHILD, 5, HELD, 0);
    add_record(own, MASC_WITHDRAW, MASC_CHILD, 5, HELD, later);
    g_autoptr(GArray) uses = masc_own_children_uses(zone_of(own), now_of(own));
    cr_expect_eq(uses->len, later < 0, "%d", later);
  }
}

/* ---- renewing (5.2) -------------------------------------------------------------------------- */

/* What an internal peer claims is a renewal if it is newer than what we have. */
Test(masc_own_steps, s5_2_who_renews_it_already)
{
  for (unsigned newer = 0; newer < 2; newer++) {
    g_autoptr(OwnBed) own = holder();
    own->bed->params.renew_interval = 5;
    held_of(own)->claim.timestamp = masc_bed_time(own->bed, 10);
    held_of(own)->until = now_of(own).wall + 100;
    add_ours(own, MASC_CLAIM_TO_EXPAND, 2001, HELD, newer ? -5 : -20);
    masc_own_renew(zone_of(own), now_of(own));
    cr_expect_eq(owns_of(own)->pends->len, !newer);
  }
}

/* Of what another node claimed: after that one had time to, but not too late, nor at once. */
Test(masc_own_steps, s5_2_when_to_renew_what_another_node_claimed)
{
  static const struct {
    int64_t interval, until, at; /* seconds from its claim */
  } rows[] = {
    { 500, 90000, 1500 },
    { 2000, 90000, 4000 },
    { 500, 3000, 1000 },
    { 500, 2100, 520 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    own->bed->params.renew_interval = rows[i].interval;
    held_of(own)->claim.node = 2001;
    held_of(own)->claim.timestamp = masc_bed_time(own->bed, 0);
    held_of(own)->until = now_of(own).wall + rows[i].until;
    masc_own_renew(zone_of(own), now_of(own));
    cr_expect_eq(owns_of(own)->renew_at, now_of(own).mono + rows[i].at * MASC_SECOND, "row %zu", i);
  }
}

/* The operator hears of what can't be made to last longer when its end comes near. */
Test(masc_own_steps, s5_2_what_can_not_be_renewed)
{
  for (unsigned near = 0; near < 2; near++) {
    g_autoptr(OwnBed) own = holder();
    own->bed->params.renew_interval = 5;
    own->bed->params.prefix_lifetime = 50;
    held_of(own)->claim.timestamp = masc_bed_time(own->bed, 10);
    held_of(own)->until = now_of(own).wall + (near ? 60 : 5000);
    masc_own_renew(zone_of(own), now_of(own));
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), near);
    cr_expect_eq(owns_of(own)->pends->len, 0);
  }
}
