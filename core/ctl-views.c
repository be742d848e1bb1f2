/* What people see of an answer. Lists are declared as columns; what has no view of its own, such as
   the answers of plugins, is walked: members as lines, lists of objects as tables. */
#include "ctl.h"

#include "events.h"

#include <string.h>

#define NARROW 120              /* columns: below this, tables say times briefly */

typedef enum {
  TEXT, NUMBER, YESNO, TIME, ADDRESSES, LIST, NAMES, SPAN, AHEAD, STATE, WORDS,
} Kind;

typedef struct {
  const char *key, *title;
  Kind kind;
  bool flexible;
} Column;

typedef struct {
  const char *method, *member;  /* the list in METHOD's answer */
  const char *none;             /* said of an empty one */
  const Column *columns;
  size_t n;
} List;

/* ---- values ---------------------------------------------------------------------------------- */

static char *plain(json_object *value)
{
  if (!value)
    return NULL;
  if (json_object_is_type(value, json_type_string))
    return g_strdup(json_object_get_string(value));
  if (json_object_is_type(value, json_type_boolean))
    return g_strdup(json_object_get_boolean(value) ? "yes" : "no");
  return g_strdup(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* What an object among others says in words: "en: Site local". */
static char *words_of(json_object *o)
{
  GString *out = g_string_new(NULL);
  json_object_object_foreach(o, key, value) {
    (void)key;
    if (json_object_is_type(value, json_type_string))
      g_string_append_printf(out, "%s%s", out->len ? ": " : "", json_object_get_string(value));
  }
  return g_string_free(out, FALSE);
}

static char *joined(json_object *list)
{
  GString *out = g_string_new(NULL);
  for (size_t i = 0; i < mal_ctl_length(list); i++) {
    json_object *o = json_object_array_get_idx(list, i);
    g_autofree char *item = json_object_is_type(o, json_type_object) ? words_of(o) : plain(o);
    g_string_append_printf(out, "%s%s", i > 0 ? ", " : "", item ? item : "");
  }
  return g_string_free(out, FALSE);
}

static char *names(json_object *o)
{
  GString *out = g_string_new(NULL);
  json_object_object_foreach(o, key, value) {
    g_autofree char *text = plain(value);
    g_string_append_printf(out, "%s%s (%s)", out->len ? ", " : "", text ? text : "", key);
  }
  return g_string_free(out, FALSE);
}

static char *span(json_object *o)
{
  const char *first = mal_ctl_text(o, "first"), *last = mal_ctl_text(o, "last");
  if (!first || !last || strcmp(first, last) == 0)
    return g_strdup(first);
  return g_strconcat(first, "-", last, NULL);
}

/* In a narrow terminal, how far away it is must do. */
static char *when(const MalCtlTerm *term, json_object *value, bool only_ahead, bool brief)
{
  MalTime t;
  const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                  : NULL;
  if (!text || !mal_time_parse(text, &t, NULL))
    return g_strdup(only_ahead ? NULL : text ? text : "never");
  if (only_ahead && t <= term->now)
    return NULL;
  g_autofree char *stamp = mal_ctl_time(t), *relative = mal_ctl_relative(t, term->now);
  if (t == MAL_FOREVER)
    return g_steal_pointer(&stamp);
  return brief ? g_steal_pointer(&relative) : g_strdup_printf("%s (%s)", stamp, relative);
}

static char *cell_text(const MalCtlTerm *term, json_object *row, const Column *c, bool brief)
{
  json_object *value = mal_ctl_member(row, c->key);
  switch (c->kind) {
  case SPAN:
    return span(row);
  case TIME:
    return when(term, value, false, brief);
  case AHEAD:
    return when(term, value, true, brief);
  case ADDRESSES:
  case LIST:
    return json_object_is_type(value, json_type_array) ? joined(value) : plain(value);
  case NAMES:
    return json_object_is_type(value, json_type_object) ? names(value) : NULL;
  case STATE:
    return g_strcmp0(json_object_get_string(value), "leased") == 0 ? NULL : plain(value);
  case YESNO:
    return json_object_get_boolean(value) ? g_strdup("yes") : NULL;
  case WORDS: {
    char *text = plain(value);
    return text ? g_strdelimit(text, ".", ' ') : NULL;
  }
  default:
    return plain(value);
  }
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const Column scope_columns[] = {
  { "scope", "SCOPE", TEXT, false },        { "first", "ADDRESSES", SPAN, false },
  { "ttl", "TTL", NUMBER, false },          { "divisible", "DIVISIBLE", YESNO, false },
  { "nests_inside", "INSIDE", LIST, true }, { "names", "NAMES", NAMES, true },
};
static const Column range_columns[] = {
  { "range", "RANGE", TEXT, true },       { "scope", "SCOPE", TEXT, false },
  { "level", "LEVEL", TEXT, false },      { "first", "ADDRESSES", SPAN, false },
  { "until", "UNTIL (UTC)", TIME, true }, { "source", "SOURCE", TEXT, true },
};
static const Column route_columns[] = {
  { "prefix", "PREFIX", TEXT, false },
  { "until", "UNTIL (UTC)", TIME, true },
  { "source", "SOURCE", TEXT, true },
};
static const Column lease_columns[] = {
  { "lease", "LEASE", TEXT, false },
  { "scope", "SCOPE", TEXT, false },
  { "addresses", "ADDRESSES", ADDRESSES, true },
  { "count", "COUNT", NUMBER, false },
  { "state", "STATE", STATE, false },
  { "start", "STARTS (UTC)", AHEAD, true },
  { "end", "ENDS (UTC)", TIME, true },
  { "client", "CLIENT", TEXT, true },
  { "origin", "FROM", TEXT, true },
  { "server", "SERVER", TEXT, true },
  { "via", "VIA", TEXT, false },
};
static const Column reserve_columns[] = {
  { "reserve", "RESERVE", TEXT, false },
  { "scope", "SCOPE", TEXT, false },
  { "addresses", "ADDRESSES", ADDRESSES, true },
  { "comment", "COMMENT", TEXT, true },
};
static const Column plugin_columns[] = {
  { "name", "PLUGIN", TEXT, false },     { "state", "STATE", TEXT, false },
  { "version", "VERSION", TEXT, false }, { "roles", "ROLES", LIST, true },
  { "summary", "SUMMARY", TEXT, true },  { "path", "PATH", TEXT, true },
};
static const Column usage_columns[] = {
  { "scope", "SCOPE", TEXT, false },
  { "available", "AVAILABLE", NUMBER, false },
  { "owned", "OWNED", NUMBER, false },
  { "leased", "LEASED", NUMBER, false },
  { "leases", "LEASES", NUMBER, false },
  { "held", "OFFERED", NUMBER, false },
  { "reserved", "RESERVED", NUMBER, false },
  { "free", "FREE", NUMBER, false },
  { "free_sharing_ethernet", "SHARING ETHERNET", NUMBER, false },
  { "longest_run", "LONGEST RUN", NUMBER, false },
};
static const Column method_columns[] = {
  { "name", "METHOD", WORDS, false },
  { "access", "ACCESS", TEXT, false },
  { "help", "WHAT IT DOES", TEXT, true },
};

#define LIST_OF(method, member, none, columns)                                                     \
  {                                                                                                \
    method, member, none, columns, G_N_ELEMENTS(columns)                                           \
  }
static const List lists[] = {
  LIST_OF("scope.list", "scopes", "no scopes are configured", scope_columns),
  LIST_OF("range.list", "ranges", "no ranges: nothing can be leased", range_columns),
  LIST_OF("route.list", "routes", "no routes: nothing is exported", route_columns),
  LIST_OF("lease.list", "leases", "no leases", lease_columns),
  LIST_OF("reserve.list", "reserves", "no reserves", reserve_columns),
  LIST_OF("plugin.list", "plugins", "no plugins are loaded", plugin_columns),
  LIST_OF("space.usage", "scopes", "no scopes are configured", usage_columns),
  LIST_OF("rpc.discover", "methods", "no methods", method_columns),
};

static void print_list(const MalCtlTerm *term, const List *l, json_object *list)
{
  bool narrow = term->width > 0 && term->width < NARROW;
  g_autofree MalCtlColumn *columns = g_new0(MalCtlColumn, l->n);
  for (size_t i = 0; i < l->n; i++)
    columns[i] = (MalCtlColumn){ l->columns[i].title, l->columns[i].kind == NUMBER,
                                 l->columns[i].flexible };
  g_autoptr(MalCtlTable) table = mal_ctl_table_new(columns, l->n);
  for (size_t r = 0; r < mal_ctl_length(list); r++)
    for (size_t c = 0; c < l->n; c++) {
      g_autofree char *text = cell_text(term, json_object_array_get_idx(list, r),
                                         &l->columns[c], narrow);
      mal_ctl_table_add(table, text);
    }
  mal_ctl_table_print(table, term);
}

/* ---- walking what is unknown ----------------------------------------------------------------- */

static void walk(const MalCtlTerm *term, json_object *value, unsigned depth);

static bool is_table(json_object *value)
{
  return json_object_is_type(value, json_type_array) && mal_ctl_length(value) > 0 &&
         json_object_is_type(json_object_array_get_idx(value, 0), json_type_object);
}

/* An object in a row's cell, most often counters by name: those that are 0 say nothing. */
static char *members(json_object *o)
{
  GString *out = g_string_new(NULL);
  json_object_object_foreach(o, key, value) {
    g_autofree char *text = plain(value);
    if (text && strcmp(text, "0") != 0)
      g_string_append_printf(out, "%s%s %s", out->len ? ", " : "", key, text);
  }
  return g_string_free(out, FALSE);
}

static char *any_text(const MalCtlTerm *term, json_object *value, bool brief)
{
  MalTime t;
  const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                  : NULL;
  if (json_object_is_type(value, json_type_array))
    return mal_ctl_length(value) > 0 ? joined(value) : g_strdup("none");
  if (text && strlen(text) == strlen("2030-01-31T18:00:00Z") && text[10] == 'T' &&
      mal_time_parse(text, &t, NULL))
    return when(term, value, false, brief);
  return plain(value);
}

/* What a member is called: "heard_s" is said in seconds. */
static char *title(const MalCtlTerm *term, const char *key)
{
  bool seconds = g_str_has_suffix(key, "_s");
  g_autofree char *name = g_strndup(key, strlen(key) - (seconds ? 2 : 0));
  g_autofree char *whole = g_strconcat(g_strdelimit(name, "_", ' '), seconds ? " (s)" : "", NULL);
  return mal_ctl_clean(term, whole);
}

static void walk_rows(const MalCtlTerm *term, json_object *list, unsigned depth)
{
  for (size_t r = 0; r < mal_ctl_length(list); r++) {
    if (r > 0)
      fputc('\n', term->out);
    walk(term, json_object_array_get_idx(list, r), depth);
  }
}

/* One below the other where lines would be too long. */
static void walk_table(const MalCtlTerm *term, json_object *list, unsigned depth)
{
  bool narrow = term->width > 0 && term->width < NARROW;
  g_autoptr(GPtrArray) keys = g_ptr_array_new();
  for (size_t r = 0; r < mal_ctl_length(list); r++) {
    json_object *row = json_object_array_get_idx(list, r);
    if (!json_object_is_type(row, json_type_object))
      continue;
    json_object_object_foreach(row, key, value) {
      (void)value;
      if (!g_ptr_array_find_with_equal_func(keys, key, g_str_equal, NULL))
        g_ptr_array_add(keys, key);
    }
  }
  g_autoptr(GPtrArray) titles = g_ptr_array_new_with_free_func(g_free);
  g_autofree MalCtlColumn *columns = g_new0(MalCtlColumn, keys->len + 1);
  for (unsigned c = 0; c < keys->len; c++) {
    json_object *first = mal_ctl_member(json_object_array_get_idx(list, 0), keys->pdata[c]);
    g_autofree char *name = title(term, keys->pdata[c]);
    g_ptr_array_add(titles, g_ascii_strup(name, -1));
    columns[c] = (MalCtlColumn){ titles->pdata[c], json_object_is_type(first, json_type_int),
                                 c > 0 };
  }
  if (keys->len == 0)
    return;
  g_autoptr(MalCtlTable) table = mal_ctl_table_new(columns, keys->len);
  for (size_t r = 0; r < mal_ctl_length(list); r++)
    for (unsigned c = 0; c < keys->len; c++) {
      json_object *value =
          mal_ctl_member(json_object_array_get_idx(list, r), keys->pdata[c]);
      g_autofree char *text = json_object_is_type(value, json_type_object)
                                  ? members(value)
                                  : any_text(term, value, narrow);
      mal_ctl_table_add(table, text);
    }
  if (mal_ctl_table_fits(table, term))
    mal_ctl_table_print(table, term);
  else
    walk_rows(term, list, depth);
}

static unsigned longest_name(const MalCtlTerm *term, json_object *o)
{
  unsigned longest = 0;
  json_object_object_foreach(o, key, value) {
    g_autofree char *safe = title(term, key);
    if (value && !json_object_is_type(value, json_type_object) && !is_table(value))
      longest = MAX(longest, mal_ctl_width(safe));
  }
  return MIN(longest, 32);
}

static void print_line(const MalCtlTerm *term, unsigned indent, unsigned width, const char *name,
                       const char *text)
{
  g_autofree char *safe_name = mal_ctl_clean(term, name), *safe = mal_ctl_clean(term, text);
  g_strdelimit(safe_name, "_", ' ');
  unsigned used = mal_ctl_width(safe_name);
  fprintf(term->out, "%*s%s%*s  %s\n", (int)indent, "", safe_name,
          width > used ? (int)(width - used) : 0, "", safe);
}

static void walk_object(const MalCtlTerm *term, json_object *o, unsigned depth)
{
  unsigned width = longest_name(term, o);
  json_object_object_foreach(o, key, value) {
    if (!value)
      continue;
    bool nested = json_object_is_type(value, json_type_object) || is_table(value);
    if (nested && depth < 4) {
      g_autofree char *name = title(term, key);
      fprintf(term->out, "%*s%s:\n", (int)depth * 2, "", name);
      walk(term, value, depth + 1);
    } else {
      g_autofree char *text = any_text(term, value, false);
      g_autofree char *name = title(term, key);
      print_line(term, depth * 2, width, name, text);
    }
  }
}

static void walk(const MalCtlTerm *term, json_object *value, unsigned depth)
{
  g_autofree char *text = NULL, *safe = NULL;
  if (json_object_is_type(value, json_type_object)) {
    walk_object(term, value, depth);
  } else if (is_table(value)) {
    walk_table(term, value, depth);
  } else if ((text = any_text(term, value, false))) {
    safe = mal_ctl_clean(term, text);
    fprintf(term->out, "%s\n", safe);
  }
}

/* ---- single answers -------------------------------------------------------------------------- */

static void view_lease(const MalCtlTerm *term, json_object *o)
{
  static const Column lines[] = {
    { "lease", "lease", TEXT, false },
    { "scope", "scope", TEXT, false },
    { "addresses", "addresses", ADDRESSES, false },
    { "count", "count", NUMBER, false },
    { "start", "starts", AHEAD, false },
    { "end", "ends", TIME, false },
    { "client", "client", TEXT, false },
    { "server", "server", TEXT, false },
    { "origin", "from", TEXT, false },
    { "via", "via", TEXT, false },
    { "state", "state", TEXT, false },
    { "shared", "shared", YESNO, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
    g_autofree char *text = json_object_object_get_ex(o, lines[i].key, NULL)
                              ? cell_text(term, o, &lines[i], false)
                              : NULL;
    if (text && *text)
      print_line(term, 0, 9, lines[i].title, text);
  }
}

static char *bytes_text(int64_t n)
{
  return g_format_size_full((guint64)MAX(n, 0), G_FORMAT_SIZE_IEC_UNITS);
}

static void view_status(const MalCtlTerm *term, json_object *o)
{
  json_object *leases = mal_ctl_member(o, "leases"), *store = mal_ctl_member(o, "store");
  json_object *plugins = mal_ctl_member(o, "plugins"), *roles = mal_ctl_member(o, "roles");
  g_autofree char *uptime = mal_duration_format(mal_ctl_number(o, "uptime"));
  g_autofree char *role_text = json_object_is_type(roles, json_type_array) ? joined(roles)
                                                                           : g_strdup("");
  g_autofree char *size = bytes_text(mal_ctl_number(store, "bytes"));
  const char *state = mal_ctl_text(o, "state"), *version = mal_ctl_text(o, "version");
  const char *store_state = mal_ctl_text(store, "state"), *why = mal_ctl_text(store, "error");
  g_autofree char *head = g_strdup_printf("%s, version %s, up %s", state ? state : "?",
                                          version ? version : "?", uptime);
  g_autofree char *lease_text = g_strdup_printf(
      "%" G_GINT64_FORMAT " with %" G_GINT64_FORMAT " addresses; %" G_GINT64_FORMAT
      " offered, %" G_GINT64_FORMAT " waiting",
      mal_ctl_number(leases, "live"), mal_ctl_number(leases, "addresses"),
      mal_ctl_number(leases, "held"), mal_ctl_number(leases, "waiting"));
  g_autofree char *store_text = g_strdup_printf(
      "%s%s%s, %" G_GINT64_FORMAT " rows, %s", store_state ? store_state : "?", why ? ": " : "",
      why ? why : "", mal_ctl_number(store, "rows"), size);
  print_line(term, 0, 9, "mallocd", head);
  print_line(term, 0, 9, "roles", role_text);
  for (const char *const *key = (const char *const[]){ "config", "state_dir", NULL }; *key; key++)
    if (mal_ctl_text(o, *key))
      print_line(term, 0, 9, *key, mal_ctl_text(o, *key));
  g_autofree char *scopes = g_strdup_printf("%" G_GINT64_FORMAT, mal_ctl_number(o, "scopes"));
  print_line(term, 0, 9, "scopes", scopes);
  print_line(term, 0, 9, "leases", lease_text);
  print_line(term, 0, 9, "store", store_text);
  for (size_t i = 0; i < mal_ctl_length(plugins); i++) {
    json_object *p = json_object_array_get_idx(plugins, i);
    g_autofree char *text = g_strdup_printf("%s, %s", mal_ctl_text(p, "name"),
                                            mal_ctl_text(p, "state"));
    print_line(term, 0, 9, "plugin", text);
  }
}

static void view_stats(const MalCtlTerm *term, json_object *o)
{
  static const MalCtlColumn columns[] = { { "COUNTER", false, false }, { "VALUE", true, false } };
  g_autoptr(MalCtlTable) table = mal_ctl_table_new(columns, G_N_ELEMENTS(columns));
  if (!json_object_is_type(o, json_type_object))
    return;
  json_object_object_foreach(o, owner, values) {
    if (!json_object_is_type(values, json_type_object))
      continue;
    json_object_object_foreach(values, name, value) {
      g_autofree char *label = g_strconcat(owner, ".", name, NULL), *text = plain(value);
      mal_ctl_table_add(table, label);
      mal_ctl_table_add(table, text);
    }
  }
  mal_ctl_table_print(table, term);
}

static void view_ok(const MalCtlTerm *term, json_object *o)
{
  const char *detail = mal_ctl_text(o, "detail"), *note = mal_ctl_text(o, "note");
  g_autofree char *safe = mal_ctl_clean(term, detail ? detail : note ? note : "ok");
  fprintf(term->out, "%s%s\n", note && !detail ? "ok; " : "", safe);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static void view_list(const MalCtlTerm *term, const List *l, json_object *result)
{
  json_object *list = mal_ctl_member(result, l->member),
              *own = mal_ctl_member(result, "client_leases");
  if (json_object_is_type(list, json_type_array) && mal_ctl_length(list) > 0)
    print_list(term, l, list);
  else if (!own)
    fprintf(term->out, "%s\n", l->none);
  if (!json_object_is_type(own, json_type_array))
    return;
  fputs("held as a client:\n", term->out);
  print_list(term, l, own);
}

void mal_ctl_view(const MalCtlTerm *term, const char *method, json_object *result)
{
  for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
    if (strcmp(lists[i].method, method) == 0) {
      view_list(term, &lists[i], result);
      return;
    }
  if (strcmp(method, "status") == 0)
    view_status(term, result);
  else if (strcmp(method, "stats.get") == 0)
    view_stats(term, result);
  else if (strcmp(method, "space.map") == 0)
    mal_ctl_map_draw(term, result);
  else if (json_object_is_type(mal_ctl_member(result, "tree"), json_type_array))
    mal_ctl_tree_draw(term, result);
  else if (mal_ctl_text(result, "lease") && g_str_has_prefix(method, "lease."))
    view_lease(term, result);
  else if (mal_ctl_member(result, "ok") || mal_ctl_member(result, "reloaded"))
    view_ok(term, result);
  else
    walk(term, result, 0);
}

void mal_ctl_view_event(const MalCtlTerm *term, json_object *event)
{
  MalTime t;
  const char *at = mal_ctl_text(event, "time"), *level = mal_ctl_text(event, "level");
  const char *name = mal_ctl_text(event, "event"), *message = mal_ctl_text(event, "message");
  if (!message) {
    walk(term, event, 0);
    return;
  }
  g_autofree char *safe = mal_ctl_clean(term, message),
                  *safe_name = mal_ctl_clean(term, name ? name : "");
  char stamp[MAL_TIME_STRLEN] = "";
  if (at && mal_time_parse(at, &t, NULL))
    mal_time_format(t, stamp);
  bool loud = g_strcmp0(level, "error") == 0 || g_strcmp0(level, "warning") == 0;
  fprintf(term->out, "%s  %s%s%s  %s\n", stamp, term->colours && loud ? "\033[33m" : "", safe_name,
          term->colours && loud ? "\033[0m" : "", safe);
}

void mal_ctl_view_method(const MalCtlTerm *term, json_object *method)
{
  static const MalCtlColumn columns[] = { { "OPTION", false, false }, { "TYPE", false, false },
                                          { "NEEDED", false, false }, { "MEANING", false, false } };
  json_object *params = mal_ctl_member(method, "params");
  const char *help = mal_ctl_text(method, "help"), *name = mal_ctl_text(method, "name");
  g_autofree char *safe = mal_ctl_clean(term, help ? help : ""),
                  *words = g_strdelimit(g_strdup(name ? name : ""), ".", ' ');
  g_autofree char *safe_words = mal_ctl_clean(term, words);
  fprintf(term->out, "%s\n%s\n", safe_words, safe);
  if (mal_ctl_length(params) == 0)
    return;
  fputc('\n', term->out);
  g_autoptr(MalCtlTable) table = mal_ctl_table_new(columns, G_N_ELEMENTS(columns));
  for (size_t i = 0; i < mal_ctl_length(params); i++) {
    json_object *p = json_object_array_get_idx(params, i);
    const char *param = mal_ctl_text(p, "name");
    g_autofree char *option = g_strdelimit(g_strdup(param ? param : ""), "_", '-');
    g_autofree char *shown = g_strconcat("--", option, NULL);
    mal_ctl_table_add(table, shown);
    mal_ctl_table_add(table, mal_ctl_text(p, "type"));
    mal_ctl_table_add(table, json_object_get_boolean(mal_ctl_member(p, "required")) ? "yes" : NULL);
    mal_ctl_table_add(table, mal_ctl_text(p, "help"));
  }
  mal_ctl_table_print(table, term);
}
