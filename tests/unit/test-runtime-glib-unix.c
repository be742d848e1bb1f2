/* Streams to unix sockets, against a server of plain system calls. */
#include "tests/support/loop.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static MalRuntime *rt;
static char dir[] = "/tmp/mallocd-unix-XXXXXX";
static char *path;

static void set_up(void)
{
  rt = mal_runtime_glib_new(NULL);
  cr_assert_not_null(g_mkdtemp(dir));
  path = g_build_filename(dir, "s", NULL);
}

static void tear_down(void)
{
  mal_runtime_glib_free(rt);
  unlink(path);
  rmdir(dir);
  g_free(path);
}

TestSuite(runtime_glib_unix, .init = set_up, .fini = tear_down, .timeout = 60);

typedef struct {
  bool connected, closed;
  GString *got;
} Peer;

static void on_event(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                     const GError *error, void *user)
{
  Peer *peer = user;
  (void)stream;
  cr_expect_null(error);
  peer->connected |= what == MAL_STREAM_CONNECTED;
  peer->closed |= what == MAL_STREAM_CLOSED;
  if (what == MAL_STREAM_DATA)
    g_string_append_len(peer->got, (const char *)data, (gssize)length);
}

static const MalStreamOps ops = { .event = on_event };

static int serve(void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  cr_assert_eq(listen(fd, 1), 0);
  return fd;
}

Test(runtime_glib_unix, talks_both_ways)
{
  g_autoptr(GError) error = NULL;
  Peer peer = { .got = g_string_new(NULL) };
  char text[8] = "";
  int server = serve();
  MalStream *stream = mal_stream_connect_unix(rt, path, &ops, &peer, &error);
  cr_assert_not_null(stream, "%s", error ? error->message : "");
  cr_expect_not(peer.connected, "never from inside the call");
  cr_expect(mal_stream_send(stream, "hello", 5));
  RUN_UNTIL(rt, peer.connected && mal_stream_queued(stream) == 0);
  int fd = accept(server, NULL, NULL);
  cr_assert_eq(read(fd, text, sizeof text), 5);
  cr_expect_str_eq(text, "hello");
  cr_assert_eq(write(fd, "back", 4), 4);
  RUN_UNTIL(rt, peer.got->len == 4);
  cr_expect_str_eq(peer.got->str, "back");
  close(fd);
  RUN_UNTIL(rt, peer.closed);
  mal_stream_close(stream);
  close(server);
  g_string_free(peer.got, TRUE);
}

Test(runtime_glib_unix, says_why_it_cannot)
{
  Peer peer = { 0 };
  g_autofree char *endless = g_strnfill(200, 'x');
  const char *paths[] = { path, endless, "/dev/null" };
  for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
    g_autoptr(GError) error = NULL;
    cr_expect_null(mal_stream_connect_unix(rt, paths[i], &ops, &peer, &error), "%s", paths[i]);
    cr_assert(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK), "%s", paths[i]);
    cr_expect(strstr(error->message, paths[i]), "%s", error->message);
  }
  close(serve()); /* a socket that nobody listens on any more */
  cr_expect_null(mal_stream_connect_unix(rt, path, &ops, &peer, NULL));
}
