/* What was given up and is still defended by others (draft-ietf-malloc-aap-04 3.2.8). */
#include "tests/unit/aap-conflict-bed.h"

/* OWN was given back; the end that is true is past, the one advertised before is not. */
static AapBed *former_holder(void)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  node->zone->now = aap_bed_clock(node);
  aap_owns_give_back(node->zone, mal_address_ipv4(0xe9fc0010));
  aap_bed_run(bed, bed->now + S(200));
  return bed;
}

typedef struct {
  const char *name;
  const char *claimant; /* NULL: nobody claims */
  const char *second;   /* claims, too */
  int64_t end_s;
  unsigned answers;
} Stale;

static const Stale stales[] = {
  { "S defends against a third", T_, NULL, 7200, 1 },
  { "nobody claims: S may hold it", NULL, NULL, 7200, 0 },
  { "S itself claimed it", S_, NULL, 7200, 0 },
  { "S itself claimed it, as a third did", T_, S_, 7200, 0 },
  { "an end that was never ours", T_, NULL, 8000, 0 },
  { "ended", T_, NULL, 10, 0 },
};

Test(aap_conflict, a_stale_defence_is_put_right_AAP_72)
{
  for (size_t i = 0; i < G_N_ELEMENTS(stales); i++) {
    const Stale *row = &stales[i];
    AapBed *bed = former_holder();
    AapNode *node = &bed->nodes[0];
    const AapSent *last = NULL;
    int64_t since = bed->now;
    if (row->claimant != NULL)
      aap_bed_inject(node, row->claimant, AAP_ACLM, 1, "233.252.0.18-233.252.0.25", 9000);
    if (row->second != NULL)
      aap_bed_inject(node, row->second, AAP_ACLM, 2, "233.252.0.18-233.252.0.25", 9000);
    aap_bed_run(bed, bed->now + S(3));
    aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.18-233.252.0.19", row->end_s);
    cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, &last), row->answers, "%s", row->name);
    if (last != NULL) {
      cr_assert_eq(last->msg.ranges[0].value, AAP_BED_EPOCH + 400 + 180);
      cr_assert_eq(last->msg.ranges[0].span.first.value, 0xe9fc0012, "only what was defended");
      cr_assert_lt(last->msg.ranges[0].value, last->msg.current_time, "past");
      cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).foreign, 0);
    }
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}

Test(aap_conflict, answers_to_stale_defences_are_limited)
{
  AapBed *bed = former_holder();
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  for (unsigned i = 0; i < 40; i++) {
    aap_bed_inject(node, T_, AAP_ACLM, 1, OWN, 9000);
    aap_bed_inject(node, S_, AAP_AIU, i, OWN, 7200);
    aap_bed_run(bed, bed->now + S(1) / 4);
  }
  g_autofree char *times = aap_bed_times(bed, 0, AAP_AIU, since);
  cr_assert_str_eq(times, "0 10 20", "one a second, three in all: %s", times);
  aap_bed_free(bed);
}

static void count_stones(const AapEntry *entry, void *data)
{
  *(unsigned *)data += entry->kind == AAP_ENTRY_TOMBSTONE ? 1 : 0;
}

static unsigned stones(const AapNode *node)
{
  unsigned n = 0;
  aap_zone_each(node->zone, aap_bed_clock(node), count_stones, &n);
  return n;
}

Test(aap_conflict, what_ends_the_memory_of_what_was_ours)
{
  AapBed *bed = former_holder();
  AapNode *node = &bed->nodes[0];
  cr_assert_eq(stones(node), 1);
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.17", 8000);
  cr_assert_eq(stones(node), 2, "cut where somebody took it");
  node->zone->now = aap_bed_clock(node);
  aap_bed_own(node, "233.252.0.16", 9000);
  cr_assert_eq(stones(node), 1, "ours again");
  aap_bed_run(bed, S(7201));
  aap_bed_run(bed, S(7300));
  cr_assert_eq(stones(node), 0, "the last end that we advertised has come");
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* During the grace the true end is still to come: an older one restarts the back-off. */
Test(aap_conflict, stale_data_within_the_grace)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  node->zone->now = aap_bed_clock(node);
  aap_owns_give_back(node->zone, mal_address_ipv4(0xe9fc0010));
  aap_bed_run(bed, bed->now + S(80));
  int64_t since = bed->now;
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200);
  aap_bed_run(bed, bed->now + S(2));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_AIU, since, &last), 2);
  cr_assert_eq(last->msg.ranges[0].value, AAP_BED_EPOCH + 580);
  aap_bed_free(bed);
}

Test(aap_conflict, aap_169_what_was_ours_is_remembered_within_a_bound)
{
  AapBed *bed = wide_holder();
  AapNode *node = &bed->nodes[0];
  for (unsigned i = 0; i < 1100; i++) {
    MalAddress at = mal_address_ipv4(0xefff4000 + 2 * i);
    aap_owns_add(node->zone, (MalSpan){ at, at }, AAP_BED_EPOCH + 90000);
  }
  aap_bed_run(bed, bed->now + S(60));
  for (unsigned i = 0; i < 1100; i++)
    aap_owns_give_back(node->zone, mal_address_ipv4(0xefff4000 + 2 * i));
  aap_bed_run(bed, bed->now + S(200));
  cr_assert_eq(stones(node), 1024);
  aap_bed_free(bed);
}

/* One that could not leave is no answer. */
Test(aap_conflict, an_answer_that_could_not_leave_AAP_72)
{
  AapBed *bed = former_holder();
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  node->mute = true;
  for (unsigned i = 0; i < 10; i++) {
    aap_bed_inject(node, T_, AAP_ACLM, 1, OWN, 9000);
    aap_bed_inject(node, S_, AAP_AIU, i, OWN, 7200);
    aap_bed_run(bed, bed->now + S(2));
  }
  node->mute = false;
  aap_bed_inject(node, S_, AAP_AIU, 11, OWN, 7200);
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 1);
  aap_bed_free(bed);
}

Test(aap_conflict, a_step_of_our_clock_moves_what_was_ours_AAP_39_72)
{
  AapBed *bed = former_holder();
  AapNode *node = &bed->nodes[0];
  const AapSent *last = NULL;
  int64_t since = bed->now;
  node->skew_s = 600;
  aap_zone_clock_stepped(node->zone, 600, aap_bed_clock(node));
  aap_bed_inject(node, T_, AAP_ACLM, 1, OWN, 9000);
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200); /* in its clock */
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, &last), 1);
  cr_assert_eq(last->msg.ranges[0].value, AAP_BED_EPOCH + 580 + 600);
  aap_bed_free(bed);
}

/* After a restart any end until the stored one may have been advertised; where that is what ended,
   nothing later was. While it listens nothing is answered (AAP-62). */
Test(aap_conflict, what_was_ours_in_a_former_life_AAP_62_72)
{
  static const struct {
    const char *name;
    bool give_back;
    int64_t ended;
    unsigned stones;
  } cases[] = { { "given back early", true, 140, 1 }, { "ended", false, 7201, 0 } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = aap_bed_new(LARGE, true, 3);
    AapNode *node = aap_bed_add_stopped(bed);
    AapOwn own = { aap_bed_span(OWN), AAP_BED_EPOCH + 7200, AAP_BED_EPOCH - DAY };
    bed->params.delete_grace_s = 120;
    aap_zone_restore_own(node->zone, &own);
    aap_bed_available(bed, "233.252.0.100-233.252.0.200", 30 * DAY); /* it isn't advertised now */
    aap_zone_start(node->zone, aap_bed_clock(node));
    if (cases[i].give_back)
      aap_owns_give_back(node->zone, mal_address_ipv4(0xe9fc0010));
    aap_bed_run(bed, S(cases[i].ended));
    cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).own_blocks, 0);
    cr_assert_eq(stones(node), cases[i].stones, "%s", cases[i].name);
    aap_bed_inject(node, T_, AAP_ACLM, 1, OWN, 9000);
    aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7190);
    cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, 0, NULL), 0);
    cr_assert_eq(node->notes[AAP_NOTE_STALE_DEFENCE], 0);
    aap_bed_free(bed);
  }
}
