/* What the files of the GLib runtime share. All of it belongs to the loop's thread, except the
   inner half of a worker.

   Everything that can be ready is a GSource of one priority: GLib runs all the ready ones of the
   best priority in turn before it polls again, so each bounds its work per dispatch and none
   starves. The memory of a handle belongs to its source, which GLib keeps while it is being
   dispatched; that is what makes it safe to close a handle from its own callback. */
#ifndef MAL_RUNTIME_GLIB_PRIVATE_H
#define MAL_RUNTIME_GLIB_PRIVATE_H

/* in6_pktinfo, accept4, recvmmsg; so this header comes first where it is included. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "runtime-glib.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define RTG_PRIORITY G_PRIORITY_DEFAULT
#define RTG_BATCH 64                        /* datagrams for one recvmmsg or sendmmsg */
#define RTG_STREAM_CHUNK ((size_t)64 * 1024)

typedef struct RtgTimer RtgTimer;
typedef struct RtgUdp RtgUdp;
typedef struct RtgBatch RtgBatch;

typedef struct {
  MalRuntime base;
  GMainContext *context;
  int handles;              /* open ones, to tell who was forgotten */
  int depth;                /* within this many dispatches of ours */
  GPtrArray *heap;          /* armed timers, RtgTimer *, the earliest first */
  uint64_t armings;         /* numbers each arming, so that equal deadlines keep their order */
  uint64_t firing_limit;    /* while timers fire: later armings wait for the next turn */
  int64_t firing_now;
  bool firing;
  GSource *timers;
  GSource *deferred;        /* pending, or NULL */
  GPtrArray *finishing;     /* streams of their own: what is queued still goes out */
  GPtrArray *dirty;         /* RtgUdp * with datagrams to flush at the end of the dispatch */
  bool flush_deferred;
  RtgBatch *batch;          /* buffers for datagrams, made with the first UDP socket */
  uint8_t *chunk;           /* RTG_STREAM_CHUNK, made with the first stream */
} Rtg;

/* A socket address of either family. */
typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_storage storage;
} RtgSockaddr;

socklen_t rtg_sockaddr_from(MalEndpoint endpoint, RtgSockaddr *out);   /* 0 without a family */
MalEndpoint rtg_sockaddr_to(const RtgSockaddr *in);
uint16_t rtg_socket_port(int fd);
/* A non-blocking socket of that family, IPv6 alone where it is IPv6; -1 and ERROR. */
int rtg_socket_new(MalFamily family, int type, GError **error);
bool rtg_socket_set(int fd, int level, int option, int value);
/* Binds, or says which address and port, and what may hold it. */
bool rtg_socket_bind(int fd, MalEndpoint local, const char *protocol, GError **error);
bool rtg_fail(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);
bool rtg_transient(int errnum);                 /* EAGAIN and what else is no error */

/* Around every dispatch: leaving the outermost one sends what was queued within. False where a
   callback runs the loop, which would overwrite the buffers it is reading: the dispatch must not go
   on. */
bool rtg_dispatch(Rtg *rtg);
void rtg_enter(Rtg *rtg);
void rtg_leave(Rtg *rtg);
/* Sends what every socket has queued, as far as the system takes it. */
void rtg_udp_flush_all(Rtg *rtg);
void rtg_batch_free(RtgBatch *batch);
/* An attached source of SIZE octets; the caller has a reference. */
GSource *rtg_source_new(Rtg *rtg, GSourceFuncs *funcs, size_t size, const char *name);

GArray *rtg_interfaces(MalRuntime *rt);
MalInterfaceWatch *rtg_watch_new(MalRuntime *rt, MalTimerFunc func, void *data);
void rtg_watch_free(MalInterfaceWatch *watch);

MalUdp *rtg_udp_open(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func, void *data,
                     GError **error);
void rtg_udp_close(MalUdp *udp);
uint16_t rtg_udp_port(const MalUdp *udp);
bool rtg_udp_join(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
bool rtg_udp_leave(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
void rtg_udp_set_ttl(MalUdp *udp, uint8_t ttl);
void rtg_udp_send(MalUdp *udp, const MalDatagram *datagram);
MalUdpCounters rtg_udp_counters(const MalUdp *udp);
int64_t rtg_udp_lag(const MalUdp *udp);
bool rtg_udp_shed(MalUdp *udp, const MalUdpShed *shed);
/* runtime-glib-shed.c: the age of what was read last (0: unknown), how many were dropped, and
   what to drop from now on. */
int64_t rtg_shed_age(int fd);
uint32_t rtg_shed_dropped(int fd);
bool rtg_shed_filter(int fd, const MalUdpShed *shed);

MalListener *rtg_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func, void *data,
                               GError **error);
void rtg_listener_close(MalListener *listener);
uint16_t rtg_listener_port(const MalListener *listener);
bool rtg_listener_set_peer(MalListener *listener, MalAddress peer,
                           const MalStreamSecurity *security, GError **error);
MalStream *rtg_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                              const MalStreamSecurity *security, const MalStreamOps *ops,
                              void *user, GError **error);
void rtg_stream_start(MalStream *stream, const MalStreamOps *ops, void *user);
bool rtg_stream_send(MalStream *stream, const void *data, size_t length);
size_t rtg_stream_queued(const MalStream *stream);
void rtg_stream_close(MalStream *stream);
void rtg_stream_finish(MalStream *stream, int64_t limit);
/* A stream of a connection that a listener got. */
MalStream *rtg_stream_accepted(Rtg *rtg, int fd);
/* The runtime ends: streams that still finish are cut. */
void rtg_stream_cut_finishing(Rtg *rtg);
/* runtime-glib-secure.c: the socket options. KEY NULL takes a peer's key away. FAR:
   what is sent may go as far as can be. MIN_TTL 0: any comes in. */
bool rtg_secure_md5(int fd, MalAddress peer, const uint8_t *key, size_t length, GError **error);
bool rtg_secure_ttl(int fd, MalFamily family, bool far, uint8_t min_ttl, GError **error);
uint8_t rtg_secure_min_ttl(uint8_t gtsm);
/* Listeners: so that the next can be asked. The TTL of the SYN that began a stream; 0: unknown. */
void rtg_secure_keep_syn(int fd);
uint8_t rtg_secure_syn_ttl(int fd);

MalWorker *rtg_worker_new(MalRuntime *rt, const char *name);
void rtg_worker_submit(MalWorker *worker, MalJobFunc run, MalJobFunc done, void *data);
void rtg_worker_free(MalWorker *worker);

/* A stream on FD, on which connect() was called; takes FD over. */
MalStream *rtg_stream_adopt(MalRuntime *rt, int fd, const MalStreamOps *ops, void *user);
MalStream *rtg_stream_connect_unix(MalRuntime *rt, const char *path, const MalStreamOps *ops,
                                   void *user, GError **error);

#endif
