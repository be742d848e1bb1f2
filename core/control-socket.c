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
#define TURN_US 2000                    /* of requests, before the loop serves others */

typedef struct {
  MalControlSocket *server;
  int fd;
  GSource *in, *out;
  GByteArray *line;             /* what came of the next requests */
  size_t served;                /* of its octets */
  bool ready;                   /* a whole request is there, and it stands in the line of those */
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
  dev_t device;                 /* of the file, so that nobody else's is removed */
  ino_t inode;
  MalControlDoor *door;
  GSource *turns;               /* ready while somebody is */
  GQueue ready;                 /* Connection */
  bool busy, closed;            /* in a turn; and it ended there */
  GPtrArray *connections;
  size_t queued;                /* octets in all queues */
  unsigned subscription;
  MalControlSocketCounters counters;
};

typedef struct {
  GSource source;
  MalControlSocket *server;
} Turns;

/* ---- connections ----------------------------------------------------------------------------- */

static void drop_source(GSource **source)
{
  if (*source)
    g_source_destroy(*source);
  g_clear_pointer(source, g_source_unref);
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

static void server_free(MalControlSocket *s)
{
  g_ptr_array_unref(s->connections);
  g_clear_pointer(&s->context, g_main_context_unref);
  g_free(s->path);
  g_free(s->group);
  g_free(s);
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
    if (c->ready)
      g_queue_remove(&c->server->ready, c);
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

/* Takes over MESSAGE. */
static void send_message(Connection *c, json_object *message)
{
  send_json(c, message);
  json_object_put(message);
}

static void send_error(Connection *c, json_object *id, int code, const char *message,
                       const char *kind)
{
  send_message(c, mal_rpc_error(id, code, message, kind));
}

static void answer(Pending *p, json_object *result, const GError *error)
{
  if (p->is_notification)
    return;
  send_message(p->connection,
               error ? mal_rpc_failure(p->id, error) : mal_rpc_result(p->id, result));
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
  json_object *params = json_object_new_object();
  json_object_object_add(params, "id", json_object_get(p->id));
  json_object_object_add(params, "message", json_object_new_string(message));
  enter(c);
  send_message(c, mal_rpc_notification("progress", params));
  leave(c);
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

static void begin(Connection *c, const MalRpcRequest *request)
{
  Pending *p = g_new0(Pending, 1);
  *p = (Pending){ .connection = c, .id = json_object_get(request->id),
                  .is_notification = !request->has_id };
  g_ptr_array_add(c->calls, p);
  c->server->counters.calls++;
  MalCaller caller = { .done = on_done,
                       .progress = request->has_id && request->progress ? on_progress : NULL,
                       .subscribe = on_subscribe,
                       .data = p };
  MalCall *call = mal_control_begin(c->server->control, request->method, request->params,
                                    c->may_write, &caller);
  /* The connection may have died meanwhile. */
  if (call && p->connection) {
    p->call = call;
    return;
  }
  if (call)
    mal_call_abandon(call);
  pending_free(p);
}

static void handle_request(Connection *c, json_object *text)
{
  MalRpcRequest request;
  json_object *refusal = NULL;
  bool good = mal_rpc_read(text, &request, &refusal);
  if (good && c->calls->len >= CALLS_MOST && request.has_id)
    refusal = mal_rpc_error(request.id, -32000 - MAL_ERROR_LIMIT,
                            "too many calls of this connection wait for their answers", "limit");
  if (refusal)
    send_message(c, refusal);
  else if (good && c->calls->len < CALLS_MOST)
    begin(c, &request);
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

/* ---- whose turn it is ------------------------------------------------------------------------ */

static size_t unserved(const Connection *c)
{
  return c->line->len - c->served;
}

/* A request that is whole waits for its turn, and while it does no more is read. What was served is
   taken off once, at the end: a client may send a newline in every octet. */
static void look_for_request(Connection *c)
{
  MalControlSocket *s = c->server;
  if (c->dead || c->closing)
    return;
  if (memchr(c->line->data + c->served, '\n', unserved(c))) {
    c->ready = true;
    g_queue_push_tail(&s->ready, c);
    g_source_set_ready_time(s->turns, 0);
    return;
  }
  g_byte_array_remove_range(c->line, 0, (unsigned)c->served);
  c->served = 0;
  if (c->line->len > LINE_MOST)
    refuse_long(c);
}

static void serve(Connection *c)
{
  const char *text = (const char *)c->line->data + c->served;
  size_t length = (size_t)((const char *)memchr(text, '\n', unserved(c)) - text);
  enter(c);
  c->ready = false;
  if (length > LINE_MOST)
    refuse_long(c);
  else
    handle_line(c, text, length);
  c->served += length + 1;
  look_for_request(c);
  leave(c);
}

/* One request of each connection in turn, for a while: then the loop serves others. Anybody on this
   host may ask, in one write, for a thousand walks through all leases. */
static gboolean on_turn(GSource *source, GSourceFunc callback, gpointer data)
{
  MalControlSocket *s = ((Turns *)source)->server;
  int64_t until = g_get_monotonic_time() + TURN_US;
  (void)callback, (void)data;
  s->busy = true;
  for (bool more = true; more && s->ready.length > 0;) {
    serve(g_queue_pop_head(&s->ready));
    more = !s->closed && g_get_monotonic_time() < until;
  }
  s->busy = false;
  if (s->closed) {
    server_free(s);
    return G_SOURCE_REMOVE;
  }
  g_source_set_ready_time(source, s->ready.length > 0 ? 0 : -1);
  return G_SOURCE_CONTINUE;
}

static const GSourceFuncs turns_funcs = { .dispatch = on_turn };

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
  if (c->ready)
    return G_SOURCE_CONTINUE;
  enter(c);
  ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n > 0) {
    g_byte_array_append(c->line, buffer, (unsigned)n);
    look_for_request(c);
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

static void on_connection(int peer, void *data)
{
  MalControlSocket *s = data;
  bool may_write = mal_control_peer_may_write(peer, s->group);
  if (s->connections->len >= CONNECTIONS_MOST || (!may_write && readers(s) >= READERS_MOST)) {
    s->counters.refused++;
    send(peer, too_many, sizeof too_many - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(peer);
    return;
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
}

/* ---- events ---------------------------------------------------------------------------------- */

static void publish(MalControlSocket *s, const char *topic, json_object *params)
{
  json_object *o = mal_rpc_notification("event", json_object_get(params));
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

static const MalEventDef no_room = {
  "control.no-descriptors", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
  "The daemon has as many files open as it may: nobody can connect to the control socket for now. "
  "It tries again ten times a second. Raise the limit (LimitNOFILE of the service)."
};

static void on_no_room(const char *why, void *data)
{
  MalField fields[] = { MAL_F_STRING("error", why) };
  MAL_EVENT(((MalControlSocket *)data)->events, &no_room, fields,
            "nobody can connect to the control socket: %s", why);
}

MalControlSocket *mal_control_socket_open(const MalControlSocketOptions *o, GError **error)
{
  static const MalEventDef *const events[] = { &no_room };
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
                           .connections = g_ptr_array_new() };
  if (lstat(s->path, &st) == 0) {
    s->device = st.st_dev;
    s->inode = st.st_ino;
  }
  mal_events_register(s->events, events, G_N_ELEMENTS(events));
  s->door = mal_control_door_new(s->context, fd, on_connection, on_no_room, s);
  s->turns = g_source_new((GSourceFuncs *)(uintptr_t)&turns_funcs, sizeof(Turns)); /* only read */
  ((Turns *)s->turns)->server = s;
  g_source_attach(s->turns, s->context);
  mal_control_set_notify(s->control, on_notify, s);
  return s;
}

void mal_control_socket_close(MalControlSocket *s)
{
  struct stat st;
  if (!s)
    return;
  mal_control_set_notify(s->control, NULL, NULL);
  mal_control_door_free(s->door);
  /* Another daemon's, where ours was removed by hand and it came instead, stays. */
  if (lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
    g_unlink(s->path);
  while (s->connections->len > 0)
    connection_end(g_ptr_array_index(s->connections, 0));
  drop_source(&s->turns);
  s->closed = true;
  if (!s->busy)
    server_free(s);
}

MalControlSocketCounters mal_control_socket_counters(const MalControlSocket *s)
{
  return s->counters;
}
