#!/usr/bin/env python3
"""The guide's plugin in the real daemon, compiled as the guide says: what waits for space gets it,
from the control socket and from MADCAP (RFC 2730 2.13.2), on loopback; and it is there after a kill."""

import os
import re
import shutil
import socket
import sys
import threading
import unittest

import built

sys.path.insert(0, str(built.SOURCE / "tests/e2e"))
import harness                  # noqa: E402
import madcap                   # noqa: E402


def guide_config():
    text = (built.SOURCE / "doc/plugin-guide.md").read_text()
    return re.search(r"^```ini\n(.*?)^```$", text, re.M | re.S).group(1)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Pool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder()
        built.install_headers(cls.folder)
        (cls.folder / "plugins").mkdir()
        built.compile_plugin(built.POOL, cls.folder / "plugins/pool.so", cls.folder)
        shutil.copy(built.MADCAP, cls.folder / "plugins")
        harness.PLUGINS = str(cls.folder / "plugins")

    def daemon(self, delay):
        self.port = free_port()
        config, found = re.subn(r"delay = \d+", f"delay = {delay}", guide_config())
        self.assertEqual(found, 1)
        config += f"[madcap]\ninterfaces = lo\nport = {self.port}\nretry-after = 5\n"
        daemon = harness.Daemon(config)
        self.addCleanup(daemon.stop)
        return daemon

    def waiting(self, daemon):
        return daemon.rpc("stats.get", owner="core")["core"]["requests-waiting"]

    def brought(self, daemon):
        return daemon.rpc("pool.state")["brought"]

    def test_a_request_waits_and_is_granted(self):
        daemon = self.daemon(delay=1)
        with self.assertRaisesRegex(harness.RpcError, "16 owned"):
            daemon.rpc("lease.request", scope="lab", count=100)
        self.assertEqual(self.brought(daemon), [])
        lease = daemon.rpc("lease.request", scope="lab", count=100, wait=True)
        self.assertEqual(lease["count"], 100)
        self.assertEqual(self.brought(daemon),
                         ["239.255.2.0-239.255.2.63", "239.255.2.64-239.255.2.127"])
        self.assertEqual(daemon.rpc("stats.get", owner="pool")["pool"],
                         {"demands": 1, "ranges-brought": 2, "not-kept": 0, "addresses": 128})
        self.assertIn("239.255.2.64-239.255.2.127 of scope lab can be leased now", daemon.log())

        daemon.kill()
        daemon.start()
        self.assertEqual(daemon.rpc("lease.get", lease=lease["lease"])["addresses"],
                         lease["addresses"])
        self.assertEqual(len(self.brought(daemon)), 2)

    def request(self, lease, features):
        options = {madcap.SERVER_ID: "127.0.0.1", madcap.LEASE_ID: lease,
                   madcap.SCOPE: "239.255.0.0", madcap.NUMBER: (100, 100)}
        if features:
            options[madcap.FEATURES] = madcap.Features(supported=[madcap.RETRY_AFTER])
        return madcap.Message(madcap.REQUEST, madcap.IPV4, int.from_bytes(os.urandom(4), "big"),
                              options)

    def test_madcap_2_13_2_retry_after(self):
        daemon = self.daemon(delay=4)
        lease = b"\x00" + os.urandom(16)
        with madcap.Endpoint("lo", address="127.0.0.1") as client:
            answer = client.exchange(self.request(lease, True), "127.0.0.1", self.port, until=15)
            self.assertEqual(answer.type, madcap.ACK)
            self.assertIn(madcap.RETRY_TIME, answer)
            self.assertFalse(answer.get(madcap.RANGES))
            self.assertEqual(self.waiting(daemon), 1)
            harness.wait_until(lambda: self.waiting(daemon) == 0, "for the pool")
            answer = client.exchange(self.request(lease, True), "127.0.0.1", self.port, until=15)
            self.assertEqual(answer.type, madcap.ACK)
            self.assertEqual(sum(count for _, count in answer[madcap.RANGES]), 100)
            self.assertEqual(answer[madcap.LEASE_ID], lease)
        self.assertEqual(daemon.rpc("lease.get", lease=lease.hex())["count"], 100)

    def test_madcap_without_the_feature_the_ack_comes_with_the_addresses(self):
        daemon = self.daemon(delay=1)
        lease = b"\x00" + os.urandom(16)
        with madcap.Endpoint("lo", address="127.0.0.1") as client:
            answer = client.exchange(self.request(lease, False), "127.0.0.1", self.port, until=15)
        self.assertEqual(answer.type, madcap.ACK)
        self.assertEqual(sum(count for _, count in answer[madcap.RANGES]), 100)
        self.assertEqual(len(self.brought(daemon)), 2)

    def test_reload_while_it_writes(self):
        """The plugin restarts, and reads its records, while the store is busy."""
        daemon = self.daemon(delay=0)
        config = daemon.config_file.read_text()
        stop = threading.Event()

        def lease_on():
            with harness.Client(daemon.socket) as client:
                while not stop.is_set():
                    lease = client.call("lease.request", scope="lab", count=1, wait=True)
                    client.call("lease.release", lease=lease["lease"])

        threads = [threading.Thread(target=lease_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            daemon.rpc("lease.request", scope="lab", count=200, wait=True)
            before = self.brought(daemon)
            for i in range(60):
                scope = "lab" if i % 2 else "lab2"
                text = config.replace("[range start]",
                                      "[scope lab2]\nfamily = ipv4\nfirst = 239.254.0.0\n"
                                      "last = 239.254.255.255\nttl = 16\n[range start]")
                if scope == "lab2":
                    text = re.sub(r"(\[pool\]\n)scope = lab\nfirst = .*\nlast = .*\n",
                                  r"\1scope = lab2\nfirst = 239.254.2.0\nlast = 239.254.2.255\n",
                                  text)
                daemon.config_file.write_text(text)
                daemon.rpc("config.reload")
                self.assertEqual(daemon.rpc("pool.state")["scope"], scope)
                self.assertEqual(self.brought(daemon)[:len(before)], before)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    unittest.main()
