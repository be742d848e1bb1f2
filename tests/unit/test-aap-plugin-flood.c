/* What one host can make a daemon with AAP do: it costs little, and takes bounded memory. */
#include "plugins/aap/aap-plugin.h"
#include "tests/unit/aap-daemons.h"

#include <time.h>

static void nobody(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  (void)udp, (void)datagrams, (void)count, (void)data;
}

/* The N-th of every second address that WHOSE owns, as its AIU says it. */
static AapRange own_of(World *w, unsigned whose, uint32_t n)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(mal_core_space(w->host[whose].core), MAL_LEVEL_OWNED);
  for (unsigned i = 0; i < all->len; i++) {
    const MalRange *own = g_ptr_array_index(all, i);
    uint32_t half = (uint32_t)(mal_span_size(own->span) / 2);
    MalAddress at = mal_address_ipv4((uint32_t)own->span.first.value + 2 * n);
    if (n < half)
      return (AapRange){ { at, at }, (uint32_t)own->until };
    n -= half;
  }
  cr_assert_fail("it doesn't own so many");
  return (AapRange){ 0 };
}

/* An AIU of host FROM, by a port of its own, to GROUP. */
static void say(World *w, unsigned from, uint16_t port, uint32_t group, const AapRange *ranges,
                size_t n)
{
  MalUdpOptions options = { .family = MAL_IPV4, .port = port, .multicast_ttl = 16 };
  MalRuntime *rt = mal_sim_node_runtime(w->host[from].node);
  uint8_t octets[12 + 512 * 12];
  AapMessage msg = { .type = AAP_AIU,
                     .family = MAL_IPV4,
                     .current_time = (uint32_t)(mal_runtime_wall(rt) / MAL_US),
                     .ranges = ranges,
                     .n_ranges = n };
  MalUdp *udp = mal_udp_open(rt, &options, nobody, NULL, NULL);
  MalDatagram datagram = { .peer = { mal_address_ipv4(group), AAP_PORT, 0 },
                           .ifindex = mal_sim_iface_index(w->host[from].iface),
                           .data = octets,
                           .length = aap_encode(&msg, octets, sizeof octets, NULL) };
  mal_udp_send(udp, &datagram);
  mal_udp_close(udp);
}

/* Each is suspended for a while (3.2.3), and there may be as many as somebody sends: that must not
   keep the daemon busy for long. */
Test(aap_plugin, many_pieces_that_are_in_doubt_cost_little, .timeout = 60)
{
  World w = world(2);
  start(&w, 0, "maas", small);
  run(&w, 300);
  lease(&w, 0, "local", 8192);
  clock_t began = clock();
  for (unsigned n = 0; n < 8; n++) {
    AapRange ranges[512];
    for (uint32_t i = 0; i < G_N_ELEMENTS(ranges); i++)
      ranges[i] = own_of(&w, 0, 512 * n + i);
    say(&w, 1, (uint16_t)(5000 + n), 0xeffffff8, ranges, G_N_ELEMENTS(ranges));
  }
  run(&w, 1);
  cr_expect_eq(metric(&w, 0, "aiu-received"), 8);
  cr_expect_eq(metric(&w, 0, "echoes"), 8 * 512);
  run(&w, 900);
  double took = (double)(clock() - began) / CLOCKS_PER_SEC;
  cr_expect_lt(took, 3.0, "%.1f s", took);
  clear(&w);
}

/* What others allocate changes faster than it is written: what waits to be written is bounded by
   what is known. */
Test(aap_plugin, what_is_to_be_written_of_others_is_bounded, .timeout = 60)
{
  enum { KNOWN = 20480, RANGES = 512 };
  World w = world(2);
  g_autofree char *text = g_strconcat(small, "[scope org]\nfamily=ipv4\nfirst=239.192.0.0\n"
                                      "last=239.195.255.255\n[aap]\nmax-record-entries=21000\n",
                                      NULL);
  start(&w, 0, "maas", text);
  run(&w, 300);
  Aap *aap = mal_core_plugin(w.host[0].core, 0).instance;
  const AapServed *served = g_ptr_array_index(aap->served, 1);
  unsigned most = 0;
  for (uint32_t round = 0, at = 0xefc00000; round < 6; round++) {
    uint32_t now = (uint32_t)(mal_runtime_wall(aap->host.runtime) / MAL_US);
    AapRange all = { { mal_address_ipv4(0xefc00000), mal_address_ipv4(0xefc3fff0) }, now - 1 };
    say(&w, 1, 5000, 0xefc3fff8, &all, 1);
    for (unsigned i = 0; i < KNOWN / RANGES; i++) {
      AapRange ranges[RANGES];
      for (unsigned k = 0; k < RANGES; k++, at += 2)
        ranges[k] = (AapRange){ { mal_address_ipv4(at), mal_address_ipv4(at) }, now + 9000 };
      say(&w, 1, 5000, 0xefc3fff8, ranges, RANGES);
    }
    run(&w, 1);
    most = MAX(most, g_hash_table_size(served->dirty));
  }
  cr_expect_gt(most, 1000);
  cr_expect_lt(most, 2 * KNOWN + 3000, "%u", most);
  run(&w, 60);
  cr_expect_eq(g_hash_table_size(served->dirty), 0);
  cr_expect_eq(aap_intervals_count(served->foreign), KNOWN, "what is known is kept in the end");
  clear(&w);
}
