/* Stands in for the half of a zone that claims for our domain: says what the test wants, and counts
   what it is told. For tests of the other half alone. */
#ifndef MASC_OWN_DOUBLE_H
#define MASC_OWN_DOUBLE_H

#include "plugins/masc/masc-zone-private.h"

struct MascOwns {
  MalSpan held;             /* family NONE: nothing */
  MalTime until;            /* of what we hold */
  MalSpan overlaps;         /* what we use (11.4.4) */
  bool doubts;              /* masc_own_told says no */
  bool denied, withdrawn;   /* what these say */
  unsigned n_rivalled, n_told, n_took, n_denied, n_withdrawn, n_parents, n_withdrew, n_children,
      n_touched;
  MascRecord rivalled, took;
};

#endif
