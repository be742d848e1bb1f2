/* The Allocation Defense timer (draft-ietf-malloc-aap-04 3.2.2). */
#include "plugins/aap/aap-zone-private.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define LARGE AAP_BED_SPACE
#define DAY 86400
#define B_ "192.0.2.200" /* who claims */
#define C_ "192.0.2.201" /* who holds */
#define D_ "192.0.2.202" /* who defends, too */

static AapBed *bed_of(uint64_t seed, const char *own, const char *foreign)
{
  AapBed *bed = aap_bed_of_owners(seed, 1);
  if (own != NULL)
    aap_bed_own(&bed->nodes[0], own, 7200);
  if (foreign != NULL)
    aap_bed_inject(&bed->nodes[0], C_, AAP_AIU, 1, foreign, 5400);
  aap_bed_run(bed, S(400));
  return bed;
}

/* When since SINCE, in tenths of a second, AIUs left with the number of the first that left then or
   later; of the periodic ones NOT is the number. The caller frees. */
static char *times_of(const AapBed *bed, int64_t since, int64_t not )
{
  GString *out = g_string_new(NULL);
  int64_t rseq = -1;
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->at < since || sent->msg.type != AAP_AIU || sent->msg.rseq == not )
      continue;
    rseq = rseq < 0 ? sent->msg.rseq : rseq;
    cr_assert_eq(sent->msg.rseq, rseq, "one request");
    g_string_append_printf(out, "%s%d", out->len > 0 ? " " : "",
                           (int)((sent->at - since + AAP_US / 20) / (AAP_US / 10)));
  }
  return g_string_free(out, FALSE);
}

static size_t running(const AapBed *bed)
{
  return aap_defences_count(bed->nodes[0].zone->defences);
}

Test(aap_defence, own_addresses_at_once_B6_AAP_73_74_77_78)
{
  static const AapType types[] = { AAP_ACLM, AAP_AITU };
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", NULL);
    int64_t since = bed->now;
    aap_bed_inject(&bed->nodes[0], B_, types[i], 27, "233.252.0.16-233.252.0.19", 7200);
    cr_assert_eq(running(bed), 1);
    aap_bed_run(bed, since + S(300));
    g_autofree char *times = times_of(bed, since, 0);
    cr_assert_str_eq(times, "0 10 30 70 150 310", "%s", times);
    cr_assert_eq(running(bed), 0);
    cr_assert_eq(bed->nodes[0].notes[AAP_NOTE_DEFENDED], 6);
    aap_bed_free(bed);
  }
}

Test(aap_defence, foreign_ones_after_a_while_B4_AAP_75_82)
{
  bool early = false, late = false;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    AapBed *bed = bed_of(seed, NULL, "233.252.0.19");
    int64_t since = bed->now;
    aap_bed_inject(&bed->nodes[0], B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
    aap_bed_run(bed, since + S(2) - 1);
    cr_assert_eq(bed->sent->len, 0);
    aap_bed_run(bed, since + S(8));
    cr_assert_geq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
    const AapSent *first = &g_array_index(bed->sent, AapSent, 0);
    cr_assert_eq(first->msg.n_ranges, 1, "V16: the intersection");
    cr_assert_eq(first->msg.ranges[0].span.first.value, 0xe9fc0013);
    cr_assert_eq(first->msg.ranges[0].span.last.value, 0xe9fc0013);
    cr_assert_eq(first->msg.ranges[0].value, 962415000, "the recorded end");
    early = early || first->at < since + S(4);
    late = late || first->at > since + S(6);
    /* t, 3t, 7t, 15t while the interval is at most 30 s */
    int64_t t = first->at - since, expected = 0;
    for (int64_t v = t; v <= S(30); v *= 2)
      expected++;
    aap_bed_run(bed, since + S(200));
    cr_assert_eq(bed->sent->len, expected, "AAP-78");
    cr_assert_eq(running(bed), 0);
    aap_bed_free(bed);
  }
  cr_assert(early && late, "drawn at random");
}

Test(aap_defence, another_set_of_the_same_request_cancels_B5_AAP_80)
{
  AapBed *bed = bed_of(1, NULL, "233.252.0.19");
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 1);
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.18;233.252.0.40", 7200);
  cr_assert_eq(running(bed), 0);
  aap_bed_run(bed, bed->now + S(100));
  cr_assert_eq(bed->sent->len, 0);
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.19-233.252.0.20", 7200);
  cr_assert_eq(running(bed), 1, "checked afresh");
  aap_bed_free(bed);
}

typedef struct {
  const char *name, *peer, *spans;
  AapType type;
  uint32_t rseq;
  int64_t end_s;
  size_t defences; /* then */
  bool restarted;
} After;

static const After afters[] = {
  { "AAP-81: the same set", B_, "233.252.0.16-233.252.0.19", AAP_ACLM, 27, 7200, 1, false },
  { "the same set with other ends", B_, "233.252.0.16-233.252.0.19", AAP_ACLM, 27, 9000, 1, false },
  { "the same set, in pieces", B_, "233.252.0.18-233.252.0.19;233.252.0.16-233.252.0.17", AAP_ACLM,
    27, 7200, 1, false },
  { "the set withdrawn", B_, "233.252.0.16-233.252.0.19", AAP_AITU, 27, 10, 0, false },
  { "another request", B_, "233.252.0.16-233.252.0.19", AAP_ACLM, 28, 7200, 2, false },
  { "another claimant", D_, "233.252.0.16-233.252.0.19", AAP_ACLM, 27, 7200, 2, false },
  { "AAP-83: who holds it", C_, "233.252.0.16-233.252.0.19", AAP_ACLM, 27, 7200, 2, false },
  { "AAP-79: a third one defends", D_, "233.252.0.19", AAP_AIU, 3, 5400, 1, true },
  { "something else is in use", D_, "233.252.0.18", AAP_AIU, 3, 5400, 1, false },
  { "the claimant has it after all", B_, "233.252.0.19", AAP_AIU, 3, 7200, 0, false },
  { "it is over", D_, "233.252.0.19", AAP_AIU, 3, 10, 0, false },
};

Test(aap_defence, what_comes_after_AAP_79_80_81_83)
{
  for (size_t i = 0; i < G_N_ELEMENTS(afters); i++) {
    const After *row = &afters[i];
    AapBed *bed = bed_of(1, NULL, "233.252.0.19");
    AapNode *node = &bed->nodes[0];
    aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
    int64_t before = aap_defences_due(node->zone->defences), t = before - bed->now;
    aap_bed_run(bed, bed->now + S(1));
    aap_bed_inject(node, row->peer, row->type, row->rseq, row->spans, row->end_s);
    cr_assert_eq(running(bed), row->defences, "%s: %zu", row->name, running(bed));
    if (row->defences == 1)
      cr_assert_eq(aap_defences_due(node->zone->defences),
                   row->restarted ? bed->now + 2 * t : before, "%s", row->name);
    aap_bed_free(bed);
  }
}

Test(aap_defence, others_who_defend_end_it_AAP_79)
{
  AapBed *bed = bed_of(1, NULL, "233.252.0.19");
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  for (unsigned i = 0; i < 4; i++)
    aap_bed_inject(node, D_, AAP_AIU, i, "233.252.0.19", 5400);
  cr_assert_eq(running(bed), 0, "2 to 8 s doubled four times is more than 30 s");
  aap_bed_free(bed);
}

Test(aap_defence, own_ones_are_defended_against_who_takes_them)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.17", "233.252.0.19");
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_count(bed, 0, AAP_AIU, bed->now, &last);
  cr_assert_not_null(last, "mixed: at once");
  cr_assert_eq(last->msg.n_ranges, 2);
  cr_assert_eq(last->msg.ranges[0].value, AAP_BED_EPOCH + 7200);
  cr_assert_eq(last->msg.ranges[1].value, AAP_BED_EPOCH + 5400);
  aap_bed_inject(node, B_, AAP_AIU, 28, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 1);
  int64_t since = bed->now;
  aap_bed_run(bed, since + S(1));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since + 1, &last), 1);
  cr_assert_eq(last->msg.n_ranges, 1, "what it took of others is its own matter");
  cr_assert_eq(last->msg.ranges[0].span.last.value, 0xe9fc0011);
  aap_bed_free(bed);
}

Test(aap_defence, what_is_only_preallocated_is_not_AAP_76)
{
  AapBed *bed = bed_of(1, NULL, NULL);
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, C_, AAP_AITU, 1, "233.252.0.19", 5400);
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 0);
  aap_bed_free(bed);
}

Test(aap_defence, none_while_it_listens)
{
  AapBed *bed = aap_bed_new(LARGE, true, 1);
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, LARGE, 30 * DAY);
  aap_bed_inject(node, C_, AAP_AIU, 1, "233.252.0.19", 5400);
  aap_bed_inject(node, B_, AAP_AITU, 27, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_listened(bed);
  cr_assert_eq(running(bed), 0);
  aap_bed_run(bed, bed->now + S(20));
  cr_assert_eq(bed->sent->len, 0, "none is made up for");
  aap_bed_inject(node, B_, AAP_AITU, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 1, "the next one starts it");
  aap_bed_free(bed);
}

Test(aap_defence, what_ended_leaves_the_question)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.17", NULL);
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 1);
  aap_bed_inject(node, D_, AAP_AIU, 1, "233.252.0.16-233.252.0.17", 10);
  cr_assert_eq(running(bed), 1, "nobody ends what is ours");
  aap_bed_available(bed, "233.252.0.128-233.252.0.255", 30 * DAY);
  int64_t since = bed->now + 1;
  aap_bed_run(bed, since + S(40));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0, "AAP-128");
  cr_assert_eq(running(bed), 0);
  aap_bed_free(bed);
}

/* The first interval of an own address is 0, even where its answer has to wait a while. */
Test(aap_defence, nothing_doubles_an_interval_of_0_AAP_79)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", NULL);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_inject(node, B_, AAP_ACLM, 28, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_run(bed, since + S(1) / 2);
  aap_bed_inject(node, D_, AAP_AIU, 1, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 2);
  cr_assert_eq(aap_defences_due(node->zone->defences), since + S(1));
  aap_bed_free(bed);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

Test(aap_defence, one_immediate_answer_a_second_for_one_set_AAP_169)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", NULL);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  for (uint32_t i = 0; i < 1000; i++) {
    aap_bed_inject(node, B_, AAP_ACLM, 100 + i, "233.252.0.16-233.252.0.19", 7200);
    aap_bed_run(bed, bed->now + S(1) / 100);
  }
  unsigned n = aap_bed_count(bed, 0, AAP_AIU, since, NULL);
  cr_assert_leq(n, 12, "%u", n);
  cr_assert_geq(n, 10);
  aap_bed_free(bed);
}

Test(aap_defence, defences_are_bounded_and_own_ones_come_first_AAP_169)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", "233.252.0.40");
  AapNode *node = &bed->nodes[0];
  for (uint32_t i = 0; i < 5000; i++)
    aap_bed_inject(node, B_, AAP_ACLM, i, "233.252.0.40", 7200);
  cr_assert_eq(running(bed), 1024);
  int64_t since = bed->now;
  aap_bed_inject(node, D_, AAP_ACLM, 1, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(running(bed), 1024);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  aap_bed_run(bed, bed->now + S(100));
  cr_assert_eq(running(bed), 0);
  aap_bed_free(bed);
}

/* 60 ranges in question: two messages of one answer. */
Test(aap_defence, a_long_answer_takes_several_messages_AAP_82)
{
  g_autoptr(GString) own = g_string_new(NULL);
  for (unsigned i = 0; i < 60; i++)
    g_string_append_printf(own, "%s233.252.0.%u", i ? ";" : "", 2 * i);
  AapBed *bed = bed_of(1, NULL, own->str);
  AapNode *node = &bed->nodes[0];
  size_t ranges = 0;
  aap_bed_inject(node, B_, AAP_AITU, 1, "233.252.0.0-233.252.0.200", 7200);
  aap_bed_run(bed, aap_defences_due(node->zone->defences));
  cr_assert_eq(bed->sent->len, 2);
  for (guint i = 0; i < 2; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    cr_assert_leq(sent->length, 500);
    cr_assert_eq(sent->msg.mseq, 0);
    ranges += sent->msg.n_ranges;
  }
  cr_assert_eq(ranges, 60);
  aap_bed_free(bed);
}

/* The other clocks of the zone are left alone. */
Test(aap_defence, a_defence_does_not_touch_the_periodic_messages)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", NULL);
  AapNode *node = &bed->nodes[0];
  int64_t before = aap_owns_due(node->zone->owns);
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_leq(aap_owns_due(node->zone->owns), before);
  aap_bed_run(bed, before);
  const AapSent *last = NULL;
  aap_bed_count(bed, 0, AAP_AIU, before, &last);
  cr_assert_not_null(last);
  cr_assert_eq(last->msg.rseq, 0, "at its time");
  aap_bed_free(bed);
}

/* ---- what can't leave, and what is too much -------------------------------------------------- */

/* An answer that could not leave is not remembered as one; the next is the first of its number. */
Test(aap_defence, an_answer_that_could_not_leave_AAP_77)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", NULL);
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  int64_t since = bed->now;
  node->mute = true;
  aap_bed_inject(node, B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(node->notes[AAP_NOTE_DEFENDED], 0);
  node->mute = false;
  aap_bed_run(bed, since + S(1));
  cr_assert_eq(node->notes[AAP_NOTE_DEFENDED], 1);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, &last), 1);
  cr_assert_eq(last->msg.mseq, 0);
  aap_bed_free(bed);
}

/* An interval that is too long from the start: one answer. */
Test(aap_defence, one_answer_where_the_interval_exceeds_the_limit_AAP_78)
{
  AapBed *bed = bed_of(1, "233.252.0.16-233.252.0.19", NULL);
  bed->params.resend_wait = S(40);
  int64_t since = bed->now;
  aap_bed_inject(&bed->nodes[0], B_, AAP_ACLM, 27, "233.252.0.16-233.252.0.19", 7200);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  cr_assert_eq(running(bed), 0);
  aap_bed_free(bed);
}

/* Both were listed within the last second: the next answer waits for the older of them. */
Test(aap_defence, answered_in_two_messages_AAP_169)
{
  AapBed *bed = bed_of(1, "233.252.0.16;233.252.0.18", NULL);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  aap_bed_inject(node, B_, AAP_ACLM, 1, "233.252.0.16", 7200);
  aap_bed_run(bed, since + S(1) / 2);
  aap_bed_inject(node, B_, AAP_ACLM, 2, "233.252.0.18", 7200);
  aap_bed_run(bed, since + S(1) * 3 / 4);
  unsigned before = aap_bed_count(bed, 0, AAP_AIU, since, NULL);
  aap_bed_inject(node, D_, AAP_ACLM, 1, "233.252.0.16;233.252.0.18", 7200);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), before);
  cr_assert_eq(aap_defences_due(node->zone->defences), since + S(1));
  aap_bed_free(bed);
}

static AapBed *holder_of_many(unsigned n)
{
  AapBed *bed = aap_bed_new("239.255.0.0-239.255.255.255", false, 1);
  AapNode *node = aap_bed_add(bed);
  node->leased = 1;
  aap_bed_available(bed, "239.255.0.0-239.255.255.255", -1);
  aap_bed_listened(bed);
  for (unsigned i = 0; i < n; i++) {
    MalAddress at = mal_address_ipv4(0xefff1000 + 2 * i);
    aap_owns_add(node->zone, (MalSpan){ at, at }, AAP_BED_EPOCH + 90000);
  }
  aap_bed_run(bed, bed->now + S(100));
  return bed;
}

/* 1,100 own addresses in one claim, and that of many: what is listed, remembered and defended is
   bounded, and the newest is defended. */
Test(aap_defence, a_claim_of_all_that_is_ours_AAP_169)
{
  AapBed *bed = holder_of_many(1100);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  aap_bed_inject(node, B_, AAP_ACLM, 1, "239.255.16.0-239.255.31.255", 90000);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 26, "1,024 of them");
  for (uint32_t i = 0; i < 20; i++)
    aap_bed_inject(node, D_, AAP_ACLM, i, "239.255.16.0-239.255.31.255", 90000 + i);
  cr_assert_eq(running(bed), 16);
  for (unsigned i = 0; i < 3; i++) {
    g_autofree char *one = g_strdup_printf("239.255.24.%u", 2 * i); /* not listed before */
    unsigned before = aap_bed_count(bed, 0, AAP_AIU, since, NULL);
    aap_bed_inject(node, B_, AAP_ACLM, 2 + i, one, 90000);
    cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), before + 1);
  }
  aap_bed_run(bed, bed->now + S(100));
  cr_assert_eq(running(bed), 0);
  aap_bed_free(bed);
}
