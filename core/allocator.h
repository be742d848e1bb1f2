/* Addresses x time: which addresses of the owned ranges are free over which period, and the choice
   among them (design: the allocator). One index per owned range; asking for one address, or for a
   run of n, costs O(log n) in the number of segments, whatever the size or the occupancy of the
   space.

   The allocator is pure: no clock, no I/O; randomness comes from the seed that it was given.
   Periods are half-open [from, until) and already padded by the caller. It knows busy periods by a
   32-bit owner handle (the lease engine's), never leases. Internal to core. */
#ifndef MAL_ALLOCATOR_H
#define MAL_ALLOCATOR_H

#include "model.h"

G_BEGIN_DECLS

typedef struct MalAllocator MalAllocator;

typedef enum {
  /* no two busy addresses share an Ethernet group at the same instant */
  MAL_ETHERNET_DISTINCT,
  MAL_ETHERNET_PREFER,        /* tries that first */
  MAL_ETHERNET_IGNORE,
} MalEthernetPolicy;

typedef struct {
  unsigned scope;             /* index of the scope */
  MalTime from, until;        /* padded */
  uint32_t count;
  uint32_t ignore_owner; /* treat this owner's busy periods as free (renewal); 0: none. A search in
                            which nothing else fits is O(n) then; is_free is not */
  bool beside_reserves;  /* is_free only: a reserve in the same Ethernet group is no hindrance */
} MalFit;

/* Why nothing fits: all counts are addresses of the scope's owned ranges over the asked period. */
typedef struct {
  uint64_t owned;             /* usable addresses owned in the scope */
  uint64_t ends_too_early;    /* in ranges whose end time is before the asked end */
  uint64_t leased;            /* busy by themselves */
  uint64_t reserved;
  uint64_t free;              /* neither of these */
  uint64_t free_ethernet;     /* of the free: share an Ethernet group with a busy address */
  uint32_t longest_run;       /* of addresses that could really be given */
} MalShortage;

MalAllocator *mal_allocator_new(MalEthernetPolicy policy, uint64_t seed);
void mal_allocator_free(MalAllocator *a);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalAllocator, mal_allocator_free)

/* Adds an owned range of SCOPE that ends at UNTIL. Never given out from it: the Ethernet groups of
   link-local blocks (x.0.0.0/24 and x.128.0.0/24), the highest 256 addresses of a scope (RFC 2365
   section 9; IPv6 scopes have their server groups there, too: RFC 2730 2.10), and IPv6 group ids
   outside the scope's (RFC 3307, RFC 10028). Overlap with another range of the allocator, or an
   IPv6 range over more than 256 /96 prefixes, is an error. */
bool mal_allocator_add_range(MalAllocator *a, const MalScope *scope, MalSpan span, MalTime until,
                                     GError **error);
/* Changes when the range that begins at FIRST ends. */
bool mal_allocator_set_until(MalAllocator *a, MalAddress first, MalTime until);
/* The range with AT inside becomes two; the second begins at AT. What is busy stays so. False where
   AT is in no range, or begins one. */
bool mal_allocator_split_range(MalAllocator *a, MalAddress at);
/* The range that begins at AT, and the one of the same scope and end that ends before it, become
   one. False where there are none such. */
bool mal_allocator_join_ranges(MalAllocator *a, MalAddress at);
/* Forgets the range that begins at FIRST with all that is busy in it. */
bool mal_allocator_remove_range(MalAllocator *a, MalAddress first);
/* Of the range that begins at FIRST: addresses held or reserved (once for each holder), and usable
   ones. */
bool mal_allocator_range_use(const MalAllocator *a, MalAddress first, uint64_t *busy,
                             uint64_t *usable);
/* These addresses are never given out; they hold their Ethernet groups only where RESERVED (a
   [reserve]: somebody uses them; an exclude: nobody of ours does). Addresses outside of every range
   are remembered for the Ethernet check. */
void mal_allocator_block_out(MalAllocator *a, MalSpan span, bool reserved);
void mal_allocator_unblock(MalAllocator *a, MalSpan span, bool reserved);

/* One run of fit->count adjacent addresses: inside the range whose end is the earliest that
   suffices, beside what is busy, at random among equals. False: no such run. */
bool mal_allocator_find_run(MalAllocator *a, const MalFit *fit, MalBlock *out);
/* Up to fit->count addresses in as few runs as is cheap to find, appended to BLOCKS (MalBlock); at
   least MIN or nothing. The result is free all at once (it heeds its own Ethernet groups). Returns
   how many. */
uint32_t mal_allocator_find(MalAllocator *a, const MalFit *fit, uint32_t min, GArray *blocks);
/* Could exactly these be given for the period? */
bool mal_allocator_is_free(MalAllocator *a, const MalFit *fit, MalBlock block);
/* The longest period that begins at fit->from and for which fit->count addresses can be had: its
   end, or MAL_BEGINNING where there is none. */
MalTime mal_allocator_longest_until(MalAllocator *a, const MalFit *fit);
/* The earliest instant in (fit->from, LATEST] at which a period as long as the asked one fits, or
   MAL_FOREVER. O(log n) for one address, O(n log n) for several. */
MalTime mal_allocator_earliest(MalAllocator *a, const MalFit *fit, MalTime latest);

/* Marks BLOCK, which may reach over several adjacent ranges, busy for OWNER (not 0). The caller
   asked is_free or find before; restoring a lease may also mark what is busy by Ethernet group
   only. False where a part of the block is in no owned range, or the period is empty. */
bool mal_allocator_take(MalAllocator *a, MalBlock block, MalTime from, MalTime until,
                        uint32_t owner);
void mal_allocator_give(MalAllocator *a, MalBlock block, uint32_t owner);
/* Give and take in one; where it can't be taken it is given all the same. */
bool mal_allocator_retake(MalAllocator *a, MalBlock block, MalTime from, MalTime until,
                          uint32_t owner);

void mal_allocator_shortage(MalAllocator *a, const MalFit *fit, MalShortage *out);

/* Occupancy for display: the scope's owned space cut into CELLS equal parts in address order; each
   cell gets its counts at instant AT. */
typedef struct { MalAddress first; uint64_t size, owned, leased, reserved, excluded; } MalCell;
size_t mal_allocator_map(MalAllocator *a, const MalScope *scope, MalTime at, MalCell *cells,
                         size_t n);

/* SEGMENTS and BYTES are the whole allocator's, whichever scope is asked for; BUSY counts an
   address once for each holder. */
typedef struct { size_t ranges, segments, bytes; uint64_t owned, busy; } MalAllocatorStats;
MalAllocatorStats mal_allocator_stats(const MalAllocator *a, int scope /* -1: all */);

/* Aborts with a message where an internal invariant doesn't hold (debug builds and tests). O(n). */
void mal_allocator_check(const MalAllocator *a);

G_END_DECLS
#endif
