#include "aap-plugin-links.h"

#include "aap-tables.h"

#include <string.h>

/* Linux gives a socket 20 memberships (net.ipv4.igmp_max_memberships), counted for each
   interface. */
#define MEMBERSHIPS_MOST 16

typedef struct {
  MalUdp *udp;
  unsigned memberships;
} Socket;

typedef struct {
  MalAddress group;
  Socket *socket; /* NULL: it failed, which was said */
} Joined;

typedef struct {
  char name[16];
  uint32_t index;
  GArray *addresses; /* MalAddress, as the runtime orders them */
  GArray *joined;    /* Joined */
} Link;

struct AapLinks {
  const MalHost *host;
  uint16_t port;
  uint8_t ttl;
  AapLinksFunc func;
  void *data;
  GPtrArray *sockets[2]; /* Socket */
  MalInterfaceWatch *watch;
  char **names;
  GArray *groups; /* MalAddress */
  GPtrArray *links;
  GArray *addresses; /* all of this host's */
  bool said_none;
};

/* ---- sockets --------------------------------------------------------------------------------- */

static unsigned which(MalFamily family)
{
  return family == MAL_IPV6;
}

static bool is_own(const AapLinks *l, MalEndpoint from)
{
  if (from.port != l->port)
    return false;
  for (guint i = 0; i < l->addresses->len; i++)
    if (mal_address_equal(g_array_index(l->addresses, MalAddress, i), from.address))
      return true;
  return false;
}

/* What comes from ourselves, or names no sender that there could be, goes no further. */
static void received(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  AapLinks *l = data;
  size_t from = 0;
  (void)udp;
  for (size_t i = 0; i < count; i++) {
    const MalDatagram *d = &datagrams[i];
    if (!is_own(l, d->peer) && d->peer.port != 0 && d->peer.address.value != 0 &&
        !mal_address_is_multicast(d->peer.address) && mal_address_is_multicast(d->local))
      continue;
    if (i > from)
      l->func(datagrams + from, i - from, l->data);
    from = i + 1;
  }
  if (count > from)
    l->func(datagrams + from, count - from, l->data);
}

static MalUdp *open_udp(AapLinks *l, MalFamily family, bool reuse, GError **error)
{
  MalUdpOptions options = {
    .family = family, .port = l->port, .reuse = reuse, .multicast_ttl = l->ttl
  };
  return mal_udp_open(l->host->runtime, &options, received, l, error);
}

/* Several sockets share the port, and would share it with another daemon, too: the first is tried
   alone. */
static Socket *add_socket(AapLinks *l, MalFamily family, GError **error)
{
  GPtrArray *sockets = l->sockets[which(family)];
  if (sockets->len == 0) {
    MalUdp *probe = open_udp(l, family, false, error);
    if (probe == NULL)
      return NULL;
    mal_udp_close(probe);
  }
  MalUdp *udp = open_udp(l, family, true, error);
  if (udp == NULL)
    return NULL;
  Socket *socket = g_new0(Socket, 1);
  socket->udp = udp;
  g_ptr_array_add(sockets, socket);
  return socket;
}

static void socket_free(gpointer data)
{
  Socket *socket = data;
  mal_udp_close(socket->udp);
  g_free(socket);
}

static Socket *socket_with_room(AapLinks *l, MalFamily family, GError **error)
{
  const GPtrArray *sockets = l->sockets[which(family)];
  for (guint i = 0; i < sockets->len; i++) {
    Socket *socket = g_ptr_array_index(sockets, i);
    if (socket->memberships < MEMBERSHIPS_MOST)
      return socket;
  }
  return add_socket(l, family, error);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void link_free(gpointer data)
{
  Link *link = data;
  g_array_unref(link->addresses);
  g_array_unref(link->joined);
  g_free(link);
}

static MalAddress address_of(const Link *link, MalFamily family)
{
  for (guint i = 0; i < link->addresses->len; i++) {
    MalAddress a = g_array_index(link->addresses, MalAddress, i);
    if (a.family == family)
      return a;
  }
  return mal_address_none();
}

static Joined *joined_at(const Link *link, MalAddress group)
{
  for (guint i = 0; i < link->joined->len; i++) {
    Joined *j = &g_array_index(link->joined, Joined, i);
    if (mal_address_equal(j->group, group))
      return j;
  }
  return NULL;
}

static void join(AapLinks *l, Link *link, MalAddress group)
{
  g_autoptr(GError) error = NULL;
  char text[MAL_ADDRESS_STRLEN];
  Joined fresh = { group, NULL }, *old = joined_at(link, group);
  Socket *socket = socket_with_room(l, group.family, &error);
  if (socket != NULL && mal_udp_join(socket->udp, link->index, group, &error)) {
    socket->memberships++;
    fresh.socket = socket;
  }
  if (old != NULL)
    *old = fresh;
  else
    g_array_append_val(link->joined, fresh);
  if (fresh.socket != NULL || old != NULL)
    return;
  mal_count(l->host->metrics, AAP_M_JOIN_FAILURES, 1);
  const MalField fields[] = { MAL_F_STRING("interface", link->name),
                              MAL_F_ADDRESS("group", group) };
  MAL_EVENT(l->host->events, &aap_event_join_failed, fields, "can't join %s on %s: %s",
            mal_address_format(group, text), link->name, error ? error->message : "unknown");
}

/* Fails where the interface is gone, which left the group by itself. */
static void leave(Link *link, guint n)
{
  Joined *j = &g_array_index(link->joined, Joined, n);
  if (j->socket != NULL) {
    mal_udp_leave(j->socket->udp, link->index, j->group, NULL);
    j->socket->memberships--;
  }
  g_array_remove_index_fast(link->joined, n);
}

static void leave_all(Link *link)
{
  while (link->joined->len > 0)
    leave(link, link->joined->len - 1);
}

static bool is_group(const AapLinks *l, MalAddress group)
{
  for (guint i = 0; i < l->groups->len; i++)
    if (mal_address_equal(g_array_index(l->groups, MalAddress, i), group))
      return true;
  return false;
}

static void sync_groups(AapLinks *l, Link *link)
{
  for (guint i = link->joined->len; i-- > 0;) {
    MalAddress group = g_array_index(link->joined, Joined, i).group;
    if (!is_group(l, group) || address_of(link, group.family).family == MAL_FAMILY_NONE)
      leave(link, i);
  }
  for (guint i = 0; i < l->groups->len; i++) {
    MalAddress group = g_array_index(l->groups, MalAddress, i);
    const Joined *j = joined_at(link, group);
    if (address_of(link, group.family).family != MAL_FAMILY_NONE && (!j || !j->socket))
      join(l, link, group);
  }
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static bool is_wanted(const AapLinks *l, const MalInterface *i)
{
  if (!i->up || i->n_addresses == 0)
    return false;
  if (l->names == NULL || l->names[0] == NULL)
    return i->multicast && !i->loopback;
  return g_strv_contains((const char *const *)l->names, i->name);
}

static Link *find(const AapLinks *l, uint32_t index)
{
  for (guint i = 0; i < l->links->len; i++) {
    Link *link = g_ptr_array_index(l->links, i);
    if (link->index == index)
      return link;
  }
  return NULL;
}

static void lose(AapLinks *l, guint n)
{
  Link *link = g_ptr_array_index(l->links, n);
  const MalField fields[] = { MAL_F_STRING("interface", link->name) };
  leave_all(link);
  mal_count(l->host->metrics, AAP_M_INTERFACES_LOST, 1);
  MAL_EVENT(l->host->events, &aap_event_interface_lost, fields,
            "interface %s is no longer served", link->name);
  g_ptr_array_remove_index(l->links, n);
}

static void drop_lost(AapLinks *l, const GArray *interfaces)
{
  for (guint n = l->links->len; n-- > 0;) {
    const Link *link = g_ptr_array_index(l->links, n);
    bool there = false;
    for (guint i = 0; i < interfaces->len && !there; i++) {
      const MalInterface *now = &g_array_index(interfaces, MalInterface, i);
      there = now->index == link->index && strcmp(now->name, link->name) == 0 && is_wanted(l, now);
    }
    if (!there)
      lose(l, n);
  }
}

static void add_or_update(AapLinks *l, const MalInterface *i)
{
  Link *link = find(l, i->index);
  bool is_new = link == NULL;
  if (is_new) {
    link = g_new0(Link, 1);
    g_strlcpy(link->name, i->name, sizeof link->name);
    link->index = i->index;
    link->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
    link->joined = g_array_new(FALSE, FALSE, sizeof(Joined));
    g_ptr_array_add(l->links, link);
  }
  g_array_set_size(link->addresses, 0);
  g_array_append_vals(link->addresses, i->addresses, (guint)i->n_addresses);
  sync_groups(l, link);
  if (is_new) {
    const MalField fields[] = { MAL_F_STRING("interface", link->name),
                                MAL_F_INT("groups", link->joined->len) };
    MAL_EVENT(l->host->events, &aap_event_serving, fields, "speaking on %s, %u groups joined",
              link->name, link->joined->len);
  }
}

static void refresh(void *data)
{
  AapLinks *l = data;
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(l->host->runtime);
  g_array_set_size(l->addresses, 0);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    if (interface->n_addresses > 0)
      g_array_append_vals(l->addresses, interface->addresses, (guint)interface->n_addresses);
  }
  drop_lost(l, interfaces);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    if (is_wanted(l, interface))
      add_or_update(l, interface);
  }
  mal_gauge(l->host->metrics, AAP_M_INTERFACES, l->links->len);
  if (l->links->len == 0 && !l->said_none)
    mal_event(l->host->events, &aap_event_no_interface, NULL, 0, "no interface to serve is up");
  l->said_none = l->links->len == 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

AapLinks *aap_links_new(const MalHost *host, uint16_t port, AapLinksFunc func, void *data)
{
  AapLinks *l = g_new0(AapLinks, 1);
  l->host = host;
  l->port = port;
  l->ttl = 1;
  l->func = func;
  l->data = data;
  for (unsigned f = 0; f < 2; f++)
    l->sockets[f] = g_ptr_array_new_with_free_func(socket_free);
  l->groups = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  l->links = g_ptr_array_new_with_free_func(link_free);
  l->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  l->watch = mal_interface_watch_new(host->runtime, refresh, l);
  return l;
}

void aap_links_free(AapLinks *l)
{
  if (l == NULL)
    return;
  mal_interface_watch_free(l->watch);
  for (guint n = 0; n < l->links->len; n++)
    leave_all(g_ptr_array_index(l->links, n));
  g_ptr_array_unref(l->links);
  for (unsigned f = 0; f < 2; f++)
    g_ptr_array_unref(l->sockets[f]);
  g_array_unref(l->groups);
  g_array_unref(l->addresses);
  g_strfreev(l->names);
  g_free(l);
}

static bool host_has(const AapLinks *l, MalFamily family)
{
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(l->host->runtime);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    for (size_t k = 0; k < interface->n_addresses; k++)
      if (interface->addresses[k].family == family)
        return true;
  }
  return false;
}

static bool has_groups(const AapLinks *l, MalFamily family)
{
  for (guint i = 0; i < l->groups->len; i++)
    if (g_array_index(l->groups, MalAddress, i).family == family)
      return true;
  return false;
}

/* A host without a family at all does without its socket. */
static bool ensure_socket(AapLinks *l, MalFamily family, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GPtrArray *sockets = l->sockets[which(family)];
  for (guint i = 0; i < sockets->len; i++)
    mal_udp_set_multicast_ttl(((Socket *)g_ptr_array_index(sockets, i))->udp, l->ttl);
  if (sockets->len > 0 || !has_groups(l, family) || add_socket(l, family, &problem) != NULL ||
      !host_has(l, family))
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

bool aap_links_configure(AapLinks *l, char *const *names, unsigned ttl, const MalAddress *groups,
                         size_t n, GError **error)
{
  g_strfreev(l->names);
  l->names = g_strdupv((char **)(uintptr_t)names);
  l->ttl = (uint8_t)ttl;
  g_array_set_size(l->groups, 0);
  for (size_t i = 0; i < n; i++)
    if (!is_group(l, groups[i]))
      g_array_append_val(l->groups, groups[i]);
  if (!ensure_socket(l, MAL_IPV4, error) || !ensure_socket(l, MAL_IPV6, error))
    return false;
  refresh(l);
  return true;
}

/* ---- sending --------------------------------------------------------------------------------- */

unsigned aap_links_send(AapLinks *l, MalAddress group, const uint8_t *data, size_t length)
{
  const GPtrArray *sockets = l->sockets[which(group.family)];
  unsigned n = 0;
  for (guint i = 0; sockets->len > 0 && i < l->links->len; i++) {
    const Link *link = g_ptr_array_index(l->links, i);
    MalDatagram datagram = { .peer = { .address = group, .port = l->port },
                             .local = address_of(link, group.family),
                             .ifindex = link->index,
                             .data = data,
                             .length = length };
    if (datagram.local.family == MAL_FAMILY_NONE)
      continue;
    mal_udp_send(((Socket *)g_ptr_array_index(sockets, 0))->udp, &datagram);
    n++;
  }
  return n;
}

MalEndpoint aap_links_self(const AapLinks *l, MalFamily family)
{
  MalEndpoint self = { .port = l->port };
  for (guint i = 0; i < l->links->len && self.address.family == MAL_FAMILY_NONE; i++)
    self.address = address_of(g_ptr_array_index(l->links, i), family);
  return self;
}

json_object *aap_links_describe(const AapLinks *l)
{
  json_object *out = json_object_new_array();
  char text[MAL_ADDRESS_STRLEN];
  for (guint n = 0; n < l->links->len; n++) {
    const Link *link = g_ptr_array_index(l->links, n);
    json_object *one = json_object_new_object(), *groups = json_object_new_array();
    for (guint i = 0; i < link->joined->len; i++) {
      const Joined *j = &g_array_index(link->joined, Joined, i);
      if (j->socket != NULL)
        json_object_array_add(groups, json_object_new_string(mal_address_format(j->group, text)));
    }
    json_object_object_add(one, "name", json_object_new_string(link->name));
    json_object_object_add(one, "groups", groups);
    json_object_array_add(out, one);
  }
  return out;
}
