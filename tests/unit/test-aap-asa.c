/* Large scopes as a MAAS sees them: ASA, ASRP, ANA (draft-ietf-malloc-aap-04 3.2.9, 3.2.10). */
#include "plugins/aap/aap-intervals.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define GLOBAL "224.0.1.0-238.255.255.255"
#define PC "192.0.2.100"
#define LOW "233.252.0.0-233.252.0.127"
#define HIGH "233.252.0.128-233.252.0.255"
#define DAY 86400

static AapBed *listened(unsigned nodes, bool large)
{
  AapBed *bed = aap_bed_new(large ? GLOBAL : "239.255.0.0-239.255.255.255", large, 1);
  for (unsigned i = 0; i < nodes; i++)
    aap_bed_add(bed);
  aap_bed_listened(bed);
  return bed;
}

static int64_t second(const AapBed *bed)
{
  return bed->now / AAP_US;
}

static void asa(AapBed *bed, const char *spans, int64_t ahead)
{
  int64_t s = second(bed);
  for (unsigned i = 0; i < bed->n; i++)
    aap_bed_inject_asa(&bed->nodes[i], PC, spans, s, s + ahead, s + DAY);
}

static uint64_t available(const AapNode *node)
{
  return aap_zone_usage(node->zone, aap_bed_clock(node)).available;
}

static uint64_t owned(const AapNode *node)
{
  return (uint64_t)aap_spans_size(node->owned);
}

static void want(AapNode *node, uint64_t count, int64_t seconds)
{
  aap_zone_want(node->zone, count, aap_bed_clock(node).wall + seconds, aap_bed_clock(node));
}

Test(aap_asa, aap_64_without_an_asa_nothing_is_allocated)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  want(node, 1, 600);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert(owned(node) == 0 && aap_bed_count(bed, 0, AAP_ACLM, 0, NULL) == 0);
  asa(bed, LOW, 150);
  want(node, 1, 600);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert_eq(owned(node), 1);
  aap_bed_free(bed);
}

Test(aap_asa, aap_123_to_127_which_asa_counts)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  int64_t s = second(bed);
  aap_bed_inject_asa(node, PC, LOW, s, s + 150, s + DAY);
  cr_assert_eq(available(node), 128);
  static const struct {
    const char *name, *from, *spans;
    int64_t clock, expires;
    uint64_t available;
  } steps[] = {
    { "AAP-124: earlier", PC, LOW ";" HIGH, 0, 149, 128 },
    { "AAP-124: equal", PC, LOW ";" HIGH, 0, 150, 128 },
    { "AAP-125: a copy that seems later", PC, LOW, -1, 150, 128 },
    { "AAP-123: later", PC, LOW ";" HIGH, 0, 151, 256 },
    { "AAP-126: another sender", "192.0.2.101", LOW ";" HIGH, 0, 160, 256 },
    { "AAP-42: absurd", PC, LOW, 0, 90000, 256 },
    { "a fast clock", PC, LOW, 3600, 3761, 128 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    int64_t end = i == 2 ? s + DAY : s + steps[i].clock + DAY;
    aap_bed_inject_asa(node, steps[i].from, steps[i].spans, s + steps[i].clock,
                       i == 2 ? s + 150 : s + steps[i].expires, end);
    cr_assert_eq(available(node), steps[i].available, "%s: %u", steps[i].name,
                 (unsigned)available(node));
  }
  cr_assert_eq(node->notes[AAP_NOTE_ASA_ABSURD], 1);
  cr_assert_eq(node->notes[AAP_NOTE_ASA_INVALIDATES], 1, "the last one took HIGH away");
  aap_bed_free(bed);
}

Test(aap_asa, aap_127_129_130_what_invalidates)
{
  static const struct {
    const char *name, *spans;
    int64_t shift;
    bool invalidates;
  } cases[] = {
    { "the same, longer", LOW, 100, false },
    { "more", LOW ";" HIGH, 0, false },
    { "AAP-129: a little shorter", LOW, -10, false },
    { "shorter", LOW, -11, true },
    { "gone", HIGH, 0, true },
    { "a hole", "233.252.0.0-233.252.0.63;233.252.0.65-233.252.0.127", 0, true },
    { "cut otherwise", "233.252.0.0-233.252.0.63;233.252.0.64-233.252.0.127", 0, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = listened(1, true);
    AapNode *node = &bed->nodes[0];
    int64_t s = second(bed);
    aap_bed_inject_asa(node, PC, LOW, s, s + 150, s + DAY);
    aap_bed_inject_asa(node, PC, cases[i].spans, s, s + 160, s + DAY + cases[i].shift);
    cr_assert_eq(node->notes[AAP_NOTE_ASA_INVALIDATES], cases[i].invalidates, "%s", cases[i].name);
    aap_bed_free(bed);
  }
}

Test(aap_asa, aap_133_to_139_an_asa_without_successor_is_sent_again)
{
  AapBed *bed = listened(2, true);
  const AapSent *last = NULL;
  int64_t t = bed->now, s = second(bed);
  asa(bed, LOW ";" HIGH, 150);
  aap_bed_run(bed, t + S(149));
  cr_assert_eq(aap_bed_count(bed, -1, AAP_ASA, t, NULL), 0);
  aap_bed_run(bed, t + S(152) + S(39));
  cr_assert_geq(bed->nodes[0].notes[AAP_NOTE_ASA_EXPIRED], 1, "AAP-134");
  cr_assert_eq(aap_bed_count(bed, -1, AAP_ASA, t, &last), 1, "AAP-138: one is enough");
  cr_assert_geq(last->at, t + S(150) + S(21));
  /* AAP-136: the body as it was, in its coordinator's time. */
  cr_assert_eq(last->msg.expiration_time, AAP_BED_EPOCH + s + 150);
  cr_assert_eq(last->msg.current_time, AAP_BED_EPOCH + s + (last->at / AAP_US - s));
  cr_assert_eq(last->msg.n_ranges, 2);
  want(&bed->nodes[0], 1, 600);
  aap_bed_run(bed, bed->now + S(300));
  cr_assert_eq(owned(&bed->nodes[0]), 1, "AAP-133");
  unsigned n = aap_bed_count(bed, -1, AAP_ASA, t, NULL);
  cr_assert(n >= 6 && n <= 24, "AAP-139: about one in thirty seconds: %u", n);
  asa(bed, LOW ";" HIGH, 150);
  t = bed->now;
  aap_bed_run(bed, t + S(149));
  cr_assert_eq(aap_bed_count(bed, -1, AAP_ASA, t, NULL), 0, "AAP-137");
  aap_bed_free(bed);
}

Test(aap_asa, aap_51_56_the_asa_survives_a_restart_and_a_mended_network_learns_it)
{
  AapBed *bed = listened(1, true);
  AapNode *late;
  asa(bed, LOW, 150);
  aap_bed_run(bed, bed->now + S(10));
  aap_bed_crash(bed, 0);
  aap_bed_run(bed, bed->now + S(400));
  aap_bed_restart(bed, 0, true);
  late = aap_bed_add(bed);
  aap_bed_run(bed, bed->now + S(195 + 40));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_ASA, 0, NULL), 1, "AAP-135: after startup");
  cr_assert_eq(available(late), 128, "a new server learns it");
  aap_bed_free(bed);
}

Test(aap_asa, aap_140_to_143_146_reports_are_few_and_complete)
{
  AapBed *bed = listened(3, true);
  const AapSent *last = NULL;
  int64_t t = bed->now;
  aap_bed_run(bed, t + S(120));
  cr_assert_eq(aap_bed_count(bed, -1, AAP_ASRP, 0, NULL), 0, "AAP-146");
  asa(bed, LOW ";" HIGH, 3600);
  want(&bed->nodes[1], 3, 600);
  aap_bed_run(bed, bed->now + S(15));
  t = bed->now;
  aap_bed_run(bed, t + S(300));
  unsigned n = aap_bed_count(bed, -1, AAP_ASRP, t, &last);
  cr_assert(n >= 6 && n <= 16, "AAP-141: one a period for all: %u", n);
  cr_assert_eq(last->msg.n_ranges, 2, "AAP-143");
  cr_assert_eq(last->msg.ranges[0].value + last->msg.ranges[1].value, 3);
  aap_bed_free(bed);
}

Test(aap_asa, aap_119_122_131_what_is_missing_is_said_and_forgotten_when_it_comes)
{
  AapBed *bed = listened(2, true);
  AapNode *node = &bed->nodes[0], *other = &bed->nodes[1];
  asa(bed, "233.252.0.0-233.252.0.3", 150);
  int64_t t = bed->now;
  want(node, 4, 600);
  aap_bed_run(bed, t + S(15));
  node->leased = 4;
  t = bed->now;
  want(node, 10, 600);
  cr_assert_eq(node->failed, 1);
  want(node, 10, 600);
  aap_bed_run(bed, t + S(60));
  g_autofree char *times = aap_bed_times(bed, 0, AAP_ANA, t);
  cr_assert_str_eq(times, "0 10 30 70", "%s", times);
  cr_assert_eq(aap_zone_usage(other->zone, aap_bed_clock(other)).wanted, 1, "AAP-122");
  asa(bed, "233.252.0.0-233.252.0.31", 300);
  cr_assert_eq(aap_zone_usage(other->zone, aap_bed_clock(other)).wanted, 0, "AAP-131");
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).wanted, 0);
  aap_bed_free(bed);
}

Test(aap_asa, aap_9_11_120_none_of_it_in_a_small_scope)
{
  AapBed *bed = listened(1, false);
  AapNode *node = &bed->nodes[0];
  want(node, 4, 600);
  aap_bed_run(bed, bed->now + S(200));
  cr_assert(node->failed >= 1 && bed->sent->len == 0, "AAP-120");
  int64_t s = second(bed);
  aap_bed_inject_asa(node, PC, "239.255.1.0-239.255.1.255", s, s + 150, s + DAY);
  aap_bed_run(bed, bed->now + S(200));
  cr_assert(available(node) == 0 && bed->sent->len == 0, "AAP-11, AAP-9");
  cr_assert_eq(node->notes[AAP_NOTE_WRONG_SCOPE_KIND], 1);
  aap_bed_free(bed);
}

Test(aap_asa, aap_117_128_own_allocations_follow_the_space)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  int64_t s = second(bed);
  aap_bed_inject_asa(node, PC, LOW, s, s + 150, s + 1000);
  want(node, 2, 500);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_eq(owned(node), 2);
  aap_bed_count(bed, 0, AAP_AIU, 0, &last);
  cr_assert_leq(last->msg.ranges[0].value, AAP_BED_EPOCH + s + 1000, "AAP-117");
  s = second(bed);
  aap_bed_inject_asa(node, PC, HIGH, s, s + 150, s + 1000);
  aap_bed_run(bed, bed->now + S(1));
  cr_assert_eq(owned(node), 0, "AAP-128: users are told");
  int64_t t = bed->now;
  aap_bed_run(bed, t + S(120));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, t, NULL), 0);
  aap_bed_free(bed);
}
