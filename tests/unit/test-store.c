
#include "store-fixture.h"

TestSuite(store, .init = setup, .fini = teardown);

/* ---- what was stored comes back -------------------------------------------------------------- */

Test(store, leases_and_records_come_back)
{
  reopen(NULL);
  for (uint32_t n = 0; n < 20; n++)
    put(n, 1);
  put(3, 7);
  drop(4);
  put_record("core", "reserve", "camera", "239.255.20.1");
  put_record("core", "reserve", "", "");
  put_record("other", "reserve", "camera", "x");
  put_record("core", "reserve", "gone", "y");
  mal_store_drop_record(store, "core", "reserve", (const uint8_t *)"gone", 4);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 19 + 3);
  for (uint32_t n = 0; n < 20; n++) {
    if (n != 4)
      expect_lease(&loaded, n, n == 3 ? 7 : 1);
  }
  cr_assert_str_eq(g_hash_table_lookup(loaded.lives, "record core reserve 63616d657261"),
                   "239.255.20.1");
  cr_assert_str_eq(g_hash_table_lookup(loaded.lives, "record core reserve "), "");
  cr_assert_str_eq(g_hash_table_lookup(loaded.lives, "record other reserve 63616d657261"), "x");
}

static bool count_record(const MalRecord *record, void *data, GError **error)
{
  (void)record;
  (void)error;
  ++*(unsigned *)data;
  return true;
}

/* As the core does it: records first, which may bring the ranges that the leases need. */
Test(store, records_first_then_leases)
{
  reopen(NULL);
  for (uint32_t n = 0; n < 20; n++)
    put(n, 1);
  put(3, 7);
  put_record("core", "reserve", "camera", "239.255.20.1");
  reopen(NULL);
  unsigned records = 0;
  g_autoptr(GError) error = NULL;
  cr_assert(mal_store_load(store, NOW, NULL, count_record, &records, &error), "%s",
            error ? error->message : "");
  cr_assert_eq(records, 1);
  g_auto(Loaded) loaded = load_from(NOW);
  for (uint32_t n = 0; n < 20; n++)
    expect_lease(&loaded, n, n == 3 ? 7 : 1);
  /* What was read twice is still what later changes and the next start see. */
  put(5, 9);
  reopen(NULL);
  g_auto(Loaded) again = load_from(NOW);
  expect_lease(&again, 5, 9);
  expect_lease(&again, 3, 7);
}

Test(store, ipv6_and_extreme_values_come_back)
{
  Sample s;
  reopen(NULL);
  sample(&s, 1, 0);
  mal_address_parse("ff3e::8000:1", &s.blocks[0].first, NULL);
  mal_address_parse("2001:db8::7", &s.lease.client, NULL);
  s.lease.n_blocks = 1;
  s.blocks[0].count = UINT32_MAX;
  s.lease.end = MAL_FOREVER;
  s.lease.start = MAL_BEGINNING;
  s.lease.pad = INT64_MAX;
  s.lease.id.length = MAL_LEASE_ID_MAX;
  s.lease.flags = MAL_LEASE_SHARED | MAL_LEASE_PENDING;
  mal_store_put_lease(store, &s.lease);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  g_autofree char *hex = mal_lease_id_to_hex(s.lease.id);
  g_autofree char *key = g_strdup_printf("lease %s", hex);
  s.lease.flags = MAL_LEASE_SHARED;   /* pending is nothing that a disk can be */
  g_autofree char *text = lease_text(&s.lease);
  cr_assert_str_eq(g_hash_table_lookup(loaded.lives, key), text);
}

Test(store, the_longest_record_comes_back)
{
  g_autofree char *long_text = g_strnfill(MAL_STORE_OCTETS_MAX, 'v');
  reopen(NULL);
  put_record("core", "k", "short", "x");
  put_record("core", "k", long_text, long_text);
  fake_run(fake_rt);
  cr_assert_null(told_at(0)->error, "%s", told_at(0)->error);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 2);
}

Test(store, loads_in_the_order_of_changes)
{
  reopen(NULL);
  put(1, 10);
  put(2, 20);
  put(3, 30);
  put(1, 40);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_str_eq(loaded.order->str, "20 30 40 ");
}

Test(store, leases_that_ended_are_not_loaded)
{
  reopen(NULL);
  put(4, 0);                          /* no pad: ends at NOW + 3600 */
  put(5, 0);                          /* held 1800 longer */
  reopen(NULL);
  static const struct { MalTime at; guint lives; } cases[] = {
    { NOW + 3599, 2 }, { NOW + 3600, 1 }, { NOW + 5399, 1 }, { NOW + 5400, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    reopen(NULL);
    g_auto(Loaded) loaded = load_from(cases[i].at);
    cr_assert_eq(g_hash_table_size(loaded.lives), cases[i].lives, "case %zu", i);
  }
}

static bool refuse_second(const MalLease *lease, void *data, GError **error)
{
  int *count = data;
  (void)lease;
  if (++*count < 2)
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "no more");
  return false;
}

Test(store, a_load_stops_when_its_caller_says_so)
{
  g_autoptr(GError) error = NULL;
  int count = 0;
  reopen(NULL);
  for (uint32_t n = 0; n < 5; n++)
    put(n, 0);
  reopen(NULL);
  cr_assert_not(mal_store_load(store, NOW, refuse_second, NULL, &count, &error));
  cr_assert_str_eq(error->message, "no more");
  cr_assert_eq(count, 2);
}

/* More leases than may wait between the thread that reads and the one that enters, one of them
   longer than what a batch has room for. */
enum { MANY = 6000, LONG_AT = 1000, LONG_BLOCKS = 3000 };

typedef struct {
  uint32_t seen, stop_at;
} Walk;

static bool walk(const MalLease *lease, void *data, GError **error)
{
  Walk *w = data;
  uint32_t n = w->seen++;
  cr_assert_eq(lease->n_blocks, n == LONG_AT ? (size_t)LONG_BLOCKS : 1, "lease %u", n);
  cr_assert_eq(lease->blocks[lease->n_blocks - 1].count, n + 1, "lease %u", n);
  cr_assert_eq(memcmp(lease->id.bytes, &n, sizeof n), 0, "lease %u", n);
  cr_assert_str_eq(lease->scope, "local");
  if (w->seen != w->stop_at)
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "no more");
  return false;
}

static void put_many(void)
{
  MalBlock *blocks = g_new0(MalBlock, LONG_BLOCKS);
  for (uint32_t n = 0; n < MANY; n++) {
    size_t n_blocks = n == LONG_AT ? LONG_BLOCKS : 1;
    for (uint32_t i = 0; i < n_blocks; i++)
      blocks[i] = mal_block_make(mal_address_ipv4(0xef000000u + i * 4096), n + 1);
    MalLease lease = {
      .id = { (const uint8_t *)&n, sizeof n }, .scope = "local", .blocks = blocks,
      .n_blocks = n_blocks, .start = NOW, .end = NOW + 60, .granted = NOW,
      .client = mal_address_none(), .origin = "control",
    };
    mal_store_put_lease(store, &lease);
  }
  g_free(blocks);
}

Test(store, many_leases_come_whole_and_in_order)
{
  static const uint32_t stops[] = { 0, 1, 700, MANY };
  reopen(NULL);
  put_many();
  for (size_t i = 0; i < G_N_ELEMENTS(stops); i++) {
    g_autoptr(GError) error = NULL;
    Walk w = { .stop_at = stops[i] };
    reopen(NULL);
    cr_assert_eq(mal_store_load(store, NOW, walk, NULL, &w, &error), stops[i] == 0);
    cr_assert_eq(w.seen, stops[i] ? stops[i] : (uint32_t)MANY);
    if (stops[i])
      cr_assert_str_eq(error->message, "no more");
  }
}

/* ---- tickets and group commit ---------------------------------------------------------------- */

Test(store, one_turn_is_one_batch)
{
  reopen(NULL);
  cr_assert_eq(put(1, 0), 1);
  cr_assert_eq(put(2, 0), 1);
  put_record("core", "a", "b", "c");
  cr_assert_eq(told->len, 0, "told from inside the call");
  cr_assert_eq(mal_store_durable(store), 0);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 1);
  cr_assert_eq(told_at(0)->through, 1);
  cr_assert_null(told_at(0)->error);
  cr_assert_eq(mal_store_durable(store), 1);
  cr_assert_eq(put(3, 0), 2);
  MalStoreCounters counters = mal_store_counters(store);
  cr_assert_eq(counters.batches, 1);
  cr_assert_eq(counters.changes, 4);
  cr_assert_eq(counters.rows, 3);
  cr_assert_gt(counters.bytes, 0);
}

Test(store, the_next_batch_gathers_while_one_is_written)
{
  reopen(NULL);
  fake_hold_workers(fake_rt, true);
  cr_assert_eq(put(1, 0), 1);
  mal_store_flush(store);
  cr_assert_eq(put(2, 0), 2, "the batch on its way took another change");
  mal_store_flush(store);
  cr_assert_eq(put(3, 0), 2, "the second batch left before the first was done");
  fake_run(fake_rt);
  cr_assert_eq(told->len, 0);
  fake_hold_workers(fake_rt, false);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 2);
  cr_assert_eq(told_at(0)->through, 1);
  cr_assert_eq(told_at(1)->through, 2);
  cr_assert_eq(mal_store_counters(store).batches, 2);
  mal_store_flush(store);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 2, "an empty batch was written");
}

static void append_once(MalTicket through, const GError *error, void *data)
{
  unsigned *id = data;
  cr_assert_null(error);
  if (*id && through == 1) {
    mal_store_unlisten(store, *id);
    *id = 0;
    cr_assert_eq(put(9, 0), 2);
  }
}

Test(store, a_listener_may_append_and_leave)
{
  unsigned id = 0;
  reopen(NULL);
  id = mal_store_listen(store, append_once, &id);
  put(1, 0);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 2);
  cr_assert_eq(mal_store_durable(store), 2);
}

Test(store, closing_writes_what_gathered)
{
  reopen(NULL);
  fake_hold_workers(fake_rt, true);
  put(1, 0);
  mal_store_flush(store);
  put(2, 0);
  reopen(NULL);
  cr_assert_eq(told->len, 2);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 2);
}

/* ---- in memory ------------------------------------------------------------------------------- */

Test(store, memory_is_durable_one_turn_later)
{
  const GError *error = NULL;
  g_auto(Done) result = { 0 };
  store = mal_store_memory_new(fake_runtime(fake_rt));
  mal_store_listen(store, listener, NULL);
  cr_assert_eq(put(1, 0), 1);
  mal_store_flush(store);
  cr_assert_eq(put(2, 0), 1);
  cr_assert_eq(told->len, 0);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 1);
  cr_assert_eq(mal_store_durable(store), 1);

  mal_store_memory_fail(store, "no disk");
  cr_assert_eq(drop(1), 2);
  fake_run(fake_rt);
  cr_assert_str_eq(told_at(1)->error, "no disk");
  cr_assert_eq(mal_store_state(store, &error), MAL_STORE_FAILING);
  cr_assert_str_eq(error->message, "no disk");
  mal_store_memory_fail(store, NULL);
  fake_run(fake_rt);
  cr_assert_eq(told_at(2)->through, 1);
  cr_assert_null(told_at(2)->error);

  mal_store_memory_hold(store, true);
  cr_assert_eq(put(3, 0), 3);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 3);
  mal_store_memory_hold(store, false);
  fake_run(fake_rt);
  cr_assert_eq(told_at(3)->through, 3);

  mal_store_check(store, done, &result);
  cr_assert_eq(result.calls, 0);
  fake_run(fake_rt);
  cr_assert_eq(result.calls, 1);
  cr_assert_null(result.error);
}

/* ---- which row is the newest ----------------------------------------------------------------- */

Test(store, latest_is_a_map)
{
  static const uint8_t secret[MAL_LATEST_SECRET] = { 1, 2, 3 };
  g_autoptr(MalLatest) latest = mal_latest_new(secret);
  uint64_t rows[3000] = { 0 };
  size_t count = 0;
  for (uint64_t i = 1; i < 60000; i++) {
    uint32_t n = mal_runtime_random_below(fake_runtime(fake_rt), G_N_ELEMENTS(rows));
    MalLatestKey key = mal_latest_key(latest, &n, sizeof n);
    cr_assert_eq(mal_latest_get(latest, key), rows[n]);
    bool remove = mal_runtime_random_below(fake_runtime(fake_rt), 2);
    if (remove)
      mal_latest_remove(latest, key);
    else
      mal_latest_set(latest, key, i);
    count = count + !remove - (rows[n] != 0);
    rows[n] = remove ? 0 : i;
    cr_assert_eq(mal_latest_count(latest), count);
  }
}
