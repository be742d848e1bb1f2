/* Available and owned at their edges: what is not there, what the arbiter is asked for. */
#include "tests/unit/space-bed.h"

/* ---- what is said of ranges that are not there ----------------------------------------------- */

Test(space_edges, a_range_that_is_not_there)
{
  Bed b;
  g_autoptr(GError) error = NULL;
  bed_init(&b, SCOPES LAB);
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++) {
    cr_expect_not(mal_space_remove(b.space, level, at("239.255.1.1"), NULL));
    cr_expect_not(mal_space_remove(b.space, level, at("239.255.9.0"), NULL));
    cr_expect_not(mal_space_set_until(b.space, level, at("239.255.9.0"), 5, NULL));
  }
  cr_expect_not(mal_space_adopt(b.space, scope_l(&b), span("239.255.1.0"), 5), "nobody adopts");
  mal_space_deny(b.space, scope_l(&b), error);
  mal_space_explain(b.space, scope_l(&b), error);
  mal_space_want_span(b.space, scope_l(&b), span("239.255.1.0"), 5);
  cr_expect_not(mal_space_is_deciding(b.space, scope_l(&b)));
  must_have_told(&b, "");
  bed_clear(&b);
}

/* Two ranges: the first end of all. */
Test(space_edges, due_is_the_first_end)
{
  static const MalTime ends[][2] = { { 300, 500 }, { 500, 300 }, { 300, MAL_FOREVER } };
  for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
    Bed b;
    bed_init(&b, SCOPES LAB R("next", "l", "255.2.0", "255.2.255"));
    mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), ends[i][0], NULL);
    mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.2.0"), ends[i][1], NULL);
    cr_expect_eq(mal_space_due(b.space), 300, "%zu", i);
    mal_space_set_until(b.space, MAL_LEVEL_OWNED, at("239.255.2.0"), 200, NULL);
    cr_expect_eq(mal_space_due(b.space), 200, "%zu", i);
    bed_clear(&b);
  }
}

/* A watcher that takes another one with it; a plan with a name for another place. */
static void take_along(MalSpaceChange what, const MalRange *r, void *data)
{
  Bed *b = data;
  (void)what, (void)r;
  mal_space_unwatch(b->space, b->watch);
}

Test(space_edges, a_watcher_that_another_one_sends_away_hears_nothing)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_unwatch(b.space, b.watch);
  mal_space_watch(b.space, take_along, &b);
  b.watch = mal_space_watch(b.space, on_change, &b);
  mal_space_unwatch(b.space, 4711);
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"), NULL));
  must_have_told(&b, "");
  bed_clear(&b);
}

Test(space_edges, a_plan_that_says_a_name_of_another_place)
{
  static const struct {
    const char *range, *told;
  } rows[] = {
    { R("lab", "l", "255.1.0", "255.1.255"), "" },
    { R("lab", "l", "255.0.0", "255.1.255"), "-o:lab -a:lab +a:lab +o:lab " },
    { R("lab", "l", "255.1.0", "255.2.255"), "-o:lab -a:lab +a:lab +o:lab " },
    { R("lab", "big", "255.1.0", "255.1.255"), "-o:lab -a:lab +a:lab +o:lab " },
    { R("bal", "l", "255.1.0", "255.1.255"), "-o:lab -a:lab +a:bal +o:bal " },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b;
    g_autofree char *text = g_strconcat(SCOPES, rows[i].range, NULL);
    bed_init(&b, SCOPES LAB);
    cr_assert(replan(&b, text, NULL), "row %zu", i);
    must_have_told(&b, rows[i].told);
    bed_clear(&b);
  }
}

/* ---- what is put to the arbiter -------------------------------------------------------------- */

/* What is owned, or with the arbiter, is left out, wherever it lies. */
Test(space_edges, gaps_between_what_is_owned_and_asked)
{
  Bed b;
  bed_init(&b, SCOPES R("far", "big", "1.1.0", "1.1.255") R("late", "l", "255.0.0", "255.0.255")
                   LAB R("more", "l", "255.2.0", "255.2.255"));
  mal_space_set_arbiter(b.space, arbiter, &b);
  mal_space_set_arbiter(b.space, arbiter, &b); /* again: nothing changes */
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.0.0"), 5, NULL));
  cr_assert(mal_space_add(b.space, MAL_LEVEL_OWNED, "l", span("239.255.1.16-239.255.1.31"), 900,
                          "x", "test", NULL));
  cr_assert(mal_space_add(b.space, MAL_LEVEL_OWNED, "l", span("239.255.2.128-239.255.2.255"), 900,
                          "x", "test", NULL));
  cr_assert(mal_space_add(b.space, MAL_LEVEL_OWNED, "big", span("239.1.1.0-239.1.1.255"), 900, "x",
                          "test", NULL));
  b.verdict = MAL_VERDICT_LATER;
  static const struct {
    uint64_t count;
    const char *spans[4];
  } rows[] = {
    { 8, { "239.255.1.0-239.255.1.7" } },
    { 10, { "239.255.1.8-239.255.1.15", "239.255.1.32-239.255.1.33" } },
    { 240, { "239.255.1.34-239.255.1.255", "239.255.2.0-239.255.2.17" } },
  };
  const MalScope *l = scope_l(&b);
  guint n = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    cr_expect(mal_space_want(b.space, l, rows[i].count, 900));
    for (size_t k = 0; rows[i].spans[k]; k++, n++) {
      char text[MAL_SPAN_STRLEN];
      cr_assert_lt(n, b.asked->len, "row %zu", i);
      cr_expect_str_eq(mal_span_format(g_array_index(b.asked, Asked, n).span, text),
                       rows[i].spans[k], "row %zu", i);
    }
    cr_expect_eq(b.asked->len, n, "row %zu", i);
  }
  cr_expect(mal_space_is_deciding(b.space, l));
  cr_expect_not(mal_space_is_deciding(
      b.space, mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.1.1.0"))->scope));
  /* The second is granted, though the first is still thought about; its range lasts longer by
     now. */
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 1000, NULL));
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 1).ticket, true);
  cr_expect_eq(mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.1.8"))->until, 1000);
  mal_space_decide(b.space, 4711, true);
  /* A refusal makes it go on behind, in ranges behind as well. */
  n = b.asked->len;
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 3).ticket, false);
  cr_expect_gt(b.asked->len, n);
  bed_clear(&b);
}

/* A candidate that was refused leaves a gap before the next one, which is still thought about. */
Test(space_edges, a_gap_ends_where_a_candidate_begins)
{
  Bed b;
  char text[MAL_SPAN_STRLEN];
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  b.verdict = MAL_VERDICT_LATER;
  const MalScope *l = scope_l(&b);
  cr_assert(mal_space_want(b.space, l, 8, 10));
  cr_assert(mal_space_want(b.space, l, 8, 10));
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, false);
  cr_assert_eq(b.asked->len, 3);
  g_array_remove_index(b.asked, 0); /* it may be asked for again */
  cr_assert(mal_space_want(b.space, l, 20, 10));
  cr_assert_eq(b.asked->len, 4);
  cr_expect_str_eq(mal_span_format(g_array_index(b.asked, Asked, 2).span, text),
                   "239.255.1.0-239.255.1.7");
  cr_expect_str_eq(mal_span_format(g_array_index(b.asked, Asked, 3).span, text),
                   "239.255.1.24-239.255.1.35");
  bed_clear(&b);
}

/* A yes for a time before its range was made longer stays for that time. */
Test(space_edges, what_lasts_longer_while_the_arbiter_thinks)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 50, NULL));
  b.verdict = MAL_VERDICT_LATER;
  cr_assert(mal_space_want(b.space, scope_l(&b), 16, 10));
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 500, NULL));
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, true);
  cr_expect_eq(mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"))->until, 50);
  bed_clear(&b);
}

/* One demand is put in so many blocks at most. */
Test(space_edges, a_huge_demand)
{
  Bed b;
  bed_init(&b, SCOPES R("huge", "big", "1.0.0", "3.255.255"));
  const MalScope *big = mal_space_containing(b.space, MAL_LEVEL_AVAILABLE, at("239.1.0.0"))->scope;
  mal_space_set_arbiter(b.space, arbiter, &b);
  b.verdict = MAL_VERDICT_YES;
  cr_expect(mal_space_want(b.space, big, 1000000, 10));
  cr_expect_eq(owned(&b), 64 * 256);
  bed_clear(&b);
}

/* The arbiter forgets all that it thought about while it is asked: its yes has lost its meaning. */
static MalVerdict forgetful(uint64_t ticket, const MalScope *scope, MalSpan s, MalTime until,
                            void *data)
{
  Bed *b = data;
  (void)ticket, (void)scope, (void)s, (void)until;
  mal_space_forget_tickets(b->space);
  return b->verdict;
}

Test(space_edges, an_arbiter_that_forgets_while_it_is_asked)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, forgetful, &b);
  b.verdict = MAL_VERDICT_YES;
  cr_expect(mal_space_want(b.space, scope_l(&b), 300, 10));
  cr_expect_eq(owned(&b), 0);
  bed_clear(&b);
}

/* A refused candidate whose scope a new plan took away is nobody's any more. */
Test(space_edges, a_candidate_of_a_scope_that_is_gone)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  b.verdict = MAL_VERDICT_LATER;
  cr_assert(mal_space_want(b.space, scope_l(&b), 16, 10));
  cr_assert(replan(&b, "[scope big]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.254\n", NULL));
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, false);
  cr_expect_eq(b.asked->len, 1);
  bed_clear(&b);
}

/* At the highest address of all there is nothing behind. */
#define TOP "ffff:ffff:ffff:ffff:ffff:ffff:ffff:"

Test(space_edges, the_end_of_the_addresses)
{
  static const MalVerdict verdicts[] = { MAL_VERDICT_YES, MAL_VERDICT_LATER, MAL_VERDICT_NO };
  static const guint asked[] = { 0, 1, 4 };
  for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++) {
    Bed b;
    bed_init(&b, "[scope top]\nfamily=ipv6\nfirst=" TOP "0\nlast=" TOP "ffff\n");
    cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "top", span(TOP "f000-" TOP "ffff"), 10,
                            "r", "test", NULL));
    const MalScope *top = mal_space_containing(b.space, MAL_LEVEL_AVAILABLE, at(TOP "f000"))->scope;
    mal_space_set_arbiter(b.space, arbiter, &b);
    cr_assert(mal_space_add(b.space, MAL_LEVEL_OWNED, "top", span(TOP "f000-" TOP "fffb"), 10, "x",
                            "test", NULL));
    b.verdict = verdicts[i];
    mal_space_want(b.space, top, 300, 10);
    cr_expect_eq(b.asked->len, 1);
    cr_expect_eq(mal_span_size(g_array_index(b.asked, Asked, 0).span), 4);
    mal_space_want(b.space, top, 1, 10);
    mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, false);
    g_array_set_size(b.asked, 0);
    mal_space_want(b.space, top, 1, 10);
    cr_expect_eq(b.asked->len, asked[i], "%zu", i);
    bed_clear(&b);
  }
}

/* ---- stand-ins ------------------------------------------------------------------------------- */

static bool add(Bed *b, MalLevel level, const char *text, MalTime until, const char *name)
{
  return mal_space_add(b->space, level, "l", span(text), until, name, "t", NULL);
}

static void init_with_stand_in(Bed *b)
{
  bed_init(b, SCOPES);
  mal_space_set_arbiter(b->space, arbiter, b);
  cr_assert(mal_space_add_stand_in(b->space, "l", span("239.255.1.0-239.255.3.255"), 900, "s", "t",
                                   NULL));
}

/* What layer 3 brings takes the place of what stood there for want of anything better. */
Test(space_edges, a_stand_in_gives_way_and_what_is_owned_stays)
{
  Bed b;
  init_with_stand_in(&b);
  cr_assert(add(&b, MAL_LEVEL_OWNED, "239.255.1.8-239.255.1.15", 800, "left"));
  cr_assert(add(&b, MAL_LEVEL_OWNED, "239.255.1.248-239.255.2.7", 800, "cut"));
  cr_assert(add(&b, MAL_LEVEL_OWNED, "239.255.2.16-239.255.2.31", 800, "within"));
  cr_assert(add(&b, MAL_LEVEL_OWNED, "239.255.3.0-239.255.3.7", 800, "right"));
  g_string_truncate(b.told, 0);
  cr_assert(add(&b, MAL_LEVEL_AVAILABLE, "239.255.2.0-239.255.2.255", 700, "real"));
  must_have_told(&b, "|o:cut |a:s |a:s -a:s +a:real ~o:cut ~o:within ");
  cr_assert_eq(mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.2.16"))->until, 700);
  cr_assert_eq(mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.3.0"))->until, 800);
  const MalRange *left = mal_space_containing(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"));
  cr_assert(left->stand_in && left->until == 900 &&
            mal_address_equal(left->span.last, at("239.255.1.255")));
  cr_assert_not(mal_space_add_stand_in(b.space, "l", span("239.255.2.0-239.255.2.7"), 900, "u",
                                       "t", NULL), "not the other way round");
  cr_assert_not(add(&b, MAL_LEVEL_AVAILABLE, "239.255.2.255-239.255.3.0", 900, "v"),
                "a real one is in the way, too");
  must_have_told(&b, "");
  bed_clear(&b);
}

/* Layer 3's ranges stand in for configuration, too, but not for what layer 2 took over. */
Test(space_edges, what_layer_3_brings_takes_the_place_of_others_stand_ins)
{
  Bed b;
  init_with_stand_in(&b);
  cr_assert(add(&b, MAL_LEVEL_OWNED, "239.255.2.16-239.255.2.31", 800, "within"));
  cr_assert(add(&b, MAL_LEVEL_OWNED, "239.255.3.0-239.255.3.7", 800, "right"));
  g_string_truncate(b.told, 0);
  cr_assert(mal_space_bring(b.space, "l", span("239.255.2.0-239.255.2.255"), 700, "won", "three",
                            NULL));
  must_have_told(&b, "|a:s |a:s -a:s +a:won ~o:within ");
  cr_assert(mal_space_containing(b.space, MAL_LEVEL_AVAILABLE, at("239.255.2.0"))->stand_in);
  cr_assert_eq(mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.2.16"))->until, 700);
  cr_assert_not(mal_space_bring(b.space, "l", span("239.255.2.0-239.255.2.7"), 900, "u", "three",
                                NULL), "its own is in the way");
  cr_assert_not(mal_space_add_stand_in(b.space, "l", span("239.255.2.0-239.255.2.7"), 900, "u",
                                       "t", NULL));
  cr_assert(add(&b, MAL_LEVEL_AVAILABLE, "239.255.3.0-239.255.3.255", 900, "real"));
  g_string_truncate(b.told, 0);
  cr_assert_not(mal_space_bring(b.space, "l", span("239.255.3.0-239.255.3.7"), 900, "u", "three",
                                NULL), "nor does a real one give way to it");
  must_have_told(&b, "");
  bed_clear(&b);
}

/* ---- vouching -------------------------------------------------------------------------------- */

typedef struct {
  MalSpan said[4];
  unsigned n, asked, again;
} Vouching;

static void say_first(const MalScope *scope, const MalSpan *spans, size_t n, MalVouchFunc func,
                      void *to, void *data)
{
  Vouching *v = data;
  v->asked = (unsigned)n;
  if (n > 0 && strcmp(scope->id, "l") == 0)
    func(spans[0], to);
}

static void take_part(MalSpan part, void *to)
{
  Vouching *v = to;
  v->said[v->n++] = part;
}

static void count_again(void *data)
{
  ((Vouching *)data)->again++;
}

Test(space_edges, layer_3_vouches_for_what_layer_2_took_over)
{
  Bed b;
  Vouching v = { .n = 0 };
  MalSpan spans[] = { span("239.255.1.0-239.255.1.7"), span("239.255.2.0-239.255.2.7") };
  bed_init(&b, SCOPES LAB);
  cr_assert_not(mal_space_vouch(b.space, scope_l(&b), spans, 2, take_part, &v), "nobody knows");
  mal_space_vouch_again(b.space);
  mal_space_set_vouch(b.space, say_first, &v);
  mal_space_on_vouch(b.space, count_again, &v);
  cr_assert(mal_space_vouch(b.space, scope_l(&b), spans, 2, take_part, &v));
  cr_assert(v.asked == 2 && v.n == 1 && mal_address_equal(v.said[0].first, spans[0].first));
  mal_space_vouch_again(b.space);
  cr_assert_eq(v.again, 1);
  mal_space_set_vouch(b.space, NULL, NULL);
  mal_space_on_vouch(b.space, NULL, NULL);
  mal_space_vouch_again(b.space);
  cr_assert_not(mal_space_vouch(b.space, scope_l(&b), spans, 2, take_part, &v));
  cr_assert(v.n == 1 && v.again == 1);
  bed_clear(&b);
}

Test(space_edges, several_stand_ins_give_way_at_once)
{
  Bed b;
  bed_init(&b, SCOPES);
  mal_space_set_arbiter(b.space, arbiter, &b);
  for (unsigned i = 1; i <= 3; i++) {
    g_autofree char *text = g_strdup_printf("239.255.%u.0-239.255.%u.255", i, i);
    cr_assert(mal_space_add_stand_in(b.space, "l", span(text), 900, "s", "t", NULL));
  }
  g_string_truncate(b.told, 0);
  cr_assert(add(&b, MAL_LEVEL_AVAILABLE, "239.255.1.128-239.255.3.255", 700, "real"));
  must_have_told(&b, "|a:s -a:s -a:s -a:s +a:real ");
  bed_clear(&b);
}

/* A plan takes the place of a stand-in where one of its ranges meets it. */
Test(space_edges, a_plan_beside_stand_ins_and_over_them)
{
  static const struct {
    const char *plan, *told;
  } rows[] = {
    { SCOPES LAB, "+a:lab " },
    { SCOPES LAB R("more", "l", "255.5.0", "255.5.255"), "+a:lab +a:more " },
    { SCOPES LAB R("more", "l", "255.3.255", "255.5.255"), "-a:s +a:lab +a:more " },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b;
    bed_init(&b, SCOPES);
    mal_space_set_arbiter(b.space, arbiter, &b);
    cr_assert(mal_space_add_stand_in(b.space, "l", span("239.255.3.0-239.255.4.255"), 900, "s", "t",
                                     NULL));
    g_string_truncate(b.told, 0);
    cr_assert(replan(&b, rows[i].plan, NULL), "row %zu", i);
    must_have_told(&b, rows[i].told);
    bed_clear(&b);
  }
}

/* ---- questions to a space that has nothing to say -------------------------------------------- */

static void count_range(const MalRange *range, void *data)
{
  (void)range;
  ++*(unsigned *)data;
}

static void count_use(MalSpan s, uint64_t used, MalTime until, void *data)
{
  (void)s, (void)used, (void)until;
  ++*(unsigned *)data;
}

Test(space_edges, before_any_plan_without_the_scope_and_without_an_engine)
{
  Bed b;
  unsigned n = 0;
  char none[] = "none";
  bed_init(&b, SCOPES LAB);
  const MalScope *l = scope_l(&b), elsewhere = { .id = none, .span = l->span };
  MalSpace *empty = mal_space_new();
  mal_space_each(empty, MAL_LEVEL_AVAILABLE, l, l->span, count_range, &n);
  mal_space_each(b.space, MAL_LEVEL_AVAILABLE, &elsewhere, l->span, count_range, &n);
  mal_space_usage(b.space, l, l->span, count_use, &n);
  cr_expect_eq(n, 0);
  mal_space_each(b.space, MAL_LEVEL_AVAILABLE, l, l->span, count_range, &n);
  cr_expect_eq(n, 1);
  mal_space_free(empty);
  bed_clear(&b);
}
