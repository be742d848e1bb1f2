/* From the command line to one call and its exit status. */
#include <config.h>

#include "conf.h"
#include "ctl.h"
#include "methods.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT 120             /* seconds, unless --timeout says otherwise */
#define WAIT_TIMEOUT 660        /* a request may wait for space by itself, ten minutes at most */
#define LEASES_MOST 10000       /* unless --limit says otherwise */
#define TEXT_MOST ((size_t)512 * 1024)  /* of a configuration that is sent, not named */

static const char help_text[] =
    "usage: mallocctl [-s SOCKET] [--json] [--timeout TIME] COMMAND [ARGUMENT ...]\n"
    "       mallocctl --direct [--via PLUGIN] [--interface NAME] [--server ADDRESS] [--port N]\n"
    "                 [--set KEY=VALUE] COMMAND [ARGUMENT ...]\n"
    "\n"
    "  status                                  how the daemon is\n"
    "  scopes | ranges | routes | reserves | plugins   lists\n"
    "  leases [--scope S] [--client A] [--address A-B] [--limit N]\n"
    "  usage [SCOPE] | map SCOPE               how full the scopes are, in numbers or drawn\n"
    "  stats [OWNER]                           counters and gauges\n"
    "  events [PREFIX] [--count N]             what happens, as it happens\n"
    "  request --scope S [--count N | --min N --max N] [--lifetime 2h] [--min-lifetime 1h]\n"
    "          [--start TIME] [--max-start TIME] [--address A[-B]] [--shared] [--wait]\n"
    "          [--lease ID] [--via local|PLUGIN] [--server ADDRESS] [--interface NAME]\n"
    "  renew LEASE [--lifetime 2h] | release LEASE\n"
    "  range add NAME --scope S --span A-B [--until TIME] | range remove NAME [--force]\n"
    "  reserve add NAME --scope S --addresses A-B [--comment TEXT] | reserve remove NAME\n"
    "  config check [FILE] | config reload\n"
    "  store backup PATH | store check\n"
    "  discover                                all methods, those of plugins as well\n"
    "  help [NOUN VERB]                        this, or the options of a method\n"
    "  NOUN VERB [--option VALUE ...]          any method\n"
    "\n"
    "--json prints the daemon's answer as it is. Times are RFC 3339 or +2h from now, durations 90, "
    "15m, 2h, 1d.\n"
    "--direct asks no daemon on this host: it speaks to a server on the network itself.\n"
    "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon. See mallocctl(1).\n";

static const struct { const char *word, *method; } shorts[] = {
  { "status", "status" },          { "scopes", "scope.list" },     { "ranges", "range.list" },
  { "leases", "lease.list" },      { "reserves", "reserve.list" }, { "plugins", "plugin.list" },
  { "stats", "stats.get" },        { "events", "events.subscribe" }, { "request", "lease.request" },
  { "renew", "lease.renew" },      { "release", "lease.release" }, { "map", "space.map" },
  { "usage", "space.usage" },      { "discover", "rpc.discover" }, { "routes", "route.list" },
};

/* What bare words mean, where it isn't the required parameters in their order. */
static const struct { const char *method; const char *words[2];
} positionals[] = {
  { "stats.get", { "owner" } },   { "events.subscribe", { "prefix" } },
  { "space.usage", { "scope" } }, { "range.list", { "scope" } },
  { "lease.list", { "scope" } },  { "config.check", { "file" } },
  { "range.add", { "name" } },    { "reserve.add", { "name" } },
};

typedef struct {
  MalCtlArgs args;
  MalCtlTerm term;
  MalCtlLink *link;
  const char *word;             /* the first word of the command */
  char *method;
  char **words;                 /* what follows the command */
  json_object *methods;         /* of rpc.discover */
  json_object *discovered;
} Ctl;

static void print_error(const char *message)
{
  MalCtlTerm term;
  mal_ctl_term_init(&term, stderr);
  g_autofree char *safe = mal_ctl_clean(&term, message);
  fprintf(stderr, "mallocctl: %s\n", safe);
}

static void print_progress(const char *message)
{
  MalCtlTerm term;
  mal_ctl_term_init(&term, stderr);
  g_autofree char *safe = mal_ctl_clean(&term, message);
  fprintf(stderr, "%s\n", safe);
}

/* ---- which command --------------------------------------------------------------------------- */

static const char *method_of_short(const char *word)
{
  for (size_t i = 0; i < G_N_ELEMENTS(shorts); i++)
    if (strcmp(shorts[i].word, word) == 0)
      return shorts[i].method;
  return NULL;
}

static void add_verbs(GString *out, const char *noun, const MalMethod *methods, size_t n)
{
  size_t length = strlen(noun);
  for (size_t i = 0; i < n; i++)
    if (strncmp(methods[i].name, noun, length) == 0 && methods[i].name[length] == '.')
      g_string_append_printf(out, "%s%s", out->len ? ", " : "", methods[i].name + length + 1);
}

static bool open_link(Ctl *c, GError **error);
static bool discover(Ctl *c, GError **error);

/* Those of plugins, which the daemon alone knows. */
static void add_its_verbs(Ctl *c, GString *out, const char *noun)
{
  if ((!c->link && !open_link(c, NULL)) || (!c->methods && !discover(c, NULL)))
    return;
  for (size_t i = 0; i < mal_ctl_length(c->methods); i++) {
    const char *name = mal_ctl_text(json_object_array_get_idx(c->methods, i), "name");
    MalMethod method = { .name = name ? name : "" };
    add_verbs(out, noun, &method, 1);
  }
}

static bool no_such_word(Ctl *c, const char *word, GError **error)
{
  const char *names[G_N_ELEMENTS(shorts) + 2] = { NULL };
  g_autoptr(GString) verbs = g_string_new(NULL);
  add_verbs(verbs, word, mal_methods_daemon, mal_methods_daemon_n);
  add_verbs(verbs, word, mal_methods_model, mal_methods_model_n);
  add_verbs(verbs, word, mal_methods_lease, mal_methods_lease_n);
  if (verbs->len == 0)
    add_its_verbs(c, verbs, word);
  if (verbs->len > 0)
    return mal_ctl_fail(error, MAL_CTL_USAGE, "%s: a verb must follow: %s", word, verbs->str);
  for (size_t i = 0; i < G_N_ELEMENTS(shorts); i++)
    names[i] = shorts[i].word;
  names[G_N_ELEMENTS(shorts)] = "help";
  const char *near = mal_nearest(word, names);
  if (near)
    return mal_ctl_fail(error, MAL_CTL_USAGE, "there is no command \"%s\"; did you mean \"%s\"?",
                        word, near);
  return mal_ctl_fail(error, MAL_CTL_USAGE,
                      "there is no command \"%s\" (mallocctl help lists them)", word);
}

/* Sets method and words from WORDS (NULL-terminated). */
static bool find_command(Ctl *c, char **words, GError **error)
{
  const char *known = words[0] ? method_of_short(words[0]) : NULL;
  if (!words[0])
    return mal_ctl_fail(error, MAL_CTL_USAGE, "say what to do; mallocctl help lists it");
  if (*words[0] == '-')
    return mal_ctl_fail(error, MAL_CTL_USAGE, "%s: unknown option (mallocctl help shows them)",
                        words[0]);
  c->word = words[0];
  c->words = words + 1;
  if (known) {
    c->method = g_strdup(known);
    /* "stats get" is a short form followed by its own verb. */
    g_autofree char *both = words[1] ? g_strconcat(words[0], ".", words[1], NULL) : NULL;
    if (g_strcmp0(both, known) == 0)
      c->words++;
    return true;
  }
  if (!words[1] || *words[1] == '-')
    return no_such_word(c, words[0], error);
  c->method = g_strconcat(words[0], ".", words[1], NULL);
  c->words = words + 2;
  return true;
}

static json_object *find_method(const Ctl *c, const char *name)
{
  for (size_t i = 0; i < mal_ctl_length(c->methods); i++) {
    json_object *o = json_object_array_get_idx(c->methods, i);
    if (g_strcmp0(mal_ctl_text(o, "name"), name) == 0)
      return o;
  }
  return NULL;
}

static bool no_such_method(const Ctl *c, GError **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (size_t i = 0; i < mal_ctl_length(c->methods); i++) {
    const char *name = mal_ctl_text(json_object_array_get_idx(c->methods, i), "name");
    if (name)
      g_ptr_array_add(names, (void *)(uintptr_t)name);
  }
  g_ptr_array_add(names, NULL);
  const char *near = mal_nearest(c->method, (const char *const *)(void *)names->pdata);
  g_autofree char *said = g_strdelimit(g_strdup(c->method), ".", ' ');
  g_autofree char *meant = near ? g_strdelimit(g_strdup(near), ".", ' ') : NULL;
  if (meant)
    return mal_ctl_fail(error, MAL_CTL_USAGE, "there is no command \"%s\"; did you mean \"%s\"?",
                        said, meant);
  return mal_ctl_fail(error, MAL_CTL_USAGE,
                      "there is no command \"%s\" (mallocctl discover lists what there is)", said);
}

/* ---- whom to ask ----------------------------------------------------------------------------- */

static const char *socket_path(const Ctl *c)
{
  const char *path = c->args.socket ? c->args.socket : g_getenv("MALLOCD_SOCKET");
  return path && *path ? path : MAL_RUN_DIR "/control.sock";
}

static bool discover(Ctl *c, GError **error)
{
  c->discovered = c->link->call(c->link, "rpc.discover", NULL, error);
  c->methods = mal_ctl_member(c->discovered, "methods");
  if (c->discovered && !json_object_is_type(c->methods, json_type_array))
    return mal_ctl_fail(error, MAL_CTL_FAILED,
                        "the daemon does not say what it can do: is it another version?");
  return c->discovered;
}

static bool open_link(Ctl *c, GError **error)
{
  g_autofree char *via = NULL;
  c->link = c->args.direct ? mal_ctl_direct_open(c->args.words, &via, error)
                           : mal_ctl_rpc_open(socket_path(c), error);
  if (!c->link)
    return false;
  c->link->progress = print_progress;
  c->link->timeout = c->args.timeout >= 0 ? c->args.timeout : TIMEOUT;
  return true;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static bool has_param(json_object *method, const char *name)
{
  json_object *params = mal_ctl_member(method, "params");
  for (size_t i = 0; i < mal_ctl_length(params); i++)
    if (g_strcmp0(mal_ctl_text(json_object_array_get_idx(params, i), "name"), name) == 0)
      return true;
  return false;
}

static json_object *params_of(const Ctl *c, json_object *method, MalCtlExtra *extra, GError **error)
{
  const char *const *words = NULL;
  for (size_t i = 0; i < G_N_ELEMENTS(positionals); i++)
    if (g_strcmp0(positionals[i].method, c->method) == 0)
      words = positionals[i].words;
  json_object *params = mal_ctl_params(method, words, c->words, extra, c->term.now, error);
  GHashTableIter iter;
  void *name, *value;
  if (!params || !c->link->defaults)
    return params;
  g_hash_table_iter_init(&iter, c->link->defaults);
  while (g_hash_table_iter_next(&iter, &name, &value))
    if (has_param(method, name) && !json_object_object_get_ex(params, name, NULL))
      json_object_object_add(params, name, json_object_new_string(value));
  return params;
}

static void set_text(json_object *params, const char *name, char *text)
{
  json_object_object_add(params, name, json_object_new_string(text));
  g_free(text);
}

/* The daemon may not be able to read what the caller can: the text goes with the name. */
static bool add_config(json_object *params, GError **error)
{
  const char *file = mal_ctl_text(params, "file");
  g_autoptr(GError) cause = NULL;
  g_autofree char *text = NULL, *path = file ? g_canonicalize_filename(file, NULL) : NULL;
  size_t length;
  if (!path)
    return true;
  if (!g_file_get_contents(path, &text, &length, &cause))
    return mal_ctl_fail(error, MAL_CTL_FAILED, "%s", cause->message);
  if (strlen(text) != length || !g_utf8_validate(text, (gssize)length, NULL))
    return mal_ctl_fail(error, MAL_CTL_FAILED, "%s: not a text in UTF-8", path);
  set_text(params, "file", g_strdup(path));
  if (length <= TEXT_MOST)
    set_text(params, "text", g_steal_pointer(&text));
  return true;
}

static bool complete_params(const Ctl *c, json_object *params, GError **error)
{
  const char *path = mal_ctl_text(params, "path");
  if (strcmp(c->method, "store.backup") == 0 && path && !g_path_is_absolute(path))
    set_text(params, "path", g_canonicalize_filename(path, NULL));
  return strcmp(c->method, "config.check") != 0 || add_config(params, error);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void print_json(const Ctl *c, json_object *o)
{
  fprintf(
      c->term.out, "%s\n",
      json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* The answer may have taken a while: what is "in 5 s" counts from now. */
static void print_result(const Ctl *c, json_object *result)
{
  MalCtlTerm term = c->term;
  term.now = g_get_real_time() / G_USEC_PER_SEC;
  if (c->args.json)
    print_json(c, result);
  else
    mal_ctl_view(&term, c->method, result);
}

static bool reader_gone(FILE *out)
{
  struct pollfd fd = { .fd = fileno(out) };
  return poll(&fd, 1, 0) > 0 && (fd.revents & POLLERR);
}

/* What went wrong while printing; a reader that has enough is no failure. */
static bool written(const Ctl *c, GError **error)
{
  if (fflush(c->term.out) == 0 && !ferror(c->term.out))
    return true;
  return errno == EPIPE || reader_gone(c->term.out) ||
         mal_ctl_fail(error, MAL_CTL_FAILED, "can't write the answer: %s", g_strerror(errno));
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void tell_more(const Ctl *c, json_object *page)
{
  json_object *leases = mal_ctl_member(page, "leases");
  if (c->args.json || !leases || !mal_ctl_member(page, "next"))
    return;
  fprintf(stderr, "%zu of %" G_GINT64_FORMAT " leases; ", mal_ctl_length(leases),
          mal_ctl_number(page, "total"));
  if (strcmp(c->word, "leases") == 0)
    fputs("--limit shows more\n", stderr);
  else
    fprintf(stderr, "--cursor %" G_GINT64_FORMAT " goes on, mallocctl leases shows all\n",
            mal_ctl_number(page, "next"));
}

static bool run_leases(Ctl *c, json_object *method, GError **error)
{
  MalCtlExtra extra[] = { { "limit", LEASES_MOST, false }, { NULL, 0, false } };
  json_object *params = params_of(c, method, extra, error);
  json_object *all = NULL;
  if (params)
    all = mal_ctl_all_leases(c->link, c->method, params, extra[0].value, error);
  json_object_put(params);
  if (!all)
    return false;
  print_result(c, all);
  tell_more(c, all);
  json_object_put(all);
  return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool run_events(Ctl *c, json_object *method, GError **error)
{
  MalCtlExtra extra[] = { { "count", G_MAXINT64, false }, { NULL, 0, false } };
  json_object *params = params_of(c, method, extra, error);
  json_object *result = params ? c->link->call(c->link, c->method, params, error) : NULL;
  json_object_put(params);
  bool good = result;
  json_object_put(result);
  /* That nothing happens is no fault, unless the caller says for how long it may. */
  if (c->args.timeout < 0)
    c->link->timeout = 0;
  for (int64_t n = 0; good && n < extra[0].value; n++) {
    GError *cause = NULL;
    json_object *event = mal_ctl_rpc_event(c->link, fileno(c->term.out), &cause);
    if (cause)
      g_propagate_error(error, cause);
    if (!event)
      return !cause;
    if (c->args.json)
      print_json(c, event);
    else
      mal_ctl_view_event(&c->term, event);
    json_object_put(event);
    if (fflush(c->term.out) != 0)
      break;
  }
  return good;
}

/* ---- the other commands ---------------------------------------------------------------------- */

/* So many cells that each stands for a round number of addresses: that takes a first call to learn
   how many there are. */
static bool fit_map(Ctl *c, json_object *params, GError **error)
{
  json_object_object_add(params, "cells", json_object_new_int(1));
  json_object *one = c->link->call(c->link, c->method, params, error),
              *cells = mal_ctl_member(one, "cells");
  uint64_t total = 1;
  if (json_object_is_type(cells, json_type_array) && mal_ctl_length(cells) > 0)
    total = (uint64_t)mal_ctl_number(json_object_array_get_idx(cells, 0), "size");
  json_object_object_add(params, "cells",
                         json_object_new_int64(mal_ctl_map_cells(&c->term, MAX(total, 1))));
  bool good = one;
  json_object_put(one);
  return good;
}

/* What may take as long as it takes, without that anything is wrong. */
static bool takes_long(const Ctl *c, json_object *params)
{
  return g_str_has_prefix(c->method, "store.") ||
         json_object_get_boolean(mal_ctl_member(params, "wait"));
}

static bool check_here(Ctl *c, const char *path, const char *why, GError **error)
{
  g_autofree char *note = g_strconcat(why, ": checked by mallocctl itself", NULL);
  print_progress(note);
  if (!mal_ctl_direct_check(path, error))
    return false;
  fputs(c->args.json ? "{\"ok\":true}\n" : "ok\n", c->term.out);
  return true;
}

/* Who may only read can't have the daemon look at a file, but can look at it as mallocctl does
   without a daemon. */
static bool denied_check(Ctl *c, json_object *params, const GError *error)
{
  return g_error_matches(error, MAL_CTL_ERROR, MAL_CTL_DENIED) &&
         strcmp(c->method, "config.check") == 0 && mal_ctl_text(params, "file");
}

static bool run_call(Ctl *c, json_object *method, GError **error)
{
  g_autoptr(GError) cause = NULL;
  json_object *params = params_of(c, method, NULL, &cause), *result = NULL;
  bool map = strcmp(c->method, "space.map") == 0 && params &&
             !json_object_object_get_ex(params, "cells", NULL);
  if (c->args.timeout < 0 && takes_long(c, params))
    c->link->timeout = 0;
  else if (c->args.timeout < 0 && strcmp(c->method, "lease.request") == 0)
    c->link->timeout = WAIT_TIMEOUT;
  if (params && complete_params(c, params, &cause) && (!map || fit_map(c, params, &cause)))
    result = c->link->call(c->link, c->method, params, &cause);
  if (denied_check(c, params, cause)) {
    bool good = check_here(c, mal_ctl_text(params, "file"),
                           "the daemon checks files for its administrators only", error);
    json_object_put(params);
    return good;
  }
  json_object_put(params);
  if (!result) {
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
  }
  print_result(c, result);
  tell_more(c, result);
  json_object_put(result);
  return true;
}

/* --direct scopes: those that servers announce, where the plugin has a method for that. */
static void prefer_plugin(Ctl *c)
{
  const char *via = c->link->defaults ? g_hash_table_lookup(c->link->defaults, "via") : NULL;
  g_autofree char *name = via ? g_strconcat(via, ".", c->word, NULL) : NULL;
  if (name && find_method(c, name)) {
    g_free(c->method);
    c->method = g_steal_pointer(&name);
  }
}

static bool check_alone(Ctl *c, GError **no_daemon, GError **error)
{
  if (!c->words[0] || c->words[1] || *c->words[0] == '-') {
    g_propagate_error(error, g_steal_pointer(no_daemon));
    return false;
  }
  g_autofree char *why = g_strdup_printf("no daemon at %s", socket_path(c));
  return check_here(c, c->words[0], why, error);
}

static bool run_command(Ctl *c, GError **error)
{
  g_autoptr(GError) cause = NULL;
  if (!c->args.direct && !find_command(c, (char **)c->args.words->pdata, error))
    return false;
  if (!open_link(c, &cause)) {
    if (g_strcmp0(c->method, "config.check") == 0 && cause->code == MAL_CTL_NO_DAEMON &&
        !c->args.help)
      return check_alone(c, &cause, error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
  }
  if (!discover(c, error))
    return false;
  /* The options of --direct are out of the words by now. */
  g_clear_pointer(&c->method, g_free);
  if (!find_command(c, (char **)c->args.words->pdata, error))
    return false;
  prefer_plugin(c);
  json_object *method = find_method(c, c->method);
  if (!method)
    return no_such_method(c, error);
  if (c->args.help) {
    mal_ctl_view_method(&c->term, method);
    return true;
  }
  if (g_strcmp0(c->word, "leases") == 0)
    return run_leases(c, method, error);
  return g_strcmp0(c->method, "events.subscribe") == 0 ? run_events(c, method, error)
                                                       : run_call(c, method, error);
}

static bool run(Ctl *c, GError **error)
{
  const char *first = c->args.words->pdata[0];
  if (c->args.version) {
    fprintf(c->term.out, "mallocctl %s\n", PACKAGE_VERSION);
    return true;
  }
  if (first && strcmp(first, "help") == 0) {
    c->args.help = true;
    g_ptr_array_remove_index(c->args.words, 0);
    first = c->args.words->pdata[0];
  }
  if (!first && c->args.help) {
    fputs(help_text, c->term.out);
    return true;
  }
  return run_command(c, error);
}

/* A socket must not become our standard output because somebody closed that. */
static void open_standard_streams(void)
{
  int fd;
  do
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    close(fd);
}

int mal_ctl_main(int argc, char **argv)
{
  Ctl c = { 0 };
  g_autoptr(GError) error = NULL;
  open_standard_streams();
  setlocale(LC_ALL, "");  // NOLINT(concurrency-mt-unsafe): no thread yet
  signal(SIGPIPE, SIG_IGN);
  mal_ctl_term_init(&c.term, stdout);
  bool good = mal_ctl_args_parse(argc, argv, &c.args, &error) && run(&c, &error);
  good = written(&c, error ? NULL : &error) && good;
  if (error)
    print_error(error->message);
  int status = good                                    ? MAL_CTL_DONE
             : error && error->domain == MAL_CTL_ERROR && error->code != MAL_CTL_DENIED
                                                       ? error->code
                                                       : MAL_CTL_FAILED;
  if (c.link)
    c.link->free(c.link);
  json_object_put(c.discovered);
  g_free(c.method);
  mal_ctl_args_clear(&c.args);
  return status;
}
