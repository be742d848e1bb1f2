/* mallocd: options, the background, signals, and the main loop around one MalCore. */
#include <config.h>

#include "control-socket.h"
#include "core.h"
#include "daemon.h"
#include "events-line.h"
#include "runtime-glib.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <grp.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { DONE = 0, FAILED = 1, BAD_USAGE = 2 };

typedef struct {
  const MalServiceManager *manager;
  char *config;
  bool foreground, check, version;
  int ready_fd;                 /* in the background: tells the parent; -1 otherwise */
  bool syslog, journal;
  MalRuntime *rt;
  MalCore *core;
  MalControlSocket *socket;
  MalTimer *watchdog;
  GMainLoop *loop;
} Daemon;

/* ---- log ------------------------------------------------------------------------------------- */

static void write_log(MalLogLevel level, const char *line, void *data)
{
  static const int priorities[] = {
    [MAL_LOG_ERROR] = LOG_ERR,
    [MAL_LOG_WARNING] = LOG_WARNING,
    [MAL_LOG_INFO] = LOG_INFO,
    [MAL_LOG_DEBUG] = LOG_DEBUG,
  };
  const Daemon *d = data;
  if (d->syslog)
    syslog(priorities[level], "%s", line);
  else if (d->journal)
    fprintf(stderr, "<%d>%s\n", priorities[level], line);
  else
    fprintf(stderr, "%s\n", line);
}

static const MalEventDef library = { "daemon.library", MAL_FAULT_OURS, MAL_LOG_WARNING,
                                     "GLib, or the runtime below the daemon, met what should not "
                                     "happen. The message says what; it goes on as well as it "
                                     "can." };

/* Else it would go to standard error, which nobody hears of a daemon in the background. Comes from
   any thread. */
static void on_library_message(const char *domain, GLogLevelFlags level, const char *message,
                               void *data)
{
  const Daemon *d = data;
  bool grave = level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
  MalEventDef def = library;
  const MalField fields[] = { MAL_F_STRING("domain", domain ? domain : "mallocd") };
  if (!grave && !(level & G_LOG_LEVEL_WARNING))
    return;
  def.level = grave ? MAL_LOG_ERROR : MAL_LOG_WARNING;
  MalEventView view = { &def, mal_runtime_now(d->rt), fields, G_N_ELEMENTS(fields), message };
  g_autofree char *line = mal_event_to_line(&view, MAL_LOG_TEXT);
  write_log(def.level, line, data);
}

/* ---- options --------------------------------------------------------------------------------- */

static bool parse_options(Daemon *d, int *argc, char ***argv)
{
  gboolean foreground = FALSE, check = FALSE, version = FALSE;
  g_autoptr(GError) error = NULL;
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &d->config, "Read this configuration", "FILE" },
    { "foreground", 0, 0, G_OPTION_ARG_NONE, &foreground,
      "Stay in the foreground, log to standard error", NULL },
    { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Check the configuration and exit", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Show the version and exit", NULL },
    { 0 },
  };
  GOptionContext *context = g_option_context_new(NULL);
  g_option_context_set_summary(
      context, "Allocates multicast addresses: MADCAP, AAP and MASC in one daemon.");
  g_option_context_set_description(context, "See mallocd(8) and mallocd.conf(5).");
  g_option_context_add_main_entries(context, entries, NULL);
  bool ok = g_option_context_parse(context, argc, argv, &error);
  g_option_context_free(context);
  d->foreground = foreground;
  d->check = check;
  d->version = version;
  if (ok && *argc > 1) {
    fprintf(stderr, "mallocd: %s: unexpected argument (mallocd --help shows the options)\n",
            (*argv)[1]);
    return false;
  }
  if (!ok)
    fprintf(stderr, "mallocd: %s (mallocd --help shows the options)\n", error->message);
  return ok;
}

static MalCoreOptions core_options(Daemon *d)
{
  const char *dir = g_getenv("MALLOCD_PLUGIN_DIR");
  return (MalCoreOptions){
    .runtime = d->rt,
    .config_file = d->config,
    .plugin_dir = dir && *dir ? dir : NULL,
    .log = write_log,
    .log_data = d,
  };
}

static int check(Daemon *d)
{
  g_autoptr(GError) error = NULL;
  MalCoreOptions options = core_options(d);
  if (mal_core_check(&options, &error)) {
    printf("%s: ok\n", d->config);
    return DONE;
  }
  fprintf(stderr, "mallocd: %s\n", error->message);
  return FAILED;
}

/* ---- the background -------------------------------------------------------------------------- */

/* The parent stays until the child serves, or has said why it doesn't. Never returns in the
   parent. */
static bool go_background(Daemon *d)
{
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0)
    return false;
  pid_t pid = fork();
  if (pid < 0)
    return false;
  if (pid == 0) {
    close(fds[0]);
    d->ready_fd = fds[1];
    setsid();
    return true;
  }
  char byte;
  ssize_t n;
  close(fds[1]);
  do
    n = read(fds[0], &byte, 1);
  while (n < 0 && errno == EINTR);
  _exit(n == 1 ? DONE : FAILED);
}

static void report_ready(Daemon *d)
{
  d->manager->notify("READY=1\nSTATUS=Allocating multicast addresses");
  if (d->ready_fd < 0)
    return;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  openlog("mallocd", LOG_PID, LOG_DAEMON);
  d->syslog = true;
  if (write(d->ready_fd, "", 1) != 1)
    syslog(LOG_WARNING, "nobody waits for the daemon to be ready");
  close(d->ready_fd);
  d->ready_fd = -1;
  for (int fd = 0; null >= 0 && fd < 3; fd++)
    dup2(null, fd);
}

/* ---- signals --------------------------------------------------------------------------------- */

static gboolean on_terminate(gpointer data)
{
  Daemon *d = data;
  d->manager->notify("STOPPING=1");
  g_main_loop_quit(d->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean on_hangup(gpointer data)
{
  Daemon *d = data;
  char state[64];
  g_snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT,
             mal_runtime_monotonic(d->rt));
  d->manager->notify(state);
  /* What was wrong is an event, and so in the log. */
  mal_core_reload(d->core, NULL, NULL);
  d->manager->notify("READY=1");
  return G_SOURCE_CONTINUE;
}

static void on_watchdog(void *data)
{
  Daemon *d = data;
  d->manager->notify("WATCHDOG=1");
  mal_timer_set(d->watchdog, mal_runtime_monotonic(d->rt) + d->manager->watchdog_us / 2);
}

/* A reload that is asked for during the start waits for its end, rather than ending the start. */
static void hold_hangup(int how)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the mask of the loop's thread is meant, which is this
  sigprocmask(how, &set, NULL);
}

static void watch_signals(Daemon *d)
{
  g_unix_signal_add(SIGTERM, on_terminate, d);
  g_unix_signal_add(SIGINT, on_terminate, d);
  g_unix_signal_add(SIGHUP, on_hangup, d);
  hold_hangup(SIG_UNBLOCK);
  if (d->manager->watchdog_us > 0) {
    d->watchdog = mal_timer_new(d->rt, on_watchdog, d);
    on_watchdog(d);
  }
}

/* ---- running --------------------------------------------------------------------------------- */

static const MalEventDef no_group = { "control.no-group", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
                                      "This host has no group of the name that control-group "
                                      "says: only root and the daemon's own user may change "
                                      "things through the control socket." };

/* The default may be missing, since it needs nobody's attention where root is all there is. */
static void check_group(Daemon *d, const MalConfSection *s)
{
  static const MalEventDef *const events[] = { &no_group, &library };
  const char *name = mal_conf_string(s, "control-group");
  mal_events_register(mal_core_events(d->core), events, G_N_ELEMENTS(events));
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the loop's thread alone asks for groups
  if (!mal_conf_given(s, "control-group") || *name == '\0' || getgrnam(name))
    return;
  MalField fields[] = { MAL_F_STRING("group", name) };
  MAL_EVENT(mal_core_events(d->core), &no_group, fields,
            "there is no group %s: only root and the daemon's own user may change things", name);
}

static bool open_socket(Daemon *d, GError **error)
{
  const MalConfSection *s = mal_config_section(mal_core_config(d->core), "daemon");
  check_group(d, s);
  MalControlSocketOptions options = {
    .control = mal_core_control(d->core), .events = mal_core_events(d->core),
    .path = mal_conf_string(s, "control-socket"), .group = mal_conf_string(s, "control-group"),
  };
  d->socket = mal_control_socket_open(&options, error);
  return d->socket;
}

static int run(Daemon *d)
{
  /* Who reads our log may go away; that ends no server. */
  signal(SIGPIPE, SIG_IGN);
  hold_hangup(SIG_BLOCK);
  g_autoptr(GError) error = NULL;
  MalCoreOptions options = core_options(d);
  d->core = mal_core_new(&options, &error);
  if (d->core && open_socket(d, &error) && mal_core_start(d->core, &error)) {
    d->loop = g_main_loop_new(NULL, FALSE);
    watch_signals(d);
    report_ready(d);
    g_main_loop_run(d->loop);
    g_main_loop_unref(d->loop);
    mal_timer_free(d->watchdog);
  }
  if (error)
    fprintf(stderr, "mallocd: %s\n", error->message);
  mal_control_socket_close(d->socket);
  if (d->core)
    mal_core_stop(d->core);
  g_clear_pointer(&d->core, mal_core_free);
  return error ? FAILED : DONE;
}

int mal_daemon_main(int argc, char **argv, const MalServiceManager *manager)
{
  Daemon d = { .manager = manager, .ready_fd = -1 };
  setlocale(LC_ALL, "");  // NOLINT(concurrency-mt-unsafe): no thread yet
  if (!parse_options(&d, &argc, &argv))
    return BAD_USAGE;
  if (d.version) {
    printf("mallocd %s\n", PACKAGE_VERSION);
    return DONE;
  }
  if (sodium_init() < 0) {
    fprintf(stderr, "mallocd: libsodium can't be initialised\n");
    return FAILED;
  }
  if (!d.config)
    d.config = g_strdup(MAL_CONFIG_FILE);
  /* Messages and status name it whole, wherever their reader is. */
  char *absolute = g_canonicalize_filename(d.config, NULL);
  g_free(d.config);
  d.config = absolute;
  d.journal = g_getenv("JOURNAL_STREAM") != NULL;
  int status;
  if (d.check) {
    status = check(&d);
  } else if (!d.foreground && !go_background(&d)) {
    fprintf(stderr, "mallocd: can't go to the background: %s\n", g_strerror(errno));
    status = FAILED;
  } else {
    d.rt = mal_runtime_glib_new(NULL);
    g_log_set_default_handler(on_library_message, &d);
    status = run(&d);
    g_log_set_default_handler(g_log_default_handler, NULL);
    mal_runtime_glib_free(d.rt);
  }
  g_free(d.config);
  return status;
}
