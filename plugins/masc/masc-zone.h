/* One scope as one MASC node lives it on behalf of its domain (RFC 2909 sections 4, 5, 11, 12): the
   cache of everybody's claims, our own claims and what they won, what children claim of it, and
   what of it the MAASs of the domain may use. A pure machine: messages go out through MascZoneOps,
   instants come in with each call.

   Two arenas. Upper: our siblings and we claim from our parents' space (a top-level domain: from
   the whole scope). Lower: our children, and we as a child of ourselves, claim from what we won
   above (12.2). A leaf has no lower arena: all that it won is for its MAASs. */
#ifndef MASC_ZONE_H
#define MASC_ZONE_H

#include "masc-plan.h"
#include "masc-wire.h"

G_BEGIN_DECLS

typedef struct MascZone MascZone;

typedef enum {
  MASC_NOTE_HEARD,            /* an attribute was taken */
  MASC_NOTE_DUPLICATE,        /* 11.1: known already */
  MASC_NOTE_EXPIRED,          /* 11.1: dropped, too old */
  MASC_NOTE_REFUSED,          /* answered with a NOTIFICATION; N is the subcode */
  MASC_NOTE_IGNORED,          /* of a domain that floods (14), or told by the wrong peer */
  MASC_NOTE_CACHE_FULL,
  MASC_NOTE_CLAIMED,          /* ours went out */
  MASC_NOTE_WON,              /* the Claim-Timer expired: it is ours */
  MASC_NOTE_RENEWED,
  MASC_NOTE_GREW,
  MASC_NOTE_COLLISION,        /* a pending claim of ours lost to DOMAIN's */
  MASC_NOTE_DENIED,           /* by our parent */
  MASC_NOTE_CANCELLED,        /* an internal peer's claim made it needless, or nobody needs it */
  MASC_NOTE_HELD_UP,          /* the Claim-Timer is over, no parent is in touch: it waits */
  MASC_NOTE_DENIES,           /* we denied a child's claim */
  MASC_NOTE_CLASH,            /* 12.4: DOMAIN uses what we use */
  MASC_NOTE_CLASH_WON,
  MASC_NOTE_CLASH_LOST,       /* withdrawn */
  MASC_NOTE_CHILDREN_CLASH,   /* two children use the same */
  MASC_NOTE_PARENT_WITHDREW,
  MASC_NOTE_GIVEN_BACK,
  MASC_NOTE_ENDED,            /* its lifetime is over */
  MASC_NOTE_RECOVERED,        /* told by others what our disk had lost (14) */
  MASC_NOTE_DISOWNED,         /* said to be ours, but we know better: withdrawn */
  MASC_NOTE_FLOOD,            /* DOMAIN's colliding claims are too many: ignored from now on */
  MASC_NOTE_HINT,             /* sent or heard: more room is wanted (11.5) */
  MASC_NOTE_LEAF,             /* N is 1: leaf from now on; 0: no longer */
  MASC_NOTE_UNRENEWED,        /* the parent's prefix ends or is deprecated: it can't be renewed */
  MASC_NOTE_UNCLAIMED,        /* used by our servers, known to nobody (14), and claim = no */
  MASC_N_NOTES
} MascNote;

/* Everything that a zone wants kept. KEY names it; a later one under the same key takes its place.
   Octets of the zone's own. */
typedef struct {
  const uint8_t *key;
  size_t key_length;
  const uint8_t *value;       /* NULL: forget what is kept under KEY */
  size_t value_length;
} MascKept;

/* Called from within masc_zone_* calls; they must not call back into the zone, but for uses, which
   calls FUNC. */
typedef struct {
  /* CLAIMS, in this order, for that peer. The views end with the call. */
  void (*send)(void *user, MascZone *zone, unsigned peer, const MascClaim *claims, size_t n);
  MascRandom random;
  /* Write it; the ticket that masc_zone_kept() will confirm (0: it is durable already). NULL:
     nothing is kept (the workload of thousands of zones, tests/sim). */
  uint64_t (*keep)(void *user, MascZone *zone, const MascKept *kept);
  /* PREFIX is allocated to this domain until UNTIL: for the G-RIB. Again for another UNTIL or for
     DEPRECATED. */
  void (*managed)(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated);
  void (*unmanaged)(void *user, MascZone *zone, MalPrefix prefix);
  /* The MAASs of the domain may use PREFIX until UNTIL: available space. Again for another UNTIL.
     LOCAL_ENDS: no longer; leases in it end. Prefixes may grow in place: `local` then comes with
     one that covers others, for which no local_ends was said. */
  void (*local)(void *user, MascZone *zone, MalPrefix prefix, MalTime until, bool deprecated);
  void (*local_ends)(void *user, MascZone *zone, MalPrefix prefix);
  /* Calls FUNC for what is in use of PREFIX, sorted and disjoint. */
  void (*uses)(void *user, MascZone *zone, MalPrefix prefix,
               void (*func)(MalSpan span, MalTime until, void *data), void *data);
  /* PREFIX.address.family NONE, DOMAIN 0: not about one. */
  void (*note)(void *user, MascZone *zone, MascNote note, MalPrefix prefix, MascId domain,
               uint64_t n);
} MascZoneOps;

typedef struct {
  const char *scope;          /* its id; copied */
  MalSpan span;
  MascId domain, node;
  bool top;                   /* a top-level domain, or a Zone TLD (4.5) */
  bool parent;                /* has children by configuration: never a leaf */
  bool recovering;            /* the disk was empty: what others say is ours is taken (14) */
  const MascParams *params;   /* borrowed */
  const MascZoneOps *ops;
  void *user;
} MascZoneConfig;

MascZone *masc_zone_new(const MascZoneConfig *config);
void masc_zone_free(MascZone *zone);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MascZone, masc_zone_free)
const char *masc_zone_scope(const MascZone *zone);
MalSpan masc_zone_span(const MascZone *zone);
bool masc_zone_is_leaf(const MascZone *zone);

/* ---- peers ----------------------------------------------------------------------------------- */

/* ROLE: what we are to it. DOMAIN: its; 0 where only its OPEN says it. PARENT: of siblings, the
   common one (MASC_TLD_ID among top-level domains). ID is the caller's, below MASC_PEERS_MAX. */
#define MASC_PEERS_MAX 1024
void masc_zone_add_peer(MascZone *zone, unsigned id, MascRole role, MascId domain, MascId parent);
/* A child's domain may claim no larger prefixes than those of length SHORTEST; 0: any. */
void masc_zone_bound_peer(MascZone *zone, unsigned id, unsigned shortest);
/* Configured no more. The last one of a parent domain takes its prefixes along (12.5). */
void masc_zone_remove_peer(MascZone *zone, unsigned id, MascNow now);
/* The same of parents that are no peers any more, when all peers are added that there are; for who
   restored what it had. With internal peers any domain may be a parent. */
void masc_zone_forget_parents(MascZone *zone, MascNow now);
/* Its session is established: it is sent all that concerns it, in the order of 11.8. */
void masc_zone_up(MascZone *zone, unsigned id, MascId domain, MascId node, MascNow now);
void masc_zone_down(MascZone *zone, unsigned id, MascNow now);
/* An attribute that PEER sent, and that the codec took. 0, or the MascUpdateError to answer. */
uint8_t masc_zone_heard(MascZone *zone, unsigned peer, const MascClaim *claim, MascNow now);
/* PEER answered CLAIM of ours, as it shows it, with the UPDATE Message Error SUBCODE that kept the
   connection open. */
void masc_zone_refused(MascZone *zone, unsigned peer, const MascClaim *claim, uint8_t subcode,
                       MascNow now);

/* ---- life ------------------------------------------------------------------------------------ */

/* Before masc_zone_start, whatever `keep` was given and not told to forget, in any order. False:
   not such octets; they are then dropped. */
bool masc_zone_restore(MascZone *zone, const uint8_t *key, size_t key_length,
                       const uint8_t *value, size_t value_length, MascNow now);
void masc_zone_start(MascZone *zone, MascNow now);
int64_t masc_zone_due(const MascZone *zone);
void masc_zone_run(MascZone *zone, MascNow now);
/* What was asked to be kept is durable up to THROUGH; OK false: THROUGH alone could not be
   written. */
void masc_zone_kept(MascZone *zone, uint64_t through, bool ok, MascNow now);
void masc_zone_clock_stepped(MascZone *zone, int64_t delta, MascNow now);
void masc_zone_params_changed(MascZone *zone, MascNow now);

/* ---- demand ---------------------------------------------------------------------------------- */

/* The domain's MAASs asked for COUNT addresses (they may have got them: it is for the forecast). */
void masc_zone_arrived(MascZone *zone, uint64_t count, MascNow now);
/* COUNT in all wait now, wanted until UNTIL; 0: nobody does. */
void masc_zone_waiting(MascZone *zone, uint64_t count, MalTime until, MascNow now);
/* What is in use changed enough to think again. */
void masc_zone_replan(MascZone *zone, MascNow now);

/* ---- what layer 2 took over from announcements, and was not brought here --------------------- */

/* SPANS are all of it, sorted and disjoint; again when that changes. Once recovery (14) is over,
   what nobody has of it is claimed. */
void masc_zone_adopted(MascZone *zone, const MalSpan *spans, size_t n, MascNow now);
/* What of SPAN the domain's servers may go on using, though `local` didn't say it. */
typedef void (*MascPartFunc)(MalSpan part, void *data);
void masc_zone_vouch(const MascZone *zone, MalSpan span, MascNow now, MascPartFunc func,
                     void *data);

/* ---- by hand (masc.claim, masc.withdraw, masc.resolve) --------------------------------------- */

/* PREFIX.address may be 0: any of that length. LOWER: out of our own, for local use. */
bool masc_zone_claim(MascZone *zone, MalPrefix prefix, bool lower, int64_t lifetime, MascNow now,
                     GError **error);
bool masc_zone_withdraw(MascZone *zone, MalPrefix prefix, MascNow now, GError **error);
/* KEEP: we go on using it, whatever the comparison says; else it is withdrawn. */
bool masc_zone_resolve(MascZone *zone, MalPrefix prefix, bool keep, MascNow now, GError **error);
/* DOMAIN floods no longer. False: it is not ignored. */
bool masc_zone_forgive(MascZone *zone, MascId domain);

/* ---- looking in ------------------------------------------------------------------------------ */

typedef enum {
  MASC_ENTRY_HELD,            /* ours, upper */
  MASC_ENTRY_LOCAL,           /* ours, lower: for our MAASs */
  MASC_ENTRY_PENDING,         /* our claim, waiting */
  MASC_ENTRY_PENDING_LOCAL,
  MASC_ENTRY_PARENT,          /* a parent's PREFIX_MANAGED */
  MASC_ENTRY_SIBLING,         /* CLAIM.type says what */
  MASC_ENTRY_CHILD,
  MASC_ENTRY_DENIED,
  MASC_ENTRY_WITHDRAWN,       /* a WITHDRAW that still counts */
} MascEntryKind;

typedef struct {
  MascEntryKind kind;
  MascClaim claim;            /* role: what the origin is to us */
  MascId parent;              /* whose space it is in: 0 the scope itself, our own domain below */
  MalTime until;              /* when the prefix is free; the longest promised */
  MalTime due;                /* pending: when its Claim-Timer ends (wall clock) */
  bool clash;                 /* withheld from use because of one */
  MascId rival;               /* 12.4: who uses it, too, while we go on; 0: nobody */
  bool draining;
} MascEntry;
typedef void (*MascEntryFunc)(const MascEntry *entry, void *data);
void masc_zone_each(const MascZone *zone, MascNow now, MascEntryFunc func, void *data);
/* The same, but of what others have only what WITHDRAWs leave, in as many entries as it takes, each
   once. */
void masc_zone_each_left(const MascZone *zone, MascNow now, MascEntryFunc func, void *data);

typedef struct {
  uint64_t held, local, used, waiting;    /* addresses */
  size_t n_held, n_pending, n_cached, n_parents, n_siblings, n_children, n_ignored;
  bool leaf;
} MascZoneUsage;
MascZoneUsage masc_zone_usage(const MascZone *zone, MascNow now);

/* Aborts with a message where an invariant doesn't hold. */
void masc_zone_check(const MascZone *zone, MascNow now);

G_END_DECLS
#endif
