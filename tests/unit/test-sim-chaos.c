/* Everything at once on the simulator itself: hosts that open, close, send, stream, work, crash,
   restart and are buried, while links and interfaces come and go. Under the sanitizers this finds
   what touches the dead; run twice, it finds what isn't from the seed. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOSTS 6
#define SOCKETS 3
#define STREAMS 4
#define SECOND MAL_US
#define PORT 2535

typedef struct Town Town;

typedef struct {
  Town *town;
  MalSimNode *node;
  MalSimIface *iface;
  MalRuntime *rt;
  MalTimer *timer;
  MalWorker *worker;
  MalInterfaceWatch *watch;
  MalListener *listener;
  MalUdp *udp[SOCKETS];
  MalStream *stream[STREAMS];
} Host;

struct Town {
  MalSim *sim;
  MalSimLink *link[2];
  Host host[HOSTS];
  unsigned heard, streamed, worked, told;
};

static const MalStreamOps stream_ops;

static void alive(const Host *host)
{
  cr_assert(mal_sim_node_is_up(host->node), "%s was called while down",
            mal_sim_node_name(host->node));
}

static void on_datagrams(MalUdp *udp, const MalDatagram *d, size_t n, void *data)
{
  Host *host = data;
  alive(host);
  host->town->heard += (unsigned)n;
  for (size_t i = 0; i < n; i++)
    if (d[i].length > 1 && mal_runtime_random_below(host->rt, 4) == 0)
      mal_udp_send(
          udp, &(MalDatagram){ .peer = d[i].peer, .data = d[i].data, .length = d[i].length / 2 });
  for (size_t i = 0; i < SOCKETS && mal_runtime_random_below(host->rt, 20) == 0; i++)
    if (host->udp[i] == udp) {
      mal_udp_close(udp);
      host->udp[i] = NULL;
    }
}

static void drop_stream(Host *host, MalStream *stream)
{
  for (size_t i = 0; i < STREAMS; i++)
    if (host->stream[i] == stream)
      host->stream[i] = NULL;
  mal_stream_close(stream);
}

static void on_stream(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                      const GError *error, void *user)
{
  Host *host = user;
  (void)error;
  alive(host);
  host->town->streamed++;
  if (what == MAL_STREAM_CLOSED || mal_runtime_random_below(host->rt, 10) == 0)
    drop_stream(host, stream);
  else if (what == MAL_STREAM_DATA)
    mal_stream_send(stream, data, length / 2);
  else
    mal_stream_send(stream, "a first word or another one", 27);
}

static const MalStreamOps stream_ops = { on_stream };

static void keep_stream(Host *host, MalStream *stream)
{
  size_t i = mal_runtime_random_below(host->rt, STREAMS);
  if (host->stream[i])
    mal_stream_close(host->stream[i]);
  host->stream[i] = stream;
}

static void on_accept(MalListener *listener, MalStream *stream, MalEndpoint peer, void *data)
{
  Host *host = data;
  (void)listener, (void)peer;
  alive(host);
  keep_stream(host, stream);
  if (mal_runtime_random_below(host->rt, 5))
    mal_stream_start(stream, &stream_ops, host);
}

static void on_watch(void *data)
{
  alive(data);
  ((Host *)data)->town->told++;
}

static void on_run(void *data)
{
  Host *host = data;
  alive(host);
  mal_sim_disk_append(mal_sim_node_disk(host->node, "journal"), "0123456789", 10, NULL);
  if (mal_runtime_random_below(host->rt, 20) == 0)
    mal_sim_node_crash(host->node, MAL_SIM_DISK_KEPT);
  else
    mal_sim_disk_sync(mal_sim_node_disk(host->node, "journal"), NULL);
}

static void on_done(void *data)
{
  alive(data);
  ((Host *)data)->town->worked++;
}

static void send_something(Host *host)
{
  uint8_t bytes[900] = { 0 };
  uint32_t to = mal_runtime_random_below(host->rt, HOSTS + 3);
  MalUdp *udp = host->udp[mal_runtime_random_below(host->rt, SOCKETS)];
  MalDatagram d = { .peer = { mal_address_ipv4(to < HOSTS + 1 ? 0xc6336401 + to : 0xe9fc0001), PORT,
                              0 },
                    .data = bytes,
                    .length = mal_runtime_random_below(host->rt, sizeof bytes) };
  if (udp)
    mal_udp_send(udp, &d);
}

static void open_something(Host *host)
{
  size_t i = mal_runtime_random_below(host->rt, SOCKETS);
  MalUdpOptions o = { .family = MAL_IPV4,
                      .port = i ? PORT : 0,
                      .reuse = true,
                      .multicast_loop = i == 1,
                      .multicast_ttl = 4 };
  if (host->udp[i])
    return;
  host->udp[i] = mal_udp_open(host->rt, &o, on_datagrams, host, NULL);
  if (host->udp[i])
    mal_udp_join(host->udp[i], mal_sim_iface_index(host->iface), mal_address_ipv4(0xe9fc0001),
                 NULL);
}

static void connect_somewhere(Host *host)
{
  MalEndpoint peer = { mal_address_ipv4(0xc6336401 + mal_runtime_random_below(host->rt, HOSTS)),
                       PORT, 0 };
  MalStream *stream = mal_stream_connect(host->rt, (MalEndpoint){ 0 }, peer, &stream_ops, host,
                                         NULL);
  if (stream)
    keep_stream(host, stream);
}

static void on_timer(void *data)
{
  Host *host = data;
  alive(host);
  switch (mal_runtime_random_below(host->rt, 6)) {
  case 0:
    open_something(host);
    break;
  case 1:
    connect_somewhere(host);
    break;
  case 2:
    mal_worker_submit(host->worker, on_run, on_done, host);
    break;
  case 3:
    mal_runtime_defer(host->rt, on_watch, host);
    break;
  default:
    send_something(host);
  }
  mal_timer_set(host->timer,
                mal_runtime_monotonic(host->rt) + mal_runtime_random_below(host->rt, 20000));
}

static void start(Host *host)
{
  MalEndpoint any = { mal_address_ipv4(0), PORT, 0 };
  host->rt = mal_sim_node_runtime(host->node);
  host->timer = mal_timer_new(host->rt, on_timer, host);
  host->worker = mal_worker_new(host->rt, "worker");
  host->watch = mal_interface_watch_new(host->rt, on_watch, host);
  host->listener = mal_listener_open(host->rt, any, on_accept, host, NULL);
  mal_timer_set(host->timer, mal_runtime_monotonic(host->rt) + 1);
}

/* The usual clean-up, on a runtime alive or dead. */
static void clean_up(Host *host)
{
  for (size_t i = 0; i < SOCKETS; i++)
    g_clear_pointer(&host->udp[i], mal_udp_close);
  for (size_t i = 0; i < STREAMS; i++)
    g_clear_pointer(&host->stream[i], mal_stream_close);
  g_clear_pointer(&host->listener, mal_listener_close);
  g_clear_pointer(&host->watch, mal_interface_watch_free);
  g_clear_pointer(&host->worker, mal_worker_free);
  g_clear_pointer(&host->timer, mal_timer_free);
}

static void crash_or_restart(Town *town, Host *host)
{
  if (mal_sim_node_is_up(host->node) && mal_sim_chance(town->sim, MAL_SIM_PERCENT(60))) {
    mal_sim_node_crash(host->node, mal_sim_chance(town->sim, MAL_SIM_PERCENT(10))
                                       ? MAL_SIM_DISK_WIPED
                                       : MAL_SIM_DISK_KEPT);
    return;
  }
  if (mal_sim_node_is_up(host->node)) {
    clean_up(host);
    if (mal_sim_node_is_up(host->node)) /* a job that clean_up waited for may have crashed it */
      cr_expect_eq(mal_sim_node_handles(host->node), 0u);
  }
  bool tidy = mal_sim_chance(town->sim, MAL_SIM_PERCENT(50));
  if (tidy)
    clean_up(host);
  mal_sim_node_restart(host->node);
  if (tidy)
    mal_sim_node_bury(host->node);
  memset(host->udp, 0, sizeof host->udp);
  memset(host->stream, 0, sizeof host->stream);
  start(host);
}

static void trouble(void *data)
{
  Town *town = data;
  MalSim *sim = town->sim;
  Host *host = &town->host[mal_sim_random_between(sim, 0, HOSTS - 1)];
  switch (mal_sim_random_between(sim, 0, 5)) {
  case 0:
    crash_or_restart(town, host);
    break;
  case 1:
    mal_sim_partition(sim, &host->node, 1,
                      &town->host[mal_sim_random_between(sim, 0, HOSTS - 1)].node, 1);
    break;
  case 2:
    mal_sim_heal_all(sim);
    break;
  case 3:
    mal_sim_link_set_up(town->link[0], mal_sim_chance(sim, MAL_SIM_PERCENT(80)));
    break;
  case 4:
    mal_sim_iface_set_up(host->iface, mal_sim_chance(sim, MAL_SIM_PERCENT(80)));
    break;
  default: {
    MalAddress address = mal_address_ipv4(0xc6336401 + (uint32_t)(host - town->host));
    mal_sim_iface_remove(host->iface);
    host->iface = mal_sim_iface_new(host->node, town->link[(host - town->host) % 2], "eth0");
    mal_sim_iface_add_address(host->iface, address);
  }
  }
  mal_sim_at(sim, mal_sim_now(sim) + (int64_t)mal_sim_random_between(sim, 1000, 200000), trouble,
             town);
}

static uint64_t live(uint64_t seed, unsigned *sums)
{
  Town town = { .sim = mal_sim_new(seed) };
  MalSim *sim = town.sim;
  mal_sim_set_stream_options(
      sim, &(MalSimStreamOptions){ 3 * SECOND, 4 * SECOND, SECOND, MAL_SIM_PERCENT(25) });
  for (int i = 0; i < 2; i++) {
    town.link[i] = mal_sim_link_new(sim, "link");
    mal_sim_link_set_faults(town.link[i], &(MalSimFaults){ .latency_max = 5000,
                                                           .jitter = 500,
                                                           .loss = 50000,
                                                           .duplicate = 50000,
                                                           .reorder = 50000 });
  }
  mal_sim_border_new(town.link[0], town.link[1]);
  for (uint32_t i = 0; i < HOSTS; i++) {
    Host *host = &town.host[i];
    g_autofree char *name = g_strdup_printf("host%u", i);
    *host = (Host){ .town = &town, .node = mal_sim_node_new(sim, name) };
    host->iface = mal_sim_iface_new(host->node, town.link[i % 2], "eth0");
    mal_sim_iface_add_address(host->iface, mal_address_ipv4(0xc6336401 + i));
    start(host);
  }
  trouble(&town);
  cr_expect(mal_sim_run_until(sim, 10 * SECOND), "seed %lu: %s", (unsigned long)seed,
            mal_sim_failure(sim));
  uint64_t hash = mal_sim_hash(sim);
  unsigned parts[] = { town.heard, town.streamed, town.worked, town.told };
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
    sums[i] += parts[i];
  mal_sim_free(sim);
  return hash;
}

Test(sim_chaos, no_seed_breaks_the_simulator)
{
  unsigned sums[4] = { 0 };
  for (uint64_t seed = 0; seed < 40; seed++) {
    uint64_t hash = live(seed, sums);
    cr_expect_eq(live(seed, sums), hash, "seed %lu differs", (unsigned long)seed);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(sums); i++)
    cr_expect_gt(sums[i], 1000u, "part %zu: only %u", i, sums[i]);
}
