/* When the file is written and BIRD is asked: a pure machine. One thing is under way at a time;
   what changes meanwhile is one change, for the next round. */
#ifndef BIRD_SYNC_H
#define BIRD_SYNC_H

#include "core/api.h"

#define BIRD_NEVER INT64_MAX

/* Microseconds. */
typedef struct {
  int64_t delay;              /* from a change to the file: others may follow it */
  int64_t interval;           /* between two reconfigurations at least */
  int64_t patience;           /* for BIRD's greeting, and for its answer */
  int64_t retry, retry_most;  /* after a failure; doubles with each further one */
} BirdTimes;

/*   IDLE      BIRD has what there is
     WAITING   for DUE: changes gather, or a failure is some time ago
     WRITING   the file is on its way to the disk
     CALLING   connecting, until BIRD's greeting
     ASKING    BIRD reads its configuration
     UNDOING   BIRD refused the file: the last good one is on its way to the disk, so that a BIRD
               that starts now does start */
typedef enum {
  BIRD_IDLE,
  BIRD_WAITING,
  BIRD_WRITING,
  BIRD_CALLING,
  BIRD_ASKING,
  BIRD_UNDOING,
  BIRD_N_STATES
} BirdState;

typedef enum {
  BIRD_CHANGED,               /* a route came, went, or the first start */
  BIRD_NOW,                   /* the operator doesn't want to wait */
  BIRD_DUE,                   /* DUE is reached */
  BIRD_SAME,                  /* to WRITE: it would be, or is, what BIRD has */
  BIRD_WRITTEN,               /* to WRITE or UNDO */
  BIRD_NOT_WRITTEN,
  BIRD_GREETED,
  BIRD_ACCEPTED,
  BIRD_REFUSED,               /* for what stands in the file */
  BIRD_LOST,                  /* no connection, or it ended, or an answer that is no such thing, or
                                 BIRD refuses for a reason that isn't in the file */
} BirdEvent;

/* To be done by the owner, who says then what came of it. Outside of CALLING and ASKING there is no
   connection: the owner closes it. */
typedef enum { BIRD_NOTHING, BIRD_WRITE, BIRD_CALL, BIRD_ASK, BIRD_UNDO } BirdAction;

typedef struct {
  BirdTimes times;
  BirdState state;
  bool changed;               /* since the file was last rendered */
  int64_t due;                /* BIRD_NEVER: nothing is waited for */
  int64_t asked;              /* last; BIRD_NEVER: not yet */
  unsigned failures;          /* in a row */
} BirdSync;

BirdSync bird_sync(BirdTimes times);
BirdAction bird_sync_step(BirdSync *sync, BirdEvent event, int64_t now);
const char *bird_state_name(BirdState state);

#endif
