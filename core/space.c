#include "space.h"

#include <string.h>

#define CANDIDATE_MAX 256       /* largest block put to the arbiter at once */
#define CANDIDATES_TRIED 8

typedef struct {
  MalRange range;
  char *name;
  char *source;
} Entry;

typedef struct {
  unsigned id;
  MalSpaceFunc func;
  void *data;
} Watch;

typedef struct {
  uint64_t ticket;
  char *scope;
  MalSpan span;
  MalTime until;
} Candidate;

struct MalSpace {
  MalScopeSet *scopes;
  GPtrArray *levels[2];         /* Entry, by scope and address */
  GArray *watches;
  unsigned last_watch;
  MalArbiter arbiter;
  void *arbiter_data;
  MalDemand demand[2];
  void *demand_data[2];
  GArray *candidates;           /* what the arbiter thinks about */
  uint64_t last_ticket;
};

static void entry_free(void *data)
{
  Entry *e = data;
  g_free(e->name);
  g_free(e->source);
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
    space->levels[i] = g_ptr_array_new_with_free_func(entry_free);
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
  g_clear_pointer(&space->scopes, mal_scope_set_unref);
  g_free(space);
}

/* ---- lookup ------------------------------------------------------------------------------------- */

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

static Entry *entry_at(const MalSpace *space, MalLevel level, unsigned i)
{
  return g_ptr_array_index(space->levels[level], i);
}

/* Where a range beginning at FIRST in SCOPE stands or would stand. */
static unsigned lower_bound(const MalSpace *space, MalLevel level, const MalScope *scope, MalAddress first)
{
  MalRange key = { .scope = scope, .span = { first, first } };
  unsigned low = 0, high = space->levels[level]->len;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (range_compare(&entry_at(space, level, middle)->range, &key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Scopes may overlap in addresses (the smaller inside the larger), so an address may begin a range in
   more than one scope; a level never has two ranges with common addresses in all. */
static bool find_first(const MalSpace *space, MalLevel level, MalAddress first, unsigned *at)
{
  for (size_t s = 0; s < mal_scope_set_size(space->scopes); s++) {
    unsigned i = lower_bound(space, level, mal_scope_set_at(space->scopes, s), first);
    if (i < space->levels[level]->len && mal_address_equal(entry_at(space, level, i)->range.span.first, first)) {
      *at = i;
      return true;
    }
  }
  return false;
}

static const MalRange *overlapping_in(const MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span)
{
  unsigned i = lower_bound(space, level, scope, span.first);
  if (i > 0) {
    const MalRange *before = &entry_at(space, level, i - 1)->range;
    if (before->scope == scope && mal_span_overlaps(before->span, span))
      return before;
  }
  if (i < space->levels[level]->len) {
    const MalRange *next = &entry_at(space, level, i)->range;
    if (next->scope == scope && mal_span_overlaps(next->span, span))
      return next;
  }
  return NULL;
}

static const MalRange *overlapping(const MalSpace *space, MalLevel level, MalSpan span)
{
  for (size_t s = 0; s < mal_scope_set_size(space->scopes); s++) {
    const MalRange *r = overlapping_in(space, level, mal_scope_set_at(space->scopes, s), span);
    if (r)
      return r;
  }
  return NULL;
}

const MalRange *mal_space_containing(const MalSpace *space, MalLevel level, MalAddress address)
{
  return space->scopes ? overlapping(space, level, (MalSpan){ address, address }) : NULL;
}

bool mal_space_covers(const MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span, MalTime until)
{
  MalAddress at = span.first;
  for (;;) {
    const MalRange *r = overlapping_in(space, level, scope, (MalSpan){ at, at });
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
    g_ptr_array_add(out, &entry_at(space, level, i)->range);
  return out;
}

/* ---- watchers ------------------------------------------------------------------------------------ */

unsigned mal_space_watch(MalSpace *space, MalSpaceFunc func, void *data)
{
  Watch w = { ++space->last_watch, func, data };
  g_array_append_val(space->watches, w);
  return w.id;
}

void mal_space_unwatch(MalSpace *space, unsigned id)
{
  for (unsigned i = 0; i < space->watches->len; i++)
    if (g_array_index(space->watches, Watch, i).id == id) {
      g_array_remove_index(space->watches, i);
      return;
    }
}

static void tell(MalSpace *space, MalSpaceChange what, const MalRange *range)
{
  for (unsigned i = 0; i < space->watches->len; i++) {
    Watch w = g_array_index(space->watches, Watch, i);
    w.func(what, range, w.data);
  }
}

/* ---- changes --------------------------------------------------------------------------------------- */

bool mal_space_is_mirrored(const MalSpace *space)
{
  return !space->arbiter;
}

static void insert(MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span, MalTime until,
                   const char *name, const char *source)
{
  Entry *e = g_new0(Entry, 1);
  e->name = g_strdup(name);
  e->source = g_strdup(source);
  e->range = (MalRange){ level, scope, span, until, e->name, e->source };
  g_ptr_array_insert(space->levels[level], (int)lower_bound(space, level, scope, span.first), e);
  tell(space, MAL_SPACE_ADDED, &e->range);
}

static void drop(MalSpace *space, MalLevel level, unsigned at)
{
  Entry *e = g_ptr_array_steal_index(space->levels[level], at);
  tell(space, MAL_SPACE_REMOVED, &e->range);
  entry_free(e);
}

/* The owned part of an available range goes before the range itself. */
static void drop_available(MalSpace *space, unsigned at)
{
  MalRange gone = entry_at(space, MAL_LEVEL_AVAILABLE, at)->range;
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;) {
    const MalRange *owned = &entry_at(space, MAL_LEVEL_OWNED, i)->range;
    if (owned->scope == gone.scope && mal_span_contains(gone.span, owned->span))
      drop(space, MAL_LEVEL_OWNED, i);
  }
  drop(space, MAL_LEVEL_AVAILABLE, at);
}

static bool check_new(const MalSpace *space, MalLevel level, const MalScope *scope, MalSpan span, MalTime until,
                      const char *name, GError **error)
{
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];
  if (!mal_span_contains(scope->span, span)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "range %s (%s) is not inside its scope %s (%s)", name,
                mal_span_format(span, a), scope->id, mal_span_format(scope->span, b));
    return false;
  }
  const MalRange *other = overlapping(space, level, span);
  if (other) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_EXISTS, "range %s (%s) overlaps %s range %s (%s, from %s)", name,
                mal_span_format(span, a), level_name(level), other->name, mal_span_format(other->span, b),
                other->source);
    return false;
  }
  if (level == MAL_LEVEL_OWNED) {
    const MalRange *outer = overlapping_in(space, MAL_LEVEL_AVAILABLE, scope, span);
    if (!outer || !mal_span_contains(outer->span, span) || outer->until < until) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID,
                  "range %s (%s) can't be owned: it is not inside what is available in scope %s for so long", name,
                  mal_span_format(span, a), scope->id);
      return false;
    }
  }
  return true;
}

bool mal_space_add(MalSpace *space, MalLevel level, const char *scope_id, MalSpan span, MalTime until,
                   const char *name, const char *source, GError **error)
{
  const MalScope *scope = space->scopes ? mal_scope_set_find(space->scopes, scope_id) : NULL;
  if (!scope) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no scope is called %s", scope_id);
    return false;
  }
  if (!check_new(space, level, scope, span, until, name, error))
    return false;
  insert(space, level, scope, span, until, name, source);
  if (level == MAL_LEVEL_AVAILABLE && mal_space_is_mirrored(space))
    insert(space, MAL_LEVEL_OWNED, scope, span, until, name, source);
  return true;
}

static void change_until(MalSpace *space, MalLevel level, unsigned at, MalTime until)
{
  Entry *e = entry_at(space, level, at);
  if (e->range.until == until)
    return;
  e->range.until = until;
  tell(space, MAL_SPACE_CHANGED, &e->range);
}

static void clip_owned(MalSpace *space, const MalRange *available)
{
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_OWNED]->len; i++) {
    const MalRange *owned = &entry_at(space, MAL_LEVEL_OWNED, i)->range;
    if (owned->scope == available->scope && mal_span_contains(available->span, owned->span) &&
        (mal_space_is_mirrored(space) || owned->until > available->until))
      change_until(space, MAL_LEVEL_OWNED, i, available->until);
  }
}

bool mal_space_set_until(MalSpace *space, MalLevel level, MalAddress first, MalTime until, GError **error)
{
  unsigned at;
  char text[MAL_ADDRESS_STRLEN];
  if (!space->scopes || !find_first(space, level, first, &at)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no %s range begins at %s", level_name(level),
                mal_address_format(first, text));
    return false;
  }
  const MalRange *range = &entry_at(space, level, at)->range;
  if (level == MAL_LEVEL_OWNED) {
    const MalRange *outer = overlapping_in(space, MAL_LEVEL_AVAILABLE, range->scope, range->span);
    if (!outer || outer->until < until) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_INVALID, "range %s can't be owned longer than it is available",
                  range->name);
      return false;
    }
  }
  change_until(space, level, at, until);
  if (level == MAL_LEVEL_AVAILABLE)
    clip_owned(space, range);
  return true;
}

bool mal_space_remove(MalSpace *space, MalLevel level, MalAddress first, GError **error)
{
  unsigned at;
  char text[MAL_ADDRESS_STRLEN];
  if (!space->scopes || !find_first(space, level, first, &at)) {
    g_set_error(error, MAL_ERROR, MAL_ERROR_NOT_FOUND, "no %s range begins at %s", level_name(level),
                mal_address_format(first, text));
    return false;
  }
  if (level == MAL_LEVEL_AVAILABLE)
    drop_available(space, at);
  else
    drop(space, level, at);
  return true;
}

/* ---- layers 2 and 3 ---------------------------------------------------------------------------------- */

void mal_space_set_arbiter(MalSpace *space, MalArbiter func, void *data)
{
  bool mirrored = mal_space_is_mirrored(space);
  space->arbiter = func;
  space->arbiter_data = data;
  if (mirrored && func) {
    for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;)
      drop(space, MAL_LEVEL_OWNED, i);
  } else if (!mirrored && !func) {
    for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;)
      drop(space, MAL_LEVEL_OWNED, i);
    for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++) {
      const MalRange *r = &entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
      insert(space, MAL_LEVEL_OWNED, r->scope, r->span, r->until, r->name, r->source);
    }
  }
}

void mal_space_set_demand(MalSpace *space, MalLevel level, MalDemand func, void *data)
{
  space->demand[level] = func;
  space->demand_data[level] = data;
}

static void own(MalSpace *space, const char *scope, MalSpan span, MalTime until)
{
  g_autoptr(GError) error = NULL;
  const MalRange *outer = mal_space_containing(space, MAL_LEVEL_AVAILABLE, span.first);
  /* The available range may have gone or shrunk while the arbiter thought: then there is nothing to own. */
  if (outer)
    mal_space_add(space, MAL_LEVEL_OWNED, scope, span, until, outer->name, outer->source, &error);
}

static bool is_candidate(const MalSpace *space, MalSpan span)
{
  for (unsigned i = 0; i < space->candidates->len; i++)
    if (mal_span_overlaps(g_array_index(space->candidates, Candidate, i).span, span))
      return true;
  return false;
}

/* The first stretch at or after FROM in RANGE that is neither owned nor with the arbiter, at most MOST long. */
static bool next_gap(const MalSpace *space, const MalRange *range, MalAddress from, uint64_t most, MalSpan *out)
{
  MalAddress at = from;
  while (mal_address_compare(at, range->span.last) <= 0) {
    MalSpan one = { at, at };
    const MalRange *owned = overlapping_in(space, MAL_LEVEL_OWNED, range->scope, one);
    if (!owned && !is_candidate(space, one)) {
      MalAddress last = at;
      uint64_t size = 1;
      MalAddress next;
      while (size < most && mal_address_add(last, 1, &next) &&
             mal_address_compare(next, range->span.last) <= 0 &&
             !overlapping_in(space, MAL_LEVEL_OWNED, range->scope, (MalSpan){ next, next }) &&
             !is_candidate(space, (MalSpan){ next, next })) {
        last = next;
        size++;
      }
      *out = (MalSpan){ at, last };
      return true;
    }
    MalAddress last = owned ? owned->span.last : at;
    if (!mal_address_add(last, 1, &at))
      return false;
  }
  return false;
}

typedef enum { WANT_NOTHING, WANT_ADDED, WANT_LATER } Want;

static Want put_to_arbiter(MalSpace *space, const MalScope *scope, MalSpan span, MalTime until)
{
  Candidate c = { ++space->last_ticket, g_strdup(scope->id), span, until };
  g_array_append_val(space->candidates, c);
  MalVerdict verdict = space->arbiter(c.ticket, scope, span, until, space->arbiter_data);
  if (verdict == MAL_VERDICT_LATER)
    return WANT_LATER;
  mal_space_decide(space, c.ticket, verdict == MAL_VERDICT_YES);
  return verdict == MAL_VERDICT_YES ? WANT_ADDED : WANT_NOTHING;
}

static Want want_owned(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until)
{
  unsigned tried = 0;
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++) {
    MalRange range = entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (range.scope != scope || range.until < until)
      continue;
    MalAddress from = range.span.first;
    MalSpan gap;
    while (tried < CANDIDATES_TRIED && next_gap(space, &range, from, MIN(count, CANDIDATE_MAX), &gap)) {
      tried++;
      Want want = put_to_arbiter(space, scope, gap, range.until);
      if (want != WANT_NOTHING)
        return want;
      if (!mal_address_add(gap.last, 1, &from))
        break;
    }
  }
  return WANT_NOTHING;
}

bool mal_space_want(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until)
{
  if (space->arbiter && want_owned(space, scope, count, until) != WANT_NOTHING)
    return true;
  MalDemand demand = space->demand[MAL_LEVEL_AVAILABLE];
  if (!demand)
    return false;
  demand(MAL_LEVEL_AVAILABLE, scope, count, until, space->demand_data[MAL_LEVEL_AVAILABLE]);
  return true;
}

void mal_space_decide(MalSpace *space, uint64_t ticket, bool yes)
{
  for (unsigned i = 0; i < space->candidates->len; i++) {
    Candidate *c = &g_array_index(space->candidates, Candidate, i);
    if (c->ticket != ticket)
      continue;
    g_autofree char *scope = g_strdup(c->scope);
    MalSpan span = c->span;
    MalTime until = c->until;
    g_array_remove_index(space->candidates, i);
    if (yes)
      own(space, scope, span, until);
    return;
  }
}

/* ---- configuration and time ---------------------------------------------------------------------------- */

static const MalStaticRange *in_plan(const MalPlan *plan, const MalRange *range)
{
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    if (strcmp(r->name, range->name) == 0 && mal_address_equal(r->span.first, range->span.first) &&
        mal_address_equal(r->span.last, range->span.last) &&
        strcmp(mal_scope_set_at(plan->scopes, r->scope)->id, range->scope->id) == 0)
      return r;
  }
  return NULL;
}

/* What plugins and the control socket brought must still have its place under the new plan. */
static bool check_plan(const MalSpace *space, const MalPlan *plan, GError **error)
{
  char a[MAL_SPAN_STRLEN], b[MAL_SPAN_STRLEN];
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++) {
    const MalRange *r = &entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (strcmp(r->source, "config") == 0)
      continue;
    const MalScope *scope = mal_scope_set_find(plan->scopes, r->scope->id);
    if (!scope || !mal_span_contains(scope->span, r->span)) {
      g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                  "range %s (%s, from %s) would lie outside of scope %s: remove the range first, or keep the scope",
                  r->name, mal_span_format(r->span, a), r->source, r->scope->id);
      return false;
    }
    for (unsigned j = 0; j < plan->ranges->len; j++) {
      const MalStaticRange *planned = g_ptr_array_index(plan->ranges, j);
      if (mal_span_overlaps(planned->span, r->span)) {
        g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG,
                    "[range %s] (%s) overlaps range %s (%s, from %s): remove that first, or change the file",
                    planned->name, mal_span_format(planned->span, a), r->name, mal_span_format(r->span, b),
                    r->source);
        return false;
      }
    }
  }
  return true;
}

static void move_scopes(MalSpace *space, const MalPlan *plan)
{
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++)
    for (unsigned i = space->levels[level]->len; i-- > 0;) {
      Entry *e = entry_at(space, level, i);
      e->range.scope = mal_scope_set_find(plan->scopes, e->range.scope->id);
    }
  mal_scope_set_ref(plan->scopes);
  g_clear_pointer(&space->scopes, mal_scope_set_unref);
  space->scopes = plan->scopes;
  for (MalLevel level = MAL_LEVEL_AVAILABLE; level <= MAL_LEVEL_OWNED; level++) {
    GPtrArray *old = space->levels[level];
    space->levels[level] = g_ptr_array_new_with_free_func(entry_free);
    g_ptr_array_set_free_func(old, NULL);
    for (unsigned i = 0; i < old->len; i++) {
      Entry *e = g_ptr_array_index(old, i);
      g_ptr_array_insert(space->levels[level],
                         (int)lower_bound(space, level, e->range.scope, e->range.span.first), e);
    }
    g_ptr_array_unref(old);
  }
}

bool mal_space_replan(MalSpace *space, const MalPlan *plan, GError **error)
{
  if (!check_plan(space, plan, error))
    return false;
  for (unsigned i = space->levels[MAL_LEVEL_AVAILABLE]->len; i-- > 0;) {
    const MalRange *r = &entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (strcmp(r->source, "config") == 0 && !in_plan(plan, r))
      drop_available(space, i);
  }
  move_scopes(space, plan);
  for (unsigned i = 0; i < plan->ranges->len; i++) {
    const MalStaticRange *r = g_ptr_array_index(plan->ranges, i);
    const MalScope *scope = mal_scope_set_at(plan->scopes, r->scope);
    if (overlapping(space, MAL_LEVEL_AVAILABLE, r->span)) {
      mal_space_set_until(space, MAL_LEVEL_AVAILABLE, r->span.first, r->until, NULL);
      continue;
    }
    if (!mal_space_add(space, MAL_LEVEL_AVAILABLE, scope->id, r->span, r->until, r->name, "config", error))
      return false;
  }
  return true;
}

MalTime mal_space_due(const MalSpace *space)
{
  MalTime due = MAL_FOREVER;
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++)
    due = MIN(due, entry_at(space, MAL_LEVEL_AVAILABLE, i)->range.until);
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_OWNED]->len; i++)
    due = MIN(due, entry_at(space, MAL_LEVEL_OWNED, i)->range.until);
  return due;
}

void mal_space_expire(MalSpace *space, MalTime now)
{
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;)
    if (entry_at(space, MAL_LEVEL_OWNED, i)->range.until <= now)
      drop(space, MAL_LEVEL_OWNED, i);
  for (unsigned i = space->levels[MAL_LEVEL_AVAILABLE]->len; i-- > 0;)
    if (entry_at(space, MAL_LEVEL_AVAILABLE, i)->range.until <= now)
      drop_available(space, i);
}
