#include "store-private.h"

/* ---- dispatch -------------------------------------------------------------------------------- */

MalTicket mal_store_put_lease(MalStore *store, const MalLease *lease)
{
  return store->ops->put_lease(store, lease);
}

MalTicket mal_store_drop_lease(MalStore *store, MalLeaseId id, MalTime at, const char *reason)
{
  return store->ops->drop_lease(store, id, at, reason);
}

MalTicket mal_store_put_record(MalStore *store, const MalRecord *record)
{
  MalRecords *records = mal_records_of(store);
  MalTicket ticket = store->ops->put_record(store, record);
  mal_records_change(records, ticket, record, false);
  return ticket;
}

MalTicket mal_store_drop_record(MalStore *store, const char *owner, const char *kind,
                                const uint8_t *key, size_t key_length)
{
  MalRecords *records = mal_records_of(store);
  MalTicket ticket = store->ops->drop_record(store, owner, kind, key, key_length);
  MalRecord record = { .owner = owner, .kind = kind, .key = key, .key_length = key_length };
  mal_records_change(records, ticket, &record, true);
  return ticket;
}

void mal_store_flush(MalStore *store)
{
  store->ops->flush(store);
}

unsigned mal_store_listen(MalStore *store, MalStoreFunc func, void *data)
{
  mal_records_of(store);      /* before all others, who may ask for records when they hear */
  return store->ops->listen(store, func, data);
}

void mal_store_unlisten(MalStore *store, unsigned id)
{
  store->ops->unlisten(store, id);
}

MalTicket mal_store_durable(const MalStore *store)
{
  return store->ops->durable(store);
}

MalStoreState mal_store_state(const MalStore *store, const GError **out_error)
{
  return store->ops->state(store, out_error);
}

MalStoreCounters mal_store_counters(const MalStore *store)
{
  return store->ops->counters(store);
}

void mal_store_backup(MalStore *store, const char *path, MalStoreDoneFunc done, void *data)
{
  store->ops->backup(store, path, done, data);
}

void mal_store_check(MalStore *store, MalStoreDoneFunc done, void *data)
{
  store->ops->check(store, done, data);
}

void mal_store_close(MalStore *store)
{
  if (!store)
    return;
  MalRecords *records = store->records;
  store->ops->close(store);
  mal_records_free(records);
}

/* ---- listeners ------------------------------------------------------------------------------- */

typedef struct {
  unsigned id;
  MalStoreFunc func;          /* NULL: removed during a call, taken out after it */
  void *data;
} Listener;

void mal_listeners_init(MalListeners *listeners)
{
  *listeners = (MalListeners){ .entries = g_array_new(FALSE, FALSE, sizeof(Listener)) };
}

void mal_listeners_clear(MalListeners *listeners)
{
  g_clear_pointer(&listeners->entries, g_array_unref);
}

unsigned mal_listeners_add(MalListeners *listeners, MalStoreFunc func, void *data)
{
  Listener entry = { .id = ++listeners->last_id, .func = func, .data = data };
  g_array_append_val(listeners->entries, entry);
  return entry.id;
}

static void sweep(MalListeners *listeners)
{
  for (guint i = listeners->entries->len; i-- > 0;) {
    if (!g_array_index(listeners->entries, Listener, i).func)
      g_array_remove_index(listeners->entries, i);
  }
}

void mal_listeners_remove(MalListeners *listeners, unsigned id)
{
  for (guint i = 0; i < listeners->entries->len; i++) {
    Listener *entry = &g_array_index(listeners->entries, Listener, i);
    if (entry->id == id)
      entry->func = NULL;
  }
  if (!listeners->calling)
    sweep(listeners);
}

void mal_listeners_call(MalListeners *listeners, MalTicket through, const GError *error)
{
  /* Who registers during the call hears of the next ticket. */
  guint count = listeners->entries->len;
  listeners->calling++;
  for (guint i = 0; i < count; i++) {
    Listener entry = g_array_index(listeners->entries, Listener, i);
    if (entry.func)
      entry.func(through, error, entry.data);
  }
  if (--listeners->calling == 0)
    sweep(listeners);
}
