/* RFC 2909 section 11, inside RX: what comes in is judged, taken, and passed on. */
#ifndef MASC_UPDATE_H
#define MASC_UPDATE_H

#include "masc-zone-private.h"

G_BEGIN_DECLS

/* An attribute on its way in. CLAIM has the updated role (11.1), and PREFIX_IN_USE as the type of a
   holding of our own. */
typedef struct {
  MascZone *zone;
  const MascPeer *peer;
  MascRecord record;
  MascNow now;
} MascHeard;

MascPeer *masc_peer(const MascZone *zone, unsigned id);
/* The step of 11.8 in which RECORD goes to PEER, from 1, with what it says there in *OUT; 0: it
   doesn't go there. */
unsigned masc_goes_to(const MascZone *zone, const MascRecord *record, const MascPeer *peer,
                      MascClaim *out);
/* As masc_spread, to internal peers alone. */
void masc_spread_inside(MascZone *zone, const MascRecord *record, uint32_t except);
/* To that peer alone, if it goes there. */
void masc_spread_to_peer(MascZone *zone, const MascRecord *record, const MascPeer *peer);
/* As masc_spread, to our sessions with that child domain alone. */
void masc_spread_to_child(MascZone *zone, const MascRecord *record, MascId child);
void masc_send_all(MascZone *zone, const MascPeer *peer);
/* Is that one of our parent domains; one of our children domains (or ourselves as one)? */
bool masc_is_parent(const MascZone *zone, MascId domain);
bool masc_is_child(const MascZone *zone, MascId domain);

/* ---- claims ---------------------------------------------------------------------------------- */

static inline bool masc_is_holding(const MascClaim *c)
{
  return c->type == MASC_PREFIX_IN_USE || c->type == MASC_PREFIX_MANAGED;
}

static inline bool masc_is_pending(const MascClaim *c)
{
  return c->type == MASC_NEW_CLAIM || c->type == MASC_CLAIM_TO_EXPAND;
}

/* 0, or why our clock or our limits forbid it (8.3). */
uint8_t masc_update_limits(const MascHeard *h);
uint8_t masc_update_claim(MascHeard *h);        /* PREFIX_IN_USE, CLAIM_TO_EXPAND, NEW_CLAIM */
uint8_t masc_update_hint(MascHeard *h);
uint8_t masc_update_denied(MascHeard *h);
uint8_t masc_update_managed(MascHeard *h);
uint8_t masc_update_withdraw(MascHeard *h);
/* 0 where PREFIX lies in a parent's prefix, which is RECORD.parent then; else No Appropriate Parent
   Prefix. */
uint8_t masc_update_associate(MascHeard *h);
/* Is it about this zone's scope? */
bool masc_update_in_scope(const MascZone *zone, const MascClaim *claim);
bool masc_update_own(const MascHeard *h);       /* its origin is our own domain */

/* ---- records --------------------------------------------------------------------------------- */

/* A says the same about the same domain as B, only newer; B is then forgotten, and never taken
   again. Holdings: the same prefix or a covered one. Pending claims: those that became a holding,
   and those denied. Hints: the newer one, and a claim that is as large. WITHDRAWs: the newer and
   larger one. A newer holding leaves an older WITHDRAW alone: known, it doesn't count again. */
bool masc_supersedes(const MascRecord *a, const MascRecord *b);
/* Something in the cache supersedes H's record, or a WITHDRAW took it: then the peer is told that
   WITHDRAW. */
bool masc_record_stale(const MascHeard *h);
/* The same, by who has looked already whether it is superseded. */
bool masc_record_is_stale(const MascHeard *h, bool superseded);
/* Into the cache and the store, in place of what it supersedes. NULL: the cache is full. */
MascRecord *masc_record_take(MascZone *zone, const MascRecord *record, uint64_t *ticket);
/* The same, by who knows what it supersedes in the cache, but for hints. */
MascRecord *masc_record_put(MascZone *zone, const MascRecord *record, MascRecord **old,
                            size_t n_old, uint64_t *ticket);
/* What a WITHDRAW, not taken yet, is about: sets its flags, removes what it ends. Is there such? */
bool masc_withdraw_apply(MascZone *zone, MascRecord *withdraw, bool remove);
/* A PREFIX_IN_USE just taken may be the winner of a clash that a WITHDRAW has settled. */
void masc_withdraw_won(MascZone *zone, const MascRecord *winner);
/* As masc_zone_kept, for the cache's records. */
void masc_records_kept(MascZone *zone, uint64_t through, bool ok);
/* Its row goes; it stays in the cache. */
void masc_record_unkeep(MascZone *zone, const MascRecord *record);
bool masc_record_restore(MascZone *zone, const uint8_t *key, size_t key_length,
                         const uint8_t *value, size_t value_length, MascNow now);

G_END_DECLS
#endif
