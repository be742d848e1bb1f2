/* A child domain with one prefix, and its tables filled by hand: for single questions to what it
   claims. */
#ifndef MASC_OWN_ASK_H
#define MASC_OWN_ASK_H

#include "tests/unit/masc-own-bed.h"

#define HELD "233.252.4.0/24"

static inline MascZone *zone_of(const OwnBed *own)
{
  return own->bed->nodes[0].zone;
}

static inline MascNow now_of(const OwnBed *own)
{
  return masc_bed_now(own->bed, 0);
}

static inline MascOwns *owns_of(const OwnBed *own)
{
  return own_bed_owns(own, 0);
}

/* Of DOMAIN, LATER seconds younger than now; in the cache. */
static inline MascRecord *add_record(OwnBed *own, MascClaimType type, MascRole role, MascId domain,
                                     const char *prefix, int32_t later)
{
  MascRecord r = { .claim = masc_bed_claim(own->bed, type, role, domain, prefix), .parent = 1 };

  r.claim.timestamp += (uint32_t)later;
  r.forget_at = masc_claim_forget_at(&r.claim, 100);
  return masc_cache_add(zone_of(own)->cache, &r);
}

static inline MascPend *add_pend(OwnBed *own, const char *prefix, MascPendState state)
{
  MascPend pend = {
    .id = 100, .state = state, .prefix = masc_bed_prefix(prefix), .parent = 1, .due = MASC_NEVER
  };

  pend.claim = masc_bed_claim(own->bed, MASC_NEW_CLAIM, MASC_INTERNAL, 2, prefix);

  g_array_append_val(owns_of(own)->pends, pend);
  return &g_array_index(owns_of(own)->pends, MascPend, owns_of(own)->pends->len - 1);
}

static inline OwnBed *holder(void)
{
  OwnBed *own = own_bed_child();

  own_bed_win(own, 0, HELD);
  masc_bed_clear(own->bed);
  return own;
}

static inline MascHeld *held_of(const OwnBed *own)
{
  return &g_array_index(owns_of(own)->held[MASC_UPPER], MascHeld, 0);
}

#endif
