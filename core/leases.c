/* The lease engine (RFC 2908 layer 1, design: the step owned -> leased).

   A change is decided in memory first: the allocator says what is free, the slot and its busy
   periods are entered, and the row goes to the store's batch. Until the store says that the batch
   is durable the lease is PENDING: nobody is told of it, and nobody else can get its addresses. If
   the batch fails, the change is undone (leases-commit.c) as if it had never been asked.

   leases-table.c   slots, hash by identifier, heap by lapse
   leases.c         requests, holds, renewals, releases
   leases-decide.c  which addresses and which period a request gets
   leases-commit.c  what waits for the disk
   leases-wait.c    what waits for space
   leases-plan.c    configuration, loading
   leases-reserve.c addresses that nobody gets
   leases-time.c    expiry, steps of the clock, invariants
   leases-end.c     how leases end, revoked ones above all
   leases-ask.c     what is asked about leases, who watches them */
#include "leases-internal.h"

#include <string.h>

#define HOLDS_MOST (1 << 17)

/* ---- the allocator's view of a slot ---------------------------------------------------------- */

void leases_take(MalLeases *l, uint32_t handle, MalTime from, MalTime until)
{
  const Slot *slot = leases_slot(l, handle);
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    mal_allocator_take(l->allocator, leases_block(l, slot, i), from, until, handle);
}

void leases_retake(MalLeases *l, uint32_t handle, MalTime from, MalTime until)
{
  const Slot *slot = leases_slot(l, handle);
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    mal_allocator_retake(l->allocator, leases_block(l, slot, i), from, until, handle);
}

void leases_give(MalLeases *l, uint32_t handle)
{
  const Slot *slot = leases_slot(l, handle);
  for (size_t i = 0; i < leases_n_blocks(slot); i++)
    mal_allocator_give(l->allocator, leases_block(l, slot, i), handle);
}

static void add_to(MalLeaseTotals *t, const Slot *slot, int sign, uint64_t addresses)
{
  if (slot->flags & MAL_LEASE_HELD) {
    t->holds += (uint64_t)sign;
    return;
  }
  t->leases += (uint64_t)sign;
  t->addresses += (uint64_t)(sign * (int64_t)addresses);
}

void leases_account_scope(MalLeases *l, const Slot *slot, int sign)
{
  if (slot->scope >= l->by_scope->len)
    g_array_set_size(l->by_scope, slot->scope + 1u);
  add_to(&g_array_index(l->by_scope, MalLeaseTotals, slot->scope), slot, sign,
         leases_slot_addresses(l, slot));
}

void leases_account(MalLeases *l, const Slot *slot, int sign)
{
  leases_use(l, slot, sign);
  add_to(&l->totals, slot, sign, leases_slot_addresses(l, slot));
  leases_account_scope(l, slot, sign);
}

void leases_remove(MalLeases *l, uint32_t handle)
{
  leases_account(l, leases_slot(l, handle), -1);
  leases_give(l, handle);
  leases_slot_free(l, handle);
}

/* ---- requests and holds ---------------------------------------------------------------------- */

static uint32_t new_slot(MalLeases *l, const MalLeaseRequest *r, const Period *period,
                         MalTime granted)
{
  uint32_t handle = leases_slot_new(l, r->id);
  Slot *slot = leases_slot(l, handle);
  leases_set_times(l, slot, (SlotTimes){ period->start, period->end, granted });
  slot->pad = (uint32_t)r->pad; /* check_times saw it */
  slot->scope = (uint16_t)r->scope->index;
  slot->origin = leases_origin(l, r->origin);
  slot->flags |= (uint8_t)(r->flags & MAL_LEASE_SHARED);
  leases_set_client(l, slot, r->client);
  leases_set_blocks(l, slot, (const MalBlock *)(void *)l->found->data, l->found->len);
  return handle;
}

static void enter_slot(MalLeases *l, uint32_t handle, MalTime now)
{
  const Slot *slot = leases_slot(l, handle);
  leases_take(l, handle, MAX(now, leases_held_from(l, slot)), leases_held_until(l, slot));
  leases_heap_add(l, handle);
  leases_account(l, slot, 1);
}

void leases_enter(MalLeases *l, const MalLeaseRequest *r, const Period *period, MalTime now,
                  MalLeaseFunc done, void *user, uint64_t cookie)
{
  uint32_t handle = new_slot(l, r, period, now);
  Slot *slot = leases_slot(l, handle);
  enter_slot(l, handle, now);
  MalLease view;
  leases_view(l, handle, &view);
  slot->flags |= MAL_LEASE_PENDING;
  Op op = { .ticket = mal_store_put_lease(l->store, &view), .kind = OP_GRANT, .slot = handle,
            .done = done, .user = user, .cookie = cookie };
  leases_ops_push(l, &op);
  leases_debug_check(l);
}

bool leases_store_works(const MalLeases *l)
{
  return l->store && mal_store_state(l->store, NULL) == MAL_STORE_OK;
}

/* Sums of what passes stay far from overflow, and from MAL_FOREVER. */
static bool check_times(const MalLeaseRequest *r, MalRefusal *why)
{
  if (r->lifetime <= 0 || r->lifetime > LEASES_TIME_MOST || r->min_lifetime > r->lifetime)
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_LIFETIME);
  if (r->start > LEASES_TIME_MOST)
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_START);
  if (r->pad < 0 || r->pad > (int64_t)UINT32_MAX)
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_OTHER);
  return true;
}

/* The scope may be of an earlier plan: then it is the one of that name that counts. */
static bool check_scope(const MalLeases *l, MalLeaseRequest *r, MalRefusal *why)
{
  if (r->scope->index < mal_scope_set_size(l->scopes) &&
      mal_scope_set_at(l->scopes, r->scope->index) == r->scope)
    return true;
  r->scope = mal_scope_set_find(l->scopes, r->scope->id);
  if (!r->scope)
    return leases_refuse(why, MAL_ERROR_NOT_FOUND, MAL_REFUSED_SCOPE);
  return true;
}

static bool check_request(const MalLeases *l, MalLeaseRequest *r, MalRefusal *why)
{
  if (!check_scope(l, r, why))
    return false;
  if (r->id.length == 0 || r->id.length > MAL_LEASE_ID_MAX)
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_ID);
  if (!r->n_named && (r->min == 0 || r->min > r->desired))
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_COUNT);
  if (!check_times(r, why))
    return false;
  for (size_t i = 0; i < r->n_named; i++)
    if (!mal_span_contains(r->scope->span, mal_span_of_block(r->named[i])))
      return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_NAMED);
  if (!leases_store_works(l))
    return leases_refuse(why, MAL_ERROR_STORE, MAL_REFUSED_OTHER);
  return true;
}

static bool same_blocks(const MalLeases *l, const Slot *slot, const MalLeaseRequest *r)
{
  if (!r->n_named) {
    uint64_t n = leases_slot_addresses(l, slot);
    return n >= r->min && n <= r->desired;
  }
  if (r->n_named != leases_n_blocks(slot))
    return false;
  for (size_t i = 0; i < r->n_named; i++) {
    MalBlock b = leases_block(l, slot, i);
    if (!mal_address_equal(b.first, r->named[i].first) || b.count != r->named[i].count)
      return false;
  }
  return true;
}

/* The hold goes; what it held is what the request gets, where that still answers it. */
static void turn_hold(MalLeases *l, uint32_t hold, const MalLeaseRequest *r, MalLeaseRequest *named,
                      MalBlock **blocks)
{
  const Slot *slot = leases_slot(l, hold);
  *named = *r;
  *blocks = NULL;
  if (slot->scope == r->scope->index && same_blocks(l, slot, r)) {
    *blocks = g_new(MalBlock, leases_n_blocks(slot));
    for (size_t i = 0; i < leases_n_blocks(slot); i++)
      (*blocks)[i] = leases_block(l, slot, i);
    named->named = *blocks;
    named->n_named = leases_n_blocks(slot);
  }
  leases_remove(l, hold);
}

static bool decide_with_hold(MalLeases *l, const MalLeaseRequest *r, MalTime now, Period *period,
                             MalRefusal *why)
{
  uint32_t hold = leases_find(l, r->id);
  if (!hold)
    return leases_decide(l, r, now, period, why);
  MalLeaseRequest named;
  g_autofree MalBlock *blocks = NULL;
  turn_hold(l, hold, r, &named, &blocks);
  if (blocks && leases_decide(l, &named, now, period, why) &&
      period->end - period->start >= r->lifetime)
    return true;
  return leases_decide(l, r, now, period, why);
}

static bool id_is_taken(const MalLeases *l, MalLeaseId id)
{
  uint32_t handle = leases_find(l, id);
  return (handle && !(leases_slot(l, handle)->flags & MAL_LEASE_HELD)) ||
         mal_leases_is_waiting(l, id);
}

MalAnswer mal_leases_request(MalLeases *l, const MalLeaseRequest *asked, MalTime now,
                             MalLeaseFunc done, void *user, uint64_t cookie, MalRefusal *why)
{
  MalLeaseRequest current = *asked;
  MalLeaseRequest *r = &current;
  MalRefusal unused;
  Period period;
  if (!why)
    why = &unused;
  now = leases_sync_clock(l, now);
  if (!check_request(l, r, why))
    return MAL_ANSWER_REFUSED;
  if (id_is_taken(l, r->id)) {
    leases_refuse(why, MAL_ERROR_EXISTS, MAL_REFUSED_ID);
    return MAL_ANSWER_REFUSED;
  }
  if (decide_with_hold(l, r, now, &period, why)) {
    /* "As soon as possible" (RFC 2730 2.2.4): space that others bring in a moment beats a
       later start. */
    if (r->may_wait && (leases_is_late(r, now, &period) || leases_is_short(l, r, now, &period)) &&
        leases_wait(l, r, now, done, user, cookie))
      return MAL_ANSWER_WAITING;
    leases_enter(l, r, &period, now, done, user, cookie);
    return MAL_ANSWER_GRANTED;
  }
  if (r->may_wait && why->code == MAL_ERROR_NO_SPACE &&
      (why->part != MAL_REFUSED_NAMED || leases_could_own_named(l, r, now)) &&
      leases_wait(l, r, now, done, user, cookie))
    return MAL_ANSWER_WAITING;
  return MAL_ANSWER_REFUSED;
}

/* A DISCOVER costs its sender nothing, so what is offered is bounded: as a whole, that memory is;
   for one client by its limit and, beyond its first offer, to a quarter of the scope, that there is
   something left for others. */
static bool may_offer(const MalLeases *l, const MalLeaseRequest *r, MalLeaseRequest *bounded,
                      MalRefusal *why)
{
  uint64_t held = leases_held_for(l, r->client, ALL_SCOPES);
  uint64_t here = leases_held_for(l, r->client, r->scope->index);
  uint32_t old = leases_find(l, r->id);
  const Slot *slot = leases_slot(l, old);
  *bounded = *r;
  if (!old && l->totals.holds >= HOLDS_MOST)
    return leases_refuse(why, MAL_ERROR_LIMIT, MAL_REFUSED_OTHER);
  if (old && mal_address_equal(leases_client(l, slot), r->client)) {
    held -= leases_slot_addresses(l, slot);
    here -= slot->scope == r->scope->index ? leases_slot_addresses(l, slot) : 0;
  }
  if (r->client_limit > 0 && held >= r->client_limit)
    return leases_refuse(why, MAL_ERROR_LIMIT, MAL_REFUSED_COUNT);
  if (r->client_limit > 0)
    bounded->client_limit -= (uint32_t)held;
  if (here == 0)
    return true;
  uint64_t most = mal_allocator_stats(l->allocator, (int)r->scope->index).owned / 4;
  if (here + leases_addresses_asked(r) > most)
    return leases_refuse(why, MAL_ERROR_LIMIT, MAL_REFUSED_COUNT);
  bounded->desired = (uint32_t)MIN(r->desired, most - here);
  return true;
}

bool mal_leases_hold(MalLeases *l, const MalLeaseRequest *asked, MalTime now, MalTime hold_until,
                     MalLease *out, MalRefusal *why)
{
  MalLeaseRequest current = *asked;
  MalLeaseRequest *r = &current;
  MalRefusal unused;
  Period period;
  if (!why)
    why = &unused;
  now = leases_sync_clock(l, now);
  if (!check_request(l, r, why))
    return false;
  if (id_is_taken(l, r->id))
    return leases_refuse(why, MAL_ERROR_EXISTS, MAL_REFUSED_ID);
  MalLeaseRequest bounded;
  if (!may_offer(l, r, &bounded, why))
    return false;
  bool good = decide_with_hold(l, &bounded, now, &period, why);
  /* Nobody waits for an offer, but who asks again may find what this brings. */
  if (r->may_wait && (good ? leases_is_late(r, now, &period) || leases_is_short(l, r, now, &period)
                           : why->code == MAL_ERROR_NO_SPACE))
    leases_wait_raise(l, r, now);
  if (!good)
    return false;
  uint32_t handle = new_slot(l, r, &period, hold_until);
  Slot *slot = leases_slot(l, handle);
  slot->flags |= MAL_LEASE_HELD;
  enter_slot(l, handle, now);
  leases_debug_check(l);
  if (out)
    leases_view(l, handle, out);
  return true;
}

bool mal_leases_unhold(MalLeases *l, MalLeaseId id)
{
  uint32_t handle = leases_find(l, id);
  if (!handle || !(leases_slot(l, handle)->flags & MAL_LEASE_HELD))
    return false;
  leases_remove(l, handle);
  return true;
}

/* ---- changes of a lease ---------------------------------------------------------------------- */

/* 0 with WHY where there is no such lease; a change that comes while another is on its way stands
   in line behind it (*IN_LINE). */
static uint32_t find_for_change(MalLeases *l, MalLeaseId id, bool *in_line, MalRefusal *why)
{
  uint32_t handle = leases_find(l, id);
  if (!handle || leases_slot(l, handle)->flags & MAL_LEASE_HELD) {
    leases_refuse(why, MAL_ERROR_NOT_FOUND, MAL_REFUSED_ID);
    return 0;
  }
  if (!leases_store_works(l)) {
    leases_refuse(why, MAL_ERROR_STORE, MAL_REFUSED_OTHER);
    return 0;
  }
  *in_line = leases_slot(l, handle)->flags & MAL_LEASE_PENDING;
  return handle;
}

bool leases_is_free(MalLeases *l, uint32_t handle, MalTime now, Period period,
                    bool beside_reserves)
{
  const Slot *slot = leases_slot(l, handle);
  MalFit fit = { .scope = slot->scope,
                 .from = MAX(now, mal_time_add(period.start, -(int64_t)slot->pad)),
                 .until = mal_time_add(period.end, slot->pad),
                 .ignore_owner = handle,
                 .beside_reserves = beside_reserves };
  for (size_t i = 0; i < leases_n_blocks(slot); i++) {
    MalBlock b = leases_block(l, slot, i);
    fit.count = b.count;
    if (!mal_allocator_is_free(l->allocator, &fit, b))
      return false;
  }
  return true;
}

static bool decide_renewal(MalLeases *l, uint32_t handle, const MalRenewal *r, MalTime now,
                           Period *out, MalRefusal *why)
{
  const Slot *slot = leases_slot(l, handle);
  if (leases_held_until(l, slot) <= now)
    return leases_refuse(why, MAL_ERROR_NOT_FOUND, MAL_REFUSED_ID);
  if (r->start > LEASES_TIME_MOST)
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_START);
  MalTime said = leases_times(l, slot).start;
  MalTime begin = r->start == MAL_BEGINNING ? MAX(said, now) : MAX(r->start, now);
  MalTime start = begin > now ? begin : MIN(said, now);
  if (r->lifetime <= 0 || r->lifetime > LEASES_TIME_MOST || r->min_lifetime > r->lifetime)
    return leases_refuse(why, MAL_ERROR_INVALID, MAL_REFUSED_LIFETIME);
  if (r->max_start < begin)
    return leases_refuse(why, MAL_ERROR_NO_SPACE, MAL_REFUSED_START);
  int64_t good = 0, bad = r->lifetime;
  leases_lift_suspensions(l, handle, true);
  Period wish = { start, mal_time_add(begin, r->lifetime) };
  if (leases_is_free(l, handle, now, wish, false))
    good = r->lifetime;
  while (good != r->lifetime && good + 1 < bad) {
    int64_t middle = good + (bad - good) / 2;
    wish.end = mal_time_add(begin, middle);
    if (leases_is_free(l, handle, now, wish, false))
      good = middle;
    else
      bad = middle;
  }
  leases_lift_suspensions(l, handle, false);
  if (good < r->lifetime)
    leases_want_longer(l, handle, mal_time_add(mal_time_add(begin, r->lifetime), slot->pad));
  if (good < MAX(r->min_lifetime, 1))
    return leases_refuse(why, MAL_ERROR_NO_SPACE,
                  good > 0 || r->start == MAL_BEGINNING ? MAL_REFUSED_LIFETIME : MAL_REFUSED_START);
  *out = (Period){ start, mal_time_add(begin, good) };
  return true;
}

/* Both periods stay taken until the new one is durable. Where they meet that is one period, most
   often the new one itself, and then nothing is left to do later: true. */
static bool take_both(MalLeases *l, uint32_t handle, const Period *period, MalTime now)
{
  const Slot *slot = leases_slot(l, handle);
  MalTime old_from = leases_held_from(l, slot), old_until = leases_held_until(l, slot);
  MalTime new_from = mal_time_add(period->start, -(int64_t)slot->pad);
  MalTime from = MAX(now, new_from), until = mal_time_add(period->end, slot->pad);
  if (from > old_until || until < old_from) {
    leases_take(l, handle, from, until);
    return false;
  }
  if (from < old_from || until > old_until)
    leases_retake(l, handle, MIN(from, old_from), MAX(until, old_until));
  return new_from <= old_from && until >= old_until;
}

MalAnswer mal_leases_renew(MalLeases *l, MalLeaseId id, const MalRenewal *renewal, MalTime now,
                           MalLeaseFunc done, void *user, uint64_t cookie, MalRefusal *why)
{
  MalRefusal unused;
  Period period;
  bool in_line;
  if (!why)
    why = &unused;
  now = leases_sync_clock(l, now);
  uint32_t handle = find_for_change(l, id, &in_line, why);
  if (!handle)
    return MAL_ANSWER_REFUSED;
  if (in_line) {
    if (!leases_may_queue(leases_slot(l, handle), why))
      return MAL_ANSWER_REFUSED;
    Queued q = {
      .kind = OP_RENEW, .renewal = *renewal, .done = done, .user = user, .cookie = cookie
    };
    leases_queue(l, handle, &q);
    return MAL_ANSWER_GRANTED;
  }
  if (!decide_renewal(l, handle, renewal, now, &period, why))
    return MAL_ANSWER_REFUSED;
  Slot *slot = leases_slot(l, handle);
  SlotTimes old = leases_times(l, slot);
  Op op = { .kind = OP_RENEW, .slot = handle, .old_start = old.start, .old_end = old.end,
            .done = done, .user = user, .cookie = cookie };
  op.in_place = take_both(l, handle, &period, now);
  leases_set_times(l, slot, (SlotTimes){ period.start, period.end, old.granted });
  leases_heap_fix(l, handle);
  MalLease view;
  leases_view(l, handle, &view);
  op.ticket = mal_store_put_lease(l->store, &view);
  slot->flags |= MAL_LEASE_PENDING;
  leases_ops_push(l, &op);
  return MAL_ANSWER_GRANTED;
}

MalAnswer mal_leases_release(MalLeases *l, MalLeaseId id, MalTime now, const char *reason,
                             MalLeaseFunc done, void *user, uint64_t cookie, MalRefusal *why)
{
  MalRefusal unused;
  bool in_line;
  if (!why)
    why = &unused;
  if (leases_wait_cancel(l, id))
    return MAL_ANSWER_WAITING;
  uint32_t handle = find_for_change(l, id, &in_line, why);
  if (!handle)
    return MAL_ANSWER_REFUSED;
  if (in_line) {
    /* A revocation stands in any line: its addresses are gone. */
    if (strcmp(reason, "revoked") != 0 && !leases_may_queue(leases_slot(l, handle), why))
      return MAL_ANSWER_REFUSED;
    Queued q = {
      .kind = OP_RELEASE, .reason = reason, .done = done, .user = user, .cookie = cookie
    };
    leases_queue(l, handle, &q);
    return MAL_ANSWER_GRANTED;
  }
  Op op = {
    .ticket = mal_store_drop_lease(l->store, id, now, reason), .kind = OP_RELEASE, .slot = handle,
    .reason = reason, .done = done, .user = user, .cookie = cookie
  };
  leases_slot(l, handle)->flags |= MAL_LEASE_PENDING | SLOT_LEAVING;
  leases_ops_push(l, &op);
  return MAL_ANSWER_GRANTED;
}
