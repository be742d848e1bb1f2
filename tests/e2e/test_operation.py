#!/usr/bin/env python3
"""The daemon over its life: two servers on one link, killed and restarted under load, reloaded,
with interfaces that come and go, a state directory that is not its own, a full disk, and garbage.
Sections in the names are RFC 2730's."""

import os
import pathlib
import random
import re
import resource
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import unittest

import madcap
import netns
from harness import Client as Control
from harness import Daemon, PATIENCE, RpcError, SOURCE, temporary_folder, wait_until
from madcap import (ACK, CURRENT_TIME, DISCOVER, ERROR, GETINFO, OFFER, RANGES, RELEASE, REQUEST,
                    REQUEST_LIST, SCOPE, SERVER_ID)
from madcap_site import RANGES as RANGE_TEXT
from madcap_site import (CLIENT, CONFIG, Client, DAEMON, Host, LOCAL, LOCAL_GROUP, ORG, SCOPES,
                         SERVER, SERVER6, SITE6, SITE6_GROUP, Site, message, new_id)


def first_address(answer):
    return str(answer[RANGES][0][0])


class TwoServers(unittest.TestCase):
    """2.2.3: what is offered is let go when the client chooses another server."""

    def range_of(self, n):
        return DAEMON + SCOPES + (f"[range mine]\nscope = local\nfirst = 239.255.{n}.0\n"
                                  f"last = 239.255.{n}.255\n[madcap]\n")

    def setUp(self):
        bridge = netns.Bridge()
        self.hosts = [Host("eth0", f"192.0.2.{n}/24") for n in (1, 2, 50)]
        for host in self.hosts:
            bridge.plug(host.space, "eth0")
            host.configure()
        self.daemons = []
        for n in 1, 2:
            self.daemons.append(Daemon(self.range_of(n), network=self.hosts[n - 1].space))
            self.addCleanup(self.daemons[-1].stop)

    def test_2_2_3_the_unchosen_server_frees_its_offer(self):
        client = Client(self.hosts[2])
        self.addCleanup(client.close)
        lease = new_id()
        found = {}
        discover = message(DISCOVER, {SCOPE: LOCAL}, lease=lease)
        client.endpoint.send(madcap.build(discover), LOCAL_GROUP)
        for data, _ in client.endpoint.receive(PATIENCE):
            answer = madcap.parse(data)
            found[str(answer[SERVER_ID])] = answer
            if len(found) == 2:
                break
        self.assertEqual(sorted(found), ["192.0.2.1", "192.0.2.2"])
        for daemon in self.daemons:
            self.assertEqual(daemon.rpc("lease.get", lease=lease.hex())["state"], "held")
        chosen = message(REQUEST, {SCOPE: LOCAL, SERVER_ID: "192.0.2.2",
                                   RANGES: found["192.0.2.2"][RANGES]}, lease=lease)
        ack, _ = client.exchange(chosen, LOCAL_GROUP)
        self.assertEqual((ack.type, str(ack[SERVER_ID])), (ACK, "192.0.2.2"))
        self.assertEqual(ack[RANGES], found["192.0.2.2"][RANGES])
        wait_until(lambda: self.daemons[0].rpc("status")["leases"]["held"] == 0,
                   "for the other server")
        self.assertEqual(self.daemons[0].leases(holds=True), [])
        self.assertEqual([item["state"] for item in self.daemons[1].leases()], ["leased"])
        freed = client.request(options={RANGES: found["192.0.2.1"][RANGES]}, to="192.0.2.1")
        self.assertEqual(freed.type, ACK)


class Killed(unittest.TestCase):
    """Durable before acknowledged: SIGKILL under load, a dozen times."""
    KILLS = 12

    def setUp(self):
        self.site = Site()
        self.daemon = self.site.daemon("response-cache-entries = 65536\n")
        self.addCleanup(self.daemon.stop)
        self.client = Client(self.site.client, address=CLIENT)
        self.addCleanup(self.client.close)
        self.random = random.Random(2730)
        self.granted = {}       # lease identifier: addresses, from ACKs
        self.given = {}         # address: lease identifier that had it last
        self.releasing = {}     # lease identifier: xid
        self.released = set()
        self.asked = {}         # xid: lease identifier

    def learn(self, data):
        answer = madcap.parse(data)
        self.assertEqual(answer.type, ACK, answer)
        lease = answer[madcap.LEASE_ID]
        if answer.xid in self.releasing:
            self.released.add(lease)
            return
        blocks = [str(first + n) for first, count in answer[RANGES] for n in range(count)]
        self.assertEqual(self.granted.setdefault(lease, blocks), blocks,
                         "a lease changed its addresses")
        for address in blocks:
            before = self.given.setdefault(address, lease)
            self.assertTrue(before == lease or before in self.releasing.values(),
                            f"{address} given twice")
            self.given[address] = lease

    def send_some(self):
        for _ in range(8):
            lease = new_id()
            scope = self.random.choice((LOCAL, ORG))
            msg = message(REQUEST, {SCOPE: scope, madcap.NUMBER: (1, 2)}, lease=lease)
            self.client.endpoint.send(madcap.build(msg), SERVER)
        old = [lease for lease in self.granted if lease not in self.releasing.values()]
        for lease in self.random.sample(old, min(2, len(old))):
            msg = message(RELEASE, lease=lease)
            self.releasing[msg.xid] = lease
            self.client.endpoint.send(madcap.build(msg), SERVER)

    def load_until(self, answers):
        """Keeps the server busy until so many answers came; some sends are then unanswered."""
        deadline = time.monotonic() + PATIENCE
        while answers > 0:
            self.assertLess(time.monotonic(), deadline,
                            "no more answers:\n" + self.daemon.log()[-2000:])
            self.send_some()
            for data, _ in self.client.endpoint.receive(0.002):
                self.learn(data)
                answers -= 1
        self.send_some()

    def drain(self):
        for data, _ in self.client.endpoint.receive(0.05):
            self.learn(data)

    def compare(self):
        live = {bytes.fromhex(item["lease"]): item for item in self.daemon.leases()}
        for lease, blocks in self.granted.items():
            if lease in self.released:
                self.assertTrue(lease not in live, "a released lease came back")
            elif lease not in self.releasing.values():
                self.assertTrue(lease in live, "an acknowledged lease is gone")
        seen = {}
        for lease, item in live.items():
            for span in item["addresses"]:
                first, _, last = span.partition("-")
                first, last = madcap.as_address(first), madcap.as_address(last or first)
                for address in range(int(first), int(last) + 1):
                    self.assertEqual(seen.setdefault(address, lease), lease,
                                     "two leases share an address")
            if lease in self.granted:
                self.assertEqual(str(madcap.as_address(item["addresses"][0].partition("-")[0])),
                                 self.granted[lease][0])

    def test_2_2_5_every_acknowledged_lease_outlives_a_kill(self):
        for _ in range(self.KILLS):
            self.load_until(self.random.randint(1, 60))
            self.daemon.kill()
            self.drain()
            self.daemon.start()
            self.compare()
        self.assertGreater(len(self.granted), 12 * 10)
        self.assertTrue(self.released)
        self.assertEqual(self.daemon.rpc("store.check")["ok"], True)


class Reload(unittest.TestCase):
    def setUp(self):
        self.site = Site()
        self.daemon = self.site.daemon()
        self.addCleanup(self.daemon.stop)
        self.client = Client(self.site.client, address=CLIENT)
        self.addCleanup(self.client.close)

    def count(self, name):
        return self.daemon.rpc("stats.get", owner="core")["core"][name]

    def hangup(self, config, counter):
        before = self.count(counter)
        self.daemon.configure(config)
        self.daemon.signal(signal.SIGHUP)
        wait_until(lambda: self.count(counter) == before + 1,
                   f"for {counter}:\n{self.daemon.log()}")

    def test_a_good_file_takes_effect_without_losing_leases(self):
        lease = new_id()
        self.client.request(lease=lease)
        more = ("[scope wide]\nfamily = ipv4\nfirst = 239.196.0.0\nlast = 239.196.255.255\n"
                "ttl = 48\n"
                "[range wide]\nscope = wide\nfirst = 239.196.1.0\nlast = 239.196.1.255\n"
                "[madcap]\ndefault-lease-time = 77\n")
        self.hangup(DAEMON + SCOPES + RANGE_TEXT + more, "config-reloads")
        ack = self.client.request("239.196.0.0")
        self.assertEqual((ack.type, ack[madcap.LEASE_TIME]), (ACK, 77))
        self.assertEqual(self.client.ask(madcap.RENEW, lease=lease).type, ACK)
        offer = self.client.ask(DISCOVER, {SCOPE: "239.196.0.0"}, to="239.196.255.254")
        self.assertEqual(offer.type, OFFER)

    def test_a_bad_file_changes_nothing(self):
        for bad in (CONFIG + "rate-limti = 5\n", CONFIG + "port = banana\n",
                    DAEMON + "[range x]\nscope = none\n", "\0"):
            self.hangup(bad, "config-reloads-refused")
            self.assertEqual(self.client.request().type, ACK)
        self.assertIn("rate-limit", self.daemon.log())

    def test_shrinking_below_live_leases_is_refused(self):
        named = [(madcap.as_address("239.255.100.7"), 1)]
        self.assertEqual(self.client.request(options={RANGES: named}).type, ACK)
        self.hangup(CONFIG.replace("last = 239.255.199.255", "last = 239.255.50.255"),
                    "config-reloads-refused")
        self.assertIn("239.255.100.7", self.daemon.log())
        self.assertEqual(len(self.daemon.leases(scope="local")), 1)
        self.assertEqual(self.client.request().type, ACK)


class ReloadDuringTheStart(unittest.TestCase):
    """It follows the start, rather than ending it. The signal is sent before all else."""
    SEND = ("import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP]); "
            "os.kill(os.getpid(), signal.SIGHUP); os.execv(sys.argv[1], sys.argv[1:])")

    def test_it_follows_the_start(self):
        site = Site()
        daemon = site.daemon(command=(sys.executable, "-c", self.SEND, "mallocd"))
        self.addCleanup(daemon.stop)
        wait_until(lambda: daemon.rpc("stats.get", owner="core")["core"]["config-reloads"] == 1,
                   f"for the reload:\n{daemon.log()}")


class Interfaces(unittest.TestCase):
    """An interface that vanishes and returns: the groups are joined again."""

    def setUp(self):
        self.site = Site()
        self.daemon = self.site.daemon("interfaces = s0\n")
        self.addCleanup(self.daemon.stop)

    def served(self):
        """Whether all groups are joined on what is called s0 now."""
        with self.site.server.space:
            now = dict((name, index) for index, name in socket.if_nameindex())
        return any(one["name"] == "s0" and one["index"] == now.get("s0") and len(one["groups"]) == 3
                   for one in self.daemon.rpc("madcap.servers")["serving"]["interfaces"])

    def assertServes(self):
        wait_until(self.served, "for the groups")
        for version, group, scope in (4, LOCAL_GROUP, LOCAL), (6, SITE6_GROUP, SITE6):
            with Client(self.site.client, version) as client:
                family = madcap.IPV4 if version == 4 else madcap.IPV6
                answer = client.ask(DISCOVER, {SCOPE: scope}, to=group, family=family)
                self.assertEqual(answer.type, OFFER)

    def lose(self):
        wait_until(lambda: not self.served(), "for the loss of s0")

    def test_down_and_up(self):
        self.assertServes()
        space = self.site.server.space
        space.down("s0")
        self.lose()
        space.up("s0")
        space.wait_for_carrier("s0")
        # The kernel forgets IPv6 addresses of what goes down.
        space.ip("address", "replace", SERVER6 + "/64", "dev", "s0", "nodad")
        self.assertServes()

    def test_deleted_and_made_again(self):
        self.assertServes()
        for _ in range(3):
            self.site.server.space.ip("link", "delete", "s0")
            self.lose()
            self.site.connect()
            self.assertServes()
        self.assertGreaterEqual(self.daemon.rpc("stats.get")["madcap"]["interfaces-lost"], 3)

    def test_deleted_and_made_again_before_the_daemon_looks(self):
        """The name is the same, the interface is not: nothing is joined on it yet."""
        self.assertServes()
        self.daemon.signal(signal.SIGSTOP)
        self.site.server.space.ip("link", "delete", "s0")
        self.site.connect()
        self.daemon.signal(signal.SIGCONT)
        self.assertServes()

    def test_another_address(self):
        self.assertServes()
        space = self.site.server.space
        space.ip("address", "delete", SERVER + "/24", "dev", "s0")
        space.add("s0", "192.0.2.7/24")
        with Client(self.site.client, server="192.0.2.7") as client:
            def asked():
                answer = client.endpoint.exchange(message(GETINFO, {REQUEST_LIST: [CURRENT_TIME]}),
                                                  LOCAL_GROUP, until=0.2)
                return answer and str(answer[SERVER_ID]) == "192.0.2.7"
            wait_until(asked, "for the new Server Identifier")

    def test_what_the_runtime_meets_is_in_the_log(self):
        """Interfaces that can't be listed, for want of a descriptor."""
        self.assertServes()
        pid = self.daemon.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        taken = {int(fd.name) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
        free = next(fd for fd in range(len(taken) + 1) if fd not in taken)
        # No lower: poll takes no more descriptors than there may be.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[1]))
        self.site.server.space.down("s0")
        wait_until(lambda: re.search(r"^\S+Z warning daemon\.library: can't list the network "
                                     r"interfaces: ", self.daemon.log(), re.M), "for the warning")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    def test_one_that_comes_after_the_start(self):
        site = Site()
        site.server.space.ip("link", "delete", "s0")
        with site.daemon("interfaces = s0\n") as daemon:
            self.assertIn("madcap.no-interface", daemon.log())
            site.connect()
            self.site, self.daemon = site, daemon
            self.assertServes()


class Refused(unittest.TestCase):
    """What stops the daemon at its start, each with the reason and a status of 1."""

    def setUp(self):
        self.space = netns.Namespace()
        self.daemon = Daemon(CONFIG, network=self.space)
        self.addCleanup(self.daemon.stop)

    def assertRefused(self, *reasons, config=CONFIG, **more):
        other = Daemon(config, network=self.space, start=False, **more)
        other.log_file = temporary_folder() / "log"
        status = other.run()
        self.assertEqual(status, 1, other.log())
        for reason in reasons:
            self.assertIn(reason, other.log())
        self.assertNotIn("daemon.started", other.log(), "it never was up")

    def damaged(self, damage):
        """A state directory that DAMAGE(path of the database) has seen after an orderly end."""
        self.daemon.rpc("lease.request", scope="local", count=5)
        self.daemon.stop()
        damage(self.daemon.state_dir / "mallocd.db")
        return self.daemon.state_dir

    def test_port_in_use(self):
        self.assertRefused("2535")
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")

    def test_second_daemon_on_the_same_state_directory(self):
        self.assertRefused("in use by another mallocd", str(self.daemon.process.pid),
                           state_dir=self.daemon.state_dir)
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")

    def test_second_daemon_on_the_same_control_socket(self):
        self.assertRefused("control.sock", folder=self.daemon.folder, state_dir=temporary_folder())
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")

    def test_newer_schema(self):
        def damage(path):
            with sqlite3.connect(path) as database:
                database.execute("pragma user_version = 4711")
            database.close()
        self.assertRefused("4711", state_dir=self.damaged(damage))

    def test_corrupt_database(self):
        def damage(path):
            size = path.stat().st_size
            with open(path, "r+b") as file:
                for offset in range(512, size, 1024):
                    file.seek(offset)
                    file.write(os.urandom(256))
        self.assertRefused("mallocd.db", "restore a backup", state_dir=self.damaged(damage))

    def test_not_a_database(self):
        damaged = self.damaged(lambda path: path.write_bytes(b"garbage" * 999))
        self.assertRefused("mallocd.db", state_dir=damaged)

    def test_configuration(self):
        cases = {
            "unknown key, nearest named": ("rate-limti = 3\n", "rate-limit"),
            "overlapping ranges": ("[range twice]\nscope = local\nfirst = 239.255.3.0\n"
                                   "last = 239.255.3.9\n", "range twice"),
            "range outside its scope": ("[range far]\nscope = local\nfirst = 239.1.0.0\n"
                                        "last = 239.1.0.255\n", "range far"),
        }
        self.daemon.stop()
        for name, (text, reason) in cases.items():
            with self.subTest(name):
                self.assertRefused(reason, config=CONFIG + text)


class FullDisk(unittest.TestCase):
    """Granting stops with a clear answer, and goes on when there is room again, in one process."""

    def setUp(self):
        self.site = Site()
        self.disk = temporary_folder()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(self.disk)])
        if done.returncode != 0:
            self.skipTest("no tmpfs may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.disk)])
        self.daemon = self.site.daemon(state_dir=self.disk)
        self.addCleanup(self.daemon.stop)
        self.client = Client(self.site.client, address=CLIENT)
        self.addCleanup(self.client.close)

    def fill(self):
        path = self.disk / "filler"
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        return path

    def state(self):
        return self.daemon.rpc("status")["state"]

    def test_full_and_free_again(self):
        kept = new_id()
        self.assertEqual(self.client.request(lease=kept).type, ACK)
        filler = self.fill()
        acked = [kept]
        def refused():
            lease = new_id()
            answer = self.client.request(lease=lease)
            if answer.type == ACK:
                acked.append(lease)
                return None
            return answer
        nak = wait_until(refused, "for a refusal")
        self.assertEqual(nak[ERROR][0], madcap.NOT_COMPLETED)
        self.assertEqual(self.state(), "degraded")
        self.assertTrue(self.daemon.rpc("status")["store"]["error"])
        # What needs no write is still answered.
        self.assertEqual(self.client.ask(GETINFO, {REQUEST_LIST: [CURRENT_TIME]}).type, ACK)
        with self.assertRaises(RpcError):
            self.daemon.rpc("lease.request", scope="local")
        live = {item["lease"] for item in self.daemon.leases()}
        self.assertEqual(live, {lease.hex() for lease in acked})
        filler.unlink()
        wait_until(lambda: self.state() == "ok", "for the recovery")
        lease = new_id()
        self.assertEqual(self.client.request(lease=lease).type, ACK)
        acked.append(lease)
        self.daemon.kill()
        self.daemon.start()
        live = {item["lease"] for item in self.daemon.leases()}
        self.assertEqual(live, {lease.hex() for lease in acked})


def golden_packets():
    """The golden packets of the codec's tests: what stands before "#" on a line is hex."""
    folder = SOURCE / "tests" / "golden" / "madcap"
    packets = []
    for path in sorted(folder.glob("*.hex")):
        text = " ".join(line.partition("#")[0] for line in path.read_text().splitlines())
        try:
            packets.append(bytes.fromhex(text))
        except ValueError:
            continue
    return packets


class Garbage(unittest.TestCase):
    DATAGRAMS = 5000

    def setUp(self):
        self.site = Site()
        self.daemon = self.site.daemon()
        self.addCleanup(self.daemon.stop)

    def mutated(self, chance, packets):
        data = bytearray(chance.choice(packets))
        for _ in range(chance.randint(1, 6)):
            kind = chance.randrange(5)
            at = chance.randrange(len(data)) if data else 0
            if kind == 0 and data:
                data[at] = chance.randrange(256)
            elif kind == 1:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            elif kind == 2:
                del data[at:at + chance.randint(1, 8)]
            elif kind == 3 and data:
                data[at] ^= 1 << chance.randrange(8)
            else:
                data[at:] = data[at:] * chance.randint(1, 3)
        return bytes(data)

    def test_2_1_5_random_and_mutated_datagrams(self):
        seed = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))
        print(f"FUZZ_SEED={seed}", flush=True)
        chance = random.Random(seed)
        packets = golden_packets()
        self.assertGreater(len(packets), 30)
        packets += [madcap.build(message(REQUEST, {SCOPE: LOCAL, madcap.NUMBER: (1, 9)})),
                    madcap.build(message(DISCOVER, {SCOPE: SITE6}, family=madcap.IPV6))]
        clients = {4: Client(self.site.client), 6: Client(self.site.client, 6)}
        for client in clients.values():
            self.addCleanup(client.close)
        for n in range(self.DATAGRAMS):
            version = chance.choice((4, 6))
            to = chance.choice((SERVER, LOCAL_GROUP) if version == 4 else (SERVER6, SITE6_GROUP))
            data = (chance.randbytes(chance.randint(0, 200)) if chance.random() < 0.2
                    else self.mutated(chance, packets))[:1400]
            clients[version].endpoint.send(data, to)
            if n % 50 == 49:    # before the receive buffer is full; the answers don't matter
                for client in clients.values():
                    self.assertIsNotNone(self.probe(client), f"after {n} datagrams: " +
                                         self.daemon.log()[-2000:])
        stats = self.daemon.rpc("stats.get", owner="madcap")["madcap"]
        for counter in ("malformed-ignored", "invalid-request-sent", "from-server-ignored",
                        "nak-sent"):
            self.assertGreater(stats[counter], 10, counter)
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")
        self.assertEqual(clients[4].request().type, ACK)

    def probe(self, client):
        msg = message(GETINFO, {REQUEST_LIST: [CURRENT_TIME]})
        client.endpoint.send(madcap.build(msg), client.server)
        for data, _ in client.endpoint.receive(PATIENCE):
            if data[4:8] == msg.xid.to_bytes(4, "big"):
                return data
        return None

    def test_oversize_datagrams(self):
        with Client(self.site.client) as client:
            whole = madcap.build(message(REQUEST, {SCOPE: LOCAL}))
            for size in 1500, 9000, 20000, 65507:
                self.assertEqual(client.answers(bytes(size)), [])
                self.assertEqual(client.answers(whole[:-4] + (0x7777).to_bytes(2, "big") +
                                                (size - len(whole) - 4).to_bytes(2, "big") +
                                                bytes(size - len(whole) - 4)), [])
            stats = self.daemon.rpc("stats.get", owner="madcap")["madcap"]
            self.assertGreaterEqual(stats["malformed-ignored"] + stats["truncated-ignored"], 8)
            self.assertEqual(client.request().type, ACK)


class ControlSocket(unittest.TestCase):
    """Local programs that behave badly: the daemon serves the others."""

    def setUp(self):
        self.site = Site()
        self.daemon = self.site.daemon()
        self.addCleanup(self.daemon.stop)

    def test_a_line_of_100_mb(self):
        with Control(self.daemon.socket) as control:
            with self.assertRaises((ConnectionError, BrokenPipeError)):
                for _ in range(100):
                    control.socket.sendall(b"x" * 10**6)
                control.read()
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")

    def test_a_subscriber_that_stops_reading(self):
        with Control(self.daemon.socket) as control, Client(self.site.client) as client:
            control.call("events.subscribe")
            for _ in range(300):
                self.assertEqual(client.request().type, ACK)
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")


if __name__ == "__main__":
    netns.main()
