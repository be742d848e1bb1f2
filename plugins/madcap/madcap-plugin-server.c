/* The server's actor: sockets, timer, interfaces and the lease engine around the machine. Nothing
   is decided here. */
#include "madcap-plugin.h"

#include "madcap-plugin-later.h"
#include "madcap-plugin-links.h"
#include "madcap-plugin-overload.h"
#include "madcap-server.h"
#include "madcap-tables.h"

typedef struct {
  MalHost host;
  MalConfig *config;
  MadcapServer *machine;
  MalUdp *udp[2];
  MadcapLinks *links;
  MadcapOverload overload;
  MadcapLater *later;
  MalTimer *timer;
  int64_t armed;              /* what the timer is set to */
} ServerPart;

/* ---- time ------------------------------------------------------------------------------------ */

static MalTime wall(const ServerPart *p)
{
  return mal_runtime_now(p->host.runtime);
}

static int64_t monotonic(const ServerPart *p)
{
  return mal_runtime_monotonic(p->host.runtime);
}

/* After each step. Being woken too early is harmless, so a deadline that moved away is not
   followed. */
static void settle(ServerPart *p)
{
  int64_t due = MIN(madcap_server_due(p->machine), madcap_overload_due(&p->overload));

  madcap_server_gauges(p->machine);
  if (due >= p->armed)
    return;
  p->armed = due;
  mal_timer_set(p->timer, due);
}

static void tick(void *data)
{
  ServerPart *p = data;

  p->armed = INT64_MAX;
  madcap_server_tick(p->machine, mal_leases_now(p->host.leases), monotonic(p));
  madcap_overload_tick(&p->overload, monotonic(p));
  settle(p);
}

/* ---- the machine's actions ------------------------------------------------------------------- */

/* Link-local: it means nothing to the routing table. */
static bool needs_interface(MalAddress a)
{
  if (a.family == MAL_IPV4)
    return (unsigned)(a.value >> 16) == 0xA9FE;
  return a.family == MAL_IPV6 && (unsigned)(a.value >> 118) == 0xFE80u >> 6;
}

static void act_send(void *user, const MadcapArrival *to, const uint8_t *data, size_t length)
{
  ServerPart *p = user;
  MalUdp *udp = p->udp[to->peer.address.family == MAL_IPV6];
  MalDatagram datagram = {
    .peer = to->peer, .local = to->server_id, .data = data, .length = length,
    .ifindex = needs_interface(to->peer.address) ? to->ifindex : 0,
  };

  if (udp != NULL)
    mal_udp_send(udp, &datagram);
}

static void engine_done(const MalLease *lease, const GError *error, void *user, uint64_t cookie)
{
  ServerPart *p = user;
  int64_t mono = monotonic(p);

  madcap_overload_back(&p->overload, cookie, mono);
  madcap_server_answer(p->machine, cookie, lease, error, wall(p), mono);
  settle(p);
}

static bool act_lease(void *user, MalLeaseId id, MalLease *out)
{
  return mal_leases_get(((ServerPart *)user)->host.leases, id, out);
}

static bool act_waiting(void *user, MalLeaseId id)
{
  return mal_leases_is_waiting(((ServerPart *)user)->host.leases, id);
}

static bool act_hold(void *user, const MalLeaseRequest *request, MalTime now, MalTime until,
                     MalLease *out, MalRefusal *why)
{
  ServerPart *p = user;

  if (mal_leases_hold(p->host.leases, request, now, until, out, why))
    return true;
  madcap_later_refused(p->later, why);
  return false;
}

static bool act_unhold(void *user, MalLeaseId id)
{
  return mal_leases_unhold(((ServerPart *)user)->host.leases, id);
}

/* The overload's watch wants to know how long changes take. */
static MalAnswer sent(ServerPart *p, MalAnswer answer, uint64_t cookie)
{
  if (answer == MAL_ANSWER_GRANTED)
    madcap_overload_sent(&p->overload, cookie);
  return answer;
}

static MalAnswer act_request(void *user, const MalLeaseRequest *request, MalTime now,
                             uint64_t cookie, MalRefusal *why)
{
  ServerPart *p = user;

  return sent(p, mal_leases_request(p->host.leases, request, now, engine_done, p, cookie, why),
              cookie);
}

static MalAnswer act_renew(void *user, MalLeaseId id, const MalRenewal *renewal, MalTime now,
                           uint64_t cookie, MalRefusal *why)
{
  ServerPart *p = user;

  return sent(p, mal_leases_renew(p->host.leases, id, renewal, now, engine_done, p, cookie, why),
              cookie);
}

static MalAnswer act_release(void *user, MalLeaseId id, MalTime now, uint64_t cookie,
                             MalRefusal *why)
{
  ServerPart *p = user;

  return sent(p,
              mal_leases_release(p->host.leases, id, now, "released", engine_done, p, cookie, why),
              cookie);
}

static void act_when_durable(void *user, MalLeaseId id, uint64_t cookie)
{
  mal_leases_when_durable(((ServerPart *)user)->host.leases, id, engine_done, user, cookie);
}

/* ---- news ------------------------------------------------------------------------------------ */

static const MalEventDef *event_of(MadcapNewsKind kind)
{
  switch (kind) {
  case MADCAP_NEWS_REFUSED: return &madcap_event_refused;
  case MADCAP_NEWS_SKEW: return &madcap_event_skew;
  case MADCAP_NEWS_RATE: return &madcap_event_rate;
  case MADCAP_NEWS_OVERLOAD: return &madcap_event_overload;
  case MADCAP_NEWS_WAITING: return &madcap_event_waiting;
  case MADCAP_NEWS_IGNORED: break;
  }
  return &madcap_event_ignored;
}

static void say_refused(ServerPart *p, const MadcapNews *news, const char *peer)
{
  const MalField fields[] = {
    MAL_F_ADDRESS("client", news->from->peer.address),
    MAL_F_STRING("type", madcap_type_name(news->type)),
    MAL_F_INT("error", news->code),
    MAL_F_INT("option", news->option),
  };
  bool names_option =
      news->code <= MADCAP_ERROR_INVALID_REQUEST && news->option != MADCAP_NO_OPTION;

  MAL_EVENT(p->host.events, &madcap_event_refused, fields, "%s from %s refused: %s%s%s",
            madcap_type_name(news->type), peer, madcap_error_name(news->code),
            names_option ? ", " : "", names_option ? madcap_option_name(news->option) : "");
}

static void say_ignored(ServerPart *p, const MadcapNews *news, const char *peer)
{
  const char *reason = news->type == 0 ? madcap_reason_name(news->reason)
                       : madcap_type_from_server(news->type) ? "servers don't answer it"
                                                             : "not to be answered at this group";
  const char *type = news->type == 0 ? "datagram" : madcap_type_name(news->type);
  const MalField fields[] = {
    MAL_F_ADDRESS("client", news->from->peer.address),
    MAL_F_ADDRESS("destination", news->from->destination),
    MAL_F_STRING("type", type),
    MAL_F_STRING("reason", reason),
  };

  MAL_EVENT(p->host.events, &madcap_event_ignored, fields, "%s from %s ignored: %s", type, peer,
            reason);
}

static void act_news(void *user, const MadcapNews *news)
{
  ServerPart *p = user;
  const MalEventDef *def = event_of(news->kind);
  char peer[MAL_ENDPOINT_STRLEN];

  if (!mal_event_wanted(p->host.events, def))
    return;
  mal_endpoint_format(news->from->peer, peer);
  const MalField fields[] = {
    MAL_F_ADDRESS("client", news->from->peer.address), MAL_F_INT("skew", news->skew),
    MAL_F_BYTES("lease", news->id.bytes, news->id.length),
  };
  switch (news->kind) {
  case MADCAP_NEWS_REFUSED: say_refused(p, news, peer); break;
  case MADCAP_NEWS_IGNORED: say_ignored(p, news, peer); break;
  case MADCAP_NEWS_SKEW:
    mal_event(p->host.events, def, fields, 2, "the clock of %s is off by %" G_GINT64_FORMAT " s",
              peer, news->skew);
    break;
  case MADCAP_NEWS_RATE:
    mal_event(p->host.events, def, fields, 1, "%s sends more than rate-limit allows", peer);
    break;
  case MADCAP_NEWS_OVERLOAD:
    mal_event(p->host.events, def, fields, 1,
              "no room for another transaction: dropped one from %s", peer);
    break;
  case MADCAP_NEWS_WAITING:
    mal_event(p->host.events, def, fields, 3, "a request from %s waits for space", peer);
    break;
  }
}

static const MadcapServerOps ops = {
  .send = act_send,
  .lease = act_lease,
  .waiting = act_waiting,
  .hold = act_hold,
  .unhold = act_unhold,
  .request = act_request,
  .renew = act_renew,
  .release = act_release,
  .when_durable = act_when_durable,
  .news = act_news,
};

/* ---- datagrams ------------------------------------------------------------------------------- */

/* Whom to answer. The kernel lets a multicast datagram on loopback go without a source address;
   anywhere else none, like a multicast source or port 0, is a forgery. */
static bool find_arrival(const ServerPart *p, const MalDatagram *d, MadcapArrival *from)
{
  *from = (MadcapArrival){
    .peer = d->peer, .destination = d->local, .ifindex = d->ifindex,
    .server_id = madcap_links_server_id(p->links, d),
  };
  if (from->peer.address.value == 0 && madcap_links_is_loopback(p->links, d->ifindex))
    from->peer.address = from->server_id;
  return from->server_id.family != MAL_FAMILY_NONE && from->peer.address.value != 0 &&
         from->peer.port != 0 && !mal_address_is_multicast(from->peer.address);
}

static void received(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  ServerPart *p = data;
  MalTime now = mal_leases_now(p->host.leases);
  int64_t mono = monotonic(p);
  unsigned seen = 0;

  for (size_t i = 0; i < count; i++) {
    const MalDatagram *d = &datagrams[i];
    MadcapArrival from;
    seen |= 1u << madcap_shed_class(d->length > 1 ? d->data[1] : 0);
    if (d->truncated) {
      mal_count(p->host.metrics, MADCAP_M_IGNORED_TRUNCATED, 1);
      continue;
    }
    if (!find_arrival(p, d, &from)) {
      mal_count(p->host.metrics, MADCAP_M_IGNORED_ELSEWHERE, 1);
      continue;
    }
    madcap_server_receive(p->machine, &from, d->data, d->length, now, mono);
    madcap_later_received(p->later, &from, d->data, d->length);
  }
  madcap_overload_note(&p->overload, udp, seen, mono);
  settle(p);
}

static void received_again(const MadcapArrival *from, const uint8_t *octets, size_t length,
                           void *data)
{
  ServerPart *p = data;

  madcap_server_receive(p->machine, from, octets, length, mal_leases_now(p->host.leases),
                        monotonic(p));
  settle(p);
}

/* ---- configuration --------------------------------------------------------------------------- */

static const MalConfSection *section_of(const MalConfig *config)
{
  return mal_config_section(config, "madcap");
}

static bool check(const MalConfig *config, const MalPlan *plan, GError **error)
{
  const MalConfSection *s = section_of(config);
  g_autoptr(GArray) groups = madcap_groups_new(s, plan->scopes, error);

  return groups != NULL && madcap_groups_check(groups, s, plan, error);
}

static MadcapServerConfig read_config(const MalConfSection *s)
{
  return (MadcapServerConfig){
    .default_lease_time = mal_conf_integer(s, "default-lease-time"),
    .max_lease_time = mal_conf_integer(s, "max-lease-time"),
    .offer_hold = mal_conf_integer(s, "offer-hold"),
    .response_cache = mal_conf_integer(s, "response-cache"),
    .cache_entries = (size_t)mal_conf_integer(s, "response-cache-entries"),
    .cache_octets = (size_t)mal_conf_integer(s, "response-cache-octets"),
    .extra_allocation_time = mal_conf_integer(s, "extra-allocation-time"),
    .clock_skew_allowance = mal_conf_integer(s, "clock-skew-allowance"),
    .retry_after = mal_conf_integer(s, "retry-after"),
    .max_per_request = (uint32_t)mal_conf_integer(s, "max-addresses-per-request"),
    .max_per_client = (uint32_t)mal_conf_integer(s, "max-addresses-per-client"),
    .rate_limit = (uint32_t)mal_conf_integer(s, "rate-limit"),
    .anyone_may_change = g_strcmp0(mal_conf_string(s, "lease-owner"), "any") == 0,
    .beyond_local_scope = mal_conf_bool(s, "beyond-local-scope"),
  };
}

static void addresses_changed(void *data)
{
  ServerPart *p = data;
  const GArray *addresses = madcap_links_addresses(p->links);

  madcap_server_set_addresses(p->machine, (const MalAddress *)(const void *)addresses->data,
                              addresses->len);
}

/* Who asks where the RFC says finds nobody: worth a word, since nothing else would say it. */
static void look_for_local_group(const ServerPart *p, const GArray *groups)
{
  bool some = false;

  for (guint i = 0; i < groups->len; i++) {
    const MadcapGroup *group = &g_array_index(groups, MadcapGroup, i);
    if (madcap_group_is_local(group->address))
      return;
    some = some || group->address.family == MAL_IPV4;
  }
  if (some)
    mal_event(p->host.events, &madcap_event_no_local_group, NULL, 0,
              "no scope has the group 239.255.255.254, where clients look for servers that nobody "
              "told them: see server-groups");
}

static bool apply(ServerPart *p, GError **error)
{
  const MalConfSection *s = section_of(p->config);
  MalScopeSet *scopes = (MalScopeSet *)mal_leases_scopes(p->host.leases);
  g_autoptr(GArray) groups = madcap_groups_new(s, scopes, error);
  g_autoptr(GPtrArray) names = g_ptr_array_new();

  if (groups == NULL)
    return false;
  MadcapServerConfig config = read_config(s);
  madcap_server_configure(p->machine, &config, scopes, groups);
  for (size_t i = 0; i < mal_conf_length(s, "interfaces"); i++)
    g_ptr_array_add(names, (gpointer)mal_conf_item(s, "interfaces", i));
  g_ptr_array_add(names, NULL);
  madcap_links_configure(p->links, (char *const *)names->pdata, groups);
  addresses_changed(p);
  look_for_local_group(p, groups);
  return true;
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static void *open_part(const MalHost *host, GError **error)
{
  ServerPart *p = g_new0(ServerPart, 1);
  MalHashKey key;

  (void)error;
  p->host = *host;
  p->config = mal_config_ref((MalConfig *)host->config);
  mal_runtime_random(host->runtime, &key, sizeof key);
  p->machine = madcap_server_new(&ops, p, host->metrics, &key);
  p->armed = INT64_MAX;
  return p;
}

static bool host_has(const ServerPart *p, MalFamily family)
{
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(p->host.runtime);

  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    for (size_t k = 0; k < interface->n_addresses; k++)
      if (interface->addresses[k].family == family)
        return true;
  }
  return false;
}

/* A host without a family at all does without its socket. */
static bool open_socket(ServerPart *p, MalFamily family, GError **error)
{
  g_autoptr(GError) problem = NULL;
  MalUdpOptions options = {
    .family = family,
    .port = (uint16_t)mal_conf_integer(section_of(p->config), "port"),
    .multicast_ttl = 1,
  };
  MalUdp **udp = &p->udp[family == MAL_IPV6];

  *udp = mal_udp_open(p->host.runtime, &options, received, p, &problem);
  if (*udp != NULL || !host_has(p, family))
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

static void stop(void *part)
{
  ServerPart *p = part;

  mal_leases_forget(p->host.leases, p);
  g_clear_pointer(&p->later, madcap_later_free);
  g_clear_pointer(&p->links, madcap_links_free);
  g_clear_pointer(&p->timer, mal_timer_free);
  for (size_t f = 0; f < 2; f++)
    g_clear_pointer(&p->udp[f], mal_udp_close);
}

static bool start(void *part, GError **error)
{
  ServerPart *p = part;

  p->timer = mal_timer_new(p->host.runtime, tick, p);
  p->later = madcap_later_new(&p->host, received_again, p);
  if (open_socket(p, MAL_IPV4, error) && open_socket(p, MAL_IPV6, error)) {
    madcap_overload_start(&p->overload, &p->host, p->udp);
    p->links = madcap_links_new(&p->host, p->udp, addresses_changed, p);
    if (apply(p, error))
      return true;
  }
  stop(p);
  return false;
}

static MalReload reload(void *part, const MalConfig *config)
{
  ServerPart *p = part;
  int64_t port = mal_conf_integer(section_of(p->config), "port");

  if (mal_conf_integer(section_of(config), "port") != port)
    return MAL_RELOAD_RESTART;
  mal_config_unref(p->config);
  p->config = mal_config_ref((MalConfig *)config);
  return apply(p, NULL) ? MAL_RELOAD_DONE : MAL_RELOAD_RESTART;
}

static void close_part(void *part)
{
  ServerPart *p = part;

  madcap_server_free(p->machine);
  mal_config_unref(p->config);
  g_free(p);
}

static json_object *socket_json(const ServerPart *p, size_t f)
{
  json_object *out = json_object_new_object();
  MalFamily family = f == 0 ? MAL_IPV4 : MAL_IPV6;
  const MalUdp *udp = p->udp[f];
  MalUdpCounters c = mal_udp_counters(udp);

  json_object_object_add(out, "family", json_object_new_string(mal_family_name(family)));
  json_object_object_add(out, "port", json_object_new_int(mal_udp_port(udp)));
  json_object_object_add(out, "received", json_object_new_int64((int64_t)c.received));
  json_object_object_add(out, "sent", json_object_new_int64((int64_t)c.sent));
  json_object_object_add(out, "send_errors", json_object_new_int64((int64_t)c.send_errors));
  json_object_object_add(out, "truncated", json_object_new_int64((int64_t)c.truncated));
  json_object_object_add(out, "batches", json_object_new_int64((int64_t)c.batches));
  json_object_object_add(out, "dropped", json_object_new_int64((int64_t)c.dropped));
  json_object_object_add(out, "dropping_percent", madcap_overload_json(&p->overload, f));
  return out;
}

static void describe(void *part, json_object *out)
{
  ServerPart *p = part;
  json_object *serving, *sockets, *cache;
  const uint64_t *m = p->host.metrics->values;

  if (p->links == NULL)
    return;
  serving = json_object_new_object();
  sockets = json_object_new_array();
  cache = json_object_new_object();
  for (size_t f = 0; f < 2; f++)
    if (p->udp[f] != NULL)
      json_object_array_add(sockets, socket_json(p, f));
  madcap_server_gauges(p->machine);
  json_object_object_add(cache, "entries",
                         json_object_new_int64((int64_t)m[MADCAP_M_CACHE_ENTRIES]));
  json_object_object_add(cache, "octets", json_object_new_int64((int64_t)m[MADCAP_M_CACHE_OCTETS]));
  json_object_object_add(cache, "pending", json_object_new_int64((int64_t)m[MADCAP_M_PENDING]));
  json_object_object_add(serving, "sockets", sockets);
  json_object_object_add(serving, "interfaces",
                         madcap_links_describe(p->links, mal_leases_scopes(p->host.leases)));
  json_object_object_add(serving, "cache", cache);
  json_object_object_add(out, "serving", serving);
}

const MadcapPart madcap_server_part = {
  .role = MAL_ROLE_MAAS,
  .check = check,
  .open = open_part,
  .start = start,
  .reload = reload,
  .stop = stop,
  .close = close_part,
  .describe = describe,
};
