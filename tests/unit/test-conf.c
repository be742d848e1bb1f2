#include <criterion/criterion.h>
#include <json-c/json.h>
#include <string.h>

#include "core/conf.h"
#include "core/events.h"

/* Groups as plugins would bring them. */
static const MalConfKey madcap_keys[] = {
  { .key = "interfaces", .type = MAL_CONF_STRING, .list = true, .help = "Where to listen." },
  { .key = "port",
    .type = MAL_CONF_INTEGER,
    .min = 1,
    .max = 65535,
    .fallback = "2535",
    .help = "UDP port." },
  { .key = "servers", .type = MAL_CONF_ENDPOINT, .list = true, .help = "Unicast servers." },
  { .key = "default-lease-time",
    .type = MAL_CONF_DURATION,
    .fallback = "1h",
    .help = "What is given." },
  { .key = "max-lease-time",
    .type = MAL_CONF_DURATION,
    .fallback = "30d",
    .help = "What is given at most." },
  { .key = "offer-hold",
    .type = MAL_CONF_DURATION,
    .min = 1,
    .max = 3600,
    .fallback = "60",
    .help = "Seconds." },
  { .key = "response-cache", .type = MAL_CONF_DURATION, .fallback = "60", .help = "Seconds." },
  { .key = "extra-allocation-time",
    .type = MAL_CONF_DURATION,
    .fallback = "3600",
    .help = "Seconds." },
  { .key = "clock-skew-allowance",
    .type = MAL_CONF_DURATION,
    .fallback = "1800",
    .help = "Seconds." },
  { .key = "max-addresses-per-request",
    .type = MAL_CONF_INTEGER,
    .fallback = "1024",
    .help = "A number." },
  { .key = "max-addresses-per-client",
    .type = MAL_CONF_INTEGER,
    .fallback = "0",
    .help = "A number." },
  { .key = "rate-limit", .type = MAL_CONF_INTEGER, .fallback = "0", .help = "A number." },
  { .key = "server-groups", .type = MAL_CONF_PAIR, .list = true, .help = "Pairs." },
};
static const MalConfKey aap_keys[] = {
  { .key = "interfaces", .type = MAL_CONF_STRING, .list = true, .help = "Where to listen." },
  { .key = "port",
    .type = MAL_CONF_INTEGER,
    .min = 1,
    .max = 65535,
    .fallback = "2878",
    .help = "UDP port." },
  { .key = "relative-offset",
    .type = MAL_CONF_INTEGER,
    .min = 0,
    .max = 255,
    .fallback = "7",
    .help = "Offset." },
  { .key = "startup-wait", .type = MAL_CONF_DURATION, .fallback = "150", .help = "Seconds." },
  { .key = "preallocate", .type = MAL_CONF_INTEGER, .fallback = "256", .help = "A number." },
  { .key = "own-lifetime", .type = MAL_CONF_DURATION, .fallback = "1d", .help = "Seconds." },
  { .key = "key-file", .type = MAL_CONF_PATH, .help = "A file." },
};
static const MalConfKey masc_keys[] = {
  { .key = "domain-id", .type = MAL_CONF_STRING, .help = "Ours." },
  { .key = "node-id", .type = MAL_CONF_ADDRESS, .help = "Ours." },
  { .key = "port",
    .type = MAL_CONF_INTEGER,
    .min = 1,
    .max = 65535,
    .fallback = "2587",
    .help = "TCP port." },
  { .key = "scopes", .type = MAL_CONF_STRING, .list = true, .help = "Scopes." },
  { .key = "waiting-period", .type = MAL_CONF_DURATION, .fallback = "172800", .help = "Seconds." },
  { .key = "clash-resolution",
    .type = MAL_CONF_CHOICE,
    .choices = "automatic|manual",
    .fallback = "automatic",
    .help = "How." },
};
static const MalConfKey peer_keys[] = {
  { .key = "address", .type = MAL_CONF_ADDRESS, .required = true, .help = "The peer's address." },
  { .key = "port",
    .type = MAL_CONF_INTEGER,
    .min = 1,
    .max = 65535,
    .fallback = "2587",
    .help = "TCP port." },
  { .key = "role",
    .type = MAL_CONF_CHOICE,
    .choices = "parent|child|sibling|internal",
    .required = true,
    .help = "What it is to us." },
  { .key = "domain-id", .type = MAL_CONF_STRING, .help = "The peer's." },
};
static const MalConfGroup plugin_groups[] = {
  { "madcap", false, madcap_keys, G_N_ELEMENTS(madcap_keys), "MADCAP." },
  { "aap", false, aap_keys, G_N_ELEMENTS(aap_keys), "AAP." },
  { "masc", false, masc_keys, G_N_ELEMENTS(masc_keys), "MASC." },
  { "masc-peer", true, peer_keys, G_N_ELEMENTS(peer_keys), "A peer." },
};

static const char sample[] =
  "[daemon]\n"
  "roles = client; maas; prefix-coordinator\n"
  "plugins = madcap; aap; masc\n"
  "state-dir = /var/lib/mallocd\n"
  "control-socket = /run/mallocd/control.sock\n"
  "control-group = mallocd\n"
  "log-level = info\n"
  "log-format = text\n"
  "ethernet = distinct\n"
  "\n"
  "# A scope.\n"
  "[scope local]\n"
  "family = ipv4\n"
  "first = 239.255.0.0\n"
  "last = 239.255.255.255\n"
  "ttl = 16\n"
  "divisible = no\n"
  "name[en] = Site local\n"
  "name[fr] = Site\n"
  "default-language = en\n"
  "nests-inside = org\n"
  "\n"
  "[range lab]\n"
  "scope = local\n"
  "first = 239.255.1.0\n"
  "last = 239.255.199.255\n"
  "until = 2030-01-01T00:00:00Z\n"
  "exclude = 239.255.2.0-239.255.2.15; 239.255.9.9\n"
  "\n"
  "[reserve camera-7]\n"
  "scope = local\n"
  "addresses = 239.255.20.1-239.255.20.4\n"
  "comment = static sender\n"
  "\n"
  "[madcap]\n"
  "interfaces = eth0; lo\n"
  "port = 2535\n"
  "servers = 192.0.2.10; [2001:db8::1]:9\n"
  "default-lease-time = 1h\n"
  "max-lease-time = 30d\n"
  "offer-hold = 60\n"
  "response-cache = 60\n"
  "extra-allocation-time = 3600\n"
  "clock-skew-allowance = 1800\n"
  "max-addresses-per-request = 1024\n"
  "max-addresses-per-client = 0\n"
  "rate-limit = 0\n"
  "\n"
  "[aap]\n"
  "interfaces = eth0\n"
  "port = 2878\n"
  "relative-offset = 7\n"
  "startup-wait = 150\n"
  "preallocate = 256\n"
  "own-lifetime = 1d\n"
  "key-file =\n"
  "\n"
  "[masc]\n"
  "domain-id = 64501\n"
  "node-id = 192.0.2.1\n"
  "port = 2587\n"
  "scopes = global\n"
  "waiting-period = 172800\n"
  "clash-resolution = automatic\n"
  "\n"
  "[masc-peer upstream]\n"
  "address = 198.51.100.1\n"
  "port = 2587\n"
  "role = parent\n"
  "domain-id = 64496\n";

static MalConfig *parse_n(const char *text, size_t length, GError **error)
{
  MalConfSchema *schema = mal_conf_schema_new();
  mal_conf_schema_add(schema, plugin_groups, G_N_ELEMENTS(plugin_groups), "test");
  MalConfig *config = mal_config_parse(schema, text, length, "test.conf", error);
  mal_conf_schema_free(schema);
  return config;
}

static MalConfig *parse(const char *text, GError **error)
{
  return parse_n(text, strlen(text), error);
}

Test(conf, whole_sample_is_read)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(MalConfig) c = parse(sample, &error);
  cr_assert_not_null(c, "%s", error ? error->message : "");
  cr_assert_str_eq(mal_config_file(c), "test.conf");
  const MalConfSection *d = mal_config_section(c, "daemon");
  cr_assert_eq(mal_conf_length(d, "roles"), 3);
  cr_assert_str_eq(mal_conf_item(d, "roles", 2), "prefix-coordinator");
  cr_assert_null(mal_conf_item(d, "roles", 3));
  const MalConfSection *s = mal_config_nth(c, "scope", 0);
  cr_assert_str_eq(mal_conf_name(s), "local");
  cr_assert_eq(mal_conf_integer(s, "ttl"), 16);
  cr_assert_not(mal_conf_bool(s, "divisible"));
  cr_assert(mal_address_equal(mal_conf_address(s, "last"), mal_address_ipv4(0xefffffff)));
  const char *tag;
  cr_assert_eq(mal_conf_locales(s, "name"), 2);
  cr_assert_str_eq(mal_conf_locale(s, "name", 1, &tag), "Site");
  cr_assert_str_eq(tag, "fr");
  const MalConfSection *r = mal_config_nth(c, "range", 0);
  cr_assert_eq(mal_conf_integer(r, "until"), 1893456000);
  cr_assert_eq(mal_conf_length(r, "exclude"), 2);
  char text[MAL_SPAN_STRLEN];
  cr_assert_str_eq(mal_span_format(mal_conf_span(r, "exclude", 0), text),
                   "239.255.2.0-239.255.2.15");
  const MalConfSection *m = mal_config_section(c, "madcap");
  cr_assert_eq(mal_conf_integer(m, "max-lease-time"), 30 * 86400);
  cr_assert_eq(mal_conf_endpoint(m, "servers", 2535).port, 2535);
  cr_assert_eq(mal_conf_endpoint_at(m, "servers", 1, 2535).port, 9);
  cr_assert_eq(mal_conf_endpoint_at(m, "servers", 2, 2535).address.family, MAL_FAMILY_NONE);
  cr_assert_str_eq(mal_conf_string(mal_config_section(c, "aap"), "key-file"), "");
  cr_assert_str_eq(mal_conf_string(mal_config_nth(c, "masc-peer", 0), "role"), "parent");
}

Test(conf, empty_file_gives_the_defaults)
{
  g_autoptr(MalConfig) c = parse("", NULL);
  cr_assert_not_null(c);
  const MalConfSection *d = mal_config_section(c, "daemon");
  cr_assert_str_eq(mal_conf_string(d, "roles"), "maas");
  cr_assert_eq(mal_conf_length(d, "plugins"), 0);
  cr_assert_null(mal_conf_string(d, "plugins"));
  cr_assert_str_eq(mal_conf_string(d, "control-group"), "mallocd");
  cr_assert_str_eq(mal_conf_string(d, "ethernet"), "distinct");
  cr_assert_not(mal_conf_given(d, "ethernet"));
  cr_assert_eq(mal_conf_integer(mal_config_section(c, "madcap"), "default-lease-time"), 3600);
  cr_assert_eq(mal_config_count(c, "scope"), 0);
  cr_assert_null(mal_config_nth(c, "scope", 0));
  cr_assert_null(mal_config_section(c, "range"));
  g_autofree char *place = mal_conf_place(d, "roles");
  cr_assert_str_eq(place, "test.conf: [daemon] roles");
}

static const char *const good[] = {
  "# only a comment",
  "\n\n   \t\n  # blank before it\n",
  "[daemon]\r\nlog-level = debug\r\n",
  "[daemon]\nlog-level=debug   \n",
  "  [daemon]  \n  log-level =\tdebug",
  "[madcap]\ninterfaces =\n",
  "[madcap]\ninterfaces = eth0;\n",
  "[madcap]\nserver-groups = local=239.255.0.1;org=239.192.0.1\n",
  ("[scope a]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\n"
   "name[en]=Channel #1\nname[pt-BR]=\xc3\xa1\n"),
  "[scope a]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\nname[en]=a\\sb\n",
  "[daemon]\nroles=\n",
};

Test(conf, what_is_allowed)
{
  for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalConfig) c = parse(good[i], &error);
    cr_expect_not_null(c, "%s: %s", good[i], error ? error->message : "");
  }
}

#define SCOPE "[scope a]\nfamily = ipv4\nfirst = 239.255.0.0\nlast = 239.255.255.255\n"
#define NO_COMMENT "begins no comment"

static const struct {
  const char *text;
  const char *begins;         /* the place, exactly */
  const char *says;           /* and what comes after it, or part of it */
  const char *also;
} bad[] = {
  { "[deamon]\n", "test.conf:1: [deamon]: ", "there is no such group; did you mean [daemon]?",
    NULL },
  { "\n\n[snmp]\n", "test.conf:3: [snmp]: ", "there is no such group", "[daemon] plugins" },
  { "[snmp-peer x]\n", "test.conf:1: [snmp-peer x]: ", "is snmp missing there?", NULL },
  { "[mascpeer x]\n", "test.conf:1: [mascpeer x]: ", "did you mean [masc-peer]?", NULL },
  { "[scope]\n", "test.conf:1: [scope]: ", "the group needs a name: [scope NAME]", NULL },
  { "[daemon x]\n", "test.conf:1: [daemon x]: ", "the group takes no name; write [daemon]", NULL },
  { "[scope a b]\n", "test.conf:1: ", "[scope a b]: a name has 1 to 64 letters", NULL },
  { "[scope \xc3\xa1]\n", "test.conf:1: ", "a name has 1 to 64 letters", NULL },
  { "[]\n", "test.conf:1: ", "a group needs a name", NULL },
  { "[daemon\n", "test.conf:1: ", "no closing ']'", NULL },
  { "[daemon] # yes\n",
    "test.conf:1: ", "'# yes' after the group; comments stand on lines of their own", NULL },
  { "[daemon]\n\n[daemon]\n", "test.conf:3: ", "[daemon] was there already, on line 1", NULL },
  { SCOPE "[scope  a]\n", "test.conf:5: ", "[scope a] was there already, on line 1", NULL },
  { "ttl = 3\n", "test.conf:1: ", "a key before the first group", NULL },
  { "[daemon]\nwhat is this\n",
    "test.conf:2: ", "'what is this' is neither a [group], a key = value", NULL },
  { "[daemon]\n; no comment\n", "test.conf:2: ", "comments begin with '#'", NULL },
  { "[daemon]\n = 3\n", "test.conf:2: ", "no key before the '='", NULL },
  { "[daemon]\nlog-level = info\n# x\nlog-level = debug\n",
    "test.conf:4: ", "[daemon] log-level was given already, on line 2", NULL },
  { SCOPE "name[en] = a\nname[EN] = b\n",
    "test.conf:6: ", "[scope a] name[EN] was given already, on line 5", NULL },
  { "[daemon]\nlog-levle = info\n",
    "test.conf:2: [daemon] log-levle: ", "there is no such key; did you mean 'log-level'?", NULL },
  { "[daemon]\nLog-Level = info\n",
    "test.conf:2: [daemon] Log-Level: ", "did you mean 'log-level'?", NULL },
  { "[madcap]\nlease-time = 3\n", "test.conf:2: [madcap] lease-time: ", "there is no such key",
    NULL },
  { "[daemon]\nxyzzy = 3\n", "test.conf:2: [daemon] xyzzy: ", "there is no such key", NULL },
  { "[daemon]\nlog-level = inf\n", "test.conf:2: [daemon] log-level: ",
    "'inf' is not one of error, warning, info, debug; did you mean 'info'?", NULL },
  { "[daemon]\nlog-level = info # loud\n",
    "test.conf:2: [daemon] log-level: ", "'info # loud' is not one of", NO_COMMENT },
  { "[daemon]\nlog-level =\n", "test.conf:2: [daemon] log-level: ", "it has no value", NULL },
  { "[daemon]\nstate-dir =\n", "test.conf:2: [daemon] state-dir: ", "it has no value", NULL },
  { "[daemon]\ncontrol-socket =\n", "test.conf:2: [daemon] control-socket: ", "it has no value",
    NULL },
  { "[daemon]\nroles = maas, client\n", "test.conf:2: [daemon] roles: ", "separated by ';'", NULL },
  { SCOPE "[reserve r]\nscope = a\naddresses = 239.255.0.1, 239.255.0.2\n",
    "test.conf:7: [reserve r] addresses: ", "not an IPv4 address", "separated by ';'" },
  { "[madcap]\nservers = madcap.example.net\n", "test.conf:2: [madcap] servers: ",
    "not an IPv4 address", "host names are not looked up" },
  { "[scope a]\nfamily = ipv4\nfirst = 239.255.0.0/16\n", "test.conf:3: [scope a] first: ",
    "not an IPv4 address", "without a prefix length" },
  { "[daemon]\nlog-level[en] = info\n",
    "test.conf:2: [daemon] log-level[en]: ", "is not given for each language", NULL },
  { "[daemon]\nlog-level[en = info\n", "test.conf:2: ", "'log-level[en' is not a key", NULL },
  { "[daemon]\nlog-level[] = info\n", "test.conf:2: ", "'log-level[]' is not a key", NULL },
  { "[daemon]\nroles = maas; server\n",
    "test.conf:2: [daemon] roles: ", "'server' is not one of client, maas", NULL },
  { "[daemon]\nroles = maas; maas\n", "test.conf:2: [daemon] roles: ", "'maas' is listed twice",
    NULL },
  { "[daemon]\nroles = maas;; client\n", "test.conf:2: [daemon] roles: ", "empty item", NULL },
  { "[daemon]\nroles = maas, client\n",
    "test.conf:2: [daemon] roles: ", "'maas, client' is not one of", NULL },
  { "[daemon]\nstate-dir = /var/lib/mallocd  # here\n",
    "test.conf:2: [daemon] state-dir: ", "is not a path", NO_COMMENT },
  { "[daemon]\nstate-dir = a\\qb\n", "test.conf:2: [daemon] state-dir: ", "invalid escape sequence",
    NULL },
  { "[daemon]\nplugins = a\\qb\n", "test.conf:2: [daemon] plugins: ", "invalid escape sequence",
    NULL },
  { "[daemon]\na]b = 1\n", "test.conf:2: ", "'a]b' is not a key", NULL },
  { "[d\001mon]\n", "test.conf:1: ", "there is no such group", NULL },
  { "[madcap]\nport = 0\n", "test.conf:2: [madcap] port: ", "0 is not within 1 to 65535", NULL },
  { "[madcap]\nport = 65536\n", "test.conf:2: [madcap] port: ", "65536 is not within 1 to 65535",
    NULL },
  { "[madcap]\nport = 99999999999999999999\n", "test.conf:2: [madcap] port: ", "is not within",
    NULL },
  { "[madcap]\nport = 0x10\n", "test.conf:2: [madcap] port: ", "'0x10' is not a whole number",
    NULL },
  { "[madcap]\nport = -\n", "test.conf:2: [madcap] port: ", "'-' is not a whole number", NULL },
  { "[madcap]\nport = +5\n", "test.conf:2: [madcap] port: ", "'+5' is not a whole number", NULL },
  { "[madcap]\nport = 2535 # MADCAP\n", "test.conf:2: [madcap] port: ", "is not a whole number",
    NO_COMMENT },
  { "[madcap]\noffer-hold = 0\n", "test.conf:2: [madcap] offer-hold: ", "0 is not within 1s to 1h",
    NULL },
  { "[madcap]\noffer-hold = 2h\n",
    "test.conf:2: [madcap] offer-hold: ", "2h is not within 1s to 1h", NULL },
  { "[madcap]\nmax-lease-time = 30 days\n",
    "test.conf:2: [madcap] max-lease-time: ", "'30 days' is not a duration", NULL },
  { "[madcap]\nmax-lease-time = -1\n",
    "test.conf:2: [madcap] max-lease-time: ", "'-1' is not a duration", NULL },
  { "[madcap]\nmax-lease-time = 9223372036854775807\n",
    "test.conf:2: [madcap] max-lease-time: ", "is not within 0s", NULL },
  { "[madcap]\nservers = ns.example\n", "test.conf:2: [madcap] servers: ", "ns.example", NULL },
  { "[madcap]\nserver-groups = local\n",
    "test.conf:2: [madcap] server-groups: ", "'local' is not a pair", NULL },
  { "[madcap]\nserver-groups = =x\n", "test.conf:2: [madcap] server-groups: ", "'=x' is not a pair",
    NULL },
  { SCOPE "divisible = maybe\n",
    "test.conf:5: [scope a] divisible: ", "'maybe' is not one of yes, no, true, false", NULL },
  { SCOPE "divisible = Yes\n", "test.conf:5: [scope a] divisible: ", "'Yes' is not one of", NULL },
  { SCOPE "ttl = 256\n", "test.conf:5: [scope a] ttl: ", "256 is not within 1 to 255", NULL },
  { SCOPE "name = Site\n", "test.conf:5: [scope a] name: ", "it needs a language: name[en] = ...",
    NULL },
  { SCOPE "name[e n] = Site\n", "test.conf:5: name[e n]: ", "'e n' is not a language tag", NULL },
  { SCOPE "name[en-] = Site\n", "test.conf:5: name[en-]: ", "'en-' is not a language tag", NULL },
  { "[scope a]\nfamily = ipv4\nfirst = 239.255.0.0\n",
    "test.conf:1: [scope a]: ", "the key 'last' is missing", NULL },
  { "[scope a]\nfamily = ipv4\nfirst = 239.255.0.0/16\n",
    "test.conf:3: [scope a] first: ", "239.255.0.0/16", NULL },
  { "[range a]\nscope =\n", "test.conf:2: [range a] scope: ", "it has no value", NULL },
  { "[range a]\nuntil = 2030-02-30T00:00:00Z\n", "test.conf:2: [range a] until: ", "is not a time",
    NULL },
  { "[range a]\nuntil = now\n", "test.conf:2: [range a] until: ", "'now' is no lasting instant",
    NULL },
  { "[range a]\nexclude = 239.255.2.9-239.255.2.1\n",
    "test.conf:2: [range a] exclude: ", "239.255.2.9", NULL },
  { "[range a]\nexclude = 239.255.2.9 #x\n", "test.conf:2: [range a] exclude: ", "239.255.2.9",
    NO_COMMENT },
  { "[reserve a]\naddresses =\n", "test.conf:2: [reserve a] addresses: ", "it has no value", NULL },
  { "[daemon]\nlog-level = \xff\n", "test.conf:2: ", "octet 0xff is not UTF-8", NULL },
  { "[daemon]\n\n# \xc3\n", "test.conf:3: ", "octet 0xc3 is not UTF-8", NULL },
  { "\xef\xbb\xbf[daemon]\n", "test.conf:1: ", "byte order mark", NULL },
};

Test(conf, each_fault_is_named_with_its_place)
{
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MalConfig) c = parse(bad[i].text, &error);
    cr_expect_null(c, "accepted: %s", bad[i].text);
    const char *message = error ? error->message : "(no error)";
    cr_expect(g_error_matches(error, MAL_ERROR, MAL_ERROR_CONFIG));
    cr_expect(g_str_has_prefix(message, bad[i].begins), "%s: %s", bad[i].text, message);
    cr_expect(strstr(message, bad[i].says), "%s: %s", bad[i].text, message);
    cr_expect(!bad[i].also || strstr(message, bad[i].also), "%s: %s", bad[i].text, message);
    cr_expect((bad[i].also && strcmp(bad[i].also, NO_COMMENT) == 0)
              == (strstr(message, NO_COMMENT) != NULL));
  }
}

Test(conf, nul_and_excess_are_refused)
{
  g_autoptr(GError) nul = NULL, excess = NULL;
  cr_assert_null(parse_n("[daemon]\n# a\0b\n", 15, &nul));
  cr_assert_str_eq(nul->message, "test.conf:2: there is a NUL octet; this is not a text file");
  size_t length = (16u << 20) + 1;
  g_autofree char *big = g_malloc(length);
  memset(big, '\n', length);
  g_autoptr(MalConfig) fits = parse_n(big, length - 1, NULL);
  cr_assert_not_null(fits);
  cr_assert_null(parse_n(big, length, &excess));
  cr_assert(strstr(excess->message, "test.conf: longer than 16 MiB"));
}

Test(conf, text_need_not_end_in_nul)
{
  g_autofree char *text = g_memdup2("[daemon]\nlog-level = debug", 26);
  g_autoptr(MalConfig) c = parse_n(text, 26, NULL);
  cr_assert_not_null(c);
  cr_assert_str_eq(mal_conf_string(mal_config_section(c, "daemon"), "log-level"), "debug");
}

Test(conf, daemon_keys_are_read_before_plugins_are_known)
{
  static const char text[] =
      "[snmp]\nwhat = ever\n[daemon]\nplugins = madcap\n[range x]\nnonsense = 1\n";
  g_autoptr(GError) error = NULL;
  g_autoptr(MalConfig) c = mal_config_parse_daemon(text, strlen(text), "f", &error);
  cr_assert_not_null(c, "%s", error ? error->message : "");
  cr_assert_str_eq(mal_conf_item(mal_config_section(c, "daemon"), "plugins", 0), "madcap");
  static const char wrong[] = "[snmp]\nwhat = ever\n[daemon]\nplugin = madcap\n";
  cr_assert_null(mal_config_parse_daemon(wrong, strlen(wrong), "f", &error));
  cr_assert_str_eq(error->message,
                   "f:4: [daemon] plugin: there is no such key; did you mean 'plugins'?");
}

Test(conf, load_says_why_a_file_is_not_read)
{
  MalConfSchema *schema = mal_conf_schema_new();
  g_autoptr(GError) absent = NULL, folder = NULL, endless = NULL;
  cr_assert_null(mal_config_load(schema, "/nonexistent/mallocd.conf", &absent));
  cr_assert_str_eq(absent->message, "/nonexistent/mallocd.conf: No such file or directory");
  cr_assert_null(mal_config_load(schema, "/", &folder));
  cr_assert_str_eq(folder->message, "/: Is a directory");
  cr_assert_null(mal_config_load(schema, "/dev/zero", &endless));
  cr_assert(g_str_has_prefix(endless->message, "/dev/zero: longer than 16 MiB"));
  g_autoptr(MalConfig) empty = mal_config_load(schema, "/dev/null", NULL);
  cr_assert_not_null(empty);
  mal_conf_schema_free(schema);
}

Test(conf, sameness_is_of_values)
{
  static const struct {
    const char *a, *b, *group;
    bool same;
  } rows[] = {
    { "", "[madcap]\nport = 2535\n", "madcap", true },
    { "[madcap]\nmax-lease-time = 1h\n", "[madcap]\n# x\nmax-lease-time=3600\n", "madcap", true },
    { "[madcap]\nport = 1\n", "[madcap]\nport = 2\n", "madcap", false },
    { "[madcap]\nport = 1\n", "", "aap", true },
    { "[madcap]\ninterfaces = a; b\n", "[madcap]\ninterfaces = a;b;\n", "madcap", true },
    { "[madcap]\ninterfaces = a; b\n", "[madcap]\ninterfaces = b; a\n", "madcap", false },
    { "[madcap]\ninterfaces = a; b\n", "[madcap]\ninterfaces = a\n", "madcap", false },
    { SCOPE "name[en] = x\n", SCOPE "name[fr] = x\n", "scope", false },
    { SCOPE, SCOPE "divisible = false\n", "scope", true },
    { SCOPE, "", "scope", false },
    { "", "", "scope", true },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MalConfig) a = parse(rows[i].a, NULL);
    g_autoptr(MalConfig) b = parse(rows[i].b, NULL);
    cr_expect(mal_config_same(a, b, rows[i].group) == rows[i].same, "row %zu", i);
    cr_expect(mal_config_same(b, a, rows[i].group) == rows[i].same, "row %zu", i);
    cr_expect(mal_config_same(a, a, rows[i].group));
  }
}

Test(conf, sections_come_in_the_order_of_the_file)
{
  g_autoptr(MalConfig) c = parse("[reserve b]\nscope=x\naddresses=239.255.0.1\n[daemon]\n"
                                 "[reserve a]\nscope=x\naddresses=239.255.0.2\n", NULL);
  cr_assert_eq(mal_config_count(c, "reserve"), 2);
  cr_assert_str_eq(mal_conf_name(mal_config_nth(c, "reserve", 0)), "b");
  cr_assert_str_eq(mal_conf_name(mal_config_nth(c, "reserve", 1)), "a");
  MalConfig *again = mal_config_ref(c);
  mal_config_unref(again);
  g_autofree char *place = mal_conf_place(mal_config_nth(c, "reserve", 1), "addresses");
  cr_assert_str_eq(place, "test.conf:7: [reserve a] addresses");
  g_autofree char *group = mal_conf_place(mal_config_nth(c, "reserve", 1), NULL);
  cr_assert_str_eq(group, "test.conf:5: [reserve a]");
}

Test(conf, nearest_name)
{
  static const char *const names[] = { "first", "last", "ttl", "control-socket", "until", NULL };
  static const struct {
    const char *word, *nearest;
  } rows[] = {
    { "frist", "first" },
    { "fist", "first" },
    { "lats", "last" },
    { "TTL", "ttl" },
    { "tll", "ttl" },
    { "control-sock", "control-socket" },
    { "controlsocket", "control-socket" },
    { "untill", "until" },
    { "xyzzy", NULL },
    { "", NULL },
    { "a", NULL },
    { "range", NULL },
    { "l", NULL },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    const char *near = mal_nearest(rows[i].word, names);
    cr_expect(g_strcmp0(near, rows[i].nearest) == 0, "%s: %s", rows[i].word,
              near ? near : "(none)");
  }
  g_autofree char *long_word = g_strnfill(100000, 'x');
  cr_expect_null(mal_nearest(long_word, names));
  static const char *const none[] = { NULL };
  cr_expect_null(mal_nearest("first", none));
}

Test(conf, tables_render_in_three_forms)
{
  MalConfSchema *schema = mal_conf_schema_new();
  mal_conf_schema_add(schema, plugin_groups, G_N_ELEMENTS(plugin_groups), "test");
  cr_assert_str_eq(mal_conf_schema_owner(schema, "scope"), "core");
  cr_assert_str_eq(mal_conf_schema_owner(schema, "aap"), "test");
  cr_assert_null(mal_conf_schema_owner(schema, "snmp"));
  g_autofree char *text = mal_conf_schema_render(schema, MAL_DOC_TEXT);
  g_autofree char *roff = mal_conf_schema_render(schema, MAL_DOC_ROFF);
  g_autofree char *json = mal_conf_schema_render(schema, MAL_DOC_JSON_SCHEMA);
  cr_assert(strstr(text, "[masc-peer NAME]\n"));
  cr_assert(strstr(text, "  roles = client | maas | prefix-coordinator; ...\n"));
  cr_assert(strstr(text, "      From 1s to 1h. Default: 60.\n"));
  cr_assert(strstr(roff, ".SS [masc\\-peer NAME]\n"));
  cr_assert(strstr(
      roff,
      ".TP\n\\fBoffer\\-hold\\fR = \\fIduration\\fR\nSeconds.\nFrom 1s to 1h.\nDefault: 60.\n"));
  struct json_object *o = json_tokener_parse(json), *named, *peer, *list;
  cr_assert(o && json_object_object_get_ex(o, "patternProperties", &named));
  cr_assert(json_object_object_get_ex(named, "^masc-peer [A-Za-z0-9._-]{1,64}$", &peer));
  cr_assert(json_object_object_get_ex(peer, "required", &list)
            && json_object_array_length(list) == 2);
  json_object_put(o);
  mal_conf_schema_free(schema);
}

Test(conf, asking_for_an_unknown_key_is_a_fault_of_ours, .signal = SIGTRAP)
{
  g_autoptr(MalConfig) c = parse("", NULL);
  mal_conf_string(mal_config_section(c, "daemon"), "no-such-key");
}
