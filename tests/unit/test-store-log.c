/* The log in front of the file: copied while batches go on, bounded, and never let go before what
   it holds is safe in the file. */
#define _GNU_SOURCE

#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store-fixture.h"
#include "tests/support/loop.h"

TestSuite(store_log, .init = setup, .fini = teardown);

#define MANY 20
#define PAGE 4096

static void open_with(const char *vfs)
{
  reopen(vfs);
  g_auto(Loaded) loaded = load_from(NOW);
  mal_store_sqlite_tune_log(store, MANY);
}

/* Each of the leases FROM to TO is there, at version 0. */
static void expect_leases(uint32_t from, uint32_t to)
{
  g_auto(Loaded) loaded = load_from(NOW);
  for (uint32_t n = from; n < to; n++)
    expect_lease(&loaded, n, 0);
}

static int64_t log_size(void)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE "-wal");
  struct stat st;
  return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* One batch, of one lease; whether it was told as durable. */
static bool write_batch(uint32_t n)
{
  MalTicket ticket = put(n, 0);
  mal_store_flush(store);
  fake_run(fake_rt);
  return mal_store_durable(store) == ticket;
}

/* Batches of so many that most of their pages are never written again. */
static uint32_t write_plenty(uint32_t n)
{
  for (int i = 0; i < 20; i++)
    put(n++, 0);
  cr_assert(write_batch(n));
  return n + 1;
}

/* ---- while it is copied ---------------------------------------------------------------------- */

Test(store_log, batches_are_written_while_the_copying_is_held)
{
  uint32_t n = 0;
  open_with(NULL);
  fake_hold_worker(fake_rt, "store-copier");
  while (n < MANY * 20 && write_batch(n))
    n++;
  cr_assert_gt(n, MANY * 2, "batch %u waits for the copying", n);
  cr_assert_lt(n, MANY * 12, "the log has no bound");
  cr_assert_leq(log_size(), MANY * 12 * (PAGE + 24));
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
  fake_hold_worker(fake_rt, NULL);
  fake_run(fake_rt);
  cr_assert_eq(mal_store_durable(store), n + 1);
  for (uint32_t i = n + 1; i < n + 100; i++)
    cr_assert(write_batch(i));
  reopen(NULL);
  expect_leases(0, n + 100);
}

Test(store_log, it_is_closed_while_copying_is_due)
{
  open_with(NULL);
  fake_hold_worker(fake_rt, "store-copier");
  for (uint32_t n = 0; n < MANY * 2; n++)
    cr_assert(write_batch(n));
  reopen(NULL);
  expect_leases(0, MANY * 2);
  cr_assert_eq(mal_store_counters(store).log_found, 0);
}

#define LEASES 500

typedef struct {
  uint32_t next; /* change: a version of a lease */
  MalTicket told;
  int64_t longest; /* log, in octets */
} Flow;

/* The next batch leaves as soon as this one is told, and the one after it gathers. */
static void flow_on(MalTicket through, const GError *error, void *data)
{
  Flow *flow = data;
  cr_assert_null(error);
  flow->told = through;
  flow->longest = MAX(flow->longest, log_size());
  if (!store) /* is being closed */
    return;
  for (int i = 0; i < 20; i++, flow->next++)
    put(flow->next % LEASES, flow->next / LEASES);
  mal_store_flush(store);
}

static void expect_flow(const Flow *flow)
{
  reopen(NULL);
  g_auto(Loaded) loaded = load_from(NOW);
  for (uint32_t n = flow->next - LEASES; n < flow->next; n++)
    expect_lease(&loaded, n % LEASES, n / LEASES);
}

static void open_threaded(MalRuntime *rt, Flow *flow)
{
  g_autoptr(GError) error = NULL;
  store = mal_store_sqlite_open(rt, dir, FAULT_VFS, &error);
  cr_assert_not_null(store, "%s", error ? error->message : "");
  cr_assert(mal_store_load(store, NOW, take_lease, NULL, NULL, NULL));
  mal_store_sqlite_tune_log(store, MANY);
  mal_store_listen(store, flow_on, flow);
  flow_on(0, NULL, flow);
}

static void close_threaded(MalRuntime *rt, GMainContext *context)
{
  mal_store_close(g_steal_pointer(&store));
  mal_runtime_glib_free(rt);
  g_main_context_unref(context);
}

/* The same with threads, in the midst of SQLite's copying. */
Test(store_log, batches_are_written_while_the_file_is_synced, .timeout = 60)
{
  GMainContext *context = g_main_context_new();
  MalRuntime *rt = mal_runtime_glib_new(context);
  Flow flow = { 0 };
  fault_vfs_reset();
  open_threaded(rt, &flow);
  fault_vfs_gate(true);
  RUN_UNTIL(rt, fault_vfs_waits());
  MalTicket before = flow.told;
  RUN_UNTIL(rt, flow.told >= before + 5);
  cr_assert(fault_vfs_waits());
  fault_vfs_gate(false);
  RUN_UNTIL(rt, flow.told >= before + 200);
  close_threaded(rt, context);
  expect_flow(&flow);
}

/* Nothing but the writer's own wait for the rest lets the log start anew here. */
Test(store_log, it_stays_short_however_long_the_load_lasts, .timeout = 60)
{
  GMainContext *context = g_main_context_new();
  MalRuntime *rt = mal_runtime_glib_new(context);
  Flow flow = { 0 };
  fault_vfs_reset();
  open_threaded(rt, &flow);
  RUN_UNTIL(rt, flow.told >= 2000);
  cr_assert_leq(flow.longest, MANY * 12 * (PAGE + 24));
  close_threaded(rt, context);
  expect_flow(&flow);
}

/* A reader of an old state keeps the log; what it keeps is not copied again and again. */
Test(store_log, a_reader_is_waited_for_without_haste)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  sqlite3 *db;
  FaultVfs *faults = fault_vfs_reset();
  open_with(FAULT_VFS);
  cr_assert(write_batch(0));
  cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
  cr_assert_eq(sqlite3_exec(db, "BEGIN; SELECT * FROM meta", NULL, NULL, NULL), SQLITE_OK);
  int syncs = faults->syncs;
  for (uint32_t n = 1; n < MANY * 20; n++)
    cr_assert(write_batch(n));
  cr_assert_gt(log_size(), MANY * 20 * PAGE);
  cr_assert_leq(faults->syncs - syncs, MANY * 20 + 100, "%d syncs", faults->syncs - syncs);
  sqlite3_close(db);
  for (uint32_t n = MANY * 20; n < MANY * 24; n++)
    cr_assert(write_batch(n));
  uint64_t bytes = mal_store_counters(store).bytes;
  for (uint32_t n = MANY * 24; n < MANY * 40; n++)
    cr_assert(write_batch(n));
  cr_assert_leq(mal_store_counters(store).bytes, bytes + MANY * 12 * PAGE, "it was let go");
  reopen(NULL);
  expect_leases(0, MANY * 40);
}

/* ---- a disk that fails ----------------------------------------------------------------------- */

static void batches_despite(void (*fault)(FaultVfs *))
{
  FaultVfs *faults = fault_vfs_reset();
  open_with(FAULT_VFS);
  cr_assert(write_batch(0));
  faults->spare_log = true;
  fault(faults);
  int syncs = faults->syncs;
  for (uint32_t n = 1; n < MANY * 10; n++)
    cr_assert(write_batch(n));
  cr_assert_eq(mal_store_state(store, NULL), MAL_STORE_OK);
  cr_assert_eq(told->len, MANY * 10);
  cr_assert_leq(faults->syncs - syncs, MANY * 10 * 2, "it is tried all the time");
  fault_vfs_reset();
  for (uint32_t n = MANY * 10; n < MANY * 20; n++)
    cr_assert(write_batch(n));
  cr_assert_gt(faults->file_writes, 0, "it is not tried again");
  reopen(NULL);
  expect_leases(0, MANY * 20);
}

static void no_write(FaultVfs *faults)
{
  faults->fail_write = 0;
}

static void no_sync(FaultVfs *faults)
{
  faults->fail_sync = 0;
}

static void no_room(FaultVfs *faults)
{
  faults->room = 3 * PAGE;
}

Test(store_log, a_file_that_cannot_be_written_fails_no_batch)
{
  batches_despite(no_write);
}

Test(store_log, a_file_that_cannot_be_synced_fails_no_batch)
{
  batches_despite(no_sync);
}

Test(store_log, a_file_that_has_no_room_fails_no_batch)
{
  batches_despite(no_room);
}

/* Another program's batch comes after what the pass copies: SQLite leaves the file unsynced. */
static void write_beside(void)
{
  run_sql("INSERT OR REPLACE INTO meta VALUES ('beside', 1)");
}

static void overwrite_file(const char *bytes, gsize length)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  FILE *file = g_fopen(path, "r+");
  cr_assert_eq(fwrite(bytes, 1, length, file), length);
  cr_assert_eq(fclose(file), 0);
  cr_assert_eq(truncate(path, (off_t)length), 0);
}

/* Batches until a pass has failed to sync the file, whose octets before it are the result. */
static uint32_t copy_in_vain(FaultVfs *faults, char **bytes, gsize *length)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  uint32_t n = 0;
  open_with(FAULT_VFS);
  n = write_plenty(n);
  cr_assert(g_file_get_contents(path, bytes, length, NULL));
  faults->spare_log = true;
  faults->fail_sync = 0;
  faults->on_file_write = write_beside;
  faults->file_writes = 0;
  while (faults->file_writes == 0)
    n = write_plenty(n);
  return n;
}

/* What the pass wrote is lost, as a disk loses it that failed to sync it. */
Test(store_log, what_could_not_be_synced_is_copied_again)
{
  FaultVfs *faults = fault_vfs_reset();
  g_autofree char *bytes = NULL;
  gsize length;
  uint32_t n = copy_in_vain(faults, &bytes, &length), first = n;
  fault_vfs_reset();
  cr_assert(write_batch(n++));
  overwrite_file(bytes, length);
  for (; n < first + MANY * 10; n++)
    cr_assert(write_batch(n));
  reopen(NULL);
  cr_assert_eq(mal_store_counters(store).log_found, 0);
  expect_leases(0, n);
}

Test(store_log, a_log_that_was_copied_in_vain_outlasts_the_store)
{
  FaultVfs *faults = fault_vfs_reset();
  g_autofree char *bytes = NULL;
  gsize length;
  uint32_t n = 0;
  fake_hold_worker(fake_rt, "store-copier");
  open_with(FAULT_VFS);
  while (n < 600)
    n = write_plenty(n);
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  cr_assert(g_file_get_contents(path, &bytes, &length, NULL));
  faults->spare_log = true;
  faults->fail_sync = 0;
  faults->on_file_write = write_beside;
  mal_store_close(g_steal_pointer(&store));
  fault_vfs_reset();
  overwrite_file(bytes, length);
  reopen(NULL);
  cr_assert_gt(mal_store_counters(store).log_found, 0);
  expect_leases(0, n);
}
