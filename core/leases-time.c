/* The lease engine and time: expiry, steps of the wall clock, and the invariants at an instant. */
#include "leases-internal.h"

#include <string.h>

MalTime mal_leases_due(const MalLeases *l)
{
  uint32_t top = leases_heap_top(l);
  MalTime due = top ? leases_lapse(leases_slot(l, top)) : MAL_FOREVER;
  return MIN(due, leases_wait_due(l));
}

void mal_leases_expire(MalLeases *l, MalTime now)
{
  bool freed = false;
  now = leases_sync_clock(l, now);
  for (uint32_t top; (top = leases_heap_top(l)) && leases_lapse(leases_slot(l, top)) <= now;) {
    /* A change of it is on its way to the disk: the outcome comes within moments, and then it lapses. */
    if (leases_slot(l, top)->flags & MAL_LEASE_PENDING)
      break;
    if (!(leases_slot(l, top)->flags & MAL_LEASE_HELD)) {
      MalLease view;
      leases_view(l, top, &view);
      leases_tell(l, MAL_LEASE_EXPIRED, &view, "expired");
    }
    leases_remove(l, top);
    freed = true;
  }
  leases_wait_expire(l, now);
  if (freed)
    leases_wait_retry(l);
}

/* ---- steps of the wall clock ------------------------------------------------------------------------------- */

static bool had_begun(const Slot *slot, MalTime before)
{
  return slot->start <= before && leases_held_until(slot) > before;
}

/* Where the moved period meets one that keeps its absolute time, it is cut back, but never to before the end that was
   said when it was leased. */
static void fit_moved(MalLeases *l, uint32_t handle, MalTime now, MalTime least)
{
  Slot *slot = leases_slot(l, handle);
  MalTime good = least, bad = slot->end;
  if (leases_is_free(l, handle, now, slot->start, slot->end) || slot->end <= least)
    return;
  while (good + 1 < bad) {
    MalTime middle = good + (bad - good) / 2;
    if (leases_is_free(l, handle, now, slot->start, middle))
      good = middle;
    else
      bad = middle;
  }
  slot->end = good;
}

static void retake(MalLeases *l, uint32_t handle, MalTime now)
{
  const Slot *slot = leases_slot(l, handle);
  leases_take(l, handle, MAX(now, leases_held_from(slot)), leases_held_until(slot));
}

static size_t move_begun(MalLeases *l, const GArray *begun, int64_t delta, MalTime now)
{
  for (unsigned i = 0; i < begun->len; i++) {
    uint32_t handle = g_array_index(begun, uint32_t, i);
    Slot *slot = leases_slot(l, handle);
    MalTime said = slot->end;
    slot->start = mal_time_add(slot->start, delta);
    slot->end = mal_time_add(slot->end, delta);
    if (delta > 0)
      fit_moved(l, handle, now, said);
    retake(l, handle, now);
    MalLease view;
    leases_view(l, handle, &view);
    view.flags &= (uint32_t)~MAL_LEASE_PENDING;
    mal_store_put_lease(l->store, &view);
  }
  return begun->len;
}

size_t mal_leases_clock_stepped(MalLeases *l, int64_t delta, MalTime now)
{
  MalTime before = now - delta;
  g_autoptr(GArray) begun = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  for (uint32_t i = 1; i < l->used_slots; i++) {
    Slot *slot = leases_slot(l, i);
    if (!(slot->flags & SLOT_USED))
      continue;
    if (slot->flags & MAL_LEASE_HELD)
      slot->granted = mal_time_add(slot->granted, delta);
    else if (had_begun(slot, before) && !(slot->flags & SLOT_LEAVING))
      g_array_append_val(begun, i);
  }
  for (unsigned i = 0; i < begun->len; i++)
    leases_give(l, g_array_index(begun, uint32_t, i));
  size_t moved = move_begun(l, begun, delta, now);
  g_array_set_size(l->heap, 0);
  for (uint32_t i = 1; i < l->used_slots; i++)
    if (leases_slot(l, i)->flags & SLOT_USED)
      leases_heap_add(l, i);
  for (GList *i = l->waiting.head; i; i = i->next) {
    Waiting *w = i->data;
    w->give_up = mal_time_add(w->give_up, delta);
  }
  for (size_t i = 0; i < l->ops_length; i++) {
    Op *op = &l->ops[(l->ops_head + i) & (l->ops_capacity - 1)];
    if (op->kind == OP_RENEW && op->old_start <= before) {
      op->old_start = mal_time_add(op->old_start, delta);
      op->old_end = mal_time_add(op->old_end, delta);
    }
  }
  return moved;
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
  int64_t delta = difference / MAL_US;
  now = mal_runtime_now(l->rt);
  size_t moved = mal_leases_clock_stepped(l, delta, now);
  if (l->on_step)
    l->on_step(delta, moved, l->on_step_data);
  return now;
}

/* ---- invariants ------------------------------------------------------------------------------------------------- */

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
  for (size_t i = 0; i < slot->n_blocks; i++) {
    Piece p = { mal_span_of_block(leases_block(l, slot, i)), MAX(now, leases_held_from(slot)),
                leases_held_until(slot), handle };
    char text[MAL_SPAN_STRLEN];
    const MalRange *owned = mal_space_containing(l->space, MAL_LEVEL_OWNED, p.span.first);
    const MalRange *available = mal_space_containing(l->space, MAL_LEVEL_AVAILABLE, p.span.first);
    bool leaving = slot->flags & (SLOT_LEAVING | SLOT_QUEUED);
    if (!leaving && (!owned || owned->scope != scope || !mal_span_contains(owned->span, p.span)))
      g_error("leased %s is not owned", mal_span_format(p.span, text));
    if (owned && (!available || !mal_span_contains(available->span, owned->span)))
      g_error("owned %s is not available", mal_span_format(owned->span, text));
    if (!mal_span_contains(scope->span, p.span))
      g_error("leased %s is outside of scope %s", mal_span_format(p.span, text), scope->id);
    if (p.from < p.until)
      g_array_append_val(pieces, p);
  }
}

void mal_leases_check(const MalLeases *l, MalTime now)
{
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
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
        g_error("%s is leased twice at one instant (leases %u and %u)", mal_span_format(b->span, text), a->slot,
                b->slot);
    }
}

/* ---- why not ------------------------------------------------------------------------------------------------------ */

static void explain_space(GString *s, const MalShortage *n, const MalLeaseRequest *r)
{
  g_string_append_printf(s, ": %" G_GUINT64_FORMAT " owned", n->owned);
  if (n->ends_too_early)
    g_string_append_printf(s, ", %" G_GUINT64_FORMAT " of them in ranges that end too early", n->ends_too_early);
  g_string_append_printf(s, ", %" G_GUINT64_FORMAT " leased, %" G_GUINT64_FORMAT " reserved, %" G_GUINT64_FORMAT " free",
                         n->leased, n->reserved, n->free);
  if (n->free_ethernet)
    g_string_append_printf(s, ", of which %" G_GUINT64_FORMAT " share an Ethernet group with a live lease",
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

GError *mal_leases_refusal_error(MalLeases *l, const MalLeaseRequest *r, MalTime now, const MalRefusal *why)
{
  const GError *failing = NULL;
  if (why->code == MAL_ERROR_STORE && mal_store_state(l->store, &failing) != MAL_STORE_OK)
    return g_error_new(MAL_ERROR, MAL_ERROR_STORE, "nothing is leased while the store can't be written: %s",
                       failing ? failing->message : "unknown cause");
  if (why->code == MAL_ERROR_EXISTS)
    return g_error_new_literal(MAL_ERROR, MAL_ERROR_EXISTS, "a lease with this identifier is alive");
  if (why->code == MAL_ERROR_LIMIT)
    return g_error_new(MAL_ERROR, MAL_ERROR_LIMIT, "the client holds %" G_GUINT64_FORMAT " addresses; its limit is %u",
                       mal_leases_client_addresses(l, r->client), r->client_limit);
  GString *s = g_string_new(NULL);
  g_string_append_printf(s, "scope %s: %s", r->scope->id, part_text(why->part));
  if (why->code == MAL_ERROR_NO_SPACE) {
    MalTime start = MAX(r->start, now);
    MalFit fit = { .scope = r->scope->index, .from = MAX(now, mal_time_add(start, -r->pad)),
                   .until = mal_time_add(mal_time_add(start, r->lifetime), r->pad), .count = MAX(r->min, 1) };
    MalShortage shortage;
    mal_allocator_shortage(l->allocator, &fit, &shortage);
    explain_space(s, &shortage, r);
  }
  GError *error = g_error_new_literal(MAL_ERROR, (gint)why->code, s->str);
  g_string_free(s, TRUE);
  return error;
}
