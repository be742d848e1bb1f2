/* The Allocation Defense timer (draft-ietf-malloc-aap-04 3.2.2), one for each request that claims
   or preallocates what the record knows as allocated, by us or by anybody. What is in question is
   looked up at each AIU, so that it carries the ends that hold then. */
#include "aap-zone-private.h"

#include "aap-seq.h"
#include "aap-time.h"

#include <string.h>

#define MAX_DEFENCES 1024
#define MAX_QUESTION 1024 /* spans of one */
#define MAX_SPANS 16384 /* of all defences together */
#define MAX_ANSWERED 1024
#define DIGEST 32

typedef struct {
  MalEndpoint peer;
  uint32_t rseq;          /* of the peer's request */
  uint8_t digest[DIGEST]; /* of its set of addresses, end times apart */
  GArray *question;       /* spans */
  GArray *numbers;        /* uint32_t: rseq of each message that the answer takes */
  uint8_t mseq;
  bool said;
  int64_t interval, due;
} Defence;

struct AapDefences {
  AapZone *zone;
  GPtrArray *running;     /* Defence */
  AapIntervals *answered; /* int64_t: when an AIU of a defence last listed it */
  size_t spans;
};

static void defence_free(gpointer data)
{
  Defence *d = data;
  g_array_unref(d->question);
  g_array_unref(d->numbers);
  g_free(d);
}

AapDefences *aap_defences_new(AapZone *zone)
{
  AapDefences *defences = g_new0(AapDefences, 1);
  defences->zone = zone;
  defences->running = g_ptr_array_new_with_free_func(defence_free);
  defences->answered = aap_intervals_new(sizeof(int64_t), NULL);
  return defences;
}

static void let_go(AapZone *zone, const Defence *d)
{
  for (guint i = 0; i < d->numbers->len; i++)
    aap_sequence_let_go(zone->sequence, g_array_index(d->numbers, uint32_t, i));
}

void aap_defences_free(AapDefences *defences)
{
  for (guint i = 0; i < defences->running->len; i++)
    let_go(defences->zone, g_ptr_array_index(defences->running, i));
  g_ptr_array_unref(defences->running);
  aap_intervals_free(defences->answered);
  g_free(defences);
}

static void cancel(AapZone *zone, guint at)
{
  AapDefences *defences = zone->defences;
  const Defence *d = g_ptr_array_index(defences->running, at);
  let_go(zone, d);
  defences->spans -= d->question->len;
  g_ptr_array_remove_index(defences->running, at);
}

/* ---- what is in question ------------------------------------------------------------------- */

typedef struct {
  GArray *out;
  const GArray *own; /* AapExtent */
  guint at;          /* of OWN: what lies before is behind us */
} Others;

/* Of what is ours nobody else knows better. */
static void add_foreign(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  Others *o = data;
  MalSpan below;
  (void)peer;
  (void)heard;
  for (; o->at < o->own->len; o->at++) {
    MalSpan in = g_array_index(o->own, AapExtent, o->at).span;
    if (mal_address_compare(in.last, span.first) < 0)
      continue;
    if (mal_address_compare(in.first, span.last) > 0)
      break;
    if (aap_span_below(span, in.first, &below))
      aap_zone_join(below, end, o->out);
    if (!aap_span_above(span, in.last, &span))
      return;
  }
  aap_zone_join(span, end, o->out);
}

static GArray *merged(const GArray *a, const GArray *b)
{
  GArray *out = g_array_sized_new(FALSE, FALSE, sizeof(AapExtent), a->len + b->len);
  for (guint i = 0, k = 0; i < a->len || k < b->len;) {
    bool first = k >= b->len ||
                 (i < a->len && mal_address_compare(g_array_index(a, AapExtent, i).span.first,
                                                    g_array_index(b, AapExtent, k).span.first) < 0);
    const AapExtent *next =
        first ? &g_array_index(a, AapExtent, i++) : &g_array_index(b, AapExtent, k++);
    aap_zone_join(next->span, next->end, out);
  }
  return out;
}

/* All of SPANS (MalSpan) that is allocated, as an AIU lists it: in order. Of more than one request
   can reasonably name what is ours comes first: who gives that up asks again with another set. OWN:
   some of it is. */
static GArray *allocated(const AapZone *zone, const GArray *spans, bool *own)
{
  g_autoptr(GArray) ours = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_autoptr(GArray) theirs = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  Others others = { theirs, ours, 0 };
  for (guint i = 0; i < spans->len; i++)
    aap_owns_each(zone, g_array_index(spans, MalSpan, i), true, aap_zone_join, ours);
  for (guint i = 0; i < spans->len; i++)
    aap_record_foreign(zone->record, g_array_index(spans, MalSpan, i), zone->now, add_foreign,
                       &others);
  g_array_set_size(ours, MIN(ours->len, MAX_QUESTION));
  g_array_set_size(theirs, MIN(theirs->len, MAX_QUESTION - ours->len));
  *own = ours->len > 0;
  return merged(ours, theirs);
}

static GArray *spans_of(const GArray *extents)
{
  GArray *spans = aap_spans_new();
  for (guint i = 0; i < extents->len; i++)
    aap_spans_add(spans, g_array_index(extents, AapExtent, i).span);
  return spans;
}

static void digest_of(const GArray *spans, uint8_t digest[DIGEST])
{
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  gsize length = DIGEST;
  for (guint i = 0; i < spans->len; i++) {
    const MalSpan *span = &g_array_index(spans, MalSpan, i);
    uint8_t octets[32];
    size_t n = mal_address_to_bytes(span->first, octets);
    n += mal_address_to_bytes(span->last, octets + n);
    g_checksum_update(sum, octets, (gssize)n);
  }
  g_checksum_get_digest(sum, digest, &length);
}

static void replace_question(AapDefences *defences, Defence *d, GArray *spans)
{
  defences->spans = defences->spans - d->question->len + spans->len;
  g_array_unref(d->question);
  d->question = spans;
}

/* ---- answering ----------------------------------------------------------------------------- */

typedef struct {
  GArray *spans;
  int64_t since, oldest;
} Recent;

static void recent(MalSpan span, void *value, void *data)
{
  Recent *r = data;
  int64_t at = *(const int64_t *)value;
  if (at <= r->since)
    return;
  aap_spans_subtract(r->spans, span);
  r->oldest = MIN(r->oldest, at);
}

/* When it was within the last [RESEND-WAIT] that all of EXTENTS were listed, the earliest of these
   instants; else INT64_MIN. Many requests of one claimant get no more answers than
   one. */
static int64_t answered_at(const AapZone *zone, const GArray *extents)
{
  g_autoptr(GArray) rest = spans_of(extents);
  Recent r = { rest, zone->now.mono - zone->params->resend_wait, INT64_MAX };
  for (guint i = 0; i < extents->len; i++)
    aap_intervals_each(zone->defences->answered, g_array_index(extents, AapExtent, i).span, recent,
                       &r);
  return rest->len == 0 ? r.oldest : INT64_MIN;
}

static void remember(AapZone *zone, const GArray *extents)
{
  AapIntervals *answered = zone->defences->answered;
  if (aap_intervals_count(answered) > MAX_ANSWERED)
    aap_intervals_clear(answered);
  for (guint i = 0; i < extents->len; i++)
    aap_intervals_set(answered, g_array_index(extents, AapExtent, i).span, &zone->now.mono);
}

/* Each message of an answer is a request of its own. */
static void say(AapZone *zone, Defence *d, const GArray *extents)
{
  size_t fits = aap_zone_fits(zone);
  const AapExtent *all = (const AapExtent *)(void *)extents->data;
  bool sent = false;
  d->mseq = d->said ? aap_mseq_next(d->mseq) : 0;
  for (guint i = 0; i * fits < extents->len; i++) {
    bool fresh = i >= d->numbers->len;
    if (fresh) {
      uint32_t rseq = aap_sequence_take(zone->sequence);
      g_array_append_val(d->numbers, rseq);
    }
    sent |= aap_zone_send_ranges(zone, AAP_AIU, g_array_index(d->numbers, uint32_t, i), d->mseq,
                                 all + i * fits, MIN(extents->len - i * fits, fits));
  }
  if (!sent)
    return;
  d->said = true;
  remember(zone, extents);
  aap_zone_note(zone, AAP_NOTE_DEFENDED, all[0].span, d->peer, extents->len);
}

/* The timer fired: answer, double. False: it is over. */
static bool fire(AapZone *zone, Defence *d)
{
  bool own;
  g_autoptr(GArray) extents = allocated(zone, d->question, &own);
  replace_question(zone->defences, d, spans_of(extents));
  if (extents->len == 0)
    return false;
  if (answered_at(zone, extents) == INT64_MIN)
    say(zone, d, extents);
  d->interval = d->interval == 0 ? zone->params->resend_wait : 2 * d->interval;
  d->due = zone->now.mono + d->interval;
  return d->interval <= zone->params->repeat_interval;
}

/* ---- hearing ------------------------------------------------------------------------------- */

static bool find(const AapDefences *defences, MalEndpoint peer, uint32_t rseq, guint *at)
{
  for (guint i = 0; i < defences->running->len; i++) {
    const Defence *d = g_ptr_array_index(defences->running, i);
    if (d->rseq == rseq && mal_endpoint_equal(d->peer, peer)) {
      *at = i;
      return true;
    }
  }
  return false;
}

/* Full: own allocations come before those of others, which others know, too. */
static bool make_room(AapZone *zone, size_t spans, bool own)
{
  AapDefences *defences = zone->defences;
  while (defences->running->len >= MAX_DEFENCES || defences->spans + spans > MAX_SPANS) {
    guint longest = 0;
    if (!own)
      return false;
    for (guint i = 1; i < defences->running->len; i++)
      if (((const Defence *)g_ptr_array_index(defences->running, i))->interval >
          ((const Defence *)g_ptr_array_index(defences->running, longest))->interval)
        longest = i;
    cancel(zone, longest);
  }
  return true;
}

static void begin(AapZone *zone, MalEndpoint peer, uint32_t rseq, const GArray *set,
                  const uint8_t digest[DIGEST])
{
  bool own;
  g_autoptr(GArray) extents = allocated(zone, set, &own);
  if (extents->len == 0 || !make_room(zone, extents->len, own))
    return;
  Defence *d = g_new0(Defence, 1);
  d->peer = peer;
  d->rseq = rseq;
  memcpy(d->digest, digest, DIGEST);
  d->question = spans_of(extents);
  d->numbers = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  zone->defences->spans += d->question->len;
  g_ptr_array_add(zone->defences->running, d);
  int64_t before = answered_at(zone, extents);
  if (!own) {
    d->interval = aap_zone_draw(zone, 2, 8, zone->params->resend_wait);
    d->due = zone->now.mono + d->interval;
  } else if (before != INT64_MIN) {
    d->due = before + zone->params->resend_wait;
  } else if (!fire(zone, d)) {
    cancel(zone, zone->defences->running->len - 1);
  }
}

void aap_defences_heard_claim(AapZone *zone, MalEndpoint peer, uint32_t rseq, const GArray *ranges)
{
  g_autoptr(GArray) set = spans_of(ranges);
  uint8_t digest[DIGEST];
  guint at;
  if (zone->listening)
    return;
  digest_of(set, digest);
  if (find(zone->defences, peer, rseq, &at)) {
    const Defence *d = g_ptr_array_index(zone->defences->running, at);
    if (memcmp(d->digest, digest, DIGEST) == 0)
      return;
    cancel(zone, at);
  }
  begin(zone, peer, rseq, set, digest);
}

static void add_span(MalSpan span, MalTime end, void *data)
{
  (void)end;
  aap_spans_add(data, span);
}

/* False: nothing is left of it. SPAN leaves the question, but for what is ours. */
static bool leave(AapZone *zone, Defence *d, MalSpan span)
{
  g_autoptr(GArray) gone = aap_spans_new(), own = aap_spans_new();
  size_t before = d->question->len;
  aap_spans_add(gone, span);
  aap_owns_each(zone, span, true, add_span, own);
  for (guint i = 0; i < own->len; i++)
    aap_spans_subtract(gone, g_array_index(own, MalSpan, i));
  for (guint i = 0; i < gone->len; i++)
    aap_spans_subtract(d->question, g_array_index(gone, MalSpan, i));
  zone->defences->spans = zone->defences->spans - before + d->question->len;
  return d->question->len > 0;
}

static bool is_about(const Defence *d, const GArray *ranges)
{
  for (guint i = 0; i < ranges->len; i++)
    if (aap_spans_overlap(d->question, g_array_index(ranges, AapExtent, i).span))
      return true;
  return false;
}

/* The claimant allocated it after all. */
static bool heard_of_claimant(AapZone *zone, Defence *d, const GArray *ranges)
{
  bool left = true;
  for (guint i = 0; left && i < ranges->len; i++)
    left = leave(zone, d, g_array_index(ranges, AapExtent, i).span);
  return left;
}

/* Somebody else defends it as well: less of us is needed. 0 is never doubled. */
static bool heard_of_defender(const AapZone *zone, Defence *d)
{
  if (d->interval == 0)
    return true;
  d->interval *= 2;
  d->due = zone->now.mono + d->interval;
  return d->interval <= zone->params->repeat_interval;
}

void aap_defences_heard_in_use(AapZone *zone, MalEndpoint peer, const GArray *ranges)
{
  for (guint i = zone->defences->running->len; i-- > 0;) {
    Defence *d = g_ptr_array_index(zone->defences->running, i);
    if (!is_about(d, ranges))
      continue;
    if (!(mal_endpoint_equal(d->peer, peer) ? heard_of_claimant(zone, d, ranges)
                                            : heard_of_defender(zone, d)))
      cancel(zone, i);
  }
}

void aap_defences_allocation_ended(AapZone *zone, MalSpan span)
{
  for (guint i = zone->defences->running->len; i-- > 0;) {
    Defence *d = g_ptr_array_index(zone->defences->running, i);
    if (aap_spans_overlap(d->question, span) && !leave(zone, d, span))
      cancel(zone, i);
  }
}

/* ---- time ---------------------------------------------------------------------------------- */

int64_t aap_defences_due(const AapDefences *defences)
{
  int64_t due = AAP_NEVER;
  for (guint i = 0; i < defences->running->len; i++)
    due = MIN(due, ((const Defence *)g_ptr_array_index(defences->running, i))->due);
  return due;
}

void aap_defences_run(AapZone *zone)
{
  for (guint i = zone->defences->running->len; i-- > 0;) {
    Defence *d = g_ptr_array_index(zone->defences->running, i);
    if (d->due <= zone->now.mono && !fire(zone, d))
      cancel(zone, i);
  }
}

size_t aap_defences_count(const AapDefences *defences)
{
  return defences->running->len;
}
