#include "store-sqlite.h"

#include <string.h>

enum { NOTES = 32 };

typedef struct {
  MalLatestKey key;
  uint64_t row;
  bool drop;
} Note;

/* One scan of one journal: first which row is the newest of each key, then the newest ones in
   order. In between, one bit a row says which are not, so that the second pass need not look each
   key up; numbers with gaps beyond all bounds do without. */
typedef struct {
  sqlite3 *db;
  const char *file;
  const char *table;
  MalLatest *latest;
  sqlite3_stmt *stmt;         /* stands on a row; column 0 is its number */
  Note notes[NOTES];          /* they wait until memory has brought their places */
  unsigned n_notes;
  GByteArray *dead;           /* bits, from row `first` on; NULL: too many */
  uint64_t first;
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

#define DEAD_OCTETS_MOST (64u << 20)

static void mark_dead(Scan *scan, uint64_t row)
{
  if (row == 0 || scan->dead == NULL)
    return;
  uint64_t bit = row - scan->first;
  if (row < scan->first || bit / 8 >= DEAD_OCTETS_MOST) {
    g_clear_pointer(&scan->dead, g_byte_array_unref);
    return;
  }
  guint octets = (guint)(bit / 8) + 1, before = scan->dead->len;
  if (octets > before) {
    g_byte_array_set_size(scan->dead, octets);
    memset(scan->dead->data + before, 0, octets - before);
  }
  scan->dead->data[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static void flush_notes(Scan *scan)
{
  for (unsigned i = 0; i < scan->n_notes; i++) {
    const Note *n = &scan->notes[i];
    if (n->drop) {
      mark_dead(scan, mal_latest_remove(scan->latest, n->key));
      mark_dead(scan, n->row);
    } else {
      mark_dead(scan, mal_latest_set(scan->latest, n->key, n->row));
    }
  }
  scan->n_notes = 0;
}

static void note(Scan *scan, MalLatestKey key, bool drop)
{
  uint64_t row = (uint64_t)sqlite3_column_int64(scan->stmt, 0);
  if (scan->first == 0)
    scan->first = row;
  mal_latest_prefetch(scan->latest, key);
  scan->notes[scan->n_notes++] = (Note){ key, row, drop };
  if (scan->n_notes == NOTES)
    flush_notes(scan);
}

/* KEY_OF is asked only where the bits can't tell. */
static bool is_latest(const Scan *scan, MalLatestKey (*key_of)(const Scan *scan, void *data),
                      void *data)
{
  uint64_t row = (uint64_t)sqlite3_column_int64(scan->stmt, 0), bit = row - scan->first;
  if (scan->dead == NULL)
    return mal_latest_get(scan->latest, key_of(scan, data)) == row;
  return bit / 8 >= scan->dead->len || (scan->dead->data[bit / 8] >> bit % 8 & 1) == 0;
}

static bool scan_both(Scan *scan, const char *keys, RowFunc note_row, const char *rows,
                      RowFunc give_row, void *data, GError **error)
{
  mal_latest_clear(scan->latest);
  scan->dead = g_byte_array_new();
  bool ok = each_row(scan, keys, note_row, data, error);
  flush_notes(scan);
  ok = ok && each_row(scan, rows, give_row, data, error);
  g_clear_pointer(&scan->dead, g_byte_array_unref);
  return ok;
}

/* ---- leases ---------------------------------------------------------------------------------- */

enum { SEQ, ID, OP, SCOPE, BLOCKS, STARTS, ENDS, PAD, GRANTED, CLIENT, ORIGIN, FLAGS };

typedef struct {
  MalTime not_ended_before;
  MalStoreLeaseFunc func;
  void *data;
  uint64_t rows;
} LeaseScan;

static MalLatestKey lease_key(const Scan *scan, void *data)
{
  (void)data;
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
  note(scan, lease_key(scan, NULL), drop);
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
  MalLease lease = { 0 };
  if (!is_latest(scan, lease_key, NULL))
    return true;
  if (!read_times(scan, &lease, error) || !read_words(scan, &lease, error))
    return false;
  const char *text = text_at(scan, BLOCKS);
  g_autoptr(GArray) blocks = text ? mal_blocks_parse(text, NULL) : NULL;
  if (!blocks || !blocks_ok(blocks))
    return bad_row(scan, error, "column blocks isn't a sorted list of multicast addresses");
  if (mal_lease_held_until(&lease) <= leases->not_ended_before) {
    mal_latest_remove(scan->latest, lease_key(scan, NULL));
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
  bool ok = scan_both(&scan, "SELECT seq, id, op FROM lease_log ORDER BY seq", note_lease,
                      "SELECT seq, id, op, scope, blocks, starts, ends, pad, granted, client,"
                      " origin, flags FROM lease_log ORDER BY seq",
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

static MalLatestKey record_key(const Scan *scan, void *data)
{
  RecordScan *records = data;
  mal_sqlite_record_key(scan->stmt, 1, records->key);
  return mal_latest_key(scan->latest, records->key->data, records->key->len);
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
  note(scan, record_key(scan, data), drop);
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
  if (!is_latest(scan, record_key, data))
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
  bool ok = scan_both(
      &scan, "SELECT seq, owner, kind, key, op FROM record_log ORDER BY seq", note_record,
      "SELECT seq, owner, kind, key, op, value FROM record_log ORDER BY seq", give_record, &records,
      error);
  *rows = records.rows;
  return ok;
}

/* ---- both ------------------------------------------------------------------------------------ */

typedef struct {
  MalSqlite *self;
  MalTime not_ended_before;
} LeaseLoad;

static bool read_leases(MalStoreLeaseFunc put, void *put_data, void *data, GError **error)
{
  LeaseLoad *load = data;
  MalJournal *leases = &load->self->journals[MAL_JOURNAL_LEASES];
  return mal_sqlite_scan_leases(load->self->db, load->self->path, load->not_ended_before,
                                leases->latest, &leases->rows, put, put_data, error);
}

bool mal_sqlite_load(MalSqlite *self, MalTime not_ended_before, MalStoreLeaseFunc lease,
                     MalStoreRecordFunc record, void *data, GError **error)
{
  LeaseLoad load = { self, not_ended_before };
  MalJournal *records = &self->journals[MAL_JOURNAL_RECORDS];
  bool ok = !lease || mal_sqlite_read_ahead(read_leases, &load, lease, data, error);
  ok = ok && mal_sqlite_scan_records(self->db, self->path, records->latest, &records->rows, record,
                                     data, error);
  self->loaded = ok && (self->loaded || lease);
  return ok;
}
