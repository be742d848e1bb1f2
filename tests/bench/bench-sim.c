/* How fast the simulator is: events a second for timers, unicast, multicast to many, and small
   whole runs. Usage: bench-sim [seconds-of-real-time-per-part] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

typedef struct {
  MalTimer *timer;
  MalUdp *udp;
  MalRuntime *rt;
  MalEndpoint peer;
  uint32_t ifindex;
} Host;

static void tick(void *data)
{
  Host *host = data;
  mal_timer_set(host->timer,
                mal_runtime_monotonic(host->rt) + 500 + mal_runtime_random_below(host->rt, 1000));
}

static void send_one(Host *host)
{
  static const uint8_t payload[120] = { 1 };
  MalDatagram d = {
    .peer = host->peer, .ifindex = host->ifindex, .data = payload, .length = sizeof payload
  };
  mal_udp_send(host->udp, &d);
}

static void tick_and_send(void *data)
{
  send_one(data);
  tick(data);
}

static void echo(MalUdp *udp, const MalDatagram *d, size_t n, void *data)
{
  (void)udp, (void)d, (void)n;
  send_one(data);
}

static void swallow(MalUdp *udp, const MalDatagram *d, size_t n, void *data)
{
  (void)udp, (void)d, (void)n, (void)data;
}

typedef enum { TIMERS, PING_PONG, FLOOD } Kind;

static void add_host(MalSim *sim, MalSimLink *link, Host *host, uint32_t i, Kind kind)
{
  const MalAddress group = mal_address_ipv4(0xe9fc0001);
  MalSimNode *node = mal_sim_node_new(sim, "host");
  MalSimIface *iface = mal_sim_iface_new(node, link, "eth0");
  mal_sim_iface_add_address(iface, mal_address_ipv4(0xc6336400 + i));
  host->rt = mal_sim_node_runtime(node);
  host->ifindex = mal_sim_iface_index(iface);
  MalUdpOptions options = { .family = MAL_IPV4, .port = 2535 };
  host->udp = mal_udp_open(host->rt, &options, kind == PING_PONG ? echo : swallow, host, NULL);
  host->peer = (MalEndpoint){ mal_address_ipv4(0xc6336400 + (i ^ 1)), 2535, 0 };
  host->timer = mal_timer_new(host->rt, kind == FLOOD ? tick_and_send : tick, host);
  if (kind == FLOOD) {
    host->peer.address = group;
    mal_udp_join(host->udp, host->ifindex, group, NULL);
  }
  if (kind != PING_PONG)
    tick(host);
}

static MalSim *scene(uint64_t seed, Kind kind, uint32_t hosts, Host *host)
{
  MalSim *sim = mal_sim_new(seed);
  MalSimLink *link = mal_sim_link_new(sim, "lan");
  mal_sim_link_set_faults(link,
                          &(MalSimFaults){ .latency_min = 200, .latency_max = 900, .jitter = 300 });
  for (uint32_t i = 0; i < hosts; i++)
    add_host(sim, link, &host[i], i, kind);
  for (uint32_t i = 0; kind == PING_PONG && i < hosts; i += 2)
    send_one(&host[i]);
  return sim;
}

static double now(void)
{
  return (double)g_get_monotonic_time() / 1e6;
}

static void part(const char *name, Kind kind, uint32_t hosts, double seconds)
{
  g_autofree Host *host = g_new0(Host, hosts);
  MalSim *sim = scene(1, kind, hosts, host);
  double start = now(), took;
  do
    mal_sim_run_for(sim, 10 * MAL_SIM_MS);
  while ((took = now() - start) < seconds);
  MalSimCounters c = mal_sim_counters(sim);
  printf("%-34s %9.0f events/s  %6.0f ns/event  %9.0f datagrams/s  %8.1f virtual s/s\n", name,
         (double)c.events / took, took * 1e9 / (double)c.events, (double)c.delivered / took,
         (double)mal_sim_now(sim) / 1e6 / took);
  mal_sim_free(sim);
}

/* Whole small simulations, from mal_sim_new to mal_sim_free. */
static void seeds(double seconds)
{
  Host host[6] = { 0 };
  uint64_t n = 0, events = 0;
  double start = now(), took;
  do {
    MalSim *sim = scene(n++, FLOOD, G_N_ELEMENTS(host), host);
    mal_sim_run_until(sim, 100 * MAL_SIM_MS);
    events += mal_sim_counters(sim).events;
    mal_sim_free(sim);
  } while ((took = now() - start) < seconds);
  printf("%-34s %9.0f events/s  %6.0f ns/event  %9.0f seeds/s (%" PRIu64 " events a seed)\n",
         "whole runs, 6 hosts", (double)events / took, took * 1e9 / (double)events,
         (double)n / took, events / n);
}

int main(int argc, char **argv)
{
  double seconds = argc > 1 ? atof(argv[1]) : 0.5;
  part("timers, 10 hosts", TIMERS, 10, seconds);
  part("timers, 10,000 hosts", TIMERS, 10000, seconds);
  part("unicast ping-pong, 10 hosts", PING_PONG, 10, seconds);
  part("unicast ping-pong, 1,000 hosts", PING_PONG, 1000, seconds);
  part("multicast, 10 hosts to all", FLOOD, 10, seconds);
  part("multicast, 300 hosts to all", FLOOD, 300, seconds);
  seeds(seconds);
  return 0;
}
