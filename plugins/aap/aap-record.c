/* The Allocation Record (draft-ietf-malloc-aap-04 section 3.2.1): its life, its bounds, and what of
   it the available space leaves. */
#include "aap-record-private.h"

#include "aap-time.h"

/* ---- what ends first ------------------------------------------------------------------------- */

typedef struct {
  int64_t when;
  MalU128 key;
} End;

static gint by_when(gconstpointer a, gconstpointer b, gpointer data)
{
  const End *x = a, *y = b;
  (void)data;
  if (x->when != y->when)
    return x->when < y->when ? -1 : 1;
  return (x->key > y->key) - (x->key < y->key);
}

AapEnds *aap_ends_new(void)
{
  return g_tree_new_full(by_when, NULL, g_free, NULL);
}

void aap_ends_add(AapEnds *ends, int64_t when, MalU128 key)
{
  End *end = g_new(End, 1);
  *end = (End){ when, key };
  g_tree_insert(ends, end, end);
}

void aap_ends_remove(AapEnds *ends, int64_t when, MalU128 key)
{
  g_tree_remove(ends, &(End){ when, key });
}

bool aap_ends_first(const AapEnds *ends, int64_t *when, MalU128 *key)
{
  GTreeNode *node = g_tree_node_first((AapEnds *)ends);
  if (node == NULL)
    return false;
  const End *end = g_tree_node_key(node);
  *when = end->when;
  *key = end->key;
  return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

AapRecord *aap_record_new(MalFamily family, const AapParams *params)
{
  AapRecord *record = g_new0(AapRecord, 1);
  record->family = family;
  record->params = params;
  record->available = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  record->requests = g_array_new(FALSE, FALSE, sizeof(AapDemand));
  aap_foreign_init(record);
  aap_intents_init(record);
  aap_avoided_init(record);
  return record;
}

void aap_record_free(AapRecord *record)
{
  if (record == NULL)
    return;
  aap_avoided_free(record);
  aap_intents_free(record);
  aap_foreign_free(record);
  g_array_unref(record->requests);
  g_array_unref(record->available);
  g_free(record);
}

MalAddress aap_record_top(const AapRecord *record)
{
  return mal_address_make(record->family,
                          record->family == MAL_IPV4 ? (MalU128)UINT32_MAX : ~(MalU128)0);
}

void aap_record_expire(AapRecord *record, AapNow now, AapForeignFunc func, void *data)
{
  aap_foreign_expire(record, now, func, data);
  aap_intents_expire(record, now);
  aap_avoided_expire(record, now);
  aap_requests_expire(record, now);
}

/* What is only avoided for a while needs no instant of its own: nobody waits for it. */
MalTime aap_record_due(const AapRecord *record)
{
  MalTime due = MAL_FOREVER;
  int64_t when;
  MalU128 key;
  if (aap_ends_first(record->foreign_ends, &when, &key))
    due = when;
  if (aap_ends_first(record->intent_ends, &when, &key))
    due = MIN(due, when);
  for (guint i = 0; i < record->requests->len; i++)
    due = MIN(due, g_array_index(record->requests, AapDemand, i).end);
  return due;
}

MalTime aap_record_shifted(MalTime end, int64_t delta)
{
  MalTime shifted;
  if (end == MAL_FOREVER || end == MAL_BEGINNING)
    return end;
  if (__builtin_add_overflow(end, delta, &shifted))
    shifted = delta < 0 ? 0 : AAP_TIME_MAX;
  return CLAMP(shifted, 0, (MalTime)AAP_TIME_MAX);
}

void aap_record_clock_stepped(AapRecord *record, int64_t delta)
{
  aap_foreign_shift(record, delta);
  aap_intents_shift(record, delta);
  aap_avoided_shift(record, delta);
  for (guint i = 0; i < record->requests->len; i++) {
    AapDemand *request = &g_array_index(record->requests, AapDemand, i);
    if (request->peer.address.family != MAL_FAMILY_NONE) /* our own ends are in our clock */
      request->end = aap_record_shifted(request->end, delta);
  }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

size_t aap_record_entries(const AapRecord *record)
{
  return aap_intervals_count(record->foreign) + record->n_extents +
         aap_intervals_count(record->claimed) + aap_intervals_count(record->ended) +
         record->requests->len;
}

static bool drop_one(AapRecord *record, AapWorth below)
{
  if (below > AAP_WORTH_CLAIMED && aap_avoided_drop_first(record, AAP_WORTH_CLAIMED))
    return true;
  if (below > AAP_WORTH_ENDED && aap_avoided_drop_first(record, AAP_WORTH_ENDED))
    return true;
  if (below > AAP_WORTH_REQUEST && record->requests->len > 0) {
    g_array_set_size(record->requests, record->requests->len - 1);
    return true;
  }
  return below > AAP_WORTH_INTENDED && aap_intents_drop_first(record);
}

bool aap_record_make_room(AapRecord *record, AapWorth worth, size_t growth)
{
  if (growth > record->params->max_entries)
    return false;
  while (aap_record_entries(record) > record->params->max_entries - growth)
    if (!drop_one(record, worth))
      return false;
  return true;
}

static uint64_t saturated(MalU128 n)
{
  return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

AapRecordSize aap_record_size(const AapRecord *record)
{
  return (AapRecordSize){
    .foreign = aap_intervals_count(record->foreign),
    .preallocated = record->n_extents,
    .claimed = aap_intervals_count(record->claimed),
    .ended = aap_intervals_count(record->ended),
    .requests = record->requests->len,
    .foreign_addresses = saturated(record->foreign_addresses),
    .preallocated_addresses = saturated(record->intended_addresses),
  };
}

void aap_record_check(const AapRecord *record)
{
  aap_foreign_check(record);
  aap_intents_check(record);
  g_assert_cmpuint(aap_intervals_count(record->claimed), ==,
                   (size_t)g_tree_nnodes(record->claimed_ends));
  g_assert_cmpuint(aap_intervals_count(record->ended), ==,
                   (size_t)g_tree_nnodes(record->ended_ends));
}

/* ---- what the available space leaves --------------------------------------------------------- */

void aap_record_set_available(AapRecord *record, const AapExtent *ranges, size_t n)
{
  record->limited = true;
  g_array_set_size(record->available, 0);
  if (n > 0)
    g_array_append_vals(record->available, ranges, (guint)n);
}

/* The place of the first range that ends at or after AT. */
static guint place(const AapRecord *record, MalAddress at)
{
  guint low = 0, high = record->available->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const AapExtent *range = &g_array_index(record->available, AapExtent, middle);
    if (mal_address_compare(range->span.last, at) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

MalTime aap_record_limit_at(const AapRecord *record, MalAddress at, MalAddress *last)
{
  *last = aap_record_top(record);
  if (!record->limited)
    return MAL_FOREVER;
  guint found = place(record, at);
  if (found == record->available->len)
    return MAL_BEGINNING;
  const AapExtent *range = &g_array_index(record->available, AapExtent, found);
  if (mal_span_has(range->span, at)) {
    *last = range->span.last;
    return range->end;
  }
  mal_address_sub(range->span.first, 1, last);
  return MAL_BEGINNING;
}

MalTime aap_record_available_until(const AapRecord *record, MalSpan span)
{
  MalTime until = MAL_FOREVER;
  for (MalAddress at = span.first, last;; mal_address_add(last, 1, &at)) {
    until = MIN(until, aap_record_limit_at(record, at, &last));
    if (until == MAL_BEGINNING || mal_address_compare(last, span.last) >= 0)
      return until;
  }
}

void aap_record_show(const AapRecord *record, MalSpan span, MalTime end, MalEndpoint peer,
                     int64_t heard, AapNow now, AapForeignFunc func, void *data)
{
  for (MalAddress at = span.first, last;; mal_address_add(last, 1, &at)) {
    MalTime until = MIN(end, aap_record_limit_at(record, at, &last));
    if (mal_address_compare(last, span.last) > 0)
      last = span.last;
    if (!aap_time_ended(until, now.wall))
      func((MalSpan){ at, last }, until, peer, heard, data);
    if (mal_address_equal(last, span.last))
      return;
  }
}
