#include "tests/unit/masc-own-double.h"

MascOwns *masc_owns_new(MascZone *zone)
{
  MascOwns *owns = g_new0(MascOwns, 1);
  (void)zone;
  owns->until = MAL_FOREVER;
  return owns;
}

void masc_owns_free(MascOwns *owns)
{
  g_free(owns);
}

void masc_own_rivalled(MascZone *zone, const MascRecord *record, MascNow now)
{
  (void)now;
  zone->owns->n_rivalled++;
  zone->owns->rivalled = *record;
}

bool masc_own_told(MascZone *zone, const MascClaim *claim, const MascPeer *peer, MascNow now)
{
  (void)claim;
  (void)peer;
  (void)now;
  zone->owns->n_told++;
  return !zone->owns->doubts;
}

void masc_own_took(MascZone *zone, const MascRecord *record, MascNow now)
{
  (void)now;
  zone->owns->n_took++;
  zone->owns->took = *record;
}

bool masc_own_denied(MascZone *zone, const MascClaim *denial, MascNow now)
{
  (void)denial;
  (void)now;
  zone->owns->n_denied++;
  return zone->owns->denied;
}

bool masc_own_withdrawn(MascZone *zone, const MascRecord *withdraw, const MascPeer *peer,
                        MascNow now)
{
  (void)withdraw;
  (void)peer;
  (void)now;
  zone->owns->n_withdrawn++;
  return zone->owns->withdrawn;
}

void masc_own_parent_changed(MascZone *zone, const MascClaim *withdraw, MascNow now)
{
  (void)now;
  zone->owns->n_parents++;
  zone->owns->n_withdrew += withdraw != NULL;
}

void masc_own_strays(MascZone *zone, const MascClaim *claim, const MascPeer *peer, MascNow now)
{
  (void)zone;
  (void)claim;
  (void)peer;
  (void)now;
}

void masc_own_children_changed(MascZone *zone, MascNow now)
{
  (void)now;
  zone->owns->n_children++;
}

bool masc_own_catch_up(MascZone *zone, MascNow now)
{
  (void)zone;
  (void)now;
  return false;
}

bool masc_own_covers(const MascZone *zone, MalPrefix prefix, MalTime *until, bool *deprecated)
{
  const MascOwns *owns = zone->owns;
  if (until != NULL)
    *until = owns->until;
  if (deprecated != NULL)
    *deprecated = false;
  return owns->held.first.family != MAL_FAMILY_NONE &&
         mal_span_contains(owns->held, mal_span_of_prefix(prefix));
}

bool masc_own_overlaps(const MascZone *zone, MalPrefix prefix)
{
  return zone->owns->overlaps.first.family != MAL_FAMILY_NONE &&
         mal_span_overlaps(zone->owns->overlaps, mal_span_of_prefix(prefix));
}

void masc_own_touched(MascZone *zone, MascNow now)
{
  (void)now;
  zone->owns->n_touched++;
}

GArray *masc_own_held(const MascZone *zone, bool lower)
{
  (void)zone;
  (void)lower;
  return g_array_new(FALSE, FALSE, sizeof(MascGround));
}

void masc_owns_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  (void)zone;
  (void)through;
  (void)ok;
  (void)now;
}

void masc_owns_stepped(MascZone *zone, int64_t delta, MascNow now)
{
  (void)zone;
  (void)delta;
  (void)now;
}

void masc_owns_params_changed(MascZone *zone, MascNow now)
{
  (void)zone;
  (void)now;
}

void masc_owns_each(const MascZone *zone, MascNow now, MascEntryFunc func, void *data)
{
  (void)zone;
  (void)now;
  (void)func;
  (void)data;
}

void masc_owns_usage(const MascZone *zone, MascNow now, MascZoneUsage *usage)
{
  (void)zone;
  (void)now;
  (void)usage;
}

void masc_owns_check(const MascZone *zone, MascNow now)
{
  (void)zone;
  (void)now;
}

bool masc_owns_restore(MascZone *zone, const uint8_t *key, size_t key_length,
                       const uint8_t *value, size_t value_length, MascNow now)
{
  (void)zone;
  (void)key;
  (void)key_length;
  (void)value;
  (void)value_length;
  (void)now;
  return false;
}

void masc_owns_start(MascZone *zone, MascNow now)
{
  (void)zone;
  (void)now;
}

int64_t masc_owns_due(const MascZone *zone)
{
  (void)zone;
  return MASC_NEVER;
}

void masc_owns_run(MascZone *zone, MascNow now)
{
  (void)zone;
  (void)now;
}
