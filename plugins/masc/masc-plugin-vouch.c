/* What layer 2 took over from others' announcements, and what of it the zones let it go on with. */
#include "masc-plugin.h"

#define JUDGED_EVERY MASC_SECOND
#define SPANS_MOST 256 /* more can't be announced again; whoever said them may be lying */

static void add_part(MalSpan part, void *data)
{
  g_array_append_val((GArray *)data, part);
}

static GArray *judge(const MascArea *area, const MalSpan *spans, size_t n, MascNow now)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  for (size_t i = 0; i < MIN(n, SPANS_MOST); i++)
    if (mal_span_contains(area->span, spans[i]))
      masc_zone_vouch(area->zone, spans[i], now, add_part, out);
  return out;
}

/* From inside a call of the core's. What we don't vouch for is taken over no longer. */
static void vouch(const MalScope *scope, const MalSpan *spans, size_t n, MalVouchFunc func,
                  void *to, void *data)
{
  Masc *masc = data;
  MascArea *area = masc_area_find(masc, scope->id);
  MascNow now = { mal_runtime_monotonic(masc->host.runtime), mal_runtime_now(masc->host.runtime) };
  for (size_t i = 0; area == NULL && i < n; i++)
    func(spans[i], to);
  if (area == NULL)
    return;
  GArray *vouched = judge(area, spans, n, now);
  g_array_unref(area->adopted);
  area->adopted = vouched;
  area->judged = now.mono;
  masc_zone_adopted(area->zone, (const MalSpan *)(void *)vouched->data, vouched->len, now);
  for (guint i = 0; i < vouched->len; i++)
    func(g_array_index(vouched, MalSpan, i), to);
  masc_wake(masc);
}

void masc_vouch_start(Masc *masc)
{
  mal_space_set_vouch(masc->host.space, vouch, masc);
  mal_space_vouch_again(masc->host.space);
}

void masc_vouch_stop(Masc *masc)
{
  mal_space_set_vouch(masc->host.space, NULL, NULL);
}

static MalU128 addresses_of(const GArray *spans)
{
  MalU128 sum = 0;
  for (guint i = 0; i < spans->len; i++)
    sum += mal_span_size(g_array_index(spans, MalSpan, i));
  return sum;
}

static int64_t judged_next(const MascArea *area)
{
  return area->adopted->len > 0 ? area->judged + JUDGED_EVERY : MASC_NEVER;
}

int64_t masc_vouch_due(const Masc *masc)
{
  int64_t due = MASC_NEVER;
  for (guint i = 0; i < masc->areas->len; i++)
    due = MIN(due, judged_next(masc_area_at(masc, i)));
  return due;
}

/* Whatever happened: is it less than what layer 2 was told? */
void masc_vouch_run(Masc *masc)
{
  bool again = false;
  for (guint i = 0; i < masc->areas->len; i++) {
    MascArea *area = masc_area_at(masc, i);
    if (judged_next(area) > masc->now.mono)
      continue;
    g_autoptr(GArray) still = judge(area, (const MalSpan *)(void *)area->adopted->data,
                                    area->adopted->len, masc->now);
    area->judged = masc->now.mono;
    again = again || addresses_of(still) < addresses_of(area->adopted);
  }
  if (again)
    mal_space_vouch_again(masc->host.space);
}
