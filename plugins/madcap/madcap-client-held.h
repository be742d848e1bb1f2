/* A lease that the client holds for a local program: when it is renewed, when it ends, and how it
   is written down. Pure, as the rest of the client machine. */
#ifndef MADCAP_CLIENT_HELD_H
#define MADCAP_CLIENT_HELD_H

#include "madcap-client.h"

G_BEGIN_DECLS

typedef struct {
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
  char *scope; /* as the program named it */
  MalAddress scope_first;
  GArray *blocks; /* MalBlock */
  MalEndpoint server;
  MalAddress local;           /* ours, by which the server knows us; family NONE: any */
  char interface[16]; /* of a link-local server, else "" */
  MalTime start, end, granted;
  int64_t lifetime; /* to ask for again */
  bool renew;       /* until it is released */
  bool shared;
  /* in memory only */
  int64_t end_mono;
  MalTime
      due; /* next renewal, by either clock: the one that comes first counts; MAL_FOREVER: none */
  int64_t due_mono;
  bool busy;         /* a renewal or release is under way */
  unsigned failures; /* since it was last renewed */
} MadcapHeld;

MadcapHeld *madcap_held_new(void);
void madcap_held_free(MadcapHeld *held);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MadcapHeld, madcap_held_free)

static inline MalLeaseId madcap_held_id(const MadcapHeld *held)
{
  return (MalLeaseId){ held->id, held->id_length };
}

/* All below take a random number in [0, 1000], so that many clients' renewals don't meet. */
#define MADCAP_HELD_JITTER 1000

/* What a REQUEST or RENEW brought; plans the renewal at half of the time. */
void madcap_held_granted(MadcapHeld *held, const MadcapClientResult *result, MalTime now,
                         int64_t mono, unsigned jitter);
/* After a restart: anchors what was read from the disk to the clocks. */
void madcap_held_resume(MadcapHeld *held, MalTime now, int64_t mono, unsigned jitter);
/* A renewal failed: the next one at half of what remains, so at 3/4, 7/8, ... */
void madcap_held_failed(MadcapHeld *held, MalTime now, int64_t mono, unsigned jitter);

typedef enum { MADCAP_HELD_NOTHING, MADCAP_HELD_RENEW, MADCAP_HELD_ENDED } MadcapHeldStep;
/* What is to be done now. It has ended when both clocks say so: a step of the wall clock ends no
   lease. */
MadcapHeldStep madcap_held_step(const MadcapHeld *held, MalTime now, int64_t mono);
/* When to ask again (monotonic). */
int64_t madcap_held_due(const MadcapHeld *held, MalTime now, int64_t mono);

/* For the store; the caller unrefs. */
GByteArray *madcap_held_write(const MadcapHeld *held);
/* NULL with ERROR (MAL_ERROR_STORE) for what isn't a record of ours. */
MadcapHeld *madcap_held_read(MalLeaseId id, const uint8_t *value, size_t length, GError **error);

G_END_DECLS
#endif
