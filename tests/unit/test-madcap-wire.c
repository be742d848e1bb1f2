/* The decoder over messages made of parts: whatever breaks a rule is named. */
#include "tests/support/madcap-packets.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct {
  uint8_t bytes[4096];
  MalWriter w;
} Raw;

static void raw_begin(Raw *raw, uint8_t type, uint16_t family)
{
  raw->w = mal_writer(raw->bytes, sizeof raw->bytes);
  mal_write_u8(&raw->w, 0);
  mal_write_u8(&raw->w, type);
  mal_write_u16(&raw->w, family);
  mal_write_u32(&raw->w, 0x01020304);
}

static void raw_option(Raw *raw, uint16_t option, const void *data, size_t length)
{
  mal_write_u16(&raw->w, option);
  mal_write_u16(&raw->w, (uint16_t)length);
  mal_write_bytes(&raw->w, data, length);
}

static Decoded raw_end(Raw *raw)
{
  mal_write_u32(&raw->w, 0);
  cr_assert(mal_writer_ok(&raw->w));
  return decode(raw->bytes, raw->w.offset);
}

static const uint8_t lease_id[] = { 0, 0xa1, 0xb2, 0xc3 };

Test(rfc2730_2_1, header)
{
  static const struct {
    uint8_t version, type;
    uint16_t family;
    MadcapOutcome outcome;
    MadcapReason reason;
  } cases[] = {
    { 0, MADCAP_RELEASE, 1, MADCAP_OK, MADCAP_REASON_NONE },
    { 0, MADCAP_RELEASE, 2, MADCAP_OK, MADCAP_REASON_NONE },
    { 1, MADCAP_RELEASE, 1, MADCAP_IGNORE, MADCAP_REASON_VERSION },
    { 255, 0, 0, MADCAP_IGNORE, MADCAP_REASON_VERSION },
    { 0, 0, 1, MADCAP_BAD, MADCAP_REASON_TYPE },
    { 0, 9, 1, MADCAP_BAD, MADCAP_REASON_TYPE },
    { 0, 255, 9, MADCAP_BAD, MADCAP_REASON_TYPE },
    { 0, MADCAP_RELEASE, 0, MADCAP_BAD, MADCAP_REASON_FAMILY },
    { 0, MADCAP_RELEASE, 3, MADCAP_BAD, MADCAP_REASON_FAMILY },
    { 0, MADCAP_RELEASE, 0x0100, MADCAP_BAD, MADCAP_REASON_FAMILY },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Raw raw;
    raw_begin(&raw, cases[i].type, cases[i].family);
    raw.bytes[0] = cases[i].version;
    raw_option(&raw, MADCAP_OPTION_LEASE_ID, lease_id, sizeof lease_id);
    g_auto(Decoded) d = raw_end(&raw);
    cr_expect_eq(d.outcome, cases[i].outcome, "case %zu", i);
    cr_expect_eq(d.fault.reason, cases[i].reason, "case %zu", i);
    cr_expect_eq(d.fault.option, MADCAP_NO_OPTION, "case %zu", i);
    cr_expect_eq(d.msg.xid, 0x01020304, "case %zu", i);
    if (d.outcome == MADCAP_BAD)
      cr_expect_eq(d.msg.lease_id.length, sizeof lease_id, "case %zu: no NAK", i);
  }
}

Test(rfc2730_2_1_5, syntax_of_the_options_field)
{
  static const struct { const char *options; MadcapReason reason; } cases[] = {
    { "0000 0000", MADCAP_REASON_NONE },
    { "0003 0001 00  0000 0000", MADCAP_REASON_NONE },
    { "0003 0001 00", MADCAP_REASON_NO_END },
    { "0003 0001 00  0000 0001 00", MADCAP_REASON_NO_END },
    { "0000 0000  00", MADCAP_REASON_TRAILING },
    { "0000 0000  0003 0001 00", MADCAP_REASON_TRAILING },
    { "0000 0000  0000 0000", MADCAP_REASON_TRAILING },
    { "0003 0006 00  0000 0000", MADCAP_REASON_TRUNCATED },
    { "0003 0005 00  0000 0000", MADCAP_REASON_NO_END },
    { "0003 ffff 00  0000 0000", MADCAP_REASON_TRUNCATED },
    { "ffff ffff 0000 0000", MADCAP_REASON_TRUNCATED },
    { "0000 0001", MADCAP_REASON_TRUNCATED },
    { "0003 0001 00  0000 00", MADCAP_REASON_TRUNCATED },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = g_strconcat("00 07 0001 00000001 ", cases[i].options, NULL);
    g_autoptr(HexFile) hex = hex_parse(text, NULL);
    cr_assert(hex != NULL);
    g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
    cr_expect_eq(d.fault.reason, cases[i].reason, "%s: %s", cases[i].options,
                 madcap_reason_name(d.fault.reason));
    cr_expect_eq(d.outcome, cases[i].reason == MADCAP_REASON_NONE ? MADCAP_OK : MADCAP_IGNORE);
  }
}

/* Each option with each length from 0 to 48: PREFIX, then octets of 0. GOOD says which lengths may
   stand there. */
static bool four(size_t n) { return n == 4; }
static bool six(size_t n) { return n == 6; }
static bool sixteen(size_t n) { return n == 16; }
static bool eighteen(size_t n) { return n == 18; }
static bool three_up(size_t n) { return n >= 3; }
static bool one_up(size_t n) { return n >= 1; }
static bool two_up(size_t n) { return n >= 2; }
static bool any(size_t n) { return n < SIZE_MAX; }
static bool even(size_t n) { return n >= 2 && n % 2 == 0; }
static bool by_six(size_t n) { return n % 6 == 0; }
static bool by_eighteen(size_t n) { return n % 18 == 0; }
static bool up_to_one(size_t n) { return n <= 1; }
static bool one(size_t n) { return n == 1; }
static bool two(size_t n) { return n == 2; }
static bool three(size_t n) { return n == 3; }
static bool none_or_eleven(size_t n) { return n == 0 || n == 11; }
static bool none_or_thirty_five(size_t n) { return n == 0 || n == 35; }
static bool twenty_one(size_t n) { return n == 21; }
static bool eight(size_t n) { return n == 8; }

static const struct {
  MadcapOption option;
  MalFamily family;
  const char *prefix;
  size_t prefix_length;
  bool (*good)(size_t length);
} lengths[] = {
  { MADCAP_OPTION_LEASE_TIME, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_SERVER_ID, MAL_IPV4, "\0\1", 2, six },
  { MADCAP_OPTION_SERVER_ID, MAL_IPV4, "\0\2", 2, eighteen },
  { MADCAP_OPTION_SERVER_ID, MAL_IPV6, "\0\1", 2, six },
  { MADCAP_OPTION_SERVER_ID, MAL_IPV4, "\0\3", 2, three_up },
  { MADCAP_OPTION_LEASE_ID, MAL_IPV4, "", 0, one_up },
  { MADCAP_OPTION_SCOPE, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_SCOPE, MAL_IPV6, "", 0, sixteen },
  { MADCAP_OPTION_REQUEST_LIST, MAL_IPV4, "", 0, even },
  { MADCAP_OPTION_START_TIME, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_NUMBER, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_LANGUAGE, MAL_IPV4, "", 0, any },
  { MADCAP_OPTION_SCOPE_LIST, MAL_IPV4, "", 0, up_to_one },
  { MADCAP_OPTION_SCOPE_LIST, MAL_IPV4, "\1", 1, none_or_eleven },
  { MADCAP_OPTION_SCOPE_LIST, MAL_IPV6, "\1", 1, none_or_thirty_five },
  { MADCAP_OPTION_RANGES, MAL_IPV4, "", 0, by_six },
  { MADCAP_OPTION_RANGES, MAL_IPV6, "", 0, by_eighteen },
  { MADCAP_OPTION_CURRENT_TIME, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_FEATURES, MAL_IPV4, "", 0, six },
  { MADCAP_OPTION_FEATURES, MAL_IPV4, "\0\1", 2, eight },
  { MADCAP_OPTION_RETRY_TIME, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_MIN_LEASE_TIME, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_MAX_START_TIME, MAL_IPV4, "", 0, four },
  { MADCAP_OPTION_ERROR, MAL_IPV4, "\0\0", 2, four },
  { MADCAP_OPTION_ERROR, MAL_IPV4, "\0\1", 2, four },
  { MADCAP_OPTION_ERROR, MAL_IPV4, "\0\2", 2, six },
  { MADCAP_OPTION_ERROR, MAL_IPV4, "\0\3", 2, two },
  { MADCAP_OPTION_ERROR, MAL_IPV4, "\0\4", 2, even },
  { MADCAP_OPTION_ERROR, MAL_IPV4, "\4\0", 2, two_up },
  { MADCAP_OPTION_NESTING, MAL_IPV4, "", 0, one },
  { MADCAP_OPTION_NESTING, MAL_IPV4, "\1", 1, one },
  { MADCAP_OPTION_NESTING, MAL_IPV4, "\2", 1, three },
  { MADCAP_OPTION_NESTING, MAL_IPV4, "\12", 1, twenty_one },
};

Test(rfc2730_3, each_option_with_each_length)
{
  for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++)
    for (size_t length = 0; length <= 48; length++) {
      uint8_t value[48] = { 0 };
      Raw raw;
      if (lengths[i].prefix_length > 0)
        memcpy(value, lengths[i].prefix, lengths[i].prefix_length);
      raw_begin(&raw, MADCAP_ACK, (uint16_t)lengths[i].family);
      raw_option(&raw, (uint16_t)lengths[i].option, value, length);
      g_auto(Decoded) d = raw_end(&raw);
      bool wrong = d.fault.reason == MADCAP_REASON_LENGTH && d.fault.option == lengths[i].option;
      cr_expect_eq(wrong, !lengths[i].good(length), "case %zu: %s of %zu", i,
                   madcap_option_name(lengths[i].option), length);
      if (wrong)
        cr_expect_not(madcap_has(&d.msg, lengths[i].option), "%s of %zu",
                      madcap_option_name(lengths[i].option), length);
    }
}

/* The options of golden packets one after the other: CHANGE sees each as (code, value). */
static size_t split(const HexFile *hex, MalReader out[], uint16_t codes[], size_t max)
{
  MalReader r = mal_reader(hex->bytes->data, hex->bytes->len);
  size_t n = 0;
  mal_read_skip(&r, MADCAP_HEADER_LENGTH);
  while (mal_reader_left(&r) > 4 && n < max) {
    codes[n] = mal_read_u16(&r);
    uint16_t length = mal_read_u16(&r);
    out[n++] = mal_read_sub(&r, length);
  }
  return n;
}

static void raw_like(Raw *raw, const HexFile *hex)
{
  raw_begin(raw, hex->bytes->data[1], hex->bytes->data[3]);
  memcpy(raw->bytes, hex->bytes->data, MADCAP_HEADER_LENGTH);
}

static void twice_is_bad(const char *path, const HexFile *hex)
{
  MalReader values[MADCAP_N_OPTIONS];
  uint16_t codes[MADCAP_N_OPTIONS];
  size_t n = split(hex, values, codes, G_N_ELEMENTS(codes));
  for (size_t i = 0; i < n; i++) {
    Raw raw;
    raw_like(&raw, hex);
    for (size_t k = 0; k < n; k++)
      raw_option(&raw, codes[k], values[k].data, values[k].length);
    size_t offset = raw.w.offset;
    raw_option(&raw, codes[i], values[i].data, values[i].length);
    g_auto(Decoded) d = raw_end(&raw);
    cr_expect_eq(d.outcome, MADCAP_BAD, "%s: option %u", path, codes[i]);
    cr_expect_eq(d.fault.reason, MADCAP_REASON_DUPLICATE, "%s: option %u", path, codes[i]);
    cr_expect_eq(d.fault.option, codes[i], "%s: option %u", path, codes[i]);
    cr_expect_eq(d.fault.offset, offset, "%s: option %u", path, codes[i]);
    cr_expect_gt(d.msg.lease_id.length, 0, "%s: option %u", path, codes[i]);
  }
}

Test(rfc2730_2_1_5, each_duplicate_is_named)
{
  each_golden(twice_is_bad);
}

/* Rotated by SHIFT, backwards if REVERSE, with unknown options in between if UNKNOWN. */
static void in_other_order(const char *path, const HexFile *hex, size_t shift, bool reverse,
                           bool unknown)
{
  MalReader values[MADCAP_N_OPTIONS];
  uint16_t codes[MADCAP_N_OPTIONS];
  char expected[2048], text[2048];
  Raw raw;
  size_t n = split(hex, values, codes, G_N_ELEMENTS(codes));
  raw_like(&raw, hex);
  for (size_t i = 0; i < n; i++) {
    size_t at = (reverse ? n - 1 - i + shift : i + shift) % n;
    if (unknown) {
      raw_option(&raw, 18, "\xff\0\0", i % 4);
      raw_option(&raw, MADCAP_NO_OPTION, NULL, 0);
    }
    raw_option(&raw, codes[at], values[at].data, values[at].length);
  }
  g_auto(Decoded) plain = decode(hex->bytes->data, hex->bytes->len);
  g_auto(Decoded) d = raw_end(&raw);
  cr_expect_eq(d.outcome, MADCAP_OK, "%s", path);
  cr_expect_str_eq(madcap_describe(&d.msg, text, sizeof text),
                   madcap_describe(&plain.msg, expected, sizeof expected), "%s", path);
}

static void order_is_free(const char *path, const HexFile *hex)
{
  for (size_t shift = 0; shift < 11; shift++)
    for (unsigned how = 0; how < 4; how++)
      in_other_order(path, hex, shift, (how & 1) != 0, (how & 2) != 0);
}

Test(rfc2730_2_1_5, any_order_and_unknown_options)
{
  each_golden(order_is_free);
}

static const struct { uint8_t type; const char *options; uint16_t option; MadcapReason reason; }
contents[] = {
  /* 3.8: minimum above desired */
  { MADCAP_REQUEST, "0007 0004 0002 0001", 7, MADCAP_REASON_CONTENT },
  { MADCAP_REQUEST, "0007 0004 0002 0002", 0, MADCAP_REASON_NONE },
  /* 3.11: blocks of no address, and over the end of the family's space */
  { MADCAP_REQUEST, "000a 0006 e9fc0001 0000", 10, MADCAP_REASON_CONTENT },
  { MADCAP_REQUEST, "000a 0006 ffffffff 0002", 10, MADCAP_REASON_CONTENT },
  { MADCAP_REQUEST, "000a 0006 ffffffff 0001", 0, MADCAP_REASON_NONE },
  { MADCAP_REQUEST, "000a 000c e9fc0001 0001 e9fc0009 0000", 10, MADCAP_REASON_CONTENT },
  /* 3.10: names and languages of no octet, names that aren't UTF-8 or hold a NUL, scope IDs
     twice, last before first */
  { MADCAP_ACK, "0009 000f 01 effe0000 efffffff 10 01 80 00 01 41", 9, MADCAP_REASON_CONTENT },
  { MADCAP_ACK, "0009 000f 01 effe0000 efffffff 10 01 80 01 65 00", 9, MADCAP_REASON_CONTENT },
  { MADCAP_ACK, "0009 0010 01 effe0000 efffffff 10 01 80 01 65 01 c3", 9, MADCAP_REASON_CONTENT },
  { MADCAP_ACK, "0009 0010 01 effe0000 efffffff 10 01 80 01 65 01 00", 9, MADCAP_REASON_CONTENT },
  { MADCAP_ACK, "0009 0010 01 effe0000 efffffff 10 01 7f 01 65 01 41", 0, MADCAP_REASON_NONE },
  { MADCAP_ACK, "0009 0011 01 effe0000 efffffff 10 01 80 01 65 01 41 00", 9,
    MADCAP_REASON_LENGTH },
  { MADCAP_ACK, "0009 0010 01 effe0000 efffffff 10 02 80 01 65 01 41", 9, MADCAP_REASON_LENGTH },
  { MADCAP_ACK, "0009 0010 02 effe0000 efffffff 10 01 80 01 65 01 41", 9, MADCAP_REASON_LENGTH },
  { MADCAP_ACK, "0009 0010 01 effe0000 efffffff 10 01 80 ff 65 01 41", 9, MADCAP_REASON_LENGTH },
  { MADCAP_ACK, "0009 000b 01 efff0000 effe0000 10 00", 9, MADCAP_REASON_CONTENT },
  { MADCAP_ACK, "0009 0015 02 effe0000 efffffff 10 00 effe0000 effe0001 10 00", 9,
    MADCAP_REASON_CONTENT },
  /* 3.13: a server requests nothing; 2.13.2: a client doesn't ask for Retry After */
  { MADCAP_ACK, "000c 0008 0000 0001 0002 0000", 12, MADCAP_REASON_CONTENT },
  { MADCAP_OFFER, "000c 0008 0000 0001 0002 0000", 12, MADCAP_REASON_CONTENT },
  { MADCAP_NAK, "000c 0008 0000 0001 0002 0000", 12, MADCAP_REASON_CONTENT },
  { MADCAP_REQUEST, "000c 0008 0000 0001 0002 0000", 0, MADCAP_REASON_NONE },
  { MADCAP_REQUEST, "000c 0008 0000 0001 0001 0000", 12, MADCAP_REASON_CONTENT },
  { MADCAP_RENEW, "000c 0008 0000 0000 0001 0001", 12, MADCAP_REASON_CONTENT },
  { MADCAP_REQUEST, "000c 0008 0001 0001 0000 0000", 0, MADCAP_REASON_NONE },
  { MADCAP_ACK, "000c 0008 0000 0000 0001 0001", 0, MADCAP_REASON_NONE },
  { MADCAP_ACK, "000c 0008 0000 0000 0002 0001", 12, MADCAP_REASON_LENGTH },
  /* 2.12: absolute times need Current Time, and the one that is missing is named */
  { MADCAP_REQUEST, "0006 0004 6955b900", 11, MADCAP_REASON_MISSING },
  { MADCAP_REQUEST, "000f 0004 6955b900", 11, MADCAP_REASON_MISSING },
  { MADCAP_ACK, "000d 0004 6955b900", 11, MADCAP_REASON_MISSING },
  { MADCAP_REQUEST, "0006 0004 6955b900 000b 0004 6955b900", 0, MADCAP_REASON_NONE },
  /* but not beside a time that table 5 forbids: then that is what is wrong (madcap_check) */
  { MADCAP_GETINFO, "0006 0004 6955b900", 0, MADCAP_REASON_NONE },
  { MADCAP_RELEASE, "000f 0004 6955b900", 0, MADCAP_REASON_NONE },
  { MADCAP_REQUEST, "000d 0004 6955b900", 0, MADCAP_REASON_NONE },
  { MADCAP_REQUEST, "000d 0004 6955b900 0006 0004 6955b900", 11, MADCAP_REASON_MISSING },
  { MADCAP_REQUEST, "0006 0004 6955b900 000b 0003 6955b9", 11, MADCAP_REASON_LENGTH },
  /* RFC 2907 3.3: nesting state without scope list */
  { MADCAP_ACK, "0011 0001 00", 17, MADCAP_REASON_FORBIDDEN },
  { MADCAP_ACK, "0011 0001 00  0009 0001 00", 0, MADCAP_REASON_NONE },
  /* the first fault in the datagram's order is the one that is named */
  { MADCAP_REQUEST, "0004 0003 e9fc00  0001 0003 000000", 4, MADCAP_REASON_LENGTH },
  { MADCAP_REQUEST, "0001 0003 000000  0004 0003 e9fc00", 1, MADCAP_REASON_LENGTH },
  { MADCAP_REQUEST, "0003 0000", 3, MADCAP_REASON_LENGTH },
};

Test(rfc2730_3, content_that_breaks_a_definition)
{
  for (size_t i = 0; i < G_N_ELEMENTS(contents); i++) {
    g_autofree char *text = g_strdup_printf("00 %02x 0001 00000001 %s 0000 0000", contents[i].type,
                                            contents[i].options);
    g_autoptr(HexFile) hex = hex_parse(text, NULL);
    cr_assert(hex != NULL, "%s", text);
    g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
    bool good = contents[i].reason == MADCAP_REASON_NONE;
    cr_expect_eq(d.outcome, good ? MADCAP_OK : MADCAP_BAD, "%s", text);
    cr_expect_eq(d.fault.reason, contents[i].reason, "%s: %s", text,
                 madcap_reason_name(d.fault.reason));
    cr_expect_eq(d.fault.option, good ? MADCAP_NO_OPTION : contents[i].option, "%s", text);
  }
}

Test(rfc2730_3_10, only_the_high_bit_of_the_flags_counts)
{
  static const uint8_t flags[] = { 0x00, 0x80, 0x7f, 0xff };
  for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
    uint8_t list[] = { 1,  0xef, 0xff,     0, 0,   0xef, 0xff, 0xff, 0xff,
                       16, 1,    flags[i], 1, 'e', 1,    'x' };
    MadcapScopeView scope;
    MadcapNameView name;
    Raw raw;
    raw_begin(&raw, MADCAP_ACK, 1);
    raw_option(&raw, MADCAP_OPTION_SCOPE_LIST, list, sizeof list);
    g_auto(Decoded) d = raw_end(&raw);
    MadcapScopeIter scopes = madcap_scopes(&d.msg);
    cr_assert(madcap_scopes_next(&scopes, &scope));
    MadcapNameIter names = madcap_names(&scope);
    cr_assert(madcap_names_next(&names, &name));
    cr_expect_eq(name.is_default, flags[i] >= 0x80, "flags %02x", flags[i]);
  }
}

Test(rfc2730_3_3, server_of_unknown_family_is_nobody)
{
  Raw raw;
  raw_begin(&raw, MADCAP_REQUEST, 1);
  raw_option(&raw, MADCAP_OPTION_SERVER_ID, "\x40\x05\1\2\3\4\5\6", 8);
  g_auto(Decoded) d = raw_end(&raw);
  cr_expect_eq(d.outcome, MADCAP_OK);
  cr_expect(madcap_has(&d.msg, MADCAP_OPTION_SERVER_ID));
  cr_expect_eq(d.msg.server_family, 0x4005);
  cr_expect_eq(d.msg.server_id.family, MAL_FAMILY_NONE);
}

Test(rfc2907_5, nesting_of_another_count_is_ignored)
{
  Raw raw;
  raw_begin(&raw, MADCAP_ACK, 1);
  raw_option(&raw, MADCAP_OPTION_NESTING, "\2\x80\0", 3);
  raw_option(&raw, MADCAP_OPTION_SCOPE_LIST, "\1\xef\xff\0\0\xef\xff\xff\xff\x10\0", 11);
  g_auto(Decoded) d = raw_end(&raw);
  cr_expect_eq(d.outcome, MADCAP_OK);
  cr_expect(d.msg.nesting_ignored);
  cr_expect_not(madcap_nests(&d.msg, 0, 1));
}

Test(decode, lists_of_codes)
{
  g_autoptr(HexFile) hex = golden("getinfo-everything");
  g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
  cr_expect_eq(madcap_codes_count(d.msg.request_list), 4);
  cr_expect_eq(madcap_codes_at(d.msg.request_list, 1), MADCAP_OPTION_NESTING);
  cr_expect_eq(madcap_codes_at(d.msg.request_list, 4), MADCAP_NO_OPTION);
  cr_expect(madcap_requests(&d.msg, MADCAP_OPTION_SCOPE_LIST));
  cr_expect_not(madcap_requests(&d.msg, MADCAP_OPTION_LEASE_TIME));
  cr_expect(madcap_feature_mentioned(&d.msg, MADCAP_FEATURE_SERVER_MOBILITY));
  cr_expect_not(madcap_codes_have(d.msg.required, MADCAP_FEATURE_SERVER_MOBILITY));
}
