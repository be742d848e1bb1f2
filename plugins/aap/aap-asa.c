/* The cached ASA of a large scope: what is newer, what invalidates, and sending it again where the
   coordinators are silent (draft-ietf-malloc-aap-04 3.2.10.1, 3.2.10.2). */
#include "aap-asa.h"

#include "aap-ranges.h"
#include "aap-time.h"

#include <string.h>

AapSpace *aap_space_new(AapZone *zone)
{
  AapSpace *space = g_new0(AapSpace, 1);
  space->sequence = zone->sequence;
  space->ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  space->listed = g_array_new(FALSE, FALSE, sizeof(MalSpan));
  space->anas = g_array_new(FALSE, FALSE, sizeof(AapAna));
  space->expires = MAL_BEGINNING;
  space->expiry = space->resend = space->report = AAP_NEVER;
  return space;
}

void aap_space_free(AapSpace *space)
{
  for (guint i = 0; i < space->anas->len; i++)
    aap_sequence_let_go(space->sequence, g_array_index(space->anas, AapAna, i).rseq);
  g_array_unref(space->ranges);
  g_array_unref(space->listed);
  g_array_unref(space->anas);
  g_free(space->payload);
  g_free(space);
}

MalTime aap_space_expires(const AapZone *zone)
{
  return zone->space->expires;
}

static bool has_unended(const AapZone *zone)
{
  for (guint i = 0; i < zone->space->ranges->len; i++)
    if (!aap_time_ended(g_array_index(zone->space->ranges, AapExtent, i).end, zone->now.wall))
      return true;
  return false;
}

bool aap_space_is_ready(const AapZone *zone)
{
  return has_unended(zone);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static bool is_expired(const AapZone *zone)
{
  return zone->space->payload != NULL && zone->space->expires <= zone->now.wall;
}

static void draw_resend(AapZone *zone)
{
  zone->space->resend = zone->now.mono + aap_zone_draw(zone, 0.7, 1.3, zone->params->asa_interval);
}

static void draw_report(AapZone *zone)
{
  zone->space->report =
      zone->params->report
          ? zone->now.mono + aap_zone_draw(zone, 0.7, 1.3, zone->params->asrp_interval)
          : AAP_NEVER;
}

/* Nobody announced anything newer in time. */
static void look_at_expiry(AapZone *zone)
{
  AapSpace *space = zone->space;
  if (!is_expired(zone))
    return;
  if (!space->told_expired)
    aap_zone_note(zone, AAP_NOTE_ASA_EXPIRED, zone->span, (MalEndpoint){ 0 }, 0);
  space->told_expired = true;
  if (!zone->listening && space->resend == AAP_NEVER && has_unended(zone))
    draw_resend(zone);
}

static int64_t expiry_due(const AapZone *zone)
{
  const AapSpace *space = zone->space;
  if (space->payload == NULL || space->told_expired)
    return AAP_NEVER;
  return zone->now.mono + MAX(space->expires - zone->now.wall, 0) * AAP_US;
}

void aap_space_started(AapZone *zone)
{
  if (!zone->large)
    return;
  draw_report(zone);
  zone->space->expiry = expiry_due(zone);
  look_at_expiry(zone);
}

int64_t aap_space_due(const AapSpace *space)
{
  return MIN(MIN(space->expiry, space->resend), MIN(space->report, aap_ana_due(space)));
}

/* Stays in its coordinator's time base, however often it is passed on (3.2.10.2). */
static void resend(AapZone *zone)
{
  AapSpace *space = zone->space;
  uint32_t sent = (uint32_t)space->payload[8] << 24 | (uint32_t)space->payload[9] << 16 |
                  (uint32_t)space->payload[10] << 8 | space->payload[11];
  uint32_t rseq = aap_sequence_take(zone->sequence);
  AapMessage msg = { .type = AAP_ASA,
                     .rseq = rseq,
                     .current_time = aap_resend_time(sent, zone->now.wall - space->received),
                     .body = space->payload + AAP_BODY_OFFSET,
                     .body_length = space->length - AAP_BODY_OFFSET };
  if (aap_zone_send(zone, &msg))
    aap_zone_note(zone, AAP_NOTE_ASA_RESENT, zone->span, (MalEndpoint){ 0 }, 0);
  aap_sequence_let_go(zone->sequence, rseq);
}

void aap_space_run(AapZone *zone)
{
  AapSpace *space = zone->space;
  if (space->expiry <= zone->now.mono) {
    space->expiry = expiry_due(zone);
    look_at_expiry(zone);
  }
  if (space->resend <= zone->now.mono) {
    space->resend = AAP_NEVER;
    if (has_unended(zone)) {
      resend(zone);
      draw_resend(zone);
    }
  }
  if (space->report <= zone->now.mono) {
    aap_asrp_send(zone);
    draw_report(zone);
  }
  aap_ana_run(zone);
}

/* ---- processing ------------------------------------------------------------------------------ */

static GArray *united(AapZone *zone, const AapMessage *msg)
{
  return msg->n_ranges > 0 ? aap_zone_ranges_of(zone, msg)
                           : g_array_new(FALSE, FALSE, sizeof(AapExtent));
}

/* Until when the addresses from AT on are available in RANGES, and up to where that holds. FROM:
   what lies before it ends before AT. */
static MalTime end_at(const GArray *ranges, MalAddress at, guint *from, MalAddress *upto)
{
  for (; *from < ranges->len; (*from)++) {
    const AapExtent *extent = &g_array_index(ranges, AapExtent, *from);
    if (mal_span_has(extent->span, at)) {
      *upto = extent->span.last;
      return extent->end;
    }
    if (mal_address_compare(extent->span.first, at) > 0) {
      mal_address_sub(extent->span.first, 1, upto);
      return MAL_BEGINNING;
    }
  }
  return MAL_BEGINNING;
}

/* An address that was available is so no longer, or for less long (3.2.10.1, 4.2.1.1). */
static bool invalidates(const AapZone *zone, const GArray *new, MalSpan *where)
{
  guint from = 0;
  for (guint i = 0; i < zone->space->ranges->len; i++) {
    AapExtent old = g_array_index(zone->space->ranges, AapExtent, i);
    MalAddress at = old.span.first;
    while (!aap_time_ended(old.end, zone->now.wall)) {
      MalAddress upto = old.span.last;
      MalTime end = end_at(new, at, &from, &upto);
      if (mal_time_add(end, zone->params->end_tolerance_s) < old.end) {
        *where =
            (MalSpan){ at, mal_address_compare(upto, old.span.last) < 0 ? upto : old.span.last };
        return true;
      }
      if (mal_address_compare(upto, old.span.last) >= 0)
        break;
      mal_address_add(upto, 1, &at);
    }
  }
  return false;
}

static void take(AapZone *zone, const AapMessage *msg, const uint8_t *payload, size_t length,
                 GArray *ranges, MalTime expires, MalTime received)
{
  AapSpace *space = zone->space;
  uint8_t *copy = g_memdup2(payload, length);
  g_free(space->payload);
  space->payload = copy;
  space->length = length;
  g_array_unref(space->ranges);
  space->ranges = ranges;
  g_array_set_size(space->listed, 0);
  for (size_t i = 0; i < msg->n_ranges; i++)
    g_array_append_val(space->listed, msg->ranges[i].span);
  space->expires = expires;
  space->received = received;
  space->told_expired = false;
  space->resend = AAP_NEVER;
  space->expiry = expiry_due(zone);
}

static bool is_same_announcement(const AapSpace *space, const uint8_t *payload, size_t length)
{
  return space->length == length &&
         memcmp(space->payload + AAP_BODY_OFFSET, payload + AAP_BODY_OFFSET,
                length - AAP_BODY_OFFSET) == 0;
}

static void process(AapZone *zone, MalEndpoint peer, const AapMessage *msg, const uint8_t *payload,
                    size_t length, MalTime expires)
{
  GArray *ranges = united(zone, msg);
  MalSpan where = { 0 };
  if (invalidates(zone, ranges, &where))
    aap_zone_note(zone, AAP_NOTE_ASA_INVALIDATES, where, peer, 1);
  take(zone, msg, payload, length, ranges, expires, zone->now.wall);
  aap_zone_note(zone, AAP_NOTE_ASA_PROCESSED, zone->span, peer, msg->n_ranges);
  look_at_expiry(zone);
  zone->ops->asa(zone->user, zone, (const AapExtent *)(void *)ranges->data, ranges->len, payload,
                 length);
}

void aap_space_heard_asa(AapZone *zone, MalEndpoint peer, const AapMessage *msg,
                         const uint8_t *payload, size_t length)
{
  AapSpace *space = zone->space;
  MalTime expires =
      aap_time_adjust(msg->expiration_time, aap_time_delta(zone->now.wall, msg->current_time));
  if (!zone->large) {
    aap_zone_note(zone, AAP_NOTE_WRONG_SCOPE_KIND, zone->span, peer, 1);
    return;
  }
  if (!aap_horizon_ok(msg, zone->params->asa_max_horizon_s)) {
    aap_zone_note(zone, AAP_NOTE_ASA_ABSURD, zone->span, peer, 1);
    return;
  }
  if (space->payload != NULL &&
      (is_same_announcement(space, payload, length) || expires <= space->expires)) {
    aap_zone_note(zone, AAP_NOTE_ASA_IGNORED, zone->span, peer, 1);
    if (space->resend != AAP_NEVER)
      draw_resend(zone);
    return;
  }
  process(zone, peer, msg, payload, length, expires);
}

static bool all_inside(const AapZone *zone, const AapMessage *msg)
{
  for (size_t i = 0; i < msg->n_ranges; i++)
    if (!mal_span_contains(zone->span, msg->ranges[i].span))
      return false;
  return true;
}

bool aap_space_restore(AapZone *zone, const uint8_t *payload, size_t length, MalTime received)
{
  g_autofree AapScratch *scratch = g_new(AapScratch, 1);
  AapMessage msg;
  if (!aap_decode(payload, length, scratch, &msg, NULL) || msg.type != AAP_ASA ||
      msg.family != zone->span.first.family || !zone->large || !all_inside(zone, &msg))
    return false;
  AapNow now = zone->now;
  received = MIN(received, now.wall); /* the clock is behind: nothing is known to have passed */
  zone->now.wall = received;
  GArray *ranges = united(zone, &msg);
  MalTime expires =
      aap_time_adjust(msg.expiration_time, aap_time_delta(received, msg.current_time));
  zone->now = now;
  take(zone, &msg, payload, length, ranges, expires, received);
  return true;
}

void aap_space_available_changed(AapZone *zone)
{
  if (zone->large)
    aap_ana_satisfy(zone);
}

void aap_space_clock_stepped(AapZone *zone, int64_t delta)
{
  AapSpace *space = zone->space;
  for (guint i = 0; i < space->ranges->len; i++) {
    AapExtent *extent = &g_array_index(space->ranges, AapExtent, i);
    extent->end = mal_time_add(extent->end, delta);
  }
  if (space->payload == NULL)
    return;
  space->expires = mal_time_add(space->expires, delta);
  space->received = mal_time_add(space->received, delta);
}
