/* The simulation itself: its life, its memory, and the loop.

   At one instant, first all that the heap holds for it, then the datagrams that arrived meanwhile,
   socket by socket, in one call each, then what was deferred. Only when nothing of these is left
   does the clock go on. */
#include "sim-internal.h"

#define BLOCKS_A_SLAB 128
#define EPOCH 1767225600 /* 2026-01-01T00:00:00Z */

void *mal_sim_block_new(MalSim *sim)
{
  if (G_UNLIKELY(!sim->free_blocks)) {
    char *slab = g_malloc(BLOCKS_A_SLAB * MAL_SIM_BLOCK);
    g_ptr_array_add(sim->slabs, slab);
    for (size_t i = BLOCKS_A_SLAB; i-- > 0;)
      mal_sim_block_free(sim, slab + i * MAL_SIM_BLOCK);
  }
  void *block = sim->free_blocks;
  sim->free_blocks = *(void **)block;
  return block;
}

void mal_sim_block_free(MalSim *sim, void *block)
{
  *(void **)block = sim->free_blocks;
  sim->free_blocks = block;
}

MalSim *mal_sim_new(uint64_t seed)
{
  MalSim *sim = g_new0(MalSim, 1);
  sim->seed = seed;
  sim->epoch = EPOCH * MAL_US;
  sim->instant_limit = 1000000;
  sim->hash = mal_sim_mix(seed);
  mal_sim_random_seed(&sim->scenario, seed, 1);
  mal_sim_random_seed(&sim->network, seed, 2);
  sim->hooks = g_array_new(FALSE, FALSE, sizeof(MalSimHookEntry));
  sim->nodes = g_ptr_array_new_with_free_func(mal_sim_node_free);
  sim->links = g_ptr_array_new_with_free_func(mal_sim_link_free);
  sim->ifaces = g_ptr_array_new_with_free_func(mal_sim_iface_free);
  sim->borders = g_ptr_array_new_with_free_func(mal_sim_border_free);
  sim->cuts = g_ptr_array_new_with_free_func(mal_sim_cut_free);
  sim->connections = g_ptr_array_new_with_free_func(mal_sim_connection_free);
  sim->slabs = g_ptr_array_new_with_free_func(g_free);
  mal_sim_set_stream_options(sim, &(MalSimStreamOptions){ .connect_timeout = 130 * MAL_US,
                                                          .stall_timeout = 900 * MAL_US,
                                                          .split = MAL_SIM_PERCENT(25) });
  mal_sim_trace_open(sim);
  return sim;
}

static void free_in_flight(MalSim *sim)
{
  for (size_t i = 0; i < sim->n_heap; i++)
    if (sim->heap[i].event->fire == mal_sim_arrive)
      mal_sim_packet_unref(sim,
                           MAL_SIM_CONTAINER(sim->heap[i].event, MalSimArrival, event)->packet);
  for (size_t i = 0; i < G_N_ELEMENTS(sim->free_packets); i++)
    while (sim->free_packets[i]) {
      MalSimPacket *packet = sim->free_packets[i];
      sim->free_packets[i] = packet->next_free;
      g_free(packet);
    }
}

void mal_sim_free(MalSim *sim)
{
  if (!sim)
    return;
  g_ptr_array_unref(sim->nodes);
  free_in_flight(sim);
  g_ptr_array_unref(sim->connections);
  g_ptr_array_unref(sim->cuts);
  g_ptr_array_unref(sim->borders);
  g_ptr_array_unref(sim->ifaces);
  g_ptr_array_unref(sim->links);
  g_ptr_array_unref(sim->slabs);
  g_array_unref(sim->hooks);
  mal_sim_trace_close(sim);
  g_free(sim->heap);
  g_free(sim->hops);
  g_free(sim->addresses);
  g_free(sim->failure);
  g_free(sim);
}

uint64_t mal_sim_seed(const MalSim *sim)
{
  return sim->seed;
}

int64_t mal_sim_now(const MalSim *sim)
{
  return sim->now;
}

void mal_sim_set_epoch(MalSim *sim, MalTime epoch)
{
  sim->epoch = epoch * MAL_US;
}

uint64_t mal_sim_random(MalSim *sim)
{
  return mal_sim_random_next(&sim->scenario);
}

uint64_t mal_sim_random_between(MalSim *sim, uint64_t low, uint64_t high)
{
  return mal_sim_random_range(&sim->scenario, low, high);
}

bool mal_sim_chance(MalSim *sim, uint32_t ppm)
{
  return mal_sim_random_hit(&sim->scenario, ppm);
}

MalSimCounters mal_sim_counters(const MalSim *sim)
{
  return sim->counters;
}

/* ---- running --------------------------------------------------------------------------------- */

static void call_hooks(MalSim *sim)
{
  for (guint i = 0; i < sim->hooks->len; i++) {
    MalSimHookEntry *hook = &g_array_index(sim->hooks, MalSimHookEntry, i);
    if (--hook->left == 0) {
      hook->left = hook->every;
      hook->func(sim, hook->data);
    }
  }
}

static void run_deferred(MalSim *sim)
{
  MalSimDeferred *d = sim->deferred, call = *d;
  sim->deferred = d->next;
  if (!sim->deferred)
    sim->deferred_last = NULL;
  mal_sim_block_free(sim, d);
  mal_sim_trace(sim, MAL_SIM_TRACE_DEFER, call.rt->node, 0, 0);
  call.func(call.data);
}

bool mal_sim_step(MalSim *sim)
{
  if (sim->failure)
    return false;
  g_return_val_if_fail(!sim->running, false);
  sim->running = true;
  bool due = sim->n_heap && sim->heap[0].time <= sim->now, more = true;
  if (!due && sim->ready) {
    mal_sim_udp_deliver(sim);
  } else if (!due && sim->deferred) {
    run_deferred(sim);
  } else if (sim->n_heap) {
    if (!due) {
      sim->now = sim->heap[0].time;
      sim->at_this_instant = 0;
    }
    MalSimEvent *event = mal_sim_queue_pop(sim);
    event->fire(sim, event);
  } else {
    more = false;
  }
  sim->running = false;
  if (!more)
    return false;
  sim->counters.events++;
  if (G_UNLIKELY(++sim->at_this_instant > sim->instant_limit))
    mal_sim_fail(sim, "time stands still: more than %" G_GUINT64_FORMAT " events at one instant",
                 sim->instant_limit);
  if (sim->hooks->len)
    call_hooks(sim);
  return true;
}

static inline bool anything_until(const MalSim *sim, int64_t time)
{
  return sim->ready || sim->deferred || (sim->n_heap && sim->heap[0].time <= time);
}

bool mal_sim_run_until(MalSim *sim, int64_t time)
{
  while (anything_until(sim, time) && mal_sim_step(sim))
    ;
  if (!sim->failure && sim->now < time) {
    sim->now = time;
    sim->at_this_instant = 0;
  }
  return !sim->failure;
}

bool mal_sim_run_for(MalSim *sim, int64_t duration)
{
  return mal_sim_run_until(sim, sim->now + duration);
}

bool mal_sim_run_while(MalSim *sim, MalSimPredicate wanted, void *data, int64_t limit)
{
  while (wanted(data)) {
    if (anything_until(sim, limit) && mal_sim_step(sim))
      continue;
    if (!sim->failure && limit != MAL_SIM_NEVER)
      sim->now = MAX(sim->now, limit);
    return false;
  }
  return !sim->failure;
}

typedef struct {
  MalSimEvent event;
  MalTimerFunc func;
  void *data;
} Call;

static void fire_call(MalSim *sim, MalSimEvent *event)
{
  Call *block = MAL_SIM_CONTAINER(event, Call, event), call = *block;
  mal_sim_block_free(sim, block);
  mal_sim_trace(sim, MAL_SIM_TRACE_CALL, NULL, 0, 0);
  call.func(call.data);
}

void mal_sim_at(MalSim *sim, int64_t time, MalTimerFunc func, void *data)
{
  Call *call = mal_sim_block_new(sim);
  *call = (Call){ { fire_call, 0 }, func, data };
  mal_sim_queue(sim, &call->event, time);
}

void mal_sim_add_hook(MalSim *sim, unsigned every, MalSimHook func, void *data)
{
  MalSimHookEntry hook = { func, data, MAX(1, every), MAX(1, every) };
  g_array_append_val(sim->hooks, hook);
}

void mal_sim_set_instant_limit(MalSim *sim, uint64_t events)
{
  sim->instant_limit = events;
}

void mal_sim_set_stream_options(MalSim *sim, const MalSimStreamOptions *options)
{
  sim->streams = *options;
}
