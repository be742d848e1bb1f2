#!/usr/bin/env python3
"""MASC end to end (RFC 2909): a daemon and, on the other end of its link, peers made by hand from
an independent codec; and two daemons with each other."""

import ipaddress
import os
import re
import socket
import struct
import subprocess
import time
import unittest

import masc
from harness import PLUGINS, Daemon, RpcError, SOURCE, program, temporary_folder, wait_until
from netns import Namespace, link, main

PATIENCE = 30
US, PEER, STRANGER = "192.0.2.1", "192.0.2.2", "192.0.2.3"
DOMAIN, KID, TWIN, UP = 64496, 64501, 64497, 64400
NODE, NODE_PEER = 0xC0000201, 0xC0000202
WAITING = 2
SCOPE = """
[scope global]
family = ipv4
first = 239.192.0.0
last = 239.195.255.255
ttl = 127
divisible = yes
"""
TIMES = f"""
waiting-period = {WAITING}
initiate-claim-delay = 1
prefix-lifetime = 1h
renew-interval = 30m
plan-interval = 1m
extra-holding-time = 5
connect-retry = 2
backoff = 2
backoff-most = 4
claim = no
"""
TCP_MD5SIG = 14


def config(peers, domain=DOMAIN, node=US, more=""):
    return ("[daemon]\nroles = maas; prefix-coordinator\nplugins = masc\nlog-level = debug\n"
            f"{SCOPE}[masc]\ndomain-id = {domain}\nnode-id = {node}\n{TIMES}{more}\n{peers}")


def peer_group(role, domain, passive=True, more=""):
    return (f"[masc-peer other]\naddress = {PEER}\nrole = {role}\ndomain-id = {domain}\n"
            f"passive = {'yes' if passive else 'no'}\n{more}\n")


def md5_key(sock, address, key):
    """The kernel's tcp_md5sig: the peer's address, and the key."""
    peer = struct.pack("=H2x4s120x", socket.AF_INET, socket.inet_aton(address))
    sock.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG,
                    peer + struct.pack("=BBHi80s", 0, 0, len(key), 0, key))


class Peer:
    """One end of a connection, in Python."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(PATIENCE)
        self.stream = b""
        self.messages = []

    def close(self):
        self.socket.close()

    def send(self, message):
        self.socket.sendall(masc.build(message))

    def read(self):
        """The next message; None at the end of the stream."""
        while not self.messages:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            whole, self.stream = masc.frames(self.stream + data)
            self.messages += [masc.parse(one) for one in whole]
        return self.messages.pop(0)

    def expect(self, kind, **fields):
        """The next KIND whose fields are so; KEEPALIVEs and others in between are passed over."""
        while True:
            message = self.read()
            assert message is not None, f"closed instead of {kind.__name__} {fields}"
            if isinstance(message, kind) and all(getattr(message, name) == value
                                                 for name, value in fields.items()):
                return message

    def claim(self, type_):
        """The next attribute of TYPE_."""
        while True:
            for claim in self.expect(masc.Update).claims:
                if claim.type == type_:
                    return claim

    def open(self, role, domain, node=NODE_PEER, parent=0, hold=30):
        self.send(masc.Open(role, domain, node, parent, hold))
        theirs = self.expect(masc.Open)
        self.send(masc.Keepalive())
        self.expect(masc.Keepalive)
        return theirs


def claim(type_, role, prefix, domain, node=NODE_PEER, timestamp=None, lifetime=3600):
    network = ipaddress.ip_network(prefix)
    now = int(time.time()) if timestamp is None else timestamp
    return masc.Claim(type_, role, False, now, lifetime, lifetime, domain, node,
                      network.network_address, network.prefixlen)


class MascCase(unittest.TestCase):
    def setUp(self):
        self.left, self.right = Namespace(), Namespace()
        link(self.left, "a0", self.right, "b0")
        self.left.add("a0", US + "/24")
        self.right.add("b0", PEER + "/24", STRANGER + "/24")
        self.daemon = None
        self.ends = []

    def tearDown(self):
        for end in self.ends:
            end.close()
        if self.daemon is not None:
            self.daemon.stop()

    def start(self, peers, **more):
        self.daemon = Daemon(config(peers, **more), network=self.left)

    def connect(self, source=PEER, key=None, ttl=None, patience=PATIENCE):
        with self.right:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.ends.append(sock)
        sock.settimeout(patience)
        sock.bind((source, 0))
        if key:
            md5_key(sock, US, key)
        if ttl:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.connect((US, masc.PORT))
        return Peer(sock)

    def listen(self):
        with self.right:
            sock = socket.create_server((PEER, masc.PORT))
        self.ends.append(sock)
        sock.settimeout(PATIENCE)
        return sock

    def peer(self):
        return self.daemon.rpc("masc.peers")["peers"][0]

    def wait_for_state(self, state):
        return wait_until(lambda: self.peer()["state"] == state, f"for {state}", PATIENCE)

    def metric(self, name):
        return self.daemon.rpc("stats.get")["masc"][name]

    def routes(self):
        return {route["prefix"] for route in self.daemon.rpc("route.list")["routes"]}

    def wait_for_another(self, prefix):
        """A claim made now is won: so would be those that were made before."""
        self.daemon.rpc("masc.claim", prefix=prefix)
        wait_until(lambda: prefix in self.routes(), "for " + prefix, PATIENCE)

    def available(self):
        return [r["first"] for r in self.daemon.rpc("range.list")["ranges"]
                if r["source"] == "masc" and r["level"] == "available"]


class Sessions(MascCase):
    def test_a_child_s_session_10_1(self):
        self.start(peer_group("child", KID))
        end = self.connect()
        theirs = end.open(masc.CHILD, KID)
        self.assertEqual((theirs.role, theirs.domain, theirs.node), (masc.PARENT, DOMAIN, NODE))
        self.assertEqual(theirs.hold, 240)
        self.wait_for_state("Established")
        self.assertEqual(self.peer()["hold_time_s"], 30)
        self.assertEqual(self.peer()["domain"], str(KID))
        self.assertEqual(self.peer()["node"], PEER)
        self.daemon.stop()
        self.assertEqual(end.expect(masc.Notification).code, 7)
        self.assertIsNone(end.read())

    def test_it_connects_itself_and_again_10_1(self):
        server = self.listen()
        self.start(peer_group("parent", UP, passive=False))
        for _ in range(2):
            sock, source = server.accept()
            end = Peer(sock)
            self.assertEqual(source[0], US)
            theirs = end.open(masc.PARENT, UP)
            self.assertEqual(theirs.role, masc.CHILD)
            self.wait_for_state("Established")
            end.close()
            wait_until(lambda: self.peer()["state"] != "Established", "for the end", PATIENCE)

    def test_nobody_else_gets_in_14(self):
        self.start(peer_group("child", KID))
        for _ in range(3):
            end = self.connect(STRANGER)
            self.assertIsNone(end.read())
        self.assertEqual(self.metric("strangers"), 3)
        self.connect().open(masc.CHILD, KID)

    def test_a_wrong_role_is_told_so_8_2(self):
        self.start(peer_group("child", KID))
        end = self.connect()
        end.send(masc.Open(masc.SIBLING, KID, NODE_PEER))
        answer = end.expect(masc.Notification)
        self.assertEqual((answer.code, answer.subcode, answer.open), (2, 8, False))
        self.assertIsNone(end.read())
        self.assertIn("masc.notification-sent", self.daemon.log())

    def test_what_is_no_message_is_told_so_8_1(self):
        self.start(peer_group("child", KID))
        end = self.connect()
        end.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(end.expect(masc.Notification).code, 1)
        self.assertIsNone(end.read())

    def test_a_silent_peer_is_gone_after_the_hold_time_8_4(self):
        self.start(peer_group("child", KID))
        end = self.connect()
        end.open(masc.CHILD, KID, hold=3)
        self.wait_for_state("Established")
        answer = end.expect(masc.Notification)
        self.assertEqual(answer.code, 4)
        self.assertNotEqual(self.peer()["state"], "Established")

    def test_of_two_connections_that_of_the_higher_node_stays_8_8(self):
        server = self.listen()
        self.start(peer_group("child", KID, passive=False))
        theirs = Peer(server.accept()[0])
        self.ends.append(theirs)
        theirs.expect(masc.Open)
        ours = self.connect()
        for end in theirs, ours:
            end.send(masc.Open(masc.CHILD, KID, NODE_PEER))
        self.assertEqual(theirs.expect(masc.Notification).code, 7)
        ours.expect(masc.Open)
        ours.send(masc.Keepalive())
        self.wait_for_state("Established")
        self.assertEqual(self.metric("connection-collision"), 1)

    def test_peers_come_by_reload(self):
        self.start("")
        self.daemon.configure(config(peer_group("child", KID)))
        self.daemon.rpc("config.reload")
        self.connect().open(masc.CHILD, KID)
        self.wait_for_state("Established")


class Security(MascCase):
    def key_file(self, key):
        path = temporary_folder() / "key"
        path.write_bytes(key + b"\n")
        path.chmod(0o600)
        return f"key-file = {path}\n"

    def test_who_has_not_the_key_gets_no_connection_rfc2385(self):
        self.start(peer_group("child", KID, more=self.key_file(b"a secret")))
        try:
            end = self.connect(key=b"a secret")
        except OSError as error:
            if error.errno in (92, 95):
                self.skipTest("this kernel has no TCP-MD5")
            raise
        end.open(masc.CHILD, KID)
        self.wait_for_state("Established")
        for key in None, b"another":
            with self.assertRaises(TimeoutError):
                self.connect(key=key, patience=1.5)

    def test_both_ends_sign_when_it_connects_rfc2385(self):
        server = self.listen()
        try:
            md5_key(server, US, b"a secret")
        except OSError:
            self.skipTest("this kernel has no TCP-MD5")
        self.start(peer_group("parent", UP, passive=False, more=self.key_file(b"a secret")))
        end = Peer(server.accept()[0])
        self.ends.append(end)
        end.open(masc.PARENT, UP)
        self.wait_for_state("Established")

    def test_who_is_far_away_gets_no_connection_rfc5082(self):
        self.start(peer_group("child", KID, more="ttl-security = 1\n"))
        with self.assertRaises(TimeoutError):
            self.connect(ttl=64, patience=1.5)
        self.connect(ttl=255).open(masc.CHILD, KID)
        self.wait_for_state("Established")


class Claims(MascCase):
    def sibling(self):
        self.start(peer_group("sibling", TWIN))
        end = self.connect()
        end.open(masc.SIBLING, TWIN)
        self.wait_for_state("Established")
        return end

    def test_a_claim_is_in_use_after_the_waiting_period_5_1(self):
        end = self.sibling()
        self.daemon.rpc("masc.claim", prefix="239.193.0.0/16", lifetime=600)
        first = end.claim(masc.NEW)
        began = time.monotonic()
        self.assertEqual((str(first.address), first.length), ("239.193.0.0", 16))
        self.assertEqual((first.domain, first.node, first.role), (DOMAIN, NODE, masc.INTERNAL))
        self.assertAlmostEqual(first.timestamp, time.time(), delta=60)
        pending = self.daemon.rpc("masc.claims")["claims"]
        self.assertEqual([c["prefix"] for c in pending], ["239.193.0.0/16"])
        self.assertEqual(self.routes(), set())
        used = end.claim(masc.IN_USE)
        self.assertGreater(time.monotonic() - began, WAITING - 0.5)
        self.assertEqual((used.address, used.length), (first.address, 16))
        self.assertEqual(wait_until(self.routes), {"239.193.0.0/16"})

    def test_what_another_has_is_not_won_5_1(self):
        end = self.sibling()
        self.daemon.rpc("masc.claim", prefix="239.193.0.0/16")
        ours = end.claim(masc.NEW)
        end.send(masc.Update([claim(masc.IN_USE, masc.INTERNAL, "239.193.0.0/16", TWIN,
                                    timestamp=ours.timestamp - 100)]))
        wait_until(lambda: self.metric("collision") > 0, "for the collision", PATIENCE)
        self.wait_for_another("239.195.0.0/16")
        self.assertNotIn("239.193.0.0/16", self.routes())

    def test_an_earlier_claim_wins_and_a_later_one_loses_5_1_1(self):
        end = self.sibling()
        self.daemon.rpc("masc.claim", prefix="239.193.0.0/16")
        ours = end.claim(masc.NEW)
        end.send(masc.Update([claim(masc.NEW, masc.INTERNAL, "239.193.0.0/16", TWIN,
                                    timestamp=ours.timestamp + 5)]))
        end.claim(masc.IN_USE)
        self.assertEqual(wait_until(self.routes), {"239.193.0.0/16"})

    def test_a_clash_is_resolved_by_age_12_4(self):
        end = self.sibling()
        self.daemon.rpc("masc.claim", prefix="239.193.0.0/16")
        used = end.claim(masc.IN_USE)
        wait_until(self.routes)
        end.send(masc.Update([claim(masc.IN_USE, masc.INTERNAL, "239.193.0.0/16", TWIN,
                                    timestamp=used.timestamp - 1000)]))
        wait_until(lambda: not self.routes(), "for the route to go", PATIENCE)
        gone = end.claim(masc.WITHDRAW)
        self.assertEqual((str(gone.address), gone.length), ("239.193.0.0", 16))
        self.assertEqual(gone.timestamp, used.timestamp - 1000)
        self.assertIn("masc.clash", self.daemon.log())

    def test_what_is_wrong_in_an_update_is_told_and_the_session_goes_on_8_3(self):
        end = self.sibling()
        wrong = claim(masc.NEW, masc.INTERNAL, "232.1.0.0/16", TWIN)
        end.send(masc.Update([wrong]))
        answer = end.expect(masc.Notification)
        self.assertEqual((answer.code, answer.open), (3, True))
        future = claim(masc.NEW, masc.INTERNAL, "239.194.0.0/16", TWIN,
                       timestamp=int(time.time()) + 10 * 86400)
        end.send(masc.Update([future]))
        answer = end.expect(masc.Notification)
        self.assertEqual((answer.code, answer.subcode, answer.open), (3, 20, True))
        self.assertEqual(self.peer()["state"], "Established")
        self.assertGreaterEqual(self.peer()["refused"], 2)


class Child(MascCase):
    def parent(self):
        self.start(peer_group("parent", UP))
        end = self.connect()
        end.open(masc.PARENT, UP)
        self.wait_for_state("Established")
        end.send(masc.Update([claim(masc.MANAGED, masc.INTERNAL, "239.193.0.0/16", UP)]))
        wait_until(lambda: [p for p in self.daemon.rpc("masc.prefixes")["prefixes"]
                            if p["kind"] == "parent's"], "for the parent's prefix", PATIENCE)
        return end

    def test_a_prefix_of_the_parent_s_is_claimed_won_and_leased_5_1_12_2(self):
        end = self.parent()
        self.daemon.rpc("masc.claim", prefix="239.193.4.0/24")
        self.assertEqual(end.claim(masc.NEW).role, masc.INTERNAL)
        self.assertEqual(end.claim(masc.IN_USE).length, 24)
        self.assertEqual(wait_until(self.available), ["239.193.4.0"])
        lease = self.daemon.rpc("lease.request", scope="global", lifetime=600)
        self.assertTrue(lease["addresses"][0].startswith("239.193.4."))
        self.daemon.kill()
        end.close()
        self.daemon.start()
        self.assertEqual(self.available(), ["239.193.4.0"])
        self.assertEqual(len(self.daemon.leases()), 1)
        self.assertEqual(self.routes(), {"239.193.4.0/24"})

    def test_what_the_parent_denies_is_not_used_11_3_3(self):
        end = self.parent()
        self.daemon.rpc("masc.claim", prefix="239.193.4.0/24")
        ours = end.claim(masc.NEW)
        denial = claim(masc.DENIED, masc.INTERNAL, "239.193.4.0/24", DOMAIN, NODE,
                       timestamp=ours.timestamp)
        denial.lifetime, denial.holdtime = ours.lifetime, ours.holdtime
        end.send(masc.Update([denial]))
        wait_until(lambda: self.metric("denied") > 0, "for the denial", PATIENCE)
        self.wait_for_another("239.193.128.0/24")
        self.assertNotIn("239.193.4.0", self.available())

    def test_nothing_is_claimed_without_a_parent_5_1(self):
        self.start(peer_group("parent", UP))
        with self.assertRaises(RpcError):
            self.daemon.rpc("masc.claim", prefix="239.193.4.0/24")


class Parent(MascCase):
    def test_a_child_hears_what_it_may_claim_from_and_is_refused_elsewhere_8_3_11_8(self):
        self.start(peer_group("child", KID))
        end = self.connect()
        end.open(masc.CHILD, KID)
        self.daemon.rpc("masc.claim", prefix="239.193.0.0/16")
        managed = end.claim(masc.MANAGED)
        self.assertEqual((str(managed.address), managed.length), ("239.193.0.0", 16))
        self.assertEqual(managed.domain, DOMAIN)
        end.send(masc.Update([claim(masc.NEW, masc.INTERNAL, "239.194.4.0/24", KID)]))
        answer = end.expect(masc.Notification)
        self.assertEqual((answer.code, answer.subcode, answer.open), (3, 24, True))
        end.send(masc.Update([claim(masc.NEW, masc.INTERNAL, "239.193.4.0/24", KID)]))
        end.send(masc.Update([claim(masc.IN_USE, masc.INTERNAL, "239.193.4.0/24", KID)]))

        def known():
            claims = self.daemon.rpc("masc.claims", all=True)["claims"]
            return [c for c in claims if c["kind"] == "child's" and c["type"] == "PREFIX_IN_USE"]
        self.assertEqual(wait_until(known)[0]["prefix"], "239.193.4.0/24")

    def test_an_established_session_is_kept_against_a_new_connection_8_8(self):
        self.start(peer_group("child", KID))
        self.connect().open(masc.CHILD, KID)
        self.wait_for_state("Established")
        again = self.connect()
        again.send(masc.Open(masc.CHILD, KID, NODE_PEER))
        self.assertEqual(again.expect(masc.Notification).code, 7)
        self.assertIsNone(again.read())
        self.assertEqual(self.peer()["state"], "Established")


class Pair(MascCase):
    """Two daemons."""

    def test_a_child_claims_by_itself_what_its_clients_ask_for(self):
        auto = "claim = yes\n"
        top = config(peer_group("child", KID, passive=False)).replace("claim = no\n", auto)
        kid = config(f"[masc-peer up]\naddress = {US}\nrole = parent\ndomain-id = {DOMAIN}\n",
                     domain=KID, node=PEER).replace("claim = no\n", auto)
        self.start("")
        self.daemon.stop()
        self.daemon = Daemon(top, network=self.left)
        with Daemon(kid, network=self.right) as child:
            lease = child.rpc("lease.request", scope="global", count=10, lifetime=60, wait=True)
            self.assertEqual(lease["count"], 10)
            shown = subprocess.run(
                [program("mallocctl"), "-s", str(child.socket), "masc", "tree"],
                capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn("domain 64496 (parent; up: Established)", shown.stdout)
            self.assertIn("domain 64501 (this domain)", shown.stdout)
            alone = subprocess.run([program("mallocctl"), "-s", str(child.socket), "masc"],
                                   capture_output=True, text=True)
            self.assertEqual(alone.returncode, 2)
            self.assertIn("masc: a verb must follow: claim, claims,", alone.stderr)
            self.assertTrue(self.routes())


class Guide(MascCase):
    """The configurations of doc/masc.md, the first two with shorter times."""

    def configurations(self):
        key = temporary_folder() / "key"
        key.write_text("of the guide\n")
        key.chmod(0o600)
        blocks = re.findall("```ini\n(.*?)```", (SOURCE / "doc" / "masc.md").read_text(), re.S)
        times = TIMES.replace("claim = no\n", "")
        return [re.sub("key-file = .*", f"key-file = {key}", block)
                .replace("[masc]\n", "[masc]\n" + times)
                .replace("[daemon]\n", "[daemon]\nlog-level = debug\n") for block in blocks]

    def drawn(self):
        text = (SOURCE / "doc" / "masc.md").read_text()
        lines = text.split("    $ mallocctl masc tree\n")[1].split("\n\n")[0].splitlines()
        return "\n".join(line[4:] for line in lines) + "\n"

    def shape(self, tree):
        """How many prefixes, where, how large and until when is chance."""
        lines = re.sub(r"\d[\d.]*/\d+, until .*", "PREFIX", tree).splitlines()
        return list(dict.fromkeys(line.strip("├└│─ ") for line in lines))

    def test_the_servers_of_the_guide(self):
        folder = temporary_folder()
        others = self.configurations()[2:]
        self.assertEqual(len(others), 2)
        for text in others:
            (folder / "mallocd.conf").write_text(text)
            done = subprocess.run([program("mallocd"), "--check", "-c", folder / "mallocd.conf"],
                                  capture_output=True, text=True,
                                  env={**os.environ, "MALLOCD_PLUGIN_DIR": PLUGINS})
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_domains_of_the_guide(self):
        top, kid, *_ = self.configurations()
        self.daemon = Daemon(top, network=self.left)
        with Daemon(kid, network=self.right) as child:
            wait_until(lambda: child.rpc("masc.peers")["peers"][0]["state"] == "Established",
                       "for the session", PATIENCE)
            child.rpc("lease.request", scope="world", lifetime=60, wait=True)
            tree = subprocess.run([program("mallocctl"), "-s", str(child.socket), "masc", "tree"],
                                  capture_output=True, text=True,
                                  env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
            self.assertEqual(self.shape(tree), self.shape(self.drawn()))


if __name__ == "__main__":
    main()
