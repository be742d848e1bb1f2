/* Two domains use the same (RFC 2909 12.4), and what we answer to who claims what is ours. */
#include "masc-own.h"

/* ---- defending ------------------------------------------------------------------------------- */

#define DEFENDED_MAX 256
#define HOURLY 48               /* parts of the waiting period that are an hour of the usual one */

static int64_t longest_pause(const MascZone *zone)
{
  const MascParams *params = zone->config.params;

  return MAX(params->waiting_period / HOURLY, params->initiate_claim_delay) * MASC_SECOND;
}

/* Who goes on without a word of something new, because he forgot that he gave way, or is broken,
   hears it less and less often. */
static void answer_again(MascDefended *d, uint32_t ours, uint32_t theirs, int64_t first,
                         int64_t most, int64_t now)
{
  bool news = ours > d->ours || theirs > d->theirs;

  d->pause = news ? first : MIN(2 * d->pause, most);
  d->ours = MAX(d->ours, ours);
  d->theirs = MAX(d->theirs, theirs);
  d->at = now;
}

static bool answered_lately(MascZone *zone, const MascClaim *ours, MascId rival, uint32_t stamp,
                            MascNow now)
{
  GArray *defended = zone->owns->defended;
  int64_t first = zone->config.params->initiate_claim_delay * MASC_SECOND;
  int64_t most = longest_pause(zone);
  MascDefended fresh = { ours->prefix, rival, now.mono, first, ours->timestamp, stamp };

  for (guint i = defended->len; i-- > 0;) {
    MascDefended *d = &g_array_index(defended, MascDefended, i);
    if (now.mono - d->at >= 2 * most) {
      g_array_remove_index(defended, i);
    } else if (d->domain == rival && masc_prefix_equal(d->prefix, ours->prefix)) {
      bool news = ours->timestamp > d->ours || stamp > d->theirs;
      if (now.mono - d->at < (news ? first : d->pause))
        return true;
      answer_again(d, ours->timestamp, stamp, first, most, now.mono);
      return false;
    }
  }
  if (defended->len >= DEFENDED_MAX)
    g_array_remove_index(defended, 0);
  g_array_append_val(defended, fresh);
  return false;
}

typedef struct {
  const MascClaim *claim;
  MascRecord *found;
} About;

static bool find_about(MascRecord *record, void *data)
{
  About *a = data;

  if (masc_claim_about(&record->claim, a->claim) && record->claim.type != MASC_WITHDRAW &&
      record->claim.type != MASC_CLAIM_DENIED)
    a->found = record;
  return true;
}

void masc_clash_defend(MascZone *zone, const MascClaim *ours, MascId rival, uint32_t stamp,
                       MascNow now)
{
  About a = { ours, NULL };

  masc_cache_each_of(zone->cache, ours->domain, find_about, &a);
  if (a.found != NULL && !answered_lately(zone, ours, rival, stamp, now))
    masc_spread(zone, a.found, MASC_NO_PEER);
}

/* ---- the list -------------------------------------------------------------------------------- */

static MascClash *clash_of(MascZone *zone, MalPrefix prefix, bool lower, MascId domain)
{
  GArray *clashes = zone->owns->clashes;

  for (guint i = 0; i < clashes->len; i++) {
    MascClash *c = &g_array_index(clashes, MascClash, i);
    if (c->lower == lower && c->domain == domain && masc_prefix_equal(c->prefix, prefix))
      return c;
  }
  return NULL;
}

bool masc_clash_withheld(const MascZone *zone, MalPrefix prefix, bool lower)
{
  GArray *clashes = zone->owns->clashes;

  for (guint i = 0; i < clashes->len; i++) {
    const MascClash *c = &g_array_index(clashes, MascClash, i);
    if (c->withheld && c->lower == lower && masc_prefix_meets(c->prefix, prefix))
      return true;
  }
  return false;
}

MascId masc_clash_rival(const MascZone *zone, MalPrefix prefix, bool lower)
{
  GArray *clashes = zone->owns->clashes;

  for (guint i = 0; i < clashes->len; i++) {
    const MascClash *c = &g_array_index(clashes, MascClash, i);
    if (!c->withheld && c->lower == lower && masc_prefix_meets(c->prefix, prefix))
      return c->domain;
  }
  return 0;
}

GArray *masc_clash_spots(const MascZone *zone, bool lower)
{
  GArray *clashes = zone->owns->clashes, *out = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = 0; i < clashes->len; i++) {
    const MascClash *c = &g_array_index(clashes, MascClash, i);
    if (c->withheld && c->lower == lower)
      g_array_append_val(out, c->prefix);
  }
  return out;
}

/* ---- judging --------------------------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  MalPrefix prefix;
  bool lower;
  bool late;     /* 12.3: also who ended by our clock, until we forget that */
  MascNow now;
  GArray *found; /* MascRecord, copies */
} Users;

/* Something of PREFIX is in use by RECORD. What has no Lifetime never is, though its timestamp may
   be ahead of our clock; nor would a WITHDRAW without one settle anything (11.7). */
static bool is_user(const MascZone *zone, const MascRecord *record, MalPrefix prefix, bool lower)
{
  const MascClaim *c = &record->claim;

  return c->role == (lower ? MASC_CHILD : MASC_SIBLING) && c->domain != zone->config.domain &&
         c->type == MASC_PREFIX_IN_USE && c->lifetime > 0 &&
         masc_cache_stands(zone->cache, record, prefix);
}

/* By our clock, too (11.1). */
static bool is_rival(const MascZone *zone, const MascRecord *record, MalPrefix prefix, bool lower,
                     MascNow now)
{
  return masc_claim_free_at(&record->claim) > now.wall && is_user(zone, record, prefix, lower);
}

static bool find_user(MascRecord *record, void *data)
{
  Users *u = data;

  bool uses = u->late ? is_user(u->zone, record, u->prefix, u->lower)
                      : is_rival(u->zone, record, u->prefix, u->lower, u->now);

  if (uses && !masc_is_above(u->zone, record, u->prefix))
    g_array_append_val(u->found, *record);
  return true;
}

static MalPrefix shared(MalPrefix a, MalPrefix b)
{
  return a.length >= b.length ? a : b;
}

/* Exactly as 12.4 wants it: the winner's times and prefix. We may have said the same before, about
   an older claim of ours: where it would not count against HELD, we would lose again and again. */
static void give_way(MascZone *zone, const MascHeld *held, const MascClaim *winner, MascNow now)
{
  MascRecord lost = { .claim = held->claim, .parent = held->parent }, *record;
  MascClaim claim = *winner;
  uint64_t ticket = 0;

  claim.type = MASC_WITHDRAW;
  claim.role = held->claim.role;
  claim.deprecated = false;
  claim.domain = held->claim.domain;
  claim.node = held->claim.node;
  record = masc_originate(zone, &claim, held->parent, false, &ticket, now);
  if (record != NULL && !masc_withdraw_counts(record, &lost)) {
    record->names = false;
    record->clash = true;
    ticket = masc_record_keep(zone, record);
  }
  masc_own_spread_later(zone, &claim, ticket);
}

static void lose(MascZone *zone, const MascHeld *held, const MascRecord *winner, bool lower,
                 MascNow now)
{
  MalPrefix spot = shared(held->prefix, winner->claim.prefix);

  masc_note(zone, MASC_NOTE_CLASH_LOST, spot, winner->claim.domain, 0);
  for (MascPend *p; (p = masc_pend_meeting(zone, spot, lower)) != NULL;)
    masc_pend_cancel(zone, p, now);
  give_way(zone, held, &winner->claim, now);
  masc_own_plan_soon(zone, now);
}

/* True: we gave way. */
static bool judge(MascZone *zone, const MascHeld *held, const MascRecord *rival, bool lower,
                  bool returns, MascNow now)
{
  MalPrefix spot = shared(held->prefix, rival->claim.prefix);
  MascClash *known = clash_of(zone, spot, lower, rival->claim.domain);
  bool manual = zone->config.params->clash == MASC_CLASH_MANUAL;
  bool wins = !returns && masc_claim_compare(&held->claim, &rival->claim) > 0;
  MascClash fresh = { .prefix = spot,
                      .lower = lower,
                      .domain = rival->claim.domain,
                      .withheld = manual && !returns,
                      .won = wins };

  if (known != NULL && (known->keep || (known->withheld && manual)))
    return false;
  if (known == NULL) {
    masc_note(zone, MASC_NOTE_CLASH, spot, rival->claim.domain, 0);
    zone->owns->marks_changed = true;
  }
  if (!wins && !fresh.withheld) {
    lose(zone, held, rival, lower, now);
    return true;
  }
  if (known != NULL) {
    /* Where clash-resolution became automatic meanwhile, and we won. */
    if (known->withheld)
      masc_note(zone, MASC_NOTE_CLASH_WON, spot, rival->claim.domain, 0);
    known->withheld = false;
    known->won = wins;
  } else {
    g_array_append_val(zone->owns->clashes, fresh);
    if (!fresh.withheld)
      masc_note(zone, MASC_NOTE_CLASH_WON, spot, rival->claim.domain, 0);
  }
  masc_clash_defend(zone, &held->claim, rival->claim.domain, rival->claim.timestamp, now);
  return false;
}

bool masc_clash_check(MascZone *zone, const MascHeld *held, bool lower, bool returns, MascNow now)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(MascRecord));
  Users u = { zone, held->prefix, lower, returns, now, found };

  masc_cache_look(zone->cache, held->prefix, find_user, &u);
  for (guint i = 0; i < found->len; i++)
    if (judge(zone, held, &g_array_index(found, MascRecord, i), lower, returns, now))
      return true;
  return false;
}

/* ---- what others send ------------------------------------------------------------------------ */

void masc_clash_rivalled(MascZone *zone, const MascRecord *record, MascNow now)
{
  bool lower = record->claim.role == MASC_CHILD;
  if (masc_own_meeting(zone, record->claim.prefix, lower) == NULL)
    return;
  const MascClaim claim = record->claim;
  const MascRecord rival = *record;
  g_autoptr(GArray) held = g_array_copy(zone->owns->held[lower]);
  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    if (!masc_prefix_meets(h->prefix, claim.prefix) || masc_is_above(zone, &rival, h->prefix) ||
        (claim.type == MASC_PREFIX_IN_USE && !is_rival(zone, &rival, h->prefix, lower, now)))
      continue;
    if (claim.type != MASC_PREFIX_IN_USE)
      masc_clash_defend(zone, &h->claim, claim.domain, claim.timestamp, now);
    else if (judge(zone, h, &rival, lower, false, now))
      masc_own_dirty(zone);
  }
}

void masc_own_rivalled(MascZone *zone, const MascRecord *record, MascNow now)
{
  bool lower = record->claim.role == MASC_CHILD;
  const MascRecord copy = *record;

  if (record->claim.type == MASC_WITHDRAW && zone->owns->clashes->len > 0)
    masc_own_dirty(zone);
  if (!zone->started || !masc_claim_competes(&record->claim) ||
      masc_claim_is_hint(&record->claim) || record->claim.type == MASC_CLAIM_DENIED)
    return;
  /* Where a child claims what our MAASs use as a leaf's, they are announced first (12.2). */
  if (lower && masc_local_leaf(zone, now))
    masc_own_refresh(zone, now);
  masc_own_collide(zone, &copy, lower, now);
  masc_clash_rivalled(zone, &copy, now);
  if (copy.claim.type == MASC_PREFIX_IN_USE && zone->owns->clashes->len > 0)
    masc_own_dirty(zone);
}

/* ---- what is over ---------------------------------------------------------------------------- */

static bool still_clashes(MascZone *zone, const MascClash *clash, MascNow now)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(MascRecord));
  Users u = { zone, clash->prefix, clash->lower, true, now, found };

  if (masc_own_meeting(zone, clash->prefix, clash->lower) == NULL)
    return false;
  masc_cache_overlapping(zone->cache, clash->prefix, find_user, &u);
  for (guint i = 0; i < found->len; i++)
    if (g_array_index(found, MascRecord, i).claim.domain == clash->domain)
      return true;
  return false;
}

void masc_clash_tidy(MascZone *zone, MascNow now)
{
  GArray *clashes = zone->owns->clashes;

  for (guint i = clashes->len; i-- > 0;)
    if (!still_clashes(zone, &g_array_index(clashes, MascClash, i), now)) {
      const MascClash over = g_array_index(clashes, MascClash, i);
      g_array_remove_index(clashes, i);
      zone->owns->marks_changed = true;
      /* Of those that the operator was to decide he only knows that they began. */
      if ((over.withheld || over.keep) && masc_own_meeting(zone, over.prefix, over.lower) != NULL)
        masc_note(zone, MASC_NOTE_CLASH_WON, over.prefix, over.domain, 0);
    }
}

typedef struct {
  const MascZone *zone;
  bool lower;
  GArray *out;
} Lost;

static bool find_given_way(MascRecord *record, void *data)
{
  Lost *l = data;

  if (record->clash && masc_own_is(l->zone, &record->claim, l->lower))
    g_array_append_val(l->out, record->claim.prefix);
  return true;
}

void masc_clash_lost(const MascZone *zone, bool lower, GArray *out)
{
  Lost l = { zone, lower, out };

  masc_cache_each_of(zone->cache, zone->config.domain, find_given_way, &l);
}

typedef struct {
  const MascZone *zone;
  const MascHeld *held;
  bool lower, found;
  GArray *lasting; /* MalPrefix */
} Passing;

/* What counts against a claim is said in masc-cache-withdrawn.c. */
static bool find_passing(MascRecord *record, void *data)
{
  Passing *p = data;
  const MascClaim *withdraw = &record->claim, *ours = &p->held->claim;

  if (withdraw->type != MASC_WITHDRAW || record->names ||
      !masc_own_is(p->zone, withdraw, p->lower) ||
      !masc_prefix_meets(ours->prefix, withdraw->prefix) ||
      (!record->clash && withdraw->timestamp < ours->timestamp))
    return true;
  if (record->clash && masc_prefix_covers(ours->prefix, withdraw->prefix) &&
      !masc_prefix_equal(ours->prefix, withdraw->prefix) &&
      masc_claim_forget_at(withdraw, 0) < p->held->until)
    p->found = true;
  else
    g_array_append_val(p->lasting, withdraw->prefix);
  return true;
}

bool masc_clash_passing(const MascZone *zone, const MascHeld *held, bool lower, GArray *lasting)
{
  Passing p = { zone, held, lower, false, lasting };

  masc_cache_each_of(zone->cache, zone->config.domain, find_passing, &p);
  return p.found;
}

/* The operator says that it is theirs. */
static void yield(MascZone *zone, const MascClash *clash, MascNow now)
{
  g_autoptr(GArray) rivals = g_array_new(FALSE, FALSE, sizeof(MascRecord));
  Users u = { zone, clash->prefix, clash->lower, true, now, rivals };
  const MascHeld *found = masc_own_meeting(zone, clash->prefix, clash->lower);

  if (found == NULL)
    return;
  MascHeld held = *found;
  masc_cache_overlapping(zone->cache, clash->prefix, find_user, &u);
  for (guint i = 0; i < rivals->len; i++) {
    const MascRecord *rival = &g_array_index(rivals, MascRecord, i);
    if (rival->claim.domain == clash->domain && masc_prefix_meets(rival->claim.prefix, held.prefix))
      lose(zone, &held, rival, clash->lower, now);
  }
}

bool masc_zone_resolve(MascZone *zone, MalPrefix prefix, bool keep, MascNow now, GError **error)
{
  GArray *clashes = zone->owns->clashes;
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(MascClash));

  for (guint i = 0; i < clashes->len; i++)
    if (masc_prefix_meets(g_array_index(clashes, MascClash, i).prefix, prefix))
      g_array_append_val(found, g_array_index(clashes, MascClash, i));
  if (found->len == 0) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "there is no clash about it");
    return false;
  }
  for (guint i = 0; i < found->len; i++) {
    const MascClash *c = &g_array_index(found, MascClash, i);
    MascClash *known = clash_of(zone, c->prefix, c->lower, c->domain);
    if (known != NULL) {
      known->keep = keep;
      known->withheld = false;
    }
  }
  zone->owns->marks_changed = true;
  masc_own_dirty(zone);
  if (keep)
    return true;
  for (guint i = 0; i < found->len; i++)
    yield(zone, &g_array_index(found, MascClash, i), now);
  return true;
}
