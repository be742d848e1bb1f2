/* What protects streams of the production runtime (RFC 2385, RFC 5082), and their end: over the
   loopback of a network namespace of the test's own, whose counters tell what the kernel dropped.
 */
#define _GNU_SOURCE
#include "tests/support/loop.h"
#include "tests/support/private-net.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define LIMIT (20 * MAL_US)
#define BIG (1000 * (size_t)1000)

typedef struct {
  MalStream *stream;
  bool connected, closed;
  char *error;
  GByteArray *got;
  MalStream *finish_on_data;
} Peer;

static MalRuntime *rt;
static MalListener *listener;
static Peer server, client;
static bool hold; /* the server does not start what it accepts */
static int accepted;

static void peer_event(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                       const GError *error, void *user)
{
  Peer *peer = user;
  cr_assert_eq(stream, peer->stream, "no event for a stream that was given up");
  if (what == MAL_STREAM_CONNECTED)
    peer->connected = true;
  if (what == MAL_STREAM_DATA && peer->finish_on_data != NULL) {
    g_autofree uint8_t *before = g_memdup2(data, length);
    mal_stream_send(stream, "enough", 6);
    mal_stream_finish(stream, LIMIT);
    cr_expect_arr_eq(data, before, length, "what is being looked at stays");
    peer->stream = NULL;
  }
  if (what == MAL_STREAM_DATA)
    g_byte_array_append(peer->got, data, (guint)length);
  if (what == MAL_STREAM_CLOSED) {
    peer->closed = true;
    peer->error = error != NULL ? g_strdup(error->message) : NULL;
  }
}

static const MalStreamOps peer_ops = { .event = peer_event };

static void on_accept(MalListener *from, MalStream *stream, MalEndpoint peer, void *data)
{
  (void)from;
  (void)peer;
  (void)data;
  accepted++;
  mal_stream_close(server.stream);
  server.stream = stream;
  if (!hold)
    mal_stream_start(stream, &peer_ops, &server);
}

static MalEndpoint endpoint(const char *text, uint16_t port)
{
  MalEndpoint e;
  cr_assert(mal_endpoint_parse(text, port, &e, NULL));
  return e;
}

static void setup(void)
{
  server.got = g_byte_array_new();
  client.got = g_byte_array_new();
  if (!private_net_enter())
    return;
  cr_assert(private_net_set_loopback(true));
  rt = mal_runtime_glib_new(NULL);
}

static void teardown(void)
{
  if (rt == NULL)
    return;
  mal_stream_close(server.stream);
  mal_stream_close(client.stream);
  mal_listener_close(listener);
  mal_runtime_glib_free(rt);
  g_byte_array_unref(server.got);
  g_byte_array_unref(client.got);
  g_free(server.error);
  g_free(client.error);
}

TestSuite(runtime_glib_tcp, .init = setup, .fini = teardown);

#define NEED_NAMESPACE()                                                                           \
  do {                                                                                             \
    if (rt == NULL)                                                                                \
      cr_skip_test("no network namespaces here");                                                  \
  } while (0)

static void listen_on(const char *address)
{
  g_autoptr(GError) error = NULL;
  listener = mal_listener_open(rt, endpoint(address, 0), on_accept, NULL, &error);
  cr_assert_not_null(listener, "%s", error != NULL ? error->message : "");
}

static void expect_from(const char *peer, const MalStreamSecurity *security)
{
  g_autoptr(GError) error = NULL;
  cr_assert(mal_listener_set_peer(listener, endpoint(peer, 0).address, security, &error), "%s",
            error != NULL ? error->message : "");
}

static void connect_from(const char *local, const char *to, const MalStreamSecurity *security)
{
  g_autoptr(GError) error = NULL;
  client.stream =
      mal_stream_connect_secure(rt, endpoint(local, 0), endpoint(to, mal_listener_port(listener)),
                                security, &peer_ops, &client, &error);
  cr_assert_not_null(client.stream, "%s", error != NULL ? error->message : "");
}

static void pair_open(void)
{
  listen_on("127.0.0.1");
  connect_from("127.0.0.1", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.connected && accepted == 1);
}

/* What this namespace's kernel counted under NAME of TcpExt. */
static uint64_t counted(const char *name)
{
  g_autofree char *text = NULL;
  cr_assert(g_file_get_contents("/proc/thread-self/net/netstat", &text, NULL, NULL));
  g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
  g_auto(GStrv) names = g_strsplit(lines[0], " ", -1);
  g_auto(GStrv) values = g_strsplit(lines[1], " ", -1);
  for (size_t i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], name) == 0)
      return g_ascii_strtoull(values[i], NULL, 10);
  cr_assert_fail("the kernel counts no %s", name);
  return 0;
}

static MalStreamSecurity md5(const char *key)
{
  return (MalStreamSecurity){ .md5_key = (const uint8_t *)key, .md5_length = strlen(key) };
}

/* ---- TCP-MD5 --------------------------------------------------------------------------------- */

typedef struct {
  const char *address;
  const char *expected, *sent; /* keys; NULL: none */
  const char *dropped;         /* the counter of why; NULL: the stream comes up */
} KeyRow;

static const KeyRow key_rows[] = {
  { "127.0.0.1", "open sesame", "open sesame", NULL },
  { "127.0.0.1", "open sesame", "open barley", "TCPMD5Failure" },
  { "127.0.0.1", "open sesame", NULL, "TCPMD5NotFound" },
  { "127.0.0.1", NULL, "open sesame", "TCPMD5Unexpected" },
  { "::1", "open sesame", "open sesame", NULL },
  { "::1", "open sesame", "open barley", "TCPMD5Failure" },
};

static void check_key(const KeyRow *row)
{
  uint64_t before = row->dropped != NULL ? counted(row->dropped) : 0;
  MalStreamSecurity expected = row->expected != NULL ? md5(row->expected) : md5("");
  MalStreamSecurity sent = row->sent != NULL ? md5(row->sent) : md5("");
  accepted = 0;
  listen_on(row->address);
  expect_from(row->address, row->expected != NULL ? &expected : NULL);
  connect_from(row->address, row->address, row->sent != NULL ? &sent : NULL);
  if (row->dropped != NULL) {
    RUN_UNTIL(rt, counted(row->dropped) > before);
    cr_expect_not(client.connected);
    cr_expect_eq(accepted, 0);
  } else {
    RUN_UNTIL(rt, client.connected && accepted == 1);
    cr_expect(mal_stream_send(client.stream, "signed", 6));
    RUN_UNTIL(rt, server.got->len == 6);
    g_byte_array_set_size(server.got, 0);
  }
  client.connected = false;
  g_clear_pointer(&client.stream, mal_stream_close);
  g_clear_pointer(&server.stream, mal_stream_close);
  g_clear_pointer(&listener, mal_listener_close);
}

Test(runtime_glib_tcp, rfc2385_only_the_same_key_connects)
{
  NEED_NAMESPACE();
  for (size_t i = 0; i < G_N_ELEMENTS(key_rows); i++)
    check_key(&key_rows[i]);
}

/* One listener, a key a peer; a changed key and one that was taken back count from then on. */
Test(runtime_glib_tcp, rfc2385_each_peer_has_its_key)
{
  NEED_NAMESPACE();
  MalStreamSecurity one = md5("one"), two = md5("two");
  listen_on("127.0.0.1");
  expect_from("127.0.0.2", &one);
  expect_from("127.0.0.3", &one);
  expect_from("127.0.0.3", &two);
  connect_from("127.0.0.3", "127.0.0.1", &two);
  RUN_UNTIL(rt, client.connected && accepted == 1);
  g_clear_pointer(&client.stream, mal_stream_close);
  client.connected = false;
  connect_from("127.0.0.2", "127.0.0.1", &one);
  RUN_UNTIL(rt, client.connected && accepted == 2);
  g_clear_pointer(&client.stream, mal_stream_close);
  client.connected = false;
  expect_from("127.0.0.2", NULL);
  expect_from("127.0.0.2", NULL);
  connect_from("127.0.0.2", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.connected && accepted == 3);
}

/* It connected while nothing was said of it yet. */
Test(runtime_glib_tcp, rfc2385_who_came_before_the_key_does_not_get_in)
{
  NEED_NAMESPACE();
  MalStreamSecurity one = md5("one");
  listen_on("127.0.0.1");
  connect_from("127.0.0.2", "127.0.0.1", NULL);
  expect_from("127.0.0.2", &one);
  RUN_UNTIL(rt, client.closed);
  cr_expect_eq(accepted, 0);
}

Test(runtime_glib_tcp, bad_keys_and_peers_are_refused)
{
  NEED_NAMESPACE();
  uint8_t key[MAL_STREAM_MD5_KEY + 1] = { 1 };
  MalStreamSecurity security = { .md5_key = key, .md5_length = sizeof key };
  g_autoptr(GError) error = NULL;
  listen_on("127.0.0.1");
  MalAddress self = endpoint("127.0.0.1", 0).address;
  cr_expect_not(mal_listener_set_peer(listener, self, &security, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_INVALID));
  cr_expect_str_eq(error->message, "a key for TCP-MD5 (RFC 2385) has 1 to 80 octets, not 81");
  g_clear_error(&error);
  security.md5_length = 0;
  cr_expect_null(mal_stream_connect_secure(rt, (MalEndpoint){ 0 }, endpoint("127.0.0.1", 1),
                                           &security, &peer_ops, &client, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_INVALID));
  g_clear_error(&error);
  security.md5_length = MAL_STREAM_MD5_KEY;
  cr_expect(mal_listener_set_peer(listener, self, &security, NULL), "the longest");
  cr_expect_not(mal_listener_set_peer(listener, endpoint("::1", 0).address, &security, &error));
  cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_INVALID));
  cr_expect_str_eq(error->message, "the listener hears ipv4, and ::1 is not of it");
}

Test(runtime_glib_tcp, a_port_is_heard_in_both_families)
{
  NEED_NAMESPACE();
  listen_on("0.0.0.0");
  MalListener *six =
      mal_listener_open(rt, endpoint("::", mal_listener_port(listener)), on_accept, NULL, NULL);
  cr_assert_not_null(six);
  connect_from("127.0.0.1", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.connected && accepted == 1);
  g_clear_pointer(&client.stream, mal_stream_close);
  connect_from("::1", "::1", NULL);
  RUN_UNTIL(rt, accepted == 2);
  mal_listener_close(six);
}

/* ---- GTSM ------------------------------------------------------------------------------------ */

Test(runtime_glib_tcp, rfc5082_both_ends_send_255_and_ask_for_it)
{
  NEED_NAMESPACE();
  static const char *const addresses[] = { "127.0.0.1", "::1" };
  MalStreamSecurity near = { .gtsm = 1 };
  for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
    accepted = 0;
    listen_on(addresses[i]);
    expect_from(addresses[i], &near);
    connect_from(addresses[i], addresses[i], &near);
    RUN_UNTIL(rt, client.connected && accepted == 1);
    cr_expect(mal_stream_send(client.stream, "near", 4));
    RUN_UNTIL(rt, server.got->len == 4 * (i + 1));
    g_clear_pointer(&client.stream, mal_stream_close);
    g_clear_pointer(&listener, mal_listener_close);
    client.connected = false;
  }
}

Test(runtime_glib_tcp, rfc5082_who_sends_less_never_connects)
{
  NEED_NAMESPACE();
  static const bool at_listener[] = { true, false };
  MalStreamSecurity near = { .gtsm = 1 };
  for (size_t i = 0; i < G_N_ELEMENTS(at_listener); i++) {
    uint64_t before = counted("TCPMinTTLDrop");
    listen_on("127.0.0.1");
    expect_from("127.0.0.1", at_listener[i] ? &near : NULL);
    connect_from("127.0.0.1", "127.0.0.1", at_listener[i] ? NULL : &near);
    RUN_UNTIL(rt, counted("TCPMinTTLDrop") > before);
    cr_expect_not(client.connected);
    g_clear_pointer(&client.stream, mal_stream_close);
    g_clear_pointer(&listener, mal_listener_close);
  }
}

/* With peers of both kinds the kernel lets all begin; the accepted stream then is not given out. */
Test(runtime_glib_tcp, rfc5082_each_peer_by_itself)
{
  NEED_NAMESPACE();
  MalStreamSecurity near = { .gtsm = 1 }, plain = { 0 }, wide = { .gtsm = 255 };
  listen_on("127.0.0.1");
  expect_from("127.0.0.2", &near);
  expect_from("127.0.0.3", &plain);
  expect_from("127.0.0.4", &wide);
  connect_from("127.0.0.2", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.closed);
  cr_expect_eq(accepted, 0);
  g_clear_pointer(&client.stream, mal_stream_close);
  client.connected = client.closed = false;
  g_clear_pointer(&client.error, g_free);
  connect_from("127.0.0.3", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.connected && accepted == 1);
  g_clear_pointer(&client.stream, mal_stream_close);
  client.connected = false;
  connect_from("127.0.0.2", "127.0.0.1", &near);
  RUN_UNTIL(rt, client.connected && accepted == 2);
  g_clear_pointer(&client.stream, mal_stream_close);
  client.connected = false;
  connect_from("127.0.0.4", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.connected && accepted == 3);
}

/* ---- finishing ------------------------------------------------------------------------------- */

static GByteArray *pattern(void)
{
  GByteArray *bytes = g_byte_array_sized_new(BIG);
  for (size_t i = 0; i < BIG; i++)
    g_byte_array_append(bytes, (const uint8_t[]){ (uint8_t)(i * 7 + i / 251) }, 1);
  return bytes;
}

/* More than the system takes at once, to a peer that starts reading late. */
static size_t fill(MalStream *stream)
{
  g_autoptr(GByteArray) bytes = pattern();
  size_t sent = 0;
  while (mal_stream_queued(stream) == 0 && mal_stream_send(stream, bytes->data, bytes->len)) {
    sent += bytes->len;
    for (int i = 0; i < 20; i++)
      g_main_context_iteration(NULL, FALSE);
  }
  return sent;
}

Test(runtime_glib_tcp, finish_sends_all_that_is_queued)
{
  NEED_NAMESPACE();
  hold = true;
  pair_open();
  size_t sent = fill(client.stream);
  cr_assert_gt(mal_stream_queued(client.stream), 0);
  mal_stream_finish(client.stream, LIMIT);
  client.stream = NULL;
  mal_stream_start(server.stream, &peer_ops, &server);
  RUN_UNTIL(rt, server.closed);
  cr_expect_null(server.error, "an orderly end");
  cr_expect_eq(server.got->len, sent);
  g_autoptr(GByteArray) bytes = pattern();
  for (size_t i = 0; i < server.got->len; i++)
    cr_assert_eq(server.got->data[i], bytes->data[i % BIG]);
}

/* A rejected stream was never started: what its peer said stays unread, and must not turn the end
   into a reset that takes the last words with it. */
Test(runtime_glib_tcp, finish_reads_what_it_drops)
{
  NEED_NAMESPACE();
  hold = true;
  pair_open();
  size_t sent = fill(client.stream);
  cr_expect_gt(sent, 0);
  mal_stream_send(server.stream, "go away", 7);
  mal_stream_finish(server.stream, LIMIT);
  server.stream = NULL;
  RUN_UNTIL(rt, client.closed);
  cr_expect_null(client.error, "an orderly end");
  cr_assert_eq(client.got->len, 7);
  cr_expect_arr_eq(client.got->data, "go away", 7);
}

Test(runtime_glib_tcp, finish_from_its_own_callback)
{
  NEED_NAMESPACE();
  pair_open();
  server.finish_on_data = server.stream;
  mal_stream_send(client.stream, "more", 4);
  RUN_UNTIL(rt, client.closed);
  cr_expect_null(client.error);
  cr_assert_eq(client.got->len, 6);
  cr_expect_arr_eq(client.got->data, "enough", 6);
}

Test(runtime_glib_tcp, finish_ends_at_its_limit)
{
  NEED_NAMESPACE();
  hold = true;
  pair_open();
  size_t sent = fill(client.stream);
  mal_stream_finish(client.stream, MAL_US / 100);
  client.stream = NULL;
  /* The other end polls for nothing while it is silent: the kernel's counter tells of the reset. */
  RUN_UNTIL(
      rt, counted("TCPAbortOnData") + counted("TCPAbortOnLinger") + counted("TCPAbortOnClose") > 0);
  mal_stream_start(server.stream, &peer_ops, &server);
  RUN_UNTIL(rt, server.closed);
  cr_expect_not_null(server.error, "cut off");
  cr_expect_lt(server.got->len, sent);
}

/* The end of the runtime does not wait, but what was said last goes out. */
Test(runtime_glib_tcp, finishing_streams_do_not_outlive_the_runtime)
{
  NEED_NAMESPACE();
  GMainContext *other = g_main_context_new();
  MalRuntime *brief = mal_runtime_glib_new(other);
  pair_open();
  g_clear_pointer(&client.stream, mal_stream_close);
  client.connected = false;
  MalStream *last = mal_stream_connect(brief, (MalEndpoint){ 0 },
                                       endpoint("127.0.0.1", mal_listener_port(listener)),
                                       &peer_ops, &client, NULL);
  client.stream = last;
  RUN_UNTIL(brief, client.connected);
  RUN_UNTIL(rt, accepted == 2);
  client.stream = NULL;
  mal_stream_send(last, "last words", 10);
  mal_stream_finish(last, LIMIT);
  mal_runtime_glib_free(brief);
  g_main_context_unref(other);
  server.closed = false;
  RUN_UNTIL(rt, server.closed);
  cr_expect_null(server.error);
  cr_expect_eq(server.got->len, 10);
}

Test(runtime_glib_tcp, finish_before_the_connection_is_up_or_after_its_end)
{
  NEED_NAMESPACE();
  listen_on("127.0.0.1");
  connect_from("127.0.0.1", "127.0.0.1", NULL);
  mal_stream_finish(client.stream, LIMIT);
  client.stream = NULL;
  connect_from("127.0.0.1", "127.0.0.1", NULL);
  RUN_UNTIL(rt, client.connected && accepted >= 1 && server.stream != NULL);
  g_clear_pointer(&server.stream, mal_stream_close);
  mal_stream_finish(NULL, LIMIT);
}
