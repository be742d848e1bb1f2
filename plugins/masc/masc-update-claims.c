/* PREFIX_IN_USE, CLAIM_TO_EXPAND, NEW_CLAIM (RFC 2909 11.2, 11.4, 11.5). */
#include "masc-flood.h"
#include "masc-refused.h"
#include "masc-update.h"

/* What was claimed so much later than what it collides with, in parts of the waiting period, was
   claimed by somebody who knew. */
#define KNEW 4
#define OLD_MAX 8
#define TELL_MAX 8 /* of others' prefixes, to who claims them */

/* ---- what is there already ------------------------------------------------------------------- */

typedef struct {
  const MascHeard *h;
  /* of the same origin */
  bool holding, pending;      /* pending: that this would complete */
  bool suspect;               /* one of those was counted as a collision */
  bool superseded;
  bool untouched;             /* it has withdrawn nothing */
  MascId parent;              /* whose space that holding is in */
  MascRecord *old[OLD_MAX];   /* what this supersedes */
  size_t n_old;               /* above OLD_MAX: and more */
  /* of others in the same arena */
  bool meets, beats, late;
  bool withdraws;             /* others have withdrawn something there */
} Survey;

static void survey_own(Survey *s, MascRecord *record)
{
  const MascRecord *new = &s->h->record;
  s->superseded = s->superseded || masc_supersedes(record, new);
  s->untouched = masc_record_untouched(record);
  if (masc_supersedes(new, record) && s->n_old++ < OLD_MAX)
    s->old[s->n_old - 1] = record;
  if (record->claim.role != new->claim.role)
    return;
  if (record->claim.type == MASC_PREFIX_IN_USE) {
    s->holding = true;
    s->parent = record->parent;
  }
  if (masc_is_pending(&record->claim) && masc_claim_covers(&new->claim, &record->claim)) {
    s->pending = true;
    s->suspect = s->suspect || record->suspect;
  }
}

static bool same_arena(const MascClaim *a, const MascClaim *b)
{
  return (a->role == MASC_CHILD) == (b->role == MASC_CHILD);
}

static void survey_other(Survey *s, const MascRecord *record)
{
  const MascClaim *c = &s->h->record.claim, *other = &record->claim;
  int64_t knew = s->h->zone->config.params->waiting_period / KNEW;
  s->withdraws |= other->type == MASC_WITHDRAW;
  if (!same_arena(c, other) || !masc_claims_collide(c, other) || other->type == MASC_CLAIM_DENIED)
    return;
  /* What a parent has of another parent meets what others have of the former. */
  if (c->role == MASC_SIBLING && record->parent != s->h->record.parent)
    return;
  if (other->type == MASC_PREFIX_IN_USE && !masc_record_untouched(record) &&
      !masc_cache_stands(s->h->zone->cache, record, c->prefix))
    return;
  s->meets = true;
  if (masc_claim_compare(c, other) > 0)
    s->beats = true;
  else if ((int64_t)c->timestamp - other->timestamp > knew)
    s->late = true;
}

static bool survey_one(MascRecord *record, void *data)
{
  Survey *s = data;
  if (record->claim.domain == s->h->record.claim.domain)
    survey_own(s, record);
  else
    survey_other(s, record);
  return true;
}

static bool stale(const MascHeard *h, const Survey *s)
{
  return (s->superseded || !s->untouched) && masc_record_is_stale(h, s->superseded);
}

static Survey survey(const MascHeard *h)
{
  Survey s = { .h = h };
  masc_cache_look(h->zone->cache, h->record.claim.prefix, survey_one, &s);
  return s;
}

/* ---- floods (14) ----------------------------------------------------------------------------- */

static bool add_pending(MascRecord *record, void *data)
{
  if (masc_is_pending(&record->claim))
    g_ptr_array_add(data, record);
  return true;
}

/* True: the domain is ignored from now on; what it claims stands in nobody's way any more. What it
   uses still does. */
static bool count(const MascHeard *h)
{
  MascZone *zone = h->zone;
  MascId domain = h->record.claim.domain;
  if (!masc_flood_count(zone->flood, domain, zone->config.params, h->now))
    return false;
  g_autoptr(GPtrArray) pending = g_ptr_array_new();
  masc_cache_each_of(zone->cache, domain, add_pending, pending);
  for (guint i = 0; i < pending->len; i++)
    masc_record_forget(zone, g_ptr_array_index(pending, i));
  masc_refused_flood(zone->refused, domain);
  masc_note(zone, MASC_NOTE_FLOOD, h->record.claim.prefix, domain, pending->len);
  return true;
}

static bool floods(MascHeard *h, const Survey *s)
{
  bool in_use = h->record.claim.type == MASC_PREFIX_IN_USE;
  if (in_use && s->suspect)
    masc_flood_credit(h->zone->flood, h->record.claim.domain);
  h->record.suspect = in_use ? s->meets && !s->holding && !s->pending : s->beats || s->late;
  return h->record.suspect && count(h);
}

/* Refused to the one who asked: he had better stop. What others tell of him proves nothing. */
static uint8_t refuse(const MascHeard *h, uint8_t subcode)
{
  if (h->peer->domain == h->record.claim.domain)
    count(h);
  return subcode;
}

/* By our limits: it is there all the same. */
static uint8_t refuse_limits(const MascHeard *h, uint8_t subcode)
{
  MascZone *zone = h->zone;
  masc_refused_add(zone->refused, &h->record.claim, &zone->config.params->limits, h->now);
  return refuse(h, subcode);
}

/* ---- taking ---------------------------------------------------------------------------------- */

typedef struct {
  const MascHeard *h;
  unsigned n;
} Others;

static bool tell_of_other(MascRecord *record, void *data)
{
  Others *o = data;
  const MascHeard *h = o->h;
  const MascClaim *c = &h->record.claim;
  if (record->claim.role != MASC_CHILD || record->claim.type != MASC_PREFIX_IN_USE ||
      record->claim.domain == c->domain ||
      !masc_cache_stands(h->zone->cache, record, c->prefix))
    return true;
  if (masc_update_own(h)) {
    masc_spread_to_peer(h->zone, record, h->peer);
    return ++o->n < TELL_MAX;
  }
  if (o->n == 0 && c->type == MASC_PREFIX_IN_USE)
    masc_note(h->zone, MASC_NOTE_CHILDREN_CLASH, c->prefix, c->domain, 0);
  masc_spread_to_child(h->zone, record, c->domain);
  return ++o->n < TELL_MAX;
}

/* A child that claims what another one uses doesn't know of that: it refused to hear of it when it
   did not know our prefix as yet, say. What the other one says in defence is no news here, and
   would not be passed on. So it is with an internal peer that claims it for our servers (12.2). */
static void tell_of_others(const MascHeard *h)
{
  Others o = { h, 0 };
  if (h->record.claim.role == MASC_CHILD &&
      (!masc_update_own(h) || h->peer->role == MASC_INTERNAL))
    masc_cache_look(h->zone->cache, h->record.claim.prefix, tell_of_other, &o);
}

static void take(MascHeard *h, Survey *s)
{
  MascZone *zone = h->zone;
  bool own = masc_update_own(h), in_use = h->record.claim.type == MASC_PREFIX_IN_USE;
  /* What the survey saw of ours may have gone since. */
  const MascRecord *taken = own || s->n_old > OLD_MAX
                                ? masc_record_take(zone, &h->record, NULL)
                                : masc_record_put(zone, &h->record, s->old, s->n_old, NULL);
  if (taken == NULL)
    return;
  /* OWN may originate, and what the cache can't hold then goes. */
  MascRecord copy = *taken;
  masc_note(zone, MASC_NOTE_HEARD, copy.claim.prefix, copy.claim.domain, copy.claim.type);
  masc_refused_settle(zone->refused, &copy.claim);
  if (in_use && (own || s->withdraws))
    masc_withdraw_won(zone, &copy);
  if (own)
    masc_own_took(zone, &copy, h->now);
  else
    masc_own_rivalled(zone, &copy, h->now);
  tell_of_others(h);
  masc_spread(zone, &copy, h->peer->id);
  if (copy.claim.role == MASC_CHILD && !own)
    masc_own_children_changed(zone, h->now);
}

static uint8_t silently(const MascHeard *h, MascNote note)
{
  masc_note(h->zone, note, h->record.claim.prefix, h->record.claim.domain, 0);
  return 0;
}

/* 11.2.4, 11.4.4, and the same of ours as a child of ourselves. */
static uint8_t own_claim(MascHeard *h, Survey *s)
{
  if (stale(h, s))
    return silently(h, MASC_NOTE_DUPLICATE);
  if (!masc_own_told(h->zone, &h->record.claim, h->peer, h->now))
    return silently(h, MASC_NOTE_IGNORED);
  take(h, s);
  return 0;
}

/* What came just before, in the same message maybe, may make it so. */
static bool overlaps_ours(const MascHeard *h)
{
  MalPrefix prefix = h->record.claim.prefix;
  return masc_own_overlaps(h->zone, prefix) ||
         (masc_own_catch_up(h->zone, h->now) && masc_own_overlaps(h->zone, prefix));
}

static uint8_t by_internal(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  bool grows_ours = c->type == MASC_CLAIM_TO_EXPAND && overlaps_ours(h);
  Survey s = survey(h);
  uint8_t subcode = masc_update_associate(h);
  if (subcode != 0)
    h->record.parent = s.parent;  /* a provider that was left (12.5) */
  if (c->type == MASC_PREFIX_IN_USE)
    return own_claim(h, &s);      /* held, whoever is our parent now (11.6.3) */
  if (subcode != 0)
    return subcode;
  if (c->type == MASC_CLAIM_TO_EXPAND && !grows_ours)
    return MASC_UPDATE_NO_INTERNAL_PREFIX;
  return own_claim(h, &s);
}

/* 11.4.2: it has nothing there that would grow. Of what our limits refused only we don't know. */
static uint8_t nothing_grows(const MascHeard *h)
{
  MascZone *zone = h->zone;
  if (masc_refused_grows(zone->refused, &h->record.claim))
    masc_refused_add(zone->refused, &h->record.claim, &zone->config.params->limits, h->now);
  return MASC_UPDATE_NO_SIBLING_PREFIX;
}

/* 11.2.2, 11.4.2 */
static uint8_t by_sibling(MascHeard *h)
{
  uint8_t subcode = masc_update_associate(h);
  Survey s = survey(h);
  if (subcode != 0)
    return subcode;
  if (h->record.claim.type == MASC_CLAIM_TO_EXPAND && !s.holding)
    return nothing_grows(h);
  if ((subcode = masc_update_limits(h)) != 0)
    return refuse_limits(h, subcode);
  if (stale(h, &s))
    return silently(h, MASC_NOTE_DUPLICATE);
  if (floods(h, &s))
    return 0;
  take(h, &s);
  return 0;
}

/* ---- children (11.2.3, 11.4.3) --------------------------------------------------------------- */

typedef struct {
  const MascClaim *claim;
  uint8_t why;
  bool found;
} Earlier;

/* Lifetime 0 says that it was too large. Who claims less than that has understood, if not how much
   less; so has who asks for no longer than he was granted, though it be later now. */
static bool is_told(const Earlier *e, const MascClaim *denial)
{
  if (e->why == MASC_UPDATE_PREFIX_LARGE)
    return denial->lifetime == 0 && e->claim->prefix.length <= denial->prefix.length;
  return denial->lifetime > 0 && e->claim->lifetime > denial->lifetime;
}

static bool earlier_denial(MascRecord *record, void *data)
{
  Earlier *e = data;
  const MascClaim *d = &record->claim;
  if (d->type != MASC_CLAIM_DENIED || d->role != MASC_INTERNAL || d->domain != e->claim->domain ||
      d->timestamp >= e->claim->timestamp || !is_told(e, d))
    return true;
  e->found = true;
  return false;
}

/* It was told what it can have, and asks again (8.3). */
static bool insists(const MascHeard *h, uint8_t why)
{
  Earlier e = { &h->record.claim, why, false };
  masc_cache_look(h->zone->cache, e.claim->prefix, earlier_denial, &e);
  return e.found;
}

/* Whoever tells it: the bound is the domain's. */
static bool is_too_large(const MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  for (guint i = 0; i < h->zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(h->zone->peers, MascPeer, i);
    if (peer->role == MASC_PARENT && peer->domain == c->domain && c->prefix.length < peer->shortest)
      return true;
  }
  return false;
}

static uint32_t longest(const MascHeard *h, MalTime until, uint8_t why)
{
  uint32_t most = h->zone->config.params->limits.lifetime_max;
  int64_t left = until == MAL_FOREVER ? UINT32_MAX
                                      : until - (MalTime)h->record.claim.timestamp;
  uint32_t seconds = masc_seconds_to_wire(left);
  if (why == MASC_UPDATE_PREFIX_LARGE)
    return 0;                 /* however short */
  return most != 0 ? MIN(most, seconds) : seconds;
}

/* The denial takes the claim's place in the cache; the claim itself is for internal peers alone. */
static uint8_t deny(MascHeard *h, MalTime until, uint8_t why)
{
  MascZone *zone = h->zone;
  MascRecord denial = h->record;
  if (insists(h, why))
    return refuse(h, why);
  masc_spread_inside(zone, &h->record, h->peer->id);
  denial.claim.type = MASC_CLAIM_DENIED;
  denial.claim.role = MASC_INTERNAL;
  denial.claim.lifetime = longest(h, until, why);
  denial.from = MASC_NO_PEER;
  const MascRecord *taken = masc_record_take(zone, &denial, NULL);
  masc_note(zone, MASC_NOTE_DENIES, denial.claim.prefix, denial.claim.domain, why);
  masc_spread(zone, taken != NULL ? taken : &denial, MASC_NO_PEER);
  return 0;
}

static bool is_in_ours(const MascHeard *h, MalTime *until)
{
  MalPrefix prefix = h->record.claim.prefix;
  return masc_own_covers(h->zone, prefix, until, NULL) ||
         (masc_own_catch_up(h->zone, h->now) && masc_own_covers(h->zone, prefix, until, NULL));
}

static uint8_t by_child(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  MalTime until = MAL_FOREVER;
  bool ours = is_in_ours(h, &until);
  Survey s = survey(h);
  uint8_t subcode;
  h->record.parent = h->zone->config.domain;
  if (!ours) {
    masc_own_strays(h->zone, c, h->peer, h->now);
    return MASC_UPDATE_NO_PARENT_PREFIX;
  }
  if (c->type == MASC_CLAIM_TO_EXPAND && !s.holding)
    return MASC_UPDATE_NO_CHILD_PREFIX;
  if (masc_update_own(h))
    return own_claim(h, &s);
  if (stale(h, &s))
    return silently(h, MASC_NOTE_DUPLICATE);
  subcode = masc_update_limits(h);
  if (subcode == 0 && masc_is_pending(c) && masc_claim_free_at(c) > until)
    subcode = MASC_UPDATE_LIFETIME_LONG;
  if (subcode == 0 && is_too_large(h))
    subcode = MASC_UPDATE_PREFIX_LARGE;
  if (masc_is_pending(c) &&
      (subcode == MASC_UPDATE_LIFETIME_LONG || subcode == MASC_UPDATE_PREFIX_LARGE))
    return deny(h, until, subcode);
  /* Who is refused a claim that he waits with doesn't win it: we are who grants it. */
  if (subcode != 0)
    return masc_is_pending(c) ? refuse(h, subcode) : refuse_limits(h, subcode);
  if (floods(h, &s))
    return 0;
  take(h, &s);
  return 0;
}

uint8_t masc_update_claim(MascHeard *h)
{
  switch (h->record.claim.role) {
  case MASC_INTERNAL: return by_internal(h);
  case MASC_SIBLING: return by_sibling(h);
  case MASC_CHILD: return by_child(h);
  case MASC_PARENT:
  default: return MASC_UPDATE_ORIGIN_ROLE;
  }
}

/* ---- hints (11.5) ---------------------------------------------------------------------------- */

uint8_t masc_update_hint(MascHeard *h)
{
  const MascClaim *c = &h->record.claim;
  uint8_t subcode;
  /* Ours through others: by a parent, who need not tell us what we asked for. */
  if (c->role == MASC_SIBLING || (c->role == MASC_INTERNAL && h->peer->role != MASC_INTERNAL))
    return silently(h, MASC_NOTE_IGNORED);
  if ((subcode = masc_update_limits(h)) != 0)
    return refuse(h, subcode);
  if (masc_record_stale(h))
    return silently(h, MASC_NOTE_DUPLICATE);
  h->record.parent = c->role == MASC_CHILD ? h->zone->config.domain : 0;
  const MascRecord *taken = masc_record_take(h->zone, &h->record, NULL);
  if (taken == NULL)
    return 0;
  masc_note(h->zone, MASC_NOTE_HINT, c->prefix, c->domain, c->prefix.length);
  masc_spread(h->zone, taken, h->peer->id);
  if (c->role == MASC_CHILD)
    masc_own_children_changed(h->zone, h->now);
  else
    masc_own_took(h->zone, taken, h->now);
  return 0;
}
