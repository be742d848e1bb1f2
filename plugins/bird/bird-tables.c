#include "bird-tables.h"

#include <string.h>

#ifndef MAL_RUN_DIR
#define MAL_RUN_DIR "/run/mallocd"
#endif

/* ---- [bird] ---------------------------------------------------------------------------------- */

static const MalConfKey keys[] = {
  { .key = "file", .type = MAL_CONF_PATH, .fallback = MAL_RUN_DIR "/groups.conf",
    .help = "The file that is written and that bird.conf includes, best with a pattern that "
            "matches nothing where its folder isn't there, such as include "
            "\"/run/malloc[d]/groups.conf\": then BIRD starts where mallocd doesn't run. BIRD's "
            "user must be able to read it." },
  { .key = "socket", .type = MAL_CONF_PATH, .fallback = "/run/bird/bird.ctl",
    .help = "BIRD's control socket, to which mallocd's user must be able to write (on Debian: "
            "whose group it must be in)." },
  { .key = "route", .type = MAL_CONF_CHOICE,
    .choices = "flow|blackhole|unreachable|prohibit|via", .fallback = "flow",
    .help = "How a group prefix is said. flow: as the destination of a flow rule without any "
            "action, in flow4 and flow6 tables: the only nets in which BIRD 2 takes group "
            "addresses, and that it passes on by BGP. The others: as routes of ipv4 and ipv6 "
            "tables, for a BIRD that was changed to take them; BIRD 2 as it comes ignores each "
            "with a warning in its log (\"Ignoring bogus route\")." },
  { .key = "via-ipv4", .type = MAL_CONF_ADDRESS, .help = "With route = via: the IPv4 next hop." },
  { .key = "via-ipv6", .type = MAL_CONF_ADDRESS, .help = "With route = via: the IPv6 next hop." },
  { .key = "table-ipv4", .type = MAL_CONF_STRING, .fallback = "gtab4",
    .help = "BIRD's table for IPv4 groups, which bird.conf declares before it includes the file: "
            "flow4 table gtab4. Empty: IPv4 groups are not exported." },
  { .key = "table-ipv6", .type = MAL_CONF_STRING, .fallback = "gtab6",
    .help = "BIRD's table for IPv6 groups: flow6 table gtab6. Empty: they are not exported." },
  { .key = "protocol-ipv4", .type = MAL_CONF_STRING, .fallback = "mallocd4",
    .help = "What the static protocol of IPv4 groups is called in BIRD." },
  { .key = "protocol-ipv6", .type = MAL_CONF_STRING, .fallback = "mallocd6",
    .help = "What the static protocol of IPv6 groups is called in BIRD." },
  { .key = "import-filter", .type = MAL_CONF_STRING,
    .help = "A filter of bird.conf that the routes go through on their way into the tables, to "
            "put a community on them, say." },
  { .key = "preference", .type = MAL_CONF_INTEGER, .min = 0, .max = 65535, .fallback = "200",
    .help = "BIRD's preference of the routes." },
  { .key = "maximum-routes", .type = MAL_CONF_INTEGER, .min = 1, .max = 1000000,
    .fallback = "1000",
    .help = "So many prefixes are exported at most, in the order of their addresses; the rest is "
            "left out and reported." },
  { .key = "aggregate", .type = MAL_CONF_BOOL, .fallback = "no",
    .help = "Whether two halves of a prefix are exported as one, and none that lies inside another "
            "(RFC 2909 section 3: CIDR-like aggregation)." },
  { .key = "delay", .type = MAL_CONF_DURATION, .min = 0, .max = 3600, .fallback = "1",
    .help = "How long changes gather before the file is written." },
  { .key = "interval", .type = MAL_CONF_DURATION, .min = 0, .max = 86400, .fallback = "10",
    .help = "BIRD is asked to read its configuration once in so long at most." },
  { .key = "patience", .type = MAL_CONF_DURATION, .min = 1, .max = 600, .fallback = "10",
    .help = "How long BIRD may take to greet, and to answer." },
  { .key = "retry", .type = MAL_CONF_DURATION, .min = 1, .max = 3600, .fallback = "5",
    .help = "After a failure, the next attempt comes after so long, then after twice as long, and "
            "so on." },
  { .key = "retry-most", .type = MAL_CONF_DURATION, .min = 1, .max = 86400, .fallback = "5m",
    .help = "The longest pause between two attempts." },
};

const MalConfGroup bird_conf_groups[1] = {
  { .group = "bird", .keys = keys, .n_keys = G_N_ELEMENTS(keys),
    .help = "The exporter for BIRD 2: the group prefixes of which this domain is the root "
            "(mallocctl routes) are kept in a file that BIRD includes, and BIRD is asked to read "
            "its configuration whenever they change. doc/bird.md has a whole bird.conf." },
};

static const char *said(const MalConfSection *s, const char *key)
{
  const char *text = mal_conf_string(s, key);
  return text && *text ? text : NULL;
}

static bool refuse(const MalConfSection *s, const char *key, const char *why, GError **error)
{
  g_autofree char *place = mal_conf_place(s, key);
  g_set_error(error, MAL_ERROR, MAL_ERROR_CONFIG, "%s: %s", place, why);
  return false;
}

static bool check_symbols(const MalConfSection *s, GError **error)
{
  static const char *const all[] = { "table-ipv4", "table-ipv6", "protocol-ipv4", "protocol-ipv6",
                                     "import-filter" };
  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
    const char *name = said(s, all[i]);
    if (name && !bird_is_symbol(name))
      return refuse(s, all[i],
                    "not a name that BIRD takes: letters, digits and '_', no digit first, 63 at "
                    "most",
                    error);
  }
  return true;
}

static bool check_family(const MalConfSection *s, const BirdConfig *c, unsigned family,
                         GError **error)
{
  static const char *const protocol[] = { "protocol-ipv4", "protocol-ipv6" };
  static const char *const via[] = { "via-ipv4", "via-ipv6" };
  if (!c->form.table[family])
    return true;
  if (!c->form.protocol[family])
    return refuse(s, protocol[family], "a name is needed where the table has one", error);
  MalFamily given = c->form.via[family].family;
  if (given != MAL_FAMILY_NONE && given != (family == BIRD_V4 ? MAL_IPV4 : MAL_IPV6))
    return refuse(s, via[family], "an address of the other family", error);
  if (c->form.kind == BIRD_VIA && given == MAL_FAMILY_NONE)
    return refuse(s, via[family], "route = via needs the next hop", error);
  return true;
}

bool bird_config_check(const MalConfSection *s, GError **error)
{
  BirdConfig c = bird_config_from(s);
  if (!check_symbols(s, error))
    return false;
  if (!c.form.table[BIRD_V4] && !c.form.table[BIRD_V6])
    return refuse(s, "table-ipv4", "nothing is exported with both tables empty", error);
  if (!g_path_is_absolute(c.file))
    return refuse(s, "file", "an absolute path is needed, since BIRD has another folder", error);
  if (g_str_has_suffix(c.file, "/bird.conf"))
    return refuse(s, "file", "another name is needed, since BIRD's own configuration is called so",
                  error);
  if (c.form.table[BIRD_V4] && c.form.table[BIRD_V6] && c.form.protocol[BIRD_V4] &&
      g_strcmp0(c.form.protocol[BIRD_V4], c.form.protocol[BIRD_V6]) == 0)
    return refuse(s, "protocol-ipv6", "that is protocol-ipv4's name", error);
  return check_family(s, &c, BIRD_V4, error) && check_family(s, &c, BIRD_V6, error);
}

static BirdRouteKind kind_of(const char *word)
{
  static const char *const words[] = {
    [BIRD_FLOW] = "flow", [BIRD_BLACKHOLE] = "blackhole", [BIRD_UNREACHABLE] = "unreachable",
    [BIRD_PROHIBIT] = "prohibit", [BIRD_VIA] = "via",
  };
  for (BirdRouteKind i = BIRD_FLOW; i <= BIRD_VIA; i++)
    if (g_strcmp0(word, words[i]) == 0)
      return i;
  return BIRD_FLOW;
}

static int64_t us(const MalConfSection *s, const char *key)
{
  return mal_conf_integer(s, key) * MAL_US;
}

BirdConfig bird_config_from(const MalConfSection *s)
{
  return (BirdConfig){
    .file = mal_conf_string(s, "file"),
    .socket = mal_conf_string(s, "socket"),
    .form = { .kind = kind_of(mal_conf_string(s, "route")),
              .table = { said(s, "table-ipv4"), said(s, "table-ipv6") },
              .protocol = { said(s, "protocol-ipv4"), said(s, "protocol-ipv6") },
              .via = { mal_conf_address(s, "via-ipv4"), mal_conf_address(s, "via-ipv6") },
              .filter = said(s, "import-filter"),
              .preference = (unsigned)mal_conf_integer(s, "preference"),
              .most = (unsigned)mal_conf_integer(s, "maximum-routes"),
              .aggregate = mal_conf_bool(s, "aggregate") },
    .times = { us(s, "delay"), us(s, "interval"), us(s, "patience"), us(s, "retry"),
               us(s, "retry-most") },
  };
}

/* ---- events and metrics ---------------------------------------------------------------------- */

static const MalEventDef exported = {
  "bird.exported", MAL_FAULT_NOBODY, MAL_LOG_INFO,
  "BIRD has read its configuration with the routes as they are now."
};
static const MalEventDef refused = {
  "bird.refused", MAL_FAULT_OPERATOR, MAL_LOG_ERROR,
  "BIRD doesn't take its configuration, and goes on with the one it has. Where the message names "
  "the file that mallocd writes, mostly a table or filter in [bird] isn't declared before the "
  "include; the file then has no routes until BIRD takes them, so that BIRD can start. Where it "
  "names another, the fault is there. It is tried again by itself; mallocctl bird sync tries now."
};
static const MalEventDef unreachable = {
  "bird.unreachable", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
  "BIRD can't be asked: it doesn't run, or its control socket is another or not for this user. The "
  "file is written all the same, so that BIRD has the routes when it starts. Said once until it "
  "works again."
};
static const MalEventDef not_written = {
  "bird.not-written", MAL_FAULT_OPERATOR, MAL_LOG_ERROR,
  "The file for BIRD can't be written; BIRD keeps the routes that it has. Said once until it works "
  "again."
};
static const MalEventDef left_out = {
  "bird.left-out", MAL_FAULT_OPERATOR, MAL_LOG_WARNING,
  "There are more prefixes than maximum-routes; those with the highest addresses are not exported."
};

const MalEventDef *const bird_events[BIRD_N_EVENTS] = {
  [BIRD_EVENT_EXPORTED] = &exported,       [BIRD_EVENT_REFUSED] = &refused,
  [BIRD_EVENT_UNREACHABLE] = &unreachable, [BIRD_EVENT_NOT_WRITTEN] = &not_written,
  [BIRD_EVENT_LEFT_OUT] = &left_out,
};

const MalMetricDef bird_metrics[BIRD_N_METRICS] = {
  [BIRD_M_ROUTES] = { "routes", MAL_GAUGE, "Prefixes that are exported." },
  [BIRD_M_LEFT_OUT] = { "left-out", MAL_GAUGE, "Prefixes beyond maximum-routes." },
  [BIRD_M_IN_STEP] = { "in-step", MAL_GAUGE, "1 while BIRD has what there is." },
  [BIRD_M_WRITTEN] = { "files-written", MAL_COUNTER, "Times that the file was written." },
  [BIRD_M_NOT_WRITTEN] = { "files-not-written", MAL_COUNTER, "Times that it could not be." },
  [BIRD_M_ASKED] = { "asked", MAL_COUNTER, "Times that BIRD was asked to reconfigure." },
  [BIRD_M_ACCEPTED] = { "accepted", MAL_COUNTER, "Times that it did." },
  [BIRD_M_REFUSED] = { "refused", MAL_COUNTER, "Times that it refused its configuration." },
  [BIRD_M_LOST] = { "unreachable", MAL_COUNTER, "Times that BIRD could not be asked." },
};
