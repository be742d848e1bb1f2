/* What a plugin is: one exported descriptor, `mal_plugin`. The core calls its hooks in this order:

       check  (any number of times, also with no instance: is this configuration acceptable?)
       open   allocates the instance; touches neither network nor model
       restore  once for each of the plugin's own stored records
       start  sockets, timers, control methods are live from here
       reload   DONE, or RESTART (the core then does stop, close, open, restore, start)
       stop   lets go of sockets and timers; waiting calls are failed
       close  frees the instance

   See doc/plugin-guide.md for a complete example. */
#ifndef MAL_PLUGIN_H
#define MAL_PLUGIN_H

#include "address.h"
#include "conf.h"
#include "control.h"
#include "events.h"
#include "file.h"
#include "leases.h"
#include "metrics.h"
#include "model.h"
#include "routes.h"
#include "runtime.h"
#include "space.h"
#include "store.h"
#include "wire.h"

G_BEGIN_DECLS

#define MAL_PLUGIN_ABI 1

enum { MAL_ROLE_CLIENT = 1 << 0, MAL_ROLE_MAAS = 1 << 1, MAL_ROLE_COORDINATOR = 1 << 2 };

/* What an instance is given at open. All of it is the core's and stays until close. */
typedef struct {
  const char *name;           /* the plugin's own */
  uint32_t roles;
  MalRuntime *runtime;
  MalEvents *events;
  MalMetricSet *metrics;
  MalStore *store;            /* for the plugin's own records: owner = name */
  MalLeases *leases;
  MalSpace *space;
  MalControl *control;
  const MalConfig *config;    /* at open; later ones come through reload */
  MalRoutes *routes;          /* the core takes back those of the plugin's name when it stops */
} MalHost;

typedef enum { MAL_RELOAD_DONE, MAL_RELOAD_RESTART } MalReload;

/* A plugin that speaks for local clients (lease.request via=NAME, mallocctl --direct): PARAMS as
   for the control methods of the same name. */
typedef struct {
  void (*request)(void *instance, MalCall *call, json_object *params);
  void (*renew)(void *instance, MalCall *call, json_object *params);
  void (*release)(void *instance, MalCall *call, json_object *params);
  /* Does the instance hold this lease for a local client? */
  bool (*holds)(void *instance, MalLeaseId id);
  /* Appends its leases, in lease.list's form, to ARRAY. */
  void (*list)(void *instance, json_object *array);
} MalClientHooks;

typedef struct {
  uint32_t abi;               /* MAL_PLUGIN_ABI */
  /* folder, shared object, config group, control noun, metric owner: all one */
  const char *name;
  const char *version;
  const char *summary;        /* one line */
  /* those it serves: without any of them among [daemon] roles it isn't started */
  uint32_t roles;

  const MalConfGroup *groups;
  size_t n_groups;
  const MalMethod *methods;   /* USER of the handlers is the instance */
  size_t n_methods;
  const MalEventDef *const *events;
  size_t n_events;
  const MalMetricDef *metrics;
  size_t n_metrics;

  bool (*check)(const MalConfig *config, const MalPlan *plan, uint32_t roles, GError **error);
  void *(*open)(const MalHost *host, GError **error);
  bool (*restore)(void *instance, const MalRecord *record, GError **error);
  bool (*start)(void *instance, GError **error);
  MalReload (*reload)(void *instance, const MalConfig *config);
  void (*stop)(void *instance);
  void (*close)(void *instance);

  /* The steps between the sets, or NULL: layer 2 (one plugin: the last in the list) says what may
     become owned, layer 3 (all of them are told) brings available space. */
  MalVerdict (*arbitrate)(void *instance, uint64_t ticket, const MalScope *scope, MalSpan span,
                          MalTime until);
  void (*demand)(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                 MalTime until);
  const MalClientHooks *client;

  /* In place of arbitrate, layer 2 that chooses for itself what it owns (MalAcquire, MalAdopt in
     space.h): what is wanted, and a lease from the store that lies where nothing is owned yet.
     ADOPT may be NULL. */
  void (*acquire)(void *instance, const MalScope *scope, MalSpan span, uint64_t count,
                  MalTime until);
  bool (*adopt)(void *instance, const MalScope *scope, MalSpan span, MalTime until);

  /* Layer 2 that knows what others in the domain use (MalUsage in space.h): says it of SPAN to FUNC
     with TO. */
  void (*usage)(void *instance, const MalScope *scope, MalSpan span, MalUsageFunc func, void *to);
} MalPlugin;

/* Each shared object exports this one symbol. */
#define MAL_PLUGIN_SYMBOL "mal_plugin"

G_END_DECLS
#endif
