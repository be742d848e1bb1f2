#define _GNU_SOURCE

#include "store-fixture.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a store in a directory of its own, and what it told ------------------------------------- */

FakeRuntime *fake_rt;
char *dir;
MalStore *store;
GArray *told;

void listener(MalTicket through, const GError *error, void *data)
{
  Told entry = { .through = through, .error = error ? g_strdup(error->message) : NULL };
  (void)data;
  g_array_append_val(told, entry);
}

const Told *told_at(guint i)
{
  cr_assert_lt(i, told->len, "told %u times only", told->len);
  return &g_array_index(told, Told, i);
}

static void clear_told(void *entry)
{
  g_free(((Told *)entry)->error);
}

void setup(void)
{
  fake_rt = fake_runtime_new();
  dir = g_dir_make_tmp("test-store-XXXXXX", NULL);
  told = g_array_new(FALSE, FALSE, sizeof(Told));
  g_array_set_clear_func(told, clear_told);
  cr_assert_not_null(dir);
}

char *in_dir(const char *name)
{
  return g_build_filename(dir, name, NULL);
}

void teardown(void)
{
  mal_store_close(g_steal_pointer(&store));
  fault_vfs_reset();
  GDir *entries = g_dir_open(dir, 0, NULL);
  const char *name;
  while (entries && (name = g_dir_read_name(entries))) {
    g_autofree char *path = in_dir(name);
    unlink(path);
  }
  if (entries)
    g_dir_close(entries);
  rmdir(dir);
  g_free(dir);
  g_array_unref(told);
  fake_runtime_free(fake_rt);
}

void reopen(const char *vfs)
{
  g_autoptr(GError) error = NULL;
  mal_store_close(g_steal_pointer(&store));
  store = mal_store_sqlite_open(fake_runtime(fake_rt), dir, vfs, &error);
  cr_assert_not_null(store, "%s", error->message);
  mal_store_listen(store, listener, NULL);
}

bool take_lease(const MalLease *lease, void *data, GError **error)
{
  (void)lease;
  (void)data;
  (void)error;
  return true;
}

char *refusal(void)
{
  g_autoptr(GError) error = NULL;
  MalStore *opened = mal_store_sqlite_open(fake_runtime(fake_rt), dir, NULL, &error);
  if (opened) {
    bool loaded = mal_store_load(opened, 0, take_lease, NULL, NULL, &error);
    mal_store_close(opened);
    cr_assert_not(loaded, "neither opening nor loading was refused");
  }
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_STORE));
  return g_strdup(error->message);
}

void assert_says(const char *message, const char *part)
{
  cr_assert_not_null(message);
  cr_assert(strstr(message, part), "\"%s\" does not say \"%s\"", message, part);
}

void run_sql(const char *sql)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  sqlite3 *db;
  char *message = NULL;
  cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
  sqlite3_exec(db, sql, NULL, NULL, &message);
  cr_assert_null(message, "%s: %s", sql, message);
  sqlite3_close(db);
}

/* ---- leases ---------------------------------------------------------------------------------- */

const MalLease *sample(Sample *s, uint32_t n, uint32_t version)
{
  size_t blocks = 1 + (n + version) % 3;
  memset(s, 0, sizeof *s);
  for (size_t i = 0; i < blocks; i++)
    s->blocks[i] = mal_block_make(mal_address_ipv4(0xefff0000u + n * 64 + (uint32_t)i * 8),
                                  1 + (version + (uint32_t)i) % 5);
  s->id[0] = 1;
  memcpy(s->id + 1, &n, sizeof n);
  s->lease = (MalLease){
    .id = { .bytes = s->id, .length = 16 + n % 9 },
    .scope = n % 2 ? "local" : "org",
    .blocks = s->blocks,
    .n_blocks = blocks,
    .start = NOW + version,
    .end = NOW + 3600 + version,
    .pad = n % 4 ? 1800 : 0,
    .granted = NOW - 5,
    .client = n % 3 ? mal_address_ipv4(0xc0000200u + n % 200) : mal_address_none(),
    .origin = n % 5 ? "madcap" : "control",
    .flags = n % 2 ? MAL_LEASE_SHARED : 0,
  };
  return &s->lease;
}

MalTicket put(uint32_t n, uint32_t version)
{
  Sample s;
  return mal_store_put_lease(store, sample(&s, n, version));
}

MalTicket drop(uint32_t n)
{
  Sample s;
  return mal_store_drop_lease(store, sample(&s, n, 0)->id, NOW, "released");
}

char *lease_text(const MalLease *lease)
{
  char client[MAL_ADDRESS_STRLEN];
  g_autofree char *blocks = mal_blocks_format(lease->blocks, lease->n_blocks);
  return g_strdup_printf("%s %s %" PRId64 "-%" PRId64 " pad %" PRId64 " granted %" PRId64
                         " client %s by %s "
                         "flags %u",
                         lease->scope, blocks, lease->start, lease->end, lease->pad, lease->granted,
                         lease->client.family ? mal_address_format(lease->client, client) : "",
                         lease->origin, lease->flags);
}

static bool load_lease(const MalLease *lease, void *data, GError **error)
{
  Loaded *loaded = data;
  g_autofree char *hex = mal_lease_id_to_hex(lease->id);
  (void)error;
  char *key = g_strdup_printf("lease %s", hex);
  g_string_append_printf(loaded->order, "%" PRId64 " ",
                         (int64_t)((uint64_t)lease->start - (uint64_t)NOW));
  cr_assert(g_hash_table_insert(loaded->lives, key, lease_text(lease)), "%s came twice", key);
  return true;
}

static char *record_name(const char *owner, const char *kind, const uint8_t *key, size_t length)
{
  GString *name = g_string_new(NULL);
  g_string_printf(name, "record %s %s ", owner, kind);
  for (size_t i = 0; i < length; i++)
    g_string_append_printf(name, "%02x", key[i]);
  return g_string_free(name, FALSE);
}

static bool load_record(const MalRecord *record, void *data, GError **error)
{
  Loaded *loaded = data;
  (void)error;
  char *name = record_name(record->owner, record->kind, record->key, record->key_length);
  g_hash_table_insert(loaded->lives, name,
                      g_strndup((const char *)record->value, record->value_length));
  return true;
}

Loaded load_from(MalTime not_ended_before)
{
  g_autoptr(GError) error = NULL;
  Loaded loaded = {
    .lives = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
    .order = g_string_new(NULL),
  };
  bool ok = mal_store_load(store, not_ended_before, load_lease, load_record, &loaded, &error);
  cr_assert(ok, "%s", ok ? "" : error->message);
  return loaded;
}

void loaded_clear(Loaded *loaded)
{
  g_hash_table_unref(loaded->lives);
  g_string_free(loaded->order, TRUE);
}

void expect_lease(const Loaded *loaded, uint32_t n, uint32_t version)
{
  Sample s;
  g_autofree char *hex = mal_lease_id_to_hex(sample(&s, n, version)->id);
  g_autofree char *key = g_strdup_printf("lease %s", hex);
  g_autofree char *text = lease_text(&s.lease);
  const char *found = g_hash_table_lookup(loaded->lives, key);
  cr_assert_not_null(found, "lease %u is not there", n);
  cr_assert_str_eq(found, text);
}

void put_record(const char *owner, const char *kind, const char *key, const char *value)
{
  MalRecord record = { .owner = owner,
                       .kind = kind,
                       .key = (const uint8_t *)key,
                       .key_length = strlen(key),
                       .value = (const uint8_t *)value,
                       .value_length = strlen(value) };
  mal_store_put_record(store, &record);
}

void done(const char *detail, const GError *error, void *data)
{
  Done *d = data;
  g_free(d->detail);
  g_free(d->error);
  *d = (Done){ .calls = d->calls + 1,
               .detail = g_strdup(detail),
               .error = error ? g_strdup(error->message) : NULL };
}

void done_clear(Done *d)
{
  g_free(d->detail);
  g_free(d->error);
}

size_t make_plenty(char **bytes)
{
  g_autofree char *path = in_dir(MAL_SQLITE_FILE);
  gsize length;
  reopen(NULL);
  for (uint32_t n = 0; n < 500; n++)
    put(n, n);
  for (uint32_t n = 0; n < 100; n++)
    put_record("core", "reserve", "key", "value");
  mal_store_close(g_steal_pointer(&store));
  cr_assert(g_file_get_contents(path, bytes, &length, NULL));
  return length;
}
