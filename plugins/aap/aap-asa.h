/* Large scopes, inside: shared by aap-asa.c, aap-asrp.c and aap-ana.c only. */
#ifndef AAP_ASA_H
#define AAP_ASA_H

#include "aap-zone-private.h"

/* An address request of ours that is being sent (3.2.9). */
typedef struct {
  uint32_t rseq;
  uint8_t mseq;
  uint32_t count;
  MalTime end;
  int64_t next, interval, stop; /* NEXT AAP_NEVER: not sent any more, still outstanding */
} AapAna;

struct AapSpace {
  AapSequence *sequence;
  /* The ASA processed last, adjusted (3.2.10.1). */
  uint8_t *payload;
  size_t length;
  GArray *ranges;   /* AapExtent, united, sorted */
  GArray *listed;   /* MalSpan as they came, for ASRP */
  MalTime expires;  /* MAL_BEGINNING: none */
  MalTime received; /* our wall clock */
  bool told_expired;
  int64_t expiry; /* monotonic: when to look whether it has expired */
  int64_t resend; /* ASA Resend timer */
  int64_t report; /* ASRP Send timer */
  GArray *anas;   /* AapAna */
};

int64_t aap_ana_due(const AapSpace *space);
void aap_ana_run(AapZone *zone);
void aap_ana_satisfy(AapZone *zone);
void aap_asrp_send(AapZone *zone);
/* How many addresses of SPAN are allocated by anybody, ourselves included, each counted once. */
MalU128 aap_space_in_use(const AapZone *zone, MalSpan span);

#endif
