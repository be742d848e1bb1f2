/* What the engine answers about leases, and who hears of their changes. */
#include "leases-internal.h"

#include <string.h>

static bool get(const MalLeases *l, MalLeaseId id, uint8_t held, MalLease *out)
{
  uint32_t handle = leases_find(l, id);
  if (!handle || (leases_slot(l, handle)->flags & MAL_LEASE_HELD) != held)
    return false;
  leases_view(l, handle, out);
  return true;
}

bool mal_leases_get(const MalLeases *l, MalLeaseId id, MalLease *out)
{
  return get(l, id, 0, out);
}

bool mal_leases_get_hold(const MalLeases *l, MalLeaseId id, MalLease *out)
{
  return get(l, id, MAL_LEASE_HELD, out);
}

static bool passes(const MalLeases *l, const Slot *slot, const MalLeaseFilter *f)
{
  if (slot->flags & MAL_LEASE_HELD && !f->holds)
    return false;
  if (f->scope && slot->scope != f->scope->index)
    return false;
  if (f->client.family != MAL_FAMILY_NONE && !mal_address_equal(f->client, leases_client(l, slot)))
    return false;
  if (f->span.first.family == MAL_FAMILY_NONE)
    return true;
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    if (mal_span_overlaps(f->span, mal_span_of_block(leases_block(l, slot, i))))
      return true;
  return false;
}

bool mal_leases_next(const MalLeases *l, const MalLeaseFilter *filter, uint64_t *cursor,
                     MalLease *out)
{
  MalLeaseFilter none = { 0 };
  for (uint64_t i = *cursor + 1; i < l->used_slots; i++) {
    const Slot *slot = leases_slot(l, (uint32_t)i);
    if (!(slot->flags & SLOT_USED) || !passes(l, slot, filter ? filter : &none))
      continue;
    *cursor = i;
    leases_view(l, (uint32_t)i, out);
    return true;
  }
  *cursor = l->used_slots;
  return false;
}

const MalScopeSet *mal_leases_scopes(const MalLeases *l)
{
  return l->scopes;
}

MalLeaseTotals mal_leases_totals(const MalLeases *l, const MalScope *scope)
{
  MalLeaseTotals t = l->totals;
  t.waiting = l->waiting.length;
  t.bytes = l->chunks->len * sizeof(Slot) * CHUNK_SIZE + leases_buckets_octets(l) +
            l->heap->len * sizeof(uint32_t) + l->far_times.cells->len * sizeof(SlotTimes) +
            l->clients6.cells->len * sizeof(MalU128) + mal_allocator_stats(l->allocator, -1).bytes;
  if (!scope)
    return t;
  t.leases = t.addresses = t.holds = t.pending = 0;
  if (scope->index < l->by_scope->len) {
    const MalLeaseTotals *of = &g_array_index(l->by_scope, MalLeaseTotals, scope->index);
    t.leases = of->leases;
    t.addresses = of->addresses;
    t.holds = of->holds;
  }
  for (size_t i = 0; i < l->ops_length; i++) {
    const Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    t.pending += op->kind != OP_NOTIFY && leases_slot(l, op->slot)->scope == scope->index;
  }
  return t;
}

/* ---- watchers -------------------------------------------------------------------------------- */

static void sweep_watchers(MalLeases *l)
{
  for (unsigned i = l->telling ? 0 : l->watchers->len; i-- > 0;)
    if (!g_array_index(l->watchers, LeaseWatcher, i).func)
      g_array_remove_index(l->watchers, i);
}

/* A watcher may come or go, itself included, while it is told. */
void leases_tell(MalLeases *l, MalLeaseChange what, const MalLease *lease, const char *reason)
{
  unsigned n = l->watchers->len;
  l->telling++;
  for (unsigned i = 0; i < n; i++) {
    LeaseWatcher w = g_array_index(l->watchers, LeaseWatcher, i);
    if (w.func)
      w.func(what, lease, reason, w.data);
  }
  l->telling--;
  sweep_watchers(l);
}

unsigned mal_leases_watch(MalLeases *l, MalLeaseWatch func, void *data)
{
  LeaseWatcher w = { ++l->last_watcher, func, data };
  g_array_append_val(l->watchers, w);
  return w.id;
}

void mal_leases_unwatch(MalLeases *l, unsigned id)
{
  for (unsigned i = 0; i < l->watchers->len; i++)
    if (g_array_index(l->watchers, LeaseWatcher, i).id == id)
      g_array_index(l->watchers, LeaseWatcher, i).func = NULL;
  sweep_watchers(l);
}
