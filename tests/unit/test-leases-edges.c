/* What the engine refuses whole, what it says of that, and who asks or hears of leases. */
#include "tests/unit/leases-bed.h"

#include <criterion/criterion.h>
#include <string.h>

#define TIME_MOST (INT64_C(1) << 62)

/* ---- requests that can't be ------------------------------------------------------------------ */

Test(leases_edges, a_request_that_can_not_be_is_refused_whole)
{
  static const uint8_t octets[MAL_LEASE_ID_MAX + 1];
  static const MalBlock outside = { { 0xefc00001, MAL_IPV4 }, 1 };
  MalScope other = { .id = (char *)"nowhere", .index = 99 };
  const struct {
    MalLeaseRequest wrong;
    MalErrorCode code;
    MalRefusedPart part;
  } rows[] = {
    { { .id = { octets, 0 } }, MAL_ERROR_INVALID, MAL_REFUSED_ID },
    { { .id = { octets, sizeof octets } }, MAL_ERROR_INVALID, MAL_REFUSED_ID },
    { { .min = 0, .desired = 1 }, MAL_ERROR_INVALID, MAL_REFUSED_COUNT },
    { { .min = 2, .desired = 1 }, MAL_ERROR_INVALID, MAL_REFUSED_COUNT },
    { { .lifetime = -1 }, MAL_ERROR_INVALID, MAL_REFUSED_LIFETIME },
    { { .lifetime = TIME_MOST }, MAL_ERROR_INVALID, MAL_REFUSED_LIFETIME },
    { { .min_lifetime = 3601 }, MAL_ERROR_INVALID, MAL_REFUSED_LIFETIME },
    { { .start = TIME_MOST }, MAL_ERROR_INVALID, MAL_REFUSED_START },
    { { .pad = -1 }, MAL_ERROR_INVALID, MAL_REFUSED_OTHER },
    { { .pad = INT64_C(1) << 32 }, MAL_ERROR_INVALID, MAL_REFUSED_OTHER },
    { { .named = &outside, .n_named = 1 }, MAL_ERROR_INVALID, MAL_REFUSED_NAMED },
    { { .scope = &other }, MAL_ERROR_NOT_FOUND, MAL_REFUSED_SCOPE },
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES LAB);
    const MalLeaseRequest *w = &rows[i].wrong;
    MalLeaseRequest r = request_of(&b, "a", 1, 3600);
    MalRefusal why;
    MalLease view;
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED, "but for what is wrong it is right");
    mal_leases_release(b.leases, id_of("a"), mal_runtime_now(b.rt), "released", done, &b, 0, NULL);
    fake_run(b.fake);
    if (w->id.bytes != NULL) r.id = w->id;
    if (w->min != w->desired) { r.min = w->min; r.desired = w->desired; }
    if (w->lifetime != 0) r.lifetime = w->lifetime;
    if (w->min_lifetime != 0) r.min_lifetime = w->min_lifetime;
    if (w->start != 0) r.start = r.max_start = w->start;
    if (w->pad != 0) r.pad = w->pad;
    if (w->n_named != 0) { r.named = w->named; r.n_named = 1; }
    if (w->scope != NULL) r.scope = w->scope;
    cr_expect_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED, "row %zu", i);
    cr_expect_eq(why.code, rows[i].code, "row %zu: %d", i, why.code);
    cr_expect_eq(why.part, rows[i].part, "row %zu: %d", i, why.part);
    cr_expect_not(mal_leases_hold(b.leases, &r, mal_runtime_now(b.rt), mal_runtime_now(b.rt) + 60,
                                  &view, &why), "row %zu", i);
    cr_expect_eq(mal_leases_totals(b.leases, NULL).leases, 0u);
    bed_clear(&b);
  }
}

Test(leases_edges, a_renewal_that_can_not_be_changes_nothing)
{
  static const struct {
    MalRenewal renewal;
    MalRefusedPart part;
  } rows[] = {
    { { .start = TIME_MOST, .max_start = MAL_FOREVER, .lifetime = 60 }, MAL_REFUSED_START },
    { { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 0 }, MAL_REFUSED_LIFETIME },
    { { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = TIME_MOST },
      MAL_REFUSED_LIFETIME },
    { { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 60, .min_lifetime = 61 },
      MAL_REFUSED_LIFETIME },
  };
  Bed b = bed_of(SCOPES LAB);
  MalLease view;

  lease(&b, "a", 1, 600, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalRefusal why;
    cr_expect_eq(mal_leases_renew(b.leases, id_of("a"), &rows[i].renewal, mal_runtime_now(b.rt),
                                  done, &b, 0, &why),
                 MAL_ANSWER_REFUSED, "row %zu", i);
    cr_expect_eq(why.code, MAL_ERROR_INVALID, "row %zu", i);
    cr_expect_eq(why.part, rows[i].part, "row %zu", i);
  }
  cr_assert(mal_leases_get(b.leases, id_of("a"), &view));
  cr_expect_eq(view.end, mal_runtime_now(b.rt) + 600);
  bed_clear(&b);
}

/* ---- why named addresses were refused -------------------------------------------------------- */

Test(leases_edges, a_refusal_of_named_addresses_says_what_stands_in_the_way)
{
  static const struct {
    MalBlock named[2];
    size_t n;
    int64_t lifetime;
    const char *says;
  } rows[] = {
    { { { { 0xefc00001, MAL_IPV4 }, 1 } }, 1, 60, "239.192.0.1 is not inside the scope" },
    { { { { 0xefff0104, MAL_IPV4 }, 2 } },
      1,
      60,
      "reserve r holds some of 239.255.1.4-239.255.1.5" },
    { { { { 0xefff010c, MAL_IPV4 }, 1 }, { { 0xefff0101, MAL_IPV4 }, 1 } },
      2,
      60,
      "lease 61 holds some of 239.255.1.1 until" },
    { { { { 0xefff010f, MAL_IPV4 }, 2 } },
      1,
      60,
      "no range of this server has all of 239.255.1.15-239.255.1.16" },
    { { { { 0xefff0107, MAL_IPV4 }, 1 } }, 1, 60, "range lab excludes some of 239.255.1.7" },
  };
  Bed b = bed_of(SCOPES LAB "exclude=239.255.1.7-239.255.1.8\n"
                            "[reserve q]\nscope=local\naddresses=239.255.1.9; 239.255.1.3\n"
                            "[reserve r]\nscope=local\naddresses=239.255.1.5\n");
  MalBlock first = mal_block_make(mal_address_ipv4(0xefff0101), 1);
  MalLeaseRequest r = request_of(&b, "a", 1, 600);

  r.named = &first;
  r.n_named = 1;
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalLeaseRequest wish = request_of(&b, "b", 1, rows[i].lifetime);
    MalRefusal why;
    wish.named = rows[i].named;
    wish.n_named = rows[i].n;
    cr_assert_eq(ask(&b, &wish, &why), MAL_ANSWER_REFUSED, "row %zu", i);
    g_autoptr(GError) error =
        mal_leases_refusal_error(b.leases, &wish, mal_runtime_now(b.rt), &why);
    cr_expect_not_null(strstr(error->message, rows[i].says), "row %zu: %s", i, error->message);
  }
  bed_clear(&b);
}

/* ---- limits ---------------------------------------------------------------------------------- */

Test(leases_edges, a_limit_is_for_known_clients_and_for_all_that_is_asked)
{
  static const struct {
    bool known;
    uint32_t min, desired, granted; /* 0: refused */
  } rows[] = { { true, 1, 9, 2 }, { true, 3, 3, 0 }, { false, 3, 3, 3 } };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Bed b = bed_of(SCOPES LAB);
    MalLeaseRequest r = request_of(&b, "b", 1, 600);
    MalLease view;
    MalRefusal why;
    lease(&b, "a", 2, 600, NULL);
    r.client_limit = 4;
    r.min = rows[i].min;
    r.desired = rows[i].desired;
    if (!rows[i].known)
      r.client = mal_address_none();
    cr_expect_eq(ask(&b, &r, &why), rows[i].granted ? MAL_ANSWER_GRANTED : MAL_ANSWER_REFUSED,
                 "row %zu", i);
    if (rows[i].granted)
      cr_expect(mal_leases_get(b.leases, id_of("b"), &view) &&
                mal_lease_addresses(&view) == rows[i].granted);
    else
      cr_expect_eq(why.code, MAL_ERROR_LIMIT);
    r.id = id_of("c");
    r.min = r.desired = 4;
    r.client = mal_address_ipv4(0xc0000299);
    cr_expect_eq(ask(&b, &r, &why), MAL_ANSWER_GRANTED, "another client has its own");
    r.id = id_of("d");
    r.min = 1;
    cr_expect_eq(ask(&b, &r, &why), MAL_ANSWER_REFUSED, "which it used up");
    cr_expect_eq(why.code, MAL_ERROR_LIMIT);
    bed_clear(&b);
  }
}

/* ---- who asks -------------------------------------------------------------------------------- */

static size_t listed(const Bed *b, MalLeaseFilter filter)
{
  MalLease view;
  size_t n = 0;

  for (uint64_t cursor = 0; mal_leases_next(b->leases, &filter, &cursor, &view);)
    n++;
  return n;
}

Test(leases_edges, filters)
{
  Bed b = bed_of(SCOPES LAB "[range o]\nscope=org\nfirst=239.192.0.0\nlast=239.192.0.15\n");
  const MalScope *local = mal_scope_set_find(mal_leases_scopes(b.leases), "local"),
                 *org = mal_scope_set_find(mal_leases_scopes(b.leases), "org");
  MalLeaseRequest r = request_of(&b, "b", 2, 600);
  MalLease view;
  MalRefusal why;

  lease(&b, "a", 1, 600, NULL);
  r.scope = org;
  r.client = mal_address_ipv4(0xc0000299);
  cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  r = request_of(&b, "c", 1, 600);
  cr_assert(mal_leases_hold(b.leases, &r, mal_runtime_now(b.rt), mal_runtime_now(b.rt) + 60, &view,
                            &why));
  cr_expect_eq(listed(&b, (MalLeaseFilter){ 0 }), 2u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .holds = true }), 3u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .scope = local }), 1u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .scope = org, .holds = true }), 1u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .client = mal_address_ipv4(0xc0000299) }), 1u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .client = mal_address_ipv4(0xc0000298) }), 0u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .span = local->span, .holds = true }), 2u);
  cr_expect_eq(listed(&b, (MalLeaseFilter){ .span = org->span }), 1u);
  cr_expect(mal_leases_unhold(b.leases, id_of("c")));
  cr_expect_not(mal_leases_unhold(b.leases, id_of("a")), "a lease is no hold");
  cr_expect_not(mal_leases_unhold(b.leases, id_of("nobody")));
  bed_clear(&b);
  mal_leases_free(NULL);
  mal_space_free(NULL);
}

/* ---- who hears ------------------------------------------------------------------------------- */

typedef struct {
  MalLeases *leases;
  unsigned told, other, id, other_id;
} Watcher;

static void count_other(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  (void)what;
  (void)lease;
  (void)reason;
  ((Watcher *)data)->other++;
}

/* Goes, and takes another one with it, while it is told. */
static void go(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  Watcher *w = data;

  (void)what;
  (void)lease;
  (void)reason;
  w->told++;
  mal_leases_unwatch(w->leases, w->other_id);
  mal_leases_unwatch(w->leases, w->id);
}

Test(leases_edges, a_watcher_that_goes_while_it_is_told_hears_no_more)
{
  Bed b = bed_of(SCOPES LAB);
  Watcher w = { .leases = b.leases };

  w.id = mal_leases_watch(b.leases, go, &w);
  w.other_id = mal_leases_watch(b.leases, count_other, &w);
  mal_leases_watch(b.leases, on_change, &b);
  lease(&b, "a", 1, 600, NULL);
  lease(&b, "b", 1, 600, NULL);
  cr_expect_eq(w.told, 1u);
  cr_expect_eq(w.other, 0u, "gone before its turn");
  unsigned heard = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(b.changes); i++)
    heard += b.changes[i];
  cr_expect_geq(heard, 2u, "who stays is told of both");
  mal_leases_unwatch(b.leases, 4711);
  bed_clear(&b);
}

/* ---- reserves -------------------------------------------------------------------------------- */

static bool reserve(Bed *b, const char *name, const char *spans, GError **error)
{
  g_autoptr(GArray) blocks = mal_blocks_parse(spans, NULL);
  g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  MalReserve r = { .name = (char *)name, .comment = (char *)"", .spans = list,
                   .scope = mal_scope_set_find(mal_leases_scopes(b->leases), "local")->index };

  for (guint i = 0; i < blocks->len; i++) {
    MalSpan span = mal_span_of_block(g_array_index(blocks, MalBlock, i));
    g_array_append_val(list, span);
  }
  return mal_leases_reserve_add(b->leases, &r, mal_runtime_now(b->rt), error);
}

Test(leases_edges, a_reserve_made_by_hand_has_its_place_or_is_refused)
{
  static const struct {
    const char *name, *spans, *says;
  } rows[] = {
    { "r", "239.255.1.8", "already called r" },
    { "s", "239.255.1.7,239.255.1.5", "239.255.1.5 overlaps reserve r" },
    { "s", "239.255.1.2,239.255.1.1", "239.255.1.1 is leased (1 live lease, the first 61)" },
    { "s", "239.255.1.0-239.255.1.3", "is leased (2 live leases, the first 61)" },
    { "s", "239.192.0.1", "not inside scope local" },
  };
  Bed b = bed_of(SCOPES LAB "[reserve r]\nscope=local\naddresses=239.255.1.4; 239.255.1.5\n");
  static const MalBlock mine[] = { { { 0xefff0101, MAL_IPV4 }, 1 },
                                   { { 0xefff0103, MAL_IPV4 }, 1 } };
  g_autoptr(GError) config = NULL;

  for (size_t i = 0; i < 2; i++) {
    MalLeaseRequest r = request_of(&b, i == 0 ? "a" : "b", 1, 600);
    r.named = &mine[i];
    r.n_named = 1;
    cr_assert_eq(ask(&b, &r, NULL), MAL_ANSWER_GRANTED);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    cr_assert_not(reserve(&b, rows[i].name, rows[i].spans, &error), "row %zu", i);
    cr_expect_not_null(strstr(error->message, rows[i].says), "row %zu: %s", i, error->message);
  }
  cr_assert_not(mal_leases_reserve_remove(b.leases, "r", &config));
  cr_expect_not_null(strstr(config->message, "in the configuration"));
  cr_assert_not(mal_leases_reserve_remove(b.leases, "nobody", NULL));
  cr_assert(reserve(&b, "s", "239.255.1.8,239.255.1.10", NULL));
  cr_assert(mal_leases_reserve_remove(b.leases, "s", NULL));
  bed_clear(&b);
}

/* A reload keeps what was reserved by hand, or is refused. */
Test(leases_edges, a_plan_beside_reserves_made_by_hand)
{
  static const struct {
    const char *plan, *says; /* NULL: good */
  } rows[] = {
    { SCOPES LAB, NULL },
    { SCOPES LAB "[reserve t]\nscope=local\naddresses=239.255.1.9; 239.255.1.11\n", NULL },
    { SCOPES LAB "[reserve t]\nscope=local\naddresses=239.255.1.9; 239.255.1.10\n", "overlaps" },
    { SCOPES LAB "[reserve s]\nscope=local\naddresses=239.255.1.9\n", "has the name of" },
    { "[scope local]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.1.9\n",
      "outside of scope local" },
    { "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\n",
      "which would be gone" },
  };
  Bed b = bed_of(SCOPES LAB);

  cr_assert(reserve(&b, "s", "239.255.1.8,239.255.1.10", NULL));
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    cr_assert_eq(replan(&b, rows[i].plan, &error), rows[i].says == NULL, "row %zu: %s", i,
                 error ? error->message : "accepted");
    cr_expect(rows[i].says == NULL || strstr(error->message, rows[i].says) != NULL, "row %zu: %s",
              i, error ? error->message : "");
  }
  bed_clear(&b);
}

/* ---- a line that grows ----------------------------------------------------------------------- */

/* Changes of one lease reach the disk one after the other, so whoever asks for ever more of them
   must not make the others wait for all of his. */
Test(leases_edges, the_line_behind_a_change_has_an_end)
{
  Bed b = bed_of(SCOPES LAB);
  MalTime now = mal_runtime_now(b.rt);
  MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 3600 };
  MalRefusal why = { 0 };
  unsigned taken = 0;
  cr_assert_eq(lease(&b, "a", 1, 3600, NULL), MAL_ANSWER_GRANTED);
  mal_store_memory_hold(b.store, true);
  for (unsigned i = 0; i < 1000; i++)
    taken += mal_leases_renew(b.leases, id_of("a"), &renewal, now, done, &b, 0, &why) ==
             MAL_ANSWER_GRANTED;
  cr_expect(taken > 8 && taken < 100, "%u", taken);
  cr_expect(why.code == MAL_ERROR_LIMIT && why.part == MAL_REFUSED_OTHER, "%d", why.code);
  cr_expect_eq(mal_leases_release(b.leases, id_of("a"), now, "released", done, &b, 0, &why),
               MAL_ANSWER_REFUSED);
  cr_expect_eq(why.code, MAL_ERROR_LIMIT);
  /* Others are not concerned; and each that was taken has its answer. */
  b.calls = 0;
  mal_store_memory_hold(b.store, false);
  fake_run(b.fake);
  cr_expect_eq(b.calls, taken);
  cr_expect_eq(b.code, -1, "%s", b.text);
  cr_expect_eq(mal_leases_renew(b.leases, id_of("a"), &renewal, now, done, &b, 0, &why),
               MAL_ANSWER_GRANTED);
  fake_run(b.fake);
  bed_clear(&b);
}

/* What withdraws the addresses is not refused, however long the line is: nor where it is longer
   than what is counted of it (64 in line and 192 more would be none in eight bits). */
Test(leases_edges, a_revocation_finds_its_place_in_any_line)
{
  static const unsigned rows[] = { 1, 191, 192, 193, 300 };
  for (size_t k = 0; k < G_N_ELEMENTS(rows); k++) {
    Bed b = bed_of(SCOPES LAB);
    MalTime now = mal_runtime_now(b.rt);
    MalRenewal renewal = { .start = MAL_BEGINNING, .max_start = MAL_FOREVER, .lifetime = 3600 };
    cr_assert_eq(lease(&b, "a", 1, 3600, NULL), MAL_ANSWER_GRANTED);
    mal_store_memory_hold(b.store, true);
    for (unsigned i = 0; i < 1000; i++)
      mal_leases_renew(b.leases, id_of("a"), &renewal, now, NULL, NULL, 0, NULL);
    for (unsigned i = 0; i < rows[k]; i++)
      mal_leases_revoke(b.leases,
                        (MalSpan){ mal_address_ipv4(0xefff0100), mal_address_ipv4(0xefff010f) });
    mal_store_memory_hold(b.store, false);
    fake_run(b.fake);
    cr_expect_eq(mal_leases_totals(b.leases, NULL).leases, 0u, "%u times", rows[k]);
    bed_clear(&b);
  }
}
