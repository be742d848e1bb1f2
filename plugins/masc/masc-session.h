/* One configured peer, and for siblings one parent in common with it: the connection machine of
   RFC 2909 section 10.1, with the messages of section 7, the answers to errors of section 8 and the
   collisions of 8.8. A pure machine: octets, connections and time come in with each call, what it
   does goes out through MascSessionOps.

   Transport connections are MascLinks, numbered by the caller; up to two live beside each other
   until OPENs show a collision. The state of the session is that of its most advanced link. */
#ifndef MASC_SESSION_H
#define MASC_SESSION_H

#include "masc-open.h"
#include "masc-params.h"

G_BEGIN_DECLS

typedef struct MascSession MascSession;

typedef enum {
  MASC_IDLE,
  MASC_CONNECT,
  MASC_ACTIVE,
  MASC_OPEN_SENT,
  MASC_OPEN_CONFIRM,
  MASC_ESTABLISHED,
  MASC_N_STATES
} MascState;
const char *masc_state_name(MascState state); /* "OpenSent" */

/* One transport connection, ours or the peer's; 0: none. The caller never uses a number again for
   the same session. */
typedef uint32_t MascLink;

/* Why an established session is one no more. */
typedef enum {
  MASC_DOWN_STOPPED,  /* masc_session_stop */
  MASC_DOWN_NOTIFIED, /* the peer closed it with a NOTIFICATION */
  MASC_DOWN_ERROR,    /* we did: the peer sent what must close it */
  MASC_DOWN_HOLD,     /* the Hold Timer expired */
  MASC_DOWN_CLOSED,   /* the transport connection is gone */
  MASC_DOWN_SLOW,     /* the peer did not read what we had to say */
  MASC_N_DOWNS
} MascDown;
const char *masc_down_name(MascDown why);

/* Why a connection of ours was none. */
typedef enum {
  MASC_FAILURE_NONE,
  MASC_FAILURE_REFUSED,    /* the peer's system, or one on the way, says so */
  MASC_FAILURE_UNANSWERED, /* nothing came until the ConnectRetry timer expired */
  MASC_FAILURE_SYSTEM,     /* ours doesn't even try */
  MASC_N_FAILURES
} MascFailure;
const char *masc_failure_name(MascFailure failure);

/* What is worth an event or a line in the log; in brackets what of MascSessionDetail is set beside
   LINK. */
typedef enum {
  MASC_SESSION_STATE,    /* [from, to] */
  MASC_SESSION_SENT,     /* a NOTIFICATION left [code, subcode, open, data] */
  MASC_SESSION_RECEIVED, /* one came [the same; claim: those of ours that the peer refused] */
  MASC_SESSION_SILENT,   /* one came with an error in it, not to be answered (8.6): its operator is
                            to be told [the same] */
  MASC_SESSION_SUPPRESSED,  /* one was not sent: too many keep this connection open, or the peer
                               does not read [code, subcode] */
  MASC_SESSION_COLLISION,   /* LINK was closed in favour of another one (8.8) */
  MASC_SESSION_TURNED_AWAY, /* an incoming connection was not taken [n: state] */
  MASC_SESSION_CONNECTING,  /* we connect */
  MASC_SESSION_FAILED,      /* our connection could not be made [n: MascFailure] */
  MASC_SESSION_CLOSED,      /* the transport connection is gone */
  MASC_SESSION_BACKOFF,     /* after an error: Start comes by itself in N microseconds */
  MASC_SESSION_SLOW,        /* the peer does not read: N attributes wait */
  MASC_SESSION_UNSENDABLE,  /* CLAIM can't be written in its family; dropped [claim, n: MascReason]
                             */
  MASC_N_SESSION_NOTES
} MascSessionNote;

typedef struct {
  MascLink link;
  MascState from, to;
  uint8_t code, subcode;
  bool open;
  const uint8_t *data; /* a view, for the call */
  size_t length;
  const MascClaim *claim; /* NULL: none */
  size_t n_claims;        /* from CLAIM on */
  uint64_t n;
} MascSessionDetail;

/* Called from within masc_session_* calls. They must not call back into the session, but for
   masc_session_send and the getters from up, claim, update_end, and note of a NOTIFICATION that
   came. */
typedef struct {
  /* Connect to the peer: a new link; masc_session_connected or _failed follow. 0: can't. */
  MascLink (*connect)(void *user, MascSession *session);
  /* False: what is still to be sent is too much already; nothing of OCTETS was taken. The session
     tries again, at the latest after a second (masc_session_writable: at once). */
  bool (*send)(void *user, MascSession *session, MascLink link, const uint8_t *octets,
               size_t length);
  /* Close LINK after what is queued went out, but not for ever. The session has forgotten it. */
  void (*finish)(void *user, MascSession *session, MascLink link);
  /* Established. What the peer has to know is sent now (11.8). */
  void (*up)(void *user, MascSession *session, MascNow now);
  /* No longer: what was learnt from it is void, and so is what was not yet sent. */
  void (*down)(void *user, MascSession *session, MascDown why, MascNow now);
  /* An attribute of the peer's. 0, or the MascUpdateError that it is answered with. */
  uint8_t (*claim)(void *user, MascSession *session, const MascClaim *claim, MascNow now);
  /* That was the last attribute of one UPDATE. */
  void (*update_end)(void *user, MascSession *session, MascNow now);
  uint64_t (*random)(void *user, uint64_t low, uint64_t high); /* uniform, both included */
  void (*note)(void *user, MascSession *session, MascSessionNote note,
               const MascSessionDetail *detail);
} MascSessionOps;

/* Times in microseconds where nothing else is said. */
typedef struct {
  MascOpenRule rule;     /* role and identifiers; its parents: all of our domain's; copied */
  MascId parent;         /* our OPEN's Parent Domain Identifier: for siblings the common parent that
                            this session is about (MASC_TLD_ID: among top-level domains), for
                            internal peers any of ours, MASC_TLD_ID or our own domain (7.2) */
  MalFamily family;      /* AddrFam of our OPEN: how long its identifiers are */
  uint16_t hold_time;    /* seconds: 0 (no timer) or at least 3 */
  bool passive;          /* never connects */
  int64_t connect_retry; /* ConnectRetry timer; each is drawn from 3/4 of it to all of it */
  int64_t open_wait;     /* the "large" Hold Timer until the peer's OPEN */
  int64_t backoff_first, backoff_most; /* Start after an error: 60 s, doubled up to 24 h */
  int64_t backoff_reset; /* established for so long, a session begins with the first again */
  int64_t stuck_wait;    /* so long a peer may read nothing of what waits for it */
  unsigned notify_rate;  /* NOTIFICATIONs a second that keep the connection open */
  size_t queue_limit;    /* attributes that may wait for the peer; more than `up` ever sends */
} MascSessionConfig;

/* The RFC's values, and ours where it has none; rule, parent and family are left to be set. */
void masc_session_config_init(MascSessionConfig *config);

MascSession *masc_session_new(const MascSessionConfig *config, const MascSessionOps *ops,
                              void *user);
/* Says nothing to the peer; its links are the caller's. masc_session_stop first. */
void masc_session_free(MascSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MascSession, masc_session_free)
/* From the next connection on; times from their next start on. (What parents we have is learnt
   from sessions with them.) */
void masc_session_configure(MascSession *session, const MascSessionConfig *config);

/* ---- life ------------------------------------------------------------------------------------ */

/* The Start event, in Idle: connects after DELAY and listens from now on. Also ends the wait after
   an error, and its doubling. Section 12.1: parents and internal peers first, the others later or
   with a DELAY. */
void masc_session_start(MascSession *session, int64_t delay, MascNow now);
/* The Stop event: Cease, Idle, and no Start but by masc_session_start. */
void masc_session_stop(MascSession *session, MascNow now);
/* The next instant, in the monotonic clock, at which masc_session_run has something to do. */
int64_t masc_session_due(const MascSession *session);
void masc_session_run(MascSession *session, MascNow now);

/* ---- the transport --------------------------------------------------------------------------- */

/* An incoming connection from the peer, known already under LINK to `send`. False: close it, at
   once and without a word. */
bool masc_session_accepted(MascSession *session, MascLink link, MascNow now);
void masc_session_connected(MascSession *session, MascLink link, MascNow now);
void masc_session_failed(MascSession *session, MascLink link, MascNow now);
void masc_session_closed(MascSession *session, MascLink link, MascNow now);
void masc_session_data(MascSession *session, MascLink link, const uint8_t *octets, size_t length,
                       MascNow now);
/* There is room again behind `send`. */
void masc_session_writable(MascSession *session, MascLink link, MascNow now);

/* What a connection from the address of several sessions (one for each common parent) is about:
   its first octets, until one message is whole. */
typedef enum {
  MASC_PEEK_MORE,
  MASC_PEEK_OPEN,  /* whose Parent Domain Identifier says which session */
  MASC_PEEK_OTHER, /* none of them, or any: it will be answered */
} MascPeek;
MascPeek masc_peek_open(const uint8_t *octets, size_t length, MascOpen *open);

/* ---- claims ---------------------------------------------------------------------------------- */

/* CLAIMS leave in this order, as few UPDATEs as they fit into, as soon as the peer takes them.
   False: not established, or too much waits already, and the session goes down in its next run: all
   has to be said again after `up`. */
bool masc_session_send(MascSession *session, const MascClaim *claims, size_t n, MascNow now);

/* ---- looking in ------------------------------------------------------------------------------ */

typedef struct {
  uint8_t code, subcode; /* 0: none yet */
  bool open;
  MalTime at;
} MascSessionError;

typedef struct {
  MascState state;
  MascLink link;               /* the most advanced one */
  unsigned links;              /* how many there are */
  bool incoming;               /* LINK is the peer's */
  bool started;                /* else stopped */
  MascId domain, node, parent; /* of the peer, as its OPEN said; 0: no OPEN yet */
  uint16_t hold_time;          /* agreed upon, seconds */
  MalTime since;               /* of the state, by the wall clock */
  int64_t backoff_until;       /* monotonic; 0: not waiting after an error */
  int64_t backoff;             /* the last wait */
  size_t queued;               /* attributes */
  uint64_t messages_in[MASC_KEEPALIVE + 1], messages_out[MASC_KEEPALIVE + 1]; /* by MascType */
  uint64_t claims_in[MASC_N_CLAIM_TYPES], claims_out[MASC_N_CLAIM_TYPES];
  uint64_t refused_in;  /* attributes that we refused */
  uint64_t refused_out; /* NOTIFICATIONs about ours that kept the connection open */
  uint64_t suppressed, collisions, turned_away, connects, established;
  MascSessionError error_in, error_out;
  MascFailure failure; /* of the last connection that we tried; NONE once OPENs can go over it */
  MalTime failed_at;
} MascSessionStatus;

MascState masc_session_state(const MascSession *session);
void masc_session_status(const MascSession *session, MascSessionStatus *status);
const MascSessionConfig *masc_session_config(const MascSession *session);
/* Aborts with a message where an invariant doesn't hold. */
void masc_session_check(const MascSession *session);

G_END_DECLS
#endif
