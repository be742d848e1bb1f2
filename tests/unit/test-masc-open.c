/* What is asked of an OPEN that is well formed (RFC 2909 7.2, 7.4, 8.2). */
#include "plugins/masc/masc-open.h"
#include "tests/support/masc-packets.h"

#include <criterion/criterion.h>

#define OURS 64501, 0xC0000201
#define OPEN(af_role, domain, node, parent)                                                        \
  "0014 01 00 01" #af_role "00f0 " #domain " " #node " " #parent
#define BODY(af_role, domain, node, parent)                                                        \
  "01" #af_role "00f0 " #domain " " #node " " #parent

static const MascId one[] = { 64496 }, two[] = { 64496, 64499 };

static const struct {
  MascOpenRule rule;
  const char *hex;
  uint8_t subcode;
  const char *answer;
} judged[] = {
  /* we are the child of 64496 */
  { { MASC_CHILD, OURS, 64496, 0, one, 1 }, OPEN(07, 0000fbf0, c6336401, 00000000), 0, "" },
  { { MASC_CHILD, OURS, 64496, 0, one, 1 }, OPEN(05, 0000fbf0, c6336401, 00000000), 8,
    "0007 03 00 02 08 01" },
  { { MASC_CHILD, OURS, 64496, 0, one, 1 }, OPEN(06, 0000fbf0, c6336401, 0000fbf0), 8,
    "0007 03 00 02 08 01" },
  { { MASC_CHILD, OURS, 64496, 0, one, 1 }, OPEN(07, 0000fbf1, c6336401, 00000000), 2,
    "0016 03 00 02 02 " BODY(07, 0000fbf1, c6336401, 00000000) },
  { { MASC_CHILD, OURS, 0, 0, one, 1 }, OPEN(07, 0000fbf1, c6336401, 00000000), 0, "" },
  { { MASC_CHILD, OURS, 0, 0, one, 1 }, OPEN(07, 0000fbf5, c6336401, 00000000), 2,
    "0016 03 00 02 02 " BODY(07, 0000fbf5, c6336401, 00000000) },
  { { MASC_CHILD, OURS, 0, 7, one, 1 }, OPEN(07, 0000fbf0, c6336401, 00000000), 3,
    "0016 03 00 02 03 " BODY(07, 0000fbf0, c6336401, 00000000) },
  { { MASC_CHILD, OURS, 0, 7, one, 1 }, OPEN(07, 0000fbf0, 00000007, 00000000), 0, "" },
  { { MASC_CHILD, OURS, 0, 0, one, 1 }, OPEN(07, 0000fbf0, c0000201, 00000000), 3,
    "0016 03 00 02 03 " BODY(07, 0000fbf0, c0000201, 00000000) },
  { { MASC_PARENT, OURS, 0, 0, NULL, 0 }, OPEN(05, 0000fbf0, c6336401, ffffffff), 0, "" },
  { { MASC_PARENT, OURS, 0, 0, NULL, 0 }, OPEN(07, 0000fbf0, c6336401, 00000000), 8,
    "0007 03 00 02 08 03" },
  /* internal peers: both top-level, or neither */
  { { MASC_INTERNAL, OURS, 0, 0, NULL, 0 }, OPEN(04, 0000fbf5, c6336401, 00000000), 0, "" },
  { { MASC_INTERNAL, OURS, 0, 0, one, 1 }, OPEN(04, 0000fbf5, c6336401, 0000fbf0), 0, "" },
  { { MASC_INTERNAL, OURS, 0, 0, one, 1 }, OPEN(04, 0000fbf5, c6336401, 0000fbf5), 0, "" },
  { { MASC_INTERNAL, OURS, 0, 0, one, 1 }, OPEN(04, 0000fbf5, c6336401, 0000fbff), 0, "" },
  { { MASC_INTERNAL, OURS, 0, 0, two, 2 }, OPEN(04, 0000fbf5, c6336401, 00000000), 7,
    "000e 03 00 02 07 0000fbf0 0000fbf3" },
  { { MASC_INTERNAL, OURS, 0, 0, NULL, 0 }, OPEN(04, 0000fbf5, c6336401, 0000fbf0), 7,
    "000a 03 00 02 07 00000000" },
  { { MASC_INTERNAL, OURS, 0, 0, NULL, 0 }, OPEN(04, 0000fbf6, c6336401, 00000000), 2,
    "0016 03 00 02 02 " BODY(04, 0000fbf6, c6336401, 00000000) },
  /* siblings: a parent in common, which neither of them is */
  { { MASC_SIBLING, OURS, 0, 0, two, 2 }, OPEN(06, 0000fbf6, c6336401, 0000fbf3), 0, "" },
  { { MASC_SIBLING, OURS, 0, 0, NULL, 0 }, OPEN(06, 0000fbf6, c6336401, 00000000), 0, "" },
  { { MASC_SIBLING, OURS, 0, 0, two, 2 }, OPEN(06, 0000fbf6, c6336401, 0000fbff), 10,
    "000e 03 00 02 0a 0000fbf0 0000fbf3" },
  { { MASC_SIBLING, OURS, 0, 0, one, 1 }, OPEN(06, 0000fbf6, c6336401, 00000000), 10,
    "000a 03 00 02 0a 0000fbf0" },
  { { MASC_SIBLING, OURS, 0, 0, NULL, 0 }, OPEN(06, 0000fbf6, c6336401, 0000fbf0), 10,
    "000a 03 00 02 0a 00000000" },
  { { MASC_SIBLING, OURS, 0, 0, one, 1 }, OPEN(06, 0000fbf6, c6336401, 0000fbf5), 9,
    "000a 03 00 02 09 0000fbf5" },
  { { MASC_SIBLING, OURS, 0, 0, one, 1 }, OPEN(06, 0000fbf6, c6336401, 0000fbf6), 9,
    "000a 03 00 02 09 0000fbf6" },
};

Test(rfc2909_8_2, what_depends_on_who_we_are)
{
  for (size_t i = 0; i < G_N_ELEMENTS(judged); i++) {
    uint8_t out[MASC_MAX_LENGTH];
    size_t length = 1;
    g_auto(MascDecoded) d = masc_decoded_text(judged[i].hex);
    g_autoptr(HexFile) hex = hex_parse(judged[i].answer, NULL);
    cr_assert(d.ok, "row %zu", i);
    uint8_t subcode = masc_open_judge(&d.msg.open, d.bytes, d.length, &judged[i].rule, out,
                                      sizeof out, &length);
    g_autofree char *got = masc_hex(out, length);
    g_autofree char *want = masc_hex(hex->bytes->data, hex->bytes->len);
    cr_expect_eq(subcode, judged[i].subcode, "row %zu: %s", i, masc_subcode_name(2, subcode));
    cr_expect_str_eq(got, want, "row %zu: %s", i, got);
  }
}

/* As many as fit, where they are more. */
Test(rfc2909_8_2, many_parents)
{
  g_autofree MascId *parents = g_new(MascId, 2000);
  uint8_t out[MASC_MAX_LENGTH];
  size_t length;
  for (size_t i = 0; i < 2000; i++)
    parents[i] = 70000 + i;
  MascOpenRule rule = { MASC_SIBLING, OURS, 0, 0, parents, 2000 };
  g_auto(MascDecoded) d = masc_decoded_text(OPEN(06, 0000fbf6, c6336401, 0000fbff));
  cr_expect_eq(masc_open_judge(&d.msg.open, d.bytes, d.length, &rule, out, sizeof out, &length),
               MASC_OPEN_NO_COMMON_PARENT);
  cr_expect_eq(length, 6 + 1022 * 4);
  cr_expect_eq(masc_open_judge(&d.msg.open, d.bytes, d.length, &rule, out, 100, &length),
               MASC_OPEN_NO_COMMON_PARENT);
  cr_expect_eq(length, 0, "no room for the answer");
}

Test(rfc2909_7_2, hold_times)
{
  static const struct { uint16_t ours, theirs, hold, keepalive; } rows[] = {
    { 240, 240, 240, 80 }, { 240, 180, 180, 60 }, { 3, 65535, 3, 1 }, { 4, 5, 4, 1 },
    { 0, 240, 0, 0 },      { 240, 0, 0, 0 },      { 65535, 65535, 65535, 21845 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    cr_expect_eq(masc_hold_time(rows[i].ours, rows[i].theirs), rows[i].hold, "row %zu", i);
    cr_expect_eq(masc_keepalive_interval(rows[i].hold), rows[i].keepalive, "row %zu", i);
  }
}
