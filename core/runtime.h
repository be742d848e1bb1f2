/* The world behind an interface (design: clock, timers, datagrams, streams, randomness, interfaces,
   a worker for blocking disk work). Two implementations: GLib's main loop (production) and the
   simulator's virtual clock and network (tests/sim). Everything else in core and plugins reaches
   the outside through these functions only.

   All callbacks come on the thread that runs the loop, never from inside the call that caused them.
   A handle may be freed or closed from within its own callback; freeing NULL does nothing. */
#ifndef MAL_RUNTIME_H
#define MAL_RUNTIME_H

#include "address.h"
#include "shed.h"

G_BEGIN_DECLS

typedef struct MalRuntime MalRuntime;
typedef struct MalTimer MalTimer;
typedef struct MalUdp MalUdp;
typedef struct MalStream MalStream;
typedef struct MalListener MalListener;
typedef struct MalWorker MalWorker;
typedef struct MalInterfaceWatch MalInterfaceWatch;

#define MAL_MAX_DATAGRAM 65535

/* ---- clocks and randomness ------------------------------------------------------------------- */

MAL_API int64_t mal_runtime_monotonic(MalRuntime *rt);   /* microseconds, never steps */
MAL_API int64_t mal_runtime_wall(MalRuntime *rt);        /* microseconds since 1970, may step */
MAL_API MalTime mal_runtime_now(MalRuntime *rt);         /* wall in whole seconds */
MAL_API void mal_runtime_random(MalRuntime *rt, void *out, size_t length);
/* uniform in [0, bound); 0 for 0 */
MAL_API uint32_t mal_runtime_random_below(MalRuntime *rt, uint32_t bound);
/* both included */
MAL_API uint64_t mal_runtime_random_between(MalRuntime *rt, uint64_t low, uint64_t high);

/* ---- timers: one-shot, re-armed by setting them again ---------------------------------------- */

typedef void (*MalTimerFunc)(void *data);
MAL_API MalTimer *mal_timer_new(MalRuntime *rt, MalTimerFunc func, void *data);
MAL_API void mal_timer_set(MalTimer *timer, int64_t monotonic_deadline);
MAL_API void mal_timer_stop(MalTimer *timer);
MAL_API void mal_timer_free(MalTimer *timer);
/* Runs FUNC once after all that is ready now was handled. */
MAL_API void mal_runtime_defer(MalRuntime *rt, MalTimerFunc func, void *data);

/* ---- interfaces ------------------------------------------------------------------------------ */

typedef struct {
  char name[16];
  uint32_t index;
  bool up, multicast, loopback;
  MalAddress *addresses;      /* global and loopback first, IPv6 link-local last */
  size_t n_addresses;
} MalInterface;

/* The interfaces as they are now: an array of MalInterface that frees its content
   (g_array_unref when done). */
MAL_API GArray *mal_runtime_interfaces(MalRuntime *rt);
/* FUNC is called after any interface or address came, went, or changed its state. */
MAL_API MalInterfaceWatch *mal_interface_watch_new(MalRuntime *rt, MalTimerFunc func, void *data);
MAL_API void mal_interface_watch_free(MalInterfaceWatch *watch);

/* ---- datagrams ------------------------------------------------------------------------------- */

typedef struct {
  MalEndpoint peer;           /* received: who sent it; to send: where it goes */
  MalAddress local;           /* received: the destination address it bore, unicast or group;
                                 to send: source address, MAL_FAMILY_NONE: the system chooses */
  /* received: where it came in; to send: 0 for the routing table's choice */
  uint32_t ifindex;
  const uint8_t *data;        /* valid during the call only */
  size_t length;
  bool truncated;             /* it was longer than the buffer */
} MalDatagram;

/* A batch of datagrams; replies sent from within leave together. */
typedef void (*MalUdpFunc)(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data);

typedef struct {
  MalFamily family;
  MalAddress bind;            /* MAL_FAMILY_NONE: any */
  uint16_t port;              /* 0: any free one */
  bool reuse;                 /* let several sockets share the port (tests, clients) */
  uint8_t multicast_ttl;      /* 0 means 1 */
  bool multicast_loop;
  uint32_t receive_limit;     /* longer datagrams come truncated; 0 means MAL_MAX_DATAGRAM */
} MalUdpOptions;

/* Without reuse, a port that another socket holds is an error (MAL_ERROR_NETWORK). */

MAL_API MalUdp *mal_udp_open(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func,
                             void *data, GError **error);
MAL_API void mal_udp_close(MalUdp *udp);
MAL_API uint16_t mal_udp_port(const MalUdp *udp);
/* Joining twice is success. After an interface vanished, leave its groups: the system keeps a dead
   membership otherwise, and an interface that returns under the old index would look joined
   already. */
MAL_API bool mal_udp_join(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
MAL_API bool mal_udp_leave(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
/* For what is sent to groups from now on; 0 means 1. */
MAL_API void mal_udp_set_multicast_ttl(MalUdp *udp, uint8_t ttl);
/* Queues a copy; leaves with the current batch. What can't be sent is counted, as UDP would lose
   it. */
MAL_API void mal_udp_send(MalUdp *udp, const MalDatagram *datagram);

/* DROPPED: by the system before we read them, for want of room or by mal_udp_shed. */
typedef struct {
  uint64_t received, sent, send_errors, truncated, batches, dropped;
} MalUdpCounters;
MAL_API MalUdpCounters mal_udp_counters(const MalUdp *udp);

/* How long the newest datagram of the batch at hand had waited to be read, in microseconds. 0:
   hardly, since the batch took all that waited; or it isn't known. */
MAL_API int64_t mal_udp_lag(const MalUdp *udp);

/* Replaces what was said before. False where the system can't: then nothing is dropped. */
MAL_API bool mal_udp_shed(MalUdp *udp, const MalUdpShed *shed);

/* ---- streams (TCP; MASC sessions) ------------------------------------------------------------ */

/* CONNECTED: a stream from mal_stream_connect is up. DATA: octets, valid during the call only.
   WRITABLE: the queue is empty again after a send was refused. CLOSED: by the peer (ERROR is NULL)
   or by a failure; nothing follows, and the owner still has to call mal_stream_close. */
typedef enum {
  MAL_STREAM_CONNECTED,
  MAL_STREAM_DATA,
  MAL_STREAM_WRITABLE,
  MAL_STREAM_CLOSED
} MalStreamEvent;
typedef struct {
  void (*event)(MalStream *stream, MalStreamEvent what, const uint8_t *data, size_t length,
                const GError *error, void *user);
} MalStreamOps;
typedef void (*MalAcceptFunc)(MalListener *listener, MalStream *stream, MalEndpoint peer,
                              void *data);

/* An accepted stream is FUNC's, to start or to close; it stays silent until mal_stream_start. */
MAL_API MalListener *mal_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func,
                                       void *data, GError **error);
MAL_API void mal_listener_close(MalListener *listener);
MAL_API uint16_t mal_listener_port(const MalListener *listener);

/* What protects a stream; both ends have to be told the same. All zero: nothing does. MD5: with the
   key, segments bear RFC 2385's signature, and those without it or with another are dropped by the
   system: who has no key, or a wrong one, never gets a connection and never an answer (a connect
   times out). GTSM (RFC 5082): segments leave with a TTL or hop limit of 255, and those that came
   farther than GTSM hops (1: a neighbour on the link) are dropped. TCP-AO is not there. */
#define MAL_STREAM_MD5_KEY 80
typedef struct {
  const uint8_t *md5_key;     /* copied; NULL: none */
  size_t md5_length;          /* 1 to MAL_STREAM_MD5_KEY octets */
  uint8_t gtsm;               /* 0: no */
} MalStreamSecurity;

/* What streams from PEER must bear from now on, in place of what was said before; NULL: nothing.
   Peers of which nothing was said need nothing, except that nobody gets in from farther away than
   all peers of which something was said may be. Streams that are up keep what they have; who waits
   to be accepted when a key is set is turned away. Errors:
   MAL_ERROR_INVALID (a key of a bad length, another family than the listener's);
   MAL_ERROR_NETWORK where the system refuses, or knows no TCP-MD5. */
MAL_API bool mal_listener_set_peer(MalListener *listener, MalAddress peer,
                                   const MalStreamSecurity *security, GError **error);
/* LOCAL: family NONE for the system's choice, else the address to leave by, with port 0 for any. */
MAL_API MalStream *mal_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                                      const MalStreamOps *ops, void *user, GError **error);
/* SECURITY may be NULL. Errors as of both functions above. */
MAL_API MalStream *mal_stream_connect_secure(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                                             const MalStreamSecurity *security,
                                             const MalStreamOps *ops, void *user, GError **error);
MAL_API void mal_stream_start(MalStream *stream, const MalStreamOps *ops, void *user);
/* Queues a copy; false where more than MAL_STREAM_QUEUE octets would wait unsent (nothing was
   queued). */
#define MAL_STREAM_QUEUE ((size_t)1024 * 1024)
MAL_API bool mal_stream_send(MalStream *stream, const void *data, size_t length);
MAL_API size_t mal_stream_queued(const MalStream *stream);
/* No event follows. What the system does not take at once of what is queued is lost, and so may be
   the rest, where the peer sent what was not read. */
MAL_API void mal_stream_close(MalStream *stream);
/* In place of mal_stream_close: what is queued is still sent, then the end; what comes meanwhile is
   read and dropped. After LIMIT microseconds, or once the peer has ended too, the stream is gone.
   No event follows, and STREAM is the caller's no longer. One that is not connected is closed. */
MAL_API void mal_stream_finish(MalStream *stream, int64_t limit);

/* ---- blocking work, off the loop's thread ---------------------------------------------------- */

/* RUN is called on the worker's thread (in the simulator: at a later virtual instant), jobs of one
   worker in order; DONE afterwards on the loop's. */
typedef void (*MalJobFunc)(void *data);
MAL_API MalWorker *mal_worker_new(MalRuntime *rt, const char *name);
MAL_API void mal_worker_submit(MalWorker *worker, MalJobFunc run, MalJobFunc done, void *data);
/* Waits until what was submitted has run, delivers its DONE calls, and ends the thread. */
MAL_API void mal_worker_free(MalWorker *worker);

/* ---- local streams --------------------------------------------------------------------------- */

/* To the unix stream socket at PATH, another program's on this host; a stream like any other. What
   is wrong at once (nobody there, no permission, a path that is too long) is the error; an
   implementation without them says so in one. */
MAL_API MalStream *mal_stream_connect_unix(MalRuntime *rt, const char *path,
                                           const MalStreamOps *ops, void *user, GError **error);

/* ---- for implementations --------------------------------------------------------------------- */

typedef struct MalRuntimeOps MalRuntimeOps;

/* An empty array of MalInterface that frees its content. */
MAL_API GArray *mal_interfaces_new(void);

/* Every handle begins with its runtime, so that the functions above find the table. An
   implementation embeds these as first members. */
struct MalRuntime { const MalRuntimeOps *ops; };
struct MalTimer { MalRuntime *rt; };
struct MalUdp { MalRuntime *rt; };
struct MalStream { MalRuntime *rt; };
struct MalListener { MalRuntime *rt; };
struct MalWorker { MalRuntime *rt; };
struct MalInterfaceWatch { MalRuntime *rt; };

struct MalRuntimeOps {
  int64_t (*monotonic)(MalRuntime *rt);
  int64_t (*wall)(MalRuntime *rt);
  void (*random)(MalRuntime *rt, void *out, size_t length);
  MalTimer *(*timer_new)(MalRuntime *rt, MalTimerFunc func, void *data);
  void (*timer_set)(MalTimer *timer, int64_t deadline);
  void (*timer_stop)(MalTimer *timer);
  void (*timer_free)(MalTimer *timer);
  void (*defer)(MalRuntime *rt, MalTimerFunc func, void *data);
  GArray *(*interfaces)(MalRuntime *rt);
  MalInterfaceWatch *(*watch_new)(MalRuntime *rt, MalTimerFunc func, void *data);
  void (*watch_free)(MalInterfaceWatch *watch);
  MalUdp *(*udp_open)(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func, void *data,
                      GError **error);
  void (*udp_close)(MalUdp *udp);
  uint16_t (*udp_port)(const MalUdp *udp);
  bool (*udp_join)(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
  bool (*udp_leave)(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
  void (*udp_set_ttl)(MalUdp *udp, uint8_t ttl);
  void (*udp_send)(MalUdp *udp, const MalDatagram *datagram);
  MalUdpCounters (*udp_counters)(const MalUdp *udp);
  int64_t (*udp_lag)(const MalUdp *udp);
  bool (*udp_shed)(MalUdp *udp, const MalUdpShed *shed);
  MalListener *(*listener_open)(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                                GError **error);
  void (*listener_close)(MalListener *listener);
  uint16_t (*listener_port)(const MalListener *listener);
  /* Keys have a good length; SECURITY is NULL for none here, and never where one connects. */
  bool (*listener_set_peer)(MalListener *listener, MalAddress peer,
                            const MalStreamSecurity *security, GError **error);
  MalStream *(*stream_connect)(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                               const MalStreamSecurity *security, const MalStreamOps *ops,
                               void *user, GError **error);
  void (*stream_start)(MalStream *stream, const MalStreamOps *ops, void *user);
  bool (*stream_send)(MalStream *stream, const void *data, size_t length);
  size_t (*stream_queued)(const MalStream *stream);
  void (*stream_close)(MalStream *stream);
  void (*stream_finish)(MalStream *stream, int64_t limit);
  MalWorker *(*worker_new)(MalRuntime *rt, const char *name);
  void (*worker_submit)(MalWorker *worker, MalJobFunc run, MalJobFunc done, void *data);
  void (*worker_free)(MalWorker *worker);
  /* may be NULL: there are none */
  MalStream *(*stream_connect_unix)(MalRuntime *rt, const char *path, const MalStreamOps *ops,
                                    void *user, GError **error);
};

G_END_DECLS
#endif
