/* What the MASC codec refuses and how that is answered, to the octet; what it never writes; tables
   (RFC 2909 sections 7, 8, 11.1). The suites carry the numbers of the sections. */
#include "tests/support/masc-packets.h"

#include <criterion/criterion.h>
#include <string.h>

#define IDS " 0000fbf5 c0000201"
#define TIMES " 395d3480 00278d00 0002a300"
/* An UPDATE of one IPv4 attribute: its first eight octets, identifiers, address and mask. */
#define A4(head, ids, address, mask) head TIMES " " ids " " address " " mask
#define U4(head, ids, address, mask) "0028 02 00 " A4(head, ids, address, mask)
#define NEW4 "0024 03 00 00 04 0000"
#define GOOD4 A4(NEW4, IDS, "e9fc0000", "ffffff00")
#define ID6(low) " 00000000 00000000 00000000 " low
#define A6(head, address, mask) head TIMES ID6("0000fbf5") ID6("c0000201") " " address " " mask
#define U6(head, address, mask) "0058 02 00 " A6(head, address, mask)
#define NEW6 "0054 03 00 00 08 0000"
#define MASK112 "ffffffff ffffffff ffffffff ffff0000"
#define BODY(v, role, hold) v role hold " 0000fbf5 c0000201 0000fbf0"
#define OPEN4(v, role, hold) "0014 01 00 " BODY(v, role, hold)

typedef struct {
  const char *section, *hex;
  uint8_t code, subcode;
  size_t offset;
  const char *answer;       /* the NOTIFICATION, where we stay open if we can; NULL: none */
} Malformed;

static void check_answer(const Malformed *row, const MascDecoded *d)
{
  uint8_t out[MASC_MAX_LENGTH];
  size_t length = masc_answer(&d->fault, d->bytes, d->length, true, out, sizeof out);
  g_autofree char *got = masc_hex(out, length);
  g_autoptr(HexFile) want = hex_parse(row->answer == NULL ? "" : row->answer, NULL);
  g_autofree char *wanted = masc_hex(want->bytes->data, want->bytes->len);
  bool must_close = masc_error_must_close(row->code, row->subcode);

  cr_expect_str_eq(got, wanted, "%s: %s:\n%s\n%s", row->section, row->hex, got, wanted);
  cr_expect_eq(d->fault.must_close, must_close, "%s", row->hex);
  if (length == 0)
    return;
  cr_expect_eq(out[4] & 0x80, must_close ? 0 : 0x80, "%s", row->hex);
  length = masc_answer(&d->fault, d->bytes, d->length, false, out, sizeof out);
  cr_expect_eq(out[4] & 0x80, 0, "%s", row->hex);
  g_auto(MascDecoded) again = masc_decoded(out, length);
  cr_expect(again.ok, "%s: the answer is malformed", row->hex);
}

static void check_rows(const Malformed *rows, size_t n, bool whole)
{
  for (size_t i = 0; i < n; i++) {
    g_auto(MascDecoded) d = masc_decoded_text(rows[i].hex);
    cr_expect_eq(d.ok, !whole, "%s: %s", rows[i].section, rows[i].hex);
    cr_expect_eq(d.fault.code, rows[i].code, "%s: %s: %u", rows[i].section, rows[i].hex,
                 d.fault.code);
    cr_expect_eq(d.fault.subcode, rows[i].subcode, "%s: %s: %s", rows[i].section, rows[i].hex,
                 masc_subcode_name(d.fault.code, d.fault.subcode));
    cr_expect_eq(d.fault.offset, rows[i].offset, "%s: %s: at %zu", rows[i].section, rows[i].hex,
                 d.fault.offset);
    check_answer(&rows[i], &d);
  }
}

/* One octet less than the smallest. */
#define SHORT_UPDATE                                                                               \
  "0027 02 00 0023 03 00 00 04 0000 395d5e80 00278d00 0002a300 0000fbf5 c0000201 e9fc0000 ffffff"

Test(rfc2909_8_1, message_header_errors)
{
  static const Malformed rows[] = {
    { "8.1", "", 1, 1, 0, "0006 03 00 01 01" },
    { "8.1", "0004 04", 1, 1, 0, "0009 03 00 01 01 0004 04" },
    { "8.1", "0003 04 00", 1, 1, 0, "000a 03 00 01 01 0003 04 00" },
    { "8.1", "0000 01 00", 1, 1, 0, "000a 03 00 01 01 0000 01 00" },
    { "8.1", "1001 02 00", 1, 1, 0, "000a 03 00 01 01 1001 02 00" },
    { "8.1", "ffff 09 00", 1, 1, 0, "000a 03 00 01 01 ffff 09 00" },
    { "8.1", "0005 04 00", 1, 1, 0, "000a 03 00 01 01 0005 04 00" },
    { "8.1", "0005 04 00 2a", 1, 1, 0, "000b 03 00 01 01 0005 04 00 2a" },
    { "8.1", "0004 01 00", 1, 1, 0, "000a 03 00 01 01 0004 01 00" },
    { "8.1", "0013 01 00 01 05 00f0 0000fbf5 c0000201 0000fb", 1, 1, 0,
      "0019 03 00 01 01 0013 01 00 01 05 00f0 0000fbf5 c0000201 0000fb" },
    { "8.1", "0008 02 00 0004 8000", 1, 1, 0, "000e 03 00 01 01 0008 02 00 0004 8000" },
    { "8.1", "0004 02 00", 1, 1, 0, "000a 03 00 01 01 0004 02 00" },
    { "8.1", SHORT_UPDATE, 1, 1, 0, "002d 03 00 01 01" SHORT_UPDATE },
    { "8.1", "0004 00 00", 1, 2, 2, "000a 03 00 81 02 0004 00 00" },
    { "8.1", "0004 05 ff", 1, 2, 2, "000a 03 00 81 02 0004 05 ff" },
    { "8.1", "0006 ff 00 01 02", 1, 2, 2, "000c 03 00 81 02 0006 ff 00 01 02" },
  };
  check_rows(rows, G_N_ELEMENTS(rows), true);
}

Test(rfc2909_8_2, open_errors)
{
#define DATA(sub, v, role, hold) "0016 03 00 02 " sub " " BODY(v, role, hold)
  static const Malformed rows[] = {
    { "8.2 version", OPEN4("00", "05", "00f0"), 2, 1, 4, "0007 03 00 02 01 01" },
    { "8.2 version", OPEN4("02", "05", "00f0"), 2, 1, 4, "0007 03 00 02 01 01" },
    { "8.2 version", OPEN4("ff", "7d", "0001"), 2, 1, 4, "0007 03 00 02 01 01" },
    { "8.2 family", OPEN4("01", "01", "00f0"), 2, 13, 5, DATA("0d", "01", "01", "00f0") },
    { "8.2 family", OPEN4("01", "0d", "00f0"), 2, 13, 5, DATA("0d", "01", "0d", "00f0") },
    { "8.2 family", OPEN4("01", "7f", "0001"), 2, 13, 5, DATA("0d", "01", "7f", "0001") },
    { "8.2 hold time", OPEN4("01", "05", "0001"), 2, 6, 6, DATA("06", "01", "05", "0001") },
    { "8.2 hold time", OPEN4("01", "06", "0002"), 2, 6, 6, DATA("06", "01", "06", "0002") },
    { "8.2 domain", "0014 01 00 01 05 00f0 00000000 c0000201 00000000", 2, 2, 8,
      "0016 03 00 02 02 01 05 00f0 00000000 c0000201 00000000" },
    { "8.2 node", "0014 01 00 01 05 00f0 0000fbf5 00000000 00000000", 2, 3, 12,
      "0016 03 00 02 03 01 05 00f0 0000fbf5 00000000 00000000" },
    { "8.2 node", "0038 01 00 01 09 00f0" ID6("0000fbf5") ID6("00000000") ID6("0000fbf0"), 2, 3, 24,
      "003a 03 00 02 03 01 09 00f0" ID6("0000fbf5") ID6("00000000") ID6("0000fbf0") },
    /* identifiers of 16 octets that are not there */
    { "7.2 length", "0014 01 00 01 09 00f0 0000fbf5 c0000201 0000fbf0", 2, 0, 8,
      DATA("00", "01", "09", "00f0") },
    { "7.2 parameters", "0015 01 00 " BODY("01", "05", "00f0") " 00", 2, 0, 21,
      "0017 03 00 02 00 " BODY("01", "05", "00f0") " 00" },
    { "7.2 parameters", "0017 01 00 " BODY("01", "05", "00f0") " 02 01 ff", 2, 0, 22,
      "0019 03 00 02 00 " BODY("01", "05", "00f0") " 02 01 ff" },
  };
#undef DATA
  check_rows(rows, G_N_ELEMENTS(rows), true);
}

/* What closes the connection is found before anything is taken of the message. */
Test(rfc2909_8_3, update_errors_that_close)
{
#define ATTRIBUTE(hex) "0028 02 00 " hex, 3
  static const Malformed rows[] = {
    { "8.3 length", ATTRIBUTE(A4("0020 03 00 00 04 0000", IDS, "e9fc0000", "ffffff00")), 5, 4,
      "0026 03 00 03 05 0020 03 00 00 04 0000" TIMES IDS " e9fc0000" },
    { "8.3 length", ATTRIBUTE(A4("0028 03 00 00 04 0000", IDS, "e9fc0000", "ffffff00")), 5, 4,
      "002a 03 00 03 05 " A4("0028 03 00 00 04 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 length", ATTRIBUTE(A4("0022 00 00 00 04 0000", IDS, "e9fc0000", "ffffff00")), 5, 4,
      "002a 03 00 03 05 " A4("0022 00 00 00 04 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 length", ATTRIBUTE(A4("0000 05 00 00 04 0000", IDS, "e9fc0000", "ffffff00")), 5, 4,
      "002a 03 00 03 05 " A4("0000 05 00 00 04 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 length", ATTRIBUTE("0004 03 00 0020 80 00 00000000" TIMES IDS " 00000000"), 5, 4,
      "000a 03 00 03 05 0004 03 00" },
    { "8.3 length", ATTRIBUTE(A4("0024 03 00 00 08 0000", IDS, "e9fc0000", "ffffff00")), 5, 4,
      "002a 03 00 03 05 " A4("0024 03 00 00 08 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 family", ATTRIBUTE(A4("0024 03 00 00 00 0000", IDS, "e9fc0000", "ffffff00")), 13, 9,
      "002a 03 00 03 0d " A4("0024 03 00 00 00 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 family", ATTRIBUTE(A4("0024 03 00 00 8e 0000", IDS, "e9fc0000", "ffffff00")), 13, 9,
      "002a 03 00 03 0d " A4("0024 03 00 00 8e 0000", IDS, "e9fc0000", "ffffff00") },
    /* nobody knows the type, and so neither the length: the list is what is wrong */
    { "8.3 list", ATTRIBUTE(A4("0030 06 00 00 04 0000", IDS, "e9fc0000", "ffffff00")), 1, 4,
      "002a 03 00 03 01 " A4("0030 06 00 00 04 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 list", ATTRIBUTE(A4("0003 80 00 00 04 0000", IDS, "e9fc0000", "ffffff00")), 1, 4,
      "002a 03 00 03 01 " A4("0003 80 00 00 04 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 list", "0029 02 00 " GOOD4 " 00", 3, 1, 40, "0007 03 00 03 01 00" },
    { "8.3 list", "002b 02 00 " GOOD4 " 0004 03", 3, 1, 40, "0009 03 00 03 01 0004 03" },
    { "7.3 parameters", "002c 02 00 " A4("0028 03 00 00 04 0000", IDS, "e9fc0000", "ffffff00")
      " 03 01 ff ff", 3, 1, 42,
      "002e 03 00 03 01 " A4("0028 03 00 00 04 0000", IDS, "e9fc0000", "ffffff00") " 03 01 ff ff" },
    /* the second attribute alone is sent back; the first is not taken either */
    { "8.3 second", "004c 02 00 " GOOD4 " "
      A4("0024 03 00 00 0c 0000", IDS, "00000000", "00000000"), 3, 13, 45,
      "002a 03 00 03 0d " A4("0024 03 00 00 0c 0000", IDS, "00000000", "00000000") },
  };
#undef ATTRIBUTE
  check_rows(rows, G_N_ELEMENTS(rows), true);
}

Test(rfc2909_8_3, update_errors_of_one_attribute)
{
#define R4(sub, at, head, ids, address, mask)                                                      \
  U4(head, ids, address, mask), 3, 0x##sub, at,                                                    \
  "002a 03 00 83 " #sub " " A4(head, ids, address, mask)
#define R6(sub, at, address, mask)                                                                 \
  U6(NEW6, address, mask), 3, 0x##sub, at, "005a 03 00 83 " #sub " " A6(NEW6, address, mask)
  static const Malformed rows[] = {
    { "8.3 type", "0028 02 00 " A4("0024 06 00 00 04 0000", IDS, "00000000", "00000000"), 3, 2, 6,
      "002a 03 00 83 02 " A4("0024 06 00 00 04 0000", IDS, "00000000", "00000000") },
    { "8.3 type", "0028 02 00 0004 7f 00 0020 80 00 00000000" TIMES IDS " 00000000", 3, 2, 6,
      "000a 03 00 83 02 0004 7f 00" },
    { "8.3 address", R4(0a, 32, NEW4, IDS, "c0000200", "ffffff00") },
    { "8.3 address", R4(0a, 32, NEW4, IDS, "dfffff00", "ffffff00") },
    { "8.3 address", R4(0a, 32, NEW4, IDS, "f0000000", "ffffff00") },
    { "8.3 address", R4(0a, 32, NEW4, IDS, "e9fc0001", "ffffff00") },
    { "8.3 address", R4(0a, 32, "0024 00 00 00 04 0000", IDS, "00000000", "ffffff00") },
    { "8.3 address", R4(0a, 32, "0024 02 00 00 04 0000", IDS, "00000000", "ffffff00") },
    { "8.3 address", R4(0a, 32, "0024 04 00 00 04 0000", IDS, "00000000", "ffffff00") },
    { "8.3 address", R6(0a, 56, "fe800000 00000000 00000000 00000000", MASK112) },
    { "8.3 address", R6(0a, 56, "ff3e0020 20010db8 00000000 80000001", MASK112) },
    { "8.3 mask", R4(0b, 36, NEW4, IDS, "e9fc0000", "00000000") },
    { "8.3 mask", R4(0b, 36, NEW4, IDS, "e9fc0000", "00ffff00") },
    { "8.3 mask", R4(0b, 36, NEW4, IDS, "e0000000", "e0000000") },
    { "8.3 mask", R4(0b, 36, NEW4, IDS, "00000000", "c0000000") },
    { "8.3 mask", R6(0b, 72, "ff000000 00000000 00000000 00000000",
                     "fe000000 00000000 00000000 00000000") },
    { "8.3 holes", R4(0c, 36, NEW4, IDS, "e9fc0000", "ffff00ff") },
    { "8.3 holes", R4(0c, 36, NEW4, IDS, "e9fc0000", "a0000000") },
    { "8.3 holes", R6(0c, 72, "ff3e0020 20010db8 00000000 80000000",
                      "ffffffff ffffffff 00000000 ffff0000") },
    { "8.3 origin domain", R4(0f, 24, NEW4, " 00000000 c0000201", "e9fc0000", "ffffff00") },
    { "8.3 origin node", R4(10, 28, NEW4, " 0000fbf5 00000000", "e9fc0000", "ffffff00") },
    { "8.3 claim type", R4(0e, 9, "0024 00 00 00 07 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 claim type", R4(0e, 9, "0024 01 00 00 05 0000", IDS, "e9fc0000", "ffffff00") },
    { "8.3 claim type", R4(0e, 9, "0024 04 00 00 86 0000", IDS, "e9fc0000", "ffffff00") },
  };
#undef R4
#undef R6
  check_rows(rows, G_N_ELEMENTS(rows), false);
}

Test(rfc2909_8_6, notification_errors)
{
  static const Malformed rows[] = {
    { "8.6 code", "0006 03 00 88 00", 6, 0, 4, "000c 03 00 06 00 0006 03 00 88 00" },
    { "8.6 code", "0006 03 00 80 00", 6, 0, 4, "000c 03 00 06 00 0006 03 00 80 00" },
    { "8.6 code", "0006 03 00 08 00", 6, 0, 4, NULL },
    { "8.6 subcode", "0007 03 00 83 04 2a", 6, 0, 4, "000d 03 00 06 00 0007 03 00 83 04 2a" },
    { "8.6 subcode", "0006 03 00 07 01", 6, 0, 4, NULL },
    { "8.6 open", "0006 03 00 81 01", 6, 0, 4, "000c 03 00 06 00 0006 03 00 81 01" },
    { "8.6 open", "0006 03 00 87 00", 6, 0, 4, "000c 03 00 06 00 0006 03 00 87 00" },
    { "8.6 short", "0004 03 00", 6, 0, 4, NULL },
    { "8.6 short", "0005 03 00 83", 6, 0, 4, "000b 03 00 06 00 0005 03 00 83" },
    { "8.6 short", "0005 03 00 03", 6, 0, 4, NULL },
  };
  check_rows(rows, G_N_ELEMENTS(rows), true);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(MascDecoded) d = masc_decoded_text(rows[i].hex);
    cr_expect_eq(d.msg.type, MASC_NOTIFICATION, "for the log: %s", rows[i].hex);
    cr_expect_eq(d.fault.silent, rows[i].answer == NULL, "%s", rows[i].hex);
  }
}

/* Each row of the table both ways, with the O-bit where it may be set. */
Test(rfc2909_7_5, every_error_is_written_and_read)
{
  unsigned known = 0, open = 0;
  for (unsigned code = 0; code < 128; code++)
    for (unsigned subcode = 0; subcode < 256; subcode++) {
      uint8_t out[16];
      MascMessage m = { .type = MASC_NOTIFICATION };
      m.notification = (MascNotification){ .code = (uint8_t)code, .subcode = (uint8_t)subcode,
                                           .data = (const uint8_t *)"x", .length = 1 };
      size_t length = masc_encode(&m, out, sizeof out, NULL);
      cr_expect_eq(length, masc_error_known(code, subcode) ? 7 : 0, "%u.%u", code, subcode);
      if (length == 0)
        continue;
      known++;
      g_auto(MascDecoded) d = masc_decoded(out, length);
      cr_expect(d.ok && d.msg.notification.code == code && d.msg.notification.subcode == subcode &&
                !d.msg.notification.open && d.msg.notification.length == 1);
      cr_expect_str_neq(masc_subcode_name(code, subcode), "unknown");
      m.notification.open = true;
      length = masc_encode(&m, out, sizeof out, NULL);
      cr_expect_eq(length > 0, !masc_error_must_close(code, subcode), "%u.%u", code, subcode);
      open += length > 0;
    }
  cr_expect_eq(known, 3 + 10 + 24 + 1 + 3 + 1 + 1);
  cr_expect_eq(open, 1 + 20);
  cr_expect(masc_error_must_close(3, 4), "what is not known must close");
  cr_expect_str_eq(masc_error_name(0), "unknown");
  cr_expect_str_eq(masc_error_name(8), "unknown");
}

/* ---- what is long ---------------------------------------------------------------------------- */

static void put_header(uint8_t *out, size_t length, uint8_t type)
{
  memset(out, 0, MASC_MAX_LENGTH);
  out[0] = (uint8_t)(length >> 8);
  out[1] = (uint8_t)length;
  out[2] = type;
}

Test(rfc2909_7, data_is_cut_to_what_a_message_holds)
{
  uint8_t message[MASC_MAX_LENGTH], out[MASC_MAX_LENGTH];
  put_header(message, MASC_MAX_LENGTH, MASC_KEEPALIVE);
  g_auto(MascDecoded) d = masc_decoded(message, sizeof message);
  cr_expect_eq(d.fault.subcode, MASC_HEADER_BAD_LENGTH);
  cr_expect_eq(masc_answer(&d.fault, message, sizeof message, false, out, sizeof out),
               MASC_MAX_LENGTH);
  cr_expect_eq(memcmp(out + 6, message, MASC_MAX_DATA), 0);
  cr_expect_eq(masc_answer(&d.fault, message, sizeof message, false, out, sizeof out - 1), 0);
  cr_expect_eq(masc_answer(&d.fault, message, 8, false, out, sizeof out), 0, "not that message");
}

Test(rfc2909_7_3, the_longest_update)
{
  MascClaim claims[MASC_MAX_CLAIMS + 1];
  uint8_t out[MASC_MAX_LENGTH + 100];
  MascRefusal why;
  for (size_t i = 0; i < G_N_ELEMENTS(claims); i++)
    claims[i] = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", (uint32_t)i, 7);
  MascMessage m = { .type = MASC_UPDATE,
                    .update = { .claims = claims, .n_claims = G_N_ELEMENTS(claims) } };
  cr_expect_eq(masc_encode(&m, out, sizeof out, &why), 0);
  cr_expect_eq(why.reason, MASC_REASON_SPACE);
  cr_expect_eq(masc_claims_fit(claims, G_N_ELEMENTS(claims)), MASC_MAX_CLAIMS);
  cr_expect_eq(masc_claims_fit(claims, 3), 3);
  m.update.n_claims = MASC_MAX_CLAIMS;
  size_t length = masc_encode(&m, out, sizeof out, NULL);
  cr_expect_eq(length, 4 + 36 * MASC_MAX_CLAIMS);
  g_auto(MascDecoded) d = masc_decoded(out, length);
  cr_expect(d.ok && d.n_claims == MASC_MAX_CLAIMS && d.n_refused == 0);
  cr_expect_eq(d.claims[112].timestamp, 112);
  for (size_t i = 0; i < G_N_ELEMENTS(claims); i++)
    claims[i] = masc_claim_make(MASC_NEW_CLAIM, "ff3e::/112", (uint32_t)i, 7);
  cr_expect_eq(masc_claims_fit(claims, G_N_ELEMENTS(claims)), 48);
}

/* As many refusals as an UPDATE can cause, and not one more. */
Test(rfc2909_7_3, a_message_of_nothing_but_unknown_attributes)
{
  uint8_t message[MASC_MAX_LENGTH];
  put_header(message, MASC_MAX_LENGTH, MASC_UPDATE);
  for (size_t i = 4; i < sizeof message; i += 4) {
    message[i + 1] = 4;
    message[i + 2] = i % 8 == 0 ? 127 : 128;
  }
  g_auto(MascDecoded) d = masc_decoded(message, sizeof message);
  cr_expect(d.ok);
  cr_expect_eq(d.n_claims, 0);
  cr_expect_eq(d.n_refused, 511);
}

/* ---- what is never written ------------------------------------------------------------------- */

Test(rfc2909_7_2, an_open_that_would_be_refused_is_not_written)
{
  static const struct {
    MascOpen open;
    MascReason reason;
    uint8_t subcode;
  } rows[] = {
    { { MAL_IPV4, MASC_CHILD, 240, 64501, 7, 0 }, MASC_REASON_NONE, 0 },
    { { MAL_IPV6, MASC_PARENT, 0, 64501, 7, 0 }, MASC_REASON_NONE, 0 },
    { { MAL_FAMILY_NONE, MASC_CHILD, 240, 64501, 7, 0 }, MASC_REASON_REFUSED, 13 },
    { { MAL_IPV4, (MascRole)4, 240, 64501, 7, 0 }, MASC_REASON_REFUSED, 8 },
    { { MAL_IPV4, MASC_CHILD, 1, 64501, 7, 0 }, MASC_REASON_REFUSED, 6 },
    { { MAL_IPV4, MASC_CHILD, 2, 64501, 7, 0 }, MASC_REASON_REFUSED, 6 },
    { { MAL_IPV4, MASC_CHILD, 240, 0, 7, 0 }, MASC_REASON_REFUSED, 2 },
    { { MAL_IPV4, MASC_CHILD, 240, 64501, 0, 0 }, MASC_REASON_REFUSED, 3 },
    { { MAL_IPV4, MASC_CHILD, 240, (MascId)1 << 32, 7, 0 }, MASC_REASON_FIT, 0 },
    { { MAL_IPV4, MASC_CHILD, 240, 64501, (MascId)1 << 32, 0 }, MASC_REASON_FIT, 0 },
    { { MAL_IPV4, MASC_CHILD, 240, 64501, 7, (MascId)1 << 32 }, MASC_REASON_FIT, 0 },
    { { MAL_IPV6, MASC_CHILD, 240, (MascId)1 << 127, (MascId)1 << 32, 5 }, MASC_REASON_NONE, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    uint8_t out[64];
    MascRefusal why;
    MascMessage m = { .type = MASC_OPEN, .open = rows[i].open };
    size_t length = masc_encode(&m, out, sizeof out, &why);
    cr_expect_eq(why.reason, rows[i].reason, "row %zu: %s", i, masc_reason_name(why.reason));
    cr_expect_eq(why.subcode, rows[i].subcode, "row %zu", i);
    cr_expect_eq(length > 0, rows[i].reason == MASC_REASON_NONE, "row %zu", i);
    if (length > 0)
      cr_expect_eq(masc_encode(&m, out, length - 1, &why), 0);
  }
}

Test(rfc2909_7_3, a_claim_that_would_be_refused_is_not_written)
{
  const MascClaim good = masc_claim_make(MASC_NEW_CLAIM, "233.252.0.0/24", 5, 7);
  MascClaim rows[9];
  static const uint8_t subcodes[] = { 13, 10, 10, 11, 11, 14, 14, 15, 16 };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    rows[i] = good;
  rows[0].prefix.address.family = MAL_FAMILY_NONE;
  rows[1].prefix.address.value = 0xC0000200;
  rows[2].prefix.address.value |= 1;
  rows[3].prefix.length = 33;
  rows[4].prefix = (MalPrefix){ mal_address_ipv4(0xE0000000), 3 };
  rows[5].role = MASC_PARENT;
  rows[6].type = (MascClaimType)6;
  rows[7].domain = MASC_TLD_ID;
  rows[8].node = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    const MascClaim claims[] = { good, rows[i] };
    uint8_t out[100];
    MascRefusal why;
    MascMessage m = { .type = MASC_UPDATE, .update = { .claims = claims, .n_claims = 2 } };
    cr_expect_eq(masc_encode(&m, out, sizeof out, &why), 0, "row %zu", i);
    cr_expect(why.reason == MASC_REASON_REFUSED && why.code == MASC_ERROR_UPDATE && why.item == 1);
    cr_expect_eq(why.subcode, subcodes[i], "row %zu: %u", i, why.subcode);
  }
  MascClaim wide = good;
  wide.node = (MascId)1 << 40;
  uint8_t out[100];
  MascRefusal why;
  MascMessage m = { .type = MASC_UPDATE, .update = { .claims = &wide, .n_claims = 1 } };
  cr_expect(masc_encode(&m, out, sizeof out, &why) == 0 && why.reason == MASC_REASON_FIT);
  m.update.n_claims = 0;
  cr_expect(masc_encode(&m, out, sizeof out, &why) == 0 && why.reason == MASC_REASON_REFUSED);
  m.type = (MascType)5;
  cr_expect(masc_encode(&m, out, sizeof out, &why) == 0 && why.reason == MASC_REASON_TYPE);
  m = (MascMessage){ .type = MASC_NOTIFICATION,
                     .notification = { .code = 7, .data = out, .length = MASC_MAX_DATA + 1 } };
  cr_expect(masc_encode(&m, out, sizeof out, &why) == 0 && why.reason == MASC_REASON_SPACE);
}

Test(rfc2909_8_2, identifiers_as_data)
{
  const MascId ids[] = { 64496, 64499, (MascId)1 << 32 };
  MascId back[3];
  uint8_t out[48];
  cr_expect_eq(masc_encode_ids(MAL_IPV4, ids, 2, out, sizeof out), 8);
  cr_expect_eq(masc_decode_ids(MAL_IPV4, out, 8, back, 3), 2);
  cr_expect(back[0] == 64496 && back[1] == 64499);
  cr_expect_eq(masc_decode_ids(MAL_IPV4, out, 7, back, 3), 0);
  cr_expect_eq(masc_decode_ids(MAL_FAMILY_NONE, out, 8, back, 3), 0);
  cr_expect_eq(masc_encode_ids(MAL_IPV4, ids, 3, out, sizeof out), 0, "too long for IPv4");
  cr_expect_eq(masc_encode_ids(MAL_IPV6, ids, 3, out, sizeof out), 48);
  cr_expect_eq(masc_decode_ids(MAL_IPV6, out, 48, back, 2), 2);
  cr_expect_eq(masc_encode_ids(MAL_IPV6, ids, 3, out, 47), 0);
  cr_expect_eq(masc_encode_ids(MAL_FAMILY_NONE, ids, 1, out, 47), 0);
}

Test(rfc2909_8_3, a_refusal_on_other_grounds)
{
  uint8_t out[100];
  MascClaim claim;
  MascFault fault;
  g_auto(MascDecoded) d = masc_decoded_text("004c 02 00 " GOOD4 " " GOOD4);
  MascCursor cursor = masc_cursor(&d.msg.update);
  cr_assert_eq(masc_cursor_next(&cursor, &claim, &fault), MASC_NEXT_CLAIM);
  cr_assert_eq(masc_cursor_next(&cursor, &claim, &fault), MASC_NEXT_CLAIM);
  fault = masc_cursor_fault(&cursor, MASC_UPDATE_NO_PARENT_PREFIX);
  cr_expect(fault.data_offset == 40 && fault.data_length == 36 && !fault.must_close);
  cr_expect_eq(masc_answer(&fault, d.bytes, d.length, true, out, sizeof out), 42);
  cr_expect(out[4] == 0x83 && out[5] == 24 && memcmp(out + 6, d.bytes + 40, 36) == 0);
  cr_expect_eq(masc_cursor_next(&cursor, &claim, &fault), MASC_NEXT_END);
  cr_expect_eq(fault.code, MASC_ERROR_NONE);
  cr_expect_eq(masc_answer(&fault, d.bytes, d.length, true, out, sizeof out), 0);
}

/* ---- tables ---------------------------------------------------------------------------------- */

Test(rfc2909_8_3, who_may_originate_what)
{
  static const char *const may[] = { "ICS", "IP", "ICS", "ICS", "IP", "ICSP" };
  for (unsigned type = 0; type < 7; type++)
    for (unsigned role = 0; role < 5; role++)
      cr_expect_eq(masc_origin_may((MascRole)role, (MascClaimType)type),
                   type < 6 && role < 4 && strchr(may[type], "ICSP"[role]) != NULL, "%u %u", type,
                   role);
}

Test(rfc2909_11_1, updated_origin_role)
{
  static const char *const rows[] = { "IPSC", "CS--", "S-SC", "P-P-" };
  for (unsigned origin = 0; origin < 5; origin++)
    for (unsigned local = 0; local < 5; local++) {
      MascRole role = MASC_INTERNAL;
      int want = origin < 4 && local < 4 ? rows[origin][local] : '-';
      bool ok = masc_role_updated((MascRole)origin, (MascRole)local, &role);
      cr_expect_eq(ok, want != '-', "%u %u", origin, local);
      if (ok)
        cr_expect_eq("ICSP"[role], want, "%u %u", origin, local);
    }
  cr_expect_eq(masc_role_of_peer(MASC_CHILD), MASC_PARENT);
  cr_expect_eq(masc_role_of_peer(MASC_PARENT), MASC_CHILD);
  cr_expect_eq(masc_role_of_peer(MASC_SIBLING), MASC_SIBLING);
  cr_expect_eq(masc_role_of_peer(MASC_INTERNAL), MASC_INTERNAL);
}

Test(rfc2909_7_3, masks)
{
  for (unsigned i = 0; i <= 128; i++) {
    unsigned length;
    uint8_t subcode;
    bool ok = masc_mask_length(MAL_IPV6, masc_mask(MAL_IPV6, i), &length, &subcode);
    cr_expect_eq(ok, i >= 8, "%u", i);
    cr_expect(!ok || length == i);
    if (i > 32)
      continue;
    ok = masc_mask_length(MAL_IPV4, masc_mask(MAL_IPV4, i), &length, &subcode);
    cr_expect_eq(ok, i >= 4, "%u", i);
    cr_expect(!ok || length == i);
  }
}

/* ---- what no peer can send, but a program can say -------------------------------------------- */

static MascClaim claim_of(MalFamily family, uint64_t domain)
{
  MascClaim claim = { .type = MASC_NEW_CLAIM, .role = MASC_CHILD, .timestamp = 1, .lifetime = 2,
                      .holdtime = 3, .domain = domain, .node = 7 };
  claim.prefix.address = family == MAL_IPV4 ? mal_address_ipv4(0xe9fc0000) : mal_address_none();
  claim.prefix.length = 24;
  if (family == MAL_IPV6)
    claim.prefix.address = mal_address_make(MAL_IPV6, (MalU128)0xff0e << 112);
  return claim;
}

Test(rfc2909_7_3, identifiers_and_claims_that_do_not_fit_are_not_written)
{
  static const struct {
    MalFamily family;
    uint64_t domain;
    size_t n;
    MascReason reason;
  } rows[] = {
    { MAL_IPV4, UINT32_MAX, 1, MASC_REASON_NONE },
    { MAL_IPV4, UINT32_MAX + UINT64_C(1), 1, MASC_REASON_FIT },
    { MAL_IPV6, UINT32_MAX + UINT64_C(1), 1, MASC_REASON_NONE },
    { MAL_IPV4, 5, MASC_MAX_CLAIMS, MASC_REASON_NONE },
    { MAL_IPV4, 5, MASC_MAX_CLAIMS + 1, MASC_REASON_SPACE },
    { MAL_IPV4, 5, 2 * MASC_MAX_CLAIMS, MASC_REASON_SPACE },
    { MAL_IPV6, 5, 49, MASC_REASON_SPACE },
  };
  static MascClaim claims[2 * MASC_MAX_CLAIMS];
  uint8_t out[2 * MASC_MAX_LENGTH];
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MascRefusal why;
    for (size_t k = 0; k < rows[i].n; k++)
      claims[k] = claim_of(rows[i].family, rows[i].domain);
    MascMessage msg = { .type = MASC_UPDATE,
                        .update = { .claims = claims, .n_claims = rows[i].n } };
    size_t length = masc_encode(&msg, out, sizeof out, &why);
    cr_expect_eq(why.reason, rows[i].reason, "row %zu: %s", i, masc_reason_name(why.reason));
    cr_expect_eq(length > 0, rows[i].reason == MASC_REASON_NONE, "row %zu", i);
  }
}

Test(rfc2909_7, what_is_longer_than_any_message)
{
  g_autofree uint8_t *octets = g_malloc0(MASC_MAX_LENGTH + 4);
  MascMessage msg;
  MascFault fault;
  octets[0] = (MASC_MAX_LENGTH + 4) >> 8;
  octets[1] = (MASC_MAX_LENGTH + 4) & 255;
  octets[2] = MASC_UPDATE;
  cr_assert_not(masc_decode(octets, MASC_MAX_LENGTH + 4, &msg, &fault));
  cr_expect(fault.code == MASC_ERROR_HEADER && fault.subcode == MASC_HEADER_BAD_LENGTH);
}

/* The decoder has looked before; who makes an UPDATE of octets himself gets an end all the same. */
Test(rfc2909_8_3, a_cursor_over_octets_that_were_never_decoded)
{
  static const struct {
    const char *hex;
    uint8_t subcode;
    unsigned refused;
  } rows[] = {
    { "0024 03", MASC_UPDATE_MALFORMED, 1 },
    { "0028 03 00 00 04 0000", MASC_UPDATE_LENGTH, 1 },
    { "0008 03 00 00 04 0000", MASC_UPDATE_LENGTH, 1 },
    { "0008 03 00 00 0c 0000" " 0008 03 00 00 0c 0000", MASC_UPDATE_FAMILY, 2 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(HexFile) hex = hex_parse(rows[i].hex, NULL);
    MascUpdate update = { .octets = hex->bytes->data, .length = hex->bytes->len };
    MascCursor cursor = masc_cursor(&update);
    MascClaim claim;
    MascFault fault;
    for (unsigned k = 0; k < rows[i].refused; k++) {
      cr_assert_eq(masc_cursor_next(&cursor, &claim, &fault), MASC_NEXT_REFUSED, "row %zu", i);
      cr_expect_eq(fault.subcode, rows[i].subcode, "row %zu: %u", i, fault.subcode);
    }
    cr_expect_eq(masc_cursor_next(&cursor, &claim, &fault), MASC_NEXT_END, "row %zu", i);
  }
}

Test(rfc2909_7, described_in_whatever_room_there_is)
{
  MascClaim claim = claim_of(MAL_IPV4, 5);
  MascMessage msg = { .type = MASC_UPDATE, .update = { .claims = &claim, .n_claims = 1 } };
  char whole[512], text[512];
  masc_describe(&msg, whole, sizeof whole);
  cr_expect(g_str_has_prefix(whole, "UPDATE NEW_CLAIM child 233.252.0.0/24 from 5"), "%s", whole);
  for (size_t size = 0; size < 40; size++) {
    memset(text, '#', sizeof text);
    cr_assert_eq(masc_describe(&msg, text, size), text);
    cr_expect(size == 0 || (strlen(text) == size - 1 && g_str_has_prefix(whole, text)), "%zu",
              size);
    cr_expect_eq(text[size], '#', "%zu", size);
    memset(text, '#', sizeof text);
    cr_assert_eq(masc_describe_claim(&claim, text, size), text);
    cr_expect(size == 0 || (strlen(text) <= size - 1 && strstr(whole, text) != NULL), "%zu", size);
    cr_expect_eq(text[size], '#', "%zu", size);
  }
}

Test(rfc2909_7_5, what_no_table_has)
{
  cr_expect_str_eq(masc_subcode_name(99, 1), "unknown");
  cr_expect_str_eq(masc_subcode_name(MASC_ERROR_CEASE, 200), "unknown");
  cr_expect(masc_error_must_close(99, 1) && !masc_error_known(99, 1));
  cr_expect_eq((unsigned)masc_role_of_peer((MascRole)9), 9);
}
