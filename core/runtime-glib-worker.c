/* A thread for work that blocks. Jobs run in order; the finished ones gather in a list, and the
   first of them wakes the loop, so that however many end before the loop comes round cost one
   wake-up. */
#include "runtime-glib-private.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct Job Job;
struct Job {
  Job *next;
  MalJobFunc run, done;
  void *data;
};

typedef struct {
  Job *first;
  Job **end;                /* where the next one is hung */
} Jobs;

typedef struct {
  MalWorker base;
  GSource *source;
  void *tag;
  int wake;
  GThread *thread;
  Jobs delivering;          /* the loop's own: done, but DONE was not called yet */
  GMutex lock;              /* for all below */
  GCond submitted, idle;
  Jobs waiting, finished;
  bool running, stop;
} Worker;

typedef struct {
  GSource source;
  Worker worker;
} WorkerSource;

/* ---- lists ----------------------------------------------------------------------------------- */

static void jobs_init(Jobs *jobs)
{
  jobs->first = NULL;
  jobs->end = &jobs->first;
}

static void jobs_append(Jobs *jobs, Job *job)
{
  job->next = NULL;
  *jobs->end = job;
  jobs->end = &job->next;
}

static Job *jobs_pop(Jobs *jobs)
{
  Job *job = jobs->first;

  if (job != NULL && (jobs->first = job->next) == NULL)
    jobs->end = &jobs->first;
  return job;
}

/* Moves all of FROM behind what TO has. */
static void jobs_move(Jobs *to, Jobs *from)
{
  if (from->first == NULL)
    return;
  *to->end = from->first;
  to->end = from->end;
  jobs_init(from);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void wake_loop(const Worker *worker)
{
  const uint64_t one = 1;

  while (write(worker->wake, &one, sizeof one) < 0 && errno == EINTR)
    ;
}

static void *worker_thread(void *user)
{
  Worker *worker = user;

  g_mutex_lock(&worker->lock);
  for (;;) {
    Job *job = jobs_pop(&worker->waiting);
    if (job == NULL) {
      g_cond_signal(&worker->idle);
      if (worker->stop)
        break;
      g_cond_wait(&worker->submitted, &worker->lock);
      continue;
    }
    worker->running = true;
    g_mutex_unlock(&worker->lock);
    if (job->run != NULL)
      job->run(job->data);
    g_mutex_lock(&worker->lock);
    worker->running = false;
    bool first = worker->finished.first == NULL;
    jobs_append(&worker->finished, job);
    if (!first)
      continue;
    g_mutex_unlock(&worker->lock);
    wake_loop(worker);
    g_mutex_lock(&worker->lock);
  }
  g_mutex_unlock(&worker->lock);
  return NULL;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

/* A DONE may submit, or free the worker; what is left then is delivered from within that. */
static void deliver(Worker *worker)
{
  Job *job;

  while ((job = jobs_pop(&worker->delivering)) != NULL) {
    if (job->done != NULL)
      job->done(job->data);
    g_free(job);
  }
}

static void collect(Worker *worker)
{
  g_mutex_lock(&worker->lock);
  jobs_move(&worker->delivering, &worker->finished);
  g_mutex_unlock(&worker->lock);
}

static gboolean worker_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
  Worker *worker = &((WorkerSource *)source)->worker;
  Rtg *rtg = (Rtg *)worker->base.rt;
  uint64_t count;

  (void)callback;
  (void)user_data;
  if (!rtg_dispatch(rtg))
    return G_SOURCE_CONTINUE;
  if (read(worker->wake, &count, sizeof count) < 0 && !rtg_transient(errno))
    g_warning("a worker's wake-up can't be read: %s", g_strerror(errno));
  collect(worker);
  deliver(worker);
  rtg_leave(rtg);
  return G_SOURCE_CONTINUE;
}

static void worker_finalize(GSource *source)
{
  Worker *worker = &((WorkerSource *)source)->worker;

  g_mutex_clear(&worker->lock);
  g_cond_clear(&worker->submitted);
  g_cond_clear(&worker->idle);
}

static GSourceFuncs worker_funcs = { .dispatch = worker_dispatch, .finalize = worker_finalize };

MalWorker *rtg_worker_new(MalRuntime *rt, const char *name)
{
  Rtg *rtg = (Rtg *)rt;
  int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

  if (wake < 0)
    g_error("no eventfd for a worker: %s", g_strerror(errno));
  GSource *source = rtg_source_new(rtg, &worker_funcs, sizeof(WorkerSource), "mallocd worker");
  Worker *worker = &((WorkerSource *)source)->worker;
  worker->base.rt = rt;
  worker->source = source;
  worker->wake = wake;
  worker->tag = g_source_add_unix_fd(source, wake, G_IO_IN);
  jobs_init(&worker->delivering);
  jobs_init(&worker->waiting);
  jobs_init(&worker->finished);
  g_mutex_init(&worker->lock);
  g_cond_init(&worker->submitted);
  g_cond_init(&worker->idle);
  worker->thread = g_thread_new(name, worker_thread, worker);
  rtg->handles++;
  return &worker->base;
}

void rtg_worker_submit(MalWorker *handle, MalJobFunc run, MalJobFunc done, void *data)
{
  Worker *worker = (Worker *)handle;
  Job *job = g_new(Job, 1);

  *job = (Job){ .run = run, .done = done, .data = data };
  g_mutex_lock(&worker->lock);
  jobs_append(&worker->waiting, job);
  g_mutex_unlock(&worker->lock);
  /* Not before: it could wake on this processor only to wait for the lock. */
  g_cond_signal(&worker->submitted);
}

/* Waits until the thread has nothing to do; whether jobs finished meanwhile. */
static bool settle(Worker *worker)
{
  g_mutex_lock(&worker->lock);
  while (worker->waiting.first != NULL || worker->running)
    g_cond_wait(&worker->idle, &worker->lock);
  jobs_move(&worker->delivering, &worker->finished);
  g_mutex_unlock(&worker->lock);
  return worker->delivering.first != NULL;
}

void rtg_worker_free(MalWorker *handle)
{
  Worker *worker = (Worker *)handle;
  Rtg *rtg = (Rtg *)handle->rt;

  rtg_enter(rtg);
  /* The last DONE calls may submit once more. */
  while (settle(worker))
    deliver(worker);
  g_mutex_lock(&worker->lock);
  worker->stop = true;
  g_cond_signal(&worker->submitted);
  g_mutex_unlock(&worker->lock);
  g_thread_join(worker->thread);
  rtg_leave(rtg);
  rtg->handles--;
  g_source_destroy(worker->source);
  close(worker->wake);
  g_source_unref(worker->source);
}
