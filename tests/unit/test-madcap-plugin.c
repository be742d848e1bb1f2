/* The plugin's server half in a whole daemon; sections are RFC 2730's. */
#include "madcap-daemon.h"

#include <criterion/criterion.h>
#include <string.h>

Test(madcap_plugin, joins_the_group_of_each_scope_2_10)
{
  Daemon d = daemon_new("");
  MalUdp *v4 = daemon_udp(&d, MAL_IPV4), *v6 = daemon_udp(&d, MAL_IPV6);

  cr_assert_eq(fake_udp_count(d.fake), 2);
  cr_assert_eq(fake_udp_options(v4)->port, 2535);
  cr_assert(fake_udp_joined(v4, d.eth0, an_address("239.255.255.254")));
  cr_assert(fake_udp_joined(v4, d.eth0, an_address("239.195.255.254")));
  cr_assert(fake_udp_joined(v6, d.eth0, an_address("ff15::db8:8fff:fffe")));
  daemon_free(&d);
}

Test(madcap_plugin, joins_configured_groups_on_configured_interfaces)
{
  Daemon d =
      daemon_new("interfaces=lo\nserver-groups=org=239.255.255.254; org=239.195.0.9\nport=4242\n");
  MalUdp *v4 = daemon_udp(&d, MAL_IPV4);

  cr_assert_eq(fake_udp_options(v4)->port, 4242);
  cr_assert(fake_udp_joined(v4, d.lo, an_address("239.195.0.9")));
  cr_assert(fake_udp_joined(v4, d.lo, an_address("239.255.255.254")));
  cr_assert_not(fake_udp_joined(v4, d.lo, an_address("239.195.255.254")));
  cr_assert_not(fake_udp_joined(v4, d.eth0, an_address("239.195.0.9")));
  daemon_free(&d);
}

/* Server Identifier and source: the address of the interface that is nearest to the client. */
Test(madcap_plugin, the_address_of_the_clients_network_3_3)
{
  static const struct { const char *peer, *to, *server; bool here; } cases[] = {
    { "198.51.100.50", "239.255.255.254", "198.51.100.1", false },
    { "203.0.113.50", "239.255.255.254", "192.0.2.1", false },
    { "192.0.2.50", "239.255.255.254", "192.0.2.1", false },
    { "169.254.7.7", "239.255.255.254", "192.0.2.1", true },
    { "2001:db8:2::50", "ff15::db8:8fff:fffe", "2001:db8:2::1", false },
    { "fe80::50", "ff15::db8:8fff:fffe", "fe80::1", true },
  };
  Daemon d;

  daemon_prepare(&d);
  d.eth0 = fake_add_interface(
      d.fake, "eth1", "192.0.2.1 198.51.100.1 2001:db8::1 2001:db8:2::1 fe80::1");
  cr_assert(daemon_try(&d, "interfaces=eth1\nbeyond-local-scope=yes\n", NULL));
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    Ask ask = { MADCAP_GETINFO, (uint32_t)i, NULL, NULL, 0, NULL, false, 0 };
    deliver(&d, cases[i].peer, cases[i].to, &ask);
    cr_assert(mal_address_equal(answer(&d, i).server_id, an_address(cases[i].server)), "%s",
              cases[i].peer);
    const FakeSent *sent = fake_sent_at(d.fake, i);
    cr_assert(mal_address_equal(sent->local, an_address(cases[i].server)), "%s", cases[i].peer);
    cr_assert_eq(sent->ifindex, cases[i].here ? d.eth0 : 0, "%s", cases[i].peer);
  }
  daemon_free(&d);
}

Test(madcap_plugin, a_broadcast_is_neither_multicast_nor_ours)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 0, NULL, false, 0 };

  deliver(&d, "192.0.2.50", "192.0.2.255", &ask);
  deliver(&d, "192.0.2.50", "255.255.255.255", &ask);
  fake_run(d.fake);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  cr_assert_eq(daemon_metric(&d, "elsewhere-ignored"), 2);
  d.eth0 = d.lo;
  deliver(&d, "127.0.0.1", "127.0.0.2", &ask);
  fake_run(d.fake);
  cr_assert_eq(answer(&d, 0).type, MADCAP_ACK, "all of 127/8 is ours");
  daemon_free(&d);
}

Test(madcap_plugin, a_lease_from_discover_to_release_2_2)
{
  Daemon d = daemon_new("");
  const char *peer = "192.0.2.50", *group = "239.255.255.254";
  MalLeaseId id = { one, sizeof one };
  MalLease lease;

  deliver(&d, peer, group, &(Ask){ MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 7200, NULL, false, 0 });
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_OFFER);
  cr_assert_eq(m.lease_time, 7200);
  cr_assert_eq(madcap_ranges_total(&m), 1);
  cr_assert(mal_address_equal(m.server_id, an_address("192.0.2.1")));
  cr_assert(mal_address_equal(fake_sent_at(d.fake, 0)->local, an_address("192.0.2.1")));
  cr_assert_eq(fake_sent_at(d.fake, 0)->peer.port, 4000);

  deliver(&d, peer, group,
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", "192.0.2.1", 7200, NULL, false, 0 });
  MadcapMessage ack = answer(&d, 1);
  cr_assert_eq(ack.type, MADCAP_ACK);
  cr_assert_eq(memcmp(ack.ranges.data, m.ranges.data, m.ranges.length), 0,
               "another address than offered");
  cr_assert(mal_leases_get(mal_core_leases(d.core), id, &lease));
  cr_assert_eq(lease.flags & (MAL_LEASE_PENDING | MAL_LEASE_HELD), 0);
  cr_assert(mal_address_equal(lease.client, an_address(peer)));
  cr_assert_eq(lease.pad, 3600);

  deliver(&d, peer, group,
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", "192.0.2.1", 7200, NULL, false, 0 });
  answer(&d, 2);
  cr_assert_eq(fake_sent_at(d.fake, 1)->length, fake_sent_at(d.fake, 2)->length);
  cr_assert_arr_eq(fake_sent_at(d.fake, 1)->data, fake_sent_at(d.fake, 2)->data,
                   fake_sent_at(d.fake, 1)->length);

  deliver(&d, peer, "192.0.2.1", &(Ask){ MADCAP_RENEW, 3, NULL, NULL, 9000, NULL, false, 0 });
  m = answer(&d, 3);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.lease_time, 9000);
  deliver(&d, "192.0.2.66", "192.0.2.1",
          &(Ask){ MADCAP_RELEASE, 4, NULL, NULL, 0, NULL, false, 0 });
  m = answer(&d, 4);
  cr_assert_eq(m.type, MADCAP_NAK);
  deliver(&d, peer, "192.0.2.1", &(Ask){ MADCAP_RELEASE, 4, NULL, NULL, 0, NULL, false, 0 });
  m = answer(&d, 5);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_not(mal_leases_get(mal_core_leases(d.core), id, &lease));
  daemon_free(&d);
}

Test(madcap_plugin, offers_are_let_go_2_2_3)
{
  Daemon d = daemon_new("");
  MalLeaseId first = { one, sizeof one }, second = { two, sizeof two };
  MalLease lease;

  deliver(&d, "192.0.2.50", "239.255.255.254",
          &(Ask){ MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 60, one, false, 0 });
  deliver(&d, "192.0.2.51", "239.255.255.254",
          &(Ask){ MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 60, two, false, 0 });
  cr_assert(mal_leases_get_hold(mal_core_leases(d.core), first, &lease));
  deliver(&d, "192.0.2.50", "239.255.255.254",
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", "192.0.2.9", 60, one, false, 0 });
  cr_assert_not(mal_leases_get_hold(mal_core_leases(d.core), first, &lease), "chose another");
  cr_assert(mal_leases_get_hold(mal_core_leases(d.core), second, &lease));
  fake_advance(d.fake, 61);
  cr_assert_not(mal_leases_get_hold(mal_core_leases(d.core), second, &lease), "offer-hold");
  cr_assert_eq(fake_sent_count(d.fake), 2);
  daemon_free(&d);
}

Test(madcap_plugin, ipv6_transport_and_addresses_3_3)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_DISCOVER, 1, "ff15::db8:8000:0", NULL, 60, NULL, false, 0 };

  deliver(&d, "2001:db8::50", "ff15::db8:8fff:fffe", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_OFFER);
  cr_assert_eq(m.family, MAL_IPV6);
  cr_assert(mal_address_equal(m.server_id, an_address("2001:db8::1")));
  ask.id = two;
  deliver(&d, "fe80::50", "ff15::db8:8fff:fffe", &ask);
  m = answer(&d, 1);
  cr_assert(mal_address_equal(m.server_id, an_address("fe80::1")));
  cr_assert_eq(fake_sent_at(d.fake, 1)->ifindex, d.eth0);
  /* IPv4 addresses over IPv6, and the other way round. */
  deliver(&d, "2001:db8::50", "2001:db8::1",
          &(Ask){ MADCAP_REQUEST, 2, "239.255.0.0", NULL, 60, NULL, false, 0 });
  m = answer(&d, 2);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.family, MAL_IPV4);
  cr_assert(mal_address_equal(m.server_id, an_address("2001:db8::1")));
  deliver(&d, "192.0.2.50", "192.0.2.1",
          &(Ask){ MADCAP_REQUEST, 3, "ff15::db8:8000:0", NULL, 60, two, false, 0 });
  m = answer(&d, 3);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.family, MAL_IPV6);
  daemon_free(&d);
}

Test(madcap_plugin, an_interface_vanishes_and_returns)
{
  Daemon d = daemon_new("");
  MalUdp *v4 = daemon_udp(&d, MAL_IPV4);
  MalAddress group = an_address("239.255.255.254");
  Ask ask = { MADCAP_GETINFO, 1, NULL, NULL, 0, NULL, false, 0 };

  cr_assert_eq(daemon_metric(&d, "interfaces-served"), 2);
  fake_set_interface_up(d.fake, d.eth0, false);
  fake_run(d.fake);
  cr_assert_not(fake_udp_joined(v4, d.eth0, group));
  cr_assert_eq(daemon_metric(&d, "interfaces-lost"), 1);
  cr_assert_not_null(strstr(d.log->str, "madcap.interface-lost"), "%s", d.log->str);
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  fake_set_interface_up(d.fake, d.eth0, true);
  fake_run(d.fake);
  cr_assert(fake_udp_joined(v4, d.eth0, group));
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(madcap_scopes_count(&m), 2);
  daemon_free(&d);
}

Test(madcap_plugin, what_comes_in_elsewhere_is_not_served)
{
  Daemon d = daemon_new("interfaces=lo\n");
  Ask ask = { MADCAP_GETINFO, 1, NULL, NULL, 0, NULL, false, 0 };

  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  d.eth0 = d.lo;
  deliver(&d, "192.0.2.1", "192.0.2.1", &ask);
  MadcapMessage m = answer(&d, 0);
  cr_assert(mal_address_equal(m.server_id, an_address("192.0.2.1")));
  daemon_free(&d);
}

Test(madcap_plugin, forged_sources_get_nothing_but_on_loopback_none_is_us)
{
  Daemon d = daemon_new("interfaces=lo; eth0\n");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", "127.0.0.1", 60, NULL, false, 0 };
  MalLease lease;

  deliver(&d, "0.0.0.0", "239.255.255.254", &ask);
  deliver(&d, "239.1.1.1", "239.255.255.254", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  d.eth0 = d.lo;
  deliver(&d, "0.0.0.0", "239.255.255.254", &ask);
  answer(&d, 0);
  cr_assert(mal_address_equal(fake_sent_at(d.fake, 0)->peer.address, an_address("127.0.0.1")));
  cr_assert(mal_leases_get(mal_core_leases(d.core), (MalLeaseId){ one, sizeof one }, &lease));
  cr_assert(mal_address_equal(lease.client, an_address("127.0.0.1")));
  daemon_free(&d);
}

static void bring_space(MalLevel level, const MalScope *scope, uint64_t count, MalTime until,
                        void *data)
{
  (void)level, (void)scope, (void)until;
  *(uint64_t *)data += count;
}

/* Nothing is there of the scope; layer 3 is asked and takes its time. */
Test(madcap_plugin, waits_for_space_2_13_2)
{
  Daemon d = daemon_new("retry-after=2m\n");
  MalSpace *space = mal_core_space(d.core);
  Ask ask = { MADCAP_REQUEST, 1, "239.192.0.0", NULL, 600, one, true, 0 };
  uint64_t wanted = 0;
  MalSpan span = { an_address("239.192.7.0"), an_address("239.192.7.255") };

  mal_space_set_demand(space, MAL_LEVEL_AVAILABLE, bring_space, &wanted);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  cr_assert_geq(wanted, 1);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  fake_advance(d.fake, 3);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(madcap_ranges_count(&m), 0);
  cr_assert_eq(m.retry_time, m.current_time + 120);
  cr_assert_eq(daemon_metric(&d, "transactions-pending"), 1);
  deliver(&d, "192.0.2.50", "192.0.2.1", &(Ask){ MADCAP_RENEW, 2, NULL, NULL, 600, one, false, 0 });
  m = answer(&d, 1);
  cr_assert_eq(m.error_code, MADCAP_ERROR_INVALID_REQUEST);
  cr_assert(mal_space_add(space, MAL_LEVEL_AVAILABLE, "org", span, MAL_FOREVER, "x", "test", NULL));
  fake_run(d.fake);
  cr_assert_eq(fake_sent_count(d.fake), 2, "who was told to come again is not sent anything");
  ask.xid = 3;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  m = answer(&d, 2);
  cr_assert_eq(madcap_ranges_total(&m), 1);
  cr_assert_eq(daemon_metric(&d, "transactions-pending"), 0);
  mal_space_set_demand(space, MAL_LEVEL_AVAILABLE, NULL, NULL);
  daemon_free(&d);
}

Test(madcap_plugin, what_waits_is_released_2_13_2)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.192.0.0", NULL, 600, one, false, 0 };
  uint64_t wanted = 0;

  mal_space_set_demand(mal_core_space(d.core), MAL_LEVEL_AVAILABLE, bring_space, &wanted);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  deliver(&d, "192.0.2.50", "192.0.2.1", &(Ask){ MADCAP_RELEASE, 2, NULL, NULL, 0, one, false, 0 });
  cr_assert_eq(fake_sent_count(d.fake), 2, "the RELEASE is done, the REQUEST refused");
  cr_assert_eq(fake_sent_at(d.fake, 0)->data[1], MADCAP_ACK);
  cr_assert_eq(fake_sent_at(d.fake, 1)->data[1], MADCAP_NAK);
  cr_assert_not(mal_leases_is_waiting(mal_core_leases(d.core), (MalLeaseId){ one, sizeof one }));
  /* Once more, and nobody comes: given up with the client. */
  ask.xid = 3;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  fake_advance(d.fake, 61);
  MadcapMessage m = answer(&d, 2);
  cr_assert_eq(m.error_code, MADCAP_ERROR_NOT_COMPLETED);
  cr_assert_not(mal_leases_is_waiting(mal_core_leases(d.core), (MalLeaseId){ one, sizeof one }));
  mal_space_set_demand(mal_core_space(d.core), MAL_LEVEL_AVAILABLE, NULL, NULL);
  daemon_free(&d);
}

Test(madcap_plugin, an_expired_lease_is_taken_up_again_3_11)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 };

  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  fake_advance(d.fake, 300);
  deliver(&d, "192.0.2.50", "192.0.2.1", &(Ask){ MADCAP_RENEW, 2, NULL, NULL, 60, one, false, 0 });
  MadcapMessage m = answer(&d, 1);
  cr_assert_eq(m.error_code, MADCAP_ERROR_LEASE_ID_UNKNOWN);
  ask.xid = 3;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  m = answer(&d, 2);
  cr_assert_eq(m.type, MADCAP_ACK);
  cr_assert_eq(m.lease_time, 60);
  MadcapMessage first;
  madcap_decode(fake_sent_at(d.fake, 0)->data, fake_sent_at(d.fake, 0)->length, &first, NULL);
  cr_assert_arr_eq(m.ranges.data, first.ranges.data, m.ranges.length);
  /* After the extra allocation time the identifier is nobody's. */
  fake_advance(d.fake, 60 + 3601);
  ask.xid = 4;
  deliver(&d, "192.0.2.51", "192.0.2.1", &ask);
  m = answer(&d, 3);
  cr_assert_eq(m.type, MADCAP_ACK);
  daemon_free(&d);
}

Test(madcap_plugin, limits_of_a_client)
{
  Daemon d = daemon_new("max-addresses-per-client=3\n");
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 2 };

  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  cr_assert_eq(answer(&d, 0).type, MADCAP_ACK);
  ask.id = two;
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  MadcapMessage m = answer(&d, 1);
  uint16_t option = 0;
  cr_assert_eq(m.type, MADCAP_NAK);
  cr_assert(madcap_error_option(&m, &option));
  cr_assert_eq(option, MADCAP_OPTION_NUMBER);
  deliver(&d, "192.0.2.51", "192.0.2.1", &ask);
  cr_assert_eq(answer(&d, 2).type, MADCAP_ACK);
  daemon_free(&d);
}

static void told(json_object *result, const GError *error, void *data)
{
  cr_assert_null(error, "%s", error != NULL ? error->message : "");
  g_string_assign(data, json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
}

Test(madcap_plugin, tells_what_it_serves)
{
  Daemon d = daemon_new("interfaces=eth0\n");
  g_autoptr(GString) text = g_string_new(NULL);
  json_object *params = json_object_new_object();

  mal_control_call(mal_core_control(d.core), "madcap.servers", params, false, told, NULL, text);
  fake_run(d.fake);
  json_object_put(params);
  cr_assert_not_null(strstr(text->str, "\"name\":\"eth0\""), "%s", text->str);
  cr_assert_not_null(strstr(text->str, "{\"address\":\"239.255.255.254\",\"scope\":\"local\"}"),
                     "%s", text->str);
  cr_assert_not_null(strstr(text->str, "{\"address\":\"ff15::db8:8fff:fffe\",\"scope\":\"site6\"}"),
                     "%s", text->str);
  cr_assert_null(strstr(text->str, "\"name\":\"lo\""), "%s", text->str);
  daemon_free(&d);
}

Test(madcap_plugin, one_commit_answers_a_batch)
{
  Daemon d = daemon_new("");
  uint8_t bytes[2][512];
  MalDatagram batch[3];
  const Ask asks[] = { { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 },
                       { MADCAP_REQUEST, 2, "239.255.0.0", NULL, 60, two, false, 0 } };

  for (size_t i = 0; i < 2; i++)
    batch[i] = (MalDatagram){
      .peer = { .address = an_address("192.0.2.50"), .port = 4000 },
      .local = an_address("192.0.2.1"),
      .ifindex = d.eth0,
      .data = bytes[i],
      .length = write_ask(&asks[i], false, bytes[i]),
    };
  batch[2] = batch[0];
  batch[2].truncated = true;
  uint64_t before = mal_store_counters(mal_core_store(d.core)).batches;
  fake_deliver(d.fake, daemon_udp(&d, MAL_IPV4), batch, 3);
  cr_assert_eq(fake_sent_count(d.fake), 2);
  cr_assert_eq(mal_store_counters(mal_core_store(d.core)).batches, before + 1);
  cr_assert_eq(daemon_metric(&d, "truncated-ignored"), 1);
  cr_assert_eq(daemon_metric(&d, "ack-sent"), 2);
  daemon_free(&d);
}

/* The disk is slow, and the daemon is stopped meanwhile: the answer never leaves, the lease is
   there. */
Test(madcap_plugin, stopping_with_an_answer_on_its_way)
{
  Daemon d;
  const Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 };

  daemon_prepare(&d);
  d.on_disk = true;
  cr_assert(daemon_try(&d, "", NULL));
  fake_hold_workers(d.fake, true);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  cr_assert_eq(fake_sent_count(d.fake), 0, "answered before it was durable");
  cr_assert_eq(daemon_metric(&d, "retransmissions-joined"), 1);
  mal_core_stop(d.core);
  fake_hold_workers(d.fake, false);
  fake_run(d.fake);
  cr_assert_eq(fake_sent_count(d.fake), 0);
  daemon_free(&d);
}

Test(madcap_plugin, answers_leave_when_the_disk_says_so)
{
  Daemon d;
  const Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, one, false, 0 };

  daemon_prepare(&d);
  d.on_disk = true;
  cr_assert(daemon_try(&d, "", NULL));
  fake_hold_workers(d.fake, true);
  deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
  fake_hold_workers(d.fake, false);
  fake_run(d.fake);
  MadcapMessage m = answer(&d, 0);
  cr_assert_eq(m.type, MADCAP_ACK);
  daemon_free(&d);
}

Test(madcap_plugin, says_what_is_dropped_in_an_overload_and_when_it_is_over)
{
  Daemon d = daemon_new("");
  Ask ask = { MADCAP_DISCOVER, 1, "239.255.0.0", NULL, 60, one, false, 0 };
  MalUdp *udp = daemon_udp(&d, MAL_IPV4);

  fake_set_lag(d.fake, 120000);
  for (; ask.xid < 40; ask.xid++) {
    fake_advance_us(d.fake, 5000);
    deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  }
  cr_expect_gt(fake_shed(d.fake)->drop[MADCAP_DISCOVER], 0);
  cr_expect_eq(fake_shed(d.fake)->drop[MADCAP_GETINFO], fake_shed(d.fake)->drop[MADCAP_DISCOVER]);
  cr_expect_eq(fake_shed(d.fake)->drop[MADCAP_RENEW], 0);
  fake_drop(udp, 5);
  fake_advance_us(d.fake, 200000);
  deliver(&d, "192.0.2.50", "239.255.255.254", &ask);
  cr_expect_eq(daemon_metric(&d, "datagrams-shed"), 5);
  cr_expect_eq(daemon_metric(&d, "overloaded"), 1);
  cr_expect_not_null(strstr(d.log->str, "more comes than can be answered"), "%s", d.log->str);
  fake_set_lag(d.fake, 0);
  fake_advance(d.fake, 6);
  cr_expect_eq(fake_shed(d.fake)->drop[MADCAP_DISCOVER], 0, "without anything that comes");
  cr_expect_eq(daemon_metric(&d, "overloaded"), 0);
  cr_expect_not_null(strstr(d.log->str, "5 datagrams were dropped"), "%s", d.log->str);
  daemon_free(&d);
}

/* A disk that stands still is an overload only with much that waits for it. */
Test(madcap_plugin, a_disk_that_cant_follow_is_an_overload)
{
  Daemon d;
  uint8_t id[9];
  Ask ask = { MADCAP_REQUEST, 1, "239.255.0.0", NULL, 60, id, false, 0 };

  memcpy(id, one, sizeof id);
  daemon_prepare(&d);
  d.on_disk = true;
  cr_assert(daemon_try(&d, "", NULL));
  fake_hold_workers(d.fake, true);
  for (; ask.xid < 6000; ask.xid++) {
    memcpy(id + 1, &ask.xid, sizeof ask.xid);
    fake_advance_us(d.fake, 1000);
    deliver(&d, "192.0.2.50", "192.0.2.1", &ask);
    if (ask.xid == 4000)
      cr_expect_eq(fake_shed(d.fake)->drop[MADCAP_REQUEST], 0);
  }
  cr_expect_gt(fake_shed(d.fake)->drop[MADCAP_REQUEST], 0);
  cr_expect_eq(fake_shed(d.fake)->drop[MADCAP_DISCOVER], MAL_UDP_ALL);
  cr_expect_leq(fake_shed(d.fake)->drop[MADCAP_RENEW], fake_shed(d.fake)->drop[MADCAP_REQUEST]);
  fake_hold_workers(d.fake, false);
  fake_run(d.fake);
  fake_advance(d.fake, 6);
  cr_expect_eq(fake_shed(d.fake)->drop[MADCAP_DISCOVER], 0);
  daemon_free(&d);
}

/* Not a second later, when the daemon's tick has noticed the step. */
Test(madcap_plugin, a_lease_is_known_at_once_after_a_step_of_the_clock_2_2_7)
{
  Daemon d = daemon_new("");

  deliver(&d, "192.0.2.50", "192.0.2.1",
          &(Ask){ MADCAP_REQUEST, 1, "239.255.0.0", NULL, 600, NULL, false, 0 });
  cr_assert_eq(answer(&d, 0).type, MADCAP_ACK);
  fake_step_wall(d.fake, 86400);
  deliver(&d, "192.0.2.50", "192.0.2.1",
          &(Ask){ MADCAP_RENEW, 2, NULL, NULL, 600, NULL, false, 0 });
  cr_assert_eq(answer(&d, 1).type, MADCAP_ACK);
  daemon_free(&d);
}
