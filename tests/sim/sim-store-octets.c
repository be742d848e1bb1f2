/* The changes of a simulated store as octets in its journal. */
#include "sim-store-private.h"

#include <string.h>

void sim_store_put(GByteArray *out, uint64_t value, unsigned octets)
{
  uint8_t bytes[8];
  for (unsigned i = 0; i < octets; i++)
    bytes[i] = (uint8_t)(value >> (8 * (octets - 1 - i)));
  g_byte_array_append(out, bytes, octets);
}

void sim_store_put_bytes(GByteArray *out, const void *bytes, size_t length)
{
  sim_store_put(out, length, 4);
  if (length > 0)
    g_byte_array_append(out, bytes, (guint)length);
}

static void put_address(GByteArray *out, MalAddress address)
{
  sim_store_put(out, (uint64_t)address.family, 1);
  sim_store_put(out, (uint64_t)(address.value >> 64), 8);
  sim_store_put(out, (uint64_t)address.value, 8);
}

void sim_store_put_lease(GByteArray *out, const MalLease *lease)
{
  sim_store_put_bytes(out, lease->id.bytes, lease->id.length);
  sim_store_put_bytes(out, lease->scope, strlen(lease->scope));
  sim_store_put_bytes(out, lease->origin, lease->origin ? strlen(lease->origin) : 0);
  sim_store_put(out, (uint64_t)lease->start, 8);
  sim_store_put(out, (uint64_t)lease->end, 8);
  sim_store_put(out, (uint64_t)lease->granted, 8);
  sim_store_put(out, (uint64_t)lease->pad, 8);
  sim_store_put(out, lease->flags & MAL_LEASE_SHARED, 4);
  put_address(out, lease->client);
  sim_store_put(out, lease->n_blocks, 4);
  for (size_t i = 0; i < lease->n_blocks; i++) {
    put_address(out, lease->blocks[i].first);
    sim_store_put(out, lease->blocks[i].count, 4);
  }
}

static MalAddress read_address(MalReader *r)
{
  MalFamily family = (MalFamily)mal_read_u8(r);
  MalU128 high = mal_read_u64(r);
  return mal_address_make(family, high << 64 | mal_read_u64(r));
}

const uint8_t *sim_store_read_bytes(MalReader *r, size_t *length)
{
  *length = mal_read_u32(r);
  return mal_read_bytes(r, *length);
}

char *sim_store_read_text(MalReader *r)
{
  size_t length;
  const uint8_t *text = sim_store_read_bytes(r, &length);
  return g_strndup((const char *)text, text ? length : 0);
}

void sim_store_kept_free(void *data)
{
  Kept *k = data;
  g_free(k->scope);
  g_free(k->origin);
  g_free(k->id);
  g_free(k->blocks);
  g_free(k);
}

void sim_store_record_free(void *data)
{
  KeptRecord *k = data;
  g_free(k->owner);
  g_free(k->kind);
  g_bytes_unref(k->key);
  g_bytes_unref(k->value);
  g_free(k);
}

Kept *sim_store_read_lease(MalReader *r)
{
  Kept *k = g_new0(Kept, 1);
  size_t length;
  const uint8_t *id = sim_store_read_bytes(r, &length);
  k->id = g_memdup2(id, id ? length : 0);
  k->lease.id = (MalLeaseId){ k->id, length };
  k->lease.scope = k->scope = sim_store_read_text(r);
  k->lease.origin = k->origin = sim_store_read_text(r);
  k->lease.start = (MalTime)mal_read_u64(r);
  k->lease.end = (MalTime)mal_read_u64(r);
  k->lease.granted = (MalTime)mal_read_u64(r);
  k->lease.pad = (int64_t)mal_read_u64(r);
  k->lease.flags = mal_read_u32(r);
  k->lease.client = read_address(r);
  size_t n = mal_read_u32(r);
  k->lease.n_blocks = MIN(n, mal_reader_left(r) / 21);
  k->lease.blocks = k->blocks = g_new0(MalBlock, k->lease.n_blocks);
  for (size_t i = 0; i < k->lease.n_blocks; i++) {
    MalAddress first = read_address(r);
    k->blocks[i] = mal_block_make(first, mal_read_u32(r));
  }
  return k;
}

GBytes *sim_store_record_key(const char *owner, const char *kind, const void *key, size_t length)
{
  GByteArray *out = g_byte_array_new();
  sim_store_put_bytes(out, owner, strlen(owner));
  sim_store_put_bytes(out, kind, strlen(kind));
  sim_store_put_bytes(out, key, length);
  return g_byte_array_free_to_bytes(out);
}
