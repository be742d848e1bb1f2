/* Worlds of MASC: whole daemons with the plugin on the simulator, in one tree of domains. One seed
   makes and torments one world.

   Drawn (masc-world-plan.c): 1 to 4 top-level domains in a sparse mesh (a tree and some more
   sessions); 0 to 6 domains below each, some with two parents, some below another child, some with
   sessions to siblings; 1 to 3 nodes to a domain, all internal peers of each other, whose sessions
   to others end at one or two of them; one scope, or a second one that ends at the boundary of each
   top-level domain's tree (4.5); little or much space; clash resolution by itself or by hand; all
   times as RFC 2909 and Appendix A have them, hold times apart (hours); clocks up to 11 h wrong
   either way. Local users ask for leases of 12 hours to 18 days and ask again until they have them.
   Troubles: partitions between two domains, between the nodes of one, or of all, shorter and longer
   than the waiting period; sessions that are reset; crashes with and without the disk; disks that
   fail; clock steps; roles configured wrongly for a while; another provider; bursts and lulls of
   demand; a domain that floods the others with claims.

   Seeds from 10,000 on draw more, and all else as if they didn't; from

     10,000      one or two scopes more with zones around any domains: Zone TLDs whose parents are
                 outside, siblings among such, several zones at once (4.5)
     20,000      IPv6, alone (identifiers and sessions, too, perhaps) or beside IPv4
     30,000      servers: one to three in each domain behind its coordinators, on a link of its own,
                 with AAP and MADCAP, or all three tiers in one process; most users ask a client
                 daemon (MADCAP). Servers crash, with and without the disk, and are cut off
     40,000      operators: some domains claim by hand alone; claims and withdrawals anywhere
     50,000      all of this by chance

   The network is whole while nothing of this is under way: all nodes run, nothing is cut, no disk
   fails, nobody is misconfigured or ignored, and every configured session is established. What is
   checked; the first violation ends the run:

     disjoint    once the network has been whole for a waiting period no two domains hold the same
                 addresses, but ancestor and descendant; nor does any domain let its servers use
                 what another one holds, an ancestor apart, and never what a descendant holds. Where
                 an operator resolves clashes by hand: 18 h later. What a domain has of a provider
                 that it left ends by itself (12.5), and doesn't count, nor does what its children
                 have of that: nobody can tell them anything.
     inside      a child's space lies in what its parents manage: as long as clocks differ (22 h)
                 after that, it never doesn't for longer than that
     told        what a node tells its servers, and its routers, is what its zone holds, and ends no
                 later: always
     durable     what it told before a crash it tells after it, at once, until the end of that (what
                 another node of the domain won may be on that one's disk alone, where one fails)
     servers     what servers own is what their domain uses, for `disjoint` (five minutes later: so
                 long an announcement counts). A lease lies in what its server owns, that in what
                 is available; when nothing befell a domain for five minutes, no two of its servers
                 own the same (aap-world.h says why no sooner) or lease it; mal_leases_check. What
                 servers go on using of a coordinator that lost its disk is counted only
     whole       masc_zone_check, masc_session_check of all nodes, now and then
     at the end  all is healed and quiet for 14 days: all sessions are established; no claim waits
                 longer than a waiting period; nothing clashes; caches are bounded; and where there
                 is much space, nobody waits for addresses, nor after 45 days where there is less */
#ifndef MAL_MASC_WORLD_H
#define MAL_MASC_WORLD_H

#include "world-plan.h"

G_BEGIN_DECLS

extern const MalWorldType mal_masc_world_type;

/* Planted bugs, for a test of the checks: */
enum {
  MAL_MASC_PLANT_NONE,
  MAL_MASC_PLANT_DEAF, /* two top-level domains never meet, which the checks don't know */
  MAL_MASC_PLANT_FORGETFUL, /* crashes with the disk lose it */
  MAL_MASC_PLANT_APART /* one server of a domain hears no other one, which the checks don't know */
};

G_END_DECLS
#endif
