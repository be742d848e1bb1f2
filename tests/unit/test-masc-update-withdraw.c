/* RFC 2909 11.7 and 12.4 against a zone: WITHDRAWs. Letters: masc-rig.h. */
#include <criterion/criterion.h>

#include "plugins/masc/masc-update.h"
#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define EXPAND MASC_CLAIM_TO_EXPAND
#define NEW MASC_NEW_CLAIM
#define MANAGED MASC_PREFIX_MANAGED
#define WITHDRAW MASC_WITHDRAW

#define FREE "233.252.8.0/24"
#define HALF "233.252.8.0/25"
#define WIDE "233.252.8.0/23"
#define HELD "233.252.4.0/24"

static MalSpan span_of(const char *prefix)
{
  return mal_span_of_prefix(masc_bed_prefix(prefix));
}

Test(rfc2909_11_7, associated_or_refused)
{
  static const struct {
    const char *rule;
    char by;
    MascRole role;
    MascId domain;
    MascClaimType before;     /* MASC_N_CLAIM_TYPES: nothing */
    const char *used, *prefix;
    int later;                /* than what was before */
    uint8_t subcode;
    const char *told;
  } rows[] = {
    { "11.7.1 in use by the child", 'c', MASC_INTERNAL, 30, IN_USE, HELD, HELD, 1, 0, "deij" },
    { "11.7.1 a part of it", 'c', MASC_INTERNAL, 30, IN_USE, HELD, "233.252.4.0/26", 1, 0,
      "deij" },
    { "11.7.1 a claim", 'c', MASC_INTERNAL, 30, NEW, HELD, HELD, 0, 0, "deij" },
    { "11.7.1 a claim with another timestamp", 'c', MASC_INTERNAL, 30, NEW, HELD, HELD, 1,
      MASC_UPDATE_NO_CHILD_PREFIX, "" },
    { "11.7.1 nothing", 'c', MASC_INTERNAL, 30, MASC_N_CLAIM_TYPES, NULL, HELD, 0,
      MASC_UPDATE_NO_CHILD_PREFIX, "" },
    { "11.7.1 something else", 'c', MASC_INTERNAL, 30, IN_USE, HELD, "233.252.5.0/24", 1,
      MASC_UPDATE_NO_CHILD_PREFIX, "" },
    { "11.7.2 in use by the sibling", 's', MASC_INTERNAL, 20, IN_USE, FREE, HALF, 1, 0, "abtij" },
    { "11.7.2 of parent 2's space", 'u', MASC_INTERNAL, 22, IN_USE, "233.252.200.0/24",
      "233.252.200.0/24", 1, 0, "qij" },
    { "11.7.2 a claim", 's', MASC_INTERNAL, 20, NEW, FREE, FREE, 0, 0, "abtij" },
    { "11.7.2 of that timestamp, but a part", 's', MASC_INTERNAL, 20, NEW, FREE, HALF, 0,
      MASC_UPDATE_NO_SIBLING_PREFIX, "" },
    { "11.7.2 nothing", 's', MASC_INTERNAL, 20, MASC_N_CLAIM_TYPES, NULL, FREE, 0,
      MASC_UPDATE_NO_SIBLING_PREFIX, "" },
    { "12.4 as large as the winner", 's', MASC_INTERNAL, 20, IN_USE, FREE, WIDE, 1, 0, "abtij" },
    { "11.7.3 ours", 'i', MASC_INTERNAL, 10, IN_USE, FREE, FREE, 1, 0, "abstcdej" },
    { "11.7.4 by a parent", 'a', MASC_INTERNAL, 1, MASC_N_CLAIM_TYPES, NULL, FREE, 1, 0,
      "bstij" },
    { "11.7.4 through a sibling", 's', MASC_PARENT, 1, MASC_N_CLAIM_TYPES, NULL, FREE, 1, 0,
      "abtij" },
    { "11.7.4 not the parent's", 'a', MASC_INTERNAL, 1, MASC_N_CLAIM_TYPES, NULL,
      "233.252.200.0/24", 1, MASC_UPDATE_NO_PARENT_PREFIX, "" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    char text[16];
    MascClaim w = masc_rig_claim(&rig, WITHDRAW, rows[i].role, rows[i].domain, rows[i].prefix);
    if (rows[i].used != NULL) {
      MascClaim used = masc_rig_claim(&rig, rows[i].before, rows[i].role, rows[i].domain,
                                      rows[i].used);
      used.timestamp = w.timestamp - (uint32_t)rows[i].later;
      cr_assert_eq(masc_rig_say(&rig, rows[i].by, &used), 0, "%s: before", rows[i].rule);
      masc_bed_clear(rig.bed);
    }
    unsigned changed = rig.own->n_children;
    uint8_t subcode = masc_rig_say(&rig, rows[i].by, &w);
    cr_expect_eq(subcode, rows[i].subcode, "%s: %u", rows[i].rule, subcode);
    cr_expect_eq(rig.own->n_children > changed, rows[i].domain == 30 && subcode == 0, "%s",
                 rows[i].rule);
    cr_expect_str_eq(masc_rig_told(&rig, &w, text), rows[i].told, "%s: told %s", rows[i].rule,
                     text);
  }
}

Test(rfc2909_11_7_3, ours_but_about_nothing)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim w = masc_rig_claim(&rig, WITHDRAW, MASC_INTERNAL, 10, FREE);
  rig.own->withdrawn = false;
  cr_expect_eq(masc_rig_say(&rig, 'i', &w), MASC_UPDATE_NO_INTERNAL_PREFIX);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 10).n, 0);
}

Test(rfc2909_11_7_4, our_own_half_cuts_what_is_ours)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim w = masc_rig_claim(&rig, WITHDRAW, MASC_INTERNAL, 1, "233.252.0.0/19");
  MascNow now = masc_bed_now(rig.bed, 0);
  w.timestamp++;
  cr_expect_eq(masc_rig_say(&rig, 'a', &w), 0);
  cr_expect_eq(rig.own->n_withdrew, 1);
  g_autoptr(GArray) grounds = masc_grounds(rig.zone, false, now);
  cr_assert_eq(grounds->len, 2);
  MalSpan first = mal_span_of_prefix(g_array_index(grounds, MascGround, 0).prefix);
  cr_expect(mal_address_equal(first.first, span_of("233.252.32.0/19").first));
  cr_expect(mal_address_equal(first.last, span_of("233.252.32.0/19").last));
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

Test(rfc2909_11_7, what_was_withdrawn_does_not_revive)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim used = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE), w = used;
  MascClaim out;
  w.type = WITHDRAW;
  w.timestamp++;
  masc_rig_say(&rig, 's', &used);
  masc_rig_say(&rig, 's', &w);
  cr_expect_not(masc_bed_has(rig.bed, 0, IN_USE, 20, FREE));
  masc_bed_clear(rig.bed);
  /* a parent that was cut off has a copy yet: it is told better, and nobody else hears of it */
  used.role = MASC_CHILD;
  cr_expect_eq(masc_rig_say(&rig, 'b', &used), 0);
  cr_expect_not(masc_bed_has(rig.bed, 0, IN_USE, 20, FREE));
  cr_expect_eq(rig.bed->sent->len, 1);
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('b'), WITHDRAW, &out), 1);
  cr_expect_eq(out.timestamp, w.timestamp);
  /* claimed again, it stands */
  used.timestamp = w.timestamp + 1;
  cr_expect_eq(masc_rig_say(&rig, 'b', &used), 0);
  cr_expect(masc_bed_has(rig.bed, 0, IN_USE, 20, FREE));
  masc_rig_say(&rig, 's', &w);
  cr_expect(masc_bed_has(rig.bed, 0, IN_USE, 20, FREE), "the old WITHDRAW, once more");
}

Test(rfc2909_11_7, a_withdrawn_claim_does_not_revive)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim claim = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, FREE), w = claim;
  w.type = WITHDRAW;
  masc_rig_say(&rig, 's', &claim);
  masc_rig_say(&rig, 's', &w);
  cr_expect_not(masc_bed_has(rig.bed, 0, NEW, 20, FREE));
  claim.role = MASC_CHILD;
  cr_expect_eq(masc_rig_say(&rig, 'b', &claim), 0);
  cr_expect_not(masc_bed_has(rig.bed, 0, NEW, 20, FREE));
}

/* A growth that is given up takes nothing of what there was; a renewal's withdrawal, all. */
Test(rfc2909_11_7, a_claim_in_a_prefix_in_use)
{
  static const struct {
    const char *claimed;
    size_t left;
  } rows[] = { { WIDE, 1 }, { FREE, 0 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim used = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE);
    MascClaim claim = masc_rig_claim(&rig, EXPAND, MASC_INTERNAL, 20, rows[i].claimed);
    MascClaim w = claim;
    used.timestamp -= 10;
    w.type = WITHDRAW;
    w.holdtime = 40 * 86400;
    masc_rig_say(&rig, 's', &used);
    masc_rig_say(&rig, 's', &claim);
    cr_assert_eq(masc_rig_say(&rig, 's', &w), 0);
    g_autoptr(GArray) busy = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
    cr_expect_eq(busy->len, rows[i].left, "row %zu: %u", i, busy->len);
  }
}

Test(rfc2909_11_7, parts_and_their_end)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim used = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE), w = used;
  w.type = WITHDRAW;
  w.prefix = masc_bed_prefix(HALF);
  w.holdtime = 1000;
  masc_rig_say(&rig, 's', &used);
  masc_rig_say(&rig, 's', &w);
  g_autoptr(GArray) busy = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
  cr_assert_eq(busy->len, 1);
  cr_expect_eq(g_array_index(busy, MalPrefix, 0).length, MASC_BED_LENGTH(25));
  cr_expect_eq((uint8_t)g_array_index(busy, MalPrefix, 0).address.value, 128);
  masc_bed_pass(rig.bed, 1150);
  g_autoptr(GArray) later = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
  cr_assert_eq(later->len, 1);
  cr_expect_eq(g_array_index(later, MalPrefix, 0).length, MASC_BED_LENGTH(24),
               "12.4: it timed out");
}

/* 12.4: the loser's WITHDRAW has the winner's timestamp, older than what it withdraws. */
Test(rfc2909_12_4, the_loser_of_a_clash)
{
  for (unsigned order = 0; order < 2; order++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim loser = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE);
    MascClaim winner = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 21, HALF), w;
    winner.timestamp -= 50;
    w = winner;
    w.type = WITHDRAW;
    w.domain = 20;
    w.node = loser.node;
    masc_rig_say(&rig, 's', &loser);
    if (order == 0)
      masc_rig_say(&rig, 't', &winner);
    cr_expect_eq(masc_rig_say(&rig, 's', &w), 0);
    if (order == 1)
      masc_rig_say(&rig, 't', &winner);
    g_autoptr(GArray) busy = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
    cr_expect_eq(busy->len, 2, "order %u: %u", order, busy->len);
    /* The loser's next PREFIX_IN_USE is bound by it, too. */
    loser.timestamp += 100;
    masc_rig_say(&rig, 's', &loser);
    g_autoptr(GArray) still = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
    cr_expect_eq(still->len, 2, "order %u", order);
  }
}

/* A child can't know the winner among its parent's siblings. */
Test(rfc2909_12_4, a_parent_that_lost)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim w = masc_rig_claim(&rig, WITHDRAW, MASC_INTERNAL, 1, "233.252.0.0/18");
  w.timestamp -= 500;
  cr_expect_eq(masc_rig_say(&rig, 'a', &w), 0);
  g_autoptr(GArray) grounds = masc_grounds(rig.zone, false, masc_bed_now(rig.bed, 0));
  cr_expect_eq(grounds->len, 1, "only parent 2's");
}

/* ---- newer and older ------------------------------------------------------------------------- */

Test(rfc2909_11, newer_takes_the_place_of_older)
{
  static const struct {
    const char *why;
    MascClaimType first, second;
    const char *p, *q;
    int later;
    size_t n;                 /* records of that origin, whichever comes first */
  } rows[] = {
    { "a renewal", IN_USE, IN_USE, FREE, FREE, 1, 1 },
    { "a growth", IN_USE, IN_USE, FREE, WIDE, 1, 1 },
    { "a part of an older one", IN_USE, IN_USE, WIDE, FREE, 1, 2 },
    { "beside it", IN_USE, IN_USE, FREE, "233.252.9.0/24", 1, 2 },
    { "completes a claim", NEW, IN_USE, FREE, FREE, 0, 1 },
    { "completes a claim, later", NEW, IN_USE, FREE, FREE, 9, 1 },
    { "two claims", NEW, NEW, FREE, FREE, 1, 2 },
  };
  for (size_t i = 0; i < 2 * G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    size_t r = i / 2;
    MascClaim a = masc_rig_claim(&rig, rows[r].first, MASC_INTERNAL, 20, rows[r].p);
    MascClaim b = masc_rig_claim(&rig, rows[r].second, MASC_INTERNAL, 20, rows[r].q);
    a.timestamp -= (uint32_t)rows[r].later;
    cr_expect_eq(masc_rig_say(&rig, 's', i % 2 == 0 ? &a : &b), 0);
    cr_expect_eq(masc_rig_say(&rig, 's', i % 2 == 0 ? &b : &a), 0);
    cr_expect_eq(masc_bed_records(rig.bed, 0, 20).n, rows[r].n, "%s, %s first", rows[r].why,
                 i % 2 == 0 ? "the older" : "the newer");
    cr_expect(masc_bed_has(rig.bed, 0, rows[r].second, 20, rows[r].q), "%s", rows[r].why);
  }
}

/* Of two of the same second, everybody keeps the same one. */
Test(rfc2909_11, equally_old_ones_are_ordered)
{
  for (unsigned i = 0; i < 8; i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim a = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE), b = a;
    switch (i / 2) {
    case 0: b.lifetime++; break;
    case 1: b.holdtime++; break;
    case 2: b.deprecated = true; break;
    default: b.node--; break;
    }
    masc_rig_say(&rig, 's', i % 2 == 0 ? &a : &b);
    masc_rig_say(&rig, 's', i % 2 == 0 ? &b : &a);
    MascBedRecords r = masc_bed_records(rig.bed, 0, 20);
    cr_assert_eq(r.n, 1);
    b.role = MASC_SIBLING;
    cr_expect(masc_claim_same(&r.claims[0], &b), "%u", i);
  }
}

/* B beside A, whatever comes first; what both have is of one domain and of 233.252.8.0/24. */
Test(rfc2909_11, what_supersedes_what)
{
  static const struct {
    const char *why;
    MascRecord a, b;
    const char *p, *q;
    bool a_does, b_does;
  } rows[] = {
    { "the same one", { .claim = { .type = IN_USE } }, { .claim = { .type = IN_USE } }, FREE, FREE,
      false, false },
    { "a hint of a child, one of our own", { .claim = { .type = NEW, .role = MASC_CHILD } },
      { .claim = { .type = NEW } }, "0.0.0.0/24", "0.0.0.0/24", false, false },
    { "the WITHDRAW of the same claim in the other arena", { .claim = { .type = WITHDRAW } },
      { .claim = { .type = NEW, .role = MASC_CHILD } }, FREE, FREE, false, false },
    { "the WITHDRAW of a claim", { .claim = { .type = WITHDRAW } }, { .claim = { .type = NEW } },
      FREE, FREE, true, false },
    { "the same WITHDRAW twice", { .claim = { .type = WITHDRAW } },
      { .claim = { .type = WITHDRAW } }, FREE, FREE, false, false },
    { "one that is remembered longer", { .claim = { .type = WITHDRAW }, .forget_at = 1 },
      { .claim = { .type = WITHDRAW } }, FREE, FREE, true, false },
    { "a later one that is forgotten earlier",
      { .claim = { .type = WITHDRAW, .timestamp = 9 }, .forget_at = 1 },
      { .claim = { .type = WITHDRAW }, .forget_at = 2 }, FREE, FREE, false, false },
    { "a WITHDRAW of more", { .claim = { .type = WITHDRAW } }, { .claim = { .type = WITHDRAW } },
      WIDE, FREE, true, false },
    { "one that only names a claim", { .claim = { .type = WITHDRAW }, .names = true },
      { .claim = { .type = WITHDRAW } }, WIDE, FREE, false, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRecord a = rows[i].a, b = rows[i].b;
    a.claim.domain = b.claim.domain = 20;
    a.claim.prefix = masc_bed_prefix(rows[i].p);
    b.claim.prefix = masc_bed_prefix(rows[i].q);
    cr_expect_eq(masc_supersedes(&a, &b), rows[i].a_does, "%s", rows[i].why);
    cr_expect_eq(masc_supersedes(&b, &a), rows[i].b_does, "%s, the other way", rows[i].why);
  }
}

/* A domain that grows over more than a few of its own. */
Test(rfc2909_5_3, one_takes_the_place_of_many)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE), part = c;
  part.prefix.length = MASC_BED_LENGTH(28);
  for (unsigned i = 0; i < 16; i++) {
    cr_assert_eq(masc_rig_say(&rig, 's', &part), 0);
    part.prefix.address.value += 16;
  }
  cr_assert_eq(masc_bed_records(rig.bed, 0, 20).n, 16);
  c.timestamp++;
  cr_expect_eq(masc_rig_say(&rig, 's', &c), 0);
  MascBedRecords r = masc_bed_records(rig.bed, 0, 20);
  cr_assert_eq(r.n, 1);
  c.role = MASC_SIBLING;
  cr_expect(masc_claim_same(&r.claims[0], &c));
}

/* 12.4: who else has what a WITHDRAW gave up, with a timestamp before that of what it was. */
Test(rfc2909_12_4, by_whom_a_withdraw_is_one_of_a_clash)
{
  static const struct {
    char by;
    MascRole role;
    MascId domain, loser;
    const char *prefix;
    int32_t later;              /* than the WITHDRAW says */
    bool clash;
    const char *why;
  } rows[] = {
    { 't', MASC_INTERNAL, 21, 20, FREE, 0, true, "the winner" },
    { 't', MASC_INTERNAL, 21, 20, FREE, 500, true, "who renewed meanwhile" },
    { 't', MASC_INTERNAL, 21, 20, FREE, -1, false, "somebody earlier" },
    { 't', MASC_INTERNAL, 21, 20, HALF, 0, false, "of a part" },
    { 't', MASC_INTERNAL, 21, 10, HALF, 0, true, "of a part of ours" },
    { 'u', MASC_INTERNAL, 21, 10, HALF, 0, false, "who withdrew that" },
    { 'c', MASC_INTERNAL, 30, 20, FREE, 0, false, "a child: the other arena" },
    { 's', MASC_INTERNAL, 20, 20, FREE, 0, false, "itself" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    bool ours = rows[i].loser == 10;
    MascClaim lost = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, rows[i].loser, FREE);
    MascClaim other = masc_rig_claim(&rig, IN_USE, rows[i].role, rows[i].domain, rows[i].prefix);
    MascRecord w = { .claim = lost, .parent = 1 };
    rig.own->held = mal_span_of_prefix(masc_bed_prefix("233.252.0.0/18"));
    cr_assert_eq(masc_rig_say(&rig, ours ? 'i' : 's', &lost), 0);
    w.claim.type = WITHDRAW;
    w.claim.role = ours ? MASC_INTERNAL : MASC_SIBLING;
    w.claim.timestamp -= 1000;
    other.timestamp = w.claim.timestamp + (uint32_t)rows[i].later;
    if (rows[i].domain != rows[i].loser)
      cr_assert_eq(masc_rig_say(&rig, rows[i].by == 'u' ? 't' : rows[i].by, &other), 0, "%s",
                   rows[i].why);
    other.type = WITHDRAW;
    other.holdtime -= 100;      /* it does not end it for good */
    if (rows[i].by == 'u')
      cr_assert_eq(masc_rig_say(&rig, 't', &other), 0);
    cr_expect(masc_withdraw_apply(rig.zone, &w, false));
    cr_expect_eq(w.clash, rows[i].clash, "%s", rows[i].why);
  }
}
