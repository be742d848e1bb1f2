/* A daemon behind a unix socket: one call at a time, JSON-RPC 2.0, one object a line. */
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MOST ((size_t)64 * 1024 * 1024)

typedef struct {
  MalCtlLink link;
  int fd;
  char *path;
  GByteArray *in;
  size_t seen;                  /* of IN: holds no newline */
  int64_t last_id;
} Rpc;

static bool fail(GError **error, MalCtlStatus status, const Rpc *r, const char *what)
{
  g_set_error(error, MAL_CTL_ERROR, (gint)status, "the daemon at %s %s", r->path, what);
  return false;
}

/* ---- the connection -------------------------------------------------------------------------- */

static bool set_connect_error(const char *path, int code, GError **error)
{
  const char *why = code == ENOENT         ? "there is no such socket"
                    : code == ECONNREFUSED ? "nobody listens on it any more"
                    : code == EAGAIN       ? "it is too busy to answer"
                                           : g_strerror(code);
  if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR)
    g_set_error(error, MAL_CTL_ERROR, MAL_CTL_NO_DAEMON,
                "no daemon at %s: %s. Start one with \"systemctl start mallocd\" or \"mallocd -c "
                "FILE\", or name "
                "another socket with -s or MALLOCD_SOCKET",
                path, why);
  else
    g_set_error(error, MAL_CTL_ERROR, MAL_CTL_FAILED, "can't reach a daemon at %s: %s", path, why);
  return false;
}

static bool connect_to(Rpc *r, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (strlen(r->path) >= sizeof address.sun_path) {
    g_set_error(error, MAL_CTL_ERROR, MAL_CTL_USAGE,
                "the path of the socket is longer than %zu octets: %s", sizeof address.sun_path - 1,
                r->path);
    return false;
  }
  memcpy(address.sun_path, r->path, strlen(r->path) + 1);
  r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int result;
  do
    result = r->fd < 0 ? -1 : connect(r->fd, (const struct sockaddr *)&address, sizeof address);
  while (result != 0 && errno == EINTR);
  return result == 0 || set_connect_error(r->path, errno, error);
}

/* Waits for EVENTS, at most the timeout; 0 is no limit. False without ERROR where WATCH (or -1)
   lost its reader. */
static bool wait_for(Rpc *r, short events, int watch, bool limited, GError **error)
{
  struct pollfd fds[2] = { { .fd = r->fd, .events = events }, { .fd = watch } };
  int most = limited && r->link.timeout > 0 ? (int)MIN(r->link.timeout, G_MAXINT / 1000) * 1000
                                            : -1;
  for (;;) {
    int n = poll(fds, 2, most);
    if (n > 0)
      return !(fds[1].revents & (POLLERR | POLLHUP | POLLNVAL));
    if (n == 0) {
      g_set_error(error, MAL_CTL_ERROR, MAL_CTL_FAILED,
                  "the daemon at %s gave no sign for %" G_GINT64_FORMAT
                  " s; --timeout allows it more",
                  r->path, r->link.timeout);
      return false;
    }
    if (errno != EINTR)
      return fail(error, MAL_CTL_FAILED, r, g_strerror(errno));
  }
}

static bool send_all(Rpc *r, const char *text, size_t length, GError **error)
{
  while (length > 0) {
    if (!wait_for(r, POLLOUT, -1, true, error))
      return false;
    ssize_t n = send(r->fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      text += n;
      length -= (size_t)n;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return true;              /* it may have said why before it closed */
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail(error, MAL_CTL_FAILED, r, g_strerror(errno));
    }
  }
  return true;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static json_object *parse(const char *text, size_t length)
{
  json_tokener *tokener = json_tokener_new_ex(64);
  json_object *o = json_tokener_parse_ex(tokener, text, (int)length);
  bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
               json_object_is_type(o, json_type_object);
  json_tokener_free(tokener);
  if (whole)
    return o;
  json_object_put(o);
  return NULL;
}

static json_object *take_line(Rpc *r, bool *found)
{
  uint8_t *start = r->in->data, *newline = r->in->len > r->seen
                                             ? memchr(start + r->seen, '\n', r->in->len - r->seen)
                                             : NULL;
  *found = newline != NULL;
  r->seen = r->in->len;
  if (!newline)
    return NULL;
  size_t length = (size_t)(newline - start);
  json_object *o = parse((const char *)start, length);
  g_byte_array_remove_range(r->in, 0, (unsigned)length + 1);
  r->seen = 0;
  return o;
}

/* The next line as JSON. NULL without ERROR as in wait_for. */
static json_object *next_message(Rpc *r, int watch, bool limited, GError **error)
{
  uint8_t buffer[65536];
  for (;;) {
    bool found;
    json_object *o = take_line(r, &found);
    if (o)
      return o;
    if (found) {
      fail(error, MAL_CTL_FAILED, r, "does not speak JSON-RPC");
      return NULL;
    }
    if (r->in->len > LINE_MOST) {
      fail(error, MAL_CTL_FAILED, r, "answers with more than 64 MiB");
      return NULL;
    }
    if (!wait_for(r, POLLIN, watch, limited, error))
      return NULL;
    ssize_t n = recv(r->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) {
      g_byte_array_append(r->in, buffer, (unsigned)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      fail(error, MAL_CTL_FAILED, r, n == 0 || errno == ECONNRESET
           ? "closed the connection: it ended, or has too many clients" : g_strerror(errno));
      return NULL;
    }
  }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void set_rpc_error(json_object *e, GError **error)
{
  int64_t code = mal_ctl_number(e, "code");
  const char *message = mal_ctl_text(e, "message");
  const char *kind = mal_ctl_text(mal_ctl_member(e, "data"), "kind");
  /* -32601 and -32602: no such method, wrong parameters. */
  g_set_error_literal(error, MAL_CTL_ERROR,
                      code == -32601 || code == -32602    ? MAL_CTL_USAGE
                      : g_strcmp0(kind, "denied") == 0 ? MAL_CTL_DENIED
                                                       : MAL_CTL_FAILED,
                      message ? message : "the daemon refused without a reason");
}

static json_object *read_answer(Rpc *r, GError **error)
{
  for (;;) {
    json_object *o = next_message(r, -1, true, error), *value;
    if (!o)
      return NULL;
    const char *method = mal_ctl_text(o, "method");
    if (method) {
      const char *message = mal_ctl_text(mal_ctl_member(o, "params"), "message");
      if (strcmp(method, "progress") == 0 && message && r->link.progress)
        r->link.progress(message);
    } else if ((value = mal_ctl_member(o, "error"))) {
      set_rpc_error(value, error);
      json_object_put(o);
      return NULL;
    } else if (mal_ctl_number(o, "id") == r->last_id &&
               json_object_object_get_ex(o, "result", &value)) {
      value = value ? json_object_get(value) : json_object_new_object();
      json_object_put(o);
      return value;
    }
    json_object_put(o);
  }
}

static json_object *rpc_call(MalCtlLink *link, const char *method, json_object *params,
                             GError **error)
{
  Rpc *r = (Rpc *)link;
  json_object *o = json_object_new_object();
  json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
  json_object_object_add(o, "id", json_object_new_int64(++r->last_id));
  json_object_object_add(o, "method", json_object_new_string(method));
  if (params)
    json_object_object_add(o, "params", json_object_get(params));
  json_object_object_add(o, "progress", json_object_new_boolean(true));
  g_autofree char *line = g_strconcat(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
                                      "\n", NULL);
  json_object_put(o);
  return send_all(r, line, strlen(line), error) ? read_answer(r, error) : NULL;
}

json_object *mal_ctl_rpc_event(MalCtlLink *link, int watch, GError **error)
{
  for (;;) {
    json_object *o = next_message((Rpc *)link, watch, true, error);
    if (!o)
      return NULL;
    json_object *params = g_strcmp0(mal_ctl_text(o, "method"), "event") == 0
                            ? mal_ctl_member(o, "params")
                            : NULL;
    json_object_get(params);
    json_object_put(o);
    if (params)
      return params;
  }
}

static void rpc_free(MalCtlLink *link)
{
  Rpc *r = (Rpc *)link;
  if (r->fd >= 0)
    close(r->fd);
  g_byte_array_unref(r->in);
  g_free(r->path);
  g_free(r);
}

MalCtlLink *mal_ctl_rpc_open(const char *path, GError **error)
{
  Rpc *r = g_new0(Rpc, 1);
  *r = (Rpc){ .link = { .call = rpc_call, .free = rpc_free },
              .fd = -1,
              .path = g_strdup(path),
              .in = g_byte_array_new() };
  if (connect_to(r, error))
    return &r->link;
  rpc_free(&r->link);
  return NULL;
}
