/* Clients of a server: they ask for one address each, wait for it, hold it, let it go. */
#include "aap-world-private.h"

#include <math.h>
#include <string.h>

#define PATIENCE SEC(60)

static bool is_suspended(const AapNode *s, MalAddress address)
{
  return s->suspended->len > 0 && aap_spans_overlap(s->suspended, (MalSpan){ address, address });
}

/* An owned address that is free and lasts until END. */
static bool find_free(const AapNode *s, MalTime end, uint64_t *offset)
{
  MalSpan span;
  void *value;
  for (AapCursor c = aap_intervals_cursor(s->owned, s->world->scope.first);
       aap_cursor_get(c, &span, &value); aap_cursor_step(&c)) {
    if (((const Owned *)value)->end < end)
      continue;
    uint64_t first = world_offset(s->world, span.first), last = world_offset(s->world, span.last);
    for (uint64_t i = first; i <= last; i++) {
      const uint8_t *p = memchr(s->leased + i, 0, last - i + 1);
      if (p == NULL)
        break;
      i = (uint64_t)(p - s->leased);
      *offset = i;
      if (!is_suspended(s, world_at(s->world, i)))
        return true;
    }
  }
  return false;
}

static bool grant(AapNode *s, int64_t lifetime_s)
{
  uint64_t offset;
  if (!find_free(s, world_clock(s).wall + lifetime_s, &offset))
    return false;
  s->leased[offset] = 1;
  s->lease[offset]++;
  s->n_leased++;
  Event *event = world_push(s->world, EVENT_LEASE_END, s->world->now + SEC(lifetime_s) - AAP_US,
                            s->index);
  event->a = (uint64_t)s->lease[offset] << 32 | offset;
  return true;
}

static void want(AapNode *s)
{
  int64_t longest = 0;
  for (guint i = 0; i < s->tickets->len; i++)
    longest = MAX(longest, g_array_index(s->tickets, Ticket, i).lifetime_s);
  aap_zone_want(s->zone, s->tickets->len, world_clock(s).wall + longest, world_clock(s));
}

static void answered(AapNode *s, int64_t waited)
{
  MalAapWorldFigures *f = &s->world->figures;
  bool pooled = waited < AAP_US / 2;
  f->pooled += pooled;
  f->waited += !pooled;
  f->longest_wait = MAX(f->longest_wait, waited);
  world_count(s->world, pooled ? COUNT_POOLED : COUNT_WAITED, 1);
}

static void serve_tickets(AapNode *s)
{
  int64_t none = INT64_MAX; /* lasts that long */
  for (guint i = 0; i < s->tickets->len;) {
    Ticket ticket = g_array_index(s->tickets, Ticket, i);
    if (ticket.lifetime_s >= none || !grant(s, ticket.lifetime_s)) {
      none = MIN(none, ticket.lifetime_s);
      i++;
      continue;
    }
    answered(s, s->world->now - ticket.asked);
    g_array_remove_index(s->tickets, i);
  }
}

/* Something came: who still waits says so again. */
void world_serve(AapNode *s)
{
  s->hungry = false;
  if (s->tickets->len == 0)
    return;
  serve_tickets(s);
  if (s->tickets->len > 0)
    want(s);
}

void world_refuse(AapNode *s, WorldCount why)
{
  s->failed = false;
  s->world->figures.refused += s->tickets->len;
  world_count(s->world, why, s->tickets->len);
  g_array_set_size(s->tickets, 0);
}

static void give_up_waiting(AapNode *s)
{
  for (guint i = s->tickets->len; i-- > 0;) {
    if (s->world->now - g_array_index(s->tickets, Ticket, i).asked < PATIENCE)
      continue;
    s->world->figures.refused++;
    world_count(s->world, COUNT_TIMED_OUT, 1);
    g_array_remove_index(s->tickets, i);
  }
}

/* Nobody asks a server that is down, or not ready. */
void world_ask(AapNode *s, int64_t lifetime_s)
{
  AapWorld *w = s->world;
  if (!s->up || s->takes_part == AAP_NEVER)
    return;
  give_up_waiting(s);
  w->figures.asked++;
  world_count(w, COUNT_ASKED, 1);
  if (grant(s, lifetime_s)) {
    w->figures.at_once++;
    world_count(w, COUNT_AT_ONCE, 1);
    return;
  }
  Ticket ticket = { w->now, lifetime_s };
  g_array_append_val(s->tickets, ticket);
  want(s);
  world_settle(s);
}

/* Poisson. */
void world_client(AapNode *s)
{
  AapWorld *w = s->world;
  if (s->rate <= 0 || w->healed)
    return;
  double u = (double)(mal_world_random(&s->clients) >> 11) / (double)(UINT64_C(1) << 53);
  double gap = -log(1 - u) * 3600e6 * s->burst / s->rate;
  for (unsigned i = 0; i < s->burst; i++) {
    uint64_t lifetime = between(&s->clients, (uint64_t)s->lifetime_s / 2,
                                (uint64_t)s->lifetime_s * 3 / 2);
    world_ask(s, (int64_t)MAX(lifetime, 10));
  }
  world_push(w, EVENT_CLIENT, w->now + (int64_t)MIN(gap, 1e15), s->index);
}

void world_lease_end(AapNode *s, uint64_t offset, uint32_t lease)
{
  if (s->lease[offset] != lease || !s->leased[offset])
    return;
  s->leased[offset] = 0;
  s->n_leased--;
}

void world_leases_drop(AapNode *s, MalSpan span)
{
  uint64_t last = world_offset(s->world, span.last);
  for (uint64_t i = world_offset(s->world, span.first); i <= last; i++) {
    if (!s->leased[i])
      continue;
    s->leased[i] = 0;
    s->n_leased--;
    world_count(s->world, COUNT_LEASE_LOST, 1);
  }
}

/* After a start: a lease that nothing owned covers is over. */
void world_leases_look(AapNode *s)
{
  for (uint64_t i = 0; i < s->world->addresses; i++)
    if (s->leased[i] && !s->mine[i])
      world_leases_drop(s, world_span(s->world, i, i));
}
