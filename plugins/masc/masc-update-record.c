/* Records come into the cache and the store, take the place of others, and go. */
#include "masc-update.h"

/* Of a few of one domain, all are looked at; among many, the tree knows better. */
#define FEW 16

/* ---- what supersedes what -------------------------------------------------------------------- */

/* Above 0: A is the newer one of two about the same. Total, so that two versions never chase each
   other round the network. */
static int newer(const MascClaim *a, const MascClaim *b)
{
  if (a->timestamp != b->timestamp)
    return a->timestamp > b->timestamp ? 1 : -1;
  if (a->lifetime != b->lifetime)
    return a->lifetime > b->lifetime ? 1 : -1;
  if (a->holdtime != b->holdtime)
    return a->holdtime > b->holdtime ? 1 : -1;
  if (a->deprecated != b->deprecated)
    return a->deprecated ? 1 : -1;
  return a->node < b->node ? 1 : a->node > b->node ? -1 : 0;
}

static bool supersedes_hint(const MascClaim *a, const MascClaim *b)
{
  if (a->role != b->role || b->type != MASC_NEW_CLAIM)
    return masc_claim_about(a, b) && b->type == MASC_NEW_CLAIM && a->type != MASC_NEW_CLAIM;
  /* Each node of our own domain asks for itself. */
  if (masc_claim_is_hint(a))
    return a->type == MASC_NEW_CLAIM
               ? newer(a, b) > 0 && (a->role != MASC_INTERNAL || a->node == b->node)
               : masc_claim_about(a, b);
  return (masc_is_pending(a) || masc_is_holding(a)) && a->timestamp > b->timestamp &&
         a->prefix.length <= b->prefix.length;
}

/* Of two of which one covers the other, as what supersedes does. */
static bool same_prefix(const MascClaim *a, const MascClaim *b)
{
  return a->prefix.length == b->prefix.length;
}

static bool holding_supersedes(const MascClaim *a, const MascClaim *b)
{
  if (a->role != b->role || !masc_claim_covers(a, b))
    return false;
  if (masc_is_holding(b))
    return same_prefix(a, b) ? newer(a, b) > 0 : a->timestamp >= b->timestamp;
  return masc_is_pending(b) && a->timestamp >= b->timestamp;
}

static bool withdraw_supersedes(const MascRecord *new, const MascRecord *old)
{
  const MascClaim *a = &new->claim, *b = &old->claim;
  if (masc_is_pending(b))
    return masc_claim_about(a, b) && a->role == b->role;
  return b->type == MASC_WITHDRAW && a->role == b->role && !new->names && !old->names &&
         !new->clash && !old->clash && masc_claim_covers(a, b) && a->timestamp >= b->timestamp &&
         new->forget_at >= old->forget_at &&
         !(same_prefix(a, b) && a->timestamp == b->timestamp && new->forget_at == old->forget_at);
}

bool masc_supersedes(const MascRecord *a, const MascRecord *b)
{
  if (a->claim.domain != b->claim.domain || !masc_same_space(a, b))
    return false;
  if (masc_claim_is_hint(&b->claim))
    return supersedes_hint(&a->claim, &b->claim);
  if (masc_is_holding(&a->claim))
    return holding_supersedes(&a->claim, &b->claim);
  if (a->claim.type == MASC_WITHDRAW)
    return withdraw_supersedes(a, b);
  return a->claim.type == MASC_CLAIM_DENIED && masc_is_pending(&b->claim) &&
         masc_claim_about(&a->claim, &b->claim);
}

typedef struct {
  MascZone *zone;
  const MascRecord *record;
  const MascPeer *peer;
  bool found;
} Look;

static bool outdone(MascRecord *record, void *data)
{
  Look *l = data;
  l->found = masc_supersedes(record, l->record);
  return !l->found;
}

typedef struct {
  MascRecordFunc func;
  void *data;
} NoHints;

static bool but_hints(MascRecord *record, void *data)
{
  const NoHints *n = data;
  return masc_claim_is_hint(&record->claim) || n->func(record, n->data);
}

/* Those of its origin that it can supersede or be superseded by, and maybe more. */
static void look_among(const MascZone *zone, const MascRecord *record, MascRecordFunc func,
                       void *data)
{
  NoHints n = { func, data };
  MascId domain = record->claim.domain;
  if (masc_claim_is_hint(&record->claim))
    masc_cache_each_of(zone->cache, domain, func, data);
  else if (masc_cache_size_of(zone->cache, domain) <= FEW)
    masc_cache_each_of(zone->cache, domain, but_hints, &n);
  else
    masc_cache_look(zone->cache, record->claim.prefix, func, data);
}

/* FUNC may remove. */
static void among(const MascZone *zone, const MascRecord *record, MascRecordFunc func, void *data)
{
  if (masc_claim_is_hint(&record->claim))
    masc_cache_each_of(zone->cache, record->claim.domain, func, data);
  else
    masc_cache_overlapping(zone->cache, record->claim.prefix, func, data);
}

/* The peer has what was withdrawn: it hears that. */
static bool answer(MascRecord *record, void *data)
{
  const Look *l = data;
  MascClaim claim;
  bool about = record->claim.type == MASC_WITHDRAW &&
               (masc_withdraw_counts(record, l->record) ||
                (masc_is_pending(&l->record->claim) && masc_supersedes(record, l->record)));
  if (about && masc_goes_to(l->zone, record, l->peer, &claim) != 0)
    l->zone->config.ops->send(l->zone->config.user, l->zone, l->peer->id, &claim, 1);
  return true;
}

bool masc_record_is_stale(const MascHeard *h, bool superseded)
{
  Look l = { .zone = h->zone, .record = &h->record, .peer = h->peer, .found = superseded };
  if (!l.found)
    l.found = masc_is_holding(&h->record.claim) &&
              masc_cache_withdrawn(h->zone->cache, &h->record);
  /* Never one WITHDRAW by another: who has newer ones would be answered in turn. */
  if (l.found && h->record.claim.type != MASC_WITHDRAW &&
      masc_cache_withdraws(h->zone->cache, h->record.claim.domain) > 0)
    look_among(h->zone, &h->record, answer, &l);
  return l.found;
}

bool masc_record_stale(const MascHeard *h)
{
  Look l = { .zone = h->zone, .record = &h->record };
  look_among(h->zone, &h->record, outdone, &l);
  return masc_record_is_stale(h, l.found);
}

/* ---- in and out ------------------------------------------------------------------------------ */

/* Under the same key in the store: a holding is superseded by one of its type. */
static bool overwrites(const MascRecord *new, const MascRecord *old)
{
  return masc_is_holding(&old->claim) && same_prefix(&new->claim, &old->claim);
}

static void drop_old(MascZone *zone, const MascRecord *new, MascRecord *old)
{
  if (overwrites(new, old))
    masc_cache_remove(zone->cache, old);
  else
    masc_record_forget(zone, old);
}

static bool supersede_hint(MascRecord *record, void *data)
{
  const Look *l = data;
  if (masc_claim_is_hint(&record->claim) && masc_supersedes(l->record, record))
    drop_old(l->zone, l->record, record);
  return true;
}

typedef struct {
  const MascRecord *record;
  GPtrArray *old;             /* NULL: none so far */
} Superseded;

static bool find_superseded(MascRecord *record, void *data)
{
  Superseded *s = data;
  if (!masc_supersedes(s->record, record))
    return true;
  if (s->old == NULL)
    s->old = g_ptr_array_new();
  g_ptr_array_add(s->old, record);
  return true;
}

MascRecord *masc_record_take(MascZone *zone, const MascRecord *record, uint64_t *ticket)
{
  Superseded s = { .record = record };
  look_among(zone, record, find_superseded, &s);
  g_autoptr(GPtrArray) old = s.old;
  return masc_record_put(zone, record, old != NULL ? (MascRecord **)old->pdata : NULL,
                         old != NULL ? old->len : 0, ticket);
}

/* A place for one more. */
static bool make_room(MascZone *zone, const MascRecord *record)
{
  if (masc_cache_size(zone->cache) < MASC_CACHE_MAX)
    return true;
  masc_note(zone, MASC_NOTE_CACHE_FULL, record->claim.prefix, record->claim.domain, 0);
  MascRecord *victim = masc_cache_victim(zone->cache);
  if (victim != NULL)
    masc_record_forget(zone, victim);
  return victim != NULL;
}

MascRecord *masc_record_put(MascZone *zone, const MascRecord *record, MascRecord **old,
                            size_t n_old, uint64_t *ticket)
{
  Look l = { .zone = zone, .record = record };
  MascRecord *taken, *same = NULL;
  bool hint = masc_claim_is_hint(&record->claim);
  for (size_t i = 0; i < n_old; i++) {
    if (!hint && same_prefix(&old[i]->claim, &record->claim))
      same = old[i];          /* the last one of those gives its place */
  }
  for (size_t i = 0; i < n_old; i++) {
    if (old[i] != same)
      drop_old(zone, record, old[i]);
  }
  if (record->claim.role != MASC_SIBLING && !hint)
    masc_cache_each_of(zone->cache, record->claim.domain, supersede_hint, &l);
  if (same != NULL) {
    if (!overwrites(record, same))
      masc_record_unkeep(zone, same);
    taken = masc_cache_replace(zone->cache, same, record);
  } else if (make_room(zone, record)) {
    taken = masc_cache_add(zone->cache, record);
  } else {
    return NULL;
  }
  uint64_t kept = masc_record_keep(zone, taken);
  if (ticket != NULL)
    *ticket = kept;
  return taken;
}

MascRecord *masc_originate(MascZone *zone, const MascClaim *claim, MascId parent, bool spread,
                           uint64_t *ticket, MascNow now)
{
  MascRecord record = { .claim = *claim, .parent = parent, .from = MASC_NO_PEER };
  MascRecord *taken = masc_cache_same(zone->cache, claim);
  zone->at = now;
  record.forget_at = masc_claim_forget_at(claim, zone->config.params->extra_holding);
  if (taken == NULL) {
    if (claim->type == MASC_WITHDRAW)
      masc_withdraw_apply(zone, &record, true);
    taken = masc_record_take(zone, &record, ticket);
  } else if (ticket != NULL) {
    *ticket = masc_record_keep(zone, taken);
  }
  if (taken != NULL && spread)
    masc_spread(zone, taken, MASC_NO_PEER);
  return taken;
}

/* ---- WITHDRAW as an overlay (11.7, 12.4) ----------------------------------------------------- */

typedef struct {
  MascZone *zone;
  MascRecord *withdraw;
  bool holding, covering, named, older, remove;
} Apply;

static bool find_about(MascRecord *record, void *data)
{
  Apply *a = data;
  const MascClaim *c = &record->claim, *w = &a->withdraw->claim;
  if (c->domain != w->domain || c->role != w->role || !masc_same_space(a->withdraw, record))
    return true;
  if (a->withdraw->parent == 0)
    a->withdraw->parent = record->parent;
  if (masc_is_pending(c) && masc_claim_about(w, c)) {
    a->named = true;
    if (a->remove)
      masc_record_forget(a->zone, record);
  } else if (masc_is_holding(c) && !masc_claim_is_hint(w)) {
    a->holding = true;
    a->covering |= masc_claim_covers(c, w);
    /* Without a Lifetime it gives back, and has no winner. */
    a->older |= w->timestamp < c->timestamp && w->lifetime > 0;
  }
  return true;
}

/* Has another domain what the WITHDRAW gives up, by a claim as old as it says? Of one of ours, a
   part is enough: who tells it to us takes our prefix for withdrawn, and so would both use that. */
static bool find_winner(MascRecord *record, void *data)
{
  Apply *a = data;
  const MascClaim *c = &record->claim, *w = &a->withdraw->claim;
  if (c->type != MASC_PREFIX_IN_USE || c->domain == w->domain ||
      (c->role == MASC_CHILD) != (w->role == MASC_CHILD))
    return true;
  a->withdraw->clash = c->timestamp >= w->timestamp &&
                       (masc_claim_covers(c, w) ||
                        (w->domain == a->zone->config.domain &&
                         masc_cache_stands(a->zone->cache, record, w->prefix)));
  return !a->withdraw->clash;
}

/* What it takes for longer than it would last is gone for good. */
static bool end_taken(MascRecord *record, void *data)
{
  const Apply *a = data;
  if (masc_is_holding(&record->claim) && masc_withdraw_counts(a->withdraw, record) &&
      masc_claim_covers(&a->withdraw->claim, &record->claim) &&
      a->withdraw->forget_at >= record->forget_at)
    masc_record_forget(a->zone, record);
  return true;
}

bool masc_withdraw_apply(MascZone *zone, MascRecord *withdraw, bool remove)
{
  Apply a = { .zone = zone, .withdraw = withdraw, .remove = remove };
  withdraw->clash = false;
  among(zone, withdraw, find_about, &a);
  /* A renewal's withdrawal takes what was to be renewed; a growth's, only the growth. */
  withdraw->names = a.named && !a.covering;
  if (withdraw->names || !a.holding)
    return a.named;
  /* Children can't know a winner among their parent's siblings. */
  if (a.older && withdraw->claim.role == MASC_PARENT)
    withdraw->clash = true;
  else if (a.older)
    masc_cache_look(zone->cache, withdraw->claim.prefix, find_winner, &a);
  if (remove && !withdraw->clash)
    masc_cache_overlapping(zone->cache, withdraw->claim.prefix, end_taken, &a);
  return true;
}

static bool was_clash(MascRecord *record, void *data)
{
  const MascClaim *w = &record->claim, *c = &((const MascRecord *)data)->claim;
  if (w->type == MASC_WITHDRAW && w->domain != c->domain && !record->names && !record->clash &&
      (c->role == MASC_CHILD) == (w->role == MASC_CHILD) && w->role != MASC_PARENT &&
      masc_claim_covers(c, w) && c->timestamp >= w->timestamp && w->lifetime > 0)
    record->clash = true;
  return true;
}

void masc_withdraw_won(MascZone *zone, const MascRecord *winner)
{
  MascRecord copy = *winner;
  if (masc_cache_withdraws(zone->cache, 0) > 0)
    masc_cache_look(zone->cache, copy.claim.prefix, was_clash, &copy);
}
