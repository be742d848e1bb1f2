/* The nested sets above the lease: available and owned, by tables. */
#include "tests/unit/space-bed.h"

Test(space, what_may_be_added)
{
  static const struct {
    MalLevel level;
    const char *scope, *span;
    MalTime until;
    const char *words;
  } table[] = {
    { MAL_LEVEL_AVAILABLE, "l", "239.255.2.0/24", MAL_FOREVER, NULL },
    { MAL_LEVEL_AVAILABLE, "l", "239.255.2.0", MAL_FOREVER, "overlaps available range" },
    { MAL_LEVEL_AVAILABLE, "big", "239.255.1.9", MAL_FOREVER, "overlaps available range lab" },
    { MAL_LEVEL_AVAILABLE, "big", "239.254.0.0-239.255.9.9", MAL_FOREVER, "overlaps" },
    { MAL_LEVEL_AVAILABLE, "l", "239.1.0.0/24", MAL_FOREVER, "not inside its scope" },
    { MAL_LEVEL_AVAILABLE, "none", "239.1.0.0/24", MAL_FOREVER, "no scope" },
    { MAL_LEVEL_AVAILABLE, "l", "239.255.3.0/24", 100, NULL },
    { MAL_LEVEL_OWNED, "l", "239.255.1.7", MAL_FOREVER, "overlaps owned" },
    { MAL_LEVEL_OWNED, "l", "239.255.9.0", MAL_FOREVER, "can't be owned" },
  };
  Bed b;
  bed_init(&b, SCOPES LAB);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autoptr(GError) error = NULL;
    bool ok = mal_space_add(b.space, table[i].level, table[i].scope, span(table[i].span),
                            table[i].until, "x", "test", &error);
    cr_assert_eq(ok, !table[i].words, "%zu", i);
    cr_assert(ok || strstr(error->message, table[i].words), "%s", error->message);
  }
  must_have_told(&b, "+a:x +o:x +a:x +o:x ");
  bed_clear(&b);
}

Test(space, owned_mirrors_and_is_clipped)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 500, NULL));
  must_have_told(&b, "~a:lab ~o:lab ");
  cr_assert_not(mal_space_set_until(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"), 501, NULL));
  cr_assert_not(mal_space_set_until(b.space, MAL_LEVEL_OWNED, at("239.255.1.1"), 5, NULL));
  cr_assert_eq(mal_space_due(b.space), 500);
  cr_assert(
      mal_space_covers(b.space, MAL_LEVEL_OWNED,
                       mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"))->scope,
                       span("239.255.1.0/24"), 500));
  mal_space_expire(b.space, 499);
  must_have_told(&b, "");
  mal_space_expire(b.space, 500);
  must_have_told(&b, "-o:lab -a:lab ");
  cr_assert_eq(mal_space_due(b.space), MAL_FOREVER);
  bed_clear(&b);
}

Test(space, adjacent_ranges_cover_together)
{
  Bed b;
  bed_init(&b, SCOPES LAB R("next", "l", "255.2.0", "255.2.255"));
  const MalScope *l = mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"))->scope;
  MalSpan both = span("239.255.1.250-239.255.2.5");
  cr_assert(mal_space_covers(b.space, MAL_LEVEL_OWNED, l, both, MAL_FOREVER));
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.2.0"), 500, NULL));
  cr_assert_not(mal_space_covers(b.space, MAL_LEVEL_OWNED, l, both, 501));
  cr_assert(mal_space_covers(b.space, MAL_LEVEL_OWNED, l, both, 500));
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, at("239.255.2.0"), NULL));
  cr_assert_not(mal_space_covers(b.space, MAL_LEVEL_OWNED, l, both, 1));
  bed_clear(&b);
}

Test(space, a_new_plan_leaves_alone_what_it_says_again)
{
  Bed b;
  bed_init(&b, SCOPES LAB R("old", "l", "255.7.0", "255.7.255"));
  cr_assert(mal_space_add(b.space, MAL_LEVEL_AVAILABLE, "l", span("239.255.9.0/24"), MAL_FOREVER,
                          "hand", "control", NULL));
  g_string_truncate(b.told, 0);
  cr_assert(replan(&b, R("new", "l", "255.8.0", "255.8.255") LAB SCOPES, NULL));
  must_have_told(&b, "-o:old -a:old +a:new +o:new ");
  g_autoptr(GError) error = NULL;
  cr_assert_not(replan(&b, SCOPES LAB R("x", "l", "255.9.9", "255.9.19"), &error));
  cr_assert(strstr(error->message, "overlaps range hand"), "%s", error->message);
  cr_assert_not(replan(&b, SCOPES LAB R("hand", "l", "255.8.9", "255.8.19"), NULL));
  cr_assert_not(
      replan(&b, "[scope big]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.254\n", NULL),
      "its scope would go");
  must_have_told(&b, "");
  bed_clear(&b);
}

/* ---- the arbiter ----------------------------------------------------------------------------- */

Test(space, an_arbiter_ends_the_mirror_and_gives_it_back)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  must_have_told(&b, "-o:lab ");
  cr_assert_not(mal_space_is_mirrored(b.space));
  mal_space_set_arbiter(b.space, NULL, NULL);
  must_have_told(&b, "+o:lab ");
  bed_clear(&b);
}

Test(space, candidates_never_overlap)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  b.verdict = MAL_VERDICT_LATER;
  for (unsigned i = 0; i < 16; i++)
    cr_assert(mal_space_want(b.space, scope_l(&b), 20, MAL_FOREVER) == (i < 13), "%u", i);
  /* Every second one is granted; the rest are refused, and are free to be asked again. */
  unsigned n = b.asked->len;
  mal_space_forget_tickets(b.space);
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, true);
  cr_assert(n == 13 && owned(&b) == 0, "what was forgotten can't be decided");
  g_array_set_size(b.asked, 0);
  cr_assert(mal_space_want(b.space, scope_l(&b), 256, MAL_FOREVER));
  cr_assert(b.asked->len == 1 && mal_span_size(g_array_index(b.asked, Asked, 0).span) == 256);
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, true);
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, true);
  cr_assert(owned(&b) == 256);
  bed_clear(&b);
}

Test(space, what_is_refused_goes_on_to_layer_3)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, on_demand, &b);
  b.verdict = MAL_VERDICT_LATER;
  cr_assert(mal_space_want(b.space, scope_l(&b), 128, MAL_FOREVER));
  b.verdict = MAL_VERDICT_NO;
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, false);
  cr_assert(b.asked->len == 2 && b.demands == 1, "the other half, then layer 3");
  b.verdict = MAL_VERDICT_YES;
  cr_assert(mal_space_want(b.space, scope_l(&b), 200, MAL_FOREVER));
  cr_assert(owned(&b) == 200 && b.demands == 1);
  cr_assert(mal_space_want(b.space, scope_l(&b), 5000, MAL_FOREVER));
  cr_assert(owned(&b) == 256);
  cr_assert(mal_space_want(b.space, scope_l(&b), 1, MAL_FOREVER) && b.demands == 2);
  bed_clear(&b);
}

Test(space, what_shrinks_while_the_arbiter_thinks)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, arbiter, &b);
  b.verdict = MAL_VERDICT_LATER;
  mal_space_want(b.space, scope_l(&b), 16, 10);
  mal_space_want(b.space, scope_l(&b), 16, 10);
  mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 50, NULL);
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 0).ticket, true);
  const MalRange *r = mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"));
  cr_assert(r && r->until == 50);
  mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), NULL);
  mal_space_decide(b.space, g_array_index(b.asked, Asked, 1).ticket, true);
  cr_assert(owned(&b) == 0);
  bed_clear(&b);
}

/* A range that is renamed, or grows, keeps what is owned in it. */
Test(space, a_new_plan_under_an_arbiter)
{
  Bed b;
  bed_init(&b, SCOPES LAB R("far", "l", "255.7.0", "255.7.255"));
  mal_space_set_arbiter(b.space, arbiter, &b);
  b.verdict = MAL_VERDICT_YES;
  mal_space_want(b.space, scope_l(&b), 400, MAL_FOREVER);
  cr_assert(owned(&b) == 400);
  cr_assert(replan(&b, SCOPES R("lab2", "l", "255.0.0", "255.1.255"), NULL));
  cr_assert(owned(&b) == 256);
  const MalRange *r = mal_space_containing(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"));
  cr_assert(r && strcmp(r->scope->id, "l") == 0);
  cr_assert(replan(&b, "[scope big]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.254\n", NULL));
  cr_assert(owned(&b) == 0);
  bed_clear(&b);
}

static void leave(MalSpaceChange what, const MalRange *r, void *data)
{
  Bed *b = data;
  (void)what, (void)r;
  mal_space_unwatch(b->space, b->watch);
}

Test(space, a_watcher_may_leave_while_it_is_told)
{
  Bed b;
  bed_init(&b, SCOPES LAB);
  mal_space_unwatch(b.space, b.watch);
  b.watch = mal_space_watch(b.space, leave, &b);
  mal_space_watch(b.space, on_change, &b);
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_OWNED, at("239.255.1.0"), NULL));
  must_have_told(&b, "-o:lab ");
  bed_clear(&b);
}

Test(space, before_the_first_plan_there_is_nothing)
{
  g_autoptr(GError) error = NULL;
  MalSpace *space = mal_space_new();

  cr_expect_null(mal_space_containing(space, MAL_LEVEL_OWNED, at("239.255.1.0")));
  cr_expect_not(
      mal_space_add(space, MAL_LEVEL_AVAILABLE, "l", span("239.255.1.0"), 5, "x", "test", &error));
  cr_expect_eq(error->code, MAL_ERROR_NOT_FOUND);
  cr_expect_not(mal_space_set_until(space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 5, NULL));
  cr_expect_not(mal_space_remove(space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), NULL));
  cr_expect_eq(mal_space_due(space), MAL_FOREVER);
  mal_space_free(space);
}

static MalVerdict deny_all(uint64_t ticket, const MalScope *scope, MalSpan s, MalTime until,
                           void *data)
{
  (void)ticket;
  (void)scope;
  (void)s;
  (void)until;
  (void)data;
  return MAL_VERDICT_NO;
}

/* What is owned lies inside what is available, in time as in space. */
Test(space, owned_is_inside_available)
{
  static const struct {
    const char *span;
    MalTime until;
    bool good;
  } rows[] = {
    { "239.255.1.16-239.255.1.31", 500, true },
    { "239.255.1.240-239.255.2.3", 500, false },      /* half of it outside */
    { "239.255.1.64-239.255.1.79", 501, false },      /* longer than it is there */
    { "239.255.3.0", 500, false },
  };
  Bed b;

  bed_init(&b, SCOPES LAB);
  mal_space_set_arbiter(b.space, deny_all, &b);
  cr_assert(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 500, NULL));
  g_string_truncate(b.told, 0);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    cr_expect_eq(mal_space_add(b.space, MAL_LEVEL_OWNED, "l", span(rows[i].span), rows[i].until,
                               "x", "test", NULL),
                 rows[i].good, "row %zu", i);
  must_have_told(&b, "+o:x ");
  cr_expect(mal_space_set_until(b.space, MAL_LEVEL_OWNED, at("239.255.1.16"), 400, NULL));
  cr_expect(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 450, NULL));
  must_have_told(&b, "~o:x ~a:lab ");
  cr_expect_eq(mal_space_due(b.space), 400);
  cr_expect(mal_space_set_until(b.space, MAL_LEVEL_AVAILABLE, at("239.255.1.0"), 300, NULL));
  must_have_told(&b, "~a:lab ~o:x ");
  cr_expect(mal_space_remove(b.space, MAL_LEVEL_OWNED, at("239.255.1.16"), NULL));
  must_have_told(&b, "-o:x ");
  bed_clear(&b);
}
