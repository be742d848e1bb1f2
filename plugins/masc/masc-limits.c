#include "masc-limits.h"

uint32_t masc_seconds_to_wire(int64_t seconds)
{
  return (uint32_t)CLAMP(seconds, 0, (int64_t)UINT32_MAX);
}

uint32_t masc_time_to_wire(MalTime time)
{
  return masc_seconds_to_wire(time);
}

MalTime masc_claim_free_at(const MascClaim *claim)
{
  return mal_time_add((MalTime)claim->timestamp, claim->lifetime);
}

MalTime masc_claim_forget_at(const MascClaim *claim, int64_t extra)
{
  return mal_time_add(mal_time_add((MalTime)claim->timestamp, claim->holdtime), extra);
}

bool masc_claim_expired(const MascClaim *claim, MalTime now, int64_t extra)
{
  return masc_claim_forget_at(claim, extra) <= now;
}

static bool below(uint32_t value, uint32_t least)
{
  return least != 0 && value < least;
}

static bool above(uint32_t value, uint32_t most)
{
  return most != 0 && value > most;
}

static uint8_t judge_timestamp(const MascClaim *claim, const MascLimits *limits, MalTime now)
{
  MalTime at = claim->timestamp;

  if (limits->timestamp_old != 0 && at < mal_time_add(now, -(int64_t)limits->timestamp_old))
    return MASC_UPDATE_TIMESTAMP_OLD;
  if (limits->timestamp_new != 0 && at > mal_time_add(now, limits->timestamp_new))
    return MASC_UPDATE_TIMESTAMP_NEW;
  return 0;
}

static uint8_t judge_prefix(const MascClaim *claim, const MascLimits *limits)
{
  bool v4 = claim->prefix.address.family == MAL_IPV4;

  if (above(claim->prefix.length, v4 ? limits->longest4 : limits->longest6))
    return MASC_UPDATE_PREFIX_SMALL;
  if (below(claim->prefix.length, v4 ? limits->shortest4 : limits->shortest6))
    return MASC_UPDATE_PREFIX_LARGE;
  return 0;
}

uint8_t masc_claim_judge(const MascClaim *claim, const MascLimits *limits, MalTime now)
{
  uint8_t subcode;

  if (below(claim->lifetime, limits->lifetime_min))
    return MASC_UPDATE_LIFETIME_SHORT;
  if (above(claim->lifetime, limits->lifetime_max))
    return MASC_UPDATE_LIFETIME_LONG;
  if ((subcode = judge_timestamp(claim, limits, now)) != 0)
    return subcode;
  if ((subcode = judge_prefix(claim, limits)) != 0)
    return subcode;
  if (below(claim->holdtime, limits->holdtime_min))
    return MASC_UPDATE_HOLDTIME_SHORT;
  if (above(claim->holdtime, limits->holdtime_max))
    return MASC_UPDATE_HOLDTIME_LONG;
  return 0;
}
