/* Stream and listener handles. */
#include <errno.h>

#include "sim-stream.h"

static bool fail(GError **error, int errnum, const char *verb, MalEndpoint where)
{
  char text[MAL_ENDPOINT_STRLEN];
  g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "can't %s %s: %s", verb,
              mal_endpoint_format(where, text), g_strerror(errnum));
  return false;
}

/* The texts of the production runtime. */
static bool can_use(const MalSimRuntime *rt, MalEndpoint local, GError **error)
{
  char text[MAL_ADDRESS_STRLEN];
  mal_address_format(local.address, text);
  if (local.address.value && !mal_sim_node_owner(rt->node, local.address)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "can't use TCP port %u on %s: %s", local.port,
                text, g_strerror(EADDRNOTAVAIL));
    return false;
  }
  for (guint i = 0; local.port && i < rt->listeners->len; i++) {
    const MalSimListener *other = g_ptr_array_index(rt->listeners, i);
    if (other->local.port != local.port || other->local.address.family != local.address.family ||
        (other->local.address.value && local.address.value &&
         !mal_sim_same(other->local.address, local.address)))
      continue;
    g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK,
                "TCP port %u on %s is in use by another program (is another mallocd running?)",
                local.port, text);
    return false;
  }
  return true;
}

static bool check_family(MalEndpoint endpoint, GError **error)
{
  if (endpoint.address.family == MAL_IPV4 || endpoint.address.family == MAL_IPV6)
    return true;
  g_set_error_literal(error, MAL_ERROR, MAL_ERROR_INVALID, "a socket needs an address family");
  return false;
}

/* ---- what protects them ---------------------------------------------------------------------- */

#define TTL 64
#define FARTHEST 255

MalSimSecurity mal_sim_security(MalAddress peer, const MalStreamSecurity *security)
{
  return (MalSimSecurity){
    .peer = peer,
    .key = security->md5_key ? g_bytes_new(security->md5_key, security->md5_length) : NULL,
    .gtsm = security->gtsm,
  };
}

void mal_sim_security_clear(void *data)
{
  MalSimSecurity *security = data;
  g_clear_pointer(&security->key, g_bytes_unref);
}

static bool near_enough(bool sends_far, size_t hops, uint8_t gtsm)
{
  size_t ttl = (size_t)(sends_far ? FARTHEST : TTL) + 1 - MAX(hops, 1);
  return !gtsm || ttl >= FARTHEST + 1 - (size_t)gtsm;
}

static bool same_key(const GBytes *a, const GBytes *b)
{
  return a && b ? g_bytes_equal(a, b) : a == b;
}

bool mal_sim_listener_admits(const MalSimListener *listener, const MalSimConnection *c)
{
  const MalSimSecurity none = { 0 }, *wanted = &none;
  bool far = false;
  for (guint i = 0; i < listener->peers->len; i++) {
    const MalSimSecurity *peer = &g_array_index(listener->peers, MalSimSecurity, i);
    far = far || peer->gtsm;
    if (mal_sim_same(peer->peer, c->address[0].address))
      wanted = peer;
  }
  return same_key(wanted->key, c->security.key) &&
         near_enough(c->security.gtsm, c->hops, wanted->gtsm) &&
         near_enough(far, c->hops, c->security.gtsm);
}

bool mal_sim_listener_set_peer(MalListener *base, MalAddress peer,
                               const MalStreamSecurity *security, GError **error)
{
  MalSimListener *listener = (MalSimListener *)base;
  char text[MAL_ADDRESS_STRLEN];
  if (mal_sim_refuse_dead(mal_sim_runtime(base->rt), error))
    return false;
  if (peer.family != listener->local.address.family) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "the listener hears %s, and %s is not of it",
                mal_family_name(listener->local.address.family), mal_address_format(peer, text));
    return false;
  }
  for (guint i = 0; i < listener->peers->len; i++)
    if (mal_sim_same(g_array_index(listener->peers, MalSimSecurity, i).peer, peer)) {
      g_array_remove_index_fast(listener->peers, i);
      break;
    }
  if (security) {
    MalSimSecurity fresh = mal_sim_security(peer, security);
    g_array_append_val(listener->peers, fresh);
  }
  return true;
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void listener_die(MalSimHandle *handle)
{
  MalSimListener *listener = MAL_SIM_CONTAINER(handle, MalSimListener, handle);
  g_ptr_array_remove(mal_sim_runtime(listener->base.rt)->listeners, listener);
}

static void listener_reclaim(MalSimHandle *handle)
{
  MalSimListener *listener = MAL_SIM_CONTAINER(handle, MalSimListener, handle);
  g_array_unref(listener->peers);
  g_free(listener);
}

static uint16_t ephemeral(MalSimRuntime *rt)
{
  return (uint16_t)mal_sim_random_range(&rt->random, 32768, 60999);
}

MalListener *mal_sim_listener_open(MalRuntime *base, MalEndpoint local, MalAcceptFunc func,
                                   void *data, GError **error)
{
  MalSimRuntime *rt = mal_sim_runtime(base);
  if (mal_sim_refuse_dead(rt, error) || !check_family(local, error) || !can_use(rt, local, error))
    return NULL;
  while (local.port == 0 || !can_use(rt, local, NULL))
    local.port = ephemeral(rt);
  MalSimListener *listener = g_new0(MalSimListener, 1);
  listener->base.rt = base;
  listener->local = local;
  listener->peers = g_array_new(FALSE, FALSE, sizeof(MalSimSecurity));
  g_array_set_clear_func(listener->peers, mal_sim_security_clear);
  listener->func = func;
  listener->data = data;
  mal_sim_handle_add(rt, &listener->handle, listener_die, listener_reclaim);
  g_ptr_array_add(rt->listeners, listener);
  return &listener->base;
}

void mal_sim_listener_close(MalListener *base)
{
  MalSimListener *listener = (MalSimListener *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  if (rt->dead)
    return;
  listener_die(&listener->handle);
  mal_sim_handle_remove(rt, &listener->handle);
  listener_reclaim(&listener->handle);
}

uint16_t mal_sim_listener_port(const MalListener *listener)
{
  return ((const MalSimListener *)listener)->local.port;
}

MalSimListener *mal_sim_listener_find(const MalSimRuntime *rt, MalEndpoint local)
{
  MalSimListener *any = NULL;
  for (guint i = 0; i < rt->listeners->len; i++) {
    MalSimListener *listener = g_ptr_array_index(rt->listeners, i);
    if (listener->local.port != local.port ||
        listener->local.address.family != local.address.family)
      continue;
    if (mal_sim_same(listener->local.address, local.address))
      return listener;
    if (listener->local.address.value == 0)
      any = listener;
  }
  return any;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void stream_die(MalSimHandle *handle)
{
  MalSimStream *stream = MAL_SIM_CONTAINER(handle, MalSimStream, handle);
  if (stream->connection)
    mal_sim_connection_leave(stream->connection, stream->side, true);
  stream->connection = NULL;
}

static void stream_reclaim(MalSimHandle *handle)
{
  g_free(MAL_SIM_CONTAINER(handle, MalSimStream, handle));
}

MalSimStream *mal_sim_stream_attach(MalSimConnection *c, unsigned side, MalSimRuntime *rt)
{
  MalSimStream *stream = g_new0(MalSimStream, 1);
  stream->base.rt = &rt->base;
  stream->connection = c;
  stream->side = side;
  c->end[side] = stream;
  c->node[side] = rt->node;
  c->boot[side] = rt->node->boots;
  mal_sim_handle_add(rt, &stream->handle, stream_die, stream_reclaim);
  return stream;
}

static bool choose_local(MalSimRuntime *rt, MalEndpoint *local, MalEndpoint peer, GError **error)
{
  MalSimLink *path[MAL_SIM_MAX_PATH];
  MalSimIface *target, *own = mal_sim_node_owner(rt->node, peer.address);
  size_t n;
  if (local->address.family != MAL_FAMILY_NONE && !can_use(rt, *local, error))
    return false;
  if (!local->port)
    local->port = ephemeral(rt);
  if (local->address.family != MAL_FAMILY_NONE && local->address.value)
    return true;
  MalSimIface *out = own ? own
                         : mal_sim_way_out(rt->node, peer.address, peer.scope_id, &target, path,
                                           &n);
  local->address = own   ? peer.address
                   : out ? mal_sim_source_for(out, peer.address)
                         : mal_address_none();
  return local->address.family != MAL_FAMILY_NONE || fail(error, ENETUNREACH, "connect to", peer);
}

MalStream *mal_sim_stream_connect(MalRuntime *base, MalEndpoint local, MalEndpoint peer,
                                  const MalStreamSecurity *security, const MalStreamOps *ops,
                                  void *user, GError **error)
{
  MalSimRuntime *rt = mal_sim_runtime(base);
  if (mal_sim_refuse_dead(rt, error) || !check_family(peer, error) ||
      !choose_local(rt, &local, peer, error))
    return NULL;
  MalSimConnection *c = mal_sim_connection_new(rt->node->sim, rt->node, local, peer, security);
  MalSimStream *stream = mal_sim_stream_attach(c, 0, rt);
  stream->ops = ops;
  stream->user = user;
  mal_sim_connection_open(c);
  return &stream->base;
}

void mal_sim_stream_start(MalStream *base, const MalStreamOps *ops, void *user)
{
  MalSimStream *stream = (MalSimStream *)base;
  if (mal_sim_runtime(base->rt)->dead || stream->ops)
    return;
  stream->ops = ops;
  stream->user = user;
  mal_sim_connection_read(stream->connection, stream->side);
}

bool mal_sim_stream_send(MalStream *base, const void *data, size_t length)
{
  MalSimStream *stream = (MalSimStream *)base;
  MalSimConnection *c = stream->connection;
  if (!c || stream->closed)
    return !c; /* a dead host's stream swallows it */
  MalSimPipe *pipe = &c->pipe[stream->side];
  if (length == 0)
    return true;
  if (length > MAL_SIM_STREAM_LIMIT || mal_sim_pipe_unsent(pipe) + length > MAL_SIM_STREAM_LIMIT) {
    stream->refused = true;
    return false;
  }
  g_byte_array_append(pipe->bytes, data, (guint)length);
  mal_sim_connection_pump(c, stream->side);
  return true;
}

size_t mal_sim_stream_queued(const MalStream *base)
{
  const MalSimStream *stream = (const MalSimStream *)base;
  return stream->connection ? mal_sim_pipe_unsent(&stream->connection->pipe[stream->side]) : 0;
}

static void forget(MalSimStream *stream)
{
  mal_sim_handle_remove(mal_sim_runtime(stream->base.rt), &stream->handle);
  stream_reclaim(&stream->handle);
}

void mal_sim_stream_close(MalStream *base)
{
  MalSimStream *stream = (MalSimStream *)base;
  if (mal_sim_runtime(base->rt)->dead)
    return;
  mal_sim_connection_leave(stream->connection, stream->side, false);
  forget(stream);
}

void mal_sim_stream_finish(MalStream *base, int64_t limit)
{
  MalSimStream *stream = (MalSimStream *)base;
  if (mal_sim_runtime(base->rt)->dead)
    return;
  mal_sim_connection_finish(stream->connection, stream->side, limit);
  forget(stream);
}
