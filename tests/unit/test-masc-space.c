/* What zones say of their prefixes, as a set of addresses, against a plain map of them. */
#include "plugins/masc/masc-plugin.h"

#include <criterion/criterion.h>

#define BASE 0xefc10000u
#define SIZE 256u

static uint32_t next_random(uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static MalPrefix any_prefix(uint32_t *state)
{
  unsigned length = 24 + next_random(state) % 9;
  uint32_t offset = next_random(state) % SIZE;
  offset &= ~((UINT32_C(1) << (32 - length)) - 1);
  return (MalPrefix){ mal_address_ipv4(BASE + offset), length };
}

static void check(const GArray *grants, const MalTime map[SIZE])
{
  MalTime found[SIZE] = { 0 };
  MalAddress last = mal_address_none();
  for (guint i = 0; i < grants->len; i++) {
    const MascGrant *grant = &g_array_index(grants, MascGrant, i);
    MalSpan span = mal_span_of_prefix(grant->prefix);
    cr_assert(i == 0 || mal_address_compare(last, span.first) < 0, "sorted and disjoint");
    last = span.last;
    for (uint32_t at = (uint32_t)span.first.value; at <= (uint32_t)span.last.value; at++)
      found[at - BASE] = grant->until;
  }
  for (unsigned i = 0; i < SIZE; i++)
    cr_assert_eq(found[i], map[i], "address %u", i);
}

Test(masc_space, sets_and_unsets_in_any_order_are_a_set_of_addresses)
{
  uint32_t state = 7;
  MalTime map[SIZE] = { 0 };
  g_autoptr(GArray) grants = g_array_new(FALSE, FALSE, sizeof(MascGrant));
  for (MalTime round = 1; round <= 20000; round++) {
    MalPrefix prefix = any_prefix(&state);
    uint32_t first = (uint32_t)prefix.address.value - BASE, n = UINT32_C(1) << (32 - prefix.length);
    bool set = next_random(&state) % 2, some = false;
    for (uint32_t i = first; i < first + n; i++) {
      some = some || map[i] != 0;
      map[i] = set ? round : 0;
    }
    if (set)
      masc_space_set(grants, prefix, round, false);
    else
      cr_assert_eq(masc_space_unset(grants, prefix), some);
    check(grants, map);
  }
}

Test(masc_space, exact_prefixes_may_cover_each_other)
{
  g_autoptr(GArray) grants = g_array_new(FALSE, FALSE, sizeof(MascGrant));
  MalPrefix outer = { mal_address_ipv4(BASE), 22 }, inner = { mal_address_ipv4(BASE), 24 };
  masc_space_set_exact(grants, inner, 5, false);
  masc_space_set_exact(grants, outer, 6, false);
  masc_space_set_exact(grants, inner, 7, true);
  cr_assert_eq(grants->len, 2);
  cr_assert(masc_space_unset_exact(grants, inner));
  cr_assert_not(masc_space_unset_exact(grants, inner));
  cr_assert_eq(grants->len, 1);
  cr_assert_eq(g_array_index(grants, MascGrant, 0).prefix.length, 22);
}
