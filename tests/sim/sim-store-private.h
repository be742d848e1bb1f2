/* Shared by tests/sim/sim-store*.c only: what a frame of the journal holds. */
#ifndef MAL_SIM_STORE_PRIVATE_H
#define MAL_SIM_STORE_PRIVATE_H

#include "core/store.h"
#include "core/wire.h"

/* A change as it stands in a frame. */
typedef struct {
  uint64_t order;             /* when it was made */
  char *scope, *origin;
  uint8_t *id;
  MalBlock *blocks;
  MalLease lease;             /* views of these */
} Kept;

typedef struct {
  uint64_t order;
  char *owner, *kind;
  GBytes *key, *value;
} KeptRecord;

enum { PUT_LEASE = 1, DROP_LEASE, PUT_RECORD, DROP_RECORD };

/* Big-endian. */
void sim_store_put(GByteArray *out, uint64_t value, unsigned octets);
/* With their number before them; so sim_store_read_bytes. */
void sim_store_put_bytes(GByteArray *out, const void *bytes, size_t length);
void sim_store_put_lease(GByteArray *out, const MalLease *lease);
const uint8_t *sim_store_read_bytes(MalReader *r, size_t *length);
char *sim_store_read_text(MalReader *r);       /* the caller frees */
Kept *sim_store_read_lease(MalReader *r);
void sim_store_kept_free(void *data);
void sim_store_record_free(void *data);
GBytes *sim_store_record_key(const char *owner, const char *kind, const void *key, size_t length);

#endif
