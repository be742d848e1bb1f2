#include "control-core.h"

#include "conf.h"
#include "events.h"
#include "model.h"

#include <string.h>

typedef struct {
  char *owner;
  const MalMethod *methods;
  size_t n;
  void *user;
} Group;

struct MalControl {
  GPtrArray *groups;
  MalNotify notify;
  void *notify_data;
};

struct MalCall {
  MalCaller caller;
  bool gone;
  bool *answered;             /* while the handler runs */
};

/* Not G_DEFINE_QUARK, which keeps a mutable static. */
GQuark mal_call_error_quark(void)
{
  return g_quark_from_static_string("mal-call-error-quark");
}

static void group_free(void *data)
{
  Group *g = data;
  g_free(g->owner);
  g_free(g);
}

MalControl *mal_control_new(void)
{
  MalControl *c = g_new0(MalControl, 1);
  c->groups = g_ptr_array_new_with_free_func(group_free);
  return c;
}

void mal_control_free(MalControl *c)
{
  if (!c)
    return;
  g_ptr_array_unref(c->groups);
  g_free(c);
}

void mal_control_add(MalControl *c, const char *owner, const MalMethod *methods, size_t n,
                     void *user)
{
  Group *g = g_new0(Group, 1);
  *g = (Group){ g_strdup(owner), methods, n, user };
  g_ptr_array_add(c->groups, g);
}

void mal_control_remove(MalControl *c, const char *owner)
{
  for (unsigned i = c->groups->len; i-- > 0;)
    if (strcmp(((Group *)g_ptr_array_index(c->groups, i))->owner, owner) == 0)
      g_ptr_array_remove_index(c->groups, i);
}

void mal_control_set_notify(MalControl *c, MalNotify func, void *data)
{
  c->notify = func;
  c->notify_data = data;
}

void mal_control_notify(MalControl *c, const char *topic, json_object *params)
{
  if (c->notify)
    c->notify(topic, params, c->notify_data);
}

static int by_name(const void *a, const void *b)
{
  return strcmp((*(const MalMethod *const *)a)->name, (*(const MalMethod *const *)b)->name);
}

GPtrArray *mal_control_methods(MalControl *c)
{
  GPtrArray *out = g_ptr_array_new();
  for (unsigned i = 0; i < c->groups->len; i++) {
    const Group *g = g_ptr_array_index(c->groups, i);
    for (size_t j = 0; j < g->n; j++)
      g_ptr_array_add(out, (void *)(uintptr_t)&g->methods[j]);
  }
  g_ptr_array_sort(out, by_name);
  return out;
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *mal_access_name(MalAccess access)
{
  return access == MAL_ACCESS_WRITE ? "write" : "read";
}

const char *mal_param_type_name(MalParamType type)
{
  static const char *const names[] = {
    [MAL_PARAM_STRING] = "string", [MAL_PARAM_INTEGER] = "integer",
    [MAL_PARAM_BOOL] = "boolean",  [MAL_PARAM_DURATION] = "duration",
    [MAL_PARAM_TIME] = "time",     [MAL_PARAM_ADDRESS] = "address",
    [MAL_PARAM_SPAN] = "span",     [MAL_PARAM_LEASE_ID] = "lease-id",
    [MAL_PARAM_SPANS] = "spans",   [MAL_PARAM_ARRAY] = "array",
    [MAL_PARAM_OBJECT] = "object",
  };
  return names[type];
}

static const char *const kinds[] = {
  [MAL_ERROR_INVALID] = "invalid",   [MAL_ERROR_NOT_FOUND] = "not-found",
  [MAL_ERROR_EXISTS] = "exists",     [MAL_ERROR_DENIED] = "denied",
  [MAL_ERROR_NO_SPACE] = "no-space", [MAL_ERROR_LIMIT] = "limit",
  [MAL_ERROR_STORE] = "store",       [MAL_ERROR_CONFIG] = "config",
  [MAL_ERROR_PLUGIN] = "plugin",     [MAL_ERROR_NETWORK] = "network",
  [MAL_ERROR_TIMEOUT] = "timeout",   [MAL_ERROR_INTERNAL] = "internal",
};

const char *mal_error_kind(int code)
{
  return code >= 0 && (size_t)code < G_N_ELEMENTS(kinds) ? kinds[code] : "internal";
}

int mal_json_rpc_code(const GError *error)
{
  if (error->domain == MAL_CALL_ERROR)
    return error->code == MAL_CALL_NO_METHOD ? -32601 : -32602;
  return -32000 - (error->domain == MAL_ERROR ? error->code : MAL_ERROR_INTERNAL);
}

/* ---- parameters ------------------------------------------------------------------------------ */

static const char *check_text(MalParamType type, const char *text)
{
  MalAddress address;
  MalSpan span;
  MalTime time;
  int64_t seconds;
  uint8_t id[MAL_LEASE_ID_MAX];
  switch (type) {
  case MAL_PARAM_TIME:
    return mal_time_parse(text, &time, NULL) ? NULL
                                             : "an RFC 3339 time such as 2030-01-01T00:00:00Z";
  case MAL_PARAM_ADDRESS:
    return mal_address_parse(text, &address, NULL) ? NULL : "an IPv4 or IPv6 address";
  case MAL_PARAM_SPAN:
    return mal_span_parse(text, &span, NULL) ? NULL : "an address, a range A-B, or a prefix A/n";
  case MAL_PARAM_DURATION:
    return mal_duration_parse(text, &seconds, NULL) ? NULL : "a duration such as 90, 15m, 2h or 1d";
  case MAL_PARAM_LEASE_ID:
    return mal_lease_id_from_hex(text, id, NULL) ? NULL : "a lease identifier in hexadecimal";
  default:
    return NULL;
  }
}

static const char *check_spans(json_object *list)
{
  for (size_t i = 0; i < json_object_array_length(list); i++) {
    json_object *item = json_object_array_get_idx(list, i);
    if (!json_object_is_type(item, json_type_string)
        || check_text(MAL_PARAM_SPAN, json_object_get_string(item)))
      return "an array of addresses, ranges A-B and prefixes A/n";
  }
  return NULL;
}

/* What was expected instead, or NULL where VALUE is good. */
static const char *check_value(MalParamType type, json_object *value)
{
  json_type is = json_object_get_type(value);
  switch (type) {
  case MAL_PARAM_INTEGER:
    return is == json_type_int ? NULL : "an integer";
  case MAL_PARAM_BOOL:
    return is == json_type_boolean ? NULL : "true or false";
  case MAL_PARAM_SPANS:
    if (is == json_type_array)
      return check_spans(value);
    break;
  case MAL_PARAM_ARRAY:
    return is == json_type_array ? NULL : "an array";
  case MAL_PARAM_OBJECT:
    return is == json_type_object ? NULL : "an object";
  case MAL_PARAM_DURATION:
    if (is == json_type_int)
      return json_object_get_int64(value) >= 0 ? NULL : "a duration that is not negative";
    if (is != json_type_string)
      return "whole seconds, or a duration such as \"2h\"";
    break;
  default:
    break;
  }
  if (is != json_type_string)
    return "a string";
  if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
    return "a string without NUL";
  return check_text(type, json_object_get_string(value));
}

static const MalParam *find_param(const MalMethod *m, const char *name)
{
  for (size_t i = 0; i < m->n_params; i++)
    if (strcmp(m->params[i].name, name) == 0)
      return &m->params[i];
  return NULL;
}

static void set_unknown_param(const MalMethod *m, const char *name, GError **error)
{
  g_autofree const char **names = g_new0(const char *, m->n_params + 1);
  for (size_t i = 0; i < m->n_params; i++)
    names[i] = m->params[i].name;
  const char *near = mal_nearest(name, names);
  g_set_error(error, MAL_CALL_ERROR, MAL_CALL_BAD_PARAMS, "%s has no parameter \"%s\"%s%s%s",
              m->name, name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static bool check_params(const MalMethod *m, json_object *params, GError **error)
{
  json_object_object_foreach(params, name, value) {
    const MalParam *p = find_param(m, name);
    if (!p) {
      set_unknown_param(m, name, error);
      return false;
    }
    const char *expected = value ? check_value(p->type, value) : NULL;
    if (expected) {
      g_set_error(error, MAL_CALL_ERROR, MAL_CALL_BAD_PARAMS,
                  "%s: parameter \"%s\": %.100s: expected %s", m->name, name,
                  json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE), expected);
      return false;
    }
  }
  for (size_t i = 0; i < m->n_params; i++)
    if (m->params[i].required && !mal_param_given(params, m->params[i].name)) {
      g_set_error(error, MAL_CALL_ERROR, MAL_CALL_BAD_PARAMS,
                  "%s: parameter \"%s\" is missing (%s)", m->name, m->params[i].name,
                  m->params[i].help);
      return false;
    }
  return true;
}

bool mal_param_given(json_object *params, const char *name)
{
  json_object *value;
  return json_object_object_get_ex(params, name, &value) && value;
}

const char *mal_param_string(json_object *params, const char *name, const char *fallback)
{
  json_object *value;
  return json_object_object_get_ex(params, name, &value) && value ? json_object_get_string(value)
                                                                  : fallback;
}

/* A duration or a time may stand as text: the check let through only what parses. */
int64_t mal_param_integer(json_object *params, const char *name, int64_t fallback)
{
  json_object *value;
  int64_t n;
  if (!json_object_object_get_ex(params, name, &value) || !value)
    return fallback;
  if (json_object_get_type(value) != json_type_string)
    return json_object_get_int64(value);
  const char *text = json_object_get_string(value);
  if (mal_duration_parse(text, &n, NULL) || mal_time_parse(text, &n, NULL))
    return n;
  return fallback;
}

bool mal_param_bool(json_object *params, const char *name, bool fallback)
{
  json_object *value;
  return json_object_object_get_ex(params, name, &value) && value ? json_object_get_boolean(value)
                                                                  : fallback;
}

json_object *mal_json_time(int64_t t)
{
  char text[MAL_TIME_STRLEN];
  return t == MAL_FOREVER ? NULL : json_object_new_string(mal_time_format(t, text));
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void finish(MalCall *call, json_object *result, const GError *error)
{
  if (call->answered)
    *call->answered = true;
  if (!call->gone && call->caller.done)
    call->caller.done(result, error, call->caller.data);
  g_free(call);
}

void mal_call_reply(MalCall *call, json_object *result)
{
  finish(call, result, NULL);
  json_object_put(result);
}

void mal_call_fail(MalCall *call, const GError *error)
{
  finish(call, NULL, error);
}

void mal_call_fail_literal(MalCall *call, MalErrorCode code, const char *message)
{
  g_autoptr(GError) error = g_error_new_literal(MAL_ERROR, (gint)code, message);
  finish(call, NULL, error);
}

void mal_call_fail_params(MalCall *call, const char *message)
{
  g_autoptr(GError) error = g_error_new_literal(MAL_CALL_ERROR, MAL_CALL_BAD_PARAMS, message);
  finish(call, NULL, error);
}

void mal_call_progress(MalCall *call, const char *format, ...)
{
  va_list args;
  if (call->gone || !call->caller.progress)
    return;
  va_start(args, format);
  g_autofree char *message = g_strdup_vprintf(format, args);
  va_end(args);
  call->caller.progress(message, call->caller.data);
}

bool mal_call_is_gone(const MalCall *call)
{
  return call->gone;
}

void mal_call_abandon(MalCall *call)
{
  call->gone = true;
}

bool mal_call_subscribe(MalCall *call, const char *prefix)
{
  if (call->gone || !call->caller.subscribe)
    return false;
  call->caller.subscribe(call->caller.data, prefix);
  return true;
}

static const MalMethod *find_method(MalControl *c, const char *name, void **user)
{
  for (unsigned i = 0; i < c->groups->len; i++) {
    const Group *g = g_ptr_array_index(c->groups, i);
    for (size_t j = 0; j < g->n; j++)
      if (strcmp(g->methods[j].name, name) == 0) {
        *user = g->user;
        return &g->methods[j];
      }
  }
  return NULL;
}

static GError *unknown_method(MalControl *c, const char *name)
{
  g_autoptr(GPtrArray) methods = mal_control_methods(c);
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (unsigned i = 0; i < methods->len; i++)
    g_ptr_array_add(names,
                    (void *)(uintptr_t)((const MalMethod *)g_ptr_array_index(methods, i))->name);
  g_ptr_array_add(names, NULL);
  const char *near = mal_nearest(name, (const char *const *)(void *)names->pdata);
  return g_error_new(MAL_CALL_ERROR, MAL_CALL_NO_METHOD, "there is no method \"%.64s\"%s%s%s", name,
                     near ? "; did you mean \"" : "", near ? near : "",
                     near ? "\"?" : " (rpc.discover lists them)");
}

MalCall *mal_control_begin(MalControl *c, const char *name, json_object *params, bool may_write,
                           const MalCaller *caller)
{
  void *user = NULL;
  g_autoptr(GError) error = NULL;
  const MalMethod *m = find_method(c, name, &user);
  json_object *given = params ? json_object_get(params) : json_object_new_object();
  if (!m)
    error = unknown_method(c, name);
  else if (m->access == MAL_ACCESS_WRITE && !may_write)
    error = g_error_new(
        MAL_ERROR, MAL_ERROR_DENIED,
        "%s changes things: only root, the daemon's own user and members of control-group may",
        name);
  else
    check_params(m, given, &error);
  if (error) {
    caller->done(NULL, error, caller->data);
    json_object_put(given);
    return NULL;
  }
  g_assert(m);
  MalCall *call = g_new0(MalCall, 1);
  bool answered = false;
  call->caller = *caller;
  call->answered = &answered;
  m->handle(call, given, user);
  json_object_put(given);
  if (answered)
    return NULL;
  call->answered = NULL;
  return call;
}

void mal_control_call(MalControl *c, const char *method, json_object *params, bool may_write,
                      MalCallDone done, MalCallProgress progress, void *data)
{
  MalCaller caller = { .done = done, .progress = progress, .data = data };
  mal_control_begin(c, method, params, may_write, &caller);
}
