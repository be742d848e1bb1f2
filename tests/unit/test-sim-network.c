/* The simulated network: datagrams, faults, multicast and scope borders, partitions, interfaces,
   and that a seed gives one run. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND MAL_US
#define PORT 2535

/* A host with a socket on PORT that keeps what it hears. */
typedef struct {
  MalSim *sim;
  MalSimNode *node;
  MalSimIface *iface;
  MalRuntime *rt;
  MalUdp *udp;
  GArray *heard;    /* uint32_t */
  MalDatagram last; /* its data is gone */
  int64_t when;
  size_t batches;
  bool answers;
} Host;

static MalAddress address_of(const char *text)
{
  MalAddress address;
  cr_assert(mal_address_parse(text, &address, NULL), "%s", text);
  return address;
}

static MalSpan span_of(const char *text)
{
  MalSpan span;
  cr_assert(mal_span_parse(text, &span, NULL), "%s", text);
  return span;
}

static void send_to(Host *host, const char *to, uint32_t number)
{
  MalAddress address = address_of(to);
  bool multicast = mal_address_is_multicast(address);
  MalDatagram d = { .peer = { address, PORT, 0 },
                    .data = (const uint8_t *)&number,
                    .length = sizeof number,
                    .ifindex = multicast ? mal_sim_iface_index(host->iface) : 0 };
  mal_udp_send(host->udp, &d);
}

static void hear(MalUdp *udp, const MalDatagram *d, size_t n, void *data)
{
  Host *host = data;
  host->batches++;
  for (size_t i = 0; i < n; i++) {
    uint32_t number;
    cr_assert_eq(d[i].length, sizeof number);
    memcpy(&number, d[i].data, sizeof number);
    g_array_append_val(host->heard, number);
    host->last = d[i];
    host->when = mal_sim_now(host->sim);
    if (host->answers && !mal_address_equal(d[i].peer.address, d[i].local))
      mal_udp_send(udp,
                   &(MalDatagram){ .peer = d[i].peer, .data = d[i].data, .length = d[i].length });
  }
}

static void open_socket(Host *host, MalFamily family)
{
  MalUdpOptions options = { .family = family, .port = PORT };
  host->rt = mal_sim_node_runtime(host->node);
  host->udp = mal_udp_open(host->rt, &options, hear, host, NULL);
  cr_assert_not_null(host->udp);
}

static void host_init(Host *host, MalSim *sim, MalSimLink *link, const char *address)
{
  *host = (Host){ .sim = sim, .node = mal_sim_node_new(sim, address) };
  host->iface = mal_sim_iface_new(host->node, link, "eth0");
  mal_sim_iface_add(host->iface, address);
  host->heard = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  open_socket(host, address_of(address).family);
}

static void join(Host *host, const char *group)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_udp_join(host->udp, mal_sim_iface_index(host->iface), address_of(group), &error),
            "%s", error ? error->message : "");
}

/* N hosts 198.51.100.1.. on one link. */
static MalSim *lan(uint64_t seed, Host *host, unsigned n, const MalSimFaults *faults)
{
  MalSim *sim = mal_sim_new(seed);
  MalSimLink *link = mal_sim_link_new(sim, "lan");
  if (faults)
    mal_sim_link_set_faults(link, faults);
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *text = g_strdup_printf("198.51.100.%u", i + 1);
    host_init(&host[i], sim, link, text);
  }
  return sim;
}

static void done(MalSim *sim, Host *host, unsigned n)
{
  mal_sim_free(sim);
  for (unsigned i = 0; i < n; i++)
    g_array_unref(host[i].heard);
}

static size_t count(const Host *host)
{
  return host->heard->len;
}

/* ---- one seed, one run ----------------------------------------------------------------------- */

static void chatter(void *data)
{
  Host *host = data;
  uint32_t number = mal_runtime_random_below(host->rt, 1000);
  send_to(host, number % 2 ? "233.252.0.1" : "198.51.100.1", number);
  mal_sim_at(host->sim, mal_sim_now(host->sim) + 1000 + number, chatter, host);
}

static uint64_t busy_run(uint64_t seed, bool note)
{
  static const MalSimFaults faults = { .latency_min = 100,
                                       .latency_max = 5000,
                                       .jitter = 1000,
                                       .loss = MAL_SIM_PERCENT(5),
                                       .duplicate = MAL_SIM_PERCENT(5),
                                       .reorder = MAL_SIM_PERCENT(5) };
  Host host[5];
  MalSim *sim = lan(seed, host, G_N_ELEMENTS(host), &faults);
  for (size_t i = 0; i < G_N_ELEMENTS(host); i++) {
    join(&host[i], "233.252.0.1");
    host[i].answers = i == 0;
    chatter(&host[i]);
  }
  if (note)
    mal_sim_note(sim, host[1].node, "remark");
  cr_assert(mal_sim_run_until(sim, 2 * SECOND));
  cr_assert_gt(mal_sim_counters(sim).events, 1000u);
  uint64_t hash = mal_sim_hash(sim);
  done(sim, host, G_N_ELEMENTS(host));
  return hash;
}

Test(sim_seed, same_seed_same_run)
{
  for (uint64_t seed = 0; seed < 20; seed++) {
    uint64_t hash = busy_run(seed, false);
    cr_expect_eq(busy_run(seed, false), hash);
    cr_expect_neq(busy_run(seed + 1, false), hash);
    cr_expect_neq(busy_run(seed, true), hash);
  }
}

/* ---- unicast --------------------------------------------------------------------------------- */

Test(sim_udp, arrives_with_its_addresses_and_interface_after_the_latency)
{
  Host host[3];
  MalSim *sim = lan(1, host, 3, &(MalSimFaults){ .latency_min = 700, .latency_max = 900 });
  send_to(&host[0], "198.51.100.2", 42);
  cr_expect_eq(count(&host[1]), 0u, "not from within the call");
  mal_sim_run_for(sim, SECOND);
  cr_assert_eq(count(&host[1]), 1u);
  cr_expect_eq(count(&host[2]), 0u);
  cr_expect_eq(g_array_index(host[1].heard, uint32_t, 0), 42u);
  cr_expect(mal_address_equal(host[1].last.peer.address, address_of("198.51.100.1")));
  cr_expect_eq(host[1].last.peer.port, PORT);
  cr_expect(mal_address_equal(host[1].last.local, address_of("198.51.100.2")));
  cr_expect_eq(host[1].last.ifindex, mal_sim_iface_index(host[1].iface));
  cr_expect(host[1].when >= 700 && host[1].when <= 900);
  cr_expect_eq(mal_udp_counters(host[0].udp).sent, 1u);
  cr_expect_eq(mal_udp_counters(host[1].udp).received, 1u);

  /* Nobody has the address; the host itself; its loopback. */
  send_to(&host[0], "198.51.100.77", 1);
  send_to(&host[0], "198.51.100.1", 2);
  send_to(&host[0], "127.0.0.1", 3);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(count(&host[0]), 2u);
  cr_expect_eq(mal_sim_counters(sim).undelivered, 1u);
  done(sim, host, 3);
}

Test(sim_udp, what_is_due_at_one_instant_comes_in_one_call)
{
  Host host[3];
  MalSim *sim = lan(2, host, 3, &(MalSimFaults){ .latency_min = 500, .latency_max = 500 });
  for (uint32_t i = 0; i < 100; i++)
    send_to(&host[i % 2], "198.51.100.3", i);
  mal_sim_run_for(sim, SECOND);
  cr_assert_eq(count(&host[2]), 100u);
  cr_expect_eq(host[2].batches, 2u, "64 and 36");
  for (uint32_t i = 0; i < 100; i++)
    cr_expect_eq(g_array_index(host[2].heard, uint32_t, i), i);
  done(sim, host, 3);
}

Test(sim_udp, ports)
{
  static const struct {
    const char *bind;
    uint16_t port;
    bool reuse, ok;
  } rows[] = {
    { NULL, PORT, false, false },           /* the host's own socket has it */
    { NULL, PORT, true, false },            /* sharing takes two */
    { "198.51.100.1", PORT, false, false }, /* any includes each */
    { NULL, 4000, true, true },
    { NULL, 4000, true, true },
    { NULL, 4000, false, false },
    { "198.51.100.9", 4001, false, false }, /* not ours */
    { "127.0.0.1", 4001, false, true },
    { "198.51.100.1", 4001, false, true },
    { NULL, 4001, false, false },
    { NULL, 0, false, true },
  };
  Host host[1];
  MalSim *sim = lan(3, host, 1, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    MalUdpOptions o = { .family = MAL_IPV4, .port = rows[i].port, .reuse = rows[i].reuse };
    if (rows[i].bind)
      o.bind = address_of(rows[i].bind);
    MalUdp *udp = mal_udp_open(host->rt, &o, hear, host, &error);
    cr_expect_eq(udp != NULL, rows[i].ok, "row %zu", i);
    cr_expect(udp || g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK), "row %zu", i);
    if (i == 0)   /* as the production runtime says it */
      cr_expect_str_eq(error->message, "UDP port 2535 on 0.0.0.0 is in use by another program "
                                       "(is another mallocd running?)");
    cr_expect(!udp || mal_udp_port(udp) == (rows[i].port ? rows[i].port : mal_udp_port(udp)));
    cr_expect(rows[i].port || mal_udp_port(udp) >= 32768);
  }
  done(sim, host, 1);
}

/* ---- faults ---------------------------------------------------------------------------------- */

#define MANY 20000

static size_t inversions(const Host *host)
{
  size_t n = 0;
  for (guint i = 1; i < host->heard->len; i++)
    n += g_array_index(host->heard, uint32_t, i) < g_array_index(host->heard, uint32_t, i - 1);
  return n;
}

/* Each rate shows, at a fixed seed, within five standard deviations of what it should be. */
Test(sim_faults, rates_and_order)
{
  static const struct {
    MalSimFaults faults;
    size_t least, most, out_of_order_least, out_of_order_most;
  } rows[] = {
    { { .latency_max = 900 }, MANY, MANY, 0, 0 },
    { { .latency_max = 900, .jitter = 20000 }, MANY, MANY, 0, 0 },
    { { .loss = MAL_SIM_PERCENT(10) }, 17788, 18212, 0, 0 },
    { { .loss = MAL_SIM_PERCENT(100) }, 0, 0, 0, 0 },
    { { .duplicate = MAL_SIM_PERCENT(10), .reorder_delay = 1 }, 21788, 22212, 0, 0 },
    { { .reorder = MAL_SIM_PERCENT(10), .reorder_delay = 50000 }, MANY, MANY, 1500, 2100 },
    { { .loss = MAL_SIM_PERCENT(50), .duplicate = MAL_SIM_PERCENT(100) }, 19293, 20707, 0, MANY },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    Host host[2];
    MalSim *sim = lan(50 + i, host, 2, &rows[i].faults);
    for (uint32_t n = 0; n < MANY; n++) {
      send_to(&host[0], "198.51.100.2", n);
      mal_sim_run_for(sim, 100);
    }
    mal_sim_run_for(sim, 10 * SECOND);
    size_t got = count(&host[1]), inverted = inversions(&host[1]);
    cr_expect(got >= rows[i].least && got <= rows[i].most, "row %zu: %zu came", i, got);
    cr_expect(inverted >= rows[i].out_of_order_least && inverted <= rows[i].out_of_order_most,
              "row %zu: %zu out of order", i, inverted);
    MalSimCounters c = mal_sim_counters(sim);
    cr_expect_eq(c.sent - c.lost + c.duplicated, got);
    cr_expect_eq(c.delivered, got);
    done(sim, host, 2);
  }
}

static bool drop_odd(MalSim *sim, const MalSimPacketView *packet, void *data)
{
  (void)sim;
  ++*(unsigned *)data;
  cr_expect_eq(packet->ttl, 64u);
  return packet->data[0] % 2 == 0;
}

Test(sim_faults, a_tap_sees_all_and_loses_what_it_likes)
{
  Host host[2];
  MalSim *sim = lan(5, host, 2, NULL);
  unsigned seen = 0;
  mal_sim_set_tap(sim, drop_odd, &seen);
  for (uint32_t i = 0; i < 10; i++)
    send_to(&host[0], "198.51.100.2", i);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(seen, 10u);
  cr_expect_eq(count(&host[1]), 5u);
  done(sim, host, 2);
}

/* ---- multicast ------------------------------------------------------------------------------- */

Test(sim_multicast, members_hear_and_the_sender_only_with_loop)
{
  Host host[4];
  MalSim *sim = lan(6, host, 4, NULL);
  MalUdpOptions looped = { .family = MAL_IPV4, .port = 0, .multicast_loop = true };
  for (int i = 0; i < 3; i++)
    join(&host[i], "233.252.0.1");
  join(&host[3], "233.252.0.2");
  send_to(&host[0], "233.252.0.1", 1);
  mal_sim_run_for(sim, SECOND);
  for (int i = 0; i < 4; i++)
    cr_expect_eq(count(&host[i]), i == 1 || i == 2 ? 1u : 0u, "host %d", i);
  cr_expect(mal_address_equal(host[1].last.local, address_of("233.252.0.1")));

  MalUdp *udp = mal_udp_open(host[0].rt, &looped, hear, &host[0], NULL);
  MalDatagram d = { .peer = { address_of("233.252.0.1"), PORT, 0 },
                    .data = (const uint8_t *)"1234",
                    .length = 4 };
  mal_udp_send(udp, &d); /* by the routing table: the only interface */
  cr_expect(mal_udp_leave(host[2].udp, mal_sim_iface_index(host[2].iface),
                          address_of("233.252.0.1"), NULL));
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(count(&host[0]), 1u, "its own socket that is a member");
  cr_expect_eq(count(&host[1]), 2u);
  cr_expect_eq(count(&host[2]), 1u, "left while it was on its way");
  done(sim, host, 4);
}

Test(sim_multicast, join_and_leave_errors)
{
  Host host[1];
  MalSim *sim = lan(7, host, 1, NULL);
  static const struct {
    uint32_t ifindex;
    const char *group;
    MalErrorCode code;
  } rows[] = {
    { 77, "233.252.0.1", MAL_ERROR_NETWORK },
    { 2, "198.51.100.1", MAL_ERROR_INVALID },
    { 2, "ff0e::db8:0:1", MAL_ERROR_INVALID },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_udp_join(host->udp, rows[i].ifindex, address_of(rows[i].group), &error));
    cr_expect(g_error_matches(error, MAL_ERROR, (gint)rows[i].code), "row %zu", i);
  }
  cr_expect_not(mal_udp_leave(host->udp, 2, address_of("233.252.0.1"), NULL));
  join(host, "233.252.0.1");
  join(host, "233.252.0.1");
  done(sim, host, 1);
}

/* Three links in a row, A - B - C; the border between B and C keeps 239.255/16 back. */
Test(sim_multicast, ttl_and_scope_borders)
{
  static const struct {
    const char *group;
    uint8_t ttl;
    unsigned heard;
  } rows[] = {
    { "233.252.0.1", 1, 1 },  { "233.252.0.1", 2, 2 },  { "233.252.0.1", 3, 3 },
    { "233.252.0.1", 64, 3 }, { "239.255.0.1", 64, 2 }, { "224.0.0.251", 64, 1 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalSim *sim = mal_sim_new(8);
    MalSimLink *link[3] = { mal_sim_link_new(sim, "A"), mal_sim_link_new(sim, "B"),
                            mal_sim_link_new(sim, "C") };
    Host sender, host[3];
    host_init(&sender, sim, link[0], "198.51.100.9");
    host_init(&host[0], sim, link[0], "198.51.100.1");
    host_init(&host[1], sim, link[1], "192.0.2.1");
    host_init(&host[2], sim, link[2], "192.0.2.129");
    mal_sim_border_new(link[0], link[1]);
    MalSimBorder *border = mal_sim_border_new(link[1], link[2]);
    mal_sim_border_filter(border, span_of("239.255.0.0/16"));
    for (int j = 0; j < 3; j++)
      join(&host[j], rows[i].group);
    mal_udp_set_multicast_ttl(sender.udp, rows[i].ttl);
    send_to(&sender, rows[i].group, 1);
    mal_sim_run_for(sim, SECOND);
    for (unsigned j = 0; j < 3; j++)
      cr_expect_eq(count(&host[j]), j < rows[i].heard, "row %zu, host %u", i, j);

    /* Unicast passes, there and back. */
    host[2].answers = true;
    send_to(&sender, "192.0.2.129", 2);
    mal_sim_run_for(sim, SECOND);
    cr_expect_eq(count(&sender), 1u);
    mal_sim_border_unfilter(border, span_of("239.255.0.0/16"));
    mal_sim_border_set_up(border, false);
    send_to(&sender, "192.0.2.129", 3);
    mal_sim_run_for(sim, SECOND);
    cr_expect_eq(count(&sender), 1u);
    done(sim, host, 3);
    g_array_unref(sender.heard);
  }
}

Test(sim_multicast, ipv6_and_link_local_sources)
{
  MalSim *sim = mal_sim_new(9);
  MalSimLink *link = mal_sim_link_new(sim, "lan");
  Host host[2];
  host_init(&host[0], sim, link, "2001:db8::1");
  host_init(&host[1], sim, link, "2001:db8::2");
  mal_sim_iface_add(host[0].iface, "fe80::1");
  mal_sim_iface_add(host[1].iface, "fe80::1"); /* the same one: two hosts may */
  join(&host[1], "ff02::db8:0:1");
  join(&host[1], "ff05::db8:0:1");
  send_to(&host[0], "ff02::db8:0:1", 1);
  mal_sim_run_for(sim, SECOND);
  cr_assert_eq(count(&host[1]), 1u);
  cr_expect(mal_address_equal(host[1].last.peer.address, address_of("fe80::1")));
  cr_expect_eq(host[1].last.peer.scope_id, mal_sim_iface_index(host[1].iface));
  send_to(&host[0], "ff05::db8:0:1", 2);
  mal_sim_run_for(sim, SECOND);
  cr_assert_eq(count(&host[1]), 2u);
  cr_expect(mal_address_equal(host[1].last.peer.address, address_of("2001:db8::1")));
  done(sim, host, 2);
}

/* ---- partitions ------------------------------------------------------------------------------ */

/* Host 0 sends to host 1 and back, unicast and to two groups; what arrives under each kind of
   cut. */
Test(sim_partition, cuts_and_heals)
{
  static const struct {
    enum { NONE, ALL, ONE_WAY, SCOPE, LINK } cut;
    size_t there, back;
  } rows[] = {
    { NONE, 3, 3 }, { ALL, 0, 0 }, { ONE_WAY, 0, 3 }, { SCOPE, 2, 2 }, { LINK, 0, 0 },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalSim *sim = mal_sim_new(10);
    MalSimLink *link = mal_sim_link_new(sim, "lan");
    Host host[2];
    MalSimCut *cut = NULL;
    host_init(&host[0], sim, link, "198.51.100.1");
    host_init(&host[1], sim, link, "198.51.100.2");
    for (int j = 0; j < 2; j++) {
      join(&host[j], "233.252.0.1");
      join(&host[j], "239.255.0.1");
    }
    if (rows[i].cut == ALL)
      cut = mal_sim_partition(sim, &host[0].node, 1, &host[1].node, 1);
    else if (rows[i].cut == ONE_WAY)
      cut = mal_sim_partition_one_way(sim, &host[0].node, 1, &host[1].node, 1);
    else if (rows[i].cut == SCOPE)
      cut = mal_sim_partition_scope(sim, span_of("239.0.0.0/8"), &host[0].node, 1, &host[1].node,
                                    1);
    mal_sim_link_set_up(link, rows[i].cut != LINK);
    for (int healed = 0; healed < 2; healed++) {
      for (int j = 0; j < 2; j++) {
        send_to(&host[j], j ? "198.51.100.1" : "198.51.100.2", 1);
        send_to(&host[j], "233.252.0.1", 2);
        send_to(&host[j], "239.255.0.1", 3);
      }
      mal_sim_run_for(sim, SECOND);
      cr_expect_eq(count(&host[1]), healed ? rows[i].there + 3 : rows[i].there, "row %zu", i);
      cr_expect_eq(count(&host[0]), healed ? rows[i].back + 3 : rows[i].back, "row %zu", i);
      if (cut)
        mal_sim_heal(sim, cut);
      cut = NULL;
      mal_sim_link_set_up(link, true);
    }
    cr_expect_eq(mal_sim_counters(sim).partitioned, 6 - rows[i].there - rows[i].back);
    done(sim, host, 2);
  }
}

Test(sim_partition, what_is_on_its_way_is_lost_too)
{
  Host host[2];
  MalSim *sim = lan(11, host, 2, &(MalSimFaults){ .latency_min = 1000 });
  send_to(&host[0], "198.51.100.2", 1);
  mal_sim_run_for(sim, 500);
  mal_sim_partition(sim, &host[0].node, 1, &host[1].node, 1);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(count(&host[1]), 0u);
  mal_sim_heal_all(sim);
  send_to(&host[0], "198.51.100.2", 2);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(count(&host[1]), 1u);
  done(sim, host, 2);
}

Test(sim_partition, a_host_that_is_down_hears_nothing_until_it_is_back)
{
  Host host[2];
  MalSim *sim = lan(12, host, 2, NULL);
  join(&host[1], "233.252.0.1");
  mal_sim_node_crash(host[1].node, MAL_SIM_DISK_KEPT);
  send_to(&host[0], "198.51.100.2", 1);
  send_to(&host[0], "233.252.0.1", 1);
  mal_sim_run_for(sim, SECOND);
  mal_sim_node_restart(host[1].node);
  open_socket(&host[1], MAL_IPV4);
  send_to(&host[0], "198.51.100.2", 2);
  send_to(&host[0], "233.252.0.1", 2);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(count(&host[1]), 1u, "its membership died with it");
  join(&host[1], "233.252.0.1");
  send_to(&host[0], "233.252.0.1", 3);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(count(&host[1]), 2u);
  done(sim, host, 2);
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static void count_call(void *data)
{
  ++*(int *)data;
}

Test(sim_interface, the_runtime_sees_what_is_there)
{
  Host host[1];
  MalSim *sim = lan(13, host, 1, NULL);
  mal_sim_iface_add(host->iface, "fe80::5");
  mal_sim_iface_add(host->iface, "2001:db8::5");
  g_autoptr(GArray) list = mal_runtime_interfaces(host->rt);
  cr_assert_eq(list->len, 2u);
  const MalInterface *lo = &g_array_index(list, MalInterface, 0),
                     *eth = &g_array_index(list, MalInterface, 1);
  cr_expect(lo->loopback && lo->up && !lo->multicast && lo->index == 1 && lo->n_addresses == 2);
  cr_expect_str_eq(eth->name, "eth0");
  cr_expect(eth->up && eth->multicast && !eth->loopback);
  cr_assert_eq(eth->n_addresses, 3u);
  cr_expect(mal_address_equal(eth->addresses[0], address_of("198.51.100.1")));
  cr_expect(mal_address_equal(eth->addresses[1], address_of("2001:db8::5")));
  cr_expect(mal_address_equal(eth->addresses[2], address_of("fe80::5")), "link-local last");
  done(sim, host, 1);
}

Test(sim_interface, changes_are_told_and_take_effect)
{
  Host host[2];
  MalSim *sim = lan(14, host, 2, NULL);
  int told = 0;
  MalInterfaceWatch *watch = mal_interface_watch_new(host[1].rt, count_call, &told);
  join(&host[1], "233.252.0.1");
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(told, 0);

  mal_sim_iface_set_up(host[1].iface, false);
  cr_expect_eq(told, 0, "not from within the call");
  send_to(&host[0], "233.252.0.1", 1);
  send_to(&host[1], "198.51.100.1", 1);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(told, 1);
  cr_expect_eq(count(&host[0]) + count(&host[1]), 0u);
  cr_expect_eq(mal_udp_counters(host[1].udp).send_errors, 1u);

  mal_sim_iface_set_up(host[1].iface, true);
  mal_sim_iface_add(host[1].iface, "198.51.100.22");
  mal_sim_iface_remove_address(host[1].iface, address_of("198.51.100.2"));
  send_to(&host[0], "233.252.0.1", 2);
  send_to(&host[0], "198.51.100.2", 3);
  send_to(&host[0], "198.51.100.22", 4);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(told, 2, "changes of one instant together");
  cr_assert_eq(count(&host[1]), 2u);

  uint32_t index = mal_sim_iface_index(host[1].iface);
  mal_sim_iface_remove(host[1].iface);
  send_to(&host[0], "233.252.0.1", 5);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(told, 3);
  cr_expect_eq(count(&host[1]), 2u);
  cr_expect_not(mal_udp_join(host[1].udp, index, address_of("233.252.0.1"), NULL));
  mal_interface_watch_free(watch);
  mal_sim_iface_set_up(host[0].iface, false);
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(told, 3);
  done(sim, host, 2);
}
