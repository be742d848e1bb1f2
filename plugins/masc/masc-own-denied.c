/* What parents deny us, and what we make of it (RFC 2909 8.3, 11.3.3). */
#include "masc-own.h"

#define MASC_DENIALS_MAX 3

void masc_own_avoid(MascZone *zone, MalPrefix prefix, int64_t seconds, MascNow now)
{
  MascAvoid a = { prefix, masc_own_after(now, seconds) };

  g_array_append_val(zone->owns->avoid, a);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static MascBound *bound_of(const MascZone *zone, MascId parent)
{
  GArray *bounds = zone->owns->bounds;

  for (guint i = 0; i < bounds->len; i++)
    if (g_array_index(bounds, MascBound, i).parent == parent)
      return &g_array_index(bounds, MascBound, i);
  return NULL;
}

static MascBound *make_bound(MascZone *zone, MascId parent, MascNow now)
{
  GArray *bounds = zone->owns->bounds;
  MascBound fresh = { .parent = parent, .larger_until = now.mono, .longer_until = now.mono };

  for (guint i = bounds->len; i-- > 0;) {
    const MascBound *b = &g_array_index(bounds, MascBound, i);
    if (b->parent != parent && b->larger_until <= now.mono && b->longer_until <= now.mono)
      g_array_remove_index(bounds, i);
  }
  if (bound_of(zone, parent) == NULL)
    g_array_append_val(bounds, fresh);
  return bound_of(zone, parent);
}

void masc_own_bound_size(MascZone *zone, MascId parent, unsigned length, MascNow now)
{
  MascBound *bound = make_bound(zone, parent, now);

  bound->too_large = length;
  bound->larger_until = masc_own_after(now, zone->config.params->waiting_period);
}

MalPrefix masc_own_within_bound(const MascZone *zone, MalPrefix prefix, MascNow now)
{
  MascId parent;
  const MascBound *bound =
      masc_parent_to_ask(zone, prefix, now, &parent) ? bound_of(zone, parent) : NULL;

  if (bound == NULL || prefix.length > bound->too_large || now.mono >= bound->larger_until)
    return prefix;
  return masc_prefix_part(prefix, bound->too_large + 1, 0);
}

/* As long as the parent may remember the denial, who asks for more is refused. */
static void bound_lifetime(MascZone *zone, MascId parent, uint32_t lifetime, MascNow now)
{
  const MascParams *params = zone->config.params;
  MascBound *bound = make_bound(zone, parent, now);

  bound->longest = lifetime;
  bound->longer_until = masc_own_after(now, 2 * (params->waiting_period + params->extra_holding));
}

int64_t masc_own_longest(const MascZone *zone, MascId parent, MascNow now)
{
  const MascBound *bound = bound_of(zone, parent);

  return bound != NULL && now.mono < bound->longer_until ? bound->longest : INT64_MAX;
}

/* ---- renewals -------------------------------------------------------------------------------- */

/* 4.2: tried again, less and less often. */
void masc_own_renewal_denied(MascZone *zone, const MascHeld *held, bool lower, MascNow now)
{
  const MascParams *params = zone->config.params;
  int64_t wait = masc_own_settle(zone);
  MascMark *mark = masc_own_mark(zone, held->prefix, lower, now);

  for (unsigned i = 0; i < mark->denials && wait < params->renew_interval; i++)
    wait *= 2;
  mark->denials++;
  mark->again = masc_own_after(now, MIN(wait, MAX(params->renew_interval, 1)));
  zone->owns->marks_changed = true;
  masc_own_dirty(zone);
  if (mark->denials < MASC_DENIALS_MAX || mark->ended)
    return;
  mark->ended = true;
  masc_note(zone, MASC_NOTE_UNRENEWED, held->prefix, zone->config.domain, 0);
  masc_own_plan_soon(zone, now);
}

/* And there will be something in its place, where it is needed: as soon as it has to be claimed. */
bool masc_own_ends(const MascZone *zone, const MascHeld *held, const MascMark *mark, MascNow now)
{
  return mark->denials >= MASC_DENIALS_MAX &&
         held->until <= mal_time_add(now.wall, 2 * zone->config.params->waiting_period);
}

/* ---- denied (11.3.3) ------------------------------------------------------------------------- */

/* Too large however short (8.3): half of it may be not; and nothing as large is claimed for a
   while. False: there is no half. */
static bool claim_half(MascZone *zone, const MascPend *denied, MascNow now)
{
  unsigned length = denied->prefix.length;
  MascPend half = { .lower = denied->lower,
                    .prefix = masc_prefix_part(denied->prefix, length + 1, 0),
                    .lifetime = denied->lifetime };

  if (denied->hand || length >= masc_own_unit(zone))
    return false;
  if (!denied->lower)
    masc_own_bound_size(zone, denied->parent, length, now);
  if (denied->from.address.family != MAL_FAMILY_NONE)
    return false;
  masc_pend_add(zone, &half, now);
  return true;
}

/* The parent says how long it may last; else that it is not to be at all. */
static void claim_again(MascZone *zone, const MascPend *denied, const MascClaim *denial,
                        MascNow now)
{
  MascPend again = { .lower = denied->lower,
                     .hand = denied->hand,
                     .renews = denied->renews,
                     .tries = denied->tries + 1,
                     .prefix = denied->prefix,
                     .from = denied->from,
                     .lifetime = denial->lifetime };
  bool shorter = denial->lifetime < denied->claim.lifetime &&
                 denial->lifetime > zone->config.params->waiting_period;
  const MascHeld *held =
      denied->renews ? masc_own_find(zone, denied->prefix, denied->lower) : NULL;

  if (shorter && !denied->lower)
    bound_lifetime(zone, denied->parent, denial->lifetime, now);
  /* What we have of it may last longer already: it does, whatever is renewed. */
  if (held != NULL && mal_time_add(now.wall, denial->lifetime) <= held->until)
    shorter = false;
  if (shorter && denied->tries < MASC_DENIALS_MAX) {
    masc_pend_add(zone, &again, now);
    return;
  }
  if (held != NULL)
    masc_own_renewal_denied(zone, held, denied->lower, now);
  if (denied->renews || (denial->lifetime == 0 && claim_half(zone, denied, now)))
    return;
  masc_own_avoid(zone, denied->prefix, zone->config.params->waiting_period, now);
  zone->owns->denials++;
  if (zone->owns->denials <= MASC_DENIALS_MAX)
    masc_own_plan_soon(zone, now);
}

typedef struct {
  const MascClaim *denial;
  bool lower, found;
} Denied;

static bool find_denied(MascRecord *record, void *data)
{
  Denied *d = data;
  const MascClaim *c = &record->claim;

  d->found = (c->type == MASC_NEW_CLAIM || c->type == MASC_CLAIM_TO_EXPAND) &&
             c->role == (d->lower ? MASC_CHILD : MASC_INTERNAL) && masc_claim_about(c, d->denial);
  return !d->found;
}

/* What an internal peer waits with, or asks for: RX passes the denial on. */
static bool waits_elsewhere(const MascZone *zone, const MascClaim *denial, bool lower)
{
  Denied d = { denial, lower, false };

  masc_cache_each_of(zone->cache, zone->config.domain, find_denied, &d);
  return d.found;
}

bool masc_own_denied(MascZone *zone, const MascClaim *denial, MascNow now)
{
  GArray *pends = zone->owns->pends;
  const MascHeld *held;
  bool lower = denial->role != MASC_PARENT;   /* we deny ourselves as our own child */

  if (masc_claim_is_hint(denial) && masc_own_hint_denied(zone, denial, now))
    return true;
  for (guint i = 0; i < pends->len; i++) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->state == MASC_PEND_DELAYED || p->state == MASC_PEND_KEPT || p->lower != lower ||
        !masc_claim_about(&p->claim, denial))
      continue;
    MascPend was = *p;
    masc_note(zone, MASC_NOTE_DENIED, p->prefix, p->parent, denial->lifetime);
    /* A denial goes wherever the claim went (11.3.3), and who denied it knows it no more. */
    masc_pend_end(zone, p, denial->type != MASC_CLAIM_DENIED, now);
    claim_again(zone, &was, denial, now);
    /* Who refuses that we expand what we have may not know that we have it (11.4.3). */
    held = masc_own_meeting(zone, was.prefix, was.lower);
    if (held != NULL)
      masc_clash_defend(zone, &held->claim, was.parent, denial->timestamp, now);
    return true;
  }
  return waits_elsewhere(zone, denial, lower);
}
