/* The log in front of the file is copied into it while batches go on, by a thread with a connection
   of its own: a pass, each time that much has gathered. SQLite starts the log anew only with a
   batch that finds all of it copied, and under load something always came after what a pass copied.
   So once a pass leaves little, or the log has grown long all the same, the rest is copied in the
   writer's turn.

   SQLite syncs the log before a pass, so nothing reaches the file that a power cut could take out
   of the log. The file it syncs only where a pass has come to the log's end, and what it copied
   counts as copied in any case. So each pass of ours ends with a sync of the file, which also
   leaves the one in the writer's turn little to do. Where that sync fails, part of what was copied
   may be lost while nobody would copy it again: then the index of the log is made anew, as after a
   crash, and with it the count. A store that is closed before leaves the log to its successor.

   A pass that fails has lost nothing and is no failure of the store: what it would have copied
   stays in the log, where it is as durable as in the file. */
#include "store-sqlite.h"

#include <string.h>

#define LOG_MANY 500       /* pages that are worth a pass */
#define INDEX_REGION 32768 /* octets: the unit in which SQLite maps the index of a log */
#define INDEX_HEADERS 96   /* octets: two copies */

typedef enum {
  COPY_FAILED,
  COPY_DONE,
  COPY_UNSYNCED, /* copied, and perhaps lost on the way to the disk */
} CopyEnd;

typedef struct {
  CopyEnd end;
  int copied; /* pages of the log, from its start, that are in the file */
} Copy;

typedef enum { REST, PASS, FINISH, RECOUNT } Step;

struct MalLog {
  MalRuntime *rt;
  MalSqlite *db; /* the writer's */
  MalTimerFunc ended;
  void *data;
  MalWorker *copier;  /* made at the start: later there may be no memory for its thread */
  sqlite3 *copier_db; /* the copier's */
  Copy pass;          /* the copier's until it is told */
  Copy finish;        /* the writer's, as the next */
  bool recounted;
  int many;
  int pages;    /* in the log, after the writer's last job */
  int copied;   /* of them, as far as known */
  int due;      /* length at which copying begins */
  int began;    /* length when the pass under way began */
  bool copying; /* one is under way */
  bool begun;   /* the last one copied something */
  bool unsafe;  /* one was not synced */
  Step step;    /* of the writer, between mal_log_mind and mal_log_ran */
};

/* ---- copying --------------------------------------------------------------------------------- */

static Copy copy_with(sqlite3 *db)
{
  int in_log = -1, copied = -1;
  int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  if (rc == SQLITE_OK && copied >= 0)
    return (Copy){ .end = COPY_DONE, .copied = copied };
  return (Copy){ .end = COPY_FAILED };
}

static sqlite3_file *file_of(sqlite3 *db)
{
  sqlite3_file *file = NULL;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return file && file->pMethods ? file : NULL;
}

/* A connection knows of the log once it has read. */
static sqlite3 *open_copier(const MalSqlite *self)
{
  sqlite3 *db = mal_sqlite_open_reader(self, NULL);
  if (db && mal_sqlite_exec(db, self->path,
                            "PRAGMA synchronous = FULL; SELECT count(*) FROM sqlite_master", NULL))
    return db;
  sqlite3_close(db);
  return NULL;
}

static Copy copy_beside(MalLog *log)
{
  if (!log->copier_db && !(log->copier_db = open_copier(log->db)))
    return (Copy){ .end = COPY_FAILED };
  Copy copy = copy_with(log->copier_db);
  sqlite3_file *file = file_of(log->copier_db);
  if (copy.end == COPY_DONE &&
      (!file || file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) != SQLITE_OK))
    copy.end = COPY_UNSYNCED;
  return copy;
}

/* Whoever reads next finds the index broken, and makes it from the log: nothing counts as copied
   then. Only where the last batch was written: one that failed could rise from the log. */
static bool recount(MalSqlite *db)
{
  volatile void *index = NULL;
  sqlite3_file *file = file_of(db->db);
  if (!file || !mal_sqlite_begin(db, NULL))
    return false;
  int rc = file->pMethods->xShmMap(file, 0, INDEX_REGION, 0, &index);
  if (rc == SQLITE_OK && index) {
    memset((void *)(uintptr_t)index, 0, INDEX_HEADERS);
    file->pMethods->xShmBarrier(file);
  }
  return mal_sqlite_commit(db, NULL) && rc == SQLITE_OK && index;
}

/* ---- when ------------------------------------------------------------------------------------ */

static void rest(MalLog *log)
{
  log->begun = false;
  log->due = log->pages + log->many;
}

static void started_anew(MalLog *log)
{
  log->copied = 0;
  log->begun = false;
  log->due = log->many;
}

void mal_log_seen(MalLog *log, int pages)
{
  bool shorter = pages < log->pages;
  log->pages = pages;
  if (shorter)
    started_anew(log);
}

static Step next_step(const MalLog *log)
{
  if (log->copying)
    return REST;
  if (log->unsafe)
    return log->pages >= log->due ? RECOUNT : REST;
  if (!log->begun)
    return log->pages >= log->due ? PASS : REST;
  bool little = log->pages - log->copied <= log->many / 8;
  return little || log->pages >= log->many * 8 ? FINISH : PASS;
}

bool mal_log_full(const MalLog *log)
{
  return log->copying && log->pages - log->began >= log->many * 4;
}

/* A reader of an old state keeps what is newer from being copied: no use in another pass now. */
static void account_pass(MalLog *log)
{
  bool further = log->pass.copied > log->copied;
  if (log->pass.end == COPY_DONE)
    log->copied = log->pass.copied;
  rest(log);
  log->begun = log->pass.end == COPY_DONE && further;
  if (log->pass.end == COPY_UNSYNCED) {
    log->unsafe = true;
    log->due = log->pages;
  }
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void run_pass(void *data)
{
  MalLog *log = data;
  log->pass = copy_beside(log);
}

static void pass_done(void *data)
{
  MalLog *log = data;
  log->copying = false;
  account_pass(log);
  log->ended(log->data);
}

static void submit_pass(MalLog *log)
{
  log->copying = true;
  log->began = log->pages;
  mal_worker_submit(log->copier, run_pass, pass_done, log);
}

/* After a pass that copied all, the next batch starts the log anew by itself. */
bool mal_log_mind(MalLog *log)
{
  if (log->begun && log->copied == log->pages)
    rest(log);
  log->step = next_step(log);
  if (log->step == PASS)
    submit_pass(log);
  return log->step == FINISH || log->step == RECOUNT;
}

void mal_log_run(MalLog *log)
{
  if (log->step == RECOUNT)
    log->recounted = recount(log->db);
  else
    log->finish = copy_with(log->db->db);
}

void mal_log_ran(MalLog *log)
{
  if (log->step == RECOUNT) {
    log->unsafe = !log->recounted;
    log->copied = 0;
  } else if (log->finish.end == COPY_DONE) {
    log->copied = log->finish.copied;
  }
  rest(log);
}

/* ---- life ------------------------------------------------------------------------------------ */

MalLog *mal_log_new(MalRuntime *rt, MalSqlite *db, MalTimerFunc ended, void *data)
{
  MalLog *log = g_new0(MalLog, 1);
  log->db = db;
  log->copier = mal_worker_new(rt, "store-copier");
  log->ended = ended;
  log->data = data;
  mal_log_tune(log, LOG_MANY);
  return log;
}

void mal_log_tune(MalLog *log, int many)
{
  log->many = many;
  rest(log);
}

void mal_log_stop(MalLog *log)
{
  mal_worker_free(log->copier);
  sqlite3_close(log->copier_db);
  log->copier_db = NULL;
}

void mal_log_free(MalLog *log)
{
  if (log->unsafe)
    sqlite3_db_config(log->db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  g_free(log);
}
