#include "plugins.h"

#include <gmodule.h>
#include <string.h>

typedef struct {
  const MalPlugin *plugin;
  char *path;
} Loaded;

struct MalPluginSet {
  GArray *loaded;
};

static void loaded_clear(void *data)
{
  g_free(((Loaded *)data)->path);
}

static bool check_descriptor(const MalPlugin *p, const char *path, GError **error)
{
  if (p->abi != MAL_PLUGIN_ABI) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                "plugin %s was built for plugin ABI %u, this mallocd has ABI %u: build it again "
                "against the installed headers",
                path, p->abi, MAL_PLUGIN_ABI);
    return false;
  }
  if (!p->name || !p->summary || !p->open || !p->start || !p->stop || !p->close) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                "plugin %s: its descriptor lacks a name, a summary, or one of the hooks open, "
                "start, stop, close",
                path);
    return false;
  }
  return true;
}

const MalPlugin *mal_plugin_open_file(const char *path, GError **error)
{
  gpointer symbol = NULL;
  GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);
  if (!module) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "plugin %s can't be loaded: %s", path,
                g_module_error());
    return NULL;
  }
  if (!g_module_symbol(module, MAL_PLUGIN_SYMBOL, &symbol) || !symbol) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                "%s is not a mallocd plugin: it has no symbol " MAL_PLUGIN_SYMBOL, path);
    g_module_close(module);
    return NULL;
  }
  /* The ABI number comes first in every version of the descriptor: nothing else is read before it
     was checked. */
  if (!check_descriptor(symbol, path, error)) {
    g_module_close(module);
    return NULL;
  }
  g_module_make_resident(module);
  return symbol;
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *list_dir(const char *dir)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) d = dir ? g_dir_open(dir, 0, NULL) : NULL;
  for (const char *name; d && (name = g_dir_read_name(d));)
    if (g_str_has_suffix(name, ".so"))
      g_ptr_array_add(names, g_strndup(name, strlen(name) - 3));
  g_ptr_array_sort(names, by_text);
  g_ptr_array_add(names, NULL);
  return names->len > 1 ? g_strjoinv(", ", (char **)names->pdata) : g_strdup("none");
}

static bool valid_name(const char *name)
{
  if (!*name || strlen(name) > 64)
    return false;
  for (const char *c = name; *c; c++)
    if (!g_ascii_isalnum(*c) && *c != '-' && *c != '_')
      return false;
  return true;
}

/* The name owns records, ranges, counters and methods: these owners are there already. */
static bool is_taken(const char *name)
{
  static const char *const names[] = { "core", "config", "control", "local" };
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}

static const MalPlugin *find_file(const char *name, const char *dir, char **path, GError **error)
{
  g_autofree char *file = g_strconcat(name, ".so", NULL);
  if (!dir) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "plugin %s: no plugin-dir is known", name);
    return NULL;
  }
  *path = g_build_filename(dir, file, NULL);
  if (!g_file_test(*path, G_FILE_TEST_EXISTS)) {
    g_autofree char *there = list_dir(dir);
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                "plugin %s: there is no file %s (plugins in this directory: %s); correct plugins "
                "or plugin-dir",
                name, *path, there);
    return NULL;
  }
  return mal_plugin_open_file(*path, error);
}

static bool load_one(MalPluginSet *set, const char *name, const char *dir,
                     const MalPlugin *const *builtin, GError **error)
{
  Loaded new = { NULL, NULL };
  g_autofree char *path = NULL;
  for (size_t i = 0; i < mal_plugin_set_size(set); i++)
    if (strcmp(mal_plugin_set_at(set, i)->name, name) == 0) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "%s is named twice", name);
      return false;
    }
  if (!valid_name(name)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                "\"%s\" is not the name of a plugin (letters, digits, '-', '_')%s", name,
                strchr(name, ',') ? ": items of a list are separated by ';'" : "");
    return false;
  }
  if (is_taken(name)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN,
                "%s can't be the name of a plugin, since the daemon uses it itself", name);
    return false;
  }
  for (size_t i = 0; builtin && builtin[i]; i++)
    if (strcmp(builtin[i]->name, name) == 0)
      new.plugin = builtin[i];
  if (new.plugin) {
    path = g_strdup("built in");
    if (!check_descriptor(new.plugin, name, error))
      return false;
  } else if (!(new.plugin = find_file(name, dir, &path, error))) {
    return false;
  }
  if (strcmp(new.plugin->name, name) != 0) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_PLUGIN, "plugin %s calls itself %s: rename the file",
                path, new.plugin->name);
    return false;
  }
  new.path = g_steal_pointer(&path);
  g_array_append_val(set->loaded, new);
  return true;
}

MalPluginSet *mal_plugin_set_load(const char *const *names, const char *dir,
                                  const MalPlugin *const *builtin, GError **error)
{
  g_autoptr(MalPluginSet) set = g_new0(MalPluginSet, 1);
  set->loaded = g_array_new(FALSE, FALSE, sizeof(Loaded));
  g_array_set_clear_func(set->loaded, loaded_clear);
  for (size_t i = 0; names[i]; i++)
    if (!load_one(set, names[i], dir, builtin, error))
      return NULL;
  return g_steal_pointer(&set);
}

void mal_plugin_set_free(MalPluginSet *set)
{
  if (!set)
    return;
  g_array_unref(set->loaded);
  g_free(set);
}

size_t mal_plugin_set_size(const MalPluginSet *set)
{
  return set->loaded->len;
}

const MalPlugin *mal_plugin_set_at(const MalPluginSet *set, size_t n)
{
  return g_array_index(set->loaded, Loaded, n).plugin;
}

const char *mal_plugin_set_path(const MalPluginSet *set, size_t n)
{
  return g_array_index(set->loaded, Loaded, n).path;
}
