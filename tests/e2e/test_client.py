#!/usr/bin/env python3
"""A daemon with role client leases for local programs from a daemon with role maas, over a link.
Sections in the names are RFC 2730's."""

import unittest

import netns
from harness import Client as Control
from harness import Daemon, RpcError, temporary_folder, wait_until
from madcap import ACK, DISCOVER, GETINFO, OFFER, RELEASE, RENEW, REQUEST
from madcap_site import SERVER6, Site, dissect, have_dissector

CLIENT = """[daemon]
roles = client
plugins = madcap
log-level = debug

[madcap]
interfaces = c0
"""


class Leasing(unittest.TestCase):
    keys = ""
    seen = "madcap && ip"       # IPv6 servers are looked for, too, and not there

    def setUp(self):
        self.site = Site()
        self.capture = self.site.capture(temporary_folder() / "traffic.pcap")
        self.server = self.site.daemon()
        self.addCleanup(self.server.stop)
        self.client = Daemon(CLIENT + self.keys, network=self.site.client.space)
        self.addCleanup(self.client.stop)

    def request(self, **params):
        return self.client.rpc("lease.request", via="madcap", **{"scope": "Site local", **params})

    def held(self):
        """The leases that the client holds, by identifier."""
        leases = self.client.rpc("lease.list").get("client_leases", [])
        return {lease["lease"]: lease for lease in leases}

    def granted(self):
        return {lease["lease"]: lease for lease in self.server.leases()}

    def sequence(self):
        """Types of the messages on the link, in order."""
        path = self.capture.stop()
        bad = dissect(path, "madcap.syntax || madcap.invalid || _ws.malformed", "frame.number")
        self.assertEqual(bad, [])
        return [int(row[0]) for row in dissect(path, self.seen, "madcap.type")]

    def test_2_2_request_and_release(self):
        lease = self.request(count=3, lifetime="2h")
        self.assertEqual((lease["count"], lease["state"], lease["via"]), (3, "leased", "madcap"))
        self.assertEqual(self.granted()[lease["lease"]]["addresses"], lease["addresses"])
        self.assertEqual(list(self.held()), [lease["lease"]])
        self.client.rpc("lease.release", lease=lease["lease"])
        self.assertEqual((self.granted(), self.held()), ({}, {}))
        if have_dissector():
            self.assertEqual(self.sequence(), [GETINFO, ACK, DISCOVER, OFFER, REQUEST, ACK,
                                               RELEASE, ACK])

    def test_2_2_7_renewed_of_its_own_accord_and_on_demand(self):
        lease = self.request(lifetime=4)
        first = self.granted()[lease["lease"]]["end"]
        wait_until(lambda: self.granted()[lease["lease"]]["end"] > first, "for the renewal")
        long = self.client.rpc("lease.renew", lease=lease["lease"], lifetime="1d")
        self.assertEqual(self.granted()[lease["lease"]]["end"], long["end"])
        self.assertEqual(self.held()[lease["lease"]]["addresses"], lease["addresses"])

    def test_2_4_leases_outlive_the_client(self):
        leases = [self.request()["lease"] for _ in range(3)]
        self.client.kill()
        self.client.start()
        self.assertEqual(sorted(self.held()), sorted(leases))
        self.client.rpc("lease.release", lease=leases[0])
        self.assertEqual(sorted(self.granted()), sorted(leases[1:]))

    def test_2_3_retransmission_until_the_server_is_there(self):
        """The server is away when the client first asks, and comes back with its leases."""
        first = self.request()
        self.server.kill()
        with Control(self.client.socket) as control:
            before = self.client.rpc("stats.get", owner="madcap")["madcap"]
            control.socket.sendall(b'{"jsonrpc":"2.0","id":1,"method":"lease.request",'
                                   b'"params":{"via":"madcap","scope":"Site local"}}\n')
            wait_until(lambda: self.client.rpc("stats.get", owner="madcap")["madcap"] != before,
                       "for the first DISCOVER")
            self.server.start()
            while "id" not in (answer := control.read()):
                pass
        self.assertEqual(answer["id"], 1)
        lease = answer["result"]
        self.assertEqual(sorted(self.granted()), sorted([first["lease"], lease["lease"]]))
        self.assertNotEqual(first["addresses"], lease["addresses"])

    def test_refusals_are_told(self):
        with self.assertRaisesRegex(RpcError, "Nowhere"):
            self.request(scope="Nowhere")
        self.assertEqual(self.granted(), {})


class Unicast(Leasing):
    """2.2.4: a server that is configured is asked first, here over IPv6."""
    keys = f"servers = {SERVER6}\n"
    seen = "madcap"

    def test_2_2_request_and_release(self):
        lease = self.request(count=3)
        self.assertIn(SERVER6, lease["server"])
        self.assertEqual(self.granted()[lease["lease"]]["addresses"], lease["addresses"])
        self.client.rpc("lease.release", lease=lease["lease"])
        if have_dissector():
            types = self.sequence()
            self.assertNotIn(DISCOVER, types)
            self.assertEqual(types[-4:], [REQUEST, ACK, RELEASE, ACK])

    test_2_2_7_renewed_of_its_own_accord_and_on_demand = None
    test_2_4_leases_outlive_the_client = None
    test_2_3_retransmission_until_the_server_is_there = None
    test_refusals_are_told = None


if __name__ == "__main__":
    netns.main()
