/* A zone as a whole: its parts at the edges of each other (draft-ietf-malloc-aap-04 section 3). */
#include "plugins/aap/aap-intervals.h"
#include "plugins/aap/aap-zone-private.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define LOCAL "239.255.0.0-239.255.255.255"
#define GLOBAL "224.0.1.0-238.255.255.255"
#define SPACE "233.252.0.0-233.252.0.255"
#define FEW "239.255.1.0-239.255.1.15"

static AapBed *bed_of(const char *scope, bool large, const char *available, int64_t end)
{
  AapBed *bed = aap_bed_new(scope, large, 7);
  aap_bed_add(bed);
  if (available != NULL)
    aap_bed_available(bed, available, end);
  return bed;
}

/* ---- claims and requests --------------------------------------------------------------------- */

/* Too many collisions look like an attack, not like a lack of space: no ANA (3.2.9, 5.1.5). */
Test(aap_zone, aap_98_119_an_exhausted_claim_sends_no_ana)
{
  AapBed *bed = bed_of(GLOBAL, true, SPACE, -1);
  AapNode *node = &bed->nodes[0];
  bed->params.claim_attempts = 3;
  aap_bed_listened(bed);
  aap_bed_want(node, 1, 600);
  for (unsigned i = 0; i < 3; i++) {
    const AapSent *last = NULL;
    char text[MAL_SPAN_STRLEN];
    aap_bed_run(bed, bed->now + S(2));
    aap_bed_count(bed, 0, AAP_ACLM, 0, &last);
    g_autofree char *hit = g_strdup(mal_span_format(last->msg.ranges[0].span, text));
    aap_bed_inject(node, "192.0.2.200", AAP_ACLM, i, hit, 90000);
  }
  aap_bed_run(bed, bed->now + S(20));
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_EXHAUSTED], 1);
  cr_assert_eq(node->failed, 1);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ANA, 0, NULL), 0);
  aap_bed_free(bed);
}

static void add_count(MalEndpoint peer, uint64_t count, MalTime end, void *data)
{
  uint64_t *sum = data;
  (void)peer;
  (void)end;
  *sum += count;
}

static uint64_t requested(const AapNode *node)
{
  uint64_t sum = 0;
  aap_zone_each_request(node->zone, add_count, &sum);
  return sum;
}

/* Demand that grows is said once, not as the sum of all that it ever was. */
Test(aap_zone, aap_119_122_what_is_missing_adds_up_to_what_is_wanted)
{
  AapBed *bed = bed_of(GLOBAL, true, NULL, 0);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  for (unsigned n = 1; n <= 50; n++) {
    aap_bed_want(node, n, 600);
    aap_bed_run(bed, bed->now + S(1) / 10);
  }
  cr_assert_eq(requested(node), 50, "%" G_GUINT64_FORMAT, requested(node));
  aap_bed_free(bed);
}

Test(aap_zone, aap_169_requests_of_ours_are_bounded)
{
  AapBed *bed = bed_of(GLOBAL, true, NULL, 0);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  for (unsigned n = 1; n <= 1000; n++)
    aap_bed_want(node, 1, 600 + 1000 * (int64_t)n); /* each an unmet demand of its own */
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ANA, 0, NULL), 128);
  cr_assert_eq(aap_sequence_running(node->sequence), 128, "no number is kept for the others");
  aap_bed_free(bed);
}

/* Addresses whose range ends while they are being claimed are nobody's gain. */
Test(aap_zone, aap_97_117_a_claim_outlived_by_its_space_is_lost)
{
  AapBed *bed = bed_of(LOCAL, false, NULL, 0);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_available(bed, FEW, bed->now / AAP_US + 8);
  aap_bed_want(node, 2, 5);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert(aap_bed_owned(node) == 0 && node->failed == 1 && node->kept == 0);
  aap_bed_free(bed);
}

Test(aap_zone, aap_19_what_is_reserved_meanwhile_is_not_won)
{
  AapBed *bed = bed_of(LOCAL, false, FEW, -1);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_want(node, 16, 600);
  aap_bed_run(bed, bed->now + S(2));
  MalSpan reserved = aap_bed_span("239.255.1.4-239.255.1.7");
  aap_zone_set_excluded(node->zone, &reserved, 1, aap_bed_clock(node));
  aap_bed_run(bed, bed->now + S(30));
  cr_assert(!aap_spans_overlap(node->owned, reserved));
  cr_assert_eq(aap_bed_owned(node), 12);
  aap_bed_free(bed);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* One scope goes, the process and its counter stay. */
Test(aap_zone, aap_49_a_zone_that_goes_gives_its_numbers_back)
{
  AapBed *bed = aap_bed_new(GLOBAL, true, 7);
  bed->params.preallocate = 32;
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, SPACE, -1);
  aap_bed_own(node, "233.252.0.0-233.252.0.7", 90000);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(60));
  aap_bed_want(node, 300, 600);
  aap_bed_inject(node, "192.0.2.200", AAP_ACLM, 1, "233.252.0.0-233.252.0.7", 90000);
  cr_assert_gt(aap_sequence_running(node->sequence), 3);
  aap_zone_free(node->zone);
  node->zone = NULL;
  cr_assert_eq(aap_sequence_running(node->sequence), 0);
  aap_bed_free(bed);
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* How long a block was idle is not remembered beyond its own life. */
Test(aap_zone, aap_118_a_block_that_is_ours_again_is_not_idle_at_once)
{
  AapBed *bed = bed_of(LOCAL, false, FEW, -1);
  AapNode *node = &bed->nodes[0];
  const char *blocks[] = { "239.255.1.0-239.255.1.3", "239.255.1.4-239.255.1.7" };
  aap_bed_listened(bed);
  for (size_t i = 0; i < 2; i++)
    aap_bed_own(node, blocks[i], 90000);
  aap_bed_run(bed, bed->now + S(800));
  cr_assert_eq(node->notes[AAP_NOTE_GIVEN_BACK], 1);
  cr_assert_eq(aap_bed_owned(node), 4);
  aap_bed_own(node, blocks[0], 90000);
  aap_bed_run(bed, bed->now + S(120));
  cr_assert(aap_spans_overlap(node->owned, aap_bed_span(blocks[0])), "the other one is idle");
  aap_bed_free(bed);
}

/* ---- clocks (5.3.1) -------------------------------------------------------------------------- */

static void note_ends(MalEndpoint peer, uint64_t count, MalTime end, void *data)
{
  MalTime *ends = data;
  (void)count;
  ends[peer.address.family != MAL_FAMILY_NONE] = end;
}

/* Our own ends are in our own clock; what others said moves with it. */
Test(aap_zone, aap_39_a_step_of_our_clock_moves_the_requests_of_others_only)
{
  AapBed *bed = bed_of(GLOBAL, true, NULL, 0);
  AapNode *node = &bed->nodes[0];
  MalTime before[2], after[2];
  aap_bed_listened(bed);
  aap_bed_want(node, 3, 6000);
  aap_bed_inject_ana(node, "192.0.2.9", 0, 5, 9000);
  aap_zone_each_request(node->zone, note_ends, before);
  node->skew_s = 3600;
  aap_zone_clock_stepped(node->zone, 3600, aap_bed_clock(node));
  aap_zone_each_request(node->zone, note_ends, after);
  cr_assert_eq(after[0], before[0]);
  cr_assert_eq(after[1], before[1] + 3600);
  aap_bed_free(bed);
}

/* A host that comes up with its clock behind takes what is stored for received just now; else no
   ASA would be newer for as long as the clock is behind (3.2.10.2). */
Test(aap_zone, aap_123_136_an_asa_stored_in_the_future)
{
  AapBed *bed = bed_of(GLOBAL, true, NULL, 0);
  AapNode *node = &bed->nodes[0];
  aap_bed_inject_asa(node, "192.0.2.101", SPACE, 0, 150, 90000);
  aap_bed_run(bed, S(20));
  aap_bed_crash(bed, 0);
  node->skew_s = -100000;
  aap_bed_restart(bed, 0, true);
  MalTime expires = aap_zone_usage(node->zone, aap_bed_clock(node)).asa_expires;
  cr_assert_eq(expires, aap_bed_clock(node).wall + 150);
  aap_bed_inject_asa(node, "192.0.2.101", SPACE, 30, 190, 90000);
  cr_assert_eq(node->notes[AAP_NOTE_ASA_PROCESSED], 2);
  aap_bed_free(bed);
}

/* ---- available space ------------------------------------------------------------------------- */

/* Nothing was announced yet: entries count until their own end (3.2.1, 3.2.10.1). */
Test(aap_zone, aap_73_before_the_first_asa_others_are_defended)
{
  AapBed *bed = bed_of(GLOBAL, true, "", 0);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_inject(node, "192.0.2.8", AAP_AIU, 1, "233.252.0.7-233.252.0.7", 90000);
  aap_bed_inject(node, "192.0.2.9", AAP_ACLM, 1, "233.252.0.0-233.252.0.7", 90000);
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).defences, 1);
  aap_bed_available(bed, SPACE, 90000);
  aap_bed_available(bed, "", 0);
  aap_bed_inject(node, "192.0.2.9", AAP_ACLM, 2, "233.252.0.0-233.252.0.7", 90000);
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).defences, 1, "withdrawn");
  aap_bed_free(bed);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void count_tombstone(const AapEntry *entry, void *data)
{
  *(unsigned *)data += entry->kind == AAP_ENTRY_TOMBSTONE;
}

static char *every_second(unsigned from, unsigned n)
{
  GString *text = g_string_new(NULL);
  for (unsigned i = 0; i < n; i++) {
    unsigned at = from + 2 * i;
    g_string_append_printf(text, "%s239.255.%u.%u-239.255.%u.%u", i > 0 ? ";" : "", 16 + at / 256,
                           at % 256, 16 + at / 256, at % 256);
  }
  return g_string_free(text, FALSE);
}

Test(aap_zone, aap_169_what_was_ours_is_not_cut_without_end)
{
  AapBed *bed = bed_of(LOCAL, false, LOCAL, -1);
  AapNode *node = &bed->nodes[0];
  unsigned n = 0;
  aap_bed_listened(bed);
  aap_bed_own(node, "239.255.16.0-239.255.31.255", 90000);
  aap_bed_run(bed, bed->now + S(60));
  node->zone->now = aap_bed_clock(node);
  aap_owns_give_back(node->zone, mal_address_ipv4(0xefff1000));
  aap_bed_run(bed, bed->now + S(200));
  aap_zone_each(node->zone, aap_bed_clock(node), count_tombstone, &n);
  cr_assert_eq(n, 1);
  for (unsigned at = 1; at < 4000; at += 80) {
    g_autofree char *spans = every_second(at, 40);
    aap_bed_inject(node, "192.0.2.9", AAP_AIU, at, spans, 5000);
  }
  n = 0;
  aap_zone_each(node->zone, aap_bed_clock(node), count_tombstone, &n);
  cr_assert_leq(n, 1024, "%u", n);
  aap_bed_free(bed);
}

/* A claim of everything is answered for what is ours, though it names more than can be listed. */
Test(aap_zone, aap_74_169_a_claim_of_everything_is_answered_within_a_bound)
{
  AapBed *bed = bed_of(LOCAL, false, LOCAL, -1);
  AapNode *node = &bed->nodes[0];
  const MalEndpoint peer = { mal_address_ipv4(0xc0000263), AAP_PORT, 0 };
  const AapSent *last = NULL;
  aap_bed_listened(bed);
  aap_bed_own(node, "239.255.254.0-239.255.254.15", 90000);
  aap_bed_run(bed, bed->now + S(20));
  for (uint32_t at = 0xefff0000; at < 0xefffe000; at += 3) {
    AapExtent extent = { { mal_address_ipv4(at), mal_address_ipv4(at) }, AAP_BED_EPOCH + 90000 };
    aap_record_in_use(node->zone->record, peer, &extent, node->zone->now);
  }
  int64_t t = bed->now;
  aap_bed_inject(node, "192.0.2.9", AAP_ACLM, 1, LOCAL, 90000);
  unsigned n = aap_bed_count(bed, 0, AAP_AIU, t, &last);
  cr_assert(n > 0 && n <= 26, "%u", n);
  MalSpan tail = last->msg.ranges[last->msg.n_ranges - 1].span;
  cr_assert(mal_span_overlaps(tail, aap_bed_span("239.255.254.0-239.255.254.15")), "ours first");
  aap_bed_free(bed);
}

/* Each loss of a preallocation is a choice and a message: not more than a few at once. */
Test(aap_zone, aap_105_169_a_flood_of_claims_does_not_become_one_of_preallocations)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 7);
  bed->params.preallocate = 64;
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, LOCAL, -1);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_geq(aap_zone_usage(node->zone, aap_bed_clock(node)).pool, 64);
  int64_t t = bed->now;
  for (unsigned i = 0; i < 100; i++)
    aap_bed_inject(node, "192.0.2.9", AAP_ACLM, i, LOCAL, 90000);
  cr_assert_leq(aap_bed_count(bed, 0, AAP_AITU, t, NULL), 8);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_geq(aap_zone_usage(node->zone, aap_bed_clock(node)).pool, 64, "it comes back");
  aap_bed_free(bed);
}

/* What a single AITU leaves in the record is bounded, however the record is cut up. */
Test(aap_zone, aap_169_an_intent_for_everything)
{
  AapBed *bed = bed_of(LOCAL, false, LOCAL, -1);
  AapNode *node = &bed->nodes[0];
  const MalEndpoint peer = { mal_address_ipv4(0xc0000263), AAP_PORT, 0 };
  for (uint32_t at = 0xefff0000; at < 0xefffe000; at += 3) {
    AapExtent extent = { { mal_address_ipv4(at), mal_address_ipv4(at) }, AAP_BED_EPOCH + 90000 };
    aap_record_in_use(node->zone->record, peer, &extent, node->zone->now);
  }
  size_t before = aap_zone_usage(node->zone, aap_bed_clock(node)).entries;
  aap_bed_inject(node, "192.0.2.9", AAP_AITU, 1, LOCAL, 90000);
  cr_assert_leq(aap_zone_usage(node->zone, aap_bed_clock(node)).entries, before + 4096);
  aap_zone_check(node->zone, aap_bed_clock(node));
  aap_bed_free(bed);
}

/* Addresses that a client names while they are about to be preallocated: claimed like others. */
Test(aap_zone, aap_97_111_a_named_address_that_is_only_intended)
{
  AapBed *bed = aap_bed_new(LOCAL, false, 7);
  bed->params.preallocate = 16;
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, FEW, -1);
  aap_bed_listened(bed);
  const AapSent *last = NULL;
  aap_bed_run(bed, bed->now + S(2));
  cr_assert_gt(aap_bed_count(bed, 0, AAP_AITU, 0, &last), 0);
  MalSpan span = last->msg.ranges[0].span;
  AapNow now = aap_bed_clock(node);
  span.last = span.first;
  aap_zone_want_span(node->zone, span, now.wall + 600, now);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert(aap_spans_overlap(node->owned, span), "owned or failed follows");
  aap_zone_check(node->zone, aap_bed_clock(node));
  aap_bed_free(bed);
}

/* The scope was made smaller while we were down. */
Test(aap_zone, aap_13_a_stored_asa_of_another_scope_is_not_taken)
{
  AapBed *bed = bed_of(GLOBAL, true, NULL, 0), *other = bed_of(LOCAL, true, NULL, 0);
  const AapNode *node = &bed->nodes[0];
  aap_bed_inject_asa(&bed->nodes[0], "192.0.2.101", SPACE, 0, 150, 90000);
  cr_assert(!aap_zone_restore_asa(other->nodes[0].zone, node->asa, node->asa_length,
                                  node->asa_received, aap_bed_clock(&other->nodes[0])));
  aap_bed_free(other);
  aap_bed_free(bed);
}

/* ---- the record as a whole, and what is done with it ----------------------------------------- */

static void count_entry(const AapEntry *entry, void *data)
{
  ((unsigned *)data)[entry->kind]++;
}

Test(aap_zone, aap_54_what_the_record_holds)
{
  AapBed *bed = bed_of(GLOBAL, true, NULL, 0);
  AapNode *node = &bed->nodes[0];
  unsigned n[AAP_ENTRY_TOMBSTONE + 1] = { 0 };
  aap_bed_inject_asa(node, "192.0.2.101", SPACE, 0, 150, 90000);
  aap_bed_inject(node, "192.0.2.8", AAP_AIU, 1, "233.252.0.1-233.252.0.2", 9000);
  aap_bed_inject(node, "192.0.2.8", AAP_AITU, 2, "233.252.0.9-233.252.0.9", 9000);
  aap_bed_own(node, "233.252.0.16-233.252.0.19", 9000);
  aap_bed_inject_ana(node, "192.0.2.9", 0, 5, 9000);
  aap_bed_run(bed, S(1));
  aap_zone_each(node->zone, aap_bed_clock(node), count_entry, n);
  cr_assert(n[AAP_ENTRY_FOREIGN] == 1 && n[AAP_ENTRY_FOREIGN_PREALLOCATED] == 1);
  cr_assert_eq(n[AAP_ENTRY_OWN], 1);
  AapZoneUsage usage = aap_zone_usage(node->zone, aap_bed_clock(node));
  cr_assert(usage.available == 256 && usage.wanted == 1);
  aap_bed_free(bed);
}

Test(aap_zone, aap_85_86_what_may_be_in_conflict_is_announced_but_given_to_nobody)
{
  AapBed *bed = bed_of(LOCAL, false, FEW, -1);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_own(node, FEW, 90000);
  aap_bed_run(bed, bed->now + S(60));
  aap_bed_inject(node, "192.0.2.8", AAP_AIU, 1, "239.255.1.3-239.255.1.3", 90000);
  int64_t t = bed->now;
  cr_assert_eq((uint64_t)aap_spans_size(node->suspended), 1);
  aap_bed_run(bed, bed->now + S(40));
  cr_assert(aap_bed_owned(node) == 16 && aap_bed_count(bed, 0, AAP_AIU, t, NULL) > 0);
  aap_bed_free(bed);
}

/* More than what is asked for is allocated only as far as the configuration says. */
Test(aap_zone, aap_100_no_more_than_a_block_ahead_of_demand)
{
  for (uint32_t block = 1; block <= 8; block += 7) {
    AapBed *bed = bed_of(LOCAL, false, FEW, -1);
    AapNode *node = &bed->nodes[0];
    bed->params.block = block;
    aap_bed_listened(bed);
    aap_bed_want(node, 1, 600);
    aap_bed_run(bed, bed->now + S(20));
    cr_assert_eq(aap_bed_owned(node), block);
    aap_bed_free(bed);
  }
}

Test(aap_zone, aap_120_121_who_waits_in_a_small_scope_is_told)
{
  AapBed *bed = bed_of(LOCAL, false, FEW, -1);
  AapNode *node = &bed->nodes[0];
  aap_bed_listened(bed);
  aap_bed_inject(node, "192.0.2.8", AAP_AIU, 1, FEW, 90000);
  aap_bed_want(node, 1, 600);
  aap_bed_run(bed, bed->now + S(20));
  cr_assert(node->failed == 1 && bed->sent->len == 0);
  cr_assert_eq(node->notes[AAP_NOTE_CLAIM_FAILED], 1, "AAP-121");
  aap_bed_free(bed);
}
