/* The MASC plugin in whole daemons: a top-level domain on host 0, its children on the others.
   Sections are RFC 2909's. */
#include "tests/unit/masc-daemons.h"

#define SCOPE                                                                                      \
  "[scope global]\nfamily=ipv4\nfirst=239.192.0.0\nlast=239.195.255.255\nttl=127\ndivisible=yes\n"
#define TIMES                                                                                      \
  "waiting-period=60\ninitiate-claim-delay=4\nprefix-lifetime=1h\nrenew-interval=10m\n"           \
  "plan-interval=5m\nextra-holding-time=10\nholdtime=30\nconnect-retry=4\nbackoff=5\n"            \
  "backoff-most=20\n"
#define TOP SCOPE "[masc]\ndomain-id=64496\nnode-id=192.0.2.1\n" TIMES
/* Nothing is claimed but by hand. */
#define TOP0 TOP "claim=no\n"
#define CHILD0 CHILD "claim=no\n"
#define KID                                                                                        \
  "[masc-peer kid]\naddress=192.0.2.2\nrole=child\ndomain-id=64501\nnode-id=192.0.2.2\n"
#define KID2 "[masc-peer kid2]\naddress=192.0.2.3\nrole=child\ndomain-id=64502\n"
#define CHILD SCOPE "[masc]\ndomain-id=64501\nnode-id=192.0.2.2\n" TIMES
#define UP "[masc-peer up]\naddress=192.0.2.1\nrole=parent\ndomain-id=64496\n"
#define SISTER "[masc-peer sister]\naddress=192.0.2.3\nrole=sibling\ndomain-id=64502\n"
#define CHILD2 SCOPE "[masc]\ndomain-id=64502\nnode-id=192.0.2.3\n" TIMES
#define BROTHER "[masc-peer brother]\naddress=192.0.2.2\nrole=sibling\ndomain-id=64501\n"

static MascWorld pair_of(const char *top, const char *child)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, top);
  masc_world_start(&w, 1, child);
  masc_world_run(&w, 15);
  return w;
}

static MascWorld pair(void)
{
  return pair_of(TOP0 KID, CHILD0 UP);
}

static void ok(MascWorld *w, unsigned i, const char *method, const char *params)
{
  masc_world_call(w, i, method, params, 5);
  cr_assert_null(w->error, "%s: %s", method, w->error);
}

static size_t count(MascWorld *w, unsigned i, const char *method, const char *list,
                    const char *params)
{
  return json_object_array_length(masc_at(masc_world_call(w, i, method, params, 2), list));
}

/* ---- sessions -------------------------------------------------------------------------------- */

Test(masc_plugin, configured_peers_find_each_other_10_1)
{
  MascWorld w = pair();
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Established");
  json_object *up = masc_world_peer(&w, 1, "up");
  cr_assert_str_eq(json_object_get_string(masc_at(up, "role")), "parent");
  cr_assert_str_eq(json_object_get_string(masc_at(up, "domain")), "64496");
  cr_assert_str_eq(json_object_get_string(masc_at(up, "node")), "192.0.2.1");
  cr_assert_geq(json_object_get_int(masc_at(up, "uptime_s")), 1);
  cr_assert_eq(json_object_get_int(masc_at(up, "hold_time_s")), 30);
  json_object *one = masc_world_call(&w, 1, "masc.peers", "{\"peer\":\"up\"}", 2);
  cr_assert_geq(json_object_get_int(masc_at(masc_at(one, "sent_by_type"), "KEEPALIVE")), 1);
  cr_assert_eq(masc_told(&w, 0, "masc.session-up"), 1);
  cr_assert_geq(masc_metric(&w, 0, "open-sent"), 1);
  cr_assert_geq(masc_metric(&w, 0, "keepalive-received"), 1);
  masc_world_run(&w, 300);
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Established");
  cr_assert_eq(masc_metric(&w, 1, "sessions-down"), 0);
  cr_assert_eq(masc_metric(&w, 1, "sessions"), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, nobody_else_gets_in_14)
{
  MascWorld w = masc_world(3);
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 2, CHILD2 UP);
  masc_world_run(&w, 60);
  cr_assert_geq(masc_metric(&w, 0, "strangers"), 2);
  cr_assert_eq(masc_metric(&w, 0, "open-received"), 0);
  cr_assert_str_neq(masc_world_state(&w, 2, "up"), "Established");
  masc_world_clear(&w);
}

Test(masc_plugin, roles_must_fit_8_2_10_1)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 1, CHILD "[masc-peer up]\naddress=192.0.2.1\nrole=child\ndomain-id=64496\n");
  masc_world_run(&w, 40);
  cr_assert_str_neq(masc_world_state(&w, 0, "kid"), "Established");
  cr_assert_geq(masc_metric(&w, 0, "error-open-sent") + masc_metric(&w, 1, "error-open-sent"), 1);
  cr_assert_geq(masc_metric(&w, 0, "backoff") + masc_metric(&w, 1, "backoff"), 1);
  json_object *peer = masc_world_peer(&w, 0, "kid");
  bool sent = masc_at(peer, "error_sent") != NULL, got = masc_at(peer, "error_received") != NULL;
  cr_assert(sent || got, "%s", json_object_to_json_string(peer));
  masc_world_clear(&w);
}

Test(masc_plugin, another_domain_than_is_configured_is_refused_8_2)
{
  MascWorld w = masc_world(2);
  masc_world_start(&w, 0,
                   TOP "[masc-peer kid]\naddress=192.0.2.2\nrole=child\ndomain-id=64555\n");
  masc_world_start(&w, 1, CHILD UP);
  masc_world_run(&w, 40);
  cr_assert_str_neq(masc_world_state(&w, 1, "up"), "Established");
  cr_assert_geq(masc_metric(&w, 0, "error-open-sent"), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, siblings_with_two_parents_have_two_sessions_from_one_address_4_4)
{
#define TWO(me, other)                                                                             \
  "[masc-peer up]\naddress=192.0.2.1\nrole=parent\ndomain-id=64496\n"                             \
  "[masc-peer up2]\naddress=192.0.2.4\nrole=parent\ndomain-id=64497\n"                            \
  "[masc-peer a]\naddress=192.0.2." me "\nrole=sibling\ndomain-id=" other "\nparent=64496\n"      \
  "[masc-peer b]\naddress=192.0.2." me "\nrole=sibling\ndomain-id=" other "\nparent=64497\n"
  MascWorld w = masc_world(3);
  masc_world_start(&w, 1, CHILD TWO("3", "64502"));
  masc_world_start(&w, 2, CHILD2 TWO("2", "64501"));
  masc_world_run(&w, 60);
  for (unsigned i = 1; i <= 2; i++) {
    cr_assert_str_eq(masc_world_state(&w, i, "a"), "Established");
    cr_assert_str_eq(masc_world_state(&w, i, "b"), "Established");
    json_object *parent = masc_at(masc_world_peer(&w, i, "b"), "parent");
    cr_assert_str_eq(json_object_get_string(parent), "64497");
  }
  masc_world_clear(&w);
}

Test(masc_plugin, a_stop_says_cease_8_7)
{
  MascWorld w = pair();
  masc_world_stop(&w, 1);
  cr_assert_eq(masc_metric(&w, 0, "error-cease-received"), 1);
  cr_assert_str_neq(masc_world_state(&w, 0, "kid"), "Established");
  masc_world_return(&w, 1);
  masc_world_run(&w, 60);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  masc_world_clear(&w);
}

Test(masc_plugin, a_silent_peer_is_gone_after_the_hold_time_and_comes_back_10_1)
{
  MascWorld w = pair();
  masc_world_crash(&w, 1, MAL_SIM_DISK_KEPT);
  masc_world_run(&w, 60);
  cr_assert_str_neq(masc_world_state(&w, 0, "kid"), "Established");
  masc_world_return(&w, 1);
  masc_world_run(&w, 60);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  masc_world_clear(&w);
}

/* ---- prefixes -------------------------------------------------------------------------------- */

/* The parent has space, and the child a prefix of it, both claimed by hand. */
static MascWorld settled(void)
{
  MascWorld w = pair();
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 100);
  return w;
}

Test(masc_plugin, a_claim_is_ours_after_the_waiting_period_5_1)
{
  MascWorld w = pair();
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 20);
  cr_assert_eq(count(&w, 0, "masc.claims", "claims", "{}"), 1);
  json_object *claims = masc_at(masc_world_call(&w, 0, "masc.claims", "{}", 2), "claims");
  json_object *claim = json_object_array_get_idx(claims, 0);
  cr_assert_str_eq(json_object_get_string(masc_at(claim, "type")), "NEW_CLAIM");
  cr_assert_str_eq(json_object_get_string(masc_at(claim, "kind")), "ours");
  cr_assert_not_null(masc_at(claim, "due"));
  g_autofree char *early = masc_routes(&w, 0);
  cr_assert_str_eq(early, "");
  masc_world_run(&w, 80);
  g_autofree char *routes = masc_routes(&w, 0);
  cr_assert_str_eq(routes, "239.193.0.0/16");
  cr_assert_eq(masc_told(&w, 0, "masc.won"), 1);
  cr_assert_eq(count(&w, 0, "masc.claims", "claims", "{}"), 0);
  masc_world_clear(&w);
}

Test(masc_plugin, a_child_wins_a_prefix_and_leases_from_it_5_1_12_2)
{
  MascWorld w = settled();
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  g_autofree char *owned = masc_ranges(&w, 1, MAL_LEVEL_OWNED);
  g_autofree char *routes = masc_routes(&w, 1);
  cr_assert_str_eq(ranges, "239.193.4.0-239.193.4.255");
  cr_assert_str_eq(owned, ranges);
  cr_assert_str_eq(routes, "239.193.4.0/24");
  ok(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":60}");
  json_object *prefixes = masc_at(masc_world_call(&w, 1, "masc.prefixes", "{}", 2), "prefixes");
  cr_assert_geq(json_object_array_length(prefixes), 2, "%s", json_object_to_json_string(prefixes));
  masc_world_clear(&w);
}

Test(masc_plugin, claims_of_others_a_page_at_a_time)
{
  MascWorld w = settled();
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.8.0/24\"}");
  masc_world_run(&w, 100);
  cr_assert_eq(count(&w, 0, "masc.claims", "claims", "{}"), 0);
  size_t all = count(&w, 0, "masc.claims", "claims", "{\"all\":true}"), seen = 0;
  cr_assert_geq(all, 2);
  for (json_object *next = json_object_new_int(0); next != NULL; seen++) {
    g_autofree char *params = g_strdup_printf("{\"all\":true,\"limit\":1,\"cursor\":%d}",
                                              json_object_get_int(next));
    json_object *page = masc_world_call(&w, 0, "masc.claims", params, 2);
    cr_assert_eq(json_object_array_length(masc_at(page, "claims")), 1);
    if (seen == 0)
      json_object_put(next);
    next = masc_at(page, "next");
  }
  cr_assert_eq(seen, all);
  masc_world_clear(&w);
}

Test(masc_plugin, demand_is_claimed_for_through_two_levels_5_1_11_5)
{
  MascWorld w = pair_of(TOP KID, CHILD UP);
  masc_world_call(&w, 1, "lease.request",
                  "{\"scope\":\"global\",\"count\":20,\"lifetime\":600,\"wait\":true}", 600);
  cr_assert_null(w.error, "%s", w.error);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_neq(ranges, "");
  cr_assert_gt(masc_metric(&w, 1, "demands"), 0);
  masc_world_clear(&w);
}

Test(masc_plugin, what_was_won_is_there_after_a_crash_13)
{
  MascWorld w = settled();
  ok(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":1200}");
  masc_world_crash(&w, 1, MAL_SIM_DISK_KEPT);
  masc_world_return(&w, 1);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  g_autofree char *routes = masc_routes(&w, 1);
  cr_assert_str_eq(ranges, "239.193.4.0-239.193.4.255", "at once");
  cr_assert_str_eq(routes, "239.193.4.0/24");
  cr_assert_eq(count(&w, 1, "lease.list", "leases", "{}"), 1);
  masc_world_run(&w, 100);
  g_autofree char *later = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(later, ranges);
  cr_assert_eq(count(&w, 1, "lease.list", "leases", "{}"), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, a_lost_disk_is_recovered_from_the_parent_14)
{
  MascWorld w = settled();
  masc_world_crash(&w, 1, MAL_SIM_DISK_WIPED);
  masc_world_return(&w, 1);
  cr_assert_eq(masc_told(&w, 1, "masc.recovering"), 2, "at the first start, and now");
  masc_world_run(&w, 60);
  g_autofree char *routes = masc_routes(&w, 1);
  cr_assert_str_eq(routes, "239.193.4.0/24");
  cr_assert_geq(masc_told(&w, 1, "masc.recovered"), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, a_prefix_is_withdrawn_5_4)
{
  MascWorld w = settled();
  ok(&w, 1, "masc.withdraw", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 10);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  g_autofree char *routes = masc_routes(&w, 1);
  cr_assert_str_eq(ranges, "");
  cr_assert_str_eq(routes, "");
  masc_world_crash(&w, 1, MAL_SIM_DISK_KEPT);
  masc_world_return(&w, 1);
  g_autofree char *again = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(again, "", "nor after a crash");
  masc_world_clear(&w);
}

Test(masc_plugin, what_is_in_use_is_not_withdrawn_5_4)
{
  MascWorld w = settled();
  ok(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":1200}");
  masc_world_call(&w, 1, "masc.withdraw", "{\"prefix\":\"239.193.4.0/24\"}", 5);
  cr_assert_str_eq(w.error, "239.193.4.0/24: some of it is in use");
  masc_world_clear(&w);
}

Test(masc_plugin, a_prefix_that_nobody_needs_ends_and_its_leases_with_it_4_2)
{
  MascWorld w = settled();
  ok(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":600}");
  mal_sim_node_step_clock(w.host[1].node, 86400 * MAL_US);
  masc_world_run(&w, 20);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  g_autofree char *routes = masc_routes(&w, 1);
  cr_assert_str_eq(ranges, "");
  cr_assert_str_eq(routes, "");
  cr_assert_eq(count(&w, 1, "lease.list", "leases", "{}"), 0);
  masc_world_clear(&w);
}

Test(masc_plugin, two_children_never_have_the_same_11)
{
  MascWorld w = masc_world(3);
  masc_world_start(&w, 0, TOP0 KID KID2);
  masc_world_start(&w, 1, CHILD0 UP SISTER);
  masc_world_start(&w, 2, CHILD2 "claim=no\n" UP BROTHER);
  masc_world_run(&w, 30);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/24\"}");
  ok(&w, 2, "masc.claim", "{\"prefix\":\"239.193.4.0/24\"}");
  masc_world_run(&w, 300);
  g_autofree char *one = masc_routes(&w, 1), *other = masc_routes(&w, 2);
  bool first = strcmp(one, "239.193.4.0/24") == 0;
  bool second = strcmp(other, "239.193.4.0/24") == 0;
  cr_assert_neq(first, second, "%s; %s", one, other);
  masc_world_clear(&w);
}

/* ---- configuration, time, control ------------------------------------------------------------ */

Test(masc_plugin, peers_come_and_go_by_reload_and_others_don_t_notice)
{
  MascWorld w = masc_world(3);
  g_autoptr(GError) error = NULL;
  masc_world_start(&w, 0, TOP KID);
  masc_world_start(&w, 1, CHILD UP);
  masc_world_start(&w, 2, CHILD2 UP);
  masc_world_run(&w, 20);
  cr_assert(masc_world_reload(&w, 0, TOP KID KID2, &error), "%s", error ? error->message : "");
  masc_world_run(&w, 40);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid2"), "Established");
  cr_assert_eq(json_object_get_int(masc_at(masc_world_peer(&w, 0, "kid"), "sessions")), 1);
  cr_assert(masc_world_reload(&w, 0, TOP KID2, &error), "%s", error ? error->message : "");
  masc_world_run(&w, 20);
  cr_assert_null(masc_world_peer(&w, 0, "kid"));
  cr_assert_str_neq(masc_world_state(&w, 1, "up"), "Established");
  cr_assert_eq(json_object_get_int(masc_at(masc_world_peer(&w, 0, "kid2"), "sessions")), 1);
  cr_assert_eq(masc_told(&w, 0, "masc.session-down"), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, parameters_change_in_place_and_a_bad_file_changes_nothing)
{
  MascWorld w = pair();
  g_autoptr(GError) error = NULL;
  cr_assert(masc_world_reload(&w, 0, TOP "clash-resolution=manual\n" KID, &error));
  cr_assert_not(masc_world_reload(&w, 0, TOP "clash-resolution=maybe\n" KID, &error));
  g_clear_error(&error);
  cr_assert_not(masc_world_reload(&w, 0, SCOPE "[masc]\nnode-id=192.0.2.1\n" KID, &error));
  cr_assert(strstr(error->message, "domain-id is missing"), "%s", error->message);
  masc_world_run(&w, 20);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  cr_assert_eq(json_object_get_int(masc_at(masc_world_peer(&w, 0, "kid"), "sessions")), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, another_port_is_listened_on_after_a_reload)
{
  MascWorld w = masc_world(2);
  g_autoptr(GError) error = NULL;
  masc_world_start(&w, 0, TOP "[masc-peer kid]\naddress=192.0.2.2\nrole=child\ndomain-id=64501\n"
                              "passive=yes\n");
  masc_world_start(&w, 1, CHILD UP "port=2600\n");
  masc_world_run(&w, 20);
  cr_assert_str_neq(masc_world_state(&w, 1, "up"), "Established");
  cr_assert(masc_world_reload(&w, 0,
                              TOP "port=2600\n[masc-peer kid]\naddress=192.0.2.2\nrole=child\n"
                                  "domain-id=64501\npassive=yes\n", &error));
  masc_world_run(&w, 30);
  cr_assert_str_eq(masc_world_state(&w, 1, "up"), "Established");
  masc_world_clear(&w);
}

Test(masc_plugin, another_identity_is_refused_where_the_store_has_one)
{
  MascWorld w = settled();
  g_autoptr(GError) error = NULL;
  masc_world_stop(&w, 1);
#define OTHER SCOPE "[masc]\ndomain-id=64777\nnode-id=192.0.2.2\n" TIMES
  cr_assert_not(masc_world_try(&w, 1, OTHER UP, &error));
  cr_assert(strstr(error->message, "64501") && strstr(error->message, "64777") &&
            strstr(error->message, "identity-change"), "%s", error->message);
  g_clear_pointer(&w.host[1].core, mal_core_free);
  mal_sim_node_restart(w.host[1].node);
  masc_world_start(&w, 1, OTHER "identity-change=forget\n" UP);
  masc_world_run(&w, 10);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(ranges, "");
  cr_assert_eq(masc_told(&w, 1, "masc.identity-forgotten"), 1);
  masc_world_stop(&w, 1);
  masc_world_start(&w, 1, OTHER UP);
  masc_world_clear(&w);
}

Test(masc_plugin, a_step_of_the_clock_within_the_lifetime_takes_nothing_away)
{
  MascWorld w = settled();
  mal_sim_node_step_clock(w.host[1].node, 600 * MAL_US);
  masc_world_run(&w, 20);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(ranges, "239.193.4.0-239.193.4.255");
  mal_sim_node_step_clock(w.host[1].node, -1200 * MAL_US);
  masc_world_run(&w, 20);
  g_autofree char *again = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(again, ranges);
  masc_world_clear(&w);
}

Test(masc_plugin, the_tree_as_it_is_known)
{
  MascWorld w = settled();
  const char *top = json_object_to_json_string(masc_world_call(&w, 0, "masc.tree", "{}", 2));
  cr_assert(strstr(top, "239.193.0.0/16") || strstr(top, "239.193.0.0\\/16"), "%s", top);
  cr_assert(strstr(top, "domain 64501 (child; kid: Established)"), "%s", top);
  const char *kid = json_object_to_json_string(masc_world_call(&w, 1, "masc.tree", "{}", 2));
  cr_assert(strstr(kid, "domain 64496 (parent; up: Established)"), "%s", kid);
  cr_assert(strstr(kid, "domain 64501 (this domain)"), "%s", kid);
  masc_world_clear(&w);
}

Test(masc_plugin, calls_that_ask_for_nonsense_are_told_so)
{
  static const struct {
    const char *method, *params, *says;
  } cases[] = {
    { "masc.claim", "{\"prefix\":\"239.193.0.0\"}", "no multicast prefix" },
    { "masc.claim", "{\"prefix\":\"192.0.2.0/24\"}", "no multicast prefix" },
    { "masc.claim", "{\"prefix\":\"/200\"}", "no multicast prefix" },
    { "masc.claim", "{\"prefix\":\"/64\"}", "longer than an address" },
    { "masc.claim", "{\"prefix\":\"239.193.0.0/16\",\"lifetime\":10}",
      "longer than waiting-period" },
    { "masc.claim", "{\"prefix\":\"232.1.0.0/16\"}", "in no scope" },
    { "masc.claim", "{\"prefix\":\"/24\",\"scope\":\"nosuch\"}", "no scope called nosuch" },
    { "masc.withdraw", "{\"prefix\":\"239.193.0.0/16\"}", "" },
    { "masc.resolve", "{\"prefix\":\"239.193.0.0/16\",\"how\":\"maybe\"}",
      "neither keep nor yield" },
    { "masc.resolve", "{\"prefix\":\"239.193.0.0/16\",\"how\":\"keep\"}", "" },
    { "masc.forgive", "{\"domain\":\"7\"}", "not ignored" },
    { "masc.forgive", "{\"domain\":\"x\"}", "no identifier" },
    { "masc.peers", "{\"peer\":\"nosuch\"}", "no [masc-peer nosuch]" },
    { "masc.tree", "{\"scope\":\"nosuch\"}", "no scope called nosuch" },
    { "masc.prefixes", "{\"scope\":\"nosuch\"}", "no scope called nosuch" },
    { "masc.claims", "{\"scope\":\"nosuch\"}", "no scope called nosuch" },
  };
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0, TOP KID);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    masc_world_call(&w, 0, cases[i].method, cases[i].params, 5);
    cr_assert_not_null(w.error, "%zu", i);
    cr_assert(strstr(w.error, cases[i].says), "%zu: %s", i, w.error);
  }
  masc_world_clear(&w);
}

/* ---- ranges and leases ----------------------------------------------------------------------- */

Test(masc_plugin, a_prefix_grows_in_place_and_leases_go_on_5_3)
{
  MascWorld w = settled();
  ok(&w, 1, "lease.request", "{\"scope\":\"global\",\"lifetime\":1200}");
  ok(&w, 1, "masc.claim", "{\"prefix\":\"239.193.4.0/22\"}");
  masc_world_run(&w, 100);
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  g_autofree char *routes = masc_routes(&w, 1);
  cr_assert_str_eq(ranges, "239.193.4.0-239.193.4.255 239.193.5.0-239.193.7.255");
  cr_assert_str_eq(routes, "239.193.4.0/22");
  cr_assert_eq(count(&w, 1, "lease.list", "leases", "{}"), 1);
  ok(&w, 1, "masc.withdraw", "{\"prefix\":\"239.193.6.0/23\"}");
  masc_world_run(&w, 10);
  g_autofree char *less = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  g_autofree char *fewer = masc_routes(&w, 1);
  cr_assert_str_eq(less, "239.193.4.0-239.193.4.255 239.193.5.0-239.193.5.255");
  cr_assert_str_eq(fewer, "239.193.4.0/23");
  cr_assert_eq(count(&w, 1, "lease.list", "leases", "{}"), 1);
  masc_world_clear(&w);
}

Test(masc_plugin, the_first_child_makes_a_parent_of_it_without_loss_12_2)
{
  MascWorld w = masc_world(2);
  g_autoptr(GError) error = NULL;
  masc_world_start(&w, 0, TOP0);
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.0.0/16\"}");
  masc_world_run(&w, 100);
  g_autofree char *before = masc_routes(&w, 0);
  cr_assert_str_eq(before, "239.193.0.0/16");
  cr_assert(masc_world_reload(&w, 0, TOP0 KID, &error), "%s", error ? error->message : "");
  g_autofree char *after = masc_routes(&w, 0);
  cr_assert_str_eq(after, before);
  masc_world_start(&w, 1, CHILD0 UP);
  masc_world_run(&w, 20);
  cr_assert_str_eq(masc_world_state(&w, 0, "kid"), "Established");
  masc_world_clear(&w);
}

Test(masc_plugin, a_scope_that_is_claimed_in_no_longer_takes_its_space_along)
{
  MascWorld w = settled();
  g_autoptr(GError) error = NULL;
#define OTHER_SCOPE                                                                                \
  "[scope region]\nfamily=ipv4\nfirst=239.128.0.0\nlast=239.131.255.255\nttl=63\ndivisible=yes\n"
  cr_assert(masc_world_reload(&w, 1, OTHER_SCOPE CHILD0 "scopes=region\n" UP, &error), "%s",
            error ? error->message : "");
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(ranges, "");
  cr_assert(masc_world_reload(&w, 1, CHILD0 UP, &error), "%s", error ? error->message : "");
  g_autofree char *again = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(again, "239.193.4.0-239.193.4.255", "its records were kept");
  masc_world_clear(&w);
}

Test(masc_plugin, a_range_in_the_file_takes_the_place_of_what_was_won)
{
  MascWorld w = settled();
  g_autoptr(GError) error = NULL;
#define PART "[range part]\nscope=global\nfirst=239.193.4.128\nlast=239.193.4.255\n"
  cr_assert(masc_world_reload(&w, 1, PART CHILD0 UP, &error), "%s", error ? error->message : "");
  g_autofree char *ranges = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(ranges, "239.193.4.0-239.193.4.127");
  cr_assert(masc_world_reload(&w, 1, CHILD0 UP, &error), "%s", error ? error->message : "");
  g_autofree char *again = masc_ranges(&w, 1, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(again, "239.193.4.0-239.193.4.127 239.193.4.128-239.193.4.255");
  masc_world_clear(&w);
}

Test(masc_plugin, an_address_that_is_not_ours_can_t_be_listened_on)
{
  MascWorld w = masc_world(1);
  g_autoptr(GError) error = NULL;
  cr_assert_not(masc_world_try(&w, 0, TOP "listen=198.51.100.77\n" KID, &error));
  cr_assert(strstr(error->message, "198.51.100.77"), "%s", error->message);
  masc_world_clear(&w);
}

Test(masc_plugin, a_configured_range_stays_where_a_prefix_comes_around_it)
{
  MascWorld w = masc_world(1);
  masc_world_start(&w, 0,
                   TOP0 "[range r]\nscope=global\nfirst=239.193.4.0\nlast=239.193.4.255\n");
  ok(&w, 0, "masc.claim", "{\"prefix\":\"239.193.4.0/23\"}");
  masc_world_run(&w, 100);
  g_autofree char *routes = masc_routes(&w, 0);
  cr_assert_str_eq(routes, "239.193.4.0/23");
  g_autofree char *ranges = masc_ranges(&w, 0, MAL_LEVEL_AVAILABLE);
  cr_assert_str_eq(ranges, "239.193.5.0-239.193.5.255");
  cr_assert_eq(masc_told(&w, 0, "masc.space-refused"), 0);
  masc_world_clear(&w);
}
