/* Datagram sockets. What arrives is matched against the host's sockets as they are then: port,
   address, and membership of the interface it came in by. */
#include <errno.h>
#include <string.h>

#include "sim-internal.h"

#define MAX_PAYLOAD 65507
#define BATCH 64
#define UNICAST_TTL 64
#define FIRST_EPHEMERAL 32768
#define LAST_EPHEMERAL 60999

static const size_t packet_rooms[2] = { 256, 2048 };

/* ---- packets --------------------------------------------------------------------------------- */

static MalSimPacket *packet_new(MalSim *sim, const uint8_t *data, size_t length)
{
  uint32_t pool = length <= packet_rooms[0] ? 0 : length <= packet_rooms[1] ? 1 : 2;
  MalSimPacket *packet;
  if (pool < 2 && sim->free_packets[pool]) {
    packet = sim->free_packets[pool];
    sim->free_packets[pool] = packet->next_free;
  } else {
    packet = g_malloc(sizeof *packet + (pool < 2 ? packet_rooms[pool] : length));
  }
  packet->refs = 1;
  packet->pool = pool;
  packet->length = length;
  if (length)
    memcpy(packet->data, data, length);
  packet->digest = mal_sim_digest(data, length);
  return packet;
}

void mal_sim_packet_unref(MalSim *sim, MalSimPacket *packet)
{
  if (--packet->refs)
    return;
  if (packet->pool == 2) {
    g_free(packet);
    return;
  }
  packet->next_free = sim->free_packets[packet->pool];
  sim->free_packets[packet->pool] = packet;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool may_share(const MalSimUdp *udp, const MalUdpOptions *o)
{
  return udp->options.family != o->family || (udp->options.reuse && o->reuse) ||
         (udp->options.bind.family != MAL_FAMILY_NONE && o->bind.family != MAL_FAMILY_NONE &&
          !mal_sim_same(udp->options.bind, o->bind));
}

static bool port_is_free(const MalSimRuntime *rt, const MalUdpOptions *o, uint16_t port)
{
  for (size_t i = 0; i < rt->n_udp; i++)
    if (rt->udp[i]->port == port && !may_share(rt->udp[i], o))
      return false;
  return true;
}

static uint16_t choose_port(MalSimRuntime *rt, const MalUdpOptions *options)
{
  MalUdpOptions alone = *options;
  alone.reuse = false;
  for (unsigned tries = FIRST_EPHEMERAL; tries <= LAST_EPHEMERAL; tries++) {
    uint16_t port = (uint16_t)mal_sim_random_range(&rt->random, FIRST_EPHEMERAL, LAST_EPHEMERAL);
    if (port_is_free(rt, &alone, port))
      return port;
  }
  return 0;
}

static bool fail(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);
static bool fail(GError **error, int errnum, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "%s: %s", what, g_strerror(errnum));
  return false;
}

static bool check_bind(MalSimRuntime *rt, const MalUdpOptions *o, uint16_t *port, GError **error)
{
  char text[MAL_ADDRESS_STRLEN];
  MalAddress shown = o->bind.family ? o->bind : mal_address_make(o->family, 0);
  mal_address_format(shown, text);
  if (o->bind.family && shown.value && !mal_address_is_multicast(o->bind) &&
      !mal_sim_node_owner(rt->node, o->bind))
    return fail(error, EADDRNOTAVAIL, "can't use UDP port %u on %s", o->port, text);
  *port = o->port ? o->port : choose_port(rt, o);
  if (*port && port_is_free(rt, o, *port))
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
              "UDP port %u on %s is in use by another program (is another mallocd running?)",
              o->port, text);
  return false;
}

static MalSimIface *membership_iface(const MalSimRuntime *rt, const MalSimMembership *m)
{
  return mal_sim_iface_find(rt->node, m->ifindex);
}

static void unready(MalSim *sim, MalSimUdp *udp)
{
  MalSimUdp *previous = NULL;
  if (!udp->ready)
    return;
  for (MalSimUdp *at = sim->ready; at != udp; at = at->next_ready)
    previous = at;
  if (previous)
    previous->next_ready = udp->next_ready;
  else
    sim->ready = udp->next_ready;
  if (sim->ready_last == udp)
    sim->ready_last = previous;
  udp->ready = false;
}

static void drop_arrived(MalSim *sim, MalSimUdp *udp)
{
  while (udp->first) {
    MalSimArrival *arrival = udp->first;
    udp->first = arrival->next;
    mal_sim_packet_unref(sim, arrival->packet);
    mal_sim_block_free(sim, arrival);
  }
  udp->last = NULL;
}

static void udp_die(MalSimHandle *handle)
{
  MalSimUdp *udp = MAL_SIM_CONTAINER(handle, MalSimUdp, handle);
  MalSimRuntime *rt = mal_sim_runtime(udp->base.rt);
  for (guint i = 0; i < udp->memberships->len; i++) {
    MalSimMembership *m = &g_array_index(udp->memberships, MalSimMembership, i);
    MalSimIface *iface = membership_iface(rt, m);
    if (iface)
      mal_sim_group_remove(iface, m->group);
  }
  g_array_set_size(udp->memberships, 0);
  drop_arrived(rt->node->sim, udp);
  unready(rt->node->sim, udp);
  for (size_t i = 0; i < rt->n_udp; i++)
    if (rt->udp[i] == udp) {
      // NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers
      memmove(rt->udp + i, rt->udp + i + 1, (rt->n_udp - i - 1) * sizeof *rt->udp);
      rt->n_udp--;
      break;
    }
}

static void udp_reclaim(MalSimHandle *handle)
{
  MalSimUdp *udp = MAL_SIM_CONTAINER(handle, MalSimUdp, handle);
  g_array_unref(udp->memberships);
  g_free(udp);
}

MalUdp *mal_sim_udp_open(MalRuntime *base, const MalUdpOptions *options, MalUdpFunc func,
                         void *data, GError **error)
{
  MalSimRuntime *rt = mal_sim_runtime(base);
  uint16_t port = 0;
  if (mal_sim_refuse_dead(rt, error))
    return NULL;
  if (options->family != MAL_IPV4 && options->family != MAL_IPV6) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID, "a socket needs an address family");
    return NULL;
  }
  MalUdpOptions o = *options;
  if (o.bind.family && o.bind.family != o.family) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID,
                        "the address to bind is not of the socket's family");
    return NULL;
  }
  if (o.bind.family && o.bind.value == 0)
    o.bind = mal_address_none();
  if (!check_bind(rt, &o, &port, error))
    return NULL;
  MalSimUdp *udp = g_new0(MalSimUdp, 1);
  udp->base.rt = base;
  udp->func = func;
  udp->data = data;
  udp->options = o;
  udp->options.multicast_ttl = MAX(1, o.multicast_ttl);
  udp->port = port;
  udp->order = ++rt->node->sim->socket_order;
  udp->memberships = g_array_new(FALSE, FALSE, sizeof(MalSimMembership));
  mal_sim_handle_add(rt, &udp->handle, udp_die, udp_reclaim);
  if (rt->n_udp == rt->udp_room) {
    rt->udp_room = MAX(4, rt->udp_room * 2);
    rt->udp = g_renew(MalSimUdp *, rt->udp, rt->udp_room);
  }
  rt->udp[rt->n_udp++] = udp;
  return &udp->base;
}

void mal_sim_udp_close(MalUdp *base)
{
  MalSimUdp *udp = (MalSimUdp *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  if (rt->dead)
    return;
  udp_die(&udp->handle);
  mal_sim_handle_remove(rt, &udp->handle);
  udp_reclaim(&udp->handle);
}

uint16_t mal_sim_udp_port(const MalUdp *udp)
{
  return ((const MalSimUdp *)udp)->port;
}

/* ---- membership ------------------------------------------------------------------------------ */

static MalSimMembership *find_membership(const MalSimUdp *udp, uint32_t ifindex, MalAddress group)
{
  for (guint i = 0; i < udp->memberships->len; i++) {
    MalSimMembership *m = &g_array_index(udp->memberships, MalSimMembership, i);
    if (m->ifindex == ifindex && mal_sim_same(m->group, group))
      return m;
  }
  return NULL;
}

static bool membership_error(const MalSimUdp *udp, const char *verb, uint32_t ifindex,
                             MalAddress group, int errnum, GError **error)
{
  const MalSimIface *iface = mal_sim_iface_find(mal_sim_runtime(udp->base.rt)->node, ifindex);
  char name[16], text[MAL_ADDRESS_STRLEN];
  g_snprintf(name, sizeof name, "#%u", ifindex);
  return fail(error, errnum, "can't %s the group %s on interface %s", verb,
              mal_address_format(group, text), iface ? iface->name : name);
}

static bool group_valid(const MalSimUdp *udp, MalAddress group, GError **error)
{
  if (mal_sim_refuse_dead(mal_sim_runtime(udp->base.rt), error))
    return false;
  if (group.family == udp->options.family && mal_address_is_multicast(group))
    return true;
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID,
                      "not a multicast address of the socket's family");
  return false;
}

bool mal_sim_udp_join(MalUdp *base, uint32_t ifindex, MalAddress group, GError **error)
{
  MalSimUdp *udp = (MalSimUdp *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  MalSimMembership m = { group, ifindex };
  if (!group_valid(udp, group, error))
    return false;
  MalSimIface *iface = mal_sim_iface_find(rt->node, ifindex);
  if (!iface)
    return membership_error(udp, "join", ifindex, group, ENODEV, error);
  if (find_membership(udp, ifindex, group))
    return true;
  g_array_append_val(udp->memberships, m);
  mal_sim_group_add(iface, group);
  return true;
}

bool mal_sim_udp_leave(MalUdp *base, uint32_t ifindex, MalAddress group, GError **error)
{
  MalSimUdp *udp = (MalSimUdp *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  if (!group_valid(udp, group, error))
    return false;
  MalSimMembership *m = find_membership(udp, ifindex, group);
  if (!m)
    return membership_error(udp, "leave", ifindex, group, EADDRNOTAVAIL, error);
  MalSimIface *iface = membership_iface(rt, m);
  g_array_remove_index(udp->memberships,
                       (guint)(m - (MalSimMembership *)(void *)udp->memberships->data));
  if (iface)
    mal_sim_group_remove(iface, group);
  return true;
}

void mal_sim_udp_forget_iface(MalSimRuntime *rt, uint32_t ifindex)
{
  for (size_t i = 0; i < rt->n_udp; i++)
    for (guint j = rt->udp[i]->memberships->len; j-- > 0;) {
      MalSimMembership m = g_array_index(rt->udp[i]->memberships, MalSimMembership, j);
      if (m.ifindex == ifindex)
        mal_sim_udp_leave(&rt->udp[i]->base, ifindex, m.group, NULL);
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

void mal_sim_udp_set_ttl(MalUdp *udp, uint8_t ttl)
{
  ((MalSimUdp *)udp)->options.multicast_ttl = MAX(1, ttl);
}

MalUdpCounters mal_sim_udp_counters(const MalUdp *udp)
{
  return ((const MalSimUdp *)udp)->counters;
}

/* Where a datagram leaves, and from which address. */
typedef struct {
  MalSimIface *out, *target; /* target: unicast, NULL where nobody has the address */
  MalSimLink *path[MAL_SIM_MAX_PATH];
  size_t n;
  bool local;
} Way;

static bool find_way(const MalSimUdp *udp, const MalDatagram *d, Way *way)
{
  MalSimNode *node = mal_sim_runtime(udp->base.rt)->node;
  MalAddress to = d->peer.address;
  uint32_t ifindex = d->ifindex ? d->ifindex : d->peer.scope_id;
  way->local = false;
  way->target = NULL;
  way->n = 0;
  if (mal_address_is_multicast(to) && ifindex)
    return (way->out = mal_sim_iface_find(node, ifindex)) != NULL && way->out->up;
  MalSimIface *own = mal_address_is_multicast(to) ? NULL : mal_sim_node_owner(node, to);
  if (own) {
    way->local = true;
    way->out = own;
    return own->up;
  }
  if (!mal_address_is_multicast(to) && mal_sim_is_loopback(to))
    return false;
  way->out = mal_sim_way_out(node, to, ifindex, &way->target, way->path, &way->n);
  return way->out != NULL;
}

static MalAddress choose_source(const MalSimUdp *udp, const MalDatagram *d, const Way *way)
{
  MalSimNode *node = mal_sim_runtime(udp->base.rt)->node;
  if (d->local.family != MAL_FAMILY_NONE)
    return mal_sim_node_owner(node, d->local) ? d->local : mal_address_none();
  if (udp->options.bind.family && !mal_address_is_multicast(udp->options.bind))
    return udp->options.bind;
  return way->local ? d->peer.address : mal_sim_source_for(way->out, d->peer.address);
}

static bool tapped(MalSim *sim, const MalSimPacket *packet, MalEndpoint to, const Way *way,
                   unsigned ttl)
{
  MalSimPacketView view = { packet->from, packet->source, to, way->out->index, ttl,
                            packet->data, packet->length };
  return !sim->tap || sim->tap(sim, &view, sim->tap_data);
}

static void send_multicast(MalSimUdp *udp, MalSimPacket *packet, const Way *way)
{
  MalSim *sim = packet->from->sim;
  if (udp->options.multicast_loop)
    mal_sim_send_local(sim, packet, way->out);
  mal_sim_send_multicast(sim, packet, way->out, udp->options.multicast_ttl);
}

void mal_sim_udp_send(MalUdp *base, const MalDatagram *d)
{
  MalSimUdp *udp = (MalSimUdp *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  MalSim *sim = rt->node->sim;
  Way way;
  if (rt->dead)
    return;
  bool multicast = mal_address_is_multicast(d->peer.address);
  if (d->length > MAX_PAYLOAD || !d->peer.port || d->peer.address.family != udp->options.family ||
      !find_way(udp, d, &way)) {
    udp->counters.send_errors++;
    return;
  }
  MalAddress source = choose_source(udp, d, &way);
  if (source.family == MAL_FAMILY_NONE) {
    udp->counters.send_errors++;
    return;
  }
  MalSimPacket *packet = packet_new(sim, d->data, d->length);
  packet->from = rt->node;
  packet->source = (MalEndpoint){ source, udp->port, 0 };
  packet->destination = d->peer.address;
  packet->port = d->peer.port;
  udp->counters.sent++;
  sim->counters.sent++;
  mal_sim_trace(sim, MAL_SIM_TRACE_SEND, rt->node, packet->digest, d->length);
  if (!tapped(sim, packet, d->peer, &way, multicast ? udp->options.multicast_ttl : UNICAST_TTL)) {
    sim->counters.lost++;
    mal_sim_trace(sim, MAL_SIM_TRACE_LOST, rt->node, packet->digest, UINT32_MAX);
  } else if (way.local) {
    mal_sim_send_local(sim, packet, g_ptr_array_index(rt->node->ifaces, 0));
  } else if (multicast) {
    send_multicast(udp, packet, &way);
  } else {
    mal_sim_send_unicast(sim, packet, way.out, way.target, way.path, way.n);
  }
  mal_sim_packet_unref(sim, packet);
}

void mal_sim_set_tap(MalSim *sim, MalSimTap func, void *data)
{
  sim->tap = func;
  sim->tap_data = data;
}

/* ---- receiving ------------------------------------------------------------------------------- */

int64_t mal_sim_udp_lag(const MalUdp *udp)
{
  return mal_sim_runtime(udp->rt)->node->lag;
}

bool mal_sim_udp_shed(MalUdp *base, const MalUdpShed *shed)
{
  MalSimUdp *udp = (MalSimUdp *)base;
  udp->shed = *shed;
  udp->sheds = false;
  for (size_t i = 0; i < MAL_UDP_KINDS; i++)
    udp->sheds |= shed->drop[i] > 0;
  return true;
}

static bool is_shed(const MalSimUdp *udp, const MalSimPacket *packet)
{
  const MalUdpShed *shed = &udp->shed;
  if (packet->length <= shed->octet)
    return true;
  uint8_t kind = packet->data[shed->octet];
  uint16_t drop = shed->drop[kind < MAL_UDP_KINDS ? kind : 0];
  MalSimRandom *random = &mal_sim_runtime(udp->base.rt)->random;
  return mal_sim_random_range(random, 0, MAL_UDP_ALL - 1) < drop;
}

static void enqueue(MalSim *sim, MalSimUdp *udp, MalSimArrival *arrival)
{
  if (udp->sheds && is_shed(udp, arrival->packet)) {
    udp->counters.dropped++;
    mal_sim_packet_unref(sim, arrival->packet);
    mal_sim_block_free(sim, arrival);
    return;
  }
  arrival->next = NULL;
  if (udp->last)
    udp->last->next = arrival;
  else
    udp->first = arrival;
  udp->last = arrival;
  if (udp->ready)
    return;
  udp->ready = true;
  udp->next_ready = NULL;
  if (sim->ready)
    sim->ready_last->next_ready = udp;
  else
    sim->ready = udp;
  sim->ready_last = udp;
}

static MalSimArrival *copy_arrival(MalSim *sim, const MalSimArrival *arrival)
{
  MalSimArrival *copy = mal_sim_block_new(sim);
  *copy = *arrival;
  copy->packet->refs++;
  return copy;
}

static bool wants_port(const MalSimUdp *udp, const MalSimPacket *packet)
{
  return udp->port == packet->port && udp->options.family == packet->destination.family &&
         (udp->options.bind.family == MAL_FAMILY_NONE ||
          mal_sim_same(udp->options.bind, packet->destination));
}

/* Every member socket gets a multicast. */
static bool take_multicast(MalSim *sim, MalSimRuntime *rt, MalSimArrival *arrival)
{
  MalSimUdp *first = NULL;
  for (size_t i = 0; i < rt->n_udp; i++) {
    MalSimUdp *udp = rt->udp[i];
    if (!wants_port(udp, arrival->packet) ||
        !find_membership(udp, arrival->iface->index, arrival->packet->destination))
      continue;
    if (first)
      enqueue(sim, udp, copy_arrival(sim, arrival));
    else
      first = udp;
  }
  if (first)
    enqueue(sim, first, arrival);
  return first != NULL;
}

/* One socket gets a unicast: one bound to the address before one bound to any, the youngest of
   these. */
static bool take_unicast(MalSim *sim, MalSimRuntime *rt, MalSimArrival *arrival)
{
  MalSimUdp *best = NULL;
  for (size_t i = 0; i < rt->n_udp; i++) {
    MalSimUdp *udp = rt->udp[i];
    if (!wants_port(udp, arrival->packet))
      continue;
    bool exact = udp->options.bind.family, best_exact = best && best->options.bind.family;
    if (!best || (exact && !best_exact) || (exact == best_exact && udp->order > best->order))
      best = udp;
  }
  if (best)
    enqueue(sim, best, arrival);
  return best != NULL;
}

static bool reachable(const MalSim *sim, const MalSimArrival *arrival)
{
  const MalSimPacket *packet = arrival->packet;
  const MalSimIface *iface = arrival->iface;
  if (!iface->up || !iface->node->rt)
    return false;
  if (packet->from == iface->node)
    return true;
  return iface->link->up &&
         (mal_address_is_multicast(packet->destination) ||
          mal_sim_iface_has(iface, packet->destination)) &&
         (!sim->cuts->len ||
          !mal_sim_cut_between(sim, packet->from, iface->node, packet->destination));
}

void mal_sim_arrive(MalSim *sim, MalSimEvent *event)
{
  MalSimArrival *arrival = MAL_SIM_CONTAINER(event, MalSimArrival, event);
  const MalSimPacket *packet = arrival->packet;
  MalSimNode *node = arrival->iface->node;
  bool taken = false;
  if (reachable(sim, arrival))
    taken = mal_address_is_multicast(packet->destination) ? take_multicast(sim, node->rt, arrival)
                                                          : take_unicast(sim, node->rt, arrival);
  mal_sim_trace(sim, taken ? MAL_SIM_TRACE_ARRIVE : MAL_SIM_TRACE_NOBODY, node, packet->digest,
                arrival->iface->index);
  if (taken)
    return;
  if (packet->from != node)
    sim->counters.undelivered++;
  mal_sim_packet_unref(sim, arrival->packet);
  mal_sim_block_free(sim, arrival);
}

static MalDatagram to_datagram(MalSimUdp *udp, const MalSimArrival *arrival)
{
  size_t limit = udp->options.receive_limit ? udp->options.receive_limit : MAL_MAX_DATAGRAM;
  const MalSimPacket *packet = arrival->packet;
  MalDatagram d = { .peer = packet->source,
                    .local = packet->destination,
                    .ifindex = arrival->iface->index,
                    .data = packet->data,
                    .length = packet->length };
  if (d.peer.address.family == MAL_IPV6 && mal_sim_is_link_local(d.peer.address))
    d.peer.scope_id = arrival->iface->index;
  if (d.length > limit) {
    d.length = limit;
    d.truncated = true;
    udp->counters.truncated++;
  }
  return d;
}

/* The callback may close the socket, or crash the host: nothing of it is touched afterwards. */
void mal_sim_udp_deliver(MalSim *sim)
{
  MalSimUdp *udp = sim->ready;
  MalSimArrival *batch[BATCH];
  MalDatagram datagrams[BATCH];
  size_t n = 0;
  for (; n < BATCH && udp->first; n++) {
    batch[n] = udp->first;
    udp->first = batch[n]->next;
    datagrams[n] = to_datagram(udp, batch[n]);
  }
  if (!udp->first) {
    udp->last = NULL;
    sim->ready = udp->next_ready;
    if (!sim->ready)
      sim->ready_last = NULL;
    udp->ready = false;
  }
  udp->counters.received += n;
  udp->counters.batches++;
  sim->counters.delivered += n;
  sim->counters.batches++;
  mal_sim_trace(sim, MAL_SIM_TRACE_DELIVER, mal_sim_runtime(udp->base.rt)->node, udp->port, n);
  udp->func(&udp->base, datagrams, n, udp->data);
  for (size_t i = 0; i < n; i++) {
    mal_sim_packet_unref(sim, batch[i]->packet);
    mal_sim_block_free(sim, batch[i]);
  }
}
