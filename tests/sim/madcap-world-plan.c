/* What a world of MADCAP is made of, drawn from its seed. */
#include "madcap-world-private.h"

typedef struct {
  unsigned servers_least, servers_most, clients_least, clients_most, agents_most;
  unsigned seconds_least, seconds_most;
} Bounds;

static const Bounds bounds[MAL_WORLD_SIZES] = {
  [MAL_WORLD_SMALL] = { 1, 2, 2, 12, 2, 90, 400 },
  [MAL_WORLD_MEDIUM] = { 1, 4, 8, 40, 4, 120, 900 },
  [MAL_WORLD_LARGE] = { 2, 4, 40, 120, 8, 300, 1500 },
  [MAL_WORLD_HUGE] = { 3, 4, 200, 400, AGENTS, 300, 600 },
};

static const struct {
  WorldKind kind;
  unsigned weight;
} troubles[] = {
  { KIND_CRASH, 8 },
  { KIND_AMBUSH_ANSWER, 10 },
  { KIND_AMBUSH_WRITE, 10 },
  { KIND_WIPE, 3 },
  { KIND_REBOOT, 3 },
  { KIND_DISK_FULL, 4 },
  { KIND_DISK_IO, 4 },
  { KIND_DISK_SYNC, 4 },
  { KIND_STEP_FORWARD, 5 },
  { KIND_STEP_BACK, 5 },
  { KIND_RELOAD_RANGES, 5 },
  { KIND_RELOAD_EXCLUDES, 4 },
  { KIND_RELOAD_RESERVES, 4 },
  { KIND_RELOAD_SCOPES, 5 },
  { KIND_RELOAD_SETTINGS, 3 },
  { KIND_RELOAD_BAD, 4 },
  { KIND_HAND_RANGE, 4 },
  { KIND_HAND_REVOKE, 2 },
  { KIND_HAND_RESERVE, 3 },
  { KIND_HAND_LEASE, 4 },
  { KIND_IFACE, 7 },
  { KIND_BORDER, 4 },
  { KIND_PARTITION, 4 },
  { KIND_PARTITION_ONE_WAY, 4 },
  { KIND_LINK, 5 },
  { KIND_LINK_BAD, 4 },
  { KIND_AGENT_CRASH, 4 },
  { KIND_AGENT_WIPE, 1 },
  { KIND_AGENT_REBOOT, 2 },
  { KIND_AGENT_DISK, 3 },
  { KIND_AGENT_STEP, 3 },
  { KIND_AGENT_RELOAD, 2 },
};

static WorldKind draw_kind(MalWorldRandom *r)
{
  unsigned sum = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(troubles); i++)
    sum += troubles[i].weight;
  uint64_t dice = between(r, 1, sum);
  size_t i = 0;
  while (dice > troubles[i].weight)
    dice -= troubles[i++].weight;
  return troubles[i].kind;
}

static void draw_settings(MalWorldPlan *plan, MalWorldRandom *r)
{
  static const int64_t pads[] = { 0, 5, 60, 3600 };
  int64_t *set = plan->settings;
  set[SET_LINKS] = (int64_t)between(r, plan->size == MAL_WORLD_HUGE ? 2 : 1, 3);
  set[SET_FILTERS] = chance(r, 60) | chance(r, 60) << 1;
  set[SET_PAD] = pads[between(r, 0, 3)];
  set[SET_LAYER3] = chance(r, 50);
  set[SET_CLIENT_LIMIT] = chance(r, 15) ? (int64_t)between(r, 4, 20) : 0;
}

static void draw_inhabitants(MalWorldPlan *plan, MalWorldRandom *r, const Bounds *b)
{
  int64_t *set = plan->settings;
  set[SET_SERVERS] = (int64_t)between(r, b->servers_least, b->servers_most);
  set[SET_CLIENTS] = (int64_t)between(r, b->clients_least, b->clients_most);
  set[SET_AGENTS] = (int64_t)between(r, 0, b->agents_most);
  for (int64_t i = 0; i < set[SET_LINKS]; i++) {
    MalWorldItem *item = mal_world_plan_add(plan, r, KIND_LINK, 0);
    item->who = (uint64_t)i;
    item->a = between(r, 0, 2);
    if (chance(r, 25))
      item->kind = KIND_LINK_BAD;
  }
  for (int64_t i = 0; i < set[SET_SERVERS]; i++)
    mal_world_plan_add(plan, r, KIND_SERVER, 0)->who = (uint64_t)i;
  for (int64_t i = 0; i < set[SET_CLIENTS]; i++)
    mal_world_plan_add(plan, r, KIND_CLIENT, 0)->who = (uint64_t)i;
  for (int64_t i = 0; i < set[SET_AGENTS]; i++)
    mal_world_plan_add(plan, r, KIND_AGENT, 0)->who = (uint64_t)i;
}

static bool is_of_agent(WorldKind kind)
{
  return kind >= KIND_AGENT_CRASH;
}

static uint64_t draw_who(const MalWorldPlan *plan, MalWorldRandom *r, WorldKind kind)
{
  const int64_t *set = plan->settings;
  if (kind == KIND_LINK || kind == KIND_LINK_BAD)
    return between(r, 0, (uint64_t)set[SET_LINKS] - 1);
  if (is_of_agent(kind))
    return between(r, 0, (uint64_t)MAX(set[SET_AGENTS], 1) - 1);
  return between(r, 0, (uint64_t)set[SET_SERVERS] - 1);
}

static void draw_trouble(MalWorldPlan *plan, MalWorldRandom *r, int64_t at)
{
  WorldKind kind = draw_kind(r);
  bool step = kind == KIND_STEP_FORWARD || kind == KIND_STEP_BACK || kind == KIND_AGENT_STEP;
  if (is_of_agent(kind) && plan->settings[SET_AGENTS] == 0)
    kind = KIND_AMBUSH_WRITE;
  if (kind == KIND_BORDER && plan->settings[SET_LINKS] == 1)
    kind = KIND_AMBUSH_ANSWER;
  uint64_t who = draw_who(plan, r, kind);
  MalWorldItem *item = mal_world_plan_add(plan, r, kind, at);
  item->who = who;
  item->b = between(r, 1, 60);   /* seconds until it is mended */
  if (step)
    item->a = chance(r, 70) ? between(r, 1, 900) : between(r, 1, 90000);
  else if (kind == KIND_LINK)
    item->a = between(r, 0, 2);
}

static void draw(MalWorldPlan *plan, MalWorldRandom *r)
{
  const Bounds *b = &bounds[plan->size];
  draw_settings(plan, r);
  draw_inhabitants(plan, r, b);
  plan->until = (int64_t)between(r, b->seconds_least, b->seconds_most) * MAL_US;
  /* One every 15 s on average, more of them where there are more servers. */
  uint64_t gap = plan->settings[SET_SERVERS] > 2 ? 20 : 30;
  for (int64_t at = 5 * MAL_US; at < plan->until; at += (int64_t)between(r, 1, gap) * MAL_US)
    draw_trouble(plan, r, at);
}

/* ---- the type -------------------------------------------------------------------------------- */

#define TEXT_OF(name, text) text,
static const char *const kinds[] = { WORLD_KINDS_LIST(TEXT_OF) };
static const char *const counts[] = { WORLD_COUNTS_LIST(TEXT_OF) };

const MalWorldType mal_madcap_world_type = {
  .program = "tests/sim/soak-madcap",
  .kinds = kinds,
  .n_kinds = KINDS,
  .counts = counts,
  .n_counts = COUNTS,
  .draw = draw,
  .run = world_run,
};
