/* The store that forgets: batches become durable one turn of the loop after their flush. */
#include "store-private.h"

typedef struct {
  MalStore base;
  MalRuntime *rt;
  MalTimer *timer;
  MalListeners listeners;
  MalTicket gathering;        /* the batch that takes appends now */
  MalTicket told;             /* listeners know of all up to here */
  MalTicket durable;
  MalStoreCounters counters;
  GError *failure;
  bool held;
  bool revived;               /* failing is over, listeners don't know yet */
} MemoryStore;

static MemoryStore *memory(MalStore *store)
{
  return (MemoryStore *)store;
}

static bool waits(const MemoryStore *self)
{
  return self->told < self->gathering;
}

static void tell_all(MemoryStore *self)
{
  MalTicket through = self->gathering;
  while (self->told < through) {
    self->told = self->failure ? self->told + 1 : through;
    self->counters.batches += !self->failure;
    self->counters.failures += self->failure != NULL;
    if (!self->failure)
      self->durable = self->told;
    g_autoptr(GError) error = self->failure ? g_error_copy(self->failure) : NULL;
    mal_listeners_call(&self->listeners, self->told, error);
  }
}

static void turn_over(void *data)
{
  MemoryStore *self = data;
  if (self->held)
    return;
  if (self->revived) {
    self->revived = false;
    mal_listeners_call(&self->listeners, self->durable, NULL);
  }
  tell_all(self);
}

static MalTicket append(MalStore *store)
{
  MemoryStore *self = memory(store);
  if (!waits(self)) {
    self->gathering++;
    mal_timer_set(self->timer, mal_runtime_monotonic(self->rt));
  }
  self->counters.changes++;
  return self->gathering;
}

static bool memory_load(MalStore *store, MalTime not_ended_before, MalStoreLeaseFunc lease,
                        MalStoreRecordFunc record, void *data, GError **error)
{
  (void)store, (void)not_ended_before, (void)lease, (void)record, (void)data, (void)error;
  return true;
}

static MalTicket memory_put_lease(MalStore *store, const MalLease *lease)
{
  (void)lease;
  return append(store);
}

static MalTicket memory_drop_lease(MalStore *store, MalLeaseId id, MalTime at, const char *reason)
{
  (void)id, (void)at, (void)reason;
  return append(store);
}

static MalTicket memory_put_record(MalStore *store, const MalRecord *record)
{
  (void)record;
  return append(store);
}

static MalTicket memory_drop_record(MalStore *store, const char *owner, const char *kind,
                                    const uint8_t *key, size_t key_length)
{
  (void)owner, (void)kind, (void)key, (void)key_length;
  return append(store);
}

static void memory_flush(MalStore *store)
{
  (void)store;  /* the first append of a batch armed the timer */
}

static unsigned memory_listen(MalStore *store, MalStoreFunc func, void *data)
{
  return mal_listeners_add(&memory(store)->listeners, func, data);
}

static void memory_unlisten(MalStore *store, unsigned id)
{
  mal_listeners_remove(&memory(store)->listeners, id);
}

static MalTicket memory_durable(const MalStore *store)
{
  return ((const MemoryStore *)store)->durable;
}

static MalStoreState memory_state(const MalStore *store, const GError **out_error)
{
  const MemoryStore *self = (const MemoryStore *)store;
  if (out_error)
    *out_error = self->failure;
  return self->failure ? MAL_STORE_FAILING : MAL_STORE_OK;
}

static MalStoreCounters memory_counters(const MalStore *store)
{
  return ((const MemoryStore *)store)->counters;
}

typedef struct {
  MalStoreDoneFunc done;
  void *data;
  const char *detail;         /* NULL: refused */
} Answer;

static void answer_now(void *data)
{
  g_autofree Answer *answer = data;
  g_autoptr(GError) error = NULL;
  if (!answer->detail)
    error = g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "the store in memory has no backup");
  answer->done(answer->detail, error, answer->data);
}

static void answer_later(MalStore *store, const char *detail, MalStoreDoneFunc done, void *data)
{
  Answer *answer = g_new(Answer, 1);
  *answer = (Answer){ .done = done, .data = data, .detail = detail };
  mal_runtime_defer(memory(store)->rt, answer_now, answer);
}

static void memory_backup(MalStore *store, const char *path, MalStoreDoneFunc done, void *data)
{
  (void)path;
  answer_later(store, NULL, done, data);
}

static void memory_check(MalStore *store, MalStoreDoneFunc done, void *data)
{
  answer_later(store, "the store is in memory: nothing to check", done, data);
}

static void memory_close(MalStore *store)
{
  MemoryStore *self = memory(store);
  tell_all(self);
  mal_timer_free(self->timer);
  mal_listeners_clear(&self->listeners);
  g_clear_error(&self->failure);
  g_free(self);
}

static const MalStoreOps memory_ops = {
  .load = memory_load,
  .put_lease = memory_put_lease,
  .drop_lease = memory_drop_lease,
  .put_record = memory_put_record,
  .drop_record = memory_drop_record,
  .flush = memory_flush,
  .listen = memory_listen,
  .unlisten = memory_unlisten,
  .durable = memory_durable,
  .state = memory_state,
  .counters = memory_counters,
  .backup = memory_backup,
  .check = memory_check,
  .close = memory_close,
};

MalStore *mal_store_memory_new(MalRuntime *rt)
{
  MemoryStore *self = g_new0(MemoryStore, 1);
  self->base.ops = &memory_ops;
  self->rt = rt;
  self->timer = mal_timer_new(rt, turn_over, self);
  mal_listeners_init(&self->listeners);
  return &self->base;
}

void mal_store_memory_fail(MalStore *store, const char *message)
{
  MemoryStore *self = memory(store);
  bool failed = self->failure != NULL;
  g_clear_error(&self->failure);
  if (message) {
    self->failure = g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, message);
    self->revived = false;
  } else if (failed) {
    self->revived = true;
    mal_timer_set(self->timer, mal_runtime_monotonic(self->rt));
  }
}

void mal_store_memory_hold(MalStore *store, bool hold)
{
  MemoryStore *self = memory(store);
  self->held = hold;
  if (!hold)
    mal_timer_set(self->timer, mal_runtime_monotonic(self->rt));
}
