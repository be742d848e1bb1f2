/* The Allocation Record: what the statements say of it one by one, requests, and its bounds
   (draft-ietf-malloc-aap-04 sections 3.2.1, 3.2.8, 3.2.9, 3.2.10.1). */
#include "plugins/aap/aap-record-private.h"
#include "plugins/aap/aap-time.h"
#include "tests/unit/aap-toy.h"

#define NOW 5000000

static const Toy toy = TOY_IPV4;
static AapParams params = { .end_tolerance_s = 10,
                            .reuse_guard_s = 300,
                            .claim_memory = 10 * AAP_US,
                            .prealloc_recent = 90 * AAP_US,
                            .max_entries = 1000 };

static AapNow at(int64_t seconds)
{
  return (AapNow){ (1000 + seconds) * AAP_US, NOW + seconds };
}

static bool in_use(AapRecord *record, unsigned peer, unsigned first, unsigned last, MalTime end)
{
  AapExtent range = { toy_span(&toy, first, last), end };
  return aap_record_in_use(record, toy_peer(peer), &range, at(0));
}

static bool intend(AapRecord *record, unsigned peer, uint32_t rseq, unsigned first, unsigned last)
{
  AapExtent range = { toy_span(&toy, first, last), NOW + 5000 };
  return aap_record_intend(record, toy_peer(peer), rseq, &range, 1, at(0));
}

/* "FIRST-LAST=END/PEER ..." in cells and seconds from now. */
static void write_down(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  (void)heard;
  g_string_append_printf(data, "%u-%u=%ld/%u ", toy_cell(&toy, span.first),
                         toy_cell(&toy, span.last), (long)(end - NOW),
                         (unsigned)(peer.address.value & 0xFF));
}

static void expect(const AapRecord *record, AapNow now, const char *allocated, const char *intended)
{
  g_autoptr(GString) a = g_string_new(NULL), i = g_string_new(NULL);
  aap_record_foreign(record, toy_all(&toy), now, write_down, a);
  aap_record_foreign_preallocated(record, toy_all(&toy), now, write_down, i);
  cr_expect_str_eq(a->str, allocated);
  cr_expect_str_eq(i->str, intended);
  aap_record_check(record);
}

Test(aap_record, aap_55_entries_go_at_their_end)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  g_autoptr(GString) gone = g_string_new(NULL);
  in_use(record, 1, 0, 9, NOW + 100);
  intend(record, 2, 1, 20, 29);
  aap_record_request(record, toy_peer(3), 1, 5, NOW + 50, at(0));
  cr_expect_eq(aap_record_due(record), NOW + 50);
  aap_record_expire(record, at(50), write_down, gone);
  cr_expect_eq(aap_record_requests(record)->len, 0);
  cr_expect_eq(aap_record_due(record), NOW + 100);
  expect(record, at(99), "0-9=100/1 ", "20-29=5000/2 ");
  expect(record, at(100), "", "20-29=5000/2 ");
  aap_record_expire(record, at(100), write_down, gone);
  cr_expect_str_eq(gone->str, "0-9=100/1 ");
  cr_expect_eq(aap_record_due(record), NOW + 5000);
  aap_record_expire(record, at(5000), write_down, gone);
  AapRecordSize size = aap_record_size(record);
  cr_expect(size.foreign == 0 && size.preallocated == 0 && size.ended == 0);
  cr_expect_eq(aap_record_due(record), MAL_FOREVER);
}

Test(aap_record, aap_56_available_space_stays_until_replaced)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  AapExtent range = { toy_span(&toy, 0, 99), NOW + 100 };
  cr_expect_eq(aap_record_available_until(record, toy_span(&toy, 5, 6)), MAL_FOREVER);
  aap_record_set_available(record, &range, 1);
  aap_record_expire(record, at(90), NULL, NULL);
  cr_expect_eq(aap_record_available_until(record, toy_span(&toy, 5, 6)), NOW + 100);
  cr_expect_eq(aap_record_available_until(record, toy_span(&toy, 99, 100)), MAL_BEGINNING);
  aap_record_set_available(record, NULL, 0);
  cr_expect_eq(aap_record_available_until(record, toy_span(&toy, 5, 6)), MAL_BEGINNING);
}

Test(aap_record, aap_57_the_last_aiu_counts)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  in_use(record, 1, 0, 9, NOW + 1000);
  in_use(record, 2, 4, 5, NOW + 500);
  expect(record, at(0), "0-3=1000/1 4-5=500/2 6-9=1000/1 ", "");
  in_use(record, 3, 0, 9, NOW + 2000);
  expect(record, at(0), "0-9=2000/3 ", "");
}

Test(aap_record, aap_58_aitu_replaces_aiu_never_releases)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  intend(record, 1, 7, 0, 9);
  intend(record, 1, 8, 20, 29);
  intend(record, 2, 7, 5, 12);
  expect(record, at(0), "", "0-9=5000/1 20-29=5000/1 5-12=5000/2 ");
  intend(record, 1, 7, 2, 3);
  expect(record, at(0), "", "2-3=5000/1 20-29=5000/1 5-12=5000/2 ");
  in_use(record, 1, 30, 31, NOW + 10);
  in_use(record, 1, 22, 23, NOW + 10);
  expect(record, at(0), "22-23=10/1 30-31=10/1 ",
         "2-3=5000/1 20-21=5000/1 24-29=5000/1 5-12=5000/2 ");
  intend(record, 3, 1, 21, 31);
  expect(record, at(0), "22-23=10/1 30-31=10/1 ",
         "2-3=5000/1 20-21=5000/1 24-29=5000/1 5-12=5000/2 21-21=5000/3 24-29=5000/3 ");
  cr_assert(aap_record_intend(record, toy_peer(1), 8, NULL, 0, at(0)));
  expect(record, at(0), "22-23=10/1 30-31=10/1 ",
         "2-3=5000/1 5-12=5000/2 21-21=5000/3 24-29=5000/3 ");
}

Test(aap_record, aap_59_an_ended_aiu_deletes)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  in_use(record, 1, 0, 9, NOW + 1000);
  intend(record, 2, 1, 20, 29);
  cr_expect(in_use(record, 3, 4, 25, NOW - 60));
  expect(record, at(0), "0-3=1000/1 ", "20-29=5000/2 ");
}

static AapRank rank_of(const AapRecord *record, unsigned cell, AapNow now);

static void keep_rank(MalSpan span, AapRank rank, void *data)
{
  (void)span;
  *(AapRank *)data = rank;
}

static AapRank rank_of(const AapRecord *record, unsigned cell, AapNow now)
{
  AapRank rank = AAP_RANK_TAKEN;
  aap_record_ranks(record, toy_span(&toy, cell, cell), now, keep_rank, &rank);
  return rank;
}

Test(aap_record, aap_113_ranks_change_with_time)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  AapExtent claim = { toy_span(&toy, 40, 40), NOW + 5000 };
  in_use(record, 1, 0, 0, NOW + 1000);
  in_use(record, 1, 1, 1, NOW + 1000);
  in_use(record, 1, 1, 1, NOW - 60);
  intend(record, 2, 1, 20, 20);
  aap_record_claimed(record, toy_peer(3), 1, &claim, 1, at(0));
  aap_record_ended(record, toy_span(&toy, 50, 50), NOW);
  aap_record_ended(record, toy_span(&toy, 50, 50), NOW - 100);
  static const struct {
    unsigned cell;
    int64_t at;
    AapRank rank;
  } cases[] = {
    { 0, 999, AAP_RANK_TAKEN },     { 0, 1000, AAP_RANK_FREE },
    { 1, 239, AAP_RANK_GUARDED },   { 1, 240, AAP_RANK_FREE },
    { 20, 90, AAP_RANK_RECENT },    { 20, 91, AAP_RANK_SILENT },
    { 20, 4999, AAP_RANK_SILENT },  { 20, 5000, AAP_RANK_FREE },
    { 40, 9, AAP_RANK_GUARDED },    { 40, 10, AAP_RANK_FREE },
    { 50, 299, AAP_RANK_GUARDED },  { 50, 300, AAP_RANK_FREE },
    { 60, 0, AAP_RANK_FREE },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    cr_expect_eq(rank_of(record, cases[i].cell, at(cases[i].at)), cases[i].rank, "%zu", i);
}

/* An allocation that the available space cut short is kept, and counts again with it. */
Test(aap_record, effective_ends_follow_the_space)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  AapExtent ranges[] = { { toy_span(&toy, 0, 3), NOW + 100 }, { toy_span(&toy, 4, 5), NOW - 1 },
                         { toy_span(&toy, 6, 6), NOW + 9000 } };
  in_use(record, 1, 0, 9, NOW + 1000);
  aap_record_set_available(record, ranges, 3);
  expect(record, at(0), "0-3=100/1 6-6=1000/1 ", "");
  cr_expect_not(aap_record_is_foreign(record, toy_span(&toy, 4, 5), at(0)));
  cr_expect(aap_record_is_foreign(record, toy_span(&toy, 4, 6), at(0)));
  aap_record_expire(record, at(200), NULL, NULL);
  ranges[0] = (AapExtent){ toy_all(&toy), NOW + 9000 };
  aap_record_set_available(record, ranges, 1);
  expect(record, at(200), "0-9=1000/1 ", "");
}

/* ---- requests -------------------------------------------------------------------------------- */

Test(aap_record, aap_122_a_request_is_kept_once)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  static const struct {
    unsigned peer, rseq;
    uint64_t count;
    int64_t end;
    bool new;
    guint then;
  } cases[] = {
    { 1, 1, 10, 1000, true, 1 },  { 1, 1, 10, 1010, false, 1 }, { 1, 1, 10, 990, false, 1 },
    { 1, 1, 10, 1011, true, 1 },  { 1, 1, 11, 1011, true, 1 },  { 1, 2, 11, 1011, true, 2 },
    { 2, 1, 11, 1011, true, 3 },  { 3, 1, 11, 0, false, 3 },    { 3, 1, 11, -60, false, 3 },
    { 3, 1, 0, 1000, false, 3 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    cr_expect_eq(aap_record_request(record, toy_peer(cases[i].peer), cases[i].rseq, cases[i].count,
                                    NOW + cases[i].end, at(0)),
                 cases[i].new, "%zu", i);
    cr_expect_eq(aap_record_requests(record)->len, cases[i].then, "%zu", i);
  }
  aap_record_drop_request(record, toy_peer(1), 2);
  aap_record_drop_request(record, toy_peer(1), 3);
  cr_expect_eq(aap_record_requests(record)->len, 2);
}

static void write_request(const AapDemand *request, void *data)
{
  g_string_append_printf(data, "%u ", request->rseq);
}

Test(aap_record, aap_131_satisfied_requests_leave)
{
  static const struct {
    const char *requests; /* COUNT@END */
    uint64_t allocated[2];
    const char *gone;
  } cases[] = { /* 10 addresses until 100, 20 until 200, 30 that have ended */
    { "10@50", { 0, 0, }, "0 " },
    { "31@50", { 0, 0 }, "" },
    { "30@50", { 0, 0 }, "0 " },
    { "21@101", { 0, 0 }, "" },
    { "20@101", { 0, 0 }, "0 " },
    { "20@200", { 0, 0 }, "0 " },
    { "1@201", { 0, 0 }, "" },
    { "10@50;20@150", { 0, 0 }, "0 1 " },  /* the first takes those with the shorter end */
    { "11@50;20@150", { 0, 0 }, "0 " },
    { "40@50;20@150", { 0, 0 }, "1 " },    /* one that isn't satisfied takes nothing */
    { "5@50;5@50;1@50", { 10, 10 }, "0 1 " },
    { "1@50", { 99, 99 }, "" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
    g_autoptr(GString) gone = g_string_new(NULL);
    AapExtent ranges[] = { { toy_span(&toy, 0, 9), NOW + 100 },
                           { toy_span(&toy, 10, 29), NOW + 200 },
                           { toy_span(&toy, 30, 59), NOW } };
    uint64_t allocated[] = { cases[i].allocated[0], cases[i].allocated[1], 0 };
    g_auto(GStrv) items = g_strsplit(cases[i].requests, ";", -1);
    aap_record_set_available(record, ranges, 3);
    for (uint32_t k = 0; items[k] != NULL; k++) {
      char *end;
      uint64_t count = g_ascii_strtoull(items[k], &end, 10);
      cr_assert(aap_record_request(record, toy_peer(1), k, count,
                                   NOW + g_ascii_strtoll(end + 1, NULL, 10), at(0)));
    }
    aap_record_satisfy(record, allocated, at(0), write_request, gone);
    cr_expect_str_eq(gone->str, cases[i].gone, "%s", cases[i].requests);
  }
}

/* ---- bounds (AAP-169) ------------------------------------------------------------------------ */

static size_t entries(const AapRecord *record)
{
  AapRecordSize n = aap_record_size(record);
  return n.foreign + n.preallocated + n.claimed + n.ended + n.requests;
}

Test(aap_record, aap_169_what_goes_first_when_full)
{
  AapParams small = params;
  small.max_entries = 6;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &small);
  aap_record_request(record, toy_peer(1), 1, 5, NOW + 50, at(0));
  aap_record_request(record, toy_peer(1), 2, 5, NOW + 50, at(0));
  cr_expect(intend(record, 2, 1, 100, 101) && intend(record, 2, 2, 110, 111));
  cr_expect(in_use(record, 3, 0, 0, NOW + 100) && in_use(record, 3, 2, 2, NOW + 100));
  cr_expect_not(aap_record_request(record, toy_peer(1), 3, 5, NOW + 50, at(0)));
  cr_expect(intend(record, 2, 3, 120, 121));
  AapRecordSize n = aap_record_size(record);
  cr_expect(n.requests == 1 && n.preallocated == 3 && n.foreign == 2);
  for (unsigned i = 0; i < 4; i++)
    cr_expect(in_use(record, 3, 4 + 2 * i, 4 + 2 * i, NOW + 100));
  n = aap_record_size(record);
  cr_expect(n.requests == 0 && n.preallocated == 0 && n.foreign == 6);
  cr_expect_not(in_use(record, 3, 30, 30, NOW + 100), "full");
  cr_expect(in_use(record, 4, 4, 4, NOW + 900), "what is known is refreshed");
  cr_expect(in_use(record, 4, 0, 10, NOW + 900), "and can be joined");
  cr_expect_eq(aap_record_size(record).foreign, 1);
}

Test(aap_record, aap_169_a_flood_stays_inside_the_bound)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  AapParams small = params;
  small.max_entries = 40;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &small);
  for (unsigned i = 0; i < 5000; i++) {
    MalEndpoint peer = toy_peer((unsigned)g_rand_int_range(rand, 0, 200));
    uint32_t rseq = (uint32_t)g_rand_int_range(rand, 0, 5);
    AapNow now = at(i / 10);
    AapExtent ranges[] = { { toy_random(&toy, rand, 9), now.wall } };
    ranges[0].end += g_rand_int_range(rand, -9, 90);
    switch (g_rand_int_range(rand, 0, 5)) {
    case 0:
      aap_record_in_use(record, peer, ranges, now);
      break;
    case 1:
      aap_record_claimed(record, peer, rseq, ranges, 1, now);
      break;
    case 2:
      aap_record_request(record, peer, rseq, 1, ranges[0].end, now);
      break;
    case 3:
      aap_record_ended(record, ranges[0].span, now.wall);
      break;
    default:
      aap_record_intend(record, peer, rseq, ranges, 1, now);
      break;
    }
    MUST(entries(record) <= small.max_entries);
    aap_record_check(record);
    if (i % 100 == 0)
      aap_record_expire(record, now, NULL, NULL);
  }
}

/* Any number of senders that intend one address: the ones heard last are known. */
Test(aap_record, intents_of_one_address_are_bounded)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  for (unsigned i = 0; i < 100; i++) {
    AapExtent range = { toy_span(&toy, i, 100 + i), NOW + 5000 };
    cr_assert(aap_record_intend(record, toy_peer(i), 1, &range, 1, at(i)));
    aap_record_check(record);
  }
  g_autoptr(GString) known = g_string_new(NULL);
  aap_record_foreign_preallocated(record, toy_span(&toy, 100, 100), at(100), write_down, known);
  cr_expect_str_eq(known->str, "100-100=5000/96 100-100=5000/97 100-100=5000/98 100-100=5000/99 ");
}

/* Of four that intend one address the one silent for longest gives way, whenever it began. */
Test(aap_record, who_repeats_its_intent_is_not_displaced)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  static const unsigned order[] = { 1, 2, 3, 4, 1, 5 };
  for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
    AapExtent range = { toy_span(&toy, 9, 9), NOW + 5000 };
    cr_assert(aap_record_intend(record, toy_peer(order[i]), 1, &range, 1, at(i)));
  }
  expect(record, at(6), "", "9-9=5000/1 9-9=5000/3 9-9=5000/4 9-9=5000/5 ");
}

Test(aap_record, aap_169_requests_are_bounded_for_one_and_for_all)
{
  AapParams large = params;
  large.max_entries = 100000;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &large);
  for (unsigned peer = 0; peer < 10; peer++)
    for (uint32_t rseq = 0; rseq < 130; rseq++)
      cr_assert_eq(aap_record_request(record, toy_peer(peer), rseq, 1, NOW + 100, at(0)),
                   peer < 8 && rseq < 128, "%u %u", peer, rseq);
  cr_assert_eq(aap_record_requests(record)->len, 1024);
  cr_expect(aap_record_request(record, toy_peer(3), 5, 2, NOW + 100, at(0)), "a new count");
}

/* Of ranges out of order of their ends, too, the shorter end goes first; who asks need not be
   told. */
Test(aap_record, aap_131_the_shortest_sufficient_end_is_used_up_first)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  AapExtent ranges[] = { { toy_span(&toy, 0, 9), NOW + 200 },
                         { toy_span(&toy, 10, 19), NOW + 100 } };
  uint64_t allocated[] = { 0, 0 };
  aap_record_set_available(record, ranges, 2);
  aap_record_request(record, toy_peer(1), 1, 10, NOW + 50, at(0));
  aap_record_request(record, toy_peer(1), 2, 10, NOW + 150, at(0));
  aap_record_satisfy(record, allocated, at(0), NULL, NULL);
  cr_expect_eq(aap_record_requests(record)->len, 0);
}

/* ---- full, or fuller than it may be (AAP-169) ------------------------------------------------ */

Test(aap_record, aap_169_what_finds_no_room)
{
  AapParams small = params;
  small.max_entries = 1;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &small);
  AapExtent claims[] = { { toy_span(&toy, 100, 100), NOW + 90 },
                         { toy_span(&toy, 102, 102), NOW + 90 } };
  aap_record_restore(record, toy_span(&toy, 50, 60), NOW + 100, toy_peer(1));
  cr_expect_eq(aap_record_size(record).foreign, 0, "room for what is cut in two is kept");
  cr_expect(in_use(record, 1, 0, 9, NOW + 100));
  cr_expect_not(in_use(record, 2, 4, 4, NOW + 900), "three where one was");
  expect(record, at(0), "0-9=100/1 ", "");
  cr_expect_not(aap_record_claimed(record, toy_peer(3), 1, claims, 2, at(0)));
  small.max_entries = 0; /* the configuration was changed */
  cr_expect_not(aap_record_claimed(record, toy_peer(3), 1, claims, 2, at(0)));
  aap_record_ended(record, toy_span(&toy, 120, 120), NOW);
  AapRecordSize n = aap_record_size(record);
  cr_expect(n.foreign == 1 && n.claimed == 0 && n.ended == 0);
}

/* ---- what the store hears -------------------------------------------------------------------- */

static void write_change(MalSpan span, MalTime end, MalEndpoint peer, void *data)
{
  char text[MAL_SPAN_STRLEN];
  (void)peer;
  g_string_append_printf(data, "%s%s;", mal_span_format(span, text),
                         end == MAL_BEGINNING ? " gone" : "");
}

/* Where nobody fetches them, changes don't pile up: all of the space is told anew. */
Test(aap_record, aap_51_169_changes_that_nobody_fetches)
{
  AapParams small = params;
  small.max_entries = 1;
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &small);
  g_autoptr(GString) told = g_string_new(NULL);
  for (unsigned i = 0; i < 6; i += 2)
    cr_expect(in_use(record, 1, i, i, NOW + 100) && in_use(record, 1, i, i, NOW - 60));
  cr_expect(in_use(record, 1, 9, 9, NOW + 100));
  aap_record_changes(record, write_change, told);
  cr_expect_str_eq(told->str, "0.0.0.0-233.252.0.8 gone;233.252.0.9;"
                              "233.252.0.10-255.255.255.255 gone;");
  cr_expect_not(aap_record_has_changes(record));
}

/* A small step of our clock moves the end, and isn't worth a write. */
Test(aap_record, aap_39_a_step_within_the_tolerance_is_no_change)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  g_autoptr(GString) told = g_string_new(NULL);
  in_use(record, 1, 0, 9, NOW + 100);
  aap_record_changes(record, write_change, told);
  aap_record_clock_stepped(record, 10);
  expect(record, at(0), "0-9=110/1 ", "");
  cr_expect_not(aap_record_has_changes(record));
  aap_record_clock_stepped(record, 1);
  cr_expect(aap_record_has_changes(record));
}

/* ---- times and sizes ------------------------------------------------------------------------- */

Test(aap_record, aap_41_shifted_ends_stay_within_what_the_wire_says)
{
  static const struct {
    MalTime end;
    int64_t delta;
    MalTime then;
  } cases[] = {
    { NOW, 10, NOW + 10 },
    { NOW, -10, NOW - 10 },
    { 5, -10, 0 },
    { AAP_TIME_MAX, 10, AAP_TIME_MAX },
    { INT64_MAX - 1, 10, AAP_TIME_MAX },
    { INT64_MIN + 1, -10, 0 },
    { MAL_FOREVER, -10, MAL_FOREVER },
    { MAL_BEGINNING, 10, MAL_BEGINNING },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    cr_expect_eq(aap_record_shifted(cases[i].end, cases[i].delta), cases[i].then, "%zu", i);
}

Test(aap_record, aap_57_neighbours_of_two_servers_stay_two)
{
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV4, &params);
  in_use(record, 1, 0, 4, NOW + 100);
  in_use(record, 2, 5, 9, NOW + 100);
  in_use(record, 2, 10, 14, NOW + 100);
  expect(record, at(0), "0-4=100/1 5-14=100/2 ", "");
  aap_record_request(record, toy_peer(3), 1, 5, NOW + 500, at(0));
  intend(record, 2, 1, 20, 29);
  cr_expect_eq(aap_record_due(record), NOW + 100, "the first of all");
}

Test(aap_record, more_than_64_bits_count)
{
  const Toy wide = TOY_IPV6_WIDE;
  AapExtent range = { toy_span(&wide, 0, 99), NOW + 100 };
  g_autoptr(AapRecord) record = aap_record_new(MAL_IPV6, &params);
  cr_expect(aap_record_in_use(record, toy_peer(1), &range, at(0)));
  cr_expect_eq(aap_record_size(record).foreign_addresses, UINT64_MAX);
  aap_record_check(record);
  aap_record_free(NULL);
}
