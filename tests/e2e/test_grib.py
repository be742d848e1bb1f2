#!/usr/bin/env python3
"""From claims to routers (RFC 2909 section 3): MASC and the exporter in one mallocd, a real BIRD 2
beside it, and on the other end of the link a peer made by hand or another domain with its BIRD.
What is won is in BIRD's table as long as it is the domain's, and not a moment is lost between."""

import datetime
import ipaddress
import re
import time
import unittest

import masc
from harness import Daemon, temporary_folder, wait_until
from netns import main
from test_bird import BIRD, BIRDC, Bird
from test_masc import KID, PATIENCE, PEER, TWIN, UP, US, MascCase, claim, config, peer_group

PREFIX = "239.193.4.0/24"
# The parent is the domain of the second BIRD's AS, the child that of the first one's.
PARENT, CHILD = 64502, 64501


def flows(*prefixes):
    return sorted(f"flow4 {{ dst {prefix}; }}" for prefix in prefixes)


class Exporting:
    """A BIRD, and what mallocd's configuration says of it."""

    def __init__(self, space, number):
        self.folder = temporary_folder()
        self.folder.chmod(0o755)
        include = (f'debug protocols {{ routes }};\n'
                   f'include "{str(self.folder)[:-1]}[{str(self.folder)[-1]}]/groups.conf";')
        self.bird = Bird(space, number, include)

    def config(self, text, plugins="masc; bird"):
        """TEXT with the exporter in it, and shorter times."""
        for key, value in ("waiting-period", "1"), ("initiate-claim-delay", "0"):
            text = re.sub(f"^{key} = .*", f"{key} = {value}", text, flags=re.MULTILINE)
        return text.replace("plugins = masc\n", f"plugins = {plugins}\n") + (
            f"[bird]\nfile = {self.folder / 'groups.conf'}\nsocket = {self.bird.socket}\n"
            "delay = 0\ninterval = 0\nretry = 1\nretry-most = 1\n")

    def wait_for(self, *prefixes):
        wait_until(lambda: self.bird.routes("gtab4") == flows(*prefixes),
                   f"for {prefixes}, not {self.bird.routes('gtab4')}:\n{self.bird.log()}",
                   PATIENCE)

    def history(self, prefix):
        """What BIRD's protocol did with the route, in order."""
        return re.findall(r"mallocd4\.flow4 > (added|updated|removed|replaced) .*dst " +
                          re.escape(prefix) + r"[ ;]", self.bird.log())


@unittest.skipUnless(BIRD and BIRDC, "no bird here: contrib/install-deps.sh test installs it")
class GribCase(MascCase):
    def setUp(self):
        super().setUp()
        self.ours = Exporting(self.left, 1)
        self.addCleanup(self.ours.bird.stop)
        self.ours.bird.start()

    def begin(self, peers, plugins="masc; bird", changes=(), **more):
        text = self.ours.config(config(peers, **more), plugins)
        for key, value in changes:
            text, n = re.subn(f"^{key} = .*", f"{key} = {value}", text, flags=re.MULTILINE)
            self.assertEqual(n, 1)
        self.daemon = Daemon(text, network=self.left)

    def with_sibling(self, **more):
        self.begin(peer_group("sibling", TWIN), **more)
        end = self.connect()
        end.open(masc.SIBLING, TWIN)
        self.wait_for_state("Established")
        return end

    def with_parent(self, lifetime):
        self.begin(peer_group("parent", UP))
        end = self.connect()
        end.open(masc.PARENT, UP)
        self.wait_for_state("Established")
        end.send(masc.Update([claim(masc.MANAGED, masc.INTERNAL, "239.193.0.0/16", UP,
                                    lifetime=lifetime)]))
        wait_until(lambda: self.daemon.rpc("masc.prefixes")["prefixes"], "for the parent's",
                   PATIENCE)
        return end

    def win(self, prefix=PREFIX, lifetime=3600):
        self.daemon.rpc("masc.claim", prefix=prefix, lifetime=lifetime)
        self.ours.wait_for(prefix)

    def until(self, prefix=PREFIX):
        return {route["prefix"]: route["until"]
                for route in self.daemon.rpc("route.list")["routes"]}.get(prefix)

    def ends_at(self):
        return datetime.datetime.fromisoformat(self.until().replace("Z", "+00:00")).timestamp()

    def asked(self):
        return self.daemon.rpc("stats.get")["bird"]["asked"]


class Lives(GribCase):
    def test_it_comes_when_it_is_won_5_1(self):
        end = self.with_sibling()
        self.ours.wait_for()
        self.daemon.rpc("masc.claim", prefix=PREFIX)
        end.claim(masc.NEW)
        self.assertEqual(self.ours.bird.routes("gtab4"), [], "claimed is not won")
        end.claim(masc.IN_USE)
        self.ours.wait_for(PREFIX)

    def test_renewals_leave_it_alone_5_2(self):
        end = self.with_sibling(changes=(("prefix-lifetime", "12"), ("renew-interval", "1")))
        self.win(lifetime=12)
        self.assertEqual(self.ours.history(PREFIX), ["added"])
        asked, began, ends = self.asked(), time.monotonic(), {self.until()}
        wait_until(lambda: ends.add(self.until()) or len(ends) >= 3, "for renewals", PATIENCE)
        self.assertGreater(time.monotonic() - began, 1)
        self.assertNotIn(None, ends)
        end.claim(masc.EXPAND)
        self.assertEqual(self.ours.history(PREFIX), ["added"])
        self.assertEqual(self.asked(), asked, "BIRD has nothing to read")

    def test_growth_is_another_prefix_5_3(self):
        end = self.with_sibling()
        self.win()
        self.daemon.rpc("masc.claim", prefix="239.193.4.0/23")
        end.claim(masc.EXPAND)
        self.assertEqual(self.ours.bird.routes("gtab4"), flows(PREFIX))
        self.ours.wait_for("239.193.4.0/23")
        self.assertEqual(self.ours.history("239.193.4.0/23"), ["added"])
        self.assertEqual(self.ours.history(PREFIX), ["added", "removed"])

    def test_it_goes_when_it_is_given_back_5_4(self):
        end = self.with_sibling()
        self.win()
        self.daemon.rpc("masc.withdraw", prefix="239.193.4.128/25")
        self.ours.wait_for("239.193.4.0/25")
        self.daemon.rpc("masc.withdraw", prefix="239.193.4.0/25")
        self.ours.wait_for()
        end.claim(masc.WITHDRAW)

    def test_it_ends_with_the_parent_s_prefix_5_2(self):
        end = self.with_parent(lifetime=6)
        self.win()
        last = self.ends_at()
        end.close()
        self.ours.wait_for()
        self.assertGreaterEqual(time.time(), last)
        self.assertEqual(self.ours.history(PREFIX), ["added", "removed"])

    def test_it_goes_with_what_the_parent_withdraws_11_7_4(self):
        end = self.with_parent(lifetime=3600)
        self.win()
        gone = claim(masc.WITHDRAW, masc.INTERNAL, "239.193.4.0/22", UP)
        end.send(masc.Update([gone]))
        self.ours.wait_for()


class Clashes(GribCase):
    def rival(self, end, prefix, left):
        """An older PREFIX_IN_USE of the sibling's, which lasts LEFT seconds from now."""
        then = int(time.time()) - 1000
        end.send(masc.Update([claim(masc.IN_USE, masc.INTERNAL, prefix, TWIN, timestamp=then,
                                    lifetime=1000 + left)]))

    def test_a_lost_clash_takes_it_12_4(self):
        end = self.with_sibling()
        self.win()
        self.rival(end, PREFIX, 3000)
        self.ours.wait_for()
        self.assertEqual(end.claim(masc.WITHDRAW).length, 24)
        self.assertEqual(self.ours.history(PREFIX), ["added", "removed"])

    def test_it_comes_back_when_the_clash_is_over_12_4(self):
        end = self.with_sibling(changes=(("extra-holding-time", "0"),))
        self.win()
        self.rival(end, PREFIX, 4)
        self.ours.wait_for()
        self.ours.wait_for(PREFIX)
        self.assertEqual(self.ours.history(PREFIX), ["added", "removed", "added"])

    def test_a_part_that_is_lost_for_a_time_stays_11_7_3(self):
        end = self.with_sibling()
        self.win("239.193.0.0/16")
        self.rival(end, PREFIX, 600)
        wait_until(lambda: len(self.available()) > 1, "for the hole", PATIENCE)
        end.claim(masc.WITHDRAW)
        self.assertEqual(self.daemon.rpc("bird.status")["state"], "in step")
        self.assertEqual(self.ours.bird.routes("gtab4"), flows("239.193.0.0/16"))

        self.rival(end, "239.193.128.0/17", 86400)
        wait_until(lambda: "239.193.0.0/16" not in str(self.ours.bird.routes("gtab4")),
                   "for the half that is lost for good", PATIENCE)
        for route in self.ours.bird.routes("gtab4"):
            prefix = re.search(r"dst ([\d./]+);", route)[1]
            self.assertTrue(ipaddress.ip_network(prefix).subnet_of(
                ipaddress.ip_network("239.193.0.0/17")))

    def test_a_clash_to_be_resolved_by_hand_keeps_it_12_4(self):
        end = self.with_sibling(changes=(("claim", "no\nclash-resolution = manual"),))
        self.win()
        self.rival(end, PREFIX, 3000)
        wait_until(lambda: not self.available(), "for the clash", PATIENCE)
        self.assertEqual(self.ours.bird.routes("gtab4"), flows(PREFIX))
        self.daemon.rpc("masc.resolve", prefix=PREFIX, how="yield")
        self.ours.wait_for()


class Restarts(GribCase):
    def survive(self, plugins, *ways):
        self.begin(peer_group("sibling", TWIN), plugins=plugins)
        self.win()
        for way in ways:
            getattr(self.daemon, way)()
            self.assertEqual(self.ours.bird.routes("gtab4"), flows(PREFIX))
            self.daemon.start()
            wait_until(lambda: self.daemon.rpc("bird.status")["state"] == "in step",
                       "for BIRD", PATIENCE)
            self.assertEqual(self.ours.bird.routes("gtab4"), flows(PREFIX))
        self.assertEqual(self.ours.history(PREFIX), ["added"], "there was never a gap")

    def test_a_restart_leaves_no_gap(self):
        self.survive("masc; bird", "stop", "kill")

    def test_nor_where_the_exporter_starts_first(self):
        self.survive("bird; masc", "kill")

    def test_nor_does_a_reload_that_restarts_masc(self):
        self.begin(peer_group("sibling", TWIN))
        self.win()
        text = self.ours.config(config(peer_group("sibling", TWIN) +
                                       "[masc-peer kid]\naddress = 192.0.2.9\nrole = child\n"
                                       f"domain-id = {KID}\n"))
        self.daemon.configure(text)
        self.daemon.rpc("config.reload")
        self.assertIn("route.removed", self.daemon.log(), "it was restarted")
        wait_until(lambda: self.daemon.rpc("bird.status")["state"] == "in step", "for BIRD",
                   PATIENCE)
        self.assertEqual(self.ours.history(PREFIX), ["added"], "there was never a gap")

    def test_what_ended_meanwhile_is_gone(self):
        self.with_parent(lifetime=5)
        self.win()
        last = self.ends_at()
        self.daemon.stop()
        wait_until(lambda: time.time() > last, "for the end", PATIENCE)
        self.assertEqual(self.ours.bird.routes("gtab4"), flows(PREFIX))
        self.daemon.start()
        self.ours.wait_for()


class Domains(GribCase):
    """A parent and its child, and BGP between their routers."""

    def setUp(self):
        super().setUp()
        self.theirs = Exporting(self.right, 2)
        self.addCleanup(self.theirs.bird.stop)
        self.theirs.bird.start()

    def test_the_parent_s_router_hears_of_the_child_s_groups_3(self):
        self.begin(f"[masc-peer up]\naddress = {PEER}\nrole = parent\ndomain-id = {PARENT}\n",
                   domain=CHILD)
        top = self.theirs.config(config(
            f"[masc-peer kid]\naddress = {US}\nrole = child\ndomain-id = {CHILD}\n",
            domain=PARENT, node=PEER))
        with Daemon(top, network=self.right) as parent:
            self.wait_for_state("Established")
            parent.rpc("masc.claim", prefix="239.193.0.0/16")
            self.ours.wait_for("239.193.0.0/16")
            self.daemon.rpc("masc.claim", prefix=PREFIX)
            self.theirs.wait_for("239.193.0.0/16", PREFIX)
            path = self.theirs.bird.ask("show", "route", "all", "table", "gtab4").stdout
            self.assertEqual(re.findall(r"BGP.as_path: *(.*)", path), [str(CHILD)])
            self.daemon.rpc("masc.withdraw", prefix=PREFIX)
            self.theirs.wait_for("239.193.0.0/16")


if __name__ == "__main__":
    main()
