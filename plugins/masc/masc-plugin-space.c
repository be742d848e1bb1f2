/* What zones won, and the core's address space and routes. Zones say prefixes, which grow, shrink
   and are cut in parts; ranges of the space are cut and added to so that leases in what stays go on
   untouched. */
#include "masc-plugin.h"

#include <string.h>

#define CHUNK_BITS 40 /* of IPv6: 256 prefixes of length 96, the most for one range */
#define CHUNKS_MOST 256

/* ---- lists of prefixes ----------------------------------------------------------------------- */

static MalSpan span_of(const MascGrant *grant)
{
  return mal_span_of_prefix(grant->prefix);
}

static void insert(GArray *grants, MascGrant grant)
{
  guint at = 0;
  while (at < grants->len &&
         mal_address_compare(g_array_index(grants, MascGrant, at).prefix.address,
                             grant.prefix.address) < 0)
    at++;
  g_array_insert_val(grants, at, grant);
}

/* What is left of GRANT without PREFIX, which lies in it: its halves, quarters, ... */
static void insert_rest(GArray *grants, MascGrant grant, MalPrefix prefix)
{
  unsigned bits = 8 * (unsigned)mal_family_octets(prefix.address.family);
  while (grant.prefix.length < prefix.length) {
    MascGrant other = grant;
    MalU128 half = (MalU128)1 << (bits - ++grant.prefix.length);
    other.prefix.length = grant.prefix.length;
    if ((prefix.address.value & half) != 0)
      grant.prefix.address.value |= half;
    else
      other.prefix.address.value |= half;
    insert(grants, other);
  }
}

bool masc_space_unset(GArray *grants, MalPrefix prefix)
{
  MalSpan span = mal_span_of_prefix(prefix);
  bool some = false;
  for (guint i = grants->len; i-- > 0;) {
    MascGrant grant = g_array_index(grants, MascGrant, i);
    if (!mal_span_overlaps(span_of(&grant), span))
      continue;
    g_array_remove_index(grants, i);
    some = true;
    if (grant.prefix.length < prefix.length) {
      insert_rest(grants, grant, prefix);
      break; /* nothing else overlaps */
    }
  }
  return some;
}

void masc_space_set(GArray *grants, MalPrefix prefix, MalTime until, bool deprecated)
{
  masc_space_unset(grants, prefix);
  insert(grants, (MascGrant){ prefix, until, deprecated });
}

static bool same_prefix(MalPrefix a, MalPrefix b)
{
  return a.length == b.length && mal_address_equal(a.address, b.address);
}

bool masc_space_unset_exact(GArray *grants, MalPrefix prefix)
{
  for (guint i = 0; i < grants->len; i++) {
    if (!same_prefix(g_array_index(grants, MascGrant, i).prefix, prefix))
      continue;
    g_array_remove_index(grants, i);
    return true;
  }
  return false;
}

void masc_space_set_exact(GArray *grants, MalPrefix prefix, MalTime until, bool deprecated)
{
  masc_space_unset_exact(grants, prefix);
  insert(grants, (MascGrant){ prefix, until, deprecated });
}

/* ---- the address space ----------------------------------------------------------------------- */

typedef struct {
  const MascArea *area;
  bool firm;
  GArray *ranges; /* MalRange */
} Found;

static void add_found(const MalRange *range, void *data)
{
  Found *found = data;
  if ((found->firm && !range->stand_in) ||
      strcmp(range->source, found->area->masc->host.name) == 0)
    g_array_append_val(found->ranges, *range);
}

static const MalScope *scope_of(const MascArea *area)
{
  return mal_scope_set_find(mal_leases_scopes(area->masc->host.leases), area->scope);
}

/* Ours; FIRM: also others' that do not give way to ours. Name and source of the copies are the
   core's, until the space changes. */
static GArray *ranges_in(const MascArea *area, MalSpan span, bool firm)
{
  Found found = { area, firm, g_array_new(FALSE, FALSE, sizeof(MalRange)) };
  const MalScope *scope = scope_of(area);
  if (scope != NULL)
    mal_space_each(area->masc->host.space, MAL_LEVEL_AVAILABLE, scope, span, add_found, &found);
  return found.ranges;
}

static void say_refused(const MascArea *area, const MascGrant *grant, const GError *error)
{
  char text[MAL_SPAN_STRLEN];
  masc_prefix_format(grant->prefix, text);
  const MalField fields[] = { MAL_F_STRING("scope", area->scope), MAL_F_STRING("prefix", text),
                              MAL_F_STRING("error", error->message) };
  mal_count(area->masc->host.metrics, MASC_M_SPACE_REFUSED, 1);
  MAL_EVENT(area->masc->host.events, &masc_event_space, fields, "%s: %s", text, error->message);
}

static bool add_range(MascArea *area, MalSpan span, const MascGrant *grant)
{
  char name[MAL_SPAN_STRLEN];
  g_autoptr(GError) error = NULL;
  MalPrefix prefix = mal_prefix_first_of(span);
  if (mal_address_equal(mal_span_of_prefix(prefix).last, span.last))
    masc_prefix_format(prefix, name);
  else
    mal_span_format(span, name);
  if (mal_space_bring(area->masc->host.space, area->scope, span, grant->until, name,
                             area->masc->host.name, &error)) {
    masc_demand_served(area);
    return true;
  }
  say_refused(area, grant, error);
  return false;
}

static void add_span(MascArea *area, MalSpan span, const MascGrant *grant)
{
  MalSpan chunk = { .first = span.first };
  MalU128 most = (MalU128)1 << CHUNK_BITS;
  for (unsigned n = 0; n < CHUNKS_MOST; n++) {
    MalU128 within = most - 1 - (chunk.first.value & (most - 1));
    if (!mal_address_add(chunk.first, within, &chunk.last) ||
        mal_address_compare(chunk.last, span.last) > 0)
      chunk.last = span.last;
    if (!add_range(area, chunk, grant) || mal_address_equal(chunk.last, span.last) ||
        !mal_address_add(chunk.last, 1, &chunk.first))
      return;
  }
}

/* Adds what isn't there of GRANT, by us or by a [range]. */
static void add_missing(MascArea *area, const MascGrant *grant)
{
  MalSpan whole = span_of(grant), gap = whole;
  g_autoptr(GArray) there = ranges_in(area, whole, true);
  for (guint i = 0; i < there->len; i++) {
    MalSpan span = g_array_index(there, MalRange, i).span;
    if (mal_address_compare(gap.first, span.first) < 0 && mal_address_sub(span.first, 1, &gap.last))
      add_span(area, gap, grant);
    if (mal_address_compare(span.last, whole.last) >= 0 ||
        !mal_address_add(span.last, 1, &gap.first))
      return;
  }
  gap.last = whole.last;
  add_span(area, gap, grant);
}

/* Ranges that GRANT covers in part are cut where it begins and ends. */
static void cut_at(const MascArea *area, const MascGrant *grant)
{
  MalSpace *space = area->masc->host.space;
  MalSpan span = span_of(grant);
  MalAddress after;
  mal_space_split(space, span.first, area->masc->host.name);
  if (mal_address_add(span.last, 1, &after))
    mal_space_split(space, after, area->masc->host.name);
}

static const MascGrant *covering(const GArray *grants, MalSpan span)
{
  for (guint i = 0; i < grants->len; i++) {
    const MascGrant *grant = &g_array_index(grants, MascGrant, i);
    if (mal_span_contains(span_of(grant), span))
      return grant;
  }
  return NULL;
}

static GArray *lasting(const MascArea *area)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MascGrant));
  for (guint i = 0; i < area->local->len; i++) {
    MascGrant grant = g_array_index(area->local, MascGrant, i);
    if (grant.until > area->masc->now.wall)
      g_array_append_val(out, grant);
  }
  return out;
}

/* WANTED, which is taken over, are the spans that go to no new client. */
static void suspend(MascArea *area, GArray *wanted)
{
  mal_leases_suspend_instead(area->masc->host.leases, wanted, area->suspended);
  g_array_unref(area->suspended);
  area->suspended = wanted;
}

/* 4.3: what drains has a replacement, and empties sooner where nothing new is leased in it; but who
   would have to wait gets it. With a layer 2 others lease from it, too, and suspensions are layer
   2's. */
void masc_space_suspend(MascArea *area)
{
  GArray *wanted = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  bool drains = area->waiting == 0 && mal_space_is_mirrored(area->masc->host.space);
  for (guint i = 0; drains && i < area->local->len; i++) {
    const MascGrant *grant = &g_array_index(area->local, MascGrant, i);
    MalSpan span = span_of(grant);
    if (grant->deprecated)
      g_array_append_val(wanted, span);
  }
  suspend(area, wanted);
}

void masc_space_unsuspend(MascArea *area)
{
  suspend(area, g_array_new(FALSE, FALSE, sizeof(MalSpan)));
}

/* What is new first: who waits gets it, and what moves is never nowhere. */
void masc_space_fit(MascArea *area)
{
  MalSpace *space = area->masc->host.space;
  g_autoptr(GArray) wanted = lasting(area);
  area->local_changed = false;
  masc_store_keep_local(area);
  for (guint i = 0; i < wanted->len; i++)
    cut_at(area, &g_array_index(wanted, MascGrant, i));
  g_autoptr(GArray) there = ranges_in(area, area->span, false);
  for (guint i = 0; i < there->len; i++) {
    MalRange range = g_array_index(there, MalRange, i);
    const MascGrant *grant = covering(wanted, range.span);
    if (grant == NULL)
      mal_space_remove(space, MAL_LEVEL_AVAILABLE, range.span.first, NULL);
    else if (grant->until != range.until)
      mal_space_set_until(space, MAL_LEVEL_AVAILABLE, range.span.first, grant->until, NULL);
  }
  masc_space_suspend(area);
  for (guint i = 0; i < wanted->len; i++)
    add_missing(area, &g_array_index(wanted, MascGrant, i));
}

/* Of scopes that are claimed in no longer. */
void masc_space_forget(Masc *masc)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(masc->host.space, MAL_LEVEL_AVAILABLE);
  g_autoptr(GArray) gone = g_array_new(FALSE, FALSE, sizeof(MalAddress));
  for (guint i = 0; i < all->len; i++) {
    const MalRange *range = g_ptr_array_index(all, i);
    if (strcmp(range->source, masc->host.name) == 0 &&
        masc_area_find(masc, range->scope->id) == NULL)
      g_array_append_val(gone, range->span.first);
  }
  for (guint i = 0; i < gone->len; i++)
    mal_space_remove(masc->host.space, MAL_LEVEL_AVAILABLE, g_array_index(gone, MalAddress, i),
                     NULL);
}

void masc_space_restore(MascArea *area, const MascGrant *grant)
{
  if (grant->until > area->masc->now.wall && scope_of(area) != NULL &&
      mal_span_contains(area->span, span_of(grant)))
    add_missing(area, grant);
}

/* ---- routes ---------------------------------------------------------------------------------- */

typedef struct {
  const MascArea *area;
  GArray *routes; /* MalRoute, ours */
} OurRoutes;

static void add_route(const MalRoute *route, void *data)
{
  OurRoutes *ours = data;
  const MascArea *area = ours->area;
  if (strcmp(route->source, area->masc->host.name) == 0 &&
      route->prefix.address.family == area->span.first.family &&
      mal_span_contains(area->span, mal_span_of_prefix(route->prefix)))
    g_array_append_val(ours->routes, *route);
}

static const MalRoute *route_for(const GArray *routes, MalPrefix prefix)
{
  for (guint i = 0; i < routes->len; i++)
    if (same_prefix(g_array_index(routes, MalRoute, i).prefix, prefix))
      return &g_array_index(routes, MalRoute, i);
  return NULL;
}

static void set_route(const MascArea *area, const GArray *routes, const MascGrant *grant)
{
  const MalHost *host = &area->masc->host;
  const MalRoute *route = route_for(routes, grant->prefix);
  g_autoptr(GError) error = NULL;
  if (route == NULL)
    mal_routes_add(host->routes, grant->prefix, grant->until, host->name, &error);
  else if (route->until != grant->until)
    mal_routes_set_until(host->routes, grant->prefix, grant->until, host->name, &error);
  if (error == NULL)
    return;
  const MalField fields[] = { MAL_F_STRING("scope", area->scope),
                              MAL_F_STRING("error", error->message) };
  mal_count(host->metrics, MASC_M_ROUTES_REFUSED, 1);
  MAL_EVENT(host->events, &masc_event_route, fields, "%s", error->message);
}

/* New ones first: an address that stays ours is never without a route. */
void masc_space_fit_routes(MascArea *area)
{
  const MalHost *host = &area->masc->host;
  OurRoutes ours = { area, g_array_new(FALSE, FALSE, sizeof(MalRoute)) };
  g_autoptr(GArray) routes = ours.routes;
  area->managed_changed = false;
  mal_routes_each(host->routes, add_route, &ours);
  for (guint i = 0; i < area->managed->len; i++) {
    const MascGrant *grant = &g_array_index(area->managed, MascGrant, i);
    if (grant->until > area->masc->now.wall)
      set_route(area, routes, grant);
  }
  for (guint i = 0; i < routes->len; i++) {
    MalPrefix prefix = g_array_index(routes, MalRoute, i).prefix;
    bool stays = false;
    for (guint k = 0; k < area->managed->len; k++)
      stays = stays || same_prefix(g_array_index(area->managed, MascGrant, k).prefix, prefix);
    if (!stays)
      mal_routes_remove(host->routes, prefix, host->name, NULL);
  }
}

/* ---- what is in use -------------------------------------------------------------------------- */

typedef struct {
  void (*func)(MalSpan span, MalTime until, void *data);
  void *data;
} Uses;

/* Of a piece in which some addresses are used, nobody knows which: it is used. */
static void say_use(MalSpan span, uint64_t used, MalTime until, void *data)
{
  const Uses *uses = data;
  if (used > 0)
    uses->func(span, until, uses->data);
}

void masc_space_uses(MascArea *area, MalPrefix prefix,
                     void (*func)(MalSpan span, MalTime until, void *data), void *data)
{
  Uses uses = { func, data };
  const MalScope *scope = scope_of(area);
  if (scope != NULL)
    mal_space_usage(area->masc->host.space, scope, mal_span_of_prefix(prefix), say_use, &uses);
}

static void add_used(MalSpan span, uint64_t used, MalTime until, void *data)
{
  uint64_t *sum = data;
  (void)span, (void)until;
  *sum += used;
}

uint64_t masc_space_used(MascArea *area)
{
  uint64_t sum = 0;
  const MalScope *scope = scope_of(area);
  for (guint i = 0; scope != NULL && i < area->local->len; i++)
    mal_space_usage(area->masc->host.space, scope,
                    span_of(&g_array_index(area->local, MascGrant, i)), add_used, &sum);
  return sum;
}
