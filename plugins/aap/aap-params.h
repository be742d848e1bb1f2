/* What all machines of AAP share: the two clocks that they are given, the constants of Appendix B,
   the local parameters, and the sequence numbers. Time fields of messages are seconds of the wall
   clock; timers run on the monotonic one, in microseconds. */
#ifndef AAP_PARAMS_H
#define AAP_PARAMS_H

#include "core/model.h"

G_BEGIN_DECLS

/* The instant of a step. WALL is in whole seconds since 1970, MONO in microseconds. */
typedef struct {
  int64_t mono;
  MalTime wall;
} AapNow;

#define AAP_NEVER INT64_MAX
#define AAP_US MAL_US /* the monotonic clock counts microseconds */

/* Wall-clock quantities are seconds (_s), all others microseconds. */
typedef struct {
  int64_t startup_wait, announce_wait, resend_wait, repeat_interval, asa_interval,
      asrp_interval; /* Appendix B */

  int64_t end_tolerance_s;   /* two end times within this are the same */
  int64_t asa_horizon_s;     /* coordinator: expiration-time - current-time */
  int64_t asa_max_horizon_s; /* an ASA that expires later is absurd */
  int64_t delete_grace_s;    /* how far ahead the end of what is given back is set */
  int64_t reuse_guard_s;     /* pause before an address is allocated anew */
  int64_t partition_cover_s; /* demand that the pool covers */
  int64_t own_lifetime_s;    /* of an own allocation when it is made or extended */
  int64_t claim_memory;      /* how long somebody's claim is avoided */
  int64_t prealloc_recent;   /* "announced recently" */
  int64_t echo_window;       /* telling a defence of one's own address from a conflict */
  unsigned claim_attempts;   /* rounds of ACLM for one request */
  uint32_t preallocate;      /* least size of the pool, addresses; 0: no pool */
  uint32_t block;            /* least size of an own allocation, addresses */
  size_t payload_limit;   /* of all messages but ASA; 0: 500 octets (what authentication adds is not
                             in it) */
  size_t max_entries;     /* of one Allocation Record */
  bool literal_conflicts; /* every AIU for an own address is a conflict */
  bool report;            /* takes part in ASRP */
  bool go_on_if_inconsistent; /* coordinator: goes on announcing against an inconsistent one */
} AapParams;

/* One counter for all scopes and types of a process (5.1.4); values that a running request still
   uses are skipped when it wraps. */
typedef struct AapSequence AapSequence;
AapSequence *aap_sequence_new(void);
void aap_sequence_free(AapSequence *sequence);
uint32_t aap_sequence_take(AapSequence *sequence); /* 0 first; stays taken until let go */
void aap_sequence_let_go(AapSequence *sequence, uint32_t rseq);
size_t aap_sequence_running(const AapSequence *sequence); /* how many are taken */

/* A range with its end time, corrected to our clock. */
typedef struct {
  MalSpan span;
  MalTime end;
} AapExtent;

G_END_DECLS
#endif
