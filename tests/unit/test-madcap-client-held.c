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
