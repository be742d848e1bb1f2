#!/usr/bin/env python3
"""AAP end to end (draft-ietf-malloc-aap-04): three servers of a domain in three namespaces on one
bridge, with clients at each."""

import os
import pathlib
import subprocess
import time
import unittest

import aap
import madcap
import madcap_site
from harness import Daemon, RpcError, SOURCE, temporary_folder, wait_until
from madcap_site import have_dissector
from netns import Bridge, Capture, Namespace, main

SCOPE = """
[scope local]
family = ipv4
first = 239.255.0.0
last = 239.255.255.255
ttl = 16
name[en] = Site local
"""
SMALL = """
[range few]
scope = local
first = 239.255.1.0
last = 239.255.1.63
"""
TIMES = """
[aap]
startup-wait = 1
announce-wait = 1
resend-wait = 1
repeat-interval = 3
asa-interval = 1
asrp-interval = 1
delete-grace = 2
reuse-guard = 2
preallocate = 0
"""
LARGE = """
[scope domain]
family = ipv4
first = 239.251.0.0
last = 239.251.255.255
ttl = 63

[scope world]
family = ipv4
first = 233.252.0.0
last = 233.252.3.255
ttl = 127
divisible = yes
"""
PATIENCE = 30


def daemon_group(roles="maas"):
    return f"[daemon]\nroles = {roles}\nplugins = aap; madcap\nlog-level = debug\n"


def addresses(lease):
    found = set()
    for text in lease["addresses"]:
        first, _, last = text.partition("-")
        one, two = aap.as_address(first), aap.as_address(last or first)
        found |= {int(one) + i for i in range(int(two) - int(one) + 1)}
    return found


class Host:
    """A namespace on the bridge with a daemon."""

    def __init__(self, bridge, number):
        self.space = Namespace()
        self.name = f"h{number}"
        self.address = f"192.0.2.{number}"
        bridge.plug(self.space, self.name)
        self.space.add(self.name, self.address + "/24")
        self.port = f"p{bridge.ports}"
        self.daemon = None

    def start(self, config):
        self.daemon = Daemon(config, network=self.space)

    def request(self, count=1, scope="local", lifetime=600, **more):
        return self.daemon.rpc("lease.request", scope=scope, count=count, lifetime=lifetime,
                               wait=True, **more)

    def scope(self, name="local"):
        return {s["scope"]: s for s in self.daemon.rpc("aap.pool")["scopes"]}[name]

    def takes_part(self, name="local"):
        return self.scope(name)["state"] == "taking part"

    def metric(self, name):
        return self.daemon.rpc("stats.get")["aap"][name]

    def owned(self):
        return addresses({"addresses": [r["addresses"]
                                        for r in self.daemon.rpc("aap.records")["records"]
                                        if r["kind"] == "own"]})


class AapCase(unittest.TestCase):
    def setUp(self):
        self.bridge = Bridge()
        self.hosts = [Host(self.bridge, n) for n in (1, 2, 3)]

    def tearDown(self):
        for host in self.hosts:
            if host.daemon is not None:
                host.daemon.stop()

    def start(self, config):
        for host in self.hosts:
            host.start(config)
        for host in self.hosts:
            wait_until(host.takes_part, "for the end of listening", PATIENCE)

    def assert_disjoint(self, leases):
        seen = set()
        for lease in leases:
            self.assertFalse(seen & addresses(lease), lease)
            seen |= addresses(lease)

    def cut(self, host):
        self.bridge.space.ip("link", "set", host.port, "nomaster")

    def heal(self, host):
        self.bridge.space.ip("link", "set", host.port, "master", "br0")
        wait_until(lambda: "state forwarding" in self.bridge.space.run(
            "bridge", "link", "show", "dev", host.port), "for the bridge")


class Servers(AapCase):
    def test_what_one_leases_no_other_does(self):
        capture = Capture(self.hosts[0].space, "h1", temporary_folder() / "aap.pcap")
        self.start(daemon_group() + SCOPE + TIMES)
        leases = [host.request(n) for n in (1, 3, 20) for host in self.hosts]
        self.assert_disjoint(leases)
        sets = [host.owned() for host in self.hosts]
        self.assertFalse(sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
        for host in self.hosts:
            wait_until(lambda host=host: len(host.daemon.rpc("aap.peers")["peers"]) == 2,
                       "for the others to be heard", PATIENCE)
            wait_until(lambda host=host: host.scope()["foreign"] > 0, "for AIU", PATIENCE)
            self.assertEqual(host.metric("conflicts"), 0)
        host = self.hosts[0]
        self.assertGreater(host.daemon.rpc("aap.announce")["messages"], 0)
        records = host.daemon.rpc("aap.records", limit=1)
        self.assertEqual((len(records["records"]), records["next"]), (1, 1))
        with self.assertRaises(RpcError):
            host.daemon.rpc("aap.records", scope="nosuch")
        self.look_at(capture.stop())

    def look_at(self, path):
        """Every packet is what an independent dissector takes for AAP."""
        if not have_dissector():
            return
        home = temporary_folder()
        done = subprocess.run(
            ["tshark", "-n", "-r", path, "-X",
             f"lua_script:{SOURCE / 'contrib' / 'wireshark' / 'aap.lua'}", "-Y", "udp.port == 2878",
             "-T", "fields", "-e", "frame.protocols", "-e", "_ws.malformed", "-e", "ip.ttl"],
            capture_output=True, text=True,
            env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)})
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        self.assertGreater(len(rows), 10, done.stderr)
        for row in rows:
            self.assertIn("aap", row[0])
            self.assertEqual(row[1:], ["", "255"])

    def test_a_client_has_its_offer_as_soon_as_space_is_claimed(self):
        self.start(daemon_group() + SCOPE + TIMES + "[madcap]\n")
        client_at = Host(self.bridge, 50)
        client_at.interface = client_at.name
        with madcap_site.Client(client_at, server="192.0.2.1") as client:
            offer = client.ask(madcap.DISCOVER, {madcap.SCOPE: "239.255.0.0"},
                               to="239.255.255.254")
            self.assertEqual(offer.type, madcap.OFFER)
            ack = client.request()
            self.assertEqual(ack.type, madcap.ACK)

    def patiently(self, client, msg):
        """MSG again and again until something comes: (seconds until then, how often, answers)."""
        began, sent, found = time.monotonic(), 0, []
        while not found and sent < 60:
            client.endpoint.send(madcap.build(msg), client.server)
            sent += 1
            for data, _ in client.endpoint.receive(0.6):
                found.append(data)
                if len(found) == 1:
                    took = time.monotonic() - began
        return took, sent, found

    def test_a_request_that_waits_for_a_claim_is_answered_properly_meanwhile(self):
        """RFC 2730 2.13.2: who knows Retry After is told when to come again; for others there is
        silence, and the ACK when the claim is won."""
        self.start(daemon_group() + SCOPE + TIMES.replace("announce-wait = 1", "announce-wait = 6")
                   + "[madcap]\nretry-after = 5\n")
        client_at = Host(self.bridge, 50)
        client_at.interface = client_at.name
        server = self.hosts[0]
        asked = {madcap.SCOPE: "239.255.0.0"}
        with madcap_site.Client(client_at, server="192.0.2.1") as client:
            plain = madcap_site.message(madcap.REQUEST, asked)
            took, sent, found = self.patiently(client, plain)
            ack = madcap.parse(found[0])
            self.assertEqual((ack.type, len(found)), (madcap.ACK, 1))
            self.assertIn(madcap.RANGES, ack)
            self.assertGreater(took, 5.5, "it was no claim")
            self.assertGreater(sent, 1)
            self.assertEqual(len(client.answers(plain)), 1, "a lost ACK is sent again")

            knows = {**asked, madcap.NUMBER: (20, 20),
                     madcap.FEATURES: madcap.Features([madcap.RETRY_AFTER])}
            msg = madcap_site.message(madcap.REQUEST, knows)
            took, sent, found = self.patiently(client, msg)
            later = madcap.parse(found[0])
            self.assertEqual(later.type, madcap.ACK)
            self.assertIn(madcap.RETRY_TIME, later)
            self.assertEqual(later[madcap.RANGES], [])
            self.assertEqual(later[madcap.FEATURES].required, [madcap.RETRY_AFTER])
            self.assertTrue(2.5 < took < 5.5, took)
            again = client.answers(msg)
            self.assertEqual([a[madcap.RETRY_TIME] for a in again], [later[madcap.RETRY_TIME]])
            wait_until(lambda: len(server.daemon.leases()) == 2, "for the claim", PATIENCE)
            ack = client.ask(madcap.REQUEST, knows, lease=msg[madcap.LEASE_ID])
            self.assertEqual(ack.type, madcap.ACK)
            self.assertEqual(sum(n for _, n in ack[madcap.RANGES]), 20)
        self.assertEqual(len(server.daemon.leases()), 2)

    def test_all_of_a_scope_is_used_and_then_the_reason_is_told(self):
        self.start(daemon_group() + SCOPE + SMALL + TIMES + "block = 4\n")
        leases = [self.hosts[i % 3].request(8) for i in range(6)]
        self.assert_disjoint(leases)
        with self.assertRaises(RpcError) as caught:
            for _ in range(4):
                leases.append(self.hosts[0].request(8, max_start="now"))
        self.assert_disjoint(leases)
        self.assertIn("is free in this domain", str(caught.exception))

    def test_a_server_that_was_killed_keeps_what_was_its(self):
        self.start(daemon_group() + SCOPE + SMALL + TIMES)
        victim = self.hosts[0]
        kept = victim.request(5)
        asking = subprocess.Popen(
            [os.environ.get("top_builddir", ".") + "/mallocctl", "-s", victim.daemon.socket,
             "request", "--wait", "--scope", "local", "--count", "16"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: victim.scope()["claims"] > 0, "for a claim", PATIENCE)
        victim.daemon.kill()
        asking.wait()
        others = [self.hosts[i].request(4) for i in (1, 2, 1, 2)]
        self.assert_disjoint(others + [kept])
        victim.daemon.start()
        self.assertEqual([addresses(x) for x in victim.daemon.leases()], [addresses(kept)])
        self.assertTrue(addresses(kept) <= victim.owned())
        wait_until(victim.takes_part, "for the end of listening", PATIENCE)
        self.assert_disjoint(others + [kept, victim.request(4)])

    def test_after_a_partition_one_of_two_holders_gives_way(self):
        few = SMALL.replace("239.255.1.63", "239.255.1.15")
        self.start(daemon_group() + SCOPE + few + TIMES + "block = 8\n")
        one, other = self.hosts[0], self.hosts[1]
        self.cut(one)
        mine, theirs = one.request(12), other.request(12)
        self.assertTrue(addresses(mine) & addresses(theirs), "the partition was none")
        self.heal(one)
        wait_until(lambda: not one.owned() & other.owned(), "for one to give way", 60)
        self.assertGreater(one.metric("conflicts") + other.metric("conflicts"), 0)
        # Each may have lost a part; a lease ends once that is on the disk.
        wait_until(lambda: len(one.daemon.leases() + other.daemon.leases()) < 2,
                   "for the lease of the one that lost to be revoked", PATIENCE)


class Coordinators(AapCase):
    def test_the_space_of_a_large_scope_is_announced_and_shared(self):
        pc = daemon_group("maas; prefix-coordinator") + SCOPE + LARGE
        world = "[range world]\nscope = world\nfirst = 233.252.1.0\nlast = 233.252.1.255\n"
        self.hosts[0].start(pc + world + TIMES)
        for host in self.hosts[1:]:
            host.start(daemon_group() + SCOPE + LARGE + TIMES)
        for host in self.hosts:
            wait_until(lambda host=host: host.scope("world").get("available", 0) > 0 and
                       host.takes_part("world"), "for the announcement", PATIENCE)
        self.assertEqual(self.hosts[0].scope("world")["coordinator"], "leads")
        leases = [host.request(3, scope="world") for host in self.hosts]
        self.assert_disjoint(leases)
        wait_until(lambda: self.hosts[0].metric("coordinator-reports") > 0, "for a report",
                   PATIENCE)
        self.hosts[1].daemon.restart()
        self.assertEqual(len(self.hosts[1].daemon.leases()), 1)

    def test_a_divisible_scope_needs_an_allocation_scope(self):
        config = daemon_group() + SCOPE + LARGE.partition("[scope world]")[2].join(
            ["[scope world]", ""]) + TIMES
        daemon = Daemon(config, network=self.hosts[0].space, start=False)
        self.assertNotEqual(daemon.run(), 0)
        self.assertIn("Allocation Scope", daemon.log())


class Keys(AapCase):
    def test_who_has_no_key_is_not_heard(self):
        folder = temporary_folder()
        key = folder / "keys"
        key.write_text("[shared site]\nkey = " + "5a" * 32 + "\n")
        key.chmod(0o640)
        with_key = daemon_group() + SCOPE + TIMES + f"key-file = {key}\n"
        for host in self.hosts[:2]:
            host.start(with_key)
        self.hosts[2].start(daemon_group() + SCOPE + TIMES)
        for host in self.hosts:
            wait_until(host.takes_part, "for the end of listening", PATIENCE)
            host.request(4)
        wait_until(lambda: self.hosts[0].metric("auth-good") > 0, "for a sealed message", PATIENCE)
        wait_until(lambda: self.hosts[0].metric("auth-unauthenticated") > 0, "for an open one",
                   PATIENCE)
        wait_until(lambda: self.hosts[2].metric("dropped-length") > 0, "for a trailer", PATIENCE)
        self.assertEqual([p["peer"] for p in self.hosts[0].daemon.rpc("aap.peers")["peers"]],
                         ["192.0.2.2:2878"])
        keys = self.hosts[0].daemon.rpc("aap.keys")
        self.assertEqual((keys["authenticated"], keys["sends_with"]), (True, "site"))
        self.assertNotIn("5a5a", str(keys))
        # The third one gets the key by a reload.
        self.hosts[2].daemon.configure(with_key)
        self.hosts[2].daemon.rpc("config.reload")
        self.hosts[2].daemon.rpc("aap.announce")
        wait_until(lambda: len(self.hosts[0].daemon.rpc("aap.peers")["peers"]) == 2, "for it",
                   PATIENCE)
        # Counters go on after a restart: nothing of it is taken for a replay.
        self.hosts[1].daemon.restart()
        before = self.hosts[0].metric("auth-good")
        wait_until(lambda: self.hosts[0].metric("auth-good") > before + 2, "for more", PATIENCE)
        self.assertEqual(self.hosts[0].metric("auth-replayed"), 0)

    def test_a_key_file_that_everybody_reads_is_refused(self):
        key = pathlib.Path(temporary_folder()) / "keys"
        key.write_text("[shared site]\nkey = " + "5a" * 32 + "\n")
        key.chmod(0o644)
        config = daemon_group() + SCOPE + TIMES + f"key-file = {key}\n"
        daemon = Daemon(config, network=self.hosts[0].space, start=False)
        self.assertNotEqual(daemon.run(), 0)
        self.assertIn("key-file", daemon.log())
        self.assertNotIn("5a5a", daemon.log())


if __name__ == "__main__":
    main()
