/* A world of MADCAP servers (whole daemons: real core, lease engine and plugin, on simulated disks)
   and scripted clients, made and tormented from one seed.

   What is checked, at once or every so many events; the first violation ends the run
   (mal_sim_failure):

     - mal_leases_check on every live server; no two leases of one server share an Ethernet group
       while both are held (ethernet = distinct); no server holds what isn't in its own ranges,
       which are disjoint, so that no address is leased twice in the whole world
     - an ACK that a server sends is durable on its disk at that moment and says what the lease
       engine says; from then on the lease is there until its end or until its client gave it up,
       across crashes and restarts, failing disks, steps of the clock and reloads
     - one transaction (xid, lease identifier, source) has one answer, octet for octet, for as long
       as the response cache lasts
     - no answer to OFFER, ACK, NAK, or garbage
     - at the end, when all faults are healed and all clients have come to rest: what clients
       believe to hold is what the servers hold, and nothing else is leased */
#ifndef MAL_MADCAP_WORLD_H
#define MAL_MADCAP_WORLD_H

#include "sim.h"

G_BEGIN_DECLS

typedef struct MadcapWorld MadcapWorld;

typedef struct {
  unsigned clients_most;      /* 5 to this many; at most 200 */
  int64_t longest;            /* seconds of trouble, before all is healed; at least 120 */
} MadcapWorldSize;

/* Which address goes to which scope, how many servers and clients there are, and all that befalls
   them: by SEED. */
MadcapWorld *mal_madcap_world_new(uint64_t seed, MadcapWorldSize size);
void mal_madcap_world_free(MadcapWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MadcapWorld, mal_madcap_world_free)
/* The whole run. False where an invariant was broken: what it was is in mal_sim_failure. */
bool mal_madcap_world_run(MadcapWorld *world);
MalSim *mal_madcap_world_sim(MadcapWorld *world);

typedef struct {
  unsigned servers, clients;
  uint64_t acks, leases, naks, repeats, lost_to_wipes;
  uint64_t waits;             /* clients that were told to come again (RFC 2730 2.13.2) */
  uint64_t crashes, wipes, disk_faults, steps, reloads, reloads_refused;
  uint64_t checked;           /* acknowledged leases found alive, over all checks */
} MadcapWorldFigures;
MadcapWorldFigures mal_madcap_world_figures(const MadcapWorld *world);

G_END_DECLS
#endif
