/* Which row of a journal is the newest for its key: 16 octets a key, in an open-addressing table
   under keyed hashes. Keys are known by 72 bits of SipHash-128 under a random key; that two of a
   million live keys meet has a chance of 1 in 10^10, and nobody outside can bring it about. Not
   installed. */
#ifndef MAL_STORE_SQLITE_LATEST_H
#define MAL_STORE_SQLITE_LATEST_H

#include "api.h"

#define MAL_LATEST_SECRET 16

typedef struct {
  uint64_t high;
  uint8_t low;
} MalLatestKey;

typedef struct MalLatest MalLatest;

MalLatest *mal_latest_new(const uint8_t secret[MAL_LATEST_SECRET]);
void mal_latest_free(MalLatest *latest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalLatest, mal_latest_free)
MalLatestKey mal_latest_key(const MalLatest *latest, const void *bytes, size_t length);
/* ROW: 1 to 2^56 - 1. Returns, as mal_latest_remove does, the row that was the newest; 0: none. */
uint64_t mal_latest_set(MalLatest *latest, MalLatestKey key, uint64_t row);
uint64_t mal_latest_get(const MalLatest *latest, MalLatestKey key);    /* 0: none */
uint64_t mal_latest_remove(MalLatest *latest, MalLatestKey key);
/* KEY will be set or removed soon: its place is far away in memory. */
void mal_latest_prefetch(const MalLatest *latest, MalLatestKey key);
void mal_latest_clear(MalLatest *latest);
size_t mal_latest_count(const MalLatest *latest);

#endif
