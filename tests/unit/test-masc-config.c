/* [masc] and [masc-peer]: what is read of them, and what is refused, with its place and a word on
   what to do. Sections are RFC 2909's. */
#include "plugins/masc/masc-config.h"

#include <criterion/criterion.h>
#include <glib/gstdio.h>
#include <string.h>

#define DAEMON "[daemon]\nroles = prefix-coordinator\nplugins = masc\n"
#define GLOBAL                                                                                     \
  "[scope global]\nfamily=ipv4\nfirst=224.0.1.0\nlast=238.255.255.255\nttl=127\ndivisible=yes\n"
#define SITE "[scope site]\nfamily=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\nttl=16\n"
#define REGION                                                                                     \
  "[scope region]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=63\ndivisible=yes\n"
#define SIX                                                                                        \
  "[scope six]\nfamily=ipv6\nfirst=ff1e::8000:0\nlast=ff1e::8fff:ffff\nttl=127\ndivisible=yes\n"
#define WIDE                                                                                       \
  "[scope six]\nfamily=ipv6\nfirst=ff1e::\nlast=ff1e:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n" \
  "divisible=yes\n"
#define US "[masc]\ndomain-id=64501\nnode-id=192.0.2.1\n"
#define UP "[masc-peer up]\naddress=198.51.100.1\nrole=parent\ndomain-id=64496\n"
#define OK GLOBAL US UP

static MascSettings *read_text(const char *text, bool coordinator, GError **error)
{
  MalConfSchema *schema = mal_conf_schema_new();
  g_autofree char *whole = g_strconcat(DAEMON, text, NULL);
  mal_conf_schema_add(schema, mal_core_conf_groups, mal_core_conf_n_groups, "core");
  mal_conf_schema_add(schema, masc_conf_groups, MASC_N_CONF_GROUPS, "masc");
  g_autoptr(MalConfig) config = mal_config_parse(schema, whole, strlen(whole), "t.conf", error);
  mal_conf_schema_free(schema);
  if (config == NULL)
    return NULL;
  g_autoptr(MalPlan) plan = mal_plan_from_config(config, error);
  cr_assert_not_null(plan, "%s", error && *error ? (*error)->message : "");
  return masc_settings_new(config, plan->scopes, coordinator, error);
}

static MascSettings *good(const char *text)
{
  g_autoptr(GError) error = NULL;
  MascSettings *s = read_text(text, true, &error);
  cr_assert_not_null(s, "%s", error ? error->message : "");
  return s;
}

/* What would win addresses that are never leased is refused (the table below); these are not. */
Test(masc_config, ipv6_scopes_of_which_prefixes_can_be_leased)
{
  static const char *const rows[] = { SIX US, WIDE US "unit6=96\n",
                                      WIDE "group-ids=0-ffffffff\n" US, GLOBAL WIDE US
                                      "scopes=global\n" };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(MascSettings) s = good(rows[i]);
    cr_expect_eq(s->scopes->len, 1, "row %zu", i);
  }
}

Test(masc_config, defaults_are_the_rfc_s_6_18)
{
  g_autoptr(MascSettings) s = good(OK);
  const MascPeerSettings *up = masc_settings_peer(s, 0);
  cr_assert_eq(s->port, 2587);
  cr_assert_eq(s->params.waiting_period, 172800);
  cr_assert_eq(s->params.initiate_claim_delay, 600);
  cr_assert_eq(s->params.prefix_lifetime, 30 * 86400);
  cr_assert_eq(s->params.extra_holding, 86400);
  cr_assert_eq(s->params.clash, MASC_CLASH_AUTOMATIC);
  cr_assert_eq(s->params.limits.timestamp_new, 86400);
  cr_assert_eq(s->backoff_first, 60);
  cr_assert_eq(s->backoff_most, 86400);
  cr_assert_eq(s->scopes->len, 1, "all divisible ones");
  cr_assert(s->domain == 64501 && s->node == 0xc0000201);
  cr_assert_eq(up->role, MASC_CHILD, "what we are to it");
  cr_assert_eq(up->hold_time, 240);
  cr_assert_eq(up->address.port, 2587);
  cr_assert(up->domain == 64496 && up->node == 0);
  cr_assert_eq(s->listen->len, 1);
  cr_assert_not(masc_settings_is_top(s, 0));
  cr_assert_not(masc_settings_has_children(s, 0));
  cr_assert_eq(masc_settings_family(s, up), MAL_IPV4);
}

Test(masc_config, identifiers_are_numbers_and_addresses_7_2)
{
  static const struct {
    const char *text;
    uint64_t high, low;
  } table[] = {
    { "1", 0, 1 },
    { "64501", 0, 64501 },
    { "4294967295", 0, UINT32_MAX },
    { "192.0.2.1", 0, 0xc0000201 },
    { "::1", 0, 1 },
    { "2001:db8::5", UINT64_C(0x20010db800000000), 5 },
  };
  static const char *const bad[] = { "",    "0",        "4294967296", "-1",      "0x10",
                                     "AS1", "1.10",     "1 ",         "0.0.0.0", "::",
                                     "x",   "224.0.0.1", "ff02::1",   "99999999999999999999999" };
  MascId id;
  for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
    cr_assert(masc_id_parse(table[i].text, &id, NULL), "%s", table[i].text);
    cr_assert(id == ((MascId)table[i].high << 64 | table[i].low), "%s", table[i].text);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
    cr_assert_not(masc_id_parse(bad[i], &id, NULL), "%s", bad[i]);
}

typedef struct {
  const char *name, *text;
  const char *words[3];     /* all of them are in the message */
} Refused;

static const Refused refused[] = {
  { "no domain-id", GLOBAL "[masc]\nnode-id=192.0.2.1\n", { "[masc]", "domain-id is missing" } },
  { "no node-id", GLOBAL "[masc]\ndomain-id=1\n", { "node-id is missing" } },
  { "no group at all", GLOBAL, { "domain-id is missing" } },
  { "bad id", GLOBAL "[masc]\ndomain-id=AS1\nnode-id=192.0.2.1\n",
    { "[masc] domain-id", "\"AS1\" is no identifier", "AS number" } },
  { "unknown scope", GLOBAL US "scopes=globe\n", { "there is no [scope globe]" } },
  { "scope twice", GLOBAL US "scopes=global;global\n", { "[masc] scopes", "listed twice" } },
  { "not divisible", GLOBAL SITE US "scopes=site\n",
    { "site is not divisible", "divisible = yes" } },
  { "no scope at all", GLOBAL US "scopes=\n", { "[masc] scopes", "the list is empty" } },
  { "nothing divisible", SITE US, { "no scope is divisible" } },
  { "overlapping scopes", GLOBAL "[scope part]\nfamily=ipv4\nfirst=232.0.0.0\nlast=232.0.255.255\n"
                                 "ttl=63\ndivisible=yes\n" US,
    { "global", "part", "overlap" } },
  { "IPv6 scope, group ids", WIDE US,
    { "[masc] unit6", "scope six", "unit6 = 96" } },
  { "IPv6 scope, below", "[scope six]\nfamily=ipv6\nfirst=ff1e::\nlast=ff1e::8fff:ffff\n"
                         "divisible=yes\n" US, { "[masc] unit6" } },
  { "IPv6 scope, above", "[scope six]\nfamily=ipv6\nfirst=ff1e::8000:0\nlast=ff1e::9000:0\n"
                         "divisible=yes\n" US, { "[masc] unit6" } },
  { "IPv6 id, IPv4 claims", GLOBAL "[masc]\ndomain-id=2001:db8::\nnode-id=192.0.2.1\n",
    { "[masc] domain-id", "scope global is IPv4", "AS number" } },
  { "IPv6 node, IPv4 claims", GLOBAL "[masc]\ndomain-id=5\nnode-id=2001:db8::1\n",
    { "[masc] node-id", "scope global is IPv4" } },
  { "IPv6 peer, IPv4 claims",
    OK "[masc-peer x]\naddress=192.0.2.9\nrole=child\ndomain-id=2001:db8::\n",
    { "[masc-peer x] domain-id", "scope global is IPv4" } },
  { "lifetime within waiting period", GLOBAL US "prefix-lifetime=2d\n",
    { "[masc] prefix-lifetime", "waiting-period = 2d", "before it can be used" } },
  { "renewal too late", GLOBAL US "renew-interval=29d\n",
    { "[masc] renew-interval", "prefix-lifetime = 30d", "before its renewal" } },
  { "hold time", GLOBAL US "holdtime=2\n", { "[masc] holdtime", "at least 3" } },
  { "back-off", GLOBAL US "backoff=1h\nbackoff-most=30m\n", { "backoff-most", "30m", "1h" } },
  { "bounds of lifetimes", GLOBAL US "least-lifetime=2d\nmost-lifetime=1d\n",
    { "least-lifetime", "no claim could" } },
  { "bounds of hold times", GLOBAL US "least-holdtime=2d\nmost-holdtime=1d\n",
    { "least-holdtime", "no claim could" } },
  { "bounds of sizes", GLOBAL US "largest-prefix=20\nsmallest-prefix=16\n",
    { "largest-prefix", "/20", "/16" } },
  { "own parent", GLOBAL US "parents=64501\n", { "[masc] parents", "this domain itself" } },
  { "bad parent", GLOBAL US "parents=x\n", { "[masc] parents", "no identifier" } },
  { "parent in no scope", GLOBAL US "parents=64496@here\n", { "[masc] parents", "here is none" } },
  { "no address", GLOBAL US "[masc-peer x]\nrole=child\ndomain-id=7\n",
    { "[masc-peer x]", "address" } },
  { "no role", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\ndomain-id=7\n",
    { "[masc-peer x]", "role" } },
  { "unknown role", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\nrole=uncle\ndomain-id=7\n",
    { "[masc-peer x] role", "uncle" } },
  { "group as address", GLOBAL US "[masc-peer x]\naddress=224.0.0.9\nrole=child\ndomain-id=7\n",
    { "[masc-peer x] address", "nobody's unicast address" } },
  { "broadcast", GLOBAL US "[masc-peer x]\naddress=255.255.255.255\nrole=child\ndomain-id=7\n",
    { "[masc-peer x] address", "nobody's unicast address" } },
  { "link-local", GLOBAL US "[masc-peer x]\naddress=fe80::7\nrole=child\ndomain-id=7\n",
    { "[masc-peer x] address", "isn't link-local" } },
  { "mapped", GLOBAL US "[masc-peer x]\naddress=::ffff:192.0.2.9\nrole=child\ndomain-id=7\n",
    { "[masc-peer x] address", "is an IPv4 address" } },
  { "no peer domain", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\nrole=child\n",
    { "[masc-peer x] domain-id", "it is missing" } },
  { "child of our domain", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\nrole=child\n"
                                     "domain-id=64501\n",
    { "[masc-peer x] domain-id", "only an internal peer" } },
  { "internal of another domain", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\nrole=internal\n"
                                            "domain-id=7\n",
    { "[masc-peer x] domain-id", "7", "domain-id is 64501" } },
  { "our own node", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\nrole=internal\n"
                              "node-id=192.0.2.1\n",
    { "[masc-peer x] node-id", "this node itself" } },
  { "local address of another family", GLOBAL US "[masc-peer x]\naddress=192.0.2.9\nrole=child\n"
                                                 "domain-id=7\nlocal-address=2001:db8::1\n",
    { "[masc-peer x] local-address", "another family" } },
  { "hold time of a peer", OK "[masc-peer x]\naddress=192.0.2.9\nrole=child\ndomain-id=7\n"
                              "holdtime=1\n",
    { "[masc-peer x] holdtime", "at least 3" } },
  { "scope of a peer", OK SITE "[masc-peer x]\naddress=192.0.2.9\nrole=child\ndomain-id=7\n"
                               "scopes=site\n",
    { "[masc-peer x] scopes", "site is none of [masc] scopes" } },
  { "same address", OK "[masc-peer x]\naddress=198.51.100.1\nrole=child\ndomain-id=7\n",
    { "[masc-peer x] address", "[masc-peer up]", "only siblings" } },
  { "siblings, same parent",
    OK "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\n"
       "[masc-peer b]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\n",
    { "[masc-peer b] address", "[masc-peer a]", "one for each parent" } },
  { "sibling with an unknown parent",
    OK "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\nparent=64499\n",
    { "[masc-peer a] parent", "64499 is no parent of this domain" } },
  { "sibling among top-level domains, with a parent",
    OK "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\nparent=none\n",
    { "[masc-peer a] parent", "this domain has a parent" } },
  { "which parent?",
    OK "[masc-peer up2]\naddress=198.51.100.2\nrole=parent\ndomain-id=64497\n"
       "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\n",
    { "[masc-peer a] parent", "several parents" } },
  { "parent of who is no sibling",
    OK "[masc-peer a]\naddress=192.0.2.9\nrole=child\ndomain-id=7\nparent=64496\n",
    { "[masc-peer a] parent", "only siblings" } },
  { "parent and child", OK "[masc-peer a]\naddress=192.0.2.9\nrole=child\ndomain-id=64496\n",
    { "[masc-peer a] role", "can't be a child, too" } },
  { "bounds for a parent", GLOBAL US UP "largest-prefix=16\n",
    { "[masc-peer up] largest-prefix", "only children" } },
  { "no key file", GLOBAL US UP "key-file=/nonexistent/key\n",
    { "[masc-peer up] key-file", "/nonexistent/key can't be read" } },
};

Test(masc_config, what_is_wrong_is_refused_with_its_place)
{
  for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MascSettings) s = read_text(refused[i].text, true, &error);
    cr_assert_null(s, "%s", refused[i].name);
    cr_assert(g_str_has_prefix(error->message, "t.conf"), "%s: %s", refused[i].name,
              error->message);
    for (size_t k = 0; k < G_N_ELEMENTS(refused[i].words) && refused[i].words[k] != NULL; k++)
      cr_assert_not_null(strstr(error->message, refused[i].words[k]), "%s: \"%s\" is not in: %s",
                         refused[i].name, refused[i].words[k], error->message);
  }
}

Test(masc_config, without_the_role_nothing_need_be_there)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(MascSettings) s = read_text(SITE, false, &error);
  cr_assert_not_null(s, "%s", error ? error->message : "");
}

Test(masc_config, top_level_by_scope_4_5)
{
  g_autoptr(MascSettings) s =
      good(GLOBAL REGION US UP "scopes=global\n"
           "[masc-peer zone]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\nparent=none\n"
           "[masc-peer kid]\naddress=192.0.2.10\nrole=child\ndomain-id=8\nscopes=region\n");
  cr_assert_eq(s->scopes->len, 2);
  cr_assert_not(masc_settings_is_top(s, 0));
  cr_assert(masc_settings_is_top(s, 1), "the parent is outside of it");
  cr_assert_eq(masc_settings_peer(s, 1)->scopes, 2, "siblings among Zone TLDs");
  cr_assert(masc_settings_peer(s, 1)->parent == MASC_TLD_ID);
  cr_assert_not(masc_settings_has_children(s, 0));
  cr_assert(masc_settings_has_children(s, 1));
}

Test(masc_config, a_parent_that_another_node_speaks_to_counts)
{
  g_autoptr(MascSettings) s =
      good(GLOBAL US "parents=64496\n[masc-peer other]\naddress=192.0.2.2\nrole=internal\n"
                     "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\n");
  cr_assert_not(masc_settings_is_top(s, 0));
  cr_assert(masc_settings_peer(s, 0)->domain == 64501);
  cr_assert(masc_settings_peer(s, 1)->parent == 64496, "the only one");
}

/* Else the nodes of one domain would not agree on whether it is a top-level one there. */
Test(masc_config, a_parent_that_another_node_speaks_to_may_be_outside_of_a_zone_4_5)
{
  g_autoptr(MascSettings) s =
      good(GLOBAL REGION US "parents=64496@global;64497@region;64498@region\n"
                            "[masc-peer other]\naddress=192.0.2.2\nrole=internal\n"
                            "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\n"
                            "parent=64496\n");
  g_autoptr(MascSettings) one = good(GLOBAL REGION US "parents=64496@global\n");
  cr_assert_not(masc_settings_is_top(s, 0));
  cr_assert_not(masc_settings_is_top(s, 1));
  cr_assert_eq(masc_settings_peer(s, 1)->scopes, 1, "the common parent is in this scope alone");
  cr_assert_eq(s->parents->len, 3);
  cr_assert_not(masc_settings_is_top(one, 0));
  cr_assert(masc_settings_is_top(one, 1));
}

Test(masc_config, siblings_have_a_session_for_each_parent_in_common_4_4)
{
  g_autoptr(MascSettings) s =
      good(OK "[masc-peer up2]\naddress=198.51.100.2\nrole=parent\ndomain-id=64497\n"
              "[masc-peer a]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\nparent=64496\n"
              "[masc-peer b]\naddress=192.0.2.9\nrole=sibling\ndomain-id=7\nparent=64497\n");
  cr_assert_eq(s->peers->len, 4);
  cr_assert_eq(s->parents->len, 2);
}

Test(masc_config, long_identifiers_make_long_opens_7_2)
{
  g_autoptr(MascSettings) s =
      good(SIX "[masc]\ndomain-id=64501\nnode-id=192.0.2.1\n"
               "[masc-peer a]\naddress=2001:db8::9\nrole=child\ndomain-id=2001:db8:7::\n"
               "[masc-peer b]\naddress=2001:db8::10\nrole=child\ndomain-id=8\n");
  cr_assert_eq(masc_settings_family(s, masc_settings_peer(s, 0)), MAL_IPV6);
  cr_assert_eq(masc_settings_family(s, masc_settings_peer(s, 1)), MAL_IPV4);
  cr_assert_eq(s->listen->len, 1);
  cr_assert_eq(g_array_index(s->listen, MalAddress, 0).family, MAL_IPV6);
}

Test(masc_config, both_families_are_listened_on_where_peers_have_both)
{
  g_autoptr(MascSettings) s =
      good(OK "[masc-peer six]\naddress=2001:db8::9\nrole=child\ndomain-id=7\n");
  cr_assert_eq(s->listen->len, 2);
  cr_assert_eq(g_array_index(s->listen, MalAddress, 0).family, MAL_IPV4);
  cr_assert_eq(g_array_index(s->listen, MalAddress, 1).family, MAL_IPV6);
}

/* ---- keys ------------------------------------------------------------------------------------ */

typedef struct {
  const char *content;
  unsigned mode;
  const char *word;         /* NULL: good */
  const char *key;
} KeyFile;

static const KeyFile key_files[] = {
  { "secret\n", 0600, NULL, "secret" },
  { "secret", 0640, NULL, "secret" },
  { "two words\r\nmore\n", 0600, NULL, "two words" },
  { "secret\n", 0644, "chmod 640", NULL },
  { "secret\n", 0660, "chmod 640", NULL },
  { "", 0600, "has 0 octets", NULL },
  { "\nsecret\n", 0600, "has 0 octets", NULL },
  { "123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 1", 0600,
    "has 81 octets", NULL },
};

Test(masc_config, key_files)
{
  g_autofree char *dir = g_dir_make_tmp("masc-key-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, "key", NULL);
  g_autofree char *text = g_strdup_printf("%skey-file=%s\n", OK, path);
  for (size_t i = 0; i < G_N_ELEMENTS(key_files); i++) {
    const KeyFile *k = &key_files[i];
    g_autoptr(GError) error = NULL;
    cr_assert(g_file_set_contents(path, k->content, -1, NULL));
    cr_assert_eq(g_chmod(path, k->mode), 0);
    g_autoptr(MascSettings) s = read_text(text, true, &error);
    if (k->word != NULL) {
      cr_assert_null(s, "%zu", i);
      cr_assert_not_null(strstr(error->message, k->word), "%zu: %s", i, error->message);
      continue;
    }
    cr_assert_not_null(s, "%zu: %s", i, error ? error->message : "");
    const MascPeerSettings *peer = masc_settings_peer(s, 0);
    cr_assert_eq(peer->key_length, strlen(k->key));
    cr_assert_arr_eq(peer->key, k->key, peer->key_length);
  }
  g_unlink(path);
  g_rmdir(dir);
}

Test(masc_config, events_and_metrics_have_names_of_their_own)
{
  for (size_t i = 0; i < MASC_N_EVENTS; i++)
    for (size_t k = 0; k < i; k++)
      cr_assert_str_neq(masc_events[i]->name, masc_events[k]->name);
  for (size_t i = 0; i < MASC_N_METRICS; i++) {
    cr_assert_not_null(masc_metrics[i].name, "%zu", i);
    for (size_t k = 0; k < i; k++)
      cr_assert_str_neq(masc_metrics[i].name, masc_metrics[k].name);
  }
  for (size_t i = 0; i < MASC_N_NOTES; i++)
    cr_assert_not_null(masc_zone_news[i].event, "%zu", i);
  for (size_t i = 0; i < MASC_N_SESSION_NOTES; i++)
    cr_assert_not_null(masc_session_news[i].event, "%zu", i);
}
