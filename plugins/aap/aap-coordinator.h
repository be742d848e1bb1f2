/* The prefix coordinator of one large scope: announces what the domain may use, leads or stands
   back (draft-ietf-malloc-aap-04 section 4). A pure machine, as aap-zone.h. */
#ifndef AAP_COORDINATOR_H
#define AAP_COORDINATOR_H

#include "aap-params.h"
#include "aap-used.h"
#include "aap-wire.h"

G_BEGIN_DECLS

typedef struct AapCoordinator AapCoordinator;

typedef enum {
  AAP_COORDINATOR_INIT,
  AAP_COORDINATOR_BACKUP,
  AAP_COORDINATOR_LEAD,
  AAP_COORDINATOR_SUSPENDED
} AapCoordinatorState;

typedef enum {
  AAP_CNOTE_LEADS,
  AAP_CNOTE_STANDS_BACK,
  AAP_CNOTE_INCONSISTENT,
  AAP_CNOTE_TOO_MANY_RANGES,
  AAP_CNOTE_ADOPTED,
  AAP_CNOTE_REPORT,
  AAP_CNOTE_REPORT_IGNORED,
  AAP_CNOTE_ANNOUNCED,
  AAP_N_CNOTES
} AapCoordinatorNote;

typedef struct {
  bool (*send)(void *user, AapCoordinator *coordinator, const AapMessage *msg);
  uint64_t (*random)(void *user, uint64_t low, uint64_t high);
  /* No ranges were known: those of an ASA that was heard are taken over (4.1), with adjusted ends.
     The caller hands them back by aap_coordinator_set_ranges where it wants them announced. */
  void (*adopted)(void *user, AapCoordinator *coordinator, const AapExtent *ranges, size_t n);
  /* COUNT more addresses are wanted in all: by a report (lead only; requests, or ranges in use to
     more than nine tenths) or by ANAs, which are remembered until a report counts or there is more
     to announce, and meanwhile said again every asrp-interval. */
  void (*demand)(void *user, AapCoordinator *coordinator, uint64_t count, MalTime end);
  void (*note)(void *user, AapCoordinator *coordinator, AapCoordinatorNote note, MalEndpoint peer,
               uint64_t n);
  /* Leaves of RANGES (AapExtent, sorted, disjoint) what may be taken over, since layer 3 knows
     better whether it is the domain's. NULL: all may. */
  void (*vouch)(void *user, AapCoordinator *coordinator, GArray *ranges);
} AapCoordinatorOps;

typedef struct {
  const char *scope;
  MalSpan span;
  const AapParams *params;
  AapSequence *sequence;
  const AapCoordinatorOps *ops;
  void *user;
} AapCoordinatorConfig;

AapCoordinator *aap_coordinator_new(const AapCoordinatorConfig *config);
void aap_coordinator_free(AapCoordinator *coordinator);
void aap_coordinator_start(AapCoordinator *coordinator, AapNow now);
/* The complete set that the domain may use; adjacent ranges of equal end are joined. More than 255:
   none is announced and the operator is told. A lead announces a changed set at once. */
void aap_coordinator_set_ranges(AapCoordinator *coordinator, const AapExtent *ranges, size_t n,
                                AapNow now);
void aap_coordinator_heard(AapCoordinator *coordinator, MalEndpoint from, const AapMessage *msg,
                           AapNow now);
int64_t aap_coordinator_due(const AapCoordinator *coordinator);
void aap_coordinator_run(AapCoordinator *coordinator, AapNow now);
void aap_coordinator_clock_stepped(AapCoordinator *coordinator, int64_t delta, AapNow now);
/* One that leads announces at once. True: it did. */
bool aap_coordinator_announce(AapCoordinator *coordinator, AapNow now);
/* RANGES were taken over and are not the domain's: where nothing else is announced, and no other
   coordinator is heard that does, servers are told at once that they are over. */
void aap_coordinator_take_back(AapCoordinator *coordinator, const AapExtent *ranges, size_t n,
                               AapNow now);
/* What of SPAN the domain's servers use, as far as this coordinator has heard. */
void aap_coordinator_each_use(const AapCoordinator *coordinator, MalSpan span, AapNow now,
                              AapUsedFunc func, void *data);
AapCoordinatorState aap_coordinator_state(const AapCoordinator *coordinator);
MalTime aap_coordinator_last_announced(
    const AapCoordinator *coordinator); /* MAL_BEGINNING: never */

G_END_DECLS
#endif
