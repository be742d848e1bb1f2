#include "bird-file.h"

#include <string.h>

#define SYMBOL_MOST 63

typedef struct {
  const BirdForm *form;
  GArray *prefixes[BIRD_FAMILIES];
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

static void add_line(GString *out, const BirdForm *form, unsigned family, MalPrefix prefix)
{
  static const char *const words[] = {
    [BIRD_BLACKHOLE] = "blackhole", [BIRD_UNREACHABLE] = "unreachable", [BIRD_PROHIBIT] = "prohibit"
  };
  char address[MAL_ADDRESS_STRLEN], via[MAL_ADDRESS_STRLEN];
  mal_address_format(prefix.address, address);
  if (form->kind == BIRD_FLOW)
    g_string_append_printf(out, "  route flow%s { dst %s/%u; };\n", family == BIRD_V4 ? "4" : "6",
                           address, prefix.length);
  else if (form->kind == BIRD_VIA)
    g_string_append_printf(out, "  route %s/%u via %s;\n", address, prefix.length,
                           mal_address_format(form->via[family], via));
  else
    g_string_append_printf(out, "  route %s/%u %s;\n", address, prefix.length, words[form->kind]);
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

/* Prefixes come by address, the shorter first: what PREFIX lies inside of, or is the other half of,
   is the last one. */
static void add_aggregated(GArray *prefixes, MalPrefix prefix)
{
  while (prefixes->len > 0) {
    MalPrefix last = g_array_index(prefixes, MalPrefix, prefixes->len - 1), whole;
    if (is_inside(prefix, last))
      return;
    if (!join(last, prefix, &whole))
      break;
    g_array_set_size(prefixes, prefixes->len - 1);
    prefix = whole;
  }
  g_array_append_val(prefixes, prefix);
}

static void add_distinct(GArray *prefixes, MalPrefix prefix)
{
  MalPrefix last =
      prefixes->len > 0 ? g_array_index(prefixes, MalPrefix, prefixes->len - 1) : (MalPrefix){ 0 };
  if (!mal_address_equal(last.address, prefix.address) || last.length != prefix.length)
    g_array_append_val(prefixes, prefix);
}

static void on_route(const MalRoute *route, void *data)
{
  Gathering *g = data;
  unsigned family = route->prefix.address.family == MAL_IPV4 ? BIRD_V4 : BIRD_V6;
  if (g->form->aggregate)
    add_aggregated(g->prefixes[family], route->prefix);
  else
    add_distinct(g->prefixes[family], route->prefix);
}

/* ---- what is written ------------------------------------------------------------------------- */

static void add_lines(GString *out, const BirdForm *form, unsigned family, const GArray *prefixes,
                      BirdCount *count)
{
  for (guint i = 0; i < prefixes->len; i++) {
    if (count->routes >= form->most) {
      count->left_out++;
      continue;
    }
    count->routes++;
    add_line(out, form, family, g_array_index(prefixes, MalPrefix, i));
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

static GArray *prefixes_new(void)
{
  return g_array_new(FALSE, FALSE, sizeof(MalPrefix));
}

char *bird_file(const BirdForm *form, const MalRoutes *routes, BirdCount *count)
{
  Gathering g = { form, { prefixes_new(), prefixes_new() } };
  GString *out = g_string_new("# Written by mallocd: the group prefixes of which this domain is "
                              "the root. Don't change it:\n# it is written anew with every "
                              "change of them.\n");
  *count = (BirdCount){ 0 };
  if (routes)
    mal_routes_each(routes, on_route, &g);
  for (unsigned family = 0; family < BIRD_FAMILIES; family++) {
    if (form->table[family]) {
      add_protocol(out, form, family);
      add_lines(out, form, family, g.prefixes[family], count);
      g_string_append(out, "}\n");
    } else {
      count->other += g.prefixes[family]->len;
    }
    g_array_unref(g.prefixes[family]);
  }
  return g_string_free(out, FALSE);
}
