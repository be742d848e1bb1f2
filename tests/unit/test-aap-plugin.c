/* The AAP plugin in whole daemons: what they own, what survives, what is refused. Sections are
   draft-ietf-malloc-aap-04's. */
#include "tests/unit/aap-daemons.h"

Test(aap_plugin, aap_8_53_three_servers_share_a_small_scope_of_which_nothing_is_configured_3_2_10)
{
  World w = world(3);
  for (unsigned i = 0; i < 3; i++)
    start(&w, i, "maas", small);
  run(&w, 250);
  for (unsigned i = 0; i < 9; i++)
    lease(&w, i % 3, "local", 1 + 5 * (i / 3));
  assert_disjoint(&w);
  run(&w, 120);
  for (unsigned i = 0; i < 3; i++) {
    cr_assert_eq(json_object_array_length(at(call(&w, i, "aap.peers", "{}", 2), "peers")), 2);
    cr_assert_eq(metric(&w, i, "conflicts"), 0);
    cr_assert_gt(metric(&w, i, "aiu-sent"), 0);
    json_object *usage =
        json_object_array_get_idx(at(call(&w, i, "aap.pool", "{}", 2), "scopes"), 0);
    cr_assert_gt(json_object_get_int64(at(usage, "foreign")), 0);
    cr_assert_gt(json_object_get_int64(at(usage, "preallocated")), 0);
    cr_assert_eq(json_object_get_int64(at(usage, "available")), 65536 - 256);
  }
  clear(&w);
}

Test(aap_plugin, while_it_listens_nothing_is_claimed_and_who_asks_waits_3_2_4)
{
  World w = world(1);
  start(&w, 0, "maas", small);
  run(&w, 100);
  cr_assert_eq(metric(&w, 0, "aclm-sent") + metric(&w, 0, "aitu-sent"), 0);
  call(&w, 0, "lease.request", "{\"scope\":\"local\",\"wait\":true}", 150);
  cr_assert_null(w.error, "%s", w.error);
  cr_assert_gt(mal_sim_now(w.sim), 150 * MAL_US);
  clear(&w);
}

Test(aap_plugin, aap_18_147_a_coordinator_in_the_same_process_is_heard_and_hears_4_1)
{
  World w = world(2);
  g_autofree char *with = g_strconcat(small, large, world_range, NULL),
                  *without = g_strconcat(small, large, NULL);
  start(&w, 0, "maas;prefix-coordinator", with);
  start(&w, 1, "maas", without);
  run(&w, 350);
  lease(&w, 0, "world", 2);
  lease(&w, 1, "world", 2);
  assert_disjoint(&w);
  run(&w, 100);
  cr_assert_gt(metric(&w, 0, "asa-processed"), 0, "its own");
  cr_assert_gt(metric(&w, 1, "asa-processed"), 0);
  cr_assert_eq(metric(&w, 0, "coordinator-leads"), 1);
  cr_assert_gt(metric(&w, 0, "coordinator-reports"), 0);
  clear(&w);
}

static void crash_and_return(World *w, unsigned i, const char *roles, const char *text)
{
  mal_sim_node_crash(w->host[i].node, MAL_SIM_DISK_KEPT);
  g_clear_pointer(&w->host[i].core, mal_core_free);
  mal_sim_node_bury(w->host[i].node);
  run(w, 20);
  mal_sim_node_restart(w->host[i].node);
  start(w, i, roles, text);
}

Test(aap_plugin, aap_51_56_what_was_announced_survives_with_what_is_owned_of_it_3_1)
{
  World w = world(2);
  g_autofree char *with = g_strconcat(small, large, world_range, NULL),
                  *without = g_strconcat(small, large, NULL);
  start(&w, 0, "maas;prefix-coordinator", with);
  start(&w, 1, "maas", without);
  run(&w, 350);
  for (unsigned k = 1; k <= 3; k++) {
    lease(&w, 1, "world", 2);
    crash_and_return(&w, 1, "maas", without);
    cr_assert_eq(json_object_array_length(at(call(&w, 1, "lease.list", "{}", 2), "leases")), k);
    run(&w, 200 + 7 * k);
  }
  clear(&w);
}

static unsigned ranges_of(const World *w, unsigned i)
{
  g_autoptr(GPtrArray) all =
      mal_space_ranges(mal_core_space(w->host[i].core), MAL_LEVEL_OWNED);
  return all->len;
}

static void assert_joined(const MalSpace *space, unsigned when)
{
  g_autoptr(GPtrArray) all = mal_space_ranges(space, MAL_LEVEL_OWNED);
  for (guint k = 1; k < all->len; k++) {
    const MalRange *lower = g_ptr_array_index(all, k - 1), *upper = g_ptr_array_index(all, k);
    MalAddress next;
    cr_assert_not(mal_address_add(lower->span.last, 1, &next) &&
                      mal_address_equal(next, upper->span.first) && lower->until == upper->until,
                  "%u s after the start, range %u of %u", when, k, all->len);
  }
}

/* The owned level has what the zone's blocks are, until they end, and nothing else; what lies side
   by side and ends together is one range. */
static void assert_owned_as_recorded(World *w, unsigned i, unsigned when)
{
  const MalSpace *space = mal_core_space(w->host[i].core);
  json_object *records = at(call(w, i, "aap.records", "{\"scope\":\"world\"}", 2), "records");
  uint64_t n = 0;
  assert_joined(space, when);
  for (size_t k = 0; k < json_object_array_length(records); k++) {
    json_object *one = json_object_array_get_idx(records, k);
    MalSpan span;
    if (strcmp(json_object_get_string(at(one, "kind")), "own") != 0)
      continue;
    cr_assert(mal_span_parse(json_object_get_string(at(one, "addresses")), &span, NULL));
    const MalRange *range = mal_space_containing(space, MAL_LEVEL_OWNED, span.first);
    if (range == NULL) /* given back */
      continue;
    json_object *end = mal_json_time(range->until);
    cr_assert_str_eq(json_object_get_string(end), json_object_get_string(at(one, "end")),
                     "%u s after the start", when);
    json_object_put(end);
    n += (uint64_t)mal_span_size(span);
  }
  cr_assert_eq(owned(w, i), n, "%u s after the start", when);
}

/* Four addresses, those at SPAN where it isn't NULL; result in W. */
static void lease_for(World *w, unsigned i, unsigned lifetime, const char *span)
{
  g_autofree char *which = span != NULL ? g_strdup_printf("\"address\":\"%s\"", span)
                                        : g_strdup("\"count\":4");
  g_autofree char *params = g_strdup_printf(
      "{\"scope\":\"world\",%s,\"lifetime\":%u,\"min_lifetime\":%u,\"wait\":true}", which,
      lifetime, lifetime);
  call(w, i, "lease.request", params, 60);
  cr_assert_null(w->error, "%s", w->error);
}

/* What was claimed bit by bit is side by side, and one range; parts go at different times, or are
   extended, and what is leased there stays. */
Test(aap_plugin, what_is_one_range_goes_and_is_extended_in_parts, .timeout = 60)
{
  World w = world(2);
  const char *brief = "[aap]\npreallocate=64\nblock=4\nown-lifetime=2400\ndelete-grace=60\n";
  g_autofree char *with = g_strconcat(small, large, world_range, brief, NULL),
                  *without = g_strconcat(small, large, brief, NULL);
  g_autofree char *first = NULL;
  uint64_t before = 0;
  unsigned parts = 0;
  start(&w, 0, "maas;prefix-coordinator", with);
  start(&w, 1, "maas", without);
  run(&w, 350);
  for (unsigned k = 0; k < 8; k++) {
    lease_for(&w, 1, k % 2 ? 2390 : 1300, NULL);
    if (k == 0)
      first = g_strdup(json_object_get_string(
          json_object_array_get_idx(at(w.result, "addresses"), 0)));
    assert_owned_as_recorded(&w, 1, k);
  }
  run(&w, 1240);
  crash_and_return(&w, 1, "maas", without);
  run(&w, 300);
  lease_for(&w, 1, 6000, first);
  for (unsigned t = 310; t <= 2400; t += 10) {
    run(&w, 10);
    assert_owned_as_recorded(&w, 1, t);
    parts += owned(&w, 1) < before;
    before = owned(&w, 1);
    if (t == 1000)
      cr_assert_eq(json_object_array_length(at(call(&w, 1, "lease.list", "{}", 2), "leases")), 5);
  }
  cr_assert_gt(parts, 0, "nothing was given back");
  clear(&w);
}

/* What came in parts and is extended at once is one range. */
Test(aap_plugin, what_is_extended_at_once_is_one_range, .timeout = 60)
{
  World w = world(1);
  const char *brief = "[aap]\npreallocate=64\nblock=4\nown-lifetime=2400\n";
  g_autofree char *text = g_strconcat(small, large, world_range, brief, NULL);
  unsigned most = 0;
  start(&w, 0, "maas;prefix-coordinator", text);
  run(&w, 350);
  for (unsigned k = 0; k < 8; k++)
    lease_for(&w, 0, 4000, NULL);
  for (unsigned t = 0; t < 3900; t += 60) {
    run(&w, 60);
    most = MAX(most, ranges_of(&w, 0));
    assert_owned_as_recorded(&w, 0, t);
  }
  cr_assert_eq(json_object_array_length(at(call(&w, 0, "lease.list", "{}", 2), "leases")), 8);
  cr_assert_gt(most, 1, "there was nothing to join");
  clear(&w);
}

/* What is owned joins over the border of two ranges, and reaches beyond what is looked at. */
static void most_of_adjacent_ranges(const char *ranges)
{
  World w = world(2);
  g_autofree char *with = g_strconcat(small, large, ranges, "[aap]\npreallocate=32\n", NULL),
                  *without = g_strconcat(small, large, "[aap]\npreallocate=32\n", NULL);
  start(&w, 0, "maas;prefix-coordinator", with);
  start(&w, 1, "maas", without);
  run(&w, 350);
  lease(&w, 1, "world", 3);
  lease(&w, 0, "world", 200);
  cr_assert_geq(owned(&w, 0), 200);
  run(&w, 100);
  assert_disjoint(&w);
  clear(&w);
}

Test(aap_plugin, most_of_a_range_for_one_lease_while_another_has_a_pool, .timeout = 60)
{
  most_of_adjacent_ranges(world_range);
}

Test(aap_plugin, most_of_two_adjacent_ranges_for_one_lease, .timeout = 60)
{
  most_of_adjacent_ranges("[range a]\nscope=world\nfirst=233.252.1.0\nlast=233.252.1.99\n"
                          "[range b]\nscope=world\nfirst=233.252.1.100\n"
                          "last=233.252.1.255\n");
}

Test(aap_plugin, most_of_adjacent_ranges_that_end_at_different_times, .timeout = 60)
{
  most_of_adjacent_ranges("[range a]\nscope=world\nfirst=233.252.1.0\nlast=233.252.1.99\n"
                          "until=2030-01-01T00:00:00Z\n"
                          "[range b]\nscope=world\nfirst=233.252.1.100\n"
                          "last=233.252.1.255\n");
}

Test(aap_plugin, what_others_have_stays_where_the_clock_steps_5_3)
{
  World w = world(2);
  start(&w, 0, "maas", small);
  start(&w, 1, "maas", small);
  run(&w, 250);
  lease(&w, 1, "local", 3);
  run(&w, 60);
  for (unsigned i = 0; i < 2; i++) {
    mal_sim_node_step_clock(w.host[0].node, (i ? -2 : 1) * 100000 * MAL_US);
    run(&w, 20);
    json_object *usage =
        json_object_array_get_idx(at(call(&w, 0, "aap.pool", "{}", 2), "scopes"), 0);
    cr_assert_gt(json_object_get_int64(at(usage, "foreign")), 0, "%u", i);
    run(&w, 60);
    json_object *peer =
        json_object_array_get_idx(at(call(&w, 0, "aap.peers", "{}", 2), "peers"), 0);
    cr_assert_eq(json_object_get_int64(at(peer, "skew_s")) / 1000, i ? 100 : -100);
    lease(&w, 0, "local", 2);
    assert_disjoint(&w);
  }
  clear(&w);
}

Test(aap_plugin, a_crowd_of_senders_is_bounded)
{
  g_autoptr(AapPeers) peers = aap_peers_new();
  AapMessage msg = { .type = AAP_AIU };
  for (uint32_t i = 0; i < AAP_PEERS_MOST + 10; i++) {
    MalEndpoint from = { mal_address_ipv4(0xc6336400 + i), AAP_PORT, 0 };
    const AapPeer *peer = aap_peers_heard(peers, from, &msg, -5, 0, i);
    cr_assert(peer->skew == 5 && peer->messages[AAP_AIU] == 1);
  }
  g_autoptr(GArray) all = aap_peers_list(peers);
  cr_assert(all->len == AAP_PEERS_MOST && aap_peers_count(peers) == AAP_PEERS_MOST);
  cr_assert_eq(g_array_index(all, AapPeer, 0).endpoint.address.value, 0xc6336400 + 10);
}

Test(aap_plugin, adopts_what_was_leased_before_it_came)
{
  World w = world(1);
  static const MalPlugin *const none[] = { &mal_plugin, NULL };
  MalCoreOptions options = { .runtime = mal_sim_node_runtime(w.host[0].node),
                             .store = mal_sim_store_open(w.host[0].node),
                             .config_text =
                                 "[daemon]\nroles=maas\nlog-level=error\n[scope local]\n"
                                 "family=ipv4\nfirst=239.255.0.0\nlast=239.255.255.255\nttl=16\n"
                                 "[range r]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.255\n",
                             .builtin = none,
                             .log = quiet };
  g_autofree char *ranged =
      g_strconcat(small, "[range r]\nscope=local\nfirst=239.255.1.0\nlast=239.255.1.255\n", NULL);
  w.host[0].core = mal_core_new(&options, NULL);
  cr_assert(w.host[0].core && mal_core_start(w.host[0].core, NULL));
  lease(&w, 0, "local", 6);
  g_clear_pointer(&w.host[0].core, mal_core_free);
  mal_sim_node_restart(w.host[0].node);
  start(&w, 0, "maas", ranged);
  cr_assert_eq(json_object_array_length(at(call(&w, 0, "lease.list", "{}", 2), "leases")), 1);
  cr_assert_eq(owned(&w, 0), 6);
  run(&w, 300);
  cr_assert_gt(metric(&w, 0, "aiu-sent"), 0);
  clear(&w);
}

Test(aap_plugin, what_is_wrong_in_the_configuration_is_said)
{
  static const struct {
    const char *text, *says;
  } cases[] = {
    { "[scope w]\nfamily=ipv4\nfirst=233.252.0.0\nlast=233.252.3.255\nttl=127\ndivisible=yes\n",
      "Allocation Scope" }, /* AAP-5 */
    { "[scope w]\nfamily=ipv4\nfirst=233.252.0.0\nlast=233.252.3.255\nttl=127\n"
      "[aap]\nallocation-scope=nosuch\n", "there is no [scope nosuch]" },
    { "[scope w]\nfamily=ipv4\nfirst=233.252.0.0\nlast=233.252.3.255\nttl=127\ndivisible=yes\n"
      "[aap]\nallocation-scope=w\n", "is divisible" },
    { "[aap]\nkey-file=/nonexistent/keys\n", "can't be read" },
    { "[aap]\nstartup-wait=0\n", "startup-wait" },
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    World w = world(1);
    g_autoptr(GError) error = NULL;
    cr_assert_not(try_start(&w, 0, "maas", cases[i].text, &error), "%zu", i);
    cr_assert(strstr(error->message, cases[i].says), "%zu: %s", i, error->message);
    clear(&w);
  }
}

Test(aap_plugin, an_ipv6_scope_without_a_group_is_not_served_and_says_so)
{
  World w = world(1);
  start(&w, 0, "maas",
        "[scope six]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\nttl=16\n"
        "[range s]\nscope=six\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8000:ff\n");
  call(&w, 0, "lease.request", "{\"scope\":\"six\",\"wait\":true}", 30);
  cr_assert(w.error && strstr(w.error, "group6"), "%s", w.error);
  clear(&w);
}

Test(aap_plugin, two_servers_share_an_ipv6_scope_2_1_4)
{
  World w = world(2);
  for (unsigned i = 0; i < 2; i++) {
    MalAddress address;
    cr_assert(mal_address_parse(i ? "2001:db8::2" : "2001:db8::1", &address, NULL));
    mal_sim_iface_add_address(w.host[i].iface, address);
    start(&w, i, "maas",
          "[scope six]\nfamily=ipv6\nfirst=ff15::db8:8000:0\nlast=ff15::db8:8fff:ffff\nttl=16\n"
          "[aap]\ngroup6=ff1e::db8:0:42\n");
  }
  run(&w, 250);
  for (unsigned i = 0; i < 4; i++)
    lease(&w, i % 2, "six", 3);
  assert_disjoint(&w);
  run(&w, 60);
  json_object *scope = json_object_array_get_idx(at(call(&w, 0, "aap.pool", "{}", 2), "scopes"), 0);
  cr_assert_str_eq(json_object_get_string(at(scope, "group")), "ff15::db8:0:42");
  cr_assert_gt(json_object_get_int64(at(scope, "foreign")), 0);
  clear(&w);
}

Test(aap_plugin, more_scopes_than_a_socket_may_join_groups)
{
  World w = world(2);
  GString *text = g_string_new(NULL);
  for (unsigned i = 0; i < 40; i++)
    g_string_append_printf(text, "[scope s%u]\nfamily=ipv4\nfirst=239.%u.0.0\nlast=239.%u.255.255\n"
                                 "ttl=16\n", i, i, i);
  start(&w, 0, "maas", text->str);
  start(&w, 1, "maas", text->str);
  run(&w, 250);
  lease(&w, 0, "s0", 1);
  lease(&w, 0, "s39", 1);
  run(&w, 60);
  json_object *peers = at(call(&w, 1, "aap.peers", "{}", 2), "peers");
  cr_assert_eq(json_object_array_length(peers), 1);
  cr_assert_eq(metric(&w, 1, "join-failures") + metric(&w, 1, "dropped-group"), 0);
  g_string_free(text, TRUE);
  clear(&w);
}

static void nobody(MalUdp *udp, const MalDatagram *datagrams, size_t count, void *data)
{
  (void)udp, (void)datagrams, (void)count, (void)data;
}

/* An AIU for 239.255.0.7 of another host, to TO. */
static void say_in_use(World *w, unsigned from, MalAddress to, uint16_t port)
{
  MalUdpOptions options = { .family = MAL_IPV4, .port = port, .multicast_ttl = 16 };
  MalRuntime *rt = mal_sim_node_runtime(w->host[from].node);
  uint8_t octets[64];
  uint32_t now = (uint32_t)(mal_runtime_wall(rt) / MAL_US);
  AapRange range = { { mal_address_ipv4(0xefff0007), mal_address_ipv4(0xefff0007) }, now + 9000 };
  AapMessage msg = { .type = AAP_AIU,
                     .family = MAL_IPV4,
                     .current_time = now,
                     .ranges = &range,
                     .n_ranges = 1 };
  MalUdp *udp = mal_udp_open(rt, &options, nobody, NULL, NULL);
  cr_assert_not_null(udp);
  MalDatagram datagram = { .peer = { to, AAP_PORT, 0 },
                           .ifindex = mal_sim_iface_index(w->host[from].iface),
                           .data = octets,
                           .length = aap_encode(&msg, octets, sizeof octets, NULL) };
  mal_udp_send(udp, &datagram);
  run(w, 1);
  mal_udp_close(udp);
}

Test(aap_plugin, aap_1_17_what_is_sent_to_a_host_is_nothing)
{
  World w = world(2);
  start(&w, 0, "maas", small);
  run(&w, 5);
  say_in_use(&w, 1, mal_address_ipv4(0xc0000201), AAP_PORT);
  cr_assert_eq(metric(&w, 0, "aiu-received"), 0);
  say_in_use(&w, 1, mal_address_ipv4(0xeffffff8), 4711);
  cr_assert_eq(metric(&w, 0, "aiu-received"), 1, "to the group, from any port");
  clear(&w);
}

/* The clock is behind after a restart: what was announced doesn't last longer for it. */
Test(aap_plugin, aap_117_136_space_that_was_stored_in_the_future)
{
  World w = world(2);
  int64_t wall = mal_runtime_wall(mal_sim_node_runtime(w.host[1].node)) / MAL_US;
  g_autoptr(GDateTime) until = g_date_time_new_from_unix_utc(wall + 9000);
  g_autofree char *text = g_date_time_format(until, "until=%Y-%m-%dT%H:%M:%SZ\n");
  g_autofree char *with = g_strconcat(small, large, world_range, text, NULL),
                  *without = g_strconcat(small, large, NULL);
  start(&w, 0, "maas", without);
  start(&w, 1, "prefix-coordinator", with);
  run(&w, 350);
  g_clear_pointer(&w.host[1].core, mal_core_free);
  mal_sim_node_crash(w.host[0].node, MAL_SIM_DISK_KEPT);
  g_clear_pointer(&w.host[0].core, mal_core_free);
  mal_sim_node_bury(w.host[0].node);
  mal_sim_node_restart(w.host[0].node);
  mal_sim_node_step_clock(w.host[0].node, -100000 * MAL_US);
  start(&w, 0, "maas", without);
  int64_t now = mal_runtime_wall(mal_sim_node_runtime(w.host[0].node)) / MAL_US;
  g_autoptr(GPtrArray) all =
      mal_space_ranges(mal_core_space(w.host[0].core), MAL_LEVEL_AVAILABLE);
  unsigned n = 0;
  for (unsigned k = 0; k < all->len; k++) {
    const MalRange *range = g_ptr_array_index(all, k);
    if (range->span.first.value != 0xe9fc0100)
      continue;
    n++;
    cr_assert_leq(range->until, now + 9000);
  }
  cr_assert_eq(n, 1);
  clear(&w);
}
