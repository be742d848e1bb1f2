/* The space's inside, shared by core/space*.c only. */
#ifndef MAL_SPACE_INTERNAL_H
#define MAL_SPACE_INTERNAL_H

#include "space.h"

typedef struct {
  MalRange range;
  char *name;
  char *source;
  char *derived_from;
} Entry;

typedef struct {
  unsigned id;
  MalSpaceFunc func;
  void *data;
} Watch;

typedef struct {
  uint64_t ticket;
  char *scope;
  MalSpan span;
  MalTime until;
  uint64_t count;               /* what was wanted, and until when */
  MalTime wanted_until;
} Candidate;

struct MalSpace {
  MalScopeSet *scopes;
  GPtrArray *levels[2];         /* Entry, by scope and address */
  GArray *watches;
  unsigned last_watch;
  unsigned telling;
  MalArbiter arbiter;
  void *arbiter_data;
  MalAcquire acquire;
  MalAdopt adopt;
  void *acquire_data;
  MalDeny deny;
  void *deny_data;
  GHashTable *listening;        /* id of a scope -> MalTime, while layer 2 listens; or NULL */
  MalUsage usage;
  void *usage_data;
  MalLeaseUsage lease_usage;
  void *lease_usage_data;
  MalVouch vouch;
  void *vouch_data;
  void (*vouch_again)(void *data);
  void *vouch_again_data;
  MalDemand demand[2];
  void *demand_data[2];
  GArray *candidates;           /* what the arbiter thinks about */
  uint64_t last_ticket;
};

void space_entry_free(void *entry);
Entry *space_entry_at(const MalSpace *space, MalLevel level, unsigned i);
/* Where a range beginning at FIRST in SCOPE stands or would stand. */
unsigned space_lower_bound(const MalSpace *space, MalLevel level, const MalScope *scope,
                           MalAddress first);
void space_tell(MalSpace *space, MalSpaceChange what, const MalRange *range);
const MalRange *space_overlapping_in(const MalSpace *space, MalLevel level, const MalScope *scope,
                                     MalSpan span);
const MalRange *space_overlapping(const MalSpace *space, MalLevel level, MalSpan span);
void space_insert(MalSpace *space, const MalRange *range);
void space_drop(MalSpace *space, MalLevel level, unsigned at);
/* What is owned of AVAILABLE ends no later. */
void space_clip_owned(MalSpace *space, const MalRange *available);

/* space-stand-in.c: is all that is available in SPAN there only until something else is, that
   SOURCE brings? And: what is leaves SPAN to that; what is owned stays. */
bool space_may_give_way(const MalSpace *space, MalSpan span, const char *source);
void space_give_way(MalSpace *space, MalSpan span);

#endif
