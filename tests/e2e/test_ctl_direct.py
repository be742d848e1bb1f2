#!/usr/bin/env python3
"""mallocctl as a client on the network: --direct without any daemon on its host, and --via through
one. The server is on the other end of a link between two namespaces (RFC 2730 2.2, appendix A)."""

import json
import os
import subprocess
import unittest

import harness
import netns
from madcap_site import SERVER, SERVER6, Site

CLIENT = """[daemon]
roles = client
plugins = madcap

[madcap]
interfaces = c0
"""


class Host(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.server = cls.site.daemon()
        cls.addClassCleanup(cls.server.stop)

    def ctl(self, *words, expect=0, **env):
        """mallocctl in the client's namespace."""
        environment = {**os.environ, "MALLOCD_PLUGIN_DIR": harness.PLUGINS, "LC_ALL": "C.UTF-8",
                       **env}
        with self.site.client.space:
            done = subprocess.run([harness.program("mallocctl"), *words], capture_output=True,
                                  text=True, env=environment, timeout=120)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def lease(self, *words, expected=None):
        done = self.ctl("--json", *words)
        answer = json.loads(done.stdout)
        held = self.server.leases()
        if expected is not None:
            self.assertEqual(len(held), expected)
        return answer, done.stderr


class Direct(Host):
    def test_request_renew_release(self):
        lease, shown = self.lease("--direct", "request", "--scope", "Site local", "--count", "3",
                                  "--lifetime", "2h", "--interface", "c0", expected=1)
        for word in ("DISCOVER", "OFFER", "REQUEST", "ACK"):
            self.assertIn(word, shown, "the exchange is shown")
        held = self.server.leases()[0]
        self.assertEqual((held["lease"], held["addresses"], held["count"]),
                         (lease["lease"], lease["addresses"], 3))
        where = ("--server", SERVER)
        self.ctl("--direct", "renew", lease["lease"], "--lifetime", "1d", *where)
        self.assertGreater(self.server.leases()[0]["end"], held["end"])
        self.ctl("--direct", "release", lease["lease"], *where)
        self.assertEqual(self.server.leases(), [])
        self.assertIn(lease["lease"], self.ctl("--direct", "release", lease["lease"], *where,
                                               expect=1).stderr)

    def test_scopes_are_those_of_the_servers(self):
        done = self.ctl("--direct", "scopes", "--server", SERVER)
        self.assertRegex(done.stdout, r"239\.255\.0\.0 +239\.255\.255\.255 +16 +en: Site local")
        self.assertIn("GETINFO", done.stderr)
        self.assertNotIn("madcap.no-local-group", self.server.log())

    def test_a_scope_of_either_family_by_its_name(self):
        lease, shown = self.lease("--direct", "request", "--scope", "Site six", "--server",
                                  SERVER6, expected=1)
        self.assertRegex(lease["addresses"][0], "^ff15::db8:8000:")
        self.assertIn("list of IPv6 scopes", shown)
        self.ctl("--direct", "release", lease["lease"], "--server", SERVER6)

    def test_refusals(self):
        for words, status, text in (
                ("request --scope nowhere --server " + SERVER, 1, "Site local"),
                ("request --scope x --via nothing", 1, "nothing"),
                ("request --scope x --port 99999", 1, "99999"),
                ("request --scope x --set nokey=1", 2, "has no key nokey"),
                ("request --scope x --set nokey", 2, "not KEY=VALUE"),
                ("request --scope x --cuont 2", 2, "--count"),
                ("reqest", 2, "request"), ("", 2, "say what to do"),
                ("leases", 0, ""), ("events", 1, "control socket")):
            with self.subTest(words):
                self.assertIn(text, self.ctl("--direct", *words.split(), expect=status).stderr)
        empty = str(harness.temporary_folder())
        done = self.ctl("--direct", "scopes", expect=1, MALLOCD_PLUGIN_DIR=empty)
        self.assertIn(empty, done.stderr)


class Via(Host):
    def test_through_the_daemon_of_this_host(self):
        with harness.Daemon(CLIENT, network=self.site.client.space) as own:
            at = ("-s", str(own.socket))
            lease, shown = self.lease(*at, "request", "--via", "madcap", "--scope", "Site local",
                                      expected=1)
            self.assertIn("OFFER", shown)
            self.assertIn(lease["lease"], self.ctl(*at, "leases").stdout)
            self.ctl(*at, "renew", lease["lease"], "--lifetime", "3h")
            self.ctl(*at, "release", lease["lease"])
            self.assertEqual(self.server.leases(), [])


if __name__ == "__main__":
    netns.main()
