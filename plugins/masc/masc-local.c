/* What the routes and the MAASs are told of what is ours, and leaf or not (RFC 2909 4.1, 12.2). */
#include "masc-own.h"

/* ---- what they should know ------------------------------------------------------------------- */

static int by_prefix(const void *a, const void *b)
{
  return masc_prefix_compare(&((const MascShown *)a)->prefix, &((const MascShown *)b)->prefix);
}

static void show(GArray *out, MalPrefix prefix, MalTime until, bool deprecated)
{
  MascShown shown = { prefix, until, deprecated };

  for (guint i = 0; i < out->len; i++)
    if (masc_prefix_covers(g_array_index(out, MascShown, i).prefix, prefix))
      return;
  g_array_append_val(out, shown);
}

/* PREFIX without TAKEN, and without what OUT has. */
static void show_rest(GArray *out, const MascHeld *h, MalPrefix prefix, GArray *taken)
{
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = 0; i < out->len; i++)
    g_array_append_val(taken, g_array_index(out, MascShown, i).prefix);
  masc_prefix_minus(prefix, (const MalPrefix *)(void *)taken->data, taken->len, pieces);
  for (guint i = 0; i < pieces->len; i++)
    show(out, g_array_index(pieces, MalPrefix, i), h->until, h->claim.deprecated);
}

/* The routes keep what is withdrawn for a time only (11.7.3): the winner's route is the longer one
   there. */
static GArray *wanted_routes(const MascZone *zone)
{
  GArray *held = zone->owns->held[MASC_UPPER];
  GArray *out = g_array_new(FALSE, TRUE, sizeof(MascShown));

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    g_autoptr(GArray) lasting = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
    if (h->prefix.length > h->claim.prefix.length && masc_clash_passing(zone, h, false, lasting))
      show_rest(out, h, h->claim.prefix, lasting);
  }
  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
    show_rest(out, h, h->prefix, none);
  }
  g_array_sort(out, by_prefix);
  return out;
}

static GArray *wanted_local(const MascZone *zone)
{
  bool lower = !zone->owns->leaf;
  GArray *held = zone->owns->held[lower], *out = g_array_new(FALSE, TRUE, sizeof(MascShown));
  g_autoptr(GArray) spots = masc_clash_spots(zone, lower);
  g_autoptr(GArray) above = lower ? masc_clash_spots(zone, false) : NULL;
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  if (above != NULL)
    g_array_append_vals(spots, above->data, above->len);
  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    g_array_set_size(pieces, 0);
    masc_prefix_minus(h->prefix, (const MalPrefix *)(void *)spots->data, spots->len, pieces);
    for (guint k = 0; k < pieces->len; k++)
      show(out, g_array_index(pieces, MalPrefix, k), h->until, h->claim.deprecated);
  }
  g_array_sort(out, by_prefix);
  return out;
}

/* ---- telling the difference ------------------------------------------------------------------ */

static GArray *prefixes_of(GArray *shown)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = 0; i < shown->len; i++)
    g_array_append_val(out, g_array_index(shown, MascShown, i).prefix);
  return out;
}

static const MascShown *shown_as(GArray *shown, MalPrefix prefix)
{
  for (guint i = 0; i < shown->len; i++)
    if (masc_prefix_equal(g_array_index(shown, MascShown, i).prefix, prefix))
      return &g_array_index(shown, MascShown, i);
  return NULL;
}

static bool same_shown(const MascShown *a, const MascShown *b)
{
  return a != NULL && a->until == b->until && a->deprecated == b->deprecated;
}

/* What ends of a prefix that is told in pieces from now on is said first, then what stays. */
static void tell_local(MascZone *zone, GArray *before, GArray *after)
{
  const MascZoneOps *ops = zone->config.ops;
  g_autoptr(GArray) kept = prefixes_of(after);
  g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(MalPrefix));

  for (guint i = 0; i < before->len; i++)
    masc_prefix_minus(g_array_index(before, MascShown, i).prefix,
                      (const MalPrefix *)(void *)kept->data, kept->len, gone);
  for (guint i = 0; i < gone->len; i++)
    ops->local_ends(zone->config.user, zone, g_array_index(gone, MalPrefix, i));
  for (guint i = 0; i < after->len; i++) {
    const MascShown *s = &g_array_index(after, MascShown, i);
    if (!same_shown(shown_as(before, s->prefix), s))
      ops->local(zone->config.user, zone, s->prefix, s->until, s->deprecated);
  }
}

/* No address is without its route while they change. */
static void tell_routes(MascZone *zone, GArray *before, GArray *after)
{
  const MascZoneOps *ops = zone->config.ops;

  for (guint i = 0; i < after->len; i++) {
    const MascShown *s = &g_array_index(after, MascShown, i);
    if (!same_shown(shown_as(before, s->prefix), s))
      ops->managed(zone->config.user, zone, s->prefix, s->until, s->deprecated);
  }
  for (guint i = 0; i < before->len; i++) {
    const MascShown *s = &g_array_index(before, MascShown, i);
    if (shown_as(after, s->prefix) == NULL)
      ops->unmanaged(zone->config.user, zone, s->prefix);
  }
}

void masc_local_publish(MascZone *zone, MascNow now G_GNUC_UNUSED)
{
  MascOwns *owns = zone->owns;
  g_autoptr(GArray) routes = owns->routes;
  g_autoptr(GArray) shown = owns->shown;

  owns->routes = wanted_routes(zone);
  owns->shown = wanted_local(zone);
  tell_local(zone, shown, owns->shown);
  tell_routes(zone, routes, owns->routes);
}

/* ---- what is used ---------------------------------------------------------------------------- */

#define MASC_SWITCH_PREFIXES 8 /* in a holding, at most, for what was in use of it as a leaf's */

typedef struct {
  GArray *out; /* MalPrefix */
  unsigned longest;
} Cover;

static void cover_span(MalSpan span, MalTime until G_GNUC_UNUSED, void *data)
{
  Cover *c = data;
  MalSpan rest = span;

  for (;;) {
    MalPrefix p = mal_prefix_first_of(rest);
    MalSpan done = mal_span_of_prefix(p);
    if (p.length > c->longest)
      p = masc_prefix_widen(p, c->longest);
    g_array_append_val(c->out, p);
    if (mal_address_compare(done.last, rest.last) >= 0 ||
        !mal_address_add(done.last, 1, &rest.first))
      return;
  }
}

static int prefix_order(const void *a, const void *b)
{
  return masc_prefix_compare(a, b);
}

/* Sorted and disjoint. */
static void tidy_cover(GArray *cover)
{
  guint kept = 0;

  g_array_sort(cover, prefix_order);
  for (guint i = 0; i < cover->len; i++) {
    MalPrefix p = g_array_index(cover, MalPrefix, i);
    if (kept > 0 && masc_prefix_covers(g_array_index(cover, MalPrefix, kept - 1), p))
      continue;
    g_array_index(cover, MalPrefix, kept++) = p;
  }
  g_array_set_size(cover, kept);
}

static MalPrefix common(MalPrefix a, MalPrefix b)
{
  unsigned length = MIN(a.length, b.length);

  while (length > 0 &&
         !masc_prefix_equal(masc_prefix_widen(a, length), masc_prefix_widen(b, length)))
    length--;
  return masc_prefix_widen(a, length);
}

/* Joins what wastes least until few are left. */
static void join_cover(GArray *cover, guint most)
{
  tidy_cover(cover);
  while (cover->len > most) {
    guint best = 0;
    MalPrefix wide = { .length = 0 };
    for (guint i = 0; i + 1 < cover->len; i++) {
      MalPrefix c =
          common(g_array_index(cover, MalPrefix, i), g_array_index(cover, MalPrefix, i + 1));
      if (i == 0 || c.length > wide.length) {
        best = i;
        wide = c;
      }
    }
    g_array_index(cover, MalPrefix, best) = wide;
    tidy_cover(cover);
  }
}

/* Full buddies are one prefix. */
static void merge_buddies(GArray *cover, unsigned shortest)
{
  for (guint i = 0; i + 1 < cover->len;) {
    MalPrefix a = g_array_index(cover, MalPrefix, i), b = g_array_index(cover, MalPrefix, i + 1);
    if (a.length > shortest && a.length == b.length && masc_prefix_equal(masc_prefix_buddy(a), b)) {
      g_array_index(cover, MalPrefix, i) = masc_prefix_widen(a, a.length - 1);
      g_array_remove_index(cover, i + 1);
      i = i > 0 ? i - 1 : 0;
    } else {
      i++;
    }
  }
}

typedef struct {
  MascClaim *claim;
  MascNow now;
} Newer;

static bool make_newer(MascRecord *record, void *data)
{
  Newer *n = data;
  const MascClaim *w = &record->claim;

  if (w->type != MASC_WITHDRAW || w->domain != n->claim->domain || w->role != n->claim->role ||
      w->timestamp < n->claim->timestamp || (MalTime)w->timestamp >= n->now.wall)
    return true;
  n->claim->lifetime -= MIN(n->claim->lifetime, w->timestamp + 1 - n->claim->timestamp);
  n->claim->holdtime = n->claim->lifetime;
  n->claim->timestamp = w->timestamp + 1;
  return true;
}

/* In use at once, and as old as the holding, so that it wins against whatever a child may say; but
   newer than what we gave up there before. False: it was said already, but by our clock it can't be
   newer, so that it doesn't count as yet. */
static bool claim_local(MascZone *zone, const MascHeld *held, MalPrefix prefix, MascNow now)
{
  MascClaim claim = held->claim;
  uint64_t ticket = 0;

  claim.type = MASC_PREFIX_IN_USE;
  claim.role = MASC_CHILD;
  claim.deprecated = false;
  claim.node = zone->config.node;
  claim.prefix = prefix;
  masc_cache_overlapping(zone->cache, claim.prefix, make_newer, &(Newer){ &claim, now });
  if (masc_cache_same(zone->cache, &claim) != NULL)
    return false;
  masc_originate(zone, &claim, zone->config.domain, false, &ticket, now);
  masc_own_spread_later(zone, &claim, ticket);
  return true;
}

static unsigned unit_of(const MascZone *zone, const MascHeld *held)
{
  const MascParams *params = zone->config.params;
  bool v4 = held->prefix.address.family == MAL_IPV4;

  return MAX(v4 ? params->unit4 : params->unit6, held->prefix.length);
}

/* What our MAASs use of HELD stays theirs. */
static void claim_used(MascZone *zone, const MascHeld *held, MascNow now)
{
  g_autoptr(GArray) cover = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  Cover c = { cover, unit_of(zone, held) };

  zone->config.ops->uses(zone->config.user, zone, held->prefix, cover_span, &c);
  join_cover(cover, MASC_SWITCH_PREFIXES);
  merge_buddies(cover, held->prefix.length);
  for (guint i = 0; i < cover->len; i++)
    claim_local(zone, held, g_array_index(cover, MalPrefix, i), now);
}

/* ---- used, though nobody claims it (12.2, 13) ------------------------------------------------ */

static bool meets_any(const GArray *prefixes, MalPrefix prefix)
{
  for (guint i = 0; i < prefixes->len; i++)
    if (masc_prefix_meets(g_array_index(prefixes, MalPrefix, i), prefix))
      return true;
  return false;
}

/* Of COVER, what meets nothing of CLAIMED. */
static void leave_unclaimed(GArray *cover, const GArray *claimed)
{
  for (guint i = cover->len; i-- > 0;)
    if (meets_any(claimed, g_array_index(cover, MalPrefix, i)))
      g_array_remove_index(cover, i);
}

static void add_own_lower(const MascZone *zone, GArray *claimed)
{
  const MascOwns *owns = zone->owns;

  for (guint i = 0; i < owns->held[MASC_LOWER]->len; i++)
    g_array_append_val(claimed, g_array_index(owns->held[MASC_LOWER], MascHeld, i).claim.prefix);
  for (guint i = 0; i < owns->pends->len; i++)
    if (g_array_index(owns->pends, MascPend, i).lower)
      g_array_append_val(claimed, g_array_index(owns->pends, MascPend, i).prefix);
}

void masc_local_adopt(MascZone *zone, MascNow now)
{
  GArray *held = zone->owns->held[MASC_UPPER];
  g_autoptr(GArray) claimed = NULL;

  for (guint i = 0; i < held->len; i++) {
    const MascHeld *h = &g_array_index(held, MascHeld, i);
    g_autoptr(GArray) cover = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
    Cover c = { cover, unit_of(zone, h) };
    zone->config.ops->uses(zone->config.user, zone, h->prefix, cover_span, &c);
    if (cover->len == 0)
      continue;
    if (claimed == NULL) {
      claimed = masc_busy(zone, true, now);
      add_own_lower(zone, claimed);
    }
    tidy_cover(cover);
    leave_unclaimed(cover, claimed);
    merge_buddies(cover, h->prefix.length);
    for (guint k = 0; k < cover->len; k++)
      if (claim_local(zone, h, g_array_index(cover, MalPrefix, k), now))
        masc_own_dirty(zone);
  }
}

/* ---- leaf or not (12.2) ---------------------------------------------------------------------- */

static bool find_lower(MascRecord *record, void *data)
{
  GPtrArray *found = data;

  if (record->claim.role == MASC_CHILD && record->claim.type != MASC_WITHDRAW)
    g_ptr_array_add(found, record);
  return true;
}

/* There is nobody left to whom the lower arena is of any interest. */
static void forget_lower(MascZone *zone)
{
  g_autoptr(GPtrArray) found = g_ptr_array_new();
  GArray *pends = zone->owns->pends;

  for (guint i = pends->len; i-- > 0;)
    if (g_array_index(pends, MascPend, i).lower)
      masc_pend_drop(zone, &g_array_index(pends, MascPend, i));
  masc_cache_each_of(zone->cache, zone->config.domain, find_lower, found);
  for (guint i = 0; i < found->len; i++)
    masc_record_forget(zone, g_ptr_array_index(found, i));
}

bool masc_local_leaf(MascZone *zone, MascNow now)
{
  MascOwns *owns = zone->owns;
  bool leaf = !zone->config.parent && !masc_has_children(zone);

  if (leaf == owns->leaf || !zone->started)
    return false;
  if (leaf)
    forget_lower(zone);
  else
    for (guint i = 0; i < owns->held[MASC_UPPER]->len; i++)
      claim_used(zone, &g_array_index(owns->held[MASC_UPPER], MascHeld, i), now);
  owns->leaf = leaf;
  owns->marks_changed = true;
  masc_note(zone, MASC_NOTE_LEAF, (MalPrefix){ .length = 0 }, zone->config.domain, leaf);
  masc_own_dirty(zone);
  masc_own_plan_soon(zone, now);
  return true;
}
