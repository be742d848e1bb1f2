/* Unions of ranges and combined requests (draft-ietf-malloc-aap-04 sections 3.2.2, 3.2.10.3). */
#include "plugins/aap/aap-ranges.h"
#include "tests/support/aap-packets.h"

#include <criterion/criterion.h>
#include <string.h>

/* "A-B=VALUE,..." both ways. */
static size_t parse(const char *text, AapRange *out)
{
  g_auto(GStrv) items = g_strsplit(text, ",", -1);
  size_t n = 0;
  for (char **item = items; *item != NULL; item++, n++) {
    char *value = strchr(*item, '=');
    *value++ = '\0';
    out[n] = aap_range(*item, (uint32_t)g_ascii_strtoull(value, NULL, 10));
  }
  return n;
}

static char *format(const AapRange *ranges, size_t n)
{
  GString *text = g_string_new(NULL);
  char span[MAL_SPAN_STRLEN];
  for (size_t i = 0; i < n; i++)
    g_string_append_printf(text, "%s%s=%u", i > 0 ? "," : "", mal_span_format(ranges[i].span, span),
                           ranges[i].value);
  return g_string_free(text, FALSE);
}

#define A "239.1.1."
Test(unite, per_address_the_latest_end)
{
  static const struct { const char *in, *out;
  } cases[] = {
    { "", "" },
    { A "5=1", A "5=1" },
    { A "9=1," A "3=2", A "3=2," A "9=1" },
    { A "1-" A "9=5," A "4-" A "6=7", A "1-" A "3=5," A "4-" A "6=7," A "7-" A "9=5" },
    { A "1-" A "9=5," A "4-" A "6=3", A "1-" A "9=5" },
    { A "1-" A "5=5," A "6-" A "9=5", A "1-" A "9=5" },
    { A "1-" A "5=5," A "6-" A "9=6", A "1-" A "5=5," A "6-" A "9=6" },
    { A "1-" A "6=5," A "4-" A "9=5", A "1-" A "9=5" },
    { A "1-" A "6=6," A "4-" A "9=5", A "1-" A "6=6," A "7-" A "9=5" },
    { A "4=5," A "4=5," A "4=6," A "4=1", A "4=6" },
    { A "1-" A "9=1," A "2-" A "8=2," A "3-" A "7=3," A "5=4",
      A "1=1," A "2=2," A "3-" A "4=3," A "5=4," A "6-" A "7=3," A "8=2," A "9=1" },
    { "224.0.0.0-239.255.255.255=2,239.255.255.255=3",
      "224.0.0.0-239.255.255.254=2,239.255.255.255=3" },
    { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff=4,"
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff=3",
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff=4" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapRange in[8], out[16];
    size_t n = cases[i].in[0] == '\0' ? 0 : parse(cases[i].in, in);
    n = aap_ranges_unite(in, n, out);
    g_autofree char *text = format(out, n);
    cr_expect_str_eq(text, cases[i].out, "%s", cases[i].in);
  }
}

/* Against a table of 256 addresses, for lists that nest and overlap at random. */
Test(unite, as_address_by_address)
{
  uint32_t state = 5;
  for (unsigned round = 0; round < 500; round++) {
    AapRange in[24], out[48];
    int want[256];
    size_t n = 1 + round % 24;
    memset(want, -1, sizeof want);
    for (size_t i = 0; i < n; i++) {
      uint32_t edge[2];
      for (unsigned k = 0; k < 2; k++)
        edge[k] = (state = state * 1664525u + 1013904223u) >> 24;
      uint32_t first = MIN(edge[0], edge[1]), last = MAX(edge[0], edge[1]),
               value = (state >> 8) % 4;
      in[i] = (AapRange){
        { mal_address_ipv4(0xEF010100u + first), mal_address_ipv4(0xEF010100u + last) }, value
      };
      for (uint32_t a = first; a <= last; a++)
        want[a] = MAX(want[a], (int)value);
    }
    size_t pieces = aap_ranges_unite(in, n, out);
    cr_assert_leq(pieces, 2 * n);
    for (size_t p = 0; p < pieces; p++) {
      uint32_t first = (uint32_t)out[p].span.first.value & 0xFF,
               last = (uint32_t)out[p].span.last.value & 0xFF;
      cr_assert(p == 0 || mal_address_compare(out[p - 1].span.last, out[p].span.first) < 0);
      cr_assert(p == 0 || out[p - 1].value != out[p].value
                || first > ((uint32_t)out[p - 1].span.last.value & 0xFF) + 1);
      for (uint32_t a = first; a <= last; a++) {
        cr_assert_eq(want[a], (int)out[p].value, "round %u address %u", round, a);
        want[a] = -1;
      }
    }
    for (unsigned a = 0; a < 256; a++)
      cr_assert_eq(want[a], -1, "round %u address %u", round, a);
  }
}

Test(aap_81, same_addresses_whatever_the_end_times)
{
  static const struct { const char *a, *b; bool same; } cases[] = {
    { A "1-" A "9=5", A "1-" A "3=5," A "4-" A "9=6", true },
    { A "1-" A "3=5," A "4-" A "9=6", A "1-" A "6=5," A "7-" A "9=6", true },
    { A "1-" A "9=5", A "1-" A "3=5," A "5-" A "9=6", false },
    { A "1-" A "9=5", A "1-" A "8=5", false },
    { A "1=5," A "5=5", A "1=5", false },
    { A "1=5", A "1=5," A "5=5", false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapRange a[4], b[4];
    size_t n_a = parse(cases[i].a, a), n_b = parse(cases[i].b, b);
    cr_expect_eq(aap_ranges_same_addresses(a, n_a, b, n_b), cases[i].same, "case %zu", i);
  }
  cr_expect(aap_ranges_same_addresses(NULL, 0, NULL, 0));
}

Test(aap_32_143, addresses_in_use)
{
  AapRange ranges[4];
  size_t n = parse(A "1-" A "9=5," A "20=5", ranges);
  cr_expect_eq((uint64_t)aap_ranges_addresses(ranges, n), 10);
  cr_expect_eq(aap_in_use_to_wire(0xFFFFFFFE), 0xFFFFFFFE);
  cr_expect_eq(aap_in_use_to_wire(0xFFFFFFFF), AAP_IN_USE_MANY);
  cr_expect_eq(aap_in_use_to_wire((MalU128)1 << 100), AAP_IN_USE_MANY);
  ranges[0].span.first = ranges[1].span.first = mal_address_make(MAL_IPV6, 0);
  ranges[0].span.last = ranges[1].span.last = mal_address_make(MAL_IPV6, ~(MalU128)0);
  cr_expect_eq(aap_in_use_to_wire(aap_ranges_addresses(ranges, 2)), AAP_IN_USE_MANY);
}

/* ---- requests -------------------------------------------------------------------------------- */

#define M UINT32_MAX
Test(aap_144_145, closest_end_times_are_combined_first)
{
  static const struct {
    size_t n, limit;
    AapRequest in[6];
    size_t kept;
    AapRequest out[6];
  } cases[] = {
    { 3,
      2,
      { { 10, 90000 }, { 5, 90100 }, { 256, 604800 } },
      2,
      { { 15, 90100 }, { 256, 604800 } } },
    { 3, 3, { { 5, 9 }, { 10, 7 }, { 1, 7 } }, 3, { { 10, 7 }, { 1, 7 }, { 5, 9 } } },
    { 4, 2, { { 1, 10 }, { 2, 20 }, { 4, 30 }, { 8, 40 } }, 2, { { 7, 30 }, { 8, 40 } } },
    { 4, 1, { { 1, 10 }, { 2, 20 }, { 4, 30 }, { 8, 40 } }, 1, { { 15, 40 } } },
    { 4, 0, { { 1, 10 }, { 2, 20 }, { 4, 30 }, { 8, 40 } }, 1, { { 15, 40 } } },
    { 5,
      3,
      { { 1, 0 }, { 1, 5 }, { 1, 7 }, { 1, 10 }, { 1, 11 } },
      3,
      { { 1, 0 }, { 2, 7 }, { 2, 11 } } },
    { 3, 1, { { M, 5 }, { M, 6 }, { 1, M } }, 1, { { M, M } } },
    { 3, 1, { { 0, 5 }, { 0, 6 }, { 3, 4 } }, 1, { { 3, 4 } } },
    { 2, 1, { { 0, 5 }, { 0, 6 } }, 0, { { 0, 0 } } },
    { 0, 5, { { 0, 0 } }, 0, { { 0, 0 } } },
    { 2, 1, { { 1, 0 }, { 1, M } }, 1, { { 2, M } } },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    AapRequest requests[6];
    memcpy(requests, cases[i].in, sizeof requests);
    size_t kept = aap_requests_combine(requests, cases[i].n, cases[i].limit);
    cr_expect_eq(kept, cases[i].kept, "case %zu: %zu", i, kept);
    for (size_t k = 0; k < MIN(kept, cases[i].kept); k++) {
      cr_expect_eq(requests[k].count, cases[i].out[k].count, "case %zu: %zu: %u", i, k,
                   requests[k].count);
      cr_expect_eq(requests[k].end_time, cases[i].out[k].end_time, "case %zu: %zu", i, k);
    }
  }
}

/* The rule word for word, on many lists. */
static size_t slowly(AapRequest *r, size_t n, size_t limit)
{
  while (n > limit) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; i++)
      if (r[i + 1].end_time - r[i].end_time < r[best + 1].end_time - r[best].end_time)
        best = i;
    r[best + 1].count += r[best].count;
    memmove(&r[best], &r[best + 1], (n - best - 1) * sizeof *r);
    n--;
  }
  return n;
}

Test(aap_145, combined_as_by_the_rule)
{
  uint32_t state = 3;
  for (unsigned round = 0; round < 400; round++) {
    AapRequest fast[60], slow[60];
    size_t n = 1 + round % 60, limit = 1 + round / 7 % n;
    uint32_t end = 0;
    for (size_t i = 0; i < n; i++) {
      end += (state = state * 1664525u + 1013904223u) >> 28;
      fast[i] = slow[i] = (AapRequest){ 1 + (state >> 8) % 9, end };
    }
    size_t kept = aap_requests_combine(fast, n, limit);
    cr_assert_eq(kept, slowly(slow, n, limit), "round %u", round);
    for (size_t i = 0; i < kept; i++)
      cr_assert(fast[i].count == slow[i].count && fast[i].end_time == slow[i].end_time,
                "round %u: %zu", round, i);
  }
}
