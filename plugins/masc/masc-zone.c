/* The zone: its parts, its life, its deadlines. */
#include "masc-flood.h"
#include "masc-holes.h"
#include "masc-refused.h"
#include "masc-update.h"

/* Records are forgotten so much late at most, in parts of the extra holding time, and never more
   than that many seconds: many at once, and few deadlines. */
#define LATE_PART 16
#define LATE_MAX 600

static MalHashKey random_key(const MascZoneConfig *config)
{
  MalHashKey key;
  for (size_t i = 0; i < sizeof key.octets; i++)
    key.octets[i] = (uint8_t)config->ops->random(config->user, 0, UINT8_MAX);
  return key;
}

MascZone *masc_zone_new(const MascZoneConfig *config)
{
  MalHashKey key = random_key(config);
  MascZone *zone = g_new0(MascZone, 1);
  zone->config = *config;
  zone->scope = g_strdup(config->scope);
  zone->config.scope = zone->scope;
  zone->peers = g_array_new(FALSE, TRUE, sizeof(MascPeer));
  zone->peer_at = g_new0(uint16_t, MASC_PEERS_MAX);
  zone->cache = masc_cache_new(config->domain, &key);
  zone->flood = masc_flood_new();
  zone->refused = masc_refused_new();
  zone->owns = masc_owns_new(zone);
  return zone;
}

void masc_zone_free(MascZone *zone)
{
  if (zone == NULL)
    return;
  masc_owns_free(zone->owns);
  masc_refused_free(zone->refused);
  masc_flood_free(zone->flood);
  masc_cache_free(zone->cache);
  g_free(zone->peer_at);
  g_array_unref(zone->peers);
  g_free(zone->scope);
  g_free(zone);
}

const char *masc_zone_scope(const MascZone *zone)
{
  return zone->scope;
}

MalSpan masc_zone_span(const MascZone *zone)
{
  return zone->config.span;
}

bool masc_zone_is_leaf(const MascZone *zone)
{
  return !masc_has_children(zone);
}

bool masc_zone_forgive(MascZone *zone, MascId domain)
{
  return masc_flood_forgive(zone->flood, domain);
}

/* ---- life ------------------------------------------------------------------------------------ */

bool masc_zone_restore(MascZone *zone, const uint8_t *key, size_t key_length,
                       const uint8_t *value, size_t value_length, MascNow now)
{
  zone->at = now;
  if (value == NULL || key_length == 0)
    return false;
  return key[0] == 'o' ? masc_owns_restore(zone, key, key_length, value, value_length, now)
                       : masc_record_restore(zone, key, key_length, value, value_length, now);
}

void masc_zone_start(MascZone *zone, MascNow now)
{
  zone->at = now;
  zone->started = true;
  masc_owns_start(zone, now);
}

void masc_zone_kept(MascZone *zone, uint64_t through, bool ok, MascNow now)
{
  zone->at = now;
  masc_records_kept(zone, through, ok);
  masc_owns_kept(zone, through, ok, now);
}

void masc_zone_params_changed(MascZone *zone, MascNow now)
{
  zone->at = now;
  masc_owns_params_changed(zone, now);
}

/* The wall clock as forgetting believes it. */
static MalTime believed(const MascZone *zone, MascNow now)
{
  return now.mono < zone->lag_until ? mal_time_add(now.wall, -zone->lag) : now.wall;
}

/* A step forward isn't believed for as long as the extra holding time, when it may have been taken
   back: what is forgotten doesn't come back, and might be claimed by others. */
void masc_zone_clock_stepped(MascZone *zone, int64_t delta, MascNow now)
{
  int64_t lag = now.mono < zone->lag_until ? zone->lag : 0;
  if (__builtin_add_overflow(lag, delta, &lag))
    lag = INT64_MAX;
  zone->at = now;
  zone->lag = MAX(lag, 0);
  zone->lag_until =
      zone->lag > 0 ? now.mono + zone->config.params->extra_holding * MASC_SECOND : 0;
  masc_owns_stepped(zone, delta, now);
}

/* Monotonic, of a wall clock instant. */
static int64_t when(const MascZone *zone, MalTime at)
{
  MalTime wall = believed(zone, zone->at);
  int64_t seconds, due = MASC_NEVER;
  if (at == MAL_FOREVER)
    return MASC_NEVER;
  if (at <= wall)
    return zone->at.mono;
  if (!__builtin_sub_overflow(at, wall, &seconds) && seconds <= INT64_MAX / 2 / MASC_SECOND)
    due = zone->at.mono + seconds * MASC_SECOND;
  return zone->at.mono < zone->lag_until ? MIN(due, zone->lag_until) : due;
}

int64_t masc_zone_due(const MascZone *zone)
{
  int64_t late = MIN(zone->config.params->extra_holding / LATE_PART, LATE_MAX);
  MalTime forget = masc_cache_due(zone->cache);
  int64_t due = when(zone, forget == MAL_FOREVER ? forget : mal_time_add(forget, late));
  return zone->started ? MIN(due, masc_owns_due(zone)) : due;
}

static void forget(MascZone *zone, MascNow now)
{
  MalTime wall = believed(zone, now);
  bool parents = false, children = false;
  for (MascRecord *r; (r = masc_cache_first(zone->cache)) != NULL && r->forget_at <= wall;) {
    parents |= r->claim.role == MASC_PARENT;
    children |= r->claim.role == MASC_CHILD && r->claim.domain != zone->config.domain;
    masc_record_forget(zone, r);
  }
  if (!zone->started)
    return;
  if (parents)
    masc_own_parent_changed(zone, NULL, now);
  if (children)
    masc_own_children_changed(zone, now);
}

void masc_zone_run(MascZone *zone, MascNow now)
{
  zone->at = now;
  forget(zone, now);
  if (zone->started && masc_owns_due(zone) <= now.mono)
    masc_owns_run(zone, now);
}

/* ---- looking in ------------------------------------------------------------------------------ */

/* More pieces of one prefix than anybody looks at: it is then shown whole. */
#define PIECES_MAX 256

typedef struct {
  const MascZone *zone;
  MascEntryFunc func;
  void *data;
  GTree *left; /* MascEntry, itself the key; NULL: all as it was said */
  GPtrArray *order; /* borrowed from LEFT */
} Each;

/* Peers choose all of it: so it is no hash. */
static int by_subject(const void *a, const void *b, void *data G_GNUC_UNUSED)
{
  const MascEntry *x = a, *y = b;
  if (x->kind != y->kind)
    return (x->kind > y->kind) - (x->kind < y->kind);
  if (x->claim.domain != y->claim.domain)
    return (x->claim.domain > y->claim.domain) - (x->claim.domain < y->claim.domain);
  if (x->parent != y->parent)
    return (x->parent > y->parent) - (x->parent < y->parent);
  return masc_prefix_compare(&x->claim.prefix, &y->claim.prefix);
}

/* Once, however often it was said: what is left of an old claim is mostly said anew. */
static void keep_left(const Each *e, const MascEntry *entry)
{
  MascEntry *known = g_tree_lookup(e->left, entry);
  if (known == NULL) {
    known = g_memdup2(entry, sizeof *entry);
    g_tree_insert(e->left, known, known);
    g_ptr_array_add(e->order, known);
  } else if (known->until < entry->until) {
    *known = *entry;
  }
}

static void show_left(const Each *e, const MascRecord *record, MascEntry *entry)
{
  MalPrefix pieces[PIECES_MAX];
  size_t n = masc_cache_remains(e->zone->cache, record, pieces, PIECES_MAX);
  if (n == PIECES_MAX) {
    keep_left(e, entry);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    entry->claim.prefix = pieces[i];
    keep_left(e, entry);
  }
}

static bool each(MascRecord *record, void *data)
{
  static const MascEntryKind kinds[MASC_N_ROLES] = {
    [MASC_INTERNAL] = MASC_ENTRY_HELD,
    [MASC_CHILD] = MASC_ENTRY_CHILD,
    [MASC_SIBLING] = MASC_ENTRY_SIBLING,
    [MASC_PARENT] = MASC_ENTRY_PARENT,
  };
  const Each *e = data;
  const MascClaim *c = &record->claim;
  bool own = c->domain == e->zone->config.domain;
  MascEntry entry = { .kind = kinds[c->role],
                      .claim = *c,
                      .parent = record->parent,
                      .until = masc_claim_free_at(c),
                      .due = MAL_FOREVER };
  if (c->type == MASC_WITHDRAW) {
    entry.kind = MASC_ENTRY_WITHDRAWN;
    entry.until = masc_claim_forget_at(c, 0);
  } else if (c->type == MASC_CLAIM_DENIED)
    entry.kind = MASC_ENTRY_DENIED;
  else if (own)
    return true;              /* OWN shows it */
  if (e->left != NULL && (c->type == MASC_PREFIX_IN_USE || c->type == MASC_PREFIX_MANAGED))
    show_left(e, record, &entry);
  else
    e->func(&entry, e->data);
  return true;
}

void masc_zone_each(const MascZone *zone, MascNow now, MascEntryFunc func, void *data)
{
  Each e = { .zone = zone, .func = func, .data = data };
  masc_owns_each(zone, now, func, data);
  masc_cache_each(zone->cache, each, &e);
}

void masc_zone_each_left(const MascZone *zone, MascNow now, MascEntryFunc func, void *data)
{
  g_autoptr(GTree) left = g_tree_new_full(by_subject, NULL, g_free, NULL);
  g_autoptr(GPtrArray) order = g_ptr_array_new();
  Each e = { zone, func, data, left, order };
  masc_owns_each(zone, now, func, data);
  masc_cache_each(zone->cache, each, &e);
  for (guint i = 0; i < order->len; i++)
    func(g_ptr_array_index(order, i), data);
}

MascZoneUsage masc_zone_usage(const MascZone *zone, MascNow now)
{
  MascZoneUsage usage = { .n_cached = masc_cache_size(zone->cache),
                          .n_ignored = masc_flood_n_ignored(zone->flood, now) };
  masc_owns_usage(zone, now, &usage);
  usage.leaf = masc_zone_is_leaf(zone);
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    usage.n_parents += peer->role == MASC_CHILD;
    usage.n_siblings += peer->role == MASC_SIBLING;
    usage.n_children += peer->role == MASC_PARENT;
  }
  return usage;
}

static bool check_record(MascRecord *record, void *data)
{
  const MascZone *zone = data;
  const MascClaim *c = &record->claim;
  g_assert(c->prefix.address.family == zone->config.span.first.family);
  g_assert(masc_origin_may(c->role, c->type));
  g_assert(c->role != MASC_INTERNAL || c->type != MASC_PREFIX_MANAGED);
  g_assert(c->role != MASC_INTERNAL || c->domain == zone->config.domain ||
           c->type == MASC_CLAIM_DENIED);
  g_assert(!record->names || c->type == MASC_WITHDRAW);
  return true;
}

void masc_zone_check(const MascZone *zone, MascNow now)
{
  masc_cache_check(zone->cache);
  masc_cache_each(zone->cache, check_record, (void *)zone);
  for (guint i = 0; i < zone->peers->len; i++) {
    const MascPeer *peer = &g_array_index(zone->peers, MascPeer, i);
    g_assert(zone->peer_at[peer->id] == i + 1);
  }
  masc_owns_check(zone, now);
}
