/* What a node asks of an OPEN beyond its form (RFC 2909 7.2, 8.2, 10.1), and what both ends agree
   upon. Pure. */
#ifndef MASC_OPEN_H
#define MASC_OPEN_H

#include "masc-wire.h"

G_BEGIN_DECLS

/* What is configured of us and of the peer. Views. */
typedef struct {
  MascRole role;            /* what we are to the peer */
  MascId domain, node;      /* ours */
  MascId peer_domain;       /* 0: any, for an external peer */
  MascId peer_node;         /* 0: any */
  const MascId *parents;    /* our domain's; for siblings, those that the session may be about */
  size_t n_parents;         /* 0: we are a top-level domain */
} MascOpenRule;

/* 0 where OPEN, decoded from MESSAGE, is acceptable. Else the MascOpenError, and BUFFER has the
   NOTIFICATION to send before closing, with its length in *ANSWER: 0 where it does not fit, which
   MASC_MAX_LENGTH octets rule out. */
uint8_t masc_open_judge(const MascOpen *open, const void *message, size_t length,
                        const MascOpenRule *rule, void *buffer, size_t capacity, size_t *answer);

/* The smaller one of both proposals (7.2); 0, no timer, where either end wants none. Seconds. */
uint16_t masc_hold_time(uint16_t ours, uint16_t theirs);
/* Seconds between KEEPALIVEs: a third of it, 1 at least (7.4); 0 where none are sent. */
uint16_t masc_keepalive_interval(uint16_t hold_time);

G_END_DECLS
#endif
