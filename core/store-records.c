/* Records as they are now, whatever the backend is doing: those that are durable, and over them the
   changes on their way. A plugin that is restarted long after the load reads its records from
   here. */
#include "store-private.h"

#include <string.h>

typedef struct {
  MalTicket ticket;           /* of the change, while it is on its way */
  char *owner, *kind;
  GBytes *key, *value;        /* value NULL: dropped */
} Entry;

struct MalRecords {
  GQueue durable;             /* Entry; the oldest change first */
  GHashTable *places;         /* Entry -> its link in DURABLE */
  GQueue pending;             /* Entry, by ticket */
  bool loaded;
};

static void entry_clear(void *data)
{
  Entry *e = data;
  g_free(e->owner);
  g_free(e->kind);
  g_bytes_unref(e->key);
  g_clear_pointer(&e->value, g_bytes_unref);
}

static void entry_unref(void *data)
{
  g_rc_box_release_full(data, entry_clear);
}

static Entry *entry_new(const MalRecord *r, bool dropped)
{
  Entry *e = g_rc_box_new0(Entry);
  e->owner = g_strdup(r->owner);
  e->kind = g_strdup(r->kind);
  e->key = g_bytes_new(r->key, r->key_length);
  e->value = dropped ? NULL : g_bytes_new(r->value, r->value_length);
  return e;
}

static unsigned entry_hash(const void *data)
{
  const Entry *e = data;
  return (g_str_hash(e->owner) * 31 + g_str_hash(e->kind)) * 31 + g_bytes_hash(e->key);
}

static gboolean entry_equal(const void *a, const void *b)
{
  const Entry *x = a, *y = b;
  return strcmp(x->owner, y->owner) == 0 && strcmp(x->kind, y->kind) == 0
         && g_bytes_equal(x->key, y->key);
}

/* Takes over E. */
static void commit(MalRecords *self, Entry *e)
{
  GList *old = g_hash_table_lookup(self->places, e);
  if (old) {
    Entry *before = old->data;
    g_hash_table_remove(self->places, before);
    g_queue_delete_link(&self->durable, old);
    entry_unref(before);
  }
  if (!e->value) {
    entry_unref(e);
    return;
  }
  g_queue_push_tail(&self->durable, e);
  g_hash_table_insert(self->places, e, self->durable.tail);
}

static void on_settled(MalTicket through, const GError *error, void *data)
{
  MalRecords *self = data;
  for (Entry *e; (e = g_queue_peek_head(&self->pending)) && e->ticket <= through;) {
    g_queue_pop_head(&self->pending);
    if (error)
      entry_unref(e);
    else
      commit(self, e);
  }
}

MalRecords *mal_records_of(MalStore *store)
{
  if (store->records)
    return store->records;
  MalRecords *self = g_new0(MalRecords, 1);
  self->places = g_hash_table_new(entry_hash, entry_equal);
  store->records = self;
  store->ops->listen(store, on_settled, self);
  return self;
}

void mal_records_free(MalRecords *self)
{
  if (!self)
    return;
  g_hash_table_unref(self->places);
  g_queue_clear_full(&self->durable, entry_unref);
  g_queue_clear_full(&self->pending, entry_unref);
  g_free(self);
}

void mal_records_change(MalRecords *self, MalTicket ticket, const MalRecord *record, bool dropped)
{
  Entry *e = entry_new(record, dropped);
  e->ticket = ticket;
  g_queue_push_tail(&self->pending, e);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct {
  MalRecords *records;        /* NULL: filled already */
  MalStoreLeaseFunc lease;
  MalStoreRecordFunc record;
  void *data;
} Load;

static bool load_lease(const MalLease *lease, void *data, GError **error)
{
  const Load *load = data;
  return load->lease(lease, load->data, error);
}

static bool load_record(const MalRecord *record, void *data, GError **error)
{
  const Load *load = data;
  if (load->records)
    commit(load->records, entry_new(record, false));
  return !load->record || load->record(record, load->data, error);
}

bool mal_store_load(MalStore *store, MalTime not_ended_before, MalStoreLeaseFunc lease,
                    MalStoreRecordFunc record, void *data, GError **error)
{
  MalRecords *records = mal_records_of(store);
  Load load = { records->loaded ? NULL : records, lease, record, data };
  bool ok = store->ops->load(store, not_ended_before, lease ? load_lease : NULL, load_record, &load,
                             error);
  records->loaded |= ok;
  return ok;
}

static bool is_overtaken(const GList *after, const Entry *e)
{
  for (; after; after = after->next)
    if (entry_equal(after->data, e))
      return true;
  return false;
}

/* Those that count now; FUNC may change records while it reads them. */
static GPtrArray *snapshot(const MalRecords *self, const char *owner)
{
  GPtrArray *out = g_ptr_array_new_with_free_func(entry_unref);
  for (const GList *i = self->durable.head; i; i = i->next) {
    Entry *e = i->data;
    if (strcmp(e->owner, owner) == 0 && !is_overtaken(self->pending.head, e))
      g_ptr_array_add(out, g_rc_box_acquire(e));
  }
  for (const GList *i = self->pending.head; i; i = i->next) {
    Entry *e = i->data;
    if (strcmp(e->owner, owner) == 0 && e->value && !is_overtaken(i->next, e))
      g_ptr_array_add(out, g_rc_box_acquire(e));
  }
  return out;
}

static const uint8_t *octets_of(GBytes *bytes, size_t *length)
{
  const uint8_t *octets = g_bytes_get_data(bytes, length);
  return octets ? octets : (const uint8_t *)"";
}

bool mal_store_each_record(MalStore *store, const char *owner, MalStoreRecordFunc func, void *data,
                           GError **error)
{
  bool ok = true;
  g_autoptr(GPtrArray) all = snapshot(mal_records_of(store), owner);
  for (unsigned i = 0; ok && i < all->len; i++) {
    const Entry *e = g_ptr_array_index(all, i);
    MalRecord r = { .owner = e->owner, .kind = e->kind };
    r.key = octets_of(e->key, &r.key_length);
    r.value = octets_of(e->value, &r.value_length);
    ok = func(&r, data, error);
  }
  return ok;
}
