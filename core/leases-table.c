#include "leases-internal.h"

#include <sodium.h>
#include <string.h>

/* ---- slots ------------------------------------------------------------------------------------------ */

Slot *leases_slot(const MalLeases *l, uint32_t handle)
{
  Slot *chunk = g_ptr_array_index(l->chunks, handle >> CHUNK_BITS);
  return &chunk[handle & (CHUNK_SIZE - 1)];
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
    g_ptr_array_add(l->chunks, g_new0(Slot, CHUNK_SIZE));
  return handle;
}

MalLeaseId leases_id(const Slot *slot)
{
  const uint8_t *bytes = slot->id_length > SLOT_ID_INLINE ? slot->id.outside : slot->id.inside;
  return (MalLeaseId){ bytes, slot->id_length };
}

/* ---- hash: open addressing, linear probing, keyed so that nobody outside can aim at a chain ---------- */

static uint32_t tag_of(const MalLeases *l, MalLeaseId id)
{
  uint8_t out[crypto_shorthash_BYTES];
  uint32_t tag;
  crypto_shorthash(out, id.bytes, id.length, l->hash_key);
  memcpy(&tag, out, sizeof tag);
  return tag;
}

static void bucket_put(Bucket *buckets, uint32_t mask, Bucket b)
{
  uint32_t i = b.tag & mask;
  while (buckets[i].slot)
    i = (i + 1) & mask;
  buckets[i] = b;
}

static void grow_buckets(MalLeases *l)
{
  uint32_t mask = l->bucket_mask * 2 + 1;
  Bucket *buckets = g_new0(Bucket, (size_t)mask + 1);
  for (uint32_t i = 0; i <= l->bucket_mask; i++)
    if (l->buckets[i].slot)
      bucket_put(buckets, mask, l->buckets[i]);
  g_free(l->buckets);
  l->buckets = buckets;
  l->bucket_mask = mask;
}

static bool find_bucket(const MalLeases *l, MalLeaseId id, uint32_t *at)
{
  uint32_t tag = tag_of(l, id);
  for (uint32_t i = tag & l->bucket_mask; l->buckets[i].slot; i = (i + 1) & l->bucket_mask)
    if (l->buckets[i].tag == tag && mal_lease_id_equal(leases_id(leases_slot(l, l->buckets[i].slot)), id)) {
      *at = i;
      return true;
    }
  return false;
}

uint32_t leases_find(const MalLeases *l, MalLeaseId id)
{
  uint32_t at;
  return find_bucket(l, id, &at) ? l->buckets[at].slot : 0;
}

/* Moves later members of the chain back over the hole, so that no tombstones pile up. */
static void remove_bucket(MalLeases *l, uint32_t hole)
{
  uint32_t mask = l->bucket_mask;
  for (uint32_t i = (hole + 1) & mask; l->buckets[i].slot; i = (i + 1) & mask) {
    uint32_t home = l->buckets[i].tag & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      l->buckets[hole] = l->buckets[i];
      hole = i;
    }
  }
  l->buckets[hole] = (Bucket){ 0, 0 };
  l->bucket_count--;
}

uint32_t leases_slot_new(MalLeases *l, MalLeaseId id)
{
  if ((l->bucket_count + 1) * 4ull > (l->bucket_mask + 1ull) * 3)
    grow_buckets(l);
  uint32_t handle = take_slot(l);
  Slot *slot = leases_slot(l, handle);
  memset(slot, 0, sizeof *slot);
  slot->flags = SLOT_USED;
  slot->id_length = (uint8_t)id.length;
  if (id.length > SLOT_ID_INLINE)
    slot->id.outside = g_memdup2(id.bytes, id.length);
  else
    memcpy(slot->id.inside, id.bytes, id.length);
  bucket_put(l->buckets, l->bucket_mask, (Bucket){ handle, tag_of(l, id) });
  l->bucket_count++;
  return handle;
}

/* ---- heap by lapse ------------------------------------------------------------------------------------ */

MalTime leases_held_from(const Slot *slot)
{
  return mal_time_add(slot->start, -(int64_t)slot->pad);
}

MalTime leases_held_until(const Slot *slot)
{
  return mal_time_add(slot->end, slot->pad);
}

MalTime leases_lapse(const Slot *slot)
{
  return slot->flags & MAL_LEASE_HELD ? slot->granted : leases_held_until(slot);
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
  MalTime lapse = leases_lapse(leases_slot(l, handle));
  while (place > 0) {
    uint32_t parent = (place - 1) / 2;
    if (leases_lapse(leases_slot(l, heap_at(l, parent))) <= lapse)
      break;
    heap_set(l, place, heap_at(l, parent));
    place = parent;
  }
  heap_set(l, place, handle);
}

static void sift_down(MalLeases *l, uint32_t place)
{
  uint32_t handle = heap_at(l, place);
  MalTime lapse = leases_lapse(leases_slot(l, handle));
  for (;;) {
    uint32_t child = place * 2 + 1;
    if (child >= l->heap->len)
      break;
    if (child + 1 < l->heap->len &&
        leases_lapse(leases_slot(l, heap_at(l, child + 1))) < leases_lapse(leases_slot(l, heap_at(l, child))))
      child++;
    if (leases_lapse(leases_slot(l, heap_at(l, child))) >= lapse)
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
  uint32_t at;
  if (find_bucket(l, leases_id(slot), &at))
    remove_bucket(l, at);
  heap_remove(l, slot->heap_place);
  if (slot->id_length > SLOT_ID_INLINE)
    g_free(slot->id.outside);
  if (slot->n_blocks > 1)
    g_free(slot->blocks.many);
  slot->flags = 0;
  g_array_append_val(l->free_slots, handle);
}

/* ---- what a slot says ----------------------------------------------------------------------------------- */

static void split(MalU128 value, uint64_t *high, uint64_t *low)
{
  *high = (uint64_t)(value >> 64);
  *low = (uint64_t)value;
}

static MalU128 join(uint64_t high, uint64_t low)
{
  return (MalU128)high << 64 | low;
}

void leases_set_blocks(Slot *slot, const MalBlock *blocks, size_t n)
{
  slot->n_blocks = (uint16_t)n;
  if (n > 1) {
    slot->blocks.many = g_memdup2(blocks, n * sizeof *blocks);
  } else {
    split(blocks[0].first.value, &slot->blocks.one.high, &slot->blocks.one.low);
    slot->count = blocks[0].count;
  }
}

MalBlock leases_block(const MalLeases *l, const Slot *slot, size_t n)
{
  if (slot->n_blocks > 1)
    return slot->blocks.many[n];
  MalFamily family = mal_scope_set_at(l->scopes, slot->scope)->span.first.family;
  return mal_block_make(mal_address_make(family, join(slot->blocks.one.high, slot->blocks.one.low)), slot->count);
}

uint64_t leases_slot_addresses(const MalLeases *l, const Slot *slot)
{
  uint64_t n = 0;
  for (size_t i = 0; i < slot->n_blocks; i++)
    n += leases_block(l, slot, i).count;
  return n;
}

MalAddress leases_client(const Slot *slot)
{
  if (slot->client_family == MAL_FAMILY_NONE)
    return mal_address_none();
  return mal_address_make((MalFamily)slot->client_family, join(slot->client_high, slot->client_low));
}

void leases_set_client(Slot *slot, MalAddress client)
{
  slot->client_family = (uint8_t)client.family;
  split(client.value, &slot->client_high, &slot->client_low);
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
  if (slot->n_blocks == 1) {
    /* A handful of views stay valid at once: callers compare two leases, or print one while taking another. */
    unsigned *turn = (unsigned *)(void *)&l->views[VIEWS];
    scratch = &l->views[(*turn)++ % VIEWS];
    *scratch = leases_block(l, slot, 0);
  }
  *out = (MalLease){
    .id = leases_id(slot),
    .scope = mal_scope_set_at(l->scopes, slot->scope)->id,
    .blocks = slot->n_blocks > 1 ? slot->blocks.many : scratch,
    .n_blocks = slot->n_blocks,
    .start = slot->start,
    .end = slot->end,
    .pad = slot->pad,
    .granted = slot->granted,
    .client = leases_client(slot),
    .origin = g_ptr_array_index(l->origins, slot->origin),
    .flags = slot->flags & (MAL_LEASE_SHARED | MAL_LEASE_HELD | MAL_LEASE_PENDING),
  };
}

/* ---- addresses by client ----------------------------------------------------------------------------------- */

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
  split(client.value, &key.high, &key.low);
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
  MalAddress client = leases_client(slot);
  bool held = slot->flags & MAL_LEASE_HELD;
  uint64_t addresses = (uint64_t)(sign * (int64_t)leases_slot_addresses(l, slot));
  if (client.family == MAL_FAMILY_NONE)
    return;
  use(l, client, ALL_SCOPES, held, addresses);
  if (held)
    use(l, client, slot->scope, held, addresses);
}

uint64_t mal_leases_client_addresses(const MalLeases *l, MalAddress client)
{
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
  l->chunks = g_ptr_array_new_with_free_func(g_free);
  l->free_slots = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  l->heap = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  l->by_scope = g_array_new(FALSE, TRUE, sizeof(MalLeaseTotals));
  l->used_slots = 1;
  g_ptr_array_add(l->chunks, g_new0(Slot, CHUNK_SIZE));
  l->bucket_mask = 255;
  l->buckets = g_new0(Bucket, l->bucket_mask + 1);
  l->clients = g_hash_table_new_full(client_hash, client_equal, g_free, NULL);
  l->origins = g_ptr_array_new_with_free_func(g_free);
  l->views = g_new0(MalBlock, VIEWS + 1);
}

void leases_table_clear(MalLeases *l)
{
  for (uint32_t i = 1; i < l->used_slots; i++) {
    Slot *slot = leases_slot(l, i);
    if (!(slot->flags & SLOT_USED))
      continue;
    if (slot->id_length > SLOT_ID_INLINE)
      g_free(slot->id.outside);
    if (slot->n_blocks > 1)
      g_free(slot->blocks.many);
  }
  g_ptr_array_unref(l->chunks);
  g_array_unref(l->free_slots);
  g_array_unref(l->heap);
  g_array_unref(l->by_scope);
  g_free(l->buckets);
  g_hash_table_unref(l->clients);
  g_ptr_array_unref(l->origins);
  g_free(l->views);
}
