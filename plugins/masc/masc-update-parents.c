/* CLAIM_DENIED, PREFIX_MANAGED, WITHDRAW (RFC 2909 11.3, 11.6, 11.7). */
#include "masc-refused.h"
#include "masc-update.h"

static uint8_t silently(const MascHeard *h, MascNote note)
{
  masc_note(h->zone, note, h->record.claim.prefix, h->record.claim.domain, 0);
  return 0;
}

static bool take(MascHeard *h, MascRecord *copy)
{
  const MascRecord *taken = masc_record_take(h->zone, &h->record, NULL);
  if (taken == NULL)
    return false;
  *copy = *taken;
  masc_note(h->zone, MASC_NOTE_HEARD, copy->claim.prefix, copy->claim.domain, copy->claim.type);
  return true;
}

static bool take_and_spread(MascHeard *h)
{
  MascRecord copy;
  if (!take(h, &copy))
    return false;
  masc_spread(h->zone, &copy, h->peer->id);
  return true;
}

/* ---- CLAIM_DENIED (11.3) --------------------------------------------------------------------- */

static bool has_internal_peer(const MascZone *zone)
{
  for (guint i = 0; i < zone->peers->len; i++)
    if (g_array_index(zone->peers, MascPeer, i).role == MASC_INTERNAL)
      return true;
  return false;
}

/* 11.3.2. Through a child, of somebody else: 11.1 lets us doubt it, and a domain of one node knows
   what it denied. */
static uint8_t denied_by_internal(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  bool third = h->peer->role == MASC_PARENT && h->peer->domain != c->domain;
  if (third && !has_internal_peer(h->zone))
    return silently(h, MASC_NOTE_IGNORED);
  h->record.parent = h->zone->config.domain;
  if (masc_update_own(h) && !masc_own_denied(h->zone, c, h->now))
    return silently(h, MASC_NOTE_IGNORED);
  if (take_and_spread(h))
    masc_own_children_changed(h->zone, h->now);
  return 0;
}

/* 11.3.3 */
static uint8_t denied_by_parent(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  bool hint = masc_claim_is_hint(c);
  uint8_t subcode = hint ? 0 : masc_update_associate(h);
  if (!masc_update_own(h) && hint)
    return silently(h, MASC_NOTE_IGNORED);
  if (!masc_update_own(h) && subcode != 0)
    return subcode;
  if (masc_update_own(h) && !masc_own_denied(h->zone, c, h->now))
    return MASC_UPDATE_NO_INTERNAL_PREFIX;
  take_and_spread(h);
  return 0;
}

uint8_t masc_update_denied(MascHeard *h)
{
  uint8_t subcode = masc_update_limits(h);
  if (subcode != 0)
    return subcode;
  return h->record.claim.role == MASC_INTERNAL ? denied_by_internal(h) : denied_by_parent(h);
}

/* ---- PREFIX_MANAGED (11.6.1) ----------------------------------------------------------------- */

/* An internal peer knows parents that we don't; a sibling, the one that we share. */
static bool is_parent(const MascHeard *h)
{
  MascId domain = h->record.claim.domain;
  if (h->zone->config.top)
    return false;
  return h->peer->role == MASC_INTERNAL || masc_is_parent(h->zone, domain) ||
         domain == h->peer->parent;
}

uint8_t masc_update_managed(MascHeard *h)
{
  uint8_t subcode = masc_update_limits(h);
  if (subcode != 0)
    return subcode;
  if (!is_parent(h))
    return MASC_UPDATE_NO_PARENT_PREFIX;
  h->record.parent = h->record.claim.domain;
  if (masc_record_stale(h))
    return silently(h, MASC_NOTE_DUPLICATE);
  if (take_and_spread(h))
    masc_own_parent_changed(h->zone, NULL, h->now);
  return 0;
}

/* ---- WITHDRAW (11.7) ------------------------------------------------------------------------- */

static uint8_t nothing_there(const MascHeard *h)
{
  switch (h->record.claim.role) {
  case MASC_INTERNAL: return MASC_UPDATE_NO_INTERNAL_PREFIX;
  case MASC_CHILD: return MASC_UPDATE_NO_CHILD_PREFIX;
  case MASC_SIBLING: return MASC_UPDATE_NO_SIBLING_PREFIX;
  case MASC_PARENT:
  default: return MASC_UPDATE_NO_PARENT_PREFIX;
  }
}

/* 11.7.4: of a parent, what no parent manages as far as we know. What we hold may lie in it, or be
   told next: we were away when it was sent (14). */
static bool forgotten_parents(const MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  MascId parent;
  return c->role == MASC_PARENT && !masc_claim_is_hint(c) && masc_is_parent(h->zone, c->domain) &&
         !masc_parent_of(h->zone, c->prefix, h->now, &parent);
}

uint8_t masc_update_withdraw(MascHeard *h)
{
  MascZone *zone = h->zone;
  MascRecord copy;
  uint8_t subcode = masc_update_limits(h);
  bool found;
  if (h->record.claim.role == MASC_SIBLING)
    masc_update_associate(h);
  found = masc_withdraw_apply(zone, &h->record, false);
  if (subcode != 0)
    return subcode;
  masc_refused_settle(zone->refused, &h->record.claim);
  if (masc_record_stale(h))
    return silently(h, MASC_NOTE_DUPLICATE);
  found = found || forgotten_parents(h);
  if (masc_update_own(h))
    found = masc_own_withdrawn(zone, &h->record, h->peer, h->now);
  if (!found)
    return nothing_there(h);
  masc_withdraw_apply(zone, &h->record, true);
  if (!take(h, &copy))
    return 0;
  masc_spread(zone, &copy, h->peer->id);
  if (!masc_update_own(h) && copy.claim.role != MASC_PARENT)
    masc_own_rivalled(zone, &copy, h->now);
  if (copy.claim.role == MASC_PARENT)
    masc_own_parent_changed(zone, &copy.claim, h->now);
  else if (copy.claim.role == MASC_CHILD && !masc_update_own(h))
    masc_own_children_changed(zone, h->now);
  return 0;
}
