/* A new configuration: everything is checked before anything changes. */
#include "core-internal.h"

#include <string.h>

static bool same_key(const Checked *a, const Checked *b, const char *key)
{
  const MalConfSection *x = mal_config_section(a->config, "daemon"),
                       *y = mal_config_section(b->config, "daemon");
  if (strcmp(key, "roles") == 0)
    return a->roles == b->roles;
  if (strcmp(key, "plugins") != 0)
    return g_strcmp0(mal_conf_string(x, key), mal_conf_string(y, key)) == 0;
  if (mal_conf_length(x, key) != mal_conf_length(y, key))
    return false;
  for (size_t i = 0; i < mal_conf_length(x, key); i++)
    if (strcmp(mal_conf_item(x, key, i), mal_conf_item(y, key, i)) != 0)
      return false;
  return true;
}

/* What can't change under a running daemon, and differs from what it was started with; NULL:
   nothing. */
static char *needs_restart(const MalCore *core, const Checked *new)
{
  const Checked first = { .config = core->first, .roles = core->now.roles };
  static const char *const keys[] = { "roles",     "plugins",        "plugin-dir",
                                      "state-dir", "control-socket", "control-group" };
  GString *s = g_string_new(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
    if (!same_key(&first, new, keys[i]))
      g_string_append_printf(s, "%s%s", s->len ? ", " : "", keys[i]);
  if (s->len == 0) {
    g_string_free(s, TRUE);
    return NULL;
  }
  g_string_append(s, " in [daemon] changed: that takes effect when mallocd is restarted");
  return g_string_free(s, FALSE);
}

/* Is this very plugin among those of the new configuration? Another one of that name, from another
   directory, is not: the configuration was checked by its tables. */
static bool is_in(const PluginRun *run, const Checked *c)
{
  for (size_t i = 0; i < mal_plugin_set_size(c->plugins); i++)
    if (mal_plugin_set_at(c->plugins, i) == run->plugin)
      return true;
  return false;
}

/* The file was checked for the roles that it names; until the restart, plugins have those of the
   start. */
static bool check_for_now(MalCore *core, const Checked *new, GError **error)
{
  for (unsigned i = 0; new->roles != core->now.roles && i < core->plugins->len; i++) {
    const PluginRun *run = g_ptr_array_index(core->plugins, i);
    if (!run->wanted || !run->plugin->check || !is_in(run, new) ||
        run->plugin->check(new->config, new->plan, core->now.roles, error))
      continue;
    g_prefix_error(error, "with the roles that mallocd was started with: ");
    return false;
  }
  return true;
}

static bool start_again(MalCore *core, PluginRun *run, const MalConfig *config, GError **error)
{
  if (!core_plugin_open(core, run, config, error))
    return false;
  if (core_plugin_start(core, run, error))
    return true;
  core_plugin_stop(core, run);
  return false;
}

static void report_failed(MalCore *core, const PluginRun *run, const GError *error,
                          const char *outcome)
{
  MalField fields[] = { MAL_F_STRING("plugin", run->plugin->name),
                        MAL_F_STRING("error", error->message) };
  MAL_EVENT(core->events, &core_event_plugin_failed, fields, "%s (%s)", error->message, outcome);
  g_autofree char *before = core->trouble;
  core->trouble = g_strdup_printf("%s%s%s (%s)", before ? before : "", before ? "; " : "",
                                  error->message, outcome);
}

const char *mal_core_reload_trouble(const MalCore *core)
{
  return core->trouble;
}

/* The world outside may refuse what the check could not know (a port in use): then the plugin goes
   on with its old configuration. */
static void restart_plugin(MalCore *core, PluginRun *run, const MalConfig *old,
                           const MalConfig *new)
{
  g_autoptr(GError) error = NULL, again = NULL;
  core_plugin_stop(core, run);
  if (start_again(core, run, new, &error))
    return;
  if (start_again(core, run, old, &again))
    report_failed(core, run, error, "it goes on with its previous configuration");
  else
    report_failed(core, run, error, "it is stopped");
}

static void reload_plugins(MalCore *core, const Checked *new)
{
  for (unsigned i = 0; i < core->plugins->len; i++) {
    PluginRun *run = g_ptr_array_index(core->plugins, i);
    /* One that the file names no more goes on as it is until the restart. */
    if (!run->wanted || !is_in(run, new))
      continue;
    g_autoptr(MalConfig) before = run->config ? mal_config_ref(run->config) : NULL;
    core_plugin_keep_config(run, core->now.config);
    if (!run->running || !run->plugin->reload ||
        run->plugin->reload(run->instance, core->now.config) == MAL_RELOAD_RESTART)
      restart_plugin(core, run, before, core->now.config);
  }
}

static bool refuse(MalCore *core, Checked *new, GError *cause, GError **error)
{
  MalField fields[] = { MAL_F_STRING("error", cause->message) };
  MAL_EVENT(core->events, &core_event_reload_refused, fields, "configuration not reloaded: %s",
            cause->message);
  mal_count(core->counters, CORE_RELOADS_REFUSED, 1);
  core_checked_clear(new);
  g_propagate_error(error, cause);
  return false;
}

bool mal_core_check_reload(MalCore *core, const MalCoreOptions *options, char **note,
                           GError **error)
{
  Checked new = { 0 };
  g_autoptr(GError) cause = NULL;
  *note = NULL;
  if (!core_read(options, &new, error))
    return false;
  if (check_for_now(core, &new, &cause)
      && mal_leases_could_replan(core->leases, new.plan, core_policy(new.config),
                                 mal_runtime_now(core->rt), &cause))
    *note = needs_restart(core, &new);
  else
    *note = g_strdup_printf("a reload would be refused now: %s", cause->message);
  core_checked_clear(&new);
  return true;
}

bool mal_core_reload(MalCore *core, char **summary, GError **error)
{
  Checked new = { 0 };
  GError *cause = NULL;
  g_clear_pointer(&core->trouble, g_free);
  if (!core_read(&core->options, &new, &cause))
    return refuse(core, &new, cause, error);
  if (!check_for_now(core, &new, &cause)
      || !mal_leases_replan(core->leases, new.plan, core_policy(new.config),
                            mal_runtime_now(core->rt), &cause))
    return refuse(core, &new, cause, error);
  char *restart = needs_restart(core, &new);
  Checked old = core->now;
  new.roles = old.roles;
  core->now = new;
  mal_routes_replan(core->routes, new.plan);
  core_apply_log(core);
  reload_plugins(core, &new);
  /* The plugins are still those of the start. */
  core->now.plugins = old.plugins;
  old.plugins = new.plugins;
  core_checked_clear(&old);
  mal_count(core->counters, CORE_RELOADS, 1);
  mal_event(core->events, &core_event_reloaded, NULL, 0, "configuration reloaded%s%s",
            restart ? "; " : "", restart ? restart : "");
  core_news_past_ranges(core);
  if (summary)
    *summary = restart;
  else
    g_free(restart);
  return true;
}
