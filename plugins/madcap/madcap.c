/* The MADCAP plugin (RFC 2730, RFC 2907): a descriptor and two halves.

   madcap-wire*            the codec: octets <-> MadcapMessage
   madcap-groups           the MADCAP Server Multicast Addresses of scopes (2.10)
   madcap-server*          the server machine: a datagram and the model's answers in, replies and
                           requests to the model out. It owns the response cache, whose entries are
                           the transactions.
   madcap-shed             what an overloaded server lets the kernel drop
   madcap-plugin-server    the server's actor: sockets, interfaces, the lease engine
   madcap-client*          the client machine
   madcap-plugin-client*   its actor, by errand
   madcap-tables           config keys, events, metrics

   The halves share nothing but this file's instance: each opens its own sockets, so that one daemon
   may lease to others and from others. */
#include <config.h>

#include "madcap-plugin.h"
#include "madcap-tables.h"

#include <string.h>

static const MadcapPart *const parts[] = {
  &madcap_server_part,
  &madcap_client_part,
};
#define N_PARTS G_N_ELEMENTS(parts)

struct MadcapInstance {
  uint32_t roles;
  void *part[N_PARTS];        /* NULL: not a role of this daemon */
};

void *madcap_instance_part(MadcapInstance *instance, uint32_t role)
{
  for (size_t i = 0; i < N_PARTS; i++)
    if (parts[i]->role == role)
      return instance->part[i];
  return NULL;
}

static bool check_lease_times(const MalConfSection *s, GError **error)
{
  int64_t normal = mal_conf_integer(s, "default-lease-time"),
          most = mal_conf_integer(s, "max-lease-time");

  if (normal <= most)
    return true;
  g_autofree char *place = mal_conf_place(s, "default-lease-time");
  g_autofree char *a = mal_duration_format(normal), *b = mal_duration_format(most);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s is longer than max-lease-time (%s)",
              place, a, b);
  return false;
}

static bool check(const MalConfig *config, const MalPlan *plan, uint32_t roles, GError **error)
{
  const MalConfSection *s = mal_config_section(config, "madcap");

  if (!check_lease_times(s, error) || !mal_conf_check_interfaces(s, "interfaces", error))
    return false;
  for (size_t i = 0; i < N_PARTS; i++)
    if ((roles & parts[i]->role) != 0 && parts[i]->check != NULL &&
        !parts[i]->check(config, plan, error))
      return false;
  return true;
}

static void close_instance(void *data)
{
  MadcapInstance *instance = data;

  for (size_t i = 0; i < N_PARTS; i++)
    if (instance->part[i] != NULL)
      parts[i]->close(instance->part[i]);
  g_free(instance);
}

static void *open_instance(const MalHost *host, GError **error)
{
  MadcapInstance *instance = g_new0(MadcapInstance, 1);

  instance->roles = host->roles;
  for (size_t i = 0; i < N_PARTS; i++) {
    if ((host->roles & parts[i]->role) == 0)
      continue;
    instance->part[i] = parts[i]->open(host, error);
    if (instance->part[i] == NULL) {
      close_instance(instance);
      return NULL;
    }
  }
  return instance;
}

/* A record of a half that isn't there now (the role was taken away) stays in the store for its
   return. */
static bool restore(void *data, const MalRecord *record, GError **error)
{
  MadcapInstance *instance = data;

  for (size_t i = 0; i < N_PARTS; i++)
    if (instance->part[i] != NULL && parts[i]->restore != NULL &&
        !parts[i]->restore(instance->part[i], record, error))
      return false;
  return true;
}

static bool start(void *data, GError **error)
{
  MadcapInstance *instance = data;

  for (size_t i = 0; i < N_PARTS; i++) {
    if (instance->part[i] == NULL || parts[i]->start(instance->part[i], error))
      continue;
    while (i-- > 0)
      if (instance->part[i] != NULL)
        parts[i]->stop(instance->part[i]);
    return false;
  }
  return true;
}

static MalReload reload(void *data, const MalConfig *config)
{
  MadcapInstance *instance = data;
  MalReload answer = MAL_RELOAD_DONE;

  for (size_t i = 0; i < N_PARTS; i++)
    if (instance->part[i] != NULL &&
        parts[i]->reload(instance->part[i], config) == MAL_RELOAD_RESTART)
      answer = MAL_RELOAD_RESTART;
  return answer;
}

static void stop(void *data)
{
  MadcapInstance *instance = data;

  for (size_t i = 0; i < N_PARTS; i++)
    if (instance->part[i] != NULL)
      parts[i]->stop(instance->part[i]);
}

/* ---- control --------------------------------------------------------------------------------- */

static void servers(MalCall *call, json_object *params, void *user)
{
  MadcapInstance *instance = user;
  json_object *out = json_object_new_object();

  (void)params;
  for (size_t i = 0; i < N_PARTS; i++)
    if (instance->part[i] != NULL)
      parts[i]->describe(instance->part[i], out);
  mal_call_reply(call, out);
}

static const MalParam scopes_params[] = {
  { "family", MAL_PARAM_STRING, false, "ipv4 or ipv6; both" },
  { "language", MAL_PARAM_STRING, false, "of the names, such as \"en\"; all" },
  { "server", MAL_PARAM_STRING, false,
    "the server to ask; those configured, then the multicast groups" },
  { "interface", MAL_PARAM_STRING, false, "the interface to ask on; all" },
};

static const MalMethod methods[] = {
  { .name = "madcap.scopes",
    .access = MAL_ACCESS_WRITE,
    .params = scopes_params,
    .n_params = G_N_ELEMENTS(scopes_params),
    .handle = madcap_client_scopes,
    .help = "Role client: asks MADCAP servers for the scopes in effect here (GETINFO, RFC 2730 "
            "2.2.1), with names by language and nesting (RFC 2907), and answers with `scopes` and "
            "`servers`." },
  { .name = "madcap.servers",
    .access = MAL_ACCESS_READ,
    .handle = servers,
    .help = "Role maas: `serving` with sockets, interfaces, and the groups joined on each. Role "
            "client: "
            "`known`, the servers it has heard of." },
};

MAL_API const MalPlugin mal_plugin;
const MalPlugin mal_plugin = {
  .abi = MAL_PLUGIN_ABI,
  .name = "madcap",
  .version = PACKAGE_VERSION,
  .summary = "Multicast Address Dynamic Client Allocation Protocol (RFC 2730, RFC 2907)",
  .roles = MAL_ROLE_MAAS | MAL_ROLE_CLIENT,
  .groups = madcap_conf_groups,
  .n_groups = MADCAP_N_CONF_GROUPS,
  .methods = methods,
  .n_methods = G_N_ELEMENTS(methods),
  .events = madcap_events,
  .n_events = MADCAP_N_EVENTS,
  .metrics = madcap_metrics,
  .n_metrics = MADCAP_N_METRICS,
  .check = check,
  .open = open_instance,
  .restore = restore,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_instance,
  .client = &madcap_client_hooks,
};
