/* A scope's occupancy, drawn: each character stands for a cell of space.map. */
#include "ctl.h"

#include <string.h>

#define CELLS_MOST 4096         /* of space.map */
#define COLUMNS_MOST 64
#define ROWS 16                 /* without a terminal to say */
#define RULER 17                /* an address and two spaces, while it isn't known better */

typedef struct {
  const char *levels[8];        /* by the eighths of the cell that are leased */
  const char *free, *reserved, *excluded;
} Glyphs;

static const Glyphs drawn = { { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }, "·", "×", "░" };
static const Glyphs typed = { { "1", "2", "3", "4", "5", "6", "7", "#" }, ".", "x", "-" };

typedef struct {
  uint64_t size, owned, leased, reserved, excluded;
} Counts;

/* A power of two, so that rows begin at round addresses. */
static unsigned columns_for(const MalCtlTerm *term, unsigned ruler)
{
  unsigned n = COLUMNS_MOST;
  while (term->width > 0 && n > 8 && n + ruler > term->width)
    n /= 2;
  return n;
}

unsigned mal_ctl_map_cells(const MalCtlTerm *term, uint64_t total)
{
  unsigned rows = term->height > 12 ? MIN(term->height - 6, 32) : term->height > 0 ? 6 : ROWS;
  uint64_t most = MIN(rows * columns_for(term, RULER), CELLS_MOST), each = 1;
  while (each < (UINT64_C(1) << 62) && total / each + (total % each != 0) > most)
    each *= 2;
  return (unsigned)MAX(total / each + (total % each != 0), 1);
}

static Counts counts_of(json_object *cell)
{
  return (Counts){
    .size = (uint64_t)mal_ctl_number(cell, "size"),
    .owned = (uint64_t)mal_ctl_number(cell, "owned"),
    .leased = (uint64_t)mal_ctl_number(cell, "leased"),
    .reserved = (uint64_t)mal_ctl_number(cell, "reserved"),
    .excluded = (uint64_t)mal_ctl_number(cell, "excluded"),
  };
}

/* *COLOUR: the number of an ANSI colour, or NULL. */
static const char *glyph(const Glyphs *g, const Counts *c, const char **colour)
{
  uint64_t whole = MAX(c->owned, 1);
  *colour = NULL;
  if (c->leased > 0) {
    *colour = "32";
    /* Full only when it is full; seen as soon as there is one. */
    return c->leased >= whole - MIN(c->reserved, whole - 1)
             ? g->levels[7]
             : g->levels[MIN(c->leased * 8 / whole, 6)];
  }
  if (c->owned == 0)
    return *colour = "90", g->excluded;
  if (c->reserved * 2 > c->owned)
    return *colour = "33", g->reserved;
  return g->free;
}

static void draw_cell(const MalCtlTerm *term, const Glyphs *g, const Counts *c)
{
  const char *colour, *text = glyph(g, c, &colour);
  if (term->colours && colour)
    fprintf(term->out, "\033[%sm%s\033[0m", colour, text);
  else
    fputs(text, term->out);
}

static unsigned widest_address(json_object *cells)
{
  unsigned width = 0;
  for (size_t i = 0; i < mal_ctl_length(cells); i++) {
    const char *first = mal_ctl_text(json_object_array_get_idx(cells, i), "first");
    width = MAX(width, first ? (unsigned)MIN(strlen(first), 48) : 0);
  }
  return width;
}

static void legend(const MalCtlTerm *term, const Glyphs *g, const Counts *sum, size_t n)
{
  uint64_t taken = sum->leased + sum->reserved;
  fprintf(term->out,
          "\n%s free %" G_GUINT64_FORMAT "   %s-%s leased %" G_GUINT64_FORMAT
          "   %s reserved %" G_GUINT64_FORMAT "   %s never leased %" G_GUINT64_FORMAT "\n",
          g->free, sum->owned > taken ? sum->owned - taken : 0, g->levels[0], g->levels[7],
          sum->leased, g->reserved, sum->reserved, g->excluded, sum->excluded);
  uint64_t each = (sum->size + n - 1) / n;
  fprintf(term->out, "%" G_GUINT64_FORMAT " addresses, %s%" G_GUINT64_FORMAT " to a character\n",
          sum->size, each * n == sum->size ? "" : "about ", each);
}

static void title(const MalCtlTerm *term, json_object *map)
{
  const char *scope = mal_ctl_text(map, "scope");
  const char *first = mal_ctl_text(map, "first"), *last = mal_ctl_text(map, "last");
  g_autofree char *text = g_strdup_printf("%s %s-%s", scope ? scope : "", first ? first : "?",
                                          last ? last : "?");
  g_autofree char *safe = mal_ctl_clean(term, text);
  fprintf(term->out, "%s\n", safe);
}

static void start_row(const MalCtlTerm *term, unsigned ruler, json_object *cell)
{
  const char *first = mal_ctl_text(cell, "first");
  g_autofree char *safe = mal_ctl_clean(term, first ? first : "");
  fprintf(term->out, "%-*s  ", (int)ruler, safe);
}

void mal_ctl_map_draw(const MalCtlTerm *term, json_object *map)
{
  const Glyphs *g = term->utf8 ? &drawn : &typed;
  json_object *cells = mal_ctl_member(map, "cells");
  size_t n = json_object_is_type(cells, json_type_array) ? mal_ctl_length(cells) : 0;
  title(term, map);
  if (n == 0) {
    fputs("no addresses of this scope are owned: nothing to draw (mallocctl ranges shows what is "
          "available)\n",
          term->out);
    return;
  }
  Counts sum = { 0 };
  unsigned ruler = widest_address(cells),
           columns = columns_for(term, MAX(ruler + 2, RULER));
  for (size_t i = 0; i < n; i++) {
    json_object *cell = json_object_array_get_idx(cells, i);
    Counts c = counts_of(cell);
    if (i % columns == 0)
      start_row(term, ruler, cell);
    draw_cell(term, g, &c);
    if (i % columns == columns - 1 || i + 1 == n)
      fputc('\n', term->out);
    sum.size += c.size;
    sum.owned += c.owned;
    sum.leased += c.leased;
    sum.reserved += c.reserved;
    sum.excluded += c.excluded;
  }
  legend(term, g, &sum, n);
}
