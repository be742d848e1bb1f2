#include "store-sqlite.h"

#include <string.h>

#define ARENA_FIRST ((size_t)64 << 10)
#define ARENA_KEEP ((size_t)8 << 20)

void mal_arena_free(MalArena *arena)
{
  g_free(arena->bytes);
  *arena = (MalArena){ 0 };
}

void mal_arena_clear(MalArena *arena)
{
  if (arena->size > ARENA_KEEP)
    mal_arena_free(arena);
  arena->used = 0;
  arena->changes = 0;
}

static uint8_t *reserve(MalArena *arena, size_t length)
{
  if (arena->size - arena->used < length) {
    size_t size = MAX(arena->size, ARENA_FIRST);
    while (size - arena->used < length)
      size *= 2;
    arena->bytes = g_realloc(arena->bytes, size);
    arena->size = size;
  }
  return arena->bytes + arena->used;
}

/* Closes the change whose octets end at END. */
static void close_change(MalArena *arena, MalChange *change, uint8_t *end)
{
  size_t length = (size_t)(end - (uint8_t *)change);
  size_t padded = (length + 7) & ~(size_t)7;
  memset(end, 0, padded - length);
  change->size = (uint32_t)padded;
  arena->used += padded;
  arena->changes++;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
  if (length)
    memcpy(at, bytes, length);
  return at + length;
}

static uint8_t *put_blocks(uint8_t *at, const MalLease *lease)
{
  for (size_t i = 0; i < lease->n_blocks; i++) {
    if (i)
      *at++ = ',';
    mal_block_format(lease->blocks[i], (char *)at);
    at += strlen((char *)at);
  }
  return at;
}

static uint16_t text_length(const char *text)
{
  size_t length = text ? strlen(text) : 0;
  g_assert(length <= UINT16_MAX);
  return (uint16_t)length;
}

void mal_arena_put_lease(MalArena *arena, MalTime at, const MalLease *lease)
{
  g_assert(lease->id.length >= 1 && lease->id.length <= MAL_LEASE_ID_MAX);
  g_assert(lease->n_blocks >= 1 && lease->n_blocks <= MAL_STORE_OCTETS_MAX / (MAL_SPAN_STRLEN + 1));
  char client[MAL_ADDRESS_STRLEN] = "";
  if (lease->client.family != MAL_FAMILY_NONE)
    mal_address_format(lease->client, client);
  MalLeaseRow head = {
    .change = { .kind = MAL_CHANGE_PUT_LEASE, .at = at },
    .start = lease->start,
    .end = lease->end,
    .granted = lease->granted,
    .pad = lease->pad,
    .flags = lease->flags & (uint32_t)~(MAL_LEASE_HELD | MAL_LEASE_PENDING),
    .id = (uint16_t)lease->id.length,
    .scope = text_length(lease->scope),
    .client = text_length(client),
    .origin = text_length(lease->origin),
  };
  size_t room = sizeof head + head.id + head.scope + head.client + head.origin
                + lease->n_blocks * (MAL_SPAN_STRLEN + 1) + 8;
  uint8_t *start = reserve(arena, room);
  uint8_t *p = put(start + sizeof head, lease->id.bytes, head.id);
  p = put(p, lease->scope, head.scope);
  uint8_t *blocks = p;
  p = put_blocks(p, lease);
  head.blocks = (uint32_t)(p - blocks);
  p = put(p, client, head.client);
  p = put(p, lease->origin, head.origin);
  memcpy(start, &head, sizeof head);
  close_change(arena, (MalChange *)(void *)start, p);
}

void mal_arena_drop_lease(MalArena *arena, MalTime at, MalLeaseId id, const char *reason)
{
  g_assert(id.length >= 1 && id.length <= MAL_LEASE_ID_MAX);
  MalLeaseRow head = {
    .change = { .kind = MAL_CHANGE_DROP_LEASE, .at = at },
    .id = (uint16_t)id.length,
    .reason = text_length(reason),
  };
  uint8_t *start = reserve(arena, sizeof head + head.id + head.reason + 8);
  uint8_t *p = put(start + sizeof head, id.bytes, head.id);
  p = put(p, reason, head.reason);
  memcpy(start, &head, sizeof head);
  close_change(arena, (MalChange *)(void *)start, p);
}

void mal_arena_put_record(MalArena *arena, MalTime at, const MalRecord *record, bool drop)
{
  g_assert(record->key_length <= MAL_STORE_OCTETS_MAX
           && record->value_length <= MAL_STORE_OCTETS_MAX);
  MalRecordRow head = {
    .change = { .kind = drop ? MAL_CHANGE_DROP_RECORD : MAL_CHANGE_PUT_RECORD, .at = at },
    .owner = text_length(record->owner),
    .kind = text_length(record->kind),
    .key = (uint32_t)record->key_length,
    .value = (uint32_t)record->value_length,
  };
  uint8_t *start =
      reserve(arena, sizeof head + (size_t)head.owner + head.kind + head.key + head.value + 16);
  uint8_t *p = put(start + sizeof head, record->owner, head.owner);
  *p++ = '\0';
  p = put(p, record->kind, head.kind);
  *p++ = '\0';
  p = put(p, record->key, head.key);
  p = put(p, record->value, head.value);
  memcpy(start, &head, sizeof head);
  close_change(arena, (MalChange *)(void *)start, p);
}
