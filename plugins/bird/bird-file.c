#include "bird-file.h"

#include "core/events.h"

#include <string.h>

#define SYMBOL_MOST 63

#define UNTIL "  # until "     /* behind a route that ends; contrib/bird reads it */

typedef struct {
  MalPrefix prefix;
  MalTime until;
} Line;

typedef struct {
  const BirdForm *form;
  GArray *lines[BIRD_FAMILIES];
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
    g_string_append_printf(out, "  route flow%s { dst %s/%u; };", family == BIRD_V4 ? "4" : "6",
                           address, prefix.length);
  else if (form->kind == BIRD_VIA)
    g_string_append_printf(out, "  route %s/%u via %s;", address, prefix.length,
                           mal_address_format(form->via[family], via));
  else
    g_string_append_printf(out, "  route %s/%u %s;", address, prefix.length, words[form->kind]);
}

static void add_line(GString *out, const BirdForm *form, unsigned family, const Line *line)
{
  char until[MAL_TIME_STRLEN];
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
      return;
    }
    if (!join(last->prefix, line.prefix, &whole))
      break;
    g_array_set_size(lines, lines->len - 1);
    line = (Line){ whole, until };
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
  Line line = { route->prefix, route->until };
  if (g->form->aggregate)
    add_aggregated(g->lines[family], line);
  else
    add_distinct(g->lines[family], line);
}

/* ---- what is written ------------------------------------------------------------------------- */

static void add_lines(GString *out, const BirdForm *form, unsigned family, const GArray *lines,
                      BirdCount *count)
{
  for (guint i = 0; i < lines->len; i++) {
    if (count->routes >= form->most) {
      count->left_out++;
      continue;
    }
    count->routes++;
    add_line(out, form, family, &g_array_index(lines, Line, i));
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
  Gathering g = { form, { lines_new(), lines_new() } };
  GString *out = g_string_new("# Written by mallocd: the group prefixes of which this domain is "
                              "the root. Don't change it:\n# it is written anew with every "
                              "change of them.\n");
  *count = (BirdCount){ 0 };
  if (routes)
    mal_routes_each(routes, on_route, &g);
  for (unsigned family = 0; family < BIRD_FAMILIES; family++) {
    if (form->table[family]) {
      add_protocol(out, form, family);
      add_lines(out, form, family, g.lines[family], count);
      g_string_append(out, "}\n");
    } else {
      count->other += g.lines[family]->len;
    }
    g_array_unref(g.lines[family]);
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

bool bird_file_is_same(const char *a, const char *b)
{
  while (*a && *b) {
    size_t length = said_length(a);
    if (said_length(b) != length || strncmp(a, b, length) != 0)
      return false;
    a += strcspn(a, "\n");
    b += strcspn(b, "\n");
    a += *a == '\n';
    b += *b == '\n';
  }
  return *a == *b;
}
