/* Overload of the GLib runtime's sockets, on the loopback interface only: what is dropped unread,
   and how long a queue waited. */
#include "tests/support/loop.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static MalRuntime *rt;

static void set_up(void)
{
  rt = mal_runtime_glib_new(NULL);
}

static void tear_down(void)
{
  mal_runtime_glib_free(rt);
}

TestSuite(runtime_glib_shed, .init = set_up, .fini = tear_down, .timeout = 60);

typedef struct {
  MalUdp *udp;
  unsigned got;
} Node;

static void node_receive(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  (void)udp;
  (void)datagrams;
  ((Node *)data)->got += (unsigned)count;
}

static void node_open(Node *node, MalUdpOptions options)
{
  node->udp = mal_udp_open(rt, &options, node_receive, node, NULL);
  cr_assert_not_null(node->udp);
}

static void node_close(Node *node)
{
  mal_udp_close(node->udp);
}

static MalDatagram datagram(const char *to, uint16_t port, const void *data, size_t length)
{
  MalAddress address = mal_address_none();
  cr_assert(mal_address_parse(to, &address, NULL));
  return (MalDatagram){ .peer = { .address = address, .port = port }, .data = data,
                        .length = length };
}

static bool have_ipv6(void)
{
  int fd = socket(AF_INET6, SOCK_DGRAM, 0);
  struct sockaddr_in6 one = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
  bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&one, sizeof one) == 0;
  if (fd >= 0)
    close(fd);
  return ok;
}

static unsigned came(Node *to, Node *from, const char *address, uint8_t kind, unsigned count)
{
  uint64_t dropped = mal_udp_counters(to->udp).dropped;
  for (unsigned i = 0; i < count; i++) {
    uint8_t bytes[2] = { 0, kind };
    MalDatagram d = datagram(address, mal_udp_port(to->udp), bytes, sizeof bytes);
    mal_udp_send(from->udp, &d);
  }
  to->got = 0;
  RUN_UNTIL(rt, to->got + mal_udp_counters(to->udp).dropped - dropped == count);
  return to->got;
}

static void sheds_by_kind(MalFamily family, const char *address)
{
  Node server = { 0 }, client = { 0 };
  MalUdpShed shed = { .octet = 1, .drop = { [0] = MAL_UDP_ALL, [3] = MAL_UDP_ALL / 2 } };
  node_open(&server, (MalUdpOptions){ .family = family });
  node_open(&client, (MalUdpOptions){ .family = family });
  for (unsigned kind = 4; kind < MAL_UDP_KINDS; kind++)
    shed.drop[kind] = 0;
  cr_expect_eq(came(&server, &client, address, 1, 100), 100);
  cr_assert(mal_udp_shed(server.udp, &shed));
  cr_expect_eq(came(&server, &client, address, 0, 100), 0);
  cr_expect_eq(came(&server, &client, address, MAL_UDP_KINDS, 100), 0, "as kind 0");
  cr_expect_eq(came(&server, &client, address, 255, 100), 0);
  cr_expect_eq(came(&server, &client, address, 1, 100), 100);
  cr_expect_eq(came(&server, &client, address, MAL_UDP_KINDS - 1, 100), 100);
  unsigned half = came(&server, &client, address, 3, 400);
  cr_expect(half > 120 && half < 280, "%u of 400 at one in two", half);
  shed = (MalUdpShed){ .octet = 1 };
  cr_assert(mal_udp_shed(server.udp, &shed), "no longer");
  cr_assert(mal_udp_shed(server.udp, &shed), "twice does no harm");
  cr_expect_eq(came(&server, &client, address, 0, 100), 100);
  for (unsigned kind = 0; kind < MAL_UDP_KINDS; kind++)
    shed.drop[kind] = (uint16_t)(kind * 60 + 1);
  cr_assert(mal_udp_shed(server.udp, &shed), "each kind apart");
  node_close(&server);
  node_close(&client);
}

Test(runtime_glib_shed, sheds_by_kind_ipv4)
{
  sheds_by_kind(MAL_IPV4, "127.0.0.1");
}

Test(runtime_glib_shed, sheds_by_kind_ipv6)
{
  if (!have_ipv6())
    cr_skip_test("no IPv6 here");
  sheds_by_kind(MAL_IPV6, "::1");
}

static void note_lag(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  GArray *lags = data;
  int64_t lag = mal_udp_lag(udp);
  (void)datagrams;
  (void)count;
  g_array_append_val(lags, lag);
}

static void send_one(Node *from, uint16_t port)
{
  MalDatagram d = datagram("127.0.0.1", port, "x", 1);
  mal_udp_send(from->udp, &d);
}

/* A full batch tells how old it is; one that took all there was tells nothing. The kernel takes
   some time to begin with its stamps when the first socket asks for them. */
Test(runtime_glib_shed, tells_how_long_a_queue_waited)
{
  static const MalUdpOptions options = { .family = MAL_IPV4 };
  g_autoptr(GArray) lags = g_array_new(FALSE, FALSE, sizeof(int64_t));
  MalUdp *udp = mal_udp_open(rt, &options, note_lag, lags, NULL);
  for (int i = 0; i < 100 && (i == 0 || g_array_index(lags, int64_t, 0) < 20000); i++) {
    Node client = { 0 };
    node_open(&client, options);
    g_array_set_size(lags, 0);
    uint64_t before = mal_udp_counters(udp).received;
    for (unsigned n = 0; n < 80; n++)
      send_one(&client, mal_udp_port(udp));
    node_close(&client);                /* sends what is left */
    for (int64_t begun = mal_runtime_monotonic(rt); mal_runtime_monotonic(rt) < begun + 20000;)
      ;
    RUN_UNTIL(rt, mal_udp_counters(udp).received == before + 80);
    cr_assert_eq(lags->len, 2);
  }
  cr_expect_geq(g_array_index(lags, int64_t, 0), 20000);
  cr_expect_lt(g_array_index(lags, int64_t, 0), 10 * MAL_US);
  cr_expect_eq(g_array_index(lags, int64_t, 1), 0);
  mal_udp_close(udp);
}

/* How many of 128 datagrams the first turn of the loop reads, PAUSE microseconds later. */
static unsigned first_turn(int64_t pause)
{
  Node server = { 0 }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = MAL_IPV4 });
  node_open(&client, (MalUdpOptions){ .family = MAL_IPV4 });
  for (unsigned n = 0; n < 128; n++)
    send_one(&client, mal_udp_port(server.udp));
  for (int64_t begun = mal_runtime_monotonic(rt); mal_runtime_monotonic(rt) < begun + pause;)
    ;
  RUN_UNTIL(rt, server.got > 0);
  unsigned got = server.got;
  RUN_UNTIL(rt, server.got == 128);
  node_close(&server);
  node_close(&client);
  return got;
}

/* What was read first goes its way while the rest is read, unless it is late in any case. This
   process may be late at any time, and the kernel late with its stamps. */
Test(runtime_glib_shed, reads_one_batch_a_turn_and_more_when_late)
{
  unsigned in_time = 0, late = 0;
  for (int i = 0; i < 100 && in_time != 64; i++)
    in_time = first_turn(0);
  for (int i = 0; i < 100 && late != 128; i++)
    late = first_turn(20000);
  cr_expect_eq(in_time, 64);
  cr_expect_eq(late, 128);
}
