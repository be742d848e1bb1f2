/* Who asks for addresses. Two things are told to a zone:

   - what waits: requests that nothing could serve. Without a layer 2 that chooses for itself each
     of them comes to `demand` every half minute as long as it waits, so the sum over that time is
     what waits; with one (AAP), each call has the sum already.
   - what arrives, for the forecast: by how much the addresses in use in the whole domain have grown
     since the last look. A grant that takes the place of one that ended meanwhile is not seen, and
     needs nothing new either. What became known after the start only is not new. */
#include "masc-plugin.h"

#define ASKED_FOR (35 * MASC_SECOND) /* the core asks again every 30 s */
#define ASKED_MOST 4096
#define LOOK_LEAST (1 * MASC_SECOND)
#define LOOK_MOST (60 * MASC_SECOND)
#define LOOKS 50 /* in a waiting period, at least */
#define LEARNING (300 * MASC_SECOND)

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
  mal_count(masc->host.metrics, MASC_M_DEMANDS, 1);
  masc_wake(masc);
}

static void forget_old(MascArea *area, int64_t now)
{
  guint n = 0;
  while (n < area->asked->len && g_array_index(area->asked, MascAsked, n).at + ASKED_FOR <= now)
    n++;
  if (n > 0)
    g_array_remove_range(area->asked, 0, n);
  area->asked_changed = area->asked_changed || n > 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void tell_waiting(MascArea *area)
{
  bool sums = !mal_space_acquires(area->masc->host.space);
  uint64_t waiting = 0;
  MalTime until = MAL_BEGINNING;
  for (guint i = 0; i < area->asked->len; i++) {
    const MascAsked *asked = &g_array_index(area->asked, MascAsked, i);
    waiting = sums ? add(waiting, asked->count) : asked->count;
    until = MAX(until, asked->until);
  }
  area->asked_changed = false;
  if (waiting == area->waiting && waiting == 0)
    return;
  area->waiting = waiting;
  masc_zone_waiting(area->zone, waiting, until, area->masc->now);
}

static void look(MascArea *area)
{
  Masc *masc = area->masc;
  uint64_t used = masc_space_used(area), before = area->used;
  bool learning = masc->now.mono - masc->started <
                  MIN(LEARNING, masc->params.waiting_period * MASC_SECOND / 10);
  area->used = used;
  if (used == before)
    return;
  if (used > before && !learning) {
    mal_count(masc->host.metrics, MASC_M_ARRIVALS, used - before);
    masc_zone_arrived(area->zone, used - before, masc->now);
  }
  masc_zone_replan(area->zone, masc->now);
}

void masc_demand_run(Masc *masc)
{
  bool due = masc->looked + look_interval(masc) <= masc->now.mono;
  for (guint i = 0; i < masc->areas->len; i++) {
    MascArea *area = masc_area_at(masc, i);
    forget_old(area, masc->now.mono);
    if (area->asked_changed)
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
    const GArray *asked = masc_area_at(masc, i)->asked;
    if (asked->len > 0)
      due = MIN(due, g_array_index(asked, MascAsked, 0).at + ASKED_FOR);
  }
  return due;
}
