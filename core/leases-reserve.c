/* Reserves: addresses that are leased to nobody, by configuration or by hand. */
#include "events.h"
#include "leases-internal.h"

#include <string.h>

void leases_reserve_free(void *data)
{
  MalReserve *r = data;
  g_free(r->name);
  g_free(r->comment);
  g_array_unref(r->spans);
  g_free(r);
}

static MalReserve *leases_reserve_copy(const MalReserve *from)
{
  MalReserve *r = g_new0(MalReserve, 1);
  r->name = g_strdup(from->name);
  r->comment = g_strdup(from->comment);
  r->scope = from->scope;
  r->spans = g_array_ref(from->spans);
  return r;
}

static bool meets(const MalReserve *a, const MalReserve *b)
{
  for (unsigned i = 0; i < a->spans->len; i++)
    for (unsigned j = 0; j < b->spans->len; j++)
      if (mal_span_overlaps(g_array_index(a->spans, MalSpan, i),
                            g_array_index(b->spans, MalSpan, j)))
        return true;
  return false;
}

static bool fits_plan(const MalPlan *plan, const MalReserve *hand, const MalScope *scope,
                      GError **error)
{
  for (unsigned i = 0; i < hand->spans->len; i++)
    if (!mal_span_contains(scope->span, g_array_index(hand->spans, MalSpan, i))) {
      g_set_error(
          error, MAL_ERROR, MAL_ERROR_CONFIG,
          "reserve %s, made by hand, would lie outside of scope %s: remove the reserve first "
          "(mallocctl reserve remove %s), or keep the scope",
          hand->name, scope->id, hand->name);
      return false;
    }
  for (unsigned i = 0; i < plan->reserves->len; i++) {
    const MalReserve *planned = g_ptr_array_index(plan->reserves, i);
    bool same_name = strcmp(planned->name, hand->name) == 0;
    if (same_name || meets(planned, hand)) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                  "[reserve %s] %s reserve %s, made by hand: remove that first (mallocctl reserve "
                  "remove %s), or change the file",
                  planned->name, same_name ? "has the name of" : "overlaps", hand->name,
                  hand->name);
      return false;
    }
  }
  return true;
}

/* The plan's reserves, and those made by hand, which must still have their place. */
GPtrArray *leases_future_reserves(const MalLeases *l, const MalPlan *plan, GError **error)
{
  g_autoptr(GPtrArray) out = g_ptr_array_new_with_free_func(leases_reserve_free);
  for (unsigned i = 0; i < plan->reserves->len; i++)
    g_ptr_array_add(out, leases_reserve_copy(g_ptr_array_index(plan->reserves, i)));
  for (unsigned i = 0; i < l->by_hand; i++) {
    const MalReserve *r = g_ptr_array_index(l->reserves, l->reserves->len - l->by_hand + i);
    const MalScope *scope =
        mal_scope_set_find(plan->scopes, mal_scope_set_at(l->scopes, r->scope)->id);
    if (!scope) {
      g_set_error(
          error, MAL_ERROR, MAL_ERROR_CONFIG,
          "reserve %s, made by hand, is in scope %s, which would be gone: remove the reserve "
          "first (mallocctl reserve remove %s)",
          r->name, mal_scope_set_at(l->scopes, r->scope)->id, r->name);
      return NULL;
    }
    if (!fits_plan(plan, r, scope, error))
      return NULL;
    MalReserve *copy = leases_reserve_copy(r);
    copy->scope = scope->index;
    g_ptr_array_add(out, copy);
  }
  return g_steal_pointer(&out);
}

GPtrArray *leases_planned_excludes(const MalPlan *plan)
{
  GPtrArray *out = g_ptr_array_new_with_free_func(leases_reserve_free);
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *range = g_ptr_array_index(plan->ranges, i);
    MalReserve *r = g_new0(MalReserve, 1);
    r->name = g_strdup(range->name);
    r->spans = g_array_ref(range->excludes);
    g_ptr_array_add(out, r);
  }
  return out;
}

/* ---- reserves made by hand ------------------------------------------------------------------- */

const GPtrArray *mal_leases_reserves(const MalLeases *l)
{
  return l->reserves;
}

GArray *mal_leases_reserved(const MalLeases *l)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  for (unsigned i = 0; i < l->reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(l->reserves, i);
    g_array_append_vals(out, r->spans->data, r->spans->len);
  }
  return out;
}

unsigned mal_leases_watch_reserved(MalLeases *l, MalReservedFunc func, void *data)
{
  ReserveWatcher w = { ++l->last_watcher, func, data };
  g_array_append_val(l->reserve_watchers, w);
  return w.id;
}

void mal_leases_unwatch_reserved(MalLeases *l, unsigned id)
{
  for (unsigned i = l->reserve_watchers->len; i-- > 0;)
    if (g_array_index(l->reserve_watchers, ReserveWatcher, i).id == id)
      g_array_remove_index(l->reserve_watchers, i);
}

void leases_reserves_changed(const MalLeases *l)
{
  for (unsigned i = l->reserve_watchers->len; i-- > 0;) {
    ReserveWatcher w = g_array_index(l->reserve_watchers, ReserveWatcher, i);
    w.func(w.data);
  }
}

size_t mal_leases_touching(const MalLeases *l, MalSpan span, MalLease *first)
{
  MalLeaseFilter filter = { .span = span };
  MalLease lease;
  size_t n = 0;
  for (uint64_t cursor = 0; mal_leases_next(l, &filter, &cursor, &lease);)
    if (n++ == 0 && first)
      *first = lease;
  return n;
}

static const MalReserve *reserve_touching(const GPtrArray *reserves, MalSpan span)
{
  for (unsigned i = 0; i < reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(reserves, i);
    for (unsigned j = 0; j < r->spans->len; j++)
      if (mal_span_overlaps(g_array_index(r->spans, MalSpan, j), span))
        return r;
  }
  return NULL;
}

static bool lease_touching(const MalLeases *l, MalSpan span, MalTime from, MalTime until,
                           MalLease *lease)
{
  MalLeaseFilter filter = { .span = span, .holds = true };
  for (uint64_t cursor = 0; mal_leases_next(l, &filter, &cursor, lease);)
    if (mal_lease_held_from(lease) < until && from < mal_lease_held_until(lease))
      return true;
  return false;
}

bool leases_explain_named(const MalLeases *l, const MalLeaseRequest *r, MalTime from, MalTime until,
                          GString *out)
{
  for (size_t i = 0; i < r->n_named; i++) {
    MalSpan span = mal_span_of_block(r->named[i]);
    const MalReserve *reserve;
    MalLease lease;
    char text[MAL_SPAN_STRLEN], end[MAL_TIME_STRLEN];
    mal_span_format(span, text);
    if (!mal_span_contains(r->scope->span, span)) {
      g_string_append_printf(out, ": %s is not inside the scope", text);
    } else if ((reserve = reserve_touching(l->reserves, span))) {
      g_string_append_printf(out, ": reserve %s holds some of %s", reserve->name, text);
    } else if ((reserve = reserve_touching(l->excludes, span))) {
      g_string_append_printf(out, ": range %s excludes some of %s", reserve->name, text);
    } else if (lease_touching(l, span, from, until, &lease)) {
      g_autofree char *id = mal_lease_id_to_hex(lease.id);
      g_string_append_printf(out, ": lease %s holds some of %s until %s", id, text,
                             mal_time_format(mal_lease_held_until(&lease), end));
    } else if (!mal_space_covers(l->space, MAL_LEVEL_OWNED, r->scope, span, until)) {
      g_string_append_printf(out, ": no range of this server has all of %s for so long", text);
    } else {
      continue;
    }
    return true;
  }
  return false;
}

/* Whoever asks may be anybody on the network: each address is looked up, the leases not gone
   through. */
static bool owned_is_busy(const MalLeases *l, const MalScope *scope, MalBlock block, MalTime from)
{
  MalFit fit = { .scope = scope->index, .from = from, .until = mal_time_add(from, 1), .count = 1 };
  MalAddress address = mal_span_of_block(block).first;
  for (uint32_t i = 0; i < block.count; i++) {
    MalBlock one = mal_block_make(address, 1);
    mal_address_add(address, 1, &address);
    if (mal_space_covers(l->space, MAL_LEVEL_OWNED, scope, mal_span_of_block(one), fit.until)
        && !mal_allocator_is_free(l->allocator, &fit, one))
      return true;
  }
  return false;
}

bool leases_named_is_taken(const MalLeases *l, const MalLeaseRequest *r, MalTime from)
{
  for (size_t i = 0; i < r->n_named; i++) {
    MalSpan span = mal_span_of_block(r->named[i]);
    if (reserve_touching(l->reserves, span) || reserve_touching(l->excludes, span)
        || owned_is_busy(l, r->scope, r->named[i], from))
      return true;
  }
  return false;
}

static bool check_reserve(const MalLeases *l, const MalReserve *reserve, GError **error)
{
  char text[MAL_SPAN_STRLEN];
  for (unsigned i = 0; i < l->reserves->len; i++) {
    const MalReserve *r = g_ptr_array_index(l->reserves, i);
    if (strcmp(r->name, reserve->name) == 0) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS, "a reserve is already called %s", r->name);
      return false;
    }
    for (unsigned a = 0; a < r->spans->len; a++)
      for (unsigned b = 0; b < reserve->spans->len; b++)
        if (mal_span_overlaps(g_array_index(r->spans, MalSpan, a),
                              g_array_index(reserve->spans, MalSpan, b))) {
          g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS, "%s overlaps reserve %s",
                      mal_span_format(g_array_index(reserve->spans, MalSpan, b), text), r->name);
          return false;
        }
  }
  for (unsigned b = 0; b < reserve->spans->len; b++) {
    MalSpan span = g_array_index(reserve->spans, MalSpan, b);
    MalLease lease;
    size_t n = mal_leases_touching(l, span, &lease);
    if (n > 0) {
      g_autofree char *id = mal_lease_id_to_hex(lease.id);
      g_set_error(
          error, MAL_ERROR, MAL_ERROR_EXISTS,
          "%s is leased (%zu live lease%s, the first %s): release first, or choose other addresses",
          mal_span_format(span, text), n, n == 1 ? "" : "s", id);
      return false;
    }
  }
  return true;
}

bool mal_leases_reserve_add(MalLeases *l, const MalReserve *reserve, MalTime now, GError **error)
{
  (void)now;
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];
  const MalScope *scope = mal_scope_set_at(l->scopes, reserve->scope);
  for (unsigned i = 0; i < reserve->spans->len; i++) {
    MalSpan span = g_array_index(reserve->spans, MalSpan, i);
    if (!mal_span_contains(scope->span, span)) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "%s is not inside scope %s (%s)",
                  mal_span_format(span, a), scope->id, mal_span_format(scope->span, b));
      return false;
    }
  }
  if (!check_reserve(l, reserve, error))
    return false;
  g_ptr_array_add(l->reserves, leases_reserve_copy(reserve));
  l->by_hand++;
  for (unsigned i = 0; i < reserve->spans->len; i++)
    mal_allocator_block_out(l->allocator, g_array_index(reserve->spans, MalSpan, i), true);
  leases_reserves_changed(l);
  return true;
}

bool mal_leases_reserve_remove(MalLeases *l, const char *name, GError **error)
{
  unsigned hand = l->reserves->len - l->by_hand;
  for (unsigned i = 0; i < l->reserves->len; i++) {
    MalReserve *r = g_ptr_array_index(l->reserves, i);
    if (strcmp(r->name, name) != 0)
      continue;
    if (i < hand) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                  "reserve %s stands in the configuration: take it out there and reload", name);
      return false;
    }
    for (unsigned j = 0; j < r->spans->len; j++)
      mal_allocator_unblock(l->allocator, g_array_index(r->spans, MalSpan, j), true);
    g_ptr_array_remove_index(l->reserves, i);
    l->by_hand--;
    leases_reserves_changed(l);
    leases_wait_retry(l);
    return true;
  }
  g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no reserve is called %s", name);
  return false;
}
