/* Making, running and ending a world. */
#include "madcap-world-private.h"

#include <glib/gstdio.h>

#define REST_WITHIN (900 * MAL_US)   /* after the healing */
#define RECOVER (40 * MAL_US)
#define WHOLE_EVERY 97               /* events */

/* Addresses of local and area share Ethernet groups. */
const WorldScope world_scopes[SCOPES] = {
  { "local", "239.255.0.0", "239.255.255.255", "239.255.255.254", MAL_IPV4 },
  { "area", "239.64.0.0", "239.127.255.255", "239.127.255.254", MAL_IPV4 },
  { "site6", "ff15::db8:8000:0", "ff15::db8:8fff:ffff", "ff15::db8:8fff:fffe", MAL_IPV6 },
  [EXTRA] = { "extra", "239.130.0.0", "239.130.255.255", "239.130.255.254", MAL_IPV4 },
};
static const char *const bases[SCOPES] = { "239.255.0.0", "239.127.0.0", "ff15::db8:8000:0",
                                           "239.130.0.0" };

MalAddress world_address(const char *text)
{
  MalAddress a = mal_address_none();
  if (!mal_address_parse(text, &a, NULL))
    g_error("%s is no address", text);
  return a;
}

MalSpan world_share(unsigned server, unsigned scope, unsigned size)
{
  MalAddress first = world_address(bases[scope]), last;
  first.value += 0x100 * (server + 1);
  last = first;
  last.value += size - 1;
  return (MalSpan){ first, last };
}

/* ---- making ---------------------------------------------------------------------------------- */

static const char *const nets[3][2] = {
  { "192.0.2.0", "2001:db8:0:1::" },
  { "198.51.100.0", "2001:db8:0:2::" },
  { "203.0.113.0", "2001:db8:0:3::" },
};

MalAddress world_net_address(unsigned link, unsigned family, unsigned host)
{
  MalAddress a = world_address(nets[link][family]);
  a.value += host;
  return a;
}

MalSimIface *world_attach(MadcapWorld *w, MalSimNode *node, unsigned link, unsigned host)
{
  MalSimIface *iface = mal_sim_iface_new(node, w->link[link], "eth0");
  for (unsigned i = 0; i < 2; i++)
    mal_sim_iface_add_address(iface, world_net_address(link, i, host));
  return iface;
}

static void make_links(MadcapWorld *w)
{
  static const char *const names[3] = { "north", "middle", "south" };
  w->n_links = (unsigned)w->plan->settings[SET_LINKS];
  g_assert(w->n_links <= G_N_ELEMENTS(names));
  for (unsigned i = 0; i < w->n_links; i++) {
    w->link[i] = mal_sim_link_new(w->sim, names[i]);
    if (i == 0)
      continue;
    /* The boundary of a local scope's zone (RFC 2365 6.1). */
    w->border[i - 1] = mal_sim_border_new(w->link[i - 1], w->link[i]);
    if (w->plan->settings[SET_FILTERS] >> (i - 1) & 1)
      mal_sim_border_filter(w->border[i - 1], (MalSpan){ world_address(world_scopes[0].first),
                                                         world_address(world_scopes[0].last) });
  }
}

static void make_server(MadcapWorld *w, const MalWorldItem *item)
{
  unsigned i = (unsigned)item->who, link = i % w->n_links;
  Server *s = &w->server[i];
  g_autofree char *name = g_strdup_printf("server%u", i);
  MalWorldRandom r = { item->seed };
  s->world = w;
  s->index = i;
  s->absent = item->off;
  s->node = mal_sim_node_new(w->sim, name);
  s->iface = world_attach(w, s->node, link, 1 + i);
  s->file = g_build_filename(w->dir, name, NULL);
  s->step_seen = s->revoked = -3600 * MAL_US;
  for (unsigned k = 0; k < 2; k++)
    s->address[k] = world_net_address(link, k, 1 + i);
  for (unsigned k = 0; k < SCOPES; k++)
    s->conf.size[k] = (unsigned)(chance(&r, 50) ? between(&r, 1, 20) : between(&r, 20, SHARE_MOST));
  if (chance(&r, 50))
    s->conf.size[EXTRA] = 0;
  s->conf.pad = (unsigned)w->plan->settings[SET_PAD];
  s->conf.max_lease = 6000;
  if (chance(&r, 30))
    mal_sim_node_set_work_time(s->node, 1000, (int64_t)between(&r, 10000, 1000000));
  /* One draw to a statement: the order of arguments is the compiler's, and a seed is one run. */
  int64_t offset = (int64_t)between(&r, 0, 20 * MAL_US) - 10 * MAL_US;
  mal_sim_node_set_clock(s->node, offset, (int32_t)between(&r, 0, 200) - 100);
  if (s->absent)
    return;
  happened(w, KIND_SERVER);
  world_server_start(s);
}

static void make_client(MadcapWorld *w, const MalWorldItem *item)
{
  unsigned i = (unsigned)item->who;
  Client *c = &w->client[i];
  g_autofree char *name = g_strdup_printf("client%u", i);
  c->world = w;
  c->index = i;
  c->random.state = item->seed;
  c->link = i % w->n_links;
  c->node = mal_sim_node_new(w->sim, name);
  c->iface = world_attach(w, c->node, c->link, 10 + i / w->n_links);
  int64_t most = chance(&c->random, 5) ? 7200 : 60;
  mal_sim_node_set_clock(
    c->node, ((int64_t)between(&c->random, 0, (uint64_t)most * 2) - most) * MAL_US, 0);
  if (item->off)
    return;
  happened(w, KIND_CLIENT);
  world_client_start(c);
}

static void make_agent(MadcapWorld *w, const MalWorldItem *item)
{
  if (item->off)
    return;
  happened(w, KIND_AGENT);
  w->agent[item->who] = world_agent_new(w, item, (unsigned)(item->seed % w->n_links));
}

static void make_inhabitants(MadcapWorld *w, WorldKind kind,
                             void (*make)(MadcapWorld *, const MalWorldItem *))
{
  for (guint i = 0; i < w->plan->items->len; i++)
    if (mal_world_plan_item(w->plan, i)->kind == kind)
      make(w, mal_world_plan_item(w->plan, i));
}

static void step(MalSim *sim, void *data)
{
  (void)sim;
  world_check_step(data);
}

static void check(MalSim *sim, void *data)
{
  (void)sim;
  world_check(data);
}

static MadcapWorld *world_new(const MalWorldPlan *plan, MalWorldResult *result)
{
  MadcapWorld *w = g_new0(MadcapWorld, 1);
  w->plan = plan;
  w->result = result;
  w->dir = g_dir_make_tmp("mal-world-XXXXXX", NULL);
  w->sim = mal_sim_new(plan->seed);
  mal_sim_set_quiet(w->sim, plan->quiet);
  world_promises_init(w);
  world_tap_init(w);
  w->n_servers = (unsigned)plan->settings[SET_SERVERS];
  w->n_clients = (unsigned)plan->settings[SET_CLIENTS];
  w->n_agents = (unsigned)plan->settings[SET_AGENTS];
  w->layer3 = plan->settings[SET_LAYER3];
  w->client = g_new0(Client, w->n_clients);
  make_links(w);
  make_inhabitants(w, KIND_SERVER, make_server);
  make_inhabitants(w, KIND_CLIENT, make_client);
  make_inhabitants(w, KIND_AGENT, make_agent);
  world_troubles_plan(w);
  mal_sim_add_hook(w->sim, 1, step, w);
  mal_sim_add_hook(w->sim, WHOLE_EVERY, check, w);
  return w;
}

static void world_free(MadcapWorld *w)
{
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    world_server_free(s);
    g_clear_pointer(&s->groups, g_hash_table_unref);
    g_unlink(s->file);
    g_free(s->file);
  }
  for (unsigned i = 0; i < w->n_agents; i++)
    world_agent_free(w->agent[i]);
  g_rmdir(w->dir);
  mal_sim_free(w->sim);
  world_promises_clear(w);
  world_tap_clear(w);
  g_free(w->dir);
  g_free(w->client);
  g_free(w);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool is_restless(void *data)
{
  const MadcapWorld *w = data;
  for (unsigned i = 0; i < w->n_clients; i++)
    for (unsigned k = 0; k < w->client[i].n_slots; k++) {
      const Slot *s = &w->client[i].slot[k];
      if (s->length || s->state == ASKING || (s->state == HAVING && !s->resting))
        return true;
    }
  for (unsigned i = 0; i < w->n_agents; i++)
    if (w->agent[i] && world_agent_restless(w->agent[i]))
      return true;
  return false;
}

static void run(MadcapWorld *w)
{
  if (!mal_sim_run_until(w->sim, w->plan->until))
    return;
  world_troubles_end(w);
  /* What was to be mended later, is now. */
  if (!mal_sim_run_for(w->sim, RECOVER * 2))
    return;
  w->closing = true;
  mal_sim_run_while(w->sim, is_restless, w, mal_sim_now(w->sim) + REST_WITHIN);
  if (!mal_sim_failure(w->sim))
    mal_sim_run_for(w->sim, 10 * MAL_US);
  if (!mal_sim_failure(w->sim))
    world_check_end(w);
}

static void take_counters(MadcapWorld *w)
{
  MalSimCounters c = mal_sim_counters(w->sim);
  uint64_t *counts = w->result->counts;
  for (unsigned i = 0; i < 4; i++)
    counts[COUNT_TAIL_LOST + i] = c.tails[MAL_SIM_TAIL_LOST + i];
  counts[COUNT_NET_LOST] = c.lost;
  counts[COUNT_NET_DOUBLED] = c.duplicated;
  counts[COUNT_NET_REORDERED] = c.reordered;
  counts[COUNT_NET_CUT] = c.partitioned;
  w->result->events = c.events;
  w->result->ended = mal_sim_now(w->sim);
  w->result->hash = mal_sim_hash(w->sim);
}

void world_run(const MalWorldPlan *plan, MalWorldResult *result)
{
  MadcapWorld *w = world_new(plan, result);
  run(w);
  take_counters(w);
  if (mal_sim_failure(w->sim) && !result->failure[0])
    g_strlcpy(result->failure, mal_sim_failure(w->sim), sizeof result->failure);
  world_free(w);
}

/* ---- planted bugs ---------------------------------------------------------------------------- */

void world_plant_saw(MadcapWorld *w, WorldKind kind, uint64_t who)
{
  bool reload = kind >= KIND_RELOAD_RANGES && kind <= KIND_RELOAD_BAD;
  if (who >= SERVERS)
    return;
  if (kind == KIND_CRASH)
    w->planted |= 1u << who;
  else if (reload && w->planted >> who & 1)
    w->planted |= 0x100u << who;
}

void world_plant_acked(MadcapWorld *w, const Server *s)
{
  if (w->plan->plant == MAL_MADCAP_PLANT_THREE && w->planted >> 8 >> s->index & 1)
    mal_sim_fail(w->sim, "%s: the planted bug", mal_sim_node_name(s->node));
}
