#!/usr/bin/env python3
"""Ranges that follow from an AS number or a unicast prefix, on a link between two namespaces: what
a client gets of them, and what a configuration may not say. RFC 3180 (GLOP), RFC 6034 (IPv4), RFC
3306, 3307, 7371 and 10028 (IPv6)."""

import ipaddress
import json
import os
import subprocess
import unittest

import harness
import madcap
import netns
from madcap_site import SERVER as SERVER4
from madcap_site import SERVER6, Client, Site

DAEMON = """[daemon]
roles = maas
plugins = madcap

[madcap]
"""
SCOPES = """
[scope glop]
family = ipv4
first = 233.0.0.0
last = 233.255.255.255
divisible = yes

[scope ubm]
family = ipv4
first = 234.0.0.0
last = 234.255.255.255
divisible = yes

[scope six]
family = ipv6
first = ff3e::
last = ff3e:ffff:ffff:ffff:ffff:ffff:ffff:ffff
divisible = yes

[scope organization]
family = ipv6
first = ff38::
last = ff38:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""
# By the documents: AS 64501 is fbf5; 198.51.96.0/20 has 16 groups; the /48 has plen 30, in hex.
EXPECTED = {
    "glop": ("glop = 64501", "233.251.245.0", "233.251.245.255", "AS 64501 (RFC 3180)"),
    "ubm": ("unicast-prefix = 198.51.96.0/20", "234.198.51.96", "234.198.51.111",
            "198.51.96.0/20 (RFC 6034)"),
    "six": ("unicast-prefix = 2001:db8:7::/48", "ff3e:30:2001:db8:7::8000:0",
            "ff3e:30:2001:db8:7::8fff:ffff", "2001:db8:7::/48 (RFC 3306)"),
    "organization": ("unicast-prefix = fd00:db8::/32", "ff38:20:fd00:db8::8000:0",
                     "ff38:20:fd00:db8::8fff:ffff", "fd00:db8::/32 (RFC 3306)"),
}
BEGINS = {"glop": "233.0.0.0", "ubm": "234.0.0.0", "six": "ff3e::", "organization": "ff38::"}


def range_of(scope, line):
    return f"\n[range of-{scope}]\nscope = {scope}\n{line}\n"


def addresses(texts):
    for text in texts:
        first, _, last = text.partition("-")
        one, two = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
        for n in range(int(one), int(two) + 1):
            yield type(one)(n)


class Leased(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        ranges = "".join(range_of(s, line + "\nexport = yes") for s, (line, *_) in EXPECTED.items())
        cls.server = cls.site.daemon(config=DAEMON + SCOPES + ranges)
        cls.addClassCleanup(cls.server.stop)

    def ctl(self, *words):
        environment = {**os.environ, "MALLOCD_PLUGIN_DIR": harness.PLUGINS}
        with self.site.client.space:
            done = subprocess.run([harness.program("mallocctl"), *words], capture_output=True,
                                  text=True, env=environment, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_within(self, scope, found):
        _, first, last, _ = EXPECTED[scope]
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        for address in found:
            self.assertTrue(low <= address <= high, f"{scope}: {address}")

    def test_a_client_on_the_link_leases_from_each(self):
        for scope, begin in BEGINS.items():
            with self.subTest(scope):
                server = SERVER6 if ":" in begin else SERVER4
                lease = self.ctl("--json", "--direct", "request", "--scope", begin, "--count", "3",
                                 "--server", server)
                found = list(addresses(lease["addresses"]))
                self.assertEqual(len(found), 3)
                self.assert_within(scope, found)

    def test_another_codec_leases_from_each(self):
        for scope, (_, first, *_) in EXPECTED.items():
            six = first.startswith("ff")
            with self.subTest(scope), Client(self.site.client, 6 if six else 4) as client:
                ack = client.request(BEGINS[scope], {madcap.NUMBER: (2, 2)})
                self.assertEqual(ack.type, madcap.ACK)
                found = [ipaddress.ip_address(start) + i for start, n in ack[madcap.RANGES]
                         for i in range(n)]
                self.assertEqual(len(found), 2)
                self.assert_within(scope, found)
                if six:
                    self.assert_format(found[0])

    def assert_format(self, address):
        """RFC 3306 4, RFC 7371 4.1.1, RFC 10028 3."""
        octets = address.packed
        self.assertEqual((octets[0], octets[1] >> 4, octets[2]), (0xff, 0x3, 0), "P, T, ff2, rsvd")
        self.assertLessEqual(octets[3], 64)
        network = int.from_bytes(octets[4:12], "big")
        self.assertEqual(network & (1 << 64 - octets[3]) - 1, 0, "behind plen")
        group = int.from_bytes(octets[12:], "big")
        self.assertTrue(0x80000000 <= group <= 0x8fffffff)

    def test_that_nobody_finds_it_by_the_local_group_is_said(self):
        self.assertIn("madcap.no-local-group", self.server.log())

    def test_what_is_said_of_them(self):
        shown = {r["range"]: r.get("derived_from") for r in self.server.rpc("range.list")["ranges"]}
        self.assertEqual(shown, {f"of-{s}": e[3] for s, e in EXPECTED.items()})
        self.assertEqual(sorted(r["prefix"] for r in self.server.rpc("route.list")["routes"]),
                         ["233.251.245.0/24", "234.198.51.96/28", "ff38:20:fd00:db8::/96",
                          "ff3e:30:2001:db8:7::/96"])


REFUSED = (
    # RFC 3180 4, 5; RFC 5771 9.2
    ("glop", "glop = 0", "AS 0 is reserved"),
    ("glop", "glop = 23456", "AS 23456 is nobody's"),
    ("glop", "glop = 64512", "AS 64512 is for private use"),
    ("glop", "glop = 65535", "AS 65535 is reserved"),
    ("glop", "glop = 65536", "AS 65536 has 32 bits"),
    ("glop", "glop = 4200000000", "AS 4200000000 has 32 bits"),
    ("glop", "glop = 1.10", "'1.10' is not a whole number"),
    ("ubm", "glop = 64501", "gives 233.251.245.0-233.251.245.255"),
    # RFC 6034 3
    ("ubm", "unicast-prefix = 198.51.100.0/25", "prefixes of more than 24 bits"),
    ("ubm", "unicast-prefix = 10.0.0.0/8", "private (RFC 1918)"),
    ("ubm", "unicast-prefix = 127.0.0.0/8", "loopback"),
    ("ubm", "unicast-prefix = 169.254.0.0/16", "link-local"),
    ("ubm", "unicast-prefix = 233.252.0.0/24", "multicast"),
    ("ubm", "unicast-prefix = 198.51.100.1/24", "bits are set behind the prefix length"),
    # RFC 3306 4, 6
    ("six", "unicast-prefix = 2001:db8::/65", "room for 64 bits"),
    ("six", "unicast-prefix = ::/0", "source-specific multicast"),
    ("six", "unicast-prefix = ff3e::/32", "multicast"),
    ("six", "unicast-prefix = fe80::/64", "link-local"),
    ("six", "unicast-prefix = fd00::/48", "scope value of at most d"),
    ("six", "unicast-prefix = 198.51.100.0/24", "another family"),
    # RFC 3307 4, RFC 10028 3
    ("organization", "unicast-prefix = fd00::/48", "90000000-efffffff, which are unassigned",
     "group-ids = 80000000-ffffffff"),
)


class Refused(unittest.TestCase):
    def test_a_bad_range_is_refused_with_its_line_and_what_to_do(self):
        folder = harness.temporary_folder()
        for scope, line, words, *more in REFUSED:
            with self.subTest(f"{scope}: {line}"):
                scopes = SCOPES + (more[0] + "\n" if more else "")
                text = DAEMON + scopes + range_of(scope, line)
                (folder / "mallocd.conf").write_text(text)
                done = subprocess.run(
                    [harness.program("mallocd"), "--check", "-c", str(folder / "mallocd.conf")],
                    capture_output=True, text=True, timeout=20,
                    env={**os.environ, "MALLOCD_PLUGIN_DIR": harness.PLUGINS})
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)
                number = text.splitlines().index(line) + 1
                self.assertIn(f"mallocd.conf:{number}: [range of-{scope}] {line.split()[0]}:",
                              done.stderr)


if __name__ == "__main__":
    netns.main()
