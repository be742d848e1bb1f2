/* What is wanted, claims, and the pool of preallocations in the corners: fragments, bounds, links
   that fail, space that goes (draft-ietf-malloc-aap-04 3.2.5 to 3.2.9). */
#include "plugins/aap/aap-zone-private.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define OTHER "192.0.2.200"
#define LOCAL "239.255.0.0-239.255.255.255"
#define SPACE "239.255.1.0-239.255.1.255"

static AapZoneUsage usage_of(const AapNode *node)
{
  return aap_zone_usage(node->zone, aap_bed_clock(node));
}

/* N single addresses, of which no two are neighbours. */
static void set_splinters(AapNode *node, unsigned n)
{
  g_autofree AapExtent *extents = g_new(AapExtent, n);
  for (unsigned i = 0; i < n; i++) {
    MalAddress at = mal_address_ipv4(0xefff1000 + 2 * i);
    extents[i] = (AapExtent){ { at, at }, MAL_FOREVER };
  }
  aap_zone_set_available(node->zone, extents, n, aap_bed_clock(node));
}

static size_t most_ranges(const AapBed *bed, AapType type)
{
  size_t most = 0;
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->msg.type == type)
      most = MAX(most, sent->msg.n_ranges);
  }
  return most;
}

static void want_span(AapNode *node, const char *span, int64_t seconds)
{
  AapNow now = aap_bed_clock(node);
  aap_zone_want_span(node->zone, aap_bed_span(span), now.wall + seconds, now);
}

static void count_entry(const AapEntry *entry, void *data)
{
  ((unsigned *)data)[entry->kind]++;
}

static void hit_everything(AapNode *node, uint32_t rseq)
{
  aap_bed_inject(node, OTHER, AAP_ACLM, rseq, LOCAL, node->bed->now / S(1) + 90000);
}

/* ---- fragments (A-11) ------------------------------------------------------------------------ */

Test(aap_pool, aap_90_a_claim_of_fragments_takes_several_requests)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  unsigned shown[AAP_ENTRY_TOMBSTONE + 1] = { 0 };
  aap_bed_listened(bed);
  set_splinters(node, 60);
  aap_bed_want(node, 60, 600);
  cr_assert_eq(usage_of(node).claims, 2);
  cr_assert_eq(most_ranges(bed, AAP_ACLM), 40);
  aap_zone_each(node->zone, aap_bed_clock(node), count_entry, shown);
  cr_assert_eq(shown[AAP_ENTRY_CLAIM], 60);
  aap_bed_run(bed, bed->now + S(12));
  cr_assert_eq(aap_bed_owned(node), 60);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* In a look so many requests and no more; the next one goes on. */
Test(aap_pool, aap_103_a_pool_of_fragments_grows_look_by_look)
{
  AapBed *bed = aap_bed_with_pool(1000, 1);
  AapNode *node = &bed->nodes[0];
  unsigned shown[AAP_ENTRY_TOMBSTONE + 1] = { 0 };
  aap_bed_available(bed, "", -1);
  aap_bed_listened(bed);
  set_splinters(node, 1000);
  cr_assert_eq(usage_of(node).pool_target, 500);
  cr_assert_eq(usage_of(node).pool_tentative, 8 * 40);
  cr_assert_eq(most_ranges(bed, AAP_AITU), 40);
  aap_zone_each(node->zone, aap_bed_clock(node), count_entry, shown);
  cr_assert_eq(shown[AAP_ENTRY_POOL_TENTATIVE], 320);
  aap_bed_run(bed, bed->now + S(40));
  cr_assert_geq(usage_of(node).pool, 375);
  int64_t t = bed->now;
  unsigned before = node->notes[AAP_NOTE_PREALLOC_LOST];
  hit_everything(node, 1);
  cr_assert_geq(node->notes[AAP_NOTE_PREALLOC_LOST], before + 9);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AITU, t, NULL), 8, "AAP-169: chosen anew");
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- more than 64 bits count ----------------------------------------------------------------- */

Test(aap_pool, aap_32_a_scope_of_2_to_the_112)
{
  AapBed *bed = aap_bed_new("ff3e::/16", false, 1);
  AapNode *node = aap_bed_add(bed);
  bed->params.preallocate = 8;
  aap_bed_available(bed, "ff3e::/16", -1);
  aap_bed_listened(bed);
  AapZoneUsage usage = usage_of(node);
  cr_assert(usage.available == UINT64_MAX && usage.pool_target == 8);
  aap_bed_want(node, UINT64_C(1) << 60, 600);
  aap_bed_run(bed, bed->now + S(30));
  usage = usage_of(node);
  cr_assert(usage.own == UINT64_C(1) << 60 && usage.demand > 1e17);
  cr_assert_lt(usage.pool_target, UINT64_C(1) << 60);
  aap_bed_inject(node, "2001:db8::9", AAP_AIU, 1, "ff3e::1-ff3e::2", 90000);
  want_span(node, "ff3e::-ff3e:1::", 600);
  cr_assert_eq(node->failed, 1);
  aap_bed_own(node, "ff3e:1::-ff3e:2::", 90000);
  aap_bed_run(bed, bed->now + S(1));
  cr_assert_eq(usage_of(node).own, UINT64_MAX);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- what is wanted -------------------------------------------------------------------------- */

Test(aap_pool, aap_61_is_acquiring)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, SPACE, -1);
  cr_assert_not(aap_zone_is_acquiring(node->zone));
  aap_bed_want(node, 1, 600);
  cr_assert(aap_zone_is_acquiring(node->zone), "once startup is over");
  aap_zone_params_changed(node->zone, aap_bed_clock(node));
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(1));
  cr_assert(aap_zone_is_acquiring(node->zone), "it claims");
  aap_bed_run(bed, bed->now + S(12));
  cr_assert(aap_bed_owned(node) == 1 && !aap_zone_is_acquiring(node->zone));
  aap_bed_free(bed);
}

/* Many own addresses are free, and still somebody finds none among them: more are no help. */
Test(aap_pool, aap_100_119_no_more_is_claimed_where_much_is_unused)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, LOCAL, -1);
  aap_bed_listened(bed);
  aap_bed_own(node, "239.255.16.0-239.255.17.255", 90000);
  aap_bed_run(bed, bed->now + S(1));
  aap_bed_want(node, 1, 600);
  cr_assert(node->failed == 1 && usage_of(node).claims == 0);
  aap_bed_want(node, 129, 600);
  cr_assert(node->failed == 1 && usage_of(node).claims == 1, "512 for 129");
  aap_bed_free(bed);
}

/* A-49 (4): what may be somebody else's is no supply. */
Test(aap_pool, aap_86_what_is_noted_serves_nobody)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, SPACE, -1);
  aap_bed_listened(bed);
  aap_bed_own(node, "239.255.1.0-239.255.1.3", 90000);
  aap_bed_run(bed, bed->now + S(1));
  aap_bed_inject(node, OTHER, AAP_AIU, 1, "239.255.1.2", 90000);
  aap_bed_want(node, 4, 600);
  aap_bed_run(bed, bed->now + S(12));
  cr_assert_eq(aap_bed_owned(node), 8);
  aap_bed_free(bed);
}

/* ---- named addresses ------------------------------------------------------------------------- */

typedef struct {
  const char *name, *span;
  int64_t seconds;
  bool fails;
  size_t claims;
} Named;

/* 239.255.1.0-3 is ours, .8-11 was given back, .16-19 is still being written, .32 is somebody
   else's, .40 is excluded, .48 is claimed already; .128 on ends in an hour, and there .200 is
   ours. */
static const Named named[] = {
  { "nobody's", "239.255.1.64", 600, false, 2 },
  { "ours", "239.255.1.1", 600, false, 1 },
  { "given back", "239.255.1.9", 600, true, 1 },
  { "being written", "239.255.1.17", 95000, false, 1 },
  { "another's", "239.255.1.30-239.255.1.33", 600, true, 1 },
  { "excluded", "239.255.1.40", 600, true, 1 },
  { "claimed already", "239.255.1.48", 600, false, 1 },
  { "for longer than it is there", "239.255.1.130", 4000, true, 1 },
  { "ours, for longer than it is there", "239.255.1.200", 4000, true, 1 },
  { "ours, in part", "239.255.1.2-239.255.1.5", 600, false, 2 },
  { "outside of what is available", "239.255.2.0", 600, true, 1 },
};

static AapBed *named_bed(void)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  MalSpan excluded = aap_bed_span("239.255.1.40");
  bed->params.own_lifetime_s = 60;
  node->leased = 1;
  aap_bed_listened(bed);
  int64_t s = bed->now / S(1);
  AapExtent space[] = {
    { aap_bed_span("239.255.1.0-239.255.1.127"), MAL_FOREVER },
    { aap_bed_span("239.255.1.128-239.255.1.255"), AAP_BED_EPOCH + s + 3600 },
  };
  aap_zone_set_available(node->zone, space, 2, aap_bed_clock(node));
  aap_zone_set_excluded(node->zone, &excluded, 1, aap_bed_clock(node));
  aap_bed_own(node, "239.255.1.0-239.255.1.3;239.255.1.8-239.255.1.11;239.255.1.200", s + 90000);
  aap_bed_run(bed, bed->now + S(2));
  aap_owns_give_back(node->zone, mal_address_ipv4(0xefff0108));
  aap_bed_run(bed, bed->now + S(1));
  node->keep_delay = -1;
  aap_bed_own(node, "239.255.1.16-239.255.1.19", s + 90000);
  aap_bed_inject(node, OTHER, AAP_AIU, 1, "239.255.1.32", s + 90000);
  want_span(node, "239.255.1.48", 600);
  return bed;
}

Test(aap_pool, aap_94_97_115_named_addresses)
{
  for (size_t i = 0; i < G_N_ELEMENTS(named); i++) {
    AapBed *bed = named_bed();
    AapNode *node = &bed->nodes[0];
    want_span(node, named[i].span, named[i].seconds);
    cr_assert_eq(node->failed, named[i].fails, "%s", named[i].name);
    cr_assert_eq(usage_of(node).claims, named[i].claims, "%s: %zu", named[i].name,
                 usage_of(node).claims);
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}

/* They wait for the end of startup, so many; more can't be had, which is said at once. */
Test(aap_pool, aap_61_169_named_addresses_while_it_listens)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, SPACE, -1);
  want_span(node, "239.255.1.7", 600);
  for (unsigned i = 1; i < 1100; i++)
    want_span(node, "239.255.2.7", 600); /* isn't available */
  cr_assert_eq(node->failed, 1100 - 1024);
  aap_zone_params_changed(node->zone, aap_bed_clock(node));
  cr_assert(usage_of(node).claims == 0 && bed->sent->len == 0);
  aap_bed_listened(bed);
  cr_assert_eq(node->failed, 1099);
  aap_bed_run(bed, bed->now + S(12));
  cr_assert_eq(aap_bed_owned(node), 1);
  cr_assert(aap_spans_overlap(node->owned, aap_bed_span("239.255.1.7")));
  aap_bed_available(bed, "", 0);
  want_span(node, "239.255.1.9", 600);
  cr_assert_eq(node->failed, 1100, "nothing is available any more");
  aap_bed_free(bed);
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* two AITU have to leave, and then the wait begins anew. */
Test(aap_pool, aap_109_not_established_before_two_could_leave)
{
  AapBed *bed = aap_bed_with_pool(8, 8);
  AapNode *node = &bed->nodes[0];
  node->mute = true;
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(12));
  cr_assert(usage_of(node).pool == 0 && usage_of(node).pool_tentative == 8);
  node->mute = false;
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_eq(usage_of(node).pool, 8);
  const AapSent *first = &g_array_index(bed->sent, AapSent, 0);
  cr_assert(first->msg.type == AAP_AITU && first->msg.mseq == 0);
  aap_bed_free(bed);
}

/* Lost again and again, each time after a random wait, which has a limit; it comes back. */
Test(aap_pool, aap_105_169_a_preallocation_that_is_always_lost)
{
  AapBed *bed = aap_bed_with_pool(8, 8);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  for (uint32_t i = 0; i < 20; i++) {
    int64_t t = bed->now + 1;
    while (aap_bed_count(bed, 0, AAP_AITU, t, NULL) == 0) {
      aap_bed_run(bed, bed->now + S(1));
      cr_assert_leq(bed->now, t + S(31), "%u", i);
    }
    hit_everything(node, i);
  }
  cr_assert_geq(node->notes[AAP_NOTE_PREALLOC_LOST], 20);
  aap_bed_run(bed, bed->now + S(45));
  cr_assert_eq(usage_of(node).pool, 8);
  aap_bed_free(bed);
}

/* Within the tolerance of its end, but the space has ended. */
Test(aap_pool, aap_106_space_that_ends_ends_what_is_preallocated)
{
  AapBed *bed = aap_bed_with_pool(8, 8);
  AapNode *node = &bed->nodes[0];
  aap_bed_available(bed, SPACE, 300);
  aap_bed_listened(bed);
  aap_bed_run(bed, S(295));
  cr_assert_eq(usage_of(node).pool, 8);
  aap_bed_available(bed, SPACE, 295);
  cr_assert_eq(usage_of(node).pool, 0);
  cr_assert_eq(usage_of(node).pool_target, 0);
  aap_bed_free(bed);
}

/* What is preallocated ends before what is wanted: it stays, and others are claimed. */
Test(aap_pool, aap_110_117_what_does_not_last_is_not_taken)
{
  AapBed *bed = aap_bed_with_pool(8, 8);
  AapNode *node = &bed->nodes[0];
  AapExtent space[] = { { aap_bed_span("239.255.1.0-239.255.1.127"), AAP_BED_EPOCH + 5000 },
                        { aap_bed_span("239.255.1.128-239.255.1.255"), MAL_FOREVER } };
  const AapSent *last = NULL;
  char text[MAL_SPAN_STRLEN];
  aap_zone_set_available(node->zone, space, 2, aap_bed_clock(node));
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(15));
  cr_assert_eq(usage_of(node).pool, 8);
  aap_bed_want(node, 4, 9000);
  aap_bed_run(bed, bed->now + S(15));
  cr_assert_eq(usage_of(node).pool, 8);
  cr_assert(aap_bed_owned(node) > 0 && !aap_spans_overlap(node->owned, space[0].span));
  aap_bed_count(bed, 0, AAP_AITU, 0, &last);
  want_span(node, mal_span_format(last->msg.ranges[0].span, text), 9000);
  cr_assert_eq(node->failed, 1);
  cr_assert_eq(usage_of(node).pool, 8);
  aap_bed_free(bed);
}

/* A client names all of one that is tentative: it ends; one that waits for another choice goes
   on. */
Test(aap_pool, aap_97_111_a_preallocation_of_a_single_named_address)
{
  AapBed *bed = aap_bed_with_pool(2, 1);
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  char text[MAL_SPAN_STRLEN];
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(2));
  cr_assert_eq(usage_of(node).pool_tentative, 2);
  cr_assert_eq(aap_sequence_running(node->sequence), 2);
  for (unsigned i = 0; i < 2; i++) { /* the first one is lost twice, and waits */
    const AapSent *first = NULL;
    for (guint k = 0; k < bed->sent->len; k++)
      if (g_array_index(bed->sent, AapSent, k).msg.rseq == 0)
        first = &g_array_index(bed->sent, AapSent, k);
    g_autofree char *hit = g_strdup(mal_span_format(first->msg.ranges[0].span, text));
    aap_bed_inject(node, OTHER, AAP_ACLM, i, hit, 90000);
  }
  for (guint k = 0; k < bed->sent->len; k++)
    if (g_array_index(bed->sent, AapSent, k).msg.rseq == 1)
      last = &g_array_index(bed->sent, AapSent, k);
  MalSpan span = last->msg.ranges[0].span;
  want_span(node, mal_span_format(span, text), 600);
  cr_assert_eq(usage_of(node).claims, 1);
  cr_assert_eq(usage_of(node).pool_tentative, 1, "the one that waits");
  aap_bed_run(bed, bed->now + S(45));
  cr_assert(aap_spans_overlap(node->owned, span));
  cr_assert_eq(usage_of(node).pool, 2);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* Looks come more often than a short lifetime ends. */
Test(aap_pool, aap_118_a_block_of_a_short_lifetime_is_extended_in_time)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 1);
  AapNode *node = aap_bed_add(bed);
  bed->params.own_lifetime_s = 10;
  node->leased = 1;
  aap_bed_available(bed, SPACE, -1);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(10));
  aap_bed_want(node, 1, 10);
  aap_bed_run(bed, bed->now + S(11));
  cr_assert_eq(aap_bed_owned(node), 1);
  for (unsigned i = 0; i < 30; i++) {
    aap_bed_run(bed, bed->now + S(1));
    cr_assert_eq(aap_bed_owned(node), 1, "%u s", i);
  }
  aap_bed_free(bed);
}

/* ---- the record is full ---------------------------------------------------------------------- */

Test(aap_pool, aap_169_what_the_record_has_no_room_for_is_noted)
{
  static const struct {
    AapType type;
    const char *spans;
    bool full;
  } cases[] = {
    { AAP_AIU, "239.255.1.16", false },
    { AAP_AIU, "239.255.1.4;239.255.1.16", true }, /* a new one, and one that is known */
    { AAP_AIU, "239.255.1.16;239.255.1.20", true },
    { AAP_AITU, "239.255.1.40", true },
    { AAP_ACLM, "239.255.1.40", true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = aap_bed_new(LOCAL, false, 1);
    AapNode *node = aap_bed_add(bed);
    bed->params.max_entries = 1;
    aap_bed_available(bed, SPACE, -1);
    aap_bed_inject(node, OTHER, AAP_AIU, 1, "239.255.1.16", 9000);
    cr_assert_eq(node->notes[AAP_NOTE_RECORD_FULL], 0);
    aap_bed_inject(node, OTHER, cases[i].type, 2, cases[i].spans, 9500);
    cr_assert_eq(node->notes[AAP_NOTE_RECORD_FULL], cases[i].full, "%zu", i);
    cr_assert_eq(usage_of(node).foreign, 1, "%zu", i);
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}
