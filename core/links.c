#include "links.h"

#include <string.h>

struct MalLinks {
  MalRuntime *rt;
  const MalLinksOps *ops;
  void *user;
  MalInterfaceWatch *watch;
  char **names;
  GArray *groups;             /* MalAddress */
  GPtrArray *links;           /* MalLink */
  GArray *addresses;          /* MalAddress */
  GArray *loopbacks;          /* uint32_t: their indices */
  bool said_none;
};

static void link_free(gpointer data)
{
  MalLink *link = data;
  g_array_unref(link->addresses);
  g_array_unref(link->joined);
  g_free(link);
}

static bool has(const GArray *addresses, MalAddress address)
{
  for (guint i = 0; i < addresses->len; i++)
    if (mal_address_equal(g_array_index(addresses, MalAddress, i), address))
      return true;
  return false;
}

MalAddress mal_link_address(const MalLink *link, MalFamily family)
{
  for (guint i = 0; i < link->addresses->len; i++) {
    MalAddress a = g_array_index(link->addresses, MalAddress, i);
    if (a.family == family)
      return a;
  }
  return mal_address_none();
}

static MalJoined *joined_at(const MalLink *link, MalAddress group)
{
  for (guint i = 0; i < link->joined->len; i++) {
    MalJoined *j = &g_array_index(link->joined, MalJoined, i);
    if (mal_address_equal(j->group, group))
      return j;
  }
  return NULL;
}

bool mal_link_has_joined(const MalLink *link, MalAddress group)
{
  const MalJoined *j = joined_at(link, group);
  return j && j->udp;
}

unsigned mal_link_n_joined(const MalLink *link)
{
  unsigned n = 0;
  for (guint i = 0; i < link->joined->len; i++)
    n += g_array_index(link->joined, MalJoined, i).udp != NULL;
  return n;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void tell(MalLinks *l, MalLinkNews what, const MalLink *link, MalAddress group,
                 const GError *error)
{
  l->ops->news(l->user, what, link, group, error);
}

static void tell_member(MalLinks *l, MalUdp *udp, bool on)
{
  if (l->ops->member)
    l->ops->member(l->user, udp, on);
}

static void join(MalLinks *l, MalLink *link, MalAddress group)
{
  g_autoptr(GError) error = NULL;
  MalJoined fresh = { group, NULL }, *old = joined_at(link, group);
  MalUdp *udp = l->ops->socket(l->user, group.family, &error);
  if (!udp && !error)
    return;
  if (udp && mal_udp_join(udp, link->index, group, &error)) {
    tell_member(l, udp, true);
    fresh.udp = udp;
  }
  bool said = old != NULL;
  if (old)
    *old = fresh;
  else
    g_array_append_val(link->joined, fresh);
  if (!fresh.udp && !said)
    tell(l, MAL_LINK_JOIN_FAILED, link, group, error);
}

/* Fails where the interface is gone, which left the group by itself. */
static void leave(MalLinks *l, MalLink *link, guint n)
{
  const MalJoined *j = &g_array_index(link->joined, MalJoined, n);
  if (j->udp) {
    mal_udp_leave(j->udp, link->index, j->group, NULL);
    tell_member(l, j->udp, false);
  }
  g_array_remove_index_fast(link->joined, n);
}

static void leave_all(MalLinks *l, MalLink *link)
{
  while (link->joined->len > 0)
    leave(l, link, link->joined->len - 1);
}

static bool speaks(const MalLink *link, MalAddress group)
{
  return mal_link_address(link, group.family).family != MAL_FAMILY_NONE;
}

static void sync_groups(MalLinks *l, MalLink *link)
{
  for (guint i = link->joined->len; i-- > 0;) {
    MalAddress group = g_array_index(link->joined, MalJoined, i).group;
    if (!has(l->groups, group) || !speaks(link, group))
      leave(l, link, i);
  }
  for (guint i = 0; i < l->groups->len; i++) {
    MalAddress group = g_array_index(l->groups, MalAddress, i);
    if (speaks(link, group) && !mal_link_has_joined(link, group))
      join(l, link, group);
  }
}

/* ---- interfaces ------------------------------------------------------------------------------ */

bool mal_links_is_everywhere(const MalLinks *l)
{
  return !l->names || !l->names[0];
}

char *mal_links_none_text(const MalLinks *l)
{
  if (mal_links_is_everywhere(l))
    return g_strdup("no interface that can do multicast is up and has an address");
  g_autofree char *all = g_strjoinv(", ", l->names);
  return g_strdup_printf("of the interfaces named none is up and has an address: %s (the names are "
                         "those of \"ip link\", separated by ';')",
                         all);
}

static bool is_wanted(const MalLinks *l, const MalInterface *i)
{
  if (!i->up || i->n_addresses == 0)
    return false;
  if (mal_links_is_everywhere(l))
    return i->multicast && (l->ops->loopback || !i->loopback);
  return g_strv_contains((const char *const *)l->names, i->name);
}

static MalLink *find(const MalLinks *l, uint32_t index)
{
  for (guint i = 0; i < l->links->len; i++) {
    MalLink *link = g_ptr_array_index(l->links, i);
    if (link->index == index)
      return link;
  }
  return NULL;
}

static bool is_there(const MalLinks *l, const MalLink *link, const GArray *interfaces)
{
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *now = &g_array_index(interfaces, MalInterface, i);
    if (now->index == link->index && strcmp(now->name, link->name) == 0)
      return is_wanted(l, now);
  }
  return false;
}

static void drop_lost(MalLinks *l, const GArray *interfaces)
{
  for (guint n = l->links->len; n-- > 0;) {
    MalLink *link = g_ptr_array_index(l->links, n);
    if (is_there(l, link, interfaces))
      continue;
    leave_all(l, link);
    tell(l, MAL_LINK_LOST, link, mal_address_none(), NULL);
    g_ptr_array_remove_index(l->links, n);
  }
}

static MalLink *add(MalLinks *l, const MalInterface *i)
{
  MalLink *link = g_new0(MalLink, 1);
  g_strlcpy(link->name, i->name, sizeof link->name);
  link->index = i->index;
  link->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  link->joined = g_array_new(FALSE, FALSE, sizeof(MalJoined));
  g_ptr_array_add(l->links, link);
  return link;
}

static void serve(MalLinks *l, const MalInterface *i)
{
  MalLink *known = find(l, i->index), *link = known ? known : add(l, i);
  link->loopback = i->loopback;
  g_array_set_size(link->addresses, 0);
  g_array_append_vals(link->addresses, i->addresses, (guint)i->n_addresses);
  sync_groups(l, link);
  if (!known)
    tell(l, MAL_LINK_SERVED, link, mal_address_none(), NULL);
}

static void note_addresses(MalLinks *l, const GArray *interfaces)
{
  g_array_set_size(l->addresses, 0);
  g_array_set_size(l->loopbacks, 0);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    if (interface->n_addresses > 0)
      g_array_append_vals(l->addresses, interface->addresses, (guint)interface->n_addresses);
    if (interface->loopback)
      g_array_append_val(l->loopbacks, interface->index);
  }
}

static void refresh(MalLinks *l)
{
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(l->rt);
  note_addresses(l, interfaces);
  drop_lost(l, interfaces);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    if (is_wanted(l, interface))
      serve(l, interface);
  }
  if (l->links->len == 0 && !l->said_none)
    tell(l, MAL_LINK_NONE, NULL, mal_address_none(), NULL);
  l->said_none = l->links->len == 0;
}

static void interfaces_changed(void *data)
{
  MalLinks *l = data;
  refresh(l);
  if (l->ops->changed)
    l->ops->changed(l->user);
}

/* ---- life ------------------------------------------------------------------------------------ */

MalLinks *mal_links_new(MalRuntime *rt, const MalLinksOps *ops, void *user)
{
  MalLinks *l = g_new0(MalLinks, 1);
  l->rt = rt;
  l->ops = ops;
  l->user = user;
  l->groups = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  l->links = g_ptr_array_new_with_free_func(link_free);
  l->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  l->loopbacks = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  l->watch = mal_interface_watch_new(rt, interfaces_changed, l);
  return l;
}

void mal_links_free(MalLinks *l)
{
  if (!l)
    return;
  mal_interface_watch_free(l->watch);
  for (guint n = 0; n < l->links->len; n++)
    leave_all(l, g_ptr_array_index(l->links, n));
  g_ptr_array_unref(l->links);
  g_array_unref(l->groups);
  g_array_unref(l->addresses);
  g_array_unref(l->loopbacks);
  g_strfreev(l->names);
  g_free(l);
}

void mal_links_configure(MalLinks *l, char *const *names, const MalAddress *groups, size_t n_groups)
{
  g_strfreev(l->names);
  l->names = g_strdupv((char **)(uintptr_t)names);
  l->said_none = false;         /* other names, or the same in vain: worth a word again */
  g_array_set_size(l->groups, 0);
  for (size_t i = 0; i < n_groups; i++)
    if (!has(l->groups, groups[i]))
      g_array_append_val(l->groups, groups[i]);
  refresh(l);
}

/* ---- questions ------------------------------------------------------------------------------- */

size_t mal_links_count(const MalLinks *l)
{
  return l->links->len;
}

const MalLink *mal_links_at(const MalLinks *l, size_t n)
{
  return g_ptr_array_index(l->links, n);
}

const MalLink *mal_links_find(const MalLinks *l, uint32_t index)
{
  return find(l, index);
}

const GArray *mal_links_addresses(const MalLinks *l)
{
  return l->addresses;
}

bool mal_links_is_own(const MalLinks *l, MalAddress address)
{
  return has(l->addresses, address);
}

bool mal_links_is_loopback(const MalLinks *l, uint32_t index)
{
  for (guint i = 0; i < l->loopbacks->len; i++)
    if (g_array_index(l->loopbacks, uint32_t, i) == index)
      return true;
  return false;
}
