/* Addresses that could not be had (draft-ietf-malloc-aap-04 3.2.9): said, remembered, forgotten
   when they can. */
#include "aap-asa.h"

#include "aap-seq.h"
#include "aap-time.h"

static const MalEndpoint us;

static void send(AapZone *zone, AapAna *ana)
{
  AapRequest request = { ana->count, aap_time_to_wire(ana->end) };
  AapMessage msg = {
    .type = AAP_ANA, .rseq = ana->rseq, .mseq = ana->mseq, .requests = &request, .n_requests = 1
  };
  if (aap_zone_send(zone, &msg))
    aap_zone_note(zone, AAP_NOTE_ANA_SENT, zone->span, us, ana->count);
}

/* Who waits asks again, each time until somewhat later: it is the same that is missing. */
#define WAITED_S 660

static bool is_for(const AapZone *zone, const AapAna *ana, MalTime end)
{
  return mal_time_add(ana->end, MAX(zone->params->end_tolerance_s, WAITED_S)) >= end;
}

/* What was asked for already until END, or longer. */
static uint64_t outstanding(const AapZone *zone, MalTime end)
{
  uint64_t sum = 0;
  for (guint i = 0; i < zone->space->anas->len; i++) {
    const AapAna *old = &g_array_index(zone->space->anas, AapAna, i);
    if (is_for(zone, old, end))
      sum += old->count;
  }
  return sum;
}

/* From now on it is reported with END. */
static void prolong(AapZone *zone, MalTime end)
{
  for (guint i = 0; i < zone->space->anas->len; i++) {
    AapAna *ana = &g_array_index(zone->space->anas, AapAna, i);
    if (!is_for(zone, ana, end) || mal_time_add(ana->end, zone->params->end_tolerance_s) >= end)
      continue;
    ana->end = end;
    aap_record_request(zone->record, us, ana->rseq, ana->count, end, zone->now);
  }
}

static bool is_anything_available(const AapZone *zone)
{
  for (guint i = 0; i < zone->available->len; i++)
    if (!aap_time_ended(g_array_index(zone->available, AapExtent, i).end, zone->now.wall))
      return true;
  return false;
}

/* Where there is nothing nobody reports either what is missing: an ANA that was sent as often as it
   is sent begins anew for who still wants it. */
static void say_again(AapZone *zone)
{
  if (is_anything_available(zone))
    return;
  for (guint i = 0; i < zone->space->anas->len; i++) {
    AapAna *ana = &g_array_index(zone->space->anas, AapAna, i);
    if (ana->next != AAP_NEVER || ana->stop + zone->params->asrp_interval > zone->now.mono)
      continue;
    ana->next = zone->now.mono;
    ana->interval = zone->params->resend_wait / 2;
    ana->stop = zone->now.mono + zone->params->announce_wait;
  }
}

/* One ANA for one unmet demand, until it leaves the record; of one that grew, another for what it
   grew by. None where our own requests fill what a record keeps of one server. */
void aap_space_failed(AapZone *zone, uint64_t count, MalTime end)
{
  GArray *anas = zone->space->anas;
  if (!zone->large)
    return;
  uint64_t asked = outstanding(zone, end);
  prolong(zone, end);
  if (asked >= count) {
    say_again(zone);
    return;
  }
  count -= asked;
  AapAna ana = { .rseq = aap_sequence_take(zone->sequence),
                 .count = (uint32_t)MIN(count, UINT32_MAX),
                 .end = end,
                 .interval = zone->params->resend_wait,
                 .stop = zone->now.mono + zone->params->announce_wait };
  ana.next = zone->now.mono + ana.interval;
  if (!aap_record_request(zone->record, us, ana.rseq, ana.count, end, zone->now)) {
    aap_sequence_let_go(zone->sequence, ana.rseq);
    return;
  }
  send(zone, &ana);
  g_array_append_val(anas, ana);
}

static bool is_outstanding(const AapZone *zone, uint32_t rseq)
{
  const GArray *requests = aap_record_requests(zone->record);
  for (guint i = 0; i < requests->len; i++) {
    const AapDemand *demand = &g_array_index(requests, AapDemand, i);
    if (demand->rseq == rseq && demand->peer.address.family == MAL_FAMILY_NONE)
      return true;
  }
  return false;
}

int64_t aap_ana_due(const AapSpace *space)
{
  int64_t due = AAP_NEVER;
  for (guint i = 0; i < space->anas->len; i++)
    due = MIN(due, g_array_index(space->anas, AapAna, i).next);
  return due;
}

static void drop_settled(AapZone *zone)
{
  GArray *anas = zone->space->anas;
  for (guint i = anas->len; i-- > 0;)
    if (!is_outstanding(zone, g_array_index(anas, AapAna, i).rseq)) {
      aap_sequence_let_go(zone->sequence, g_array_index(anas, AapAna, i).rseq);
      g_array_remove_index_fast(anas, i);
    }
}

void aap_ana_run(AapZone *zone)
{
  GArray *anas = zone->space->anas;
  drop_settled(zone);
  for (guint i = 0; i < anas->len; i++) {
    AapAna *ana = &g_array_index(anas, AapAna, i);
    if (ana->next > zone->now.mono)
      continue;
    ana->mseq = aap_mseq_next(ana->mseq);
    send(zone, ana);
    ana->interval *= 2;
    ana->next = zone->now.mono + ana->interval;
    if (ana->next >= ana->stop)
      ana->next = AAP_NEVER;
  }
}

void aap_space_heard_ana(AapZone *zone, MalEndpoint peer, const AapMessage *msg)
{
  if (!zone->large) {
    aap_zone_note(zone, AAP_NOTE_WRONG_SCOPE_KIND, zone->span, peer, 1);
    return;
  }
  MalTime end =
      aap_time_adjust(msg->requests[0].end_time, aap_time_delta(zone->now.wall, msg->current_time));
  if (aap_time_ended(end, zone->now.wall))
    return;
  if (aap_record_request(zone->record, peer, msg->rseq, msg->requests[0].count, end, zone->now))
    aap_zone_note(zone, AAP_NOTE_ANA_HEARD, zone->span, peer, msg->requests[0].count);
}

/* ---- satisfied ------------------------------------------------------------------------------- */

void aap_ana_satisfy(AapZone *zone)
{
  if (aap_record_requests(zone->record)->len == 0)
    return;
  g_autofree uint64_t *allocated = g_new0(uint64_t, zone->available->len + 1);
  for (guint i = 0; i < zone->available->len; i++) {
    MalSpan span = g_array_index(zone->available, AapExtent, i).span;
    allocated[i] = aap_zone_saturated(aap_space_in_use(zone, span));
  }
  aap_record_satisfy(zone->record, allocated, zone->now, NULL, NULL);
  drop_settled(zone);
}
