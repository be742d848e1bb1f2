/* The engine where it is full, where its short forms end, and where two batches are on their
   way. */
#include "core/store-private.h"
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define BIG                                                                                        \
  "[scope local]\nfamily=ipv4\nfirst=239.0.0.0\nlast=239.255.255.255\n"                            \
  "[range big]\nscope=local\nfirst=239.1.0.0\nlast=239.8.255.255\n"
#define HOLDS_MOST (1u << 17)
#define WAITING_MOST 4096

static MalTime now_of(const Bed *b)
{
  return mal_runtime_now(b->rt);
}

/* ---- as much as there may be ----------------------------------------------------------------- */

static MalLeaseId number(uint32_t i, char *text)
{
  g_snprintf(text, 16, "n%u", i);
  return id_of(text);
}

/* An offer costs its sender nothing: there are so many at most, and each is found among all. */
Test(leases_bounds, offers_are_bounded_as_a_whole)
{
  Bed b = bed_of(BIG);
  char text[16];
  MalRefusal why = { 0 };
  MalLease view;
  MalLeaseRequest r = request_of(&b, "", 1, 60);

  for (uint32_t i = 0; i < HOLDS_MOST; i++) {
    r.id = number(i, text);
    r.client = mal_address_ipv4(0x0a000000 + i);
    cr_assert(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, &why), "%u", i);
  }
  r.id = id_of("one more");
  cr_expect_not(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, &why));
  cr_expect(why.code == MAL_ERROR_LIMIT && why.part == MAL_REFUSED_OTHER);
  r.id = id_of("n5");
  cr_expect(mal_leases_hold(b.leases, &r, now_of(&b), now_of(&b) + 60, NULL, &why),
            "again, not more");
  for (uint32_t i = 0; i < HOLDS_MOST; i += 2) {
    cr_assert(mal_leases_get_hold(b.leases, number(i, text), &view), "%u", i);
    cr_assert(mal_lease_id_equal(view.id, id_of(text)), "%u", i);
    cr_assert(mal_leases_unhold(b.leases, id_of(text)), "%u", i);
  }
  for (uint32_t i = 0; i < HOLDS_MOST; i++)
    cr_assert_eq(mal_leases_get_hold(b.leases, number(i, text), &view), i % 2 == 1, "%u", i);
  mal_leases_check(b.leases, now_of(&b));
  bed_clear(&b);
}

static void claim(const MalScope *scope, MalSpan span, uint64_t count, MalTime until, void *data)
{
  (void)scope, (void)span, (void)count, (void)until, (void)data;
}

Test(leases_bounds, who_waits_is_bounded)
{
  Bed b = bed_of(SCOPES LAB);
  char text[16];
  MalRefusal why = { 0 };
  MalLeaseRequest r = request_of(&b, "", 1, 60);

  mal_space_set_acquire(b.space, claim, NULL, NULL);
  r.may_wait = true;
  for (uint32_t i = 0; i <= WAITING_MOST; i++) {
    r.id = number(i, text);
    MalAnswer answer = mal_leases_request(b.leases, &r, now_of(&b), NULL, NULL, 0, &why);
    cr_assert_eq(answer, i < WAITING_MOST ? MAL_ANSWER_WAITING : MAL_ANSWER_REFUSED, "%u", i);
  }
  cr_expect_eq(why.code, MAL_ERROR_NO_SPACE);
  cr_expect_eq(mal_leases_totals(b.leases, NULL).waiting, WAITING_MOST);
  r.id = number(7, text);
  cr_expect_eq(mal_leases_request(b.leases, &r, now_of(&b), NULL, NULL, 0, &why),
               MAL_ANSWER_REFUSED);
  cr_expect(why.code == MAL_ERROR_EXISTS && why.part == MAL_REFUSED_ID, "it waits already");
  bed_clear(&b);
}

/* More changes on their way than the ring had room for, begun in its middle. */
Test(leases_bounds, many_changes_on_their_way)
{
  Bed b = bed_of(BIG);
  char text[16];
  const MalScope *local = mal_scope_set_find(mal_leases_scopes(b.leases), "local");

  for (uint32_t i = 0; i < 240; i++) {
    MalLeaseRequest r = request_of(&b, number(i, text).bytes ? text : "", 1, 60);
    mal_store_memory_hold(b.store, i >= 40);
    cr_assert_eq(mal_leases_request(b.leases, &r, now_of(&b), done, &b, 0, NULL),
                 MAL_ANSWER_GRANTED);
    if (i < 40)
      fake_run(b.fake);
  }
  mal_leases_when_durable(b.leases, id_of("n200"), done, &b, 0);
  cr_expect_eq(b.calls, 40);
  cr_expect_eq(mal_leases_totals(b.leases, local).pending, 200);
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_expect_eq(b.calls, 241);
  cr_expect_eq(mal_leases_totals(b.leases, local).pending, 0);
  bed_clear(&b);
}

/* ---- where short forms end ------------------------------------------------------------------- */

static void restore(Bed *b, const char *scope, const char *id, MalBlock block, MalTime end,
                    const char *origin)
{
  MalLease lease = { .id = id_of(id),
                     .scope = scope,
                     .blocks = &block,
                     .n_blocks = 1,
                     .start = FAKE_START,
                     .end = end,
                     .granted = FAKE_START,
                     .client = mal_address_none(),
                     .origin = origin };
  unsigned superseded = 0;
  g_autoptr(GError) error = NULL;
  cr_assert(mal_leases_restore(b->leases, &lease, FAKE_START, &superseded, &error), "%s",
            error ? error->message : "");
  cr_assert_eq(superseded, 0);
}

Test(leases_bounds, more_origins_than_numbers_for_them)
{
  Bed b = bed_of(BIG);
  char text[16];
  MalLease view;

  for (uint32_t i = 0; i < 300; i++)
    restore(&b, "local", (const char *)number(i, text).bytes,
            mal_block_make(mal_address_ipv4(0xef010100 + i), 1), FAKE_START + 60, text);
  for (uint32_t i = 0; i < 300; i++) {
    cr_assert(mal_leases_get(b.leases, number(i, text), &view));
    if (i < 255)
      cr_expect_str_eq(view.origin, text);
  }
  bed_clear(&b);
}

#define PREFIXES 65600u

static MalBlock in_prefix(uint32_t i)
{
  MalAddress first = mal_address_none();
  cr_assert(mal_address_parse("ff18::8000:0", &first, NULL));
  return mal_block_make(mal_address_make(MAL_IPV6, first.value + ((MalU128)i << 32) + i), 1);
}

/* A lease of one block says its upper 96 bits by a number of 16. */
Test(leases_bounds, more_prefixes_than_numbers_for_them)
{
  g_autoptr(GString) config = g_string_new(
      "[scope six]\nfamily=ipv6\nfirst=ff18::\nlast=ff18::1:ffff:ffff:ffff\n");
  for (uint32_t i = 0; i <= PREFIXES / 256; i++)
    g_string_append_printf(
        config, "[range r%u]\nscope=six\nfirst=ff18::%x:%x:8000:0\nlast=ff18::%x:%x:8fff:ffff\n", i,
        i >> 8, i << 8 & 0xffff, i >> 8, (i << 8 & 0xffff) + 255);
  Bed b = bed_of(config->str);
  char text[16];
  MalLease view;

  for (uint32_t i = 0; i < PREFIXES; i++)
    restore(&b, "six", (const char *)number(i, text).bytes, in_prefix(i), FAKE_START + 60, "t");
  for (uint32_t i = 0; i < PREFIXES; i++) {
    MalBlock want = in_prefix(i);
    cr_assert(mal_leases_get(b.leases, number(i, text), &view), "%u", i);
    cr_assert(view.n_blocks == 1 && mal_address_equal(view.blocks[0].first, want.first) &&
              view.blocks[0].count == 1);
  }
  fake_advance(b.fake, 61);
  mal_leases_expire(b.leases, now_of(&b));
  cr_expect_eq(mal_leases_totals(b.leases, NULL).leases, 0);
  bed_clear(&b);
}

/* An end beyond the 40 bits that a slot has for it comes near, and goes far off again. */
Test(leases_bounds, ends_far_off)
{
  Bed b = bed_of(BIG);
  MalLease view;
  static const struct {
    int64_t lifetime;
  } rows[] = { { 100 }, { INT64_C(1) << 45 }, { INT64_C(1) << 46 }, { 7 } };

  restore(&b, "local", "a", mal_block_make(mal_address_ipv4(0xef010100), 1),
          FAKE_START + (INT64_C(1) << 41), "t");
  mal_leases_clock_stepped(b.leases, 50, FAKE_START + 50);
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
  cr_expect_eq(view.end, FAKE_START + (INT64_C(1) << 41) + 50);
  mal_leases_clock_stepped(b.leases, -50, FAKE_START);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalRenewal renewal = { .start = MAL_BEGINNING,
                           .max_start = MAL_FOREVER,
                           .lifetime = rows[i].lifetime };
    cr_assert_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, now_of(&b), done, &b, 0, NULL),
                 MAL_ANSWER_GRANTED);
    fake_run(b.fake);
    cr_expect_eq(b.end, FAKE_START + rows[i].lifetime, "row %zu", i);
    mal_leases_check(b.leases, now_of(&b));
  }
  bed_clear(&b);
}

/* ---- rows that say nonsense ------------------------------------------------------------------ */

Test(leases_bounds, rows_of_the_store_that_can_not_be)
{
  static const struct {
    const char *scope;
    MalTime start, end;
    int64_t pad;
    bool good, there;
  } rows[] = {
    { "local", 0, 60, 0, true, true },
    { "local", -90, -30, 20, true, false }, /* ended: nothing to do */
    { "gone", 0, 60, 0, false, false },
    { "local", 100, 50, 0, false, false }, /* ends before it begins */
    { "local", 0, 60, -5, true, true },
    { "local", 0, 60, (int64_t)UINT32_MAX + 5, true, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(BIG);
    MalBlock block = mal_block_make(mal_address_ipv4(0xef010100), 1);
    MalLease view, lease = { .id = id_of("a"),
                             .scope = rows[i].scope,
                             .blocks = &block,
                             .n_blocks = 1,
                             .start = FAKE_START + rows[i].start,
                             .end = FAKE_START + rows[i].end,
                             .pad = rows[i].pad,
                             .granted = FAKE_START,
                             .origin = "t" };
    unsigned superseded = 0;
    g_autoptr(GError) error = NULL;
    cr_expect_eq(mal_leases_restore(b.leases, &lease, FAKE_START, &superseded, &error),
                 rows[i].good, "row %zu", i);
    cr_expect_eq(error == NULL, rows[i].good, "row %zu", i);
    cr_expect_eq(mal_leases_get(b.leases, id_of("a"), &view), rows[i].there, "row %zu", i);
    mal_leases_check(b.leases, FAKE_START);
    mal_allocator_check(mal_leases_allocator(b.leases));
    bed_clear(&b);
  }
}

/* Later rows win over those they meet, in time as in space, and only over those. */
Test(leases_bounds, rows_that_meet_in_time)
{
  static const struct {
    const char *id;
    MalTime start, end;
    unsigned superseded;
  } rows[] = {
    { "a", 0, 100, 0 },   { "c", 200, 300, 0 }, { "b", 150, 250, 1 },
    { "d", 300, 400, 0 }, { "e", 90, 160, 2 },
  };
  Bed b = bed_of(BIG);
  MalBlock block = mal_block_make(mal_address_ipv4(0xef010100), 4);

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalLease lease = { .id = id_of(rows[i].id),
                       .scope = "local",
                       .blocks = &block,
                       .n_blocks = 1,
                       .start = FAKE_START + rows[i].start,
                       .end = FAKE_START + rows[i].end,
                       .granted = FAKE_START,
                       .origin = "t" };
    unsigned superseded = 0;
    cr_assert(mal_leases_restore(b.leases, &lease, FAKE_START, &superseded, NULL), "row %zu", i);
    cr_expect_eq(superseded, rows[i].superseded, "row %zu: %u", i, superseded);
    mal_leases_check(b.leases, FAKE_START);
  }
  bed_clear(&b);
}

/* ---- two batches on their way ---------------------------------------------------------------- */

/* Each change is a batch of its own, which the test settles. */
typedef struct {
  MalStore base;
  MalListeners listeners;
  MalTicket last;
} OneByOne;

static MalTicket put(MalStore *store, const MalLease *lease)
{
  (void)lease;
  return ++((OneByOne *)store)->last;
}

static MalTicket drop(MalStore *store, MalLeaseId id, MalTime at, const char *reason)
{
  (void)id, (void)at, (void)reason;
  return ++((OneByOne *)store)->last;
}

static unsigned listen_to(MalStore *store, MalStoreFunc func, void *data)
{
  return mal_listeners_add(&((OneByOne *)store)->listeners, func, data);
}

static void unlisten(MalStore *store, unsigned id)
{
  mal_listeners_remove(&((OneByOne *)store)->listeners, id);
}

static MalStoreState works(const MalStore *store, const GError **error)
{
  (void)store, (void)error;
  return MAL_STORE_OK;
}

static const MalStoreOps one_by_one = {
  .put_lease = put, .drop_lease = drop, .listen = listen_to, .unlisten = unlisten, .state = works
};

static void settle(OneByOne *store, MalTicket ticket, const GError *error)
{
  mal_listeners_call(&store->listeners, ticket, error);
}

/* A bed whose engine has this store. */
typedef struct {
  Bed b;
  OneByOne store;
  MalLeases *leases; /* the bed's own, for the time being */
  MalSpace *space;
} Slow;

static void set_up(Slow *s)
{
  *s = (Slow){ .b = bed_of(BIG), .store.base.ops = &one_by_one };
  s->leases = s->b.leases;
  s->space = s->b.space;
  mal_listeners_init(&s->store.listeners);
  s->b.space = mal_space_new();
  s->b.leases = mal_leases_new(s->b.rt, &s->store.base, s->b.space);
  cr_assert(replan(&s->b, BIG, NULL));
}

/* The engine ends while its store is there yet. */
static void tear_down(Slow *s)
{
  mal_leases_check(s->b.leases, now_of(&s->b));
  mal_leases_free(s->b.leases);
  mal_space_free(s->b.space);
  mal_listeners_clear(&s->store.listeners);
  mal_records_free(s->store.base.records);
  s->b.leases = s->leases;
  s->b.space = s->space;
  bed_clear(&s->b);
}

static void want(Slow *s, const char *id)
{
  MalLeaseRequest r = request_of(&s->b, id, 1, 600);
  cr_assert_eq(mal_leases_request(s->b.leases, &r, FAKE_START, done, &s->b, 0, NULL),
               MAL_ANSWER_GRANTED);
}

/* A step of the clock writes a lease anew while its grant is on its way: what comes of the two
   batches tells what is on the disk. */
Test(leases_bounds, a_grant_and_its_second_row)
{
  static const struct {
    bool grant, again;
    MalTicket rows;
  } cases[] = {
    { true, true, 2 },
    { false, true, 3 }, /* its second row is dropped */
    { true, false, 3 }, /* and said again */
    { false, false, 3 },
  };
  g_autoptr(GError) failed = g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "no");
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Slow s;
    MalLease view;
    set_up(&s);
    want(&s, "a");
    mal_leases_clock_stepped(s.b.leases, 50, FAKE_START + 50);
    cr_assert_eq(s.store.last, 2);
    settle(&s.store, 1, cases[i].grant ? NULL : failed);
    cr_expect_eq(mal_leases_get(s.b.leases, id_of("a"), &view), cases[i].grant, "case %zu", i);
    settle(&s.store, 2, cases[i].again ? NULL : failed);
    settle(&s.store, 2, NULL);
    cr_expect_eq(s.store.last, cases[i].rows, "case %zu: %" G_GUINT64_FORMAT, i, s.store.last);
    cr_expect_eq(s.b.code == -1, cases[i].grant, "case %zu", i);
    tear_down(&s);
  }
}

/* Steps of the clock, one after the other, whose batches settle in turn, all but one well. */
Test(leases_bounds, steps_whose_batches_settle_in_turn)
{
  g_autoptr(GError) failed = g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "no");
  for (unsigned bad = 0; bad <= 3; bad++) {
    Slow s;
    MalLease view;
    set_up(&s);
    want(&s, "a");
    settle(&s.store, 1, NULL);
    for (unsigned i = 1; i <= 3; i++)
      mal_leases_clock_stepped(s.b.leases, 10, FAKE_START + 10 * i);
    cr_assert_eq(s.store.last, 4);
    for (unsigned i = 1; i <= 3; i++)
      settle(&s.store, 1 + i, i == bad ? failed : NULL);
    settle(&s.store, 4, NULL);
    cr_expect_eq(s.store.last, bad == 0 ? 4 : 5, "%u: what may be old on the disk is written again",
                 bad);
    settle(&s.store, s.store.last, NULL);
    cr_assert(mal_leases_get(s.b.leases, id_of("a"), &view));
    cr_expect_eq(view.end, FAKE_START + 630);
    tear_down(&s);
  }
}

/* Only a batch with moved rows in it makes them be written again. */
Test(leases_bounds, another_batch_that_fails)
{
  g_autoptr(GError) failed = g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "no");
  Slow s;
  set_up(&s);
  want(&s, "a");
  settle(&s.store, 1, NULL);
  mal_leases_clock_stepped(s.b.leases, 10, FAKE_START + 10);
  want(&s, "b");
  settle(&s.store, 3, failed); /* that the second is durable is told with the next that is */
  settle(&s.store, 2, NULL);
  cr_expect_eq(s.store.last, 3);
  tear_down(&s);
}

/* Who waits when the engine ends hears that it does. */
Test(leases_bounds, the_engine_ends)
{
  Slow s;
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 60 };
  set_up(&s);
  MalTime now = now_of(&s.b);
  want(&s, "a");
  want(&s, "b");
  for (unsigned i = 0; i < 2; i++) {
    MalLeaseFunc func = i == 0 ? done : NULL;
    mal_leases_renew(s.b.leases, id_of("a"), &renewal, now, func, &s.b, 0, NULL); /* in line */
    mal_leases_when_durable(s.b.leases, id_of("b"), func, &s.b, 0);      /* with the batch */
    mal_leases_when_durable(s.b.leases, id_of("nobody"), func, &s.b, 0); /* on the next turn */
  }
  mal_leases_free(s.b.leases);
  cr_expect_eq(s.b.calls, 5);
  cr_expect_eq(s.b.code, MAL_ERROR_TIMEOUT);
  s.b.leases = mal_leases_new(s.b.rt, &s.store.base, s.b.space);
  tear_down(&s);
}
