/* Claims: ACLM until nobody objected for announce-wait (draft-ietf-malloc-aap-04 3.2.5). */
#include "aap-zone-private.h"

#include "aap-seq.h"
#include "aap-time.h"

typedef struct {
  GArray *spans; /* MalSpan, a set */
  bool exact;    /* these or none: */
  MalSpan named;
  MalTime end;
  uint32_t rseq;
  uint8_t mseq;
  unsigned rounds;
  bool sent; /* in this round */
  int64_t interval, resend, decide;
} Claim;

struct AapClaims {
  GPtrArray *claims;
  AapSequence *sequence;
};

static void claim_free(gpointer data)
{
  Claim *claim = data;
  g_array_unref(claim->spans);
  g_free(claim);
}

AapClaims *aap_claims_new(AapZone *zone)
{
  AapClaims *claims = g_new0(AapClaims, 1);
  claims->claims = g_ptr_array_new_with_free_func(claim_free);
  claims->sequence = zone->sequence;
  return claims;
}

void aap_claims_free(AapClaims *claims)
{
  for (guint i = 0; i < claims->claims->len; i++)
    aap_sequence_let_go(claims->sequence,
                        ((const Claim *)g_ptr_array_index(claims->claims, i))->rseq);
  g_ptr_array_unref(claims->claims);
  g_free(claims);
}

static Claim *claim_at(const AapZone *zone, guint i)
{
  return g_ptr_array_index(zone->claims->claims, i);
}

/* ---- one claim ------------------------------------------------------------------------------- */

static void send(AapZone *zone, Claim *claim)
{
  g_autofree AapExtent *extents = g_new(AapExtent, claim->spans->len);
  for (guint i = 0; i < claim->spans->len; i++) {
    MalSpan span = g_array_index(claim->spans, MalSpan, i);
    extents[i] = (AapExtent){ span, aap_pool_end_for(zone, span, claim->end) };
  }
  if (aap_zone_send_ranges(zone, AAP_ACLM, claim->rseq, claim->mseq, extents, claim->spans->len)) {
    claim->sent = true;
    claim->mseq = aap_mseq_next(claim->mseq);
  }
}

static void begin_round(AapZone *zone, Claim *claim)
{
  claim->sent = false;
  claim->interval = zone->params->resend_wait;
  claim->resend = zone->now.mono + claim->interval;
  claim->decide = zone->now.mono + zone->params->announce_wait;
  send(zone, claim);
}

/* The claim is gone from the list before anybody is told. */
static void win(AapZone *zone, Claim *claim)
{
  g_autoptr(GArray) spans = g_array_ref(claim->spans);
  uint64_t n = aap_zone_saturated(aap_spans_size(spans));
  MalTime end = claim->end;
  aap_sequence_let_go(zone->sequence, claim->rseq);
  g_ptr_array_remove_fast(zone->claims->claims, claim);
  aap_zone_note(zone, AAP_NOTE_CLAIMED, g_array_index(spans, MalSpan, 0), (MalEndpoint){ 0 }, n);
  for (guint i = 0; i < spans->len; i++) {
    MalSpan span = g_array_index(spans, MalSpan, i);
    aap_owns_add(zone, span, aap_pool_end_for(zone, span, end));
  }
  aap_pool_claim_ended(zone, n, 0, end, AAP_NOTE_CLAIMED);
}

/* With MISSING addresses given up already. Named ones that are lost can't be made good. */
static void give_up(AapZone *zone, Claim *claim, MalSpan lost, uint64_t missing, AapNote why)
{
  uint64_t n = aap_zone_saturated(missing + aap_spans_size(claim->spans));
  MalTime end = claim->end;
  bool exact = claim->exact;
  MalSpan named = claim->named;
  aap_sequence_let_go(zone->sequence, claim->rseq);
  g_ptr_array_remove_fast(zone->claims->claims, claim);
  aap_zone_note(zone, why, lost, (MalEndpoint){ 0 }, n);
  if (exact)
    zone->ops->failed(zone->user, zone, named, n, end, why);
  else
    aap_pool_claim_ended(zone, 0, n, end, why);
}

static void cut_to_message(const AapZone *zone, GArray *spans)
{
  if (spans->len > aap_zone_fits(zone))
    g_array_set_size(spans, (guint)aap_zone_fits(zone));
}

/* What collided is given up; others may take its place, and all of them wait anew (3.2.5). */
static void collide(AapZone *zone, Claim *claim, const GArray *lost)
{
  MalU128 before = aap_spans_size(claim->spans);
  for (guint i = 0; i < lost->len; i++)
    aap_spans_subtract(claim->spans, g_array_index(lost, MalSpan, i));
  uint64_t missing = aap_zone_saturated(before - aap_spans_size(claim->spans));
  MalSpan first = g_array_index(lost, MalSpan, 0);
  aap_zone_note(zone, AAP_NOTE_CLAIM_COLLISION, first, (MalEndpoint){ 0 }, missing);
  if (claim->exact || claim->rounds >= zone->params->claim_attempts) {
    give_up(zone, claim, first, missing,
            claim->exact ? AAP_NOTE_CLAIM_FAILED : AAP_NOTE_CLAIM_EXHAUSTED);
    return;
  }
  g_autoptr(GArray) others = aap_pool_choose(zone, missing, claim->end, AAP_RANK_SILENT);
  for (guint i = 0; i < others->len; i++)
    aap_spans_add(claim->spans, g_array_index(others, MalSpan, i));
  cut_to_message(zone, claim->spans);
  if (claim->spans->len == 0) {
    give_up(zone, claim, first, missing, AAP_NOTE_CLAIM_FAILED);
    return;
  }
  claim->rounds++;
  begin_round(zone, claim);
}

/* What isn't available until the end any more, what was reserved meanwhile; on the point of being
   WON: what the space leaves no time of. */
static GArray *unavailable(const AapZone *zone, const Claim *claim, bool won)
{
  GArray *lost = aap_spans_new();
  for (guint k = 0; k < claim->spans->len; k++) {
    MalSpan span = g_array_index(claim->spans, MalSpan, k);
    MalTime until = aap_record_available_until(zone->record, span);
    if (mal_time_add(until, zone->params->end_tolerance_s) < claim->end ||
        (won && aap_time_ended(until, zone->now.wall)))
      aap_spans_add(lost, span);
  }
  g_autoptr(GArray) excluded = aap_spans_intersection(claim->spans, zone->excluded);
  for (guint k = 0; k < excluded->len; k++)
    aap_spans_add(lost, g_array_index(excluded, MalSpan, k));
  return lost;
}

/* Announce-wait is over. */
static void decide(AapZone *zone, Claim *claim)
{
  g_autoptr(GArray) lost = unavailable(zone, claim, true);
  if (!claim->sent)
    begin_round(zone, claim);
  else if (lost->len > 0)
    collide(zone, claim, lost);
  else
    win(zone, claim);
}

/* ---- all of them ----------------------------------------------------------------------------- */

uint64_t aap_claims_begin(AapZone *zone, uint64_t count, MalTime end, MalSpan exactly)
{
  bool exact = exactly.first.family != MAL_FAMILY_NONE;
  g_autoptr(GArray) spans =
      exact ? aap_spans_new() : aap_pool_choose(zone, count, end, AAP_RANK_SILENT);
  if (exact)
    aap_spans_add(spans, exactly);
  cut_to_message(zone, spans);
  if (spans->len == 0)
    return 0;
  Claim *claim = g_new0(Claim, 1);
  claim->spans = g_array_ref(spans);
  claim->exact = exact;
  claim->named = exactly;
  claim->end = end;
  claim->rseq = aap_sequence_take(zone->sequence);
  claim->rounds = 1;
  g_ptr_array_add(zone->claims->claims, claim);
  begin_round(zone, claim);
  return aap_zone_saturated(aap_spans_size(spans));
}

int64_t aap_claims_due(const AapClaims *claims)
{
  int64_t due = AAP_NEVER;
  for (guint i = 0; i < claims->claims->len; i++) {
    const Claim *claim = g_ptr_array_index(claims->claims, i);
    due = MIN(due, MIN(claim->resend, claim->decide));
  }
  return due;
}

/* Together with a resend, the decision comes first. */
void aap_claims_run(AapZone *zone)
{
  for (guint i = zone->claims->claims->len; i-- > 0;) {
    Claim *claim = claim_at(zone, i);
    if (claim->decide <= zone->now.mono) {
      decide(zone, claim);
    } else if (claim->resend <= zone->now.mono) {
      send(zone, claim);
      claim->interval *= 2;
      claim->resend = zone->now.mono + claim->interval;
    }
  }
}

void aap_claims_heard(AapZone *zone, MalEndpoint peer, AapType type, const GArray *ranges)
{
  g_autoptr(GArray) theirs = aap_spans_new();
  (void)peer;
  (void)type;
  if (zone->claims->claims->len == 0)
    return;
  for (guint i = 0; i < ranges->len; i++)
    aap_spans_add(theirs, g_array_index(ranges, AapExtent, i).span);
  for (guint i = zone->claims->claims->len; i-- > 0;) {
    Claim *claim = claim_at(zone, i);
    g_autoptr(GArray) lost = aap_spans_intersection(claim->spans, theirs);
    if (lost->len > 0)
      collide(zone, claim, lost);
  }
}

void aap_claims_available_changed(AapZone *zone)
{
  for (guint i = zone->claims->claims->len; i-- > 0;) {
    Claim *claim = claim_at(zone, i);
    g_autoptr(GArray) lost = unavailable(zone, claim, false);
    if (lost->len > 0)
      collide(zone, claim, lost);
  }
}

uint64_t aap_claims_pending(const AapZone *zone)
{
  MalU128 n = 0;
  for (guint i = 0; i < zone->claims->claims->len; i++)
    n += aap_spans_size(claim_at(zone, i)->spans);
  return aap_zone_saturated(n);
}

size_t aap_claims_count(const AapZone *zone)
{
  return zone->claims->claims->len;
}

void aap_claims_spans(const AapZone *zone, GArray *spans)
{
  for (guint i = 0; i < zone->claims->claims->len; i++)
    for (guint k = 0; k < claim_at(zone, i)->spans->len; k++)
      aap_spans_add(spans, g_array_index(claim_at(zone, i)->spans, MalSpan, k));
}

void aap_claims_each_entry(const AapZone *zone, AapEntryFunc func, void *data)
{
  for (guint i = 0; i < zone->claims->claims->len; i++) {
    const Claim *claim = claim_at(zone, i);
    for (guint k = 0; k < claim->spans->len; k++)
      func(&(AapEntry){ .kind = AAP_ENTRY_CLAIM,
                        .span = g_array_index(claim->spans, MalSpan, k),
                        .end = claim->end },
           data);
  }
}
