/* Who sends colliding claims by the dozen (RFC 2909 section 14). Counted are claims that an origin
   has no reason for: those that knock out a pending claim of somebody else and never come to use,
   those against what everybody knew for long, those refused. An honest domain collides with what is
   new to it, and uses what it wins. */
#ifndef MASC_FLOOD_H
#define MASC_FLOOD_H

#include "masc-params.h"

G_BEGIN_DECLS

#define MASC_FLOOD_DOMAINS 256    /* remembered at once; of those not ignored the least one goes */

typedef struct MascFlood MascFlood;

MascFlood *masc_flood_new(void);
void masc_flood_free(MascFlood *flood);
/* One more of DOMAIN. True: that was beyond LIMIT within a waiting period, and it is ignored from
   now on, until two waiting periods have passed without another one. */
bool masc_flood_count(MascFlood *flood, MascId domain, const MascParams *params, MascNow now);
/* One of those counted came to use. */
void masc_flood_credit(MascFlood *flood, MascId domain);
bool masc_flood_ignored(const MascFlood *flood, MascId domain, MascNow now);
bool masc_flood_forgive(MascFlood *flood, MascId domain);
size_t masc_flood_n_ignored(const MascFlood *flood, MascNow now);

G_END_DECLS
#endif
