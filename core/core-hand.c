/* Ranges and reserves made by hand through the control socket. They live in the store, not in the
   configuration, as records of owner "core": the key is the name, the value JSON text that a person
   can read. */
#include "core-internal.h"

#include <string.h>

/* ---- waiting for the disk -------------------------------------------------------------------- */

typedef struct {
  MalCore *core;
  MalTicket ticket;
  unsigned listener;
  char *kind, *name;
  json_object *value;           /* what was added, or removed */
  bool added;
  MalCoreDone done;
  void *data;
} Wait;

static void wait_free(Wait *w)
{
  json_object_put(w->value);
  g_free(w->kind);
  g_free(w->name);
  g_free(w);
}

static void undo(const Wait *w);

static void on_settled(MalTicket through, const GError *error, void *data)
{
  Wait *w = data;
  if (through < w->ticket)
    return;
  mal_store_unlisten(w->core->store, w->listener);
  g_ptr_array_remove_fast(w->core->hand, w);
  if (error)
    undo(w);
  if (w->done)
    w->done(error, w->data);
  wait_free(w);
}

/* Takes over VALUE. */
static void change(MalCore *core, const char *kind, const char *name, json_object *value,
                   bool added, MalCoreDone done, void *data)
{
  const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
  MalRecord r = { "core",      kind, (const uint8_t *)name, strlen(name), (const uint8_t *)text,
                  strlen(text) };
  Wait *w = g_new0(Wait, 1);
  *w = (Wait){ .core = core,
               .kind = g_strdup(kind),
               .name = g_strdup(name),
               .value = value,
               .added = added,
               .done = done,
               .data = data };
  w->ticket = added ? mal_store_put_record(core->store, &r)
                    : mal_store_drop_record(core->store, r.owner, r.kind, r.key, r.key_length);
  w->listener = mal_store_listen(core->store, on_settled, w);
  g_ptr_array_add(core->hand, w);
}

/* One change of a name at a time, so that each can be undone where the disk refuses it. */
static bool may_change(MalCore *core, const char *kind, const char *name, GError **error)
{
  const GError *failing = NULL;
  if (mal_store_state(core->store, &failing) != MAL_STORE_OK) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "the store can't be written: %s",
                failing ? failing->message : "unknown cause");
    return false;
  }
  for (unsigned i = 0; i < core->hand->len; i++) {
    const Wait *w = g_ptr_array_index(core->hand, i);
    if (strcmp(w->kind, kind) == 0 && strcmp(w->name, name) == 0) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS, "%s %s is being changed right now: try again",
                  kind, name);
      return false;
    }
  }
  return true;
}

static bool is_name(const char *name)
{
  bool good = *name && strlen(name) <= 64;
  for (const char *c = name; good && *c; c++)
    good = g_ascii_isalnum(*c) || strchr("-_.", *c);
  return good;
}

static bool check_name(const char *what, const char *name, GError **error)
{
  bool good = is_name(name);
  if (!good)
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                "\"%s\" can't be the name of a %s: use letters, digits, '-', '_', '.', at most 64",
                name, what);
  return good;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static json_object *range_value(const char *scope, MalSpan span, MalTime until)
{
  char text[MAL_SPAN_STRLEN];
  json_object *value = json_object_new_object();
  json_object_object_add(value, "scope", json_object_new_string(scope));
  json_object_object_add(value, "span", json_object_new_string(mal_span_format(span, text)));
  json_object_object_add(value, "until", json_object_new_int64(until));
  return value;
}

static const MalRange *range_named(MalCore *core, const char *name)
{
  g_autoptr(GPtrArray) ranges = mal_space_ranges(core->space, MAL_LEVEL_AVAILABLE);
  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *r = g_ptr_array_index(ranges, i);
    if (strcmp(r->name, name) == 0)
      return r;
  }
  return NULL;
}

bool mal_core_range_add(MalCore *core, const char *scope, const char *name, MalSpan span,
                        MalTime until, MalCoreDone done, void *data, GError **error)
{
  if (!check_name("range", name, error) || !may_change(core, "range", name, error))
    return false;
  if (range_named(core, name)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS, "a range is already called %s", name);
    return false;
  }
  if (until <= mal_runtime_now(core->rt)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "range %s would have ended already", name);
    return false;
  }
  if (!mal_space_add(core->space, MAL_LEVEL_AVAILABLE, scope, span, until, name, "control", error))
    return false;
  change(core, "range", name, range_value(scope, span, until), true, done, data);
  return true;
}

bool mal_core_range_remove(MalCore *core, const char *name, bool force, MalCoreDone done,
                           void *data, GError **error)
{
  const MalRange *range = range_named(core, name);
  if (!may_change(core, "range", name, error))
    return false;
  if (!range) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no range is called %s", name);
    return false;
  }
  if (strcmp(range->source, "control") != 0) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "range %s comes from %s: %s", name,
                range->source,
                strcmp(range->source, "config") == 0 ? "take it out of the configuration and reload"
                                                     : "only that plugin can withdraw it");
    return false;
  }
  size_t leases = mal_leases_touching(core->leases, range->span, NULL);
  if (leases > 0 && !force) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS,
                "range %s has %zu live lease%s: release them, wait for their end, or force (which "
                "revokes them)",
                name, leases, leases == 1 ? "" : "s");
    return false;
  }
  MalAddress first = range->span.first;
  change(core, "range", name, range_value(range->scope->id, range->span, range->until), false, done,
         data);
  mal_space_remove(core->space, MAL_LEVEL_AVAILABLE, first, NULL);
  return true;
}

void core_hand_range_gone(MalCore *core, const MalRange *range)
{
  if (range->level == MAL_LEVEL_AVAILABLE && strcmp(range->source, "control") == 0 &&
      range->until <= mal_runtime_now(core->rt))
    mal_store_drop_record(core->store, "core", "range", (const uint8_t *)range->name,
                          strlen(range->name));
}

/* ---- reserves -------------------------------------------------------------------------------- */

static bool add_reserve(MalCore *core, const char *scope_id, const char *name, GArray *spans,
                        const char *comment, GError **error)
{
  const MalScope *scope = mal_scope_set_find(mal_leases_scopes(core->leases), scope_id);
  if (!scope) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no scope is called %s", scope_id);
    return false;
  }
  MalReserve reserve = { (char *)(uintptr_t)name, scope->index, spans, (char *)(uintptr_t)comment };
  return mal_leases_reserve_add(core->leases, &reserve, mal_runtime_now(core->rt), error);
}

static json_object *reserve_value(const char *scope, const GArray *spans, const char *comment)
{
  char text[MAL_SPAN_STRLEN];
  json_object *value = json_object_new_object(), *list = json_object_new_array();
  for (unsigned i = 0; i < spans->len; i++)
    json_object_array_add(
        list, json_object_new_string(mal_span_format(g_array_index(spans, MalSpan, i), text)));
  json_object_object_add(value, "scope", json_object_new_string(scope));
  json_object_object_add(value, "addresses", list);
  json_object_object_add(value, "comment", comment ? json_object_new_string(comment) : NULL);
  return value;
}

bool mal_core_reserve_add(MalCore *core, const char *scope, const char *name, GArray *spans,
                          const char *comment, MalCoreDone done, void *data, GError **error)
{
  if (!check_name("reserve", name, error) || !may_change(core, "reserve", name, error) ||
      !add_reserve(core, scope, name, spans, comment, error))
    return false;
  change(core, "reserve", name, reserve_value(scope, spans, comment), true, done, data);
  return true;
}

static json_object *value_of_reserve(MalCore *core, const char *name)
{
  const GPtrArray *reserves = mal_leases_reserves(core->leases);
  for (unsigned i = 0; i < reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(reserves, i);
    if (strcmp(r->name, name) == 0)
      return reserve_value(mal_scope_set_at(mal_leases_scopes(core->leases), r->scope)->id,
                           r->spans, r->comment);
  }
  return NULL;
}

bool mal_core_reserve_remove(MalCore *core, const char *name, MalCoreDone done, void *data,
                             GError **error)
{
  json_object *value = value_of_reserve(core, name);
  if (!may_change(core, "reserve", name, error)
      || !mal_leases_reserve_remove(core->leases, name, error)) {
    json_object_put(value);
    return false;
  }
  change(core, "reserve", name, value, false, done, data);
  return true;
}

/* ---- reading them back ----------------------------------------------------------------------- */

static const char *text_of(json_object *value, const char *key)
{
  json_object *member;
  return json_object_object_get_ex(value, key, &member) ? json_object_get_string(member) : NULL;
}

static bool restore_range(MalCore *core, const char *name, json_object *value, GError **error)
{
  MalSpan span;
  const char *scope = text_of(value, "scope"), *text = text_of(value, "span");
  json_object *until;
  if (!scope || !text || !json_object_object_get_ex(value, "until", &until)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "its scope, span or until is missing");
    return false;
  }
  if (json_object_get_int64(until) <= mal_runtime_now(core->rt))
    return true;
  return mal_span_parse(text, &span, error)
         && mal_space_add(core->space, MAL_LEVEL_AVAILABLE, scope, span,
                          json_object_get_int64(until), name, "control", error);
}

static bool restore_reserve(MalCore *core, const char *name, json_object *value, GError **error)
{
  json_object *list;
  const char *scope = text_of(value, "scope");
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  if (!scope || !json_object_object_get_ex(value, "addresses", &list)
      || !json_object_is_type(list, json_type_array)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "its scope or its addresses are missing");
    return false;
  }
  for (size_t i = 0; i < json_object_array_length(list); i++) {
    MalSpan span;
    const char *text = json_object_get_string(json_object_array_get_idx(list, i));
    if (!mal_span_parse(text ? text : "", &span, error))
      return false;
    g_array_append_val(spans, span);
  }
  return add_reserve(core, scope, name, spans, text_of(value, "comment"), error);
}

/* The disk may hold what the control socket would never have let in. NULL with ERROR. */
static json_object *value_of(const MalRecord *record, GError **error)
{
  const char *octets = (const char *)record->value;
  g_autofree char *text = g_strndup(octets, record->value_length);
  bool is_text = g_utf8_validate(octets, (gssize)record->value_length, NULL);
  json_object *value = is_text ? json_tokener_parse(text) : NULL;
  if (value)
    return value;
  g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "its value is not JSON");
  return NULL;
}

static bool restore_named(MalCore *core, const MalRecord *record, const char *name, GError **error)
{
  if (strlen(name) != record->key_length || !is_name(name)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_STORE, "nothing can have such a name");
    return false;
  }
  json_object *value = value_of(record, error);
  bool ok = value
            && (strcmp(record->kind, "range") == 0 ? restore_range(core, name, value, error)
                                                   : restore_reserve(core, name, value, error));
  json_object_put(value);
  return ok;
}

bool core_hand_restore(MalCore *core, const MalRecord *record, GError **error)
{
  g_autofree char *name = g_strndup((const char *)record->key, record->key_length);
  if ((strcmp(record->kind, "range") != 0 && strcmp(record->kind, "reserve") != 0) ||
      restore_named(core, record, name, error))
    return true;
  g_autofree char *shown = g_strescape(name, NULL);
  g_prefix_error(error, "%s %s, which was made by hand and is kept in the store: ", record->kind,
                 shown);
  return false;
}

/* The disk refused: the model says again what the disk says. */
static void undo(const Wait *w)
{
  MalCore *core = w->core;
  bool range = strcmp(w->kind, "range") == 0;
  if (!w->added) {
    if (range)
      restore_range(core, w->name, w->value, NULL);
    else
      restore_reserve(core, w->name, w->value, NULL);
    return;
  }
  const MalRange *r = range ? range_named(core, w->name) : NULL;
  if (r && strcmp(r->source, "control") == 0)
    mal_space_remove(core->space, MAL_LEVEL_AVAILABLE, r->span.first, NULL);
  if (!range)
    mal_leases_reserve_remove(core->leases, w->name, NULL);
}
