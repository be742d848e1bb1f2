#include "hash.h"

#include <sodium.h>
#include <string.h>

G_STATIC_ASSERT(crypto_shorthash_KEYBYTES == sizeof(MalHashKey));

uint64_t mal_hash_keyed(const MalHashKey *key, const void *data, size_t length)
{
  uint8_t out[crypto_shorthash_BYTES];
  uint64_t hash;

  crypto_shorthash(out, data, length, key->octets);
  memcpy(&hash, out, sizeof hash);
  return hash;
}
