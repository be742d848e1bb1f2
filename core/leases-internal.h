/* The lease engine's inside, shared by core/leases*.c only. */
#ifndef MAL_LEASES_INTERNAL_H
#define MAL_LEASES_INTERNAL_H

#include "allocator.h"
#include "leases-core.h"
#include "short-time.h"
#include "table.h"

#include <limits.h>

#define SLOT_ID_INLINE 20
#define VIEWS 8
#define CHUNK_BITS 12
#define CHUNK_SIZE (1u << CHUNK_BITS)

/* beside MalLeaseFlags */
enum { SLOT_USED = 1 << 7, SLOT_LEAVING = 1 << 6 };

/* One lease or hold. There may be millions, so it is one cache line, and what few have stands
   beside the table: long identifiers, several blocks, IPv6 clients, instants far off
   (short-time.h). */
typedef struct {
  uint8_t id[SLOT_ID_INLINE];   /* a longer one: a pointer to it */
  uint32_t heap_place;
  /* many: `base` says how many */
  union { struct { uint32_t low, count; } one; MalBlock *many; } blocks;
  uint32_t client;              /* an IPv4 address, or a cell of clients6 */
  uint32_t pad;
  uint64_t start : 40;          /* far: a cell of far_times, and the others nothing */
  uint64_t base : 16;           /* the upper 96 bits of the block's first address, in bases */
  uint64_t id_length : 8;
  uint64_t end : 40;
  uint64_t scope : 16;
  uint64_t origin : 8;
  uint64_t granted : 40;        /* a hold: when it lapses */
  uint64_t client_family : 2;
  uint64_t many : 1;
  uint64_t far : 1;
  uint8_t flags;
  uint8_t in_line;              /* changes that stand behind the one on its way */
} Slot;

G_STATIC_ASSERT(sizeof(Slot) == 64);

typedef struct { MalTime start, end, granted; } SlotTimes;

/* Cells of one size, by number. */
typedef struct { GArray *cells, *free; } Pool;

typedef struct { uint32_t slot, tag; } Bucket;

typedef enum { OP_GRANT, OP_RENEW, OP_RELEASE, OP_NOTIFY } OpKind;

/* A change on its way to the disk, in the order of its tickets. */
typedef struct {
  MalTicket ticket;
  OpKind kind;
  uint32_t slot;
  MalTime old_start, old_end;   /* OP_RENEW: what to go back to */
  /* OP_RENEW: the allocator holds the new period, which covers the old one, and nothing else */
  bool in_place;
  const char *reason;           /* OP_RELEASE */
  uint8_t *id;                  /* OP_NOTIFY, which has no slot; owned */
  size_t id_length;
  MalLeaseFunc done;
  void *user;
  uint64_t cookie;
} Op;

/* A renewal or release that came while an earlier change of the same lease was on its way. */
typedef struct {
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
  OpKind kind;
  MalRenewal renewal;
  const char *reason;
  MalLeaseFunc done;
  void *user;
  uint64_t cookie;
} Queued;

/* A request that waits for space. */
typedef struct {
  MalLeaseRequest request;      /* id and named point into this */
  uint8_t id[MAL_LEASE_ID_MAX];
  MalBlock *named;
  char *scope;
  MalTime give_up;
  MalTime ask_again;            /* what came may not do, or nobody was there to hear */
  GError *denied;               /* layer 2 can't bring what is waited for, now or so far: why */
  GError *error;                /* it ended with this, and its DONE is still to be told */
  MalLeaseFunc done;
  void *user;
  uint64_t cookie;
} Waiting;

/* What a client has, in all (ALL_SCOPES), and of offers also in each scope. */
typedef struct {
  uint64_t high, low, hash;
  uint64_t addresses, held;     /* leased; offered */
  unsigned scope;
  uint8_t family;
} ClientUse;

#define ALL_SCOPES UINT_MAX

typedef struct { unsigned id; MalLeaseWatch func; void *data; } LeaseWatcher;
typedef struct { unsigned id; MalReservedFunc func; void *data; } ReserveWatcher;

struct MalLeases {
  MalRuntime *rt;
  MalStore *store;
  MalSpace *space;
  MalScopeSet *scopes;
  GPtrArray *old_scopes;        /* callers may hold scopes of an earlier plan across a turn */
  MalAllocator *allocator;
  MalEthernetPolicy policy;
  GPtrArray *reserves;          /* MalReserve *, owned: the plan's, then those made by hand */
  unsigned by_hand;
  GPtrArray *excludes;          /* MalReserve *, owned, by the name of the plan's range */
  GArray *reserve_watchers;
  GArray *suspended;            /* MalSpan: mal_leases_suspend */
  uint8_t hash_key[16];

  GPtrArray *chunks;            /* Slot[CHUNK_SIZE] each */
  Pool far_times;               /* SlotTimes */
  Pool clients6;                /* MalU128 */
  /* MalU128: upper 96 bits of addresses; 0: those of IPv4. Never shrinks */
  GArray *bases;
  GHashTable *base_of;          /* MalU128 -> place in bases */
  GArray *free_slots;           /* uint32_t */
  uint32_t used_slots;          /* ever taken, 0 is none */
  MalTable buckets;             /* Bucket, by identifier */
  GArray *heap;                 /* uint32_t slots by when they lapse */
  GHashTable *clients;          /* ClientUse */
  bool counts_clients;          /* leases, too: since the first who asked */
  GPtrArray *origins;           /* interned strings */

  Op *ops;                      /* a ring; the oldest at ops_head */
  size_t ops_capacity, ops_head, ops_length;
  GQueue queued;                /* Queued */
  GQueue waiting;               /* Waiting */
  GQueue ended;                 /* Waiting that ended in vain */
  GQueue later;                 /* Queued: answers for the next turn */
  MalTimer *turn;
  GArray *found;                /* MalBlock: what the last search brought */
  MalBlock *views;              /* VIEWS single blocks that views borrow in turn; then the turn */
  GArray *watchers;
  unsigned telling;             /* watchers, now */
  /* GBytes: identifiers of leases that have ended, but not yet on the disk */
  GPtrArray *undropped;
  GPtrArray *dropping;          /* of these, what is on its way to it */
  MalTicket drop_ticket;
  unsigned last_watcher;
  unsigned store_listener, space_watch;
  bool replanning;
  unsigned changes;             /* debug builds: since the last check */
  /* what a step of the clock moved is in these batches, as last written */
  MalTicket moved_first, moved_last;
  bool unsaved;                 /* such a batch failed: written again once the store recovers */
  bool unsaved_change;          /* a change was on its way then, and may yet fail */
  int64_t clock_offset;         /* wall - monotonic, microseconds, as last seen */
  MalClockStep on_step;
  void *on_step_data;
  MalLeaseTotals totals;
  /* MalLeaseTotals: leases, addresses and holds of each scope, by its index */
  GArray *by_scope;
};

/* ---- leases-table.c: slots, the hash by identifier, the heap by lapse ------------------------ */

void leases_table_init(MalLeases *l);
void leases_table_clear(MalLeases *l);
Slot *leases_slot(const MalLeases *l, uint32_t handle);
/* 0 where there is none. */
uint32_t leases_find(const MalLeases *l, MalLeaseId id);
size_t leases_buckets_octets(const MalLeases *l);
/* Takes a slot for ID and enters it under it; the caller fills in the rest, then
   leases_heap_add. */
uint32_t leases_slot_new(MalLeases *l, MalLeaseId id);
/* Out of hash and heap, memory back. The allocator is the caller's. */
void leases_slot_free(MalLeases *l, uint32_t handle);
void leases_set_blocks(MalLeases *l, Slot *slot, const MalBlock *blocks, size_t n);
size_t leases_n_blocks(const Slot *slot);
MalBlock leases_block(const MalLeases *l, const Slot *slot, size_t n);
MalLeaseId leases_id(const Slot *slot);
uint64_t leases_slot_addresses(const MalLeases *l, const Slot *slot);
SlotTimes leases_times(const MalLeases *l, const Slot *slot);
void leases_set_times(MalLeases *l, Slot *slot, SlotTimes times);
MalTime leases_lapse(const MalLeases *l, const Slot *slot);
MalTime leases_held_from(const MalLeases *l, const Slot *slot);
MalTime leases_held_until(const MalLeases *l, const Slot *slot);
void leases_heap_add(MalLeases *l, uint32_t handle);
void leases_heap_fix(MalLeases *l, uint32_t handle);
uint32_t leases_heap_top(const MalLeases *l);
uint8_t leases_origin(MalLeases *l, const char *origin);
MalAddress leases_client(const MalLeases *l, const Slot *slot);
/* Of a new slot: once. */
void leases_set_client(MalLeases *l, Slot *slot, MalAddress client);
void leases_view(const MalLeases *l, uint32_t handle, MalLease *out);
/* The slot's addresses, once more (SIGN 1) or no longer (-1). */
void leases_use(MalLeases *l, const Slot *slot, int sign);
uint64_t leases_held_for(const MalLeases *l, MalAddress client, unsigned scope);

/* ---- leases-decide.c ------------------------------------------------------------------------- */

/* What was decided of a request; the blocks are in l->found. */
typedef struct { MalTime start, end; } Period;
bool leases_decide(MalLeases *l, const MalLeaseRequest *request, MalTime now, Period *out,
                   MalRefusal *why);
/* Does PERIOD begin later than the request asked, only because nothing is free by then? */
bool leases_is_late(const MalLeaseRequest *request, MalTime now, const Period *period);
/* At least. */
uint64_t leases_addresses_asked(const MalLeaseRequest *request);
static inline bool leases_refuse(MalRefusal *why, MalErrorCode code, MalRefusedPart part)
{
  *why = (MalRefusal){ code, part };
  return false;
}

/* ---- leases.c -------------------------------------------------------------------------------- */

/* Enters what was decided as a new lease on its way to the disk. */
void leases_enter(MalLeases *l, const MalLeaseRequest *request, const Period *period, MalTime now,
                  MalLeaseFunc done, void *user, uint64_t cookie);
/* Marks or unmarks all blocks of the slot in the allocator, for [from, until). */
void leases_take(MalLeases *l, uint32_t handle, MalTime from, MalTime until);
void leases_give(MalLeases *l, uint32_t handle);
/* For [from, until) instead of what they are marked for. */
void leases_retake(MalLeases *l, uint32_t handle, MalTime from, MalTime until);
/* The period before a renewal that is on its way. */
void leases_take_old(const MalLeases *l, MalAllocator *a, const Op *op, MalTime now);
void leases_remove(MalLeases *l, uint32_t handle);
void leases_account(MalLeases *l, const Slot *slot, int sign);
/* In its scope alone: for scopes that get other indices. */
void leases_account_scope(MalLeases *l, const Slot *slot, int sign);
/* Could the slot's addresses be its own for PERIOD (padded, from NOW on)? With BESIDE_RESERVES even
   where a reserve has their Ethernet groups. */
bool leases_is_free(MalLeases *l, uint32_t handle, MalTime now, Period period,
                    bool beside_reserves);
void leases_tell(MalLeases *l, MalLeaseChange what, const MalLease *lease, const char *reason);
/* leases-time.c: notices a step of the wall clock before anything is decided by it. Returns NOW, or
   where the clock stepped, what it says now. */
MalTime leases_sync_clock(MalLeases *l, MalTime now);
/* Nobody waits for the rows of leases that a step moved; if their batch fails, they are written
   again when the store recovers. Called with each outcome, after those who wait were told. */
void leases_moved_settled(MalLeases *l, MalTicket through, const GError *error);
/* In debug builds: mal_leases_check after every change while the table is small, now and then when
   it is large. */
void leases_debug_check(MalLeases *l);
#define LEASES_TIME_MOST ((int64_t)1 << 55)
bool leases_store_works(const MalLeases *l);

/* ---- leases-layer2.c ------------------------------------------------------------------------- */

/* Of the slot's addresses. */
void leases_lift_suspensions(MalLeases *l, uint32_t handle, bool lift);

/* ---- leases-reserve.c ------------------------------------------------------------------------ */

void leases_reserve_free(void *reserve);
void leases_reserves_changed(const MalLeases *l);
/* What stands in the way of the addresses that R names, the first of it; false where nothing was
   found. */
bool leases_explain_named(const MalLeases *l, const MalLeaseRequest *r, MalTime from, MalTime until,
                          GString *out);
/* A reserve or an exclude, or a lease at that instant: however much space comes, R can't have what
   it names. (What was held for it is free by then.) */
bool leases_named_is_taken(const MalLeases *l, const MalLeaseRequest *r, MalTime from);
GPtrArray *leases_future_reserves(const MalLeases *l, const MalPlan *plan, GError **error);
GPtrArray *leases_planned_excludes(const MalPlan *plan);

/* ---- leases-end.c: the lease goes first, so that who is told finds its addresses free -------- */

void leases_end(MalLeases *l, uint32_t handle, MalLeaseChange what, const char *reason,
                const Op *op);
/* Its addresses were withdrawn: nothing keeps it, not even a disk that fails. */
void leases_revoke(MalLeases *l, uint32_t handle);
void leases_revoke_at_once(MalLeases *l, uint32_t handle, const Op *op);
/* The lease has ended, or was never granted, and its row goes from the disk as soon as that works;
   nobody waits for it. Rows go with the next leases_drop_rows, or when the store has settled
   something. */
void leases_drop_row(MalLeases *l, MalLeaseId id);
void leases_drop_rows(MalLeases *l);
void leases_drop_again(MalLeases *l, MalTicket through, const GError *error);
/* Nothing settles any more: who still waits for an answer gets one. */
void leases_tell_stopping(MalLeases *l);
/* leases-commit.c */
void leases_ops_push(MalLeases *l, const Op *op);
void leases_settled(MalTicket through, const GError *error, void *data);
/* The allocator was filled anew: what is on its way has each of its periods in it. */
void leases_not_in_place(MalLeases *l);
void leases_queue(MalLeases *l, uint32_t handle, const Queued *queued);
/* False, refused with LIMIT, where too many changes of this lease stand in line already. */
bool leases_may_queue(const Slot *slot, MalRefusal *why);
void leases_tell_later(MalLeases *l);
/* leases-wait.c */
bool leases_wait_raise(MalLeases *l, const MalLeaseRequest *r, MalTime now);
/* A MalLeaseUsage; DATA: MalLeases. */
void leases_usage(const MalScope *scope, MalSpan span, bool leased, MalUsageFunc func, void *to,
                  void *data);
void leases_wait_deny(MalLeases *l, const MalScope *scope, MalSpan named, const GError *why);
void leases_wait_explain(MalLeases *l, const MalScope *scope, const GError *why);
/* Layer 2 that chooses for itself could own what R names; could make PERIOD, cut short by the end
   of what is owned, as long as was wished; should own what a renewal wants (it may have it the next
   time). */
bool leases_could_own_named(const MalLeases *l, const MalLeaseRequest *r, MalTime now);
bool leases_is_short(const MalLeases *l, const MalLeaseRequest *r, MalTime now,
                     const Period *period);
void leases_want_longer(MalLeases *l, uint32_t handle, MalTime until);
bool leases_wait(MalLeases *l, const MalLeaseRequest *request, MalTime now, MalLeaseFunc done,
                 void *user, uint64_t cookie);
bool leases_wait_cancel(MalLeases *l, MalLeaseId id);
/* Calls the DONE of those that ended: only from where callbacks may do anything. */
void leases_wait_tell_ended(MalLeases *l);
void leases_wait_retry(MalLeases *l);
void leases_wait_retry_now(MalLeases *l, MalTime now);
void leases_wait_expire(MalLeases *l, MalTime now);
MalTime leases_wait_due(const MalLeases *l);
/* False where nothing waits. */
bool leases_wait_end_first(MalLeases *l, const GError *error);
void leases_wait_forget(MalLeases *l, const void *user);

#endif
