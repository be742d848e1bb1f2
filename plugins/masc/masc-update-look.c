/* What the cache says about space: whose it is, what can be claimed, what others have of it. */
#include "masc-refused.h"
#include "masc-update.h"

/* Of one prefix, pieces that WITHDRAWs leave. */
#define PIECES_MAX 256
/* Parents have few prefixes; among many, the tree knows better. */
#define FEW 32

void masc_note(MascZone *zone, MascNote note, MalPrefix prefix, MascId domain, uint64_t n)
{
  zone->config.ops->note(zone->config.user, zone, note, prefix, domain, n);
}

bool masc_has_children(const MascZone *zone)
{
  return zone->config.parent || masc_cache_children(zone->cache) > 0;
}

bool masc_parent_in_touch(const MascZone *zone, MascId parent)
{
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    if (peer->role == MASC_CHILD && peer->up && (parent == 0 || peer->domain == parent))
      return true;
  }
  return zone->config.top;
}

typedef struct {
  MalSpan span;
  MascId only, except;        /* whose it must be, and must not be; 0: anybody's */
  const MascCache *standing;  /* something of PREFIX in it must not be withdrawn; NULL: may be */
  MalPrefix prefix;
  const MascClaim *best;
} Closest;

static bool closer(MascRecord *record, void *data)
{
  Closest *s = data;
  const MascClaim *c = &record->claim;
  if (c->role == MASC_PARENT && c->type == MASC_PREFIX_MANAGED && c->domain != s->except &&
      (s->only == 0 || c->domain == s->only) &&
      (s->best == NULL || c->prefix.length > s->best->prefix.length) &&
      mal_span_contains(mal_span_of_prefix(c->prefix), s->span) &&
      (s->standing == NULL || masc_cache_stands(s->standing, record, s->prefix)))
    s->best = c;
  return true;
}

static const MascClaim *find_closest(const MascZone *zone, Closest *s)
{
  const GPtrArray *grounds = masc_cache_grounds(zone->cache);
  s->span = mal_span_of_prefix(s->prefix);
  if (grounds->len > FEW)
    masc_cache_look(zone->cache, s->prefix, closer, s);
  for (guint i = 0; grounds->len <= FEW && i < grounds->len; i++)
    closer(g_ptr_array_index(grounds, i), s);
  return s->best;
}

/* The closest one that covers it. */
static const MascClaim *closest(const MascZone *zone, MalPrefix prefix, MascId only, MascId except)
{
  Closest s = { .prefix = prefix, .only = only, .except = except };
  return find_closest(zone, &s);
}

static bool found(const MascZone *zone, MalPrefix prefix, const MascClaim *best, MascId *parent)
{
  if (zone->config.top) {
    *parent = MASC_TLD_ID;
    return mal_span_contains(zone->config.span, mal_span_of_prefix(prefix));
  }
  if (best == NULL)
    return false;
  *parent = best->domain;
  return true;
}

bool masc_parent_of(const MascZone *zone, MalPrefix prefix, MascNow now, MascId *parent)
{
  (void)now;
  return found(zone, prefix, closest(zone, prefix, 0, 0), parent);
}

/* A parent may be another parent's child, and its own (12.2): so its prefix, as a claim, is in the
   other one's space, unless it tells it itself. */
bool masc_parent_for(const MascZone *zone, const MascClaim *claim, MascId teller, MascId *parent)
{
  const MascClaim *best = teller != 0 ? closest(zone, claim->prefix, teller, 0) : NULL, *outer;
  if (best == NULL)
    best = closest(zone, claim->prefix, 0, 0);
  if (teller == 0 && best != NULL && best->domain == claim->domain &&
      best->prefix.length == claim->prefix.length &&
      (outer = closest(zone, claim->prefix, 0, claim->domain)) != NULL)
    best = outer;
  return found(zone, claim->prefix, best, parent);
}

MascId masc_parent_now(const MascZone *zone, MalPrefix prefix, MascId parent)
{
  Closest still = { .prefix = prefix, .only = parent, .standing = zone->cache };
  Closest other = { .prefix = prefix, .standing = zone->cache };
  if (masc_cache_withdraws(zone->cache, parent) == 0 || find_closest(zone, &still) != NULL)
    return parent;
  return find_closest(zone, &other) != NULL ? other.best->domain : parent;
}

bool masc_parent_to_ask(const MascZone *zone, MalPrefix prefix, MascNow now, MascId *parent)
{
  if (!masc_parent_of(zone, prefix, now, parent))
    return false;
  if (!zone->config.top)
    *parent = masc_parent_now(zone, prefix, *parent);
  return true;
}

static bool contains(MalPrefix outer, MalPrefix inner)
{
  return mal_span_contains(mal_span_of_prefix(outer), mal_span_of_prefix(inner));
}

typedef struct {
  const MascZone *zone;
  MalPrefix prefix;
  MascId parent;
  bool found;
} From;

static bool is_from(MascRecord *record, void *data)
{
  From *f = data;
  const MascClaim *c = &record->claim;
  f->found = c->domain == f->zone->config.domain && c->role == MASC_INTERNAL &&
             c->type == MASC_PREFIX_IN_USE && record->parent == f->parent &&
             contains(c->prefix, f->prefix);
  return !f->found;
}

/* Do we have PREFIX of that parent domain, be it one that we left (12.5)? */
static bool have_from(const MascZone *zone, MalPrefix prefix, MascId parent)
{
  From f = { zone, prefix, parent, false };
  masc_cache_look(zone->cache, prefix, is_from, &f);
  return f.found;
}

bool masc_is_above(const MascZone *zone, const MascRecord *record, MalPrefix prefix)
{
  const MascClaim *c = &record->claim, *best;
  if (zone->config.top || c->role != MASC_SIBLING || !contains(c->prefix, prefix) ||
      record->parent == c->domain) /* what a parent uses itself is above nobody */
    return false;
  if (have_from(zone, prefix, c->domain))
    return true;
  best = closest(zone, prefix, 0, 0);
  return best != NULL && best->domain != record->parent && contains(c->prefix, best->prefix);
}

/* ---- what can be claimed from ---------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  MascNow now;
  bool lower;
  GArray *out;
} Gather;

MalPrefix masc_everything(const MascZone *zone)
{
  MalFamily family = zone->config.span.first.family;
  return (MalPrefix){ mal_address_make(family, 0), 0 };
}

/* What WITHDRAWs leave of it. */
static size_t pieces_of(const MascZone *zone, const MascRecord *record, MalPrefix *pieces)
{
  if (!masc_record_untouched(record))
    return masc_cache_remains(zone->cache, record, pieces, PIECES_MAX);
  pieces[0] = record->claim.prefix;
  return 1;
}

/* ROUGH without what parents other than PARENT manage there in prefixes of LEAST and longer: that
   is claimed from them. Prefixes to OUT. */
static void without_grounds(const MascZone *zone, MalPrefix rough, MascId parent, unsigned least,
                            GArray *out)
{
  const GPtrArray *grounds = masc_cache_grounds(zone->cache);
  bool within = false;
  for (guint i = 0; i < grounds->len; i++) {
    const MascClaim *g = &((const MascRecord *)g_ptr_array_index(grounds, i))->claim;
    if (g->domain == parent || g->prefix.length < least)
      continue;
    if (contains(g->prefix, rough))
      return;
    within = within || contains(rough, g->prefix);
  }
  if (!within) {
    g_array_append_val(out, rough);
    return;
  }
  MalPrefix half = { rough.address, rough.length + 1 };
  without_grounds(zone, half, parent, least, out);
  half.address.value = mal_span_of_prefix(half).last.value + 1;
  without_grounds(zone, half, parent, least, out);
}

static void add_span(GArray *grounds, MalSpan span, MalTime until, bool deprecated)
{
  for (;;) {
    MascGround ground = { mal_prefix_first_of(span), until, deprecated };
    MalAddress last = mal_span_of_prefix(ground.prefix).last;
    g_array_append_val(grounds, ground);
    if (mal_address_compare(last, span.last) >= 0)
      return;
    span.first.value = last.value + 1;
  }
}

/* As far as it lies in the scope: a parent may have more. */
static void add_ground(const MascZone *zone, const MascRecord *record, GArray *out)
{
  MalPrefix pieces[PIECES_MAX];
  size_t n = pieces_of(zone, record, pieces);
  g_autoptr(GArray) closest_in = g_array_new(FALSE, FALSE, sizeof(MalPrefix));
  for (size_t i = 0; i < n; i++)
    without_grounds(zone, pieces[i], record->claim.domain, record->claim.prefix.length + 1,
                    closest_in);
  for (guint i = 0; i < closest_in->len; i++) {
    MalSpan piece = mal_span_of_prefix(g_array_index(closest_in, MalPrefix, i)), inside;
    if (mal_span_intersect(piece, zone->config.span, &inside))
      add_span(out, inside, masc_claim_free_at(&record->claim), record->claim.deprecated);
  }
}

static int by_address(const void *a, const void *b)
{
  const MalPrefix *x = a, *y = b;
  int order = mal_address_compare(x->address, y->address);
  return order != 0 ? order : (int)x->length - (int)y->length;
}

static int by_ground(const void *a, const void *b)
{
  return by_address(&((const MascGround *)a)->prefix, &((const MascGround *)b)->prefix);
}

GArray *masc_grounds(const MascZone *zone, bool lower, MascNow now)
{
  if (lower)
    return masc_own_held(zone, false);
  const GPtrArray *grounds = masc_cache_grounds(zone->cache);
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MascGround));
  if (zone->config.top)
    add_span(out, zone->config.span, MAL_FOREVER, false);
  for (guint i = 0; i < grounds->len; i++) {
    const MascRecord *record = g_ptr_array_index(grounds, i);
    if (masc_claim_free_at(&record->claim) > now.wall)
      add_ground(zone, record, out);
  }
  g_array_sort(out, by_ground);
  return out;
}

/* ---- what others have ------------------------------------------------------------------------ */

/* Of ours, only what a parent refused whatever its lifetime. */
static bool is_busy(const MascZone *zone, const MascClaim *c, bool lower)
{
  if (c->domain == zone->config.domain)
    return !lower && c->type == MASC_CLAIM_DENIED && c->role == MASC_PARENT && c->lifetime == 0;
  return c->role == (lower ? MASC_CHILD : MASC_SIBLING) && masc_claim_competes(c);
}

/* Of what a parent has of another parent, itself, more can be claimed. */
static void add_taken(const Gather *g, const MascRecord *record, MalPrefix prefix)
{
  if (g->lower || record->claim.role != MASC_SIBLING)
    g_array_append_val(g->out, prefix);
  else
    without_grounds(g->zone, prefix, record->parent, record->claim.prefix.length, g->out);
}

static bool add_busy(MascRecord *record, void *data)
{
  const Gather *g = data;
  MalPrefix pieces[PIECES_MAX];
  if (!is_busy(g->zone, &record->claim, g->lower))
    return true;
  if (record->claim.type == MASC_PREFIX_IN_USE) {
    size_t n = pieces_of(g->zone, record, pieces);
    if (n < PIECES_MAX) {
      for (size_t i = 0; i < n; i++)
        add_taken(g, record, pieces[i]);
      return true;
    }
  }
  add_taken(g, record, record->claim.prefix);
  return true;
}

GArray *masc_busy(const MascZone *zone, bool lower, MascNow now)
{
  Gather g = { zone, now, lower, g_array_new(FALSE, FALSE, sizeof(MalPrefix)) };
  masc_cache_look(zone->cache, masc_everything(zone), add_busy, &g);
  masc_refused_gather(zone->refused, lower, now, g.out);
  g_array_sort(g.out, by_address);
  return g.out;
}

/* ---- what children ask for ------------------------------------------------------------------- */

typedef struct {
  MalTime now;
  uint64_t sum;
} Hints;

static bool add_hint(MascRecord *record, void *data)
{
  Hints *hints = data;
  const MascClaim *c = &record->claim;
  if (c->role != MASC_CHILD || c->type != MASC_NEW_CLAIM || !masc_claim_is_hint(c) ||
      masc_claim_forget_at(c, 0) <= hints->now)
    return true;
  MalU128 size = mal_span_size(mal_span_of_prefix(c->prefix));
  uint64_t most = (uint64_t)MIN(size, (MalU128)UINT64_MAX);
  hints->sum = hints->sum > UINT64_MAX - most ? UINT64_MAX : hints->sum + most;
  return true;
}

uint64_t masc_hints(const MascZone *zone, MascNow now)
{
  Hints hints = { now.wall, 0 };
  if (masc_cache_hints(zone->cache) > 0 && masc_has_children(zone))
    masc_cache_each(zone->cache, add_hint, &hints);
  return hints.sum;
}
