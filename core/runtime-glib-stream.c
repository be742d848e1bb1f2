/* TCP. Everything written goes through the stream's queue and leaves when the socket is writable,
   in one place; what one turn of the loop queues leaves together. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
  READS_PER_DISPATCH = 4,
  ACCEPTS_PER_DISPATCH = 16,
};

/* ---- streams --------------------------------------------------------------------------------- */

typedef enum { SILENT, CONNECTING, OPEN, CLOSED } State;

typedef struct {
  MalStream base;
  GSource *source;
  void *tag;
  int fd;
  State state;
  const MalStreamOps *ops;
  void *user;
  GByteArray *queue;
  size_t sent;              /* of the queue's front */
  bool refused;             /* a send, since the queue was last empty */
} Stream;

typedef struct {
  GSource source;
  Stream stream;
} StreamSource;

static void update_conditions(Stream *stream)
{
  GIOCondition want = 0;

  if (stream->state == CONNECTING)
    want = G_IO_OUT;
  else if (stream->state == OPEN)
    want = mal_stream_queued(&stream->base) > 0 ? G_IO_IN | G_IO_OUT : G_IO_IN;
  if (want != 0 && stream->tag != NULL) {
    g_source_modify_unix_fd(stream->source, stream->tag, want);
  } else if (want != 0) {
    stream->tag = g_source_add_unix_fd(stream->source, stream->fd, want);
  } else if (stream->tag != NULL) {
    /* A condition of zero would still report hang-ups, over and over: poll nothing instead. */
    g_source_remove_unix_fd(stream->source, stream->tag);
    stream->tag = NULL;
  }
}

static void report(Stream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                   const GError *error)
{
  stream->ops->event(&stream->base, what, data, length, error, stream->user);
}

static void report_closed(Stream *stream, int errnum, const char *what)
{
  g_autoptr(GError) error = NULL;

  if (errnum != 0)
    rtg_fail(&error, errnum, "%s", what);
  stream->state = CLOSED;
  update_conditions(stream);
  report(stream, MAL_STREAM_CLOSED, NULL, 0, error);
}

/* Whether the stream is still there and open after a callback, which may have closed it. */
static bool usable(const Stream *stream)
{
  return !g_source_is_destroyed(stream->source) && stream->state == OPEN;
}

static void finish_connect(Stream *stream)
{
  int errnum = 0;
  socklen_t length = sizeof errnum;

  if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &errnum, &length) != 0)
    errnum = errno;
  if (errnum != 0) {
    report_closed(stream, errnum, "can't connect");
    return;
  }
  stream->state = OPEN;
  update_conditions(stream);
  report(stream, MAL_STREAM_CONNECTED, NULL, 0, NULL);
}

/* Hands the queue to the system as far as that takes it; 0 or an error number. */
static int write_queue(Stream *stream)
{
  while (stream->sent < stream->queue->len) {
    ssize_t n = send(stream->fd, stream->queue->data + stream->sent,
                     stream->queue->len - stream->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return rtg_transient(errno) ? 0 : errno;
    stream->sent += (size_t)n;
  }
  g_byte_array_set_size(stream->queue, 0);
  stream->sent = 0;
  return 0;
}

static void handle_writable(Stream *stream)
{
  int errnum = write_queue(stream);

  if (errnum != 0) {
    report_closed(stream, errnum, "can't send");
    return;
  }
  if (stream->queue->len > 0)
    return;
  update_conditions(stream);
  if (stream->refused) {
    stream->refused = false;
    report(stream, MAL_STREAM_WRITABLE, NULL, 0, NULL);
  }
}

static void handle_readable(Stream *stream)
{
  uint8_t *chunk = ((Rtg *)stream->base.rt)->chunk;

  for (int i = 0; i < READS_PER_DISPATCH && usable(stream); i++) {
    ssize_t n = recv(stream->fd, chunk, RTG_STREAM_CHUNK, MSG_DONTWAIT);
    if (n > 0) {
      report(stream, MAL_STREAM_DATA, chunk, (size_t)n, NULL);
    } else if (n == 0) {
      report_closed(stream, 0, NULL);
    } else if (errno != EINTR) {
      if (!rtg_transient(errno))
        report_closed(stream, errno, "can't receive");
      return;
    }
  }
}

static gboolean stream_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Stream *stream = &((StreamSource *)source)->stream;
  Rtg *rtg = (Rtg *)stream->base.rt;
  GIOCondition ready = stream->tag != NULL ? g_source_query_unix_fd(source, stream->tag) : 0;

  (void)callback;
  (void)user_data;
  if (!rtg_dispatch(rtg))
    return G_SOURCE_CONTINUE;
  if (stream->state == CONNECTING && ready != 0) {
    finish_connect(stream);
  } else if (stream->state == OPEN) {
    if ((ready & G_IO_OUT) != 0)
      handle_writable(stream);
    if ((ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) != 0 && usable(stream))
      handle_readable(stream);
  }
  rtg_leave(rtg);
  return G_SOURCE_CONTINUE;
}

static void stream_finalize(GSource *source)
{
  g_byte_array_unref(((StreamSource *)source)->stream.queue);
}

static GSourceFuncs stream_funcs = { .dispatch = stream_dispatch, .finalize = stream_finalize };

static Stream *stream_new(Rtg *rtg, int fd, State state)
{
  GSource *source = rtg_source_new(rtg, &stream_funcs, sizeof(StreamSource), "mallocd stream");
  Stream *stream = &((StreamSource *)source)->stream;

  if (rtg->chunk == NULL)
    rtg->chunk = g_malloc(RTG_STREAM_CHUNK);
  (void)rtg_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  stream->base.rt = &rtg->base;
  stream->source = source;
  stream->fd = fd;
  stream->state = state;
  stream->queue = g_byte_array_new();
  rtg->handles++;
  return stream;
}

static int connect_socket(MalEndpoint local, MalEndpoint peer, GError **error)
{
  RtgSockaddr address;
  char text[MAL_ENDPOINT_STRLEN];
  int fd = rtg_socket_new(peer.address.family, SOCK_STREAM, error);

  if (fd < 0)
    return -1;
  if (local.address.family != MAL_FAMILY_NONE) {
    (void)rtg_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!rtg_socket_bind(fd, local, "TCP", error))
      goto fail;
  }
  if (connect(fd, &address.any, rtg_sockaddr_from(peer, &address)) == 0 || errno == EINPROGRESS)
    return fd;
  rtg_fail(error, errno, "can't connect to %s", mal_endpoint_format(peer, text));
fail:
  close(fd);
  return -1;
}

MalStream *rtg_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                              const MalStreamOps *ops, void *user, GError **error)
{
  int fd = connect_socket(local, peer, error);

  if (fd < 0)
    return NULL;
  Stream *stream = stream_new((Rtg *)rt, fd, CONNECTING);
  stream->ops = ops;
  stream->user = user;
  update_conditions(stream);
  return &stream->base;
}

void rtg_stream_start(MalStream *handle, const MalStreamOps *ops, void *user)
{
  Stream *stream = (Stream *)handle;

  stream->ops = ops;
  stream->user = user;
  if (stream->state == SILENT)
    stream->state = OPEN;
  update_conditions(stream);
}

MalStream *rtg_stream_adopt(MalRuntime *rt, int fd, const MalStreamOps *ops, void *user)
{
  Stream *stream = stream_new((Rtg *)rt, fd, CONNECTING);

  stream->ops = ops;
  stream->user = user;
  update_conditions(stream);
  return &stream->base;
}

size_t rtg_stream_queued(const MalStream *handle)
{
  const Stream *stream = (const Stream *)handle;
  return stream->queue->len - stream->sent;
}

/* What was sent already is cut off when it is the larger part, so each octet moves once at most. */
static void drop_sent(Stream *stream)
{
  if (stream->sent == 0 || stream->sent < stream->queue->len / 2)
    return;
  g_byte_array_remove_range(stream->queue, 0, (guint)stream->sent);
  stream->sent = 0;
}

bool rtg_stream_send(MalStream *handle, const void *data, size_t length)
{
  Stream *stream = (Stream *)handle;
  size_t queued = rtg_stream_queued(handle);

  if (stream->state == CLOSED)
    return false;
  if (length > MAL_STREAM_QUEUE || queued > MAL_STREAM_QUEUE - length) {
    stream->refused = true;
    return false;
  }
  if (length == 0)
    return true;
  drop_sent(stream);
  g_byte_array_append(stream->queue, data, (guint)length);
  if (queued == 0)
    update_conditions(stream);
  return true;
}

void rtg_stream_close(MalStream *handle)
{
  Stream *stream = (Stream *)handle;

  if (stream->state == OPEN || stream->state == SILENT)
    (void)write_queue(stream);
  ((Rtg *)handle->rt)->handles--;
  g_source_destroy(stream->source);
  close(stream->fd);
  g_source_unref(stream->source);
}

/* ---- listeners ------------------------------------------------------------------------------- */

typedef struct {
  MalListener base;
  GSource *source;
  void *tag;
  int fd;
  MalAcceptFunc func;
  void *data;
} Listener;

typedef struct {
  GSource source;
  Listener listener;
} ListenerSource;

/* Out of descriptors or memory: look again soon rather than spin on the pending connection. */
static void pause_listener(Listener *listener)
{
  g_source_remove_unix_fd(listener->source, listener->tag);
  listener->tag = NULL;
  g_source_set_ready_time(listener->source, g_get_monotonic_time() + MAL_US / 10);
}

static void resume_listener(Listener *listener)
{
  g_source_set_ready_time(listener->source, -1);
  listener->tag = g_source_add_unix_fd(listener->source, listener->fd, G_IO_IN);
}

static void accept_some(Listener *listener)
{
  for (int i = 0; i < ACCEPTS_PER_DISPATCH && !g_source_is_destroyed(listener->source); i++) {
    RtgSockaddr peer = { 0 };
    socklen_t length = sizeof peer;
    int fd = accept4(listener->fd, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Stream *stream = stream_new((Rtg *)listener->base.rt, fd, SILENT);
      listener->func(&listener->base, &stream->base, rtg_sockaddr_to(&peer), listener->data);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause_listener(listener);
      return;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }
  }
}

static gboolean listener_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Listener *listener = &((ListenerSource *)source)->listener;
  Rtg *rtg = (Rtg *)listener->base.rt;

  (void)callback;
  (void)user_data;
  if (!rtg_dispatch(rtg))
    return G_SOURCE_CONTINUE;
  if (listener->tag == NULL)
    resume_listener(listener);
  accept_some(listener);
  rtg_leave(rtg);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs listener_funcs = { .dispatch = listener_dispatch };

MalListener *rtg_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                               GError **error)
{
  Rtg *rtg = (Rtg *)rt;
  int fd = rtg_socket_new(local.address.family, SOCK_STREAM, error);

  if (fd < 0)
    return NULL;
  /* For TCP this only ignores old connections that linger; two listeners stay impossible. */
  (void)rtg_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!rtg_socket_bind(fd, local, "TCP", error)
      || (listen(fd, SOMAXCONN) != 0
          && !rtg_fail(error, errno, "can't listen on TCP port %u", local.port))) {
    close(fd);
    return NULL;
  }
  GSource *source =
      rtg_source_new(rtg, &listener_funcs, sizeof(ListenerSource), "mallocd listener");
  Listener *listener = &((ListenerSource *)source)->listener;
  listener->base.rt = rt;
  listener->source = source;
  listener->fd = fd;
  listener->func = func;
  listener->data = data;
  listener->tag = g_source_add_unix_fd(source, fd, G_IO_IN);
  rtg->handles++;
  return &listener->base;
}

void rtg_listener_close(MalListener *handle)
{
  Listener *listener = (Listener *)handle;

  ((Rtg *)handle->rt)->handles--;
  g_source_destroy(listener->source);
  close(listener->fd);
  g_source_unref(listener->source);
}

uint16_t rtg_listener_port(const MalListener *handle)
{
  return rtg_socket_port(((const Listener *)handle)->fd);
}
