/* Single questions that the parts of our own half ask of each other (RFC 2909 4.3, 5, 11.5, 11.7,
   12.4, 14). */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

#define IN_USE MASC_PREFIX_IN_USE
#define NEW MASC_NEW_CLAIM
#define WITHDRAW MASC_WITHDRAW

static MascZone *zone_of(const OwnBed *own)
{
  return own->bed->nodes[0].zone;
}

static MascNow now_of(const OwnBed *own)
{
  return masc_bed_now(own->bed, 0);
}

/* Of our domain's node NODE, LATER seconds younger than now. */
static MascRecord record_of(const OwnBed *own, MascClaimType type, MascRole role, MascId node,
                            const char *prefix, int32_t later)
{
  MascRecord r = { .claim = masc_bed_claim(own->bed, type, role, 2, prefix), .parent = 1 };

  r.claim.node = node;
  r.claim.timestamp += (uint32_t)later;
  r.forget_at = masc_claim_forget_at(&r.claim, 100);
  return r;
}

/* ---- what others say of ours (11.6.3, 14) ---------------------------------------------------- */

Test(masc_own_inside, s14_whom_to_believe)
{
  static const struct {
    const char *why;
    MascClaimType known;        /* of 233.252.4.0/23 where WIDE, else of what is told */
    MascId known_node;
    int32_t later;
    bool wide;
    MascClaimType told;
    MascId node;
    MascRole by;
    bool recovering, believed;
  } rows[] = {
    { "a claim that is known", NEW, 2001, 0, false, NEW, 2001, MASC_INTERNAL, false, false },
    { "one that is new", NEW, 2001, 5, true, NEW, 2001, MASC_INTERNAL, false, true },
    { "what has grown since", IN_USE, 2001, 5, true, IN_USE, 2001, MASC_INTERNAL, false, false },
    { "what is newer than that", IN_USE, 2001, -5, true, IN_USE, 2001, MASC_INTERNAL, false, true },
    { "ours as we know it", IN_USE, 2000, 0, false, IN_USE, 2000, MASC_INTERNAL, false, true },
    { "the same by a parent", IN_USE, 2000, 0, false, IN_USE, 2000, MASC_CHILD, false, false },
    { "who recovers", IN_USE, 2000, 0, false, IN_USE, 2000, MASC_CHILD, true, true },
    { "a sibling", NEW, 2001, 5, true, IN_USE, 2001, MASC_SIBLING, false, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascPeer peer = { .role = rows[i].by, .domain = 2, .up = true };
    MascRecord known = record_of(own, rows[i].known, MASC_INTERNAL, rows[i].known_node,
                                 rows[i].wide ? "233.252.4.0/23" : "233.252.4.0/24",
                                 rows[i].later);
    MascRecord told = record_of(own, rows[i].told, MASC_INTERNAL, rows[i].node, "233.252.4.0/24",
                                0);
    told.claim.lifetime--;
    masc_cache_add(zone_of(own)->cache, &known);
    own_bed_owns(own, 0)->recovering_until = rows[i].recovering ? MASC_NEVER : 0;
    cr_expect_eq(masc_own_told(zone_of(own), &told.claim, &peer, now_of(own)), rows[i].believed,
                 "%s", rows[i].why);
  }
}

/* With an internal peer we need not believe a sibling, though we have no parent. */
Test(masc_own_inside, s14_an_internal_peer_is_better)
{
  for (unsigned internal = 0; internal < 2; internal++) {
    g_autoptr(OwnBed) own = own_bed_new();
    MascPeer peer = { .role = MASC_SIBLING, .domain = 3, .up = true };
    own_bed_add(own, 2, 2000, true);
    masc_bed_open(own->bed, 0, internal ? MASC_INTERNAL : MASC_SIBLING, internal ? 2 : 3, 0);
    MascRecord told = record_of(own, IN_USE, MASC_INTERNAL, 2001, "233.252.4.0/24", 0);
    cr_expect_eq(masc_own_told(zone_of(own), &told.claim, &peer, now_of(own)), !internal);
  }
}

/* What we withdrew is not withdrawn again, nor is a claim whose space we use meanwhile. */
Test(masc_own_inside, s14_what_need_not_be_disowned)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascPeer peer = { .role = MASC_CHILD, .domain = 1, .up = true };
  MascRecord told = record_of(own, IN_USE, MASC_INTERNAL, 2000, "233.252.8.0/24", -50);

  own_bed_win(own, 0, "233.252.4.0/24");
  for (int32_t later = 0; later < 2; later++) {
    MascRecord w = record_of(own, WITHDRAW, MASC_INTERNAL, 2000, "233.252.8.0/23", later);
    masc_cache_add(zone_of(own)->cache, &w);
  }
  masc_bed_clear(own->bed);
  cr_expect_not(masc_own_told(zone_of(own), &told.claim, &peer, now_of(own)));
  told = record_of(own, NEW, MASC_INTERNAL, 2000, "233.252.4.0/25", -50);
  cr_expect_not(masc_own_told(zone_of(own), &told.claim, &peer, now_of(own)));
  cr_expect_eq(own->bed->sent->len, 0);
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DISOWNED), 0);
  told = record_of(own, IN_USE, MASC_INTERNAL, 2000, "233.252.32.0/24", -50);
  cr_expect_not(masc_own_told(zone_of(own), &told.claim, &peer, now_of(own)));
  cr_expect_eq(own_bed_notes(own, 0, MASC_NOTE_DISOWNED), 1);
}

/* ---- clashes (12.4) -------------------------------------------------------------------------- */

Test(masc_own_inside, s12_4_what_is_withheld_where)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascZone *zone = zone_of(own);
  MalPrefix held = masc_bed_prefix("233.252.4.0/24"), other = masc_bed_prefix("233.252.6.0/24");
  MascClash clash = { .prefix = held, .lower = true, .domain = 9, .withheld = true };
  GArray *clashes = own_bed_owns(own, 0)->clashes;

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_win(own, 0, "233.252.6.0/24");
  g_array_append_val(clashes, clash);
  cr_expect_not(masc_clash_withheld(zone, held, false), "of the other arena");
  cr_expect(masc_clash_withheld(zone, held, true));
  cr_expect_not(masc_clash_withheld(zone, other, true), "elsewhere");
  clash.prefix = other;
  clash.lower = false;
  g_array_append_val(clashes, clash);
  g_autoptr(GArray) upper = masc_clash_spots(zone, false), lower = masc_clash_spots(zone, true);
  cr_assert(upper->len == 1 && lower->len == 1);
  cr_expect(masc_prefix_equal(g_array_index(upper, MalPrefix, 0), other));
  cr_expect(masc_prefix_equal(g_array_index(lower, MalPrefix, 0), held));
  g_autoptr(GArray) grounds = masc_own_held(zone, false);
  cr_assert_eq(grounds->len, 1, "what clashes is not claimed from");
  cr_expect(masc_prefix_equal(g_array_index(grounds, MascGround, 0).prefix, held));
  /* Nothing of ours is there below: it is theirs without a word. */
  masc_bed_clear(own->bed);
  cr_expect(masc_zone_resolve(zone, held, false, now_of(own), NULL));
  cr_expect_eq(own->bed->sent->len, 0);
  cr_expect(masc_clash_withheld(zone, other, false), "that is another one");
}

Test(masc_own_inside, s12_4_where_we_gave_way)
{
  g_autoptr(OwnBed) own = own_bed_child();
  g_autoptr(GArray) upper = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_autoptr(GArray) lower = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  MascRecord w = record_of(own, WITHDRAW, MASC_CHILD, 2000, "233.252.4.0/24", 0);

  w.clash = true;
  masc_cache_add(zone_of(own)->cache, &w);
  masc_clash_lost(zone_of(own), false, upper);
  masc_clash_lost(zone_of(own), true, lower);
  cr_expect_eq(upper->len, 0);
  cr_expect_eq(lower->len, 1);
}

/* 11.7.3: only what settled a clash in a part of ours, and ends before ours, passes. */
Test(masc_own_inside, s11_7_3_what_passes)
{
  static const struct {
    const char *why, *prefix;
    bool clash, names;
    int32_t longer;             /* than ours lasts */
    bool passes, lasts;
  } rows[] = {
    { "of a clash in a part", "233.252.4.0/25", true, false, -1000, true, false },
    { "for longer than ours", "233.252.4.0/25", true, false, 1000, false, true },
    { "in all of it", "233.252.4.0/24", true, false, -1000, false, true },
    { "in more", "233.252.4.0/23", true, false, -1000, false, true },
    { "given back", "233.252.4.0/25", false, false, -1000, false, true },
    { "of a claim only", "233.252.4.0/25", false, true, -1000, false, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    g_autoptr(GArray) lasting = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
    MascRecord used = record_of(own, IN_USE, MASC_INTERNAL, 2000, "233.252.4.0/24", 0);
    MascRecord w = record_of(own, WITHDRAW, MASC_INTERNAL, 2000, rows[i].prefix, 0);
    MascHeld held = { .prefix = used.claim.prefix,
                      .claim = used.claim,
                      .parent = 1,
                      .until = masc_claim_free_at(&used.claim) };
    w.claim.holdtime += (uint32_t)rows[i].longer;
    w.clash = rows[i].clash;
    w.names = rows[i].names;
    masc_cache_add(zone_of(own)->cache, &w);
    cr_expect_eq(masc_clash_passing(zone_of(own), &held, false, lasting), rows[i].passes, "%s",
                 rows[i].why);
    cr_expect_eq(lasting->len, rows[i].lasts, "%s", rows[i].why);
  }
}

/* ---- what is held ---------------------------------------------------------------------------- */

/* 11.4.3: what lies in two of ours ends with the first of them, and is old if one is. */
Test(masc_own_inside, s11_4_3_what_covers_a_childs_claim)
{
  g_autoptr(OwnBed) own = own_bed_child();
  GArray *held = own_bed_owns(own, 0)->held[MASC_UPPER];
  MalTime until;
  bool deprecated;

  own_bed_win(own, 0, "233.252.4.0/24");
  own_bed_win(own, 0, "233.252.5.0/24");
  held = own_bed_owns(own, 0)->held[MASC_UPPER];
  cr_assert_eq(held->len, 2);
  for (guint first = 0; first < 2; first++) {
    g_array_index(held, MascHeld, first).until = 5000;
    g_array_index(held, MascHeld, !first).until = 6000;
    g_array_index(held, MascHeld, first).claim.deprecated = true;
    g_array_index(held, MascHeld, !first).claim.deprecated = false;
    cr_expect(masc_own_covers(zone_of(own), masc_bed_prefix("233.252.4.0/23"), &until,
                              &deprecated));
    cr_expect_eq(until, 5000);
    cr_expect(deprecated);
  }
}

/* 5.3: what takes the place of several is as old as the oldest, and by hand if one was. */
Test(masc_own_inside, s5_3_what_is_known_of_parts)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascMark marks[] = {
    { .prefix = masc_bed_prefix("233.252.4.0/24"), .hand = true, .since = 700 },
    { .prefix = masc_bed_prefix("233.252.5.0/24"), .hand = true, .since = 600 },
    { .prefix = masc_bed_prefix("233.252.4.0/22"), .lower = true, .since = 500 },
  };

  g_array_append_vals(own_bed_owns(own, 0)->marks, marks, G_N_ELEMENTS(marks));
  const MascMark *mark = masc_own_mark(zone_of(own), masc_bed_prefix("233.252.4.0/23"), false,
                                       now_of(own));
  cr_expect(mark->hand);
  cr_expect_eq(mark->since, 600);
}

/* 5.4: the WITHDRAW takes a renewal on its way along, and is not bound by a denial. */
Test(masc_own_inside, s5_4_how_new_a_withdraw_is)
{
  static const struct {
    MascClaimType type;
    int32_t later, is;
  } rows[] = {
    { MASC_CLAIM_TO_EXPAND, 50, 50 },
    { MASC_CLAIM_TO_EXPAND, -50, 0 },
    { MASC_CLAIM_DENIED, 50, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascRecord used = record_of(own, IN_USE, MASC_INTERNAL, 2000, "233.252.4.0/24", 0), r = used;
    MascHeld held = { .prefix = used.claim.prefix, .claim = used.claim, .parent = 1 };
    MascClaim out;
    r.claim.type = rows[i].type;
    r.claim.timestamp += (uint32_t)rows[i].later;
    masc_cache_add(zone_of(own)->cache, &r);
    masc_own_withdraw(zone_of(own), &held, used.claim.prefix, masc_claim_free_at(&used.claim),
                      now_of(own));
    cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, WITHDRAW, &out), 1);
    cr_expect_eq((int32_t)(out.timestamp - used.claim.timestamp), rows[i].is, "row %zu", i);
  }
}

/* ---- what is claimed ------------------------------------------------------------------------- */

Test(masc_own_inside, s5_1_a_what_waits_below_is_not_forgotten_for_what_is_above)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascPend pend = { .id = 100, .prefix = masc_bed_prefix("233.252.4.0/25"), .lower = true,
                    .due = MASC_NEVER };

  own_bed_wish(own, 0, MASC_WISH_CLAIM, "233.252.8.0/24", NULL);
  g_array_append_val(own_bed_owns(own, 0)->pends, pend);
  masc_pend_forget_delayed(zone_of(own), false, now_of(own));
  own_expect(own_bed_pending(own, 0), "233.252.4.0/25");
}

/* 5.2, 5.3: a claim about what is ours is newer than that, whatever our clock says. */
Test(masc_own_inside, s5_3_a_growth_is_newer_than_what_grows)
{
  static const struct {
    uint32_t was, later;        /* 0: as it is won */
  } rows[] = { { 0, 1 }, { UINT32_MAX, 0 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascClaim grown;
    own_bed_win(own, 0, "233.252.4.0/24");
    MascHeld *held = &g_array_index(own_bed_owns(own, 0)->held[MASC_UPPER], MascHeld, 0);
    uint32_t stamp = held->claim.timestamp;
    own->bed->nodes[0].skew -= 4000;
    if (rows[i].was != 0)
      held->claim.timestamp = rows[i].was;
    masc_bed_clear(own->bed);
    MascPend pend = { .prefix = masc_bed_prefix("233.252.4.0/23"), .from = held->prefix };
    masc_pend_add(zone_of(own), &pend, now_of(own));
    own_bed_pass(own, 20);
    if (rows[i].was != 0)
      continue;                 /* nothing is newer: it may be taken for what it replaces */
    cr_assert_eq(masc_bed_sent(own->bed, 0, OWN_PARENT, MASC_CLAIM_TO_EXPAND, &grown), 1);
    cr_expect_eq(grown.timestamp, stamp + rows[i].later);
  }
}

Test(masc_own_inside, s5_1_a_which_claims_of_internal_peers_count)
{
  static const struct {
    const char *why;
    MascId node;
    int32_t later;
    bool withdrawn, counts;
  } rows[] = {
    { "one that waits", 2001, 0, false, true },
    { "ours", 2000, 0, false, false },
    { "one that is over", 2001, -2000, false, false },
    { "one that was withdrawn", 2001, 0, true, false },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = own_bed_child();
    MascRecord claim = record_of(own, NEW, MASC_INTERNAL, rows[i].node, "233.252.4.0/24",
                                 rows[i].later);
    MascRecord w = record_of(own, WITHDRAW, MASC_INTERNAL, 2001, "233.252.4.0/24", 5);
    if (rows[i].withdrawn)
      masc_cache_add(zone_of(own)->cache, &w);
    cr_expect_eq(masc_own_peer_claims(zone_of(own), &claim, false, now_of(own)), rows[i].counts,
                 "%s", rows[i].why);
  }
}

/* ---- hints (11.5) ---------------------------------------------------------------------------- */

/* Whoever denies is followed by the next parent domain that is in touch, in the order of the
   configuration, and not by another node of the same one. */
Test(masc_own_inside, s11_5_who_is_asked_next)
{
  g_autoptr(OwnBed) own = own_bed_child();
  MascOwns *owns = own_bed_owns(own, 0);
  unsigned sixth;

  masc_zone_add_peer(zone_of(own), 40, MASC_CHILD, 0, 0); /* nobody knows who that is */
  masc_bed_open(own->bed, 0, MASC_CHILD, 1, 0);
  masc_bed_open(own->bed, 0, MASC_CHILD, 5, 0);
  masc_bed_down(own->bed, own->bed->links->len - 1);
  sixth = masc_bed_open(own->bed, 0, MASC_CHILD, 6, 0);
  masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
  cr_assert_eq(owns->hint_told, 1);
  cr_expect(masc_own_hint_denied(zone_of(own), &owns->hint, now_of(own)));
  cr_expect_eq(owns->hinted_at, INT64_MIN, "there is somebody else");
  masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
  cr_expect_eq(owns->hint_told, 6);
  cr_expect_eq(masc_bed_sent(own->bed, 0, sixth, NEW, NULL), 1);
  /* After the last one the first one again; alone it is asked again, but not at once. */
  cr_expect(masc_own_hint_denied(zone_of(own), &owns->hint, now_of(own)));
  masc_own_hint(zone_of(own), MASC_BED_LENGTH(24), now_of(own));
  cr_expect_eq(owns->hint_told, 1);
  masc_bed_down(own->bed, own->bed->links->len - 1);
  cr_expect(masc_own_hint_denied(zone_of(own), &owns->hint, now_of(own)));
  cr_expect_eq(owns->hinted_at, own->bed->mono);
}
