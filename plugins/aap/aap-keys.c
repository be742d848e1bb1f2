/* The key file. */
#include "aap-keys.h"

#include <string.h>

static void key_free(gpointer data)
{
  AapKey *key = data;
  sodium_memzero(key->secret, sizeof key->secret);
  g_free(key->name);
  g_free(key);
}

static bool G_GNUC_PRINTF(3, 4) refuse(GError **error, const char *group, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *why = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "key file, [%s]: %s", group, why);
  return false;
}

/* 64 hex digits of entry NAME. The text is wiped: it is the key. */
static bool get_hex(GKeyFile *file, const char *group, const char *name, uint8_t out[32],
                    GError **error)
{
  char *text = g_key_file_get_string(file, group, name, NULL);
  size_t length = 0;
  if (text == NULL)
    return refuse(error, group, "%s is missing: 64 hex digits", name);
  bool good = strlen(text) == 64 && sodium_hex2bin(out, 32, text, 64, NULL, &length, NULL) == 0;
  sodium_memzero(text, strlen(text));
  g_free(text);
  if (!good)
    return refuse(error, group, "%s is not 64 hex digits", name);
  return true;
}

static bool get_send(GKeyFile *file, AapKey *key, const char *group, GError **error)
{
  g_autofree char *text = g_key_file_get_string(file, group, "send", NULL);
  if (text == NULL)
    return true;
  if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
    return refuse(error, group, "send is neither yes nor no");
  key->send = strcmp(text, "yes") == 0;
  return true;
}

static bool only_known(GKeyFile *file, const char *group, const char *value, bool may_send,
                       GError **error)
{
  g_auto(GStrv) names = g_key_file_get_keys(file, group, NULL, NULL);
  for (unsigned i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], value) != 0 && !(may_send && strcmp(names[i], "send") == 0))
      return refuse(error, group, "unknown key %s", names[i]);
  return true;
}

/* What others recognize a key by: never the key. */
static uint32_t id_of(const AapKey *key)
{
  static const char domain[] = "mallocd AAP key id";
  const uint8_t *material = key->kind == AAP_KEY_SHARED ? key->secret : key->public;
  uint8_t hash[16];
  crypto_generichash(hash, sizeof hash, material, 32, (const uint8_t *)domain, sizeof domain - 1);
  return (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
}

static bool read_key(GKeyFile *file, const char *group, AapKey *key, GError **error)
{
  uint8_t seed[32];
  switch (key->kind) {
  case AAP_KEY_SHARED:
    if (!only_known(file, group, "key", true, error) ||
        !get_hex(file, group, "key", key->secret, error))
      return false;
    break;
  case AAP_KEY_OWN:
    if (!only_known(file, group, "secret", true, error) ||
        !get_hex(file, group, "secret", seed, error))
      return false;
    crypto_sign_seed_keypair(key->public, key->secret, seed);
    sodium_memzero(seed, sizeof seed);
    break;
  case AAP_KEY_PEER:
    if (!only_known(file, group, "public", false, error) ||
        !get_hex(file, group, "public", key->public, error))
      return false;
    break;
  }
  key->id = id_of(key);
  return get_send(file, key, group, error);
}

static bool add_group(AapKeys *keys, GKeyFile *file, const char *group, GError **error)
{
  static const char *const kinds[] = { "shared ", "own ", "peer " };
  for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
    if (!g_str_has_prefix(group, kinds[i]))
      continue;
    AapKey *key = g_new0(AapKey, 1);
    g_ptr_array_add(keys->keys, key);
    key->kind = (AapKeyKind)i;
    key->name = g_strdup(group + strlen(kinds[i]));
    if (!read_key(file, group, key, error))
      return false;
    for (guint k = 0; k + 1 < keys->keys->len; k++)
      if (((const AapKey *)g_ptr_array_index(keys->keys, k))->id == key->id)
        return refuse(error, group, "is the same key as %s",
                      ((const AapKey *)g_ptr_array_index(keys->keys, k))->name);
    return true;
  }
  return refuse(error, group, "is neither [shared NAME], [own NAME] nor [peer NAME]");
}

static bool choose(AapKeys *keys, GError **error)
{
  unsigned able = 0, chosen = 0;
  for (guint i = 0; i < keys->keys->len; i++) {
    AapKey *key = g_ptr_array_index(keys->keys, i);
    able += key->kind != AAP_KEY_PEER;
    chosen += key->send;
    if (key->send || (keys->sender == NULL && key->kind != AAP_KEY_PEER))
      keys->sender = key;
  }
  if (chosen == 1 || (chosen == 0 && able == 1))
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s",
              able == 0     ? "key file: no [shared NAME] or [own NAME] to send with"
              : chosen == 0 ? "key file: several keys could be sent with: say send = yes in one"
                            : "key file: send = yes stands in more than one group");
  return false;
}

/* GLib joins groups of one name, and of two entries the last one counts: a key that was meant to be
   added would silently take another one's place. */
static bool each_once(const char *text, size_t length, GError **error)
{
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *group = g_strdup("");
  for (size_t at = 0, next; at < length; at = next) {
    const char *line = text + at, *end = memchr(line, '\n', length - at);
    size_t size = end != NULL ? (size_t)(end - line) : length - at;
    next = at + size + 1;
    for (; size > 0 && g_ascii_isspace(*line); size--)
      line++;
    if (size == 0 || *line == '#')
      continue;
    const char *stop = memchr(line, *line == '[' ? ']' : '=', size);
    if (stop == NULL)
      continue;
    g_autofree char *name = g_strstrip(g_strndup(line, (size_t)(stop - line)));
    g_autofree char *key = g_strconcat(*line == '[' ? "" : group, name, NULL);
    if (*line == '[') {
      g_free(group);
      group = g_strconcat(name + 1, "]", NULL);
    }
    if (g_hash_table_add(seen, g_steal_pointer(&key)))
      continue;
    if (*line != '[') {
      group[strlen(group) - 1] = '\0';
      return refuse(error, group, "%s stands twice", name);
    }
    return refuse(error, name + 1, "it stands twice");
  }
  return true;
}

AapKeys *aap_keys_parse(const char *text, size_t length, GError **error)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autoptr(GError) why = NULL;
  if (sodium_init() < 0) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "libsodium can't be set up");
    return NULL;
  }
  /* A NUL ends a line early for GLib, but not for each_once. GLib's message may show the line, and
     the line may hold a key. */
  bool plain = length == 0 || memchr(text, '\0', length) == NULL;
  if (!plain || !g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, &why)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "key file: not groups of NAME = VALUE lines");
    return NULL;
  }
  if (!each_once(text, length, error))
    return NULL;
  g_autoptr(AapKeys) keys = g_new0(AapKeys, 1);
  keys->references = 1;
  keys->keys = g_ptr_array_new_with_free_func(key_free);
  g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
  for (unsigned i = 0; groups[i] != NULL; i++)
    if (!add_group(keys, file, groups[i], error))
      return NULL;
  if (!choose(keys, error))
    return NULL;
  return g_steal_pointer(&keys);
}

AapKeys *aap_keys_ref(AapKeys *keys)
{
  keys->references++;
  return keys;
}

void aap_keys_unref(AapKeys *keys)
{
  if (keys == NULL || --keys->references > 0)
    return;
  g_ptr_array_unref(keys->keys);
  g_free(keys);
}

const char *aap_keys_sends_with(const AapKeys *keys)
{
  return keys->sender->name;
}

char *aap_keys_public(const AapKeys *keys)
{
  if (keys->sender->kind != AAP_KEY_OWN)
    return NULL;
  char *text = g_malloc(65);
  return sodium_bin2hex(text, 65, keys->sender->public, 32);
}

bool aap_keys_at(const AapKeys *keys, size_t index, const char **name, const char **kind)
{
  static const char *const kinds[] = { "shared", "own", "peer" };
  if (index >= keys->keys->len)
    return false;
  const AapKey *key = g_ptr_array_index(keys->keys, index);
  *name = key->name;
  *kind = kinds[key->kind];
  return true;
}

const AapKey *aap_keys_find(const AapKeys *keys, uint32_t id)
{
  for (guint i = 0; i < keys->keys->len; i++) {
    const AapKey *key = g_ptr_array_index(keys->keys, i);
    if (key->id == id)
      return key;
  }
  return NULL;
}
