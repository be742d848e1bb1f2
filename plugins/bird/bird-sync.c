#include "bird-sync.h"

BirdSync bird_sync(BirdTimes times)
{
  return (BirdSync){ .times = times, .due = BIRD_NEVER, .asked = BIRD_NEVER };
}

const char *bird_state_name(BirdState state)
{
  static const char *const names[BIRD_N_STATES] = {
    [BIRD_IDLE] = "in step",         [BIRD_WAITING] = "waiting",
    [BIRD_WRITING] = "writing the file", [BIRD_CALLING] = "connecting",
    [BIRD_ASKING] = "asking BIRD",   [BIRD_UNDOING] = "undoing the file",
  };
  return names[state];
}

/* The earliest instant for what changed just now. At first it is what changed while nobody looked
   after the file. */
static int64_t soon(const BirdSync *sync, int64_t now)
{
  return sync->asked == BIRD_NEVER && sync->failures == 0
             ? now
             : MAX(now + sync->times.delay,
                   sync->asked == BIRD_NEVER ? now : sync->asked + sync->times.interval);
}

static BirdAction wait_until(BirdSync *sync, int64_t due)
{
  sync->state = BIRD_WAITING;
  sync->due = due;
  return BIRD_NOTHING;
}

static BirdAction fail(BirdSync *sync, int64_t now)
{
  int64_t pause = sync->times.retry;
  for (unsigned i = 0; i < sync->failures && pause < sync->times.retry_most; i++)
    pause *= 2;
  sync->failures++;
  wait_until(sync, now + MIN(pause, sync->times.retry_most));
  /* What changed meanwhile doesn't wait so long: a BIRD that starts reads the file. */
  if (sync->changed)
    sync->due = MIN(sync->due, soon(sync, now));
  return BIRD_NOTHING;
}

static BirdAction succeed(BirdSync *sync, int64_t now)
{
  sync->failures = 0;
  if (sync->changed)
    return wait_until(sync, soon(sync, now));
  sync->state = BIRD_IDLE;
  sync->due = BIRD_NEVER;
  return BIRD_NOTHING;
}

static BirdAction enter(BirdSync *sync, BirdState state, int64_t due, BirdAction action)
{
  sync->state = state;
  sync->due = due;
  return action;
}

/* The delay counts from the first change: later ones don't put it off. */
static BirdAction change(BirdSync *sync, int64_t now)
{
  bool first = !sync->changed;
  sync->changed = true;
  if (sync->state == BIRD_IDLE || (sync->state == BIRD_WAITING && first))
    wait_until(sync, MIN(sync->due, soon(sync, now)));
  return BIRD_NOTHING;
}

static BirdAction reach_due(BirdSync *sync, int64_t now)
{
  if (now < sync->due)
    return BIRD_NOTHING;
  if (sync->state == BIRD_CALLING || sync->state == BIRD_ASKING)
    return fail(sync, now);
  if (sync->state != BIRD_WAITING)
    return BIRD_NOTHING;
  sync->changed = false;
  return enter(sync, BIRD_WRITING, BIRD_NEVER, BIRD_WRITE);
}

static BirdAction step_written(BirdSync *sync, int64_t now)
{
  if (sync->state == BIRD_UNDOING)
    return fail(sync, now);
  if (sync->state != BIRD_WRITING)
    return BIRD_NOTHING;
  sync->asked = now;
  return enter(sync, BIRD_CALLING, now + sync->times.patience, BIRD_CALL);
}

static bool has_call(const BirdSync *sync)
{
  return sync->state == BIRD_CALLING || sync->state == BIRD_ASKING;
}

BirdAction bird_sync_step(BirdSync *sync, BirdEvent event, int64_t now)
{
  switch (event) {
  case BIRD_CHANGED:
    return change(sync, now);
  case BIRD_NOW:
    if (sync->state == BIRD_IDLE || sync->state == BIRD_WAITING)
      return wait_until(sync, now);
    sync->changed = true;
    return BIRD_NOTHING;
  case BIRD_DUE:
    return reach_due(sync, now);
  case BIRD_SAME:
    return sync->state == BIRD_WRITING ? succeed(sync, now) : BIRD_NOTHING;
  case BIRD_WRITTEN:
    return step_written(sync, now);
  case BIRD_NOT_WRITTEN:
    return sync->state == BIRD_WRITING || sync->state == BIRD_UNDOING ? fail(sync, now)
                                                                      : BIRD_NOTHING;
  case BIRD_GREETED:
    if (sync->state != BIRD_CALLING)
      return BIRD_NOTHING;
    return enter(sync, BIRD_ASKING, now + sync->times.patience, BIRD_ASK);
  case BIRD_ACCEPTED:
    return sync->state == BIRD_ASKING ? succeed(sync, now) : BIRD_NOTHING;
  case BIRD_REFUSED:
    if (sync->state != BIRD_ASKING)
      return BIRD_NOTHING;
    return enter(sync, BIRD_UNDOING, BIRD_NEVER, BIRD_UNDO);
  case BIRD_LOST:
    return has_call(sync) ? fail(sync, now) : BIRD_NOTHING;
  }
  g_assert_not_reached();
}
