/* The claim algorithm under a small piece of the workload of SIGCOMM 98 (masc-workload.h); the
   whole of it is run by hand: make soak-masc. */
#include "masc-workload.h"

#include <criterion/criterion.h>

static Score run(const Options *options)
{
  unsigned leaves = 0;
  Score score;
  for (unsigned i = 0; i < options->tlds; i++)
    leaves += tree_children(options, i);
  score_init(&score, options, leaves);
  if (options->ideal)
    ideal_run(&score);
  else
    real_run(&score);
  return score;
}

/* Nobody's prefixes overlap, no block outlives its space, and everybody gets what he asks for. */
static void holds(const Score *score, double waited)
{
  Summary sum = score_summary(score);
  cr_expect_eq(score->overlaps, 0);
  cr_expect_eq(score->cut, 0);
  cr_expect_eq(score->clashes, 0);
  cr_expect_eq(score->refused, 0);
  cr_expect_gt(score->requests, 1000);
  cr_expect_leq(sum.waited, waited, "%.2f %% waited", sum.waited);
  cr_expect_leq(sum.updates_leaf, 3.0, "%.2f", sum.updates_leaf);
}

Test(sim_masc_workload, real_zones, .timeout = 300)
{
  Options options = {
    .tlds = 4, .children = 20, .days = 100, .from = 60, .seed = 1, .scale = 1, .latency = 100000
  };
  Score score = run(&options);
  holds(&score, 1.0);
  Summary sum = score_summary(&score);
  cr_expect_gt(score.claims, 1000);
  cr_expect_geq(sum.u, 0.54, "utilisation %.3f", sum.u);
  cr_expect_leq(sum.rib, 55, "G-RIB %.1f", sum.rib);
  cr_expect_leq(sum.prefixes_tld, 1.6, "%.2f", sum.prefixes_tld);
  cr_expect_leq(sum.updates_tld, 1.4, "%.2f", sum.updates_tld);
  score_clear(&score);
}

/* With links of hours claims collide, and still nobody overlaps. */
Test(sim_masc_workload, slow_links, .timeout = 300)
{
  Options options = { .tlds = 2,
                      .children = 12,
                      .days = 60,
                      .from = 20,
                      .seed = 2,
                      .scale = 1,
                      .latency = (int64_t)2 * HOUR * 1000000 };
  Score score = run(&options);
  cr_expect_eq(score.overlaps, 0);
  cr_expect_gt(score.collisions, 0);
  score_clear(&score);
}

Test(sim_masc_workload, ideal, .timeout = 300)
{
  Options options = {
    .tlds = 4, .children = 50, .days = 240, .from = 140, .seed = 1, .scale = 1, .ideal = true
  };
  Score score = run(&options);
  holds(&score, 0.6);
  Summary sum = score_summary(&score);
  cr_expect_geq(sum.u, 0.70, "utilisation %.3f", sum.u);
  cr_expect_leq(sum.prefixes_tld, 1.5, "%.2f", sum.prefixes_tld);
  cr_expect_leq(sum.prefixes_leaf, 2.4, "%.2f", sum.prefixes_leaf);
  cr_expect_leq(sum.updates_tld, 1.5, "%.2f", sum.updates_tld);
  score_clear(&score);
}
