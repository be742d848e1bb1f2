/* The rules of core/allocator.h, one by one. What no list of cases can cover is in
   test-allocator-model.c. */
#include "tests/unit/allocator-bed.h"

#include <string.h>

Test(allocator, ranges_refused)
{
  static const struct { unsigned scope; const char *span; MalErrorCode code; } cases[] = {
    { 0, "239.1.0.0-239.1.0.255", MAL_ERROR_EXISTS },
    { 0, "239.0.9.0-239.9.0.0", MAL_ERROR_EXISTS },
    { 0, "239.1.1.0-239.1.1.9", MAL_ERROR_EXISTS },
    { 0, "238.0.0.0-238.0.0.9", MAL_ERROR_INVALID },
    { 3, "ff18::8000:0-ff18::100:8000:0", MAL_ERROR_INVALID },
  };
  static const Range ranges[MAX_RANGES] = { { 0, "239.1.0.0-239.1.255.255", 9 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalScope scope = scope_of(cases[i].scope);
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_allocator_add_range(a, &scope, span(cases[i].span), 9, &error));
    cr_expect(g_error_matches(error, MAL_ERROR, (gint)cases[i].code), "%s", cases[i].span);
  }
  MalScope scope = scope_of(3);
  cr_expect(mal_allocator_add_range(a, &scope, span("ff18::8000:0-ff18::ff:8000:0"), 9, NULL));
  cr_expect_not(mal_allocator_remove_range(a, block("239.1.0.1").first));
  cr_expect_not(mal_allocator_set_until(a, block("239.1.0.1").first, 3));
  mal_allocator_check(a);
}

/* What is never given out: the flood-prone groups (RFC 4541 2.1.2 (2)), the top of a scope
   (RFC 2365 9), group ids of others (RFC 10028 3). */
Test(allocator, never_given_out)
{
  static const struct {
    unsigned scope;
    const char *range, *free[4], *never[4];
    uint64_t usable;
  } cases[] = {
    { 0, "239.0.0.0-239.0.3.255", { "239.0.1.0-239.0.3.255" },
      { "239.0.0.0", "239.0.0.255" }, 768 },
    { 0, "239.127.255.0-239.128.1.255",
      { "239.127.255.0-239.127.255.255", "239.128.1.0-239.128.1.255" },
      { "239.128.0.0", "239.128.0.255", "239.127.255.255-239.128.0.0" }, 512 },
    { 0, "239.255.254.0-239.255.255.255", { "239.255.254.0-239.255.254.255" },
      { "239.255.255.0", "239.255.255.255", "239.255.254.255-239.255.255.0" }, 256 },
    { 3, "ff18::7fff:ff00-ff18::8000:ff", { "ff18::8000:0-ff18::8000:ff" },
      { "ff18::7fff:ffff" }, 256 },
    { 3, "ff18::8fff:ff00-ff18::9000:ff", { "ff18::8fff:ff00-ff18::8fff:ffff" },
      { "ff18::9000:0" }, 256 },
    { 3, "ff18::5:9000:0-ff18::6:8000:1", { "ff18::6:8000:0-ff18::6:8000:1" },
      { "ff18::5:9000:0" }, 2 },
    { 3, "ff18::5:8fff:fff0-ff18::6:8000:1",
      { "ff18::5:8fff:fff0-ff18::5:8fff:ffff", "ff18::6:8000:0-ff18::6:8000:1" },
      { "ff18::5:9000:0", "ff18::5:ffff:ffff", "ff18::6:0:0" }, 18 },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    Range ranges[MAX_RANGES] = { { cases[i].scope, cases[i].range, 100 } };
    g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_IGNORE, ranges);
    MalFit fit = fit_of(cases[i].scope, 0, 100, 1);
    for (size_t k = 0; k < 4 && cases[i].free[k] != NULL; k++)
      cr_expect(mal_allocator_is_free(a, &fit, block(cases[i].free[k])), "%s", cases[i].free[k]);
    for (size_t k = 0; k < 4 && cases[i].never[k] != NULL; k++)
      cr_expect_not(mal_allocator_is_free(a, &fit, block(cases[i].never[k])), "%s",
                    cases[i].never[k]);
    cr_expect_eq(mal_allocator_stats(a, -1).owned, cases[i].usable, "case %zu", i);
    g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
    fit.count = 5000;
    cr_expect_eq(mal_allocator_find(a, &fit, 1, blocks), cases[i].usable, "case %zu", i);
  }
}

Test(allocator, shortest_range_that_suffices_and_named_addresses)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.3.0.0-239.3.0.9", MAL_FOREVER },
    { 0, "239.1.0.0-239.1.0.9", 100 },
    { 0, "239.2.0.0-239.2.0.9", 200 },
  };
  static const struct { MalTime until; uint32_t count; const char *in; } cases[] = {
    { 100, 1, "239.1.0.0-239.1.0.9" },
    { 100, 10, "239.1.0.0-239.1.0.9" },
    { 101, 1, "239.2.0.0-239.2.0.9" },
    { 200, 3, "239.2.0.0-239.2.0.9" },
    { 201, 1, "239.3.0.0-239.3.0.9" },
    { MAL_FOREVER, 9, "239.3.0.0-239.3.0.9" },
    { 100, 11, NULL },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  MalBlock got;
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalFit fit = fit_of(0, 50, cases[i].until, cases[i].count);
    cr_expect_eq(mal_allocator_find_run(a, &fit, &got), cases[i].in != NULL, "case %zu", i);
    if (cases[i].in != NULL)
      cr_expect(mal_span_contains(span(cases[i].in), mal_span_of_block(got)), "case %zu", i);
  }
  MalFit fit = fit_of(0, 50, 150, 1);
  cr_expect_not(mal_allocator_is_free(a, &fit, block("239.1.0.3")), "the range ends too early");
  cr_expect(mal_allocator_is_free(a, &fit, block("239.2.0.3")));
  cr_expect(mal_allocator_set_until(a, block("239.1.0.0").first, 150));
  cr_expect(mal_allocator_is_free(a, &fit, block("239.1.0.3")));
  cr_expect(mal_allocator_find_run(a, &fit, &got) && mal_span_has(span(ranges[1].span), got.first));
  fit.scope = 1;
  cr_expect_not(mal_allocator_is_free(a, &fit, block("239.2.0.3")), "another scope's");
  cr_expect_not(mal_allocator_find_run(a, &fit, &got));
  mal_allocator_check(a);
}

Test(allocator, adjacent_to_what_is_busy)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.0.0.0-239.255.255.255", MAL_FOREVER } };
  for (MalEthernetPolicy policy = MAL_ETHERNET_DISTINCT; policy <= MAL_ETHERNET_IGNORE; policy++) {
    g_autoptr(MalAllocator) a = allocator(policy, ranges);
    MalFit fit = fit_of(0, 0, 100, 1);
    MalBlock got;
    MalU128 low = 0, high = 0;
    for (uint32_t owner = 1; owner <= 500; owner++) {
      fit.count = owner % 7 + 1;
      cr_assert(mal_allocator_find_run(a, &fit, &got));
      cr_assert(mal_allocator_take(a, got, 0, 100, owner));
      MalU128 end = got.first.value + got.count;
      if (owner > 1)
        cr_assert(got.first.value == high || end == low, "not beside the others");
      low = owner == 1 ? got.first.value : MIN(low, got.first.value);
      high = owner == 1 ? end : MAX(high, end);
    }
    mal_allocator_check(a);
  }
}

Test(allocator, the_same_seed_gives_the_same_and_another_one_another)
{
  MalBlock got[3];
  static const uint64_t seeds[] = { 5, 5, 6 };
  for (size_t i = 0; i < 3; i++) {
    g_autoptr(MalAllocator) a = mal_allocator_new(MAL_ETHERNET_DISTINCT, seeds[i]);
    MalScope scope = scope_of(0);
    cr_assert(mal_allocator_add_range(a, &scope, span("239.0.0.0-239.255.255.255"), 100, NULL));
    MalFit fit = fit_of(0, 0, 100, 1);
    cr_assert(mal_allocator_find_run(a, &fit, &got[i]));
  }
  cr_expect(mal_address_equal(got[0].first, got[1].first));
  cr_expect_not(mal_address_equal(got[0].first, got[2].first));
}

/* One busy address against others that map to its Ethernet group, by policy. */
Test(allocator, ethernet_groups_across_scopes)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.0.0.0-239.255.255.255", MAL_FOREVER },
    { 1, "235.5.0.0-235.5.255.255", MAL_FOREVER },
    { 2, "238.255.0.0-238.255.255.255", MAL_FOREVER },
    { 3, "ff18::1:8000:0-ff18::2:8000:ffff", MAL_FOREVER },
    { 4, "ff15::8000:0-ff15::8000:ffff", MAL_FOREVER },
  };
  static const struct { const char *busy, *asked; unsigned scope; bool shared; } cases[] = {
    { "239.5.0.7", "239.5.0.7", 0, true }, { "239.5.0.7", "239.133.0.7", 0, true },
    { "239.5.0.7", "235.5.0.7", 1, true }, { "239.133.0.7", "235.5.0.7", 1, true },
    { "235.5.0.7", "239.133.0.7", 0, true }, { "239.127.2.1", "238.255.2.1", 2, true },
    { "239.5.0.7", "235.5.0.8", 1, false }, { "239.5.0.7", "239.6.0.7", 0, false },
    { "ff18::1:8000:7", "ff18::2:8000:7", 3, true }, { "ff18::1:8000:7", "ff15::8000:7", 4, true },
    { "ff15::8000:7", "ff18::1:8000:7", 3, true }, { "ff15::8000:7", "ff18::1:8000:8", 3, false },
    { "239.5.1.7", "ff15::8000:107", 4, false },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    for (MalEthernetPolicy policy = MAL_ETHERNET_DISTINCT; policy <= MAL_ETHERNET_IGNORE;
         policy++) {
      g_autoptr(MalAllocator) a = allocator(policy, ranges);
      cr_assert(mal_allocator_take(a, block(cases[i].busy), 10, 20, 1));
      bool same = strcmp(cases[i].busy, cases[i].asked) == 0;
      bool expected = !cases[i].shared || (policy != MAL_ETHERNET_DISTINCT && !same);
      MalFit fit = fit_of(cases[i].scope, 15, 16, 1), before = fit_of(cases[i].scope, 5, 10, 1);
      cr_expect_eq(mal_allocator_is_free(a, &fit, block(cases[i].asked)), expected, "%d case %zu",
                   policy, i);
      cr_expect(mal_allocator_is_free(a, &before, block(cases[i].asked)),
                "at another time, case %zu", i);
      fit.ignore_owner = 1;
      cr_expect(mal_allocator_is_free(a, &fit, block(cases[i].asked)), "renewed, case %zu", i);
      fit.ignore_owner = 0;
      mal_allocator_give(a, block(cases[i].busy), 1);
      cr_expect(mal_allocator_is_free(a, &fit, block(cases[i].asked)), "given back, case %zu", i);
      mal_allocator_check(a);
    }
  }
}

/* A range that comes later heeds what is busy already; one that goes leaves nothing behind. */
Test(allocator, ranges_come_and_go_under_distinct)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.255", 100 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  MalScope scope = scope_of(1);
  MalFit fit = fit_of(1, 0, 50, 1);
  cr_assert(mal_allocator_take(a, block("239.5.0.0-239.5.0.63"), 0, 100, 1));
  cr_assert(mal_allocator_add_range(a, &scope, span("235.5.0.0-235.5.0.255"), 100, NULL));
  cr_expect_not(mal_allocator_is_free(a, &fit, block("235.5.0.63")));
  cr_expect(mal_allocator_is_free(a, &fit, block("235.5.0.64-235.5.0.255")));
  cr_assert(mal_allocator_take(a, block("235.5.0.64"), 0, 100, 2));
  cr_assert(mal_allocator_remove_range(a, block("239.5.0.0").first));
  cr_expect(mal_allocator_is_free(a, &fit, block("235.5.0.0-235.5.0.63")));
  cr_expect_not(mal_allocator_is_free(a, &fit, block("235.5.0.64")));
  cr_expect_eq(mal_allocator_stats(a, -1).busy, 1);
  cr_expect_not(mal_allocator_take(a, block("239.5.0.1"), 0, 9, 3), "in no range");
  cr_expect_not(mal_allocator_take(a, block("235.5.0.255-235.5.1.0"), 0, 9, 3),
                "partly in no range");
  cr_expect_not(mal_allocator_take(a, block("235.5.0.1"), 9, 9, 3), "an empty period");
  mal_allocator_check(a);
}

Test(allocator, prefer_falls_back)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.7", 100 }, { 1, "235.5.0.4-235.5.0.11", 100 },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_PREFER, ranges);
  cr_assert(mal_allocator_take(a, block("239.5.0.0-239.5.0.7"), 0, 100, 1));
  MalFit fit = fit_of(1, 0, 100, 4);
  MalBlock got;
  cr_assert(mal_allocator_find_run(a, &fit, &got));
  cr_expect(mal_address_equal(got.first, block("235.5.0.8").first),
            "the four with groups of their own");
  fit.count = 8;
  cr_assert(mal_allocator_find_run(a, &fit, &got), "all, where it must be");
  cr_assert(mal_allocator_take(a, block("235.5.0.8-235.5.0.11"), 0, 100, 2));
  fit.count = 2;
  cr_assert(mal_allocator_find_run(a, &fit, &got));
  cr_expect(mal_span_contains(span("235.5.0.4-235.5.0.7"), mal_span_of_block(got)));
}

Test(allocator, an_answer_of_several_heeds_its_own_groups)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.99", 100 }, { 0, "239.133.0.50-239.133.0.149", 100 },
  };
  static const struct { MalEthernetPolicy policy; uint32_t most; } cases[] = {
    { MAL_ETHERNET_DISTINCT, 150 }, { MAL_ETHERNET_PREFER, 200 }, { MAL_ETHERNET_IGNORE, 200 },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    g_autoptr(MalAllocator) a = allocator(cases[i].policy, ranges);
    g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
    MalFit fit = fit_of(0, 0, 100, 1000);
    cr_expect_eq(mal_allocator_find(a, &fit, cases[i].most + 1, blocks), 0);
    cr_expect_eq(blocks->len, 0);
    cr_expect_eq(mal_allocator_find(a, &fit, cases[i].most, blocks), cases[i].most);
    cr_expect_eq(blocks->len, 2, "in as few runs as can be");
    cr_expect_eq(mal_allocator_stats(a, -1).segments, 0, "a question takes nothing");
    mal_allocator_check(a);
  }
}

/* Ten addresses, some busy at some times: which runs fit where. */
Test(allocator, advance_reservations)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 1000 } };
  static const Busy busy[] = {
    { "239.5.0.0-239.5.0.3", 100, 200 },
    { "239.5.0.2-239.5.0.5", 300, 400 },
    { "239.5.0.6-239.5.0.9", 50, 500 },
  };
  static const struct { MalTime from, until; uint32_t count; const char *run; } cases[] = {
    { 0, 50, 10, "239.5.0.0-239.5.0.9" },                  /* before all */
    { 0, 51, 7, NULL }, { 0, 51, 6, "239.5.0.0-239.5.0.5" },
    { 200, 300, 6, "239.5.0.0-239.5.0.5" },                /* between */
    { 199, 300, 3, NULL }, { 199, 300, 2, "239.5.0.4-239.5.0.5" },
    { 200, 301, 2, "239.5.0.0-239.5.0.1" }, { 200, 301, 3, NULL },
    { 400, 500, 6, "239.5.0.0-239.5.0.5" }, { 400, 500, 7, NULL },
    { 500, 1000, 10, "239.5.0.0-239.5.0.9" },              /* after all */
    { 500, 1001, 1, NULL },                                /* the range ends */
    { 120, 350, 1, NULL }, { 0, 1000, 1, NULL },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  take_all(a, busy, COUNT(busy));
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalFit fit = fit_of(0, cases[i].from, cases[i].until, cases[i].count);
    MalBlock got;
    cr_expect_eq(mal_allocator_find_run(a, &fit, &got), cases[i].run != NULL, "case %zu", i);
    char text[MAL_SPAN_STRLEN];
    if (cases[i].run != NULL)
      cr_expect_str_eq(mal_block_format(got, text), cases[i].run, "case %zu: %s", i, text);
  }
  mal_allocator_check(a);
}

Test(allocator, wholly_free_addresses_come_first)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 1000 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  cr_assert(mal_allocator_take(a, block("239.5.0.0-239.5.0.8"), 500, 600, 1));
  MalFit fit = fit_of(0, 0, 100, 1);
  MalBlock got;
  cr_assert(mal_allocator_find_run(a, &fit, &got));
  cr_expect(mal_address_equal(got.first, block("239.5.0.9").first), "it can be renewed past 500");
  cr_assert(mal_allocator_take(a, got, 0, 100, 2));
  cr_expect(mal_allocator_find_run(a, &fit, &got));
}

/* Padding is the caller's: [start - pad, end + pad). Neighbours in time may touch, not overlap. */
Test(allocator, padded_periods)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.0", MAL_FOREVER } };
  static const struct { MalTime from, until; bool fits; } cases[] = {
    { 0, 40, true }, { 0, 41, false }, { 260, 300, true }, { 259, 300, false }, { 259, 260, false },
    { MAL_BEGINNING, 40, true }, { 260, MAL_FOREVER, true }, { MAL_BEGINNING, MAL_FOREVER, false },
    { 50, 50, false }, { 60, 50, false },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  cr_assert(mal_allocator_take(a, block("239.5.0.0"), 100 - 60, 200 + 60, 1));
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalFit fit = fit_of(0, cases[i].from, cases[i].until, 1);
    MalBlock got;
    cr_expect_eq(mal_allocator_is_free(a, &fit, block("239.5.0.0")), cases[i].fits, "case %zu", i);
    cr_expect_eq(mal_allocator_find_run(a, &fit, &got), cases[i].fits, "case %zu", i);
  }
}

Test(allocator, longest_until_and_earliest)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.3", 1000 },
    { 1, "235.6.0.0-235.6.0.3", MAL_FOREVER },
    { 2, "238.255.9.0-238.255.9.9", 50 },
  };
  static const Busy busy[] = {
    { "239.5.0.0-239.5.0.1", 100, 200 },
    { "239.5.0.2-239.5.0.3", 300, 400 },
    { "235.6.0.0-235.6.0.3", 10, 20 },
    { "238.255.9.0-238.255.9.9", 0, 45 },
  };
  static const struct {
    unsigned scope;
    uint32_t count;
    MalTime from, longest, length, latest, earliest;
  } cases[] = {
    { 0, 1, 0, 300, 500, 900, 200 },
    { 0, 2, 0, 300, 500, 900, 200 },
    { 0, 3, 0, 100, 500, 900, 400 },
    { 0, 4, 0, 100, 500, 399, MAL_FOREVER },
    { 0, 5, 0, MAL_BEGINNING, 1, 900, MAL_FOREVER },
    { 0, 1, 200, 1000, 600, 900, 201 },
    { 0, 1, 250, 1000, 800, 900, MAL_FOREVER },
    { 0, 3, 150, MAL_BEGINNING, 100, 900, 200 },
    { 0, 1, 1000, MAL_BEGINNING, 1, 2000, MAL_FOREVER },
    { 1, 4, 20, MAL_FOREVER, 99, 30, 21 },
    { 1, 4, 15, MAL_BEGINNING, 99, 30, 20 },
    { 1, 1, 0, 10, 99, 30, 20 },
    { 2, 1, 10, MAL_BEGINNING, 5, 90, 45 },
    { 2, 2, 10, MAL_BEGINNING, 6, 90, MAL_FOREVER },
    { 3, 1, 10, MAL_BEGINNING, 6, 90, MAL_FOREVER },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  take_all(a, busy, COUNT(busy));
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalFit fit = fit_of(cases[i].scope, cases[i].from, cases[i].from + cases[i].length,
                        cases[i].count);
    MalTime longest = mal_allocator_longest_until(a, &fit);
    MalTime earliest = mal_allocator_earliest(a, &fit, cases[i].latest);
    cr_expect_eq(longest, cases[i].longest, "case %zu: %" G_GINT64_FORMAT, i, longest);
    cr_expect_eq(earliest, cases[i].earliest, "case %zu: %" G_GINT64_FORMAT, i, earliest);
  }
  MalFit for_ever = fit_of(1, 15, MAL_FOREVER, 1);
  cr_expect_eq(mal_allocator_earliest(a, &for_ever, 100), 20);
}

Test(allocator, reserves_and_excludes)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.255", 100 },
    { 1, "235.5.0.0-235.5.0.255", 100 },
    { 3, "ff18::8000:0-ff18::8000:ff", 100 },
  };
  static const struct {
    const char *out;
    bool reserved;
    const char *asked;
    unsigned scope;
    bool distinct, ignore;
  } cases[] = {
    { "239.5.0.9", true, "239.5.0.9", 0, false, false },
    { "239.5.0.9", false, "239.5.0.9", 0, false, false },
    { "239.5.0.9", true, "235.5.0.9", 1, false, true },
    { "239.5.0.9", false, "235.5.0.9", 1, true, true },
    { "239.5.0.9", true, "235.5.0.8", 1, true, true },
    { "224.5.0.0-224.5.0.15", true, "239.5.0.15", 0, false, true }, /* in no range */
    { "224.5.0.0-224.5.0.15", false, "239.5.0.15", 0, true, true },
    { "224.4.0.0-224.132.0.0", true, "239.5.0.15", 0, false, true }, /* all groups */
    /* over the end of the groups */
    { "224.127.0.0-224.133.0.20", true, "239.5.0.20", 0, false, true },
    { "224.127.0.0-224.133.0.20", true, "239.5.0.21", 0, true, true },
    { "ff0e::8000:3-ff0e::8000:4", true, "ff18::8000:4", 3, false, true },
    { "ff0e::-ff0f::", true, "ff18::8000:4", 3, false, true },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    for (MalEthernetPolicy policy = MAL_ETHERNET_DISTINCT; policy <= MAL_ETHERNET_IGNORE;
         policy++) {
      g_autoptr(MalAllocator) a = allocator(policy, ranges);
      MalFit fit = fit_of(cases[i].scope, 0, 100, 1);
      bool expected = policy == MAL_ETHERNET_DISTINCT ? cases[i].distinct : cases[i].ignore;
      mal_allocator_block_out(a, span(cases[i].out), cases[i].reserved);
      cr_expect_eq(mal_allocator_is_free(a, &fit, block(cases[i].asked)), expected, "%d case %zu",
                   policy, i);
      mal_allocator_block_out(a, span(cases[i].out), cases[i].reserved);
      mal_allocator_unblock(a, span(cases[i].out), cases[i].reserved);
      cr_expect_eq(mal_allocator_is_free(a, &fit, block(cases[i].asked)), expected,
                   "blocked out twice, case %zu", i);
      mal_allocator_check(a);
      mal_allocator_unblock(a, span(cases[i].out), cases[i].reserved);
      cr_expect(mal_allocator_is_free(a, &fit, block(cases[i].asked)), "unblocked, case %zu", i);
      mal_allocator_check(a);
    }
  }
}

Test(allocator, a_reserve_over_a_live_lease_keeps_the_lease)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 100 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  cr_assert(mal_allocator_take(a, block("239.5.0.2-239.5.0.5"), 0, 50, 1));
  mal_allocator_block_out(a, span("239.5.0.4-239.5.0.7"), true);
  MalFit fit = fit_of(0, 0, 50, 1);
  fit.ignore_owner = 1;
  cr_expect(mal_allocator_is_free(a, &fit, block("239.5.0.2-239.5.0.3")));
  cr_expect_not(mal_allocator_is_free(a, &fit, block("239.5.0.4")),
                "reserved now, for its holder, too");
  mal_allocator_give(a, block("239.5.0.2-239.5.0.5"), 1);
  fit.ignore_owner = 0;
  cr_expect_not(mal_allocator_is_free(a, &fit, block("239.5.0.4")));
  cr_expect(mal_allocator_is_free(a, &fit, block("239.5.0.0-239.5.0.3")));
  cr_expect_eq(mal_allocator_stats(a, 0).busy, 0);
  mal_allocator_check(a);
}

/* "512 free, 509 share an Ethernet group with a live lease" */
Test(allocator, shortage)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.2.255", 100 },
    { 0, "239.6.0.0-239.6.0.99", 50 },
    { 1, "235.5.0.0-235.5.255.255", 100 },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  mal_allocator_block_out(a, span("239.5.0.0-239.5.0.9"), true);
  mal_allocator_block_out(a, span("239.5.0.10-239.5.0.15"), false);
  cr_assert(mal_allocator_take(a, block("239.5.0.16-239.5.0.255"), 0, 100, 1));
  cr_assert(mal_allocator_take(a, block("235.5.1.0-235.5.2.252"), 10, 90, 2));
  MalFit fit = fit_of(0, 0, 60, 4);
  MalBlock got;
  cr_expect_not(mal_allocator_find_run(a, &fit, &got));
  MalShortage s;
  mal_allocator_shortage(a, &fit, &s);
  cr_expect_eq(s.owned, 768 - 6 + 100);
  cr_expect_eq(s.ends_too_early, 100);
  cr_expect_eq(s.reserved, 10);
  cr_expect_eq(s.leased, 240);
  cr_expect_eq(s.free, 512);
  cr_expect_eq(s.free_ethernet, 509);
  cr_expect_eq(s.longest_run, 3);
  fit.until = 10;
  mal_allocator_shortage(a, &fit, &s);
  cr_expect_eq(s.ends_too_early, 0);
  cr_expect_eq(s.free_ethernet, 0);
  cr_expect_eq(s.longest_run, 512);
}

Test(allocator, map)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.99", 100 },
    { 0, "239.6.0.0-239.6.0.99", 50 },
    { 1, "235.5.0.0-235.5.0.99", 50 },
  };
  static const struct {
    const char *first;
    uint64_t size, owned, leased, reserved, excluded;
  } want[] = {
    { "239.5.0.0", 50, 45, 10, 0, 5 },
    { "239.5.0.50", 50, 50, 20, 7, 0 },
    { "239.6.0.0", 50, 50, 0, 0, 0 },
    { "239.6.0.50", 50, 50, 1, 0, 0 },
  };
  for (MalEthernetPolicy policy = MAL_ETHERNET_DISTINCT; policy <= MAL_ETHERNET_IGNORE; policy++) {
    g_autoptr(MalAllocator) a = allocator(policy, ranges);
    mal_allocator_block_out(a, span("239.5.0.0-239.5.0.4"), false);
    mal_allocator_block_out(a, span("239.5.0.90-239.5.0.96"), true);
    cr_assert(mal_allocator_take(a, block("239.5.0.40-239.5.0.69"), 10, 20, 1));
    cr_assert(mal_allocator_take(a, block("239.6.0.99"), 10, 20, 2));
    cr_assert(mal_allocator_take(a, block("239.6.0.0"), 20, 30, 3));
    cr_assert(mal_allocator_take(a, block("235.5.0.0"), 10, 20, 4));
    MalScope scope = scope_of(0);
    MalCell cells[300];
    cr_assert_eq(mal_allocator_map(a, &scope, 15, cells, 4), 4);
    for (size_t i = 0; i < 4; i++) {
      cr_expect(mal_address_equal(cells[i].first, block(want[i].first).first), "cell %zu", i);
      cr_expect_eq(cells[i].size, want[i].size);
      cr_expect_eq(cells[i].owned, want[i].owned);
      cr_expect_eq(cells[i].leased, want[i].leased, "cell %zu", i);
      cr_expect_eq(cells[i].reserved, want[i].reserved, "cell %zu", i);
      cr_expect_eq(cells[i].excluded, want[i].excluded, "cell %zu", i);
    }
    cr_expect_eq(mal_allocator_map(a, &scope, 15, cells, 300), 200, "no more cells than addresses");
    uint64_t leased = 0;
    for (size_t i = 0; i < 200; i++)
      leased += cells[i].leased;
    cr_expect_eq(leased, 31);
    cr_expect_eq(mal_allocator_map(a, &scope, 15, cells, 7), 7);
    scope = scope_of(3);
    cr_expect_eq(mal_allocator_map(a, &scope, 15, cells, 7), 0);
  }
}

/* Expired periods may linger: they are free for whoever comes after them. */
Test(allocator, expired_periods_linger)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 1000 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  cr_assert(mal_allocator_take(a, block("239.5.0.0-239.5.0.9"), 0, 50, 1));
  cr_assert(mal_allocator_take(a, block("239.5.0.0-239.5.0.4"), 300, 400, 2));
  MalFit fit = fit_of(0, 50, 200, 10);
  MalBlock got;
  cr_expect(mal_allocator_find_run(a, &fit, &got));
  fit.until = 301;
  cr_expect_not(mal_allocator_find_run(a, &fit, &got));
  fit.count = 5;
  cr_expect(mal_allocator_find_run(a, &fit, &got) &&
            got.first.value == block("239.5.0.5").first.value);
}

Test(allocator, bounds_of_the_address_space)
{
  g_autoptr(MalAllocator) a = mal_allocator_new(MAL_ETHERNET_DISTINCT, 1);
  MalScope scope = { .index = 0, .group_id_first = 0, .group_id_last = UINT32_MAX };
  scope.span = span("ffff:ffff:ffff:ffff:ffff:ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  cr_assert(mal_allocator_add_range(a, &scope, scope.span, MAL_FOREVER, NULL));
  MalFit fit = fit_of(0, 0, MAL_FOREVER, UINT32_MAX - 256);
  /* The highest 256 are kept free. */
  MalBlock got, last = block("ffff:ffff:ffff:ffff:ffff:ffff:ffff:feff");
  cr_expect(mal_allocator_find_run(a, &fit, &got));
  cr_expect(mal_allocator_is_free(a, &fit, last));
  cr_expect_not(mal_allocator_is_free(a, &fit, mal_block_make(last.first, 2)));
  cr_expect_not(mal_allocator_is_free(a, &fit, mal_block_make(scope.span.last, 2)));
  cr_expect_not(mal_allocator_take(a, mal_block_make(scope.span.last, 2), 0, 1, 1));
  cr_expect(mal_allocator_take(a, last, 0, MAL_FOREVER, 1));
  cr_expect(mal_allocator_take(a, mal_block_make(scope.span.first, 1), 0, MAL_FOREVER, 2));
  cr_expect_not(mal_allocator_is_free(a, &fit, last));
  fit.count = UINT32_MAX - 257;
  cr_expect(mal_allocator_find_run(a, &fit, &got));
  cr_expect(mal_allocator_take(a, got, 0, MAL_FOREVER, 3));
  fit.count = 1;
  cr_expect_not(mal_allocator_find_run(a, &fit, &got));
  mal_allocator_check(a);
  mal_allocator_give(a, last, 1);
  cr_expect(mal_allocator_find_run(a, &fit, &got) && mal_address_equal(got.first, last.first));
  cr_expect(mal_allocator_remove_range(a, scope.span.first));
  mal_allocator_check(a);
}
