#include "aap-time.h"

static MalTime clamp(MalTime time)
{
  return CLAMP(time, 0, (MalTime)AAP_TIME_MAX);
}

int64_t aap_time_delta(MalTime now, uint32_t current_time)
{
  return mal_time_add(now, -(int64_t)current_time);
}

MalTime aap_time_adjust(uint32_t field, int64_t delta)
{
  return clamp(mal_time_add((MalTime)field, delta));
}

uint32_t aap_time_to_wire(MalTime time)
{
  return (uint32_t)clamp(time);
}

bool aap_time_same(MalTime a, MalTime b, int64_t tolerance)
{
  MalTime early = MIN(a, b), late = MAX(a, b);
  return late <= mal_time_add(early, MAX(tolerance, 0));
}

bool aap_skew_exceeds(int64_t delta, int64_t limit)
{
  return limit > 0 && (delta > limit || delta < -limit);
}

bool aap_asa_is_resent(const AapMessage *asa)
{
  return asa->current_time >= asa->expiration_time;
}

bool aap_horizon_ok(const AapMessage *asa, int64_t horizon)
{
  return (int64_t)asa->expiration_time - (int64_t)asa->current_time <= horizon;
}

uint32_t aap_resend_time(uint32_t current_time, int64_t elapsed)
{
  return aap_time_to_wire(mal_time_add((MalTime)current_time, MAX(elapsed, 0)));
}
