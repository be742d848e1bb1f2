/* The MASC codec over golden messages, whole, cut short, with octets changed, and as a stream in
   pieces of any size (RFC 2909 section 7). */
#include "tests/support/masc-packets.h"
#include "tests/support/pcap.h"

#include <criterion/criterion.h>
#include <string.h>

static void decodes_and_encodes_again(const char *name, const HexFile *hex)
{
  uint8_t out[MASC_MAX_LENGTH];
  MascRefusal why;
  g_auto(MascDecoded) d = masc_decoded(hex->bytes->data, hex->bytes->len);
  const char *canonical = hex_directive(hex, "canonical");

  cr_assert(d.ok, "%s: %u.%u at %zu", name, d.fault.code, d.fault.subcode, d.fault.offset);
  cr_expect_eq(d.n_refused, g_str_equal(name, "update-refused-ipv4.hex") ? 1 : 0, "%s", name);
  size_t length = masc_encode_again(&d, out, sizeof out, &why);
  cr_assert_gt(length, 0, "%s: %s", name, masc_reason_name(why.reason));
  cr_expect_eq(masc_encode_again(&d, out, length - 1, &why), 0, "%s", name);
  cr_expect_eq(why.reason, MASC_REASON_SPACE, "%s", name);
  bool same = length == hex->bytes->len && memcmp(out, hex->bytes->data, length) == 0;
  cr_expect_eq(same, canonical == NULL, "%s: %zu octets of %u", name, length, hex->bytes->len);
}

Test(rfc2909_7, each_decodes_and_encodes_to_the_same_octets)
{
  masc_each_golden(decodes_and_encodes_again);
}

#define V6 "ff3e:20:2001:db8::8000:"
static const struct { const char *name, *text; } descriptions[] = {
  { "keepalive", "KEEPALIVE" },
  { "open-child-ipv4",
    "OPEN ipv4 child domain 64501 node 192.0.2.1 parent 0 hold-time 240" },
  { "open-parent-ipv6",
    "OPEN ipv6 parent domain 64496 node 2001:db8::1 parent 0 hold-time 180" },
  { "open-sibling-ipv4",
    "OPEN ipv4 sibling domain 64499 node 198.51.100.1 parent 64496 hold-time 0" },
  { "open-internal-tld-ipv4",
    "OPEN ipv4 internal domain 192.0.2.0 node 192.0.2.1 parent 0 hold-time 3" },
  { "open-internal-ipv6",
    "OPEN ipv6 internal domain 2001:db8:1:: node 2001:db8:1::7 parent 64496 hold-time 65535" },
  { "open-parameters-ipv4",
    "OPEN ipv4 child domain 64501 node 192.0.2.1 parent 64496 hold-time 240" },
  { "prefix-in-use-ipv4",
    "UPDATE PREFIX_IN_USE internal 233.252.0.0/24 from 64501 node 192.0.2.1 at 962582400 "
    "lifetime 2592000 holdtime 2592000" },
  { "prefix-in-use-ipv6",
    "UPDATE PREFIX_IN_USE child " V6 "0/112 from 64501 node 2001:db8::1 at 962582400 "
    "lifetime 2592000 holdtime 2592000" },
  { "claim-denied-ipv4",
    "UPDATE CLAIM_DENIED internal 233.252.0.0/24 from 64501 node 192.0.2.1 at 962409600 "
    "lifetime 1296000 holdtime 172800" },
  { "claim-denied-ipv6",
    "UPDATE CLAIM_DENIED parent " V6 "0/112 from 64501 node 2001:db8::1 at 962409600 "
    "lifetime 0 holdtime 172800" },
  { "claim-to-expand-ipv4",
    "UPDATE CLAIM_TO_EXPAND sibling 233.252.0.0/23 from 64501 node 192.0.2.1 at 962409660 "
    "lifetime 2592000 holdtime 172800" },
  { "claim-to-expand-ipv6",
    "UPDATE CLAIM_TO_EXPAND internal " V6 "0/112 from 64501 node 2001:db8::1 at 962582400 "
    "lifetime 5184000 holdtime 172800" },
  { "new-claim-ipv4",
    "UPDATE NEW_CLAIM internal 233.252.0.0/24 from 64501 node 192.0.2.1 at 962409600 "
    "lifetime 2592000 holdtime 172800" },
  { "new-claim-hint-ipv6",
    "UPDATE NEW_CLAIM child ::/112 from 64501 node 2001:db8::1 at 962409600 "
    "lifetime 2592000 holdtime 172800" },
  { "prefix-managed-ipv4",
    "UPDATE PREFIX_MANAGED internal 233.252.0.0/16 deprecated from 64496 node 198.51.100.1 "
    "at 962409600 lifetime 2592000 holdtime 2592000" },
  { "prefix-managed-ipv6",
    "UPDATE PREFIX_MANAGED parent " V6 "0/108 from 64496 node 2001:db8:1::7 at 962409600 "
    "lifetime 2592000 holdtime 2592000" },
  { "withdraw-ipv4",
    "UPDATE WITHDRAW internal 233.252.0.0/24 from 64501 node 192.0.2.1 at 962409600 "
    "lifetime 2592000 holdtime 2592000" },
  { "withdraw-ipv6",
    "UPDATE WITHDRAW parent " V6 "0/112 from 64496 node 2001:db8:1::7 at 962409600 "
    "lifetime 2592000 holdtime 2592000" },
  { "update-ignored-ipv4",
    "UPDATE NEW_CLAIM internal 233.252.0.0/24 from 64501 node 192.0.2.1 at 962409600 "
    "lifetime 2592000 holdtime 172800" },
  { "update-refused-ipv4",
    "UPDATE refused: Unrecognized Required Attribute PREFIX_IN_USE internal 233.252.0.0/24 "
    "from 64501 node 192.0.2.1 at 962409600 lifetime 2592000 holdtime 2592000" },
  { "notification-type",
    "NOTIFICATION Message Header Error: Bad Message Type (1.2), stays open, 6 octets" },
  { "notification-no-common-parent",
    "NOTIFICATION OPEN Message Error: No Common Parent (2.10), closes, 16 octets" },
  { "notification-cease", "NOTIFICATION Cease: Unspecific (7.0), closes, 0 octets" },
};

Test(rfc2909_7, every_field_is_read)
{
  for (size_t i = 0; i < G_N_ELEMENTS(descriptions); i++) {
    char text[MASC_DESCRIPTION_SIZE], cut[20];
    g_autoptr(HexFile) hex = masc_golden(descriptions[i].name);
    g_auto(MascDecoded) d = masc_decoded(hex->bytes->data, hex->bytes->len);
    cr_expect_str_eq(masc_describe(&d.msg, text, sizeof text), descriptions[i].text, "%s: %s",
                     descriptions[i].name, text);
    masc_describe(&d.msg, cut, sizeof cut);
    cr_expect(g_str_has_prefix(descriptions[i].text, cut) && strlen(cut) <= 19);
    if (d.n_claims == 1 && d.n_refused == 0)
      cr_expect_str_eq(masc_describe_claim(d.claims, text, sizeof text),
                       descriptions[i].text + strlen("UPDATE "));
  }
}

/* ---- the stream ------------------------------------------------------------------------------ */

static GByteArray *whole_stream;

static void append(const char *name G_GNUC_UNUSED, const HexFile *hex)
{
  g_byte_array_append(whole_stream, hex->bytes->data, hex->bytes->len);
}

typedef struct {
  size_t messages, octets;
} Seen;

static void feed(MascDeframer *d, const uint8_t *data, size_t left, Seen *seen)
{
  const uint8_t *message;
  size_t length;
  MascMessage msg;

  while (masc_deframe(d, &data, &left, &message, &length) == MASC_FRAME_MESSAGE) {
    cr_expect_eq(memcmp(message, whole_stream->data + seen->octets, length), 0);
    cr_expect(masc_decode(message, length, &msg, NULL));
    seen->messages++;
    seen->octets += length;
  }
  cr_expect_eq(left, 0);
}

Test(rfc2909_7_1, a_stream_in_pieces_of_any_size)
{
  g_autofree MascDeframer *d = g_new(MascDeframer, 1);
  whole_stream = g_byte_array_new();
  masc_each_golden(append);
  for (size_t piece = 1; piece <= whole_stream->len; piece = piece < 100 ? piece + 1 : piece * 2) {
    Seen seen = { 0 };
    memset(d, 0, sizeof *d);
    for (size_t at = 0; at < whole_stream->len; at += piece)
      feed(d, whole_stream->data + at, MIN(piece, whole_stream->len - at), &seen);
    cr_expect_eq(seen.messages, 42, "in pieces of %zu", piece);
    cr_expect_eq(seen.octets, whole_stream->len, "in pieces of %zu", piece);
  }
  g_byte_array_unref(whole_stream);
}

Test(rfc2909_7_1, the_longest_message_and_no_longer_one)
{
  static const struct { uint8_t octets[4]; MascFrame frame; } cases[] = {
    { { 0x10, 0x00, 3, 0 }, MASC_FRAME_MESSAGE }, { { 0x10, 0x01, 3, 0 }, MASC_FRAME_LOST },
    { { 0xff, 0xff, 4, 0 }, MASC_FRAME_LOST },    { { 0x00, 0x04, 4, 0 }, MASC_FRAME_MESSAGE },
    { { 0x00, 0x03, 4, 0 }, MASC_FRAME_LOST },    { { 0x00, 0x00, 0, 0 }, MASC_FRAME_LOST },
  };
  g_autofree MascDeframer *d = g_new(MascDeframer, 1);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    uint8_t stream[MASC_MAX_LENGTH + 4] = { 0 };
    const uint8_t *data = stream, *message;
    size_t left = sizeof stream, length;
    MascMessage msg;
    MascFault fault;
    memcpy(stream, cases[i].octets, 4);
    memset(d, 0, sizeof *d);
    cr_expect_eq(masc_deframe(d, &data, &left, &message, &length), cases[i].frame, "case %zu", i);
    if (cases[i].frame == MASC_FRAME_MESSAGE)
      continue;
    cr_expect_eq(length, 4, "case %zu", i);
    cr_expect_not(masc_decode(message, length, &msg, &fault), "case %zu", i);
    cr_expect(fault.code == MASC_ERROR_HEADER && fault.subcode == MASC_HEADER_BAD_LENGTH);
    size_t before = left;
    cr_expect_eq(masc_deframe(d, &data, &left, &message, &length), MASC_FRAME_LOST, "it stays");
    cr_expect_eq(left, before, "nothing is taken any more");
  }
}

/* ---- broken in general ----------------------------------------------------------------------- */

/* With the length that is left in the header, so that more than the header is looked at. */
static void cut_short(const char *name, const HexFile *hex)
{
  for (size_t length = 4; length < hex->bytes->len; length++) {
    g_autofree uint8_t *copy = g_memdup2(hex->bytes->data, hex->bytes->len);
    copy[0] = (uint8_t)(length >> 8);
    copy[1] = (uint8_t)length;
    g_auto(MascDecoded) d = masc_decoded(copy, length);
    /* diagnosing data, parameters and attributes may be fewer */
    if (d.ok)
      cr_expect(copy[2] == MASC_NOTIFICATION || strstr(name, "parameters") != NULL ||
                strstr(name, "update-") != NULL, "%s: %zu", name, length);
    else
      cr_expect_neq(d.fault.code, MASC_ERROR_NONE, "%s: %zu", name, length);
    g_auto(MascDecoded) other = masc_decoded(hex->bytes->data, length);
    cr_expect_eq(other.fault.subcode, MASC_HEADER_BAD_LENGTH, "%s: %zu", name, length);
  }
}

Test(rfc2909_8, cut_short)
{
  masc_each_golden(cut_short);
}

static uint32_t next_random(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Of each changed message there is one reading or one answer, and the answer is well formed. */
static void octets_changed(const char *name, const HexFile *hex)
{
  uint32_t state = 2909;
  for (unsigned round = 0; round < 1500; round++) {
    g_autofree uint8_t *copy = g_memdup2(hex->bytes->data, hex->bytes->len);
    uint8_t out[MASC_MAX_LENGTH];
    for (unsigned n = next_random(&state) % 3 + 1; n > 0; n--)
      copy[next_random(&state) % hex->bytes->len] = (uint8_t)next_random(&state);
    g_auto(MascDecoded) d = masc_decoded(copy, hex->bytes->len);
    cr_expect_eq(d.fault.code == MASC_ERROR_NONE, d.ok && d.n_refused == 0, "%s %u", name, round);
    if (d.ok && d.n_refused == 0 && (d.msg.type != MASC_UPDATE || d.n_claims > 0))
      cr_expect_gt(masc_encode_again(&d, out, sizeof out, NULL), 0, "%s %u", name, round);
    size_t length = masc_answer(&d.fault, copy, hex->bytes->len, true, out, sizeof out);
    cr_expect_eq(length > 0, d.fault.code != MASC_ERROR_NONE && !d.fault.silent, "%s %u", name,
                 round);
    if (length > 0) {
      g_auto(MascDecoded) answer = masc_decoded(out, length);
      cr_expect(answer.ok, "%s %u", name, round);
    }
  }
}

Test(rfc2909_8, octets_changed)
{
  masc_each_golden(octets_changed);
}

/* ---- for the dissector's test ---------------------------------------------------------------- */

typedef struct {
  Pcap *pcap;
  MalEndpoint from, to;
  uint32_t sequence;
  unsigned index;
} Capture;

static void add_segment(Capture *c, const uint8_t *data, size_t length)
{
  pcap_add_tcp(c->pcap, 1767225600000000 + c->index++ * 1000, c->from, c->to, c->sequence, data,
               length);
  c->sequence += (uint32_t)length;
}

static MalAddress address_of(const char *text)
{
  MalAddress address;
  cr_assert(mal_address_parse(text, &address, NULL));
  return address;
}

static GByteArray *load(const char *path)
{
  g_autoptr(HexFile) hex = hex_load(path, NULL);
  cr_assert(hex != NULL, "%s", path);
  return g_byte_array_ref(hex->bytes);
}

/* All golden messages in the order of their names, a segment each, but for every third one, which
   comes in two; then two in one segment; then the malformed ones of the list, in another session,
   and last an impossible length. */
Test(capture, for_the_dissector)
{
  static const char *const malformed[] = {
    "0004 09 00",
    "0005 04 00 00",
    "0014 01 00 02 05 00f0 0000fbf5 c0000201 00000000",
    "0014 01 00 01 0d 00f0 0000fbf5 c0000201 00000000",
    "0014 01 00 01 05 0001 0000fbf5 c0000201 00000000",
    "0028 02 00 0024 03 00 00 04 0000 395d3480 00278d00 0002a300"
    " 0000fbf5 c0000201 c0000200 ffffff00",
    "0028 02 00 0024 03 00 00 04 0000 395d3480 00278d00 0002a300"
    " 0000fbf5 c0000201 e9fc0000 ffff00ff",
    "0028 02 00 0024 00 00 00 07 0000 395d3480 00278d00 0002a300"
    " 0000fbf5 c0000201 e9fc0000 ffffff00",
    "0028 02 00 0030 03 00 00 04 0000 395d3480 00278d00 0002a300"
    " 0000fbf5 c0000201 e9fc0000 ffffff00",
    "0006 03 00 88 00",
    "1001 02 00",
  };
  const char *top = g_getenv("top_builddir");
  g_autofree char *path = g_build_filename(top == NULL ? "." : top, "tests", "masc.pcap", NULL);
  g_autoptr(GPtrArray) paths = hex_list(MASC_GOLDEN);
  Capture c = { .pcap = pcap_open(path, NULL), .sequence = 1,
                .from = { address_of("192.0.2.1"), 40000, 0 },
                .to = { address_of("198.51.100.1"), MASC_PORT, 0 } };
  cr_assert(c.pcap != NULL);
  for (unsigned i = 0; i < paths->len; i++) {
    g_autoptr(GByteArray) bytes = load(paths->pdata[i]);
    size_t first = i % 3 == 0 && bytes->len > 4 ? i % 2 == 0 ? 3 : bytes->len / 2 : bytes->len;
    add_segment(&c, bytes->data, first);
    if (first < bytes->len)
      add_segment(&c, bytes->data + first, bytes->len - first);
  }
  static const uint8_t two[] = { 0, 4, 4, 0, 0, 6, 3, 0, 7, 0 };
  add_segment(&c, two, sizeof two);
  c.from = (MalEndpoint){ address_of("2001:db8::1"), MASC_PORT, 0 };
  c.to = (MalEndpoint){ address_of("2001:db8:1::7"), 40001, 0 };
  c.sequence = 1;
  for (unsigned i = 0; i < G_N_ELEMENTS(malformed); i++) {
    g_autoptr(HexFile) hex = hex_parse(malformed[i], NULL);
    g_auto(MascDecoded) d = masc_decoded(hex->bytes->data, hex->bytes->len);
    cr_expect_neq(d.fault.code, MASC_ERROR_NONE, "malformed %u", i);
    add_segment(&c, hex->bytes->data, hex->bytes->len);
  }
  cr_assert(pcap_close(c.pcap));
}
