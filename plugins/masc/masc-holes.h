/* Free space as prefixes, and where in it a new claim goes (RFC 2909 17.1.1). Pure. */
#ifndef MASC_HOLES_H
#define MASC_HOLES_H

#include "masc-plan.h"

G_BEGIN_DECLS

/* ---- buddies --------------------------------------------------------------------------------- */

unsigned masc_family_bits(MalFamily family);
/* Addresses in a prefix; saturates at 2^128 - 1 for all of IPv6. */
MalU128 masc_prefix_addresses(MalPrefix prefix);
bool masc_prefix_equal(MalPrefix a, MalPrefix b);
bool masc_prefix_covers(MalPrefix outer, MalPrefix inner);
bool masc_prefix_meets(MalPrefix a, MalPrefix b);       /* they share addresses */
int masc_prefix_compare(const void *a, const void *b);  /* by address, then the larger first */
/* The prefix of LENGTH, shorter than PREFIX's or equal, that covers it. */
MalPrefix masc_prefix_widen(MalPrefix prefix, unsigned length);
/* The other half of what is one bit shorter. Length 1 at least. */
MalPrefix masc_prefix_buddy(MalPrefix prefix);
/* One of the 2^(LENGTH - prefix.length) parts, the first for 0. */
MalPrefix masc_prefix_part(MalPrefix prefix, unsigned length, uint64_t index);

/* ---- holes ----------------------------------------------------------------------------------- */

/* The free space of GROUNDS that aren't deprecated and last beyond UNTIL, without TAKEN (sorted by
   masc_prefix_compare, may overlap): MalPrefix, each as large as it can be, sorted, none longer
   than LONGEST. Never joined across grounds. The caller frees with g_array_unref. */
GArray *masc_holes(const MascGround *grounds, size_t n_grounds, const MalPrefix *taken,
                   size_t n_taken, MalTime until, unsigned longest);
/* PREFIX is free no longer. */
void masc_holes_take(GArray *holes, MalPrefix prefix, unsigned longest);

typedef enum {
  MASC_PLACE_BEST,    /* in the smallest hole that has room */
  MASC_PLACE_WORST,   /* in the largest, so that it can grow */
} MascPlace;
/* A prefix of LENGTH inside of WITHIN (NULL: anywhere): random among equal holes, at the start of
   one, or of one of its large parts where it is much larger (reverse bit order: what others choose
   at the same time is elsewhere). False: nothing fits. */
bool masc_holes_place(const GArray *holes, MascPlace how, const MalPrefix *within, unsigned length,
                      MascRandom draw, void *user, MalPrefix *out);
/* Would prefixes of these lengths (sorted, shortest first) all find room? Takes it. */
bool masc_holes_pack(GArray *holes, const unsigned *lengths, size_t n, unsigned longest);

G_END_DECLS
#endif
