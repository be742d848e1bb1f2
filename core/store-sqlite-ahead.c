#include "store-sqlite.h"

#include <string.h>

/* Leases on their way from the thread that reads and checks the journal to the one that enters
   them, a batch at a time: each of the two takes about as long as the other. */

enum { BATCH = 512, ROOM = 64 * 1024, BATCHES = 8 };

typedef struct {
  MalLease leases[BATCH];     /* what they point to is in ROOM, or among LARGE */
  unsigned n;
  bool last;
  GPtrArray *large;
  size_t used;
  _Alignas(16) uint8_t room[ROOM];
} Batch;

typedef struct {
  MalAheadFunc read;
  void *data;
  GAsyncQueue *empty, *full;
  Batch *filling;             /* the reader's */
  int stop;                   /* atomic: nobody wants more */
  bool ok;                    /* the reader's until it is joined, like ERROR */
  GError *error;
} Ahead;

static Batch *batch_new(void)
{
  Batch *b = g_new(Batch, 1);
  b->n = 0;
  b->used = 0;
  b->last = false;
  b->large = g_ptr_array_new_with_free_func(g_free);
  return b;
}

static void batch_free(void *data)
{
  Batch *b = data;
  g_ptr_array_unref(b->large);
  g_free(b);
}

static void batch_clear(Batch *b)
{
  b->n = 0;
  b->used = 0;
  g_ptr_array_set_size(b->large, 0);
}

static const void *keep(Batch *b, const void *octets, size_t length)
{
  size_t at = (b->used + 15) & ~(size_t)15;
  if (at > ROOM || length > ROOM - at) {
    void *large = g_memdup2(octets, length);
    g_ptr_array_add(b->large, large);
    return large;
  }
  memcpy(b->room + at, octets, length);
  b->used = at + length;
  return b->room + at;
}

static void hand_over(Ahead *ahead, bool last)
{
  ahead->filling->last = last;
  g_async_queue_push(ahead->full, ahead->filling);
  ahead->filling = last ? NULL : g_async_queue_pop(ahead->empty);
}

static bool put(const MalLease *lease, void *data, GError **error)
{
  (void)error;
  Ahead *ahead = data;
  if (g_atomic_int_get(&ahead->stop))
    return false;
  if (ahead->filling->n == BATCH)
    hand_over(ahead, false);
  Batch *b = ahead->filling;
  MalLease *copy = &b->leases[b->n++];
  *copy = *lease;
  copy->id.bytes = keep(b, lease->id.bytes, lease->id.length);
  copy->scope = keep(b, lease->scope, strlen(lease->scope) + 1);
  copy->blocks = keep(b, lease->blocks, lease->n_blocks * sizeof *lease->blocks);
  copy->origin = keep(b, lease->origin, strlen(lease->origin) + 1);
  return true;
}

static void *reader(void *data)
{
  Ahead *ahead = data;
  ahead->filling = g_async_queue_pop(ahead->empty);
  ahead->ok = ahead->read(put, ahead, ahead->data, &ahead->error);
  hand_over(ahead, true);
  return NULL;
}

/* After a refusal the rest is only cleared away, so that the reader comes to its end. */
static bool enter(Ahead *ahead, MalStoreLeaseFunc func, void *data, GError **error)
{
  bool ok = true;
  for (bool last = false; !last;) {
    Batch *b = g_async_queue_pop(ahead->full);
    last = b->last;
    for (unsigned i = 0; ok && i < b->n; i++)
      ok = func(&b->leases[i], data, error);
    if (!ok)
      g_atomic_int_set(&ahead->stop, 1);
    batch_clear(b);
    g_async_queue_push(ahead->empty, b);
  }
  return ok;
}

bool mal_sqlite_read_ahead(MalAheadFunc read, void *read_data, MalStoreLeaseFunc func, void *data,
                           GError **error)
{
  Ahead ahead = { .read = read, .data = read_data };
  ahead.empty = g_async_queue_new_full(batch_free);
  ahead.full = g_async_queue_new_full(batch_free);
  for (unsigned i = 0; i < BATCHES; i++)
    g_async_queue_push(ahead.empty, batch_new());
  GThread *thread = g_thread_new("load", reader, &ahead);
  bool ok = enter(&ahead, func, data, error);
  g_thread_join(thread);
  if (ok && !ahead.ok)
    g_propagate_error(error, g_steal_pointer(&ahead.error));
  g_clear_error(&ahead.error);
  g_async_queue_unref(ahead.empty);
  g_async_queue_unref(ahead.full);
  return ok && ahead.ok;
}
