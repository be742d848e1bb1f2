/* Address space that needs no protocol of layer 3, since it follows from what its holder has: GLOP
   from an AS number (RFC 3180, RFC 5771 section 9), unicast-prefix-based multicast addresses from a
   prefix (RFC 6034 for IPv4; RFC 3306 as RFC 7371 updates it, RFC 3307 and RFC 10028 for IPv6).
   Pure functions; an error (MAL_ERROR_CONFIG) says the value, the rule and what to do, and has no
   place in a file yet. */
#ifndef MAL_DERIVE_H
#define MAL_DERIVE_H

#include "model.h"

#define MAL_DERIVED_STRLEN 80

typedef struct {
  MalSpan span;
  char from[MAL_DERIVED_STRLEN];   /* "AS 64501 (RFC 3180)" */
} MalDerived;

/* 233.X.Y.0/24. Refuses what no registry gave to anybody; takes the numbers for documentation
   (RFC 6676 2.2). */
bool mal_derive_glop(int64_t as_number, MalDerived *out, GError **error);
/* 234.x.y.z, or ff3S:00LL:prefix::/96, where S is the scope value that both ends of SCOPE have.
   Refuses prefixes that are nobody's, too long, or of a smaller scope than SCOPE's, and SCOPE's
   group identifiers where a server may not lease them. Whether the span lies in SCOPE is for the
   caller to ask. */
bool mal_derive_unicast(MalPrefix prefix, const MalScope *scope, MalDerived *out, GError **error);

#endif
