/* The GLib runtime: timers, deferred calls, clocks. */
#include "tests/support/loop.h"

#include <string.h>

static MalRuntime *rt;

static void set_up(void)
{
  rt = mal_runtime_glib_new(NULL);
}

static void tear_down(void)
{
  /* A handle that was left open is a bug of the test or of the runtime. */
  g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
  mal_runtime_glib_free(rt);
}

TestSuite(runtime_glib_timers, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- timers ---------------------------------------------------------------------------------- */

typedef struct Probe Probe;
struct Probe {
  MalTimer *timer;
  int id;
  void (*then)(Probe *probe);
  Probe *other;
  int fired;
};

static GString *trace;

static void probe_fire(void *data)
{
  Probe *probe = data;
  probe->fired++;
  g_string_append_printf(trace, "%d ", probe->id);
  if (probe->then != NULL)
    probe->then(probe);
}

static Probe *probes_new(int count)
{
  Probe *probes = g_new0(Probe, (gsize)count);
  trace = g_string_new(NULL);
  for (int i = 0; i < count; i++) {
    probes[i].id = i;
    probes[i].timer = mal_timer_new(rt, probe_fire, &probes[i]);
  }
  return probes;
}

static void probes_free(Probe *probes, int count)
{
  for (int i = 0; i < count; i++)
    mal_timer_free(probes[i].timer);
  g_free(probes);
  g_string_free(trace, TRUE);
}

Test(runtime_glib_timers, timers_fire_by_deadline_and_then_by_arming)
{
  static const int offsets[] = { 3000, 1000, 2000, 1000, 0, 1000 };
  Probe *p = probes_new(6);
  int64_t base = mal_runtime_monotonic(rt) + 1000;
  for (int i = 0; i < 6; i++)
    mal_timer_set(p[i].timer, base + offsets[i]);
  RUN_UNTIL(rt, p[0].fired);
  cr_expect_geq(mal_runtime_monotonic(rt), base + 3000, "never early");
  cr_expect_str_eq(trace->str, "4 1 3 5 2 0 ");
  probes_free(p, 6);
}

Test(runtime_glib_timers, timer_set_again_moves_and_stop_stops)
{
  Probe *p = probes_new(4);
  int64_t now = mal_runtime_monotonic(rt);
  mal_timer_set(p[0].timer, now + 1000);
  mal_timer_set(p[1].timer, now + 2000);
  mal_timer_set(p[2].timer, now + 3000);
  mal_timer_set(p[3].timer, now + 4000);
  mal_timer_set(p[0].timer, now + 3500);
  mal_timer_set(p[2].timer, now + 500);
  mal_timer_stop(p[1].timer);
  mal_timer_stop(p[1].timer);
  RUN_UNTIL(rt, p[3].fired);
  cr_expect_str_eq(trace->str, "2 0 3 ");
  mal_timer_set(p[1].timer, INT64_MAX);
  mal_timer_set(p[0].timer, INT64_MIN);
  RUN_UNTIL(rt, p[0].fired == 2);
  cr_expect_eq(p[1].fired, 0);
  probes_free(p, 4);
}

static void free_self(Probe *probe)
{
  g_clear_pointer(&probe->timer, mal_timer_free);
}

static void free_other(Probe *probe)
{
  g_clear_pointer(&probe->other->timer, mal_timer_free);
}

static void set_in_the_past(Probe *probe)
{
  mal_timer_set(probe->timer, 0);
}

Test(runtime_glib_timers, timers_freed_from_callbacks)
{
  Probe *p = probes_new(4);
  int64_t now = mal_runtime_monotonic(rt);
  p[0].then = free_self;
  p[1].then = free_other;
  p[1].other = &p[2];
  for (int i = 0; i < 4; i++)
    mal_timer_set(p[i].timer, now);
  RUN_UNTIL(rt, p[3].fired);
  cr_expect_str_eq(trace->str, "0 1 3 ", "one that another freed in the same turn does not fire");
  probes_free(p, 4);
}

Test(runtime_glib_timers, timer_rearmed_in_the_past_starves_nobody)
{
  Probe *p = probes_new(3);
  int64_t now = mal_runtime_monotonic(rt);
  p[0].then = set_in_the_past;
  mal_timer_set(p[0].timer, now - 10);
  mal_timer_set(p[1].timer, now - 5);
  mal_timer_set(p[2].timer, now + 20000);
  g_main_context_iteration(NULL, TRUE);
  cr_expect_str_eq(trace->str, "0 1 ", "once a turn");
  RUN_UNTIL(rt, p[2].fired);
  cr_expect_gt(p[0].fired, 2);
  probes_free(p, 3);
}

static int64_t last_deadline;
static int heap_fired;
typedef struct {
  MalTimer *timer;
  int64_t deadline;   /* INT64_MAX: stopped */
} Heaped;

static void heap_fire(void *data)
{
  Heaped *h = data;
  cr_assert_geq(h->deadline, last_deadline);
  cr_assert_neq(h->deadline, INT64_MAX, "a stopped timer fired");
  last_deadline = h->deadline;
  heap_fired++;
}

Test(runtime_glib_timers, thousands_of_timers_set_moved_and_stopped_fire_in_order)
{
  enum { N = 3000 };
  Heaped *h = g_new0(Heaped, N);
  int expected = 0;
  int64_t now = mal_runtime_monotonic(rt);
  GRand *rand = g_rand_new_with_seed(20);
  last_deadline = 0;
  for (int i = 0; i < N; i++) {
    h[i].timer = mal_timer_new(rt, heap_fire, &h[i]);
    h[i].deadline = INT64_MAX;
  }
  for (int i = 0; i < 5 * N; i++) {
    Heaped *one = &h[g_rand_int_range(rand, 0, N)];
    if (g_rand_int_range(rand, 0, 4) == 0) {
      mal_timer_stop(one->timer);
      one->deadline = INT64_MAX;
    } else {
      one->deadline = now - g_rand_int_range(rand, 0, 100000);
      mal_timer_set(one->timer, one->deadline);
    }
  }
  for (int i = 0; i < N; i++)
    expected += h[i].deadline != INT64_MAX;
  RUN_UNTIL(rt, heap_fired == expected);
  for (int i = 0; i < N; i++)
    mal_timer_free(h[i].timer);
  g_free(h);
  g_rand_free(rand);
}

/* ---- deferred calls and clocks --------------------------------------------------------------- */

static void defer_note(void *data)
{
  g_string_append(trace, data);
}

static void defer_nested(void *data)
{
  g_string_append(trace, data);
  mal_runtime_defer(rt, defer_note, "nested ");
}

static void timer_note(void *data)
{
  g_string_append(trace, data);
}

Test(runtime_glib_timers, deferred_calls_run_in_order_after_what_is_ready)
{
  trace = g_string_new(NULL);
  MalTimer *timer = mal_timer_new(rt, timer_note, "timer ");
  mal_runtime_defer(rt, defer_nested, "a ");
  mal_runtime_defer(rt, defer_note, "b ");
  mal_timer_set(timer, 0);
  cr_expect_str_eq(trace->str, "", "never from inside the call");
  g_main_context_iteration(NULL, TRUE);
  cr_expect_str_eq(trace->str, "timer a b ");
  g_main_context_iteration(NULL, TRUE);
  cr_expect_str_eq(trace->str, "timer a b nested ");
  mal_runtime_defer(rt, defer_note, "never, and leaks nothing");
  mal_timer_free(timer);
  g_string_free(trace, TRUE);
}

static int criticals;

static void count_critical(const char *domain, GLogLevelFlags level, const char *message,
                           gpointer data)
{
  (void)domain;
  (void)data;
  criticals += (level & G_LOG_LEVEL_CRITICAL) != 0 && strstr(message, "runs the main loop") != NULL;
}

static void run_the_loop(void *data)
{
  mal_timer_set(data, 0);
  g_main_context_iteration(NULL, FALSE);
  mal_timer_stop(data);
}

Test(runtime_glib_timers, a_callback_that_runs_the_loop_is_told_so)
{
  Probe *p = probes_new(1);
  g_log_set_default_handler(count_critical, NULL);
  mal_runtime_defer(rt, run_the_loop, p[0].timer);
  RUN_UNTIL(rt, criticals > 0);
  g_log_set_default_handler(g_log_default_handler, NULL);
  cr_expect_eq(p[0].fired, 0, "no callback within a callback");
  probes_free(p, 1);
}

Test(runtime_glib_timers, clocks_and_random)
{
  uint8_t a[32] = { 0 }, b[32] = { 0 };
  int64_t before = mal_runtime_monotonic(rt);
  cr_expect_geq(mal_runtime_monotonic(rt), before);
  cr_expect_gt(mal_runtime_now(rt), 1600000000);
  mal_runtime_random(rt, a, sizeof a);
  mal_runtime_random(rt, b, sizeof b);
  cr_expect_neq(memcmp(a, b, sizeof a), 0);
  for (int i = 0; i < 1000; i++)
    cr_assert_lt(mal_runtime_random_below(rt, 7), 7);
}
