/* The nodes of a world: whole daemons, their ends and their configurations. */
#include "masc-world-private.h"

#include <glib/gstdio.h>
#include <string.h>

extern const MalPlugin mal_plugin, mal_plugin_aap, mal_plugin_madcap;

static void log_nothing(MalLogLevel level, const char *line, void *data)
{
  (void)level, (void)line, (void)data;
}

static void on_event(const MalEventDef *def, MalTime at, const MalField *fields, size_t n_fields,
                     const char *message, void *data)
{
  Node *n = data;
  (void)at, (void)fields, (void)n_fields;
  if (def->level != MAL_LOG_DEBUG)
    mal_sim_note(n->world->sim, n->node, "%s: %s", def->name, message);
}

void world_node_init(Node *n, Domain *d, NodeKind kind, unsigned index)
{
  static const char *const letters[] = { "", "s", "c" };
  World *w = d->world;
  g_autofree char *name = g_strdup_printf("d%u.%s%u", d->index, letters[kind], index);
  n->world = w;
  n->domain = d;
  n->kind = kind;
  n->index = index;
  n->wrong = NONE;
  n->node = mal_sim_node_new(w->sim, name);
  n->file = g_build_filename(w->dir, name, NULL);
  n->told = g_array_new(FALSE, FALSE, sizeof(Told));
  n->disk_works = -WRITTEN_WITHIN - 1;
  n->skew = (int64_t)between(&d->random, 0, chance(&d->random, 30) ? SKEW_MOST : MAL_US);
  if (chance(&d->random, 50))
    n->skew = -n->skew;
  mal_sim_node_set_clock(n->node, n->skew, 0);
}

void world_node_make(Node *n, Domain *d, unsigned index)
{
  world_node_init(n, d, NODE_COORDINATOR, index);
  mal_sim_iface_add_address(mal_sim_iface_new(n->node, d->world->lan, "eth0"),
                            world_node_address(n));
}

void world_node_clear(Node *n)
{
  world_node_free(n);
  g_array_unref(n->told);
  g_unlink(n->file);
  g_free(n->file);
}

static bool write_file(const Node *n)
{
  g_autofree char *text = world_node_config(n);
  FILE *file = fopen(n->file, "we");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
    g_error("%s can't be written", n->file);
  return true;
}

static Masc *plugin_of(const Node *n)
{
  for (size_t i = 0; n->core != NULL && i < mal_core_plugins(n->core); i++)
    if (mal_core_plugin(n->core, i).plugin == &mal_plugin)
      return mal_core_plugin(n->core, i).instance;
  return NULL;
}

void world_node_start(Node *n)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, &mal_plugin_aap, &mal_plugin_madcap,
                                             NULL };
  g_autoptr(GError) error = NULL;
  write_file(n);
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(n->node),
                             .store = mal_sim_store_open(n->node),
                             .config_file = n->file,
                             .builtin = builtin,
                             .log = log_nothing };
  mal_sim_note(n->world->sim, n->node, "boots");
  n->core = mal_core_new(&options, &error);
  if (n->core == NULL || !mal_core_start(n->core, &error)) {
    mal_sim_fail(n->world->sim, "%s does not start: %s", mal_sim_node_name(n->node),
                 error->message);
    g_clear_pointer(&n->core, mal_core_free);
    return;
  }
  n->masc = plugin_of(n);
  if (g_getenv("MAL_SIM_TRACE") != NULL)
    n->subscription = mal_events_subscribe(mal_core_events(n->core), on_event, n);
  world_site_watch(n);
  world_site_disturb(n->domain);
  world_check_back(n);
}

void world_node_restart(void *node)
{
  Node *n = node;
  World *w = n->world;
  if (n->core != NULL)
    return;
  if (!mal_sim_store_sync(n->node, NULL)) {
    mal_sim_at(w->sim, mal_sim_now(w->sim) + MAL_US, world_node_restart, n);
    return;
  }
  mal_sim_node_restart(n->node);
  world_node_start(n);
}

/* ---- what it counted ------------------------------------------------------------------------- */

static const struct {
  unsigned metric;
  WorldCount count;
} counted[] = {
  { MASC_M_NOTE + MASC_NOTE_CLAIMED, COUNT_CLAIMS },
  { MASC_M_NOTE + MASC_NOTE_WON, COUNT_WON },
  { MASC_M_NOTE + MASC_NOTE_RENEWED, COUNT_RENEWED },
  { MASC_M_NOTE + MASC_NOTE_GREW, COUNT_GREW },
  { MASC_M_NOTE + MASC_NOTE_COLLISION, COUNT_COLLISION },
  { MASC_M_NOTE + MASC_NOTE_DENIED, COUNT_DENIED },
  { MASC_M_NOTE + MASC_NOTE_HELD_UP, COUNT_HELD_UP },
  { MASC_M_NOTE + MASC_NOTE_CLASH, COUNT_CLASH },
  { MASC_M_NOTE + MASC_NOTE_CLASH_WON, COUNT_CLASH_WON },
  { MASC_M_NOTE + MASC_NOTE_CLASH_LOST, COUNT_CLASH_LOST },
  { MASC_M_NOTE + MASC_NOTE_PARENT_WITHDREW, COUNT_PARENT_WITHDREW },
  { MASC_M_NOTE + MASC_NOTE_GIVEN_BACK, COUNT_GIVEN_BACK },
  { MASC_M_NOTE + MASC_NOTE_ENDED, COUNT_ENDED },
  { MASC_M_NOTE + MASC_NOTE_RECOVERED, COUNT_RECOVERED },
  { MASC_M_NOTE + MASC_NOTE_DISOWNED, COUNT_DISOWNED },
  { MASC_M_NOTE + MASC_NOTE_FLOOD, COUNT_FLOODED },
  { MASC_M_NOTE + MASC_NOTE_HINT, COUNT_HINTS },
  { MASC_M_UPS, COUNT_SESSIONS },
};

static const MalMetricSet *counters(const Node *n)
{
  MalMetrics *all = mal_core_metrics(n->core);
  for (size_t i = 0; i < mal_metrics_size(all); i++)
    if (strcmp(mal_metrics_at(all, i)->owner, "masc") == 0)
      return mal_metrics_at(all, i);
  return NULL;
}

static void take_counters(Node *n)
{
  const MalMetricSet *set = counters(n);
  for (size_t k = 0; set != NULL && k < G_N_ELEMENTS(counted); k++)
    n->world->result->counts[counted[k].count] += set->values[counted[k].metric];
}

void world_node_free(Node *n)
{
  if (n->masc != NULL)
    take_counters(n);
  n->masc = NULL;
  g_clear_pointer(&n->core, mal_core_free);
}

/* ---- ends ------------------------------------------------------------------------------------ */

void world_node_crash(Node *n, MalSimCrash disk, int64_t down_for)
{
  World *w = n->world;
  if (n->core == NULL)
    return;
  bool written = !n->bad_disk && mal_sim_now(w->sim) - n->disk_works > WRITTEN_WITHIN;
  if (n->masc == NULL || disk != MAL_SIM_DISK_KEPT || (!written && n->domain->n_nodes > 1))
    g_array_set_size(n->told, 0);
  else if (written)
    world_remember(n);
  else
    world_remember_less(n);
  if (w->plan->plant == MAL_MASC_PLANT_FORGETFUL)
    disk = MAL_SIM_DISK_WIPED;
  mal_sim_node_crash(n->node, disk);
  world_site_disturb(n->domain);
  world_node_free(n);
  mal_sim_node_bury(n->node);
  mal_sim_at(w->sim, mal_sim_now(w->sim) + down_for, world_node_restart, n);
}

bool world_node_reload(Node *n)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *summary = NULL;
  const Masc *before = n->masc;
  if (n->core == NULL)
    return true;
  write_file(n);
  count(n->world, COUNT_RELOADS);
  mal_sim_note(n->world->sim, n->node, "reloads");
  if (!mal_core_reload(n->core, &summary, &error)) {
    /* The folder's name is another one each time, and the hash must not be. */
    const char *place = strstr(error->message, mal_sim_node_name(n->node));
    mal_sim_note(n->world->sim, n->node, "reload refused: %s", place != NULL ? place : "");
    return false;
  }
  n->masc = plugin_of(n);
  if (n->masc != before)
    count(n->world, COUNT_RESTARTED);
  if (n->masc == NULL)
    mal_sim_fail(n->world->sim, "%s: after a reload the plugin doesn't run: %s",
                 mal_sim_node_name(n->node), summary != NULL ? summary : "");
  return true;
}

void world_domain_reload(Domain *d)
{
  for (unsigned i = 0; exists(d) && i < d->n_nodes; i++)
    if (!world_node_reload(&d->node[i]))
      mal_sim_fail(d->world->sim, "%s: a good configuration is refused",
                   mal_sim_node_name(d->node[i].node));
}
