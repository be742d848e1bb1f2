/* RFC 2909 11.8: the order on establishment; and that what is told once reaches everybody, however
   the network comes apart and together. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define EXPAND MASC_CLAIM_TO_EXPAND
#define NEW MASC_NEW_CLAIM
#define DENIED MASC_CLAIM_DENIED
#define MANAGED MASC_PREFIX_MANAGED
#define WITHDRAW MASC_WITHDRAW

/* One of each kind. The last ones have to come last to be taken; the others, in the order that 11.8
   wants least. */
static void fill(MascRig *rig)
{
  static const struct {
    char by;
    MascRole role;
    MascClaimType type;
    MascId domain;
    const char *prefix;
    int later;
  } rows[] = {
    { 'c', MASC_INTERNAL, NEW, 30, "0.0.0.0/28", 9 },
    { 'c', MASC_INTERNAL, NEW, 30, "233.252.4.128/26", 0 },
    { 'i', MASC_INTERNAL, DENIED, 31, "233.252.5.0/24", 0 },
    { 'c', MASC_INTERNAL, IN_USE, 30, "233.252.4.0/25", 0 },
    { 'c', MASC_INTERNAL, WITHDRAW, 30, "233.252.4.0/26", 1 },
    { 'c', MASC_INTERNAL, EXPAND, 30, "233.252.4.0/24", 1 },
    { 'i', MASC_INTERNAL, NEW, 10, "233.252.20.0/24", 0 },
    { 'a', MASC_INTERNAL, DENIED, 21, "233.252.24.0/24", 0 },
    { 's', MASC_INTERNAL, NEW, 20, "233.252.28.0/24", 0 },
    { 's', MASC_INTERNAL, IN_USE, 20, "233.252.32.0/24", 0 },
    { 's', MASC_INTERNAL, WITHDRAW, 20, "233.252.32.0/25", 1 },
    { 's', MASC_INTERNAL, EXPAND, 20, "233.252.32.0/23", 1 },
    { 'i', MASC_INTERNAL, EXPAND, 10, "233.252.4.0/22", 0 },
    { 'i', MASC_INTERNAL, MANAGED, 10, "233.252.40.0/24", 0 },
    { 'i', MASC_INTERNAL, WITHDRAW, 10, "233.252.40.0/25", 1 },
    { 'a', MASC_INTERNAL, WITHDRAW, 1, "233.252.60.0/24", 1 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim c = masc_rig_claim(rig, rows[i].type, rows[i].role, rows[i].domain,
                                 rows[i].prefix);
    c.timestamp += (uint32_t)rows[i].later;
    cr_assert_eq(masc_rig_say(rig, rows[i].by, &c), 0, "row %zu", i);
  }
}

/* "PM" is a parent's PREFIX_MANAGED: Internal, Child, Sibling, Parent; Use, Denied, Expand, New,
   Managed, Withdraw; "N0" a hint. */
static const char *sequence(MascRig *rig, char letter, char *text)
{
  unsigned peer = masc_rig_peer(letter);
  size_t n = 0;
  masc_zone_down(rig->zone, peer, masc_bed_now(rig->bed, 0));
  masc_bed_clear(rig->bed);
  masc_bed_up(rig->bed, peer);
  for (guint i = 0; i < rig->bed->sent->len; i++) {
    const MascSaid *said = &g_array_index(rig->bed->sent, MascSaid, i);
    cr_assert_eq(said->peer, peer);
    if (n > 0)
      text[n++] = ' ';
    text[n++] = "ICSP"[said->claim.role];
    text[n++] = "UDENMW"[said->claim.type];
    if (masc_claim_is_hint(&said->claim))
      text[n++] = '0';
  }
  text[n] = '\0';
  return text;
}

Test(rfc2909_11_8, order_on_establishment)
{
  static const struct {
    const char *rule;
    char to;
    const char *sequence;
  } rows[] = {
    { "11.8.1 parent to child, with its own hint", 'c', "IM IW CU CE CN0 CN ID CW" },
    { "11.8.1 parent to child", 'e', "IM IW CU CE CN ID CW" },
    { "11.8.2 child to parent", 'a', "PM PW SU IU SE IE IN SN PD SW IW" },
    { "11.8.2 child to its other parent", 'q', "PM" },
    { "11.8.3 sibling to sibling", 's', "PM PW SU IU SE IE IN SN PD SW IW" },
    { "11.8.3 with regard to another parent", 'u', "PM" },
    { "11.8.4 internal to internal", 'i',
      "PM PM PW SU IM SE IE IN SN PD SW IW CU CE CN0 CN ID CW" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    char text[128];
    fill(&rig);
    sequence(&rig, rows[i].to, text);
    cr_expect_str_eq(text, rows[i].sequence, "%s:\n%s instead of\n%s", rows[i].rule, text,
                     rows[i].sequence);
  }
}

/* "unless there is an indication that the connection [...] was down and then restored" */
Test(rfc2909_4_5, what_no_parent_manages_is_told_below_and_not_above)
{
  static const struct {
    char to;
    const char *sequence;
  } rows[] = { { 'c', "IM" }, { 'i', "PM PM IM" }, { 'a', "PM" }, { 's', "PM" } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    char text[128];
    MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 10, "233.252.64.0/24");
    cr_assert_eq(masc_rig_say(&rig, 'i', &c), 0);
    cr_expect_str_eq(sequence(&rig, rows[i].to, text), rows[i].sequence, "to %c: %s", rows[i].to,
                     text);
  }
}

Test(rfc2909_11, it_is_sent_back_after_the_session_was_down)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, "233.252.8.0/24");
  masc_rig_say(&rig, 's', &c);
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('s'), NEW, NULL), 0);
  masc_bed_down(rig.bed, masc_rig_peer('s'));
  masc_bed_up(rig.bed, masc_rig_peer('s'));
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('s'), NEW, NULL), 1);
}

/* One that takes nothing of what is sent with it is for who tells what it took. */
Test(rfc2909_11_8, withdraws_without_what_they_withdraw)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim used = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, "233.252.8.0/24"), w = used;
  MascClaim claim = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, "233.252.9.0/24");
  char text[128];
  w.type = WITHDRAW;
  w.timestamp++;
  masc_rig_say(&rig, 's', &used);
  masc_rig_say(&rig, 's', &w);
  masc_rig_say(&rig, 's', &claim);
  cr_expect_str_eq(sequence(&rig, 't', text), "PM SN", "%s", text);
  claim.type = WITHDRAW;
  masc_rig_say(&rig, 's', &claim);
  cr_expect_str_eq(sequence(&rig, 't', text), "PM", "%s", text);
}

/* What a child uses where we have nothing any more. */
Test(rfc2909_11_8, a_withdraw_of_ours_for_a_child_that_was_away)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim ours = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 10, "233.252.4.0/22"), w = ours;
  MascClaim used = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 30, "233.252.4.0/24");
  char text[128];
  w.type = WITHDRAW;
  w.timestamp++;
  masc_rig_say(&rig, 'i', &ours);
  masc_rig_say(&rig, 'c', &used);
  masc_bed_down(rig.bed, masc_rig_peer('c'));
  masc_rig_say(&rig, 'i', &w);
  cr_expect_not(masc_bed_has(rig.bed, 0, IN_USE, 10, "233.252.4.0/22"));
  cr_expect_str_eq(sequence(&rig, 'c', text), "IW CU", "%s", text);
}

/* ---- meshes ---------------------------------------------------------------------------------- */

static void expect_all(const MascBed *bed, MascClaimType type, MascId domain, const char *prefix,
                       bool there)
{
  for (unsigned i = 0; i < bed->n; i++)
    cr_expect_eq(masc_bed_has(bed, i, type, domain, prefix), there, "node %u", i);
}

static void originate(MascBed *bed, unsigned node, MascClaimType type, const char *prefix)
{
  MascClaim c = masc_bed_claim(bed, type, MASC_INTERNAL, bed->nodes[node].config.domain, prefix);
  c.node = bed->nodes[node].config.node;
  cr_assert_not_null(masc_originate(bed->nodes[node].zone, &c, 0, true, NULL,
                                    masc_bed_now(bed, node)));
}

/* Top-level domains in a ring with a chord. */
static MascBed *ring(unsigned n)
{
  MascBed *bed = masc_bed_new();
  for (unsigned i = 0; i < n; i++)
    masc_bed_add(bed, 10 + i, 10000 + i, true);
  for (unsigned i = 0; i < n; i++)
    masc_bed_join(bed, i, (i + 1) % n, MASC_SIBLING, 0);
  masc_bed_join(bed, 0, n / 2, MASC_SIBLING, 0);
  return bed;
}

Test(rfc2909_11, once_round_a_mesh)
{
  g_autoptr(MascBed) bed = ring(8);
  originate(bed, 3, NEW, "233.252.8.0/24");
  unsigned n = masc_bed_settle(bed);
  expect_all(bed, NEW, 13, "233.252.8.0/24", true);
  cr_expect_leq(n, 2 * 9, "each link at most once in each direction: %u", n);
  originate(bed, 3, IN_USE, "233.252.8.0/24");
  masc_bed_settle(bed);
  expect_all(bed, IN_USE, 13, "233.252.8.0/24", true);
  expect_all(bed, NEW, 13, "233.252.8.0/24", false);
  cr_expect_eq(bed->answers->len, 0);
}

/* The ring falls in two; each half goes on; then it is whole again. Links 2, 6 and the chord cross
   between {0,1,2} and {3..7}... */
Test(rfc2909_11, halves_that_meet_again)
{
  g_autoptr(MascBed) bed = ring(8);
  originate(bed, 1, IN_USE, "233.252.1.0/24");
  originate(bed, 6, IN_USE, "233.252.6.0/24");
  masc_bed_settle(bed);
  masc_bed_down(bed, 2);      /* 2-3 */
  masc_bed_down(bed, 7);      /* 7-0 */
  masc_bed_down(bed, 8);      /* 0-4 */
  originate(bed, 0, NEW, "233.252.10.0/24");
  originate(bed, 5, NEW, "233.252.15.0/24");
  bed->mono += 5 * MASC_SECOND;
  originate(bed, 1, WITHDRAW, "233.252.1.0/24");
  originate(bed, 6, IN_USE, "233.252.6.0/24");
  masc_bed_settle(bed);
  cr_expect(masc_bed_has(bed, 4, IN_USE, 11, "233.252.1.0/24"));
  cr_expect_not(masc_bed_has(bed, 2, IN_USE, 11, "233.252.1.0/24"));
  masc_bed_up(bed, 7);
  unsigned n = masc_bed_settle(bed);
  expect_all(bed, NEW, 10, "233.252.10.0/24", true);
  expect_all(bed, NEW, 15, "233.252.15.0/24", true);
  expect_all(bed, IN_USE, 11, "233.252.1.0/24", false);
  for (unsigned i = 0; i < bed->n; i++) {
    MascBedRecords r = masc_bed_records(bed, i, 16);
    cr_expect_eq(r.n, 1, "node %u", i);
    cr_expect_eq(r.claims[0].timestamp, masc_bed_time(bed, 0), "node %u has the renewal", i);
  }
  cr_expect_eq(bed->answers->len, 0);
  cr_expect_leq(n, 60, "%u", n);
}

/* Figure 1 of section 4, in part: what a child tells one node of its parent reaches the other
   children, and nobody above the parent. */
Test(rfc2909_4, figure_1)
{
  g_autoptr(MascBed) bed = masc_bed_new();
  unsigned t2 = masc_bed_add(bed, 2, 20001, true), p4a = masc_bed_add(bed, 4, 40001, false);
  unsigned p4b = masc_bed_add(bed, 4, 40002, false), c6a = masc_bed_add(bed, 6, 60001, false);
  unsigned c6b = masc_bed_add(bed, 6, 60002, false), c7a = masc_bed_add(bed, 7, 70001, false);
  masc_bed_join(bed, t2, p4a, MASC_PARENT, 0);
  masc_bed_join(bed, p4a, p4b, MASC_INTERNAL, 0);
  masc_bed_join(bed, p4a, c6a, MASC_PARENT, 0);
  masc_bed_join(bed, c6a, c6b, MASC_INTERNAL, 0);
  masc_bed_join(bed, p4b, c6b, MASC_PARENT, 0);
  masc_bed_join(bed, p4b, c7a, MASC_PARENT, 0);
  masc_bed_join(bed, c6b, c7a, MASC_SIBLING, 4);
  MalSpan held = mal_span_of_prefix(masc_bed_prefix("233.252.4.0/22"));
  bed->nodes[p4a].zone->owns->held = bed->nodes[p4b].zone->owns->held = held;
  bed->nodes[t2].zone->owns->held = bed->nodes[t2].config.span;
  originate(bed, t2, IN_USE, "233.252.0.0/18");
  masc_bed_settle(bed);
  cr_expect(masc_bed_has(bed, p4b, MANAGED, 2, "233.252.0.0/18"), "11.6.1 to internal peers");
  cr_expect_not(masc_bed_has(bed, c7a, MANAGED, 2, "233.252.0.0/18"));
  originate(bed, p4a, IN_USE, "233.252.4.0/22");
  masc_bed_settle(bed);
  cr_expect(masc_bed_has(bed, t2, IN_USE, 4, "233.252.4.0/22"));
  for (const unsigned *n = (unsigned[]){ c6a, c6b, c7a, 0 }; *n != 0; n++)
    cr_expect(masc_bed_has(bed, *n, MANAGED, 4, "233.252.4.0/22"), "node %u", *n);
  originate(bed, c7a, NEW, "233.252.5.0/24");
  masc_bed_settle(bed);
  for (const unsigned *n = (unsigned[]){ p4a, p4b, c6a, c6b, 0 }; *n != 0; n++)
    cr_expect(masc_bed_has(bed, *n, NEW, 7, "233.252.5.0/24"), "node %u", *n);
  cr_expect_not(masc_bed_has(bed, t2, NEW, 7, "233.252.5.0/24"));
  cr_expect_eq(bed->answers->len, 0);
}

/* 11.1: internal peers that lost touch hear of each other through their parent, and through a
   child. */
Test(rfc2909_11_1, internal_peers_through_others)
{
  for (unsigned way = 0; way < 2; way++) {
    g_autoptr(MascBed) bed = masc_bed_new();
    unsigned x = masc_bed_add(bed, 4, 40001, true), y = masc_bed_add(bed, 4, 40002, true);
    unsigned z = masc_bed_add(bed, 5 + way, 50001, way == 0);
    masc_bed_join(bed, x, z, way == 0 ? MASC_SIBLING : MASC_PARENT, 0);
    masc_bed_join(bed, y, z, way == 0 ? MASC_SIBLING : MASC_PARENT, 0);
    originate(bed, x, IN_USE, "233.252.4.0/22");
    masc_bed_settle(bed);
    cr_expect(masc_bed_has(bed, y, IN_USE, 4, "233.252.4.0/22"), "way %u", way);
    cr_expect_eq(bed->nodes[y].zone->owns->n_took, 1, "way %u", way);
    cr_expect_eq(bed->answers->len, 0, "way %u", way);
  }
}

/* 12.5, and what the wall clock takes. */
Test(rfc2909_12_5, the_last_peer_of_a_parent_takes_its_prefixes_along)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascNow now = masc_bed_now(rig.bed, 0);
  masc_zone_remove_peer(rig.zone, masc_rig_peer('a'), now);
  cr_expect(masc_bed_has(rig.bed, 0, MANAGED, 1, "233.252.0.0/18"), "b is left");
  masc_zone_remove_peer(rig.zone, masc_rig_peer('b'), now);
  cr_expect_not(masc_bed_has(rig.bed, 0, MANAGED, 1, "233.252.0.0/18"));
  cr_expect(masc_bed_has(rig.bed, 0, MANAGED, 2, "233.252.128.0/17"));
  masc_zone_check(rig.zone, now);
  MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, "233.252.8.0/24");
  cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_NO_PARENT_PREFIX);
}

Test(rfc2909_5_1, parents_in_touch)
{
  g_auto(MascRig) rig = masc_rig_new();
  cr_expect(masc_parent_in_touch(rig.zone, 1) && masc_parent_in_touch(rig.zone, 2));
  cr_expect_not(masc_parent_in_touch(rig.zone, 20), "a sibling is none");
  masc_bed_down(rig.bed, masc_rig_peer('q'));
  cr_expect_not(masc_parent_in_touch(rig.zone, 2));
  cr_expect(masc_parent_in_touch(rig.zone, 0), "any");
  masc_bed_down(rig.bed, masc_rig_peer('a'));
  cr_expect(masc_parent_in_touch(rig.zone, 1), "its other node");
  masc_bed_down(rig.bed, masc_rig_peer('b'));
  cr_expect_not(masc_parent_in_touch(rig.zone, 0));
}
