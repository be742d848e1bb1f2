/* The routes of this domain: the group prefixes that are allocated to it, so that it is the root of
   their distribution trees (RFC 2909 section 3: the G-RIB). Layer 3 adds what it won and takes back
   what it lost; the configuration adds the ranges marked `export`; an exporter watches, and tells a
   routing daemon.

   A route is known by its prefix and its source, so the same prefix may come from two sources, and
   prefixes may lie inside each other. Whoever watches hears of every change after it happened, in
   the order in which it happened. Routes live in memory only: each source brings its own again
   after a restart, in its start hook at the latest, so that no exporter withdraws them meanwhile; a
   plugin's routes go when it stops. */
#ifndef MAL_ROUTES_H
#define MAL_ROUTES_H

#include "conf.h"

G_BEGIN_DECLS

typedef struct MalRoutes MalRoutes;

typedef struct {
  MalPrefix prefix;
  MalTime until;              /* withdrawn by itself at this instant; MAL_FOREVER: never */
  const char *source;         /* "config", or the plugin's name */
} MalRoute;

typedef enum { MAL_ROUTE_ADDED, MAL_ROUTE_CHANGED, MAL_ROUTE_REMOVED } MalRouteChange;
/* ROUTE is borrowed during the call. */
typedef void (*MalRouteFunc)(MalRouteChange what, const MalRoute *route, void *data);
typedef void (*MalRouteEach)(const MalRoute *route, void *data);

/* SOURCE is copied; a plugin says its own name. Errors: MAL_ERROR_INVALID where the prefix has host
   bits or holds anything but multicast addresses, MAL_ERROR_EXISTS where SOURCE has it already. */
MAL_API bool mal_routes_add(MalRoutes *routes, MalPrefix prefix, MalTime until, const char *source,
                            GError **error);
/* MAL_ERROR_NOT_FOUND where SOURCE has no such route. */
MAL_API bool mal_routes_set_until(MalRoutes *routes, MalPrefix prefix, MalTime until,
                                  const char *source, GError **error);
MAL_API bool mal_routes_remove(MalRoutes *routes, MalPrefix prefix, const char *source,
                               GError **error);
/* All of them, by address, then from short prefixes to long ones, then by source. FUNC may not
   change the routes. */
MAL_API void mal_routes_each(const MalRoutes *routes, MalRouteEach func, void *data);
MAL_API size_t mal_routes_count(const MalRoutes *routes);
MAL_API unsigned mal_routes_watch(MalRoutes *routes, MalRouteFunc func, void *data);
MAL_API void mal_routes_unwatch(MalRoutes *routes, unsigned id);

/* ---- the core's side ------------------------------------------------------------------------- */

MAL_API MalRoutes *mal_routes_new(void);
MAL_API void mal_routes_free(MalRoutes *routes);
/* Removes all that SOURCE has: a plugin's routes go when it stops. */
MAL_API void mal_routes_forget(MalRoutes *routes, const char *source);
/* Source "config" now has what PLAN says, and nothing else. */
MAL_API void mal_routes_replan(MalRoutes *routes, const MalPlan *plan);
/* Routes whose end came: removed. The next such instant. */
MAL_API void mal_routes_expire(MalRoutes *routes, MalTime now);
MAL_API MalTime mal_routes_due(const MalRoutes *routes);

G_END_DECLS
#endif
