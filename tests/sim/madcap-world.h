/* Worlds of MADCAP servers (whole daemons: real core, lease engine and plugin, on simulated disks),
   of client daemons (the real client plugin, used by programs through the control API), and of
   scripted clients that know no manners. One seed makes and torments one world.

   Drawn (madcap-world-plan.c): 1 to 4 servers on 1 to 3 links with borders between them, 2 to 400
   scripted clients with up to 3 leases each, 0 to 12 client daemons with up to 4; four scopes of
   both families, two of which share Ethernet groups, and one that comes and goes; sizes of ranges,
   padding, limits for clients, a layer 3 that brings space after a while; clocks that are up to
   10 s wrong and drift (clients': a minute, a few of them 2 hours), slow disks.
   What clients send: DISCOVER (to groups and to one server), REQUEST (after an OFFER and without,
   any and named addresses), RENEW, RELEASE, GETINFO, with start times, latest starts and least
   lease times, shared and mobile leases, both families; messages of unknown type, garbage, answers.
   What befalls them: kinds of WORLD_KINDS_LIST (madcap-world-private.h): crashes, with loss of the
   disk, in the middle of a write, right after an answer; disks that are full or fail; clock steps
   of up to a day; reloads of ranges, excludes, reserves, scopes, settings, and of a file with bad
   syntax; ranges, reserves and leases by the control API, revocation; interfaces, borders,
   partitions in one and both ways; loss of up to 50 %, duplication, delay, reordering.

   What is checked; the first violation ends the run (mal_sim_failure):

     after every event   each server of which anything changed: every lease that was granted,
                         renewed or offered meanwhile lies in owned, available and scope, in its
                         server's share (shares are disjoint, so no address is leased twice in the
                         whole world) and in no exclude or reserve, and shares no Ethernet group
                         with another one at one time. While a server has at most 48 leases, all
                         of them are looked at, with mal_leases_check (design: three nested sets)
     every 97 events     the complete check of every server; every promise still stands
     every datagram      an ACK is durable on its server's disk at that moment and says what the
                         engine says; from then on the lease is there until its end, or until its
                         client gave it up, across crashes, failing disks, steps of the clock and
                         reloads; one transaction (xid, lease identifier, source) has one answer,
                         octet for octet, while the response cache lasts; no answer to OFFER, ACK,
                         NAK or garbage
     every reload        one that was refused changed nothing
     at the end          all faults are healed, all clients come to rest: what scripted clients and
                         client daemons believe to hold is what the servers hold, and nothing else
                         is leased; a program's lease is forgotten by its daemon only where it
                         ended or the server says so */
#ifndef MAL_MADCAP_WORLD_H
#define MAL_MADCAP_WORLD_H

#include "world-plan.h"

G_BEGIN_DECLS

/* For mal_soak_main and for tests. */
extern const MalWorldType mal_madcap_world_type;

/* Planted bugs, for the shrinker's tests: a failure is made up after ... */
enum {
  MAL_MADCAP_PLANT_NONE,
  MAL_MADCAP_PLANT_THREE,     /* first a crash, then a reload, then an ACK, all of one server */
  MAL_MADCAP_PLANT_ABORT,     /* a client daemon's lease: the process dies */
};

G_END_DECLS
#endif
