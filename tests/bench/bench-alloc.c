/* What the allocator costs at each occupancy: leases of one address fill the space, then random
   ones are given back, which leaves it as scattered as can be.

     bench-alloc [ipv4|ipv6] [distinct|prefer|ignore] [ADDRESSES] [LEASES] [ADVANCE_PERCENT]
                 [RANGES]

   0 ADDRESSES: a /8, or 2^28 group ids; 0 LEASES: as many as fit. The addresses lie in so many
   RANGES of one size. `turn` is the processor time of a release, a search and a lease together; the
   columns behind it are processor time of searches, too, for one address, which is not to be had
   only where all is full, for runs, and for 16 addresses in any runs. Those before it are wall
   clock, which other work on the machine spoils. */
#define _POSIX_C_SOURCE 200809L
#include "core/allocator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW INT64_C(1767225600)
#define ROUNDS 20000

typedef struct {
  MalAllocator *a;
  MalScope scope;
  uint32_t *low;  /* of lease i, which has the owner i + 1: its address, low 32 bits */
  uint32_t *live; /* leases that are held, in any order */
  size_t n_live, n_leases;
  unsigned advance; /* percent of leases that begin tomorrow */
  uint64_t random;
} Bench;

static uint64_t next_random(Bench *b)
{
  b->random ^= b->random << 13;
  b->random ^= b->random >> 7;
  b->random ^= b->random << 17;
  return b->random;
}

static double now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static MalFit fit_of(Bench *b, uint32_t count)
{
  MalFit fit = { .scope = 0, .from = NOW, .count = count };
  if (next_random(b) % 100 < b->advance)
    fit.from += 86400;
  fit.until = fit.from + 3600 + (MalTime)(next_random(b) % 7200);
  return fit;
}

static bool lease_one(Bench *b, uint32_t lease)
{
  MalFit fit = fit_of(b, 1);
  MalBlock block;
  if (!mal_allocator_find_run(b->a, &fit, &block))
    return false;
  mal_allocator_take(b->a, block, fit.from, fit.until, lease + 1);
  b->low[lease] = (uint32_t)block.first.value;
  b->live[b->n_live++] = lease;
  return true;
}

static MalBlock block_of(const Bench *b, uint32_t lease)
{
  MalU128 high = b->scope.span.first.value >> 32 << 32;
  return mal_block_make(mal_address_make(b->scope.span.first.family, high | b->low[lease]), 1);
}

static uint32_t release_any(Bench *b)
{
  size_t i = (size_t)(next_random(b) % b->n_live);
  uint32_t lease = b->live[i];
  b->live[i] = b->live[--b->n_live];
  mal_allocator_give(b->a, block_of(b, lease), lease + 1);
  return lease;
}

/* A release and a new lease by turns, so that the occupancy stays; each part timed. */
static void measure_single(Bench *b, double *find, double *take, double *give)
{
  *find = *take = *give = 0;
  for (unsigned i = 0; i < ROUNDS; i++) {
    double t0 = now_ns();
    uint32_t lease = release_any(b);
    double t1 = now_ns();
    MalFit fit = fit_of(b, 1);
    MalBlock block;
    double t2 = now_ns();
    bool found = mal_allocator_find_run(b->a, &fit, &block);
    double t3 = now_ns();
    if (!found) { /* an advance lease went, an immediate one came: full */
      continue;
    }
    mal_allocator_take(b->a, block, fit.from, fit.until, lease + 1);
    double t4 = now_ns();
    b->low[lease] = (uint32_t)block.first.value;
    b->live[b->n_live++] = lease;
    *give += t1 - t0;
    *find += t3 - t2;
    *take += t4 - t3;
  }
}

static double cpu_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure_turn(Bench *b)
{
  double begun = cpu_ns();
  for (unsigned i = 0; i < ROUNDS; i++) {
    uint32_t lease = release_any(b);
    lease_one(b, lease);
  }
  return (cpu_ns() - begun) / ROUNDS;
}

static double measure_run(Bench *b, uint32_t count, unsigned rounds, unsigned *found)
{
  double sum = 0;
  *found = 0;
  for (unsigned i = 0; i < rounds; i++) {
    MalFit fit = fit_of(b, count);
    MalBlock block;
    double t0 = cpu_ns();
    *found += mal_allocator_find_run(b->a, &fit, &block);
    sum += cpu_ns() - t0;
  }
  return sum / rounds;
}

static double measure_several(Bench *b, uint32_t count, unsigned rounds)
{
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  double sum = 0;
  for (unsigned i = 0; i < rounds; i++) {
    MalFit fit = fit_of(b, count);
    g_array_set_size(blocks, 0);
    double t0 = cpu_ns();
    mal_allocator_find(b->a, &fit, count, blocks);
    sum += cpu_ns() - t0;
  }
  return sum / rounds;
}

static void report(Bench *b, uint64_t space)
{
  double find, take, give;
  unsigned found1, found16, found4096;
  measure_single(b, &find, &take, &give);
  double turn = measure_turn(b);
  double run1 = measure_run(b, 1, 200, &found1);
  double run16 = measure_run(b, 16, 100, &found16);
  double run4096 = measure_run(b, 4096, 20, &found4096);
  double several = measure_several(b, 16, 20);
  MalAllocatorStats s = mal_allocator_stats(b->a, -1);
  printf("%7.3f %% %9zu %9zu %7.0f %7.0f %7.0f %7.0f "
         "%7.0f (%3u%%) %9.0f (%3u%%) "
         "%9.0f (%3u%%) %9.0f\n",
         100.0 * (double)b->n_live / (double)space, b->n_live, s.segments, find / ROUNDS,
         take / ROUNDS, give / ROUNDS, turn, run1, found1 / 2, run16, found16, run4096,
         found4096 * 5, several);
  fflush(stdout);
}

static void add_ranges(Bench *b, MalSpan span, uint64_t ranges)
{
  MalU128 each = (span.last.value - span.first.value + 1) / ranges;
  for (uint64_t i = 0; i < ranges; i++) {
    MalSpan part = span;
    part.first.value += i * each;
    if (i + 1 < ranges)
      part.last.value = part.first.value + each - 1;
    if (!mal_allocator_add_range(b->a, &b->scope, part, MAL_FOREVER, NULL))
      abort();
  }
}

static uint64_t set_up(Bench *b, bool ipv6, MalEthernetPolicy policy, uint64_t addresses,
                       uint64_t ranges)
{
  b->a = mal_allocator_new(policy, 7);
  b->scope.group_id_first = 0x80000000;
  b->scope.group_id_last = 0x8fffffff;
  const char *text = ipv6 ? "ff18::8000:0-ff18::8fff:ffff" : "239.0.0.0-239.255.255.255";
  if (!mal_span_parse(text, &b->scope.span, NULL))
    abort();
  MalSpan span = b->scope.span;
  if (addresses > 0) {
    span.first.value += 256;
    span.last.value = span.first.value + addresses - 1;
  }
  add_ranges(b, span, MAX(ranges, 1));
  uint64_t space = mal_allocator_stats(b->a, -1).owned;
  return !ipv6 && policy == MAL_ETHERNET_DISTINCT ? MIN(space, (1 << 23) - 256) : space;
}

static uint64_t number(int argc, char **argv, int i)
{
  return argc > i ? strtoull(argv[i], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
  bool ipv6 = argc > 1 && strcmp(argv[1], "ipv6") == 0;
  const char *name = argc > 2 ? argv[2] : "distinct";
  MalEthernetPolicy policy = strcmp(name, "ignore") == 0   ? MAL_ETHERNET_IGNORE
                             : strcmp(name, "prefer") == 0 ? MAL_ETHERNET_PREFER
                                                           : MAL_ETHERNET_DISTINCT;
  Bench b = { .random = 88172645463325252, .advance = (unsigned)number(argc, argv, 5) };
  uint64_t space = set_up(&b, ipv6, policy, number(argc, argv, 3), number(argc, argv, 6));
  uint64_t most = number(argc, argv, 4);
  if (most == 0)
    most = b.advance > 0 ? 2 * space : space;
  b.low = g_new(uint32_t, most);
  b.live = g_new(uint32_t, most);
  double t0 = now_ns();
  while (b.n_leases < most && lease_one(&b, (uint32_t)b.n_leases))
    b.n_leases++;
  double filled = now_ns() - t0;
  MalAllocatorStats s = mal_allocator_stats(b.a, -1);
  printf("%s %s, %" PRIu64
         " addresses, %u %% advance: %zu leases in %.1f s, %.0f ns each; %zu segments, "
         "%.1f bytes a lease\n",
         ipv6 ? "ipv6" : "ipv4", name, space, b.advance, b.n_leases, filled / 1e9,
         filled / (double)b.n_leases, s.segments, (double)s.bytes / (double)b.n_leases);
  printf("occupancy    leases  segments    find    take    give    turn     one           run of 16"
         "        run of 4096      16 in any (ns)\n");
  static const double levels[] = { 1, 0.999, 0.99, 0.9, 0.5, 0.1 };
  for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
    size_t target = (size_t)((double)b.n_leases * levels[i]);
    while (b.n_live > target)
      release_any(&b);
    report(&b, space);
  }
  mal_allocator_free(b.a);
  g_free(b.low);
  g_free(b.live);
  return 0;
}
