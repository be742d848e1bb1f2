/* The control API on its unix socket, met by clients that behave badly. */
#include <config.h>

#include "core/control-socket.h"
#include "tests/support/loop.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1}\n"

typedef struct {
  GMainContext *context;
  MalRuntime *rt;
  MalEvents *events;
  MalControl *control;
  MalControlSocket *socket;
  char *dir, *path;
  MalCall *waiting;
  unsigned calls;
  bool flood;                 /* test.echo emits events before it answers */
} Bed;

static const MalEventDef noise = { "test.noise", MAL_FAULT_NOBODY, MAL_LOG_DEBUG, "A test's." };

static void make_noise(Bed *b, unsigned n)
{
  g_autofree char *text = g_strnfill(1000, 'x');
  for (unsigned i = 0; i < n; i++) {
    MalField fields[] = { MAL_F_STRING("text", text), MAL_F_TIME("never", MAL_FOREVER) };
    MAL_EVENT(b->events, &noise, fields, "noise %u", i);
  }
}

static void echo(MalCall *call, json_object *params, void *user)
{
  Bed *b = user;
  b->calls++;
  if (b->flood)
    make_noise(b, 20000);
  mal_call_progress(call, "thinking");
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
  { "test.wait", MAL_ACCESS_READ, NULL, 0, "", wait_for_it },
  { "test.fail", MAL_ACCESS_READ, NULL, 0, "", fail_long },
  { "test.subscribe", MAL_ACCESS_READ, prefix_param, 1, "", subscribe },
};

static Bed bed_new(void)
{
  g_autoptr(GError) error = NULL;
  Bed b = { .context = g_main_context_new(), .dir = g_dir_make_tmp("mal-control-XXXXXX", NULL) };
  b.rt = mal_runtime_glib_new(b.context);
  b.events = mal_events_new(b.rt, NULL, NULL);
  b.control = mal_control_new();
  b.path = g_build_filename(b.dir, "control.sock", NULL);
  MalControlSocketOptions o = {
    .context = b.context, .control = b.control, .events = b.events, .path = b.path
  };
  b.socket = mal_control_socket_open(&o, &error);
  cr_assert_not_null(b.socket, "%s", error ? error->message : "");
  return b;
}

#define BED(b)         \
  Bed b = bed_new();   \
  mal_control_add(b.control, "test", methods, G_N_ELEMENTS(methods), &b)

static void bed_clear(Bed *b)
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

static int client(const Bed *b)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy(a.sun_path, b->path, sizeof a.sun_path);
  cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  return fd;
}

static void turn(Bed *b)
{
  while (g_main_context_iteration(b->context, FALSE))
    continue;
}

/* Writes all of it while the server runs; false where the server hung up first. */
static bool say_octets(Bed *b, int fd, const char *text, size_t length)
{
  while (length > 0) {
    ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      return false;
    if (n > 0) {
      text += n;
      length -= (size_t)n;
    }
    turn(b);
  }
  return true;
}

static bool say(Bed *b, int fd, const char *text)
{
  return say_octets(b, fd, text, strlen(text));
}

/* The next line as JSON; NULL at the end of the connection. The caller puts it. */
static json_object *hear(Bed *b, int fd)
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
    turn(b);
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
           ? json_object_get_int(code) : 0;
}

static bool is_answer(json_object *o)
{
  return json_object_object_get_ex(o, "id", NULL);
}

/* The code of the next answer (0: a result), past notifications; 1 where the connection ended. */
static int answer(Bed *b, int fd)
{
  for (json_object *o; (o = hear(b, fd));) {
    int code = code_of(o);
    bool is = is_answer(o);
    json_object_put(o);
    if (is)
      return code;
  }
  return 1;
}

/* ---- lines ----------------------------------------------------------------------------------- */

Test(control_socket, lines_split_anywhere)
{
  BED(b);
  int fd = client(&b);
  for (const char *c = STATUS; *c; c++)
    cr_assert(say_octets(&b, fd, c, 1));
  cr_assert_eq(answer(&b, fd), 0);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, many_requests_in_one_write)
{
  BED(b);
  int fd = client(&b);
  g_autoptr(GString) all = g_string_new("\n\r\n  \n");
  for (int i = 0; i < 500; i++)
    g_string_append(all, STATUS);
  cr_assert(say(&b, fd, all->str));
  for (int i = 0; i < 500; i++)
    cr_assert_eq(answer(&b, fd), 0);
  cr_assert_eq(b.calls, 500);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, bad_lines_are_answered)
{
  static const struct { const char *line; int code; } table[] = {
    { "nonsense", -32700 }, { "{", -32700 }, { "[]", -32600 }, { "1", -32600 }, { "null", -32600 },
    { "true", -32600 }, { "1.5e3", -32600 }, { "\"x\"", -32600 }, { "-", -32700 },
    { "nul", -32700 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1} {}", -32700 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.ech\xc3\",\"id\":1}", -32700 },
    { "{\"method\":\"test.echo\",\"id\":1}", -32600 },
    { "{\"jsonrpc\":\"1.0\",\"method\":\"test.echo\",\"id\":1}", -32600 },
    { "{\"jsonrpc\":\"2.0\",\"method\":5,\"id\":1}", -32600 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\\u0000x\",\"id\":1}", -32600 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":[]}", -32600 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1,\"params\":[]}", -32602 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1,\"params\":{\"a\":1}}", -32602 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.ecko\",\"id\":1}", -32601 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.fail\",\"id\":1}", -32004 },
  };
  BED(b);
  int fd = client(&b);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *line = g_strconcat(table[i].line, "\n", NULL);
    cr_assert(say(&b, fd, line));
    cr_assert_eq(answer(&b, fd), table[i].code, "%s", table[i].line);
  }
  cr_assert_eq(b.calls, 0);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, deep_nesting_is_refused)
{
  BED(b);
  int fd = client(&b);
  g_autofree char *deep = g_strnfill(100000, '[');
  cr_assert(say(&b, fd, deep) && say(&b, fd, "\n"));
  cr_assert_eq(answer(&b, fd), -32700);
  close(fd);
  bed_clear(&b);
}

/* What stands before the NUL would be a good request. */
Test(control_socket, a_nul_in_a_line_is_an_error)
{
  static const char line[] = "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1}\0{\"x\":1}\n";
  BED(b);
  int fd = client(&b);
  cr_assert(say_octets(&b, fd, line, sizeof line - 1));
  cr_assert_eq(answer(&b, fd), -32700);
  cr_assert_eq(b.calls, 0);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, notifications_get_no_answer)
{
  BED(b);
  int fd = client(&b);
  cr_assert(say(&b, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\"}\n"
                        "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"params\":[]}\n"
                        "{\"jsonrpc\":\"2.0\",\"method\":\"test.nothing\"}\n" STATUS));
  cr_assert_eq(answer(&b, fd), 0);
  cr_assert_eq(b.calls, 2);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, progress_is_for_those_who_ask)
{
  static const struct { const char *member; bool told; } cases[] = {
    { "", false }, { ",\"progress\":false", false }, { ",\"progress\":true", true },
  };
  BED(b);
  int fd = client(&b);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *line = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":%zu%s}\n", i, cases[i].member);
    cr_assert(say(&b, fd, line));
    json_object *o = hear(&b, fd);
    cr_expect_eq(is_answer(o), !cases[i].told, "%s", line);
    if (!is_answer(o))
      cr_expect_eq(answer(&b, fd), 0);
    json_object_put(o);
  }
  close(fd);
  bed_clear(&b);
}

/* ---- too much -------------------------------------------------------------------------------- */

static char *long_request(size_t length)
{
  static const char head[] = "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1}";
  char *text = g_strnfill(length, ' ');
  memcpy(text + length - (sizeof head - 1), head, sizeof head);
  return text;
}

Test(control_socket, a_line_of_one_mebibyte_and_no_more)
{
  BED(b);
  for (size_t extra = 0; extra < 2; extra++) {
    int fd = client(&b);
    g_autofree char *text = long_request(1024 * 1024 + extra);
    say(&b, fd, text);
    say(&b, fd, "\n");
    cr_assert_eq(answer(&b, fd), extra ? -32600 : 0);
    cr_assert_eq(mal_control_socket_counters(b.socket).too_long, extra);
    if (extra)
      cr_assert_eq(answer(&b, fd), 1, "the connection ends");
    close(fd);
  }
  turn(&b);
  bed_clear(&b);
}

Test(control_socket, a_line_of_a_hundred_megabytes)
{
  BED(b);
  int fd = client(&b);
  g_autofree char *part = g_strnfill(1000 * 1000, '9');
  bool open = true;
  for (int i = 0; i < 100 && open; i++)
    open = say(&b, fd, part);
  cr_assert_not(open);
  cr_assert_eq(answer(&b, fd), -32600);
  cr_assert_eq(mal_control_socket_counters(b.socket).too_long, 1);
  close(fd);
  fd = client(&b);
  cr_assert(say(&b, fd, STATUS));
  cr_assert_eq(answer(&b, fd), 0, "others go on");
  close(fd);
  bed_clear(&b);
}

Test(control_socket, who_does_not_read_events_loses_the_connection)
{
  BED(b);
  int deaf = client(&b), good = client(&b);
  cr_assert(say(&b, deaf,
                "{\"jsonrpc\":\"2.0\",\"method\":\"test.subscribe\",\"id\":1,"
                "\"params\":{\"prefix\":\"test.\"}}\n"));
  make_noise(&b, 20000);
  turn(&b);
  cr_assert_eq(mal_control_socket_counters(b.socket).slow, 1);
  cr_assert(say(&b, good, STATUS));
  cr_assert_eq(answer(&b, good), 0);
  cr_assert_not(mal_event_wanted(b.events, &noise), "nobody listens any more");
  close(deaf);
  close(good);
  bed_clear(&b);
}

/* The connection ends while its own request is being handled, which answers after that. */
Test(control_socket, it_ends_within_its_own_call)
{
  BED(b);
  int fd = client(&b);
  cr_assert(say(&b, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"test.subscribe\",\"id\":1}\n"));
  cr_assert_eq(answer(&b, fd), 0);
  b.flood = true;
  cr_assert(say(&b, fd, STATUS STATUS));
  turn(&b);
  cr_assert_eq(b.calls, 1, "what came behind it is not done any more");
  cr_assert_eq(mal_control_socket_counters(b.socket).slow, 1);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, events_look_as_in_the_log)
{
  BED(b);
  int fd = client(&b);
  json_object *params, *fields, *value;
  cr_assert(say(&b, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"test.subscribe\",\"id\":1}\n"));
  cr_assert_eq(answer(&b, fd), 0);
  MalField broken[] = { MAL_F_STRING("text", "a\xff"), MAL_F_STRING("none", NULL),
                        MAL_F_INT("n", 3) };
  MAL_EVENT(b.events, &noise, broken, "%s", "b\xff");
  json_object *o = hear(&b, fd);
  cr_assert(json_object_object_get_ex(o, "params", &params)
            && json_object_object_get_ex(params, "fields", &fields));
  cr_assert(json_object_object_get_ex(fields, "text", &value));
  cr_assert_str_eq(json_object_get_string(value), "a\xef\xbf\xbd");
  cr_assert(json_object_object_get_ex(params, "event", &value));
  cr_assert_str_eq(json_object_get_string(value), "test.noise");
  json_object_put(o);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, two_hundred_connections)
{
  BED(b);
  int fds[200];
  for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
    fds[i] = client(&b);
    turn(&b);
  }
  cr_assert_eq(mal_control_socket_counters(b.socket).accepted, 128);
  cr_assert_eq(mal_control_socket_counters(b.socket).refused, 72);
  cr_assert_eq(answer(&b, fds[199]), -32005, "who is turned away is told why");
  cr_assert(say(&b, fds[0], STATUS));
  cr_assert_eq(answer(&b, fds[0]), 0);
  for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
    close(fds[i]);
  turn(&b);
  int fd = client(&b);
  cr_assert(say(&b, fd, STATUS));
  cr_assert_eq(answer(&b, fd), 0, "there is room again");
  close(fd);
  bed_clear(&b);
}

/* ---- calls that wait ------------------------------------------------------------------------- */

#define WAIT "{\"jsonrpc\":\"2.0\",\"method\":\"test.wait\",\"id\":\"w\"}\n"

Test(control_socket, who_closes_only_its_own_direction_is_answered)
{
  BED(b);
  int fd = client(&b);
  cr_assert(say(&b, fd, WAIT));
  shutdown(fd, SHUT_WR);
  turn(&b);
  cr_assert_not(mal_call_is_gone(b.waiting));
  mal_call_reply(b.waiting, NULL);
  cr_assert_eq(answer(&b, fd), 0);
  cr_assert_eq(answer(&b, fd), 1, "then the connection ends");
  close(fd);
  bed_clear(&b);
}

Test(control_socket, the_last_line_may_end_with_what_is_sent)
{
  static const struct {
    const char *sent;
    int code;
  } rows[] = {
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1}", 0 },
    { "{\"jsonrpc\":\"2.0\",\"method\":\"test.ec", -32700 },
  };
  BED(b);
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    int fd = client(&b);
    cr_assert(say(&b, fd, rows[i].sent));
    shutdown(fd, SHUT_WR);
    cr_assert_eq(answer(&b, fd), rows[i].code, "%s", rows[i].sent);
    cr_assert_eq(answer(&b, fd), 1, "then the connection ends");
    close(fd);
  }
  bed_clear(&b);
}

Test(control_socket, who_closes_abandons_its_call)
{
  BED(b);
  for (int half = 0; half < 2; half++) {
    int fd = client(&b);
    cr_assert(say(&b, fd, WAIT));
    if (half) {
      shutdown(fd, SHUT_WR);
      turn(&b);
    }
    close(fd);
    turn(&b);
    cr_assert(mal_call_is_gone(b.waiting));
    mal_call_progress(b.waiting, "to nobody");
    mal_call_reply(b.waiting, NULL);
  }
  bed_clear(&b);
}

Test(control_socket, the_server_closes_while_calls_wait)
{
  BED(b);
  int fd = client(&b);
  cr_assert(say(&b, fd, WAIT));
  bed_clear(&b);
  cr_assert(mal_call_is_gone(b.waiting));
  mal_call_reply(b.waiting, NULL);
  close(fd);
}

Test(control_socket, calls_that_wait_are_bounded)
{
  BED(b);
  int fd = client(&b);
  MalCall *calls[64];
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
    cr_assert(say(&b, fd, WAIT));
    calls[i] = b.waiting;
  }
  cr_assert(say(&b, fd, WAIT));
  cr_assert_eq(answer(&b, fd), -32005);
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
    mal_call_reply(calls[i], NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
    cr_assert_eq(answer(&b, fd), 0);
  close(fd);
  bed_clear(&b);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void must_refuse(Bed *b, const char *path, const char *words)
{
  g_autoptr(GError) error = NULL;
  MalControlSocketOptions o = {
    .context = b->context, .control = b->control, .events = b->events, .path = path
  };
  cr_assert_null(mal_control_socket_open(&o, &error));
  cr_assert(strstr(error->message, words), "%s", error->message);
}

static int bind_at(const char *path, int type)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  g_strlcpy(a.sun_path, path, sizeof a.sun_path);
  cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

Test(control_socket, what_is_in_its_place)
{
  BED(b);
  g_autofree char *long_path = g_strnfill(200, 'x');
  g_autofree char *other = g_build_filename(b.dir, "other", NULL);
  must_refuse(&b, b.path, "is another mallocd running?");
  must_refuse(&b, long_path, "longer than");
  cr_assert(g_file_set_contents(other, "precious", -1, NULL));
  must_refuse(&b, other, "no socket");
  cr_assert(g_file_test(other, G_FILE_TEST_IS_REGULAR));
  g_unlink(other);
  int fd = bind_at(other, SOCK_DGRAM);
  must_refuse(&b, other, "in use");
  cr_assert(g_file_test(other, G_FILE_TEST_EXISTS), "somebody else's socket stays");
  close(fd);
  g_unlink(other);
  bed_clear(&b);
}

Test(control_socket, a_stale_file_is_taken_over)
{
  BED(b);
  g_autofree char *path = g_build_filename(b.dir, "stale", NULL);
  g_autoptr(GError) error = NULL;
  struct stat st;
  MalControlSocketOptions o = {
    .context = b.context, .control = b.control, .events = b.events, .path = path
  };
  close(bind_at(path, SOCK_STREAM));
  MalControlSocket *s = mal_control_socket_open(&o, &error);
  cr_assert_not_null(s, "%s", error ? error->message : "");
  cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0666);
  /* Another one comes in its place: that file is not ours to remove. */
  g_unlink(path);
  int fd = bind_at(path, SOCK_STREAM);
  mal_control_socket_close(s);
  cr_assert(g_file_test(path, G_FILE_TEST_EXISTS));
  close(fd);
  g_unlink(path);
  bed_clear(&b);
}

Test(control_socket, who_only_reads_leaves_room_for_who_may_change_things)
{
  enum { MANY = 120 };
  int fds[MANY];
  if (geteuid() != 0)
    cr_skip_test("needs another user to be");
  BED(b);
  cr_assert_eq(g_chmod(b.dir, 0755), 0);
  for (int i = 0; i < MANY; i++) {
    cr_assert_eq(seteuid(65534), 0);
    fds[i] = client(&b);
    cr_assert_eq(seteuid(0), 0);
    while (g_main_context_iteration(b.context, FALSE))
      ;
  }
  int admin[20];
  for (size_t i = 0; i < G_N_ELEMENTS(admin); i++) {
    admin[i] = client(&b);
    cr_assert(say(&b, admin[i], STATUS));
    cr_expect_eq(answer(&b, admin[i]), 0);
  }
  cr_expect_eq(answer(&b, fds[MANY - 1]), -32005);
  for (size_t i = 0; i < G_N_ELEMENTS(admin); i++)
    close(admin[i]);
  for (int i = 0; i < MANY; i++)
    close(fds[i]);
  bed_clear(&b);
}
