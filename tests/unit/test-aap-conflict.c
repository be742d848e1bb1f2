/* Conflicts, and defences of our own addresses by others (draft-ietf-malloc-aap-04 3.2.3). */
#include "tests/unit/aap-conflict-bed.h"

static uint64_t suspended(const AapNode *node)
{
  return (uint64_t)aap_spans_size(node->suspended);
}

typedef struct {
  const char *name;
  AapType type;
  const char *spans;
  int64_t end_s;
  bool literal;
  uint64_t owned, suspended;
  unsigned blocks; /* in the store */
} Row;

static const Row rows[] = {
  { "B9, AAP-88: an end that we advertised", AAP_AIU, "233.252.0.16", 7203, false, 4, 1, 1 },
  { "as far as the tolerance goes", AAP_AIU, "233.252.0.16", 7210, false, 4, 1, 1 },
  { "a second more", AAP_AIU, "233.252.0.16", 7211, false, 3, 0, 1 },
  { "B10, AAP-84: another end", AAP_AIU, "233.252.0.16", 10400, false, 3, 0, 1 },
  { "an earlier end", AAP_AIU, "233.252.0.16", 5000, false, 3, 0, 1 },
  { "exactly what was hit: the middle", AAP_AIU, "233.252.0.17-233.252.0.18", 9000, false, 2, 0,
    2 },
  { "the end", AAP_AIU, "233.252.0.19-233.252.0.30", 9000, false, 3, 0, 1 },
  { "all", AAP_AIU, LARGE, 9000, false, 0, 0, 0 },
  { "two ranges", AAP_AIU, "233.252.0.16;233.252.0.19", 9000, false, 2, 0, 1 },
  { "beside it", AAP_AIU, "233.252.0.15;233.252.0.20", 9000, false, 4, 0, 1 },
  { "AAP-59: ended", AAP_AIU, OWN, 300, false, 4, 0, 1 },
  { "a claim", AAP_ACLM, OWN, 9000, false, 4, 0, 1 },
  { "an intent", AAP_AITU, OWN, 9000, false, 4, 0, 1 },
  { "literal: any AIU", AAP_AIU, "233.252.0.16", 7200, true, 3, 0, 1 },
  { "literal, ended", AAP_AIU, "233.252.0.16", 300, true, 4, 0, 1 },
};

Test(aap_conflict, which_messages_are_one_B9_B10_AAP_59_84_88)
{
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    const Row *row = &rows[i];
    AapBed *bed = holder();
    AapNode *node = &bed->nodes[0];
    bed->params.literal_conflicts = row->literal;
    aap_bed_inject(node, S_, row->type, 1, row->spans, row->end_s);
    cr_assert_eq(aap_bed_owned(node), row->owned, "%s: owned", row->name);
    cr_assert_eq(suspended(node), row->suspended, "%s: suspended", row->name);
    cr_assert_eq(node->notes[AAP_NOTE_CONFLICT] > 0, row->owned < 4, "%s: AAP-87", row->name);
    cr_assert_eq(node->gone[AAP_GONE_CONFLICT] > 0, row->owned < 4, "%s", row->name);
    aap_bed_check(bed);
    aap_bed_run(bed, bed->now + S(1));
    cr_assert_eq(g_hash_table_size(node->stored), row->blocks, "%s: stored", row->name);
    aap_bed_free(bed);
  }
}

Test(aap_conflict, what_is_left_is_announced_and_the_rest_no_longer_AAP_84)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.17", 9000);
  int64_t since = bed->now;
  const AapSent *last = NULL;
  aap_bed_run(bed, since + S(40));
  aap_bed_count(bed, 0, AAP_AIU, since, &last);
  cr_assert_not_null(last);
  cr_assert_eq(last->msg.n_ranges, 2);
  cr_assert_eq(last->msg.ranges[0].span.last.value, 0xe9fc0010);
  cr_assert_eq(last->msg.ranges[1].span.first.value, 0xe9fc0012);
  cr_assert_eq(last->msg.rseq, 1, "another set");
  aap_bed_free(bed);
}

/* no tie-break. */
Test(aap_conflict, both_sides_undo)
{
  AapBed *bed = aap_bed_of_owners(3, 2);
  bed->nodes[1].side = 1;
  aap_bed_own(&bed->nodes[0], OWN, 7200);
  aap_bed_own(&bed->nodes[1], OWN, 9000);
  aap_bed_run(bed, bed->now + S(100));
  cr_assert_eq(aap_bed_owned(&bed->nodes[0]) + aap_bed_owned(&bed->nodes[1]), 8);
  bed->nodes[1].side = 0;
  aap_bed_run(bed, bed->now + S(40));
  cr_assert_eq(bed->nodes[0].gone[AAP_GONE_CONFLICT] + bed->nodes[1].gone[AAP_GONE_CONFLICT] > 0,
               1);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

Test(aap_conflict, found_while_it_listens_is_handled_silently)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  aap_bed_crash(bed, 0);
  int64_t since = bed->now;
  aap_bed_restart(bed, 0, true);
  cr_assert_eq(aap_bed_owned(node), 4);
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.16", 9000);
  cr_assert_eq(aap_bed_owned(node), 3);
  aap_bed_run(bed, since + S(149));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- who goes on is a holder (the echo window) ----------------------------------------------- */

typedef struct {
  const char *name;
  unsigned period_s, times; /* S announces */
  unsigned claims_s;        /* a third one claims each so many seconds; 0: never */
  AapType claim;
  uint64_t owned, suspended;
} Going;

static const Going goings[] = {
  { "goes on beyond the window", 30, 5, 0, AAP_ACLM, 0, 0 },
  { "until the window's end", 30, 4, 0, AAP_ACLM, 4, 4 },
  { "goes on, but somebody claims", 30, 10, 45, AAP_ACLM, 4, 4 },
  { "goes on, but somebody intends", 30, 10, 45, AAP_AITU, 4, 4 },
  { "once and again later: another defence", 120, 4, 0, AAP_ACLM, 4, 4 },
};

Test(aap_conflict, who_goes_on_is_a_holder)
{
  for (size_t i = 0; i < G_N_ELEMENTS(goings); i++) {
    const Going *row = &goings[i];
    AapBed *bed = holder();
    AapNode *node = &bed->nodes[0];
    int64_t since = bed->now;
    for (unsigned s = 0; s <= row->period_s * (row->times - 1); s++) {
      aap_bed_run(bed, since + S(s));
      if (row->claims_s > 0 && s % row->claims_s == 0)
        aap_bed_inject(node, T_, row->claim, 9, OWN, 9000);
      if (s % row->period_s == 0)
        aap_bed_inject(node, S_, AAP_AIU, 1 + s, OWN, 7200);
    }
    cr_assert_eq(aap_bed_owned(node), row->owned, "%s: owned", row->name);
    cr_assert_eq(suspended(node), row->suspended, "%s: suspended", row->name);
    aap_bed_run(bed, bed->now + S(91));
    cr_assert_eq(suspended(node), 0, "%s: over", row->name);
    cr_assert_eq(aap_bed_owned(node), row->owned, "%s: owned", row->name);
    aap_bed_check(bed);
    aap_bed_free(bed);
  }
}

/* Both S and we claiming don't make a third. */
Test(aap_conflict, the_announcers_own_claim_does_not_excuse_it)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  for (unsigned i = 0; i <= 4; i++) {
    aap_bed_inject(node, S_, AAP_AITU, 9, OWN, 7200);
    aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200);
    aap_bed_run(bed, bed->now + S(30));
  }
  cr_assert_eq(aap_bed_owned(node), 0);
  aap_bed_free(bed);
}

Test(aap_conflict, two_who_defend_suspend_until_both_are_silent)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.16-233.252.0.17", 7200);
  aap_bed_run(bed, bed->now + S(40));
  aap_bed_inject(node, T_, AAP_AIU, 1, "233.252.0.17-233.252.0.18", 7200);
  cr_assert_eq(suspended(node), 3);
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_eq(suspended(node), 2);
  cr_assert_not(aap_spans_overlap(node->suspended, aap_bed_span("233.252.0.16")));
  aap_bed_run(bed, bed->now + S(40));
  cr_assert_eq(suspended(node), 0);
  aap_bed_free(bed);
}

/* The record has no foreign allocation of what is ours. */
Test(aap_conflict, a_defence_of_ours_is_no_foreign_allocation)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.14-233.252.0.17", 7200);
  cr_assert_eq(aap_zone_usage(node->zone, aap_bed_clock(node)).foreign, 2);
  aap_bed_free(bed);
}

Test(aap_conflict, stale_data_restart_the_back_off)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  node->zone->now = aap_bed_clock(node);
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0010), AAP_BED_EPOCH + 20000);
  aap_bed_run(bed, bed->now + S(100));
  int64_t since = bed->now;
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200);
  cr_assert_eq(aap_bed_owned(node), 4);
  aap_bed_run(bed, since + S(32));
  g_autofree char *times = aap_bed_times(bed, 0, AAP_AIU, since);
  cr_assert_str_eq(times, "0 10 30 70 150 310", "%s", times);
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 20000); /* the latest: no need to */
  since = bed->now;
  aap_bed_run(bed, since + S(10));
  cr_assert_eq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 0);
  aap_bed_free(bed);
}

Test(aap_conflict, a_flood_of_stale_data_is_answered_once_a_second)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  node->zone->now = aap_bed_clock(node);
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0010), AAP_BED_EPOCH + 20000);
  aap_bed_run(bed, bed->now + S(100));
  int64_t since = bed->now;
  for (unsigned i = 0; i < 100; i++) {
    aap_bed_inject(node, S_, AAP_AIU, i, OWN, 7200);
    aap_bed_run(bed, bed->now + S(1) / 10);
  }
  cr_assert_leq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 11);
  aap_bed_free(bed);
}

/* What was advertised in a former life is not known one by one. */
Test(aap_conflict, after_a_restart_an_older_end_is_no_conflict)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  node->zone->now = aap_bed_clock(node);
  aap_owns_set_end(node->zone, mal_address_ipv4(0xe9fc0010), AAP_BED_EPOCH + 20000);
  aap_bed_run(bed, bed->now + S(100));
  aap_bed_crash(bed, 0);
  aap_bed_restart(bed, 0, true);
  aap_bed_available(bed, LARGE, 30 * DAY);
  aap_bed_listened(bed);
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200);
  cr_assert_eq(aap_bed_owned(node), 4);
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 20011);
  cr_assert_eq(aap_bed_owned(node), 0);
  aap_bed_free(bed);
}

Test(aap_conflict, a_step_of_our_clock_moves_what_others_remember)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  node->skew_s = 600;
  aap_zone_clock_stepped(node->zone, 600, aap_bed_clock(node));
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200); /* its clock: 600 s behind ours now */
  cr_assert_eq(aap_bed_owned(node), 4);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* A peer's notes are bounded, and so are the peers. */
Test(aap_conflict, many_voices)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  for (unsigned i = 0; i < 2000; i++) {
    g_autofree char *from = g_strdup_printf("198.51.%u.%u", 100 + i / 250, 1 + i % 250);
    aap_bed_inject(node, from, i % 2 ? AAP_AIU : AAP_AITU, 1, "233.252.0.16-233.252.0.17", 7200);
  }
  cr_assert_eq(aap_bed_owned(node), 4);
  cr_assert_eq(suspended(node), 2);
  aap_bed_run(bed, bed->now + S(100));
  cr_assert_eq(suspended(node), 0);
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- notes and claims in detail (A-49) ------------------------------------------------------- */

/* Each address is noted for as long as it is renewed, whatever is noted beside it. */
Test(aap_conflict, aap_86_notes_of_neighbours_end_each_in_its_time)
{
  static const struct {
    int64_t at;
    const char *heard;
    uint64_t suspended; /* after that */
  } steps[] = {
    { 0, "233.252.0.16", 1 },  { 0, "233.252.0.17", 2 },  { 60, "233.252.0.16", 2 },
    { 60, "233.252.0.18", 3 }, { 70, "233.252.0.19", 4 }, { 89, NULL, 4 },
    { 90, NULL, 3 },           { 149, NULL, 3 },          { 150, NULL, 1 },
    { 160, NULL, 0 },
  };
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  int64_t since = bed->now;
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    aap_bed_run(bed, since + S(steps[i].at));
    if (steps[i].heard != NULL)
      aap_bed_inject(node, S_, AAP_AIU, 1, steps[i].heard, 7200);
    cr_assert_eq(suspended(node), steps[i].suspended, "%zu: %u", i, (unsigned)suspended(node));
  }
  cr_assert_eq(aap_bed_owned(node), 4);
  aap_bed_free(bed);
}

/* S goes on for longer than the window: excused by the latest claim of a third, of any part. */
Test(aap_conflict, aap_84_88_the_latest_claim_of_a_third_counts)
{
  static const struct {
    const char *name;
    int64_t late, again, owned; /* T's second claim, S's last AIU, both after S's first */
  } cases[] = { { "within the window", 60, 100, 4 }, { "none so late", 5, 100, 0 } };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapBed *bed = holder();
    AapNode *node = &bed->nodes[0];
    int64_t since = bed->now;
    aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200);
    aap_bed_inject(node, T_, AAP_ACLM, 1, "233.252.0.17", 9000);
    aap_bed_run(bed, since + S(cases[i].late));
    aap_bed_inject(node, T_, AAP_ACLM, 2, "233.252.0.16", 9000);
    aap_bed_run(bed, since + S(80));
    aap_bed_inject(node, S_, AAP_AIU, 2, OWN, 7200);
    bed->now = since + S(cases[i].again); /* the timers are late: nothing was forgotten yet */
    aap_bed_inject(node, S_, AAP_AIU, 3, "233.252.0.16-233.252.0.17", 7200);
    cr_assert_eq(aap_bed_owned(node), cases[i].owned == 4 ? 4 : 2, "%s", cases[i].name);
    aap_bed_free(bed);
  }
}

/* Of too many voices the one that was silent longest is forgotten, not the one heard first. */
Test(aap_conflict, aap_169_who_speaks_again_is_not_forgotten)
{
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.16", 7200);
  for (unsigned i = 1; i < 256; i++) {
    g_autofree char *from = g_strdup_printf("198.51.100.%u", i);
    aap_bed_run(bed, bed->now + S(1) / 10);
    aap_bed_inject(node, from, AAP_AITU, 1, "233.252.0.17", 9000);
  }
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.16", 7200);
  for (unsigned i = 1; i < 200; i++) {
    g_autofree char *from = g_strdup_printf("198.51.101.%u", i);
    aap_bed_inject(node, from, AAP_AITU, 1, "233.252.0.17", 9000);
  }
  cr_assert_eq(suspended(node), 1);
  cr_assert_eq(node->zone->owns->voices->len, 256);
  aap_bed_free(bed);
}

/* The end of a part in the message, another part of the block beside it. */
Test(aap_conflict, aap_84_88_parts_of_a_block_in_a_space_with_a_hole)
{
  static const char *spaces = "233.252.0.16-233.252.0.17;233.252.0.19";
  AapBed *bed = holder();
  AapNode *node = &bed->nodes[0];
  aap_bed_available(bed, spaces, 5000);
  cr_assert_eq(aap_bed_owned(node), 3);
  aap_bed_run(bed, bed->now + S(100));
  int64_t since = bed->now;
  aap_bed_inject(node, S_, AAP_AIU, 1, OWN, 7200); /* what it was before the space shrank */
  cr_assert_eq(suspended(node), 3);
  aap_bed_run(bed, since + S(2));
  cr_assert_geq(aap_bed_count(bed, 0, AAP_AIU, since, NULL), 2, "stale: the back-off again");
  aap_bed_inject(node, S_, AAP_AIU, 1, "233.252.0.19", 9000);
  cr_assert_eq(aap_bed_owned(node), 2);
  cr_assert(aap_spans_overlap(node->owned, aap_bed_span("233.252.0.16")));
  aap_bed_check(bed);
  aap_bed_free(bed);
}

/* ---- much of it (AAP-169) -------------------------------------------------------------------- */

/* N messages of 40 ranges each: every second address of WIDE. */
static void hear_splinters_of(AapNode *node, const char *peer, AapType type, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    g_autoptr(GString) spans = g_string_new(NULL);
    for (unsigned k = 0; k < 40; k++)
      g_string_append_printf(spans, "%s239.255.%u.%u", k > 0 ? ";" : "",
                             16 + (40 * i + k) / 128, (40 * i + k) % 128 * 2);
    aap_bed_inject(node, peer, type, i, spans->str, 90000);
  }
}

static void hear_splinters(AapNode *node, AapType type, unsigned n)
{
  hear_splinters_of(node, S_, type, n);
}

/* What isn't noted isn't suspended either: nothing would ever resume it. */
Test(aap_conflict, aap_86_169_notes_of_one_voice_are_bounded)
{
  AapBed *bed = wide_holder();
  AapNode *node = &bed->nodes[0];
  hear_splinters(node, AAP_AIU, 20);
  cr_assert_eq(suspended(node), 512);
  aap_bed_run(bed, bed->now + S(100));
  cr_assert_eq(suspended(node), 0, "%u for ever", (unsigned)suspended(node));
  cr_assert_eq(aap_bed_owned(node), 4096);
  aap_bed_free(bed);
}

Test(aap_conflict, aap_169_notes_of_all_voices_are_bounded)
{
  AapBed *bed = wide_holder();
  AapNode *node = &bed->nodes[0];
  const GPtrArray *voices = node->zone->owns->voices;
  size_t notes = 0;
  for (unsigned i = 0; i < 10; i++) {
    g_autofree char *peer = g_strdup_printf("192.0.2.%u", 100 + i);
    hear_splinters_of(node, peer, AAP_AIU, 20);
  }
  cr_assert_eq(voices->len, 10);
  for (unsigned i = 0; i < voices->len; i++)
    notes += aap_intervals_count(((const AapVoice *)g_ptr_array_index(voices, i))->notes);
  cr_expect_eq(notes, 4096, "%zu", notes);
  aap_bed_run(bed, bed->now + S(100));
  cr_expect_eq(suspended(node), 0);
  aap_bed_free(bed);
}

Test(aap_conflict, aap_169_claims_of_one_voice_are_bounded)
{
  AapBed *bed = wide_holder();
  AapNode *node = &bed->nodes[0];
  hear_splinters(node, AAP_AITU, 20);
  cr_assert_eq(node->zone->owns->voices->len, 1);
  const AapVoice *voice = g_ptr_array_index(node->zone->owns->voices, 0);
  cr_assert_eq(aap_intervals_count(voice->claims), 512);
  aap_bed_free(bed);
}
