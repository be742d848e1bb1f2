/* What layer 2 took over from others, and layer 3's word on it. */
#include "space-internal.h"

bool mal_space_vouch(MalSpace *space, const MalScope *scope, const MalSpan *spans, size_t n,
                     MalVouchFunc func, void *to)
{
  if (!space->vouch)
    return false;
  space->vouch(scope, spans, n, func, to, space->vouch_data);
  return true;
}

void mal_space_set_vouch(MalSpace *space, MalVouch func, void *data)
{
  space->vouch = func;
  space->vouch_data = data;
}

void mal_space_vouch_again(MalSpace *space)
{
  if (space->vouch_again)
    space->vouch_again(space->vouch_again_data);
}

void mal_space_on_vouch(MalSpace *space, void (*func)(void *data), void *data)
{
  space->vouch_again = func;
  space->vouch_again_data = data;
}
