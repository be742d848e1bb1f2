/* The engine where plain use seldom comes: nobody to acquire, starts to come, holds before a count,
   a step of the clock while somebody waits. */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>

static MalTime now_of(const Bed *b)
{
  return mal_runtime_now(b->rt);
}

static MalBlock block_of(const char *first, uint32_t count)
{
  MalSpan span = { 0 };
  cr_assert(mal_span_parse(first, &span, NULL));
  return mal_block_make(span.first, count);
}

static void hears_demand(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                         void *data)
{
  (void)level, (void)scope, (void)count;
  *(MalTime *)data = until;
}

/* All that is there is leased for five minutes, and somebody hears what is wanted. */
static Bed full_bed(MalTime *wanted_until)
{
  Bed b = bed_of(SCOPES LAB);
  mal_space_set_demand(b.space, MAL_LEVEL_AVAILABLE, hears_demand, wanted_until);
  cr_assert_eq(lease(&b, "one", 1, 300, NULL), MAL_ANSWER_GRANTED);
  cr_assert_eq(lease(&b, "rest", 15, 300, NULL), MAL_ANSWER_GRANTED);
  return b;
}

Test(leases_corners, all_leases_without_a_filter)
{
  Bed b = bed_of(SCOPES LAB);
  MalLease view;
  uint64_t cursor = 0;
  lease(&b, "a", 2, 600, NULL);
  lease(&b, "b", 2, 600, NULL);
  unsigned n = 0;
  while (mal_leases_next(b.leases, NULL, &cursor, &view))
    n++;
  cr_assert_eq(n, 2);
  bed_clear(&b);
}

/* Counting begins with the first question: what is held then is no lease. */
Test(leases_corners, a_hold_that_is_there_when_counting_begins)
{
  Bed b = bed_of(SCOPES LAB);
  MalLeaseRequest r = request_of(&b, "held", 3, 60);
  r.client = block_of("239.255.1.0", 1).first;   /* any address will do */
  cr_assert(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, NULL));
  MalLeaseRequest s = request_of(&b, "leased", 2, 60);
  s.client = r.client;
  cr_assert_eq(ask(&b, &s, NULL), MAL_ANSWER_GRANTED);
  cr_assert_eq(mal_leases_client_addresses(b.leases, r.client), 2);
  bed_clear(&b);
}

/* Who waits is told after ten minutes, by whatever clock. */
Test(leases_corners, a_step_of_the_clock_while_somebody_waits)
{
  static const int64_t steps[] = { 5000, -5000 };
  for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
    MalTime until = 0;
    Bed b = full_bed(&until);
    MalLeaseRequest r = request_of(&b, "w", 17, 600);
    r.may_wait = true;
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
    fake_step_wall(b.fake, steps[i]);
    for (int second = 0; second < 590; second += 59) {
      expire(&b);
      cr_assert(mal_leases_is_waiting(b.leases, r.id), "step %zu, after %d s", i, second);
      fake_advance(b.fake, 59);
    }
    expire(&b);
    cr_assert(mal_leases_is_waiting(b.leases, r.id));
    cr_assert_eq(b.calls, 0);
    fake_advance(b.fake, 11);
    expire(&b);
    cr_assert_not(mal_leases_is_waiting(b.leases, r.id));
    cr_assert_eq(b.calls, 1);
    bed_clear(&b);
  }
}

Test(leases_corners, what_is_wanted_lasts_from_the_start_that_is_asked)
{
  MalTime until = 0;
  Bed b = full_bed(&until);
  MalLeaseRequest r = request_of(&b, "w", 17, 600);
  r.may_wait = true;
  r.start = r.max_start = now_of(&b) + 1000;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
  cr_assert_eq(until, now_of(&b) + 1600);
  bed_clear(&b);
}

/* Without a layer 2 that acquires, named addresses are to be had or not. */
Test(leases_corners, named_addresses_that_nobody_can_bring)
{
  MalTime until = 0;
  Bed b = full_bed(&until);
  MalBlock named = block_of("239.255.1.0", 1);
  MalLeaseRequest r = request_of(&b, "w", 1, 600);
  MalRefusal why;
  r.may_wait = true;
  r.named = &named;
  r.n_named = 1;
  cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
  cr_assert_eq(why.code, MAL_ERROR_NO_SPACE);
  bed_clear(&b);
}

Test(leases_corners, a_shorter_lease_where_nobody_can_make_it_longer)
{
  Bed b = bed_of(SCOPES "[range l]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.15\n"
                        "until=2026-01-01T02:00:00Z\n");
  MalLeaseRequest r = request_of(&b, "a", 1, 30 * 86400);
  r.min_lifetime = 60;
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  cr_assert_lt(b.end - b.start, 30 * 86400);
  bed_clear(&b);
}

/* A later start is only for who has waited in vain. */
Test(leases_corners, who_could_start_later_goes_on_waiting)
{
  MalTime until = 0;
  Bed b = full_bed(&until);
  MalLeaseRequest r = request_of(&b, "w", 4, 600);
  r.may_wait = true;
  r.max_start = now_of(&b) + 5000;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
  mal_leases_release(b.leases, id_of("one"), now_of(&b), "released", NULL, NULL, 0, NULL);
  fake_run(b.fake);
  cr_assert(mal_leases_is_waiting(b.leases, r.id), "one of four came");
  fake_advance(b.fake, 301);
  expire(&b);
  fake_run(b.fake);
  cr_assert_not(mal_leases_is_waiting(b.leases, r.id));
  cr_assert_eq(b.start, now_of(&b));
  bed_clear(&b);
}

Test(leases_corners, who_is_gone_is_not_told)
{
  MalTime until = 0;
  Bed b = full_bed(&until);
  MalLeaseRequest r = request_of(&b, "w", 17, 600);
  r.may_wait = true;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_WAITING);
  mal_leases_forget(b.leases, &until);
  cr_assert(mal_leases_is_waiting(b.leases, r.id), "somebody else's");
  mal_leases_forget(b.leases, &b);
  cr_assert_not(mal_leases_is_waiting(b.leases, r.id));
  fake_advance(b.fake, 700);
  expire(&b);
  cr_assert_eq(b.calls, 0);
  bed_clear(&b);
}

/* ---- what is refused, and how it is said ----------------------------------------------------- */

Test(leases_corners, too_late_for_several_is_a_matter_of_their_number)
{
  static const struct { uint32_t count; MalRefusedPart part; } rows[] = {
    { 1, MAL_REFUSED_START }, { 4, MAL_REFUSED_COUNT },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalTime until = 0;
    Bed b = full_bed(&until);
    MalRefusal why;
    MalLeaseRequest r = request_of(&b, "w", rows[i].count, 600);
    r.max_start = now_of(&b) + 100;     /* what is leased ends later */
    cr_assert_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED);
    cr_assert_eq(why.part, rows[i].part, "%u addresses", rows[i].count);
    bed_clear(&b);
  }
}

Test(leases_corners, a_start_to_come_is_not_late)
{
  Bed b = bed_of(SCOPES LAB);
  MalLeaseRequest r = request_of(&b, "a", 1, 600);
  r.may_wait = true;
  r.start = r.max_start = now_of(&b) + 1000;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  cr_assert_eq(b.start, r.start);
  bed_clear(&b);
}

Test(leases_corners, an_offer_for_later_says_what_is_missing_now)
{
  MalTime until = 0;
  Bed b = full_bed(&until);
  MalLease view;
  MalLeaseRequest r = request_of(&b, "w", 2, 600);
  r.may_wait = true;
  r.max_start = now_of(&b) + 5000;
  cr_assert(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, &view, NULL));
  cr_assert_gt(view.start, now_of(&b));
  cr_assert_eq(until, now_of(&b) + 600, "wanted from now on");
  bed_clear(&b);
}

Test(leases_corners, a_renewal_that_must_have_begun_before)
{
  Bed b = bed_of(SCOPES LAB);
  MalRefusal why;
  lease(&b, "a", 1, 600, NULL);
  MalRenewal renewal = { .start = now_of(&b) + 500, .max_start = now_of(&b) + 400,
                         .lifetime = 600, .min_lifetime = 600 };
  cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, now_of(&b), NULL, NULL, 0, &why),
               MAL_ANSWER_REFUSED);
  cr_assert_eq(why.part, MAL_REFUSED_START);
  bed_clear(&b);
}

/* ---- two scopes ------------------------------------------------------------------------------ */

#define BOTH SCOPES LAB "[range o]\nscope=org\nfirst=239.192.1.0\nlast=239.192.1.15\n"

typedef struct {
  unsigned asked;
  MalVerdict verdict;
} Arbiter;

static MalVerdict arbiter(uint64_t ticket, const MalScope *scope, MalSpan span, MalTime until,
                          void *data)
{
  Arbiter *a = data;
  (void)ticket, (void)scope, (void)span, (void)until;
  a->asked++;
  return a->verdict;
}

static unsigned owned_ranges(const Bed *b)
{
  g_autoptr(GPtrArray) ranges = mal_space_ranges(b->space, MAL_LEVEL_OWNED);
  return ranges->len;
}

static void ask_layer2(Bed *b, const char *scope, uint64_t count)
{
  const MalScope *s = mal_scope_set_find(mal_leases_scopes(b->leases), scope);
  mal_space_want(b->space, s, count, now_of(b) + 3600);
}

/* One is still thought about when the next is decided at once; both scopes are asked, so that what
   the other owns comes after what is looked at, whichever is first. */
Test(leases_corners, candidates_of_two_scopes)
{
  Bed b = bed_of(SCOPES);
  Arbiter a = { .verdict = MAL_VERDICT_LATER };
  mal_space_set_arbiter(b.space, arbiter, &a);
  cr_assert(replan(&b, BOTH, NULL));
  ask_layer2(&b, "local", 4);
  cr_assert_gt(a.asked, 0);
  cr_assert_eq(owned_ranges(&b), 0);
  a.verdict = MAL_VERDICT_YES;
  ask_layer2(&b, "org", 4);
  cr_assert_gt(owned_ranges(&b), 0);
  ask_layer2(&b, "local", 4);
  ask_layer2(&b, "org", 4);
  unsigned all = owned_ranges(&b);
  cr_assert_geq(all, 2);
  MalBlock first = block_of("239.192.1.0", 1), inside = block_of("239.192.1.5", 1);
  cr_assert_not(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, inside.first, NULL));
  cr_assert(mal_space_remove(b.space, MAL_LEVEL_AVAILABLE, first.first, NULL));
  cr_assert_lt(owned_ranges(&b), all);
  cr_assert_gt(owned_ranges(&b), 0, "the other scope's stay");
  bed_clear(&b);
}

/* ---- reserves and who watches them ----------------------------------------------------------- */

static void hears_of_reserves(void *data)
{
  ++*(unsigned *)data;
}

Test(leases_corners, a_reserve_of_nothing_and_a_watcher_that_goes_while_another_stays)
{
  Bed b = bed_of(SCOPES LAB);
  unsigned heard[2] = { 0 }, id[2];
  g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  MalReserve reserve = { (char *)"r", 0, none, NULL };
  for (size_t i = 0; i < 2; i++)
    id[i] = mal_leases_watch_reserved(b.leases, hears_of_reserves, &heard[i]);
  cr_assert(mal_leases_reserve_add(b.leases, &reserve, now_of(&b), NULL));
  g_autoptr(GArray) spans = mal_leases_reserved(b.leases);
  cr_expect_eq(spans->len, 0);
  mal_leases_unwatch_reserved(b.leases, id[0]);
  cr_assert(mal_leases_reserve_remove(b.leases, "r", NULL));
  cr_expect(heard[0] == 1 && heard[1] == 2, "%u, %u", heard[0], heard[1]);
  mal_leases_unwatch_reserved(b.leases, id[1]);
  bed_clear(&b);
}

/* ---- what is free is shorter than its padding ------------------------------------------------ */

/* RFC 2730 2.2.4, 2.13.3: what is left before an advance lease may be too short for anything. */
Test(leases_corners, what_is_free_may_be_shorter_than_the_padding)
{
  static const struct {
    int64_t free, least, got;   /* seconds until the advance lease; what is wanted at least */
  } rows[] = { { 200, 60, 100 }, { 161, 60, 61 }, { 159, 60, 0 }, { 90, 1, 0 } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES "[range l]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.0\n");
    MalLeaseRequest later = request_of(&b, "later", 1, 600), r = request_of(&b, "now", 1, 600);
    MalRefusal why;
    later.start = later.max_start = now_of(&b) + rows[i].free;
    cr_assert_eq(ask(&b, &later, NULL), MAL_ANSWER_GRANTED);
    r.min_lifetime = rows[i].least;
    r.pad = 100;
    cr_expect_eq(ask(&b, &r, &why), rows[i].got > 0 ? MAL_ANSWER_GRANTED : MAL_ANSWER_REFUSED,
                 "row %zu", i);
    cr_expect(rows[i].got == 0 || b.end - b.start == rows[i].got, "row %zu: %d s", i,
              (int)(b.end - b.start));
    bed_clear(&b);
  }
}

/* ---- rows of what is over -------------------------------------------------------------------- */

static MalLease stored_of(const char *id, const MalBlock *block, int64_t from, int64_t until)
{
  return (MalLease){ .id = id_of(id), .scope = "local", .blocks = block, .n_blocks = 1,
                     .start = FAKE_START + from, .end = FAKE_START + until, .origin = "madcap" };
}

static void restore(Bed *b, const MalLease *lease)
{
  g_autoptr(GError) error = NULL;
  unsigned superseded = 0;
  cr_assert(mal_leases_restore(b->leases, lease, FAKE_START, &superseded, &error), "%s",
            error ? error->message : "");
}

static uint64_t changes_of(const Bed *b)
{
  return mal_store_counters(b->store).changes;
}

Test(leases_corners, rows_of_leases_that_ended_unseen_or_gave_way_are_dropped)
{
  Bed b = bed_of(SCOPES LAB);
  MalBlock block = block_of("239.255.1.3", 1), nowhere = block_of("239.200.0.1", 1);
  MalLease rows[] = { stored_of("over", &nowhere, -100, 0), stored_of("again", &block, -100, -1),
                      stored_of("gives way", &block, -100, 50), stored_of("alive", &block, 0, 50) };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    restore(&b, &rows[i]);
  fake_run(b.fake);
  cr_assert_eq(changes_of(&b), 0, "a start that fails writes nothing");
  mal_store_memory_hold(b.store, true);
  expire(&b);
  cr_assert_eq(changes_of(&b), 3, "all but the one that lives");
  mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  mal_store_memory_fail(b.store, NULL);
  fake_run(b.fake);
  cr_expect_eq(changes_of(&b), 6, "again, since the disk had refused");
  expire(&b);
  fake_run(b.fake);
  cr_expect_eq(changes_of(&b), 6, "once is enough");
  bed_clear(&b);
}

Test(leases_corners, many_rows_are_dropped_in_several_batches)
{
  Bed b = bed_of(SCOPES LAB);
  MalBlock block = block_of("239.255.1.3", 1);
  for (unsigned i = 0; i < 10000; i++) {
    char id[16];
    g_snprintf(id, sizeof id, "row%u", i);
    MalLease row = stored_of(id, &block, -100, -1);
    restore(&b, &row);
  }
  expire(&b);
  fake_run(b.fake);
  cr_expect_eq(changes_of(&b), 10000);
  cr_expect_eq(mal_store_counters(b.store).batches, 3);
  bed_clear(&b);
}

Test(leases_corners, who_leased_anew_under_the_identifier_of_a_row_keeps_it)
{
  Bed b = bed_of(SCOPES LAB);
  MalBlock block = block_of("239.255.1.3", 1);
  MalLease row = stored_of("a", &block, -100, -1);
  restore(&b, &row);
  cr_assert_eq(lease(&b, "a", 1, 600, NULL), MAL_ANSWER_GRANTED);
  uint64_t before = changes_of(&b);
  expire(&b);
  fake_run(b.fake);
  cr_expect_eq(changes_of(&b), before);
  bed_clear(&b);
}
