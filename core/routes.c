#include "routes.h"

#include <string.h>

#define CONFIG "config"

typedef struct {
  unsigned id;
  MalRouteFunc func;
  void *data;
} Watch;

typedef struct {
  MalRoute route;
  char *source;
} Entry;

struct MalRoutes {
  GPtrArray *entries;           /* Entry, by address, length and source */
  GArray *watches;
  unsigned last_watch;
  unsigned telling;
};

static void entry_free(void *data)
{
  Entry *e = data;
  g_free(e->source);
  g_free(e);
}

MalRoutes *mal_routes_new(void)
{
  MalRoutes *routes = g_new0(MalRoutes, 1);
  routes->entries = g_ptr_array_new_with_free_func(entry_free);
  routes->watches = g_array_new(FALSE, FALSE, sizeof(Watch));
  return routes;
}

void mal_routes_free(MalRoutes *routes)
{
  if (!routes)
    return;
  g_ptr_array_unref(routes->entries);
  g_array_unref(routes->watches);
  g_free(routes);
}

/* ---- watchers -------------------------------------------------------------------------------- */

unsigned mal_routes_watch(MalRoutes *routes, MalRouteFunc func, void *data)
{
  Watch w = { ++routes->last_watch, func, data };
  g_array_append_val(routes->watches, w);
  return w.id;
}

static void sweep(MalRoutes *routes)
{
  for (unsigned i = routes->telling ? 0 : routes->watches->len; i-- > 0;)
    if (!g_array_index(routes->watches, Watch, i).func)
      g_array_remove_index(routes->watches, i);
}

void mal_routes_unwatch(MalRoutes *routes, unsigned id)
{
  for (unsigned i = 0; i < routes->watches->len; i++)
    if (g_array_index(routes->watches, Watch, i).id == id)
      g_array_index(routes->watches, Watch, i).func = NULL;
  sweep(routes);
}

/* A watcher may change the routes: it gets a copy. Who comes meanwhile hears of the next change. */
static void tell(MalRoutes *routes, MalRouteChange what, MalRoute route)
{
  g_autofree char *source = g_strdup(route.source);
  unsigned n = routes->watches->len;
  route.source = source;
  routes->telling++;
  for (unsigned i = 0; i < n; i++) {
    Watch w = g_array_index(routes->watches, Watch, i);
    if (w.func)
      w.func(what, &route, w.data);
  }
  routes->telling--;
  sweep(routes);
}

/* ---- the table ------------------------------------------------------------------------------- */

static Entry *entry_at(const MalRoutes *routes, unsigned i)
{
  return g_ptr_array_index(routes->entries, i);
}

static int route_compare(const MalRoute *a, const MalRoute *b)
{
  int order = mal_address_compare(a->prefix.address, b->prefix.address);
  if (order)
    return order;
  if (a->prefix.length != b->prefix.length)
    return a->prefix.length < b->prefix.length ? -1 : 1;
  return strcmp(a->source, b->source);
}

/* Where KEY stands (true), or would stand. */
static bool find(const MalRoutes *routes, MalPrefix prefix, const char *source, unsigned *at)
{
  MalRoute key = { .prefix = prefix, .source = source };
  unsigned low = 0, high = routes->entries->len;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (route_compare(&entry_at(routes, middle)->route, &key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  *at = low;
  return low < routes->entries->len && route_compare(&entry_at(routes, low)->route, &key) == 0;
}

static const char *prefix_format(MalPrefix prefix, char out[MAL_SPAN_STRLEN])
{
  char address[MAL_ADDRESS_STRLEN];
  g_snprintf(out, MAL_SPAN_STRLEN, "%s/%u", mal_address_format(prefix.address, address),
             prefix.length);
  return out;
}

static bool check(MalPrefix prefix, GError **error)
{
  char text[MAL_SPAN_STRLEN];
  unsigned bits = (unsigned)mal_family_octets(prefix.address.family) * 8;
  unsigned shortest = prefix.address.family == MAL_IPV4 ? 4 : 8;
  const char *what = NULL;
  if (bits == 0 || prefix.length > bits)
    what = "is not a prefix of any address family";
  else if (prefix.length < shortest || !mal_address_is_multicast(prefix.address))
    what = "holds other addresses than multicast ones";
  else if (prefix.length < bits &&
           (prefix.address.value & (((MalU128)1 << (bits - prefix.length)) - 1)))
    what = "has bits set behind its length";
  if (what)
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "route %s %s", prefix_format(prefix, text),
                what);
  return !what;
}

static bool lookup(const MalRoutes *routes, MalPrefix prefix, const char *source, unsigned *at,
                   GError **error)
{
  char text[MAL_SPAN_STRLEN];
  if (find(routes, prefix, source, at))
    return true;
  g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "there is no route %s from %s",
              prefix_format(prefix, text), source);
  return false;
}

bool mal_routes_add(MalRoutes *routes, MalPrefix prefix, MalTime until, const char *source,
                    GError **error)
{
  unsigned at;
  char text[MAL_SPAN_STRLEN];
  if (!check(prefix, error))
    return false;
  if (find(routes, prefix, source, &at)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS, "route %s from %s is there already",
                prefix_format(prefix, text), source);
    return false;
  }
  Entry *e = g_new0(Entry, 1);
  e->source = g_strdup(source);
  e->route = (MalRoute){ prefix, until, e->source };
  g_ptr_array_insert(routes->entries, (int)at, e);
  tell(routes, MAL_ROUTE_ADDED, e->route);
  return true;
}

static void set_until(MalRoutes *routes, unsigned at, MalTime until)
{
  Entry *e = entry_at(routes, at);
  if (e->route.until == until)
    return;
  e->route.until = until;
  tell(routes, MAL_ROUTE_CHANGED, e->route);
}

bool mal_routes_set_until(MalRoutes *routes, MalPrefix prefix, MalTime until, const char *source,
                          GError **error)
{
  unsigned at;
  if (!lookup(routes, prefix, source, &at, error))
    return false;
  set_until(routes, at, until);
  return true;
}

static void drop(MalRoutes *routes, unsigned at)
{
  Entry *e = g_ptr_array_steal_index(routes->entries, at);
  tell(routes, MAL_ROUTE_REMOVED, e->route);
  entry_free(e);
}

bool mal_routes_remove(MalRoutes *routes, MalPrefix prefix, const char *source, GError **error)
{
  unsigned at;
  if (!lookup(routes, prefix, source, &at, error))
    return false;
  drop(routes, at);
  return true;
}

void mal_routes_each(const MalRoutes *routes, MalRouteEach func, void *data)
{
  for (unsigned i = 0; i < routes->entries->len; i++)
    func(&entry_at(routes, i)->route, data);
}

size_t mal_routes_count(const MalRoutes *routes)
{
  return routes->entries->len;
}

/* ---- configuration and time ------------------------------------------------------------------ */

/* Drops what GONE says. A watcher may change the routes: the search begins anew after each. */
static void drop_where(MalRoutes *routes, bool (*gone)(const MalRoute *route, const void *what),
                       const void *what)
{
  for (unsigned i = 0; i < routes->entries->len;) {
    if (!gone(&entry_at(routes, i)->route, what)) {
      i++;
      continue;
    }
    drop(routes, i);
    i = 0;
  }
}

static bool is_from(const MalRoute *route, const void *source)
{
  return strcmp(route->source, source) == 0;
}

void mal_routes_forget(MalRoutes *routes, const char *source)
{
  drop_where(routes, is_from, source);
}

static bool is_unplanned(const MalRoute *route, const void *what)
{
  unsigned at;
  return is_from(route, CONFIG) && !find(what, route->prefix, CONFIG, &at);
}

static void plan_range(MalRoutes *planned, const MalStaticRange *range)
{
  MalSpan rest = range->span;
  for (;;) {
    MalPrefix prefix = mal_prefix_first_of(rest);
    MalAddress last = mal_span_of_prefix(prefix).last;
    bool added = mal_routes_add(planned, prefix, range->until, CONFIG, NULL);
    g_assert(added); /* ranges don't overlap, and are multicast */
    if (mal_address_compare(last, rest.last) >= 0 || !mal_address_add(last, 1, &rest.first))
      return;
  }
}

static void apply(const MalRoute *route, void *data)
{
  MalRoutes *routes = data;
  unsigned at;
  if (find(routes, route->prefix, route->source, &at))
    set_until(routes, at, route->until);
  else
    mal_routes_add(routes, route->prefix, route->until, route->source, NULL);
}

void mal_routes_replan(MalRoutes *routes, const MalPlan *plan)
{
  MalRoutes *planned = mal_routes_new();
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *range = g_ptr_array_index(plan->ranges, i);
    if (range->exported)
      plan_range(planned, range);
  }
  drop_where(routes, is_unplanned, planned);
  mal_routes_each(planned, apply, routes);
  mal_routes_free(planned);
}

MalTime mal_routes_due(const MalRoutes *routes)
{
  MalTime due = MAL_FOREVER;
  for (unsigned i = 0; i < routes->entries->len; i++)
    due = MIN(due, entry_at(routes, i)->route.until);
  return due;
}

static bool is_over(const MalRoute *route, const void *now)
{
  return route->until != MAL_FOREVER && route->until <= *(const MalTime *)now;
}

void mal_routes_expire(MalRoutes *routes, MalTime now)
{
  drop_where(routes, is_over, &now);
}
