/* The client's errands: what carries the machine's actions out, and who waits for them. What is
   said when is the machine's matter (madcap-client.h). */
#include "madcap-plugin-client.h"

#include <string.h>

/* An errand whose caller may go away is looked at this often. */
#define LOOK_AT_CALLERS (2 * MAL_US)
#define GATHER MAL_US
#define RELEASE_ATTEMPTS 5

/* ---- small things ---------------------------------------------------------------------------- */

const MalConfSection *client_section(const ClientPart *p)
{
  return mal_config_section(p->config, "madcap");
}

uint16_t client_port(const ClientPart *p)
{
  return (uint16_t)mal_conf_integer(client_section(p), "port");
}

void client_fail(MalCall *call, MalErrorCode code, const char *format, ...)
{
  va_list args;

  if (call == NULL)
    return;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  mal_call_fail_literal(call, code, text);
}

static bool is_live(const ClientErrand *e)
{
  return e->call != NULL && !mal_call_is_gone(e->call);
}

bool client_param_server(ClientPart *p, MalCall *call, json_object *params, MalEndpoint *out)
{
  const char *text = mal_param_string(params, "server", NULL);
  g_autoptr(GError) error = NULL;

  *out = (MalEndpoint){ .address = mal_address_none() };
  if (text == NULL)
    return true;
  if (!mal_endpoint_parse(text, client_port(p), out, &error)) {
    client_fail(call, MAL_ERROR_INVALID, "server: %s", error->message);
    return false;
  }
  if (!mal_address_is_multicast(out->address))
    return true;
  client_fail(call, MAL_ERROR_INVALID, "server: %s is a multicast address", text);
  return false;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static bool is_named(const ClientPart *p, const char *name)
{
  const MalConfSection *s = client_section(p);

  for (size_t i = 0; i < mal_conf_length(s, "interfaces"); i++)
    if (strcmp(mal_conf_item(s, "interfaces", i), name) == 0)
      return true;
  return false;
}

static bool has_family(const MalInterface *interface, MalFamily family)
{
  for (size_t i = 0; i < interface->n_addresses; i++)
    if (interface->addresses[i].family == family)
      return true;
  return false;
}

/* As the server's: one that was named may lack the multicast flag (loopback). */
static bool is_asked_on(const ClientErrand *e, const MalInterface *interface, MalFamily family)
{
  const MalConfSection *s = client_section(e->part);

  if (!interface->up || !has_family(interface, family))
    return false;
  if (e->interface[0] != '\0')
    return strcmp(e->interface, interface->name) == 0;
  return mal_conf_length(s, "interfaces") > 0 ? is_named(e->part, interface->name)
                                              : interface->multicast;
}

static size_t count_interfaces(const ClientErrand *e, MalFamily family)
{
  g_autoptr(GArray) all = mal_runtime_interfaces(e->part->host.runtime);
  size_t n = 0;

  for (guint i = 0; i < all->len && e->part->udp[family == MAL_IPV6] != NULL; i++)
    n += is_asked_on(e, &g_array_index(all, MalInterface, i), family);
  return n;
}

/* ---- the machine's actions ------------------------------------------------------------------- */

static uint32_t act_xid(void *user)
{
  ClientErrand *e = user;
  ClientPart *p = e->part;

  if (e->has_xid)
    g_hash_table_remove(p->by_xid, GUINT_TO_POINTER(e->xid));
  do
    e->xid = p->next_xid++;
  while (g_hash_table_contains(p->by_xid, GUINT_TO_POINTER(e->xid)));
  e->has_xid = true;
  g_hash_table_insert(p->by_xid, GUINT_TO_POINTER(e->xid), e);
  return e->xid;
}

static void act_id(void *user, uint8_t out[16])
{
  mal_runtime_random(((ClientErrand *)user)->part->host.runtime, out, 16);
}

static MalAddress first_address(const MalInterface *interface, MalFamily family)
{
  for (size_t i = 0; i < interface->n_addresses; i++)
    if (interface->addresses[i].family == family)
      return interface->addresses[i];
  return mal_address_none();
}

static bool is_ours(const ClientPart *p, MalAddress address)
{
  g_autoptr(GArray) all = mal_runtime_interfaces(p->host.runtime);

  for (guint i = 0; i < all->len; i++) {
    const MalInterface *interface = &g_array_index(all, MalInterface, i);
    for (size_t k = 0; interface->up && k < interface->n_addresses; k++)
      if (mal_address_equal(interface->addresses[k], address))
        return true;
  }
  return false;
}

/* From each interface's own address: the system would take another one's for loopback, and the
   server knows its client by the address. */
static void send_on_all(const ClientErrand *e, MalDatagram *d)
{
  MalUdp *udp = e->part->udp[d->peer.address.family == MAL_IPV6];
  g_autoptr(GArray) all = mal_runtime_interfaces(e->part->host.runtime);

  for (guint i = 0; i < all->len; i++) {
    const MalInterface *interface = &g_array_index(all, MalInterface, i);
    if (!is_asked_on(e, interface, d->peer.address.family))
      continue;
    d->ifindex = interface->index;
    d->local = first_address(interface, d->peer.address.family);
    mal_udp_send(udp, d);
    mal_count(e->part->host.metrics, MADCAP_M_CLIENT_SENT, 1);
  }
}

static void tell_sent(const ClientErrand *e, const MalEndpoint *to, const uint8_t *data,
                      size_t length, unsigned transmission)
{
  char where[MAL_ENDPOINT_STRLEN], text[MADCAP_DESCRIPTION_SIZE];
  MadcapMessage msg;

  if (!is_live(e) || madcap_decode(data, length, &msg, NULL) != MADCAP_OK)
    return;
  mal_endpoint_format(*to, where);
  if (transmission == 1)
    mal_call_progress(e->call, "sent to %s: %s", where, madcap_describe(&msg, text, sizeof text));
  else
    mal_call_progress(e->call, "sent to %s again, %u of %d: %s", where, transmission,
                      MADCAP_CLIENT_TRANSMISSIONS, madcap_type_name(msg.type));
}

static void act_send(void *user, const MalEndpoint *to, const uint8_t *data, size_t length,
                     unsigned transmission)
{
  ClientErrand *e = user;
  MalUdp *udp = e->part->udp[to->address.family == MAL_IPV6];
  MalDatagram d = { .peer = *to, .data = data, .length = length, .ifindex = to->scope_id };

  tell_sent(e, to, data, length, transmission);
  if (udp == NULL)
    return;
  if (transmission > 1)
    mal_count(e->part->host.metrics, MADCAP_M_CLIENT_REPEATED, 1);
  if (mal_address_is_multicast(to->address)) {
    send_on_all(e, &d);
  } else {
    if (e->source.family == to->address.family && is_ours(e->part, e->source))
      d.local = e->source;
    mal_udp_send(udp, &d);
    mal_count(e->part->host.metrics, MADCAP_M_CLIENT_SENT, 1);
  }
}

static void say_unfit(ClientPart *p, const MalEndpoint *who, const char *why)
{
  char where[MAL_ENDPOINT_STRLEN];
  const MalField fields[] = { MAL_F_ADDRESS("server", who->address), MAL_F_STRING("reason", why) };

  if (mal_event_wanted(p->host.events, &madcap_event_answer_ignored))
    MAL_EVENT(p->host.events, &madcap_event_answer_ignored, fields, "ignored an answer from %s: %s",
              mal_endpoint_format(*who, where), why);
}

static void act_news(void *user, MadcapClientNews what, const MalEndpoint *who,
                     const MadcapMessage *msg, const char *why)
{
  ClientErrand *e = user;
  char where[MAL_ENDPOINT_STRLEN], text[MADCAP_DESCRIPTION_SIZE];
  bool heard = what == MADCAP_CLIENT_HEARD || what == MADCAP_CLIENT_LATER;

  if (heard)
    client_note_server(e->part, who);
  if (heard || what == MADCAP_CLIENT_UNFIT)
    mal_count(e->part->host.metrics, heard ? MADCAP_M_CLIENT_RECEIVED : MADCAP_M_CLIENT_UNFIT, 1);
  if (what == MADCAP_CLIENT_UNFIT)
    say_unfit(e->part, who, why);
  if (!is_live(e))
    return;
  mal_endpoint_format(*who, where);
  if (msg != NULL)
    mal_call_progress(e->call, "%s from %s: %s%s%s", heard ? "received" : "ignored", where,
                      madcap_describe(msg, text, sizeof text), why != NULL ? ": " : "",
                      why != NULL ? why : "");
  else
    mal_call_progress(
        e->call, what == MADCAP_CLIENT_CHOSEN ? "the offer of %s is taken" : "no answer from %s",
        where);
}

static void act_info(void *user, const MalEndpoint *from, const MadcapMessage *msg)
{
  client_note_info(((ClientErrand *)user)->part, from, msg);
}

static const MadcapClientOps ops = {
  .xid = act_xid,
  .id = act_id,
  .send = act_send,
  .news = act_news,
  .info = act_info,
};

/* ---- errands --------------------------------------------------------------------------------- */

ClientErrand *client_errand_new(ClientPart *p, MadcapType kind, MalCall *call, json_object *params,
                                ClientFinish finish)
{
  if (!p->running || p->errands->len >= CLIENT_MAX_ERRANDS) {
    client_fail(call, MAL_ERROR_LIMIT,
                p->running ? "too many MADCAP transactions are under way"
                           : "the MADCAP client is stopping");
    return NULL;
  }
  ClientErrand *e = g_new0(ClientErrand, 1);
  e->part = p;
  e->kind = kind;
  e->call = call;
  e->params = params != NULL ? json_object_get(params) : NULL;
  e->finish = finish;
  if (params != NULL)
    g_strlcpy(e->interface, mal_param_string(params, "interface", ""), sizeof e->interface);
  return e;
}

void client_errand_free(ClientErrand *e)
{
  if (e->has_xid)
    g_hash_table_remove(e->part->by_xid, GUINT_TO_POINTER(e->xid));
  madcap_client_free(e->machine);
  if (e->params != NULL)
    json_object_put(e->params);
  g_free(e->scope);
  g_free(e);
}

static int64_t errand_due(const ClientErrand *e)
{
  int64_t due = madcap_client_due(e->machine);

  return e->call != NULL ? MIN(due, client_mono(e->part) + LOOK_AT_CALLERS) : due;
}

static void arm(ClientPart *p, int64_t due)
{
  if (p->timer == NULL || due >= p->armed)
    return;
  p->armed = due;
  mal_timer_set(p->timer, due);
}

static void note_path(ClientErrand *e, const MalDatagram *d)
{
  e->paths[e->n_paths++ % CLIENT_MAX_PATHS] = (ClientPath){ d->peer.address, d->local };
}

MalAddress client_errand_local(const ClientErrand *e, MalAddress peer)
{
  for (unsigned i = MIN(e->n_paths, CLIENT_MAX_PATHS); i-- > 0;)
    if (mal_address_equal(e->paths[i].peer, peer))
      return e->paths[i].local;
  return e->source;
}

static MalLeaseId silent_id(const MadcapClientSilent *silent)
{
  return (MalLeaseId){ silent->id, silent->id_length };
}

/* What a silent server may have leased goes back, unless it is what we got at last (the program
   chose the identifier, and the server may be the same one). */
static void release_silent(ClientErrand *e, const MadcapClientResult *r)
{
  for (guint i = 0; i < r->silent->len; i++) {
    const MadcapClientSilent *silent = &g_array_index(r->silent, MadcapClientSilent, i);
    if (!r->done || !mal_lease_id_equal(silent_id(silent), madcap_client_id(e->machine)))
      client_send_release(e->part, &silent->server, e->interface,
                          client_errand_local(e, silent->server.address), silent_id(silent));
  }
}

/* After each step of its machine; it may be gone then. */
static void settle(ClientErrand *e)
{
  ClientPart *p = e->part;
  const MadcapClientResult *r = madcap_client_result(e->machine);

  if (r == NULL) {
    arm(p, errand_due(e));
    return;
  }
  g_ptr_array_remove_fast(p->errands, e);
  if (e->has_xid)
    g_hash_table_remove(p->by_xid, GUINT_TO_POINTER(e->xid));
  e->has_xid = false;
  mal_gauge(p->host.metrics, MADCAP_M_CLIENT_ERRANDS, p->errands->len);
  if (e->finish != NULL)
    e->finish(e, r);
  if (p->running)
    release_silent(e, r);
  client_errand_free(e);
}

void client_tick(void *data)
{
  ClientPart *p = data;
  g_autoptr(GArray) due = g_array_new(FALSE, FALSE, sizeof(uint32_t));

  p->armed = INT64_MAX;
  for (guint i = 0; i < p->errands->len; i++) {
    const ClientErrand *e = g_ptr_array_index(p->errands, i);
    g_array_append_val(due, e->xid);
  }
  for (guint i = 0; i < due->len; i++) {
    uint32_t xid = g_array_index(due, uint32_t, i);
    ClientErrand *e = g_hash_table_lookup(p->by_xid, GUINT_TO_POINTER(xid));
    if (e == NULL)
      continue;
    if (e->call != NULL && mal_call_is_gone(e->call))
      madcap_client_cancel(e->machine);
    madcap_client_tick(e->machine, client_now(p), client_mono(p));
    settle(e);
  }
}

static MalEndpoint group_at(const ClientPart *p, MalAddress address)
{
  return (MalEndpoint){ .address = address, .port = client_port(p) };
}

static void add_group(const ClientPart *p, GArray *out, const char *text, MalFamily family)
{
  MalAddress address;

  if (!mal_address_parse(text, &address, NULL) || address.family != family)
    return;
  MalEndpoint group = group_at(p, address);
  g_array_append_val(out, group);
}

static void add_groups(const ClientErrand *e, GArray *out, MalFamily family)
{
  static const char *const standard[] = {
    "239.255.255.254",
    "ff03:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
    "ff13:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
  };
  const MalConfSection *s = client_section(e->part);
  size_t given = mal_conf_length(s, "client-groups");

  if (count_interfaces(e, family) == 0)
    return;
  for (size_t i = 0; i < given; i++)
    add_group(e->part, out, mal_conf_item(s, "client-groups", i), family);
  for (size_t i = 0; given == 0 && i < G_N_ELEMENTS(standard); i++)
    add_group(e->part, out, standard[i], family);
}

/* A lease is asked for over its own family where the host can, else over the other, since what is
   leased is the header's matter (RFC 2730 3.3); never over both, since the server knows the client
   by its address. Questions go out over both. */
static GArray *groups_for(const ClientErrand *e, MalFamily family)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalEndpoint));

  add_groups(e, out, family);
  if (out->len == 0 || e->kind == MADCAP_GETINFO)
    add_groups(e, out, family == MAL_IPV4 ? MAL_IPV6 : MAL_IPV4);
  return out;
}

static GArray *servers_for(const ClientPart *p)
{
  const MalConfSection *s = client_section(p);
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalEndpoint));

  for (size_t i = 0; i < mal_conf_length(s, "servers"); i++) {
    MalEndpoint server = mal_conf_endpoint_at(s, "servers", i, client_port(p));
    if (p->udp[server.address.family == MAL_IPV6] != NULL)
      g_array_append_val(out, server);
  }
  return out;
}

bool client_errand_start(ClientErrand *e, MadcapClientAsk *ask, const MalEndpoint *server)
{
  ClientPart *p = e->part;
  const MalConfSection *s = client_section(p);
  bool only = server != NULL && server->address.family != MAL_FAMILY_NONE;
  g_autoptr(GArray) servers = only ? g_array_new(FALSE, FALSE, sizeof(MalEndpoint))
                                   : servers_for(p);
  g_autoptr(GArray) groups = groups_for(e, ask->family);
  g_autoptr(GError) error = NULL;

  if (only)
    g_array_append_vals(servers, server, 1);
  ask->servers = (const MalEndpoint *)(void *)servers->data;
  ask->n_servers = servers->len;
  ask->groups = (const MalEndpoint *)(void *)groups->data;
  ask->n_groups = only ? 0 : groups->len;
  ask->take_first = g_strcmp0(mal_conf_string(s, "choose"), "best") != 0;
  ask->discover_delay = mal_conf_integer(s, "discover-delay") * MAL_US;
  ask->gather = GATHER;
  e->family = ask->family;
  if (ask->n_servers == 0 && ask->n_groups == 0)
    g_set_error(&error, MAL_ERROR, MAL_ERROR_NETWORK,
                "no interface to ask for a MADCAP server on%s%s",
                e->interface[0] != '\0' ? ": " : " is up", e->interface);
  else
    e->machine = madcap_client_new(ask, &ops, e, &error);
  if (e->machine == NULL) {
    if (e->call != NULL)
      mal_call_fail(e->call, error);
    client_errand_free(e);
    return false;
  }
  g_ptr_array_add(p->errands, e);
  mal_gauge(p->host.metrics, MADCAP_M_CLIENT_ERRANDS, p->errands->len);
  madcap_client_start(e->machine, client_now(p), client_mono(p));
  settle(e);
  return true;
}

static void send_release(ClientPart *p, const ClientErrand *like, MalLeaseId id);

/* The network that lost the answer may lose the RELEASE, too. */
static void stray_released(ClientErrand *e, const MadcapClientResult *r)
{
  e->attempts++;
  if (!r->done && r->nak < 0 && e->part->running && e->attempts < RELEASE_ATTEMPTS)
    send_release(e->part, e, madcap_client_id(e->machine));
}

static void send_release(ClientPart *p, const ClientErrand *like, MalLeaseId id)
{
  MadcapClientAsk ask = { .errand = MADCAP_RELEASE,
                          .family = MAL_IPV4,
                          .id = id,
                          .start = MAL_BEGINNING,
                          .max_start = MAL_FOREVER };
  ClientErrand *e = client_errand_new(p, MADCAP_RELEASE, NULL, NULL, stray_released);

  if (e == NULL)
    return;
  g_strlcpy(e->interface, like->interface, sizeof e->interface);
  e->server = like->server;
  e->source = like->source;
  e->attempts = like->attempts;
  client_errand_start(e, &ask, &e->server);
}

void client_send_release(ClientPart *p, const MalEndpoint *server, const char *interface,
                         MalAddress local, MalLeaseId id)
{
  ClientErrand like = { .server = *server, .source = local };

  g_strlcpy(like.interface, interface, sizeof like.interface);
  send_release(p, &like, id);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static void receive_one(ClientPart *p, const MalDatagram *d)
{
  MadcapMessage msg;
  MadcapFault fault;
  char text[128];

  if (d->truncated) {
    mal_count(p->host.metrics, MADCAP_M_CLIENT_STRAY, 1);
    return;
  }
  if (madcap_decode(d->data, d->length, &msg, &fault) != MADCAP_OK) {
    mal_count(p->host.metrics, MADCAP_M_CLIENT_UNFIT, 1);
    say_unfit(p, &d->peer, madcap_fault_describe(&fault, text, sizeof text));
    return;
  }
  ClientErrand *e = g_hash_table_lookup(p->by_xid, GUINT_TO_POINTER(msg.xid));
  if (e != NULL)
    note_path(e, d);
  if (e == NULL ||
      !madcap_client_receive(e->machine, &d->peer, &msg, client_now(p), client_mono(p))) {
    mal_count(p->host.metrics, MADCAP_M_CLIENT_STRAY, 1);
    return;
  }
  settle(e);
}

void client_received(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  ClientPart *p = data;

  (void)udp;
  for (size_t i = 0; i < count && p->running; i++)
    receive_one(p, &datagrams[i]);
}

void client_errands_cancel(ClientPart *p)
{
  while (p->errands->len > 0) {
    ClientErrand *e = g_ptr_array_index(p->errands, p->errands->len - 1);
    madcap_client_cancel(e->machine);
    settle(e);
  }
}
