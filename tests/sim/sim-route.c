/* How datagrams travel: finding the receiver, flooding a multicast over links and borders, and what
   the links do to each copy. Membership is asked when a datagram is sent (the network forwards it
   there), and again by the receiving host's sockets when it arrives. */
#include "sim-internal.h"

#define LOCAL_DELAY 1 /* a host to itself */
#define BORDER_ID 0x80000000u

/* ---- who has an address ---------------------------------------------------------------------- */

static size_t slot_of(const MalSim *sim, MalAddress a)
{
  uint64_t x = (uint64_t)a.value ^ (uint64_t)(a.value >> 64) * 0x9e3779b97f4a7c15u;
  return mal_sim_mix(x + a.family) & (sim->address_room - 1);
}

static void index_addresses(MalSim *sim)
{
  size_t n = 8;
  for (guint i = 0; i < sim->ifaces->len; i++)
    n += 2 * ((MalSimIface *)g_ptr_array_index(sim->ifaces, i))->addresses->len;
  for (sim->address_room = 16; sim->address_room < n; sim->address_room *= 2)
    ;
  g_free(sim->addresses);
  sim->addresses = g_new0(MalSimAddressSlot, sim->address_room);
  for (guint i = 0; i < sim->ifaces->len; i++) {
    MalSimIface *iface = g_ptr_array_index(sim->ifaces, i);
    for (guint j = 0; iface->link && iface->up && j < iface->addresses->len; j++) {
      MalAddress a = g_array_index(iface->addresses, MalAddress, j);
      size_t at = slot_of(sim, a);
      while (sim->addresses[at].iface)
        at = (at + 1) & (sim->address_room - 1);
      sim->addresses[at] = (MalSimAddressSlot){ a.value, iface, a.family };
    }
  }
  sim->addresses_stale = false;
}

static uint32_t other_side(const MalSimBorder *border, const MalSimLink *link)
{
  return border->side[0] == link ? 1 : 0;
}

static void start_flood(MalSim *sim, MalSimLink *from, unsigned ttl)
{
  if (sim->hop_room < sim->links->len) {
    sim->hop_room = sim->links->len;
    sim->hops = g_renew(MalSimHop, sim->hops, sim->hop_room);
  }
  from->mark = ++sim->mark;
  sim->hops[0] = (MalSimHop){ from, 0, ttl, 0 };
}

/* All links that unicast from FROM can reach, nearest first. */
static size_t flood_unicast(MalSim *sim, MalSimLink *from)
{
  size_t n = 1;
  start_flood(sim, from, MAL_SIM_MAX_PATH);
  for (size_t i = 0; i < n; i++) {
    MalSimHop hop = sim->hops[i];
    for (guint j = 0; hop.ttl > 1 && j < hop.link->borders->len; j++) {
      MalSimBorder *border = g_ptr_array_index(hop.link->borders, j);
      MalSimLink *next = border->side[other_side(border, hop.link)];
      if (!border->up || !next->up || next->mark == sim->mark)
        continue;
      next->mark = sim->mark;
      sim->hops[n++] = (MalSimHop){ next, 0, hop.ttl - 1, (uint32_t)i };
    }
  }
  return n;
}

static size_t trace_back(const MalSim *sim, size_t at, MalSimLink **path)
{
  size_t n = MAL_SIM_MAX_PATH + 1 - sim->hops[at].ttl;
  for (size_t i = n; i-- > 0; at = sim->hops[at].parent)
    path[i] = sim->hops[at].link;
  return n;
}

MalSimIface *mal_sim_locate(MalSim *sim, MalSimLink *from, MalAddress address, MalSimLink **path,
                            size_t *n)
{
  size_t reached = 0, best = SIZE_MAX;
  MalSimIface *found = NULL;
  if (sim->addresses_stale)
    index_addresses(sim);
  if (!sim->addresses)
    return NULL;
  for (size_t at = slot_of(sim, address); sim->addresses[at].iface;
       at = (at + 1) & (sim->address_room - 1)) {
    const MalSimAddressSlot *slot = &sim->addresses[at];
    if (slot->value != address.value || slot->family != address.family)
      continue;
    if (slot->iface->link == from) {
      path[0] = from;
      *n = 1;
      return slot->iface;
    }
    if (mal_sim_is_link_local(address) || from->borders->len == 0)
      continue;
    if (!reached)
      reached = flood_unicast(sim, from);
    for (size_t i = 1; i < MIN(reached, best); i++)
      if (sim->hops[i].link == slot->iface->link) {
        best = i;
        found = slot->iface;
      }
  }
  if (found)
    *n = trace_back(sim, best, path);
  return found;
}

static bool has_family(const MalSimIface *iface, MalFamily family)
{
  for (guint i = 0; i < iface->addresses->len; i++)
    if (g_array_index(iface->addresses, MalAddress, i).family == family)
      return true;
  return false;
}

MalSimIface *mal_sim_way_out(MalSimNode *node, MalAddress address, uint32_t ifindex,
                             MalSimIface **target, MalSimLink **path, size_t *n)
{
  MalSimLink *tried[MAL_SIM_MAX_PATH];
  MalSimIface *best = NULL, *fallback = NULL;
  size_t length = SIZE_MAX;
  *target = NULL;
  *n = 0;
  for (guint i = 0; i < node->ifaces->len; i++) {
    MalSimIface *iface = g_ptr_array_index(node->ifaces, i), *t;
    size_t tried_n = 0;
    if (!iface->link || !iface->up || (ifindex && iface->index != ifindex))
      continue;
    if (!fallback && has_family(iface, address.family))
      fallback = iface;
    if (mal_address_is_multicast(address))
      continue;
    t = mal_sim_locate(node->sim, iface->link, address, tried, &tried_n);
    if (t && tried_n < length) {
      best = iface;
      *target = t;
      *n = length = tried_n;
      for (size_t j = 0; j < tried_n; j++)
        path[j] = tried[j];
    }
  }
  return best ? best : fallback;
}

/* Link-local towards link-local where there is one, else the first global address. */
MalAddress mal_sim_source_for(const MalSimIface *iface, MalAddress destination)
{
  MalAddress other = mal_address_none();
  bool want_local = destination.family == MAL_IPV6 && mal_sim_is_link_local(destination);
  for (guint i = 0; i < iface->addresses->len; i++) {
    MalAddress a = g_array_index(iface->addresses, MalAddress, i);
    if (a.family != destination.family)
      continue;
    if ((a.family == MAL_IPV6 && mal_sim_is_link_local(a)) == want_local)
      return a;
    if (other.family == MAL_FAMILY_NONE)
      other = a;
  }
  return other;
}

/* ---- what a link does to a datagram ---------------------------------------------------------- */

int64_t mal_sim_hop_latency(const MalSim *sim, const MalSimLink *link, uint32_t from, uint32_t to)
{
  const MalSimFaults *f = &link->faults;
  uint64_t span = (uint64_t)(f->latency_max - f->latency_min);
  if (span == 0)
    return f->latency_min;
  uint64_t x = mal_sim_mix(
      sim->seed ^ mal_sim_mix(((uint64_t)from << 32 | to) + link->index * 0x9e3779b97f4a7c15u));
  return f->latency_min + (int64_t)(((MalU128)x * (span + 1)) >> 64);
}

static void put_copy(MalSim *sim, MalSimPacket *packet, MalSimIface *to, int64_t time)
{
  MalSimArrival *arrival = mal_sim_block_new(sim);
  *arrival = (MalSimArrival){ { mal_sim_arrive, 0 }, packet, to, NULL };
  packet->refs++;
  sim->counters.copies++;
  mal_sim_queue(sim, &arrival->event, time);
  mal_sim_trace(sim, MAL_SIM_TRACE_COPY, to->node, packet->digest, (uint64_t)(time - sim->now));
}

/* No earlier than what the same sender sent before. */
static int64_t keep_order(MalSim *sim, MalSimIface *to, uint32_t sender, int64_t time)
{
  if (G_UNLIKELY(sender >= to->n_last)) {
    size_t n = sim->ifaces->len;
    to->last_from = g_renew(int64_t, to->last_from, n);
    for (size_t i = to->n_last; i < n; i++)
      to->last_from[i] = 0;
    to->n_last = n;
  }
  time = MAX(time, to->last_from[sender]);
  to->last_from[sender] = time;
  return time;
}

static bool lose(MalSim *sim, const MalSimLink *link, const MalSimPacket *packet,
                 const MalSimNode *to)
{
  if (!link->up) {
    sim->counters.partitioned++;
    mal_sim_trace(sim, MAL_SIM_TRACE_CUT, to, packet->digest, 2);
    return true;
  }
  if (mal_sim_random_hit(&sim->network, link->faults.loss)) {
    sim->counters.lost++;
    mal_sim_trace(sim, MAL_SIM_TRACE_LOST, to, packet->digest, link->index);
    return true;
  }
  return false;
}

static int64_t jitter(MalSim *sim, const MalSimLink *link)
{
  return link->faults.jitter
             ? (int64_t)mal_sim_random_range(&sim->network, 0, (uint64_t)link->faults.jitter)
             : 0;
}

/* The last hop: over LINK to the interface TO, DELAY after it was sent; HOP is who puts it
   there. */
static void last_hop(MalSim *sim, MalSimPacket *packet, const MalSimLink *link, uint32_t hop,
                     uint32_t sender, MalSimIface *to, int64_t delay)
{
  const MalSimFaults *f = &link->faults;
  if (sim->cuts->len && mal_sim_cut_between(sim, packet->from, to->node, packet->destination)) {
    sim->counters.partitioned++;
    mal_sim_trace(sim, MAL_SIM_TRACE_CUT, to->node, packet->digest, 1);
    return;
  }
  if (lose(sim, link, packet, to->node))
    return;
  int64_t time = sim->now + delay + mal_sim_hop_latency(sim, link, hop, to->id) + jitter(sim, link);
  if (mal_sim_random_hit(&sim->network, f->reorder)) {
    sim->counters.reordered++;
    time += (int64_t)mal_sim_random_range(&sim->network, 1, (uint64_t)f->reorder_delay);
  } else {
    time = keep_order(sim, to, sender, time);
  }
  put_copy(sim, packet, to, time);
  if (mal_sim_random_hit(&sim->network, f->duplicate)) {
    sim->counters.duplicated++;
    put_copy(sim, packet, to,
             time + (int64_t)mal_sim_random_range(&sim->network, 0, (uint64_t)f->reorder_delay));
  }
}

/* ---- sending --------------------------------------------------------------------------------- */

void mal_sim_send_local(MalSim *sim, MalSimPacket *packet, MalSimIface *iface)
{
  put_copy(sim, packet, iface, sim->now + LOCAL_DELAY);
}

static uint32_t border_between(const MalSimLink *a, const MalSimLink *b)
{
  for (guint i = 0; i < a->borders->len; i++) {
    const MalSimBorder *border = g_ptr_array_index(a->borders, i);
    if (border->up && border->side[other_side(border, a)] == b)
      return BORDER_ID | border->index;
  }
  return BORDER_ID;
}

void mal_sim_send_unicast(MalSim *sim, MalSimPacket *packet, MalSimIface *out, MalSimIface *target,
                          MalSimLink *const *path, size_t n)
{
  uint32_t hop = out->id;
  int64_t delay = 0;
  if (!target) {
    sim->counters.undelivered++;
    mal_sim_trace(sim, MAL_SIM_TRACE_NOBODY, packet->from, packet->digest, out->index);
    return;
  }
  for (size_t i = 0; i + 1 < n; i++) {
    uint32_t border = border_between(path[i], path[i + 1]);
    if (lose(sim, path[i], packet, target->node))
      return;
    delay += mal_sim_hop_latency(sim, path[i], hop, border) + jitter(sim, path[i]);
    hop = border;
  }
  last_hop(sim, packet, path[n - 1], hop, out->id, target, delay);
}

static bool passes(const MalSimBorder *border, MalAddress group)
{
  for (guint i = 0; i < border->filters->len; i++)
    if (mal_span_has(g_array_index(border->filters, MalSpan, i), group))
      return false;
  return border->up;
}

static const MalSimGroup *group_on(const MalSimLink *link, MalAddress address)
{
  for (guint i = 0; i < link->groups->len; i++) {
    const MalSimGroup *group = &g_array_index(link->groups, MalSimGroup, i);
    if (mal_sim_same(group->group, address))
      return group;
  }
  return NULL;
}

static void deliver_on(MalSim *sim, MalSimPacket *packet, const MalSimHop *hop, uint32_t from,
                       MalSimIface *out)
{
  const MalSimGroup *group = group_on(hop->link, packet->destination);
  for (guint i = 0; group && i < group->members->len; i++) {
    MalSimIface *to = g_array_index(group->members, MalSimMember, i).iface;
    if (to != out)
      last_hop(sim, packet, hop->link, from, out->id, to, hop->delay);
  }
}

/* Crosses the borders of hop I, and tells how many links are known then. */
static size_t cross_borders(MalSim *sim, MalSimPacket *packet, size_t i, uint32_t from,
                            uint32_t *by, size_t n)
{
  MalSimHop hop = sim->hops[i];
  for (guint j = 0; j < hop.link->borders->len; j++) {
    MalSimBorder *border = g_ptr_array_index(hop.link->borders, j);
    MalSimLink *next = border->side[other_side(border, hop.link)];
    if (next->mark == sim->mark || n > MAL_SIM_MAX_PATH * 4)
      continue;
    if (!passes(border, packet->destination)) {
      sim->counters.partitioned++;
      mal_sim_trace(sim, MAL_SIM_TRACE_CUT, packet->from, packet->digest, 3);
      continue;
    }
    if (lose(sim, hop.link, packet, NULL))
      continue;
    next->mark = sim->mark;
    by[n] = BORDER_ID | border->index;
    int64_t delay = hop.delay + mal_sim_hop_latency(sim, hop.link, from, by[n]) +
                    jitter(sim, hop.link);
    sim->hops[n++] = (MalSimHop){ next, delay, hop.ttl - 1, (uint32_t)i };
  }
  return n;
}

void mal_sim_send_multicast(MalSim *sim, MalSimPacket *packet, MalSimIface *out, unsigned ttl)
{
  uint32_t by[MAL_SIM_MAX_PATH * 4 + 2] = { out->id }; /* who puts it on the link of each hop */
  bool forwarded = !mal_sim_is_link_local(packet->destination);
  size_t n = 1;
  if (!out->link)
    return;
  start_flood(sim, out->link, ttl);
  for (size_t i = 0; i < n; i++) {
    MalSimHop hop = sim->hops[i];
    deliver_on(sim, packet, &hop, by[i], out);
    if (forwarded && hop.ttl > 1 && hop.link->borders->len)
      n = cross_borders(sim, packet, i, by[i], by, n);
  }
}
