#!/usr/bin/env python3
"""mallocctl and the control socket of a real daemon: every command with its exit status, lists of
many pages, events, the map."""

import json
import os
import re
import select
import socket
import subprocess
import unittest

import harness
from ctl import CONFIG, DONE, FAILED, NO_DAEMON, USAGE, WithDaemon, ctl

MAP = """local 239.255.0.0-239.255.255.255
239.255.1.0    #...##..........xxxxxxxxxxxxxxxx................................
239.255.1.64   ................................................................
239.255.1.128  ................................................................
239.255.1.192  ................................................................
239.255.2.0    ................................................................
239.255.2.64   ................................................................
239.255.2.128  ................................................................
239.255.2.192  ................................................................

. free 493   1-# leased 3   x reserved 16   - never leased 0
512 addresses, 1 to a character
"""


class Commands(WithDaemon):
    def test_status(self):
        self.assertRegex(self.ctl("status").out, r"^mallocd +ok, version [0-9.]+, up ")
        answer = self.json("status")
        self.assertEqual(answer.keys(), self.daemon.rpc("status").keys())
        self.assertEqual(answer["state"], "ok")

    def test_json_is_the_daemons_answer(self):
        for words, method in ((("scopes",), "scope.list"), (("ranges",), "range.list"),
                              (("reserves",), "reserve.list"), (("plugins",), "plugin.list"),
                              (("rpc", "discover"), "rpc.discover")):
            self.assertEqual(self.json(*words), self.daemon.rpc(method))

    def test_lists(self):
        for words, titles, row in (
                ("scopes", "SCOPE +ADDRESSES +TTL", "local +239.255.0.0-239.255.255.255 +16 +Site"),
                ("ranges", "RANGE +SCOPE +LEVEL", "lab +local +owned +239.255.1.0-239.255.2.255"),
                ("reserves", "RESERVE +SCOPE", "camera-7 +local +239.255.1.16-239.255.1.31 +stat"),
                ("usage", "SCOPE +AVAILABLE +OWNED", r"wide +8192 +8192"),
                ("usage local", "SCOPE +AVAILABLE", r"local +512 +512"),
                ("stats core", "COUNTER +VALUE", r"core\.leases-granted +\d+"),
                ("discover", "METHOD +ACCESS", "lease request +write +Leases")):
            lines = self.ctl(*words.split()).out.splitlines()
            self.assertRegex(lines[0], f"^{titles}")
            self.assertTrue(any(re.match(row, line) for line in lines), lines)
        self.assertEqual(self.ctl("plugins").out, "no plugins are loaded\n")

    def test_lease_and_back(self):
        lease = self.json("request", "--scope", "local", "--count", "2", "--lifetime", "2h",
                          "--address=239.255.2.8-239.255.2.9")
        self.assertEqual(lease["addresses"], ["239.255.2.8-239.255.2.9"])
        self.assertIn("239.255.2.8-239.255.2.9", self.ctl("lease", "get", lease["lease"]).out)
        taken = self.ctl("request", "--scope", "local", "--address", "239.255.2.9", expect=FAILED)
        self.assertIn(f"lease {lease['lease']} holds some of 239.255.2.9 until ", taken.err)
        self.assertRegex(self.ctl("leases").out,
                         f"{lease['lease']}  local  239.255.2.8-239.255.2.9")
        renewed = self.json("renew", lease["lease"], "--lifetime", "1d")
        self.assertGreater(renewed["end"], lease["end"])
        kept = self.json("renew", lease["lease"])
        self.assertGreaterEqual(kept["end"], renewed["end"], "no shorter without --lifetime")
        given_back = self.json("release", lease["lease"])
        self.assertEqual((given_back["lease"], given_back["state"]), (lease["lease"], "released"))
        gone = self.ctl("release", lease["lease"], expect=FAILED)
        self.assertIn("no live lease", gone.err)

    def test_a_lease_for_later(self):
        lease = self.json("request", "--scope=local", "--start", "+2h", "--lifetime", "30m",
                          "--min", "1", "--max", "3", "--shared")
        self.assertTrue(lease["shared"])
        self.assertEqual(lease["count"], 3)
        self.assertRegex(self.ctl("lease", "get", lease["lease"]).out,
                         r"starts +\d.* \(in (2 h|1 h|119 min)\)")
        self.ctl("release", lease["lease"])

    def test_a_start_that_is_past_is_said(self):
        for start, said in (("2020-01-01T00:00:00Z", True), ("now", False)):
            done = self.ctl("request", "--scope=local", "--start", start)
            self.assertEqual("begins now" in done.err, said, done.err)

    def test_ranges_and_reserves_by_hand(self):
        self.ctl("range", "add", "more", "--scope", "local", "--span", "239.255.9.0/24", "--until",
                 "+1d")
        self.assertRegex(self.ctl("ranges").out,
                         r"more .*239\.255\.9\.0-239\.255\.9\.255 .*in 2[34] h")
        lease = self.json("request", "--scope", "local", "--address", "239.255.9.7")
        self.assertIn("lease", self.ctl("range", "remove", "more", expect=FAILED).err)
        self.ctl("range", "remove", "more", "--force")
        self.ctl("lease", "get", lease["lease"], expect=FAILED)
        self.ctl("reserve", "add", "spare", "--scope", "local", "--addresses",
                 "239.255.2.200-239.255.2.203;239.255.2.210", "--comment", "für später")
        self.assertIn("für später", self.ctl("reserves").out)
        self.assertRegex(self.ctl("reserves", env={"LC_ALL": "C"}).out, r"f\?r sp\?ter")
        self.ctl("reserve", "remove", "spare")
        self.assertNotIn("spare", self.ctl("reserves").out)
        self.daemon.rpc("reserve.add", name="list", scope="local",
                        addresses=["239.255.1.40", "239.255.1.48/30"])
        listed = [r for r in self.daemon.rpc("reserve.list")["reserves"] if r["name"] == "list"]
        self.assertEqual(listed[0]["addresses"], ["239.255.1.40", "239.255.1.48-239.255.1.51"])
        self.daemon.rpc("reserve.remove", name="list")

    def test_refusals_say_why(self):
        for words, status, text in (
                ("request --scope lokal", FAILED, "did you mean local?"),
                ("request --scope local --count 4000", FAILED, "free"),
                ("request", USAGE, '"scope" is missing'),
                ("request --scope local --count 0", USAGE, "1 to 65536"),
                ("request --scope local --min 3 --max 2", USAGE, "at most"),
                ("request --scope local --count 2 --max 3", USAGE, "say either"),
                ("request --scope local --lifetime 0", USAGE, "above 0"),
                ("request --scope local --count 2 --address 239.255.2.8", USAGE, "another number"),
                ("request --scope local --server 192.0.2.1", USAGE, '"via"'),
                ("request --scope local --address 239.255.1.17", FAILED, "reserve camera-7 holds"),
                ("request --scope local --address 239.254.1.17", FAILED, "not inside the scope"),
                ("request --scope local --address 239.255.7.7", FAILED, "no range of this server"),
                ("stats nobody", FAILED, "nobody has no counters"),
                ("request --scope local --count x", USAGE, '"x" is not an integer'),
                ("request --scope local --lifetime soon", USAGE, "is not a duration"),
                ("request --scope local --address 1.2.3", USAGE, "is not an address"),
                ("request --scope local --start tomorrow", USAGE, "2030-01-31T18:00:00Z"),
                ("request --scope local --cuont 3", USAGE, "did you mean --count?"),
                ("request --scope local --scope local", USAGE, "said twice"),
                ("request --scope", USAGE, "a value must follow"),
                ("request --scope local --via nobody", FAILED, "no such plugin"),
                ("renew", USAGE, "is missing"), ("renew zz", USAGE, "hexadecimal"),
                ("release 00 11", USAGE, "one word too many"),
                ("range add x --scope local", USAGE, "which addresses"),
                ("range add x --span 239.255.9.0/24", USAGE, "--scope is missing"),
                ("range remove lab", FAILED, ""), ("reserve remove nothing", FAILED, ""),
                ("map", USAGE, "is missing"), ("map nowhere", FAILED, "no scope is called"),
                ("leases --limit 0", USAGE, "above 0"),
                ("leases --scope nowhere", FAILED, "no scope"),
                ("statsu", USAGE, 'did you mean "status"?'), ("xyzzy", USAGE, "mallocctl help"),
                ("leese list", USAGE, 'did you mean "lease list"?'),
                ("config", USAGE, "check, reload"), ("", USAGE, "say what to do"),
                ("--wrong status", USAGE, "unknown option"), ("-s", USAGE, "a value must follow"),
                ("store backup /proc/no/where", FAILED, ""), ("help xyzzy", USAGE, "")):
            with self.subTest(words):
                self.assertIn(text, self.ctl(*words.split(), expect=status).err)

    def test_config(self):
        good, bad = self.daemon.folder / "good.conf", self.daemon.folder / "bad.conf"
        good.write_text(self.daemon.config_file.read_text())
        bad.write_text(good.read_text().replace("ethernet =", "ethernit ="))
        self.ctl("config", "check", str(good))
        self.ctl("config", "check", "good.conf", cwd=self.daemon.folder)
        self.ctl("config", "check")
        err = self.ctl("config", "check", str(bad), expect=FAILED).err
        self.assertRegex(err, r"bad\.conf:\d+: \[daemon\] ethernit: .*ethernet")
        self.ctl("config", "check", "/nowhere/x", expect=FAILED)
        bad.write_bytes(b"[daemon]\n\0\xff\n")
        self.assertIn("UTF-8", self.ctl("config", "check", str(bad), expect=FAILED).err)
        self.ctl("config", "reload")
        try:
            self.daemon.config_file.write_text("[daemon\n")
            self.ctl("config", "reload", expect=FAILED)
        finally:
            self.daemon.config_file.write_text(good.read_text())
        self.ctl("config", "reload")

    def reload_with(self, text):
        self.daemon.config_file.write_text(text)
        return self.json("config", "reload").get("note", "")

    def test_what_needs_a_restart_is_said_until_it_comes(self):
        text = self.daemon.config_file.read_text()
        state = self.json("status")["state_dir"]
        other = re.sub("(?m)^state-dir.*", "state-dir = /nowhere/state", text)
        self.assertNotEqual(other, text)
        try:
            for _ in range(2):
                self.assertIn("state-dir in [daemon]", self.reload_with(other))
            self.assertEqual(self.json("status")["state_dir"], state)
        finally:
            self.assertEqual(self.reload_with(text), "")

    def test_a_check_says_what_a_reload_would_meet(self):
        lease = self.json("request", "--scope", "local", "--address", "239.255.2.77")["lease"]
        text = self.daemon.config_file.read_text()
        less = self.daemon.folder / "less.conf"
        less.write_text(text.replace("last = 239.255.2.255", "last = 239.255.2.70"))
        checked = self.ctl("config", "check", str(less)).out
        self.assertRegex(checked, "^ok; a reload would be refused now: .*239.255.2.77")
        try:
            self.daemon.config_file.write_text(less.read_text())
            self.ctl("config", "reload", expect=FAILED)
        finally:
            self.daemon.config_file.write_text(text)
            self.ctl("release", lease)
        self.assertEqual(self.ctl("config", "check", str(less)).out, "ok\n")

    def test_store(self):
        checked = self.ctl("store", "check")
        self.assertIn("is sound", checked.out)
        self.assertEqual(checked.err, "checking the store\n", "progress")
        self.ctl("store", "backup", "copy.db", cwd=self.daemon.folder)
        copy = self.daemon.folder / "copy.db"
        self.assertTrue(copy.read_bytes().startswith(b"SQLite format 3\0"))
        self.ctl("store", "backup", str(copy), expect=FAILED)

    def test_help(self):
        for words in (("help",), ("--help",), ("-h",)):
            self.assertIn("usage: mallocctl", ctl(*words).out)
        for words in ("help lease request", "help request", "request --help"):
            self.assertRegex(self.ctl(*words.split()).out, r"--lifetime +duration")
        self.assertRegex(ctl("--version").out, r"^mallocctl \d")

    def test_output_that_nobody_takes(self):
        read, write = os.pipe()
        os.close(read)
        for words in (("scopes",), ("--json", "rpc", "discover")):
            command = [harness.program("mallocctl"), "-s", str(self.daemon.socket), *words]
            done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        os.close(write)
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"No space left", done.stderr)

    def test_closed_standard_streams(self):
        """What is opened must not become somebody's standard output."""
        command = f"{harness.program('mallocctl')} -s {self.daemon.socket} scopes <&- >&- 2>&-"
        self.assertEqual(subprocess.run(["bash", "-c", command], timeout=60).returncode, DONE)

    def test_tables_fit_the_terminal(self):
        """Under a terminal of 60 columns: cut where need be, bold titles unless NO_COLOR."""
        for no_color in ("", "1"):
            main, side = os.openpty()
            env = {**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "60", "TERM": "xterm",
                   "NO_COLOR": no_color}
            command = [harness.program("mallocctl"), "-s", str(self.daemon.socket), "discover"]
            process = subprocess.Popen(command, stdout=side, env=env,
                                       preexec_fn=harness.die_with_parent)
            os.close(side)
            text = b""
            try:
                while piece := os.read(main, 65536):
                    text += piece
            except OSError:
                pass
            os.close(main)
            self.assertEqual(process.wait(60), DONE)
            self.assertEqual(b"\033[" in text, not no_color)
            if no_color:
                lines = text.decode().splitlines()
                self.assertLessEqual(max(map(len, lines)), 60)
                self.assertTrue(any(line.endswith("…") for line in lines))


class NoDaemon(unittest.TestCase):
    def test_no_socket(self):
        folder = harness.temporary_folder()
        for path in (folder / "none.sock", folder / "none" / "x.sock"):
            result = ctl("status", path=path)
            self.assertEqual((result.status, result.out), (NO_DAEMON, ""))
            self.assertIn(str(path), result.err)
            self.assertIn("mallocd -c FILE", result.err)

    def test_a_socket_left_behind(self):
        path = harness.temporary_folder() / "left.sock"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        result = ctl("leases", env={"MALLOCD_SOCKET": str(path)})
        self.assertEqual(result.status, NO_DAEMON)
        self.assertIn("nobody listens", result.err)

    def test_usage_comes_first(self):
        self.assertEqual(ctl("statsu", path="/nowhere").status, USAGE)
        self.assertEqual(ctl("status", path="/x" * 200).status, USAGE)

    def test_a_configuration_is_checked_all_the_same(self):
        folder = harness.temporary_folder()
        (folder / "a.conf").write_text(CONFIG)
        result = ctl("config", "check", str(folder / "a.conf"), path=folder / "none")
        self.assertEqual((result.status, result.out), (DONE, "ok\n"))
        self.assertIn("checked by mallocctl itself", result.err)
        (folder / "b.conf").write_text(CONFIG.replace("last = 239.255.2.255", "last = 240.0.0.0"))
        result = ctl("config", "check", str(folder / "b.conf"), path=folder / "none")
        self.assertEqual(result.status, FAILED)
        self.assertIn("b.conf", result.err)


class Many(WithDaemon):
    NUMBER = 1234

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with harness.Client(cls.daemon.socket) as client:
            for start in range(0, cls.NUMBER, 50):
                batch = range(start, min(start + 50, cls.NUMBER))
                client.socket.sendall(b"".join(
                    json.dumps({"jsonrpc": "2.0", "id": i, "method": "lease.request",
                                "params": {"scope": "wide"}}).encode() + b"\n" for i in batch))
                for _ in batch:
                    assert "result" in client.read()

    def test_all_pages(self):
        answer = self.json("leases")
        self.assertEqual(len({lease["lease"] for lease in answer["leases"]}), self.NUMBER)
        self.assertIsNone(answer["next"])
        addresses = [tuple(map(int, lease["addresses"][0].split("-")[0].split(".")))
                     for lease in answer["leases"]]
        self.assertEqual(addresses, sorted(addresses))
        self.assertEqual(len(self.ctl("leases", "--scope", "wide").out.splitlines()),
                         self.NUMBER + 1)
        self.assertEqual(self.ctl("leases", "--scope", "local").out, "no leases\n")

    def test_limit(self):
        answer = self.json("leases", "--limit", "1100")
        self.assertEqual(len(answer["leases"]), 1100)
        self.assertIsNotNone(answer["next"])
        self.assertIn(f"7 of {self.NUMBER} leases", self.ctl("leases", "--limit", "7").err)
        page = self.json("lease", "list", "--limit", "3")
        self.assertRegex(self.ctl("lease", "list", "--limit", "3").err,
                         rf"^3 of \d+ leases; --cursor {page['next']} ")
        self.assertEqual(len(page["leases"]), 3)
        rest = self.json("lease", "list", "--limit=3", "--cursor", str(page["next"]))
        self.assertFalse({lease["lease"] for lease in page["leases"]} &
                         {lease["lease"] for lease in rest["leases"]})

    def test_the_first_lines_are_enough(self):
        command = f"{harness.program('mallocctl')} -s {self.daemon.socket} leases | head -n 1"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True,
                              timeout=60, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("LEASE"))


class Events(WithDaemon):
    def follow(self, *words):
        command = [harness.program("mallocctl"), "-s", str(self.daemon.socket), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                preexec_fn=harness.die_with_parent)

    def lease_until(self, process):
        """Leases one address after the other until PROCESS, which listens by then, writes."""
        for _ in range(200):
            self.daemon.rpc("lease.request", scope="local")
            if select.select([process.stdout], [], [], 0.05)[0]:
                return
        self.fail("no event came")

    def test_follow_and_count(self):
        process = self.follow("events", "lease", "--count", "3")
        self.lease_until(process)
        self.daemon.rpc("lease.request", scope="local")
        self.daemon.rpc("lease.request", scope="local")
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, DONE)
        self.assertEqual(len(out.splitlines()), 3)
        self.assertRegex(out, r"^\d{4}-\d\d-\d\dT[\d:]{8}Z  lease\.granted  granted 239\.255\.")

    def test_follow_as_json_until_interrupted(self):
        process = self.follow("--json", "events", "subscribe", "lease.granted")
        self.lease_until(process)
        event = json.loads(process.stdout.readline())
        self.assertEqual(event["event"], "lease.granted")
        self.assertEqual(event["fields"]["scope"], "local")
        process.terminate()
        process.wait(60)
        process.stdout.close()

    def test_a_kind_that_never_comes_is_refused(self):
        self.assertIn('begins with "foo"', self.ctl("events", "foo", expect=FAILED).err)

    def test_timeout_ends_it(self):
        given_up = self.ctl("--timeout", "1", "events", "config.", expect=FAILED)
        self.assertIn("no sign for 1 s", given_up.err)

    def test_ends_when_nobody_reads(self):
        process = self.follow("events")
        process.stdout.close()
        self.assertEqual(process.wait(60), DONE)


class Map(WithDaemon):
    def test_golden(self):
        for address in ("239.255.1.0", "239.255.1.4-239.255.1.5"):
            self.ctl("request", "--scope", "local", "--address", address)
        self.assertEqual(self.ctl("map", "local", env={"LC_ALL": "C"}).out,
                         MAP)
        drawn = self.ctl("map", "local").out
        self.assertIn("239.255.1.0    █···██··········××××××××××××××××····", drawn)
        self.assertEqual(len(self.json("map", "local")["cells"]), 512)
        self.assertEqual(len(self.json("space", "map", "local", "--cells", "7")["cells"]), 7)


if __name__ == "__main__":
    unittest.main()
