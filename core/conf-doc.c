/* The tables as documentation: what the check enforces is what the manual says. */
#include <json-c/json.h>
#include <string.h>

#include "conf-doc.h"
#include "conf-internal.h"
#include "events.h"

/* ---- a key in words -------------------------------------------------------------------------- */

static const char *type_name(MalConfType type)
{
  static const char *const names[] = {
    [MAL_CONF_STRING] = "text",
    [MAL_CONF_PATH] = "path",
    [MAL_CONF_BOOL] = "yes or no",
    [MAL_CONF_INTEGER] = "number",
    [MAL_CONF_DURATION] = "duration",
    [MAL_CONF_TIME] = "time",
    [MAL_CONF_ADDRESS] = "address",
    [MAL_CONF_SPAN] = "addresses",
    [MAL_CONF_ENDPOINT] = "address and port",
    [MAL_CONF_CHOICE] = "choice",
    [MAL_CONF_PAIR] = "NAME=VALUE",
    [MAL_CONF_PREFIX] = "prefix",
  };
  return names[type];
}

static char *value_words(const MalConfKey *key)
{
  GString *s = g_string_new(NULL);
  if (key->type == MAL_CONF_CHOICE) {
    g_auto(GStrv) choices = g_strsplit(key->choices, "|", -1);
    g_autofree char *joined = g_strjoinv(" | ", choices);
    g_string_append(s, joined);
  } else {
    g_string_append(s, type_name(key->type));
  }
  if (key->list)
    g_string_append(s, "; ...");
  return g_string_free(s, FALSE);
}

/* Range, default and the like: whole sentences after the help. */
static char *remarks(const MalConfGroup *group, const MalConfKey *key)
{
  GString *s = g_string_new(NULL);
  bool bounded = key->min != 0 || key->max != 0;
  if (bounded && key->type == MAL_CONF_DURATION) {
    g_autofree char *low = mal_duration_format(key->min), *high = mal_duration_format(key->max);
    g_string_append_printf(s, "From %s to %s. ", low, high);
  } else if (bounded) {
    g_string_append_printf(s, "From %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ". ", key->min,
                           key->max);
  }
  if (key->required)
    g_string_append(s, "Required. ");
  else if (key->fallback && *key->fallback)
    g_string_append_printf(s, "Default: %s. ", key->fallback);
  if (key->restart)
    g_string_append(s, strcmp(group->group, "daemon") == 0
                           ? "A change needs a restart of the daemon. "
                           : "A change restarts the plugin. ");
  if (s->len > 0)
    g_string_truncate(s, s->len - 1);
  return g_string_free(s, FALSE);
}

static char *heading(const MalConfGroup *group)
{
  return g_strdup_printf("[%s%s]", group->group, group->named ? " NAME" : "");
}

static const MalConfGroup *group_at(const MalConfSchema *schema, guint i)
{
  return g_array_index(schema->groups, ConfOwned, i).group;
}

/* ---- plain text ------------------------------------------------------------------------------ */

static void wrap(GString *out, const char *text, const char *indent)
{
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  size_t column = 0;
  for (char **w = words; *w; w++) {
    size_t n = strlen(*w);
    if (column > 0 && column + 1 + n > 76) {
      g_string_append_c(out, '\n');
      column = 0;
    }
    g_string_append(out, column == 0 ? indent : " ");
    g_string_append(out, *w);
    column += (column == 0 ? strlen(indent) : 1) + n;
  }
  if (column > 0)
    g_string_append_c(out, '\n');
}

static void key_text(GString *out, const MalConfGroup *group, const MalConfKey *key)
{
  g_autofree char *value = value_words(key), *more = remarks(group, key);
  g_string_append_printf(out, "  %s%s = %s\n", key->key, key->localized ? "[LANGUAGE]" : "", value);
  wrap(out, key->help ? key->help : "", "      ");
  if (*more)
    wrap(out, more, "      ");
}

static char *render_text(const MalConfSchema *schema)
{
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < schema->groups->len; i++) {
    const MalConfGroup *group = group_at(schema, i);
    g_autofree char *head = heading(group);
    g_string_append_printf(out, "%s%s\n", i ? "\n" : "", head);
    wrap(out, group->help ? group->help : "", "  ");
    for (size_t k = 0; k < group->n_keys; k++)
      key_text(out, group, &group->keys[k]);
  }
  return g_string_free(out, FALSE);
}

/* ---- roff ------------------------------------------------------------------------------------ */

static void key_roff(GString *out, const MalConfGroup *group, const MalConfKey *key)
{
  g_autofree char *value = value_words(key), *more = remarks(group, key);
  g_string_append(out, ".TP\n\\fB");
  mal_doc_roff(out, key->key);
  g_string_append(out, key->localized ? "\\fR[\\fILANGUAGE\\fR] = \\fI" : "\\fR = \\fI");
  mal_doc_roff(out, value);
  g_string_append(out, "\\fR\n");
  mal_doc_roff_sentences(out, key->help && *key->help ? key->help : "Not described.");
  if (*more)
    mal_doc_roff_sentences(out, more);
}

static char *render_roff(const MalConfSchema *schema)
{
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < schema->groups->len; i++) {
    const MalConfGroup *group = group_at(schema, i);
    g_autofree char *head = heading(group);
    g_string_append(out, ".SS ");
    mal_doc_roff(out, head);
    g_string_append_c(out, '\n');
    if (group->help && *group->help)
      mal_doc_roff_sentences(out, group->help);
    for (size_t k = 0; k < group->n_keys; k++)
      key_roff(out, group, &group->keys[k]);
  }
  return g_string_free(out, FALSE);
}

/* ---- JSON schema ----------------------------------------------------------------------------- */

static void add_text(struct json_object *o, const char *name, const char *text)
{
  json_object_object_add(o, name, json_object_new_string(text));
}

/* One value, as it stands in the file: all are text there, so that only choices and numbers say
   more. */
static struct json_object *item_schema(const MalConfKey *key)
{
  struct json_object *o = json_object_new_object();
  if (key->type == MAL_CONF_INTEGER) {
    add_text(o, "type", "integer");
    if (key->min != 0 || key->max != 0) {
      json_object_object_add(o, "minimum", json_object_new_int64(key->min));
      json_object_object_add(o, "maximum", json_object_new_int64(key->max));
    }
    return o;
  }
  add_text(o, "type", "string");
  if (key->type == MAL_CONF_TIME)
    add_text(o, "format", "date-time");
  if (key->type != MAL_CONF_CHOICE && key->type != MAL_CONF_BOOL)
    return o;
  g_auto(GStrv) choices =
      g_strsplit(key->type == MAL_CONF_BOOL ? "yes|no|true|false" : key->choices, "|", -1);
  struct json_object *list = json_object_new_array();
  for (char **c = choices; *c; c++)
    json_object_array_add(list, json_object_new_string(*c));
  json_object_object_add(o, "enum", list);
  return o;
}

static struct json_object *key_schema(const MalConfGroup *group, const MalConfKey *key)
{
  struct json_object *o = item_schema(key);
  if (key->list) {
    struct json_object *array = json_object_new_object();
    add_text(array, "type", "array");
    json_object_object_add(array, "items", o);
    json_object_object_add(array, "uniqueItems", json_object_new_boolean(true));
    o = array;
  }
  g_autofree char *more = remarks(group, key);
  g_autofree char *help =
      g_strdup_printf("%s%s%s", key->help ? key->help : "", *more ? " " : "", more);
  add_text(o, "description", help);
  if (key->fallback && !key->list && key->type == MAL_CONF_INTEGER)
    json_object_object_add(o, "default",
                           json_object_new_int64(g_ascii_strtoll(key->fallback, NULL, 10)));
  else if (key->fallback && !key->list)
    add_text(o, "default", key->fallback);
  return o;
}

static struct json_object *group_schema(const MalConfGroup *group)
{
  struct json_object *o = json_object_new_object(), *keys = json_object_new_object();
  struct json_object *patterns = json_object_new_object(), *required = json_object_new_array();
  add_text(o, "type", "object");
  add_text(o, "description", group->help ? group->help : "");
  json_object_object_add(o, "additionalProperties", json_object_new_boolean(false));
  for (size_t k = 0; k < group->n_keys; k++) {
    const MalConfKey *key = &group->keys[k];
    g_autofree char *pattern = g_strdup_printf("^%s\\[[A-Za-z0-9-]+\\]$", key->key);
    json_object_object_add(key->localized ? patterns : keys, key->localized ? pattern : key->key,
                           key_schema(group, key));
    if (key->required)
      json_object_array_add(required, json_object_new_string(key->key));
  }
  json_object_object_add(o, "properties", keys);
  json_object_object_add(o, "patternProperties", patterns);
  json_object_object_add(o, "required", required);
  return o;
}

static char *render_json_schema(const MalConfSchema *schema)
{
  struct json_object *o = json_object_new_object(), *plain = json_object_new_object();
  struct json_object *named = json_object_new_object();
  add_text(o, "$schema", "https://json-schema.org/draft/2020-12/schema");
  add_text(o, "title", "mallocd.conf");
  add_text(o, "type", "object");
  json_object_object_add(o, "additionalProperties", json_object_new_boolean(false));
  for (guint i = 0; i < schema->groups->len; i++) {
    const MalConfGroup *group = group_at(schema, i);
    g_autofree char *pattern = g_strdup_printf("^%s [A-Za-z0-9._-]{1,64}$", group->group);
    json_object_object_add(group->named ? named : plain, group->named ? pattern : group->group,
                           group_schema(group));
  }
  json_object_object_add(o, "properties", plain);
  json_object_object_add(o, "patternProperties", named);
  char *text = g_strdup(json_object_to_json_string_ext(
      o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(o);
  return text;
}

char *mal_conf_schema_render(const MalConfSchema *schema, MalDocFormat format)
{
  switch (format) {
  case MAL_DOC_ROFF:
    return render_roff(schema);
  case MAL_DOC_JSON_SCHEMA:
    return render_json_schema(schema);
  default:
    return render_text(schema);
  }
}
