/* The zone: its life, and who hears what in which order (draft-ietf-malloc-aap-04 section 3). */
#include "aap-zone-private.h"

#include "aap-ranges.h"
#include "aap-time.h"

#include <string.h>

/* ---- making ---------------------------------------------------------------------------------- */

AapZone *aap_zone_new(const AapZoneConfig *config)
{
  AapZone *zone = g_new0(AapZone, 1);
  zone->scope = g_strdup(config->scope);
  zone->span = config->span;
  zone->large = config->large;
  zone->params = config->params;
  zone->sequence = config->sequence;
  zone->ops = config->ops;
  zone->user = config->user;
  zone->listening = true;
  zone->available = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  zone->excluded = aap_spans_new();
  zone->record = aap_record_new(config->span.first.family, config->params);
  zone->owns = aap_owns_new(zone);
  zone->claims = aap_claims_new(zone);
  zone->pool = aap_pool_new(zone);
  zone->defences = aap_defences_new(zone);
  zone->space = aap_space_new(zone);
  return zone;
}

void aap_zone_free(AapZone *zone)
{
  if (zone == NULL)
    return;
  aap_space_free(zone->space);
  aap_defences_free(zone->defences);
  aap_pool_free(zone->pool);
  aap_claims_free(zone->claims);
  aap_owns_free(zone->owns);
  aap_record_free(zone->record);
  g_array_unref(zone->excluded);
  g_array_unref(zone->available);
  g_free(zone->scope);
  g_free(zone);
}

const char *aap_zone_scope(const AapZone *zone)
{
  return zone->scope;
}

MalSpan aap_zone_span(const AapZone *zone)
{
  return zone->span;
}

bool aap_zone_is_large(const AapZone *zone)
{
  return zone->large;
}

/* ---- what was stored ------------------------------------------------------------------------- */

void aap_zone_restore_own(AapZone *zone, const AapOwn *own)
{
  aap_owns_restore(zone, own);
}

void aap_zone_restore_foreign(AapZone *zone, MalSpan span, MalTime end, MalEndpoint peer)
{
  aap_record_restore(zone->record, span, end, peer);
}

bool aap_zone_restore_asa(AapZone *zone, const uint8_t *payload, size_t length, MalTime received,
                          AapNow now)
{
  zone->now = now;
  return aap_space_restore(zone, payload, length, received);
}

void aap_zone_adopt(AapZone *zone, MalSpan span, MalTime end)
{
  aap_owns_add(zone, span, end);
}

/* ---- for all parts --------------------------------------------------------------------------- */

int64_t aap_zone_draw(AapZone *zone, double low, double high, int64_t unit)
{
  uint64_t least = (uint64_t)(low * (double)unit), most = (uint64_t)(high * (double)unit);
  return (int64_t)zone->ops->random(zone->user, least, most);
}

bool aap_zone_send(AapZone *zone, AapMessage *msg)
{
  if (zone->listening)
    return false;
  msg->family = zone->span.first.family;
  if (msg->body == NULL)
    msg->current_time = aap_time_to_wire(zone->now.wall);
  return zone->ops->send(zone->user, zone, msg);
}

bool aap_zone_send_ranges(AapZone *zone, AapType type, uint32_t rseq, uint8_t mseq,
                          const AapExtent *ranges, size_t n)
{
  g_autofree AapRange *wire = g_new(AapRange, n);
  for (size_t i = 0; i < n; i++)
    wire[i] = (AapRange){ ranges[i].span, aap_time_to_wire(ranges[i].end) };
  AapMessage msg = { .type = type, .rseq = rseq, .mseq = mseq, .ranges = wire, .n_ranges = n };
  return aap_zone_send(zone, &msg);
}

size_t aap_zone_limit(const AapZone *zone)
{
  return zone->params->payload_limit > 0 ? zone->params->payload_limit : AAP_SEND_LIMIT;
}

size_t aap_zone_fits(const AapZone *zone)
{
  return aap_ranges_fit(AAP_AIU, zone->span.first.family, 0, aap_zone_limit(zone));
}

void aap_zone_note(AapZone *zone, AapNote note, MalSpan span, MalEndpoint peer, uint64_t n)
{
  zone->ops->note(zone->user, zone, note, span, peer, n);
}

GArray *aap_zone_ranges_of(AapZone *zone, const AapMessage *msg)
{
  int64_t delta = aap_time_delta(zone->now.wall, msg->current_time);
  g_autofree AapRange *scratch = g_memdup2(msg->ranges, msg->n_ranges * sizeof *msg->ranges);
  g_autofree AapRange *united = g_new(AapRange, 2 * msg->n_ranges);
  size_t n = aap_ranges_unite(scratch, msg->n_ranges, united);
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (size_t i = 0; i < n; i++) {
    AapExtent extent = { united[i].span, aap_time_adjust(united[i].value, delta) };
    g_array_append_val(out, extent);
  }
  return out;
}

void aap_zone_join(MalSpan span, MalTime end, void *data)
{
  GArray *ranges = data;
  AapExtent extent = { span, end }, *last = NULL;
  if (ranges->len > 0)
    last = &g_array_index(ranges, AapExtent, ranges->len - 1);
  if (last != NULL && last->end == end && aap_follows(last->span.last, span.first))
    last->span.last = span.last;
  else
    g_array_append_val(ranges, extent);
}

static void add_own(MalSpan span, MalTime end, void *data)
{
  (void)end;
  aap_spans_add(data, span);
}

GArray *aap_zone_ours(const AapZone *zone)
{
  GArray *spans = aap_spans_new();
  aap_owns_each(zone, zone->span, false, add_own, spans);
  aap_claims_spans(zone, spans);
  aap_pool_spans(zone, spans);
  return spans;
}

bool aap_zone_may_allocate(const AapZone *zone)
{
  if (zone->listening)
    return false;
  for (guint i = 0; i < zone->available->len; i++)
    if (!aap_time_ended(g_array_index(zone->available, AapExtent, i).end, zone->now.wall))
      return true;
  return false;
}

/* ---- life ------------------------------------------------------------------------------------ */

void aap_zone_start(AapZone *zone, AapNow now)
{
  zone->now = now;
  zone->started = true;
  zone->listening = true;
  zone->startup_ends = now.mono + aap_zone_draw(zone, 1.0, 1.3, zone->params->startup_wait);
  aap_owns_tell(zone);
}

static void take_part(AapZone *zone)
{
  zone->listening = false;
  aap_zone_note(zone, AAP_NOTE_STARTED, (MalSpan){ 0 }, (MalEndpoint){ 0 }, 0);
  aap_owns_started(zone);
  aap_space_started(zone);
  aap_pool_demand_changed(zone);
}

/* An end time is in wall-clock seconds: the instant of the monotonic clock at which it comes. */
static int64_t mono_of(const AapZone *zone, MalTime end)
{
  if (end >= zone->now.wall + G_MAXINT32)
    return AAP_NEVER;
  return zone->now.mono + MAX(end - zone->now.wall, 0) * AAP_US;
}

int64_t aap_zone_due(const AapZone *zone)
{
  if (!zone->started)
    return AAP_NEVER;
  int64_t due = zone->listening ? zone->startup_ends : AAP_NEVER;
  due = MIN(due, aap_owns_due(zone->owns));
  due = MIN(due, MIN(aap_claims_due(zone->claims), aap_pool_due(zone->pool)));
  due = MIN(due, MIN(aap_defences_due(zone->defences), aap_space_due(zone->space)));
  return MIN(due, mono_of(zone, aap_record_due(zone->record)));
}

static void foreign_ended(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  (void)end;
  (void)peer;
  (void)heard;
  aap_defences_allocation_ended(data, span);
}

static void tell_changes(AapZone *zone)
{
  if (aap_record_has_changes(zone->record))
    zone->ops->foreign_changed(zone->user, zone);
}

void aap_zone_run(AapZone *zone, AapNow now)
{
  zone->now = now;
  if (!zone->started)
    return;
  if (zone->listening && zone->startup_ends <= now.mono)
    take_part(zone);
  aap_record_expire(zone->record, now, foreign_ended, zone);
  aap_owns_run(zone);
  aap_claims_run(zone);
  aap_pool_run(zone);
  aap_defences_run(zone);
  aap_space_run(zone);
  tell_changes(zone);
}

/* ---- hearing --------------------------------------------------------------------------------- */

/* Only what has not ended lists anything; an ended range of an AIU deletes (3.2.8). */
static GArray *unended(const AapZone *zone, const GArray *ranges)
{
  GArray *out = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < ranges->len; i++) {
    const AapExtent *extent = &g_array_index(ranges, AapExtent, i);
    if (!aap_time_ended(extent->end, zone->now.wall))
      g_array_append_val(out, *extent);
  }
  return out;
}

static void heard_in_use(AapZone *zone, MalEndpoint from, const GArray *ranges)
{
  g_autoptr(GArray) live = unended(zone, ranges);
  bool kept = true;
  for (guint i = 0; i < ranges->len; i++) {
    const AapExtent *extent = &g_array_index(ranges, AapExtent, i);
    kept = aap_record_in_use(zone->record, from, extent, zone->now) && kept;
    if (aap_time_ended(extent->end, zone->now.wall))
      aap_defences_allocation_ended(zone, extent->span);
  }
  if (!kept)
    aap_zone_note(zone, AAP_NOTE_RECORD_FULL, (MalSpan){ 0 }, from, 0);
  aap_claims_heard(zone, from, AAP_AIU, live);
  aap_pool_heard(zone, from, AAP_AIU, live);
  aap_owns_heard_in_use(zone, from, ranges);
  aap_defences_heard_in_use(zone, from, live);
}

static void heard_claim(AapZone *zone, MalEndpoint from, const AapMessage *msg,
                        const GArray *ranges)
{
  g_autoptr(GArray) live = unended(zone, ranges);
  const AapExtent *extents = (const AapExtent *)(void *)live->data;
  bool kept = msg->type == AAP_ACLM
                  ? aap_record_claimed(zone->record, from, msg->rseq, extents, live->len, zone->now)
                  : aap_record_intend(zone->record, from, msg->rseq, extents, live->len, zone->now);
  if (!kept)
    aap_zone_note(zone, AAP_NOTE_RECORD_FULL, (MalSpan){ 0 }, from, 0);
  if (msg->type == AAP_ACLM)
    aap_claims_heard(zone, from, AAP_ACLM, live);
  aap_pool_heard(zone, from, msg->type, live);
  aap_owns_heard_claim(zone, from, msg->type, live);
  aap_defences_heard_claim(zone, from, msg->rseq, live);
}

void aap_zone_heard(AapZone *zone, MalEndpoint from, const AapMessage *msg, const uint8_t *payload,
                    size_t length, AapNow now)
{
  zone->now = now;
  if (msg->type == AAP_ASA) {
    aap_space_heard_asa(zone, from, msg, payload, length);
  } else if (msg->type == AAP_ASRP) {
    aap_space_heard_asrp(zone, from, msg);
  } else if (msg->type == AAP_ANA) {
    aap_space_heard_ana(zone, from, msg);
  } else {
    g_autoptr(GArray) ranges = aap_zone_ranges_of(zone, msg);
    if (msg->type == AAP_AIU)
      heard_in_use(zone, from, ranges);
    else
      heard_claim(zone, from, msg, ranges);
  }
  tell_changes(zone);
}

void aap_zone_kept(AapZone *zone, MalAddress first, bool ok, AapNow now)
{
  zone->now = now;
  aap_owns_kept(zone, first, ok);
}

void aap_zone_clock_stepped(AapZone *zone, int64_t delta, AapNow now)
{
  zone->now = now;
  aap_record_clock_stepped(zone->record, delta);
  aap_owns_clock_stepped(zone, delta);
  aap_space_clock_stepped(zone, delta);
}

/* ---- what may be used ------------------------------------------------------------------------ */

void aap_zone_set_available(AapZone *zone, const AapExtent *ranges, size_t n, AapNow now)
{
  zone->now = now;
  g_array_set_size(zone->available, 0);
  g_array_append_vals(zone->available, ranges, (guint)n);
  zone->limited = zone->limited || n > 0;
  if (zone->limited)
    aap_record_set_available(zone->record, (const AapExtent *)(void *)zone->available->data, n);
  aap_owns_available_changed(zone);
  aap_claims_available_changed(zone);
  aap_pool_available_changed(zone);
  aap_space_available_changed(zone);
}

void aap_zone_set_excluded(AapZone *zone, const MalSpan *spans, size_t n, AapNow now)
{
  zone->now = now;
  g_array_set_size(zone->excluded, 0);
  for (size_t i = 0; i < n; i++)
    aap_spans_add(zone->excluded, spans[i]);
  aap_claims_available_changed(zone);
  aap_pool_available_changed(zone);
}

unsigned aap_zone_announce(AapZone *zone, AapNow now)
{
  zone->now = now;
  return zone->listening ? 0 : aap_owns_announce(zone);
}

void aap_zone_params_changed(AapZone *zone, AapNow now)
{
  zone->now = now;
  aap_pool_demand_changed(zone);
}

void aap_zone_want(AapZone *zone, uint64_t count, MalTime end, AapNow now)
{
  zone->now = now;
  aap_pool_want(zone, count, end);
}

void aap_zone_want_span(AapZone *zone, MalSpan span, MalTime end, AapNow now)
{
  zone->now = now;
  aap_pool_want_span(zone, span, end);
}

bool aap_zone_is_acquiring(const AapZone *zone)
{
  return aap_pool_is_acquiring(zone) || aap_claims_pending(zone) > 0;
}
