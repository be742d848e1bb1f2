/* No daemon: a core of our own, in this process and for this one call, whose client plugin speaks
   on the network. */
#include <config.h>

#include "control-core.h"
#include "core.h"
#include "ctl.h"
#include "runtime-glib.h"

#include <sodium.h>
#include <string.h>

typedef struct {
  MalCtlLink link;
  MalRuntime *rt;
  MalCore *core;
} Direct;

typedef struct {
  Direct *direct;
  bool done;
  json_object *result;
  GError *error;
} Waiting;

static const char *plugin_dir(void)
{
  const char *dir = g_getenv("MALLOCD_PLUGIN_DIR");
  return dir && *dir ? dir : MAL_PLUGIN_DIR;
}

static bool take_over(GError **error, GError *cause)
{
  mal_ctl_fail(error, MAL_CTL_FAILED, "%s", cause->message);
  g_error_free(cause);
  return false;
}

/* ---- which plugin ---------------------------------------------------------------------------- */

static const MalPlugin *open_plugin(const char *name, GError **error)
{
  g_autofree char *file = g_strconcat(name, ".so", NULL),
                  *path = g_build_filename(plugin_dir(), file, NULL);
  return mal_plugin_open_file(path, error);
}

/* The names of those plugins that lease for local programs. */
static GPtrArray *find_clients(void)
{
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) dir = g_dir_open(plugin_dir(), 0, NULL);
  for (const char *file; dir && (file = g_dir_read_name(dir));) {
    if (!g_str_has_suffix(file, ".so"))
      continue;
    g_autofree char *name = g_strndup(file, strlen(file) - strlen(".so"));
    const MalPlugin *plugin = open_plugin(name, NULL);
    if (plugin && plugin->client && strcmp(plugin->name, name) == 0)
      g_ptr_array_add(names, g_steal_pointer(&name));
  }
  g_ptr_array_sort(names, (GCompareFunc)(void (*)(void))g_strcmp0);
  return names;
}

static bool choose_plugin(char **via, GError **error)
{
  g_autoptr(GPtrArray) names = find_clients();
  if (names->len == 1) {
    *via = g_strdup(names->pdata[0]);
    return true;
  }
  if (names->len == 0)
    return mal_ctl_fail(error, MAL_CTL_FAILED,
                        "--direct: no plugin in %s can lease from a server on the network; "
                        "MALLOCD_PLUGIN_DIR names another directory",
                        plugin_dir());
  g_ptr_array_add(names, NULL);
  g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
  return mal_ctl_fail(error, MAL_CTL_USAGE,
                      "--direct: several plugins can do this: say --via with one of %s", all);
}

/* ---- its configuration ----------------------------------------------------------------------- */

static bool has_key(const MalPlugin *plugin, const char *key)
{
  for (size_t g = 0; g < plugin->n_groups; g++)
    for (size_t k = 0;
         strcmp(plugin->groups[g].group, plugin->name) == 0 && k < plugin->groups[g].n_keys; k++)
      if (strcmp(plugin->groups[g].keys[k].key, key) == 0)
        return true;
  return false;
}

static bool set_key(const MalPlugin *plugin, GString *text, const char *option, const char *key,
                    const char *value, GError **error)
{
  for (const char *c = value; *c; c++)
    if (g_ascii_iscntrl(*c))
      return mal_ctl_fail(error, MAL_CTL_USAGE, "%s: the value has control characters", option);
  if (!has_key(plugin, key))
    return mal_ctl_fail(error, MAL_CTL_USAGE, "%s: the plugin %s has no key %s", option,
                        plugin->name, key);
  g_autofree char *list = g_strdelimit(g_strdup(value), ",", ';');
  g_string_append_printf(text, "%s = %s\n", key, list);
  return true;
}

static bool set_free_key(const MalPlugin *plugin, GString *text, const char *assignment,
                         GError **error)
{
  const char *equals = strchr(assignment, '=');
  if (!equals)
    return mal_ctl_fail(error, MAL_CTL_USAGE, "--set: \"%s\" is not KEY=VALUE", assignment);
  g_autofree char *key = g_strndup(assignment, (size_t)(equals - assignment));
  return set_key(plugin, text, "--set", g_strstrip(key), equals + 1, error);
}

/* --interface, --server and --port shape the client, and are said of the call as well where it has
   such parameters. */
static char *config_text(const MalPlugin *plugin, MalCtlLink *link, GPtrArray *words,
                         GError **error)
{
  static const struct { const char *option, *key, *param;
  } shapes[] = {
    { "--interface", "interfaces", "interface" },
    { "--server", "servers", "server" },
    { "--port", "port", NULL },
  };
  g_autoptr(GString) text = g_string_new(NULL);
  g_string_append_printf(text, "[daemon]\nplugins = %s\nlog-level = warning\n\n[%s]\n",
                         plugin->name, plugin->name);
  for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
    g_autofree char *value = NULL;
    if (!mal_ctl_take(words, shapes[i].option, &value, error) ||
        (value && !set_key(plugin, text, shapes[i].option, shapes[i].key, value, error)))
      return NULL;
    if (value && shapes[i].param)
      g_hash_table_insert(link->defaults, g_strdup(shapes[i].param), g_steal_pointer(&value));
  }
  for (;;) {
    g_autofree char *value = NULL;
    if (!mal_ctl_take(words, "--set", &value, error) ||
        (value && !set_free_key(plugin, text, value, error)))
      return NULL;
    if (!value)
      return g_strdup(text->str);
  }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_progress(const char *message, void *data)
{
  const Waiting *w = data;
  if (w->direct->link.progress)
    w->direct->link.progress(message);
}

static void on_done(json_object *result, const GError *error, void *data)
{
  Waiting *w = data;
  w->done = true;
  w->result = result ? json_object_get(result) : NULL;
  w->error = error ? g_error_copy(error) : NULL;
}

static json_object *direct_call(MalCtlLink *link, const char *method, json_object *params,
                                GError **error)
{
  Direct *d = (Direct *)link;
  Waiting w = { .direct = d };
  mal_control_call(mal_core_control(d->core), method, params, true, on_done, on_progress, &w);
  while (!w.done)
    g_main_context_iteration(mal_runtime_glib_context(d->rt), TRUE);
  if (!w.error)
    return w.result ? w.result : json_object_new_object();
  mal_ctl_fail(error, w.error->domain == MAL_CALL_ERROR ? MAL_CTL_USAGE : MAL_CTL_FAILED, "%s",
               w.error->message);
  g_error_free(w.error);
  return NULL;
}

static void direct_free(MalCtlLink *link)
{
  Direct *d = (Direct *)link;
  if (d->core)
    mal_core_stop(d->core);
  g_clear_pointer(&d->core, mal_core_free);
  g_clear_pointer(&d->rt, mal_runtime_glib_free);
  g_hash_table_unref(link->defaults);
  g_free(d);
}

static void write_log(MalLogLevel level, const char *line, void *data)
{
  (void)level;
  (void)data;
  fprintf(stderr, "%s\n", line);
}

static bool start(Direct *d, const char *text, GError **error)
{
  GError *cause = NULL;
  d->rt = mal_runtime_glib_new(NULL);
  MalCoreOptions options = {
    .runtime = d->rt,
    .store = mal_store_memory_new(d->rt),
    .config_text = text,
    .plugin_dir = plugin_dir(),
    .roles = MAL_ROLE_CLIENT,
    .log = write_log,
  };
  d->core = mal_core_new(&options, &cause);
  return (d->core && mal_core_start(d->core, &cause)) || take_over(error, cause);
}

MalCtlLink *mal_ctl_direct_open(GPtrArray *words, char **via, GError **error)
{
  GError *cause = NULL;
  const MalPlugin *plugin;
  if (!mal_ctl_take(words, "--via", via, error) || (!*via && !choose_plugin(via, error)))
    return NULL;
  if (!(plugin = open_plugin(*via, &cause))) {
    take_over(error, cause);
    return NULL;
  }
  if (!plugin->client) {
    mal_ctl_fail(error, MAL_CTL_FAILED,
                 "--via %s: this plugin can't lease from a server on the network", *via);
    return NULL;
  }
  Direct *d = g_new0(Direct, 1);
  d->link = (MalCtlLink){ .call = direct_call,
                          .free = direct_free,
                          .defaults = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                                            g_free) };
  g_hash_table_insert(d->link.defaults, g_strdup("via"), g_strdup(*via));
  g_autofree char *text = config_text(plugin, &d->link, words, error);
  if (text && sodium_init() < 0)
    mal_ctl_fail(error, MAL_CTL_FAILED, "libsodium can't be initialised");
  else if (text && start(d, text, error))
    return &d->link;
  direct_free(&d->link);
  return NULL;
}

bool mal_ctl_direct_check(const char *path, GError **error)
{
  GError *cause = NULL;
  MalCoreOptions options = { .config_file = path, .plugin_dir = g_getenv("MALLOCD_PLUGIN_DIR") };
  if (options.plugin_dir && !*options.plugin_dir)
    options.plugin_dir = NULL;
  return mal_core_check(&options, &cause) || take_over(error, cause);
}
