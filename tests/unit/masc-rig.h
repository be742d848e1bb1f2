/* One zone amid open ends of every kind, for the rules of RFC 2909 section 11. Domain 10, node
   10001; the domains 1 and 2 are its parents. Peers by letters:

     a b   two nodes of parent 1, which manages 233.252.0.0/18
     q     one of parent 2, which manages 233.252.128.0/17
     s t   siblings 20 and 21 with regard to parent 1
     u     sibling 22 with regard to parent 2
     c d   two nodes of child 30
     e     one of child 31
     i j   internal peers */
#ifndef MASC_RIG_H
#define MASC_RIG_H

#include "tests/unit/masc-bed.h"
#include "tests/unit/masc-own-double.h"

#define MASC_RIG_PEERS "abqstucdeij"

typedef struct {
  MascBed *bed;
  MascZone *zone;
  MascOwns *own;
} MascRig;

/* With the parents' PREFIX_MANAGED taken, 233.252.4.0/22 held, nothing in SENT. */
MascRig masc_rig_new(void);
void masc_rig_clear(MascRig *rig);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MascRig, masc_rig_clear)

unsigned masc_rig_peer(char letter);
/* What LETTER says of ORIGIN, which is ROLE to him; 0: taken or dropped. */
MascClaim masc_rig_claim(const MascRig *rig, MascClaimType type, MascRole role, MascId origin,
                         const char *prefix);
uint8_t masc_rig_say(MascRig *rig, char letter, const MascClaim *claim);
/* Who was sent something about that claim's prefix and origin since the last call: letters, in the
   order above. TEXT holds 16. */
const char *masc_rig_told(MascRig *rig, const MascClaim *claim, char *text);
MascClaim masc_rig_last(const MascRig *rig, char letter);   /* what it was sent last */

#endif
