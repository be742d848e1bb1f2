/* Startup, claims, preallocations and the pool (draft-ietf-malloc-aap-04 3.2.4 to 3.2.8). */
#include "plugins/aap/aap-intervals.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define LOCAL "239.255.0.0-239.255.255.255"
#define SMALL "239.255.1.0-239.255.1.15"

static AapBed *one(const char *available)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  aap_bed_add(bed);
  aap_bed_available(bed, available, -1);
  return bed;
}

static MalTime end_in(const AapNode *node, int64_t seconds)
{
  return aap_bed_clock(node).wall + seconds;
}

/* ---- startup --------------------------------------------------------------------------------- */

Test(aap_claim, aap_61_62_63_it_listens_for_a_random_time_and_says_nothing)
{
  int64_t first = 0;
  bool differ = false;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    AapBed *bed = aap_bed_new(LOCAL, false, seed);
    AapNode *node = aap_bed_add(bed);
    aap_bed_available(bed, SMALL, -1);
    aap_zone_want(node->zone, 1, end_in(node, 600), aap_bed_clock(node));
    aap_bed_inject(node, "192.0.2.200", AAP_AIU, 1, "239.255.1.3-239.255.1.4", 9000);
    aap_bed_inject(node, "192.0.2.201", AAP_ACLM, 1, "239.255.1.3-239.255.1.4", 9000);
    int64_t ends = aap_zone_usage(node->zone, aap_bed_clock(node)).startup_ends;
    cr_assert(ends >= S(150) && ends <= S(195));
    differ = differ || (seed > 1 && ends != first);
    first = ends;
    aap_bed_run(bed, ends - 1);
    cr_assert_eq(bed->sent->len, 0);
    aap_bed_run(bed, ends + S(1));
    cr_assert_eq(aap_bed_count(bed, 0, AAP_ACLM, 0, NULL), 2, "what was wanted meanwhile");
    aap_bed_free(bed);
  }
  cr_assert(differ);
}

Test(aap_claim, without_space_nothing_is_allocated)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  aap_bed_listened(bed);
  aap_zone_want(node->zone, 1, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, bed->now + S(60));
  cr_assert(bed->sent->len == 0 && node->failed == 1 && aap_bed_owned(node) == 0);
  aap_bed_free(bed);
}

/* ---- claims ---------------------------------------------------------------------------------- */

Test(aap_claim, aap_89_90_97_48_an_undisputed_claim)
{
  AapBed *bed = one(SMALL);
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  aap_bed_listened(bed);
  int64_t t = bed->now;
  aap_zone_want(node->zone, 3, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, t + S(60));
  g_autofree char *claims = aap_bed_times(bed, 0, AAP_ACLM, t);
  cr_assert_str_eq(claims, "0 10 30 70", "%s", claims);
  aap_bed_count(bed, 0, AAP_ACLM, t, &last);
  uint32_t rseq = last->msg.rseq;
  cr_assert_eq(last->msg.mseq, 3);
  g_autofree char *uses = aap_bed_times(bed, 0, AAP_AIU, t);
  cr_assert_str_eq(uses, "100 110 130 170 250 410", "%s", uses);
  aap_bed_count(bed, 0, AAP_AIU, t, &last);
  cr_assert_neq(last->msg.rseq, rseq, "AAP-48");
  cr_assert_eq(aap_bed_owned(node), 3);
  cr_assert(node->notes[AAP_NOTE_CLAIMED] == 1 && node->kept > 0);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_claim, aap_91_92_93_94_45_collisions)
{
  static const struct {
    AapType type;
    bool collides;
  } cases[] = { { AAP_ACLM, true }, { AAP_AIU, true }, { AAP_AITU, false } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = one(SMALL);
    AapNode *node = &bed->nodes[0];
    const AapSent *first = NULL, *last = NULL;
    aap_bed_listened(bed);
    int64_t t = bed->now;
    aap_zone_want(node->zone, 4, end_in(node, 600), aap_bed_clock(node));
    aap_bed_run(bed, t + S(8));
    aap_bed_count(bed, 0, AAP_ACLM, t, &first);
    char text[MAL_ADDRESS_STRLEN];
    MalSpan span = first->msg.ranges[0].span;
    g_autofree char *hit = g_strdup_printf("%s-%s", mal_address_format(span.last, text), text);
    uint32_t rseq = first->msg.rseq;
    uint8_t mseq = first->msg.mseq;
    MalAddress lost = span.last;
    aap_bed_inject(node, "192.0.2.200", cases[i].type, 5, hit, 90000);
    aap_bed_run(bed, t + S(30));
    unsigned after = aap_bed_count(bed, 0, AAP_ACLM, t + S(8), &last);
    cr_assert_eq(after, cases[i].collides ? 4 : 0);
    if (cases[i].collides) {
      cr_assert(last->msg.rseq == rseq && last->msg.mseq == mseq + 4, "AAP-45");
      g_autofree char *times = aap_bed_times(bed, 0, AAP_ACLM, t + S(8));
      cr_assert_str_eq(times, "0 10 30 70", "a full new wait: %s", times);
      cr_assert_eq(node->notes[AAP_NOTE_CLAIM_COLLISION], 1);
      cr_assert_not(aap_spans_overlap(node->owned, (MalSpan){ lost, lost }));
    }
    cr_assert_eq(aap_bed_owned(node), 4);
    aap_bed_free(bed);
  }
}

Test(aap_claim, aap_95_96_space_that_is_taken_away_ends_a_claim)
{
  AapBed *bed = one(SMALL);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  int64_t t = bed->now;
  aap_zone_want(node->zone, 16, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, t + S(5));
  aap_bed_available(bed, SMALL, -1);
  aap_bed_run(bed, t + S(6));
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_COLLISION], 0);
  aap_bed_available(bed, "239.255.1.8-239.255.1.15", -1);
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_COLLISION], 1);
  aap_bed_run(bed, t + S(60));
  cr_assert_eq(aap_bed_owned(node), 8);
  aap_bed_free(bed);
}

Test(aap_claim, aap_98_it_gives_up_after_so_many_rounds)
{
  AapBed *bed = one("239.255.1.0-239.255.1.255");
  AapNode *node = &bed->nodes[0];
  bed->params.claim_attempts = 5;
  aap_bed_listened(bed);
  int64_t t = bed->now;
  aap_zone_want(node->zone, 1, end_in(node, 600), aap_bed_clock(node));
  for (unsigned i = 0; i < 20; i++) {
    const AapSent *last = NULL;
    aap_bed_run(bed, bed->now + S(1));
    if (aap_bed_count(bed, 0, AAP_ACLM, t, &last) == 0)
      break;
    char text[MAL_SPAN_STRLEN];
    g_autofree char *hit = g_strdup(mal_span_format(last->msg.ranges[0].span, text));
    aap_bed_inject(node, "192.0.2.200", AAP_AIU, i, hit, 90000);
  }
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_EXHAUSTED], 1);
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_COLLISION], 5);
  cr_assert_eq(node->failed, 1);
  aap_bed_free(bed);
}

Test(aap_claim, aap_99_a_claim_that_never_left_is_not_won)
{
  AapBed *bed = one(SMALL);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  node->mute = true;
  aap_zone_want(node->zone, 1, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, bed->now + S(120));
  cr_assert_eq(aap_bed_owned(node), 0);
  node->mute = false;
  aap_bed_run(bed, bed->now + S(25));
  cr_assert_eq(aap_bed_owned(node), 1);
  aap_bed_free(bed);
}

Test(aap_claim, named_addresses_are_claimed_exactly_or_not_at_all)
{
  AapBed *bed = one(SMALL);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  MalSpan span = aap_bed_span("239.255.1.6-239.255.1.7");
  aap_zone_want_span(node->zone, span, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, bed->now + S(12));
  cr_assert(aap_bed_owned(node) == 2 && aap_spans_overlap(node->owned, span));
  aap_bed_inject(node, "192.0.2.200", AAP_AIU, 5, "239.255.1.9", 90000);
  aap_zone_want_span(node->zone, aap_bed_span("239.255.1.8-239.255.1.9"), end_in(node, 600),
                     aap_bed_clock(node));
  cr_assert_eq(node->failed, 1, "another's");
  aap_zone_want_span(node->zone, aap_bed_span("239.255.1.10-239.255.1.11"), end_in(node, 600),
                     aap_bed_clock(node));
  aap_bed_run(bed, bed->now + S(3));
  aap_bed_inject(node, "192.0.2.200", AAP_ACLM, 6, "239.255.1.11", 90000);
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_FAILED], 1, "lost as a whole");
  aap_bed_run(bed, bed->now + S(30));
  cr_assert_eq(aap_bed_owned(node), 2);
  aap_bed_free(bed);
}

/* Two that want the same at the same time: both may lose, but never both win. */
Test(aap_claim, a_42_simultaneous_claims)
{
  for (uint64_t seed = 1; seed <= 60; seed++) {
    AapBed *bed = aap_bed_new(LOCAL, false, seed);
    for (unsigned i = 0; i < 4; i++)
      aap_bed_add(bed);
    aap_bed_available(bed, "239.255.1.0-239.255.1.63", -1);
    aap_bed_listened(bed);
    for (unsigned i = 0; i < 4; i++)
      aap_zone_want(bed->nodes[i].zone, 2, end_in(&bed->nodes[i], 600),
                    aap_bed_clock(&bed->nodes[i]));
    for (unsigned i = 0; i < 30; i++) {
      aap_bed_run(bed, bed->now + S(5));
      aap_bed_check(bed);
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
      sum += aap_bed_owned(&bed->nodes[i]);
    cr_assert_eq(sum, 8, "seed %u: %u", (unsigned)seed, (unsigned)sum);
    aap_bed_free(bed);
  }
}

/* ---- preallocations -------------------------------------------------------------------------- */

Test(aap_claim, aap_102_103_107_109_110_the_pool_is_built_and_taken_from)
{
  AapBed *bed = aap_bed_with_pool(8, 8);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  int64_t t = g_array_index(bed->sent, AapSent, 0).at;
  aap_bed_run(bed, t + S(5));
  aap_zone_want(node->zone, 1, end_in(node, 600), aap_bed_clock(node));
  cr_assert_eq(aap_bed_owned(node), 0, "AAP-109");
  aap_bed_run(bed, t + S(34));
  g_autofree char *times = aap_bed_times(bed, 0, AAP_AITU, t);
  cr_assert(g_str_has_prefix(times, "0 10 30 70 150 310"), "%s", times);
  aap_bed_free(bed);

  bed = aap_bed_with_pool(64, 4);
  node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(15));
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).pool, 64);
  t = bed->now;
  aap_zone_want(node->zone, 1, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, t + S(1) / 2);
  cr_assert_eq(aap_bed_owned(node), 4, "at once");
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ACLM, 0, NULL), 0, "AAP-110: without a claim");
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, t, NULL), 1);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_claim, aap_104_105_108_45_a_preallocation_gives_way_to_anything)
{
  for (AapType type = AAP_ACLM; type <= AAP_AITU; type++)
    for (int established = 0; established <= 1; established++) {
      AapBed *bed = aap_bed_with_pool(8, 8);
      AapNode *node = &bed->nodes[0];
      const AapSent *last = NULL;
      char text[MAL_SPAN_STRLEN];
      aap_bed_listened(bed);
      aap_bed_run(bed, bed->now + (established ? S(12) : S(2)));
      aap_bed_count(bed, 0, AAP_AITU, 0, &last);
      uint32_t rseq = last->msg.rseq;
      uint8_t mseq = last->msg.mseq;
      MalSpan lost = last->msg.ranges[0].span;
      g_autofree char *hit = g_strdup(mal_span_format(lost, text));
      int64_t t = bed->now;
      aap_bed_inject(node, "192.0.2.200", type, 5, hit, 90000);
      cr_assert_eq(node->notes[AAP_NOTE_PREALLOC_LOST], 1);
      aap_bed_run(bed, t + S(9));
      cr_assert_eq(aap_bed_count(bed, 0, AAP_AITU, t, &last), 4);
      cr_assert(last->msg.rseq == rseq && last->msg.mseq == mseq + 4, "AAP-45, 105");
      cr_assert_not(mal_span_overlaps(last->msg.ranges[0].span, lost));
      cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).pool, 0, "waits anew");
      aap_bed_free(bed);
    }
}

Test(aap_claim, aap_101_nothing_of_others_is_preallocated_and_113_114_claims_take_it_last)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  bed->params.preallocate = 16;
  aap_bed_available(bed, SMALL, -1);
  aap_bed_inject(node, "192.0.2.200", AAP_AIU, 1, "239.255.1.0-239.255.1.3", 90000);
  aap_bed_inject(node, "192.0.2.200", AAP_AITU, 2, "239.255.1.4-239.255.1.11", 90000);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(2));
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    for (size_t k = 0; k < sent->msg.n_ranges; k++)
      cr_assert_not(
          mal_span_overlaps(sent->msg.ranges[k].span, aap_bed_span("239.255.1.0-239.255.1.11")));
  }
  aap_bed_inject(node, "192.0.2.200", AAP_AITU, 2, "239.255.1.4-239.255.1.11", 90000);
  aap_zone_want(node->zone, 12, end_in(node, 600), aap_bed_clock(node));
  aap_bed_run(bed, bed->now + S(30));
  aap_bed_want(node, 12 - aap_bed_owned(node), 600);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert_eq(aap_bed_owned(node), 12, "%u: the pool and what another only preallocated",
               (unsigned)aap_bed_owned(node));
  aap_bed_free(bed);
}

Test(aap_claim, aap_106_112_the_pool_follows_space_and_demand)
{
  AapBed *bed = aap_bed_with_pool(32, 4);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).pool, 32);
  aap_bed_available(bed, "239.255.1.0-239.255.1.19", -1);
  aap_bed_run(bed, bed->now + S(60));
  AapZoneUsage usage = aap_zone_usage(node->zone, aap_bed_clock(node));
  cr_assert_leq(usage.pool + usage.pool_tentative, 20);
  cr_assert_leq(usage.pool_target, 10, "a fair share of what is left");
  aap_bed_check(bed);
  aap_bed_available(bed, "239.255.1.0-239.255.1.255", -1);
  node->leased = 4;
  for (unsigned i = 0; i < 20; i++) {
    aap_zone_want(node->zone, 4, end_in(node, 600), aap_bed_clock(node));
    aap_bed_run(bed, bed->now + S(20));
  }
  usage = aap_zone_usage(node->zone, aap_bed_clock(node));
  cr_assert_gt(usage.pool_target, 32, "AAP-112: an hour's demand");
  cr_assert_eq(aap_bed_owned(node), 80);
  aap_bed_free(bed);
}

Test(aap_claim, named_addresses_come_out_of_the_pool_wherever_they_are_in_it)
{
  AapBed *bed = aap_bed_with_pool(64, 4);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  for (int established = 0; established <= 1; established++) {
    const AapSent *last = NULL;
    aap_bed_run(bed, bed->now + (established ? S(30) : S(2)));
    aap_bed_count(bed, 0, AAP_AITU, 0, &last);
    MalSpan span = { last->msg.ranges[0].span.last, last->msg.ranges[0].span.last };
    uint64_t before = aap_bed_owned(node);
    aap_zone_want_span(node->zone, span, end_in(node, 600), aap_bed_clock(node));
    aap_bed_run(bed, bed->now + (established ? S(1) : S(11)));
    cr_assert_eq(aap_bed_owned(node), before + 1);
    cr_assert(aap_spans_overlap(node->owned, span));
    aap_bed_check(bed);
  }
  aap_bed_free(bed);
}

Test(aap_claim, aap_114_nearly_all_of_a_scope_can_be_had_by_one)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  bed->params.preallocate = 32;
  bed->params.block = 16;
  AapNode *node = aap_bed_add(bed), *other = aap_bed_add(bed);
  aap_bed_available(bed, "239.255.1.0-239.255.1.255", -1);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(20));
  aap_zone_want(other->zone, 3, end_in(other, 600), aap_bed_clock(other));
  aap_bed_run(bed, bed->now + S(20));
  cr_assert_eq(aap_bed_owned(other), 16);
  /* As the engine does: all that is wanted is said again whenever something came. */
  uint64_t before = 0;
  aap_zone_want(node->zone, 200, end_in(node, 600), aap_bed_clock(node));
  for (unsigned i = 0; i < 300 && aap_bed_owned(node) < 200; i++) {
    aap_bed_run(bed, bed->now + S(1) / 2);
    if (aap_bed_owned(node) != before)
      aap_zone_want(node->zone, 200, end_in(node, 600), aap_bed_clock(node));
    before = aap_bed_owned(node);
  }
  cr_assert_geq(aap_bed_owned(node), 200, "%u", (unsigned)aap_bed_owned(node));
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- the life of blocks ---------------------------------------------------------------------- */

Test(aap_claim, aap_118_blocks_are_extended_while_in_use_and_given_back_when_idle)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  bed->params.block = 4;
  bed->params.own_lifetime_s = 3600;
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, "239.255.1.0-239.255.1.255", -1);
  aap_bed_listened(bed);
  node->leased = 4;
  for (unsigned i = 0; i < 3; i++) {
    aap_zone_want(node->zone, 4, end_in(node, 600), aap_bed_clock(node));
    aap_bed_run(bed, bed->now + S(20));
  }
  node->leased = 2;
  aap_bed_run(bed, bed->now + S(3 * 3600));
  cr_assert_eq(aap_bed_owned(node), 12, "longer than it was made for");
  cr_assert_geq(node->notes[AAP_NOTE_EXTENDED], 1);
  node->leased = 0;
  aap_bed_run(bed, bed->now + S(8 * 3600));
  cr_assert_eq(aap_bed_owned(node), 4, "given back, but for one: %u",
               (unsigned)aap_bed_owned(node));
  aap_bed_check(bed);
  aap_bed_free(bed);
}
