/* The lease engine's life: configuration, loading, and the passing of time. */
#include "leases-internal.h"

#include <string.h>

/* ---- owned ranges come and go ---------------------------------------------------------------- */

static void on_space(MalSpaceChange what, const MalRange *range, void *data)
{
  MalLeases *l = data;
  if (l->replanning)
    return;
  if (range->level == MAL_LEVEL_AVAILABLE) { /* of which layer 2 may choose for who waits */
    if (what != MAL_SPACE_REMOVED && mal_space_acquires(l->space))
      leases_wait_retry(l);
    return;
  }
  switch (what) {
  case MAL_SPACE_ADDED:
    mal_allocator_add_range(l->allocator, range->scope, range->span, range->until, NULL);
    leases_wait_retry(l);
    break;
  case MAL_SPACE_CHANGED:
    mal_allocator_set_until(l->allocator, range->span.first, range->until);
    leases_wait_retry(l);
    break;
  case MAL_SPACE_SPLIT:
    mal_allocator_split_range(l->allocator, range->span.first);
    break;
  case MAL_SPACE_JOINED:
    mal_allocator_join_ranges(l->allocator, range->span.first);
    leases_wait_retry(l);
    break;
  case MAL_SPACE_REMOVED:
    /* Leases in it must end, and their holders be told. */
    mal_leases_revoke(l, range->span);
    mal_allocator_remove_range(l->allocator, range->span.first);
    break;
  }
}

static void on_deny(const MalScope *scope, MalSpan named, bool later, const GError *why,
                    void *data)
{
  if (later)
    leases_wait_explain(data, scope, why);
  else
    leases_wait_deny(data, scope, named, why);
}

static void on_turn(void *data)
{
  MalLeases *l = data;
  leases_tell_later(l);
  leases_wait_retry_now(l, mal_runtime_now(l->rt));
  leases_wait_tell_ended(l);
}

static uint64_t allocator_seed(MalLeases *l)
{
  uint64_t seed;
  mal_runtime_random(l->rt, &seed, sizeof seed);
  return seed;
}

MalLeases *mal_leases_new(MalRuntime *rt, MalStore *store, MalSpace *space)
{
  MalLeases *l = g_new0(MalLeases, 1);
  g_autoptr(GPtrArray) none = g_ptr_array_new();
  l->rt = rt;
  l->store = store;
  l->space = space;
  l->scopes = mal_scope_set_new(none, NULL);
  l->old_scopes = g_ptr_array_new_with_free_func((GDestroyNotify)mal_scope_set_unref);
  l->allocator = mal_allocator_new(MAL_ETHERNET_DISTINCT, allocator_seed(l));
  l->reserves = g_ptr_array_new_with_free_func(leases_reserve_free);
  l->excludes = g_ptr_array_new_with_free_func(leases_reserve_free);
  l->reserve_watchers = g_array_new(FALSE, FALSE, sizeof(ReserveWatcher));
  l->suspended = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  l->found = g_array_new(FALSE, FALSE, sizeof(MalBlock));
  l->undropped = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  l->dropping = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  l->watchers = g_array_new(FALSE, FALSE, sizeof(LeaseWatcher));
  l->turn = mal_timer_new(rt, on_turn, l);
  l->clock_offset = mal_runtime_wall(rt) - mal_runtime_monotonic(rt);
  leases_table_init(l);
  l->store_listener = mal_store_listen(store, leases_settled, l);
  l->space_watch = mal_space_watch(space, on_space, l);
  mal_space_on_deny(space, on_deny, l);
  mal_space_on_usage(space, leases_usage, l);
  return l;
}

void mal_leases_free(MalLeases *l)
{
  if (!l)
    return;
  mal_space_unwatch(l->space, l->space_watch);
  if (l->store)
    mal_store_unlisten(l->store, l->store_listener);
  l->store = NULL;
  leases_tell_stopping(l);
  mal_timer_free(l->turn);
  leases_table_clear(l);
  mal_allocator_free(l->allocator);
  g_ptr_array_unref(l->reserves);
  g_ptr_array_unref(l->excludes);
  g_array_unref(l->reserve_watchers);
  g_array_unref(l->suspended);
  g_array_unref(l->found);
  g_array_unref(l->watchers);
  g_clear_pointer(&l->scopes, mal_scope_set_unref);
  g_ptr_array_unref(l->old_scopes);
  g_ptr_array_unref(l->undropped);
  g_ptr_array_unref(l->dropping);
  g_free(l->ops);
  g_free(l);
}

void mal_leases_store_gone(MalLeases *l)
{
  l->store = NULL;
}

MalAllocator *mal_leases_allocator(MalLeases *l)
{
  return l->allocator;
}

/* ---- a plan comes into force ----------------------------------------------------------------- */

/* What the new allocator is built from: owned ranges as they will be. */
typedef struct {
  const MalScope *scope;        /* of the new set */
  MalSpan span;
  MalTime until;
} Future;

static void add_future(GArray *out, const MalScope *scope, MalSpan span, MalTime until)
{
  Future f = { scope, span, until };
  g_array_append_val(out, f);
}

static bool survives(const MalLeases *l, const MalPlan *plan, const MalRange *owned, MalTime *until)
{
  const MalRange *outer = mal_space_containing(l->space, MAL_LEVEL_AVAILABLE, owned->span.first);
  g_assert(outer); /* owned is inside available */
  if (mal_space_outlives(plan, outer)) {
    *until = owned->until;
    return true;
  }
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    if (mal_span_contains(r->span, owned->span) &&
        strcmp(mal_scope_set_at(plan->scopes, r->scope)->id, owned->scope->id) == 0) {
      *until = MIN(owned->until, r->until);
      return true;
    }
  }
  return false;
}

static int future_order(const void *a, const void *b)
{
  return mal_address_compare(((const Future *)a)->span.first, ((const Future *)b)->span.first);
}

static GArray *future_owned(const MalLeases *l, const MalPlan *plan, bool mirrored)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(Future));
  if (mirrored)
    for (unsigned i = 0; i < plan->ranges->len; i++) {
      const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
      add_future(out, mal_scope_set_at(plan->scopes, r->scope), r->span, r->until);
    }
  g_autoptr(GPtrArray) now =
      mal_space_ranges(l->space, mirrored ? MAL_LEVEL_AVAILABLE : MAL_LEVEL_OWNED);
  for (unsigned i = 0; i < now->len; i++) {
    const MalRange *r = g_ptr_array_index(now, i);
    MalTime until = r->until;
    if (mirrored ? mal_space_outlives(plan, r) : survives(l, plan, r, &until))
      add_future(out, mal_scope_set_find(plan->scopes, r->scope->id), r->span, until);
  }
  g_array_sort(out, future_order);
  return out;
}

static bool fill_allocator(MalAllocator *a, const GArray *future, const MalPlan *plan,
                           const GPtrArray *reserves, const GArray *suspended, GError **error)
{
  for (unsigned i = 0; i < future->len; i++) {
    const Future *f = &g_array_index(future, Future, i);
    if (!mal_allocator_add_range(a, f->scope, f->span, f->until, error))
      return false;
  }
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    for (unsigned j = 0; j < r->excludes->len; j++)
      mal_allocator_block_out(a, g_array_index(r->excludes, MalSpan, j), false);
  }
  for (unsigned i = 0; i < reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(reserves, i);
    for (unsigned j = 0; j < r->spans->len; j++)
      mal_allocator_block_out(a, g_array_index(r->spans, MalSpan, j), true);
  }
  for (unsigned i = 0; i < suspended->len; i++)
    mal_allocator_block_out(a, g_array_index(suspended, MalSpan, i), false);
  return true;
}

static int span_order(const void *a, const void *b)
{
  return mal_address_compare(((const MalSpan *)a)->first, ((const MalSpan *)b)->first);
}

/* Spans that no lease may touch, sorted and disjoint enough for a binary search. */
static GArray *forbidden(const MalPlan *plan, const GPtrArray *reserves)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    if (r->excludes->len > 0)
      g_array_append_vals(out, r->excludes->data, r->excludes->len);
  }
  for (unsigned i = 0; i < reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(reserves, i);
    if (r->spans->len)
      g_array_append_vals(out, r->spans->data, r->spans->len);
  }
  g_array_sort(out, span_order);
  unsigned kept = 0;
  for (unsigned i = 0; i < out->len; i++) {
    MalSpan s = g_array_index(out, MalSpan, i);
    MalSpan *last = kept ? &g_array_index(out, MalSpan, kept - 1) : NULL;
    if (last && mal_span_overlaps(*last, s)) {
      if (mal_address_compare(s.last, last->last) > 0)
        last->last = s.last;
    } else {
      g_array_index(out, MalSpan, kept++) = s;
    }
  }
  g_array_set_size(out, kept);
  return out;
}

static bool touches(const GArray *spans, MalSpan span)
{
  unsigned low = 0, high = spans->len;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (mal_address_compare(g_array_index(spans, MalSpan, middle).last, span.first) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < spans->len && mal_span_overlaps(g_array_index(spans, MalSpan, low), span);
}

/* Does a range that holds part of SPAN end before UNTIL? */
static bool ends_before(const GArray *future, MalSpan span, MalTime until)
{
  unsigned low = 0, high = future->len;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (mal_address_compare(g_array_index(future, Future, middle).span.last, span.first) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < future->len && mal_span_overlaps(g_array_index(future, Future, low).span, span);
       low++)
    if (g_array_index(future, Future, low).until < until)
      return true;
  return false;
}

typedef struct {
  MalLeases *l;
  const MalPlan *plan;
  const GArray *future;
  MalAllocator *allocator;
  GArray *forbidden;
  MalTime now;
  unsigned homeless;            /* leases without a place */
  uint32_t first;
} Move;

static bool has_place(Move *m, uint32_t handle)
{
  const MalLeases *l = m->l;
  const Slot *slot = leases_slot(l, handle);
  const MalScope *scope =
      mal_scope_set_find(m->plan->scopes, mal_scope_set_at(l->scopes, slot->scope)->id);
  if (!scope)
    return false;
  /* It lapses within moments, wherever its addresses are. */
  if (leases_held_until(l, slot) <= m->now && !(slot->flags & MAL_LEASE_PENDING))
    return true;
  MalTime from = MAX(m->now, leases_held_from(l, slot));
  for (size_t i = 0; i < leases_n_blocks(slot); i++) {
    MalSpan span = mal_span_of_block(leases_block(l, slot, i));
    if (!mal_span_contains(scope->span, span) || touches(m->forbidden, span)
        || ends_before(m->future, span, leases_held_until(l, slot))
        || !mal_allocator_take(m->allocator, leases_block(l, slot, i), from,
                               leases_held_until(l, slot), handle))
      return false;
  }
  return true;
}

/* A renewal on its way may yet fail: then the period before it must still be there to go back
   to. */
void leases_take_old(const MalLeases *l, MalAllocator *a, const Op *op, MalTime now)
{
  const Slot *slot = leases_slot(l, op->slot);
  MalTime from = MAX(now, mal_time_add(op->old_start, -(int64_t)slot->pad));
  MalTime until = mal_time_add(op->old_end, slot->pad);
  for (size_t i = 0; from < until && i < leases_n_blocks(slot); i++)
    mal_allocator_take(a, leases_block(l, slot, i), from, until, op->slot);
}

static void move_leases(Move *m)
{
  MalLeases *l = m->l;
  for (uint32_t i = 1; i < l->used_slots; i++) {
    const Slot *slot = leases_slot(l, i);
    if (!(slot->flags & SLOT_USED) || slot->flags & MAL_LEASE_HELD || has_place(m, i))
      continue;
    if (m->homeless++ == 0)
      m->first = i;
  }
  for (size_t i = 0; i < l->ops_length; i++) {
    const Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    if (op->kind == OP_RENEW)
      leases_take_old(l, m->allocator, op, m->now);
  }
}

static void set_homeless_error(const Move *m, GError **error)
{
  MalLease lease;
  leases_view(m->l, m->first, &lease);
  g_autofree char *blocks = mal_blocks_format(lease.blocks, lease.n_blocks);
  g_autofree char *id = mal_lease_id_to_hex(lease.id);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
              "%u live lease%s would lose %s place, the first being %s (lease %s in scope %s): "
              "keep the addresses in a range of that scope, outside of excludes and reserves, "
              "until the leases end, or release them first (mallocctl release LEASE)",
              m->homeless, m->homeless == 1 ? "" : "s", m->homeless == 1 ? "its" : "their", blocks,
              id, lease.scope);
}

/* Nothing can fail from here on. Holds are only a courtesy: they end with the old plan. */
static void adopt(Move *m, MalScopeSet *scopes)
{
  MalLeases *l = m->l;
  for (uint32_t i = 1; i < l->used_slots; i++)
    if (leases_slot(l, i)->flags & MAL_LEASE_HELD)
      leases_remove(l, i);
  const MalScopeSet *old = l->scopes;
  g_ptr_array_add(l->old_scopes, l->scopes);
  l->scopes = mal_scope_set_ref(scopes);
  g_array_set_size(l->by_scope, 0);
  for (uint32_t i = 1; i < l->used_slots; i++) {
    Slot *slot = leases_slot(l, i);
    if (!(slot->flags & SLOT_USED))
      continue;
    slot->scope =
        (uint16_t)mal_scope_set_find(scopes, mal_scope_set_at(old, slot->scope)->id)->index;
    leases_account_scope(l, slot, 1);
  }
  mal_allocator_free(l->allocator);
  l->allocator = g_steal_pointer(&m->allocator);
  leases_not_in_place(l);
}

static bool replan(MalLeases *l, const MalPlan *plan, MalEthernetPolicy policy, MalTime now,
                   bool really, GError **error)
{
  mal_leases_expire(l, now);
  bool mirrored = mal_space_is_mirrored(l->space);
  if (!mal_space_check_plan(l->space, plan, error))
    return false;
  g_autoptr(GPtrArray) reserves = leases_future_reserves(l, plan, error);
  if (!reserves)
    return false;
  g_autoptr(GArray) future = future_owned(l, plan, mirrored);
  g_autoptr(MalAllocator) allocator = mal_allocator_new(policy, allocator_seed(l));
  g_autoptr(GArray) taboo = forbidden(plan, reserves);
  if (!fill_allocator(allocator, future, plan, reserves, l->suspended, error))
    return false;
  Move move = {
    .l = l, .plan = plan, .future = future, .allocator = allocator, .forbidden = taboo, .now = now
  };
  move_leases(&move);
  if (move.homeless > 0) {
    set_homeless_error(&move, error);
    return false;
  }
  if (!really)
    return true;
  l->replanning = true;
  bool ok = mal_space_replan(l->space, plan, error);
  l->replanning = false;
  g_assert(ok);
  g_steal_pointer(&allocator);
  adopt(&move, plan->scopes);
  l->policy = policy;
  g_ptr_array_unref(l->reserves);
  l->reserves = g_steal_pointer(&reserves);
  g_ptr_array_unref(l->excludes);
  l->excludes = leases_planned_excludes(plan);
  leases_reserves_changed(l);
  leases_wait_retry(l);
  return true;
}

bool mal_leases_replan(MalLeases *l, const MalPlan *plan, MalEthernetPolicy policy, MalTime now,
                       GError **error)
{
  return replan(l, plan, policy, now, true, error);
}

bool mal_leases_could_replan(MalLeases *l, const MalPlan *plan, MalEthernetPolicy policy,
                             MalTime now, GError **error)
{
  return replan(l, plan, policy, now, false, error);
}

/* ---- loading --------------------------------------------------------------------------------- */

static bool collides(const MalLeases *l, const Slot *slot, const MalLease *lease, MalTime now)
{
  if (MAX(now, leases_held_from(l, slot)) >= mal_lease_held_until(lease) ||
      MAX(now, mal_lease_held_from(lease)) >= leases_held_until(l, slot))
    return false;
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    for (size_t j = 0; j < lease->n_blocks; j++)
      if (mal_span_overlaps(mal_span_of_block(leases_block(l, slot, i)),
                            mal_span_of_block(lease->blocks[j])))
        return true;
  return false;
}

static unsigned remove_colliding(MalLeases *l, const MalLease *lease, MalTime now)
{
  unsigned n = 0;
  for (uint32_t i = 1; i < l->used_slots; i++) {
    const Slot *slot = leases_slot(l, i);
    if (!(slot->flags & SLOT_USED) || !collides(l, slot, lease, now))
      continue;
    leases_drop_row(l, leases_id(slot));
    leases_remove(l, i);
    n++;
  }
  return n;
}

static bool all_free(MalLeases *l, const MalScope *scope, const MalLease *lease, MalTime now)
{
  MalFit fit = { .scope = scope->index, .from = MAX(now, mal_lease_held_from(lease)),
                 .until = mal_lease_held_until(lease) };
  for (size_t i = 0; i < lease->n_blocks; i++) {
    fit.count = lease->blocks[i].count;
    if (!mal_allocator_is_free(l->allocator, &fit, lease->blocks[i]))
      return false;
  }
  return true;
}

static bool is_owned(const MalLeases *l, const MalScope *scope, const MalLease *lease)
{
  for (size_t i = 0; i < lease->n_blocks; i++)
    if (!mal_space_covers(l->space, MAL_LEVEL_OWNED, scope, mal_span_of_block(lease->blocks[i]),
                          mal_lease_held_until(lease)))
      return false;
  return true;
}

/* Layer 2 may be new here: what was leased without it becomes its own. */
static bool adopt_unowned(MalLeases *l, const MalScope *scope, const MalLease *lease)
{
  for (size_t i = 0; i < lease->n_blocks; i++) {
    MalSpan span = mal_span_of_block(lease->blocks[i]);
    MalTime until = mal_lease_held_until(lease);
    if (!mal_space_covers(l->space, MAL_LEVEL_OWNED, scope, span, until) &&
        (!mal_space_covers(l->space, MAL_LEVEL_AVAILABLE, scope, span, until) ||
         !mal_space_adopt(l->space, scope, span, until)))
      return false;
  }
  return is_owned(l, scope, lease);
}

static bool set_lost_error(const MalLease *lease, GError **error)
{
  g_autofree char *blocks = mal_blocks_format(lease->blocks, lease->n_blocks);
  g_autofree char *id = mal_lease_id_to_hex(lease->id);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
              "the store holds a live lease of %s (lease %s in scope %s), which no range covers "
              "until its end: put the scope and range back into the configuration, or start with "
              "the old one and release the lease first",
              blocks, id, lease->scope);
  return false;
}

bool mal_leases_restore(MalLeases *l, const MalLease *lease, MalTime now, unsigned *superseded,
                        GError **error)
{
  if (mal_lease_held_until(lease) <= now) {
    leases_drop_row(l, lease->id);
    return true;
  }
  const MalScope *scope = mal_scope_set_find(l->scopes, lease->scope);
  if (!scope || (!is_owned(l, scope, lease) && !adopt_unowned(l, scope, lease)))
    return set_lost_error(lease, error);
  uint32_t old = leases_find(l, lease->id);
  if (old)
    leases_remove(l, old);
  /* What the allocator calls taken may be an Ethernet group only (the policy was another one): no
     collision. */
  if (!all_free(l, scope, lease, now))
    *superseded += remove_colliding(l, lease, now);
  uint32_t handle = leases_slot_new(l, lease->id);
  Slot *slot = leases_slot(l, handle);
  leases_set_times(l, slot, (SlotTimes){ lease->start, lease->end, lease->granted });
  slot->pad = (uint32_t)CLAMP(lease->pad, 0, (int64_t)UINT32_MAX);
  slot->scope = (uint16_t)scope->index;
  slot->origin = leases_origin(l, lease->origin);
  slot->flags |= (uint8_t)(lease->flags & MAL_LEASE_SHARED);
  leases_set_client(l, slot, lease->client);
  leases_set_blocks(l, slot, lease->blocks, lease->n_blocks);
  leases_account(l, slot, 1);
  leases_heap_add(l, handle);
  for (size_t i = 0; i < lease->n_blocks; i++)
    if (!mal_allocator_take(l->allocator, lease->blocks[i], MAX(now, mal_lease_held_from(lease)),
                            mal_lease_held_until(lease), handle)) {
      leases_remove(l, handle);
      return set_lost_error(lease, error);
    }
  return true;
}
