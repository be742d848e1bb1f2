#include <config.h>

#include "control-socket.h"
#include "events-line.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MOST ((size_t)1024 * 1024)         /* a longer request ends the connection */
#define QUEUE_MOST ((size_t)8 * 1024 * 1024)    /* so does an answer that nobody reads */
#define QUEUES_MOST ((size_t)64 * 1024 * 1024)  /* of all connections */
#define CONNECTIONS_MOST 128
#define READERS_MOST 96                 /* of them, of who may not change things */
#define CALLS_MOST 64                   /* waiting at once, of one connection */

typedef struct {
  MalControlSocket *server;
  int fd;
  GSource *in, *out;
  GByteArray *line;             /* what came of the next request */
  GByteArray *queue;            /* what waits to be sent */
  GPtrArray *calls;             /* Pending */
  bool may_write;
  bool closing;                 /* no more requests; ends when the queue is sent */
  bool dead;
  char *prefix;                 /* not NULL: hears events */
  unsigned busy;                /* functions that use it are on the stack */
} Connection;

typedef struct {
  Connection *connection;       /* NULL: it ended while the call was being begun */
  json_object *id;              /* NULL for a notification: no answer */
  bool is_notification;
  MalCall *call;                /* NULL: being begun */
} Pending;

struct MalControlSocket {
  GMainContext *context;
  MalControl *control;
  MalEvents *events;
  char *path, *group;
  int fd;
  dev_t device;                 /* of the file, so that nobody else's is removed */
  ino_t inode;
  GSource *source;
  GPtrArray *connections;
  size_t queued;                /* octets in all queues */
  unsigned subscription;
  MalControlSocketCounters counters;
};

/* ---- connections ----------------------------------------------------------------------------- */

static void drop_source(GSource **source)
{
  if (!*source)
    return;
  g_source_destroy(*source);
  g_source_unref(*source);
  *source = NULL;
}

static void pending_free(Pending *p)
{
  json_object_put(p->id);
  g_free(p);
}

static void connection_free(Connection *c)
{
  g_byte_array_unref(c->line);
  g_byte_array_unref(c->queue);
  g_ptr_array_unref(c->calls);
  g_free(c->prefix);
  g_free(c);
}

/* As long as nobody listens, no event is made into text for nobody. */
static void drop_subscription(MalControlSocket *s)
{
  for (unsigned i = 0; i < s->connections->len; i++)
    if (((const Connection *)g_ptr_array_index(s->connections, i))->prefix)
      return;
  mal_events_unsubscribe(s->events, s->subscription);
  s->subscription = 0;
}

/* Frees it at once, or when the last function that uses it returns. */
static void connection_end(Connection *c)
{
  if (!c->dead) {
    c->dead = true;
    drop_source(&c->in);
    drop_source(&c->out);
    close(c->fd);
    c->server->queued -= c->queue->len;
    for (unsigned i = 0; i < c->calls->len; i++) {
      Pending *p = g_ptr_array_index(c->calls, i);
      p->connection = NULL;
      /* A call whose method runs right now may still answer, or tell of progress: begin() frees
         it. */
      if (!p->call)
        continue;
      mal_call_abandon(p->call);
      pending_free(p);
    }
    g_ptr_array_set_size(c->calls, 0);
    g_ptr_array_remove_fast(c->server->connections, c);
    drop_subscription(c->server);
  }
  if (c->busy == 0)
    connection_free(c);
}

static void enter(Connection *c)
{
  c->busy++;
}

static void leave(Connection *c)
{
  if (--c->busy == 0 && c->dead)
    connection_free(c);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer data);

static void flush(Connection *c)
{
  while (!c->dead && c->queue->len > 0) {
    ssize_t n = send(c->fd, c->queue->data, c->queue->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      g_byte_array_remove_range(c->queue, 0, (unsigned)n);
      c->server->queued -= (size_t)n;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!c->out) {
        c->out = g_unix_fd_source_new(c->fd, G_IO_OUT | G_IO_HUP | G_IO_ERR);
        g_source_set_callback(c->out, G_SOURCE_FUNC(on_writable), c, NULL);
        g_source_attach(c->out, c->server->context);
      }
      return;
    } else {
      connection_end(c);
      return;
    }
  }
  drop_source(&c->out);
  if (!c->dead && c->closing && c->calls->len == 0)
    connection_end(c);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer data)
{
  Connection *c = data;
  (void)fd;
  (void)condition;
  enter(c);
  flush(c);
  bool more = !c->dead && c->out;
  leave(c);
  return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* A client that doesn't read loses its connection, not our memory. */
static void send_json(Connection *c, json_object *message)
{
  const char *text = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN
                                                                 | JSON_C_TO_STRING_NOSLASHESCAPE);
  size_t length = strlen(text);
  if (c->dead)
    return;
  if (c->queue->len + length > QUEUE_MOST || c->server->queued + length > QUEUES_MOST) {
    c->server->counters.slow++;
    connection_end(c);
    return;
  }
  g_byte_array_append(c->queue, (const uint8_t *)text, (unsigned)length);
  g_byte_array_append(c->queue, (const uint8_t *)"\n", 1);
  c->server->queued += length + 1;
  flush(c);
}

/* ---- answers --------------------------------------------------------------------------------- */

static json_object *envelope(void)
{
  json_object *o = json_object_new_object();
  json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
  return o;
}

static void send_error(Connection *c, json_object *id, int code, const char *message,
                       const char *kind)
{
  json_object *o = envelope(), *e = json_object_new_object();
  json_object_object_add(e, "code", json_object_new_int(code));
  /* A message may quote the request, cut in the middle of a character. */
  g_autofree char *valid = g_utf8_make_valid(message, -1);
  json_object_object_add(e, "message", json_object_new_string(valid));
  if (kind) {
    json_object *data = json_object_new_object();
    json_object_object_add(data, "kind", json_object_new_string(kind));
    json_object_object_add(e, "data", data);
  }
  json_object_object_add(o, "error", e);
  json_object_object_add(o, "id", json_object_get(id));
  send_json(c, o);
  json_object_put(o);
}

static void answer(Pending *p, json_object *result, const GError *error)
{
  Connection *c = p->connection;
  if (p->is_notification)
    return;
  if (error) {
    const char *kind =
        error->domain == MAL_CALL_ERROR
            ? NULL
            : mal_error_kind(error->domain == MAL_ERROR ? error->code : MAL_ERROR_INTERNAL);
    send_error(c, p->id, mal_json_rpc_code(error), error->message, kind);
    return;
  }
  json_object *o = envelope();
  json_object_object_add(o, "result", json_object_get(result));
  json_object_object_add(o, "id", json_object_get(p->id));
  send_json(c, o);
  json_object_put(o);
}

static void on_done(json_object *result, const GError *error, void *data)
{
  Pending *p = data;
  Connection *c = p->connection;
  if (!c)
    return;
  enter(c);
  g_ptr_array_remove_fast(c->calls, p);
  answer(p, result, error);
  if (p->call)
    pending_free(p);
  else
    p->connection = NULL;
  if (!c->dead && c->closing && c->calls->len == 0)
    flush(c);
  leave(c);
}

static void on_progress(const char *message, void *data)
{
  Pending *p = data;
  Connection *c = p->connection;
  if (!c)
    return;
  json_object *o = envelope(), *params = json_object_new_object();
  json_object_object_add(o, "method", json_object_new_string("progress"));
  json_object_object_add(params, "id", json_object_get(p->id));
  json_object_object_add(params, "message", json_object_new_string(message));
  json_object_object_add(o, "params", params);
  enter(c);
  send_json(c, o);
  leave(c);
  json_object_put(o);
}

static void on_event(const MalEventDef *def, MalTime at, const MalField *fields, size_t n,
                     const char *message, void *data);

static void on_subscribe(void *data, const char *prefix)
{
  Connection *c = ((Pending *)data)->connection;
  if (!c)
    return;
  MalControlSocket *s = c->server;
  g_free(c->prefix);
  c->prefix = g_strdup(prefix);
  if (!s->subscription)
    s->subscription = mal_events_subscribe(s->events, on_event, s);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The member "progress" of a request is ours: whoever doesn't say it gets one line for one line. */
static bool wants_progress(json_object *request)
{
  json_object *value;
  return json_object_object_get_ex(request, "progress", &value) && json_object_get_boolean(value);
}

static void begin(Connection *c, const char *method, json_object *params, json_object *id,
                  bool is_notification, bool progress)
{
  Pending *p = g_new0(Pending, 1);
  *p = (Pending){ .connection = c, .id = json_object_get(id), .is_notification = is_notification };
  g_ptr_array_add(c->calls, p);
  c->server->counters.calls++;
  MalCaller caller = { .done = on_done,
                       .progress = is_notification || !progress ? NULL : on_progress,
                       .subscribe = on_subscribe,
                       .data = p };
  MalCall *call = mal_control_begin(c->server->control, method, params, c->may_write, &caller);
  /* The connection may have died meanwhile. */
  if (call && p->connection) {
    p->call = call;
    return;
  }
  if (call)
    mal_call_abandon(call);
  pending_free(p);
}

static bool is_plain_text(json_object *value)
{
  return json_object_is_type(value, json_type_string) &&
         strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

static const char not_an_object[] = "a request must be a JSON object (batches are not supported)";

static void handle_request(Connection *c, json_object *request)
{
  json_object *method = NULL, *params = NULL, *id = NULL, *version = NULL;
  if (!json_object_is_type(request, json_type_object)) {
    send_error(c, NULL, -32600, not_an_object, NULL);
    return;
  }
  bool has_id = json_object_object_get_ex(request, "id", &id);
  json_object_object_get_ex(request, "params", &params);
  if (has_id && id && !json_object_is_type(id, json_type_string)
      && !json_object_is_type(id, json_type_int)) {
    send_error(c, NULL, -32600, "\"id\" must be a string, an integer or null", NULL);
    return;
  }
  if (!json_object_object_get_ex(request, "jsonrpc", &version)
      || !json_object_is_type(version, json_type_string)
      || strcmp(json_object_get_string(version), "2.0") != 0) {
    send_error(c, id, -32600, "\"jsonrpc\" must be \"2.0\"", NULL);
    return;
  }
  if (!json_object_object_get_ex(request, "method", &method) || !is_plain_text(method)) {
    send_error(c, id, -32600, "\"method\" must be a string", NULL);
    return;
  }
  if (params && !json_object_is_type(params, json_type_object)) {
    if (has_id)
      send_error(c, id, -32602, "\"params\" must be an object with named parameters", NULL);
    return;
  }
  if (c->calls->len >= CALLS_MOST) {
    if (has_id)
      send_error(c, id, -32000 - MAL_ERROR_LIMIT,
                 "too many calls of this connection wait for their answers", "limit");
    return;
  }
  begin(c, json_object_get_string(method), params, id, !has_id, wants_progress(request));
}

static void handle_line(Connection *c, const char *text, size_t length)
{
  json_object *request = NULL;
  while (length > 0 && g_ascii_isspace(text[length - 1]))
    length--;
  if (length == 0)
    return;
  const char *wrong = memchr(text, '\0', length) ? "it has a NUL"
                                                 : mal_json_parse(text, length, &request);
  if (wrong) {
    g_autofree char *message = g_strdup_printf("not a line of JSON: %s", wrong);
    send_error(c, NULL, -32700, message, NULL);
  } else if (!request) {
    send_error(c, NULL, -32600, not_an_object, NULL);
  } else {
    handle_request(c, request);
  }
  json_object_put(request);
}

static void refuse_long(Connection *c)
{
  c->server->counters.too_long++;
  c->closing = true;
  drop_source(&c->in);
  send_error(c, NULL, -32600, "a request may have at most 1 MiB; the connection is closed",
             "limit");
  if (!c->dead)
    flush(c);
}

/* What was handled is taken off once, at the end: a client may send a newline in every octet. */
static void handle_lines(Connection *c)
{
  size_t done = 0;
  while (!c->dead && !c->closing) {
    const char *text = (const char *)c->line->data + done;
    const char *newline = memchr(text, '\n', c->line->len - done);
    size_t length = newline ? (size_t)(newline - text) : c->line->len - done;
    if (length > LINE_MOST)
      refuse_long(c);
    else if (newline)
      handle_line(c, text, length);
    if (!newline)
      break;
    done += length + 1;
  }
  if (!c->dead)
    g_byte_array_remove_range(c->line, 0, (unsigned)MIN(done, c->line->len));
}

/* The end of what it sends ends its last line, too. */
static void handle_last_line(Connection *c)
{
  handle_line(c, (const char *)c->line->data, c->line->len);
  if (!c->dead)
    g_byte_array_set_size(c->line, 0);
}

static gboolean on_hung_up(int fd, GIOCondition condition, gpointer data)
{
  (void)fd;
  (void)condition;
  connection_end(data);
  return G_SOURCE_REMOVE;
}

/* It asks no more, but may wait for answers; unless it closed the other direction, too. */
static void end_of_requests(Connection *c, GIOCondition condition)
{
  c->closing = true;
  drop_source(&c->in);
  if (condition & (G_IO_HUP | G_IO_ERR)) {
    connection_end(c);
    return;
  }
  flush(c);
  if (c->dead)
    return;
  c->in = g_unix_fd_source_new(c->fd, G_IO_HUP | G_IO_ERR);
  g_source_set_callback(c->in, G_SOURCE_FUNC(on_hung_up), c, NULL);
  g_source_attach(c->in, c->server->context);
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
  Connection *c = data;
  uint8_t buffer[65536];
  enter(c);
  ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n > 0) {
    g_byte_array_append(c->line, buffer, (unsigned)n);
    handle_lines(c);
  } else if (n == 0) {
    handle_last_line(c);
    if (!c->dead)
      end_of_requests(c, condition);
  } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    connection_end(c);
  }
  bool more = !c->dead && !c->closing;
  leave(c);
  return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- who comes ------------------------------------------------------------------------------- */

static const char too_many[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32005,\"message\":\"too "
                               "many connections to the control "
                               "socket\",\"data\":{\"kind\":\"limit\"}},\"id\":null}\n";

/* Else anybody on this host who keeps connections open would shut out its administrator. */
static unsigned readers(const MalControlSocket *s)
{
  unsigned n = 0;
  for (unsigned i = 0; i < s->connections->len; i++) {
    const Connection *c = g_ptr_array_index(s->connections, i);
    n += !c->may_write;
  }
  return n;
}

static gboolean on_connection(int fd, GIOCondition condition, gpointer data)
{
  MalControlSocket *s = data;
  (void)condition;
  int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer < 0)
    return G_SOURCE_CONTINUE;
  bool may_write = mal_control_peer_may_write(peer, s->group);
  if (s->connections->len >= CONNECTIONS_MOST || (!may_write && readers(s) >= READERS_MOST)) {
    s->counters.refused++;
    send(peer, too_many, sizeof too_many - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(peer);
    return G_SOURCE_CONTINUE;
  }
  Connection *c = g_new0(Connection, 1);
  *c = (Connection){ .server = s,
                     .fd = peer,
                     .line = g_byte_array_new(),
                     .queue = g_byte_array_new(),
                     .calls = g_ptr_array_new(),
                     .may_write = may_write };
  c->in = g_unix_fd_source_new(peer, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback(c->in, G_SOURCE_FUNC(on_readable), c, NULL);
  g_source_attach(c->in, s->context);
  g_ptr_array_add(s->connections, c);
  s->counters.accepted++;
  return G_SOURCE_CONTINUE;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void publish(MalControlSocket *s, const char *topic, json_object *params)
{
  json_object *o = envelope();
  json_object_object_add(o, "method", json_object_new_string("event"));
  json_object_object_add(o, "params", json_object_get(params));
  for (unsigned i = s->connections->len; i-- > 0;) {
    Connection *c = g_ptr_array_index(s->connections, i);
    if (!c->prefix || !g_str_has_prefix(topic, c->prefix))
      continue;
    enter(c);
    send_json(c, o);
    leave(c);
  }
  json_object_put(o);
}

static void on_event(const MalEventDef *def, MalTime at, const MalField *fields, size_t n,
                     const char *message, void *data)
{
  json_object *o = mal_event_to_json(&(MalEventView){ def, at, fields, n, message });
  publish(data, def->name, o);
  json_object_put(o);
}

static void on_notify(const char *topic, json_object *params, void *data)
{
  publish(data, topic, params);
}

/* ---- the socket ------------------------------------------------------------------------------ */

MalControlSocket *mal_control_socket_open(const MalControlSocketOptions *o, GError **error)
{
  struct stat st;
  int fd = mal_control_listen(o->path, error);
  if (fd < 0)
    return NULL;
  MalControlSocket *s = g_new0(MalControlSocket, 1);
  *s = (MalControlSocket){ .context = o->context ? g_main_context_ref(o->context) : NULL,
                           .control = o->control,
                           .events = o->events,
                           .path = g_strdup(o->path),
                           .group = g_strdup(o->group),
                           .fd = fd,
                           .connections = g_ptr_array_new() };
  if (lstat(s->path, &st) == 0) {
    s->device = st.st_dev;
    s->inode = st.st_ino;
  }
  s->source = g_unix_fd_source_new(fd, G_IO_IN);
  g_source_set_callback(s->source, G_SOURCE_FUNC(on_connection), s, NULL);
  g_source_attach(s->source, s->context);
  mal_control_set_notify(s->control, on_notify, s);
  return s;
}

void mal_control_socket_close(MalControlSocket *s)
{
  struct stat st;
  if (!s)
    return;
  mal_control_set_notify(s->control, NULL, NULL);
  drop_source(&s->source);
  close(s->fd);
  /* Another daemon's, where ours was removed by hand and it came instead, stays. */
  if (lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
    g_unlink(s->path);
  while (s->connections->len > 0)
    connection_end(g_ptr_array_index(s->connections, 0));
  g_ptr_array_unref(s->connections);
  g_clear_pointer(&s->context, g_main_context_unref);
  g_free(s->path);
  g_free(s->group);
  g_free(s);
}

MalControlSocketCounters mal_control_socket_counters(const MalControlSocket *s)
{
  return s->counters;
}
