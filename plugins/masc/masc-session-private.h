/* The parts of a MascSession, for its own files. Three layers: links say things, the machine hears
   them, the session lives. Only masc_session_lose and masc_session_stop end links that matter. */
#ifndef MASC_SESSION_PRIVATE_H
#define MASC_SESSION_PRIVATE_H

#include "masc-session.h"

/* One connection of each direction before one of them is established; then that one and one that is
   still to be told so. */
#define MASC_LINKS 2

typedef struct {
  MascLink id;     /* 0: free */
  MascState state; /* Connect, OpenSent, OpenConfirm, Established */
  bool incoming;
  MascDeframer *in; /* from OpenSent on */
  MascOpen peer;    /* from OpenConfirm on */
  uint16_t hold_time;
  int64_t hold_at, keepalive_at, keepalive_sent; /* MASC_NEVER */
} Link;

struct MascSession {
  MascSessionConfig config;
  MascId *parents;
  const MascSessionOps *ops;
  void *user;
  MascState state;
  bool idle, started;
  Link links[MASC_LINKS];
  int64_t start_at;       /* Start by itself */
  int64_t retry_at;       /* ConnectRetry */
  int64_t established_at; /* monotonic */
  int64_t backoff;
  GArray *queue; /* MascClaim, from HEAD on; only while established */
  size_t head;
  int64_t blocked_at; /* since when the peer takes nothing */
  int64_t flush_at;
  bool overflow;
  int64_t notify_full;      /* when all of the NOTIFICATIONs that a second allows are there again */
  MascSessionStatus status; /* counters; the rest is filled in when asked for */
};

/* ---- masc-session-link.c: what we say -------------------------------------------------------- */

Link *masc_link_find(MascSession *s, MascLink id);
/* The one beside LINK, or NULL. */
Link *masc_link_other(MascSession *s, const Link *link);
Link *masc_link_established(MascSession *s);
/* NULL: no room. */
Link *masc_link_add(MascSession *s, MascLink id, bool incoming, MascState state);
/* Forgets it. FINISH: the transport still has it. */
void masc_link_drop(MascSession *s, Link *link, bool finish);
/* OPEN, and from now on the peer's is waited for. */
void masc_link_open(MascSession *s, Link *link, MascNow now);
/* False: not taken. */
bool masc_link_keepalive(MascSession *s, Link *link, MascNow now);
/* A NOTIFICATION, whole. One that keeps the connection open may be suppressed. */
void masc_link_notify(MascSession *s, Link *link, const uint8_t *octets, size_t length,
                      MascNow now);
/* One that closes, without Data; the link is to be dropped by the caller. */
void masc_link_say(MascSession *s, Link *link, uint8_t code, uint8_t subcode, MascNow now);
/* What waits, as far as the peer takes it. */
void masc_session_flush(MascSession *s, MascNow now);
void masc_session_clear_queue(MascSession *s);
void masc_session_tell(MascSession *s, MascSessionNote note, const MascSessionDetail *detail);

/* ---- masc-session-fsm.c: what we hear -------------------------------------------------------- */

void masc_link_heard(MascSession *s, Link *link, const uint8_t *octets, size_t length, MascNow now);

/* ---- masc-session.c: how it lives ------------------------------------------------------------ */

/* State is what links and timers say. */
void masc_session_settle(MascSession *s, MascNow now);
/* LINK ends on an error, or on a disconnect that leads to Idle: so does the session, unless another
   link is still on its way. FINISH: the transport still has it. */
void masc_session_lose(MascSession *s, Link *link, bool finish, MascDown why, MascNow now);

#endif
