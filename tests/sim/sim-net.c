/* Links, borders, cuts, interfaces and addresses: the network's shape and its changes. */
#include <string.h>

#include "sim-internal.h"

/* ---- addresses by kind ----------------------------------------------------------------------- */

/* Never forwarded: 224.0.0.0/24, 169.254.0.0/16, ff01::/16, ff02::/16, fe80::/10. */
bool mal_sim_is_link_local(MalAddress a)
{
  if (a.family == MAL_IPV4)
    return a.value >> 8 == 0xe00000 || a.value >> 16 == 0xa9fe;
  unsigned top = (unsigned)(a.value >> 112);
  return (top & 0xffc0) == 0xfe80 || (top & 0xff0f) == 0xff01 || (top & 0xff0f) == 0xff02;
}

bool mal_sim_is_loopback(MalAddress a)
{
  return a.family == MAL_IPV4 ? a.value >> 24 == 127 : a.value == 1;
}

/* ---- links and borders ----------------------------------------------------------------------- */

MalSimLink *mal_sim_link_new(MalSim *sim, const char *name)
{
  MalSimLink *link = g_new0(MalSimLink, 1);
  link->sim = sim;
  link->name = g_strdup(name);
  link->index = sim->links->len;
  link->up = true;
  link->borders = g_ptr_array_new();
  link->groups = g_array_new(FALSE, FALSE, sizeof(MalSimGroup));
  g_ptr_array_add(sim->links, link);
  mal_sim_link_set_faults(link, &(MalSimFaults){ .latency_min = 200, .latency_max = 500 });
  return link;
}

void mal_sim_link_free(void *data)
{
  MalSimLink *link = data;
  for (guint i = 0; i < link->groups->len; i++)
    g_array_unref(g_array_index(link->groups, MalSimGroup, i).members);
  g_array_unref(link->groups);
  g_ptr_array_unref(link->borders);
  g_free(link->name);
  g_free(link);
}

void mal_sim_link_set_faults(MalSimLink *link, const MalSimFaults *faults)
{
  link->faults = *faults;
  MalSimFaults *f = &link->faults;
  f->latency_min = MAX(1, f->latency_min);
  f->latency_max = MAX(f->latency_min, f->latency_max);
  f->jitter = MAX(0, f->jitter);
  if (f->reorder_delay <= 0)
    f->reorder_delay = MAX(MAL_SIM_MS, 4 * (f->latency_max + f->jitter));
}

MalSimFaults mal_sim_link_faults(const MalSimLink *link)
{
  return link->faults;
}

void mal_sim_link_set_up(MalSimLink *link, bool up)
{
  link->up = up;
}

MalSimBorder *mal_sim_border_new(MalSimLink *a, MalSimLink *b)
{
  MalSimBorder *border = g_new0(MalSimBorder, 1);
  border->side[0] = a;
  border->side[1] = b;
  border->index = a->sim->borders->len;
  border->up = true;
  border->filters = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  g_ptr_array_add(a->sim->borders, border);
  g_ptr_array_add(a->borders, border);
  g_ptr_array_add(b->borders, border);
  return border;
}

void mal_sim_border_free(void *data)
{
  MalSimBorder *border = data;
  g_array_unref(border->filters);
  g_free(border);
}

void mal_sim_border_filter(MalSimBorder *border, MalSpan span)
{
  g_array_append_val(border->filters, span);
}

void mal_sim_border_unfilter(MalSimBorder *border, MalSpan span)
{
  for (guint i = 0; i < border->filters->len; i++) {
    MalSpan *at = &g_array_index(border->filters, MalSpan, i);
    if (mal_sim_same(at->first, span.first) && mal_sim_same(at->last, span.last)) {
      g_array_remove_index(border->filters, i);
      return;
    }
  }
}

void mal_sim_border_set_up(MalSimBorder *border, bool up)
{
  border->up = up;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

static MalSimCut *cut_new(MalSim *sim, MalSpan span, MalSimNode *const *a, size_t n_a,
                          MalSimNode *const *b, size_t n_b)
{
  MalSimCut *cut = g_new0(MalSimCut, 1);
  cut->span = span;
  cut->n = sim->nodes->len;
  cut->side = g_new0(uint8_t, cut->n);
  for (size_t i = 0; i < n_a; i++)
    cut->side[a[i]->index] = 1;
  for (size_t i = 0; i < n_b; i++)
    cut->side[b[i]->index] = 2;
  g_ptr_array_add(sim->cuts, cut);
  mal_sim_trace(sim, MAL_SIM_TRACE_PARTITION, NULL, 1, 0);
  return cut;
}

MalSimCut *mal_sim_partition(MalSim *sim, MalSimNode *const *a, size_t n_a, MalSimNode *const *b,
                             size_t n_b)
{
  return cut_new(sim, (MalSpan){ mal_address_none(), mal_address_none() }, a, n_a, b, n_b);
}

MalSimCut *mal_sim_partition_one_way(MalSim *sim, MalSimNode *const *a, size_t n_a,
                                     MalSimNode *const *b, size_t n_b)
{
  MalSimCut *cut = mal_sim_partition(sim, a, n_a, b, n_b);
  cut->one_way = true;
  return cut;
}

MalSimCut *mal_sim_partition_scope(MalSim *sim, MalSpan span, MalSimNode *const *a, size_t n_a,
                                   MalSimNode *const *b, size_t n_b)
{
  return cut_new(sim, span, a, n_a, b, n_b);
}

void mal_sim_cut_free(void *data)
{
  MalSimCut *cut = data;
  g_free(cut->side);
  g_free(cut);
}

void mal_sim_heal(MalSim *sim, MalSimCut *cut)
{
  if (g_ptr_array_remove(sim->cuts, cut))
    mal_sim_trace(sim, MAL_SIM_TRACE_PARTITION, NULL, 0, 0);
}

void mal_sim_heal_all(MalSim *sim)
{
  g_ptr_array_set_size(sim->cuts, 0);
  mal_sim_trace(sim, MAL_SIM_TRACE_PARTITION, NULL, 0, 0);
}

bool mal_sim_cut_between(const MalSim *sim, const MalSimNode *from, const MalSimNode *to,
                         MalAddress group)
{
  for (guint i = 0; i < sim->cuts->len; i++) {
    const MalSimCut *cut = g_ptr_array_index(sim->cuts, i);
    if (from->index >= cut->n || to->index >= cut->n)
      continue;
    unsigned a = cut->side[from->index], b = cut->side[to->index];
    bool across = cut->one_way ? a == 1 && b == 2 : a + b == 3 && a && b;
    if (across && (cut->span.first.family == MAL_FAMILY_NONE || mal_span_has(cut->span, group)))
      return true;
  }
  return false;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

MalSimIface *mal_sim_iface_new(MalSimNode *node, MalSimLink *link, const char *name)
{
  MalSim *sim = node->sim;
  MalSimIface *iface = g_new0(MalSimIface, 1);
  iface->node = node;
  iface->link = link;
  g_strlcpy(iface->name, name, sizeof iface->name);
  iface->id = sim->ifaces->len;
  iface->index = node->next_ifindex++;
  iface->up = true;
  iface->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  g_ptr_array_add(sim->ifaces, iface);
  g_ptr_array_add(node->ifaces, iface);
  mal_sim_trace(sim, MAL_SIM_TRACE_IFACE, node, iface->index, 1);
  mal_sim_watches_notify(node);
  return iface;
}

void mal_sim_iface_free(void *data)
{
  MalSimIface *iface = data;
  g_array_unref(iface->addresses);
  g_free(iface->last_from);
  g_free(iface);
}

uint32_t mal_sim_iface_index(const MalSimIface *iface)
{
  return iface->index;
}

static void changed(MalSimIface *iface)
{
  MalSim *sim = iface->node->sim;
  sim->addresses_stale = true;
  mal_sim_trace(sim, MAL_SIM_TRACE_IFACE, iface->node, iface->index,
                (iface->up ? 1u : 0u) + 2u * iface->addresses->len);
  mal_sim_watches_notify(iface->node);
}

bool mal_sim_iface_has(const MalSimIface *iface, MalAddress address)
{
  for (guint i = 0; i < iface->addresses->len; i++)
    if (mal_sim_same(g_array_index(iface->addresses, MalAddress, i), address))
      return true;
  return false;
}

void mal_sim_iface_add_address(MalSimIface *iface, MalAddress address)
{
  if (iface->gone || mal_sim_iface_has(iface, address))
    return;
  g_array_append_val(iface->addresses, address);
  changed(iface);
}

void mal_sim_iface_add(MalSimIface *iface, const char *text)
{
  MalAddress address;
  if (!mal_address_parse(text, &address, NULL))
    g_error("not an address: %s", text);
  mal_sim_iface_add_address(iface, address);
}

void mal_sim_iface_remove_address(MalSimIface *iface, MalAddress address)
{
  for (guint i = 0; i < iface->addresses->len; i++)
    if (mal_sim_same(g_array_index(iface->addresses, MalAddress, i), address)) {
      g_array_remove_index(iface->addresses, i);
      changed(iface);
      return;
    }
}

void mal_sim_iface_set_up(MalSimIface *iface, bool up)
{
  if (iface->gone || iface->up == up)
    return;
  iface->up = up;
  changed(iface);
}

void mal_sim_iface_remove(MalSimIface *iface)
{
  if (iface->gone)
    return;
  if (iface->node->rt)
    mal_sim_udp_forget_iface(iface->node->rt, iface->index);
  iface->gone = true;
  iface->up = false;
  g_array_set_size(iface->addresses, 0);
  g_ptr_array_remove(iface->node->ifaces, iface);
  changed(iface);
}

MalSimIface *mal_sim_iface_find(const MalSimNode *node, uint32_t index)
{
  for (guint i = 0; i < node->ifaces->len; i++) {
    MalSimIface *iface = g_ptr_array_index(node->ifaces, i);
    if (iface->index == index)
      return iface;
  }
  return NULL;
}

MalSimIface *mal_sim_node_owner(const MalSimNode *node, MalAddress address)
{
  for (guint i = 0; i < node->ifaces->len; i++) {
    MalSimIface *iface = g_ptr_array_index(node->ifaces, i);
    if (mal_sim_iface_has(iface, address) ||
        (!iface->link && address.family == MAL_IPV4 && mal_sim_is_loopback(address)))
      return iface;
  }
  return NULL;
}

/* ---- who listens to a group on a link -------------------------------------------------------- */

static MalSimGroup *find_group(MalSimLink *link, MalAddress address)
{
  for (guint i = 0; i < link->groups->len; i++) {
    MalSimGroup *group = &g_array_index(link->groups, MalSimGroup, i);
    if (mal_sim_same(group->group, address))
      return group;
  }
  return NULL;
}

void mal_sim_group_add(MalSimIface *iface, MalAddress address)
{
  if (!iface->link)
    return;
  MalSimGroup *group = find_group(iface->link, address);
  if (!group) {
    MalSimGroup fresh = { address, g_array_new(FALSE, FALSE, sizeof(MalSimMember)) };
    g_array_append_val(iface->link->groups, fresh);
    group = find_group(iface->link, address);
  }
  for (guint i = 0; i < group->members->len; i++) {
    MalSimMember *member = &g_array_index(group->members, MalSimMember, i);
    if (member->iface == iface) {
      member->sockets++;
      return;
    }
  }
  MalSimMember member = { iface, 1 };
  g_array_append_val(group->members, member);
}

void mal_sim_group_remove(MalSimIface *iface, MalAddress address)
{
  MalSimGroup *group = iface->link ? find_group(iface->link, address) : NULL;
  for (guint i = 0; group && i < group->members->len; i++) {
    MalSimMember *member = &g_array_index(group->members, MalSimMember, i);
    if (member->iface != iface)
      continue;
    if (--member->sockets == 0)
      g_array_remove_index(group->members, i);
    break;
  }
  if (group && group->members->len == 0) {
    g_array_unref(group->members);
    g_array_remove_index(iface->link->groups,
                         (guint)(group - (MalSimGroup *)(void *)iface->link->groups->data));
  }
}
