/* The decoder over golden packets, whole, cut short and with octets changed. */
#include "tests/support/madcap-packets.h"
#include "tests/support/pcap.h"

#include <criterion/criterion.h>
#include <string.h>

static void decodes_and_encodes_again(const char *path, const HexFile *hex)
{
  uint8_t out[2048];
  char text[200];
  MadcapFault fault;
  g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
  MadcapContext context = golden_context(hex);

  cr_expect_eq(d.outcome, MADCAP_OK, "%s: %s", path,
               madcap_fault_describe(&d.fault, text, sizeof text));
  cr_expect_eq(d.fault.reason, MADCAP_REASON_NONE, "%s", path);
  cr_expect(madcap_check(&d.msg, context, &fault), "%s: %s", path,
            madcap_fault_describe(&fault, text, sizeof text));
  size_t length = madcap_encode(&d.msg, context, out, sizeof out, &fault);
  cr_expect_eq(length, hex->bytes->len, "%s: %s", path,
               madcap_fault_describe(&fault, text, sizeof text));
  cr_expect(length == hex->bytes->len && memcmp(out, hex->bytes->data, length) == 0, "%s", path);
}

Test(golden, each_decodes_checks_and_encodes_to_the_same_octets)
{
  each_golden(decodes_and_encodes_again);
}

#define ID "009f1c3a5577b2d4e60813f2e1c0a4b697"
#define ID2 "0042d0e6a18c3f5b7790ae11c4f3682d05"
static const struct { const char *name, *text; } descriptions[] = {
  { "appendix-a1-getinfo-ipv4",
    "GETINFO ipv4 xid 1a2b3c40 lease " ID " wants Multicast Scope List (9) language \"en\"" },
  { "appendix-a1-ack-ipv4",
    "ACK ipv4 xid 1a2b3c40 server 192.0.2.1 lease " ID " scopes [239.255.0.0-239.255.255.255 "
    "ttl 255 \"Site local\"; 233.252.0.0-233.252.0.255 ttl 255 \"Global\"]" },
  { "appendix-a1-ack-ipv6",
    "ACK ipv6 xid 1a2b3c40 server 2001:db8::1 lease " ID " scopes [ff03::db8:0:0-"
    "ff03::db8:ffff:ffff ttl 255 \"Site local\"; ff0e::db8:0:0-ff0e::db8:ffff:ffff ttl 255 "
    "\"Global\"]" },
  { "appendix-a2-discover-ipv4",
    "DISCOVER ipv4 xid 1a2b3c41 lease-time 7200 lease " ID " scope 233.252.0.0" },
  { "appendix-a2-offer-ipv6",
    "OFFER ipv6 xid 1a2b3c41 lease-time 7200 server 2001:db8::1 lease " ID
    " scope ff0e::db8:0:0" },
  { "appendix-a2-request-ipv4",
    "REQUEST ipv4 xid 1a2b3c42 lease-time 7200 server 192.0.2.1 lease " ID
    " scope 233.252.0.0" },
  { "appendix-a2-ack-ipv6",
    "ACK ipv6 xid 1a2b3c42 lease-time 7200 server 2001:db8::1 lease " ID
    " scope ff0e::db8:0:0 addresses ff0e::db8:8000:25" },
  { "appendix-a3-renew-ipv4", "RENEW ipv4 xid 1a2b3c43 lease-time 7200 lease " ID },
  { "appendix-a3-nak-ipv4",
    "NAK ipv4 xid 1a2b3c43 server 192.0.2.1 lease " ID
    " error 0 Valid Request Could Not Be Completed (option 1 Lease Time)" },
  { "appendix-a4-release-ipv6", "RELEASE ipv6 xid 1a2b3c44 lease " ID },
  { "appendix-a4-ack-ipv4", "ACK ipv4 xid 1a2b3c44 server 192.0.2.1 lease " ID },
  { "appendix-a5-request-ipv4",
    "REQUEST ipv4 xid 1a2b3c45 lease-time 7200 lease " ID2 " scope 233.252.0.0" },
  { "request-advance-ipv4",
    "REQUEST ipv4 xid 5d000001 lease-time 3600 server 192.0.2.1 lease " ID
    " scope 233.252.0.0 start 1767312000 number 2 to 10"
    " addresses 233.252.0.37-233.252.0.40,233.252.0.90-233.252.0.95 now 1767225600"
    " supports Retry After (1) requests Shared Lease Identifier (2) min-lease-time 1800"
    " max-start 1767315600" },
  { "ack-retry-after-ipv4",
    "ACK ipv4 xid 5d000002 lease-time 3600 server 192.0.2.1 lease " ID
    " scope 233.252.0.0 addresses none now 1767225600"
    " supports Retry After (1), Shared Lease Identifier (2) requires Retry After (1)"
    " retry-at 1767229200" },
  { "nak-0-not-completed",
    "NAK ipv4 xid 5d000003 server 192.0.2.1 lease " ID
    " error 0 Valid Request Could Not Be Completed (no specific option)" },
  { "nak-1-invalid-request",
    "NAK ipv4 xid 5d000003 server 192.0.2.1 lease " ID
    " error 1 Invalid Request (option 11 Current Time)" },
  { "nak-2-clock-skew",
    "NAK ipv4 xid 5d000003 server 192.0.2.1 lease " ID
    " error 2 Excessive Clock Skew (server time 1767225600)" },
  { "nak-3-lease-id",
    "NAK ipv4 xid 5d000003 server 192.0.2.1 lease " ID
    " error 3 Lease Identifier Not Recognized" },
  { "nak-4-feature",
    "NAK ipv4 xid 5d000003 server 192.0.2.1 lease " ID
    " error 4 Required Feature Not Supported: Server Mobility (0), unknown feature (7)" },
  { "nak-1024-experimental",
    "NAK ipv4 xid 5d000003 server 192.0.2.1 lease " ID " error 1024 experimental error" },
  { "server-id-other-family", "ACK ipv6 xid 5d000004 server 192.0.2.1 lease " ID },
  { "scope-list-3.10",
    "ACK ipv4 xid 5d000005 server 192.0.2.1 lease " ID " scopes [239.192.0.0-239.195.255.255 "
    "ttl 10 \"Inside abcd.com\"; 224.0.1.0-238.255.255.255 ttl 16 \"world\"]" },
  { "ack-getinfo-everything",
    "ACK ipv4 xid 5d000007 server 192.0.2.1 lease " ID " scopes [239.255.0.0-239.255.255.255 "
    "ttl 255 \"Site local\" \"R\xc3\xa9seau du site\"; 239.192.0.0-239.195.255.255 ttl 255] "
    "now 1767225600 supports Retry After (1), Shared Lease Identifier (2) nesting of 2 scopes" },
};

Test(golden, every_field_is_read_appendix_a_and_section_3)
{
  for (size_t i = 0; i < G_N_ELEMENTS(descriptions); i++) {
    char text[MADCAP_DESCRIPTION_SIZE];
    g_autoptr(HexFile) hex = golden(descriptions[i].name);
    g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
    cr_expect_str_eq(madcap_describe(&d.msg, text, sizeof text), descriptions[i].text, "%s",
                     descriptions[i].name);
  }
}

Test(golden, scope_list_of_rfc2730_3_10)
{
  g_autoptr(HexFile) hex = golden("scope-list-3.10");
  g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
  MadcapScopeView scope;
  MadcapNameView name;

  cr_assert_eq(d.msg.scope_list.length, 51);
  cr_assert_eq(madcap_scopes_count(&d.msg), 2);
  MadcapScopeIter scopes = madcap_scopes(&d.msg);
  cr_assert(madcap_scopes_next(&scopes, &scope));
  cr_expect(mal_address_equal(scope.first, mal_address_ipv4(0xefc00000)));
  cr_expect(mal_address_equal(scope.last, mal_address_ipv4(0xefc3ffff)));
  cr_expect_eq(scope.ttl, 10);
  MadcapNameIter names = madcap_names(&scope);
  cr_assert(madcap_names_next(&names, &name));
  cr_expect(name.is_default);
  cr_expect_eq(name.language.length, 2);
  cr_expect_eq(name.name.length, 15);
  cr_expect_eq(memcmp(name.name.data, "Inside abcd.com", 15), 0);
  cr_expect_not(madcap_names_next(&names, &name));
  cr_assert(madcap_scopes_next(&scopes, &scope));
  cr_expect(mal_address_equal(scope.first, mal_address_ipv4(0xe0000100)));
  cr_expect_eq(scope.ttl, 16);
  cr_expect_not(madcap_scopes_next(&scopes, &scope));
}

Test(golden, nesting_matrix_of_rfc2907_figure_4)
{
  static const char *const matrix[7] = { "1111111", "0111111", "0010111", "0001111",
                                         "0000111", "0000011", "0000001" };
  g_autoptr(HexFile) hex = golden("nesting-figure-4");
  g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);

  cr_assert_eq(d.msg.nesting_count, 7);
  cr_expect_eq(memcmp(d.msg.nesting.data, "\xfc\x7c\x1c\x1c\x0c\x04\x00", 7), 0);
  for (size_t x = 0; x < 7; x++)
    for (size_t y = 0; y < 7; y++)
      cr_expect_eq(madcap_nests(&d.msg, x, y), matrix[x][y] == '1', "S%zu/S%zu", x + 1, y + 1);
  cr_expect_not(madcap_nests(&d.msg, 7, 0));
  cr_expect_not(madcap_nests(&d.msg, 0, 7));
}

/* ---- broken in general ----------------------------------------------------------------------- */

static void ignored_at_every_length(const char *path, const HexFile *hex)
{
  for (size_t length = 0; length < hex->bytes->len; length++) {
    g_auto(Decoded) d = decode(hex->bytes->data, length);
    cr_expect_eq(d.outcome, MADCAP_IGNORE, "%s cut to %zu", path, length);
    cr_expect_eq(d.fault.reason == MADCAP_REASON_SHORT, length < 12, "%s cut to %zu", path, length);
  }
}

Test(rfc2730_2_1, each_truncation_is_ignored)
{
  each_golden(ignored_at_every_length);
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
  uint8_t out[2048];
  char before[2048], after[2048];
  for (unsigned round = 0; round < 400; round++) {
    g_autofree uint8_t *copy = g_memdup2(hex->bytes->data, hex->bytes->len);
    for (unsigned changes = 1 + next_random(&state) % 3; changes > 0; changes--)
      copy[next_random(&state) % hex->bytes->len] = (uint8_t)next_random(&state);
    g_auto(Decoded) d = decode(copy, hex->bytes->len);
    cr_expect_eq(d.outcome == MADCAP_OK, d.fault.reason == MADCAP_REASON_NONE);
    madcap_describe(&d.msg, before, sizeof before);
    if (d.outcome != MADCAP_OK || !madcap_check(&d.msg, golden_context(hex), NULL) ||
        (d.msg.server_id.family == MAL_FAMILY_NONE && madcap_has(&d.msg, MADCAP_OPTION_SERVER_ID)))
      continue;
    size_t length = madcap_encode(&d.msg, golden_context(hex), out, sizeof out, NULL);
    g_auto(Decoded) again = decode(out, length);
    cr_expect_eq(again.outcome, MADCAP_OK, "%s round %u: %s", path, round, before);
    cr_expect_str_eq(madcap_describe(&again.msg, after, sizeof after), before, "%s", path);
  }
}

Test(decode, what_is_accepted_survives_encoding)
{
  each_golden(mutations_never_confuse);
}

/* ---- for the dissector's test ---------------------------------------------------------------- */

static MalEndpoint endpoint(const char *text)
{
  MalEndpoint e;
  cr_assert(mal_endpoint_parse(text, MADCAP_PORT, &e, NULL), "%s", text);
  return e;
}

static void add_packet(Pcap *pcap, unsigned index, const uint8_t *data, size_t length)
{
  bool v6 = length > 3 && data[3] == MAL_IPV6;
  bool to_client = length > 1 && madcap_type_from_server(data[1]);
  MalEndpoint client = endpoint(v6 ? "[2001:db8::77]:40001" : "192.0.2.77:40001");
  MalEndpoint server = endpoint(v6 ? "[2001:db8::1]:2535" : "192.0.2.1:2535");
  pcap_add_udp(pcap, 1767225600000000 + index * 1000, to_client ? server : client,
               to_client ? client : server, data, length);
}

/* All golden packets in the order of their names, then the malformed ones of the list below. */
Test(capture, for_the_dissector)
{
  static const char *const malformed[] = {
    "00 07 0001 00000101  0003 0002 00a1  0003 0002 00a1  0000 0000",
    "00 03 0001 00000102  0003 0002 00a1  0004 0003 e9fc00  0000 0000",
    "00 03 0001 00000103  0003 0002 00a1  0007 0004 0002 0001  0000 0000",
    "00 07 0001 00000104  0003 0002 00a1",
    "00 07 0001 00000105  0003 00ff 00a1  0000 0000",
    "00 07 0001 00000106  0003 0002 00a1  0000 0000  01",
    "01 07 0001 00000107  0003 0002 00a1  0000 0000",
    "00 09 0001 00000108  0003 0002 00a1  0000 0000",
    "00 07 0003 00000109  0003 0002 00a1  0000 0000",
    "00 07 0001 0000010a  0003 0002 00a1  1234 0002 beef  0000 0000",
    "00 05 0001 0000010b  0009 0010 01 effe0000 efffffff 10 01 80 ff 65 01 41  0000 0000",
    "00 05 0001 0000010c  0003 0002 00a1  0011 0005 07 fc7c1c1c  0000 0000",
    "00 07 0001 00000d",
  };
  const char *top = g_getenv("top_builddir");
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, "tests", "madcap.pcap", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) paths = hex_list(MADCAP_GOLDEN);
  Pcap *pcap = pcap_open(path, &error);
  cr_assert(pcap != NULL, "%s", error == NULL ? "" : error->message);
  for (unsigned i = 0; i < paths->len; i++) {
    g_autoptr(HexFile) hex = hex_load(paths->pdata[i], NULL);
    add_packet(pcap, i, hex->bytes->data, hex->bytes->len);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(malformed); i++) {
    g_autoptr(HexFile) hex = hex_parse(malformed[i], NULL);
    g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
    cr_expect_eq(d.outcome == MADCAP_OK, i == 9, "malformed %u", i);
    add_packet(pcap, paths->len + i, hex->bytes->data, hex->bytes->len);
  }
  cr_assert(pcap_close(pcap));
}
