/* Times of claims (RFC 2909 7.3, 12.3), and the bounds that a node sets for them (8.3). Pure: the
   instant is a parameter. Times on the wire are seconds since 1970 in 32 bits, until 2106; all
   of it saturates, nothing wraps. */
#ifndef MASC_LIMITS_H
#define MASC_LIMITS_H

#include "masc-wire.h"

G_BEGIN_DECLS

/* An instant of ours as a Claim Timestamp; a duration as a Lifetime or Holdtime. */
uint32_t masc_time_to_wire(MalTime time);
uint32_t masc_seconds_to_wire(int64_t seconds);

/* When the prefix is free again; when the claim is to be forgotten, EXTRA seconds later than its
   Holdtime says because clocks differ (12.3). In the origin's clock. */
MalTime masc_claim_free_at(const MascClaim *claim);
MalTime masc_claim_forget_at(const MascClaim *claim, int64_t extra);
/* From that instant on (11.1: Timestamp + Claim Holdtime <= CurrentTime). */
bool masc_claim_expired(const MascClaim *claim, MalTime now, int64_t extra);

/* 0 is no bound. Prefix lengths: LONGEST for what is the smallest prefix, SHORTEST the largest. */
typedef struct {
  uint32_t lifetime_min, lifetime_max;      /* the RFC's examples: 172800 and 15768000 */
  uint32_t holdtime_min, holdtime_max;
  uint32_t timestamp_old, timestamp_new;    /* seconds before and after our clock */
  unsigned longest4, shortest4;             /* the RFC's example of a longest: 28 */
  unsigned longest6, shortest6;
} MascLimits;

/* 0, or the MascUpdateError for the first bound that the claim breaks, in the order of 8.3. */
uint8_t masc_claim_judge(const MascClaim *claim, const MascLimits *limits, MalTime now);

G_END_DECLS
#endif
