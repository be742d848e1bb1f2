#include "space-internal.h"

#include <string.h>

/* of length 96 in one IPv6 range: the allocator has an index for each */
#define PREFIXES_MAX 256u

void space_entry_free(void *data)
{
  Entry *e = data;
  g_free(e->name);
  g_free(e->source);
  g_free(e->derived_from);
  g_free(e);
}

static void candidate_clear(void *data)
{
  g_free(((Candidate *)data)->scope);
}

MalSpace *mal_space_new(void)
{
  MalSpace *space = g_new0(MalSpace, 1);
  for (size_t i = 0; i < 2; i++)
    space->levels[i] = g_ptr_array_new_with_free_func(space_entry_free);
  space->watches = g_array_new(FALSE, FALSE, sizeof(Watch));
  space->candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
  g_array_set_clear_func(space->candidates, candidate_clear);
  return space;
}

void mal_space_free(MalSpace *space)
{
  if (!space)
    return;
  for (size_t i = 0; i < 2; i++)
    g_ptr_array_unref(space->levels[i]);
  g_array_unref(space->watches);
  g_array_unref(space->candidates);
  g_clear_pointer(&space->listening, g_hash_table_unref);
  g_clear_pointer(&space->scopes, mal_scope_set_unref);
  g_free(space);
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static const char *level_name(MalLevel level)
{
  return level == MAL_LEVEL_OWNED ? "owned" : "available";
}

static int range_compare(const MalRange *a, const MalRange *b)
{
  if (a->scope->index != b->scope->index)
    return a->scope->index < b->scope->index ? -1 : 1;
  return mal_address_compare(a->span.first, b->span.first);
}

Entry *space_entry_at(const MalSpace *space, MalLevel level, unsigned i)
{
  return g_ptr_array_index(space->levels[level], i);
}

/* Where a range beginning at FIRST in SCOPE stands or would stand. */
unsigned space_lower_bound(const MalSpace *space, MalLevel level, const MalScope *scope,
                           MalAddress first)
{
  MalRange key = { .scope = scope, .span = { first, first } };
  unsigned low = 0, high = space->levels[level]->len;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (range_compare(&space_entry_at(space, level, middle)->range, &key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Scopes may overlap in addresses (the smaller inside the larger), so an address may begin a range
   in more than one scope; a level never has two ranges with common addresses in all. */
static bool find_first(const MalSpace *space, MalLevel level, MalAddress first, unsigned *at)
{
  for (size_t s = 0; s < mal_scope_set_size(space->scopes); s++) {
    unsigned i = space_lower_bound(space, level, mal_scope_set_at(space->scopes, s), first);
    if (i < space->levels[level]->len
        && mal_address_equal(space_entry_at(space, level, i)->range.span.first, first)) {
      *at = i;
      return true;
    }
  }
  return false;
}

const MalRange *space_overlapping_in(const MalSpace *space, MalLevel level, const MalScope *scope,
                                     MalSpan span)
{
  unsigned i = space_lower_bound(space, level, scope, span.first);
  if (i > 0) {
    const MalRange *before = &space_entry_at(space, level, i - 1)->range;
    if (before->scope == scope && mal_span_overlaps(before->span, span))
      return before;
  }
  if (i < space->levels[level]->len) {
    const MalRange *next = &space_entry_at(space, level, i)->range;
    if (next->scope == scope && mal_span_overlaps(next->span, span))
      return next;
  }
  return NULL;
}

const MalRange *space_overlapping(const MalSpace *space, MalLevel level, MalSpan span)
{
  for (size_t s = 0; s < mal_scope_set_size(space->scopes); s++) {
    const MalRange *r =
        space_overlapping_in(space, level, mal_scope_set_at(space->scopes, s), span);
    if (r)
      return r;
  }
  return NULL;
}

const MalRange *mal_space_containing(const MalSpace *space, MalLevel level, MalAddress address)
{
  return space->scopes ? space_overlapping(space, level, (MalSpan){ address, address }) : NULL;
}

bool mal_space_covers(const MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span,
                      MalTime until)
{
  MalAddress at = span.first;
  for (;;) {
    const MalRange *r = space_overlapping_in(space, level, scope, (MalSpan){ at, at });
    if (!r || r->until < until)
      return false;
    if (mal_address_compare(r->span.last, span.last) >= 0)
      return true;
    mal_address_add(r->span.last, 1, &at);
  }
}

GPtrArray *mal_space_ranges(const MalSpace *space, MalLevel level)
{
  GPtrArray *out = g_ptr_array_new();
  for (unsigned i = 0; i < space->levels[level]->len; i++)
    g_ptr_array_add(out, &space_entry_at(space, level, i)->range);
  return out;
}

void mal_space_each(const MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span,
                    MalRangeFunc func, void *data)
{
  scope = space->scopes ? mal_scope_set_find(space->scopes, scope->id) : NULL;
  if (!scope)
    return;
  unsigned i = space_lower_bound(space, level, scope, span.first);
  for (i -= i > 0; i < space->levels[level]->len; i++) {
    const MalRange *range = &space_entry_at(space, level, i)->range;
    if (range->scope == scope && mal_span_overlaps(range->span, span))
      func(range, data);
    else if (range_compare(range, &(MalRange){ .scope = scope, .span = span }) > 0)
      return;
  }
}

/* ---- watchers -------------------------------------------------------------------------------- */

unsigned mal_space_watch(MalSpace *space, MalSpaceFunc func, void *data)
{
  Watch w = { ++space->last_watch, func, data };
  g_array_append_val(space->watches, w);
  return w.id;
}

static void sweep(MalSpace *space)
{
  for (unsigned i = space->telling ? 0 : space->watches->len; i-- > 0;)
    if (!g_array_index(space->watches, Watch, i).func)
      g_array_remove_index(space->watches, i);
}

void mal_space_unwatch(MalSpace *space, unsigned id)
{
  for (unsigned i = 0; i < space->watches->len; i++)
    if (g_array_index(space->watches, Watch, i).id == id)
      g_array_index(space->watches, Watch, i).func = NULL;
  sweep(space);
}

/* Who comes meanwhile hears of the next change. */
void space_tell(MalSpace *space, MalSpaceChange what, const MalRange *range)
{
  unsigned n = space->watches->len;
  space->telling++;
  for (unsigned i = 0; i < n; i++) {
    Watch w = g_array_index(space->watches, Watch, i);
    if (w.func)
      w.func(what, range, w.data);
  }
  space->telling--;
  sweep(space);
}

/* ---- changes --------------------------------------------------------------------------------- */

bool mal_space_is_mirrored(const MalSpace *space)
{
  return !space->arbiter && !space->acquire;
}

void space_insert(MalSpace *space, const MalRange *range)
{
  Entry *e = g_new0(Entry, 1);
  e->range = *range;
  e->range.name = e->name = g_strdup(range->name);
  e->range.source = e->source = g_strdup(range->source);
  e->range.derived_from = e->derived_from = g_strdup(range->derived_from);
  unsigned at = space_lower_bound(space, range->level, range->scope, range->span.first);
  g_ptr_array_insert(space->levels[range->level], (int)at, e);
  space_tell(space, MAL_SPACE_ADDED, &e->range);
}

void space_drop(MalSpace *space, MalLevel level, unsigned at)
{
  Entry *e = g_ptr_array_steal_index(space->levels[level], at);
  space_tell(space, MAL_SPACE_REMOVED, &e->range);
  space_entry_free(e);
}

/* The owned part of an available range goes before the range itself. */
static void drop_available(MalSpace *space, unsigned at)
{
  MalRange gone = space_entry_at(space, MAL_LEVEL_AVAILABLE, at)->range;
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;) {
    const MalRange *owned = &space_entry_at(space, MAL_LEVEL_OWNED, i)->range;
    if (owned->scope == gone.scope && mal_span_contains(gone.span, owned->span))
      space_drop(space, MAL_LEVEL_OWNED, i);
  }
  space_drop(space, MAL_LEVEL_AVAILABLE, at);
}

/* NOT_OF: stand-ins give way to it, but for this source's ("": all do); NULL: none does. */
static bool check_new(const MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span,
                      MalTime until, const char *name, const char *not_of, GError **error)
{
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];
  if (!mal_span_contains(scope->span, span)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                "range %s (%s) is not inside its scope %s (%s)", name, mal_span_format(span, a),
                scope->id, mal_span_format(scope->span, b));
    return false;
  }
  if ((span.last.value >> 32) - (span.first.value >> 32) >= PREFIXES_MAX) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                "range %s (%s) reaches over more than %u prefixes of length 96", name,
                mal_span_format(span, a), PREFIXES_MAX);
    return false;
  }
  const MalRange *other = space_overlapping(space, level, span);
  if (other && !(not_of && space_may_give_way(space, span, not_of))) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS,
                "range %s (%s) overlaps %s range %s (%s, from %s)", name, mal_span_format(span, a),
                level_name(level), other->name, mal_span_format(other->span, b), other->source);
    return false;
  }
  if (level == MAL_LEVEL_OWNED) {
    const MalRange *outer = space_overlapping_in(space, MAL_LEVEL_AVAILABLE, scope, span);
    if (!outer || !mal_span_contains(outer->span, span) || outer->until < until) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                  "range %s (%s) can't be owned: it is not inside what is available in scope %s "
                  "for so long",
                  name, mal_span_format(span, a), scope->id);
      return false;
    }
  }
  return true;
}

/* The same, owned. */
static void mirror(MalSpace *space, MalRange range)
{
  range.level = MAL_LEVEL_OWNED;
  range.stand_in = false;
  space_insert(space, &range);
}

static bool add(MalSpace *space, const char *scope_id, MalRange range, bool brings, GError **error)
{
  range.scope = space->scopes ? mal_scope_set_find(space->scopes, scope_id) : NULL;
  if (!range.scope) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no scope is called %s", scope_id);
    return false;
  }
  const char *not_of = NULL;
  if (range.level == MAL_LEVEL_AVAILABLE && (!range.stand_in || brings))
    not_of = brings ? range.source : "";
  if (!check_new(space, range.level, range.scope, range.span, range.until, range.name, not_of,
                 error))
    return false;
  if (not_of)
    space_give_way(space, range.span);
  space_insert(space, &range);
  if (not_of)
    space_clip_owned(space, &range);
  if (range.level == MAL_LEVEL_AVAILABLE && mal_space_is_mirrored(space))
    mirror(space, range);
  return true;
}

bool mal_space_add(MalSpace *space, MalLevel level, const char *scope, MalSpan span, MalTime until,
                   const char *name, const char *source, GError **error)
{
  MalRange range = { level, NULL, span, until, name, source, false, NULL };
  return add(space, scope, range, false, error);
}

bool mal_space_add_stand_in(MalSpace *space, const char *scope, MalSpan span, MalTime until,
                            const char *name, const char *source, GError **error)
{
  MalRange range = { MAL_LEVEL_AVAILABLE, NULL, span, until, name, source, true, NULL };
  return add(space, scope, range, false, error);
}

bool mal_space_bring(MalSpace *space, const char *scope, MalSpan span, MalTime until,
                     const char *name, const char *source, GError **error)
{
  MalRange range = { MAL_LEVEL_AVAILABLE, NULL, span, until, name, source, true, NULL };
  return add(space, scope, range, true, error);
}

static void change_until(MalSpace *space, MalLevel level, unsigned at, MalTime until)
{
  Entry *e = space_entry_at(space, level, at);
  if (e->range.until == until)
    return;
  e->range.until = until;
  space_tell(space, MAL_SPACE_CHANGED, &e->range);
}

/* The I-th entry, where it begins within SPAN. */
static Entry *within(const MalSpace *space, MalLevel level, unsigned i, const MalScope *scope,
                     MalSpan span)
{
  Entry *e = i < space->levels[level]->len ? space_entry_at(space, level, i) : NULL;
  return e && e->range.scope == scope && mal_span_has(span, e->range.span.first) ? e : NULL;
}

void space_clip_owned(MalSpace *space, const MalRange *available)
{
  MalSpan span = available->span;
  unsigned i = space_lower_bound(space, MAL_LEVEL_OWNED, available->scope, span.first);
  for (const Entry *e; (e = within(space, MAL_LEVEL_OWNED, i, available->scope, span)); i++)
    if (mal_space_is_mirrored(space) || e->range.until > available->until)
      change_until(space, MAL_LEVEL_OWNED, i, available->until);
}

bool mal_space_set_until(MalSpace *space, MalLevel level, MalAddress first, MalTime until,
                         GError **error)
{
  unsigned at;
  char text[MAL_ADDRESS_STRLEN];
  if (!space->scopes || !find_first(space, level, first, &at)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no %s range begins at %s",
                level_name(level), mal_address_format(first, text));
    return false;
  }
  const MalRange *range = &space_entry_at(space, level, at)->range;
  if (level == MAL_LEVEL_OWNED) {
    const MalRange *outer =
        space_overlapping_in(space, MAL_LEVEL_AVAILABLE, range->scope, range->span);
    g_assert(outer); /* owned is inside available */
    if (outer->until < until) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                  "range %s can't be owned longer than it is available", range->name);
      return false;
    }
  }
  change_until(space, level, at, until);
  if (level == MAL_LEVEL_AVAILABLE)
    space_clip_owned(space, range);
  return true;
}

bool mal_space_remove(MalSpace *space, MalLevel level, MalAddress first, GError **error)
{
  unsigned at;
  char text[MAL_ADDRESS_STRLEN];
  if (!space->scopes || !find_first(space, level, first, &at)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no %s range begins at %s",
                level_name(level), mal_address_format(first, text));
    return false;
  }
  if (level == MAL_LEVEL_AVAILABLE)
    drop_available(space, at);
  else
    space_drop(space, level, at);
  return true;
}

/* ---- layers 2 and 3 -------------------------------------------------------------------------- */

static void layer2_changed(MalSpace *space, bool was_mirrored)
{
  bool mirrored = mal_space_is_mirrored(space);
  if (mirrored == was_mirrored)
    return;
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;)
    space_drop(space, MAL_LEVEL_OWNED, i);
  for (unsigned i = 0; mirrored && i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++)
    mirror(space, space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range);
}

void mal_space_set_arbiter(MalSpace *space, MalArbiter func, void *data)
{
  bool was_mirrored = mal_space_is_mirrored(space);
  space->arbiter = func;
  space->arbiter_data = data;
  layer2_changed(space, was_mirrored);
}

void mal_space_set_acquire(MalSpace *space, MalAcquire acquire, MalAdopt adopt, void *data)
{
  bool was_mirrored = mal_space_is_mirrored(space);
  space->acquire = acquire;
  space->adopt = adopt;
  space->acquire_data = data;
  layer2_changed(space, was_mirrored);
}

/* ---- configuration and time ------------------------------------------------------------------ */

static const MalStaticRange *in_plan(const MalPlan *plan, const MalRange *range)
{
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    if (mal_address_equal(r->span.first, range->span.first) &&
        mal_address_equal(r->span.last, range->span.last) && strcmp(r->name, range->name) == 0 &&
        strcmp(mal_scope_set_at(plan->scopes, r->scope)->id, range->scope->id) == 0)
      return r;
  }
  return NULL;
}

/* May what is owned stay: is it within a range of the plan, or of one that no configuration
   brought? */
static bool stays(const MalSpace *space, const MalPlan *plan, const MalRange *owned)
{
  const MalRange *outer =
      space_overlapping_in(space, MAL_LEVEL_AVAILABLE, owned->scope, owned->span);
  g_assert(outer); /* owned is inside available */
  if (mal_space_outlives(plan, outer))
    return true;
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    if (mal_span_contains(r->span, owned->span) &&
        strcmp(mal_scope_set_at(plan->scopes, r->scope)->id, owned->scope->id) == 0)
      return true;
  }
  return false;
}

static void drop_unplanned(MalSpace *space, const MalPlan *plan)
{
  bool mirrored = mal_space_is_mirrored(space);
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; !mirrored && i-- > 0;)
    if (!stays(space, plan, &space_entry_at(space, MAL_LEVEL_OWNED, i)->range))
      space_drop(space, MAL_LEVEL_OWNED, i);
  for (unsigned i = space->levels[MAL_LEVEL_AVAILABLE]->len; i-- > 0;) {
    const MalRange *r = &space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (mal_space_outlives(plan, r) || (strcmp(r->source, "config") == 0 && in_plan(plan, r)))
      continue;
    if (mirrored)
      drop_available(space, i);
    else
      space_drop(space, MAL_LEVEL_AVAILABLE, i);
  }
}

static void move_scopes(MalSpace *space, const MalPlan *plan)
{
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++)
    for (unsigned i = space->levels[level]->len; i-- > 0;) {
      Entry *e = space_entry_at(space, level, i);
      e->range.scope = mal_scope_set_find(plan->scopes, e->range.scope->id);
    }
  mal_scope_set_ref(plan->scopes);
  g_clear_pointer(&space->scopes, mal_scope_set_unref);
  space->scopes = plan->scopes;
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++) {
    GPtrArray *old = space->levels[level];
    space->levels[level] = g_ptr_array_new_with_free_func(space_entry_free);
    g_ptr_array_set_free_func(old, NULL);
    for (unsigned i = 0; i < old->len; i++) {
      Entry *e = g_ptr_array_index(old, i);
      g_ptr_array_insert(space->levels[level],
                         (int)space_lower_bound(space, level, e->range.scope, e->range.span.first),
                         e);
    }
    g_ptr_array_unref(old);
  }
}

/* The same addresses may follow from something else now. */
static void set_derivation(MalSpace *space, const MalScope *scope, const MalStaticRange *r)
{
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++) {
    unsigned i = space_lower_bound(space, level, scope, r->span.first);
    for (Entry *e; (e = within(space, level, i, scope, r->span)); i++) {
      if (strcmp(e->source, "config") != 0)
        continue;
      g_free(e->derived_from);
      e->range.derived_from = e->derived_from = g_strdup(r->derived_from);
    }
  }
}

bool mal_space_replan(MalSpace *space, const MalPlan *plan, GError **error)
{
  if (!mal_space_check_plan(space, plan, error))
    return false;
  drop_unplanned(space, plan);
  move_scopes(space, plan);
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    const MalScope *scope = mal_scope_set_at(plan->scopes, r->scope);
    if (space_overlapping(space, MAL_LEVEL_AVAILABLE, r->span)) {
      mal_space_set_until(space, MAL_LEVEL_AVAILABLE, r->span.first, r->until, NULL);
      set_derivation(space, scope, r);
      continue;
    }
    MalRange range = { MAL_LEVEL_AVAILABLE, NULL,     r->span, r->until,
                       r->name,             "config", false,   r->derived_from };
    bool added = add(space, scope->id, range, false, error);
    g_assert(added); /* what could be in its way was looked for */
    space_clip_owned(space, space_overlapping(space, MAL_LEVEL_AVAILABLE, r->span));
  }
  return true;
}

MalTime mal_space_due(const MalSpace *space)
{
  MalTime due = MAL_FOREVER;
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++)
    for (unsigned i = 0; i < space->levels[level]->len; i++)
      due = MIN(due, space_entry_at(space, level, i)->range.until);
  return due;
}

void mal_space_expire(MalSpace *space, MalTime now)
{
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;)
    if (space_entry_at(space, MAL_LEVEL_OWNED, i)->range.until <= now)
      space_drop(space, MAL_LEVEL_OWNED, i);
  for (unsigned i = space->levels[MAL_LEVEL_AVAILABLE]->len; i-- > 0;)
    if (space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range.until <= now)
      drop_available(space, i);
}
