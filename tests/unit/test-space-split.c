/* One range becomes two, so that a part of it can be withdrawn without the rest; two become one. */
#include "core/allocator.h"
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

static MalAddress address(const char *text)
{
  MalAddress out;
  cr_assert(mal_address_parse(text, &out, NULL));
  return out;
}

static char *ranges(const Bed *b, MalLevel level)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(b->space, level);
  GString *out = g_string_new(NULL);
  char span[MAL_SPAN_STRLEN];
  for (unsigned i = 0; i < all->len; i++) {
    const MalRange *range = g_ptr_array_index(all, i);
    g_string_append_printf(out, "%s%s", i > 0 ? " " : "", mal_span_format(range->span, span));
  }
  return g_string_free(out, FALSE);
}

static void add(Bed *b, const char *text)
{
  MalSpan span;
  g_autoptr(GError) error = NULL;
  cr_assert(mal_span_parse(text, &span, NULL));
  cr_assert(mal_space_add(b->space, MAL_LEVEL_AVAILABLE, "local", span, MAL_FOREVER, text, "test",
                          &error), "%s", error ? error->message : "");
}

static void named(Bed *b, const char *id, const char *first, uint32_t count)
{
  MalRefusal why;
  MalLeaseRequest r = request_of(b, id, count, 3600);
  MalBlock block = mal_block_make(address(first), count);
  r.named = &block;
  r.n_named = 1;
  cr_assert_eq(ask(b, &r, &why), MAL_ANSWER_GRANTED);
}

static bool lives(const Bed *b, const char *id)
{
  MalLease lease;
  return mal_leases_get(b->leases, id_of(id), &lease);
}

Test(space_split, a_part_goes_and_what_is_leased_in_the_rest_stays)
{
  Bed b = bed_of(SCOPES);
  mal_leases_watch(b.leases, on_change, &b);
  add(&b, "239.255.4.0-239.255.7.255");
  named(&b, "low", "239.255.4.7", 2);
  named(&b, "across", "239.255.5.254", 4);
  named(&b, "high", "239.255.7.9", 1);
  cr_assert(mal_space_split(b.space, address("239.255.7.0"), "test"));
  mal_allocator_check(mal_leases_allocator(b.leases));
  cr_assert_eq(b.changes[MAL_LEASE_REVOKED], 0);
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++) {
    g_autofree char *text = ranges(&b, level);
    cr_assert_str_eq(text, "239.255.4.0-239.255.6.255 239.255.7.0-239.255.7.255");
  }
  cr_assert(mal_space_split(b.space, address("239.255.6.0"), "test"));
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, address("239.255.7.0"), NULL));
  fake_run(b.fake);
  cr_assert_eq(b.changes[MAL_LEASE_REVOKED], 1);
  mal_allocator_check(mal_leases_allocator(b.leases));
  cr_assert(lives(&b, "low") && lives(&b, "across") && !lives(&b, "high"));
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, address("239.255.6.0"), NULL));
  fake_run(b.fake);
  mal_allocator_check(mal_leases_allocator(b.leases));
  cr_assert(lives(&b, "low") && !lives(&b, "across"), "half of it is gone");
  bed_clear(&b);
}

Test(space_split, nothing_is_split_at_a_border_outside_or_of_another_source)
{
  static const char *const at[] = { "239.255.4.0", "239.255.8.0", "239.255.3.255", "239.255.1.8" };
  Bed b = bed_of(SCOPES LAB);
  add(&b, "239.255.4.0-239.255.7.255");
  for (size_t i = 0; i < G_N_ELEMENTS(at); i++)
    cr_assert_not(mal_space_split(b.space, address(at[i]), "test"), "%s", at[i]);
  cr_assert_not(mal_space_split(b.space, address("239.255.4.1"), "tester"));
  g_autofree char *text = ranges(&b, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(text, "239.255.1.0-239.255.1.15 239.255.4.0-239.255.7.255");
  bed_clear(&b);
}

Test(space_split, both_halves_keep_their_end_and_are_leased_from_and_expire)
{
  Bed b = bed_of(SCOPES);
  MalRefusal why;
  add(&b, "239.255.4.0-239.255.4.15");
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, address("239.255.4.0"), MAL_FOREVER,
                                NULL));
  cr_assert(mal_space_split(b.space, address("239.255.4.8"), "test"));
  for (unsigned i = 0; i < 16; i++) {
    g_autofree char *id = g_strdup_printf("one%u", i);
    cr_assert_eq(lease(&b, id, 1, 60, &why), MAL_ANSWER_GRANTED, "%u", i);
  }
  cr_assert_eq(lease(&b, "more", 1, 60, &why), MAL_ANSWER_REFUSED);
  mal_allocator_check(mal_leases_allocator(b.leases));
  MalTime soon = mal_runtime_now(b.rt) + 10;
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, address("239.255.4.8"), soon, NULL));
  mal_space_expire(b.space, soon);
  g_autofree char *text = ranges(&b, MAL_LEVEL_OWNED);
  cr_assert_str_eq(text, "239.255.4.0-239.255.4.7");
  mal_allocator_check(mal_leases_allocator(b.leases));
  bed_clear(&b);
}

static void acquire(const MalScope *scope, MalSpan span, uint64_t count, MalTime until, void *data)
{
  (void)scope, (void)span, (void)count, (void)until, (void)data;
}

Test(space_split, layer_2_loses_a_part_of_what_it_owned_and_has_the_rest_for_longer)
{
  Bed b = bed_of(SCOPES);
  MalTime until = mal_runtime_now(b.rt) + 7200;
  MalSpan span;
  mal_leases_watch(b.leases, on_change, &b);
  add(&b, "239.255.4.0-239.255.7.255");
  cr_assert_not(mal_space_split_owned(b.space, address("239.255.5.0"), "upper", "test"), "mirror");
  mal_space_set_acquire(b.space, acquire, NULL, NULL);
  cr_assert(mal_span_parse("239.255.4.0-239.255.5.255", &span, NULL));
  cr_assert(mal_space_add(b.space, MAL_LEVEL_OWNED, "local", span, until, "whole", "test", NULL));
  named(&b, "low", "239.255.4.7", 2);
  named(&b, "high", "239.255.5.1", 2);
  cr_assert_not(mal_space_split_owned(b.space, address("239.255.5.0"), "upper", "tester"));
  cr_assert_not(mal_space_split_owned(b.space, address("239.255.4.0"), "upper", "test"));
  cr_assert_not(mal_space_split_owned(b.space, address("239.255.6.0"), "upper", "test"));
  cr_assert(mal_space_split_owned(b.space, address("239.255.5.0"), "upper", "test"));
  mal_allocator_check(mal_leases_allocator(b.leases));
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_OWNED, address("239.255.4.0"), NULL));
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_OWNED, address("239.255.5.0"), until + 60,
                                NULL));
  fake_run(b.fake);
  mal_allocator_check(mal_leases_allocator(b.leases));
  const MalRange *rest = mal_space_containing(b.space, MAL_LEVEL_OWNED, address("239.255.5.1"));
  cr_assert_str_eq(rest->name, "upper");
  cr_assert_eq(rest->until, until + 60);
  g_autofree char *owned = ranges(&b, MAL_LEVEL_OWNED);
  g_autofree char *available = ranges(&b, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(owned, "239.255.5.0-239.255.5.255");
  cr_assert_str_eq(available, "239.255.4.0-239.255.7.255");
  cr_assert(!lives(&b, "low") && lives(&b, "high"));
  bed_clear(&b);
}

/* ---- joined ---------------------------------------------------------------------------------- */

typedef struct {
  const char *span, *source;
  MalTime later;                /* than the others end */
} Part;

static void own(Bed *b, MalTime until, const Part *part)
{
  MalSpan span;
  g_autoptr(GError) error = NULL;
  cr_assert(mal_span_parse(part->span, &span, NULL));
  cr_assert(mal_space_add(b->space, MAL_LEVEL_OWNED, "local", span, until + part->later,
                          part->span, part->source, &error), "%s", error ? error->message : "");
}

Test(space_split, what_layer_2_has_again_is_one_range_and_a_lease_goes_across)
{
  static const Part parts[] = { { "239.255.4.0-239.255.4.255", "test", 0 },
                                { "239.255.5.0-239.255.5.255", "test", 0 } };
  Bed b = bed_of(SCOPES);
  MalTime until = mal_runtime_now(b.rt) + 7200;
  MalRefusal why;
  add(&b, "239.255.4.0-239.255.7.255");
  mal_space_set_acquire(b.space, acquire, NULL, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
    own(&b, until, &parts[i]);
  named(&b, "low", "239.255.4.7", 2);
  named(&b, "high", "239.255.5.250", 2);
  MalLeaseRequest r = request_of(&b, "run", 300, 3600);
  MalBlock block = mal_block_make(address("239.255.4.16"), 300);
  r.named = &block;
  r.n_named = 1;
  cr_assert(mal_space_join_owned(b.space, address("239.255.5.0"), "test"));
  mal_allocator_check(mal_leases_allocator(b.leases));
  g_autofree char *owned = ranges(&b, MAL_LEVEL_OWNED);
  cr_expect_str_eq(owned, "239.255.4.0-239.255.5.255");
  uint64_t busy, usable;
  cr_assert(mal_allocator_range_use(mal_leases_allocator(b.leases), address("239.255.4.0"), &busy,
                                    &usable));
  cr_expect(busy == 4 && usable == 512, "%u of %u", (unsigned)busy, (unsigned)usable);
  cr_expect_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED);
  mal_allocator_check(mal_leases_allocator(b.leases));
  cr_assert(mal_space_split_owned(b.space, address("239.255.5.0"), "upper", "test"));
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_OWNED, address("239.255.5.0"), NULL));
  mal_allocator_check(mal_leases_allocator(b.leases));
  fake_run(b.fake);
  cr_expect(lives(&b, "low") && !lives(&b, "high") && !lives(&b, "run"));
  bed_clear(&b);
}

Test(space_split, what_is_not_joined)
{
  static const struct {
    const char *why, *at;
    Part parts[2];
  } rows[] = {
    { "another source", "239.255.5.0",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.0-239.255.5.255", "other", 0 } } },
    { "others' both", "239.255.5.0",
      { { "239.255.4.0-239.255.4.255", "a", 0 }, { "239.255.5.0-239.255.5.255", "a", 0 } } },
    { "another end", "239.255.5.0",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.0-239.255.5.255", "test", 1 } } },
    { "a gap", "239.255.5.1",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.1-239.255.5.255", "test", 0 } } },
    { "nothing before", "239.255.4.0",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.0-239.255.5.255", "test", 0 } } },
    { "in the middle", "239.255.4.9",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.0-239.255.5.255", "test", 0 } } },
    { "nothing there", "239.255.6.0",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.0-239.255.5.255", "test", 0 } } },
    { "the first address there is", "0.0.0.0",
      { { "239.255.4.0-239.255.4.255", "test", 0 }, { "239.255.5.0-239.255.5.255", "test", 0 } } },
    { "two that are available", "239.255.8.0",
      { { "239.255.7.0-239.255.7.255", "test", 0 }, { "239.255.8.0-239.255.8.255", "test", 0 } } },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES);
    MalTime until = mal_runtime_now(b.rt) + 7200;
    add(&b, "239.255.4.0-239.255.7.255");
    add(&b, "239.255.8.0-239.255.9.255");
    cr_expect_not(mal_space_join_owned(b.space, address("239.255.8.0"), "test"), "a mirror");
    mal_space_set_acquire(b.space, acquire, NULL, NULL);
    for (size_t k = 0; k < 2; k++)
      own(&b, until, &rows[i].parts[k]);
    cr_expect_not(mal_space_join_owned(b.space, address(rows[i].at), "test"), "%s", rows[i].why);
    mal_allocator_check(mal_leases_allocator(b.leases));
    bed_clear(&b);
  }
}

/* One scope begins where the other one ends. */
Test(space_split, neighbours_of_two_scopes_are_not_joined)
{
  Bed b = bed_of(SCOPES "[scope below]\nfamily=ipv4\nfirst=239.254.0.0\nlast=239.254.255.255\n");
  static const char *const scopes[] = { "below", "local" };
  static const char *const spans[] = { "239.254.255.0-239.254.255.255",
                                       "239.255.0.0-239.255.0.255" };
  mal_space_set_acquire(b.space, acquire, NULL, NULL);
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++)
    for (size_t i = 0; i < G_N_ELEMENTS(scopes); i++) {
      MalSpan span;
      g_autoptr(GError) error = NULL;
      cr_assert(mal_span_parse(spans[i], &span, NULL));
      cr_assert(mal_space_add(b.space, level, scopes[i], span, MAL_FOREVER, spans[i], "test",
                              &error), "%s", error ? error->message : "");
    }
  cr_expect_not(mal_space_join_owned(b.space, address("239.255.0.0"), "test"));
  mal_allocator_check(mal_leases_allocator(b.leases));
  bed_clear(&b);
}
