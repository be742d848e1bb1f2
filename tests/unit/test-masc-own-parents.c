/* A domain whose provider is a customer of another provider of its: what RFC 2909 12.4 excepts, "an
   ancestor-descendant relationship". Domain 1 manages 233.252.0.0/17; domain 4, its child, has
   233.252.64.0/18 of that; we are a child of both. */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

#define NEAR_SPACE "233.252.64.0/18"

typedef struct {
  OwnBed *own;
  unsigned near;
} Nest;

static void nest_clear(Nest *nest)
{
  own_bed_free(nest->own);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Nest, nest_clear)

static uint8_t far_says(const Nest *nest, MascClaimType type, const char *prefix, int64_t ago)
{
  return own_bed_say_of(nest->own, OWN_PARENT, type, prefix, ago, MASC_CHILD, 4, 4000);
}

static uint8_t near_says(const Nest *nest, MascClaimType type, const char *prefix, int64_t ago)
{
  return own_bed_say_of(nest->own, nest->near, type, prefix, ago, MASC_INTERNAL, 4, 4000);
}

/* REVERSED: in the other order. */
static Nest nest_new(bool reversed)
{
  Nest nest = { .own = own_bed_child() };
  nest.near = masc_bed_open(nest.own->bed, 0, MASC_CHILD, 4, 0);
  if (!reversed)
    cr_assert_eq(far_says(&nest, MASC_PREFIX_IN_USE, NEAR_SPACE, 50), 0);
  cr_assert_eq(near_says(&nest, MASC_PREFIX_MANAGED, NEAR_SPACE, 50), 0);
  if (reversed)
    cr_assert_eq(far_says(&nest, MASC_PREFIX_IN_USE, NEAR_SPACE, 50), 0);
  own_bed_pass(nest.own, 100);
  masc_bed_clear(nest.own->bed);
  return nest;
}

static unsigned sent(const Nest *nest, unsigned peer, MascClaimType type)
{
  return masc_bed_sent(nest->own->bed, 0, peer, type, NULL);
}

Test(masc_own_parents, s12_4_what_a_parent_has_of_another_parent_is_claimed_from)
{
  for (unsigned reversed = 0; reversed < 2; reversed++) {
    g_auto(Nest) nest = nest_new(reversed);
    own_bed_wish(nest.own, 0, MASC_WISH_CLAIM, "233.252.64.0/24", NULL);
    own_bed_pass(nest.own, 20);
    own_expect(own_bed_pending(nest.own, 0), "233.252.64.0/24");
    cr_expect_eq(sent(&nest, nest.near, MASC_NEW_CLAIM), 1);
    cr_expect_eq(sent(&nest, OWN_PARENT, MASC_NEW_CLAIM), 0, "it is not in its space");
    own_bed_pass(nest.own, 1100);
    own_expect(own_bed_local(nest.own, 0), "233.252.64.0/24");
    cr_expect_eq(sent(&nest, nest.near, MASC_PREFIX_IN_USE), 1);
    cr_expect_eq(sent(&nest, OWN_PARENT, MASC_PREFIX_IN_USE), 0);
    cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_CLASH), 0);
  }
}

Test(masc_own_parents, s12_4_a_parents_renewal_of_it_neither_collides_nor_clashes)
{
  g_auto(Nest) nest = nest_new(false);
  own_bed_win(nest.own, 0, "233.252.65.0/24");
  own_bed_wish(nest.own, 0, MASC_WISH_CLAIM, "233.252.64.0/24", NULL);
  own_bed_pass(nest.own, 20);
  masc_bed_clear(nest.own->bed);
  cr_expect_eq(far_says(&nest, MASC_CLAIM_TO_EXPAND, NEAR_SPACE, 0), 0);
  own_bed_pass(nest.own, 5);
  cr_expect_eq(far_says(&nest, MASC_PREFIX_IN_USE, NEAR_SPACE, 5), 0);
  own_bed_pass(nest.own, 5);
  cr_expect_eq(near_says(&nest, MASC_PREFIX_MANAGED, NEAR_SPACE, 10), 0);
  own_bed_pass(nest.own, 5);
  own_expect(own_bed_pending(nest.own, 0), "233.252.64.0/24");
  own_expect(own_bed_local(nest.own, 0), "233.252.65.0/24");
  cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_CLASH), 0);
  cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_COLLISION), 0);
  cr_expect_eq(sent(&nest, nest.near, MASC_PREFIX_IN_USE), 0, "nothing is defended");
  cr_expect_eq(sent(&nest, nest.near, MASC_NEW_CLAIM), 0);
  own_bed_pass(nest.own, 1100);
  own_expect(own_bed_local(nest.own, 0), "233.252.64.0/24 233.252.65.0/24");
}

/* But of who claims from the same parent as we, all of it, even. */
Test(masc_own_parents, s12_4_others_there_are_rivals)
{
  static const struct {
    const char *prefix;
    bool loses;
  } rows[] = { { "233.252.64.0/24", true }, { NEAR_SPACE, true }, { "233.252.66.0/24", false } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(Nest) nest = nest_new(false);
    own_bed_win(nest.own, 0, "233.252.64.0/24");
    cr_expect_eq(own_bed_say_of(nest.own, nest.near, MASC_PREFIX_IN_USE, rows[i].prefix, 9000,
                                MASC_CHILD, 5, 5000), 0);
    own_bed_pass(nest.own, 5);
    own_expect(own_bed_local(nest.own, 0), rows[i].loses ? "" : "233.252.64.0/24");
    cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_CLASH), rows[i].loses, "row %zu", i);
  }
}

/* Of two parents' prefixes the closest is claimed from. */
Test(masc_own_parents, s11_what_can_be_claimed_from)
{
  g_auto(Nest) nest = nest_new(false);
  MascZone *zone = nest.own->bed->nodes[0].zone;
  MascNow now = masc_bed_now(nest.own->bed, 0);
  g_autoptr(GArray) grounds = masc_grounds(zone, false, now);
  g_autoptr(GArray) busy = masc_busy(zone, false, now);
  cr_assert_eq(grounds->len, 2);
  cr_expect(masc_prefix_equal(g_array_index(grounds, MascGround, 0).prefix,
                              masc_bed_prefix("233.252.0.0/18")));
  cr_expect(masc_prefix_equal(g_array_index(grounds, MascGround, 1).prefix,
                              masc_bed_prefix(NEAR_SPACE)));
  cr_expect_eq(busy->len, 0);
  cr_expect_eq(far_says(&nest, MASC_NEW_CLAIM, "233.252.32.0/19", 0), 0);
  g_autoptr(GArray) more = masc_busy(zone, false, now);
  cr_assert_eq(more->len, 1, "what it only claims is nobody's ground");
}

/* A parent is its own child, too (12.2): what its own servers have is another matter than what it
   has of the other parent, though both come as claims of one sibling. */
Test(masc_own_parents, s12_2_a_parents_local_use_and_what_it_has_of_another_parent)
{
  static const struct {
    const char *name;
    bool near;                  /* tells it */
    MascClaimType type;
    const char *prefix;
    bool local_stays;
  } rows[] = {
    { "a renewal above", false, MASC_PREFIX_IN_USE, NEAR_SPACE, true },
    { "given up above", false, MASC_WITHDRAW, NEAR_SPACE, true },
    { "a renewal below", true, MASC_PREFIX_IN_USE, "233.252.80.0/20", true },
    { "given up below", true, MASC_WITHDRAW, "233.252.80.0/20", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(Nest) nest = nest_new(false);
    MascBed *bed = nest.own->bed;
    cr_assert_eq(own_bed_say_of(nest.own, nest.near, MASC_PREFIX_IN_USE, "233.252.80.0/20", 0,
                                MASC_CHILD, 4, 4000), 0);
    own_bed_pass(nest.own, 10);
    cr_expect_eq(own_bed_say_of(nest.own, rows[i].near ? nest.near : OWN_PARENT, rows[i].type,
                                rows[i].prefix, 0, MASC_CHILD, 4, 4000), 0, "%s", rows[i].name);
    g_autoptr(GArray) busy = masc_busy(bed->nodes[0].zone, false, masc_bed_now(bed, 0));
    cr_expect_eq(busy->len, rows[i].local_stays, "%s: %u", rows[i].name, busy->len);
    own_bed_wish(nest.own, 0, MASC_WISH_CLAIM, "233.252.80.0/24", NULL);
    own_bed_pass(nest.own, 20);
    own_expect(own_bed_pending(nest.own, 0), rows[i].local_stays ? "" : "233.252.80.0/24");
    bool above = masc_bed_has(bed, 0, MASC_PREFIX_IN_USE, 4, NEAR_SPACE);
    cr_expect(above || rows[i].type == MASC_WITHDRAW, "%s", rows[i].name);
  }
}

/* A third one, domain 6, is the customer of the near one, and has a part of that. */
Test(masc_own_parents, s12_4_of_three_in_a_row_each_outer_one_is_above)
{
  g_auto(Nest) nest = nest_new(false);
  unsigned inner = masc_bed_open(nest.own->bed, 0, MASC_CHILD, 6, 0);
  own_bed_say_of(nest.own, nest.near, MASC_PREFIX_IN_USE, "233.252.64.0/20", 50, MASC_CHILD, 6,
                 6000);
  own_bed_say_of(nest.own, inner, MASC_PREFIX_MANAGED, "233.252.64.0/20", 50, MASC_INTERNAL, 6,
                 6000);
  own_bed_pass(nest.own, 100);
  own_bed_win(nest.own, 0, "233.252.64.0/24");
  cr_expect_eq(far_says(&nest, MASC_PREFIX_IN_USE, NEAR_SPACE, 40), 0);
  cr_expect_eq(own_bed_say_of(nest.own, nest.near, MASC_PREFIX_IN_USE, "233.252.64.0/20", 40,
                              MASC_CHILD, 6, 6000), 0);
  own_bed_pass(nest.own, 5);
  own_expect(own_bed_local(nest.own, 0), "233.252.64.0/24");
  cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_CLASH), 0);
}

/* What a parent uses itself is nobody's space, however far out it is. */
Test(masc_own_parents, s12_4_what_an_outer_parent_uses_itself_is_a_rivals)
{
  g_auto(Nest) nest = nest_new(false);
  own_bed_win(nest.own, 0, "233.252.64.0/24");
  cr_expect_eq(own_bed_say_of(nest.own, OWN_PARENT, MASC_PREFIX_IN_USE, NEAR_SPACE, 9000,
                              MASC_CHILD, 1, 1000), 0);
  own_bed_pass(nest.own, 5);
  own_expect(own_bed_local(nest.own, 0), "");
  cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_CLASH), 1);
}

/* The near one is left; it still has of the far one what we have of it. */
Test(masc_own_parents, s12_5_a_provider_that_was_left_is_no_rival)
{
  g_auto(Nest) nest = nest_new(false);
  MascZone *zone = nest.own->bed->nodes[0].zone;

  own_bed_win(nest.own, 0, "233.252.64.0/24");
  masc_bed_down(nest.own->bed, 2);
  masc_zone_remove_peer(zone, nest.near, masc_bed_now(nest.own->bed, 0));
  own_bed_pass(nest.own, 5);
  for (int64_t ago = 0; ago < 9000; ago += 4000) {
    cr_expect_eq(far_says(&nest, MASC_PREFIX_IN_USE, NEAR_SPACE, 8000 - ago), 0);
    own_bed_pass(nest.own, 5);
  }
  own_expect(own_bed_local(nest.own, 0), "233.252.64.0/24");
  cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_CLASH), 0);
  cr_expect_eq(own_bed_say_of(nest.own, OWN_PARENT, MASC_PREFIX_IN_USE, "233.252.64.0/25", 9000,
                              MASC_CHILD, 5, 5000), 0);
  own_bed_pass(nest.own, 5);
  own_expect(own_bed_local(nest.own, 0), "233.252.64.128/25");
}

/* A parent that claims in another parent's space again and again floods nobody. */
Test(masc_own_parents, s14_a_parents_renewals_are_no_flood)
{
  g_auto(Nest) nest = nest_new(false);
  nest.own->bed->params.flood_limit = 3;
  for (int i = 0; i < 8; i++) {
    char prefix[32];
    g_snprintf(prefix, sizeof prefix, "233.252.%d.0/24", 70 + i);
    cr_expect_eq(own_bed_say_of(nest.own, nest.near, MASC_NEW_CLAIM, prefix, 0, MASC_CHILD, 5,
                                5000), 0);
    own_bed_pass(nest.own, 1);
    cr_expect_eq(far_says(&nest, MASC_CLAIM_TO_EXPAND, NEAR_SPACE, 0), 0);
  }
  cr_expect_eq(own_bed_notes(nest.own, 0, MASC_NOTE_FLOOD), 0);
}

/* ---- what one parent withdraws, and another one manages, too --------------------------------- */

/* Of the two that clashed one gave way (12.4), or one gave it back. */
Test(masc_own_parents, s11_7_4_what_another_parent_manages_too_is_in_its_space_from_now_on)
{
  static const int64_t ages[] = { 0, 5000 };
  for (size_t i = 0; i < G_N_ELEMENTS(ages); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 9, 0);
    own->bed->params.renew_interval = 3000;
    cr_assert_eq(own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0), 0);
    own_bed_win(own, 0, "233.252.4.0/24");
    own_bed_pass(own, 100);
    cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_PREFIX_IN_USE, NULL), 0);
    masc_bed_clear(own->bed);
    cr_expect_eq(own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.0.0/17", ages[i]), 0);
    own_expect(own_bed_local(own, 0), "233.252.4.0/24");
    cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_PREFIX_IN_USE, NULL), 1, "it hears of it");
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_PREFIX_IN_USE, NULL), 0);
    /* For its own servers (12.2). */
    own_bed_say_of(own, other, MASC_NEW_CLAIM, "233.252.4.0/24", 0, MASC_CHILD, 9, 9000);
    own_bed_pass(own, 1);
    cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_PREFIX_IN_USE, NULL), 2, "defended");
    masc_bed_down(own->bed, 2);
    masc_bed_up(own->bed, 2);
    cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_PREFIX_IN_USE, NULL), 3);
    own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
    own_bed_pass(own, 3000);
    cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_CLAIM_TO_EXPAND, NULL), 1, "renewed there");
    cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, NULL), 0);
  }
}

/* As long as something of it is left. */
Test(masc_own_parents, s11_7_4_what_its_parent_still_manages_is_not_another_ones)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 9, 0);
  own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.8.0/24", 5000);
  own_bed_pass(own, 100);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_PREFIX_IN_USE, NULL), 0);
}

/* Nobody there has heard of it, as yet, and who may object is in that parent's space now. */
Test(masc_own_parents, s11_7_4_what_is_claimed_is_claimed_from_the_other_parent_from_now_on)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 9, 0);
  own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  own_bed_pass(own, 100);
  cr_expect_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_NEW_CLAIM, NULL), 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_NEW_CLAIM, NULL), 0);
  own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.0.0/17", 5000);
  masc_bed_down(own->bed, OWN_PARENT);
  own_expect(own_bed_pending(own, 0), "233.252.4.0/24");
  cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_NEW_CLAIM, NULL), 1, "it hears of it");
  own_bed_reboot(own, 0, true);
  masc_bed_up(own->bed, other);
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 0, "the former one need not be there");
}

Test(masc_own_parents, s11_7_4_so_is_what_is_claimed_later)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 9, 0);
  own_bed_say(own, other, MASC_PREFIX_MANAGED, "233.252.0.0/17", 0);
  own_bed_say(own, OWN_PARENT, MASC_WITHDRAW, "233.252.0.0/17", 5000);
  masc_bed_down(own->bed, OWN_PARENT);
  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.4.0/24", NULL);
  cr_expect_eq(own->nodes[0].seen.n_busy, 0, "nothing is out of reach");
  own_bed_pass(own, 100);
  cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_NEW_CLAIM, NULL), 1);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_HELD_UP), 0);
  own_bed_pass(own, 1000);
  own_expect(own_bed_local(own, 0), "233.252.4.0/24");
}

/* ---- a provider that other nodes of the domain know, or knew --------------------------------- */

#define INTERNAL_NODE 2001

/* Two nodes of a domain; the other one, an open end, told of domain 5, which we have no session
   with. */
static unsigned with_internal_peer(OwnBed *own)
{
  unsigned internal = masc_bed_open(own->bed, 0, MASC_INTERNAL, 2, 0);

  own_bed_say_of(own, internal, MASC_PREFIX_MANAGED, "233.252.128.0/17", 0, MASC_PARENT, 5, 5000);
  own_bed_pass(own, 100);
  return internal;
}

/* The parent of what is left tells to whom it is told (11.7.3). */
Test(masc_own_parents, s12_5_what_internal_peers_split_is_still_the_old_providers)
{
  g_autoptr(OwnBed) own = own_bed_child();
  unsigned internal = with_internal_peer(own);
  MascClaim said;

  own_bed_win(own, 0, "233.252.4.0/24");
  masc_bed_down(own->bed, 0);
  masc_zone_remove_peer(own->bed->nodes[0].zone, OWN_PARENT, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 100);
  unsigned other = masc_bed_open(own->bed, 0, MASC_CHILD, 5, 0);
  own_bed_pass(own, 100);
  masc_bed_clear(own->bed);
  own_bed_say_of(own, internal, MASC_PREFIX_MANAGED, "233.252.4.0/25", 0, MASC_INTERNAL, 2,
                 INTERNAL_NODE);
  own_bed_say_of(own, internal, MASC_WITHDRAW, "233.252.4.128/25", 0, MASC_INTERNAL, 2,
                 INTERNAL_NODE);
  own_bed_pass(own, 1);
  own_expect(own_bed_held(own, 0, false), "233.252.4.0/25");
  cr_expect_eq(masc_own_find(own->bed->nodes[0].zone, masc_bed_prefix("233.252.4.0/25"), false)
                   ->parent, 1);
  cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_PREFIX_IN_USE, &said), 0);
  cr_expect_eq(masc_bed_sent(own->bed, 0, other, MASC_WITHDRAW, &said), 0);
}
