/* Whose space it is, what can be claimed of it, and what is in the way (RFC 2909 4.5, 5.1, 11.6,
   12.4). Letters: masc-rig.h. */
#include <criterion/criterion.h>

#include "plugins/masc/masc-flood.h"
#include "plugins/masc/masc-update.h"
#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define NEW MASC_NEW_CLAIM
#define MANAGED MASC_PREFIX_MANAGED
#define DENIED MASC_CLAIM_DENIED
#define WITHDRAW MASC_WITHDRAW
#define FREE "233.252.8.0/24"
#define HELD "233.252.4.0/24"

/* Sorted, "" for none. */
static char *text_of(const GArray *array, size_t size)
{
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < array->len; i++) {
    char text[MAL_SPAN_STRLEN];
    const MalPrefix *p = (const MalPrefix *)(const void *)(array->data + i * size);
    g_string_append_printf(out, "%s%s", i > 0 ? " " : "", masc_bed_format(*p, text));
  }
  return g_string_free(out, FALSE);
}

static void expect_grounds(const MascRig *rig, const char *want)
{
  g_autoptr(GArray) grounds = masc_grounds(rig->zone, false, masc_bed_now(rig->bed, 0));
  g_autofree char *is = text_of(grounds, sizeof(MascGround));
  cr_expect_str_eq(is, want, "%s", is);
}

static void expect_busy(const MascRig *rig, const char *want)
{
  g_autoptr(GArray) busy = masc_busy(rig->zone, false, masc_bed_now(rig->bed, 0));
  g_autofree char *is = text_of(busy, sizeof(MalPrefix));
  cr_expect_str_eq(is, want, "%s", is);
}

static void say(MascRig *rig, char by, MascClaimType type, MascId domain, const char *prefix)
{
  MascClaim c = masc_rig_claim(rig, type, MASC_INTERNAL, domain, prefix);
  cr_assert_eq(masc_rig_say(rig, by, &c), 0, "%s", prefix);
}

/* ---- grounds --------------------------------------------------------------------------------- */

/* Of a parent's prefix, what another one has in it, and what is outside of the scope, is left
   out. */
Test(rfc2909_4_5, a_parents_prefix_beyond_the_scope)
{
  g_auto(MascRig) rig = masc_rig_new();
  say(&rig, 'a', MANAGED, 1, "233.252.0.0/15");
  expect_grounds(&rig, "233.252.0.0/17 233.252.128.0/17");
}

Test(rfc2909_4_5, a_scope_that_is_no_prefix)
{
  g_auto(MascRig) rig = masc_rig_new();
  rig.zone->config.top = true;
  rig.zone->config.span = masc_bed_span("233.252.1.0-233.252.4.255");
  for (const char *p = "abq"; *p != '\0'; p++)
    masc_zone_remove_peer(rig.zone, masc_rig_peer(*p), masc_bed_now(rig.bed, 0));
  expect_grounds(&rig, "233.252.1.0/24 233.252.2.0/23 233.252.4.0/24");
}

/* Few are looked through, many looked up: both know the closest one. */
Test(rfc2909_12_4, whose_space_among_many)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascId parent = 0;
  MascRecord r = { .claim = masc_rig_claim(&rig, MANAGED, MASC_PARENT, 2, "233.252.8.0/28") };
  say(&rig, 's', NEW, 20, FREE);
  MascRecord withdraw = { .claim = masc_rig_claim(&rig, WITHDRAW, MASC_PARENT, 2, FREE) };
  masc_cache_add(rig.zone->cache, &withdraw);
  for (unsigned i = 0; i < 40; i++) {
    masc_cache_add(rig.zone->cache, &r);
    r.claim.prefix.address.value += 16;
  }
  MascNow now = masc_bed_now(rig.bed, 0);
  cr_expect(masc_parent_of(rig.zone, masc_bed_prefix("233.252.8.16/28"), now, &parent));
  cr_expect_eq(parent, 2);
  cr_expect(masc_parent_of(rig.zone, masc_bed_prefix(FREE), now, &parent));
  cr_expect_eq(parent, 1);
  cr_expect_not(masc_parent_of(rig.zone, masc_bed_prefix("233.252.96.0/24"), now, &parent));
}

/* What a parent claims of another one, told by an internal peer; where nobody else has it, it is
   its own. */
Test(rfc2909_12_4, a_parents_whole_prefix_as_a_claim)
{
  static const struct {
    const char *outer;          /* of parent 2 */
    const char *prefix;
    MascId parent;
  } rows[] = {
    { "233.252.0.0/17", "233.252.0.0/18", 2 },
    { "233.252.192.0/18", "233.252.0.0/18", 1 },
    { "233.252.0.0/17", "233.252.0.0/19", 1 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascId parent = 0;
    MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_SIBLING, 1, rows[i].prefix);
    say(&rig, 'q', MANAGED, 2, rows[i].outer);
    cr_assert(masc_parent_for(rig.zone, &c, 0, &parent));
    cr_expect_eq(parent, rows[i].parent, "row %zu", i);
    cr_assert(masc_parent_for(rig.zone, &c, 1, &parent));
    cr_expect_eq(parent, 1, "row %zu: it says so itself", i);
  }
}

Test(rfc2909_12_4, who_is_above)
{
  static const struct {
    const char *why;
    MascId domain, parent;
    const char *has, *prefix;
    bool above;
  } rows[] = {
    { "parent 1's whole prefix, of parent 2", 1, 2, "233.252.0.0/18", FREE, true },
    { "the same, used by itself", 1, 1, "233.252.0.0/18", FREE, false },
    { "a part of parent 1's, of parent 2", 20, 2, "233.252.0.0/19", FREE, false },
    { "something that nobody manages", 20, 2, "233.252.64.0/18", "233.252.65.0/24", false },
    { "domain 7, of which we have a part", 7, 2, "233.252.64.0/18", "233.252.66.0/25", true },
    { "but not of more than that", 7, 2, "233.252.64.0/18", "233.252.66.0/23", false },
    { "nor of what is our child's", 8, 2, "233.252.64.0/18", "233.252.70.0/24", false },
  };
  g_auto(MascRig) rig = masc_rig_new();
  static const struct {
    MascRole role;
    MascId parent;
    const char *prefix;
  } ours[] = {
    { MASC_INTERNAL, 7, "233.252.66.0/24" },
    { MASC_CHILD, 8, "233.252.70.0/24" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(ours); i++) {
    MascRecord r = { .claim = masc_rig_claim(&rig, IN_USE, ours[i].role, 10, ours[i].prefix),
                     .parent = ours[i].parent };
    masc_cache_add(rig.zone->cache, &r);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRecord r = { .claim = masc_rig_claim(&rig, IN_USE, MASC_SIBLING, rows[i].domain,
                                             rows[i].has),
                     .parent = rows[i].parent };
    cr_expect_eq(masc_is_above(rig.zone, &r, masc_bed_prefix(rows[i].prefix)), rows[i].above, "%s",
                 rows[i].why);
  }
}

/* ---- busy ------------------------------------------------------------------------------------ */

/* Of ours, what a parent denied however short; not what an internal peer did. */
Test(rfc2909_8_3, what_was_denied_us_is_busy)
{
  static const struct {
    MascRole role;
    uint32_t lifetime;
    const char *busy;
  } rows[] = {
    { MASC_PARENT, 0, FREE }, { MASC_PARENT, 1, "" }, { MASC_INTERNAL, 0, "" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascRecord r = { .claim = masc_rig_claim(&rig, DENIED, rows[i].role, 10, FREE) };
    r.claim.lifetime = rows[i].lifetime;
    masc_cache_add(rig.zone->cache, &r);
    expect_busy(&rig, rows[i].busy);
  }
}

static void count(const MascEntry *entry, void *data)
{
  *(unsigned *)data += entry->kind == MASC_ENTRY_SIBLING;
}

/* More holes than anybody wants to know: then all of it is taken. */
Test(rfc2909_11_7, what_is_withdrawn_in_too_many_pieces)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascRecord r = { .claim = masc_rig_claim(&rig, IN_USE, MASC_SIBLING, 20, "233.252.8.0/23") };
  unsigned shown = 0;
  masc_cache_add(rig.zone->cache, &r);
  r.claim.type = WITHDRAW;
  r.claim.prefix.length = MASC_BED_LENGTH(32);
  for (unsigned i = 0; i < 256; i++) {
    masc_cache_add(rig.zone->cache, &r);
    r.claim.prefix.address.value += 2;
  }
  expect_busy(&rig, "233.252.8.0/23");
  masc_zone_each_left(rig.zone, masc_bed_now(rig.bed, 0), count, &shown);
  cr_expect_eq(shown, 1);
}

/* ---- hints ----------------------------------------------------------------------------------- */

/* 11.5: what internal peers want is no children's demand. */
Test(rfc2909_11_5, an_internal_peers_hint_is_no_childs)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascNow now = masc_bed_now(rig.bed, 0);
  say(&rig, 'i', NEW, 10, "0.0.0.0/24");
  cr_expect_eq(masc_hints(rig.zone, now), 0);
  say(&rig, 'c', NEW, 30, "0.0.0.0/24");
  cr_expect_eq(masc_hints(rig.zone, now), 256);
}

/* ---- who tells it ---------------------------------------------------------------------------- */

/* 11.6.1: a sibling stands for the parent that we share, whether we have a session with it or
   not. */
Test(rfc2909_11_6_1, a_siblings_parent)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned v = masc_bed_open(rig.bed, 0, MASC_SIBLING, 23, 3);
  for (MascId domain = 3; domain <= 4; domain++) {
    MascClaim c = masc_rig_claim(&rig, MANAGED, MASC_PARENT, domain, "233.252.64.0/18");
    cr_expect_eq(masc_bed_say(rig.bed, 0, v, &c), domain == 3 ? 0 : MASC_UPDATE_NO_PARENT_PREFIX);
  }
}

/* 11.7.4: a WITHDRAW of what no parent manages is about what we have forgotten, if it is by one of
   our parents. */
Test(rfc2909_11_7_4, of_what_nobody_manages)
{
  static const struct {
    char by;
    MascRole role;
    MascId domain;
    const char *prefix;
    uint8_t subcode;
  } rows[] = {
    { 'a', MASC_INTERNAL, 1, "233.252.64.0/18", 0 },
    { 'i', MASC_PARENT, 1, "233.252.64.0/18", 0 },
    { 'i', MASC_PARENT, 7, "233.252.64.0/18", MASC_UPDATE_NO_PARENT_PREFIX },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, WITHDRAW, rows[i].role, rows[i].domain, rows[i].prefix);
    cr_expect_eq(masc_rig_say(&rig, rows[i].by, &c), rows[i].subcode, "row %zu", i);
  }
}

Test(rfc2909_11_7_4, a_parents_hint_is_nobodys)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned silent = masc_bed_open(rig.bed, 0, MASC_CHILD, 3, 0);
  MascClaim c = masc_rig_claim(&rig, WITHDRAW, MASC_INTERNAL, 3, "0.0.0.0/24");
  cr_expect_eq(masc_bed_say(rig.bed, 0, silent, &c), MASC_UPDATE_NO_PARENT_PREFIX);
}

/* 11.7.1, 11.7.4, 11.8.1: nobody but a child says hints to us, and what else it has is none. */
Test(rfc2909_11_7, a_withdraw_of_a_hint_is_about_that_hint_alone)
{
  static const struct {
    char by;
    MascId domain;
    bool hinted;
    uint8_t subcode;
  } rows[] = {
    { 'a', 1, false, MASC_UPDATE_NO_PARENT_PREFIX },
    { 'c', 30, false, MASC_UPDATE_NO_CHILD_PREFIX },
    { 'c', 30, true, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, rows[i].domain, "0.0.0.0/24");
    say(&rig, 'c', IN_USE, 30, "233.252.4.0/24");
    if (rows[i].hinted)
      cr_expect_eq(masc_rig_say(&rig, rows[i].by, &c), 0);
    unsigned parents = rig.own->n_parents;
    c.type = WITHDRAW;
    cr_expect_eq(masc_rig_say(&rig, rows[i].by, &c), rows[i].subcode, "row %zu", i);
    cr_expect_eq(masc_bed_has(rig.bed, 0, WITHDRAW, rows[i].domain, "0.0.0.0/24"), rows[i].hinted);
    cr_expect_eq(masc_hints(rig.zone, masc_bed_now(rig.bed, 0)), 0);
    cr_expect_eq(rig.own->n_parents, parents);
  }
}

/* ---- peers ----------------------------------------------------------------------------------- */

/* 12.5: what another parent denied the one that goes is none of its. */
Test(rfc2909_12_5, a_parent_that_goes)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascNow now = masc_bed_now(rig.bed, 0);
  unsigned silent = masc_bed_open(rig.bed, 0, MASC_CHILD, 3, 0), before;
  say(&rig, 'q', DENIED, 1, "233.252.129.0/24");
  masc_zone_remove_peer(rig.zone, masc_rig_peer('a'), now);
  masc_zone_remove_peer(rig.zone, masc_rig_peer('b'), now);
  cr_expect_not(masc_bed_has(rig.bed, 0, MANAGED, 1, "233.252.0.0/18"));
  cr_expect(masc_bed_has(rig.bed, 0, DENIED, 1, "233.252.129.0/24"));
  before = rig.own->n_parents;
  masc_zone_remove_peer(rig.zone, silent, now);
  cr_expect_eq(rig.own->n_parents, before, "it had nothing");
}

/* After a restart, of what was kept; with internal peers any domain may be a parent. */
Test(rfc2909_12_5, parents_that_are_gone_when_we_come_back)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascNow now = masc_bed_now(rig.bed, 0);
  MascRecord kept = { .claim = masc_rig_claim(&rig, MANAGED, MASC_PARENT, 7, "233.252.64.0/18") };
  masc_cache_add(rig.zone->cache, &kept);
  masc_zone_forget_parents(rig.zone, now);
  expect_grounds(&rig, "233.252.0.0/18 233.252.64.0/18 233.252.128.0/17");
  masc_zone_remove_peer(rig.zone, masc_rig_peer('i'), now);
  masc_zone_remove_peer(rig.zone, masc_rig_peer('j'), now);
  masc_zone_forget_parents(rig.zone, now);
  expect_grounds(&rig, "233.252.0.0/18 233.252.128.0/17");
}

Test(rfc2909_10_1, a_session_goes_down_once)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned touched = rig.own->n_touched;
  masc_zone_down(rig.zone, masc_rig_peer('s'), masc_bed_now(rig.bed, 0));
  cr_expect_eq(rig.own->n_touched, touched + 1);
  masc_zone_down(rig.zone, masc_rig_peer('s'), masc_bed_now(rig.bed, 0));
  cr_expect_eq(rig.own->n_touched, touched + 1);
}

/* 11.8: a WITHDRAW of a claim only takes nothing from the children in it. */
Test(rfc2909_11_8, a_growth_that_was_given_up_is_not_told_again)
{
  for (unsigned named = 0; named < 2; named++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim grown = masc_rig_claim(&rig, MASC_CLAIM_TO_EXPAND, MASC_INTERNAL, 10,
                                     "233.252.4.0/23");
    MascClaim withdraw = grown;
    withdraw.type = WITHDRAW;
    if (named)
      cr_assert_eq(masc_rig_say(&rig, 'i', &grown), 0);
    say(&rig, 'c', IN_USE, 30, HELD);
    say(&rig, 'i', IN_USE, 10, HELD);
    cr_assert_eq(masc_rig_say(&rig, 'i', &withdraw), 0);
    masc_bed_down(rig.bed, masc_rig_peer('e'));
    masc_bed_clear(rig.bed);
    masc_bed_up(rig.bed, masc_rig_peer('e'));
    cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('e'), WITHDRAW, NULL), !named);
  }
}

/* ---- the way in ------------------------------------------------------------------------------ */

Test(rfc2909_4_5, of_another_family_nothing_is_taken)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, FREE);
  c.prefix.address.family = c.prefix.address.family == MAL_IPV4 ? MAL_IPV6 : MAL_IPV4;
  cr_expect_eq(masc_zone_heard(rig.zone, masc_rig_peer('s'), &c, masc_bed_now(rig.bed, 0)), 0);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, 2);
}

/* 8.3: only of our own domain's claims it is of use to know that they were refused. */
Test(rfc2909_8_3, what_was_refused_of_others)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascNow now = masc_bed_now(rig.bed, 0);
  for (MascId domain = 10; domain <= 20; domain += 10) {
    MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, domain, FREE);
    masc_zone_refused(rig.zone, masc_rig_peer('a'), &c, MASC_UPDATE_LIFETIME_LONG, now);
    cr_expect_eq(rig.own->n_denied, 1);
  }
}

/* Said again as it is: it is kept once, and told again. */
Test(rfc2909_12_4, what_we_say_twice)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 10, FREE);
  MascRecord *record = masc_originate(rig.zone, &c, 1, true, NULL, masc_bed_now(rig.bed, 0));
  char told[16];
  cr_expect_str_eq(masc_rig_told(&rig, &c, told), "abstcdeij", "%s", told);
  cr_expect_eq(masc_originate(rig.zone, &c, 1, true, NULL, masc_bed_now(rig.bed, 0)), record);
  cr_expect_str_eq(masc_rig_told(&rig, &c, told), "abstcdeij", "%s", told);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 10).n, 1);
}

/* ---- children -------------------------------------------------------------------------------- */

/* 8.3: what was said before about the same space, and whether it is no first fault. */
Test(rfc2909_8_3, who_was_told_already)
{
  static const struct {
    const char *why;
    MascRole role;
    MascId domain;
    int32_t later;              /* than the claim */
    bool refused;
  } rows[] = {
    { "it itself, before", MASC_INTERNAL, 30, -1, true },
    { "by our parent", MASC_PARENT, 30, -1, false },
    { "another child", MASC_INTERNAL, 31, -1, false },
    { "it itself, of a later claim", MASC_INTERNAL, 30, 1, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, HELD);
    MascRecord r = { .claim = masc_rig_claim(&rig, DENIED, rows[i].role, rows[i].domain, HELD),
                     .parent = 10 };
    r.claim.timestamp += (uint32_t)rows[i].later;
    r.claim.lifetime = 5000;
    masc_cache_add(rig.zone->cache, &r);
    rig.own->until = (MalTime)c.timestamp + 5000;
    /* What our own limit says is more than what is left. */
    rig.bed->params.limits.lifetime_max = 20000;
    c.lifetime = 10000;
    cr_expect_eq(masc_rig_say(&rig, 'c', &c), rows[i].refused ? MASC_UPDATE_LIFETIME_LONG : 0,
                 "%s", rows[i].why);
    if (!rows[i].refused)
      cr_expect_eq(masc_rig_last(&rig, 'c').lifetime, 5000, "%s", rows[i].why);
  }
}

/* 11.4.3: "the maximum allowed lifetime" is the least of what is left and what we allow anybody. */
Test(rfc2909_11_4_3, how_long_is_allowed)
{
  static const uint32_t rows[][2] = { { 3000, 3000 }, { 7000, 5000 }, { 0, 5000 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, HELD);
    rig.own->until = (MalTime)c.timestamp + 5000;
    rig.bed->params.limits.lifetime_max = rows[i][0];
    c.lifetime = 10000;
    cr_expect_eq(masc_rig_say(&rig, 'c', &c), 0);
    cr_expect_eq(masc_rig_last(&rig, 'c').lifetime, rows[i][1], "row %zu", i);
  }
}

/* 12.4: a child that claims what two others use hears of both; that is one clash. */
Test(rfc2909_12_4, a_child_that_claims_what_two_others_use)
{
  g_auto(MascRig) rig = masc_rig_new();
  unsigned e = masc_bed_open(rig.bed, 0, MASC_PARENT, 32, 0);
  MascClaim other = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 32, "233.252.5.0/24");
  say(&rig, 'e', IN_USE, 31, HELD);
  cr_assert_eq(masc_bed_say(rig.bed, 0, e, &other), 0);
  masc_bed_clear(rig.bed);
  say(&rig, 'c', IN_USE, 30, "233.252.4.0/23");
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('c'), IN_USE, NULL), 2);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_CHILDREN_CLASH], 1);
}

/* 14: children are counted as siblings are. */
Test(rfc2909_14, a_child_that_floods)
{
  g_auto(MascRig) rig = masc_rig_new();
  rig.bed->params.flood_limit = 4;
  for (unsigned i = 0; i < 10; i++) {
    MascClaim used = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 31, "233.252.4.0/28");
    used.prefix.address.value += 16 * i;
    MascClaim c = used;
    c.domain = 30;
    c.node = 30000;
    c.timestamp -= 10;
    cr_assert_eq(masc_rig_say(&rig, 'e', &used), 0);
    cr_assert_eq(masc_rig_say(&rig, 'c', &c), 0);
  }
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], 1);
  cr_expect_eq(masc_cache_size_of(rig.zone->cache, 30), 4);
}

/* 14: of claims that stood in others' way one is taken off when what they are for comes to use. */
Test(rfc2909_14, two_claims_that_come_to_use_as_one)
{
  g_auto(MascRig) rig = masc_rig_new();
  rig.bed->params.flood_limit = 2;
  for (unsigned i = 0; i < 2; i++) {
    MascClaim honest = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 21, FREE);
    honest.prefix.address.value += 256 * i;
    MascClaim c = honest;
    c.domain = 20;
    c.node = 20000;
    c.timestamp -= 100;
    cr_assert_eq(masc_rig_say(&rig, 't', &honest), 0);
    cr_assert_eq(masc_rig_say(&rig, 's', &c), 0);
  }
  say(&rig, 's', IN_USE, 20, "233.252.8.0/23");
  MascNow now = masc_bed_now(rig.bed, 0);
  cr_expect_not(masc_flood_count(rig.zone->flood, 20, &rig.bed->params, now), "one is left");
  cr_expect(masc_flood_count(rig.zone->flood, 20, &rig.bed->params, now));
}

/* 8.3, 11.5: a hint of a clock that is ahead. */
Test(rfc2909_8_3, a_hint_of_the_future)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim hint = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, "0.0.0.0/24");
  rig.bed->params.limits.timestamp_new = 500;
  hint.timestamp += 501;
  cr_expect_eq(masc_rig_say(&rig, 'c', &hint), MASC_UPDATE_TIMESTAMP_NEW);
  hint.timestamp -= 1;
  cr_expect_eq(masc_rig_say(&rig, 'c', &hint), 0);
}
