#!/usr/bin/env python3
"""Durable before acknowledged, whatever happens to the daemon and its disk: killed under load, the
disk full, writes and syncs that fail, the power cut in the middle of a write. Each lease whose ACK
a client received is there afterwards, and none is given twice over the whole history.

KILLS=300 in the environment: as many of each (make soak-crash). CRASH_SEED: what a run printed; it
gives the same choices, though never the same instants."""

import itertools
import os
import random
import secrets
import signal
import struct
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
        self.again = f"again: CRASH_SEED={SEED} KILLS={KILLS} top_builddir=... {sys.argv[0]} {name}"
        print(self.again, flush=True)
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
        self.assertEqual(process.returncode, -signal.SIGKILL, self.daemon.log()[-3000:])
        self.load.drain()

    def recover(self):
        """The disk is sound again: the daemon finds out by itself. A write that failed just before
        may be told later than what it says of its state; but not later than a grant that was asked
        for afterwards, since the store's batches end in their order."""
        self.load.settle()
        wanted = self.load.wish()
        def recovered():
            self.status = self.daemon.rpc("status")
            if self.status["state"] == "ok":
                self.load.ask_one_by_one(self.load.request, [wanted])
            return wanted.blocks
        try:
            wait_until(recovered, "for the recovery")
        except AssertionError as failed:
            raise AssertionError(f"{failed}: {self.status}") from None
        self.load.abandon()
        self.check()
        self.check_on_the_wire()

    def ask_again(self, among=None, most=60):
        """As clients do that got no answer."""
        leases = [lease for lease in self.load.ledger.unanswered()
                  if among is None or lease.id in among]
        self.load.ask_one_by_one(self.load.request, leases[-most:])
        return len(leases)

    @staticmethod
    def rounds(least, enough):
        """1, 2, 3, ...: at least so many, more until it is ENOUGH, within reason."""
        for done in itertools.count(1):
            yield done
            if done >= least * 10 or done >= least and enough():
                return

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
        self.assertTrue("not closed in good order" in self.daemon.log())
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


class Failing(Crash):
    """What SQLite is told by a failing disk; now and then the power goes, too."""
    command = ("tests/support/mallocd-disk",)
    # Most chances of a million: writes are many, syncs few.
    KINDS = {"fail_write": 20000, "short_write": 20000, "full": 20000, "fail_sync": 300000,
             "fail_truncate": 10**6, "fail_read": 200000}
    REASONS = "check the disk", "the disk is full"

    def setUp(self):
        super().setUp()
        self.folder = temporary_folder()
        self.control = Control(self.folder / "control", self.chance.getrandbits(32))
        self.environment = {"MALLOCD_DISK_CONTROL": str(self.folder / "control"),
                            "MALLOCD_DISK_LOG": str(self.folder / "log")}
        self.make_daemon(state_dir=self.folder / "state")
        self.disk = Disk(self.daemon.state_dir, self.folder / "log")
        self.refused = self.recovered = self.cuts = 0

    def hurt(self):
        for kind in self.chance.sample(sorted(self.KINDS), self.chance.choice((1, 1, 2))):
            self.control[kind] = self.chance.randint(1, self.KINDS[kind])
        if self.chance.random() < 0.3:
            self.control["count"] = self.chance.randint(1, 300)

    def kill(self):
        self.load_and_kill(self.chance.uniform(0.0, 0.1))
        self.disk.settle()
        if self.chance.random() < 0.5:
            self.disk.replay()
            self.disk.cut(self.chance, self.daemon.state_dir)
            self.disk.restart()
            self.cuts += 1

    def start_hurt(self):
        """It serves, or says why not."""
        self.hurt()
        try:
            self.start()
            self.daemon.kill()
        except DaemonFailed as failed:
            last = failed.log.splitlines()[-1]
            self.assertEqual(failed.status, 1, failed.log[-3000:])
            self.assertTrue(any(reason in last for reason in self.REASONS), last)
            self.refused += 1
        self.disk.settle()
        self.control.heal()

    def test_failing_disk_under_load(self):
        least = KILLS or 16
        for rounds in self.rounds(least, lambda: self.load.naks > 0 and
                                  self.control["faults"] > least // 4):
            if self.chance.random() < 0.3:
                self.start_hurt()
            self.start()
            self.check()
            self.ask_again()
            self.check_on_the_wire()
            self.load_for(self.chance.uniform(0.0, 0.1))
            self.hurt()
            self.load_for(self.chance.uniform(0.02, 0.3))
            if self.chance.random() < 0.25:
                self.control.heal()
                self.recover()
                self.recovered += 1
            self.kill()
            self.control.heal()
        self.start()
        self.check()
        self.tell(f"{rounds} rounds, {self.control['faults']} faults in {self.control['writes']} "
                  f"writes and {self.control['syncs']} syncs, {self.recovered} recoveries, "
                  f"{self.refused} refused starts, {self.cuts} power cuts")
        self.assertGreater(self.load.naks, 0)
        self.assertGreater(self.control["faults"], least // 4)


class CutShort(unittest.TestCase):
    """SIGKILL in the middle of a write, of a file or of the log that tells of it: the log must tell
    what is there, and go on."""
    FILE = b"mallocd.db"

    def setUp(self):
        folder = temporary_folder()
        (folder / "state").mkdir()
        self.file, self.log = folder / "state" / "mallocd.db", folder / "log"
        self.disk = Disk(folder / "state", self.log)

    def note(self, kind, offset, data, cut=None):
        entry = struct.pack("=B3xIQQ", ord(kind), len(data), 1, offset) + data
        with open(self.log, "ab") as log:
            log.write(entry[:cut])
        return len(entry)

    def written(self, last, done, cut=None):
        """LAST is noted, up to CUT; DONE octets of it are there."""
        self.note("O", 0, self.FILE)
        self.note("W", 0, b"first")
        length = self.note("W", 3, last, cut)
        content = bytearray(b"first")
        content[3:3 + done] = last[:done]
        self.file.write_bytes(content)
        return length

    def expect(self):
        self.disk.settle()
        there = self.file.read_bytes()
        self.note("W", len(there), b"more")
        self.file.write_bytes(there + b"more")
        self.disk.settle()
        self.disk.replay()
        self.assertEqual(bytes(self.disk.names["mallocd.db"].current), there + b"more")

    def test_a_write(self):
        for done in range(9):
            with self.subTest(done=done):
                self.setUp()
                self.written(b"and last", done)
                self.expect()

    def test_a_note(self):
        for cut in range(24 + 8):
            with self.subTest(cut=cut):
                self.setUp()
                self.assertEqual(self.written(b"and last", 0, cut), 24 + 8)
                self.expect()

    def test_what_was_never_noted(self):
        self.written(b"and last", 8)
        self.file.write_bytes(b"something else")
        self.assertRaises(AssertionError, self.disk.settle)


class FullDisk(Crash):
    def mount(self, size):
        self.folder = temporary_folder()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder)]
        if subprocess.run(mount).returncode != 0:
            self.skipTest("no tmpfs may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.folder)])
        self.make_daemon(state_dir=self.folder)
        self.filler = self.folder / "filler"

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            for size in 1 << 20, 4096:
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    pass

    def free(self):
        self.filler.unlink(missing_ok=True)

    def start_full(self):
        try:
            self.start()
            self.check()
            self.daemon.kill()
        except DaemonFailed as failed:
            self.assertEqual(failed.status, 1, failed.log[-3000:])
            last = failed.log.splitlines()[-1]
            self.assertTrue("full" in last or "No space left" in last, last)
            return True
        return False

    def test_full_disk_under_load(self):
        self.mount("48m")
        refused, recovered = 0, 0
        for rounds in self.rounds(KILLS or 10, lambda: self.load.naks > 0):
            self.start()
            self.check()
            self.ask_again()
            self.check_on_the_wire()
            filling = threading.Timer(self.chance.uniform(0.0, 0.1), self.fill)
            filling.start()
            self.load_for(self.chance.uniform(0.05, 0.3))
            filling.join()
            if self.chance.random() < 0.3:
                self.free()
                self.recover()
                recovered += 1
            self.load_and_kill(self.chance.uniform(0.0, 0.1))
            if self.chance.random() < 0.5:
                refused += self.start_full()
            self.free()
        self.start()
        self.check()
        self.check_on_the_wire(10**6)
        self.tell(f"{rounds} rounds, {recovered} recoveries, {refused} refused starts")
        self.assertGreater(self.load.naks, 0)


class OutOfMemory(Crash):
    """The daemon ends where it gets no memory, says so, and has lost nothing."""

    def limit(self, size):
        """All memory that the process may map, in octets."""
        pid = str(self.daemon.process.pid)
        subprocess.run(["prlimit", "--pid", pid, f"--as={size}"], check=True)

    def mapped(self):
        with open(f"/proc/{self.daemon.process.pid}/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")

    def test_no_more_memory(self):
        self.load.LIVE = 10**6
        self.make_daemon()
        self.start()
        if self.mapped() > 1 << 40:
            self.skipTest("a sanitizer maps it all beforehand")
        ended, rounds = 0, KILLS or 3
        for _ in range(rounds):
            self.load_for(0.1)
            self.limit(self.mapped() + self.chance.randrange(1 << 18))
            process, deadline = self.daemon.process, time.monotonic() + 6
            self.load.run(lambda: process.poll() is None and time.monotonic() < deadline)
            if process.poll() is not None:
                self.assertIn(process.returncode, (-5, -6), self.daemon.log()[-2000:])
                self.assertRegex(self.daemon.log()[-2000:], "failed to allocate|no memory for")
                ended += 1
            self.daemon.kill()
            self.load.drain()
            self.start()
            self.check()
        self.tell(f"{ended} of {rounds} daemons without memory ended")
        self.check_on_the_wire(10**6)


if __name__ == "__main__":
    netns.main()
