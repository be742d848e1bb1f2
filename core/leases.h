/* The lease engine: owned -> leased. Decides in memory (allocator), journals in the store, and
   answers only once the store says that the change is durable. Holds (offers) live in memory only.

   The engine reads no clock: NOW is given by the caller (mal_runtime_now). Callbacks come from the
   store's completion, never from inside the call that caused them. */
#ifndef MAL_LEASES_H
#define MAL_LEASES_H

#include "model.h"
#include "space.h"

G_BEGIN_DECLS

typedef struct MalLeases MalLeases;

typedef struct {
  MalLeaseId id;              /* the client's; unique in the domain */
  const MalScope *scope;
  uint32_t min, desired;      /* 1 <= min <= desired */
  const MalBlock *named;      /* exactly these addresses, or NULL for any (then count rules) */
  size_t n_named;
  MalTime start;              /* earliest start; anything <= now means now */
  MalTime max_start;          /* latest acceptable start; MAL_FOREVER: no maximum */
  int64_t lifetime;           /* wanted, seconds > 0 */
  int64_t min_lifetime;       /* least acceptable; 0: any above 0 */
  int64_t pad;                /* EXTRA-ALLOCATION-TIME, seconds on both sides */
  MalAddress client;          /* NONE: control socket */
  uint32_t client_limit;      /* most addresses this client may hold at once; 0: no limit */
  const char *origin;         /* static string: "madcap", "control" */
  uint32_t flags;             /* MAL_LEASE_SHARED or 0 */
  bool may_wait;              /* WAITING is an acceptable answer */
} MalLeaseRequest;

typedef enum {
  /* decided; DONE follows when durable, or with the error that prevented it */
  MAL_ANSWER_GRANTED,
  MAL_ANSWER_REFUSED,         /* no DONE follows */
  /* demand was raised; DONE follows when space came, or with an error at last */
  MAL_ANSWER_WAITING,
} MalAnswer;

/* Which part of the request could not be met: MADCAP names the option from it. */
typedef enum {
  MAL_REFUSED_OTHER,
  MAL_REFUSED_COUNT,          /* not so many addresses */
  MAL_REFUSED_NAMED,          /* the named addresses */
  MAL_REFUSED_LIFETIME,       /* min_lifetime */
  MAL_REFUSED_START,          /* max_start */
  MAL_REFUSED_SCOPE,
  MAL_REFUSED_ID,             /* the identifier is not known, or taken */
} MalRefusedPart;

typedef struct {
  MalErrorCode code;
  MalRefusedPart part;
} MalRefusal;

/* ERROR NULL: LEASE is durable as shown (for a release: as it was). */
typedef void (*MalLeaseFunc)(const MalLease *lease, const GError *error, void *user,
                             uint64_t cookie);

/* A live lease of the same identifier is not an error of this call: ask mal_leases_get before. (It
   refuses with EXISTS, part ID.) A hold of the same identifier is turned into the lease where it
   still fits the request. */
MAL_API MalAnswer mal_leases_request(MalLeases *leases, const MalLeaseRequest *request, MalTime now,
                                     MalLeaseFunc done, void *user, uint64_t cookie,
                                     MalRefusal *why);
/* Keeps addresses for REQUEST until HOLD_UNTIL, in memory. OUT is a view of the hold. Holding again
   under the same identifier replaces the hold. Refused with LIMIT where too much is held already:
   client_limit counts what is held for the client, too, and beyond his first hold no client gets
   more than a quarter of a scope held. */
MAL_API bool mal_leases_hold(MalLeases *leases, const MalLeaseRequest *request, MalTime now,
                             MalTime hold_until, MalLease *out, MalRefusal *why);
/* Lets a hold go; harmless where there is none. True where there was one. */
MAL_API bool mal_leases_unhold(MalLeases *leases, MalLeaseId id);

typedef struct {
  /* as in a request; start MAL_BEGINNING: keep the start (now at the earliest change) */
  MalTime start, max_start;
  int64_t lifetime, min_lifetime;
} MalRenewal;
/* GRANTED or REFUSED as above; LIMIT, as of a release, where dozens of changes of the lease wait
   for the disk already. From the new start, or from NOW for a lease that has begun. */
MAL_API MalAnswer mal_leases_renew(MalLeases *leases, MalLeaseId id, const MalRenewal *renewal,
                                   MalTime now, MalLeaseFunc done, void *user, uint64_t cookie,
                                   MalRefusal *why);
/* The address is free again when DONE comes. REASON is a static string. What only waits for space
   is taken back at once: the answer is then WAITING, no DONE follows, and the request's own DONE is
   told NOT_FOUND a turn later. */
MAL_API MalAnswer mal_leases_release(MalLeases *leases, MalLeaseId id, MalTime now,
                                     const char *reason, MalLeaseFunc done, void *user,
                                     uint64_t cookie, MalRefusal *why);
/* The sentence for a refusal, with the counts that explain it ("512 free, 509 share an Ethernet
   group with a live lease"). O(space): for people, not for every packet. */
MAL_API GError *mal_leases_refusal_error(MalLeases *leases, const MalLeaseRequest *request,
                                         MalTime now, const MalRefusal *why);

/* What layer 2 says of owned addresses. Suspended ones go to no new client (running leases stay);
   suspending the same span twice is one suspension. Revoking ends the leases and holds that touch
   SPAN, as the withdrawal of their range would. */
MAL_API void mal_leases_suspend(MalLeases *leases, MalSpan span, bool on);
/* SPANS are suspended instead of BEFORE (arrays of MalSpan, each sorted and disjoint): what is new
   before what goes, so that nothing is free in between. */
MAL_API void mal_leases_suspend_instead(MalLeases *leases, const GArray *spans,
                                        const GArray *before);
MAL_API void mal_leases_revoke(MalLeases *leases, MalSpan span);
/* Of the owned range that begins at FIRST: how many addresses are leased, held or reserved now, and
   how many more may be leased at all (Ethernet groups are not looked at). False where no owned
   range begins there. */
MAL_API bool mal_leases_use(const MalLeases *leases, MalAddress first, uint64_t *leased,
                            uint64_t *more);

/* What reserves hold, of the configuration and made by hand: a fresh array of MalSpan. FUNC is told
   of changes, after them. */
MAL_API GArray *mal_leases_reserved(const MalLeases *leases);
typedef void (*MalReservedFunc)(void *data);
MAL_API unsigned mal_leases_watch_reserved(MalLeases *leases, MalReservedFunc func, void *data);
MAL_API void mal_leases_unwatch_reserved(MalLeases *leases, unsigned id);

/* Is this identifier waiting for space? */
MAL_API bool mal_leases_is_waiting(const MalLeases *leases, MalLeaseId id);
/* False where unknown or only held (see mal_leases_get_hold). OUT is a view. Pending ones are
   shown, flagged. */
MAL_API bool mal_leases_get(const MalLeases *leases, MalLeaseId id, MalLease *out);
MAL_API bool mal_leases_get_hold(const MalLeases *leases, MalLeaseId id, MalLease *out);
/* Calls DONE once what is pending for this identifier is settled (at the next completion at the
   earliest, also where nothing is pending). */
MAL_API void mal_leases_when_durable(MalLeases *leases, MalLeaseId id, MalLeaseFunc done,
                                     void *user, uint64_t cookie);

/* USER is going away (a plugin stops): none of the DONE calls that were promised to it will come.
   The changes themselves go on; what only waits for space is dropped. */
MAL_API void mal_leases_forget(MalLeases *leases, void *user);

/* Pages through leases in a stable order. *CURSOR is 0 at first and is moved on; false at the
   end. */
typedef struct {
  const MalScope *scope;      /* NULL: any */
  MalAddress client;          /* NONE: any */
  MalSpan span;               /* family NONE: any; else leases that touch it */
  bool holds;                 /* holds too */
} MalLeaseFilter;
MAL_API bool mal_leases_next(const MalLeases *leases, const MalLeaseFilter *filter,
                             uint64_t *cursor, MalLease *out);
MAL_API uint64_t mal_leases_client_addresses(MalLeases *leases, MalAddress client);

typedef enum {
  MAL_LEASE_GRANTED, MAL_LEASE_RENEWED, MAL_LEASE_RELEASED, MAL_LEASE_EXPIRED, MAL_LEASE_REVOKED,
} MalLeaseChange;
/* After the change is durable (expired: at once). */
typedef void (*MalLeaseWatch)(MalLeaseChange what, const MalLease *lease, const char *reason,
                              void *data);
MAL_API unsigned mal_leases_watch(MalLeases *leases, MalLeaseWatch func, void *data);
MAL_API void mal_leases_unwatch(MalLeases *leases, unsigned id);

/* The time by which the engine decides now: the wall clock's, after what its last step moved was
   moved. Who compares the times of leases with the clock takes it from here, or may take a lease
   for ended between a step and its discovery. */
MAL_API MalTime mal_leases_now(MalLeases *leases);
MAL_API const MalScopeSet *mal_leases_scopes(const MalLeases *leases);
typedef struct { uint64_t leases, addresses, holds, pending, waiting, bytes; } MalLeaseTotals;
MAL_API MalLeaseTotals mal_leases_totals(const MalLeases *leases,
                                         const MalScope *scope /* NULL: all */);

G_END_DECLS
#endif
