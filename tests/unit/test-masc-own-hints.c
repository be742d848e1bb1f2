/* Asking for room (RFC 2909 11.5): one parent at a time, and internal peers for who has none. */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

#define WAITING 1000
#define AGAIN (WAITING / 4 + 10)

/* ---- several parents ------------------------------------------------------------------------- */

typedef struct {
  OwnBed *own;
  unsigned other;             /* a node of parent 4, which manages 233.252.128.0/18 */
} Parents;

static Parents parents_new(void)
{
  Parents p = { .own = own_bed_child() };

  p.other = masc_bed_open(p.own->bed, 0, MASC_CHILD, 4, 0);
  own_bed_say(p.own, p.other, MASC_PREFIX_MANAGED, "233.252.128.0/18", 0);
  own_bed_pass(p.own, 100);
  masc_bed_clear(p.own->bed);
  return p;
}

static void parents_clear(Parents *p)
{
  own_bed_free(p->own);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parents, parents_clear)

static unsigned asked(const Parents *p, unsigned peer)
{
  return masc_bed_sent(p->own->bed, 0, peer, MASC_NEW_CLAIM, NULL);
}

static unsigned taken_back(const Parents *p, unsigned peer)
{
  return masc_bed_sent(p->own->bed, 0, peer, MASC_WITHDRAW, NULL);
}

static void hint(const Parents *p)
{
  own_bed_wish(p->own, 0, MASC_WISH_HINT, "233.252.0.0/20", NULL);
}

/* Asks for SECONDS, whenever it may. */
static void hint_for(const Parents *p, int64_t seconds)
{
  for (; seconds > 0; seconds -= AGAIN) {
    own_bed_pass(p->own, AGAIN);
    hint(p);
  }
}

Test(masc_own_hints, s11_5_who_never_delivers_is_followed_by_the_next)
{
  g_auto(Parents) p = parents_new();

  hint(&p);
  hint_for(&p, 2 * WAITING - 2 * AGAIN);
  cr_expect_geq(asked(&p, OWN_PARENT), 6);
  cr_expect_eq(asked(&p, p.other), 0, "that would be twice what is wanted");
  cr_expect_eq(taken_back(&p, OWN_PARENT), 0);
  masc_bed_clear(p.own->bed);
  hint_for(&p, 2 * AGAIN);
  cr_expect_eq(asked(&p, p.other), 1);
  cr_expect_eq(taken_back(&p, OWN_PARENT), 1);
  cr_expect_eq(taken_back(&p, p.other), 0);
  hint_for(&p, 2 * WAITING + 2 * AGAIN);
  cr_expect_eq(taken_back(&p, p.other), 1, "and then the first one again");
  masc_bed_clear(p.own->bed);
  hint_for(&p, AGAIN);
  cr_expect_eq(asked(&p, OWN_PARENT), 1);
}

/* It counts for a waiting period, however seldom the planner runs by itself. */
Test(masc_own_hints, s11_5_it_is_said_again_before_it_is_forgotten)
{
  g_auto(Parents) p = parents_new();
  unsigned plans;

  p.own->bed->params.plan_interval = 20 * WAITING;
  hint(&p);
  plans = p.own->nodes[0].plans;
  own_bed_pass(p.own, AGAIN);
  cr_expect_gt(p.own->nodes[0].plans, plans, "the planner is asked whether it is still wanted");
  plans = p.own->nodes[0].plans;
  own_bed_pass(p.own, 4 * WAITING);
  cr_expect_eq(p.own->nodes[0].plans, plans, "it was not");
}

/* What it said, to the letter: the parent has no other way to know what is taken back. */
Test(masc_own_hints, s11_5_what_is_taken_back_is_what_was_asked_for)
{
  g_auto(Parents) p = parents_new();
  MascClaim hinted, withdraw;

  hint(&p);
  cr_assert_eq(masc_bed_sent(p.own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &hinted), 1);
  masc_bed_down(p.own->bed, 0);
  hint(&p);
  masc_bed_up(p.own->bed, 0);
  cr_expect_eq(asked(&p, p.other), 1, "at once: nobody of the first one is there");
  p.own->bed->params.waiting_period = 10 * WAITING;
  hint(&p);
  p.own->bed->params.waiting_period = WAITING;
  hint_for(&p, 2 * WAITING + AGAIN);
  cr_assert_eq(masc_bed_sent(p.own->bed, 0, p.other, MASC_WITHDRAW, &withdraw), 1);
  cr_assert(masc_bed_sent(p.own->bed, 0, p.other, MASC_NEW_CLAIM, &hinted) > 0);
  cr_expect_eq(withdraw.timestamp, hinted.timestamp);
  cr_expect_eq(withdraw.prefix.length, hinted.prefix.length);
  cr_expect(withdraw.prefix.address.value == 0);
  cr_expect_eq(withdraw.lifetime, 0);
}

Test(masc_own_hints, s11_5_whose_turn_it_is_outlives_a_restart)
{
  g_auto(Parents) p = parents_new();

  hint(&p);
  hint_for(&p, 2 * WAITING);
  cr_expect_eq(asked(&p, p.other), 1);
  own_bed_reboot(p.own, 0, true);
  masc_bed_clear(p.own->bed);
  hint_for(&p, WAITING);
  cr_expect_eq(asked(&p, OWN_PARENT), 0, "that would be the first one again");
  cr_expect_geq(asked(&p, p.other), 2);
  hint_for(&p, WAITING + AGAIN);
  cr_expect_geq(asked(&p, OWN_PARENT), 1, "and its turn is no longer for it");
}

/* What was written before the turn was. */
Test(masc_own_hints, s13_a_row_without_a_turn)
{
  g_auto(Parents) p = parents_new();
  const uint8_t key[] = { 'o', 'm' };
  uint8_t row[18] = { 1, 3 };

  own_bed_reboot(p.own, 0, true);
  MascZone *zone = p.own->bed->nodes[0].zone;
  cr_expect(masc_zone_restore(zone, key, sizeof key, row, sizeof row, masc_bed_now(p.own->bed, 0)));
  row[0] = 2;
  cr_expect_not(
    masc_zone_restore(zone, key, sizeof key, row, sizeof row, masc_bed_now(p.own->bed, 0)));
  row[0] = 3;
  cr_expect_not(
    masc_zone_restore(zone, key, sizeof key, row, sizeof row, masc_bed_now(p.own->bed, 0)));
}

Test(masc_own_hints, s11_5_who_delivers_is_asked_for_more)
{
  g_auto(Parents) p = parents_new();

  hint(&p);
  hint_for(&p, WAITING + WAITING / 2);
  own_bed_say(p.own, OWN_PARENT, MASC_PREFIX_MANAGED, "233.252.192.0/20", 0);
  hint_for(&p, WAITING);
  cr_expect_eq(asked(&p, p.other), 0);
  hint_for(&p, 2 * WAITING);
  cr_expect_geq(asked(&p, p.other), 1);
}

Test(masc_own_hints, s11_5_who_denies_is_followed_by_the_next)
{
  g_auto(Parents) p = parents_new();
  MascClaim denial;

  hint(&p);
  cr_assert_eq(masc_bed_sent(p.own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &denial), 1);
  denial.type = MASC_CLAIM_DENIED;
  cr_expect_eq(masc_bed_say(p.own->bed, 0, OWN_PARENT, &denial), 0);
  cr_expect_eq(own_bed_notes(p.own, 0, MASC_NOTE_DENIED), 1);
  hint(&p);
  cr_expect_eq(asked(&p, p.other), 1);
  denial.timestamp -= 7;
  cr_expect_eq(masc_bed_say(p.own->bed, 0, OWN_PARENT, &denial), MASC_UPDATE_NO_INTERNAL_PREFIX);
}

/* A parent that takes no hints says so. */
Test(masc_own_hints, s8_3_who_refuses_is_followed_by_the_next)
{
  g_auto(Parents) p = parents_new();
  MascClaim hinted;

  hint(&p);
  cr_assert_eq(masc_bed_sent(p.own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, &hinted), 1);
  masc_zone_refused(p.own->bed->nodes[0].zone, OWN_PARENT, &hinted, MASC_UPDATE_ADDRESS,
                    masc_bed_now(p.own->bed, 0));
  hint(&p);
  cr_expect_eq(asked(&p, p.other), 1);
}

Test(masc_own_hints, s11_5_what_another_parent_has_need_not_be_brought)
{
  static const struct {
    const char *claim;
    bool met;
  } rows[] = {
    { "233.252.128.0/20", true },  /* of the other one */
    { "233.252.128.0/21", false }, /* less than was asked for */
    { "233.252.16.0/20", false },  /* of this one: the claim itself says it */
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(Parents) p = parents_new();
    hint(&p);
    own_bed_wish(p.own, 0, MASC_WISH_CLAIM, rows[i].claim, NULL);
    cr_expect_eq(taken_back(&p, OWN_PARENT), rows[i].met, "%s", rows[i].claim);
  }
}

/* A parent that is out of touch can't be claimed from; another one is there. */
Test(masc_own_hints, s5_1_what_is_claimed_is_of_who_is_in_touch)
{
  g_auto(Parents) p = parents_new();

  own_bed_wish(p.own, 0, MASC_WISH_HINT, "233.252.0.0/24", NULL);
  cr_expect_eq(p.own->nodes[0].seen.n_busy, 0);
  masc_bed_down(p.own->bed, 0);
  own_bed_wish(p.own, 0, MASC_WISH_HINT, "233.252.0.0/24", NULL);
  cr_expect_eq(p.own->nodes[0].seen.n_busy, 1, "the space of the first one");
  masc_bed_down(p.own->bed, 2);
  own_bed_wish(p.own, 0, MASC_WISH_HINT, "233.252.0.0/24", NULL);
  cr_expect_eq(p.own->nodes[0].seen.n_busy, 0, "neither is: whoever is first");
}

/* ---- internal peers: only node 1 speaks to the parent ---------------------------------------- */

#define INSIDE 0              /* what they call each other */
#define UP 1                  /* node 1: the parent */

static OwnBed *pair(void)
{
  OwnBed *own = own_bed_new();

  own->bed->params.renew_interval = 50 * OWN_DAY;
  own->bed->params.plan_interval = 100;
  own_bed_add(own, 2, 2000, false);
  own_bed_add(own, 2, 2001, false);
  masc_bed_join(own->bed, 0, 1, MASC_INTERNAL, 0);
  masc_bed_open(own->bed, 1, MASC_CHILD, 1, 0);
  MascClaim managed = masc_bed_claim(own->bed, MASC_PREFIX_MANAGED, MASC_INTERNAL, 1,
                                     "233.252.0.0/17");
  cr_assert_eq(masc_bed_say(own->bed, 1, UP, &managed), 0);
  own_bed_pass(own, 100);
  masc_bed_clear(own->bed);
  return own;
}

Test(masc_own_hints, s5_1_who_has_no_parent_asks_who_has)
{
  static const struct {
    MascWishKind kind;
    const char *prefix, *from;
    unsigned length;
  } rows[] = {
    { MASC_WISH_CLAIM, "233.252.8.0/23", NULL, 23 },
    { MASC_WISH_GROW, "233.252.4.0/23", "233.252.4.0/24", 24 },
    { MASC_WISH_HINT, "233.252.0.0/16", NULL, 16 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = pair();
    MascClaim said;
    own_bed_win(own, 1, "233.252.4.0/24");
    masc_bed_clear(own->bed);
    own_bed_wish(own, 0, rows[i].kind, rows[i].prefix, rows[i].from);
    cr_assert_eq(masc_bed_sent(own->bed, 0, INSIDE, MASC_NEW_CLAIM, &said), 1, "row %zu", i);
    cr_expect(masc_claim_is_hint(&said), "row %zu", i);
    cr_expect_eq(said.prefix.length, MASC_BED_LENGTH(rows[i].length), "row %zu", i);
    own_expect(own_bed_pending(own, 0), "");
    cr_expect_eq(masc_bed_sent(own->bed, 1, UP, MASC_NEW_CLAIM, NULL), 0, "it is not passed on");
    own_bed_pass(own, 110);
    cr_expect_eq(own->nodes[1].seen.waiting, (uint64_t)1 << (32 - rows[i].length), "row %zu", i);
    own_bed_pass(own, 2000);
    cr_expect_eq(own->nodes[1].seen.waiting, 0, "row %zu: for a while", i);
  }
}

/* A hint says neither which prefix, nor how long, nor that an operator wants it. */
Test(masc_own_hints, s5_1_by_hand_is_claimed_where_the_parent_is)
{
  g_autoptr(OwnBed) own = pair();
  MascNow now = masc_bed_now(own->bed, 0);
  MalPrefix any = masc_bed_prefix("233.252.8.0/23");
  MascZone *zones[] = { own->bed->nodes[0].zone, own->bed->nodes[1].zone };
  g_autoptr(GError) why = NULL, error = NULL, again = NULL;

  cr_expect_not(masc_zone_claim(zones[0], any, false, 0, now, &why));
  cr_expect_str_eq(why->message, "this node has no session with domain 1, whose space it is: claim "
                                 "it at node 2001 of ours, which has told of that space");
  any.address.value = 0;
  cr_expect_not(masc_zone_claim(zones[0], any, false, 0, now, &error));
  cr_expect_str_eq(error->message, why->message);
  own_expect(own_bed_pending(own, 0), "");
  own_bed_reboot(own, 0, true);
  zones[0] = own->bed->nodes[0].zone;
  cr_expect_not(masc_zone_claim(zones[0], any, false, 0, now, &again));
  cr_expect_str_eq(again->message,
                   "this node has no session with domain 1, whose space it is: claim it at the "
                   "node that has one; node 2001 of ours is in touch");
  cr_expect(masc_zone_claim(zones[1], any, false, 0, masc_bed_now(own->bed, 1), NULL));
  masc_bed_down(own->bed, 1);
  cr_expect(masc_zone_claim(zones[1], masc_bed_prefix("233.252.20.0/23"), false, 0,
                            masc_bed_now(own->bed, 1), NULL), "it is out of touch for now");
}

/* The larger of both: the servers of a domain tell every coordinator what they want. */
Test(masc_own_hints, s11_5_demand_of_a_domain_counts_once)
{
  g_autoptr(OwnBed) own = pair();
  MascNow now = masc_bed_now(own->bed, 1);

  masc_zone_waiting(own->bed->nodes[1].zone, 200, MAL_FOREVER, now);
  own_bed_wish(own, 0, MASC_WISH_HINT, "233.252.0.0/24", NULL);
  own_bed_pass(own, 110);
  cr_expect_eq(own->nodes[1].seen.waiting, 256);
  masc_zone_waiting(own->bed->nodes[1].zone, 300, MAL_FOREVER, masc_bed_now(own->bed, 1));
  own_bed_pass(own, 110);
  cr_expect_eq(own->nodes[1].seen.waiting, 300);
}

/* Who is in touch asks the parent, and tells nobody inside: they would ask theirs, too. What comes
   back from the parent is not counted either. */
Test(masc_own_hints, s11_5_no_echo)
{
  g_autoptr(OwnBed) own = pair();
  MascClaim said;

  own_bed_wish(own, 1, MASC_WISH_HINT, "233.252.0.0/20", NULL);
  cr_assert_eq(masc_bed_sent(own->bed, 1, UP, MASC_NEW_CLAIM, &said), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 1, INSIDE, MASC_NEW_CLAIM, NULL), 0);
  said.node = 2000;
  said.role = MASC_CHILD;
  said.timestamp++;
  cr_expect_eq(masc_bed_say(own->bed, 1, UP, &said), 0);
  own_bed_pass(own, 110);
  cr_expect_eq(own->nodes[1].seen.waiting, 0);
}

Test(masc_own_hints, s5_1_the_real_planners_of_both)
{
  g_autoptr(OwnBed) own = pair();

  for (unsigned i = 0; i < 2; i++)
    own_bed_owns(own, i)->planner = masc_plan;
  masc_zone_arrived(own->bed->nodes[0].zone, 200, masc_bed_now(own->bed, 0));
  masc_zone_waiting(own->bed->nodes[0].zone, 200, MAL_FOREVER, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 1500);
  MascZoneUsage usage = masc_zone_usage(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
  cr_expect_geq(usage.local, 200);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_CLAIMED), 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 0);
  cr_expect_eq(own_bed_notes(own, 1, MASC_NOTE_WON), 1);
}
