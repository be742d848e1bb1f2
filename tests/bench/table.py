"""The whole table of what the daemon does: rates against the bare UDP echo, latency, overload,
memory, disk, start-up and rest by the number of leases, cost by occupancy. tests/bench/run.sh --all
is the way to start it.

    --builddir DIR   where "make check" ran (default: .)
    --quick          less of everything: within 90 s instead of 8 minutes
    --smoke          a few seconds; shows that it works, measures nothing
    --json FILE      the same figures, and what machine it was
    --state DIR      the servers' state goes below it; the disk matters (default: a folder in /tmp)
    --nice N         daemon, echo and generator alike go before the machine's other services
                     (default: -10; 0: they don't)
"""

import argparse
import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

SERVER, CLIENT, GROUP, FIRST = "192.0.2.1", "192.0.2.2", "239.255.255.254", "239.0.0.0"
ECHO_PORT = 7777
SQLITE_CACHE = 2 << 20          # SQLite's own default, which the store leaves alone
EXCHANGES = "request", "full", "mix", "renew", "release"


@dataclasses.dataclass(frozen=True)
class Size:
    name: str
    turns: int                  # of each rate against the echo
    seconds: float              # of each turn
    open_seconds: float
    few: tuple                  # messages in flight
    leases: tuple
    rest: float                 # seconds
    space: int                  # addresses
    occupancy_turns: int
    occupancy_seconds: float


FULL = Size("full", 5, 2.0, 6.0, (64, 256), (10_000, 100_000, 1_000_000), 10.0, 1_000_000, 3, 2.0)
QUICK = Size("quick", 1, 1.0, 2.0, (64,), (10_000, 100_000, 1_000_000), 2.0, 262_144, 1, 1.0)
SMOKE = Size("smoke", 1, 0.25, 0.25, (64,), (1_000,), 0.1, 4_096, 1, 0.1)

CONFIG = """[daemon]
roles = maas
plugins = madcap
log-level = warning
ethernet = {ethernet}

[scope bench]
family = ipv4
first = 239.0.0.0
last = 239.255.255.255
ttl = 16
name[en] = Bench
default-language = en

[range bench]
scope = bench
first = {first}
last = {last}

[madcap]
interfaces = bench0
"""


# ---- the bed -----------------------------------------------------------------------------------


class Bed:
    """Two hosts, joined by a veth pair; daemons on the one, the generator on the other."""

    def __init__(self, options, size):
        self.options, self.size = options, size
        self.program = str(harness.BUILD / "tests" / "bench" / "bench-madcap")
        self.server, self.client = netns.Namespace(), netns.Namespace()
        netns.link(self.server, "bench0", self.client, "bench1")
        self.server.add("bench0", SERVER + "/24")
        self.client.add("bench1", CLIENT + "/24")
        self.client.ip("route", "add", "239.0.0.0/8", "dev", "bench1")
        with self.server:
            self.echo = subprocess.Popen([self.program, "--echo", str(ECHO_PORT)],
                                         preexec_fn=harness.die_with_parent)

    def close(self):
        self.echo.kill()
        self.echo.wait()

    @contextlib.contextmanager
    def daemon(self, ethernet="distinct", first="239.0.0.0", last="239.255.255.0"):
        """A fresh one; its state is gone afterwards."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mallocd-bench-", dir=self.options.state))
        config = CONFIG.format(ethernet=ethernet, first=first, last=last)
        try:
            with harness.Daemon(config, network=self.server, state_dir=folder) as daemon:
                yield daemon
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def load(self, daemon, *arguments, echo=False, processor=None):
        """What one run of the generator prints, on that processor or wherever the system likes."""
        command = [self.program, "--json", "--server", SERVER, "--group", GROUP, "--scope", FIRST,
                   "--pid", str(daemon.process.pid), *map(str, arguments)]
        if echo:
            command += ["--echo", str(ECHO_PORT), "--echo-pid", str(self.echo.pid)]

        def prepare():
            harness.die_with_parent()
            if processor is not None:
                os.sched_setaffinity(0, {processor})

        with self.client:
            done = subprocess.run(command, capture_output=True, text=True, preexec_fn=prepare)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]


def cpu_us(process):
    """Processor time of all its threads."""
    total = 0
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def anonymous_octets(process):
    """Memory that is the process's own: no files, no memory shared with others."""
    for line in pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Anonymous in smaps_rollup")


def disk_octets(folder):
    return sum(entry.stat().st_size for entry in folder.iterdir())


def commits(daemon):
    store = daemon.rpc("status")["store"]
    return store["batches"], store["changes"]


# ---- sections ----------------------------------------------------------------------------------


def rate(bed, daemon, kind, in_flight, turns):
    before = commits(daemon)
    row, = bed.load(daemon, "--only", kind, "--in-flight", in_flight, "--turns", turns,
                    "--seconds", bed.size.seconds, echo=True)
    after = commits(daemon)
    row["changes_a_commit"] = (after[1] - before[1]) / max(after[0] - before[0], 1)
    return row


def rates(bed, daemon):
    return [rate(bed, daemon, kind, 1024, bed.size.turns) for kind in EXCHANGES]


def few_in_flight(bed, daemon):
    return [rate(bed, daemon, "request", n, max(bed.size.turns - 2, 1)) for n in bed.size.few]


@contextlib.contextmanager
def placed(daemon):
    """The generator, which stands for other hosts, has the last processor, and the daemon's main
    thread stays off it; the store's threads run where the system likes. Yields that processor, or
    None where there is but one."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        yield None
        return
    os.sched_setaffinity(daemon.process.pid, processors[:-1])
    try:
        yield processors[-1]
    finally:
        os.sched_setaffinity(daemon.process.pid, processors)


def reached(row):
    """What the closed loop answered; something even where the machine stood still in a short turn,
    since a rate of 0 asks for a closed loop."""
    return max(row["rate"], 100)


def half_load(bed, daemon, closed, processor=None):
    """Open loop at half of what the closed loop reached."""
    found = []
    for row in closed:
        if row["name"] in ("request", "full"):
            half, = bed.load(daemon, "--only", row["name"], "--rate", reached(row) / 2,
                             "--seconds", bed.size.open_seconds, processor=processor)
            found.append({**half, "asked": reached(row) / 2})
    return found


def overload(bed, daemon, closed):
    """Twice what can be sustained. What the generator can't send in time was never asked."""
    sustained = next(reached(row) for row in closed if row["name"] == "request")
    before = daemon.rpc("stats.get")["madcap"]
    row, = bed.load(daemon, "--rate", 2 * sustained, "--seconds", bed.size.open_seconds)
    after = daemon.rpc("stats.get")["madcap"]
    counters = {name: after[name] - before[name]
                for name in ("datagrams-shed", "overload-ignored", "request-received", "ack-sent")}
    return {**row, "sustained": sustained, "asked": 2 * sustained,
            "sent": 2 * sustained - row["unsent"] / row["seconds"],
            "share": row["rate"] / sustained, **counters}


def memory(daemon, empty=None, count=1):
    """Octets, and octets a lease over EMPTY. The cache of answers is bounded and doesn't grow with
    the leases; neither does SQLite's, of which only the bound is known."""
    found = {"anonymous": anonymous_octets(daemon.process),
             "counter": daemon.rpc("status")["leases"]["bytes"],
             "answers": daemon.rpc("stats.get")["madcap"]["cache-octets"]}
    if empty:
        grown = {key: found[key] - empty[key] for key in found}
        found["anonymous_a_lease"] = grown["anonymous"] / count
        found["counter_a_lease"] = grown["counter"] / count
        beyond = grown["anonymous"] - grown["answers"] - SQLITE_CACHE
        found["beyond_caches_a_lease"] = max(beyond, 0) / count
    return found


def at_rest(daemon, seconds):
    """Once what is left to do, such as copying the log into the file, is done."""
    last, deadline = cpu_us(daemon.process), time.monotonic() + 10
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = cpu_us(daemon.process)
        if now - last < 2000:
            break
        last = now
    begun, before = time.monotonic(), cpu_us(daemon.process)
    time.sleep(seconds)
    return (cpu_us(daemon.process) - before) / (time.monotonic() - begun)


def by_leases(bed, count):
    with bed.daemon() as daemon:
        empty, empty_disk = memory(daemon), disk_octets(daemon.state_dir)
        filled, = bed.load(daemon, "--fill", count, "--lifetime", 86400)
        found = {"leases": daemon.rpc("status")["leases"]["live"], "rate": filled["rate"]}
        count = max(found["leases"], 1)
        found["rest_us_a_second"] = at_rest(daemon, bed.size.rest)
        found["granted"] = memory(daemon, empty, count)
        found["disk"] = disk_octets(daemon.state_dir)
        daemon.stop()
        found["disk_stopped"] = disk_octets(daemon.state_dir)
        begun = time.monotonic()
        daemon.start()
        found["start_seconds"] = time.monotonic() - begun
        found["start_cpu_seconds"] = cpu_us(daemon.process) / 1e6
        found["started"] = memory(daemon, empty, count)
        for name in "disk", "disk_stopped":
            found[name + "_a_lease"] = (found[name] - empty_disk) / count
    return found


def all_sizes(bed):
    return [by_leases(bed, count) for count in bed.size.leases]


def occupancy(bed):
    """REQUEST and RELEASE by turns, few under way, so that the occupancy stays what it is."""
    found, space = [], bed.size.space
    last = (239 << 24 | 1 << 16) + space - 1
    last = ".".join(str(last >> shift & 255) for shift in (24, 16, 8, 0))
    for ethernet in "distinct", "ignore":
        with bed.daemon(ethernet, "239.1.0.0", last) as daemon:
            rows = bed.load(daemon, "--occupancy", space, "--in-flight", max(space // 2048, 8),
                            "--turns", bed.size.occupancy_turns, "--lifetime", 86400,
                            "--seconds", bed.size.occupancy_seconds)
            found += [{**row, "ethernet": ethernet, "addresses": space} for row in rows]
    return found


# ---- going first -------------------------------------------------------------------------------


def own_session():
    """In which the rest goes on; this process only waits for it, where it can't be the one."""
    if os.getpid() == os.getpgrp():
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    ctypes.CDLL(None).prctl(1, signal.SIGINT)           # PR_SET_PDEATHSIG: no terminal ends us now
    os.setsid()


def go_first(nice):
    """Where Linux groups processes by their session, the session's value counts, elsewhere that of
    each process. Returns what was reached."""
    if nice == 0:
        return 0
    own_session()
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with contextlib.suppress(FileNotFoundError):
            pathlib.Path("/proc/self/autogroup").write_text(str(nice))
    except PermissionError:
        return 0
    return nice


# ---- the machine -------------------------------------------------------------------------------


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


class Machine:
    """What it is, and what else it did meanwhile, so that a disturbed run shows."""

    def __init__(self, state):
        kind = subprocess.run(["stat", "-f", "-c", "%T", state], capture_output=True, text=True)
        self.about = {"processors": len(os.sched_getaffinity(0)), "model": processor(),
                      "kernel": platform.release(), "state_on": kind.stdout.strip(),
                      "load_start": os.getloadavg()[0],
                      "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.begun, self.before = time.monotonic(), self.busy()

    @staticmethod
    def busy():
        """Seconds of the whole machine's processors that were taken, and that of them which the
        host took away."""
        fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
        return sum(ticks) - ticks[3] - ticks[4], ticks[7]

    def end(self):
        own = sum(sum(resource.getrusage(who)[:2])
                  for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        busy, stolen = (now - then for now, then in zip(self.busy(), self.before))
        took = time.monotonic() - self.begun
        everything = took * os.cpu_count()
        return {**self.about, "load_end": os.getloadavg()[0], "seconds": took,
                "others_share": max(busy - own - stolen, 0) / everything,
                "stolen_share": stolen / everything}


# ---- the table ---------------------------------------------------------------------------------


def say(text=""):
    print(text, flush=True)


def show_row(row, what, more=""):
    say(f"{what:34} {row['rate']:9.0f}/s {row['p50_us']:8.0f} {row['p99_us']:8.0f} "
        f"{row['p999_us']:8.0f} {row['cpu_us']:7.2f} {row['cpu_main_us']:7.2f}  {more}".rstrip())


def show_head(title):
    say()
    say(f"{title:34} {'rate':>11} {'p50 us':>8} {'p99 us':>8} {'p99.9 us':>8} {'cpu us':>7} "
        f"{'main':>7}")


def show_rates(title, rows):
    show_head(title)
    for row in rows:
        lost = ""
        if row["lost"] + row["refused"]:
            lost = f", {row['lost']} lost, {row['refused']} refused"
        of = "half the pairs" if row["name"] == "full" else "the pairs"
        show_row(row, row["what"],
                 f"{row['in_flight']} in flight; {row['ratio']:.1%} "
                 f"({row['ratio_lowest']:.1%} to {row['ratio_highest']:.1%}) of "
                 f"{of}, {row['echo_rate']:.0f} at {row['echo_cpu_us']:.2f} us; "
                 f"{row['changes_a_commit']:.0f} changes a commit{lost}")


def show_open(half, placed_half, twice):
    show_head("open loop")
    for row in (*half, *placed_half):
        where = ", placed" if row in placed_half else ""
        show_row(row, f"{row['name']}, at half the rate{where}",
                 f"{row['asked']:.0f} asked a second, {row['lost']} lost, {row['unsent']} unsent; "
                 f"the generator late by p99 {row['late_p99_us']:.0f} us")
    show_row(twice, "request, at twice the closed loop's",
             f"{twice['asked']:.0f} asked a second, {twice['sent']:.0f} sent; "
             f"{twice['share']:.1%} of the closed loop's answered; "
             f"{twice['datagrams-shed']} shed, "
             f"{twice['overload-ignored']} ignored, {twice['lost']} unanswered")


def show_leases(rows):
    say()
    heads = [("octets a", "lease"), ("granted,", "all"), ("without", "caches"), ("by", "counter"),
             ("started,", "all"), ("by", "counter"), ("disk", ""), ("disk", "stopped"),
             ("start,", "s"), ("its", "cpu s"), ("at rest,", "us/s")]
    for line in zip(*heads):
        say(" ".join(f"{text:>9}" for text in line))
    for row in rows:
        granted, started = row["granted"], row["started"]
        say(f"{row['leases']:9} {granted['anonymous_a_lease']:9.0f} "
            f"{granted['beyond_caches_a_lease']:9.0f} {granted['counter_a_lease']:9.0f} "
            f"{started['anonymous_a_lease']:9.0f} {started['counter_a_lease']:9.0f} "
            f"{row['disk_a_lease']:9.0f} {row['disk_stopped_a_lease']:9.0f} "
            f"{row['start_seconds']:9.2f} {row['start_cpu_seconds']:9.2f} "
            f"{row['rest_us_a_second']:9.0f}")


def show_occupancy(rows):
    show_head(f"occupancy of {rows[0]['addresses']}, {rows[0]['in_flight']} in flight")
    for row in rows:
        show_row(row, f"{row['name']}, ethernet = {row['ethernet']}", f"{row['refused']} refused"
                 if row["refused"] else "")


def measure(bed, results):
    with bed.daemon() as daemon:
        results["rates"] = rates(bed, daemon)
        show_rates("durable, closed loop", results["rates"])
        results["few_in_flight"] = few_in_flight(bed, daemon)
        show_rates("the same, few in flight", results["few_in_flight"])
    with bed.daemon() as daemon, placed(daemon) as processor:
        results["half_load_placed"] = half_load(bed, daemon, results["rates"], processor)
    with bed.daemon() as daemon:
        results["half_load"] = half_load(bed, daemon, results["rates"])
        results["overload"] = overload(bed, daemon, results["rates"])
        show_open(results["half_load"], results["half_load_placed"], results["overload"])
    results["leases"] = all_sizes(bed)
    show_leases(results["leases"])
    results["occupancy"] = occupancy(bed)
    show_occupancy(results["occupancy"])


def show_machine(machine):
    say()
    say(f"{machine['processors']} processors ({machine['model']}), Linux {machine['kernel']}, "
        f"state on {machine['state_on']}; {machine['seconds']:.0f} s; load "
        f"{machine['load_start']:.1f} at first, {machine['load_end']:.1f} at last; others took "
        f"{machine['others_share']:.0%} of the processors, the host {machine['stolen_share']:.0%}; "
        f"all ends at nice {machine['nice']}")
    if machine["others_share"] + machine["stolen_share"] > 0.1:
        say("The machine had other work: rates and latencies are too low and too high; ratios and "
            "processor times come closer.")


def main():
    options = parse()
    size = SMOKE if options.smoke else QUICK if options.quick else FULL
    nice = go_first(options.nice)
    machine = Machine(options.state)
    results = {"settings": dataclasses.asdict(size)}
    bed = Bed(options, size)
    try:
        measure(bed, results)
    finally:
        bed.close()
    results["machine"] = {**machine.end(), "nice": nice}
    show_machine(results["machine"])
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


def parse():
    parser = argparse.ArgumentParser(prog="run.sh --all", description=__doc__.split("\n\n")[0])
    parser.add_argument("--builddir", help="where \"make check\" ran (default: .)")
    parser.add_argument("--quick", action="store_true", help="within 90 s instead of 8 minutes")
    parser.add_argument("--smoke", action="store_true", help="a few seconds: only whether it works")
    parser.add_argument("--json", metavar="FILE", help="the same figures, and what machine it was")
    parser.add_argument("--nice", type=int, default=-10, help="of all ends (default: -10)")
    parser.add_argument("--state", metavar="DIR", default="/tmp", help="where the state goes")
    return parser.parse_args()


if __name__ == "__main__":
    builddir = parse().builddir
    if builddir:
        os.environ["top_builddir"] = str(pathlib.Path(builddir).resolve())
    import harness              # looks at the environment when it is read
    import netns
    netns.enter()
    main()
