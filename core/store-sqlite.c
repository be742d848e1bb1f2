/* The SQLite backend, as the loop's thread sees it.

   Appends are copied into the arena of the batch that gathers. One batch at a time is with the
   worker; what is appended meanwhile goes into the next one, which leaves as soon as the one before
   is told. Between batches the worker gets chores (compaction, the rest of the log), a bounded
   piece at a time: whenever it is idle, and after every so many changes when it never is. Most of
   the log is copied into the file by another worker meanwhile.

   A batch that fails makes the store FAILING: what has gathered fails with it, for it may build on
   what was lost, and so does all that is appended until a probe, a tiny write that is tried with
   growing intervals, succeeds. The interval starts afresh only after a real batch, as a disk may
   have room for a probe and no more.

   Where it is the sync that fails, the batch's pages may have reached the disk whole. The next
   write goes over them; a crash before it brings the batch back, of which nobody was told that it
   is durable. */
#include "store-sqlite.h"

#define PROBE_FIRST (1 * MAL_US)
#define PROBE_MOST (30 * MAL_US)
#define CHANGES_PER_CHORE 256

typedef struct SqliteStore SqliteStore;

typedef struct {
  SqliteStore *store;
  MalTicket ticket;
  MalArena arena;
  GError *error;
  int64_t took;
} Batch;

/* What is known of the database after the worker's last job. */
typedef struct {
  uint64_t rows, bytes, compactions;
  int log;                    /* pages */
  bool chores;                /* there is something to do when it is idle */
} Report;

struct SqliteStore {
  MalStore base;
  MalRuntime *rt;
  MalSqlite *db;              /* the worker's between load and close */
  MalWorker *worker;
  MalWorker *reader;          /* backups and checks; made when first needed */
  MalLog *log;
  MalTimer *turn;             /* the end of the loop's turn */
  MalTimer *probe_timer;
  MalListeners listeners;
  Batch *gathering, *writing; /* no batch writing: NULL */
  Batch *spare;
  MalTicket durable;
  MalStoreCounters counters;
  Report fresh;               /* the worker's while it is busy */
  Report report;
  GError *failure;            /* not NULL: FAILING */
  int64_t probe_interval;
  MalTime probe_at;
  GError *probe_error, *chore_error;
  size_t since_chore;
  bool busy;                  /* the worker has a job */
  bool flush;                 /* the gathering batch leaves next */
  bool soon;                  /* the worker's: its thread was said to be short of time */
  bool chores_off;            /* they failed: no more until a batch was written */
  int stop;                   /* for the reader */
};

static void next_job(SqliteStore *self);

static SqliteStore *sqlite(MalStore *store)
{
  return (SqliteStore *)store;
}

/* ---- batches --------------------------------------------------------------------------------- */

static Batch *batch_new(SqliteStore *self, MalTicket ticket)
{
  Batch *batch = g_steal_pointer(&self->spare);
  if (!batch) {
    batch = g_new0(Batch, 1);
    batch->store = self;
  }
  batch->ticket = ticket;
  return batch;
}

static void batch_free(Batch *batch)
{
  if (!batch)
    return;
  mal_arena_free(&batch->arena);
  g_clear_error(&batch->error);
  g_free(batch);
}

static void batch_recycle(SqliteStore *self, Batch *batch)
{
  g_clear_error(&batch->error);
  mal_arena_clear(&batch->arena);
  if (self->spare)
    batch_free(batch);
  else
    self->spare = batch;
}

/* On the worker, at the end of a job. */
static void make_report(SqliteStore *self)
{
  MalSqlite *db = self->db;
  self->fresh.rows = db->journals[MAL_JOURNAL_LEASES].rows + db->journals[MAL_JOURNAL_RECORDS].rows;
  self->fresh.bytes = mal_sqlite_bytes(db);
  self->fresh.compactions = db->compactions;
  self->fresh.log = db->wal_pages;
  self->fresh.chores = mal_sqlite_compact_due(db);
}

/* On the loop, once the job is done. */
static void take_report(SqliteStore *self)
{
  self->busy = false;
  self->report = self->fresh;
  mal_log_seen(self->log, self->report.log);
}

static void run_batch(void *data)
{
  Batch *batch = data;
  SqliteStore *self = batch->store;
  if (!self->soon)
    mal_sqlite_soon();
  self->soon = true;
  int64_t start = mal_runtime_monotonic(self->rt);
  mal_sqlite_write(self->db, &batch->arena, &batch->error);
  batch->took = mal_runtime_monotonic(self->rt) - start;
  make_report(self);
}

static void arm_probe(SqliteStore *self)
{
  mal_timer_set(self->probe_timer, mal_runtime_monotonic(self->rt) + self->probe_interval);
  self->probe_interval = MIN(self->probe_interval * 2, PROBE_MOST);
}

/* Everything that gathered builds on a state that the disk doesn't have. */
static void fail_gathered(SqliteStore *self)
{
  Batch *batch = self->gathering;
  if (!batch->arena.changes)
    return;
  self->gathering = batch_new(self, batch->ticket + 1);
  self->flush = false;
  self->counters.failures++;
  g_autoptr(GError) error = g_error_copy(self->failure);
  mal_listeners_call(&self->listeners, batch->ticket, error);
  batch_recycle(self, batch);
}

static void start_failing(SqliteStore *self, const Batch *batch)
{
  g_clear_error(&self->failure);
  self->failure = g_error_copy(batch->error);
  self->counters.failures++;
  arm_probe(self);
  mal_listeners_call(&self->listeners, batch->ticket, batch->error);
  fail_gathered(self);
}

static void tell_written(SqliteStore *self, const Batch *batch)
{
  self->durable = batch->ticket;
  self->counters.batches++;
  self->counters.last_commit_us = batch->took;
  self->counters.max_commit_us = MAX(self->counters.max_commit_us, batch->took);
  self->probe_interval = PROBE_FIRST;
  self->chores_off = false;
  self->since_chore += batch->arena.changes;
  /* Before anybody is told, so that the worker goes on while answers are made. */
  next_job(self);
  mal_listeners_call(&self->listeners, batch->ticket, NULL);
}

static void batch_done(void *data)
{
  Batch *batch = data;
  SqliteStore *self = batch->store;
  take_report(self);
  self->writing = NULL;
  if (batch->error)
    start_failing(self, batch);
  else
    tell_written(self, batch);
  batch_recycle(self, batch);
  next_job(self);
}

static void write_gathered(SqliteStore *self)
{
  self->writing = self->gathering;
  self->gathering = batch_new(self, self->writing->ticket + 1);
  self->flush = false;
  self->busy = true;
  mal_worker_submit(self->worker, run_batch, batch_done, self->writing);
}

/* ---- chores and probes ----------------------------------------------------------------------- */

static void run_chores(void *data)
{
  SqliteStore *self = data;
  mal_sqlite_compact(self->db, &self->chore_error);
  make_report(self);
}

/* A chore that fails has lost nothing; the next batch finds out whether the disk is at fault. */
static void chores_done(void *data)
{
  SqliteStore *self = data;
  take_report(self);
  if (self->chore_error)
    self->chores_off = true;
  g_clear_error(&self->chore_error);
  next_job(self);
}

static void run_probe(void *data)
{
  SqliteStore *self = data;
  mal_sqlite_probe(self->db, self->probe_at, &self->probe_error);
}

static void probe_done(void *data)
{
  SqliteStore *self = data;
  self->busy = false;
  if (self->probe_error) {
    g_clear_error(&self->failure);
    self->failure = g_steal_pointer(&self->probe_error);
    arm_probe(self);
  } else {
    fail_gathered(self);
    g_clear_error(&self->failure);
    mal_listeners_call(&self->listeners, self->durable, NULL);
  }
  next_job(self);
}

static void submit_chores(SqliteStore *self)
{
  self->since_chore = 0;
  self->busy = true;
  mal_worker_submit(self->worker, run_chores, chores_done, self);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void run_log(void *data)
{
  mal_log_run(((SqliteStore *)data)->log);
}

static void log_done(void *data)
{
  SqliteStore *self = data;
  self->busy = false;
  mal_log_ran(self->log);
  next_job(self);
}

static void pass_ended(void *data)
{
  next_job(data);
}

/* The worker is idle: what is the most urgent? */
static void next_job(SqliteStore *self)
{
  if (self->busy || self->stop)
    return;
  bool sound = !self->chores_off && !self->failure;
  if (sound && mal_log_mind(self->log)) {
    self->busy = true;
    mal_worker_submit(self->worker, run_log, log_done, self);
    return;
  }
  bool room = !mal_log_full(self->log);
  bool chores = self->report.chores && sound && room;
  bool batch = self->flush && self->gathering->arena.changes && !self->failure && room;
  if (chores && (!batch || self->since_chore >= CHANGES_PER_CHORE))
    submit_chores(self);
  else if (batch)
    write_gathered(self);
}

static void probe_now(void *data)
{
  SqliteStore *self = data;
  if (self->busy) {
    mal_timer_set(self->probe_timer, mal_runtime_monotonic(self->rt) + PROBE_FIRST);
    return;
  }
  self->probe_at = mal_runtime_now(self->rt);
  self->busy = true;
  mal_worker_submit(self->worker, run_probe, probe_done, self);
}

/* ---- appending ------------------------------------------------------------------------------- */

static void turn_over(void *data)
{
  SqliteStore *self = data;
  if (self->failure)
    fail_gathered(self);
  self->flush = self->gathering->arena.changes > 0;
  next_job(self);
}

static MalTicket appended(SqliteStore *self)
{
  if (self->gathering->arena.changes == 1)
    mal_timer_set(self->turn, mal_runtime_monotonic(self->rt));
  self->counters.changes++;
  return self->gathering->ticket;
}

static MalTicket sqlite_put_lease(MalStore *store, const MalLease *lease)
{
  SqliteStore *self = sqlite(store);
  mal_arena_put_lease(&self->gathering->arena, mal_runtime_now(self->rt), lease);
  return appended(self);
}

static MalTicket sqlite_drop_lease(MalStore *store, MalLeaseId id, MalTime at, const char *reason)
{
  SqliteStore *self = sqlite(store);
  mal_arena_drop_lease(&self->gathering->arena, at, id, reason);
  return appended(self);
}

static MalTicket sqlite_put_record(MalStore *store, const MalRecord *record)
{
  SqliteStore *self = sqlite(store);
  mal_arena_put_record(&self->gathering->arena, mal_runtime_now(self->rt), record, false);
  return appended(self);
}

static MalTicket sqlite_drop_record(MalStore *store, const char *owner, const char *kind,
                                    const uint8_t *key, size_t key_length)
{
  SqliteStore *self = sqlite(store);
  MalRecord record = { .owner = owner, .kind = kind, .key = key, .key_length = key_length };
  mal_arena_put_record(&self->gathering->arena, mal_runtime_now(self->rt), &record, true);
  return appended(self);
}

/* While failing, the end of the turn tells: no listener is called from inside its caller. */
static void sqlite_flush(MalStore *store)
{
  SqliteStore *self = sqlite(store);
  if (!self->gathering->arena.changes || self->failure)
    return;
  mal_timer_stop(self->turn);
  self->flush = true;
  next_job(self);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static unsigned sqlite_listen(MalStore *store, MalStoreFunc func, void *data)
{
  return mal_listeners_add(&sqlite(store)->listeners, func, data);
}

static void sqlite_unlisten(MalStore *store, unsigned id)
{
  mal_listeners_remove(&sqlite(store)->listeners, id);
}

static MalTicket sqlite_durable(const MalStore *store)
{
  return ((const SqliteStore *)store)->durable;
}

static MalStoreState sqlite_state(const MalStore *store, const GError **out_error)
{
  const SqliteStore *self = (const SqliteStore *)store;
  if (out_error)
    *out_error = self->failure;
  return self->failure ? MAL_STORE_FAILING : MAL_STORE_OK;
}

static MalStoreCounters sqlite_counters(const MalStore *store)
{
  const SqliteStore *self = (const SqliteStore *)store;
  MalStoreCounters counters = self->counters;
  counters.rows = self->report.rows;
  counters.bytes = self->report.bytes;
  counters.compactions = self->report.compactions;
  return counters;
}

/* ---- backup and check ------------------------------------------------------------------------ */

typedef struct {
  SqliteStore *store;
  char *path;                 /* NULL: a check */
  MalTime now;
  uint8_t secret[MAL_LATEST_SECRET];
  MalStoreDoneFunc done;
  void *data;
  char *detail;
  GError *error;
} Task;

static void run_task(void *data)
{
  Task *task = data;
  SqliteStore *self = task->store;
  if (task->path)
    task->detail = mal_sqlite_backup(self->db, task->path, &self->stop, &task->error);
  else
    task->detail = mal_sqlite_check(self->db, task->now, task->secret, &self->stop, &task->error);
}

static void task_done(void *data)
{
  Task *task = data;
  if (task->done)
    task->done(task->detail, task->error, task->data);
  g_free(task->path);
  g_free(task->detail);
  g_clear_error(&task->error);
  g_free(task);
}

static void submit_task(SqliteStore *self, const char *path, MalStoreDoneFunc done, void *data)
{
  Task *task = g_new0(Task, 1);
  task->store = self;
  task->path = g_strdup(path);
  task->now = mal_runtime_now(self->rt);
  mal_runtime_random(self->rt, task->secret, sizeof task->secret);
  task->done = done;
  task->data = data;
  if (!self->reader)
    self->reader = mal_worker_new(self->rt, "store-reader");
  mal_worker_submit(self->reader, run_task, task_done, task);
}

static void sqlite_backup(MalStore *store, const char *path, MalStoreDoneFunc done, void *data)
{
  submit_task(sqlite(store), path, done, data);
}

static void sqlite_check(MalStore *store, MalStoreDoneFunc done, void *data)
{
  submit_task(sqlite(store), NULL, done, data);
}

/* ---- life ------------------------------------------------------------------------------------ */

static bool sqlite_load(MalStore *store, MalTime not_ended_before, MalStoreLeaseFunc lease,
                        MalStoreRecordFunc record, void *data, GError **error)
{
  SqliteStore *self = sqlite(store);
  bool ok = mal_sqlite_load(self->db, not_ended_before, lease, record, data, error);
  make_report(self);
  take_report(self);
  return ok;
}

/* The workers have ended: this thread is the only one, and writes what listeners still appended. */
static void write_rest(SqliteStore *self)
{
  for (int round = 0; self->gathering->arena.changes && round < 8; round++) {
    if (self->failure) {
      fail_gathered(self);
      continue;
    }
    Batch *batch = self->writing = self->gathering;
    self->gathering = batch_new(self, batch->ticket + 1);
    run_batch(batch);
    batch_done(batch);
  }
}

static void sqlite_close(MalStore *store)
{
  SqliteStore *self = sqlite(store);
  g_atomic_int_set(&self->stop, 1);
  if (self->reader)
    mal_worker_free(self->reader);
  mal_log_stop(self->log);
  mal_worker_free(self->worker);
  write_rest(self);
  mal_timer_free(self->turn);
  mal_timer_free(self->probe_timer);
  mal_log_free(self->log);
  mal_sqlite_close(self->db);
  batch_free(self->gathering);
  batch_free(self->spare);
  mal_listeners_clear(&self->listeners);
  g_clear_error(&self->failure);
  g_clear_error(&self->chore_error);
  g_clear_error(&self->probe_error);
  g_free(self);
}

static const MalStoreOps sqlite_ops = {
  .load = sqlite_load,
  .put_lease = sqlite_put_lease,
  .drop_lease = sqlite_drop_lease,
  .put_record = sqlite_put_record,
  .drop_record = sqlite_drop_record,
  .flush = sqlite_flush,
  .listen = sqlite_listen,
  .unlisten = sqlite_unlisten,
  .durable = sqlite_durable,
  .state = sqlite_state,
  .counters = sqlite_counters,
  .backup = sqlite_backup,
  .check = sqlite_check,
  .close = sqlite_close,
};

MalStore *mal_store_sqlite_open(MalRuntime *rt, const char *state_dir, const char *vfs,
                                GError **error)
{
  MalSqlite *db = mal_sqlite_open(rt, state_dir, vfs, error);
  if (!db)
    return NULL;
  SqliteStore *self = g_new0(SqliteStore, 1);
  self->base.ops = &sqlite_ops;
  self->rt = rt;
  self->db = db;
  self->counters.log_found = db->log_found;
  self->worker = mal_worker_new(rt, "store");
  self->turn = mal_timer_new(rt, turn_over, self);
  self->probe_timer = mal_timer_new(rt, probe_now, self);
  self->probe_interval = PROBE_FIRST;
  self->gathering = batch_new(self, 1);
  mal_listeners_init(&self->listeners);
  self->log = mal_log_new(rt, db, pass_ended, self);
  make_report(self);
  take_report(self);
  return &self->base;
}

void mal_store_sqlite_tune(MalStore *store, uint64_t least, unsigned step)
{
  SqliteStore *self = sqlite(store);
  self->db->compact_least = least;
  self->db->compact_step = step;
}

void mal_store_sqlite_tune_log(MalStore *store, int many)
{
  mal_log_tune(sqlite(store)->log, many);
}
