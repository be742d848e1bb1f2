#!/usr/bin/env python3
"""What the Wireshark dissector should say of each golden MASC message, after masc.py.

    masc_dissector_fields.py fields            the options that make tshark print them, one a line
    masc_dissector_fields.py compare FILE      FILE: what tshark printed for the segments in order
"""

import ipaddress
import pathlib
import sys

import masc as m
from dissector_fields import seconds

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/masc"
OPEN_FIELDS = ["version", "family", "role", "hold_time", "domain", "node", "parent"]
CLAIM_FIELDS = ["deprecated", "claim_family", "origin_role", "timestamp", "lifetime", "holdtime",
                "origin_domain", "origin_node", "address_ipv4", "address_ipv6", "mask_length"]
FIELDS = ["type", "length", *OPEN_FIELDS, "attribute_length", "attribute_type", *CLAIM_FIELDS,
          "stays_open", "code", "subcode", "data", "malformed"]


def id_text(value):
    if value < 1 << 24:
        return str(value)
    return str(ipaddress.ip_address(value) if value < 1 << 32 else ipaddress.IPv6Address(value))


def claim_fields(claim):
    version = claim.address.version
    return {"deprecated": int(claim.deprecated), "claim_family": m.IPV4 if version == 4 else m.IPV6,
            "origin_role": claim.role, "timestamp": claim.timestamp, "lifetime": claim.lifetime,
            "holdtime": claim.holdtime, "origin_domain": id_text(claim.domain),
            "origin_node": id_text(claim.node), f"address_ipv{version}": claim.address,
            "mask_length": claim.length}


def expected(data):
    """{field: [values]}; what isn't there has none."""
    message = m.parse(data)
    out = {name: [] for name in FIELDS}
    out.update(type=[data[2]], length=[len(data)])
    if isinstance(message, m.Open):
        values = (1, message.family, message.role, message.hold, id_text(message.domain),
                  id_text(message.node), id_text(message.parent))
        out.update({name: [value] for name, value in zip(OPEN_FIELDS, values)})
    elif isinstance(message, m.Notification):
        out.update(stays_open=[int(message.open)], code=[message.code], subcode=[message.subcode],
                   data=[message.data.hex()] if message.data else [])
    elif isinstance(message, m.Update):
        attributes = list(m._attributes(data[4:]))
        out.update(attribute_type=[type_ for type_, _ in attributes],
                   attribute_length=[len(octets) for _, octets in attributes])
        for claim in message.claims:
            for name, value in claim_fields(claim).items():
                out[name].append(value)
        # expert information of the attribute and of the message
        out["malformed"] = ["1", "1"] if message.refused else []
    return {name: [str(value) for value in values] for name, values in out.items()}


def plain(name, value):
    if name == "timestamp":
        return seconds(value)
    if name in ("deprecated", "stays_open"):
        return {"True": "1", "False": "0"}.get(value, value)
    if name == "malformed":
        return "1"
    if name == "data":
        return value.replace(":", "")
    return value


def compare(path):
    packets = sorted(GOLDEN.glob("*.hex"), key=lambda golden: golden.name.encode())
    lines = [line for line in pathlib.Path(path).read_text(encoding="utf-8").split("\n")
             if line.split("\t")[0]]
    if len(packets) < 42 or len(lines) < len(packets):
        sys.exit(f"{len(packets)} golden messages, {len(lines)} lines of tshark")
    for packet, line in zip(packets, lines):
        text = packet.read_text(encoding="utf-8").splitlines()
        want = expected(bytes.fromhex("".join(row.split("#")[0] for row in text)))
        got = {name: [plain(name, value) for value in column.split("|")] if column else []
               for name, column in zip(FIELDS, line.split("\t"))}
        for name in FIELDS:
            if got.get(name) != want[name]:
                sys.exit(f"{packet.name}: masc.{name}: tshark has {got.get(name)}, "
                         f"expected {want[name]}")
    print(f"{len(packets)} golden messages, {len(FIELDS)} fields each")


if __name__ == "__main__":
    if sys.argv[1:] == ["fields"]:
        print("\n".join(f"-e\nmasc.{name}" for name in FIELDS))
    else:
        compare(sys.argv[2])
