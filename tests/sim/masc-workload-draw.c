/* Utilisation and G-RIB over the days: in the terminal, as CSV, as SVG. */
#include <math.h>
#include <stdio.h>

#include "masc-workload.h"

typedef double (*Curve)(const Day *day);

static double curve_u(const Day *day)
{
  return day->u;
}

static double curve_rib(const Day *day)
{
  return day->rib;
}

static const Day *day_of(const Score *score, guint i)
{
  return &g_array_index(score->days, Day, i);
}

/* The next round number: 1, 2, 2.5 or 5 times a power of ten. */
static double round_up(double value)
{
  static const double steps[] = { 1, 2, 2.5, 5, 10 };
  double power = pow(10, floor(log10(MAX(value, 1e-6))));
  unsigned i = 0;
  while (steps[i] * power < value && i < 4)
    i++;
  return steps[i] * power;
}

static double top_of(const Score *score, Curve curve)
{
  double top = 0;
  for (guint i = 0; i < score->days->len; i++)
    top = MAX(top, curve(day_of(score, i)));
  return round_up(top);
}

/* ---- terminal -------------------------------------------------------------------------------- */

#define COLUMNS 72
#define ROWS 10

static void plot(const Score *score, const char *title, Curve curve, double top)
{
  static const char *eighths[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
  double heights[COLUMNS] = { 0 };
  guint n = score->days->len;
  for (unsigned c = 0; c < COLUMNS && n > 0; c++) {
    guint from = c * n / COLUMNS, to = MAX(from + 1, (c + 1) * n / COLUMNS);
    for (guint i = from; i < to; i++)
      heights[c] += curve(day_of(score, i)) / (to - from) / top * ROWS * 8;
  }
  printf("\n%s\n", title);
  for (unsigned row = ROWS; row-- > 0;) {
    printf("%8.*f |", top > 10 ? 0 : 2, top * (row + 1) / ROWS);
    for (unsigned c = 0; c < COLUMNS; c++)
      printf("%s", eighths[(unsigned)CLAMP(heights[c] - row * 8, 0, 8)]);
    printf("\n");
  }
  printf("%8s +%.*s\n%10s%-*s%s %u\n", "", COLUMNS,
         "------------------------------------------------------------------------", "",
         COLUMNS - 8, "day 1", "day", n);
}

void score_plot(const Score *score)
{
  plot(score, "utilisation", curve_u, 1);
  plot(score, "G-RIB, routes", curve_rib, top_of(score, curve_rib));
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool write_file(const char *path, const GString *text)
{
  g_autoptr(GError) error = NULL;
  if (g_file_set_contents(path, text->str, (gssize)text->len, &error))
    return true;
  g_printerr("%s\n", error->message);
  return false;
}

bool score_csv(const Score *score, const char *path)
{
  g_autoptr(GString) out = g_string_new("day,utilisation,grib_average,grib_max,blocks,claimed\n");
  for (guint i = 0; i < score->days->len; i++) {
    const Day *day = day_of(score, i);
    g_string_append_printf(out, "%u,%.5f,%.2f,%.0f,%.0f,%.0f\n", i + 1, day->u, day->rib,
                           day->rib_max, day->blocks, day->claimed);
  }
  return write_file(path, out);
}

#define WIDTH 720.0
#define HEIGHT 200.0
#define LEFT 60.0

static void panel(GString *out, const Score *score, double y0, const char *title, Curve curve,
                  double top)
{
  guint n = score->days->len;
  g_string_append_printf(out, "<text x='%g' y='%g' font-weight='bold'>%s</text>\n", LEFT, y0 - 8,
                         title);
  for (unsigned i = 0; i <= 4; i++) {
    double y = y0 + HEIGHT - HEIGHT * i / 4;
    g_string_append_printf(out,
                           "<path d='M%g %gh%g' stroke='#ccc'/>"
                           "<text x='%g' y='%g' text-anchor='end'>%g</text>\n",
                           LEFT, y, WIDTH, LEFT - 6, y + 4, top * i / 4);
  }
  g_string_append(out, "<path fill='none' stroke='#1b6ca8' stroke-width='1.5' d='");
  for (guint i = 0; i < n; i++)
    g_string_append_printf(out, "%s%.1f %.1f", i > 0 ? "L" : "M", LEFT + WIDTH * i / MAX(n - 1, 1),
                           y0 + HEIGHT - HEIGHT * MIN(curve(day_of(score, i)) / top, 1));
  g_string_append(out, "'/>\n");
  for (guint i = 0; i <= 8; i++)
    g_string_append_printf(out, "<text x='%g' y='%g' text-anchor='middle'>%u</text>\n",
                           LEFT + WIDTH * i / 8, y0 + HEIGHT + 16, n * i / 8);
}

bool score_svg(const Score *score, const char *path)
{
  const Options *o = &score->options;
  Summary sum = score_summary(score);
  g_autoptr(GString) out = g_string_new(NULL);
  g_string_append_printf(
      out,
      "<svg xmlns='http://www.w3.org/2000/svg' width='820' height='560' "
      "font-family='sans-serif' font-size='12'>\n"
      "<rect width='820' height='560' fill='white'/>\n"
      "<text x='60' y='24' font-size='14'>%s, %u x %u, gaps x %g%s, seed "
      "%" G_GUINT64_FORMAT ": U %.3f, G-RIB %.0f / %.0f, waited %.2f %%</text>\n",
      o->ideal ? "Idealised" : "Real messages", o->tlds, o->children, o->scale,
      o->uneven ? ", uneven" : "", o->seed, sum.u, sum.rib, sum.rib_max, sum.waited);
  panel(out, score, 64, "utilisation by day", curve_u, 1);
  panel(out, score, 324, "G-RIB (routes) by day", curve_rib, top_of(score, curve_rib));
  g_string_append(out, "</svg>\n");
  return write_file(path, out);
}
