/* What is ours: derived from the claims of our own domain in the cache, split, given back. */
#include "masc-own.h"

#define MASC_PIECES_MAX 256

/* ---- deriving -------------------------------------------------------------------------------- */

bool masc_own_is(const MascZone *zone, const MascClaim *claim, bool lower)
{
  return claim->domain == zone->config.domain &&
         claim->role == (lower ? MASC_CHILD : MASC_INTERNAL) && !masc_claim_is_hint(claim);
}

bool masc_own_in_use(const MascZone *zone, const MascClaim *claim, bool lower, MascNow now)
{
  return masc_own_is(zone, claim, lower) &&
         (claim->type == MASC_PREFIX_IN_USE || claim->type == MASC_PREFIX_MANAGED) &&
         masc_claim_free_at(claim) > now.wall;
}

void masc_prefix_minus(MalPrefix prefix, const MalPrefix *taken, size_t n, GArray *out)
{
  bool meets = false;

  for (size_t i = 0; i < n; i++) {
    if (masc_prefix_covers(taken[i], prefix))
      return;
    meets = meets || masc_prefix_meets(taken[i], prefix);
  }
  if (!meets) {
    g_array_append_val(out, prefix);
    return;
  }
  masc_prefix_minus(masc_prefix_part(prefix, prefix.length + 1, 0), taken, n, out);
  masc_prefix_minus(masc_prefix_part(prefix, prefix.length + 1, 1), taken, n, out);
}

typedef struct {
  const MascZone *zone;
  bool lower;
  MascNow now;
  GPtrArray *records;
} Gather;

static bool gather(MascRecord *record, void *data)
{
  Gather *g = data;

  if (masc_own_in_use(g->zone, &record->claim, g->lower, g->now))
    g_ptr_array_add(g->records, record);
  return true;
}

/* The newest first; of equally old ones the longest prefix, then the one that came last. */
static int by_weight(const void *a, const void *b)
{
  const MascRecord *x = *(MascRecord *const *)a, *y = *(MascRecord *const *)b;

  if (x->claim.timestamp != y->claim.timestamp)
    return x->claim.timestamp > y->claim.timestamp ? -1 : 1;
  if (x->claim.prefix.length != y->claim.prefix.length)
    return x->claim.prefix.length > y->claim.prefix.length ? -1 : 1;
  return (x->serial < y->serial) - (x->serial > y->serial);
}

static int by_address(const void *a, const void *b)
{
  return masc_prefix_compare(&((const MascHeld *)a)->prefix, &((const MascHeld *)b)->prefix);
}

/* What of PIECE lies in what is held above, with the earlier end. */
static void clip(const MascZone *zone, const MascHeld *piece, GArray *out)
{
  GArray *above = zone->owns->held[MASC_UPPER];

  for (guint i = 0; i < above->len; i++) {
    const MascHeld *ground = &g_array_index(above, MascHeld, i);
    MascHeld cut = *piece;

    if (!masc_prefix_meets(ground->prefix, piece->prefix))
      continue;
    if (masc_prefix_covers(piece->prefix, ground->prefix))
      cut.prefix = ground->prefix;
    cut.until = MIN(cut.until, ground->until);
    g_array_append_val(out, cut);
  }
}

static void derive_record(const MascZone *zone, const MascRecord *record, bool lower,
                          GArray *covered, GArray *out)
{
  MalPrefix left[MASC_PIECES_MAX];
  size_t n = masc_cache_remains(zone->cache, record, left, G_N_ELEMENTS(left));
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (size_t i = 0; i < n; i++)
    masc_prefix_minus(left[i], (const MalPrefix *)(void *)covered->data, covered->len, pieces);
  for (guint i = 0; i < pieces->len; i++) {
    MascHeld held = { .prefix = g_array_index(pieces, MalPrefix, i),
                      .claim = record->claim,
                      .parent = record->parent,
                      .until = masc_claim_free_at(&record->claim) };

    held.claim.type = MASC_PREFIX_IN_USE;
    g_array_append_val(covered, held.prefix);
    if (lower)
      clip(zone, &held, out);
    else
      g_array_append_val(out, held);
  }
}

GArray *masc_own_derive(const MascZone *zone, bool lower, MascNow now)
{
  GArray *out = g_array_new(FALSE, TRUE, sizeof(MascHeld));
  g_autoptr(GPtrArray) records = g_ptr_array_new();
  g_autoptr(GArray) covered = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  Gather g = { zone, lower, now, records };

  if (lower && zone->owns->leaf)
    return out;
  masc_cache_each_of(zone->cache, zone->config.domain, gather, &g);
  g_ptr_array_sort(records, by_weight);
  for (guint i = 0; i < records->len; i++)
    derive_record(zone, g_ptr_array_index(records, i), lower, covered, out);
  g_array_sort(out, by_address);
  return out;
}

/* ---- finding --------------------------------------------------------------------------------- */

static const MascHeld *find(const MascZone *zone, MalPrefix prefix, bool lower,
                            bool (*fits)(MalPrefix held, MalPrefix prefix))
{
  GArray *held = zone->owns->held[lower];

  for (guint i = 0; i < held->len; i++)
    if (fits(g_array_index(held, MascHeld, i).prefix, prefix))
      return &g_array_index(held, MascHeld, i);
  return NULL;
}

const MascHeld *masc_own_find(const MascZone *zone, MalPrefix prefix, bool lower)
{
  return find(zone, prefix, lower, masc_prefix_equal);
}

const MascHeld *masc_own_covering(const MascZone *zone, MalPrefix prefix, bool lower)
{
  return find(zone, prefix, lower, masc_prefix_covers);
}

const MascHeld *masc_own_meeting(const MascZone *zone, MalPrefix prefix, bool lower)
{
  return find(zone, prefix, lower, masc_prefix_meets);
}

bool masc_own_overlaps(const MascZone *zone, MalPrefix prefix)
{
  return masc_own_meeting(zone, prefix, false) != NULL;
}

bool masc_own_covers(const MascZone *zone, MalPrefix prefix, MalTime *until, bool *deprecated)
{
  GArray *held = zone->owns->held[MASC_UPPER];
  g_autoptr(GArray) left = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  MalTime end = MAL_FOREVER;
  bool old = false;

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    if (!masc_prefix_meets(h->prefix, prefix))
      continue;
    g_array_append_val(all, h->prefix);
    end = MIN(end, h->until);
    old = old || h->claim.deprecated;
  }
  masc_prefix_minus(prefix, (const MalPrefix *)(void *)all->data, all->len, left);
  if (left->len > 0)
    return false;
  if (until != NULL)
    *until = end;
  if (deprecated != NULL)
    *deprecated = old;
  return true;
}

GArray *masc_own_held(const MascZone *zone, bool lower)
{
  GArray *held = zone->owns->held[lower], *out = g_array_new(FALSE, TRUE, sizeof(MascGround));

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    MascGround ground = { h->prefix, h->until, h->claim.deprecated };
    if (!masc_clash_withheld(zone, h->prefix, lower))
      g_array_append_val(out, ground);
  }
  return out;
}

/* ---- marks ----------------------------------------------------------------------------------- */

MascMark *masc_own_mark(MascZone *zone, MalPrefix prefix, bool lower, MascNow now)
{
  MascOwns *owns = zone->owns;
  MascMark mark = { .prefix = prefix, .lower = lower, .since = now.wall };

  for (guint i = 0; i < owns->marks->len; i++) {
    MascMark *m = &g_array_index(owns->marks, MascMark, i);
    if (m->lower == lower && masc_prefix_equal(m->prefix, prefix))
      return m;
  }
  for (guint i = 0; i < owns->marks->len; i++) {
    const MascMark *m = &g_array_index(owns->marks, MascMark, i);
    if (m->lower == lower && masc_prefix_meets(m->prefix, prefix)) {
      mark.since = MIN(mark.since, m->since);
      mark.hand = mark.hand || m->hand;
    }
  }
  g_array_append_val(owns->marks, mark);
  owns->marks_changed = true;
  return &g_array_index(owns->marks, MascMark, owns->marks->len - 1);
}

static void update_marks(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;

  for (int lower = 0; lower < 2; lower++)
    for (guint i = 0; i < owns->held[lower]->len; i++)
      masc_own_mark(zone, g_array_index(owns->held[lower], MascHeld, i).prefix, lower, now);
  for (guint i = owns->marks->len; i-- > 0;) {
    const MascMark *m = &g_array_index(owns->marks, MascMark, i);
    if (masc_own_find(zone, m->prefix, m->lower) != NULL)
      continue;
    g_array_remove_index(owns->marks, i);
    owns->marks_changed = true;
  }
  if (owns->marks_changed)
    masc_marks_keep(zone, now);
}

/* ---- refreshing ------------------------------------------------------------------------------ */

static bool was_held(GArray *before, MalPrefix prefix)
{
  g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  g_autoptr(GArray) left = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = 0; i < before->len; i++)
    g_array_append_val(all, g_array_index(before, MascHeld, i).prefix);
  masc_prefix_minus(prefix, (const MalPrefix *)(void *)all->data, all->len, left);
  return left->len == 0;
}

typedef struct {
  const MascZone *zone;
  bool lower;
  const MascHeld *held;
  uint64_t serial;
} Serial;

static bool find_serial(MascRecord *record, void *data)
{
  Serial *s = data;

  if (masc_own_is(s->zone, &record->claim, s->lower) &&
      masc_claim_about(&record->claim, &s->held->claim) &&
      (record->claim.type == MASC_PREFIX_IN_USE || record->claim.type == MASC_PREFIX_MANAGED))
    s->serial = record->serial;
  return true;
}

static uint64_t serial_of(const MascZone *zone, const MascHeld *held, bool lower)
{
  Serial s = { zone, lower, held, 0 };

  masc_cache_each_of(zone->cache, zone->config.domain, find_serial, &s);
  return s.serial;
}

/* What ended by itself, for the operator. */
static void tell_ended(MascZone *zone, GArray *before, bool lower, MascNow now)
{
  for (guint i = 0; i < before->len; i++) {
    const MascHeld *h = &g_array_index(before, MascHeld, i);
    if (h->until <= now.wall && masc_own_meeting(zone, h->prefix, lower) == NULL)
      masc_note(zone, MASC_NOTE_ENDED, h->prefix, zone->config.domain, 0);
  }
}

/* One derivation, with what clashes there; true where that withdrew something. */
static bool refresh_once(MascZone *zone, bool lower, uint64_t *newest, MascNow now)
{
  MascOwns *owns = zone->owns;
  g_autoptr(GArray) before = owns->held[lower];
  bool again = false;

  owns->held[lower] = masc_own_derive(zone, lower, now);
  tell_ended(zone, before, lower, now);
  g_autoptr(GArray) held = g_array_copy(owns->held[lower]);
  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    uint64_t serial = serial_of(zone, h, lower);
    bool returns = serial <= owns->seen && !was_held(before, h->prefix);

    *newest = MAX(*newest, serial);
    again = (!lower && masc_own_cut_lost(zone, h, now)) || again;
    again = masc_clash_check(zone, h, lower, returns, now) || again;
  }
  return again;
}

typedef struct {
  const MascZone *zone;
  MascNow now;
  MalTime end;
} Ends;

/* What we withdrew may come back when the WITHDRAW is forgotten (12.4). */
static bool find_end(MascRecord *record, void *data)
{
  Ends *e = data;

  if (record->claim.type == MASC_WITHDRAW && record->forget_at >= e->now.wall)
    e->end = MIN(e->end, record->forget_at);
  return true;
}

static MalTime next_end(const MascZone *zone, MascNow now)
{
  Ends e = { zone, now, MAL_FOREVER };

  for (int lower = 0; lower < 2; lower++)
    for (guint i = 0; i < zone->owns->held[lower]->len; i++)
      e.end = MIN(e.end, g_array_index(zone->owns->held[lower], MascHeld, i).until);
  masc_cache_each_of(zone->cache, zone->config.domain, find_end, &e);
  return e.end;
}

/* The wall clock comes in whole seconds: so its last one is looked at more often. */
static int64_t until_end(MalTime end, MascNow now)
{
  if (end == MAL_FOREVER)
    return MASC_NEVER;
  if (end - now.wall > 1)
    return masc_own_mono(now, end - 1);
  return now.mono + MASC_SECOND / 10;
}

void masc_own_refresh(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  uint64_t newest = owns->seen;

  for (unsigned round = 0; round < 8; round++) {
    owns->dirty = false;
    bool again = refresh_once(zone, false, &newest, now);
    again = refresh_once(zone, true, &newest, now) || again;
    if (!again)
      break;
  }
  owns->seen = newest;
  masc_clash_tidy(zone, now);
  update_marks(zone, now);
  masc_local_publish(zone, now);
  owns->end_at = until_end(next_end(zone, now), now);
  if (owns->clashes->len > 0)
    owns->end_at = MIN(owns->end_at, masc_own_after(now, masc_own_settle(zone)));
  owns->renew_at = MIN(owns->renew_at, now.mono);
}

/* ---- splitting, giving back ------------------------------------------------------------------ */

/* A second newer, so that others don't take it for a part of what they know already. */
static MascClaim in_use_of(const MascZone *zone, const MascHeld *held, MalPrefix prefix)
{
  MascClaim claim = held->claim;

  claim.node = zone->config.node;
  claim.prefix = prefix;
  if (claim.lifetime > 0 && claim.timestamp < UINT32_MAX) {
    claim.timestamp++;
    claim.lifetime--;
    claim.holdtime = claim.lifetime;
  }
  return claim;
}

static void announce(MascZone *zone, const MascHeld *held, const MascClaim *claim, MascNow now)
{
  uint64_t ticket = 0;

  masc_originate(zone, claim, held->parent, true, &ticket, now);
  masc_own_dirty(zone);
}

void masc_own_split(MascZone *zone, const MascHeld *held, MalPrefix part, MascNow now)
{
  MascHeld whole = *held;

  for (unsigned length = part.length; length > whole.prefix.length; length--) {
    MalPrefix rest = masc_prefix_buddy(masc_prefix_widen(part, length));
    MascClaim claim = in_use_of(zone, &whole, rest);
    announce(zone, &whole, &claim, now);
  }
}

typedef struct {
  const MascZone *zone;
  MalPrefix prefix;
  bool lower;
  const MascClaim *newest;
  MascNow now;
} Newest;

static bool find_newest(MascRecord *record, void *data)
{
  Newest *n = data;
  const MascClaim *c = &record->claim;

  if (!masc_own_is(n->zone, c, n->lower) || !masc_prefix_equal(c->prefix, n->prefix) ||
      c->type == MASC_WITHDRAW || c->type == MASC_CLAIM_DENIED)
    return true;
  if (n->newest == NULL || c->timestamp > n->newest->timestamp)
    n->newest = c;
  return true;
}

void masc_own_withdraw(MascZone *zone, const MascHeld *held, MalPrefix prefix, MalTime last,
                       MascNow now)
{
  MascClaim claim = held->claim;
  Newest n = { zone, prefix, claim.role == MASC_CHILD, NULL, now };
  MascId parent = held->parent;
  uint64_t ticket = 0;

  /* A renewal that is on its way goes along. */
  masc_cache_each_of(zone->cache, zone->config.domain, find_newest, &n);
  if (n.newest != NULL)
    claim.timestamp = MAX(claim.timestamp, n.newest->timestamp);
  claim.type = MASC_WITHDRAW;
  claim.prefix = prefix;
  claim.deprecated = false;
  /* Free at once: so it can't be taken for one that settles a clash, which has the winner's. */
  claim.lifetime = 0;
  claim.holdtime = masc_seconds_to_wire(last - (MalTime)claim.timestamp);
  masc_originate(zone, &claim, parent, false, &ticket, now);
  masc_own_spread_later(zone, &claim, ticket);
  masc_own_dirty(zone);
}

static void note_use(MalSpan span G_GNUC_UNUSED, MalTime until G_GNUC_UNUSED, void *data)
{
  *(bool *)data = true;
}

bool masc_own_used(const MascZone *zone, MalPrefix prefix, bool lower)
{
  bool any = false;
  MalSpan span = mal_span_of_prefix(prefix);

  if (lower || zone->owns->leaf) {
    zone->config.ops->uses(zone->config.user, (MascZone *)zone, prefix, note_use, &any);
    return any;
  }
  g_autoptr(GArray) uses = masc_own_children_uses(zone, (MascNow){ 0, MAL_BEGINNING });
  for (guint i = 0; i < uses->len; i++)
    if (mal_span_overlaps(g_array_index(uses, MascUse, i).span, span))
      return true;
  return false;
}

bool masc_own_give(MascZone *zone, MalPrefix prefix, bool lower, MascNow now)
{
  const MascHeld *held = masc_own_covering(zone, prefix, lower);

  if (held == NULL || masc_own_used(zone, prefix, lower))
    return false;
  MascHeld whole = *held;
  if (!masc_prefix_equal(whole.prefix, prefix))
    masc_own_split(zone, &whole, prefix, now);
  masc_own_withdraw(zone, &whole, prefix, whole.until, now);
  for (MascPend *p; (p = masc_pend_meeting(zone, prefix, lower)) != NULL;)
    masc_pend_cancel(zone, p, now);
  masc_note(zone, MASC_NOTE_GIVEN_BACK, prefix, zone->config.domain, 0);
  return true;
}

/* One that is on its way would be newer than the D-bit, and undo it. */
static void cancel_renewals(MascZone *zone, MalPrefix prefix, bool lower, MascNow now)
{
  GArray *pends = zone->owns->pends;

  for (guint i = pends->len; i-- > 0;) {
    MascPend *p = &g_array_index(pends, MascPend, i);
    if (p->lower == lower && p->renews && p->state != MASC_PEND_KEPT &&
        masc_prefix_meets(p->prefix, prefix))
      masc_pend_cancel(zone, p, now);
  }
}

/* The D-bit (4.3). What stays active gets a claim of its own first, since the bit is of the whole
   PREFIX_IN_USE that the part is of. */
bool masc_own_drain(MascZone *zone, MalPrefix prefix, bool lower, bool on, MascNow now)
{
  const MascHeld *found = masc_own_covering(zone, prefix, lower);

  if (found == NULL || found->claim.deprecated == on)
    return false;
  MascHeld held = *found;
  g_autoptr(GArray) all = g_array_copy(zone->owns->held[lower]);
  if (!on) {
    MascClaim claim = in_use_of(zone, &held, prefix);
    claim.deprecated = false;
    announce(zone, &held, &claim, now);
    return true;
  }
  cancel_renewals(zone, prefix, lower, now);
  masc_own_split(zone, &held, prefix, now);
  for (guint i = 0; i < all->len; i++) {
    const MascHeld *other = &g_array_index(all, MascHeld, i);
    MascClaim claim = in_use_of(zone, other, other->prefix);
    if (!masc_prefix_equal(other->prefix, held.prefix) &&
        masc_claim_about(&other->claim, &held.claim))
      announce(zone, other, &claim, now);
  }
  MascClaim claim = held.claim;
  claim.deprecated = true;
  announce(zone, &held, &claim, now);
  return true;
}
