#!/usr/bin/env python3
"""What the Wireshark dissector should say of each golden AAP packet, after aap.py.

    aap_dissector_fields.py fields            the options that make tshark print them, one a line
    aap_dissector_fields.py compare FILE      FILE: what tshark printed for the packets in order
"""

import pathlib
import sys

import aap as a
from dissector_fields import seconds

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/aap"
TIMES = ("current_time", "expiration_time", "end_time", "wanted_until")
FIELDS = ["version", "type", "family", "rseq", "mseq", "current_time", "expiration_time", "resent",
          "reports", "requests", "first_ipv4", "first_ipv6", "last_ipv4", "last_ipv6", "end_time",
          "in_use", "wanted", "wanted_until", "malformed"]


def expected(message):
    """{field: [values]}; what isn't there has none."""
    out = {name: [] for name in FIELDS}
    suffix = "_ipv4" if message.family == a.IPV4 else "_ipv6"
    out.update({"version": [0], "type": [message.type], "family": [message.family],
                "rseq": [message.rseq], "mseq": [message.mseq], "current_time": [message.time],
                "first" + suffix: [one.first for one in message.ranges],
                "last" + suffix: [one.last for one in message.ranges],
                "in_use" if message.type == a.ASRP else "end_time":
                    [one.value for one in message.ranges],
                "wanted": [count for count, _ in message.requests],
                "wanted_until": [end for _, end in message.requests]})
    if message.type == a.ASA:
        out.update(expiration_time=[message.expiration], resent=[int(a.is_resent(message))])
    if message.type == a.ASRP:
        out.update(reports=[len(message.ranges)], requests=[len(message.requests)])
    return {name: [str(value) for value in values] for name, values in out.items()}


def plain(name, value):
    if name in TIMES:
        return seconds(value)
    if name == "resent":
        return {"True": "1", "False": "0"}.get(value, value)
    return value


def compare(path):
    packets = sorted(GOLDEN.glob("*.hex"), key=lambda golden: golden.name.encode())
    lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    if len(packets) < 21 or len(lines) < len(packets):
        sys.exit(f"{len(packets)} golden packets, {len(lines)} lines of tshark")
    for packet, line in zip(packets, lines):
        text = packet.read_text(encoding="utf-8").splitlines()
        want = expected(a.parse(bytes.fromhex("".join(row.split("#")[0] for row in text))))
        got = {name: [plain(name, value) for value in column.split("|")] if column else []
               for name, column in zip(FIELDS, line.split("\t"))}
        for name in FIELDS:
            if got.get(name) != want[name]:
                sys.exit(f"{packet.name}: aap.{name}: tshark has {got.get(name)}, "
                         f"expected {want[name]}")
    print(f"{len(packets)} golden packets, {len(FIELDS)} fields each")


if __name__ == "__main__":
    if sys.argv[1:] == ["fields"]:
        print("\n".join(f"-e\naap.{name}" for name in FIELDS))
    else:
        compare(sys.argv[2])
