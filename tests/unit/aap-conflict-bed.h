/* Who holds addresses that others speak of: for tests of conflicts and of what comes after. */
#ifndef AAP_CONFLICT_BED_H
#define AAP_CONFLICT_BED_H

#include "plugins/aap/aap-own-private.h"
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define LARGE AAP_BED_SPACE
#define OWN "233.252.0.16-233.252.0.19"
#define DAY 86400
#define S_ "192.0.2.200" /* who announces what is ours */
#define T_ "192.0.2.201" /* a third one */
#define WIDE "239.255.16.0-239.255.31.255"

/* 233.252.0.16-19 ours, announced until 962416800 (bed second 7200), in the steady state. */
static inline AapBed *holder(void)
{
  AapBed *bed = aap_bed_of_owners(3, 1);
  aap_bed_own(&bed->nodes[0], OWN, 7200);
  aap_bed_run(bed, S(400));
  return bed;
}

/* WIDE ours, in a small scope. */
static inline AapBed *wide_holder(void)
{
  AapBed *bed = aap_bed_new("239.255.0.0-239.255.255.255", false, 3);
  AapNode *node = aap_bed_add(bed);
  node->leased = 1;
  aap_bed_available(bed, "239.255.0.0-239.255.255.255", -1);
  aap_bed_listened(bed);
  aap_bed_own(node, WIDE, 90000);
  aap_bed_run(bed, bed->now + S(60));
  return bed;
}

#endif
