/* The MASC plugin in whole daemons: scopes, internal peers, IPv6, bounds, a failing disk, clashes.
   Sections are RFC 2909's. */
#include "tests/unit/masc-daemons.h"

#define SCOPE                                                                                      \
  "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\ndivisible=yes\n"
#define REGION                                                                                     \
  "[scope region]\nfamily=ipv4\nfirst=239.128.0.0\nlast=239.131.255.255\nttl=63\ndivisible=yes\n"
#define SIX                                                                                        \
  "[scope six]\nfamily=ipv6\nfirst=ff1e::8000:0\nlast=ff1e::8fff:ffff\nttl=127\ndivisible=yes\n"
#define TIMES                                                                                      \
  "waiting-period=60\ninitiate-claim-delay=4\nprefix-lifetime=1h\nrenew-interval=10m\n"           \
  "plan-interval=5m\nextra-holding-time=10\nholdtime=30\nconnect-retry=4\nbackoff=5\n"            \
  "backoff-most=20\n"
#define MASC(domain, node) "[masc]\ndomain-id=" domain "\nnode-id=" node "\n" TIMES "claim=no\n"
#define TOP SCOPE MASC("64496", "192.0.2.1")
#define CHILD SCOPE MASC("64501", "192.0.2.2")
#define KID "[masc-peer kid]\naddress=192.0.2.2\nrole=child\ndomain-id=64501\n"
#define UP "[masc-peer up]\naddress=192.0.2.1\nrole=parent\ndomain-id=64496\n"

static void ok(MascWorld *w, unsigned i, const char *method, const char *params)
{
  masc_world_call(w, i, method, params, 5);
  cr_assert_null(w->error, "%s: %s", method, w->error);
}

static void expect_routes(MascWorld *w, unsigned i, const char *expected)
{
  g_autofree char *routes = masc_routes(w, i);
  cr_assert_str_eq(routes, expected, "host %u: %s instead of %s", i, routes, expected);
}

static void expect_ranges(MascWorld *w, unsigned i, const char *expected)
{
  g_autofree char *ranges = masc_ranges(w, i, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(ranges, expected, "host %u: %s instead of %s", i, ranges, expected);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

Test(masc_more, a_child_gets_no_larger_prefix_than_it_may_8_3)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, TOP KID "largest-prefix=20\n");
  masc_world_start(&w, 1, CHILD UP);
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.0.0/17\"}");
  masc_world_run(&w, 30);
  cr_assert_eq(masc_metric(&w, 0, "too-large"), 1);
  cr_assert_eq(masc_told(&w, 1, "masc.denied"), 1, "11.4.3: first it is denied");
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.128.0/20\"}");
  masc_world_run(&w, 100);
  expect_routes(&w, 1, "239.193.128.0/20");
  masc_world_clear(&w);
}

/* What a parent answers with an error it has not taken: it is not won, and can be claimed again. */
Test(masc_more, what_a_parent_refuses_is_not_won_8_3)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, TOP "least-lifetime=2h\n" KID);
  masc_world_start(&w, 1, CHILD UP);
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\",\"lifetime\":100000}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\",\"lifetime\":3600}");
  masc_world_run(&w, 100);
  expect_routes(&w, 1, "");
  json_object *up = masc_world_peer(&w, 1, "up");
  const char *error = json_object_get_string(masc_at(up, "error_received"));
  cr_assert(error && strstr(error, "session kept"), "%s", error);
  cr_assert_str_eq(json_object_get_string(masc_at(up, "state")), "Established");
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.5.0/24\",\"lifetime\":8000}");
  masc_world_run(&w, 100);
  expect_routes(&w, 1, "239.193.5.0/24");
  masc_world_clear(&w);
}

/* The parent allows half an hour only: what it granted once is what is asked for from then on, so
   that nothing is refused for having been denied before. */
Test(masc_more, renewals_ask_for_no_more_than_was_granted_8_3_11_4_3)
{
#define SHORT(domain, node)                                                                        \
  SCOPE "[masc]\ndomain-id=" domain "\nnode-id=" node "\nwaiting-period=60\nclaim=no\n"          \
        "initiate-claim-delay=4\nprefix-lifetime=1h\nrenew-interval=61s\nextra-holding-time=5m\n"
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, SHORT("64496", "192.0.2.1") "most-lifetime=30m\n" KID);
  masc_world_start(&w, 1, SHORT("64501", "192.0.2.2") UP);
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 3000);
  expect_routes(&w, 1, "239.193.4.0/24");
  cr_assert_geq(masc_told(&w, 1, "masc.renewed"), 20);
  cr_assert_leq(masc_told(&w, 1, "masc.denied"), 10);
  cr_assert_eq(masc_metric(&w, 1, "error-update-received"), 0);
  masc_world_clear(&w);
}

/* What it claims by itself it claims smaller until it may. */
Test(masc_more, a_child_shrinks_its_claims_until_they_are_granted_8_3)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, TOP KID "largest-prefix=24\n");
  masc_world_start(&w, 1, SCOPE "[masc]\ndomain-id=64501\nnode-id=192.0.2.2\n" TIMES UP);
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  masc_world_call(&w, 1, "lease.request",
                  "{\"scope\":\"global\",\"count\":700,\"lifetime\":600,\"wait\":true}", 1200);
  cr_assert_null(w.error, "%s", w.error);
  cr_assert_geq(masc_metric(&w, 0, "too-large"), 1);
  cr_assert_eq(masc_told(&w, 0, "masc.flood"), 0);
  masc_world_clear(&w);
}

/* ---- scopes (4.5) ---------------------------------------------------------------------------- */

Test(masc_more, what_a_session_is_not_about_does_not_cross_it_4_5)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, REGION TOP KID "scopes=global\n");
  masc_world_start(&w, 1, REGION CHILD UP "scopes=global\n");
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.129.0.0/16\"}");
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.129.0.0/16\"}");
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  expect_routes(&w, 0, "239.129.0.0/16 239.193.0.0/16");
  expect_routes(&w, 1, "239.129.0.0/16");
  cr_assert_eq(masc_metric(&w, 0, "no-scope") + masc_metric(&w, 1, "no-scope"), 0);
  masc_world_clear(&w);
}

Test(masc_more, a_claim_of_a_scope_that_this_end_does_not_share_is_refused_8_3)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, REGION TOP
                   "[masc-peer sib]\naddress=192.0.2.2\nrole=sibling\ndomain-id=64501\n"
                   "scopes=global\n");
  masc_world_start(&w, 1, REGION CHILD
                   "[masc-peer sib]\naddress=192.0.2.1\nrole=sibling\ndomain-id=64496\n");
  masc_world_run(&w, 15);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 10);
  cr_assert_eq(masc_metric(&w, 0, "error-update-sent"), 0);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.129.0.0/16\"}");
  masc_world_run(&w, 10);
  cr_assert_eq(masc_metric(&w, 0, "no-scope"), 1);
  cr_assert_eq(masc_metric(&w, 0, "error-update-sent"), 1);
  const char *error = json_object_get_string(masc_at(masc_world_peer(&w, 1, "sib"),
                                                     "error_received"));
  cr_assert(error && strstr(error, "No Appropriate Parent Prefix"), "%s", error);
  cr_assert_str_eq(masc_world_state(&w, 0, "sib"), "Established");
  masc_world_clear(&w);
}

/* Of what reaches farther than our scope, the part in it counts. */
Test(masc_more, a_parent_may_have_more_than_our_scope_4_5)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 1, "[scope global]\nfamily=ipv4\nfirst=239.193.0.0\nlast=239.193.255.255\n"
                   "ttl=127\ndivisible=yes\n" MASC("64501", "192.0.2.2") UP);
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.192.0.0/15\"}");
  masc_world_run(&w, 100);
  cr_assert_eq(masc_metric(&w, 1, "error-update-sent"), 0);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 100);
  expect_routes(&w, 1, "239.193.4.0/24");
  ok(&w, 1, "masc.withdraw", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 10);
  ok(&w, 0, "masc.withdraw", "{\"prefix\":\"239.192.0.0/15\"}");
  masc_world_run(&w, 10);
  cr_assert_eq(masc_metric(&w, 1, "error-update-sent"), 0, "its WITHDRAW may, too");
  masc_world_call(&w, 1, "masc.claim", "{\"prefix\":\"239.193.5.0/24\"}", 5);
  cr_assert_not_null(w.error, "the parent has nothing any more");
  masc_world_clear(&w);
}

/* ---- internal peers -------------------------------------------------------------------------- */

Test(masc_more, two_nodes_of_a_domain_share_what_one_of_them_won_5_1)
{
  MascWorld w = masc_world(3);
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 1, CHILD UP "[masc-peer other]\naddress=192.0.2.3\nrole=internal\n");
  masc_world_start(&w, 2, SCOPE MASC("64501", "192.0.2.3")
                   "parents=64496\n[masc-peer other]\naddress=192.0.2.2\nrole=internal\n");
  masc_world_run(&w, 20);
  cr_assert_str_eq(masc_world_state(&w, 2, "other"), "Established");
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 100);
  expect_routes(&w, 1, "239.193.4.0/24");
  expect_routes(&w, 2, "239.193.4.0/24");
  expect_ranges(&w, 2, "239.193.4.0-239.193.4.255");
  cr_assert_geq(masc_told(&w, 1, "masc.unshared"), 1, "both lease, and nothing shares out");
  cr_assert_geq(masc_told(&w, 2, "masc.unshared"), 1);
  cr_assert_eq(masc_told(&w, 0, "masc.unshared"), 0, "a child is another domain");
  masc_world_clear(&w);
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

static void add_six(MascWorld *w, unsigned i, const char *text)
{
  MalAddress address;
  cr_assert(mal_address_parse(text, &address, NULL));
  mal_sim_iface_add_address(w->host[i].iface, address);
}

Test(masc_more, prefixes_of_ipv6_over_ipv6_between_domains_with_ipv6_identifiers_7_2)
{
  MascWorld w = masc_world(2);
  add_six(&w, 0, "2001:db8::1");
  add_six(&w, 1, "2001:db8::2");
  masc_world_start(&w, 0, SIX MASC("2001:db8:1::", "2001:db8::1")
                   "[masc-peer kid]\naddress=2001:db8::2\nrole=child\ndomain-id=2001:db8:2::\n");
  masc_world_start(&w, 1, SIX MASC("2001:db8:2::", "2001:db8::2")
                   "[masc-peer up]\naddress=2001:db8::1\nrole=parent\ndomain-id=2001:db8:1::\n");
  masc_world_run(&w, 15);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  ok(&w, 0, "masc.claim", "{\"prefix\":\"ff1e::8000:0/108\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"ff1e::8000:100/120\"}");
  masc_world_run(&w, 100);
  expect_routes(&w, 0, "ff1e::8000:0/108");
  expect_routes(&w, 1, "ff1e::8000:100/120");
  expect_ranges(&w, 1, "ff1e::8000:100-ff1e::8000:1ff");
  ok(&w, 1, "lease.request", "{\"scope\":\"six\",\"lifetime\":60}");
  masc_world_clear(&w);
}

/* ---- protection ------------------------------------------------------------------------------ */

Test(masc_more, sessions_with_the_same_key_are_established_and_others_not_rfc2385)
{
  MascWorld w = masc_world(2);
  g_autofree char *key = g_build_filename(w.dir, "key", NULL);
  g_autofree char *top = g_strdup_printf("%skey-file=%s\nttl-security=1\n", TOP KID, key);
  g_autofree char *child = g_strdup_printf("%skey-file=%s\nttl-security=1\n", CHILD UP, key);
  g_autoptr(GError) error = NULL;
  cr_assert(g_file_set_contents_full(key, "secret\n", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  masc_world_start(&w, 0, top);
  masc_world_start(&w, 1, child);
  masc_world_run(&w, 15);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  cr_assert(g_file_set_contents_full(key, "another\n", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  cr_assert(masc_world_reload(&w, 0, top, &error), "%s", error ? error->message : "");
  masc_world_run(&w, 60);
  cr_assert_str_neq(masc_world_state(&w, 0, "kid"), "Established", "the key changed at one end");
  cr_assert(masc_world_reload(&w, 1, child, &error), "%s", error ? error->message : "");
  masc_world_run(&w, 60);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established", "and at the other one");
  remove(key);
  masc_world_clear(&w);
}

/* ---- the store ------------------------------------------------------------------------------- */

Test(masc_more, what_can_t_be_written_is_not_used_13)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 30);
  mal_sim_disk_set_fault(mal_sim_node_disk(w.host[0].node, "journal"), MAL_SIM_DISK_IO_ERROR);
  masc_world_run(&w, 100);
  expect_routes(&w, 0, "");
  cr_assert_geq(masc_metric(&w, 0, "not-kept"), 1);
  mal_sim_disk_set_fault(mal_sim_node_disk(w.host[0].node, "journal"), MAL_SIM_DISK_OK);
  masc_world_run(&w, 200);
  expect_routes(&w, 0, "239.193.0.0/16");
  masc_world_clear(&w);
}

static void put(MascWorld *w, const char *kind, const char *key, size_t key_length,
                const char *value, size_t length)
{
  MalRecord record = { "masc", kind, (const uint8_t *)key, key_length, (const uint8_t *)value,
                       length };
  mal_store_put_record(mal_core_store(w->host[0].core), &record);
}

Test(masc_more, garbage_in_the_store_is_dropped)
{
#define PUT(kind, key, value) put(&w, kind, key, sizeof key - 1, value, sizeof value - 1)
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP);
  PUT("space", "", "");
  PUT("space", "global", "x");
  PUT("space", "global\0", "x");
  PUT("space", "global\0\x18\xef\xc1\x04", "\0\0\0\0\0\0\0\0\0");
  PUT("space", "global\0\x18\xef\xc1\x04\x01", "\0\x7f\0\0\0\0\0\0\0");
  PUT("space", "global\0\xff\xef\xc1\x04\0", "\0\x7f\0\0\0\0\0\0\0");
  PUT("space", "global\0\x04\xe0\0\0\0", "\0\x7f\0\0\0\0\0\0\0");
  PUT("space", "nosuch\0\x18\xef\xc1\x04\0", "\0\x7f\0\0\0\0\0\0\0");
  PUT("zone", "", "");
  PUT("zone", "global", "");
  PUT("zone", "global\0", "");
  PUT("zone", "global\0\1\2\3", "\4\5\6");
  PUT("zone", "nosuch\0\1\2\3", "kept");
  PUT("something", "else", "entirely");
  masc_world_run(&w, 5);
  masc_world_crash(&w, 0, MAL_SIM_DISK_KEPT);
  masc_world_return(&w, 0);
  expect_ranges(&w, 0, "");
  cr_assert_geq(masc_told(&w, 0, "masc.record-dropped"), 2);
  masc_world_run(&w, 5);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  expect_routes(&w, 0, "239.193.0.0/16");
  masc_world_crash(&w, 0, MAL_SIM_DISK_KEPT);
  masc_world_return(&w, 0);
  cr_assert_eq(masc_told(&w, 0, "masc.record-dropped"), 2, "only once");
  masc_world_clear(&w);
}

/* ---- clashes (12.4) -------------------------------------------------------------------------- */

#define TWIN(n) "[masc-peer twin]\naddress=192.0.2." n "\nrole=sibling\ndomain-id="
#define LEFT TOP "clash-resolution=manual\n" TWIN("2") "64497\n"
#define RIGHT SCOPE MASC("64497", "192.0.2.2") "clash-resolution=manual\n" TWIN("1") "64496\n"

/* Both won the same while they were apart, for long enough: at first a claim waits for somebody
   who could object. */
static MascWorld clashed(void)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, LEFT);
  masc_world_start(&w, 1, RIGHT);
  masc_world_run(&w, 20);
  MalSimCut *cut = mal_sim_partition(w.sim, &w.host[0].node, 1, &w.host[1].node, 1);
  masc_world_run(&w, 60);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/24\"}");
  masc_world_run(&w, 5);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.0.0/24\"}");
  masc_world_run(&w, 200);
  expect_routes(&w, 0, "239.193.0.0/24");
  expect_routes(&w, 1, "239.193.0.0/24");
  mal_sim_heal(w.sim, cut);
  masc_world_run(&w, 120);
  cr_assert_str_eq(masc_world_state(&w, 0, "twin"), "Established");
  return w;
}

Test(masc_more, a_clash_is_resolved_by_hand_12_4)
{
  MascWorld w = clashed();
  cr_assert_geq(masc_told(&w, 0, "masc.clash"), 1);
  cr_assert_geq(masc_told(&w, 1, "masc.clash"), 1);
  expect_ranges(&w, 0, "");
  expect_ranges(&w, 1, "");
  masc_world_call(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":60}", 5);
  cr_assert_not_null(w.error, "not used until somebody has decided");
  ok(&w, 0, "masc.resolve", "{\"prefix\":\"239.193.0.0/24\",\"how\":\"yield\"}");
  ok(&w, 1, "masc.resolve", "{\"prefix\":\"239.193.0.0/24\",\"how\":\"keep\"}");
  masc_world_run(&w, 30);
  expect_routes(&w, 0, "");
  expect_routes(&w, 1, "239.193.0.0/24");
  expect_ranges(&w, 1, "239.193.0.0-239.193.0.255");
  ok(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":60}");
  masc_world_clear(&w);
}

/* ---- demand ---------------------------------------------------------------------------------- */

Test(masc_more, what_waits_arrives_once)
{
  MascWorld w = masc_world(1);
  json_object *p = json_tokener_parse("{\"scope\":\"global\",\"count\":10,\"lifetime\":300,"
                                      "\"wait\":true}");
  masc_world_start(&w, 0, TOP);
  masc_world_call(&w, 0, "status", "{}", 2);
  mal_control_call(mal_core_control(w.host[0].core), "lease.request", p, true,
                   masc_world_answered, NULL, &w);
  json_object_put(p);
  w.answered = false;
  masc_world_run(&w, 100);
  cr_assert_eq(masc_metric(&w, 0, "arrivals"), 10, "%d", (int)masc_metric(&w, 0, "arrivals"));
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/24\"}");
  masc_world_run(&w, 200);
  cr_assert_eq(masc_metric(&w, 0, "arrivals"), 10, "nor again when it is in use");
  cr_assert_eq(masc_metric(&w, 0, "waiting-addresses"), 0);
  masc_world_clear(&w);
}

/* Who gives up and comes again is the one who waited before. */
Test(masc_more, who_comes_again_arrives_once)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, SCOPE "[masc]\ndomain-id=64496\nnode-id=192.0.2.1\nclaim=no\n");
  for (int i = 0; i < 3; i++) {
    masc_world_call(&w, 0, "lease.request",
                    "{\"scope\":\"global\",\"count\":10,\"lifetime\":300,\"wait\":true}", 900);
    cr_assert_not_null(w.error);
    masc_world_run(&w, 1800);
  }
  cr_assert_eq(masc_metric(&w, 0, "arrivals"), 10, "%d", (int)masc_metric(&w, 0, "arrivals"));
  masc_world_clear(&w);
}

static bool has_no_range(void *data)
{
  MascWorld *w = data;
  g_autofree char *ranges = masc_ranges(w, 0, MAL_LEVEL_AVAILABLE);
  return *ranges == '\0';
}

/* The disk fails at the very moment: what is available, and not on it, is written later. */
Test(masc_more, a_range_that_the_disk_did_not_take_is_there_for_its_leases_13)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP);
  MalSimDisk *disk = mal_sim_node_disk(w.host[0].node, "journal");
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/24\"}");
  cr_assert(mal_sim_run_while(w.sim, has_no_range, &w, 1000 * MAL_US));
  mal_sim_disk_set_fault(disk, MAL_SIM_DISK_IO_ERROR);
  masc_world_run(&w, 5);
  mal_sim_disk_set_fault(disk, MAL_SIM_DISK_OK);
  masc_world_run(&w, 60);
  ok(&w, 0, "lease.request", "{\"scope\":\"global\",\"lifetime\":1200}");
  masc_world_crash(&w, 0, MAL_SIM_DISK_KEPT);
  masc_world_return(&w, 0);
  json_object *leases = masc_at(masc_world_call(&w, 0, "lease.list", "{}", 2), "leases");
  cr_assert_eq(json_object_array_length(leases), 1);
  masc_world_clear(&w);
}

static bool count_space(const MalRecord *record, void *data, GError **error)
{
  (void)error;
  *(unsigned *)data += strcmp(record->kind, "space") == 0;
  return true;
}

/* The same of what goes: a row that stayed would be there again after a crash, and hide others. */
Test(masc_more, a_range_that_the_disk_did_not_let_go_is_gone_13)
{
  MascWorld w = masc_world(1);
  unsigned rows = 0;
  masc_world_start(&w, 0, TOP);
  MalSimDisk *disk = mal_sim_node_disk(w.host[0].node, "journal");
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/24\"}");
  cr_assert(mal_sim_run_while(w.sim, has_no_range, &w, 1000 * MAL_US));
  masc_world_run(&w, 60);
  mal_sim_disk_set_fault(disk, MAL_SIM_DISK_IO_ERROR);
  ok(&w, 0, "masc.withdraw", "{\"prefix\":\"239.193.0.0/24\"}");
  masc_world_run(&w, 5);
  cr_assert(has_no_range(&w));
  mal_sim_disk_set_fault(disk, MAL_SIM_DISK_OK);
  masc_world_run(&w, 60);
  cr_assert(mal_store_each_record(mal_core_store(w.host[0].core), "masc", count_space, &rows,
                                  NULL));
  cr_assert_eq(rows, 0);
  masc_world_clear(&w);
}

/* ---- Start and Stop (10.1) ------------------------------------------------------------------- */

Test(masc_more, an_operator_starts_and_stops_sessions_10_1)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 1, CHILD UP);
  masc_world_run(&w, 15);
  json_object *answer = masc_world_call(&w, 1, "masc.stop", "{\"peer\":\"up\"}", 2);
  cr_assert_str_eq(json_object_get_string(masc_at(answer, "state")), "Idle");
  cr_assert_eq(masc_metric(&w, 1, "error-cease-sent"), 1);
  masc_world_run(&w, 300);
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Idle", "no Start comes by itself");
  cr_assert(masc_world_reload(&w, 1, CHILD UP "ttl-security=1\n", NULL));
  cr_assert(masc_world_reload(&w, 1, CHILD UP, NULL));
  masc_world_run(&w, 60);
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Idle", "nor when the peer changes");
  answer = masc_world_call(&w, 1, "masc.start", "{\"peer\":\"up\"}", 2);
  cr_assert_str_neq(json_object_get_string(masc_at(answer, "state")), "Idle");
  masc_world_run(&w, 30);
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Established");
  answer = masc_world_call(&w, 1, "masc.start", "{\"peer\":\"up\"}", 2);
  cr_assert_str_eq(json_object_get_string(masc_at(answer, "state")), "Established", "ignored");
  cr_assert_eq(masc_metric(&w, 1, "sessions-down"), 1);
  masc_world_call(&w, 1, "masc.start", "{\"peer\":\"down\"}", 2);
  cr_assert_not_null(strstr(w.error, "no [masc-peer down]"), "%s", w.error);
  masc_world_clear(&w);
}

Test(masc_more, an_operator_ends_the_wait_after_an_error_10_1)
{
  MascWorld w = masc_world(2);
#define SLOW(domain, node)                                                                         \
  SCOPE "[masc]\ndomain-id=" domain "\nnode-id=" node "\nbackoff=1d\nconnect-retry=4\n"
  masc_world_start(&w, 0, SLOW("64496", "192.0.2.1") KID);
  masc_world_start(&w, 1, SLOW("64501", "192.0.2.2")
                   "[masc-peer up]\naddress=192.0.2.1\nrole=child\ndomain-id=64496\n");
  masc_world_run(&w, 30);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Idle");
  g_autoptr(GError) error = NULL;
  cr_assert(masc_world_reload(&w, 1, SLOW("64501", "192.0.2.2") UP, &error), "%s",
            error ? error->message : "");
  masc_world_run(&w, 300);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Idle");
  ok(&w, 0, "masc.start", "{\"peer\":\"kid\"}");
  masc_world_run(&w, 30);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  masc_world_clear(&w);
}

/* ---- a provider that is another provider's customer (12.4) ----------------------------------- */

Test(masc_more, a_customer_of_both_claims_from_the_nearer_one_12_4)
{
#define DEEP SCOPE MASC("64502", "192.0.2.3")
#define NEAR "[masc-peer near]\naddress=192.0.2.2\nrole=parent\ndomain-id=64501\n"
#define DEEP_KID "[masc-peer deep]\naddress=192.0.2.3\nrole=child\ndomain-id=64502\n"
  MascWorld w = masc_world(3);
  masc_world_start(&w, 0, TOP KID DEEP_KID);
  masc_world_start(&w, 1, CHILD UP DEEP_KID);
  masc_world_start(&w, 2, DEEP UP NEAR);
  masc_world_run(&w, 15);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.64.0/18\",\"lifetime\":3000}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.80.0/24\",\"local\":true,\"lifetime\":2500}");
  masc_world_run(&w, 100);
  expect_ranges(&w, 1, "239.193.80.0-239.193.80.255");
  masc_world_call(&w, 2, "masc.claim", "{\"prefix\":\"239.193.80.0/25\"}", 5);
  cr_assert_not_null(w.error, "its provider's servers use that");
  ok(&w, 2, "masc.claim", "{\"prefix\":\"239.193.64.0/24\",\"lifetime\":2000}");
  masc_world_run(&w, 1500);
  expect_routes(&w, 2, "239.193.64.0/24");
  expect_ranges(&w, 2, "239.193.64.0-239.193.64.255");
  expect_ranges(&w, 1, "239.193.80.0-239.193.80.255");
  cr_assert_geq(masc_told(&w, 1, "masc.renewed"), 1);
  for (unsigned i = 0; i < 3; i++) {
    cr_assert_eq(masc_told(&w, i, "masc.clash"), 0, "host %u", i);
    cr_assert_eq(masc_metric(&w, i, "error-update-received"), 0, "host %u", i);
  }
  masc_world_crash(&w, 2, MAL_SIM_DISK_WIPED);
  masc_world_return(&w, 2);
  masc_world_run(&w, 60);
  expect_routes(&w, 2, "239.193.64.0/24");
  masc_world_clear(&w);
}

/* ---- a provider that is left (12.5) ---------------------------------------------------------- */

static unsigned count_of_parents(MascWorld *w, unsigned i)
{
  json_object *list = masc_at(masc_world_call(w, i, "masc.prefixes", "{}", 5), "prefixes");
  unsigned n = 0;
  for (size_t k = 0; k < json_object_array_length(list); k++) {
    json_object *kind = masc_at(json_object_array_get_idx(list, k), "kind");
    n += strcmp(json_object_get_string(kind), "parent's") == 0;
  }
  return n;
}

/* Under way or by a restart: what was won stays until its end, and nothing is claimed there. */
Test(masc_more, a_provider_that_is_left_12_5)
{
#define SECOND "[masc-peer second]\naddress=192.0.2.3\nrole=parent\ndomain-id=64499\n"
  for (unsigned restarts = 0; restarts < 2; restarts++) {
    MascWorld w = masc_world(3);
    masc_world_start(&w, 0, TOP KID);
    masc_world_start(&w, 1, CHILD UP SECOND);
    masc_world_run(&w, 15);
    ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
    masc_world_run(&w, 100);
    ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\",\"lifetime\":2000}");
    masc_world_run(&w, 100);
    expect_routes(&w, 1, "239.193.4.0/24");
    cr_expect_eq(count_of_parents(&w, 1), 1);
    ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.6.0/24\"}");
    masc_world_run(&w, 10);
    if (restarts) {
      masc_world_stop(&w, 1);
      masc_world_start(&w, 1, CHILD SECOND);
    } else {
      cr_assert(masc_world_reload(&w, 1, CHILD SECOND, NULL));
    }
    masc_world_run(&w, 5);
    cr_expect_eq(count_of_parents(&w, 1), 0, "%u", restarts);
    masc_world_call(&w, 1, "masc.claim", "{\"prefix\":\"239.193.5.0/24\"}", 5);
    cr_expect_not_null(w.error);
    expect_routes(&w, 1, "239.193.4.0/24");
    masc_world_run(&w, 2000);
    expect_routes(&w, 1, "");
    masc_world_clear(&w);
  }
}
