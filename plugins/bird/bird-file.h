/* The file that BIRD includes: what stands in it follows from the routes alone, so that the same
   routes give the same octets. */
#ifndef BIRD_FILE_H
#define BIRD_FILE_H

#include "core/routes.h"

/* How a group prefix is said. BIRD 2 takes no prefix of groups into tables of nets of IPv4 and IPv6
   ("Ignoring bogus route"); its flow tables take them. See doc/bird.md. */
typedef enum {
  BIRD_FLOW,
  BIRD_BLACKHOLE,
  BIRD_UNREACHABLE,
  BIRD_PROHIBIT,
  BIRD_VIA,
} BirdRouteKind;

enum { BIRD_V4, BIRD_V6, BIRD_FAMILIES };

typedef struct {
  BirdRouteKind kind;
  const char *table[BIRD_FAMILIES];       /* NULL: this family isn't exported */
  const char *protocol[BIRD_FAMILIES];
  MalAddress via[BIRD_FAMILIES];          /* of BIRD_VIA */
  const char *filter;                     /* NULL: none */
  unsigned preference;
  unsigned most;                          /* routes */
  bool aggregate;                         /* as few prefixes as say the same */
} BirdForm;

typedef struct {
  size_t routes;              /* in the file */
  size_t left_out;            /* of a family that is exported, for want of room */
  size_t other;               /* of one that isn't */
} BirdCount;

/* The caller frees. ROUTES may be NULL: none. The same prefix from two sources is one route; with
   aggregation, so are two halves of a prefix, and none stands inside another (RFC 2909 section 3,
   "CIDR-like aggregation"). Behind each route that ends stands when, as a comment: the last instant
   of all that is one route in the file; where these end at different times, they follow it, as
   comments, too. */
char *bird_file(const BirdForm *form, const MalRoutes *routes, BirdCount *count);
/* Do two such files say the same to BIRD? Only ends may differ. */
bool bird_file_is_same(const char *a, const char *b);

/* Is NAME one that BIRD takes for a table, protocol or filter? */
bool bird_is_symbol(const char *name);

#endif
