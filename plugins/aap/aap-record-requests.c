/* Address requests (3.2.9): in order of arrival, few, so that a walk is all that it takes. */
#include "aap-record-private.h"

#include "aap-time.h"

static guint find(const AapRecord *record, MalEndpoint peer, uint32_t rseq)
{
  guint i = 0;
  for (; i < record->requests->len; i++) {
    const AapDemand *request = &g_array_index(record->requests, AapDemand, i);
    if (request->rseq == rseq && mal_endpoint_equal(request->peer, peer))
      break;
  }
  return i;
}

static guint of_peer(const AapRecord *record, MalEndpoint peer)
{
  guint n = 0;
  for (guint i = 0; i < record->requests->len; i++)
    n += mal_endpoint_equal(g_array_index(record->requests, AapDemand, i).peer, peer);
  return n;
}

bool aap_record_request(AapRecord *record, MalEndpoint peer, uint32_t rseq, uint64_t count,
                        MalTime end, AapNow now)
{
  if (count == 0 || aap_time_ended(end, now.wall))
    return false;
  guint at = find(record, peer, rseq);
  if (at < record->requests->len) {
    const AapDemand *old = &g_array_index(record->requests, AapDemand, at);
    if (old->count == count && aap_time_same(old->end, end, record->params->end_tolerance_s))
      return false;
    g_array_remove_index(record->requests, at);
  } else if (record->requests->len >= AAP_REQUESTS_MAX ||
             of_peer(record, peer) >= AAP_REQUESTS_PEER) {
    return false;
  }
  if (!aap_record_make_room(record, AAP_WORTH_REQUEST, 1))
    return false;
  AapDemand request = { peer, rseq, count, end };
  g_array_append_val(record->requests, request);
  return true;
}

void aap_record_drop_request(AapRecord *record, MalEndpoint peer, uint32_t rseq)
{
  guint at = find(record, peer, rseq);
  if (at < record->requests->len)
    g_array_remove_index(record->requests, at);
}

const GArray *aap_record_requests(const AapRecord *record)
{
  return record->requests;
}

void aap_requests_expire(AapRecord *record, AapNow now)
{
  for (guint i = record->requests->len; i-- > 0;)
    if (aap_time_ended(g_array_index(record->requests, AapDemand, i).end, now.wall))
      g_array_remove_index(record->requests, i);
}

/* ---- what the available space satisfies (3.2.10.1) ------------------------------------------- */

/* Counts COUNT addresses of the ranges that last until END: those with the shortest ends first, so
   that later requests find the others. False: there aren't so many. */
static bool assign(const AapRecord *record, MalU128 *free, uint64_t count, MalTime end)
{
  MalU128 sum = 0, left = count;
  for (guint i = 0; i < record->available->len; i++) {
    bool lasts = g_array_index(record->available, AapExtent, i).end >= end;
    sum += lasts ? MIN(free[i], (MalU128)count) : 0;
  }
  if (sum < count)
    return false;
  while (left > 0) {
    guint best = record->available->len;
    for (guint i = 0; i < record->available->len; i++) {
      MalTime until = g_array_index(record->available, AapExtent, i).end;
      if (free[i] > 0 && until >= end &&
          (best == record->available->len ||
           until < g_array_index(record->available, AapExtent, best).end))
        best = i;
    }
    MalU128 taken = MIN(left, free[best]);
    free[best] -= taken;
    left -= taken;
  }
  return true;
}

void aap_record_satisfy(AapRecord *record, const uint64_t *allocated, AapNow now,
                        void (*func)(const AapDemand *request, void *data), void *data)
{
  g_autofree MalU128 *free = g_new0(MalU128, record->available->len + 1);
  for (guint i = 0; i < record->available->len; i++) {
    const AapExtent *range = &g_array_index(record->available, AapExtent, i);
    MalU128 size = mal_span_size(range->span);
    if (!aap_time_ended(range->end, now.wall) && size > allocated[i])
      free[i] = size - allocated[i];
  }
  for (guint i = 0; i < record->requests->len;) {
    AapDemand request = g_array_index(record->requests, AapDemand, i);
    if (!assign(record, free, request.count, request.end)) {
      i++;
      continue;
    }
    g_array_remove_index(record->requests, i);
    if (func != NULL)
      func(&request, data);
  }
}
