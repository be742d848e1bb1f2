/* The MASC plugin (RFC 2909): descriptor and hooks. Files:

   masc-wire-*, masc-open, masc-compare, masc-limits  the codec and what is said about messages
   masc-session*                                      the connection machine of section 10
   masc-zone*, masc-cache, masc-update, masc-peers,
   masc-own*, masc-clash, masc-local, masc-plan*      the machine of one scope: sections 5, 11, 12
   masc-plugin*, masc-config*, masc-methods,
   masc-show, masc-tree                               all that touches the world */
#include <config.h>

#include "masc-methods.h"

static bool check(const MalConfig *config, const MalPlan *plan, uint32_t roles, GError **error)
{
  bool coordinator = (roles & MAL_ROLE_COORDINATOR) != 0;
  g_autoptr(MascSettings) settings = masc_settings_new(config, plan->scopes, coordinator, error);
  return settings != NULL;
}

static void *open_instance(const MalHost *host, GError **error)
{
  return masc_plugin_open(host, error);
}

static bool restore(void *instance, const MalRecord *record, GError **error)
{
  return masc_store_restore(instance, record, error);
}

static bool start(void *instance, GError **error)
{
  return masc_plugin_start(instance, error);
}

static MalReload reload(void *instance, const MalConfig *config)
{
  return masc_plugin_reload(instance, config);
}

static void stop(void *instance)
{
  masc_plugin_stop(instance);
}

static void close_instance(void *instance)
{
  masc_plugin_close(instance);
}

static void demand(void *instance, MalLevel level, const MalScope *scope, uint64_t count,
                   MalTime until)
{
  (void)level;
  masc_demand_asked(instance, scope, count, until);
}

MAL_API const MalPlugin mal_plugin;
const MalPlugin mal_plugin = {
  .abi = MAL_PLUGIN_ABI,
  .name = "masc",
  .version = PACKAGE_VERSION,
  .summary = "Multicast Address-Set Claim protocol (RFC 2909)",
  .roles = MAL_ROLE_COORDINATOR,
  .groups = masc_conf_groups,
  .n_groups = MASC_N_CONF_GROUPS,
  .methods = masc_methods,
  .n_methods = MASC_N_METHODS,
  .events = masc_events,
  .n_events = MASC_N_EVENTS,
  .metrics = masc_metrics,
  .n_metrics = MASC_N_METRICS,
  .check = check,
  .open = open_instance,
  .restore = restore,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_instance,
  .demand = demand,
};
