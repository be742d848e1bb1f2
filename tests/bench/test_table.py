"""The whole table of the benches comes, well-formed and without a gap. The figures are not judged:
there is no machine so busy that this fails."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ.get("top_srcdir", "."))
BUILD = os.environ.get("top_builddir", ".")

ROW = {"name", "in_flight", "seconds", "rate", "p50_us", "p99_us", "p999_us", "worst_us",
       "late_p99_us", "done", "lost", "unsent", "refused", "cpu_us", "cpu_main_us"}
RATIO = ROW | {"ratio", "ratio_lowest", "ratio_highest", "echo_rate", "echo_cpu_us",
               "changes_a_commit"}
OVERLOAD = ROW | {"sustained", "asked", "sent", "share", "datagrams-shed", "overload-ignored"}
MEMORY = {"anonymous", "counter", "answers", "anonymous_a_lease", "counter_a_lease",
          "beyond_caches_a_lease"}
LEASES = {"leases", "rate", "rest_us_a_second", "granted", "started", "disk", "disk_stopped",
          "disk_a_lease", "disk_stopped_a_lease", "start_seconds", "start_cpu_seconds"}
MACHINE = {"processors", "model", "kernel", "state_on", "load_start", "load_end", "began",
           "seconds", "others_share", "stolen_share", "nice"}
LEVELS = ["50 %", "90 %", "99 %", "99.9 %"]


def check_fields(fields, row, where):
    assert fields <= set(row), f"{where}: without {sorted(fields - set(row))}"
    for name in fields - {"nice"}:
        value = row[name]
        assert isinstance(value, (str, dict)) or value >= 0, f"{where}: {name} is {value}"


def check_names(rows, names, where):
    found = [row["name"] for row in rows]
    assert found == names, f"{where}: {found}"


def check(table):
    check_fields(MACHINE, table["machine"], "machine")
    check_names(table["rates"], ["request", "full", "mix", "renew", "release"], "rates")
    for half in "half_load", "half_load_placed":
        check_names(table[half], ["request", "full"], half)
    check_names(table["occupancy"], LEVELS * 2, "occupancy")
    for row in table["rates"] + table["few_in_flight"]:
        check_fields(RATIO, row, row["name"])
        assert row["done"] > 0, f"{row['name']}: nothing was answered"
    for row in table["half_load"] + table["half_load_placed"] + table["occupancy"]:
        check_fields(ROW, row, row["name"])
    for row in table["occupancy"]:
        assert row["done"] > 0 and row["ethernet"] in ("distinct", "ignore"), row
    check_fields(OVERLOAD, table["overload"], "overload")
    for row in table["leases"]:
        check_fields(LEASES, row, "leases")
        check_fields(MEMORY, row["granted"], "granted")
        check_fields(MEMORY, row["started"], "started")
        assert row["leases"] >= 1000, f"only {row['leases']} leases were taken"


def main():
    with tempfile.TemporaryDirectory(prefix="mal-", dir="/tmp") as folder:
        path = pathlib.Path(folder) / "table.json"
        status = subprocess.run(["bash", SOURCE / "tests" / "bench" / "run.sh", "--all", "--smoke",
                                 "--builddir", BUILD, "--json", path]).returncode
        if status != 0:
            return status           # 77: no namespaces here
        check(json.loads(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
