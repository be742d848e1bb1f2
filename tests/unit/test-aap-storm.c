/* What simulated worlds found (tests/sim/aap-world.h), each as one small case. */
#include "tests/unit/aap-bed.h"

#include <criterion/criterion.h>

#define SCOPE "239.255.0.0-239.255.255.255"

/* Two pools that lose to each other, each at once with another set, went on as fast as the network
   carried it: after the first loss there is a pause (3.2.6 leaves open when another set is
   tried). */
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

static void store(AapNode *node, const char *span)
{
  AapOwn own = { aap_bed_span(span), AAP_BED_EPOCH + 80000, AAP_BED_EPOCH };
  char *key = g_strdup_printf("%" G_GUINT64_FORMAT, (uint64_t)own.span.first.value);
  g_hash_table_replace(node->stored, key, g_memdup2(&own, sizeof own));
}

/* Two messages of which one holds the neighbour of a block of the other: joined, they were one
   range too many because of a hole in what is available, so they were split, joined, split ... at
   once. */
Test(aap_storm, neighbours_with_a_hole_between_them, .timeout = 60)
{
  AapBed *bed = aap_bed_new(SCOPE, false, 1);
  bed->params.payload_limit = 12 + 2 * 12;
  aap_bed_add(bed);
  aap_bed_crash(bed, 0);
  store(&bed->nodes[0], "239.255.0.0-239.255.0.3");
  store(&bed->nodes[0], "239.255.0.10-239.255.0.13");
  store(&bed->nodes[0], "239.255.0.14-239.255.0.17");
  aap_bed_restart(bed, 0, true);
  aap_bed_available(bed, "239.255.0.0-239.255.0.255", -1);
  aap_bed_listened(bed);
  aap_bed_run(bed, bed->now + S(60));
  aap_bed_available(bed, "239.255.0.0-239.255.0.12;239.255.0.14-239.255.0.255", -1);
  int64_t since = bed->now;
  aap_bed_run(bed, bed->now + S(300));
  unsigned n = aap_bed_count(bed, 0, AAP_AIU, since, NULL);
  cr_assert(n >= 14 && n <= 60, "%u AIU", n);
  aap_bed_free(bed);
}
