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

Test(aap_asa, aap_64_without_an_asa_nothing_is_allocated)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  aap_bed_want(node, 1, 600);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert(aap_bed_owned(node) == 0 && aap_bed_count(bed, 0, AAP_ACLM, 0, NULL) == 0);
  asa(bed, LOW, 150);
  aap_bed_want(node, 1, 600);
  aap_bed_run(bed, bed->now + S(30));
  cr_assert_eq(aap_bed_owned(node), 1);
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
  aap_bed_want(&bed->nodes[0], 1, 600);
  aap_bed_run(bed, bed->now + S(300));
  cr_assert_eq(aap_bed_owned(&bed->nodes[0]), 1, "AAP-133");
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
  aap_bed_want(&bed->nodes[1], 3, 600);
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
  aap_bed_want(node, 4, 600);
  aap_bed_run(bed, t + S(15));
  node->leased = 4;
  t = bed->now;
  aap_bed_want(node, 10, 600);
  cr_assert_eq(node->failed, 1);
  aap_bed_want(node, 10, 600);
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
  aap_bed_want(node, 4, 600);
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
  aap_bed_want(node, 2, 500);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_eq(aap_bed_owned(node), 2);
  aap_bed_count(bed, 0, AAP_AIU, 0, &last);
  cr_assert_leq(last->msg.ranges[0].value, AAP_BED_EPOCH + s + 1000, "AAP-117");
  s = second(bed);
  aap_bed_inject_asa(node, PC, HIGH, s, s + 150, s + 1000);
  aap_bed_run(bed, bed->now + S(1));
  cr_assert_eq(aap_bed_owned(node), 0, "AAP-128: users are told");
  int64_t t = bed->now;
  aap_bed_run(bed, t + S(120));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, t, NULL), 0);
  aap_bed_free(bed);
}

/* ---- what can't leave ------------------------------------------------------------------------ */

/* A message that could not leave was not sent: nothing is counted, and timers go on. */
Test(aap_asa, aap_52_what_could_not_leave_was_not_sent)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  node->mute = true;
  asa(bed, LOW, 150);
  aap_bed_want(node, 200, 6000);
  aap_bed_run(bed, bed->now + S(300));
  static const AapNote notes[] = { AAP_NOTE_ASA_RESENT, AAP_NOTE_ASRP_SENT, AAP_NOTE_ANA_SENT };
  for (size_t i = 0; i < G_N_ELEMENTS(notes); i++)
    cr_assert_eq(node->notes[notes[i]], 0, "%zu", i);
  cr_assert_eq(node->failed, 0);
  node->mute = false;
  aap_bed_run(bed, bed->now + S(80));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_ASA, 0, NULL), 1);
  cr_assert_geq(aap_bed_count(bed, 0, AAP_ASRP, 0, NULL), 1);
  aap_bed_free(bed);
}

Test(aap_asa, aap_140_who_takes_no_part_reports_nothing)
{
  AapBed *bed = aap_bed_new(GLOBAL, true, 1);
  bed->params.report = false;
  AapNode *node = aap_bed_add(bed);
  aap_bed_listened(bed);
  asa(bed, LOW, 3600);
  aap_bed_inject(node, PC, AAP_ASRP, 1, LOW, 0);
  aap_bed_run(bed, bed->now + S(300));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ASRP, 0, NULL), 0);
  cr_assert_eq(node->notes[AAP_NOTE_ASRP_SUPPRESSED], 0);
  aap_bed_free(bed);
}

/* ---- ASA of little or much ------------------------------------------------------------------- */

/* Its ranges end between its expiration and the first time that it would be sent again. */
Test(aap_asa, aap_139_an_asa_whose_ranges_have_ended_is_not_sent_again)
{
  AapBed *bed = listened(1, true);
  int64_t s = second(bed);
  aap_bed_inject_asa(&bed->nodes[0], PC, LOW, s, s + 150, s + 160);
  aap_bed_run(bed, bed->now + S(400));
  cr_assert_eq(bed->nodes[0].notes[AAP_NOTE_ASA_EXPIRED], 1);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ASA, 0, NULL), 0);
  aap_bed_free(bed);
}

/* A-35, V17: no addresses any more; and nothing to report of. */
Test(aap_asa, aap_30_130_146_an_asa_without_ranges)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  asa(bed, LOW, 150);
  aap_bed_run(bed, bed->now + S(1));
  asa(bed, "", 3600);
  cr_assert_eq(available(node), 0);
  cr_assert_eq(node->notes[AAP_NOTE_ASA_PROCESSED], 2);
  cr_assert_eq(node->notes[AAP_NOTE_ASA_INVALIDATES], 1);
  int64_t t = bed->now;
  aap_bed_run(bed, t + S(120));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ASRP, t, NULL), 0);
  aap_bed_free(bed);
}

static char *singles(unsigned n)
{
  GString *text = g_string_new(NULL);
  for (unsigned i = 0; i < n; i++)
    g_string_append_printf(text, "%s233.252.%u.%u", i > 0 ? ";" : "", i / 128, i % 128 * 2);
  return g_string_free(text, FALSE);
}

/* accepted, but no report has room for it; A-37: reports are never left out, and one request
   at least is said. */
Test(aap_asa, aap_143_144_145_reports_of_many_ranges)
{
  static const struct {
    unsigned ranges;
    size_t reports, requests;
  } cases[] = { { 40, 40, 0 }, { 41, 41, 1 }, { 255, 255, 1 }, { 256, 0, 0 } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = listened(1, true);
    AapNode *node = &bed->nodes[0];
    const AapSent *last = NULL;
    g_autofree char *spans = singles(cases[i].ranges);
    asa(bed, spans, 3600);
    for (uint32_t k = 0; k < 3 && cases[i].requests > 0; k++)
      aap_bed_inject_ana(node, "192.0.2.9", k, 1000, 90000 + k);
    aap_bed_run(bed, bed->now + S(45));
    cr_assert_eq(aap_bed_count(bed, 0, AAP_ASRP, 0, &last) > 0, cases[i].reports > 0, "%zu", i);
    cr_assert_eq(last ? last->msg.n_ranges : 0, cases[i].reports, "%zu", i);
    cr_assert_eq(last ? last->msg.n_requests : 0, cases[i].requests, "%zu", i);
    if (cases[i].requests > 0)
      cr_assert_eq(last->msg.requests[0].count, 3000, "combined");
    aap_bed_free(bed);
  }
}

/* ---- what was stored, and our clock ---------------------------------------------------------- */

Test(aap_asa, aap_51_what_is_stored_as_an_asa_is_not_trusted)
{
  static const struct {
    const char *name;
    AapMessage msg;
    size_t cut;
    bool large;
  } cases[] = {
    { "cut off", { .type = AAP_ASA, .family = MAL_IPV4, .expiration_time = 9 }, 1, true },
    { "something else", { .type = AAP_ANA, .family = MAL_IPV4 }, 0, true },
    { "the other family", { .type = AAP_ASA, .family = MAL_IPV6, .expiration_time = 9 }, 0, true },
    { "a small scope", { .type = AAP_ASA, .family = MAL_IPV4, .expiration_time = 9 }, 0, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = aap_bed_new(GLOBAL, cases[i].large, 1);
    const AapNode *node = aap_bed_add(bed);
    AapRequest request = { 1, 9 };
    AapMessage msg = cases[i].msg;
    uint8_t octets[64];
    msg.requests = &request;
    msg.n_requests = msg.type == AAP_ANA;
    size_t length = aap_encode(&msg, octets, sizeof octets, NULL);
    cr_assert_gt(length, 0, "%s", cases[i].name);
    cr_assert_not(aap_zone_restore_asa(node->zone, octets, length - cases[i].cut, AAP_BED_EPOCH,
                                       aap_bed_clock(node)),
                  "%s", cases[i].name);
    aap_bed_free(bed);
  }
}

/* a step moves the cached ASA with it; its copy is no newer afterwards. */
Test(aap_asa, aap_125_a_step_of_our_clock_moves_the_cached_asa)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  int64_t s = second(bed);
  aap_zone_clock_stepped(node->zone, 5, aap_bed_clock(node)); /* there is none yet */
  aap_bed_inject_asa(node, PC, LOW, s, s + 150, s + DAY);
  MalTime before = aap_zone_usage(node->zone, aap_bed_clock(node)).asa_expires;
  node->skew_s = 3600;
  aap_zone_clock_stepped(node->zone, 3600, aap_bed_clock(node));
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).asa_expires, before + 3600);
  aap_bed_inject_asa(node, PC, LOW ";" HIGH, s, s + 150, s + DAY);
  cr_assert_eq(node->notes[AAP_NOTE_ASA_PROCESSED], 1, "not later");
  aap_bed_inject_asa(node, PC, LOW ";" HIGH, s, s + 152, s + DAY);
  cr_assert_eq(node->notes[AAP_NOTE_ASA_PROCESSED], 2, "two seconds later");
  cr_assert_eq(node->notes[AAP_NOTE_ASA_INVALIDATES], 0, "its ranges moved, too");
  aap_bed_free(bed);
}

/* ---- ANA ------------------------------------------------------------------------------------- */

static uint64_t wanted(const AapNode *node)
{
  return aap_zone_usage(node->zone, aap_bed_clock(node)).wanted;
}

Test(aap_asa, aap_11_37_ana_and_asrp_that_count_for_nothing)
{
  AapBed *bed = listened(1, false);
  AapNode *node = &bed->nodes[0];
  aap_bed_inject_ana(node, PC, 1, 5, DAY);
  aap_bed_inject(node, PC, AAP_ASRP, 2, "239.255.1.0-239.255.1.255", 5);
  cr_assert(wanted(node) == 0 && node->notes[AAP_NOTE_WRONG_SCOPE_KIND] == 2);
  aap_bed_free(bed);
  bed = listened(1, true);
  node = &bed->nodes[0];
  aap_bed_inject_ana(node, PC, 1, 5, second(bed));
  cr_assert_eq(wanted(node), 0, "A-53: ended");
  aap_bed_inject_ana(node, PC, 1, 5, second(bed) + 1);
  cr_assert_eq(wanted(node), 1);
  aap_bed_free(bed);
}

/* What somebody lacks much later is another demand; within the tolerance it is the same. */
Test(aap_asa, aap_119_122_which_demand_is_the_same)
{
  static const struct {
    int64_t tolerance, later;
    unsigned requests;
  } cases[] = { { 10, 660, 1 }, { 10, 661, 2 }, { 700, 690, 1 }, { 700, 701, 2 } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = listened(1, true);
    AapNode *node = &bed->nodes[0];
    bed->params.end_tolerance_s = cases[i].tolerance;
    aap_bed_want(node, 5, 600);
    aap_bed_want(node, 5, 600 + cases[i].later);
    cr_assert_eq(wanted(node), cases[i].requests, "%zu", i);
    aap_bed_free(bed);
  }
}

Test(aap_asa, aap_119_more_than_the_field_holds)
{
  AapBed *bed = listened(1, true);
  const AapSent *last = NULL;
  aap_bed_want(&bed->nodes[0], UINT64_C(1) << 33, 600);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ANA, 0, &last), 1);
  cr_assert_eq(last->msg.requests[0].count, UINT32_MAX);
  aap_bed_free(bed);
}

/* All that was available has ended: nobody reports, so that who still waits says it again. */
Test(aap_asa, aap_119_it_is_said_again_where_nothing_is_available)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  int64_t s = second(bed);
  aap_bed_inject_asa(node, PC, LOW, s, s + 150, s + 20);
  aap_bed_run(bed, bed->now + S(25));
  aap_bed_want(node, 5, 6000);
  aap_bed_run(bed, bed->now + S(45));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ANA, 0, NULL), 4);
  aap_bed_want(node, 5, 6000);
  aap_bed_run(bed, bed->now + S(45));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ANA, 0, NULL), 8);
  cr_assert_eq(wanted(node), 1, "it is one demand");
  aap_bed_free(bed);
}

/* A number is its sender's: another's request with ours doesn't keep ours alive. */
Test(aap_asa, aap_49_122_the_same_number_of_another)
{
  AapBed *bed = listened(1, true);
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  aap_bed_inject_ana(node, PC, 0, 7, second(bed) + 5000);
  aap_bed_want(node, 5, 600);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_ANA, 0, &last), 1);
  cr_assert_eq(last->msg.rseq, 0);
  aap_bed_run(bed, bed->now + S(700));
  cr_assert_eq(aap_sequence_running(node->sequence), 0);
  cr_assert_eq(wanted(node), 1, "theirs");
  aap_bed_free(bed);
}
