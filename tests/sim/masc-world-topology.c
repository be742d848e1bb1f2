/* Who is whose parent and sibling, which nodes' sessions that makes, and their configurations. */
#include "masc-world-private.h"

#define DOMAIN_ID 64496u

MalAddress world_node_address(const Node *n)
{
  return mal_address_ipv4(0xc0000201 + n->domain->index * NODES + n->index);
}

bool world_is_parent(const World *w, unsigned parent, unsigned child)
{
  for (unsigned i = 0; i < w->n_links; i++) {
    const Link *l = &w->link[i];
    if (!l->off && !l->sibling && l->domain == child && l->other == parent)
      return true;
  }
  return false;
}

bool world_is_ancestor(const World *w, unsigned ancestor, unsigned domain)
{
  for (unsigned i = 0; i < w->n_links; i++) {
    const Link *l = &w->link[i];
    if (!l->off && !l->sibling && l->domain == domain &&
        (l->other == ancestor || world_is_ancestor(w, ancestor, l->other)))
      return true;
  }
  return false;
}

bool world_has_parent(const World *w, const Domain *d, MascId parent)
{
  if (parent == 0)
    return true;
  return parent >= DOMAIN_ID && parent < DOMAIN_ID + DOMAINS &&
         world_is_parent(w, (unsigned)(parent - DOMAIN_ID), d->index);
}

/* Are both in one zone, so that the scope "zone" is the same to them? */
bool world_zoned(const World *w, unsigned a, unsigned b)
{
  return w->domain[a].zone == w->domain[b].zone;
}

/* ---- links ----------------------------------------------------------------------------------- */

static void add_link(World *w, MalWorldRandom *r, unsigned domain, unsigned other, bool sibling,
                     unsigned common)
{
  if (w->n_links == LINKS_MOST)
    return;
  Link *l = &w->link[w->n_links++];
  uint64_t a = mal_world_random(r), b = mal_world_random(r);
  *l = (Link){ .domain = domain, .other = other, .sibling = sibling, .common = common };
  l->zoned = world_zoned(w, domain, other);
  l->node = (unsigned)(a % w->domain[domain].n_nodes);
  l->other_node = (unsigned)(b % w->domain[other].n_nodes);
}

/* A tree of sessions, and some more. */
static void mesh_tops(World *w, MalWorldRandom *r)
{
  unsigned n = (unsigned)w->plan->settings[SET_TOPS];
  for (unsigned i = 1; i < n; i++) {
    unsigned to = (unsigned)between(r, 0, i - 1);
    add_link(w, r, i, to, true, NONE);
    for (unsigned k = 0; k < i; k++)
      if (k != to && chance(r, (unsigned)w->plan->settings[SET_MESH]))
        add_link(w, r, i, k, true, NONE);
  }
}

static void join_siblings(World *w, MalWorldRandom *r)
{
  unsigned n = w->n_links;
  for (unsigned i = 0; i < n; i++)
    for (unsigned k = i + 1; k < n; k++) {
      const Link *a = &w->link[i], *b = &w->link[k];
      if (!a->sibling && !b->sibling && a->other == b->other && a->domain != b->domain &&
          chance(r, (unsigned)w->plan->settings[SET_MESH]))
        add_link(w, r, a->domain, b->domain, true, a->other);
    }
}

void world_make_links(World *w)
{
  MalWorldRandom r = { w->plan->seed * 0x9e3779b97f4a7c15u + 77 };
  mesh_tops(w, &r);
  for (guint i = 0; i < w->plan->items->len; i++) {
    const MalWorldItem *item = mal_world_plan_item(w->plan, i);
    if (item->kind != KIND_DOMAIN || item->who < TOPS)
      continue;
    add_link(w, &r, (unsigned)item->who, (unsigned)item->a, false, NONE);
    if (item->b != 0)
      add_link(w, &r, (unsigned)item->who, (unsigned)item->b - 1, false, NONE);
  }
  join_siblings(w, &r);
}

static Link *uplink(World *w, unsigned domain, MalWorldRandom *r)
{
  Link *found[LINKS_MOST];
  unsigned n = 0;
  for (unsigned i = 0; i < w->n_links; i++)
    if (!w->link[i].off && !w->link[i].sibling && w->link[i].domain == domain)
      found[n++] = &w->link[i];
  return n > 0 ? found[between(r, 0, n - 1)] : NULL;
}

bool world_change_provider(World *w, Domain *d, MalWorldRandom *r)
{
  unsigned n = (unsigned)w->plan->settings[SET_TOPS];
  Link *old = uplink(w, d->index, r);
  unsigned to = (unsigned)between(r, 0, n - 1), from;
  if (old == NULL || w->plan->settings[SET_ZONED] || w->n_links == LINKS_MOST ||
      !exists(&w->domain[to]) || world_is_parent(w, to, d->index))
    return false;
  from = old->other;
  for (unsigned i = 0; i < w->n_links; i++) {
    Link *l = &w->link[i];
    bool ours = l->domain == d->index || (l->sibling && l->other == d->index);
    if (ours && (l->sibling ? l->common == from : l->other == from))
      l->off = true;
  }
  add_link(w, r, d->index, to, false, NONE);
  for (unsigned i = 0; i < DOMAINS; i++)
    world_domain_reload(&w->domain[i]);
  return true;
}

/* ---- configurations -------------------------------------------------------------------------- */

static void write_scopes(GString *text, const World *w)
{
  static const char *const lasts[] = { "239.193.255.255", "239.192.127.255", "239.192.15.255" };
  static const char *const zone_lasts[] = { "239.200.255.255", "239.200.63.255",
                                            "239.200.15.255" };
  int64_t tight = w->plan->settings[SET_TIGHT];
  g_string_append_printf(text, "[scope world]\nfamily=ipv4\nttl=127\ndivisible=yes\n"
                               "first=239.192.0.0\nlast=%s\n",
                         lasts[tight]);
  if (w->plan->settings[SET_ZONED])
    g_string_append_printf(text, "[scope zone]\nfamily=ipv4\nttl=63\ndivisible=yes\n"
                                 "first=239.200.0.0\nlast=%s\n",
                           zone_lasts[tight]);
}

static void write_peer(GString *text, const World *w, const Node *n, unsigned place)
{
  static const char *const wrong[] = { "child", "parent", "child" };
  static const char *const right[] = { "parent", "child", "sibling" };
  const Link *l = &w->link[place];
  bool here = l->domain == n->domain->index;
  unsigned role = l->sibling ? 2 : here ? 0 : 1;
  const Domain *d = &w->domain[here ? l->other : l->domain];
  const Node *peer = &d->node[here ? l->other_node : l->node];
  char address[MAL_ADDRESS_STRLEN];
  g_string_append_printf(text, "[masc-peer p%u]\naddress=%s\nrole=%s\ndomain-id=%u\n", place,
                         mal_address_format(world_node_address(peer), address),
                         n->wrong == place ? wrong[role] : right[role], DOMAIN_ID + d->index);
  if (l->sibling && n->wrong != place && l->common == NONE)
    g_string_append(text, "parent=none\n");
  else if (l->sibling && n->wrong != place)
    g_string_append_printf(text, "parent=%u\n", DOMAIN_ID + l->common);
  if (w->plan->settings[SET_ZONED] && !l->zoned)
    g_string_append(text, "scopes=world\n");
}

static void write_internal(GString *text, const Node *n)
{
  char address[MAL_ADDRESS_STRLEN];
  for (unsigned i = 0; i < n->domain->n_nodes; i++)
    if (i != n->index)
      g_string_append_printf(text, "[masc-peer i%u]\naddress=%s\nrole=internal\n", i,
                             mal_address_format(world_node_address(&n->domain->node[i]), address));
}

/* Parents that only other nodes of the domain speak to. */
static void write_parents(GString *text, const World *w, const Node *n)
{
  const char *before = "parents=";
  for (unsigned i = 0; i < w->n_links; i++) {
    const Link *l = &w->link[i];
    if (l->off || l->sibling || l->domain != n->domain->index || l->node == n->index)
      continue;
    g_string_append_printf(text, "%s%u", before, DOMAIN_ID + l->other);
    before = ";";
  }
  g_string_append_c(text, '\n');
}

/* As RFC 2909 and Appendix A have them, in days of these worlds. */
static void write_times(GString *text)
{
  static const struct {
    const char *key;
    int64_t time;
  } times[] = {
    { "waiting-period", WAITING },       { "initiate-claim-delay", HOUR / 6 },
    { "holdtime", 4 * HOUR },            { "prefix-lifetime", 30 * DAY },
    { "renew-interval", 2 * DAY },       { "plan-interval", DAY / 2 },
    { "extra-holding-time", DAY },       { "timestamp-ahead", DAY },
    { "connect-retry", HOUR / 6 },       { "backoff", HOUR / 12 },
    { "backoff-most", 4 * HOUR },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(times); i++)
    g_string_append_printf(text, "%s=%" G_GINT64_FORMAT "\n", times[i].key,
                           (gint64)SECONDS(times[i].time));
}

char *world_node_config(const Node *n)
{
  const World *w = n->world;
  GString *text = g_string_new("[daemon]\nroles=maas;prefix-coordinator\nlog-level=error\n"
                               "plugins=masc\nethernet=ignore\n");
  char address[MAL_ADDRESS_STRLEN];
  write_scopes(text, w);
  g_string_append_printf(text,
                         "[masc]\ndomain-id=%u\nnode-id=%s\nclash-resolution=%s\n",
                         DOMAIN_ID + n->domain->index,
                         mal_address_format(world_node_address(n), address),
                         n->domain->manual ? "manual" : "automatic");
  write_times(text);
  write_parents(text, w, n);
  write_internal(text, n);
  for (unsigned i = 0; i < w->n_links; i++) {
    const Link *l = &w->link[i];
    bool ours = (l->domain == n->domain->index && l->node == n->index) ||
                (l->other == n->domain->index && l->other_node == n->index);
    if (ours && !l->off)
      write_peer(text, w, n, i);
  }
  return g_string_free(text, FALSE);
}
