/* What this server knows of what is in use (mal_space_usage): where there is no layer 2, its leases
   are all; and its reserves always. */
#include "leases-internal.h"

typedef struct {
  MalSpan span;
  MalTime until;
} Run;

static void add_lease(GArray *runs, const MalLease *lease, MalSpan within)
{
  for (size_t i = 0; i < lease->n_blocks; i++) {
    Run run = { .until = mal_lease_held_until(lease) };
    if (mal_span_intersect(mal_span_of_block(lease->blocks[i]), within, &run.span))
      g_array_append_val(runs, run);
  }
}

static int by_first(const void *a, const void *b)
{
  return mal_address_compare(((const Run *)a)->span.first, ((const Run *)b)->span.first);
}

static void say(const Run *run, MalUsageFunc func, void *data)
{
  func(run->span, (uint64_t)mal_span_size(run->span), run->until, data);
}

static bool goes_on(const Run *run, const Run *next)
{
  MalAddress behind;
  return mal_address_add(run->span.last, 1, &behind) &&
         mal_address_compare(next->span.first, behind) <= 0;
}

/* Neighbours are one run, which lasts as long as the longest of them. (An address may have several
   leases, one after the other.) */
static void say_leases(const MalLeases *l, const MalScope *scope, MalSpan span, MalUsageFunc func,
                       void *data)
{
  MalLeaseFilter filter = { .scope = scope, .span = span };
  MalLease lease;
  g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Run));
  for (uint64_t cursor = 0; mal_leases_next(l, &filter, &cursor, &lease);)
    add_lease(runs, &lease, span);
  g_array_sort(runs, by_first);
  for (unsigned i = 0; i < runs->len;) {
    Run run = g_array_index(runs, Run, i);
    for (i++; i < runs->len && goes_on(&run, &g_array_index(runs, Run, i)); i++) {
      const Run *next = &g_array_index(runs, Run, i);
      run.until = MAX(run.until, next->until);
      if (mal_address_compare(next->span.last, run.span.last) > 0)
        run.span.last = next->span.last;
    }
    say(&run, func, data);
  }
}

void leases_usage(const MalScope *scope, MalSpan span, bool leased, MalUsageFunc func, void *to,
                  void *data)
{
  const MalLeases *l = data;
  g_autoptr(GArray) reserved = mal_leases_reserved(l);
  if (leased)
    say_leases(l, scope, span, func, to);
  for (unsigned i = 0; i < reserved->len; i++) {
    Run run = { .until = MAL_FOREVER };
    if (mal_span_intersect(g_array_index(reserved, MalSpan, i), span, &run.span))
      say(&run, func, to);
  }
}
