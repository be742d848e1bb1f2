/* Ranges that are available only until something else says so give way to it. */
#include "space-internal.h"

#include <string.h>

bool space_may_give_way(const MalSpace *space, MalSpan span, const char *source)
{
  if (mal_space_is_mirrored(space))
    return false;
  for (unsigned i = 0; i < space->levels[MAL_LEVEL_AVAILABLE]->len; i++) {
    const MalRange *range = &space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range;
    if (mal_span_overlaps(range->span, span) &&
        (!range->stand_in || strcmp(range->source, source) == 0))
      return false;
  }
  return true;
}

static void split(MalSpace *space, MalAddress at)
{
  const MalRange *range = mal_space_containing(space, MAL_LEVEL_AVAILABLE, at);
  if (range)
    mal_space_split(space, at, range->source);
}

/* What lies beside SPAN stays, and so do leases on both sides of its edges. */
void space_give_way(MalSpace *space, MalSpan span)
{
  MalAddress behind;
  split(space, span.first);
  if (mal_address_add(span.last, 1, &behind))
    split(space, behind);
  for (unsigned i = space->levels[MAL_LEVEL_AVAILABLE]->len; i-- > 0;)
    if (mal_span_overlaps(space_entry_at(space, MAL_LEVEL_AVAILABLE, i)->range.span, span))
      space_drop(space, MAL_LEVEL_AVAILABLE, i);
}
