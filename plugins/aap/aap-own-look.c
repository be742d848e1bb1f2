/* Own allocations, looked at; and the end times that were advertised for one. */
#include "aap-own-private.h"

#include "aap-time.h"

#include <string.h>

/* ---- advertised end times -------------------------------------------------------------------- */

static void remove_end(AapAdvertised *ends, unsigned at)
{
  memmove(&ends->ends[at], &ends->ends[at + 1], (ends->n - at - 1) * sizeof ends->ends[0]);
  ends->n--;
}

/* An hour after it passed nobody can take one for unended, however its clock is set right. */
void aap_advertised_add(AapAdvertised *ends, MalTime end, MalTime now)
{
  if (ends->n > 0 && ends->ends[ends->n - 1] == end)
    return;
  for (unsigned i = ends->n; i-- > 0;)
    if (ends->ends[i] == end || mal_time_add(ends->ends[i], 3600) < now)
      remove_end(ends, i);
  if (ends->n == G_N_ELEMENTS(ends->ends))
    remove_end(ends, 1);
  ends->ends[ends->n++] = end;
}

bool aap_advertised_match(const AapAdvertised *ends, MalTime end, int64_t tolerance)
{
  for (unsigned i = 0; i < ends->n; i++)
    if (aap_time_same(ends->ends[i], end, tolerance))
      return true;
  return ends->before_restart != MAL_BEGINNING &&
         end <= mal_time_add(ends->before_restart, tolerance);
}

/* Others keep them in clocks of their own: a step of ours moves them, as it moves what others say
   (5.3.1). */
void aap_advertised_shift(AapAdvertised *ends, int64_t delta)
{
  for (unsigned i = 0; i < ends->n; i++)
    ends->ends[i] = mal_time_add(ends->ends[i], delta);
  if (ends->before_restart != MAL_BEGINNING)
    ends->before_restart = mal_time_add(ends->before_restart, delta);
}

void aap_owns_clock_stepped(AapZone *zone, int64_t delta)
{
  AapOwns *owns = zone->owns;
  for (GTreeNode *n = g_tree_node_first(owns->blocks); n != NULL; n = g_tree_node_next(n)) {
    AapBlock *block = g_tree_node_value(n);
    aap_advertised_shift(&block->ends, delta);
    if (block->kept)
      aap_advertised_add(&block->ends, block->end, zone->now.wall);
  }
  aap_conflict_clock_stepped(owns, delta);
}

/* ---- each ------------------------------------------------------------------------------------ */

typedef struct {
  MalSpan span;
  AapOwnFunc func;
  void *data;
} Cut;

static void within(MalSpan span, MalTime end, void *data)
{
  const Cut *cut = data;
  MalSpan part;
  if (mal_span_intersect(span, cut->span, &part))
    cut->func(part, end, cut->data);
}

void aap_owns_each(const AapZone *zone, MalSpan span, bool kept_only, AapOwnFunc func, void *data)
{
  Cut cut = { span, func, data };
  for (const AapBlock *b = aap_owns_from(zone->owns, span.first);
       b != NULL && mal_span_overlaps(b->span, span); b = aap_owns_after(zone->owns, b))
    if (b->kept || !kept_only)
      aap_owns_effective(zone, b->span, b->end, within, &cut);
}

static AapOwnBlock shown(const AapZone *zone, const AapBlock *block)
{
  return (AapOwnBlock){ .span = block->span,
                        .end = block->end,
                        .writing = !block->kept,
                        .suspended = aap_conflict_is_suspended(zone->owns, block->span),
                        .ending = block->ending };
}

/* FUNC may change what it is shown. */
void aap_owns_each_block(const AapZone *zone, void (*func)(const AapOwnBlock *block, void *data),
                         void *data)
{
  g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(AapOwnBlock));
  for (GTreeNode *n = g_tree_node_first(zone->owns->blocks); n != NULL; n = g_tree_node_next(n)) {
    AapOwnBlock block = shown(zone, g_tree_node_value(n));
    g_array_append_val(blocks, block);
  }
  for (guint i = 0; i < blocks->len; i++)
    func(&g_array_index(blocks, AapOwnBlock, i), data);
}

static uint64_t plus(uint64_t sum, MalU128 n)
{
  return n > UINT64_MAX - sum ? UINT64_MAX : sum + (uint64_t)n;
}

typedef struct {
  const AapZone *zone;
  AapZoneUsage *usage;
} Count;

static void count_told(MalSpan span, void *value, void *data)
{
  const Count *count = data;
  uint64_t leased = 0, more = 0;
  (void)value;
  count->zone->ops->use(count->zone->user, (AapZone *)(uintptr_t)count->zone, span, &leased, &more);
  count->usage->own = plus(count->usage->own, mal_span_size(span));
  count->usage->own_free = plus(count->usage->own_free, more);
}

void aap_owns_usage(const AapZone *zone, AapZoneUsage *usage)
{
  Count count = { zone, usage };
  aap_intervals_each(zone->owns->told, zone->span, count_told, &count);
  usage->own_blocks = (size_t)g_tree_nnodes(zone->owns->blocks);
  usage->announcements = zone->owns->announcements->len;
}

/* ---- entries --------------------------------------------------------------------------------- */

typedef struct {
  const AapZone *zone;
  AapEntryKind kind;
  AapEntryFunc func;
  void *data;
} Look;

static void show(MalSpan span, MalTime end, void *data)
{
  const Look *look = data;
  look->func(&(AapEntry){ .kind = look->kind,
                          .span = span,
                          .end = end,
                          .suspended = aap_conflict_is_suspended(look->zone->owns, span) },
             look->data);
}

void aap_owns_each_entry(const AapZone *zone, AapEntryFunc func, void *data)
{
  Look look = { zone, AAP_ENTRY_OWN, func, data };
  for (GTreeNode *n = g_tree_node_first(zone->owns->blocks); n != NULL; n = g_tree_node_next(n)) {
    const AapBlock *block = g_tree_node_value(n);
    look.kind = block->kept ? AAP_ENTRY_OWN : AAP_ENTRY_OWN_WRITING;
    aap_owns_effective(zone, block->span, block->end, show, &look);
  }
  for (guint i = 0; i < zone->owns->tombstones->len; i++) {
    const AapTombstone *stone = &g_array_index(zone->owns->tombstones, AapTombstone, i);
    AapEntry entry = { .kind = AAP_ENTRY_TOMBSTONE, .span = stone->span, .end = stone->end };
    func(&entry, data);
  }
}

/* ---- invariants ------------------------------------------------------------------------------ */

static void check_block(const AapZone *zone, const AapBlock *block, const AapBlock *before)
{
  char text[MAL_SPAN_STRLEN];
  mal_span_format(block->span, text);
  if (before != NULL && mal_address_compare(before->span.last, block->span.first) >= 0)
    g_error("own block %s overlaps the one before it", text);
  if (!mal_span_contains(zone->span, block->span))
    g_error("own block %s is outside its scope", text);
  if (block->announcement != NULL && !block->kept)
    g_error("own block %s is announced before it is on the disk", text);
  if (!zone->listening && block->kept && block->announcement == NULL &&
      !aap_time_ended(block->end, zone->now.wall))
    g_error("own block %s is announced by no message", text);
}

static void check_told(MalSpan span, void *value, void *data)
{
  const AapZone *zone = data;
  g_autoptr(GArray) rest = aap_spans_new();
  char text[MAL_SPAN_STRLEN];
  (void)value;
  aap_spans_add(rest, span);
  for (const AapBlock *b = aap_owns_from(zone->owns, span.first);
       b != NULL && mal_span_overlaps(b->span, span); b = aap_owns_after(zone->owns, b))
    if (b->kept && !b->ending)
      aap_spans_subtract(rest, b->span);
  if (rest->len > 0)
    g_error("layer 1 believes to own %s", mal_span_format(g_array_index(rest, MalSpan, 0), text));
}

void aap_owns_check(const AapZone *zone)
{
  const AapBlock *before = NULL;
  for (GTreeNode *n = g_tree_node_first(zone->owns->blocks); n != NULL; n = g_tree_node_next(n)) {
    const AapBlock *block = g_tree_node_value(n);
    check_block(zone, block, before);
    before = block;
  }
  aap_intervals_each(zone->owns->told, zone->span, check_told, (void *)(uintptr_t)zone);
}
