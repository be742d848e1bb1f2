#include "store-sqlite.h"

#include <string.h>

/* One scan of one journal: first which row is the newest of each key, then the newest ones in
   order. */
typedef struct {
  sqlite3 *db;
  const char *file;
  const char *table;
  MalLatest *latest;
  sqlite3_stmt *stmt;         /* stands on a row; column 0 is its number */
} Scan;

static bool bad_row(const Scan *scan, GError **error, const char *what)
{
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
              "%s: table %s, row %" G_GINT64_FORMAT
              ": %s: the file is damaged: " MAL_SQLITE_RESTORE,
              scan->file, scan->table, (int64_t)sqlite3_column_int64(scan->stmt, 0), what);
  return false;
}

typedef bool (*RowFunc)(Scan *scan, void *data, GError **error);

static bool each_row(Scan *scan, const char *sql, RowFunc func, void *data, GError **error)
{
  bool ok = true;
  int rc;
  scan->stmt = mal_sqlite_prepare(scan->db, scan->file, sql, error);
  if (!scan->stmt)
    return false;
  while (ok && (rc = sqlite3_step(scan->stmt)) == SQLITE_ROW)
    ok = func(scan, data, error);
  if (ok && rc != SQLITE_DONE)
    ok = mal_sqlite_fail(scan->db, scan->file, rc, error);
  sqlite3_finalize(scan->stmt);
  return ok;
}

static bool whole_number(const Scan *scan, int column)
{
  return sqlite3_column_type(scan->stmt, column) == SQLITE_INTEGER;
}

/* NULL for anything but UTF-8 text without NULs. */
static const char *text_at(const Scan *scan, int column)
{
  if (sqlite3_column_type(scan->stmt, column) != SQLITE_TEXT)
    return NULL;
  const char *text = (const char *)sqlite3_column_text(scan->stmt, column);
  return text && g_utf8_validate(text, sqlite3_column_bytes(scan->stmt, column), NULL) ? text
                                                                                       : NULL;
}

static bool op_at(const Scan *scan, int column, bool *drop)
{
  if (sqlite3_column_type(scan->stmt, column) != SQLITE_TEXT)
    return false;
  const char *op = (const char *)sqlite3_column_text(scan->stmt, column);
  *drop = op && strcmp(op, "drop") == 0;
  return op && (*drop || strcmp(op, "put") == 0);
}

static bool number_ok(const Scan *scan)
{
  int64_t row = sqlite3_column_int64(scan->stmt, 0);
  return row >= 1 && row < INT64_C(1) << 55;
}

static void note(const Scan *scan, MalLatestKey key, bool drop)
{
  if (drop)
    mal_latest_remove(scan->latest, key);
  else
    mal_latest_set(scan->latest, key, (uint64_t)sqlite3_column_int64(scan->stmt, 0));
}

static bool is_latest(const Scan *scan, MalLatestKey key)
{
  return mal_latest_get(scan->latest, key) == (uint64_t)sqlite3_column_int64(scan->stmt, 0);
}

/* ---- leases ---------------------------------------------------------------------------------- */

enum { SEQ, ID, OP, SCOPE, BLOCKS, STARTS, ENDS, PAD, GRANTED, CLIENT, ORIGIN, FLAGS };

typedef struct {
  MalTime not_ended_before;
  MalStoreLeaseFunc func;
  void *data;
  uint64_t rows;
} LeaseScan;

static MalLatestKey lease_key(const Scan *scan)
{
  return mal_latest_key(scan->latest, sqlite3_column_blob(scan->stmt, ID),
                        (size_t)sqlite3_column_bytes(scan->stmt, ID));
}

static bool note_lease(Scan *scan, void *data, GError **error)
{
  LeaseScan *leases = data;
  bool drop;
  if (!number_ok(scan))
    return bad_row(scan, error, "its number is out of bounds");
  int length = sqlite3_column_bytes(scan->stmt, ID);
  if (sqlite3_column_type(scan->stmt, ID) != SQLITE_BLOB || length < 1 || length > MAL_LEASE_ID_MAX)
    return bad_row(scan, error, "column id isn't 1 to 255 octets");
  if (!op_at(scan, OP, &drop))
    return bad_row(scan, error, "column op is neither 'put' nor 'drop'");
  note(scan, lease_key(scan), drop);
  leases->rows++;
  return true;
}

static bool read_times(const Scan *scan, MalLease *lease, GError **error)
{
  static const char *const names[] = { "starts", "ends", "pad", "granted" };
  for (int column = STARTS; column <= GRANTED; column++) {
    if (!whole_number(scan, column)) {
      g_autofree char *what = g_strdup_printf("column %s isn't a number", names[column - STARTS]);
      return bad_row(scan, error, what);
    }
  }
  lease->start = sqlite3_column_int64(scan->stmt, STARTS);
  lease->end = sqlite3_column_int64(scan->stmt, ENDS);
  lease->pad = sqlite3_column_int64(scan->stmt, PAD);
  lease->granted = sqlite3_column_int64(scan->stmt, GRANTED);
  if (lease->start > lease->end)
    return bad_row(scan, error, "it ends before it starts");
  return lease->pad >= 0 || bad_row(scan, error, "column pad is negative");
}

static bool read_words(const Scan *scan, MalLease *lease, GError **error)
{
  lease->scope = text_at(scan, SCOPE);
  if (!lease->scope || !*lease->scope)
    return bad_row(scan, error, "column scope isn't a name");
  bool anonymous = sqlite3_column_type(scan->stmt, ORIGIN) == SQLITE_NULL;
  lease->origin = anonymous ? "" : text_at(scan, ORIGIN);
  if (!lease->origin)
    return bad_row(scan, error, "column origin isn't a word");
  lease->client = mal_address_none();
  if (sqlite3_column_type(scan->stmt, CLIENT) != SQLITE_NULL) {
    const char *client = text_at(scan, CLIENT);
    if (!client || !mal_address_parse(client, &lease->client, NULL))
      return bad_row(scan, error, "column client isn't an address");
  }
  int64_t flags = sqlite3_column_int64(scan->stmt, FLAGS);
  if (!whole_number(scan, FLAGS) || flags < 0 || flags > UINT32_MAX)
    return bad_row(scan, error, "column flags isn't a set of flags");
  lease->flags = (uint32_t)flags & (uint32_t)~(MAL_LEASE_HELD | MAL_LEASE_PENDING);
  return true;
}

static bool blocks_ok(const GArray *blocks)
{
  for (guint i = 0; i < blocks->len; i++) {
    MalBlock block = g_array_index(blocks, MalBlock, i);
    MalAddress end;
    if (block.count < 1 || !mal_address_is_multicast(block.first)
        || !mal_address_add(block.first, block.count - 1, &end))
      return false;
    if (i == 0)
      continue;
    MalBlock before = g_array_index(blocks, MalBlock, i - 1);
    if (before.first.family != block.first.family
        || before.first.value + before.count >= block.first.value)
      return false;
  }
  return blocks->len > 0;
}

static bool give_lease(Scan *scan, void *data, GError **error)
{
  LeaseScan *leases = data;
  MalLatestKey key = lease_key(scan);
  MalLease lease = { 0 };
  if (!is_latest(scan, key))
    return true;
  if (!read_times(scan, &lease, error) || !read_words(scan, &lease, error))
    return false;
  const char *text = text_at(scan, BLOCKS);
  g_autoptr(GArray) blocks = text ? mal_blocks_parse(text, NULL) : NULL;
  if (!blocks || !blocks_ok(blocks))
    return bad_row(scan, error, "column blocks isn't a sorted list of multicast addresses");
  if (mal_lease_held_until(&lease) <= leases->not_ended_before) {
    mal_latest_remove(scan->latest, key);
    return true;
  }
  lease.id.bytes = sqlite3_column_blob(scan->stmt, ID);
  lease.id.length = (size_t)sqlite3_column_bytes(scan->stmt, ID);
  lease.blocks = (const MalBlock *)(const void *)blocks->data;
  lease.n_blocks = blocks->len;
  return !leases->func || leases->func(&lease, leases->data, error);
}

bool mal_sqlite_scan_leases(sqlite3 *db, const char *file, MalTime not_ended_before,
                            MalLatest *latest, uint64_t *rows, MalStoreLeaseFunc func, void *data,
                            GError **error)
{
  Scan scan = { .db = db, .file = file, .table = "lease_log", .latest = latest };
  LeaseScan leases = { .not_ended_before = not_ended_before, .func = func, .data = data };
  bool ok =
      each_row(&scan, "SELECT seq, id, op FROM lease_log ORDER BY seq", note_lease, &leases, error)
      && each_row(&scan,
                  "SELECT seq, id, op, scope, blocks, starts, ends, pad, granted, client, origin,"
                  " flags FROM lease_log ORDER BY seq",
                  give_lease, &leases, error);
  *rows = leases.rows;
  return ok;
}

/* ---- records --------------------------------------------------------------------------------- */

typedef struct {
  MalStoreRecordFunc func;
  void *data;
  uint64_t rows;
  GByteArray *key;
} RecordScan;

static void append_column(sqlite3_stmt *stmt, int column, bool text, GByteArray *out)
{
  const void *bytes = text ? (const void *)sqlite3_column_text(stmt, column)
                           : sqlite3_column_blob(stmt, column);
  int length = sqlite3_column_bytes(stmt, column);
  if (bytes && length > 0)
    g_byte_array_append(out, bytes, (guint)length);
  if (text)
    g_byte_array_append(out, (const uint8_t *)"", 1);
}

void mal_sqlite_record_key(sqlite3_stmt *stmt, int column, GByteArray *out)
{
  g_byte_array_set_size(out, 0);
  append_column(stmt, column, true, out);
  append_column(stmt, column + 1, true, out);
  append_column(stmt, column + 2, false, out);
}

static bool note_record(Scan *scan, void *data, GError **error)
{
  RecordScan *records = data;
  bool drop;
  if (!number_ok(scan))
    return bad_row(scan, error, "its number is out of bounds");
  if (!text_at(scan, 1) || !text_at(scan, 2))
    return bad_row(scan, error, "column owner or kind isn't a word");
  if (sqlite3_column_type(scan->stmt, 3) != SQLITE_BLOB)
    return bad_row(scan, error, "column key isn't a row of octets");
  if (!op_at(scan, 4, &drop))
    return bad_row(scan, error, "column op is neither 'put' nor 'drop'");
  mal_sqlite_record_key(scan->stmt, 1, records->key);
  note(scan, mal_latest_key(scan->latest, records->key->data, records->key->len), drop);
  records->rows++;
  return true;
}

/* Never NULL, not even for no octets at all. */
static const uint8_t *octets_at(const Scan *scan, int column)
{
  const uint8_t *octets = sqlite3_column_blob(scan->stmt, column);
  return octets ? octets : (const uint8_t *)"";
}

static bool give_record(Scan *scan, void *data, GError **error)
{
  RecordScan *records = data;
  mal_sqlite_record_key(scan->stmt, 1, records->key);
  if (!is_latest(scan, mal_latest_key(scan->latest, records->key->data, records->key->len)))
    return true;
  if (sqlite3_column_type(scan->stmt, 5) != SQLITE_BLOB)
    return bad_row(scan, error, "column value isn't a row of octets");
  MalRecord record = {
    .owner = (const char *)sqlite3_column_text(scan->stmt, 1),
    .kind = (const char *)sqlite3_column_text(scan->stmt, 2),
    .key = octets_at(scan, 3),
    .key_length = (size_t)sqlite3_column_bytes(scan->stmt, 3),
    .value = octets_at(scan, 5),
    .value_length = (size_t)sqlite3_column_bytes(scan->stmt, 5),
  };
  return !records->func || records->func(&record, records->data, error);
}

bool mal_sqlite_scan_records(sqlite3 *db, const char *file, MalLatest *latest, uint64_t *rows,
                             MalStoreRecordFunc func, void *data, GError **error)
{
  Scan scan = { .db = db, .file = file, .table = "record_log", .latest = latest };
  g_autoptr(GByteArray) key = g_byte_array_new();
  RecordScan records = { .func = func, .data = data, .key = key };
  bool ok =
      each_row(&scan, "SELECT seq, owner, kind, key, op FROM record_log ORDER BY seq", note_record,
               &records, error)
      && each_row(&scan, "SELECT seq, owner, kind, key, op, value FROM record_log ORDER BY seq",
                  give_record, &records, error);
  *rows = records.rows;
  return ok;
}

/* ---- both ------------------------------------------------------------------------------------ */

bool mal_sqlite_load(MalSqlite *self, MalTime not_ended_before, MalStoreLeaseFunc lease,
                     MalStoreRecordFunc record, void *data, GError **error)
{
  MalJournal *leases = &self->journals[MAL_JOURNAL_LEASES];
  MalJournal *records = &self->journals[MAL_JOURNAL_RECORDS];
  self->loaded = mal_sqlite_scan_leases(self->db, self->path, not_ended_before, leases->latest,
                                        &leases->rows, lease, data, error)
                 && mal_sqlite_scan_records(self->db, self->path, records->latest, &records->rows,
                                            record, data, error);
  return self->loaded;
}
