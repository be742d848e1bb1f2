/* A store on a simulated disk: the contract of core/store.h without SQLite, fast enough for
   thousands of daemons in one process.

   One batch is one frame (length, checksum, changes) at the end of the disk named "journal". A
   simulated worker appends the frame and, in a job of its own, syncs it, so that a crash can come
   between the two; only then is the batch durable. Loading stops at the first frame that is not
   whole, and cuts it off: a torn last write is a batch that never was. A batch that fails is cut
   off, too, before anything else is written. */
#ifndef MAL_SIM_STORE_H
#define MAL_SIM_STORE_H

#include "core/store.h"
#include "sim.h"

G_BEGIN_DECLS

/* Syncs what a process that was killed had written: opened, it is believed. False where the disk
   doesn't: then the store can't be opened yet. NODE may be down. */
bool mal_sim_store_sync(MalSimNode *node, GError **error);
/* On NODE, which must be up, and whose disk can be synced. What can't be read is cut off. Of a node
   that crashed, close it all the same: that frees it and does nothing else. */
MalStore *mal_sim_store_open(MalSimNode *node);
/* Is a lease with this identifier durable (and neither dropped nor overwritten)? Then OUT (may be
   NULL) is a view of it that stays valid until the store's next turn. What a test may believe of an
   acknowledged lease. */
bool mal_sim_store_get(MalStore *store, MalLeaseId id, MalLease *out);
/* How many leases are durable, ended ones included. */
size_t mal_sim_store_leases(MalStore *store);

G_END_DECLS
#endif
