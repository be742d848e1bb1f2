/* mallocctl as it reads what a daemon says, which may be anything. The first octet chooses:

     0  METHOD TERMINAL JSON       the view of an answer
     1  TERMINAL JSON              an event
     2  TERMINAL JSON NUL WORDS    a method as rpc.discover describes it, and a command line for it
     3  OCTETS                     what comes through the socket after two calls

   What must hold: whatever is printed is valid text without control characters (but for our own
   colours); a call ends in either a result or an error that says why; parameters are an object.
   Covers: core/ctl-views.c core/ctl-show.c core/ctl-map.c core/ctl-args.c core/ctl-rpc.c */
#include <config.h>

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/ctl.h"
#include "core/wire.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1767225600)
#define WORDS_MOST 16

/* ---- what is printed ------------------------------------------------------------------------- */

typedef struct {
  MalCtlTerm term;
  char *text;
  size_t length;
} Paper;

static void paper_open(Paper *p, uint8_t how)
{
  static const unsigned widths[] = { 0, 1, 20, 80, 200 };
  p->term = (MalCtlTerm){ .out = open_memstream(&p->text, &p->length),
                          .width = widths[how % 5],
                          .height = 24,
                          .utf8 = how & 64,
                          .colours = how & 128,
                          .now = NOW };
}

/* The end of one of our own colours, from the escape on; NULL for any other sequence. */
static const char *skip_colour(const char *at)
{
  size_t digits = at[1] == '[' ? strspn(at + 2, "0123456789;") : 0;
  return digits > 0 && at[2 + digits] == 'm' ? at + 3 + digits : NULL;
}

static void paper_check(Paper *p)
{
  fclose(p->term.out);
  must(g_utf8_validate(p->text, (gssize)p->length, NULL));
  for (const char *at = p->text; at && *at;) {
    gunichar c = g_utf8_get_char(at);
    if (c == 0x1b) {
      must(p->term.colours && (at = skip_colour(at)));
      continue;
    }
    must(c == '\n' || !g_unichar_iscntrl(c));
    must(p->term.utf8 || c < 0x7f);
    at = g_utf8_next_char(at);
  }
  free(p->text);
}

/* ---- what is read ---------------------------------------------------------------------------- */

/* As deep as what comes through the socket may be. */
static json_object *take_json(MalReader *in)
{
  size_t left = mal_reader_left(in);
  const char *text = (const char *)mal_read_bytes(in, left);
  const char *end = text ? memchr(text, '\0', left) : NULL;
  json_tokener *tokener = json_tokener_new_ex(64);
  json_object *o =
      text ? json_tokener_parse_ex(tokener, text, (int)(end ? end - text : (gssize)left)) : NULL;
  bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
               json_object_is_type(o, json_type_object);
  json_tokener_free(tokener);
  if (end) {
    /* What follows is for others. */
    *in = mal_reader(end + 1, (size_t)(text + left - end - 1));
  }
  if (whole)
    return o;
  json_object_put(o);
  return NULL;
}

static void view_answer(MalReader *in)
{
  static const char *const methods[] = {
    /* those with a view of their own, and others */
    "status",      "scope.list",    "range.list",     "reserve.list",
    "lease.list",  "lease.get",     "space.usage",    "space.map",
    "plugin.list", "stats.get",     "config.check",   "rpc.discover",
    "store.check", "madcap.scopes", "madcap.servers", "lease.request",
  };
  Paper paper;
  const char *method = methods[mal_read_u8(in) % G_N_ELEMENTS(methods)];
  paper_open(&paper, mal_read_u8(in));
  json_object *o = take_json(in);
  if (o)
    mal_ctl_view(&paper.term, method, o);
  must(mal_ctl_map_cells(&paper.term, (uint64_t)mal_ctl_number(o, "total") | 1) > 0);
  json_object_put(o);
  paper_check(&paper);
}

static void view_event(MalReader *in)
{
  Paper paper;
  paper_open(&paper, mal_read_u8(in));
  json_object *o = take_json(in);
  if (o)
    mal_ctl_view_event(&paper.term, o);
  json_object_put(o);
  paper_check(&paper);
}

static void must_explain(const GError *error)
{
  must(error && error->domain == MAL_CTL_ERROR && error->code >= MAL_CTL_FAILED && *error->message);
}

static void parse_words(json_object *method, MalReader *in)
{
  size_t left = mal_reader_left(in);
  const char *text = (const char *)mal_read_bytes(in, left);
  g_autofree char *line = g_strndup(text ? text : "", text ? left : 0);
  g_auto(GStrv) words = g_strsplit(line, "\n", WORDS_MOST);
  MalCtlExtra extra[] = { { "limit", 100, false }, { NULL, 0, false } };
  g_autoptr(GError) error = NULL;
  json_object *params = mal_ctl_params(method, NULL, words, extra, NOW, &error);
  must(params ? json_object_is_type(params, json_type_object) && !error : error != NULL);
  if (!params)
    must_explain(error);
  json_object_put(params);
}

static void read_method(MalReader *in)
{
  Paper paper;
  paper_open(&paper, mal_read_u8(in));
  json_object *o = take_json(in);
  if (o) {
    mal_ctl_view_method(&paper.term, o);
    parse_words(o, in);
  }
  json_object_put(o);
  paper_check(&paper);
}

/* ---- a daemon -------------------------------------------------------------------------------- */

static char *dir, *path;
static int listening = -1;

static void stop_listening(void)
{
  g_unlink(path);
  g_rmdir(dir);
}

static void listen_once(void)
{
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  dir = g_dir_make_tmp("mal-fuzz-XXXXXX", NULL);
  path = g_build_filename(dir, "daemon.sock", NULL);
  g_strlcpy(a.sun_path, path, sizeof a.sun_path);
  listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(bind(listening, (struct sockaddr *)&a, sizeof a) == 0 && listen(listening, 8) == 0);
  atexit(stop_listening);
}

static void on_progress(const char *message)
{
  must(message);
}

static void ask(MalCtlLink *link)
{
  g_autoptr(GError) error = NULL;
  json_object *result = link->call(link, "status", NULL, &error);
  if (!result)
    must_explain(error);
  else
    must(!error);
  json_object_put(result);
}

/* It has answered before it was asked, and hung up, so nobody waits. */
static void hear_daemon(MalReader *in)
{
  g_autoptr(GError) error = NULL;
  size_t left = mal_reader_left(in);
  const uint8_t *octets = mal_read_bytes(in, left);
  if (listening < 0)
    listen_once();
  MalCtlLink *link = mal_ctl_rpc_open(path, &error);
  must(link);
  link->progress = on_progress;
  link->timeout = 10;
  int peer = accept(listening, NULL, NULL);
  must(peer >= 0);
  if (octets)
    must(send(peer, octets, left, MSG_NOSIGNAL) == (ssize_t)left);
  shutdown(peer, SHUT_WR);
  ask(link);
  ask(link);
  json_object_put(mal_ctl_rpc_event(link, -1, &error));
  close(peer);
  link->free(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  MalReader in = mal_reader(data, MIN(size, 65536u));
  switch (mal_read_u8(&in) % 4) {
  case 0: view_answer(&in); break;
  case 1: view_event(&in); break;
  case 2: read_method(&in); break;
  default: hear_daemon(&in);
  }
  return 0;
}
