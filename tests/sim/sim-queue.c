/* The event queue, a quaternary heap with its keys inline, and the random streams (xoshiro256**,
   seeded by splitmix64: one independent stream for each purpose, so that one consumer never shifts
   another's numbers). */
#include "sim-internal.h"

static inline bool earlier(const MalSimSlot *a, const MalSimSlot *b)
{
  return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

static void sift_up(MalSim *sim, size_t at, MalSimSlot slot)
{
  while (at > 0) {
    size_t parent = (at - 1) / 4;
    if (!earlier(&slot, &sim->heap[parent]))
      break;
    sim->heap[at] = sim->heap[parent];
    sim->heap[at].event->slot = (uint32_t)at + 1;
    at = parent;
  }
  sim->heap[at] = slot;
  slot.event->slot = (uint32_t)at + 1;
}

static void sift_down(MalSim *sim, size_t at, MalSimSlot slot)
{
  for (;;) {
    size_t first = 4 * at + 1, best = first;
    if (first >= sim->n_heap)
      break;
    size_t end = MIN(first + 4, sim->n_heap);
    for (size_t i = first + 1; i < end; i++)
      if (earlier(&sim->heap[i], &sim->heap[best]))
        best = i;
    if (!earlier(&sim->heap[best], &slot))
      break;
    sim->heap[at] = sim->heap[best];
    sim->heap[at].event->slot = (uint32_t)at + 1;
    at = best;
  }
  sim->heap[at] = slot;
  slot.event->slot = (uint32_t)at + 1;
}

static void settle(MalSim *sim, size_t at, MalSimSlot slot)
{
  if (at > 0 && earlier(&slot, &sim->heap[(at - 1) / 4]))
    sift_up(sim, at, slot);
  else
    sift_down(sim, at, slot);
}

void mal_sim_queue(MalSim *sim, MalSimEvent *event, int64_t time)
{
  MalSimSlot slot = { MAX(time, sim->now), sim->sequence++, event };
  if (event->slot) {
    settle(sim, event->slot - 1, slot);
    return;
  }
  if (sim->n_heap == sim->heap_room) {
    sim->heap_room = MAX(256, sim->heap_room * 2);
    sim->heap = g_renew(MalSimSlot, sim->heap, sim->heap_room);
  }
  sift_up(sim, sim->n_heap++, slot);
}

void mal_sim_unqueue(MalSim *sim, MalSimEvent *event)
{
  if (!event->slot)
    return;
  size_t at = event->slot - 1;
  event->slot = 0;
  MalSimSlot last = sim->heap[--sim->n_heap];
  if (at < sim->n_heap)
    settle(sim, at, last);
}

MalSimEvent *mal_sim_queue_pop(MalSim *sim)
{
  MalSimEvent *event = sim->heap[0].event;
  event->slot = 0;
  MalSimSlot last = sim->heap[--sim->n_heap];
  if (sim->n_heap)
    sift_down(sim, 0, last);
  return event;
}

/* The finalizer of splitmix64. */
uint64_t mal_sim_mix(uint64_t x)
{
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

void mal_sim_random_seed(MalSimRandom *r, uint64_t seed, uint64_t stream)
{
  uint64_t x = mal_sim_mix(seed + 0x9e3779b97f4a7c15u) ^
               mal_sim_mix(stream * 0xd1342543de82ef95u + 1);
  for (size_t i = 0; i < G_N_ELEMENTS(r->s); i++)
    r->s[i] = mal_sim_mix(x += 0x9e3779b97f4a7c15u);
}

static inline uint64_t rotate(uint64_t x, int by)
{
  return (x << by) | (x >> (64 - by));
}

uint64_t mal_sim_random_next(MalSimRandom *r)
{
  uint64_t result = rotate(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;
  r->s[2] ^= r->s[0];
  r->s[3] ^= r->s[1];
  r->s[1] ^= r->s[2];
  r->s[0] ^= r->s[3];
  r->s[2] ^= t;
  r->s[3] = rotate(r->s[3], 45);
  return result;
}

/* By multiplication; the bias (below 2^-32 for ranges under 2^32) doesn't matter here. */
uint64_t mal_sim_random_range(MalSimRandom *r, uint64_t low, uint64_t high)
{
  if (low >= high)
    return low;
  uint64_t x = mal_sim_random_next(r), span = high - low;
  return span == UINT64_MAX ? x : low + (uint64_t)(((MalU128)x * (span + 1)) >> 64);
}
