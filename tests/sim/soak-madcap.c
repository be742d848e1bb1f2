/* Worlds of MADCAP, one after the other: soak-madcap FIRST [LAST [CLIENTS [SECONDS]]]. Stops at the
   first seed that breaks an invariant, and says how to run it again. */
#include "madcap-world.h"

#include <stdlib.h>

static uint64_t seed;
static unsigned clients = 60;
static int64_t seconds = 1500;

static void say_again(void)
{
  fprintf(stderr, "again: tests/sim/soak-madcap %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                  " %u %" G_GINT64_FORMAT "\n", seed, seed, clients, seconds);
}

/* What the core finds wrong with itself aborts. */
static void on_log(const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  (void)domain, (void)data;
  fprintf(stderr, "%s\n", message);
  if (level & G_LOG_FLAG_FATAL)
    say_again();
}

int main(int argc, char **argv)
{
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
  uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 0) : first;
  MadcapWorldFigures sum = { 0 };
  uint64_t events = 0;
  if (argc > 3)
    clients = (unsigned)strtoul(argv[3], NULL, 0);
  if (argc > 4)
    seconds = strtoll(argv[4], NULL, 0);
  g_log_set_default_handler(on_log, NULL);
  int64_t begun = g_get_monotonic_time();
  for (seed = first; seed <= last; seed++) {
    g_autoptr(MadcapWorld) world =
        mal_madcap_world_new(seed, (MadcapWorldSize){ clients, seconds });
    bool ok = mal_madcap_world_run(world);
    MadcapWorldFigures f = mal_madcap_world_figures(world);
    events += mal_sim_counters(mal_madcap_world_sim(world)).events;
    sum.servers += f.servers, sum.clients += f.clients, sum.acks += f.acks;
    sum.leases += f.leases, sum.naks += f.naks, sum.repeats += f.repeats;
    sum.crashes += f.crashes, sum.wipes += f.wipes, sum.disk_faults += f.disk_faults;
    sum.steps += f.steps, sum.reloads += f.reloads, sum.reloads_refused += f.reloads_refused;
    sum.checked += f.checked, sum.lost_to_wipes += f.lost_to_wipes;
    sum.waits += f.waits;
    if (!ok) {
      say_again();
      return EXIT_FAILURE;
    }
  }
  double took = (double)(g_get_monotonic_time() - begun) / 1e6;
  printf("%" G_GUINT64_FORMAT " worlds, %u servers, %u clients: %" G_GUINT64_FORMAT
         " events in %.1f s, %.0f a second\n",
         last - first + 1, sum.servers, sum.clients, events, took, (double)events / took);
  printf("%" G_GUINT64_FORMAT " leases, %" G_GUINT64_FORMAT " ACKs, %" G_GUINT64_FORMAT
         " NAKs, %" G_GUINT64_FORMAT " repeated answers, %" G_GUINT64_FORMAT " told to wait, %" G_GUINT64_FORMAT
         " promises checked\n",
         sum.leases, sum.acks, sum.naks, sum.repeats, sum.waits, sum.checked);
  printf("%" G_GUINT64_FORMAT " crashes (%" G_GUINT64_FORMAT " with the disk, %" G_GUINT64_FORMAT
         " leases in them), %" G_GUINT64_FORMAT " disk faults, %" G_GUINT64_FORMAT
         " clock steps, %" G_GUINT64_FORMAT " reloads and %" G_GUINT64_FORMAT " refused\n",
         sum.crashes, sum.wipes, sum.lost_to_wipes, sum.disk_faults, sum.steps, sum.reloads,
         sum.reloads_refused);
  return EXIT_SUCCESS;
}
