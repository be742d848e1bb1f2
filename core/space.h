/* The nested sets above the lease: available (this domain may hand it out) and owned (this server
   alone may), per scope, each range with an end time and a source (RFC 2908; design: three nested
   sets).

   Where no layer-2 plugin registered an arbiter, owned mirrors available. Plugins add and withdraw
   what they bring; whoever watches hears of every change after it happened, in the order in which
   it happened. */
#ifndef MAL_SPACE_H
#define MAL_SPACE_H

#include "conf.h"
#include "model.h"

G_BEGIN_DECLS

typedef struct MalSpace MalSpace;

typedef struct {
  MalLevel level;
  const MalScope *scope;
  MalSpan span;
  MalTime until;
  const char *name;           /* "lab" of [range lab]; never NULL */
  const char *source;         /* "config", "control", or the plugin's name */
  bool stand_in;              /* available only as long as no configuration says otherwise */
  const char *derived_from;   /* "AS 64501 (RFC 3180)" of a range with glop; mostly NULL */
} MalRange;

/* SPLIT: the range is what was the upper part of one, which ends before it now; nothing came or
   went. JOINED: it is a part of the one before it now, of which it is the upper one. */
typedef enum {
  MAL_SPACE_ADDED,
  MAL_SPACE_CHANGED,
  MAL_SPACE_REMOVED,
  MAL_SPACE_SPLIT,
  MAL_SPACE_JOINED,
} MalSpaceChange;
typedef void (*MalSpaceFunc)(MalSpaceChange what, const MalRange *range, void *data);

/* May SPAN of SCOPE become owned until UNTIL? YES and NO at once, or LATER: then the plugin says it
   by mal_space_decide(ticket). */
typedef enum { MAL_VERDICT_YES, MAL_VERDICT_NO, MAL_VERDICT_LATER } MalVerdict;
typedef MalVerdict (*MalArbiter)(uint64_t ticket, const MalScope *scope, MalSpan span,
                                 MalTime until, void *data);
/* Layer 2 that chooses for itself: what waits in SCOPE wants COUNT more addresses in all, owned
   until UNTIL; SPAN (family NONE: any addresses) are those that somebody named: available, and not
   owned, or not for so long (COUNT is 0). What comes is added to, or extended at, the owned level;
   what can't come is said by mal_space_deny. Never answered from inside the call. */
typedef void (*MalAcquire)(const MalScope *scope, MalSpan span, uint64_t count, MalTime until,
                           void *data);
/* A lease from the store lies in SPAN, available until UNTIL at least, and not owned: layer 2 is
   new on this server. True: it has added SPAN to the owned level. */
typedef bool (*MalAdopt)(const MalScope *scope, MalSpan span, MalTime until, void *data);
/* SCOPE runs dry: COUNT more addresses are wanted until UNTIL (with a layer 2 that knows of others:
   in all, by what is known). Answered by adding ranges, or not at all. Said again every half minute
   while somebody waits. */
typedef void (*MalDemand)(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                          void *data);

/* A piece that is in use by somebody in the domain: USED of its addresses, until UNTIL. Where USED
   is less than its size, which of them is not known. */
typedef void (*MalUsageFunc)(MalSpan span, uint64_t used, MalTime until, void *data);
/* Layer 2 that knows what others in the domain use: says it of SPAN to FUNC, with TO as its DATA,
   in any order; pieces may reach beyond SPAN. */
typedef void (*MalUsage)(const MalScope *scope, MalSpan span, MalUsageFunc func, void *to,
                         void *data);

/* Adds a range. Errors: overlaps another of its level (both named); outside its scope; owned
   outside available. */
MAL_API bool mal_space_add(MalSpace *space, MalLevel level, const char *scope, MalSpan span,
                           MalTime until, const char *name, const char *source, GError **error);
/* An available range that stands in for configuration, and for what layer 3 brings: it is withdrawn
   before a plan comes into force that has a range where it is, or its scope no more, and gives way
   to any other range that is added (what lies beside that stays). What is owned of it stays owned
   where the others hold it. */
MAL_API bool mal_space_add_stand_in(MalSpace *space, const char *scope, MalSpan span,
                                    MalTime until, const char *name, const char *source,
                                    GError **error);
/* The same for layer 3: it also takes the place of what stands in for layer 3, of other sources. */
MAL_API bool mal_space_bring(MalSpace *space, const char *scope, MalSpan span, MalTime until,
                             const char *name, const char *source, GError **error);
MAL_API bool mal_space_set_until(MalSpace *space, MalLevel level, MalAddress first, MalTime until,
                                 GError **error);
/* Withdraws the range of LEVEL that begins at FIRST; what was owned of it goes first, and leases in
   it are revoked (watchers hear of each). */
MAL_API bool mal_space_remove(MalSpace *space, MalLevel level, MalAddress first, GError **error);
/* Makes two of the available range that SOURCE brought and that has AT inside: one ends before AT,
   the other begins there. What is owned across AT is split, too; leases don't notice. For a source
   that is to withdraw a part. False where nothing of SOURCE's is to be split there. */
MAL_API bool mal_space_split(MalSpace *space, MalAddress at, const char *source);
/* The same of an owned range alone, for a layer 2 that lost a part of it, or has its parts for
   different times. The upper one is called NAME. False also where owned mirrors available. */
MAL_API bool mal_space_split_owned(MalSpace *space, MalAddress at, const char *name,
                                   const char *source);
/* Makes one of the owned range that begins at AT and of the one that ends before it, both SOURCE's,
   with one end, and in one available range: a lease may go across then. False where there are no
   such ranges. */
MAL_API bool mal_space_join_owned(MalSpace *space, MalAddress at, const char *source);
/* All ranges of LEVEL by scope and address: array of const MalRange *, borrowed content. */
MAL_API GPtrArray *mal_space_ranges(const MalSpace *space, MalLevel level);
/* Those that overlap SPAN, by address, in O(log n) and what is found. FUNC may not change the
   space. */
typedef void (*MalRangeFunc)(const MalRange *range, void *data);
MAL_API void mal_space_each(const MalSpace *space, MalLevel level, const MalScope *scope,
                            MalSpan span, MalRangeFunc func, void *data);
MAL_API const MalRange *mal_space_containing(const MalSpace *space, MalLevel level,
                                             MalAddress address);
/* Is all of SPAN in ranges of LEVEL and SCOPE, several adjacent ones perhaps, that last until UNTIL
   at least? */
MAL_API bool mal_space_covers(const MalSpace *space, MalLevel level, const MalScope *scope,
                              MalSpan span, MalTime until);
MAL_API unsigned mal_space_watch(MalSpace *space, MalSpaceFunc func, void *data);
MAL_API void mal_space_unwatch(MalSpace *space, unsigned id);
/* Layer 2 and layer 3. NULL takes the registration back (owned mirrors available again). */
MAL_API void mal_space_set_arbiter(MalSpace *space, MalArbiter func, void *data);
/* Instead of an arbiter. ADOPT may be NULL. */
MAL_API void mal_space_set_acquire(MalSpace *space, MalAcquire acquire, MalAdopt adopt, void *data);
/* What waits in SCOPE can't have what it waits for: it gets what there is, or is refused with
   WHY. */
MAL_API void mal_space_deny(MalSpace *space, const MalScope *scope, const GError *why);
/* The same for those alone that named addresses of NAMED. */
MAL_API void mal_space_deny_named(MalSpace *space, const MalScope *scope, MalSpan named,
                                  const GError *why);
/* What waits in SCOPE for any addresses goes on waiting; in vain at last, it hears WHY, the latest
   that was said. */
MAL_API void mal_space_explain(MalSpace *space, const MalScope *scope, const GError *why);
/* Layer 2 listens until then, and makes nothing of SCOPE its own before; who asks meanwhile is told
   for how long. A time that is past: it doesn't. */
MAL_API void mal_space_set_listening(MalSpace *space, const MalScope *scope, MalTime until);
/* For how many seconds more; 0: it doesn't listen. */
MAL_API int64_t mal_space_listens(const MalSpace *space, const MalScope *scope, MalTime now);
/* Layer 3 is asked for COUNT more available addresses. False: nobody could ever bring any. */
MAL_API bool mal_space_ask(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until);
/* Is there a layer 3 that could be asked? */
MAL_API bool mal_space_has_layer3(const MalSpace *space);
MAL_API void mal_space_set_demand(MalSpace *space, MalLevel level, MalDemand func, void *data);
/* Layer 2 took over from others what layer 3 did not bring here: SPANS are all of it in SCOPE (N 0:
   nothing any more). Layer 3 says to FUNC, with TO, what of them may be used on; it may say less
   when it is asked again. False: nobody knows. */
typedef void (*MalVouchFunc)(MalSpan part, void *to);
typedef void (*MalVouch)(const MalScope *scope, const MalSpan *spans, size_t n, MalVouchFunc func,
                         void *to, void *data);
MAL_API bool mal_space_vouch(MalSpace *space, const MalScope *scope, const MalSpan *spans, size_t n,
                             MalVouchFunc func, void *to);
/* Layer 3; NULL takes it back. */
MAL_API void mal_space_set_vouch(MalSpace *space, MalVouch func, void *data);
/* Layer 3 would answer otherwise now: layer 2 hears of it, and asks again, later. */
MAL_API void mal_space_vouch_again(MalSpace *space);
MAL_API void mal_space_on_vouch(MalSpace *space, void (*func)(void *data), void *data);
/* Pieces of SPAN that anybody in the domain uses, as far as is known: by address, disjoint, cut to
   SPAN. With a layer 2 that knows of others it is what is owned by anybody, until that ends (soon
   after a start it may know little yet); else what this server has leased, neighbours together
   until the latest end. Reserves are in use for ever. For layer 3, now and then: O(all leases). */
MAL_API void mal_space_usage(MalSpace *space, const MalScope *scope, MalSpan span,
                             MalUsageFunc func, void *data);
MAL_API void mal_space_set_usage(MalSpace *space, MalUsage func, void *data);
/* Does owned mirror available (no arbiter)? */
MAL_API bool mal_space_is_mirrored(const MalSpace *space);
/* The arbiter's plugin stops: what it still thought about is nobody's any more. */
MAL_API void mal_space_forget_tickets(MalSpace *space);
MAL_API void mal_space_decide(MalSpace *space, uint64_t ticket, bool yes);

/* ---- the core's side ------------------------------------------------------------------------- */

MAL_API MalSpace *mal_space_new(void);
MAL_API void mal_space_free(MalSpace *space);
/* Raises demand for COUNT more owned addresses: a candidate block is put to the arbiter where
   available space is left, else layer 3 is asked. False where nobody could ever bring any. */
MAL_API bool mal_space_want(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until);
/* Does layer 2 choose for itself? Then COUNT of mal_space_want is that of all who wait. */
MAL_API bool mal_space_acquires(const MalSpace *space);
MAL_API void mal_space_want_span(MalSpace *space, const MalScope *scope, MalSpan span,
                                 MalTime until);
MAL_API bool mal_space_adopt(MalSpace *space, const MalScope *scope, MalSpan span, MalTime until);
/* NAMED: family NONE for all who wait. LATER: only when they have waited in vain. */
typedef void (*MalDeny)(const MalScope *scope, MalSpan named, bool later, const GError *why,
                        void *data);
/* What this server alone knows: its reserves and, with LEASED, its leases. */
typedef void (*MalLeaseUsage)(const MalScope *scope, MalSpan span, bool leased, MalUsageFunc func,
                              void *to, void *data);
MAL_API void mal_space_on_usage(MalSpace *space, MalLeaseUsage func, void *data);
MAL_API void mal_space_on_deny(MalSpace *space, MalDeny func, void *data);
/* Does the arbiter still think about a block of SCOPE? */
MAL_API bool mal_space_is_deciding(const MalSpace *space, const MalScope *scope);
/* Replaces scopes and what `source` "config" brought, all or nothing; called by
   mal_leases_replan. */
MAL_API bool mal_space_replan(MalSpace *space, const MalPlan *plan, GError **error);
/* Does RANGE, available and not of the configuration, stay when PLAN comes into force? */
MAL_API bool mal_space_outlives(const MalPlan *plan, const MalRange *range);
/* Would it be done now? */
MAL_API bool mal_space_check_plan(const MalSpace *space, const MalPlan *plan, GError **error);
/* Ranges whose end came: withdrawn. The next such instant. */
MAL_API void mal_space_expire(MalSpace *space, MalTime now);
MAL_API MalTime mal_space_due(const MalSpace *space);

G_END_DECLS
#endif
