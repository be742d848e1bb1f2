#include "store-sqlite.h"

enum { ID = 1, OP, AT, SCOPE, BLOCKS, STARTS, ENDS, PAD, GRANTED, CLIENT, ORIGIN, FLAGS, REASON,
       SEQ };

/* Reads along a change's octets and binds them where they lie. */
typedef struct {
  sqlite3_stmt *stmt;
  const uint8_t *at;
  int rc;                     /* of the first that failed */
} Binder;

static void note(Binder *binder, int rc)
{
  if (binder->rc == SQLITE_OK)
    binder->rc = rc;
}

static void bind_text(Binder *binder, int column, size_t length)
{
  if (length)
    note(binder, sqlite3_bind_text64(binder->stmt, column, (const char *)binder->at, length,
                                     SQLITE_STATIC, SQLITE_UTF8));
  else
    note(binder, sqlite3_bind_null(binder->stmt, column));
  binder->at += length;
}

/* A NULL pointer would make an empty value NULL; AT never is. */
static void bind_blob(Binder *binder, int column, size_t length)
{
  note(binder, sqlite3_bind_blob64(binder->stmt, column, binder->at, length, SQLITE_STATIC));
  binder->at += length;
}

static void bind_op(sqlite3_stmt *stmt, int column, bool drop)
{
  sqlite3_bind_text(stmt, column, drop ? "drop" : "put", drop ? 4 : 3, SQLITE_STATIC);
}

static int bind_lease(sqlite3_stmt *stmt, const MalLeaseRow *lease)
{
  Binder binder = { .stmt = stmt, .at = (const uint8_t *)(lease + 1) };
  bool drop = lease->change.kind == MAL_CHANGE_DROP_LEASE;
  bind_op(stmt, OP, drop);
  sqlite3_bind_int64(stmt, AT, lease->change.at);
  bind_blob(&binder, ID, lease->id);
  bind_text(&binder, SCOPE, lease->scope);
  bind_text(&binder, BLOCKS, lease->blocks);
  bind_text(&binder, CLIENT, lease->client);
  bind_text(&binder, ORIGIN, lease->origin);
  bind_text(&binder, REASON, lease->reason);
  if (drop) {
    for (int column = STARTS; column <= GRANTED; column++)
      sqlite3_bind_null(stmt, column);
    sqlite3_bind_null(stmt, FLAGS);
    return binder.rc;
  }
  sqlite3_bind_int64(stmt, STARTS, lease->start);
  sqlite3_bind_int64(stmt, ENDS, lease->end);
  sqlite3_bind_int64(stmt, PAD, lease->pad);
  sqlite3_bind_int64(stmt, GRANTED, lease->granted);
  sqlite3_bind_int64(stmt, FLAGS, lease->flags);
  return binder.rc;
}

static int bind_record(sqlite3_stmt *stmt, const MalRecordRow *record)
{
  Binder binder = { .stmt = stmt, .at = (const uint8_t *)(record + 1) };
  bool drop = record->change.kind == MAL_CHANGE_DROP_RECORD;
  bind_text(&binder, 1, record->owner);
  binder.at++;
  bind_text(&binder, 2, record->kind);
  binder.at++;
  bind_blob(&binder, 3, record->key);
  bind_op(stmt, 4, drop);
  sqlite3_bind_int64(stmt, 5, record->change.at);
  if (drop)
    sqlite3_bind_null(stmt, 6);
  else
    bind_blob(&binder, 6, record->value);
  return binder.rc;
}

static bool is_lease(const MalChange *change)
{
  return change->kind == MAL_CHANGE_PUT_LEASE || change->kind == MAL_CHANGE_DROP_LEASE;
}

static const MalChange *change_at(const MalArena *arena, size_t offset)
{
  return (const MalChange *)(const void *)(arena->bytes + offset);
}

static int insert_all(MalSqlite *self, const MalArena *arena)
{
  uint64_t next[MAL_JOURNALS];
  for (int i = 0; i < MAL_JOURNALS; i++)
    next[i] = self->journals[i].next;
  for (size_t offset = 0; offset < arena->used; offset += change_at(arena, offset)->size) {
    const MalChange *change = change_at(arena, offset);
    MalJournalKind which = is_lease(change) ? MAL_JOURNAL_LEASES : MAL_JOURNAL_RECORDS;
    sqlite3_stmt *stmt = self->journals[which].insert;
    int rc = which == MAL_JOURNAL_LEASES
                 ? bind_lease(stmt, (const MalLeaseRow *)(const void *)change)
                 : bind_record(stmt, (const MalRecordRow *)(const void *)change);
    if (rc != SQLITE_OK)
      return rc;
    sqlite3_bind_int64(stmt, which == MAL_JOURNAL_LEASES ? SEQ : 7, (sqlite3_int64)next[which]++);
    rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    if (rc != SQLITE_DONE)
      return rc;
  }
  return SQLITE_OK;
}

/* What the journals' owner knows of them follows once the transaction stands. */
static void account(MalSqlite *self, const MalArena *arena)
{
  for (size_t offset = 0; offset < arena->used; offset += change_at(arena, offset)->size) {
    const MalChange *change = change_at(arena, offset);
    const MalLeaseRow *lease = (const MalLeaseRow *)(const void *)change;
    const MalRecordRow *record = (const MalRecordRow *)(const void *)change;
    MalJournal *journal =
        &self->journals[is_lease(change) ? MAL_JOURNAL_LEASES : MAL_JOURNAL_RECORDS];
    const void *bytes = is_lease(change) ? (const void *)(lease + 1) : (const void *)(record + 1);
    size_t length =
        is_lease(change) ? lease->id : (size_t)record->owner + record->kind + record->key + 2;
    MalLatestKey key = mal_latest_key(journal->latest, bytes, length);
    if (change->kind == MAL_CHANGE_PUT_LEASE || change->kind == MAL_CHANGE_PUT_RECORD)
      mal_latest_set(journal->latest, key, journal->next);
    else
      mal_latest_remove(journal->latest, key);
    journal->next++;
    journal->rows++;
  }
}

bool mal_sqlite_write(MalSqlite *self, const MalArena *arena, GError **error)
{
  if (!mal_sqlite_begin(self, error))
    return false;
  int rc = insert_all(self, arena);
  if (rc != SQLITE_OK) {
    mal_sqlite_fail(self->db, self->path, rc, error);
    mal_sqlite_rollback(self);
    return false;
  }
  if (!mal_sqlite_commit(self, error))
    return false;
  account(self, arena);
  return true;
}
