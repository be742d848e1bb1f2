/* AIU messages for own allocations (draft-ietf-malloc-aap-04 3.2.2). Each message is a request of
   its own, with a timer of its own. A new allocation is announced with back-off in a message for
   what became ours at the same instant; once that is over its blocks join the consolidated
   messages, which are kept full without moving more than needed: the number of a message changes
   with its set of addresses. */
#include "aap-own-private.h"

#include "aap-seq.h"

void aap_announcement_free(gpointer data)
{
  AapAnnouncement *a = data;
  g_ptr_array_unref(a->blocks);
  if (a->said != NULL)
    g_array_unref(a->said);
  g_free(a);
}

static AapAnnouncement *make(AapOwns *owns, bool steady, int64_t due)
{
  AapAnnouncement *a = g_new0(AapAnnouncement, 1);
  a->blocks = g_ptr_array_new();
  a->steady = steady;
  a->due = due;
  a->sent = INT64_MIN / 2;
  g_ptr_array_add(owns->announcements, a);
  return a;
}

static void destroy(AapZone *zone, AapAnnouncement *a)
{
  if (a->numbered)
    aap_sequence_let_go(zone->sequence, a->rseq);
  g_ptr_array_remove(zone->owns->announcements, a);
}

void aap_announce_let_go(AapOwns *owns)
{
  for (guint i = 0; i < owns->announcements->len; i++) {
    const AapAnnouncement *a = g_ptr_array_index(owns->announcements, i);
    if (a->numbered)
      aap_sequence_let_go(owns->zone->sequence, a->rseq);
  }
}

/* ---- what is in a message -------------------------------------------------------------------- */

static guint place(const AapAnnouncement *a, MalAddress first)
{
  guint low = 0, high = a->blocks->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    const AapBlock *block = g_ptr_array_index(a->blocks, middle);
    if (mal_address_compare(block->span.first, first) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void put(AapAnnouncement *a, AapBlock *block)
{
  g_ptr_array_insert(a->blocks, (gint)place(a, block->span.first), block);
  block->announcement = a;
}

static void take_out(AapBlock *block)
{
  AapAnnouncement *a = block->announcement;
  g_ptr_array_remove_index(a->blocks, place(a, block->span.first));
  block->announcement = NULL;
}

static GArray *ranges_of(const AapZone *zone, const AapAnnouncement *a)
{
  GArray *ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  for (guint i = 0; i < a->blocks->len; i++) {
    const AapBlock *block = g_ptr_array_index(a->blocks, i);
    aap_owns_effective(zone, block->span, block->end, aap_zone_join, ranges);
  }
  return ranges;
}

static size_t count_alone(const AapZone *zone, const AapBlock *block)
{
  g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  aap_owns_effective(zone, block->span, block->end, aap_zone_join, ranges);
  return ranges->len;
}

/* ---- consolidation --------------------------------------------------------------------------- */

static bool is_steady_neighbour(const AapBlock *low, const AapBlock *high, const AapBlock *other,
                                const AapAnnouncement *from)
{
  return other->announcement != NULL && other->announcement->steady &&
         other->announcement != from && low->end == high->end &&
         aap_follows(low->span.last, high->span.first);
}

/* The steady message other than FROM that holds a neighbour which BLOCK makes one range with. */
static AapAnnouncement *beside(const AapOwns *owns, const AapBlock *block,
                               const AapAnnouncement *from)
{
  MalAddress below = block->span.first;
  mal_address_sub(below, 1, &below);
  const AapBlock *before = aap_owns_from(owns, below), *after = aap_owns_after(owns, block);
  if (is_steady_neighbour(before, block, before, from))
    return before->announcement;
  if (after != NULL && is_steady_neighbour(block, after, after, from))
    return after->announcement;
  return NULL;
}

static AapAnnouncement *with_room(const AapZone *zone, size_t n, const AapAnnouncement *from)
{
  const GPtrArray *all = zone->owns->announcements;
  for (guint i = 0; i < all->len; i++) {
    AapAnnouncement *a = g_ptr_array_index(all, i);
    if (a != from && a->steady && a->n_ranges + n <= aap_zone_fits(zone))
      return a;
  }
  return NULL;
}

/* With BLOCK in it, TO still fits one message: neighbours of one end are no single range where what
   is available between them has a hole. Else it would be split, and joined again, for ever. */
static bool stays_whole(const AapZone *zone, const AapAnnouncement *to, const AapBlock *block)
{
  g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  guint at = place(to, block->span.first);
  for (guint i = 0;; i++) {
    if (i == at)
      aap_owns_effective(zone, block->span, block->end, aap_zone_join, ranges);
    if (i == to->blocks->len)
      break;
    const AapBlock *other = g_ptr_array_index(to->blocks, i);
    aap_owns_effective(zone, other->span, other->end, aap_zone_join, ranges);
  }
  return ranges->len <= aap_zone_fits(zone);
}

static bool move_on(AapZone *zone, AapBlock *block)
{
  AapAnnouncement *from = block->announcement, *to = beside(zone->owns, block, from);
  if (to != NULL && !stays_whole(zone, to, block))
    to = NULL;
  if (to == NULL) {
    size_t n = count_alone(zone, block);
    to = with_room(zone, n, from);
    if (to == NULL)
      return false;
    to->n_ranges += n;
  }
  take_out(block);
  put(to, block);
  to->due = MIN(to->due, from->due);
  return true;
}

static void empty_into_others(AapZone *zone, AapAnnouncement *a)
{
  while (a->blocks->len > 0)
    if (!move_on(zone, g_ptr_array_index(a->blocks, a->blocks->len - 1)))
      return;
  destroy(zone, a);
}

/* Where fewer messages would do, A (NULL: the smallest) goes into the room of the others. */
static void consolidate(AapZone *zone, AapAnnouncement *a)
{
  const GPtrArray *all = zone->owns->announcements;
  size_t fits = aap_zone_fits(zone), n = 0, sum = 0;
  AapAnnouncement *smallest = a;
  for (guint i = 0; i < all->len; i++) {
    AapAnnouncement *other = g_ptr_array_index(all, i);
    if (!other->steady)
      continue;
    n++;
    sum += other->n_ranges;
    if (a == NULL && (smallest == NULL || other->n_ranges < smallest->n_ranges))
      smallest = other;
  }
  if (n > 1 && n > (sum + fits - 1) / fits)
    empty_into_others(zone, smallest);
}

/* Where ends came to differ a message may hold more ranges than it can carry: the blocks from the
   first on that don't fit are another message. */
static void split_overfull(AapZone *zone, AapAnnouncement *a)
{
  size_t fits = aap_zone_fits(zone);
  g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  guint i = 0;
  for (; i < a->blocks->len; i++) {
    const AapBlock *block = g_ptr_array_index(a->blocks, i);
    aap_owns_effective(zone, block->span, block->end, aap_zone_join, ranges);
    if (ranges->len > fits && i > 0)
      break;
  }
  if (i == a->blocks->len)
    return;
  AapAnnouncement *rest = make(zone->owns, a->steady, zone->now.mono);
  rest->interval = a->interval;
  for (guint k = i; k < a->blocks->len; k++) {
    AapBlock *block = g_ptr_array_index(a->blocks, k);
    put(rest, block);
  }
  g_ptr_array_set_size(a->blocks, (gint)i);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool send_ranges(AapZone *zone, const AapAnnouncement *a, uint8_t mseq, const GArray *ranges)
{
  size_t fits = aap_zone_fits(zone);
  const AapExtent *extents = (const AapExtent *)(void *)ranges->data;
  bool sent = aap_zone_send_ranges(zone, AAP_AIU, a->rseq, mseq, extents, MIN(ranges->len, fits));
  for (size_t at = fits; sent && at < ranges->len; at += fits) {
    uint32_t rseq = aap_sequence_take(zone->sequence);
    aap_zone_send_ranges(zone, AAP_AIU, rseq, 0, extents + at, MIN(ranges->len - at, fits));
    aap_sequence_let_go(zone->sequence, rseq);
  }
  return sent;
}

static GArray *spans_of(const GArray *ranges)
{
  GArray *spans = aap_spans_new();
  for (guint i = 0; i < ranges->len; i++)
    aap_spans_add(spans, g_array_index(ranges, AapExtent, i).span);
  return spans;
}

/* New number, new set: 5.1.4, 5.1.5. */
static bool say(AapZone *zone, AapAnnouncement *a, const GArray *ranges)
{
  g_autoptr(GArray) spans = spans_of(ranges);
  bool first = a->unsent || a->said == NULL || !aap_spans_equal(a->said, spans);
  if (first && !a->unsent) {
    if (a->numbered)
      aap_sequence_let_go(zone->sequence, a->rseq);
    a->rseq = aap_sequence_take(zone->sequence);
    a->numbered = true;
  }
  uint8_t mseq = first ? 0 : aap_mseq_next(a->mseq);
  bool sent = send_ranges(zone, a, mseq, ranges);
  a->unsent = first && !sent;
  if (!sent)
    return false;
  a->mseq = mseq;
  a->sent = zone->now.mono;
  if (a->said != NULL)
    g_array_unref(a->said);
  a->said = g_steal_pointer(&spans);
  return true;
}

static void become_steady(AapZone *zone, AapAnnouncement *a)
{
  bool fresh = !a->steady;
  a->steady = true;
  a->interval = 0;
  a->due = zone->now.mono + aap_zone_draw(zone, 0.7, 1.3, zone->params->repeat_interval);
  consolidate(zone, fresh ? a : NULL);
}

/* 14.4's table: 1, 2, 4, ... while that is less than the steady interval. */
static void schedule(AapZone *zone, AapAnnouncement *a)
{
  if (a->steady || (a->interval > 0 && 2 * a->interval >= zone->params->repeat_interval)) {
    become_steady(zone, a);
    return;
  }
  a->interval = a->interval == 0 ? zone->params->resend_wait : 2 * a->interval;
  a->due = zone->now.mono + a->interval;
}

/* What could not leave is tried again with the interval that ran: no AIU counts that nobody heard
   (3.1). */
static void fire(AapZone *zone, AapAnnouncement *a)
{
  split_overfull(zone, a);
  g_autoptr(GArray) ranges = ranges_of(zone, a);
  a->n_ranges = ranges->len;
  if (ranges->len == 0 || say(zone, a, ranges))
    schedule(zone, a);
  else
    a->due = zone->now.mono + MAX(a->interval, zone->params->resend_wait);
}

void aap_announce_run(AapZone *zone)
{
  AapOwns *owns = zone->owns;
  while (aap_announce_due(owns) <= zone->now.mono) {
    if (owns->uneven) {
      owns->uneven = false;
      consolidate(zone, NULL);
    }
    AapAnnouncement *next = g_ptr_array_index(owns->announcements, 0);
    for (guint i = 1; i < owns->announcements->len; i++) {
      AapAnnouncement *a = g_ptr_array_index(owns->announcements, i);
      if (a->due < next->due)
        next = a;
    }
    fire(zone, next);
  }
}

int64_t aap_announce_due(const AapOwns *owns)
{
  int64_t due = AAP_NEVER;
  for (guint i = 0; i < owns->announcements->len; i++)
    due = MIN(due, ((const AapAnnouncement *)g_ptr_array_index(owns->announcements, i))->due);
  return due;
}

/* ---- changes --------------------------------------------------------------------------------- */

static bool has_room(const AapZone *zone, const AapAnnouncement *a)
{
  size_t fits = aap_zone_fits(zone);
  if (a->steady || a->said != NULL || a->due != zone->now.mono)
    return false;
  if (a->blocks->len < fits)
    return true;
  g_autoptr(GArray) ranges = ranges_of(zone, a);
  return ranges->len < fits;
}

void aap_announce_new(AapZone *zone, AapBlock *block)
{
  GPtrArray *all = zone->owns->announcements;
  AapAnnouncement *a = all->len > 0 ? g_ptr_array_index(all, all->len - 1) : NULL;
  if (zone->listening)
    return;
  if (a == NULL || !has_room(zone, a))
    a = make(zone->owns, false, zone->now.mono);
  put(a, block);
}

void aap_announce_split(const AapBlock *block, AapBlock *rest)
{
  if (block->announcement != NULL)
    put(block->announcement, rest);
}

void aap_announce_remove(AapZone *zone, AapBlock *block)
{
  AapAnnouncement *a = block->announcement;
  if (a == NULL)
    return;
  take_out(block);
  a->n_ranges = MIN(a->n_ranges, a->blocks->len); /* until it is counted again */
  zone->owns->uneven = true;
  if (a->blocks->len == 0)
    destroy(zone, a);
}

/* Many messages at once would leave in a burst: they begin anew within a time that gives about
   eight a [RESEND-WAIT], but not later than they would have left anyway. */
void aap_announce_again(AapZone *zone, AapBlock *block, bool spread)
{
  AapAnnouncement *a = block->announcement;
  const AapParams *params = zone->params;
  if (a == NULL || (!a->steady && a->interval == 0))
    return;
  int64_t within = params->resend_wait * ((int64_t)zone->owns->announcements->len - 1) / 8;
  int64_t delay = spread ? aap_zone_draw(zone, 0, 1, MIN(within, params->repeat_interval)) : 0;
  a->due = MIN(a->due, MAX(zone->now.mono + delay, a->sent + params->resend_wait));
  a->interval = 0;
  a->steady = false;
}

unsigned aap_owns_announce(AapZone *zone)
{
  const GPtrArray *all = zone->owns->announcements;
  for (guint i = 0; i < all->len; i++) {
    AapAnnouncement *a = g_ptr_array_index(all, i);
    a->due = MIN(a->due, MAX(zone->now.mono, a->sent + zone->params->resend_wait));
  }
  return all->len;
}

/* After a restart: spread over one interval, and steady at once (3.2.4). */
void aap_announce_started(AapZone *zone)
{
  AapOwns *owns = zone->owns;
  AapAnnouncement *a = NULL;
  for (GTreeNode *n = g_tree_node_first(owns->blocks); n != NULL; n = g_tree_node_next(n)) {
    AapBlock *block = g_tree_node_value(n);
    if (!block->kept)
      continue;
    if (a == NULL)
      a = make(owns, true, zone->now.mono);
    put(a, block);
  }
  for (guint i = 0; i < owns->announcements->len; i++) {
    a = g_ptr_array_index(owns->announcements, i);
    split_overfull(zone, a);
    a->due = zone->now.mono + aap_zone_draw(zone, 0, 1, zone->params->repeat_interval);
    a->n_ranges = MIN(a->blocks->len, aap_zone_fits(zone));
  }
}
