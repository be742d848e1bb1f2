/* Transactions and the answers kept for their retransmissions (RFC 2730 2.1.4), bounded in number
   and octets.

   An entry is under way until somebody calls madcap_cache_finish; then it is kept for the cache's
   interval and given up earlier, oldest first, where room is wanted. Entries under way are never
   given up. Those that wait for space (madcap_cache_wait) can besides be found by their lease
   identifier alone. */
#ifndef MADCAP_SERVER_CACHE_H
#define MADCAP_SERVER_CACHE_H

#include "madcap-server.h"

G_BEGIN_DECLS

enum {
  MADCAP_ENTRY_FEATURES = 1 << 0,     /* the client sent a Feature List */
  MADCAP_ENTRY_SHARED = 1 << 1,       /* and wants Shared Lease Identifier */
  MADCAP_ENTRY_RETRY = 1 << 2,        /* and knows Retry After */
  MADCAP_ENTRY_START = 1 << 3,        /* it gave a Start Time */
  MADCAP_ENTRY_PICKY = 1 << 4,        /* the answer is for its own source only */
  MADCAP_ENTRY_LIVE = 1 << 5,         /* about a lease that its client has already */
};

typedef struct MadcapEntry {
  uint64_t hash;
  uint64_t cookie;                    /* what the model's answers come back with */
  uint32_t slot;                      /* own index; all links below are index + 1, 0: none */
  uint32_t chain;
  uint32_t older, newer;              /* done: by age; waiting: in no order; free: next */
  uint32_t xid;
  uint8_t type;
  uint8_t flags;
  uint8_t id_length;
  bool used, done, waiting;
  MalFamily family;
  uint8_t peer_family;
  uint64_t peer_high, peer_low;       /* who asked */
  int64_t deadline;                   /* waiting: next step; done: when it is forgotten */
  uint8_t *id;
  uint8_t *reply;                     /* NULL: none yet */
  size_t reply_length;
  uint8_t id_inline[32];
  union {
    struct {                          /* under way */
      MadcapArrival from;
      MalAddress scope;               /* its Scope ID */
      MalTime decided;                /* NOW of the decision */
      int64_t lease_time;             /* what was asked for, capped */
    };
    uint8_t reply_inline[176];        /* from the final answer on */
  };
} MadcapEntry;

typedef struct {
  MalHashKey key;
  size_t max_entries, max_octets;
  int64_t interval;                   /* microseconds */
  uint64_t evicted;                   /* not counted yet */
  size_t entries, octets, done;
  GPtrArray *chunks;
  uint32_t *buckets;
  size_t n_buckets;                   /* a power of two */
  uint32_t free_head;
  uint32_t oldest, newest;            /* done */
  uint32_t waits;
  size_t n_waits;
} MadcapCache;

void madcap_cache_init(MadcapCache *cache, const MalHashKey *key);
void madcap_cache_clear(MadcapCache *cache);
/* A smaller bound takes effect with the next entry. */
void madcap_cache_bound(MadcapCache *cache, size_t entries, size_t octets,
                        int64_t interval_seconds);

/* What SOURCE's message with this triple is a retransmission of, or NULL. */
MadcapEntry *madcap_cache_find(MadcapCache *cache, uint32_t xid, uint8_t type, MalLeaseId id,
                               MalAddress source, int64_t mono);
/* A new one, under way, zeroed but for the key and what its union holds; NULL where all the room is
   taken by others under way. ID is copied. */
MadcapEntry *madcap_cache_add(MadcapCache *cache, uint32_t xid, uint8_t type, MalLeaseId id,
                              int64_t mono);
/* NULL where it isn't there (any more). */
MadcapEntry *madcap_cache_by_cookie(MadcapCache *cache, uint64_t cookie);
/* The model's answer to what was asked with the cookie is no longer wanted. */
void madcap_cache_disown(MadcapEntry *entry);
/* Where ENTRY came from. */
void madcap_cache_from(MadcapEntry *entry, const MadcapArrival *from);
/* Keeps a copy of the answer. Unless ENTRY waits, where that may be to come again, it is the last
   to be done before finish: what ENTRY knew while it was under way is gone. */
void madcap_cache_reply(MadcapCache *cache, MadcapEntry *entry, const uint8_t *data, size_t length);
/* It is over: with an answer it is kept for the interval, without one (or with no interval)
   dropped, and ENTRY is gone. */
void madcap_cache_finish(MadcapCache *cache, MadcapEntry *entry, int64_t mono);
void madcap_cache_drop(MadcapCache *cache, MadcapEntry *entry);

void madcap_cache_wait(MadcapCache *cache, MadcapEntry *entry, int64_t deadline);
MadcapEntry *madcap_cache_waiting(MadcapCache *cache, MalLeaseId id);
/* One whose deadline has come, or NULL. The caller moves its deadline or finishes it. */
MadcapEntry *madcap_cache_waiting_due(MadcapCache *cache, int64_t mono);
void madcap_cache_expire(MadcapCache *cache, int64_t mono);
int64_t madcap_cache_due(const MadcapCache *cache);

static inline MalLeaseId madcap_entry_id(const MadcapEntry *entry)
{
  return (MalLeaseId){ .bytes = entry->id, .length = entry->id_length };
}

G_END_DECLS
#endif
