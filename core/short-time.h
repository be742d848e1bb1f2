/* Instants in 40 bits. Those from 1 to 2^40 - 3 (the year 36,812) and the two ends of time stand
   for themselves. What lies elsewhere can only be rounded, which does for bounds; where it doesn't,
   the instant is kept elsewhere in full. Not installed. */
#ifndef MAL_SHORT_TIME_H
#define MAL_SHORT_TIME_H

#include "api.h"

#define MAL_SHORT_FOREVER ((UINT64_C(1) << 40) - 1)
#define MAL_SHORT_LATE (MAL_SHORT_FOREVER - 1)

static inline MalTime mal_time_of_short(uint64_t t)
{
  return t == 0 ? MAL_BEGINNING : t == MAL_SHORT_FOREVER ? MAL_FOREVER : (MalTime)t;
}

static inline uint64_t mal_short_down(MalTime t)
{
  if (t == MAL_FOREVER)
    return MAL_SHORT_FOREVER;
  return (uint64_t)CLAMP(t, 0, (MalTime)MAL_SHORT_LATE);
}

static inline uint64_t mal_short_up(MalTime t)
{
  if (t == MAL_BEGINNING)
    return 0;
  return t >= (MalTime)MAL_SHORT_LATE ? MAL_SHORT_FOREVER : (uint64_t)MAX(t, 1);
}

/* Does T, which was rounded down, say the instant itself, if that is not MAL_BEGINNING? */
static inline bool mal_short_is_exact(uint64_t t)
{
  return t != 0 && t != MAL_SHORT_LATE;
}

static inline bool mal_time_is_short(MalTime t)
{
  return t == MAL_BEGINNING || mal_short_is_exact(mal_short_down(t));
}

#endif
