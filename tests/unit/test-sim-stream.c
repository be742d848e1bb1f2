/* The simulator's streams: order, refusal, ends, resets, partitions, the limit of what may wait. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND MAL_US
#define PORT 2587

typedef struct {
  MalStream *stream;
  GByteArray *got;
  int connected, writable, closed, events;
  GError *error;
  bool echo, close_at_end;
} End;

typedef struct {
  MalSim *sim;
  MalSimLink *link;
  MalSimNode *client_node, *server_node;
  MalListener *listener;
  End client, server;
  MalEndpoint from;
  bool hold; /* the server doesn't start its streams */
} World;

static void on_event(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                     const GError *error, void *user)
{
  End *end = user;
  end->events++;
  cr_expect_eq(end->closed, 0, "nothing comes after CLOSED");
  if (what == MAL_STREAM_CONNECTED)
    end->connected++;
  else if (what == MAL_STREAM_WRITABLE)
    end->writable++;
  else if (what == MAL_STREAM_DATA)
    g_byte_array_append(end->got, data, (guint)length);
  if (what == MAL_STREAM_DATA && end->echo)
    cr_expect(mal_stream_send(stream, data, length));
  if (what == MAL_STREAM_CLOSED) {
    end->closed++;
    g_clear_error(&end->error);
    end->error = error ? g_error_copy(error) : NULL;
    if (end->close_at_end) {
      mal_stream_close(stream);
      end->stream = NULL;
    }
  }
}

static const MalStreamOps ops = { on_event };

static void on_accept(MalListener *listener, MalStream *stream, MalEndpoint peer, void *data)
{
  World *w = data;
  (void)listener;
  w->from = peer;
  w->server.stream = stream;
  if (!w->hold)
    mal_stream_start(stream, &ops, &w->server);
}

static MalEndpoint server_endpoint(void)
{
  return (MalEndpoint){ mal_address_ipv4(0xc6336402), PORT, 0 };
}

static void listen_again(World *w)
{
  w->listener = mal_listener_open(mal_sim_node_runtime(w->server_node),
                                  (MalEndpoint){ mal_address_ipv4(0), PORT, 0 }, on_accept, w,
                                  NULL);
  cr_assert_not_null(w->listener);
}

static void connect_client(World *w)
{
  w->client.stream = mal_stream_connect(mal_sim_node_runtime(w->client_node), (MalEndpoint){ 0 },
                                        server_endpoint(), &ops, &w->client, NULL);
  cr_assert_not_null(w->client.stream);
}

static void world_init(World *w, uint64_t seed)
{
  *w = (World){ .sim = mal_sim_new(seed) };
  w->link = mal_sim_link_new(w->sim, "lan");
  w->client_node = mal_sim_node_new(w->sim, "client");
  w->server_node = mal_sim_node_new(w->sim, "server");
  mal_sim_iface_add(mal_sim_iface_new(w->client_node, w->link, "eth0"), "198.51.100.1");
  mal_sim_iface_add(mal_sim_iface_new(w->server_node, w->link, "eth0"), "198.51.100.2");
  w->client.got = g_byte_array_new();
  w->server.got = g_byte_array_new();
  listen_again(w);
}

static void world_connected(World *w, uint64_t seed)
{
  world_init(w, seed);
  connect_client(w);
  mal_sim_run_for(w->sim, SECOND);
  cr_assert_eq(w->client.connected, 1);
  cr_assert_not_null(w->server.stream);
}

static void world_clear(World *w)
{
  mal_sim_free(w->sim);
  g_byte_array_unref(w->client.got);
  g_byte_array_unref(w->server.got);
  g_clear_error(&w->client.error);
  g_clear_error(&w->server.error);
}

static GByteArray *pattern(size_t n)
{
  GByteArray *bytes = g_byte_array_sized_new((guint)n);
  for (size_t i = 0; i < n; i++)
    g_byte_array_append(bytes, (const uint8_t[]){ (uint8_t)(i * 7 + i / 251) }, 1);
  return bytes;
}

static void expect_bytes(const GByteArray *got, const GByteArray *sent)
{
  cr_assert_eq(got->len, sent->len);
  cr_expect_arr_eq(got->data, sent->data, sent->len);
}

/* All bytes, in order, there and back, whatever the link does, in pieces of the seed's choice. */
Test(sim_stream, bytes_in_order_over_a_bad_link)
{
  g_autoptr(GByteArray) sent = pattern(100000);
  for (uint64_t seed = 0; seed < 10; seed++) {
    World w;
    world_connected(&w, seed);
    cr_expect(mal_address_equal(w.from.address, mal_address_ipv4(0xc6336401)));
    w.server.echo = true;
    mal_sim_link_set_faults(w.link, &(MalSimFaults){ .latency_min = 100,
                                                     .latency_max = 90000,
                                                     .jitter = 30000,
                                                     .loss = MAL_SIM_PERCENT(10),
                                                     .reorder = MAL_SIM_PERCENT(30) });
    for (guint at = 0; at < sent->len; at += 1000)
      cr_expect(mal_stream_send(w.client.stream, sent->data + at, 1000));
    mal_sim_run_for(w.sim, 600 * SECOND);
    expect_bytes(w.server.got, sent);
    expect_bytes(w.client.got, sent);
    cr_expect_gt(w.server.events, 7);
    mal_stream_close(w.client.stream);
    mal_sim_run_for(w.sim, 600 * SECOND);
    cr_expect_eq(w.server.closed, 1);
    cr_expect_null(w.server.error);
    cr_expect_not(mal_stream_send(w.server.stream, "x", 1));
    mal_stream_close(w.server.stream);
    mal_listener_close(w.listener);
    cr_expect_eq(mal_sim_node_handles(w.client_node) + mal_sim_node_handles(w.server_node), 0u);
    world_clear(&w);
  }
}

Test(sim_stream, what_was_sent_before_close_arrives)
{
  World w;
  world_connected(&w, 20);
  w.server.close_at_end = true;
  mal_stream_send(w.client.stream, "farewell", 8);
  mal_stream_close(w.client.stream);
  mal_sim_run_for(w.sim, 10 * SECOND);
  cr_expect_eq(w.server.got->len, 8u);
  cr_expect_eq(w.server.closed, 1);
  cr_expect_null(w.server.stream);
  world_clear(&w);
}

Test(sim_stream, nobody_listens_or_nobody_answers)
{
  static const struct {
    bool down;
    int64_t after;
    const char *message;
  } rows[] = {
    { false, 1, "can't connect: Connection refused" },
    { true, 200, "can't connect: Connection timed out" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    world_init(&w, 21);
    mal_listener_close(w.listener);
    if (rows[i].down)
      mal_sim_node_crash(w.server_node, MAL_SIM_DISK_KEPT);
    connect_client(&w);
    cr_expect_eq(w.client.events, 0);
    mal_sim_run_for(w.sim, rows[i].after * SECOND);
    cr_assert_eq(w.client.closed, 1, "row %zu", i);
    cr_expect_eq(w.client.connected, 0);
    cr_expect(g_error_matches(w.client.error, MAL_ERROR, MAL_ERROR_NETWORK));
    cr_expect_str_eq(w.client.error->message, rows[i].message);
    world_clear(&w);
  }
}

Test(sim_stream, a_connection_attempt_survives_a_short_outage)
{
  World w;
  world_init(&w, 22);
  mal_sim_link_set_up(w.link, false);
  connect_client(&w);
  mal_sim_run_for(w.sim, 10 * SECOND);
  cr_expect_eq(w.client.events, 0);
  mal_sim_link_set_up(w.link, true);
  mal_sim_run_for(w.sim, 30 * SECOND);
  cr_expect_eq(w.client.connected, 1);
  world_clear(&w);
}

Test(sim_stream, a_partition_stalls_then_all_arrives_or_time_runs_out)
{
  static const struct {
    int64_t lasts;
    bool arrives;
  } rows[] = { { 120, true }, { 1100, false } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    world_connected(&w, 23);
    mal_stream_send(w.client.stream, "one", 3);
    mal_sim_partition(w.sim, &w.client_node, 1, &w.server_node, 1); /* cuts it off on its way */
    mal_stream_send(w.client.stream, "two", 3);
    mal_sim_run_for(w.sim, rows[i].lasts * SECOND);
    cr_expect_eq(w.server.got->len, 0u);
    cr_expect_eq(w.client.closed, !rows[i].arrives);
    mal_sim_heal_all(w.sim);
    mal_sim_run_for(w.sim, 120 * SECOND);
    cr_expect_eq(w.server.got->len, rows[i].arrives ? 6u : 0u);
    cr_expect(!w.server.got->len || !memcmp(w.server.got->data, "onetwo", 6));
    cr_expect(rows[i].arrives ||
              !strcmp(w.client.error->message, "can't receive: Connection timed out"));
    world_clear(&w);
  }
}

/* What follows a lost piece waits for it, though it had a way itself. */
Test(sim_stream, nothing_overtakes_what_was_cut_off)
{
  World w;
  world_connected(&w, 28);
  mal_sim_link_set_faults(w.link, &(MalSimFaults){ .latency_min = 10000, .latency_max = 10000 });
  mal_stream_send(w.client.stream, "one", 3);
  mal_sim_run_for(w.sim, 5000);
  mal_stream_send(w.client.stream, "two", 3);
  mal_sim_link_set_up(w.link, false);
  mal_sim_run_for(w.sim, 6000);
  mal_sim_link_set_up(w.link, true); /* "one" is lost, "two" still on its way */
  mal_sim_run_for(w.sim, 10000);
  cr_expect_eq(w.server.got->len, 0u);
  mal_sim_run_for(w.sim, 10 * SECOND);
  cr_assert_eq(w.server.got->len, 6u);
  cr_expect_arr_eq(w.server.got->data, "onetwo", 6);
  world_clear(&w);
}

/* The peer's host dies: silence, until it is back and resets what it doesn't know any more, or the
   keep-alive finds out. */
Test(sim_stream, crash_of_the_peer)
{
  static const struct {
    bool restart, send;
    int64_t keepalive;
    const char *message;
  } rows[] = {
    { false, true, 0, NULL },
    { true, false, 0, NULL },
    { true, true, 0, "can't receive: Connection reset by peer" },
    { true, false, 10, "can't receive: Connection reset by peer" },
    { false, false, 10, "can't receive: Connection timed out" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    world_init(&w, 24);
    mal_sim_set_stream_options(
        w.sim, &(MalSimStreamOptions){ 130 * SECOND, 900 * SECOND, rows[i].keepalive * SECOND, 0 });
    connect_client(&w);
    mal_sim_run_for(w.sim, SECOND);
    mal_sim_node_crash(w.server_node, MAL_SIM_DISK_KEPT);
    if (rows[i].send)
      mal_stream_send(w.client.stream, "anybody", 7);
    mal_sim_run_for(w.sim, 5 * SECOND);
    cr_expect_eq(w.client.closed, 0);
    if (rows[i].restart)
      mal_sim_node_restart(w.server_node);
    mal_sim_run_for(w.sim, 300 * SECOND);
    cr_expect_eq(w.client.closed, rows[i].message != NULL, "row %zu", i);
    cr_expect(!rows[i].message || !strcmp(w.client.error->message, rows[i].message), "row %zu", i);
    cr_expect_eq(w.server.closed, 0, "the dead end hears nothing");
    mal_stream_close(w.server.stream); /* a dead handle */
    mal_stream_close(w.client.stream);
    world_clear(&w);
  }
}

Test(sim_stream, a_silent_stream_keeps_what_arrives_and_holds_the_sender_back)
{
  World w;
  g_autoptr(GByteArray) sent = pattern(1 << 20);
  world_init(&w, 25);
  w.hold = true;
  connect_client(&w);
  mal_sim_run_for(w.sim, SECOND);
  cr_expect(mal_stream_send(w.client.stream, sent->data, sent->len));
  mal_sim_run_for(w.sim, 60 * SECOND);
  cr_expect_eq(w.server.events, 0);
  size_t queued = mal_stream_queued(w.client.stream);
  cr_expect(queued > sent->len - 100000 && queued < sent->len);
  cr_expect_not(mal_stream_send(w.client.stream, sent->data, sent->len),
                "more than 1 MiB would wait");
  cr_expect_eq(mal_stream_queued(w.client.stream), queued);
  cr_expect(mal_stream_send(w.client.stream, "", 0));
  mal_stream_start(w.server.stream, &ops, &w.server);
  cr_expect_eq(w.server.events, 0, "not from within the call");
  mal_sim_run_for(w.sim, 60 * SECOND);
  expect_bytes(w.server.got, sent);
  cr_expect_eq(w.client.writable, 1);
  cr_expect_eq(mal_stream_queued(w.client.stream), 0u);
  world_clear(&w);
}

Test(sim_stream, listeners_do_not_share_a_port)
{
  World w;
  g_autoptr(GError) error = NULL;
  world_init(&w, 26);
  MalRuntime *rt = mal_sim_node_runtime(w.server_node);
  cr_expect_null(mal_listener_open(rt, server_endpoint(), on_accept, &w, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK));
  cr_expect_str_eq(
      error->message,
      "TCP port 2587 on 198.51.100.2 is in use by another program (is another mallocd running?)");
  MalListener *any = mal_listener_open(rt, (MalEndpoint){ mal_address_ipv4(0), 0, 0 }, on_accept,
                                       &w, NULL);
  cr_expect_geq(mal_listener_port(any), 32768);
  mal_listener_close(w.listener);
  cr_expect_not_null(mal_listener_open(rt, server_endpoint(), on_accept, &w, NULL));
  world_clear(&w);
}

/* A host talks to itself. */
Test(sim_stream, loopback)
{
  World w;
  world_init(&w, 27);
  w.server.echo = true;
  MalEndpoint self = { mal_address_ipv4(0x7f000001), PORT, 0 };
  w.client.stream = mal_stream_connect(mal_sim_node_runtime(w.server_node), (MalEndpoint){ 0 },
                                       self, &ops, &w.client, NULL);
  mal_sim_link_set_up(w.link, false);
  mal_sim_run_for(w.sim, SECOND);
  cr_assert_eq(w.client.connected, 1);
  mal_stream_send(w.client.stream, "mirror", 6);
  mal_sim_run_for(w.sim, SECOND);
  cr_expect_eq(w.client.got->len, 6u);
  world_clear(&w);
}

/* RFC 2385, RFC 5082: what the ends were not told alike is dropped, and the attempt times out. */
Test(sim_stream, rfc2385_rfc5082_both_ends_must_agree)
{
  static const struct {
    const char *listener_key, *client_key;
    uint8_t listener_gtsm, client_gtsm;
    bool connects;
  } rows[] = {
    { "a", "a", 0, 0, true },   { "a", "b", 0, 0, false },   { "a", NULL, 0, 0, false },
    { NULL, "a", 0, 0, false }, { NULL, NULL, 1, 1, true },  { NULL, NULL, 1, 0, false },
    { NULL, NULL, 0, 1, false }, { NULL, NULL, 255, 0, true }, { "a", "a", 1, 1, true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    World w;
    MalStreamSecurity here = { (const uint8_t *)rows[i].listener_key, 1, rows[i].listener_gtsm };
    MalStreamSecurity there = { (const uint8_t *)rows[i].client_key, 1, rows[i].client_gtsm };
    world_init(&w, 30);
    cr_expect(mal_listener_set_peer(w.listener, mal_address_ipv4(0xc6336401), &here, NULL));
    w.client.stream =
        mal_stream_connect_secure(mal_sim_node_runtime(w.client_node), (MalEndpoint){ 0 },
                                  server_endpoint(), &there, &ops, &w.client, NULL);
    mal_sim_run_for(w.sim, 200 * SECOND);
    cr_expect_eq(w.client.connected, rows[i].connects, "row %zu", i);
    cr_expect_eq(w.server.stream != NULL, rows[i].connects, "row %zu", i);
    cr_expect(rows[i].connects ||
              !strcmp(w.client.error->message, "can't connect: Connection timed out"));
    world_clear(&w);
  }
}

Test(sim_stream, rfc2385_a_key_that_comes_late_lets_the_attempt_through)
{
  World w;
  MalStreamSecurity key = { (const uint8_t *)"a", 1, 0 };
  MalAddress peer = mal_address_ipv4(0xc6336401);
  g_autoptr(GError) error = NULL;
  world_init(&w, 31);
  w.client.stream =
      mal_stream_connect_secure(mal_sim_node_runtime(w.client_node), (MalEndpoint){ 0 },
                                server_endpoint(), &key, &ops, &w.client, NULL);
  mal_sim_run_for(w.sim, 5 * SECOND);
  cr_expect_eq(w.client.events, 0);
  cr_expect(mal_listener_set_peer(w.listener, peer, &key, NULL));
  mal_sim_run_for(w.sim, 30 * SECOND);
  cr_expect_eq(w.client.connected, 1);
  cr_expect(mal_listener_set_peer(w.listener, peer, NULL, NULL));
  cr_expect_not(mal_listener_set_peer(w.listener, mal_address_make(MAL_IPV6, 1), &key, &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_INVALID));
  world_clear(&w);
}

/* All that is queued arrives, then the end, though more than a window waits, the link is bad, and
   the other end talks on. */
Test(sim_stream, finish_sends_what_close_would_lose)
{
  g_autoptr(GByteArray) sent = pattern(1 << 20);
  static const bool finishes[] = { true, false };
  for (size_t i = 0; i < G_N_ELEMENTS(finishes); i++) {
    World w;
    world_connected(&w, 32);
    mal_sim_link_set_faults(w.link, &(MalSimFaults){ .latency_min = 5000,
                                                     .latency_max = 90000,
                                                     .loss = MAL_SIM_PERCENT(10) });
    mal_stream_send(w.server.stream, "and another thing", 17);
    cr_expect(mal_stream_send(w.client.stream, sent->data, sent->len));
    (finishes[i] ? mal_stream_finish(w.client.stream, 600 * SECOND)
                 : mal_stream_close(w.client.stream));
    cr_expect_eq(mal_sim_node_handles(w.client_node), 0u);
    mal_sim_run_for(w.sim, 600 * SECOND);
    cr_expect_eq(w.client.events, 1, "only the connection");
    cr_expect_eq(w.server.closed, 1);
    cr_expect_eq(w.server.error == NULL, finishes[i]);
    if (finishes[i])
      expect_bytes(w.server.got, sent);
    else
      cr_expect_lt(w.server.got->len, sent->len);
    world_clear(&w);
  }
}

Test(sim_stream, finish_ends_at_its_limit)
{
  World w;
  g_autoptr(GByteArray) sent = pattern(1 << 20);
  world_init(&w, 33);
  w.hold = true;
  connect_client(&w);
  mal_sim_run_for(w.sim, SECOND);
  mal_stream_send(w.client.stream, sent->data, sent->len);
  mal_stream_finish(w.client.stream, 10 * SECOND);
  mal_sim_run_for(w.sim, 60 * SECOND);
  mal_stream_start(w.server.stream, &ops, &w.server);
  mal_sim_run_for(w.sim, 60 * SECOND);
  cr_expect_eq(w.server.closed, 1);
  cr_assert_not_null(w.server.error, "cut off");
  cr_expect_lt(w.server.got->len, sent->len);
  world_clear(&w);
}

/* What a host still had to send dies with it. */
Test(sim_stream, finish_does_not_outlive_its_host)
{
  World w;
  world_connected(&w, 34);
  mal_sim_partition(w.sim, &w.client_node, 1, &w.server_node, 1);
  mal_stream_send(w.client.stream, "farewell", 8);
  mal_stream_finish(w.client.stream, 600 * SECOND);
  mal_sim_run_for(w.sim, SECOND);
  mal_sim_node_crash(w.client_node, MAL_SIM_DISK_KEPT);
  mal_sim_run_for(w.sim, SECOND);
  mal_sim_node_restart(w.client_node);
  mal_sim_heal_all(w.sim);
  mal_sim_run_for(w.sim, 60 * SECOND);
  cr_expect_eq(w.server.got->len, 0u);
  mal_stream_send(w.server.stream, "hello?", 6);
  mal_sim_run_for(w.sim, 60 * SECOND);
  cr_expect_eq(w.server.closed, 1, "and who talks to it is told");
  world_clear(&w);
}

Test(sim_stream, finish_before_the_connection_is_up_closes)
{
  World w;
  world_init(&w, 35);
  connect_client(&w);
  mal_stream_finish(w.client.stream, 600 * SECOND);
  mal_stream_finish(NULL, 1);
  mal_sim_run_for(w.sim, 60 * SECOND);
  cr_expect_eq(w.client.events, 0);
  world_clear(&w);
}
