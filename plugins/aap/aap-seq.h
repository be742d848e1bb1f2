/* AAP's sequence numbers (draft-ietf-malloc-aap-04 sections 5.1.4, 5.1.5): rseq numbers a sender's
   requests, over all scopes and types, mseq the messages of one request. Receivers tie messages of
   one request together by rseq, and estimate loss; nobody orders or drops messages by them. */
#ifndef AAP_SEQ_H
#define AAP_SEQ_H

#include "aap-wire.h"

G_BEGIN_DECLS

/* ---- sending --------------------------------------------------------------------------------- */

/* A sender's counter. Starts at {0} and is not stored: after a restart the first rseq is 0
   again. */
typedef struct {
  uint32_t next;
} AapRseq;

/* Whether a running request uses RSEQ. */
typedef bool (*AapRseqInUse)(uint32_t rseq, void *data);

/* The number of the next request. After a wrap those still IN_USE (may be NULL: none is) are
   skipped; there are always fewer of these than numbers. */
uint32_t aap_rseq_take(AapRseq *counter, AapRseqInUse in_use, void *data);
uint32_t aap_rseq_next(uint32_t rseq);              /* 0xFFFFFF is followed by 0 */
uint8_t aap_mseq_next(uint8_t mseq);                /* 255 is followed by 0 */
/* How far B is after A: -2^23 to 2^23 - 1, and -128 to 127. */
int32_t aap_rseq_distance(uint32_t a, uint32_t b);
int aap_mseq_distance(uint8_t a, uint8_t b);

/* ---- loss, as one receiver sees one sender --------------------------------------------------- */

#define AAP_LOSS_WINDOW 32

/* Starts as {0}. The last AAP_LOSS_WINDOW requests are remembered. */
typedef struct {
  struct {
    uint32_t rseq;
    uint8_t mseq;           /* highest heard */
    uint8_t state;          /* 0 empty, 1 skipped (one message taken for lost), 2 heard */
  } requests[AAP_LOSS_WINDOW];
  uint32_t highest;         /* rseq */
  bool started;
  bool settled;             /* what is ahead of HIGHEST began after we listened */
  uint64_t received;        /* messages heard, repetitions by the network included */
  uint64_t lost;            /* messages that must have been sent and were not heard */
  uint64_t repeated;        /* heard twice */
  uint64_t restarts;        /* the sender began anew, or was away for more than the window */
} AapLoss;

/* Takes one message of the sender into account. An estimate: of a request never heard at all one
   message is taken for lost, and nothing is said of a request's last messages, of the time before
   the first message, of gaps beyond the window, and of requests older than that. */
void aap_loss_heard(AapLoss *loss, uint32_t rseq, uint8_t mseq);
/* Share of messages lost, 0 to 1; 0 where none was heard. */
double aap_loss_share(const AapLoss *loss);

G_END_DECLS
#endif
