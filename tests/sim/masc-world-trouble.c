/* What befalls a world, how it is mended, and that all is healed in the end. */
#include "masc-world-private.h"

#define FLOOD_EVERY (HOUR / 12)

typedef struct {
  World *world;
  guint number;
} Happening;

static const MalWorldItem *item_of(const Happening *h)
{
  return mal_world_plan_item(h->world->plan, h->number);
}

static Domain *domain_of(const Happening *h)
{
  return &h->world->domain[item_of(h)->who];
}

static Node *node_of(const Happening *h)
{
  Domain *d = domain_of(h);
  return &d->node[item_of(h)->a % d->n_nodes];
}

static void happened(const Happening *h)
{
  h->world->result->happened[item_of(h)->kind]++;
}

static void disturb(World *w)
{
  w->whole_since = MAL_SIM_NEVER;
}

static int64_t length_of(const Happening *h)
{
  return (int64_t)item_of(h)->b * HOUR + HOUR / 60;
}

static void mend(void *data);

static void mend_later(Happening *h)
{
  World *w = h->world;
  w->troubles++;
  disturb(w);
  happened(h);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + length_of(h), mend, h);
}

/* ---- crashes, disks, clocks ------------------------------------------------------------------ */

static void crash(Happening *h, MalSimCrash disk)
{
  Node *n = node_of(h);
  if (n->core == NULL)
    return;
  happened(h);
  disturb(h->world);
  world_node_crash(n, disk, length_of(h));
}

static void blackout(Happening *h)
{
  World *w = h->world;
  MalWorldRandom r = { item_of(h)->seed };
  happened(h);
  disturb(w);
  for (unsigned i = 0; i < DOMAINS; i++)
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->domain[i].n_nodes; k++) {
      int64_t down = chance(&r, 70) ? (int64_t)between(&r, MAL_US, HOUR) : length_of(h);
      bool wiped = chance(&r, 5);
      world_node_crash(&w->domain[i].node[k], wiped ? MAL_SIM_DISK_WIPED : MAL_SIM_DISK_KEPT,
                       down);
    }
}

static void spoil_disk(Happening *h)
{
  static const MalSimDiskFault faults[] = { MAL_SIM_DISK_FULL, MAL_SIM_DISK_IO_ERROR,
                                            MAL_SIM_DISK_SYNC_ERROR };
  Node *n = node_of(h);
  if (n->bad_disk)
    return;
  if (n->core != NULL)
    world_remember(n);
  n->bad_disk = true;
  mal_sim_disk_set_fault(mal_sim_node_disk(n->node, "journal"), faults[item_of(h)->a % 3]);
  mend_later(h);
}

static void step_clock(Happening *h)
{
  Node *n = node_of(h);
  MalWorldRandom r = { item_of(h)->seed };
  int64_t most = chance(&r, 40) ? HOUR / 30 : SKEW_MOST;
  int64_t skew = (int64_t)between(&r, 0, (uint64_t)(2 * most)) - most;
  int64_t by = (skew - n->skew) / MAL_US * MAL_US;
  if (n->core == NULL || by == 0)
    return;
  happened(h);
  disturb(h->world);
  n->skew += by;
  mal_sim_note(h->world->sim, n->node, "clock steps by %" G_GINT64_FORMAT " s",
               (gint64)(by / MAL_US));
  mal_sim_node_step_clock(n->node, by);
  world_site_disturb(n->domain);
}

/* ---- the network ----------------------------------------------------------------------------- */

static void reset(Happening *h)
{
  Node *n = node_of(h);
  MascPeering *up[LINKS_MOST];
  unsigned n_up = 0;
  for (unsigned i = 0; n->masc != NULL && i < MASC_PEERS_MAX && n_up < LINKS_MOST; i++)
    if (n->masc->peers[i] != NULL &&
        masc_session_state(n->masc->peers[i]->session) == MASC_ESTABLISHED)
      up[n_up++] = n->masc->peers[i];
  if (n_up == 0)
    return;
  happened(h);
  disturb(h->world);
  MascSession *session = up[item_of(h)->b % n_up]->session;
  MascNow now = masc_step(n->masc);
  masc_session_stop(session, now);
  masc_session_start(session, 0, now);
  masc_settle(n->masc);
}

typedef struct {
  MalSimNode *node[DOMAINS * NODES];
  size_t n;
} Side;

static void add_domain(Side *side, const Domain *d)
{
  for (unsigned i = 0; i < d->n_nodes; i++)
    side->node[side->n++] = d->node[i].node;
}

static void cut(Happening *h, const Side *a, const Side *b)
{
  World *w = h->world;
  if (a->n == 0 || b->n == 0 || h->number >= G_N_ELEMENTS(w->cut))
    return;
  w->cut[h->number] = mal_sim_partition(w->sim, a->node, a->n, b->node, b->n);
  mend_later(h);
}

static void cut_site(Happening *h, const Side *a, const Side *b)
{
  World *w = h->world;
  cut(h, a, b);
  if (h->number < G_N_ELEMENTS(w->cut) && w->cut[h->number] != NULL)
    domain_of(h)->site_cuts++;
}

/* Of one domain: from all others, or from a neighbour. */
static void cut_domain(Happening *h)
{
  World *w = h->world;
  const Domain *d = domain_of(h);
  MalWorldRandom r = { item_of(h)->seed };
  Side a = { .n = 0 }, b = { .n = 0 };
  add_domain(&a, d);
  if (chance(&r, 50) && w->n_links > 0) {
    const Link *l = &w->link[between(&r, 0, w->n_links - 1)];
    a.n = 0;
    add_domain(&a, &w->domain[l->domain]);
    add_domain(&b, &w->domain[l->other]);
  } else {
    for (unsigned i = 0; i < DOMAINS; i++)
      if (i != d->index)
        add_domain(&b, &w->domain[i]);
  }
  cut(h, &a, &b);
}

static void cut_inside(Happening *h)
{
  const Domain *d = domain_of(h);
  const Node *n = node_of(h);
  Side a = { .node = { n->node }, .n = 1 }, b = { .n = 0 };
  for (unsigned i = 0; i < d->n_nodes; i++)
    if (i != n->index)
      b.node[b.n++] = d->node[i].node;
  for (unsigned i = 0; i < d->n_servers; i++)
    b.node[b.n++] = d->server[i].node;
  cut_site(h, &a, &b);
}

/* ---- behind coordinators --------------------------------------------------------------------- */

static Node *server_of(const Happening *h)
{
  Domain *d = domain_of(h);
  return d->n_servers > 0 ? &d->server[item_of(h)->a % d->n_servers] : NULL;
}

static void crash_server(Happening *h, MalSimCrash disk)
{
  Node *n = server_of(h);
  if (n == NULL || n->core == NULL)
    return;
  happened(h);
  world_node_crash(n, disk, length_of(h));
}

static void cut_server(Happening *h)
{
  Domain *d = domain_of(h);
  const Node *n = server_of(h);
  if (n == NULL)
    return;
  Side a = { .node = { n->node }, .n = 1 }, b = { .n = 0 };
  for (unsigned i = 0; i < d->n_nodes; i++)
    b.node[b.n++] = d->node[i].node;
  for (unsigned i = 0; i < d->n_servers; i++)
    if (i != n->index)
      b.node[b.n++] = d->server[i].node;
  cut_site(h, &a, &b);
}

static void cut_halves(Happening *h)
{
  World *w = h->world;
  Side side[2] = { { .n = 0 }, { .n = 0 } };
  for (unsigned i = 0; i < DOMAINS; i++)
    add_domain(&side[item_of(h)->seed >> i & 1], &w->domain[i]);
  cut(h, &side[0], &side[1]);
}

/* ---- configurations -------------------------------------------------------------------------- */

static void misconfigure(Happening *h)
{
  World *w = h->world;
  Node *n = node_of(h);
  unsigned first = w->n_links > 0 ? (unsigned)(item_of(h)->seed % w->n_links) : 0;
  if (n->core == NULL || n->wrong != NONE)
    return;
  for (unsigned i = 0; i < w->n_links && n->wrong == NONE; i++) {
    unsigned place = (first + i) % w->n_links;
    const Link *l = &w->link[place];
    if (!l->off && ((l->domain == n->domain->index && l->node == n->index) ||
                    (l->other == n->domain->index && l->other_node == n->index)))
      n->wrong = place;
  }
  if (n->wrong == NONE)
    return;
  n->domain->was_wrong |= length_of(h) > WAITING - HOUR;
  if (world_node_reload(n)) {
    mend_later(h);
    return;
  }
  n->wrong = NONE; /* it says so itself */
  world_domain_reload(n->domain);
}

static void provide(Happening *h)
{
  MalWorldRandom r = { item_of(h)->seed };
  if (domain_of(h)->top || !world_change_provider(h->world, domain_of(h), &r))
    return;
  happened(h);
  disturb(h->world);
}

/* ---- demand ---------------------------------------------------------------------------------- */

static void burst(Happening *h)
{
  MalWorldRandom r = { item_of(h)->seed };
  uint64_t n = between(&r, 2, 15);
  happened(h);
  for (uint64_t i = 0; i < n; i++)
    world_user_new(domain_of(h), &r);
}

static void lull(Happening *h)
{
  Domain *d = domain_of(h);
  happened(h);
  d->lull_until = MAX(d->lull_until, mal_sim_now(h->world->sim) + length_of(h));
}

/* ---- floods ---------------------------------------------------------------------------------- */

/* What others have, claimed in the name of the domain, as if it had been first, or at random. */
static MascClaim forged(const World *w, const Domain *d, const Node *n, MalWorldRandom *r)
{
  MascClaim c = { .type = chance(r, 50) ? MASC_NEW_CLAIM : MASC_PREFIX_IN_USE,
                  .role = MASC_INTERNAL,
                  .domain = n->masc->settings->domain,
                  .node = n->masc->settings->node };
  MalTime now = mal_runtime_now(mal_sim_node_runtime(n->node));
  const Held *held = w->held->len > 0
                         ? &g_array_index(w->held, Held, between(r, 0, w->held->len - 1))
                         : NULL;
  c.prefix.address = w->scope[0].span.first;
  c.prefix.address.value += between(r, 0, 31) << 8;
  if (held != NULL && held->node->domain != d && chance(r, 60))
    c.prefix.address = held->span.first;
  c.prefix.address.value &= ~(MalU128)0xff;
  c.prefix.length = c.prefix.address.family == MAL_IPV4 ? 24 : 120;
  c.timestamp = masc_time_to_wire(now - (MalTime)between(r, 0, SECONDS(2 * WAITING)));
  c.lifetime = c.holdtime = masc_seconds_to_wire(SECONDS(5 * DAY));
  return c;
}

static void flood(void *data)
{
  Happening *h = data;
  World *w = h->world;
  Domain *d = domain_of(h);
  const Node *n = node_of(h);
  if (mal_sim_now(w->sim) >= d->flooded_until)
    return;
  for (unsigned i = 0; n->masc != NULL && i < MASC_PEERS_MAX; i++) {
    const MascPeering *peer = n->masc->peers[i];
    if (peer == NULL || peer->settings->role == MASC_INTERNAL ||
        peer->settings->role == MASC_PARENT ||
        masc_session_state(peer->session) != MASC_ESTABLISHED)
      continue;
    MascClaim c = forged(w, d, n, &d->random);
    masc_session_send(peer->session, &c, 1, masc_step(n->masc));
  }
  if (n->masc != NULL)
    masc_settle(n->masc);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + FLOOD_EVERY, flood, h);
}

static void begin_flood(Happening *h)
{
  Domain *d = domain_of(h);
  if (d->flooded_until > mal_sim_now(h->world->sim))
    return;
  d->flooded_until = mal_sim_now(h->world->sim) + length_of(h);
  mend_later(h);
  flood(h);
}

/* ---- items ----------------------------------------------------------------------------------- */

static void happen(void *data)
{
  Happening *h = data;
  World *w = h->world;
  const MalWorldItem *item = item_of(h);
  MalWorldRandom r = { item->seed };
  if (!exists(domain_of(h)) || w->healed)
    return;
  mal_sim_note(w->sim, NULL, "%s %" G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
               ")", w->plan->type->kinds[item->kind], item->who, item->a, item->b);
  switch ((WorldKind)item->kind) {
  case KIND_CRASH: crash(h, MAL_SIM_DISK_KEPT); break;
  case KIND_WIPE: crash(h, MAL_SIM_DISK_WIPED); break;
  case KIND_BLACKOUT: blackout(h); break;
  case KIND_BAD_DISK: spoil_disk(h); break;
  case KIND_STEP: step_clock(h); break;
  case KIND_RESET: reset(h); break;
  case KIND_CUT_SHORT:
  case KIND_CUT_LONG: cut_domain(h); break;
  case KIND_CUT_INSIDE: cut_inside(h); break;
  case KIND_CUT_HALVES: cut_halves(h); break;
  case KIND_ROLE: misconfigure(h); break;
  case KIND_PROVIDER: provide(h); break;
  case KIND_BURST: burst(h); break;
  case KIND_LULL: lull(h); break;
  case KIND_FLOOD: begin_flood(h); break;
  case KIND_CLAIM: world_claim_by_hand(domain_of(h), &r); break;
  case KIND_WITHDRAW: world_withdraw_by_hand(domain_of(h), &r); break;
  case KIND_SERVER_CRASH: crash_server(h, MAL_SIM_DISK_KEPT); break;
  case KIND_SERVER_WIPE: crash_server(h, MAL_SIM_DISK_WIPED); break;
  case KIND_SITE_CUT: cut_server(h); break;
  case KIND_DOMAIN:
  case KINDS: break;
  }
}

static void mend(void *data)
{
  Happening *h = data;
  World *w = h->world;
  Node *n = node_of(h);
  if (w->healed)
    return;
  const MalWorldItem *item = item_of(h);
  w->troubles--;
  disturb(w);
  mal_sim_note(w->sim, NULL, "mended: %s %" G_GUINT64_FORMAT, w->plan->type->kinds[item->kind],
               item->who);
  if (item->kind == KIND_BAD_DISK) {
    n->bad_disk = false;
    n->disk_works = mal_sim_now(w->sim);
    mal_sim_disk_set_fault(mal_sim_node_disk(n->node, "journal"), MAL_SIM_DISK_OK);
  } else if (item->kind == KIND_ROLE) {
    n->wrong = NONE;
    world_domain_reload(n->domain);
  } else if (w->cut[h->number] != NULL) {
    Domain *d = domain_of(h);
    if (item->kind == KIND_CUT_INSIDE || item->kind == KIND_SITE_CUT)
      d->site_cuts--;
    world_site_disturb(d);
    mal_sim_heal(w->sim, w->cut[h->number]);
    w->cut[h->number] = NULL;
  }
}

void world_troubles_plan(World *w)
{
  for (guint i = 0; i < w->plan->items->len; i++) {
    const MalWorldItem *item = mal_world_plan_item(w->plan, i);
    if (item->off || item->kind == KIND_DOMAIN || item->at >= w->plan->until)
      continue;
    Happening *h = g_new0(Happening, 1);
    h->world = w;
    h->number = i;
    g_ptr_array_add(w->happenings, h);
    mal_sim_at(w->sim, item->at, happen, h);
  }
}

static void heal_node(Node *n)
{
  World *w = n->world;
  bool wrong = n->wrong != NONE;
  mal_sim_disk_set_fault(mal_sim_node_disk(n->node, "journal"), MAL_SIM_DISK_OK);
  n->bad_disk = false;
  n->wrong = NONE;
  if (wrong)
    world_node_reload(n);
  mal_sim_at(w->sim, mal_sim_now(w->sim), world_node_restart, n);
}

static void heal_site(Domain *d)
{
  World *w = d->world;
  d->site_cuts = 0;
  world_site_disturb(d);
  for (unsigned k = 0; k < d->n_servers; k++)
    mal_sim_at(w->sim, mal_sim_now(w->sim), world_node_restart, &d->server[k]);
  mal_sim_at(w->sim, mal_sim_now(w->sim), world_node_restart, &d->client);
}

void world_troubles_end(World *w)
{
  w->healed = true;
  w->troubles = 0;
  disturb(w);
  mal_sim_note(w->sim, NULL, "all is healed");
  mal_sim_heal_all(w->sim);
  for (unsigned i = 0; i < DOMAINS; i++) {
    Domain *d = &w->domain[i];
    d->flooded_until = 0;
    if (exists(d) && d->site != NULL)
      heal_site(d);
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->domain[i].n_nodes; k++)
      heal_node(&w->domain[i].node[k]);
  }
}
