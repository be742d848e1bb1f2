/* RFC 2909 11.1 against a zone: what an origin is to us, what is dropped. */
#include <criterion/criterion.h>

#include "plugins/masc/masc-flood.h"
#include "tests/unit/masc-rig.h"

#define FREE "233.252.8.0/24"   /* parent 1's, nobody's */
#define NEW "233.252.64.0/24"   /* no parent's yet */
#define HELD "233.252.4.0/24"   /* of what we hold */

static MascRole stored_role(const MascRig *rig, MascId domain)
{
  MascBedRecords r = masc_bed_records(rig->bed, 0, domain);
  cr_assert_geq(r.n, 1);
  return r.claims[r.n - 1].role;
}

/* The four origins by the four relations; NO: "---". */
Test(rfc2909_11_1, table_1)
{
  enum { NO = -1 };
  static const struct {
    MascRole origin;
    char by;
    MascClaimType type;
    MascId domain;
    const char *prefix;
    int updated;
  } rows[] = {
    { MASC_INTERNAL, 'i', MASC_NEW_CLAIM, 10, FREE, MASC_INTERNAL },
    { MASC_INTERNAL, 'a', MASC_PREFIX_MANAGED, 1, NEW, MASC_PARENT },
    { MASC_INTERNAL, 's', MASC_NEW_CLAIM, 20, FREE, MASC_SIBLING },
    { MASC_INTERNAL, 'c', MASC_NEW_CLAIM, 30, HELD, MASC_CHILD },
    { MASC_CHILD, 'i', MASC_NEW_CLAIM, 30, HELD, MASC_CHILD },
    { MASC_CHILD, 'a', MASC_NEW_CLAIM, 21, FREE, MASC_SIBLING },
    { MASC_CHILD, 's', MASC_NEW_CLAIM, 40, FREE, NO },
    { MASC_CHILD, 'c', MASC_NEW_CLAIM, 40, HELD, NO },
    { MASC_SIBLING, 'i', MASC_NEW_CLAIM, 21, FREE, MASC_SIBLING },
    { MASC_SIBLING, 'a', MASC_NEW_CLAIM, 2, FREE, NO },
    { MASC_SIBLING, 's', MASC_NEW_CLAIM, 21, FREE, MASC_SIBLING },
    { MASC_SIBLING, 'c', MASC_NEW_CLAIM, 31, HELD, MASC_CHILD },
    { MASC_PARENT, 'i', MASC_PREFIX_MANAGED, 1, NEW, MASC_PARENT },
    { MASC_PARENT, 'a', MASC_PREFIX_MANAGED, 3, FREE, NO },
    { MASC_PARENT, 's', MASC_PREFIX_MANAGED, 1, NEW, MASC_PARENT },
    { MASC_PARENT, 'c', MASC_PREFIX_MANAGED, 3, HELD, NO },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, rows[i].type, rows[i].origin, rows[i].domain,
                                 rows[i].prefix);
    size_t before = masc_bed_records(rig.bed, 0, 0).n;
    uint8_t subcode = masc_rig_say(&rig, rows[i].by, &c);
    size_t after = masc_bed_records(rig.bed, 0, 0).n;
    if (rows[i].updated == NO) {
      cr_expect_eq(subcode, MASC_UPDATE_ORIGIN_ROLE, "row %zu: %u", i, subcode);
      cr_expect_eq(after, before, "row %zu", i);
    } else {
      cr_expect_eq(subcode, 0, "row %zu: %u", i, subcode);
      cr_expect_eq(after, before + 1, "row %zu", i);
      cr_expect_eq((int)stored_role(&rig, rows[i].domain), rows[i].updated, "row %zu", i);
    }
  }
}

Test(rfc2909_11_1, what_is_ours_comes_back)
{
  static const struct {
    char by;
    MascRole origin;
    MascClaimType type;
    MascId domain;
    const char *prefix;
    MascRole updated;
    const char *why;
  } rows[] = {
    { 's', MASC_SIBLING, MASC_NEW_CLAIM, 10, FREE, MASC_INTERNAL, "SIBLING, but ours" },
    { 'a', MASC_CHILD, MASC_PREFIX_IN_USE, 10, FREE, MASC_INTERNAL, "a parent's child: ours" },
    { 'i', MASC_SIBLING, MASC_NEW_CLAIM, 10, FREE, MASC_INTERNAL, "an internal peer's sibling" },
    { 'c', MASC_PARENT, MASC_PREFIX_MANAGED, 10, FREE, MASC_INTERNAL, "a child's parent: ours" },
    { 'c', MASC_PARENT, MASC_WITHDRAW, 10, FREE, MASC_INTERNAL, "a child's parent: ours" },
    { 'c', MASC_PARENT, MASC_CLAIM_DENIED, 30, HELD, MASC_INTERNAL, "denied the child itself" },
    { 'e', MASC_PARENT, MASC_CLAIM_DENIED, 30, HELD, MASC_INTERNAL, "denied another child" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, rows[i].type, rows[i].origin, rows[i].domain,
                                 rows[i].prefix);
    cr_expect_eq(masc_rig_say(&rig, rows[i].by, &c), 0, "%s", rows[i].why);
    cr_expect_eq(stored_role(&rig, rows[i].domain), rows[i].updated, "%s", rows[i].why);
  }
}

/* What an internal peer denies may come by another child; who has no internal peer denied nothing
   of the kind. */
Test(rfc2909_11_1, third_party_denials_are_doubted)
{
  g_autoptr(MascBed) bed = masc_bed_new();
  unsigned zone = masc_bed_add(bed, 10, 10001, true);
  unsigned child = masc_bed_open(bed, zone, MASC_PARENT, 30, 0);
  masc_bed_open(bed, zone, MASC_PARENT, 31, 0);
  MascClaim c = masc_bed_claim(bed, MASC_CLAIM_DENIED, MASC_PARENT, 31, HELD);
  cr_expect_eq(masc_bed_say(bed, zone, child, &c), 0);
  cr_expect_eq(masc_bed_records(bed, zone, 31).n, 0);
  cr_expect_eq(bed->nodes[zone].notes[MASC_NOTE_IGNORED], 1);
  c.domain = 32;
  cr_expect_eq(masc_bed_say(bed, zone, child, &c), MASC_UPDATE_ORIGIN_ROLE, "no child of ours");
  c.domain = 30;
  cr_expect_eq(masc_bed_say(bed, zone, child, &c), 0);
  cr_expect_eq(masc_bed_records(bed, zone, 30).n, 1);
}

/* A child is also who is known by its claims alone: another node of ours speaks to it. */
Test(rfc2909_11_1, denials_of_children_that_only_internal_peers_speak_to)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim denied = masc_rig_claim(&rig, MASC_CLAIM_DENIED, MASC_PARENT, 33, "233.252.5.0/24");
  MascClaim used = masc_rig_claim(&rig, MASC_PREFIX_IN_USE, MASC_CHILD, 33, HELD);
  cr_expect_eq(masc_rig_say(&rig, 'c', &denied), MASC_UPDATE_ORIGIN_ROLE);
  cr_assert_eq(masc_rig_say(&rig, 'i', &used), 0);
  cr_expect_eq(masc_rig_say(&rig, 'c', &denied), 0);
  cr_expect_eq(stored_role(&rig, 33), MASC_INTERNAL);
}

Test(rfc2909_11_1, internal_means_our_domain)
{
  static const struct {
    char by;
    MascClaimType type;
    MascRole origin;
    MascId domain;
    uint8_t subcode;
  } rows[] = {
    { 'i', MASC_NEW_CLAIM, MASC_INTERNAL, 11, MASC_UPDATE_ORIGIN_ROLE },
    { 'i', MASC_PREFIX_MANAGED, MASC_INTERNAL, 11, MASC_UPDATE_ORIGIN_ROLE },
    { 'i', MASC_WITHDRAW, MASC_INTERNAL, 11, MASC_UPDATE_ORIGIN_ROLE },
    { 'i', MASC_CLAIM_DENIED, MASC_INTERNAL, 30, 0 },
    /* 8.3: what a sender's domain originates has the sender's Domain ID */
    { 's', MASC_NEW_CLAIM, MASC_INTERNAL, 21, MASC_UPDATE_ORIGIN_DOMAIN },
    { 'c', MASC_NEW_CLAIM, MASC_INTERNAL, 10, MASC_UPDATE_ORIGIN_DOMAIN },
    { 'a', MASC_PREFIX_MANAGED, MASC_INTERNAL, 2, MASC_UPDATE_ORIGIN_DOMAIN },
    { 's', MASC_PREFIX_MANAGED, MASC_PARENT, 10, MASC_UPDATE_ORIGIN_DOMAIN },
    /* 11.3.1: of a denial it is the claimant's, so it proves nothing */
    { 's', MASC_CLAIM_DENIED, MASC_INTERNAL, 10, MASC_UPDATE_ORIGIN_ROLE },
    { 's', MASC_CLAIM_DENIED, MASC_INTERNAL, 20, MASC_UPDATE_ORIGIN_ROLE },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, rows[i].type, rows[i].origin, rows[i].domain, HELD);
    uint8_t subcode = masc_rig_say(&rig, rows[i].by, &c);
    cr_expect_eq(subcode, rows[i].subcode, "row %zu: %u", i, subcode);
  }
}

Test(rfc2909_8_3, nobody_else_has_our_node)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, MASC_NEW_CLAIM, MASC_INTERNAL, 20, FREE);
  c.node = 10001;
  cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_ORIGIN_NODE);
}

Test(rfc2909_11_1, expired_is_dropped_silently)
{
  static const struct {
    int64_t ago;
    uint32_t holdtime;
    bool taken;
  } rows[] = {
    { 0, 1000, true },   { 1000, 1000, true }, /* 12.3: 100 s more */
    { 1099, 1000, true }, { 1100, 1000, false }, { 5000, 1000, false }, { 0, 0, true },
    { 100, 0, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, MASC_NEW_CLAIM, MASC_INTERNAL, 20, FREE);
    char text[16];
    c.timestamp = masc_bed_time(rig.bed, rows[i].ago);
    c.holdtime = rows[i].holdtime;
    cr_expect_eq(masc_rig_say(&rig, 's', &c), 0, "row %zu", i);
    cr_expect_eq(masc_bed_records(rig.bed, 0, 20).n, rows[i].taken, "row %zu", i);
    cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_EXPIRED], !rows[i].taken, "row %zu", i);
    cr_expect_str_eq(masc_rig_told(&rig, &c, text), rows[i].taken ? "abtij" : "", "row %zu", i);
  }
}

/* Each field that 11.1 lists makes another message. */
Test(rfc2909_11_1, duplicates_are_dropped_silently)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, MASC_NEW_CLAIM, MASC_INTERNAL, 20, FREE);
  const unsigned *duplicates = &rig.bed->nodes[0].notes[MASC_NOTE_DUPLICATE];
  MascClaim other;
  cr_assert_eq(masc_rig_say(&rig, 's', &c), 0);
  masc_bed_clear(rig.bed);
  MascClaim by_parent = c;
  by_parent.role = MASC_CHILD;
  cr_expect_eq(masc_rig_say(&rig, 's', &c), 0);
  cr_expect_eq(masc_rig_say(&rig, 'a', &by_parent), 0, "the same after its role was updated");
  cr_expect_eq(*duplicates, 2);
  cr_expect_eq(rig.bed->sent->len, 0);
  other = c, other.deprecated = true;
  masc_rig_say(&rig, 's', &other);
  other = c, other.timestamp++;
  masc_rig_say(&rig, 's', &other);
  other = c, other.lifetime++;
  masc_rig_say(&rig, 's', &other);
  other = c, other.holdtime++;
  masc_rig_say(&rig, 's', &other);
  other = c, other.node++;
  masc_rig_say(&rig, 's', &other);
  other = c, other.prefix = masc_bed_prefix("233.252.9.0/24");
  masc_rig_say(&rig, 's', &other);
  other = c, other.prefix = masc_bed_prefix("233.252.8.0/25");
  masc_rig_say(&rig, 's', &other);
  other = c, other.domain = 21, other.role = MASC_SIBLING;
  masc_rig_say(&rig, 's', &other);
  cr_expect_eq(*duplicates, 2);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 20).n, 8);
}

/* Neither the parents' UPDATEs nor our own domain's are ever ignored. */
Test(rfc2909_14, who_floods_is_ignored_but_for_parents_and_ourselves)
{
  static const struct {
    char by;
    MascClaimType type;
    MascId domain;
    const char *prefix;
    bool taken;
  } rows[] = {
    { 's', MASC_NEW_CLAIM, 20, FREE, false },
    { 'c', MASC_NEW_CLAIM, 30, HELD, false },
    { 'a', MASC_PREFIX_MANAGED, 1, NEW, true },
    { 'i', MASC_NEW_CLAIM, 10, FREE, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, rows[i].type, MASC_INTERNAL, rows[i].domain,
                                 rows[i].prefix);
    rig.bed->params.flood_limit = 1;
    for (unsigned k = 0; k < 2; k++)
      masc_flood_count(rig.zone->flood, rows[i].domain, &rig.bed->params,
                       masc_bed_now(rig.bed, 0));
    size_t n = masc_bed_records(rig.bed, 0, 0).n;
    cr_expect_eq(masc_rig_say(&rig, rows[i].by, &c), 0, "row %zu", i);
    cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n - n, rows[i].taken, "row %zu", i);
  }
}

Test(rfc2909_11_1, of_no_peer_or_one_that_is_down_nothing_is_taken)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim c = masc_rig_claim(&rig, MASC_NEW_CLAIM, MASC_INTERNAL, 20, FREE);
  MascNow now = masc_bed_now(rig.bed, 0);
  cr_expect_eq(masc_zone_heard(rig.zone, 999, &c, now), 0);
  cr_expect_eq(masc_zone_heard(rig.zone, 100000, &c, now), 0);
  masc_zone_down(rig.zone, masc_rig_peer('s'), now);
  cr_expect_eq(masc_zone_heard(rig.zone, masc_rig_peer('s'), &c, now), 0);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 20).n, 0);
}
