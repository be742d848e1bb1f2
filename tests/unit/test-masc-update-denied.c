/* What a parent refuses its children (RFC 2909 8.3, 11.4.3), limits, floods (14). */
#include <criterion/criterion.h>

#include "plugins/masc/masc-flood.h"
#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define NEW MASC_NEW_CLAIM
#define DENIED MASC_CLAIM_DENIED
#define FREE "233.252.8.0/24"
#define HELD "233.252.4.0/24"

/* ---- CLAIM_DENIED ---------------------------------------------------------------------------- */

Test(rfc2909_11_4_3, longer_than_our_prefix_is_denied)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim claim = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, HELD), out;
  rig.own->until = (MalTime)claim.timestamp + 5000;
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), 0);
  for (const char *p = "cd"; *p != '\0'; p++) {
    cr_assert_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer(*p), DENIED, &out), 1);
    cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer(*p), NEW, NULL), 0);
    cr_expect_eq(out.role, MASC_INTERNAL);
    cr_expect_eq(out.lifetime, 5000, "the longest that it could have");
    cr_expect(masc_claim_about(&out, &claim) && out.node == claim.node);
    cr_expect_eq(out.holdtime, claim.holdtime);
  }
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('e'), NEW, NULL), 0);
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('i'), NEW, NULL), 1, "internal peers");
  cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('i'), DENIED, NULL), 1);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_DENIES], 1);
  cr_expect_not(masc_bed_has(rig.bed, 0, NEW, 30, HELD));
  cr_expect(masc_bed_has(rig.bed, 0, DENIED, 30, HELD));
  cr_expect_eq(rig.own->n_rivalled, 0, "it stands in nobody's way");
}

Test(rfc2909_8_3, first_denied_then_refused)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim claim = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, HELD);
  rig.own->until = (MalTime)claim.timestamp + 5000;
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), 0);
  MascClaim by_other = claim;
  cr_expect_eq(masc_rig_say(&rig, 'd', &by_other), 0, "the same one again is no insisting");
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_DENIES], 1);
  claim.timestamp++;
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), MASC_UPDATE_LIFETIME_LONG);
  claim.lifetime = 4000;
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), 0, "shorter, it is taken");
  cr_expect(masc_bed_has(rig.bed, 0, NEW, 30, HELD));
}

/* Each claim is a second later than the one before; nothing is refused that was not denied for the
   same reason, and asked for again. */
Test(rfc2909_8_3, each_reason_is_denied_before_it_is_refused)
{
  static const struct {
    const char *why, *prefix;
    uint32_t lifetime;
    uint8_t answer;
    int64_t granted;            /* by a CLAIM_DENIED; -1: there is none */
  } rows[] = {
    { "too long, and too large", "233.252.4.0/23", 30 * 86400, 0, 5000 },
    { "as long as it was granted, but later", "233.252.4.0/23", 5000, 0, 4999 },
    { "too large", "233.252.4.0/23", 4000, 0, 0 },
    { "too large again", "233.252.4.0/23", 4000, MASC_UPDATE_PREFIX_LARGE, -1 },
    { "too long again", HELD, 30 * 86400, MASC_UPDATE_LIFETIME_LONG, -1 },
    { "to the end of our prefix", HELD, 4995, 0, -1 },
    { "too large there", "233.252.6.0/23", 4000, 0, 0 },
    { "too long there", "233.252.6.0/24", 5000, 0, 4993 },
    { "too long there again", "233.252.6.0/24", 5000, MASC_UPDATE_LIFETIME_LONG, -1 },
  };
  g_auto(MascRig) rig = masc_rig_new();
  uint32_t start = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, HELD).timestamp;
  rig.own->until = (MalTime)start + 5000;
  masc_zone_bound_peer(rig.zone, masc_rig_peer('c'), MASC_BED_LENGTH(24));
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, rows[i].prefix), denial;
    masc_bed_clear(rig.bed);
    c.timestamp = start + (uint32_t)i;
    c.lifetime = rows[i].lifetime;
    uint8_t answer = masc_rig_say(&rig, 'c', &c);
    bool denied = masc_bed_sent(rig.bed, 0, masc_rig_peer('c'), DENIED, &denial) > 0;
    cr_expect_eq(answer, rows[i].answer, "%s: %u", rows[i].why, answer);
    cr_expect_eq(denied ? (int64_t)denial.lifetime : -1, rows[i].granted, "%s: %" G_GINT64_FORMAT,
                 rows[i].why, denied ? (int64_t)denial.lifetime : -1);
  }
}

/* The longest acceptable lifetime is our limit, or what is left of our prefix. */
Test(rfc2909_8_3, a_denial_says_how_long_it_may_be)
{
  static const struct {
    uint32_t most;
    int64_t left;               /* of our prefix */
    uint32_t granted;
  } rows[] = { { 86400, 2 * 86400, 86400 }, { 86400, 5000, 5000 }, { 0, 5000, 5000 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, HELD), denial;
    rig.bed->params.limits.lifetime_max = rows[i].most;
    rig.own->until = (MalTime)c.timestamp + rows[i].left;
    cr_expect_eq(masc_rig_say(&rig, 'c', &c), 0, "row %zu", i);
    cr_assert_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('c'), DENIED, &denial), 1, "row %zu", i);
    cr_expect_eq(denial.lifetime, rows[i].granted, "row %zu: %u", i, denial.lifetime);
  }
}

Test(rfc2909_8_3, too_large_is_denied_whatever_its_lifetime)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim claim = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 30, "233.252.4.0/23"), out;
  rig.bed->params.limits.MASC_BED_SHORTEST = MASC_BED_LENGTH(24);
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), 0);
  cr_assert_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('c'), DENIED, &out), 1);
  cr_expect_eq(out.lifetime, 0);
  claim.timestamp++;
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), MASC_UPDATE_PREFIX_LARGE);
  claim.prefix.length = MASC_BED_LENGTH(24);
  cr_expect_eq(masc_rig_say(&rig, 'c', &claim), 0);
}

/* A bound of one child's, whoever tells its claim; who shrinks it too little doesn't insist. */
Test(rfc2909_8_3, a_childs_own_bound)
{
  static const struct {
    char by;
    MascClaimType type;
    MascRole role;
    MascId domain;
    const char *prefix;
    uint8_t answer;
    bool denied;
  } rows[] = {
    { 'c', NEW, MASC_INTERNAL, 30, "233.252.4.0/22", 0, true },
    { 'c', NEW, MASC_INTERNAL, 30, "233.252.4.0/23", 0, true },
    { 'c', NEW, MASC_INTERNAL, 30, "233.252.4.0/23", MASC_UPDATE_PREFIX_LARGE, false },
    { 'c', NEW, MASC_INTERNAL, 30, "233.252.4.0/24", 0, false },
    { 'i', NEW, MASC_CHILD, 30, "233.252.6.0/23", 0, true },
    { 'e', NEW, MASC_SIBLING, 30, "233.252.6.0/23", MASC_UPDATE_PREFIX_LARGE, false },
    { 'c', IN_USE, MASC_INTERNAL, 30, "233.252.6.0/23", MASC_UPDATE_PREFIX_LARGE, false },
    { 'e', NEW, MASC_INTERNAL, 31, "233.252.6.0/23", 0, false },
  };
  g_auto(MascRig) rig = masc_rig_new();
  masc_zone_bound_peer(rig.zone, masc_rig_peer('d'), MASC_BED_LENGTH(24));
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim c = masc_rig_claim(&rig, rows[i].type, rows[i].role, rows[i].domain, rows[i].prefix);
    unsigned before = rig.bed->nodes[0].notes[MASC_NOTE_DENIES];
    c.timestamp += (uint32_t)i;
    uint8_t answer = masc_rig_say(&rig, rows[i].by, &c);
    cr_expect_eq(answer, rows[i].answer, "row %zu: %u", i, answer);
    cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_DENIES] - before, rows[i].denied, "row %zu", i);
  }
}

Test(rfc2909_8_3, limits)
{
  static const struct {
    char by;
    MascClaimType type;
    MascId domain;
    MascLimits limits;
    int64_t ago;
    uint8_t subcode;
  } rows[] = {
    { 's', NEW, 20, { .lifetime_min = 31 * 86400 }, 0, MASC_UPDATE_LIFETIME_SHORT },
    { 's', NEW, 20, { .lifetime_max = 86400 }, 0, MASC_UPDATE_LIFETIME_LONG },
    { 's', NEW, 20, { .timestamp_old = 500 }, 501, MASC_UPDATE_TIMESTAMP_OLD },
    { 's', NEW, 20, { .timestamp_old = 500 }, 500, 0 },
    { 's', NEW, 20, { .timestamp_new = 500 }, -501, MASC_UPDATE_TIMESTAMP_NEW },
    { 's', NEW, 20, { .timestamp_new = 500 }, -500, 0 },
    { 's', NEW, 20, { .MASC_BED_LONGEST = MASC_BED_LENGTH(23) }, 0, MASC_UPDATE_PREFIX_SMALL },
    { 's', NEW, 20, { .MASC_BED_SHORTEST = MASC_BED_LENGTH(25) }, 0, MASC_UPDATE_PREFIX_LARGE },
    { 's', NEW, 20, { .holdtime_min = 1001 }, 0, MASC_UPDATE_HOLDTIME_SHORT },
    { 's', NEW, 20, { .holdtime_max = 999 }, 0, MASC_UPDATE_HOLDTIME_LONG },
    { 'c', NEW, 30, { .lifetime_min = 31 * 86400 }, 0, MASC_UPDATE_LIFETIME_SHORT },
    { 'c', IN_USE, 30, { .lifetime_max = 86400 }, 0, MASC_UPDATE_LIFETIME_LONG },
    { 'c', NEW, 30, { .MASC_BED_LONGEST = MASC_BED_LENGTH(23) }, 0, MASC_UPDATE_PREFIX_SMALL },
    { 'c', NEW, 30, { .timestamp_new = 500 }, -501, MASC_UPDATE_TIMESTAMP_NEW },
    { 'a', MASC_PREFIX_MANAGED, 1, { .timestamp_new = 500 }, -501, MASC_UPDATE_TIMESTAMP_NEW },
    { 'a', MASC_PREFIX_MANAGED, 1, { .lifetime_max = 86400 }, -1, 0 },
    { 'a', MASC_PREFIX_MANAGED, 1, { .MASC_BED_LONGEST = MASC_BED_LENGTH(8) }, -1, 0 },
    { 'a', MASC_PREFIX_MANAGED, 1, { .holdtime_max = 86400 }, 0, MASC_UPDATE_HOLDTIME_LONG },
    { 'a', DENIED, 20, { .timestamp_new = 500 }, -501, MASC_UPDATE_TIMESTAMP_NEW },
    { 'a', DENIED, 20, { .lifetime_min = 31 * 86400, .shortest4 = 25 }, 0, 0 },
    { 'a', DENIED, 10, { .timestamp_old = 500 }, 501, 0 },
    { 's', MASC_WITHDRAW, 20, { .timestamp_new = 500 }, -501, MASC_UPDATE_TIMESTAMP_NEW },
    { 'i', IN_USE, 10, { .lifetime_max = 86400 }, 0, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, rows[i].type, MASC_INTERNAL, rows[i].domain,
                                 rows[i].domain == 30 ? HELD : FREE);
    c.timestamp = masc_bed_time(rig.bed, rows[i].ago);
    rig.bed->params.limits = rows[i].limits;
    uint8_t subcode = masc_rig_say(&rig, rows[i].by, &c);
    cr_expect_eq(subcode, rows[i].subcode, "row %zu: %u", i, subcode);
  }
}

/* ---- what is refused is there all the same --------------------------------------------------- */

/* Is all of it busy for who claims? */
static bool busy(const MascRig *rig, bool lower, const char *prefix)
{
  g_autoptr(GArray) all = masc_busy(rig->zone, lower, masc_bed_now(rig->bed, 0));
  MalSpan span = mal_span_of_prefix(masc_bed_prefix(prefix));
  bool found = false;
  for (guint i = 0; i < all->len; i++)
    found |= mal_span_contains(mal_span_of_prefix(g_array_index(all, MalPrefix, i)), span);
  return found;
}

/* Its sender has heard that it is refused, and may use it all the same. */
Test(rfc2909_8_3, what_our_limits_refuse_is_busy)
{
  static const struct {
    char by;
    MascClaimType type;
    MascRole role;
    MascId domain;
    MascLimits limits;
    int64_t ago;
    int64_t lasts;              /* 0: it isn't remembered */
  } rows[] = {
    { 's', IN_USE, MASC_INTERNAL, 20, { .lifetime_max = 86400 }, 0, 86400 },
    { 's', IN_USE, MASC_INTERNAL, 20, { .lifetime_min = 31 * 86400 }, 0, 30 * 86400 },
    { 's', IN_USE, MASC_SIBLING, 44, { .holdtime_max = 86400 }, 0, 30 * 86400 },
    { 's', IN_USE, MASC_INTERNAL, 20, { .timestamp_new = 86400 }, -90000, 30 * 86400 },
    { 's', IN_USE, MASC_INTERNAL, 20, { .timestamp_old = 500 }, 1000, 30 * 86400 - 1000 },
    { 's', IN_USE, MASC_INTERNAL, 20, { .MASC_BED_LONGEST = MASC_BED_LENGTH(20) }, 0, 30 * 86400 },
    { 's', IN_USE, MASC_INTERNAL, 20, { .MASC_BED_SHORTEST = MASC_BED_LENGTH(25) }, 0,
      30 * 86400 },
    { 's', NEW, MASC_INTERNAL, 20, { .lifetime_max = 86400 }, 0, 1000 },
    { 's', IN_USE, MASC_INTERNAL, 20, { .timestamp_new = 500 }, -(int64_t)86400 * 365,
      30 * 86400 },
    { 'c', IN_USE, MASC_INTERNAL, 30, { .lifetime_max = 86400 }, 0, 86400 },
    { 'c', IN_USE, MASC_INTERNAL, 30, { .timestamp_new = 500 }, -1000, 30 * 86400 },
    { 'c', NEW, MASC_INTERNAL, 30, { .timestamp_new = 500 }, -1000, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    bool lower = rows[i].by == 'c';
    const char *prefix = lower ? HELD : FREE;
    MascClaim c = masc_rig_claim(&rig, rows[i].type, rows[i].role, rows[i].domain, prefix);
    c.timestamp = masc_bed_time(rig.bed, rows[i].ago);
    rig.bed->params.limits = rows[i].limits;
    size_t n = masc_bed_records(rig.bed, 0, 0).n;
    cr_expect_neq(masc_rig_say(&rig, rows[i].by, &c), 0, "row %zu", i);
    cr_expect_eq(busy(&rig, lower, prefix), rows[i].lasts > 0, "row %zu", i);
    cr_expect_not(busy(&rig, !lower, prefix), "row %zu: the other arena", i);
    cr_expect_eq(masc_bed_records(rig.bed, 0, 0).n, n, "row %zu: it isn't taken", i);
    cr_expect_eq(rig.bed->sent->len, 0, "row %zu: nobody is told", i);
    if (rows[i].lasts == 0)
      continue;
    rig.bed->mono += (rows[i].lasts - 1) * MASC_SECOND;
    cr_expect(busy(&rig, lower, prefix), "row %zu: until then", i);
    rig.bed->mono += MASC_SECOND;
    cr_expect_not(busy(&rig, lower, prefix), "row %zu: no longer", i);
  }
}

/* 11.4.2: nor do we know then what grows; to its parent, and to others, it does. */
Test(rfc2909_8_3, what_grows_of_what_our_limits_refuse_is_busy)
{
  static const struct {
    const char *why;
    const char *prefix;
    MascId domain;
    bool busy;
  } rows[] = {
    { "grows", "233.252.8.0/23", 20, true },
    { "is renewed", FREE, 20, false },
    { "grows beside it", "233.252.10.0/23", 20, false },
    { "another one's", "233.252.8.0/23", 21, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE);
    rig.bed->params.limits.lifetime_max = 86400;
    cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_LIFETIME_LONG);
    c = masc_rig_claim(&rig, MASC_CLAIM_TO_EXPAND,
                       rows[i].domain == 20 ? MASC_INTERNAL : MASC_SIBLING, rows[i].domain,
                       rows[i].prefix);
    cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_NO_SIBLING_PREFIX);
    cr_expect_eq(busy(&rig, false, "233.252.8.0/23"), rows[i].busy, "%s", rows[i].why);
    rig.bed->mono += 1001 * MASC_SECOND;
    cr_expect_not(busy(&rig, false, "233.252.8.0/23"), "%s: no longer", rows[i].why);
    cr_expect(busy(&rig, false, FREE), "%s", rows[i].why);
  }
}

/* 11.4.3: a child doesn't win what its parent refuses it, and can't have what that doesn't manage:
   it stands in no other child's way, nor in that of our own servers. */
Test(rfc2909_11_4_3, what_a_child_is_refused_is_free)
{
  static const struct {
    MascClaimType type;
    const char *prefix;
    int64_t left;               /* of our prefix's lifetime */
    uint8_t subcode;
  } rows[] = {
    { NEW, HELD, 5000, 0 },
    { NEW, FREE, 50 * 86400, MASC_UPDATE_NO_PARENT_PREFIX },
    { IN_USE, FREE, 50 * 86400, MASC_UPDATE_NO_PARENT_PREFIX },
    { MASC_CLAIM_TO_EXPAND, HELD, 50 * 86400, MASC_UPDATE_NO_CHILD_PREFIX },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, rows[i].type, MASC_INTERNAL, 30, rows[i].prefix);
    rig.own->until = (MalTime)c.timestamp + rows[i].left;
    cr_expect_eq(masc_rig_say(&rig, 'c', &c), rows[i].subcode, "row %zu", i);
    cr_expect_not(busy(&rig, true, rows[i].prefix), "row %zu", i);
    cr_expect_not(busy(&rig, false, rows[i].prefix), "row %zu", i);
    cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('e'), rows[i].type, NULL), 0, "row %zu",
                 i);
    c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 31, HELD);
    c.lifetime = 2000;
    cr_expect_eq(masc_rig_say(&rig, 'e', &c), 0);
    cr_expect_eq(masc_bed_sent(rig.bed, 0, masc_rig_peer('c'), NEW, NULL), 1, "row %zu", i);
  }
}

/* Its domain gives it up, or claims it as we like it; another domain does not matter. */
Test(rfc2909_8_3, what_was_refused_is_free_again)
{
  static const struct {
    MascClaimType type;
    MascId domain;
    const char *prefix;
    int32_t later;              /* than what was refused */
    bool busy;                  /* FREE afterwards, but for what was taken */
  } rows[] = {
    { MASC_WITHDRAW, 20, FREE, 0, false },
    { MASC_WITHDRAW, 20, FREE, -1, true },
    { MASC_WITHDRAW, 20, "233.252.8.0/23", 1, false },
    { MASC_WITHDRAW, 20, "233.252.8.0/25", 1, true },
    { MASC_WITHDRAW, 21, FREE, 1, true },
    { IN_USE, 20, FREE, 1, false },
    { IN_USE, 20, "233.252.9.0/24", 1, true },
    { IN_USE, 21, FREE, 1, true },
    { NEW, 20, FREE, 1, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 20, FREE);
    rig.bed->params.limits.lifetime_max = 86400;
    cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_LIFETIME_LONG);
    c.type = rows[i].type;
    c.domain = rows[i].domain;
    c.role = c.domain == 20 ? MASC_INTERNAL : MASC_SIBLING;
    c.prefix = masc_bed_prefix(rows[i].prefix);
    c.timestamp += (uint32_t)rows[i].later;
    c.lifetime = c.holdtime = 80000;
    masc_rig_say(&rig, 's', &c);
    rig.bed->mono += 80200 * MASC_SECOND;
    masc_bed_pass(rig.bed, 0);
    cr_expect_eq(busy(&rig, false, FREE), rows[i].busy, "row %zu", i);
  }
}

/* Who says a lot that is refused fills nobody's memory, and drives out nothing of others. */
Test(rfc2909_8_3, what_is_refused_is_bounded)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim other = masc_rig_claim(&rig, IN_USE, MASC_SIBLING, 21, "233.252.40.0/24");
  rig.bed->params.limits.lifetime_max = 86400;
  cr_expect_eq(masc_rig_say(&rig, 's', &other), MASC_UPDATE_LIFETIME_LONG);
  size_t most = 0;
  for (unsigned i = 0; i < 500; i++) {
    MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_SIBLING, 41, "233.252.8.0/28");
    mal_address_add(c.prefix.address, (MalU128)i * 16, &c.prefix.address);
    cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_LIFETIME_LONG);
    g_autoptr(GArray) all = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
    most = MAX(most, all->len);
  }
  cr_expect_eq(most, 33, "%zu", most);
  cr_expect(busy(&rig, false, "233.252.40.0/24"));
  for (unsigned i = 0; i < 500; i++) {
    MascClaim c = masc_rig_claim(&rig, IN_USE, MASC_SIBLING, 50 + i, "233.252.8.0/28");
    cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_LIFETIME_LONG);
  }
  g_autoptr(GArray) all = masc_busy(rig.zone, false, masc_bed_now(rig.bed, 0));
  cr_expect_eq(all->len, 256, "%u", all->len);
}

/* ---- floods ---------------------------------------------------------------------------------- */

static MascClaim at(const MascRig *rig, MascClaimType type, MascId domain, unsigned i, int64_t ago)
{
  MascClaim c = masc_rig_claim(rig, type, MASC_INTERNAL, domain, FREE);
  c.prefix.address.value += (MalU128)i * 256;
  c.timestamp = masc_bed_time(rig->bed, ago);
  return c;
}

static MascClaim by_sibling(MascClaim c, MascId domain)
{
  c.role = MASC_SIBLING;
  c.domain = domain;
  c.node = domain * 1000;
  return c;
}

Test(rfc2909_14, who_knocks_out_claims_is_ignored)
{
  g_auto(MascRig) rig = masc_rig_new();
  const unsigned *notes = rig.bed->nodes[0].notes;
  rig.bed->params.flood_limit = 8;
  for (unsigned i = 0; i < 20; i++) {
    MascClaim honest = by_sibling(at(&rig, NEW, 0, i, 0), 40 + i);
    MascClaim attack = at(&rig, NEW, 20, i, 100);
    cr_assert_eq(masc_rig_say(&rig, 't', &honest), 0);
    cr_assert_eq(masc_rig_say(&rig, 's', &attack), 0);
  }
  cr_expect_eq(notes[MASC_NOTE_FLOOD], 1);
  cr_expect_eq(rig.bed->nodes[0].noted[MASC_NOTE_FLOOD], 20);
  cr_expect_eq(notes[MASC_NOTE_IGNORED], 11);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 20).n, 0, "its claims stand in nobody's way");
  cr_expect_eq(masc_zone_usage(rig.zone, masc_bed_now(rig.bed, 0)).n_ignored, 1);
  cr_expect(masc_zone_forgive(rig.zone, 20));
  cr_expect_not(masc_zone_forgive(rig.zone, 20));
  MascClaim again = at(&rig, NEW, 20, 40, 0);
  cr_expect_eq(masc_rig_say(&rig, 's', &again), 0);
  cr_expect_eq(masc_bed_records(rig.bed, 0, 20).n, 1);
}

Test(rfc2909_14, what_comes_to_use_was_meant)
{
  g_auto(MascRig) rig = masc_rig_new();
  rig.bed->params.flood_limit = 3;
  for (unsigned i = 0; i < 8; i++) {
    MascClaim honest = by_sibling(at(&rig, NEW, 0, i, 0), 40 + i);
    MascClaim earlier = at(&rig, NEW, 20, i, 100), used = at(&rig, IN_USE, 20, i, 100);
    cr_assert_eq(masc_rig_say(&rig, 't', &honest), 0);
    cr_assert_eq(masc_rig_say(&rig, 's', &earlier), 0);
    cr_assert_eq(masc_rig_say(&rig, 's', &used), 0);
  }
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], 0);
}

Test(rfc2909_14, it_is_forgiven_after_two_waiting_periods)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascFlood *flood = rig.zone->flood;
  rig.bed->params.flood_limit = 3;
  MascNow now = masc_bed_now(rig.bed, 0);
  for (unsigned i = 0; i < 3; i++)
    cr_expect_not(masc_flood_count(flood, 20, &rig.bed->params, now));
  cr_expect(masc_flood_count(flood, 20, &rig.bed->params, now));
  now.mono += 1500 * MASC_SECOND;
  cr_expect(masc_flood_ignored(flood, 20, now));
  cr_expect_not(masc_flood_count(flood, 20, &rig.bed->params, now), "it was told once");
  now.mono += 1999 * MASC_SECOND;
  cr_expect(masc_flood_ignored(flood, 20, now), "it went on");
  now.mono += 1 * MASC_SECOND;
  cr_expect_not(masc_flood_ignored(flood, 20, now));
  cr_expect_not(masc_flood_ignored(flood, 21, now));
}

/* Who claimed it first may use it, whoever claims there now; who uses without having claimed, may
   not for long. */
Test(rfc2909_14, in_use_in_the_way_of_others)
{
  for (unsigned announced = 0; announced < 2; announced++) {
    g_auto(MascRig) rig = masc_rig_new();
    rig.bed->params.flood_limit = 4;
    for (unsigned i = 0; i < 6; i++) {
      MascClaim claim = at(&rig, NEW, 20, i, 200), used = at(&rig, IN_USE, 20, i, 100);
      MascClaim late = by_sibling(at(&rig, NEW, 0, i, 50), 40 + i);
      if (announced)
        cr_assert_eq(masc_rig_say(&rig, 's', &claim), 0);
      cr_assert_eq(masc_rig_say(&rig, 't', &late), 0);
      cr_assert_eq(masc_rig_say(&rig, 's', &used), 0);
    }
    cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], !announced, "%u", announced);
  }
}

/* Many domains at once: those that are ignored stay so, memory is bounded. */
Test(rfc2909_14, many_suspects)
{
  MascFlood *flood = masc_flood_new();
  MascParams params;
  MascNow now = { 1, 1 };
  masc_params_init(&params);
  params.flood_limit = 2;
  for (unsigned i = 0; i < 3; i++)
    masc_flood_count(flood, 7, &params, now);
  for (MascId d = 1000; d < 5000; d++)
    masc_flood_count(flood, d, &params, now);
  cr_expect(masc_flood_ignored(flood, 7, now));
  cr_expect_eq(masc_flood_n_ignored(flood, now), 1);
  masc_flood_free(flood);
}

/* Late to what is in use for long: it can't have overlooked it so often. */
Test(rfc2909_14, claims_against_what_everybody_knows)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim used = by_sibling(masc_rig_claim(&rig, IN_USE, MASC_SIBLING, 40, "233.252.16.0/20"),
                              40);
  rig.bed->params.flood_limit = 8;
  used.timestamp -= 600;
  cr_assert_eq(masc_rig_say(&rig, 't', &used), 0);
  for (unsigned i = 0; i < 9; i++) {
    MascClaim c = at(&rig, NEW, 20, 8 + i, 0);
    cr_expect_eq(masc_rig_say(&rig, 's', &c), 0);
  }
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], 1);
}

/* Nobody is in the way of who claims what was denied, what was withdrawn, or what is claimed below:
   two such claims are one too many where they count. */
Test(rfc2909_14, what_is_no_collision)
{
  static const struct {
    const char *why;
    char by;
    MascClaimType type;
    MascId domain;
    const char *prefix;
    bool withdrawn, counts;
  } rows[] = {
    { "claimed long ago", 't', NEW, 21, FREE, false, true },
    { "in use for long", 't', IN_USE, 21, FREE, false, true },
    { "denied", 'a', DENIED, 21, FREE, false, false },
    { "withdrawn", 't', IN_USE, 21, FREE, true, false },
    { "a child's", 'c', IN_USE, 30, HELD, false, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascRig) rig = masc_rig_new();
    MascClaim other = masc_rig_claim(&rig, rows[i].type, MASC_INTERNAL, rows[i].domain,
                                     rows[i].prefix);
    rig.bed->params.flood_limit = 1;
    other.timestamp -= 700;
    cr_assert_eq(masc_rig_say(&rig, rows[i].by, &other), 0, "%s", rows[i].why);
    other.type = MASC_WITHDRAW;
    other.holdtime = 2000;
    if (rows[i].withdrawn)
      cr_assert_eq(masc_rig_say(&rig, rows[i].by, &other), 0, "%s", rows[i].why);
    for (uint32_t k = 0; k < 2; k++) {
      MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, rows[i].prefix);
      c.timestamp += k;
      cr_expect_eq(masc_rig_say(&rig, 's', &c), 0, "%s", rows[i].why);
    }
    cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], rows[i].counts, "%s", rows[i].why);
  }
}

Test(rfc2909_14, refused_again_and_again)
{
  g_auto(MascRig) rig = masc_rig_new();
  rig.bed->params.flood_limit = 8;
  rig.bed->params.limits.MASC_BED_LONGEST = MASC_BED_LENGTH(20);
  for (unsigned i = 0; i < 8; i++) {
    MascClaim c = at(&rig, NEW, 20, i, 0);
    cr_expect_eq(masc_rig_say(&rig, 's', &c), MASC_UPDATE_PREFIX_SMALL);
    MascClaim third = by_sibling(at(&rig, NEW, 0, i, 0), 41);
    cr_expect_eq(masc_rig_say(&rig, 's', &third), MASC_UPDATE_PREFIX_SMALL);
  }
  MascClaim c = at(&rig, NEW, 20, 9, 0);
  masc_rig_say(&rig, 's', &c);
  MascClaim third = by_sibling(at(&rig, NEW, 0, 9, 0), 41);
  masc_rig_say(&rig, 's', &third);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], 1);
  cr_expect_eq(rig.bed->nodes[0].noted[MASC_NOTE_FLOOD], 20, "not who was only told of");
}

/* Six domains that all take the first prefix that they believe to be free, and hear of each other
   half an hour late: nearly every claim collides. Who won uses it after the waiting period. */
Test(rfc2909_14, an_honest_domain_is_never_flagged)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascClaim taken[56] = { 0 };
  unsigned lost = 0, slot;
  rig.bed->params.waiting_period = 17280;
  rig.bed->params.flood_limit = 6;
  for (unsigned step = 1; step <= 150; step++) {
    uint32_t now = masc_bed_time(rig.bed, 0) - (uint32_t)(step * 7919 % 900);
    for (slot = 0; taken[slot].timestamp != 0 && taken[slot].timestamp + 1800 < now; slot++)
      if (taken[slot].type == NEW && taken[slot].timestamp + 17280 < now) {
        taken[slot].type = IN_USE;
        cr_expect_eq(masc_rig_say(&rig, 't', &taken[slot]), 0);
      }
    MascClaim c = by_sibling(at(&rig, NEW, 0, slot, 0), 100 + step % 6);
    c.timestamp = now;
    lost += taken[slot].timestamp != 0;
    if (taken[slot].timestamp == 0 || now < taken[slot].timestamp)
      taken[slot] = c;
    cr_expect_eq(masc_rig_say(&rig, 't', &c), 0);
    masc_bed_pass(rig.bed, 600);
  }
  cr_expect_gt(lost, 80, "%u", lost);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_FLOOD], 0);
}
