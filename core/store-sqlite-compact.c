#include "store-sqlite.h"

static uint64_t dead_rows(const MalJournal *journal)
{
  return journal->rows - mal_latest_count(journal->latest);
}

static bool journal_due(const MalSqlite *self, const MalJournal *journal)
{
  return journal->pass_end
         || (journal->rows >= self->compact_least && dead_rows(journal) * 2 > journal->rows);
}

bool mal_sqlite_compact_due(const MalSqlite *self)
{
  if (!self->loaded)
    return false;
  for (int i = 0; i < MAL_JOURNALS; i++) {
    if (journal_due(self, &self->journals[i]))
      return true;
  }
  return false;
}

typedef struct {
  MalLatestKey key;
  uint64_t row;
} Move;

static MalLatestKey key_of(MalSqlite *self, const MalJournal *journal)
{
  if (journal == &self->journals[MAL_JOURNAL_LEASES])
    return mal_latest_key(journal->latest, sqlite3_column_blob(journal->head, 1),
                          (size_t)sqlite3_column_bytes(journal->head, 1));
  mal_sqlite_record_key(journal->head, 1, self->scratch);
  return mal_latest_key(journal->latest, self->scratch->data, self->scratch->len);
}

static int copy_row(MalJournal *journal, uint64_t from, uint64_t to)
{
  sqlite3_bind_int64(journal->copy, 1, (sqlite3_int64)from);
  sqlite3_bind_int64(journal->copy, 2, (sqlite3_int64)to);
  int rc = sqlite3_step(journal->copy);
  sqlite3_reset(journal->copy);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* A row lives if it is the newest of its key. Only such a row is copied, so its copy at the tail
   has no later change to come after; and a "drop" at the head has outlived all that it could
   end. */
static int move_head(MalSqlite *self, MalJournal *journal, GArray *moves, uint64_t *last,
                     uint64_t *seen)
{
  int rc;
  sqlite3_bind_int64(journal->head, 1, (sqlite3_int64)journal->pass_end);
  sqlite3_bind_int64(journal->head, 2, self->compact_step);
  while ((rc = sqlite3_step(journal->head)) == SQLITE_ROW) {
    Move move = { .key = key_of(self, journal), .row = journal->next + moves->len };
    *last = (uint64_t)sqlite3_column_int64(journal->head, 0);
    ++*seen;
    if (mal_latest_get(journal->latest, move.key) != *last)
      continue;
    rc = copy_row(journal, *last, move.row);
    if (rc != SQLITE_OK)
      break;
    g_array_append_val(moves, move);
  }
  sqlite3_reset(journal->head);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int forget_head(MalJournal *journal, uint64_t last)
{
  sqlite3_bind_int64(journal->trim, 1, (sqlite3_int64)last);
  int rc = sqlite3_step(journal->trim);
  sqlite3_reset(journal->trim);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void account(MalSqlite *self, MalJournal *journal, const GArray *moves, uint64_t seen)
{
  for (guint i = 0; i < moves->len; i++) {
    Move move = g_array_index(moves, Move, i);
    mal_latest_set(journal->latest, move.key, move.row);
  }
  journal->next += moves->len;
  journal->rows += moves->len;
  journal->rows -= seen;
  if (seen < self->compact_step) {
    journal->pass_end = 0;
    self->compactions++;
  }
}

static bool compact_journal(MalSqlite *self, MalJournal *journal, GError **error)
{
  g_autoptr(GArray) moves = g_array_new(FALSE, FALSE, sizeof(Move));
  uint64_t last = 0, seen = 0;
  if (!journal->pass_end)
    journal->pass_end = journal->next;
  if (!mal_sqlite_begin(self, error))
    return false;
  int rc = move_head(self, journal, moves, &last, &seen);
  if (rc == SQLITE_OK && seen)
    rc = forget_head(journal, last);
  if (rc != SQLITE_OK) {
    mal_sqlite_fail(self->db, self->path, rc, error);
    mal_sqlite_rollback(self);
    return false;
  }
  if (!mal_sqlite_commit(self, error))
    return false;
  account(self, journal, moves, seen);
  return true;
}

bool mal_sqlite_compact(MalSqlite *self, GError **error)
{
  for (int i = 0; i < MAL_JOURNALS; i++) {
    if (journal_due(self, &self->journals[i]))
      return compact_journal(self, &self->journals[i], error);
  }
  return true;
}
