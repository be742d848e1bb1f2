/* From words to typed parameters, as rpc.discover describes them. */
#include "ctl.h"

#include "conf.h"
#include "events.h"

#include <errno.h>
#include <string.h>

static bool usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool usage(GError **error, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autoptr(GError) e = g_error_new_valist(MAL_CTL_ERROR, MAL_CTL_USAGE, format, args);
  va_end(args);
  g_propagate_error(error, g_steal_pointer(&e));
  return false;
}

/* ---- options of the program ------------------------------------------------------------------ */

/* Is WORD the option NAME ("--name", also as "--name=value"), or SHORT ("-n")? */
static bool is_option(const char *word, const char *name, const char *brief)
{
  size_t n = strlen(name);
  return (brief && strcmp(word, brief) == 0) ||
         (strncmp(word, name, n) == 0 && (word[n] == '\0' || word[n] == '='));
}

static const char *value_of(char *const *words, size_t *i, GError **error)
{
  const char *equals = g_str_has_prefix(words[*i], "--") ? strchr(words[*i], '=') : NULL;
  if (equals)
    return equals + 1;
  if (words[*i + 1])
    return words[++*i];
  usage(error, "%s: a value must follow", words[*i]);
  return NULL;
}

static bool set_timeout(MalCtlArgs *args, const char *text, GError **error)
{
  if (mal_duration_parse(text, &args->timeout, NULL))
    return true;
  return usage(error, "--timeout: \"%s\" is not a duration such as 90, 2m or 1h", text);
}

static bool one_word(MalCtlArgs *args, char **words, size_t *i, GError **error)
{
  const char *word = words[*i], *value;
  if (is_option(word, "--socket", "-s")) {
    if (!(value = value_of(words, i, error)))
      return false;
    g_free(args->socket);
    args->socket = g_strdup(value);
  } else if (is_option(word, "--timeout", NULL)) {
    return (value = value_of(words, i, error)) && set_timeout(args, value, error);
  } else if (strcmp(word, "--json") == 0) {
    args->json = true;
  } else if (strcmp(word, "--direct") == 0) {
    args->direct = true;
  } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    args->help = true;
  } else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
    args->version = true;
  } else {
    g_ptr_array_add(args->words, g_strdup(word));
  }
  return true;
}

bool mal_ctl_args_parse(int argc, char **argv, MalCtlArgs *args, GError **error)
{
  *args = (MalCtlArgs){ .timeout = -1, .words = g_ptr_array_new_with_free_func(g_free) };
  for (size_t i = 1; i < (size_t)argc; i++)
    if (!one_word(args, argv, &i, error))
      return false;
  g_ptr_array_add(args->words, NULL);
  return true;
}

void mal_ctl_args_clear(MalCtlArgs *args)
{
  g_clear_pointer(&args->words, g_ptr_array_unref);
  g_clear_pointer(&args->socket, g_free);
}

bool mal_ctl_take(GPtrArray *words, const char *name, char **value, GError **error)
{
  *value = NULL;
  for (size_t i = 0; i < words->len && words->pdata[i]; i++) {
    if (!is_option(words->pdata[i], name, NULL))
      continue;
    size_t first = i;
    const char *text = value_of((char **)words->pdata, &i, error);
    if (!text)
      return false;
    *value = g_strdup(text);
    g_ptr_array_remove_range(words, (unsigned)first, (unsigned)(i - first + 1));
    return true;
  }
  return true;
}

/* ---- typed values ---------------------------------------------------------------------------- */

static json_object *integer_value(const char *text)
{
  char *end;
  errno = 0;
  gint64 n = g_ascii_strtoll(text, &end, 10);
  return *text && !*end && errno == 0 ? json_object_new_int64(n) : NULL;
}

static int as_bool(const char *text)
{
  if (!g_ascii_strcasecmp(text, "yes") || !g_ascii_strcasecmp(text, "true"))
    return 1;
  return !g_ascii_strcasecmp(text, "no") || !g_ascii_strcasecmp(text, "false") ? 0 : -1;
}

static json_object *duration_value(const char *text)
{
  int64_t seconds;
  return mal_duration_parse(text, &seconds, NULL) ? json_object_new_int64(seconds) : NULL;
}

/* RFC 3339, and "+2h": so much from now. */
static json_object *time_value(const char *text, MalTime now)
{
  int64_t t;
  char out[MAL_TIME_STRLEN];
  if (*text == '+' && mal_duration_parse(text + 1, &t, NULL))
    t = mal_time_add(now, t);
  else if (strcmp(text, "now") == 0)
    t = now;
  else if (!mal_time_parse(text, &t, NULL))
    return NULL;
  return json_object_new_string(mal_time_format(t, out));
}

static json_object *json_value(const char *text, json_type type)
{
  json_object *o = json_tokener_parse(text);
  if (json_object_is_type(o, type))
    return o;
  json_object_put(o);
  return NULL;
}

static json_object *array_value(const char *text)
{
  if (*text == '[')
    return json_value(text, json_type_array);
  json_object *o = json_object_new_array();
  g_auto(GStrv) parts = g_strsplit(text, ",", -1);
  for (size_t i = 0; parts[i]; i++)
    json_object_array_add(o, json_object_new_string(parts[i]));
  return o;
}

static json_object *text_if(bool good, const char *text)
{
  return good ? json_object_new_string(text) : NULL;
}

/* NULL for what isn't of TYPE; *EXPECTED says what is. */
static json_object *typed(const char *type, const char *text, MalTime now, const char **expected)
{
  MalAddress address;
  MalSpan span;
  uint8_t id[MAL_LEASE_ID_MAX];
  *expected = type;
  if (!g_utf8_validate(text, -1, NULL))
    return *expected = "text in UTF-8", NULL;
  if (!strcmp(type, "integer"))
    return *expected = "an integer", integer_value(text);
  if (!strcmp(type, "boolean"))
    return *expected = "yes or no",
           as_bool(text) < 0 ? NULL : json_object_new_boolean(as_bool(text));
  if (!strcmp(type, "duration"))
    return *expected = "a duration such as 90, 15m, 2h or 1d", duration_value(text);
  if (!strcmp(type, "time"))
    return *expected = "a time such as 2030-01-31T18:00:00Z, or +2h from now",
           time_value(text, now);
  if (!strcmp(type, "address"))
    return *expected = "an IPv4 or IPv6 address",
           text_if(mal_address_parse(text, &address, NULL), text);
  if (!strcmp(type, "span"))
    return *expected = "an address, a range A-B, or a prefix A/n",
           text_if(mal_span_parse(text, &span, NULL), text);
  if (!strcmp(type, "lease-id"))
    return *expected = "a lease identifier in hexadecimal",
           text_if(mal_lease_id_from_hex(text, id, NULL) > 0, text);
  if (!strcmp(type, "array"))
    return *expected = "values separated by commas, or a JSON array", array_value(text);
  if (!strcmp(type, "object"))
    return *expected = "a JSON object", json_value(text, json_type_object);
  return json_object_new_string(text);
}

/* ---- parameters ------------------------------------------------------------------------------ */

typedef struct {
  const char *method;
  char *command;                /* "lease request", for messages */
  json_object *known;           /* rpc.discover's list */
  const char *const *positional;
  size_t n_positional;          /* consumed */
  MalCtlExtra *extra;
  MalTime now;
  json_object *out;
} Params;

static json_object *find(const Params *p, const char *name)
{
  g_autofree char *key = g_strdelimit(g_strdup(name), "-", '_');
  for (size_t i = 0; i < mal_ctl_length(p->known); i++) {
    json_object *o = json_object_array_get_idx(p->known, i);
    const char *known = mal_ctl_text(o, "name");
    if (known && (strcmp(known, name) == 0 || strcmp(known, key) == 0))
      return o;
  }
  return NULL;
}

static bool unknown_option(const Params *p, const char *name, GError **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  for (size_t i = 0; i < mal_ctl_length(p->known); i++) {
    const char *known = mal_ctl_text(json_object_array_get_idx(p->known, i), "name");
    g_ptr_array_add(names, g_strdelimit(g_strdup(known ? known : ""), "_", '-'));
  }
  for (const MalCtlExtra *e = p->extra; e && e->name; e++)
    g_ptr_array_add(names, g_strdup(e->name));
  g_ptr_array_add(names, NULL);
  const char *near = mal_nearest(name, (const char *const *)(void *)names->pdata);
  if (near)
    return usage(error, "%s: there is no option --%s; did you mean --%s?", p->command, name, near);
  return usage(error, "%s: there is no option --%s (mallocctl help %s shows what there is)",
               p->command, name, p->command);
}

static bool set_value(Params *p, json_object *param, const char *shown, const char *text,
                      GError **error)
{
  const char *name = mal_ctl_text(param, "name"), *type = mal_ctl_text(param, "type"), *expected;
  json_object *value = typed(type ? type : "string", text, p->now, &expected);
  if (!value)
    return usage(error, "%s: %s: \"%.100s\" is not %s", p->command, shown, text, expected);
  if (json_object_object_get_ex(p->out, name, NULL)) {
    json_object_put(value);
    return usage(error, "%s: %s is said twice", p->command, shown);
  }
  json_object_object_add(p->out, name, value);
  return true;
}

static bool set_extra(Params *p, MalCtlExtra *extra, char *const *words, size_t *i, GError **error)
{
  const char *text = value_of(words, i, error);
  if (!text)
    return false;
  json_object *value = integer_value(text);
  bool good = value && json_object_get_int64(value) > 0;
  extra->value = good ? json_object_get_int64(value) : 0;
  extra->given = true;
  json_object_put(value);
  return good || usage(error, "%s: --%s: \"%.100s\" is not a number above 0", p->command,
                       extra->name, text);
}

static bool option(Params *p, char *const *words, size_t *i, GError **error)
{
  const char *word = words[*i], *equals = strchr(word, '=');
  g_autofree char *name = equals ? g_strndup(word + 2, (size_t)(equals - word - 2))
                                 : g_strdup(word + 2);
  g_autofree char *shown = g_strconcat("--", name, NULL);
  for (MalCtlExtra *e = p->extra; e && e->name; e++)
    if (strcmp(e->name, name) == 0)
      return set_extra(p, e, words, i, error);
  json_object *param = find(p, name);
  if (!param)
    return unknown_option(p, name, error);
  /* A flag's value may be left out. */
  if (!equals && g_strcmp0(mal_ctl_text(param, "type"), "boolean") == 0 &&
      (!words[*i + 1] || as_bool(words[*i + 1]) < 0))
    return set_value(p, param, shown, "yes", error);
  const char *text = value_of(words, i, error);
  return text && set_value(p, param, shown, text, error);
}

/* The parameter that the next bare word fills. */
static json_object *next_positional(Params *p)
{
  if (p->positional) {
    const char *name = p->positional[p->n_positional];
    return name ? p->n_positional++, find(p, name) : NULL;
  }
  for (; p->n_positional < mal_ctl_length(p->known); p->n_positional++) {
    json_object *o = json_object_array_get_idx(p->known, p->n_positional);
    const char *name = mal_ctl_text(o, "name");
    if (name && json_object_get_boolean(mal_ctl_member(o, "required")) &&
        !json_object_object_get_ex(p->out, name, NULL))
      return p->n_positional++, o;
  }
  return NULL;
}

static bool check_required(const Params *p, GError **error)
{
  for (size_t i = 0; i < mal_ctl_length(p->known); i++) {
    json_object *o = json_object_array_get_idx(p->known, i);
    const char *name = mal_ctl_text(o, "name"), *help = mal_ctl_text(o, "help");
    if (!name || !json_object_get_boolean(mal_ctl_member(o, "required")) ||
        json_object_object_get_ex(p->out, name, NULL))
      continue;
    g_autofree char *shown = g_strdelimit(g_strdup(name), "_", '-');
    for (size_t j = 0; p->positional && p->positional[j]; j++)
      if (strcmp(p->positional[j], name) == 0)
        return usage(error, "%s: %s is missing: %s", p->command, shown, help ? help : "");
    return usage(error, "%s: --%s is missing: %s", p->command, shown, help ? help : "");
  }
  return true;
}

json_object *mal_ctl_params(json_object *method, const char *const *positional, char *const *words,
                            MalCtlExtra *extra, MalTime now, GError **error)
{
  Params p = { .method = mal_ctl_text(method, "name"),
               .known = mal_ctl_member(method, "params"),
               .positional = positional,
               .extra = extra,
               .now = now,
               .out = json_object_new_object() };
  g_autofree char *command = g_strdelimit(g_strdup(p.method ? p.method : ""), ".", ' ');
  bool good = true, options = true;
  p.command = command;
  for (size_t i = 0; good && words[i]; i++) {
    json_object *param;
    if (options && strcmp(words[i], "--") == 0)
      options = false;
    else if (options && g_str_has_prefix(words[i], "--"))
      good = option(&p, words, &i, error);
    else if ((param = next_positional(&p)))
      good = set_value(&p, param, mal_ctl_text(param, "name"), words[i], error);
    else
      good = usage(error, "%s: \"%.100s\" is one word too many (mallocctl help %s)", command,
                   words[i], command);
  }
  if (good && check_required(&p, error))
    return p.out;
  json_object_put(p.out);
  return NULL;
}
