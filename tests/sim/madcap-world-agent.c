/* Client daemons: the real core and client plugin on simulated hosts, each with a program beside it
   that asks it for leases: madcap-world-program.c. */
#include "madcap-world-agent.h"

#include <glib/gstdio.h>
#include <string.h>

#include "plugins/madcap/madcap-tables.h"

#define HOST 220

extern const MalPlugin mal_plugin;

MalSimNode *world_agent_node(Agent *a)
{
  return a->node;
}

bool world_agent_is_at(const Agent *a, MalAddress address)
{
  return mal_address_equal(a->address[0], address) || mal_address_equal(a->address[1], address);
}

bool world_agent_is_excused(const Agent *a)
{
  return a->excused;
}

static uint64_t metric(const Agent *a, size_t index)
{
  MalMetrics *metrics = mal_core_metrics(a->core);
  for (size_t i = 0; i < mal_metrics_size(metrics); i++)
    if (strcmp(mal_metrics_at(metrics, i)->owner, "madcap") == 0)
      return mal_metrics_at(metrics, i)->values[index];
  return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void write_config(Agent *a)
{
  MalWorldRandom *r = &a->random;
  MadcapWorld *w = a->world;
  char text[MAL_ADDRESS_STRLEN];
  FILE *file = fopen(a->file, "we");
  if (!file)
    g_error("%s can't be written", a->file);
  fputs("[daemon]\nroles=client\nplugins=madcap\nlog-level=error\n[madcap]\n", file);
  fprintf(file, "choose=%s\ndiscover-delay=2\n", chance(r, 50) ? "best" : "first");
  fputs("client-groups=", file);
  for (unsigned k = 0; k < SCOPES; k++)
    fprintf(file, "%s;", world_scopes[k].group);
  fputs("\n", file);
  if (chance(r, 50))
    fprintf(file, "servers=%s\n",
            mal_address_format(w->server[between(r, 0, w->n_servers - 1)].address[0], text));
  if (fclose(file) != 0)
    g_error("%s can't be written", a->file);
}

static void start(Agent *a)
{
  static const MalPlugin *const builtin[] = { &mal_plugin, NULL };
  g_autoptr(GError) error = NULL;
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(a->node),
                             .store = mal_sim_store_open(a->node), .config_file = a->file,
                             .builtin = builtin, .log = world_log_nothing };
  a->boots++;
  a->renewals_asked = 0;
  a->core = mal_core_new(&options, &error);
  if (!a->core || !mal_core_start(a->core, &error)) {
    mal_sim_fail(a->world->sim, "%s does not start: %s", mal_sim_node_name(a->node),
                 error->message);
    g_clear_pointer(&a->core, mal_core_free);
    return;
  }
  guint before = a->told->len;
  world_program_look(a);
  if (a->boots > 1)
    a->world->result->counts[COUNT_AGENT_SURVIVED] += MIN(before, a->told->len);
  world_program_think_soon(a);
}

static void take_metrics(Agent *a)
{
  uint64_t renewed = metric(a, MADCAP_M_CLIENT_RENEWED);
  if (renewed > a->renewals_asked)
    a->world->result->counts[COUNT_AGENT_RENEWED] += renewed - a->renewals_asked;
}

static void restart(void *data)
{
  Agent *a = data;
  if (a->core)
    return;
  if (!mal_sim_store_sync(a->node, NULL)) {
    mal_sim_at(a->world->sim, mal_sim_now(a->world->sim) + MAL_US, restart, a);
    return;
  }
  mal_sim_node_restart(a->node);
  start(a);
}

/* Its calls are answered while it is taken down, and nobody hears it. */
static void take_down(Agent *a)
{
  take_metrics(a);
  a->boots++;
  a->excused = true;
  g_clear_pointer(&a->core, mal_core_free);
  g_ptr_array_set_size(a->asks, 0);
}

static void crash(Agent *a, const MalWorldItem *item)
{
  mal_sim_node_crash(a->node, item->kind == KIND_AGENT_WIPE ? MAL_SIM_DISK_WIPED
                                                            : MAL_SIM_DISK_KEPT);
  take_down(a);
  mal_sim_node_bury(a->node);
  if (item->kind == KIND_AGENT_WIPE)
    g_ptr_array_set_size(a->told, 0);
  mal_sim_at(a->world->sim, mal_sim_now(a->world->sim) + (int64_t)item->b * MAL_US, restart, a);
}

static void reboot(Agent *a)
{
  take_down(a);
  mal_sim_node_restart(a->node);
  mal_sim_node_bury(a->node);
  start(a);
}

static void mend_disk(void *data)
{
  Agent *a = data;
  mal_sim_disk_set_fault(mal_sim_node_disk(a->node, "journal"), MAL_SIM_DISK_OK);
}

static void break_disk(Agent *a, const MalWorldItem *item)
{
  MalWorldRandom r = { item->seed };
  mal_sim_disk_set_fault(mal_sim_node_disk(a->node, "journal"),
                         (MalSimDiskFault)between(&r, MAL_SIM_DISK_FULL, MAL_SIM_DISK_SYNC_ERROR));
  a->excused = true;
  mal_sim_at(a->world->sim, mal_sim_now(a->world->sim) + (int64_t)item->b * MAL_US, mend_disk, a);
}

static void step_clock(Agent *a, int64_t seconds)
{
  a->stepped += seconds;
  a->stepped_ever = a->excused = true;
  mal_sim_node_step_clock(a->node, seconds * MAL_US);
}

static void reload(Agent *a)
{
  g_autoptr(GError) error = NULL;
  write_config(a);
  if (!mal_core_reload(a->core, NULL, &error))
    mal_sim_fail(a->world->sim, "%s: a good configuration was refused (%s)",
                 mal_sim_node_name(a->node), error->message);
}

void world_agent_trouble(Agent *a, const MalWorldItem *item)
{
  if (!a->core)
    return;
  happened(a->world, (WorldKind)item->kind);
  switch ((WorldKind)item->kind) {
  case KIND_AGENT_CRASH:
  case KIND_AGENT_WIPE: crash(a, item); break;
  case KIND_AGENT_REBOOT: reboot(a); break;
  case KIND_AGENT_DISK: break_disk(a, item); break;
  case KIND_AGENT_STEP: step_clock(a, item->seed & 1 ? (int64_t)item->a : -(int64_t)item->a); break;
  default: reload(a); break;
  }
}

void world_agent_heal(Agent *a)
{
  restart(a);
  mend_disk(a);
  if (a->stepped)
    step_clock(a, -a->stepped);
}

Agent *world_agent_new(MadcapWorld *w, const MalWorldItem *item, unsigned link)
{
  Agent *a = g_new0(Agent, 1);
  g_autofree char *name = g_strdup_printf("agent%u", (unsigned)item->who);
  a->world = w;
  a->index = (unsigned)item->who;
  a->random.state = item->seed;
  world_program_init(a);
  a->node = mal_sim_node_new(w->sim, name);
  a->file = g_build_filename(w->dir, name, NULL);
  world_attach(w, a->node, link, HOST + a->index);
  for (unsigned k = 0; k < 2; k++)
    a->address[k] = world_net_address(link, k, HOST + a->index);
  mal_sim_node_set_clock(a->node, (int64_t)between(&a->random, 0, 120 * MAL_US) - 60 * MAL_US, 0);
  write_config(a);
  start(a);
  return a;
}

void world_agent_free(Agent *a)
{
  if (!a)
    return;
  if (a->core)
    take_down(a);
  g_unlink(a->file);
  g_free(a->file);
  world_program_clear(a);
  g_free(a);
}

/* ---- the end --------------------------------------------------------------------------------- */

bool world_agent_restless(const Agent *a)
{
  return !a->resting || a->asks->len > 0 || metric(a, MADCAP_M_CLIENT_ERRANDS) > 0;
}
