#include "madcap-plugin-links.h"

#include "core/links.h"
#include "madcap-tables.h"

struct MadcapLinks {
  const MalHost *host;
  MalUdp *udp[2];
  MalTimerFunc changed;
  void *data;
  GArray *groups;             /* MadcapGroup */
  MalLinks *links;
};

/* ---- what happens to them -------------------------------------------------------------------- */

static MalUdp *socket_of(void *user, MalFamily family, GError **error)
{
  const MadcapLinks *l = user;

  (void)error;
  return family == MAL_IPV4 ? l->udp[0] : family == MAL_IPV6 ? l->udp[1] : NULL;
}

static void say_join_failed(MadcapLinks *l, const MalLink *link, MalAddress group,
                            const GError *error)
{
  char text[MAL_ADDRESS_STRLEN];
  const MalField fields[] = { MAL_F_STRING("interface", link->name),
                              MAL_F_ADDRESS("group", group) };

  mal_count(l->host->metrics, MADCAP_M_JOIN_FAILURES, 1);
  MAL_EVENT(l->host->events, &madcap_event_join_failed, fields, "can't join %s on %s: %s",
            mal_address_format(group, text), link->name,
            error != NULL ? error->message : "unknown");
}

static void say_lost(MadcapLinks *l, const MalLink *link)
{
  const MalField fields[] = { MAL_F_STRING("interface", link->name) };

  mal_count(l->host->metrics, MADCAP_M_INTERFACES_LOST, 1);
  MAL_EVENT(l->host->events, &madcap_event_interface_lost, fields,
            "interface %s is no longer served", link->name);
}

static void say_served(MadcapLinks *l, const MalLink *link)
{
  unsigned joined = mal_link_n_joined(link);
  const MalField fields[] = { MAL_F_STRING("interface", link->name),
                              MAL_F_INT("groups", joined) };
  MAL_EVENT(l->host->events, &madcap_event_listening, fields,
            "serving interface %s, %u groups joined", link->name, joined);
}

static void say_none(MadcapLinks *l)
{
  g_autofree char *text = mal_links_none_text(l->links);

  mal_event(l->host->events, &madcap_event_no_interface, NULL, 0, "%s", text);
}

static void news(void *user, MalLinkNews what, const MalLink *link, MalAddress group,
                 const GError *error)
{
  MadcapLinks *l = user;

  switch (what) {
  case MAL_LINK_SERVED: say_served(l, link); break;
  case MAL_LINK_LOST: say_lost(l, link); break;
  case MAL_LINK_JOIN_FAILED: say_join_failed(l, link, group, error); break;
  case MAL_LINK_NONE: say_none(l); break;
  }
}

static void count_links(MadcapLinks *l)
{
  mal_gauge(l->host->metrics, MADCAP_M_INTERFACES, (uint64_t)mal_links_count(l->links));
}

static void changed(void *user)
{
  MadcapLinks *l = user;

  count_links(l);
  l->changed(l->data);
}

static const MalLinksOps links_ops = {
  .socket = socket_of,
  .news = news,
  .changed = changed,
  .loopback = true,
};

/* ---- life ------------------------------------------------------------------------------------ */

MadcapLinks *madcap_links_new(const MalHost *host, MalUdp *const udp[2], MalTimerFunc func,
                              void *data)
{
  MadcapLinks *l = g_new0(MadcapLinks, 1);

  l->host = host;
  l->udp[0] = udp[0];
  l->udp[1] = udp[1];
  l->changed = func;
  l->data = data;
  l->groups = g_array_new(FALSE, FALSE, sizeof(MadcapGroup));
  l->links = mal_links_new(host->runtime, &links_ops, l);
  return l;
}

void madcap_links_free(MadcapLinks *l)
{
  if (l == NULL)
    return;
  mal_links_free(l->links);
  g_array_unref(l->groups);
  g_free(l);
}

void madcap_links_configure(MadcapLinks *l, char *const *names, const GArray *groups)
{
  g_autofree MalAddress *addresses = g_new(MalAddress, groups->len + 1);

  g_array_set_size(l->groups, 0);
  if (groups->len > 0)
    g_array_append_vals(l->groups, groups->data, groups->len);
  for (guint i = 0; i < groups->len; i++)
    addresses[i] = g_array_index(groups, MadcapGroup, i).address;
  mal_links_configure(l->links, names, addresses, groups->len);
  count_links(l);
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
static MalAddress address_for(const MalLink *link, MalAddress peer)
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
  return mal_links_is_loopback(l->links, index);
}

/* Local clients reach any of our addresses by way of loopback, which counts as served for them, and
   all of its prefix is ours. What else is neither a group nor ours is a broadcast: MADCAP knows
   none (RFC 2730 2), and a REQUEST in one would be a unicast REQUEST to every server. */
MalAddress madcap_links_server_id(const MadcapLinks *l, const MalDatagram *d)
{
  const MalLink *link = mal_links_find(l->links, d->ifindex);

  bool own = mal_links_is_own(l->links, d->local);
  bool loopback = mal_links_is_loopback(l->links, d->ifindex);

  if (!mal_address_is_multicast(d->local) && own &&
      (link != NULL || mal_links_is_everywhere(l->links) || loopback))
    return d->local;
  if (!mal_address_is_multicast(d->local) && !own && !loopback)
    return mal_address_none();
  return link != NULL ? address_for(link, d->peer.address) : mal_address_none();
}

const GArray *madcap_links_addresses(const MadcapLinks *l)
{
  return mal_links_addresses(l->links);
}

size_t madcap_links_count(const MadcapLinks *l)
{
  return mal_links_count(l->links);
}

static json_object *address_json(MalAddress address)
{
  char text[MAL_ADDRESS_STRLEN];

  return json_object_new_string(mal_address_format(address, text));
}

static json_object *groups_json(const MadcapLinks *l, const MalLink *link,
                                const MalScopeSet *scopes)
{
  json_object *out = json_object_new_array();

  for (guint i = 0; i < l->groups->len; i++) {
    const MadcapGroup *group = &g_array_index(l->groups, MadcapGroup, i);
    if (!mal_link_has_joined(link, group->address) ||
        group->scope >= mal_scope_set_size(scopes))
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

  for (size_t n = 0; n < mal_links_count(l->links); n++) {
    const MalLink *link = mal_links_at(l->links, n);
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
