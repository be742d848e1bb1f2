/* The store: durable before acknowledged. An interface with backends: SQLite (production), memory
   (the simulator, mallocctl --direct); a server database later.

   Changes are appended to the batch that is being gathered; each append returns the batch's ticket.
   A batch is handed over when mal_store_flush is called (or at the end of the loop's turn); while
   one batch is being written, the next gathers: group commit. Whoever must answer only once a
   change is durable keeps the ticket until the listener is told of it. The caller's memory is
   copied at once. */
#ifndef MAL_STORE_H
#define MAL_STORE_H

#include "model.h"
#include "runtime.h"

G_BEGIN_DECLS

typedef struct MalStore MalStore;
typedef uint64_t MalTicket;   /* counts batches from 1; 0: nothing */

/* Everything that isn't a lease: OWNER is "core" or a plugin's name, KIND its own word ("reserve",
   "peer"). Readers get neither key nor value as NULL, also where they have no octets. */
typedef struct {
  const char *owner;
  const char *kind;
  const uint8_t *key;
  size_t key_length;
  const uint8_t *value;
  size_t value_length;
} MalRecord;

#define MAL_STORE_OCTETS_MAX ((size_t)16 << 20)   /* a record's key, and its value */

/* ERROR NULL: all batches up to and with THROUGH are durable, except those that were told as failed
   before. Else: batch THROUGH failed and none of its changes counts; later batches may succeed.
   Called in order of tickets. A store that recovers calls once with the last durable ticket again
   and ERROR NULL: its state is OK from then on. */
typedef void (*MalStoreFunc)(MalTicket through, const GError *error, void *data);

typedef enum {
  MAL_STORE_OK,
  MAL_STORE_FAILING,          /* can't be written now; retried by itself, see mal_store_state */
} MalStoreState;

typedef struct {
  uint64_t batches, changes;  /* written / appended since the start */
  uint64_t failures;          /* batches that failed */
  uint64_t rows, bytes;       /* in the journals now, dead ones included; on disk */
  uint64_t compactions;       /* passes over a journal */
  int64_t last_commit_us;     /* how long the last one took */
  int64_t max_commit_us;
  uint64_t log_found;         /* octets of log that an end out of order had left, at the start */
} MalStoreCounters;

/* ---- for users ------------------------------------------------------------------------------- */

/* Reads everything that lives, leases that ended before NOT_ENDED_BEFORE excepted (held_until
   counts). Synchronous, before the first append, oldest change first. A callback that returns false
   stops with ERROR. Without LEASE, leases may be left unread; before the first append they must
   have been read once. */
typedef bool (*MalStoreLeaseFunc)(const MalLease *lease, void *data, GError **error);
typedef bool (*MalStoreRecordFunc)(const MalRecord *record, void *data, GError **error);
MAL_API bool mal_store_load(MalStore *store, MalTime not_ended_before, MalStoreLeaseFunc lease,
                            MalStoreRecordFunc record, void *data, GError **error);
/* The records of OWNER as they are now, at any time after a load: what is durable, and over it the
   changes on their way (one that fails later never was). The oldest change first. */
MAL_API bool mal_store_each_record(MalStore *store, const char *owner, MalStoreRecordFunc func,
                                   void *data, GError **error);
/* The lease as it is from now on / its end. `reason` ("released", "expired", "revoked") is kept for
   people. */
MAL_API MalTicket mal_store_put_lease(MalStore *store, const MalLease *lease);
MAL_API MalTicket mal_store_drop_lease(MalStore *store, MalLeaseId id, MalTime at,
                                       const char *reason);
MAL_API MalTicket mal_store_put_record(MalStore *store, const MalRecord *record);
MAL_API MalTicket mal_store_drop_record(MalStore *store, const char *owner, const char *kind,
                                        const uint8_t *key, size_t key_length);
/* Starts writing what was gathered, as soon as the batch on its way is done. */
MAL_API void mal_store_flush(MalStore *store);
/* Listeners are called in the order in which they registered; returns an id for removal. */
MAL_API unsigned mal_store_listen(MalStore *store, MalStoreFunc func, void *data);
MAL_API void mal_store_unlisten(MalStore *store, unsigned id);
MAL_API MalTicket mal_store_durable(const MalStore *store);
/* OUT_ERROR (may be NULL) borrows the last failure while the state is FAILING. While failing,
   appends still get tickets, which fail; asks the disk again now and then (back-off 1 s to 30 s)
   and says so through FUNC. */
MAL_API MalStoreState mal_store_state(const MalStore *store, const GError **out_error);
MAL_API MalStoreCounters mal_store_counters(const MalStore *store);
typedef void (*MalStoreDoneFunc)(const char *detail, const GError *error, void *data);
/* A consistent copy at PATH (must not exist) while the daemon runs. */
MAL_API void mal_store_backup(MalStore *store, const char *path, MalStoreDoneFunc done, void *data);
/* Integrity of the whole store; DETAIL is one line for people. */
MAL_API void mal_store_check(MalStore *store, MalStoreDoneFunc done, void *data);
/* Flushes, waits for what is on its way, closes. */
MAL_API void mal_store_close(MalStore *store);

/* ---- backends (not for plugins) -------------------------------------------------------------- */

typedef struct MalStoreOps MalStoreOps;
typedef struct MalRecords MalRecords;
struct MalStore { const MalStoreOps *ops; MalRecords *records; };
struct MalStoreOps {
  bool (*load)(MalStore *, MalTime, MalStoreLeaseFunc, MalStoreRecordFunc, void *, GError **);
  MalTicket (*put_lease)(MalStore *, const MalLease *);
  MalTicket (*drop_lease)(MalStore *, MalLeaseId, MalTime, const char *);
  MalTicket (*put_record)(MalStore *, const MalRecord *);
  MalTicket (*drop_record)(MalStore *, const char *, const char *, const uint8_t *, size_t);
  void (*flush)(MalStore *);
  unsigned (*listen)(MalStore *, MalStoreFunc, void *);
  void (*unlisten)(MalStore *, unsigned);
  MalTicket (*durable)(const MalStore *);
  MalStoreState (*state)(const MalStore *, const GError **);
  MalStoreCounters (*counters)(const MalStore *);
  void (*backup)(MalStore *, const char *, MalStoreDoneFunc, void *);
  void (*check)(MalStore *, MalStoreDoneFunc, void *);
  void (*close)(MalStore *);
};

/* STATE_DIR is made (0700) if missing, and locked: a second daemon on it gets MAL_ERROR_STORE
   naming the process that holds it. A newer schema, a corrupt or foreign file are refused with what
   to do. VFS: NULL, or the name of a registered SQLite VFS (tests inject faults). */
MAL_API MalStore *mal_store_sqlite_open(MalRuntime *rt, const char *state_dir, const char *vfs,
                                        GError **error);
/* Nothing survives; "durable" one turn of the loop later. */
MAL_API MalStore *mal_store_memory_new(MalRuntime *rt);
/* For tests of its users, on a memory store only. From now on batches fail with MESSAGE and the
   state is FAILING; NULL: they succeed again, which listeners hear one turn later. */
MAL_API void mal_store_memory_fail(MalStore *store, const char *message);
/* While held, batches wait as if for a slow disk. */
MAL_API void mal_store_memory_hold(MalStore *store, bool hold);

G_END_DECLS
#endif
