#include "madcap-plugin-links.h"

#include "madcap-tables.h"

#include <string.h>

typedef struct {
  char name[16];
  uint32_t index;
  bool loopback;
  GArray *addresses;          /* MalAddress, as the runtime orders them */
  GArray *joined;             /* MalAddress */
  GArray *failed;             /* MalAddress: said once, tried again at every change */
} Link;

struct MadcapLinks {
  const MalHost *host;
  MalUdp *udp[2];
  MalTimerFunc changed;
  void *data;
  MalInterfaceWatch *watch;
  char **names;
  GArray *groups;             /* MadcapGroup */
  GPtrArray *links;           /* Link */
  GArray *addresses;
  GArray *loopbacks;          /* uint32_t: their indices */
  bool said_none;
};

static void link_free(gpointer data)
{
  Link *link = data;

  g_array_unref(link->addresses);
  g_array_unref(link->joined);
  g_array_unref(link->failed);
  g_free(link);
}

static bool has(const GArray *addresses, MalAddress address)
{
  for (guint i = 0; i < addresses->len; i++)
    if (mal_address_equal(g_array_index(addresses, MalAddress, i), address))
      return true;
  return false;
}

static bool has_family(const GArray *addresses, MalFamily family)
{
  for (guint i = 0; i < addresses->len; i++)
    if (g_array_index(addresses, MalAddress, i).family == family)
      return true;
  return false;
}

static MalUdp *socket_of(const MadcapLinks *l, MalFamily family)
{
  return family == MAL_IPV4 ? l->udp[0] : family == MAL_IPV6 ? l->udp[1] : NULL;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void join_one(MadcapLinks *l, Link *link, MalAddress group)
{
  g_autoptr(GError) error = NULL;
  char text[MAL_ADDRESS_STRLEN];

  if (mal_udp_join(socket_of(l, group.family), link->index, group, &error)) {
    g_array_append_val(link->joined, group);
    for (guint i = 0; i < link->failed->len; i++)
      if (mal_address_equal(g_array_index(link->failed, MalAddress, i), group))
        g_array_remove_index_fast(link->failed, i--);
    return;
  }
  if (has(link->failed, group))
    return;
  g_array_append_val(link->failed, group);
  mal_count(l->host->metrics, MADCAP_M_JOIN_FAILURES, 1);
  const MalField fields[] = { MAL_F_STRING("interface", link->name),
                              MAL_F_ADDRESS("group", group) };
  MAL_EVENT(l->host->events, &madcap_event_join_failed, fields, "can't join %s on %s: %s",
            mal_address_format(group, text), link->name,
            error != NULL ? error->message : "unknown");
}

static bool is_wanted_group(const MadcapLinks *l, MalAddress address)
{
  for (guint i = 0; i < l->groups->len; i++)
    if (mal_address_equal(g_array_index(l->groups, MadcapGroup, i).address, address))
      return true;
  return false;
}

static void leave_one(MadcapLinks *l, Link *link, guint n)
{
  MalAddress group = g_array_index(link->joined, MalAddress, n);

  /* Fails where the interface is gone, which left the group by itself. */
  mal_udp_leave(socket_of(l, group.family), link->index, group, NULL);
  g_array_remove_index_fast(link->joined, n);
}

static void sync_groups(MadcapLinks *l, Link *link)
{
  for (guint i = link->joined->len; i-- > 0;) {
    MalAddress group = g_array_index(link->joined, MalAddress, i);
    if (!is_wanted_group(l, group) || !has_family(link->addresses, group.family))
      leave_one(l, link, i);
  }
  for (guint i = 0; i < l->groups->len; i++) {
    MalAddress group = g_array_index(l->groups, MadcapGroup, i).address;
    if (socket_of(l, group.family) != NULL && has_family(link->addresses, group.family) &&
        !has(link->joined, group))
      join_one(l, link, group);
  }
}

/* ---- interfaces ------------------------------------------------------------------------------ */

/* One that was named is served even where it says that it can't do multicast (loopback). */
static bool is_wanted(const MadcapLinks *l, const MalInterface *i)
{
  if (!i->up || i->n_addresses == 0)
    return false;
  if (l->names == NULL || l->names[0] == NULL)
    return i->multicast;
  return g_strv_contains((const char *const *)l->names, i->name);
}

static Link *find(const MadcapLinks *l, uint32_t index)
{
  for (guint i = 0; i < l->links->len; i++) {
    Link *link = g_ptr_array_index(l->links, i);
    if (link->index == index)
      return link;
  }
  return NULL;
}

static void lose(MadcapLinks *l, guint n)
{
  Link *link = g_ptr_array_index(l->links, n);
  const MalField fields[] = { MAL_F_STRING("interface", link->name) };

  while (link->joined->len > 0)
    leave_one(l, link, link->joined->len - 1);
  mal_count(l->host->metrics, MADCAP_M_INTERFACES_LOST, 1);
  MAL_EVENT(l->host->events, &madcap_event_interface_lost, fields,
            "interface %s is no longer served", link->name);
  g_ptr_array_remove_index(l->links, n);
}

static void drop_lost(MadcapLinks *l, const GArray *interfaces)
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

static void add_or_update(MadcapLinks *l, const MalInterface *i)
{
  Link *link = find(l, i->index);
  bool is_new = link == NULL;

  if (is_new) {
    link = g_new0(Link, 1);
    g_strlcpy(link->name, i->name, sizeof link->name);
    link->index = i->index;
    link->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
    link->joined = g_array_new(FALSE, FALSE, sizeof(MalAddress));
    link->failed = g_array_new(FALSE, FALSE, sizeof(MalAddress));
    g_ptr_array_add(l->links, link);
  }
  link->loopback = i->loopback;
  g_array_set_size(link->addresses, 0);
  g_array_append_vals(link->addresses, i->addresses, (guint)i->n_addresses);
  sync_groups(l, link);
  if (is_new) {
    const MalField fields[] = { MAL_F_STRING("interface", link->name),
                                MAL_F_INT("groups", link->joined->len) };
    MAL_EVENT(l->host->events, &madcap_event_listening, fields,
              "serving interface %s, %u groups joined", link->name, link->joined->len);
  }
}

static void note_addresses(MadcapLinks *l, const GArray *interfaces)
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

static void refresh(MadcapLinks *l)
{
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(l->host->runtime);

  note_addresses(l, interfaces);
  drop_lost(l, interfaces);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    if (is_wanted(l, interface))
      add_or_update(l, interface);
  }
  mal_gauge(l->host->metrics, MADCAP_M_INTERFACES, l->links->len);
  if (l->links->len == 0 && !l->said_none)
    mal_event(l->host->events, &madcap_event_no_interface, NULL, 0, "no interface to serve is up");
  l->said_none = l->links->len == 0;
}

static void interfaces_changed(void *data)
{
  MadcapLinks *l = data;

  refresh(l);
  l->changed(l->data);
}

/* ---- life ------------------------------------------------------------------------------------ */

MadcapLinks *madcap_links_new(const MalHost *host, MalUdp *const udp[2], MalTimerFunc changed,
                              void *data)
{
  MadcapLinks *l = g_new0(MadcapLinks, 1);

  l->host = host;
  l->udp[0] = udp[0];
  l->udp[1] = udp[1];
  l->changed = changed;
  l->data = data;
  l->groups = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));
  l->links = g_ptr_array_new_with_free_func(link_free);
  l->addresses = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  l->loopbacks = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  l->watch = mal_interface_watch_new(host->runtime, interfaces_changed, l);
  return l;
}

void madcap_links_free(MadcapLinks *l)
{
  if (l == NULL)
    return;
  mal_interface_watch_free(l->watch);
  for (guint n = 0; n < l->links->len; n++) {
    Link *link = g_ptr_array_index(l->links, n);
    while (link->joined->len > 0)
      leave_one(l, link, link->joined->len - 1);
  }
  g_ptr_array_unref(l->links);
  g_array_unref(l->groups);
  g_array_unref(l->addresses);
  g_array_unref(l->loopbacks);
  g_strfreev(l->names);
  g_free(l);
}

void madcap_links_configure(MadcapLinks *l, char *const *names, const GArray *groups)
{
  g_strfreev(l->names);
  l->names = g_strdupv((char **)names);
  g_array_set_size(l->groups, 0);
  if (groups->len > 0)
    g_array_append_vals(l->groups, groups->data, groups->len);
  refresh(l);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* How many leading bits two addresses share, of those that may name a network: the true length of
   our prefixes is not known here. */
static unsigned shared_bits(MalAddress a, MalAddress b)
{
  unsigned most = a.family == MAL_IPV4 ? 24 : 64, width = a.family == MAL_IPV4 ? 32 : 128;
  unsigned n = 0;

  while (n < most && (a.value ^ b.value) >> (width - 1 - n) == 0)
    n++;
  return n;
}

/* The one nearest to the peer, which is sure to reach him where it is of his network; the first
   among equals. */
static MalAddress address_for(const Link *link, MalAddress peer)
{
  MalAddress best = mal_address_none();

  for (guint i = 0; i < link->addresses->len; i++) {
    MalAddress a = g_array_index(link->addresses, MalAddress, i);
    if (a.family == peer.family && (best.family == MAL_FAMILY_NONE ||
                                    shared_bits(a, peer) > shared_bits(best, peer)))
      best = a;
  }
  return best;
}

bool madcap_links_is_loopback(const MadcapLinks *l, uint32_t index)
{
  for (guint i = 0; i < l->loopbacks->len; i++)
    if (g_array_index(l->loopbacks, uint32_t, i) == index)
      return true;
  return false;
}

/* Local clients reach any of our addresses by way of loopback, which counts as served for them, and
   all of its prefix is ours. What else is neither a group nor ours is a broadcast: MADCAP knows
   none (RFC 2730 2), and a REQUEST in one would be a unicast REQUEST to every server. */
MalAddress madcap_links_server_id(const MadcapLinks *l, const MalDatagram *d)
{
  const Link *link = find(l, d->ifindex);

  if (!mal_address_is_multicast(d->local) && has(l->addresses, d->local) &&
      (link != NULL || l->names == NULL || l->names[0] == NULL ||
       madcap_links_is_loopback(l, d->ifindex)))
    return d->local;
  if (!mal_address_is_multicast(d->local) && !has(l->addresses, d->local) &&
      !madcap_links_is_loopback(l, d->ifindex))
    return mal_address_none();
  return link != NULL ? address_for(link, d->peer.address) : mal_address_none();
}

const GArray *madcap_links_addresses(const MadcapLinks *l)
{
  return l->addresses;
}

size_t madcap_links_count(const MadcapLinks *l)
{
  return l->links->len;
}

static json_object *address_json(MalAddress address)
{
  char text[MAL_ADDRESS_STRLEN];

  return json_object_new_string(mal_address_format(address, text));
}

static json_object *groups_json(const MadcapLinks *l, const Link *link, const MalScopeSet *scopes)
{
  json_object *out = json_object_new_array();

  for (guint i = 0; i < l->groups->len; i++) {
    const MadcapGroup *group = &g_array_index(l->groups, MadcapGroup, i);
    if (!has(link->joined, group->address) || group->scope >= mal_scope_set_size(scopes))
      continue;
    json_object *one = json_object_new_object();
    json_object_object_add(one, "address", address_json(group->address));
    json_object_object_add(one, "scope",
                           json_object_new_string(mal_scope_set_at(scopes, group->scope)->id));
    json_object_array_add(out, one);
  }
  return out;
}

json_object *madcap_links_describe(const MadcapLinks *l, const MalScopeSet *scopes)
{
  json_object *out = json_object_new_array();

  for (guint n = 0; n < l->links->len; n++) {
    const Link *link = g_ptr_array_index(l->links, n);
    json_object *one = json_object_new_object(), *addresses = json_object_new_array();
    for (guint i = 0; i < link->addresses->len; i++)
      json_object_array_add(addresses, address_json(g_array_index(link->addresses, MalAddress, i)));
    json_object_object_add(one, "name", json_object_new_string(link->name));
    json_object_object_add(one, "index", json_object_new_int64(link->index));
    json_object_object_add(one, "addresses", addresses);
    json_object_object_add(one, "groups", groups_json(l, link, scopes));
    json_object_array_add(out, one);
  }
  return out;
}
