#include "store-sqlite-latest.h"

#include "table.h"

#include <sodium.h>
#include <string.h>

#define FIRST_SIZE 320

typedef struct {
  uint64_t high;
  uint64_t row_low;           /* row in the upper 56 bits, rest of the key below; 0: free */
} Cell;

struct MalLatest {
  uint8_t secret[MAL_LATEST_SECRET];
  MalTable table;
};

static bool cell_taken(const void *cell)
{
  return ((const Cell *)cell)->row_low != 0;
}

static uint64_t cell_hash(const void *cell)
{
  return ((const Cell *)cell)->high;
}

static bool cell_same(const void *cell, const void *key, const void *data)
{
  const MalLatestKey *wanted = key;
  const Cell *c = cell;
  (void)data;
  return c->high == wanted->high && (uint8_t)c->row_low == wanted->low;
}

static const MalTableKind cells = {
  .octets = sizeof(Cell), .taken = cell_taken, .hash = cell_hash, .same = cell_same,
};

static uint64_t row_of(const Cell *cell)
{
  return cell ? cell->row_low >> 8 : 0;
}

static Cell *find(const MalLatest *latest, MalLatestKey key)
{
  return mal_table_find(&latest->table, &cells, key.high, &key, NULL);
}

MalLatest *mal_latest_new(const uint8_t secret[MAL_LATEST_SECRET])
{
  MalLatest *latest = g_new0(MalLatest, 1);
  memcpy(latest->secret, secret, sizeof latest->secret);
  mal_table_init(&latest->table, &cells, FIRST_SIZE);
  return latest;
}

void mal_latest_free(MalLatest *latest)
{
  if (!latest)
    return;
  mal_table_free(&latest->table);
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

uint64_t mal_latest_set(MalLatest *latest, MalLatestKey key, uint64_t row)
{
  Cell *cell = find(latest, key);
  uint64_t before = row_of(cell);
  if (!cell)
    cell = mal_table_add(&latest->table, &cells, key.high);
  *cell = (Cell){ .high = key.high, .row_low = row << 8 | key.low };
  return before;
}

void mal_latest_prefetch(const MalLatest *latest, MalLatestKey key)
{
  mal_table_prefetch(&latest->table, &cells, key.high);
}

uint64_t mal_latest_get(const MalLatest *latest, MalLatestKey key)
{
  return row_of(find(latest, key));
}

uint64_t mal_latest_remove(MalLatest *latest, MalLatestKey key)
{
  Cell *cell = find(latest, key);
  uint64_t before = row_of(cell);
  if (cell)
    mal_table_remove(&latest->table, &cells, cell);
  return before;
}

void mal_latest_clear(MalLatest *latest)
{
  mal_table_clear(&latest->table, &cells);
}

size_t mal_latest_count(const MalLatest *latest)
{
  return latest->table.count;
}
