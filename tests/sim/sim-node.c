/* Hosts: generations of runtimes, clocks, timers, interface watches, crash and restart. */
#include <string.h>

#include "sim-internal.h"

typedef struct {
  MalTimer base;
  MalSimHandle handle;
  MalSimEvent event;
  MalTimerFunc func;
  void *data;
} SimTimer;

typedef struct {
  MalInterfaceWatch base;
  MalSimHandle handle;
  MalSimEvent event;
  MalTimerFunc func;
  void *data;
} SimWatch;

/* ---- handles: every object that a runtime gave out ------------------------------------------- */

void mal_sim_handle_add(MalSimRuntime *rt, MalSimHandle *handle, MalSimReclaim die,
                        MalSimReclaim reclaim)
{
  MalSimHandle *head = &rt->handles;
  handle->die = die;
  handle->reclaim = reclaim;
  handle->previous = head->previous;
  handle->next = head;
  head->previous->next = handle;
  head->previous = handle;
  rt->n_handles++;
}

void mal_sim_handle_remove(MalSimRuntime *rt, MalSimHandle *handle)
{
  handle->previous->next = handle->next;
  handle->next->previous = handle->previous;
  rt->n_handles--;
}

bool mal_sim_refuse_dead(const MalSimRuntime *rt, GError **error)
{
  if (rt->dead)
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "the simulated host is down");
  return rt->dead;
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static int64_t monotonic(MalRuntime *base)
{
  MalSimRuntime *rt = mal_sim_runtime(base);
  return rt->node->sim->now + rt->monotonic_base;
}

static int64_t drifted(const MalSimNode *node)
{
  return node->drift ? (node->sim->now - node->drift_since) * node->drift / 1000000 : 0;
}

static int64_t wall(MalRuntime *base)
{
  const MalSimNode *node = mal_sim_runtime(base)->node;
  return node->sim->epoch + node->sim->now + node->clock_offset + drifted(node);
}

void mal_sim_node_set_clock(MalSimNode *node, int64_t skew, int32_t drift)
{
  node->clock_offset = skew;
  node->drift = drift;
  node->drift_since = node->sim->now;
  mal_sim_trace(node->sim, MAL_SIM_TRACE_CLOCK, node, (uint64_t)skew, (uint64_t)drift);
}

void mal_sim_node_step_clock(MalSimNode *node, int64_t by)
{
  node->clock_offset += by;
  mal_sim_trace(node->sim, MAL_SIM_TRACE_CLOCK, node, (uint64_t)by, 0);
}

static void random_bytes(MalRuntime *base, void *out, size_t length)
{
  MalSimRandom *r = &mal_sim_runtime(base)->random;
  for (uint8_t *at = out; length > 0;) {
    uint64_t word = mal_sim_random_next(r);
    size_t n = MIN(length, sizeof word);
    memcpy(at, &word, n);
    at += n;
    length -= n;
  }
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void fire_timer(MalSim *sim, MalSimEvent *event)
{
  SimTimer *timer = MAL_SIM_CONTAINER(event, SimTimer, event);
  sim->counters.timers++;
  mal_sim_trace(sim, MAL_SIM_TRACE_TIMER, mal_sim_runtime(timer->base.rt)->node, 0, 0);
  timer->func(timer->data); /* may free the timer */
}

static void timer_die(MalSimHandle *handle)
{
  SimTimer *timer = MAL_SIM_CONTAINER(handle, SimTimer, handle);
  mal_sim_unqueue(mal_sim_runtime(timer->base.rt)->node->sim, &timer->event);
}

static void timer_reclaim(MalSimHandle *handle)
{
  g_free(MAL_SIM_CONTAINER(handle, SimTimer, handle));
}

static MalTimer *timer_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  SimTimer *timer = g_new0(SimTimer, 1);
  timer->base.rt = rt;
  timer->event.fire = fire_timer;
  timer->func = func;
  timer->data = data;
  mal_sim_handle_add(mal_sim_runtime(rt), &timer->handle, timer_die, timer_reclaim);
  return &timer->base;
}

static void timer_set(MalTimer *base, int64_t deadline)
{
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  if (rt->dead)
    return;
  /* A deadline so far in the past that it can't be converted is past all the same. */
  int64_t time;
  if (__builtin_sub_overflow(deadline, rt->monotonic_base, &time))
    time = 0;
  mal_sim_queue(rt->node->sim, &((SimTimer *)base)->event, time);
}

static void timer_stop(MalTimer *base)
{
  mal_sim_unqueue(mal_sim_runtime(base->rt)->node->sim, &((SimTimer *)base)->event);
}

static void timer_free(MalTimer *base)
{
  SimTimer *timer = (SimTimer *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  if (rt->dead)
    return;
  timer_die(&timer->handle);
  mal_sim_handle_remove(rt, &timer->handle);
  timer_reclaim(&timer->handle);
}

static void defer(MalRuntime *base, MalTimerFunc func, void *data)
{
  MalSimRuntime *rt = mal_sim_runtime(base);
  MalSim *sim = rt->node->sim;
  if (rt->dead)
    return;
  MalSimDeferred *d = mal_sim_block_new(sim);
  *d = (MalSimDeferred){ NULL, rt, func, data };
  if (sim->deferred)
    sim->deferred_last->next = d;
  else
    sim->deferred = d;
  sim->deferred_last = d;
}

static void drop_deferred(MalSim *sim, const MalSimRuntime *rt)
{
  MalSimDeferred **at = &sim->deferred;
  sim->deferred_last = NULL;
  while (*at) {
    MalSimDeferred *d = *at;
    if (d->rt == rt) {
      *at = d->next;
      mal_sim_block_free(sim, d);
    } else {
      sim->deferred_last = d;
      at = &d->next;
    }
  }
}

/* ---- interfaces as the runtime shows them ---------------------------------------------------- */

static void clear_interface(void *data)
{
  g_free(((MalInterface *)data)->addresses);
}

/* Global and loopback first, IPv6 link-local last (runtime.h). */
static void copy_addresses(const MalSimIface *iface, MalInterface *out)
{
  out->addresses = g_new0(MalAddress, iface->addresses->len);
  for (int link_local = 0; link_local < 2; link_local++)
    for (guint i = 0; i < iface->addresses->len; i++) {
      MalAddress a = g_array_index(iface->addresses, MalAddress, i);
      if ((a.family == MAL_IPV6 && mal_sim_is_link_local(a)) == link_local)
        out->addresses[out->n_addresses++] = a;
    }
}

static GArray *interfaces(MalRuntime *base)
{
  const MalSimNode *node = mal_sim_runtime(base)->node;
  GArray *array = g_array_new(FALSE, TRUE, sizeof(MalInterface));
  g_array_set_clear_func(array, clear_interface);
  for (guint i = 0; i < node->ifaces->len; i++) {
    const MalSimIface *iface = g_ptr_array_index(node->ifaces, i);
    MalInterface shown = { .index = iface->index,
                           .up = iface->up,
                           .multicast = iface->link != NULL,
                           .loopback = iface->link == NULL };
    memcpy(shown.name, iface->name, sizeof shown.name);
    copy_addresses(iface, &shown);
    g_array_append_val(array, shown);
  }
  return array;
}

static void fire_watch(MalSim *sim, MalSimEvent *event)
{
  SimWatch *watch = MAL_SIM_CONTAINER(event, SimWatch, event);
  mal_sim_trace(sim, MAL_SIM_TRACE_WATCH, mal_sim_runtime(watch->base.rt)->node, 0, 0);
  watch->func(watch->data);
}

static void watch_die(MalSimHandle *handle)
{
  SimWatch *watch = MAL_SIM_CONTAINER(handle, SimWatch, handle);
  MalSimRuntime *rt = mal_sim_runtime(watch->base.rt);
  mal_sim_unqueue(rt->node->sim, &watch->event);
  g_ptr_array_remove(rt->watches, watch);
}

static void watch_reclaim(MalSimHandle *handle)
{
  g_free(MAL_SIM_CONTAINER(handle, SimWatch, handle));
}

static MalInterfaceWatch *watch_new(MalRuntime *base, MalTimerFunc func, void *data)
{
  MalSimRuntime *rt = mal_sim_runtime(base);
  SimWatch *watch = g_new0(SimWatch, 1);
  watch->base.rt = base;
  watch->event.fire = fire_watch;
  watch->func = func;
  watch->data = data;
  mal_sim_handle_add(rt, &watch->handle, watch_die, watch_reclaim);
  g_ptr_array_add(rt->watches, watch);
  return &watch->base;
}

static void watch_free(MalInterfaceWatch *base)
{
  SimWatch *watch = (SimWatch *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  if (rt->dead)
    return;
  watch_die(&watch->handle);
  mal_sim_handle_remove(rt, &watch->handle);
  watch_reclaim(&watch->handle);
}

/* Changes of one instant are told once. */
void mal_sim_watches_notify(MalSimNode *node)
{
  for (guint i = 0; node->rt && i < node->rt->watches->len; i++) {
    SimWatch *watch = g_ptr_array_index(node->rt->watches, i);
    if (!watch->event.slot)
      mal_sim_queue(node->sim, &watch->event, node->sim->now);
  }
}

/* ---- generations ----------------------------------------------------------------------------- */

static const MalRuntimeOps sim_ops = {
  .monotonic = monotonic,
  .wall = wall,
  .random = random_bytes,
  .timer_new = timer_new,
  .timer_set = timer_set,
  .timer_stop = timer_stop,
  .timer_free = timer_free,
  .defer = defer,
  .interfaces = interfaces,
  .watch_new = watch_new,
  .watch_free = watch_free,
  .udp_open = mal_sim_udp_open,
  .udp_close = mal_sim_udp_close,
  .udp_port = mal_sim_udp_port,
  .udp_join = mal_sim_udp_join,
  .udp_leave = mal_sim_udp_leave,
  .udp_set_ttl = mal_sim_udp_set_ttl,
  .udp_send = mal_sim_udp_send,
  .udp_counters = mal_sim_udp_counters,
  .udp_lag = mal_sim_udp_lag,
  .udp_shed = mal_sim_udp_shed,
  .listener_open = mal_sim_listener_open,
  .listener_close = mal_sim_listener_close,
  .listener_port = mal_sim_listener_port,
  .listener_set_peer = mal_sim_listener_set_peer,
  .stream_connect = mal_sim_stream_connect,
  .stream_start = mal_sim_stream_start,
  .stream_send = mal_sim_stream_send,
  .stream_queued = mal_sim_stream_queued,
  .stream_close = mal_sim_stream_close,
  .stream_finish = mal_sim_stream_finish,
  .worker_new = mal_sim_worker_new,
  .worker_submit = mal_sim_worker_submit,
  .worker_free = mal_sim_worker_free,
};

/* Each boot has its own random stream and its own monotonic zero, so that nobody gets away with
   comparing monotonic times across hosts or boots. */
static void boot(MalSimNode *node)
{
  MalSimRuntime *rt = g_new0(MalSimRuntime, 1);
  rt->base.ops = &sim_ops;
  rt->node = node;
  rt->handles.next = rt->handles.previous = &rt->handles;
  rt->listeners = g_ptr_array_new();
  rt->watches = g_ptr_array_new();
  mal_sim_random_seed(&rt->random, node->sim->seed,
                      0x100000000u * (node->index + 1) + ++node->boots);
  rt->monotonic_base = (int64_t)mal_sim_random_range(&rt->random, MAL_US, 1000 * MAL_US) -
                       node->sim->now;
  node->rt = rt;
  mal_sim_trace(node->sim, MAL_SIM_TRACE_BOOT, node, node->boots, 0);
}

static void kill_runtime(MalSimNode *node)
{
  MalSimRuntime *rt = node->rt;
  rt->dead = true;
  for (MalSimHandle *h = rt->handles.next; h != &rt->handles; h = h->next)
    h->die(h);
  drop_deferred(node->sim, rt);
  node->rt = NULL;
  rt->next_dead = node->dead;
  node->dead = rt;
}

static void free_runtime(MalSimRuntime *rt)
{
  while (rt->handles.next != &rt->handles) {
    MalSimHandle *h = rt->handles.next;
    mal_sim_handle_remove(rt, h);
    h->reclaim(h);
  }
  g_free(rt->udp);
  g_ptr_array_unref(rt->listeners);
  g_ptr_array_unref(rt->watches);
  g_free(rt);
}

void mal_sim_node_bury(MalSimNode *node)
{
  while (node->dead) {
    MalSimRuntime *rt = node->dead;
    node->dead = rt->next_dead;
    free_runtime(rt);
  }
}

void mal_sim_node_crash(MalSimNode *node, MalSimCrash disk)
{
  if (!node->rt)
    return;
  kill_runtime(node);
  node->sim->counters.crashes++;
  mal_sim_trace(node->sim, MAL_SIM_TRACE_CRASH, node, disk, 0);
  for (guint i = 0; i < node->disks->len; i++)
    mal_sim_disk_crash(g_ptr_array_index(node->disks, i), disk);
}

MalRuntime *mal_sim_node_restart(MalSimNode *node)
{
  if (node->rt) {
    kill_runtime(node);
    for (guint i = 0; i < node->disks->len; i++)
      mal_sim_disk_settle(g_ptr_array_index(node->disks, i));
  }
  node->sim->counters.restarts++;
  boot(node);
  return &node->rt->base;
}

MalSimNode *mal_sim_node_new(MalSim *sim, const char *name)
{
  MalSimNode *node = g_new0(MalSimNode, 1);
  node->sim = sim;
  node->name = g_strdup(name);
  node->index = sim->nodes->len;
  node->ifaces = g_ptr_array_new();
  node->disks = g_ptr_array_new_with_free_func(mal_sim_disk_free);
  node->next_ifindex = 1;
  node->next_port = 32768;
  node->work_min = 100;
  node->work_max = 3000;
  g_ptr_array_add(sim->nodes, node);
  boot(node);
  MalSimIface *lo = mal_sim_iface_new(node, NULL, "lo");
  mal_sim_iface_add_address(lo, mal_address_ipv4(0x7f000001));
  mal_sim_iface_add_address(lo, mal_address_make(MAL_IPV6, 1));
  return node;
}

void mal_sim_node_free(void *data)
{
  MalSimNode *node = data;
  if (node->rt)
    kill_runtime(node);
  mal_sim_node_bury(node);
  g_ptr_array_unref(node->ifaces);
  g_ptr_array_unref(node->disks);
  g_free(node->name);
  g_free(node);
}

const char *mal_sim_node_name(const MalSimNode *node)
{
  return node->name;
}

bool mal_sim_node_is_up(const MalSimNode *node)
{
  return node->rt != NULL;
}

MalRuntime *mal_sim_node_runtime(MalSimNode *node)
{
  return node->rt ? &node->rt->base : NULL;
}

MalSimNode *mal_sim_node_of(MalRuntime *rt)
{
  return mal_sim_runtime(rt)->node;
}

size_t mal_sim_node_handles(const MalSimNode *node)
{
  return node->rt ? node->rt->n_handles : 0;
}

void mal_sim_node_set_lag(MalSimNode *node, int64_t lag)
{
  node->lag = lag;
}

void mal_sim_node_set_work_time(MalSimNode *node, int64_t min, int64_t max)
{
  node->work_min = MAX(0, min);
  node->work_max = MAX(node->work_min, max);
}
