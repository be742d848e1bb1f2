/* What the choice avoids for a while without anybody holding it: what others claimed just now, and
   what ended lately (3.2.7). */
#include "aap-record-private.h"

#include "aap-time.h"

static void watch_claimed(MalSpan span, const void *value, bool comes, void *data)
{
  AapRecord *record = data;
  (comes ? aap_ends_add : aap_ends_remove)(record->claimed_ends, *(const int64_t *)value,
                                           span.first.value);
}

static void watch_ended(MalSpan span, const void *value, bool comes, void *data)
{
  AapRecord *record = data;
  (comes ? aap_ends_add : aap_ends_remove)(record->ended_ends, *(const MalTime *)value,
                                           span.first.value);
}

void aap_avoided_init(AapRecord *record)
{
  record->claimed = aap_intervals_new(sizeof(int64_t), NULL);
  record->claimed_ends = aap_ends_new();
  record->ended = aap_intervals_new(sizeof(MalTime), NULL);
  record->ended_ends = aap_ends_new();
  aap_intervals_watch(record->claimed, watch_claimed, record);
  aap_intervals_watch(record->ended, watch_ended, record);
}

void aap_avoided_free(AapRecord *record)
{
  aap_intervals_watch(record->claimed, NULL, NULL);
  aap_intervals_watch(record->ended, NULL, NULL);
  aap_intervals_free(record->claimed);
  aap_intervals_free(record->ended);
  g_tree_unref(record->claimed_ends);
  g_tree_unref(record->ended_ends);
}

bool aap_avoided_drop_first(AapRecord *record, AapWorth worth)
{
  bool claimed = worth == AAP_WORTH_CLAIMED;
  AapIntervals *map = claimed ? record->claimed : record->ended;
  int64_t when;
  MalU128 key;
  MalSpan span;
  if (!aap_ends_first(claimed ? record->claimed_ends : record->ended_ends, &when, &key))
    return false;
  aap_intervals_at(map, mal_address_make(record->family, key), &span);
  aap_intervals_remove(map, span);
  return true;
}

/* ACLM: an ended range has no effect. */
bool aap_record_claimed(AapRecord *record, MalEndpoint peer, uint32_t rseq, const AapExtent *ranges,
                        size_t n, AapNow now)
{
  (void)peer;
  (void)rseq;
  bool kept = true;
  for (size_t i = 0; i < n; i++) {
    if (aap_time_ended(ranges[i].end, now.wall))
      continue;
    aap_intervals_set(record->claimed, ranges[i].span, &now.mono);
    while (!aap_record_make_room(record, AAP_WORTH_CLAIMED, 0) &&
           aap_avoided_drop_first(record, AAP_WORTH_CLAIMED))
      kept = kept && aap_intervals_overlaps(record->claimed, ranges[i].span);
  }
  return kept;
}

typedef struct {
  GArray *later; /* spans that ended later than END already */
  MalTime end;
} Known;

static void known(MalSpan span, void *value, void *data)
{
  Known *k = data;
  if (*(MalTime *)value > k->end)
    aap_spans_add(k->later, span);
}

void aap_record_ended(AapRecord *record, MalSpan span, MalTime end)
{
  g_autoptr(GArray) rest = aap_spans_new(), later = aap_spans_new();
  Known k = { later, end };
  aap_intervals_each(record->ended, span, known, &k);
  aap_spans_add(rest, span);
  for (guint i = 0; i < later->len; i++)
    aap_spans_subtract(rest, g_array_index(later, MalSpan, i));
  for (guint i = 0; i < rest->len; i++)
    aap_intervals_set(record->ended, g_array_index(rest, MalSpan, i), &end);
  while (!aap_record_make_room(record, AAP_WORTH_ENDED, 0) &&
         aap_avoided_drop_first(record, AAP_WORTH_ENDED))
    continue;
}

void aap_avoided_expire(AapRecord *record, AapNow now)
{
  int64_t when;
  MalU128 key;
  while (aap_ends_first(record->claimed_ends, &when, &key) &&
         when <= now.mono - record->params->claim_memory)
    aap_avoided_drop_first(record, AAP_WORTH_CLAIMED);
  while (aap_ends_first(record->ended_ends, &when, &key) &&
         when <= now.wall - record->params->reuse_guard_s)
    aap_avoided_drop_first(record, AAP_WORTH_ENDED);
}

typedef struct {
  MalSpan span;
  MalTime end;
} Piece;

static void gather(MalSpan span, void *value, void *data)
{
  Piece piece = { span, *(MalTime *)value };
  g_array_append_val((GArray *)data, piece);
}

void aap_avoided_shift(AapRecord *record, int64_t delta)
{
  g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
  MalSpan all = { mal_address_make(record->family, 0), aap_record_top(record) };
  aap_intervals_each(record->ended, all, gather, pieces);
  aap_intervals_clear(record->ended);
  for (guint i = 0; i < pieces->len; i++) {
    const Piece *piece = &g_array_index(pieces, Piece, i);
    MalTime end = aap_record_shifted(piece->end, delta);
    aap_intervals_set(record->ended, piece->span, &end);
  }
}
