/* The core object: from a configuration file to a running daemon and back.

   core.c         reading, building, starting, stopping, the tick
   core-reload.c  a new configuration, all or nothing
   core-hand.c    ranges and reserves made by hand
   core-news.c    events and counters */
#include <config.h>

#include "core-internal.h"

#include <string.h>
#include <sys/un.h>

#define TICK_LONGEST (1 * MAL_US)   /* a step of the clock is noticed within this */

/* ---- reading --------------------------------------------------------------------------------- */

void core_checked_clear(Checked *c)
{
  g_clear_pointer(&c->plan, mal_plan_free);
  g_clear_pointer(&c->config, mal_config_unref);
  g_clear_pointer(&c->plugins, mal_plugin_set_free);
}

static bool read_text(const MalCoreOptions *o, char **text, size_t *length, GError **error)
{
  if (!o->config_file || o->config_text) {
    *text = g_strdup(o->config_text ? o->config_text : "");
    *length = strlen(*text);
    return true;
  }
  GByteArray *bytes = mal_config_read(o->config_file, error);
  if (!bytes)
    return false;
  *length = bytes->len;
  *text = (char *)g_byte_array_free(bytes, FALSE);
  return true;
}

static uint32_t roles_of(const MalConfSection *daemon)
{
  static const struct { const char *name; uint32_t role;
  } table[] = {
    { "client", MAL_ROLE_CLIENT },
    { "maas", MAL_ROLE_MAAS },
    { "prefix-coordinator", MAL_ROLE_COORDINATOR },
  };
  uint32_t roles = 0;
  for (size_t i = 0; i < mal_conf_length(daemon, "roles"); i++)
    for (size_t j = 0; j < G_N_ELEMENTS(table); j++)
      if (strcmp(mal_conf_item(daemon, "roles", i), table[j].name) == 0)
        roles |= table[j].role;
  return roles;
}

static MalPluginSet *load_plugins(const MalCoreOptions *o, const MalConfig *config, GError **error)
{
  const MalConfSection *daemon = mal_config_section(config, "daemon");
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (size_t i = 0; i < mal_conf_length(daemon, "plugins"); i++)
    g_ptr_array_add(names, (void *)(uintptr_t)mal_conf_item(daemon, "plugins", i));
  g_ptr_array_add(names, NULL);
  const char *dir = o->plugin_dir ? o->plugin_dir : mal_conf_string(daemon, "plugin-dir");
  MalPluginSet *set =
      mal_plugin_set_load((const char *const *)(void *)names->pdata, dir, o->builtin, error);
  g_autofree char *place = set ? NULL : mal_conf_place(daemon, "plugins");
  if (place)
    g_prefix_error(error, "%s: ", place);
  return set;
}

/* The kernel's limit, met here, since nobody sees the daemon fail to start again after a reload. */
static bool check_socket_path(const MalConfig *config, GError **error)
{
  const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
  const MalConfSection *daemon = mal_config_section(config, "daemon");
  const char *path = mal_conf_string(daemon, "control-socket");
  if (strlen(path) <= most)
    return true;
  g_autofree char *place = mal_conf_place(daemon, "control-socket");
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
              "%s: the path has %zu octets, and that of a socket at most %zu: choose a shorter one",
              place, strlen(path), most);
  return false;
}

static bool check_with_plugins(const MalCoreOptions *o, Checked *c, GError **error)
{
  c->roles = o->roles ? o->roles : roles_of(mal_config_section(c->config, "daemon"));
  if (!check_socket_path(c->config, error) || !(c->plan = mal_plan_from_config(c->config, error)))
    return false;
  for (size_t i = 0; i < mal_plugin_set_size(c->plugins); i++) {
    const MalPlugin *p = mal_plugin_set_at(c->plugins, i);
    if (p->check && !p->check(c->config, c->plan, c->roles, error))
      return false;
  }
  return true;
}

static bool add_groups(MalConfSchema *schema, const MalPluginSet *plugins, GError **error)
{
  mal_conf_schema_add(schema, mal_core_conf_groups, mal_core_conf_n_groups, "core");
  for (size_t i = 0; i < mal_plugin_set_size(plugins); i++) {
    const MalPlugin *p = mal_plugin_set_at(plugins, i);
    for (size_t k = 0; k < p->n_groups; k++) {
      const char *owner = mal_conf_schema_owner(schema, p->groups[k].group);
      if (!owner)
        continue;
      g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                  "plugin %s brings the configuration group [%s], which %s has already", p->name,
                  p->groups[k].group, owner);
      return false;
    }
    mal_conf_schema_add(schema, p->groups, p->n_groups, p->name);
  }
  return true;
}

bool core_read(const MalCoreOptions *o, Checked *out, GError **error)
{
  g_autofree char *text = NULL;
  size_t length;
  const char *file = o->config_file ? o->config_file : "(built-in configuration)";
  if (!read_text(o, &text, &length, error))
    return false;
  g_autoptr(MalConfig) daemon = mal_config_parse_daemon(text, length, file, error);
  if (!daemon || !(out->plugins = load_plugins(o, daemon, error)))
    return false;
  MalConfSchema *schema = mal_conf_schema_new();
  if (add_groups(schema, out->plugins, error))
    out->config = mal_config_parse(schema, text, length, file, error);
  mal_conf_schema_free(schema);
  if (out->config && check_with_plugins(o, out, error))
    return true;
  core_checked_clear(out);
  return false;
}

bool mal_core_check(const MalCoreOptions *options, GError **error)
{
  Checked checked = { 0 };
  if (!core_read(options, &checked, error))
    return false;
  core_checked_clear(&checked);
  return true;
}

MalEthernetPolicy core_policy(const MalConfig *config)
{
  const char *text = mal_conf_string(mal_config_section(config, "daemon"), "ethernet");
  if (g_strcmp0(text, "ignore") == 0)
    return MAL_ETHERNET_IGNORE;
  return g_strcmp0(text, "prefer") == 0 ? MAL_ETHERNET_PREFER : MAL_ETHERNET_DISTINCT;
}

void core_apply_log(MalCore *core)
{
  const MalConfSection *daemon = mal_config_section(core->now.config, "daemon");
  const char *text = mal_conf_string(daemon, "log-level");
  MalLogLevel level = MAL_LOG_INFO;
  for (MalLogLevel i = MAL_LOG_ERROR; i <= MAL_LOG_DEBUG; i++)
    if (g_strcmp0(text, mal_log_level_name(i)) == 0)
      level = i;
  bool json = g_strcmp0(mal_conf_string(daemon, "log-format"), "json") == 0;
  mal_events_set_log(core->events, level, json ? MAL_LOG_JSON : MAL_LOG_TEXT);
}

/* ---- plugins --------------------------------------------------------------------------------- */

static MalVerdict arbitrate(uint64_t ticket, const MalScope *scope, MalSpan span, MalTime until,
                            void *data)
{
  PluginRun *run = data;
  return run->instance ? run->plugin->arbitrate(run->instance, ticket, scope, span, until)
                       : MAL_VERDICT_NO;
}

static void acquire(const MalScope *scope, MalSpan span, uint64_t count, MalTime until, void *data)
{
  PluginRun *run = data;
  if (run->running)
    run->plugin->acquire(run->instance, scope, span, count, until);
}

static bool adopt(const MalScope *scope, MalSpan span, MalTime until, void *data)
{
  PluginRun *run = data;
  return run->instance && run->plugin->adopt
         && run->plugin->adopt(run->instance, scope, span, until);
}

static void usage(const MalScope *scope, MalSpan span, MalUsageFunc func, void *to, void *data)
{
  PluginRun *run = data;
  if (run->running)
    run->plugin->usage(run->instance, scope, span, func, to);
}

/* Everybody on layer 3 hears of it: who has nothing for this scope leaves it be. */
static void demand(MalLevel level, const MalScope *scope, uint64_t count, MalTime until, void *data)
{
  MalCore *core = data;
  for (unsigned i = 0; i < core->plugins->len; i++) {
    const PluginRun *run = g_ptr_array_index(core->plugins, i);
    if (run->running && run->plugin->demand)
      run->plugin->demand(run->instance, level, scope, count, until);
  }
}

static void add_plugin(MalCore *core, const MalPlugin *p, const char *path)
{
  PluginRun *run = g_new0(PluginRun, 1);
  run->plugin = p;
  run->path = path;
  run->wanted = p->roles & core->now.roles;
  run->host = (MalHost){
    .name = p->name,
    .roles = core->now.roles,
    .runtime = core->rt,
    .events = core->events,
    .metrics = mal_metrics_register(core->metrics, p->name, p->metrics, p->n_metrics),
    .store = core->store,
    .leases = core->leases,
    .space = core->space,
    .control = core->control,
    .routes = core->routes,
  };
  mal_events_register(core->events, p->events, p->n_events);
  g_ptr_array_add(core->plugins, run);
  if (run->wanted && p->arbitrate)
    mal_space_set_arbiter(core->space, arbitrate, run);
  if (run->wanted && p->acquire)
    mal_space_set_acquire(core->space, acquire, adopt, run);
  if (run->wanted && p->usage)
    mal_space_set_usage(core->space, usage, run);
  if (run->wanted && p->demand)
    mal_space_set_demand(core->space, MAL_LEVEL_AVAILABLE, demand, core);
}

static bool restore_record(const MalRecord *record, void *data, GError **error)
{
  PluginRun *run = data;
  return run->plugin->restore(run->instance, record, error);
}

/* What the plugin runs by stays as long as it does. */
void core_plugin_keep_config(PluginRun *run, const MalConfig *config)
{
  MalConfig *old = run->config;
  run->config = mal_config_ref((MalConfig *)(uintptr_t)config);
  run->host.config = run->config;
  mal_config_unref(old);
}

bool core_plugin_open(MalCore *core, PluginRun *run, const MalConfig *config, GError **error)
{
  core_plugin_keep_config(run, config);
  run->instance = run->plugin->open(&run->host, error);
  if (!run->instance) {
    g_prefix_error(error, "plugin %s: ", run->plugin->name);
    return false;
  }
  if (!run->plugin->restore || 
      mal_store_each_record(core->store, run->plugin->name, restore_record, run, error))
    return true;
  g_prefix_error(error, "plugin %s: ", run->plugin->name);
  core_plugin_stop(core, run);
  return false;
}

bool core_plugin_start(MalCore *core, PluginRun *run, GError **error)
{
  if (!run->plugin->start(run->instance, error)) {
    g_prefix_error(error, "plugin %s: ", run->plugin->name);
    return false;
  }
  run->running = true;
  mal_control_add(core->control, run->plugin->name, run->plugin->methods, run->plugin->n_methods,
                  run->instance);
  return true;
}

void core_plugin_stop(MalCore *core, PluginRun *run)
{
  if (run->running) {
    mal_control_remove(core->control, run->plugin->name);
    run->plugin->stop(run->instance);
    run->running = false;
  }
  if (!run->instance)
    return;
  run->plugin->close(run->instance);
  mal_leases_forget(core->leases, run->instance);
  mal_routes_forget(core->routes, run->plugin->name);
  run->instance = NULL;
  if (run->wanted && run->plugin->arbitrate)
    mal_space_forget_tickets(core->space);
}

size_t mal_core_plugins(MalCore *core)
{
  return core->plugins->len;
}

MalPluginStatus mal_core_plugin(MalCore *core, size_t n)
{
  const PluginRun *run = g_ptr_array_index(core->plugins, n);
  const char *state = run->running ? "running" : run->wanted ? "stopped" : "idle";
  return (MalPluginStatus){ run->plugin, run->path, state, run->running ? run->instance : NULL };
}

/* ---- the tick -------------------------------------------------------------------------------- */

/* One timer for everything that lapses; it also comes at least once a second, which is how soon a
   jump of the wall clock is noticed by an idle daemon. */
static void on_tick(void *data)
{
  MalCore *core = data;
  MalTime now = mal_runtime_now(core->rt);
  mal_leases_expire(core->leases, now);
  mal_space_expire(core->space, now);
  mal_routes_expire(core->routes, now);
  core_news_store(core);
  int64_t wait = TICK_LONGEST;
  MalTime due = MIN(mal_leases_due(core->leases), mal_space_due(core->space));
  due = MIN(due, mal_routes_due(core->routes));
  if (due <= now + TICK_LONGEST / MAL_US) /* it may be as early as the beginning of all time */
    wait = CLAMP(MAX(due, now) * MAL_US - mal_runtime_wall(core->rt), MAL_US / 100, TICK_LONGEST);
  mal_timer_set(core->tick, mal_runtime_monotonic(core->rt) + wait);
}

/* ---- building -------------------------------------------------------------------------------- */

typedef struct {
  MalCore *core;
  MalTime now;
  unsigned leases, superseded;
} Loading;

static bool load_lease(const MalLease *lease, void *data, GError **error)
{
  Loading *loading = data;
  loading->leases += mal_lease_held_until(lease) > loading->now;
  return mal_leases_restore(loading->core->leases, lease, loading->now, &loading->superseded,
                            error);
}

typedef struct {
  MalCore *core;
  GPtrArray *names;           /* ends with NULL */
} Absent;

static bool load_hand_made(const MalRecord *record, void *data, GError **error)
{
  return core_hand_restore(data, record, error);
}

static bool note_absent(const MalRecord *record, void *data, GError **error)
{
  Absent *absent = data;
  (void)error;
  if (strcmp(record->owner, "core") == 0
      || g_strv_contains((const char *const *)(void *)absent->names->pdata, record->owner))
    return true;
  for (unsigned i = 0; i < absent->core->plugins->len; i++) {
    const PluginRun *run = g_ptr_array_index(absent->core->plugins, i);
    if (run->instance && strcmp(run->plugin->name, record->owner) == 0)
      return true;
  }
  absent->names->pdata[absent->names->len - 1] = g_strdup(record->owner);
  g_ptr_array_add(absent->names, NULL);
  return true;
}

/* Ranges that plugins bring are in no file: without its plugin, one seems never to have been. */
static void blame_absent_plugins(MalCore *core, GError **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  Absent absent = { core, names };
  g_ptr_array_add(names, NULL);
  if (!error || !g_error_matches(*error, MAL_ERROR, MAL_ERROR_CONFIG)
      || !mal_store_load(core->store, MAL_BEGINNING, NULL, note_absent, &absent, NULL)
      || names->len == 1)
    return;
  g_autofree char *list = g_strjoinv(", ", (char **)names->pdata);
  char *text = g_strdup_printf("%s. The range may have come from a plugin that has records in the "
                               "store and does not run now (%s): put it back into [daemon] "
                               "plugins, and its role into [daemon] roles",
                               (*error)->message, list);
  g_free((*error)->message);
  (*error)->message = text;
}

/* What layer 3 brings back has to be there before layer 2 brings back what it owns of it. */
static bool open_plugins(MalCore *core, bool layer3, GError **error)
{
  for (unsigned i = 0; i < core->plugins->len; i++) {
    PluginRun *run = g_ptr_array_index(core->plugins, i);
    if (run->wanted && (run->plugin->demand != NULL) == layer3
        && !core_plugin_open(core, run, core->now.config, error))
      return false;
  }
  return true;
}

static bool load_state(MalCore *core, GError **error)
{
  Loading loading = { .core = core, .now = mal_runtime_now(core->rt) };
  if (!mal_store_load(core->store, loading.now, NULL, NULL, NULL, error) ||
      !mal_store_each_record(core->store, "core", load_hand_made, core, error))
    return false;
  if (!open_plugins(core, true, error) || !open_plugins(core, false, error))
    return false;
  if (!mal_store_load(core->store, MAL_BEGINNING, load_lease, NULL, &loading, error)) {
    blame_absent_plugins(core, error);
    return false;
  }
  uint64_t log = mal_store_counters(core->store).log_found;
  MalField fields[] = { MAL_F_INT("leases", loading.leases),
                        MAL_F_INT("superseded", loading.superseded),
                        MAL_F_INT("log", (int64_t)log) };
  MAL_EVENT(core->events, &core_event_loaded, fields, "%u leases read from the store%s",
            loading.leases,
            log ? ", which was not closed in good order; its log is taken over" : "");
  if (loading.superseded > 0) {
    mal_count(core->counters, CORE_SUPERSEDED, loading.superseded);
    MAL_EVENT(core->events, &core_event_superseded, fields,
              "%u stored leases were replaced by later ones on the same addresses",
              loading.superseded);
  }
  return true;
}

static bool build_model(MalCore *core, GError **error)
{
  core->space = mal_space_new();
  core->routes = mal_routes_new();
  core->leases = mal_leases_new(core->rt, core->store, core->space);
  core->counters = mal_metrics_register(core->metrics, "core", core_metrics, CORE_N_METRICS);
  core_news_attach(core);
  for (size_t i = 0; i < mal_plugin_set_size(core->now.plugins); i++)
    add_plugin(core, mal_plugin_set_at(core->now.plugins, i),
               mal_plugin_set_path(core->now.plugins, i));
  if (!mal_leases_replan(core->leases, core->now.plan, core_policy(core->now.config),
                         mal_runtime_now(core->rt), error))
    return false;
  mal_routes_replan(core->routes, core->now.plan);
  return load_state(core, error);
}

static void run_free(void *data)
{
  PluginRun *run = data;
  mal_config_unref(run->config);
  g_free(run);
}

static bool open_store(MalCore *core, GError **error)
{
  const char *dir = mal_conf_string(mal_config_section(core->now.config, "daemon"), "state-dir");
  core->store =
      core->options.store ? core->options.store : mal_store_sqlite_open(core->rt, dir, NULL, error);
  core->options.store = NULL;
  return core->store;
}

MalCore *mal_core_new(const MalCoreOptions *options, GError **error)
{
  Checked checked = { 0 };
  if (!core_read(options, &checked, error)) {
    if (options->store)
      mal_store_close(options->store);
    return NULL;
  }
  g_autoptr(MalCore) core = g_new0(MalCore, 1);
  core->options = *options;
  core->options.config_file = core->config_file = g_strdup(options->config_file);
  core->options.config_text = core->config_text = g_strdup(options->config_text);
  core->options.plugin_dir = core->plugin_dir = g_strdup(options->plugin_dir);
  core->now = checked;
  core->first = mal_config_ref(checked.config);
  core->rt = options->runtime;
  core->started = mal_runtime_monotonic(core->rt);
  core->events = mal_events_new(core->rt, options->log, options->log_data);
  core->metrics = mal_metrics_new();
  core->control = mal_control_new();
  core->hand = g_ptr_array_new();
  core->plugins = g_ptr_array_new_with_free_func(run_free);
  core->tick = mal_timer_new(core->rt, on_tick, core);
  core_apply_log(core);
  if (!open_store(core, error) || !build_model(core, error))
    return NULL;
  mal_core_add_methods(core, core->control);
  return g_steal_pointer(&core);
}

bool mal_core_start(MalCore *core, GError **error)
{
  for (unsigned i = 0; i < core->plugins->len; i++) {
    PluginRun *run = g_ptr_array_index(core->plugins, i);
    if (run->instance && !core_plugin_start(core, run, error)) {
      mal_core_stop(core);
      return false;
    }
  }
  on_tick(core);
  core->up = true;
  core_news_past_ranges(core);
  core_news_idle_plugins(core);
  MalField fields[] = { MAL_F_STRING("version", PACKAGE_VERSION) };
  MAL_EVENT(core->events, &core_event_started, fields, "mallocd " PACKAGE_VERSION " is up");
  return true;
}

void mal_core_stop(MalCore *core)
{
  for (unsigned i = core->plugins->len; i-- > 0;)
    core_plugin_stop(core, g_ptr_array_index(core->plugins, i));
  mal_timer_stop(core->tick);
}

void mal_core_free(MalCore *core)
{
  if (!core)
    return;
  mal_core_stop(core);
  if (core->control)
    mal_control_remove(core->control, "core");
  /* The store is flushed and closed while those who wait for it are still there to hear. */
  if (core->store)
    mal_store_close(core->store);
  if (core->leases) {
    mal_leases_store_gone(core->leases);
    mal_leases_free(core->leases);
  }
  if (core->space)
    mal_space_free(core->space);
  mal_routes_free(core->routes);
  if (core->up)
    mal_event(core->events, &core_event_stopped, NULL, 0, "mallocd is down");
  mal_timer_free(core->tick);
  mal_control_free(core->control);
  mal_metrics_free(core->metrics);
  mal_events_free(core->events);
  g_ptr_array_unref(core->plugins);
  g_ptr_array_unref(core->hand);
  g_clear_pointer(&core->first, mal_config_unref);
  core_checked_clear(&core->now);
  g_free(core->config_file);
  g_free(core->config_text);
  g_free(core->plugin_dir);
  g_free(core->trouble);
  g_free(core);
}

MalRuntime *mal_core_runtime(MalCore *core) { return core->rt; }
MalStore *mal_core_store(MalCore *core) { return core->store; }
MalSpace *mal_core_space(MalCore *core) { return core->space; }
MalRoutes *mal_core_routes(MalCore *core) { return core->routes; }
MalLeases *mal_core_leases(MalCore *core) { return core->leases; }
MalEvents *mal_core_events(MalCore *core) { return core->events; }
MalMetrics *mal_core_metrics(MalCore *core) { return core->metrics; }
MalControl *mal_core_control(MalCore *core) { return core->control; }
const MalConfig *mal_core_config(MalCore *core) { return core->now.config; }
const MalConfig *mal_core_first_config(MalCore *core) { return core->first; }
const MalPlan *mal_core_plan(MalCore *core) { return core->now.plan; }
const MalCoreOptions *mal_core_options(MalCore *core) { return &core->options; }
uint32_t mal_core_roles(MalCore *core) { return core->now.roles; }

int64_t mal_core_uptime(MalCore *core)
{
  return (mal_runtime_monotonic(core->rt) - core->started) / MAL_US;
}
