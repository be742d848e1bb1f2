#define _GNU_SOURCE

#include "store-sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 2000
#define VALUE_MAX (64 << 20)
#define WAL_KEEP "16777216"   /* octets the log in front of the file keeps after it grew */

/* One entry a version, run in order; what is in the field stays as it is, newer versions go
   below. */
static const char *const migrations[MAL_SQLITE_VERSION] = {
  "CREATE TABLE meta (name TEXT PRIMARY KEY, value);"
  "CREATE TABLE lease_log (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, op TEXT NOT NULL,"
  " at INTEGER NOT NULL,"
  " scope TEXT, blocks TEXT, starts INTEGER, ends INTEGER, pad INTEGER, granted INTEGER,"
  " client TEXT,"
  " origin TEXT, flags INTEGER, reason TEXT);"
  "CREATE TABLE record_log (seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL,"
  " key BLOB NOT NULL, op TEXT NOT NULL, at INTEGER NOT NULL, value BLOB);"
  "CREATE VIEW leases AS SELECT lower(hex(id)) AS lease, scope, blocks AS addresses,"
  " strftime('%Y-%m-%dT%H:%M:%SZ', starts, 'unixepoch') AS starts,"
  " coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', ends, 'unixepoch'), 'never') AS ends,"
  " coalesce(strftime('%Y-%m-%dT%H:%M:%SZ', ends + pad, 'unixepoch'), 'never') AS held_until,"
  " client, origin, strftime('%Y-%m-%dT%H:%M:%SZ', granted, 'unixepoch') AS granted,"
  " flags & 1 AS shared"
  " FROM lease_log JOIN (SELECT max(seq) AS seq FROM lease_log GROUP BY id) USING (seq)"
  " WHERE op = 'put' AND ends + pad > CAST(strftime('%s', 'now') AS INTEGER);"
  "CREATE VIEW records AS SELECT owner, kind, lower(hex(key)) AS key, value,"
  " strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch') AS changed"
  " FROM record_log JOIN (SELECT max(seq) AS seq FROM record_log GROUP BY owner, kind, key)"
  " USING (seq)"
  " WHERE op = 'put';",
};

/* ---- errors in words ------------------------------------------------------------------------- */

static const char *what_to_do(int rc)
{
  switch (rc & 0xff) {
  case SQLITE_FULL:
    return "the disk is full: make room";
  case SQLITE_READONLY:
    return "it can't be written: check its permissions and whether the file system is mounted "
           "read-only";
  case SQLITE_IOERR:
    return "reading or writing failed: check the disk and the system's log";
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return "another program holds it locked: end that program's transaction";
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return "the file is damaged or no database: " MAL_SQLITE_RESTORE;
  case SQLITE_CANTOPEN:
  case SQLITE_PERM:
  case SQLITE_AUTH:
    return "it can't be opened: check the permissions of the file and its directory";
  case SQLITE_CONSTRAINT:
    return "another program has written into it: restart mallocd";
  case SQLITE_INTERRUPT:
    return "the daemon stops";
  case SQLITE_TOOBIG:
    return "a value is longer than a row may be";
  case SQLITE_NOMEM:
    return "there is no memory for it: look what uses it up";
  case SQLITE_ERROR:
    return "it hasn't the tables of mallocd: " MAL_SQLITE_RESTORE;
  default:
    return "unexpected";
  }
}

bool mal_sqlite_fail(sqlite3 *db, const char *file, int rc, GError **error)
{
  int number = db ? sqlite3_system_errno(db) : 0;
  bool system = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "%s: %s (%s%s%s)", file, what_to_do(rc),
              db && (rc & 0xff) == SQLITE_ERROR ? sqlite3_errmsg(db) : sqlite3_errstr(rc),
              system && number ? ": " : "", system && number ? g_strerror(number) : "");
  return false;
}

bool mal_sqlite_exec(sqlite3 *db, const char *file, const char *sql, GError **error)
{
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK || mal_sqlite_fail(db, file, rc, error);
}

sqlite3_stmt *mal_sqlite_prepare(sqlite3 *db, const char *file, const char *sql, GError **error)
{
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
  if (rc != SQLITE_OK)
    mal_sqlite_fail(db, file, rc, error);
  return stmt;
}

/* The first column of the first row; 0 where there is none. */
static bool ask_number(sqlite3 *db, const char *file, const char *sql, int64_t *out, GError **error)
{
  sqlite3_stmt *stmt = mal_sqlite_prepare(db, file, sql, error);
  if (!stmt)
    return false;
  int rc = sqlite3_step(stmt);
  *out = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
  rc = sqlite3_finalize(stmt);
  return rc == SQLITE_OK || mal_sqlite_fail(db, file, rc, error);
}

/* ---- directory and lock ---------------------------------------------------------------------- */

static char *user_text(uid_t uid)
{
  char room[4096];
  struct passwd entry, *found = NULL;
  if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found)
    return g_strdup(found->pw_name);
  return g_strdup_printf("user %ld", (long)uid);
}

/* Whose it is, where that explains why we may not: of FILE itself, or of what it lies in, as far as
   we can see. */
static char *owner_hint(const char *file, int number)
{
  struct stat st;
  g_autofree char *at = g_strdup(file);
  while ((number == EACCES || number == EPERM) && stat(at, &st) != 0 && strlen(at) > 1) {
    char *above = g_path_get_dirname(at);
    g_free(at);
    at = above;
  }
  if ((number != EACCES && number != EPERM) || strlen(at) <= 1 || st.st_uid == geteuid())
    return g_strdup("");
  g_autofree char *owner = user_text(st.st_uid), *self = user_text(geteuid());
  return g_strdup_printf(" (%s belongs to %s, and this mallocd runs as %s: run it as %s, or give "
                         "it a state-dir of its own)",
                         at, owner, self, owner);
}

static bool fail_errno(const char *file, const char *what, GError **error)
{
  int number = errno;
  g_autofree char *hint = owner_hint(file, number);
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "%s: %s: %s%s", file, what, g_strerror(number),
              hint);
  return false;
}

static void name_holder(int fd, char out[16])
{
  char text[16] = "";
  ssize_t length = pread(fd, text, sizeof text - 1, 0);
  size_t digits = length > 0 ? strspn(text, "0123456789") : 0;
  text[digits] = '\0';
  g_strlcpy(out, digits ? text : "unknown", 16);
}

/* flock, so that a second store in one process is kept out too. The number inside is for people. */
static bool take_lock(MalSqlite *self, GError **error)
{
  g_autofree char *path = g_build_filename(self->dir, MAL_SQLITE_LOCK, NULL);
  self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (self->lock < 0)
    return fail_errno(path, "can't be opened", error);
  if (flock(self->lock, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK)
      return fail_errno(path, "can't be locked", error);
    char holder[16];
    name_holder(self->lock, holder);
    g_set_error(
        error, MAL_ERROR, MAL_ERROR_STORE,
        "%s is in use by another mallocd (process %s): stop that one, or give this one a state-dir "
        "of its own",
        self->dir, holder);
    return false;
  }
  g_autofree char *text = g_strdup_printf("%ld\n", (long)getpid());
  size_t length = strlen(text);
  if (ftruncate(self->lock, 0) < 0 || pwrite(self->lock, text, length, 0) != (ssize_t)length)
    return fail_errno(path, "can't be written", error);
  return true;
}

/* SQLite would make the file readable for all; its log and index take over the file's mode. */
static bool make_private(const char *path, GError **error)
{
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail_errno(path, "can't be opened", error);
  bool ok = fchmod(fd, 0600) == 0 || fail_errno(path, "can't be made private", error);
  close(fd);
  return ok;
}

/* A new file's name must outlast a power cut before anything in it is called durable. */
static bool sync_directory(const char *dir, GError **error)
{
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return fail_errno(dir, "can't be opened", error);
  bool ok = fsync(fd) == 0 || errno == EINVAL || fail_errno(dir, "can't be synced", error);
  close(fd);
  return ok;
}

void mal_sqlite_sync_parent(const char *path)
{
  g_autofree char *dir = g_path_get_dirname(path);
  sync_directory(dir, NULL);
}

/* ---- connections ----------------------------------------------------------------------------- */

static sqlite3 *connect_to(const char *path, const char *vfs, int flags, GError **error)
{
  sqlite3 *db = NULL;
  int on;
  if (!sqlite3_threadsafe()) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "SQLite was built without threads: it can't be used");
    return NULL;
  }
  int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, vfs);
  if (rc != SQLITE_OK) {
    mal_sqlite_fail(db, path, rc, error);
    sqlite3_close(db);
    return NULL;
  }
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, BUSY_MS);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &on);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &on);
  return db;
}

sqlite3 *mal_sqlite_open_reader(const MalSqlite *self, GError **error)
{
  return connect_to(self->path, self->vfs, SQLITE_OPEN_READWRITE, error);
}

static bool check_owner(MalSqlite *self, int64_t application, int64_t version, GError **error)
{
  if (application != MAL_SQLITE_APPLICATION) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "%s is another program's database (application %08" G_GINT64_MODIFIER "x): "
                MAL_SQLITE_RESTORE, self->path, application);
    return false;
  }
  if (version > MAL_SQLITE_VERSION) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "%s has schema version %" G_GINT64_FORMAT
                ", this mallocd knows versions up to %d: upgrade "
                "mallocd or restore an older backup",
                self->path, version, MAL_SQLITE_VERSION);
    return false;
  }
  if (version < 1) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "%s has schema version %" G_GINT64_FORMAT ", which never was: " MAL_SQLITE_RESTORE,
                self->path, version);
    return false;
  }
  return true;
}

static bool migrate_one(MalSqlite *self, int64_t version, GError **error)
{
  g_autofree char *sql = g_strdup_printf(
      "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;",
      migrations[version], MAL_SQLITE_APPLICATION, (int)version + 1);
  if (mal_sqlite_exec(self->db, self->path, sql, error))
    return true;
  if (!sqlite3_get_autocommit(self->db))
    sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
  return false;
}

/* The pragma doesn't fail where the file system can't share memory: it only says which mode it is
   now. */
static bool set_wal(MalSqlite *self, GError **error)
{
  sqlite3_stmt *stmt = mal_sqlite_prepare(self->db, self->path, "PRAGMA journal_mode = WAL", error);
  if (!stmt)
    return false;
  int rc = sqlite3_step(stmt);
  bool wal = rc == SQLITE_ROW && g_strcmp0((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
  sqlite3_finalize(stmt);
  if (rc != SQLITE_ROW)
    return mal_sqlite_fail(self->db, self->path, rc, error);
  if (!wal)
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "%s: this file system has no shared memory files, which "
                "write-ahead logging needs: use a local one for state-dir",
                self->path);
  return wal;
}

/* What a daemon that was killed had written and not synced yet is read as if it were durable, and
   answered for: so it must be. */
static bool sync_log(MalSqlite *self, GError **error)
{
  sqlite3_file *log = NULL;
  sqlite3_int64 size = 0;
  int rc = sqlite3_file_control(self->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (rc == SQLITE_OK && log && log->pMethods)
    rc = log->pMethods->xFileSize(log, &size);
  if (rc == SQLITE_OK && size > 0)
    rc = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  self->log_found = (uint64_t)size;
  return rc == SQLITE_OK || mal_sqlite_fail(self->db, self->path, rc, error);
}

static bool bring_up_to_date(MalSqlite *self, GError **error)
{
  int64_t application, version, objects;
  sqlite3 *db = self->db;
  if (!ask_number(db, self->path, "PRAGMA application_id", &application, error)
      || !ask_number(db, self->path, "PRAGMA user_version", &version, error)
      || !ask_number(db, self->path, "SELECT count(*) FROM sqlite_master", &objects, error))
    return false;
  bool fresh = application == 0 && version == 0 && objects == 0;
  if (!fresh && !check_owner(self, application, version, error))
    return false;
  if (!sync_log(self, error) || !set_wal(self, error)
      || !mal_sqlite_exec(db, self->path,
                          "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;"
                          "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = " WAL_KEEP,
                          error))
    return false;
  for (; version < MAL_SQLITE_VERSION; version++) {
    if (!migrate_one(self, version, error))
      return false;
  }
  return true;
}

/* ---- statements ------------------------------------------------------------------------------ */

static const struct {
  const char *last, *insert, *head, *copy, *trim;
} journal_sql[MAL_JOURNALS] = {
  [MAL_JOURNAL_LEASES] = {
    .last = "SELECT max(seq) FROM lease_log",
    .insert = "INSERT INTO lease_log (id, op, at, scope, blocks, starts, ends, pad,"
              " granted, client, origin, flags, reason, seq) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    .head = "SELECT seq, id FROM lease_log WHERE seq < ?1 ORDER BY seq LIMIT ?2",
    .copy = "INSERT INTO lease_log SELECT ?2, id, op, at, scope, blocks, starts, ends, pad,"
            " granted, client, origin, flags, reason FROM lease_log WHERE seq = ?1",
    .trim = "DELETE FROM lease_log WHERE seq <= ?1",
  },
  [MAL_JOURNAL_RECORDS] = {
    .last = "SELECT max(seq) FROM record_log",
    .insert = "INSERT INTO record_log (owner, kind, key, op, at, value, seq)"
              " VALUES (?,?,?,?,?,?,?)",
    .head = "SELECT seq, owner, kind, key FROM record_log WHERE seq < ?1 ORDER BY seq LIMIT ?2",
    .copy = "INSERT INTO record_log SELECT ?2, owner, kind, key, op, at, value FROM record_log"
            " WHERE seq = ?1",
    .trim = "DELETE FROM record_log WHERE seq <= ?1",
  },
};

static bool open_journal(MalSqlite *self, MalJournalKind which, const uint8_t *secret,
                         GError **error)
{
  MalJournal *journal = &self->journals[which];
  int64_t last;
  if (!ask_number(self->db, self->path, journal_sql[which].last, &last, error))
    return false;
  if (last < 0 || last >= INT64_C(1) << 55) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                "%s: row number %" G_GINT64_FORMAT " is out of bounds: " MAL_SQLITE_RESTORE,
                self->path, last);
    return false;
  }
  journal->next = (uint64_t)last + 1;
  journal->latest = mal_latest_new(secret);
  return (journal->insert =
              mal_sqlite_prepare(self->db, self->path, journal_sql[which].insert, error))
         && (journal->head =
                 mal_sqlite_prepare(self->db, self->path, journal_sql[which].head, error))
         && (journal->copy =
                 mal_sqlite_prepare(self->db, self->path, journal_sql[which].copy, error))
         && (journal->trim =
                 mal_sqlite_prepare(self->db, self->path, journal_sql[which].trim, error));
}

static int note_wal(void *data, sqlite3 *db, const char *name, int pages)
{
  MalSqlite *self = data;
  (void)db, (void)name;
  self->wal_pages = pages;
  return SQLITE_OK;
}

static bool open_statements(MalSqlite *self, const uint8_t *secret, GError **error)
{
  sqlite3 *db = self->db;
  for (int i = 0; i < MAL_JOURNALS; i++) {
    if (!open_journal(self, (MalJournalKind)i, secret, error))
      return false;
  }
  sqlite3_wal_hook(db, note_wal, self);
  return ask_number(db, self->path, "PRAGMA page_size", &self->page_size, error)
         && (self->begin = mal_sqlite_prepare(db, self->path, "BEGIN IMMEDIATE", error))
         && (self->commit = mal_sqlite_prepare(db, self->path, "COMMIT", error))
         && (self->rollback = mal_sqlite_prepare(db, self->path, "ROLLBACK", error))
         && (self->pages = mal_sqlite_prepare(db, self->path, "PRAGMA page_count", error))
         && (self->probe = mal_sqlite_prepare(
                 db, self->path, "INSERT OR REPLACE INTO meta VALUES ('probe', ?1)", error));
}

static int step_once(sqlite3_stmt *stmt)
{
  int rc = sqlite3_step(stmt);
  sqlite3_reset(stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool mal_sqlite_begin(MalSqlite *self, GError **error)
{
  int rc = step_once(self->begin);
  return rc == SQLITE_OK || mal_sqlite_fail(self->db, self->path, rc, error);
}

bool mal_sqlite_commit(MalSqlite *self, GError **error)
{
  int rc = step_once(self->commit);
  if (rc == SQLITE_OK)
    return true;
  mal_sqlite_fail(self->db, self->path, rc, error);
  mal_sqlite_rollback(self);
  return false;
}

/* SQLite has rolled back by itself after some errors. */
void mal_sqlite_rollback(MalSqlite *self)
{
  if (!sqlite3_get_autocommit(self->db))
    step_once(self->rollback);
}

uint64_t mal_sqlite_bytes(MalSqlite *self)
{
  int64_t pages = self->wal_pages;
  if (sqlite3_step(self->pages) == SQLITE_ROW)
    pages += sqlite3_column_int64(self->pages, 0);
  sqlite3_reset(self->pages);
  return (uint64_t)(pages * self->page_size);
}

bool mal_sqlite_probe(MalSqlite *self, MalTime now, GError **error)
{
  sqlite3_bind_int64(self->probe, 1, now);
  int rc = step_once(self->probe);
  return rc == SQLITE_OK || mal_sqlite_fail(self->db, self->path, rc, error);
}

/* ---- life ------------------------------------------------------------------------------------ */

MalSqlite *mal_sqlite_open(MalRuntime *rt, const char *dir, const char *vfs, GError **error)
{
  uint8_t secret[MAL_LATEST_SECRET];
  g_autoptr(MalSqlite) self = g_new0(MalSqlite, 1);
  self->dir = g_strdup(dir);
  self->path = g_build_filename(dir, MAL_SQLITE_FILE, NULL);
  self->vfs = g_strdup(vfs);
  self->lock = -1;
  self->scratch = g_byte_array_new();
  self->compact_least = 65536;
  self->compact_step = 512;
  mal_runtime_random(rt, secret, sizeof secret);
  if (g_mkdir_with_parents(dir, 0700) < 0) {
    fail_errno(dir, "can't be made", error);
    return NULL;
  }
  if (!take_lock(self, error) || !make_private(self->path, error))
    return NULL;
  self->db = connect_to(self->path, vfs, SQLITE_OPEN_READWRITE, error);
  if (!self->db || !bring_up_to_date(self, error) || !open_statements(self, secret, error)
      || !sync_directory(dir, error))
    return NULL;
  mal_sqlite_sync_parent(dir);
  return g_steal_pointer(&self);
}

void mal_sqlite_close(MalSqlite *self)
{
  if (!self)
    return;
  for (int i = 0; i < MAL_JOURNALS; i++) {
    MalJournal *journal = &self->journals[i];
    sqlite3_finalize(journal->insert);
    sqlite3_finalize(journal->head);
    sqlite3_finalize(journal->copy);
    sqlite3_finalize(journal->trim);
    mal_latest_free(journal->latest);
  }
  sqlite3_finalize(self->begin);
  sqlite3_finalize(self->commit);
  sqlite3_finalize(self->rollback);
  sqlite3_finalize(self->pages);
  sqlite3_finalize(self->probe);
  sqlite3_close(self->db);
  if (self->lock >= 0)
    close(self->lock);
  g_byte_array_unref(self->scratch);
  g_free(self->dir);
  g_free(self->path);
  g_free(self->vfs);
  g_free(self);
}
