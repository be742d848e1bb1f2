/* The exporter for BIRD 2: the domain's routes (core/routes.h, the G-RIB of RFC 2909 section 3) as
   a file that BIRD includes.

   bird-file   what stands in the file
   bird-wire   BIRD's control protocol
   bird-sync   when what is done: the machine
   bird-plugin all that touches the world

   A round: changes gather, the file is replaced (on a worker), BIRD's control socket is connected
   to, "configure" is said, and the connection is closed. Between rounds there is none: a BIRD that
   was restarted has read the file. */
#include <config.h>

#include "bird-plugin.h"

static bool check(const MalConfig *config, const MalPlan *plan, uint32_t roles, GError **error)
{
  (void)plan, (void)roles;
  return bird_config_check(mal_config_section(config, "bird"), error);
}

static void *open_instance(const MalHost *host, GError **error)
{
  (void)error;
  return bird_plugin_open(host);
}

static bool start(void *instance, GError **error)
{
  (void)error;
  bird_plugin_start(instance);
  return true;
}

static MalReload reload(void *instance, const MalConfig *config)
{
  return bird_plugin_reload(instance, config);
}

static void stop(void *instance)
{
  bird_plugin_stop(instance);
}

static void close_instance(void *instance)
{
  bird_plugin_close(instance);
}

static void status(MalCall *call, json_object *params, void *user)
{
  (void)params;
  mal_call_reply(call, bird_plugin_status(user));
}

static void sync_now(MalCall *call, json_object *params, void *user)
{
  (void)params;
  bird_plugin_now(user);
  mal_call_reply(call, bird_plugin_status(user));
}

static const MalMethod methods[] = {
  { .name = "bird.status", .access = MAL_ACCESS_READ, .handle = status,
    .help = "Whether BIRD has the routes: what the exporter does, how many routes stand in the "
            "file, when BIRD last took it, what is wrong, and in how many seconds the next step "
            "comes (\"next_s\")." },
  { .name = "bird.sync", .access = MAL_ACCESS_WRITE, .handle = sync_now,
    .help = "Writes the file and asks BIRD to reconfigure now, whatever happened before; answers "
            "like bird.status, without waiting for BIRD." },
};

MAL_API const MalPlugin mal_plugin;
const MalPlugin mal_plugin = {
  .abi = MAL_PLUGIN_ABI,
  .name = "bird",
  .version = PACKAGE_VERSION,
  .summary = "Exporter of the domain's group prefixes to BIRD 2",
  .roles = MAL_ROLE_CLIENT | MAL_ROLE_MAAS | MAL_ROLE_COORDINATOR,
  .groups = bird_conf_groups,
  .n_groups = G_N_ELEMENTS(bird_conf_groups),
  .methods = methods,
  .n_methods = G_N_ELEMENTS(methods),
  .events = bird_events,
  .n_events = BIRD_N_EVENTS,
  .metrics = bird_metrics,
  .n_metrics = BIRD_N_METRICS,
  .check = check,
  .open = open_instance,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_instance,
};
