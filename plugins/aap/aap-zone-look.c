/* Looking into a zone, for control methods and tests. */
#include "aap-zone-private.h"

#include "aap-time.h"

typedef struct {
  AapEntryKind kind;
  AapEntryFunc func;
  void *data;
} Look;

static void show(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  const Look *look = data;
  look->func(
      &(AapEntry){ .kind = look->kind, .span = span, .end = end, .peer = peer, .heard = heard },
      look->data);
}

void aap_zone_each(const AapZone *zone, AapNow now, AapEntryFunc func, void *data)
{
  aap_owns_each_entry(zone, func, data);
  aap_claims_each_entry(zone, func, data);
  aap_pool_each_entry(zone, func, data);
  Look look = { AAP_ENTRY_FOREIGN, func, data };
  aap_record_foreign(zone->record, zone->span, now, show, &look);
  look.kind = AAP_ENTRY_FOREIGN_PREALLOCATED;
  aap_record_foreign_preallocated(zone->record, zone->span, now, show, &look);
}

void aap_zone_each_request(const AapZone *zone, AapWantFunc func, void *data)
{
  const GArray *requests = aap_record_requests(zone->record);
  for (guint i = 0; i < requests->len; i++) {
    const AapDemand *demand = &g_array_index(requests, AapDemand, i);
    func(demand->peer, demand->count, demand->end, data);
  }
}

AapZoneUsage aap_zone_usage(const AapZone *zone, AapNow now)
{
  AapRecordSize size = aap_record_size(zone->record);
  AapZoneUsage usage = { .listening = zone->listening,
                         .startup_ends = zone->startup_ends,
                         .foreign = size.foreign_addresses,
                         .foreign_preallocated = size.preallocated_addresses,
                         .wanted = size.requests,
                         .entries = size.foreign + size.preallocated + size.claimed + size.ended,
                         .claims = aap_claims_count(zone),
                         .defences = aap_defences_count(zone->defences),
                         .asa_expires = aap_space_expires(zone) };
  for (guint i = 0; i < zone->available->len; i++) {
    const AapExtent *extent = &g_array_index(zone->available, AapExtent, i);
    MalU128 n = aap_time_ended(extent->end, now.wall) ? 0 : mal_span_size(extent->span);
    usage.available = n > UINT64_MAX - usage.available ? UINT64_MAX : usage.available + (uint64_t)n;
  }
  aap_owns_usage(zone, &usage);
  aap_pool_usage(zone, &usage);
  return usage;
}

void aap_zone_foreign_changes(AapZone *zone,
                              void (*func)(MalSpan span, MalTime end, MalEndpoint peer, void *data),
                              void *data)
{
  aap_record_changes(zone->record, func, data);
}

/* Nothing is ours in two ways. */
static void check_disjoint(const GArray *a, const GArray *b, const char *what)
{
  g_autoptr(GArray) both = aap_spans_intersection(a, b);
  char text[MAL_SPAN_STRLEN];
  if (both->len > 0)
    g_error("%s is %s", mal_span_format(g_array_index(both, MalSpan, 0), text), what);
}

static void add(MalSpan span, MalTime end, void *data)
{
  (void)end;
  aap_spans_add(data, span);
}

void aap_zone_check(const AapZone *zone, AapNow now)
{
  (void)now;
  g_autoptr(GArray) own = aap_spans_new(), claimed = aap_spans_new(), pool = aap_spans_new();
  aap_record_check(zone->record);
  aap_owns_check(zone);
  aap_owns_each(zone, zone->span, false, add, own);
  aap_claims_spans(zone, claimed);
  aap_pool_spans(zone, pool);
  check_disjoint(own, claimed, "own and claimed at once");
  check_disjoint(own, pool, "own and preallocated at once");
  check_disjoint(claimed, pool, "claimed and preallocated at once");
}
