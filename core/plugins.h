/* Finding and loading plugins: shared objects with one descriptor, checked before any of their code
   runs. */
#ifndef MAL_PLUGINS_H
#define MAL_PLUGINS_H

#include "plugin.h"

G_BEGIN_DECLS

typedef struct MalPluginSet MalPluginSet;

/* Loads NAMES (NULL-terminated), each once, from BUILTIN (NULL-terminated descriptors, may be NULL)
   or DIR/NAME.so. Errors (MAL_ERROR_PLUGIN) name the plugin, the file, and what is wrong: missing
   (with the plugins that are there), no descriptor, another ABI, another name inside, named twice.
   Shared objects stay mapped until the process ends: what they registered may be referred to until
   then. */
MalPluginSet *mal_plugin_set_load(const char *const *names, const char *dir,
                                  const MalPlugin *const *builtin, GError **error);
void mal_plugin_set_free(MalPluginSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalPluginSet, mal_plugin_set_free)
size_t mal_plugin_set_size(const MalPluginSet *set);
const MalPlugin *mal_plugin_set_at(const MalPluginSet *set, size_t n);
/* Where it came from, for plugin.list: a path, or "built in". */
const char *mal_plugin_set_path(const MalPluginSet *set, size_t n);

/* One shared object: its descriptor, or NULL with an error. *PATH_NAME is not kept. */
const MalPlugin *mal_plugin_open_file(const char *path, GError **error);

G_END_DECLS
#endif
