/* Marks what the shared core library exports: exactly what the installed headers declare. */
#ifndef MAL_API_H
#define MAL_API_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

G_BEGIN_DECLS

#define MAL_API __attribute__((visibility("default")))

/* Wall-clock instants: seconds since 1970-01-01T00:00:00Z. Leases, ranges and everything that is
   written to disk or said on a wire use these; MAL_FOREVER means "no end". */
typedef int64_t MalTime;
#define MAL_FOREVER INT64_MAX
#define MAL_BEGINNING INT64_MIN

#define MAL_US 1000000LL /* runtime clocks count microseconds */

/* Saturating sum: lifetimes never wrap. */
static inline MalTime mal_time_add(MalTime t, int64_t seconds)
{
  MalTime sum;
  if (t == MAL_FOREVER || t == MAL_BEGINNING)
    return t;
  if (__builtin_add_overflow(t, seconds, &sum))
    return seconds > 0 ? MAL_FOREVER : MAL_BEGINNING;
  return sum;
}

#define MAL_ERROR (mal_error_quark())
MAL_API GQuark mal_error_quark(void);

/* What a GError of domain MAL_ERROR says, so that callers can map it to an exit status, a MADCAP
   error code or a JSON-RPC code without reading the message. */
typedef enum {
  MAL_ERROR_INVALID,      /* the request or the value is wrong */
  MAL_ERROR_NOT_FOUND,    /* no such scope, lease, range, plugin, ... */
  MAL_ERROR_EXISTS,       /* it is there already, or overlaps */
  MAL_ERROR_DENIED,       /* the caller may not do this */
  MAL_ERROR_NO_SPACE,     /* valid, but no addresses fit */
  MAL_ERROR_LIMIT,        /* a configured limit was reached */
  MAL_ERROR_STORE,        /* the store can't be read or written */
  MAL_ERROR_CONFIG,       /* a configuration file */
  MAL_ERROR_PLUGIN,       /* loading, ABI, or the plugin's own failure */
  MAL_ERROR_NETWORK,      /* socket, interface, port in use */
  MAL_ERROR_TIMEOUT,      /* nobody answered */
  MAL_ERROR_INTERNAL,
} MalErrorCode;

G_END_DECLS
#endif
