#!/usr/bin/env python3
"""Durable before acknowledged, whatever happens to the daemon and its disk: killed under load, the
disk full, writes and syncs that fail, the power cut in the middle of a write. Each lease whose ACK
a client received is there afterwards, and none is given twice over the whole history.

KILLS=300 in the environment: as many of each (make soak-crash). CRASH_SEED: what a run printed; it
gives the same choices, though never the same instants."""

import os
import random
import secrets
import subprocess
import sys
import threading
import time
import unittest

import netns
from disk import Control, Disk
from harness import DaemonFailed, temporary_folder, wait_until
from load import Load
from madcap_site import CONFIG, Site

SEED = int(os.environ.get("CRASH_SEED") or secrets.randbits(32))
KILLS = int(os.environ.get("KILLS") or 0)
SMALL = (CONFIG.replace("log-level = debug", "log-level = info")
         .replace("first = 239.255.1.0\nlast = 239.255.199.255",
                  "first = 239.255.1.0\nlast = 239.255.32.255"))
assert SMALL.count("239.255.32.255") == 1
# Addresses are free again at once, so that a lease that was forgotten is soon given twice.
KEYS = "extra-allocation-time = 0\nclock-skew-allowance = 1\nresponse-cache-entries = 65536\n"


class Crash(unittest.TestCase):
    command, environment = ("mallocd",), {}

    def setUp(self):
        name = f"{type(self).__name__}.{self._testMethodName}"
        print(f"again: CRASH_SEED={SEED} KILLS={KILLS} top_builddir=... {sys.argv[0]} {name}",
              flush=True)
        self.chance = random.Random(f"{SEED} {name}")
        self.site = Site()
        self.load = Load(self.site.client, self.chance.getrandbits(32))
        self.addCleanup(self.load.close)
        self.started = 0
        self.slowest = 0.0

    def make_daemon(self, **more):
        self.daemon = self.site.daemon(KEYS, config=SMALL, start=False, command=self.command,
                                       environment=self.environment, **more)
        self.addCleanup(lambda: self.daemon.process and self.daemon.kill())

    def start(self):
        before = time.monotonic()
        self.daemon.start()
        self.slowest = max(self.slowest, time.monotonic() - before)
        self.started += 1

    def check(self):
        """What the running daemon says of the leases."""
        self.load.ledger.compare(self.daemon.leases())
        self.assertEqual(self.daemon.rpc("store.check")["ok"], True)

    def check_on_the_wire(self, most=40):
        live = [lease for lease in self.load.ledger.live() if lease.until > time.time() + 10]
        self.load.probe(self.chance.sample(live, min(most, len(live))))

    def load_for(self, seconds):
        end = time.monotonic() + seconds
        self.load.run(lambda: time.monotonic() < end)

    def load_and_kill(self, delay):
        """SIGKILL at an instant that nobody here knows."""
        process = self.daemon.process
        timer = threading.Timer(delay, process.kill)
        timer.start()
        self.load.run(lambda: process.poll() is None)
        timer.join()
        self.daemon.kill()
        self.load.drain()

    def ask_again(self, among=None, most=60):
        """As clients do that got no answer."""
        leases = [lease for lease in self.load.ledger.unanswered()
                  if among is None or lease.id in among]
        self.load.ask_one_by_one(self.load.request, leases[-most:])
        return len(leases)

    def tell(self, what):
        ledger = self.load.ledger
        print(f"{what}; {ledger.acknowledged} acknowledgements, {len(ledger.leases)} leases asked "
              f"for, {len(ledger.live())} live, {self.load.naks} refusals; slowest start "
              f"{self.slowest:.2f} s", flush=True)


class Killed(Crash):
    def test_sigkill_under_load(self):
        self.make_daemon()
        kills = early = 0
        while kills + early < (KILLS or 32):
            self.start()
            self.check()
            self.ask_again()
            self.check_on_the_wire()
            self.load_and_kill(self.chance.uniform(0.002, 0.25))
            kills += 1
            if self.chance.random() < 0.25:
                self.daemon._spawn()
                self.load_and_kill(self.chance.uniform(0.0, 0.1))
                early += 1
        self.start()
        self.check()
        self.check_on_the_wire(10**6)
        self.tell(f"{kills} kills under load, {early} while it started")
        self.assertGreater(self.load.ledger.acknowledged, kills * 10)


class PowerCut(Crash):
    command = ("tests/support/mallocd-disk",)
    STATES = 3                  # a kill: different remains of one disk

    def setUp(self):
        super().setUp()
        self.folder = temporary_folder()
        self.environment = {"MALLOCD_DISK_LOG": str(self.folder / "log")}
        self.make_daemon(state_dir=self.folder / "state")
        self.disk = Disk(self.daemon.state_dir, self.folder / "log")

    def kill(self):
        self.load_and_kill(self.chance.uniform(0.002, 0.2))
        self.disk.settle()

    def cut(self):
        self.disk.replay()
        return self.disk.cut(self.chance, self.daemon.state_dir)

    def test_power_cut_under_load(self):
        states = kills = again = 0
        while states < (KILLS or 36):
            for last in False, False, True:
                said = self.cut()
                kept = self.disk.log.read_bytes(), self.disk.base
                self.disk.restart()
                try:
                    self.start()
                    self.check()
                except (AssertionError, DaemonFailed) as failed:
                    raise AssertionError(f"{failed}\n{said}\n{self.daemon.log()[-3000:]}") from None
                states += 1
                if not last:
                    self.daemon.kill()
                    self.disk.log.write_bytes(kept[0])
                    self.disk.base = kept[1]
            self.check_on_the_wire()
            self.kill()
            kills += 1
            if self.chance.random() < 0.5:
                # What it finds was perhaps never synced; what it answers for must be durable.
                self.start()
                again += self.ask_again({bytes.fromhex(item["lease"])
                                         for item in self.daemon.leases()})
                self.daemon.kill()
                self.disk.settle()
                kills += 1
        self.tell(f"{states} states after {kills} kills, {again} leases asked for again")
        self.assertGreater(self.load.ledger.acknowledged, kills * 10)


if __name__ == "__main__":
    netns.main()
