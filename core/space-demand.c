/* Layers 2 and 3: what is wanted is put to the arbiter block by block, then asked of layer 3. */
#include "space-internal.h"

#include <string.h>

#define CANDIDATE_MAX 256       /* largest block put to the arbiter at once */
#define CANDIDATES_MOST 64      /* blocks for one demand */
#define REFUSED_MOST 8          /* of these, in vain */
#define NO_SPAN ((MalSpan){ 0 })

static void own(MalSpace *space, const char *scope, MalSpan span, MalTime until)
{
  g_autoptr(GError) error = NULL;
  const MalRange *outer = mal_space_containing(space, MAL_LEVEL_AVAILABLE, span.first);
  /* The available range may have gone while the arbiter thought, or end earlier now. */
  if (outer)
    mal_space_add(space, MAL_LEVEL_OWNED, scope, span, MIN(until, outer->until), outer->name,
                  outer->source, &error);
}

static const Candidate *candidate_at(const MalSpace *space, MalAddress at)
{
  for (unsigned i = 0; i < space->candidates->len; i++) {
    const Candidate *c = &g_array_index(space->candidates, Candidate, i);
    if (mal_span_has(c->span, at))
      return c;
  }
  return NULL;
}

/* Where the stretch from AT that is neither owned nor with the arbiter ends, within LAST. */
static MalAddress gap_end(const MalSpace *space, const MalScope *scope, MalAddress at,
                          MalAddress last)
{
  unsigned next = space_lower_bound(space, MAL_LEVEL_OWNED, scope, at);
  if (next < space->levels[MAL_LEVEL_OWNED]->len) {
    const MalRange *owned = &space_entry_at(space, MAL_LEVEL_OWNED, next)->range;
    if (owned->scope == scope && mal_span_has((MalSpan){ at, last }, owned->span.first))
      mal_address_sub(owned->span.first, 1, &last);
  }
  for (unsigned i = 0; i < space->candidates->len; i++) {
    const Candidate *c = &g_array_index(space->candidates, Candidate, i);
    if (mal_span_has((MalSpan){ at, last }, c->span.first))
      mal_address_sub(c->span.first, 1, &last);
  }
  return last;
}

/* The first stretch at or after AT in RANGE that is neither owned nor with the arbiter, at most
   MOST long. */
static bool next_gap(const MalSpace *space, const MalRange *range, MalAddress at, uint64_t most,
                     MalSpan *out)
{
  while (mal_address_compare(at, range->span.last) <= 0) {
    const MalRange *owned =
        space_overlapping_in(space, MAL_LEVEL_OWNED, range->scope, (MalSpan){ at, at });
    const Candidate *candidate = owned ? NULL : candidate_at(space, at);
    if (!owned && !candidate) {
      MalAddress last = range->span.last, far;
      if (mal_address_add(at, most - 1, &far) && mal_address_compare(far, last) < 0)
        last = far;
      *out = (MalSpan){ at, gap_end(space, range->scope, at, last) };
      return true;
    }
    if (!mal_address_add(owned ? owned->span.last : candidate->span.last, 1, &at))
      return false;
  }
  return false;
}

typedef struct {
  uint64_t count;               /* still wanted */
  MalTime until;
  unsigned asked, refused;
} Want;

static void put_to_arbiter(MalSpace *space, const MalScope *scope, MalSpan span, MalTime until,
                           Want *want)
{
  uint64_t size = (uint64_t)mal_span_size(span), ticket = ++space->last_ticket;
  Candidate c = { ticket, g_strdup(scope->id), span, until, want->count, want->until };
  g_array_append_val(space->candidates, c);
  want->asked++;
  MalVerdict verdict = space->arbiter(ticket, scope, span, until, space->arbiter_data);
  for (unsigned i = 0; verdict != MAL_VERDICT_LATER && i < space->candidates->len; i++)
    if (g_array_index(space->candidates, Candidate, i).ticket == ticket) {
      g_array_remove_index(space->candidates, i);
      if (verdict == MAL_VERDICT_YES)
        own(space, scope->id, span, until);
      break;
    }
  if (verdict == MAL_VERDICT_NO)
    want->refused++;
  else
    want->count -= MIN(size, want->count);
}

static bool wants_more(const Want *want)
{
  return want->count > 0 && want->asked < CANDIDATES_MOST && want->refused < REFUSED_MOST;
}

/* FROM: NONE, or where to go on. */
static void want_owned(MalSpace *space, const MalScope *scope, MalAddress from, Want *want)
{
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len && wants_more(want); i++) {
    MalRange range = space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (range.scope != scope || range.until < want->until)
      continue;
    MalAddress at = range.span.first;
    MalSpan gap;
    if (from.family != MAL_FAMILY_NONE && mal_address_compare(at, from) < 0)
      at = from;
    while (wants_more(want) && next_gap(space, &range, at, MIN(want->count, CANDIDATE_MAX), &gap)) {
      put_to_arbiter(space, scope, gap, range.until, want);
      if (!mal_address_add(gap.last, 1, &at))
        break;
    }
  }
}

bool mal_space_ask(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until)
{
  MalDemand demand = space->demand[MAL_LEVEL_AVAILABLE];
  if (!demand)
    return false;
  demand(MAL_LEVEL_AVAILABLE, scope, count, until, space->demand_data[MAL_LEVEL_AVAILABLE]);
  return true;
}

static bool want(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until,
                 MalAddress from)
{
  Want w = { count, until, 0, 0 };
  if (space->acquire) {
    space->acquire(scope, NO_SPAN, count, until, space->acquire_data);
    return true;
  }
  if (space->arbiter)
    want_owned(space, scope, from, &w);
  if (w.count == 0 || w.asked > w.refused)
    return true;
  return mal_space_ask(space, scope, count, until);
}

void mal_space_want_span(MalSpace *space, const MalScope *scope, MalSpan span, MalTime until)
{
  if (space->acquire)
    space->acquire(scope, span, 0, until, space->acquire_data);
}

bool mal_space_is_deciding(const MalSpace *space, const MalScope *scope)
{
  for (unsigned i = 0; i < space->candidates->len; i++)
    if (strcmp(g_array_index(space->candidates, Candidate, i).scope, scope->id) == 0)
      return true;
  return false;
}

bool mal_space_want(MalSpace *space, const MalScope *scope, uint64_t count, MalTime until)
{
  return want(space, scope, count, until, mal_address_none());
}

/* Who waits for a candidate that was refused still waits: what lies behind it is tried, and layer 3
   at last. */
static void go_on_behind(MalSpace *space, const Candidate *c)
{
  const MalScope *scope = mal_scope_set_find(space->scopes, c->scope);
  MalAddress from;
  if (scope && mal_address_add(c->span.last, 1, &from))
    want(space, scope, c->count, c->wanted_until, from);
}

void mal_space_decide(MalSpace *space, uint64_t ticket, bool yes)
{
  for (unsigned i = 0; i < space->candidates->len; i++) {
    Candidate c = g_array_index(space->candidates, Candidate, i);
    if (c.ticket != ticket)
      continue;
    g_autofree char *scope = c.scope = g_strdup(c.scope);
    g_array_remove_index(space->candidates, i);
    if (yes)
      own(space, scope, c.span, c.until);
    else
      go_on_behind(space, &c);
    return;
  }
}

void mal_space_forget_tickets(MalSpace *space)
{
  g_array_set_size(space->candidates, 0);
}

/* ---- who was registered ---------------------------------------------------------------------- */

bool mal_space_acquires(const MalSpace *space)
{
  return space->acquire;
}

bool mal_space_adopt(MalSpace *space, const MalScope *scope, MalSpan span, MalTime until)
{
  return space->adopt && space->adopt(scope, span, until, space->acquire_data);
}

void mal_space_on_deny(MalSpace *space, MalDeny func, void *data)
{
  space->deny = func;
  space->deny_data = data;
}

void mal_space_deny(MalSpace *space, const MalScope *scope, const GError *why)
{
  mal_space_deny_named(space, scope, NO_SPAN, why);
}

void mal_space_deny_named(MalSpace *space, const MalScope *scope, MalSpan named, const GError *why)
{
  if (space->deny)
    space->deny(scope, named, false, why, space->deny_data);
}

void mal_space_explain(MalSpace *space, const MalScope *scope, const GError *why)
{
  if (space->deny)
    space->deny(scope, NO_SPAN, true, why, space->deny_data);
}

void mal_space_set_listening(MalSpace *space, const MalScope *scope, MalTime until)
{
  if (!space->listening)
    space->listening = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert(space->listening, g_strdup(scope->id), g_memdup2(&until, sizeof until));
}

int64_t mal_space_listens(const MalSpace *space, const MalScope *scope, MalTime now)
{
  const MalTime *until =
      space->listening ? g_hash_table_lookup(space->listening, scope->id) : NULL;
  return until && *until > now ? *until - now : 0;
}

bool mal_space_has_layer3(const MalSpace *space)
{
  return space->demand[MAL_LEVEL_AVAILABLE] != NULL;
}

void mal_space_set_demand(MalSpace *space, MalLevel level, MalDemand func, void *data)
{
  space->demand[level] = func;
  space->demand_data[level] = data;
}
