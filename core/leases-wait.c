/* What waits for space: requests that nothing owned could serve, while layers 2 and 3 look for
   more. */
#include "leases-internal.h"

#include <string.h>

#define WAITING_MOST 4096       /* beyond that a request is refused at once: memory stays bounded */
#define WAITING_SECONDS 600
#define ASK_AGAIN_SECONDS 30

static void waiting_free(Waiting *w)
{
  g_clear_error(&w->denied);
  g_clear_error(&w->error);
  g_free(w->named);
  g_free(w->scope);
  g_free(w);
}

static GList *find(const MalLeases *l, MalLeaseId id)
{
  for (GList *i = l->waiting.head; i; i = i->next)
    if (mal_lease_id_equal(((Waiting *)i->data)->request.id, id))
      return i;
  return NULL;
}

bool mal_leases_is_waiting(const MalLeases *l, MalLeaseId id)
{
  return l->waiting.length > 0 && find(l, id);
}

/* ---- layer 2 that chooses for itself (mal_space_set_acquire) --------------------------------- */

static MalTime held_until(const MalLeaseRequest *r, MalTime now)
{
  return mal_time_add(MAX(r->start, now), r->lifetime + r->pad);
}

static bool could_own_until(const MalLeases *l, const MalScope *scope, MalSpan span, MalTime until)
{
  return mal_space_covers(l->space, MAL_LEVEL_AVAILABLE, scope, span, until) &&
         !mal_space_covers(l->space, MAL_LEVEL_OWNED, scope, span, until);
}

bool leases_could_own_named(const MalLeases *l, const MalLeaseRequest *r, MalTime now)
{
  bool some = false;
  MalTime from = MAX(now, mal_time_add(MAX(r->start, now), -r->pad));
  if (!mal_space_acquires(l->space) || leases_named_is_taken(l, r, from))
    return false;
  for (size_t i = 0; i < r->n_named; i++) {
    MalSpan span = mal_span_of_block(r->named[i]);
    if (!mal_space_covers(l->space, MAL_LEVEL_AVAILABLE, r->scope, span, held_until(r, now)))
      return false;
    some = some || could_own_until(l, r->scope, span, held_until(r, now));
  }
  return some;
}

bool leases_is_short(const MalLeases *l, const MalLeaseRequest *r, MalTime now,
                     const Period *period)
{
  MalTime until = held_until(r, now);
  if (period->end - period->start >= r->lifetime || !mal_space_acquires(l->space))
    return false;
  g_autoptr(GPtrArray) ranges = mal_space_ranges(l->space, MAL_LEVEL_AVAILABLE);
  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *range = g_ptr_array_index(ranges, i);
    if (range->scope == r->scope && range->until >= until)
      return true;
  }
  return false;
}

void leases_want_longer(MalLeases *l, uint32_t handle, MalTime until)
{
  const Slot *slot = leases_slot(l, handle);
  const MalScope *scope = mal_scope_set_at(l->scopes, slot->scope);
  /* Who was refused comes again later, and counts the same lifetime from then. */
  MalTime later = mal_time_add(until, WAITING_SECONDS);
  if (!mal_space_acquires(l->space))
    return;
  for (size_t i = 0; i < leases_n_blocks(slot); i++) {
    MalSpan span = mal_span_of_block(leases_block(l, slot, i));
    if (could_own_until(l, scope, span, later))
      mal_space_want_span(l->space, scope, span, later);
    else if (could_own_until(l, scope, span, until))
      mal_space_want_span(l->space, scope, span, until);
  }
}

static bool raise_named(MalLeases *l, const MalLeaseRequest *r, MalTime now)
{
  for (size_t i = 0; i < r->n_named; i++) {
    MalSpan span = mal_span_of_block(r->named[i]);
    if (could_own_until(l, r->scope, span, held_until(r, now)))
      mal_space_want_span(l->space, r->scope, span, held_until(r, now));
  }
  return true;
}

/* All that waits in R's scope, R with it, wants so much. */
static uint64_t wanted_in_all(const MalLeases *l, const MalLeaseRequest *r)
{
  uint64_t n = find(l, r->id) ? 0 : r->desired;
  for (const GList *i = l->waiting.head; i; i = i->next) {
    const Waiting *w = i->data;
    if (strcmp(w->scope, r->scope->id) == 0 && w->request.n_named == 0)
      n += w->request.desired;
  }
  return n;
}

static MalTime longest_available(const MalLeases *l, const MalScope *scope)
{
  g_autoptr(GPtrArray) ranges = mal_space_ranges(l->space, MAL_LEVEL_AVAILABLE);
  MalTime longest = MAL_BEGINNING;
  for (unsigned i = 0; i < ranges->len; i++) {
    const MalRange *range = g_ptr_array_index(ranges, i);
    if (range->scope == scope)
      longest = MAX(longest, range->until);
  }
  return longest;
}

/* As long as R would have it; where nothing that is available lasts so long and less would do: as
   long as that lasts. */
static MalTime wanted_until(const MalLeases *l, const MalLeaseRequest *r, MalTime now)
{
  MalTime until = held_until(r, now), longest = longest_available(l, r->scope);
  MalTime least = mal_time_add(MAX(r->start, now), MAX(r->min_lifetime, 1) + r->pad);
  return longest < until && longest >= least ? longest : until;
}

bool leases_wait_raise(MalLeases *l, const MalLeaseRequest *r, MalTime now)
{
  if (mal_space_acquires(l->space) && r->n_named > 0)
    return raise_named(l, r, now);
  uint64_t count = mal_space_acquires(l->space) ? wanted_in_all(l, r) : r->desired;
  return mal_space_want(l->space, r->scope, count, wanted_until(l, r, now));
}

static bool names_any_of(const Waiting *w, MalSpan span)
{
  for (size_t i = 0; i < w->request.n_named; i++)
    if (mal_span_overlaps(mal_span_of_block(w->request.named[i]), span))
      return true;
  return false;
}

/* Each gets what there is at its next turn, which comes at once, or is refused. */
void leases_wait_deny(MalLeases *l, const MalScope *scope, MalSpan named, const GError *why)
{
  for (GList *i = l->waiting.head; i; i = i->next) {
    Waiting *w = i->data;
    if (strcmp(w->scope, scope->id) != 0 ||
        (named.first.family != MAL_FAMILY_NONE && !names_any_of(w, named)))
      continue;
    w->give_up = MAL_BEGINNING;
    g_clear_error(&w->denied);
    w->denied = g_error_copy(why);
  }
  leases_wait_retry(l);
}

void leases_wait_explain(MalLeases *l, const MalScope *scope, const GError *why)
{
  for (GList *i = l->waiting.head; i; i = i->next) {
    Waiting *w = i->data;
    if (strcmp(w->scope, scope->id) != 0 || w->request.n_named > 0 ||
        w->give_up == MAL_BEGINNING)
      continue;
    g_clear_error(&w->denied);
    w->denied = g_error_copy(why);
  }
}

/* To who was denied it, or has waited in vain. */
static GError *why_none(Waiting *w)
{
  if (!w->denied)
    return g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "no space came within ten minutes");
  if (w->give_up != MAL_BEGINNING)
    g_prefix_error(&w->denied, "no space came within ten minutes: ");
  return g_steal_pointer(&w->denied);
}

static bool raise_demand(MalLeases *l, Waiting *w, MalTime now)
{
  bool again = w->ask_again != 0;
  w->ask_again = mal_time_add(now, ASK_AGAIN_SECONDS);
  /* What was asked for is still being thought about: asking again would claim more than is
     wanted. */
  if (again && mal_space_is_deciding(l->space, w->request.scope))
    return true;
  return leases_wait_raise(l, &w->request, now);
}

bool leases_wait(MalLeases *l, const MalLeaseRequest *r, MalTime now, MalLeaseFunc done, void *user,
                 uint64_t cookie)
{
  if (l->waiting.length >= WAITING_MOST)
    return false;
  Waiting *w = g_new0(Waiting, 1);
  w->request = *r;
  memcpy(w->id, r->id.bytes, r->id.length);
  w->request.id.bytes = w->id;
  w->named = r->n_named ? g_memdup2(r->named, r->n_named * sizeof *r->named) : NULL;
  w->request.named = w->named;
  w->scope = g_strdup(r->scope->id);
  w->request.origin = g_intern_string(r->origin);
  w->give_up = mal_time_add(now, WAITING_SECONDS);
  w->done = done;
  w->user = user;
  w->cookie = cookie;
  g_queue_push_tail(&l->waiting, w);
  if (raise_demand(l, w, now))
    return true;
  GList *link = find(l, r->id);
  if (!link)
    return true;
  g_queue_delete_link(&l->waiting, link);
  waiting_free(w);
  return false;
}

/* Takes over ERROR. Nobody is told yet: who is told may change anything. */
static void end(MalLeases *l, GList *link, GError *error)
{
  Waiting *w = link->data;
  w->error = error;
  g_queue_unlink(&l->waiting, link);
  g_queue_push_tail_link(&l->ended, link);
}

void leases_wait_tell_ended(MalLeases *l)
{
  for (Waiting *w; (w = g_queue_pop_head(&l->ended));) {
    if (w->done)
      w->done(NULL, w->error, w->user, w->cookie);
    waiting_free(w);
  }
}

bool leases_wait_cancel(MalLeases *l, MalLeaseId id)
{
  GList *link = find(l, id);
  if (!link)
    return false;
  end(l, link, g_error_new_literal(MAL_ERROR, MAL_ERROR_NOT_FOUND, "taken back by its client"));
  mal_timer_set(l->turn, mal_runtime_monotonic(l->rt));
  return true;
}

/* Space or time came: who can have what it asked for gets it. A later start is only for who has
   waited in vain. */
static void retry(MalLeases *l, GList *link, MalTime now)
{
  Waiting *w = link->data;
  MalRefusal why;
  Period period;
  bool last = w->give_up <= now;
  w->request.scope = mal_scope_set_find(l->scopes, w->scope);
  if (!w->request.scope) {
    end(l, link, g_error_new(MAL_ERROR, MAL_ERROR_NOT_FOUND, "scope %s is gone", w->scope));
  } else if (leases_decide(l, &w->request, now, &period, &why) &&
             (last || (!leases_is_late(&w->request, now, &period) &&
                       !leases_is_short(l, &w->request, now, &period)))) {
    g_queue_delete_link(&l->waiting, link);
    leases_enter(l, &w->request, &period, now, w->done, w->user, w->cookie);
    waiting_free(w);
  } else if (last) {
    end(l, link, why_none(w));
  } else if (w->ask_again <= now) {
    raise_demand(l, w, now);
  }
}

/* Part of what was wanted came: layer 2 that counts all who wait hears, once a scope, what is still
   missing. */
static void raise_what_is_missing(MalLeases *l, MalTime now)
{
  g_autofree bool *raised = g_new0(bool, mal_scope_set_size(l->scopes) + 1);
  for (GList *i = l->waiting.head; i; i = i->next) {
    Waiting *w = i->data;
    bool *one = &raised[w->request.scope->index]; /* retry has just found it */
    if (w->request.n_named > 0) {
      raise_demand(l, w, now);
    } else if (!*one) {
      *one = true;
      raise_demand(l, w, now);
    }
  }
}

void leases_wait_retry_now(MalLeases *l, MalTime now)
{
  now = leases_sync_clock(l, now);
  for (GList *i = l->waiting.head; i;) {
    GList *next = i->next;
    retry(l, i, now);
    i = next;
  }
  if (l->waiting.head && mal_space_acquires(l->space))
    raise_what_is_missing(l, now);
}

/* The engine may be in the middle of a change, or the space in the middle of telling its watchers:
   the retry comes on a turn of its own. */
void leases_wait_retry(MalLeases *l)
{
  if (l->waiting.length > 0)
    mal_timer_set(l->turn, mal_runtime_monotonic(l->rt));
}

void leases_wait_expire(MalLeases *l, MalTime now)
{
  for (GList *i = l->waiting.head; i;) {
    GList *next = i->next;
    const Waiting *w = i->data;
    if (MIN(w->give_up, w->ask_again) <= now)
      retry(l, i, now);
    i = next;
  }
  leases_wait_tell_ended(l);
}

MalTime leases_wait_due(const MalLeases *l)
{
  MalTime due = MAL_FOREVER;
  for (const GList *i = l->waiting.head; i; i = i->next)
    due = MIN(due, MIN(((const Waiting *)i->data)->give_up, ((const Waiting *)i->data)->ask_again));
  return due;
}

static void drop(GQueue *queue, const void *user)
{
  for (GList *i = queue->head; i;) {
    GList *next = i->next;
    Waiting *w = i->data;
    if (w->user == user) {
      g_queue_delete_link(queue, i);
      waiting_free(w);
    }
    i = next;
  }
}

bool leases_wait_end_first(MalLeases *l, const GError *error)
{
  if (l->waiting.length == 0)
    return false;
  end(l, l->waiting.head, g_error_copy(error));
  return true;
}

void leases_wait_forget(MalLeases *l, const void *user)
{
  drop(&l->waiting, user);
  drop(&l->ended, user);
}
