#include <math.h>
#include <string.h>

#include "masc-workload.h"

void score_init(Score *score, const Options *options, unsigned n_leaves)
{
  *score = (Score){ .options = *options, .n_leaves = n_leaves };
  score->days = g_array_new(FALSE, FALSE, sizeof(Day));
}

void score_clear(Score *score)
{
  g_clear_pointer(&score->days, g_array_unref);
}

void score_day(Score *score, unsigned day, double blocks, double claimed, const unsigned *own,
               const unsigned *below, unsigned n_tlds)
{
  double all = 0, children = 0;
  Day record = { .blocks = blocks, .claimed = claimed };
  for (unsigned i = 0; i < n_tlds; i++)
    all += own[i];
  for (unsigned i = 0; i < n_tlds; i++) {
    children += below[i];
    record.rib_max = MAX(record.rib_max, all + below[i]);
  }
  record.rib = all + children / n_tlds;
  record.u = claimed > 0 ? blocks / claimed : 0;
  g_array_append_val(score->days, record);
  if (day > score->options.from) {
    score->prefixes_tld += all / n_tlds;
    score->prefixes_leaf += children / score->n_leaves;
    score->n_samples++;
  }
}

Summary score_summary(const Score *score)
{
  Summary sum = { 0 };
  double n = MAX(score->n_samples, 1), days = score->options.days - score->options.from;
  for (guint i = score->options.from; i < score->days->len; i++) {
    const Day *day = &g_array_index(score->days, Day, i);
    sum.u += day->u / n;
    sum.rib += day->rib / n;
    sum.rib_max = MAX(sum.rib_max, day->rib_max);
  }
  sum.waited = score->requests > 0 ? 100.0 * (double)score->waited / (double)score->requests : 0;
  sum.updates_leaf = (double)score->updates_leaf / days / score->n_leaves;
  sum.updates_tld = (double)score->updates_tld / days / score->options.tlds;
  sum.prefixes_leaf = score->prefixes_leaf / n;
  sum.prefixes_tld = score->prefixes_tld / n;
  return sum;
}

void score_print(const Score *score)
{
  const Options *o = &score->options;
  Summary sum = score_summary(score);
  double days = o->days - o->from;
  g_print("%s, %u top-level domains, %u leaves%s, gaps x %g, %u days, seed %" G_GUINT64_FORMAT
          "; scored: days %u to %u\n",
          o->ideal ? "idealised" : "real zones and messages", o->tlds, score->n_leaves,
          o->uneven ? " (uneven)" : "", o->scale, o->days, o->seed, o->from, o->days);
  g_print("utilisation                 %8.3f\n", sum.u);
  g_print("G-RIB, average / max        %8.1f / %.0f\n", sum.rib, sum.rib_max);
  g_print("waited                      %8.3f %% of %" G_GUINT64_FORMAT " requests\n", sum.waited,
          score->requests);
  g_print("prefixes, leaf / TLD        %8.2f / %.2f\n", sum.prefixes_leaf, sum.prefixes_tld);
  g_print("Upd per day, leaf / TLD     %8.2f / %.2f\n", sum.updates_leaf, sum.updates_tld);
  g_print("claims                      %8" G_GUINT64_FORMAT " (%.4f per domain and day)\n",
          score->claims, (double)score->claims / days / (score->n_leaves + o->tlds));
  g_print("collisions, clashes         %8" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "\n",
          score->collisions, score->clashes);
  g_print("hints, refused attributes   %8" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "\n",
          score->hints, score->refused);
  g_print("messages per domain and day %8.2f\n",
          (double)score->messages / days / (score->n_leaves + o->tlds));
  g_print("overlaps, blocks cut short  %8" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT "\n",
          score->overlaps, score->cut);
}
