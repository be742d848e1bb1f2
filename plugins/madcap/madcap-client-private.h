/* Shared by the files of the client machine only. */
#ifndef MADCAP_CLIENT_PRIVATE_H
#define MADCAP_CLIENT_PRIVATE_H

#include "madcap-client.h"

G_BEGIN_DECLS

typedef enum {
  CLIENT_IDLE,
  CLIENT_UNICAST,   /* REQUEST, RENEW, RELEASE or GETINFO to one server */
  CLIENT_DISCOVER,  /* DISCOVER to the groups, no offer yet */
  CLIENT_CHOOSE,    /* offers are there, better ones are waited for */
  CLIENT_CHOSEN,    /* REQUEST to the groups, for one server */
  CLIENT_ASK_GROUP, /* GETINFO to the groups */
  CLIENT_GATHER,    /* which was answered: further answers are waited for */
  CLIENT_RETRY,     /* Retry After: the time to ask again is to come */
  CLIENT_OVER,
} MadcapClientPhase;

typedef struct {
  MalAddress server_id;
  MalEndpoint peer;
  int64_t lease_time;
  uint64_t addresses;
  MalTime start; /* MAL_BEGINNING: at once */
} MadcapClientOffer;

struct MadcapClient {
  const MadcapClientOps *ops;
  void *user;
  MadcapClientAsk ask; /* pointers are to the copies below */
  uint8_t id[MAL_LEASE_ID_MAX];
  GArray *named;            /* MalBlock */
  GArray *servers, *groups; /* MalEndpoint */
  char *language;

  MadcapClientPhase phase, before_retry;
  int64_t began;              /* monotonic */
  uint32_t xid;
  uint8_t sent_type;   /* what the answers have to answer */
  GByteArray *message; /* as it was first sent, for retransmission */
  MalTime sent_at;
  unsigned transmissions;
  int64_t next; /* deadline */
  bool refused; /* a NAK came to what was multicast: it isn't sent again */

  size_t server;            /* CLIENT_UNICAST: index into servers */
  unsigned rounds;          /* DISCOVERs begun */
  GArray *offers;           /* MadcapClientOffer */
  MadcapClientOffer chosen; /* CLIENT_CHOSEN */
  GArray *avoid;            /* MalAddress: server ids that refused or fell silent */
  bool is_over;
  MadcapClientResult result;
};

/* madcap-client-message.c: puts the message for the phase, with a new xid, into client->message;
   false where it can't be said (the buffer is bounded). */
bool madcap_client_compose(MadcapClient *c, MadcapType type, MalTime now);
/* Are ask's times within 32 bits? */
bool madcap_client_sayable(const MadcapClientAsk *ask, MalTime now, GError **error);

/* madcap-client.c */
bool madcap_client_avoids(const MadcapClient *c, MalAddress server_id);
void madcap_client_choose(MadcapClient *c, MalTime now, int64_t mono);
void madcap_client_next_server(MadcapClient *c, MalTime now, int64_t mono);
void madcap_client_give_up(MadcapClient *c);
void madcap_client_succeed(MadcapClient *c);
void madcap_client_fell_silent(MadcapClient *c);
int64_t madcap_client_delay(const MadcapClient *c);
/* Remembers why it failed, where nothing weightier was remembered. Takes TEXT. */
void madcap_client_blame(MadcapClient *c, MalErrorCode code, int nak, uint16_t option, char *text);

G_END_DECLS
#endif
