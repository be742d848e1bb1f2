#include <config.h>

#include "control-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MOST (1024 * 1024)         /* a longer request ends the connection */
#define QUEUE_MOST (8 * 1024 * 1024)    /* so does an answer that nobody reads */
#define CONNECTIONS_MOST 128
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
  Connection *connection;       /* NULL: gone */
  json_object *id;              /* NULL for a notification: no answer */
  bool is_notification;
  MalCall *call;
} Pending;

struct MalControlSocket {
  GMainContext *context;
  MalControl *control;
  MalEvents *events;
  char *path, *group;
  int fd;
  GSource *source;
  GPtrArray *connections;
  unsigned subscription;
  MalControlSocketCounters counters;
};

/* ---- connections ---------------------------------------------------------------------------------------------- */

static void drop_source(GSource **source)
{
  if (!*source)
    return;
  g_source_destroy(*source);
  g_source_unref(*source);
  *source = NULL;
}

static void connection_free(Connection *c)
{
  g_byte_array_unref(c->line);
  g_byte_array_unref(c->queue);
  g_ptr_array_unref(c->calls);
  g_free(c->prefix);
  g_free(c);
}

/* Frees it at once, or when the last function that uses it returns. */
static void connection_end(Connection *c)
{
  if (!c->dead) {
    c->dead = true;
    drop_source(&c->in);
    drop_source(&c->out);
    close(c->fd);
    for (unsigned i = 0; i < c->calls->len; i++) {
      Pending *p = g_ptr_array_index(c->calls, i);
      p->connection = NULL;
      if (p->call)
        mal_call_abandon(p->call);
      json_object_put(p->id);
      g_free(p);
    }
    g_ptr_array_set_size(c->calls, 0);
    g_ptr_array_remove_fast(c->server->connections, c);
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
  bool more = c->out;
  leave(c);
  return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* A client that doesn't read loses its connection, not our memory. */
static void send_json(Connection *c, json_object *message)
{
  const char *text = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
  size_t length = strlen(text);
  if (c->dead)
    return;
  if (c->queue->len + length > QUEUE_MOST) {
    c->server->counters.slow++;
    connection_end(c);
    return;
  }
  g_byte_array_append(c->queue, (const uint8_t *)text, (unsigned)length);
  g_byte_array_append(c->queue, (const uint8_t *)"\n", 1);
  flush(c);
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static json_object *envelope(void)
{
  json_object *o = json_object_new_object();
  json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
  return o;
}

static void send_error(Connection *c, json_object *id, int code, const char *message, const char *kind)
{
  json_object *o = envelope(), *e = json_object_new_object();
  json_object_object_add(e, "code", json_object_new_int(code));
  json_object_object_add(e, "message", json_object_new_string(message));
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
    const char *kind = error->domain == MAL_CALL_ERROR ? NULL
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
  enter(c);
  answer(p, result, error);
  if (!c->dead) {
    g_ptr_array_remove_fast(c->calls, p);
    json_object_put(p->id);
    g_free(p);
    if (c->closing && c->calls->len == 0)
      flush(c);
  }
  leave(c);
}

static void on_progress(const char *message, void *data)
{
  Pending *p = data;
  json_object *o = envelope(), *params = json_object_new_object();
  json_object_object_add(o, "method", json_object_new_string("progress"));
  json_object_object_add(params, "id", json_object_get(p->id));
  json_object_object_add(params, "message", json_object_new_string(message));
  json_object_object_add(o, "params", params);
  enter(p->connection);
  Connection *c = p->connection;
  send_json(c, o);
  leave(c);
  json_object_put(o);
}

static void on_subscribe(void *data, const char *prefix)
{
  Connection *c = ((Pending *)data)->connection;
  g_free(c->prefix);
  c->prefix = g_strdup(prefix);
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

static void begin(Connection *c, const char *method, json_object *params, json_object *id, bool is_notification)
{
  Pending *p = g_new0(Pending, 1);
  *p = (Pending){ c, json_object_get(id), is_notification, NULL };
  g_ptr_array_add(c->calls, p);
  c->server->counters.calls++;
  MalCaller caller = { .done = on_done, .progress = is_notification ? NULL : on_progress, .subscribe = on_subscribe,
                       .data = p };
  MalCall *call = mal_control_begin(c->server->control, method, params, c->may_write, &caller);
  /* NULL: answered, and P is gone. The connection may have died meanwhile. */
  if (call && c->dead)
    mal_call_abandon(call);
  else if (call)
    p->call = call;
}

static void handle_request(Connection *c, json_object *request)
{
  json_object *method = NULL, *params = NULL, *id = NULL, *version = NULL;
  if (!json_object_is_type(request, json_type_object)) {
    send_error(c, NULL, -32600, "a request must be a JSON object (batches are not supported)", NULL);
    return;
  }
  bool has_id = json_object_object_get_ex(request, "id", &id);
  json_object_object_get_ex(request, "params", &params);
  if (has_id && id && !json_object_is_type(id, json_type_string) && !json_object_is_type(id, json_type_int)) {
    send_error(c, NULL, -32600, "\"id\" must be a string, an integer or null", NULL);
    return;
  }
  if (!json_object_object_get_ex(request, "jsonrpc", &version) || !json_object_is_type(version, json_type_string) ||
      strcmp(json_object_get_string(version), "2.0") != 0) {
    send_error(c, id, -32600, "\"jsonrpc\" must be \"2.0\"", NULL);
    return;
  }
  if (!json_object_object_get_ex(request, "method", &method) || !json_object_is_type(method, json_type_string)) {
    send_error(c, id, -32600, "\"method\" must be a string", NULL);
    return;
  }
  if (params && !json_object_is_type(params, json_type_object)) {
    send_error(c, id, -32602, "\"params\" must be an object with named parameters", NULL);
    return;
  }
  if (c->calls->len >= CALLS_MOST) {
    send_error(c, id, -32000 - MAL_ERROR_LIMIT, "too many calls of this connection wait for their answers", "limit");
    return;
  }
  begin(c, json_object_get_string(method), params, id, !has_id);
}

static void handle_line(Connection *c, const char *text, size_t length)
{
  while (length > 0 && g_ascii_isspace(text[length - 1]))
    length--;
  if (length == 0)
    return;
  if (memchr(text, '\0', length)) {
    send_error(c, NULL, -32700, "not a line of JSON: it has a NUL", NULL);
    return;
  }
  json_tokener *tokener = json_tokener_new_ex(32);
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
  json_object *request = json_tokener_parse_ex(tokener, text, (int)length);
  enum json_tokener_error error = json_tokener_get_error(tokener);
  if (error == json_tokener_success && json_tokener_get_parse_end(tokener) == length && request) {
    handle_request(c, request);
  } else {
    g_autofree char *message = g_strdup_printf("not a line of JSON: %s", error == json_tokener_success
                                               ? "something follows the object" : json_tokener_error_desc(error));
    send_error(c, NULL, -32700, message, NULL);
  }
  json_object_put(request);
  json_tokener_free(tokener);
}

static void handle_lines(Connection *c)
{
  for (;;) {
    const uint8_t *newline = c->dead || c->closing ? NULL : memchr(c->line->data, '\n', c->line->len);
    if (!newline)
      break;
    size_t length = (size_t)(newline - c->line->data);
    g_autofree char *text = g_strndup((const char *)c->line->data, length);
    g_byte_array_remove_range(c->line, 0, (unsigned)length + 1);
    handle_line(c, text, length);
  }
  if (!c->dead && !c->closing && c->line->len > LINE_MOST) {
    c->server->counters.too_long++;
    c->closing = true;
    drop_source(&c->in);
    send_error(c, NULL, -32600, "a request may have at most 1 MiB; the connection is closed", "limit");
    if (!c->dead)
      flush(c);
  }
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
  Connection *c = data;
  uint8_t buffer[65536];
  (void)condition;
  enter(c);
  ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n > 0) {
    g_byte_array_append(c->line, buffer, (unsigned)n);
    handle_lines(c);
  } else if (n == 0) {
    /* It asks no more, but may wait for answers. */
    c->closing = true;
    drop_source(&c->in);
    flush(c);
  } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    connection_end(c);
  }
  bool more = c->in;
  leave(c);
  return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- who it is --------------------------------------------------------------------------------------------------------- */

static bool in_group(uid_t uid, gid_t gid, const char *name)
{
  struct group *g = name && *name ? getgrnam(name) : NULL;
  if (!g)
    return false;
  gid_t wanted = g->gr_gid;
  if (gid == wanted)
    return true;
  struct passwd *p = getpwuid(uid);
  if (!p)
    return false;
  gid_t groups[256];
  int n = G_N_ELEMENTS(groups);
  if (getgrouplist(p->pw_name, p->pw_gid, groups, &n) < 0)
    return false;
  for (int i = 0; i < n; i++)
    if (groups[i] == wanted)
      return true;
  return false;
}

static bool may_write(const MalControlSocket *s, int fd)
{
  struct ucred who;
  socklen_t length = sizeof who;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
    return false;
  return who.uid == 0 || who.uid == geteuid() || in_group(who.uid, who.gid, s->group);
}

static gboolean on_connection(int fd, GIOCondition condition, gpointer data)
{
  MalControlSocket *s = data;
  (void)condition;
  int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (peer < 0)
    return G_SOURCE_CONTINUE;
  if (s->connections->len >= CONNECTIONS_MOST) {
    s->counters.refused++;
    close(peer);
    return G_SOURCE_CONTINUE;
  }
  Connection *c = g_new0(Connection, 1);
  *c = (Connection){ .server = s, .fd = peer, .line = g_byte_array_new(), .queue = g_byte_array_new(),
                     .calls = g_ptr_array_new(), .may_write = may_write(s, peer) };
  c->in = g_unix_fd_source_new(peer, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback(c->in, G_SOURCE_FUNC(on_readable), c, NULL);
  g_source_attach(c->in, s->context);
  g_ptr_array_add(s->connections, c);
  s->counters.accepted++;
  return G_SOURCE_CONTINUE;
}

/* ---- events ------------------------------------------------------------------------------------------------------------- */

static json_object *field_json(const MalField *f)
{
  char text[MAL_ADDRESS_STRLEN];
  switch (f->type) {
  case MAL_FIELD_STRING:
    return f->string ? json_object_new_string(f->string) : NULL;
  case MAL_FIELD_INTEGER:
    return json_object_new_int64(f->integer);
  case MAL_FIELD_TIME:
    return mal_json_time(f->integer);
  case MAL_FIELD_ADDRESS:
    return f->address.family == MAL_FAMILY_NONE ? NULL : json_object_new_string(mal_address_format(f->address, text));
  case MAL_FIELD_BYTES: {
    g_autofree char *hex = mal_lease_id_to_hex((MalLeaseId){ f->bytes, f->length });
    return json_object_new_string(hex);
  }
  }
  return NULL;
}

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

static void on_event(const MalEventDef *def, MalTime at, const MalField *fields, size_t n, const char *message,
                     void *data)
{
  json_object *o = json_object_new_object(), *values = json_object_new_object();
  json_object_object_add(o, "event", json_object_new_string(def->name));
  json_object_object_add(o, "time", mal_json_time(at));
  json_object_object_add(o, "level", json_object_new_string(mal_log_level_name(def->level)));
  json_object_object_add(o, "fault", json_object_new_string(mal_fault_name(def->fault)));
  json_object_object_add(o, "message", json_object_new_string(message));
  for (size_t i = 0; i < n; i++)
    json_object_object_add(values, fields[i].name, field_json(&fields[i]));
  json_object_object_add(o, "fields", values);
  publish(data, def->name, o);
  json_object_put(o);
}

static void on_notify(const char *topic, json_object *params, void *data)
{
  publish(data, topic, params);
}

/* ---- the socket ------------------------------------------------------------------------------------------------------------ */

static bool fail(GError **error, const char *path, const char *what)
{
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "control socket %s: %s: %s", path, what, g_strerror(errno));
  return false;
}

static bool set_address(const char *path, struct sockaddr_un *address, GError **error)
{
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  if (strlen(path) < sizeof address->sun_path) {
    memcpy(address->sun_path, path, strlen(path) + 1);
    return true;
  }
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "control socket %s: the path is longer than %zu octets", path,
              sizeof address->sun_path - 1);
  return false;
}

/* A file that nobody listens on was left behind by a crash. */
static bool clear_stale(const char *path, const struct sockaddr_un *address, GError **error)
{
  struct stat st;
  if (lstat(path, &st) != 0)
    return true;
  if (!S_ISSOCK(st.st_mode)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "control socket %s: a file that is no socket is in its place",
                path);
    return false;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
  if (fd >= 0)
    close(fd);
  if (alive) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
                "control socket %s is in use: is another mallocd running? Give this one another [daemon] control-socket",
                path);
    return false;
  }
  return unlink(path) == 0 || fail(error, path, "can't remove the old one");
}

static int listen_on(const char *path, GError **error)
{
  struct sockaddr_un address;
  g_autofree char *dir = g_path_get_dirname(path);
  if (!set_address(path, &address, error))
    return -1;
  if (g_mkdir_with_parents(dir, 0755) != 0) {
    fail(error, path, "can't make its directory");
    return -1;
  }
  if (!clear_stale(path, &address, error))
    return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* Anybody who gets at the directory may connect: what a caller may do is decided by who it is. */
  mode_t old = umask(0111);
  bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  umask(old);
  if (bound && listen(fd, 64) == 0)
    return fd;
  fail(error, path, bound ? "listen" : "bind");
  if (fd >= 0)
    close(fd);
  return -1;
}

MalControlSocket *mal_control_socket_open(const MalControlSocketOptions *o, GError **error)
{
  int fd = listen_on(o->path, error);
  if (fd < 0)
    return NULL;
  MalControlSocket *s = g_new0(MalControlSocket, 1);
  *s = (MalControlSocket){ .context = o->context ? g_main_context_ref(o->context) : NULL, .control = o->control,
                           .events = o->events, .path = g_strdup(o->path), .group = g_strdup(o->group), .fd = fd,
                           .connections = g_ptr_array_new() };
  s->source = g_unix_fd_source_new(fd, G_IO_IN);
  g_source_set_callback(s->source, G_SOURCE_FUNC(on_connection), s, NULL);
  g_source_attach(s->source, s->context);
  s->subscription = mal_events_subscribe(s->events, on_event, s);
  mal_control_set_notify(s->control, on_notify, s);
  return s;
}

void mal_control_socket_close(MalControlSocket *s)
{
  if (!s)
    return;
  mal_events_unsubscribe(s->events, s->subscription);
  mal_control_set_notify(s->control, NULL, NULL);
  drop_source(&s->source);
  close(s->fd);
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
