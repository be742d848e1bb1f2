
#include "store-fixture.h"

TestSuite(store_compact, .init = setup, .fini = teardown);

/* ---- compaction ------------------------------------------------------------------------------ */

#define KEYS 60

static void random_change(uint32_t *versions, uint32_t *records, uint32_t version)
{
  MalRuntime *rt = fake_runtime(fake_rt);
  uint32_t n = mal_runtime_random_below(rt, KEYS);
  char key[2] = { (char)('A' + n % 20), '\0' };
  switch (mal_runtime_random_below(rt, 8)) {
  case 0: case 1: case 2: case 3: case 4:
    versions[n] = version;
    put(n, version);
    break;
  case 5:
    versions[n] = 0;
    drop(n);
    break;
  case 6:
    records[n % 20] = version;
    put_record("core", "k", key, key);
    break;
  default:
    records[n % 20] = 0;
    mal_store_drop_record(store, "core", "k", (const uint8_t *)key, 1);
    break;
  }
}

static void expect_state(const uint32_t *versions, const uint32_t *records)
{
  g_auto(Loaded) loaded = load_from(NOW);
  guint count = 0;
  for (uint32_t n = 0; n < KEYS; n++) {
    if (versions[n]) {
      expect_lease(&loaded, n, versions[n]);
      count++;
    }
    if (n < 20)
      count += records[n] > 0;
  }
  cr_assert_eq(g_hash_table_size(loaded.lives), count);
}

Test(store_compact, compaction_keeps_what_lives, .timeout = 120)
{
  uint32_t versions[KEYS] = { 0 }, records[20] = { 0 }, version = 1;
  uint64_t passes = 0;
  MalRuntime *rt = fake_runtime(fake_rt);
  for (int phase = 0; phase < 40; phase++) {
    reopen(NULL);
    mal_store_sqlite_tune(store, 50, 1 + mal_runtime_random_below(rt, 40));
    mal_store_sqlite_tune_log(store, 8 + (int)mal_runtime_random_below(rt, 100));
    expect_state(versions, records);
    for (int round = 0; round < 40; round++) {
      for (uint32_t i = mal_runtime_random_below(rt, 30); i > 0; i--)
        random_change(versions, records, version++);
      if (mal_runtime_random_below(rt, 3))
        fake_run(fake_rt);
      else
        mal_store_flush(store);
    }
    fake_run(fake_rt);
    passes += mal_store_counters(store).compactions;
    cr_assert_lt(mal_store_counters(store).rows, 300);
  }
  cr_assert_gt(passes, 40);
  reopen(NULL);
  expect_state(versions, records);
}

Test(store_compact, compaction_under_faults_loses_nothing, .timeout = 120)
{
  uint32_t versions[KEYS] = { 0 }, records[20] = { 0 }, version = 1;
  MalRuntime *rt = fake_runtime(fake_rt);
  unsigned failed = 0;
  fault_vfs_reset();
  reopen(FAULT_VFS);
  mal_store_sqlite_tune(store, 50, 7);
  mal_store_sqlite_tune_log(store, 10);
  expect_state(versions, records);
  for (int round = 0; round < 600; round++) {
    uint32_t before[KEYS], records_before[20];
    memcpy(before, versions, sizeof before);
    memcpy(records_before, records, sizeof records_before);
    FaultVfs *faults = fault_vfs_reset();
    if (mal_runtime_random_below(rt, 2))
      faults->fail_write = (int)mal_runtime_random_below(rt, 20);
    random_change(versions, records, version++);
    random_change(versions, records, version++);
    guint heard = told->len;
    mal_store_flush(store);
    fake_run(fake_rt);
    if (told_at(heard)->error) {
      memcpy(versions, before, sizeof before);
      memcpy(records, records_before, sizeof records_before);
      failed++;
    }
    fault_vfs_reset();
    fake_advance(fake_rt, 31);
    cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
    if (round % 50 == 0) {
      reopen(FAULT_VFS);
      mal_store_sqlite_tune(store, 50, 7);
      mal_store_sqlite_tune_log(store, 10);
      expect_state(versions, records);
    }
  }
  cr_assert_gt(failed, 20);
  reopen(NULL);
  expect_state(versions, records);
}

Test(store_compact, a_view_shows_what_lives)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  sqlite3 *db;
  sqlite3_stmt *stmt;
  Sample s;
  reopen(NULL);
  put(1, 0);
  drop(1);
  sample(&s, 2, 0);
  s.lease.end = NOW - 4000;           /* over, even by the clock on the wall */
  s.lease.start = NOW - 5000;
  mal_store_put_lease(store, &s.lease);
  sample(&s, 3, 0);
  s.lease.start = 1767225600;
  s.lease.end = INT64_C(4102444800);
  mal_store_put_lease(store, &s.lease);
  sample(&s, 5, 0);
  s.lease.end = MAL_FOREVER;
  mal_store_put_lease(store, &s.lease);
  put_record("core", "reserve", "k", "v");
  fake_run(fake_rt);
  cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  sqlite3_prepare_v2(db, "SELECT lease, addresses, starts, ends, held_until FROM leases", -1, &stmt,
                     NULL);
  cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
  sample(&s, 3, 0);
  g_autofree char *hex = mal_lease_id_to_hex(s.lease.id);
  g_autofree char *blocks = mal_blocks_format(s.lease.blocks, s.lease.n_blocks);
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), hex);
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 1), blocks);
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 2), "2026-01-01T00:00:00Z");
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 3), "2100-01-01T00:00:00Z");
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 4), "2100-01-01T00:30:00Z");
  put(7, 0);                          /* the open reader keeps nobody from writing */
  fake_run(fake_rt);
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
  cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 3), "never");
  cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
  sqlite3_finalize(stmt);
  sqlite3_prepare_v2(db, "SELECT owner, kind, key FROM records", -1, &stmt, NULL);
  cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
  cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 2), "6b");
  sqlite3_finalize(stmt);
  sqlite3_close(db);
}
