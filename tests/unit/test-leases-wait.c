/* What waits for space: who asks layers 2 and 3 for what, and how waiting ends. */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define ORG "[range o]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.15\n"

typedef struct {
  Bed bed;
  unsigned calls;
  char scope[16];
  MalSpan span;
  uint64_t count;
  MalVerdict verdict; /* the arbiter's */
  MalLeaseId cancels; /* taken back while the arbiter is asked */
} World;

static MalSpan span_of(const char *text)
{
  MalSpan span = { 0 };
  cr_assert(mal_span_parse(text, &span, NULL), "%s", text);
  return span;
}

static void acquire(const MalScope *scope, MalSpan span, uint64_t count, MalTime until, void *data)
{
  World *w = data;
  (void)until;
  w->calls++;
  g_strlcpy(w->scope, scope->id, sizeof w->scope);
  w->span = span;
  w->count = count;
}

static MalVerdict arbiter(uint64_t ticket, const MalScope *scope, MalSpan span, MalTime until,
                          void *data)
{
  World *w = data;
  (void)ticket, (void)scope, (void)until;
  w->calls++;
  w->span = span;
  if (w->cancels.length > 0)
    mal_leases_release(w->bed.leases, w->cancels, FAKE_START, "released", NULL, NULL, 0, NULL);
  return w->verdict;
}

static World world_of(const char *config)
{
  return (World){ .bed = bed_of(config) };
}

static MalTime now_of(World *w)
{
  return mal_runtime_now(w->bed.rt);
}

static void own(World *w, const char *text, MalTime until)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_space_add(w->bed.space, MAL_LEVEL_OWNED, "local", span_of(text), until, "t", "test",
                          &error),
            "%s", error ? error->message : "");
}

static MalLeaseRequest waiting(World *w, const char *id, uint32_t count, int64_t lifetime)
{
  MalLeaseRequest r = request_of(&w->bed, id, count, lifetime);
  r.may_wait = true;
  return r;
}

static MalLeaseRequest naming(World *w, const char *id, const MalBlock *blocks, size_t n)
{
  MalLeaseRequest r = waiting(w, id, 1, 600);
  r.named = blocks;
  r.n_named = n;
  return r;
}

/* Of two blocks, layer 2 is asked for what is not owned yet. */
Test(leases_wait, named_blocks_of_which_some_are_owned)
{
  static const struct {
    const char *owned;
    unsigned calls;
  } rows[] = {
    { NULL, 2 },
    { "239.255.1.2-239.255.1.3", 1 },
    { "239.255.1.8", 1 },
  };
  const MalBlock blocks[] = { mal_block_make(span_of("239.255.1.2").first, 2),
                              mal_block_make(span_of("239.255.1.8").first, 1) };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w = world_of(SCOPES LAB);
    mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
    if (rows[i].owned)
      own(&w, rows[i].owned, MAL_FOREVER);
    MalLeaseRequest r = naming(&w, "a", blocks, 2);
    cr_assert_eq(ask(&w.bed, &r, NULL), MAL_ANSWER_WAITING, "row %zu", i);
    cr_expect_eq(w.calls, rows[i].calls, "row %zu: %u", i, w.calls);
    bed_clear(&w.bed);
  }
}

/* A lease may be shorter than was wished only where no available range lasts longer. */
Test(leases_wait, what_layer_2_can_not_make_longer_is_given_as_it_is)
{
  static const struct {
    MalTime until;
    bool acquires;
    MalAnswer answer;
  } rows[] = {
    { 300, true, MAL_ANSWER_GRANTED },
    { 700, true, MAL_ANSWER_WAITING },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w = world_of(SCOPES ORG LAB); /* the one of org lasts for ever */
    mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
    own(&w, "239.255.1.0-239.255.1.7", FAKE_START + 100);
    cr_assert(mal_space_set_until(w.bed.space, MAL_LEVEL_AVAILABLE, span_of("239.255.1.0").first,
                                  FAKE_START + rows[i].until, NULL));
    MalLeaseRequest r = waiting(&w, "a", 1, 600);
    MalLease view;
    r.min_lifetime = 0;
    cr_expect(mal_leases_hold(w.bed.leases, &r, FAKE_START, FAKE_START + 60, &view, NULL));
    cr_expect_eq(view.end, FAKE_START + 100);
    cr_expect_eq(w.calls, rows[i].answer == MAL_ANSWER_WAITING,
                 "who is offered it may find more: row %zu", i);
    cr_expect_eq(ask(&w.bed, &r, NULL), rows[i].answer, "row %zu", i);
    /* Other space comes, no longer than this: who waits goes on waiting. */
    own(&w, "239.255.1.8-239.255.1.9", FAKE_START + 50);
    fake_run(w.bed.fake);
    cr_expect_eq(mal_leases_is_waiting(w.bed.leases, id_of("a")),
                 rows[i].answer == MAL_ANSWER_WAITING);
    bed_clear(&w.bed);
  }
}

Test(leases_wait, a_renewal_beyond_what_is_available_asks_for_nothing)
{
  static const struct {
    MalTime until;
    unsigned calls;
  } rows[] = { { 300, 0 }, { 700, 1 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w = world_of(SCOPES LAB);
    MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 600 };
    mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
    own(&w, "239.255.1.0-239.255.1.7", FAKE_START + 100);
    cr_assert_eq(lease(&w.bed, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
    cr_assert(mal_space_set_until(w.bed.space, MAL_LEVEL_AVAILABLE, span_of("239.255.1.0").first,
                                  FAKE_START + rows[i].until, NULL));
    cr_expect_eq(
        mal_leases_renew(w.bed.leases, id_of("a"), &renewal, FAKE_START, done, &w.bed, 0, NULL),
        MAL_ANSWER_GRANTED);
    fake_run(w.bed.fake);
    cr_expect_eq(w.calls, rows[i].calls, "row %zu", i);
    bed_clear(&w.bed);
  }
}

/* What is asked of layer 2 is what all want in a scope who don't name addresses, an offer's
   included. */
Test(leases_wait, what_is_wanted_in_all)
{
  World w = world_of(SCOPES LAB ORG);
  const MalBlock mine = mal_block_make(span_of("239.255.1.5").first, 1);
  mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
  MalLeaseRequest a = waiting(&w, "a", 2, 600), o = waiting(&w, "o", 7, 600),
                  n = naming(&w, "n", &mine, 1), b = waiting(&w, "b", 3, 600);
  o.scope = mal_scope_set_find(mal_leases_scopes(w.bed.leases), "org");
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  cr_assert_eq(ask(&w.bed, &o, NULL), MAL_ANSWER_WAITING);
  cr_expect_eq(w.count, 7);
  cr_assert_eq(ask(&w.bed, &n, NULL), MAL_ANSWER_WAITING);
  cr_expect_eq(w.count, 0);
  cr_expect_not(mal_leases_hold(w.bed.leases, &b, FAKE_START, FAKE_START + 60, NULL, NULL));
  cr_expect_eq(w.count, 5, "with the offer's three");
  /* Some came: what is missing is said once a scope, and for each who names. */
  w.calls = 0;
  cr_assert_eq(ask(&w.bed, &b, NULL), MAL_ANSWER_WAITING);
  cr_expect_eq(w.calls, 1);
  w.calls = 0;
  own(&w, "239.255.1.0", MAL_FOREVER);
  fake_run(w.bed.fake);
  cr_expect_eq(w.calls, 3, "%u", w.calls);
  bed_clear(&w.bed);
}

/* While the arbiter thinks it is not asked again; nor is anything claimed twice. */
Test(leases_wait, the_arbiter_is_left_to_think)
{
  World w = world_of(SCOPES ORG LAB);
  w.verdict = MAL_VERDICT_LATER;
  mal_space_set_arbiter(w.bed.space, arbiter, &w);
  MalLeaseRequest a = waiting(&w, "a", 2, 600);
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  cr_expect_eq(w.calls, 1);
  cr_expect_eq(mal_leases_due(w.bed.leases), FAKE_START + 30);
  fake_advance(w.bed.fake, 31);
  expire(&w.bed);
  cr_expect_eq(w.calls, 1);
  mal_space_forget_tickets(w.bed.space);
  fake_advance(w.bed.fake, 31);
  expire(&w.bed);
  cr_expect_eq(w.calls, 2, "it forgot");
  bed_clear(&w.bed);
}

/* Two who wait are asked for again each at its time, and give up at last. */
Test(leases_wait, until_ten_minutes_have_passed)
{
  World w = world_of(SCOPES LAB);
  mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
  MalLeaseRequest a = waiting(&w, "a", 2, 600);
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  fake_advance(w.bed.fake, 7);
  expire(&w.bed);
  MalLeaseRequest b = waiting(&w, "b", 2, 600);
  cr_assert_eq(mal_leases_request(w.bed.leases, &b, now_of(&w), NULL, NULL, 0, NULL),
               MAL_ANSWER_WAITING);
  w.bed.calls = 0;
  for (MalTime due; (due = mal_leases_due(w.bed.leases)) != MAL_FOREVER;) {
    cr_assert(due >= now_of(&w) && due <= FAKE_START + 607, "%d", (int)(due - FAKE_START));
    cr_expect_eq(w.bed.calls, now_of(&w) >= FAKE_START + 600);
    fake_advance(w.bed.fake, due - now_of(&w));
    expire(&w.bed);
  }
  cr_expect_eq(now_of(&w), FAKE_START + 607);
  cr_expect(w.bed.calls == 1 && w.bed.code == MAL_ERROR_NO_SPACE);
  bed_clear(&w.bed);
}

/* Its client takes it back from inside the question: then nobody is refused. */
Test(leases_wait, taken_back_while_it_is_asked_for)
{
  World w = world_of(SCOPES LAB);
  w.verdict = MAL_VERDICT_NO;
  w.cancels = id_of("a");
  mal_space_set_arbiter(w.bed.space, arbiter, &w);
  MalLeaseRequest a = waiting(&w, "a", 2, 600);
  cr_expect_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  cr_expect(w.bed.calls == 1 && w.bed.code == MAL_ERROR_NOT_FOUND);
  cr_expect_eq(mal_leases_totals(w.bed.leases, NULL).waiting, 0);
  bed_clear(&w.bed);
}

Test(leases_wait, the_scope_goes)
{
  World w = world_of(SCOPES LAB ORG);
  mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
  MalLeaseRequest a = waiting(&w, "a", 2, 600), o = waiting(&w, "o", 7, 600);
  o.scope = mal_scope_set_find(mal_leases_scopes(w.bed.leases), "org");
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  cr_assert_eq(ask(&w.bed, &o, NULL), MAL_ANSWER_WAITING);
  w.bed.calls = 0;
  cr_assert(replan(
      &w.bed, "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n" LAB, NULL));
  fake_run(w.bed.fake);
  cr_expect(w.bed.calls == 1 && w.bed.code == MAL_ERROR_NOT_FOUND);
  cr_expect(mal_leases_is_waiting(w.bed.leases, a.id));
  bed_clear(&w.bed);
}

/* ---- what layer 2 says ----------------------------------------------------------------------- */

Test(leases_wait, revoking_what_is_held_on_its_way_or_not_written)
{
  World w = world_of(SCOPES LAB);
  MalLeaseRequest r = request_of(&w.bed, "held", 1, 600);
  MalLease view;
  cr_assert_eq(lease(&w.bed, "a", 2, 600, NULL), MAL_ANSWER_GRANTED);
  cr_assert(mal_leases_hold(w.bed.leases, &r, FAKE_START, FAKE_START + 60, NULL, NULL));
  mal_store_memory_hold(w.bed.store, true);
  cr_assert_eq(lease(&w.bed, "b", 1, 600, NULL), MAL_ANSWER_GRANTED);
  mal_leases_watch(w.bed.leases, on_change, &w.bed);
  mal_leases_revoke(w.bed.leases, span_of("239.255.1.0-239.255.1.15"));
  cr_expect_not(mal_leases_get_hold(w.bed.leases, r.id, &view));
  mal_store_memory_hold(w.bed.store, false);
  fake_run(w.bed.fake);
  cr_expect_eq(w.bed.changes[MAL_LEASE_REVOKED], 2);
  cr_assert_eq(lease(&w.bed, "c", 1, 600, NULL), MAL_ANSWER_GRANTED);
  mal_store_memory_fail(w.bed.store, "full");
  mal_leases_revoke(w.bed.leases, span_of("239.255.1.0-239.255.1.15"));
  cr_expect_eq(w.bed.changes[MAL_LEASE_REVOKED], 3, "whatever the disk says");
  cr_expect_not(mal_leases_get(w.bed.leases, id_of("c"), &view));
  mal_store_memory_fail(w.bed.store, NULL);
  fake_run(w.bed.fake);
  bed_clear(&w.bed);
}

Test(leases_wait, suspensions_by_their_spans)
{
  static const char *const spans[] = { "239.255.1.0-239.255.1.3", "239.255.1.0-239.255.1.5",
                                       "239.255.1.4-239.255.1.5" };
  World w = world_of(SCOPES LAB);
  uint64_t leased, more;
  MalAddress first = span_of("239.255.1.0").first;
  for (size_t i = 0; i < G_N_ELEMENTS(spans); i++)
    mal_leases_suspend(w.bed.leases, span_of(spans[i]), true);
  mal_leases_suspend(w.bed.leases, span_of("239.255.1.7"), false); /* never was */
  cr_expect(mal_leases_use(w.bed.leases, first, &leased, &more) && leased == 0 && more == 10);
  cr_assert_eq(lease(&w.bed, "a", 10, 600, NULL), MAL_ANSWER_GRANTED);
  mal_leases_suspend(w.bed.leases, span_of("239.255.1.6-239.255.1.9"), true);
  cr_expect(mal_leases_use(w.bed.leases, first, &leased, &more) && leased == 10 && more == 0);
  for (size_t i = 0; i < G_N_ELEMENTS(spans); i++)
    mal_leases_suspend(w.bed.leases, span_of(spans[i]), false);
  cr_expect(mal_leases_use(w.bed.leases, first, &leased, &more) && more == 2);
  bed_clear(&w.bed);
}

/* ---- a plan under a layer 2 ------------------------------------------------------------------ */

#define FAR "[range far]\nscope=local\nfirst=239.255.7.0\nlast=239.255.7.15\n"

/* What is owned stays where a range of its scope has all of it, no longer than that. */
Test(leases_wait, what_is_owned_under_a_new_plan)
{
  static const struct {
    const char *plan;
    bool stays;
    MalTime until;
  } rows[] = {
    { SCOPES FAR LAB, true, MAL_FOREVER },
    { SCOPES FAR LAB "until=2026-01-01T01:00:00Z\n", true, FAKE_START + 3600 },
    { SCOPES FAR, false, 0 },
    { SCOPES "[range r]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.3\n", false, 0 },
    { "[scope local]\nfamily=ipv4\nfirst=239.254.0.0\nlast=239.254.255.255\n"
      "[scope other]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"
      "[range lab]\nscope=other\nfirst=239.255.1.0\nlast=239.255.1.15\n",
      false, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    for (unsigned leased = 0; leased <= 1; leased++) {
      World w = world_of(SCOPES LAB);
      mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
      own(&w, "239.255.1.0-239.255.1.7", MAL_FOREVER);
      if (leased)
        cr_assert_eq(lease(&w.bed, "a", 8, 600, NULL), MAL_ANSWER_GRANTED);
      cr_expect_eq(could_replan(&w.bed, rows[i].plan), rows[i].stays || !leased, "row %zu", i);
      cr_expect_eq(replan(&w.bed, rows[i].plan, NULL), rows[i].stays || !leased, "row %zu", i);
      const MalRange *r = mal_space_containing(w.bed.space, MAL_LEVEL_OWNED,
                                               span_of("239.255.1.0").first);
      cr_expect_eq(r != NULL, rows[i].stays || leased, "row %zu", i);
      cr_expect(!rows[i].stays || r->until == rows[i].until, "row %zu", i);
      mal_leases_check(w.bed.leases, FAKE_START);
      bed_clear(&w.bed);
    }
  }
}

/* Ranges that no configuration brought. */
Test(leases_wait, a_plan_beside_ranges_of_others)
{
  static const struct {
    bool acquires;
    const char *plan, *says;
  } rows[] = {
    { false, SCOPES LAB, NULL },
    { true, SCOPES LAB, NULL },
    { true, "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.8.255\n" LAB,
      "would lie outside" },
    { true, "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n",
      "would lie outside" },
    { false, "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n",
      "would lie outside" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w = world_of(SCOPES LAB);
    g_autoptr(GError) error = NULL;
    if (rows[i].acquires)
      mal_space_set_acquire(w.bed.space, acquire, NULL, &w);
    cr_assert(mal_space_add(w.bed.space, MAL_LEVEL_AVAILABLE, "local",
                            span_of("239.255.9.0-239.255.9.15"), MAL_FOREVER, "hand", "control",
                            NULL));
    if (rows[i].acquires)
      own(&w, "239.255.9.0-239.255.9.7", MAL_FOREVER);
    cr_expect_eq(could_replan(&w.bed, rows[i].plan), rows[i].says == NULL, "row %zu", i);
    cr_expect_eq(replan(&w.bed, rows[i].plan, &error), rows[i].says == NULL, "row %zu", i);
    cr_expect(rows[i].says == NULL || strstr(error->message, rows[i].says), "row %zu: %s", i,
              error ? error->message : "");
    cr_expect_not_null(
        mal_space_containing(w.bed.space, MAL_LEVEL_OWNED, span_of("239.255.9.0").first), "row %zu",
        i);
    bed_clear(&w.bed);
  }
}

/* Of a lease of the store, what is owned already is not adopted again. */
static bool adopt(const MalScope *scope, MalSpan span, MalTime until, void *data)
{
  World *w = data;
  w->calls++;
  return mal_space_add(w->bed.space, MAL_LEVEL_OWNED, scope->id, span, until, "t", "test", NULL);
}

Test(leases_wait, a_lease_of_which_half_is_owned_is_adopted)
{
  static const struct {
    const char *owned;
    bool adopts;
    unsigned calls;
    bool good;
  } rows[] = {
    { "239.255.1.0-239.255.1.3", true, 1, true },
    { NULL, true, 2, true },
    { NULL, false, 0, false },
  };
  const MalBlock blocks[] = { mal_block_make(span_of("239.255.1.2").first, 2),
                              mal_block_make(span_of("239.255.1.8").first, 1) };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w = world_of(SCOPES LAB);
    unsigned superseded = 0;
    MalLease stored = { .id = id_of("old"),
                        .scope = "local",
                        .blocks = blocks,
                        .n_blocks = 2,
                        .start = FAKE_START - 10,
                        .end = FAKE_START + 100,
                        .granted = FAKE_START - 10,
                        .origin = "madcap" };
    mal_space_set_acquire(w.bed.space, acquire, rows[i].adopts ? adopt : NULL, &w);
    if (rows[i].owned)
      own(&w, rows[i].owned, MAL_FOREVER);
    cr_expect_eq(mal_leases_restore(w.bed.leases, &stored, FAKE_START, &superseded, NULL),
                 rows[i].good, "row %zu", i);
    cr_expect_eq(w.calls, rows[i].calls, "row %zu", i);
    bed_clear(&w.bed);
  }
}
