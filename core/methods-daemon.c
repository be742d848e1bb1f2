/* Methods about the daemon itself: status, configuration, plugins, counters, events, the store. */
#include <config.h>

#include "methods.h"

#include <string.h>

void json_add_string(json_object *o, const char *name, const char *text)
{
  if (text)
    json_object_object_add(o, name, json_object_new_string(text));
}

void json_add_int(json_object *o, const char *name, int64_t n)
{
  json_object_object_add(o, name, json_object_new_int64(n));
}

void json_add_count(json_object *o, const char *name, uint64_t n)
{
  json_object_object_add(o, name, json_object_new_uint64(n));
}

void json_add_bool(json_object *o, const char *name, bool b)
{
  json_object_object_add(o, name, json_object_new_boolean(b));
}

void json_add_time(json_object *o, const char *name, MalTime t)
{
  json_object_object_add(o, name, mal_json_time(t));
}

void json_add_address(json_object *o, const char *name, MalAddress a)
{
  char text[MAL_ADDRESS_STRLEN];
  json_object_object_add(
      o, name,
      a.family == MAL_FAMILY_NONE ? NULL : json_object_new_string(mal_address_format(a, text)));
}

void json_add_span(json_object *o, MalSpan span)
{
  json_add_address(o, "first", span.first);
  json_add_address(o, "last", span.last);
}

/* ---- status ---------------------------------------------------------------------------------- */

static json_object *roles_json(uint32_t roles)
{
  json_object *list = json_object_new_array();
  if (roles & MAL_ROLE_CLIENT)
    json_object_array_add(list, json_object_new_string("client"));
  if (roles & MAL_ROLE_MAAS)
    json_object_array_add(list, json_object_new_string("maas"));
  if (roles & MAL_ROLE_COORDINATOR)
    json_object_array_add(list, json_object_new_string("prefix-coordinator"));
  return list;
}

static json_object *store_json(MalCore *core)
{
  const GError *error = NULL;
  json_object *o = json_object_new_object();
  bool failing = mal_store_state(mal_core_store(core), &error) == MAL_STORE_FAILING;
  MalStoreCounters c = mal_store_counters(mal_core_store(core));
  json_add_string(o, "state", failing ? "failing" : "ok");
  json_add_string(o, "error", failing && error ? error->message : NULL);
  json_add_count(o, "batches", c.batches);
  json_add_count(o, "changes", c.changes);
  json_add_count(o, "failures", c.failures);
  json_add_count(o, "rows", c.rows);
  json_add_count(o, "bytes", c.bytes);
  json_add_count(o, "compactions", c.compactions);
  json_add_int(o, "last_commit_us", c.last_commit_us);
  json_add_int(o, "max_commit_us", c.max_commit_us);
  return o;
}

static json_object *plugins_json(MalCore *core)
{
  json_object *list = json_object_new_array();
  for (size_t i = 0; i < mal_core_plugins(core); i++) {
    MalPluginStatus s = mal_core_plugin(core, i);
    json_object *o = json_object_new_object();
    json_add_string(o, "name", s.plugin->name);
    json_add_string(o, "state", s.state);
    json_add_string(o, "version", s.plugin->version);
    json_add_string(o, "summary", s.plugin->summary);
    json_object_object_add(o, "roles", roles_json(s.plugin->roles));
    json_add_int(o, "abi", s.plugin->abi);
    json_add_string(o, "path", s.path);
    json_object_array_add(list, o);
  }
  return list;
}

static json_object *leases_json(MalCore *core)
{
  json_object *o = json_object_new_object();
  MalLeaseTotals t = mal_leases_totals(mal_core_leases(core), NULL);
  json_add_count(o, "live", t.leases);
  json_add_count(o, "addresses", t.addresses);
  json_add_count(o, "held", t.holds);
  json_add_count(o, "pending", t.pending);
  json_add_count(o, "waiting", t.waiting);
  json_add_count(o, "bytes", t.bytes);
  return o;
}

static void status(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  json_object *o = json_object_new_object();
  bool failing = mal_store_state(mal_core_store(core), NULL) == MAL_STORE_FAILING;
  (void)params;
  json_add_string(o, "state", failing ? "degraded" : "ok");
  json_add_string(o, "version", PACKAGE_VERSION);
  json_add_int(o, "uptime", mal_core_uptime(core));
  json_add_time(o, "time", mal_runtime_now(mal_core_runtime(core)));
  json_object_object_add(o, "roles", roles_json(mal_core_roles(core)));
  json_add_string(o, "config", mal_config_file(mal_core_config(core)));
  json_add_string(
      o, "state_dir",
      mal_conf_string(mal_config_section(mal_core_first_config(core), "daemon"), "state-dir"));
  json_add_count(o, "scopes", mal_scope_set_size(mal_leases_scopes(mal_core_leases(core))));
  json_object_object_add(o, "leases", leases_json(core));
  json_object_object_add(o, "store", store_json(core));
  json_object_object_add(o, "plugins", plugins_json(core));
  mal_call_reply(call, o);
}

static void plugin_list(MalCall *call, json_object *params, void *user)
{
  json_object *o = json_object_new_object();
  (void)params;
  json_object_object_add(o, "plugins", plugins_json(user));
  mal_call_reply(call, o);
}

static void stats_get(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  MalMetrics *metrics = mal_core_metrics(core);
  json_object *o = json_object_new_object();
  const char *owner = mal_param_string(params, "owner", NULL);
  mal_core_update_gauges(core);
  for (size_t i = 0; i < mal_metrics_size(metrics); i++) {
    const MalMetricSet *set = mal_metrics_at(metrics, i);
    if (set->n == 0 || (owner && strcmp(owner, set->owner) != 0))
      continue;
    json_object *values = json_object_new_object();
    for (size_t j = 0; j < set->n; j++)
      json_add_count(values, set->defs[j].name, set->values[j]);
    json_object_object_add(o, set->owner, values);
  }
  if (owner && json_object_object_length(o) == 0) {
    g_autoptr(GError) error =
        g_error_new(MAL_ERROR, MAL_ERROR_NOT_FOUND, "%s has no counters, or is not loaded", owner);
    json_object_put(o);
    mal_call_fail(call, error);
    return;
  }
  mal_call_reply(call, o);
}

/* ---- configuration --------------------------------------------------------------------------- */

static void config_check(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  g_autoptr(GError) error = NULL;
  MalCoreOptions options = *mal_core_options(core);
  const char *file = mal_param_string(params, "file", NULL),
             *text = mal_param_string(params, "text", NULL);
  /* Both: the text, by the name of its file, as mallocctl sends what the daemon may not read. */
  if (file || text) {
    options.config_file = file;
    options.config_text = text;
  }
  g_autofree char *note = NULL;
  if (!mal_core_check_reload(core, &options, &note, &error)) {
    mal_call_fail(call, error);
    return;
  }
  json_object *o = json_object_new_object();
  json_add_bool(o, "ok", true);
  json_add_string(o, "note", note);
  mal_call_reply(call, o);
}

static void config_reload(MalCall *call, json_object *params, void *user)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *summary = NULL;
  (void)params;
  if (!mal_core_reload(user, &summary, &error)) {
    mal_call_fail(call, error);
    return;
  }
  const char *trouble = mal_core_reload_trouble(user);
  if (trouble) {
    g_autofree char *text = g_strdup_printf("reloaded, but %s%s%s", trouble, summary ? "; " : "",
                                            summary ? summary : "");
    mal_call_fail_literal(call, MAL_ERROR_PLUGIN, text);
    return;
  }
  json_object *o = json_object_new_object();
  json_add_bool(o, "reloaded", true);
  json_add_string(o, "note", summary);
  mal_call_reply(call, o);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* All kinds are declared by now, those of idle plugins too: what none begins with never comes. */
static bool some_kind_begins(MalCore *core, const char *prefix)
{
  g_autoptr(GPtrArray) known = mal_events_known(mal_core_events(core));
  for (unsigned i = 0; i < known->len; i++)
    if (g_str_has_prefix(((const MalEventDef *)known->pdata[i])->name, prefix))
      return true;
  return false;
}

static void events_subscribe(MalCall *call, json_object *params, void *user)
{
  const char *prefix = mal_param_string(params, "prefix", "");
  if (!some_kind_begins(user, prefix)) {
    g_autoptr(GError) error = g_error_new(
        MAL_ERROR, MAL_ERROR_NOT_FOUND,
        "no event of this daemon or its plugins begins with \"%s\": rpc.discover lists them all",
        prefix);
    mal_call_fail(call, error);
    return;
  }
  if (!mal_call_subscribe(call, prefix)) {
    mal_call_fail_literal(call, MAL_ERROR_INVALID,
                          "events can only be followed over the control socket");
    return;
  }
  json_object *o = json_object_new_object();
  json_add_bool(o, "subscribed", true);
  mal_call_reply(call, o);
}

/* ---- store ----------------------------------------------------------------------------------- */

static void store_done(const char *detail, const GError *error, void *data)
{
  MalCall *call = data;
  if (error) {
    mal_call_fail(call, error);
    return;
  }
  json_object *o = json_object_new_object();
  json_add_bool(o, "ok", true);
  json_add_string(o, "detail", detail);
  mal_call_reply(call, o);
}

static void store_backup(MalCall *call, json_object *params, void *user)
{
  const char *path = mal_param_string(params, "path", NULL);
  if (!g_path_is_absolute(path)) {
    mal_call_fail_literal(call, MAL_ERROR_INVALID,
                          "store.backup: the path must be absolute: the daemon writes it");
    return;
  }
  mal_call_progress(call, "copying the store to %s", path);
  mal_store_backup(mal_core_store(user), path, store_done, call);
}

static void store_check(MalCall *call, json_object *params, void *user)
{
  (void)params;
  mal_call_progress(call, "checking the store");
  mal_store_check(mal_core_store(user), store_done, call);
}

/* ---- discovery ------------------------------------------------------------------------------- */

static json_object *method_json(const MalMethod *m)
{
  json_object *o = json_object_new_object(), *params = json_object_new_array();
  json_add_string(o, "name", m->name);
  json_add_string(o, "access", mal_access_name(m->access));
  json_add_string(o, "help", m->help);
  for (size_t i = 0; i < m->n_params; i++) {
    json_object *p = json_object_new_object();
    json_add_string(p, "name", m->params[i].name);
    json_add_string(p, "type", mal_param_type_name(m->params[i].type));
    json_add_bool(p, "required", m->params[i].required);
    json_add_string(p, "help", m->params[i].help);
    json_object_array_add(params, p);
  }
  json_object_object_add(o, "params", params);
  return o;
}

static json_object *events_json(MalCore *core)
{
  json_object *list = json_object_new_array();
  g_autoptr(GPtrArray) known = mal_events_known(mal_core_events(core));
  for (unsigned i = 0; i < known->len; i++) {
    const MalEventDef *def = g_ptr_array_index(known, i);
    json_object *o = json_object_new_object();
    json_add_string(o, "name", def->name);
    json_add_string(o, "fault", mal_fault_name(def->fault));
    json_add_string(o, "level", mal_log_level_name(def->level));
    json_add_string(o, "help", def->help);
    json_object_array_add(list, o);
  }
  return list;
}

static void rpc_discover(MalCall *call, json_object *params, void *user)
{
  MalCore *core = user;
  json_object *o = json_object_new_object(), *list = json_object_new_array();
  g_autoptr(GPtrArray) methods = mal_control_methods(mal_core_control(core));
  (void)params;
  for (unsigned i = 0; i < methods->len; i++)
    json_object_array_add(list, method_json(g_ptr_array_index(methods, i)));
  json_add_string(o, "version", PACKAGE_VERSION);
  json_object_object_add(o, "methods", list);
  json_object_object_add(o, "events", events_json(core));
  mal_call_reply(call, o);
}

static const MalParam stats_params[] = {
  { "owner", MAL_PARAM_STRING, false, "only the counters of \"core\" or of this plugin" },
};
static const MalParam check_params[] = {
  { "file", MAL_PARAM_STRING, false,
    "path of a file that the daemon can read; with text, its name in messages" },
  { "text", MAL_PARAM_STRING, false, "the configuration itself" },
};
static const MalParam subscribe_params[] = {
  { "prefix", MAL_PARAM_STRING, false,
    "only events whose name begins with this, such as \"lease.\"" },
};
static const MalParam backup_params[] = {
  { "path", MAL_PARAM_STRING, true,
    "where the copy goes; must not exist, and be writable by the daemon" },
};

const MalMethod mal_methods_daemon[] = {
  { "status", MAL_ACCESS_READ, NULL, 0,
    "State (\"ok\", or \"degraded\" while the store fails), version, uptime, roles, totals of "
    "leases, the store, plugins.",
    status },
  { "plugin.list", MAL_ACCESS_READ, NULL, 0, "The plugins with state, version, roles and path.",
    plugin_list },
  { "stats.get", MAL_ACCESS_READ, stats_params, G_N_ELEMENTS(stats_params),
    "Counters and gauges, an object for each owner.", stats_get },
  { "config.check", MAL_ACCESS_WRITE, check_params, G_N_ELEMENTS(check_params),
    "Would this configuration be accepted? Without parameters: the daemon's own file as it is "
    "now. Fails with the reason, which names the place; \"note\" says what a reload would meet "
    "now.",
    config_check },
  { "config.reload", MAL_ACCESS_WRITE, NULL, 0,
    "Reads the configuration again, all or nothing. \"note\" says what only a restart can change. "
    "Fails, too, with an error of kind plugin, where a plugin could not start again with it, as "
    "when a port is in use.",
    config_reload },
  { "events.subscribe", MAL_ACCESS_READ, subscribe_params, G_N_ELEMENTS(subscribe_params),
    "From now on this connection gets a notification \"event\" for each event: name, time, "
    "message, fields.",
    events_subscribe },
  { "store.backup", MAL_ACCESS_WRITE, backup_params, G_N_ELEMENTS(backup_params),
    "A consistent copy of the store while the daemon runs.", store_backup },
  { "store.check", MAL_ACCESS_WRITE, NULL, 0, "The integrity of the whole store.", store_check },
  { "rpc.discover", MAL_ACCESS_READ, NULL, 0,
    "All methods with parameters and help, and all kinds of events.", rpc_discover },
};
const size_t mal_methods_daemon_n = G_N_ELEMENTS(mal_methods_daemon);

void mal_core_add_methods(MalCore *core, MalControl *control)
{
  mal_control_add(control, "core", mal_methods_daemon, mal_methods_daemon_n, core);
  mal_control_add(control, "core", mal_methods_model, mal_methods_model_n, core);
  mal_control_add(control, "core", mal_methods_lease, mal_methods_lease_n, core);
}
