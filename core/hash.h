/* Hashing of what strangers choose (lease identifiers, source addresses): keyed, so that nobody
   outside can aim at one bucket. SipHash-2-4. */
#ifndef MAL_HASH_H
#define MAL_HASH_H

#include "api.h"

G_BEGIN_DECLS

/* From the runtime's randomness, once for each table or owner. */
typedef struct { uint8_t octets[16]; } MalHashKey;

MAL_API uint64_t mal_hash_keyed(const MalHashKey *key, const void *data, size_t length);

G_END_DECLS
#endif
