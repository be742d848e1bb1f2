/* What waits for space: requests that nothing owned could serve, while layers 2 and 3 look for more. */
#include "leases-internal.h"

#include <string.h>

#define WAITING_MOST 4096       /* beyond that a request is refused at once: memory stays bounded */
#define WAITING_SECONDS 600
#define ASK_AGAIN_SECONDS 30

static void waiting_free(Waiting *w)
{
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

static bool raise_demand(MalLeases *l, Waiting *w, MalTime now)
{
  const MalLeaseRequest *r = &w->request;
  bool again = w->ask_again != 0;
  w->ask_again = mal_time_add(now, ASK_AGAIN_SECONDS);
  /* What was asked for is still being thought about: asking again would claim more than is wanted. */
  if (again && mal_space_is_deciding(l->space, r->scope))
    return true;
  return mal_space_want(l->space, r->scope, r->desired, mal_time_add(MAX(r->start, now), r->lifetime + r->pad));
}

bool leases_wait(MalLeases *l, const MalLeaseRequest *r, MalTime now, MalLeaseFunc done, void *user, uint64_t cookie)
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

/* Space or time came: who can have what it asked for gets it. A later start is only for who has waited in vain. */
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
             (last || !leases_is_late(&w->request, now, &period))) {
    g_queue_delete_link(&l->waiting, link);
    leases_enter(l, &w->request, &period, now, w->done, w->user, w->cookie);
    waiting_free(w);
  } else if (last) {
    end(l, link, g_error_new_literal(MAL_ERROR, MAL_ERROR_NO_SPACE, "no space came within ten minutes"));
  } else if (w->ask_again <= now) {
    raise_demand(l, w, now);
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
}

/* The engine may be in the middle of a change, or the space in the middle of telling its watchers: the retry
   comes on a turn of its own. */
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
