/* The configuration groups. */
#include "masc-tables.h"

#define LONG_TIME INT32_MAX

#define SECONDS(name, low, high, value, text)                                                      \
  { .key = name, .type = MAL_CONF_DURATION, .min = low, .max = high, .fallback = value,            \
    .help = text }
#define NUMBER(name, low, high, value, text)                                                       \
  { .key = name, .type = MAL_CONF_INTEGER, .min = low, .max = high, .fallback = value,             \
    .help = text }

static const MalConfKey keys[] = {
  { .key = "domain-id", .type = MAL_CONF_STRING, .restart = true,
    .help = "Identifier of this domain: its AS number, or an address of its unicast prefix "
            "(section 7.2). An IPv6 address can't be named in claims of IPv4 addresses. Needed "
            "with role prefix-coordinator." },
  { .key = "node-id", .type = MAL_CONF_STRING, .restart = true,
    .help = "Identifier of this node: one of its unicast addresses, unique in the domain. Needed "
            "with role prefix-coordinator." },
  { .key = "identity-change", .type = MAL_CONF_CHOICE, .choices = "refuse|forget",
    .fallback = "refuse",
    .help = "What to do where the store has the state of another domain-id or node-id. refuse: "
            "don't start. forget: start with nothing; what was won under the old identifiers is "
            "not withdrawn, and stays taken until its lifetime is over." },
  { .key = "port", .type = MAL_CONF_INTEGER, .min = 1, .max = 65535, .fallback = "2587",
    .help = "TCP port to listen on." },
  { .key = "listen", .type = MAL_CONF_ADDRESS, .list = true,
    .help = "Addresses to listen on. Default: all, of each family that some [masc-peer] has. "
            "Nobody but the peers is let in." },
  { .key = "scopes", .type = MAL_CONF_STRING, .list = true,
    .help = "The scopes of which prefixes are claimed; they must be divisible (section 4.5). "
            "Default: all divisible ones." },
  { .key = "parents", .type = MAL_CONF_STRING, .list = true,
    .help = "Identifiers of parent domains that only other nodes of this domain speak to; with "
            "@SCOPE behind, in that scope alone (as scopes of the [masc-peer] there says). Who has "
            "none in a scope, and no [masc-peer] of role parent, is a top-level domain there and "
            "claims from the whole scope." },
  SECONDS("waiting-period", 1, LONG_TIME, "2d",
          "How long a claim waits for others to object: longer than any partition of the network "
          "should last. All domains should agree in it (section 6)."),
  SECONDS("initiate-claim-delay", 0, 86400, "10m",
          "A claim is sent after a random part of this, so that nodes of one domain don't claim "
          "the same need twice (section 5.1)."),
  SECONDS("holdtime", 0, 65535, "240",
          "A peer that says nothing for so long is taken for gone; each session takes the smaller "
          "one of both ends' values. 0: no timer; else at least 3."),
  { .key = "clash-resolution", .type = MAL_CONF_CHOICE, .choices = "automatic|manual",
    .fallback = "automatic",
    .help = "What to do where another domain uses a prefix that this one uses, too (section "
            "12.4). automatic: the older one stays, the other is withdrawn. manual: it is not used "
            "until masc.resolve says what to do." },
  SECONDS("connect-retry", 1, 86400, "2m",
          "A connection that can't be made is tried again after about so long."),
  SECONDS("backoff", 1, 86400, "60",
          "After an error a session waits for so long; twice as long after each further one "
          "(section 10.1)."),
  SECONDS("backoff-most", 1, 604800, "1d", "The longest such wait."),
  SECONDS("prefix-lifetime", 2, LONG_TIME, "30d",
          "The lifetime that a claim asks for; what is still needed is renewed."),
  SECONDS("renew-interval", 1, LONG_TIME, "2d", "Each prefix is claimed again so often (17.1.6)."),
  SECONDS("plan-interval", 1, LONG_TIME, "12h",
          "What is needed is looked at so often at least, and whenever demand changes."),
  SECONDS("extra-holding-time", 0, LONG_TIME, "1d",
          "Others' claims count for so much longer than they say, since clocks differ (12.3)."),
  SECONDS("least-lifetime", 0, LONG_TIME, "0",
          "Claims of others with a shorter lifetime are refused (8.3). 0: no bound. The RFC's "
          "example is 2d."),
  SECONDS("most-lifetime", 0, LONG_TIME, "0",
          "Claims of others with a longer lifetime are refused. 0: no bound. The RFC's example is "
          "about six months."),
  SECONDS("least-holdtime", 0, LONG_TIME, "0", "The same for how long a claim is to be kept."),
  SECONDS("most-holdtime", 0, LONG_TIME, "0", "The same for how long a claim is to be kept."),
  SECONDS("timestamp-old", 0, LONG_TIME, "0",
          "Claims of others that say to be older are refused. 0: no bound."),
  SECONDS("timestamp-ahead", 0, LONG_TIME, "1d",
          "Claims of others that say to come from farther in the future are refused. 0: no bound."),
  NUMBER("smallest-prefix", 4, 32, "32",
         "Claims of others for IPv4 prefixes longer than this are refused."),
  NUMBER("largest-prefix", 4, 32, "4",
         "Claims of others for IPv4 prefixes shorter than this are refused."),
  NUMBER("smallest-prefix6", 8, 128, "128",
         "Claims of others for IPv6 prefixes longer than this are refused."),
  NUMBER("largest-prefix6", 8, 128, "8",
         "Claims of others for IPv6 prefixes shorter than this are refused."),
  NUMBER("flood-limit", 0, 1000000, "32",
         "A sibling or child with more colliding claims than this within a waiting period is "
         "ignored until masc.forgive (section 14). 0: no limit."),
  NUMBER("unit", 8, 32, "24", "Length of the smallest IPv4 prefix that is claimed."),
  NUMBER("unit6", 16, 128, "120",
         "Length of the smallest IPv6 prefix that is claimed: 96 or less where a scope holds more "
         "than its group-ids."),
  NUMBER("max-prefixes", 0, 1000, "0",
         "How many prefixes to hold at most for each scope. 0: as many as the claim algorithm "
         "likes, which are few."),
  { .key = "claim", .type = MAL_CONF_BOOL, .fallback = "yes",
    .help = "Claim by itself what is needed. no: only masc.claim claims; what is held is defended "
            "and renewed all the same." },
};

static const MalConfKey peer_keys[] = {
  { .key = "address", .type = MAL_CONF_ADDRESS, .required = true,
    .help = "The peer's address. Connections from it are taken for the peer's." },
  { .key = "port", .type = MAL_CONF_INTEGER, .min = 1, .max = 65535, .fallback = "2587",
    .help = "The TCP port to connect to." },
  { .key = "role", .type = MAL_CONF_CHOICE, .choices = "parent|child|sibling|internal",
    .required = true,
    .help = "What the peer is to this domain. Two top-level domains are siblings. internal: "
            "another node of this domain." },
  { .key = "domain-id", .type = MAL_CONF_STRING,
    .help = "Identifier of the peer's domain, which its OPEN must bear. Needed for all but "
            "internal peers." },
  { .key = "node-id", .type = MAL_CONF_STRING,
    .help = "Identifier of the peer, which its OPEN must bear. Default: any." },
  { .key = "parent", .type = MAL_CONF_STRING,
    .help = "The domain that is parent of both, for siblings; none: top-level domains. Default: "
            "our parent, where there is one only. Siblings with several common parents need a "
            "[masc-peer] for each of them (section 4.4)." },
  { .key = "local-address", .type = MAL_CONF_ADDRESS,
    .help = "The address to connect from. Default: the system chooses." },
  { .key = "holdtime", .type = MAL_CONF_DURATION, .min = 0, .max = 65535,
    .help = "Default: that of [masc]." },
  { .key = "passive", .type = MAL_CONF_BOOL, .fallback = "no",
    .help = "Never connect; wait for the peer to do so." },
  { .key = "key-file", .type = MAL_CONF_PATH,
    .help = "A file whose first line is the key of TCP-MD5 (RFC 2385), 1 to 80 octets, the same at "
            "both ends. It must be writable by its owner alone and not readable by everybody. "
            "Default: connections are not signed." },
  { .key = "ttl-security", .type = MAL_CONF_INTEGER, .min = 0, .max = 254, .fallback = "0",
    .help = "Take nothing from farther away than so many hops (RFC 5082; both ends must have it): "
            "1 is the same link. 0: no such check." },
  { .key = "scopes", .type = MAL_CONF_STRING, .list = true,
    .help = "Scopes that both ends of the session are in: claims of others do not cross it "
            "(section 4.5). Default: all of [masc]." },
  { .key = "largest-prefix", .type = MAL_CONF_INTEGER, .min = 4, .max = 32,
    .help = "A child may claim no larger IPv4 prefix (no shorter length) than this." },
  { .key = "largest-prefix6", .type = MAL_CONF_INTEGER, .min = 8, .max = 128,
    .help = "The same for IPv6." },
};

const MalConfGroup masc_conf_groups[MASC_N_CONF_GROUPS] = {
  { .group = "masc", .keys = keys, .n_keys = G_N_ELEMENTS(keys),
    .help = "MASC (RFC 2909): with role prefix-coordinator, prefixes of divisible scopes are "
            "claimed for this domain, from its parents or among top-level domains, and become "
            "available here." },
  { .group = "masc-peer", .named = true, .keys = peer_keys, .n_keys = G_N_ELEMENTS(peer_keys),
    .help = "A node that MASC speaks to. Nobody else is let in." },
};
