/* The MADCAP server machine against a model that says what the test wants; sections are RFC 2730's.
   See madcap-script.h for the language. */
#include "madcap-script.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

typedef struct {
  char name[100];
  char script[2400];
} Case;

#define L "scope=239.255.0.0"

static Case cases[] = {
  /* ---- what is ignored ---- */
  { "2.1.1 another version is ignored",
    "> REQUEST ver=1 " L "\n<\ncount malformed-ignored 1\ncalls" },
  { "2.1.5 an options field without End is ignored", "> REQUEST " L " noend\n<\ncalls" },
  { "2.6 never an answer to a server's message",
    "> ACK\n<\n> NAK raw=16:00000000\n<\n> OFFER " L "\n<\ncount from-server-ignored 3" },
  { "2.6 nor to a malformed NAK", "> NAK raw=1:00 raw=1:00\n<" },

  /* ---- form ---- */
  { "2.2 an unknown type is an invalid request", "> 99\n< NAK 1/65535" },
  { "2.2 an unknown type without lease identifier", "> 99 noid\n< NAK 1/65535" },
  { "2.1.3 an unknown address family", "> GETINFO fam=7 list=9\n< NAK 1/65535" },
  { "2.1.5 an option twice", "> REQUEST " L " lease=1 lease=2\n< NAK 1/1" },
  { "2.1.5 unknown options are ignored",
    "> REQUEST raw=4711:00 " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "3.2 a wrong length", "> REQUEST " L " raw=1:000000\n< NAK 1/1" },
  { "table 5: REQUEST without scope", "> REQUEST\n< NAK 1/4" },
  { "table 5: REQUEST without lease identifier", "> REQUEST noid " L "\n< NAK 1/3" },
  { "3.4 an empty lease identifier", "> REQUEST id= " L "\n< NAK 1/3" },
  { "3.3 a multicast REQUEST for a server of an unknown family is another's",
    "> REQUEST @m " L " raw=2:4000010203\n<\ncalls unhold" },
  { "table 5: RENEW with a scope", "> RENEW " L "\n< NAK 1/4" },
  { "table 5: RELEASE with a lease time", "> RELEASE lease=5\n< NAK 1/1" },
  { "table 5: GETINFO without a request list", "> GETINFO\n< NAK 1/5" },
  { "table 5: multicast REQUEST without server", "> REQUEST @m " L "\n< NAK 1/2\ncalls" },
  { "table 5: DISCOVER with a server", "> DISCOVER @m server=192.0.2.1 " L "\n< NAK 1/2" },
  { "2.12 start time without current time", "> REQUEST " L " start=60\n< NAK 1/11" },
  { "3.8 minimum over desired", "> REQUEST " L " number=3-2\n< NAK 1/7" },
  { "2.4 a lease identifier of 255 octets is taken, of 256 not",
    "> REQUEST longid=255 " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1\n"
    "> REQUEST longid=256 " L "\n< NAK 1/3" },
  { "2.2.2 DISCOVER is multicast", "> DISCOVER " L "\n< NAK 1/65535\ncalls" },
  { "2.2.7 RENEW is unicast", "> RENEW @m\n< NAK 1/65535" },
  { "2.2.8 RELEASE is unicast", "> RELEASE @m\n< NAK 1/65535" },

  /* ---- DISCOVER, OFFER ---- */
  { "2.2.2 DISCOVER is offered and held", "> DISCOVER @m " L " lease=7200\n< OFFER lease=7200 " L
                                          " ranges=239.255.0.0/1\ncalls hold:60" },
  { "2.2.2 what can't be had is not answered",
    "model nohold\n> DISCOVER @m " L "\n<\ncount unsatisfiable-ignored 1" },
  { "2.2.2 nor an unknown scope", "> DISCOVER @m scope=239.77.0.0\n<\ncalls" },
  { "2.2.2 nor a minimum over the most", "> DISCOVER @m " L " number=1025-2000\n<\ncalls" },
  { "2.2.2 but what is nonsense is refused", "> DISCOVER @m " L " lease=0\n< NAK 1/1\ncalls" },
  { "2.2.3 the retransmission of a DISCOVER gets the same offer and no second hold",
    "> DISCOVER @m " L "\n< OFFER lease=3600 " L " ranges=239.255.0.0/1\ncalls hold:60\nadvance 4\n"
    "> DISCOVER @m " L "\n< OFFER lease=3600 " L
    " ranges=239.255.0.0/1\ncalls\ncount retransmissions-answered 1" },
  { "2.2.3 what can't be said is not held either",
    "wall 4294967296\n> DISCOVER @m " L " start=-1 clock=-1\n<\ncalls hold:60 unhold\n"
    "count unsatisfiable-ignored 1" },
  { "2.2.3 an offer with a start says it",
    "> DISCOVER @m " L " start=600 clock=0\n< OFFER lease=3600 " L
    " start=+600 ranges=239.255.0.0/1 clock=+0" },
  { "2.2.4 REQUEST naming us is granted",
    "> DISCOVER @m " L "\n< OFFER lease=3600 " L " ranges=239.255.0.0/1\n"
    "> REQUEST @m server=192.0.2.1 " L "\ncalls hold:60 request:1-1\n<\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.0.1/1" },
  { "2.2.4 any address of ours names us",
    "> REQUEST @m server=198.51.100.1 " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "2.2.3 REQUEST naming another lets the hold go",
    "> DISCOVER @m " L "\n< OFFER lease=3600 " L " ranges=239.255.0.0/1\n"
    "> REQUEST @m server=192.0.2.99 " L "\n<\ncalls hold:60 unhold\ncount other-server-ignored 1" },
  { "2.2.4 another's REQUEST is not ours to refuse",
    "> REQUEST @m server=192.0.2.99 lease=1 lease=1\n<\ncalls unhold" },
  { "2.2.4 unicast REQUEST naming another", "> REQUEST server=192.0.2.99 " L "\n< NAK 1/2\ncalls" },
  { "2.2.4 unicast REQUEST naming us",
    "> REQUEST server=192.0.2.1 " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "2.2.2 DISCOVER with a live lease's identifier is offered that lease",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> DISCOVER @m " L "\n"
    "< OFFER lease=500 " L " ranges=239.255.7.0/2\ncalls" },
  { "2.2.3 but not where it is shorter than the client's minimum",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> DISCOVER @m " L " minlease=561 lease=900\n<\n"
    "calls\ncount unsatisfiable-ignored 1\n> DISCOVER @m xid=2 " L " minlease=500 lease=900\n"
    "< OFFER lease=500 " L " ranges=239.255.7.0/2" },
  { "3.8 nor where it has not the number asked for",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> DISCOVER @m " L " number=3-4\n<\n"
    "> DISCOVER @m xid=2 " L " number=1-1\n<\ncalls" },
  { "2.13.3 a lease that is not shared can't be offered as shared",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> DISCOVER @m " L " feat=2//2\n"
    "< NAK 4/2 feat=1,2//" },
  { "2.2.2 but not to another client",
    "lease 00aabbccdd 192.0.2.51 239.255.7.0/2 500\n> DISCOVER @m " L "\n<\ncalls" },

  /* ---- arrival ---- */
  { "2.11 an enclosing scope may be asked for at Local Scope's group",
    "> DISCOVER @m scope=239.192.0.0\n< OFFER lease=3600 scope=239.192.0.0 ranges=239.192.0.0/1" },
  { "2.11 and through another scope",
    "> DISCOVER @m scope=224.0.1.0\n< OFFER lease=3600 scope=224.0.1.0 ranges=224.0.1.0/1" },
  { "2.11 a smaller scope may not be asked for at a larger one's group",
    "> DISCOVER @239.195.255.254 " L "\n<\ncount elsewhere-ignored 1\n"
    "> REQUEST @239.195.255.254 server=192.0.2.1 " L "\n<\ncalls" },
  { "2.11 nor one that is not nested", "> DISCOVER @239.253.255.254 scope=239.192.0.0\n<\ncalls" },
  { "2.11 each at its own", "> DISCOVER @239.253.255.254 scope=239.253.0.0\n"
                            "< OFFER lease=3600 scope=239.253.0.0 ranges=239.253.0.0/1" },
  { "2.11 GETINFO at Local Scope's group only",
    "> GETINFO @m list=11\n< ACK clock=+0\n> GETINFO xid=2 @239.195.255.254 list=11\n<\n"
    "> GETINFO xid=3 @239.253.255.254 list=11\n<" },
  { "2.11 unless configured otherwise",
    "config beyond 1\n> GETINFO @239.195.255.254 list=11\n< ACK clock=+0\n"
    "> DISCOVER @239.195.255.254 " L "\n< OFFER lease=3600 " L " ranges=239.255.0.0/1" },
  { "2.11 a group that is not ours", "> GETINFO @239.1.2.3 list=11\n<\n> 99 @239.1.2.3\n<" },
  { "2.1.3 IPv6 addresses asked for over IPv4",
    "> DISCOVER @m fam=2 scope=ff15::db8:8000:0\n"
    "< OFFER lease=3600 scope=ff15::db8:8000:0 ranges=ff15::db8:8000:0/1\n"
    "> GETINFO fam=2 list=9\n< ACK scopes=ff15::db8:8000:0/32[en:site6][fr*:le site6]" },

  /* ---- REQUEST ---- */
  { "2.2.5 nothing is answered before it is durable",
    "> REQUEST " L "\n<\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "2.1.4 a retransmission while the disk is busy allocates nothing and gets the one answer",
    "> REQUEST " L "\n> REQUEST " L "\n> REQUEST " L "\ncalls request:1-1\n<\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.0.0/1\n<\ncount retransmissions-joined 2" },
  { "2.1.4 a later one gets the same octets",
    "> REQUEST " L " start=9 clock=0\ncommit\n< ACK lease=3600 " L
    " start=+9 ranges=239.255.0.0/1 clock=+0\n"
    "advance 28\n> REQUEST " L " start=-19 clock=-28\n< ACK lease=3600 " L
    " start=-19 ranges=239.255.0.0/1 clock=-28\n"
    "calls request:1-1" },
  { "2.1.4 and is new after the interval: the live lease is returned",
    "> REQUEST " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1\nadvance 61\n"
    "> REQUEST " L "\n< ACK lease=3539 " L " ranges=239.255.0.0/1\ncalls request:1-1" },
  { "2.1.4 from another of the client's addresses as well",
    "> REQUEST " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1\n"
    "> REQUEST from=198.51.100.9 " L "\n< ACK lease=3600 " L
    " ranges=239.255.0.0/1\ncalls request:1-1" },
  { "2.1.4 a NAK is only for who got it",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n"
    "> RENEW from=203.0.113.9 lease=600\n< NAK 1/3\n> RENEW lease=600\ncommit\n< ACK lease=600 " L
    " ranges=239.255.7.0/2" },
  { "2.1.4 no cache at all", "config response-cache 0\n> REQUEST " L "\ncommit\n< ACK lease=3600 " L
                             " ranges=239.255.0.0/1\n"
                             "> REQUEST " L "\n< ACK lease=3600 " L
                             " ranges=239.255.0.0/1\ncalls request:1-1\ncount cache-entries 0" },
  { "2.4 a live lease identifier under a new xid returns that lease",
    "> REQUEST " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1\nadvance 100\n"
    "> REQUEST xid=2 " L " lease=9999\n< ACK lease=3500 " L
    " ranges=239.255.0.0/1\ncalls request:1-1" },
  { "2.4 also while it is not yet durable",
    "> REQUEST " L "\n> REQUEST xid=2 " L "\ncalls request:1-1 when-durable\ncommit\n"
    "count ack-sent 2\ncount transactions-pending 0\ndrain" },
  { "2.4 not of another scope", "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> REQUEST "
                                "scope=239.192.0.0\n< NAK 1/3\ncalls" },
  { "2.4 not to another client",
    "lease 00aabbccdd 192.0.2.51 239.255.7.0/2 500\n> REQUEST " L "\n< NAK 1/3\ncalls" },
  { "2.4 not of the control socket",
    "lease 00aabbccdd - 239.255.7.0/2 500\n> REQUEST " L "\n< NAK 1/3\ncalls" },
  { "2.13.3 unless it is shared",
    "lease 00aabbccdd 192.0.2.51 239.255.7.0/2 500 shared\n> REQUEST " L "\n"
    "< ACK lease=500 " L " ranges=239.255.7.0/2\ncalls" },
  { "2.13.3 a live lease that is not shared can't become it by REQUEST",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> REQUEST " L " feat=2//2\n"
    "< NAK 4/2 feat=1,2//\ncalls\n> REQUEST xid=2 " L " feat=2/2/\n"
    "< ACK lease=500 " L " ranges=239.255.7.0/2 feat=1,2//" },
  { "2.13.3 nor one that has expired",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\nadvance 501\n> REQUEST " L
    " number=2-2 feat=2//2\n< NAK 4/2 feat=1,2//\ncalls" },
  { "2.2.4 never a lease time under the minimum, but for what retransmission takes",
    "> REQUEST " L " lease=3600 minlease=3600\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.0.0/1\nadvance 60\n"
    "> REQUEST xid=2 " L " lease=3600 minlease=3600\n< ACK lease=3540 " L " ranges=239.255.0.0/1\n"
    "advance 1\n> REQUEST xid=3 " L " lease=3600 minlease=3600\n< NAK 0/14\n"
    "> REQUEST xid=4 " L " lease=3600\n< ACK lease=3539 " L " ranges=239.255.0.0/1" },
  { "3.8 nor a number that was not asked for",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> REQUEST " L " number=3-9\n< NAK 0/7\n"
    "> REQUEST xid=2 " L " number=1-1\n< NAK 0/7\n> REQUEST xid=3 " L " number=1-2\n"
    "< ACK lease=500 " L " ranges=239.255.7.0/2\ncalls" },
  { "2.2.4 nor a start after the latest",
    "> REQUEST " L " start=600 clock=0\ncommit\n"
    "< ACK lease=3600 " L " start=+600 ranges=239.255.0.0/1 clock=+0\n"
    "> REQUEST xid=2 " L " maxstart=599 clock=0\n< NAK 0/15\n"
    "> REQUEST xid=3 " L " maxstart=600 clock=0\n"
    "< ACK lease=3600 " L " start=+600 ranges=239.255.0.0/1 clock=+0" },
  { "3.11 a lease that was allowed to expire is taken up again",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\nadvance 501\n> REQUEST " L
    " ranges=239.255.7.0/2\ncalls renew\n"
    "commit\n< ACK lease=3600 " L " ranges=239.255.7.0/2" },
  { "3.11 but not with other addresses",
    "model refused 2 6\nlease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\nadvance 501\n"
    "> REQUEST " L "\n< NAK 1/3\ncalls request:1-1" },
  { "a store that fails", "> REQUEST " L "\nfail\n< NAK 0/65535\ncount transactions-pending 0" },

  /* ---- numbers, times ---- */
  { "3.8 numbers", "> REQUEST " L " number=2-5\ncommit\n< ACK lease=3600 " L
                   " ranges=239.255.0.0/5\ncalls request:2-5" },
  { "3.8 desired is capped", "config per-request 4\n> REQUEST " L " number=2-5\ncommit\n"
                             "< ACK lease=3600 " L " ranges=239.255.0.0/4\ncalls request:2-4" },
  { "3.8 the minimum is not",
    "config per-request 4\n> REQUEST " L " number=5-5\n< NAK 0/7\ncalls" },
  { "3.8 none at all", "> REQUEST " L " number=0-0\n< NAK 1/7" },
  { "3.8 at least none is one",
    "> REQUEST " L " number=0-1\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "3.2 lease time",
    "> REQUEST " L " lease=77\ncommit\n< ACK lease=77 " L " ranges=239.255.0.0/1" },
  { "3.2 is capped",
    "> REQUEST " L " lease=4294967295\ncommit\n< ACK lease=86400 " L " ranges=239.255.0.0/1" },
  { "3.2 nothing is no lease", "> REQUEST " L " lease=0\n< NAK 1/1" },
  { "3.15 a minimum over the cap", "> REQUEST " L " lease=99999 minlease=86401\n< NAK 0/14" },
  { "3.15 a minimum over the default",
    "> REQUEST " L " minlease=7200\ncommit\n< ACK lease=7200 " L " ranges=239.255.0.0/1" },
  { "3.15 a minimum over the wish", "> REQUEST " L " lease=10 minlease=11\n< NAK 1/14" },
  { "3.7 start", "> REQUEST " L " start=600 clock=0\ncommit\n< ACK lease=3600 " L
                 " start=+600 ranges=239.255.0.0/1 clock=+0" },
  { "3.7 a start that has passed is now",
    "> REQUEST " L " start=-60 clock=0\ncommit\n"
    "< ACK lease=3600 " L " start=+0 ranges=239.255.0.0/1 clock=+0" },
  { "3.16 a maximum start before the start",
    "> REQUEST " L " start=60 maxstart=59 clock=0\n< NAK 1/15" },
  { "3.16 a maximum start that has passed", "> REQUEST " L " maxstart=-60 clock=0\n< NAK 0/15" },
  { "3.16 but not yet by the client's clock", "> REQUEST " L " maxstart=-60 clock=-60\ncommit\n"
                                              "< ACK lease=3600 " L " ranges=239.255.0.0/1" },
  { "3.7 beyond 2106 a lease runs on, and nothing wraps",
    "wall 4294967000\n> REQUEST " L " start=200 clock=0 lease=86400\ncommit\n"
    "< ACK lease=86400 " L " start=+200 ranges=239.255.0.0/1 clock=+0" },
  { "2.12 and in 2107 leases from now can still be had",
    "wall 4300000000\n> REQUEST " L "\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },

  /* ---- named addresses ---- */
  { "3.11 named", "> REQUEST " L " ranges=239.255.9.0/2,239.255.9.8/1\ncommit\n"
                  "< ACK lease=3600 " L " ranges=239.255.9.0/2,239.255.9.8/1\ncalls request:3-3" },
  { "3.11 adjacent ones become one", "> REQUEST " L " ranges=239.255.9.2/1,239.255.9.0/2\ncommit\n"
                                     "< ACK lease=3600 " L " ranges=239.255.9.0/3" },
  { "3.11 outside the scope", "> REQUEST " L " ranges=239.192.0.0/1\n< NAK 1/10\ncalls" },
  { "3.11 across its end", "> REQUEST " L " ranges=239.255.255.255/2\n< NAK 1/10\ncalls" },
  { "3.11 one of them twice",
    "> REQUEST " L " ranges=239.255.9.0/2,239.255.9.1/1\n< NAK 1/10\ncalls" },
  { "3.11 not free", "model refused 4 2\n> REQUEST " L " ranges=239.255.9.0/2\n< NAK 0/10" },
  { "3.11 more than are allowed",
    "config per-request 4\n> REQUEST " L " ranges=239.255.9.0/5\n< NAK 0/10" },
  { "3.11 not as many as are asked for",
    "> REQUEST " L " number=3-4 ranges=239.255.9.0/2\n< NAK 1/7" },
  { "3.11 an empty list asks for any",
    "> REQUEST " L " raw=10:\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },

  /* ---- refusals: MAL_ERROR_NO_SPACE is 4, LIMIT 5, STORE 6, EXISTS 2, INVALID 0 ---- */
  { "3.17.1 not so many", "model refused 4 1\n> REQUEST " L " number=2-2\n< NAK 0/7" },
  { "3.17.1 no option that the client did not send",
    "model refused 4 1\n> REQUEST " L "\n< NAK 0/65535" },
  { "3.17.1 lifetime", "model refused 4 3\n> REQUEST " L " lease=100 minlease=100\n< NAK 0/14" },
  { "3.17.1 start", "model refused 4 4\n> REQUEST " L " start=5 clock=0\n< NAK 0/6" },
  { "3.17.1 maximum start", "model refused 4 4\n> REQUEST " L " maxstart=5 clock=0\n< NAK 0/15" },
  { "3.17.1 scope",
    "model refused 4 5\n> REQUEST " L "\n< NAK 0/4\n> REQUEST xid=2 scope=239.77.0.0\n< NAK 0/4" },
  { "3.17.1 a limit", "model refused 5 1\n> REQUEST " L "\n< NAK 0/65535" },
  { "3.17.1 store", "model refused 6 0\n> REQUEST " L "\n< NAK 0/65535" },
  { "3.17.2 identifier", "model refused 2 6\n> REQUEST " L "\n< NAK 1/3" },

  /* ---- RENEW, RELEASE ---- */
  { "2.2.7 RENEW", "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\nadvance 100\n> RENEW "
                   "lease=900\ncalls renew\n<\n"
                   "commit\n< ACK lease=900 " L " ranges=239.255.7.0/2" },
  { "2.2.7 RENEW with the default",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> RENEW\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.7.0/2" },
  { "2.2.7 RENEW without a lease time takes nothing away",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 9000\nadvance 1000\n> RENEW\ncommit\n"
    "< ACK lease=8000 " L " ranges=239.255.7.0/2" },
  { "2.2.7 but for what is over the most",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 999999\n> RENEW\ncommit\n"
    "< ACK lease=86400 " L " ranges=239.255.7.0/2" },
  { "2.2.7 RENEW is done once",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> RENEW lease=900\n> RENEW lease=900\n"
    "commit\n< ACK lease=900 " L " ranges=239.255.7.0/2\n> RENEW lease=900\n"
    "< ACK lease=900 " L " ranges=239.255.7.0/2\ncalls renew" },
  { "2.2.7 RENEW to a later start", "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n"
                                    "> RENEW start=50 clock=0 lease=900\ncommit\n< ACK lease=900 " L
                                    " start=+50 ranges=239.255.7.0/2 clock=+0" },
  { "3.17.4 RENEW of the unknown", "> RENEW\n< NAK 3\ncalls" },
  { "3.17.4 RENEW of what is only offered",
    "> DISCOVER @m " L "\n< OFFER lease=3600 " L " ranges=239.255.0.0/1\n"
    "> RENEW\n< NAK 3" },
  { "3.17.4 RENEW after the end",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\nadvance 500\n> RENEW\n< NAK 3\ncalls" },
  { "2.1.3 RENEW in the wrong family",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> RENEW fam=2\n< NAK 1/65535" },
  { "4 RENEW by another",
    "lease 00aabbccdd 192.0.2.51 239.255.7.0/2 500\n> RENEW\n< NAK 1/3\ncalls" },
  { "2.13.3 RENEW by another of what is shared",
    "lease 00aabbccdd 192.0.2.51 239.255.7.0/2 500 shared\n> RENEW\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.7.0/2" },
  { "4 RENEW by another where anybody may",
    "config anyone 1\nlease 00aabbccdd 192.0.2.51 239.255.7.0/2 500\n> RENEW\n"
    "commit\n< ACK lease=3600 " L " ranges=239.255.7.0/2" },
  { "3.15 RENEW over the cap", "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> RENEW lease=99999 "
                               "minlease=90000\n< NAK 0/14" },
  { "2.2.8 RELEASE, once",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> RELEASE\n<\ncommit\n< ACK\n"
    "> RELEASE\n< ACK\ncalls release\n> RELEASE xid=2\n< NAK 3" },
  { "4 RELEASE by another",
    "lease 00aabbccdd 192.0.2.51 239.255.7.0/2 500\n> RELEASE\n< NAK 1/3\ncalls" },
  { "RELEASE while the disk fails",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n> RELEASE\nfail\n< NAK 0/65535" },

  /* ---- clock skew ---- */
  { "2.12 skew",
    "> REQUEST " L " clock=1801\n< NAK 2/+0\ncalls\n> REQUEST xid=2 " L " clock=-1801\n< NAK 2/+0\n"
    "> DISCOVER @m " L " clock=99999\n< NAK 2/+0\ncount clock-skew-sent 3" },
  { "2.12 what is allowed",
    "> REQUEST " L " clock=1800\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1" },

  /* ---- features ---- */
  { "3.13 the list is answered with ours",
    "> REQUEST " L " feat=0,1,2//\ncommit\n"
    "< ACK lease=3600 " L " ranges=239.255.0.0/1 feat=1,2//" },
  { "3.13 in refusals as well", "> RENEW feat=1//\n< NAK 3 feat=1,2//" },
  { "3.13 required and not ours",
    "> REQUEST " L " feat=0,9//0,2,9\n< NAK 4/0,9 feat=1,2//\ncalls" },
  { "3.13 in a DISCOVER as well", "> DISCOVER @m " L " feat=0//0\n< NAK 4/0 feat=1,2//" },
  { "2.13.3 shared, requested",
    "> REQUEST " L " feat=2/2/\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1 feat=1,2//2\n"
    "> RENEW from=192.0.2.77 lease=50\ncommit\n< ACK lease=50 " L " ranges=239.255.0.0/1\n"
    "> RENEW xid=2 from=192.0.2.77 lease=60 feat=2//2\ncommit\n< ACK lease=60 " L
    " ranges=239.255.0.0/1 feat=1,2//2" },
  { "2.13.3 shared, required",
    "> REQUEST " L " feat=2//2\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1 feat=1,2//2" },
  { "2.13.3 merely supported is not shared",
    "> REQUEST " L " feat=2//\ncommit\n< ACK lease=3600 " L " ranges=239.255.0.0/1 feat=1,2//\n"
    "> RENEW from=192.0.2.77\n< NAK 1/3" },
  { "2.13.3 required for a lease that is not shared",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n"
    "> RENEW feat=2//2\n< NAK 4/2 feat=1,2//\n> RELEASE feat=2//2\n< NAK 4/2 feat=1,2//\ncalls" },
  { "2.13.3 requested for one that is not is skipped",
    "lease 00aabbccdd 192.0.2.50 239.255.7.0/2 500\n"
    "> RENEW lease=9 feat=2/2/\ncommit\n< ACK lease=9 " L " ranges=239.255.7.0/2 feat=1,2//" },
  { "2.13.3 offered as shared",
    "> DISCOVER @m " L " feat=2/2/\n< OFFER lease=3600 " L " ranges=239.255.0.0/1 feat=1,2//2" },

  /* ---- Retry After ---- */
  { "2.13.2 a client must not request or require Retry After",
    "> REQUEST " L " feat=1/1/\n< NAK 1/12\n> REQUEST xid=2 " L " feat=1//1\n< NAK 1/12\ncalls" },
  { "2.13.2 before the first retransmission the client is told to come again",
    "model waiting\n> REQUEST " L " lease=900 feat=1//\n<\nadvance 2\n<\nadvance 1\n"
    "< ACK lease=900 " L " ranges= clock=+0 feat=1,2//1 retry=+120\ncount retry-later-sent 1\n"
    "advance 1\n> REQUEST " L " lease=900 feat=1//\n< ACK lease=900 " L
    " ranges= clock=-1 feat=1,2//1 retry=+119\ncalls request:1-1\n"
    "space\n<\n> REQUEST xid=2 " L " lease=900 feat=1//\n< ACK lease=896 " L
    " ranges=239.255.0.0/1 feat=1,2//\ncalls" },
  { "2.13.2 or is answered if the space comes in time",
    "model waiting\n> REQUEST " L " feat=1//\nadvance 2\nspace\n< ACK lease=3598 " L
    " ranges=239.255.0.0/1 feat=1,2//\n"
    "advance 5\n<" },
  { "2.13.2 and may be told again",
    "model waiting\n> REQUEST " L " feat=1//\nadvance 3\n"
    "< ACK lease=3600 " L " ranges= clock=+0 feat=1,2//1 retry=+120\nadvance 120\n"
    "> REQUEST xid=2 " L " feat=1//\n< ACK lease=3600 " L
    " ranges= clock=+0 feat=1,2//1 retry=+120\ncalls request:1-1" },
  { "2.13.2 a client without the feature waits in silence and gets the one answer",
    "model waiting\n> REQUEST " L "\nadvance 4\n> REQUEST " L "\n<\nadvance 8\n> REQUEST " L
    "\n<\nspace\n"
    "< ACK lease=3588 " L " ranges=239.255.0.0/1\ncalls request:1-1" },
  { "2.13.2 until it has given up",
    "model waiting\n> REQUEST " L "\nadvance 59\n<\nadvance 1\n< NAK 0/65535\n"
    "calls request:1-1 release\ncount transactions-pending 0" },
  { "2.13.2 who never comes back loses it",
    "model waiting\n> REQUEST " L " feat=1//\nadvance 3\n"
    "< ACK lease=3600 " L " ranges= clock=+0 feat=1,2//1 retry=+120\nadvance 719\ncalls "
                          "request:1-1\nadvance 1\ncalls release" },
  { "2.13.2 RENEW of what waits", "model waiting\n> REQUEST " L "\n> RENEW\n< NAK 1/3" },
  { "2.13.2 RELEASE of what waits",
    "model waiting\n> REQUEST " L " feat=1//\nadvance 3\n"
    "< ACK lease=3600 " L
    " ranges= clock=+0 feat=1,2//1 retry=+120\n> RELEASE\n< ACK\ncalls request:1-1 release\n"
    "count transactions-pending 0" },
  { "4 RELEASE of what waits by another",
    "model waiting\n> REQUEST " L "\n> RELEASE from=192.0.2.77\n< NAK 1/3" },
  { "4 REQUEST of what waits by another",
    "model waiting\n> REQUEST " L "\n> REQUEST xid=2 from=192.0.2.77 " L "\n< NAK 1/3" },

  /* ---- GETINFO ---- */
  { "2.2.1 what is asked for",
    "> GETINFO list=11\n< ACK clock=+0\n> GETINFO xid=2 list=12\n< ACK feat=1,2//\n"
    "> GETINFO xid=3 list=4711\n< ACK\n> GETINFO xid=4 list=11 feat=0//\n< ACK clock=+0 "
    "feat=1,2//" },
  { "3.10 the scope list, smallest first, with all names",
    "> GETINFO list=9\n< ACK scopes=239.255.0.0/16[en:local][fr*:le "
    "local],239.192.0.0/64[en:org][fr*:le org],"
    "224.0.1.0/255[en:global][fr*:le global],239.253.0.0/8[en:lab][fr*:le lab]" },
  { "3.9 one name each in the language asked for, else the default",
    "> GETINFO list=9 lang=EN\n< ACK scopes=239.255.0.0/16[en:local],239.192.0.0/64[en:org],"
    "224.0.1.0/255[en:global],239.253.0.0/8[en:lab]\n"
    "> GETINFO xid=2 list=9 lang=de\n< ACK scopes=239.255.0.0/16[fr*:le "
    "local],239.192.0.0/64[fr*:le org],"
    "224.0.1.0/255[fr*:le global],239.253.0.0/8[fr*:le lab]" },
  { "RFC 2907 3.3: nesting only beside the scope list", "> GETINFO list=17\n< ACK" },
  { "RFC 2907 3.2: nesting",
    "> GETINFO list=17,9 lang=en\n< ACK scopes=239.255.0.0/16[en:local],239.192.0.0/64[en:org],"
    "224.0.1.0/255[en:global],239.253.0.0/8[en:lab] nesting=c0400000" },
  { "2.1.4 GETINFO is repeated with the same octets",
    "> GETINFO list=11\n< ACK clock=+0\nadvance 5\n> GETINFO list=11\n< ACK clock=-5\n"
    "> GETINFO from=192.0.2.77 list=11\n< ACK clock=+0" },

  /* ---- bounds ---- */
  { "rate limit",
    "config rate-limit 2\n> GETINFO list=11\n< ACK clock=+0\n> GETINFO list=11\n< ACK clock=+0\n"
    "> GETINFO list=11\n< ACK clock=+0\n> GETINFO list=11\n< ACK clock=+0\n> GETINFO list=11\n<\n"
    "> GETINFO from=192.0.2.77 list=11\n< ACK clock=+0\nadvance 1\n> GETINFO xid=2 list=11\n< ACK "
    "clock=+0\n"
    "> GETINFO xid=3 list=11\n< ACK clock=+0\n> GETINFO xid=4 list=11\n<\ncount rate-limited 2" },
  { "transactions under way are not given up for new ones",
    "config entries 4\n> REQUEST id=01 " L "\n> REQUEST id=02 " L "\n> REQUEST id=03 " L
    "\n> REQUEST id=04 " L "\n"
    "calls request:1-1 request:1-1 request:1-1\ncount overload-ignored 1\ncount "
    "transactions-pending 3\ncommit\n"
    "count ack-sent 3\n> REQUEST id=04 " L "\ncount answers-evicted 1\ndrain" },
};

ParameterizedTestParameters(madcap_server, script)
{
  return cr_make_param_array(Case, cases, G_N_ELEMENTS(cases));
}

ParameterizedTest(Case *c, madcap_server, script)
{
  madcap_script_run(c->name, c->script);
}
