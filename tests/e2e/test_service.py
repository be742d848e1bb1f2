#!/usr/bin/env python3
"""What a service manager sees: sd_notify's readiness, watchdog, reload and stop. No network, no
plugin."""

import os
import signal
import socket
import sys
import time
import unittest

import harness

CONFIG = """[daemon]
roles = maas

[scope local]
family = ipv4
first = 239.255.0.0
last = 239.255.255.255

[range lab]
scope = local
first = 239.255.1.0
last = 239.255.1.255
"""
WATCHDOG_US = 400000


def built_with_systemd():
    return "#define HAVE_SYSTEMD 1" in (harness.BUILD / "config.h").read_text()


class Service(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temporary_folder()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.folder / "notify"))
        os.environ.update(NOTIFY_SOCKET=str(self.folder / "notify"), WATCHDOG_USEC=str(WATCHDOG_US))
        self.daemon = harness.Daemon(CONFIG, folder=self.folder)
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            del os.environ[name]
        self.addCleanup(self.manager.close)
        self.addCleanup(self.daemon.stop)

    def expect(self, word):
        """The next notice that says WORD, and when it came."""
        deadline = time.monotonic() + harness.PATIENCE
        while True:
            self.manager.settimeout(max(deadline - time.monotonic(), 0.001))
            notice = self.manager.recv(4096).decode()
            if word in notice:
                return notice, time.monotonic()

    def test_ready_watchdog_reload_stop(self):
        self.expect("READY=1")
        times = [self.expect("WATCHDOG=1")[1] for _ in range(4)]
        self.assertLess(times[3] - times[0], 3 * WATCHDOG_US / 1e6 + 1, "twice in each interval")
        self.daemon.signal(signal.SIGHUP)
        notice, _ = self.expect("RELOADING=1")
        self.assertRegex(notice, r"MONOTONIC_USEC=[1-9][0-9]*")
        self.expect("READY=1")
        self.daemon.signal(signal.SIGTERM)
        self.expect("STOPPING=1")

    def test_a_refused_reload_is_ready_again(self):
        self.expect("READY=1")
        self.daemon.configure(CONFIG.replace("maas", "mars"))
        self.daemon.signal(signal.SIGHUP)
        self.expect("RELOADING=1")
        self.expect("READY=1")
        self.assertEqual(self.daemon.rpc("status")["roles"], ["maas"])
        self.assertIn("mars", self.daemon.log())


if __name__ == "__main__":
    if not built_with_systemd():
        print("built without libsystemd")
        sys.exit(77)
    unittest.main()
