/* The memory of the response cache comes in chunks that are never moved, so an entry's address and
   slot hold until it is dropped. Cookies carry a generation, so that an answer for a dropped entry
   finds nothing. */
#include "madcap-server-cache.h"

#include <string.h>

#define CHUNK 128
#define FIRST_BUCKETS 1024
/* Most of what is looked up is not there: an empty bucket says so without a look at an entry, which
   would have to come from far away in memory. */
#define BUCKETS_PER_ENTRY 4

static MadcapEntry *at(const MadcapCache *cache, uint32_t link)
{
  if (link == 0)
    return NULL;
  MadcapEntry *chunk = g_ptr_array_index(cache->chunks, (link - 1) / CHUNK);
  return &chunk[(link - 1) % CHUNK];
}

static uint32_t link_of(const MadcapEntry *entry)
{
  return entry->slot + 1;
}

void madcap_cache_init(MadcapCache *cache, const MalHashKey *key)
{
  *cache = (MadcapCache){ .key = *key, .chunks = g_ptr_array_new_with_free_func(g_free) };
  cache->n_buckets = FIRST_BUCKETS;
  cache->buckets = g_new0(uint32_t, FIRST_BUCKETS);
}

void madcap_cache_clear(MadcapCache *cache)
{
  for (guint i = 0; i < cache->chunks->len * CHUNK; i++) {
    MadcapEntry *entry = at(cache, i + 1);
    if (!entry->used)
      continue;
    if (entry->id != entry->id_inline)
      g_free(entry->id);
    if (entry->reply != entry->reply_inline)
      g_free(entry->reply);
  }
  g_ptr_array_unref(cache->chunks);
  g_free(cache->buckets);
}

void madcap_cache_bound(MadcapCache *cache, size_t entries, size_t octets, int64_t interval_seconds)
{
  cache->max_entries = entries;
  cache->max_octets = octets;
  cache->interval = interval_seconds * INT64_C(1000000);
}

static uint64_t hash_of(const MadcapCache *cache, uint32_t xid, uint8_t type, MalLeaseId id)
{
  uint8_t key[5 + MAL_LEASE_ID_MAX];

  memcpy(key, &xid, 4);
  key[4] = type;
  memcpy(key + 5, id.bytes, id.length);
  return mal_hash_keyed(&cache->key, key, 5 + id.length);
}

static uint32_t *bucket(const MadcapCache *cache, uint64_t hash)
{
  return &cache->buckets[hash & (cache->n_buckets - 1)];
}

static void grow(MadcapCache *cache)
{
  g_free(cache->buckets);
  cache->n_buckets *= 2;
  cache->buckets = g_new0(uint32_t, cache->n_buckets);
  for (guint i = 0; i < cache->chunks->len * CHUNK; i++) {
    MadcapEntry *entry = at(cache, i + 1);
    if (!entry->used)
      continue;
    uint32_t *head = bucket(cache, entry->hash);
    entry->chain = *head;
    *head = link_of(entry);
  }
}

static void add_chunk(MadcapCache *cache)
{
  MadcapEntry *chunk = g_new0(MadcapEntry, CHUNK);
  uint32_t base = cache->chunks->len * CHUNK;

  g_ptr_array_add(cache->chunks, chunk);
  for (uint32_t i = CHUNK; i-- > 0;) {
    chunk[i].slot = base + i;
    chunk[i].newer = cache->free_head;
    cache->free_head = link_of(&chunk[i]);
  }
}

/* ---- the list of the done, by age; that of the waiting --------------------------------------- */

static void unlink_done(MadcapCache *cache, MadcapEntry *entry)
{
  MadcapEntry *older = at(cache, entry->older), *newer = at(cache, entry->newer);

  *(older != NULL ? &older->newer : &cache->oldest) = entry->newer;
  *(newer != NULL ? &newer->older : &cache->newest) = entry->older;
  cache->done--;
}

static void unlink_waiting(MadcapCache *cache, MadcapEntry *entry)
{
  MadcapEntry *older = at(cache, entry->older), *newer = at(cache, entry->newer);

  *(older != NULL ? &older->newer : &cache->waits) = entry->newer;
  if (newer != NULL)
    newer->older = entry->older;
  entry->waiting = false;
  cache->n_waits--;
}

void madcap_cache_wait(MadcapCache *cache, MadcapEntry *entry, int64_t deadline)
{
  MadcapEntry *head = at(cache, cache->waits);

  entry->deadline = deadline;
  entry->waiting = true;
  entry->older = 0;
  entry->newer = cache->waits;
  if (head != NULL)
    head->older = link_of(entry);
  cache->waits = link_of(entry);
  cache->n_waits++;
}

MadcapEntry *madcap_cache_waiting(MadcapCache *cache, MalLeaseId id)
{
  for (MadcapEntry *e = at(cache, cache->waits); e != NULL; e = at(cache, e->newer))
    if (mal_lease_id_equal(madcap_entry_id(e), id))
      return e;
  return NULL;
}

MadcapEntry *madcap_cache_waiting_due(MadcapCache *cache, int64_t mono)
{
  for (MadcapEntry *e = at(cache, cache->waits); e != NULL; e = at(cache, e->newer))
    if (e->deadline <= mono)
      return e;
  return NULL;
}

/* ---- life of an entry ------------------------------------------------------------------------ */

void madcap_cache_drop(MadcapCache *cache, MadcapEntry *entry)
{
  uint32_t *link = bucket(cache, entry->hash);

  while (*link != link_of(entry))
    link = &at(cache, *link)->chain;
  *link = entry->chain;
  if (entry->done)
    unlink_done(cache, entry);
  else if (entry->waiting)
    unlink_waiting(cache, entry);
  cache->octets -= sizeof *entry;
  if (entry->id != entry->id_inline) {
    cache->octets -= entry->id_length;
    g_free(entry->id);
  }
  if (entry->reply != NULL && entry->reply != entry->reply_inline) {
    cache->octets -= entry->reply_length;
    g_free(entry->reply);
  }
  entry->used = false;
  entry->newer = cache->free_head;
  cache->free_head = link_of(entry);
  cache->entries--;
}

static void evict_oldest(MadcapCache *cache)
{
  madcap_cache_drop(cache, at(cache, cache->oldest));
  cache->evicted++;
}

void madcap_cache_expire(MadcapCache *cache, int64_t mono)
{
  for (MadcapEntry *e = at(cache, cache->oldest); e != NULL && e->deadline <= mono;
       e = at(cache, cache->oldest))
    madcap_cache_drop(cache, e);
}

MadcapEntry *madcap_cache_add(MadcapCache *cache, uint32_t xid, uint8_t type, MalLeaseId id,
                              int64_t mono)
{
  madcap_cache_expire(cache, mono);
  while (cache->done > 0 && (cache->entries >= cache->max_entries ||
                             cache->octets + sizeof(MadcapEntry) > cache->max_octets))
    evict_oldest(cache);
  if (cache->entries >= cache->max_entries ||
      cache->octets + sizeof(MadcapEntry) > cache->max_octets)
    return NULL;
  if (cache->free_head == 0)
    add_chunk(cache);
  if (cache->entries * BUCKETS_PER_ENTRY >= cache->n_buckets)
    grow(cache);
  MadcapEntry *entry = at(cache, cache->free_head);
  uint32_t slot = entry->slot, generation = (uint32_t)(entry->cookie >> 32) + 1;
  cache->free_head = entry->newer;
  memset(entry, 0, offsetof(MadcapEntry, id_inline));
  entry->slot = slot;
  entry->cookie = (uint64_t)MAX(generation, 1u) << 32 | slot;
  entry->used = true;
  entry->xid = xid;
  entry->type = type;
  entry->id_length = (uint8_t)id.length;
  entry->id = id.length <= sizeof entry->id_inline ? entry->id_inline : g_malloc(id.length);
  memcpy(entry->id, id.bytes, id.length);
  entry->hash = hash_of(cache, xid, type, id);
  uint32_t *head = bucket(cache, entry->hash);
  entry->chain = *head;
  *head = link_of(entry);
  cache->entries++;
  cache->octets += sizeof *entry + (entry->id == entry->id_inline ? 0 : id.length);
  return entry;
}

static bool may_have(const MadcapEntry *entry, MalAddress source)
{
  if ((entry->flags & MADCAP_ENTRY_PICKY) == 0)
    return true;
  return entry->peer_family == source.family &&
         entry->peer_high == (uint64_t)(source.value >> 64) &&
         entry->peer_low == (uint64_t)source.value;
}

MadcapEntry *madcap_cache_find(MadcapCache *cache, uint32_t xid, uint8_t type, MalLeaseId id,
                               MalAddress source, int64_t mono)
{
  uint64_t hash = hash_of(cache, xid, type, id);

  for (MadcapEntry *e = at(cache, *bucket(cache, hash)); e != NULL; e = at(cache, e->chain)) {
    if (e->hash != hash || e->xid != xid || e->type != type || (e->done && e->deadline <= mono))
      continue;
    if (mal_lease_id_equal(madcap_entry_id(e), id) && may_have(e, source))
      return e;
  }
  return NULL;
}

MadcapEntry *madcap_cache_by_cookie(MadcapCache *cache, uint64_t cookie)
{
  uint32_t slot = (uint32_t)cookie;

  if (slot >= cache->chunks->len * CHUNK)
    return NULL;
  MadcapEntry *entry = at(cache, slot + 1);
  return entry->used && !entry->done && entry->cookie == cookie ? entry : NULL;
}

void madcap_cache_disown(MadcapEntry *entry)
{
  entry->cookie += UINT64_C(1) << 32;
}

void madcap_cache_from(MadcapEntry *entry, const MadcapArrival *from)
{
  entry->from = *from;
  entry->peer_family = (uint8_t)from->peer.address.family;
  entry->peer_high = (uint64_t)(from->peer.address.value >> 64);
  entry->peer_low = (uint64_t)from->peer.address.value;
}

void madcap_cache_reply(MadcapCache *cache, MadcapEntry *entry, const uint8_t *data, size_t length)
{
  if (entry->reply != NULL && entry->reply != entry->reply_inline) {
    cache->octets -= entry->reply_length;
    g_free(entry->reply);
  }
  entry->reply = entry->reply_inline;
  if (entry->waiting || length > sizeof entry->reply_inline) {
    entry->reply = g_malloc(length);
    cache->octets += length;
  }
  memcpy(entry->reply, data, length);
  entry->reply_length = length;
}

void madcap_cache_finish(MadcapCache *cache, MadcapEntry *entry, int64_t mono)
{
  if (entry->reply == NULL || cache->interval == 0) {
    madcap_cache_drop(cache, entry);
    return;
  }
  if (entry->waiting)
    unlink_waiting(cache, entry);
  MadcapEntry *newest = at(cache, cache->newest);
  entry->done = true;
  entry->deadline = mono + cache->interval;
  entry->newer = 0;
  entry->older = cache->newest;
  *(newest != NULL ? &newest->newer : &cache->oldest) = link_of(entry);
  cache->newest = link_of(entry);
  cache->done++;
  while (cache->octets > cache->max_octets && cache->done > 1)
    evict_oldest(cache);
}

int64_t madcap_cache_due(const MadcapCache *cache)
{
  const MadcapEntry *oldest = at(cache, cache->oldest);
  int64_t due = oldest != NULL ? oldest->deadline : INT64_MAX;

  for (const MadcapEntry *e = at(cache, cache->waits); e != NULL; e = at(cache, e->newer))
    due = MIN(due, e->deadline);
  return due;
}
