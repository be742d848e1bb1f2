/* What we claim: from the wish to what is ours (RFC 2909 5.1 to 5.3). */
#include "masc-own.h"

/* ---- the list -------------------------------------------------------------------------------- */

MascPend *masc_pend_add(MascZone *zone, const MascPend *pend, MascNow now)
{
  MascOwns *owns = zone->owns;
  MascPend p = *pend;

  p.parent = p.lower ? zone->config.domain : 0;
  if (!p.lower)
    masc_parent_to_ask(zone, p.prefix, now, &p.parent);
  p.id = owns->next_id++;
  p.state = MASC_PEND_DELAYED;
  p.due = masc_own_draw(zone, now, zone->config.params->initiate_claim_delay);
  g_array_append_val(owns->pends, p);
  owns->due = MIN(owns->due, p.due);
  if (p.hand)
    masc_pend_keep(zone, &p, now);
  return &g_array_index(owns->pends, MascPend, owns->pends->len - 1);
}

void masc_pend_drop(MascZone *zone, MascPend *pend)
{
  GArray *pends = zone->owns->pends;

  if (pend->hand || pend->state != MASC_PEND_DELAYED)
    masc_pend_unkeep(zone, pend);
  g_array_remove_index(pends, (guint)(pend - (MascPend *)(void *)pends->data));
}

bool masc_pend_is_claim(const MascPend *pend)
{
  return pend->state == MASC_PEND_CLAIMING || pend->state == MASC_PEND_HELD_UP;
}

MascPend *masc_pend_meeting(const MascZone *zone, MalPrefix prefix, bool lower)
{
  GArray *pends = zone->owns->pends;

  for (guint i = 0; i < pends->len; i++) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->lower == lower && p->state != MASC_PEND_KEPT && masc_prefix_meets(p->prefix, prefix))
      return p;
  }
  return NULL;
}

void masc_pend_forget_delayed(MascZone *zone, bool lower, MascNow now)
{
  GArray *pends = zone->owns->pends;

  for (guint i = pends->len; i-- > 0;) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->lower != lower || p->state != MASC_PEND_DELAYED || p->hand || p->renews)
      continue;
    masc_note(zone, MASC_NOTE_CANCELLED, p->prefix, zone->config.domain, 0);
    masc_pend_drop(zone, p);
  }
  masc_own_plan_soon(zone, now);
}

/* ---- grounds --------------------------------------------------------------------------------- */

MalTime masc_own_ground(const MascZone *zone, MalPrefix prefix, bool lower, bool deprecated,
                        MascNow now)
{
  g_autoptr(GArray) grounds = masc_grounds(zone, lower, now);
  MalTime until = MAL_BEGINNING;

  for (guint i = 0; i < grounds->len; i++) {
    const MascGround *g = &g_array_index(grounds, MascGround, i);
    if (masc_prefix_covers(g->prefix, prefix) && (deprecated || !g->deprecated))
      until = MAX(until, g->until);
  }
  return until;
}

/* ---- records --------------------------------------------------------------------------------- */

typedef struct {
  const MascClaim *claim;
  MascRecord *found;
} Pending;

static bool find_pending(MascRecord *record, void *data)
{
  Pending *p = data;

  if ((record->claim.type == MASC_NEW_CLAIM || record->claim.type == MASC_CLAIM_TO_EXPAND) &&
      masc_claim_about(&record->claim, p->claim))
    p->found = record;
  return p->found == NULL;
}

static MascRecord *record_of(MascZone *zone, const MascPend *pend)
{
  Pending p = { &pend->claim, NULL };

  masc_cache_each_of(zone->cache, zone->config.domain, find_pending, &p);
  return p.found;
}

typedef struct {
  const MascZone *zone;
  MalPrefix prefix;
  bool lower;
  MascNow now;
  bool found;
  MascId domain;
} Rival;

static bool find_rival(MascRecord *record, void *data)
{
  Rival *r = data;
  const MascClaim *c = &record->claim;

  if (c->role != (r->lower ? MASC_CHILD : MASC_SIBLING) || c->domain == r->zone->config.domain ||
      c->type != MASC_PREFIX_IN_USE || masc_claim_free_at(c) <= r->now.wall ||
      !masc_cache_stands(r->zone->cache, record, r->prefix) ||
      masc_is_above(r->zone, record, r->prefix))
    return true;
  r->found = true;
  r->domain = c->domain;
  return false;
}

static bool rival_uses(const MascZone *zone, MalPrefix prefix, bool lower, MascNow now,
                       MascId *domain)
{
  Rival r = { zone, prefix, lower, now, false, 0 };

  masc_cache_overlapping(zone->cache, prefix, find_rival, &r);
  *domain = r.domain;
  return r.found;
}

bool masc_own_peer_claims(const MascZone *zone, const MascRecord *record, bool lower, MascNow now)
{
  const MascClaim *c = &record->claim;

  return masc_own_is(zone, c, lower) && c->node != zone->config.node &&
         (c->type == MASC_NEW_CLAIM || c->type == MASC_CLAIM_TO_EXPAND) &&
         mal_time_add((MalTime)c->timestamp, c->holdtime) > now.wall &&
         !masc_cache_withdrawn(zone->cache, record);
}

/* ---- ending ---------------------------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  MalPrefix prefix;
  bool lower, found;
} InUse;

static bool find_in_use(MascRecord *record, void *data)
{
  InUse *u = data;
  const MascClaim *c = &record->claim;

  u->found = masc_own_is(u->zone, c, u->lower) && c->type == MASC_PREFIX_IN_USE &&
             masc_prefix_covers(c->prefix, u->prefix) &&
             !masc_cache_withdrawn(u->zone->cache, record);
  return !u->found;
}

/* A WITHDRAW has the timestamp of what it withdraws (11.7), and so takes what our domain has in use
   there along: of a renewal, of what another node of ours won meanwhile. That is left to expire, as
   5.1 c allows. */
static bool is_left_to_expire(const MascZone *zone, const MascPend *pend)
{
  InUse u = { zone, pend->prefix, pend->lower, false };

  masc_cache_look(zone->cache, pend->prefix, find_in_use, &u);
  return pend->renews || u.found;
}

static void withdraw_claim(MascZone *zone, const MascPend *pend, MascNow now)
{
  MascClaim claim = pend->claim;
  uint64_t ticket = 0;

  claim.type = MASC_WITHDRAW;
  claim.lifetime = 0;
  claim.holdtime = masc_seconds_to_wire(zone->config.params->waiting_period);
  masc_originate(zone, &claim, pend->parent, true, &ticket, now);
}

void masc_pend_cancel(MascZone *zone, MascPend *pend, MascNow now)
{
  masc_pend_end(zone, pend, true, now);
}

void masc_pend_end(MascZone *zone, MascPend *pend, bool withdraw, MascNow now)
{
  MascPend p = *pend;

  g_assert(p.state != MASC_PEND_KEPT);
  masc_pend_drop(zone, pend);
  if (p.renews)
    zone->owns->renew_at = MIN(zone->owns->renew_at, masc_own_after(now, masc_own_settle(zone)));
  if (p.state == MASC_PEND_DELAYED)
    return;
  if (withdraw && !is_left_to_expire(zone, &p))
    withdraw_claim(zone, &p, now);
  MascRecord *record = record_of(zone, &p);
  if (record != NULL)
    masc_record_forget(zone, record);
}

static void lose(MascZone *zone, MascPend *pend, MascId domain, MascNow now)
{
  masc_note(zone, MASC_NOTE_COLLISION, pend->prefix, domain, 0);
  masc_pend_cancel(zone, pend, now);
  masc_own_plan_soon(zone, now);
}

/* ---- claiming (5.1 a and b) ------------------------------------------------------------------ */

static bool grows(const MascPend *pend)
{
  return pend->from.address.family != MAL_FAMILY_NONE;
}

/* A claim about what is ours is newer than all that it replaces, whatever our clock did. */
static uint32_t new_timestamp(const MascZone *zone, const MascPend *pend, MascNow now)
{
  uint32_t stamp = masc_time_to_wire(now.wall);
  GArray *held = zone->owns->held[pend->lower];

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    if (masc_prefix_meets(h->prefix, pend->prefix) && h->claim.timestamp >= stamp &&
        h->claim.timestamp < UINT32_MAX)
      stamp = h->claim.timestamp + 1;
  }
  return stamp;
}

/* Is it still what it was when it was wished for? */
static bool still_possible(MascZone *zone, const MascPend *pend, MascNow now)
{
  GArray *held = zone->owns->held[pend->lower];
  MascId rival;

  if (pend->renews)
    return masc_own_find(zone, pend->prefix, pend->lower) != NULL;
  if (rival_uses(zone, pend->prefix, pend->lower, now, &rival))
    return false;
  for (guint i = 0; i < held->len; i++) {
    MalPrefix p = g_array_index(held, MascHeld, i).prefix;
    if (masc_prefix_meets(p, pend->prefix) &&
        !(grows(pend) && masc_prefix_covers(pend->prefix, p)))
      return false;
  }
  return !grows(pend) || masc_own_meeting(zone, pend->prefix, pend->lower) != NULL;
}

/* Leases and children's prefixes last for as long as what is to grow, or to last longer. */
static bool shortens(const MascZone *zone, const MascPend *pend, MalTime until)
{
  GArray *held = zone->owns->held[pend->lower];
  bool found = false;

  for (guint i = 0; (grows(pend) || pend->renews) && i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    found = found || (masc_prefix_covers(pend->prefix, h->prefix) && h->until > until);
  }
  return found;
}

static bool make_claim(MascZone *zone, MascPend *pend, MascNow now)
{
  const MascParams *params = zone->config.params;
  MalTime ground = masc_own_ground(zone, pend->prefix, pend->lower, false, now);
  int64_t lifetime = pend->lifetime > 0 ? pend->lifetime : params->prefix_lifetime;
  MascClaim claim = { .type = MASC_NEW_CLAIM, .role = pend->lower ? MASC_CHILD : MASC_INTERNAL };

  if (ground == MAL_BEGINNING)
    return false;
  claim.timestamp = new_timestamp(zone, pend, now);
  if (!pend->lower)
    lifetime = MIN(lifetime, masc_own_longest(zone, pend->parent, now));
  if (ground != MAL_FOREVER)
    lifetime = MIN(lifetime, ground - (MalTime)claim.timestamp);
  /* What would be over before it is won is not worth a claim. */
  if (lifetime <= params->waiting_period ||
      shortens(zone, pend, mal_time_add((MalTime)claim.timestamp, lifetime)))
    return false;
  if (pend->renews || grows(pend))
    claim.type = MASC_CLAIM_TO_EXPAND;
  claim.lifetime = masc_seconds_to_wire(lifetime);
  claim.holdtime = masc_seconds_to_wire(params->waiting_period);
  claim.domain = zone->config.domain;
  claim.node = zone->config.node;
  claim.prefix = pend->prefix;
  pend->claim = claim;
  return true;
}

/* Too early: nobody of that parent would hear it. */
static bool wait_for_touch(MascZone *zone, MascPend *pend, MascNow now)
{
  if (pend->lower || zone->config.top ||
      masc_own_touch_since(zone, pend->parent, false) != MASC_NEVER)
    return false;
  if (pend->claimed == 0)
    masc_note(zone, MASC_NOTE_HELD_UP, pend->prefix, pend->parent, 0);
  pend->claimed = -1;
  pend->due = masc_own_after(now, masc_own_settle(zone));
  return true;
}

/* False: it is gone. */
static bool run_delayed(MascZone *zone, MascPend *pend, MascNow now)
{
  uint64_t ticket = 0;

  pend->parent = zone->config.domain;
  bool possible = (pend->lower || masc_parent_to_ask(zone, pend->prefix, now, &pend->parent)) &&
                  still_possible(zone, pend, now);
  if (!possible || !make_claim(zone, pend, now)) {
    /* It wouldn't last: the planner is not to wish for it again and again. */
    if (possible && !pend->renews)
      masc_own_avoid(zone, pend->prefix, zone->config.params->plan_interval, now);
    if (!pend->renews)
      masc_note(zone, MASC_NOTE_CANCELLED, pend->prefix, zone->config.domain, 0);
    masc_pend_cancel(zone, pend, now);
    masc_own_plan_soon(zone, now);
    return false;
  }
  if (wait_for_touch(zone, pend, now))
    return true;
  pend->state = MASC_PEND_CLAIMING;
  pend->claimed = now.mono;
  pend->due = masc_own_after(now, zone->config.params->waiting_period);
  masc_pend_keep(zone, pend, now);
  masc_originate(zone, &pend->claim, pend->parent, true, &ticket, now);
  masc_note(zone, MASC_NOTE_CLAIMED, pend->prefix, zone->config.domain, 0);
  return true;
}

/* ---- winning (5.1 d) ------------------------------------------------------------------------- */

static MascNote won_note(const MascPend *pend)
{
  return pend->renews ? MASC_NOTE_RENEWED : grows(pend) ? MASC_NOTE_GREW : MASC_NOTE_WON;
}

/* What we won is on the disk. False: it is gone from the list. */
static bool announce(MascZone *zone, MascPend *pend, MascNow now)
{
  uint64_t ticket = 0;

  masc_originate(zone, &pend->claim, pend->parent, true, &ticket, now);
  masc_note(zone, won_note(pend), pend->prefix, zone->config.domain, 0);
  zone->owns->denials = 0;
  MascMark *mark = masc_own_mark(zone, pend->prefix, pend->lower, now);
  mark->denials = 0;
  mark->hand = mark->hand || pend->hand;
  zone->owns->marks_changed = true;
  zone->owns->renew_at = now.mono;
  masc_own_dirty(zone);
  if (!pend->renews)
    masc_own_plan_soon(zone, now);
  pend->state = MASC_PEND_KEPT;
  pend->ticket = ticket;
  pend->due = MASC_NEVER;
  if (ticket != 0)
    return true;
  masc_pend_drop(zone, pend);
  return false;
}

static bool keep_won(MascZone *zone, MascPend *pend, MascNow now)
{
  pend->state = MASC_PEND_KEEPING;
  pend->due = MASC_NEVER;
  pend->ticket = masc_pend_keep(zone, pend, now);
  return pend->ticket != 0 || announce(zone, pend, now);
}

static bool give_up(MascZone *zone, MascPend *pend, MascNow now)
{
  masc_note(zone, MASC_NOTE_CANCELLED, pend->prefix, zone->config.domain, 0);
  masc_pend_cancel(zone, pend, now);
  masc_own_plan_soon(zone, now);
  return false;
}

static bool win(MascZone *zone, MascPend *pend, MascNow now)
{
  MalTime ground = masc_own_ground(zone, pend->prefix, pend->lower, true, now);
  MascClaim claim = pend->claim;
  int64_t lifetime = claim.lifetime;
  MascId rival = 0;

  if (ground != MAL_FOREVER)
    lifetime = MIN(lifetime, ground == MAL_BEGINNING ? 0 : ground - (MalTime)claim.timestamp);
  if (rival_uses(zone, pend->prefix, pend->lower, now, &rival)) {
    lose(zone, pend, rival, now);
    return false;
  }
  MalTime until = mal_time_add((MalTime)claim.timestamp, lifetime);
  if (until <= now.wall || shortens(zone, pend, until))
    return give_up(zone, pend, now);
  claim.type = MASC_PREFIX_IN_USE;
  claim.lifetime = claim.holdtime = masc_seconds_to_wire(lifetime);
  pend->claim = claim;
  return keep_won(zone, pend, now);
}

/* Nobody who could object is in touch, or was long enough to tell us. A top-level domain goes on
   after a second waiting period: no provider of its would ever come back. */
static bool held_up(MascZone *zone, MascPend *pend, MascNow now)
{
  int64_t since = masc_own_touch_since(zone, pend->parent, pend->lower);
  int64_t settle = masc_own_settle(zone) * MASC_SECOND;

  if (since != MASC_NEVER && now.mono - settle >= since)
    return false;
  if (zone->config.top && since == MASC_NEVER &&
      now.mono >= pend->claimed + 2 * zone->config.params->waiting_period * MASC_SECOND)
    return false;
  if (pend->state != MASC_PEND_HELD_UP)
    masc_note(zone, MASC_NOTE_HELD_UP, pend->prefix, pend->parent, 0);
  pend->state = MASC_PEND_HELD_UP;
  pend->due = since == MASC_NEVER ? now.mono + settle : since + settle;
  return true;
}

/* What was announced is not in the cache's own row as yet: the disk failed. */
static bool keep_again(MascZone *zone, MascPend *pend)
{
  MascRecord *record = masc_cache_same(zone->cache, &pend->claim);

  pend->due = MASC_NEVER;
  pend->ticket = record != NULL ? masc_record_keep(zone, record) : 0;
  if (pend->ticket != 0)
    return true;
  masc_pend_drop(zone, pend);
  return false;
}

static bool run_one(MascZone *zone, MascPend *pend, MascNow now)
{
  switch (pend->state) {
  case MASC_PEND_DELAYED:
    return run_delayed(zone, pend, now);
  case MASC_PEND_CLAIMING:
  case MASC_PEND_HELD_UP:
    if (!pend->lower && !masc_own_has_parent(zone, pend->parent))
      return give_up(zone, pend, now);
    return held_up(zone, pend, now) || win(zone, pend, now);
  case MASC_PEND_KEEPING:
    return keep_won(zone, pend, now);
  case MASC_PEND_KEPT:
  default:
    return keep_again(zone, pend);
  }
}

void masc_pends_run(MascZone *zone, MascNow now)
{
  GArray *pends = zone->owns->pends;

  for (guint i = 0; i < pends->len;) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->due > now.mono || run_one(zone, p, now))
      i++;
    else
      i = 0;
  }
}

/* The disk failed: what was won stays unsaid, and is tried again. */
static bool one_kept(MascZone *zone, MascPend *pend, uint64_t through, bool ok, MascNow now)
{
  if (!ok) {
    if (pend->ticket != through)
      return true;
    pend->ticket = 0;
    pend->due = masc_own_after(now, MASC_DISK_PAUSE);
    zone->owns->due = MIN(zone->owns->due, pend->due);
    return true;
  }
  if (pend->ticket == 0 || pend->ticket > through)
    return true;
  pend->ticket = 0;
  if (pend->state == MASC_PEND_KEEPING)
    return announce(zone, pend, now);
  g_assert(pend->state == MASC_PEND_KEPT);
  masc_pend_drop(zone, pend);
  return false;
}

void masc_pends_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  GArray *pends = zone->owns->pends;

  for (guint i = 0; i < pends->len;)
    if (one_kept(zone, &g_array_index(pends, MascPend, i), through, ok, now))
      i++;
    else
      i = 0;
}

/* We hold that by this claim, or by one that came after it: its row is one that stayed. */
static bool is_over(const MascPend *pend, GArray *held)
{
  for (guint i = 0; pend->state != MASC_PEND_DELAYED && i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    if (masc_prefix_covers(h->prefix, pend->prefix) &&
        h->claim.timestamp >= pend->claim.timestamp)
      return true;
  }
  return false;
}

static void drop_over(MascZone *zone, MascNow now)
{
  GArray *pends = zone->owns->pends;
  g_autoptr(GArray) upper = masc_own_derive(zone, false, now);
  g_autoptr(GArray) lower = masc_own_derive(zone, true, now);

  for (guint i = pends->len; i-- > 0;) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (is_over(p, p->lower ? lower : upper))
      masc_pend_drop(zone, p);
  }
}

/* Restored ones: what was won is said again, what is claimed goes on waiting. */
void masc_pends_start(MascZone *zone, MascNow now)
{
  GArray *pends = zone->owns->pends;
  uint64_t ticket = 0;

  drop_over(zone, now);
  for (guint i = 0; i < pends->len; i++) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (masc_pend_is_claim(p) && record_of(zone, p) == NULL)
      masc_originate(zone, &p->claim, p->parent, true, &ticket, now);
    if (p->state == MASC_PEND_DELAYED)
      p->due = masc_own_draw(zone, now, zone->config.params->initiate_claim_delay);
    else if (p->state == MASC_PEND_KEEPING)
      p->due = now.mono;
  }
}

/* ---- rivals (5.1 c) -------------------------------------------------------------------------- */

/* A claim of our own domain, by an internal peer. What lies inside of what we expand to is no
   reason not to. */
static bool loses_to_ours(const MascPend *pend, const MascClaim *claim)
{
  bool expands = pend->renews || grows(pend);

  /* Won, it would be newer than the D-bit, and undo it. */
  if (pend->renews && claim->deprecated)
    return true;
  if (expands && !masc_prefix_covers(claim->prefix, pend->prefix))
    return false;
  return pend->state == MASC_PEND_DELAYED || claim->type == MASC_PREFIX_IN_USE ||
         masc_claim_compare(&pend->claim, claim) < 0;
}

/* What of ours collides with RECORD: the losers go. A renewal is about what we use, and so loses
   only to what is used. */
void masc_own_collide(MascZone *zone, const MascRecord *record, bool lower, MascNow now)
{
  GArray *pends = zone->owns->pends;
  const MascRecord copy = *record;
  const MascClaim claim = record->claim;
  bool ours = claim.domain == zone->config.domain;

  for (guint i = 0; i < pends->len;) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    bool loses;

    i++;
    if (p->lower != lower || !masc_prefix_meets(p->prefix, claim.prefix) ||
        p->state == MASC_PEND_KEPT || masc_is_above(zone, &copy, p->prefix))
      continue;
    if (ours)
      loses = loses_to_ours(p, &claim);
    else if (p->renews)
      loses = claim.type == MASC_PREFIX_IN_USE;
    else if (p->state == MASC_PEND_DELAYED)
      loses = true;
    else
      loses = claim.type == MASC_PREFIX_IN_USE || masc_claim_compare(&p->claim, &claim) < 0;
    if (loses)
      lose(zone, p, claim.domain, now);
    else if (!ours)
      masc_clash_defend(zone, &p->claim, claim.domain, claim.timestamp, now);
    i = loses ? 0 : i;
  }
}
