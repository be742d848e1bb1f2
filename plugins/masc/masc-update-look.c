/* What the cache says about space: whose it is, what can be claimed, what others have of it. */
#include "masc-update.h"

/* Of one prefix, pieces that WITHDRAWs leave. */
#define PIECES_MAX 256
/* Parents have few prefixes; among many, the tree knows better. */
#define FEW 32

void masc_note(MascZone *zone, MascNote note, MalPrefix prefix, MascId domain, uint64_t n)
{
  if (zone->config.ops->note != NULL)
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
  const MascClaim *best;
} Closest;

static bool closer(MascRecord *record, void *data)
{
  Closest *s = data;
  const MascClaim *c = &record->claim;
  if (c->role == MASC_PARENT && c->type == MASC_PREFIX_MANAGED &&
      (s->best == NULL || c->prefix.length > s->best->prefix.length) &&
      mal_span_contains(mal_span_of_prefix(c->prefix), s->span))
    s->best = c;
  return true;
}

/* The closest one that covers it. */
bool masc_parent_of(const MascZone *zone, MalPrefix prefix, MascNow now, MascId *parent)
{
  const GPtrArray *grounds = masc_cache_grounds(zone->cache);
  Closest s = { .span = mal_span_of_prefix(prefix) };
  (void)now;
  if (zone->config.top) {
    *parent = MASC_TLD_ID;
    return mal_span_contains(zone->config.span, s.span);
  }
  if (grounds->len > FEW)
    masc_cache_look(zone->cache, prefix, closer, &s);
  for (guint i = 0; grounds->len <= FEW && i < grounds->len; i++)
    closer(g_ptr_array_index(grounds, i), &s);
  if (s.best == NULL)
    return false;
  *parent = s.best->domain;
  return true;
}

/* ---- what can be claimed from ---------------------------------------------------------------- */

typedef struct {
  const MascZone *zone;
  MascNow now;
  bool lower;
  GArray *out;
} Gather;

static MalPrefix everything(const MascZone *zone)
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

static void add_ground(const MascZone *zone, const MascRecord *record, GArray *out)
{
  MalPrefix pieces[PIECES_MAX];
  size_t n = pieces_of(zone, record, pieces);
  for (size_t i = 0; i < n; i++) {
    MascGround ground = { pieces[i], masc_claim_free_at(&record->claim),
                          record->claim.deprecated };
    g_array_append_val(out, ground);
  }
}

static void add_span(GArray *grounds, MalSpan span)
{
  for (;;) {
    MascGround ground = { mal_prefix_first_of(span), MAL_FOREVER, false };
    MalAddress last = mal_span_of_prefix(ground.prefix).last;
    g_array_append_val(grounds, ground);
    if (mal_address_compare(last, span.last) >= 0 || !mal_address_add(last, 1, &span.first))
      return;
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
    add_span(out, zone->config.span);
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

static bool add_busy(MascRecord *record, void *data)
{
  const Gather *g = data;
  MalPrefix pieces[PIECES_MAX];
  if (!is_busy(g->zone, &record->claim, g->lower))
    return true;
  if (record->claim.type == MASC_PREFIX_IN_USE) {
    size_t n = pieces_of(g->zone, record, pieces);
    if (n < PIECES_MAX) {
      g_array_append_vals(g->out, pieces, (guint)n);
      return true;
    }
  }
  g_array_append_val(g->out, record->claim.prefix);
  return true;
}

GArray *masc_busy(const MascZone *zone, bool lower, MascNow now)
{
  Gather g = { zone, now, lower, g_array_new(FALSE, FALSE, sizeof(MalPrefix)) };
  masc_cache_look(zone->cache, everything(zone), add_busy, &g);
  g_array_sort(g.out, by_address);
  return g.out;
}

/* ---- what children ask for ------------------------------------------------------------------- */

static bool add_hint(MascRecord *record, void *data)
{
  uint64_t *sum = data;
  const MascClaim *c = &record->claim;
  if (c->role != MASC_CHILD || c->type != MASC_NEW_CLAIM || !masc_claim_is_hint(c))
    return true;
  MalU128 size = mal_span_size(mal_span_of_prefix(c->prefix));
  uint64_t most = (uint64_t)MIN(size, (MalU128)UINT64_MAX);
  *sum = *sum > UINT64_MAX - most ? UINT64_MAX : *sum + most;
  return true;
}

uint64_t masc_hints(const MascZone *zone, MascNow now)
{
  uint64_t sum = 0;
  (void)now;
  if (masc_has_children(zone))
    masc_cache_each(zone->cache, add_hint, &sum);
  return sum;
}
