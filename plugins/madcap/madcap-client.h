/* The MADCAP client machine (RFC 2730 2): one errand, that is one attempt to lease, renew, release,
   or to learn about scopes and servers, with all its messages. `(state, event, now) -> actions`: it
   knows no socket, clock, random number or store.

   Events are calls of madcap_client_start, _receive, _tick and _cancel; actions leave through
   MadcapClientOps during these calls. Once madcap_client_result is not NULL the errand is over.
   NOW, wall seconds, goes into messages and leases; MONO, monotonic microseconds, is for
   deadlines. */
#ifndef MADCAP_CLIENT_H
#define MADCAP_CLIENT_H

#include "core/model.h"
#include "madcap-wire.h"

G_BEGIN_DECLS

/* RFC 2730 2.3: 4, 8 and 16 s between transmissions, and 60 s in all. */
#define MADCAP_CLIENT_FIRST_DELAY (4 * INT64_C(1000000))
#define MADCAP_CLIENT_MAX_DELAY (16 * INT64_C(1000000))
#define MADCAP_CLIENT_TRANSMISSIONS 4
/* Offers, and servers given up, that one errand keeps in mind. */
#define MADCAP_CLIENT_MAX_OFFERS 16
#define MADCAP_CLIENT_MAX_ROUNDS 3

typedef struct MadcapClient MadcapClient;

/* A server that may have granted and didn't tell; to be sent a RELEASE of this identifier. */
typedef struct {
  MalEndpoint server;
  uint8_t id[MAL_LEASE_ID_MAX];
  size_t id_length;
} MadcapClientSilent;

/* What is wanted. Copied, with what it points to. */
typedef struct {
  MadcapType errand; /* MADCAP_REQUEST, _RENEW, _RELEASE or _GETINFO */
  MalFamily family;  /* of the header and the addresses in it */
  MalLeaseId id;
  bool
      fixed_id; /* else another one is taken after a server fell silent, which may have leased it */
  MalAddress scope;      /* REQUEST: its first address */
  uint32_t min, desired; /* REQUEST: 1 <= min <= desired */
  const MalBlock *named; /* REQUEST: exactly these */
  size_t n_named;
  int64_t lifetime;           /* REQUEST, RENEW: seconds; 0: as long as the server likes */
  int64_t min_lifetime;       /* 0: any */
  MalTime start;              /* MAL_BEGINNING: as soon as possible */
  MalTime max_start;          /* MAL_FOREVER: no maximum */
  bool shared;                /* ask for Shared Lease Identifier */
  bool wait;                  /* tell that we know Retry After */
  const char *language;       /* GETINFO: of the scopes' names; NULL: all */
  const MalEndpoint *servers; /* unicast, one after the other */
  size_t n_servers;
  const MalEndpoint
      *groups; /* then these MADCAP Server Multicast Addresses, all at once; RENEW, RELEASE: none */
  size_t n_groups;
  bool take_first;        /* the first offer of all that was asked for is taken at once */
  int64_t discover_delay; /* microseconds for better offers after the first; 0: the current
                             retransmit timer */
  int64_t gather;         /* GETINFO to groups: microseconds for further answers after the first */
} MadcapClientAsk;

typedef enum {
  MADCAP_CLIENT_HEARD,  /* a message of this errand that counts */
  MADCAP_CLIENT_UNFIT,  /* one that doesn't conform, or doesn't fit what was asked: ignored */
  MADCAP_CLIENT_CHOSEN, /* MSG is NULL: this server's offer is taken */
  MADCAP_CLIENT_SILENT, /* this server (or group) did not answer in time */
  MADCAP_CLIENT_LATER,  /* ACK with a Retry Time: to be asked again then */
} MadcapClientNews;

typedef struct {
  /* A transaction id that no other errand under way uses. From now on only answers with it concern
     this one. */
  uint32_t (*xid)(void *user);
  /* The random part of a new lease identifier (RFC 2730 2.4.1). */
  void (*id)(void *user, uint8_t out[16]);
  /* TRANSMISSION: 1 for the first, more for the same octets again. */
  void (*send)(void *user, const MalEndpoint *to, const uint8_t *data, size_t length,
               unsigned transmission);
  /* MSG may be NULL; WHY says more for UNFIT and LATER, else it is NULL. */
  void (*news)(void *user, MadcapClientNews what, const MalEndpoint *who, const MadcapMessage *msg,
               const char *why);
  /* GETINFO: one server's answer. */
  void (*info)(void *user, const MalEndpoint *from, const MadcapMessage *msg);
} MadcapClientOps;

typedef struct {
  bool done; /* it was granted, renewed, released, or told; else CODE and TEXT say why not */
  MalErrorCode code;
  char *text;
  int nak;            /* MADCAP error code of the NAK that decided, or -1 */
  uint16_t option;    /* the one at fault, or MADCAP_NO_OPTION */
  MalEndpoint server; /* where to renew and release: who answered */
  GArray *blocks;     /* MalBlock, sorted, disjoint, not adjacent; NULL: none */
  MalTime start, end; /* lease: counted from when the message was first sent, so never too long */
  int64_t lease_time;
  bool starts_later; /* START is what the server said, not the time of the message */
  bool shared;       /* the server made it a Shared Lease Identifier */
  MalAddress scope;
  GArray *silent; /* MadcapClientSilent */
} MadcapClientResult;

/* OPS and USER must outlive it. Errors (MAL_ERROR_INVALID): what can't be said in MADCAP, such as
   times after 2106. */
MadcapClient *madcap_client_new(const MadcapClientAsk *ask, const MadcapClientOps *ops, void *user,
                                GError **error);
void madcap_client_free(MadcapClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MadcapClient, madcap_client_free)

void madcap_client_start(MadcapClient *client, MalTime now, int64_t mono);
/* MSG: what madcap_decode found good, from PEER. False where it isn't an answer to this errand at
   all. */
bool madcap_client_receive(MadcapClient *client, const MalEndpoint *peer, const MadcapMessage *msg,
                           MalTime now, int64_t mono);
void madcap_client_tick(MadcapClient *client, MalTime now, int64_t mono);
/* Nobody wants it any more: it is over with MAL_ERROR_TIMEOUT and what has to be released in
   `silent`. */
void madcap_client_cancel(MadcapClient *client);
/* When to tick next (monotonic); INT64_MAX: over. */
int64_t madcap_client_due(const MadcapClient *client);
/* NULL: not over yet. The client's. */
const MadcapClientResult *madcap_client_result(const MadcapClient *client);
/* That of the lease which was granted, or is asked for now. */
MalLeaseId madcap_client_id(const MadcapClient *client);
/* Is it told to come again later (Retry After)? */
bool madcap_client_is_waiting(const MadcapClient *client);

G_END_DECLS
#endif
