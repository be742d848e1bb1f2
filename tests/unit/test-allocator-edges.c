/* The allocator at its edges: what can't be, numbers that don't fit, much at once. */
#include "core/allocator-index.h"
#include "tests/unit/allocator-bed.h"

Test(allocator_edges, what_can_not_be_asked_is_answered_all_the_same)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 1000 } };
  static const MalFit cases[] = {
    { .count = 0, .until = 10 },
    { .count = 1, .from = 10, .until = 10 },
    { .count = 2, .from = 11, .until = 10 },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  MalBlock got, none = mal_block_make(block("239.5.0.1").first, 0);
  MalFit fit = fit_of(0, 0, 10, 1);
  uint64_t busy, usable;
  for (size_t i = 0; i < COUNT(cases); i++) {
    cr_expect_not(mal_allocator_find_run(a, &cases[i], &got), "case %zu", i);
    cr_expect_eq(mal_allocator_find(a, &cases[i], 0, blocks), 0, "case %zu", i);
    cr_expect_eq(mal_allocator_earliest(a, &cases[i], 500), MAL_FOREVER, "case %zu", i);
  }
  cr_expect_eq(mal_allocator_longest_until(a, &cases[0]), MAL_BEGINNING);
  cr_expect_eq(blocks->len, 0);
  cr_expect_not(mal_allocator_is_free(a, &fit, none));
  cr_expect_not(mal_allocator_take(a, none, 0, 10, 1));
  mal_allocator_give(a, none, 1);
  cr_assert(mal_allocator_take(a, block("239.5.0.1"), 0, 10, 1));
  cr_expect_not(mal_allocator_retake(a, block("239.5.0.1"), 10, 10, 1), "an empty period: given");
  cr_expect(mal_allocator_is_free(a, &fit, block("239.5.0.1")));
  cr_expect_not(mal_allocator_retake(a, block("239.9.0.1"), 0, 10, 1), "in no range");
  cr_assert(mal_allocator_range_use(a, block("239.5.0.0").first, &busy, &usable));
  cr_expect(busy == 0 && usable == 10);
  cr_expect_not(mal_allocator_range_use(a, block("239.5.0.1").first, &busy, &usable));
  cr_expect_not(mal_allocator_range_use(a, block("239.9.0.0").first, &busy, &usable));
  mal_allocator_check(a);
  mal_allocator_free(NULL);
}

Test(allocator_edges, what_is_not_blocked_out_can_not_be_unblocked)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 1000 } };
  static const struct {
    const char *span;
    bool reserved;
  } cases[] = {
    { "239.5.0.2-239.5.0.4", false },
    { "239.5.0.2-239.5.0.3", true },
    { "239.5.0.3-239.5.0.4", true },
    { "239.5.0.8", true },
  };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  MalFit fit = fit_of(0, 0, 10, 1);
  mal_allocator_block_out(a, span("239.5.0.2-239.5.0.4"), true);
  for (size_t i = 0; i < COUNT(cases); i++) {
    mal_allocator_unblock(a, span(cases[i].span), cases[i].reserved);
    for (uint32_t k = 2; k <= 4; k++)
      cr_expect_not(
          mal_allocator_is_free(a, &fit, mal_block_make(mal_address_ipv4(0xef050000 + k), 1)),
          "case %zu", i);
    mal_allocator_check(a);
  }
  mal_allocator_unblock(a, span("239.5.0.2-239.5.0.4"), true);
  cr_expect(mal_allocator_is_free(a, &fit, block("239.5.0.2-239.5.0.4")));
}

/* Reserves have numbers of their own, which may be those of leases: a renewal looks through its own
   lease only. */
Test(allocator_edges, a_renewal_does_not_ignore_a_reserve_of_its_number)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.3", 1000 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  MalShortage s;
  mal_allocator_block_out(a, span("224.5.0.0-224.5.0.1"),
                          true); /* number 1; it has no range, but its groups */
  cr_assert(mal_allocator_take(a, block("239.5.0.2"), 0, 100, 1));
  cr_assert(mal_allocator_take(a, block("239.5.0.3"), 0, 60, 2));
  MalFit fit = { .scope = 0, .from = 10, .until = 20, .count = 1, .ignore_owner = 1 };
  cr_expect_not(mal_allocator_is_free(a, &fit, block("239.5.0.0")));
  cr_expect(mal_allocator_is_free(a, &fit, block("239.5.0.2")));
  fit.beside_reserves = true;
  cr_expect(mal_allocator_is_free(a, &fit, block("239.5.0.0")), "only its group is the reserve's");
  cr_expect_not(mal_allocator_is_free(a, &fit, block("239.5.0.3")), "another owner's");
  fit.beside_reserves = false;
  mal_allocator_shortage(a, &fit, &s);
  cr_expect_eq(s.leased, 1);
  cr_expect_eq(s.free_ethernet, 2);
  cr_expect_eq(mal_allocator_earliest(a, &fit, 500), 11, "its own address is there");
  fit.count = 2;
  cr_expect_eq(mal_allocator_earliest(a, &fit, 500), 60);
  fit.count = 3;
  cr_expect_eq(mal_allocator_earliest(a, &fit, 500), MAL_FOREVER);
  mal_allocator_give(a, block("239.5.0.2"), 1);
  cr_assert(mal_allocator_take(a, block("239.5.0.2"), 0, 70, 3));
  fit.count = 1;
  cr_expect_eq(mal_allocator_earliest(a, &fit, 500), 60, "neither of the reserve's");
}

/* All that is busy is the renewed lease's own. */
Test(allocator_edges, a_renewal_that_is_alone_can_begin_at_once)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.4", 1000 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  for (uint32_t i = 0; i < 5; i++)
    cr_assert(
        mal_allocator_take(a, mal_block_make(mal_address_ipv4(0xef050000 + i), 1), 0, 100 + i, 7));
  MalFit fit = { .scope = 0, .from = 10, .until = 20, .count = 1, .ignore_owner = 7 };
  cr_expect_eq(mal_allocator_earliest(a, &fit, 500), 11);
  fit.ignore_owner = 8;
  cr_expect_eq(mal_allocator_earliest(a, &fit, 500), 100);
}

/* Sums that would leave time end there. */
Test(allocator_edges, earliest_near_the_end_of_time)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.1", MAL_FOREVER },
    { 1, "235.6.0.0-235.6.0.1", MAL_FOREVER },
  };
  static const Busy busy[] = { { "239.5.0.0-239.5.0.1", 0, 20 },
                               { "235.6.0.0-235.6.0.1", 0, MAL_FOREVER } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  take_all(a, busy, COUNT(busy));
  for (uint32_t count = 1; count <= 2; count++) {
    MalFit fit = fit_of(0, 15, MAL_FOREVER - 1, count), never = fit_of(1, 15, 30, count);
    cr_expect_eq(mal_allocator_earliest(a, &fit, 500), 20, "%u", count);
    cr_expect_eq(mal_allocator_earliest(a, &never, MAL_FOREVER), MAL_FOREVER, "%u", count);
  }
}

/* A range over the border of two planes, cells that do not divide it, periods before and after the
   instant. */
Test(allocator_edges, map_over_a_border_in_uneven_cells)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.127.255.251-239.128.1.4", 100 } };
  static const uint64_t size[4] = { 66, 66, 66, 68 };
  for (MalEthernetPolicy policy = MAL_ETHERNET_DISTINCT; policy <= MAL_ETHERNET_IGNORE; policy++) {
    g_autoptr(MalAllocator) a = allocator(policy, ranges);
    MalScope scope = scope_of(0);
    MalCell cells[10];
    cr_assert(mal_allocator_take(a, block("239.127.255.253"), 10, 20, 1));
    cr_assert(mal_allocator_take(a, block("239.127.255.254"), 0, 5, 2));
    cr_assert(mal_allocator_take(a, block("239.128.1.2-239.128.1.4"), 10, 20, 3));
    cr_assert_eq(mal_allocator_map(a, &scope, 15, cells, 4), 4);
    uint64_t sum = 0;
    for (size_t i = 0; i < 4; i++)
      sum += cells[i].size;
    cr_expect_eq(sum, 266);
    cr_expect(cells[0].size >= size[0] && cells[3].size <= size[3]);
    cr_expect(cells[0].owned == 5 && cells[0].leased == 1 &&
              cells[0].excluded == cells[0].size - 5);
    cr_expect(cells[3].owned == 5 && cells[3].leased == 3);
  }
}

/* Each address is in the cell that its place says, where cells are of two and three. */
Test(allocator_edges, map_of_ten_in_four)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.9", 100 } };
  static const size_t cell_of[10] = { 0, 0, 1, 1, 1, 2, 2, 3, 3, 3 };
  for (uint32_t i = 0; i < 10; i++) {
    g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_IGNORE, ranges);
    MalScope scope = scope_of(0);
    MalCell cells[4];
    cr_assert(mal_allocator_take(a, mal_block_make(mal_address_ipv4(0xef050000 + i), 1), 0, 20, 1));
    cr_assert_eq(mal_allocator_map(a, &scope, 15, cells, 4), 4);
    for (size_t k = 0; k < 4; k++)
      cr_expect_eq(cells[k].leased, k == cell_of[i], "address %u, cell %zu", i, k);
  }
}

/* More keys than the short form of a run can say. */
Test(allocator_edges, runs_of_a_whole_prefix)
{
  g_autoptr(MalAllocator) a = mal_allocator_new(MAL_ETHERNET_IGNORE, 1);
  MalScope scope = scope_of(3);
  scope.group_id_first = 0;
  scope.group_id_last = UINT32_MAX;
  cr_assert(mal_allocator_add_range(a, &scope, span("ff18::-ff18::ffff:ffff"), MAL_FOREVER, NULL));
  MalFit fit = fit_of(3, 0, 100, 1);
  MalShortage s;
  mal_allocator_shortage(a, &fit, &s);
  cr_expect_eq(s.longest_run, UINT32_MAX, "one more than it can say");
  /* Ten leases far from each other, at two times: what is free at one of them is one run. */
  for (uint32_t i = 0; i < 10; i++) {
    MalBlock at = mal_block_make(
        mal_address_make(MAL_IPV6, span("ff18::1000:0").first.value + i * 0x4000000), 1);
    cr_assert(mal_allocator_take(a, at, i % 2 == 0 ? 0 : 200, i % 2 == 0 ? 100 : 300, i + 1));
  }
  static const struct {
    MalTime from, until;
    uint32_t longest;
  } cases[] = {
    { 0, 50, 0xffffffff - 0x30000000 },
    { 200, 250, 0xffffffff - 0x34000000 },
    { 0, 250, 0xffffffff - 0x34000000 },
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    MalBlock got;
    fit = fit_of(3, cases[i].from, cases[i].until, 1);
    mal_allocator_shortage(a, &fit, &s);
    cr_expect_eq(s.longest_run, cases[i].longest, "case %zu: %x", i, s.longest_run);
    for (uint32_t n = 0x7000000; n < 0x8000000; n += 0x0fffffff) {
      fit.count = n;
      cr_expect(mal_allocator_find_run(a, &fit, &got) && mal_allocator_is_free(a, &fit, got),
                "case %zu", i);
    }
    fit.count = s.longest_run;
    cr_expect(mal_allocator_find_run(a, &fit, &got) && mal_allocator_is_free(a, &fit, got),
              "case %zu", i);
    fit.count++;
    cr_expect_not(mal_allocator_find_run(a, &fit, &got), "case %zu", i);
  }
  mal_allocator_check(a);
}

/* So many that the scratch of one change is not kept. */
Test(allocator_edges, a_range_goes_with_thousands_of_leases)
{
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.31.255", 1000000 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  for (uint32_t i = 0; i < 8192; i++)
    cr_assert(mal_allocator_take(a, mal_block_make(mal_address_ipv4(0xef050000 + i), 1), 0, i + 1,
                                 i + 1));
  cr_expect_eq(mal_allocator_stats(a, 0).segments, 8192);
  cr_expect(mal_allocator_remove_range(a, block("239.5.0.0").first));
  cr_expect_eq(mal_allocator_stats(a, -1).segments, 0);
  MalScope scope = scope_of(0);
  cr_assert(mal_allocator_add_range(a, &scope, span(ranges[0].span), 100, NULL));
  MalFit fit = fit_of(0, 0, 100, 8192);
  cr_expect(mal_allocator_is_free(a, &fit, block(ranges[0].span)));
  mal_allocator_check(a);
}

/* ---- the tree alone -------------------------------------------------------------------------- */

/* A plane with a number that the short form of a period has no room for is kept in full. */
Test(allocator_index, planes_beyond_the_short_form)
{
  static const uint32_t planes[] = { MAL_SHORT_PLANE - 1, MAL_SHORT_PLANE, MAL_SHORT_PLANE + 1,
                                     MAL_PLANE_RESERVED - 1 };
  for (size_t i = 0; i < COUNT(planes); i++) {
    MalIndex ix;
    mal_index_init(&ix, 1);
    mal_index_take(&ix, (MalKeys){ 5, 6 }, (MalBusy){ 1, 100, 1, planes[i] });
    cr_expect(mal_index_has(&ix, 5, planes[i]), "plane %u", planes[i]);
    cr_expect_not(mal_index_has(&ix, 5, MAL_PLANE_RESERVED), "plane %u", planes[i]);
    cr_expect_eq(mal_index_give(&ix, (MalKeys){ 5, 6 }, 1, planes[i]), 2);
    mal_index_check(&ix);
    mal_index_clear(&ix);
  }
}

/* What the search for runs finds where it need not have been asked: a gap would do. */
Test(allocator_index, a_run_is_found_where_a_gap_is)
{
  MalIndex ix;
  MalQuery q = { .within = { 0, 999 }, .from = 10, .until = 20 };
  uint32_t first;
  mal_index_init(&ix, 1);
  for (uint32_t i = 0; i < 40; i++)
    mal_index_take(&ix, (MalKeys){ i * 10, i * 10 + (i == 20 ? 0 : 8) },
                   (MalBusy){ 0, 100, i + 1, 0 });
  for (MalTime at = 0; at <= 200; at += 200) {
    mal_index_recentre(&ix, at);
    cr_expect(mal_index_find_run(&ix, &q, 5, &first) && first == 201, "%u", first);
  }
  cr_expect(mal_index_find_run(&ix, &q, 600, &first) && first == 399, "%u", first);
  cr_expect_not(mal_index_find_run(&ix, &q, 602, &first));
  mal_index_clear(&ix);
}

/* What is busy is counted on the side where it lies, by addresses or by Ethernet groups. */
Test(allocator_edges, a_range_is_split_where_it_goes_on_and_nowhere_else)
{
  static const MalEthernetPolicy policies[] = { MAL_ETHERNET_DISTINCT, MAL_ETHERNET_PREFER,
                                                MAL_ETHERNET_IGNORE };
  static const Range ranges[MAX_RANGES] = { { 0, "239.5.0.0-239.5.0.15", 1000 } };
  static const Busy busy[] = { { "239.5.0.1", 0, 100 }, { "239.5.0.6-239.5.0.11", 0, 100 } };
  static const struct {
    const char *at;
    bool split;
  } rows[] = {
    { "239.4.255.255", false }, { "239.5.0.16", false }, { "239.5.0.0", false },
    { "239.5.0.8", true },      { "239.5.0.8", false },
  };
  for (size_t p = 0; p < COUNT(policies); p++) {
    g_autoptr(MalAllocator) a = allocator(policies[p], ranges);
    uint64_t low, high, usable;
    take_all(a, busy, COUNT(busy));
    for (size_t i = 0; i < COUNT(rows); i++)
      cr_expect_eq(mal_allocator_split_range(a, span(rows[i].at).first), rows[i].split,
                   "policy %zu, row %zu", p, i);
    mal_allocator_check(a);
    cr_assert(mal_allocator_range_use(a, span("239.5.0.0").first, &low, &usable) && usable == 8);
    cr_assert(mal_allocator_range_use(a, span("239.5.0.8").first, &high, &usable) && usable == 8);
    cr_expect(low == 3 && high == 4, "policy %zu: %u and %u", p, (unsigned)low, (unsigned)high);
  }
}

/* What is busy is counted in the smaller part, whichever that is, and whole again when joined. */
Test(allocator_edges, a_range_that_was_split_is_joined_and_nothing_else)
{
  static const Range ranges[MAX_RANGES] = {
    { 0, "239.5.0.0-239.5.0.15", 1000 },
    { 0, "239.5.0.16-239.5.0.31", 1001 },
    { 2, "238.255.1.0-238.255.1.15", 1000 },
  };
  static const Busy busy[] = { { "239.5.0.1", 0, 100 }, { "239.5.0.6-239.5.0.11", 0, 100 } };
  static const struct {
    const char *why, *at;
    uint64_t low, high;
  } parts[] = {
    { "a small lower part", "239.5.0.4", 1, 6 },
    { "two halves", "239.5.0.8", 3, 4 },
    { "a small upper part", "239.5.0.10", 5, 2 },
  };
  static const struct {
    const char *why, *at;
  } rows[] = {
    { "nothing is there", "239.9.0.0" },      { "nothing begins there", "239.5.0.4" },
    { "nothing before it", "239.5.0.0" },     { "another end", "239.5.0.16" },
    { "nothing before its scope", "238.255.1.0" },
  };
  for (size_t i = 0; i < COUNT(parts); i++) {
    g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
    MalAddress at = span(parts[i].at).first;
    uint64_t low, high, usable, more;
    take_all(a, busy, COUNT(busy));
    cr_assert(mal_allocator_split_range(a, at), "%s", parts[i].why);
    mal_allocator_check(a);
    cr_assert(mal_allocator_range_use(a, span("239.5.0.0").first, &low, &usable));
    cr_assert(mal_allocator_range_use(a, at, &high, &more));
    cr_expect(low == parts[i].low && high == parts[i].high && usable + more == 16, "%s: %u and %u",
              parts[i].why, (unsigned)low, (unsigned)high);
    cr_assert(mal_allocator_join_ranges(a, at), "%s", parts[i].why);
    mal_allocator_check(a);
    cr_assert(mal_allocator_range_use(a, span("239.5.0.0").first, &low, &usable));
    cr_expect(low == 7 && usable == 16, "%s: %u", parts[i].why, (unsigned)low);
    for (size_t k = 0; k < COUNT(rows); k++)
      cr_expect_not(mal_allocator_join_ranges(a, span(rows[k].at).first), "%s", rows[k].why);
    mal_allocator_check(a);
  }
}

/* Neighbours that are of two scopes. */
Test(allocator_edges, ranges_of_two_scopes_are_not_joined)
{
  static const Range ranges[MAX_RANGES] = { { 2, "238.255.255.0-238.255.255.255", 1000 },
                                            { 0, "239.0.0.0-239.0.1.255", 1000 } };
  g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_DISTINCT, ranges);
  cr_expect_not(mal_allocator_join_ranges(a, span("239.0.0.0").first));
  mal_allocator_check(a);
}

/* What is free again is cut anew there, and the other prefixes of the range are left alone. */
Test(allocator_edges, what_is_unblocked_in_one_prefix_of_several)
{
  static const Range ranges[MAX_RANGES] = { { 3, "ff18::-ff18::2:ffff:ffff", 1000 } };
  static const char *const rows[] = { "ff18::8000:5-ff18::8000:9", "ff18::1:8000:0",
                                      "ff18::2:8fff:ffff", "ff18::8fff:fff0-ff18::2:8000:5" };
  for (size_t i = 0; i < COUNT(rows); i++) {
    g_autoptr(MalAllocator) a = allocator(MAL_ETHERNET_IGNORE, ranges);
    MalSpan out = span(rows[i]);
    MalBlock first = mal_block_make(out.first, 1), last = mal_block_make(out.last, 1);
    MalFit fit = fit_of(3, 0, 10, 1);
    uint64_t busy, usable, again;
    cr_assert(mal_allocator_range_use(a, span("ff18::").first, &busy, &usable));
    mal_allocator_block_out(a, out, false);
    cr_expect(!mal_allocator_is_free(a, &fit, first) && !mal_allocator_is_free(a, &fit, last));
    mal_allocator_unblock(a, out, false);
    mal_allocator_check(a);
    cr_expect(mal_allocator_is_free(a, &fit, first) && mal_allocator_is_free(a, &fit, last), "%s",
              rows[i]);
    cr_assert(mal_allocator_range_use(a, span("ff18::").first, &busy, &again));
    cr_expect_eq(again, usable, "%s", rows[i]);
  }
}
