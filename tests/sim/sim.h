/* The simulated runtime: hosts, networks, disks and clocks under one virtual clock, all from one
   seed.

   Everything that happens is an event in one queue ordered by (virtual time, sequence); there is no
   real clock and no thread, so the same seed and the same calls give the same run, event by event
   (mal_sim_hash proves it). Each host (node) has a MalRuntime of its own; what runs on it can't
   tell it from the production one.

   Units: times are microseconds of virtual time since the simulation began; probabilities are parts
   per million (MAL_SIM_PERCENT). Pointers returned here belong to the simulation and live as long
   as it. */
#ifndef MAL_SIM_H
#define MAL_SIM_H

#include <stdio.h>

#include "core/runtime.h"

G_BEGIN_DECLS

typedef struct MalSim MalSim;
typedef struct MalSimNode MalSimNode;
typedef struct MalSimLink MalSimLink;
typedef struct MalSimIface MalSimIface;
typedef struct MalSimBorder MalSimBorder;
typedef struct MalSimCut MalSimCut;
typedef struct MalSimDisk MalSimDisk;

#define MAL_SIM_PERCENT(x) ((uint32_t)((x) * 10000))
#define MAL_SIM_MS 1000LL
#define MAL_SIM_NEVER INT64_MAX

/* ---- the simulation -------------------------------------------------------------------------- */

MalSim *mal_sim_new(uint64_t seed);
/* Frees all: nodes, runtimes, every handle that is still open. No callback is called. */
void mal_sim_free(MalSim *sim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MalSim, mal_sim_free)
uint64_t mal_sim_seed(const MalSim *sim);
int64_t mal_sim_now(const MalSim *sim);
/* What an exact wall clock shows at virtual time 0; 2026-01-01T00:00:00Z unless set. */
void mal_sim_set_epoch(MalSim *sim, MalTime epoch);

/* The scenario's own random stream: drawing from it disturbs neither the network's nor any
   node's. */
uint64_t mal_sim_random(MalSim *sim);
uint64_t mal_sim_random_between(MalSim *sim, uint64_t low, uint64_t high); /* both included */
bool mal_sim_chance(MalSim *sim, uint32_t ppm);

/* ---- running --------------------------------------------------------------------------------- */

/* One event; false where none is left or the simulation has failed. */
bool mal_sim_step(MalSim *sim);
/* All events up to and including TIME, then the clock shows TIME. False where the simulation
   failed. */
bool mal_sim_run_until(MalSim *sim, int64_t time);
bool mal_sim_run_for(MalSim *sim, int64_t duration);
/* Runs while WANTED says so, at most to LIMIT. True where it stopped because WANTED said no. */
typedef bool (*MalSimPredicate)(void *data);
bool mal_sim_run_while(MalSim *sim, MalSimPredicate wanted, void *data, int64_t limit);
/* Calls FUNC at TIME (or now, where that is past): the scenario's script. */
void mal_sim_at(MalSim *sim, int64_t time, MalTimerFunc func, void *data);
/* Calls FUNC after every EVERY-th event: invariant checks. */
typedef void (*MalSimHook)(MalSim *sim, void *data);
void mal_sim_add_hook(MalSim *sim, unsigned every, MalSimHook func, void *data);
/* The run fails (and prints what went before) after this many events at one instant; 1,000,000
   unless set. */
void mal_sim_set_instant_limit(MalSim *sim, uint64_t events);

typedef struct {
  uint64_t events;     /* dispatched */
  uint64_t timers;     /* of them timers */
  uint64_t sent;       /* datagrams handed to the network by mal_udp_send */
  uint64_t copies;     /* put on their way to an interface (a multicast has many) */
  uint64_t lost;       /* copies the network lost by chance */
  uint64_t duplicated; /* copies made by duplication */
  uint64_t reordered;
  uint64_t partitioned; /* copies that a partition, a border or a link that is down held back */
  uint64_t undelivered; /* no such address, nobody listens, host down, interface down */
  uint64_t delivered;   /* datagrams given to a socket's callback */
  uint64_t batches;     /* in this many calls */
  uint64_t segments;    /* stream segments that arrived */
  uint64_t crashes, restarts;
  uint64_t tails[5];   /* by MalSimTail: what crashes made of octets that were not synced */
} MalSimCounters;
MalSimCounters mal_sim_counters(const MalSim *sim);

/* ---- trace and failure ----------------------------------------------------------------------- */

/* A hash over every event so far, datagram contents included. */
uint64_t mal_sim_hash(const MalSim *sim);
/* The ring keeps the last N events (512 unless set; 0: none). MAL_SIM_TRACE=FILE in the environment
   writes all of them to FILE as text. */
void mal_sim_set_trace_size(MalSim *sim, size_t n);
void mal_sim_print_trace(MalSim *sim, FILE *out);
/* A remark of the scenario's in the trace (and in the hash). NODE may be NULL. */
void mal_sim_note(MalSim *sim, MalSimNode *node, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* An invariant is broken: stops the run; the first failure prints seed, time, message and the ring
   to standard error, unless quiet. */
void mal_sim_fail(MalSim *sim, const char *format, ...) G_GNUC_PRINTF(2, 3);
const char *mal_sim_failure(const MalSim *sim); /* NULL: none */
void mal_sim_set_quiet(MalSim *sim, bool quiet);

/* ---- nodes ----------------------------------------------------------------------------------- */

/* A host that is up, with a loopback interface "lo" (index 1: 127.0.0.1, ::1) and nothing else. */
MalSimNode *mal_sim_node_new(MalSim *sim, const char *name);
const char *mal_sim_node_name(const MalSimNode *node);
bool mal_sim_node_is_up(const MalSimNode *node);
/* The runtime of what runs there since the last (re)start; NULL while the node is down. */
MalRuntime *mal_sim_node_runtime(MalSimNode *node);
/* The node a runtime belongs to. */
MalSimNode *mal_sim_node_of(MalRuntime *rt);
/* How many handles (timers, sockets, streams, workers, watches) are open on the living runtime. */
size_t mal_sim_node_handles(const MalSimNode *node);

typedef enum {
  MAL_SIM_DISK_KEPT,  /* what was synced, and by chance some of what wasn't */
  MAL_SIM_DISK_WIPED, /* the node comes back with empty disks */
} MalSimCrash;
/* The host dies between two events: timers, sockets, streams, workers and pending callbacks vanish
   without a call. The runtime is dead from now on: every function called with it or with its
   handles is a harmless no-op (what can fail, fails), so the caller may free the objects of the
   dead daemon in the usual way, or never. May be called from within one of the node's own
   callbacks. */
void mal_sim_node_crash(MalSimNode *node, MalSimCrash disk);
/* A new runtime (a reboot: monotonic clock and random stream begin anew). On a node that is up this
   is an orderly reboot: the old runtime dies, the disks keep everything. */
MalRuntime *mal_sim_node_restart(MalSimNode *node);
/* Frees the node's dead runtimes and what is left of their handles, when nobody uses them any more.
   Not from within a callback of the node. */
void mal_sim_node_bury(MalSimNode *node);

/* The wall clock: wrong by SKEW microseconds from the start, fast by DRIFT parts per million, or
   stepped. */
void mal_sim_node_set_clock(MalSimNode *node, int64_t skew, int32_t drift);
void mal_sim_node_step_clock(MalSimNode *node, int64_t by);
/* What mal_udp_lag says on this host from now on, as if it were so busy; nothing waits for it. */
void mal_sim_node_set_lag(MalSimNode *node, int64_t lag);
/* How long a worker's job waits and runs: uniform in [MIN, MAX] microseconds; 100 to 3,000 unless
   set. */
void mal_sim_node_set_work_time(MalSimNode *node, int64_t min, int64_t max);

/* ---- networks -------------------------------------------------------------------------------- */

typedef struct {
  int64_t latency_min,
      latency_max;       /* one way; drawn once for each pair of interfaces, then fixed */
  int64_t jitter;        /* each datagram takes up to this much longer; order is kept */
  uint32_t loss;         /* ppm, for each receiver */
  uint32_t duplicate;    /* ppm: a second copy comes up to reorder_delay later */
  uint32_t reorder;      /* ppm: delayed by up to reorder_delay, others overtake it */
  int64_t reorder_delay; /* 0: four times (latency_max + jitter), at least 1 ms */
} MalSimFaults;

/* A link where everybody hears everybody: 200 to 500 us, no faults. */
MalSimLink *mal_sim_link_new(MalSim *sim, const char *name);
void mal_sim_link_set_faults(MalSimLink *link, const MalSimFaults *faults);
MalSimFaults mal_sim_link_faults(const MalSimLink *link);
void mal_sim_link_set_up(MalSimLink *link, bool up);

/* A router between two links: forwards unicast by address, multicast by TTL (one less each), and
   keeps back multicast to the spans it filters (RFC 2365: the boundary of a scope zone). Link-local
   groups never pass. */
MalSimBorder *mal_sim_border_new(MalSimLink *a, MalSimLink *b);
void mal_sim_border_filter(MalSimBorder *border, MalSpan span);
void mal_sim_border_unfilter(MalSimBorder *border, MalSpan span); /* exactly as it was given */
void mal_sim_border_set_up(MalSimBorder *border, bool up);

/* Datagrams between the nodes of A and those of B are lost, those on their way too, and streams
   stall, until it is healed. Cuts add up. */
MalSimCut *mal_sim_partition(MalSim *sim, MalSimNode *const *a, size_t n_a, MalSimNode *const *b,
                             size_t n_b);
/* The same in one direction only, A to B. */
MalSimCut *mal_sim_partition_one_way(MalSim *sim, MalSimNode *const *a, size_t n_a,
                                     MalSimNode *const *b, size_t n_b);
/* Only multicast to groups in SPAN: the boundary of a scope zone that runs between A and B. */
MalSimCut *mal_sim_partition_scope(MalSim *sim, MalSpan span, MalSimNode *const *a, size_t n_a,
                                   MalSimNode *const *b, size_t n_b);
void mal_sim_heal(MalSim *sim, MalSimCut *cut); /* the pointer is gone afterwards */
void mal_sim_heal_all(MalSim *sim);

typedef struct {
  MalSimNode *from;
  MalEndpoint source, destination;
  uint32_t ifindex; /* where it leaves */
  unsigned ttl;
  const uint8_t *data;
  size_t length;
} MalSimPacketView;
/* Sees every datagram that is sent; those it answers false for are lost (scripted loss). One at a
   time. */
typedef bool (*MalSimTap)(MalSim *sim, const MalSimPacketView *packet, void *data);
void mal_sim_set_tap(MalSim *sim, MalSimTap func, void *data);

/* ---- interfaces ------------------------------------------------------------------------------ */

/* A multicast interface that is up, without addresses; its index is new on the node. */
MalSimIface *mal_sim_iface_new(MalSimNode *node, MalSimLink *link, const char *name);
uint32_t mal_sim_iface_index(const MalSimIface *iface);
void mal_sim_iface_add_address(MalSimIface *iface, MalAddress address);
void mal_sim_iface_remove_address(MalSimIface *iface, MalAddress address);
/* A shorthand: parses TEXT, and aborts where that isn't an address. */
void mal_sim_iface_add(MalSimIface *iface, const char *text);
void mal_sim_iface_set_up(MalSimIface *iface, bool up);
/* The interface vanishes with its memberships (the object stays valid, without effect). For its
   return make another one of the same name: it has another index. */
void mal_sim_iface_remove(MalSimIface *iface);

/* ---- disks ----------------------------------------------------------------------------------- */

/* A file that is appended to, on a disk that survives crashes. Made at the first call with that
   NAME. */
MalSimDisk *mal_sim_node_disk(MalSimNode *node, const char *name);
/* Appends to the cache, not yet durable. MAL_ERROR_STORE where the disk fails; a disk that becomes
   full takes what fits, as write(2) does. */
bool mal_sim_disk_append(MalSimDisk *disk, const void *data, size_t length, GError **error);
bool mal_sim_disk_sync(MalSimDisk *disk, GError **error);
/* What a reader sees now, synced or not; valid until the next change. */
const uint8_t *mal_sim_disk_data(const MalSimDisk *disk, size_t *length);
size_t mal_sim_disk_synced(const MalSimDisk *disk);
/* Cuts the end off, durably. */
bool mal_sim_disk_truncate(MalSimDisk *disk, size_t length, GError **error);
/* All or nothing and durable: write beside, sync, rename. */
bool mal_sim_disk_replace(MalSimDisk *disk, const void *data, size_t length, GError **error);
void mal_sim_disk_wipe(MalSimDisk *disk);

typedef enum {
  MAL_SIM_DISK_OK,
  MAL_SIM_DISK_FULL,       /* nothing can be appended or replaced; sync and truncate work */
  MAL_SIM_DISK_IO_ERROR,   /* nothing works; what was synced stays readable */
  MAL_SIM_DISK_SYNC_ERROR, /* sync fails, and what wasn't synced may be lost at a crash */
} MalSimDiskFault;
void mal_sim_disk_set_fault(MalSimDisk *disk, MalSimDiskFault fault);
void mal_sim_disk_set_capacity(MalSimDisk *disk, size_t octets); /* SIZE_MAX: no limit */

typedef enum {
  MAL_SIM_TAIL_RANDOM, /* one of these, by the seed */
  MAL_SIM_TAIL_LOST,
  /* all of it, and still not synced: the process was killed, not the machine; the next crash may
     take it */
  MAL_SIM_TAIL_KEPT,
  MAL_SIM_TAIL_TORN,  /* a part of it, cut at any octet */
  MAL_SIM_TAIL_HOLED, /* all of it, but some sectors were never written: zeros */
} MalSimTail;
/* What a crash makes of the octets that were not synced. */
void mal_sim_disk_set_tail(MalSimDisk *disk, MalSimTail tail);

/* ---- streams --------------------------------------------------------------------------------- */

typedef struct {
  int64_t connect_timeout; /* SYNs without an answer; 130 s */
  int64_t stall_timeout;   /* data without an acknowledgement; 15 min */
  int64_t keepalive; /* an idle stream asks the other side this often; 0 (unless set): never */
  uint32_t split;    /* ppm of segments cut at a random octet; 25 % */
} MalSimStreamOptions;
void mal_sim_set_stream_options(MalSim *sim, const MalSimStreamOptions *options);

G_END_DECLS
#endif
