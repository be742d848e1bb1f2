#!/usr/bin/env python3
"""The MADCAP server (RFC 2730, RFC 2907) in namespaces, asked by an independent codec over real
multicast. Sections in the names are RFC 2730's unless they say otherwise."""

import time
import unittest

import madcap
import netns
from harness import RpcError, temporary_folder, wait_until
from madcap import (ACK, CURRENT_TIME, DISCOVER, ERROR, FEATURES, GETINFO, IPV6, LANGUAGE, LEASE_ID,
                    LEASE_TIME, MAX_START_TIME, MIN_LEASE_TIME, NAK, NESTING, NO_OPTION, NUMBER,
                    OFFER, RANGES, RELEASE, RENEW, REQUEST, REQUEST_LIST, SCOPE, SCOPE_LIST,
                    SERVER_ID, START_TIME, Features)
from madcap_site import (CLIENT, CLIENT6, CLIENT_TOO, Client, LOCAL, LOCAL_GROUP, ORG, ORG_GROUP,
                         SERVER, SERVER6, SITE6, SITE6_GROUP, Site, dissect, have_dissector,
                         message, new_id)


def total(answer):
    return sum(count for _, count in answer[RANGES])


class Served(unittest.TestCase):
    """One daemon and one link for all tests of a class; all that passes is captured."""
    keys = ""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.capture = cls.site.capture(temporary_folder() / "traffic.pcap")
        cls.daemon = cls.site.daemon(cls.keys)
        cls.addClassCleanup(cls.finish)

    @classmethod
    def finish(cls):
        path = cls.capture.stop()
        cls.daemon.stop()
        if not have_dissector():
            return
        bad = dissect(path, "udp.srcport == 2535 && (madcap.syntax || madcap.invalid || "
                      "madcap.unknown_option || _ws.malformed)",
                      "frame.number", "_ws.expert.message")
        sent = dissect(path, "udp.srcport == 2535 && madcap", "frame.number")
        assert not bad, f"malformed messages of the server in {path}: {bad}"
        assert sent, f"the dissector finds nothing in {path}"

    def setUp(self):
        self.client = Client(self.site.client, address=CLIENT)
        self.addCleanup(self.client.close)

    def open(self, **more):
        client = Client(self.site.client, **more)
        self.addCleanup(client.close)
        return client

    def lease(self, lease_id):
        """The lease as the control API shows it, or None."""
        try:
            return self.daemon.rpc("lease.get", lease=lease_id.hex())
        except RpcError:
            return None

    def counter(self, name):
        return self.daemon.rpc("stats.get", owner="madcap")["madcap"][name]

    def assertNak(self, answer, code, extra=None):
        self.assertEqual(answer.type, NAK, answer)
        self.assertEqual(answer[ERROR][0], code, answer)
        if extra is not None:
            self.assertEqual(madcap.error_extra(answer), extra, answer)

    def assertSilence(self, msg, to=None, client=None):
        self.assertEqual((client or self.client).answers(msg, to), [])


class GetInfo(Served):
    def ask(self, codes, more=None, **keywords):
        return self.client.ask(GETINFO, {REQUEST_LIST: codes, **(more or {})}, **keywords)

    def test_2_2_1_scope_list(self):
        answer = self.ask([SCOPE_LIST], to=LOCAL_GROUP)
        self.assertEqual(answer.type, ACK)
        self.assertEqual(str(answer[SERVER_ID]), SERVER)
        local, org = answer[SCOPE_LIST]
        self.assertEqual((str(local.first), str(local.last), local.ttl),
                         (LOCAL, "239.255.255.255", 16))
        self.assertEqual((str(org.first), str(org.last), org.ttl), (ORG, "239.195.255.255", 32))
        self.assertEqual({(n.language, n.text, n.default) for n in local.names},
                         {(b"en", "Site local", True), (b"fr", "Site", False)})
        self.assertNotIn(NESTING, answer)
        self.assertNotIn(CURRENT_TIME, answer)

    def test_3_5_only_what_was_asked_for(self):
        answer = self.ask([CURRENT_TIME])
        self.assertNotIn(SCOPE_LIST, answer)
        self.assertAlmostEqual(answer[CURRENT_TIME], time.time(), delta=3)

    def test_3_10_scopes_of_the_other_family(self):
        answer = self.ask([SCOPE_LIST], family=IPV6)
        self.assertEqual([(str(s.first), s.ttl) for s in answer[SCOPE_LIST]], [(SITE6, 16)])

    def test_3_9_requested_language(self):
        def names(language):
            answer = self.ask([SCOPE_LIST], {LANGUAGE: language})
            return [[n.text for n in scope.names] for scope in answer[SCOPE_LIST]]
        self.assertEqual(names(b"fr"), [["Site"], ["Organization"]])
        self.assertEqual(names(b"de"), [["Site local"], ["Organisation"]])
        self.assertEqual(names(b"xx"), [["Site local"], ["Organization"]])

    def test_2907_3_nesting_state_with_the_scope_list(self):
        answer = self.ask([SCOPE_LIST, NESTING])
        self.assertEqual(answer[NESTING].rows, [[True, True], [False, True]])
        self.assertFalse(answer[NESTING].ignored)

    def test_2907_3_no_nesting_state_without_the_scope_list(self):
        self.assertNotIn(NESTING, self.ask([NESTING]))

    def test_3_13_feature_list(self):
        answer = self.ask([FEATURES])
        self.assertEqual(answer[FEATURES].supported, [madcap.RETRY_AFTER, madcap.SHARED_LEASE_ID])
        self.assertEqual(answer[FEATURES].required, [])

    def test_2_11_only_at_the_group_of_local_scope(self):
        self.assertSilence(message(GETINFO, {REQUEST_LIST: [SCOPE_LIST]}), to=ORG_GROUP)

    def test_2_1_4_a_retransmission_gets_identical_bytes(self):
        msg = message(GETINFO, {REQUEST_LIST: [SCOPE_LIST, CURRENT_TIME]})
        self.assertEqual(self.client.exchange(msg)[1], self.client.exchange(msg)[1])


class Leases(Served):
    def test_2_2_discover_offer_request_ack(self):
        lease = new_id()
        offer = self.client.ask(DISCOVER, {SCOPE: LOCAL, LEASE_TIME: 1800}, to=LOCAL_GROUP,
                                lease=lease)
        self.assertEqual(offer.type, OFFER)
        self.assertEqual((str(offer[SERVER_ID]), str(offer[SCOPE]), total(offer)),
                         (SERVER, LOCAL, 1))
        self.assertEqual(self.lease(lease)["state"], "held")
        options = {SCOPE: LOCAL, LEASE_TIME: 1800, SERVER_ID: SERVER, RANGES: offer[RANGES]}
        msg = message(REQUEST, options, lease=lease)
        ack, _ = self.client.exchange(msg, LOCAL_GROUP)
        madcap.check(ack, answers=REQUEST)
        self.assertEqual((ack.type, ack[RANGES], ack[LEASE_TIME]), (ACK, offer[RANGES], 1800))
        self.assertEqual(self.lease(lease)["state"], "leased")
        self.assertEqual(self.lease(lease)["client"], CLIENT)

    def test_2_2_4_unicast_request(self):
        lease = new_id()
        ack = self.client.request(lease=lease)
        self.assertEqual((ack.type, total(ack), ack[LEASE_TIME]), (ACK, 1, 3600))
        self.assertEqual(self.lease(lease)["addresses"], [str(ack[RANGES][0][0])])

    def test_2_2_7_renew(self):
        lease = new_id()
        ack = self.client.request(lease=lease, options={LEASE_TIME: 600})
        renewed = self.client.ask(RENEW, {LEASE_TIME: 7200}, lease=lease)
        self.assertEqual((renewed.type, renewed[RANGES]), (ACK, ack[RANGES]))
        self.assertEqual(renewed[LEASE_TIME], 7200)
        self.assertNotEqual(self.lease(lease)["end"], None)

    def test_2_2_8_release(self):
        lease = new_id()
        self.client.request(lease=lease)
        self.assertEqual(self.client.ask(RELEASE, lease=lease).type, ACK)
        self.assertIsNone(self.lease(lease))
        self.assertNak(self.client.ask(RENEW, lease=lease), madcap.LEASE_ID_UNKNOWN, b"")

    def test_2_1_4_a_retransmission_gets_identical_bytes_and_allocates_nothing(self):
        msg = message(REQUEST, {SCOPE: LOCAL})
        before = len(self.daemon.leases())
        first = self.client.exchange(msg)[1]
        for _ in range(3):
            self.assertEqual(self.client.exchange(msg)[1], first)
        self.assertEqual(len(self.daemon.leases()), before + 1)

    def test_2_1_4_copies_while_the_disk_is_busy(self):
        lease = new_id()
        data = madcap.build(message(REQUEST, {SCOPE: LOCAL}, lease=lease))
        before = len(self.daemon.leases())
        for _ in range(20):
            self.client.endpoint.send(data, SERVER)
        seen = {self.client.exchange(data)[1]}
        seen |= {raw for answer, raw in self.client.answers(data, bytes_too=True)}
        self.assertEqual(len(seen), 1)
        self.assertEqual(len(self.daemon.leases()), before + 1)

    def test_2_4_the_same_lease_identifier_under_a_new_xid(self):
        lease = new_id()
        first = self.client.request(lease=lease)
        before = len(self.daemon.leases())
        again = self.client.request(lease=lease)
        self.assertEqual((again.type, again[RANGES]), (ACK, first[RANGES]))
        self.assertEqual(len(self.daemon.leases()), before)

    def test_2_2_2_discover_of_what_can_t_be_had_is_not_answered(self):
        self.assertSilence(message(DISCOVER, {SCOPE: "239.77.0.0"}), to=LOCAL_GROUP)

    def test_2_2_3_an_offer_is_let_go_for_another_server(self):
        lease = new_id()
        offer = self.client.ask(DISCOVER, {SCOPE: LOCAL}, to=LOCAL_GROUP, lease=lease)
        self.assertEqual(self.lease(lease)["state"], "held")
        self.assertSilence(message(REQUEST, {SCOPE: LOCAL, SERVER_ID: "192.0.2.9",
                                             RANGES: offer[RANGES]}, lease=lease), to=LOCAL_GROUP)
        self.assertIsNone(self.lease(lease))

    def test_3_8_minimum_and_desired(self):
        ack = self.client.request(ORG, {NUMBER: (3, 7)})
        self.assertEqual((ack.type, total(ack)), (ACK, 7))
        ack = self.client.request(ORG, {NUMBER: (1, 65535)})
        self.assertEqual((ack.type, total(ack)), (ACK, 1024))
        nak = self.client.request(ORG, {NUMBER: (1025, 65535)})
        self.assertNak(nak, madcap.NOT_COMPLETED, NUMBER)

    def test_3_11_named_addresses(self):
        wanted = [(madcap.as_address("239.192.200.16"), 4),
                  (madcap.as_address("239.192.201.32"), 2)]
        ack = self.client.request(ORG, {RANGES: wanted})
        self.assertEqual((ack.type, ack[RANGES]), (ACK, wanted))
        taken = self.client.request(ORG, {RANGES: wanted[:1]})
        self.assertNak(taken, madcap.NOT_COMPLETED, RANGES)
        outside = self.client.request(ORG, {RANGES: [(madcap.as_address("239.1.2.3"), 1)]})
        self.assertNak(outside, madcap.INVALID_REQUEST, RANGES)

    def test_2_12_start_time_and_advance_lease(self):
        now = int(time.time())
        lease = new_id()
        ack = self.client.request(lease=lease, options={
            START_TIME: now + 7200, CURRENT_TIME: now, LEASE_TIME: 600})
        self.assertEqual((ack.type, ack[START_TIME], ack[LEASE_TIME]), (ACK, now + 7200, 600))
        self.assertIn(CURRENT_TIME, ack)
        self.assertEqual(self.lease(lease)["start"],
                         time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 7200)))

    def test_2_12_one_address_in_two_periods(self):
        """3.12: a named address is free before and after an advance lease and its extra time."""
        now = int(time.time())
        named = [(madcap.as_address("239.255.150.77"), 1)]
        def ask(start, lifetime):
            return self.client.request(options={
                RANGES: named, START_TIME: now + start, MAX_START_TIME: now + start + 5,
                CURRENT_TIME: now, LEASE_TIME: lifetime, MIN_LEASE_TIME: lifetime})
        self.assertEqual(ask(100000, 3600).type, ACK)
        self.assertEqual(ask(0, 3600).type, ACK)
        self.assertEqual(ask(200000, 3600).type, ACK)
        self.assertNak(ask(101000, 600), madcap.NOT_COMPLETED)
        self.assertNak(ask(98000, 600), madcap.NOT_COMPLETED)

    def test_3_16_a_maximum_start_time_that_has_passed(self):
        now = int(time.time())
        nak = self.client.request(options={START_TIME: now - 900, MAX_START_TIME: now - 600,
                                           CURRENT_TIME: now})
        self.assertNak(nak, madcap.NOT_COMPLETED, MAX_START_TIME)

    def test_3_2_the_lease_time_is_capped(self):
        ack = self.client.request(options={LEASE_TIME: 0xFFFFFFFF})
        self.assertEqual((ack.type, ack[LEASE_TIME]), (ACK, 30 * 86400))

    def test_3_15_a_minimum_lease_time_over_the_cap(self):
        nak = self.client.request(options={LEASE_TIME: 0xFFFFFFFF, MIN_LEASE_TIME: 31 * 86400})
        self.assertNak(nak, madcap.NOT_COMPLETED, MIN_LEASE_TIME)


class Refusals(Served):
    def test_3_17_1_not_completed_names_the_option(self):
        self.assertNak(self.client.request("239.77.0.0"), madcap.NOT_COMPLETED, SCOPE)

    def test_3_17_2_invalid_request_names_the_option(self):
        for options, option in (({SCOPE: LOCAL, LEASE_TIME: 0}, LEASE_TIME), ({}, SCOPE),
                                ({SCOPE: LOCAL, SCOPE_LIST: []}, SCOPE_LIST),
                                ({SCOPE: LOCAL, SERVER_ID: "192.0.2.9"}, SERVER_ID)):
            with self.subTest(option=madcap.OPTION_NAMES[option]):
                answer, _ = self.client.exchange(message(REQUEST, options))
                self.assertNak(answer, madcap.INVALID_REQUEST, option)

    def test_3_17_3_excessive_clock_skew_says_the_time(self):
        now = int(time.time())
        for off in -1900, 1900:
            nak = self.client.request(options={CURRENT_TIME: now + off})
            self.assertNak(nak, madcap.CLOCK_SKEW)
            self.assertAlmostEqual(madcap.error_extra(nak), now, delta=3)
        self.assertEqual(self.client.request(options={CURRENT_TIME: now + 1700}).type, ACK)

    def test_3_17_4_lease_identifier_not_recognized(self):
        for type_ in RENEW, RELEASE:
            self.assertNak(self.client.ask(type_), madcap.LEASE_ID_UNKNOWN, b"")

    def test_3_17_5_required_feature_not_supported(self):
        nak = self.client.request(options={
            FEATURES: Features([], [], [madcap.SERVER_MOBILITY, 99])})
        self.assertNak(nak, madcap.FEATURE_UNSUPPORTED, [madcap.SERVER_MOBILITY, 99])

    def test_2_1_5_an_unknown_type(self):
        answer = self.client.answers(madcap.build_raw(77, 1, 5, [(LEASE_ID, new_id())]))
        self.assertEqual(len(answer), 1)
        self.assertNak(answer[0], madcap.INVALID_REQUEST, NO_OPTION)

    def test_2_1_5_duplicate_and_wrong_length(self):
        scope = (SCOPE, madcap.as_address(LOCAL).packed)
        for options, option in (([scope, scope], SCOPE),
                                ([scope, (LEASE_TIME, b"\0")], LEASE_TIME)):
            data = madcap.build_raw(REQUEST, 1, 6, [(LEASE_ID, new_id())] + options)
            self.assertNak(self.client.answers(data)[0], madcap.INVALID_REQUEST, option)

    def test_2_1_5_unknown_options_in_any_order(self):
        data = madcap.build_raw(REQUEST, 1, 7, [
            (4711, b"x"), (SCOPE, madcap.as_address(LOCAL).packed), (LEASE_ID, new_id()),
            (99, b"")])
        self.assertEqual(self.client.exchange(data)[0].type, ACK)

    def test_2_2_2_discover_must_be_multicast(self):
        self.assertNak(self.client.ask(DISCOVER, {SCOPE: LOCAL}), madcap.INVALID_REQUEST, NO_OPTION)

    def test_2_2_7_renew_and_release_must_be_unicast(self):
        for type_ in RENEW, RELEASE:
            self.assertNak(self.client.ask(type_, to=LOCAL_GROUP), madcap.INVALID_REQUEST,
                           NO_OPTION)


class Ignored(Served):
    def setUp(self):
        super().setUp()
        self.request = madcap.build(message(REQUEST, {SCOPE: LOCAL}))
        self.count = len(self.daemon.leases())

    def tearDown(self):
        self.assertEqual(len(self.daemon.leases()), self.count)

    def test_2_1_1_another_version(self):
        before = self.counter("malformed-ignored")
        self.assertSilence(b"\1" + self.request[1:])
        self.assertEqual(self.counter("malformed-ignored"), before + 1)

    def test_2_1_5_truncated_options(self):
        before = self.counter("malformed-ignored")
        for length in range(len(self.request)):
            self.assertSilence(self.request[:length])
        self.assertEqual(self.counter("malformed-ignored"), before + len(self.request))

    def test_2_1_5_octets_behind_end(self):
        self.assertSilence(self.request + b"\0")

    def test_2_6_what_servers_send(self):
        before = self.counter("from-server-ignored")
        for type_ in madcap.FROM_SERVER:
            for to in SERVER, LOCAL_GROUP:
                self.assertSilence(message(type_, {SCOPE: LOCAL}), to=to)
        self.assertEqual(self.counter("from-server-ignored"), before + 6)

    def test_2_2_4_requests_to_another_server(self):
        msg = message(REQUEST, {SCOPE: LOCAL, SERVER_ID: "192.0.2.9"})
        self.assertSilence(msg, to=LOCAL_GROUP)


class Ownership(Served):
    """Who may change a lease (2.13.3, 4)."""

    def test_2_13_3_another_address_may_not(self):
        lease = new_id()
        self.client.request(lease=lease)
        other = self.open(address=CLIENT_TOO)
        for type_ in RENEW, RELEASE:
            self.assertNak(other.ask(type_, lease=lease), madcap.INVALID_REQUEST, LEASE_ID)
        self.assertNak(other.request(lease=lease), madcap.INVALID_REQUEST, LEASE_ID)
        self.assertEqual(self.lease(lease)["client"], CLIENT)

    def test_2_13_3_shared_lease_identifier(self):
        lease = new_id()
        shared = {FEATURES: Features([madcap.SHARED_LEASE_ID], [madcap.SHARED_LEASE_ID], [])}
        ack = self.client.request(lease=lease, options=shared)
        self.assertEqual(ack[FEATURES].required, [madcap.SHARED_LEASE_ID])
        self.assertTrue(self.lease(lease)["shared"])
        other = self.open(address=CLIENT_TOO)
        self.assertEqual(other.ask(RENEW, {LEASE_TIME: 900}, lease=lease)[RANGES], ack[RANGES])
        self.assertEqual(other.ask(RELEASE, lease=lease).type, ACK)
        self.assertIsNone(self.lease(lease))

    def test_3_13_shared_required_for_a_lease_that_is_not(self):
        lease = new_id()
        self.client.request(lease=lease)
        shared = {FEATURES: Features([], [], [madcap.SHARED_LEASE_ID])}
        self.assertNak(self.client.ask(RENEW, shared, lease=lease), madcap.FEATURE_UNSUPPORTED,
                       [madcap.SHARED_LEASE_ID])


class Families(Served):
    def test_2_1_3_ipv6_transport_ipv6_addresses(self):
        client = self.open(version=6, address=CLIENT6)
        lease = new_id()
        offer = client.ask(DISCOVER, {SCOPE: SITE6}, to=SITE6_GROUP, lease=lease, family=IPV6)
        self.assertEqual((offer.type, str(offer[SERVER_ID])), (OFFER, SERVER6))
        msg = message(REQUEST, {SCOPE: SITE6, SERVER_ID: SERVER6, RANGES: offer[RANGES]},
                      lease=lease, family=IPV6)
        ack, _ = client.exchange(msg, SITE6_GROUP)
        self.assertEqual((ack.type, ack[RANGES]), (ACK, offer[RANGES]))
        self.assertEqual(self.lease(lease)["client"], CLIENT6)
        self.assertEqual(client.ask(RENEW, lease=lease, family=IPV6)[RANGES], ack[RANGES])
        self.assertEqual(client.ask(RELEASE, lease=lease, family=IPV6).type, ACK)

    def test_2_1_3_ipv4_addresses_over_ipv6(self):
        client = self.open(version=6, address=CLIENT6)
        ack = client.request(LOCAL)
        self.assertEqual((ack.type, ack.family, str(ack[SERVER_ID])), (ACK, madcap.IPV4, SERVER6))
        offer = client.ask(DISCOVER, {SCOPE: LOCAL}, to=SITE6_GROUP)
        self.assertEqual(offer.type, OFFER)

    def test_2_1_3_ipv6_addresses_over_ipv4(self):
        ack = self.client.request(SITE6)
        self.assertEqual((ack.type, ack.family, str(ack[SERVER_ID])), (ACK, IPV6, SERVER))
        offer = self.client.ask(DISCOVER, {SCOPE: SITE6}, to=LOCAL_GROUP, family=IPV6)
        self.assertEqual(offer.type, OFFER)

    def test_2_1_link_local_client(self):
        client = self.open(version=6, address="fe80::50")
        offer = client.ask(DISCOVER, {SCOPE: SITE6}, to=SITE6_GROUP, family=IPV6)
        self.assertEqual(str(offer[SERVER_ID]), "fe80::1")
        ack = client.request(SITE6, to="fe80::1")
        self.assertEqual(ack.type, ACK)


class Arrival(Served):
    """2.11: the scope of the group must be that asked for, or nest inside it."""

    def test_2_11_a_larger_scope_at_the_group_of_a_smaller(self):
        self.assertEqual(self.client.ask(DISCOVER, {SCOPE: ORG}, to=LOCAL_GROUP).type, OFFER)

    def test_2_11_each_at_its_own(self):
        self.assertEqual(self.client.ask(DISCOVER, {SCOPE: ORG}, to=ORG_GROUP).type, OFFER)

    def test_2_11_not_a_smaller_scope_at_the_group_of_a_larger(self):
        before = self.counter("elsewhere-ignored")
        self.assertSilence(message(DISCOVER, {SCOPE: LOCAL}), to=ORG_GROUP)
        self.assertSilence(message(REQUEST, {SCOPE: LOCAL, SERVER_ID: SERVER}), to=ORG_GROUP)
        self.assertEqual(self.counter("elsewhere-ignored"), before + 2)


class ArrivalAnywhere(Served):
    keys = "beyond-local-scope = yes\n"

    def test_2_11_unless_configured_otherwise(self):
        self.assertEqual(self.client.ask(DISCOVER, {SCOPE: LOCAL}, to=ORG_GROUP).type, OFFER)
        answer = self.client.ask(GETINFO, {REQUEST_LIST: [SCOPE_LIST]}, to=ORG_GROUP)
        self.assertEqual(answer.type, ACK)


class Limits(Served):
    keys = "max-addresses-per-client = 8\noffer-hold = 1\nlease-owner = any\n"

    def test_addresses_of_one_client(self):
        client = self.open(address=CLIENT_TOO)
        lease = new_id()
        self.assertEqual(total(client.request(options={NUMBER: (5, 5)}, lease=lease)), 5)
        self.assertNak(client.request(options={NUMBER: (4, 4)}), madcap.NOT_COMPLETED)
        self.assertEqual(client.ask(RELEASE, lease=lease).type, ACK)
        self.assertEqual(client.request(options={NUMBER: (4, 4)}).type, ACK)

    def test_2_2_3_an_offer_is_held_for_its_time_only(self):
        lease = new_id()
        offer = self.client.ask(DISCOVER, {SCOPE: LOCAL}, to=LOCAL_GROUP, lease=lease)
        self.assertEqual(offer.type, OFFER)
        self.assertEqual(self.lease(lease)["state"], "held")
        wait_until(lambda: self.lease(lease) is None, "for the end of the offer")

    def test_4_a_lease_of_anybody(self):
        lease = new_id()
        self.client.request(lease=lease)
        other = self.open(version=6, address=CLIENT6)
        self.assertEqual(other.ask(RELEASE, lease=lease).type, ACK)


class Rate(Served):
    keys = "rate-limit = 20\n"

    def test_rate_of_one_source(self):
        """The burst is answered, what is over is dropped and counted, others are served on."""
        client = self.open(version=6, address=CLIENT6)
        msg = madcap.build(message(GETINFO, {REQUEST_LIST: [CURRENT_TIME]}))
        before, began = self.counter("rate-limited"), time.monotonic()
        def limited():
            for _ in range(100):
                client.endpoint.send(msg, SERVER6)
            return self.counter("rate-limited") >= before + 50
        wait_until(limited, "for the rate limit")
        self.assertEqual(self.client.ask(GETINFO, {REQUEST_LIST: [CURRENT_TIME]}).type, ACK)
        answered = sum(1 for _ in client.endpoint.receive(0.2))
        self.assertGreaterEqual(answered, 20)
        self.assertLess(answered, 50 + 20 * (time.monotonic() - began))


@unittest.skipUnless(have_dissector(), "no tshark with Lua")
class Sequence(unittest.TestCase):
    def test_appendix_a_exchange_as_wireshark_sees_it(self):
        site = Site()
        capture = site.capture(temporary_folder() / "exchange.pcap")
        lease = new_id()
        with site.daemon() as _, Client(site.client, address=CLIENT) as client:
            client.ask(GETINFO, {REQUEST_LIST: [SCOPE_LIST, NESTING]}, to=LOCAL_GROUP)
            offer = client.ask(DISCOVER, {SCOPE: LOCAL}, to=LOCAL_GROUP, lease=lease)
            msg = message(REQUEST, {SCOPE: LOCAL, SERVER_ID: SERVER, RANGES: offer[RANGES]},
                          lease=lease)
            client.exchange(msg, LOCAL_GROUP)
            client.ask(RENEW, lease=lease)
            client.ask(RELEASE, lease=lease)
            client.ask(RENEW, lease=lease)
        path = capture.stop()
        rows = dissect(path, "madcap", "madcap.type", "ip.src", "ip.dst")
        expected = [(GETINFO, LOCAL_GROUP), (ACK, CLIENT), (DISCOVER, LOCAL_GROUP), (OFFER, CLIENT),
                    (REQUEST, LOCAL_GROUP), (ACK, CLIENT), (RENEW, SERVER), (ACK, CLIENT),
                    (RELEASE, SERVER), (ACK, CLIENT), (RENEW, SERVER), (NAK, CLIENT)]
        self.assertEqual([(int(row[0]), row[2]) for row in rows], expected)
        bad = dissect(path, "_ws.malformed || madcap.syntax || madcap.invalid", "frame.number")
        self.assertEqual(bad, [])


if __name__ == "__main__":
    netns.main()
