/* The lease engine as the core itself sees it: making, loading, replanning, time. Not installed. */
#ifndef MAL_LEASES_CORE_H
#define MAL_LEASES_CORE_H

#include "allocator.h"
#include "leases.h"
#include "store.h"

G_BEGIN_DECLS

/* Borrows all of them until free. The engine watches SPACE (owned ranges) and listens to STORE. */
MalLeases *mal_leases_new(MalRuntime *rt, MalStore *store, MalSpace *space);
void mal_leases_free(MalLeases *leases);
/* The store was closed (and has told of all that it settled): it isn't touched any more. */
void mal_leases_store_gone(MalLeases *leases);

/* Puts PLAN into force, all or nothing: scopes, static ranges (through mal_space_replan), reserves,
   excludes, the Ethernet policy. Refused with MAL_ERROR_CONFIG where live leases would lose their
   place: says how many, names the first, and what to do. */
bool mal_leases_replan(MalLeases *leases, const MalPlan *plan, MalEthernetPolicy policy,
                       MalTime now, GError **error);
/* Would it be done now? Changes nothing. */
bool mal_leases_could_replan(MalLeases *leases, const MalPlan *plan, MalEthernetPolicy policy,
                             MalTime now, GError **error);

/* Puts back one lease from the store; later ones win over earlier ones that share an address with
   them (*SUPERSEDED counts those). Ended ones are not put back. The rows of both are dropped soon:
   what is over by now stays so, though the clock goes back before the next start. */
bool mal_leases_restore(MalLeases *leases, const MalLease *lease, MalTime now, unsigned *superseded,
                        GError **error);

/* What lapsed by NOW goes: leases whose held period ended, holds, waiting requests. */
void mal_leases_expire(MalLeases *leases, MalTime now);
MalTime mal_leases_due(const MalLeases *leases);

/* The wall clock jumped by DELTA seconds to NOW. Leases that had begun keep what was left of them,
   as their holders count it; later ones keep their absolute times, and win where both can't be had.
   Returns how many leases were moved. */
size_t mal_leases_clock_stepped(MalLeases *leases, int64_t delta, MalTime now);

/* Reserves made by hand. Refused where a live lease has an address of it, or it overlaps another
   reserve. */
bool mal_leases_reserve_add(MalLeases *leases, const MalReserve *reserve, MalTime now,
                            GError **error);
bool mal_leases_reserve_remove(MalLeases *leases, const char *name, GError **error);
/* Array of const MalReserve *, borrowed. */
const GPtrArray *mal_leases_reserves(const MalLeases *leases);
/* How many live leases touch SPAN; FIRST (may be NULL) shows one of them. */
size_t mal_leases_touching(const MalLeases *leases, MalSpan span, MalLease *first);

/* The engine compares the wall clock with the monotonic one whenever it decides or expires
   anything; FUNC is told of each step that it found and dealt with (as
   mal_leases_clock_stepped). */
typedef void (*MalClockStep)(int64_t delta, size_t moved, void *data);
void mal_leases_on_clock_step(MalLeases *leases, MalClockStep func, void *data);

MalAllocator *mal_leases_allocator(MalLeases *leases);
/* Every invariant of design section 1, O(n log n); aborts with a message. */
void mal_leases_check(const MalLeases *leases, MalTime now);

G_END_DECLS
#endif
