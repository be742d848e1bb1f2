/* MAP_ANONYMOUS. */
#define _DEFAULT_SOURCE 1

#include "soak.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHRINK_RUNS 3000
#define JOBS_MOST 64
#define WORLD_MOST 300        /* real seconds that one world may take */
#define PROGRESS_EVERY 10     /* seconds */

/* ---- one world in a process of its own ------------------------------------------------------- */

static MalWorldResult *result_here; /* of the world under way in this process */
static bool quiet_here;

/* What the core finds wrong with itself aborts. */
static void on_log(const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  (void)domain, (void)data;
  if (!quiet_here)
    fprintf(stderr, "%s\n", message);
  if (result_here && (level & G_LOG_FLAG_FATAL || level & G_LOG_LEVEL_CRITICAL))
    g_strlcpy(result_here->failure, message, sizeof result_here->failure);
}

static void *shared_new(size_t size)
{
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    g_error("no memory to share with child processes");
  return memory;
}

static void run_here(const MalWorldPlan *plan, MalWorldResult *result)
{
  memset(result, 0, sizeof *result);
  result_here = result;
  quiet_here = plan->quiet;
  plan->type->run(plan, result);
  result_here = NULL;
}

static void describe_death(int status, MalWorldResult *result)
{
  size_t n = strlen(result->failure);
  if (WIFSIGNALED(status))
    g_snprintf(result->failure + n, sizeof result->failure - n, "%s[signal %d%s]", n ? " " : "",
               WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ": it does not end" : "");
  else if (n == 0)
    g_snprintf(result->failure, sizeof result->failure, "[exit status %d]", WEXITSTATUS(status));
}

bool mal_soak_try(const MalWorldPlan *plan, MalWorldResult *out)
{
  MalWorldResult *result = shared_new(sizeof *result);
  int status = 0;
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    g_log_set_default_handler(on_log, NULL);
    alarm(WORLD_MOST);
    run_here(plan, result);
    _exit(result->failure[0] ? EXIT_FAILURE : EXIT_SUCCESS);
  }
  if (child < 0 || waitpid(child, &status, 0) != child)
    g_error("can't run a child process");
  bool ok = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  if (!ok)
    describe_death(status, result);
  *out = *result;
  munmap(result, sizeof *result);
  return ok;
}

char *mal_soak_command(const MalWorldPlan *plan, bool traced)
{
  GString *text = g_string_new(plan->type->program);
  static const char *const sizes[] = { "small", "medium", "large", "huge" };
  g_autofree char *mask = mal_world_plan_mask(plan);
  g_string_append_printf(text, " %" G_GUINT64_FORMAT " --size %s", plan->seed, sizes[plan->size]);
  if (*mask)
    g_string_append_printf(text, " --without %s", mask);
  g_string_append_printf(text, " --until %.6f", (double)plan->until / 1e6);
  if (plan->plant)
    g_string_append_printf(text, " --plant %u", plan->plant);
  if (traced)
    g_string_append(text, " --trace trace.txt");
  return g_string_free(text, FALSE);
}

/* ---- options --------------------------------------------------------------------------------- */

typedef struct {
  int jobs, plant, size;
  char *size_text, *without, *trace;
  double until;
  gboolean shrink, plan;
  uint64_t first, last;
  bool many;
} Options;

static int size_named(const char *name)
{
  static const char *const sizes[] = { "small", "medium", "large", "huge" };
  for (int i = 0; i < MAL_WORLD_SIZES; i++)
    if (g_strcmp0(name, sizes[i]) == 0)
      return i;
  return MAL_WORLD_ANY_SIZE;
}

static bool read_options(Options *o, int argc, char **argv)
{
  GOptionEntry entries[] = {
    { "jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs, "processes at once (all processors)", "N" },
    { "shrink", 0, 0, G_OPTION_ARG_NONE, &o->shrink, "reduce a failing world", NULL },
    { "plan", 0, 0, G_OPTION_ARG_NONE, &o->plan, "print what is drawn", NULL },
    { "size", 0, 0, G_OPTION_ARG_STRING, &o->size_text, "small, medium, large, huge", "SIZE" },
    { "without", 0, 0, G_OPTION_ARG_STRING, &o->without, "items switched off", "MASK" },
    { "until", 0, 0, G_OPTION_ARG_DOUBLE, &o->until, "end of trouble", "SECONDS" },
    { "trace", 0, 0, G_OPTION_ARG_FILENAME, &o->trace, "write all events", "FILE" },
    { "plant", 0, 0, G_OPTION_ARG_INT, &o->plant, "a bug of the harness' own", "N" },
    { 0 },
  };
  g_autoptr(GOptionContext) context = g_option_context_new("FIRST [LAST]");
  g_autoptr(GError) error = NULL;
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error) || argc < 2 || argc > 3) {
    fprintf(stderr, "%s: %s\n", argv[0], error ? error->message : "expected FIRST [LAST]");
    return false;
  }
  o->first = g_ascii_strtoull(argv[1], NULL, 0);
  o->many = argc > 2;
  o->last = o->many ? g_ascii_strtoull(argv[2], NULL, 0) : o->first;
  o->size = size_named(o->size_text);
  o->jobs = CLAMP(o->jobs ? o->jobs : (int)g_get_num_processors(), 1, JOBS_MOST);
  if (o->trace)
    g_setenv("MAL_SIM_TRACE", o->trace, TRUE);
  return true;
}

static MalWorldPlan *plan_of(const MalWorldType *type, const Options *o, uint64_t seed)
{
  MalWorldPlan *plan = mal_world_plan_new(type, seed, o->size);
  g_autoptr(GError) error = NULL;
  plan->plant = (unsigned)o->plant;
  if (o->until > 0)
    plan->until = (int64_t)(o->until * 1e6 + 0.5);
  if (!o->without || mal_world_plan_set_mask(plan, o->without, &error))
    return plan;
  fprintf(stderr, "--without %s\n", error->message);
  mal_world_plan_free(plan);
  return NULL;
}

/* ---- one world, or its smaller self ---------------------------------------------------------- */

static void say_failure(const MalWorldPlan *plan, const MalWorldResult *result)
{
  g_autofree char *again = mal_soak_command(plan, true);
  fflush(stdout);
  fprintf(stderr, "FAILED: %s\nagain: %s\nsmaller: %s --shrink %" G_GUINT64_FORMAT "\n",
          result->failure, again, plan->type->program, plan->seed);
}

static int run_one(MalWorldPlan *plan)
{
  MalWorldResult result;
  int64_t begun = g_get_monotonic_time();
  fprintf(stderr, "%u items in %.0f s\n", mal_world_plan_live(plan), (double)plan->until / 1e6);
  run_here(plan, &result);
  if (result.failure[0]) {
    say_failure(plan, &result);
    return EXIT_FAILURE;
  }
  mal_world_result_print(plan->type, &result, stdout);
  printf("seed %" G_GUINT64_FORMAT " holds: %" G_GUINT64_FORMAT " events, %.0f virtual s, "
         "in %.3f s, hash %016" G_GINT64_MODIFIER "x\n",
         plan->seed, result.events, (double)result.ended / 1e6,
         (double)(g_get_monotonic_time() - begun) / 1e6, result.hash);
  return EXIT_SUCCESS;
}

static int shrink_one(MalWorldPlan *plan)
{
  MalWorldResult result;
  plan->quiet = true;
  if (mal_soak_try(plan, &result)) {
    printf("seed %" G_GUINT64_FORMAT " holds: nothing to reduce\n", plan->seed);
    return EXIT_SUCCESS;
  }
  guint before = mal_world_plan_live(plan);
  fprintf(stderr, "%s\n", result.failure);
  unsigned taken = mal_soak_shrink(plan, &result, SHRINK_RUNS, stderr);
  g_autofree char *again = mal_soak_command(plan, true);
  printf("from %u to %u items in %u runs: %s\n", before, mal_world_plan_live(plan), taken,
         result.failure);
  mal_world_plan_print(plan, stdout);
  printf("again: %s\n", again);
  return EXIT_FAILURE;
}

/* ---- many worlds ----------------------------------------------------------------------------- */

typedef struct {
  uint64_t seed;              /* under way */
  uint64_t worlds;
  double cpu, longest;        /* seconds */
  uint64_t longest_seed;
  MalWorldResult now, sum;
} Worker;

typedef struct {
  uint64_t next;              /* seed that nobody has yet */
  int stop;
  Worker worker[JOBS_MOST];
} Shared;

static double cpu_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_seed(const MalWorldType *type, const Options *o, Worker *w)
{
  g_autoptr(MalWorldPlan) plan = plan_of(type, o, w->seed);
  double begun = cpu_now();
  plan->quiet = true;
  alarm(WORLD_MOST);
  run_here(plan, &w->now);
  if (w->now.failure[0])
    _exit(EXIT_FAILURE);
  mal_world_result_add(&w->sum, &w->now);
  w->worlds++;
  double took = cpu_now() - begun;
  w->cpu += took;
  if (took <= w->longest)
    return;
  w->longest = took;
  w->longest_seed = w->seed;
}

static void work(const MalWorldType *type, const Options *o, Shared *shared, Worker *w)
{
  g_log_set_default_handler(on_log, NULL);
  while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
    w->seed = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
    if (w->seed > o->last)
      break;
    run_seed(type, o, w);
  }
  exit(EXIT_SUCCESS);
}

static Worker total(const Shared *shared, int jobs)
{
  Worker all = { 0 };
  for (int i = 0; i < jobs; i++) {
    const Worker *w = &shared->worker[i];
    mal_world_result_add(&all.sum, &w->sum);
    all.worlds += w->worlds;
    all.cpu += w->cpu;
    if (w->longest > all.longest) {
      all.longest = w->longest;
      all.longest_seed = w->longest_seed;
    }
  }
  return all;
}

static void say_progress(const Shared *shared, const Options *o, int64_t begun)
{
  Worker all = total(shared, o->jobs);
  double took = (double)(g_get_monotonic_time() - begun) / 1e6;
  fprintf(stderr, "%8.0f s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                  " worlds, %.1f/s, %.0f events/s, %.1f ms CPU each\n",
          took, all.worlds, o->last - o->first + 1, (double)all.worlds / took,
          (double)all.sum.events / took, all.worlds ? all.cpu * 1e3 / (double)all.worlds : 0);
}

static void report(const MalWorldType *type, const Shared *shared, const Options *o, int64_t begun)
{
  Worker all = total(shared, o->jobs);
  say_progress(shared, o, begun);
  mal_world_result_print(type, &all.sum, stdout);
  double took = (double)(g_get_monotonic_time() - begun) / 1e6;
  printf("%" G_GUINT64_FORMAT " worlds, %" G_GUINT64_FORMAT " events, %.0f virtual hours in %.1f s:"
         " %.1f worlds/s, %.0f events/s; %.1f ms CPU a world, %.0f events per CPU second;"
         " longest: seed %" G_GUINT64_FORMAT ", %.2f s\n",
         all.worlds, all.sum.events, (double)all.sum.ended / 3.6e9, took,
         (double)all.worlds / took, (double)all.sum.events / took,
         all.cpu * 1e3 / (double)MAX(all.worlds, 1), (double)all.sum.events / MAX(all.cpu, 1e-9),
         all.longest_seed, all.longest);
}

/* The worker of CHILD, or -1. */
static int number_of(const pid_t *children, int jobs, pid_t child)
{
  for (int i = 0; i < jobs; i++)
    if (children[i] == child)
      return i;
  return -1;
}

/* Waits for all; the number of the first worker that failed, or -1. */
static int wait_for_all(Shared *shared, const Options *o, pid_t *children, int64_t begun)
{
  int failed = -1, status;
  int64_t said = begun;
  for (int running = o->jobs; running > 0;) {
    pid_t child = waitpid(-1, &status, WNOHANG);
    int n = number_of(children, o->jobs, child);
    if (child > 0 && n >= 0) {
      running--;
      if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
        continue;
      __atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
      if (failed < 0)
        describe_death(status, &shared->worker[failed = n].now);
      continue;
    }
    g_usleep(20000);
    if (g_get_monotonic_time() - said < PROGRESS_EVERY * G_USEC_PER_SEC)
      continue;
    said = g_get_monotonic_time();
    say_progress(shared, o, begun);
  }
  return failed;
}

static int run_many(const MalWorldType *type, const Options *o)
{
  Shared *shared = shared_new(sizeof *shared);
  pid_t children[JOBS_MOST];
  int64_t begun = g_get_monotonic_time();
  shared->next = o->first;
  fflush(NULL);
  for (int i = 0; i < o->jobs; i++) {
    children[i] = fork();
    if (children[i] < 0)
      g_error("can't run a child process");
    if (children[i] == 0)
      work(type, o, shared, &shared->worker[i]);
  }
  int failed = wait_for_all(shared, o, children, begun);
  report(type, shared, o, begun);
  if (failed >= 0) {
    const Worker *w = &shared->worker[failed];
    g_autoptr(MalWorldPlan) plan = plan_of(type, o, w->seed);
    say_failure(plan, &w->now);
  }
  munmap(shared, sizeof *shared);
  return failed >= 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int mal_soak_main(const MalWorldType *type, int argc, char **argv)
{
  Options o = { 0 };
  if (!read_options(&o, argc, argv))
    return 2;
  if (o.many)
    return run_many(type, &o);
  g_autoptr(MalWorldPlan) plan = plan_of(type, &o, o.first);
  if (!plan)
    return 2;
  g_log_set_default_handler(on_log, NULL);
  if (o.plan) {
    mal_world_plan_print(plan, stdout);
    return EXIT_SUCCESS;
  }
  return o.shrink ? shrink_one(plan) : run_one(plan);
}
