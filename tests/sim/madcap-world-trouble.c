/* What befalls a world: each item of the plan, in its time, with its own random numbers. */
#include "madcap-world-private.h"

#include <string.h>

#define RECOVER (40 * MAL_US)        /* a store looks every 30 s whether its disk works again */
#define HAND "hand"

typedef struct {
  MadcapWorld *world;
  const MalWorldItem *item;
} Trouble;

/* ---- networks -------------------------------------------------------------------------------- */

static void set_faults(MalSimLink *link, unsigned severity, uint64_t seed)
{
  MalWorldRandom r = { seed };
  MalSimFaults f = { .latency_min = 200, .latency_max = (int64_t)between(&r, 500, 100000) };
  if (severity > 0) {
    f.jitter = (int64_t)between(&r, 0, 200000);
    f.loss = MAL_SIM_PERCENT(severity == 3 ? between(&r, 30, 50) : between(&r, 0, 15));
    f.duplicate = MAL_SIM_PERCENT(between(&r, 0, 20));
    f.reorder = MAL_SIM_PERCENT(between(&r, 0, 20));
    f.reorder_delay = MAL_US / 2;
  }
  mal_sim_link_set_faults(link, &f);
}

static bool link_faults(MadcapWorld *w, const MalWorldItem *item)
{
  if (item->who >= w->n_links)
    return false;
  set_faults(w->link[item->who], item->kind == KIND_LINK_BAD ? 3 : (unsigned)item->a, item->seed);
  return true;
}

typedef struct {
  MadcapWorld *world;
  MalSimIface *iface;
  MalSimCut *cut;
  MalSimBorder *border;
} Mending;

static void mend(void *data)
{
  g_autofree Mending *m = data;
  if (m->iface)
    mal_sim_iface_set_up(m->iface, true);
  if (m->border)
    mal_sim_border_set_up(m->border, true);
  if (m->cut)
    mal_sim_heal(m->world->sim, m->cut);
}

static bool mend_later(MadcapWorld *w, const MalWorldItem *item, Mending what)
{
  Mending *m = g_new(Mending, 1);
  *m = what;
  m->world = w;
  mal_sim_at(w->sim, mal_sim_now(w->sim) + (int64_t)item->b * MAL_US, mend, m);
  return true;
}

static bool partition(MadcapWorld *w, const MalWorldItem *item, MalWorldRandom *r)
{
  g_autoptr(GPtrArray) a = g_ptr_array_new(), b = g_ptr_array_new();
  for (unsigned i = 0; i < w->n_servers; i++)
    g_ptr_array_add(chance(r, 50) ? a : b, w->server[i].node);
  for (unsigned i = 0; i < w->n_clients; i++)
    g_ptr_array_add(chance(r, 50) ? a : b, w->client[i].node);
  for (unsigned i = 0; i < w->n_agents; i++)
    if (w->agent[i])
      g_ptr_array_add(chance(r, 50) ? a : b, world_agent_node(w->agent[i]));
  MalSimNode *const *x = (MalSimNode *const *)a->pdata, *const *y = (MalSimNode *const *)b->pdata;
  bool one_way = item->kind == KIND_PARTITION_ONE_WAY;
  return mend_later(w, item, (Mending){
    .cut = one_way ? mal_sim_partition_one_way(w->sim, x, a->len, y, b->len)
                   : mal_sim_partition(w->sim, x, a->len, y, b->len) });
}

static bool lose_interface(MadcapWorld *w, const MalWorldItem *item, MalWorldRandom *r)
{
  MalSimIface *iface = chance(r, 60) || w->n_clients == 0
                         ? w->server[item->who].iface
                         : w->client[between(r, 0, w->n_clients - 1)].iface;
  mal_sim_iface_set_up(iface, false);
  return mend_later(w, item, (Mending){ .iface = iface });
}

static bool lose_border(MadcapWorld *w, const MalWorldItem *item, MalWorldRandom *r)
{
  if (w->n_links < 2)
    return false;
  MalSimBorder *border = w->border[between(r, 0, w->n_links - 2)];
  mal_sim_border_set_up(border, false);
  return mend_later(w, item, (Mending){ .border = border });
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void mend_disk(void *data)
{
  Server *s = data;
  mal_sim_note(s->world->sim, s->node, "disk is mended");
  mal_sim_disk_set_fault(mal_sim_node_disk(s->node, "journal"), MAL_SIM_DISK_OK);
}

static bool break_disk(Server *s, const MalWorldItem *item)
{
  static const MalSimDiskFault faults[] = { MAL_SIM_DISK_FULL, MAL_SIM_DISK_IO_ERROR,
                                            MAL_SIM_DISK_SYNC_ERROR };
  MadcapWorld *w = s->world;
  MalSimDiskFault fault = faults[item->kind - KIND_DISK_FULL];
  mal_sim_disk_set_fault(mal_sim_node_disk(s->node, "journal"), fault);
  s->disk_failed = true;
  mal_sim_note(w->sim, s->node, "disk fault %d", (int)fault);
  int64_t mended = mal_sim_now(w->sim) + (int64_t)item->b * MAL_US;
  s->lags_until = MAX(s->lags_until, mended + RECOVER);
  mal_sim_at(w->sim, mended, mend_disk, s);
  return true;
}

/* ---- reloads --------------------------------------------------------------------------------- */

static void draw_part(MalWorldRandom *r, unsigned size, unsigned *first, unsigned *length)
{
  *length = size > 3 && chance(r, 70) ? (unsigned)between(r, 1, MIN(size - 1, 12)) : 0;
  *first = *length ? (unsigned)between(r, 0, size - *length) : 0;
}

static void fit(ServerConf *conf, unsigned k)
{
  if (conf->exclude[k] + conf->exclude_size[k] > conf->size[k])
    conf->exclude_size[k] = 0;
  if (conf->reserve[k] + conf->reserve_size[k] > conf->size[k])
    conf->reserve_size[k] = 0;
}

/* Ranges grow and shrink, scopes come and go; where leases would lose their place, nothing
   changes. */
static bool reload(Server *s, const MalWorldItem *item, MalWorldRandom *r)
{
  static const unsigned pads[] = { 0, 5, 60, 3600 };
  ServerConf conf = s->conf;
  for (unsigned k = 0; k < SCOPES; k++) {
    if (item->kind == KIND_RELOAD_RANGES && k != EXTRA && chance(r, 50))
      conf.size[k] = (unsigned)between(r, 1, SHARE_MOST);
    else if (item->kind == KIND_RELOAD_EXCLUDES && chance(r, 60))
      draw_part(r, conf.size[k], &conf.exclude[k], &conf.exclude_size[k]);
    else if (item->kind == KIND_RELOAD_RESERVES && chance(r, 60))
      draw_part(r, conf.size[k], &conf.reserve[k], &conf.reserve_size[k]);
    fit(&conf, k);
  }
  if (item->kind == KIND_RELOAD_SCOPES)
    conf.size[EXTRA] = conf.size[EXTRA] ? 0 : (unsigned)between(r, 1, SHARE_MOST);
  if (item->kind == KIND_RELOAD_SETTINGS) {
    conf.pad = pads[between(r, 0, 3)];
    conf.max_lease = (unsigned)between(r, 600, 6000);
  }
  fit(&conf, EXTRA);
  return world_server_reload(s, &conf);
}

/* ---- the control API ------------------------------------------------------------------------- */

static void hand_done(const GError *error, void *data)
{
  (void)error, (void)data;
}

static MalSpan hand_span(const Server *s, unsigned scope)
{
  MalSpan span = world_share(s->index, scope, SHARE_ALL);
  span.first.value += SHARE_MOST + SHARE_EXTRA;
  return span;
}

/* Comes, or goes; by force also where there are leases in it. */
static bool hand_range(Server *s, const MalWorldItem *item, MalWorldRandom *r)
{
  unsigned scope = (unsigned)between(r, 0, EXTRA - 1);
  g_autofree char *name = g_strdup_printf(HAND "%u", scope);
  MalSpan span = hand_span(s, scope);
  bool force = item->kind == KIND_HAND_REVOKE;
  size_t there = mal_leases_touching(mal_core_leases(s->core), span, NULL);
  if (!mal_core_range_remove(s->core, name, force, hand_done, NULL, NULL))
    return mal_core_range_add(s->core, world_scopes[scope].id, name, span, MAL_FOREVER, hand_done,
                              NULL, NULL) && !force;
  if (!force)
    return true;
  s->world->result->counts[COUNT_REVOKED] += there;
  world_promises_revoke(s, span);
  return true;
}

static bool hand_reserve(Server *s, MalWorldRandom *r)
{
  unsigned scope = (unsigned)between(r, 0, EXTRA - 1);
  g_autofree char *name = g_strdup_printf(HAND "%u", scope);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  MalSpan span = world_share(s->index, scope, SHARE_MOST);
  span.first.value += between(r, 0, SHARE_MOST - 10);
  span.last = span.first;
  span.last.value += between(r, 0, 8);
  g_array_append_val(spans, span);
  return mal_core_reserve_remove(s->core, name, hand_done, NULL, NULL) ||
         mal_core_reserve_add(s->core, world_scopes[scope].id, name, spans, NULL, hand_done, NULL,
                              NULL);
}

typedef struct {
  Server *server;
  unsigned boots;
} HandAsk;

/* It is durable, and as good as one that was acknowledged to a client. */
static void hand_leased(json_object *result, const GError *error, void *data)
{
  g_autofree HandAsk *ask = data;
  json_object *hex;
  uint8_t bytes[MAL_LEASE_ID_MAX];
  MalLease lease;
  Server *s = ask->server;
  if (error || ask->boots != s->boots || !s->core ||
      !json_object_object_get_ex(result, "lease", &hex))
    return;
  size_t length = mal_lease_id_from_hex(json_object_get_string(hex), bytes, NULL);
  if (!mal_leases_get(mal_core_leases(s->core), (MalLeaseId){ bytes, length }, &lease)) {
    world_broken(s, (MalLeaseId){ bytes, length }, "answered with a lease that it hasn't", NULL);
    return;
  }
  if (!mal_sim_store_get(s->store, lease.id, NULL))
    world_broken(s, lease.id, "answered with a lease before it was durable", &lease);
  world_promise(s, &lease)->given_up = world_may_lag(s);
  happened(s->world, KIND_HAND_LEASE);
}

static void hand_lease(Server *s, MalWorldRandom *r)
{
  json_object *params = json_object_new_object();
  HandAsk *ask = g_new(HandAsk, 1);
  *ask = (HandAsk){ s, s->boots };
  json_object_object_add(params, "scope",
                         json_object_new_string(world_scopes[between(r, 0, EXTRA - 1)].id));
  json_object_object_add(params, "count", json_object_new_int64((int64_t)between(r, 1, 4)));
  json_object_object_add(params, "lifetime", json_object_new_int64((int64_t)between(r, 20, 900)));
  mal_control_call(mal_core_control(s->core), "lease.request", params, true, hand_leased, NULL,
                   ask);
  json_object_put(params);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool to_server(Server *s, const MalWorldItem *item, MalWorldRandom *r)
{
  int64_t down_for = (int64_t)between(r, 1, 40) * MAL_US;
  if (!s->core)
    return false;
  switch ((WorldKind)item->kind) {
  case KIND_CRASH: world_server_crash(s, MAL_SIM_DISK_KEPT, down_for); return true;
  case KIND_WIPE: world_server_crash(s, MAL_SIM_DISK_WIPED, down_for); return true;
  case KIND_REBOOT: world_server_reboot(s); return true;
  case KIND_DISK_FULL:
  case KIND_DISK_IO:
  case KIND_DISK_SYNC: return break_disk(s, item);
  case KIND_STEP_FORWARD: world_server_step(s, (int64_t)item->a); return true;
  case KIND_STEP_BACK: world_server_step(s, -(int64_t)item->a); return true;
  case KIND_RELOAD_BAD: world_server_reload_bad(s, r); return true;
  case KIND_HAND_RANGE:
  case KIND_HAND_REVOKE: return hand_range(s, item, r);
  case KIND_HAND_RESERVE: return hand_reserve(s, r);
  case KIND_HAND_LEASE: hand_lease(s, r); return false;
  default: return reload(s, item, r);
  }
}

static bool to_network(MadcapWorld *w, const MalWorldItem *item, MalWorldRandom *r)
{
  switch ((WorldKind)item->kind) {
  case KIND_IFACE: return lose_interface(w, item, r);
  case KIND_BORDER: return lose_border(w, item, r);
  case KIND_PARTITION:
  case KIND_PARTITION_ONE_WAY: return partition(w, item, r);
  default: return link_faults(w, item);
  }
}

static void happen(void *data)
{
  Trouble *t = data;
  MadcapWorld *w = t->world;
  const MalWorldItem *item = t->item;
  MalWorldRandom r = { item->seed };
  WorldKind kind = (WorldKind)item->kind;
  g_free(t);
  mal_sim_note(w->sim, NULL, "%s %" G_GUINT64_FORMAT, w->plan->type->kinds[kind], item->who);
  if (kind >= KIND_AGENT_CRASH) {
    if (item->who < w->n_agents && w->agent[item->who])
      world_agent_trouble(w->agent[item->who], item);
  } else if (kind == KIND_AMBUSH_ANSWER || kind == KIND_AMBUSH_WRITE) {
    w->ambush = kind == KIND_AMBUSH_ANSWER ? AMBUSH_ANSWER : AMBUSH_WRITE;
  } else if (kind <= KIND_LINK_BAD || (kind >= KIND_IFACE && kind <= KIND_PARTITION_ONE_WAY)) {
    w->result->happened[kind] += to_network(w, item, &r);
  } else if (to_server(&w->server[item->who], item, &r)) {
    happened(w, kind);
  }
  world_plant_saw(w, kind, item->who);
}

/* Crashes in the middle of a write, or as soon as an answer has left. */
static void spring(MalSim *sim, void *data)
{
  MadcapWorld *w = data;
  Server *s = w->sprung;
  (void)sim;
  if (w->ambush == AMBUSH_NONE)
    return;
  for (unsigned i = 0; w->ambush == AMBUSH_WRITE && !s && i < w->n_servers; i++) {
    size_t length;
    if (!w->server[i].core)
      continue;
    MalSimDisk *disk = mal_sim_node_disk(w->server[i].node, "journal");
    mal_sim_disk_data(disk, &length);
    if (length > mal_sim_disk_synced(disk))
      s = &w->server[i];
  }
  if (!s)
    return;
  w->sprung = NULL;
  happened(w, w->ambush == AMBUSH_WRITE ? KIND_AMBUSH_WRITE : KIND_AMBUSH_ANSWER);
  w->ambush = AMBUSH_NONE;
  world_server_crash(s, MAL_SIM_DISK_KEPT, (1 + (int64_t)(mal_sim_now(w->sim) % 30)) * MAL_US);
}

void world_troubles_plan(MadcapWorld *w)
{
  const GArray *items = w->plan->items;
  for (guint i = 0; i < items->len; i++) {
    const MalWorldItem *item = &g_array_index(items, MalWorldItem, i);
    bool inhabitant = item->kind == KIND_SERVER || item->kind == KIND_CLIENT ||
                      item->kind == KIND_AGENT;
    if (item->off || inhabitant || item->at >= w->plan->until)
      continue;
    Trouble *t = g_new(Trouble, 1);
    *t = (Trouble){ w, item };
    mal_sim_at(w->sim, item->at, happen, t);
  }
  mal_sim_add_hook(w->sim, 1, spring, w);
}

void world_troubles_end(MadcapWorld *w)
{
  MalSimFaults none = { .latency_min = 200, .latency_max = 500 };
  w->ambush = AMBUSH_NONE;
  for (unsigned i = 0; i < w->n_links; i++)
    mal_sim_link_set_faults(w->link[i], &none);
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    if (s->absent)
      continue;
    world_server_restart(s);
    mend_disk(s);
    world_server_step(s, -s->stepped);
  }
  for (unsigned i = 0; i < w->n_agents; i++)
    if (w->agent[i])
      world_agent_heal(w->agent[i]);
}
