/* Claims beside each other, their times and their bounds (RFC 2909 5.1.1, 8.3, 11.1). */
#include "plugins/masc/masc-compare.h"
#include "plugins/masc/masc-limits.h"
#include "tests/support/masc-packets.h"

#include <criterion/criterion.h>

#define P "233.252.0.0/24"
#define T0 962409600

Test(rfc2909_5_1_1, type_then_timestamp_then_node)
{
  static const struct {
    MascClaimType a, b;
    uint32_t at, bt;
    unsigned an, bn;
    int winner;
  } rows[] = {
    { MASC_PREFIX_IN_USE, MASC_CLAIM_DENIED, 9, 1, 9, 1, 1 },
    { MASC_CLAIM_DENIED, MASC_CLAIM_TO_EXPAND, 9, 1, 9, 1, 1 },
    { MASC_CLAIM_TO_EXPAND, MASC_NEW_CLAIM, 9, 1, 9, 1, 1 },
    { MASC_PREFIX_IN_USE, MASC_NEW_CLAIM, 9, 1, 9, 1, 1 },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, 5, 6, 9, 1, 1 },
    { MASC_PREFIX_IN_USE, MASC_PREFIX_IN_USE, 0, 4294967295u, 9, 1, 1 },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, 5, 5, 1, 2, 1 },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, 5, 5, 2, 2, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim a = masc_claim_make(rows[i].a, P, rows[i].at, rows[i].an);
    MascClaim b = masc_claim_make(rows[i].b, P, rows[i].bt, rows[i].bn);
    cr_expect_eq(masc_claim_compare(&a, &b), rows[i].winner, "row %zu", i);
    cr_expect_eq(masc_claim_compare(&b, &a), -rows[i].winner, "row %zu", i);
  }
  MascClaim high = masc_claim_make(MASC_NEW_CLAIM, P, 5, (MascId)1 << 127);
  MascClaim low = masc_claim_make(MASC_NEW_CLAIM, P, 5, UINT32_MAX);
  cr_expect_eq(masc_claim_compare(&low, &high), 1);
}

/* A total order: what beats two in turn beats the last. */
Test(rfc2909_5_1_1, transitive)
{
  MascClaim all[64];
  for (unsigned i = 0; i < 64; i++)
    all[i] = masc_claim_make((MascClaimType)(i & 3), P, i >> 2 & 3, 1 + (i >> 4));
  for (unsigned a = 0; a < 64; a++)
    for (unsigned b = 0; b < 64; b++)
      for (unsigned c = 0; c < 64; c++)
        if (masc_claim_compare(&all[a], &all[b]) > 0 && masc_claim_compare(&all[b], &all[c]) > 0)
          cr_assert_gt(masc_claim_compare(&all[a], &all[c]), 0);
}

Test(rfc2909_5_1_1, what_collides)
{
  static const struct {
    MascClaimType a, b;
    const char *pa, *pb;
    bool collide;
  } rows[] = {
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, P, P, true },
    { MASC_NEW_CLAIM, MASC_PREFIX_IN_USE, "233.252.0.0/16", "233.252.9.0/24", true },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, P, "233.252.1.0/24", false },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, P, "ff3e::/96", false },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, "0.0.0.0/24", "0.0.0.0/24", false },
    { MASC_NEW_CLAIM, MASC_NEW_CLAIM, "::/112", "::/112", false },
    { MASC_PREFIX_MANAGED, MASC_NEW_CLAIM, P, P, false },
    { MASC_WITHDRAW, MASC_NEW_CLAIM, P, P, false },
    { MASC_CLAIM_DENIED, MASC_CLAIM_TO_EXPAND, P, P, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim a = { .type = rows[i].a }, b = { .type = rows[i].b };
    cr_assert(mal_prefix_parse(rows[i].pa, &a.prefix, NULL));
    cr_assert(mal_prefix_parse(rows[i].pb, &b.prefix, NULL));
    cr_expect_eq(masc_claims_collide(&a, &b), rows[i].collide, "row %zu", i);
    cr_expect_eq(masc_claims_collide(&b, &a), rows[i].collide, "row %zu", i);
  }
  MascClaim outer = masc_claim_make(MASC_PREFIX_MANAGED, "233.252.0.0/16", 1, 1);
  MascClaim inner = masc_claim_make(MASC_NEW_CLAIM, P, 1, 1);
  MascClaim hint = { .prefix = { mal_address_ipv4(0), 24 } };
  cr_expect(masc_claim_covers(&outer, &inner) && masc_claim_covers(&inner, &inner));
  cr_expect_not(masc_claim_covers(&inner, &outer));
  cr_expect_not(masc_claim_covers(&outer, &hint));
  cr_expect_not(masc_claim_covers(&hint, &hint));
}

/* One field after the other. */
Test(rfc2909_11_1, seen_before)
{
  const MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, P, 5, 7);
  MascClaim other[10];
  for (size_t i = 0; i < G_N_ELEMENTS(other); i++)
    other[i] = claim;
  other[0].role = MASC_CHILD;
  other[1].deprecated = true;
  other[2].type = MASC_CLAIM_TO_EXPAND;
  other[3].lifetime++;
  other[4].holdtime++;
  other[5].node++;
  other[6].timestamp++;
  other[7].domain++;
  other[8].prefix.address.value += 256;
  other[9].prefix.length++;
  cr_expect(masc_claim_same(&claim, &claim));
  for (size_t i = 0; i < G_N_ELEMENTS(other); i++) {
    cr_expect_not(masc_claim_same(&claim, &other[i]), "field %zu", i);
    cr_expect_eq(masc_claim_about(&claim, &other[i]), i < 6, "field %zu", i);
  }
  MascClaim v4 = { .prefix = { mal_address_ipv4(0), 24 } };
  MascClaim v6 = { .prefix = { mal_address_make(MAL_IPV6, 0), 24 } };
  cr_expect_not(masc_claim_same(&v4, &v6));
}

Test(rfc2909_11_1, expiry)
{
  MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, P, T0, 7);
  cr_expect_eq(masc_claim_free_at(&claim), (MalTime)T0 + 2592000);
  cr_expect_not(masc_claim_expired(&claim, T0 + MASC_WAITING_PERIOD - 1, 0));
  cr_expect(masc_claim_expired(&claim, T0 + MASC_WAITING_PERIOD, 0));
  cr_expect_not(masc_claim_expired(&claim, T0 + MASC_WAITING_PERIOD + 86399, 86400));
  cr_expect(masc_claim_expired(&claim, T0 + MASC_WAITING_PERIOD + 86400, 86400));
  claim.timestamp = claim.lifetime = claim.holdtime = UINT32_MAX;
  cr_expect_eq(masc_claim_free_at(&claim), 2 * (MalTime)UINT32_MAX, "nothing wraps in 2106");
  cr_expect_eq(masc_claim_forget_at(&claim, INT64_MAX), MAL_FOREVER);
  cr_expect_eq(masc_time_to_wire(T0), T0);
  cr_expect_eq(masc_time_to_wire(-5), 0);
  cr_expect_eq(masc_time_to_wire(MAL_FOREVER), UINT32_MAX);
  cr_expect_eq(masc_seconds_to_wire((int64_t)1 << 32), UINT32_MAX);
}

Test(rfc2909_8_3, bounds_of_a_claim)
{
  const MascLimits limits = { .lifetime_min = 172800, .lifetime_max = 15768000,
                              .holdtime_min = 60, .holdtime_max = 15768000,
                              .timestamp_old = 1000, .timestamp_new = 86400,
                              .longest4 = 28, .shortest4 = 16, .longest6 = 124, .shortest6 = 96 };
  const MascLimits none = { 0 };
  static const struct {
    const char *prefix;
    uint32_t lifetime, holdtime;
    int64_t at;
    uint8_t subcode;
  } rows[] = {
    { P, 172800, 60, 0, 0 },
    { P, 15768000, 15768000, 0, 0 },
    { P, 172799, 59, 86401, MASC_UPDATE_LIFETIME_SHORT },
    { P, 15768001, 60, 0, MASC_UPDATE_LIFETIME_LONG },
    { P, 172800, 60, -1000, 0 },
    { P, 172800, 60, -1001, MASC_UPDATE_TIMESTAMP_OLD },
    { P, 172800, 60, 86400, 0 },
    { P, 172800, 60, 86401, MASC_UPDATE_TIMESTAMP_NEW },
    { "233.252.0.0/28", 172800, 60, 0, 0 },
    { "233.252.0.0/29", 172800, 60, 0, MASC_UPDATE_PREFIX_SMALL },
    { "233.252.0.0/16", 172800, 60, 0, 0 },
    { "233.252.0.0/15", 172800, 60, 0, MASC_UPDATE_PREFIX_LARGE },
    { "ff3e::/125", 172800, 60, 0, MASC_UPDATE_PREFIX_SMALL },
    { "ff3e::/95", 172800, 60, 0, MASC_UPDATE_PREFIX_LARGE },
    { "ff3e::/96", 172800, 60, 0, 0 },
    { "0.0.0.0/29", 172800, 60, 0, MASC_UPDATE_PREFIX_SMALL },
    { P, 172800, 59, 0, MASC_UPDATE_HOLDTIME_SHORT },
    { P, 172800, 15768001, 0, MASC_UPDATE_HOLDTIME_LONG },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim claim = masc_claim_make(MASC_NEW_CLAIM, rows[i].prefix, (uint32_t)(T0 + rows[i].at),
                                      7);
    claim.lifetime = rows[i].lifetime;
    claim.holdtime = rows[i].holdtime;
    cr_expect_eq(masc_claim_judge(&claim, &limits, T0), rows[i].subcode, "row %zu: %s", i,
                 masc_subcode_name(3, masc_claim_judge(&claim, &limits, T0)));
    cr_expect_eq(masc_claim_judge(&claim, &none, T0), 0, "row %zu", i);
  }
}
