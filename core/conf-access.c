#include "conf-internal.h"

#include <string.h>

const char *mal_config_file(const MalConfig *config)
{
  return config->file;
}

const MalConfSection *mal_config_nth(const MalConfig *config, const char *group, size_t n)
{
  const GPtrArray *alike = g_hash_table_lookup(config->by_group, group);
  return alike && n < alike->len ? alike->pdata[n] : NULL;
}

const MalConfSection *mal_config_section(const MalConfig *config, const char *group)
{
  return mal_config_nth(config, group, 0);
}

size_t mal_config_count(const MalConfig *config, const char *group)
{
  const GPtrArray *alike = g_hash_table_lookup(config->by_group, group);
  return alike ? alike->len : 0;
}

const char *mal_conf_name(const MalConfSection *s)
{
  return s->name;
}

/* ---- values ---------------------------------------------------------------------------------- */

static const ConfValue *value_of(const MalConfSection *s, const char *key, const MalConfKey **table)
{
  for (size_t i = 0; i < s->group->n_keys; i++)
    if (strcmp(s->group->keys[i].key, key) == 0) {
      if (table)
        *table = &s->group->keys[i];
      return &s->values[i];
    }
  g_error("group %s has no key %s", s->group->group, key);
}

static const ConfItem *item_of(const MalConfSection *s, const char *key, size_t n)
{
  const ConfValue *v = value_of(s, key, NULL);
  return n < v->items->len ? &g_array_index(v->items, ConfItem, n) : NULL;
}

static const ConfItem *typed_item(const MalConfSection *s, const char *key, size_t n,
                                  unsigned types)
{
  const MalConfKey *table;
  value_of(s, key, &table);
  if (!(types & 1u << table->type))
    g_error("key %s of group %s is not of the type that is asked for", key, s->group->group);
  return item_of(s, key, n);
}

bool mal_conf_given(const MalConfSection *s, const char *key)
{
  return value_of(s, key, NULL)->given;
}

const char *mal_conf_string(const MalConfSection *s, const char *key)
{
  const ConfItem *item = item_of(s, key, 0);
  return item ? item->text : NULL;
}

int64_t mal_conf_integer(const MalConfSection *s, const char *key)
{
  const ConfItem *item =
    typed_item(s, key, 0, 1u << MAL_CONF_INTEGER | 1u << MAL_CONF_DURATION | 1u << MAL_CONF_TIME);
  return item ? item->integer : 0;
}

bool mal_conf_bool(const MalConfSection *s, const char *key)
{
  const ConfItem *item = typed_item(s, key, 0, 1u << MAL_CONF_BOOL);
  return item && item->integer != 0;
}

MalAddress mal_conf_address(const MalConfSection *s, const char *key)
{
  const ConfItem *item = typed_item(s, key, 0, 1u << MAL_CONF_ADDRESS);
  return item ? item->span.first : mal_address_none();
}

MalPrefix mal_conf_prefix(const MalConfSection *s, const char *key)
{
  const ConfItem *item = typed_item(s, key, 0, 1u << MAL_CONF_PREFIX);
  return item ? item->prefix : (MalPrefix) { .address = mal_address_none() };
}

MalEndpoint mal_conf_endpoint(const MalConfSection *s, const char *key, uint16_t default_port)
{
  return mal_conf_endpoint_at(s, key, 0, default_port);
}

MalEndpoint mal_conf_endpoint_at(const MalConfSection *s, const char *key, size_t n,
                                 uint16_t default_port)
{
  const ConfItem *item = typed_item(s, key, n, 1u << MAL_CONF_ENDPOINT);
  MalEndpoint e = item ? item->endpoint : (MalEndpoint) { .address = mal_address_none() };
  if (item && e.port == 0)
    e.port = default_port;
  return e;
}

size_t mal_conf_length(const MalConfSection *s, const char *key)
{
  return value_of(s, key, NULL)->items->len;
}

const char *mal_conf_item(const MalConfSection *s, const char *key, size_t n)
{
  const ConfItem *item = item_of(s, key, n);
  return item ? item->text : NULL;
}

MalSpan mal_conf_span(const MalConfSection *s, const char *key, size_t n)
{
  const ConfItem *item = typed_item(s, key, n, 1u << MAL_CONF_SPAN);
  return item ? item->span : (MalSpan) { mal_address_none(), mal_address_none() };
}

size_t mal_conf_locales(const MalConfSection *s, const char *key)
{
  return value_of(s, key, NULL)->items->len;
}

const char *mal_conf_locale(const MalConfSection *s, const char *key, size_t n, const char **tag)
{
  const ConfItem *item = item_of(s, key, n);
  if (tag)
    *tag = item ? item->tag : NULL;
  return item ? item->text : NULL;
}

char *mal_conf_place(const MalConfSection *s, const char *key)
{
  unsigned line = key ? value_of(s, key, NULL)->line : 0;
  return mal_conf_where(s->config->file, line ? line : s->line, s->group->group, s->name, key);
}

bool mal_conf_check_interfaces(const MalConfSection *s, const char *key, GError **error)
{
  for (size_t i = 0; i < mal_conf_length(s, key); i++) {
    const char *name = mal_conf_item(s, key, i);
    if (*name != '\0' && strlen(name) <= 15 && strpbrk(name, "/ \t") == NULL)
      continue;
    g_autofree char *place = mal_conf_place(s, key);
    g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: \"%s\": not the name of an interface",
                place, name);
    return false;
  }
  return true;
}

/* ---- comparison ------------------------------------------------------------------------------ */

static bool items_same(const MalConfKey *key, const ConfItem *a, const ConfItem *b)
{
  if (g_strcmp0(a->tag, b->tag) != 0)
    return false;
  switch (key->type) {
  case MAL_CONF_BOOL:
  case MAL_CONF_INTEGER:
  case MAL_CONF_DURATION:
  case MAL_CONF_TIME:
    return a->integer == b->integer;
  default:
    return strcmp(a->text, b->text) == 0;
  }
}

static bool sections_same(const MalConfSection *a, const MalConfSection *b)
{
  if (a->group != b->group || g_strcmp0(a->name, b->name) != 0)
    return false;
  for (size_t k = 0; k < a->group->n_keys; k++) {
    const GArray *left = a->values[k].items, *right = b->values[k].items;
    if (left->len != right->len)
      return false;
    for (guint i = 0; i < left->len; i++)
      if (!items_same(&a->group->keys[k], &g_array_index(left, ConfItem, i),
                      &g_array_index(right, ConfItem, i)))
        return false;
  }
  return true;
}

bool mal_config_same(const MalConfig *a, const MalConfig *b, const char *group)
{
  size_t n = mal_config_count(a, group);
  if (n != mal_config_count(b, group))
    return false;
  for (size_t i = 0; i < n; i++)
    if (!sections_same(mal_config_nth(a, group, i), mal_config_nth(b, group, i)))
      return false;
  return true;
}
