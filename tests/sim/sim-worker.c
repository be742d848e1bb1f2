/* Workers: jobs of one worker run in order, each at a later instant; its completion follows a
   moment after. */
#include "sim-internal.h"

#define DONE_MAX 50 /* microseconds from the job's end until the loop hears of it */

typedef struct {
  MalJobFunc run, done;
  void *data;
  bool ran;
} Job;

typedef struct {
  MalWorker base;
  MalSimHandle handle;
  MalSimEvent event; /* the next step of the first job */
  GQueue jobs;       /* Job: submitted, not yet done; those that ran come first */
  MalSimEvent done_event;
} SimWorker;

static MalSimNode *node_of(const SimWorker *worker)
{
  return mal_sim_runtime(worker->base.rt)->node;
}

static void run(Job *job)
{
  job->ran = true;
  if (job->run)
    job->run(job->data);
}

static Job *first_to_run(SimWorker *worker)
{
  for (GList *at = worker->jobs.head; at; at = at->next)
    if (!((Job *)at->data)->ran)
      return at->data;
  return NULL;
}

static void schedule_run(SimWorker *worker)
{
  MalSimNode *node = node_of(worker);
  if (worker->event.slot || !first_to_run(worker))
    return;
  int64_t time = (int64_t)mal_sim_random_range(&node->sim->network, (uint64_t)node->work_min,
                                               (uint64_t)node->work_max);
  mal_sim_queue(node->sim, &worker->event, node->sim->now + time);
}

static void schedule_done(SimWorker *worker)
{
  MalSim *sim = node_of(worker)->sim;
  Job *job = g_queue_peek_head(&worker->jobs);
  if (worker->done_event.slot || !job || !job->ran)
    return;
  mal_sim_queue(sim, &worker->done_event,
                sim->now + (int64_t)mal_sim_random_range(&sim->network, 1, DONE_MAX));
}

/* RUN may crash the host (that is how a test breaks a write in the middle): the worker stays
   readable then. */
static void fire_run(MalSim *sim, MalSimEvent *event)
{
  SimWorker *worker = MAL_SIM_CONTAINER(event, SimWorker, event);
  Job *job = first_to_run(worker);
  mal_sim_trace(sim, MAL_SIM_TRACE_RUN, node_of(worker), 0, 0);
  run(job);
  if (mal_sim_runtime(worker->base.rt)->dead)
    return;
  schedule_done(worker);
  schedule_run(worker);
}

/* DONE may free the worker: all else is settled before. */
static void fire_done(MalSim *sim, MalSimEvent *event)
{
  SimWorker *worker = MAL_SIM_CONTAINER(event, SimWorker, done_event);
  Job *job = g_queue_pop_head(&worker->jobs), done = *job;
  g_free(job);
  schedule_done(worker);
  mal_sim_trace(sim, MAL_SIM_TRACE_DONE, node_of(worker), 0, 0);
  if (done.done)
    done.done(done.data);
}

static void worker_die(MalSimHandle *handle)
{
  SimWorker *worker = MAL_SIM_CONTAINER(handle, SimWorker, handle);
  mal_sim_unqueue(node_of(worker)->sim, &worker->event);
  mal_sim_unqueue(node_of(worker)->sim, &worker->done_event);
}

static void worker_reclaim(MalSimHandle *handle)
{
  SimWorker *worker = MAL_SIM_CONTAINER(handle, SimWorker, handle);
  g_queue_clear_full(&worker->jobs, g_free);
  g_free(worker);
}

MalWorker *mal_sim_worker_new(MalRuntime *rt, const char *name)
{
  SimWorker *worker = g_new0(SimWorker, 1);
  (void)name;
  worker->base.rt = rt;
  worker->event.fire = fire_run;
  worker->done_event.fire = fire_done;
  g_queue_init(&worker->jobs);
  mal_sim_handle_add(mal_sim_runtime(rt), &worker->handle, worker_die, worker_reclaim);
  return &worker->base;
}

void mal_sim_worker_submit(MalWorker *base, MalJobFunc work, MalJobFunc done, void *data)
{
  SimWorker *worker = (SimWorker *)base;
  if (mal_sim_runtime(base->rt)->dead)
    return;
  Job *job = g_new(Job, 1);
  *job = (Job){ work, done, data, false };
  g_queue_push_tail(&worker->jobs, job);
  schedule_run(worker);
}

/* As in production: what was submitted runs first, then the completions come, and what these submit
   too. */
void mal_sim_worker_free(MalWorker *base)
{
  SimWorker *worker = (SimWorker *)base;
  MalSimRuntime *rt = mal_sim_runtime(base->rt);
  MalSim *sim = rt->node->sim;
  if (rt->dead)
    return;
  for (Job *job; !rt->dead && (job = first_to_run(worker));) {
    mal_sim_trace(sim, MAL_SIM_TRACE_RUN, rt->node, 1, 0);
    run(job);
  }
  for (Job *job; !rt->dead && (job = g_queue_pop_head(&worker->jobs));) {
    if (!job->ran)
      run(job);
    Job done = *job;
    g_free(job);
    mal_sim_trace(sim, MAL_SIM_TRACE_DONE, rt->node, 1, 0);
    if (done.done && !rt->dead)
      done.done(done.data);
  }
  if (rt->dead)
    return;
  worker_die(&worker->handle);
  mal_sim_handle_remove(rt, &worker->handle);
  worker_reclaim(&worker->handle);
}
