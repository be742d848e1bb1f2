/* What a world of MASC is made of, drawn from its seed. */
#include "masc-world-private.h"

typedef struct {
  unsigned tops, children, nodes, days_least, days_most, gap_h;
} Bounds;

/* At most; GAP: hours between two troubles. */
static const Bounds bounds[MAL_WORLD_SIZES] = {
  [MAL_WORLD_SMALL] = { 2, 2, 2, 5, 18, 48 },
  [MAL_WORLD_MEDIUM] = { 3, 3, 2, 15, 45, 48 },
  [MAL_WORLD_LARGE] = { 4, 4, 3, 20, 50, 36 },
  [MAL_WORLD_HUGE] = { TOPS, CHILDREN, NODES, 30, 60, 24 },
};

/* Where there are servers behind the coordinators, which cost as much. */
static const Bounds served_bounds[MAL_WORLD_SIZES] = {
  [MAL_WORLD_SMALL] = { 2, 1, 2, 5, 12, 48 },
  [MAL_WORLD_MEDIUM] = { 2, 2, 2, 10, 25, 48 },
  [MAL_WORLD_LARGE] = { 3, 3, 2, 15, 30, 36 },
  [MAL_WORLD_HUGE] = { TOPS, 4, NODES, 20, 40, 24 },
};

/* CALM: also in worlds without partitions. */
static const struct {
  WorldKind kind;
  unsigned weight;
  bool calm;
} troubles[] = {
  { KIND_CRASH, 11, true },      { KIND_WIPE, 5, true },        { KIND_BLACKOUT, 2, true },
  { KIND_BAD_DISK, 5, true },    { KIND_STEP, 8, true },        { KIND_RESET, 8, true },
  { KIND_CUT_SHORT, 9, false },  { KIND_CUT_LONG, 12, false },  { KIND_CUT_INSIDE, 6, false },
  { KIND_CUT_HALVES, 5, false }, { KIND_ROLE, 4, true },        { KIND_PROVIDER, 5, true },
  { KIND_BURST, 11, true },      { KIND_LULL, 6, true },        { KIND_FLOOD, 3, true },
};

static WorldKind draw_kind(const MalWorldPlan *plan, MalWorldRandom *r)
{
  for (;;) {
    uint64_t dice = between(r, 0, 99);
    size_t i = 0;
    while (i < G_N_ELEMENTS(troubles) && dice >= troubles[i].weight)
      dice -= troubles[i++].weight;
    if (i < G_N_ELEMENTS(troubles) && (troubles[i].calm || !plan->settings[SET_CALM]))
      return troubles[i].kind;
  }
}

static void draw_settings(MalWorldPlan *plan, MalWorldRandom *r, const Bounds *b)
{
  int64_t *set = plan->settings;
  set[SET_TOPS] = (int64_t)between(r, 1, b->tops);
  set[SET_NODES] = (int64_t)between(r, 1, b->nodes);
  set[SET_ZONED] = chance(r, 25);
  set[SET_TIGHT] = chance(r, 40) ? 0 : chance(r, 65) ? 1 : 2;
  set[SET_MESH] = (int64_t)between(r, 0, 60);
  set[SET_CALM] = chance(r, 25);
}

/* What seeds from ten thousand on draw besides, from a stream of their own: the ten thousands say
   what it is about. Nothing of it shifts what else is drawn. */
#define MORE 10000
enum { ABOUT_NOTHING, ABOUT_ZONES, ABOUT_FAMILIES, ABOUT_SERVERS, ABOUT_HAND };

static void draw_zones(int64_t *set, MalWorldRandom *r)
{
  set[SET_ZONES] = (int64_t)between(r, 1, 2);
}

static void draw_families(int64_t *set, MalWorldRandom *r)
{
  set[SET_FAMILIES] = chance(r, 50) ? FAMILIES_IPV6 : FAMILIES_BOTH;
  set[SET_LONG] = set[SET_FAMILIES] == FAMILIES_IPV6 && chance(r, 50);
}

static void draw_servers(int64_t *set, MalWorldRandom *r)
{
  set[SET_SERVERS] = (int64_t)between(r, 1, SERVERS);
}

static void draw_more_settings(int64_t *set, MalWorldRandom *r, uint64_t about)
{
  switch (about) {
  case ABOUT_ZONES: draw_zones(set, r); break;
  case ABOUT_FAMILIES: draw_families(set, r); break;
  case ABOUT_SERVERS: draw_servers(set, r); break;
  case ABOUT_HAND: set[SET_HAND] = 30; break;
  default:
    set[SET_HAND] = chance(r, 30) ? 10 : 0;
    if (chance(r, 50))
      draw_zones(set, r);
    if (chance(r, 50))
      draw_families(set, r);
    if (chance(r, 50))
      draw_servers(set, r);
    break;
  }
}

static const struct {
  WorldKind kind;
  unsigned weight;
  bool servers;
} more_troubles[] = {
  { KIND_CLAIM, 30, false },       { KIND_WITHDRAW, 30, false },   { KIND_SERVER_CRASH, 20, true },
  { KIND_SERVER_WIPE, 8, true },   { KIND_SITE_CUT, 12, true },
};

static void draw_more_troubles(MalWorldPlan *plan, MalWorldRandom *r, unsigned n_domains)
{
  const int64_t *set = plan->settings;
  for (int64_t at = HOUR; at < plan->until;) {
    uint64_t dice = between(r, 0, 99);
    size_t i = 0;
    while (dice >= more_troubles[i].weight)
      dice -= more_troubles[i++].weight;
    uint64_t who = mal_world_plan_item(plan, (guint)between(r, 0, n_domains - 1))->who;
    uint64_t a = mal_world_random(r) % 1000, b = between(r, 0, chance(r, 70) ? 12 : 80);
    if (more_troubles[i].servers ? set[SET_SERVERS] > 0 : set[SET_HAND] > 0) {
      MalWorldItem *item = mal_world_plan_add(plan, r, more_troubles[i].kind, at);
      item->who = who;
      item->a = a;
      item->b = b;
    }
    at += (int64_t)between(r, 1, 48) * HOUR;
  }
}

/* A: the first parent; B: the second one and 1, or 0. */
static void draw_domains(MalWorldPlan *plan, MalWorldRandom *r, const Bounds *b)
{
  unsigned tops = (unsigned)plan->settings[SET_TOPS], n = TOPS;
  for (unsigned i = 0; i < tops; i++)
    mal_world_plan_add(plan, r, KIND_DOMAIN, 0)->who = i;
  for (unsigned i = 0; i < tops; i++) {
    unsigned children = (unsigned)between(r, i == 0 && tops == 1, b->children);
    unsigned first = n;
    for (unsigned k = 0; k < children; k++, n++) {
      uint64_t parent = k > 0 && chance(r, 20) ? between(r, first, n - 1) : i;
      uint64_t second = chance(r, 25) ? between(r, 0, tops - 1) + 1 : 0;
      MalWorldItem *item = mal_world_plan_add(plan, r, KIND_DOMAIN, 0);
      item->who = n;
      item->a = parent;
      item->b = second == parent + 1 || parent >= TOPS ? 0 : second;
    }
  }
}

/* Hours. */
static uint64_t draw_length(MalWorldRandom *r, WorldKind kind)
{
  switch (kind) {
  case KIND_CUT_SHORT:
    return between(r, 1, 40);
  case KIND_CUT_LONG:
    return between(r, 50, 240);
  case KIND_CUT_INSIDE:
  case KIND_CUT_HALVES:
    return chance(r, 50) ? between(r, 1, 40) : between(r, 50, 200);
  case KIND_LULL:
    return between(r, 100, 600);
  case KIND_BAD_DISK:
  case KIND_ROLE:
    return between(r, 1, 90);
  case KIND_FLOOD:
    return between(r, 1, 30);
  default:
    return chance(r, 70) ? between(r, 0, 12) : between(r, 12, 150);
  }
}

static void draw_trouble(MalWorldPlan *plan, MalWorldRandom *r, unsigned n_domains, int64_t at)
{
  WorldKind kind = draw_kind(plan, r);
  unsigned of = (unsigned)between(r, 0, n_domains - 1);
  uint64_t who = mal_world_plan_item(plan, of)->who, a = mal_world_random(r) % 1000;
  uint64_t length = draw_length(r, kind);
  MalWorldItem *item = mal_world_plan_add(plan, r, kind, at);
  item->who = who;
  item->a = a;
  item->b = length;
}

static void draw(MalWorldPlan *plan, MalWorldRandom *r)
{
  uint64_t about = plan->seed / MORE;
  MalWorldRandom more = { plan->seed * 0x94d049bb133111ebu + 5 };
  if (about != ABOUT_NOTHING)
    draw_more_settings(plan->settings, &more, about);
  const Bounds *b = &(plan->settings[SET_SERVERS] > 0 ? served_bounds : bounds)[plan->size];
  draw_settings(plan, r, b);
  draw_domains(plan, r, b);
  unsigned n_domains = plan->items->len;
  plan->until = (int64_t)between(r, b->days_least, b->days_most) * DAY;
  for (int64_t at = HOUR; at < plan->until;) {
    draw_trouble(plan, r, n_domains, at);
    at += (int64_t)between(r, 1, b->gap_h * 60) * HOUR / 60;
    if (chance(r, 12))
      at += 4 * DAY; /* so that the network is whole for long, now and then */
  }
  if (about != ABOUT_NOTHING)
    draw_more_troubles(plan, &more, n_domains);
}

/* ---- the type -------------------------------------------------------------------------------- */

#define TEXT_OF(name, text) text,
static const char *const kinds[] = { MASC_KINDS_LIST(TEXT_OF) };
static const char *const counts[] = { MASC_COUNTS_LIST(TEXT_OF) };

const MalWorldType mal_masc_world_type = {
  .program = "tests/sim/soak-masc-faults",
  .kinds = kinds,
  .n_kinds = KINDS,
  .counts = counts,
  .n_counts = COUNTS,
  .draw = draw,
  .run = world_run,
};
