/* Streams of the simulated runtime, shared by sim-stream.c (handles) and sim-connection.c (what
   travels). */
#ifndef MAL_SIM_STREAM_H
#define MAL_SIM_STREAM_H

#include "sim-internal.h"

typedef struct MalSimConnection MalSimConnection;

typedef struct {
  MalStream base;
  MalSimHandle handle;
  MalSimConnection *connection;
  unsigned side;
  const MalStreamOps *ops; /* NULL: not started */
  void *user;
  bool closed;  /* CLOSED was said: no event follows */
  int failed;   /* errno of an end that came before the start */
  bool refused; /* a send was refused: WRITABLE is owed */
} MalSimStream;

/* What a stream with PEER must bear. */
typedef struct {
  MalAddress peer;
  GBytes *key; /* of TCP-MD5; NULL: none */
  uint8_t gtsm;
} MalSimSecurity;

typedef struct {
  MalListener base;
  MalSimHandle handle;
  MalEndpoint local;
  MalAcceptFunc func;
  void *data;
  GArray *peers; /* MalSimSecurity */
} MalSimListener;

/* One direction. The bytes are, in order: arrived but not read, on their way, unsent. */
typedef struct {
  GByteArray *bytes;
  size_t arrived, in_flight;
  uint32_t epoch; /* what was on its way in an older one is lost */
  int64_t last_arrival;
  bool fin, fin_sent, fin_arrived;
  int64_t stalled_since; /* -1: not stalled */
  int64_t backoff;
  MalSimEvent retry, keepalive, linger;
  bool lingers; /* the owner has gone, and what he left to send is sent */
  unsigned missed; /* questions of the keep-alive without an answer */
  unsigned side;
  MalSimConnection *connection;
} MalSimPipe;

struct MalSimConnection {
  MalSim *sim;
  MalSimPipe pipe[2];   /* by the side that writes */
  MalSimStream *end[2]; /* NULL: closed, crashed, or not there yet */
  MalSimNode *node[2];
  uint32_t boot[2];
  MalEndpoint address[2];
  MalSimSecurity security; /* as side 0 wants it */
  size_t hops;             /* links between the two, as side 0 saw them last; 0: the same host */
  bool accepted, connected;
  unsigned busy; /* segments on their way, and calls in progress */
};

#define MAL_SIM_STREAM_LIMIT (1u << 20)

MalSimSecurity mal_sim_security(MalAddress peer, const MalStreamSecurity *security);
void mal_sim_security_clear(void *security);
MalSimConnection *mal_sim_connection_new(MalSim *sim, MalSimNode *node, MalEndpoint local,
                                         MalEndpoint peer, const MalStreamSecurity *security);
void mal_sim_connection_open(MalSimConnection *c);
void mal_sim_connection_pump(MalSimConnection *c, unsigned side);
void mal_sim_connection_read(MalSimConnection *c,
                             unsigned side); /* gives what arrived to a started end */
void mal_sim_connection_leave(MalSimConnection *c, unsigned side, bool crashed);
/* Leaves, but lets what is queued arrive, for LIMIT at most. */
void mal_sim_connection_finish(MalSimConnection *c, unsigned side, int64_t limit);
MalSimStream *mal_sim_stream_attach(MalSimConnection *c, unsigned side, MalSimRuntime *rt);
MalSimListener *mal_sim_listener_find(const MalSimRuntime *rt, MalEndpoint local);
/* Would the listener, and the connecting end, take each other's first segments? */
bool mal_sim_listener_admits(const MalSimListener *listener, const MalSimConnection *c);
size_t mal_sim_pipe_unsent(const MalSimPipe *pipe);

#endif
