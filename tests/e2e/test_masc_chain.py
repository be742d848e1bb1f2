#!/usr/bin/env python3
"""The whole chain in namespaces: a top-level domain and two children, each with a coordinator
(MASC, RFC 2909, and AAP), two servers (AAP and MADCAP) and clients. Nobody configures a range."""

import datetime
import itertools
import threading
import unittest

import madcap
from harness import Client, temporary_folder, wait_until
from masc_site import MASC_TIMES, PATIENCE, SCOPES, TIMES, Domain, Node, addresses, peer
from netns import Bridge, main

TOP = "198.51.100.1"
TOP_ID = 64496

class Chain(unittest.TestCase):
    times = TIMES
    together = False        # all three tiers of a child in one process
    between = ""            # more of each [masc-peer]

    def setUp(self):
        self.backbone = Bridge()
        self.top = Node(("up0", self.backbone, TOP + "/24"))
        self.domains = [Domain(self.backbone, n) for n in (1, 2)]
        one, two = self.domains
        self.top.start(
            "[daemon]\nroles = prefix-coordinator\nplugins = masc\nlog-level = debug\n" + SCOPES
            + f"\n[masc]\ndomain-id = {TOP_ID}\nnode-id = {TOP}\n"
            + MASC_TIMES.format(**self.times)
            + "".join(peer(f"child{d.number}", d.address, "child", d.domain_id, self.between)
                      for d in self.domains))
        for domain, other in (one, two), (two, one):
            start = domain.start_as_one if self.together else domain.start
            start(peer("up", TOP, "parent", TOP_ID, self.between)
                  + peer("sister", other.address, "sibling", other.domain_id, self.between),
                  self.times)
        self.wait_for_sessions()

    def tearDown(self):
        for domain in self.domains:
            domain.stop()
        self.top.stop()

    def wait_for_sessions(self):
        for node in [self.top, *(d.coordinator for d in self.domains)]:
            wait_until(lambda node=node: set(node.peers().values()) == {"Established"},
                       "for sessions", PATIENCE)

    def assert_in_order(self):
        """Leased in owned in available, nothing twice."""
        one, two = (d.prefixes() for d in self.domains)
        self.assertFalse(one & two, "two domains have the same")
        seen = set()
        for domain in self.domains:
            for node in domain.nodes():
                owned = node.owned()
                self.assertFalse(owned & seen, "two servers own the same")
                seen |= owned
                for lease in node.daemon.leases():
                    self.assertTrue(addresses(lease) <= owned, lease)

    def exhaust(self, domain, nodes):
        """Leases at NODES in turn until MASC had to bring more; all addresses that are held."""
        held = set()
        before = domain.prefixes()
        turn = itertools.cycle(nodes)
        while not domain.prefixes() - before:
            lease = next(turn).request(max(len(before) // 4, 4), lifetime=200)
            self.assertFalse(held & addresses(lease))
            held |= addresses(lease)
        return held


class EachInItsOwnProcess(Chain):
    def test_prefixes_are_claimed_announced_owned_and_leased(self):
        one, two = self.domains
        self.assertEqual(one.prefixes(), set())
        # The first space of a domain: no coordinator was heard yet, and still who asks waits.
        first = one.servers[0].request(3, lifetime=200)
        self.assertTrue(addresses(first) <= one.prefixes())
        # What is there is exhausted; who asks waits until more is claimed.
        self.assertFalse(self.exhaust(one, one.servers) & addresses(first))
        self.assertGreater(sum(s.metric("aap", "ana-sent") for s in one.servers), 0)
        # By MADCAP, in the other domain.
        with two.client() as client:
            ack = two.madcap_lease(client, 5)
            self.assertEqual(sum(n for _, n in ack[madcap.RANGES]), 5)
        self.assert_in_order()
        # The parent knows what its children have.
        tree = str(self.top.rpc("masc.tree"))
        for prefix in one.routes() + two.routes():
            self.assertIn(prefix, tree)
        self.crash_of_a_coordinator(one)

    def crash_of_a_coordinator(self, domain):
        """Nobody loses anything by it, and what it had is there again at once."""
        before, leases = domain.prefixes(), len(domain.leases())
        domain.coordinator.daemon.kill()
        domain.servers[0].request(1, lifetime=200)
        domain.coordinator.daemon.start()
        self.assertTrue(before <= domain.prefixes())
        self.wait_for_sessions()
        self.exhaust(domain, domain.servers)
        self.assertGreater(len(domain.leases()), leases)
        self.assert_in_order()


def instant(text):
    return datetime.datetime.fromisoformat(text).timestamp()


class Waiting(threading.Thread):
    """A client that waits as long as it takes; .lease is what it got."""

    def __init__(self, node, count):
        super().__init__(daemon=True)
        self.node, self.count, self.lease = node, count, None
        self.start()

    def run(self):
        with Client(self.node.daemon.socket, PATIENCE * 3) as client:
            self.lease = client.call("lease.request", scope="world", count=self.count,
                                     lifetime=200, wait=True)


class CutOff(Chain):
    def test_a_child_is_cut_off_and_healed(self):
        one, two = self.domains
        kept = one.servers[0].request_patiently(3, lifetime=300)
        two.servers[0].request_patiently(3, lifetime=300)
        one.coordinator.cut("up0")
        for node in self.top, two.coordinator:
            wait_until(lambda node=node: "Established" in node.peers().values() and
                       set(node.peers().values()) != {"Established"}, "for the hold time", PATIENCE)
        # What the domain has goes on being leased; the other one goes on growing.
        one.servers[1].request(2, lifetime=300)
        before = one.prefixes()
        more = Waiting(one.servers[0], len(before))
        self.exhaust(two, two.servers)
        # Nobody would hear a claim of this one.
        self.assertEqual(one.prefixes(), before)
        self.assertIsNone(more.lease)
        one.coordinator.heal("up0")
        self.wait_for_sessions()
        wait_until(lambda: more.lease, "for what was wanted while it was cut off", PATIENCE)
        self.exhaust(two, two.servers)
        self.assert_in_order()
        self.assertIn(addresses(kept), [addresses(x) for x in one.servers[0].daemon.leases()])


class Expiry(Chain):
    # An announced end counts as the same within ten seconds: each renewal adds more.
    times = {"waiting_period": 2, "prefix_lifetime": 30, "renew_interval": 9, "own_lifetime": 10}

    def test_a_prefix_is_renewed_while_it_is_used_and_then_expires(self):
        one = self.domains[0]
        server = one.servers[0]
        lease = server.request_patiently(3, lifetime=7)
        first = addresses(lease)
        self.assertTrue(one.routes())
        # For longer than the prefix would last.
        until = instant(one.ends())
        while instant(lease["end"]) <= until:
            wait_until(lambda: instant(lease["end"]) - instant(server.rpc("status")["time"]) < 4,
                       "for the lease to become old", PATIENCE)
            lease = wait_until(lambda: server.renewed(lease, 7), "for the renewal", PATIENCE)
        self.assertEqual(addresses(lease), first)
        self.assertTrue(first <= one.prefixes())
        # It can't be renewed where nobody hears it (a domain keeps its last one, if it can).
        one.coordinator.cut("up0")
        wait_until(lambda: not one.prefixes(), "for the prefix to end", PATIENCE)
        wait_until(lambda: not one.routes(), "for the route to end", PATIENCE)
        for node in one.servers:
            wait_until(lambda node=node: not node.world(), "for it to be gone here, too", PATIENCE)
            self.assertEqual(node.daemon.leases(), [])
        # Then all begins anew.
        one.coordinator.heal("up0")
        self.wait_for_sessions()
        self.assertTrue(addresses(server.request_patiently(3, lifetime=6)) <= one.prefixes())


class AllInOneProcess(Chain):
    together = True

    @classmethod
    def setUpClass(cls):
        key = temporary_folder() / "key"
        key.write_text("between these domains\n")
        key.chmod(0o600)
        cls.between = f"key-file = {key}\nttl-security = 1\n"

    def test_the_same_with_all_three_tiers_in_one_process(self):
        one, two = self.domains
        # Who asks waits from the beginning: layer 3 is here.
        first = one.coordinator.request(3, lifetime=200)
        self.assertTrue(addresses(first) <= one.prefixes())
        self.exhaust(one, [one.coordinator])
        with two.client(str(two.net[1])) as client:
            ack = two.madcap_lease(client, 5)
            self.assertEqual(sum(n for _, n in ack[madcap.RANGES]), 5)
        # Its own client part finds its own server.
        mine = one.coordinator.request(2, lifetime=100, via="madcap")
        self.assertTrue(addresses(mine) <= one.prefixes())
        self.assert_in_order()
        leases = len(one.leases())
        one.coordinator.daemon.kill()
        one.coordinator.daemon.start()
        self.assertEqual(len(one.leases()), leases)
        self.wait_for_sessions()
        self.exhaust(one, [one.coordinator])
        self.assert_in_order()


if __name__ == "__main__":
    main()
