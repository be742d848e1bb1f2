#include <math.h>
#include <string.h>

#include "masc-workload.h"

uint64_t dice_roll(Dice *dice)
{
  uint64_t z = dice->state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

uint64_t dice_between(Dice *dice, uint64_t low, uint64_t high)
{
  return high - low == UINT64_MAX ? dice_roll(dice) : low + dice_roll(dice) % (high - low + 1);
}

double dice_unit(Dice *dice)
{
  return (double)(dice_roll(dice) >> 11) / 9007199254740992.0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool sooner(const Event *a, const Event *b)
{
  return a->time != b->time ? a->time < b->time : a->serial < b->serial;
}

void agenda_add(Agenda *agenda, int64_t time, uint32_t kind, uint32_t who, void *data, void *more)
{
  if (agenda->n == agenda->room) {
    agenda->room = MAX(2 * agenda->room, 1024);
    agenda->events = g_renew(Event, agenda->events, agenda->room);
  }
  Event event = { time, agenda->serial++, kind, who, data, more };
  size_t i = agenda->n++;
  while (i > 0 && sooner(&event, &agenda->events[(i - 1) / 2])) {
    agenda->events[i] = agenda->events[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  agenda->events[i] = event;
}

bool agenda_next(Agenda *agenda, Event *out)
{
  if (agenda->n == 0)
    return false;
  *out = agenda->events[0];
  Event last = agenda->events[--agenda->n];
  size_t i = 0, child;
  while ((child = 2 * i + 1) < agenda->n) {
    if (child + 1 < agenda->n && sooner(&agenda->events[child + 1], &agenda->events[child]))
      child++;
    if (!sooner(&agenda->events[child], &last))
      break;
    agenda->events[i] = agenda->events[child];
    i = child;
  }
  agenda->events[i] = last;
  return true;
}

void agenda_clear(Agenda *agenda)
{
  g_clear_pointer(&agenda->events, g_free);
  agenda->n = agenda->room = 0;
}

/* ---- the tree -------------------------------------------------------------------------------- */

unsigned tree_children(const Options *options, unsigned tld)
{
  Dice dice = { options->seed * 7919 + tld };
  if (!options->uneven)
    return options->children;
  return (unsigned)dice_between(&dice, options->children * 2 / 5, options->children * 8 / 5);
}

double tree_gap(const Options *options, unsigned leaf)
{
  Dice dice = { options->seed * 104729 + leaf };
  return options->scale * (options->uneven ? pow(4, 2 * dice_unit(&dice) - 1) : 1);
}

/* ---- clients --------------------------------------------------------------------------------- */

static MalTime gap(Demand *demand)
{
  double hours = 1 + 94 * dice_unit(&demand->dice);
  return (MalTime)(hours * HOUR * demand->gap);
}

void demand_init(Demand *demand, uint64_t seed, double factor)
{
  *demand = (Demand){ .dice = { seed }, .gap = factor, .next_end = MAL_FOREVER };
  demand->next_request = EPOCH + gap(demand);
}

void demand_clear(Demand *demand)
{
  g_clear_pointer(&demand->rooms, g_free);
  g_clear_pointer(&demand->blocks, g_free);
}

MalTime demand_due(const Demand *demand)
{
  return MIN(demand->next_request, demand->next_end);
}

static void note_end(Demand *demand)
{
  demand->next_end = MAL_FOREVER;
  for (unsigned i = 0; i < demand->n_blocks; i++)
    demand->next_end = MIN(demand->next_end, demand->blocks[i].until);
}

static uint32_t first_unit(MalPrefix prefix)
{
  return (uint32_t)(prefix.address.value >> 8);
}

static uint32_t n_units(MalPrefix prefix)
{
  return prefix.length > 24 ? 0 : (uint32_t)1 << (24 - prefix.length);
}

static int compare_rooms(const void *a, const void *b)
{
  const Room *x = a, *y = b;
  if (x->prefix.length != y->prefix.length)
    return x->prefix.length < y->prefix.length ? -1 : 1;
  return mal_address_compare(x->prefix.address, y->prefix.address);
}

unsigned demand_set_rooms(Demand *demand, const Room *rooms, unsigned n)
{
  unsigned kept = 0, cut = 0;
  demand->rooms = g_renew(Room, demand->rooms, n + 1);
  if (n > 0)
    memcpy(demand->rooms, rooms, n * sizeof *rooms);
  demand->n_rooms = n;
  qsort(demand->rooms, n, sizeof *rooms, compare_rooms);
  for (unsigned i = 0; i < demand->n_blocks; i++) {
    bool inside = false;
    for (unsigned j = 0; j < n; j++)
      inside |= demand->blocks[i].unit - first_unit(rooms[j].prefix) < n_units(rooms[j].prefix);
    if (inside)
      demand->blocks[kept++] = demand->blocks[i];
    else
      cut++;
  }
  demand->n_blocks = kept;
  note_end(demand);
  return cut;
}

/* The lowest free unit of the largest room that doesn't drain. */
static bool grant(Demand *demand, MalTime now)
{
  for (unsigned r = 0; r < demand->n_rooms; r++) {
    const Room *room = &demand->rooms[r];
    uint32_t unit = first_unit(room->prefix), end = unit + n_units(room->prefix);
    if (room->deprecated || room->until < now + BLOCK_LIFE)
      continue;
    unsigned i = 0;
    while (i < demand->n_blocks && demand->blocks[i].unit < unit)
      i++;
    for (; i < demand->n_blocks && demand->blocks[i].unit == unit; i++)
      unit++;
    if (unit >= end)
      continue;
    if (demand->n_blocks == demand->most_blocks) {
      demand->most_blocks = MAX(2 * demand->most_blocks, 16);
      demand->blocks = g_renew(Block, demand->blocks, demand->most_blocks);
    }
    memmove(demand->blocks + i + 1, demand->blocks + i, (demand->n_blocks - i) * sizeof(Block));
    demand->blocks[i] = (Block){ unit, now + BLOCK_LIFE };
    demand->n_blocks++;
    demand->next_end = MIN(demand->next_end, now + BLOCK_LIFE);
    return true;
  }
  return false;
}

Served demand_run(Demand *demand, MalTime now)
{
  Served served = { 0, 0 };
  if (demand->next_end <= now) {
    unsigned kept = 0;
    for (unsigned i = 0; i < demand->n_blocks; i++) {
      if (demand->blocks[i].until > now)
        demand->blocks[kept++] = demand->blocks[i];
    }
    demand->n_blocks = kept;
    note_end(demand);
  }
  while (demand->queue > 0 && grant(demand, now))
    demand->queue--;
  while (demand->next_request <= now) {
    demand->next_request += gap(demand);
    served.requests++;
    if (demand->queue > 0 || !grant(demand, now)) {
      demand->queue++;
      served.waited++;
    }
  }
  return served;
}
