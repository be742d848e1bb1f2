/* The prefix coordinator (draft-ietf-malloc-aap-04 section 4). */
#include "aap-coordinator-bed.h"

Test(aap_coordinator, aap_150_151_155_the_timers_and_the_announcement)
{
  Bed b;
  begin_backup(&b);
  cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_BACKUP);
  cr_assert_eq(aap_coordinator_due(b.c), S(60), "AAP-150: between 51 and 69 s");
  run(&b, S(59));
  cr_assert_eq(b.n_sent, 0);
  run(&b, S(60));
  cr_assert(b.n_sent == 1 && aap_coordinator_state(b.c) == AAP_COORDINATOR_LEAD &&
            b.notes[AAP_CNOTE_LEADS] == 1);
  cr_assert_eq(b.sent.current_time, T0 + 60);
  cr_assert_eq(b.sent.expiration_time, T0 + 60 + 150, "AAP-155");
  cr_assert(b.sent.n_ranges == 1 && b.ranges[0].value == T0 + 86400);
  uint32_t rseq = b.sent.rseq;
  cr_assert_eq(aap_coordinator_due(b.c), S(90), "AAP-151: between 21 and 39 s");
  run(&b, S(90));
  cr_assert(b.n_sent == 2 && b.sent.rseq == rseq + 1 && b.sent.mseq == 0, "AAP-47: a new rseq");
  for (int k = 0; k <= 1; k++) {
    b.draw = k;
    int64_t before = b.now = aap_coordinator_due(b.c);
    aap_coordinator_run(b.c, now_of(&b));
    cr_assert_eq(aap_coordinator_due(b.c) - before, k == 0 ? S(21) : S(39));
  }
  clear(&b);
}

Test(aap_coordinator, aap_152_153_a_new_asa_of_another_puts_it_off_and_a_resent_one_does_not)
{
  Bed b;
  begin_backup(&b);
  run(&b, S(20));
  hear(&b, A, NULL, T0 + 86400, 0, false);
  cr_assert_eq(aap_coordinator_due(b.c), S(80), "B20");
  run(&b, S(70));
  hear(&b, A, NULL, T0 + 86400, 0, true);
  cr_assert_eq(aap_coordinator_due(b.c), S(80), "AAP-153");
  run(&b, S(81));
  cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_LEAD);
  hear(&b, A, NULL, T0 + 86400, 3600, false);
  cr_assert(aap_coordinator_state(b.c) == AAP_COORDINATOR_BACKUP &&
            b.notes[AAP_CNOTE_STANDS_BACK] == 1);
  cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 0, "a fast clock is no inconsistency");
  clear(&b);
}

Test(aap_coordinator, aap_155_each_asa_is_newer_than_all_that_were_sent_or_heard)
{
  Bed b;
  begin_lead(&b);
  uint32_t last = b.sent.expiration_time;
  set(&b, A, B, T0 + 86400);
  cr_assert(b.n_sent == 2 && b.sent.expiration_time == last + 2, "at once, by a change of its set");
  cr_assert_eq(b.sent.n_ranges, 1, "neighbours of one end are joined");
  clear(&b);
}

static const struct {
  const char *name, *first, *second;
  int64_t end, skew;
  bool resent, consistent;
} sets[] = {
  { "the same", A, NULL, 86400, 0, false, true },
  { "cut otherwise", "233.252.0.0-233.252.0.63", "233.252.0.64-233.252.0.127", 86400, 0, false,
    true },
  { "within the tolerance", A, NULL, 86409, 0, false, true },
  { "another end", A, NULL, 86420, 0, false, false },
  { "fewer", "233.252.0.0-233.252.0.63", NULL, 86400, 0, false, false },
  { "more", A, B, 86400, 0, false, false },
  { "others", B, NULL, 86400, 0, false, false },
  { "a hole", "233.252.0.0-233.252.0.3", "233.252.0.5-233.252.0.127", 86400, 0, false, false },
  { "other clock, the same", A, NULL, 86400, -7200, false, true },
  { "resent", B, NULL, 86400, 0, true, true },
};

Test(aap_coordinator, aap_158_159_it_stands_back_from_an_inconsistent_one)
{
  for (size_t i = 0; i < G_N_ELEMENTS(sets); i++)
    for (int go_on = 0; go_on <= 1; go_on++) {
      Bed b;
      init(&b);
      b.params.go_on_if_inconsistent = go_on;
      set(&b, A, NULL, T0 + 86400);
      aap_coordinator_start(b.c, now_of(&b));
      run(&b, S(60));
      hear(&b, sets[i].first, sets[i].second, T0 + sets[i].end, sets[i].skew, sets[i].resent);
      bool silent = !sets[i].consistent && !go_on;
      cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], !sets[i].consistent, "%s", sets[i].name);
      cr_assert_eq(aap_coordinator_state(b.c) == AAP_COORDINATOR_SUSPENDED, silent, "%s",
                   sets[i].name);
      if (silent) {
        run(&b, S(160));
        hear(&b, sets[i].first, sets[i].second, T0 + sets[i].end, sets[i].skew, false);
        cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 1, "told once a hold");
        run(&b, S(309));
        cr_assert_eq(b.n_sent, 1, "150 s from the last one");
        run(&b, S(370));
        cr_assert(b.n_sent == 2 && aap_coordinator_state(b.c) == AAP_COORDINATOR_LEAD);
      }
      clear(&b);
    }
}

Test(aap_coordinator, aap_164_without_state_it_takes_over_what_it_hears)
{
  for (int resent = 0; resent <= 1; resent++) {
    Bed b;
    init(&b);
    aap_coordinator_start(b.c, now_of(&b));
    run(&b, S(1000));
    cr_assert(b.n_sent == 0 && aap_coordinator_state(b.c) == AAP_COORDINATOR_INIT);
    hear(&b, A, NULL, T0 + 86400, 240, resent);
    cr_assert(b.n_adopted == 1 && b.adopted[0].end == T0 + 86400, "adjusted ends");
    aap_coordinator_set_ranges(b.c, b.adopted, 1, now_of(&b));
    cr_assert_eq(aap_coordinator_due(b.c), S(1060));
    run(&b, S(1060));
    cr_assert_eq(b.n_sent, 1);
    clear(&b);
  }
}

/* Layer 3 knows better what is the domain's. */
Test(aap_coordinator, s4_1_only_what_layer_3_vouches_for_is_taken_over)
{
  Bed b;
  init(&b);
  b.vouched = A;
  aap_coordinator_start(b.c, now_of(&b));
  hear(&b, A, B, T0 + 86400, 0, true);
  cr_assert(b.n_adopted == 1 && b.adopted[0].end == T0 + 86400);
  cr_assert(mal_address_equal(b.adopted[0].span.last, span_of(A).last));
  cr_assert_eq(b.n_sent, 0);
  clear(&b);
}

/* Servers that say it again were away when it ended. */
Test(aap_coordinator, s4_1_what_is_the_domains_no_more_is_taken_back_where_servers_say_it_again)
{
  Bed b;
  init(&b);
  b.vouched = "";
  aap_coordinator_start(b.c, now_of(&b));
  run(&b, S(1000));
  hear(&b, A, B, T0 + 86400, 0, true);
  cr_assert(b.n_adopted == 0 && b.notes[AAP_CNOTE_ADOPTED] == 0);
  cr_assert_eq(b.n_sent, 1);
  cr_assert(b.sent.type == AAP_ASA && b.sent.n_ranges == 1, "A and B side by side");
  cr_assert_leq(b.sent.ranges[0].value, (uint32_t)now_of(&b).wall);
  cr_assert_gt(b.sent.expiration_time, b.sent.current_time);
  hear(&b, A, NULL, T0 + 86400, 0, true);
  cr_assert_eq(b.n_sent, 2);
  cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_INIT);
  clear(&b);
}

/* Another coordinator announces it: it knows why. */
Test(aap_coordinator, s4_2_1_what_another_one_announces_is_not_taken_back)
{
  Bed b;
  init(&b);
  b.vouched = "";
  aap_coordinator_start(b.c, now_of(&b));
  hear(&b, A, NULL, T0 + 86400, 0, false);
  hear(&b, A, NULL, T0 + 86400, 0, true);
  cr_assert(b.n_adopted == 0 && b.n_sent == 0);
  run(&b, S(70));
  hear(&b, A, NULL, T0 + 86400, 0, true);
  cr_assert_eq(b.n_sent, 1, "that one is silent since");
  clear(&b);
}

Test(aap_coordinator, s4_1_what_was_taken_over_is_taken_back_at_once_in_any_state_but_one)
{
  AapExtent a = { span_of(A), T0 + 86400 };
  Bed b;
  init(&b);
  aap_coordinator_take_back(b.c, &a, 1, now_of(&b));
  cr_assert_eq(b.n_sent, 0, "it does not run yet");
  aap_coordinator_start(b.c, now_of(&b));
  hear(&b, A, NULL, T0 + 86400, 0, true);
  aap_coordinator_set_ranges(b.c, b.adopted, 1, now_of(&b));
  aap_coordinator_take_back(b.c, &a, 1, now_of(&b));
  cr_assert_eq(b.n_sent, 0, "something is announced");
  aap_coordinator_set_ranges(b.c, NULL, 0, now_of(&b));
  cr_assert_eq(aap_coordinator_state(b.c), AAP_COORDINATOR_BACKUP);
  aap_coordinator_take_back(b.c, &a, 0, now_of(&b));
  cr_assert_eq(b.n_sent, 0);
  aap_coordinator_take_back(b.c, &a, 1, now_of(&b));
  cr_assert_eq(b.n_sent, 1);
  aap_coordinator_set_ranges(b.c, &a, 1, now_of(&b));
  hear(&b, B, NULL, T0 + 86400, 0, false);
  aap_coordinator_set_ranges(b.c, NULL, 0, now_of(&b));
  b.now += S(100);
  aap_coordinator_take_back(b.c, &a, 1, now_of(&b));
  cr_assert_eq(b.n_sent, 1, "suspended (4.2.1.1)");
  clear(&b);
}

Test(aap_coordinator, aap_149_what_does_not_fit_one_message_is_not_announced)
{
  Bed b;
  AapExtent extents[256];
  init(&b);
  for (unsigned i = 0; i < 256; i++) {
    MalAddress at = mal_address_ipv4(0xe9fc0000 + 2 * i);
    extents[i] = (AapExtent){ { at, at }, T0 + 86400 };
  }
  aap_coordinator_set_ranges(b.c, extents, 256, now_of(&b));
  aap_coordinator_start(b.c, now_of(&b));
  run(&b, S(200));
  cr_assert(b.n_sent == 0 && b.notes[AAP_CNOTE_TOO_MANY_RANGES] == 1);
  aap_coordinator_set_ranges(b.c, extents, 255, now_of(&b));
  run(&b, S(300));
  cr_assert(b.n_sent > 0 && b.sent.n_ranges == 255);
  clear(&b);
}

Test(aap_coordinator, a_35_what_is_withdrawn_altogether_is_announced_as_ended_once)
{
  Bed b;
  begin_lead(&b);
  aap_coordinator_set_ranges(b.c, NULL, 0, now_of(&b));
  cr_assert(b.n_sent == 2 && b.sent.n_ranges == 1 && b.ranges[0].value == b.sent.current_time);
  run(&b, S(400));
  cr_assert_eq(b.n_sent, 2);
  clear(&b);
}

Test(aap_coordinator, aap_160_to_163_only_the_lead_heeds_reports_and_only_of_what_it_announced)
{
  Bed b;
  begin_backup(&b);
  report(&b, A, 10, 5);
  cr_assert(b.n_wanted == 0 && b.notes[AAP_CNOTE_REPORT] == 0, "AAP-160");
  run(&b, S(60));
  report(&b, B, 10, 5);
  cr_assert(b.n_wanted == 0 && b.notes[AAP_CNOTE_REPORT_IGNORED] == 1, "AAP-161");
  report(&b, A, 100, 0);
  cr_assert(b.n_wanted == 0 && b.notes[AAP_CNOTE_REPORT] == 1);
  report(&b, A, 100, 5);
  cr_assert(b.n_wanted == 1 && b.wanted == 5 && b.wanted_end == now_of(&b).wall + 5000, "AAP-163");
  report(&b, A, 120, 0);
  cr_assert(b.n_wanted == 2 && b.wanted > 0, "nearly full");
  clear(&b);
}

Test(aap_coordinator, a_41_an_ana_is_demand_for_the_lead_and_for_who_has_nothing)
{
  Bed b;
  init(&b);
  aap_coordinator_start(b.c, now_of(&b));
  hear_ana(&b, 7, T0 + 5000);
  cr_assert(b.n_wanted == 1 && b.wanted == 7);
  set(&b, A, NULL, T0 + 86400);
  hear_ana(&b, 7, T0 + 5000);
  cr_assert_eq(b.n_wanted, 1, "a backup leaves it to the lead");
  run(&b, S(60));
  hear_ana(&b, 7, T0 + 5000);
  cr_assert_eq(b.n_wanted, 2);
  clear(&b);
}

Test(aap_coordinator, aap_42_an_absurd_expiration_is_not_heeded)
{
  AapRange range = { span_of(B), (uint32_t)T0 + 86400 };
  AapMessage msg = { .type = AAP_ASA,
                     .family = MAL_IPV4,
                     .current_time = (uint32_t)T0,
                     .expiration_time = UINT32_MAX,
                     .ranges = &range,
                     .n_ranges = 1 };
  Bed b;
  begin_backup(&b);
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  cr_assert(aap_coordinator_state(b.c) == AAP_COORDINATOR_BACKUP &&
            b.notes[AAP_CNOTE_INCONSISTENT] == 0);
  clear(&b);
}

Test(aap_coordinator, aap_165_claims_and_uses_are_nothing_to_it)
{
  Bed b;
  begin_backup(&b);
  for (AapType type = AAP_ACLM; type <= AAP_AITU; type++) {
    AapRange range = { span_of(A), (uint32_t)T0 + 100 };
    AapMessage msg = { .type = type,
                       .family = MAL_IPV4,
                       .current_time = (uint32_t)T0,
                       .ranges = &range,
                       .n_ranges = 1 };
    aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  }
  cr_assert(aap_coordinator_due(b.c) == S(60) && b.n_sent == 0 && b.n_wanted == 0);
  clear(&b);
}

/* The lead is who was heard to announce (4.2.1). */
Test(aap_coordinator, aap_151_160_what_could_not_leave_makes_no_lead)
{
  Bed b;
  begin_backup(&b);
  b.mute = true;
  run(&b, S(70));
  cr_assert(aap_coordinator_state(b.c) == AAP_COORDINATOR_BACKUP);
  cr_assert_eq(b.notes[AAP_CNOTE_LEADS], 0);
  b.mute = false;
  run(&b, S(100));
  cr_assert(aap_coordinator_state(b.c) == AAP_COORDINATOR_LEAD && b.n_sent == 1);
  b.mute = true;
  aap_coordinator_set_ranges(b.c, NULL, 0, now_of(&b));
  b.mute = false;
  run(&b, S(140));
  cr_assert(b.n_sent == 2 && b.sent.n_ranges == 1, "taking back is tried again");
  cr_assert_eq(b.sent.ranges[0].value, b.sent.current_time);
  clear(&b);
}

/* One that announces the longest horizon must not make ours absurd (3.2.10.1). */
Test(aap_coordinator, aap_42_155_no_expiration_beyond_what_is_believed)
{
  Bed b;
  init(&b);
  set(&b, A, NULL, T0 + 90 * 86400);
  aap_coordinator_start(b.c, now_of(&b));
  uint32_t clock = (uint32_t)now_of(&b).wall;
  AapRange range = { span_of(A), (uint32_t)(T0 + 90 * 86400) };
  AapMessage msg = { .type = AAP_ASA,
                     .family = MAL_IPV4,
                     .current_time = clock,
                     .expiration_time = clock + 86400,
                     .ranges = &range,
                     .n_ranges = 1 };
  aap_coordinator_heard(b.c, other, &msg, now_of(&b));
  for (unsigned i = 1; i <= 200; i++) {
    set(&b, A, NULL, T0 + 90 * 86400 + i);
    run(&b, i == 1 ? S(70) : b.now);
    cr_assert(aap_horizon_ok(&b.sent, 86400), "%u", i);
  }
  clear(&b);
}

Test(aap_coordinator, aap_158_who_goes_on_is_told_again_after_a_hold)
{
  Bed b;
  init(&b);
  b.params.go_on_if_inconsistent = true;
  set(&b, A, NULL, T0 + 86400);
  aap_coordinator_start(b.c, now_of(&b));
  for (unsigned i = 0; i < 10; i++) {
    hear(&b, B, NULL, T0 + 86400, 0, false);
    run(&b, b.now + S(30));
  }
  cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 1);
  run(&b, b.now + S(150));
  hear(&b, B, NULL, T0 + 86400, 0, false);
  cr_assert_eq(b.notes[AAP_CNOTE_INCONSISTENT], 2);
  clear(&b);
}

/* The whole set, until its own ends come, and alike from all that are configured alike. */
Test(aap_coordinator, aap_148_156_157_the_set_stays_what_was_configured)
{
  Bed b[2];
  for (size_t i = 0; i < 2; i++) {
    init(&b[i]);
    b[i].draw = i == 0 ? 0.1 : 0.9;
    set(&b[i], A, "233.252.1.0-233.252.1.9", T0 + 40000);
    aap_coordinator_start(b[i].c, now_of(&b[i]));
    for (int64_t t = 100; t < 40000; t += 5000) {
      run(&b[i], S(t));
      cr_assert_eq(b[i].sent.n_ranges, 2);
      cr_assert_eq(b[i].sent.ranges[0].value, T0 + 40000);
      cr_assert_eq(b[i].sent.ranges[1].value, T0 + 40000);
    }
  }
  for (size_t i = 0; i < 2; i++) {
    cr_assert_eq(b[0].ranges[i].value, b[1].ranges[i].value);
    cr_assert(mal_address_equal(b[0].ranges[i].span.first, b[1].ranges[i].span.first));
    cr_assert(mal_address_equal(b[0].ranges[i].span.last, b[1].ranges[i].span.last));
  }
  for (size_t i = 0; i < 2; i++)
    clear(&b[i]);
}

Test(aap_coordinator, aap_154_the_timers_follow_the_configuration)
{
  Bed b;
  init(&b);
  b.params.asa_interval = S(5);
  set(&b, A, NULL, T0 + 86400);
  aap_coordinator_start(b.c, now_of(&b));
  cr_assert_eq(aap_coordinator_due(b.c), S(10));
  run(&b, S(10));
  cr_assert(b.n_sent == 1 && aap_coordinator_due(b.c) == S(15));
  clear(&b);
}
