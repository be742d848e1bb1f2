/* The client's actor: the plugin's hooks. Errands are in madcap-plugin-client-errand.c, leases in
   -lease.c and -held.c, scopes and servers in -scopes.c. */
#include "madcap-plugin-client.h"

/* ---- hooks ----------------------------------------------------------------------------------- */

static bool check(const MalConfig *config, const MalPlan *plan, GError **error)
{
  const MalConfSection *s = mal_config_section(config, "madcap");

  (void)plan;
  for (size_t i = 0; i < mal_conf_length(s, "client-groups"); i++) {
    const char *text = mal_conf_item(s, "client-groups", i);
    MalAddress address;
    if (mal_address_parse(text, &address, NULL) && mal_address_is_multicast(address))
      continue;
    g_autofree char *place = mal_conf_place(s, "client-groups");
    g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: \"%s\": expected a multicast address",
                place, text);
    return false;
  }
  for (size_t i = 0; i < mal_conf_length(s, "servers"); i++) {
    MalAddress address = mal_conf_endpoint_at(s, "servers", i, 1).address;
    if (!mal_address_is_multicast(address) && address.value != 0)
      continue;
    g_autofree char *place = mal_conf_place(s, "servers");
    g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                "%s: \"%s\" is nobody's unicast address; groups go into client-groups", place,
                mal_conf_item(s, "servers", i));
    return false;
  }
  return true;
}

static void *open_part(const MalHost *host, GError **error)
{
  ClientPart *p = g_new0(ClientPart, 1);

  (void)error;
  p->host = *host;
  p->config = mal_config_ref((MalConfig *)host->config);
  p->errands = g_ptr_array_new();
  p->by_xid = g_hash_table_new(g_direct_hash, g_direct_equal);
  p->held = g_ptr_array_new();
  p->by_id = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                   NULL);
  p->pending = g_ptr_array_new_with_free_func(g_free);
  p->line = g_ptr_array_new_with_free_func(client_line_free);
  p->scopes = g_ptr_array_new_with_free_func(client_scopes_clear);
  p->known = g_array_new(FALSE, FALSE, sizeof(ClientServer));
  p->armed = INT64_MAX;
  mal_runtime_random(host->runtime, &p->next_xid, sizeof p->next_xid);
  return p;
}

static void open_socket(ClientPart *p, MalFamily family)
{
  MalUdpOptions options = {
    .family = family,
    .multicast_loop = true,
    .multicast_ttl = (uint8_t)mal_conf_integer(client_section(p), "multicast-ttl"),
  };

  p->udp[family == MAL_IPV6] = mal_udp_open(p->host.runtime, &options, client_received, p, NULL);
}

static void stop(void *part)
{
  ClientPart *p = part;

  p->running = false;
  client_errands_cancel(p);
  client_leases_stop(p);
  g_clear_pointer(&p->timer, mal_timer_free);
  p->armed = INT64_MAX;
  for (size_t f = 0; f < 2; f++)
    g_clear_pointer(&p->udp[f], mal_udp_close);
}

static bool start(void *part, GError **error)
{
  ClientPart *p = part;

  open_socket(p, MAL_IPV4);
  open_socket(p, MAL_IPV6);
  if (p->udp[0] == NULL && p->udp[1] == NULL) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
                "no UDP socket can be opened for the MADCAP client");
    return false;
  }
  p->running = true;
  p->timer = mal_timer_new(p->host.runtime, client_tick, p);
  client_leases_start(p);
  return true;
}

static MalReload reload(void *part, const MalConfig *config)
{
  ClientPart *p = part;

  mal_config_unref(p->config);
  p->config = mal_config_ref((MalConfig *)config);
  for (size_t f = 0; f < 2; f++)
    if (p->udp[f] != NULL)
      mal_udp_set_multicast_ttl(p->udp[f],
                                (uint8_t)mal_conf_integer(client_section(p), "multicast-ttl"));
  return MAL_RELOAD_DONE;
}

static void close_part(void *part)
{
  ClientPart *p = part;

  for (guint i = 0; i < p->held->len; i++)
    madcap_held_free(g_ptr_array_index(p->held, i));
  g_ptr_array_unref(p->held);
  g_hash_table_unref(p->by_id);
  g_hash_table_unref(p->by_xid);
  g_ptr_array_unref(p->errands);
  g_ptr_array_unref(p->pending);
  g_ptr_array_unref(p->line);
  g_ptr_array_unref(p->scopes);
  g_array_unref(p->known);
  mal_config_unref(p->config);
  g_free(p);
}

static bool restore(void *part, const MalRecord *record, GError **error)
{
  return client_restore(part, record, error);
}

static void describe(void *part, json_object *out)
{
  json_object_object_add(out, "known", client_known_json(part));
}

const MadcapPart madcap_client_part = {
  .role = MAL_ROLE_CLIENT,
  .check = check,
  .open = open_part,
  .restore = restore,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_part,
  .describe = describe,
};

/* ---- for madcap.c ---------------------------------------------------------------------------- */

static ClientPart *part_of(void *instance, MalCall *call)
{
  ClientPart *p = madcap_instance_part(instance, MAL_ROLE_CLIENT);

  if (p == NULL)
    client_fail(call, MAL_ERROR_PLUGIN,
                "add client to [daemon] roles: without it, madcap is a server only");
  return p;
}

static void hook_request(void *instance, MalCall *call, json_object *params)
{
  ClientPart *p = part_of(instance, call);

  if (p != NULL)
    client_request(p, call, params);
}

static void hook_renew(void *instance, MalCall *call, json_object *params)
{
  ClientPart *p = part_of(instance, call);

  if (p != NULL)
    client_renew(p, call, params);
}

static void hook_release(void *instance, MalCall *call, json_object *params)
{
  ClientPart *p = part_of(instance, call);

  if (p != NULL)
    client_release(p, call, params);
}

static bool hook_holds(void *instance, MalLeaseId id)
{
  ClientPart *p = madcap_instance_part(instance, MAL_ROLE_CLIENT);

  return p != NULL && client_holds(p, id);
}

static void hook_list(void *instance, json_object *array)
{
  ClientPart *p = madcap_instance_part(instance, MAL_ROLE_CLIENT);

  if (p != NULL)
    client_list(p, array);
}

const MalClientHooks madcap_client_hooks = {
  .request = hook_request,
  .renew = hook_renew,
  .release = hook_release,
  .holds = hook_holds,
  .list = hook_list,
};

void madcap_client_scopes(MalCall *call, json_object *params, void *user)
{
  ClientPart *p = part_of(user, call);

  if (p != NULL)
    client_ask_scopes(p, call, params);
}
