/* The client machine alone, by scripts: what it sends when, and what it makes of answers. Sections
   are RFC 2730's. */
#include "madcap-client-script.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- 2.3: retransmission --------------------------------------------------------------------- */

Test(madcap_client, retransmits_at_4_12_28_and_gives_up_at_60_2_3)
{
  static const struct {
    MadcapType errand;
    const char *servers;
    MadcapType sent;
  } rows[] = {
    { MADCAP_REQUEST, "", MADCAP_DISCOVER },     { MADCAP_REQUEST, "192.0.2.1", MADCAP_REQUEST },
    { MADCAP_RENEW, "192.0.2.1", MADCAP_RENEW }, { MADCAP_RELEASE, "192.0.2.1", MADCAP_RELEASE },
    { MADCAP_GETINFO, "", MADCAP_GETINFO },
  };
  static const int64_t times[] = { 0, 4, 12, 28 };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(rows[i].errand, rows[i].servers, *rows[i].servers == '\0');
    run(t);
    until(t, 59);
    cr_assert(is_open(t), "row %zu", i);
    until(t, 60);
    cr_assert_eq(over(t)->code, MAL_ERROR_TIMEOUT);
    cr_assert_not(over(t)->done);
    cr_assert_eq(t->n_sent, 4, "row %zu: %zu", i, t->n_sent);
    for (size_t k = 0; k < 4; k++) {
      cr_assert_eq(t->sent[k].at, times[k], "row %zu, %zu", i, k);
      cr_assert_eq(t->sent[k].type, rows[i].sent);
      cr_assert_eq(t->sent[k].length, t->sent[0].length);
      cr_assert_arr_eq(t->sent[k].data, t->sent[0].data, t->sent[0].length);
    }
    end(t);
  }
}

Test(madcap_client, silence_leads_to_the_next_server_then_to_the_groups_2_2_4)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1 192.0.2.2", true);

  run(t);
  until(t, 60);
  cr_assert(mal_address_equal(last(t)->to, address("192.0.2.2")));
  cr_assert_neq(last(t)->xid, t->sent[0].xid, "another transaction");
  until(t, 120);
  cr_assert_eq(last(t)->type, MADCAP_DISCOVER);
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.3"));
  cr_assert_eq(last(t)->type, MADCAP_REQUEST);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.3"));
  cr_assert(over(t)->done);
  end(t);
}

Test(madcap_client, who_was_silent_is_to_be_released_under_the_identifier_it_was_asked_for)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1 192.0.2.2", false);

  run(t);
  until(t, 60);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.2"));
  const MadcapClientResult *r = over(t);
  cr_assert_eq(r->silent->len, 1);
  const MadcapClientSilent *silent = &g_array_index(r->silent, MadcapClientSilent, 0);
  cr_assert(mal_address_equal(silent->server.address, address("192.0.2.1")));
  cr_assert_eq(silent->id_length, sizeof own_id);
  cr_assert_arr_eq(silent->id, own_id, sizeof own_id);
  MalLeaseId now = madcap_client_id(t->client);
  cr_assert_not(mal_lease_id_equal(now, (MalLeaseId){ own_id, sizeof own_id }));
  cr_assert_eq(now.length, 17);
  cr_assert_eq(now.bytes[0], MADCAP_LEASE_ID_RANDOM);
  end(t);
}

Test(madcap_client, an_identifier_of_the_program_s_stays)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1 192.0.2.2", false);

  t->ask.fixed_id = true;
  run(t);
  until(t, 60);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.2"));
  cr_assert(mal_lease_id_equal(madcap_client_id(t->client), (MalLeaseId){ own_id, sizeof own_id }));
  end(t);
}

/* ---- 2.5: which answers concern it ----------------------------------------------------------- */

Test(madcap_client, ignores_what_is_not_an_answer_2_5)
{
  static const struct {
    Reply reply;
    bool ours;
  } rows[] = {
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .other_xid = true }, false },
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .other_id = true }, false },
    { { .type = MADCAP_ACK, .from = "192.0.2.9" }, true },   /* another server */
    { { .type = MADCAP_OFFER, .from = "192.0.2.1" }, true }, /* to a REQUEST */
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .no_lease_time = true }, true }, /* table 5 */
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .scope = "239.192.0.0" }, true },
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .lease_time = 100 },
      true }, /* below the minimum: 2.2.4 */
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .count = 2 }, true },
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .first = "192.0.2.77" }, true },
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .start = (uint32_t)NOW + 5000 }, true },
    { { .type = MADCAP_ACK, .from = "192.0.2.1", .retry_in = 60 },
      true }, /* not said that we know it */
    { { .type = MADCAP_NAK, .from = "192.0.2.9" }, true },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
    t->ask.min_lifetime = 200;
    t->ask.max_start = NOW + 1800;
    run(t);
    cr_assert_eq(answer(t, &rows[i].reply), rows[i].ours, "row %zu", i);
    cr_assert(is_open(t), "row %zu", i);
    cr_assert_eq(t->heard, 0, "row %zu", i);
    cr_assert_eq(t->unfit, rows[i].ours, "row %zu", i);
    cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1"),
              "row %zu: still open for the right one", i);
    cr_assert(over(t)->done, "row %zu", i);
    cr_assert_not(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1"), "over");
    end(t);
  }
}

Test(madcap_client, a_server_may_answer_from_another_of_its_addresses)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .source = "198.51.100.1"));
  cr_assert(over(t)->done);
  end(t);
}

/* ---- 2.2.2: choosing ------------------------------------------------------------------------- */

Test(madcap_client, takes_the_first_full_offer_at_once)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.9"));
  cr_assert_eq(t->n_sent, 2);
  MadcapMessage msg;
  cr_assert_eq(madcap_decode(last(t)->data, last(t)->length, &msg, NULL), MADCAP_OK);
  cr_assert_eq(msg.type, MADCAP_REQUEST);
  cr_assert(mal_address_equal(last(t)->to, t->sent[0].to), "the same group");
  cr_assert(mal_address_equal(msg.server_id, address("192.0.2.9")));
  cr_assert_neq(msg.xid, t->sent[0].xid);
  cr_assert_eq(msg.lease_id.length, sizeof own_id, "the same identifier");
  cr_assert_eq(memcmp(msg.lease_id.data, own_id, sizeof own_id), 0);
  end(t);
}

Test(madcap_client, the_best_offer_of_the_discover_delay_is_chosen_2_2_2)
{
  static const struct {
    Reply offers[3];
    const char *chosen;
  } rows[] = {
    /* the longest lease, as far as it was asked for */
    { { { .type = MADCAP_OFFER, .from = "192.0.2.1", .lease_time = 600 },
        { .type = MADCAP_OFFER, .from = "192.0.2.2", .lease_time = 1800 },
        { .type = MADCAP_OFFER, .from = "192.0.2.3", .lease_time = 900 } },
      "192.0.2.2" },
    { { { .type = MADCAP_OFFER, .from = "192.0.2.3", .lease_time = 9999 },
        { .type = MADCAP_OFFER, .from = "192.0.2.2", .lease_time = 3600 } },
      "192.0.2.2" },
    /* the most addresses */
    { { { .type = MADCAP_OFFER, .from = "192.0.2.1", .first = "239.255.1.1", .count = 2 },
        { .type = MADCAP_OFFER, .from = "192.0.2.2", .first = "239.255.2.1", .count = 3 } },
      "192.0.2.2" },
    { { { .type = MADCAP_OFFER, .from = "192.0.2.1", .first = "239.255.1.1", .count = 3 },
        { .type = MADCAP_OFFER, .from = "192.0.2.2" } },
      "192.0.2.2" },
    /* the earliest start */
    { { { .type = MADCAP_OFFER, .from = "192.0.2.1", .start = (uint32_t)NOW + 900 },
        { .type = MADCAP_OFFER, .from = "192.0.2.2", .start = (uint32_t)NOW + 600 } },
      "192.0.2.2" },
    /* the lowest address */
    { { { .type = MADCAP_OFFER, .from = "192.0.2.3" },
        { .type = MADCAP_OFFER, .from = "192.0.2.2" },
        { .type = MADCAP_OFFER, .from = "192.0.2.10" } },
      "192.0.2.2" },
    /* a later offer of the same server counts */
    { { { .type = MADCAP_OFFER, .from = "192.0.2.1", .lease_time = 3600 },
        { .type = MADCAP_OFFER, .from = "192.0.2.2", .lease_time = 1800 },
        { .type = MADCAP_OFFER, .from = "192.0.2.1", .lease_time = 600 } },
      "192.0.2.2" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "", true);
    t->ask.take_first = false;
    t->ask.desired = 4;
    run(t);
    for (size_t k = 0; k < 3 && rows[i].offers[k].from != NULL; k++)
      cr_assert(answer(t, &rows[i].offers[k]));
    until(t, 3);
    cr_assert_eq(t->n_sent, 1, "row %zu: within the delay", i);
    until(t, 4);
    cr_assert_eq(t->n_sent, 2, "row %zu", i);
    MadcapMessage msg;
    cr_assert_eq(madcap_decode(last(t)->data, last(t)->length, &msg, NULL), MADCAP_OK);
    cr_assert(mal_address_equal(msg.server_id, address(rows[i].chosen)), "row %zu", i);
    end(t);
  }
}

Test(madcap_client, waits_the_current_retransmit_timer_or_what_is_configured)
{
  for (int64_t delay = 0; delay <= 2; delay += 2) {
    Script *t = script(MADCAP_REQUEST, "", true);
    t->ask.take_first = false;
    t->ask.discover_delay = delay * US;
    run(t);
    until(t, 13);
    cr_assert_eq(t->n_sent, 3);
    cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.1"));
    until(t, 13 + (delay ? delay : 16) - 1);
    cr_assert_eq(t->n_sent, 3, "no retransmission, no choice yet");
    until(t, 13 + (delay ? delay : 16));
    cr_assert_eq(last(t)->type, MADCAP_REQUEST);
    end(t);
  }
}

Test(madcap_client, a_chosen_server_s_refusal_leads_to_the_next_offer)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  t->ask.take_first = false;
  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.1"));
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.2"));
  until(t, 4);
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.2", .option = MADCAP_NO_OPTION),
            "not the chosen one");
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.1", .option = MADCAP_NO_OPTION));
  cr_assert(is_open(t));
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1"), "too late");
  cr_assert(is_open(t));
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.2"));
  cr_assert(over(t)->done);
  cr_assert_eq(over(t)->silent->len, 0);
  end(t);
}

Test(madcap_client, a_chosen_server_s_silence_leads_to_another_discover_2_2_4)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.1"));
  until(t, 60);
  cr_assert_eq(last(t)->type, MADCAP_DISCOVER);
  cr_assert_eq(t->n_sent, 1 + 4 + 1);
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.1"),
            "it was silent: not chosen again");
  cr_assert_eq(last(t)->type, MADCAP_DISCOVER);
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.2"));
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.2"));
  cr_assert(over(t)->done);
  cr_assert_eq(over(t)->silent->len, 1);
  end(t);
}

/* ---- 3.17: NAK ------------------------------------------------------------------------------- */

Test(madcap_client, a_refusal_says_which_option_and_is_not_retransmitted_3_17)
{
  static const struct {
    uint16_t error, option;
    MalErrorCode code;
    const char *text;
  } rows[] = {
    { MADCAP_ERROR_NOT_COMPLETED, MADCAP_OPTION_MIN_LEASE_TIME, MAL_ERROR_NO_SPACE,
      "Minimum Lease Time" },
    { MADCAP_ERROR_NOT_COMPLETED, MADCAP_NO_OPTION, MAL_ERROR_NO_SPACE, "192.0.2.1" },
    { MADCAP_ERROR_INVALID_REQUEST, MADCAP_OPTION_NUMBER, MAL_ERROR_INVALID,
      "Number of Addresses" },
    { MADCAP_ERROR_CLOCK_SKEW, MADCAP_NO_OPTION, MAL_ERROR_INVALID, "9000 s ahead of ours" },
    { MADCAP_ERROR_LEASE_ID_UNKNOWN, MADCAP_NO_OPTION, MAL_ERROR_NOT_FOUND, "192.0.2.1" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(i == 4 ? MADCAP_RENEW : MADCAP_REQUEST, "192.0.2.1", false);
    run(t);
    cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.1", .error = rows[i].error,
                     .option = rows[i].option));
    cr_assert_eq(over(t)->code, rows[i].code, "row %zu", i);
    cr_assert_eq(over(t)->nak, rows[i].error);
    cr_assert_not_null(strstr(over(t)->text, rows[i].text), "row %zu: %s", i, over(t)->text);
    cr_assert_eq(over(t)->silent->len, 0);
    until(t, 100);
    cr_assert_eq(t->n_sent, 1, "row %zu", i);
    end(t);
  }
}

Test(madcap_client, one_server_s_refusal_of_a_discover_leaves_time_for_others)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.1", .error = MADCAP_ERROR_CLOCK_SKEW));
  until(t, 3);
  cr_assert(is_open(t));
  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = "192.0.2.2"));
  cr_assert_eq(last(t)->type, MADCAP_REQUEST);
  end(t);
  t = script(MADCAP_REQUEST, "", true);
  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.1", .error = MADCAP_ERROR_CLOCK_SKEW));
  until(t, 4);
  cr_assert_eq(over(t)->nak, MADCAP_ERROR_CLOCK_SKEW);
  cr_assert_eq(t->n_sent, 1, "not sent again after a NAK");
  end(t);
}

Test(madcap_client, only_a_request_goes_to_the_next_server_2_13_1)
{
  Script *t = script(MADCAP_RENEW, "192.0.2.1 192.0.2.2", false);

  run(t);
  until(t, 60);
  cr_assert_not(over(t)->done);
  cr_assert_eq(over(t)->silent->len, 0, "a RENEW takes nothing");
  end(t);
}

/* ---- 2.13.2: Retry After --------------------------------------------------------------------- */

Test(madcap_client, comes_again_after_the_retry_time_with_the_same_options_2_13_2)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.wait = true;
  run(t);
  MadcapMessage first, again;
  cr_assert_eq(madcap_decode(t->sent[0].data, t->sent[0].length, &first, NULL), MADCAP_OK);
  cr_assert(madcap_codes_have(first.supported, MADCAP_FEATURE_RETRY_AFTER));
  cr_assert_eq(madcap_codes_count(first.requested) + madcap_codes_count(first.required), 0);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .retry_in = 300));
  cr_assert(is_open(t));
  cr_assert(madcap_client_is_waiting(t->client));
  until(t, 299);
  cr_assert_eq(t->n_sent, 1);
  until(t, 300);
  cr_assert_eq(t->n_sent, 2);
  cr_assert_eq(madcap_decode(last(t)->data, last(t)->length, &again, NULL), MADCAP_OK);
  cr_assert_neq(again.xid, first.xid);
  cr_assert_eq(again.present, first.present);
  cr_assert_eq(again.lease_id.length, first.lease_id.length);
  cr_assert_eq(memcmp(again.lease_id.data, first.lease_id.data, first.lease_id.length), 0);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .retry_in = 100), "and again");
  until(t, 400);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1"));
  cr_assert(over(t)->done);
  cr_assert_eq(over(t)->start, NOW + 400);
  end(t);
}

Test(madcap_client, given_up_while_it_waits_it_is_to_be_released_2_13_2)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.wait = true;
  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .retry_in = 300));
  madcap_client_cancel(t->client);
  cr_assert_not(over(t)->done);
  cr_assert_eq(over(t)->silent->len, 1);
  end(t);
}

/* By a clock that went mad meanwhile; the server keeps what it was asked for. */
Test(madcap_client, what_cannot_be_asked_for_again_is_to_be_released_2_13_2)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.wait = true;
  t->ask.start = NOW + 3600;
  run(t);
  cr_assert(
      ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .start = NOW + 3600, .retry_in = 300));
  cr_assert(madcap_client_is_waiting(t->client));
  madcap_client_tick(t->client, -1, madcap_client_due(t->client));
  cr_assert_not(over(t)->done);
  cr_assert_eq(over(t)->code, MAL_ERROR_INVALID);
  cr_assert_eq(over(t)->silent->len, 1);
  end(t);
}

/* ---- results --------------------------------------------------------------------------------- */

Test(madcap_client, a_lease_is_counted_from_when_it_was_first_asked_for)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  run(t);
  until(t, 13);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .lease_time = 600));
  cr_assert_eq(over(t)->start, NOW);
  cr_assert_eq(over(t)->end, NOW + 600);
  end(t);
}

Test(madcap_client, a_later_start_is_the_server_s_3_7)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.start = NOW + 1000;
  t->ask.max_start = NOW + 5000;
  run(t);
  MadcapMessage msg;
  cr_assert_eq(madcap_decode(last(t)->data, last(t)->length, &msg, NULL), MADCAP_OK);
  cr_assert_eq(msg.start_time, NOW + 1000);
  cr_assert_eq(msg.max_start_time, NOW + 5000);
  cr_assert_eq(msg.current_time, NOW);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .start = (uint32_t)NOW + 2000));
  cr_assert_eq(over(t)->start, NOW + 2000);
  cr_assert_eq(over(t)->end, NOW + 2000 + 3600);
  end(t);
}

Test(madcap_client, other_addresses_than_the_named_are_no_success)
{
  MalBlock named = mal_block_make(address("239.255.1.7"), 1);
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.named = &named;
  t->ask.n_named = 1;
  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1", .first = "239.255.1.8"));
  cr_assert_not(over(t)->done);
  cr_assert_eq(over(t)->silent->len, 1, "what was granted goes back");
  end(t);
}

Test(madcap_client, several_servers_tell_2_2_1)
{
  Script *t = script(MADCAP_GETINFO, "", true);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1"));
  cr_assert(is_open(t));
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.2"));
  until(t, 1);
  cr_assert(over(t)->done);
  cr_assert_eq(t->infos, 2);
  end(t);
}

Test(madcap_client, what_madcap_cannot_say_is_refused)
{
  static const struct {
    uint32_t min, desired;
    MalTime start;
  } rows[] = {
    { 1, 65536, MAL_BEGINNING },
    { 0, 1, MAL_BEGINNING },
    { 2, 1, MAL_BEGINNING },
    { 1, 1, INT64_C(4294967296) },
    { 1, 1, -1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
    g_autoptr(GError) error = NULL;
    t->ask.min = rows[i].min;
    t->ask.desired = rows[i].desired;
    t->ask.start = rows[i].start;
    cr_assert_null(madcap_client_new(&t->ask, &script_ops, t, &error), "row %zu", i);
    cr_assert_eq(error->code, MAL_ERROR_INVALID);
    g_free(t);
  }
}
