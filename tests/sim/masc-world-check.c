/* What must hold in a world of MASC: masc-world.h says what, and why no more. */
#include "masc-world-private.h"
#include "plugins/masc/masc-zone-private.h"

#include <string.h>

#define CACHED_MOST(domains) (60 * (domains))

static MalTime now_of(const Node *n)
{
  return mal_runtime_now(mal_sim_node_runtime(n->node));
}

/* ---- whole ----------------------------------------------------------------------------------- */

static bool is_up(const Node *n, const char *peer, char why[200])
{
  MascPeering *p = n->masc != NULL ? masc_peer_named(n->masc, peer) : NULL;
  if (p != NULL && masc_session_state(p->session) == MASC_ESTABLISHED)
    return true;
  g_snprintf(why, 200, "%s: the session with %s is not established",
             mal_sim_node_name(n->node), peer);
  return false;
}

static bool links_are_up(const World *w, char why[200])
{
  for (unsigned i = 0; i < w->n_links && w->plan->plant != MAL_MASC_PLANT_DEAF; i++) {
    const Link *l = &w->link[i];
    const Domain *a = &w->domain[l->domain], *b = &w->domain[l->other];
    char name[16];
    g_snprintf(name, sizeof name, "p%u", i);
    if (!l->off && exists(a) && exists(b) &&
        (!is_up(&a->node[l->node], name, why) || !is_up(&b->node[l->other_node], name, why)))
      return false;
  }
  return true;
}

bool world_ignores_nobody(const Node *n, char why[200])
{
  for (guint i = 0; i < n->masc->areas->len; i++) {
    const MascZone *zone = masc_area_at(n->masc, i)->zone;
    if (masc_zone_usage(zone, n->masc->now).n_ignored == 0)
      continue;
    g_snprintf(why, 200, "%s ignores somebody", mal_sim_node_name(n->node));
    return false;
  }
  return true;
}

static bool domain_is_whole(const Domain *d, char why[200])
{
  for (unsigned i = 0; i < d->n_nodes; i++) {
    const Node *n = &d->node[i];
    char name[16];
    if (n->masc == NULL || n->bad_disk || n->wrong != NONE) {
      g_snprintf(why, 200, "%s is in trouble", mal_sim_node_name(n->node));
      return false;
    }
    for (unsigned k = 0; k < d->n_nodes; k++) {
      g_snprintf(name, sizeof name, "i%u", k);
      if (k != i && !is_up(n, name, why))
        return false;
    }
    if (!world_ignores_nobody(n, why))
      return false;
  }
  return true;
}

bool world_is_whole(const World *w, char why[200])
{
  g_snprintf(why, 200, "there is trouble");
  if (w->troubles > 0)
    return false;
  for (unsigned i = 0; i < DOMAINS; i++)
    if (exists(&w->domain[i]) && !domain_is_whole(&w->domain[i], why))
      return false;
  return links_are_up(w, why);
}

/* ---- what a node tells ----------------------------------------------------------------------- */

typedef struct {
  GArray *told; /* Told */
  const Node *node;
} Telling;

static void add_route(const MalRoute *route, void *data)
{
  const Telling *t = data;
  Told told = { mal_span_of_prefix(route->prefix), route->until, true, false };
  if (strcmp(route->source, "masc") == 0 && route->until > now_of(t->node))
    g_array_append_val(t->told, told);
}

static void tell(const Node *n, GArray *out)
{
  Telling t = { out, n };
  g_array_set_size(out, 0);
  mal_routes_each(mal_core_routes(n->core), add_route, &t);
  g_autoptr(GPtrArray) ranges = mal_space_ranges(mal_core_space(n->core), MAL_LEVEL_AVAILABLE);
  for (guint i = 0; i < ranges->len; i++) {
    const MalRange *range = g_ptr_array_index(ranges, i);
    Told told = { range->span, range->until, false, false };
    if (strcmp(range->source, "masc") == 0 && range->until > now_of(n))
      g_array_append_val(out, told);
  }
}

static const Told *told_at(const GArray *told, guint i)
{
  return &g_array_index(told, Told, i);
}

/* The addresses of ONE, until its end, by things of the same kind in ALL. */
static bool is_covered(const Told *one, const GArray *all)
{
  MalAddress at = one->span.first;
  for (bool more = true; more;) {
    more = false;
    for (guint i = 0; i < all->len; i++) {
      const Told *t = told_at(all, i);
      if (t->route != one->route || t->until < one->until || !mal_span_has(t->span, at))
        continue;
      if (mal_address_compare(t->span.last, one->span.last) >= 0)
        return true;
      more = mal_address_add(t->span.last, 1, &at);
    }
  }
  return false;
}

void world_remember(Node *n)
{
  tell(n, n->told);
}

/* On a disk that fails there is what was told when that began, if it still is. What others told it
   since they tell again; where it is a leaf since, what it would lease from is empty. */
void world_remember_less(Node *n)
{
  g_autoptr(GArray) still = g_array_new(FALSE, FALSE, sizeof(Told));
  tell(n, still);
  for (guint i = still->len; i-- > 0;)
    if (!is_covered(told_at(still, i), n->told))
      g_array_remove_index(still, i);
  g_array_set_size(n->told, 0);
  g_array_append_vals(n->told, still->data, still->len);
}

void world_check_back(Node *n)
{
  g_autoptr(GArray) again = g_array_new(FALSE, FALSE, sizeof(Told));
  char text[MAL_SPAN_STRLEN];
  tell(n, again);
  for (guint i = 0; i < n->told->len; i++) {
    const Told *t = told_at(n->told, i);
    if (t->until <= now_of(n))
      continue;
    count(n->world, COUNT_DURABLE);
    if (!is_covered(t, again))
      mal_sim_fail(n->world->sim, "%s: %s %s is gone after a crash", mal_sim_node_name(n->node),
                   t->route ? "route" : "range", mal_span_format(t->span, text));
  }
  g_array_set_size(n->told, 0);
}

/* ---- what a zone holds ----------------------------------------------------------------------- */

static void add_held(const MascEntry *entry, void *data)
{
  const Telling *t = data;
  const Node *n = t->node;
  if (entry->kind != MASC_ENTRY_HELD || entry->until <= now_of(n))
    return;
  unsigned scope = world_scope_of(n->world, entry->claim.prefix.address);
  Told told = { mal_span_of_prefix(entry->claim.prefix), entry->until, true,
                !world_has_parent(n->world, scope, n->domain, entry->parent) };
  g_array_append_val(t->told, told);
}

static void add_entry(const MascEntry *entry, void *data)
{
  const Telling *t = data;
  Told told = { mal_span_of_prefix(entry->claim.prefix), entry->until, true, false };
  /* Routes keep a whole prefix of which a part is withdrawn for a time only (11.7.3). */
  if (entry->kind == MASC_ENTRY_WITHDRAWN && entry->claim.domain == t->node->masc->settings->domain)
    told.until = MAL_FOREVER;
  if (entry->kind == MASC_ENTRY_HELD || told.until == MAL_FOREVER)
    g_array_append_val(t->told, told);
  told.route = false;
  if (entry->kind == MASC_ENTRY_HELD || entry->kind == MASC_ENTRY_LOCAL)
    g_array_append_val(t->told, told);
}

static bool add_claimed(MascRecord *record, void *data)
{
  const MascClaim *c = &record->claim;
  Told told = { mal_span_of_prefix(c->prefix), masc_claim_free_at(c), true, false };
  if (c->role == MASC_INTERNAL && c->type == MASC_PREFIX_IN_USE)
    g_array_append_val(data, told);
  return true;
}

/* Some of what was lost in clashes comes back only when others have forgotten it, too (12.3). */
static bool is_in_part(const Told *one, const GArray *held, const GArray *claimed)
{
  bool some = false;
  for (guint i = 0; one->route && i < held->len; i++) {
    const Told *t = told_at(held, i);
    some = some || (t->until != MAL_FOREVER && mal_span_overlaps(t->span, one->span));
  }
  return some && is_covered(one, claimed);
}

void world_check_node(Node *n)
{
  g_autoptr(GArray) told = g_array_new(FALSE, FALSE, sizeof(Told));
  g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(Told));
  g_autoptr(GArray) claimed = g_array_new(FALSE, FALSE, sizeof(Told));
  Telling t = { held, n };
  char text[MAL_SPAN_STRLEN];
  MascNow now = n->masc->now;
  tell(n, told);
  for (guint i = 0; i < n->masc->areas->len; i++) {
    const MascZone *zone = masc_area_at(n->masc, i)->zone;
    masc_zone_each(zone, now, add_entry, &t);
    masc_cache_each_of(zone->cache, n->masc->settings->domain, add_claimed, claimed);
    masc_zone_check(zone, now);
  }
  for (unsigned i = 0; i < MASC_PEERS_MAX; i++)
    if (n->masc->peers[i] != NULL)
      masc_session_check(n->masc->peers[i]->session);
  for (guint i = 0; i < told->len; i++)
    if (!is_covered(told_at(told, i), held) && !is_in_part(told_at(told, i), held, claimed))
      mal_sim_fail(n->world->sim, "%s tells of the %s %s, which its zone does not hold",
                   mal_sim_node_name(n->node), told_at(told, i)->route ? "route" : "range",
                   mal_span_format(told_at(told, i)->span, text));
}

/* ---- what domains have ----------------------------------------------------------------------- */

/* What its zones hold, and what its servers use of it. */
static void have(const Node *n, GArray *out)
{
  Telling t = { out, n };
  tell(n, out);
  for (guint i = out->len; i-- > 0;)
    if (told_at(out, i)->route)
      g_array_remove_index(out, i);
  for (guint i = 0; i < n->masc->areas->len; i++)
    masc_zone_each(masc_area_at(n->masc, i)->zone, n->masc->now, add_held, &t);
}

static bool is_orphan(const Told *one, const GArray *all)
{
  for (guint i = 0; i < all->len; i++)
    if (told_at(all, i)->orphan && mal_span_overlaps(told_at(all, i)->span, one->span))
      return true;
  return false;
}

static void gather(World *w)
{
  g_autoptr(GArray) told = g_array_new(FALSE, FALSE, sizeof(Told));
  g_array_set_size(w->held, 0);
  for (unsigned i = 0; i < DOMAINS; i++)
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->domain[i].n_nodes; k++) {
      const Node *n = &w->domain[i].node[k];
      if (n->masc == NULL)
        continue;
      have(n, told);
      for (guint t = 0; t < told->len; t++) {
        Held held = { told_at(told, t)->span, n, !told_at(told, t)->route,
                      is_orphan(told_at(told, t), told) };
        g_array_append_val(w->held, held);
      }
    }
}

static bool is_orphans(const World *w, const Node *n, MalSpan span)
{
  for (guint i = 0; i < w->held->len; i++) {
    const Held *h = &g_array_index(w->held, Held, i);
    if (h->orphan && h->node->domain == n->domain && mal_span_overlaps(h->span, span))
      return true;
  }
  return false;
}

/* What servers own is what their domain uses. */
static void gather_servers(World *w)
{
  Node *n[NODES + SERVERS];
  for (unsigned i = 0; i < DOMAINS; i++) {
    Domain *d = &w->domain[i];
    unsigned n_servers = exists(d) && d->site != NULL ? world_leasing(d, n) : 0;
    for (unsigned k = 0; k < n_servers; k++) {
      g_autoptr(GPtrArray) ranges =
          n[k]->core != NULL ? mal_space_ranges(mal_core_space(n[k]->core), MAL_LEVEL_OWNED)
                             : g_ptr_array_new();
      for (guint r = 0; r < ranges->len; r++) {
        const MalRange *range = g_ptr_array_index(ranges, r);
        Held held = { range->span, n[k], true, is_orphans(w, n[k], range->span) };
        g_array_append_val(w->held, held);
      }
    }
  }
}

static bool is_inside(const World *w, const Held *child)
{
  g_autoptr(GArray) parents = g_array_new(FALSE, FALSE, sizeof(Told));
  Told one = { child->span, 0, true, false };
  unsigned scope = world_scope_of(w, child->span.first);
  for (guint i = 0; i < w->held->len; i++) {
    const Held *h = &g_array_index(w->held, Held, i);
    Told told = { h->span, 1, true, false };
    if (!h->local &&
        world_is_parent(w, scope, h->node->domain->index, child->node->domain->index))
      g_array_append_val(parents, told);
  }
  return is_covered(&one, parents);
}

/* Was a role wrong for so long that its domain, or one below, won what it took for the whole
   scope's? */
static bool was_wrong(const World *w, unsigned scope, const Domain *d)
{
  bool some = d->was_wrong;
  for (unsigned i = 0; i < DOMAINS && !some; i++)
    some = w->domain[i].was_wrong && world_is_ancestor(w, scope, i, d->index);
  return some;
}

/* Nor can anybody tell a child of what its parent has of a provider that this one left. */
static void inherit(World *w)
{
  for (guint i = 0; i < w->held->len; i++) {
    Held *child = &g_array_index(w->held, Held, i);
    for (guint k = 0; k < w->held->len && !child->orphan; k++) {
      const Held *h = &g_array_index(w->held, Held, k);
      child->orphan = h->orphan && mal_span_overlaps(h->span, child->span) &&
                      world_is_ancestor(w, world_scope_of(w, h->span.first),
                                        h->node->domain->index, child->node->domain->index);
    }
    unsigned scope = world_scope_of(w, child->span.first);
    if (!child->orphan && was_wrong(w, scope, child->node->domain) &&
        !world_is_top(w, scope, child->node->domain->index))
      child->orphan = !is_inside(w, child);
  }
}

static int held_order(gconstpointer a, gconstpointer b)
{
  const Held *x = a, *y = b;
  return mal_address_compare(x->span.first, y->span.first);
}

static bool may_share(const World *w, const Held *a, const Held *b)
{
  unsigned x = a->node->domain->index, y = b->node->domain->index;
  unsigned scope = world_scope_of(w, a->span.first);
  if (x == y || a->orphan || b->orphan || !world_zoned(w, scope, x, y))
    return true;
  if (a->local && b->local)
    return false;
  if (!a->local && !b->local)
    return world_is_ancestor(w, scope, x, y) || world_is_ancestor(w, scope, y, x);
  return a->local ? world_is_ancestor(w, scope, y, x) : world_is_ancestor(w, scope, x, y);
}

static void shared(World *w, const Held *a, const Held *b)
{
  char x[MAL_SPAN_STRLEN], y[MAL_SPAN_STRLEN];
  bool manual = a->node->domain->manual || b->node->domain->manual;
  bool far = a->node->domain->site != NULL || b->node->domain->site != NULL;
  int64_t after = WAITING + (manual ? 3 * OPERATOR : 0) + (far ? SITE_SETTLES : 0);
  if (w->whole_since == MAL_SIM_NEVER || mal_sim_now(w->sim) - w->whole_since < after) {
    count(w, COUNT_OVERLAP);
    return;
  }
  mal_sim_fail(w->sim, "%s %s %s, and %s %s %s, and the network is whole since %.1f days",
               mal_sim_node_name(a->node->node), a->local ? "uses" : "manages",
               mal_span_format(a->span, x), mal_sim_node_name(b->node->node),
               b->local ? "uses" : "manages", mal_span_format(b->span, y),
               (double)(mal_sim_now(w->sim) - w->whole_since) / (double)DAY);
}

static void check_disjoint(World *w)
{
  g_array_sort(w->held, held_order);
  for (guint i = 0; i < w->held->len; i++)
    for (guint k = i + 1; k < w->held->len; k++) {
      const Held *a = &g_array_index(w->held, Held, i), *b = &g_array_index(w->held, Held, k);
      if (mal_address_compare(b->span.first, a->span.last) > 0)
        break;
      if (!may_share(w, a, b))
        shared(w, a, b);
    }
}

/* ---- children's space ------------------------------------------------------------------------ */

static const Held *outsider(const World *w, const Domain *d, unsigned scope)
{
  for (guint i = 0; i < w->held->len; i++) {
    const Held *h = &g_array_index(w->held, Held, i);
    if (h->node->domain == d && !h->local && !h->orphan &&
        world_scope_of(w, h->span.first) == scope && !is_inside(w, h))
      return h;
  }
  return NULL;
}

static bool has_parents(const World *w, unsigned scope, const Domain *d)
{
  bool some = false;
  for (unsigned i = 0; i < w->n_links; i++) {
    const Link *l = &w->link[i];
    if (l->off || l->sibling || l->domain != d->index || (l->scopes >> scope & 1) == 0)
      continue;
    if (!exists(&w->domain[l->other]))
      return false;
    some = true;
  }
  return some;
}

/* Where parents are switched off, their children get nothing. */
static bool has_way(const World *w, unsigned scope, const Domain *d)
{
  bool top = world_is_top(w, scope, d->index);
  if (d->by_hand || top || !has_parents(w, scope, d))
    return top && !d->by_hand;
  for (unsigned i = 0; i < DOMAINS; i++)
    if (world_is_parent(w, scope, i, d->index) && !has_way(w, scope, &w->domain[i]))
      return false;
  return true;
}

static void check_inside(World *w)
{
  int64_t now = mal_sim_now(w->sim);
  char text[MAL_SPAN_STRLEN];
  for (unsigned i = TOPS; i < DOMAINS; i++)
    for (unsigned scope = 0; scope < w->n_scopes; scope++) {
      Domain *d = &w->domain[i];
      const Held *out = exists(d) && has_parents(w, scope, d) ? outsider(w, d, scope) : NULL;
      if (out == NULL) {
        d->outside_since[scope] = -1;
        continue;
      }
      if (d->outside_since[scope] < 0)
        d->outside_since[scope] = now;
      count(w, COUNT_OUTSIDE);
      if (w->whole_since == MAL_SIM_NEVER || now - w->whole_since < WAITING + SKEW_APART ||
          now - d->outside_since[scope] < SKEW_APART + HOUR)
        continue;
      mal_sim_fail(w->sim, "%s manages %s, outside its parents' space since %.1f days",
                   mal_sim_node_name(out->node->node), mal_span_format(out->span, text),
                   (double)(now - d->outside_since[scope]) / (double)DAY);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

void world_look(World *w)
{
  char why[200];
  int64_t now = mal_sim_now(w->sim);
  if (!world_is_whole(w, why))
    w->whole_since = MAL_SIM_NEVER;
  else if (w->whole_since == MAL_SIM_NEVER)
    w->whole_since = now;
  count(w, COUNT_LOOKS);
  w->result->counts[COUNT_WHOLE] += w->whole_since != MAL_SIM_NEVER;
  w->result->counts[COUNT_SETTLED] +=
      w->whole_since != MAL_SIM_NEVER && now - w->whole_since >= WAITING + SKEW_APART;
  gather(w);
  gather_servers(w);
  inherit(w);
  check_disjoint(w);
  check_inside(w);
  for (unsigned i = 0; i < DOMAINS; i++)
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->domain[i].n_nodes; k++)
      if (w->domain[i].node[k].masc != NULL)
        world_check_node(&w->domain[i].node[k]);
  for (unsigned i = 0; i < DOMAINS; i++)
    if (exists(&w->domain[i]))
      world_check_site(&w->domain[i]);
}

/* ---- the end --------------------------------------------------------------------------------- */

typedef struct {
  const Node *node;
  MalTime now;
} Late;

static void check_entry(const MascEntry *entry, void *data)
{
  const Late *late = data;
  World *w = late->node->world;
  char text[MAL_SPAN_STRLEN];
  bool pending = entry->kind == MASC_ENTRY_PENDING || entry->kind == MASC_ENTRY_PENDING_LOCAL;
  if (pending && entry->due + SECONDS(HOUR) < late->now)
    mal_sim_fail(w->sim, "%s: the claim for %s waits for ever",
                 mal_sim_node_name(late->node->node),
                 masc_prefix_format(entry->claim.prefix, text));
  if (entry->kind == MASC_ENTRY_HELD && entry->clash)
    mal_sim_fail(w->sim, "%s: %s still clashes", mal_sim_node_name(late->node->node),
                 masc_prefix_format(entry->claim.prefix, text));
}

static void check_node_end(World *w, const Node *n, unsigned n_domains)
{
  Late late = { n, now_of(n) };
  for (guint i = 0; i < n->masc->areas->len; i++) {
    const MascZone *zone = masc_area_at(n->masc, i)->zone;
    size_t cached = masc_zone_usage(zone, n->masc->now).n_cached;
    masc_zone_each(zone, n->masc->now, check_entry, &late);
    w->result->counts[COUNT_CACHED] += cached;
    if (cached > CACHED_MOST(n_domains))
      mal_sim_fail(w->sim, "%s has %zu records in its cache", mal_sim_node_name(n->node), cached);
  }
}

void world_check_end(World *w)
{
  const User *user = NULL;
  char why[200];
  unsigned n_domains = 0;
  if (!world_is_whole(w, why)) {
    mal_sim_fail(w->sim, "in the end: %s", why);
    return;
  }
  world_look(w);
  for (unsigned i = 0; i < DOMAINS; i++)
    n_domains += exists(&w->domain[i]);
  for (unsigned i = 0; i < DOMAINS; i++)
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->domain[i].n_nodes; k++)
      check_node_end(w, &w->domain[i].node[k], n_domains);
  unsigned waiting = world_users_waiting(w, quiet(w) - DAY, &user);
  bool much = w->plan->settings[SET_TIGHT] < (w->plan->size == MAL_WORLD_SMALL ? 2 : 1);
  if (waiting > 0 && much && has_way(w, user->scope, user->domain))
    mal_sim_fail(w->sim, "%u wait for addresses in the end; one of domain %u since %.1f days",
                 waiting, user->domain->index,
                 (double)(mal_sim_now(w->sim) - user->since) / (double)DAY);
}
