#include "sim-store.h"

#include <string.h>

#include "core/store-private.h"
#include "sim-store-private.h"

#define JOURNAL "journal"
#define FRAME_HEAD 12         /* length, checksum */
#define RETRY_FIRST (1 * MAL_US)
#define RETRY_LAST (30 * MAL_US)

typedef struct SimStore SimStore;

/* What was gathered into one ticket. */
typedef struct {
  SimStore *store;
  MalTicket ticket;
  GByteArray *bytes;          /* the frame; NULL: a mere look whether the disk works again */
  size_t start;               /* where it went */
  unsigned changes;
  bool doomed;                /* the store was failing when its turn came */
  GError *error;
} Batch;

struct SimStore {
  MalStore base;
  MalRuntime *rt;
  MalSimDisk *disk;
  MalWorker *worker;
  MalTimer *turn, *retry;
  MalListeners listeners;
  Batch *gathering;           /* NULL: none */
  GQueue batches;             /* handed to the worker, in order */
  MalTicket last, durable;
  size_t good;                /* octets of the journal that count */
  GError *failure;
  int64_t wait;               /* until the next look */
  uint64_t order;
  GHashTable *leases;         /* durable: GBytes of the identifier -> Kept */
  GHashTable *records;        /* durable: GBytes of owner, kind and key -> KeptRecord */
  MalStoreCounters counters;
};

static SimStore *sim_store(const MalStore *store)
{
  return (SimStore *)(uintptr_t)store;
}

/* ---- what is durable ------------------------------------------------------------------------- */

static void apply_record(SimStore *self, MalReader *r, bool put_it)
{
  KeptRecord *k = g_new0(KeptRecord, 1);
  size_t length;
  k->order = ++self->order;
  k->owner = sim_store_read_text(r);
  k->kind = sim_store_read_text(r);
  const uint8_t *bytes = sim_store_read_bytes(r, &length);
  k->key = g_bytes_new(bytes, bytes ? length : 0);
  bytes = put_it ? sim_store_read_bytes(r, &length) : NULL;
  k->value = g_bytes_new(bytes, bytes ? length : 0);
  gsize key_length;
  const void *key = g_bytes_get_data(k->key, &key_length);
  GBytes *name = sim_store_record_key(k->owner, k->kind, key, key_length);
  g_hash_table_remove(self->records, name);
  if (put_it) {
    g_hash_table_insert(self->records, name, k);
    return;
  }
  g_bytes_unref(name);
  sim_store_record_free(k);
}

static void apply_lease(SimStore *self, MalReader *r)
{
  Kept *k = sim_store_read_lease(r);
  k->order = ++self->order;
  g_hash_table_replace(self->leases, g_bytes_new(k->lease.id.bytes, k->lease.id.length), k);
}

static void apply(SimStore *self, const uint8_t *data, size_t length)
{
  MalReader r = mal_reader(data, length);
  while (mal_reader_more(&r))
    switch (mal_read_u8(&r)) {
    case PUT_LEASE: apply_lease(self, &r); break;
    case DROP_LEASE: {
      size_t n;
      const uint8_t *id = sim_store_read_bytes(&r, &n);
      g_autoptr(GBytes) key = g_bytes_new(id, id ? n : 0);
      g_hash_table_remove(self->leases, key);
      break;
    }
    case PUT_RECORD: apply_record(self, &r, true); break;
    case DROP_RECORD: apply_record(self, &r, false); break;
    default: mal_reader_fail(&r); break;
    }
}

static uint64_t checksum(const uint8_t *data, size_t length)
{
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ data[i]) * 0x100000001B3u;
  return hash;
}

static void read_journal(SimStore *self)
{
  size_t length;
  const uint8_t *data = mal_sim_disk_data(self->disk, &length);
  MalReader r = mal_reader(data, length);
  while (mal_reader_more(&r)) {
    size_t n = mal_read_u32(&r);
    uint64_t sum = mal_read_u64(&r);
    const uint8_t *body = mal_read_bytes(&r, n);
    if (!mal_reader_ok(&r) || checksum(body, n) != sum)
      break;
    apply(self, body, n);
    self->good = r.offset;
  }
}

/* ---- writing --------------------------------------------------------------------------------- */

static void batch_free(void *data)
{
  Batch *b = data;
  if (b->bytes)
    g_byte_array_unref(b->bytes);
  g_clear_error(&b->error);
  g_free(b);
}

/* What failed before, or was torn by a crash, goes first. */
static bool cut_to_good(SimStore *self, GError **error)
{
  size_t length;
  mal_sim_disk_data(self->disk, &length);
  return length <= self->good || mal_sim_disk_truncate(self->disk, self->good, error);
}

static void run_append(void *data)
{
  Batch *b = data;
  b->start = b->store->good;
  if (b->doomed || !cut_to_good(b->store, &b->error) || !b->bytes)
    return;
  mal_sim_disk_append(b->store->disk, b->bytes->data, b->bytes->len, &b->error);
}

static void run_sync(void *data)
{
  Batch *b = data;
  SimStore *self = b->store;
  if (b->doomed)
    b->error = g_error_copy(self->failure);
  if (!b->error && mal_sim_disk_sync(self->disk, &b->error) && b->bytes)
    self->good = b->start + b->bytes->len;
}

static void look_again(SimStore *self)
{
  self->wait = self->wait ? MIN(self->wait * 2, RETRY_LAST) : RETRY_FIRST;
  mal_timer_set(self->retry, mal_runtime_monotonic(self->rt) + self->wait);
}

static void failed(SimStore *self, const Batch *b)
{
  if (!b->doomed) {
    g_clear_error(&self->failure);
    self->failure = g_error_copy(b->error);
    look_again(self);
  }
  if (!b->bytes)
    return;
  self->counters.failures++;
  mal_listeners_call(&self->listeners, b->ticket, b->error);
}

static void succeeded(SimStore *self, const Batch *b)
{
  g_clear_error(&self->failure);
  self->wait = 0;
  if (b->bytes) {
    apply(self, b->bytes->data + FRAME_HEAD, b->bytes->len - FRAME_HEAD);
    self->durable = b->ticket;
    self->counters.batches++;
  }
  mal_listeners_call(&self->listeners, self->durable, NULL);
}

static void submit_next(SimStore *self);

static void on_done(void *data)
{
  Batch *b = data;
  SimStore *self = b->store;
  g_queue_pop_head(&self->batches);
  if (b->error)
    failed(self, b);
  else
    succeeded(self, b);
  batch_free(b);
  submit_next(self);
}

static void submit(SimStore *self, Batch *b)
{
  b->doomed = self->failure && b->bytes;
  g_queue_push_tail(&self->batches, b);
  mal_worker_submit(self->worker, run_append, NULL, b);
  mal_worker_submit(self->worker, run_sync, on_done, b);
}

/* While one batch is on its way the next gathers: group commit. */
static void submit_next(SimStore *self)
{
  Batch *b = self->gathering;
  if (!b || self->batches.length > 0)
    return;
  self->gathering = NULL;
  uint64_t sum = checksum(b->bytes->data + FRAME_HEAD, b->bytes->len - FRAME_HEAD);
  GByteArray *head = g_byte_array_new();
  sim_store_put(head, b->bytes->len - FRAME_HEAD, 4);
  sim_store_put(head, sum, 8);
  memcpy(b->bytes->data, head->data, FRAME_HEAD);
  g_byte_array_unref(head);
  submit(self, b);
}

static void on_turn(void *data)
{
  submit_next(data);
}

/* Behind a batch that is doomed, if one is on its way: waiting as long again for its end would keep
   the store failing twice as long as SQLite's backend. */
static void on_retry(void *data)
{
  SimStore *self = data;
  if (!self->failure)
    return;
  Batch *b = g_new0(Batch, 1);
  b->store = self;
  submit(self, b);
}

static GByteArray *append(SimStore *self, int what)
{
  if (!self->gathering) {
    self->gathering = g_new0(Batch, 1);
    self->gathering->store = self;
    self->gathering->ticket = ++self->last;
    self->gathering->bytes = g_byte_array_new();
    g_byte_array_set_size(self->gathering->bytes, FRAME_HEAD);
    mal_timer_set(self->turn, mal_runtime_monotonic(self->rt));
  }
  self->gathering->changes++;
  self->counters.changes++;
  sim_store_put(self->gathering->bytes, (uint64_t)what, 1);
  return self->gathering->bytes;
}

/* ---- the interface --------------------------------------------------------------------------- */

static int lease_order(gconstpointer a, gconstpointer b)
{
  uint64_t x = (*(Kept *const *)a)->order, y = (*(Kept *const *)b)->order;
  return x < y ? -1 : x > y;
}

static int record_order(gconstpointer a, gconstpointer b)
{
  uint64_t x = (*(KeptRecord *const *)a)->order, y = (*(KeptRecord *const *)b)->order;
  return x < y ? -1 : x > y;
}

static GPtrArray *sorted(GHashTable *table, GCompareFunc order)
{
  GPtrArray *out = g_ptr_array_new();
  GHashTableIter iter;
  g_hash_table_iter_init(&iter, table);
  for (gpointer value; g_hash_table_iter_next(&iter, NULL, &value);)
    g_ptr_array_add(out, value);
  g_ptr_array_sort(out, order);
  return out;
}

static bool load(MalStore *store, MalTime not_ended_before, MalStoreLeaseFunc lease,
                 MalStoreRecordFunc record, void *data, GError **error)
{
  SimStore *self = sim_store(store);
  g_autoptr(GPtrArray) records = sorted(self->records, record_order),
                       leases = sorted(self->leases, lease_order);
  for (guint i = 0; record && i < records->len; i++) {
    const KeptRecord *k = g_ptr_array_index(records, i);
    MalRecord r = { .owner = k->owner, .kind = k->kind };
    r.key = g_bytes_get_data(k->key, &r.key_length);
    r.value = g_bytes_get_data(k->value, &r.value_length);
    if (!record(&r, data, error))
      return false;
  }
  for (guint i = 0; lease && i < leases->len; i++) {
    const Kept *k = g_ptr_array_index(leases, i);
    if (mal_lease_held_until(&k->lease) >= not_ended_before && !lease(&k->lease, data, error))
      return false;
  }
  return true;
}

static MalTicket store_put_lease(MalStore *store, const MalLease *lease)
{
  sim_store_put_lease(append(sim_store(store), PUT_LEASE), lease);
  return sim_store(store)->last;
}

static MalTicket store_drop_lease(MalStore *store, MalLeaseId id, MalTime at, const char *reason)
{
  (void)at, (void)reason;
  sim_store_put_bytes(append(sim_store(store), DROP_LEASE), id.bytes, id.length);
  return sim_store(store)->last;
}

static GByteArray *begin_record(MalStore *store, int what, const char *owner, const char *kind,
                                const uint8_t *key, size_t key_length)
{
  GByteArray *out = append(sim_store(store), what);
  sim_store_put_bytes(out, owner, strlen(owner));
  sim_store_put_bytes(out, kind, strlen(kind));
  sim_store_put_bytes(out, key, key_length);
  return out;
}

static MalTicket store_put_record(MalStore *store, const MalRecord *r)
{
  GByteArray *out = begin_record(store, PUT_RECORD, r->owner, r->kind, r->key, r->key_length);
  sim_store_put_bytes(out, r->value, r->value_length);
  return sim_store(store)->last;
}

static MalTicket store_drop_record(MalStore *store, const char *owner, const char *kind,
                                   const uint8_t *key, size_t key_length)
{
  begin_record(store, DROP_RECORD, owner, kind, key, key_length);
  return sim_store(store)->last;
}

static void store_flush(MalStore *store)
{
  submit_next(sim_store(store));
}

static unsigned store_listen(MalStore *store, MalStoreFunc func, void *data)
{
  return mal_listeners_add(&sim_store(store)->listeners, func, data);
}

static void store_unlisten(MalStore *store, unsigned id)
{
  mal_listeners_remove(&sim_store(store)->listeners, id);
}

static MalTicket store_durable(const MalStore *store)
{
  return sim_store(store)->durable;
}

static MalStoreState store_state(const MalStore *store, const GError **out_error)
{
  const SimStore *self = sim_store(store);
  if (out_error)
    *out_error = self->failure;
  return self->failure ? MAL_STORE_FAILING : MAL_STORE_OK;
}

static MalStoreCounters store_counters(const MalStore *store)
{
  const SimStore *self = sim_store(store);
  MalStoreCounters c = self->counters;
  c.rows = g_hash_table_size(self->leases) + g_hash_table_size(self->records);
  c.bytes = self->good;
  return c;
}

typedef struct {
  MalStoreDoneFunc done;
  void *data;
  const char *detail;
} Answer;

static void answer_now(void *data)
{
  g_autofree Answer *answer = data;
  g_autoptr(GError) error = NULL;
  if (!answer->detail)
    error = g_error_new_literal(MAL_ERROR, MAL_ERROR_STORE, "a simulated disk has no backup");
  answer->done(answer->detail, error, answer->data);
}

static void answer(MalStore *store, const char *detail, MalStoreDoneFunc done, void *data)
{
  Answer *a = g_new(Answer, 1);
  *a = (Answer){ done, data, detail };
  mal_runtime_defer(sim_store(store)->rt, answer_now, a);
}

static void store_backup(MalStore *store, const char *path, MalStoreDoneFunc done, void *data)
{
  (void)path;
  answer(store, NULL, done, data);
}

static void store_check(MalStore *store, MalStoreDoneFunc done, void *data)
{
  answer(store, "every frame up to the end is whole", done, data);
}

static void store_close(MalStore *store)
{
  SimStore *self = sim_store(store);
  submit_next(self);
  mal_worker_free(self->worker);
  mal_timer_free(self->turn);
  mal_timer_free(self->retry);
  if (self->gathering)
    batch_free(self->gathering);
  g_queue_clear_full(&self->batches, batch_free);
  mal_listeners_clear(&self->listeners);
  g_hash_table_unref(self->leases);
  g_hash_table_unref(self->records);
  g_clear_error(&self->failure);
  g_free(self);
}

static const MalStoreOps store_ops = {
  .load = load,
  .put_lease = store_put_lease,
  .drop_lease = store_drop_lease,
  .put_record = store_put_record,
  .drop_record = store_drop_record,
  .flush = store_flush,
  .listen = store_listen,
  .unlisten = store_unlisten,
  .durable = store_durable,
  .state = store_state,
  .counters = store_counters,
  .backup = store_backup,
  .check = store_check,
  .close = store_close,
};

bool mal_sim_store_sync(MalSimNode *node, GError **error)
{
  size_t length;
  MalSimDisk *disk = mal_sim_node_disk(node, JOURNAL);
  mal_sim_disk_data(disk, &length);
  return length == mal_sim_disk_synced(disk) || mal_sim_disk_sync(disk, error);
}

MalStore *mal_sim_store_open(MalSimNode *node)
{
  g_autoptr(GError) error = NULL;
  SimStore *self = g_new0(SimStore, 1);
  if (!mal_sim_store_sync(node, &error))
    g_error("%s", error->message);
  self->base.ops = &store_ops;
  self->rt = mal_sim_node_runtime(node);
  self->disk = mal_sim_node_disk(node, JOURNAL);
  self->worker = mal_worker_new(self->rt, "store");
  self->turn = mal_timer_new(self->rt, on_turn, self);
  self->retry = mal_timer_new(self->rt, on_retry, self);
  mal_listeners_init(&self->listeners);
  g_queue_init(&self->batches);
  self->leases = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                       sim_store_kept_free);
  self->records = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                        sim_store_record_free);
  read_journal(self);
  return &self->base;
}

bool mal_sim_store_get(MalStore *store, MalLeaseId id, MalLease *out)
{
  g_autoptr(GBytes) key = g_bytes_new_static(id.bytes, id.length);
  const Kept *k = g_hash_table_lookup(sim_store(store)->leases, key);
  if (k && out)
    *out = k->lease;
  return k;
}

size_t mal_sim_store_leases(MalStore *store)
{
  return g_hash_table_size(sim_store(store)->leases);
}
