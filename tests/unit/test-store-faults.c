#define _GNU_SOURCE

#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/runtime-glib.h"
#include "store-fixture.h"

TestSuite(store_faults, .init = setup, .fini = teardown);

/* ---- failing and recovering ------------------------------------------------------------------ */

static void set_fault(FaultVfs *faults, int which)
{
  faults->fail_write = which == 0 ? 1 : -1;
  faults->fail_sync = which == 1 ? 0 : -1;
  faults->room = which == 2 ? 5000 : -1;
  faults->read_only = which == 3;
}

static void fail_and_recover(int which, const char *says)
{
  FaultVfs *faults = fault_vfs_reset();
  const GError *error = NULL;
  reopen(FAULT_VFS);
  put(1, 0);
  fake_run(fake_rt);
  set_fault(faults, which);
  for (uint32_t n = 100; n < 200; n++)
    put(n, 0);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 2);
  cr_assert_eq(told_at(1)->through, 2);
  assert_says(told_at(1)->error, says);
  assert_says(told_at(1)->error, MAL_SQLITE_FILE);
  cr_assert_eq(mal_store_state(store, &error), MAL_STORE_FAILING);
  assert_says(error->message, says);

  int writes = faults->writes;
  cr_assert_eq(put(2, 0), 3);
  mal_store_flush(store);
  cr_assert_eq(told->len, 2, "told from inside the call");
  fake_run(fake_rt);
  cr_assert_eq(told_at(2)->through, 3);
  assert_says(told_at(2)->error, says);
  cr_assert_eq(faults->writes, writes, "the disk was asked");
  cr_assert_eq(mal_store_durable(store), 1);

  fault_vfs_reset();
  fake_advance(fake_rt, 2);
  cr_assert_eq(mal_store_state(store, &error), MAL_STORE_OK);
  cr_assert_null(error);
  cr_assert_eq(told_at(3)->through, 1);
  cr_assert_null(told_at(3)->error);
  cr_assert_eq(put(3, 0), 4);
  fake_run(fake_rt);
  cr_assert_eq(told_at(4)->through, 4);
  cr_assert_null(told_at(4)->error);
  cr_assert_eq(mal_store_counters(store).failures, 2);

  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 2);
  expect_lease(&loaded, 1, 0);
  expect_lease(&loaded, 3, 0);
}

Test(store_faults, failing_write)
{
  fail_and_recover(0, "check the disk");
}

Test(store_faults, failing_sync)
{
  fail_and_recover(1, "check the disk");
}

Test(store_faults, full_disk)
{
  fail_and_recover(2, "the disk is full: make room");
}

Test(store_faults, read_only_disk)
{
  fail_and_recover(3, "mounted read-only");
}

Test(store_faults, probes_back_off)
{
  FaultVfs *faults = fault_vfs_reset();
  reopen(FAULT_VFS);
  faults->read_only = true;
  put(1, 0);
  fake_run(fake_rt);
  static const int64_t waits[] = { 1, 2, 4, 8, 16, 30, 30, 30 };
  for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
    int64_t left = fake_next_deadline(fake_rt) - mal_runtime_monotonic(fake_runtime(fake_rt));
    cr_assert_eq(left, waits[i] * MAL_US, "probe %zu after %" PRId64 " us", i, left);
    fake_advance_us(fake_rt, left);
  }
  cr_assert_eq(told->len, 1);
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_FAILING);
}

Test(store_faults, what_gathered_fails_with_the_batch_before)
{
  FaultVfs *faults = fault_vfs_reset();
  reopen(FAULT_VFS);
  fake_hold_workers(fake_rt, true);
  put(1, 0);
  mal_store_flush(store);
  put(1, 1);
  mal_store_flush(store);
  faults->read_only = true;
  fake_hold_workers(fake_rt, false);
  fake_run(fake_rt);
  cr_assert_eq(told->len, 2);
  cr_assert_eq(told_at(0)->through, 1);
  cr_assert_eq(told_at(1)->through, 2);
  cr_assert_not_null(told_at(1)->error);
}

Test(store_faults, closing_while_failing)
{
  FaultVfs *faults = fault_vfs_reset();
  reopen(FAULT_VFS);
  faults->read_only = true;
  put(1, 0);
  fake_run(fake_rt);
  put(2, 0);
  mal_store_close(g_steal_pointer(&store));
  cr_assert_eq(told->len, 2);
  cr_assert_not_null(told_at(1)->error);
}

Test(store_faults, a_lock_held_by_another_program_is_named)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  sqlite3 *db;
  reopen(NULL);
  cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
  cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  put(1, 0);
  fake_run(fake_rt);
  assert_says(told_at(0)->error, "another program holds it locked");
  sqlite3_close(db);
  fake_advance(fake_rt, 1);
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
}

/* An error in mid-batch after which SQLite leaves the transaction open. */
Test(store_faults, a_row_of_somebody_else_in_the_way)
{
  reopen(NULL);
  put_record("core", "k", "1", "a");
  fake_run(fake_rt);
  run_sql("INSERT INTO record_log VALUES (3, 'x', 'x', x'00', 'put', 0, x'00')");
  put(1, 0);
  put_record("core", "k", "2", "b");
  put_record("core", "k", "3", "c");
  fake_run(fake_rt);
  assert_says(told_at(1)->error, "another program has written into it");
  run_sql("DELETE FROM record_log WHERE seq = 3");
  fake_advance(fake_rt, 1);
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
  put_record("core", "k", "4", "d");
  fake_run(fake_rt);
  cr_assert_eq(told->len, 4);
  cr_assert_null(told_at(3)->error);
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  cr_assert_eq(g_hash_table_size(loaded.lives), 2);
}

/* ---- a power cut ----------------------------------------------------------------------------- */

#define CUT_BATCHES 30

static void copy_torn(const char *from, const char *to, uint32_t length)
{
  g_autofree char *bytes = NULL;
  gsize whole;
  cr_assert(g_file_get_contents(from, &bytes, &whole, NULL));
  cr_assert_leq(length, whole);
  cr_assert(g_file_set_contents(to, bytes, length ? (gssize)length : (gssize)whole, NULL));
}

/* Batch V put lease V, and lease 0 again as version V: a torn log gives the first so many
   batches. */
static uint32_t expect_prefix(void)
{
  g_auto(Loaded) loaded = load_from(NOW);
  guint size = g_hash_table_size(loaded.lives);
  if (size == 0)
    return 0;
  expect_lease(&loaded, 0, size - 1);
  for (uint32_t n = 1; n < size; n++)
    expect_lease(&loaded, n, 0);
  return size - 1;
}

Test(store_faults, a_torn_log_gives_the_batches_before)
{
  g_autofree char *db = in_dir(MAL_SQLITE_FILE), *wal = in_dir(MAL_SQLITE_FILE "-wal");
  g_autofree char *kept_db = in_dir("kept"), *kept_wal = in_dir("kept-wal");
  struct stat st;
  bool seen[CUT_BATCHES + 1] = { false };
  reopen(NULL);
  for (uint32_t v = 1; v <= CUT_BATCHES; v++) {
    put(v, 0);
    put(0, v);
    fake_run(fake_rt);
  }
  copy_torn(db, kept_db, 0);
  copy_torn(wal, kept_wal, 0);
  cr_assert_eq(stat(kept_wal, &st), 0);
  mal_store_close(g_steal_pointer(&store));
  for (int round = 0; round < 120; round++) {
    uint32_t length = 1 + mal_runtime_random_below(fake_runtime(fake_rt), (uint32_t)st.st_size);
    copy_torn(kept_db, db, 0);
    copy_torn(kept_wal, wal, length);
    reopen(NULL);
    uint32_t found = expect_prefix();
    seen[found] = true;
    put(found + 1, 0);                /* and it goes on from there */
    put(0, found + 1);
    reopen(NULL);
    cr_assert_eq(expect_prefix(), found + 1);
    mal_store_close(g_steal_pointer(&store));
  }
  unsigned different = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(seen); i++)
    different += seen[i];
  cr_assert_gt(different, 10);
}

static void copy_file(const char *from, const char *to)
{
  copy_torn(from, to, 0);
}

/* As a daemon leaves it that was killed between write and sync. */
static void leave_log(void)
{
  g_autofree char *db = in_dir(MAL_SQLITE_FILE), *wal = in_dir(MAL_SQLITE_FILE "-wal");
  g_autofree char *kept_db = in_dir("kept"), *kept_wal = in_dir("kept-wal");
  reopen(NULL);
  cr_assert_eq(mal_store_counters(store).log_found, 0, "a new store");
  put(1, 0);
  fake_run(fake_rt);
  copy_file(db, kept_db);
  copy_file(wal, kept_wal);
  mal_store_close(g_steal_pointer(&store));
  copy_file(kept_db, db);
  copy_file(kept_wal, wal);
}

Test(store_faults, a_log_that_is_found_is_synced_before_it_is_believed)
{
  FaultVfs *faults = fault_vfs_reset();
  leave_log();
  reopen(FAULT_VFS);
  cr_assert_eq(faults->syncs, 1);
  cr_assert_eq(faults->writes, 0);
  cr_assert_gt(mal_store_counters(store).log_found, 0);
  g_auto(Loaded) loaded = load_from(NOW);
  expect_lease(&loaded, 1, 0);
}

Test(store_faults, a_log_that_cannot_be_synced_is_not_believed)
{
  g_autoptr(GError) error = NULL;
  FaultVfs *faults = fault_vfs_reset();
  leave_log();
  faults->fail_sync = 0;
  cr_assert_null(mal_store_sqlite_open(fake_runtime(fake_rt), dir, FAULT_VFS, &error));
  assert_says(error->message, "check the disk");
}

/* ---- kill -9 --------------------------------------------------------------------------------- */

#define PER_BATCH 8

typedef struct {
  MalTicket durable;
  int fd;
} Child;

/* Each batch is reported once it is durable. */
static void report(MalTicket through, const GError *error, void *data)
{
  Child *child = data;
  if (error || write(child->fd, &through, sizeof through) != sizeof through)
    _exit(1);
  child->durable = through;
}

/* Under the real runtime, with threads. The leases have the numbers of their round. */
static void child_writes(int fd, uint32_t round)
{
  GMainContext *context = g_main_context_new();
  MalRuntime *rt = mal_runtime_glib_new(context);
  Child child = { .fd = fd };
  store = mal_store_sqlite_open(rt, dir, NULL, NULL);
  if (!store || !mal_store_load(store, NOW, take_lease, NULL, NULL, NULL))
    _exit(2);
  mal_store_sqlite_tune(store, 200, 50);
  mal_store_sqlite_tune_log(store, 30);
  mal_store_listen(store, report, &child);
  for (uint32_t batch = 1;; batch++) {
    MalTicket ticket = 0;
    for (uint32_t i = 0; i < PER_BATCH; i++)
      ticket = put(round * PER_BATCH + i, batch);
    if (ticket != batch)
      _exit(3);
    while (child.durable < ticket)
      g_main_context_iteration(context, TRUE);
  }
}

static MalTicket kill_after(pid_t child, int fd, uint32_t reports)
{
  MalTicket ticket = 0, last = 0;
  while (reports-- > 0 && read(fd, &ticket, sizeof ticket) == sizeof ticket)
    last = ticket;
  kill(child, SIGKILL);
  while (read(fd, &ticket, sizeof ticket) == sizeof ticket)
    last = ticket;
  return last;
}

static uint32_t version_in(const Loaded *loaded, uint32_t n)
{
  Sample s;
  g_autofree char *hex = mal_lease_id_to_hex(sample(&s, n, 0)->id);
  g_autofree char *key = g_strdup_printf("lease %s", hex);
  const char *text = g_hash_table_lookup(loaded->lives, key);
  const char *start = text ? strstr(text, " 17") : NULL;
  return start ? (uint32_t)(g_ascii_strtoll(start, NULL, 10) - NOW) : 0;
}

Test(store_faults, killed_at_any_instant_it_keeps_what_it_acknowledged, .timeout = 180)
{
  MalTicket reported[16] = { 0 };
  for (uint32_t round = 0; round < 16; round++) {
    int fds[2], status;
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
      close(fds[0]);
      child_writes(fds[1], round);
    }
    close(fds[1]);
    uint32_t reports = 1 + mal_runtime_random_below(fake_runtime(fake_rt), 60);
    reported[round] = kill_after(child, fds[0], reports);
    close(fds[0]);
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status), "the child ended by itself: %d", status);
    cr_assert_geq(reported[round], reports);

    reopen(NULL);
    g_auto(Loaded) loaded = load_from(NOW);
    for (uint32_t r = 0; r <= round; r++) {
      uint32_t found = version_in(&loaded, r * PER_BATCH);
      cr_assert_geq(found, reported[r], "round %u lost batch %u", r, (unsigned)reported[r]);
      for (uint32_t i = 0; i < PER_BATCH; i++)
        expect_lease(&loaded, r * PER_BATCH + i, found);   /* all of a batch, or nothing */
    }
    mal_store_close(g_steal_pointer(&store));
  }
}
