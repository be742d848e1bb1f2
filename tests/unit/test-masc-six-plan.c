/* Zones of IPv6 in a wide scope, with the real planner: numbers of addresses beyond 64 bits. */
#include "tests/unit/masc-own-bed.h"

#include <criterion/criterion.h>

/* A top-level domain with children, in all of ff1e::/16. */
static OwnBed *wide(void)
{
  OwnBed *own = own_bed_new();
  MascBedNode *n;

  own_bed_add(own, 2, 2000, true);
  n = &own->bed->nodes[0];
  cr_assert(mal_span_parse("ff1e::-ff1e:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &n->config.span,
                           NULL));
  n->zone->config.span = n->config.span;
  n->config.parent = n->zone->config.parent = true;
  own->bed->params.plan_interval = 100;
  own_bed_owns(own, 0)->planner = masc_plan;
  masc_bed_open(own->bed, 0, MASC_PARENT, 5, 0);
  own_bed_pass(own, 100);
  return own;
}

static void child_asks(OwnBed *own, unsigned length)
{
  MascClaim hint = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 5, "0.0.0.0/24");

  hint.prefix.length = length;
  cr_assert_eq(masc_bed_say(own->bed, 0, 0, &hint), 0);
}

/* As much as is asked for, up to 2^58 addresses: more the planner never claims. */
Test(masc_six, s11_5_what_a_child_asks_for_is_claimed)
{
  static const struct {
    unsigned asked, shortest, longest;
  } rows[] = {
    { 112, 109, 112 }, { 96, 94, 96 }, { 80, 78, 80 },
    { 64, 69, 70 },    { 32, 69, 70 }, { 8, 69, 70 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(OwnBed) own = wide();
    MascZoneUsage usage;
    child_asks(own, rows[i].asked);
    own_bed_pass(own, 1500);
    GArray *held = own_bed_owns(own, 0)->held[0];
    cr_assert_geq(held->len, 1, "/%u", rows[i].asked);
    unsigned length = g_array_index(held, MascHeld, 0).prefix.length;
    cr_expect_geq(length, rows[i].shortest, "/%u: /%u", rows[i].asked, length);
    cr_expect_leq(length, rows[i].longest, "/%u: /%u", rows[i].asked, length);
    usage = masc_zone_usage(own->bed->nodes[0].zone, masc_bed_now(own->bed, 0));
    cr_expect_geq(usage.held, UINT64_C(1) << MIN(128 - length, 63));
  }
}

/* By hand there is no such bound, and what is counted stays a large number. */
Test(masc_six, s5_1_what_is_held_may_be_more_than_can_be_counted)
{
  g_autoptr(OwnBed) own = wide();
  MascZone *zone = own->bed->nodes[0].zone;
  MalPrefix half = { mal_address_none(), 17 };
  MascZoneUsage usage;

  cr_assert(mal_address_parse("ff1e:8000::", &half.address, NULL));
  cr_assert(masc_zone_claim(zone, half, false, 0, masc_bed_now(own->bed, 0), NULL));
  own_bed_pass(own, 1100);
  cr_assert_not_null(masc_own_find(zone, half, false));
  usage = masc_zone_usage(zone, masc_bed_now(own->bed, 0));
  cr_expect_eq(usage.held, UINT64_MAX);
  child_asks(own, 64);
  own_bed_pass(own, 1500);
  cr_expect_eq(own_bed_owns(own, 0)->held[0]->len, 1, "there is room enough");
}

/* 11.5, 12.2: what is wanted, and what children have, as far as it can be counted. */
Test(masc_six, s11_5_more_than_can_be_counted)
{
  g_autoptr(OwnBed) own = own_bed_new();
  MascWish wish = { .kind = MASC_WISH_HINT, .prefix.length = 16 };
  MascRecord used = { .parent = 2, .forget_at = MAL_FOREVER }, hint = used;
  MascNow now;

  own_bed_add(own, 2, 2000, false);
  MascZone *zone = own->bed->nodes[0].zone;
  zone->config.parent = true;
  masc_own_children_changed(zone, masc_bed_now(own->bed, 0));
  own_bed_pass(own, 1);
  now = masc_bed_now(own->bed, 0);
  used.claim = masc_bed_claim(own->bed, MASC_PREFIX_IN_USE, MASC_CHILD, 5, "233.252.4.0/24");
  used.claim.prefix = masc_prefix_widen(used.claim.prefix, 16);
  masc_cache_add(zone->cache, &used);
  hint.claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_CHILD, 5, "0.0.0.0/24");
  hint.claim.prefix = (MalPrefix){ mal_address_make(MAL_IPV6, 0), 8 };
  masc_cache_add(zone->cache, &hint);
  wish.prefix = used.claim.prefix;
  g_array_append_val(own->nodes[0].wishes[0], wish);
  zone->owns->asked = true;
  masc_own_plan(zone, now);
  cr_expect_eq(zone->owns->short_of, UINT64_MAX);
  cr_expect_eq(own->nodes[0].seen.waiting, UINT64_MAX);
  cr_expect_eq(zone->owns->claimed_below, UINT64_MAX);
}
