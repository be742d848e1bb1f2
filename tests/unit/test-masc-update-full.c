/* A cache that is full (RFC 2909 11.1, 14): of the origin with most the oldest goes, but never what
   is ours. */
#include <criterion/criterion.h>

#include "plugins/masc/masc-update.h"
#include "tests/unit/masc-rig.h"

#define IN_USE MASC_PREFIX_IN_USE
#define NEW MASC_NEW_CLAIM
#define DENIED MASC_CLAIM_DENIED
#define WITHDRAW MASC_WITHDRAW
#define FREE "233.252.8.0/24"
#define HELD "233.252.4.0/24"

/* Claims of DOMAIN in 233.252.7.0/24, by arrival, until there is no room. */
static void fill(MascZone *zone, MascId domain, MascRole role, uint32_t since)
{
  MascRecord r = { .claim = { .type = NEW,
                              .role = role,
                              .lifetime = 86400,
                              .holdtime = 86400,
                              .domain = domain,
                              .node = domain * 1000 } };
  MalPrefix all = masc_bed_prefix("233.252.7.0/24");
  for (uint32_t i = 0; masc_cache_size(zone->cache) < MASC_CACHE_MAX; i++) {
    r.claim.timestamp = since + i / 256;
    r.claim.prefix = all;
    r.claim.prefix.length = MASC_BED_LENGTH(32);
    r.claim.prefix.address.value += i % 256;
    r.forget_at = masc_claim_forget_at(&r.claim, 0);
    cr_assert_not_null(masc_cache_add(zone->cache, &r));
  }
}

/* Without parents: what these manage would have to go. */
static MascRig full_of_ours(void)
{
  MascRig rig = masc_rig_new();
  const GPtrArray *grounds = masc_cache_grounds(rig.zone->cache);
  while (grounds->len > 0)
    masc_record_forget(rig.zone, g_ptr_array_index(grounds, 0));
  rig.zone->config.top = true;
  fill(rig.zone, 10, MASC_INTERNAL, masc_bed_time(rig.bed, 0));
  return rig;
}

Test(rfc2909_11, what_there_is_no_room_for_is_neither_taken_nor_told)
{
  static const struct {
    char by;
    MascClaimType type;
    MascRole role;
    MascId domain;
    const char *prefix;
    const char *told;
  } rows[] = {
    { 's', NEW, MASC_INTERNAL, 20, FREE, "" },
    { 's', IN_USE, MASC_INTERNAL, 20, FREE, "" },
    { 'c', NEW, MASC_INTERNAL, 30, HELD, "" },
    { 'c', NEW, MASC_INTERNAL, 30, "0.0.0.0/24", "" },
    { 'i', IN_USE, MASC_INTERNAL, 10, FREE, "" },
    { 'i', WITHDRAW, MASC_INTERNAL, 10, FREE, "" },
    { 'a', DENIED, MASC_INTERNAL, 20, FREE, "" },
    { 'i', DENIED, MASC_INTERNAL, 30, HELD, "" },
    { 'a', MASC_PREFIX_MANAGED, MASC_INTERNAL, 1, FREE, "" },
    /* But a child hears that it is denied: nobody else will tell it. */
    { 'c', NEW, MASC_INTERNAL, 30, "233.252.4.0/22", "cdeij" },
  };
  g_auto(MascRig) rig = full_of_ours();
  const unsigned *full = &rig.bed->nodes[0].notes[MASC_NOTE_CACHE_FULL];
  MascNow now = masc_bed_now(rig.bed, 0);
  rig.bed->params.limits.MASC_BED_SHORTEST = MASC_BED_LENGTH(23);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascClaim c = masc_rig_claim(&rig, rows[i].type, rows[i].role, rows[i].domain, rows[i].prefix);
    char told[16];
    unsigned before = *full;
    rig.zone->config.top = rows[i].type != MASC_PREFIX_MANAGED;
    cr_expect_eq(masc_zone_heard(rig.zone, masc_rig_peer(rows[i].by), &c, now), 0, "row %zu", i);
    cr_expect_eq(*full, before + 1, "row %zu", i);
    cr_expect_null(masc_cache_same(rig.zone->cache, &c), "row %zu", i);
    cr_expect_str_eq(masc_rig_told(&rig, &c, told), rows[i].told, "row %zu: %s", i, told);
  }
  cr_expect_eq(masc_cache_size(rig.zone->cache), MASC_CACHE_MAX);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_HEARD], 2, "the parents' prefixes");
}

/* Nor what we say ourselves; but what a parent refused to an internal peer is passed on. */
Test(rfc2909_11, there_is_no_room_for_our_own)
{
  g_auto(MascRig) rig = full_of_ours();
  MascNow now = masc_bed_now(rig.bed, 0);
  MascClaim ours = masc_rig_claim(&rig, IN_USE, MASC_INTERNAL, 10, FREE);
  char told[16];
  cr_expect_null(masc_originate(rig.zone, &ours, 0, true, NULL, now));
  cr_expect_str_eq(masc_rig_told(&rig, &ours, told), "", "%s", told);
  ours.type = NEW;
  masc_zone_refused(rig.zone, masc_rig_peer('a'), &ours, MASC_UPDATE_LIFETIME_LONG, now);
  cr_expect_str_eq(masc_rig_told(&rig, &ours, told), "bqstuij", "%s", told);
}

Test(rfc2909_14, of_who_has_most_the_oldest_goes)
{
  g_auto(MascRig) rig = masc_rig_new();
  MascNow now = masc_bed_now(rig.bed, 0);
  MascClaim c = masc_rig_claim(&rig, NEW, MASC_INTERNAL, 20, FREE);
  char told[16];
  fill(rig.zone, 21, MASC_SIBLING, masc_bed_time(rig.bed, 0));
  cr_expect_eq(masc_zone_heard(rig.zone, masc_rig_peer('s'), &c, now), 0);
  cr_expect_eq(masc_cache_size(rig.zone->cache), MASC_CACHE_MAX);
  cr_expect_eq(masc_cache_size_of(rig.zone->cache, 21), MASC_CACHE_MAX - 3);
  cr_expect_eq(masc_cache_grounds(rig.zone->cache)->len, 2);
  cr_expect_str_eq(masc_rig_told(&rig, &c, told), "abtij", "%s", told);
  cr_expect_eq(rig.bed->nodes[0].notes[MASC_NOTE_CACHE_FULL], 1);
}
