/* The inside of a zone: what RX (masc-cache, masc-peers, masc-update) and OWN (masc-own,
   masc-clash, masc-local) share. */
#ifndef MASC_ZONE_PRIVATE_H
#define MASC_ZONE_PRIVATE_H

#include "masc-cache.h"
#include "masc-zone.h"

G_BEGIN_DECLS

typedef struct {
  unsigned id;
  MascRole role;          /* what we are to it: the "Locally-Configured Role" of Table 1 */
  MascId domain, node;    /* its; 0 while unknown */
  MascId parent;          /* siblings: the common one */
  unsigned shortest;      /* children: what is shorter is denied them; 0: nothing is */
  bool up;
} MascPeer;

typedef struct MascOwns MascOwns;     /* masc-own.h */
typedef struct MascFlood MascFlood;   /* masc-flood.h */
typedef struct MascRefused MascRefused;       /* masc-refused.h */

struct MascZone {
  MascZoneConfig config;
  char *scope;
  GArray *peers;          /* MascPeer */
  MascCache *cache;
  MascOwns *owns;
  MascFlood *flood;
  MascRefused *refused;
  bool started;
  uint16_t *peer_at;      /* by id: place in PEERS + 1 */
  MascNow at;             /* the latest call */
  int64_t lag;            /* seconds that the wall clock stepped forward, not believed until */
  int64_t lag_until;      /* then: nothing is forgotten because of them */
  uint64_t lost_first, lost_last; /* tickets that the disk refused, and maybe others; 0: none */
};

/* ---- RX gives to OWN ------------------------------------------------------------------------- */

/* To whom RECORD goes by its role and type (5.1 b and d; 11.2 to 11.7), but not to EXCEPT (the peer
   that told it, or MASC_NO_PEER). What is ours and in use goes as PREFIX_IN_USE to parents and
   siblings, as PREFIX_MANAGED to children and internal peers; each with the Role that we say. */
void masc_spread(MascZone *zone, const MascRecord *record, uint32_t except);
/* Adds what we originate to the cache, in place of what it supersedes (masc-update.h), keeps it
   (the ticket is in *TICKET, which may be NULL), and spreads it at once where SPREAD; else the
   caller does once it is durable. What is there already is kept again. A change needs a later
   timestamp, or others drop it as what they have. Records go when RX says so, too: don't hold on to
   them. */
MascRecord *masc_originate(MascZone *zone, const MascClaim *claim, MascId parent, bool spread,
                           uint64_t *ticket, MascNow now);
/* Out of the cache and the store. */
void masc_record_forget(MascZone *zone, MascRecord *record);
uint64_t masc_record_keep(MascZone *zone, MascRecord *record);
/* Parents' prefixes that can be claimed from (upper: PARENT's PREFIX_MANAGED as far as not
   withdrawn; the whole scope for a top-level domain), and what others have in them: sorted. The
   caller frees with g_array_unref. */
GArray *masc_grounds(const MascZone *zone, bool lower, MascNow now);               /* MascGround */
GArray *masc_busy(const MascZone *zone, bool lower, MascNow now);                 /* MalPrefix */
/* Is a node of that parent domain in touch? Of any, for PARENT 0? A top-level domain: yes. */
bool masc_parent_in_touch(const MascZone *zone, MascId parent);
/* The parent domain whose prefix covers PREFIX (upper; 0 and true among top-level domains). */
bool masc_parent_of(const MascZone *zone, MalPrefix prefix, MascNow now, MascId *parent);
/* The same for a claim of anybody's, told in a session that is about the parent domain TELLER; 0:
   about any. */
bool masc_parent_for(const MascZone *zone, const MascClaim *claim, MascId teller, MascId *parent);
/* The parent domain in whose space PREFIX is, which we have of PARENT: where that one withdrew it
   all, another one that manages it, too (11.7.4). Of what we have of nobody (0), nobody. */
MascId masc_parent_now(const MascZone *zone, MalPrefix prefix, MascId parent);
/* masc_parent_of, and that: of whom PREFIX is claimed. */
bool masc_parent_to_ask(const MascZone *zone, MalPrefix prefix, MascNow now, MascId *parent);
/* Is RECORD that of an ancestor, as far as PREFIX goes (12.4)? Our parent for PREFIX has its space
   in it, and RECORD is in another parent's; or we have PREFIX of that domain. What a parent uses
   itself is above nobody. */
bool masc_is_above(const MascZone *zone, const MascRecord *record, MalPrefix prefix);
bool masc_has_children(const MascZone *zone);     /* their UPDATEs are here, or configured */
/* Addresses that children's hints ask for (11.5), of those alive; saturates. */
uint64_t masc_hints(const MascZone *zone, MascNow now);
MalPrefix masc_everything(const MascZone *zone);  /* of its family */
void masc_note(MascZone *zone, MascNote note, MalPrefix prefix, MascId domain, uint64_t n);

/* ---- OWN gives to RX: what was taken and stored, before it is spread ------------------------- */

/* A SIBLING's (upper) or a CHILD's (lower) PREFIX_IN_USE, CLAIM_TO_EXPAND or NEW_CLAIM: collisions
   with our pending claims, clashes with what we use. May originate. Its WITHDRAW: a clash may be
   over. */
void masc_own_rivalled(MascZone *zone, const MascRecord *record, MascNow now);
/* One of our own domain's, told by an internal peer, a parent or another (11.2.4, 11.4.4, 11.6.3,
   14). PEER is who told. False: not believed, or no longer true (answered by a WITHDRAW): RX
   neither stores nor spreads it. */
bool masc_own_told(MascZone *zone, const MascClaim *claim, const MascPeer *peer, MascNow now);
/* RX has stored it: a holding, or a claim that is pending at an internal peer, or what that one
   asks for (11.5). */
void masc_own_took(MascZone *zone, const MascRecord *record, MascNow now);
/* A parent's CLAIM_DENIED for a claim of ours, whichever node's; or, of another type, that claim as
   the parent refused it, with the lifetime that a denial would have; or of a hint. False: no such
   claim (No Appropriate Internal Prefix). */
bool masc_own_denied(MascZone *zone, const MascClaim *denial, MascNow now);
/* A WITHDRAW of our own domain, not taken yet, told by PEER. False: it is about nothing that we
   know, or told by whom we don't believe it. */
bool masc_own_withdrawn(MascZone *zone, const MascRecord *withdraw, const MascPeer *peer,
                        MascNow now);
/* A parent's PREFIX_MANAGED came, changed, ended, or was withdrawn (11.7.4: WITHDRAW is its
   message, else NULL). */
void masc_own_parent_changed(MascZone *zone, const MascClaim *withdraw, MascNow now);
/* A child says, by PEER, that it uses what we don't manage. While we recover nobody knows: it is
   heard again later. */
void masc_own_strays(MascZone *zone, const MascClaim *claim, const MascPeer *peer, MascNow now);
/* What children claim changed: forecast, leaf or not. */
void masc_own_children_changed(MascZone *zone, MascNow now);
/* What is ours is derived once all that comes at one instant is taken; here, at once. False: there
   was nothing new. May originate and forget records. */
bool masc_own_catch_up(MascZone *zone, MascNow now);
/* Is there a PREFIX_MANAGED of ours that covers PREFIX; until when at the longest? */
bool masc_own_covers(const MascZone *zone, MalPrefix prefix, MalTime *until, bool *deprecated);
/* Does our domain use something that overlaps PREFIX (11.4.4)? */
bool masc_own_overlaps(const MascZone *zone, MalPrefix prefix);

/* A session came up or went down, or a peer was configured or is no longer: after ZONE->peers says
   so. */
void masc_own_touched(MascZone *zone, MascNow now);
/* What we hold and may use now, sorted and disjoint, as what can be claimed from: masc_grounds for
   the lower arena. A copy; the caller frees with g_array_unref. */
GArray *masc_own_held(const MascZone *zone, bool lower);                         /* MascGround */

/* OWN defines masc_zone_arrived, _waiting, _replan, _claim, _withdraw and _resolve itself. Its
   parts of masc_zone_kept, _clock_stepped, _params_changed, _each (HELD, LOCAL, PENDING,
   PENDING_LOCAL), _usage (all but the peers' and the cache's) and _check: */
void masc_owns_kept(MascZone *zone, uint64_t through, bool ok, MascNow now);
void masc_owns_stepped(MascZone *zone, int64_t delta, MascNow now);
void masc_owns_params_changed(MascZone *zone, MascNow now);
void masc_owns_each(const MascZone *zone, MascNow now, MascEntryFunc func, void *data);
void masc_owns_usage(const MascZone *zone, MascNow now, MascZoneUsage *usage);
void masc_owns_check(const MascZone *zone, MascNow now);

MascOwns *masc_owns_new(MascZone *zone);
void masc_owns_free(MascOwns *owns);
/* Keys of OWN start with the octet 'o'; those of RX with another one. False: not one of OWN's. */
bool masc_owns_restore(MascZone *zone, const uint8_t *key, size_t key_length,
                       const uint8_t *value, size_t value_length, MascNow now);
void masc_owns_start(MascZone *zone, MascNow now);
int64_t masc_owns_due(const MascZone *zone);
void masc_owns_run(MascZone *zone, MascNow now);

G_END_DECLS
#endif
