/* Table 5, the encoder with its limits, names and descriptions. */
#include "tests/support/madcap-packets.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- table 5 --------------------------------------------------------------------------------- */

/* The RFC's table once more, read from its pages column by column: what a message MUST and MAY
   have; all else it MUST NOT. Option 17 is RFC 2907 3.3's. */
static const struct {
  MadcapType type;
  MadcapContext context;
  uint16_t must[8];         /* ends with 0 */
  uint16_t may[10];
} table5[] = {
  { MADCAP_GETINFO, { 0 }, { 3, 5 }, { 8, 12 } },
  { MADCAP_ACK, { .answers = MADCAP_GETINFO }, { 2, 3 }, { 9, 11, 12, 17 } },
  { MADCAP_DISCOVER, { 0 }, { 3, 4 }, { 1, 6, 7, 10, 11, 12, 14, 15 } },
  { MADCAP_OFFER, { 0 }, { 1, 2, 3, 4 }, { 6, 10, 11, 12 } },
  { MADCAP_REQUEST, { 0 }, { 3, 4 }, { 1, 2, 6, 7, 10, 11, 12, 14, 15 } },
  { MADCAP_REQUEST, { .multicast = true }, { 2, 3, 4 }, { 1, 6, 7, 10, 11, 12, 14, 15 } },
  { MADCAP_ACK, { .answers = MADCAP_REQUEST }, { 1, 2, 3, 4, 10 }, { 6, 11, 12, 13 } },
  { MADCAP_RENEW, { 0 }, { 3 }, { 1, 6, 11, 12, 14, 15 } },
  { MADCAP_RENEW, { .multicast = true }, { 3 }, { 1, 6, 11, 12, 14, 15 } },
  { MADCAP_ACK, { .answers = MADCAP_RENEW }, { 1, 2, 3, 4, 10 }, { 6, 11, 12, 13 } },
  { MADCAP_RELEASE, { 0 }, { 3 }, { 12 } },
  { MADCAP_ACK, { .answers = MADCAP_RELEASE }, { 2, 3 }, { 12 } },
  { MADCAP_NAK, { 0 }, { 2, 3, 16 }, { 12 } },
  { MADCAP_ACK, { .answers = MADCAP_DISCOVER }, { 0 }, { 0 } },
  { MADCAP_ACK, { 0 }, { 0 }, { 0 } },
};

static bool listed(const uint16_t *list, uint16_t option)
{
  for (; *list != 0; list++)
    if (*list == option)
      return true;
  return false;
}

static uint32_t bits(const uint16_t *list)
{
  uint32_t set = 0;
  for (; *list != 0; list++)
    set |= 1u << *list;
  return set;
}

Test(rfc2730_table_5, each_cell)
{
  for (size_t i = 0; i < G_N_ELEMENTS(table5); i++)
    for (uint16_t option = 1; option < MADCAP_N_OPTIONS; option++) {
      MadcapRule expected = listed(table5[i].must, option)  ? MADCAP_REQUIRED
                            : listed(table5[i].may, option) ? MADCAP_ALLOWED
                                                            : MADCAP_FORBIDDEN;
      cr_expect_eq(madcap_rule(table5[i].type, table5[i].context, option), expected,
                   "row %zu, %s in %s", i, madcap_option_name(option),
                   madcap_type_name(table5[i].type));
    }
  cr_expect_eq(madcap_rule(MADCAP_GETINFO, (MadcapContext){ 0 }, MADCAP_OPTION_END),
               MADCAP_REQUIRED);
  cr_expect_eq(madcap_rule(MADCAP_GETINFO, (MadcapContext){ 0 }, 18), MADCAP_ALLOWED);
}

Test(rfc2730_table_5, check_names_the_option)
{
  for (size_t i = 0; i < G_N_ELEMENTS(table5); i++) {
    uint32_t must = bits(table5[i].must), may = bits(table5[i].may);
    for (uint16_t option = 1; option < MADCAP_N_OPTIONS; option++) {
      MadcapFault fault;
      MadcapMessage msg = { .type = (uint8_t)table5[i].type, .present = must | 1 };
      cr_expect(madcap_check(&msg, table5[i].context, NULL), "row %zu", i);
      msg.present ^= 1u << option;
      bool good = (may >> option & 1u) != 0;
      cr_expect_eq(madcap_check(&msg, table5[i].context, &fault), good, "row %zu option %u", i,
                   option);
      if (good)
        continue;
      cr_expect_eq(fault.option, option, "row %zu option %u", i, option);
      cr_expect_eq(fault.reason, (must >> option & 1u) != 0 ? MADCAP_REASON_MISSING
                                                            : MADCAP_REASON_FORBIDDEN);
    }
  }
}

/* ---- the encoder ----------------------------------------------------------------------------- */

static bool nothing_nests(size_t x, size_t y, void *data)
{
  (void)data;
  return x > y && x < y;
}

static const MalBlock one_block = { { 0xe9fc0001, MAL_IPV4 }, 1 };
static const MadcapScope one_scope = { .first = { 0xefff0000, MAL_IPV4 },
                                       .last = { 0xefffffff, MAL_IPV4 }, .ttl = 255 };

/* Writes OPTION with some good value. */
static void put(MadcapEncoder *e, uint16_t option)
{
  static const uint16_t codes[] = { MADCAP_OPTION_SCOPE_LIST, MADCAP_OPTION_NESTING };
  switch (option) {
  case 1: madcap_put_lease_time(e, 3600); break;
  case 2: madcap_put_server_id(e, mal_address_ipv4(0xc0000201)); break;
  case 3: madcap_put_lease_id(e, "\0abc", 4); break;
  case 4: madcap_put_scope(e, one_scope.first); break;
  case 5: madcap_put_request_list(e, codes, 2); break;
  case 6: madcap_put_start_time(e, 1767312000); break;
  case 7: madcap_put_number(e, 1, 4); break;
  case 8: madcap_put_language(e, "en", 2); break;
  case 9: madcap_put_scope_list(e, &one_scope, 1); break;
  case 10: madcap_put_ranges(e, &one_block, 1); break;
  case 11: madcap_put_current_time(e, 1767225600); break;
  case 12: madcap_put_features(e, codes, 1, NULL, 0, NULL, 0); break;
  case 13: madcap_put_retry_time(e, 1767225900); break;
  case 14: madcap_put_min_lease_time(e, 60); break;
  case 15: madcap_put_max_start_time(e, 1767312000); break;
  case 16: madcap_put_error_option(e, MADCAP_ERROR_INVALID_REQUEST, 6); break;
  case 17: madcap_put_nesting(e, 1, nothing_nests, NULL); break;
  default: madcap_put_raw(e, option, "xyz", 3); break;
  }
}

static MadcapEncoder start(uint8_t *buffer, size_t size, MadcapType type, MadcapType answers)
{
  return madcap_encoder(buffer, size, type, (MadcapContext){ .answers = answers }, MAL_IPV4, 1);
}

Test(encode, never_what_table_5_forbids)
{
  uint8_t buffer[512];
  for (size_t i = 0; i < G_N_ELEMENTS(table5); i++)
    for (uint16_t option = 1; option < MADCAP_N_OPTIONS; option++) {
      MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, table5[i].type, table5[i].context,
                                       MAL_IPV4, 1);
      bool allowed = listed(table5[i].must, option) || listed(table5[i].may, option);
      if (option == MADCAP_OPTION_NESTING)
        put(&e, MADCAP_OPTION_SCOPE_LIST);
      put(&e, option);
      cr_expect_eq(e.failed, !allowed, "row %zu option %u", i, option);
      if (!allowed && option != MADCAP_OPTION_NESTING)
        cr_expect_eq(e.fault.reason, MADCAP_REASON_FORBIDDEN, "row %zu option %u: %s", i, option,
                     madcap_reason_name(e.fault.reason));
      if (!allowed)
        cr_expect_eq(madcap_finish(&e), 0);
    }
}

/* All that a kind of message must have is needed; with it the decoder is content. */
Test(encode, needs_what_table_5_demands)
{
  uint8_t buffer[512];
  for (size_t i = 0; i + 2 < G_N_ELEMENTS(table5); i++)
    for (uint16_t left_out = 0; left_out < MADCAP_N_OPTIONS; left_out++) {
      MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, table5[i].type, table5[i].context,
                                       MAL_IPV4, 1);
      for (uint16_t option = 1; option < MADCAP_N_OPTIONS; option++)
        if (option != left_out &&
            (listed(table5[i].must, option) || listed(table5[i].may, option)))
          put(&e, option);
      size_t length = madcap_finish(&e);
      bool needed = listed(table5[i].must, left_out) &&
                    !(table5[i].type == MADCAP_NAK && left_out == MADCAP_OPTION_LEASE_ID);
      needed = needed || (left_out == MADCAP_OPTION_CURRENT_TIME &&
                          listed(table5[i].may, MADCAP_OPTION_START_TIME));
      bool companion = left_out == MADCAP_OPTION_SCOPE_LIST &&
                       listed(table5[i].may, MADCAP_OPTION_NESTING);
      cr_expect_eq(length == 0, needed || companion, "row %zu without option %u: %s", i, left_out,
                   madcap_reason_name(e.fault.reason));
      if (needed)
        cr_expect_eq(e.fault.option, left_out, "row %zu without option %u", i, left_out);
      if (length == 0)
        continue;
      g_auto(Decoded) d = decode(buffer, length);
      cr_expect_eq(d.outcome, MADCAP_OK, "row %zu without option %u: option %u %s", i, left_out,
                   d.fault.option, madcap_reason_name(d.fault.reason));
    }
}

Test(encode, each_option_once)
{
  uint8_t buffer[512];
  for (size_t i = 0; i + 2 < G_N_ELEMENTS(table5); i++)
    for (uint16_t option = 1; option < (uint16_t)MADCAP_OPTION_NESTING; option++) {
      if (!listed(table5[i].must, option) && !listed(table5[i].may, option))
        continue;
      MadcapEncoder e = madcap_encoder(buffer, sizeof buffer, table5[i].type, table5[i].context,
                                       MAL_IPV4, 1);
      put(&e, option);
      cr_expect_not(e.failed);
      put(&e, option);
      cr_expect_eq(e.fault.reason, MADCAP_REASON_DUPLICATE, "row %zu option %u", i, option);
    }
}

/* With every capacity short of what is needed nothing comes out, and nothing is written beyond. */
static void fits_exactly(const char *path, const HexFile *hex)
{
  g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
  for (size_t capacity = 0; capacity <= hex->bytes->len; capacity++) {
    MadcapFault fault;
    g_autofree uint8_t *buffer = g_malloc(MAX(capacity, 1));
    size_t length = madcap_encode(&d.msg, golden_context(hex), buffer, capacity, &fault);
    bool enough = capacity == hex->bytes->len;
    cr_expect_eq(length, enough ? capacity : 0, "%s in %zu", path, capacity);
    cr_expect_eq(fault.reason, enough ? MADCAP_REASON_NONE : MADCAP_REASON_SPACE, "%s in %zu: %s",
                 path, capacity, madcap_reason_name(fault.reason));
  }
}

Test(encode, any_capacity)
{
  each_golden(fits_exactly);
}

Test(encode, values_that_break_a_definition)
{
  uint8_t b[512];
  static const uint16_t retry[] = { MADCAP_FEATURE_RETRY_AFTER };
  const MalAddress six = mal_address_make(MAL_IPV6, 1);
  const MalBlock empty = { one_block.first, 0 }, over = { { UINT32_MAX, MAL_IPV4 }, 2 };
  const MadcapScope twice[] = { one_scope, one_scope };
  MadcapEncoder e;

#define EXPECT(TYPE, ANSWERS, PUT, REASON, OPTION)                                              \
  do {                                                                                          \
    e = start(b, sizeof b, TYPE, ANSWERS);                                                      \
    PUT;                                                                                        \
    cr_expect(e.failed, #PUT);                                                                  \
    cr_expect_eq(e.fault.reason, REASON, #PUT ": %s", madcap_reason_name(e.fault.reason));      \
    cr_expect_eq(e.fault.option, OPTION, #PUT ": %u", e.fault.option);                          \
  } while (0)
  EXPECT(MADCAP_REQUEST, 0, madcap_put_number(&e, 2, 1), MADCAP_REASON_CONTENT, 7);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_lease_id(&e, "", 0), MADCAP_REASON_CONTENT, 3);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_scope(&e, six), MADCAP_REASON_CONTENT, 4);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_server_id(&e, mal_address_none()), MADCAP_REASON_CONTENT, 2);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_ranges(&e, &empty, 1), MADCAP_REASON_CONTENT, 10);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_ranges(&e, &over, 1), MADCAP_REASON_CONTENT, 10);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_features(&e, NULL, 0, retry, 1, NULL, 0),
         MADCAP_REASON_CONTENT, 12);
  EXPECT(MADCAP_REQUEST, 0, madcap_put_features(&e, NULL, 0, NULL, 0, retry, 1),
         MADCAP_REASON_CONTENT, 12);
  EXPECT(MADCAP_OFFER, 0, madcap_put_features(&e, retry, 1, retry, 1, NULL, 0),
         MADCAP_REASON_CONTENT, 12);
  EXPECT(MADCAP_GETINFO, 0, madcap_put_request_list(&e, NULL, 0), MADCAP_REASON_CONTENT, 5);
  EXPECT(MADCAP_NAK, 0, madcap_put_error_option(&e, MADCAP_ERROR_CLOCK_SKEW, 6),
         MADCAP_REASON_CONTENT, 16);
  EXPECT(MADCAP_ACK, MADCAP_GETINFO, madcap_put_scope_list(&e, twice, 2), MADCAP_REASON_CONTENT, 9);
  cr_expect_eq(e.fault.item, 1);
  EXPECT(MADCAP_ACK, MADCAP_GETINFO, madcap_put_nesting(&e, 1, nothing_nests, NULL),
         MADCAP_REASON_FORBIDDEN, 17);
  EXPECT(MADCAP_GETINFO, 0, madcap_put_raw(&e, MADCAP_OPTION_END, NULL, 0),
         MADCAP_REASON_FORBIDDEN, 0);
#undef EXPECT

  e = start(b, sizeof b, MADCAP_ACK, MADCAP_GETINFO);
  madcap_put_scope_list(&e, &one_scope, 1);
  madcap_put_nesting(&e, 2, nothing_nests, NULL);
  cr_expect_eq(e.fault.reason, MADCAP_REASON_CONTENT);
  e = start(b, sizeof b, (MadcapType)9, 0);
  cr_expect_eq(e.fault.reason, MADCAP_REASON_TYPE);
  e = madcap_encoder(b, sizeof b, MADCAP_REQUEST, (MadcapContext){ 0 }, MAL_FAMILY_NONE, 1);
  cr_expect_eq(e.fault.reason, MADCAP_REASON_FAMILY);
}

/* A server answers a message of an unknown family in kind (2.6). */
Test(encode, nak_echoes_any_family)
{
  uint8_t b[64];
  MadcapEncoder e = madcap_encoder(b, sizeof b, MADCAP_NAK, (MadcapContext){ 0 }, (MalFamily)0x4005,
                                   7);
  madcap_put_server_id(&e, mal_address_ipv4(0xc0000201));
  madcap_put_error_option(&e, MADCAP_ERROR_INVALID_REQUEST, MADCAP_NO_OPTION);
  cr_expect_gt(madcap_finish(&e), 0);
  cr_expect_eq(b[2], 0x40);
  cr_expect_eq(b[3], 0x05);
}

Test(encode, blocks_over_65535_addresses_are_cut)
{
  uint8_t b[128];
  MalBlock block;
  const MalBlock big = { { 0xe9fc0000, MAL_IPV4 }, 65535 * 2 + 3 };
  MadcapEncoder e = start(b, sizeof b, MADCAP_REQUEST, 0);
  madcap_put_lease_id(&e, "\0a", 2);
  madcap_put_scope(&e, one_scope.first);
  madcap_put_ranges(&e, &big, 1);
  g_auto(Decoded) d = decode(b, madcap_finish(&e));
  cr_assert_eq(d.outcome, MADCAP_OK);
  cr_expect_eq(madcap_ranges_count(&d.msg), 3);
  cr_expect_eq(madcap_ranges_total(&d.msg), big.count);
  MadcapRangeIter iter = madcap_ranges(&d.msg);
  MalAddress expected = big.first;
  while (madcap_ranges_next(&iter, &block)) {
    cr_expect(mal_address_equal(block.first, expected));
    mal_address_add(block.first, block.count, &expected);
  }
}

/* ---- limits of lists ------------------------------------------------------------------------- */

static uint8_t large[MADCAP_MAX_LENGTH];

static MadcapEncoder put_scopes(size_t count, size_t names_each, size_t name_length)
{
  g_autofree MadcapScope *scopes = g_new0(MadcapScope, count + 1);
  g_autofree MadcapName *names = g_new0(MadcapName, names_each + 1);
  g_autofree char *text = g_strnfill(name_length, 'x');
  for (size_t i = 0; i < names_each; i++)
    names[i] = (MadcapName){ .language = "en", .name = text };
  for (size_t i = 0; i < count; i++)
    scopes[i] = (MadcapScope){
      .first = mal_address_ipv4((uint32_t)(0xe9fc0000 + i)),
      .last = mal_address_ipv4((uint32_t)(0xe9fc0000 + i)),
      .names = names, .n_names = names_each,
    };
  MadcapEncoder e = start(large, sizeof large, MADCAP_ACK, MADCAP_GETINFO);
  madcap_put_scope_list(&e, scopes, count);
  return e;
}

Test(rfc2730_3_10, limits_of_the_scope_list)
{
  static const struct { size_t count, names, length; MadcapReason reason; size_t item; } cases[] = {
    { 0, 0, 1, MADCAP_REASON_NONE, 0 },
    { 255, 1, 20, MADCAP_REASON_NONE, 0 },
    { 256, 0, 1, MADCAP_REASON_FIT, 255 },
    { 1, 255, 10, MADCAP_REASON_NONE, 0 },
    { 1, 256, 10, MADCAP_REASON_FIT, 0 },
    { 2, 1, 255, MADCAP_REASON_NONE, 0 },
    { 2, 1, 256, MADCAP_REASON_FIT, 0 },
    { 2, 1, 0, MADCAP_REASON_CONTENT, 0 },
    { 251, 1, 246, MADCAP_REASON_SPACE, 0 },  /* 1 + 251 * 261 octets: the option, no datagram */
    { 251, 1, 250, MADCAP_REASON_FIT, 247 },  /* 265 octets each */
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    MadcapEncoder e = put_scopes(cases[i].count, cases[i].names, cases[i].length);
    cr_expect_eq(e.fault.reason, cases[i].reason, "case %zu: %s", i,
                 madcap_reason_name(e.fault.reason));
    cr_expect_eq(e.fault.item, cases[i].item, "case %zu: item %zu", i, e.fault.item);
  }
}

Test(rfc2730_3_10, names_and_their_flag)
{
  uint8_t b[256];
  MadcapScopeView view;
  MadcapNameView name;
  MadcapName names[] = { { "en", "Site", false }, { "fr", "Lieu", true } };
  MadcapScope scope = one_scope;
  scope.names = names;
  scope.n_names = G_N_ELEMENTS(names);
  MadcapEncoder e = start(b, sizeof b, MADCAP_ACK, MADCAP_GETINFO);
  put(&e, MADCAP_OPTION_SERVER_ID);
  put(&e, MADCAP_OPTION_LEASE_ID);
  madcap_put_scope_list(&e, &scope, 1);
  g_auto(Decoded) d = decode(b, madcap_finish(&e));
  cr_assert_eq(d.msg.scope_list.length, 1 + madcap_scope_octets(&scope));
  MadcapScopeIter scopes = madcap_scopes(&d.msg);
  cr_assert(madcap_scopes_next(&scopes, &view));
  MadcapNameIter iter = madcap_names(&view);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    cr_assert(madcap_names_next(&iter, &name));
    cr_expect_eq(name.is_default, names[i].is_default);
    cr_expect_eq(memcmp(name.language.data, names[i].language, 2), 0);
    cr_expect_eq(memcmp(name.name.data, names[i].name, 4), 0);
  }

  names[1].name = "\xc3(";
  e = start(b, sizeof b, MADCAP_ACK, MADCAP_GETINFO);
  madcap_put_scope_list(&e, &scope, 1);
  cr_expect_eq(e.fault.reason, MADCAP_REASON_CONTENT);
}

typedef struct { uint32_t seed; size_t count; } Matrix;
static bool matrix_at(size_t x, size_t y, void *data)
{
  const Matrix *m = data;
  uint32_t h = m->seed ^ (uint32_t)(x * 2654435761u) ^ (uint32_t)(y * 40503u);
  h = (h ^ h >> 15) * 2246822519u;
  return (h >> 13 & 1) != 0;
}

Test(rfc2907_3_2, matrices_of_every_size_come_back)
{
  for (size_t count = 0; count <= 40; count++) {
    Matrix m = { .seed = (uint32_t)count * 7919u, .count = count };
    g_autofree MadcapScope *scopes = g_new0(MadcapScope, count + 1);
    for (size_t i = 0; i < count; i++)
      scopes[i].first = scopes[i].last = mal_address_ipv4((uint32_t)(0xe9fc0000 + i));
    MadcapEncoder e = start(large, sizeof large, MADCAP_ACK, MADCAP_GETINFO);
    put(&e, MADCAP_OPTION_SERVER_ID);
    put(&e, MADCAP_OPTION_LEASE_ID);
    madcap_put_scope_list(&e, scopes, count);
    madcap_put_nesting(&e, count, matrix_at, &m);
    g_auto(Decoded) d = decode(large, madcap_finish(&e));
    cr_assert_eq(d.outcome, MADCAP_OK, "%zu: %s", count, madcap_reason_name(d.fault.reason));
    cr_expect_eq(d.msg.nesting.length, count == 0 ? 0 : count * ((count + 6) / 8));
    for (size_t x = 0; x < count; x++)
      for (size_t y = 0; y < count; y++)
        cr_expect_eq(madcap_nests(&d.msg, x, y), x == y || matrix_at(x, y, &m), "%zu: %zu/%zu",
                     count, x, y);
  }
}

/* ---- names and descriptions ------------------------------------------------------------------ */

Test(names, every_number_has_one)
{
  cr_expect_str_eq(madcap_type_name(MADCAP_GETINFO), "GETINFO");
  cr_expect_str_eq(madcap_type_name(0), "unknown message type");
  cr_expect_str_eq(madcap_type_name(9), "unknown message type");
  cr_expect_str_eq(madcap_option_name(17), "Multicast Scope Nesting State");
  cr_expect_str_eq(madcap_option_name(18), "unknown option");
  cr_expect_str_eq(madcap_option_name(MADCAP_NO_OPTION), "no option");
  cr_expect_str_eq(madcap_error_name(4), "Required Feature Not Supported");
  cr_expect_str_eq(madcap_error_name(5), "unknown error");
  cr_expect_str_eq(madcap_error_name(2047), "experimental error");
  cr_expect_str_eq(madcap_error_name(2048), "unknown error");
  cr_expect_str_eq(madcap_feature_name(2), "Shared Lease Identifier");
  cr_expect_str_eq(madcap_feature_name(3), "unknown feature");
  for (MadcapReason reason = MADCAP_REASON_NONE; reason <= MADCAP_REASON_SPACE; reason++)
    cr_expect_str_neq(madcap_reason_name(reason), "unknown reason", "%d", (int)reason);
}

static void cut_anywhere(const char *path, const HexFile *hex)
{
  char whole[2048];
  g_auto(Decoded) d = decode(hex->bytes->data, hex->bytes->len);
  madcap_describe(&d.msg, whole, sizeof whole);
  for (size_t size = 0; size <= strlen(whole) + 1; size++) {
    g_autofree char *out = g_malloc(MAX(size, 1));
    madcap_describe(&d.msg, out, size);
    if (size > 0)
      cr_expect(strlen(out) == size - 1 && strncmp(out, whole, size - 1) == 0, "%s at %zu", path,
                size);
  }
}

Test(describe, in_any_space)
{
  each_golden(cut_anywhere);
}

Test(describe, nothing_of_the_peer_steers_a_terminal)
{
  uint8_t b[256];
  char text[MADCAP_DESCRIPTION_SIZE];
  static const MadcapName name = { .language = "en", .name = "a\x1b[2J\"\\\xc2\x9b" };
  MadcapScope scope = one_scope;
  scope.names = &name;
  scope.n_names = 1;
  MadcapEncoder e = start(b, sizeof b, MADCAP_ACK, MADCAP_GETINFO);
  put(&e, MADCAP_OPTION_SERVER_ID);
  put(&e, MADCAP_OPTION_LEASE_ID);
  madcap_put_scope_list(&e, &scope, 1);
  g_auto(Decoded) d = decode(b, madcap_finish(&e));
  madcap_describe(&d.msg, text, sizeof text);
  cr_expect(strstr(text, "\"a\\x1b[2J\\x22\\x5c\\xc2\\x9b\"") != NULL, "%s", text);
}

Test(describe, long_lease_identifiers_are_cut)
{
  uint8_t b[128];
  char text[MADCAP_DESCRIPTION_SIZE];
  const uint8_t id[40] = { 0 };
  MadcapEncoder e = start(b, sizeof b, MADCAP_RELEASE, 0);
  madcap_put_lease_id(&e, id, sizeof id);
  g_auto(Decoded) d = decode(b, madcap_finish(&e));
  cr_expect_str_eq(madcap_describe(&d.msg, text, sizeof text),
                   "RELEASE ipv4 xid 00000001 lease 0000000000000000000000000000000000000000"
                   "... (40 octets)");
}

Test(describe, faults)
{
  char text[200];
  const MadcapFault fault = { .reason = MADCAP_REASON_DUPLICATE, .option = 3, .offset = 20 };
  cr_expect_str_eq(madcap_fault_describe(&fault, text, sizeof text),
                   "Lease Identifier (option 3): option is there twice, at octet 20");
}
