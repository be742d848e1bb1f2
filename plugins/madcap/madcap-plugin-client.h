/* Shared by the files of the client's actor (madcap-plugin-client*.c) only. */
#ifndef MADCAP_PLUGIN_CLIENT_H
#define MADCAP_PLUGIN_CLIENT_H

#include "madcap-client-held.h"
#include "madcap-plugin.h"
#include "madcap-tables.h"

G_BEGIN_DECLS

/* Most errands under way at once. */
#define CLIENT_MAX_ERRANDS 1024
#define CLIENT_MAX_KNOWN 64
#define CLIENT_MAX_SCOPES 1024

typedef struct ClientPart ClientPart;
typedef struct ClientErrand ClientErrand;

/* RESULT is the machine's; the errand is freed after the call. */
typedef void (*ClientFinish)(ClientErrand *errand, const MadcapClientResult *result);

/* Who answered, and at which of our addresses: the one by which he knows us. */
typedef struct {
  MalAddress peer, local;
} ClientPath;
#define CLIENT_MAX_PATHS 16

/* One errand of the machine with who waits for it. */
struct ClientErrand {
  ClientPart *part;
  MadcapClient *machine;
  uint32_t xid; /* its key in part->errands; 0 with has_xid false: none yet */
  bool has_xid;
  MadcapType kind;
  MalFamily family;
  MalCall *call;       /* NULL: nobody waits */
  json_object *params; /* of the call; may be NULL */
  char interface[16];  /* "": all */
  char *scope;         /* REQUEST: as the program named it */
  int64_t lifetime;
  bool renew, second;  /* SECOND: the errand that follows another one for the same call */
  MalEndpoint server;  /* stray lease: where */
  unsigned attempts;   /* stray lease: so many before */
  MalAddress source;          /* to send from; family NONE: the system's choice */
  ClientPath paths[CLIENT_MAX_PATHS];
  unsigned n_paths;           /* so far; the newest ones are kept */
  ClientFinish finish; /* may be NULL */
};

struct ClientPart {
  MalHost host;
  MalConfig *config;
  bool running;
  MalUdp *udp[2];
  MalTimer *timer;
  int64_t armed;
  MalTimer *held_timer;
  GPtrArray *errands; /* ClientErrand, owned */
  GHashTable *by_xid; /* uint32_t -> ClientErrand */
  uint32_t next_xid;
  GPtrArray *held;    /* MadcapHeld, owned */
  GHashTable *by_id;  /* GBytes -> MadcapHeld */
  GPtrArray *pending; /* what waits for the disk */
  GPtrArray *line;    /* calls that wait until another change of their lease is over */
  unsigned listener;
  GPtrArray *scopes; /* ClientScope, owned: what servers told */
  GArray *known;     /* ClientServer */
};

typedef struct {
  MalEndpoint endpoint;
  MalTime heard;
  uint64_t answers;
} ClientServer;

/* madcap-plugin-client-errand.c */
static inline MalTime client_now(const ClientPart *p)
{
  return mal_runtime_now(p->host.runtime);
}
static inline int64_t client_mono(const ClientPart *p)
{
  return mal_runtime_monotonic(p->host.runtime);
}
const MalConfSection *client_section(const ClientPart *p);
uint16_t client_port(const ClientPart *p);
/* With what of the call is general: server, interface. NULL: the call (if any) was failed. */
ClientErrand *client_errand_new(ClientPart *p, MadcapType kind, MalCall *call, json_object *params,
                                ClientFinish finish);
/* Fills in servers and groups, and starts. The errand is the part's from here on, and its finish is
   called; but where it can't begin, the answer is false, finish isn't called, and the call was
   failed. SERVER: the only one to ask; NULL or of no family: those configured, then the groups. */
bool client_errand_start(ClientErrand *e, MadcapClientAsk *ask, const MalEndpoint *server);
/* For an errand that is not started after all; the call stays the caller's. */
void client_errand_free(ClientErrand *e);
/* Fails a call, unless it is NULL. */
void client_fail(MalCall *call, MalErrorCode code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Parameter "server"; false: the call was failed. OUT's family is NONE where it isn't given. */
bool client_param_server(ClientPart *p, MalCall *call, json_object *params, MalEndpoint *out);
/* Our address as PEER knows it from this errand; family NONE: not known. */
MalAddress client_errand_local(const ClientErrand *e, MalAddress peer);
/* Gives back what a server may have leased to nobody, with patience. LOCAL: our address as it knows
   us, or none. */
void client_send_release(ClientPart *p, const MalEndpoint *server, const char *interface,
                         MalAddress local, MalLeaseId id);

void client_received(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data);
void client_tick(void *data);
/* Ends all; their calls are failed. */
void client_errands_cancel(ClientPart *p);

/* madcap-plugin-client-held.c */
MadcapHeld *client_held_find(const ClientPart *p, MalLeaseId id);
void client_held_add(ClientPart *p, MadcapHeld *held);
void client_held_forget(ClientPart *p, MadcapHeld *held);
MalTicket client_held_save(ClientPart *p, const MadcapHeld *held);
MalTicket client_held_unsave(ClientPart *p, MalLeaseId id);
json_object *client_held_json(const MadcapHeld *held);
void client_held_say(ClientPart *p, const MalEventDef *def, const MadcapHeld *held,
                     const char *what, const char *why);
/* Answers CALL (may be NULL) with REPLY, which it takes, once the ticket is durable. GRANTED: a new
   lease, to be given back where the disk fails or the caller is gone. */
void client_held_await(ClientPart *p, MalTicket ticket, MalCall *call, json_object *reply,
                       bool granted, MalLeaseId id);
/* Keeps the interface of a link-local server by its name, which outlives a restart, and finds its
   index again. */
void client_held_note_interface(ClientPart *p, MadcapHeld *held);
void client_held_schedule(ClientPart *p);
unsigned client_jitter(ClientPart *p);

/* madcap-plugin-client-lease.c */
void client_renew_by_itself(ClientPart *p, MadcapHeld *held);
void client_request(ClientPart *p, MalCall *call, json_object *params);
void client_renew(ClientPart *p, MalCall *call, json_object *params);
void client_release(ClientPart *p, MalCall *call, json_object *params);
bool client_holds(ClientPart *p, MalLeaseId id);
void client_list(ClientPart *p, json_object *array);
void client_line_free(void *turn);
bool client_restore(ClientPart *p, const MalRecord *record, GError **error);
void client_leases_start(ClientPart *p);
void client_leases_stop(ClientPart *p);

/* madcap-plugin-client-scopes.c */
void client_scopes_clear(gpointer scope);
/* Method madcap.scopes. */
void client_ask_scopes(ClientPart *p, MalCall *call, json_object *params);
void client_note_info(ClientPart *p, const MalEndpoint *from, const MadcapMessage *msg);
void client_note_server(ClientPart *p, const MalEndpoint *from);
/* The scope that parameters "scope" or "address" mean, or the smallest one where neither is given.
   False: not known, ask the network. NAME: the caller frees. */
bool client_find_scope(ClientPart *p, json_object *params, MalAddress *first, char **name);
/* Begins a GETINFO errand; RESULTS go into what client_find_scope knows. */
void client_begin_info(ClientErrand *e, MalFamily family, const MalEndpoint *server);
json_object *client_known_json(const ClientPart *p);
char *client_known_scopes(const ClientPart *p);

G_END_DECLS
#endif
