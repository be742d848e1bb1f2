/* What a world of AAP is made of, drawn from its seed. */
#include "aap-world-private.h"

typedef struct {
  unsigned servers_least, servers_most, seconds_least, seconds_most, gap;
} Bounds;

/* GAP: seconds between two troubles, at most. */
static const Bounds bounds[MAL_WORLD_SIZES] = {
  [MAL_WORLD_SMALL] = { 2, 5, 600, 2400, 240 },
  [MAL_WORLD_MEDIUM] = { 3, 10, 900, 4800, 200 },
  [MAL_WORLD_LARGE] = { 10, 25, 1200, 3600, 120 },
  [MAL_WORLD_HUGE] = { 30, SERVERS, 1200, 2400, 120 },
};

/* CALM: also in a network that loses nothing. LARGE: only where there are coordinators. */
static const struct {
  WorldKind kind;
  unsigned weight;
  bool calm, large;
} troubles[] = {
  { KIND_CRASH, 9, true, false },
  { KIND_WIPE, 4, true, false },
  { KIND_BLACKOUT, 2, true, false },
  { KIND_SLOW_DISK, 4, true, false },
  { KIND_BAD_DISK, 3, true, false },
  { KIND_STEP, 5, true, false },
  { KIND_JITTER, 5, true, false },
  { KIND_LOSS, 9, false, false },
  { KIND_CUT_SHORT, 6, false, false },
  { KIND_CUT_LONG, 9, false, false },
  { KIND_CUT_ONE_WAY, 5, false, false },
  { KIND_MUTE, 3, false, false },
  { KIND_BURST, 8, true, false },
  { KIND_NAMED, 5, true, false },
  { KIND_SHRINK, 4, true, false },
  { KIND_GROW, 2, true, false },
  { KIND_END, 3, true, false },
  { KIND_EXCLUDE, 2, true, false },
  { KIND_FAILOVER, 5, true, true },
  { KIND_DISAGREE, 3, true, true },
  { KIND_NO_COORDINATOR, 3, true, true },
};

static WorldKind draw_kind(const MalWorldPlan *plan, MalWorldRandom *r)
{
  bool calm = plan->settings[SET_CALM] != 0, large = plan->settings[SET_LARGE] != 0;
  for (;;) {
    uint64_t dice = between(r, 0, 99);
    size_t i = 0;
    while (i < G_N_ELEMENTS(troubles) && dice >= troubles[i].weight)
      dice -= troubles[i++].weight;
    if (i < G_N_ELEMENTS(troubles) && (troubles[i].calm || !calm) && (!troubles[i].large || large))
      return troubles[i].kind;
  }
}

static void draw_settings(MalWorldPlan *plan, MalWorldRandom *r, const Bounds *b)
{
  static const int64_t pools[] = { 0, 8, 32, 256 }, blocks[] = { 1, 4, 16, 16 };
  static const int64_t lifetimes[] = { 600, 1800, 7200, 86400 };
  int64_t *set = plan->settings;
  set[SET_SERVERS] = (int64_t)between(r, b->servers_least, b->servers_most);
  set[SET_LARGE] = chance(r, 60);
  set[SET_IPV6] = chance(r, 30);
  set[SET_CALM] = chance(r, 40);
  set[SET_ADDRESSES] = (int64_t)between(r, 16, 64) * set[SET_SERVERS];
  if (chance(r, 50))
    set[SET_ADDRESSES] *= 8;
  set[SET_PREALLOCATE] = pools[between(r, 0, 3)];
  set[SET_BLOCK] = blocks[between(r, 0, 3)];
  set[SET_LIFETIME] = lifetimes[between(r, 0, 3)];
  set[SET_STORM] = chance(r, 40);
}

/* A: milliseconds of skew, of all but a few; B: when it starts, seconds. */
static void draw_nodes(MalWorldPlan *plan, MalWorldRandom *r)
{
  const int64_t *set = plan->settings;
  uint64_t most = set[SET_STORM] ? 0 : 400;
  for (int64_t i = 0; i < set[SET_SERVERS]; i++) {
    int64_t at = (int64_t)between(r, 0, most) * AAP_US;
    MalWorldItem *item = mal_world_plan_add(plan, r, KIND_SERVER, at);
    item->who = (uint64_t)i;
  }
  for (int64_t i = 0; set[SET_LARGE] && i < COORDINATORS; i++) {
    int64_t at = (int64_t)between(r, 0, most) * AAP_US;
    mal_world_plan_add(plan, r, KIND_COORDINATOR, at)->who = (uint64_t)i;
  }
}

static uint64_t draw_length(MalWorldRandom *r, WorldKind kind)
{
  switch (kind) {
  case KIND_CUT_SHORT:
    return between(r, 1, 9);
  case KIND_CUT_LONG:
  case KIND_CUT_ONE_WAY:
    return between(r, 11, 900);
  case KIND_MUTE:
  case KIND_LOSS:
    return between(r, 10, 600);
  case KIND_END:
    return between(r, 30, 900);
  case KIND_NO_COORDINATOR:
    return between(r, 60, 900);
  default:
    return chance(r, 50) ? between(r, 1, 60) : between(r, 60, 600);
  }
}

static void draw_trouble(MalWorldPlan *plan, MalWorldRandom *r, int64_t at)
{
  WorldKind kind = draw_kind(plan, r);
  bool coordinator = kind == KIND_FAILOVER || kind == KIND_DISAGREE;
  uint64_t who = between(r, 0, coordinator ? COORDINATORS - 1
                                           : (uint64_t)plan->settings[SET_SERVERS] - 1);
  MalWorldItem *item = mal_world_plan_add(plan, r, kind, at);
  item->who = who;
  item->a = between(r, 1, 30);
  item->b = draw_length(r, kind);
}

static void draw(MalWorldPlan *plan, MalWorldRandom *r)
{
  const Bounds *b = &bounds[plan->size];
  draw_settings(plan, r, b);
  draw_nodes(plan, r);
  plan->until = (int64_t)between(r, b->seconds_least, b->seconds_most) * AAP_US;
  for (int64_t at = SEC(20); at < plan->until;
       at += (int64_t)between(r, 1, b->gap * 1000) * (AAP_US / 1000))
    draw_trouble(plan, r, at);
}

/* ---- the type -------------------------------------------------------------------------------- */

#define TEXT_OF(name, text) text,
static const char *const kinds[] = { AAP_KINDS_LIST(TEXT_OF) };
static const char *const counts[] = { AAP_COUNTS_LIST(TEXT_OF) };

const MalWorldType mal_aap_world_type = {
  .program = "tests/sim/soak-aap",
  .kinds = kinds,
  .n_kinds = KINDS,
  .counts = counts,
  .n_counts = COUNTS,
  .draw = draw,
  .run = world_run,
};
