/* What a prefix coordinator knows of the use of its scope. */
#include "aap-used.h"

#include "aap-intervals.h"
#include "aap-time.h"

#define STRETCHES_MOST 65536 /* whoever sends may be lying: memory stays bounded */
#define REPORT_KEPT 5        /* x asrp-interval: then a report is old */

typedef struct {
  MalSpan span;
  uint64_t n;
} Report;

struct AapUsed {
  MalSpan scope;
  const AapParams *params;
  AapIntervals *known; /* address -> MalTime, in our clock */
  GArray *reports;     /* Report: the latest ASRP */
  int64_t reported;    /* monotonic */
};

AapUsed *aap_used_new(MalSpan scope, const AapParams *params)
{
  AapUsed *used = g_new0(AapUsed, 1);
  used->scope = scope;
  used->params = params;
  used->known = aap_intervals_new(sizeof(MalTime), NULL);
  used->reports = g_array_new(FALSE, FALSE, sizeof(Report));
  return used;
}

void aap_used_free(AapUsed *used)
{
  if (used == NULL)
    return;
  aap_intervals_free(used->known);
  g_array_unref(used->reports);
  g_free(used);
}

/* ---- hearing --------------------------------------------------------------------------------- */

typedef struct {
  MalTime now;
  GArray *spans;
} Ended;

static void note_ended(MalSpan span, void *value, void *data)
{
  Ended *ended = data;
  if (aap_time_ended(*(const MalTime *)value, ended->now))
    g_array_append_val(ended->spans, span);
}

static void forget_ended(AapUsed *used, AapNow now)
{
  Ended ended = { now.wall, aap_spans_new() };
  aap_intervals_each(used->known, used->scope, note_ended, &ended);
  for (guint i = 0; i < ended.spans->len; i++)
    aap_intervals_remove(used->known, g_array_index(ended.spans, MalSpan, i));
  g_array_unref(ended.spans);
}

static void heard_aiu(AapUsed *used, const AapMessage *msg, AapNow now)
{
  int64_t delta = aap_time_delta(now.wall, msg->current_time);
  for (size_t i = 0; i < msg->n_ranges; i++) {
    MalTime end = aap_time_adjust(msg->ranges[i].value, delta);
    MalSpan span;
    if (!mal_span_intersect(msg->ranges[i].span, used->scope, &span))
      continue;
    if (aap_time_ended(end, now.wall))
      aap_intervals_remove(used->known, span);
    else if (aap_intervals_count(used->known) < STRETCHES_MOST)
      aap_intervals_set(used->known, span, &end);
  }
}

static void heard_asrp(AapUsed *used, const AapMessage *msg, AapNow now)
{
  forget_ended(used, now);
  g_array_set_size(used->reports, 0);
  used->reported = now.mono;
  for (size_t i = 0; i < msg->n_ranges; i++) {
    Report report = { msg->ranges[i].span, msg->ranges[i].value };
    g_array_append_val(used->reports, report);
  }
}

void aap_used_heard(AapUsed *used, const AapMessage *msg, AapNow now)
{
  if (msg->type == AAP_AIU)
    heard_aiu(used, msg, now);
  else if (msg->type == AAP_ASRP)
    heard_asrp(used, msg, now);
}

static void move_end(MalSpan span, void *value, void *data)
{
  MalTime *end = value;
  (void)span;
  *end = mal_time_add(*end, *(const int64_t *)data);
}

void aap_used_clock_stepped(AapUsed *used, int64_t delta)
{
  aap_intervals_each(used->known, used->scope, move_end, &delta);
}

/* ---- telling --------------------------------------------------------------------------------- */

typedef struct {
  AapNow now;
  MalU128 n;
  MalTime end;
} Sum;

static void add_up(MalSpan span, void *value, void *data)
{
  Sum *sum = data;
  MalTime end = *(const MalTime *)value;
  if (aap_time_ended(end, sum->now.wall))
    return;
  sum->n += mal_span_size(span);
  sum->end = MAX(sum->end, end);
}

/* How long what was reported is used isn't said: as long as what is known in it, or as a server
   would now have it. */
static bool is_known_in_part(const AapUsed *used, const Report *report, AapNow now, MalTime *end)
{
  Sum sum = { now, 0, mal_time_add(now.wall, used->params->own_lifetime_s) };
  aap_intervals_each(used->known, report->span, add_up, &sum);
  *end = sum.end;
  return sum.n < report->n;
}

typedef struct {
  AapNow now;
  const GArray *whole; /* spans that were told as a whole */
  AapUsedFunc func;
  void *data;
} Tell;

static void tell(MalSpan span, void *value, void *data)
{
  const Tell *t = data;
  MalTime end = *(const MalTime *)value;
  g_autoptr(GArray) left = aap_spans_new();
  if (aap_time_ended(end, t->now.wall))
    return;
  aap_spans_add(left, span);
  for (guint i = 0; i < t->whole->len; i++)
    aap_spans_subtract(left, g_array_index(t->whole, MalSpan, i));
  for (guint i = 0; i < left->len; i++) {
    MalSpan part = g_array_index(left, MalSpan, i);
    MalU128 size = mal_span_size(part);
    t->func(part, size > UINT64_MAX ? UINT64_MAX : (uint64_t)size, end, t->data);
  }
}

void aap_used_each(const AapUsed *used, MalSpan span, AapNow now, AapUsedFunc func, void *data)
{
  g_autoptr(GArray) whole = aap_spans_new();
  bool fresh = used->reported + REPORT_KEPT * used->params->asrp_interval >= now.mono;
  for (guint i = 0; fresh && i < used->reports->len; i++) {
    const Report *report = &g_array_index(used->reports, Report, i);
    MalTime end;
    if (!mal_span_overlaps(report->span, span) || !is_known_in_part(used, report, now, &end))
      continue;
    aap_spans_add(whole, report->span);
    func(report->span, report->n, end, data);
  }
  Tell t = { now, whole, func, data };
  aap_intervals_each(used->known, span, tell, &t);
}
