#include <config.h>

#include "tests/support/loop.h"
#include "tests/unit/control-socket-bed.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const MalEventDef bed_noise = { "test.noise", MAL_FAULT_NOBODY, MAL_LOG_DEBUG, "A test's." };

void bed_make_noise(Bed *b, unsigned n)
{
  g_autofree char *text = g_strnfill(1000, 'x');
  for (unsigned i = 0; i < n; i++) {
    MalField fields[] = { MAL_F_STRING("text", text), MAL_F_TIME("never", MAL_FOREVER) };
    MAL_EVENT(b->events, &bed_noise, fields, "noise %u", i);
  }
}

static void echo(MalCall *call, json_object *params, void *user)
{
  Bed *b = user;
  b->calls++;
  if (b->flood)
    bed_make_noise(b, 20000);
  mal_call_progress(call, "thinking");
  mal_call_reply(call, json_object_get(params));
}

static void slow(MalCall *call, json_object *params, void *user)
{
  Bed *b = user;
  b->calls++;
  for (int64_t end = g_get_monotonic_time() + 1000; g_get_monotonic_time() < end;)
    continue;
  mal_call_reply(call, json_object_get(params));
}

static void wait_for_it(MalCall *call, json_object *params, void *user)
{
  Bed *b = user;
  (void)params;
  b->calls++;
  b->waiting = call;
}

static void fail_long(MalCall *call, json_object *params, void *user)
{
  (void)params;
  (void)user;
  mal_call_fail_literal(call, MAL_ERROR_NO_SPACE, "cut in a character: \xc3");
}

static void subscribe(MalCall *call, json_object *params, void *user)
{
  (void)user;
  cr_assert(mal_call_subscribe(call, mal_param_string(params, "prefix", "")));
  mal_call_reply(call, json_object_new_object());
}

static const MalParam prefix_param[] = { { "prefix", MAL_PARAM_STRING, false, "" } };
static const MalMethod methods[] = {
  { "test.echo", MAL_ACCESS_READ, NULL, 0, "", echo },
  { "test.slow", MAL_ACCESS_READ, NULL, 0, "", slow },
  { "test.wait", MAL_ACCESS_READ, NULL, 0, "", wait_for_it },
  { "test.fail", MAL_ACCESS_READ, NULL, 0, "", fail_long },
  { "test.subscribe", MAL_ACCESS_READ, prefix_param, 1, "", subscribe },
};

void bed_init(Bed *b)
{
  g_autoptr(GError) error = NULL;
  *b = (Bed){ .context = g_main_context_new(), .dir = g_dir_make_tmp("mal-control-XXXXXX", NULL) };
  b->rt = mal_runtime_glib_new(b->context);
  b->events = mal_events_new(b->rt, NULL, NULL);
  b->control = mal_control_new();
  b->path = g_build_filename(b->dir, "control.sock", NULL);
  MalControlSocketOptions o = {
    .context = b->context, .control = b->control, .events = b->events, .path = b->path
  };
  b->socket = mal_control_socket_open(&o, &error);
  cr_assert_not_null(b->socket, "%s", error ? error->message : "");
  mal_control_add(b->control, "test", methods, G_N_ELEMENTS(methods), b);
}

void bed_clear(Bed *b)
{
  mal_control_socket_close(b->socket);
  cr_assert(!g_file_test(b->path, G_FILE_TEST_EXISTS));
  mal_control_free(b->control);
  mal_events_free(b->events);
  mal_runtime_glib_free(b->rt);
  g_main_context_unref(b->context);
  g_rmdir(b->dir);
  g_free(b->dir);
  g_free(b->path);
}

int bed_client(const Bed *b)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy(a.sun_path, b->path, sizeof a.sun_path);
  cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  return fd;
}

void bed_turn(Bed *b)
{
  while (g_main_context_iteration(b->context, FALSE))
    continue;
}

bool bed_say_octets(Bed *b, int fd, const char *text, size_t length)
{
  while (length > 0) {
    ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      return false;
    if (n > 0) {
      text += n;
      length -= (size_t)n;
    }
    bed_turn(b);
  }
  return true;
}

bool bed_say(Bed *b, int fd, const char *text)
{
  return bed_say_octets(b, fd, text, strlen(text));
}

json_object *bed_hear(Bed *b, int fd)
{
  g_autoptr(GString) line = g_string_new(NULL);
  int64_t limit = g_get_monotonic_time() + LOOP_LIMIT_MS * 1000;
  for (;;) {
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    if (n == 1 && c == '\n')
      break;
    if (n == 1)
      g_string_append_c(line, c);
    else if (n == 0 || errno != EAGAIN)
      return NULL;
    bed_turn(b);
    cr_assert(g_get_monotonic_time() < limit, "no answer came");
  }
  json_object *o = json_tokener_parse(line->str);
  cr_assert_not_null(o, "%s", line->str);
  return o;
}

static int code_of(json_object *o)
{
  json_object *e, *code;
  return json_object_object_get_ex(o, "error", &e) && json_object_object_get_ex(e, "code", &code)
             ? json_object_get_int(code)
             : 0;
}

bool bed_is_answer(json_object *o)
{
  return json_object_object_get_ex(o, "id", NULL);
}

int bed_answer(Bed *b, int fd)
{
  for (json_object *o; (o = bed_hear(b, fd));) {
    int code = code_of(o);
    bool is = bed_is_answer(o);
    json_object_put(o);
    if (is)
      return code;
  }
  return 1;
}
