#include "leases-internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- slots ----------------------------------------------------------------------------------- */

Slot *leases_slot(const MalLeases *l, uint32_t handle)
{
  Slot *chunk = g_ptr_array_index(l->chunks, handle >> CHUNK_BITS);
  return &chunk[handle & (CHUNK_SIZE - 1)];
}

static void *new_chunk(void)
{
  void *chunk = aligned_alloc(sizeof(Slot), CHUNK_SIZE * sizeof(Slot));
  if (!chunk)
    g_error("no memory for %u more leases", CHUNK_SIZE);
  return memset(chunk, 0, CHUNK_SIZE * sizeof(Slot));
}

static uint32_t take_slot(MalLeases *l)
{
  if (l->free_slots->len > 0) {
    uint32_t handle = g_array_index(l->free_slots, uint32_t, l->free_slots->len - 1);
    g_array_set_size(l->free_slots, l->free_slots->len - 1);
    return handle;
  }
  uint32_t handle = l->used_slots++;
  if (handle >> CHUNK_BITS >= l->chunks->len)
    g_ptr_array_add(l->chunks, new_chunk());
  return handle;
}

MalLeaseId leases_id(const Slot *slot)
{
  const uint8_t *bytes = slot->id;
  if (slot->id_length > SLOT_ID_INLINE)
    memcpy(&bytes, slot->id, sizeof bytes);
  return (MalLeaseId){ bytes, slot->id_length };
}

static void set_id(Slot *slot, MalLeaseId id)
{
  slot->id_length = (uint8_t)id.length;
  if (id.length > SLOT_ID_INLINE) {
    uint8_t *outside = g_memdup2(id.bytes, id.length);
    memcpy(slot->id, &outside, sizeof outside);
  } else {
    memcpy(slot->id, id.bytes, id.length);
  }
}

/* What stands beside the table. */
static void free_outside(const Slot *slot)
{
  if (slot->id_length > SLOT_ID_INLINE)
    g_free((uint8_t *)leases_id(slot).bytes);
  if (slot->many)
    g_free(slot->blocks.many);
}

/* ---- cells beside the slots ------------------------------------------------------------------ */

static void pool_init(Pool *pool, unsigned size)
{
  pool->cells = g_array_new(FALSE, FALSE, size);
  pool->free = g_array_new(FALSE, FALSE, sizeof(uint32_t));
}

static void pool_clear(Pool *pool)
{
  g_array_unref(pool->cells);
  g_array_unref(pool->free);
}

static uint32_t pool_take(Pool *pool)
{
  if (pool->free->len == 0) {
    g_array_set_size(pool->cells, pool->cells->len + 1);
    return pool->cells->len - 1;
  }
  uint32_t cell = g_array_index(pool->free, uint32_t, pool->free->len - 1);
  g_array_set_size(pool->free, pool->free->len - 1);
  return cell;
}

static void pool_give(Pool *pool, uint32_t cell)
{
  g_array_append_val(pool->free, cell);
}

/* ---- by identifier: keyed, so that nobody outside can aim at a chain ------------------------- */

typedef struct {
  uint32_t tag;
  MalLeaseId id;
} Wanted;

static uint32_t tag_of(const MalLeases *l, MalLeaseId id)
{
  uint8_t out[crypto_shorthash_BYTES];
  uint32_t tag;
  crypto_shorthash(out, id.bytes, id.length, l->hash_key);
  memcpy(&tag, out, sizeof tag);
  return tag;
}

static bool bucket_taken(const void *cell)
{
  return ((const Bucket *)cell)->slot != 0;
}

static uint64_t hash_of_tag(uint32_t tag)
{
  return (uint64_t)tag << 32;
}

static uint64_t bucket_hash(const void *cell)
{
  return hash_of_tag(((const Bucket *)cell)->tag);
}

static bool bucket_same(const void *cell, const void *key, const void *data)
{
  const Bucket *b = cell;
  const Wanted *wanted = key;
  return b->tag == wanted->tag &&
         mal_lease_id_equal(leases_id(leases_slot(data, b->slot)), wanted->id);
}

static const MalTableKind buckets = {
  .octets = sizeof(Bucket), .taken = bucket_taken, .hash = bucket_hash, .same = bucket_same,
};

static Bucket *find_bucket(const MalLeases *l, MalLeaseId id)
{
  Wanted wanted = { tag_of(l, id), id };
  return mal_table_find(&l->buckets, &buckets, hash_of_tag(wanted.tag), &wanted, l);
}

uint32_t leases_find(const MalLeases *l, MalLeaseId id)
{
  const Bucket *b = find_bucket(l, id);
  return b ? b->slot : 0;
}

size_t leases_buckets_octets(const MalLeases *l)
{
  return mal_table_octets(&l->buckets, &buckets);
}

uint32_t leases_slot_new(MalLeases *l, MalLeaseId id)
{
  uint32_t handle = take_slot(l), tag = tag_of(l, id);
  Slot *slot = leases_slot(l, handle);
  memset(slot, 0, sizeof *slot);
  slot->flags = SLOT_USED;
  set_id(slot, id);
  Bucket *b = mal_table_add(&l->buckets, &buckets, hash_of_tag(tag));
  *b = (Bucket){ handle, tag };
  return handle;
}

/* ---- heap by lapse --------------------------------------------------------------------------- */

SlotTimes leases_times(const MalLeases *l, const Slot *slot)
{
  if (slot->far)
    return g_array_index(l->far_times.cells, SlotTimes, slot->start);
  return (SlotTimes){ mal_time_of_short(slot->start), mal_time_of_short(slot->end),
                      mal_time_of_short(slot->granted) };
}

void leases_set_times(MalLeases *l, Slot *slot, SlotTimes t)
{
  bool far =
      !mal_time_is_short(t.start) || !mal_time_is_short(t.end) || !mal_time_is_short(t.granted);
  if (slot->far && !far)
    pool_give(&l->far_times, (uint32_t)slot->start);
  if (far && !slot->far)
    slot->start = pool_take(&l->far_times);
  slot->far = far;
  if (far) {
    g_array_index(l->far_times.cells, SlotTimes, slot->start) = t;
    return;
  }
  slot->start = mal_short_down(t.start) & MAL_SHORT_FOREVER;
  slot->end = mal_short_down(t.end) & MAL_SHORT_FOREVER;
  slot->granted = mal_short_down(t.granted) & MAL_SHORT_FOREVER;
}

MalTime leases_held_from(const MalLeases *l, const Slot *slot)
{
  return mal_time_add(leases_times(l, slot).start, -(int64_t)slot->pad);
}

MalTime leases_held_until(const MalLeases *l, const Slot *slot)
{
  return mal_time_add(leases_times(l, slot).end, slot->pad);
}

MalTime leases_lapse(const MalLeases *l, const Slot *slot)
{
  return slot->flags & MAL_LEASE_HELD ? leases_times(l, slot).granted : leases_held_until(l, slot);
}

static uint32_t heap_at(const MalLeases *l, uint32_t place)
{
  return g_array_index(l->heap, uint32_t, place);
}

static void heap_set(MalLeases *l, uint32_t place, uint32_t handle)
{
  g_array_index(l->heap, uint32_t, place) = handle;
  leases_slot(l, handle)->heap_place = place;
}

static void sift_up(MalLeases *l, uint32_t place)
{
  uint32_t handle = heap_at(l, place);
  MalTime lapse = leases_lapse(l, leases_slot(l, handle));
  while (place > 0) {
    uint32_t parent = (place - 1) / 2;
    if (leases_lapse(l, leases_slot(l, heap_at(l, parent))) <= lapse)
      break;
    heap_set(l, place, heap_at(l, parent));
    place = parent;
  }
  heap_set(l, place, handle);
}

static void sift_down(MalLeases *l, uint32_t place)
{
  uint32_t handle = heap_at(l, place);
  MalTime lapse = leases_lapse(l, leases_slot(l, handle));
  for (;;) {
    uint32_t child = place * 2 + 1;
    if (child >= l->heap->len)
      break;
    if (child + 1 < l->heap->len
        && leases_lapse(l, leases_slot(l, heap_at(l, child + 1)))
               < leases_lapse(l, leases_slot(l, heap_at(l, child))))
      child++;
    if (leases_lapse(l, leases_slot(l, heap_at(l, child))) >= lapse)
      break;
    heap_set(l, place, heap_at(l, child));
    place = child;
  }
  heap_set(l, place, handle);
}

void leases_heap_add(MalLeases *l, uint32_t handle)
{
  g_array_append_val(l->heap, handle);
  leases_slot(l, handle)->heap_place = l->heap->len - 1;
  sift_up(l, l->heap->len - 1);
}

void leases_heap_fix(MalLeases *l, uint32_t handle)
{
  uint32_t place = leases_slot(l, handle)->heap_place;
  sift_up(l, place);
  sift_down(l, leases_slot(l, handle)->heap_place);
}

uint32_t leases_heap_top(const MalLeases *l)
{
  return l->heap->len ? heap_at(l, 0) : 0;
}

static void heap_remove(MalLeases *l, uint32_t place)
{
  uint32_t last = heap_at(l, l->heap->len - 1);
  g_array_set_size(l->heap, l->heap->len - 1);
  if (place < l->heap->len) {
    heap_set(l, place, last);
    leases_heap_fix(l, last);
  }
}

void leases_slot_free(MalLeases *l, uint32_t handle)
{
  Slot *slot = leases_slot(l, handle);
  Bucket *b = find_bucket(l, leases_id(slot));
  g_assert(b);
  mal_table_remove(&l->buckets, &buckets, b);
  heap_remove(l, slot->heap_place);
  free_outside(slot);
  if (slot->far)
    pool_give(&l->far_times, (uint32_t)slot->start);
  if (slot->client_family == MAL_IPV6)
    pool_give(&l->clients6, slot->client);
  slot->flags = 0;
  g_array_append_val(l->free_slots, handle);
}

/* ---- what a slot says ------------------------------------------------------------------------ */

static unsigned base_hash(const void *data)
{
  const MalU128 *base = data;
  return (unsigned)((uint64_t)(*base ^ *base >> 64) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static gboolean base_equal(const void *a, const void *b)
{
  return *(const MalU128 *)a == *(const MalU128 *)b;
}

/* False where there are too many. */
static bool base_number(MalLeases *l, MalU128 base, unsigned *out)
{
  *out = base == 0 ? 0 : GPOINTER_TO_UINT(g_hash_table_lookup(l->base_of, &base));
  if (base == 0 || *out > 0)
    return true;
  *out = l->bases->len;
  if (l->bases->len > UINT16_MAX)
    return false;
  g_array_append_val(l->bases, base);
  g_hash_table_insert(l->base_of, g_memdup2(&base, sizeof base), GUINT_TO_POINTER(*out));
  return true;
}

void leases_set_blocks(MalLeases *l, Slot *slot, const MalBlock *blocks, size_t n)
{
  unsigned base = 0;
  slot->many = n > 1 || !base_number(l, blocks[0].first.value >> 32, &base);
  if (slot->many) {
    slot->base = n & UINT16_MAX;
    slot->blocks.many = g_memdup2(blocks, n * sizeof *blocks);
  } else {
    slot->base = base & UINT16_MAX;
    slot->blocks.one.low = (uint32_t)blocks[0].first.value;
    slot->blocks.one.count = blocks[0].count;
  }
}

size_t leases_n_blocks(const Slot *slot)
{
  return slot->many ? slot->base : 1;
}

MalBlock leases_block(const MalLeases *l, const Slot *slot, size_t n)
{
  if (slot->many)
    return slot->blocks.many[n];
  MalFamily family = mal_scope_set_at(l->scopes, slot->scope)->span.first.family;
  MalU128 base = slot->base ? g_array_index(l->bases, MalU128, slot->base) : 0;
  return mal_block_make(mal_address_make(family, base << 32 | slot->blocks.one.low),
                        slot->blocks.one.count);
}

uint64_t leases_slot_addresses(const MalLeases *l, const Slot *slot)
{
  uint64_t n = 0;
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    n += leases_block(l, slot, i).count;
  return n;
}

MalAddress leases_client(const MalLeases *l, const Slot *slot)
{
  if (slot->client_family == MAL_FAMILY_NONE)
    return mal_address_none();
  if (slot->client_family == MAL_IPV4)
    return mal_address_ipv4(slot->client);
  return mal_address_make(MAL_IPV6, g_array_index(l->clients6.cells, MalU128, slot->client));
}

void leases_set_client(MalLeases *l, Slot *slot, MalAddress client)
{
  slot->client_family = client.family & 3;
  slot->client = (uint32_t)client.value;
  if (client.family == MAL_IPV6) {
    slot->client = pool_take(&l->clients6);
    g_array_index(l->clients6.cells, MalU128, slot->client) = client.value;
  }
}

uint8_t leases_origin(MalLeases *l, const char *origin)
{
  for (unsigned i = 0; i < l->origins->len; i++)
    if (strcmp(g_ptr_array_index(l->origins, i), origin) == 0)
      return (uint8_t)i;
  if (l->origins->len == UINT8_MAX)
    return UINT8_MAX - 1;
  g_ptr_array_add(l->origins, g_strdup(origin));
  return (uint8_t)(l->origins->len - 1);
}

void leases_view(const MalLeases *l, uint32_t handle, MalLease *out)
{
  const Slot *slot = leases_slot(l, handle);
  MalBlock *scratch = &l->views[0];
  if (!slot->many) {
    /* A handful of views stay valid at once: callers compare two leases, or print one while taking
       another. */
    unsigned *turn = (unsigned *)(void *)&l->views[VIEWS];
    scratch = &l->views[(*turn)++ % VIEWS];
    *scratch = leases_block(l, slot, 0);
  }
  SlotTimes times = leases_times(l, slot);
  *out = (MalLease){
    .id = leases_id(slot),
    .scope = mal_scope_set_at(l->scopes, slot->scope)->id,
    .blocks = slot->many ? slot->blocks.many : scratch,
    .n_blocks = leases_n_blocks(slot),
    .start = times.start,
    .end = times.end,
    .pad = slot->pad,
    .granted = times.granted,
    .client = leases_client(l, slot),
    .origin = g_ptr_array_index(l->origins, slot->origin),
    .flags = slot->flags & (MAL_LEASE_SHARED | MAL_LEASE_HELD | MAL_LEASE_PENDING),
  };
}

/* ---- addresses by client --------------------------------------------------------------------- */

static unsigned client_hash(const void *data)
{
  return (unsigned)((const ClientUse *)data)->hash;
}

static gboolean client_equal(const void *a, const void *b)
{
  const ClientUse *x = a, *y = b;
  return x->high == y->high && x->low == y->low && x->family == y->family && x->scope == y->scope;
}

static ClientUse client_key(const MalLeases *l, MalAddress client, unsigned scope)
{
  ClientUse key = { .family = (uint8_t)client.family, .scope = scope };
  uint8_t bytes[16 + sizeof scope], out[crypto_shorthash_BYTES];
  size_t n = mal_address_to_bytes(client, bytes);
  key.high = (uint64_t)(client.value >> 64);
  key.low = (uint64_t)client.value;
  memcpy(bytes + n, &scope, sizeof scope);
  crypto_shorthash(out, bytes, n + sizeof scope, l->hash_key);
  memcpy(&key.hash, out, sizeof key.hash);
  return key;
}

static void use(MalLeases *l, MalAddress client, unsigned scope, bool held, uint64_t addresses)
{
  ClientUse key = client_key(l, client, scope);
  ClientUse *found = g_hash_table_lookup(l->clients, &key);
  if (!found) {
    found = g_memdup2(&key, sizeof key);
    g_hash_table_add(l->clients, found);
  }
  *(held ? &found->held : &found->addresses) += addresses;
  if (found->addresses == 0 && found->held == 0)
    g_hash_table_remove(l->clients, found);
}

void leases_use(MalLeases *l, const Slot *slot, int sign)
{
  MalAddress client = leases_client(l, slot);
  bool held = slot->flags & MAL_LEASE_HELD;
  uint64_t addresses = (uint64_t)(sign * (int64_t)leases_slot_addresses(l, slot));
  if (client.family == MAL_FAMILY_NONE || !(held || l->counts_clients))
    return;
  use(l, client, ALL_SCOPES, held, addresses);
  if (held)
    use(l, client, slot->scope, held, addresses);
}

/* Only a limit asks; without one, nobody pays for an entry for each client. */
static void count_clients(MalLeases *l)
{
  l->counts_clients = true;
  for (uint32_t i = 1; i < l->used_slots; i++) {
    const Slot *slot = leases_slot(l, i);
    if (slot->flags & SLOT_USED && !(slot->flags & MAL_LEASE_HELD))
      leases_use(l, slot, 1);
  }
}

uint64_t mal_leases_client_addresses(MalLeases *l, MalAddress client)
{
  if (!l->counts_clients)
    count_clients(l);
  ClientUse key = client_key(l, client, ALL_SCOPES);
  const ClientUse *found = g_hash_table_lookup(l->clients, &key);
  return found ? found->addresses : 0;
}

uint64_t leases_held_for(const MalLeases *l, MalAddress client, unsigned scope)
{
  ClientUse key = client_key(l, client, scope);
  const ClientUse *found = g_hash_table_lookup(l->clients, &key);
  return found ? found->held : 0;
}

void leases_table_init(MalLeases *l)
{
  mal_runtime_random(l->rt, l->hash_key, sizeof l->hash_key);
  l->chunks = g_ptr_array_new_with_free_func(free);
  l->free_slots = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  l->heap = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  l->by_scope = g_array_new(FALSE, TRUE, sizeof(MalLeaseTotals));
  l->used_slots = 1;
  g_ptr_array_add(l->chunks, new_chunk());
  mal_table_init(&l->buckets, &buckets, 320);
  pool_init(&l->far_times, sizeof(SlotTimes));
  pool_init(&l->clients6, sizeof(MalU128));
  l->bases = g_array_new(FALSE, TRUE, sizeof(MalU128));
  g_array_set_size(l->bases, 1);
  l->base_of = g_hash_table_new_full(base_hash, base_equal, g_free, NULL);
  l->clients = g_hash_table_new_full(client_hash, client_equal, g_free, NULL);
  l->origins = g_ptr_array_new_with_free_func(g_free);
  l->views = g_new0(MalBlock, VIEWS + 1);
}

void leases_table_clear(MalLeases *l)
{
  for (uint32_t i = 1; i < l->used_slots; i++) {
    if (leases_slot(l, i)->flags & SLOT_USED)
      free_outside(leases_slot(l, i));
  }
  pool_clear(&l->far_times);
  pool_clear(&l->clients6);
  g_array_unref(l->bases);
  g_hash_table_unref(l->base_of);
  g_ptr_array_unref(l->chunks);
  g_array_unref(l->free_slots);
  g_array_unref(l->heap);
  g_array_unref(l->by_scope);
  mal_table_free(&l->buckets);
  g_hash_table_unref(l->clients);
  g_ptr_array_unref(l->origins);
  g_free(l->views);
}
