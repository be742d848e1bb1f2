/* AAP's times (draft-ietf-malloc-aap-04 section 5.3): seconds since 1970 in 32 bits, until 2106, in
   the clock of whoever sent them. Received ones are corrected once, by the difference of the
   clocks, and only corrected ones are kept, compared or waited for. All of it saturates; nothing
   wraps. */
#ifndef AAP_TIME_H
#define AAP_TIME_H

#include "aap-wire.h"

G_BEGIN_DECLS

#define AAP_TIME_MAX 0xFFFFFFFFu

/* Our clock at reception minus the message's Current Time: what has to be added to its other
   times. */
int64_t aap_time_delta(MalTime now, uint32_t current_time);
/* FIELD in our clock, within what the wire can say: 0 to 2^32 - 1. */
MalTime aap_time_adjust(uint32_t field, int64_t delta);
/* A time of ours for the wire. Later than that, MAL_FOREVER too: 2^32 - 1. */
uint32_t aap_time_to_wire(MalTime time);

/* The same instant, but for transit and rounding: not more than TOLERANCE seconds apart. */
bool aap_time_same(MalTime a, MalTime b, int64_t tolerance);
/* From the end time on, the addresses are not in use; END is corrected (3.2.8). */
static inline bool aap_time_ended(MalTime end, MalTime now)
{
  return end <= now;
}
/* Whether DELTA is a clock difference above LIMIT seconds either way; 0: no limit. */
bool aap_skew_exceeds(int64_t delta, int64_t limit);

/* A MAAS sent it, not a prefix coordinator: Current Time has reached Expiration Time (3.2.10.2). */
bool aap_asa_is_resent(const AapMessage *asa);
/* Its Expiration Time is not more than HORIZON seconds after its Current Time; else it is dropped
   (AAP_REASON_HORIZON), since no later ASA would ever be newer. */
bool aap_horizon_ok(const AapMessage *asa, int64_t horizon);
/* Current Time of an ASA that is sent again ELAPSED seconds after it was received: stays in the
   clock of its coordinator. A negative ELAPSED (the clock was put back) counts as 0. */
uint32_t aap_resend_time(uint32_t current_time, int64_t elapsed);

G_END_DECLS
#endif
