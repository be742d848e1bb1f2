/* Servers, networks, and what befalls them. */
#include "madcap-world-private.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define REST_WITHIN (900 * MAL_US)   /* after the healing */
#define RECOVER (40 * MAL_US)        /* a store looks every 30 s whether its disk works again */
#define FAULT_MOST 60                /* seconds */

extern const MalPlugin mal_plugin;

/* Addresses of local and area share Ethernet groups. */
const WorldScope world_scopes[SCOPES] = {
  { "local", "239.255.0.0", "239.255.255.255", "239.255.255.254", MAL_IPV4 },
  { "area", "239.64.0.0", "239.127.255.255", "239.127.255.254", MAL_IPV4 },
  { "site6", "ff15::db8:8000:0", "ff15::db8:8fff:ffff", "ff15::db8:8fff:fffe", MAL_IPV6 },
};
static const char *const bases[SCOPES] = { "239.255.0.0", "239.127.0.0", "ff15::db8:8000:0" };

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

/* ---- servers --------------------------------------------------------------------------------- */

static void write_config(const Server *s, const unsigned *size)
{
  GString *text = g_string_new("[daemon]\nroles=maas\nlog-level=error\n");
  g_string_append(text, s->world->layer3 ? "plugins=madcap; simspace\n" : "plugins=madcap\n");
  for (unsigned k = 0; k < SCOPES; k++) {
    char span[MAL_ADDRESS_STRLEN];
    MalSpan share = world_share(s->index, k, size[k]);
    g_string_append_printf(text, "[scope %s]\nfamily=%s\nfirst=%s\nlast=%s\nttl=16\n%s",
                           world_scopes[k].id, mal_family_name(world_scopes[k].family),
                           world_scopes[k].first, world_scopes[k].last,
                           k == 0 ? "nests-inside=area\n" : "");
    g_string_append_printf(text, "[range r%u]\nscope=%s\nfirst=%s\n", k, world_scopes[k].id,
                           mal_address_format(share.first, span));
    g_string_append_printf(text, "last=%s\n", mal_address_format(share.last, span));
  }
  g_string_append_printf(text, "[madcap]\nextra-allocation-time=%u\nmax-lease-time=6000\n"
                         "retry-after=%u\n", s->world->pad, RETRY_AFTER + s->index);
  GError *error = NULL;
  if (!g_file_set_contents(s->file, text->str, (gssize)text->len, &error))
    g_error("%s", error->message);
  g_string_free(text, TRUE);
}

static void quiet(MalLogLevel level, const char *line, void *data)
{
  (void)level, (void)line, (void)data;
}

static bool try_start(Server *s, GError **error)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, &world_space_plugin, NULL };
  s->store = mal_sim_store_open(s->node);
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(s->node), .store = s->store,
                             .config_file = s->file, .builtin = builtin, .log = quiet };
  s->core = mal_core_new(&options, error);
  if (s->core && mal_core_start(s->core, error))
    return true;
  g_clear_pointer(&s->core, mal_core_free);
  return false;
}

/* What had lapsed while it was down, and is ahead again since the clock went back, may lie where no
   range is any more. The daemon says what to do, and this is it. */
static bool start_as_told(Server *s, GError **error)
{
  if (!s->ghosts || !strstr((*error)->message, "put the scope and range back"))
    return false;
  for (unsigned k = 0; k < SCOPES; k++)
    s->size[k] = SHARE_MOST;
  write_config(s, s->size);
  g_clear_error(error);
  return try_start(s, error);
}

static void server_start(Server *s)
{
  g_autoptr(GError) error = NULL;
  s->boots++;
  mal_sim_note(s->world->sim, s->node, "boots");
  if (!try_start(s, &error) && !start_as_told(s, &error))
    mal_sim_fail(s->world->sim, "%s does not start: %s", mal_sim_node_name(s->node),
                 error->message);
  else
    s->lapsed = mal_leases_totals(mal_core_leases(s->core), NULL).leases <
                mal_sim_store_leases(s->store);
}

static void restart(void *data)
{
  Server *s = data;
  if (s->core)
    return;
  mal_sim_node_restart(s->node);
  server_start(s);
}

static void crash(Server *s, MalSimCrash disk)
{
  MadcapWorld *w = s->world;
  if (!s->core)
    return;
  mal_sim_node_crash(s->node, disk);
  g_clear_pointer(&s->core, mal_core_free);
  mal_sim_node_bury(s->node);
  s->ghosts |= s->disk_failed;
  world_crashed(s);
  w->figures.crashes++;
  if (disk == MAL_SIM_DISK_WIPED) {
    world_forget(s);
    w->figures.wipes++;
  }
  mal_sim_at(w->sim, mal_sim_now(w->sim) + (int64_t)between(w, 1, 40) * MAL_US, restart, s);
}

static void reboot(Server *s)
{
  if (!s->core)
    return;
  g_clear_pointer(&s->core, mal_core_free);
  mal_sim_node_restart(s->node);
  mal_sim_node_bury(s->node);
  server_start(s);
}

/* Ranges grow and shrink; where leases would lose their place, nothing changes. */
static void reload(Server *s)
{
  MadcapWorld *w = s->world;
  unsigned size[SCOPES];
  if (!s->core)
    return;
  for (unsigned k = 0; k < SCOPES; k++)
    size[k] = (unsigned)(chance(w, 50) ? s->size[k] : between(w, 1, SHARE_MOST));
  write_config(s, size);
  if (mal_core_reload(s->core, NULL, NULL)) {
    memcpy(s->size, size, sizeof size);
    w->figures.reloads++;
    mal_sim_note(w->sim, s->node, "ranges of %u, %u, %u", size[0], size[1], size[2]);
    return;
  }
  write_config(s, s->size);
  w->figures.reloads_refused++;
}

static void step_clock(Server *s, int64_t seconds)
{
  if (!s->core)
    return;
  world_stepped(s, seconds);
  s->ghosts |= seconds < 0 && s->lapsed;
  s->stepped += seconds;
  mal_sim_note(s->world->sim, s->node, "clock steps by %" G_GINT64_FORMAT " s", seconds);
  s->world->figures.steps++;
  mal_sim_node_step_clock(s->node, seconds * MAL_US);
}

static void mend_disk(void *data)
{
  Server *s = data;
  mal_sim_note(s->world->sim, s->node, "disk is mended");
  mal_sim_disk_set_fault(mal_sim_node_disk(s->node, "journal"), MAL_SIM_DISK_OK);
}

static void break_disk(Server *s)
{
  MadcapWorld *w = s->world;
  MalSimDiskFault fault = (MalSimDiskFault)between(w, MAL_SIM_DISK_FULL, MAL_SIM_DISK_SYNC_ERROR);
  mal_sim_disk_set_fault(mal_sim_node_disk(s->node, "journal"), fault);
  s->disk_failed = true;
  mal_sim_note(w->sim, s->node, "disk fault %d", (int)fault);
  w->figures.disk_faults++;
  s->lags_until = mal_sim_now(w->sim) + FAULT_MOST * MAL_US + RECOVER;
  mal_sim_at(w->sim, mal_sim_now(w->sim) + (int64_t)between(w, 1, FAULT_MOST) * MAL_US, mend_disk,
             s);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static Server *any_server(MadcapWorld *w)
{
  return &w->server[between(w, 0, w->n_servers - 1)];
}

static void faults_of_link(MadcapWorld *w, MalSimLink *link)
{
  MalSimFaults f = { .latency_min = 200, .latency_max = (int64_t)between(w, 500, 100000) };
  uint64_t severity = between(w, 0, 3);
  if (severity > 0) {
    f.jitter = (int64_t)between(w, 0, 200000);
    f.loss = MAL_SIM_PERCENT(between(w, 0, severity == 3 ? 50 : 10));
    f.duplicate = MAL_SIM_PERCENT(between(w, 0, 20));
    f.reorder = MAL_SIM_PERCENT(between(w, 0, 20));
    f.reorder_delay = MAL_US / 2;
  }
  mal_sim_link_set_faults(link, &f);
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

static void mend_later(MadcapWorld *w, Mending what)
{
  Mending *m = g_new(Mending, 1);
  *m = what;
  m->world = w;
  mal_sim_at(w->sim, mal_sim_now(w->sim) + (int64_t)between(w, 1, 70) * MAL_US, mend, m);
}

static void partition(MadcapWorld *w)
{
  g_autoptr(GPtrArray) a = g_ptr_array_new(), b = g_ptr_array_new();
  for (unsigned i = 0; i < w->n_servers; i++)
    g_ptr_array_add(chance(w, 50) ? a : b, w->server[i].node);
  for (unsigned i = 0; i < w->n_clients; i++)
    g_ptr_array_add(chance(w, 50) ? a : b, w->client[i].node);
  MalSimNode *const *x = (MalSimNode *const *)a->pdata, *const *y = (MalSimNode *const *)b->pdata;
  bool one_way = chance(w, 40);
  mend_later(w, (Mending){ .cut = one_way ? mal_sim_partition_one_way(w->sim, x, a->len, y, b->len)
                                          : mal_sim_partition(w->sim, x, a->len, y, b->len) });
}

static void lose_interface(MadcapWorld *w)
{
  MalSimIface *iface = chance(w, 60) ? any_server(w)->iface
                                     : w->client[between(w, 0, w->n_clients - 1)].iface;
  mal_sim_iface_set_up(iface, false);
  mend_later(w, (Mending){ .iface = iface });
}

static void lose_border(MadcapWorld *w)
{
  MalSimBorder *border = w->n_links > 1 ? w->border[between(w, 0, w->n_links - 2)] : NULL;
  if (!border)
    return;
  mal_sim_border_set_up(border, false);
  mend_later(w, (Mending){ .border = border });
}

static void step_any(MadcapWorld *w)
{
  int64_t by = (int64_t)(chance(w, 70) ? between(w, 1, 900) : between(w, 1, 90000));
  step_clock(any_server(w), chance(w, 50) ? by : -by);
}

static void trouble(void *data)
{
  MadcapWorld *w = data;
  uint64_t kind = between(w, 0, 99);
  if (kind < 10)
    crash(any_server(w), MAL_SIM_DISK_KEPT);
  else if (kind < 30)
    w->ambush = chance(w, 50) ? AMBUSH_ANSWER : AMBUSH_WRITE;
  else if (kind < 33)
    crash(any_server(w), MAL_SIM_DISK_WIPED);
  else if (kind < 36)
    reboot(any_server(w));
  else if (kind < 48)
    break_disk(any_server(w));
  else if (kind < 58)
    step_any(w);
  else if (kind < 72)
    reload(any_server(w));
  else if (kind < 80)
    lose_interface(w);
  else if (kind < 84)
    lose_border(w);
  else if (kind < 92)
    partition(w);
  else
    faults_of_link(w, w->link[between(w, 0, w->n_links - 1)]);
}

/* Crashes in the middle of a write, or as soon as an answer has left. */
static void spring(MalSim *sim, void *data)
{
  MadcapWorld *w = data;
  Server *s = w->sprung;
  (void)sim;
  for (unsigned i = 0; w->ambush == AMBUSH_WRITE && !s && i < w->n_servers; i++) {
    MalSimDisk *disk = mal_sim_node_disk(w->server[i].node, "journal");
    size_t length;
    mal_sim_disk_data(disk, &length);
    if (w->server[i].core && length > mal_sim_disk_synced(disk))
      s = &w->server[i];
  }
  if (!s)
    return;
  w->sprung = NULL;
  w->ambush = AMBUSH_NONE;
  crash(s, MAL_SIM_DISK_KEPT);
}

static void check(MalSim *sim, void *data)
{
  (void)sim;
  world_check(data);
}

/* ---- making ---------------------------------------------------------------------------------- */

static const char *const nets[3][2] = {
  { "192.0.2.0", "2001:db8:0:1::" },
  { "198.51.100.0", "2001:db8:0:2::" },
  { "203.0.113.0", "2001:db8:0:3::" },
};

static MalSimIface *attach(MadcapWorld *w, MalSimNode *node, unsigned link, unsigned host)
{
  MalSimIface *iface = mal_sim_iface_new(node, w->link[link], "eth0");
  for (unsigned i = 0; i < 2; i++) {
    MalAddress a = world_address(nets[link][i]);
    a.value += host;
    mal_sim_iface_add_address(iface, a);
  }
  return iface;
}

static void make_links(MadcapWorld *w)
{
  static const char *const names[3] = { "north", "middle", "south" };
  w->n_links = (unsigned)between(w, 1, 3);
  for (unsigned i = 0; i < w->n_links; i++) {
    w->link[i] = mal_sim_link_new(w->sim, names[i]);
    faults_of_link(w, w->link[i]);
    if (i == 0)
      continue;
    /* The boundary of a local scope's zone (RFC 2365 6.1). */
    w->border[i - 1] = mal_sim_border_new(w->link[i - 1], w->link[i]);
    if (chance(w, 60))
      mal_sim_border_filter(w->border[i - 1], (MalSpan){ world_address(world_scopes[0].first),
                                                         world_address(world_scopes[0].last) });
  }
}

static void make_server(MadcapWorld *w, unsigned i, const char *dir)
{
  Server *s = &w->server[i];
  g_autofree char *name = g_strdup_printf("server%u", i);
  unsigned link = i % w->n_links;
  s->world = w;
  s->index = i;
  s->node = mal_sim_node_new(w->sim, name);
  s->iface = attach(w, s->node, link, 1 + i);
  s->file = g_build_filename(dir, name, NULL);
  s->step_seen = -3600 * MAL_US;
  for (unsigned k = 0; k < 2; k++) {
    s->address[k] = world_address(nets[link][k]);
    s->address[k].value += 1 + i;
  }
  for (unsigned k = 0; k < SCOPES; k++)
    s->size[k] = (unsigned)(chance(w, 50) ? between(w, 1, 20) : between(w, 20, SHARE_MOST));
  if (chance(w, 30))
    mal_sim_node_set_work_time(s->node, 1000, (int64_t)between(w, 10000, 1000000));
  mal_sim_node_set_clock(s->node, (int64_t)between(w, 0, 20 * MAL_US) - 10 * MAL_US,
                         (int32_t)between(w, 0, 200) - 100);
  write_config(s, s->size);
  server_start(s);
}

static void make_client(MadcapWorld *w, unsigned i)
{
  Client *c = &w->client[i];
  g_autofree char *name = g_strdup_printf("client%u", i);
  c->world = w;
  c->index = i;
  c->link = (unsigned)between(w, 0, w->n_links - 1);
  c->node = mal_sim_node_new(w->sim, name);
  c->iface = attach(w, c->node, c->link, 10 + i);
  int64_t most = chance(w, 5) ? 7200 : 60;
  mal_sim_node_set_clock(c->node, ((int64_t)between(w, 0, (uint64_t)most * 2) - most) * MAL_US, 0);
}

MadcapWorld *mal_madcap_world_new(uint64_t seed, MadcapWorldSize size)
{
  MadcapWorld *w = g_new0(MadcapWorld, 1);
  g_autofree char *dir = g_dir_make_tmp("mal-world-XXXXXX", NULL);
  w->sim = mal_sim_new(seed);
  world_check_init(w);
  w->n_servers = (unsigned)between(w, 1, SERVERS);
  w->n_clients = (unsigned)between(w, 5, CLAMP(size.clients_most, 5, 200));
  w->trouble = (int64_t)between(w, 120, (uint64_t)MAX(size.longest, 120)) * MAL_US;
  static const unsigned pads[] = { 0, 5, 60, 3600 };
  w->pad = pads[between(w, 0, 3)];
  w->layer3 = chance(w, 50);
  w->client = g_new0(Client, w->n_clients);
  make_links(w);
  for (unsigned i = 0; i < w->n_servers; i++)
    make_server(w, i, dir);
  for (unsigned i = 0; i < w->n_clients; i++)
    make_client(w, i);
  world_clients_start(w);
  for (int64_t at = 5 * MAL_US; at < w->trouble; at += (int64_t)between(w, 1, 30) * MAL_US)
    mal_sim_at(w->sim, at, trouble, w);
  mal_sim_add_hook(w->sim, 1, spring, w);
  mal_sim_add_hook(w->sim, 97, check, w);
  w->figures.servers = w->n_servers;
  w->figures.clients = w->n_clients;
  return w;
}

void mal_madcap_world_free(MadcapWorld *w)
{
  if (!w)
    return;
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    g_clear_pointer(&s->core, mal_core_free);
    g_unlink(s->file);
    if (i == 0) {
      g_autofree char *dir = g_path_get_dirname(s->file);
      for (unsigned k = 1; k < w->n_servers; k++)
        g_unlink(w->server[k].file);
      g_rmdir(dir);
    }
    g_free(s->file);
  }
  mal_sim_free(w->sim);
  world_check_clear(w);
  g_free(w->client);
  g_free(w);
}

/* ---- running --------------------------------------------------------------------------------- */

static void heal(MadcapWorld *w)
{
  MalSimFaults none = { .latency_min = 200, .latency_max = 500 };
  w->ambush = AMBUSH_NONE;
  for (unsigned i = 0; i < w->n_links; i++)
    mal_sim_link_set_faults(w->link[i], &none);
  for (unsigned i = 0; i < w->n_servers; i++) {
    Server *s = &w->server[i];
    restart(s);
    mend_disk(s);
    step_clock(s, -s->stepped);
  }
}

static bool is_restless(void *data)
{
  const MadcapWorld *w = data;
  for (unsigned i = 0; i < w->n_clients; i++)
    for (unsigned k = 0; k < w->client[i].n_slots; k++) {
      const Slot *s = &w->client[i].slot[k];
      if (s->length || s->state == ASKING || (s->state == HAVING && !s->resting))
        return true;
    }
  return false;
}

bool mal_madcap_world_run(MadcapWorld *w)
{
  if (!mal_sim_run_until(w->sim, w->trouble))
    return false;
  heal(w);
  /* What was to be mended later, is now. */
  if (!mal_sim_run_for(w->sim, RECOVER * 2))
    return false;
  w->closing = true;
  mal_sim_run_while(w->sim, is_restless, w, mal_sim_now(w->sim) + REST_WITHIN);
  if (!mal_sim_failure(w->sim))
    mal_sim_run_for(w->sim, 10 * MAL_US);
  if (!mal_sim_failure(w->sim))
    world_check_end(w);
  return !mal_sim_failure(w->sim);
}

MalSim *mal_madcap_world_sim(MadcapWorld *w)
{
  return w->sim;
}

MadcapWorldFigures mal_madcap_world_figures(const MadcapWorld *w)
{
  return w->figures;
}
