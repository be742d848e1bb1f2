/* The scopes of a world, and the zones that boundaries cut them into (RFC 2909 4.5): a scope is the
   same to two domains only where they are in one zone of it. */
#include "masc-world-private.h"

typedef enum {
  ZONES_NONE, /* everybody is in it */
  ZONES_TREES, /* one for the tree of each top-level domain */
  ZONES_ANY /* around any domains; parents of all that are in one may be outside */
} Zones;

/* BITS: of the addresses, by how tight the world is. IPv6: group ids that servers lease. */
static const struct {
  const char *name;
  MalFamily family;
  const char *first;
  unsigned bits[3];
  Zones zones;
  int64_t number;
} kinds[] = {
  { "world", MAL_IPV4, "239.192.0.0", { 17, 15, 12 }, ZONES_NONE, 0 },
  { "zone", MAL_IPV4, "239.200.0.0", { 16, 14, 12 }, ZONES_TREES, 0 },
  { "site", MAL_IPV4, "239.208.0.0", { 16, 14, 12 }, ZONES_ANY, 1 },
  { "campus", MAL_IPV4, "239.216.0.0", { 16, 14, 12 }, ZONES_ANY, 2 },
  { "world6", MAL_IPV6, "ff0e::db8:8000:0", { 28, 15, 12 }, ZONES_NONE, 0 },
  { "zone6", MAL_IPV6, "ff08::db8:8000:0", { 16, 14, 12 }, ZONES_TREES, 0 },
  { "site6", MAL_IPV6, "ff05::db8:8000:0", { 16, 14, 12 }, ZONES_ANY, 1 },
};

static bool is_wanted(const World *w, size_t kind)
{
  const int64_t *set = w->plan->settings;
  if (set[SET_FAMILIES] == (kinds[kind].family == MAL_IPV4 ? FAMILIES_IPV6 : FAMILIES_IPV4))
    return false;
  return kinds[kind].zones == ZONES_NONE ||
         (kinds[kind].zones == ZONES_TREES ? set[SET_ZONED] != 0
                                           : set[SET_ZONES] >= kinds[kind].number);
}

/* ---- zones ----------------------------------------------------------------------------------- */

static unsigned first_parent(const World *w, unsigned domain)
{
  for (unsigned i = 0; i < w->n_links; i++)
    if (w->link[i].domain == domain && !w->link[i].sibling)
      return w->link[i].other;
  return NONE;
}

/* The first of its parent's children that has a zone of its own. */
static unsigned sister(const World *w, const Scope *s, unsigned domain)
{
  for (unsigned i = TOPS; i < domain; i++)
    if (s->zone[i] == i && first_parent(w, i) == first_parent(w, domain))
      return i;
  return NONE;
}

static unsigned draw_zone(const World *w, const Scope *s, MalWorldRandom *r, unsigned domain)
{
  unsigned parent = first_parent(w, domain), other = sister(w, s, domain);
  uint64_t dice = between(r, 0, 99);
  if (domain < TOPS || parent == NONE || dice < 35)
    return domain;
  return dice < 60 && other != NONE ? other : s->zone[parent];
}

/* A top-level domain may be in the zone of the one that it was joined to first. */
static unsigned draw_top_zone(const World *w, const Scope *s, MalWorldRandom *r, unsigned domain)
{
  bool alone = chance(r, 65);
  for (unsigned i = 0; i < w->n_links && !alone; i++)
    if (w->link[i].domain == domain && w->link[i].sibling && w->link[i].common == NONE)
      return s->zone[w->link[i].other];
  return domain;
}

static void make_zones(World *w, Scope *s, Zones zones)
{
  MalWorldRandom r = { w->plan->seed * 0xbf58476d1ce4e5b9u + (uint64_t)(s - w->scope) };
  for (unsigned i = 0; i < DOMAINS; i++)
    if (zones == ZONES_TREES)
      s->zone[i] = w->domain[i].zone;
    else if (zones == ZONES_ANY)
      s->zone[i] = i < TOPS ? draw_top_zone(w, s, &r, i) : draw_zone(w, s, &r, i);
}

void world_make_scopes(World *w)
{
  for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
    Scope *s = &w->scope[w->n_scopes];
    unsigned bits = kinds[i].bits[w->plan->settings[SET_TIGHT]];
    MalPrefix all = { .length = (kinds[i].family == MAL_IPV4 ? 32 : 128) - bits };
    if (!is_wanted(w, i))
      continue;
    if (!mal_address_parse(kinds[i].first, &all.address, NULL))
      g_error("%s is no address", kinds[i].first);
    w->n_scopes++;
    s->name = kinds[i].name;
    s->span = mal_span_of_prefix(all);
    s->any = kinds[i].zones == ZONES_ANY;
    w->everybodys |= kinds[i].zones == ZONES_NONE ? UINT32_C(1) << (w->n_scopes - 1) : 0;
    make_zones(w, s, kinds[i].zones);
  }
}

/* ---- who is in one --------------------------------------------------------------------------- */

unsigned world_scope_of(const World *w, MalAddress address)
{
  for (unsigned i = 0; i < w->n_scopes; i++)
    if (mal_span_has(w->scope[i].span, address))
      return i;
  g_assert_not_reached();
}

bool world_zoned(const World *w, unsigned scope, unsigned a, unsigned b)
{
  return w->scope[scope].zone[a] == w->scope[scope].zone[b];
}

uint32_t world_common_scopes(const World *w, unsigned a, unsigned b)
{
  uint32_t out = 0;
  for (unsigned i = 0; i < w->n_scopes; i++)
    out |= world_zoned(w, i, a, b) ? UINT32_C(1) << i : 0;
  return out;
}


/* ---- configuration --------------------------------------------------------------------------- */

void world_write_scopes(GString *text, const World *w)
{
  for (unsigned i = 0; i < w->n_scopes; i++) {
    const Scope *s = &w->scope[i];
    char first[MAL_ADDRESS_STRLEN], last[MAL_ADDRESS_STRLEN];
    g_string_append_printf(text, "[scope %s]\nfamily=%s\nttl=%u\ndivisible=yes\n", s->name,
                           s->span.first.family == MAL_IPV4 ? "ipv4" : "ipv6", i == 0 ? 127 : 63);
    g_string_append_printf(text, "first=%s\nlast=%s\n", mal_address_format(s->span.first, first),
                           mal_address_format(s->span.last, last));
  }
}

void world_write_peer_scopes(GString *text, const World *w, uint32_t scopes)
{
  const char *before = "scopes=";
  if (scopes == (UINT32_C(1) << w->n_scopes) - 1)
    return;
  for (unsigned i = 0; i < w->n_scopes; i++)
    if ((scopes >> i & 1) != 0) {
      g_string_append_printf(text, "%s%s", before, w->scope[i].name);
      before = ";";
    }
  g_string_append_c(text, '\n');
}
