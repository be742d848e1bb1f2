/* What travels between the two ends of a stream: connection set-up, data in order, ends, resets.

   Loss on the way costs retransmission time; a way that doesn't exist (partition, host or link
   down) stalls the data, which is tried again with a growing pause until stall_timeout. A host that
   has forgotten the connection because it rebooted answers with a reset. */
#include <errno.h>

#include "sim-stream.h"

#define WINDOW 65536
#define SEGMENT 16384
#define FIRST_RETRY (200 * MAL_SIM_MS)
#define LAST_RETRY (60 * MAL_US)
#define LOCAL_DELAY 5
#define MISSED_LIMIT 5

typedef enum { SYN, ACCEPTED, REFUSED, DATA, FIN, RESET, WRITABLE, READ } SegmentKind;

typedef struct {
  MalSimEvent event;
  MalSimConnection *c;
  uint32_t epoch;
  uint8_t kind, side; /* side: who sent it */
  size_t n;
} Segment;

G_STATIC_ASSERT(sizeof(Segment) <= MAL_SIM_BLOCK);

static void fire_segment(MalSim *sim, MalSimEvent *event);
static void fire_retry(MalSim *sim, MalSimEvent *event);
static void fire_keepalive(MalSim *sim, MalSimEvent *event);
static void fire_linger(MalSim *sim, MalSimEvent *event);

/* ---- life ------------------------------------------------------------------------------------ */

MalSimConnection *mal_sim_connection_new(MalSim *sim, MalSimNode *node, MalEndpoint local,
                                         MalEndpoint peer, const MalStreamSecurity *security)
{
  MalSimConnection *c = g_new0(MalSimConnection, 1);
  c->sim = sim;
  c->node[0] = node;
  c->address[0] = local;
  c->address[1] = peer;
  c->security = mal_sim_security(peer.address, security);
  for (unsigned side = 0; side < 2; side++) {
    c->pipe[side].bytes = g_byte_array_new();
    c->pipe[side].stalled_since = -1;
    c->pipe[side].retry.fire = fire_retry;
    c->pipe[side].keepalive.fire = fire_keepalive;
    c->pipe[side].linger.fire = fire_linger;
    c->pipe[side].side = side;
    c->pipe[side].connection = c;
  }
  g_ptr_array_add(sim->connections, c);
  return c;
}

void mal_sim_connection_free(void *data)
{
  MalSimConnection *c = data;
  for (unsigned side = 0; side < 2; side++)
    g_byte_array_unref(c->pipe[side].bytes);
  mal_sim_security_clear(&c->security);
  g_free(c);
}

static void release(MalSimConnection *c)
{
  if (--c->busy || c->end[0] || c->end[1])
    return;
  for (unsigned side = 0; side < 2; side++) {
    mal_sim_unqueue(c->sim, &c->pipe[side].retry);
    mal_sim_unqueue(c->sim, &c->pipe[side].keepalive);
    mal_sim_unqueue(c->sim, &c->pipe[side].linger);
  }
  g_ptr_array_remove_fast(c->sim->connections, c);
}

size_t mal_sim_pipe_unsent(const MalSimPipe *pipe)
{
  return pipe->bytes->len - pipe->arrived - pipe->in_flight;
}

static bool host_gone(const MalSimConnection *c, unsigned side)
{
  return !c->node[side] || !c->node[side]->rt || c->node[side]->boots != c->boot[side];
}

static bool lingers(const MalSimConnection *c, unsigned side)
{
  return c->pipe[side].lingers && !host_gone(c, side);
}

/* ---- the way --------------------------------------------------------------------------------- */

/* Each loss on the way costs a retransmission time-out, the next twice as much. */
static int64_t retransmissions(MalSim *sim, const MalSimLink *link)
{
  int64_t total = 0, timeout = FIRST_RETRY;
  while (total < LAST_RETRY && mal_sim_random_hit(&sim->network, link->faults.loss)) {
    total += timeout;
    timeout *= 2;
  }
  return total;
}

/* How long from SIDE to the other; false where no way leads there. Finds out who the other is
   before the connection is set up. */
static bool find_way(MalSimConnection *c, unsigned side, int64_t *delay)
{
  MalSimNode *from = c->node[side], *to = c->node[1 - side];
  MalAddress address = c->address[1 - side].address;
  MalSimLink *path[MAL_SIM_MAX_PATH];
  MalSimIface *target = NULL;
  size_t n = 0;
  *delay = LOCAL_DELAY;
  if (mal_sim_node_owner(from, address)) {
    c->node[1 - side] = c->accepted ? to : from;
    return c->node[1 - side] == from;
  }
  MalSimIface *out = mal_sim_way_out(from, address, c->address[1 - side].scope_id, &target, path,
                                     &n);
  if (!out || !target || (c->accepted && target->node != to) ||
      mal_sim_cut_between(c->sim, from, target->node, address))
    return false;
  c->node[1 - side] = target->node;
  c->hops = n;
  for (size_t i = 0; i < n; i++) {
    if (!path[i]->up)
      return false;
    *delay += mal_sim_hop_latency(c->sim, path[i], out->id, target->id) +
              retransmissions(c->sim, path[i]);
    if (path[i]->faults.jitter)
      *delay += (int64_t)mal_sim_random_range(&c->sim->network, 0,
                                              (uint64_t)path[i]->faults.jitter);
  }
  return true;
}

static bool still_there(MalSimConnection *c, unsigned side)
{
  int64_t ignored;
  return c->node[1 - side] && c->node[1 - side]->rt && find_way(c, side, &ignored);
}

static void put_segment(MalSimConnection *c, unsigned side, SegmentKind kind, size_t n,
                        int64_t delay)
{
  MalSimPipe *pipe = &c->pipe[side];
  Segment *segment = mal_sim_block_new(c->sim);
  *segment = (Segment){ { fire_segment, 0 }, c, pipe->epoch, (uint8_t)kind, (uint8_t)side, n };
  c->busy++;
  pipe->last_arrival = MAX(pipe->last_arrival, c->sim->now + delay);
  mal_sim_queue(c->sim, &segment->event, pipe->last_arrival);
}

/* A control segment; where no way leads, it is lost, and whoever needs it tries again. */
static void put_control(MalSimConnection *c, unsigned side, SegmentKind kind)
{
  int64_t delay;
  if (find_way(c, side, &delay))
    put_segment(c, side, kind, 0, delay);
}

static void stall(MalSimConnection *c, unsigned side)
{
  MalSimPipe *pipe = &c->pipe[side];
  pipe->epoch++;
  pipe->in_flight = 0;
  pipe->fin_sent = false;
  if (pipe->stalled_since < 0) {
    pipe->stalled_since = c->sim->now;
    pipe->backoff = c->accepted ? FIRST_RETRY : MAL_US;
  }
  if (!pipe->retry.slot)
    mal_sim_queue(c->sim, &pipe->retry, c->sim->now + pipe->backoff);
}

void mal_sim_connection_pump(MalSimConnection *c, unsigned side)
{
  MalSimPipe *pipe = &c->pipe[side];
  int64_t delay;
  if ((side == 0 ? !c->connected : !c->accepted) || (pipe->lingers && host_gone(c, side)))
    return;
  while (!pipe->retry.slot && mal_sim_pipe_unsent(pipe) &&
         pipe->in_flight + pipe->arrived < WINDOW) {
    size_t n = MIN(MIN(mal_sim_pipe_unsent(pipe), SEGMENT),
                   WINDOW - pipe->in_flight - pipe->arrived);
    if (mal_sim_random_hit(&c->sim->network, c->sim->streams.split))
      n = (size_t)mal_sim_random_range(&c->sim->network, 1, n);
    if (!find_way(c, side, &delay)) {
      stall(c, side);
      return;
    }
    pipe->in_flight += n;
    put_segment(c, side, DATA, n, delay);
  }
  if (pipe->retry.slot || mal_sim_pipe_unsent(pipe) || !pipe->fin || pipe->fin_sent)
    return;
  if (find_way(c, side, &delay)) {
    pipe->fin_sent = true;
    put_segment(c, side, FIN, 0, delay);
  } else {
    stall(c, side);
  }
}

/* ---- events to the owners -------------------------------------------------------------------- */

static void tell(MalSimConnection *c, unsigned side, MalStreamEvent what, const uint8_t *data,
                 size_t length, const GError *error)
{
  MalSimStream *end = c->end[side];
  if (!end || !end->ops || end->closed)
    return;
  end->closed = what == MAL_STREAM_CLOSED;
  mal_sim_trace(c->sim, MAL_SIM_TRACE_STREAM, c->node[side], what, length);
  end->ops->event(&end->base, what, data, length, error, end->user);
}

/* What is on its way and what is unsent is lost. */
static void give_up(MalSimPipe *pipe)
{
  pipe->epoch++;
  pipe->in_flight = 0;
  g_byte_array_set_size(pipe->bytes, (guint)pipe->arrived);
}

/* ERRNUM 0: the orderly end. What SIDE had still to send is lost. */
static void tell_closed(MalSimConnection *c, unsigned side, int errnum, const char *what)
{
  MalSimPipe *pipe = &c->pipe[side];
  g_autoptr(GError) error = NULL;
  if (errnum)
    error = g_error_new(MAL_ERROR, MAL_ERROR_NETWORK, "%s: %s", what, g_strerror(errnum));
  mal_sim_unqueue(c->sim, &pipe->retry);
  mal_sim_unqueue(c->sim, &pipe->keepalive);
  mal_sim_unqueue(c->sim, &pipe->linger);
  pipe->lingers = false;
  give_up(pipe);
  if (c->end[side] && !c->end[side]->ops)
    c->end[side]->failed = errnum;
  tell(c, side, MAL_STREAM_CLOSED, NULL, 0, error);
}

static void drop_arrived(MalSimConnection *c, unsigned side)
{
  MalSimPipe *pipe = &c->pipe[1 - side];
  g_byte_array_remove_range(pipe->bytes, 0, (guint)pipe->arrived);
  pipe->arrived = 0;
  mal_sim_connection_pump(c, 1 - side);
}

/* What arrived for SIDE, then the end of it. The bytes are copied: the owner may own the other end
   as well and send more of them meanwhile. */
static void hand_over(MalSimConnection *c, unsigned side)
{
  MalSimPipe *pipe = &c->pipe[1 - side];
  if (!c->end[side] && lingers(c, side))
    drop_arrived(c, side);
  if (!c->end[side] || !c->end[side]->ops)
    return;
  if (c->end[side]->failed) {
    tell_closed(c, side, c->end[side]->failed, "can't receive");
    return;
  }
  if (pipe->arrived) {
    size_t n = pipe->arrived;
    g_autofree uint8_t *bytes = g_memdup2(pipe->bytes->data, n);
    g_byte_array_remove_range(pipe->bytes, 0, (guint)n);
    pipe->arrived = 0;
    c->sim->counters.segments++;
    tell(c, side, MAL_STREAM_DATA, bytes, n, NULL);
    mal_sim_connection_pump(c, 1 - side);
  }
  if (pipe->fin_arrived && !pipe->arrived)
    tell_closed(c, side, 0, NULL);
}

void mal_sim_connection_read(MalSimConnection *c, unsigned side)
{
  put_segment(c, 1 - side, READ, 0, 0);
}

static void connected(MalSimConnection *c)
{
  if (c->connected)
    return;
  c->connected = true;
  mal_sim_unqueue(c->sim, &c->pipe[0].retry);
  c->pipe[0].stalled_since = -1;
  if (c->sim->streams.keepalive > 0)
    mal_sim_queue(c->sim, &c->pipe[0].keepalive, c->sim->now + c->sim->streams.keepalive);
  tell(c, 0, MAL_STREAM_CONNECTED, NULL, 0, NULL);
  mal_sim_connection_pump(c, 0);
}

/* ---- arrivals -------------------------------------------------------------------------------- */

static void on_syn(MalSimConnection *c)
{
  MalSimNode *node = c->node[1];
  if (!c->end[0] || !still_there(c, 0))
    return;
  if (c->accepted) {
    put_control(c, 1, node->boots == c->boot[1] ? ACCEPTED : RESET);
    return;
  }
  MalSimListener *listener = mal_sim_listener_find(node->rt, c->address[1]);
  if (!listener && !c->security.key) /* a refusal would bear no signature */
    put_control(c, 1, REFUSED);
  if (!listener || !mal_sim_listener_admits(listener, c))
    return;
  c->accepted = true;
  MalSimStream *stream = mal_sim_stream_attach(c, 1, node->rt);
  if (c->sim->streams.keepalive > 0)
    mal_sim_queue(c->sim, &c->pipe[1].keepalive, c->sim->now + c->sim->streams.keepalive);
  put_control(c, 1, ACCEPTED);
  mal_sim_trace(c->sim, MAL_SIM_TRACE_STREAM, node, MAL_STREAM_CONNECTED, 1);
  listener->func(&listener->base, &stream->base, c->address[0], listener->data);
}

static void on_data(MalSimConnection *c, unsigned side, const Segment *segment)
{
  MalSimPipe *pipe = &c->pipe[side];
  unsigned to = 1 - side;
  if (segment->epoch != pipe->epoch)
    return;
  if (!still_there(c, side)) {
    stall(c, side);
    return;
  }
  if (c->end[to] ? c->end[to]->closed : !lingers(c, to)) { /* closed, or forgotten in a reboot */
    put_control(c, to, RESET);
    return;
  }
  pipe->stalled_since = -1;
  if (to == 0)
    connected(c);
  if (segment->kind == FIN) {
    pipe->fin_arrived = true;
  } else {
    pipe->in_flight -= segment->n;
    pipe->arrived += segment->n;
  }
  if (c->end[side] && c->end[side]->refused && mal_sim_pipe_unsent(pipe) == 0)
    put_control(c, to, WRITABLE);
  hand_over(c, to);
  mal_sim_connection_pump(c, side);
}

static void on_writable(MalSimConnection *c, unsigned side)
{
  MalSimStream *end = c->end[side];
  if (!end || !end->refused)
    return;
  end->refused = false;
  tell(c, side, MAL_STREAM_WRITABLE, NULL, 0, NULL);
}

static void dispatch(MalSimConnection *c, const Segment *segment)
{
  unsigned side = segment->side, to = 1 - side;
  switch ((SegmentKind)segment->kind) {
  case SYN:
    on_syn(c);
    break;
  case ACCEPTED:
    if (!c->end[0])
      put_control(c, 0, RESET);
    else if (still_there(c, 1))
      connected(c);
    break;
  case REFUSED:
    if (!c->connected)
      tell_closed(c, 0, ECONNREFUSED, "can't connect");
    break;
  case DATA:
  case FIN:
    on_data(c, side, segment);
    break;
  case RESET:
    tell_closed(c, to, ECONNRESET, "can't receive");
    break;
  case WRITABLE:
    on_writable(c, to);
    break;
  case READ:
    hand_over(c, to);
    break;
  }
}

static void fire_segment(MalSim *sim, MalSimEvent *event)
{
  Segment *block = MAL_SIM_CONTAINER(event, Segment, event), segment = *block;
  mal_sim_block_free(sim, block);
  dispatch(segment.c, &segment);
  release(segment.c);
}

/* ---- trying again ---------------------------------------------------------------------------- */

void mal_sim_connection_open(MalSimConnection *c)
{
  put_control(c, 0, SYN);
  stall(c, 0);
}

static void retry(MalSimConnection *c, unsigned side)
{
  MalSimPipe *pipe = &c->pipe[side];
  bool opening = side == 0 && !c->connected;
  int64_t limit = opening ? c->sim->streams.connect_timeout : c->sim->streams.stall_timeout;
  if (pipe->stalled_since >= 0 && c->sim->now - pipe->stalled_since >= limit) {
    tell_closed(c, side, ETIMEDOUT, opening ? "can't connect" : "can't receive");
    return;
  }
  pipe->backoff = MIN(2 * pipe->backoff, LAST_RETRY);
  if (opening) {
    put_control(c, 0, SYN);
    stall(c, 0);
  } else {
    mal_sim_connection_pump(c, side);
  }
}

static void fire_retry(MalSim *sim, MalSimEvent *event)
{
  MalSimPipe *pipe = MAL_SIM_CONTAINER(event, MalSimPipe, retry);
  MalSimConnection *c = pipe->connection;
  (void)sim;
  c->busy++;
  retry(c, pipe->side);
  release(c);
}

static void ask(MalSimConnection *c, unsigned side)
{
  unsigned to = 1 - side;
  if (!c->end[side] || c->end[side]->closed)
    return;
  if (!still_there(c, side))
    c->pipe[side].missed++;
  else if (c->node[to]->boots != c->boot[to])
    put_control(c, to, RESET);
  else
    c->pipe[side].missed = 0;
  if (c->pipe[side].missed >= MISSED_LIMIT)
    tell_closed(c, side, ETIMEDOUT, "can't receive");
  else
    mal_sim_queue(c->sim, &c->pipe[side].keepalive, c->sim->now + c->sim->streams.keepalive);
}

static void fire_keepalive(MalSim *sim, MalSimEvent *event)
{
  MalSimPipe *pipe = MAL_SIM_CONTAINER(event, MalSimPipe, keepalive);
  MalSimConnection *c = pipe->connection;
  (void)sim;
  c->busy++;
  ask(c, pipe->side);
  release(c);
}

void mal_sim_connection_leave(MalSimConnection *c, unsigned side, bool crashed)
{
  MalSimPipe *pipe = &c->pipe[side];
  bool closed = c->end[side]->closed;
  c->busy++;
  c->end[side] = NULL;
  mal_sim_unqueue(c->sim, &c->pipe[side].keepalive);
  if (crashed || closed || (side == 0 && !c->connected)) {
    mal_sim_unqueue(c->sim, &pipe->retry);
    pipe->epoch++;
    pipe->in_flight = 0;
  } else {
    /* As close(2) behind a non-blocking socket: what the system had not taken yet is lost. */
    size_t taken = pipe->arrived + pipe->in_flight + MIN(mal_sim_pipe_unsent(pipe), WINDOW);
    g_byte_array_set_size(pipe->bytes, (guint)taken);
    pipe->fin = true;
    mal_sim_connection_pump(c, side);
  }
  release(c);
}

static void fire_linger(MalSim *sim, MalSimEvent *event)
{
  MalSimPipe *pipe = MAL_SIM_CONTAINER(event, MalSimPipe, linger);
  MalSimConnection *c = pipe->connection;
  (void)sim;
  c->busy++;
  if (mal_sim_pipe_unsent(pipe) && !host_gone(c, pipe->side))
    put_control(c, pipe->side, RESET);
  mal_sim_unqueue(c->sim, &pipe->retry);
  if (mal_sim_pipe_unsent(pipe))
    give_up(pipe);
  pipe->lingers = false;
  release(c);
}

void mal_sim_connection_finish(MalSimConnection *c, unsigned side, int64_t limit)
{
  MalSimPipe *pipe = &c->pipe[side];
  if (c->end[side]->closed || (side == 0 && !c->connected)) {
    mal_sim_connection_leave(c, side, false);
    return;
  }
  c->busy++;
  c->end[side] = NULL;
  mal_sim_unqueue(c->sim, &pipe->keepalive);
  pipe->lingers = true;
  pipe->fin = true;
  mal_sim_queue(c->sim, &pipe->linger, c->sim->now + MAX(limit, 0));
  drop_arrived(c, side);
  mal_sim_connection_pump(c, side);
  release(c);
}
