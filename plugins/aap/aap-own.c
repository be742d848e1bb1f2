/* Own allocations (draft-ietf-malloc-aap-04 3.2.1, 3.2.8): the table, and its order of steps. What
   is announced or used is on the disk before; what layer 1 was told is kept apart from the table
   and brought into line with it after each change, so that conflicts, ends and what an ASA takes
   away are one thing here. */
#include "aap-own-private.h"

#include "aap-ranges.h"
#include "aap-time.h"

/* ---- the table ------------------------------------------------------------------------------- */

static gint by_first(gconstpointer a, gconstpointer b, gpointer data)
{
  (void)data;
  return mal_address_compare(((const AapBlock *)a)->span.first, ((const AapBlock *)b)->span.first);
}

static guint hash_value(gconstpointer key)
{
  MalU128 value = *(const MalU128 *)key;
  guint64 folded = (guint64)value ^ (guint64)(value >> 64);
  return g_int64_hash(&folded);
}

static gboolean equal_values(gconstpointer a, gconstpointer b)
{
  return *(const MalU128 *)a == *(const MalU128 *)b;
}

AapOwns *aap_owns_new(AapZone *zone)
{
  AapOwns *owns = g_new0(AapOwns, 1);
  owns->zone = zone;
  owns->blocks = g_tree_new_full(by_first, NULL, NULL, g_free);
  owns->writes = g_hash_table_new_full(hash_value, equal_values, g_free, NULL);
  owns->told = aap_intervals_new(sizeof(MalTime), NULL);
  owns->announcements = g_ptr_array_new_with_free_func(aap_announcement_free);
  owns->voices = g_ptr_array_new_with_free_func(aap_voice_free);
  owns->tombstones = g_array_new(FALSE, FALSE, sizeof(AapTombstone));
  owns->next_end = MAL_FOREVER;
  owns->retry = AAP_NEVER;
  owns->voices_due = AAP_NEVER;
  return owns;
}

void aap_owns_free(AapOwns *owns)
{
  aap_announce_let_go(owns);
  g_array_unref(owns->tombstones);
  g_ptr_array_unref(owns->voices);
  g_ptr_array_unref(owns->announcements);
  aap_intervals_free(owns->told);
  g_hash_table_unref(owns->writes);
  g_tree_unref(owns->blocks);
  g_free(owns);
}

AapBlock *aap_owns_find(const AapOwns *owns, MalAddress first)
{
  AapBlock key = { .span = { first, first } };
  return g_tree_lookup(owns->blocks, &key);
}

static AapBlock *of_node(GTreeNode *node)
{
  return node != NULL ? g_tree_node_value(node) : NULL;
}

AapBlock *aap_owns_from(const AapOwns *owns, MalAddress at)
{
  AapBlock key = { .span = { at, at } };
  GTreeNode *above = g_tree_upper_bound(owns->blocks, &key);
  GTreeNode *below = above != NULL ? g_tree_node_previous(above) : g_tree_node_last(owns->blocks);
  AapBlock *block = of_node(below);
  return block != NULL && mal_address_compare(block->span.last, at) >= 0 ? block : of_node(above);
}

AapBlock *aap_owns_after(const AapOwns *owns, const AapBlock *block)
{
  return of_node(g_tree_upper_bound(owns->blocks, block));
}

static AapBlock *insert(AapOwns *owns, const AapBlock *value)
{
  AapBlock *block = g_memdup2(value, sizeof *value);
  block->announcement = NULL;
  g_tree_insert(owns->blocks, block, block);
  return block;
}

/* ---- effective ends (3.2.10.1) --------------------------------------------------------------- */

void aap_owns_effective(const AapZone *zone, MalSpan span, MalTime end, AapOwnFunc func,
                        void *data)
{
  AapExtent last = { 0 };
  if (aap_time_ended(end, zone->now.wall))
    return;
  if (!zone->limited) {
    func(span, end, data);
    return;
  }
  for (guint i = aap_extents_from(zone->available, span.first); i < zone->available->len; i++) {
    const AapExtent *range = &g_array_index(zone->available, AapExtent, i);
    AapExtent piece = { .end = MIN(end, range->end) };
    if (!mal_span_intersect(span, range->span, &piece.span))
      break;
    if (aap_time_ended(piece.end, zone->now.wall))
      continue;
    if (last.span.first.family != MAL_FAMILY_NONE && last.end == piece.end &&
        aap_follows(last.span.last, piece.span.first)) {
      last.span.last = piece.span.last;
      continue;
    }
    if (last.span.first.family != MAL_FAMILY_NONE)
      func(last.span, last.end, data);
    last = piece;
  }
  if (last.span.first.family != MAL_FAMILY_NONE)
    func(last.span, last.end, data);
}

static void collect(MalSpan span, MalTime end, void *data)
{
  AapExtent extent = { span, end };
  g_array_append_val((GArray *)data, extent);
}

/* ---- what layer 1 was told ------------------------------------------------------------------- */

static void add_told(MalSpan span, void *value, void *data)
{
  (void)value;
  aap_spans_add(data, span);
}

static void tell_gone(AapZone *zone, MalSpan span, const GArray *left, AapGone why)
{
  g_autoptr(GArray) gone = aap_spans_new();
  aap_intervals_each(zone->owns->told, span, add_told, gone);
  for (guint i = 0; i < left->len; i++)
    aap_spans_subtract(gone, g_array_index(left, AapExtent, i).span);
  for (guint i = 0; i < gone->len; i++) {
    MalSpan lost = g_array_index(gone, MalSpan, i);
    aap_intervals_remove(zone->owns->told, lost);
    zone->ops->gone(zone->user, zone, lost, why);
  }
}

static void tell_owned(AapZone *zone, const AapExtent *extent)
{
  MalSpan stretch;
  const MalTime *end = aap_intervals_at(zone->owns->told, extent->span.first, &stretch);
  if (end != NULL && *end == extent->end && mal_span_contains(stretch, extent->span))
    return;
  aap_intervals_set(zone->owns->told, extent->span, &extent->end);
  zone->ops->owned(zone->user, zone, extent->span, extent->end);
}

/* Layer 1 has of SPAN exactly what BLOCK (NULL: nothing) gives it now; its ends are advertised. */
static void reconcile(AapZone *zone, MalSpan span, AapBlock *block, AapGone why)
{
  g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
  AapOwns *owns = zone->owns;
  if (block != NULL) {
    aap_owns_effective(zone, block->span, block->end, collect, extents);
    owns->next_end = MIN(owns->next_end, block->kept ? block->end : block->next_end);
  }
  for (guint i = 0; block != NULL && block->kept && i < extents->len; i++) {
    MalTime end = g_array_index(extents, AapExtent, i).end;
    aap_advertised_add(&block->ends, end, zone->now.wall);
    owns->next_end = MIN(owns->next_end, end);
  }
  if (block == NULL || !block->kept || block->ending)
    g_array_set_size(extents, 0);
  tell_gone(zone, span, extents, why);
  for (guint i = 0; i < extents->len; i++)
    tell_owned(zone, &g_array_index(extents, AapExtent, i));
}

/* ---- the disk (3.1) -------------------------------------------------------------------------- */

static void write_block(AapZone *zone, AapBlock *block)
{
  GHashTable *writes = zone->owns->writes;
  MalU128 key = block->span.first.value;
  guint waiting = GPOINTER_TO_UINT(g_hash_table_lookup(writes, &key)) + 1;
  AapOwn own = { block->span, block->next_end, block->since };
  g_hash_table_replace(writes, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(waiting));
  block->retry = AAP_NEVER;
  zone->ops->keep(zone->user, zone, &own);
}

/* Whether this was the last confirmation under FIRST that was waited for. */
static bool confirmed(AapOwns *owns, MalAddress first)
{
  guint waiting = GPOINTER_TO_UINT(g_hash_table_lookup(owns->writes, &first.value));
  if (waiting > 1)
    g_hash_table_replace(owns->writes, g_memdup2(&first.value, sizeof first.value),
                         GUINT_TO_POINTER(waiting - 1));
  else
    g_hash_table_remove(owns->writes, &first.value);
  return waiting == 1;
}

static void drop(AapZone *zone, AapBlock *block)
{
  zone->ops->forget(zone->user, zone, block->span.first);
  aap_announce_remove(zone, block);
  g_tree_remove(zone->owns->blocks, block);
}

static void is_kept(AapZone *zone, AapBlock *block)
{
  bool fresh = !block->kept, changed = block->end != block->next_end;
  block->kept = true;
  block->end = block->next_end;
  reconcile(zone, block->span, block, AAP_GONE_ENDED);
  if (aap_time_ended(block->end, zone->now.wall))
    return;
  if (fresh) {
    aap_zone_note(zone, AAP_NOTE_OWNED, block->span, (MalEndpoint){ 0 },
                  (uint64_t)mal_span_size(block->span));
    aap_announce_new(zone, block);
  } else if (changed) {
    aap_zone_note(zone, AAP_NOTE_EXTENDED, block->span, (MalEndpoint){ 0 },
                  (uint64_t)mal_span_size(block->span));
    aap_announce_again(zone, block, true);
  }
}

void aap_owns_kept(AapZone *zone, MalAddress first, bool ok)
{
  AapOwns *owns = zone->owns;
  AapBlock *block = aap_owns_find(owns, first);
  if (!confirmed(owns, first) || block == NULL)
    return;
  if (ok) {
    is_kept(zone, block);
    return;
  }
  block->retry = zone->now.mono + 8 * zone->params->resend_wait;
  owns->retry = MIN(owns->retry, block->retry);
}

/* ---- making, changing, giving back ----------------------------------------------------------- */

void aap_owns_add(AapZone *zone, MalSpan span, MalTime end)
{
  AapOwns *owns = zone->owns;
  g_autoptr(GArray) fresh = aap_spans_new();
  aap_spans_add(fresh, span);
  for (AapBlock *b = aap_owns_from(owns, span.first); b != NULL && mal_span_overlaps(b->span, span);
       b = aap_owns_after(owns, b))
    aap_spans_subtract(fresh, b->span);
  for (guint i = 0; i < fresh->len; i++) {
    AapBlock block = { .span = g_array_index(fresh, MalSpan, i),
                       .end = end,
                       .next_end = end,
                       .since = zone->now.wall,
                       .ends = { .before_restart = MAL_BEGINNING },
                       .retry = AAP_NEVER,
                       .adopted = !zone->started };
    aap_conflict_forget(zone, block.span);
    owns->next_end = MIN(owns->next_end, end);
    write_block(zone, insert(owns, &block));
  }
}

/* What was stored is as hostile as what is heard: only what could have been ours counts. */
void aap_owns_restore(AapZone *zone, const AapOwn *own)
{
  AapOwns *owns = zone->owns;
  AapBlock block = { .span = own->span,
                     .end = own->end,
                     .next_end = own->end,
                     .since = own->advertised_since,
                     .ends = { .before_restart = own->end },
                     .retry = AAP_NEVER,
                     .kept = true };
  const AapBlock *near;
  if (own->span.first.family != zone->span.first.family ||
      !mal_span_contains(zone->span, own->span) ||
      mal_address_compare(own->span.first, own->span.last) > 0)
    return;
  near = aap_owns_from(owns, own->span.first);
  if (near == NULL || !mal_span_overlaps(near->span, own->span))
    insert(owns, &block);
}

static GPtrArray *all(const AapOwns *owns)
{
  GPtrArray *out = g_ptr_array_new();
  for (GTreeNode *n = g_tree_node_first(owns->blocks); n != NULL; n = g_tree_node_next(n))
    g_ptr_array_add(out, g_tree_node_value(n));
  return out;
}

void aap_owns_tell(AapZone *zone)
{
  g_autoptr(GPtrArray) blocks = all(zone->owns);
  for (guint i = 0; i < blocks->len; i++) {
    AapBlock *block = g_ptr_array_index(blocks, i);
    if (aap_time_ended(block->next_end, zone->now.wall))
      drop(zone, block);
    else
      reconcile(zone, block->span, block, AAP_GONE_ENDED);
  }
}

void aap_owns_set_end(AapZone *zone, MalAddress first, MalTime end)
{
  AapBlock *block = aap_owns_find(zone->owns, first);
  if (block == NULL || block->ending || end == block->next_end)
    return;
  block->next_end = end;
  if (!block->kept)
    block->end = end;
  write_block(zone, block);
  if (block->kept && end < block->end) {
    block->end = end;
    reconcile(zone, block->span, block, AAP_GONE_ENDED);
    aap_announce_again(zone, block, true);
  }
}

void aap_owns_give_back(AapZone *zone, MalAddress first)
{
  AapBlock *block = aap_owns_find(zone->owns, first);
  if (block == NULL || block->ending)
    return;
  if (!block->kept) {
    drop(zone, block);
    return;
  }
  block->ending = true;
  block->end = MIN(block->end, mal_time_add(zone->now.wall, zone->params->delete_grace_s));
  block->next_end = block->end;
  write_block(zone, block);
  reconcile(zone, block->span, block, AAP_GONE_GIVEN_BACK);
  aap_zone_note(zone, AAP_NOTE_GIVEN_BACK, block->span, (MalEndpoint){ 0 },
                (uint64_t)mal_span_size(block->span));
  aap_announce_again(zone, block, true);
}

/* ---- losing ---------------------------------------------------------------------------------- */

/* What stays of the block is written before what was there is overwritten or forgotten. */
static void cut(AapZone *zone, AapBlock *block, MalSpan part)
{
  AapBlock value = *block;
  if (aap_span_above(block->span, part.last, &value.span)) {
    AapBlock *rest = insert(zone->owns, &value);
    block->span.last = part.last;
    aap_announce_split(block, rest);
    write_block(zone, rest);
  }
  if (aap_span_below(block->span, part.first, &block->span))
    write_block(zone, block);
  else
    drop(zone, block);
}

void aap_owns_lose(AapZone *zone, MalSpan span)
{
  AapOwns *owns = zone->owns;
  for (AapBlock *b;
       (b = aap_owns_from(owns, span.first)) != NULL && mal_span_overlaps(b->span, span);) {
    MalSpan part;
    mal_span_intersect(b->span, span, &part);
    cut(zone, b, part);
    reconcile(zone, part, NULL, AAP_GONE_CONFLICT);
    aap_conflict_forget(zone, part);
  }
}

/* ---- time ------------------------------------------------------------------------------------ */

static void end_block(AapZone *zone, AapBlock *block)
{
  MalSpan span = block->span;
  MalTime end = block->kept ? block->end : block->next_end;
  bool kept = block->kept;
  if (kept)
    aap_conflict_bury(zone, block);
  drop(zone, block);
  reconcile(zone, span, NULL, AAP_GONE_ENDED);
  if (!kept)
    return;
  aap_record_ended(zone->record, span, end);
  aap_defences_allocation_ended(zone, span);
  aap_zone_note(zone, AAP_NOTE_ENDED, span, (MalEndpoint){ 0 }, (uint64_t)mal_span_size(span));
}

static void run_ends(AapZone *zone)
{
  g_autoptr(GPtrArray) blocks = all(zone->owns);
  zone->owns->next_end = MAL_FOREVER;
  for (guint i = 0; i < blocks->len; i++) {
    AapBlock *block = g_ptr_array_index(blocks, i);
    if (aap_time_ended(block->kept ? block->end : block->next_end, zone->now.wall))
      end_block(zone, block);
    else
      reconcile(zone, block->span, block, AAP_GONE_ENDED);
  }
}

static void run_retries(AapZone *zone)
{
  g_autoptr(GPtrArray) blocks = all(zone->owns);
  zone->owns->retry = AAP_NEVER;
  for (guint i = 0; i < blocks->len; i++) {
    AapBlock *block = g_ptr_array_index(blocks, i);
    if (block->retry <= zone->now.mono)
      write_block(zone, block);
    else
      zone->owns->retry = MIN(zone->owns->retry, block->retry);
  }
}

void aap_owns_run(AapZone *zone)
{
  AapOwns *owns = zone->owns;
  if (aap_time_ended(owns->next_end, zone->now.wall))
    run_ends(zone);
  if (owns->retry <= zone->now.mono)
    run_retries(zone);
  aap_conflict_run(zone);
  if (!zone->listening)
    aap_announce_run(zone);
}

static int64_t mono_of(const AapZone *zone, MalTime end)
{
  if (end >= zone->now.wall + G_MAXINT32)
    return AAP_NEVER;
  return zone->now.mono + MAX(end - zone->now.wall, 0) * AAP_US;
}

int64_t aap_owns_due(const AapOwns *owns)
{
  int64_t due = MIN(mono_of(owns->zone, owns->next_end), owns->retry);
  due = MIN(due, aap_conflict_due(owns));
  return owns->zone->listening ? due : MIN(due, aap_announce_due(owns));
}

void aap_owns_started(AapZone *zone)
{
  aap_announce_started(zone);
}

/* An entry that came back with an ASA, and that somebody allocated while it was away, is lost. */
static void lost_while_away(MalSpan span, MalTime end, MalEndpoint peer, int64_t heard, void *data)
{
  (void)end;
  (void)peer;
  (void)heard;
  aap_spans_add(data, span);
}

static void came_back(AapZone *zone, GArray *lost)
{
  for (GTreeNode *n = g_tree_node_first(zone->owns->blocks); n != NULL; n = g_tree_node_next(n)) {
    const AapBlock *block = g_tree_node_value(n);
    g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(AapExtent));
    if (!block->kept || block->ending)
      continue;
    aap_owns_effective(zone, block->span, block->end, collect, extents);
    for (guint i = 0; i < extents->len; i++) {
      MalSpan span = g_array_index(extents, AapExtent, i).span;
      if (!aap_intervals_overlaps(zone->owns->told, span))
        aap_record_foreign(zone->record, span, zone->now, lost_while_away, lost);
    }
  }
}

void aap_owns_available_changed(AapZone *zone)
{
  AapOwns *owns = zone->owns;
  g_autoptr(GArray) lost = aap_spans_new();
  if (zone->started)
    came_back(zone, lost);
  for (guint i = 0; i < lost->len; i++)
    aap_owns_lose(zone, g_array_index(lost, MalSpan, i));
  g_autoptr(GPtrArray) blocks = all(owns);
  for (guint i = 0; zone->started && i < blocks->len; i++) {
    AapBlock *block = g_ptr_array_index(blocks, i);
    reconcile(zone, block->span, block, AAP_GONE_UNAVAILABLE);
  }
}
