/* The control API on its unix socket, met by clients that behave badly. */
#include <config.h>

#include "tests/unit/control-socket-bed.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- lines ----------------------------------------------------------------------------------- */

Test(control_socket, lines_split_anywhere)
{
  BED(b);
  int fd = bed_client(&b);
  for (const char *c = STATUS; *c; c++)
    cr_assert(bed_say_octets(&b, fd, c, 1));
  cr_assert_eq(bed_answer(&b, fd), 0);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, many_requests_in_one_write)
{
  BED(b);
  int fd = bed_client(&b);
  g_autoptr(GString) all = g_string_new("\n\r\n  \n");
  for (int i = 0; i < 500; i++)
    g_string_append(all, STATUS);
  cr_assert(bed_say(&b, fd, all->str));
  for (int i = 0; i < 500; i++)
    cr_assert_eq(bed_answer(&b, fd), 0);
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
  int fd = bed_client(&b);
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    g_autofree char *line = g_strconcat(table[i].line, "\n", NULL);
    cr_assert(bed_say(&b, fd, line));
    cr_assert_eq(bed_answer(&b, fd), table[i].code, "%s", table[i].line);
  }
  cr_assert_eq(b.calls, 0);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, deep_nesting_is_refused)
{
  BED(b);
  int fd = bed_client(&b);
  g_autofree char *deep = g_strnfill(100000, '[');
  cr_assert(bed_say(&b, fd, deep) && bed_say(&b, fd, "\n"));
  cr_assert_eq(bed_answer(&b, fd), -32700);
  close(fd);
  bed_clear(&b);
}

/* What stands before the NUL would be a good request. */
Test(control_socket, a_nul_in_a_line_is_an_error)
{
  static const char line[] = "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":1}\0{\"x\":1}\n";
  BED(b);
  int fd = bed_client(&b);
  cr_assert(bed_say_octets(&b, fd, line, sizeof line - 1));
  cr_assert_eq(bed_answer(&b, fd), -32700);
  cr_assert_eq(b.calls, 0);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, notifications_get_no_answer)
{
  BED(b);
  int fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\"}\n"
                        "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"params\":[]}\n"
                        "{\"jsonrpc\":\"2.0\",\"method\":\"test.nothing\"}\n" STATUS));
  cr_assert_eq(bed_answer(&b, fd), 0);
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
  int fd = bed_client(&b);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *line = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"method\":\"test.echo\",\"id\":%zu%s}\n", i, cases[i].member);
    cr_assert(bed_say(&b, fd, line));
    json_object *o = bed_hear(&b, fd);
    cr_expect_eq(bed_is_answer(o), !cases[i].told, "%s", line);
    if (!bed_is_answer(o))
      cr_expect_eq(bed_answer(&b, fd), 0);
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
    int fd = bed_client(&b);
    g_autofree char *text = long_request(1024 * 1024 + extra);
    bed_say(&b, fd, text);
    bed_say(&b, fd, "\n");
    cr_assert_eq(bed_answer(&b, fd), extra ? -32600 : 0);
    cr_assert_eq(mal_control_socket_counters(b.socket).too_long, extra);
    if (extra)
      cr_assert_eq(bed_answer(&b, fd), 1, "the connection ends");
    close(fd);
  }
  bed_turn(&b);
  bed_clear(&b);
}

Test(control_socket, a_line_of_a_hundred_megabytes)
{
  BED(b);
  int fd = bed_client(&b);
  g_autofree char *part = g_strnfill(1000 * 1000, '9');
  bool open = true;
  for (int i = 0; i < 100 && open; i++)
    open = bed_say(&b, fd, part);
  cr_assert_not(open);
  cr_assert_eq(bed_answer(&b, fd), -32600);
  cr_assert_eq(mal_control_socket_counters(b.socket).too_long, 1);
  close(fd);
  fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, STATUS));
  cr_assert_eq(bed_answer(&b, fd), 0, "others go on");
  close(fd);
  bed_clear(&b);
}

Test(control_socket, who_does_not_read_events_loses_the_connection)
{
  BED(b);
  int deaf = bed_client(&b), good = bed_client(&b);
  cr_assert(bed_say(&b, deaf,
                "{\"jsonrpc\":\"2.0\",\"method\":\"test.subscribe\",\"id\":1,"
                "\"params\":{\"prefix\":\"test.\"}}\n"));
  bed_make_noise(&b, 20000);
  bed_turn(&b);
  cr_assert_eq(mal_control_socket_counters(b.socket).slow, 1);
  cr_assert(bed_say(&b, good, STATUS));
  cr_assert_eq(bed_answer(&b, good), 0);
  cr_assert_not(mal_event_wanted(b.events, &bed_noise), "nobody listens any more");
  close(deaf);
  close(good);
  bed_clear(&b);
}

/* The connection ends while its own request is being handled, which answers after that. */
Test(control_socket, it_ends_within_its_own_call)
{
  BED(b);
  int fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"test.subscribe\",\"id\":1}\n"));
  cr_assert_eq(bed_answer(&b, fd), 0);
  b.flood = true;
  cr_assert(bed_say(&b, fd, STATUS STATUS));
  bed_turn(&b);
  cr_assert_eq(b.calls, 1, "what came behind it is not done any more");
  cr_assert_eq(mal_control_socket_counters(b.socket).slow, 1);
  close(fd);
  bed_clear(&b);
}

Test(control_socket, events_look_as_in_the_log)
{
  BED(b);
  int fd = bed_client(&b);
  json_object *params, *fields, *value;
  cr_assert(bed_say(&b, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"test.subscribe\",\"id\":1}\n"));
  cr_assert_eq(bed_answer(&b, fd), 0);
  MalField broken[] = { MAL_F_STRING("text", "a\xff"), MAL_F_STRING("none", NULL),
                        MAL_F_INT("n", 3) };
  MAL_EVENT(b.events, &bed_noise, broken, "%s", "b\xff");
  json_object *o = bed_hear(&b, fd);
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
    fds[i] = bed_client(&b);
    bed_turn(&b);
  }
  cr_assert_eq(mal_control_socket_counters(b.socket).accepted, 128);
  cr_assert_eq(mal_control_socket_counters(b.socket).refused, 72);
  cr_assert_eq(bed_answer(&b, fds[199]), -32005, "who is turned away is told why");
  cr_assert(bed_say(&b, fds[0], STATUS));
  cr_assert_eq(bed_answer(&b, fds[0]), 0);
  for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
    close(fds[i]);
  bed_turn(&b);
  int fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, STATUS));
  cr_assert_eq(bed_answer(&b, fd), 0, "there is room again");
  close(fd);
  bed_clear(&b);
}

/* ---- calls that wait ------------------------------------------------------------------------- */

Test(control_socket, who_closes_only_its_own_direction_is_answered)
{
  BED(b);
  int fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, WAIT));
  shutdown(fd, SHUT_WR);
  bed_turn(&b);
  cr_assert_not(mal_call_is_gone(b.waiting));
  mal_call_reply(b.waiting, NULL);
  cr_assert_eq(bed_answer(&b, fd), 0);
  cr_assert_eq(bed_answer(&b, fd), 1, "then the connection ends");
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
    int fd = bed_client(&b);
    cr_assert(bed_say(&b, fd, rows[i].sent));
    shutdown(fd, SHUT_WR);
    cr_assert_eq(bed_answer(&b, fd), rows[i].code, "%s", rows[i].sent);
    cr_assert_eq(bed_answer(&b, fd), 1, "then the connection ends");
    close(fd);
  }
  bed_clear(&b);
}

Test(control_socket, who_closes_abandons_its_call)
{
  BED(b);
  for (int half = 0; half < 2; half++) {
    int fd = bed_client(&b);
    cr_assert(bed_say(&b, fd, WAIT));
    if (half) {
      shutdown(fd, SHUT_WR);
      bed_turn(&b);
    }
    close(fd);
    bed_turn(&b);
    cr_assert(mal_call_is_gone(b.waiting));
    mal_call_progress(b.waiting, "to nobody");
    mal_call_reply(b.waiting, NULL);
  }
  bed_clear(&b);
}

Test(control_socket, the_server_closes_while_calls_wait)
{
  BED(b);
  int fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, WAIT));
  bed_clear(&b);
  cr_assert(mal_call_is_gone(b.waiting));
  mal_call_reply(b.waiting, NULL);
  close(fd);
}

Test(control_socket, calls_that_wait_are_bounded)
{
  BED(b);
  int fd = bed_client(&b);
  MalCall *calls[64];
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
    cr_assert(bed_say(&b, fd, WAIT));
    calls[i] = b.waiting;
  }
  cr_assert(bed_say(&b, fd, WAIT));
  cr_assert_eq(bed_answer(&b, fd), -32005);
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
    mal_call_reply(calls[i], NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
    cr_assert_eq(bed_answer(&b, fd), 0);
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
    fds[i] = bed_client(&b);
    cr_assert_eq(seteuid(0), 0);
    bed_turn(&b);
  }
  int admin[20];
  for (size_t i = 0; i < G_N_ELEMENTS(admin); i++) {
    admin[i] = bed_client(&b);
    cr_assert(bed_say(&b, admin[i], STATUS));
    cr_expect_eq(bed_answer(&b, admin[i]), 0);
  }
  cr_expect_eq(bed_answer(&b, fds[MANY - 1]), -32005);
  for (size_t i = 0; i < G_N_ELEMENTS(admin); i++)
    close(admin[i]);
  for (int i = 0; i < MANY; i++)
    close(fds[i]);
  bed_clear(&b);
}

/* ---- others, too, are served ----------------------------------------------------------------- */

/* A request takes a millisecond: who asks a thousand times at once must not keep the loop. */
Test(control_socket, requests_take_turns_with_all_else)
{
  BED(b);
  int many = bed_client(&b), one = bed_client(&b);
  g_autoptr(GString) all = g_string_new(NULL);
  for (int i = 0; i < 300; i++)
    g_string_append(all, SLOW);
  bed_turn(&b);
  cr_assert_eq(send(many, all->str, all->len, MSG_NOSIGNAL), (ssize_t)all->len);
  cr_assert_eq(send(one, STATUS, strlen(STATUS), MSG_NOSIGNAL), (ssize_t)strlen(STATUS));
  unsigned most = 0, turns = 0;
  for (unsigned before = 0; b.calls < 301 && turns < 100000; turns++, before = b.calls) {
    g_main_context_iteration(b.context, FALSE);
    most = MAX(most, b.calls - before);
    char c;
    if (b.calls >= 10 && b.calls < 20)
      cr_expect_eq(recv(one, &c, 1, MSG_PEEK), 1, "the other one waits after %u", b.calls);
  }
  cr_expect_eq(b.calls, 301);
  cr_expect_lt(most, 10, "%u requests in one turn of the loop", most);
  for (int i = 0; i < 300; i++)
    cr_assert_eq(bed_answer(&b, many), 0);
  cr_assert_eq(bed_answer(&b, one), 0);
  close(many);
  close(one);
  bed_clear(&b);
}

/* It goes while its next request stands in line. */
Test(control_socket, who_goes_before_his_turn)
{
  BED(b);
  int fd = bed_client(&b);
  cr_assert(bed_say(&b, fd, WAIT));
  cr_assert_not_null(b.waiting);
  cr_assert_eq(send(fd, STATUS, strlen(STATUS), MSG_NOSIGNAL), (ssize_t)strlen(STATUS));
  close(fd);
  g_main_context_iteration(b.context, FALSE);
  mal_call_reply(b.waiting, json_object_new_object());
  bed_turn(&b);
  cr_expect_eq(b.calls, 1, "the second call was answered to nobody");
  bed_clear(&b);
}

/* Nothing can be accepted: the loop must not spin on who waits at the door, and who waits is let in
   once there is room. */
Test(control_socket, without_descriptors_it_waits)
{
  BED(b);
  struct rlimit limit, few;
  cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  int fd = bed_client(&b), next = dup(fd);
  few = (struct rlimit){ (rlim_t)next, limit.rlim_max };
  close(next);
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
  unsigned turns = 0;
  for (int64_t end = g_get_monotonic_time() + G_USEC_PER_SEC; g_get_monotonic_time() < end; turns++)
    g_main_context_iteration(b.context, turns % 2 == 0);
  cr_expect_lt(turns, 100, "%u turns in a second", turns);
  cr_expect_eq(mal_control_socket_counters(b.socket).accepted, 0);
  cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  cr_assert(bed_say(&b, fd, STATUS));
  cr_assert_eq(bed_answer(&b, fd), 0);
  close(fd);
  bed_clear(&b);
}
