#include "bird-file.h"

#include "core/events.h"

#include <string.h>

#define SYMBOL_MOST 63

/* contrib/bird reads these: behind a route that ends; before each part of one that was joined of
   parts with different ends. */
#define UNTIL "  # until "
#define PART "  # part "

typedef struct {
  MalPrefix prefix;
  MalTime until;
  guint first, end;           /* of PARTS: what it was joined of */
} Line;

typedef struct {
  const BirdForm *form;
  GArray *lines[BIRD_FAMILIES];
  GArray *parts[BIRD_FAMILIES];       /* Line, as they came */
} Gathering;

bool bird_is_symbol(const char *name)
{
  size_t length = strlen(name);
  if (length == 0 || length > SYMBOL_MOST || g_ascii_isdigit(*name))
    return false;
  for (const char *c = name; *c; c++)
    if (!g_ascii_isalnum(*c) && *c != '_')
      return false;
  return true;
}

static void add_statement(GString *out, const BirdForm *form, unsigned family, MalPrefix prefix)
{
  static const char *const words[] = {
    [BIRD_BLACKHOLE] = "blackhole", [BIRD_UNREACHABLE] = "unreachable", [BIRD_PROHIBIT] = "prohibit"
  };
  char address[MAL_ADDRESS_STRLEN], via[MAL_ADDRESS_STRLEN];
  mal_address_format(prefix.address, address);
  if (form->kind == BIRD_FLOW)
    g_string_append_printf(out, "route flow%s { dst %s/%u; };", family == BIRD_V4 ? "4" : "6",
                           address, prefix.length);
  else if (form->kind == BIRD_VIA)
    g_string_append_printf(out, "route %s/%u via %s;", address, prefix.length,
                           mal_address_format(form->via[family], via));
  else
    g_string_append_printf(out, "route %s/%u %s;", address, prefix.length, words[form->kind]);
}

static void add_line(GString *out, const BirdForm *form, unsigned family, const Line *line,
                     const char *before)
{
  char until[MAL_TIME_STRLEN];
  g_string_append(out, before);
  add_statement(out, form, family, line->prefix);
  if (line->until != MAL_FOREVER)
    g_string_append_printf(out, UNTIL "%s", mal_time_format(line->until, until));
  g_string_append_c(out, '\n');
}

/* ---- which prefixes -------------------------------------------------------------------------- */

static bool is_inside(MalPrefix inner, MalPrefix outer)
{
  return inner.length >= outer.length && mal_span_has(mal_span_of_prefix(outer), inner.address);
}

/* The prefix of which A and B are the halves. */
static bool join(MalPrefix a, MalPrefix b, MalPrefix *out)
{
  if (a.length != b.length || a.length == 0)
    return false;
  MalPrefix whole = { a.address, a.length - 1 };
  MalSpan span = mal_span_of_prefix(whole);
  *out = whole;
  return mal_address_equal(span.first, a.address) && mal_span_has(span, b.address);
}

/* Prefixes come by address, the shorter first: what LINE lies inside of, or is the other half of,
   is the last one. */
static void add_aggregated(GArray *lines, Line line)
{
  while (lines->len > 0) {
    Line *last = &g_array_index(lines, Line, lines->len - 1);
    MalPrefix whole;
    MalTime until = MAX(last->until, line.until);
    if (is_inside(line.prefix, last->prefix)) {
      last->until = until;
      last->end = line.end;
      return;
    }
    if (!join(last->prefix, line.prefix, &whole))
      break;
    g_array_set_size(lines, lines->len - 1);
    line = (Line){ whole, until, last->first, line.end };
  }
  g_array_append_val(lines, line);
}

static void add_distinct(GArray *lines, Line line)
{
  Line *last = lines->len > 0 ? &g_array_index(lines, Line, lines->len - 1) : NULL;
  if (last && mal_address_equal(last->prefix.address, line.prefix.address) &&
      last->prefix.length == line.prefix.length)
    last->until = MAX(last->until, line.until);
  else
    g_array_append_val(lines, line);
}

static void on_route(const MalRoute *route, void *data)
{
  Gathering *g = data;
  unsigned family = route->prefix.address.family == MAL_IPV4 ? BIRD_V4 : BIRD_V6;
  Line line = { route->prefix, route->until, g->parts[family]->len, g->parts[family]->len + 1 };
  if (g->form->aggregate)
    g_array_append_val(g->parts[family], line);
  if (g->form->aggregate)
    add_aggregated(g->lines[family], line);
  else
    add_distinct(g->lines[family], line);
}

/* ---- what is written ------------------------------------------------------------------------- */

/* So that who drops what ends while mallocd is down leaves the rest. */
static void add_parts(GString *out, const Gathering *g, unsigned family, const Line *line)
{
  bool differ = false;
  for (guint i = line->first; g->form->aggregate && i < line->end; i++)
    differ |= g_array_index(g->parts[family], Line, i).until != line->until;
  for (guint i = line->first; differ && i < line->end; i++)
    add_line(out, g->form, family, &g_array_index(g->parts[family], Line, i), PART);
}

static void add_lines(GString *out, const Gathering *g, unsigned family, BirdCount *count)
{
  for (guint i = 0; i < g->lines[family]->len; i++) {
    const Line *line = &g_array_index(g->lines[family], Line, i);
    if (count->routes >= g->form->most) {
      count->left_out++;
      continue;
    }
    count->routes++;
    add_line(out, g->form, family, line, "  ");
    add_parts(out, g, family, line);
  }
}

/* A protocol without routes is there, too: a table that BIRD doesn't know is found at once, not
   when the first route comes. */
static void add_protocol(GString *out, const BirdForm *form, unsigned family)
{
  const char *channel = form->kind == BIRD_FLOW ? "flow" : "ipv";
  g_string_append_printf(out, "\nprotocol static %s {\n  %s%s {\n", form->protocol[family],
                         channel, family == BIRD_V4 ? "4" : "6");
  g_string_append_printf(out, "    table %s;\n    preference %u;\n", form->table[family],
                         form->preference);
  if (form->filter)
    g_string_append_printf(out, "    import filter %s;\n", form->filter);
  g_string_append(out, "  };\n");
}

static GArray *lines_new(void)
{
  return g_array_new(FALSE, FALSE, sizeof(Line));
}

char *bird_file(const BirdForm *form, const MalRoutes *routes, BirdCount *count)
{
  Gathering g = { form, { lines_new(), lines_new() }, { lines_new(), lines_new() } };
  GString *out = g_string_new("# Written by mallocd: the group prefixes of which this domain is "
                              "the root. Don't change it:\n# it is written anew with every "
                              "change of them.\n");
  *count = (BirdCount){ 0 };
  if (routes)
    mal_routes_each(routes, on_route, &g);
  for (unsigned family = 0; family < BIRD_FAMILIES; family++) {
    if (form->table[family]) {
      add_protocol(out, form, family);
      add_lines(out, &g, family, count);
      g_string_append(out, "}\n");
    } else {
      count->other += g.lines[family]->len;
    }
    g_array_unref(g.lines[family]);
    g_array_unref(g.parts[family]);
  }
  return g_string_free(out, FALSE);
}

/* Where the line at TEXT ends for BIRD. */
static size_t said_length(const char *text)
{
  size_t length = strcspn(text, "\n");
  const char *until = g_strstr_len(text, (gssize)length, UNTIL);
  return until ? (size_t)(until - text) : length;
}

static const char *skip_parts(const char *text)
{
  while (g_str_has_prefix(text, PART)) {
    text += strcspn(text, "\n");
    text += *text == '\n';
  }
  return text;
}

bool bird_file_is_same(const char *a, const char *b)
{
  a = skip_parts(a);
  b = skip_parts(b);
  while (*a && *b) {
    size_t length = said_length(a);
    if (said_length(b) != length || strncmp(a, b, length) != 0)
      return false;
    a += strcspn(a, "\n");
    b += strcspn(b, "\n");
    a = skip_parts(a + (*a == '\n'));
    b = skip_parts(b + (*b == '\n'));
  }
  return *a == *b;
}
