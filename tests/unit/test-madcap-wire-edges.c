/* What the codec does at its edges when it is asked for something that no message of ours holds,
   and what its questions answer about a message without the option that they are about. */
#include "plugins/madcap/madcap-wire.h"

#include <criterion/criterion.h>
#include <string.h>

#define CAPACITY (2 * MADCAP_MAX_LENGTH)

static MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static MadcapEncoder encoder(MadcapType type, MadcapType answers)
{
  static uint8_t buffer[CAPACITY];

  return madcap_encoder(buffer, sizeof buffer, type, (MadcapContext){ .answers = answers },
                        MAL_IPV4, 1);
}

static void expect_fault(const MadcapEncoder *e, MadcapReason reason, uint16_t option)
{
  cr_expect(e->failed);
  cr_expect_eq(e->fault.reason, reason, "%s", madcap_reason_name(e->fault.reason));
  cr_expect_eq(e->fault.option, option, "option %u", e->fault.option);
}

/* ---- encoder --------------------------------------------------------------------------------- */

Test(encode, an_unknown_option_goes_as_it_is_and_may_be_repeated)
{
  static const uint8_t expected[] = { 0x12, 0x34, 0, 2, 'h', 'i', 0x12, 0x34, 0, 0 };
  MadcapEncoder e = encoder(MADCAP_RELEASE, 0);
  size_t start = e.writer.offset;

  madcap_put_raw(&e, 0x1234, "hi", 2);
  madcap_put_raw(&e, 0x1234, NULL, 0);
  cr_assert_not(e.failed);
  cr_assert_eq(e.writer.offset - start, sizeof expected);
  cr_assert_arr_eq(e.writer.data + start, expected, sizeof expected);
  cr_assert_eq(e.present, 0u, "known options only");
}

Test(encode, an_option_of_65536_octets_has_no_length)
{
  static const uint8_t octets[UINT16_MAX + 1];
  MadcapEncoder e = encoder(MADCAP_RELEASE, 0);
  size_t start = e.writer.offset;

  madcap_put_raw(&e, 0x1234, octets, sizeof octets);
  expect_fault(&e, MADCAP_REASON_FIT, 0x1234);
  cr_assert_eq(e.writer.offset, start, "nothing of it is written");
}

Test(rfc2730_2_13_2, retry_after_is_found_behind_another_feature)
{
  static const uint16_t both[] = { MADCAP_FEATURE_SHARED_LEASE_ID, MADCAP_FEATURE_RETRY_AFTER };

  for (size_t n = 1; n <= 2; n++) {
    MadcapEncoder e = encoder(MADCAP_REQUEST, 0);
    madcap_put_features(&e, both, 2, both, n, NULL, 0);
    cr_expect_eq(e.failed, n == 2, "%zu requested", n);
    e = encoder(MADCAP_REQUEST, 0);
    madcap_put_features(&e, both, 2, NULL, 0, both, n);
    cr_expect_eq(e.failed, n == 2, "%zu required", n);
  }
}

Test(rfc2730_3_11, blocks_that_no_list_can_hold)
{
  const struct {
    MalBlock blocks[3];
    size_t n;
    MadcapReason reason;
    size_t item;
  } rows[] = {
    { { { address("ff15::1"), 1 } }, 1, MADCAP_REASON_CONTENT, 0 },
    { { { address("239.0.0.0"), 1 }, { address("ff15::1"), 1 }, { address("ff15::1"), 1 } },
      3,
      MADCAP_REASON_CONTENT,
      1 },
    { { { address("1.0.0.0"), 10000u * UINT16_MAX }, { address("200.0.0.0"), 922u * UINT16_MAX } },
      2,
      MADCAP_REASON_NONE,
      0 },
    { { { address("1.0.0.0"), 10000u * UINT16_MAX }, { address("200.0.0.0"), 923u * UINT16_MAX } },
      2,
      MADCAP_REASON_FIT,
      1 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    static uint8_t buffer[CAPACITY];
    MadcapEncoder e = encoder(MADCAP_ACK, MADCAP_REQUEST);
    e.writer = mal_writer(buffer, sizeof buffer); /* the list's own limit, not the message's */
    madcap_put_ranges(&e, rows[i].blocks, rows[i].n);
    cr_expect_eq(e.fault.reason, rows[i].reason, "row %zu: %s", i,
                 madcap_reason_name(e.fault.reason));
    cr_expect_eq(e.fault.item, rows[i].item, "row %zu", i);
    if (rows[i].reason == MADCAP_REASON_NONE)
      cr_expect_eq(e.writer.offset, 4u + 10922u * 6u, "row %zu: %zu", i, e.writer.offset);
  }
}

Test(rfc2730_3_10, scopes_that_no_list_can_hold)
{
  g_autofree char *long_tag = g_strnfill(256, 'x');
  const MalAddress first = address("239.255.0.0"), last = address("239.255.255.255"),
                   v6 = address("ff15::1");
  const MadcapName names[] = {
    { .language = "en", .name = "site" }, { .language = "", .name = "site" },
    { .language = "en", .name = "" }, { .language = long_tag, .name = "site" },
  };
  const struct {
    MalAddress first, last;
    const MadcapName *name;
    MadcapReason reason;
  } rows[] = {
    { first, last, &names[0], MADCAP_REASON_NONE },
    { v6, last, &names[0], MADCAP_REASON_CONTENT },
    { first, v6, &names[0], MADCAP_REASON_CONTENT },
    { last, first, &names[0], MADCAP_REASON_CONTENT },
    { first, last, &names[1], MADCAP_REASON_CONTENT },
    { first, last, &names[2], MADCAP_REASON_CONTENT },
    { first, last, &names[3], MADCAP_REASON_FIT },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MadcapScope scope = {
      .first = rows[i].first, .last = rows[i].last, .ttl = 1, .names = rows[i].name, .n_names = 1,
    };
    MadcapEncoder e = encoder(MADCAP_ACK, MADCAP_GETINFO);
    madcap_put_scope_list(&e, &scope, 1);
    cr_expect_eq(e.fault.reason, rows[i].reason, "row %zu: %s", i,
                 madcap_reason_name(e.fault.reason));
  }
}

Test(rfc2730_3_10, a_list_without_its_count_is_empty)
{
  MadcapEncoder e = encoder(MADCAP_ACK, MADCAP_GETINFO);

  madcap_put_raw(&e, MADCAP_OPTION_SCOPE_LIST, NULL, 0);
  cr_expect_not(e.failed);
  cr_expect_eq(e.n_scopes, 0u);
}

static bool nests_never(size_t x, size_t y, void *data)
{
  (void)x;
  (void)y;
  (void)data;
  return false;
}

Test(rfc2907_3_2, a_matrix_of_256_scopes_has_no_count)
{
  MadcapEncoder e = encoder(MADCAP_ACK, MADCAP_GETINFO);

  madcap_put_nesting(&e, 256, nests_never, NULL);
  expect_fault(&e, MADCAP_REASON_FIT, MADCAP_OPTION_NESTING);
}

Test(encode, the_first_fault_is_the_one_told)
{
  static const uint16_t feature = MADCAP_FEATURE_SERVER_MOBILITY;
  MadcapEncoder e = encoder(MADCAP_NAK, 0);
  size_t start = e.writer.offset;

  madcap_put_lease_id(&e, NULL, 0);
  madcap_put_error_clock_skew(&e, 1);
  madcap_put_error_features(&e, &feature, 1);
  madcap_put_error(&e, 3, NULL, 0);
  expect_fault(&e, MADCAP_REASON_CONTENT, MADCAP_OPTION_LEASE_ID);
  cr_assert_eq(e.writer.offset, start);
}

/* One scope's matrix has no octets, in a decoded message as in one that is built. */
Test(rfc2907_3_2, one_scope_comes_back)
{
  MadcapName name = { .language = "en", .name = "site" };
  MadcapScope scope = { .first = address("239.255.0.0"), .last = address("239.255.255.255"),
                        .ttl = 1, .names = &name, .n_names = 1 };
  MadcapContext context = { .answers = MADCAP_GETINFO };
  MadcapEncoder e = encoder(MADCAP_ACK, MADCAP_GETINFO);
  uint8_t again[200];
  MadcapMessage msg;

  madcap_put_server_id(&e, address("192.0.2.1"));
  madcap_put_lease_id(&e, "id", 2);
  madcap_put_scope_list(&e, &scope, 1);
  madcap_put_nesting(&e, 1, nests_never, NULL);
  size_t length = madcap_finish(&e);
  cr_assert_neq(length, 0u, "%s", madcap_reason_name(e.fault.reason));
  cr_assert_eq(madcap_decode(e.writer.data, length, &msg, NULL), MADCAP_OK);
  cr_assert(madcap_nests(&msg, 0, 0));
  cr_assert_not(madcap_nests(&msg, 0, 1), "there is no second one");
  cr_assert_eq(madcap_encode(&msg, context, again, sizeof again, NULL), length);
  cr_assert_arr_eq(again, e.writer.data, length);
}

/* ---- questions about what is not there ------------------------------------------------------- */

Test(message, without_the_option_the_answer_is_no)
{
  static const uint8_t octets[] = { 0, 9, 0, 1 };
  const MadcapView view = { octets, sizeof octets };
  /* What the fields hold doesn't matter: the options are not there. */
  const MadcapMessage msg = {
    .type = MADCAP_NAK, .family = MAL_IPV4, .request_list = view, .supported = view,
    .requested = view, .required = view, .ranges = { octets, 4 }, .scope_list = view,
    .nesting_count = 2, .nesting = view, .error_code = MADCAP_ERROR_CLOCK_SKEW, .error_data = view,
  };
  uint16_t option;
  uint32_t time;
  MalBlock block;
  MadcapRangeIter ranges = madcap_ranges(&msg);

  cr_expect_not(madcap_requests(&msg, MADCAP_OPTION_SCOPE_LIST));
  cr_expect_not(madcap_feature_mentioned(&msg, MADCAP_FEATURE_RETRY_AFTER));
  cr_expect_eq(madcap_ranges_count(&msg), 0u);
  cr_expect_not(madcap_ranges_next(&ranges, &block));
  cr_expect_eq(madcap_scopes_count(&msg), 0u);
  cr_expect_not(madcap_nests(&msg, 0, 0));
  cr_expect_not(madcap_error_option(&msg, &option));
  cr_expect_not(madcap_error_time(&msg, &time));
}

Test(message, ranges_of_no_family_are_none)
{
  static const uint8_t octets[6];
  const MadcapMessage msg = { .present = 1u << MADCAP_OPTION_RANGES, .ranges = { octets, 6 } };
  MalBlock block;
  MadcapRangeIter iter = madcap_ranges(&msg);

  cr_expect_eq(madcap_ranges_count(&msg), 0u);
  cr_expect_not(madcap_ranges_next(&iter, &block));
}

Test(rfc2730_3_13, a_feature_is_mentioned_in_any_of_the_lists)
{
  static const uint8_t octets[] = { 0, 1 };
  const MadcapView one = { octets, 2 };
  const MadcapMessage rows[] = {
    { .supported = one }, { .requested = one }, { .required = one }, { 0 },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MadcapMessage msg = rows[i];
    msg.present = 1u << MADCAP_OPTION_FEATURES;
    cr_expect_eq(madcap_feature_mentioned(&msg, MADCAP_FEATURE_RETRY_AFTER), i < 3, "row %zu", i);
    cr_expect_not(madcap_feature_mentioned(&msg, MADCAP_FEATURE_SHARED_LEASE_ID), "row %zu", i);
  }
}

Test(rfc2730_3_10, a_broken_list_of_scopes_stays_broken)
{
  static const uint8_t octets[] = { 2, 239, 255, 0, 0, 239, 255 };
  const MadcapMessage msg = {
    .family = MAL_IPV4,
    .present = 1u << MADCAP_OPTION_SCOPE_LIST,
    .scope_list = { octets, sizeof octets },
  };
  MadcapScopeIter iter = madcap_scopes(&msg);
  MadcapScopeView scope;

  cr_assert_not(madcap_scopes_next(&iter, &scope));
  cr_assert_eq(iter.left, 1);
  cr_assert_not(madcap_scopes_next(&iter, &scope));
  cr_assert_eq(iter.left, 1, "it was not even begun");
}

Test(rfc2730_table_5, an_unknown_type_may_have_nothing_but_its_end)
{
  for (uint16_t option = 0; option <= MADCAP_N_OPTIONS; option++)
    cr_expect_eq(madcap_rule((MadcapType)99, (MadcapContext){ 0 }, option),
                 option == MADCAP_OPTION_END  ? MADCAP_REQUIRED
                 : option == MADCAP_N_OPTIONS ? MADCAP_ALLOWED : MADCAP_FORBIDDEN, "%u", option);
}

/* ---- text ------------------------------------------------------------------------------------ */

Test(describe, edges)
{
  char text[100] = "untouched";
  const MadcapFault fault = { .reason = MADCAP_REASON_VERSION, .option = MADCAP_NO_OPTION };

  cr_expect_eq(madcap_fault_describe(&fault, text, 0), text);
  cr_expect_str_eq(text, "untouched");
  cr_expect_str_eq(madcap_fault_describe(&fault, text, sizeof text), "version is not 0");
  cr_expect_str_eq(madcap_reason_name((MadcapReason)99), "unknown reason");
}
