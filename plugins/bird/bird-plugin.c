#include "bird-plugin.h"

#include <string.h>

#define FILE_MODE 0644        /* BIRD has a user of its own */

/* Plain "configure": a soft one would leave other protocols with old filters where bird.conf
   changed, too, and the operator's own reconfiguration would then find nothing to do. */
#define CONFIGURE "configure\n"

typedef struct {
  Bird *bird;
  char *path, *text;
  bool same;                  /* BIRD would find nothing new */
  GError *error;
} Job;

static void run(Bird *b, BirdEvent event);

/* ---- what is said ---------------------------------------------------------------------------- */

static void report(Bird *b, unsigned event, const char *what)
{
  MalField fields[] = { MAL_F_STRING("error", what), MAL_F_STRING("file", b->config.file) };
  b->refusing = event == BIRD_EVENT_REFUSED;
  if (g_strcmp0(b->trouble, what) == 0)
    return;
  g_free(b->trouble);
  b->trouble = g_strdup(what);
  MAL_EVENT(b->host.events, bird_events[event], fields, "%s", what);
}

static void lost(Bird *b, const char *what)
{
  mal_count(b->host.metrics, BIRD_M_LOST, 1);
  report(b, BIRD_EVENT_UNREACHABLE, what);
  run(b, BIRD_LOST);
}

static void report_left_out(Bird *b, size_t before)
{
  MalField fields[] = { MAL_F_INT("left_out", (int64_t)b->count.left_out) };
  if (b->count.left_out > 0 && before == 0)
    MAL_EVENT(b->host.events, bird_events[BIRD_EVENT_LEFT_OUT], fields,
              "%zu prefixes are not exported: there are more than maximum-routes = %u",
              b->count.left_out, b->config.form.most);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void write_file(void *data)
{
  Job *job = data;
  mal_file_replace(job->path, job->text, strlen(job->text), FILE_MODE, &job->error);
}

static void on_written(void *data)
{
  Job *job = data;
  Bird *b = job->bird;
  g_autoptr(GError) error = job->error;
  g_autofree char *text = job->text;
  bool same = job->same && !error;
  g_free(job->path);
  g_free(job);
  mal_count(b->host.metrics, error ? BIRD_M_NOT_WRITTEN : BIRD_M_WRITTEN, 1);
  if (b->stopping)
    return;
  if (error)
    report(b, BIRD_EVENT_NOT_WRITTEN, error->message);
  if (same)
    b->accepted = g_steal_pointer(&text);
  run(b, error ? BIRD_NOT_WRITTEN : same ? BIRD_SAME : BIRD_WRITTEN);
}

static void submit(Bird *b, const char *text)
{
  Job *job = g_new0(Job, 1);
  *job = (Job){ b, g_strdup(b->config.file), g_strdup(text),
                b->accepted && bird_file_is_same(b->accepted, text), NULL };
  g_clear_pointer(&b->accepted, g_free);
  mal_worker_submit(b->worker, write_file, on_written, job);
}

/* False: the file has it already, and BIRD, too. */
static bool render(Bird *b)
{
  size_t before = b->count.left_out;
  g_free(b->text);
  b->text = bird_file(&b->config.form, b->host.routes, &b->count);
  mal_gauge(b->host.metrics, BIRD_M_ROUTES, b->count.routes);
  mal_gauge(b->host.metrics, BIRD_M_LEFT_OUT, b->count.left_out);
  report_left_out(b, before);
  return g_strcmp0(b->text, b->accepted) != 0;
}

/* ---- BIRD ------------------------------------------------------------------------------------ */

static void on_accepted(Bird *b)
{
  MalField fields[] = { MAL_F_INT("routes", (int64_t)b->count.routes) };
  mal_count(b->host.metrics, BIRD_M_ACCEPTED, 1);
  g_clear_pointer(&b->trouble, g_free);
  g_free(b->accepted);
  b->accepted = g_strdup(b->text);
  b->accepted_at = mal_runtime_now(b->host.runtime);
  MAL_EVENT(b->host.events, bird_events[BIRD_EVENT_EXPORTED], fields, "%zu routes exported to BIRD",
            b->count.routes);
  run(b, BIRD_ACCEPTED);
}

/* TEXT begins with FILE:LINE:COLUMN. The folder may be said in another way than ours; the name is
   not that of BIRD's own file, which the check has seen to. */
static bool is_our_file(const Bird *b, const char *text)
{
  g_autofree char *path = g_strndup(text, strcspn(text, ":"));
  g_autofree char *theirs = g_path_get_basename(path);
  g_autofree char *ours = g_path_get_basename(b->config.file);
  return strcmp(theirs, ours) == 0;
}

static void on_refused(Bird *b, const BirdAnswer *answer)
{
  g_autofree char *what = g_strdup_printf("BIRD refuses its configuration: %s", answer->text);
  mal_count(b->host.metrics, BIRD_M_REFUSED, 1);
  report(b, BIRD_EVENT_REFUSED, what);
  run(b, is_our_file(b, answer->text) ? BIRD_REFUSED : BIRD_LOST);
}

static void on_greeting(Bird *b, const BirdAnswer *answer)
{
  if (answer->code != BIRD_CODE_READY) {
    g_autofree char *what = g_strdup_printf("%s greets with \"%04u %s\"; BIRD would say 0001",
                                            b->config.socket, answer->code, answer->text);
    lost(b, what);
    return;
  }
  g_free(b->version);
  b->version = g_strdup(answer->text);
  run(b, BIRD_GREETED);
}

static void on_answer(Bird *b, const BirdAnswer *answer)
{
  if (b->sync.state == BIRD_CALLING) {
    on_greeting(b, answer);
    return;
  }
  switch (answer->code) {
  case BIRD_CODE_RECONFIGURED:
  case BIRD_CODE_RECONFIGURING:
  case BIRD_CODE_QUEUED:
    on_accepted(b);
    return;
  case BIRD_CODE_CONFIG_ERROR:
    on_refused(b, answer);
    return;
  default: {
    g_autofree char *what = g_strdup_printf("BIRD answers \"%04u %s\" when asked to reconfigure",
                                            answer->code, answer->text);
    lost(b, what);
  }
  }
}

static void on_data(Bird *b, MalStream *stream, MalReader data)
{
  BirdAnswer answer;
  while (b->stream == stream && mal_reader_more(&data)) {
    BirdRead read = bird_read(&b->reader, &data, &answer);
    if (read == BIRD_GARBLED)
      lost(b, "what BIRD says can't be understood: is [bird] socket BIRD's control socket?");
    else if (read == BIRD_WHOLE)
      on_answer(b, &answer);
  }
}

static void on_stream(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                      const GError *error, void *user)
{
  Bird *b = user;
  if (what == MAL_STREAM_DATA)
    on_data(b, stream, mal_reader(data, length));
  else if (what == MAL_STREAM_CLOSED)
    lost(b, error ? error->message : "BIRD closed the connection");
}

static const MalStreamOps stream_ops = { .event = on_stream };

static bool connect_to_bird(Bird *b)
{
  g_autoptr(GError) error = NULL;
  b->reader = (BirdReader){ 0 };
  b->stream =
      mal_stream_connect_unix(b->host.runtime, b->config.socket, &stream_ops, b, &error);
  if (!b->stream) {
    mal_count(b->host.metrics, BIRD_M_LOST, 1);
    report(b, BIRD_EVENT_UNREACHABLE, error->message);
  }
  return b->stream;
}

/* ---- the machine ----------------------------------------------------------------------------- */

/* True: NEXT came of it at once. */
static bool perform(Bird *b, BirdAction action, BirdEvent *next)
{
  BirdForm nothing = { 0 };
  BirdCount none;
  switch (action) {
  case BIRD_WRITE:
    *next = BIRD_SAME;
    if (!render(b))
      return true;
    submit(b, b->text);
    return false;
  case BIRD_UNDO: {
    g_autofree char *text = bird_file(&nothing, NULL, &none);
    submit(b, text);
    return false;
  }
  case BIRD_CALL:
    *next = BIRD_LOST;
    return !connect_to_bird(b);
  case BIRD_ASK:
    mal_count(b->host.metrics, BIRD_M_ASKED, 1);
    mal_stream_send(b->stream, CONFIGURE, strlen(CONFIGURE));
    return false;
  case BIRD_NOTHING:
    break;
  }
  return false;
}

static bool is_calling(const Bird *b)
{
  return b->sync.state == BIRD_CALLING || b->sync.state == BIRD_ASKING;
}

static void run(Bird *b, BirdEvent event)
{
  do {
    BirdAction action = bird_sync_step(&b->sync, event, mal_runtime_monotonic(b->host.runtime));
    if (!is_calling(b))
      g_clear_pointer(&b->stream, mal_stream_close);
    if (!perform(b, action, &event))
      break;
  } while (true);
  mal_gauge(b->host.metrics, BIRD_M_IN_STEP, b->sync.state == BIRD_IDLE);
  if (b->sync.due == BIRD_NEVER)
    mal_timer_stop(b->timer);
  else
    mal_timer_set(b->timer, b->sync.due);
}

static void on_due(void *data)
{
  Bird *b = data;
  if (is_calling(b) && mal_runtime_monotonic(b->host.runtime) >= b->sync.due) {
    mal_count(b->host.metrics, BIRD_M_LOST, 1);
    report(b, BIRD_EVENT_UNREACHABLE, "BIRD doesn't answer");
  }
  run(b, BIRD_DUE);
}

static void on_route(MalRouteChange what, const MalRoute *route, void *data)
{
  (void)what, (void)route;
  run(data, BIRD_CHANGED);
}

void bird_plugin_now(Bird *b)
{
  g_clear_pointer(&b->accepted, g_free);
  run(b, BIRD_NOW);
}

/* ---- life ------------------------------------------------------------------------------------ */

Bird *bird_plugin_open(const MalHost *host)
{
  Bird *b = g_new0(Bird, 1);
  b->host = *host;
  b->config = bird_config_from(mal_config_section(host->config, "bird"));
  b->sync = bird_sync(b->config.times);
  b->accepted_at = MAL_BEGINNING;
  return b;
}

void bird_plugin_start(Bird *b)
{
  b->timer = mal_timer_new(b->host.runtime, on_due, b);
  b->worker = mal_worker_new(b->host.runtime, "bird");
  b->watch = mal_routes_watch(b->host.routes, on_route, b);
  run(b, BIRD_CHANGED);
}

MalReload bird_plugin_reload(Bird *b, const MalConfig *config)
{
  if (!mal_config_same(b->host.config, config, "bird"))
    return MAL_RELOAD_RESTART;
  b->host.config = config;
  b->config = bird_config_from(mal_config_section(config, "bird"));
  /* The operator may have mended what was wrong elsewhere. */
  if (b->sync.failures > 0)
    bird_plugin_now(b);
  return MAL_RELOAD_DONE;
}

/* The file stays: that mallocd ends doesn't take the prefixes from the domain. */
void bird_plugin_stop(Bird *b)
{
  b->stopping = true;
  mal_routes_unwatch(b->host.routes, b->watch);
  g_clear_pointer(&b->stream, mal_stream_close);
  g_clear_pointer(&b->worker, mal_worker_free);
  g_clear_pointer(&b->timer, mal_timer_free);
}

void bird_plugin_close(Bird *b)
{
  g_free(b->text);
  g_free(b->accepted);
  g_free(b->version);
  g_free(b->trouble);
  g_free(b);
}

json_object *bird_plugin_status(Bird *b)
{
  json_object *o = json_object_new_object();
  int64_t left = b->sync.due - mal_runtime_monotonic(b->host.runtime);
  json_object_object_add(o, "state", json_object_new_string(bird_state_name(b->sync.state)));
  json_object_object_add(o, "file", json_object_new_string(b->config.file));
  json_object_object_add(o, "socket", json_object_new_string(b->config.socket));
  json_object_object_add(o, "routes", json_object_new_int64((int64_t)b->count.routes));
  json_object_object_add(o, "left_out", json_object_new_int64((int64_t)b->count.left_out));
  json_object_object_add(o, "other_family", json_object_new_int64((int64_t)b->count.other));
  json_object_object_add(o, "bird", b->version ? json_object_new_string(b->version) : NULL);
  json_object_object_add(
      o, "accepted", b->accepted_at == MAL_BEGINNING ? NULL : mal_json_time(b->accepted_at));
  json_object_object_add(o, "failures", json_object_new_int64(b->sync.failures));
  json_object_object_add(o, "trouble", b->trouble ? json_object_new_string(b->trouble) : NULL);
  json_object_object_add(o, "next_s",
                         b->sync.due == BIRD_NEVER
                             ? NULL
                             : json_object_new_int64((MAX(left, 0) + MAL_US - 1) / MAL_US));
  return o;
}
