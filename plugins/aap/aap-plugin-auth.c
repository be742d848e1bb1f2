/* The key file, the sender's number and counters, and what was heard of others. */
#include "aap-plugin.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE_MOST 65536

/* ---- the file -------------------------------------------------------------------------------- */

static bool G_GNUC_PRINTF(3, 4)
refuse(const MalConfSection *s, GError **error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *why = g_strdup_vprintf(format, args), *place = mal_conf_place(s, "key-file");
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", place, why);
  return false;
}

static bool check_mode(const MalConfSection *s, const char *path, GError **error)
{
  GStatBuf info;
  if (g_stat(path, &info) != 0)
    return refuse(s, error, "%s can't be read: %s", path, g_strerror(errno));
  if (!S_ISREG(info.st_mode))
    return refuse(s, error, "%s is no ordinary file", path);
  if ((info.st_mode & (S_IWGRP | S_IWOTH | S_IROTH)) != 0)
    return refuse(s, error, "%s holds keys: others than its owner must not write it, and not "
                            "everybody may read it (chmod 640)", path);
  if (info.st_size > KEY_FILE_MOST)
    return refuse(s, error, "%s is longer than %d octets", path, KEY_FILE_MOST);
  return true;
}

bool aap_auth_load(const MalConfSection *s, AapKeys **out, GError **error)
{
  const char *path = mal_conf_string(s, "key-file");
  g_autoptr(GError) problem = NULL;
  *out = NULL;
  if (path == NULL || *path == '\0')
    return true;
  if (!check_mode(s, path, error))
    return false;
  GByteArray *text = mal_config_read(path, &problem);
  if (text != NULL) {
    *out = aap_keys_parse((const char *)text->data, text->len, &problem);
    memset(text->data, 0, text->len);
    g_byte_array_unref(text);
  }
  return *out != NULL || refuse(s, error, "%s: %s", path, problem->message);
}

/* ---- counters -------------------------------------------------------------------------------- */

/* Nothing is sealed before this is on the disk. */
static void reserve(uint64_t upto, void *data)
{
  Aap *aap = data;
  uint8_t value[16];
  MalWriter w = mal_writer(value, sizeof value);
  mal_write_u64(&w, aap->sender);
  mal_write_u64(&w, upto);
  aap->reserve_upto = upto;
  aap->reserving = aap_store_put(aap, "sender", (const uint8_t *)"self", 4, value, sizeof value);
}

void aap_auth_settled(Aap *aap, MalTicket through, bool ok)
{
  if (aap->reserving == 0 || through < aap->reserving || aap->auth == NULL)
    return;
  if (!ok && through == aap->reserving) {
    reserve(aap->reserve_upto, aap);
    return;
  }
  aap->reserving = 0;
  aap->next_counter = aap->reserve_upto;
  aap_auth_reserved(aap->auth, aap->reserve_upto);
}

static void restore_heard(Aap *aap)
{
  for (guint i = 0; aap->heard != NULL && i < aap->heard->len; i++) {
    const AapHeard *h = &g_array_index(aap->heard, AapHeard, i);
    aap_auth_restore_peer(aap->auth, h->key_id, h->sender, h->highest);
  }
}

void aap_auth_begin(Aap *aap)
{
  while (aap->sender == 0)
    mal_runtime_random(aap->host.runtime, &aap->sender, sizeof aap->sender);
  if (aap->keys != NULL && aap->auth == NULL) {
    aap->next_counter =
        aap_auth_begin_at(aap->next_counter, mal_runtime_now(aap->host.runtime));
    aap->auth = aap_auth_new(aap->keys, aap->sender, aap->next_counter, reserve, aap);
    restore_heard(aap);
  }
  aap->params.payload_limit =
      aap->auth != NULL ? AAP_SEND_LIMIT - aap_auth_overhead(aap->auth) : AAP_SEND_LIMIT;
  if (aap->auth == NULL)
    mal_event(aap->host.events, &aap_event_unauthenticated, NULL, 0,
              "no key-file: AAP messages are not authenticated");
}

void aap_auth_use(Aap *aap, AapKeys *keys)
{
  AapKeys *old = aap->keys;
  bool same = aap->auth != NULL && keys != NULL;
  aap->keys = keys;
  if (same) {
    aap_auth_set_keys(aap->auth, keys);
    aap->params.payload_limit = AAP_SEND_LIMIT - aap_auth_overhead(aap->auth);
  } else if (old != NULL || keys != NULL) {
    aap_auth_end(aap);
    aap_auth_begin(aap);
  }
  if (old != NULL)
    aap_keys_unref(old);
}

static void remember(uint32_t key_id, uint64_t sender, uint64_t highest, void *data)
{
  AapHeard heard = { key_id, sender, highest };
  g_array_append_val((GArray *)data, heard);
}

void aap_auth_end(Aap *aap)
{
  if (aap->auth == NULL)
    return;
  aap_auth_write(aap);
  g_array_set_size(aap->heard, 0);
  aap_auth_each_peer(aap->auth, remember, aap->heard);
  /* What was reserved last may be on the disk or not: never used again either way. */
  aap->next_counter = MAX(aap->next_counter, aap->reserve_upto);
  aap->reserving = 0;
  g_clear_pointer(&aap->auth, aap_auth_free);
}

/* ---- the store ------------------------------------------------------------------------------- */

static void write_heard(uint32_t key_id, uint64_t sender, uint64_t highest, void *data)
{
  uint8_t key[12], value[8];
  MalWriter k = mal_writer(key, sizeof key), v = mal_writer(value, sizeof value);
  mal_write_u32(&k, key_id);
  mal_write_u64(&k, sender);
  mal_write_u64(&v, highest);
  aap_store_put(data, "heard", key, sizeof key, value, sizeof value);
}

void aap_auth_write(Aap *aap)
{
  if (aap->auth != NULL)
    aap_auth_changes(aap->auth, write_heard, aap);
}

bool aap_auth_restore(Aap *aap, const MalRecord *record)
{
  MalReader k = mal_reader(record->key, record->key_length),
            v = mal_reader(record->value, record->value_length);
  if (strcmp(record->kind, "sender") == 0) {
    uint64_t sender = mal_read_u64(&v), next = mal_read_u64(&v);
    if (mal_reader_ok(&v)) {
      aap->sender = sender;
      aap->next_counter = next;
    }
    return true;
  }
  if (strcmp(record->kind, "heard") != 0)
    return false;
  AapHeard heard = { mal_read_u32(&k), mal_read_u64(&k), mal_read_u64(&v) };
  if (mal_reader_ok(&k) && mal_reader_ok(&v) && aap->heard->len < AAP_AUTH_PEERS_MOST)
    g_array_append_val(aap->heard, heard);
  return true;
}

json_object *aap_auth_describe(const Aap *aap)
{
  json_object *out = json_object_new_object(), *list = json_object_new_array();
  const char *name, *kind;
  char sender[17];
  json_object_object_add(out, "authenticated", json_object_new_boolean(aap->auth != NULL));
  for (size_t i = 0; aap->keys != NULL && aap_keys_at(aap->keys, i, &name, &kind); i++) {
    json_object *one = json_object_new_object();
    json_object_object_add(one, "name", json_object_new_string(name));
    json_object_object_add(one, "kind", json_object_new_string(kind));
    json_object_array_add(list, one);
  }
  json_object_object_add(out, "keys", list);
  if (aap->auth == NULL)
    return out;
  g_autofree char *public = aap_keys_public(aap->keys);
  g_snprintf(sender, sizeof sender, "%016" G_GINT64_MODIFIER "x", aap->sender);
  json_object_object_add(out, "sends_with", json_object_new_string(aap_keys_sends_with(aap->keys)));
  json_object_object_add(out, "public", public ? json_object_new_string(public) : NULL);
  json_object_object_add(out, "sender", json_object_new_string(sender));
  return out;
}
