#include "store-sqlite-latest.h"

#include <sodium.h>
#include <string.h>

typedef struct {
  uint64_t high;
  uint64_t row_low;           /* row in the upper 56 bits, rest of the key below; 0: empty */
} Slot;

struct MalLatest {
  uint8_t secret[MAL_LATEST_SECRET];
  Slot *slots;
  size_t mask;
  size_t count;
};

MalLatest *mal_latest_new(const uint8_t secret[MAL_LATEST_SECRET])
{
  MalLatest *latest = g_new0(MalLatest, 1);
  memcpy(latest->secret, secret, sizeof latest->secret);
  latest->mask = 255;
  latest->slots = g_new0(Slot, latest->mask + 1);
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

static size_t find(const MalLatest *latest, MalLatestKey key)
{
  size_t i = (size_t)key.high & latest->mask;
  while (latest->slots[i].row_low
         && (latest->slots[i].high != key.high || (uint8_t)latest->slots[i].row_low != key.low))
    i = (i + 1) & latest->mask;
  return i;
}

static void grow(MalLatest *latest)
{
  Slot *old = latest->slots;
  size_t old_mask = latest->mask;
  latest->mask = old_mask * 2 + 1;
  latest->slots = g_new0(Slot, latest->mask + 1);
  for (size_t i = 0; i <= old_mask; i++) {
    if (old[i].row_low) {
      MalLatestKey key = { .high = old[i].high, .low = (uint8_t)old[i].row_low };
      latest->slots[find(latest, key)] = old[i];
    }
  }
  g_free(old);
}

void mal_latest_set(MalLatest *latest, MalLatestKey key, uint64_t row)
{
  size_t i = find(latest, key);
  if (!latest->slots[i].row_low) {
    if ((latest->count + 1) * 4 > (latest->mask + 1) * 3) {
      grow(latest);
      i = find(latest, key);
    }
    latest->count++;
  }
  latest->slots[i] = (Slot){ .high = key.high, .row_low = row << 8 | key.low };
}

uint64_t mal_latest_get(const MalLatest *latest, MalLatestKey key)
{
  return latest->slots[find(latest, key)].row_low >> 8;
}

/* Slots behind the gap move up where that is on their way, so that no tombstones are needed. */
void mal_latest_remove(MalLatest *latest, MalLatestKey key)
{
  size_t gap = find(latest, key);
  if (!latest->slots[gap].row_low)
    return;
  for (size_t i = (gap + 1) & latest->mask; latest->slots[i].row_low; i = (i + 1) & latest->mask) {
    size_t home = (size_t)latest->slots[i].high & latest->mask;
    if (((i - home) & latest->mask) >= ((i - gap) & latest->mask)) {
      latest->slots[gap] = latest->slots[i];
      gap = i;
    }
  }
  latest->slots[gap] = (Slot){ 0 };
  latest->count--;
}

size_t mal_latest_count(const MalLatest *latest)
{
  return latest->count;
}
