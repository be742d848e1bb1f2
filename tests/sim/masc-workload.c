/* masc-workload: see masc-workload.h. */
#include "masc-workload.h"

static bool parse(Options *options, int *argc, char ***argv, GError **error)
{
  int tlds = 10, children = 50, days = 400, from = -1, latency = 100;
  gint64 seed = 1;
  double scale = 1;
  gboolean uneven = FALSE, ideal = FALSE, quiet = FALSE;
  GOptionEntry entries[] = {
    { "tlds", 0, 0, G_OPTION_ARG_INT, &tlds, "Top-level domains (10)", "N" },
    { "children", 0, 0, G_OPTION_ARG_INT, &children, "Leaves below each (50)", "N" },
    { "days", 0, 0, G_OPTION_ARG_INT, &days, "How long it goes on (400)", "N" },
    { "from", 0, 0, G_OPTION_ARG_INT, &from, "Scored from that day on (half)", "DAY" },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Of all randomness (1)", "N" },
    { "scale", 0, 0, G_OPTION_ARG_DOUBLE, &scale, "All gaps times that (1)", "X" },
    { "latency", 0, 0, G_OPTION_ARG_INT, &latency, "Of a link, at most (100)", "MS" },
    { "uneven", 0, 0, G_OPTION_ARG_NONE, &uneven,
      "2/5 to 8/5 of the leaves, rates x 1/4 to 4", NULL },
    { "ideal", 0, 0, G_OPTION_ARG_NONE, &ideal, "No messages: instant knowledge", NULL },
    { "quiet", 0, 0, G_OPTION_ARG_NONE, &quiet, "No plot", NULL },
    { "csv", 0, 0, G_OPTION_ARG_FILENAME, &options->csv, "Writes each day", "FILE" },
    { "svg", 0, 0, G_OPTION_ARG_FILENAME, &options->svg, "Draws utilisation and G-RIB", "FILE" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autoptr(GOptionContext) context = g_option_context_new("- the claim algorithm under load");
  g_option_context_add_main_entries(context, entries, NULL);
  if (!g_option_context_parse(context, argc, argv, error))
    return false;
  options->tlds = (unsigned)CLAMP(tlds, 1, 200);
  options->children = (unsigned)CLAMP(children, 1, 500);
  options->days = (unsigned)CLAMP(days, 2, 5000);
  options->from = from < 0 ? options->days / 2 : (unsigned)MIN(from, days - 1);
  options->seed = (uint64_t)seed;
  options->scale = scale;
  options->uneven = uneven;
  options->ideal = ideal;
  options->quiet = quiet;
  options->latency = (int64_t)latency * 1000;
  return true;
}

int main(int argc, char **argv)
{
  Options options = { 0 };
  g_autoptr(GError) error = NULL;
  if (!parse(&options, &argc, &argv, &error)) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  unsigned leaves = 0;
  for (unsigned i = 0; i < options.tlds; i++)
    leaves += tree_children(&options, i);
  Score score;
  score_init(&score, &options, leaves);
  if (options.ideal)
    ideal_run(&score);
  else
    real_run(&score);
  score_print(&score);
  if (!options.quiet)
    score_plot(&score);
  bool ok = (options.csv == NULL || score_csv(&score, options.csv)) &&
            (options.svg == NULL || score_svg(&score, options.svg)) && score.overlaps == 0;
  score_clear(&score);
  return ok ? 0 : 1;
}
