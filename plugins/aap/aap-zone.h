/* One scope as a MAAS in it lives it: the Allocation Record, own allocations, claims, the pool of
   preallocations, defences, the cached ASA, reports and requests (draft-ietf-malloc-aap-04 section
   3). A pure machine: what it does goes out through AapZoneOps, what time it is comes in with each
   call.

   The zone never trusts that something is stored: an own allocation is announced and used only
   after aap_zone_kept() said that it is on the disk (3.1). */
#ifndef AAP_ZONE_H
#define AAP_ZONE_H

#include "aap-params.h"
#include "aap-wire.h"
#include "core/model.h"

G_BEGIN_DECLS

typedef struct AapZone AapZone;

/* Why a span of ours is no longer ours. */
typedef enum {
  AAP_GONE_GIVEN_BACK, /* idle: nothing was leased in it */
  AAP_GONE_ENDED,
  AAP_GONE_CONFLICT,    /* somebody else allocated it, too (3.2.3) */
  AAP_GONE_UNAVAILABLE, /* an ASA took it away (3.2.10.1) */
} AapGone;

/* An own allocation as the store keeps it. */
typedef struct {
  MalSpan span;
  MalTime end;              /* what we announce; the latest of those ever advertised */
  MalTime advertised_since; /* wall clock of its making */
} AapOwn;

typedef enum {
  AAP_NOTE_CLAIMED,
  AAP_NOTE_CLAIM_COLLISION,
  AAP_NOTE_CLAIM_FAILED,
  AAP_NOTE_CLAIM_EXHAUSTED,
  AAP_NOTE_PREALLOCATED,
  AAP_NOTE_PREALLOC_LOST,
  AAP_NOTE_OWNED,
  AAP_NOTE_EXTENDED,
  AAP_NOTE_GIVEN_BACK,
  AAP_NOTE_ENDED,
  AAP_NOTE_CONFLICT,
  AAP_NOTE_ECHO,
  AAP_NOTE_DEFENDED,
  AAP_NOTE_STALE_DEFENCE,
  AAP_NOTE_ASA_PROCESSED,
  AAP_NOTE_ASA_IGNORED,
  AAP_NOTE_ASA_ABSURD,
  AAP_NOTE_ASA_INVALIDATES,
  AAP_NOTE_ASA_EXPIRED,
  AAP_NOTE_ASA_RESENT,
  AAP_NOTE_ASRP_SENT,
  AAP_NOTE_ASRP_SUPPRESSED,
  AAP_NOTE_ANA_SENT,
  AAP_NOTE_ANA_HEARD,
  AAP_NOTE_STARTED,
  AAP_NOTE_RECORD_FULL,
  AAP_NOTE_WRONG_SCOPE_KIND,
  AAP_N_NOTES
} AapNote;

/* Called from within aap_zone_* calls; they must not call back into the zone. */
typedef struct {
  /* MSG leaves for the zone's group, as aap_encode would write it; one with a BODY is an ASA sent
     again (aap_encode_resent). False: it could not leave (3.2.5: then no claim is won by it). */
  bool (*send)(void *user, AapZone *zone, const AapMessage *msg);
  uint64_t (*random)(void *user, uint64_t low, uint64_t high); /* uniform, both included */
  /* Write this own allocation (new, or its new end); then call aap_zone_kept(zone, span.first,
     true), or false where the disk failed. Overwrites what was written under the same first
     address. */
  void (*keep)(void *user, AapZone *zone, const AapOwn *own);
  void (*forget)(void *user, AapZone *zone, MalAddress first);
  /* SPAN is ours until END: layer 1 may use it. Called again for another end (an ASA may bring an
     earlier one). */
  void (*owned)(void *user, AapZone *zone, MalSpan span, MalTime end);
  /* SPAN, whole or part of what `owned` told, is ours no longer. Leases in it end. */
  void (*gone)(void *user, AapZone *zone, MalSpan span, AapGone why);
  /* SPAN isn't to be given to new clients for now (ON), or may be again. */
  void (*suspend)(void *user, AapZone *zone, MalSpan span, bool on);
  /* How many addresses of SPAN are leased or held by clients, and how many more could be leased
     now. */
  void (*use)(void *user, AapZone *zone, MalSpan span, uint64_t *leased, uint64_t *free);
  /* A foreign allocation changed; what is stored may follow within five seconds
     (aap_zone_foreign_changes). */
  void (*foreign_changed)(void *user, AapZone *zone);
  /* The ASA that counts now, with adjusted times: what the domain may use of a large scope. PAYLOAD
     is kept by the caller for restoring and shown again by aap_zone_restore_asa. */
  void (*asa)(void *user, AapZone *zone, const AapExtent *ranges, size_t n, const uint8_t *payload,
              size_t length);
  /* What was wanted can't be had: COUNT addresses until END, or (family not NONE) NAMED. WHY
     AAP_NOTE_CLAIM_FAILED of any addresses: there is too little space. */
  void (*failed)(void *user, AapZone *zone, MalSpan named, uint64_t count, MalTime end,
                 AapNote why);
  /* SPAN family NONE, PEER family NONE: not about one. N counts what the note is about. */
  void (*note)(void *user, AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer, uint64_t n);
} AapZoneOps;

typedef struct {
  const char *scope;       /* its id; copied */
  MalSpan span;            /* the whole scope */
  bool large;              /* divisible: its addresses come by ASA */
  const AapParams *params; /* borrowed */
  AapSequence *sequence;   /* borrowed */
  const AapZoneOps *ops;
  void *user;
} AapZoneConfig;

AapZone *aap_zone_new(const AapZoneConfig *config);
void aap_zone_free(AapZone *zone);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AapZone, aap_zone_free)
const char *aap_zone_scope(const AapZone *zone);
MalSpan aap_zone_span(const AapZone *zone);
bool aap_zone_is_large(const AapZone *zone);

/* ---- what was stored, before aap_zone_start -------------------------------------------------- */

void aap_zone_restore_own(AapZone *zone, const AapOwn *own);
void aap_zone_restore_foreign(AapZone *zone, MalSpan span, MalTime end, MalEndpoint peer);
/* The payload as received and the wall clock of its reception (3.2.10.2). False: not an ASA. */
bool aap_zone_restore_asa(AapZone *zone, const uint8_t *payload, size_t length, MalTime received,
                          AapNow now);
/* A lease lies where nothing is owned (AAP is new on this server): SPAN becomes an own
   allocation. */
void aap_zone_adopt(AapZone *zone, MalSpan span, MalTime end);

/* ---- life ------------------------------------------------------------------------------------ */

/* Listens for U[1, 1.3] x startup-wait, then takes part (3.2.4). Restored own allocations are told
   by `owned` at once. */
void aap_zone_start(AapZone *zone, AapNow now);
/* The next instant at which aap_zone_run has something to do; AAP_NEVER: none. */
int64_t aap_zone_due(const AapZone *zone);
void aap_zone_run(AapZone *zone, AapNow now);
/* A message of another MAAS or a coordinator that was decoded, authenticated and found to be about
   this zone. PAYLOAD is its octets (kept of an ASA). */
void aap_zone_heard(AapZone *zone, MalEndpoint from, const AapMessage *msg, const uint8_t *payload,
                    size_t length, AapNow now);
/* What was asked to be written under FIRST is on the disk, or could not be written. */
void aap_zone_kept(AapZone *zone, MalAddress first, bool ok, AapNow now);
/* The wall clock jumped by DELTA seconds: foreign times move with it. */
void aap_zone_clock_stepped(AapZone *zone, int64_t delta, AapNow now);

/* What may be used of the scope (large: by ASA or configuration; small: by configuration or all of
   it), sorted and disjoint, and what never is (reserves, excludes, AAP groups, what no client may
   get). Effective ends follow from it. */
void aap_zone_set_available(AapZone *zone, const AapExtent *ranges, size_t n, AapNow now);
void aap_zone_set_excluded(AapZone *zone, const MalSpan *spans, size_t n, AapNow now);
/* Own allocations are announced as soon as they may be; in how many messages. */
unsigned aap_zone_announce(AapZone *zone, AapNow now);
/* Parameters changed in place (reload). */
void aap_zone_params_changed(AapZone *zone, AapNow now);

/* COUNT more addresses are wanted until END: own ones are extended, else the pool gives, else they
   are claimed; `owned` follows, or `failed`. Wants that come while an earlier one is being met are
   added to it only where they exceed it. */
void aap_zone_want(AapZone *zone, uint64_t count, MalTime end, AapNow now);
/* May exactly SPAN become ours until END? (A candidate of somebody else's choice: named addresses.)
   `owned` or `failed` follows. */
void aap_zone_want_span(AapZone *zone, MalSpan span, MalTime end, AapNow now);
bool aap_zone_is_acquiring(const AapZone *zone);

/* ---- looking in (control methods, tests) ----------------------------------------------------- */

typedef enum {
  AAP_ENTRY_OWN,
  AAP_ENTRY_OWN_WRITING,
  AAP_ENTRY_CLAIM,
  AAP_ENTRY_POOL_TENTATIVE,
  AAP_ENTRY_POOL,
  AAP_ENTRY_FOREIGN,
  AAP_ENTRY_FOREIGN_PREALLOCATED,
  AAP_ENTRY_FOREIGN_CLAIMED,
  AAP_ENTRY_ENDED,
  AAP_ENTRY_TOMBSTONE,
} AapEntryKind;

typedef struct {
  AapEntryKind kind;
  MalSpan span;
  MalTime end;      /* effective */
  MalEndpoint peer; /* of foreign ones: who was last heard with it */
  int64_t heard;    /* monotonic; 0: not heard */
  bool suspended;
} AapEntry;
typedef void (*AapEntryFunc)(const AapEntry *entry, void *data);
void aap_zone_each(const AapZone *zone, AapNow now, AapEntryFunc func, void *data);
/* Address requests outstanding, own and foreign (3.2.9). */
typedef void (*AapWantFunc)(MalEndpoint peer, uint64_t count, MalTime end, void *data);
void aap_zone_each_request(const AapZone *zone, AapWantFunc func, void *data);

typedef struct {
  bool listening;       /* startup */
  int64_t startup_ends; /* monotonic */
  uint64_t own, own_free, pool, pool_tentative, pool_target, foreign, foreign_preallocated,
      available, wanted;
  size_t own_blocks, entries, claims, defences, announcements;
  MalTime asa_expires; /* MAL_BEGINNING: no ASA */
  double demand;       /* addresses an hour */
} AapZoneUsage;
AapZoneUsage aap_zone_usage(const AapZone *zone, AapNow now);

/* Foreign allocations that changed since the last call: END MAL_BEGINNING says that it is gone. */
void aap_zone_foreign_changes(AapZone *zone,
                              void (*func)(MalSpan span, MalTime end, MalEndpoint peer, void *data),
                              void *data);
/* Aborts with a message where an invariant of the record doesn't hold. O(n). */
void aap_zone_check(const AapZone *zone, AapNow now);

G_END_DECLS
#endif
