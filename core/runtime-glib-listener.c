/* TCP's listening end, and what each peer's streams must bear. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <unistd.h>

enum { ACCEPTS_PER_DISPATCH = 16 };

typedef struct {
  MalListener base;
  GSource *source;
  void *tag;
  int fd;
  MalFamily family;
  MalAcceptFunc func;
  void *data;
  GArray *limits; /* Limit, of peers of which something was said */
} Listener;

typedef struct {
  MalAddress peer;
  uint8_t min_ttl; /* 0: any */
} Limit;

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

static Limit *find_limit(const Listener *listener, MalAddress peer)
{
  for (guint i = 0; i < listener->limits->len; i++) {
    Limit *limit = &g_array_index(listener->limits, Limit, i);
    if (mal_address_equal(limit->peer, peer))
      return limit;
  }
  return NULL;
}

/* From how far everybody may be: the listening socket can't tell peers apart. */
static bool limit_listener(const Listener *listener, GError **error)
{
  uint8_t least = UINT8_MAX;
  bool any = false;

  for (guint i = 0; i < listener->limits->len; i++) {
    uint8_t min_ttl = g_array_index(listener->limits, Limit, i).min_ttl;
    least = MIN(least, min_ttl);
    any = any || min_ttl > 0;
  }
  return rtg_secure_ttl(listener->fd, listener->family, any, any ? least : 0, error);
}

/* Who came from too far began with a SYN that told it. */
static bool admit(const Listener *listener, int fd, MalAddress peer)
{
  const Limit *limit = find_limit(listener, peer);

  return limit == NULL || limit->min_ttl == 0 ||
         (rtg_secure_syn_ttl(fd) >= limit->min_ttl &&
          rtg_secure_ttl(fd, peer.family, true, limit->min_ttl, NULL));
}

static void accept_stream(Listener *listener, int fd, MalEndpoint peer)
{
  if (!admit(listener, fd, peer.address)) {
    close(fd);
    return;
  }
  listener->func(&listener->base, rtg_stream_accepted((Rtg *)listener->base.rt, fd), peer,
                 listener->data);
}

static void accept_some(Listener *listener)
{
  for (int i = 0; i < ACCEPTS_PER_DISPATCH && !g_source_is_destroyed(listener->source); i++) {
    RtgSockaddr peer = { 0 };
    socklen_t length = sizeof peer;
    int fd = accept4(listener->fd, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      accept_stream(listener, fd, rtg_sockaddr_to(&peer));
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

static void listener_finalize(GSource *source)
{
  g_array_unref(((ListenerSource *)source)->listener.limits);
}

static GSourceFuncs listener_funcs = { .dispatch = listener_dispatch,
                                       .finalize = listener_finalize };

MalListener *rtg_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                               GError **error)
{
  Rtg *rtg = (Rtg *)rt;
  int fd = rtg_socket_new(local.address.family, SOCK_STREAM, error);

  if (fd < 0)
    return NULL;
  /* For TCP this only ignores old connections that linger; two listeners stay impossible. */
  (void)rtg_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!rtg_socket_bind(fd, local, "TCP", error) ||
      (listen(fd, SOMAXCONN) != 0 &&
       !rtg_fail(error, errno, "can't listen on TCP port %u", local.port))) {
    close(fd);
    return NULL;
  }
  GSource *source =
      rtg_source_new(rtg, &listener_funcs, sizeof(ListenerSource), "mallocd listener");
  Listener *listener = &((ListenerSource *)source)->listener;
  listener->base.rt = rt;
  listener->source = source;
  listener->fd = fd;
  listener->family = local.address.family;
  listener->limits = g_array_new(FALSE, FALSE, sizeof(Limit));
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

static bool set_limit(Listener *listener, MalAddress peer, uint8_t min_ttl, GError **error)
{
  Limit *limit = find_limit(listener, peer), fresh = { peer, 0 };

  if (limit == NULL) {
    g_array_append_val(listener->limits, fresh);
    limit = find_limit(listener, peer);
  }
  limit->min_ttl = min_ttl;
  if (min_ttl > 0)
    rtg_secure_keep_syn(listener->fd);
  return limit_listener(listener, error);
}

static bool forget_limit(Listener *listener, MalAddress peer, GError **error)
{
  const Limit *limit = find_limit(listener, peer);

  if (limit == NULL)
    return true;
  g_array_remove_index_fast(listener->limits,
                            (guint)(limit - (const Limit *)(void *)listener->limits->data));
  return limit_listener(listener, error);
}

/* Whoever waits to be accepted connected before the key was there, and may not have it. Who has it
   comes again. */
static void turn_away(const Listener *listener)
{
  for (int i = 0, fd = 0; i < SOMAXCONN && fd >= 0; i++)
    if ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
      close(fd);
}

bool rtg_listener_set_peer(MalListener *handle, MalAddress peer, const MalStreamSecurity *security,
                           GError **error)
{
  static const MalStreamSecurity none;
  Listener *listener = (Listener *)handle;
  const MalStreamSecurity *wanted = security != NULL ? security : &none;
  char text[MAL_ADDRESS_STRLEN];

  if (peer.family != listener->family) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "the listener hears %s, and %s is not of it",
                mal_family_name(listener->family), mal_address_format(peer, text));
    return false;
  }
  if (!rtg_secure_md5(listener->fd, peer, wanted->md5_key, wanted->md5_length, error))
    return false;
  if (wanted->md5_key != NULL)
    turn_away(listener);
  return security == NULL ? forget_limit(listener, peer, error)
                          : set_limit(listener, peer, rtg_secure_min_ttl(security->gtsm), error);
}

uint16_t rtg_listener_port(const MalListener *handle)
{
  return rtg_socket_port(((const Listener *)handle)->fd);
}
