/* The MADCAP server machine's rarer ways, by the scripts of madcap-script.h. Sections are RFC
   2730's. */
#include "madcap-script.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

typedef struct {
  char name[100];
  char script[900];
} Case;

#define L "scope=239.255.0.0"
#define LAST "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define HIGH "scope=ffff::"
#define TOP "scope ffff::-" LAST "\n"
#define MINE "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500"
#define AGAIN "ranges= clock=+0 feat=1,2//1 retry=+120"
#define FULL                                                                                       \
  "config entries 4\nlease 01 192.0.2.50 239.255.8.0/1 9999\n> REQUEST id=aa " L                   \
  "\n> REQUEST id=bb " L "\n> REQUEST id=cc " L "\ncalls request:1-1 request:1-1 request:1-1\n"

static Case cases[] = {
  /* ---- what is asked for ---- */
  { "3.8 the number beside named addresses is theirs",
    "> REQUEST " L " number=1-1 ranges=239.255.9.0/2\n< NAK 1/7\n"
    "> REQUEST xid=2 " L " number=2-2 ranges=239.255.9.0/2\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.9.0/2" },
  { "3.16 RENEW to a start after its maximum",
    MINE "\n> RENEW start=60 maxstart=59 clock=0\n< NAK 1/15\ncalls" },
  { "3.16 a start at its maximum",
    "> REQUEST " L " start=60 maxstart=60 clock=0\ncommit\n"
    "< ACK lease=3600 " L " start=+60 ranges=239.255.0.0/1 clock=+0" },
  { "3.17.4 what the engine doesn't find is unknown",
    MINE "\nmodel refused 1 6\n> RENEW\n< NAK 3" },
  { "3.17.2 what the engine calls wrong is invalid",
    "model refused 0 0\n> REQUEST " L "\n< NAK 1/65535" },

  /* ---- DISCOVER ---- */
  { "2.2.3 a shared lease is offered to who doesn't ask for that as any other",
    MINE " shared\n> DISCOVER @m " L " feat=2//\n< OFFER lease=500 " L
         " ranges=239.255.7.0/2 feat=1,2//\n"
         "> DISCOVER xid=2 @m " L " feat=2/2/\n< OFFER lease=500 " L
         " ranges=239.255.7.0/2 feat=1,2//2" },
  { "2.2.2 a lease of another scope is no offer",
    MINE "\n> DISCOVER @m scope=239.192.0.0\n<\ncalls" },
  { "2.13.2 what waits is not offered meanwhile",
    "model waiting\n> REQUEST " L "\n> DISCOVER @m " L
    "\n<\ncalls request:1-1\ncount unsatisfiable-ignored 1" },
  { "2.2.4 another server's REQUEST without lease identifier",
    "> REQUEST noid @m server=192.0.2.99 " L "\n<\ncalls" },

  /* ---- waiting ---- */
  { "2.13.2 what waits for somebody else",
    MINE " waiting\n> REQUEST " L "\n< NAK 1/3\n> RELEASE\n< NAK 1/3\ncalls" },
  { "2.13.2 a second REQUEST before the first is answered",
    "model waiting\n> REQUEST " L " feat=1//\n> REQUEST xid=2 " L " feat=1//\n"
    "< ACK lease=3600 " L " " AGAIN "\ncalls request:1-1\ncount retry-later-sent 1\nadvance 3\n"
    "count retry-later-sent 2\ndrain" },
  { "2.13.2 or by a client that doesn't know Retry After",
    "model waiting\n> REQUEST " L "\n> REQUEST xid=2 " L
    "\n<\ncount retransmissions-joined 1\ncalls request:1-1" },
  { "2.13.2 by anybody where anybody may",
    "config anyone 1\nmodel waiting\n> REQUEST " L " feat=1//\n> REQUEST xid=2 from=192.0.2.77 " L
    " feat=1//\n"
    "< ACK lease=3600 " L " " AGAIN "\n> RELEASE xid=3 from=192.0.2.77\ncalls request:1-1 release\n"
    "count ack-sent 2\ncount nak-sent 1\ndrain" },
  { "2.13.3 by anybody what is shared",
    "model waiting\n> REQUEST " L " feat=1,2/2/\n> REQUEST xid=2 from=192.0.2.77 " L " feat=1//\n"
    "< ACK lease=3600 " L " " AGAIN "\n> RELEASE xid=3 from=192.0.2.77\ncalls request:1-1 release\n"
    "count nak-sent 1\ndrain" },

  /* ---- leases of scopes that are gone, leases without end ---- */
  { "2.4 a lease whose scope is gone",
    MINE " scope-gone\n> REQUEST " L "\n< NAK 1/3\n> RENEW\n< NAK 1/65535\ncalls" },
  { "3.2 a lease without end",
    MINE " for-ever\n> REQUEST " L "\n< ACK lease=4294967295 " L " ranges=239.255.7.0/2" },

  /* ---- what has expired ---- */
  { "3.11 not with more addresses than it had",
    MINE "\nadvance 501\n> REQUEST " L " number=3-4\ncalls request:3-4\ncommit\n"
         "< ACK lease=3600 " L " ranges=239.255.0.0/4" },
  { "3.11 nor in other pieces", MINE
    "\nadvance 501\n> REQUEST " L " ranges=239.255.7.0/1,239.255.7.2/1\ncalls request:2-2\ndrain" },
  { "3.11 nor of another size",
    MINE "\nadvance 501\n> REQUEST " L " ranges=239.255.7.0/3\ncalls request:3-3\ndrain" },
  { "3.11 nor others",
    MINE "\nadvance 501\n> REQUEST " L " ranges=239.255.7.1/2\ncalls request:2-2\ndrain" },
  { "3.11 nor of another scope",
    MINE "\nadvance 501\n> REQUEST scope=239.192.0.0 number=2-2\ncalls request:2-2\ndrain" },
  { "3.11 nor by another",
    MINE "\nadvance 501\n> REQUEST from=192.0.2.77 " L " number=2-2\ncalls request:2-2\ndrain" },
  { "2.13.3 shared as it was",
    MINE " shared\nadvance 501\n> REQUEST " L " number=2-2 feat=2//2\ncalls renew\ncommit\n"
         "< ACK lease=3600 " L
         " ranges=239.255.7.0/2 feat=1,2//2\n> RELEASE feat=2//2\ncommit\n< ACK feat=1,2//2" },

  /* ---- no room for another transaction: dropped, the client sends it again ---- */
  { "overload: REQUEST of a live lease",
    FULL "> REQUEST id=01 " L "\n<\ncount overload-ignored 1\ncalls" },
  { "overload: REQUEST of an expired one",
    FULL "advance 9999\n> REQUEST id=01 " L
         " ranges=239.255.8.0/1\n<\ncount overload-ignored 1\ncalls" },
  { "overload: RENEW", FULL "> RENEW id=01\n<\ncount overload-ignored 1\ncalls" },
  { "overload: RELEASE", FULL "> RELEASE id=01\n<\ncount overload-ignored 1\ncalls" },
  { "overload: what waits",
    "config entries 4\nmodel waiting\n> REQUEST id=aa " L " feat=1//\n> REQUEST id=bb " L
    "\n> REQUEST id=cc " L "\ncalls request:1-1 request:1-1 request:1-1\n> REQUEST xid=2 id=aa " L
    " feat=1//\n<\n"
    "> RELEASE xid=3 id=aa\n<\ncount overload-ignored 2\ncalls" },
  { "2.1.4 without room no answer is kept, but each gets one",
    "config entries 3\n> GETINFO list=11\n< ACK clock=+0\nadvance 5\n> GETINFO list=11\n< ACK "
    "clock=+0\n"
    "count cache-entries 0" },
  { "2.1.4 nor with no interval", "config response-cache 0\n> GETINFO list=11\n< ACK "
                                  "clock=+0\nadvance 5\n> GETINFO list=11\n< ACK clock=+0\n"
                                  "> RENEW\n< NAK 3\ncount cache-entries 0" },

  /* ---- the highest address of all ---- */
  { "3.11 what ends there may be named",
    TOP "> REQUEST fam=2 " HIGH " ranges=ffff::/1," LAST "/1\ncalls request:2-2\ndrain" },
  { "3.11 twice the same is no two",
    TOP "> REQUEST fam=2 " HIGH " ranges=" LAST "/1," LAST "/1\n< NAK 1/10\ncalls" },
  { "3.11 nor are blocks that share it",
    TOP "> REQUEST fam=2 " HIGH " ranges=ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/2," LAST "/1\n"
    "< NAK 1/10\ncalls" },

  /* ---- what can't be said ---- */
  { "without an address of ours there is no answer",
    "> GETINFO nowhere list=11\n<\n> RENEW nowhere\n<\n> REQUEST nowhere\n<\ncount ack-sent "
    "0\ncount nak-sent 0" },
  { "nor a time to come again",
    "model waiting\n> REQUEST nowhere " L " feat=1//\nadvance 3\n<\ncount retry-later-sent 0" },
  { "3.7 a grant that starts after 2106 is taken back",
    "wall 4294967296\n> REQUEST " L
    " start=-1 clock=-1\ncommit\n< NAK 0/65535\ncalls request:1-1 release" },
  { "2.2.4 but a lease that the client has stays, though its start can't be said",
    "wall -100\n" MINE "\n> REQUEST " L " start=100 clock=100\n< NAK 0/65535\ncalls\n"
    "> REQUEST xid=2 " L "\n< ACK lease=500 " L " ranges=239.255.7.0/2" },
  { "2.2.7 nor does a renewal end it",
    "wall 4294967296\n" MINE "\n> RENEW start=-1 clock=-1\ncommit\n< NAK 0/65535\ncalls renew\n"
    "> RELEASE xid=2\ncommit\n< ACK\ncalls release" },
  { "3.11 nor of the addresses that were its own until it expired",
    "wall 4294967296\n" MINE "\nadvance 501\n> REQUEST " L
    " ranges=239.255.7.0/2 start=-502 clock=-502\ncommit\n"
    "< NAK 0/65535\ncalls renew release" },
  { "3.12 before 1970 it is 1970", "wall -100\n> GETINFO list=11\n< ACK clock=+100" },

  /* ---- arrival ---- */
  { "2.11 an IPv6 scope is not asked for at another than the local group",
    "> DISCOVER @239.195.255.254 fam=2 scope=ff15::db8:8000:0\n<\ncalls" },
  { "2.11 without a local scope the innermost groups stand for it",
    "groups global org lab\n> GETINFO @239.253.255.254 list=11\n< ACK clock=+0\n"
    "> GETINFO xid=2 @239.195.255.254 list=11\n<\n> GETINFO xid=3 @238.255.255.254 list=11\n<" },

  /* ---- configuration ---- */
  { "3.3 which addresses are ours", "no-addresses\n> REQUEST server=198.51.100.1 " L
                                    "\n< NAK 1/2\n> REQUEST xid=2 server=192.0.2.1 " L
                                    "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "no rate limit any more", "config rate-limit 1\nconfig rate-limit 0\n> 99\n> 99\n> 99\n> 99\n> "
                              "99\n> 99\ncount nak-sent 6\n"
                              "count rate-limited 0\ndrain" },
  { "3.9 a language of no letters is none",
    "> GETINFO list=9 lang= fam=2\n< ACK scopes=ff15::db8:8000:0/32[fr*:le site6]" },
};

ParameterizedTestParameters(madcap_server, edges)
{
  return cr_make_param_array(Case, cases, G_N_ELEMENTS(cases));
}

ParameterizedTest(Case *c, madcap_server, edges)
{
  madcap_script_run(c->name, c->script);
}
