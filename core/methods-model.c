/* Methods about scopes, ranges, reserves and the use of the space. */
#include "methods.h"

#include <string.h>

#define CELLS_MOST 4096

static void fail_unknown_scope(MalCore *core, MalCall *call, const char *id)
{
  const MalScopeSet *set = mal_leases_scopes(mal_core_leases(core));
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (size_t i = 0; i < mal_scope_set_size(set); i++)
    g_ptr_array_add(names, mal_scope_set_at(set, i)->id);
  g_ptr_array_add(names, NULL);
  const char *near = mal_nearest(id, (const char *const *)(void *)names->pdata);
  g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
  g_autoptr(GError) error = g_error_new(
      MAL_ERROR, MAL_ERROR_NOT_FOUND, "no scope is called %s%s%s%s (scopes: %s)", id,
      near ? "; did you mean " : "", near ? near : "", near ? "?" : "", *all ? all : "none");
  mal_call_fail(call, error);
}

const MalScope *method_scope(MalCore *core, MalCall *call, json_object *params, bool *failed)
{
  const char *id = mal_param_string(params, "scope", NULL);
  const MalScope *scope =
      id ? mal_scope_set_find(mal_leases_scopes(mal_core_leases(core)), id) : NULL;
  *failed = id && !scope;
  if (*failed)
    fail_unknown_scope(core, call, id);
  return scope;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

static json_object *names_json(const MalScope *scope)
{
  json_object *names = json_object_new_object();
  for (size_t i = 0; i < scope->n_names; i++)
    json_add_string(names, scope->names[i].language, scope->names[i].name);
  return names;
}

static json_object *scope_json(MalCore *core, const MalScope *scope)
{
  const MalScopeSet *set = mal_leases_scopes(mal_core_leases(core));
  json_object *o = json_object_new_object(), *nests = json_object_new_array();
  json_add_string(o, "scope", scope->id);
  json_add_string(o, "name", scope->id);
  json_add_string(o, "family", mal_family_name(scope->span.first.family));
  json_add_span(o, scope->span);
  json_add_int(o, "ttl", scope->ttl);
  json_add_bool(o, "divisible", scope->divisible);
  json_object_object_add(o, "names", names_json(scope));
  json_add_string(o, "default_language", scope->default_language);
  for (size_t i = 0; i < mal_scope_set_size(set); i++) {
    const MalScope *other = mal_scope_set_at(set, i);
    if (other != scope && mal_scope_nests(set, scope, other))
      json_object_array_add(nests, json_object_new_string(other->id));
  }
  json_object_object_add(o, "nests_inside", nests);
  return o;
}

static void scope_list(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  g_autoptr(GPtrArray) scopes =
      mal_scope_set_ordered(mal_leases_scopes(mal_core_leases(core)), MAL_FAMILY_NONE);
  (void)params;
  for (unsigned i = 0; i < scopes->len; i++)
    json_object_array_add(list, scope_json(core, g_ptr_array_index(scopes, i)));
  json_object_object_add(o, "scopes", list);
  mal_call_reply(call, o);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static void add_ranges(MalCore *core, json_object *list, MalLevel level, const MalScope *scope)
{
  g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(core), level);
  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *r = g_ptr_array_index(ranges, i);
    if (scope && r->scope != scope)
      continue;
    json_object *o = json_object_new_object();
    json_add_string(o, "range", r->name);
    json_add_string(o, "name", r->name);
    json_add_string(o, "scope", r->scope->id);
    json_add_string(o, "level", level == MAL_LEVEL_OWNED ? "owned" : "available");
    json_add_span(o, r->span);
    json_add_time(o, "until", r->until);
    json_add_string(o, "source", r->source);
    if (r->derived_from)
      json_add_string(o, "derived_from", r->derived_from);
    json_object_array_add(list, o);
  }
}

static void range_list(MalCall *call, json_object *params, void *user)
{
  bool failed;
  const MalScope *scope = method_scope(user, call, params, &failed);
  if (failed)
    return;
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  add_ranges(user, list, MAL_LEVEL_AVAILABLE, scope);
  add_ranges(user, list, MAL_LEVEL_OWNED, scope);
  json_object_object_add(o, "ranges", list);
  mal_call_reply(call, o);
}

static void add_route(const MalRoute *route, void *data)
{
  json_object *o = json_object_new_object(), *list = data;
  char address[MAL_ADDRESS_STRLEN];
  g_autofree char *prefix = g_strdup_printf(
      "%s/%u", mal_address_format(route->prefix.address, address), route->prefix.length);
  json_add_string(o, "prefix", prefix);
  json_add_time(o, "until", route->until);
  json_add_string(o, "source", route->source);
  json_object_array_add(list, o);
}

static void route_list(MalCall *call, json_object *params, void *user)
{
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  (void)params;
  mal_routes_each(mal_core_routes(user), add_route, list);
  json_object_object_add(o, "routes", list);
  mal_call_reply(call, o);
}

/* The answer to what only had to become durable. */
static void durable(const GError *error, void *data)
{
  MalCall *call = data;
  if (error) {
    mal_call_fail(call, error);
    return;
  }
  json_object *o = json_object_new_object();
  json_add_bool(o, "ok", true);
  mal_call_reply(call, o);
}

/* "span", or "first" with "last" (or first alone). */
static bool span_of(json_object *params, MalSpan *span, GError **error)
{
  const char *text = mal_param_string(params, "span", NULL);
  const char *first = mal_param_string(params, "first", NULL),
             *last = mal_param_string(params, "last", first);
  if (text)
    return mal_span_parse(text, span, error);
  if (!first) {
    g_set_error_literal(error, MAL_CALL_ERROR, MAL_CALL_BAD_PARAMS,
                        "range.add: say which addresses: \"span\", or \"first\" and \"last\"");
    return false;
  }
  g_autofree char *joined = g_strdup_printf("%s-%s", first, last);
  return mal_span_parse(joined, span, error);
}

static void range_add(MalCall *call, json_object *params, void *user)
{
  g_autoptr(GError) error = NULL;
  MalSpan span;
  bool failed;
  method_scope(user, call, params, &failed);
  if (failed)
    return;
  if (!span_of(params, &span, &error)
      || !mal_core_range_add(
          user, mal_param_string(params, "scope", NULL), mal_param_string(params, "name", NULL),
          span, mal_param_integer(params, "until", MAL_FOREVER), durable, call, &error))
    mal_call_fail(call, error);
}

static void range_remove(MalCall *call, json_object *params, void *user)
{
  g_autoptr(GError) error = NULL;
  if (!mal_core_range_remove(user, mal_param_string(params, "name", NULL),
                             mal_param_bool(params, "force", false), durable, call, &error))
    mal_call_fail(call, error);
}

/* ---- reserves -------------------------------------------------------------------------------- */

static void reserve_list(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  const MalScopeSet *set = mal_leases_scopes(mal_core_leases(core));
  const GPtrArray *reserves = mal_leases_reserves(mal_core_leases(core));
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  (void)params;
  for (unsigned i = 0; i < reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(reserves, i);
    json_object *item = json_object_new_object(), *spans = json_object_new_array();
    json_add_string(item, "reserve", r->name);
    json_add_string(item, "name", r->name);
    json_add_string(item, "scope", mal_scope_set_at(set, r->scope)->id);
    for (unsigned j = 0; j < r->spans->len; j++) {
      char text[MAL_SPAN_STRLEN];
      json_object_array_add(spans, json_object_new_string(
                                       mal_span_format(g_array_index(r->spans, MalSpan, j), text)));
    }
    json_object_object_add(item, "addresses", spans);
    json_add_string(item, "comment", r->comment);
    json_object_array_add(list, item);
  }
  json_object_object_add(o, "reserves", list);
  mal_call_reply(call, o);
}

/* ';' between them as in the configuration, or ','. */
static bool add_spans(GArray *spans, const char *text, GError **error)
{
  g_auto(GStrv) parts = g_strsplit_set(text, ";,", -1);
  for (size_t i = 0; parts[i]; i++) {
    MalSpan span;
    char *part = g_strstrip(parts[i]);
    if (!*part)
      continue;
    if (!mal_span_parse(part, &span, error))
      return false;
    g_array_append_val(spans, span);
  }
  return true;
}

static GArray *spans_of(json_object *params, GError **error)
{
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  json_object *value = json_object_object_get(params, "addresses");
  bool list = json_object_is_type(value, json_type_array);
  for (size_t i = 0; i < (list ? json_object_array_length(value) : 1); i++) {
    const char *text = json_object_get_string(list ? json_object_array_get_idx(value, i) : value);
    if (!add_spans(spans, text, error))
      return NULL;
  }
  if (spans->len == 0) {
    g_set_error_literal(error, MAL_CALL_ERROR, MAL_CALL_BAD_PARAMS,
                        "reserve.add: \"addresses\" names no address");
    return NULL;
  }
  return g_steal_pointer(&spans);
}

static void reserve_add(MalCall *call, json_object *params, void *user)
{
  g_autoptr(GError) error = NULL;
  bool failed;
  method_scope(user, call, params, &failed);
  if (failed)
    return;
  g_autoptr(GArray) spans = spans_of(params, &error);
  if (!spans
      || !mal_core_reserve_add(user, mal_param_string(params, "scope", NULL),
                               mal_param_string(params, "name", NULL), spans,
                               mal_param_string(params, "comment", NULL), durable, call, &error))
    mal_call_fail(call, error);
}

static void reserve_remove(MalCall *call, json_object *params, void *user)
{
  g_autoptr(GError) error = NULL;
  if (!mal_core_reserve_remove(user, mal_param_string(params, "name", NULL), durable, call, &error))
    mal_call_fail(call, error);
}

/* ---- use of the space ------------------------------------------------------------------------ */

static json_object *usage_json(MalCore *core, const MalScope *scope)
{
  json_object *o = json_object_new_object();
  MalFit now = { .scope = scope->index,
                 .from = mal_runtime_now(mal_core_runtime(core)),
                 .count = 1 };
  MalShortage n;
  now.until = now.from + 1;
  mal_allocator_shortage(mal_leases_allocator(mal_core_leases(core)), &now, &n);
  MalLeaseTotals t = mal_leases_totals(mal_core_leases(core), scope);
  uint64_t available = 0;
  g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(core), MAL_LEVEL_AVAILABLE);
  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *r = g_ptr_array_index(ranges, i);
    MalU128 size = mal_span_size(r->span);
    if (r->scope == scope)
      available += size > G_MAXINT64 ? (uint64_t)G_MAXINT64 : (uint64_t)size;
  }
  json_add_string(o, "scope", scope->id);
  json_add_count(o, "available", available);
  json_add_count(o, "owned", n.owned);
  json_add_count(o, "leased", t.addresses);
  json_add_count(o, "leases", t.leases);
  json_add_count(o, "held", t.holds);
  json_add_count(o, "reserved", n.reserved);
  json_add_count(o, "free", n.free);
  json_add_count(o, "free_sharing_ethernet", n.free_ethernet);
  json_add_count(o, "longest_run", n.longest_run);
  return o;
}

static void space_usage(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  const MalScopeSet *set = mal_leases_scopes(mal_core_leases(core));
  bool failed;
  const MalScope *scope = method_scope(core, call, params, &failed);
  if (failed)
    return;
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  for (size_t i = 0; i < mal_scope_set_size(set); i++)
    if (!scope || scope == mal_scope_set_at(set, i))
      json_object_array_add(list, usage_json(core, mal_scope_set_at(set, i)));
  json_object_object_add(o, "scopes", list);
  mal_call_reply(call, o);
}

static void space_map(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  bool failed;
  const MalScope *scope = method_scope(core, call, params, &failed);
  int64_t wanted = mal_param_integer(params, "cells", 512);
  if (failed)
    return;
  size_t n = (size_t)CLAMP(wanted, 1, CELLS_MOST);
  g_autofree MalCell *cells = g_new0(MalCell, n);
  n = mal_allocator_map(mal_leases_allocator(mal_core_leases(core)), scope,
                        mal_runtime_now(mal_core_runtime(core)), cells, n);
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  for (size_t i = 0; i < n; i++) {
    json_object *c = json_object_new_object();
    json_add_address(c, "first", cells[i].first);
    json_add_count(c, "size", cells[i].size);
    json_add_count(c, "owned", cells[i].owned);
    json_add_count(c, "leased", cells[i].leased);
    json_add_count(c, "reserved", cells[i].reserved);
    json_add_count(c, "excluded", cells[i].excluded);
    json_object_array_add(list, c);
  }
  json_add_string(o, "scope", scope->id);
  json_add_span(o, scope->span);
  json_object_object_add(o, "cells", list);
  mal_call_reply(call, o);
}

static const MalParam scope_param[] = {
  { "scope", MAL_PARAM_STRING, false, "only this scope" },
};
static const MalParam range_add_params[] = {
  { "scope", MAL_PARAM_STRING, true, "the scope that the addresses belong to" },
  { "name", MAL_PARAM_STRING, true, "a name for the range" },
  { "span", MAL_PARAM_SPAN, false, "the addresses, A-B or A/n" },
  { "first", MAL_PARAM_ADDRESS, false, "instead of span: the first address" },
  { "last", MAL_PARAM_ADDRESS, false, "with first: the last address" },
  { "until", MAL_PARAM_TIME, false, "when the range ends; default: never" },
};
static const MalParam range_remove_params[] = {
  { "name", MAL_PARAM_STRING, true, "the range, one made by range.add" },
  { "force", MAL_PARAM_BOOL, false, "revoke its live leases instead of refusing" },
};
static const MalParam reserve_add_params[] = {
  { "scope", MAL_PARAM_STRING, true, "the scope that the addresses belong to" },
  { "name", MAL_PARAM_STRING, true, "a name for the reserve" },
  { "addresses", MAL_PARAM_SPANS, true,
    "addresses and ranges: an array, or one text with ';' between them" },
  { "comment", MAL_PARAM_STRING, false, "for people" },
};
static const MalParam reserve_remove_params[] = {
  { "name", MAL_PARAM_STRING, true, "the reserve, one made by reserve.add" },
};
static const MalParam map_params[] = {
  { "scope", MAL_PARAM_STRING, true, "the scope to draw" },
  { "cells", MAL_PARAM_INTEGER, false, "into how many parts to cut it; 512, at most 4096" },
};

const MalMethod mal_methods_model[] = {
  { "scope.list", MAL_ACCESS_READ, NULL, 0,
    "The scopes from smallest to largest, with names and nesting.", scope_list },
  { "range.list", MAL_ACCESS_READ, scope_param, G_N_ELEMENTS(scope_param),
    "What is available to this domain, and what this server owns of it; derived_from: the AS "
    "number or unicast prefix that a range follows from.", range_list },
  { "range.add", MAL_ACCESS_WRITE, range_add_params, G_N_ELEMENTS(range_add_params),
    "Makes addresses available; kept in the store.", range_add },
  { "range.remove", MAL_ACCESS_WRITE, range_remove_params, G_N_ELEMENTS(range_remove_params),
    "Withdraws a range that range.add made.", range_remove },
  { "route.list", MAL_ACCESS_READ, NULL, 0,
    "The group prefixes of which this domain is the root, as exporters tell them to a routing "
    "daemon.",
    route_list },
  { "reserve.list", MAL_ACCESS_READ, NULL, 0,
    "Addresses that are held for ever and leased to nobody.", reserve_list },
  { "reserve.add", MAL_ACCESS_WRITE, reserve_add_params, G_N_ELEMENTS(reserve_add_params),
    "Holds addresses for ever; kept in the store. Refused where one of them is leased.",
    reserve_add },
  { "reserve.remove", MAL_ACCESS_WRITE, reserve_remove_params, G_N_ELEMENTS(reserve_remove_params),
    "Lets go of a reserve that reserve.add made.", reserve_remove },
  { "space.usage", MAL_ACCESS_READ, scope_param, G_N_ELEMENTS(scope_param),
    "Addresses by scope: available, owned, leased, reserved, free; how many of the free share an "
    "Ethernet group with one in use.",
    space_usage },
  { "space.map", MAL_ACCESS_READ, map_params, G_N_ELEMENTS(map_params),
    "The scope's owned space cut into cells, with counts for each: what mallocctl map draws.",
    space_map },
};
const size_t mal_methods_model_n = G_N_ELEMENTS(mal_methods_model);
