/* Who is whose parent and sibling, which nodes' sessions that makes, and their configurations. */
#include "masc-world-private.h"

#define DOMAIN_ID 64496u

/* 2001:db8:: */
#define DOCUMENTATION ((MalU128)0x20010db8 << 96)

MalAddress world_node_address(const Node *n)
{
  uint32_t host = n->domain->index * NODES + n->index + 1;
  if (n->world->plan->settings[SET_LONG])
    return mal_address_make(MAL_IPV6, DOCUMENTATION + host);
  return mal_address_ipv4(0xc0000200 + host);
}

static MascId domain_id(const World *w, unsigned domain)
{
  return w->plan->settings[SET_LONG] ? DOCUMENTATION + 0x10000 + domain : DOMAIN_ID + domain;
}

char *world_domain_id(const World *w, unsigned domain)
{
  MascId id = domain_id(w, domain);
  char text[MAL_ADDRESS_STRLEN];
  if (w->plan->settings[SET_LONG])
    return g_strdup(mal_address_format(mal_address_make(MAL_IPV6, id), text));
  return g_strdup_printf("%u", (unsigned)id);
}

static bool is_uplink(const Link *l, unsigned scope, unsigned domain)
{
  return !l->off && !l->sibling && l->domain == domain && (l->scopes >> scope & 1) != 0;
}

bool world_is_parent(const World *w, unsigned scope, unsigned parent, unsigned child)
{
  for (unsigned i = 0; i < w->n_links; i++)
    if (is_uplink(&w->link[i], scope, child) && w->link[i].other == parent)
      return true;
  return false;
}

bool world_is_ancestor(const World *w, unsigned scope, unsigned ancestor, unsigned domain)
{
  for (unsigned i = 0; i < w->n_links; i++)
    if (is_uplink(&w->link[i], scope, domain) &&
        (w->link[i].other == ancestor ||
         world_is_ancestor(w, scope, ancestor, w->link[i].other)))
      return true;
  return false;
}

bool world_is_top(const World *w, unsigned scope, unsigned domain)
{
  for (unsigned i = 0; i < w->n_links; i++)
    if (is_uplink(&w->link[i], scope, domain))
      return false;
  return true;
}

bool world_has_parent(const World *w, unsigned scope, const Domain *d, MascId parent)
{
  MascId first = domain_id(w, 0);
  if (parent == 0)
    return !d->was_wrong || world_is_top(w, scope, d->index);
  return parent >= first && parent < first + DOMAINS &&
         world_is_parent(w, 0, (unsigned)(parent - first), d->index);
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
  l->scopes = world_common_scopes(w, domain, other);
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

/* Of a parent that siblings have in common nothing is known in another zone than its. */
static uint32_t scopes_of(const World *w, const Link *l)
{
  uint32_t out = world_common_scopes(w, l->domain, l->other);
  for (unsigned i = 0; i < w->n_scopes; i++)
    if (l->sibling && l->common != NONE && w->scope[i].any &&
        !world_zoned(w, i, l->domain, l->common))
      out &= ~(UINT32_C(1) << i);
  return out;
}

/* The top-level domains of a zone with parents outside are siblings of the one that it is named
   after, and of others perhaps. */
static void join_zone_tops(World *w, MalWorldRandom *r)
{
  for (unsigned a = TOPS; a < DOMAINS; a++)
    for (unsigned b = TOPS; b < a; b++) {
      uint32_t scopes = 0;
      for (unsigned i = 0; i < w->n_scopes; i++)
        if (exists(&w->domain[a]) && exists(&w->domain[b]) && world_zoned(w, i, a, b) &&
            w->scope[i].any && world_is_top(w, i, a) && world_is_top(w, i, b) &&
            (w->scope[i].zone[a] == b || !exists(&w->domain[w->scope[i].zone[a]]) || chance(r, 30)))
          scopes |= UINT32_C(1) << i;
      if (scopes != 0 && w->n_links < LINKS_MOST) {
        add_link(w, r, a, b, true, NONE);
        w->link[w->n_links - 1].scopes = scopes;
      }
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
  world_make_scopes(w);
  for (unsigned i = 0; i < w->n_links; i++)
    w->link[i].scopes = scopes_of(w, &w->link[i]);
  join_zone_tops(w, &r);
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
      !exists(&w->domain[to]) || world_is_parent(w, 0, to, d->index) ||
      (old->scopes & ~w->everybodys) != 0 ||
      (world_common_scopes(w, to, d->index) & ~w->everybodys) != 0)
    return false;
  from = old->other;
  for (unsigned i = 0; i < w->n_links; i++) {
    Link *l = &w->link[i];
    bool ours = l->domain == d->index || (l->sibling && l->other == d->index);
    if (l->sibling && l->common == NONE)
      continue; /* of a zone that the provider is not in */
    if (ours && (l->sibling ? l->common == from : l->other == from))
      l->off = true;
  }
  add_link(w, r, d->index, to, false, NONE);
  for (unsigned i = 0; i < DOMAINS; i++)
    world_domain_reload(&w->domain[i]);
  return true;
}

/* ---- configurations -------------------------------------------------------------------------- */

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
  g_autofree char *id = world_domain_id(w, d->index);
  g_string_append_printf(text, "[masc-peer p%u]\naddress=%s\nrole=%s\ndomain-id=%s\n", place,
                         mal_address_format(world_node_address(peer), address),
                         n->wrong == place ? wrong[role] : right[role], id);
  if (l->sibling && n->wrong != place && l->common == NONE)
    g_string_append(text, "parent=none\n");
  else if (l->sibling && n->wrong != place) {
    g_autofree char *common = world_domain_id(w, l->common);
    g_string_append_printf(text, "parent=%s\n", common);
  }
  world_write_peer_scopes(text, w, l->scopes);
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
    g_autofree char *id = world_domain_id(w, l->other);
    for (unsigned k = 0; k < w->n_scopes; k++)
      if ((l->scopes >> k & 1) != 0) {
        g_string_append_printf(text, "%s%s@%s", before, id, w->scope[k].name);
        before = ";";
      }
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
  GString *text = g_string_new(NULL);
  char address[MAL_ADDRESS_STRLEN];
  g_autofree char *id = world_domain_id(w, n->domain->index);
  world_write_roles(text, n);
  world_write_scopes(text, w);
  world_write_site(text, n);
  if (n->kind != NODE_COORDINATOR)
    return g_string_free(text, FALSE);
  g_string_append_printf(text, "[masc]\ndomain-id=%s\nnode-id=%s\nclash-resolution=%s\n", id,
                         mal_address_format(world_node_address(n), address),
                         n->domain->manual ? "manual" : "automatic");
  if (n->domain->by_hand)
    g_string_append(text, "claim=no\n");
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
