/* The store's journals as somebody else may have written them, read by the store, the core and the
   MADCAP client. The input is a list of rows:

     0..3 ...    a lease, each of its columns sound or of any type and content (see put_lease_row)
     4 ...       a record of any owner, kind, key and value
     5 ...       a range or reserve made by hand, its members sound or missing
     6 N         row numbers go on N^4 further

   What must hold: a damaged file is refused with a reason, all else gives a core whose invariants
   hold, which lists what it has in valid text, lets all of it lapse, and ends. Covers:
   core/store-sqlite-load.c core/store-records.c core/store-sqlite-latest.c core/core-hand.c
           core/leases-plan.c plugins/madcap/madcap-client-held.c
             plugins/madcap/madcap-plugin-client-held.c */
#include <string.h>

#include "core/control-core.h"
#include "core/core.h"
#include "core/store-sqlite.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake-runtime.h"

extern const MalPlugin mal_plugin;

#define CONFIG                                                                                     \
  "[daemon]\nroles=maas;client\nplugins=madcap\n"                                                  \
  "[scope l]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"                              \
  "[scope s]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\n"                     \
  "[range a]\nscope=l\nfirst=239.255.1.0\nlast=239.255.1.63\n"                                     \
  "[range "                                                                                        \
  "b]\nscope=s\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8000:ff\nuntil=2040-01-01T00:00:00Z\n"      \
  "[reserve r]\nscope=l\naddresses=239.255.1.60-239.255.1.63\n[madcap]\ninterfaces=eth0\n"
/* No types: whoever writes such a file is not bound by ours. */
#define SCHEMA                                                                                     \
  "CREATE TABLE lease_log (seq INTEGER PRIMARY KEY, id, op, at, scope, blocks, starts, ends, "     \
  "pad, granted, client,"                                                                          \
  " origin, flags, reason);"                                                                       \
  "CREATE TABLE record_log (seq INTEGER PRIMARY KEY, owner, kind, key, op, at, value)"

#define MOST_ROWS 64

typedef struct {
  sqlite3 *db;
  sqlite3_stmt *lease, *record;
  MalLatest *latest;
  MalStoreOps ops;              /* the memory store's, but for the load */
} Disk;

typedef struct {
  Disk *disk;
  MalReader in;
  int64_t seq;
} Rows;

/* ---- rows ------------------------------------------------------------------------------------ */

static void bind_octets(Rows *r, sqlite3_stmt *stmt, int column, bool text)
{
  size_t length = mal_read_u8(&r->in);
  length = MIN(length, mal_reader_left(&r->in));
  const char *octets = (const char *)mal_read_bytes(&r->in, length);
  if (!octets)
    octets = "";
  if (text)
    sqlite3_bind_text(stmt, column, octets, (int)length, SQLITE_TRANSIENT);
  else
    sqlite3_bind_blob(stmt, column, octets, (int)length, SQLITE_TRANSIENT);
}

static void bind_anything(Rows *r, sqlite3_stmt *stmt, int column)
{
  switch (mal_read_u8(&r->in) % 6) {
  case 0: sqlite3_bind_null(stmt, column); break;
  case 1: sqlite3_bind_int64(stmt, column, (int64_t)mal_read_u64(&r->in)); break;
  case 2: sqlite3_bind_int64(stmt, column, (int16_t)mal_read_u16(&r->in)); break;
  case 3: sqlite3_bind_double(stmt, column, (double)mal_read_u32(&r->in) / 3); break;
  case 4: bind_octets(r, stmt, column, false); break;
  default: bind_octets(r, stmt, column, true);
  }
}

static void bind_word(Rows *r, sqlite3_stmt *stmt, int column, const char *const *words, size_t n)
{
  sqlite3_bind_text(stmt, column, words[mal_read_u8(&r->in) % n], -1, SQLITE_STATIC);
}

static void bind_time(Rows *r, sqlite3_stmt *stmt, int column)
{
  static const int64_t some[] = {
    0, 1, 60, 3600, 86400, -60, -86400, INT64_C(1) << 33, INT64_C(1) << 40
  };
  uint8_t how = mal_read_u8(&r->in);
  sqlite3_bind_int64(stmt, column, how == 255 ? MAL_FOREVER : how == 254 ? MAL_BEGINNING
                     : FAKE_START + some[how % G_N_ELEMENTS(some)]);
}

static void bind_blocks(Rows *r, sqlite3_stmt *stmt, int column)
{
  GString *text = g_string_new(NULL);
  uint8_t how = mal_read_u8(&r->in);
  for (int i = 0; i < how / 2 % 4; i++) {
    uint8_t first = mal_read_u8(&r->in), count = mal_read_u8(&r->in) % 8;
    g_string_append(text, i ? "," : "");
    if (how & 1)
      g_string_append_printf(text, "ff15::db8:8000:%x-ff15::db8:8000:%x", first, first + count);
    else
      g_string_append_printf(text, "239.255.1.%u-239.255.1.%u", first, first + count);
  }
  sqlite3_bind_text(stmt, column, text->str, -1, SQLITE_TRANSIENT);
  g_string_free(text, TRUE);
}

static void bind_lease_column(Rows *r, sqlite3_stmt *stmt, int column)
{
  static const char *const ops[] = { "put", "put", "put", "drop" },
                           *const scopes[] = { "l", "s", "l", "gone" },
                           *const origins[] = { "madcap", "control", "", "elsewhere" },
                           *const clients[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1" };
  uint8_t id;
  switch (column) {
  case 2:
    id = mal_read_u8(&r->in) % 8;
    sqlite3_bind_blob(stmt, column, &id, 1, SQLITE_TRANSIENT);
    break;
  case 3: bind_word(r, stmt, column, ops, G_N_ELEMENTS(ops)); break;
  case 5: bind_word(r, stmt, column, scopes, G_N_ELEMENTS(scopes)); break;
  case 6: bind_blocks(r, stmt, column); break;
  case 7:
  case 8:
  case 10: bind_time(r, stmt, column); break;
  case 9: sqlite3_bind_int64(stmt, column, mal_read_u8(&r->in) * INT64_C(60)); break;
  case 11: bind_word(r, stmt, column, clients, G_N_ELEMENTS(clients)); break;
  case 12: bind_word(r, stmt, column, origins, G_N_ELEMENTS(origins)); break;
  case 13: sqlite3_bind_int64(stmt, column, mal_read_u8(&r->in)); break;
  default: sqlite3_bind_int(stmt, column, 0);
  }
}

static void put_row(Rows *r, sqlite3_stmt *stmt)
{
  sqlite3_bind_int64(stmt, 1, r->seq++);
  sqlite3_step(stmt);
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
}

/* STEP 3: one of its columns is anything. */
static void put_lease_row(Rows *r, uint8_t step)
{
  int wild = step == 3 ? 2 + mal_read_u8(&r->in) % 13 : 0;
  for (int column = 2; column <= 14; column++)
    if (column == wild)
      bind_anything(r, r->disk->lease, column);
    else
      bind_lease_column(r, r->disk->lease, column);
  put_row(r, r->disk->lease);
}

static void bind_record_name(Rows *r, sqlite3_stmt *stmt)
{
  static const char *const owners[] = { "core", "madcap", "masc" },
                           *const kinds[] = { "range", "reserve", "client-lease" },
                           *const ops[] = { "put", "put", "drop" };
  bind_word(r, stmt, 2, owners, G_N_ELEMENTS(owners));
  bind_word(r, stmt, 3, kinds, G_N_ELEMENTS(kinds));
  bind_octets(r, stmt, 4, false);
  bind_word(r, stmt, 5, ops, G_N_ELEMENTS(ops));
  sqlite3_bind_int(stmt, 6, 0);
}

static void put_record_row(Rows *r)
{
  sqlite3_stmt *stmt = r->disk->record;
  uint8_t wild = mal_read_u8(&r->in);
  bind_record_name(r, stmt);
  bind_octets(r, stmt, 7, false);
  if (wild >= 250)
    bind_anything(r, stmt, wild - 248);
  put_row(r, stmt);
}

static void put_hand_made_row(Rows *r)
{
  static const char *const spans[] = { "239.255.2.0-239.255.2.255",
                                       "239.255.2.128/25",
                                       "239.255.1.9",
                                       "ff15::db8:8000:100",
                                       "239.255.1.0/24",
                                       "192.0.2.1" },
                           *const scopes[] = { "l", "s", "gone" };
  sqlite3_stmt *stmt = r->disk->record;
  bind_record_name(r, stmt);
  uint8_t lacks = mal_read_u8(&r->in), span = mal_read_u8(&r->in), other = mal_read_u8(&r->in);
  g_autoptr(GString) text = g_string_new("{\"x\":0");
  if (lacks & 1)
    g_string_append_printf(text, ",\"scope\":\"%s\"", scopes[span / 16 % 3]);
  if (lacks & 2)
    g_string_append_printf(text, ",\"span\":\"%s\"", spans[span % G_N_ELEMENTS(spans)]);
  if (lacks & 4)
    g_string_append_printf(text, ",\"until\":%" G_GINT64_FORMAT,
                           FAKE_START + ((int64_t)other - 4) * 3600);
  if (lacks & 8)
    g_string_append_printf(text, ",\"addresses\":[\"%s\",\"%s\"]",
                           spans[span % G_N_ELEMENTS(spans)], spans[other % G_N_ELEMENTS(spans)]);
  g_string_append(text, lacks & 16 ? ",\"comment\":null}" : "}");
  sqlite3_bind_blob(stmt, 7, text->str, (int)text->len, SQLITE_TRANSIENT);
  put_row(r, stmt);
}

static void put_rows(Rows *r)
{
  for (unsigned n = 0; n < MOST_ROWS && mal_reader_more(&r->in); n++) {
    uint8_t step = mal_read_u8(&r->in) % 7;
    if (step < 4) {
      put_lease_row(r, step);
    } else if (step == 4) {
      put_record_row(r);
    } else if (step == 5) {
      put_hand_made_row(r);
    } else {
      int64_t by = mal_read_u8(&r->in);
      r->seq += by * by * by * by;
    }
  }
}

/* ---- the disk -------------------------------------------------------------------------------- */

static Disk disk;

/* The store's own reading, but of a file in memory. */
static bool load(MalStore *store, MalTime not_ended_before, MalStoreLeaseFunc lease,
                 MalStoreRecordFunc record, void *data, GError **error)
{
  uint64_t rows;
  (void)store;
  return (!lease
          || mal_sqlite_scan_leases(disk.db, "disk", not_ended_before, disk.latest, &rows, lease,
                                    data, error))
         && mal_sqlite_scan_records(disk.db, "disk", disk.latest, &rows, record, data, error);
}

static void disk_open(Disk *d)
{
  static const uint8_t secret[MAL_LATEST_SECRET] = { 1 };
  must(sqlite3_open(":memory:", &d->db) == SQLITE_OK);
  must(sqlite3_exec(d->db, SCHEMA, NULL, NULL, NULL) == SQLITE_OK);
  must(sqlite3_prepare_v2(d->db, "INSERT INTO lease_log VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
                          &d->lease, NULL)
       == SQLITE_OK);
  must(sqlite3_prepare_v2(d->db, "INSERT INTO record_log VALUES (?,?,?,?,?,?,?)", -1, &d->record,
                          NULL)
       == SQLITE_OK);
  d->latest = mal_latest_new(secret);
}

static void must_explain(const GError *error)
{
  must(error && error->domain == MAL_ERROR && *error->message
       && g_utf8_validate(error->message, -1, NULL));
}

static bool check_lease(const MalLease *lease, void *data, GError **error)
{
  (void)data, (void)error;
  must(lease->id.length >= 1 && lease->id.length <= MAL_LEASE_ID_MAX && lease->n_blocks > 0);
  must(lease->start <= lease->end && lease->pad >= 0 && *lease->scope && lease->origin);
  for (size_t i = 0; i < lease->n_blocks; i++)
    must(lease->blocks[i].count > 0 && mal_address_is_multicast(lease->blocks[i].first));
  return true;
}

/* Most files are damaged: what the store refuses, no core has to see. */
static bool is_whole(void)
{
  g_autoptr(GError) error = NULL;
  bool ok = load(NULL, FAKE_START, check_lease, NULL, NULL, &error);
  if (!ok)
    must_explain(error);
  return ok;
}

/* ---- the core -------------------------------------------------------------------------------- */

static void on_answer(json_object *result, const GError *error, void *data)
{
  (void)data;
  must(result || error);
  const char *text = result ? json_object_to_json_string(result) : error->message;
  must(g_utf8_validate(text, -1, NULL));
}

static void list(MalCore *core)
{
  static const char *const methods[] = { "status",         "scope.list", "range.list",
                                         "reserve.list",   "lease.list", "space.usage",
                                         "madcap.servers", "stats.get" };
  for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
    mal_control_call(mal_core_control(core), methods[i], NULL, true, on_answer, NULL, NULL);
}

static void live(FakeRuntime *fake, MalCore *core)
{
  static const int64_t sleeps[] = { 1, 3600, 86400 * 400 };
  mal_leases_check(mal_core_leases(core), mal_runtime_now(fake_runtime(fake)));
  list(core);
  for (size_t i = 0; i < G_N_ELEMENTS(sleeps); i++) {
    fake_sleep(fake, sleeps[i]);
    mal_leases_check(mal_core_leases(core), mal_runtime_now(fake_runtime(fake)));
  }
  list(core);
}

static void start(void)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  g_autoptr(GError) error = NULL;
  FakeRuntime *fake = fake_runtime_new();
  fake_add_interface(fake, "eth0", "192.0.2.1 2001:db8::1");
  MalCoreOptions o = { .runtime = fake_runtime(fake), .config_text = CONFIG, .builtin = builtin };
  o.store = mal_store_memory_new(o.runtime);
  disk.ops = *o.store->ops;
  disk.ops.load = load;
  o.store->ops = &disk.ops;
  MalCore *core = mal_core_new(&o, &error);
  if (core && mal_core_start(core, &error)) {
    fake_run(fake);
    live(fake, core);
  } else {
    must_explain(error);
  }
  mal_core_free(core);
  fake_run(fake);
  fake_runtime_free(fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!disk.db)
    disk_open(&disk);
  Rows rows = { .disk = &disk, .in = mal_reader(data, size), .seq = 1 };
  put_rows(&rows);
  if (is_whole())
    start();
  sqlite3_exec(disk.db, "DELETE FROM lease_log; DELETE FROM record_log", NULL, NULL, NULL);
  return 0;
}
