#define _GNU_SOURCE

#include "store-sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STEP_PAGES 1024
#define STOP_LOOK 20000   /* instructions of SQLite's machine between two looks at STOP */

static int look(void *stop)
{
  return g_atomic_int_get((const int *)stop);
}

static sqlite3 *open_watched(const MalSqlite *self, const int *stop, GError **error)
{
  sqlite3 *db = mal_sqlite_open_reader(self, error);
  if (db)
    sqlite3_progress_handler(db, STOP_LOOK, look, (void *)(uintptr_t)stop);
  return db;
}

/* ---- backup ---------------------------------------------------------------------------------- */

/* The copy is of one instant: the source's read transaction spans all steps, and writers go on
   meanwhile. */
static int copy_pages(sqlite3 *from, sqlite3 *to, const int *stop, int *pages)
{
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  int rc = SQLITE_OK;
  if (!backup)
    return sqlite3_errcode(to);
  while (rc == SQLITE_OK)
    rc = g_atomic_int_get(stop) ? SQLITE_INTERRUPT : sqlite3_backup_step(backup, STEP_PAGES);
  *pages = sqlite3_backup_pagecount(backup);
  int finished = sqlite3_backup_finish(backup);
  if (rc == SQLITE_DONE)
    return finished;
  return rc;
}

static bool copy_to(const MalSqlite *self, const char *path, const int *stop, int *pages,
                    GError **error)
{
  sqlite3 *to = NULL;
  sqlite3 *from = open_watched(self, stop, error);
  if (!from)
    return false;
  bool ok = mal_sqlite_exec(from, self->path, "BEGIN; SELECT count(*) FROM meta", error);
  if (ok) {
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, self->vfs);
    if (rc == SQLITE_OK)
      rc = copy_pages(from, to, stop, pages);
    if (rc != SQLITE_OK)
      ok = mal_sqlite_fail(to, path, rc, error);
  }
  sqlite3_close(to);
  sqlite3_close(from);
  return ok;
}

char *mal_sqlite_backup(const MalSqlite *self, const char *path, const int *stop, GError **error)
{
  int pages = 0;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    int number = errno;
    g_set_error(error, MAL_ERROR, number == EEXIST ? MAL_ERROR_EXISTS : MAL_ERROR_STORE, "%s: %s",
                path, g_strerror(number));
    return NULL;
  }
  close(fd);
  if (!copy_to(self, path, stop, &pages, error)) {
    unlink(path);
    return NULL;
  }
  mal_sqlite_sync_parent(path);
  return g_strdup_printf("%s: %d pages copied", path, pages);
}

/* ---- check: no two leases share an address at any instant of their padded periods ------------ */

/* One block of one lease: a rectangle in addresses x time. */
typedef struct {
  MalBlock block;
  MalTime from, until;
  GSequenceIter *place;       /* in the set of those that hold the address the sweep stands at */
} Claim;

static MalU128 claim_last(const Claim *claim)
{
  return claim->block.first.value + claim->block.count - 1;
}

static int by_first(const void *a, const void *b)
{
  const Claim *x = a, *y = b;
  return mal_address_compare(x->block.first, y->block.first);
}

static int by_last(const void *a, const void *b)
{
  const Claim *x = *(Claim *const *)a, *y = *(Claim *const *)b;
  if (x->block.first.family != y->block.first.family)
    return x->block.first.family < y->block.first.family ? -1 : 1;
  return claim_last(x) < claim_last(y) ? -1 : claim_last(x) > claim_last(y);
}

static int by_from(const void *a, const void *b, void *data)
{
  const Claim *x = a, *y = b;
  (void)data;
  return x->from < y->from ? -1 : x->from > y->from;
}

static bool claims_meet(const Claim *a, const Claim *b)
{
  return a->from < b->until && b->from < a->until;
}

static bool collect(const MalLease *lease, void *data, GError **error)
{
  GArray *claims = data;
  Claim claim = { .from = mal_lease_held_from(lease), .until = mal_lease_held_until(lease) };
  (void)error;
  for (size_t i = 0; i < lease->n_blocks; i++) {
    claim.block = lease->blocks[i];
    g_array_append_val(claims, claim);
  }
  return true;
}

/* The claim that CLAIM meets, or NULL. Those that stay never meet each other, so its neighbours in
   time are all there is to look at. */
static const Claim *enter(GSequence *active, Claim *claim)
{
  claim->place = g_sequence_insert_sorted(active, claim, by_from, NULL);
  GSequenceIter *before = g_sequence_iter_prev(claim->place);
  GSequenceIter *after = g_sequence_iter_next(claim->place);
  const Claim *met = NULL;
  if (before != claim->place && claims_meet(g_sequence_get(before), claim))
    met = g_sequence_get(before);
  else if (!g_sequence_iter_is_end(after) && claims_meet(g_sequence_get(after), claim))
    met = g_sequence_get(after);
  if (met) {
    g_sequence_remove(claim->place);
    claim->place = NULL;
  }
  return met;
}

static bool is_behind(const Claim *claim, const Claim *sweep)
{
  return claim->block.first.family != sweep->block.first.family
         || claim_last(claim) < sweep->block.first.value;
}

/* Sweeps over the addresses; how many claims meet another, and one such pair. */
static guint count_meetings(GArray *claims, const Claim **a, const Claim **b)
{
  guint meetings = 0, left = 0;
  g_autoptr(GSequence) active = g_sequence_new(NULL);
  g_autoptr(GPtrArray) ends = g_ptr_array_new();
  g_array_sort(claims, by_first);
  for (guint i = 0; i < claims->len; i++)
    g_ptr_array_add(ends, &g_array_index(claims, Claim, i));
  g_ptr_array_sort(ends, by_last);
  for (guint i = 0; i < claims->len; i++) {
    Claim *claim = &g_array_index(claims, Claim, i);
    for (; is_behind(g_ptr_array_index(ends, left), claim); left++) {
      Claim *gone = g_ptr_array_index(ends, left);
      if (gone->place)
        g_sequence_remove(gone->place);
    }
    const Claim *met = enter(active, claim);
    if (met && meetings++ == 0) {
      *a = met;
      *b = claim;
    }
  }
  return meetings;
}

static bool leases_apart(const char *file, GArray *claims, GError **error)
{
  const Claim *a = NULL, *b = NULL;
  guint meetings = count_meetings(claims, &a, &b);
  if (!meetings)
    return true;
  char one[MAL_SPAN_STRLEN], other[MAL_SPAN_STRLEN];
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
              "%s: %u blocks of addresses are leased twice at the same time, first %s and %s: "
              "restore a backup, "
              "or release one lease of each pair",
              file, meetings, mal_block_format(a->block, one), mal_block_format(b->block, other));
  return false;
}

/* ---- check: the whole ------------------------------------------------------------------------ */

static bool file_sound(sqlite3 *db, const char *file, GError **error)
{
  sqlite3_stmt *stmt = mal_sqlite_prepare(db, file, "PRAGMA integrity_check(1)", error);
  if (!stmt)
    return false;
  bool ok = false;
  int rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    ok = g_strcmp0(text, "ok") == 0;
    if (!ok)
      g_set_error(error, MAL_ERROR, MAL_ERROR_STORE,
                  "%s: the file is damaged (%s): stop mallocd, " MAL_SQLITE_RESTORE, file,
                  text ? text : "no answer");
  } else {
    mal_sqlite_fail(db, file, rc, error);
  }
  sqlite3_finalize(stmt);
  return ok;
}

static char *check_open(sqlite3 *db, const char *file, MalTime now, const uint8_t *secret,
                        GError **error)
{
  g_autoptr(MalLatest) leases = mal_latest_new(secret);
  g_autoptr(MalLatest) records = mal_latest_new(secret);
  g_autoptr(GArray) claims = g_array_new(FALSE, FALSE, sizeof(Claim));
  uint64_t lease_rows, record_rows;
  if (!mal_sqlite_exec(db, file, "BEGIN", error) || !file_sound(db, file, error)
      || !mal_sqlite_scan_leases(db, file, now, leases, &lease_rows, collect, claims, error)
      || !mal_sqlite_scan_records(db, file, records, &record_rows, NULL, NULL, error)
      || !leases_apart(file, claims, error))
    return NULL;
  return g_strdup_printf("%s is sound: %" G_GSIZE_FORMAT
                         " live leases with %u blocks in %" G_GUINT64_FORMAT
                         " rows, %" G_GSIZE_FORMAT " records in %" G_GUINT64_FORMAT " rows",
                         file, mal_latest_count(leases), claims->len, lease_rows,
                         mal_latest_count(records), record_rows);
}

char *mal_sqlite_check(const MalSqlite *self, MalTime now, const uint8_t *secret, const int *stop,
                       GError **error)
{
  sqlite3 *db = open_watched(self, stop, error);
  if (!db)
    return NULL;
  char *detail = check_open(db, self->path, now, secret, error);
  sqlite3_close(db);
  return detail;
}
