/* Scripts for the MADCAP server machine: one line sends a message, one expects an answer, one moves
   time or the model.

   > TYPE [token ...]    a message from a client. Tokens:
       xid=N id=HEX noid fam=N ver=N @m (to Local Scope's group) @ADDR (to that address) from=ADDR
       lease=N minlease=N server=ADDR scope=ADDR start=+N maxstart=+N
       clock=+N (relative to now) number=A-B
       ranges=ADDR/N,... list=N,... lang=TAG feat=SUPPORTED/REQUESTED/REQUIRED raw=CODE:HEX
   < TYPE [field ...]    the next answer, in full but for what all have in common: its xid, lease
                         identifier and server identifier are those of the last message
   <                     no (further) answer
   drain                 forget all answers
   commit                what the model decided becomes durable
   fail                  it does not
   model granted|waiting|refused CODE PART|nohold
   space                 what waits gets its addresses
   lease HEX ADDR FIRST/N LASTS [shared] [waiting] [for-ever] [scope-gone]
                         the model has a lease of that client
   groups NAME ...       serve at the groups of these scopes only
   scope SPAN            a scope more
   no-addresses
   advance N             both clocks, with ticks
   wall N                the wall clock alone
   calls TEXT            model operations since the last time, "request renew ..."
   config KEY N
   count METRIC N        a counter or gauge */
#ifndef MADCAP_SCRIPT_H
#define MADCAP_SCRIPT_H

#include "plugins/madcap/madcap-server.h"

#define SCRIPT_WALL 1767225600   /* 2026-01-01T00:00:00Z */

/* Fails the running Criterion test where an expectation is not met; NAME stands in the message. */
void madcap_script_run(const char *name, const char *script);

#endif
