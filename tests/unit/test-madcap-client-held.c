/* A held lease: when it is renewed, when it ends, and its record. */
#include "plugins/madcap/madcap-client-held.h"

#include <criterion/criterion.h>
#include <string.h>

#define US INT64_C(1000000)
#define NOW INT64_C(1767225600)

static const uint8_t own_id[17] = { 0, 1, 2, 3 };

static MalAddress address(const char *text)
{
  MalAddress a = mal_address_none();

  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static MadcapHeld *a_lease(bool renew, int64_t lifetime, unsigned jitter)
{
  MadcapHeld *held = madcap_held_new();
  MalBlock block = mal_block_make(address("239.255.1.1"), 4);
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MadcapClientResult result = {
    .done = true,
    .blocks = blocks,
    .start = NOW,
    .end = NOW + lifetime,
    .lease_time = lifetime,
    .server = { .address = address("192.0.2.1"), .port = 2535 },
    .scope = address("239.255.0.0"),
  };

  g_array_append_val(blocks, block);
  memcpy(held->id, own_id, sizeof own_id);
  held->id_length = sizeof own_id;
  held->scope = g_strdup("Site local");
  held->lifetime = lifetime;
  held->renew = renew;
  madcap_held_granted(held, &result, NOW, 0, jitter);
  return held;
}

Test(madcap_held, is_renewed_at_a_half_then_three_quarters_then_seven_eighths)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, 0);
  static const int64_t due[] = { 1800, 2700, 3150, 3375 };

  for (size_t i = 0; i < G_N_ELEMENTS(due); i++) {
    cr_assert_eq(madcap_held_due(held, NOW, 0), due[i] * US, "%zu", i);
    cr_assert_eq(madcap_held_step(held, NOW + due[i] - 1, (due[i] - 1) * US), MADCAP_HELD_NOTHING);
    cr_assert_eq(madcap_held_step(held, NOW + due[i], due[i] * US), MADCAP_HELD_RENEW);
    madcap_held_failed(held, NOW + due[i], due[i] * US, 0);
    if (i + 1 < G_N_ELEMENTS(due))
      cr_assert_eq(held->due, NOW + due[i + 1], "%zu", i);
  }
  cr_assert_eq(madcap_held_step(held, NOW + 3600, 3600 * US), MADCAP_HELD_ENDED);
}

Test(madcap_held, jitter_only_makes_it_earlier)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, MADCAP_HELD_JITTER);

  cr_assert_eq(held->due, NOW + 1620);
}

Test(madcap_held, not_where_the_program_does_not_want_it)
{
  g_autoptr(MadcapHeld) held = a_lease(false, 3600, 0);

  cr_assert_eq(madcap_held_step(held, NOW + 3599, 3599 * US), MADCAP_HELD_NOTHING);
  cr_assert_eq(madcap_held_due(held, NOW, 0), 3600 * US);
}

Test(madcap_held, either_clock_renews_and_only_both_end)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, 0);

  cr_assert_eq(madcap_held_step(held, NOW + 86400, 10 * US), MADCAP_HELD_RENEW, "stepped ahead");
  cr_assert_eq(madcap_held_step(held, NOW - 86400, 1800 * US), MADCAP_HELD_RENEW, "stepped back");
  held->busy = true;
  cr_assert_eq(madcap_held_step(held, NOW + 86400, 10 * US), MADCAP_HELD_NOTHING);
  cr_assert_eq(madcap_held_step(held, NOW + 86400, 3600 * US), MADCAP_HELD_ENDED);
}

Test(madcap_held, what_is_written_is_read)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, 0);
  g_strlcpy(held->interface, "eth0", sizeof held->interface);
  held->shared = true;
  held->local = address("192.0.2.50");
  g_autoptr(GByteArray) record = madcap_held_write(held);
  g_autoptr(GError) error = NULL;
  g_autoptr(MadcapHeld)
      back = madcap_held_read(madcap_held_id(held), record->data, record->len, &error);

  cr_assert_not_null(back, "%s", error ? error->message : "");
  cr_assert(mal_lease_id_equal(madcap_held_id(back), madcap_held_id(held)));
  cr_assert_str_eq(back->scope, "Site local");
  cr_assert_str_eq(back->interface, "eth0");
  cr_assert(mal_endpoint_equal(back->server, held->server));
  cr_assert(mal_address_equal(back->local, held->local));
  cr_assert_eq(back->start, held->start);
  cr_assert_eq(back->end, held->end);
  cr_assert_eq(back->granted, held->granted);
  cr_assert_eq(back->lifetime, held->lifetime);
  cr_assert(back->renew && back->shared);
  cr_assert_eq(back->blocks->len, 1);
  cr_assert_eq(g_array_index(back->blocks, MalBlock, 0).count, 4);
  madcap_held_resume(back, NOW + 1000, 5 * US, 0);
  cr_assert_eq(back->due, NOW + 1000 + 1300);
  cr_assert_eq(back->due_mono, 1305 * US);
}

Test(madcap_held, a_damaged_record_is_refused)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, 0);
  g_autoptr(GByteArray) record = madcap_held_write(held);

  for (guint length = 0; length < record->len; length++) {
    g_autoptr(GError) error = NULL;
    cr_assert_null(madcap_held_read(madcap_held_id(held), record->data, length, &error), "%u",
                   length);
    cr_assert_eq(error->code, MAL_ERROR_STORE);
  }
  g_byte_array_append(record, (const uint8_t *)"", 1);
  cr_assert_null(madcap_held_read(madcap_held_id(held), record->data, record->len, NULL));
  record->data[0]++;
  g_autoptr(GError) error = NULL;
  cr_assert_null(madcap_held_read(madcap_held_id(held), record->data, record->len - 1, &error));
  cr_assert_not_null(strstr(error->message, "form 2"), "%s", error->message);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static MadcapClientResult a_result(GArray *blocks, MalTime start, MalTime end)
{
  MalBlock block = mal_block_make(address("239.255.1.1"), 4);

  g_array_set_size(blocks, 0);
  g_array_append_val(blocks, block);
  return (MadcapClientResult){
    .done = true, .blocks = blocks, .start = start, .end = end, .lease_time = end - start,
    .server = { .address = address("192.0.2.1"), .port = 2535 }, .scope = address("239.255.0.0"),
  };
}

Test(madcap_held, what_starts_later_is_renewed_in_its_own_time)
{
  g_autoptr(MadcapHeld) held = madcap_held_new();
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MadcapClientResult result = a_result(blocks, NOW + 1000, NOW + 2000);

  held->renew = true;
  result.starts_later = true;
  madcap_held_granted(held, &result, NOW, 0, 0);
  cr_assert_eq(held->due, NOW + 1500);
  madcap_held_failed(held, NOW + 10, 10 * US, 0);
  cr_assert_eq(held->due, NOW + 1500);
  cr_assert_eq(held->due_mono, 1500 * US);
  madcap_held_resume(held, NOW + 20, 5 * US, 0);
  cr_assert_eq(held->due, NOW + 1500);
  cr_assert_eq(held->due_mono, 1485 * US);
  /* A renewal may move the start further away, and keeps what is shared. */
  cr_assert_not(held->shared);
  result = a_result(blocks, NOW + 3000, NOW + 4000);
  result.starts_later = result.shared = true;
  madcap_held_granted(held, &result, NOW + 30, 15 * US, 0);
  cr_assert_eq(held->start, NOW + 3000);
  cr_assert_eq(held->granted, NOW, "the first time");
  cr_assert(held->shared);
  result.shared = result.starts_later = false;
  result.start = NOW + 40;
  madcap_held_granted(held, &result, NOW + 40, 25 * US, 0);
  cr_assert_eq(held->start, NOW + 40, "it runs already");
  cr_assert(held->shared, "once shared, always");
}

Test(madcap_held, what_is_too_short_is_not_renewed)
{
  static const struct {
    int64_t start, end; /* from now */
    bool planned;
  } rows[] = { { 0, 1, false }, { 0, 2, true }, { 100, 101, false }, { 100, 102, true } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MadcapHeld) held = madcap_held_new();
    g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
    MadcapClientResult result = a_result(blocks, NOW + rows[i].start, NOW + rows[i].end);
    held->renew = true;
    madcap_held_granted(held, &result, NOW, 0, 0);
    cr_assert_eq(held->due != MAL_FOREVER, rows[i].planned, "row %zu", i);
    cr_assert_eq(held->due_mono != INT64_MAX, rows[i].planned, "row %zu", i);
  }
}

Test(madcap_held, a_lease_for_ever_and_one_that_ended_meanwhile)
{
  g_autoptr(MadcapHeld) held = madcap_held_new();
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MadcapClientResult result = a_result(blocks, NOW, MAL_FOREVER);

  madcap_held_granted(held, &result, NOW, 5 * US, 0);
  cr_assert_eq(held->end_mono, INT64_MAX);
  cr_assert_eq(madcap_held_due(held, NOW, 5 * US), INT64_MAX);
  held->end = NOW + 100;
  madcap_held_resume(held, NOW + 200, 7 * US, 0);
  cr_assert_eq(held->end_mono, 7 * US);
  cr_assert_eq(madcap_held_due(held, NOW + 200, 7 * US), 7 * US);
  cr_assert_eq(madcap_held_step(held, NOW + 200, 7 * US), MADCAP_HELD_ENDED);
  madcap_held_free(NULL);
}

/* Where what stands in the record of a_lease with two blocks. */
enum {
  AT_SCOPE = 4,
  AT_SCOPE_FAMILY = 14,
  AT_LOCAL_FAMILY = 28,
  AT_START = 32,
  AT_END = 40,
  AT_GRANTED = 48,
  AT_LIFETIME = 56,
  AT_BLOCKS = 64,
  AT_FIRST = 68,
  AT_COUNT = 72,
};

static GByteArray *record_of_two(void)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, 0);
  MalBlock block = mal_block_make(address("239.255.2.1"), 1);

  g_array_append_val(held->blocks, block);
  return madcap_held_write(held);
}

Test(madcap_held, a_record_that_can_not_be_is_refused)
{
  static const struct {
    guint at;
    const char *octets;
    guint length;
    bool good;
  } rows[] = {
    { AT_SCOPE, "s", 1, true },
    { AT_SCOPE, "", 1, false },                          /* a NUL */
    { AT_SCOPE, "\xff", 1, false },                     /* no UTF-8 */
    { AT_SCOPE_FAMILY, "\0\0", 2, false },             /* no address, where one must be */
    { AT_SCOPE_FAMILY, "\0\7", 2, false },
    { AT_LOCAL_FAMILY, "\0\7", 2, false },
    { AT_START, "\xff", 1, false },                     /* before 1970 */
    { AT_START, "\0\0\0\0\x7f", 5, false },         /* after its end */
    { AT_END, "\0\0\1", 3, false },                   /* in a million years */
    { AT_GRANTED, "\xff", 1, false },
    { AT_LIFETIME, "\xff", 1, false },
    { AT_BLOCKS, "\0\1\0\0", 4, false },             /* 65,536 blocks */
    { AT_BLOCKS, "\0\0\0\0", 4, false },
    { AT_FIRST, "\xc0", 1, false },                     /* 192.255.1.1 */
    { AT_COUNT, "\0\0\0\0", 4, false },
    { AT_COUNT, "\x80\0\0\0", 4, false },            /* beyond 255.255.255.255 */
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GByteArray) record = record_of_two();
    g_autoptr(GError) error = NULL;
    memcpy(record->data + rows[i].at, rows[i].octets, rows[i].length);
    g_autoptr(MadcapHeld) held =
        madcap_held_read((MalLeaseId){ own_id, sizeof own_id }, record->data, record->len, &error);
    cr_assert_eq(held != NULL, rows[i].good, "row %zu", i);
    cr_assert(rows[i].good || error->code == MAL_ERROR_STORE, "row %zu", i);
  }
}

Test(madcap_held, an_identifier_that_no_lease_has_is_refused)
{
  static const uint8_t octets[MAL_LEASE_ID_MAX + 1];
  g_autoptr(GByteArray) record = record_of_two();

  for (size_t length = 0; length <= sizeof octets; length += MAL_LEASE_ID_MAX) {
    g_autoptr(MadcapHeld)
        held = madcap_held_read((MalLeaseId){ octets, length }, record->data, record->len, NULL);
    cr_assert_eq(held != NULL, length == MAL_LEASE_ID_MAX, "%zu", length);
  }
  cr_assert_null(
      madcap_held_read((MalLeaseId){ octets, sizeof octets }, record->data, record->len, NULL));
}

Test(madcap_held, ipv6_is_written_and_read)
{
  g_autoptr(MadcapHeld) held = a_lease(true, 3600, 0);
  MalBlock block = mal_block_make(address("ff15::1:0"), 2);

  held->scope_first = address("ff15::");
  held->server.address = address("2001:db8::1");
  g_array_index(held->blocks, MalBlock, 0) = block;
  g_autoptr(GByteArray) record = madcap_held_write(held);
  g_autoptr(MadcapHeld) back =
      madcap_held_read(madcap_held_id(held), record->data, record->len, NULL);
  cr_assert_not_null(back);
  cr_assert(mal_address_equal(back->scope_first, address("ff15::")));
  cr_assert(mal_address_equal(back->server.address, address("2001:db8::1")));
  cr_assert(mal_address_equal(g_array_index(back->blocks, MalBlock, 0).first, block.first));
}
