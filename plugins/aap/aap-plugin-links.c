#include "aap-plugin-links.h"

#include "aap-tables.h"
#include "core/links.h"

/* Linux gives a socket 20 memberships (net.ipv4.igmp_max_memberships), counted for each
   interface. */
#define MEMBERSHIPS_MOST 16

typedef struct {
  MalUdp *udp;
  unsigned memberships;
} Socket;

struct AapLinks {
  const MalHost *host;
  uint16_t port;
  uint8_t ttl;
  AapLinksFunc func;
  void *data;
  GPtrArray *sockets[2]; /* Socket */
  bool speaks[2];        /* some group is of that family */
  MalLinks *links;
};

/* ---- sockets --------------------------------------------------------------------------------- */

static unsigned which(MalFamily family)
{
  return family == MAL_IPV6;
}

static bool is_own(const AapLinks *l, MalEndpoint from)
{
  return from.port == l->port && mal_links_is_own(l->links, from.address);
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

/* ---- interfaces and groups ------------------------------------------------------------------- */

static MalUdp *udp_with_room(void *user, MalFamily family, GError **error)
{
  Socket *socket = socket_with_room(user, family, error);
  return socket ? socket->udp : NULL;
}

static void count_member(void *user, MalUdp *udp, bool on)
{
  AapLinks *l = user;
  for (unsigned f = 0; f < 2; f++)
    for (guint i = 0; i < l->sockets[f]->len; i++) {
      Socket *socket = g_ptr_array_index(l->sockets[f], i);
      if (socket->udp == udp)
        socket->memberships += on ? 1u : -1u;
    }
}

static void say_join_failed(AapLinks *l, const MalLink *link, MalAddress group,
                            const GError *error)
{
  char text[MAL_ADDRESS_STRLEN];
  const MalField fields[] = { MAL_F_STRING("interface", link->name),
                              MAL_F_ADDRESS("group", group) };
  mal_count(l->host->metrics, AAP_M_JOIN_FAILURES, 1);
  MAL_EVENT(l->host->events, &aap_event_join_failed, fields, "can't join %s on %s: %s",
            mal_address_format(group, text), link->name, error ? error->message : "unknown");
}

static void say_lost(AapLinks *l, const MalLink *link)
{
  const MalField fields[] = { MAL_F_STRING("interface", link->name) };
  mal_count(l->host->metrics, AAP_M_INTERFACES_LOST, 1);
  MAL_EVENT(l->host->events, &aap_event_interface_lost, fields,
            "interface %s is no longer served", link->name);
}

static void say_served(AapLinks *l, const MalLink *link)
{
  const MalField fields[] = { MAL_F_STRING("interface", link->name),
                              MAL_F_INT("groups", mal_link_n_joined(link)) };
  MAL_EVENT(l->host->events, &aap_event_serving, fields, "speaking on %s, %u groups joined",
            link->name, mal_link_n_joined(link));
}

static void say_none(AapLinks *l)
{
  g_autofree char *text = mal_links_none_text(l->links);

  mal_event(l->host->events, &aap_event_no_interface, NULL, 0, "%s", text);
}

static void news(void *user, MalLinkNews what, const MalLink *link, MalAddress group,
                 const GError *error)
{
  AapLinks *l = user;
  switch (what) {
  case MAL_LINK_SERVED: say_served(l, link); break;
  case MAL_LINK_LOST: say_lost(l, link); break;
  case MAL_LINK_JOIN_FAILED: say_join_failed(l, link, group, error); break;
  case MAL_LINK_NONE: say_none(l); break;
  }
}

static void changed(void *user)
{
  AapLinks *l = user;
  mal_gauge(l->host->metrics, AAP_M_INTERFACES, (uint64_t)mal_links_count(l->links));
}

static const MalLinksOps links_ops = {
  .socket = udp_with_room,
  .member = count_member,
  .news = news,
  .changed = changed,
};

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
  l->links = mal_links_new(host->runtime, &links_ops, l);
  return l;
}

void aap_links_free(AapLinks *l)
{
  if (l == NULL)
    return;
  mal_links_free(l->links);
  for (unsigned f = 0; f < 2; f++)
    g_ptr_array_unref(l->sockets[f]);
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

/* A host without a family at all does without its socket. */
static bool ensure_socket(AapLinks *l, MalFamily family, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GPtrArray *sockets = l->sockets[which(family)];
  for (guint i = 0; i < sockets->len; i++)
    mal_udp_set_multicast_ttl(((Socket *)g_ptr_array_index(sockets, i))->udp, l->ttl);
  if (sockets->len > 0 || !l->speaks[which(family)] || add_socket(l, family, &problem) != NULL ||
      !host_has(l, family))
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

bool aap_links_configure(AapLinks *l, char *const *names, unsigned ttl, const MalAddress *groups,
                         size_t n, GError **error)
{
  l->ttl = (uint8_t)ttl;
  l->speaks[0] = l->speaks[1] = false;
  for (size_t i = 0; i < n; i++)
    l->speaks[which(groups[i].family)] = true;
  if (!ensure_socket(l, MAL_IPV4, error) || !ensure_socket(l, MAL_IPV6, error))
    return false;
  mal_links_configure(l->links, names, groups, n);
  changed(l);
  return true;
}

/* ---- sending --------------------------------------------------------------------------------- */

unsigned aap_links_send(AapLinks *l, MalAddress group, const uint8_t *data, size_t length)
{
  const GPtrArray *sockets = l->sockets[which(group.family)];
  unsigned n = 0;
  for (size_t i = 0; sockets->len > 0 && i < mal_links_count(l->links); i++) {
    const MalLink *link = mal_links_at(l->links, i);
    MalDatagram datagram = { .peer = { .address = group, .port = l->port },
                             .local = mal_link_address(link, group.family),
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
  size_t n = mal_links_count(l->links);
  for (size_t i = 0; i < n && self.address.family == MAL_FAMILY_NONE; i++)
    self.address = mal_link_address(mal_links_at(l->links, i), family);
  return self;
}

json_object *aap_links_describe(const AapLinks *l)
{
  json_object *out = json_object_new_array();
  char text[MAL_ADDRESS_STRLEN];
  for (size_t n = 0; n < mal_links_count(l->links); n++) {
    const MalLink *link = mal_links_at(l->links, n);
    json_object *one = json_object_new_object(), *groups = json_object_new_array();
    for (guint i = 0; i < link->joined->len; i++) {
      const MalJoined *j = &g_array_index(link->joined, MalJoined, i);
      if (j->udp != NULL)
        json_object_array_add(groups, json_object_new_string(mal_address_format(j->group, text)));
    }
    json_object_object_add(one, "name", json_object_new_string(link->name));
    json_object_object_add(one, "groups", groups);
    json_object_array_add(out, one);
  }
  return out;
}
