/* The control API's socket under clients that behave badly. The input is a list of steps, of three
   clients that take turns:

     0 LENGTH OCTETS     octets, cut wherever the client likes
     1 WHICH ID          a sound request
     2 OCTET N           an octet many times (see say_much): lines beyond every bound
     3 WHICH             another client's turn
     4                   the client says no more, but listens
     5                   the client is gone
     6                   what waits is answered
     7                   an event happens, which subscribers hear
     8                   the client reads nothing from now on, or reads again

   What must hold: each line that comes back is one JSON object of version 2.0 in valid text; there
   are never more answers than lines that were said; nothing is left behind in the end.
   Covers: core/control-socket*.c core/control.c core/events*.c */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/control-socket.h"
#include "core/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake-runtime.h"

#define N_CLIENTS 3
#define STEPS_MOST 256
#define OCTETS_MOST (5u << 18)

typedef struct {
  int fd;
  bool deaf, ended;             /* ENDED: the other side closed */
  GByteArray *heard;
  unsigned lines, answers;      /* said; heard */
} Client;

/* Made once; what an input brings in ends with it. */
typedef struct {
  GMainContext *context;
  FakeRuntime *fake;
  MalEvents *events;
  MalControl *control;
  MalControlSocket *socket;
  char *dir, *path;
  GPtrArray *waiting;           /* MalCall */
  Client clients[N_CLIENTS];
  size_t said;
} Bed;

static Bed bed;

/* ---- methods --------------------------------------------------------------------------------- */

static void echo(MalCall *call, json_object *params, void *user)
{
  (void)user;
  mal_call_progress(call, "thinking");
  mal_call_reply(call, json_object_get(params));
}

static void wait_for_it(MalCall *call, json_object *params, void *user)
{
  Bed *b = user;
  (void)params;
  g_ptr_array_add(b->waiting, call);
}

static void refuse(MalCall *call, json_object *params, void *user)
{
  (void)params, (void)user;
  mal_call_fail_literal(call, MAL_ERROR_NO_SPACE, "cut in a character: \xc3");
}

static void subscribe(MalCall *call, json_object *params, void *user)
{
  (void)user;
  if (mal_call_subscribe(call, mal_param_string(params, "prefix", "")))
    mal_call_reply(call, json_object_new_object());
  else
    mal_call_fail_literal(call, MAL_ERROR_INVALID, "can't");
}

static const MalParam prefix_param[] = { { "prefix", MAL_PARAM_STRING, false, "" } };
static const MalParam echo_params[] = {
  { "text", MAL_PARAM_STRING, false, "" },       { "number", MAL_PARAM_INTEGER, false, "" },
  { "flag", MAL_PARAM_BOOL, false, "" },         { "span", MAL_PARAM_SPAN, false, "" },
  { "time", MAL_PARAM_TIME, false, "" },         { "duration", MAL_PARAM_DURATION, false, "" },
  { "lease", MAL_PARAM_LEASE_ID, false, "" },    { "address", MAL_PARAM_ADDRESS, false, "" },
  { "spans", MAL_PARAM_SPANS, false, "" },       { "list", MAL_PARAM_ARRAY, false, "" },
  { "object", MAL_PARAM_OBJECT, false, "" },
};
static const MalMethod methods[] = {
  { "test.echo", MAL_ACCESS_READ, echo_params, G_N_ELEMENTS(echo_params), "", echo },
  { "test.wait", MAL_ACCESS_WRITE, NULL, 0, "", wait_for_it },
  { "test.fail", MAL_ACCESS_READ, NULL, 0, "", refuse },
  { "test.subscribe", MAL_ACCESS_READ, prefix_param, 1, "", subscribe },
};

static const MalEventDef news = { "test.news", MAL_FAULT_NOBODY, MAL_LOG_DEBUG, "A test's." };

/* ---- the bed --------------------------------------------------------------------------------- */

static void bed_remove(void)
{
  g_unlink(bed.path);
  g_rmdir(bed.dir);
}

static void bed_make(Bed *b)
{
  g_autoptr(GError) error = NULL;
  b->context = g_main_context_new();
  b->fake = fake_runtime_new();
  b->dir = g_dir_make_tmp("mal-fuzz-XXXXXX", NULL);
  b->path = g_build_filename(b->dir, "control.sock", NULL);
  b->events = mal_events_new(fake_runtime(b->fake), NULL, NULL);
  b->control = mal_control_new();
  b->waiting = g_ptr_array_new();
  mal_control_add(b->control, "test", methods, G_N_ELEMENTS(methods), b);
  MalControlSocketOptions o = {
    .context = b->context, .control = b->control, .events = b->events, .path = b->path
  };
  b->socket = mal_control_socket_open(&o, &error);
  must(b->socket);
  atexit(bed_remove);
  for (int i = 0; i < N_CLIENTS; i++)
    b->clients[i] = (Client){ .fd = -1, .heard = g_byte_array_new() };
}

static void turn(Bed *b)
{
  while (g_main_context_iteration(b->context, FALSE))
    continue;
}

/* ---- clients --------------------------------------------------------------------------------- */

static void client_open(Bed *b, Client *c)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy(a.sun_path, b->path, sizeof a.sun_path);
  must(connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0);
  must(fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0);
}

static void check_line(Client *c, const char *text, size_t length)
{
  json_object *version;
  json_tokener *tokener = json_tokener_new();
  must(g_utf8_validate(text, (gssize)length, NULL));
  json_object *o = json_tokener_parse_ex(tokener, text, (int)length);
  must(json_object_is_type(o, json_type_object) && json_tokener_get_parse_end(tokener) == length);
  must(json_object_object_get_ex(o, "jsonrpc", &version) &&
       strcmp(json_object_get_string(version), "2.0") == 0);
  bool result = json_object_object_get_ex(o, "result", NULL),
       error = json_object_object_get_ex(o, "error", NULL);
  bool method = json_object_object_get_ex(o, "method", NULL);
  must(result + error + method == 1 && json_object_object_get_ex(o, "id", NULL) == !method);
  c->answers += !method;
  must(c->answers <= c->lines + 1);
  json_object_put(o);
  json_tokener_free(tokener);
}

static void check_lines(Client *c)
{
  const char *at = (const char *)c->heard->data, *end = at + c->heard->len, *newline;
  for (; at < end && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
    check_line(c, at, (size_t)(newline - at));
  g_byte_array_remove_range(c->heard, 0, c->heard->len - (guint)(end - at));
}

static void client_hear(Client *c)
{
  uint8_t buffer[65536];
  ssize_t n = 0;
  while (c->fd >= 0 && !c->ended && (n = recv(c->fd, buffer, sizeof buffer, 0)) > 0)
    g_byte_array_append(c->heard, buffer, (guint)n);
  c->ended |= c->fd >= 0 && (n == 0 || (n < 0 && errno != EAGAIN));
  if (c->heard->len > 0)
    check_lines(c);
}

static void client_say(Bed *b, Client *c, const char *text, size_t length)
{
  if (c->fd < 0)
    client_open(b, c);
  for (const char *at = text; (at = memchr(at, '\n', (size_t)(text + length - at))); at++)
    c->lines++;
  for (unsigned stuck = 0; length > 0 && !c->ended && stuck < 4;) {
    ssize_t n = send(c->fd, text, length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      break;
    stuck = n < 0 ? stuck + 1 : 0;
    text += MAX(n, 0);
    length -= (size_t)MAX(n, 0);
    turn(b);
    if (!c->deaf)
      client_hear(c);
  }
}

static void client_leave(Bed *b, Client *c)
{
  if (c->fd >= 0)
    close(c->fd);
  turn(b);
  g_byte_array_set_size(c->heard, 0);
  *c = (Client){ .fd = -1, .heard = c->heard };
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void say_octets(Bed *b, Client *c, MalReader *in)
{
  size_t length = mal_read_u8(in), left = mal_reader_left(in);
  const uint8_t *octets = mal_read_bytes(in, MIN(length, left));
  if (octets)
    client_say(b, c, (const char *)octets, MIN(length, left));
}

static void say_request(Bed *b, Client *c, MalReader *in)
{
  static const char *const requests[] = {
    "\"method\":\"test.echo\",\"params\":{\"text\":\"x\"}",
    "\"method\":\"test.echo\",\"progress\":true",
    "\"method\":\"test.wait\"",
    "\"method\":\"test.fail\"",
    "\"method\":\"test.subscribe\"",
    "\"method\":\"test.subscribe\",\"params\":{\"prefix\":\"test.n\"}",
    "\"method\":\"rpc.discover\"",
    "\"method\":\"test.none\"",
    "\"method\":\"test.echo\",\"params\":{\"none\":1}",
  };
  uint8_t which = mal_read_u8(in), id = mal_read_u8(in);
  g_autofree char *number = id < 250 ? g_strdup_printf(",\"id\":%u", id) : g_strdup("");
  g_autofree char *line = g_strdup_printf("{\"jsonrpc\":\"2.0\",%s%s}\n",
                                          requests[which % G_N_ELEMENTS(requests)], number);
  client_say(b, c, line, strlen(line));
}

static void say_much(Bed *b, Client *c, MalReader *in)
{
  static const size_t lengths[] = { 31, 32, 33, 65536, 1u << 20 };
  char octet = (char)mal_read_u8(in);
  uint8_t n = mal_read_u8(in);
  size_t length = n >= 250 ? lengths[n - 250 < 5 ? n - 250 : 4] : n;
  b->said += length;
  if (b->said > OCTETS_MOST)
    return;
  g_autofree char *text = g_malloc(length + 1);
  memset(text, octet, length);
  client_say(b, c, text, length);
}

static void answer_waiting(Bed *b)
{
  for (unsigned i = 0; i < b->waiting->len; i++)
    mal_call_reply(g_ptr_array_index(b->waiting, i), json_object_new_string("now"));
  g_ptr_array_set_size(b->waiting, 0);
  turn(b);
}

static void happen(Bed *b)
{
  MalField fields[] = { MAL_F_STRING("text", "\xff\x1b[2J"), MAL_F_TIME("never", MAL_FOREVER) };
  MAL_EVENT(b->events, &news, fields, "something %s", "\xc3\n");
  turn(b);
}

static void do_step(Bed *b, MalReader *in, Client **c)
{
  switch (mal_read_u8(in) % 9) {
  case 0: say_octets(b, *c, in); break;
  case 1: say_request(b, *c, in); break;
  case 2: say_much(b, *c, in); break;
  case 3: *c = &b->clients[mal_read_u8(in) % N_CLIENTS]; break;
  case 4:
    if ((*c)->fd >= 0)
      shutdown((*c)->fd, SHUT_WR);
    break;
  case 5: client_leave(b, *c); break;
  case 6: answer_waiting(b); break;
  case 7: happen(b); break;
  default: (*c)->deaf = !(*c)->deaf;
  }
  turn(b);
  if (!(*c)->deaf)
    client_hear(*c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!bed.context)
    bed_make(&bed);
  MalReader in = mal_reader(data, size);
  Client *c = bed.clients;
  bed.said = 0;
  for (unsigned n = 0; n < STEPS_MOST && mal_reader_more(&in); n++)
    do_step(&bed, &in, &c);
  answer_waiting(&bed);
  for (int i = 0; i < N_CLIENTS; i++) {
    client_hear(&bed.clients[i]);
    client_leave(&bed, &bed.clients[i]);
  }
  /* Also what was begun by who is gone. */
  answer_waiting(&bed);
  return 0;
}
