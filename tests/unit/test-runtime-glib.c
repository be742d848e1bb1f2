/* The GLib runtime without datagrams: the worker, TCP, interfaces. */
#define _GNU_SOURCE
#include "tests/support/loop.h"
#include "tests/support/private-net.h"

#include <net/if.h>
#include <string.h>

static MalRuntime *rt;

static void set_up(void)
{
  rt = mal_runtime_glib_new(NULL);
}

static void tear_down(void)
{
  /* A handle that was left open is a bug of the test or of the runtime. */
  g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
  mal_runtime_glib_free(rt);
}

TestSuite(runtime_glib, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- the worker ------------------------------------------------------------------------------ */

typedef struct {
  int id;
  GThread *ran_on;
} JobProbe;

static int run_order[2000], done_order[2000];
/* run_count: the worker's thread only, until its jobs are done */
static int run_count, done_count;
static MalWorker *worker;

static void job_run(void *data)
{
  JobProbe *job = data;
  job->ran_on = g_thread_self();
  run_order[run_count++] = job->id;
}

static void job_done(void *data)
{
  const JobProbe *job = data;
  cr_assert_neq(job->ran_on, g_thread_self());
  done_order[done_count++] = job->id;
}

static void job_done_frees_worker(void *data)
{
  job_done(data);
  g_clear_pointer(&worker, mal_worker_free);
}

static void job_done_submits(void *data)
{
  static JobProbe more = { .id = 99 };
  job_done(data);
  mal_worker_submit(worker, job_run, job_done, &more);
}

static void expect_order(int count)
{
  cr_assert_eq(done_count, count);
  cr_assert_eq(run_count, count);
  for (int i = 0; i < count; i++) {
    cr_assert_eq(run_order[i], i);
    cr_assert_eq(done_order[i], i);
  }
}

Test(runtime_glib, worker_runs_and_reports_in_order)
{
  enum { N = 2000 };
  JobProbe *jobs = g_new0(JobProbe, N);
  worker = mal_worker_new(rt, "test");
  for (int i = 0; i < N; i++) {
    jobs[i].id = i;
    mal_worker_submit(worker, job_run, job_done, &jobs[i]);
  }
  cr_expect_eq(done_count, 0, "never from inside the call");
  RUN_UNTIL(rt, done_count == N);
  expect_order(N);
  mal_worker_free(worker);
  g_free(jobs);
}

Test(runtime_glib, worker_free_waits_and_delivers)
{
  JobProbe jobs[100] = { 0 };
  worker = mal_worker_new(rt, "test");
  for (int i = 0; i < 100; i++) {
    jobs[i].id = i;
    mal_worker_submit(worker, job_run, job_done, &jobs[i]);
  }
  mal_worker_submit(worker, NULL, NULL, NULL);
  mal_worker_free(worker);
  expect_order(100);
}

Test(runtime_glib, worker_freed_from_done_delivers_the_rest)
{
  JobProbe jobs[100] = { 0 };
  worker = mal_worker_new(rt, "test");
  for (int i = 0; i < 100; i++) {
    jobs[i].id = i;
    mal_worker_submit(worker, job_run, i == 3 ? job_done_frees_worker : job_done, &jobs[i]);
  }
  RUN_UNTIL(rt, worker == NULL);
  expect_order(100);
}

Test(runtime_glib, worker_free_runs_what_a_done_submits)
{
  JobProbe job = { .id = 0 };
  worker = mal_worker_new(rt, "test");
  mal_worker_submit(worker, job_run, job_done_submits, &job);
  mal_worker_free(worker);
  cr_expect_eq(done_count, 2);
  cr_expect_eq(done_order[1], 99);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

typedef struct {
  MalStream *stream;
  bool connected, closed, close_on_data, start_later;
  char *error;
  int writable;
  GByteArray *got;
} Peer;

static void peer_event(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                       const GError *error, void *user)
{
  Peer *peer = user;
  cr_assert_eq(stream, peer->stream);
  cr_assert_not(peer->closed, "nothing follows CLOSED");
  switch (what) {
  case MAL_STREAM_CONNECTED:
    peer->connected = true;
    break;
  case MAL_STREAM_DATA:
    g_byte_array_append(peer->got, data, (guint)length);
    if (peer->close_on_data)
      g_clear_pointer(&peer->stream, mal_stream_close);
    break;
  case MAL_STREAM_WRITABLE:
    peer->writable++;
    break;
  case MAL_STREAM_CLOSED:
    peer->closed = true;
    peer->error = error != NULL ? g_strdup(error->message) : NULL;
    break;
  }
}

static const MalStreamOps peer_ops = { .event = peer_event };
static Peer server, client;
static MalListener *listener;
static MalEndpoint accepted_from;

static void on_accept(MalListener *from, MalStream *stream, MalEndpoint peer, void *data)
{
  cr_assert_eq(from, listener);
  server.stream = stream;
  accepted_from = peer;
  if (!server.start_later)
    mal_stream_start(stream, &peer_ops, data);
}

static MalEndpoint endpoint(const char *text)
{
  MalEndpoint e;
  cr_assert(mal_endpoint_parse(text, 0, &e, NULL));
  return e;
}

static void pair_open(const char *address)
{
  g_autoptr(GError) error = NULL;
  server.got = g_byte_array_new();
  client.got = g_byte_array_new();
  listener = mal_listener_open(rt, endpoint(address), on_accept, &server, &error);
  cr_assert_not_null(listener, "%s", error != NULL ? error->message : "");
  MalEndpoint to = endpoint(address);
  to.port = mal_listener_port(listener);
  cr_assert_neq(to.port, 0);
  client.stream = mal_stream_connect(rt, (MalEndpoint){ 0 }, to, &peer_ops, &client, &error);
  cr_assert_not_null(client.stream, "%s", error != NULL ? error->message : "");
  cr_expect_not(client.connected, "never from inside the call");
}

static void pair_close(void)
{
  mal_stream_close(server.stream);
  mal_stream_close(client.stream);
  mal_listener_close(listener);
  g_byte_array_unref(server.got);
  g_byte_array_unref(client.got);
  g_free(server.error);
  g_free(client.error);
}

static void exchange_and_close(const char *address)
{
  pair_open(address);
  cr_expect(mal_stream_send(client.stream, "early", 5), "queued until it is connected");
  RUN_UNTIL(rt, client.connected && server.got->len == 5);
  cr_expect_arr_eq(server.got->data, "early", 5);
  cr_expect(mal_address_equal(accepted_from.address, endpoint(address).address));
  cr_expect_neq(accepted_from.port, 0);
  cr_expect(mal_stream_send(server.stream, "back", 4));
  cr_expect(mal_stream_send(server.stream, "", 0));
  cr_expect_eq(mal_stream_queued(server.stream), 4);
  RUN_UNTIL(rt, client.got->len == 4);
  cr_expect_eq(mal_stream_queued(server.stream), 0);
  cr_expect(mal_stream_send(server.stream, "last", 4));
  g_clear_pointer(&server.stream, mal_stream_close);
  RUN_UNTIL(rt, client.closed);
  cr_expect_null(client.error, "an orderly end");
  cr_expect_arr_eq(client.got->data, "backlast", 8, "what was queued leaves before the end");
  cr_expect_not(mal_stream_send(client.stream, "x", 1));
  pair_close();
}

Test(runtime_glib, tcp_exchange_and_close_ipv4)
{
  exchange_and_close("127.0.0.1");
}

static bool have_ipv6(void)
{
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(rt);
  MalAddress one = mal_address_make(MAL_IPV6, 1);
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    for (size_t k = 0; k < interface->n_addresses; k++)
      if (mal_address_equal(interface->addresses[k], one))
        return true;
  }
  return false;
}

Test(runtime_glib, tcp_exchange_and_close_ipv6)
{
  if (!have_ipv6())
    cr_skip_test("no ::1 here");
  exchange_and_close("::1");
}

Test(runtime_glib, tcp_accepted_stream_is_silent_until_started)
{
  server.start_later = true;
  pair_open("127.0.0.1");
  mal_stream_send(client.stream, "hello", 5);
  RUN_UNTIL(rt, server.stream != NULL && client.connected && mal_stream_queued(client.stream) == 0);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  cr_expect_eq(server.got->len, 0);
  mal_stream_start(server.stream, &peer_ops, &server);
  RUN_UNTIL(rt, server.got->len == 5);
  pair_close();
}

Test(runtime_glib, tcp_queue_is_bounded_and_becomes_writable)
{
  enum { CHUNK = 100 * 1000 };
  g_autofree uint8_t *chunk = g_malloc(CHUNK);
  size_t sent = 0;
  for (size_t i = 0; i < CHUNK; i++)
    chunk[i] = (uint8_t)(i * 7);
  server.start_later = true;
  pair_open("127.0.0.1");
  RUN_UNTIL(rt, server.stream != NULL && client.connected);
  cr_expect_not(mal_stream_send(client.stream, chunk, MAL_STREAM_QUEUE + 1), "more than ever fits");
  /* Nobody reads: the system's buffers fill up, then the queue. */
  while (mal_stream_send(client.stream, chunk, CHUNK)) {
    sent += CHUNK;
    cr_assert_leq(mal_stream_queued(client.stream), MAL_STREAM_QUEUE);
    g_main_context_iteration(NULL, FALSE);
    cr_assert_lt(sent, (size_t)1 << 30);
  }
  client.writable = 0;
  size_t queued = mal_stream_queued(client.stream);
  cr_expect_gt(queued, MAL_STREAM_QUEUE - CHUNK);
  mal_stream_start(server.stream, &peer_ops, &server);
  RUN_UNTIL(rt, client.writable > 0 && server.got->len >= sent);
  cr_expect_eq(client.writable, 1);
  cr_expect_eq(server.got->len, sent, "what was refused was not queued");
  for (size_t i = 0; i < sent; i++)
    cr_assert_eq(server.got->data[i], chunk[i % CHUNK], "octet %zu", i);
  pair_close();
}

Test(runtime_glib, tcp_closed_from_its_own_callback)
{
  pair_open("127.0.0.1");
  server.close_on_data = true;
  mal_stream_send(client.stream, "x", 1);
  RUN_UNTIL(rt, client.closed);
  cr_expect_null(server.stream);
  pair_close();
}

Test(runtime_glib, tcp_refused)
{
  g_autoptr(GError) error = NULL;
  MalListener *gone = mal_listener_open(rt, endpoint("127.0.0.1"), on_accept, NULL, NULL);
  MalEndpoint to = endpoint("127.0.0.1");
  to.port = mal_listener_port(gone);
  mal_listener_close(gone);
  client.got = g_byte_array_new();
  client.stream = mal_stream_connect(rt, (MalEndpoint){ 0 }, to, &peer_ops, &client, &error);
  cr_assert_not_null(client.stream);
  RUN_UNTIL(rt, client.closed);
  cr_expect_not(client.connected);
  cr_assert_not_null(client.error);
  cr_expect_not_null(strstr(client.error, "can't connect"));
  mal_stream_close(client.stream);
  g_byte_array_unref(client.got);
  g_free(client.error);
}

Test(runtime_glib, tcp_port_in_use)
{
  g_autoptr(GError) error = NULL;
  MalListener *first = mal_listener_open(rt, endpoint("127.0.0.1"), on_accept, NULL, NULL);
  MalEndpoint same = endpoint("127.0.0.1");
  same.port = mal_listener_port(first);
  cr_expect_null(mal_listener_open(rt, same, on_accept, NULL, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK));
  g_autofree char *port = g_strdup_printf("TCP port %u on 127.0.0.1", same.port);
  cr_expect_not_null(strstr(error->message, port), "%s", error->message);
  cr_expect_not_null(strstr(error->message, "is another mallocd running?"));
  mal_listener_close(first);
}

/* ---- interfaces ------------------------------------------------------------------------------ */

Test(runtime_glib, interfaces_name_the_loopback)
{
  g_autoptr(GArray) interfaces = mal_runtime_interfaces(rt);
  bool seen = false;
  for (guint i = 0; i < interfaces->len; i++) {
    const MalInterface *interface = &g_array_index(interfaces, MalInterface, i);
    cr_expect_eq(interface->index, if_nametoindex(interface->name));
    if (!interface->loopback)
      continue;
    seen = true;
    cr_expect_str_eq(interface->name, "lo");
    cr_expect(interface->up);
    cr_assert_gt(interface->n_addresses, 0);
    cr_expect(mal_address_equal(interface->addresses[0], mal_address_ipv4(0x7f000001)));
  }
  cr_expect(seen);
}

static int changes;

static void on_change(void *data)
{
  (void)data;
  changes++;
}

Test(runtime_glib, watch_reports_a_burst_of_changes_once)
{
  if (!private_net_enter())
    cr_skip_test("no network namespaces here");
  MalInterfaceWatch *watch = mal_interface_watch_new(rt, on_change, NULL);
  for (int i = 0; i < 5; i++) {
    private_net_set_loopback(true);
    private_net_set_loopback(false);
  }
  cr_assert(private_net_set_loopback(true));
  RUN_UNTIL(rt, changes > 0);
  cr_expect_eq(changes, 1);
  cr_assert(private_net_set_loopback(false));
  RUN_UNTIL(rt, changes > 1);
  mal_interface_watch_free(watch);
}
