#include "fake-runtime.h"

#include "fake-stream.h"

#include <string.h>

typedef struct {
  MalTimer base;
  MalTimerFunc func;
  void *data;
  int64_t deadline;           /* INT64_MAX: not set */
} FakeTimer;

typedef struct {
  uint32_t ifindex;
  MalAddress group;
} FakeMembership;

typedef struct {
  MalUdp base;
  MalUdpOptions options;
  MalUdpFunc func;
  void *data;
  uint16_t port;
  GArray *joined;
  MalUdpCounters counters;
} FakeUdp;

typedef struct {
  MalTimerFunc func;
  void *data;
} FakeCall;

typedef struct {
  MalJobFunc run, done;
  void *data;
} FakeJob;

typedef struct {
  MalWorker base;
  const char *name;           /* the caller's */
  GQueue jobs;
} FakeWorker;

typedef struct {
  MalInterfaceWatch base;
  MalTimerFunc func;
  void *data;
} FakeWatch;

struct FakeRuntime {
  MalRuntime base;
  int64_t monotonic, wall;
  uint64_t random;
  GPtrArray *timers, *udps, *workers, *watches, *sent;
  GQueue deferred;
  GArray *interfaces;
  uint16_t next_port;
  bool hold_workers, fail_open;
  const char *held_worker;    /* its name */
  int64_t lag;
  MalUdpShed shed;
  GPtrArray *streams;
};

static FakeRuntime *fake(MalRuntime *rt)
{
  return (FakeRuntime *) rt;
}

static int64_t fake_monotonic(MalRuntime *rt)
{
  return fake(rt)->monotonic;
}

static int64_t fake_wall(MalRuntime *rt)
{
  return fake(rt)->wall;
}

/* A linear congruential generator is random enough for tests and never differs. */
static void fake_random(MalRuntime *rt, void *out, size_t length)
{
  uint8_t *bytes = out;
  for (size_t i = 0; i < length; i++) {
    fake(rt)->random = fake(rt)->random * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = (uint8_t) (fake(rt)->random >> 56);
  }
}

/* ---- timers ---------------------------------------------------------------------------------- */

static MalTimer *fake_timer_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  FakeTimer *t = g_new0(FakeTimer, 1);
  t->base.rt = rt;
  t->func = func;
  t->data = data;
  t->deadline = INT64_MAX;
  g_ptr_array_add(fake(rt)->timers, t);
  return &t->base;
}

static void fake_timer_set(MalTimer *timer, int64_t deadline)
{
  ((FakeTimer *) timer)->deadline = deadline;
}

static void fake_timer_stop(MalTimer *timer)
{
  ((FakeTimer *) timer)->deadline = INT64_MAX;
}

static void fake_timer_free(MalTimer *timer)
{
  if (!timer)
    return;
  g_assert_true(g_ptr_array_remove(fake(timer->rt)->timers, timer));
  g_free(timer);
}

static void fake_defer(MalRuntime *rt, MalTimerFunc func, void *data)
{
  FakeCall *call = g_new(FakeCall, 1);
  *call = (FakeCall) { func, data };
  g_queue_push_tail(&fake(rt)->deferred, call);
}

static FakeTimer *earliest(const FakeRuntime *f)
{
  FakeTimer *best = NULL;
  for (guint i = 0; i < f->timers->len; i++) {
    FakeTimer *t = f->timers->pdata[i];
    if (t->deadline != INT64_MAX && (!best || t->deadline < best->deadline))
      best = t;
  }
  return best;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static void interface_clear(void *p)
{
  g_free(((MalInterface *) p)->addresses);
}

static GArray *interface_array(void)
{
  GArray *array = g_array_new(FALSE, TRUE, sizeof(MalInterface));
  g_array_set_clear_func(array, interface_clear);
  return array;
}

static GArray *fake_interfaces(MalRuntime *rt)
{
  GArray *copy = interface_array();
  for (guint i = 0; i < fake(rt)->interfaces->len; i++) {
    MalInterface one = g_array_index(fake(rt)->interfaces, MalInterface, i);
    one.addresses = g_memdup2(one.addresses, one.n_addresses * sizeof *one.addresses);
    g_array_append_val(copy, one);
  }
  return copy;
}

static MalInterfaceWatch *fake_watch_new(MalRuntime *rt, MalTimerFunc func, void *data)
{
  FakeWatch *w = g_new0(FakeWatch, 1);
  w->base.rt = rt;
  w->func = func;
  w->data = data;
  g_ptr_array_add(fake(rt)->watches, w);
  return &w->base;
}

static void fake_watch_free(MalInterfaceWatch *watch)
{
  if (!watch)
    return;
  g_assert_true(g_ptr_array_remove(fake(watch->rt)->watches, watch));
  g_free(watch);
}

static void tell_watches(FakeRuntime *f)
{
  g_autoptr(GPtrArray) now = g_ptr_array_copy(f->watches, NULL, NULL);
  for (guint i = 0; i < now->len; i++) {
    FakeWatch *w = now->pdata[i];
    if (g_ptr_array_find(f->watches, w, NULL))
      w->func(w->data);
  }
  fake_run(f);
}

uint32_t fake_add_interface(FakeRuntime *f, const char *name, const char *addresses)
{
  MalInterface one = { .index = f->interfaces->len + 1, .up = true, .multicast = true,
                       .loopback = g_str_has_prefix(name, "lo") };
  g_strlcpy(one.name, name, sizeof one.name);
  g_auto(GStrv) words = g_strsplit(addresses, " ", -1);
  one.addresses = g_new0(MalAddress, g_strv_length(words) + 1);
  for (char **w = words; *w; w++)
    if (**w)
      g_assert_true(mal_address_parse(*w, &one.addresses[one.n_addresses++], NULL));
  g_array_append_val(f->interfaces, one);
  tell_watches(f);
  return one.index;
}

void fake_set_interface_up(FakeRuntime *f, uint32_t index, bool up)
{
  g_assert_true(index >= 1 && index <= f->interfaces->len);
  g_array_index(f->interfaces, MalInterface, index - 1).up = up;
  tell_watches(f);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static MalUdp *fake_udp_open(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func,
                             void *data, GError **error)
{
  if (fake(rt)->fail_open) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "address in use");
    return NULL;
  }
  FakeUdp *u = g_new0(FakeUdp, 1);
  u->base.rt = rt;
  u->options = *options;
  u->func = func;
  u->data = data;
  u->port = options->port ? options->port : fake(rt)->next_port++;
  u->joined = g_array_new(FALSE, TRUE, sizeof(FakeMembership));
  g_ptr_array_add(fake(rt)->udps, u);
  return &u->base;
}

static void fake_udp_close(MalUdp *udp)
{
  if (!udp)
    return;
  g_assert_true(g_ptr_array_remove(fake(udp->rt)->udps, udp));
  g_array_unref(((FakeUdp *) udp)->joined);
  g_free(udp);
}

static uint16_t fake_udp_port(const MalUdp *udp)
{
  return ((const FakeUdp *) udp)->port;
}

static guint membership(const FakeUdp *u, uint32_t ifindex, MalAddress group)
{
  for (guint i = 0; i < u->joined->len; i++) {
    const FakeMembership *m = &g_array_index(u->joined, FakeMembership, i);
    if (m->ifindex == ifindex && mal_address_equal(m->group, group))
      return i;
  }
  return G_MAXUINT;
}

static bool fake_udp_join(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error)
{
  FakeUdp *u = (FakeUdp *) udp;
  if (membership(u, ifindex, group) != G_MAXUINT) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "joined already");
    return false;
  }
  FakeMembership m = { ifindex, group };
  g_array_append_val(u->joined, m);
  return true;
}

static bool fake_udp_leave(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error)
{
  FakeUdp *u = (FakeUdp *) udp;
  guint at = membership(u, ifindex, group);
  if (at == G_MAXUINT) {
    g_set_error_literal(error, MAL_ERROR, MAL_ERROR_NETWORK, "not joined");
    return false;
  }
  g_array_remove_index(u->joined, at);
  return true;
}

static void fake_udp_set_ttl(MalUdp *udp, uint8_t ttl)
{
  ((FakeUdp *) udp)->options.multicast_ttl = ttl;
}

static void sent_free(void *p)
{
  g_free(((FakeSent *) p)->data);
  g_free(p);
}

static void fake_udp_send(MalUdp *udp, const MalDatagram *d)
{
  FakeSent *s = g_new0(FakeSent, 1);
  *s = (FakeSent) { .udp = udp, .peer = d->peer, .local = d->local, .ifindex = d->ifindex,
                    .data = g_memdup2(d->data, d->length), .length = d->length };
  g_ptr_array_add(fake(udp->rt)->sent, s);
  ((FakeUdp *) udp)->counters.sent++;
}

static MalUdpCounters fake_udp_counters(const MalUdp *udp)
{
  return ((const FakeUdp *) udp)->counters;
}

void fake_set_lag(FakeRuntime *f, int64_t lag)
{
  f->lag = lag;
}

const MalUdpShed *fake_shed(const FakeRuntime *f)
{
  return &f->shed;
}

void fake_drop(MalUdp *udp, uint64_t count)
{
  ((FakeUdp *) udp)->counters.dropped += count;
}

static int64_t fake_udp_lag(const MalUdp *udp)
{
  return fake(udp->rt)->lag;
}

static bool fake_udp_shed(MalUdp *udp, const MalUdpShed *shed)
{
  fake(udp->rt)->shed = *shed;
  return true;
}

void fake_deliver(FakeRuntime *f, MalUdp *udp, const MalDatagram *datagrams, size_t n)
{
  FakeUdp *u = (FakeUdp *) udp;
  u->counters.received += n;
  u->counters.batches++;
  u->func(udp, datagrams, n, u->data);
  fake_run(f);
}

void fake_fail_open(FakeRuntime *f, bool fail)
{
  f->fail_open = fail;
}

/* ---- streams: fake-stream.c ------------------------------------------------------------------ */

GPtrArray *fake_streams(MalRuntime *rt)
{
  return fake(rt)->streams;
}

bool fake_open_fails(MalRuntime *rt)
{
  return fake(rt)->fail_open;
}

/* ---- workers --------------------------------------------------------------------------------- */

static MalWorker *fake_worker_new(MalRuntime *rt, const char *name)
{
  FakeWorker *w = g_new0(FakeWorker, 1);
  w->base.rt = rt;
  w->name = name;
  g_ptr_array_add(fake(rt)->workers, w);
  return &w->base;
}

static void fake_worker_submit(MalWorker *worker, MalJobFunc run, MalJobFunc done, void *data)
{
  FakeJob *job = g_new(FakeJob, 1);
  *job = (FakeJob) { run, done, data };
  g_queue_push_tail(&((FakeWorker *) worker)->jobs, job);
}

static bool run_job(FakeWorker *w)
{
  g_autofree FakeJob *job = g_queue_pop_head(&w->jobs);
  if (!job)
    return false;
  job->run(job->data);
  if (job->done)
    job->done(job->data);
  return true;
}

static void fake_worker_free(MalWorker *worker)
{
  if (!worker)
    return;
  while (run_job((FakeWorker *) worker))
    continue;
  g_assert_true(g_ptr_array_remove(fake(worker->rt)->workers, worker));
  g_free(worker);
}

void fake_hold_workers(FakeRuntime *f, bool hold)
{
  f->hold_workers = hold;
}

void fake_hold_worker(FakeRuntime *f, const char *name)
{
  f->held_worker = name;
}

static bool waits(const FakeRuntime *f, const FakeWorker *w)
{
  return f->hold_workers || g_strcmp0(f->held_worker, w->name) == 0;
}

/* ---- moving on ------------------------------------------------------------------------------- */

static bool run_one(FakeRuntime *f)
{
  g_autofree FakeCall *call = g_queue_pop_head(&f->deferred);
  if (call) {
    call->func(call->data);
    return true;
  }
  for (guint i = 0; i < f->workers->len; i++)
    if (!waits(f, f->workers->pdata[i]) && run_job(f->workers->pdata[i]))
      return true;
  FakeTimer *t = earliest(f);
  if (!t || t->deadline > f->monotonic)
    return false;
  t->deadline = INT64_MAX;
  t->func(t->data);
  return true;
}

void fake_run(FakeRuntime *f)
{
  for (unsigned n = 0; run_one(f); n++)
    g_assert_cmpuint(n, <, 10000000);
}

void fake_advance_us(FakeRuntime *f, int64_t microseconds)
{
  g_assert_cmpint(microseconds, >=, 0);
  int64_t target = f->monotonic + microseconds;
  fake_run(f);
  while (f->monotonic < target) {
    FakeTimer *t = earliest(f);
    int64_t step = (t && t->deadline < target ? t->deadline : target) - f->monotonic;
    f->monotonic += step;
    f->wall += step;
    fake_run(f);
  }
}

void fake_advance(FakeRuntime *f, int64_t seconds)
{
  fake_advance_us(f, seconds * MAL_US);
}

void fake_sleep(FakeRuntime *f, int64_t seconds)
{
  fake_run(f);
  f->monotonic += seconds * MAL_US;
  f->wall += seconds * MAL_US;
  fake_run(f);
}

void fake_set_wall(FakeRuntime *f, MalTime at)
{
  f->wall = at * MAL_US;
}

void fake_step_wall_us(FakeRuntime *f, int64_t microseconds)
{
  f->wall += microseconds;
}

int64_t fake_next_deadline(const FakeRuntime *f)
{
  FakeTimer *t = earliest(f);
  return t ? t->deadline : INT64_MAX;
}

/* ---- looking at it --------------------------------------------------------------------------- */

size_t fake_sent_count(const FakeRuntime *f)
{
  return f->sent->len;
}

const FakeSent *fake_sent_at(const FakeRuntime *f, size_t n)
{
  g_assert_cmpuint(n, <, f->sent->len);
  return f->sent->pdata[n];
}

void fake_sent_clear(FakeRuntime *f)
{
  g_ptr_array_set_size(f->sent, 0);
}

size_t fake_udp_count(const FakeRuntime *f)
{
  return f->udps->len;
}

MalUdp *fake_udp_at(const FakeRuntime *f, size_t n)
{
  g_assert_cmpuint(n, <, f->udps->len);
  return f->udps->pdata[n];
}

const MalUdpOptions *fake_udp_options(const MalUdp *udp)
{
  return &((const FakeUdp *) udp)->options;
}

bool fake_udp_joined(const MalUdp *udp, uint32_t ifindex, MalAddress group)
{
  return membership((const FakeUdp *) udp, ifindex, group) != G_MAXUINT;
}

static const MalRuntimeOps fake_ops = {
  .monotonic = fake_monotonic,
  .wall = fake_wall,
  .random = fake_random,
  .timer_new = fake_timer_new,
  .timer_set = fake_timer_set,
  .timer_stop = fake_timer_stop,
  .timer_free = fake_timer_free,
  .defer = fake_defer,
  .interfaces = fake_interfaces,
  .watch_new = fake_watch_new,
  .watch_free = fake_watch_free,
  .udp_open = fake_udp_open,
  .udp_close = fake_udp_close,
  .udp_port = fake_udp_port,
  .udp_join = fake_udp_join,
  .udp_leave = fake_udp_leave,
  .udp_set_ttl = fake_udp_set_ttl,
  .udp_send = fake_udp_send,
  .udp_counters = fake_udp_counters,
  .udp_lag = fake_udp_lag,
  .udp_shed = fake_udp_shed,
  .listener_open = fake_listener_open,
  .stream_connect = fake_stream_connect,
  .worker_new = fake_worker_new,
  .worker_submit = fake_worker_submit,
  .worker_free = fake_worker_free,
  .stream_connect_unix = fake_stream_connect_unix,
  .stream_send = fake_stream_send,
  .stream_queued = fake_stream_queued,
  .stream_close = fake_stream_close,
};

FakeRuntime *fake_runtime_new(void)
{
  FakeRuntime *f = g_new0(FakeRuntime, 1);
  f->base.ops = &fake_ops;
  f->monotonic = 1000 * MAL_US;
  f->wall = FAKE_START * MAL_US;
  f->random = 1;
  f->next_port = 40000;
  f->timers = g_ptr_array_new();
  f->udps = g_ptr_array_new();
  f->streams = g_ptr_array_new();
  f->workers = g_ptr_array_new();
  f->watches = g_ptr_array_new();
  f->sent = g_ptr_array_new_with_free_func(sent_free);
  f->interfaces = interface_array();
  g_queue_init(&f->deferred);
  return f;
}

void fake_runtime_free(FakeRuntime *f)
{
  if (!f)
    return;
  g_assert_cmpuint(f->timers->len + f->udps->len + f->workers->len + f->watches->len
                         + f->streams->len, ==, 0);
  g_ptr_array_unref(f->timers);
  g_ptr_array_unref(f->udps);
  g_ptr_array_unref(f->streams);
  g_ptr_array_unref(f->workers);
  g_ptr_array_unref(f->watches);
  g_ptr_array_unref(f->sent);
  g_array_unref(f->interfaces);
  g_queue_clear_full(&f->deferred, g_free);
  g_free(f);
}

MalRuntime *fake_runtime(FakeRuntime *f)
{
  return &f->base;
}

void fake_seed(FakeRuntime *f, uint64_t seed)
{
  f->random = seed;
}
