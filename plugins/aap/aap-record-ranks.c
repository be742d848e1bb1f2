/* How addresses stand for a choice (3.2.7): one walk over the maps side by side. */
#include "aap-record-private.h"

#include "aap-time.h"

enum { FOREIGN, INTENDED, CLAIMED, ENDED, N_MAPS };

typedef struct {
  const AapRecord *record;
  AapNow now;
  AapCursor at[N_MAPS];
  bool known, gone;      /* what the available space leaves, up to */
  MalAddress known_last;
} Walk;

/* The value of one map at AT, or NULL; LAST is lowered to where that holds. */
static const void *value_at(Walk *walk, unsigned map, MalAddress at, MalAddress *last)
{
  MalSpan stretch;
  void *value;
  while (aap_cursor_get(walk->at[map], &stretch, &value) &&
         mal_address_compare(stretch.last, at) < 0)
    aap_cursor_step(&walk->at[map]);
  if (walk->at[map].node == NULL)
    return NULL;
  if (mal_address_compare(stretch.first, at) <= 0) {
    if (mal_address_compare(stretch.last, *last) < 0)
      *last = stretch.last;
    return value;
  }
  if (mal_address_compare(stretch.first, *last) <= 0)
    mal_address_sub(stretch.first, 1, last);
  return NULL;
}

static bool is_gone(Walk *walk, MalAddress at, MalAddress *last)
{
  if (!walk->known || mal_address_compare(walk->known_last, at) < 0) {
    MalTime until = aap_record_limit_at(walk->record, at, &walk->known_last);
    walk->gone = aap_time_ended(until, walk->now.wall);
    walk->known = true;
  }
  if (mal_address_compare(walk->known_last, *last) < 0)
    *last = walk->known_last;
  return walk->gone;
}

/* What the available space has dropped counts as ended. */
static AapRank rank_at(Walk *walk, MalAddress at, MalAddress *last)
{
  const AapParams *params = walk->record->params;
  bool limited = is_gone(walk, at, last);
  const AapForeign *foreign = value_at(walk, FOREIGN, at, last);
  if (foreign != NULL && !limited && !aap_time_ended(foreign->end, walk->now.wall))
    return AAP_RANK_TAKEN;
  int64_t heard;
  const AapIntents *intents = value_at(walk, INTENDED, at, last);
  if (intents != NULL && aap_intents_heard(intents, at, walk->now.wall, &heard, last) && !limited)
    return walk->now.mono - heard <= params->prealloc_recent ? AAP_RANK_RECENT : AAP_RANK_SILENT;
  const int64_t *claimed = value_at(walk, CLAIMED, at, last);
  if (claimed != NULL && walk->now.mono - *claimed < params->claim_memory)
    return AAP_RANK_GUARDED;
  const MalTime *ended = value_at(walk, ENDED, at, last);
  if (ended != NULL && walk->now.wall - *ended < params->reuse_guard_s)
    return AAP_RANK_GUARDED;
  return AAP_RANK_FREE;
}

void aap_record_ranks(const AapRecord *record, MalSpan span, AapNow now, AapRankFunc func,
                      void *data)
{
  Walk walk = { .record = record,
                .now = now,
                .at = { aap_intervals_cursor(record->foreign, span.first),
                        aap_intervals_cursor(record->intended, span.first),
                        aap_intervals_cursor(record->claimed, span.first),
                        aap_intervals_cursor(record->ended, span.first) } };
  MalSpan stretch = span;
  AapRank rank = AAP_RANK_FREE;
  MalAddress at = span.first;
  for (;;) {
    MalAddress last = span.last;
    AapRank here = rank_at(&walk, at, &last);
    if (!mal_address_equal(at, span.first) && here != rank) {
      mal_address_sub(at, 1, &stretch.last);
      func(stretch, rank, data);
      stretch.first = at;
    }
    rank = here;
    if (mal_address_equal(last, span.last))
      break;
    mal_address_add(last, 1, &at);
  }
  stretch.last = span.last;
  func(stretch, rank, data);
}
