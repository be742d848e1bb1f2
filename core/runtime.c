/* The calls of runtime.h: each goes through its handle's table. What every implementation would do
   alike (uniform numbers, whole seconds) is done here once. */
#include "runtime.h"

/* ---- clocks and randomness ------------------------------------------------------------------- */

int64_t mal_runtime_monotonic(MalRuntime *rt)
{
  return rt->ops->monotonic(rt);
}

int64_t mal_runtime_wall(MalRuntime *rt)
{
  return rt->ops->wall(rt);
}

MalTime mal_runtime_now(MalRuntime *rt)
{
  int64_t wall = rt->ops->wall(rt);

  /* Rounds down before 1970 as well, where a badly set clock may be. */
  return wall / MAL_US - (wall % MAL_US < 0);
}

void mal_runtime_random(MalRuntime *rt, void *out, size_t length)
{
  rt->ops->random(rt, out, length);
}

/* Draws again where plain modulo would favour the low numbers. */
static uint64_t uniform(MalRuntime *rt, uint64_t bound)
{
  uint64_t unfair = -bound % bound, draw;   /* 2^64 mod BOUND */

  do
    rt->ops->random(rt, &draw, sizeof draw);
  while (draw < unfair);
  return draw % bound;
}

uint32_t mal_runtime_random_below(MalRuntime *rt, uint32_t bound)
{
  return bound <= 1 ? 0 : (uint32_t)uniform(rt, bound);
}

uint64_t mal_runtime_random_between(MalRuntime *rt, uint64_t low, uint64_t high)
{
  uint64_t draw;

  if (low >= high)
    return low;
  if (high - low < UINT64_MAX)
    return low + uniform(rt, high - low + 1);
  rt->ops->random(rt, &draw, sizeof draw);
  return draw;
}

/* ---- timers ---------------------------------------------------------------------------------- */

MalTimer *mal_timer_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  return rt->ops->timer_new(rt, func, data);
}

void mal_timer_set(MalTimer *timer, int64_t monotonic_deadline)
{
  timer->rt->ops->timer_set(timer, monotonic_deadline);
}

void mal_timer_stop(MalTimer *timer)
{
  timer->rt->ops->timer_stop(timer);
}

void mal_timer_free(MalTimer *timer)
{
  if (timer != NULL)
    timer->rt->ops->timer_free(timer);
}

void mal_runtime_defer(MalRuntime *rt, MalTimerFunc func, void *data)
{
  rt->ops->defer(rt, func, data);
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static void interface_clear(void *item)
{
  MalInterface *interface = item;
  g_free(interface->addresses);
}

GArray *mal_interfaces_new(void)
{
  GArray *interfaces = g_array_new(FALSE, TRUE, sizeof(MalInterface));
  g_array_set_clear_func(interfaces, interface_clear);
  return interfaces;
}

GArray *mal_runtime_interfaces(MalRuntime *rt)
{
  return rt->ops->interfaces(rt);
}

MalInterfaceWatch *mal_interface_watch_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  return rt->ops->watch_new(rt, func, data);
}

void mal_interface_watch_free(MalInterfaceWatch *watch)
{
  if (watch != NULL)
    watch->rt->ops->watch_free(watch);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

MalUdp *mal_udp_open(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func, void *data,
                     GError **error)
{
  return rt->ops->udp_open(rt, options, func, data, error);
}

void mal_udp_close(MalUdp *udp)
{
  if (udp != NULL)
    udp->rt->ops->udp_close(udp);
}

uint16_t mal_udp_port(const MalUdp *udp)
{
  return udp->rt->ops->udp_port(udp);
}

bool mal_udp_join(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error)
{
  return udp->rt->ops->udp_join(udp, ifindex, group, error);
}

bool mal_udp_leave(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error)
{
  return udp->rt->ops->udp_leave(udp, ifindex, group, error);
}

void mal_udp_set_multicast_ttl(MalUdp *udp, uint8_t ttl)
{
  udp->rt->ops->udp_set_ttl(udp, ttl);
}

void mal_udp_send(MalUdp *udp, const MalDatagram *datagram)
{
  udp->rt->ops->udp_send(udp, datagram);
}

MalUdpCounters mal_udp_counters(const MalUdp *udp)
{
  return udp->rt->ops->udp_counters(udp);
}

int64_t mal_udp_lag(const MalUdp *udp)
{
  return udp->rt->ops->udp_lag(udp);
}

bool mal_udp_shed(MalUdp *udp, const MalUdpShed *shed)
{
  return udp->rt->ops->udp_shed(udp, shed);
}

/* ---- streams --------------------------------------------------------------------------------- */

MalListener *mal_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                               GError **error)
{
  return rt->ops->listener_open(rt, local, func, data, error);
}

void mal_listener_close(MalListener *listener)
{
  if (listener != NULL)
    listener->rt->ops->listener_close(listener);
}

uint16_t mal_listener_port(const MalListener *listener)
{
  return listener->rt->ops->listener_port(listener);
}

/* What an implementation need not look at again. */
static bool check_security(const MalStreamSecurity *security, GError **error)
{
  if (security->md5_key == NULL
      || (security->md5_length > 0 && security->md5_length <= MAL_STREAM_MD5_KEY))
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
              "a key for TCP-MD5 (RFC 2385) has 1 to %d octets, not %zu", MAL_STREAM_MD5_KEY,
              security->md5_length);
  return false;
}

bool mal_listener_set_peer(MalListener *listener, MalAddress peer,
                           const MalStreamSecurity *security, GError **error)
{
  return (security == NULL || check_security(security, error))
         && listener->rt->ops->listener_set_peer(listener, peer, security, error);
}

MalStream *mal_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                              const MalStreamOps *ops, void *user, GError **error)
{
  return mal_stream_connect_secure(rt, local, peer, NULL, ops, user, error);
}

MalStream *mal_stream_connect_secure(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                                     const MalStreamSecurity *security, const MalStreamOps *ops,
                                     void *user, GError **error)
{
  static const MalStreamSecurity nothing;

  if (security == NULL)
    security = &nothing;
  if (!check_security(security, error))
    return NULL;
  return rt->ops->stream_connect(rt, local, peer, security, ops, user, error);
}

void mal_stream_start(MalStream *stream, const MalStreamOps *ops, void *user)
{
  stream->rt->ops->stream_start(stream, ops, user);
}

bool mal_stream_send(MalStream *stream, const void *data, size_t length)
{
  return stream->rt->ops->stream_send(stream, data, length);
}

size_t mal_stream_queued(const MalStream *stream)
{
  return stream->rt->ops->stream_queued(stream);
}

void mal_stream_close(MalStream *stream)
{
  if (stream != NULL)
    stream->rt->ops->stream_close(stream);
}

void mal_stream_finish(MalStream *stream, int64_t limit)
{
  if (stream != NULL)
    stream->rt->ops->stream_finish(stream, limit);
}

/* ---- blocking work --------------------------------------------------------------------------- */

MalWorker *mal_worker_new(MalRuntime *rt, const char *name)
{
  return rt->ops->worker_new(rt, name);
}

void mal_worker_submit(MalWorker *worker, MalJobFunc run, MalJobFunc done, void *data)
{
  worker->rt->ops->worker_submit(worker, run, done, data);
}

void mal_worker_free(MalWorker *worker)
{
  if (worker != NULL)
    worker->rt->ops->worker_free(worker);
}

/* ---- local streams --------------------------------------------------------------------------- */

MalStream *mal_stream_connect_unix(MalRuntime *rt, const char *path, const MalStreamOps *ops,
                                   void *user, GError **error)
{
  if (rt->ops->stream_connect_unix != NULL)
    return rt->ops->stream_connect_unix(rt, path, ops, user, error);
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "can't connect to %s: no unix sockets here",
              path);
  return NULL;
}
