/* Preallocations: AITU, tentative, then established; taking from them (draft-ietf-malloc-aap-04
   3.2.6). */
#include "aap-pool.h"

#include "aap-seq.h"
#include "aap-time.h"

#define LOSSES_MOST 8 /* preallocations that are chosen anew in one resend-wait */

static AapPrealloc *at(const AapZone *zone, guint i)
{
  return g_ptr_array_index(zone->pool->preallocs, i);
}

void aap_prealloc_free(void *prealloc)
{
  AapPrealloc *p = prealloc;
  g_array_unref(p->spans);
  g_free(p);
}

static void drop(AapZone *zone, AapPrealloc *p)
{
  aap_sequence_let_go(zone->sequence, p->rseq);
  g_ptr_array_remove_fast(zone->pool->preallocs, p);
}

/* ---- one of them ----------------------------------------------------------------------------- */

static void send(AapZone *zone, AapPrealloc *p)
{
  g_autofree AapExtent *extents = g_new(AapExtent, p->spans->len);
  for (guint i = 0; i < p->spans->len; i++)
    extents[i] = (AapExtent){ g_array_index(p->spans, MalSpan, i), p->end };
  if (aap_zone_send_ranges(zone, AAP_AITU, p->rseq, p->mseq, extents, p->spans->len)) {
    p->mseq = aap_mseq_next(p->mseq);
    p->sent++;
  }
}

/* Until when all of them are available, own-lifetime at most. */
static MalTime end_of(const AapZone *zone, const GArray *spans)
{
  MalTime end = mal_time_add(zone->now.wall, zone->params->own_lifetime_s);
  for (guint i = 0; i < spans->len; i++)
    end = MIN(end, aap_record_available_until(zone->record, g_array_index(spans, MalSpan, i)));
  return end;
}

static void begin_round(AapZone *zone, AapPrealloc *p)
{
  p->established = false;
  p->sent = 0;
  p->end = end_of(zone, p->spans);
  p->interval = zone->params->resend_wait;
  p->resend = zone->now.mono + p->interval;
  p->establish = zone->now.mono + zone->params->announce_wait;
  send(zone, p);
}

static void cut_to_message(const AapZone *zone, GArray *spans)
{
  if (spans->len > aap_zone_fits(zone))
    g_array_set_size(spans, (guint)aap_zone_fits(zone));
}

uint64_t aap_prealloc_begin(AapZone *zone, uint64_t count)
{
  g_autoptr(GArray) spans = aap_pool_choose(zone, count, zone->now.wall + 1, AAP_RANK_GUARDED);
  cut_to_message(zone, spans);
  if (spans->len == 0)
    return 0;
  AapPrealloc *p = g_new0(AapPrealloc, 1);
  p->spans = g_array_ref(spans);
  p->rseq = aap_sequence_take(zone->sequence);
  g_ptr_array_add(zone->pool->preallocs, p);
  begin_round(zone, p);
  return (uint64_t)aap_spans_size(spans);
}

void aap_prealloc_withdraw(AapZone *zone, AapPrealloc *p)
{
  p->end = zone->now.wall;
  if (p->missing == 0)
    send(zone, p);
  drop(zone, p);
}

/* A choice costs time, and a message each: who claims everything again and again gets only so many.
   The pool is filled up at the next look. */
static bool may_choose_again(AapZone *zone)
{
  AapPool *pool = zone->pool;
  if (zone->now.mono - pool->losses_since >= zone->params->resend_wait) {
    pool->losses_since = zone->now.mono;
    pool->losses = 0;
  }
  return pool->losses++ < LOSSES_MOST;
}

static void choose_others(AapZone *zone, AapPrealloc *p)
{
  g_autoptr(GArray) others =
      aap_pool_choose(zone, p->missing, zone->now.wall + 1, AAP_RANK_GUARDED);
  cut_to_message(zone, others);
  p->missing = 0;
  if (others->len == 0) {
    drop(zone, p);
    return;
  }
  g_array_unref(p->spans);
  p->spans = g_array_ref(others);
  begin_round(zone, p);
}

/* The whole set is given up; another may take its place under the same number (3.2.6). At once
   after the first loss; then after ever longer random waits: where the pools of many fill what is
   left, each AITU would else cost several others theirs, and these more yet, as fast as the network
   carries them. */
static void lose(AapZone *zone, AapPrealloc *p)
{
  MalSpan first = g_array_index(p->spans, MalSpan, 0);
  p->missing = (uint64_t)aap_spans_size(p->spans);
  p->established = false;
  g_array_set_size(p->spans, 0);
  aap_zone_note(zone, AAP_NOTE_PREALLOC_LOST, first, (MalEndpoint){ 0 }, p->missing);
  if (p->losses++ == 0) {
    if (may_choose_again(zone))
      choose_others(zone, p);
    else
      drop(zone, p);
    return;
  }
  int64_t most = zone->params->resend_wait << MIN(p->losses, 16);
  p->establish = AAP_NEVER;
  p->resend =
      zone->now.mono + aap_zone_draw(zone, 0, 1, MIN(most, zone->params->repeat_interval));
}

/* ---- time ------------------------------------------------------------------------------------ */

int64_t aap_prealloc_due(const AapPool *pool)
{
  int64_t due = AAP_NEVER;
  for (guint i = 0; i < pool->preallocs->len; i++) {
    const AapPrealloc *p = g_ptr_array_index(pool->preallocs, i);
    due = MIN(due, p->established ? p->resend : MIN(p->resend, p->establish));
  }
  return due;
}

static void resend(AapZone *zone, AapPrealloc *p)
{
  bool half = p->end - zone->now.wall < zone->params->own_lifetime_s / 2;
  if (half && p->established)
    p->end = end_of(zone, p->spans);
  send(zone, p);
  p->interval *= 2;
  p->resend = zone->now.mono + p->interval;
  if (p->interval >= zone->params->repeat_interval) {
    p->interval = zone->params->repeat_interval;
    p->resend = zone->now.mono + aap_zone_draw(zone, 0.7, 1.3, zone->params->repeat_interval);
  }
}

/* Two AITU at least, and announce-wait (2, 3.2.6): else the wait begins anew. */
static void establish(AapZone *zone, AapPrealloc *p)
{
  if (p->sent < 2) {
    p->establish = zone->now.mono + zone->params->announce_wait;
    return;
  }
  p->established = true;
  p->losses = 0;
  aap_zone_note(zone, AAP_NOTE_PREALLOCATED, g_array_index(p->spans, MalSpan, 0),
                (MalEndpoint){ 0 }, (uint64_t)aap_spans_size(p->spans));
}

void aap_prealloc_run(AapZone *zone)
{
  for (guint i = zone->pool->preallocs->len; i-- > 0;) {
    AapPrealloc *p = at(zone, i);
    if (p->missing > 0) {
      if (p->resend <= zone->now.mono)
        choose_others(zone, p);
      continue;
    }
    if (aap_time_ended(p->end, zone->now.wall)) {
      drop(zone, p);
      continue;
    }
    if (!p->established && p->establish <= zone->now.mono)
      establish(zone, p);
    if (p->resend <= zone->now.mono)
      resend(zone, p);
  }
}

/* ---- hearing --------------------------------------------------------------------------------- */

void aap_prealloc_heard(AapZone *zone, const GArray *ranges)
{
  for (guint i = zone->pool->preallocs->len; i-- > 0;) {
    AapPrealloc *p = at(zone, i);
    bool hit = false;
    for (guint k = 0; k < ranges->len && !hit; k++)
      hit = aap_spans_overlap(p->spans, g_array_index(ranges, AapExtent, k).span);
    if (hit)
      lose(zone, p);
  }
}

void aap_prealloc_available_changed(AapZone *zone)
{
  for (guint i = zone->pool->preallocs->len; i-- > 0;) {
    AapPrealloc *p = at(zone, i);
    bool good = true;
    for (guint k = 0; k < p->spans->len && good; k++) {
      MalSpan span = g_array_index(p->spans, MalSpan, k);
      MalTime until = aap_record_available_until(zone->record, span);
      good = mal_time_add(until, zone->params->end_tolerance_s) >= p->end &&
             !aap_time_ended(until, zone->now.wall) && !aap_spans_overlap(zone->excluded, span);
    }
    if (!good)
      lose(zone, p);
    else
      p->end = MIN(p->end, end_of(zone, p->spans));
  }
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* SPAN of P becomes an own allocation; the AITU goes on for the rest. */
static void take(AapZone *zone, AapPrealloc *p, MalSpan span, MalTime end)
{
  aap_spans_subtract(p->spans, span);
  if (p->spans->len == 0)
    drop(zone, p);
  aap_owns_add(zone, span, aap_pool_end_for(zone, span, end));
}

static bool suits(const AapZone *zone, MalSpan span, MalTime end)
{
  return mal_time_add(aap_record_available_until(zone->record, span),
                      zone->params->end_tolerance_s) >= end;
}

/* The smallest established stretch that holds COUNT, else the largest. */
static AapPrealloc *best(const AapZone *zone, uint64_t count, MalTime end, MalSpan *out)
{
  AapPrealloc *found = NULL;
  MalU128 size = 0;
  for (guint i = 0; i < zone->pool->preallocs->len; i++) {
    AapPrealloc *p = at(zone, i);
    for (guint k = 0; p->established && k < p->spans->len; k++) {
      MalSpan span = g_array_index(p->spans, MalSpan, k);
      MalU128 n = mal_span_size(span);
      if (!suits(zone, span, end) ||
          (found != NULL && (size >= count ? n < count || n >= size : n <= size)))
        continue;
      found = p;
      size = n;
      *out = span;
    }
  }
  return found;
}

uint64_t aap_pool_take(AapZone *zone, uint64_t count, MalTime end)
{
  uint64_t got = 0;
  MalSpan span;
  while (got < count) {
    AapPrealloc *p = best(zone, count - got, end, &span);
    if (p == NULL)
      break;
    if (mal_span_size(span) > count - got)
      mal_address_add(span.first, count - got - 1, &span.last);
    got += (uint64_t)mal_span_size(span);
    take(zone, p, span, end);
  }
  return got;
}

void aap_prealloc_release(AapZone *zone, MalSpan span)
{
  for (guint i = zone->pool->preallocs->len; i-- > 0;) {
    AapPrealloc *p = at(zone, i);
    aap_spans_subtract(p->spans, span);
    if (p->spans->len == 0 && p->missing == 0)
      drop(zone, p);
  }
}

bool aap_pool_take_span(AapZone *zone, MalSpan span, MalTime end)
{
  for (guint i = 0; i < zone->pool->preallocs->len; i++) {
    AapPrealloc *p = at(zone, i);
    for (guint k = 0; p->established && k < p->spans->len; k++)
      if (mal_span_contains(g_array_index(p->spans, MalSpan, k), span) && suits(zone, span, end)) {
        take(zone, p, span, end);
        return true;
      }
  }
  return false;
}

/* ---- looking in ------------------------------------------------------------------------------ */

void aap_prealloc_sizes(const AapZone *zone, uint64_t *established, uint64_t *tentative)
{
  *established = *tentative = 0;
  for (guint i = 0; i < zone->pool->preallocs->len; i++)
    *(at(zone, i)->established ? established : tentative) +=
        at(zone, i)->missing + (uint64_t)aap_spans_size(at(zone, i)->spans);
}

void aap_pool_spans(const AapZone *zone, GArray *spans)
{
  for (guint i = 0; i < zone->pool->preallocs->len; i++)
    for (guint k = 0; k < at(zone, i)->spans->len; k++)
      aap_spans_add(spans, g_array_index(at(zone, i)->spans, MalSpan, k));
}

void aap_pool_each_entry(const AapZone *zone, AapEntryFunc func, void *data)
{
  for (guint i = 0; i < zone->pool->preallocs->len; i++) {
    const AapPrealloc *p = at(zone, i);
    for (guint k = 0; k < p->spans->len; k++)
      func(&(AapEntry){ .kind = p->established ? AAP_ENTRY_POOL : AAP_ENTRY_POOL_TENTATIVE,
                        .span = g_array_index(p->spans, MalSpan, k),
                        .end = p->end },
           data);
  }
}
