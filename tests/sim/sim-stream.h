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

typedef struct {
  MalListener base;
  MalSimHandle handle;
  MalEndpoint local;
  MalAcceptFunc func;
  void *data;
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
  MalSimEvent retry, keepalive;
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
  bool accepted, connected;
  unsigned busy; /* segments on their way, and calls in progress */
};

#define MAL_SIM_STREAM_LIMIT (1u << 20)

MalSimConnection *mal_sim_connection_new(MalSim *sim, MalSimNode *node, MalEndpoint local,
                                         MalEndpoint peer);
void mal_sim_connection_open(MalSimConnection *c);
void mal_sim_connection_pump(MalSimConnection *c, unsigned side);
void mal_sim_connection_read(MalSimConnection *c,
                             unsigned side); /* gives what arrived to a started end */
void mal_sim_connection_leave(MalSimConnection *c, unsigned side, bool crashed);
MalSimStream *mal_sim_stream_attach(MalSimConnection *c, unsigned side, MalSimRuntime *rt);
MalSimListener *mal_sim_listener_find(const MalSimRuntime *rt, MalEndpoint local);
size_t mal_sim_pipe_unsent(const MalSimPipe *pipe);

#endif
