/* What of a large scope is allocated in the domain, as a prefix coordinator overhears it: for layer
   3, which foresees what will be wanted. Servers say it themselves (AIU), and one of them how much
   it is in all (ASRP, draft-ietf-malloc-aap-04 3.2.10.3). A pure machine; nothing of it is stored,
   since every server repeats it soon. */
#ifndef AAP_USED_H
#define AAP_USED_H

#include "aap-params.h"
#include "aap-wire.h"

G_BEGIN_DECLS

typedef struct AapUsed AapUsed;

AapUsed *aap_used_new(MalSpan scope, const AapParams *params);
void aap_used_free(AapUsed *used);
void aap_used_heard(AapUsed *used, const AapMessage *msg, AapNow now);
void aap_used_clock_stepped(AapUsed *used, int64_t delta);
/* Pieces that overlap SPAN: N of its addresses, until END. A range of which more was reported than
   is known by AIU is one piece, of the reported count. */
typedef void (*AapUsedFunc)(MalSpan span, uint64_t n, MalTime end, void *data);
void aap_used_each(const AapUsed *used, MalSpan span, AapNow now, AapUsedFunc func, void *data);

G_END_DECLS
#endif
