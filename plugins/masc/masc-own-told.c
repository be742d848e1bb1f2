/* What others say about our own domain: internal peers, parents, and whoever remembers what our
   disk has lost (RFC 2909 11.2.4, 11.4.4, 11.6.3, 11.7.3, 11.7.4, 14). */
#include "masc-own.h"

/* ---- whom to believe ------------------------------------------------------------------------- */

static bool has_better(const MascZone *zone)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    MascRole role = g_array_index(zone->peers, MascPeer, i).role;
    if (role == MASC_INTERNAL || role == MASC_CHILD)
      return true;
  }
  return false;
}

/* Internal peers and parents (to whom we are a child); siblings and children only for want of
   both. */
static bool trusted(const MascZone *zone, const MascPeer *peer)
{
  return peer->role == MASC_INTERNAL || peer->role == MASC_CHILD || !has_better(zone);
}

bool masc_own_recovering(const MascZone *zone, MascNow now)
{
  return now.mono < zone->owns->recovering_until;
}

typedef struct {
  const MascZone *zone;
  const MascClaim *claim;
  bool lower, known, stale, withdrawn;
} Known;

/* Do we know it, something newer in its place, or that it was withdrawn? */
static bool find_known(MascRecord *record, void *data)
{
  Known *k = data;
  const MascClaim *c = &record->claim;
  bool used = c->type == MASC_PREFIX_IN_USE || c->type == MASC_PREFIX_MANAGED;

  if (!masc_own_is(k->zone, c, k->lower))
    return true;
  if (c->type == MASC_WITHDRAW)
    k->withdrawn = k->withdrawn || (c->timestamp >= k->claim->timestamp &&
                                    masc_claim_covers(c, k->claim));
  else if (masc_claim_about(c, k->claim))
    k->known = true;
  else if (used && masc_prefix_covers(c->prefix, k->claim->prefix) &&
           c->timestamp >= k->claim->timestamp)
    k->stale = true;
  return true;
}

/* Of CLAIM, what can be withdrawn without what we have, of which that would take what is older. */
static GArray *not_ours(const MascZone *zone, const MascClaim *claim, MascNow now)
{
  g_autoptr(GArray) held = masc_own_derive(zone, claim->role == MASC_CHILD, now);
  g_autoptr(GArray) ours = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    if (h->claim.timestamp <= claim->timestamp)
      g_array_append_val(ours, h->prefix);
  }
  masc_prefix_minus(claim->prefix, (const MalPrefix *)(void *)ours->data, ours->len, out);
  return out;
}

/* 14: we never lost our disk, so a claim under our own node's name is one that we gave up; but for
   what of it we have, which takes its place when it is renewed. */
static void disown(MascZone *zone, const MascClaim *claim, MascNow now)
{
  MascClaim withdraw = *claim;
  MascId parent = zone->config.domain;
  uint64_t ticket = 0;

  if (claim->role == MASC_INTERNAL && !masc_parent_of(zone, claim->prefix, now, &parent))
    return;
  g_autoptr(GArray) parts = not_ours(zone, claim, now);
  withdraw.type = MASC_WITHDRAW;
  withdraw.deprecated = false;
  withdraw.holdtime = MAX(claim->lifetime, claim->holdtime);
  withdraw.lifetime = 0;
  for (guint i = 0; i < parts->len; i++) {
    withdraw.prefix = g_array_index(parts, MalPrefix, i);
    masc_note(zone, MASC_NOTE_DISOWNED, withdraw.prefix, claim->domain, 0);
    masc_originate(zone, &withdraw, parent, true, &ticket, now);
  }
}

static bool told_of_our_node(MascZone *zone, const MascClaim *claim, const MascPeer *peer,
                             bool used, const Known *known, MascNow now)
{
  if (masc_own_recovering(zone, now) && used && trusted(zone, peer)) {
    masc_note(zone, MASC_NOTE_RECOVERED, claim->prefix, peer->domain, 0);
    return true;
  }
  /* A renewal or growth whose end we didn't see ends by itself; to withdraw it would take what we
     use along. */
  if (known->withdrawn || claim->type == MASC_CLAIM_TO_EXPAND ||
      (!used && masc_own_meeting(zone, claim->prefix, known->lower) != NULL))
    return false;
  disown(zone, claim, now);
  return false;
}

bool masc_own_told(MascZone *zone, const MascClaim *claim, const MascPeer *peer, MascNow now)
{
  bool used = claim->type == MASC_PREFIX_IN_USE || claim->type == MASC_PREFIX_MANAGED;
  bool lower = claim->role == MASC_CHILD;
  Known k = { zone, claim, lower, false, false, false };

  if (masc_claim_is_hint(claim))
    return trusted(zone, peer);
  masc_cache_each_of(zone->cache, zone->config.domain, find_known, &k);
  if (k.known && !used)
    return false;
  if (k.stale)
    return false;
  if (claim->node == zone->config.node && !k.known)
    return told_of_our_node(zone, claim, peer, used, &k, now);
  if (claim->node == zone->config.node) {
    /* What an internal peer calls PREFIX_MANAGED is our PREFIX_IN_USE; but of a renewal of ours
       only we know how it ended, and an internal peer may have deprecated or split what is ours. */
    return peer->role == MASC_INTERNAL || masc_own_recovering(zone, now);
  }
  if (!trusted(zone, peer))
    return false;
  if (used && masc_own_recovering(zone, now) && !k.known)
    masc_note(zone, MASC_NOTE_RECOVERED, claim->prefix, peer->domain, 0);
  return true;
}

/* ---- what internal peers claim --------------------------------------------------------------- */

void masc_own_took(MascZone *zone, const MascRecord *record, MascNow now)
{
  bool lower = record->claim.role == MASC_CHILD;
  bool used = record->claim.type == MASC_PREFIX_IN_USE || record->claim.type == MASC_PREFIX_MANAGED;
  MascRecord copy = *record;

  if (used)
    copy.claim.type = MASC_PREFIX_IN_USE;
  if (!zone->started)
    return;
  if (masc_claim_is_hint(&record->claim)) {
    masc_own_plan_later(zone, now);
    return;
  }
  if (used || copy.claim.node != zone->config.node)
    masc_own_collide(zone, &copy, lower, now);
  /* 5.1 a: the plan that is made anew counts it. */
  masc_pend_forget_delayed(zone, lower, now);
  if (used) {
    zone->owns->renew_at = MIN(zone->owns->renew_at, masc_own_after(now, 1));
    masc_own_dirty(zone);
  }
}

/* ---- withdrawn (11.7.3) ---------------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  const MascClaim *withdraw;
  bool found;
} Withdrawn;

static bool find_withdrawn(MascRecord *record, void *data)
{
  Withdrawn *w = data;
  const MascClaim *c = &record->claim;

  w->found = c->type != MASC_WITHDRAW && c->type != MASC_CLAIM_DENIED &&
             (masc_claims_overlap(c, w->withdraw) || masc_claim_about(c, w->withdraw));
  return !w->found;
}

/* Whoever told it takes what we have for withdrawn, perhaps by ourselves, before we lost our disk:
   what we have is said again, newer than that. */
static void refute(MascZone *zone, const MascClaim *withdraw, MascNow now)
{
  GArray *held = zone->owns->held[withdraw->role == MASC_CHILD];
  uint64_t ticket = 0;

  if ((MalTime)withdraw->timestamp >= now.wall)
    return;
  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    MascClaim claim = h->claim;
    if (!masc_prefix_meets(h->prefix, withdraw->prefix) ||
        claim.timestamp > withdraw->timestamp ||
        h->until <= (MalTime)withdraw->timestamp + 1)
      continue;
    claim.prefix = h->prefix;
    claim.node = zone->config.node;
    claim.timestamp = withdraw->timestamp + 1;
    claim.lifetime = masc_seconds_to_wire(h->until - (MalTime)claim.timestamp);
    claim.holdtime = claim.lifetime;
    masc_originate(zone, &claim, h->parent, true, &ticket, now);
    masc_own_dirty(zone);
  }
}

/* The operator was told that we won. */
static void note_lost(MascZone *zone, const MascClaim *withdraw)
{
  GArray *clashes = zone->owns->clashes;

  for (guint i = 0; i < clashes->len; i++) {
    const MascClash *c = &g_array_index(clashes, MascClash, i);
    if (c->lower == (withdraw->role == MASC_CHILD) &&
        masc_prefix_meets(c->prefix, withdraw->prefix))
      masc_note(zone, MASC_NOTE_CLASH_LOST, c->prefix, c->domain, 0);
  }
}

bool masc_own_withdrawn(MascZone *zone, const MascRecord *record, const MascPeer *peer,
                        MascNow now)
{
  GArray *pends = zone->owns->pends;
  const MascClaim *withdraw = &record->claim;
  Withdrawn w = { zone, withdraw, false };

  /* What settled a clash counts against all that we say there, however new, with whoever knows it,
     and somebody uses it: our disk has lost that we gave way. */
  if (!trusted(zone, peer)) {
    if (!record->clash) {
      refute(zone, withdraw, now);
      return false;
    }
    note_lost(zone, withdraw);
  }
  masc_cache_each_of(zone->cache, zone->config.domain, find_withdrawn, &w);
  for (guint i = 0; i < pends->len; i++) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->state == MASC_PEND_DELAYED || p->state == MASC_PEND_KEPT ||
        !masc_claim_about(&p->claim, withdraw))
      continue;
    masc_note(zone, MASC_NOTE_CANCELLED, p->prefix, withdraw->domain, 0);
    masc_pend_drop(zone, p);
    w.found = true;
    break;
  }
  if (!w.found && !masc_own_recovering(zone, now))
    return false;
  masc_own_dirty(zone);
  masc_own_plan_soon(zone, now);
  return true;
}

/* ---- parents --------------------------------------------------------------------------------- */

/* 11.7.4, for one of our PREFIX_IN_USE: Holdtime so that neither comes back before the other. */
static bool cut(MascZone *zone, const MascRecord *record, const MascClaim *by, MascNow now)
{
  MascClaim claim = record->claim;
  MalTime end = MAX(masc_claim_free_at(&record->claim), masc_claim_forget_at(by, 0));
  uint64_t ticket = 0;

  claim.type = MASC_WITHDRAW;
  claim.deprecated = false;
  if (by->prefix.length > claim.prefix.length)
    claim.prefix = by->prefix;
  claim.lifetime = 0;
  claim.holdtime = masc_seconds_to_wire(end - (MalTime)claim.timestamp);
  if (masc_cache_same(zone->cache, &claim) != NULL)
    return false;
  masc_note(zone, MASC_NOTE_PARENT_WITHDREW, claim.prefix, by->domain, 0);
  masc_originate(zone, &claim, record->parent, false, &ticket, now);
  masc_own_spread_later(zone, &claim, ticket);
  return true;
}

typedef struct {
  const MascZone *zone;
  const MascHeld *held;
  GArray *grounds;        /* MalPrefix; NULL: not looked at yet */
  MascNow now;
  MascClaim by;
  bool lost;
} Lost;

static bool find_lost(MascRecord *record, void *data)
{
  Lost *l = data;
  MalPrefix held = l->held->prefix, p = record->claim.prefix;

  if (record->claim.type != MASC_WITHDRAW || record->claim.role != MASC_PARENT || record->names)
    return true;
  g_autoptr(GArray) left = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  if (l->grounds == NULL) {
    g_autoptr(GArray) grounds = masc_grounds(l->zone, false, l->now);
    l->grounds = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
    for (guint i = 0; i < grounds->len; i++)
      g_array_append_val(l->grounds, g_array_index(grounds, MascGround, i).prefix);
  }
  masc_prefix_minus(p.length > held.length ? p : held,
                    (const MalPrefix *)(void *)l->grounds->data, l->grounds->len, left);
  l->by = record->claim;
  l->lost = left->len > 0;
  return !l->lost;
}

bool masc_own_cut_lost(MascZone *zone, const MascHeld *held, MascNow now)
{
  Lost l = { .zone = zone, .held = held, .now = now };
  MascRecord record = { .claim = held->claim, .parent = held->parent };

  masc_cache_look(zone->cache, held->prefix, find_lost, &l);
  g_clear_pointer(&l.grounds, g_array_unref);
  return l.lost && cut(zone, &record, &l.by, now);
}

/* Claims in PREFIX for which there is no ground any more. */
static void cancel_lost(MascZone *zone, MalPrefix prefix, bool lower, MascNow now)
{
  GArray *pends = zone->owns->pends;

  for (guint i = 0; i < pends->len;) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->lower != lower || p->state == MASC_PEND_KEPT || !masc_prefix_meets(p->prefix, prefix) ||
        (!lower && masc_own_ground(zone, p->prefix, false, true, now) != MAL_BEGINNING)) {
      i++;
      continue;
    }
    masc_pend_cancel(zone, p, now);
    i = 0;
  }
}

/* What a parent withdrew, and another one manages, too, stays ours; the latter never heard of it,
   and might claim it for itself (12.2). */
static bool tell_new_parent(MascRecord *record, void *data)
{
  MascZone *zone = data;
  const MascClaim *c = &record->claim;
  bool told = c->type == MASC_PREFIX_IN_USE || c->type == MASC_CLAIM_TO_EXPAND ||
              (c->type == MASC_NEW_CLAIM && !masc_claim_is_hint(c));

  if (c->role == MASC_INTERNAL && told &&
      masc_cache_stands(zone->cache, record, c->prefix) &&
      masc_parent_now(zone, c->prefix, record->parent) != record->parent)
    masc_spread(zone, record, MASC_NO_PEER);
  return true;
}

/* It is who may object now, and grants what bounds it. */
static void ask_new_parent(MascZone *zone, MascNow now)
{
  GArray *pends = zone->owns->pends;

  for (guint i = 0; i < pends->len; i++) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    MascId parent = p->parent;
    if (p->lower || !masc_pend_is_claim(p))
      continue;
    p->parent = masc_parent_now(zone, p->prefix, parent);
    if (p->parent != parent)
      masc_pend_keep(zone, p, now);
  }
}

void masc_own_parent_changed(MascZone *zone, const MascClaim *withdraw, MascNow now)
{
  MascOwns *owns = zone->owns;
  MalPrefix everything = { mal_address_make(zone->config.span.first.family, 0), 0 };

  if (!zone->started)
    return;
  owns->renew_at = MIN(owns->renew_at, now.mono + 1);
  masc_own_plan_later(zone, now);
  masc_own_dirty(zone);
  /* Where there is no ground left there is nothing to be won (12.5). */
  cancel_lost(zone, everything, false, now);
  if (withdraw == NULL)
    return;
  cancel_lost(zone, withdraw->prefix, true, now);
  ask_new_parent(zone, now);
  masc_cache_each_of(zone->cache, zone->config.domain, tell_new_parent, zone);
}

/* ---- children that we don't know the space of ------------------------------------------------ */

#define MASC_STRAYS_MAX 256

/* As if we withdrew it just now: we did, and forgot it, or never had it. */
static void tell_stray(MascZone *zone, const MascStray *stray)
{
  MascClaim claim = stray->claim;

  claim.type = MASC_WITHDRAW;
  claim.role = MASC_INTERNAL;
  claim.deprecated = false;
  claim.lifetime = 0;
  claim.domain = zone->config.domain;
  claim.node = zone->config.node;
  if (masc_own_covers(zone, claim.prefix, NULL, NULL))
    return;
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->id == stray->peer && peer->up && peer->role == MASC_PARENT)
      zone->config.ops->send(zone->config.user, zone, peer->id, &claim, 1);
  }
}

/* As PEER said it. */
static void hear_again(MascZone *zone, const MascStray *stray, MascNow now)
{
  MascClaim claim = stray->claim;

  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->id != stray->peer)
      continue;
    if (peer->role == MASC_PARENT)
      claim.role = claim.domain == peer->domain ? MASC_INTERNAL : MASC_SIBLING;
    masc_zone_heard(zone, stray->peer, &claim, now);
    return;
  }
}

void masc_own_strays(MascZone *zone, const MascClaim *claim, const MascPeer *peer, MascNow now)
{
  GArray *strays = zone->owns->strays;
  MascStray stray = { *claim, peer->id };

  if (claim->type != MASC_PREFIX_IN_USE || claim->domain == zone->config.domain)
    return;
  if (!masc_own_recovering(zone, now)) {
    tell_stray(zone, &stray);
    return;
  }
  if (strays->len >= MASC_STRAYS_MAX)
    return;
  g_array_append_val(strays, stray);
  zone->owns->due = MIN(zone->owns->due, zone->owns->recovering_until);
}

void masc_own_strays_run(MascZone *zone, MascNow now)
{
  g_autoptr(GArray) strays = zone->owns->strays;

  zone->owns->strays = g_array_new(FALSE, TRUE, sizeof(MascStray));
  for (guint i = 0; i < strays->len; i++) {
    const MascStray *stray = &g_array_index(strays, MascStray, i);
    if (masc_own_covers(zone, stray->claim.prefix, NULL, NULL))
      hear_again(zone, stray, now);
    else if (masc_own_recovering(zone, now))
      g_array_append_val(zone->owns->strays, *stray);
    else
      tell_stray(zone, stray);
  }
}
