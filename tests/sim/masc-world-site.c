/* What is behind a domain's coordinators: a link of its own, servers (AAP, MADCAP) and a daemon
   that is the client of users. */
#include "masc-world-private.h"

#include <string.h>

#include "core/leases-core.h"

#define HOSTS 8 /* of a link, at most */

/* ---- making ---------------------------------------------------------------------------------- */

static unsigned host_of(const Node *n)
{
  return n->kind == NODE_CLIENT ? HOSTS - 1 : n->index + (n->kind == NODE_SERVER ? NODES : 0);
}

MalAddress world_site_address(const Node *n, MalFamily family)
{
  uint32_t host = n->domain->index * HOSTS + host_of(n) + 1;
  return family == MAL_IPV6
             ? mal_address_make(MAL_IPV6, ((MalU128)0x20010db800010000u << 64) + host)
             : mal_address_ipv4(0xc6336400u + host);
}

static void plug(Node *n)
{
  MalSimIface *iface = mal_sim_iface_new(n->node, n->domain->site, "site0");
  mal_sim_iface_add_address(iface, world_site_address(n, MAL_IPV4));
  mal_sim_iface_add_address(iface, world_site_address(n, MAL_IPV6));
}

/* All three tiers in each of the coordinators' processes, or each in its own. */
void world_site_make(Domain *d, uint64_t seed)
{
  World *w = d->world;
  MalWorldRandom r = { seed * 0xd1342543de82ef95u + 3 };
  uint64_t most = (uint64_t)w->plan->settings[SET_SERVERS];
  g_autofree char *name = g_strdup_printf("site%u", d->index);
  if (most == 0)
    return;
  d->together = chance(&r, 25);
  d->n_servers = (unsigned)between(&r, d->together ? 0 : 1, most);
  d->site = mal_sim_link_new(w->sim, name);
  for (unsigned i = 0; i < d->n_nodes; i++)
    plug(&d->node[i]);
  for (unsigned i = 0; i < d->n_servers; i++) {
    world_node_init(&d->server[i], d, NODE_SERVER, i);
    plug(&d->server[i]);
  }
  world_node_init(&d->client, d, NODE_CLIENT, 0);
  plug(&d->client);
  if (!exists(d))
    return;
  w->result->counts[COUNT_SERVERS] += d->n_servers + (d->together ? d->n_nodes : 0);
  w->result->counts[COUNT_TOGETHER] += d->together;
}

unsigned world_leasing(Domain *d, Node *out[NODES + SERVERS])
{
  unsigned n = 0;
  for (unsigned i = 0; i < d->n_servers; i++)
    out[n++] = &d->server[i];
  for (unsigned i = 0; i < d->n_nodes && d->together; i++)
    out[n++] = &d->node[i];
  return n;
}

void world_site_start(Domain *d, MalWorldRandom *r)
{
  World *w = d->world;
  if (d->site == NULL)
    return;
  for (unsigned i = 0; i < d->n_servers; i++)
    mal_sim_at(w->sim, (int64_t)between(r, 0, 3 * HOUR), world_node_restart, &d->server[i]);
  mal_sim_at(w->sim, (int64_t)between(r, 0, 3 * HOUR), world_node_restart, &d->client);
}

void world_site_free(Domain *d)
{
  if (d->site == NULL)
    return;
  for (unsigned i = 0; i < d->n_servers; i++)
    world_node_clear(&d->server[i]);
  world_node_clear(&d->client);
}

/* ---- configurations -------------------------------------------------------------------------- */

/* The Allocation Scope of each family: the domain, whose edge its link is. */
static void write_domain_scopes(GString *text, const World *w)
{
  if (w->plan->settings[SET_FAMILIES] != FAMILIES_IPV6)
    g_string_append(text, "[scope domain]\nfamily=ipv4\nttl=31\nfirst=239.251.0.0\n"
                          "last=239.251.255.255\n");
  if (w->plan->settings[SET_FAMILIES] != FAMILIES_IPV4)
    g_string_append(text, "[scope domain6]\nfamily=ipv6\nttl=31\nfirst=ff06::db8:8000:0\n"
                          "last=ff06::db8:8000:ffff\n");
}

/* Half a minute of these worlds is most of an hour. */
static void write_aap(GString *text)
{
  g_string_append_printf(text,
                         "[aap]\ninterfaces=site0\ngroup6=ff06::db8:0:1\nstartup-wait=10\n"
                         "announce-wait=2\nresend-wait=1\nrepeat-interval=30\nasa-interval=15\n"
                         "asrp-interval=15\npreallocate=32\npartition-cover=900\n"
                         "own-lifetime=%" G_GINT64_FORMAT "\nreuse-guard=20\ndelete-grace=20\n",
                         (gint64)SECONDS(2 * DAY));
}

static void write_madcap(GString *text)
{
  g_string_append_printf(text, "[madcap]\ninterfaces=site0\nextra-allocation-time=%"
                               G_GINT64_FORMAT "\n",
                         (gint64)SECONDS(HOUR));
}

void world_write_roles(GString *text, const Node *n)
{
  static const char *const roles[] = { "prefix-coordinator", "maas", "client" };
  static const char *const plugins[] = { "masc;aap", "madcap;aap", "madcap" };
  const Domain *d = n->domain;
  bool all = d->together && n->kind == NODE_COORDINATOR;
  if (d->site == NULL)
    g_string_append(text, "[daemon]\nroles=maas;prefix-coordinator\nplugins=masc\n");
  else
    g_string_append_printf(text, "[daemon]\nroles=%s%s\nplugins=%s%s\n", roles[n->kind],
                           all ? ";maas" : "", plugins[n->kind], all ? ";madcap" : "");
  g_string_append(text, "log-level=error\nethernet=ignore\n");
}

void world_write_site(GString *text, const Node *n)
{
  const Domain *d = n->domain;
  Node *servers[NODES + SERVERS];
  char address[MAL_ADDRESS_STRLEN];
  if (d->site == NULL)
    return;
  write_domain_scopes(text, n->world);
  if (n->kind != NODE_CLIENT)
    write_aap(text);
  if (n->kind != NODE_COORDINATOR || d->together)
    write_madcap(text);
  if (n->kind != NODE_CLIENT)
    return;
  unsigned n_servers = world_leasing(n->world->domain + d->index, servers);
  g_string_append(text, "servers=");
  for (unsigned i = 0; i < n_servers; i++)
    for (MalFamily f = MAL_IPV4; f <= MAL_IPV6; f++)
      g_string_append_printf(text, "%s;", mal_address_format(world_site_address(servers[i], f),
                                                             address));
  g_string_append_c(text, '\n');
}

/* ---- one lease ------------------------------------------------------------------------------- */

bool world_site_settled(const Domain *d)
{
  const World *w = d->world;
  bool up = d->site_cuts == 0;
  for (unsigned i = 0; i < d->n_nodes; i++)
    up = up && d->node[i].core != NULL && !d->node[i].bad_disk;
  for (unsigned i = 0; i < d->n_servers; i++)
    up = up && d->server[i].core != NULL;
  return up && mal_sim_now(w->sim) - d->site_disturbed > SITE_SETTLES;
}

void world_site_disturb(Domain *d)
{
  d->site_disturbed = mal_sim_now(d->world->sim);
}

static bool lives(const Node *n, const MalLease *lease)
{
  MalTime now = mal_leases_now(mal_core_leases(n->core));
  return lease->start <= now && lease->end > now;
}

static void check_twice(const Node *n, const Node *other, const MalLease *lease, MalSpan span)
{
  World *w = n->world;
  MalLeaseFilter filter = { .span = span };
  uint64_t cursor = 0;
  char text[MAL_SPAN_STRLEN];
  MalLease there;
  if (other == n || other->core == NULL || !lives(n, lease))
    return;
  while (mal_leases_next(mal_core_leases(other->core), &filter, &cursor, &there)) {
    if (!lives(other, &there))
      continue;
    if (!world_site_settled(n->domain))
      count(w, COUNT_TWICE);
    else
      mal_sim_fail(w->sim, "%s leases %s, and so does %s", mal_sim_node_name(n->node),
                   mal_span_format(span, text), mal_sim_node_name(other->node));
  }
}

/* Leased in owned in available (design: three nested sets), and by nobody else in the domain. */
static void on_lease(MalLeaseChange what, const MalLease *lease, const char *reason, void *data)
{
  Node *n = data;
  World *w = n->world;
  const MalSpace *space = mal_core_space(n->core);
  MalLeases *leases = mal_core_leases(n->core);
  const MalScope *scope = mal_scope_set_find(mal_leases_scopes(leases), lease->scope);
  Node *servers[NODES + SERVERS];
  unsigned n_servers = world_leasing(n->domain, servers);
  char text[MAL_SPAN_STRLEN];
  (void)reason;
  if (what != MAL_LEASE_GRANTED && what != MAL_LEASE_RENEWED)
    return;
  count(w, COUNT_LEASES);
  for (size_t i = 0; i < lease->n_blocks; i++) {
    MalSpan span = mal_span_of_block(lease->blocks[i]);
    MalTime now = mal_leases_now(leases);
    if (!mal_space_covers(space, MAL_LEVEL_OWNED, scope, span, now) ||
        !mal_space_covers(space, MAL_LEVEL_AVAILABLE, scope, span, now))
      mal_sim_fail(w->sim, "%s leases %s, which it doesn't own", mal_sim_node_name(n->node),
                   mal_span_format(span, text));
    for (unsigned k = 0; k < n_servers; k++)
      check_twice(n, servers[k], lease, span);
  }
}

void world_site_watch(Node *n)
{
  bool leasing = n->kind == NODE_SERVER || (n->kind == NODE_COORDINATOR && n->domain->together);
  if (n->domain->site == NULL || !leasing)
    return;
  mal_leases_watch(mal_core_leases(n->core), on_lease, n);
}

/* ---- all of a domain ------------------------------------------------------------------------- */

/* Two servers own nothing in common; what AAP may promise, and when (aap-world.h). */
static void check_owned(const Node *a, const Node *b)
{
  World *w = a->world;
  char x[MAL_SPAN_STRLEN], y[MAL_SPAN_STRLEN];
  g_autoptr(GPtrArray) as = mal_space_ranges(mal_core_space(a->core), MAL_LEVEL_OWNED);
  g_autoptr(GPtrArray) bs = mal_space_ranges(mal_core_space(b->core), MAL_LEVEL_OWNED);
  for (guint i = 0; i < as->len; i++)
    for (guint k = 0; k < bs->len; k++) {
      const MalRange *one = g_ptr_array_index(as, i), *two = g_ptr_array_index(bs, k);
      if (!mal_span_overlaps(one->span, two->span))
        continue;
      count(w, COUNT_OWNED_TWICE);
      if (world_site_settled(a->domain))
        mal_sim_fail(w->sim, "%s owns %s, and %s %s", mal_sim_node_name(a->node),
                     mal_span_format(one->span, x), mal_sim_node_name(b->node),
                     mal_span_format(two->span, y));
    }
}

void world_check_site(Domain *d)
{
  Node *n[NODES + SERVERS];
  unsigned n_servers = d->site != NULL ? world_leasing(d, n) : 0;
  for (unsigned i = 0; i < n_servers; i++) {
    if (n[i]->core == NULL)
      continue;
    MalLeases *leases = mal_core_leases(n[i]->core);
    mal_leases_check(leases, mal_leases_now(leases));
    for (unsigned k = 0; k < i; k++)
      if (n[k]->core != NULL)
        check_owned(n[i], n[k]);
  }
}
