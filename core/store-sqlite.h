/* The parts of the SQLite backend. Not installed.

   store-sqlite.c         the loop's side: tickets, group commit, failing and recovering
   store-sqlite-file.c    directory, lock, schema, errors in words
   store-sqlite-encode.c  changes, copied into an arena on the loop's thread
   store-sqlite-write.c   an arena into the journals, in one transaction
   store-sqlite-compact.c the head of a journal, moved or forgotten
   store-sqlite-log.c     the log in front of the file, copied into it
   store-sqlite-load.c    the journals, read by somebody who trusts nothing
   store-sqlite-soon.c    the writer goes first when it wakes
   store-sqlite-task.c    backup and check, on a connection and a thread of their own

   The loop's thread opens, loads and closes; in between the MalSqlite belongs to the worker. */
#ifndef MAL_STORE_SQLITE_H
#define MAL_STORE_SQLITE_H

#include <sqlite3.h>

#include "store-sqlite-latest.h"
#include "store-private.h"

#define MAL_SQLITE_FILE "mallocd.db"
#define MAL_SQLITE_LOCK "lock"
/* A log that stays behind would be replayed into whatever takes the file's place. */
#define MAL_SQLITE_RESTORE \
  "move it aside together with its -wal and -shm files, and restore a backup in its place"
#define MAL_SQLITE_APPLICATION 0x4d4c4344   /* "MLCD" */
#define MAL_SQLITE_VERSION 1                /* newest schema known */

/* ---- changes in an arena --------------------------------------------------------------------- */

typedef enum {
  MAL_CHANGE_PUT_LEASE,
  MAL_CHANGE_DROP_LEASE,
  MAL_CHANGE_PUT_RECORD,
  MAL_CHANGE_DROP_RECORD,
} MalChangeKind;

/* Each change starts with one of these and is padded to 8 octets. */
typedef struct {
  uint32_t size;              /* with everything that follows */
  uint32_t kind;
  MalTime at;                 /* when it was written down, or dropped */
} MalChange;

/* Then: id, scope, blocks, client, origin, reason; texts have no NUL. */
typedef struct {
  MalChange change;
  MalTime start, end, granted;
  int64_t pad;
  uint32_t flags, blocks;     /* lengths from here on */
  uint16_t id, scope, client, origin, reason;
} MalLeaseRow;

/* Then: owner, NUL, kind, NUL, key, value. */
typedef struct {
  MalChange change;
  uint32_t owner, kind, key, value;   /* lengths without the NULs */
} MalRecordRow;

typedef struct {
  uint8_t *bytes;
  size_t used, size;
  size_t changes;
} MalArena;

void mal_arena_clear(MalArena *arena);      /* keeps the memory, unless it is much */
void mal_arena_free(MalArena *arena);
void mal_arena_put_lease(MalArena *arena, MalTime at, const MalLease *lease);
void mal_arena_drop_lease(MalArena *arena, MalTime at, MalLeaseId id, const char *reason);
void mal_arena_put_record(MalArena *arena, MalTime at, const MalRecord *record, bool drop);

/* ---- the database ---------------------------------------------------------------------------- */

typedef enum { MAL_JOURNAL_LEASES, MAL_JOURNAL_RECORDS, MAL_JOURNALS } MalJournalKind;

typedef struct {
  MalLatest *latest;          /* newest row of each key that lives */
  uint64_t next;              /* key of the row to be appended next */
  uint64_t rows;
  uint64_t pass_end;          /* compaction works on rows before this one; 0: no pass under way */
  sqlite3_stmt *insert, *head, *copy, *trim;
} MalJournal;

typedef struct {
  char *dir, *path, *vfs;
  int lock;
  sqlite3 *db;
  sqlite3_stmt *begin, *commit, *rollback, *probe, *pages;
  MalJournal journals[MAL_JOURNALS];
  GByteArray *scratch;        /* a record's key while it is looked up */
  int wal_pages;              /* in the log, after the last commit */
  int64_t page_size;
  bool loaded;                /* `latest` is complete */
  uint64_t compactions;
  uint64_t log_found;         /* octets, when it was opened: whoever had it did not close it */
  uint64_t compact_least;     /* shorter journals are left alone */
  unsigned compact_step;      /* rows at a time */
} MalSqlite;

/* Makes and locks the directory, opens the file and brings it to the newest schema. */
MalSqlite *mal_sqlite_open(MalRuntime *rt, const char *dir, const char *vfs, GError **error);
void mal_sqlite_close(MalSqlite *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalSqlite, mal_sqlite_close)
/* Another connection to the same file, for reading. */
sqlite3 *mal_sqlite_open_reader(const MalSqlite *self, GError **error);
/* Says in words what RC of DB means for FILE and what can be done about it. Returns false. */
bool mal_sqlite_fail(sqlite3 *db, const char *file, int rc, GError **error);
bool mal_sqlite_exec(sqlite3 *db, const char *file, const char *sql, GError **error);
sqlite3_stmt *mal_sqlite_prepare(sqlite3 *db, const char *file, const char *sql, GError **error);
bool mal_sqlite_begin(MalSqlite *self, GError **error);
bool mal_sqlite_commit(MalSqlite *self, GError **error);
void mal_sqlite_rollback(MalSqlite *self);
/* The name of what was made at PATH outlasts a power cut, where the directory around it can be
   opened. */
void mal_sqlite_sync_parent(const char *path);
uint64_t mal_sqlite_bytes(MalSqlite *self);
bool mal_sqlite_probe(MalSqlite *self, MalTime now, GError **error);

bool mal_sqlite_write(MalSqlite *self, const MalArena *arena, GError **error);
/* The calling thread is short of time. Where the system can't be told, nothing happens. */
void mal_sqlite_soon(void);

/* Whether a step is worth while. */
bool mal_sqlite_compact_due(const MalSqlite *self);
/* One bounded transaction. */
bool mal_sqlite_compact(MalSqlite *self, GError **error);

bool mal_sqlite_load(MalSqlite *self, MalTime not_ended_before, MalStoreLeaseFunc lease,
                     MalStoreRecordFunc record, void *data, GError **error);
/* The live rows of one journal, in order. LATEST and ROWS are filled on the way. */
bool mal_sqlite_scan_leases(sqlite3 *db, const char *file, MalTime not_ended_before,
                            MalLatest *latest, uint64_t *rows, MalStoreLeaseFunc func, void *data,
                            GError **error);
bool mal_sqlite_scan_records(sqlite3 *db, const char *file, MalLatest *latest, uint64_t *rows,
                             MalStoreRecordFunc func, void *data, GError **error);
/* Runs READ on a thread of its own, which gives leases to PUT; FUNC has them on the caller's, in
   the same order, a few batches later. One that FUNC refuses ends both. */
typedef bool (*MalAheadFunc)(MalStoreLeaseFunc put, void *put_data, void *data, GError **error);
bool mal_sqlite_read_ahead(MalAheadFunc read, void *read_data, MalStoreLeaseFunc func, void *data,
                           GError **error);
/* The octets that name a record, from the three columns that start at COLUMN. */
void mal_sqlite_record_key(sqlite3_stmt *stmt, int column, GByteArray *out);

/* Both run on a thread of their own and stop early once *STOP is set. Return a line for people, or
   NULL. */
char *mal_sqlite_backup(const MalSqlite *self, const char *path, const int *stop, GError **error);
char *mal_sqlite_check(const MalSqlite *self, MalTime now, const uint8_t *secret, const int *stop,
                       GError **error);

/* ---- the log in front of the file ------------------------------------------------------------ */

/* The loop's, but for mal_log_run. */
typedef struct MalLog MalLog;

/* ENDED: a pass has. DB outlives it. */
MalLog *mal_log_new(MalRuntime *rt, MalSqlite *db, MalTimerFunc ended, void *data);
void mal_log_tune(MalLog *log, int many);
/* It has so many pages after a job of the writer. */
void mal_log_seen(MalLog *log, int pages);
/* The writer is idle, and the last batch was written. Begins a pass where one is due. Returns true
   where the writer has to call mal_log_run on its thread, and then mal_log_ran on the loop's. */
bool mal_log_mind(MalLog *log);
void mal_log_run(MalLog *log);
void mal_log_ran(MalLog *log);
/* So much came during the pass under way that no batch should be written before its end. */
bool mal_log_full(const MalLog *log);
/* Waits for the pass under way. */
void mal_log_stop(MalLog *log);
void mal_log_free(MalLog *log);     /* before DB is closed */

/* ---- for tests ------------------------------------------------------------------------------- */

/* Journals of LEAST rows are worth compacting, STEP rows at a time. Before the first append. */
void mal_store_sqlite_tune(MalStore *store, uint64_t least, unsigned step);
/* A log of MANY pages is worth copying. Before the first append. */
void mal_store_sqlite_tune_log(MalStore *store, int many);

#endif
