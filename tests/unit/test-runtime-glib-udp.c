/* Datagrams of the GLib runtime, on the loopback interface only. */
#define _GNU_SOURCE
#include "tests/support/loop.h"
#include "tests/support/private-net.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static MalRuntime *rt;
static uint32_t lo;

/* ---- the system's sendmmsg, so that a test can make it fail ---------------------------------- */

static int refuse_length = -1;  /* EPERM for a datagram of this length */
static unsigned budget = UINT_MAX;  /* datagrams that the socket still takes, then it is full */
static int send_calls;
static unsigned largest_batch;

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
  send_calls++;
  for (unsigned i = 0; i < count; i++)
    if ((int)messages[i].msg_hdr.msg_iov->iov_len == refuse_length) {
      if (i == 0) {
        errno = EPERM;
        return -1;
      }
      count = i;
    }
  if (budget == 0) {
    errno = EAGAIN;
    return -1;
  }
  largest_batch = MAX(largest_batch, count);
  int sent = (int)syscall(SYS_sendmmsg, fd, messages, MIN(count, budget), flags);
  if (budget != UINT_MAX && sent > 0)
    budget -= (unsigned)sent;
  return sent;
}

static void set_up(void)
{
  rt = mal_runtime_glib_new(NULL);
  lo = if_nametoindex("lo");
}

static void tear_down(void)
{
  g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
  mal_runtime_glib_free(rt);
}

TestSuite(runtime_glib_udp, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- a socket that notes what it gets, and may echo ------------------------------------------ */

typedef struct {
  MalUdp *udp;
  bool echo, close_now;
  GArray *got;              /* MalDatagram, the data copied */
} Node;

static void node_receive(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  Node *node = data;
  cr_assert_eq(udp, node->udp);
  for (size_t i = 0; i < count; i++) {
    MalDatagram d = datagrams[i];
    if (node->echo)
      mal_udp_send(udp, &d);
    d.data = g_memdup2(d.data, d.length);
    g_array_append_val(node->got, d);
  }
  if (node->close_now)
    g_clear_pointer(&node->udp, mal_udp_close);
}

static void node_open(Node *node, MalUdpOptions options)
{
  g_autoptr(GError) error = NULL;
  node->got = g_array_new(FALSE, FALSE, sizeof(MalDatagram));
  node->udp = mal_udp_open(rt, &options, node_receive, node, &error);
  cr_assert_not_null(node->udp, "%s", error != NULL ? error->message : "");
}

static void node_reset(Node *node)
{
  for (guint i = 0; i < node->got->len; i++)
    g_free((void *)g_array_index(node->got, MalDatagram, i).data);
  g_array_set_size(node->got, 0);
}

static void node_close(Node *node)
{
  node_reset(node);
  mal_udp_close(node->udp);
  g_array_unref(node->got);
}

static const MalDatagram *got(const Node *node, guint i)
{
  cr_assert_lt(i, node->got->len);
  return &g_array_index(node->got, MalDatagram, i);
}

static MalAddress addr(const char *text)
{
  MalAddress a = mal_address_none();
  cr_assert(mal_address_parse(text, &a, NULL), "%s", text);
  return a;
}

static MalDatagram datagram(const char *to, uint16_t port, const void *data, size_t length)
{
  return (
      MalDatagram){ .peer = { .address = addr(to), .port = port }, .data = data, .length = length };
}

static void send_text(Node *from, const char *to, uint16_t port, const char *text)
{
  MalDatagram d = datagram(to, port, text, strlen(text));
  mal_udp_send(from->udp, &d);
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

/* ---- unicast --------------------------------------------------------------------------------- */

/* Sixty-four at a time, so that no system's smallest buffers overflow. */
static void echo(MalFamily family, const char *to, const char *also_to)
{
  Node server = { .echo = true }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = family });
  node_open(&client, (MalUdpOptions){ .family = family });
  uint16_t port = mal_udp_port(server.udp);
  cr_assert_neq(port, 0);
  for (uint32_t round = 0; round < 16; round++) {
    const char *target = round % 2 == 0 ? to : also_to;
    for (uint32_t i = 0; i < 64; i++) {
      uint32_t number = round * 64 + i;
      MalDatagram d = datagram(target, port, &number, sizeof number);
      mal_udp_send(client.udp, &d);
    }
    cr_assert_eq(client.got->len, round * 64, "never from inside the call");
    RUN_UNTIL(rt, client.got->len == (round + 1) * 64);
  }
  for (uint32_t i = 0; i < 1024; i++) {
    MalAddress target = addr(i / 64 % 2 == 0 ? to : also_to);
    cr_assert_eq(memcmp(got(&server, i)->data, &i, sizeof i), 0);
    cr_assert(mal_address_equal(got(&server, i)->local, target), "the destination that it bore");
    cr_assert_eq(got(&server, i)->ifindex, lo);
    cr_assert_eq(got(&server, i)->peer.port, mal_udp_port(client.udp));
    cr_assert_eq(memcmp(got(&client, i)->data, &i, sizeof i), 0);
    cr_assert(mal_address_equal(got(&client, i)->peer.address, target),
              "the source that was asked for");
    cr_assert_eq(got(&client, i)->peer.port, port);
  }
  MalUdpCounters c = mal_udp_counters(server.udp);
  cr_expect_eq(c.received, 1024);
  cr_expect_eq(c.sent, 1024);
  cr_expect_lt(c.batches, 200, "datagrams come in batches: %d", (int)c.batches);
  cr_expect_eq(largest_batch, 64, "and leave in batches");
  cr_expect_eq(c.send_errors + c.truncated, 0);
  node_close(&server);
  node_close(&client);
}

Test(runtime_glib_udp, echo_ipv4)
{
  echo(MAL_IPV4, "127.0.0.1", "127.0.0.2");
}

Test(runtime_glib_udp, echo_ipv6)
{
  if (!have_ipv6())
    cr_skip_test("no ::1 here");
  echo(MAL_IPV6, "::1", "::1");
}

Test(runtime_glib_udp, source_address_by_choice)
{
  Node server = { 0 }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = MAL_IPV4, .bind = addr("127.0.0.1") });
  node_open(&client, (MalUdpOptions){ .family = MAL_IPV4 });
  static const char *const sources[] = { "127.0.0.7", "127.0.0.8", NULL };
  for (guint i = 0; i < 3; i++) {
    MalDatagram d = datagram("127.0.0.1", mal_udp_port(server.udp), "x", 1);
    if (sources[i] != NULL)
      d.local = addr(sources[i]);
    mal_udp_send(client.udp, &d);
  }
  RUN_UNTIL(rt, server.got->len == 3);
  for (guint i = 0; i < 3; i++)
    cr_expect(mal_address_equal(got(&server, i)->peer.address,
                                addr(sources[i] != NULL ? sources[i] : "127.0.0.1")));
  node_close(&server);
  node_close(&client);
}

Test(runtime_glib_udp, truncated_empty_and_largest)
{
  static const struct { size_t length, want; bool truncated; } cases[] = {
    { 0, 0, false }, { 9, 9, false }, { 10, 10, false }, { 11, 10, true }, { 60000, 10, true },
  };
  static const uint8_t zeros[65536];
  Node server = { 0 }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = MAL_IPV4, .receive_limit = 10 });
  node_open(&client, (MalUdpOptions){ .family = MAL_IPV4 });
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    MalDatagram d = datagram("127.0.0.1", mal_udp_port(server.udp), zeros, cases[i].length);
    mal_udp_send(client.udp, &d);
  }
  RUN_UNTIL(rt, server.got->len == G_N_ELEMENTS(cases));
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    cr_expect_eq(got(&server, i)->length, cases[i].want, "%u", i);
    cr_expect_eq(got(&server, i)->truncated, cases[i].truncated, "%u", i);
  }
  cr_expect_eq(mal_udp_counters(server.udp).truncated, 2);
  MalDatagram largest = datagram("127.0.0.1", mal_udp_port(client.udp), zeros, 65507);
  mal_udp_send(server.udp, &largest);
  RUN_UNTIL(rt, client.got->len == 1);
  cr_expect_eq(got(&client, 0)->length, 65507);
  cr_expect_not(got(&client, 0)->truncated);
  node_close(&server);
  node_close(&client);
}

/* ---- what can't be sent ---------------------------------------------------------------------- */

Test(runtime_glib_udp, refused_datagrams_are_counted_and_the_rest_leaves)
{
  static const uint8_t zeros[MAL_MAX_DATAGRAM + 1];
  Node server = { 0 }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = MAL_IPV4 });
  node_open(&client, (MalUdpOptions){ .family = MAL_IPV4 });
  uint16_t port = mal_udp_port(server.udp);
  static const size_t too_long[] = { 65508, MAL_MAX_DATAGRAM, MAL_MAX_DATAGRAM + 1 };
  refuse_length = 77;
  send_text(&client, "127.0.0.1", port, "first");
  send_text(&client, "::1", port, "of another family");
  for (size_t i = 0; i < G_N_ELEMENTS(too_long); i++) {
    MalDatagram d = datagram("127.0.0.1", port, zeros, too_long[i]);
    mal_udp_send(client.udp, &d);
  }
  MalDatagram forbidden = datagram("127.0.0.1", port, zeros, 77), wrong_source = forbidden;
  mal_udp_send(client.udp, &forbidden);
  wrong_source.length = 5;
  wrong_source.local = addr("192.0.2.55");
  mal_udp_send(client.udp, &wrong_source);
  send_text(&client, "127.0.0.1", port, "last");
  RUN_UNTIL(rt, server.got->len == 2);
  cr_expect_arr_eq(got(&server, 1)->data, "last", 4);
  cr_expect_eq(mal_udp_counters(client.udp).send_errors, 6);
  cr_expect_eq(mal_udp_counters(client.udp).sent, 2);
  node_close(&server);
  node_close(&client);
}

Test(runtime_glib_udp, full_socket_keeps_a_bounded_queue_in_order)
{
  enum { TRIED = 5000, KEPT = 4096 };
  Node server = { 0 }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = MAL_IPV4 });
  node_open(&client, (MalUdpOptions){ .family = MAL_IPV4 });
  budget = 0;
  for (uint32_t i = 0; i < TRIED; i++) {
    MalDatagram d = datagram("127.0.0.1", mal_udp_port(server.udp), &i, sizeof i);
    mal_udp_send(client.udp, &d);
  }
  cr_expect_eq(mal_udp_counters(client.udp).send_errors, TRIED - KEPT,
               "dropped beyond the bound, and counted");
  cr_expect_eq(mal_udp_counters(client.udp).sent, 0);
  int calls = send_calls;
  cr_expect_leq(calls, 2, "a blocked socket is not tried again until it is writable");
  /* A hundred at a time: the rest moves up each time that the socket is full again. */
  for (uint32_t target = 0; target < KEPT;) {
    budget = 100;
    target = MIN(target + 100, KEPT);
    RUN_UNTIL(rt, server.got->len == target);
  }
  for (uint32_t i = 0; i < KEPT; i++)
    cr_assert_eq(memcmp(got(&server, i)->data, &i, sizeof i), 0, "in order");
  cr_expect_eq(mal_udp_counters(client.udp).sent, KEPT);
  send_text(&client, "127.0.0.1", mal_udp_port(server.udp), "after");
  RUN_UNTIL(rt, server.got->len == KEPT + 1);
  node_close(&server);
  node_close(&client);
}

static void send_in_turns(void *data)
{
  Node *node = data;
  send_text(node, "127.0.0.1", mal_udp_port(node->udp), "a");
  send_text(node, "127.0.0.1", mal_udp_port(node->udp), "b");
}

Test(runtime_glib_udp, sends_of_one_callback_leave_together)
{
  Node node = { 0 };
  node_open(&node, (MalUdpOptions){ .family = MAL_IPV4 });
  MalTimer *timers[3];
  for (int i = 0; i < 3; i++) {
    timers[i] = mal_timer_new(rt, send_in_turns, &node);
    mal_timer_set(timers[i], 0);
  }
  RUN_UNTIL(rt, node.got->len == 6);
  cr_expect_eq(send_calls, 1, "%d calls", send_calls);
  for (int i = 0; i < 3; i++)
    mal_timer_free(timers[i]);
  node_close(&node);
}

Test(runtime_glib_udp, closed_from_its_own_callback_sends_what_was_queued)
{
  Node server = { .echo = true, .close_now = true }, client = { 0 };
  node_open(&server, (MalUdpOptions){ .family = MAL_IPV4 });
  node_open(&client, (MalUdpOptions){ .family = MAL_IPV4 });
  send_text(&client, "127.0.0.1", mal_udp_port(server.udp), "bye");
  RUN_UNTIL(rt, client.got->len == 1);
  cr_expect_null(server.udp);
  node_close(&server);
  node_close(&client);
}

Test(runtime_glib_udp, closed_while_it_has_something_queued)
{
  Node a = { 0 }, b = { 0 };
  node_open(&a, (MalUdpOptions){ .family = MAL_IPV4 });
  node_open(&b, (MalUdpOptions){ .family = MAL_IPV4 });
  send_text(&a, "127.0.0.1", mal_udp_port(b.udp), "x");
  g_clear_pointer(&a.udp, mal_udp_close);
  RUN_UNTIL(rt, b.got->len == 1);
  node_close(&a);
  node_close(&b);
}

/* ---- opening --------------------------------------------------------------------------------- */

Test(runtime_glib_udp, port_in_use)
{
  Node first = { 0 };
  node_open(&first, (MalUdpOptions){ .family = MAL_IPV4, .bind = addr("127.0.0.1") });
  MalUdpOptions same = { .family = MAL_IPV4,
                         .bind = addr("127.0.0.1"),
                         .port = mal_udp_port(first.udp) };
  g_autoptr(GError) error = NULL;
  cr_assert_null(mal_udp_open(rt, &same, node_receive, NULL, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK));
  g_autofree char *port = g_strdup_printf("UDP port %u on 127.0.0.1", same.port);
  cr_expect_not_null(strstr(error->message, port), "%s", error->message);
  cr_expect_not_null(strstr(error->message, "is another mallocd running?"), "%s", error->message);
  node_close(&first);
}

Test(runtime_glib_udp, port_shared_by_choice)
{
  Node a = { 0 }, b = { 0 };
  node_open(&a, (MalUdpOptions){ .family = MAL_IPV4, .reuse = true });
  node_open(&b, (MalUdpOptions){ .family = MAL_IPV4, .reuse = true, .port = mal_udp_port(a.udp) });
  cr_expect_eq(mal_udp_port(a.udp), mal_udp_port(b.udp));
  node_close(&a);
  node_close(&b);
}

Test(runtime_glib_udp, wrong_options)
{
  static const MalUdpOptions none = { .family = MAL_FAMILY_NONE };
  MalUdpOptions mixed = { .family = MAL_IPV4, .bind = addr("::1") };
  MalUdpOptions foreign = { .family = MAL_IPV4, .bind = addr("192.0.2.55") };
  g_autoptr(GError) e1 = NULL, e2 = NULL, e3 = NULL;
  cr_expect_null(mal_udp_open(rt, &none, node_receive, NULL, &e1));
  cr_expect(g_error_matches(e1, MAL_ERROR, MAL_ERROR_INVALID));
  cr_expect_null(mal_udp_open(rt, &mixed, node_receive, NULL, &e2));
  cr_expect(g_error_matches(e2, MAL_ERROR, MAL_ERROR_INVALID));
  cr_expect_null(mal_udp_open(rt, &foreign, node_receive, NULL, &e3));
  cr_expect(g_error_matches(e3, MAL_ERROR, MAL_ERROR_NETWORK));
  cr_expect_not_null(strstr(e3->message, "192.0.2.55"), "%s", e3->message);
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* The source is named: on loopback the system would take an address of another interface. */
static void send_group(Node *from, MalAddress self, uint32_t ifindex, MalAddress group,
                       uint16_t port, const char *text)
{
  MalDatagram d = { .local = self, .ifindex = ifindex, .peer = { .address = group, .port = port },
                    .data = (const uint8_t *)text, .length = strlen(text) };
  mal_udp_send(from->udp, &d);
}

/* Two sockets on one port; only the one that joined hears the group, until it leaves. */
static void group_traffic(uint32_t ifindex, const char *group_text, const char *self_text)
{
  Node member = { 0 }, other = { 0 }, client = { 0 };
  MalAddress group = addr(group_text), self = addr(self_text);
  MalFamily family = group.family;
  g_autoptr(GError) error = NULL;
  node_open(&member, (MalUdpOptions){ .family = family, .reuse = true });
  uint16_t port = mal_udp_port(member.udp);
  node_open(&other, (MalUdpOptions){ .family = family, .reuse = true, .port = port });
  node_open(&client, (MalUdpOptions){ .family = family, .multicast_loop = true });
  cr_assert(mal_udp_join(member.udp, ifindex, group, &error), "%s",
            error != NULL ? error->message : "");
  cr_assert(mal_udp_join(member.udp, ifindex, group, &error), "joining twice is success");
  send_group(&client, self, ifindex, group, port, "hello");
  RUN_UNTIL(rt, member.got->len == 1);
  cr_expect(mal_address_equal(got(&member, 0)->local, group));
  cr_expect_eq(got(&member, 0)->ifindex, ifindex);
  cr_expect(mal_address_equal(got(&member, 0)->peer.address, self));
  cr_expect_eq(got(&member, 0)->peer.port, mal_udp_port(client.udp));
  cr_assert(mal_udp_leave(member.udp, ifindex, group, &error));
  cr_expect_not(mal_udp_leave(member.udp, ifindex, group, NULL), "not a member any more");
  send_group(&client, self, ifindex, group, port, "nobody listens");
  /* Joined again, it hears what comes after that: so that was lost, not late. */
  RUN_UNTIL(rt, mal_udp_counters(client.udp).sent == 2);
  cr_assert(mal_udp_join(member.udp, ifindex, group, &error));
  send_group(&client, self, ifindex, group, port, "again");
  RUN_UNTIL(rt, member.got->len == 2);
  cr_expect_eq(got(&member, 1)->length, 5);
  cr_expect_eq(other.got->len, 0, "only who joined hears it");
  node_close(&member);
  node_close(&other);
  node_close(&client);
}

Test(runtime_glib_udp, group_on_loopback_rfc1112)
{
  group_traffic(lo, "239.255.255.254", "127.0.0.1");
}

/* Linux delivers no IPv6 groups on its loopback interface, so this needs interfaces of its own. */
static void need_pair(void)
{
  if (!private_net_enter() || !private_net_set_loopback(true) || !private_net_add_pair())
    cr_skip_test("no network namespace with interfaces of its own here");
}

Test(runtime_glib_udp, group_on_an_interface)
{
  need_pair();
  group_traffic(77, "239.255.255.254", "192.0.2.1");
  group_traffic(77, "ff05::db8:0:1", "2001:db8::1");
  group_traffic(77, "ff02::db8:0:1", "2001:db8::1");
}

static void interface_returns(const char *group_text, const char *self_text)
{
  Node member = { 0 }, client = { 0 };
  MalAddress group = addr(group_text), self = addr(self_text);
  node_open(&member, (MalUdpOptions){ .family = group.family });
  node_open(&client, (MalUdpOptions){ .family = group.family, .multicast_loop = true });
  cr_assert(mal_udp_join(member.udp, 77, group, NULL));
  cr_assert(private_net_remove_pair());
  cr_expect(mal_udp_leave(member.udp, 77, group, NULL), "left although the interface is gone");
  cr_expect_not(mal_udp_join(member.udp, 77, group, NULL), "no interface, no group");
  send_group(&client, self, 77, group, mal_udp_port(member.udp), "lost");
  RUN_UNTIL(rt, mal_udp_counters(client.udp).send_errors == 1);
  cr_assert(private_net_add_pair());
  cr_expect(mal_udp_join(member.udp, 77, group, NULL));
  send_group(&client, self, 77, group, mal_udp_port(member.udp), "heard");
  RUN_UNTIL(rt, member.got->len == 1);
  node_close(&member);
  node_close(&client);
}

Test(runtime_glib_udp, group_after_the_interface_returned)
{
  need_pair();
  interface_returns("239.255.255.254", "192.0.2.1");
  interface_returns("ff05::db8:0:1", "2001:db8::1");
}

Test(runtime_glib_udp, wrong_groups)
{
  Node node = { 0 };
  node_open(&node, (MalUdpOptions){ .family = MAL_IPV4 });
  static const struct {
    const char *group;
    uint32_t ifindex;
    int code;
    const char *says;
  } cases[] = {
    { "192.0.2.1", 1, MAL_ERROR_INVALID, "not a multicast address" },
    { "ff05::1", 1, MAL_ERROR_INVALID, "not a multicast address" },
    { "239.255.255.254", 999999, MAL_ERROR_NETWORK, "239.255.255.254 on interface #999999" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    cr_expect_not(mal_udp_join(node.udp, cases[i].ifindex, addr(cases[i].group), &error));
    cr_assert(g_error_matches(error, MAL_ERROR, cases[i].code), "%zu", i);
    cr_expect_not_null(strstr(error->message, cases[i].says), "%s", error->message);
  }
  node_close(&node);
}

/* The TTL with which a group datagram arrives at a plain socket. */
static int received_ttl(int fd)
{
  char data[16], control[64];
  struct iovec vector = { data, sizeof data };
  struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                           .msg_controllen = sizeof control };
  int ttl = -1;
  if (recvmsg(fd, &header, MSG_DONTWAIT) < 0)
    return -1;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c))
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
      memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
  return ttl;
}

Test(runtime_glib_udp, ttl_is_that_of_the_time_of_sending)
{
  static const struct {
    uint8_t set;
    int want;
  } cases[] = { { 16, 16 }, { 0, 1 }, { 255, 255 }, { 31, 31 } };
  int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
  struct sockaddr_in address = { .sin_family = AF_INET };
  struct ip_mreqn join = { .imr_ifindex = (int)lo };
  socklen_t length = sizeof address;
  mal_address_to_bytes(addr("239.255.255.254"), (uint8_t *)&join.imr_multiaddr);
  cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
  cr_assert_eq(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join), 0);
  cr_assert_eq(setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof one), 0);
  Node client = { 0 };
  node_open(&client,
            (MalUdpOptions){ .family = MAL_IPV4, .multicast_loop = true, .multicast_ttl = 9 });
  send_group(&client, addr("127.0.0.1"), lo, addr("239.255.255.254"), ntohs(address.sin_port), "x");
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    mal_udp_set_multicast_ttl(client.udp, cases[i].set);
    send_group(&client, addr("127.0.0.1"), lo, addr("239.255.255.254"), ntohs(address.sin_port),
               "x");
  }
  RUN_UNTIL(rt, mal_udp_counters(client.udp).sent == 1 + G_N_ELEMENTS(cases));
  cr_expect_eq(received_ttl(fd), 9);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    cr_expect_eq(received_ttl(fd), cases[i].want, "%zu", i);
  close(fd);
  node_close(&client);
}

/* ---- fairness -------------------------------------------------------------------------------- */

static void keep_busy(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  (void)data;
  for (size_t i = 0; i < count; i++)
    mal_udp_send(udp, &datagrams[i]);   /* to itself, for ever */
}

static void set_flag(void *data)
{
  *(bool *)data = true;
}

Test(runtime_glib_udp, a_flood_starves_neither_timers_nor_deferred_calls)
{
  static const MalUdpOptions options = { .family = MAL_IPV4 };
  bool fired = false, deferred = false;
  MalUdp *udp = mal_udp_open(rt, &options, keep_busy, NULL, NULL);
  MalTimer *timer = mal_timer_new(rt, set_flag, &fired);
  for (int i = 0; i < 200; i++) {
    MalDatagram d = datagram("127.0.0.1", mal_udp_port(udp), "x", 1);
    mal_udp_send(udp, &d);
  }
  RUN_UNTIL(rt, mal_udp_counters(udp).received > 1000);
  mal_timer_set(timer, mal_runtime_monotonic(rt) + 1000);
  mal_runtime_defer(rt, set_flag, &deferred);
  RUN_UNTIL(rt, fired && deferred);
  mal_timer_free(timer);
  mal_udp_close(udp);
}
