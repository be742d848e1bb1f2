/* One range becomes two. */
#include "space-internal.h"

#include <string.h>

static Entry *entry_of(const MalSpace *space, MalLevel level, const MalRange *range)
{
  return space_entry_at(space, level,
                        space_lower_bound(space, level, range->scope, range->span.first));
}

static void split(MalSpace *space, MalLevel level, const MalRange *range, MalAddress at,
                  const char *name)
{
  Entry *lower = entry_of(space, level, range), *upper = g_new0(Entry, 1);
  upper->range = lower->range;
  upper->range.span.first = at;
  upper->range.name = upper->name = g_strdup(name);
  upper->range.source = upper->source = g_strdup(lower->source);
  upper->range.derived_from = upper->derived_from = g_strdup(lower->derived_from);
  mal_address_sub(at, 1, &lower->range.span.last);
  g_ptr_array_insert(space->levels[level],
                     (int)space_lower_bound(space, level, upper->range.scope, at), upper);
  space_tell(space, MAL_SPACE_SPLIT, &upper->range);
}

static const MalRange *across(const MalSpace *space, MalLevel level, MalAddress at)
{
  const MalRange *range = mal_space_containing(space, level, at);
  return range && !mal_address_equal(range->span.first, at) ? range : NULL;
}

/* What is owned first: it lies within one available range at every instant. */
bool mal_space_split(MalSpace *space, MalAddress at, const char *source)
{
  const MalRange *range = across(space, MAL_LEVEL_AVAILABLE, at);
  const MalRange *owned = across(space, MAL_LEVEL_OWNED, at);
  if (!range || strcmp(range->source, source) != 0)
    return false;
  if (owned)
    split(space, MAL_LEVEL_OWNED, owned, at, owned->name);
  split(space, MAL_LEVEL_AVAILABLE, range, at, range->name);
  return true;
}

bool mal_space_split_owned(MalSpace *space, MalAddress at, const char *name, const char *source)
{
  const MalRange *owned = across(space, MAL_LEVEL_OWNED, at);
  if (!owned || mal_space_is_mirrored(space) || strcmp(owned->source, source) != 0)
    return false;
  split(space, MAL_LEVEL_OWNED, owned, at, name);
  return true;
}
