/* Ranges that are available only until something else says so give way to it. */
#include "space-internal.h"

bool space_may_give_way(const MalSpace *space, MalSpan span)
{
  if (mal_space_is_mirrored(space))
    return false;
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++) {
    const MalRange *range = &space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (mal_span_overlaps(range->span, span) && !range->stand_in)
      return false;
  }
  return true;
}

/* Partly in SPAN: no owned range may lie in two available ones. */
static bool is_cut(MalSpan owned, MalSpan span)
{
  return mal_span_overlaps(owned, span) && !mal_span_contains(span, owned);
}

static void drop_cut(MalSpace *space, MalSpan span)
{
  for (unsigned i = space->levels[MAL_LEVEL_OWNED]->len; i-- > 0;)
    if (is_cut(space_entry_at(space, MAL_LEVEL_OWNED, i)->range.span, span))
      space_drop(space, MAL_LEVEL_OWNED, i);
}

/* What is left of RANGE beside SPAN. */
static void keep_beside(MalSpace *space, const MalRange *range, MalSpan span)
{
  MalRange left = *range, right = *range;
  if (mal_address_compare(range->span.first, span.first) < 0 &&
      mal_address_sub(span.first, 1, &left.span.last))
    space_insert(space, &left);
  if (mal_address_compare(range->span.last, span.last) > 0 &&
      mal_address_add(span.last, 1, &right.span.first))
    space_insert(space, &right);
}

/* Watchers keep nothing of what is dropped, but the dropped range itself goes. */
static void give_way(MalSpace *space, unsigned at, MalSpan span)
{
  MalRange range = space_entry_at(space, MAL_LEVEL_AVAILABLE, at)->range;
  g_autofree char *name = g_strdup(range.name), *source = g_strdup(range.source),
                  *derived_from = g_strdup(range.derived_from);
  range.name = name;
  range.source = source;
  range.derived_from = derived_from;
  space_drop(space, MAL_LEVEL_AVAILABLE, at);
  keep_beside(space, &range, span);
}

void space_give_way(MalSpace *space, MalSpan span)
{
  drop_cut(space, span);
  for (unsigned i = space->levels[MAL_LEVEL_AVAILABLE]->len; i-- > 0;)
    if (mal_span_overlaps(space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range.span, span))
      give_way(space, i, span);
}
