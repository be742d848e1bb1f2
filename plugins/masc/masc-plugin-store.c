/* Records. "identity": in whose name the others were written, and until when a node whose store was
   empty believes others (14). "zone": what zones keep, under their scope. "space": what was
   available, so that it is there before leases are read. */
#include "masc-plugin.h"

#include <string.h>

#define IDENTITY_LENGTH 40
#define SPACE_VALUE 9
#define FORMAT 1

void masc_stored_free(gpointer data)
{
  MascStored *stored = data;
  g_free(stored->scope);
  g_bytes_unref(stored->key);
  g_bytes_unref(stored->value);
  g_free(stored);
}

/* ---- keys: the scope, a NUL, and the rest ---------------------------------------------------- */

static GBytes *key_of(const char *scope, const uint8_t *rest, size_t length)
{
  GByteArray *key = g_byte_array_new();
  g_byte_array_append(key, (const uint8_t *)scope, (guint)strlen(scope) + 1);
  if (length > 0)
    g_byte_array_append(key, rest, (guint)length);
  return g_byte_array_free_to_bytes(key);
}

static const char *scope_of(const MalRecord *record, const uint8_t **rest, size_t *length)
{
  const uint8_t *end = memchr(record->key, '\0', record->key_length);
  if (end == NULL)
    return NULL;
  *rest = end + 1;
  *length = record->key_length - (size_t)(end + 1 - record->key);
  return (const char *)record->key;
}

static MalTicket put(Masc *masc, const char *kind, GBytes *key, const uint8_t *value, size_t length)
{
  MalRecord record = {
    .owner = masc->host.name, .kind = kind, .value = value, .value_length = length
  };
  record.key = g_bytes_get_data(key, &record.key_length);
  return mal_store_put_record(masc->host.store, &record);
}

static MalTicket drop(Masc *masc, const char *kind, GBytes *key)
{
  gsize length;
  const uint8_t *octets = g_bytes_get_data(key, &length);
  return mal_store_drop_record(masc->host.store, masc->host.name, kind, octets, length);
}

/* ---- who we are ------------------------------------------------------------------------------ */

static void write_id(MalWriter *w, MascId id)
{
  mal_write_u64(w, (uint64_t)(id >> 64));
  mal_write_u64(w, (uint64_t)id);
}

static MascId read_id(MalReader *r)
{
  MascId high = mal_read_u64(r);
  return high << 64 | mal_read_u64(r);
}

static void write_identity(Masc *masc)
{
  uint8_t octets[IDENTITY_LENGTH + 1];
  MalWriter w = mal_writer(octets, sizeof octets);
  g_autoptr(GBytes) key = g_bytes_new_static("node", 4);
  mal_write_u8(&w, FORMAT);
  write_id(&w, masc->settings->domain);
  write_id(&w, masc->settings->node);
  mal_write_u64(&w, (uint64_t)masc->recovering_until);
  put(masc, "identity", key, octets, sizeof octets);
}

static bool restore_identity(Masc *masc, const MalRecord *record, GError **error)
{
  MalReader r = mal_reader(record->value, record->value_length);
  char a[MAL_ADDRESS_STRLEN], b[MAL_ADDRESS_STRLEN], c[MAL_ADDRESS_STRLEN], d[MAL_ADDRESS_STRLEN];
  uint8_t format = mal_read_u8(&r);
  MascId domain = read_id(&r), node = read_id(&r);
  MalTime until = (MalTime)mal_read_u64(&r);
  if (!mal_reader_ok(&r) || format != FORMAT)
    return true; /* as if there were none */
  masc->had_identity = true;
  masc->recovering_until = until;
  if (domain == masc->settings->domain && node == masc->settings->node)
    return true;
  masc->forgets = masc->settings->forget;
  if (masc->forgets)
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
              "the store has the state of domain %s, node %s, but the configuration says domain-id "
              "= %s, node-id = %s: set them back, or say identity-change = forget in [masc] to "
              "start with nothing",
              masc_id_format(domain, a), masc_id_format(node, b),
              masc_id_format(masc->settings->domain, c), masc_id_format(masc->settings->node, d));
  return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void restore_zone(Masc *masc, const MalRecord *record)
{
  const uint8_t *rest;
  size_t length;
  const char *scope = scope_of(record, &rest, &length);
  if (scope == NULL)
    return;
  MascStored *stored = g_new0(MascStored, 1);
  stored->scope = g_strdup(scope);
  stored->key = g_bytes_new(rest, length);
  stored->value = g_bytes_new(record->value, record->value_length);
  g_ptr_array_add(masc->restored, stored);
}

static bool read_grant(const MalRecord *record, const uint8_t *rest, size_t length, MascGrant *out)
{
  MalReader r = mal_reader(record->value, record->value_length), k = mal_reader(rest, length);
  unsigned prefix_length = mal_read_u8(&k);
  const uint8_t *octets = mal_read_bytes(&k, length > 0 ? length - 1 : 0);
  MalFamily family = length == 5 ? MAL_IPV4 : MAL_IPV6;
  if (octets == NULL || prefix_length > 8 * mal_family_octets(family))
    return false;
  out->prefix.address = mal_address_from_bytes(family, octets, length - 1);
  out->prefix.length = prefix_length;
  out->deprecated = mal_read_u8(&r) != 0;
  out->until = (MalTime)mal_read_u64(&r);
  return mal_reader_ok(&r) && out->prefix.address.family != MAL_FAMILY_NONE &&
         (out->prefix.address.value & ~masc_mask(family, prefix_length)) == 0;
}

/* NULL: not one of ours any more, or it can't be read. */
static MascArea *stored_in(Masc *masc, const MalRecord *record, MascGrant *grant)
{
  const uint8_t *rest;
  size_t length;
  const char *scope = scope_of(record, &rest, &length);
  MascArea *area = scope != NULL ? masc_area_find(masc, scope) : NULL;
  if (area == NULL || !read_grant(record, rest, length, grant))
    return NULL;
  g_hash_table_replace(area->stored, g_bytes_new(record->key, record->key_length),
                       g_memdup2(grant, sizeof *grant));
  return area;
}

static void restore_space(Masc *masc, const MalRecord *record)
{
  MascGrant grant;
  MascArea *area = stored_in(masc, record, &grant);
  if (area != NULL)
    masc_space_restore(area, &grant);
}

bool masc_store_restore(Masc *masc, const MalRecord *record, GError **error)
{
  if (strcmp(record->kind, "identity") == 0)
    return restore_identity(masc, record, error);
  if (strcmp(record->kind, "zone") == 0)
    restore_zone(masc, record);
  else if (strcmp(record->kind, "space") == 0)
    restore_space(masc, record);
  return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void say_not_kept(Masc *masc, const GError *error)
{
  const MalField fields[] = { MAL_F_STRING("error", error->message) };
  mal_count(masc->host.metrics, MASC_M_NOT_KEPT, 1);
  MAL_EVENT(masc->host.events, &masc_event_not_kept, fields, "not written: %s", error->message);
}

static bool look_again(const MalRecord *record, void *data, GError **error)
{
  MascGrant grant;
  (void)error;
  if (strcmp(record->kind, "space") == 0)
    stored_in(data, record, &grant);
  return true;
}

/* What the disk did not take of our changes to the space it has, of rows that went, too, is not
   known. It is looked at, and what differs is written again before a lease in it is. */
static void save_again(Masc *masc)
{
  g_autoptr(GError) error = NULL;
  for (guint i = 0; i < masc->areas->len; i++) {
    g_hash_table_remove_all(masc_area_at(masc, i)->stored);
    masc_area_at(masc, i)->local_changed = true;
  }
  if (!mal_store_each_record(masc->host.store, masc->host.name, look_again, masc, &error))
    say_not_kept(masc, error);
}

static void on_stored(MalTicket through, const GError *error, void *data)
{
  Masc *masc = data;
  if (!masc->running)
    return;
  MascNow now = masc_step(masc);
  if (error != NULL)
    say_not_kept(masc, error);
  if (error == NULL && masc->unsaved) {
    write_identity(masc);
    save_again(masc);
  }
  for (guint i = 0; i < masc->areas->len; i++)
    masc_zone_kept(masc_area_at(masc, i)->zone, through, error == NULL, now);
  masc->unsaved = error != NULL;
  masc_settle(masc);
}

/* What other identifiers left behind. */
static void forget(Masc *masc)
{
  for (guint i = 0; i < masc->restored->len; i++) {
    const MascStored *stored = g_ptr_array_index(masc->restored, i);
    gsize length;
    const uint8_t *rest = g_bytes_get_data(stored->key, &length);
    g_autoptr(GBytes) key = key_of(stored->scope, rest, length);
    drop(masc, "zone", key);
  }
  g_ptr_array_set_size(masc->restored, 0);
  mal_event(masc->host.events, &masc_event_identity, NULL, 0,
            "the state of other identifiers is dropped");
}

void masc_store_start(Masc *masc)
{
  bool empty = !masc->had_identity && masc->restored->len == 0;
  masc->store_listener = mal_store_listen(masc->host.store, on_stored, masc);
  if (masc->forgets)
    forget(masc);
  if (empty)
    masc->recovering_until = mal_time_add(masc->now.wall, masc->params.waiting_period);
  if (empty)
    mal_event(masc->host.events, &masc_event_recovering, NULL, 0,
              "the store is empty: for one waiting period parents and internal peers are believed "
              "what this domain has");
  MalTime most = mal_time_add(masc->now.wall, masc->params.waiting_period);
  masc->recovering_until = masc->forgets ? MAL_BEGINNING : MIN(masc->recovering_until, most);
  if (!masc->had_identity || masc->forgets)
    write_identity(masc);
}

void masc_store_stop(Masc *masc)
{
  mal_store_unlisten(masc->host.store, masc->store_listener);
}

/* ---- writing --------------------------------------------------------------------------------- */

uint64_t masc_store_keep(MascArea *area, const MascKept *kept)
{
  g_autoptr(GBytes) key = key_of(area->scope, kept->key, kept->key_length);
  if (kept->value == NULL)
    return drop(area->masc, "zone", key);
  return put(area->masc, "zone", key, kept->value, kept->value_length);
}

static GBytes *grant_key(const MascArea *area, const MascGrant *grant)
{
  uint8_t rest[17] = { (uint8_t)grant->prefix.length };
  size_t length = mal_address_to_bytes(grant->prefix.address, rest + 1);
  return key_of(area->scope, rest, length + 1);
}

static bool same_grant(const MascGrant *a, const MascGrant *b)
{
  return a->until == b->until && a->deprecated == b->deprecated;
}

static void put_grant(MascArea *area, const MascGrant *grant, GHashTable *left)
{
  uint8_t value[SPACE_VALUE];
  MalWriter w = mal_writer(value, sizeof value);
  GBytes *key = grant_key(area, grant);
  const MascGrant *old = g_hash_table_lookup(area->stored, key);
  g_hash_table_remove(left, key);
  if (old != NULL && same_grant(old, grant)) {
    g_bytes_unref(key);
    return;
  }
  mal_write_u8(&w, grant->deprecated);
  mal_write_u64(&w, (uint64_t)grant->until);
  put(area->masc, "space", key, value, sizeof value);
  g_hash_table_insert(area->stored, key, g_memdup2(grant, sizeof *grant)); /* the old key stays */
}

/* Before the space changes: so that no lease is on the disk without it. */
void masc_store_keep_local(MascArea *area)
{
  g_autoptr(GHashTable) left = g_hash_table_new(g_bytes_hash, g_bytes_equal);
  g_autoptr(GList) keys = g_hash_table_get_keys(area->stored);
  for (const GList *i = keys; i != NULL; i = i->next)
    g_hash_table_add(left, i->data);
  for (guint i = 0; i < area->local->len; i++)
    put_grant(area, &g_array_index(area->local, MascGrant, i), left);
  for (const GList *i = keys; i != NULL; i = i->next)
    if (g_hash_table_contains(left, i->data)) {
      drop(area->masc, "space", i->data);
      g_hash_table_remove(area->stored, i->data);
    }
}
