#include "store-sqlite-latest.h"

#include <sodium.h>
#include <string.h>

#define FIRST_SIZE 320

typedef struct {
  uint64_t high;
  uint64_t row_low;           /* row in the upper 56 bits, rest of the key below; 0: empty */
} Slot;

struct MalLatest {
  uint8_t secret[MAL_LATEST_SECRET];
  Slot *slots;
  size_t size;                /* at most seven eighths are taken */
  size_t count;
};

MalLatest *mal_latest_new(const uint8_t secret[MAL_LATEST_SECRET])
{
  MalLatest *latest = g_new0(MalLatest, 1);
  memcpy(latest->secret, secret, sizeof latest->secret);
  latest->size = FIRST_SIZE;
  latest->slots = g_new0(Slot, latest->size);
  return latest;
}

void mal_latest_free(MalLatest *latest)
{
  if (!latest)
    return;
  g_free(latest->slots);
  g_free(latest);
}

MalLatestKey mal_latest_key(const MalLatest *latest, const void *bytes, size_t length)
{
  uint8_t hash[crypto_shorthash_siphashx24_BYTES];
  MalLatestKey key;
  crypto_shorthash_siphashx24(hash, bytes, length, latest->secret);
  memcpy(&key.high, hash, sizeof key.high);
  key.low = hash[sizeof key.high];
  return key;
}

/* In the order of the hash, so that a table grows from its beginning to its end, in small steps. */
static size_t home_of(const MalLatest *latest, uint64_t high)
{
  __extension__ typedef unsigned __int128 Wide;
  return (size_t)((Wide)high * latest->size >> 64);
}

static size_t after(const MalLatest *latest, size_t i)
{
  return i + 1 == latest->size ? 0 : i + 1;
}

static size_t distance(const MalLatest *latest, size_t from, size_t to)
{
  return to >= from ? to - from : to + latest->size - from;
}

static size_t find(const MalLatest *latest, MalLatestKey key)
{
  size_t i = home_of(latest, key.high);
  while (latest->slots[i].row_low
         && (latest->slots[i].high != key.high || (uint8_t)latest->slots[i].row_low != key.low))
    i = after(latest, i);
  return i;
}

static void grow(MalLatest *latest)
{
  Slot *old = latest->slots;
  size_t old_size = latest->size;
  latest->size += old_size / 4;
  latest->slots = g_new0(Slot, latest->size);
  for (size_t i = 0; i < old_size; i++) {
    if (old[i].row_low) {
      MalLatestKey key = { .high = old[i].high, .low = (uint8_t)old[i].row_low };
      latest->slots[find(latest, key)] = old[i];
    }
  }
  g_free(old);
}

uint64_t mal_latest_set(MalLatest *latest, MalLatestKey key, uint64_t row)
{
  size_t i = find(latest, key);
  uint64_t before = latest->slots[i].row_low >> 8;
  if (!latest->slots[i].row_low) {
    if ((latest->count + 1) * 8 > latest->size * 7) {
      grow(latest);
      i = find(latest, key);
    }
    latest->count++;
  }
  latest->slots[i] = (Slot){ .high = key.high, .row_low = row << 8 | key.low };
  return before;
}

void mal_latest_prefetch(const MalLatest *latest, MalLatestKey key)
{
  __builtin_prefetch(&latest->slots[home_of(latest, key.high)], 1);
}

uint64_t mal_latest_get(const MalLatest *latest, MalLatestKey key)
{
  return latest->slots[find(latest, key)].row_low >> 8;
}

/* Slots behind the gap move up where that is on their way, so that no tombstones are needed. */
uint64_t mal_latest_remove(MalLatest *latest, MalLatestKey key)
{
  size_t gap = find(latest, key);
  uint64_t before = latest->slots[gap].row_low >> 8;
  if (!latest->slots[gap].row_low)
    return 0;
  for (size_t i = after(latest, gap); latest->slots[i].row_low; i = after(latest, i)) {
    size_t home = home_of(latest, latest->slots[i].high);
    if (distance(latest, home, i) >= distance(latest, gap, i)) {
      latest->slots[gap] = latest->slots[i];
      gap = i;
    }
  }
  latest->slots[gap] = (Slot){ 0 };
  latest->count--;
  return before;
}

void mal_latest_clear(MalLatest *latest)
{
  if (latest->count > 0)
    memset(latest->slots, 0, latest->size * sizeof *latest->slots);
  latest->count = 0;
}

size_t mal_latest_count(const MalLatest *latest)
{
  return latest->count;
}
