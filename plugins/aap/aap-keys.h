/* Inside of the key file, for aap-auth.c only. */
#ifndef AAP_KEYS_H
#define AAP_KEYS_H

#include "aap-auth.h"

#include <sodium.h>

typedef enum { AAP_KEY_SHARED, AAP_KEY_OWN, AAP_KEY_PEER } AapKeyKind;

typedef struct {
  char *name;
  AapKeyKind kind;
  bool send;
  uint32_t id;
  uint8_t secret[64]; /* shared: the first 32 */
  uint8_t public[32];
} AapKey;

struct AapKeys {
  unsigned references;
  GPtrArray *keys; /* AapKey */
  const AapKey *sender;
};

const AapKey *aap_keys_find(const AapKeys *keys, uint32_t id);

#endif
