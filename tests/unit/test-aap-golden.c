/* The AAP codec over golden packets, whole, cut short, prolonged and with octets changed. The
   suites carry the numbers of the conformance checklist. */
#include "tests/support/aap-packets.h"
#include "tests/support/pcap.h"

#include <criterion/criterion.h>
#include <string.h>

static void decodes_and_encodes_again(const char *path, const HexFile *hex)
{
  uint8_t out[1024];
  AapFault fault;
  g_auto(AapDecoded) d = aap_decoded(hex->bytes->data, hex->bytes->len);

  cr_assert(d.ok, "%s: %s at %zu", path, aap_reason_name(d.fault.reason), d.fault.offset);
  cr_expect_eq(d.fault.reason, AAP_REASON_NONE, "%s", path);
  cr_expect_eq(aap_encoded_length(&d.msg), hex->bytes->len, "%s", path);
  size_t length = aap_encode(&d.msg, out, sizeof out, &fault);
  cr_expect_eq(length, hex->bytes->len, "%s: %s", path, aap_reason_name(fault.reason));
  cr_expect_eq(memcmp(out, hex->bytes->data, hex->bytes->len), 0, "%s", path);
  cr_expect_eq(d.msg.body_length, hex->bytes->len - AAP_BODY_OFFSET, "%s", path);
  cr_expect_eq(d.msg.body, d.bytes + AAP_BODY_OFFSET, "%s", path);
  cr_expect_eq(aap_encode(&d.msg, out, hex->bytes->len - 1, &fault), 0, "%s", path);
  cr_expect_eq(fault.reason, AAP_REASON_SPACE, "%s", path);
}

Test(aap_20_22_24_27_29_30_31_33, each_decodes_and_encodes_to_the_same_octets)
{
  aap_each_golden(decodes_and_encodes_again);
}

#define V6 "ff3e:20:2001:db8::8000:"
Test(aap_20_24_27_29_30_31_32_33, every_field_is_read)
{
  static const struct { const char *name, *text; } cases[] = {
    { "claim-ipv4",
      "ACLM ipv4 rseq 27 mseq 0 time 962409600 233.252.0.16-233.252.0.19 until 962416800" },
    { "claim-ipv6", "ACLM ipv6 rseq 27 mseq 0 time 962409600 " V6 "10-" V6 "13 until 962416800" },
    { "in-use-ipv4",
      "AIU ipv4 rseq 28 mseq 0 time 962409610 233.252.0.16-233.252.0.19 until 962416800 "
      "233.252.0.32 until 962413200" },
    { "in-use-ipv6",
      "AIU ipv6 rseq 28 mseq 0 time 962409610 " V6 "10-" V6 "13 until 962416800 " V6
      "20 until 962413200" },
    { "intent-ipv4",
      "AITU ipv4 rseq 29 mseq 3 time 962409607 233.252.0.64-233.252.0.79 until 962420400" },
    { "intent-ipv6", "AITU ipv6 rseq 29 mseq 3 time 962409607 " V6 "40-" V6 "4f until 962420400" },
    { "announce-ipv4",
      "ASA ipv4 rseq 261 mseq 0 time 962409600 expires 962409750 233.252.0.0-233.252.0.127 "
      "until 962496000 233.252.0.128-233.252.0.255 until 963014400" },
    { "announce-ipv6",
      "ASA ipv6 rseq 262 mseq 0 time 962409600 expires 962409750 " V6 "0-" V6
      "ffff until 962496000" },
    { "report-ipv4",
      "ASRP ipv4 rseq 11 mseq 0 time 962409635 233.252.0.0-233.252.0.127 uses 12 "
      "233.252.0.128-233.252.0.255 uses 0 wants 10 until 962499600 wants 256 until 963014400" },
    { "report-ipv6", "ASRP ipv6 rseq 12 mseq 0 time 962409635 " V6 "0-" V6 "ffff uses 4294967295" },
    { "not-available-ipv4", "ANA ipv4 rseq 30 mseq 0 time 962409640 wants 10 until 962499600" },
    { "not-available-ipv6",
      "ANA ipv6 rseq 16777214 mseq 255 time 962409640 wants 1 until 962582400" },
    { "in-use-deleted", "AIU ipv4 rseq 31 mseq 0 time 962410200 233.252.0.32 until 962410140" },
    { "announce-empty", "ASA ipv4 rseq 263 mseq 0 time 962409630 expires 962409780" },
    { "claim-first-after-restart",
      "ACLM ipv4 rseq 0 mseq 0 time 4294967280 233.252.0.1 until 4294967295 "
      "233.252.0.3 until 4294967295" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    char text[AAP_DESCRIPTION_SIZE];
    g_autoptr(HexFile) hex = aap_golden(cases[i].name);
    g_auto(AapDecoded) d = aap_decoded(hex->bytes->data, hex->bytes->len);
    cr_expect_str_eq(aap_describe(&d.msg, text, sizeof text), cases[i].text, "%s", cases[i].name);
  }
}

Test(aap_67, forty_ranges_or_thirteen_fill_500_octets)
{
  static const struct { const char *name; MalFamily family; size_t n, length; } cases[] = {
    { "in-use-most-ipv4", MAL_IPV4, 40, 492 },
    { "in-use-most-ipv6", MAL_IPV6, 13, 480 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(HexFile) hex = aap_golden(cases[i].name);
    g_auto(AapDecoded) d = aap_decoded(hex->bytes->data, hex->bytes->len);
    cr_expect_eq(d.msg.n_ranges, cases[i].n, "%s", cases[i].name);
    cr_expect_eq(hex->bytes->len, cases[i].length, "%s", cases[i].name);
    cr_expect_eq(aap_ranges_fit(AAP_AIU, cases[i].family, 0, AAP_SEND_LIMIT), cases[i].n);
    for (size_t r = 0; r < d.msg.n_ranges; r++)
      cr_expect_eq(d.msg.ranges[r].value, 962409600 + 3600 + 60 * r, "%s %zu", cases[i].name, r);
  }
}

Test(aap_136, a_resent_announcement_keeps_the_body)
{
  uint8_t out[100];
  g_autoptr(HexFile) first = aap_golden("announce-ipv4");
  g_autoptr(HexFile) again = aap_golden("announce-resent");
  g_auto(AapDecoded) d = aap_decoded(first->bytes->data, first->bytes->len);

  size_t length = aap_encode_resent(MAL_IPV4, 7, d.msg.current_time + 180, d.msg.body,
                                    d.msg.body_length, out, sizeof out);
  cr_assert_eq(length, again->bytes->len);
  cr_expect_eq(memcmp(out, again->bytes->data, length), 0);
  cr_expect_eq(aap_encode_resent(MAL_IPV4, 7, 0, d.msg.body, d.msg.body_length, out, 39), 0);
  cr_expect_eq(aap_encode_resent(MAL_IPV4, 1 << 24, 0, d.msg.body, d.msg.body_length, out, 99), 0);
  cr_expect_eq(aap_encode_resent(MAL_IPV4, 7, 0, d.msg.body, 3, out, 99), 0);
  cr_expect_eq(aap_encode_resent(MAL_FAMILY_NONE, 7, 0, d.msg.body, 28, out, 99), 0);
}

/* ---- broken in general ----------------------------------------------------------------------- */

/* Cut where a range ends, what is left can be a message of fewer ranges; nowhere else. */
static bool may_stop(const HexFile *hex, size_t length)
{
  static const size_t fixed[] = {
    [AAP_ACLM] = 12, [AAP_AIU] = 12, [AAP_AITU] = 12, [AAP_ASA] = 16
  };
  uint8_t type = hex->bytes->data[1];
  size_t octets = hex->bytes->data[3] == MAL_IPV4 ? 12 : 36;

  return type <= AAP_ASA && length >= fixed[type] && (length - fixed[type]) % octets == 0 &&
         (type == AAP_ASA || length > fixed[type]);
}

static void dropped_at_other_lengths(const char *path, const HexFile *hex)
{
  g_autoptr(GByteArray) longer = g_byte_array_new();

  g_byte_array_append(longer, hex->bytes->data, hex->bytes->len);
  for (guint8 octet = 1; octet < 80; octet++)
    g_byte_array_append(longer, &octet, 1);
  for (size_t length = 0; length < longer->len; length++) {
    g_auto(AapDecoded) d = aap_decoded(longer->data, length);
    if (length < 12)
      cr_expect_eq(d.fault.reason, AAP_REASON_SHORT, "%s: %zu", path, length);
    else if (length <= hex->bytes->len)
      cr_expect_eq(d.ok, length == hex->bytes->len || may_stop(hex, length), "%s: %zu", path,
                   length);
    else if (!may_stop(hex, length))
      cr_expect_eq(d.fault.reason, AAP_REASON_LENGTH, "%s: %zu", path, length);
    cr_expect_eq(d.ok, d.fault.reason == AAP_REASON_NONE, "%s: %zu", path, length);
    cr_expect(d.ok || (d.msg.n_ranges == 0 && d.msg.n_requests == 0), "%s: %zu", path, length);
  }
}

Test(aap_21_34_36, no_other_length_is_taken)
{
  aap_each_golden(dropped_at_other_lengths);
}

/* A small generator, so that a failure repeats. */
static uint32_t next_random(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static void mutations_never_confuse(const char *path, const HexFile *hex)
{
  uint32_t state = 1;
  unsigned taken = 0;
  for (unsigned round = 0; round < 300; round++) {
    g_autofree uint8_t *copy = g_memdup2(hex->bytes->data, hex->bytes->len);
    uint8_t out[1024];
    for (unsigned changes = 1 + next_random(&state) % 3; changes > 0; changes--)
      copy[next_random(&state) % hex->bytes->len] = (uint8_t)next_random(&state);
    g_auto(AapDecoded) d = aap_decoded(copy, hex->bytes->len);
    if (!d.ok)
      continue;
    taken++;
    cr_expect_eq(aap_encode(&d.msg, out, sizeof out, NULL), hex->bytes->len, "%s %u", path, round);
    cr_expect_eq(memcmp(out, copy, hex->bytes->len), 0, "%s %u", path, round);
  }
  cr_expect_gt(taken, 0, "%s", path);
}

Test(decode, what_is_accepted_is_what_encoding_writes)
{
  aap_each_golden(mutations_never_confuse);
}

/* ---- for the dissector's test ---------------------------------------------------------------- */

static void add_packet(Pcap *pcap, unsigned index, const uint8_t *data, size_t length)
{
  bool v6 = length > 3 && data[3] == MAL_IPV6;
  MalEndpoint from = { aap_address(v6 ? "2001:db8::77" : "192.0.2.77"), AAP_PORT, 0 };
  MalEndpoint to = { aap_address(v6 ? "ff16::8000:b3e" : "239.251.255.248"), AAP_PORT, 0 };

  pcap_add_udp(pcap, 1767225600000000 + index * 1000, from, to, data, length);
}

#define TAG "00112233 44556677 8899aabb ccddeeff"
#define TRAILER "0123456789abcdef 0000000000000007 cafe0123"

/* All golden packets in the order of their names, then those of the list below. */
Test(capture, for_the_dissector)
{
  static const char *const dropped[] = {
    "01 00 0001 000101 00 395d3480  e9fc0010 e9fc0013 395d50a0",
    "00 06 0001 000102 00 395d3480  e9fc0010 e9fc0013 395d50a0",
    "00 00 0003 000103 00 395d3480  e9fc0010 e9fc0013 395d50a0",
    "00 01 0001 000104 00 395d3480  e9fc0010 e9fc0013 395d50a0  e9fc0020 e9fc00",
    "00 00 0001 000105 00 395d3480  e9fc0013 e9fc0010 395d50a0",
    "00 00 0001 000106 00 395d3480  c0000201 c0000204 395d50a0",
    "00 04 0001 000107 00 395d3480  02 e9fc0000 e9fc007f 0000000c 00",
    "00 04 0001 000108 00 395d3480  01 e9fc0000 e9fc007f 0000000c 02 0000000a 395e9410",
    "00 05 0001 000109 00 395d34a8  0000000a 395e9410 00000000",
    "00 03 0001 00010a 00 395d3480",
    "00 01 0001 00010b 00 395d3480",
    ("00 00 0002 00010c 00 395d3480  ff350020 20010db8 00000000 80000000"
     " ff380020 20010db8 00000000 8000ffff 395d50a0"),
    "00 05 0001 00010d 00 395d34a8  00000000 395e9410",
    "00 00 0001 00010e 00 395d34",
    /* With the trailer of authentication, which a decoder that doesn't know it drops. */
    ("00 01 0001 00010f 00 395d3480  e9fc0010 e9fc0013 395d50a0" TAG TAG TRAILER "01 41415001"),
    ("00 05 0001 000110 00 395d34a8  0000000a 395e9410" TAG TAG TAG TAG TRAILER "02 41415001"),
    ("00 01 0001 000111 00 395d3480  e9fc0010 e9fc0013 395d50a0" TAG TAG TRAILER "03 41415001"),
  };
  const char *top = g_getenv("top_builddir");
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, "tests", "aap.pcap", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) paths = hex_list(AAP_GOLDEN);
  Pcap *pcap = pcap_open(path, &error);
  cr_assert(pcap != NULL, "%s", error == NULL ? "" : error->message);
  for (unsigned i = 0; i < paths->len; i++) {
    g_autoptr(HexFile) hex = hex_load(paths->pdata[i], NULL);
    add_packet(pcap, i, hex->bytes->data, hex->bytes->len);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(dropped); i++) {
    g_autoptr(HexFile) hex = hex_parse(dropped[i], NULL);
    g_auto(AapDecoded) d = aap_decoded(hex->bytes->data, hex->bytes->len);
    cr_expect_not(d.ok, "dropped %u", i);
    add_packet(pcap, paths->len + i, hex->bytes->data, hex->bytes->len);
  }
  cr_assert(pcap_close(pcap));
}
