/* An allocator with ranges of a few scopes, and what is busy in it. */
#ifndef ALLOCATOR_BED_H
#define ALLOCATOR_BED_H

#include "core/allocator.h"

#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_RANGES 6

typedef struct {
  unsigned scope;
  const char *span;
  MalTime until;
} Range;
typedef struct {
  const char *block;
  MalTime from, until;
} Busy;

/* Scopes: 0 and 1 have a /8 each, so that their Ethernet groups are the same; 2 is a /16; 3 and 4
   are IPv6. */
static const char *const scope_spans[] = {
  "239.0.0.0-239.255.255.255",        "235.0.0.0-235.255.255.255", "238.255.0.0-238.255.255.255",
  "ff18::-ff18::ffff:ffff:ffff:ffff", "ff15::-ff15::ffff:ffff",
};

static inline MalScope scope_of(unsigned index)
{
  MalScope scope = { .index = index, .group_id_first = 0x80000000, .group_id_last = 0x8fffffff };
  cr_assert(mal_span_parse(scope_spans[index], &scope.span, NULL));
  return scope;
}

static inline MalSpan span(const char *text)
{
  MalSpan s;
  cr_assert(mal_span_parse(text, &s, NULL), "%s", text);
  return s;
}

static inline MalBlock block(const char *text)
{
  MalSpan s = span(text);
  return mal_block_make(s.first, (uint32_t)(s.last.value - s.first.value) + 1);
}

static inline MalAllocator *allocator(MalEthernetPolicy policy, const Range *ranges)
{
  MalAllocator *a = mal_allocator_new(policy, 1);
  for (size_t i = 0; i < MAX_RANGES && ranges[i].span != NULL; i++) {
    MalScope scope = scope_of(ranges[i].scope);
    g_autoptr(GError) error = NULL;
    cr_assert(mal_allocator_add_range(a, &scope, span(ranges[i].span), ranges[i].until, &error),
              "%s", error ? error->message : "");
  }
  return a;
}

/* Takes them for the owners 1, 2, ... */
static inline void take_all(MalAllocator *a, const Busy *busy, size_t n)
{
  for (size_t i = 0; i < n && busy[i].block != NULL; i++)
    cr_assert(
        mal_allocator_take(a, block(busy[i].block), busy[i].from, busy[i].until, (uint32_t)i + 1));
}

static inline MalFit fit_of(unsigned scope, MalTime from, MalTime until, uint32_t count)
{
  return (MalFit){ .scope = scope, .from = from, .until = until, .count = count };
}

#endif
