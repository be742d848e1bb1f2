/* One range becomes two, and two become one. */
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

static bool can_join(const MalSpace *space, const MalRange *lower, const MalRange *upper,
                     const char *source)
{
  MalSpan both = { lower->span.first, upper->span.last };
  const MalRange *outer = mal_space_containing(space, MAL_LEVEL_AVAILABLE, both.first);
  return lower->scope == upper->scope && lower->until == upper->until &&
         strcmp(lower->source, source) == 0 && strcmp(upper->source, source) == 0 && outer &&
         mal_span_contains(outer->span, both);
}

bool mal_space_join_owned(MalSpace *space, MalAddress at, const char *source)
{
  MalAddress before;
  const MalRange *upper = mal_space_containing(space, MAL_LEVEL_OWNED, at), *lower = NULL;
  if (mal_address_sub(at, 1, &before))
    lower = mal_space_containing(space, MAL_LEVEL_OWNED, before);
  if (!upper || !lower || upper == lower || mal_space_is_mirrored(space) ||
      !can_join(space, lower, upper, source))
    return false;
  unsigned i = space_lower_bound(space, MAL_LEVEL_OWNED, upper->scope, at);
  Entry *gone = g_ptr_array_steal_index(space->levels[MAL_LEVEL_OWNED], i);
  space_entry_at(space, MAL_LEVEL_OWNED, i - 1)->range.span.last = gone->range.span.last;
  space_tell(space, MAL_SPACE_JOINED, &gone->range);
  space_entry_free(gone);
  return true;
}
