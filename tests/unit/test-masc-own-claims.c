/* What we claim and what becomes of it, step by step (RFC 2909 5.1 to 5.3, 8.3, 11.3.3, 13): single
   questions, each with what it takes to ask it. */
#include "tests/unit/masc-own-ask.h"

#include <criterion/criterion.h>

/* In the cache, of ours or of whoever is meant; told by parent 1's or in its space. */
static MascRecord *add_claim(OwnBed *own, const MascClaim *claim)
{
  MascRecord r = { .claim = *claim, .parent = 1, .forget_at = masc_claim_forget_at(claim, 100) };

  return masc_cache_add(zone_of(own)->cache, &r);
}

static MascPend *add_due(OwnBed *own, const char *prefix, MascPendState state)
{
  MascPend *pend = add_pend(own, prefix, state);

  pend->due = now_of(own).mono;
  return pend;
}

/* What is still in the list afterwards. */
static guint run(OwnBed *own)
{
  masc_pends_run(zone_of(own), now_of(own));
  return owns_of(own)->pends->len;
}

static MascPend *pend_of(const OwnBed *own)
{
  return &g_array_index(owns_of(own)->pends, MascPend, 0);
}

/* ---- waiting (5.1 a) ------------------------------------------------------------------------- */

Test(masc_own_claims, s5_1_a_what_is_forgotten_before_it_is_sent)
{
  static const struct {
    MascPendState state;
    bool lower, hand, renews, gone;
  } rows[] = {
    { MASC_PEND_DELAYED, false, false, false, true },
    { MASC_PEND_DELAYED, true, false, false, false },
    { MASC_PEND_DELAYED, false, true, false, false },
    { MASC_PEND_DELAYED, false, false, true, false },
    { MASC_PEND_CLAIMING, false, false, false, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPend *pend = add_pend(own, HELD, rows[i].state);
    pend->lower = rows[i].lower;
    pend->hand = rows[i].hand;
    pend->renews = rows[i].renews;
    masc_pend_forget_delayed(zone_of(own), false, now_of(own));
    cr_expect_eq(owns_of(own)->pends->len, !rows[i].gone, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), rows[i].gone, "row %zu", i);
  }
}

/* What a sibling used is no reason any more when its lifetime is over, though it is known still. */
Test(masc_own_claims, s5_1_what_others_used_until_lately)
{
  for (unsigned over = 0; over < 2; over++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim used = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD);
    used.timestamp -= 100;
    used.lifetime = over ? 100 : 101;
    add_claim(own, &used);
    add_due(own, HELD, MASC_PEND_DELAYED);
    cr_expect_eq(run(own), over);
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), over);
  }
}

/* 13: what comes back from the disk may be about what is ours meanwhile, or no longer. */
Test(masc_own_claims, s5_3_what_is_claimed_beside_what_is_ours)
{
  static const struct {
    const char *prefix, *from;
    bool claimed;
  } rows[] = {
    { "233.252.8.0/24", NULL, true },
    { "233.252.4.0/25", NULL, false },
    { "233.252.4.0/23", NULL, false },
    { "233.252.4.0/23", HELD, true },
    { "233.252.4.0/25", "233.252.4.0/26", false },
    { "233.252.8.0/23", "233.252.8.0/24", false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascPend *pend = add_due(own, rows[i].prefix, MASC_PEND_DELAYED);
    if (rows[i].from != NULL)
      pend->from = masc_bed_prefix(rows[i].from);
    cr_expect_eq(run(own), rows[i].claimed, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), !rows[i].claimed, "row %zu", i);
  }
}

/* What would be over before it is won is not worth a claim, nor is anything out of what a parent
   gives up (4.3); the planner keeps off it for a while. Where nobody manages it, it isn't even
   looked at. */
Test(masc_own_claims, s5_1_what_a_parent_has_not_long_enough)
{
  static const struct {
    int64_t left; /* 0: nobody manages it */
    bool deprecated, claimed;
    guint avoided;
  } rows[] = {
    { OWN_DAY, false, true, 0 }, { 1001, false, true, 0 }, { 1000, false, false, 1 },
    { OWN_DAY, true, false, 1 }, { 0, false, false, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim ground =
        masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_PARENT, 1, "233.252.128.0/18");
    ground.lifetime = (uint32_t)rows[i].left;
    ground.deprecated = rows[i].deprecated;
    if (rows[i].left > 0)
      add_claim(own, &ground);
    add_due(own, "233.252.130.0/24", MASC_PEND_DELAYED);
    cr_expect_eq(run(own), rows[i].claimed, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), !rows[i].claimed, "row %zu", i);
    cr_expect_eq(owns_of(own)->avoid->len, rows[i].avoided, "row %zu", i);
  }
}

/* A renewal that can't be is tried again before long; nobody needs to hear of it. */
Test(masc_own_claims, s5_2_a_renewal_without_a_ground)
{
  g_autoptr(OwnBed) own = holder();
  MascRecord *ground = g_ptr_array_index(masc_cache_grounds(zone_of(own)->cache), 0);

  ground->claim.deprecated = true;
  add_due(own, HELD, MASC_PEND_DELAYED)->renews = true;
  cr_expect_eq(run(own), 0);
  cr_expect_eq(owns_of(own)->avoid->len, 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), 0);
  cr_expect_eq(owns_of(own)->renew_at, masc_own_after(now_of(own), masc_own_settle(zone_of(own))));
}

/* ---- winning (5.1 d) ------------------------------------------------------------------------- */

/* The operator said for how long; the parent would have granted more. */
Test(masc_own_claims, s5_1_d_it_lasts_as_long_as_was_claimed)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MalTime claimed;

  cr_assert(masc_zone_claim(zone_of(own), masc_bed_prefix(HELD), false, 5000, now_of(own), NULL));
  own_bed_pass(own, 20);
  claimed = (MalTime)pend_of(own)->claim.timestamp;
  own_bed_pass(own, 1100);
  cr_expect_eq(own_bed_until(own, 0, HELD), claimed + 5000);
}

/* Held up, or with the ground gone, it may be over when it would be won. */
Test(masc_own_claims, s5_1_d_what_is_over_is_not_won)
{
  static const struct {
    const char *prefix;
    uint32_t lifetime;
    bool won;
  } rows[] = {
    { HELD, 2001, true },
    { HELD, 2000, false },
    { "233.252.192.0/24", 90000, false }, /* nobody's */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPend *pend = add_due(own, rows[i].prefix, MASC_PEND_HELD_UP);
    pend->claim.timestamp -= 2000;
    pend->claim.lifetime = rows[i].lifetime;
    cr_expect_eq(run(own), 0, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_WON), rows[i].won, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CANCELLED), !rows[i].won, "row %zu", i);
    cr_expect_eq(masc_bed_has(own->bed, 0, MASC_PREFIX_IN_USE, 2, rows[i].prefix), rows[i].won,
                 "row %zu", i);
  }
}

/* ---- the disk (13) --------------------------------------------------------------------------- */

#define TICKET 7

/* Rows of ours are durable at once, the cache's later. */
static uint64_t keep_records_late(void *user, MascZone *zone, const MascKept *kept)
{
  (void)user;
  (void)zone;
  return kept->key[0] == 'o' ? 0 : TICKET;
}

Test(masc_own_claims, s13_a_row_goes_when_the_caches_own_is_there)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZoneOps ops = *zone_of(own)->config.ops;

  ops.keep = keep_records_late;
  zone_of(own)->config.ops = &ops;
  add_due(own, HELD, MASC_PEND_CLAIMING);
  cr_assert_eq(run(own), 1);
  cr_expect_eq(pend_of(own)->state, MASC_PEND_KEPT);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_WON), 1);
  masc_pends_kept(zone_of(own), TICKET - 1, true, now_of(own));
  cr_expect_eq(owns_of(own)->pends->len, 1);
  masc_pends_kept(zone_of(own), TICKET, true, now_of(own));
  cr_expect_eq(owns_of(own)->pends->len, 0);
}

/* Its row stays until the disk has taken what was announced, or that is gone. */
Test(masc_own_claims, s13_what_was_announced_is_written_again)
{
  static const struct {
    bool known, slow;
    guint stays;
  } rows[] = {
    { true, true, 1 },
    { true, false, 0 },
    { false, true, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPend *pend = add_due(own, HELD, MASC_PEND_KEPT);
    uint64_t asked = own->nodes[0].asked;
    pend->claim.type = MASC_PREFIX_IN_USE;
    if (rows[i].known)
      add_claim(own, &pend->claim);
    own->nodes[0].slow = rows[i].slow;
    cr_expect_eq(run(own), rows[i].stays, "row %zu", i);
    if (rows[i].stays > 0) {
      cr_expect_eq(pend_of(own)->ticket, asked + 1);
      cr_expect_eq(pend_of(own)->due, MASC_NEVER);
    }
  }
}

/* ---- rivals (5.1 c) -------------------------------------------------------------------------- */

/* What is announced is no claim any more: if two use it, that is a clash (12.4). */
Test(masc_own_claims, s5_1_c_what_a_rival_takes)
{
  static const struct {
    MascPendState state;
    guint stays;
  } rows[] = {
    { MASC_PEND_DELAYED, 0 }, { MASC_PEND_CLAIMING, 0 }, { MASC_PEND_HELD_UP, 0 },
    { MASC_PEND_KEEPING, 0 }, { MASC_PEND_KEPT, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascRecord *rival;
    add_pend(own, HELD, rows[i].state);
    rival = add_record(own, MASC_PREFIX_IN_USE, MASC_SIBLING, 3, HELD, -500);
    masc_own_collide(zone_of(own), rival, false, now_of(own));
    cr_expect_eq(owns_of(own)->pends->len, rows[i].stays, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_COLLISION), !rows[i].stays, "row %zu", i);
  }
}

/* ---- denied (8.3, 11.3.3) -------------------------------------------------------------------- */

static bool deny(OwnBed *own, uint32_t lifetime)
{
  const MascPend *pend = pend_of(own);
  MascClaim denial = pend->claim;

  denial.type = MASC_CLAIM_DENIED;
  denial.role = pend->lower ? MASC_INTERNAL : MASC_PARENT;
  denial.lifetime = lifetime;
  return masc_own_denied(zone_of(own), &denial, now_of(own));
}

Test(masc_own_claims, s11_3_3_which_claims_can_be_denied)
{
  static const struct {
    MascPendState state;
    bool denied;
  } rows[] = {
    { MASC_PEND_DELAYED, false }, { MASC_PEND_CLAIMING, true }, { MASC_PEND_HELD_UP, true },
    { MASC_PEND_KEEPING, true },  { MASC_PEND_KEPT, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    add_pend(own, HELD, rows[i].state);
    cr_expect_eq(deny(own, 0), rows[i].denied, "row %zu", i);
    cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DENIED), rows[i].denied, "row %zu", i);
    cr_expect_eq(owns_of(own)->pends->len, !rows[i].denied, "row %zu", i);
  }
}

/* Shorter than it was (9,000 s), where that is worth anything; but not for ever. */
Test(masc_own_claims, s11_3_3_when_it_is_claimed_again)
{
  static const struct {
    bool lower;
    unsigned tries;
    uint32_t lifetime;
    guint again, bounds;
  } rows[] = {
    { false, 0, 5000, 1, 1 }, { true, 0, 5000, 1, 0 },  { false, 2, 5000, 1, 1 },
    { false, 3, 5000, 0, 1 }, { false, 0, 1000, 0, 0 }, { false, 0, 9000, 0, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPend *pend = add_pend(own, HELD, MASC_PEND_CLAIMING);
    pend->lower = rows[i].lower;
    pend->tries = rows[i].tries;
    pend->claim.lifetime = 9000;
    cr_assert(deny(own, rows[i].lifetime));
    cr_assert_eq(owns_of(own)->pends->len, rows[i].again, "row %zu", i);
    cr_expect_eq(owns_of(own)->bounds->len, rows[i].bounds, "row %zu", i);
    cr_expect_eq(owns_of(own)->avoid->len, !rows[i].again, "row %zu", i);
    if (rows[i].again > 0) {
      cr_expect_eq(pend_of(own)->lifetime, rows[i].lifetime);
      cr_expect_eq(pend_of(own)->tries, rows[i].tries + 1);
      cr_expect_eq(pend_of(own)->lower, rows[i].lower);
    }
  }
}

/* What we deny ourselves for our own use is no bound of a parent's. */
Test(masc_own_claims, s8_3_half_of_it_is_claimed)
{
  for (unsigned lower = 0; lower < 2; lower++) {
    g_autoptr(OwnBed) own = own_bed_child();
    add_pend(own, "233.252.16.0/20", MASC_PEND_CLAIMING)->lower = lower;
    cr_assert(deny(own, 0));
    own_expect(own_bed_pending(own, 0), "233.252.16.0/21");
    cr_expect_eq(pend_of(own)->lower, lower);
    cr_expect_eq(owns_of(own)->bounds->len, !lower);
  }
}

/* Who is denied again and again plans when there is another reason to. */
Test(masc_own_claims, s11_3_3_denied_too_often_to_plan_at_once)
{
  for (unsigned before = 2; before < 4; before++) {
    g_autoptr(OwnBed) own = own_bed_child();
    add_pend(own, HELD, MASC_PEND_CLAIMING)->hand = true;
    owns_of(own)->denials = before;
    owns_of(own)->plan_at = MASC_NEVER;
    cr_assert(deny(own, 0));
    cr_expect_eq(owns_of(own)->denials, before + 1);
    cr_expect_eq(owns_of(own)->plan_at == MASC_NEVER, before == 3);
  }
}

/* 4.2: a renewal is tried again less and less often, but as often as it would be renewed. */
Test(masc_own_claims, s4_2_when_a_denied_renewal_is_tried_again)
{
  static const struct {
    unsigned before;
    int64_t interval, wait;
  } rows[] = {
    { 0, OWN_DAY, 62 }, { 1, OWN_DAY, 124 }, { 3, OWN_DAY, 496 }, { 40, OWN_DAY, OWN_DAY },
    { 0, 100, 62 },     { 1, 100, 100 },     { 0, 20, 20 },       { 0, 0, 1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = holder();
    MascMark *mark = masc_own_mark(zone_of(own), masc_bed_prefix(HELD), false, now_of(own));
    own->bed->params.renew_interval = rows[i].interval;
    mark->denials = rows[i].before;
    add_pend(own, HELD, MASC_PEND_CLAIMING)->renews = true;
    cr_assert(deny(own, 0));
    cr_expect_eq(mark->denials, rows[i].before + 1, "row %zu", i);
    cr_expect_eq(mark->again, masc_own_after(now_of(own), rows[i].wait), "row %zu", i);
    cr_expect_eq(owns_of(own)->avoid->len, 0, "row %zu", i);
  }
}

/* It ended while its renewal was on its way. */
Test(masc_own_claims, s5_2_a_denied_renewal_of_what_is_no_longer_ours)
{
  g_autoptr(OwnBed) own = own_bed_child();

  add_pend(own, HELD, MASC_PEND_CLAIMING)->renews = true;
  cr_expect(deny(own, 0));
  cr_expect_eq(owns_of(own)->marks->len, 0);
  cr_expect_eq(owns_of(own)->pends->len, 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_UNRENEWED), 0);
}
