/* AAP measured in virtual time, with the worlds of tests/sim/aap-world.h (machines, codec, modelled
   clients and disks, a network without loss): which share of requests is answered without waiting,
   what the servers say to each other, and how full the space gets before requests wait. Every row
   is one seed; nothing depends on the machine it runs on but the time it takes.

     bench-aap [service | traffic | full]        without an argument: all three */
#include "tests/sim/aap-world.h"

#include <stdio.h>
#include <string.h>

#define HOUR ((int64_t)3600 * AAP_US)
#define LISTENED (240 * AAP_US) /* all have started, and the first pools are established */

static MalAapWorldConfig usual(unsigned servers, unsigned addresses)
{
  return (MalAapWorldConfig){ .seed = 1,
                              .servers = servers,
                              .addresses = addresses,
                              .preallocate = 256,
                              .block = 16,
                              .own_lifetime_s = 86400,
                              .disk_us = 5000 };
}

static double percent(uint64_t part, uint64_t whole)
{
  return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* ---- service ----------------------------------------------------------------------------------
 */

/* RATE: requests an hour of each server, in groups of BURST; held for half an hour on average. */
static void service(unsigned servers, double rate, unsigned burst)
{
  MalAapWorldConfig config = usual(servers, 60000);
  MalAapWorld *w = mal_aap_world_new(&config);
  mal_aap_world_run(w, LISTENED);
  for (unsigned i = 0; i < servers; i++)
    mal_aap_world_load(w, i, rate, burst, 1800);
  mal_aap_world_run(w, LISTENED + (servers < 50 ? 2 : 1) * HOUR);
  MalAapWorldFigures f = mal_aap_world_figures(w);
  printf("| %7u | %8.0f | %5u | %9" G_GUINT64_FORMAT
         " | %6.2f %% | %6.2f %% | %6.2f %% | %5.1f s |\n",
         servers, rate, burst, f.asked, percent(f.at_once, f.asked), percent(f.pooled, f.asked),
         percent(f.waited + f.refused, f.asked), (double)f.longest_wait / 1e6);
  mal_aap_world_free(w);
}

static void all_service(void)
{
  static const unsigned servers[] = { 2, 10, 50 };
  static const struct {
    double rate;
    unsigned burst;
  } loads[] = { { 60, 1 }, { 600, 1 }, { 600, 20 }, { 600, 100 }, { 600, 300 } };
  printf(
      "| servers | per hour | burst | requests  |  at once | from pool |  waited |  longest |\n");
  for (size_t i = 0; i < G_N_ELEMENTS(servers); i++)
    for (size_t k = 0; k < G_N_ELEMENTS(loads); k++)
      if (servers[i] < 50 || loads[k].rate < 600 || loads[k].burst != 300)
        service(servers[i], loads[k].rate, loads[k].burst);
}

/* ---- traffic ----------------------------------------------------------------------------------
 */

/* BLOCKS in all, evenly spread, of 16 addresses, all leased for a day. */
static void traffic(unsigned servers, unsigned blocks)
{
  MalAapWorldConfig config = usual(servers, MAX(blocks * 16 * 3 / 2, servers * 1200));
  MalAapWorld *w = mal_aap_world_new(&config);
  int64_t now = LISTENED;
  mal_aap_world_run(w, now);
  for (unsigned n = 0; n < blocks; n++) {
    for (unsigned k = 0; k < 16; k++)
      mal_aap_world_ask(w, n % servers, 80000);
    if (n % servers == servers - 1)
      mal_aap_world_run(w, now += AAP_US / 5);
  }
  mal_aap_world_run(w, now += 600 * AAP_US);
  MalAapWorldFigures a = mal_aap_world_figures(w);
  mal_aap_world_run(w, now + 600 * AAP_US);
  MalAapWorldFigures b = mal_aap_world_figures(w);
  double per = 600.0 * servers;
  printf("| %7u | %6u | %11" G_GUINT64_FORMAT
         " | %10.2f | %5.2f | %5.2f | %8.0f | %14.1f | %12.0f |\n",
         servers, blocks, b.blocks, (double)(b.messages - a.messages) / per,
         (double)(b.by_type[AAP_AIU] - a.by_type[AAP_AIU]) / per,
         (double)(b.by_type[AAP_AITU] - a.by_type[AAP_AITU]) / per,
         (double)(b.octets - a.octets) / per, (double)(b.messages - a.messages) / 600,
         (double)(b.octets - a.octets) / 600);
  mal_aap_world_free(w);
}

static void all_traffic(void)
{
  static const unsigned servers[] = { 1, 2, 10, 50 }, blocks[] = { 100, 1000, 10000 };
  printf(
      "| servers | blocks | blocks kept | messages/s |   AIU |  AITU | octets/s | all messages/s |"
      " all octets/s |\n");
  for (size_t k = 0; k < G_N_ELEMENTS(blocks); k++)
    for (size_t i = 0; i < G_N_ELEMENTS(servers); i++)
      traffic(servers[i], blocks[k]);
}

/* ---- how full ----------------------------------------------------------------------------------
 */

/* Requests that are never given back, one server after the other or (UNEVEN) most to one, until the
   space is full: how many addresses are leased when the first request waits for more than half a
   second, when one in ten does, and when nothing is left. */
static void full(unsigned servers, unsigned addresses, bool uneven)
{
  MalAapWorldConfig config = usual(servers, addresses);
  MalAapWorld *w = mal_aap_world_new(&config);
  int64_t now = LISTENED;
  uint64_t first = 0, tenth = 0;
  MalAapWorldFigures f = { 0 }, before = { 0 };
  mal_aap_world_run(w, now);
  for (unsigned n = 0; n < addresses * 2 && f.refused < 200; n++) {
    mal_aap_world_ask(w, uneven && n % 4 != 0 ? 0 : n % servers, 80000);
    mal_aap_world_run(w, now += AAP_US * 5 / 2 / servers);
    if (n % 100 != 99 && f.waited + f.refused > 0)
      continue;
    f = mal_aap_world_figures(w);
    uint64_t bad = f.asked - f.at_once - f.pooled;
    if (first == 0 && bad > 0)
      first = f.leased;
    if (n % 100 != 99)
      continue;
    if (tenth == 0 && bad - (before.asked - before.at_once - before.pooled) > 10)
      tenth = f.leased;
    before = f;
  }
  mal_aap_world_run(w, now + 60 * AAP_US);
  f = mal_aap_world_figures(w);
  printf("| %7u | %9u | %6s | %6.1f %% | %6.1f %% | %6.1f %% |\n", servers, addresses,
         uneven ? "3 of 4" : "even", percent(first, addresses), percent(tenth, addresses),
         percent(f.leased, addresses));
  mal_aap_world_free(w);
}

static void all_full(void)
{
  static const unsigned servers[] = { 2, 10, 50 }, addresses[] = { 5000, 20000 };
  printf("| servers | addresses | load   | first waits | one in ten waits | in the end |\n");
  for (size_t i = 0; i < G_N_ELEMENTS(servers); i++)
    for (size_t k = 0; k < G_N_ELEMENTS(addresses); k++)
      for (unsigned uneven = 0; uneven < 2; uneven++)
        full(servers[i], addresses[k], uneven);
}

int main(int argc, char **argv)
{
  const char *which = argc > 1 ? argv[1] : "";
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!*which || strcmp(which, "service") == 0)
    all_service();
  if (!*which || strcmp(which, "traffic") == 0)
    all_traffic();
  if (!*which || strcmp(which, "full") == 0)
    all_full();
  return 0;
}
