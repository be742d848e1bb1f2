#include "bird-file.h"

#include <string.h>

#define SYMBOL_MOST 63

typedef struct {
  const BirdForm *form;
  GString *lines[BIRD_FAMILIES];
  MalPrefix last;
  BirdCount *count;
} Writing;

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

static void add_route(GString *out, const BirdForm *form, unsigned family, MalPrefix prefix)
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

static void on_route(const MalRoute *route, void *data)
{
  Writing *w = data;
  unsigned family = route->prefix.address.family == MAL_IPV4 ? BIRD_V4 : BIRD_V6;
  if (mal_address_equal(route->prefix.address, w->last.address) &&
      route->prefix.length == w->last.length)
    return;
  w->last = route->prefix;
  if (!w->form->table[family]) {
    w->count->other++;
  } else if (w->count->routes >= w->form->most) {
    w->count->left_out++;
  } else {
    w->count->routes++;
    add_route(w->lines[family], w->form, family, route->prefix);
  }
}

/* A protocol without routes is there, too: a table that BIRD doesn't know is found at once, not
   when the first route comes. */
static void add_protocol(GString *out, const BirdForm *form, unsigned family, const char *lines)
{
  const char *channel = form->kind == BIRD_FLOW ? "flow" : "ipv";
  g_string_append_printf(out, "\nprotocol static %s {\n  %s%s {\n", form->protocol[family],
                         channel, family == BIRD_V4 ? "4" : "6");
  g_string_append_printf(out, "    table %s;\n    preference %u;\n", form->table[family],
                         form->preference);
  if (form->filter)
    g_string_append_printf(out, "    import filter %s;\n", form->filter);
  g_string_append_printf(out, "  };\n%s}\n", lines);
}

char *bird_file(const BirdForm *form, const MalRoutes *routes, BirdCount *count)
{
  GString *lines[] = { g_string_new(NULL), g_string_new(NULL) };
  Writing w = { .form = form, .lines = { lines[0], lines[1] }, .count = count };
  GString *out = g_string_new("# Written by mallocd: the group prefixes of which this domain is "
                              "the root. Don't change it:\n# it is written anew with every "
                              "change of them.\n");
  *count = (BirdCount){ 0 };
  if (routes)
    mal_routes_each(routes, on_route, &w);
  for (unsigned family = 0; family < BIRD_FAMILIES; family++) {
    if (form->table[family])
      add_protocol(out, form, family, w.lines[family]->str);
    g_string_free(w.lines[family], TRUE);
  }
  return g_string_free(out, FALSE);
}
