/* What the lease table keeps in short forms, and the periods that a renewal leaves in the
   allocator. */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SIX \
  "[scope six]\nfamily=ipv6\nfirst=ff18::\nlast=ff18::ffff:ffff:ffff\n" \
  "[range a]\nscope=six\nfirst=ff18::8000:0\nlast=ff18::8000:ff\n" \
  "[range b]\nscope=six\nfirst=ff18::7:8000:0\nlast=ff18::7:8000:ff\n"

/* ---- what is kept is what was given ---------------------------------------------------------- */

typedef struct {
  const char *scope, *blocks, *client;
  size_t id_length;
  MalTime start, end, granted;
  int64_t pad;
} Kept;

static const Kept kept[] = {
  { "local", "239.255.1.0", "192.0.2.7", 1, 0, 100, 0, 0 },
  { "local", "239.255.1.1", "192.0.2.8", 20, -50, 200, -60, 10 },
  { "local", "239.255.1.2-239.255.1.3", "2001:db8::1", 21, 0, 300, 0, 3600 },
  { "local", "239.255.1.5,239.255.1.7-239.255.1.8", "2001:db8::2", 255, 1000, 2000, 0, 0 },
  { "local", "239.255.1.10", "192.0.2.9", 17, 0, INT64_C(1) << 50, 0, 4294967295 },
  { "local", "239.255.1.11", "", 17, INT64_C(1) << 40, INT64_C(1) << 41, -1, 0 },
  { "six", "ff18::8000:1", "2001:db8::3", 16, 0, 100, 0, 0 },
  { "six", "ff18::7:8000:1-ff18::7:8000:4", "2001:db8::3", 24, 0, 100, 0, 0 },
};

static MalLease lease_of(const Kept *k, uint8_t *id, GArray *blocks)
{
  memset(id, (int)(k - kept) + 1, k->id_length);
  MalAddress client = mal_address_none();
  if (k->client[0] != '\0')
    cr_assert(mal_address_parse(k->client, &client, NULL));
  return (MalLease){
    .id = { id, k->id_length },
    .scope = k->scope,
    .blocks = (const MalBlock *)(void *)blocks->data,
    .n_blocks = blocks->len,
    .start = FAKE_START + k->start,
    .end = FAKE_START + k->end,
    .pad = k->pad,
    .granted = FAKE_START + k->granted,
    .client = client,
    .origin = "madcap",
  };
}

static void cr_equal(const MalLease *got, const MalLease *want)
{
  g_autofree char *a = mal_blocks_format(got->blocks, got->n_blocks);
  g_autofree char *b = mal_blocks_format(want->blocks, want->n_blocks);
  cr_assert_str_eq(a, b);
  cr_assert_str_eq(got->scope, want->scope);
  cr_assert(mal_lease_id_equal(got->id, want->id));
  cr_assert_eq(got->start, want->start);
  cr_assert_eq(got->end, want->end);
  cr_assert_eq(got->granted, want->granted);
  cr_assert_eq(got->pad, want->pad);
  cr_assert(mal_address_equal(got->client, want->client));
}

static void each(Bed *b, bool enter)
{
  for (size_t i = 0; i < COUNT(kept); i++) {
    uint8_t id[MAL_LEASE_ID_MAX];
    g_autoptr(GArray) blocks = mal_blocks_parse(kept[i].blocks, NULL);
    g_autoptr(GError) error = NULL;
    unsigned superseded = 0;
    MalLease want = lease_of(&kept[i], id, blocks), got;
    if (enter)
      cr_assert(mal_leases_restore(b->leases, &want, FAKE_START, &superseded, &error), "%zu: %s", i,
                error ? error->message : "");
    cr_assert_eq(superseded, 0);
    cr_assert(mal_leases_get(b->leases, want.id, &got), "%zu", i);
    cr_equal(&got, &want);
  }
  mal_leases_check(b->leases, FAKE_START);
}

Test(leases_slots, what_is_kept_is_what_was_given)
{
  Bed b = bed_of(SCOPES LAB SIX);
  each(&b, true);
  each(&b, true); /* over the old ones: whatever stood beside the table is used anew */
  each(&b, false);
  cr_assert_eq(mal_leases_totals(b.leases, NULL).leases, COUNT(kept));
  cr_assert_eq(mal_leases_client_addresses(b.leases, mal_address_ipv4(0xc0000207)), 1);
  MalAddress six;
  cr_assert(mal_address_parse("2001:db8::3", &six, NULL));
  cr_assert_eq(mal_leases_client_addresses(b.leases, six), 5);
  each(&b, true);
  cr_assert_eq(mal_leases_client_addresses(b.leases, six), 5, "counted once");
  bed_clear(&b);
}

/* ---- renewals -------------------------------------------------------------------------------- */

typedef enum { BY_ITSELF, CLOCK, RELOAD } Meanwhile;

typedef struct {
  MalTime start, end;         /* of the lease, from FAKE_START on */
  MalTime new_start;          /* MAL_BEGINNING: as it is */
  int64_t lifetime;
  MalTime want_start, want_end;
} Renewal;

static const Renewal renewals[] = {
  { 0, 400, MAL_BEGINNING, 900, 0, 1000 },      /* longer */
  { 0, 800, MAL_BEGINNING, 200, 0, 300 },       /* shorter */
  { 0, 1000, MAL_BEGINNING, 900, 0, 1000 },     /* the same */
  { 500, 800, MAL_BEGINNING, 500, 500, 1000 },  /* not begun, longer */
  { 500, 800, 200, 900, 200, 1100 },            /* begins earlier, ends later */
  { 500, 800, 200, 400, 200, 600 },             /* overlaps the beginning */
  { 500, 800, 700, 400, 700, 1100 },            /* overlaps the end */
  { 500, 800, 800, 100, 800, 900 },             /* touches the end */
  { 500, 800, 900, 100, 900, 1000 },            /* beyond */
  { 500, 800, 150, 100, 150, 250 },             /* before */
};

static bool is_in(MalTime t, MalTime start, MalTime end)
{
  return t >= start && t < end;
}

/* The lease's address at each instant from now on: busy in the first period, or in the second. */
static void expect_busy(Bed *b, size_t n, MalTime start, MalTime end, MalTime start2, MalTime end2)
{
  MalLease view;
  cr_assert(mal_leases_get(b->leases, id_of("a"), &view));
  for (MalTime t = 100; t < 1300; t += 50) {
    MalFit fit = { .from = FAKE_START + t, .until = FAKE_START + t + 1, .count = 1 };
    bool busy = !mal_allocator_is_free(mal_leases_allocator(b->leases), &fit, view.blocks[0]);
    cr_assert_eq(busy, is_in(t, start, end) || is_in(t, start2, end2), "%zu at %d", n, (int)t);
  }
}

static void renew_one(size_t n, bool fails, Meanwhile what)
{
  Bed b = bed_of(SCOPES LAB);
  const Renewal *c = &renewals[n];
  MalLeaseRequest r = request_of(&b, "a", 1, c->end - c->start);
  MalRenewal renewal = { .start = c->new_start == MAL_BEGINNING ? MAL_BEGINNING
                                                                : FAKE_START + c->new_start,
                         .max_start = MAL_FOREVER,
                         .lifetime = c->lifetime };
  r.start = r.max_start = FAKE_START + c->start;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  fake_advance(b.fake, 100);
  MalTime now = FAKE_START + 100;
  mal_store_memory_hold(b.store, true);
  cr_assert_eq(mal_leases_renew(b.leases, r.id, &renewal, now, done, &b, 0, NULL),
               MAL_ANSWER_GRANTED);
  if (what == CLOCK)
    mal_leases_clock_stepped(b.leases, 0, now); /* all is entered anew, and nothing moves */
  if (what == RELOAD)
    cr_assert(replan(&b, SCOPES LAB, NULL));
  expect_busy(&b, n, c->start, c->end, c->want_start, c->want_end);
  if (fails)
    mal_store_memory_fail(b.store, "disk full");
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_assert_eq(b.code != -1, fails);
  if (fails)
    expect_busy(&b, n, c->start, c->end, 0, 0);
  else
    expect_busy(&b, n, c->want_start, c->want_end, 0, 0);
  cr_assert_eq(mal_allocator_stats(mal_leases_allocator(b.leases), -1).busy, 1);
  mal_allocator_check(mal_leases_allocator(b.leases));
  bed_clear(&b);
}

Test(leases_slots, a_renewal_holds_both_periods_and_leaves_one)
{
  for (size_t n = 0; n < COUNT(renewals); n++)
    for (Meanwhile what = BY_ITSELF; what <= RELOAD; what++) {
      renew_one(n, false, what);
      renew_one(n, true, what);
    }
}
