#!/usr/bin/env python3
"""The exporter of group prefixes with a real BIRD 2, and a second one behind it that hears of them
by BGP: what the domain has is in the tables of both, and what it has no more is in neither."""

import os
import re
import shutil
import stat
import subprocess
import time
import unittest

from harness import PLUGINS, SOURCE, Daemon, die_with_parent, program, temporary_folder, wait_until
from netns import Namespace, link, main

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
BIRD, BIRDC = shutil.which("bird", path=PATH), shutil.which("birdc", path=PATH)

SCOPES = """
[scope world]
family = ipv4
first = 233.252.0.0
last = 233.252.3.255
divisible = yes

[scope world6]
family = ipv6
first = ff3e:20:2001:db8::
last = ff3e:20:2001:db8::ffff:ffff
divisible = yes
"""
RANGE4 = """
[range four]
scope = world
first = 233.252.0.0
last = 233.252.2.255
export = {}
"""
RANGE6 = """
[range six]
scope = world6
first = ff3e:20:2001:db8::8000:0
last = ff3e:20:2001:db8::8000:ffff
export = yes
"""
FOUR = ["flow4 { dst 233.252.0.0/23; }", "flow4 { dst 233.252.2.0/24; }"]
SIX = ["flow6 { dst ff3e:20:2001:db8::8000:0/112; }"]

# The frame of the manual's example; {include} stands where the file is included.
BIRD_CONF = """
log "{folder}/log" all;
router id 192.0.2.{number};
flow4 table gtab4;
flow6 table gtab6;
ipv4 table mtab4;
protocol device {{ }}
filter groups {{
  bgp_large_community.add((64501, 1, 1));
  accept;
}}
{include}
protocol bgp neighbour {{
  local 192.0.2.{number} as 6450{number};
  neighbor 192.0.2.{other} as 6450{other};
  connect delay time 1;
  error wait time 1, 2;
  flow4 {{ table gtab4; import all; export all; }};
  flow6 {{ table gtab6; import all; export all; }};
}}
"""


class Bird:
    """A BIRD in a namespace with its own folder."""

    def __init__(self, space, number, include=""):
        self.space = space
        self.folder = temporary_folder()
        self.config = self.folder / "bird.conf"
        self.socket = self.folder / "bird.ctl"
        self.text = BIRD_CONF.format(folder=self.folder, number=number, other=3 - number,
                                     include=include)
        self.process = None
        self.configure(self.text)

    def configure(self, text):
        self.config.write_text(text)

    def start(self):
        with self.space:
            self.process = subprocess.Popen(
                [BIRD, "-f", "-c", str(self.config), "-s", str(self.socket),
                 "-P", str(self.folder / "pid")], preexec_fn=die_with_parent)
        wait_until(lambda: (self.process.poll() is not None
                            or self.ask("show status").returncode == 0), "for BIRD")
        if self.process.poll() is not None:
            raise AssertionError("BIRD does not start: " + self.log())

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def ask(self, *words):
        return subprocess.run([BIRDC, "-s", str(self.socket), *words], capture_output=True,
                              text=True)

    def routes(self, table, *more):
        out = self.ask("show", "route", *more, "table", table).stdout
        return sorted(line.split("  [")[0].strip() for line in out.splitlines()
                      if line.startswith(("flow", "233.")))

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


@unittest.skipUnless(BIRD and BIRDC, "no bird here: contrib/install-deps.sh test installs it")
class TestBird(unittest.TestCase):
    def setUp(self):
        ours, theirs = Namespace(), Namespace()
        link(ours, "a0", theirs, "b0")
        ours.add("a0", "192.0.2.1/24")
        theirs.add("b0", "192.0.2.2/24")
        self.folder = temporary_folder()
        self.folder.chmod(0o755)
        self.file = self.folder / "groups.conf"
        pattern = f"{str(self.folder)[:-1]}[{str(self.folder)[-1]}]/groups.conf"
        self.bird = Bird(ours, 1, f'include "{pattern}";')
        self.neighbour = Bird(theirs, 2)
        self.daemon = None
        self.ours = ours
        self.addCleanup(self.end)

    def end(self):
        if self.daemon:
            self.daemon.stop()
        self.bird.stop()
        self.neighbour.stop()

    def config(self, ranges, keys=""):
        return (f"[daemon]\nplugins = bird\nlog-level = debug\n{SCOPES}{ranges}\n"
                f"[bird]\nfile = {self.file}\nsocket = {self.bird.socket}\n"
                f"delay = 0\nretry = 1\nretry-most = 1\n{keys}"
                + ("" if "interval" in keys else "interval = 0\n"))

    def start_daemon(self, ranges, keys=""):
        self.daemon = Daemon(self.config(ranges, keys), network=self.ours)

    def reload(self, ranges, keys=""):
        self.daemon.configure(self.config(ranges, keys))
        self.daemon.rpc("config.reload")

    def status(self):
        return self.daemon.rpc("bird.status")

    def in_step(self, routes):
        def there():
            status = self.status()
            return status["state"] == "in step" and status["routes"] == routes
        wait_until(there, f"for {routes} routes: {self.daemon.log()}")

    def wait_for(self, bird, table, routes):
        wait_until(lambda: bird.routes(table) == routes,
                   f"for {routes} in {table}, not {bird.routes(table)}:\n{bird.log()}")

    def test_a_range_comes_and_goes(self):
        self.bird.start()
        self.neighbour.start()
        self.start_daemon(RANGE4.format("yes") + RANGE6, "import-filter = groups\n")
        self.in_step(3)
        self.assertEqual(self.bird.routes("gtab4"), FOUR)
        self.assertEqual(self.bird.routes("gtab6"), SIX)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o644)
        self.assertRegex(self.status()["bird"], r"^BIRD \d")
        self.wait_for(self.neighbour, "gtab4", FOUR)
        self.wait_for(self.neighbour, "gtab6", SIX)
        heard = self.neighbour.ask("show", "route", "all", "table", "gtab4").stdout
        self.assertIn("BGP.as_path: 64501", heard)
        self.assertIn("(64501, 1, 1)", heard)
        listed = [r["prefix"] for r in self.daemon.rpc("route.list")["routes"]]
        self.assertEqual(listed, ["233.252.0.0/23", "233.252.2.0/24",
                                  "ff3e:20:2001:db8::8000:0/112"])

        self.reload(RANGE4.format("no") + RANGE6, "import-filter = groups\n")
        self.in_step(1)
        self.assertEqual(self.bird.routes("gtab4"), [])
        self.assertEqual(self.bird.routes("gtab6"), SIX)
        self.wait_for(self.neighbour, "gtab4", [])
        self.assertEqual(self.neighbour.routes("gtab6"), SIX)

    def test_a_range_that_ends(self):
        self.bird.start()
        self.start_daemon(RANGE4.format("yes"))
        self.in_step(2)
        self.assertEqual(self.bird.routes("gtab4"), FOUR)
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        self.reload(RANGE4.format("yes") + f"until = {end}\n")
        self.in_step(0)
        self.assertEqual(self.bird.routes("gtab4"), [])

    def withdraw_ended(self, *words):
        """contrib/bird, as its timer runs it; what it says that it took out."""
        done = subprocess.run([str(SOURCE / "contrib" / "bird" / "bird-withdraw-ended"), "--file",
                               str(self.file), "--socket", str(self.bird.socket), *words],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([f.name for f in self.folder.iterdir()], [self.file.name])
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o644)
        return done.stdout.splitlines()

    def test_what_ends_while_mallocd_is_down(self):
        self.bird.start()
        last = int(time.time()) + 3
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last))
        self.start_daemon(RANGE4.format("yes") + f"until = {end}\n" + RANGE6)
        self.in_step(3)
        self.assertEqual(self.file.read_text().count(f"# until {end}"), 2)
        self.daemon.kill()
        self.assertEqual(self.withdraw_ended() if time.time() < last else [], [])
        wait_until(lambda: time.time() >= last, "for the end")
        self.assertEqual(self.bird.routes("gtab4"), FOUR)
        self.assertEqual(len(self.withdraw_ended()), 2)
        self.assertEqual((self.bird.routes("gtab4"), self.bird.routes("gtab6")), ([], SIX))
        asked = self.bird.log().count("Reconfiguring")
        self.assertEqual(self.withdraw_ended(), [])
        self.assertEqual(self.bird.log().count("Reconfiguring"), asked)
        self.assertEqual(self.withdraw_ended("--all"), [f"withdrawn: {SIX[0]};"])
        self.assertEqual(self.bird.routes("gtab6"), [])
        self.daemon.start()
        self.in_step(1)
        self.assertEqual(self.bird.routes("gtab6"), SIX)

    def test_what_ended_is_told_until_bird_takes_it(self):
        self.bird.start()
        self.start_daemon(RANGE4.format("yes"))
        self.in_step(2)
        self.daemon.kill()
        words = [str(SOURCE / "contrib" / "bird" / "bird-withdraw-ended"), "--file",
                 str(self.file), "--socket", str(self.bird.socket)]
        self.bird.configure(self.bird.text + "nonsense;\n")
        for more in (["--all"], []):
            done = subprocess.run(words + more, capture_output=True, text=True)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("does not take its configuration", done.stderr)
            self.assertEqual(self.bird.routes("gtab4"), FOUR)
        self.bird.configure(self.bird.text)
        self.assertEqual(self.withdraw_ended(), [])
        self.assertEqual(self.bird.routes("gtab4"), [])

    def test_a_part_of_what_was_joined_ends_while_mallocd_is_down(self):
        self.bird.start()
        last = int(time.time()) + 3
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last))
        ranges = "".join(f"""
[range r{third}]
scope = world
first = 233.252.{third}.0
last = 233.252.{third}.255
export = yes
{until}
""" for third, until in ((0, ""), (1, f"until = {end}"), (2, "")))
        self.start_daemon(ranges, "aggregate = yes\n")
        self.in_step(2)
        self.assertEqual(self.bird.routes("gtab4"), FOUR)
        self.daemon.kill()
        wait_until(lambda: time.time() >= last, "for the end")
        left = ["flow4 { dst 233.252.0.0/24; }", "flow4 { dst 233.252.2.0/24; }"]
        self.assertEqual(self.withdraw_ended(),
                         [f"withdrawn: {FOUR[0]};", f"in its place: {left[0]};"])
        self.assertEqual(self.bird.routes("gtab4"), left)
        self.assertEqual(self.withdraw_ended(), [])
        self.daemon.start()
        self.in_step(2)
        self.assertEqual(self.bird.routes("gtab4"), left)

    def test_bird_is_restarted(self):
        self.folder.rmdir()
        self.bird.start()
        self.assertEqual(self.bird.routes("gtab4"), [], "it starts without the file's folder")
        self.bird.stop()
        self.folder.mkdir(mode=0o755)
        self.start_daemon(RANGE4.format("yes"))
        wait_until(lambda: self.status()["trouble"], "for trouble without BIRD")
        self.bird.start()
        self.assertEqual(self.bird.routes("gtab4"), FOUR, "it reads the file as it starts")
        self.in_step(2)
        self.bird.stop()
        self.reload(RANGE6)
        wait_until(lambda: self.status()["failures"], "for a failure without BIRD")
        self.bird.start()
        self.assertEqual((self.bird.routes("gtab4"), self.bird.routes("gtab6")), ([], SIX))
        self.in_step(1)
        self.assertIsNone(self.status()["trouble"])
        self.daemon.stop()
        self.daemon = None
        self.bird.stop()
        self.bird.start()
        self.assertEqual(self.bird.routes("gtab6"), SIX, "the file outlives mallocd")

    def test_bird_refuses(self):
        self.bird.start()
        self.start_daemon(RANGE4.format("yes"))
        self.in_step(2)
        self.reload(RANGE4.format("yes"), "table-ipv4 = nosuchtable\n")
        wait_until(lambda: "groups.conf" in (self.status()["trouble"] or ""), "for the refusal")
        self.assertEqual(self.bird.routes("gtab4"), FOUR, "BIRD goes on with what it had")
        def starts():
            return subprocess.run([BIRD, "-p", "-c", str(self.bird.config)],
                                  capture_output=True).returncode == 0
        wait_until(lambda: "protocol" not in self.file.read_text() and starts(),
                   "for a file with which BIRD can start")
        self.assertIn("bird.refused", self.daemon.log())

        self.bird.configure(self.bird.text.replace("flow4 table", "flow4 table nosuchtable;"
                                                   "\nflow4 table", 1))
        self.in_step(2)
        self.assertEqual(self.bird.routes("nosuchtable"), FOUR)
        self.assertEqual(self.bird.routes("gtab4"), [])

        self.bird.configure("nonsense\n" + self.bird.text)
        self.reload(RANGE6, "table-ipv4 = gtab4\n")
        wait_until(lambda: "bird.conf" in (self.status()["trouble"] or ""), "for the refusal")
        self.assertIn("flow6 { dst", self.file.read_text(), "the file isn't at fault")
        self.bird.configure(self.bird.text)
        self.daemon.rpc("bird.sync")
        self.in_step(1)
        self.assertEqual(self.bird.routes("gtab6"), SIX)

    def test_many_changes_are_few_reconfigurations(self):
        self.bird.start()
        self.start_daemon("", "interval = 1h\n")
        self.in_step(0)
        asked = self.daemon.rpc("stats.get")["bird"]["asked"]
        for n in range(8):
            self.reload(RANGE4.format("yes" if n % 2 else "no"), "interval = 1h\n")
        self.assertEqual(self.status()["state"], "waiting")
        self.assertGreater(self.status()["next_s"], 3000)
        self.assertEqual(self.daemon.rpc("stats.get")["bird"]["asked"], asked)
        self.daemon.rpc("bird.sync")
        self.in_step(2)
        self.assertEqual(self.daemon.rpc("stats.get")["bird"]["asked"], asked + 1)
        self.assertEqual(self.bird.routes("gtab4"), FOUR)

    def test_the_manual(self):
        """doc/bird.md: BIRD takes its bird.conf, mallocd takes its mallocd.conf."""
        text = (SOURCE / "doc" / "bird.md").read_text()
        self.bird.configure(re.search(r"```bird\n(.*?)```", text, re.DOTALL)[1])
        done = subprocess.run([BIRD, "-p", "-c", str(self.bird.config)], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        block = re.search(r"^    \[daemon\]\n(?:(?:    .*)?\n)+", text, re.MULTILINE)[0]
        config = self.folder / "mallocd.conf"
        config.write_text(re.sub(r"^    ", "", block, flags=re.MULTILINE))
        done = subprocess.run([program("mallocd"), "--check", "-c", str(config)],
                              capture_output=True, text=True,
                              env={**os.environ, "MALLOCD_PLUGIN_DIR": PLUGINS})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("import-filter", config.read_text())

    def test_routes_of_ip_tables_are_ignored_by_bird_2(self):
        """What doc/bird.md says about it; a BIRD that takes them has them."""
        self.bird.configure(self.bird.text.replace("protocol device", "ipv4 table groups4;\n"
                                                   "protocol device", 1))
        self.bird.start()
        self.start_daemon(RANGE4.format("yes"),
                          "route = blackhole\ntable-ipv4 = groups4\ntable-ipv6 =\n")
        self.in_step(2)
        if not self.bird.routes("groups4"):
            self.assertIn("Ignoring bogus route 233.252.0.0/23", self.bird.log())


if __name__ == "__main__":
    main()
