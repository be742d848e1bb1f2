/* The client machine where servers say what they seldom say, and where asking is not possible.
   Sections are RFC 2730's. */
#include "madcap-client-script.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Options as "CODE:HEX ..."; the lease identifier is added unless CODE 3 is there. */
#define LEASE "1:00000e10 "
#define SERVER "2:0001c0000201 " /* 192.0.2.1 */
#define SCOPE "4:efff0000 "      /* 239.255.0.0 */
#define FINE LEASE SERVER SCOPE "10:efff01010001" /* 239.255.1.1 */

static void put_option(MalWriter *w, const char *text)
{
  const char *hex = strchr(text, ':') + 1;

  mal_write_u16(w, (uint16_t)strtoul(text, NULL, 10));
  mal_write_u16(w, (uint16_t)(strlen(hex) / 2));
  for (; *hex != '\0'; hex += 2)
    mal_write_u8(w, (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1])));
}

/* An answer to the newest message, as it is written. */
static bool say(Script *t, unsigned type, MalFamily family, const char *from, const char *options)
{
  uint8_t buffer[1500];
  MalWriter w = mal_writer(buffer, sizeof buffer);
  MadcapMessage msg;
  g_auto(GStrv) list = g_strsplit(options, " ", -1);
  MalEndpoint peer = { .address = address(from), .port = 2535 };

  mal_write_u8(&w, 0);
  mal_write_u8(&w, (uint8_t)type);
  mal_write_u16(&w, (uint16_t)family);
  mal_write_u32(&w, t->n_sent > 0 ? last(t)->xid : 0);
  for (char **o = list; *o != NULL; o++)
    if (**o != '\0')
      put_option(&w, *o);
  if (!g_strv_contains((const char *const *)list, "3:")) {
    MalLeaseId id = madcap_client_id(t->client);
    mal_write_u16(&w, MADCAP_OPTION_LEASE_ID);
    mal_write_u16(&w, (uint16_t)id.length);
    mal_write_bytes(&w, id.bytes, id.length);
  }
  mal_write_u32(&w, 0);
  cr_assert(mal_writer_ok(&w));
  madcap_decode(buffer, w.offset, &msg, NULL);
  return madcap_client_receive(t->client, &peer, &msg, NOW + t->mono / US, t->mono);
}

static bool ack(Script *t, const char *options)
{
  return say(t, MADCAP_ACK, MAL_IPV4, "192.0.2.1", options);
}

/* ---- what can't be asked --------------------------------------------------------------------- */

Test(madcap_client, nobody_to_ask)
{
  static const struct {
    MadcapType errand;
    bool group;
  } rows[] = {
    { MADCAP_REQUEST, false }, { MADCAP_RENEW, false }, { MADCAP_GETINFO, false },
    { MADCAP_RENEW, true }, { MADCAP_RELEASE, true }, /* never to groups: 2.2.7, 2.2.8 */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(rows[i].errand, "", rows[i].group);
    run(t);
    cr_assert_not(over(t)->done, "row %zu", i);
    cr_assert_str_eq(over(t)->text, "no MADCAP server answered");
    cr_assert_eq(t->n_sent, 0, "row %zu", i);
    end(t);
  }
}

Test(madcap_client, times_that_no_message_can_say_2_12)
{
  static const int64_t wrong[] = { -1, INT64_C(1) << 32 };

  for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
    for (int latest = 0; latest < 2; latest++) {
      g_autoptr(GError) error = NULL;
      Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
      *(latest ? &t->ask.max_start : &t->ask.start) = wrong[i];
      cr_assert_null(madcap_client_new(&t->ask, &script_ops, t, &error));
      cr_assert_eq(error->code, MAL_ERROR_INVALID);
      g_free(t);
    }
}

Test(madcap_client, a_clock_beyond_2106_asks_nobody)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->client = madcap_client_new(&t->ask, &script_ops, t, NULL);
  madcap_client_start(t->client, INT64_C(1) << 32, 0);
  cr_assert_eq(over(t)->code, MAL_ERROR_INVALID);
  cr_assert_eq(t->n_sent, 0);
  end(t);
}

Test(madcap_client, more_named_addresses_than_a_message_holds)
{
  static MalBlock named[300];
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  for (uint32_t i = 0; i < G_N_ELEMENTS(named); i++)
    named[i] = mal_block_make(mal_address_ipv4(0xefff0000u + 2 * i), 1);
  t->ask.named = named;
  t->ask.n_named = G_N_ELEMENTS(named);
  run(t);
  cr_assert_eq(over(t)->code, MAL_ERROR_INVALID);
  cr_assert_eq(over(t)->option, MADCAP_OPTION_RANGES);
  cr_assert_eq(t->n_sent, 0);
  end(t);
}

/* ---- what is asked --------------------------------------------------------------------------- */

static MadcapMessage asked(Script *t)
{
  MadcapMessage msg;

  cr_assert_eq(madcap_decode(last(t)->data, last(t)->length, &msg, NULL), MADCAP_OK);
  return msg;
}

Test(madcap_client, durations_over_32_bits_are_the_longest_that_can_be_said)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.lifetime = INT64_C(1) << 33;
  t->ask.min_lifetime = INT64_C(1) << 32;
  run(t);
  cr_assert_eq(asked(t).lease_time, UINT32_MAX);
  cr_assert_eq(asked(t).min_lease_time, UINT32_MAX);
  end(t);
}

Test(madcap_client, no_wish_is_no_option)
{
  Script *t = script(MADCAP_RENEW, "192.0.2.1", false);

  t->ask.lifetime = 0;
  run(t);
  MadcapMessage msg = asked(t);
  cr_assert_not(madcap_has(&msg, MADCAP_OPTION_LEASE_TIME));
  end(t);
}

Test(madcap_client, the_language_of_the_names_is_asked_for_3_9)
{
  Script *t = script(MADCAP_GETINFO, "192.0.2.1", false);

  t->ask.language = "fr";
  run(t);
  cr_assert_eq(asked(t).language.length, 2);
  cr_assert_arr_eq(asked(t).language.data, "fr", 2);
  end(t);
}

Test(madcap_client, shared_is_asked_for_and_believed_when_it_is_said_2_13_3)
{
  static const struct {
    const char *features;
    bool shared;
  } rows[] = {
    { "", false }, { "12:000000000000", false }, { "12:0001000200000000", false },
    { "12:00010002000000010002", true },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
    g_autofree char *text = g_strconcat(FINE " ", rows[i].features, NULL);
    t->ask.shared = true;
    run(t);
    MadcapMessage msg = asked(t);
    cr_assert(madcap_codes_have(msg.supported, MADCAP_FEATURE_SHARED_LEASE_ID));
    cr_assert(madcap_codes_have(msg.requested, MADCAP_FEATURE_SHARED_LEASE_ID));
    cr_assert_eq(msg.required.length, 0);
    cr_assert(ack(t, text), "row %zu", i);
    cr_assert_eq(over(t)->shared, rows[i].shared, "row %zu", i);
    end(t);
  }
}

/* ---- answers that don't fit ------------------------------------------------------------------ */

Test(madcap_client, unfit_answers_are_ignored_2_1_5_2_6)
{
  static const struct {
    const char *options;
    MalFamily family; /* 0: IPv4 */
    uint32_t min, desired;
  } rows[] = {
    { "1:00000000 " SERVER SCOPE "10:efff01010001", 0, 1, 1 }, /* a lease of no time */
    { LEASE SERVER SCOPE "10:efff01010001", 0, 2, 3 },         /* fewer than the least */
    { LEASE SERVER SCOPE "10:efffffff0002", 0, 2, 2 },         /* from 239.255.255.255 on */
    { LEASE SERVER SCOPE "10:efff01010001efff01010001", 0, 2, 2 }, /* one address twice */
    { LEASE SERVER SCOPE "10:efff01010002efff01020001", 0, 3, 3 }, /* overlapping */
    { LEASE SERVER "4:ff150000000000000000000000000000 10:ff1500000000000000000000000000010001",
      MAL_IPV6, 1, 1 },                                        /* of the other family */
    /* Twice the last address of all. */
    { LEASE SERVER "4:ff150000000000000000000000000000 10:ffffffffffffffffffffffffffffffff0001"
      "ffffffffffffffffffffffffffffffff0001", MAL_IPV6, 2, 2 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
    t->ask.min = rows[i].min;
    t->ask.desired = rows[i].desired;
    if (i + 1 == G_N_ELEMENTS(rows)) {
      t->ask.family = MAL_IPV6;
      t->ask.scope = address("ff15::");
    }
    run(t);
    cr_assert(say(t, MADCAP_ACK, rows[i].family ? rows[i].family : MAL_IPV4, "192.0.2.1",
                  rows[i].options), "row %zu", i);
    cr_assert_eq(t->unfit, 1, "row %zu", i);
    cr_assert(is_open(t), "row %zu", i);
    end(t);
  }
}

Test(madcap_client, what_is_no_answer_at_all_2_5)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->client = madcap_client_new(&t->ask, &script_ops, t, NULL);
  cr_assert_not(ack(t, FINE), "nothing was asked yet");
  madcap_client_start(t->client, NOW, 0);
  cr_assert_not(ack(t, FINE " 3:"), "without a lease identifier");
  cr_assert_not(say(t, MADCAP_REQUEST, MAL_IPV4, "192.0.2.1", SCOPE), "another client's");
  cr_assert_eq(t->unfit, 0);
  cr_assert(ack(t, FINE));
  cr_assert(over(t)->done);
  end(t);
}

Test(madcap_client, blocks_come_sorted_and_joined)
{
  static const MalBlock expected[] = {
    { { 0xefff0101, MAL_IPV4 }, 3 }, { { 0xefff0105, MAL_IPV4 }, 1 },
  };
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.min = t->ask.desired = 4;
  run(t);
  cr_assert(ack(t, LEASE SERVER SCOPE "10:efff01050001efff01030001efff01010002"));
  const GArray *blocks = over(t)->blocks;
  cr_assert_eq(blocks->len, G_N_ELEMENTS(expected));
  for (guint i = 0; i < blocks->len; i++) {
    MalBlock got = g_array_index(blocks, MalBlock, i);
    cr_expect(mal_address_equal(got.first, expected[i].first), "block %u", i);
    cr_expect_eq(got.count, expected[i].count, "block %u", i);
  }
  end(t);
}

Test(madcap_client, named_addresses_may_come_in_other_pieces)
{
  static const MalBlock named[] = { { { 0xefff0101, MAL_IPV4 }, 2 },
                                    { { 0xefff0109, MAL_IPV4 }, 1 } };
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  t->ask.named = named;
  t->ask.n_named = G_N_ELEMENTS(named);
  run(t);
  cr_assert(ack(t, LEASE SERVER SCOPE "10:efff01090001efff01010001efff01020001"));
  cr_assert(over(t)->done);
  cr_assert_eq(over(t)->blocks->len, 2);
  end(t);
}

/* ---- OFFER ----------------------------------------------------------------------------------- */

/* The first offer is only taken at once where it is all that was asked for. */
Test(madcap_client, what_is_not_a_full_offer_2_2_2)
{
  static const struct {
    const char *options;
    bool full;
  } rows[] = {
    { "1:00000e0f " SERVER SCOPE, false },                                   /* shorter */
    { LEASE SERVER SCOPE "10:efff01010001", false },                         /* fewer */
    { LEASE SERVER SCOPE "6:6955b901 11:6955b900", false },                  /* later */
    { LEASE SERVER SCOPE "6:6955b900 11:6955b900", true },                   /* as asked for */
    { LEASE SERVER SCOPE, true },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "", true);
    t->ask.desired = 2;
    t->ask.start = NOW;
    run(t);
    cr_assert(say(t, MADCAP_OFFER, MAL_IPV4, "192.0.2.1", rows[i].options));
    cr_assert_eq(t->unfit, 0, "row %zu", i);
    cr_assert_eq(last(t)->type, rows[i].full ? MADCAP_REQUEST : MADCAP_DISCOVER, "row %zu", i);
    end(t);
  }
}

Test(madcap_client, unfit_offers)
{
  static const char *const rows[] = {
    LEASE "2:4000010203 " SCOPE,          /* of a server that can't be named: 3.3 */
    "1:00000000 " SERVER SCOPE,           /* of no time */
    LEASE SERVER "4:efc00000",            /* of another scope */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "", true);
    run(t);
    cr_assert(say(t, MADCAP_OFFER, MAL_IPV4, "192.0.2.1", rows[i]));
    cr_assert_eq(t->unfit, 1, "row %zu", i);
    cr_assert_eq(t->heard, 0, "row %zu", i);
    end(t);
  }
}

static void offer_from(Script *t, unsigned n, uint32_t lease_time)
{
  g_autofree char *from = g_strdup_printf("192.0.2.%u", n);

  cr_assert(ANSWER(t, .type = MADCAP_OFFER, .from = from, .lease_time = lease_time));
}

/* Sixteen offers are kept; the next round's servers are still asked after as many were given up. */
Test(madcap_client, a_bounded_number_of_offers_and_of_servers_given_up)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  t->ask.take_first = false;
  t->ask.fixed_id = true;
  run(t);
  for (unsigned i = 1; i <= 16; i++)
    offer_from(t, i, 1000);
  offer_from(t, 17, 3600); /* the best, but one too many */
  until(t, 4);
  for (unsigned i = 1; i <= 15; i++) {
    g_autofree char *from = g_strdup_printf("192.0.2.%u", i);
    cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = from), "%u", i);
    cr_assert_eq(last(t)->type, MADCAP_REQUEST);
  }
  until(t, 64); /* the sixteenth says nothing */
  cr_assert_eq(last(t)->type, MADCAP_DISCOVER);
  offer_from(t, 16, 3600);
  cr_assert_eq(t->unfit, 1, "it is known not to keep its offer");
  offer_from(t, 18, 3600);
  until(t, 68);
  cr_assert_eq(last(t)->type, MADCAP_REQUEST);
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.18"));
  cr_assert_not(over(t)->done, "a refusal, and nobody else is left");
  cr_assert_eq(over(t)->nak, MADCAP_ERROR_NOT_COMPLETED);
  end(t);
}

Test(madcap_client, three_rounds_and_no_more)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  run(t);
  for (unsigned round = 0; round < MADCAP_CLIENT_MAX_ROUNDS; round++) {
    cr_assert_eq(last(t)->type, MADCAP_DISCOVER, "round %u", round);
    offer_from(t, round + 1, 3600);
    cr_assert_eq(last(t)->type, MADCAP_REQUEST);
    until(t, 60 * (round + 1));
  }
  cr_assert_eq(over(t)->code, MAL_ERROR_TIMEOUT);
  cr_assert_eq(over(t)->silent->len, MADCAP_CLIENT_MAX_ROUNDS);
  end(t);
}

Test(madcap_client, the_best_offer_may_have_come_first_2_2_2)
{
  static const struct {
    Reply first, second;
    int64_t lifetime;
  } rows[] = {
    { { .type = MADCAP_OFFER, .from = "192.0.2.9", .first = "239.255.1.1", .count = 2 },
      { .type = MADCAP_OFFER, .from = "192.0.2.1", .first = "239.255.1.1", .count = 1 }, 3600 },
    { { .type = MADCAP_OFFER, .from = "192.0.2.9", .start = (uint32_t)NOW + 10 },
      { .type = MADCAP_OFFER, .from = "192.0.2.1", .start = (uint32_t)NOW + 11 }, 3600 },
    { { .type = MADCAP_OFFER, .from = "192.0.2.9", .lease_time = 9001 },
      { .type = MADCAP_OFFER, .from = "192.0.2.1", .lease_time = 9000 }, 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "", true);
    t->ask.desired = 2;
    t->ask.lifetime = rows[i].lifetime;
    t->ask.take_first = false;
    run(t);
    cr_assert(answer(t, &rows[i].first) && answer(t, &rows[i].second));
    until(t, 4);
    cr_assert(mal_address_equal(asked(t).server_id, address("192.0.2.9")), "row %zu", i);
    end(t);
  }
}

/* ---- NAK ------------------------------------------------------------------------------------- */

Test(madcap_client, a_refusal_in_words_3_17)
{
  static const struct {
    const char *error, *text;
    MalErrorCode code;
  } rows[] = {
    { "16:0004", "192.0.2.1 refused: Required Feature Not Supported", MAL_ERROR_INVALID },
    { "16:000400010002", ": Retry After, Shared Lease Identifier", MAL_ERROR_INVALID },
    { "16:0004000100010001000100010001000100010002", /* eight of nine */
      ": Retry After, Retry After, Retry After, Retry After, Retry After, Retry After, Retry "
      "After, Retry After",
      MAL_ERROR_INVALID },
    { "16:00026955b8f6", "its clock is 10 s behind ours", MAL_ERROR_INVALID },
    { "16:00026955b90a", "its clock is 10 s ahead of ours", MAL_ERROR_INVALID },
    { "16:0001000a", "(option 10, List of Address Ranges)", MAL_ERROR_INVALID },
    { "16:0003", "Lease Identifier Not Recognized", MAL_ERROR_NOT_FOUND },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
    g_autofree char *options = g_strconcat(SERVER, rows[i].error, NULL);
    run(t);
    cr_assert(say(t, MADCAP_NAK, MAL_IPV4, "192.0.2.1", options));
    cr_assert(g_str_has_suffix(over(t)->text, rows[i].text), "row %zu: %s", i, over(t)->text);
    cr_assert_eq(over(t)->code, rows[i].code, "row %zu", i);
    end(t);
  }
}

Test(madcap_client, a_refusal_weighs_more_than_silence_and_the_last_more_than_the_first)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1 192.0.2.2 192.0.2.3", false);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.1", .error = 0, .option = 7));
  cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.2", .error = 1, .option = 10));
  until(t, 60);
  cr_assert_eq(over(t)->nak, MADCAP_ERROR_INVALID_REQUEST);
  cr_assert_eq(over(t)->option, MADCAP_OPTION_RANGES);
  end(t);
}

Test(madcap_client, a_refusal_of_what_was_multicast_waits_no_longer_than_planned_3_17)
{
  static const MadcapType errands[] = { MADCAP_REQUEST, MADCAP_GETINFO };

  for (size_t i = 0; i < G_N_ELEMENTS(errands); i++) {
    Script *t = script(errands[i], "", true);
    run(t);
    until(t, 1);
    cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.1"));
    cr_assert(is_open(t), "others may say yes");
    cr_assert_eq(madcap_client_due(t->client), 4 * US);
    until(t, 4);
    cr_assert_eq(over(t)->nak, MADCAP_ERROR_NOT_COMPLETED);
    cr_assert_eq(t->n_sent, 1, "not sent again");
    end(t);
  }
}

Test(madcap_client, a_refusal_beside_a_good_answer_changes_nothing)
{
  static const MadcapType errands[] = { MADCAP_REQUEST, MADCAP_GETINFO };

  for (size_t i = 0; i < G_N_ELEMENTS(errands); i++) {
    Script *t = script(errands[i], "", true);
    t->ask.take_first = false;
    run(t);
    cr_assert(ANSWER(t, .type = i == 0 ? MADCAP_OFFER : MADCAP_ACK, .from = "192.0.2.1"));
    int64_t due = madcap_client_due(t->client);
    cr_assert(ANSWER(t, .type = MADCAP_NAK, .from = "192.0.2.2"));
    cr_assert_eq(madcap_client_due(t->client), due);
    until(t, 4);
    if (i == 0)
      cr_assert_eq(last(t)->type, MADCAP_REQUEST);
    else
      cr_assert(over(t)->done);
    end(t);
  }
}

/* ---- whose answer ---------------------------------------------------------------------------- */

Test(madcap_client, a_server_asked_may_name_itself_by_another_address)
{
  Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "198.51.100.1", .source = "192.0.2.1"));
  cr_assert(over(t)->done);
  cr_assert(mal_address_equal(over(t)->server.address, address("192.0.2.1")));
  end(t);
}

/* Renewals go where the server says it is, as long as that can be reached from here. */
Test(madcap_client, the_server_is_where_it_says_it_is)
{
  static const struct {
    const char *id, *server;
  } rows[] = {
    { "0001c0000201", "192.0.2.1" },
    { "0001c6336401", "198.51.100.1" },
    { "000220010db8000000000000000000000001", "192.0.2.1" },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "", true);
    g_autofree char *offer = g_strdup_printf(LEASE "2:%s " SCOPE, rows[i].id);
    g_autofree char *granted = g_strdup_printf(LEASE "2:%s " SCOPE "10:efff01010001", rows[i].id);
    run(t);
    cr_assert(say(t, MADCAP_OFFER, MAL_IPV4, "192.0.2.1", offer));
    cr_assert(ack(t, granted));
    cr_assert(mal_address_equal(over(t)->server.address, address(rows[i].server)), "row %zu", i);
    end(t);
  }
}

/* ---- Retry After ----------------------------------------------------------------------------- */

Test(madcap_client, when_to_come_again_2_13_2)
{
  static const struct {
    const char *options;
    int64_t seconds; /* 0: it is no such answer */
  } rows[] = {
    { "11:00001000 12:00010001000000010001 13:0000103c", 60 },
    { "11:00001000 12:00010001000000010001 13:00000fff", 1 },
    { "11:00001000 12:00010001000000010001 13:ffffffff", 7 * 86400 },
    { "11:00001000 12:0001000100000000 13:0000103c", 0 },
    { "11:00001000 12:00010001000000010001", 0 },
    { "", 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Script *t = script(MADCAP_REQUEST, "192.0.2.1", false);
    g_autofree char *options = g_strconcat(LEASE SERVER SCOPE "10: ", rows[i].options, NULL);
    t->ask.wait = true;
    run(t);
    cr_assert(ack(t, options));
    cr_assert_eq(madcap_client_is_waiting(t->client), rows[i].seconds > 0, "row %zu", i);
    cr_assert_eq(t->unfit, rows[i].seconds == 0, "row %zu", i);
    if (rows[i].seconds > 0) {
      cr_assert_eq(madcap_client_due(t->client), rows[i].seconds * US, "row %zu", i);
      cr_assert_not(ack(t, FINE), "nothing is asked at the moment");
    }
    end(t);
  }
}

/* ---- the end --------------------------------------------------------------------------------- */

Test(madcap_client, what_is_over_stays_over)
{
  Script *t = script(MADCAP_RELEASE, "192.0.2.1", false);

  run(t);
  cr_assert(ANSWER(t, .type = MADCAP_ACK, .from = "192.0.2.1"));
  madcap_client_tick(t->client, NOW + 9999, 9999 * US);
  madcap_client_cancel(t->client);
  cr_assert(over(t)->done);
  cr_assert_eq(t->n_sent, 1);
  cr_assert_eq(over(t)->silent->len, 0);
  end(t);
  madcap_client_free(NULL);
}

Test(madcap_client, a_chosen_server_is_released_when_nobody_wants_it_any_more)
{
  Script *t = script(MADCAP_REQUEST, "", true);

  run(t);
  offer_from(t, 9, 3600);
  madcap_client_cancel(t->client);
  cr_assert_not(over(t)->done);
  cr_assert_eq(over(t)->silent->len, 1);
  cr_assert(mal_address_equal(g_array_index(over(t)->silent, MadcapClientSilent, 0).server.address,
                              address("192.0.2.9")));
  end(t);
}
