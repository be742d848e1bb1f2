/* TCP. Everything written goes through the stream's queue and leaves when the socket is writable,
   in one place; what one turn of the loop queues leaves together. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
  READS_PER_DISPATCH = 4,
};

/* ---- streams --------------------------------------------------------------------------------- */

/* FINISHING: nobody's any more; it sends what is queued, then waits for the other end. */
typedef enum { SILENT, CONNECTING, OPEN, CLOSED, FINISHING } State;

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
  bool peer_ended;          /* FINISHING only */
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
  else if (stream->state == FINISHING)
    want = (stream->queue->len > 0 ? G_IO_OUT : 0) | (stream->peer_ended ? 0 : G_IO_IN);
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

/* ---- the end, when nobody waits for it ------------------------------------------------------- */

static void stream_free(Stream *stream)
{
  g_source_destroy(stream->source);
  close(stream->fd);
  g_source_unref(stream->source);
}

static void end_finishing(Stream *stream)
{
  g_ptr_array_remove_fast(((Rtg *)stream->base.rt)->finishing, stream);
  stream_free(stream);
}

/* The system is not to keep on trying what we gave up, and the peer is to know. */
static void abort_finishing(Stream *stream)
{
  struct linger now = { .l_onoff = 1, .l_linger = 0 };

  if (mal_stream_queued(&stream->base) > 0)
    (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  end_finishing(stream);
}

/* Until the peer ends too: closed with something unread, the system would answer with a reset, and
   that may overtake what the peer has not read yet. */
static void drain(Stream *stream)
{
  uint8_t *chunk = ((Rtg *)stream->base.rt)->chunk;

  for (int i = 0; i < READS_PER_DISPATCH && !stream->peer_ended; i++) {
    ssize_t n = recv(stream->fd, chunk, RTG_STREAM_CHUNK, MSG_DONTWAIT);
    if (n < 0 && rtg_transient(errno))
      return;
    stream->peer_ended = n <= 0;
  }
}

/* Sends what it can, and the end once all is sent; false where the connection broke. */
static bool finish_sending(Stream *stream)
{
  bool ended = stream->queue->len == 0;

  return write_queue(stream) == 0
         && (ended || stream->queue->len > 0 || shutdown(stream->fd, SHUT_WR) == 0);
}

static void handle_finishing(Stream *stream)
{
  bool whole = finish_sending(stream);

  drain(stream);
  if (!whole || (stream->peer_ended && stream->queue->len == 0))
    end_finishing(stream);
  else if (g_source_get_time(stream->source) >= g_source_get_ready_time(stream->source))
    abort_finishing(stream);
  else
    update_conditions(stream);
}

void rtg_stream_cut_finishing(Rtg *rtg)
{
  while (rtg->finishing->len > 0) {
    Stream *stream = g_ptr_array_index(rtg->finishing, 0);
    (void)finish_sending(stream);
    drain(stream);
    end_finishing(stream);
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
  if (stream->state == FINISHING) {
    handle_finishing(stream);
  } else if (stream->state == CONNECTING && ready != 0) {
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

static bool secure_socket(int fd, MalAddress peer, const MalStreamSecurity *security,
                          GError **error)
{
  return (security->md5_key == NULL
          || rtg_secure_md5(fd, peer, security->md5_key, security->md5_length, error))
         && (security->gtsm == 0
             || rtg_secure_ttl(fd, peer.family, true, rtg_secure_min_ttl(security->gtsm), error));
}

static int connect_socket(MalEndpoint local, MalEndpoint peer, const MalStreamSecurity *security,
                          GError **error)
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
  if (!secure_socket(fd, peer.address, security, error))
    goto fail;
  if (connect(fd, &address.any, rtg_sockaddr_from(peer, &address)) == 0 || errno == EINPROGRESS)
    return fd;
  rtg_fail(error, errno, "can't connect to %s", mal_endpoint_format(peer, text));
fail:
  close(fd);
  return -1;
}

MalStream *rtg_stream_accepted(Rtg *rtg, int fd)
{
  return &stream_new(rtg, fd, SILENT)->base;
}

MalStream *rtg_stream_adopt(MalRuntime *rt, int fd, const MalStreamOps *ops, void *user)
{
  Stream *stream = stream_new((Rtg *)rt, fd, CONNECTING);

  stream->ops = ops;
  stream->user = user;
  update_conditions(stream);
  return &stream->base;
}

MalStream *rtg_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                              const MalStreamSecurity *security, const MalStreamOps *ops,
                              void *user, GError **error)
{
  int fd = connect_socket(local, peer, security, error);

  return fd >= 0 ? rtg_stream_adopt(rt, fd, ops, user) : NULL;
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
  stream_free(stream);
}

/* Reads nothing yet: the caller may be looking at what was read last, in the same buffer. */
void rtg_stream_finish(MalStream *handle, int64_t limit)
{
  Stream *stream = (Stream *)handle;
  Rtg *rtg = (Rtg *)handle->rt;
  bool started = stream->state == OPEN || stream->state == SILENT;

  if (!started || (stream->queue->len == 0 && shutdown(stream->fd, SHUT_WR) != 0)
      || !finish_sending(stream)) {
    rtg_stream_close(handle);
    return;
  }
  rtg->handles--;
  stream->state = FINISHING;
  g_ptr_array_add(rtg->finishing, stream);
  g_source_set_ready_time(stream->source, g_get_monotonic_time() + MAX(limit, 0));
  update_conditions(stream);
}
