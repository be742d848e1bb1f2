/* Claims beside each other (RFC 2909 5.1.1, 11): which wins, which are the same. Pure. */
#ifndef MASC_COMPARE_H
#define MASC_COMPARE_H

#include "masc-wire.h"

G_BEGIN_DECLS

/* PREFIX_IN_USE, CLAIM_DENIED, CLAIM_TO_EXPAND and NEW_CLAIM; the other two never take part. */
bool masc_claim_competes(const MascClaim *claim);
/* Whether the two are about addresses that both hold, and so have to be compared. Never for hints,
   nor for types that don't compete. Two claims of one domain do collide. */
bool masc_claims_collide(const MascClaim *a, const MascClaim *b);
/* The comparison of 5.1.1: above 0 where A wins, below 0 where B does; 0 only where type, timestamp
   and origin node are the same. Both compete. */
int masc_claim_compare(const MascClaim *a, const MascClaim *b);

/* All the fields that 11.1 lists are equal: the message was seen before. Role is compared as it
   stands, so both have to be stored with the same kind of it (updated or not). */
bool masc_claim_same(const MascClaim *a, const MascClaim *b);
/* B is about the claim A, whatever their types: same family, origin domain, timestamp, prefix
   (11.3.3; 11.7 for a claim that is withdrawn). */
bool masc_claim_about(const MascClaim *a, const MascClaim *b);
/* Not hints: OUTER's prefix holds all of INNER's; they share addresses. */
bool masc_claim_covers(const MascClaim *outer, const MascClaim *inner);
bool masc_claims_overlap(const MascClaim *a, const MascClaim *b);

G_END_DECLS
#endif
