#!/usr/bin/env python3
"""The wall clock of the running daemon is stepped (libfaketime): a lease that had begun keeps what
was left of it, an advance lease keeps its times."""

import calendar
import glob
import os
import time
import unittest

import madcap
import netns
from harness import BUILD, DaemonFailed, temporary_folder, wait_until
from madcap import ACK, CURRENT_TIME, LEASE_TIME, RENEW, START_TIME
from madcap_site import CLIENT, CONFIG, Client, Site, new_id

FOUND = glob.glob("/usr/lib*/faketime/libfaketime.so.1") + \
    glob.glob("/usr/lib*/*/faketime/libfaketime.so.1")
SANITIZED = "-fsanitize" in (BUILD / "Makefile").read_text()
KEYS = "extra-allocation-time = 60\nclock-skew-allowance = 2000000000\n"
HOUR, DAY = 3600, 86400


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


@unittest.skipUnless(FOUND, "no libfaketime")
@unittest.skipIf(SANITIZED, "a sanitizer's own clocks come first")
class Stepped(unittest.TestCase):
    def setUp(self):
        self.site = Site()
        self.clock = temporary_folder() / "clock"
        self.set(0)
        self.daemon = self.site.daemon(KEYS, start=False, environment={
            "LD_PRELOAD": FOUND[0], "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        try:
            self.daemon.start()
        except DaemonFailed as failed:
            self.skipTest(f"libfaketime and this build do not go together: {failed.status}")
        self.addCleanup(self.daemon.stop)
        self.client = Client(self.site.client, address=CLIENT)
        self.addCleanup(self.client.close)

    def set(self, offset):
        self.offset = offset
        new = self.clock.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        os.replace(new, self.clock)

    def now(self):
        return time.time() + self.offset

    def step(self, by):
        """Until the daemon has noticed."""
        steps = self.daemon.log().count("clock.stepped")
        self.set(self.offset + by)
        wait_until(lambda: self.daemon.log().count("clock.stepped") > steps, "for clock.stepped")

    def left(self, lease):
        """Seconds until its end, as the daemon counts them."""
        return seconds(self.daemon.rpc("lease.get", lease=lease.hex())["end"]) - self.now()

    def assert_left(self, lease, seconds, steps):
        """Each step of no whole seconds is rounded up, for the lease's holder: a second at most."""
        left = self.left(lease)
        self.assertGreater(left, seconds - 2.5)
        self.assertLess(left, seconds + 2.5 + steps)

    def test_running_and_advance_leases(self):
        running, advance = new_id(), new_id()
        self.assertEqual(self.client.request(lease=running, options={LEASE_TIME: HOUR}).type, ACK)
        begins = int(self.now()) + 10 * DAY
        ack = self.client.request(lease=advance, options={
            LEASE_TIME: HOUR, START_TIME: begins, CURRENT_TIME: int(self.now())})
        self.assertEqual((ack.type, ack[START_TIME]), (ACK, begins))
        granted = time.monotonic()
        for steps, by in enumerate((HOUR, -2 * HOUR, DAY, -5 * DAY, 30, 5 * DAY), 1):
            with self.subTest(by):
                self.step(by)
                gone = time.monotonic() - granted
                self.assert_left(running, HOUR - gone, steps)
                item = self.daemon.rpc("lease.get", lease=advance.hex())
                self.assertEqual((seconds(item["start"]), seconds(item["end"])),
                                 (begins, begins + HOUR))
        self.assertEqual(len(self.daemon.leases()), 2)
        self.daemon.kill()
        self.daemon.start()
        self.assert_left(running, HOUR - (time.monotonic() - granted), 7)
        answer = self.client.ask(RENEW, {LEASE_TIME: 2 * HOUR}, lease=running)
        self.assertEqual((answer.type, answer[madcap.RANGES][0][1]), (ACK, 1))
        self.assertAlmostEqual(self.left(running), 2 * HOUR, delta=2.5)
        self.assertEqual(self.daemon.rpc("store.check")["ok"], True)


if __name__ == "__main__":
    netns.main()
