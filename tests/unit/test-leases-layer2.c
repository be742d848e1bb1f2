/* Layer 2 that chooses for itself what it owns: what it is asked for, and what it may say (RFC
   2908; AAP: draft-ietf-malloc-aap-04 3.2.3, 3.2.9). */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

typedef struct {
  Bed bed;
  unsigned calls, adopted;
  char scope[16];
  MalSpan span;
  uint64_t count;
  MalTime until;
  bool adopts;
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
  w->calls++;
  g_strlcpy(w->scope, scope->id, sizeof w->scope);
  w->span = span;
  w->count = count;
  w->until = until;
}

static void own(World *w, const char *text, MalTime until)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_space_add(w->bed.space, MAL_LEVEL_OWNED, "local", span_of(text), until, "t", "test",
                          &error),
            "%s", error ? error->message : "");
}

static bool adopt(const MalScope *scope, MalSpan span, MalTime until, void *data)
{
  World *w = data;
  w->adopted++;
  return w->adopts &&
         mal_space_add(w->bed.space, MAL_LEVEL_OWNED, scope->id, span, until, "t", "test", NULL);
}

static void set_up(World *w)
{
  *w = (World){ .bed = bed_of(SCOPES LAB) };
  mal_space_set_acquire(w->bed.space, acquire, adopt, w);
}

static MalLeaseRequest waiting(World *w, const char *id, uint32_t count, int64_t lifetime)
{
  MalLeaseRequest r = request_of(&w->bed, id, count, lifetime);
  r.may_wait = true;
  return r;
}

Test(leases_layer2, all_who_wait_are_counted_and_served_as_space_comes)
{
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  MalLeaseRequest a = waiting(&w, "a", 2, 600), b = waiting(&w, "b", 3, 600);
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  cr_assert(w.calls == 1 && w.count == 2 && w.until == now + 600 &&
            w.span.first.family == MAL_FAMILY_NONE);
  cr_assert_eq(ask(&w.bed, &b, NULL), MAL_ANSWER_WAITING);
  cr_assert(w.calls == 2 && w.count == 5, "%u", (unsigned)w.count);
  w.bed.calls = 0;
  own(&w, "239.255.1.0-239.255.1.1", now + 700);
  fake_run(w.bed.fake);
  cr_assert(w.bed.calls == 1 && w.bed.code == -1 && !mal_leases_is_waiting(w.bed.leases, a.id));
  cr_assert(w.calls == 3 && w.count == 3, "what is missing is said at once");
  own(&w, "239.255.1.2-239.255.1.7", now + 700);
  fake_run(w.bed.fake);
  cr_assert(w.bed.calls == 2 && w.calls == 3 && !mal_leases_is_waiting(w.bed.leases, b.id));
  bed_clear(&w.bed);
}

Test(leases_layer2, who_is_denied_hears_why_at_once)
{
  World w;
  set_up(&w);
  g_autoptr(GError) why =
      g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "all of it is taken by others");
  MalLeaseRequest a = waiting(&w, "a", 2, 600);
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  mal_space_deny(w.bed.space, mal_scope_set_find(mal_leases_scopes(w.bed.leases), "org"), why);
  fake_run(w.bed.fake);
  cr_assert_eq(w.bed.calls, 0, "another scope");
  mal_space_deny(w.bed.space, a.scope, why);
  cr_assert_eq(w.bed.calls, 0, "never from inside the call");
  fake_run(w.bed.fake);
  cr_assert(w.bed.calls == 1 && w.bed.code == MAL_ERROR_NO_SPACE &&
            !mal_leases_is_waiting(w.bed.leases, a.id));
  bed_clear(&w.bed);
}

/* Whoever waits on hears at the end what was said last of those who name no addresses. */
Test(leases_layer2, who_has_waited_in_vain_hears_what_layer_2_said_last)
{
  World w;
  set_up(&w);
  g_autoptr(GError) early =
      g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "nobody is there yet");
  g_autoptr(GError) late = g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "others have it");
  MalLeaseRequest a = waiting(&w, "a", 2, 600);
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  mal_space_explain(w.bed.space, a.scope, late);
  mal_space_explain(w.bed.space, a.scope, early);
  mal_space_explain(w.bed.space, a.scope, late);
  mal_space_explain(w.bed.space, mal_scope_set_find(mal_leases_scopes(w.bed.leases), "org"), early);
  fake_run(w.bed.fake);
  cr_assert(w.bed.calls == 0 && mal_leases_is_waiting(w.bed.leases, a.id));
  fake_advance(w.bed.fake, 601);
  expire(&w.bed);
  cr_assert(w.bed.calls == 1 && w.bed.code == MAL_ERROR_NO_SPACE);
  cr_assert_str_eq(w.bed.text, "no space came within ten minutes: others have it");
  bed_clear(&w.bed);
}

Test(leases_layer2, what_layer_2_says_at_last_is_for_who_named_nothing_and_was_not_denied)
{
  World w;
  set_up(&w);
  g_autoptr(GError) denied = g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "not these");
  g_autoptr(GError) said = g_error_new_literal(MAL_ERROR, MAL_ERROR_LIMIT, "others have it");
  MalBlock named = mal_block_make(span_of("239.255.1.5").first, 1);
  MalLeaseRequest r[] = { waiting(&w, "a", 1, 600), waiting(&w, "b", 1, 600) };
  r[0].named = &named;
  r[0].n_named = 1;
  for (size_t i = 0; i < 2; i++) {
    cr_assert_eq(ask(&w.bed, &r[i], NULL), MAL_ANSWER_WAITING);
    mal_space_explain(w.bed.space, r[i].scope, said);
    mal_space_deny(w.bed.space, r[i].scope, denied);
    mal_space_explain(w.bed.space, r[i].scope, said);
    fake_run(w.bed.fake);
    cr_expect(w.bed.calls == 1 && w.bed.code == MAL_ERROR_NO_SPACE, "%zu: %d", i, w.bed.code);
  }
  bed_clear(&w.bed);
}

/* Of several named blocks one is enough, and no other request hears of it. */
Test(leases_layer2, who_named_what_is_denied_hears_why)
{
  static const struct {
    const char *span;
    bool told;
  } rows[] = {
    { "239.255.1.0-239.255.1.4", false },
    { "239.255.1.6-239.255.1.8", false },
    { "239.255.1.5", true },
    { "239.255.1.8-239.255.1.10", true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    g_autoptr(GError) why = g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "not these");
    MalBlock named[] = { mal_block_make(span_of("239.255.1.5").first, 1),
                         mal_block_make(span_of("239.255.1.9").first, 2) };
    set_up(&w);
    MalLeaseRequest r = waiting(&w, "a", 3, 600), any = waiting(&w, "b", 1, 600);
    r.named = named;
    r.n_named = 2;
    cr_assert_eq(ask(&w.bed, &r, NULL), MAL_ANSWER_WAITING);
    cr_assert_eq(ask(&w.bed, &any, NULL), MAL_ANSWER_WAITING);
    w.bed.calls = 0;
    mal_space_deny_named(w.bed.space, r.scope, span_of(rows[i].span), why);
    fake_run(w.bed.fake);
    cr_expect_eq(w.bed.calls, rows[i].told, "row %zu", i);
    cr_expect_eq(mal_leases_is_waiting(w.bed.leases, r.id), !rows[i].told, "row %zu", i);
    cr_expect(mal_leases_is_waiting(w.bed.leases, any.id), "row %zu", i);
    bed_clear(&w.bed);
  }
}

Test(leases_layer2, named_addresses_that_are_available_are_asked_for)
{
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  MalBlock mine = mal_block_make(span_of("239.255.1.5").first, 2),
           far = mal_block_make(span_of("239.255.7.5").first, 1);
  MalLeaseRequest r = waiting(&w, "a", 2, 600), outside = waiting(&w, "b", 1, 600);
  MalRefusal refusal;
  r.named = &mine;
  outside.named = &far;
  r.n_named = outside.n_named = 1;
  cr_assert_eq(ask(&w.bed, &outside, &refusal), MAL_ANSWER_REFUSED);
  cr_assert(w.calls == 0 && refusal.part == MAL_REFUSED_NAMED);
  cr_assert_eq(ask(&w.bed, &r, NULL), MAL_ANSWER_WAITING);
  cr_assert(w.calls == 1 && w.count == 0 && mal_address_equal(w.span.first, mine.first) &&
            w.until == now + 600);
  own(&w, "239.255.1.5-239.255.1.6", now + 600);
  fake_run(w.bed.fake);
  cr_assert_str_eq(w.bed.text, "239.255.1.5-239.255.1.6");
  cr_assert_eq(ask(&w.bed,
                   &(MalLeaseRequest){ .id = id_of("c"),
                                       .scope = r.scope,
                                       .min = 2,
                                       .desired = 2,
                                       .named = &mine,
                                       .n_named = 1,
                                       .max_start = now,
                                       .lifetime = 60,
                                       .origin = "madcap",
                                       .may_wait = true },
                   &refusal),
               MAL_ANSWER_REFUSED, "leased: layer 2 can't help");
  cr_assert_eq(w.calls, 1);
  bed_clear(&w.bed);
}

Test(leases_layer2, what_is_owned_for_too_short_is_extended_rather_than_cut)
{
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  own(&w, "239.255.1.0-239.255.1.7", now + 100);
  MalLeaseRequest a = waiting(&w, "a", 1, 600);
  a.min_lifetime = 0;
  cr_assert_eq(ask(&w.bed, &a, NULL), MAL_ANSWER_WAITING);
  cr_assert(w.calls == 1 && w.until == now + 600);
  cr_assert(mal_space_set_until(w.bed.space, MAL_LEVEL_OWNED, span_of("239.255.1.0").first,
                                now + 1000, NULL));
  fake_run(w.bed.fake);
  cr_assert(w.bed.calls == 1 && w.bed.end == now + 600, "%d", (int)(w.bed.end - now));
  /* Where that can't be, the shorter one is what there is. */
  MalLeaseRequest b = waiting(&w, "b", 1, 5000);
  b.min_lifetime = 0;
  cr_assert_eq(ask(&w.bed, &b, NULL), MAL_ANSWER_WAITING);
  g_autoptr(GError) why = g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "no");
  mal_space_deny(w.bed.space, b.scope, why);
  fake_run(w.bed.fake);
  cr_assert(w.bed.code == -1 && w.bed.end == now + 1000);
  bed_clear(&w.bed);
}

Test(leases_layer2, a_renewal_beyond_what_is_owned_asks_for_more_of_its_addresses)
{
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  own(&w, "239.255.1.0-239.255.1.7", now + 100);
  cr_assert_eq(lease(&w.bed, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = now, .lifetime = 600 };
  MalBlock mine = { 0 };
  MalLease got;
  cr_assert(mal_leases_get(w.bed.leases, id_of("a"), &got));
  mine = got.blocks[0];
  cr_assert_eq(mal_leases_renew(w.bed.leases, id_of("a"), &renewal, now, done, &w.bed, 0, NULL),
               MAL_ANSWER_GRANTED);
  fake_run(w.bed.fake);
  cr_assert_eq(w.bed.end, now + 100);
  cr_assert(w.calls == 1 && mal_address_equal(w.span.first, mine.first) &&
                w.until == now + 600 + 600,
            "who comes again counts from then");
  bed_clear(&w.bed);
}

Test(leases_layer2, a_suspended_address_stays_with_its_holder_and_goes_to_nobody_else)
{
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  own(&w, "239.255.1.0-239.255.1.1", now + 10000);
  cr_assert_eq(lease(&w.bed, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  mal_leases_suspend(w.bed.leases, span_of("239.255.1.0-239.255.1.1"), true);
  mal_leases_suspend(w.bed.leases, span_of("239.255.1.0-239.255.1.1"), true);
  MalRefusal refusal;
  cr_assert_eq(lease(&w.bed, "b", 1, 60, &refusal), MAL_ANSWER_REFUSED);
  MalRenewal renewal = {
    .start = MAL_BEGINNING, .max_start = now, .lifetime = 600, .min_lifetime = 600
  };
  cr_assert_eq(mal_leases_renew(w.bed.leases, id_of("a"), &renewal, now, done, &w.bed, 0, NULL),
               MAL_ANSWER_GRANTED);
  fake_run(w.bed.fake);
  cr_assert_eq(w.bed.end, now + 600);
  g_autoptr(GError) error = NULL;
  cr_assert(replan(&w.bed, SCOPES LAB "exclude=239.255.1.9\n", &error), "%s",
            error ? error->message : "");
  cr_assert_eq(lease(&w.bed, "b", 1, 60, &refusal), MAL_ANSWER_REFUSED,
               "a new plan changes nothing of it");
  mal_leases_suspend(w.bed.leases, span_of("239.255.1.0-239.255.1.1"), false);
  cr_assert_eq(lease(&w.bed, "b", 1, 60, NULL), MAL_ANSWER_GRANTED);
  bed_clear(&w.bed);
}

static GArray *spans_of(const char *const *texts)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  for (; *texts; texts++) {
    MalSpan span = span_of(*texts);
    g_array_append_val(out, span);
  }
  return out;
}

/* Of four addresses: what is suspended instead of what was. */
Test(leases_layer2, one_set_of_suspensions_after_another)
{
#define A "239.255.1.0"
#define B "239.255.1.1"
#define C "239.255.1.2"
  static const struct {
    const char *before[4], *after[4];
    unsigned free;
  } rows[] = {
    { { A, B }, { B, C }, 2 },       { { B }, { A, B, C }, 1 },     { { A, B, C }, { B }, 3 },
    { { A, C }, { NULL }, 4 },       { { NULL }, { A, C }, 2 },     { { A, B }, { A, B }, 2 },
    { { A "-239.255.1.1" }, { A }, 3 }, { { A }, { A "-239.255.1.2" }, 1 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    g_autoptr(GArray) none = spans_of((const char *const[]){ NULL });
    g_autoptr(GArray) before = spans_of(rows[i].before), after = spans_of(rows[i].after);
    unsigned n = 0;
    set_up(&w);
    own(&w, "239.255.1.0-239.255.1.3", mal_runtime_now(w.bed.rt) + 10000);
    mal_leases_suspend_instead(w.bed.leases, before, none);
    mal_leases_suspend_instead(w.bed.leases, after, before);
    for (unsigned k = 0; k < 4; k++) {
      char id[] = { (char)('a' + k), '\0' };
      n += lease(&w.bed, id, 1, 60, NULL) == MAL_ANSWER_GRANTED;
    }
    cr_expect_eq(n, rows[i].free, "row %zu: %u", i, n);
    bed_clear(&w.bed);
  }
#undef A
#undef B
#undef C
}

/* Who may suspend is anybody who sends AAP: a renewal must not pay for what is not its own. */
Test(leases_layer2, a_renewal_costs_the_same_however_much_else_is_suspended, .timeout = 60)
{
  World w = { .bed = bed_of(SCOPES "[range big]\nscope=local\nfirst=239.255.1.0\n"
                                   "last=239.255.64.255\n") };
  mal_space_set_acquire(w.bed.space, acquire, adopt, &w);
  MalTime now = mal_runtime_now(w.bed.rt);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = now, .lifetime = 600 };
  own(&w, "239.255.1.0-239.255.64.255", now + 10000);
  cr_assert_eq(lease(&w.bed, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  for (uint32_t i = 0; i < 2000; i++) {
    MalAddress at = mal_address_ipv4(0xefff2000 + 2 * i);
    mal_leases_suspend(w.bed.leases, (MalSpan){ at, at }, true);
  }
  clock_t began = clock();
  for (unsigned i = 0; i < 100; i++) {
    cr_assert_eq(mal_leases_renew(w.bed.leases, id_of("a"), &renewal, now, done, &w.bed, 0, NULL),
                 MAL_ANSWER_GRANTED);
    fake_run(w.bed.fake);
  }
  cr_expect_lt(clock() - began, CLOCKS_PER_SEC, "%.1f s for 100 renewals",
               (double)(clock() - began) / CLOCKS_PER_SEC);
  bed_clear(&w.bed);
}

Test(leases_layer2, revoking_ends_what_touches_the_span_and_nothing_else)
{
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  own(&w, "239.255.1.0-239.255.1.3", now + 10000);
  mal_leases_watch(w.bed.leases, on_change, &w.bed);
  cr_assert_eq(lease(&w.bed, "a", 1, 60, NULL), MAL_ANSWER_GRANTED);
  MalLease got;
  cr_assert(mal_leases_get(w.bed.leases, id_of("a"), &got));
  MalSpan hit = mal_span_of_block(got.blocks[0]);
  cr_assert_eq(lease(&w.bed, "b", 1, 60, NULL), MAL_ANSWER_GRANTED);
  uint64_t leased, more;
  cr_assert(mal_leases_use(w.bed.leases, span_of("239.255.1.0").first, &leased, &more) &&
            leased == 2 && more == 2);
  cr_assert_not(mal_leases_use(w.bed.leases, span_of("239.255.1.1").first, &leased, &more));
  mal_leases_suspend(w.bed.leases, hit, true);
  mal_leases_revoke(w.bed.leases, hit);
  fake_run(w.bed.fake);
  cr_assert_eq(w.bed.changes[MAL_LEASE_REVOKED], 1);
  cr_assert(!mal_leases_get(w.bed.leases, id_of("a"), &got) &&
            mal_leases_get(w.bed.leases, id_of("b"), &got));
  bed_clear(&w.bed);
}

Test(leases_layer2, a_lease_of_the_store_where_nothing_is_owned_is_adopted_or_refused)
{
  static const bool cases[] = { true, false };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    World w;
    set_up(&w);
    MalTime now = mal_runtime_now(w.bed.rt);
    MalBlock block = mal_block_make(span_of("239.255.1.4").first, 2);
    MalLease stored = { .id = id_of("old"),
                        .scope = "local",
                        .blocks = &block,
                        .n_blocks = 1,
                        .start = now - 10,
                        .end = now + 100,
                        .granted = now - 10,
                        .client = mal_address_ipv4(0xc0000207),
                        .origin = "madcap" };
    unsigned superseded = 0;
    g_autoptr(GError) error = NULL;
    w.adopts = cases[i];
    cr_assert_eq(mal_leases_restore(w.bed.leases, &stored, now, &superseded, &error), cases[i]);
    cr_assert(w.adopted == 1 && (error != NULL) == !cases[i]);
    MalLease got;
    cr_assert_eq(mal_leases_get(w.bed.leases, id_of("old"), &got), cases[i]);
    bed_clear(&w.bed);
  }
}

/* Nobody waits for a time that no space lasts, where less would do. */
Test(leases_layer2, it_is_wanted_no_longer_than_anything_lasts_if_that_will_do)
{
  static const struct {
    int64_t lifetime, min_lifetime, pad, until;
  } rows[] = {
    { 600, 600, 0, 600 },   { 5000, 0, 0, 1000 },     { 5000, 1000, 0, 1000 },
    { 5000, 1001, 0, 5000 }, { 5000, 900, 100, 1000 }, { 5000, 900, 101, 5101 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    set_up(&w);
    MalTime now = mal_runtime_now(w.bed.rt);
    cr_assert(mal_space_set_until(w.bed.space, MAL_LEVEL_AVAILABLE, span_of("239.255.1.0").first,
                                  now + 1000, NULL));
    MalLeaseRequest r = waiting(&w, "a", 2, rows[i].lifetime);
    r.min_lifetime = rows[i].min_lifetime;
    r.pad = rows[i].pad;
    cr_assert_eq(ask(&w.bed, &r, NULL), MAL_ANSWER_WAITING);
    cr_expect_eq(w.until, now + rows[i].until, "row %zu", i);
    own(&w, "239.255.1.0-239.255.1.15", now + 1000);
    fake_run(w.bed.fake);
    cr_expect_eq(w.bed.calls, rows[i].until <= 1000, "row %zu", i);
    cr_expect(rows[i].until > 1000 || w.bed.end == now + MIN(rows[i].lifetime, 1000 - rows[i].pad),
              "row %zu", i);
    bed_clear(&w.bed);
  }
}

/* What is reserved, excluded or leased here already is nothing that layer 2 could bring, also where
   it could bring the rest. */
Test(leases_layer2, named_addresses_that_nobody_may_have_are_refused_at_once)
{
  static const struct {
    const char *named, *says;
    int64_t pad;                /* that would reach to before the lease, where it is free */
  } rows[] = {
    { "239.255.1.3", "reserve r holds some of 239.255.1.3", 0 },
    { "239.255.1.2-239.255.1.3", "reserve r holds some of 239.255.1.2-239.255.1.3", 0 },
    { "239.255.1.9", "range lab excludes some of 239.255.1.9", 0 },
    { "239.255.1.12-239.255.1.13", "lease 61 holds some of 239.255.1.12-239.255.1.13", 0 },
    { "239.255.1.12-239.255.1.13", "lease 61 holds some of 239.255.1.12-239.255.1.13", 60 },
  };
  World w = { .bed = bed_of(SCOPES LAB "exclude=239.255.1.9\n"
                                       "[reserve r]\nscope=local\naddresses=239.255.1.3\n") };
  mal_space_set_acquire(w.bed.space, acquire, adopt, &w);
  MalTime now = mal_runtime_now(w.bed.rt);
  own(&w, "239.255.1.12", now + 3600);
  MalLeaseRequest first = waiting(&w, "a", 1, 600);
  cr_assert_eq(ask(&w.bed, &first, NULL), MAL_ANSWER_GRANTED);
  fake_run(w.bed.fake);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalSpan span = span_of(rows[i].named);
    MalBlock named = mal_block_make(span.first, (uint32_t)mal_span_size(span));
    MalLeaseRequest r = waiting(&w, "b", named.count, 600);
    MalRefusal why;
    r.named = &named;
    r.n_named = 1;
    r.pad = rows[i].pad;
    cr_assert_eq(ask(&w.bed, &r, &why), MAL_ANSWER_REFUSED, "%s", rows[i].named);
    g_autoptr(GError) error = mal_leases_refusal_error(w.bed.leases, &r, now, &why);
    cr_expect(strstr(error->message, rows[i].says), "%s: %s", rows[i].named, error->message);
  }
  /* After that lease they could be had. */
  MalBlock named = mal_block_make(span_of("239.255.1.12").first, 2);
  MalLeaseRequest later = waiting(&w, "c", 2, 600);
  later.named = &named;
  later.n_named = 1;
  later.start = later.max_start = now + 1800;
  cr_expect_eq(ask(&w.bed, &later, NULL), MAL_ANSWER_WAITING);
  bed_clear(&w.bed);
}

/* Who was offered some of what he names has that already: for the rest he waits. */
Test(leases_layer2, what_is_held_for_who_names_it_is_not_taken)
{
  static const struct {
    const char *id;
    MalAnswer answer;
  } rows[] = { { "x", MAL_ANSWER_REFUSED }, { "h", MAL_ANSWER_WAITING } };
  World w;
  set_up(&w);
  MalTime now = mal_runtime_now(w.bed.rt);
  MalBlock offered = mal_block_make(span_of("239.255.1.12").first, 1);
  MalBlock named = mal_block_make(offered.first, 2);
  MalLeaseRequest hold = request_of(&w.bed, "h", 1, 600);
  own(&w, "239.255.1.12", now + 3600);
  hold.named = &offered;
  hold.n_named = 1;
  cr_assert(mal_leases_hold(w.bed.leases, &hold, now, now + 60, NULL, NULL));
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalLeaseRequest r = waiting(&w, rows[i].id, 2, 600);
    r.named = &named;
    r.n_named = 1;
    cr_expect_eq(ask(&w.bed, &r, NULL), rows[i].answer, "%s", rows[i].id);
  }
  bed_clear(&w.bed);
}
