/* What the AAP codec refuses, and what it never writes (draft-ietf-malloc-aap-04 section 5). The
   suites carry the numbers of the conformance checklist. */
#include "tests/support/aap-packets.h"

#include <criterion/criterion.h>
#include <string.h>

#define T "395d3480 "
#define R4 " e9fc0010 e9fc0013 395d50a0"
#define R6(a, b)                                                                                   \
  " " a "0020 20010db8 00000000 80000010  " b "0020 20010db8 00000000 80000013 395d50a0"
#define REPORT " e9fc0000 e9fc007f 0000000c"
#define REQUEST " 0000000a 395e9410"

/* One or more for each check; the number is that of the checklist's statement. */
static const struct {
  unsigned statement;
  const char *hex;
  AapReason reason;
  size_t offset, item;
} dropped[] = {
  { 21, "", AAP_REASON_SHORT, 0, 0 },
  { 21, "00 00 0001 00001b 00 395d34", AAP_REASON_SHORT, 11, 0 },
  { 21, "00 05 0001 00001e 00", AAP_REASON_SHORT, 8, 0 },
  { 21, "01 07 0003 00001e 00", AAP_REASON_SHORT, 8, 0 },
  { 23, "01 00 0001 00001b 00 " T R4, AAP_REASON_VERSION, 0, 0 },
  { 23, "ff 09 0009 00001b 00 " T, AAP_REASON_VERSION, 0, 0 },
  { 25, "00 06 0001 00001b 00 " T R4, AAP_REASON_TYPE, 1, 0 },
  { 25, "00 ff 0007 00001b 00 " T R4, AAP_REASON_TYPE, 1, 0 },
  { 28, "00 00 0003 00001b 00 " T R4, AAP_REASON_FAMILY, 2, 0 },
  { 28, "00 00 0000 00001b 00 " T R4, AAP_REASON_FAMILY, 2, 0 },
  { 28, "00 00 0101 00001b 00 " T R4, AAP_REASON_FAMILY, 2, 0 },
  { 34, "00 01 0001 00001c 00 " T R4 " e9fc0020 e9fc00", AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 00 0001 00001c 00 " T R4 " 00", AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 00 0001 000023 00 " T, AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 01 0001 000023 00 " T, AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 02 0002 000023 00 " T, AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 03 0001 000108 00 " T, AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 03 0001 000108 00 " T "395d35", AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 03 0001 000108 00 " T "395d3516 e9", AAP_REASON_LENGTH, 16, 0 },
  { 34, "00 00 0002 00001b 00 " T R4, AAP_REASON_LENGTH, 12, 0 },
  { 34, "00 02 0001 00001b 00 " T R4 " e9fc0020", AAP_REASON_LENGTH, 12, 0 },
  { 35, "00 00 0001 000021 00 " T " e9fc0013 e9fc0010 395d50a0", AAP_REASON_ORDER, 12, 0 },
  { 35, "00 01 0001 000021 00 " T R4 " e9fc0013 e9fc0012 395d50a0", AAP_REASON_ORDER, 24, 1 },
  { 35, "00 03 0001 000021 00 " T "395d3516 e9fc0013 e9fc0012 395d50a0", AAP_REASON_ORDER, 16,
    0 },
  { 35,
    "00 00 0002 000025 00 " T " ff3e0020 20010db8 00000000 80000013"
    " ff3e0020 20010db8 00000000 80000010 395d50a0",
    AAP_REASON_ORDER, 12, 0 },
  { 35, "00 00 0001 000022 00 " T " c0000201 c0000204 395d50a0", AAP_REASON_MULTICAST, 12, 0 },
  { 35, "00 00 0001 000022 00 " T " dfffffff e0000000 395d50a0", AAP_REASON_MULTICAST, 12, 0 },
  { 35, "00 00 0001 000022 00 " T " efffffff f0000000 395d50a0", AAP_REASON_MULTICAST, 12, 0 },
  { 35, "00 04 0001 000022 00 " T "01 c0000201 c0000204 00000001 00", AAP_REASON_MULTICAST, 13,
    0 },
  { 35, "00 00 0002 000022 00 " T R6("fe3e", "ff3e"), AAP_REASON_MULTICAST, 12, 0 },
  { 35, "00 00 0002 000025 00 " T R6("ff35", "ff38"), AAP_REASON_PREFIX, 12, 0 },
  { 35, "00 00 0002 000025 00 " T R6("ff05", "ff15"), AAP_REASON_PREFIX, 12, 0 },
  { 36, "00 04 0001 00000c 00 " T, AAP_REASON_LENGTH, 12, 0 },
  { 36, "00 04 0001 00000c 00 " T "00", AAP_REASON_LENGTH, 13, 0 },
  { 36, "00 04 0001 00000c 00 " T "02" REPORT " 00", AAP_REASON_LENGTH, 13, 0 },
  { 36, "00 04 0001 00000c 00 " T "01" REPORT, AAP_REASON_LENGTH, 25, 0 },
  { 36, "00 04 0001 00000d 00 " T "01" REPORT " 02" REQUEST, AAP_REASON_LENGTH, 34, 0 },
  { 36, "00 04 0001 00000d 00 " T "01" REPORT " 01" REQUEST " 00", AAP_REASON_LENGTH, 34, 0 },
  { 36, "00 04 0001 00000d 00 " T "00 00 00", AAP_REASON_LENGTH, 14, 0 },
  { 36, "00 04 0002 00000d 00 " T "01" REPORT " 00", AAP_REASON_LENGTH, 13, 0 },
  { 36, "00 05 0001 00001e 00 " T "0000000a 395e9410 00000000", AAP_REASON_LENGTH, 20, 0 },
  { 36, "00 05 0001 00001e 00 " T "0000000a 395e94", AAP_REASON_LENGTH, 16, 0 },
  { 36, "00 05 0001 00001e 00 " T, AAP_REASON_LENGTH, 12, 0 },
  { 36, "00 05 0002 00001e 00 " T "00000000 395e9410", AAP_REASON_COUNT, 12, 0 },
};

Test(aap_21_23_25_28_34_to_37, each_check_drops_the_whole_message)
{
  for (size_t i = 0; i < G_N_ELEMENTS(dropped); i++) {
    g_auto(AapDecoded) d = aap_decoded_text(dropped[i].hex);
    cr_expect_not(d.ok, "AAP-%u: %s", dropped[i].statement, dropped[i].hex);
    cr_expect_str_eq(aap_reason_name(d.fault.reason), aap_reason_name(dropped[i].reason),
                     "AAP-%u: %s: %s", dropped[i].statement, dropped[i].hex,
                     aap_reason_name(d.fault.reason));
    cr_expect_eq(d.fault.offset, dropped[i].offset, "AAP-%u: %s: at %zu", dropped[i].statement,
                 dropped[i].hex, d.fault.offset);
    cr_expect_eq(d.fault.item, dropped[i].item, "%s", dropped[i].hex);
    cr_expect_eq(d.msg.n_ranges + d.msg.n_requests, 0, "%s", dropped[i].hex);
    cr_expect_null(d.msg.ranges, "%s", dropped[i].hex);
  }
}

Test(decode, strange_but_legal)
{
  static const char *const cases[] = {
    "00 00 0001 000000 00 ffffffff  e0000000 efffffff 00000000",      /* all of IPv4, long ended */
    "00 01 0001 ffffff ff 00000000  e9fc0010 e9fc0013 00000005  e9fc0011 e9fc0020 00000006",
    "00 01 0001 000001 00 00000000  e9fc0020 e9fc0020 00000005  e9fc0010 e9fc0010 00000006",
    ("00 00 0002 000001 00 00000001  ff000000 00000000 00000000 00000000"
     " ff00ffff ffffffff ffffffff ffffffff 00000002"),
    "00 03 0001 000107 00 395d349e  00000000",
    "00 04 0001 000107 00 395d349e  00 00",
    "00 04 0001 000107 00 395d349e  00 01 00000000 00000000",         /* a request for nothing */
    "00 05 0001 000107 00 395d349e  ffffffff 00000000",
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(AapDecoded) d = aap_decoded_text(cases[i]);
    cr_expect(d.ok, "%s: %s", cases[i], aap_reason_name(d.fault.reason));
  }
}

/* As much as a receive buffer holds, and one range more. */
Test(decode, the_longest_datagram)
{
  size_t most = 12 + 12 * (size_t)AAP_MAX_RANGES;
  g_autofree uint8_t *data = g_malloc0(most + 12);

  cr_expect_leq(most, AAP_MAX_LENGTH);
  cr_expect_gt(most + 12, AAP_MAX_LENGTH);
  data[1] = AAP_AIU;
  data[3] = MAL_IPV4;
  for (size_t i = 12; i < most + 12; i += 12)
    data[i] = data[i + 4] = 239;
  g_auto(AapDecoded) d = aap_decoded(data, most);
  cr_expect(d.ok);
  cr_expect_eq(d.msg.n_ranges, AAP_MAX_RANGES);
  g_auto(AapDecoded) over = aap_decoded(data, most + 12);
  cr_expect_eq(over.fault.reason, AAP_REASON_LENGTH);
}

Test(aap_35, what_is_asked_of_a_range)
{
  AapRange good = aap_range("239.1.2.3-239.1.2.9", 0);
  MalSpan mixed = { good.span.first, aap_address("ff05::1") };
  cr_expect_eq(aap_range_check(good.span, MAL_IPV4), AAP_REASON_NONE);
  cr_expect_eq(aap_range_check(good.span, MAL_IPV6), AAP_REASON_FAMILY);
  cr_expect_eq(aap_range_check(mixed, MAL_IPV4), AAP_REASON_FAMILY);
  cr_expect_eq(aap_range_check(mixed, MAL_IPV6), AAP_REASON_FAMILY);
}

/* ---- what is never written ------------------------------------------------------------------- */

Test(aap_22_26, the_encoder_writes_nothing_malformed)
{
  AapRange good = aap_range("233.252.0.16-233.252.0.19", 5);
  AapRange unicast = { { aap_address("192.0.2.1"), aap_address("192.0.2.1") }, 5 };
  AapRange reversed = { { good.span.last, good.span.first }, 5 };
  AapRequest one = { 1, 5 }, none = { 0, 5 };
  const struct {
    unsigned type;
    MalFamily family;
    uint32_t rseq;
    const AapRange *range;
    const AapRequest *request;
    AapReason reason;
  } cases[] = {
    { AAP_ACLM, MAL_IPV4, 0xFFFFFF, &good, NULL, AAP_REASON_NONE },
    { AAP_ASA, MAL_IPV4, 0, &good, NULL, AAP_REASON_NONE },
    { AAP_ANA, MAL_IPV6, 0, NULL, &one, AAP_REASON_NONE },
    { AAP_ASRP, MAL_IPV4, 0, &good, &none, AAP_REASON_NONE },
    { 6, MAL_IPV4, 0, &good, NULL, AAP_REASON_TYPE },
    { AAP_ACLM, MAL_IPV6, 0, &good, NULL, AAP_REASON_FAMILY },
    { AAP_ANA, MAL_FAMILY_NONE, 0, NULL, &one, AAP_REASON_FAMILY },
    { AAP_ACLM, MAL_IPV4, 1 << 24, &good, NULL, AAP_REASON_FIT },
    { AAP_AIU, MAL_IPV4, 0, &reversed, NULL, AAP_REASON_ORDER },
    { AAP_AITU, MAL_IPV4, 0, &unicast, NULL, AAP_REASON_MULTICAST },
    { AAP_ANA, MAL_IPV4, 0, NULL, &none, AAP_REASON_COUNT },
    { AAP_ACLM, MAL_IPV4, 0, NULL, NULL, AAP_REASON_LENGTH },
    { AAP_AIU, MAL_IPV4, 0, NULL, NULL, AAP_REASON_LENGTH },
    { AAP_AITU, MAL_IPV6, 0, NULL, NULL, AAP_REASON_LENGTH },
    { AAP_ACLM, MAL_IPV4, 0, &good, &one, AAP_REASON_LENGTH },
    { AAP_ASA, MAL_IPV4, 0, &good, &one, AAP_REASON_LENGTH },
    { AAP_ANA, MAL_IPV4, 0, &good, &one, AAP_REASON_LENGTH },
    { AAP_ANA, MAL_IPV4, 0, NULL, NULL, AAP_REASON_LENGTH },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    uint8_t out[100];
    AapFault fault;
    AapMessage m = { .type = (AapType)cases[i].type,
                     .family = cases[i].family,
                     .rseq = cases[i].rseq,
                     .ranges = cases[i].range,
                     .requests = cases[i].request };
    m.n_ranges = cases[i].range != NULL;
    m.n_requests = cases[i].request != NULL;
    size_t length = aap_encode(&m, out, sizeof out, &fault);
    cr_expect_eq(fault.reason, cases[i].reason, "case %zu: %s", i, aap_reason_name(fault.reason));
    cr_expect_eq(length > 0, cases[i].reason == AAP_REASON_NONE, "case %zu", i);
    cr_expect(length == 0 || (out[0] == 0 && length == aap_encoded_length(&m)), "case %zu", i);
  }
}

Test(encode, counts_of_an_asrp_have_one_octet)
{
  g_autofree AapRange *ranges = g_new(AapRange, 256);
  g_autofree AapRequest *requests = g_new(AapRequest, 256);
  uint8_t out[8000];
  AapFault fault;
  for (size_t i = 0; i < 256; i++) {
    ranges[i] = aap_range("233.252.0.16", 1);
    requests[i] = (AapRequest){ 1, 2 };
  }
  AapMessage m = { .type = AAP_ASRP, .family = MAL_IPV4, .ranges = ranges, .n_ranges = 255,
                   .requests = requests, .n_requests = 255 };
  cr_expect_eq(aap_encode(&m, out, sizeof out, &fault), 14 + 255 * 12 + 255 * 8);
  g_auto(AapDecoded) d = aap_decoded(out, 14 + 255 * 12 + 255 * 8);
  cr_expect(d.ok && d.msg.n_ranges == 255 && d.msg.n_requests == 255);
  m.n_requests = 256;
  cr_expect_eq(aap_encode(&m, out, sizeof out, &fault), 0);
  cr_expect_eq(fault.reason, AAP_REASON_FIT);
  m.n_requests = 0;
  m.n_ranges = 256;
  cr_expect_eq(aap_encode(&m, out, sizeof out, NULL), 0);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

Test(aap_67, ranges_are_dealt_out_to_as_few_messages_as_possible)
{
  static const struct { size_t n, limit, messages, last; } cases[] = {
    { 0, 500, 0, 0 }, { 1, 500, 1, 1 }, { 40, 500, 1, 40 }, { 41, 500, 2, 1 }, { 120, 500, 3, 40 },
    { 5, 24, 5, 1 }, { 5, 23, 0, 0 }, { 5, 0, 0, 0 },
  };
  g_autofree AapRange *ranges = g_new(AapRange, 120);
  for (uint32_t i = 0; i < 120; i++)
    ranges[i] = aap_range("233.252.0.16", i);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapMessage m = { .type = AAP_AIU, .family = MAL_IPV4 };
    AapSplit split = aap_split(AAP_AIU, MAL_IPV4, ranges, cases[i].n, cases[i].limit);
    size_t messages = 0, seen = 0;
    while (aap_split_next(&split, &m)) {
      cr_expect_eq(m.ranges[0].value, seen, "case %zu", i);
      cr_expect_leq(aap_encoded_length(&m), cases[i].limit, "case %zu", i);
      seen += m.n_ranges;
      messages++;
    }
    cr_expect_eq(messages, cases[i].messages, "case %zu", i);
    cr_expect_eq(seen, messages == 0 ? 0 : cases[i].n, "case %zu", i);
    cr_expect_eq(messages == 0 ? 0 : m.n_ranges, cases[i].last, "case %zu", i);
  }
}

Test(aap_149, an_announcement_is_never_split)
{
  AapRange range = aap_range("233.252.0.16", 1);
  AapMessage m = { .type = AAP_ASA, .family = MAL_IPV4 };
  AapSplit split = aap_split(AAP_ASA, MAL_IPV4, &range, 1, 500);
  cr_expect_not(aap_split_next(&split, &m));
}

Test(aap_144, room_for_requests_in_a_report)
{
  cr_expect_eq(aap_requests_fit(MAL_IPV4, 0, 500), 60);
  cr_expect_eq(aap_requests_fit(MAL_IPV4, 2, 54), 2);
  cr_expect_eq(aap_requests_fit(MAL_IPV4, 2, 53), 1);
  cr_expect_eq(aap_requests_fit(MAL_IPV4, 40, 500), 1);
  cr_expect_eq(aap_requests_fit(MAL_IPV6, 13, 500), 2);
  cr_expect_eq(aap_requests_fit(MAL_IPV6, 200, 500), 1);
  cr_expect_eq(aap_requests_fit(MAL_IPV4, 0, 60000), 255);
  cr_expect_eq(aap_ranges_fit(AAP_ASRP, MAL_IPV4, 2, 54), 2);
  cr_expect_eq(aap_ranges_fit(AAP_ASA, MAL_IPV6, 0, 500), 13);
  cr_expect_eq(aap_ranges_fit((AapType)9, MAL_IPV6, 0, 500), 0);
}

Test(names, are_all_there_and_differ)
{
  for (unsigned a = 0; a < AAP_N_REASONS; a++) {
    cr_expect_str_neq(aap_reason_name((AapReason)a), "unknown");
    for (unsigned b = 0; b < a; b++)
      cr_expect_str_neq(aap_reason_name((AapReason)a), aap_reason_name((AapReason)b));
  }
  cr_expect_str_eq(aap_type_name(5), "ANA");
  cr_expect_str_eq(aap_type_name(6), "unknown");
}

Test(names, a_description_is_cut_where_there_is_no_room)
{
  char whole[200], cut[200];
  g_autoptr(HexFile) hex = aap_golden("in-use-ipv4");
  g_auto(AapDecoded) d = aap_decoded(hex->bytes->data, hex->bytes->len);
  aap_describe(&d.msg, whole, sizeof whole);
  for (size_t size = 1; size < sizeof cut; size++) {
    memset(cut, '#', sizeof cut);
    aap_describe(&d.msg, cut, size);
    cr_expect_eq(strlen(cut), MIN(size - 1, strlen(whole)), "%zu", size);
    cr_expect_eq(strncmp(cut, whole, size - 1), 0, "%zu", size);
    cr_expect(size == sizeof cut || cut[size] == '#', "%zu", size);
  }
}
