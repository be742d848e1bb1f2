/* The lease engine and time: expiry, steps of the wall clock, and the invariants at an instant. */
#include <config.h>

#include "leases-internal.h"

#include <string.h>

MalTime mal_leases_due(const MalLeases *l)
{
  uint32_t top = leases_heap_top(l);
  MalTime due = top ? leases_lapse(l, leases_slot(l, top)) : MAL_FOREVER;
  return MIN(due, leases_wait_due(l));
}

void mal_leases_expire(MalLeases *l, MalTime now)
{
  bool freed = false;
  now = leases_sync_clock(l, now);
  for (uint32_t top; (top = leases_heap_top(l)) && leases_lapse(l, leases_slot(l, top)) <= now;) {
    /* A change of it is on its way to the disk: the outcome comes within moments, and then it
       lapses. */
    if (leases_slot(l, top)->flags & MAL_LEASE_PENDING)
      break;
    if (leases_slot(l, top)->flags & MAL_LEASE_HELD) {
      leases_remove(l, top);
    } else {
      /* The row ends by its time, too, but a clock that steps back before a restart would bring it
         to life again. */
      leases_drop_row(l, leases_id(leases_slot(l, top)));
      leases_end(l, top, MAL_LEASE_EXPIRED, "expired", NULL);
    }
    freed = true;
  }
  leases_wait_expire(l, now);
  leases_drop_rows(l);
  if (freed) {
    leases_debug_check(l);
    leases_wait_retry(l);
  }
}

/* ---- steps of the wall clock ----------------------------------------------------------------- */

/* What is over already moves, too, so that it stays over. A lease of which a renewal is on its way
   to the disk has two periods for these moments: it is left as it is. */
static bool had_begun(const MalLeases *l, uint32_t handle, MalTime before)
{
  const Slot *slot = leases_slot(l, handle);
  for (size_t i = 0; slot->flags & MAL_LEASE_PENDING && i < l->ops_length; i++) {
    const Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    if (op->slot == handle && op->kind == OP_RENEW)
      return MAX(leases_held_until(l, slot), mal_time_add(op->old_end, slot->pad)) <= before;
  }
  return leases_times(l, slot).start <= before;
}

/* A period that is over by NOW, padding and all, is in nobody's way. A reserve that has the lease's
   Ethernet group came later than the lease, and waits for it anyway. */
static bool could_end(MalLeases *l, uint32_t handle, MalTime now, MalTime end)
{
  const Slot *slot = leases_slot(l, handle);
  return mal_time_add(end, slot->pad) <= now
         || leases_is_free(l, handle, now, (Period){ leases_times(l, slot).start, end }, true);
}

/* What a renewal on its way would go back to moves with what it would become. */
static void move_old_period(MalLeases *l, uint32_t handle, int64_t delta)
{
  for (size_t i = 0; i < l->ops_length; i++) {
    Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    if (op->slot == handle && op->kind == OP_RENEW) {
      op->old_start = mal_time_add(op->old_start, delta);
      op->old_end = mal_time_add(op->old_end, delta);
    }
  }
}

/* Where the moved period meets one that keeps its absolute time, it is cut back, but never to
   before the end that was said when it was leased. What moves by as much is not entered yet: it is
   in the way only where it shares an Ethernet group, and then it did so before. */
static void fit_moved(MalLeases *l, uint32_t handle, MalTime now, MalTime least)
{
  Slot *slot = leases_slot(l, handle);
  SlotTimes times = leases_times(l, slot);
  MalTime good = least, bad = times.end;
  if (could_end(l, handle, now, times.end))
    return;
  while (good + 1 < bad) {
    MalTime middle = good + (bad - good) / 2;
    if (could_end(l, handle, now, middle))
      good = middle;
    else
      bad = middle;
  }
  times.end = good;
  leases_set_times(l, slot, times);
}

static void retake(MalLeases *l, uint32_t handle, MalTime now)
{
  const Slot *slot = leases_slot(l, handle);
  MalTime from = MAX(now, leases_held_from(l, slot)), until = leases_held_until(l, slot);
  if (from < until)
    leases_take(l, handle, from, until);
}

/* A lease that leaves has its last row behind it: another one would bring it back. */
static void save(MalLeases *l, uint32_t handle)
{
  MalLease view;
  if (leases_slot(l, handle)->flags & SLOT_LEAVING) {
    l->unsaved_change = true;
    return;
  }
  leases_view(l, handle, &view);
  view.flags &= (uint32_t)~MAL_LEASE_PENDING;
  MalTicket ticket = mal_store_put_lease(l->store, &view);
  if (l->moved_first == 0)
    l->moved_first = ticket;
  l->moved_last = ticket;
}

/* All, since nothing says which of them a step had moved: disks seldom fail just then. What is on
   its way to the disk comes with its own row. */
static void save_again(MalLeases *l)
{
  l->unsaved = l->unsaved_change = false;
  for (uint32_t i = 1; i < l->used_slots; i++) {
    uint8_t flags = leases_slot(l, i)->flags;
    if (!(flags & SLOT_USED) || flags & MAL_LEASE_HELD)
      continue;
    if (flags & MAL_LEASE_PENDING)
      l->unsaved_change = true;
    else
      save(l, i);
  }
}

void leases_moved_settled(MalLeases *l, MalTicket through, const GError *error)
{
  bool ours = l->moved_first && through >= l->moved_first;
  if (ours && error && through <= l->moved_last)
    l->unsaved = true;
  if (ours && through >= l->moved_last)
    l->moved_first = l->moved_last = 0;
  if (!error && l->unsaved)
    save_again(l);
}

static void move_period(MalLeases *l, uint32_t handle, int64_t delta, MalTime now)
{
  Slot *slot = leases_slot(l, handle);
  SlotTimes times = leases_times(l, slot);
  MalTime said = times.end;
  times.start = MIN(mal_time_add(times.start, delta), now);
  times.end = mal_time_add(times.end, delta);
  leases_set_times(l, slot, times);
  if (delta > 0)
    fit_moved(l, handle, now, said);
}

static size_t move_begun(MalLeases *l, const GArray *begun, int64_t delta, MalTime now)
{
  for (unsigned i = 0; i < begun->len; i++)
    move_period(l, g_array_index(begun, uint32_t, i), delta, now);
  for (unsigned i = 0; i < begun->len; i++) {
    uint32_t handle = g_array_index(begun, uint32_t, i);
    const Slot *slot = leases_slot(l, handle);
    retake(l, handle, now);
    if (slot->flags & MAL_LEASE_PENDING)
      move_old_period(l, handle, delta);
    if (!(slot->flags & MAL_LEASE_HELD))
      save(l, handle);
  }
  return begun->len;
}

/* Those that keep their time are entered anew: what was cut off them because it was past may be
   ahead again. */
static void retake_others(MalLeases *l, const GArray *begun, MalTime now)
{
  for (uint32_t i = 1, next = 0; i < l->used_slots; i++) {
    if (next < begun->len && g_array_index(begun, uint32_t, next) == i)
      next++;
    else if (leases_slot(l, i)->flags & SLOT_USED)
      retake(l, i, now);
  }
  for (size_t i = 0; i < l->ops_length; i++) {
    const Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    if (op->kind == OP_RENEW)
      leases_take_old(l, l->allocator, op, now);
  }
  leases_not_in_place(l);
}

static void delay_lapse(MalLeases *l, Slot *hold, int64_t delta)
{
  SlotTimes times = leases_times(l, hold);
  times.granted = mal_time_add(times.granted, delta);
  leases_set_times(l, hold, times);
}

/* BEFORE: what the clock would show now without the step. DELTA is rounded, and so NOW - DELTA may
   be a second less: a lease granted in that second had begun. */
static size_t stepped(MalLeases *l, int64_t delta, MalTime before, MalTime now)
{
  g_autoptr(GArray) begun = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  for (uint32_t i = 1; i < l->used_slots; i++) {
    Slot *slot = leases_slot(l, i);
    if (!(slot->flags & SLOT_USED))
      continue;
    leases_give(l, i);
    if (slot->flags & MAL_LEASE_HELD)
      delay_lapse(l, slot, delta);
    if (had_begun(l, i, before))
      g_array_append_val(begun, i);
  }
  retake_others(l, begun, now);
  size_t moved = move_begun(l, begun, delta, now);
  g_array_set_size(l->heap, 0);
  for (uint32_t i = 1; i < l->used_slots; i++)
    if (leases_slot(l, i)->flags & SLOT_USED)
      leases_heap_add(l, i);
  for (GList *i = l->waiting.head; i; i = i->next) {
    Waiting *w = i->data;
    w->give_up = mal_time_add(w->give_up, delta);
    w->ask_again = mal_time_add(w->ask_again, delta);
  }
  return moved;
}

size_t mal_leases_clock_stepped(MalLeases *l, int64_t delta, MalTime now)
{
  return stepped(l, delta, now - delta, now);
}

/* Smaller differences are drift, or the clock being disciplined: leases are padded by far more. */
#define STEP_SECONDS 2

void mal_leases_on_clock_step(MalLeases *l, MalClockStep func, void *data)
{
  l->on_step = func;
  l->on_step_data = data;
}

MalTime leases_sync_clock(MalLeases *l, MalTime now)
{
  int64_t offset = mal_runtime_wall(l->rt) - mal_runtime_monotonic(l->rt);
  int64_t difference = offset - l->clock_offset;
  l->clock_offset = offset;
  if (ABS(difference) < STEP_SECONDS * MAL_US)
    return now;
  /* Rounded up, whichever way it went: rounding may lengthen a running lease, but never shorten
     it. */
  int64_t delta = difference / MAL_US + (difference % MAL_US > 0);
  now = mal_runtime_now(l->rt);
  MalTime before = (mal_runtime_wall(l->rt) - difference) / MAL_US;
  size_t moved = stepped(l, delta, before, now);
  if (l->on_step)
    l->on_step(delta, moved, l->on_step_data);
  return now;
}

MalTime mal_leases_now(MalLeases *l)
{
  return leases_sync_clock(l, mal_runtime_now(l->rt));
}

/* ---- invariants ------------------------------------------------------------------------------ */

typedef struct {
  MalSpan span;
  MalTime from, until;
  uint32_t slot;
} Piece;

static int piece_order(const void *a, const void *b)
{
  return mal_address_compare(((const Piece *)a)->span.first, ((const Piece *)b)->span.first);
}

static void check_slot(const MalLeases *l, uint32_t handle, MalTime now, GArray *pieces)
{
  const Slot *slot = leases_slot(l, handle);
  const MalScope *scope = mal_scope_set_at(l->scopes, slot->scope);
  if (leases_find(l, leases_id(slot)) != handle)
    g_error("lease %u is not found under its identifier", handle);
  if (g_array_index(l->heap, uint32_t, slot->heap_place) != handle)
    g_error("lease %u is not where its heap place says", handle);
  for (size_t i = 0; i < leases_n_blocks(slot); i++) {
    Piece p = { mal_span_of_block(leases_block(l, slot, i)), MAX(now, leases_held_from(l, slot)),
                leases_held_until(l, slot), handle };
    char text[MAL_SPAN_STRLEN];
    bool leaving = slot->flags & SLOT_LEAVING || slot->in_line > 0 || p.from >= p.until;
    if (!leaving && !mal_space_covers(l->space, MAL_LEVEL_OWNED, scope, p.span, MAL_BEGINNING))
      g_error("leased %s is not owned", mal_span_format(p.span, text));
    if (!leaving && !mal_space_covers(l->space, MAL_LEVEL_AVAILABLE, scope, p.span, MAL_BEGINNING))
      g_error("leased %s is not available", mal_span_format(p.span, text));
    if (!mal_span_contains(scope->span, p.span))
      g_error("leased %s is outside of scope %s", mal_span_format(p.span, text), scope->id);
    if (p.from < p.until)
      g_array_append_val(pieces, p);
  }
}

static void check_totals(const MalLeases *l)
{
  g_autofree uint64_t *n = g_new0(uint64_t, mal_scope_set_size(l->scopes));
  for (uint32_t i = 1; i < l->used_slots; i++)
    if (leases_slot(l, i)->flags & SLOT_USED)
      n[leases_slot(l, i)->scope]++;
  for (unsigned i = 0; i < mal_scope_set_size(l->scopes); i++) {
    MalLeaseTotals t = mal_leases_totals(l, mal_scope_set_at(l->scopes, i));
    if (t.leases + t.holds != n[i])
      g_error("the counters of scope %s are off", mal_scope_set_at(l->scopes, i)->id);
  }
}

void mal_leases_check(const MalLeases *l, MalTime now)
{
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
  check_totals(l);
  for (uint32_t i = 1; i < l->used_slots; i++)
    if (leases_slot(l, i)->flags & SLOT_USED)
      check_slot(l, i, now, pieces);
  g_array_sort(pieces, piece_order);
  for (unsigned i = 0; i < pieces->len; i++)
    for (unsigned j = i + 1; j < pieces->len; j++) {
      const Piece *a = &g_array_index(pieces, Piece, i), *b = &g_array_index(pieces, Piece, j);
      char text[MAL_SPAN_STRLEN];
      if (mal_address_compare(b->span.first, a->span.last) > 0)
        break;
      if (a->slot != b->slot && a->from < b->until && b->from < a->until)
        g_error("%s is leased twice at one instant: lease %u (flags %x) over %" G_GINT64_FORMAT
                "..%" G_GINT64_FORMAT ", lease %u (flags %x) over %" G_GINT64_FORMAT
                "..%" G_GINT64_FORMAT ", now %" G_GINT64_FORMAT,
                mal_span_format(b->span, text), a->slot, leases_slot(l, a->slot)->flags, a->from,
                a->until, b->slot, leases_slot(l, b->slot)->flags, b->from, b->until, now);
    }
}

#ifdef MAL_DEBUG_CHECKS
#define SMALL 64

void leases_debug_check(MalLeases *l)
{
  uint64_t size = l->totals.leases + l->totals.holds;
  if (++l->changes < size / SMALL * size / SMALL)
    return;
  l->changes = 0;
  mal_leases_check(l, mal_runtime_now(l->rt));
}
#else
void leases_debug_check(MalLeases *l)
{
  (void)l;
}
#endif

/* ---- why not --------------------------------------------------------------------------------- */

static void explain_space(GString *s, const MalShortage *n, const MalLeaseRequest *r)
{
  g_string_append_printf(s, ": %" G_GUINT64_FORMAT " owned", n->owned);
  if (n->ends_too_early)
    g_string_append_printf(s, ", %" G_GUINT64_FORMAT " of them in ranges that end too early",
                           n->ends_too_early);
  g_string_append_printf(s,
                         ", %" G_GUINT64_FORMAT " leased, %" G_GUINT64_FORMAT
                         " reserved, %" G_GUINT64_FORMAT " free",
                         n->leased, n->reserved, n->free);
  if (n->free_ethernet)
    g_string_append_printf(
        s, ", of which %" G_GUINT64_FORMAT " share an Ethernet group with a live lease",
        n->free_ethernet);
  if (r->min > 1 && n->longest_run)
    g_string_append_printf(s, "; the longest free run is %u", n->longest_run);
}

static const char *part_text(MalRefusedPart part)
{
  static const char *const texts[] = {
    [MAL_REFUSED_OTHER] = "no address is free for this period",
    [MAL_REFUSED_COUNT] = "not so many addresses are free for this period",
    [MAL_REFUSED_NAMED] = "the named addresses are not free for this period",
    [MAL_REFUSED_LIFETIME] = "addresses are free, but not for so long",
    [MAL_REFUSED_START] = "addresses are free, but not that early",
    [MAL_REFUSED_SCOPE] = "this server owns no addresses of the scope",
    [MAL_REFUSED_ID] = "the lease identifier is not known",
  };
  return texts[part];
}

GError *mal_leases_refusal_error(MalLeases *l, const MalLeaseRequest *r, MalTime now,
                                 const MalRefusal *why)
{
  const GError *failing = NULL;
  if (why->code == MAL_ERROR_STORE && l->store
      && mal_store_state(l->store, &failing) != MAL_STORE_OK)
    return g_error_new(MAL_ERROR, MAL_ERROR_STORE,
                       "nothing is leased while the store can't be written: %s",
                       failing->message);
  if (why->code == MAL_ERROR_EXISTS)
    return g_error_new_literal(MAL_ERROR, MAL_ERROR_EXISTS,
                               "a lease with this identifier is alive");
  if (why->code == MAL_ERROR_LIMIT)
    return g_error_new(MAL_ERROR, MAL_ERROR_LIMIT,
                       "the client holds %" G_GUINT64_FORMAT " addresses; its limit is %u",
                       mal_leases_client_addresses(l, r->client), r->client_limit);
  GString *s = g_string_new(NULL);
  g_string_append_printf(s, "scope %s: %s", r->scope->id, part_text(why->part));
  MalTime start = MAX(r->start, now);
  MalFit fit = { .scope = r->scope->index,
                 .from = MAX(now, mal_time_add(start, -r->pad)),
                 .until = mal_time_add(mal_time_add(start, r->lifetime), r->pad),
                 .count = MAX(r->min, 1) };
  bool named = why->part == MAL_REFUSED_NAMED && leases_explain_named(l, r, fit.from, fit.until, s);
  if (!named && why->code == MAL_ERROR_NO_SPACE) {
    MalShortage shortage;
    mal_allocator_shortage(l->allocator, &fit, &shortage);
    explain_space(s, &shortage, r);
  }
  int64_t listens =
      why->code == MAL_ERROR_NO_SPACE ? mal_space_listens(l->space, r->scope, now) : 0;
  if (listens > 0)
    g_string_append_printf(s, "; after its start this server still listens to the others, for %"
                              G_GINT64_FORMAT " s more, before it takes addresses for itself",
                           listens);
  GError *error = g_error_new_literal(MAL_ERROR, (gint)why->code, s->str);
  g_string_free(s, TRUE);
  return error;
}
