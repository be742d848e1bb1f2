/* What a peer told (RFC 2909 11.1): what its origin is to us, whether it is news, who looks at
   it. */
#include "masc-flood.h"
#include "masc-update.h"

bool masc_update_own(const MascHeard *h)
{
  return h->record.claim.domain == h->zone->config.domain;
}

/* ---- 11.1: the updated role ------------------------------------------------------------------ */

/* Where Table 1 has "---", two cases of what comes back to a parent through its children. */
static bool came_back(const MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  if (h->peer->role != MASC_PARENT || c->role != MASC_PARENT)
    return false;
  return masc_update_own(h) ||
         (c->type == MASC_CLAIM_DENIED &&
          (c->domain == h->peer->domain || masc_is_child(h->zone, c->domain)));
}

static uint8_t judge_identity(const MascHeard *h, MascRole said)
{
  const MascClaim *c = &h->record.claim;
  if (c->type == MASC_CLAIM_DENIED)
    return 0;                 /* has the identifiers of what is denied (11.4.3) */
  if (said == MASC_INTERNAL && c->domain != h->peer->domain)
    return MASC_UPDATE_ORIGIN_DOMAIN;
  if (c->role == MASC_PARENT && masc_update_own(h))
    return MASC_UPDATE_ORIGIN_DOMAIN;
  return c->node == h->zone->config.node && !masc_update_own(h) ? MASC_UPDATE_ORIGIN_NODE : 0;
}

static uint8_t update_role(MascHeard *h)
{
  MascClaim *c = &h->record.claim;
  MascRole said = c->role;
  if (came_back(h))
    c->role = MASC_INTERNAL;
  else if (!masc_role_updated(said, h->peer->role, &c->role))
    return MASC_UPDATE_ORIGIN_ROLE;
  /* Of a CLAIM_DENIED, ours is who claimed, and not who denies (11.3.1). */
  if (c->role == MASC_SIBLING && masc_update_own(h) && c->type != MASC_CLAIM_DENIED)
    c->role = MASC_INTERNAL;
  if (c->role == MASC_INTERNAL && !masc_update_own(h) && c->type != MASC_CLAIM_DENIED)
    return MASC_UPDATE_ORIGIN_ROLE;
  if (!masc_origin_may(c->role, c->type))
    return MASC_UPDATE_ORIGIN_ROLE;
  if (c->role == MASC_INTERNAL && c->type == MASC_PREFIX_MANAGED)
    c->type = MASC_PREFIX_IN_USE;
  return judge_identity(h, said);
}

/* ---- limits (8.3) ---------------------------------------------------------------------------- */

/* Lifetimes and sizes are a matter of claims. A hint's size says how much is wanted. */
uint8_t masc_update_limits(const MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  const MascLimits *limits = &h->zone->config.params->limits;
  MascLimits few = { .holdtime_max = limits->holdtime_max,
                     .timestamp_old = limits->timestamp_old,
                     .timestamp_new = limits->timestamp_new };
  if (masc_update_own(h))
    return 0;
  if (!masc_claim_competes(c) || c->type == MASC_CLAIM_DENIED || masc_claim_is_hint(c))
    limits = &few;
  return masc_claim_judge(c, limits, h->now.wall);
}

uint8_t masc_update_associate(MascHeard *h)
{
  MascId teller = h->peer->role == MASC_CHILD     ? h->peer->domain
                  : h->peer->role == MASC_SIBLING ? h->peer->parent
                                                  : 0;
  return masc_parent_for(h->zone, &h->record.claim, teller, &h->record.parent)
             ? 0
             : MASC_UPDATE_NO_PARENT_PREFIX;
}

bool masc_update_in_scope(const MascZone *zone, const MascClaim *claim)
{
  MalSpan span = mal_span_of_prefix(claim->prefix);
  if (masc_claim_is_hint(claim))
    return true;
  /* What a parent has may reach farther. */
  return claim->role == MASC_PARENT || claim->type == MASC_WITHDRAW
             ? mal_span_overlaps(span, zone->config.span)
             : mal_span_contains(zone->config.span, span);
}

/* ---- the way in ------------------------------------------------------------------------------ */

static uint8_t dispatch(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  switch (c->type) {
  case MASC_PREFIX_IN_USE:
  case MASC_CLAIM_TO_EXPAND:
  case MASC_NEW_CLAIM: return masc_claim_is_hint(c) ? masc_update_hint(h) : masc_update_claim(h);
  case MASC_CLAIM_DENIED: return masc_update_denied(h);
  case MASC_PREFIX_MANAGED: return masc_update_managed(h);
  case MASC_WITHDRAW: return masc_update_withdraw(h);
  default: return MASC_UPDATE_CLAIM_TYPE;
  }
}

static bool ignored(const MascHeard *h)
{
  return !masc_update_own(h) && h->record.claim.role != MASC_PARENT &&
         masc_flood_ignored(h->zone->flood, h->record.claim.domain, h->now);
}

/* MASC_N_NOTES: it is to be looked at. */
static MascNote drop_silently(const MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  if (ignored(h))
    return MASC_NOTE_IGNORED;
  if (masc_cache_same(h->zone->cache, c) != NULL)
    return MASC_NOTE_DUPLICATE;
  if (masc_claim_expired(c, h->now.wall, h->zone->config.params->extra_holding))
    return MASC_NOTE_EXPIRED;
  return MASC_N_NOTES;
}

static uint8_t judge(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  uint8_t subcode = update_role(h);
  MascNote note;
  if (subcode != 0)
    return subcode;
  note = drop_silently(h);
  if (note != MASC_N_NOTES) {
    masc_note(h->zone, note, c->prefix, c->domain, 0);
    return 0;
  }
  if (!masc_update_in_scope(h->zone, c))
    return MASC_UPDATE_NO_PARENT_PREFIX;
  h->record.forget_at = masc_claim_forget_at(c, h->zone->config.params->extra_holding);
  return dispatch(h);
}

uint8_t masc_zone_heard(MascZone *zone, unsigned peer, const MascClaim *claim, MascNow now)
{
  MascHeard h = { .zone = zone,
                  .peer = masc_peer(zone, peer),
                  .record = { .claim = *claim, .from = peer },
                  .now = now };
  zone->at = now;
  if (h.peer == NULL || !h.peer->up ||
      claim->prefix.address.family != zone->config.span.first.family)
    return 0;
  /* OWN may touch the peers' array from within. */
  MascPeer copy = *h.peer;
  h.peer = &copy;
  uint8_t subcode = judge(&h);
  if (subcode != 0)
    masc_note(zone, MASC_NOTE_REFUSED, claim->prefix, claim->domain, subcode);
  return subcode;
}

/* An internal peer's claim that was refused to us: it, and whoever else knows it, hears of a denial
   in the parent's name. */
static void pass_on(MascZone *zone, unsigned by, MascId parent, const MascClaim *denial)
{
  MascRecord record = { .claim = *denial, .parent = parent, .from = by };
  const MascRecord *taken;

  record.claim.type = MASC_CLAIM_DENIED;
  record.forget_at = masc_claim_forget_at(denial, zone->config.params->extra_holding);
  taken = masc_record_take(zone, &record, NULL);
  masc_spread(zone, taken != NULL ? taken : &record, record.from);
}

/* A parent's node that refuses a claim tells nobody of it, and may give the prefix to others: to go
   on waiting would be to win what nobody else knows of. As a denial says it, a Lifetime of 0 is for
   what is too large however short; how long is not too long it doesn't say: half of it? */
void masc_zone_refused(MascZone *zone, unsigned peer, const MascClaim *claim, uint8_t subcode,
                       MascNow now)
{
  const MascPeer *by = masc_peer(zone, peer);
  MascId parent = by != NULL ? by->domain : 0;
  MascClaim denial = *claim;
  zone->at = now;
  if (by == NULL || by->role != MASC_CHILD || !masc_is_pending(claim) ||
      claim->domain != zone->config.domain)
    return;
  denial.role = MASC_PARENT;
  denial.lifetime = subcode == MASC_UPDATE_PREFIX_LARGE    ? 0
                    : subcode == MASC_UPDATE_LIFETIME_LONG ? claim->lifetime / 2
                                                           : 1;
  if (masc_own_denied(zone, &denial, now) && claim->node != zone->config.node)
    pass_on(zone, peer, parent, &denial);
}
