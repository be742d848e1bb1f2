/* What others say about addresses of ours (draft-ietf-malloc-aap-04 3.2.3, 3.2.8). An AIU does not
   tell whose allocation it is, and everybody defends everybody's: one with an end time that we have
   advertised is taken for a defence, unless its sender goes on when nobody claims the address any
   more. One with any other end time is a conflict. */
#include "aap-own-private.h"

#include "aap-time.h"

#define MAX_VOICES 256
#define MAX_STRETCHES 512 /* of one voice */
#define MAX_NOTES 4096    /* of all: each is looked at whenever the engine suspends one more */
#define MAX_TOMBSTONES 1024
#define MAX_ANSWERS 3     /* of one tombstone */

/* ---- voices ---------------------------------------------------------------------------------- */

static bool same_note(const void *a, const void *b)
{
  const AapEchoNote *x = a, *y = b;
  return x->since == y->since && x->renewed == y->renewed;
}

void aap_voice_free(gpointer data)
{
  AapVoice *voice = data;
  aap_intervals_free(voice->notes);
  aap_intervals_free(voice->claims);
  g_free(voice);
}

static AapVoice *find_voice(const AapOwns *owns, MalEndpoint peer)
{
  for (guint i = 0; i < owns->voices->len; i++) {
    AapVoice *voice = g_ptr_array_index(owns->voices, i);
    if (mal_endpoint_equal(voice->peer, peer))
      return voice;
  }
  return NULL;
}

static void lately(MalSpan span, void *value, void *data)
{
  int64_t *latest = data;
  (void)span;
  *latest = MAX(*latest, *(const int64_t *)value);
}

/* When VOICE was last heard to claim or preallocate something of SPAN. */
static int64_t claimed_at(const AapVoice *voice, MalSpan span)
{
  int64_t latest = INT64_MIN;
  if (voice != NULL)
    aap_intervals_each(voice->claims, span, lately, &latest);
  return latest;
}

/* Somebody other than PEER claimed or preallocated of SPAN within the echo window: then PEER, who
   announces it, may be defending. */
static bool claimed_by_third(const AapZone *zone, MalEndpoint peer, MalSpan span)
{
  for (guint i = 0; i < zone->owns->voices->len; i++) {
    const AapVoice *voice = g_ptr_array_index(zone->owns->voices, i);
    int64_t at = claimed_at(voice, span);
    if (at != INT64_MIN && at >= zone->now.mono - zone->params->echo_window &&
        !mal_endpoint_equal(voice->peer, peer))
      return true;
  }
  return false;
}

/* ---- suspension ------------------------------------------------------------------------------ */

bool aap_conflict_is_suspended(const AapOwns *owns, MalSpan span)
{
  for (guint i = 0; i < owns->voices->len; i++)
    if (aap_intervals_overlaps(((AapVoice *)g_ptr_array_index(owns->voices, i))->notes, span))
      return true;
  return false;
}

static void subtract(MalSpan span, void *value, void *data)
{
  (void)value;
  aap_spans_subtract(data, span);
}

/* What no note of anybody concerns. */
static GArray *unnoted(const AapOwns *owns, MalSpan span)
{
  GArray *rest = aap_spans_new();
  aap_spans_add(rest, span);
  for (guint i = 0; i < owns->voices->len; i++)
    aap_intervals_each(((AapVoice *)g_ptr_array_index(owns->voices, i))->notes, span, subtract,
                       rest);
  return rest;
}

/* SPAN, less what is still noted, may be given to clients again. */
static void resume(AapZone *zone, MalSpan span)
{
  g_autoptr(GArray) rest = unnoted(zone->owns, span);
  for (guint i = 0; i < rest->len; i++)
    zone->ops->suspend(zone->user, zone, g_array_index(rest, MalSpan, i), false);
}

static void noted(MalSpan span, void *value, void *data)
{
  (void)value;
  aap_spans_add(data, span);
}

/* Of too many the one that was silent longest makes room. */
static void evict(AapZone *zone)
{
  GPtrArray *voices = zone->owns->voices;
  guint oldest = 0;
  for (guint i = 1; i < voices->len; i++)
    if (((AapVoice *)g_ptr_array_index(voices, i))->heard <
        ((AapVoice *)g_ptr_array_index(voices, oldest))->heard)
      oldest = i;
  g_autoptr(GArray) notes = aap_spans_new();
  aap_intervals_each(((AapVoice *)g_ptr_array_index(voices, oldest))->notes, zone->span, noted,
                     notes);
  g_ptr_array_remove_index_fast(voices, oldest);
  for (guint i = 0; i < notes->len; i++)
    resume(zone, g_array_index(notes, MalSpan, i));
}

static AapVoice *get_voice(AapZone *zone, MalEndpoint peer)
{
  AapOwns *owns = zone->owns;
  AapVoice *voice = find_voice(owns, peer);
  if (voice == NULL) {
    if (owns->voices->len >= MAX_VOICES)
      evict(zone);
    voice = g_new0(AapVoice, 1);
    voice->peer = peer;
    voice->notes = aap_intervals_new(sizeof(AapEchoNote), same_note);
    voice->claims = aap_intervals_new(sizeof(int64_t), NULL);
    g_ptr_array_add(owns->voices, voice);
  }
  voice->heard = zone->now.mono;
  owns->voices_due = MIN(owns->voices_due, zone->now.mono + zone->params->echo_window);
  return voice;
}

typedef struct {
  int64_t before;
  GArray *spans;
} Old;

static void old_note(MalSpan span, void *value, void *data)
{
  const Old *old = data;
  if (((const AapEchoNote *)value)->renewed <= old->before)
    aap_spans_add(old->spans, span);
}

static void old_claim(MalSpan span, void *value, void *data)
{
  const Old *old = data;
  if (*(const int64_t *)value <= old->before)
    aap_spans_add(old->spans, span);
}

static void forget_old(AapZone *zone, AapVoice *voice)
{
  g_autoptr(GArray) notes = aap_spans_new(), claims = aap_spans_new();
  Old old = { zone->now.mono - zone->params->echo_window, notes };
  aap_intervals_each(voice->notes, zone->span, old_note, &old);
  old.spans = claims;
  aap_intervals_each(voice->claims, zone->span, old_claim, &old);
  for (guint i = 0; i < claims->len; i++)
    aap_intervals_remove(voice->claims, g_array_index(claims, MalSpan, i));
  for (guint i = 0; i < notes->len; i++)
    aap_intervals_remove(voice->notes, g_array_index(notes, MalSpan, i));
  for (guint i = 0; i < notes->len; i++)
    resume(zone, g_array_index(notes, MalSpan, i));
}

void aap_conflict_forget(AapZone *zone, MalSpan span)
{
  AapOwns *owns = zone->owns;
  g_autoptr(GArray) notes = aap_spans_new();
  for (guint i = 0; i < owns->voices->len; i++) {
    AapVoice *voice = g_ptr_array_index(owns->voices, i);
    aap_intervals_each(voice->notes, span, noted, notes);
    aap_intervals_remove(voice->notes, span);
  }
  for (guint i = 0; i < notes->len; i++)
    zone->ops->suspend(zone->user, zone, g_array_index(notes, MalSpan, i), false);
  aap_conflict_unbury(owns, span);
}

/* ---- conflicts (3.2.3) ----------------------------------------------------------------------- */

static void conflict(AapZone *zone, MalEndpoint peer, MalSpan span)
{
  aap_zone_note(zone, AAP_NOTE_CONFLICT, span, peer, (uint64_t)mal_span_size(span));
  aap_owns_lose(zone, span);
}

typedef struct {
  const AapZone *zone;
  MalEndpoint peer;
  GArray *known, *confirmed; /* spans */
  GArray *notes;             /* AapEchoNote of KNOWN, one by one */
} Echo;

static void old_echo(MalSpan span, void *value, void *data)
{
  Echo *echo = data;
  AapEchoNote note = *(const AapEchoNote *)value;
  int64_t now = echo->zone->now.mono;
  if (now > note.since + echo->zone->params->echo_window &&
      !claimed_by_third(echo->zone, echo->peer, span)) {
    aap_spans_add(echo->confirmed, span);
    return;
  }
  note.renewed = now;
  AapExtent extent = { span, 0 };
  g_array_append_val(echo->known, extent);
  g_array_append_val(echo->notes, note);
}

static bool has_room(const AapOwns *owns, const AapVoice *voice)
{
  size_t all = 0;
  for (guint i = 0; i < owns->voices->len; i++)
    all += aap_intervals_count(((AapVoice *)g_ptr_array_index(owns->voices, i))->notes);
  return all < MAX_NOTES && aap_intervals_count(voice->notes) < MAX_STRETCHES;
}

/* A probable defence of SPAN by PEER, noted; or, where it goes on too long, a conflict. */
static void echo(AapZone *zone, MalEndpoint peer, MalSpan span)
{
  AapVoice *voice = get_voice(zone, peer);
  g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  g_autoptr(GArray) notes = g_array_new(FALSE, FALSE, sizeof(AapEchoNote));
  g_autoptr(GArray) confirmed = aap_spans_new();
  g_autoptr(GArray) unknown = unnoted(zone->owns, span);
  Echo e = { zone, peer, known, confirmed, notes };
  aap_intervals_each(voice->notes, span, old_echo, &e);
  AapEchoNote fresh = { zone->now.mono, zone->now.mono };
  bool room = has_room(zone->owns, voice);
  if (room)
    aap_intervals_set(voice->notes, span, &fresh);
  for (guint i = 0; i < known->len; i++)
    aap_intervals_set(voice->notes, g_array_index(known, AapExtent, i).span,
                      &g_array_index(notes, AapEchoNote, i));
  for (guint i = 0; room && i < unknown->len; i++) /* what nothing notes, nothing would resume */
    zone->ops->suspend(zone->user, zone, g_array_index(unknown, MalSpan, i), true);
  for (guint i = 0; i < confirmed->len; i++)
    conflict(zone, peer, g_array_index(confirmed, MalSpan, i));
  aap_zone_note(zone, AAP_NOTE_ECHO, span, peer, (uint64_t)mal_span_size(span));
}

/* Ours is not somebody else's, though somebody defended it. */
static void disown(AapZone *zone, MalEndpoint peer, MalSpan span)
{
  AapExtent ended = { span, zone->now.wall };
  aap_record_in_use(zone->record, peer, &ended, zone->now);
}

typedef struct {
  AapZone *zone;
  MalEndpoint peer;
  const AapExtent *heard;
  GArray *conflicts, *echoes; /* spans */
  AapBlock *block;
  bool stale;
} Judge;

static void judge_piece(MalSpan piece, MalTime end, void *data)
{
  Judge *judge = data;
  const AapParams *params = judge->zone->params;
  MalSpan both;
  if (!mal_span_intersect(piece, judge->heard->span, &both))
    return;
  if (params->literal_conflicts ||
      !aap_advertised_match(&judge->block->ends, judge->heard->end, params->end_tolerance_s)) {
    aap_spans_add(judge->conflicts, both);
    return;
  }
  aap_spans_add(judge->echoes, both);
  judge->stale = judge->stale || !aap_time_same(end, judge->heard->end, params->end_tolerance_s);
}

static void collision(AapZone *zone, MalEndpoint peer, MalSpan span, MalTime end, bool adopted)
{
  uint64_t n = (uint64_t)mal_span_size(span);
  aap_zone_note(zone, AAP_NOTE_CLAIM_COLLISION, span, peer, n);
  aap_owns_lose(zone, span);
  if (adopted)
    zone->ops->gone(zone->user, zone, span, AAP_GONE_CONFLICT);
  else
    aap_pool_claim_ended(zone, 0, n, end, AAP_NOTE_CLAIM_COLLISION);
}

static void judge(AapZone *zone, MalEndpoint peer, const AapExtent *heard)
{
  g_autoptr(GArray) conflicts = aap_spans_new(), echoes = aap_spans_new();
  for (AapBlock *b = aap_owns_from(zone->owns, heard->span.first);
       b != NULL && mal_span_overlaps(b->span, heard->span); b = aap_owns_after(zone->owns, b)) {
    Judge judge = { zone, peer, heard, conflicts, echoes, b, false };
    aap_owns_effective(zone, b->span, b->end, judge_piece, &judge);
    if (judge.stale)
      aap_announce_again(zone, b, false);
  }
  for (guint i = 0; i < conflicts->len; i++)
    conflict(zone, peer, g_array_index(conflicts, MalSpan, i));
  for (guint i = 0; i < echoes->len; i++) {
    MalSpan span = g_array_index(echoes, MalSpan, i);
    disown(zone, peer, span);
    echo(zone, peer, span);
  }
}

/* What is not on the disk yet is nobody's: it is lost like a claim (3.2.5). */
static void collide(AapZone *zone, MalEndpoint peer, MalSpan span, bool adopted_too)
{
  g_autoptr(GArray) lost = g_array_new(FALSE, FALSE, sizeof(AapBlock));
  for (const AapBlock *b = aap_owns_from(zone->owns, span.first);
       b != NULL && mal_span_overlaps(b->span, span); b = aap_owns_after(zone->owns, b))
    if (!b->kept && (!b->adopted || adopted_too))
      g_array_append_vals(lost, b, 1);
  for (guint i = 0; i < lost->len; i++) {
    const AapBlock *b = &g_array_index(lost, AapBlock, i);
    MalSpan part;
    mal_span_intersect(b->span, span, &part);
    collision(zone, peer, part, b->next_end, b->adopted);
  }
}

/* ---- what was given up and is still defended (3.2.8) ----------------------------------------- */

static bool is_after(MalTime end, const AapAdvertised *ends)
{
  for (unsigned i = 0; i < ends->n; i++)
    if (ends->ends[i] > end)
      return true;
  return ends->before_restart != MAL_BEGINNING && ends->before_restart > end;
}

void aap_conflict_bury(AapZone *zone, const AapBlock *block)
{
  AapTombstone stone = { .span = block->span,
                         .end = block->end,
                         .ends = block->ends,
                         .made = zone->now.mono,
                         .answered = INT64_MIN / 2 };
  GArray *stones = zone->owns->tombstones;
  if (!is_after(block->end, &block->ends))
    return;
  if (stones->len >= MAX_TOMBSTONES)
    g_array_remove_index(stones, 0);
  g_array_append_val(stones, stone);
}

/* At most one more than there were; where there is no room for it, its memory is lost. */
static void unbury_one(GArray *stones, guint at, MalSpan span)
{
  AapTombstone stone = g_array_index(stones, AapTombstone, at), part = stone;
  g_array_remove_index(stones, at);
  if (aap_span_below(stone.span, span.first, &part.span))
    g_array_append_val(stones, part);
  if (stones->len < MAX_TOMBSTONES && aap_span_above(stone.span, span.last, &part.span))
    g_array_append_val(stones, part);
}

void aap_conflict_unbury(AapOwns *owns, MalSpan span)
{
  for (guint i = owns->tombstones->len; i-- > 0;)
    if (mal_span_overlaps(g_array_index(owns->tombstones, AapTombstone, i).span, span))
      unbury_one(owns->tombstones, i, span);
}

static void answer(AapZone *zone, MalEndpoint peer, AapTombstone *stone, MalSpan span)
{
  disown(zone, peer, span);
  if (stone->answers >= MAX_ANSWERS ||
      zone->now.mono - stone->answered < zone->params->resend_wait)
    return;
  AapExtent extent = { span, stone->end };
  uint32_t rseq = aap_sequence_take(zone->sequence);
  bool sent = aap_zone_send_ranges(zone, AAP_AIU, rseq, 0, &extent, 1);
  aap_sequence_let_go(zone->sequence, rseq);
  if (!sent)
    return;
  stone->answers++;
  stone->answered = zone->now.mono;
  aap_zone_note(zone, AAP_NOTE_STALE_DEFENCE, span, peer, (uint64_t)mal_span_size(span));
}

static void heard_of_buried(AapZone *zone, MalEndpoint peer, const AapExtent *heard)
{
  GArray *stones = zone->owns->tombstones;
  const AapVoice *voice = find_voice(zone->owns, peer);
  for (guint i = stones->len; i-- > 0;) {
    AapTombstone *stone = &g_array_index(stones, AapTombstone, i);
    MalSpan both;
    if (!mal_span_intersect(stone->span, heard->span, &both))
      continue;
    if (!aap_advertised_match(&stone->ends, heard->end, zone->params->end_tolerance_s) ||
        claimed_at(voice, both) >= stone->made)
      unbury_one(stones, i, both);
    else if (claimed_by_third(zone, peer, both))
      answer(zone, peer, stone, both);
  }
}

static MalTime last_end(const AapTombstone *stone)
{
  MalTime last = stone->ends.before_restart;
  for (unsigned i = 0; i < stone->ends.n; i++)
    last = MAX(last, stone->ends.ends[i]);
  return last;
}

/* ---- hearing --------------------------------------------------------------------------------- */

void aap_owns_heard_in_use(AapZone *zone, MalEndpoint peer, const GArray *ranges)
{
  for (guint i = 0; i < ranges->len; i++) {
    const AapExtent *extent = &g_array_index(ranges, AapExtent, i);
    if (aap_time_ended(extent->end, zone->now.wall))
      continue;
    collide(zone, peer, extent->span, true);
    judge(zone, peer, extent);
    heard_of_buried(zone, peer, extent);
  }
}

static void note_claim(AapZone *zone, MalEndpoint peer, MalSpan span)
{
  AapVoice *voice = get_voice(zone, peer);
  if (aap_intervals_count(voice->claims) < MAX_STRETCHES)
    aap_intervals_set(voice->claims, span, &zone->now.mono);
}

void aap_owns_heard_claim(AapZone *zone, MalEndpoint peer, AapType type, const GArray *ranges)
{
  const GArray *stones = zone->owns->tombstones;
  MalSpan both;
  for (guint i = 0; i < ranges->len; i++) {
    MalSpan span = g_array_index(ranges, AapExtent, i).span;
    if (type == AAP_ACLM)
      collide(zone, peer, span, false);
    for (const AapBlock *b = aap_owns_from(zone->owns, span.first);
         b != NULL && mal_span_intersect(b->span, span, &both); b = aap_owns_after(zone->owns, b))
      note_claim(zone, peer, both);
    for (guint k = 0; k < stones->len; k++)
      if (mal_span_intersect(g_array_index(stones, AapTombstone, k).span, span, &both))
        note_claim(zone, peer, both);
  }
}

/* ---- time ------------------------------------------------------------------------------------ */

static void first_due(MalSpan span, void *value, void *data)
{
  int64_t *due = data;
  (void)span;
  *due = MIN(*due, ((const AapEchoNote *)value)->renewed);
}

static void first_claim(MalSpan span, void *value, void *data)
{
  int64_t *due = data;
  (void)span;
  *due = MIN(*due, *(const int64_t *)value);
}

/* There is a note, or a claim. */
static int64_t voice_due(const AapOwns *owns, const AapVoice *voice)
{
  int64_t due = AAP_NEVER;
  aap_intervals_each(voice->notes, owns->zone->span, first_due, &due);
  aap_intervals_each(voice->claims, owns->zone->span, first_claim, &due);
  return due + owns->zone->params->echo_window;
}

int64_t aap_conflict_due(const AapOwns *owns)
{
  return owns->voices_due;
}

static void run_voices(AapZone *zone)
{
  AapOwns *owns = zone->owns;
  owns->voices_due = AAP_NEVER;
  for (guint i = owns->voices->len; i-- > 0;) {
    AapVoice *voice = g_ptr_array_index(owns->voices, i);
    forget_old(zone, voice);
    if (aap_intervals_count(voice->notes) == 0 && aap_intervals_count(voice->claims) == 0)
      g_ptr_array_remove_index_fast(owns->voices, i);
    else
      owns->voices_due = MIN(owns->voices_due, voice_due(owns, voice));
  }
}

void aap_conflict_run(AapZone *zone)
{
  AapOwns *owns = zone->owns;
  if (owns->voices_due <= zone->now.mono)
    run_voices(zone);
  for (guint i = owns->tombstones->len; i-- > 0;)
    if (aap_time_ended(last_end(&g_array_index(owns->tombstones, AapTombstone, i)),
                       zone->now.wall))
      g_array_remove_index(owns->tombstones, i);
}

void aap_conflict_clock_stepped(AapOwns *owns, int64_t delta)
{
  for (guint i = 0; i < owns->tombstones->len; i++) {
    AapTombstone *stone = &g_array_index(owns->tombstones, AapTombstone, i);
    aap_advertised_shift(&stone->ends, delta);
    stone->end = mal_time_add(stone->end, delta);
  }
}
