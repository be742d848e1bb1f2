/* Loading a configuration. Two passes over the text: conf-scan.c finds the lines and refuses what
   GLib's parser lets pass; GLib's parser then has the last word on what a value is (its escapes and
   lists). Here groups and keys meet their tables. */
#define _POSIX_C_SOURCE 200809L

#include "conf-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX (16u << 20)
#define BAD_ESCAPE "there is an invalid escape sequence; a backslash is written '\\\\'"

/* ---- schema ---------------------------------------------------------------------------------- */

static void owned_clear(void *p)
{
  g_free(((ConfOwned *) p)->owner);
}

static MalConfSchema *schema_new(size_t n_core)
{
  MalConfSchema *schema = g_new0(MalConfSchema, 1);
  schema->groups = g_array_new(FALSE, TRUE, sizeof(ConfOwned));
  g_array_set_clear_func(schema->groups, owned_clear);
  mal_conf_schema_add(schema, mal_core_conf_groups, n_core, "core");
  return schema;
}

MalConfSchema *mal_conf_schema_new(void)
{
  return schema_new(mal_core_conf_n_groups);
}

void mal_conf_schema_free(MalConfSchema *schema)
{
  if (!schema)
    return;
  g_array_unref(schema->groups);
  g_free(schema);
}

void mal_conf_schema_add(MalConfSchema *schema, const MalConfGroup *groups, size_t n,
                         const char *owner)
{
  for (size_t i = 0; i < n; i++) {
    ConfOwned one = { &groups[i], g_strdup(owner) };
    g_array_append_val(schema->groups, one);
  }
}

static const ConfOwned *find_owned(const MalConfSchema *schema, const char *type)
{
  for (guint i = 0; i < schema->groups->len; i++) {
    const ConfOwned *one = &g_array_index(schema->groups, ConfOwned, i);
    if (strcmp(one->group->group, type) == 0)
      return one;
  }
  return NULL;
}

const char *mal_conf_schema_owner(const MalConfSchema *schema, const char *group)
{
  const ConfOwned *one = find_owned(schema, group);
  return one ? one->owner : NULL;
}

static const MalConfKey *find_key(const MalConfGroup *group, const char *key, size_t *index)
{
  for (size_t i = 0; i < group->n_keys; i++)
    if (strcmp(group->keys[i].key, key) == 0) {
      *index = i;
      return &group->keys[i];
    }
  return NULL;
}

/* ---- errors and their place ------------------------------------------------------------------ */

char *mal_conf_where(const char *file, unsigned line, const char *type, const char *name,
                     const char *key)
{
  GString *s = g_string_new(file);
  if (line)
    g_string_append_printf(s, ":%u", line);
  g_string_append_printf(s, ": [%s%s%s]", type, name ? " " : "", name ? name : "");
  if (key)
    g_string_append_printf(s, " %s", key);
  return g_string_free(s, FALSE);
}

typedef struct {
  const MalConfSchema *schema;
  const char *file;
  bool tolerant;
  GKeyFile *glib;
  const ConfBlock *block;
  GError **error;
} Load;

/* LINE 0 means the group's own. */
G_GNUC_PRINTF(4, 5)
static bool fail(Load *l, unsigned line, const char *key, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  const ConfBlock *b = l->block;
  g_autofree char *where = mal_conf_where(l->file, line ? line : b->line, b->type, b->name, key);
  g_set_error(l->error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", where, what);
  return false;
}

static bool fail_unknown_group(Load *l)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (guint i = 0; i < l->schema->groups->len; i++)
    g_ptr_array_add(names, (void *) g_array_index(l->schema->groups, ConfOwned, i).group->group);
  g_ptr_array_add(names, NULL);
  g_autoptr(GString) message = g_string_new("there is no such group");
  const char *near = mal_nearest(l->block->type, (const char *const *) names->pdata);
  if (near)
    g_string_append_printf(message, "; did you mean [%s]?", near);
  else
    g_string_append_printf(message,
                           " (a plugin's groups are known once [daemon] plugins names it: is %.*s "
                           "missing there?)",
                           (int) strcspn(l->block->type, "-"), l->block->type);
  return fail(l, 0, NULL, "%s", message->str);
}

static bool fail_unknown_key(Load *l, const MalConfGroup *group, const ConfEntry *e)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (size_t i = 0; i < group->n_keys; i++)
    g_ptr_array_add(names, (void *) group->keys[i].key);
  g_ptr_array_add(names, NULL);
  g_autoptr(GString) message = g_string_new("there is no such key");
  mal_conf_suggest(message, e->key, (const char *const *) names->pdata);
  return fail(l, e->line, e->raw, "%s", message->str);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void item_clear(void *p)
{
  ConfItem *item = p;
  g_free(item->text);
  g_free(item->tag);
}

/* Takes TEXT over. */
static bool add_item(Load *l, const MalConfKey *key, ConfValue *value, const ConfEntry *e,
                     char *text)
{
  ConfItem item = { .text = g_strstrip(text), .tag = g_strdup(e->tag) };
  g_autoptr(GError) why = NULL;
  bool ok = mal_conf_item_parse(key, &item, &why);
  g_array_append_val(value->items, item);
  return ok || fail(l, e->line, e->raw, "%s", why->message);
}

static bool add_list(Load *l, const MalConfKey *key, ConfValue *value, const ConfEntry *e,
                     char **items)
{
  for (char **i = items; *i; i++) {
    if (!**i || !(*i)[strspn(*i, " \t")])
      return fail(l, e->line, e->raw, "there is an empty item in the list");
    if (!add_item(l, key, value, e, g_strdup(*i)))
      return false;
    const char *text = g_array_index(value->items, ConfItem, value->items->len - 1).text;
    for (guint j = 0; j + 1 < value->items->len; j++)
      if (strcmp(g_array_index(value->items, ConfItem, j).text, text) == 0)
        return fail(l, e->line, e->raw, "'%.64s' is listed twice", text);
  }
  return true;
}

static bool check_tag(Load *l, const MalConfKey *key, const ConfEntry *e)
{
  if (key->localized && !e->tag)
    return fail(l, e->line, e->raw, "it needs a language: %s[en] = ...", e->key);
  if (!key->localized && e->tag)
    return fail(l, e->line, e->raw, "'%s' is not given for each language; write %s = ...", e->key,
                e->key);
  return true;
}

static bool may_be_empty(const MalConfKey *key)
{
  if (key->required)
    return false;
  /* A path that has a default is needed: nothing is no place. */
  return key->list || key->type == MAL_CONF_STRING ||
         (key->type == MAL_CONF_PATH && key->fallback == NULL);
}

static bool fill_scalar(Load *l, const MalConfKey *key, ConfValue *value, const ConfEntry *e)
{
  g_autoptr(GError) why = NULL;
  char *text = g_key_file_get_string(l->glib, l->block->raw, e->raw, &why);
  if (why) {                  /* GLib gives a text besides where an escape is wrong */
    g_free(text);
    return fail(l, e->line, e->raw, BAD_ESCAPE);
  }
  if (!*g_strstrip(text) && may_be_empty(key)) {
    ConfItem empty = { .text = text, .tag = g_strdup(e->tag) };
    g_array_append_val(value->items, empty);
    return true;
  }
  if (!*text) {
    g_free(text);
    return fail(l, e->line, e->raw, "it has no value");
  }
  return add_item(l, key, value, e, text);
}

static bool fill_list(Load *l, const MalConfKey *key, ConfValue *value, const ConfEntry *e)
{
  g_autoptr(GError) why = NULL;
  g_auto(GStrv) items = g_key_file_get_string_list(l->glib, l->block->raw, e->raw, NULL, &why);
  if (why)
    return fail(l, e->line, e->raw, BAD_ESCAPE);
  bool empty = !items[0] || (!items[1] && !*g_strstrip(items[0]));
  if (empty && may_be_empty(key))
    return true;
  if (empty)
    return fail(l, e->line, e->raw, "it has no value");
  return add_list(l, key, value, e, items);
}

static void fill_default(const MalConfKey *key, ConfValue *value)
{
  if (!key->fallback)
    return;
  g_auto(GStrv) items = g_strsplit(key->fallback, key->list ? ";" : "\n", -1);
  for (char **i = items; *i; i++) {
    ConfItem item = { .text = g_strstrip(g_strdup(*i)) };
    g_autoptr(GError) why = NULL;
    if (*item.text && !mal_conf_item_parse(key, &item, &why))
      g_error("the default of key %s is wrong: %s", key->key, why->message);
    g_array_append_val(value->items, item);
  }
}

/* ---- sections -------------------------------------------------------------------------------- */

/* There may be thousands of one group, and each is asked for by its number. */
static void add_section(MalConfig *config, MalConfSection *s)
{
  const char *group = s->group->group;
  GPtrArray *alike = g_hash_table_lookup(config->by_group, group);
  if (!alike)
    g_hash_table_insert(config->by_group, (void *)(uintptr_t)group, alike = g_ptr_array_new());
  g_ptr_array_add(alike, s);
  g_ptr_array_add(config->sections, s);
}

static MalConfSection *section_new(MalConfig *config, const MalConfGroup *group,
                                   const ConfBlock *block)
{
  MalConfSection *s = g_new0(MalConfSection, 1);
  s->config = config;
  s->group = group;
  s->name = block ? g_strdup(block->name) : NULL;
  s->line = block ? block->line : 0;
  s->values = g_new0(ConfValue, group->n_keys);
  for (size_t i = 0; i < group->n_keys; i++) {
    s->values[i].items = g_array_new(FALSE, TRUE, sizeof(ConfItem));
    g_array_set_clear_func(s->values[i].items, item_clear);
  }
  add_section(config, s);
  return s;
}

static void section_free(void *p)
{
  MalConfSection *s = p;
  for (size_t i = 0; i < s->group->n_keys; i++)
    g_array_unref(s->values[i].items);
  g_free(s->values);
  g_free(s->name);
  g_free(s);
}

static bool load_entry(Load *l, MalConfSection *s, const ConfEntry *e)
{
  size_t index = 0;
  const MalConfKey *key = find_key(s->group, e->key, &index);
  if (!key)
    return fail_unknown_key(l, s->group, e);
  if (!check_tag(l, key, e))
    return false;
  ConfValue *value = &s->values[index];
  if (!value->given)
    value->line = e->line;
  value->given = true;
  return key->list ? fill_list(l, key, value, e) : fill_scalar(l, key, value, e);
}

static bool load_section(Load *l, MalConfSection *s)
{
  for (guint i = 0; i < l->block->entries->len; i++)
    if (!load_entry(l, s, l->block->entries->pdata[i]))
      return false;
  for (size_t i = 0; i < s->group->n_keys; i++) {
    const MalConfKey *key = &s->group->keys[i];
    if (key->required && !s->values[i].given)
      return fail(l, 0, NULL, "the key '%s' is missing: %s", key->key, key->help);
    if (!s->values[i].given)
      fill_default(key, &s->values[i]);
  }
  return true;
}

static bool load_block(Load *l, MalConfig *config)
{
  const ConfOwned *owned = find_owned(l->schema, l->block->type);
  if (!owned)
    return l->tolerant || fail_unknown_group(l);
  if (owned->group->named && !l->block->name)
    return fail(l, 0, NULL, "the group needs a name: [%s NAME]", l->block->type);
  if (!owned->group->named && l->block->name)
    return fail(l, 0, NULL, "the group takes no name; write [%s]", l->block->type);
  return load_section(l, section_new(config, owned->group, l->block));
}

static bool add_absent_groups(const Load *l, MalConfig *config)
{
  for (guint i = 0; i < l->schema->groups->len; i++) {
    const MalConfGroup *group = g_array_index(l->schema->groups, ConfOwned, i).group;
    if (group->named || mal_config_section(config, group->group))
      continue;
    MalConfSection *s = section_new(config, group, NULL);
    for (size_t k = 0; k < group->n_keys; k++) {
      const MalConfKey *key = &group->keys[k];
      if (key->required) {
        g_set_error(l->error, MAL_ERROR, MAL_ERROR_CONFIG,
                    "%s: the group [%s] is missing; its key '%s' is needed: %s", l->file,
                    group->group, key->key, key->help);
        return false;
      }
      fill_default(key, &s->values[k]);
    }
  }
  return true;
}

/* ---- the whole file -------------------------------------------------------------------------- */

static bool load_blocks(Load *l, const GPtrArray *blocks, const char *text, size_t length,
                        MalConfig *config)
{
  g_autoptr(GError) why = NULL;
  l->glib = g_key_file_new();
  bool ok = g_key_file_load_from_data(l->glib, length ? text : "\n", length ? length : 1,
                                      G_KEY_FILE_KEEP_TRANSLATIONS, &why);
  if (!ok)
    g_set_error(l->error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", l->file, why->message);
  for (guint i = 0; ok && i < blocks->len; i++) {
    l->block = blocks->pdata[i];
    ok = load_block(l, config);
  }
  g_key_file_unref(l->glib);
  return ok;
}

static MalConfig *parse(const MalConfSchema *schema, const char *text, size_t length,
                        const char *file, bool tolerant, GError **error)
{
  if (length > TEXT_MAX) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                "%s: longer than %u MiB; is it a configuration?", file, TEXT_MAX >> 20);
    return NULL;
  }
  g_autoptr(GPtrArray) blocks = mal_conf_scan(text, length, file, error);
  if (!blocks)
    return NULL;
  g_autoptr(MalConfig) config = g_new0(MalConfig, 1);
  config->references = 1;
  config->file = g_strdup(file);
  config->sections = g_ptr_array_new_with_free_func(section_free);
  config->by_group = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                           (GDestroyNotify)g_ptr_array_unref);
  Load l = { .schema = schema, .file = file, .tolerant = tolerant, .error = error };
  if (!load_blocks(&l, blocks, text, length, config) || !add_absent_groups(&l, config))
    return NULL;
  return g_steal_pointer(&config);
}

MalConfig *mal_config_parse(const MalConfSchema *schema, const char *text, size_t length,
                            const char *file_name, GError **error)
{
  return parse(schema, text, length, file_name, false, error);
}

MalConfig *mal_config_parse_daemon(const char *text, size_t length, const char *file_name,
                                   GError **error)
{
  MalConfSchema *schema = schema_new(1);
  MalConfig *config = parse(schema, text, length, file_name, true, error);
  mal_conf_schema_free(schema);
  return config;
}

static bool fail_errno(const char *path, GError **error)
{
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", path, g_strerror(errno));
  return false;
}

/* At most one octet more than is allowed, so that an endless file ends. */
static bool read_all(int fd, const char *path, GByteArray *out, GError **error)
{
  static const size_t chunk = 65536;
  while (out->len <= TEXT_MAX) {
    guint before = out->len;
    g_byte_array_set_size(out, before + (guint) chunk);
    ssize_t got = read(fd, out->data + before, chunk);
    g_byte_array_set_size(out, before + (got > 0 ? (guint) got : 0));
    if (got == 0)
      return true;
    if (got < 0 && errno != EINTR)
      return fail_errno(path, error);
  }
  return true;
}

MalConfig *mal_config_load(const MalConfSchema *schema, const char *path, GError **error)
{
  g_autoptr(GByteArray) text = mal_config_read(path, error);
  return text ? mal_config_parse(schema, (const char *) text->data, text->len, path, error) : NULL;
}

GByteArray *mal_config_read(const char *path, GError **error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fail_errno(path, error);
    return NULL;
  }
  GByteArray *text = g_byte_array_new();
  if (!read_all(fd, path, text, error))
    g_clear_pointer(&text, g_byte_array_unref);
  close(fd);
  return text;
}

MalConfig *mal_config_ref(MalConfig *config)
{
  g_atomic_int_inc(&config->references);
  return config;
}

void mal_config_unref(MalConfig *config)
{
  if (!config || !g_atomic_int_dec_and_test(&config->references))
    return;
  g_hash_table_unref(config->by_group);
  g_ptr_array_unref(config->sections);
  g_free(config->file);
  g_free(config);
}
