/* Own allocations and their announcing (draft-ietf-malloc-aap-04 3.1, 3.2.2, 3.2.4, 3.2.8). */
#include "plugins/aap/aap-own-private.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define LARGE AAP_BED_SPACE
#define DAY 86400

static const AapSent *last_of(const AapBed *bed, int64_t since)
{
  const AapSent *last = NULL;
  cr_assert_gt(aap_bed_count(bed, 0, AAP_AIU, since, &last), 0);
  return last;
}

static unsigned own_count(const AapNode *node)
{
  return (unsigned)aap_spans_size(node->owned);
}

/* SPANS as single addresses with a gap between: COUNT ranges that don't merge. */
static void own_apart(AapNode *node, unsigned from, unsigned count, int64_t end_s)
{
  for (unsigned i = 0; i < count; i++) {
    g_autofree char *text = g_strdup_printf("233.252.0.%u", from + 2 * i);
    aap_bed_own(node, text, end_s);
  }
}

Test(aap_own, new_allocation_backs_off_AAP_43_48_69)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  int64_t since = bed->now + 1000;
  aap_bed_own(&bed->nodes[0], "233.252.0.16-233.252.0.19", 7200);
  aap_bed_run(bed, since + S(32));
  g_autofree char *times = aap_bed_times(bed, 0, AAP_AIU, since);
  cr_assert_str_eq(times, "0 10 30 70 150 310");
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapMessage *msg = &g_array_index(bed->sent, AapSent, i).msg;
    cr_assert_eq(msg->rseq, 0, "AAP-43: the first");
    cr_assert_eq(msg->mseq, i);
    cr_assert_eq(msg->ranges[0].value, AAP_BED_EPOCH + 7200);
  }
  aap_bed_run(bed, since + S(31 + 20));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 6);
  aap_bed_run(bed, since + S(31 + 39));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 7);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, announced_until_the_end_about_every_30_s_AAP_65_66)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  int64_t last = -1, least = S(100), most = 0;
  aap_bed_available(bed, LARGE, 7200);
  aap_bed_own(&bed->nodes[0], "233.252.0.16-233.252.0.19", 7200);
  aap_bed_run(bed, S(7400));
  for (guint i = 5; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    int64_t gap = sent->at - last;
    if (last >= 0) {
      least = MIN(least, gap);
      most = MAX(most, gap);
    }
    last = sent->at;
  }
  cr_assert_geq(least, S(21));
  cr_assert_leq(most, S(39));
  cr_assert_gt(most - least, S(10), "the interval varies");
  cr_assert_lt(last, S(7200));
  cr_assert_geq(last, S(7200 - 39), "until the end");
  cr_assert_eq(own_count(&bed->nodes[0]), 0);
  cr_assert_eq(bed->nodes[0].gone[AAP_GONE_ENDED], 1);
  cr_assert_eq(g_hash_table_size(bed->nodes[0].stored), 0);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, nothing_leaves_before_the_disk_has_it)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  node->keep_delay = S(5);
  aap_bed_own(node, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_run(bed, since + S(5) - 1);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0);
  cr_assert_eq(own_count(node), 0);
  aap_bed_run(bed, since + S(5));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  cr_assert_eq(own_count(node), 4);
  aap_bed_free(bed);
}

Test(aap_own, a_disk_that_fails_is_tried_again)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  node->keep_fails = true;
  aap_bed_own(node, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_run(bed, since + S(25));
  cr_assert_eq(node->kept, 4, "at 0, 8, 16, 24: %u", node->kept);
  cr_assert_eq(bed->sent->len, 0);
  node->keep_fails = false;
  aap_bed_run(bed, since + S(33));
  cr_assert_eq(own_count(node), 4);
  node->keep_fails = true; /* an extension fails: what was, stays */
  node->zone->now = aap_bed_clock(node);
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0010), AAP_BED_EPOCH + 9000);
  aap_bed_run(bed, since + S(40));
  cr_assert_eq(last_of(bed, since)->msg.ranges[0].value, AAP_BED_EPOCH + 7200);
  node->keep_fails = false;
  aap_bed_run(bed, since + S(50));
  cr_assert_eq(last_of(bed, since)->msg.ranges[0].value, AAP_BED_EPOCH + 9000);
  aap_bed_free(bed);
}

/* Two writes under one first address: what the first confirmation says is not the state asked for
   last. */
Test(aap_own, the_last_write_counts)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  MalAddress first = mal_address_ipv4(0xe9fc0010);
  node->keep_delay = -1;
  aap_bed_own(node, "233.252.0.16-233.252.0.19", 7200);
  aap_owns_set_end(node->zone, first, AAP_BED_EPOCH + 9000);
  aap_zone_kept(node->zone, first, true, aap_bed_clock(node));
  cr_assert_eq(own_count(node), 0);
  aap_zone_kept(node->zone, first, true, aap_bed_clock(node));
  cr_assert_eq(own_count(node), 4);
  aap_zone_kept(node->zone, first, true, aap_bed_clock(node)); /* nobody asked */
  aap_bed_run(bed, bed->now + S(1));
  cr_assert_eq(last_of(bed, 0)->msg.ranges[0].value, AAP_BED_EPOCH + 9000);
  aap_bed_free(bed);
}

typedef struct {
  const char *name, *scope;
  unsigned step, count, messages, ranges;
} Packing;

static const Packing packings[] = {
  { "40 IPv4 ranges fit (V20)", LARGE, 2, 40, 1, 40 },
  { "41 do not", LARGE, 2, 41, 2, 41 },
  { "100", LARGE, 2, 100, 3, 100 },
  { "neighbours with one end are one range", LARGE, 1, 120, 1, 1 },
  { "13 IPv6 ranges fit (V21)", "ff0e::db8:0:0/96", 2, 13, 1, 13 },
  { "14 do not", "ff0e::db8:0:0/96", 2, 14, 2, 14 },
};

static void check_packing(const Packing *row)
{
  AapBed *bed = aap_bed_new(row->scope, true, 2);
  AapNode *node = aap_bed_add(bed);
  size_t ranges = 0;
  unsigned messages = 0;
  node->leased = 1;
  bed->params.own_lifetime_s = 60;
  aap_bed_available(bed, row->scope, 30 * DAY);
  aap_bed_listened(bed);
  for (unsigned i = 0; i < row->count; i++) {
    MalAddress at;
    char text[MAL_ADDRESS_STRLEN];
    cr_assert(mal_address_add(bed->scope.first, 1 + row->step * i, &at));
    aap_bed_own(node, mal_address_format(at, text), DAY);
    aap_bed_run(bed, bed->now + S(1) / 4);
  }
  aap_bed_run(bed, bed->now + S(200)); /* all in the consolidated messages */
  int64_t since = bed->now;
  AapZoneUsage usage = aap_zone_usage(node->zone, aap_bed_clock(node));
  cr_assert_eq(usage.announcements, row->messages, "%s: %zu", row->name, usage.announcements);
  cr_assert_eq(usage.own, row->count);
  aap_bed_run(bed, since + S(39));
  uint32_t seen[64] = { 0 };
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    bool known = false;
    cr_assert_leq(sent->length, 500, "%s", row->name);
    for (unsigned k = 0; k < messages; k++)
      known = known || seen[k] == sent->msg.rseq;
    if (sent->at < since || known)
      continue;
    seen[messages++] = sent->msg.rseq;
    ranges += sent->msg.n_ranges;
  }
  cr_assert_eq(messages, row->messages, "%s: %u messages", row->name, messages);
  cr_assert_eq(ranges, row->ranges, "%s: %zu ranges", row->name, ranges);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, consolidated_into_few_messages_AAP_67)
{
  for (size_t i = 0; i < G_N_ELEMENTS(packings); i++)
    check_packing(&packings[i]);
}

Test(aap_own, consolidated_messages_have_timers_of_their_own_AAP_68)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  own_apart(&bed->nodes[0], 0, 120, DAY);
  aap_bed_run(bed, bed->now + S(40));
  int64_t since = bed->now;
  unsigned together = 0, n = 0;
  aap_bed_run(bed, since + S(3600));
  for (guint i = 1; i < bed->sent->len; i++) {
    const AapSent *a = &g_array_index(bed->sent, AapSent, i - 1),
                  *b = &g_array_index(bed->sent, AapSent, i);
    if (a->at >= since) {
      n++;
      together += b->at == a->at ? 1 : 0;
    }
  }
  cr_assert_geq(n, 3 * 3600 / 39);
  cr_assert_lt(together, n / 50, "%u of %u", together, n);
  aap_bed_free(bed);
}

/* Messages are filled up again when others became few, and only then. */
Test(aap_own, what_is_left_needs_fewer_messages)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  own_apart(node, 0, 120, DAY);
  aap_bed_run(bed, bed->now + S(200));
  for (unsigned i = 0; i < 60; i++) {
    node->zone->now = aap_bed_clock(node);
    aap_owns_give_back(node->zone, mal_address_ipv4(0xe9fc0000 + 4 * i));
  }
  cr_assert_eq(own_count(node), 60);
  aap_bed_run(bed, bed->now + S(400));
  AapZoneUsage usage = aap_zone_usage(node->zone, aap_bed_clock(node));
  cr_assert_eq(usage.own_blocks, 60);
  cr_assert_eq(usage.announcements, 2);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, a_new_set_has_a_new_number_AAP_46)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
  aap_bed_run(bed, bed->now + S(100));
  uint32_t before = last_of(bed, 0)->msg.rseq;
  uint8_t mseq = last_of(bed, 0)->msg.mseq;
  aap_bed_run(bed, bed->now + S(40));
  cr_assert_eq(last_of(bed, 0)->msg.rseq, before);
  cr_assert_gt(last_of(bed, 0)->msg.mseq, mseq);
  aap_bed_own(node, "233.252.0.40", DAY);
  aap_bed_run(bed, bed->now + S(1));
  cr_assert_eq(last_of(bed, 0)->msg.rseq, before + 1, "a request of its own, in back-off");
  aap_bed_run(bed, bed->now + S(100));
  const AapSent *last = last_of(bed, 0);
  cr_assert_eq(last->msg.n_ranges, 2);
  cr_assert_eq(last->msg.rseq, before + 2, "another set");
  aap_bed_free(bed);
}

Test(aap_own, a_new_end_goes_out_soon_under_the_same_number_AAP_70)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
  aap_bed_run(bed, bed->now + S(100));
  const AapMessage before = last_of(bed, 0)->msg;
  node->zone->now = aap_bed_clock(node);
  int64_t since = bed->now + 1000;
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0010), AAP_BED_EPOCH + 2 * DAY);
  aap_bed_run(bed, since + S(1) / 2);
  const AapSent *first = last_of(bed, since);
  cr_assert_eq(first->msg.ranges[0].value, AAP_BED_EPOCH + 2 * DAY);
  cr_assert_eq(first->msg.rseq, before.rseq);
  cr_assert_eq(first->msg.mseq, before.mseq + 1);
  aap_bed_run(bed, since + S(32));
  g_autofree char *times = aap_bed_times(bed, 0, AAP_AIU, since);
  cr_assert_str_eq(times, "0 10 30 70 150 310", "back-off anew: %s", times);
  cr_assert_eq(node->notes[AAP_NOTE_EXTENDED], 1);
  aap_bed_free(bed);
}

Test(aap_own, an_outage_does_not_use_up_the_back_off_AAP_52)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  node->mute = true;
  aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
  aap_bed_run(bed, bed->now + S(60));
  node->mute = false;
  aap_bed_run(bed, bed->now + S(40));
  cr_assert_eq(bed->sent->len, 6);
  cr_assert_eq(g_array_index(bed->sent, AapSent, 0).msg.rseq, 0);
  cr_assert_eq(g_array_index(bed->sent, AapSent, 0).msg.mseq, 0);
  node->mute = true;
  aap_bed_run(bed, bed->now + S(300));
  node->mute = false;
  int64_t since = bed->now;
  aap_bed_run(bed, since + S(39));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  aap_bed_free(bed);
}

Test(aap_own, mseq_wraps_AAP_50)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  bool wrapped = false;
  aap_bed_own(&bed->nodes[0], "233.252.0.16-233.252.0.19", DAY);
  aap_bed_run(bed, bed->now + S(39 * 300));
  for (guint i = 1; i < bed->sent->len; i++) {
    const AapMessage *a = &g_array_index(bed->sent, AapSent, i - 1).msg,
                     *b = &g_array_index(bed->sent, AapSent, i).msg;
    cr_assert_eq(b->rseq, a->rseq);
    cr_assert_eq(b->mseq, (a->mseq + 1) & 0xff);
    wrapped = wrapped || b->mseq == 0;
  }
  cr_assert(wrapped);
  aap_bed_free(bed);
}

Test(aap_own, given_back_AAP_71)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
  aap_bed_run(bed, bed->now + S(100));
  node->zone->now = aap_bed_clock(node);
  int64_t since = bed->now;
  aap_owns_give_back(node->zone, mal_address_ipv4(0xe9fc0010));
  cr_assert_eq(own_count(node), 0, "layer 1 loses it at once");
  cr_assert_eq(node->gone[AAP_GONE_GIVEN_BACK], 1);
  aap_bed_run(bed, since + S(600));
  const AapSent *last = last_of(bed, since);
  cr_assert_eq(last->msg.ranges[0].value, AAP_BED_EPOCH + since / AAP_US + 180);
  cr_assert_geq(last->at, since + S(180 - 39));
  cr_assert_leq(last->at, since + S(180));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 6);
  cr_assert_eq(g_hash_table_size(node->stored), 0);
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).own_blocks, 0);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, survives_a_restart_AAP_51)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  own_apart(node, 0, 100, DAY);
  aap_bed_own(node, "233.252.0.254", 700);
  aap_bed_run(bed, S(600));
  aap_bed_crash(bed, 0);
  aap_bed_run(bed, S(800));
  int64_t since = bed->now;
  aap_bed_restart(bed, 0, true);
  aap_bed_available(bed, LARGE, 30 * DAY);
  cr_assert_eq(own_count(node), 100, "at once, less what ended: %u", own_count(node));
  cr_assert_eq(g_hash_table_size(node->stored), 100);
  aap_bed_listened(bed);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0, "AAP-62");
  int64_t began = bed->now - AAP_US; /* the bed looks once a second */
  aap_bed_run(bed, began + S(31));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 3 + 0, "steady at once");
  const AapSent *first = NULL, *last = NULL;
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->at >= since) {
      first = first ? first : sent;
      last = sent;
    }
  }
  cr_assert_gt(last->at - first->at, S(1), "spread");
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, what_is_stored_is_not_trusted)
{
  AapBed *bed = aap_bed_new(LARGE, true, 1);
  AapNode *node = aap_bed_add(bed);
  AapOwn bad[] = {
    { aap_bed_span("239.255.0.1"), AAP_BED_EPOCH + DAY, AAP_BED_EPOCH },
    { aap_bed_span("ff0e::db8:0:1"), AAP_BED_EPOCH + DAY, AAP_BED_EPOCH },
    { { mal_address_ipv4(0xe9fc0009), mal_address_ipv4(0xe9fc0001) }, AAP_BED_EPOCH + DAY, 0 },
    { aap_bed_span("233.252.0.1-233.252.0.9"), AAP_BED_EPOCH + DAY, AAP_BED_EPOCH },
    { aap_bed_span("233.252.0.9-233.252.0.12"), AAP_BED_EPOCH + DAY, AAP_BED_EPOCH },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
    aap_zone_restore_own(node->zone, &bad[i]);
  aap_zone_start(node->zone, aap_bed_clock(node));
  cr_assert_eq(own_count(node), 9);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, no_end_beyond_the_available_range_AAP_117)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_available(bed, LARGE, 5000);
  aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
  aap_bed_run(bed, S(1000));
  for (guint i = 0; i < bed->sent->len; i++)
    cr_assert_eq(g_array_index(bed->sent, AapSent, i).msg.ranges[0].value, AAP_BED_EPOCH + 5000);
  aap_bed_available(bed, LARGE, 9000);
  int64_t since = bed->now;
  aap_bed_run(bed, since + S(40));
  cr_assert_eq(last_of(bed, since)->msg.ranges[0].value, AAP_BED_EPOCH + 9000);
  aap_bed_run(bed, S(9001));
  cr_assert_eq(own_count(node), 0);
  since = bed->now;
  aap_bed_run(bed, since + S(100));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* B18; A-32: the entry stays, and takes effect again. */
Test(aap_own, an_invalidating_change_stops_it_AAP_128)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_own(node, "233.252.0.100-233.252.0.103;233.252.0.200", DAY);
  aap_bed_run(bed, bed->now + S(100));
  aap_bed_available(bed, "233.252.0.0-233.252.0.127", 2 * DAY);
  cr_assert_eq(node->gone[AAP_GONE_UNAVAILABLE], 1);
  cr_assert_eq(own_count(node), 4);
  int64_t since = bed->now;
  aap_bed_inject(node, "192.0.2.200", AAP_ACLM, 1, "233.252.0.200", DAY);
  aap_bed_run(bed, since + S(300));
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->at < since)
      continue;
    cr_assert_eq(sent->msg.n_ranges, 1);
    cr_assert_eq(sent->msg.ranges[0].span.first.value, 0xe9fc0064);
  }
  aap_bed_available(bed, LARGE, 2 * DAY);
  cr_assert_eq(own_count(node), 5, "back again");
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_own, what_another_took_while_it_was_unavailable_is_lost)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_own(node, "233.252.0.200-233.252.0.203", DAY);
  aap_bed_run(bed, bed->now + S(100));
  aap_bed_available(bed, "233.252.0.0-233.252.0.127", 2 * DAY);
  aap_bed_inject(node, "192.0.2.200", AAP_AIU, 1, "233.252.0.201", 5000);
  aap_bed_available(bed, LARGE, 2 * DAY);
  cr_assert_eq(own_count(node), 3);
  cr_assert_not(aap_spans_overlap(node->owned, aap_bed_span("233.252.0.201")));
  aap_bed_check(bed);
  aap_bed_free(bed);
}

typedef struct {
  const char *name;
  AapType type;
  int64_t end_s;
  unsigned left;
} Collision;

static const Collision collisions[] = {
  { "ACLM", AAP_ACLM, 5000, 2 },
  { "AIU", AAP_AIU, 5000, 2 },
  { "AITU disturbs no claim", AAP_AITU, 5000, 4 },
  { "AIU, ended (AAP-59)", AAP_AIU, 10, 4 },
};

/* Between the end of the claim and the disk. */
Test(aap_own, what_is_being_written_is_lost_to_a_collision)
{
  for (size_t i = 0; i < G_N_ELEMENTS(collisions); i++) {
    AapBed *bed = aap_bed_of_owners(1, 1);
    AapNode *node = &bed->nodes[0];
    node->keep_delay = S(1);
    aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
    aap_bed_inject(node, "192.0.2.200", collisions[i].type, 1, "233.252.0.17-233.252.0.18",
                   collisions[i].end_s);
    aap_bed_run(bed, bed->now + S(4));
    cr_assert_eq(own_count(node), collisions[i].left, "%s", collisions[i].name);
    cr_assert_eq(g_hash_table_size(node->stored), collisions[i].left == 4 ? 1 : 2);
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}

Test(aap_own, ends_are_bounded)
{
  AapAdvertised ends = { .before_restart = MAL_BEGINNING };
  for (MalTime i = 0; i < 100; i++)
    aap_advertised_add(&ends, 100000 + 1000 * i, 1000);
  cr_assert(aap_advertised_match(&ends, 100000, 10), "the earliest");
  cr_assert(aap_advertised_match(&ends, 100000 + 1000 * 99 + 10, 10), "the latest");
  cr_assert(aap_advertised_match(&ends, 100000 + 1000 * 84 - 10, 10), "the latest sixteen");
  cr_assert_not(aap_advertised_match(&ends, 100000 + 1000 * 99 + 11, 10));
  cr_assert_not(aap_advertised_match(&ends, 100000 + 1000 * 83, 10));
  aap_advertised_shift(&ends, 500);
  cr_assert(aap_advertised_match(&ends, 100500, 10));
  cr_assert_not(aap_advertised_match(&ends, 100000, 10));
  ends.before_restart = 150000;
  cr_assert(aap_advertised_match(&ends, 123456, 10), "a former life");
}

/* ---- anything at any time -------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed, uint64_t below)
{
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (*seed >> 33) % below;
}

static void one_change(AapBed *bed, uint64_t *seed)
{
  static const AapType types[] = { AAP_ACLM, AAP_AIU, AAP_AIU, AAP_AITU };
  AapNode *node = &bed->nodes[0];
  unsigned first = (unsigned)next_random(seed, 250), last = first + (unsigned)next_random(seed, 6);
  int64_t ends[] = { 0, 100, 7200, 9000, 20000 }, now_s = bed->now / AAP_US;
  int64_t end_s = now_s + ends[next_random(seed, G_N_ELEMENTS(ends))];
  g_autofree char *span = g_strdup_printf("233.252.0.%u-233.252.0.%u", first, last);
  MalAddress at = mal_address_ipv4(0xe9fc0000 + first);
  node->zone->now = aap_bed_clock(node);
  switch (next_random(seed, 9)) {
  case 0: case 1: case 2:
    aap_bed_own(node, span, end_s + 1);
    break;
  case 3:
    aap_owns_set_end(node->zone, at, AAP_BED_EPOCH + end_s);
    break;
  case 4:
    aap_owns_give_back(node->zone, at);
    break;
  case 5: case 6:
    aap_bed_inject(node, next_random(seed, 2) ? "192.0.2.200" : "192.0.2.201",
                   types[next_random(seed, 4)], (uint32_t)next_random(seed, 9), span, end_s);
    break;
  case 7:
    node->keep_fails = next_random(seed, 4) == 0;
    node->keep_delay = (int64_t)next_random(seed, 3) * S(1);
    break;
  default:
    if (next_random(seed, 10) == 0)
      aap_bed_available(bed, next_random(seed, 3) ? LARGE : "233.252.0.0-233.252.0.99",
                        now_s + 5000);
  }
}

static void check_announced(const AapBed *bed)
{
  const AapNode *node = &bed->nodes[0];
  g_autoptr(GArray) all = aap_spans_new();
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    for (size_t k = 0; sent->at >= bed->now - S(45) && k < sent->msg.n_ranges; k++)
      aap_spans_add(all, sent->msg.ranges[k].span);
  }
  g_autoptr(GArray) both = aap_spans_intersection(all, node->owned);
  cr_assert(aap_spans_equal(both, node->owned), "AAP-65: all that is owned was announced lately");
}

Test(aap_own, invariants_hold_whatever_happens)
{
  for (uint64_t seed = 1; seed <= 20; seed++) {
    AapBed *bed = aap_bed_of_owners(1, 1);
    uint64_t state = seed;
    for (unsigned i = 0; i < 400; i++) {
      one_change(bed, &state);
      aap_bed_check(bed);
      aap_bed_run(bed, bed->now + (int64_t)next_random(&state, 6) * S(1) / 2);
      aap_bed_check(bed);
    }
    aap_bed_run(bed, bed->now + S(60));
    check_announced(bed);
    bed->nodes[0].keep_fails = false;
    aap_bed_run(bed, bed->now + S(30000));
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}
