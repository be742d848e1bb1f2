/* Own allocations and their announcing in the corners: space with holes, disks and links that fail,
   a zone that still listens (draft-ietf-malloc-aap-04 3.1, 3.2.2, 3.2.4, 3.2.8, 3.2.10.1). */
#include "plugins/aap/aap-own-private.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define DAY 86400
#define B_ "192.0.2.200" /* who claims */

typedef struct {
  const char *spans;
  int64_t end_s;
} Range;

static void set_available(AapNode *node, const Range *ranges, size_t n)
{
  AapExtent extents[8];
  for (size_t i = 0; i < n; i++)
    extents[i] = (AapExtent){ aap_bed_span(ranges[i].spans), AAP_BED_EPOCH + ranges[i].end_s };
  aap_zone_set_available(node->zone, extents, n, aap_bed_clock(node));
}

/* "FIRST-LAST=END ..." of what leaves: last octets, bed seconds. */
static char *listed(const AapSent *sent)
{
  GString *text = g_string_new(NULL);
  for (size_t i = 0; i < sent->msg.n_ranges; i++) {
    const AapRange *range = &sent->msg.ranges[i];
    g_string_append_printf(text, "%s%u-%u=%d", i > 0 ? " " : "",
                           (unsigned)(range->span.first.value & 0xFF),
                           (unsigned)(range->span.last.value & 0xFF),
                           (int)(range->value - AAP_BED_EPOCH));
  }
  return g_string_free(text, FALSE);
}

static char *last_listed(const AapBed *bed, int64_t since)
{
  const AapSent *last = NULL;
  cr_assert_gt(aap_bed_count(bed, 0, AAP_AIU, since, &last), 0);
  return listed(last);
}

/* Stretches of one end are one range, however the space is cut; who claims a part hears of it only
 */
Test(aap_own, effective_ends_over_a_space_with_holes_AAP_82_117)
{
  static const Range space[] = { { "233.252.0.0-233.252.0.4", 5000 },
                                 { "233.252.0.5-233.252.0.9", 5000 },
                                 { "233.252.0.10-233.252.0.14", 6000 },
                                 { "233.252.0.16-233.252.0.17", 6000 },
                                 { "233.252.0.18-233.252.0.19", 5000 } };
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  set_available(node, space, G_N_ELEMENTS(space));
  aap_bed_own(node, "233.252.0.0-233.252.0.19", DAY);
  aap_bed_run(bed, bed->now + S(10));
  g_autofree char *all = last_listed(bed, 0);
  cr_assert_str_eq(all, "0-9=5000 10-14=6000 16-17=6000 18-19=5000");
  cr_assert_eq(aap_bed_owned(node), 19);
  int64_t t = bed->now;
  aap_bed_inject(node, B_, AAP_ACLM, 1, "233.252.0.16", 9000);
  g_autofree char *part = last_listed(bed, t);
  cr_assert_str_eq(part, "16-16=6000");
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* More of a block is available, until the same end. */
Test(aap_own, space_that_grows_gives_more_of_a_block_AAP_127)
{
  static const Range less = { "233.252.0.0-233.252.0.4", 5000 },
                     more = { "233.252.0.0-233.252.0.15", 5000 };
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  set_available(node, &less, 1);
  aap_bed_own(node, "233.252.0.0-233.252.0.9", DAY);
  aap_bed_run(bed, bed->now + S(10));
  cr_assert_eq(aap_bed_owned(node), 5);
  set_available(node, &more, 1);
  cr_assert_eq(aap_bed_owned(node), 10);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* A single block of more ranges than a message may have: several messages, no number twice. */
Test(aap_own, a_block_in_a_space_of_splinters_AAP_67)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  AapExtent splinters[100];
  for (unsigned i = 0; i < 100; i++) {
    MalAddress at = mal_address_ipv4(0xe9fc0000 + 2 * i);
    splinters[i] = (AapExtent){ { at, at }, AAP_BED_EPOCH + 5000 };
  }
  aap_zone_set_available(node->zone, splinters, 100, aap_bed_clock(node));
  aap_bed_own(node, "233.252.0.0-233.252.0.199", DAY);
  aap_bed_run(bed, bed->now + S(1) / 2);
  static const size_t ranges[] = { 40, 40, 20 };
  cr_assert_eq(bed->sent->len, 3);
  for (guint i = 0; i < 3; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    cr_assert_eq(sent->msg.n_ranges, ranges[i]);
    cr_assert_eq(sent->msg.rseq, i);
  }
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_eq(aap_sequence_running(node->sequence), 1);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- what could not leave -------------------------------------------------------------------- */

/* The interval that ran runs again: 4 s from the one that failed at 7 s. */
Test(aap_own, an_outage_in_the_midst_of_the_back_off_AAP_52_69)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now + 1000;
  aap_bed_own(node, "233.252.0.16", 7200);
  aap_bed_run(bed, since + S(4));
  node->mute = true;
  aap_bed_run(bed, since + S(8));
  node->mute = false;
  aap_bed_run(bed, since + S(20));
  g_autofree char *times = aap_bed_times(bed, 0, AAP_AIU, since);
  cr_assert_str_eq(times, "0 10 30 110 190", "%s", times);
  aap_bed_free(bed);
}

/* The set changed and changed back while nothing could leave: what leaves then with a new number is
   its first message (5.1.5). */
Test(aap_own, a_new_number_begins_with_its_first_message_AAP_46_48)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  aap_bed_own(node, "233.252.0.16-233.252.0.19", 7200);
  aap_bed_run(bed, bed->now + S(100));
  aap_bed_count(bed, 0, AAP_AIU, 0, &last);
  uint32_t rseq = last->msg.rseq;
  node->mute = true;
  aap_bed_available(bed, "233.252.0.0-233.252.0.17", 30 * DAY);
  aap_bed_run(bed, bed->now + S(45));
  aap_bed_available(bed, AAP_BED_SPACE, 30 * DAY);
  node->mute = false;
  int64_t since = bed->now;
  aap_bed_run(bed, since + S(3));
  aap_bed_count(bed, 0, AAP_AIU, since, &last);
  cr_assert_neq(last->msg.rseq, rseq);
  cr_assert_eq(last->msg.mseq, 0);
  aap_bed_run(bed, since + S(50));
  const AapSent *next = NULL;
  aap_bed_count(bed, 0, AAP_AIU, since, &next);
  cr_assert_eq(next->msg.rseq, last->msg.rseq);
  cr_assert_gt(next->msg.mseq, 0);
  aap_bed_free(bed);
}

/* ---- in a hurry ------------------------------------------------------------------------------ */

/* Many messages about new ends leave within one interval, and not at once. */
Test(aap_own, new_ends_of_many_messages_are_spread_AAP_68_70)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  bed->params.payload_limit = 24; /* one range a message */
  bed->params.resend_wait = S(30);
  for (unsigned i = 0; i < 12; i++) {
    g_autofree char *text = g_strdup_printf("233.252.0.%u", 2 * i);
    aap_bed_own(node, text, 7200);
  }
  aap_bed_run(bed, bed->now + S(100));
  int64_t since = bed->now;
  for (unsigned i = 0; i < 12; i++)
    aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0000 + 2 * i), AAP_BED_EPOCH + 5000);
  aap_bed_run(bed, since + S(60));
  unsigned n = 0;
  g_autoptr(GArray) told = aap_spans_new();
  for (guint i = 0; i < bed->sent->len; i++) {
    const AapSent *sent = &g_array_index(bed->sent, AapSent, i);
    if (sent->at < since || sent->msg.ranges[0].value != AAP_BED_EPOCH + 5000)
      continue;
    n += sent->at < since + S(1);
    aap_spans_add(told, sent->msg.ranges[0].span);
  }
  cr_assert_eq(told->len, 12, "all of them");
  cr_assert_leq(n, 6, "%u at once", n);
  aap_bed_free(bed);
}

/* Everything at once where somebody asks for it, but nothing within [RESEND-WAIT] of its last. */
Test(aap_own, announced_on_demand_AAP_52_65)
{
  AapBed *bed = aap_bed_new(AAP_BED_SPACE, true, 1);
  bed->params.own_lifetime_s = 60;
  AapNode *node = aap_bed_add(bed);
  node->leased = 1;
  aap_bed_available(bed, AAP_BED_SPACE, 30 * DAY);
  cr_assert_eq(aap_zone_announce(node->zone, aap_bed_clock(node)), 0, "AAP-62: it listens");
  aap_bed_listened(bed);
  cr_assert_eq(aap_zone_announce(node->zone, aap_bed_clock(node)), 0, "nothing to say");
  aap_bed_own(node, "233.252.0.16", 7200);
  aap_bed_run(bed, bed->now + S(100));
  int64_t since = bed->now;
  cr_assert_eq(aap_zone_announce(node->zone, aap_bed_clock(node)), 1);
  aap_bed_run(bed, since);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  cr_assert_eq(aap_zone_announce(node->zone, aap_bed_clock(node)), 1);
  aap_bed_run(bed, since + S(1) - 1);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  aap_bed_run(bed, since + S(1));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 2);
  bed->params.resend_wait = S(60); /* the configuration was changed: what was due stays so */
  cr_assert_eq(aap_zone_announce(node->zone, aap_bed_clock(node)), 1);
  aap_bed_run(bed, since + S(41));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 3);
  aap_bed_free(bed);
}

/* ---- while it listens ------------------------------------------------------------------------ */

/* A shorter end, and an end that comes, before anything may be said of it. */
Test(aap_own, ends_that_change_while_it_listens_AAP_55_62_70)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  aap_bed_own(node, "233.252.0.16;233.252.0.18", 7200);
  aap_bed_run(bed, bed->now + S(60));
  aap_bed_crash(bed, 0);
  int64_t since = bed->now;
  aap_bed_restart(bed, 0, true);
  aap_bed_available(bed, AAP_BED_SPACE, 30 * DAY);
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0010), AAP_BED_EPOCH + 5000);
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0012), AAP_BED_EPOCH + since / S(1) + 60);
  cr_assert_lt(aap_zone_due(node->zone), since + S(61));
  aap_bed_run(bed, since + S(61));
  cr_assert_eq(aap_bed_owned(node), 1);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(31));
  g_autofree char *all = last_listed(bed, since);
  cr_assert_str_eq(all, "16-16=5000");
  aap_bed_free(bed);
}

/* The disk is slower than the startup; a step of our clock in between moves nothing of ours. */
Test(aap_own, nothing_is_announced_at_startup_that_is_not_on_the_disk_AAP_51)
{
  AapBed *bed = aap_bed_new(AAP_BED_SPACE, true, 1);
  AapNode *node = aap_bed_add(bed);
  node->leased = 1;
  node->keep_delay = S(400);
  aap_bed_available(bed, AAP_BED_SPACE, 30 * DAY);
  aap_bed_own(node, "233.252.0.16", DAY + 7200);
  aap_bed_listened(bed);
  aap_zone_clock_stepped(node->zone, 10, aap_bed_clock(node));
  aap_bed_run(bed, S(399));
  cr_assert(aap_bed_owned(node) == 0 && bed->sent->len == 0);
  aap_bed_run(bed, S(401));
  cr_assert_eq(aap_bed_owned(node), 1);
  g_autofree char *all = last_listed(bed, 0);
  cr_assert_str_eq(all, "16-16=93600");
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- the disk -------------------------------------------------------------------------------- */

Test(aap_own, given_back_before_it_is_written)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  node->keep_delay = S(5);
  aap_bed_own(node, "233.252.0.16-233.252.0.19", DAY);
  aap_owns_give_back(node->zone, mal_address_ipv4(0xe9fc0010));
  cr_assert(g_hash_table_size(node->stored) == 0 && node->notes[AAP_NOTE_GIVEN_BACK] == 0);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert(aap_bed_owned(node) == 0 && bed->sent->len == 0);
  aap_bed_free(bed);
}

/* Written only when its end had come: it is nobody's. */
Test(aap_own, the_end_comes_before_the_disk_AAP_55)
{
  AapBed *bed = aap_bed_of_owners(1, 1);
  AapNode *node = &bed->nodes[0];
  node->keep_delay = -1;
  aap_bed_own(node, "233.252.0.16-233.252.0.19", bed->now / S(1) + 20);
  bed->now += S(21); /* the timers are late */
  aap_zone_kept(node->zone, mal_address_ipv4(0xe9fc0010), true, aap_bed_clock(node));
  cr_assert(aap_bed_owned(node) == 0 && node->notes[AAP_NOTE_OWNED] == 0);
  aap_bed_check(bed);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).own_blocks, 0);
  cr_assert_eq(bed->sent->len, 0);
  aap_bed_free(bed);
}

/* A lease was there before AAP was: it is ours from the start, as soon as the disk has it. */
Test(aap_own, what_is_adopted_is_lost_to_its_owner_only_AAP_51_91)
{
  static const struct {
    AapType type;
    uint64_t owned;
    unsigned conflicts;
  } cases[] = { { AAP_ACLM, 4, 0 }, { AAP_AITU, 4, 0 }, { AAP_AIU, 0, 1 } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = aap_bed_new(AAP_BED_SPACE, true, 1);
    AapNode *node = aap_bed_add_stopped(bed);
    node->leased = 1;
    node->keep_delay = S(5);
    aap_bed_available(bed, AAP_BED_SPACE, 30 * DAY);
    aap_zone_adopt(node->zone, aap_bed_span("233.252.0.16-233.252.0.19"), AAP_BED_EPOCH + DAY);
    cr_assert_eq(aap_zone_due(node->zone), AAP_NEVER, "not started");
    aap_zone_run(node->zone, aap_bed_clock(node));
    aap_zone_start(node->zone, aap_bed_clock(node));
    aap_bed_inject(node, B_, cases[i].type, 1, "233.252.0.10-233.252.0.30", 9000);
    aap_bed_run(bed, S(10));
    cr_assert_eq(aap_bed_owned(node), cases[i].owned, "%zu", i);
    cr_assert_eq(node->gone[AAP_GONE_CONFLICT], cases[i].conflicts, "%zu", i);
    cr_assert_eq(node->failed, 0, "nobody asked for it");
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}

/* ---- what was advertised --------------------------------------------------------------------- */

Test(aap_own, an_end_that_is_advertised_again_counts_once)
{
  AapAdvertised ends = { .before_restart = 500 };
  static const MalTime order[] = { 10000, 20000, 10000, 20000, 20000 };
  for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
    aap_advertised_add(&ends, order[i], 1000);
  cr_assert(ends.n == 2 && ends.ends[0] == 10000 && ends.ends[1] == 20000);
  aap_advertised_shift(&ends, 100);
  cr_assert_eq(ends.before_restart, 600, "a former life's ends move, too");
}
