/* The production runtime on GLib's main loop: clocks, timers, deferred calls, randomness, and the
   table that gathers the other files.

   Timers sit in one binary heap behind one source: thousands of them cost the loop nothing per
   turn, and equal deadlines fire in the order of their arming. A timer that is armed while timers
   fire waits for the loop's next turn, even with a deadline in the past, so that it can't lock out
   the rest. */
#include "runtime-glib-private.h"

#include <sodium.h>

struct RtgTimer {
  MalTimer base;
  MalTimerFunc func;
  void *data;
  int64_t deadline;
  uint64_t arming;
  guint place;              /* in the heap, valid while armed */
  bool armed;
};

typedef struct {
  GSource source;
  Rtg *rtg;
} RtgPlainSource;

/* A batch of deferred calls; what these defer goes into the next batch. */
typedef struct {
  GSource source;
  Rtg *rtg;
  GArray *calls;
} RtgDeferSource;

typedef struct {
  MalTimerFunc func;
  void *data;
} RtgCall;

static Rtg *rtg_of(MalRuntime *rt)
{
  return (Rtg *)rt;
}

/* ---- dispatches ------------------------------------------------------------------------------ */

GSource *rtg_source_new(Rtg *rtg, GSourceFuncs *funcs, size_t size, const char *name)
{
  GSource *source = g_source_new(funcs, (guint)size);

  g_source_set_name(source, name);
  g_source_set_priority(source, RTG_PRIORITY);
  /* Else GLib takes a source's descriptors out and back in around each dispatch, with a wake-up of
     the loop for both. */
  g_source_set_can_recurse(source, TRUE);
  g_source_attach(source, rtg->context);
  return source;
}

bool rtg_dispatch(Rtg *rtg)
{
  if (rtg->depth > 0) {
    g_critical("a callback of the runtime runs the main loop");
    return false;
  }
  rtg_enter(rtg);
  return true;
}

void rtg_enter(Rtg *rtg)
{
  rtg->depth++;
}

void rtg_leave(Rtg *rtg)
{
  if (--rtg->depth == 0)
    rtg_udp_flush_all(rtg);
}

/* ---- the heap of timers ---------------------------------------------------------------------- */

static bool earlier(const RtgTimer *a, const RtgTimer *b)
{
  return a->deadline != b->deadline ? a->deadline < b->deadline : a->arming < b->arming;
}

static void heap_put(GPtrArray *heap, guint place, RtgTimer *timer)
{
  heap->pdata[place] = timer;
  timer->place = place;
}

static void heap_up(GPtrArray *heap, guint place, RtgTimer *timer)
{
  while (place > 0) {
    RtgTimer *parent = heap->pdata[(place - 1) / 2];
    if (!earlier(timer, parent))
      break;
    heap_put(heap, place, parent);
    place = (place - 1) / 2;
  }
  heap_put(heap, place, timer);
}

static void heap_down(GPtrArray *heap, guint place, RtgTimer *timer)
{
  for (;;) {
    guint child = 2 * place + 1;
    if (child >= heap->len)
      break;
    if (child + 1 < heap->len && earlier(heap->pdata[child + 1], heap->pdata[child]))
      child++;
    if (!earlier(heap->pdata[child], timer))
      break;
    heap_put(heap, place, heap->pdata[child]);
    place = child;
  }
  heap_put(heap, place, timer);
}

static void heap_remove(GPtrArray *heap, RtgTimer *timer)
{
  guint place = timer->place;
  RtgTimer *last = heap->pdata[heap->len - 1];

  g_ptr_array_set_size(heap, (gint)heap->len - 1);
  if (last == timer)
    return;
  if (earlier(last, timer))
    heap_up(heap, place, last);
  else
    heap_down(heap, place, last);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static gboolean timers_prepare(GSource *source, gint *timeout)
{
  Rtg *rtg = ((RtgPlainSource *)source)->rtg;

  *timeout = -1;
  if (rtg->heap->len == 0)
    return FALSE;
  const RtgTimer *first = rtg->heap->pdata[0];
  int64_t now = g_get_monotonic_time();
  if (first->deadline <= now)
    return TRUE;
  /* Rounded up: waking early would only spin until the deadline. */
  int64_t wait = first->deadline - now;
  *timeout = wait >= (int64_t)INT32_MAX * 1000 ? INT32_MAX : (gint)((wait + 999) / 1000);
  return FALSE;
}

static gboolean timers_check(GSource *source)
{
  const Rtg *rtg = ((RtgPlainSource *)source)->rtg;
  const RtgTimer *first = rtg->heap->len > 0 ? rtg->heap->pdata[0] : NULL;

  return first != NULL && first->deadline <= g_get_monotonic_time();
}

static gboolean timers_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Rtg *rtg = ((RtgPlainSource *)source)->rtg;

  (void)callback;
  (void)user_data;
  if (!rtg_dispatch(rtg))
    return G_SOURCE_CONTINUE;
  rtg->firing = true;
  rtg->firing_now = g_get_monotonic_time();
  rtg->firing_limit = rtg->armings;
  while (rtg->heap->len > 0) {
    RtgTimer *timer = rtg->heap->pdata[0];
    if (timer->deadline > rtg->firing_now || timer->arming > rtg->firing_limit)
      break;
    heap_remove(rtg->heap, timer);
    timer->armed = false;
    timer->func(timer->data);
  }
  rtg->firing = false;
  rtg_leave(rtg);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs timers_funcs = {
  .prepare = timers_prepare, .check = timers_check, .dispatch = timers_dispatch,
};

static MalTimer *timer_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  RtgTimer *timer = g_new0(RtgTimer, 1);

  timer->base.rt = rt;
  timer->func = func;
  timer->data = data;
  rtg_of(rt)->handles++;
  return &timer->base;
}

static void timer_stop(MalTimer *handle)
{
  RtgTimer *timer = (RtgTimer *)handle;

  if (timer->armed)
    heap_remove(rtg_of(handle->rt)->heap, timer);
  timer->armed = false;
}

static void timer_set(MalTimer *handle, int64_t deadline)
{
  RtgTimer *timer = (RtgTimer *)handle;
  Rtg *rtg = rtg_of(handle->rt);

  timer_stop(handle);
  /* Sorts behind all that are due already, so that these still fire in this turn. */
  timer->deadline = rtg->firing ? MAX(deadline, rtg->firing_now) : deadline;
  timer->arming = ++rtg->armings;
  timer->armed = true;
  g_ptr_array_add(rtg->heap, timer);
  heap_up(rtg->heap, rtg->heap->len - 1, timer);
}

static void timer_free(MalTimer *handle)
{
  timer_stop(handle);
  rtg_of(handle->rt)->handles--;
  g_free(handle);
}

/* ---- deferred calls -------------------------------------------------------------------------- */

static gboolean defer_prepare(GSource *source, gint *timeout)
{
  (void)source;
  *timeout = 0;
  return TRUE;
}

static gboolean defer_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  RtgDeferSource *self = (RtgDeferSource *)source;

  (void)callback;
  (void)user_data;
  if (!rtg_dispatch(self->rtg))
    return G_SOURCE_CONTINUE;
  if (self->rtg->deferred == source)
    g_clear_pointer(&self->rtg->deferred, g_source_unref);
  for (guint i = 0; i < self->calls->len; i++) {
    RtgCall call = g_array_index(self->calls, RtgCall, i);
    call.func(call.data);
  }
  rtg_leave(self->rtg);
  return G_SOURCE_REMOVE;
}

static void defer_finalize(GSource *source)
{
  g_array_unref(((RtgDeferSource *)source)->calls);
}

static GSourceFuncs defer_funcs = {
  .prepare = defer_prepare, .dispatch = defer_dispatch, .finalize = defer_finalize,
};

/* Each batch is a source of its own: a new source is the last of its priority in GLib's order, so
   all that is ready comes first. */
static void defer(MalRuntime *rt, MalTimerFunc func, void *data)
{
  Rtg *rtg = rtg_of(rt);
  RtgCall call = { func, data };

  if (rtg->deferred == NULL) {
    rtg->deferred = rtg_source_new(rtg, &defer_funcs, sizeof(RtgDeferSource), "mallocd deferred");
    RtgDeferSource *self = (RtgDeferSource *)rtg->deferred;
    self->rtg = rtg;
    self->calls = g_array_new(FALSE, FALSE, sizeof(RtgCall));
  }
  g_array_append_val(((RtgDeferSource *)rtg->deferred)->calls, call);
}

/* ---- clocks, randomness, the table ----------------------------------------------------------- */

static int64_t monotonic(MalRuntime *rt)
{
  (void)rt;
  return g_get_monotonic_time();
}

static int64_t wall(MalRuntime *rt)
{
  (void)rt;
  return g_get_real_time();
}

static void random_bytes(MalRuntime *rt, void *out, size_t length)
{
  (void)rt;
  randombytes_buf(out, length);
}

static const MalRuntimeOps ops = {
  .monotonic = monotonic,
  .wall = wall,
  .random = random_bytes,
  .timer_new = timer_new,
  .timer_set = timer_set,
  .timer_stop = timer_stop,
  .timer_free = timer_free,
  .defer = defer,
  .interfaces = rtg_interfaces,
  .watch_new = rtg_watch_new,
  .watch_free = rtg_watch_free,
  .udp_open = rtg_udp_open,
  .udp_close = rtg_udp_close,
  .udp_port = rtg_udp_port,
  .udp_join = rtg_udp_join,
  .udp_leave = rtg_udp_leave,
  .udp_set_ttl = rtg_udp_set_ttl,
  .udp_send = rtg_udp_send,
  .udp_counters = rtg_udp_counters,
  .udp_lag = rtg_udp_lag,
  .udp_shed = rtg_udp_shed,
  .listener_open = rtg_listener_open,
  .listener_close = rtg_listener_close,
  .listener_port = rtg_listener_port,
  .listener_set_peer = rtg_listener_set_peer,
  .stream_connect = rtg_stream_connect,
  .stream_start = rtg_stream_start,
  .stream_send = rtg_stream_send,
  .stream_queued = rtg_stream_queued,
  .stream_close = rtg_stream_close,
  .stream_finish = rtg_stream_finish,
  .worker_new = rtg_worker_new,
  .worker_submit = rtg_worker_submit,
  .worker_free = rtg_worker_free,
  .stream_connect_unix = rtg_stream_connect_unix,
};

MalRuntime *mal_runtime_glib_new(GMainContext *context)
{
  Rtg *rtg = g_new0(Rtg, 1);

  if (sodium_init() < 0)
    g_error("libsodium can't be initialised: no source of random numbers");
  rtg->base.ops = &ops;
  rtg->context = g_main_context_ref(context != NULL ? context : g_main_context_default());
  rtg->heap = g_ptr_array_new();
  rtg->dirty = g_ptr_array_new();
  rtg->finishing = g_ptr_array_new();
  rtg->timers = rtg_source_new(rtg, &timers_funcs, sizeof(RtgPlainSource), "mallocd timers");
  ((RtgPlainSource *)rtg->timers)->rtg = rtg;
  return &rtg->base;
}

static void destroy_source(GSource *source)
{
  g_source_destroy(source);
  g_source_unref(source);
}

void mal_runtime_glib_free(MalRuntime *rt)
{
  Rtg *rtg = rtg_of(rt);

  if (rt == NULL)
    return;
  if (rtg->handles != 0)
    g_critical("the runtime ends while %d of its handles are open", rtg->handles);
  rtg_stream_cut_finishing(rtg);
  destroy_source(rtg->timers);
  g_clear_pointer(&rtg->deferred, destroy_source);
  g_clear_pointer(&rtg->batch, rtg_batch_free);
  g_free(rtg->chunk);
  g_ptr_array_unref(rtg->heap);
  g_ptr_array_unref(rtg->dirty);
  g_ptr_array_unref(rtg->finishing);
  g_main_context_unref(rtg->context);
  g_free(rtg);
}

GMainContext *mal_runtime_glib_context(MalRuntime *rt)
{
  return rtg_of(rt)->context;
}
