/* Inside of the simulated runtime; see sim.h for what it does.

   Ownership: the simulation owns nodes, links, interfaces, borders, cuts and disks. A node owns its
   generations (MalSimRuntime, one for each boot); a generation owns its handles by the list
   `handles`. What is on its way (arrivals, segments) belongs to the queue and names interfaces and
   connections, never handles, so a handle can be freed at any time. */
#ifndef MAL_SIM_INTERNAL_H
#define MAL_SIM_INTERNAL_H

#include "sim.h"

typedef struct MalSimEvent MalSimEvent;
typedef void (*MalSimFire)(MalSim *sim, MalSimEvent *event);

/* Embedded in whatever waits in the queue. */
struct MalSimEvent {
  MalSimFire fire;
  uint32_t slot; /* place in the heap + 1; 0: not queued */
};

typedef struct {
  int64_t time;
  uint64_t sequence;
  MalSimEvent *event;
} MalSimSlot;

typedef struct {
  uint64_t s[4];
} MalSimRandom;

typedef struct MalSimHandle MalSimHandle;
typedef void (*MalSimReclaim)(MalSimHandle *handle);
struct MalSimHandle {
  MalSimHandle *previous, *next;
  MalSimReclaim die;     /* takes it off the queue and the network: at a crash */
  MalSimReclaim reclaim; /* frees the memory: at the burial */
};

typedef struct MalSimDeferred {
  struct MalSimDeferred *next;
  struct MalSimRuntime *rt;
  MalTimerFunc func;
  void *data;
} MalSimDeferred;

typedef struct MalSimRuntime {
  MalRuntime base;
  MalSimNode *node;
  struct MalSimRuntime *next_dead;
  bool dead;
  MalSimRandom random;
  int64_t monotonic_base; /* monotonic clock minus virtual time */
  MalSimHandle handles;   /* ring, this is its head */
  size_t n_handles;
  struct MalSimUdp **udp;
  size_t n_udp, udp_room;
  GPtrArray *listeners; /* MalSimListener, not owned */
  GPtrArray *watches;   /* MalSimWatch, not owned */
} MalSimRuntime;

struct MalSimNode {
  MalSim *sim;
  char *name;
  uint32_t index;
  MalSimRuntime *rt;   /* NULL while down */
  MalSimRuntime *dead; /* not yet buried */
  uint32_t boots;
  int64_t lag; /* what sockets tell of their queues */
  GPtrArray *ifaces; /* MalSimIface, not owned */
  uint32_t next_ifindex;
  uint16_t next_port;
  GPtrArray *disks;     /* MalSimDisk, owned */
  int64_t clock_offset; /* wall minus true time, before drift */
  int64_t drift_since;
  int32_t drift;
  int64_t work_min, work_max;
};

struct MalSimIface {
  MalSimNode *node;
  MalSimLink *link; /* NULL: loopback */
  char name[16];
  uint32_t id;    /* in the simulation */
  uint32_t index; /* on its node */
  bool up, gone;
  GArray *addresses;  /* MalAddress */
  int64_t *last_from; /* by sender: when its latest datagram arrives, so that order is kept */
  size_t n_last;
};

typedef struct {
  MalSimIface *iface;
  uint32_t sockets;
} MalSimMember;

typedef struct {
  MalAddress group;
  GArray *members; /* MalSimMember, in order of joining */
} MalSimGroup;

struct MalSimLink {
  MalSim *sim;
  char *name;
  uint32_t index;
  bool up;
  MalSimFaults faults;
  GPtrArray *borders; /* MalSimBorder, not owned */
  GArray *groups;     /* MalSimGroup */
  uint64_t mark;      /* the last flood that came here */
};

struct MalSimBorder {
  MalSimLink *side[2];
  uint32_t index;
  bool up;
  GArray *filters; /* MalSpan */
};

struct MalSimCut {
  MalSpan span; /* family NONE: everything */
  bool one_way;
  size_t n;
  uint8_t *side; /* by node: 0 neither, 1 A, 2 B */
};

/* A datagram's content, shared by all its copies. */
typedef struct MalSimPacket {
  uint32_t refs;
  uint32_t pool;
  struct MalSimPacket *next_free;
  MalEndpoint source;
  MalAddress destination;
  uint16_t port;
  size_t length;
  MalSimNode *from;
  uint64_t digest;
  uint8_t data[];
} MalSimPacket;

typedef struct {
  MalAddress group;
  uint32_t ifindex;
} MalSimMembership;

/* One copy on its way to an interface, afterwards in a socket's list. */
typedef struct MalSimArrival {
  MalSimEvent event;
  MalSimPacket *packet;
  MalSimIface *iface;
  struct MalSimArrival *next;
} MalSimArrival;

typedef struct MalSimUdp {
  MalUdp base;
  MalSimHandle handle;
  MalUdpFunc func;
  void *data;
  MalUdpOptions options;
  uint16_t port;
  uint64_t order;              /* which socket was opened later */
  GArray *memberships;         /* MalSimMembership */
  MalSimArrival *first, *last; /* arrived, not yet delivered */
  struct MalSimUdp *next_ready;
  bool ready;
  MalUdpCounters counters;
  MalUdpShed shed;
  bool sheds;
} MalSimUdp;

typedef struct {
  uint8_t kind;
  uint32_t node; /* UINT32_MAX: none */
  int64_t time;
  uint64_t a, b;
  char *text;
} MalSimRecord;

typedef enum {
  MAL_SIM_TRACE_TIMER,
  MAL_SIM_TRACE_DEFER,
  MAL_SIM_TRACE_CALL,
  MAL_SIM_TRACE_SEND,
  MAL_SIM_TRACE_LOST,
  MAL_SIM_TRACE_CUT,
  MAL_SIM_TRACE_COPY,
  MAL_SIM_TRACE_ARRIVE,
  MAL_SIM_TRACE_NOBODY,
  MAL_SIM_TRACE_DELIVER,
  MAL_SIM_TRACE_RUN,
  MAL_SIM_TRACE_DONE,
  MAL_SIM_TRACE_CRASH,
  MAL_SIM_TRACE_BOOT,
  MAL_SIM_TRACE_CLOCK,
  MAL_SIM_TRACE_IFACE,
  MAL_SIM_TRACE_WATCH,
  MAL_SIM_TRACE_PARTITION,
  MAL_SIM_TRACE_STREAM,
  MAL_SIM_TRACE_DISK,
  MAL_SIM_TRACE_NOTE,
  MAL_SIM_TRACE_KINDS
} MalSimTraceKind;

typedef struct {
  MalSimHook func;
  void *data;
  unsigned every, left;
} MalSimHookEntry;

typedef struct {
  MalU128 value;
  MalSimIface *iface;
  MalFamily family;
} MalSimAddressSlot;

typedef struct {
  MalSimLink *link;
  int64_t delay;
  unsigned ttl;
  uint32_t parent;
} MalSimHop;

struct MalSim {
  uint64_t seed;
  int64_t now;
  int64_t epoch; /* microseconds */
  uint64_t sequence;
  MalSimSlot *heap;
  size_t n_heap, heap_room;
  MalSimUdp *ready, *ready_last;
  MalSimDeferred *deferred, *deferred_last;
  uint64_t at_this_instant, instant_limit;
  bool running;
  MalSimRandom scenario, network;
  MalSimCounters counters;
  GArray *hooks; /* MalSimHookEntry */

  GPtrArray *nodes, *links, *ifaces, *borders, *cuts; /* owned */
  GPtrArray *connections;                             /* MalSimConnection, owned */
  MalSimAddressSlot *addresses;
  size_t address_room;
  bool addresses_stale;
  uint64_t mark;
  MalSimHop *hops;
  size_t hop_room;
  MalSimTap tap;
  void *tap_data;
  MalSimStreamOptions streams;

  GPtrArray *slabs;
  void *free_blocks;
  MalSimPacket *free_packets[2];
  uint64_t socket_order;

  uint64_t hash;
  MalSimRecord *ring;
  size_t ring_room;
  uint64_t n_traced;
  FILE *trace_file;
  char *failure;
  bool quiet;
};

/* ---- sim.c ----------------------------------------------------------------------------------- */

#define MAL_SIM_BLOCK 64              /* arrivals, segments, deferred calls: all fit */
void *mal_sim_block_new(MalSim *sim); /* not zeroed */
void mal_sim_block_free(MalSim *sim, void *block);

/* ---- sim-queue.c ----------------------------------------------------------------------------- */

/* Queues EVENT for TIME, or moves it there; the past means now. */
void mal_sim_queue(MalSim *sim, MalSimEvent *event, int64_t time);
void mal_sim_unqueue(MalSim *sim, MalSimEvent *event);
MalSimEvent *mal_sim_queue_pop(MalSim *sim);

void mal_sim_random_seed(MalSimRandom *r, uint64_t seed, uint64_t stream);
uint64_t mal_sim_random_next(MalSimRandom *r);
uint64_t mal_sim_random_range(MalSimRandom *r, uint64_t low, uint64_t high);
uint64_t mal_sim_mix(uint64_t x);

static inline bool mal_sim_random_hit(MalSimRandom *r, uint32_t ppm)
{
  return ppm && mal_sim_random_range(r, 0, 999999) < ppm;
}

/* ---- sim-trace.c ----------------------------------------------------------------------------- */

void mal_sim_trace(MalSim *sim, MalSimTraceKind kind, const MalSimNode *node, uint64_t a,
                   uint64_t b);
uint64_t mal_sim_digest(const void *data, size_t length);
void mal_sim_trace_open(MalSim *sim);
void mal_sim_trace_close(MalSim *sim);

/* ---- sim-node.c ------------------------------------------------------------------------------ */

void mal_sim_handle_add(MalSimRuntime *rt, MalSimHandle *handle, MalSimReclaim die,
                        MalSimReclaim reclaim);
void mal_sim_handle_remove(MalSimRuntime *rt, MalSimHandle *handle);
void mal_sim_node_free(void *node);
void mal_sim_watches_notify(MalSimNode *node);
bool mal_sim_refuse_dead(const MalSimRuntime *rt, GError **error);

static inline MalSimRuntime *mal_sim_runtime(MalRuntime *rt)
{
  return (MalSimRuntime *)rt;
}

#define MAL_SIM_CONTAINER(pointer, type, member)                                                   \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- sim-net.c, sim-route.c ------------------------------------------------------------------ */

static inline bool mal_sim_same(MalAddress a, MalAddress b)
{
  return a.value == b.value && a.family == b.family;
}

bool mal_sim_is_link_local(MalAddress address);
bool mal_sim_is_loopback(MalAddress address);
bool mal_sim_cut_between(const MalSim *sim, const MalSimNode *from, const MalSimNode *to,
                         MalAddress group);
MalSimIface *mal_sim_iface_find(const MalSimNode *node, uint32_t index);
bool mal_sim_iface_has(const MalSimIface *iface, MalAddress address);
/* Of NODE's own interfaces the one with this address. */
MalSimIface *mal_sim_node_owner(const MalSimNode *node, MalAddress address);
/* The interface that answers for ADDRESS when asked from LINK: the nearest one. N is the path's
   length. */
MalSimIface *mal_sim_locate(MalSim *sim, MalSimLink *from, MalAddress address, MalSimLink **path,
                            size_t *n);
/* Which of NODE's interfaces leads to ADDRESS; the target too where somebody has it. */
MalSimIface *mal_sim_way_out(MalSimNode *node, MalAddress address, uint32_t ifindex,
                             MalSimIface **target, MalSimLink **path, size_t *n);
MalAddress mal_sim_source_for(const MalSimIface *iface, MalAddress destination);
#define MAL_SIM_MAX_PATH 16
void mal_sim_send_unicast(MalSim *sim, MalSimPacket *packet, MalSimIface *out, MalSimIface *target,
                          MalSimLink *const *path, size_t n);
void mal_sim_send_multicast(MalSim *sim, MalSimPacket *packet, MalSimIface *out, unsigned ttl);
void mal_sim_send_local(MalSim *sim, MalSimPacket *packet, MalSimIface *iface);
int64_t mal_sim_hop_latency(const MalSim *sim, const MalSimLink *link, uint32_t from, uint32_t to);
void mal_sim_group_add(MalSimIface *iface, MalAddress group);
void mal_sim_group_remove(MalSimIface *iface, MalAddress group);
void mal_sim_link_free(void *link);
void mal_sim_iface_free(void *iface);
void mal_sim_border_free(void *border);
void mal_sim_cut_free(void *cut);

/* ---- sim-udp.c ------------------------------------------------------------------------------- */

MalUdp *mal_sim_udp_open(MalRuntime *rt, const MalUdpOptions *options, MalUdpFunc func, void *data,
                         GError **error);
void mal_sim_udp_close(MalUdp *udp);
uint16_t mal_sim_udp_port(const MalUdp *udp);
bool mal_sim_udp_join(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
bool mal_sim_udp_leave(MalUdp *udp, uint32_t ifindex, MalAddress group, GError **error);
void mal_sim_udp_set_ttl(MalUdp *udp, uint8_t ttl);
void mal_sim_udp_send(MalUdp *udp, const MalDatagram *datagram);
MalUdpCounters mal_sim_udp_counters(const MalUdp *udp);
int64_t mal_sim_udp_lag(const MalUdp *udp);
bool mal_sim_udp_shed(MalUdp *udp, const MalUdpShed *shed);
void mal_sim_arrive(MalSim *sim, MalSimEvent *event);
void mal_sim_udp_deliver(MalSim *sim); /* what the first ready socket has */
void mal_sim_packet_unref(MalSim *sim, MalSimPacket *packet);
void mal_sim_udp_forget_iface(MalSimRuntime *rt, uint32_t ifindex);

/* ---- sim-stream.c, sim-connection.c ---------------------------------------------------------- */

MalListener *mal_sim_listener_open(MalRuntime *rt, MalEndpoint local, MalAcceptFunc func,
                                   void *data, GError **error);
void mal_sim_listener_close(MalListener *listener);
uint16_t mal_sim_listener_port(const MalListener *listener);
bool mal_sim_listener_set_peer(MalListener *listener, MalAddress peer,
                               const MalStreamSecurity *security, GError **error);
MalStream *mal_sim_stream_connect(MalRuntime *rt, MalEndpoint local, MalEndpoint peer,
                                  const MalStreamSecurity *security, const MalStreamOps *ops,
                                  void *user, GError **error);
void mal_sim_stream_start(MalStream *stream, const MalStreamOps *ops, void *user);
bool mal_sim_stream_send(MalStream *stream, const void *data, size_t length);
size_t mal_sim_stream_queued(const MalStream *stream);
void mal_sim_stream_close(MalStream *stream);
void mal_sim_stream_finish(MalStream *stream, int64_t limit);
void mal_sim_connection_free(void *connection);

/* ---- sim-worker.c, sim-disk.c ---------------------------------------------------------------- */

MalWorker *mal_sim_worker_new(MalRuntime *rt, const char *name);
void mal_sim_worker_submit(MalWorker *worker, MalJobFunc run, MalJobFunc done, void *data);
void mal_sim_worker_free(MalWorker *worker);
void mal_sim_disk_free(void *disk);
void mal_sim_disk_crash(MalSimDisk *disk, MalSimCrash crash);
void mal_sim_disk_settle(MalSimDisk *disk); /* an orderly reboot: all is written */

#endif
