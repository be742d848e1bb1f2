/* Toy spaces of 256 cells, so that a plain array is the model of an interval map. A cell is one
   address, or, in the wide ones, 2^104 of them. */
#ifndef AAP_TOY_H
#define AAP_TOY_H

#include "plugins/aap/aap-record.h"

#include <criterion/criterion.h>

#define TOY_CELLS 256

/* Criterion's own assertions cost a message each, and models are compared cell by cell. */
#define MUST(condition)                                                                           \
  do {                                                                                            \
    if (!(condition))                                                                             \
      cr_assert(false, "%s", #condition);                                      \
  } while (0)

typedef struct {
  const char *name;
  MalFamily family;
  MalU128 base;
  unsigned shift;
} Toy;

#define TOY_IPV4 { "IPv4", MAL_IPV4, 0xE9FC0000u, 0 }
#define TOY_IPV4_LOW { "IPv4, lowest", MAL_IPV4, 0, 0 }
#define TOY_IPV4_HIGH { "IPv4, highest", MAL_IPV4, 0xFFFFFF00u, 0 }
#define TOY_IPV6 { "IPv6", MAL_IPV6, (MalU128)0xFF050DB8 << 96, 0 }
#define TOY_IPV6_WIDE { "IPv6, 2^112 addresses", MAL_IPV6, (MalU128)0xFF05 << 112, 104 }
#define TOY_IPV6_HIGH { "IPv6, highest", MAL_IPV6, (MalU128)0xFFFF << 112, 104 }
#define TOYS                                                                                      \
  { TOY_IPV4, TOY_IPV4_LOW, TOY_IPV4_HIGH, TOY_IPV6, TOY_IPV6_WIDE, TOY_IPV6_HIGH }

static inline MalAddress toy_address(const Toy *toy, unsigned cell)
{
  return mal_address_make(toy->family, toy->base + ((MalU128)cell << toy->shift));
}

/* Cells FIRST to LAST, both included. */
static inline MalSpan toy_span(const Toy *toy, unsigned first, unsigned last)
{
  MalSpan span = { toy_address(toy, first), toy_address(toy, last) };
  span.last.value += ((MalU128)1 << toy->shift) - 1;
  return span;
}

static inline MalSpan toy_all(const Toy *toy)
{
  return toy_span(toy, 0, TOY_CELLS - 1);
}

static inline unsigned toy_cell(const Toy *toy, MalAddress address)
{
  return (unsigned)((address.value - toy->base) >> toy->shift);
}

/* Whether SPAN is made of whole cells of this space. */
static inline bool toy_fits(const Toy *toy, MalSpan span)
{
  MalU128 mask = ((MalU128)1 << toy->shift) - 1;
  return span.first.family == toy->family && mal_span_contains(toy_all(toy), span) &&
         ((span.first.value - toy->base) & mask) == 0 &&
         ((span.last.value - toy->base) & mask) == mask;
}

static inline MalSpan toy_random(const Toy *toy, GRand *rand, int longest)
{
  unsigned first = (unsigned)g_rand_int_range(rand, 0, TOY_CELLS);
  unsigned last = first + (unsigned)g_rand_int_range(rand, 0, longest);
  return toy_span(toy, first, MIN(last, TOY_CELLS - 1u));
}

static inline MalEndpoint toy_peer(unsigned n)
{
  return (MalEndpoint){ mal_address_ipv4(0xC0000200u + n), 2878, 0 };
}

#endif
