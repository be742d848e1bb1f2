/* The core's own groups. One entry here is the check, the default, and the paragraph of
   mallocd.conf(5). */
#include "conf.h"

#ifndef MAL_STATE_DIR
#define MAL_STATE_DIR "/var/lib/mallocd"
#endif
#ifndef MAL_RUN_DIR
#define MAL_RUN_DIR "/run/mallocd"
#endif
#ifndef MAL_PLUGIN_DIR
#define MAL_PLUGIN_DIR NULL
#endif

static const MalConfKey daemon_keys[] = {
  { .key = "roles", .type = MAL_CONF_CHOICE, .list = true, .restart = true,
    .choices = "client|maas|prefix-coordinator", .fallback = "maas",
    .help = "What this host does. maas: it hands out multicast addresses to clients (a multicast "
            "address allocation server). client: it leases addresses from such servers for local "
            "programs. prefix-coordinator: it brings address space into the allocation domain and "
            "announces it to the servers. Plugins read the roles and become what they ask." },
  { .key = "plugins", .type = MAL_CONF_STRING, .list = true, .restart = true,
    .help = "The protocols to load, by name. Without any, addresses are leased through the "
            "control socket only." },
  { .key = "plugin-dir", .type = MAL_CONF_PATH, .restart = true, .fallback = MAL_PLUGIN_DIR,
    .help = "Where the plugins' shared objects are. The environment variable MALLOCD_PLUGIN_DIR "
            "overrides it." },
  { .key = "state-dir", .type = MAL_CONF_PATH, .restart = true, .fallback = MAL_STATE_DIR,
    .help = "Where leases are kept. One daemon at a time uses it." },
  { .key = "control-socket", .type = MAL_CONF_PATH, .restart = true,
    .fallback = MAL_RUN_DIR "/control.sock",
    .help = "The unix stream socket that mallocctl(1) connects to." },
  { .key = "control-group", .type = MAL_CONF_STRING, .restart = true, .fallback = "mallocd",
    .help = "Members of this group, root and the daemon's own user may change things through the "
            "control socket; anybody else who can connect may read." },
  { .key = "log-level", .type = MAL_CONF_CHOICE, .choices = "error|warning|info|debug",
    .fallback = "info",
    .help = "The least important events that are logged." },
  { .key = "log-format", .type = MAL_CONF_CHOICE, .choices = "text|json", .fallback = "text",
    .help = "Lines for people, or one JSON object a line." },
  { .key = "ethernet", .type = MAL_CONF_CHOICE, .choices = "distinct|prefer|ignore",
    .fallback = "distinct",
    .help = "Thirty-two IPv4 multicast addresses share an Ethernet group address, and so do many "
            "IPv6 ones. distinct: no two leases of this server do. prefer: only where nothing "
            "else is free. ignore: doesn't look." },
};

static const MalConfKey scope_keys[] = {
  { .key = "family", .type = MAL_CONF_CHOICE, .required = true, .choices = "ipv4|ipv6",
    .help = "The address family of the scope." },
  { .key = "first", .type = MAL_CONF_ADDRESS, .required = true,
    .help = "The first address of the scope. It is the scope's identifier in MADCAP, so that no "
            "two scopes share it." },
  { .key = "last", .type = MAL_CONF_ADDRESS, .required = true,
    .help = "The last address of the scope." },
  { .key = "ttl", .type = MAL_CONF_INTEGER, .min = 1, .max = 255, .fallback = "255",
    .help = "The time to live (hop limit) that clients are told to send with." },
  { .key = "divisible", .type = MAL_CONF_BOOL, .fallback = "no",
    .help = "Whether the scope is shared out among allocation domains. no: it is wholly ours "
            "within its boundary." },
  { .key = "name", .type = MAL_CONF_STRING, .localized = true,
    .help = "What people call the scope, once for each language: name[en] = Site local." },
  { .key = "default-language", .type = MAL_CONF_STRING,
    .help = "The language of the name to show where none matches; there must be a name in it." },
  { .key = "nests-inside", .type = MAL_CONF_STRING, .list = true,
    .help = "The scopes whose boundary lies wholly outside this one's. What follows from several "
            "such statements need not be said." },
  { .key = "group-ids", .type = MAL_CONF_STRING, .fallback = "80000000-8fffffff",
    .help = "IPv6 only: the group identifiers (the low 32 bits of an address, hexadecimal) that "
            "may be leased. The default is what is set aside for dynamic assignment by a server "
            "(RFC 10028)." },
};

static const MalConfKey range_keys[] = {
  { .key = "scope", .type = MAL_CONF_STRING, .required = true,
    .help = "The scope that the range belongs to." },
  { .key = "first", .type = MAL_CONF_ADDRESS,
    .help = "The first address of the range. Needed, with last, unless glop or unicast-prefix "
            "says what the range is." },
  { .key = "last", .type = MAL_CONF_ADDRESS,
    .help = "The last address of the range." },
  { .key = "glop", .type = MAL_CONF_INTEGER,
    .help = "Instead of first and last: your AS number, of 16 bits and registered. The range is "
            "the 256 addresses 233.X.Y.0/24, where X and Y are the two octets of the number "
            "(GLOP, RFC 3180). The scope must hold them, and reach further up, since the highest "
            "256 addresses of a scope are never leased: 233.0.0.0 to 233.255.255.255 suits all." },
  { .key = "unicast-prefix", .type = MAL_CONF_PREFIX,
    .help = "Instead of first and last: a unicast prefix that is yours. A global IPv4 prefix of at "
            "most 24 bits gives 234.0.0.0/8 with the prefix behind the 234 (RFC 6034): "
            "198.51.0.0/16 gives 234.198.51.0/24, 198.51.100.0/24 the one address "
            "234.198.51.100. An IPv6 prefix of at most 64 bits gives a prefix of 96 bits "
            "(RFC 3306): 2001:db8::/48 gives ff3x:30:2001:db8::/96, where x is as in the "
            "addresses of the scope, and the scope's group-ids say what is leased of it. "
            "No lease should outlast the unicast prefix: if you know when you give that back, "
            "say so in until." },
  { .key = "until", .type = MAL_CONF_TIME, .fallback = "never",
    .help = "When the range ceases to be ours; no lease lasts longer." },
  { .key = "exclude", .type = MAL_CONF_SPAN, .list = true,
    .help = "Addresses of the range that are not ours to lease." },
  { .key = "export", .type = MAL_CONF_BOOL, .fallback = "no",
    .help = "Whether the prefixes of the range, excluded addresses and all, are routes of this "
            "domain, which an exporter such as the plugin bird tells to a routing daemon." },
};

static const MalConfKey reserve_keys[] = {
  { .key = "scope", .type = MAL_CONF_STRING, .required = true,
    .help = "The scope that the addresses belong to." },
  { .key = "addresses", .type = MAL_CONF_SPAN, .list = true, .required = true,
    .help = "The addresses that nobody is given." },
  { .key = "comment", .type = MAL_CONF_STRING, .help = "What they are held for." },
};

#define GROUP(name_, named_, keys_, help_) \
  { .group = (name_), .named = (named_), .keys = (keys_), \
    .n_keys = G_N_ELEMENTS(keys_), .help = (help_) }

const MalConfGroup mal_core_conf_groups[] = {
  GROUP("daemon", false, daemon_keys, "The daemon as a whole."),
  GROUP("scope", true, scope_keys,
        "A multicast scope: the address range in which the routers at a boundary confine traffic. "
        "The NAME is what other groups and commands call it."),
  GROUP("range", true, range_keys,
        "Addresses of a scope that this allocation domain may hand out, as a static source. "
        "Which ones is said by first and last, or by what they are derived from: glop or "
        "unicast-prefix. Ranges don't overlap."),
  GROUP("reserve", true, reserve_keys,
        "Addresses that are leased to nobody and held for ever, such as those of static senders."),
};
const size_t mal_core_conf_n_groups = G_N_ELEMENTS(mal_core_conf_groups);
