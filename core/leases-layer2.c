/* What layer 2 says of owned addresses beyond their coming and going (AAP: draft-ietf-malloc-aap-04
   3.2.3). */
#include "leases-internal.h"

static bool same(MalSpan a, MalSpan b)
{
  return mal_address_equal(a.first, b.first) && mal_address_equal(a.last, b.last);
}

void mal_leases_suspend(MalLeases *l, MalSpan span, bool on)
{
  for (unsigned i = 0; i < l->suspended->len; i++)
    if (same(g_array_index(l->suspended, MalSpan, i), span)) {
      if (on)
        return;
      g_array_remove_index_fast(l->suspended, i);
      mal_allocator_unblock(l->allocator, span, false);
      leases_wait_retry(l);
      return;
    }
  if (!on)
    return;
  g_array_append_val(l->suspended, span);
  mal_allocator_block_out(l->allocator, span, false);
}

/* Each of SPANS that is not among OTHERS. */
static void suspend_all(MalLeases *l, const GArray *spans, const GArray *others, bool on)
{
  for (unsigned i = 0, k = 0; i < spans->len; i++) {
    MalSpan span = g_array_index(spans, MalSpan, i);
    while (k < others->len &&
           mal_address_compare(g_array_index(others, MalSpan, k).first, span.first) < 0)
      k++;
    if (k == others->len || !same(g_array_index(others, MalSpan, k), span))
      mal_leases_suspend(l, span, on);
  }
}

void mal_leases_suspend_instead(MalLeases *l, const GArray *spans, const GArray *before)
{
  suspend_all(l, spans, before, true);
  suspend_all(l, before, spans, false);
}

static bool touches(const MalLeases *l, const Slot *slot, MalSpan span)
{
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    if (mal_span_overlaps(mal_span_of_block(leases_block(l, slot, i)), span))
      return true;
  return false;
}

/* A suspended address stays with who has it: while his renewal is decided it is not suspended. (No
   more than that: to lift one costs as much as there are.) */
void leases_lift_suspensions(MalLeases *l, uint32_t handle, bool lift)
{
  const Slot *slot = leases_slot(l, handle);
  for (unsigned i = 0; i < l->suspended->len; i++) {
    MalSpan span = g_array_index(l->suspended, MalSpan, i);
    if (!touches(l, slot, span))
      continue;
    if (lift)
      mal_allocator_unblock(l->allocator, span, false);
    else
      mal_allocator_block_out(l->allocator, span, false);
  }
}

void mal_leases_revoke(MalLeases *l, MalSpan span)
{
  MalLeaseFilter filter = { .span = span, .holds = true };
  MalLease lease;
  for (uint64_t cursor = 0; mal_leases_next(l, &filter, &cursor, &lease);)
    leases_revoke(l, (uint32_t)cursor);
}

bool mal_leases_use(const MalLeases *l, MalAddress first, uint64_t *leased, uint64_t *more)
{
  uint64_t usable;
  if (!mal_allocator_range_use(l->allocator, first, leased, &usable))
    return false;
  *more = usable - MIN(usable, *leased);
  return true;
}
