/* Who was heard: for people. Bounded; the one silent for longest gives way. */
#ifndef AAP_PEERS_H
#define AAP_PEERS_H

#include "aap-params.h"
#include "aap-seq.h"

G_BEGIN_DECLS

#define AAP_PEERS_MOST 4096

typedef struct AapPeers AapPeers;

typedef struct {
  MalEndpoint endpoint;
  int64_t heard;           /* monotonic */
  int64_t skew;            /* its clock is so many seconds ahead of ours */
  uint64_t messages[AAP_N_TYPES];
  AapLoss loss;
  uint64_t sender;         /* of its authentication; 0: none */
} AapPeer;

AapPeers *aap_peers_new(void);
void aap_peers_free(AapPeers *peers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AapPeers, aap_peers_free)
/* DELTA: aap_time_delta of the message. */
const AapPeer *aap_peers_heard(AapPeers *peers, MalEndpoint from, const AapMessage *msg,
                               int64_t delta, uint64_t sender, int64_t mono);
size_t aap_peers_count(const AapPeers *peers);
/* By address; the caller unrefs: array of AapPeer. */
GArray *aap_peers_list(const AapPeers *peers);

G_END_DECLS
#endif
