/* Making, running and ending a world. */
#include "masc-world-private.h"

#include <glib/gstdio.h>

static void make_domain(World *w, const MalWorldItem *item)
{
  Domain *d = &w->domain[item->who];
  d->world = w;
  d->index = (unsigned)item->who;
  d->random.state = item->seed;
  d->absent = item->off;
  d->top = d->index < TOPS;
  d->zone = d->top ? d->index : w->domain[item->a].zone;
  d->n_nodes = (unsigned)between(&d->random, 1, (uint64_t)w->plan->settings[SET_NODES]);
  d->manual = chance(&d->random, 15);
  d->gap_h = (double)between(&d->random, 8, 60);
  d->most = (unsigned)between(&d->random, 1, w->plan->settings[SET_TIGHT] > 1 ? 60 : 200);
  for (unsigned i = 0; i < SCOPES; i++)
    d->outside_since[i] = -1;
  if (chance(&d->random, 15))
    d->lull_until = MAL_SIM_NEVER; /* nobody uses anything there: a mere provider */
  for (unsigned i = 0; i < d->n_nodes; i++)
    world_node_make(&d->node[i], d, i);
  MalWorldRandom more = { item->seed ^ 0x94d049bb133111ebu };
  d->by_hand = chance(&more, (unsigned)w->plan->settings[SET_HAND]);
  world_site_make(d, item->seed);
  if (!exists(d))
    return;
  w->result->counts[COUNT_BY_HAND] += d->by_hand;
  w->result->happened[KIND_DOMAIN]++;
  count(w, COUNT_DOMAINS);
  w->result->counts[COUNT_NODES] += d->n_nodes;
  w->result->counts[COUNT_TWO_PARENTS] += item->b != 0;
  w->result->counts[COUNT_GRANDCHILDREN] += !d->top && item->a >= TOPS;
  w->result->counts[COUNT_MANUAL] += d->manual;
}

static void start_domain(Domain *d)
{
  World *w = d->world;
  for (unsigned i = 0; i < d->n_nodes; i++)
    mal_sim_at(w->sim, (int64_t)between(&d->random, 0, 3 * HOUR), world_node_restart, &d->node[i]);
  world_site_start(d, &d->random);
  world_users_begin(d);
}

static void look(void *data)
{
  World *w = data;
  world_look(w);
  world_operate(w);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + LOOK_EVERY, look, w);
}

/* Two top-level domains never meet. */
static void plant(World *w)
{
  MalSimNode *side[2][NODES];
  for (unsigned i = 0; i < 2; i++)
    for (unsigned k = 0; k < w->domain[i].n_nodes; k++)
      side[i][k] = w->domain[i].node[k].node;
  mal_sim_partition(w->sim, side[0], w->domain[0].n_nodes, side[1], w->domain[1].n_nodes);
}

static void plant_apart(Domain *d)
{
  Node *n[NODES + SERVERS];
  unsigned n_servers = world_leasing(d, n);
  for (unsigned i = 1; i < n_servers; i++)
    mal_sim_partition(d->world->sim, &n[0]->node, 1, &n[i]->node, 1);
}

static World *world_new(const MalWorldPlan *plan, MalWorldResult *result)
{
  static const MalSimStreamOptions streams = { .connect_timeout = HOUR / 4,
                                               .stall_timeout = HOUR,
                                               .split = MAL_SIM_PERCENT(25) };
  World *w = g_new0(World, 1);
  w->plan = plan;
  w->result = result;
  w->whole_since = MAL_SIM_NEVER;
  w->dir = g_dir_make_tmp("mal-world-XXXXXX", NULL);
  w->sim = mal_sim_new(plan->seed);
  mal_sim_set_quiet(w->sim, plan->quiet);
  mal_sim_set_stream_options(w->sim, &streams);
  w->lan = mal_sim_link_new(w->sim, "internet");
  w->users = g_ptr_array_new_with_free_func(g_free);
  w->happenings = g_ptr_array_new_with_free_func(g_free);
  w->held = g_array_new(FALSE, FALSE, sizeof(Held));
  for (unsigned i = 0; i < DOMAINS; i++)
    w->domain[i].absent = true;
  for (guint i = 0; i < plan->items->len; i++)
    if (mal_world_plan_item(plan, i)->kind == KIND_DOMAIN)
      make_domain(w, mal_world_plan_item(plan, i));
  world_make_links(w);
  for (unsigned i = 0; i < DOMAINS; i++)
    if (exists(&w->domain[i]))
      start_domain(&w->domain[i]);
  result->counts[COUNT_ZONED] += plan->settings[SET_ZONED] != 0;
  result->counts[COUNT_SCOPES] += w->n_scopes;
  result->counts[COUNT_IPV6] += plan->settings[SET_FAMILIES] == FAMILIES_IPV6;
  result->counts[COUNT_BOTH] += plan->settings[SET_FAMILIES] == FAMILIES_BOTH;
  for (unsigned i = TOPS; i < DOMAINS; i++)
    for (unsigned k = 0; exists(&w->domain[i]) && k < w->n_scopes; k++)
      result->counts[COUNT_ZONE_TOPS] += world_is_top(w, k, i);
  result->counts[COUNT_TIGHT] += plan->settings[SET_TIGHT] > 1;
  world_troubles_plan(w);
  for (unsigned i = 0; i < DOMAINS && plan->plant == MAL_MASC_PLANT_APART; i++)
    if (exists(&w->domain[i]) && w->domain[i].site != NULL)
      plant_apart(&w->domain[i]);
  if (plan->plant == MAL_MASC_PLANT_DEAF)
    plant(w);
  mal_sim_at(w->sim, LOOK_EVERY, look, w);
  return w;
}

static void domain_free(Domain *d)
{
  for (unsigned i = 0; i < d->n_nodes; i++)
    world_node_clear(&d->node[i]);
  world_site_free(d);
}

static void world_free(World *w)
{
  for (unsigned i = 0; i < DOMAINS; i++)
    domain_free(&w->domain[i]);
  g_rmdir(w->dir);
  mal_sim_free(w->sim);
  g_ptr_array_unref(w->users);
  g_ptr_array_unref(w->happenings);
  g_array_unref(w->held);
  g_free(w->dir);
  g_free(w);
}

static void run(World *w)
{
  if (!mal_sim_run_until(w->sim, w->plan->until))
    return;
  world_troubles_end(w);
  if (w->plan->plant == MAL_MASC_PLANT_DEAF)
    plant(w);
  if (mal_sim_run_for(w->sim, quiet(w)))
    world_check_end(w);
}

void world_run(const MalWorldPlan *plan, MalWorldResult *result)
{
  World *w = world_new(plan, result);
  run(w);
  MalSimCounters c = mal_sim_counters(w->sim);
  result->events = c.events;
  result->ended = mal_sim_now(w->sim);
  result->hash = mal_sim_hash(w->sim);
  if (mal_sim_failure(w->sim) != NULL && !result->failure[0])
    g_strlcpy(result->failure, mal_sim_failure(w->sim), sizeof result->failure);
  world_free(w);
}
