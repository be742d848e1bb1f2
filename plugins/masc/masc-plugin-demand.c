/* Who asks for addresses. Two things are told to a zone:

   - what waits: requests that nothing could serve. Without a layer 2 that chooses for itself each
     of them comes to `demand` every half minute as long as it waits, so the sum over that time is
     what waits; with one (AAP), each call has the sum already. Less of it counts a while later:
     the half minutes are not that exact.
   - what arrives, for the forecast: what begins to wait, and by how much the addresses in use in
     the whole domain have grown since the last look, less what was counted when it began to wait. A
     grant that takes the place of one that ended meanwhile is not seen, and needs nothing new
     either. What became known after the start only is not new. */
#include "masc-plugin.h"

#define AGAIN (29 * MASC_SECOND) /* the core asks again after 30 s, never sooner */
#define LESS_AFTER (6 * MASC_SECOND)
#define ASKED_MOST 4096
#define LOOK_LEAST (1 * MASC_SECOND)
#define LOOK_MOST (60 * MASC_SECOND)
#define LOOKS 50 /* in a waiting period, at least */
#define LEARNING (300 * MASC_SECOND)
#define CREDIT_LEAST (2 * AGAIN) /* who stopped waiting either got it or gave up */

static int64_t look_interval(const Masc *masc)
{
  return CLAMP(masc->params.waiting_period * MASC_SECOND / LOOKS, LOOK_LEAST, LOOK_MOST);
}

/* From inside a call of the core's. */
void masc_demand_asked(Masc *masc, const MalScope *scope, uint64_t count, MalTime until)
{
  MascArea *area = masc_area_find(masc, scope->id);
  if (area == NULL)
    return;
  MascAsked asked = { mal_runtime_monotonic(masc->host.runtime), count, until };
  if (area->asked->len == ASKED_MOST)
    g_array_remove_index(area->asked, 0);
  g_array_append_val(area->asked, asked);
  area->asked_changed = true;
  area->asked_at = asked.at;
  mal_count(masc->host.metrics, MASC_M_DEMANDS, 1);
  masc_wake(masc);
}

static void forget_old(MascArea *area, int64_t now)
{
  guint n = 0;
  while (n < area->asked->len && g_array_index(area->asked, MascAsked, n).at + AGAIN <= now)
    n++;
  if (n > 0)
    g_array_remove_range(area->asked, 0, n);
  if (n > 0 && area->less_at == MASC_NEVER)
    area->less_at = now + LESS_AFTER;
}

static uint64_t add(uint64_t a, uint64_t b)
{
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void arrived(MascArea *area, uint64_t count)
{
  mal_count(area->masc->host.metrics, MASC_M_ARRIVALS, count);
  masc_zone_arrived(area->zone, count, area->masc->now);
}

/* More space came: who still waits asks again. */
void masc_demand_served(MascArea *area)
{
  g_array_set_size(area->asked, 0);
  area->less_at = area->masc->now.mono;
}

static uint64_t sum_asked(const MascArea *area, MalTime *until)
{
  bool sums = !mal_space_acquires(area->masc->host.space);
  uint64_t waiting = 0;
  *until = MAL_BEGINNING;
  for (guint i = 0; i < area->asked->len; i++) {
    const MascAsked *asked = &g_array_index(area->asked, MascAsked, i);
    waiting = sums ? add(waiting, asked->count) : asked->count;
    *until = MAX(*until, asked->until);
  }
  return waiting;
}

static void tell_waiting(MascArea *area)
{
  int64_t now = area->masc->now.mono;
  MalTime until;
  uint64_t waiting = sum_asked(area, &until);
  bool late = area->less_at <= now;
  area->asked_changed = false;
  if (late)
    area->less_at = MASC_NEVER;
  if (waiting == area->waiting || (waiting < area->waiting && !late))
    return;
  area->waiting = waiting;
  if (waiting > area->credit) {
    arrived(area, waiting - area->credit);
    area->credit = waiting;
  }
  masc_zone_waiting(area->zone, waiting, until, area->masc->now);
  masc_space_suspend(area);
}

/* Who gave up comes again before a claim can be won, and wants no more than before. */
static int64_t credit_for(const Masc *masc)
{
  return MAX(CREDIT_LEAST, masc->params.waiting_period * MASC_SECOND);
}

/* What was counted as an arrival when it began to wait is none when it is in use. */
static uint64_t take_credit(MascArea *area, uint64_t grown)
{
  uint64_t known = MIN(grown, area->credit);
  area->credit -= known;
  if (area->waiting == 0 && area->asked_at + credit_for(area->masc) <= area->masc->now.mono)
    area->credit = 0;
  return grown - known;
}

static void look(MascArea *area)
{
  const Masc *masc = area->masc;
  uint64_t used = masc_space_used(area), before = area->used;
  bool learning = masc->now.mono - masc->started <
                  MIN(LEARNING, masc->params.waiting_period * MASC_SECOND / 10);
  uint64_t new = take_credit(area, used > before ? used - before : 0);
  area->used = used;
  if (new > 0 && !learning)
    arrived(area, new);
  if (used != before)
    masc_zone_replan(area->zone, masc->now);
}

void masc_demand_run(Masc *masc)
{
  bool due = masc->looked + look_interval(masc) <= masc->now.mono;
  for (guint i = 0; i < masc->areas->len; i++) {
    MascArea *area = masc_area_at(masc, i);
    forget_old(area, masc->now.mono);
    if (area->asked_changed || area->less_at <= masc->now.mono)
      tell_waiting(area);
    if (due)
      look(area);
  }
  if (due)
    masc->looked = masc->now.mono;
}

int64_t masc_demand_due(const Masc *masc)
{
  int64_t due = masc->looked + look_interval(masc);
  for (guint i = 0; i < masc->areas->len; i++) {
    const MascArea *area = masc_area_at(masc, i);
    due = MIN(due, area->less_at);
    if (area->asked->len > 0)
      due = MIN(due, g_array_index(area->asked, MascAsked, 0).at + AGAIN);
  }
  return due;
}
