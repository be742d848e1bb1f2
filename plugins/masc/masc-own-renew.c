/* Claiming again what is ours, before it ends (RFC 2909 5.2, 17.1.6). */
#include "masc-own.h"

typedef struct {
  const MascZone *zone;
  const MascHeld *held;
  bool lower;
  MascNow now;
  bool found;
} Renewal;

static bool find_renewal(MascRecord *record, void *data)
{
  Renewal *r = data;

  r->found = masc_own_peer_claims(r->zone, record, r->lower, r->now) &&
             masc_prefix_covers(record->claim.prefix, r->held->prefix) &&
             record->claim.timestamp > r->held->claim.timestamp;
  return !r->found;
}

/* When it is time: earlier for who claimed it last, so that internal peers don't do it twice. */
static MalTime renewal_time(const MascZone *zone, const MascHeld *held)
{
  const MascParams *params = zone->config.params;
  MalTime own = mal_time_add((MalTime)held->claim.timestamp, params->renew_interval);

  if (held->claim.node == zone->config.node)
    return own;
  MalTime others = mal_time_add(own, MAX(params->waiting_period, params->renew_interval));
  MalTime last = mal_time_add(held->until, -2 * params->waiting_period);
  return MAX(MIN(others, last), mal_time_add(own, 2 * params->initiate_claim_delay));
}

/* There is no ground that would make it last longer. */
static void unrenewed(MascZone *zone, const MascHeld *held, bool lower, bool forever, MascNow now)
{
  const MascParams *params = zone->config.params;
  MascMark *mark = masc_own_mark(zone, held->prefix, lower, now);
  MalTime worry = mal_time_add(held->until, -params->waiting_period - params->renew_interval);

  if (mark->ended || (!forever && now.wall < worry))
    return;
  mark->ended = true;
  zone->owns->marks_changed = true;
  masc_note(zone, MASC_NOTE_UNRENEWED, held->prefix, zone->config.domain, 0);
}

/* When to look again. */
static int64_t renew_one(MascZone *zone, const MascHeld *held, bool lower, MascNow now)
{
  MalTime at = renewal_time(zone, held), ground;
  int64_t later = masc_own_after(now, masc_own_settle(zone));
  Renewal r = { zone, held, lower, now, false };
  MascPend pend = { .lower = lower, .renews = true, .prefix = held->prefix };

  if (held->claim.deprecated)
    return MASC_NEVER;
  if (at > now.wall)
    return masc_own_mono(now, at);
  if (masc_pend_meeting(zone, held->prefix, lower) != NULL)
    return later;
  masc_cache_each_of(zone->cache, zone->config.domain, find_renewal, &r);
  if (r.found)
    return later;
  ground = masc_own_ground(zone, held->prefix, lower, false, now);
  if (MIN(mal_time_add(now.wall, zone->config.params->prefix_lifetime), ground) <= held->until) {
    unrenewed(zone, held, lower, ground == MAL_BEGINNING, now);
    return later;
  }
  MascMark *mark = masc_own_mark(zone, held->prefix, lower, now);
  if (mark->denials > 0 && mark->again > now.mono)
    return mark->again;
  if (!lower && mal_time_add(now.wall, masc_own_longest(zone, held->parent, now)) <= held->until) {
    masc_own_renewal_denied(zone, held, lower, now);
    return later;
  }
  mark->ended = mark->ended && mark->denials > 0;
  pend.hand = false;
  masc_pend_add(zone, &pend, now);
  return later;
}

void masc_own_renew(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;

  owns->renew_at = MASC_NEVER;
  for (int lower = 0; lower < 2; lower++)
    for (guint i = 0; i < owns->held[lower]->len; i++) {
      const MascHeld *h = &g_array_index(owns->held[lower], MascHeld, i);
      owns->renew_at = MIN(owns->renew_at, renew_one(zone, h, lower, now));
    }
}
