/* What servers said they lack (ANA), as a prefix coordinator remembers it until a report of use
   says it all again (draft-ietf-malloc-aap-04 3.2.9, 3.2.10.3). */
#ifndef AAP_WANTED_H
#define AAP_WANTED_H

#include "aap-params.h"

G_BEGIN_DECLS

typedef struct AapWanted AapWanted;

AapWanted *aap_wanted_new(void);
void aap_wanted_free(AapWanted *wanted);
/* False: it was said before, or there are too many. */
bool aap_wanted_heard(AapWanted *wanted, MalEndpoint from, uint32_t rseq, uint64_t count,
                      MalTime end);
/* In all, and the latest END; what has ended is forgotten. */
uint64_t aap_wanted_sum(AapWanted *wanted, MalTime now, MalTime *end);
void aap_wanted_clear(AapWanted *wanted);
void aap_wanted_clock_stepped(AapWanted *wanted, int64_t delta);

G_END_DECLS
#endif
