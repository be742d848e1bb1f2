/* What our limits refuse (RFC 2909 8.3) is there all the same: its domain may use it. So the
   planner claims something else, for as long as that claim says; nobody is told of it, and nothing
   gives way to it. */
#ifndef MASC_REFUSED_H
#define MASC_REFUSED_H

#include "masc-params.h"

G_BEGIN_DECLS

#define MASC_REFUSED_MAX 256      /* beyond, what ends first goes */
#define MASC_REFUSED_OF_ONE 32    /* of one domain, the same */

typedef struct MascRefused MascRefused;

MascRefused *masc_refused_new(void);
void masc_refused_free(MascRefused *refused);
/* It counts until it ends, but no longer than LIMITS allow any claim from now. */
void masc_refused_add(MascRefused *refused, const MascClaim *claim, const MascLimits *limits,
                      MascNow now);
/* Would CLAIM be more of what was refused to its domain, though in use? */
bool masc_refused_grows(const MascRefused *refused, const MascClaim *claim);
/* CLAIM, which is taken, speaks for its domain in place of what was refused. */
void masc_refused_settle(MascRefused *refused, const MascClaim *claim);
/* DOMAIN floods: what it claims, and doesn't use, is in nobody's way. */
void masc_refused_flood(MascRefused *refused, MascId domain);
/* Appends prefixes (MalPrefix): what children have, or what siblings have. */
void masc_refused_gather(const MascRefused *refused, bool lower, MascNow now, GArray *out);

G_END_DECLS
#endif
