/* What is in use in the domain, as layer 3 hears it (RFC 2908). */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define RESERVED                                                                                   \
  SCOPES "[range lab]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.255\n"                       \
         "[reserve cam]\nscope=local\naddresses=239.255.1.128-239.255.1.131\n"

/* "first-last used until", until relative to NOW, "-" for no end; one a line. */
typedef struct {
  GString *text;
  MalTime now;
} Said;

static void hear(MalSpan span, uint64_t used, MalTime until, void *data)
{
  Said *said = data;
  char text[MAL_SPAN_STRLEN];
  g_string_append_printf(said->text, "%s %u ", mal_span_format(span, text), (unsigned)used);
  if (until == MAL_FOREVER)
    g_string_append(said->text, "-\n");
  else
    g_string_append_printf(said->text, "%d\n", (int)(until - said->now));
}

static MalSpan span_of(const char *text)
{
  MalSpan span = { 0 };
  cr_assert(mal_span_parse(text, &span, NULL), "%s", text);
  return span;
}

static void expect(Bed *b, const char *span, const char *expected)
{
  g_autoptr(GString) text = g_string_new(NULL);
  Said said = { text, mal_runtime_now(b->rt) };
  mal_space_usage(b->space, mal_scope_set_find(mal_leases_scopes(b->leases), "local"),
                  span_of(span), hear, &said);
  cr_assert_str_eq(text->str, expected, "%s: got\n%sinstead of\n%s", span, text->str, expected);
}

static void lease_named(Bed *b, const char *id, const char *first, uint32_t count, int64_t lifetime)
{
  MalBlock block = mal_block_make(span_of(first).first, count);
  MalLeaseRequest r = request_of(b, id, count, lifetime);
  r.named = &block;
  r.n_named = 1;
  cr_assert_eq(ask(b, &r, NULL), MAL_ANSWER_GRANTED, "%s", id);
}

/* Neighbours are one run until the latest end; reserves are in use for ever; the rest is not. */
Test(space_usage, without_a_layer_2_leases_in_runs_and_reserves)
{
  Bed b = bed_of(RESERVED);
  expect(&b, "239.255.1.0-239.255.1.127", "");
  expect(&b, "239.255.1.0-239.255.1.255", "239.255.1.128-239.255.1.131 4 -\n");
  lease_named(&b, "a", "239.255.1.16", 2, 600);
  lease_named(&b, "b", "239.255.1.18", 1, 900);
  lease_named(&b, "c", "239.255.1.19", 1, 300);
  lease_named(&b, "d", "239.255.1.40", 8, 100);
  expect(&b, "239.255.1.0-239.255.1.127",
         "239.255.1.16-239.255.1.19 4 900\n239.255.1.40-239.255.1.47 8 100\n");
  expect(&b, "239.255.1.18-239.255.1.43",
         "239.255.1.18-239.255.1.19 2 900\n239.255.1.40-239.255.1.43 4 100\n");
  expect(&b, "239.255.1.130-239.255.2.0", "239.255.1.130-239.255.1.131 2 -\n");
  fake_advance(b.fake, 200);
  expire(&b);
  expect(&b, "239.255.1.0-239.255.1.127", "239.255.1.16-239.255.1.19 4 700\n");
  bed_clear(&b);
}

/* Layer 2 may say what it knows in any order, twice, and of more than was asked. */
static void layer2(const MalScope *scope, MalSpan span, MalUsageFunc func, void *to, void *data)
{
  MalTime now = *(const MalTime *)data;
  cr_assert_str_eq(scope->id, "local");
  (void)span;
  func(span_of("239.255.1.64-239.255.1.95"), 32, now + 500, to);
  func(span_of("239.255.1.0-239.255.1.31"), 32, now + 100, to);
  func(span_of("239.255.1.24-239.255.1.47"), 10, now + 300, to);
  func(span_of("239.255.1.40-239.255.1.43"), 4, now + 400, to);
  func(span_of("239.255.1.48-239.255.1.63"), 0, now + 900, to);
  func(span_of("239.255.3.0-239.255.3.255"), 256, now + 900, to);
}

Test(space_usage, with_a_layer_2_what_it_says_in_order_and_disjoint)
{
  Bed b = bed_of(RESERVED);
  MalTime now = mal_runtime_now(b.rt);
  lease_named(&b, "a", "239.255.1.200", 2, 600);
  mal_space_set_usage(b.space, layer2, &now);
  expect(&b, "239.255.1.0-239.255.1.255",
         "239.255.1.0-239.255.1.31 32 300\n239.255.1.32-239.255.1.47 10 400\n"
         "239.255.1.64-239.255.1.95 32 500\n239.255.1.128-239.255.1.131 4 -\n");
  expect(&b, "239.255.1.16-239.255.1.35",
         "239.255.1.16-239.255.1.31 16 300\n239.255.1.32-239.255.1.35 4 300\n");
  expect(&b, "239.255.2.0-239.255.2.255", "");
  bed_clear(&b);
}

/* An address that has two leases, one after the other, is in use until the later one's end. */
Test(space_usage, leases_of_one_address_one_after_the_other)
{
  Bed b = bed_of(RESERVED);
  MalTime now = mal_runtime_now(b.rt);
  MalBlock first = mal_block_make(span_of("239.255.1.16").first, 1);
  lease_named(&b, "a", "239.255.1.16", 4, 600);
  MalLeaseRequest r = request_of(&b, "b", 1, 300);
  r.start = r.max_start = now + 1000;
  r.named = &first;
  r.n_named = 1;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  expect(&b, "239.255.1.0-239.255.1.127", "239.255.1.16-239.255.1.19 4 1300\n");
  bed_clear(&b);
}

Test(space_usage, a_lease_of_which_a_part_lies_elsewhere)
{
  Bed b = bed_of(RESERVED);
  MalBlock blocks[] = { mal_block_make(span_of("239.255.1.16").first, 2),
                        mal_block_make(span_of("239.255.1.40").first, 1) };
  MalLeaseRequest r = request_of(&b, "a", 3, 600);
  r.named = blocks;
  r.n_named = 2;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  expect(&b, "239.255.1.0-239.255.1.31", "239.255.1.16-239.255.1.17 2 600\n");
  expect(&b, "239.255.1.32-239.255.1.63", "239.255.1.40 1 600\n");
  bed_clear(&b);
}

/* The same where nothing comes behind. */
#define TOP "ffff:ffff:ffff:ffff:ffff:ffff:ffff:"

Test(space_usage, leases_of_the_last_address_of_all)
{
  Bed b = bed_of("[scope local]\nfamily=ipv6\nfirst=" TOP "0\nlast=" TOP "ffff\n");
  MalTime now = mal_runtime_now(b.rt);
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "local", span_of(TOP "ff00-" TOP "ffff"),
                          MAL_FOREVER, "top", "test", NULL));
  MalBlock last = mal_block_make(span_of(TOP "ffff").first, 1);
  for (int i = 0; i < 2; i++) {
    g_autoptr(GError) error = NULL;
    unsigned superseded = 0;
    MalLease stored = { .id = id_of(i == 0 ? "a" : "b"), .scope = "local", .blocks = &last,
                        .n_blocks = 1, .start = now + 100 * i, .end = now + 100 * i + 50,
                        .origin = "madcap" };
    cr_assert(mal_leases_restore(b.leases, &stored, now, &superseded, &error), "%s",
              error ? error->message : "");
  }
  expect(&b, TOP "0-" TOP "ffff", TOP "ffff 1 150\n");
  bed_clear(&b);
}

/* What was said first of an address counts, until the latest end that anybody said. */
typedef struct {
  const char *span;
  uint64_t used;
  int64_t until;
} Use;

static void layer2_of(const MalScope *scope, MalSpan span, MalUsageFunc func, void *to, void *data)
{
  (void)scope, (void)span;
  for (const Use *use = data; use->span; use++)
    func(span_of(use->span), use->used, FAKE_START + use->until, to);
}

Test(space_usage, pieces_that_overlap)
{
  static const struct {
    Use said[4];
    const char *expected;
  } rows[] = {
    { { { "239.255.1.0-239.255.1.31", 32, 500 }, { "239.255.1.8-239.255.1.47", 40, 100 } },
      "239.255.1.0-239.255.1.31 32 500\n239.255.1.32-239.255.1.47 16 100\n" },
    { { { "239.255.1.0-239.255.1.31", 3, 500 }, { "239.255.1.8-239.255.1.15", 8, 900 },
        { "239.255.1.16-239.255.1.31", 8, 700 } },
      "239.255.1.0-239.255.1.31 3 900\n" },
    { { { "239.255.1.0-239.255.1.31", 3, 500 }, { "239.255.1.0-239.255.1.63", 50, 900 } },
      "239.255.1.0-239.255.1.31 3 900\n239.255.1.32-239.255.1.63 32 900\n" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES LAB);
    Use said[4];
    memcpy(said, rows[i].said, sizeof said);
    mal_space_set_usage(b.space, layer2_of, said);
    expect(&b, "239.255.1.0-239.255.1.255", rows[i].expected);
    bed_clear(&b);
  }
}
