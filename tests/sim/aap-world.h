/* Worlds of AAP at the level of its machines: zones (plugins/aap/aap-zone.h) and prefix
   coordinators on an event wheel of their own, which makes hours of fifty servers cheap. The codec
   is the real one; stores, clocks, clients and the network are modelled. One seed makes and
   torments one world.

   Drawn (aap-world-plan.c): 2 to 50 servers; a large scope with two coordinators, or a small one;
   IPv4 or IPv6; sizes of scope, pool and blocks; lifetimes of 10 minutes to a day; clients that
   take and give back addresses, some in bursts, some more than there is; clocks that are up to an
   hour wrong; a start of all at once or one by one; jitter, reordering and duplication of
   datagrams. Four worlds of ten are calm: their network loses nothing and is never cut. In the
   others: loss of up to 30 %, partitions (two-way and one-way, shorter and longer than
   announce-wait), servers whose messages don't leave. In all of them: crashes with and without the
   disk, all servers at once too; slow and failing disks; clock steps; ranges that come, go, shrink
   and end (by ASA, or in a server's configuration), coordinators that crash or disagree; named
   addresses; leases older than AAP.

   What is checked; the first violation ends the run:

     owning      the network is clean while it loses nothing, is not cut, and needs less than 0.9 s.
                 A witness of an address is a server that takes part (startup is over) since more
                 than 60 s and owns it, or knows since more than 60 s that somebody does. Claim: in
                 a network that was clean for the last 60 s nobody comes to own what somebody else
                 owns and has a witness, but by getting back what he had before: from his disk, from
                 leases older than AAP, or with space that was away. (AAP can promise no more: who
                 listens is mute, so after a start of all at once nobody speaks for what a server
                 has on its disk; with loss, all messages of a defence may be lost; while space is
                 away, nobody announces what he had in it.) In other cases duplicates are counted.
     resolving   no address has two owners for more than 250 s while the network is clean and both
                 take part: an AIU each 39 s at most; where their ends agree, it is taken for a
                 defence and tolerated for the echo window of 90 s after the first (up to 39 s),
                 ends with the next one (39 s), and may have to wait for a claim of a third (10 s,
                 and its window).
     bounds      what is owned lies in what is available, outside what is excluded, and ends no
                 later; nothing leased lies outside what is owned
     durability  no AIU lists an own allocation, nor is one told to clients, that is not on the disk
                 with this end or a later one
     whole       aap_zone_check of one zone every 10 s, of all at the end
     at the end  all is healed and quiet for 15 minutes: no address has two owners; everybody's
                 record has everybody's own allocations, with the same ends (12 s); what somebody
                 has on record and nobody owns is only what was lost (crash without disk, conflict)
                 or whose giving back was not heard; all know the ranges of the coordinators */
#ifndef MAL_AAP_WORLD_H
#define MAL_AAP_WORLD_H

#include "plugins/aap/aap-zone.h"
#include "world-plan.h"

G_BEGIN_DECLS

extern const MalWorldType mal_aap_world_type;

/* Planted bugs, for a test of the checks: */
enum {
  MAL_AAP_PLANT_NONE,
  MAL_AAP_PLANT_DEAF, /* one server hears nothing while the network is taken for clean */
  MAL_AAP_PLANT_EAGER /* disks confirm what they have not written */
};

/* ---- a world by hand, for measurements ------------------------------------------------------- */

typedef struct {
  uint64_t seed;
  unsigned servers;
  bool large, ipv6, with_coordinators;
  unsigned addresses; /* of the scope, that may be used */
  uint32_t preallocate, block;
  int64_t own_lifetime_s;
  int64_t disk_us; /* a write takes so long */
} MalAapWorldConfig;

typedef struct {
  uint64_t asked, at_once, pooled, waited, refused; /* POOLED: within half a second */
  int64_t longest_wait;
  uint64_t messages, octets; /* sent, all servers */
  uint64_t by_type[6];
  uint64_t leased, owned, blocks; /* now */
} MalAapWorldFigures;

typedef struct AapWorld MalAapWorld;

MalAapWorld *mal_aap_world_new(const MalAapWorldConfig *config);
void mal_aap_world_free(MalAapWorld *world);
/* Clients of SERVER ask RATE times an hour (Poisson), in groups of BURST at once, for LIFETIME. */
void mal_aap_world_load(MalAapWorld *world, unsigned server, double rate, unsigned burst,
                        int64_t lifetime_s);
/* One client of SERVER asks now. */
void mal_aap_world_ask(MalAapWorld *world, unsigned server, int64_t lifetime_s);
void mal_aap_world_run(MalAapWorld *world, int64_t until); /* virtual microseconds */
MalAapWorldFigures mal_aap_world_figures(const MalAapWorld *world);

G_END_DECLS
#endif
