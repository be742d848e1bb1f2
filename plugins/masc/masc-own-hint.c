/* Asking others for room (RFC 2909 11.5): one parent domain at a time; without a session with any,
   the internal peers, some of whom have one. They count it as demand of their own, and claim, or
   ask on: a claim toward a parent is for nodes that are in touch with it (5.1). */
#include "masc-own.h"

/* ---- whom to ask ----------------------------------------------------------------------------- */

static MalU128 room_of(const MascZone *zone, MascId parent, MascNow now)
{
  const GPtrArray *grounds = masc_cache_grounds(zone->cache);
  MalU128 room = 0;

  for (guint i = 0; i < grounds->len; i++) {
    const MascClaim *c = &((const MascRecord *)g_ptr_array_index(grounds, i))->claim;
    if (c->domain == parent && !c->deprecated && masc_claim_free_at(c) > now.wall)
      room += masc_prefix_addresses(c->prefix);
  }
  return room;
}

/* In the order in which they are configured, the one after PARENT that is in touch; 0: none is. */
static MascId next_parent(const MascZone *zone, MascId parent)
{
  MascId first = 0;
  bool passed = false;

  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role != MASC_CHILD || peer->domain == 0)
      continue;
    if (passed && peer->up && peer->domain != parent)
      return peer->domain;
    passed = passed || peer->domain == parent;
    first = first == 0 && peer->up ? peer->domain : first;
  }
  return first;
}

static MascId choose_parent(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  MascId parent = owns->hint_parent;
  int64_t patience = MASC_HINT_PATIENCE * zone->config.params->waiting_period;
  MalU128 room = room_of(zone, parent, now);

  if (parent != 0 && masc_parent_in_touch(zone, parent)) {
    if (room > owns->hint_room)
      owns->hint_until = masc_own_after(now, patience);
    owns->hint_room = room;
    if (now.mono < owns->hint_until)
      return parent;
  }
  parent = next_parent(zone, parent);
  owns->hint_room = room_of(zone, parent, now);
  owns->hint_until = masc_own_after(now, patience);
  return parent;
}

static bool internal_up(const MascZone *zone)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_INTERNAL && peer->up)
      return true;
  }
  return false;
}

bool masc_own_asks_inside(const MascZone *zone)
{
  return !masc_parent_in_touch(zone, 0) && internal_up(zone);
}

void masc_own_unreachable(const MascZone *zone, MascNow now, GArray *out)
{
  if (zone->config.top || !masc_parent_in_touch(zone, 0))
    return;
  g_autoptr(GArray) grounds = masc_grounds(zone, false, now);
  for (guint i = 0; i < grounds->len; i++) {
    MalPrefix prefix = g_array_index(grounds, MascGround, i).prefix;
    MascId parent;
    if (masc_parent_to_ask(zone, prefix, now, &parent) && !masc_parent_in_touch(zone, parent))
      g_array_append_val(out, prefix);
  }
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Two parents that both bring it would bring twice what is wanted. */
static void take_back(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  MascClaim claim = owns->hint;
  uint64_t ticket = 0;

  owns->hinted_at = INT64_MIN;
  if (claim.domain == 0 || masc_cache_same(zone->cache, &claim) == NULL)
    return;
  claim.type = MASC_WITHDRAW;
  claim.lifetime = 0;
  masc_originate(zone, &claim, owns->hint_told, true, &ticket, now);
}

/* When a hint may be said again; before it is forgotten. */
static int64_t again_at(const MascZone *zone)
{
  const MascParams *params = zone->config.params;
  int64_t pause = MAX(params->waiting_period / 4, params->initiate_claim_delay) * MASC_SECOND;

  return zone->owns->hinted_at + pause;
}

static bool too_soon(const MascZone *zone, unsigned length, MascId parent, MascNow now)
{
  const MascOwns *owns = zone->owns;

  return owns->hinted_at != INT64_MIN && now.mono < again_at(zone) &&
         parent == owns->hint_told && length >= owns->hint.prefix.length;
}

void masc_own_hint(MascZone *zone, unsigned length, MascNow now)
{
  MascOwns *owns = zone->owns;
  const MascParams *params = zone->config.params;
  MalFamily family = zone->config.span.first.family;
  MascId parent;
  uint64_t ticket = 0;
  int64_t until;

  if (zone->config.top)
    return;
  until = owns->hint_until;
  parent = choose_parent(zone, now);
  owns->marks_changed |= parent != owns->hint_parent || until != owns->hint_until;
  owns->hint_parent = parent;
  /* No mask says more (8.3), however much children ask for. */
  length = MAX(length, family == MAL_IPV4 ? 4 : 8);
  if ((parent == 0 && !internal_up(zone)) || too_soon(zone, length, parent, now))
    return;
  if (parent != owns->hint_told)
    take_back(zone, now);
  uint32_t stamp = masc_time_to_wire(now.wall);
  if (stamp <= owns->hint.timestamp && owns->hint.timestamp < UINT32_MAX)
    stamp = owns->hint.timestamp + 1;
  owns->hint = (MascClaim){ .type = MASC_NEW_CLAIM,
                            .role = MASC_INTERNAL,
                            .timestamp = stamp,
                            .lifetime = masc_seconds_to_wire(params->prefix_lifetime),
                            .holdtime = masc_seconds_to_wire(params->waiting_period),
                            .domain = zone->config.domain,
                            .node = zone->config.node,
                            .prefix = { mal_address_make(family, 0), length } };
  owns->hint_told = parent;
  owns->hinted_at = now.mono;
  masc_note(zone, MASC_NOTE_HINT, owns->hint.prefix, zone->config.domain, length);
  masc_originate(zone, &owns->hint, parent, true, &ticket, now);
  owns->plan_at = MIN(owns->plan_at, again_at(zone));
}

void masc_own_hint_met(MascZone *zone, MalPrefix claimed, MascNow now)
{
  const MascOwns *owns = zone->owns;
  MascId parent;

  if (owns->hint_told != 0 && claimed.length <= owns->hint.prefix.length &&
      masc_parent_to_ask(zone, claimed, now, &parent) && parent != owns->hint_told)
    take_back(zone, now);
}

bool masc_own_hint_denied(MascZone *zone, const MascClaim *denial, MascNow now)
{
  MascOwns *owns = zone->owns;

  if (denial->node != zone->config.node || owns->hint_told == 0 ||
      !masc_claim_about(&owns->hint, denial))
    return false;
  masc_note(zone, MASC_NOTE_DENIED, denial->prefix, owns->hint_told, denial->lifetime);
  owns->hint_until = now.mono;
  owns->marks_changed = true;
  owns->hinted_at = next_parent(zone, owns->hint_told) != owns->hint_told ? INT64_MIN : now.mono;
  masc_own_plan_later(zone, now);
  return true;
}

/* ---- asked by internal peers ----------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  MascNow now;
  uint64_t most;
} Wanted;

static bool add_wanted(MascRecord *record, void *data)
{
  Wanted *w = data;
  const MascClaim *c = &record->claim;

  if (c->role != MASC_INTERNAL || c->type != MASC_NEW_CLAIM || !masc_claim_is_hint(c) ||
      c->node == w->zone->config.node || masc_claim_forget_at(c, 0) <= w->now.wall)
    return true;
  MalU128 size = masc_prefix_addresses(c->prefix);
  w->most = MAX(w->most, (uint64_t)MIN(size, (MalU128)UINT64_MAX));
  return true;
}

/* The largest: they may be about one demand, of which all servers of the domain hear. */
uint64_t masc_own_wanted_inside(const MascZone *zone, MascNow now)
{
  Wanted w = { zone, now, 0 };

  if (!zone->config.top && masc_parent_in_touch(zone, 0))
    masc_cache_each_of(zone->cache, zone->config.domain, add_wanted, &w);
  return w.most;
}
