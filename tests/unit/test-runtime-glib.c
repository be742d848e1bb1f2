/* The GLib runtime without datagrams: timers, deferred calls, the worker, TCP, interfaces. */
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

/* ---- timers ---------------------------------------------------------------------------------- */

typedef struct Probe Probe;
struct Probe {
  MalTimer *timer;
  int id;
  void (*then)(Probe *probe);
  Probe *other;
  int fired;
};

static GString *trace;

static void probe_fire(void *data)
{
  Probe *probe = data;
  probe->fired++;
  g_string_append_printf(trace, "%d ", probe->id);
  if (probe->then != NULL)
    probe->then(probe);
}

static Probe *probes_new(int count)
{
  Probe *probes = g_new0(Probe, (gsize)count);
  trace = g_string_new(NULL);
  for (int i = 0; i < count; i++) {
    probes[i].id = i;
    probes[i].timer = mal_timer_new(rt, probe_fire, &probes[i]);
  }
  return probes;
}

static void probes_free(Probe *probes, int count)
{
  for (int i = 0; i < count; i++)
    mal_timer_free(probes[i].timer);
  g_free(probes);
  g_string_free(trace, TRUE);
}

Test(runtime_glib, timers_fire_by_deadline_and_then_by_arming)
{
  static const int offsets[] = { 3000, 1000, 2000, 1000, 0, 1000 };
  Probe *p = probes_new(6);
  int64_t base = mal_runtime_monotonic(rt) + 1000;
  for (int i = 0; i < 6; i++)
    mal_timer_set(p[i].timer, base + offsets[i]);
  RUN_UNTIL(rt, p[0].fired);
  cr_expect_geq(mal_runtime_monotonic(rt), base + 3000, "never early");
  cr_expect_str_eq(trace->str, "4 1 3 5 2 0 ");
  probes_free(p, 6);
}

Test(runtime_glib, timer_set_again_moves_and_stop_stops)
{
  Probe *p = probes_new(4);
  int64_t now = mal_runtime_monotonic(rt);
  mal_timer_set(p[0].timer, now + 1000);
  mal_timer_set(p[1].timer, now + 2000);
  mal_timer_set(p[2].timer, now + 3000);
  mal_timer_set(p[3].timer, now + 4000);
  mal_timer_set(p[0].timer, now + 3500);
  mal_timer_set(p[2].timer, now + 500);
  mal_timer_stop(p[1].timer);
  mal_timer_stop(p[1].timer);
  RUN_UNTIL(rt, p[3].fired);
  cr_expect_str_eq(trace->str, "2 0 3 ");
  mal_timer_set(p[1].timer, INT64_MAX);
  mal_timer_set(p[0].timer, INT64_MIN);
  RUN_UNTIL(rt, p[0].fired == 2);
  cr_expect_eq(p[1].fired, 0);
  probes_free(p, 4);
}

static void free_self(Probe *probe)
{
  g_clear_pointer(&probe->timer, mal_timer_free);
}

static void free_other(Probe *probe)
{
  g_clear_pointer(&probe->other->timer, mal_timer_free);
}

static void set_in_the_past(Probe *probe)
{
  mal_timer_set(probe->timer, 0);
}

Test(runtime_glib, timers_freed_from_callbacks)
{
  Probe *p = probes_new(4);
  int64_t now = mal_runtime_monotonic(rt);
  p[0].then = free_self;
  p[1].then = free_other;
  p[1].other = &p[2];
  for (int i = 0; i < 4; i++)
    mal_timer_set(p[i].timer, now);
  RUN_UNTIL(rt, p[3].fired);
  cr_expect_str_eq(trace->str, "0 1 3 ", "one that another freed in the same turn does not fire");
  probes_free(p, 4);
}

Test(runtime_glib, timer_rearmed_in_the_past_starves_nobody)
{
  Probe *p = probes_new(3);
  int64_t now = mal_runtime_monotonic(rt);
  p[0].then = set_in_the_past;
  mal_timer_set(p[0].timer, now - 10);
  mal_timer_set(p[1].timer, now - 5);
  mal_timer_set(p[2].timer, now + 20000);
  g_main_context_iteration(NULL, TRUE);
  cr_expect_str_eq(trace->str, "0 1 ", "once a turn");
  RUN_UNTIL(rt, p[2].fired);
  cr_expect_gt(p[0].fired, 2);
  probes_free(p, 3);
}

static int64_t last_deadline;
static int heap_fired;
typedef struct {
  MalTimer *timer;
  int64_t deadline;   /* INT64_MAX: stopped */
} Heaped;

static void heap_fire(void *data)
{
  Heaped *h = data;
  cr_assert_geq(h->deadline, last_deadline);
  cr_assert_neq(h->deadline, INT64_MAX, "a stopped timer fired");
  last_deadline = h->deadline;
  heap_fired++;
}

Test(runtime_glib, thousands_of_timers_set_moved_and_stopped_fire_in_order)
{
  enum { N = 3000 };
  Heaped *h = g_new0(Heaped, N);
  int expected = 0;
  int64_t now = mal_runtime_monotonic(rt);
  GRand *rand = g_rand_new_with_seed(20);
  last_deadline = 0;
  for (int i = 0; i < N; i++) {
    h[i].timer = mal_timer_new(rt, heap_fire, &h[i]);
    h[i].deadline = INT64_MAX;
  }
  for (int i = 0; i < 5 * N; i++) {
    Heaped *one = &h[g_rand_int_range(rand, 0, N)];
    if (g_rand_int_range(rand, 0, 4) == 0) {
      mal_timer_stop(one->timer);
      one->deadline = INT64_MAX;
    } else {
      one->deadline = now - g_rand_int_range(rand, 0, 100000);
      mal_timer_set(one->timer, one->deadline);
    }
  }
  for (int i = 0; i < N; i++)
    expected += h[i].deadline != INT64_MAX;
  RUN_UNTIL(rt, heap_fired == expected);
  for (int i = 0; i < N; i++)
    mal_timer_free(h[i].timer);
  g_free(h);
  g_rand_free(rand);
}

/* ---- deferred calls and clocks --------------------------------------------------------------- */

static void defer_note(void *data)
{
  g_string_append(trace, data);
}

static void defer_nested(void *data)
{
  g_string_append(trace, data);
  mal_runtime_defer(rt, defer_note, "nested ");
}

static void timer_note(void *data)
{
  g_string_append(trace, data);
}

Test(runtime_glib, deferred_calls_run_in_order_after_what_is_ready)
{
  trace = g_string_new(NULL);
  MalTimer *timer = mal_timer_new(rt, timer_note, "timer ");
  mal_runtime_defer(rt, defer_nested, "a ");
  mal_runtime_defer(rt, defer_note, "b ");
  mal_timer_set(timer, 0);
  cr_expect_str_eq(trace->str, "", "never from inside the call");
  g_main_context_iteration(NULL, TRUE);
  cr_expect_str_eq(trace->str, "timer a b ");
  g_main_context_iteration(NULL, TRUE);
  cr_expect_str_eq(trace->str, "timer a b nested ");
  mal_runtime_defer(rt, defer_note, "never, and leaks nothing");
  mal_timer_free(timer);
  g_string_free(trace, TRUE);
}

static int criticals;

static void count_critical(const char *domain, GLogLevelFlags level, const char *message,
                           gpointer data)
{
  (void)domain;
  (void)data;
  criticals += (level & G_LOG_LEVEL_CRITICAL) != 0 && strstr(message, "runs the main loop") != NULL;
}

static void run_the_loop(void *data)
{
  mal_timer_set(data, 0);
  g_main_context_iteration(NULL, FALSE);
  mal_timer_stop(data);
}

Test(runtime_glib, a_callback_that_runs_the_loop_is_told_so)
{
  Probe *p = probes_new(1);
  g_log_set_default_handler(count_critical, NULL);
  mal_runtime_defer(rt, run_the_loop, p[0].timer);
  RUN_UNTIL(rt, criticals > 0);
  g_log_set_default_handler(g_log_default_handler, NULL);
  cr_expect_eq(p[0].fired, 0, "no callback within a callback");
  probes_free(p, 1);
}

Test(runtime_glib, clocks_and_random)
{
  uint8_t a[32] = { 0 }, b[32] = { 0 };
  int64_t before = mal_runtime_monotonic(rt);
  cr_expect_geq(mal_runtime_monotonic(rt), before);
  cr_expect_gt(mal_runtime_now(rt), 1600000000);
  mal_runtime_random(rt, a, sizeof a);
  mal_runtime_random(rt, b, sizeof b);
  cr_expect_neq(memcmp(a, b, sizeof a), 0);
  for (int i = 0; i < 1000; i++)
    cr_assert_lt(mal_runtime_random_below(rt, 7), 7);
}

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
