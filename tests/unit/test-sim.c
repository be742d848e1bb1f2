#define _GNU_SOURCE
/* The simulated runtime: its loop, clocks, timers, workers, disks, crashes, and that one seed gives
   one run. */
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SECOND MAL_US

typedef struct {
  MalRuntime *rt;
  MalTimer *timer;
  GString *log;
  char mark;
  int left;
} Mark;

static void write_mark(void *data)
{
  Mark *mark = data;
  g_string_append_c(mark->log, mark->mark);
}

static MalSim *sim_with_node(uint64_t seed, MalSimNode **node)
{
  MalSim *sim = mal_sim_new(seed);
  *node = mal_sim_node_new(sim, "a");
  return sim;
}

static void set_in(MalTimer *timer, int64_t microseconds)
{
  mal_timer_set(timer, mal_runtime_monotonic(timer->rt) + microseconds);
}

/* ---- timers ---------------------------------------------------------------------------------- */

Test(sim_timer, by_deadline_then_by_order_of_setting)
{
  static const struct {
    char mark;
    int64_t after;
  } timers[] = {
    { 'd', 30 }, { 'a', 10 }, { 'b', 20 }, { 'c', 20 }, { '0', -5 }, { 'e', 40 * SECOND },
  };
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(1, &node);
  MalRuntime *rt = mal_sim_node_runtime(node);
  GString *log = g_string_new(NULL);
  Mark marks[G_N_ELEMENTS(timers)];
  for (size_t i = 0; i < G_N_ELEMENTS(timers); i++) {
    marks[i] = (Mark){ rt, NULL, log, timers[i].mark, 0 };
    set_in(mal_timer_new(rt, write_mark, &marks[i]), timers[i].after);
  }
  cr_expect(mal_sim_run_until(sim, 30));
  cr_expect_str_eq(log->str, "0abcd");
  cr_expect_eq(mal_sim_now(sim), 30);
  cr_expect(mal_sim_run_for(sim, 60 * SECOND));
  cr_expect_str_eq(log->str, "0abcde");
  cr_expect_eq(mal_sim_now(sim), 60 * SECOND + 30);
  g_string_free(log, TRUE);
}

Test(sim_timer, set_again_moves_and_stop_forgets)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(2, &node);
  MalRuntime *rt = mal_sim_node_runtime(node);
  GString *log = g_string_new(NULL);
  Mark a = { rt, NULL, log, 'a', 0 }, b = { rt, NULL, log, 'b', 0 }, c = { rt, NULL, log, 'c', 0 };
  MalTimer *ta = mal_timer_new(rt, write_mark, &a), *tb = mal_timer_new(rt, write_mark, &b);
  MalTimer *tc = mal_timer_new(rt, write_mark, &c);
  set_in(ta, 10);
  set_in(tb, 20);
  set_in(tc, 5);
  set_in(ta, 30); /* later */
  set_in(tb, 7);  /* earlier */
  mal_timer_stop(tc);
  mal_sim_run_until(sim, 100);
  cr_expect_str_eq(log->str, "ba");
  set_in(tc, 10);
  mal_timer_free(tc);
  mal_sim_run_until(sim, 200);
  cr_expect_str_eq(log->str, "ba");
  cr_expect_eq(mal_sim_node_handles(node), 2u);
  g_string_free(log, TRUE);
}

#define TIMERS 200

typedef struct {
  MalSim *sim;
  MalTimer *timer;
  int64_t due;
  int64_t *last;
} Armed;

static void check_due(void *data)
{
  Armed *armed = data;
  cr_assert_eq(mal_sim_now(armed->sim), armed->due);
  cr_assert_geq(armed->due, *armed->last);
  *armed->last = armed->due;
  armed->due = -1;
}

/* However often they are set, moved and stopped: each comes when it was last set for, none else
   does. */
Test(sim_timer, many_set_moved_and_stopped)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(15, &node);
  Armed armed[TIMERS];
  int64_t last = 0;
  for (size_t i = 0; i < TIMERS; i++)
    armed[i] = (Armed){ sim, mal_timer_new(mal_sim_node_runtime(node), check_due, &armed[i]), -1,
                        &last };
  for (int turn = 0; turn < 20000; turn++) {
    Armed *one = &armed[mal_sim_random_between(sim, 0, TIMERS - 1)];
    int64_t after = (int64_t)mal_sim_random_between(sim, 0, 5000);
    if (mal_sim_chance(sim, MAL_SIM_PERCENT(40))) {
      mal_timer_stop(one->timer);
      one->due = -1;
    } else {
      set_in(one->timer, after);
      one->due = mal_sim_now(sim) + after;
    }
    if (turn % 16 == 0)
      mal_sim_run_for(sim, 50);
  }
  mal_sim_run_for(sim, 10000);
  for (size_t i = 0; i < TIMERS; i++)
    cr_expect_eq(armed[i].due, -1);
}

static void again_then_free(void *data)
{
  Mark *mark = data;
  g_string_append_printf(mark->log, "%d", mark->left);
  if (mark->left-- > 0)
    set_in(mark->timer, 10);
  else
    mal_timer_free(mark->timer);
}

Test(sim_timer, may_be_set_and_freed_in_its_own_callback)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(3, &node);
  Mark mark = { mal_sim_node_runtime(node), NULL, g_string_new(NULL), 0, 3 };
  mark.timer = mal_timer_new(mark.rt, again_then_free, &mark);
  set_in(mark.timer, 10);
  mal_sim_run_until(sim, 1000);
  cr_expect_str_eq(mark.log->str, "3210");
  cr_expect_eq(mal_sim_node_handles(node), 0u);
  cr_expect_not(mal_sim_step(sim), "nothing is left");
  g_string_free(mark.log, TRUE);
}

static void defer_another(void *data)
{
  Mark *mark = data;
  g_string_append_c(mark->log, '<');
  mal_runtime_defer(mark->rt, write_mark, mark);
  g_string_append_c(mark->log, '>');
}

Test(sim_timer, deferred_calls_come_after_all_of_the_instant)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(4, &node);
  MalRuntime *rt = mal_sim_node_runtime(node);
  GString *log = g_string_new(NULL);
  Mark d = { rt, NULL, log, 'd', 0 }, t = { rt, NULL, log, 't', 0 };
  set_in(mal_timer_new(rt, defer_another, &d), 10);
  set_in(mal_timer_new(rt, write_mark, &t), 10);
  set_in(mal_timer_new(rt, write_mark, &t), 11);
  mal_sim_run_until(sim, 100);
  cr_expect_str_eq(log->str, "<>tdt");
  g_string_free(log, TRUE);
}

static void spin(void *data)
{
  set_in(((Mark *)data)->timer, 0);
}

Test(sim_timer, a_loop_without_time_fails)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(5, &node);
  Mark mark = { .rt = mal_sim_node_runtime(node) };
  mark.timer = mal_timer_new(mark.rt, spin, &mark);
  mal_sim_set_quiet(sim, true);
  mal_sim_set_instant_limit(sim, 1000);
  set_in(mark.timer, 10);
  cr_expect_not(mal_sim_run_until(sim, 100));
  cr_assert_not_null(mal_sim_failure(sim));
  cr_expect_eq(mal_sim_now(sim), 10);
}

/* ---- hooks and predicates -------------------------------------------------------------------- */

static void fail_at_three(MalSim *sim, void *data)
{
  if (++*(int *)data == 3)
    mal_sim_fail(sim, "three");
}

Test(sim_run, a_hook_stops_the_run)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(6, &node);
  Mark mark = { mal_sim_node_runtime(node), NULL, g_string_new(NULL), 'x', 0 };
  int calls = 0;
  for (int i = 0; i < 10; i++)
    set_in(mal_timer_new(mark.rt, write_mark, &mark), i);
  mal_sim_set_quiet(sim, true);
  mal_sim_add_hook(sim, 1, fail_at_three, &calls);
  cr_expect_not(mal_sim_run_until(sim, 100));
  cr_expect_str_eq(mark.log->str, "xxx");
  cr_expect_str_eq(mal_sim_failure(sim), "three");
  g_string_free(mark.log, TRUE);
}

static bool shorter_than_two(void *data)
{
  return ((GString *)data)->len < 2;
}

Test(sim_run, while_a_predicate_holds)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(7, &node);
  Mark mark = { mal_sim_node_runtime(node), NULL, g_string_new(NULL), 'x', 0 };
  for (int i = 1; i <= 3; i++)
    set_in(mal_timer_new(mark.rt, write_mark, &mark), i * SECOND);
  cr_expect_not(mal_sim_run_while(sim, shorter_than_two, mark.log, SECOND),
                "the limit comes first");
  cr_expect(mal_sim_run_while(sim, shorter_than_two, mark.log, 60 * SECOND));
  cr_expect_eq(mal_sim_now(sim), 2 * SECOND);
  g_string_free(mark.log, TRUE);
}

Test(sim_run, the_trace_keeps_the_last_records)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(16, &node);
  char *text = NULL;
  size_t length;
  mal_sim_set_trace_size(sim, 8);
  for (int i = 0; i < 20; i++) {
    mal_sim_note(sim, node, "remark %d", i);
    mal_sim_run_for(sim, SECOND);
  }
  FILE *out = open_memstream(&text, &length);
  mal_sim_print_trace(sim, out);
  fclose(out);
  cr_expect_null(strstr(text, "remark 11\n"));
  cr_expect_not_null(strstr(text, "the last 8 of 20 records:\n"
                                  "        12.000000  a            note: remark 12\n"));
  cr_expect_not_null(strstr(text, "remark 19\n"));
  free(text);
}

/* ---- clocks and randomness ------------------------------------------------------------------- */

Test(sim_clock, skew_drift_and_steps_move_wall_time_only)
{
  g_autoptr(MalSim) sim = mal_sim_new(8);
  mal_sim_set_epoch(sim, 1000000);
  MalSimNode *exact = mal_sim_node_new(sim, "exact"), *wrong = mal_sim_node_new(sim, "wrong");
  MalRuntime *e = mal_sim_node_runtime(exact), *w = mal_sim_node_runtime(wrong);
  int64_t mono = mal_runtime_monotonic(w);
  mal_sim_node_set_clock(wrong, -5 * SECOND, 100); /* 100 ppm fast: 1 s in 10,000 */
  cr_expect_eq(mal_runtime_wall(e), 1000000 * SECOND);
  cr_expect_eq(mal_runtime_wall(w), 999995 * SECOND);
  mal_sim_run_for(sim, 10000 * SECOND);
  cr_expect_eq(mal_runtime_now(e), 1010000);
  cr_expect_eq(mal_runtime_wall(w) - mal_runtime_wall(e), -4 * SECOND);
  mal_sim_node_step_clock(wrong, -86400 * SECOND);
  cr_expect_eq(mal_runtime_wall(w) - mal_runtime_wall(e), -86404 * SECOND);
  cr_expect_eq(mal_runtime_monotonic(w) - mono, 10000 * SECOND, "monotonic time never steps");
}

Test(sim_clock, each_boot_has_its_own_random_stream_and_monotonic_zero)
{
  g_autoptr(MalSim) sim = mal_sim_new(9);
  MalSimNode *a = mal_sim_node_new(sim, "a"), *b = mal_sim_node_new(sim, "b");
  uint64_t x[3];
  int64_t mono[3];
  mal_runtime_random(mal_sim_node_runtime(a), &x[0], 8);
  mono[0] = mal_runtime_monotonic(mal_sim_node_runtime(a));
  mal_runtime_random(mal_sim_node_runtime(b), &x[1], 8);
  mono[1] = mal_runtime_monotonic(mal_sim_node_runtime(b));
  mal_runtime_random(mal_sim_node_restart(a), &x[2], 8);
  mono[2] = mal_runtime_monotonic(mal_sim_node_runtime(a));
  for (int i = 0; i < 3; i++) {
    cr_expect_neq(x[i], x[(i + 1) % 3]);
    cr_expect_neq(mono[i], mono[(i + 1) % 3]);
  }
}

/* ---- workers --------------------------------------------------------------------------------- */

typedef struct {
  GString *log;
  MalSim *sim;
  MalSimNode *crash;
  int64_t ran, done;
  char name;
} Job;

static void job_run(void *data)
{
  Job *job = data;
  g_string_append_c(job->log, job->name);
  job->ran = mal_sim_now(job->sim);
  if (job->crash)
    mal_sim_node_crash(job->crash, MAL_SIM_DISK_KEPT);
}

static void job_done(void *data)
{
  Job *job = data;
  g_string_append_c(job->log, (char)g_ascii_toupper(job->name));
  job->done = mal_sim_now(job->sim);
}

Test(sim_worker, runs_later_in_order_and_then_says_so)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(10, &node);
  GString *log = g_string_new(NULL);
  Job a = { log, sim, NULL, 0, 0, 'a' }, b = { log, sim, NULL, 0, 0, 'b' };
  mal_sim_node_set_work_time(node, 1000, 2000);
  MalWorker *worker = mal_worker_new(mal_sim_node_runtime(node), "w");
  mal_worker_submit(worker, job_run, job_done, &a);
  mal_worker_submit(worker, job_run, job_done, &b);
  cr_expect_eq(log->len, 0u, "not from within the call");
  mal_sim_run_for(sim, SECOND);
  cr_expect_str_eq(log->str, "aAbB");
  cr_expect(a.ran >= 1000 && a.ran <= 2000 && a.done > a.ran && b.ran >= a.ran + 1000);
  mal_worker_submit(worker, job_run, job_done, &a);
  mal_worker_submit(worker, NULL, job_done, &b);
  mal_worker_free(worker);
  cr_expect_str_eq(log->str, "aAbBaAB", "freeing waits for all");
  g_string_free(log, TRUE);
}

Test(sim_worker, a_crash_before_run_or_between_run_and_done)
{
  static const struct {
    bool in_run;
    const char *log;
  } rows[] = { { false, "" }, { true, "a" } };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalSimNode *node;
    g_autoptr(MalSim) sim = sim_with_node(11, &node);
    GString *log = g_string_new(NULL);
    Job a = { log, sim, rows[i].in_run ? node : NULL, 0, 0, 'a' };
    MalWorker *worker = mal_worker_new(mal_sim_node_runtime(node), "w");
    mal_worker_submit(worker, job_run, job_done, &a);
    if (!rows[i].in_run)
      mal_sim_node_crash(node, MAL_SIM_DISK_KEPT);
    mal_sim_run_for(sim, SECOND);
    mal_worker_submit(worker, job_run, job_done, &a);
    mal_worker_free(worker);
    mal_sim_run_for(sim, SECOND);
    cr_expect_str_eq(log->str, rows[i].log);
    g_string_free(log, TRUE);
  }
}

/* ---- crashes --------------------------------------------------------------------------------- */

static void never_datagrams(MalUdp *udp, const MalDatagram *d, size_t n, void *data)
{
  (void)udp, (void)d, (void)n;
  cr_expect(data != NULL, "a dead socket's callback");
}

static void never(void *data)
{
  (void)data;
  cr_expect_fail("a dead handle's callback");
}

static void never_accept(MalListener *listener, MalStream *stream, MalEndpoint peer, void *data)
{
  (void)listener, (void)stream, (void)peer, (void)data;
  cr_expect_fail("a dead listener's callback");
}

Test(sim_crash, nothing_calls_back_and_dead_handles_do_nothing)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim = sim_with_node(12, &node);
  g_autoptr(GError) error = NULL;
  MalRuntime *rt = mal_sim_node_runtime(node);
  MalUdpOptions options = { .family = MAL_IPV4, .port = 2535 };
  MalDatagram hello = { .peer = { mal_address_ipv4(0x7f000001), 2535, 0 },
                        .data = (const uint8_t *)"x",
                        .length = 1 };
  MalTimer *timer = mal_timer_new(rt, never, NULL);
  MalUdp *udp = mal_udp_open(rt, &options, never_datagrams, NULL, &error);
  MalInterfaceWatch *watch = mal_interface_watch_new(rt, never, NULL);
  MalListener *listener = mal_listener_open(rt, (MalEndpoint){ mal_address_ipv4(0), 2587, 0 },
                                            never_accept, NULL, NULL);
  set_in(timer, 5);
  mal_runtime_defer(rt, never, NULL);
  mal_udp_send(udp, &hello);
  mal_sim_node_crash(node, MAL_SIM_DISK_KEPT);
  cr_expect_not(mal_sim_node_is_up(node));
  cr_expect_null(mal_sim_node_runtime(node));
  mal_sim_iface_new(node, mal_sim_link_new(sim, "lan"), "eth0");
  mal_sim_run_for(sim, SECOND);

  /* The dead daemon's objects are freed as usual, after the next one began. */
  MalRuntime *second = mal_sim_node_restart(node);
  cr_expect_neq(second, rt);
  set_in(timer, 5);
  mal_udp_send(udp, &hello);
  cr_expect_null(mal_udp_open(rt, &options, never_datagrams, NULL, &error));
  cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_NETWORK));
  mal_timer_free(timer);
  mal_udp_close(udp);
  mal_interface_watch_free(watch);
  mal_listener_close(listener);
  mal_timer_set(mal_timer_new(rt, never, NULL), 0);
  mal_sim_run_for(sim, SECOND);
  mal_sim_node_bury(node);

  MalUdp *fresh = mal_udp_open(second, &options, never_datagrams, sim, NULL);
  cr_expect_not_null(fresh, "the port is free again");
  mal_sim_run_for(sim, SECOND);
  cr_expect_eq(mal_sim_counters(sim).delivered, 0u);
  cr_expect_eq(mal_sim_node_handles(node), 1u);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static char *disk_text(MalSimDisk *disk)
{
  size_t n;
  const uint8_t *data = mal_sim_disk_data(disk, &n);
  return g_strndup((const char *)data, n);
}

Test(sim_disk, what_was_synced_survives_and_the_tail_as_told)
{
  static const struct {
    MalSimTail tail;
    MalSimCrash crash;
    size_t least, most, synced;
  } rows[] = {
    { MAL_SIM_TAIL_LOST, MAL_SIM_DISK_KEPT, 600, 600, 600 },
    { MAL_SIM_TAIL_KEPT, MAL_SIM_DISK_KEPT, 4600, 4600, 600 },
    { MAL_SIM_TAIL_TORN, MAL_SIM_DISK_KEPT, 600, 4599, SIZE_MAX },
    { MAL_SIM_TAIL_HOLED, MAL_SIM_DISK_KEPT, 4600, 4600, 4600 },
    { MAL_SIM_TAIL_KEPT, MAL_SIM_DISK_WIPED, 0, 0, 0 },
  };
  g_autofree uint8_t *record = g_malloc(4000);
  memset(record, 'x', 4000);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalSimNode *node;
    g_autoptr(MalSim) sim G_GNUC_UNUSED = sim_with_node(100 + i, &node);
    MalSimDisk *disk = mal_sim_node_disk(node, "journal");
    size_t n;
    mal_sim_disk_set_tail(disk, rows[i].tail);
    cr_assert(mal_sim_disk_append(disk, record, 600, NULL) && mal_sim_disk_sync(disk, NULL));
    cr_assert(mal_sim_disk_append(disk, record, 4000, NULL));
    mal_sim_node_crash(node, rows[i].crash);
    mal_sim_node_restart(node);
    const uint8_t *data = mal_sim_disk_data(mal_sim_node_disk(node, "journal"), &n);
    cr_expect(n >= rows[i].least && n <= rows[i].most, "row %zu keeps %zu", i, n);
    cr_expect_eq(mal_sim_disk_synced(disk), MIN(n, rows[i].synced), "row %zu", i);
    const uint8_t *hole = memchr(data, 0, n);
    cr_expect_eq(hole != NULL, rows[i].tail == MAL_SIM_TAIL_HOLED, "row %zu", i);
    cr_expect(!hole || hole >= data + 600, "the synced part is whole");
  }
}

/* Over many seeds a torn tail ends at record boundaries and within records. */
Test(sim_disk, torn_tails_tear_records)
{
  size_t within = 0, whole = 0;
  for (uint64_t seed = 0; seed < 400; seed++) {
    MalSimNode *node;
    g_autoptr(MalSim) sim G_GNUC_UNUSED = sim_with_node(seed, &node);
    MalSimDisk *disk = mal_sim_node_disk(node, "journal");
    size_t n;
    for (int i = 0; i < 4; i++)
      mal_sim_disk_append(disk, "0123456789", 10, NULL);
    mal_sim_node_crash(node, MAL_SIM_DISK_KEPT);
    mal_sim_disk_data(disk, &n);
    *(n % 10 ? &within : &whole) += 1;
  }
  cr_expect(within > 50 && whole > 200, "%zu torn, %zu not", within, whole);
}

Test(sim_disk, faults)
{
  static const struct {
    MalSimDiskFault fault;
    bool append, sync, replace;
  } rows[] = {
    { MAL_SIM_DISK_OK, true, true, true },
    { MAL_SIM_DISK_FULL, false, true, false },
    { MAL_SIM_DISK_IO_ERROR, false, false, false },
    { MAL_SIM_DISK_SYNC_ERROR, true, false, false },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    MalSimNode *node;
    g_autoptr(MalSim) sim G_GNUC_UNUSED = sim_with_node(13, &node);
    g_autoptr(GError) error = NULL;
    MalSimDisk *disk = mal_sim_node_disk(node, "journal");
    mal_sim_disk_set_fault(disk, rows[i].fault);
    cr_expect_eq(mal_sim_disk_append(disk, "abc", 3, &error), rows[i].append);
    cr_expect(rows[i].append || g_error_matches(error, MAL_ERROR, MAL_ERROR_STORE));
    cr_expect_eq(mal_sim_disk_sync(disk, NULL), rows[i].sync);
    cr_expect_eq(mal_sim_disk_replace(disk, "new", 3, NULL), rows[i].replace);
    mal_sim_disk_set_fault(disk, MAL_SIM_DISK_OK);
    cr_expect(mal_sim_disk_append(disk, "d", 1, NULL), "recovers");
    g_autofree char *text = disk_text(disk);
    cr_expect_str_eq(text, rows[i].replace ? "newd" : rows[i].append ? "abcd" : "d");
  }
}

Test(sim_disk, capacity_takes_what_fits_and_truncate_makes_room)
{
  MalSimNode *node;
  g_autoptr(MalSim) sim G_GNUC_UNUSED = sim_with_node(14, &node);
  MalSimDisk *disk = mal_sim_node_disk(node, "journal");
  mal_sim_disk_set_capacity(disk, 5);
  cr_expect(mal_sim_disk_append(disk, "abc", 3, NULL));
  cr_expect_not(mal_sim_disk_append(disk, "def", 3, NULL));
  cr_expect(mal_sim_disk_truncate(disk, 3, NULL));
  cr_expect(mal_sim_disk_append(disk, "g", 1, NULL));
  g_autofree char *text = disk_text(disk);
  cr_expect_str_eq(text, "abcg");
}
