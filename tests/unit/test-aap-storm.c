/* What simulated worlds found (tests/sim/aap-world.h), each as one small case. */
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define SCOPE "239.255.0.0-239.255.255.255"

/* Two pools that lose to each other, each at once with another set, went on as fast as the network
   carried it: after the first loss there is a pause (3.2.6 leaves open when another set is tried). */
Test(aap_storm, AAP_105_a_pool_that_loses_again_pauses)
{
  AapBed *bed = aap_bed_new(SCOPE, false, 1);
  bed->params.preallocate = 64;
  bed->params.block = 64;
  AapNode *node = aap_bed_add(bed);
  aap_bed_available(bed, "239.255.0.0-239.255.15.255", -1);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(60));
  int64_t since = bed->now + 1;
  for (unsigned i = 0; i < 100; i++) {
    const AapSent *last = NULL;
    aap_bed_count(bed, 0, AAP_AITU, 0, &last);
    char text[MAL_SPAN_STRLEN];
    mal_span_format(last->msg.ranges[0].span, text);
    aap_bed_inject(node, "192.0.2.200", AAP_AITU, i, text, 1000);
    aap_bed_run(bed, bed->now + S(1) / 20);
  }
  unsigned n = aap_bed_count(bed, 0, AAP_AITU, since, NULL);
  cr_assert(n >= 1 && n <= 40, "%u AITU in 5 s", n);
  /* Left alone, it has its pool again. */
  aap_bed_run(bed, bed->now + S(60));
  cr_assert_geq(aap_zone_usage(node->zone, aap_bed_clock(node)).pool, 64);
  aap_bed_free(bed);
}
