/* The whole core in one object: model, store, plugins, control. Several can live in one process
   (the simulator runs thousands); nothing here touches a socket or a clock but through the runtime.
   Not installed. */
#ifndef MAL_CORE_H
#define MAL_CORE_H

#include "leases-core.h"
#include "plugins.h"

G_BEGIN_DECLS

typedef struct MalCore MalCore;

typedef struct {
  MalRuntime *runtime;
  MalStore *store;              /* taken over; NULL: SQLite in [daemon] state-dir */
  const char *config_file;      /* read, and read again at reload */
  /* instead of the file, which then only lends its name to messages */
  const char *config_text;
  const char *plugin_dir;       /* overrides [daemon] plugin-dir; may be NULL */
  const MalPlugin *const *builtin;   /* NULL-terminated; may be NULL */
  uint32_t roles;               /* not 0: instead of [daemon] roles (mallocctl --direct) */
  MalLogWrite log;
  void *log_data;
} MalCoreOptions;

/* Is this configuration acceptable? Loads its plugins, touches neither store nor network. */
bool mal_core_check(const MalCoreOptions *options, GError **error);
/* The same for a running daemon. *NOTE, the caller's to free, says what a reload would meet; NULL:
   nothing. */
bool mal_core_check_reload(MalCore *core, const MalCoreOptions *options, char **note,
                           GError **error);

/* Everything up to, but not including, the plugins' start: configuration, plugins, store,
   leases. */
MalCore *mal_core_new(const MalCoreOptions *options, GError **error);
/* Plugins start in the order of [daemon] plugins; all or none. */
bool mal_core_start(MalCore *core, GError **error);
void mal_core_stop(MalCore *core);
/* Stops where needed, flushes and closes the store. */
void mal_core_free(MalCore *core);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalCore, mal_core_free)

/* All or nothing: with an error, the running configuration is untouched. SUMMARY (may be NULL; the
   caller frees) says what needs a restart of the daemon to take effect, or NULL. */
bool mal_core_reload(MalCore *core, char **summary, GError **error);
/* A reload is done all the same where a plugin could not start again with it (a port in use): what
   was the matter, and whether the plugin goes on as before or is stopped. NULL: nothing. Borrowed,
   until the next reload. */
const char *mal_core_reload_trouble(const MalCore *core);

MalRuntime *mal_core_runtime(MalCore *core);
MalStore *mal_core_store(MalCore *core);
MalSpace *mal_core_space(MalCore *core);
MalRoutes *mal_core_routes(MalCore *core);
MalLeases *mal_core_leases(MalCore *core);
MalEvents *mal_core_events(MalCore *core);
MalMetrics *mal_core_metrics(MalCore *core);
MalControl *mal_core_control(MalCore *core);
const MalConfig *mal_core_config(MalCore *core);
/* of the start, where state-dir and the like are in force */
const MalConfig *mal_core_first_config(MalCore *core);
const MalPlan *mal_core_plan(MalCore *core);
const MalCoreOptions *mal_core_options(MalCore *core);
uint32_t mal_core_roles(MalCore *core);
int64_t mal_core_uptime(MalCore *core);      /* seconds */
/* A fresh reading of gauges into the core's metric set. */
void mal_core_update_gauges(MalCore *core);

typedef struct {
  const MalPlugin *plugin;
  const char *path;
  const char *state;            /* "running", "idle" (none of its roles), "stopped" */
  void *instance;               /* NULL unless running */
} MalPluginStatus;
size_t mal_core_plugins(MalCore *core);
MalPluginStatus mal_core_plugin(MalCore *core, size_t n);

/* Ranges and reserves made by hand (control socket), kept in the store. DONE comes when they are
   durable. */
typedef void (*MalCoreDone)(const GError *error, void *data);
bool mal_core_range_add(MalCore *core, const char *scope, const char *name, MalSpan span,
                        MalTime until, MalCoreDone done, void *data, GError **error);
/* With FORCE, live leases in it are revoked; else they are a reason to refuse. */
bool mal_core_range_remove(MalCore *core, const char *name, bool force, MalCoreDone done,
                           void *data, GError **error);
bool mal_core_reserve_add(MalCore *core, const char *scope, const char *name, GArray *spans,
                          const char *comment, MalCoreDone done, void *data, GError **error);
bool mal_core_reserve_remove(MalCore *core, const char *name, MalCoreDone done, void *data,
                             GError **error);

/* The core's own control methods (core/methods*.c), added to CONTROL with CORE as their user. */
void mal_core_add_methods(MalCore *core, MalControl *control);

G_END_DECLS
#endif
