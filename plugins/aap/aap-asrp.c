/* Reports of what is used (draft-ietf-malloc-aap-04 3.2.10.3). */
#include "aap-asa.h"

#include "aap-ranges.h"
#include "aap-time.h"

static void add(MalSpan span, MalTime end, void *data)
{
  (void)end;
  aap_spans_add(data, span);
}

static void add_foreign(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  (void)peer;
  (void)heard;
  add(span, end, data);
}

/* Two sets, each of which only grows at its end: one set of both would be built by insertions. */
MalU128 aap_space_in_use(const AapZone *zone, MalSpan span)
{
  g_autoptr(GArray) own = aap_spans_new(), foreign = aap_spans_new();
  aap_owns_each(zone, span, true, add, own);
  aap_record_foreign(zone->record, span, zone->now, add_foreign, foreign);
  g_autoptr(GArray) both = aap_spans_intersection(own, foreign);
  return aap_spans_size(own) - aap_spans_size(both) + aap_spans_size(foreign);
}

static GArray *requests_of(AapZone *zone)
{
  const GArray *demands = aap_record_requests(zone->record);
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapRequest));
  for (guint i = 0; i < demands->len; i++) {
    const AapDemand *demand = &g_array_index(demands, AapDemand, i);
    AapRequest request = { (uint32_t)demand->count, aap_time_to_wire(demand->end) };
    g_array_append_val(out, request);
  }
  return out;
}

void aap_asrp_send(AapZone *zone)
{
  const GArray *listed = zone->space->listed;
  if (listed->len == 0 || listed->len > AAP_MAX_REPORTS)
    return;
  g_autofree AapRange *reports = g_new(AapRange, listed->len);
  for (guint i = 0; i < listed->len; i++) {
    MalSpan span = g_array_index(listed, MalSpan, i);
    reports[i] = (AapRange){ span, aap_in_use_to_wire(aap_space_in_use(zone, span)) };
  }
  g_autoptr(GArray) requests = requests_of(zone);
  size_t fits = aap_requests_fit(zone->span.first.family, listed->len, aap_zone_limit(zone));
  size_t n = requests->len == 0 ? 0
                                : aap_requests_combine((AapRequest *)(void *)requests->data,
                                                       requests->len, MAX(fits, 1));
  uint32_t rseq = aap_sequence_take(zone->sequence);
  AapMessage msg = { .type = AAP_ASRP,
                     .rseq = rseq,
                     .ranges = reports,
                     .n_ranges = listed->len,
                     .requests = (const AapRequest *)(void *)requests->data,
                     .n_requests = n };
  if (aap_zone_send(zone, &msg))
    aap_zone_note(zone, AAP_NOTE_ASRP_SENT, zone->span, (MalEndpoint){ 0 }, n);
  aap_sequence_let_go(zone->sequence, rseq);
}

void aap_space_heard_asrp(AapZone *zone, MalEndpoint peer, const AapMessage *msg)
{
  AapSpace *space = zone->space;
  if (!zone->large) {
    aap_zone_note(zone, AAP_NOTE_WRONG_SCOPE_KIND, zone->span, peer, 1);
    return;
  }
  if (space->report == AAP_NEVER)
    return;
  space->report = zone->now.mono + aap_zone_draw(zone, 0.7, 1.3, zone->params->asrp_interval);
  aap_zone_note(zone, AAP_NOTE_ASRP_SUPPRESSED, zone->span, peer, msg->n_ranges);
}
