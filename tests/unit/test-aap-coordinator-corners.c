/* The prefix coordinator where sets are empty, ended, cut or far: what plain use seldom meets. */
#include "aap-coordinator-bed.h"

static void set_many(Bed *b, const AapExtent *extents, size_t n)
{
  aap_coordinator_set_ranges(b->c, extents, n, now_of(b));
}

Test(aap_coordinator_corners, what_has_ended_is_announced_by_nobody_and_ends_part_neighbours)
{
  Bed b;
  init(&b);
  AapExtent extents[] = { { span_of("233.252.0.0-233.252.0.9"), T0 + 30 },
                          { span_of("233.252.0.10-233.252.0.19"), T0 + 86400 },
                          { span_of("233.252.0.20-233.252.0.29"), T0 + 86500 } };
  set_many(&b, extents, G_N_ELEMENTS(extents));
  aap_coordinator_start(b.c, now_of(&b));
  run(&b, S(60));
  cr_assert_eq(b.sent.n_ranges, 2, "one has ended, and two of different ends are not joined");
  cr_assert(mal_address_equal(b.ranges[0].span.first, extents[1].span.first));
  clear(&b);
}

/* Whether its set changed decides if it announces at once. */
Test(aap_coordinator_corners, aap_155_the_same_set_again_is_no_change)
{
  static const struct { const char *first, *second; MalTime end; bool same; } sets_again[] = {
    { A, "233.252.2.0-233.252.2.9", 86400, true },
    { A, "233.252.2.0-233.252.2.9", 86401, false },
    { A, "233.252.2.1-233.252.2.9", 86400, false },
    { A, "233.252.2.0-233.252.2.8", 86400, false },
    { A, NULL, 86400, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(sets_again); i++) {
    Bed b;
    init(&b);
    set(&b, A, "233.252.2.0-233.252.2.9", T0 + 86400);
    aap_coordinator_start(b.c, now_of(&b));
    run(&b, S(60));
    set(&b, sets_again[i].first, sets_again[i].second, T0 + sets_again[i].end);
    cr_assert_eq(b.n_sent, sets_again[i].same ? 1 : 2, "%zu", i);
    clear(&b);
  }
}

Test(aap_coordinator_corners, without_ranges_before_and_after_it_stays_where_it_was)
{
  Bed b;
  init(&b);
  aap_coordinator_start(b.c, now_of(&b));
  set_many(&b, NULL, 0);
  cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_INIT);
  set(&b, A, NULL, T0 + 86400);
  set_many(&b, NULL, 0);
  cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_BACKUP);
  hear(&b, A, NULL, T0 - 1, 0, false);
  cr_assert_eq(b.n_adopted, 0, "nothing is left of what was heard");
  clear(&b);
}

Test(aap_coordinator_corners, who_asks_for_an_announcement_gets_one_from_the_lead_alone)
{
  Bed b;
  begin_backup(&b);
  cr_assert(!aap_coordinator_announce(b.c, now_of(&b)) && b.n_sent == 0);
  run(&b, S(60));
  cr_assert(aap_coordinator_announce(b.c, now_of(&b)) && b.n_sent == 2);
  clear(&b);
}

/* The latest expiration moves with the clock, and is none before the first. */
Test(aap_coordinator_corners, aap_155_expirations_after_a_step_of_the_clock)
{
  Bed b;
  init(&b);
  aap_coordinator_clock_stepped(b.c, 1000, now_of(&b));
  set(&b, A, NULL, T0 + 86400);
  aap_coordinator_start(b.c, now_of(&b));
  run(&b, S(60));
  cr_assert_eq(b.sent.expiration_time, T0 + 60 + 150, "a step before it plays no part");
  aap_coordinator_clock_stepped(b.c, 500, now_of(&b));
  aap_coordinator_announce(b.c, now_of(&b));
  cr_assert_eq(b.sent.expiration_time, T0 + 60 + 150 + 500 + 2);
  clear(&b);
}

Test(aap_coordinator_corners, a_message_before_the_start_is_not_heeded)
{
  Bed b;
  init(&b);
  hear(&b, A, NULL, T0 + 86400, 0, false);
  cr_assert_eq(b.n_adopted, 0);
  clear(&b);
  aap_coordinator_free(NULL);
}

/* Ends beyond ten years are no end, whatever they say (4.2.1.1). */
Test(aap_coordinator_corners, aap_158_far_ends_agree_and_near_ones_do_not_agree_with_them)
{
  static const struct { MalTime ours, theirs; bool consistent; } ends[] = {
    { MAL_FOREVER, T0 + (MalTime)12 * 365 * 86400, true },
    { MAL_FOREVER, MAL_FOREVER, true },
    { MAL_FOREVER, T0 + 86400, false },
    { T0 + 86400, MAL_FOREVER, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
    Bed b;
    init(&b);
    set(&b, A, NULL, ends[i].ours);
    aap_coordinator_start(b.c, now_of(&b));
    hear(&b, A, NULL, ends[i].theirs, 0, false);
    cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], !ends[i].consistent, "%zu", i);
    clear(&b);
  }
}

Test(aap_coordinator_corners, aap_158_two_who_have_nothing_left_agree)
{
  for (int theirs = 0; theirs <= 1; theirs++) {
    Bed b;
    init(&b);
    set(&b, A, NULL, T0 + 20);
    aap_coordinator_start(b.c, now_of(&b));
    run(&b, S(30));
    hear(&b, A, NULL, T0 + (theirs ? 86400 : 20), 0, false);
    cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], (unsigned)theirs);
    clear(&b);
  }
}

/* What one joins and the other has in pieces, whose ends agree within the tolerance. */
Test(aap_coordinator_corners, aap_158_sets_that_are_cut_at_different_places)
{
  static const char *const cuts[] = { "233.252.0.0-233.252.0.31", "233.252.0.32-233.252.0.95",
                                      "233.252.0.96-233.252.0.127" };
  for (int ours = 0; ours <= 1; ours++) {
    Bed b;
    init(&b);
    AapExtent extents[3];
    AapRange ranges[3];
    for (unsigned i = 0; i < 3; i++) {
      extents[i] = (AapExtent){ span_of(cuts[i]), T0 + 86400 + i };
      ranges[i] = (AapRange){ extents[i].span, (uint32_t)extents[i].end };
    }
    AapExtent whole = { span_of(A), T0 + 86400 };
    AapRange wire = { whole.span, (uint32_t)whole.end };
    set_many(&b, ours ? extents : &whole, ours ? 3 : 1);
    aap_coordinator_start(b.c, now_of(&b));
    AapMessage msg = { .type = AAP_ASA,
                       .family = MAL_IPV4,
                       .current_time = (uint32_t)T0,
                       .expiration_time = (uint32_t)T0 + 150,
                       .ranges = ours ? &wire : ranges,
                       .n_ranges = ours ? 1 : 3 };
    aap_coordinator_heard(b.c, other, &msg, now_of(&b));
    cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 0);
    msg.n_ranges = ours ? 1 : 2;
    if (ours)
      wire.span.last = extents[1].span.last;
    aap_coordinator_heard(b.c, other, &msg, now_of(&b));
    cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 1);
    /* While it is suspended, one that agrees doesn't put it back. */
    msg.n_ranges = ours ? 1 : 3;
    wire.span.last = whole.span.last;
    aap_coordinator_heard(b.c, other, &msg, now_of(&b));
    cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_SUSPENDED);
    clear(&b);
  }
}

Test(aap_coordinator_corners, aap_161_a_report_of_another_number_or_other_ends_of_ranges)
{
  Bed b;
  begin_lead(&b);
  report(&b, "233.252.0.0-233.252.0.126", 10, 5);
  cr_assert_eq(b.notes[AAP_CNOTE_REPORT_IGNORED], 1, "another last address");
  AapRange range[2] = { { span_of(A), 1 }, { span_of(B), 1 } };
  AapMessage msg = { .type = AAP_ASRP,
                     .family = MAL_IPV4,
                     .current_time = (uint32_t)now_of(&b).wall,
                     .ranges = range,
                     .n_ranges = 2 };
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  msg.n_ranges = 0;
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  cr_assert_eq(b.notes[AAP_CNOTE_REPORT_IGNORED], 3, "another number, or none");
  aap_coordinator_set_ranges(b.c, NULL, 0, now_of(&b));
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  cr_assert_eq(b.notes[AAP_CNOTE_REPORT_IGNORED], 4, "none, and nothing was announced");
  clear(&b);
}

Test(aap_coordinator_corners, aap_163_what_is_wanted_of_a_report)
{
  Bed b;
  begin_lead(&b);
  uint32_t now = (uint32_t)now_of(&b).wall;
  AapRange range = { span_of(A), 10 };
  AapRequest requests[2] = { { 3, now + 9000 }, { 4, now + 5000 } };
  AapMessage msg = { .type = AAP_ASRP,
                     .family = MAL_IPV4,
                     .current_time = now,
                     .ranges = &range,
                     .n_ranges = 1,
                     .requests = requests,
                     .n_requests = 2 };
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  cr_assert(b.n_wanted == 1 && b.wanted == 7 && b.wanted_end == (MalTime)now + 9000);
  requests[0] = (AapRequest){ 3, now - 10 };
  msg.n_requests = 1;
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  cr_assert_eq(b.n_wanted, 1, "until an instant that is over");
  clear(&b);
}

static void hear_nothing(Bed *b)
{
  uint32_t clock = (uint32_t)now_of(b).wall;
  AapMessage msg = { .type = AAP_ASA,
                     .family = MAL_IPV4,
                     .current_time = clock,
                     .expiration_time = clock + 150 };
  aap_coordinator_heard(b->c, other, &msg, now_of(b));
}

Test(aap_coordinator_corners, aap_158_164_an_announcement_of_nothing)
{
  Bed b;
  init(&b);
  aap_coordinator_start(b.c, now_of(&b));
  hear_nothing(&b);
  cr_assert_eq(b.n_adopted, 0);
  set(&b, A, NULL, T0 + 86400);
  hear_nothing(&b);
  cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 1);
  clear(&b);
}

/* What is wanted is said again until there is more, though nothing is announced meanwhile. */
Test(aap_coordinator_corners, a_41_what_was_wanted_is_said_again)
{
  Bed b;
  init(&b);
  b.params.asrp_interval = S(8);
  aap_coordinator_start(b.c, now_of(&b));
  hear_ana(&b, 7, T0 + 20);
  run(&b, S(9));
  cr_assert(b.n_wanted == 2 && b.n_sent == 0);
  run(&b, S(100));
  cr_assert_eq(b.n_wanted, 3, "until it is over");
  cr_assert_eq(aap_coordinator_due(b.c), AAP_NEVER);
  clear(&b);
}

/* More ranges than we announce: they are not taken back either. */
Test(aap_coordinator_corners, aap_149_no_more_is_taken_back_than_fits)
{
  for (unsigned n = 255; n <= 256; n++) {
    Bed b;
    AapRange ranges[256];
    init(&b);
    b.vouched = "";
    for (unsigned i = 0; i < n; i++) {
      MalAddress at = mal_address_ipv4(0xe9fc0000 + 2 * i);
      ranges[i] = (AapRange){ { at, at }, (uint32_t)T0 + 86400 };
    }
    AapMessage msg = { .type = AAP_ASA,
                       .family = MAL_IPV4,
                       .current_time = (uint32_t)T0,
                       .expiration_time = (uint32_t)T0,
                       .ranges = ranges,
                       .n_ranges = n };
    aap_coordinator_start(b.c, now_of(&b));
    aap_coordinator_heard(b.c, other, &msg, now_of(&b));
    cr_expect(b.n_adopted == 0 && b.n_sent == (n == 255 ? 1 : 0), "%u", n);
    clear(&b);
  }
}

Test(aap_coordinator_corners, aap_164_without_a_layer_3_all_is_taken_over)
{
  Bed b;
  AapCoordinatorOps plain = ops;
  init(&b);
  plain.vouch = NULL;
  aap_coordinator_free(b.c);
  b.c = aap_coordinator_new(&(AapCoordinatorConfig){
      "global", span_of("224.0.1.0-238.255.255.255"), &b.params, b.sequence, &plain, &b });
  b.vouched = "";
  aap_coordinator_start(b.c, now_of(&b));
  hear(&b, A, NULL, T0 + 86400, 0, true);
  cr_expect_eq(b.n_adopted, 1);
  clear(&b);
}
