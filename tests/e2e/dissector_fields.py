#!/usr/bin/env python3
"""What the Wireshark dissector should say of each golden packet, after madcap.py.

    dissector_fields.py fields            the options that make tshark print them, one a line
    dissector_fields.py compare FILE      FILE: what tshark printed for the packets in order
"""

import datetime
import pathlib
import re
import sys

import madcap as m

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/madcap"
TIMES = {"start_time": m.START_TIME, "current_time": m.CURRENT_TIME, "retry_time": m.RETRY_TIME,
         "max_start_time": m.MAX_START_TIME}
FIELDS = ["type", "family", "xid", "option", "lease_time", "server_id_ipv4", "server_id_ipv6",
          "lease_id", "scope_ipv4", "scope_ipv6", "requested_option", *TIMES, "min_addresses",
          "desired_addresses", "language", "scope_count", "scope_first_ipv4", "scope_first_ipv6",
          "scope_last_ipv4", "scope_last_ipv6", "scope_ttl", "name_default", "name_language",
          "name", "range_first_ipv4", "range_first_ipv6", "range_count", "feature_supported",
          "feature_requested", "feature_required", "min_lease_time", "error", "error_option",
          "error_time", "error_feature", "error_data", "nesting_count", "nests", "invalid",
          "syntax"]


def expected(message):
    """{field: [values]}; what isn't there has none."""
    out = {name: [] for name in FIELDS}
    suffix = "_ipv4" if message.family == m.IPV4 else "_ipv6"
    out.update(type=[message.type], family=[message.family], xid=[message.xid],
               option=[*message.options, m.END])
    out.update({name: [message[code]] for name, code in TIMES.items() if code in message})
    for name, code in (("lease_time", m.LEASE_TIME), ("min_lease_time", m.MIN_LEASE_TIME)):
        out[name] = [message[code]] if code in message else []
    if m.SERVER_ID in message:
        out[f"server_id_ipv{message[m.SERVER_ID].version}"] = [message[m.SERVER_ID]]
    if m.LEASE_ID in message:
        out["lease_id"] = [message[m.LEASE_ID].hex()]
    if m.SCOPE in message:
        out["scope" + suffix] = [message[m.SCOPE]]
    out["requested_option"] = message.get(m.REQUEST_LIST, [])
    out["min_addresses"], out["desired_addresses"] = zip(message.get(m.NUMBER, ("", "")))
    if m.LANGUAGE in message:
        out["language"] = [message[m.LANGUAGE].decode()]
    if m.SCOPE_LIST in message:
        scopes = message[m.SCOPE_LIST]
        names = [name for scope in scopes for name in scope.names]
        out.update({"scope_count": [len(scopes)], "scope_first" + suffix: [s.first for s in scopes],
                    "scope_last" + suffix: [s.last for s in scopes],
                    "scope_ttl": [s.ttl for s in scopes],
                    "name_default": [int(n.default) for n in names],
                    "name_language": [n.language.decode() for n in names],
                    "name": [n.text for n in names]})
    ranges = message.get(m.RANGES, [])
    out["range_first" + suffix] = [first for first, _ in ranges]
    out["range_count"] = [count for _, count in ranges]
    if m.FEATURES in message:
        for name in ("supported", "requested", "required"):
            out["feature_" + name] = getattr(message[m.FEATURES], name)
    if m.ERROR in message:
        code, extra = message[m.ERROR]
        out["error"] = [code]
        key = {0: "error_option", 1: "error_option", 2: "error_time", 4: "error_feature"}.get(code)
        value = m.error_extra(message)
        out[key or "error_data"] = value if code == 4 else [value] if key else [extra.hex()]
    if m.NESTING in message:
        rows = message[m.NESTING].rows
        out["nesting_count"] = [len(rows)]
        out["nests"] = [f"S{x + 1}/S{y + 1}" for x, row in enumerate(rows)
                        for y, nests in enumerate(row) if nests and x != y]
    return {name: [str(value) for value in values if value != ""] for name, values in out.items()}


def seconds(text):
    """An absolute time as the versions of tshark print it, in seconds since 1970."""
    text = re.sub(r"\.\d+", "", text).replace("UTC", "").replace("Z", "").strip()
    text = re.sub(r"\s+", " ", text).replace("T", " ") if text[0].isdigit() else re.sub(
        r"\s+", " ", text)
    for form in ("%Y-%m-%d %H:%M:%S", "%b %d, %Y %H:%M:%S"):
        try:
            parsed = datetime.datetime.strptime(text, form)
            return str(int(parsed.replace(tzinfo=datetime.timezone.utc).timestamp()))
        except ValueError:
            pass
    return text


def plain(name, value):
    if name in TIMES or name == "error_time":
        return seconds(value)
    if name == "xid":
        return str(int(value, 16))
    if name in ("lease_id", "error_data"):
        return value.replace(":", "")
    if name == "name_default":
        return {"True": "1", "False": "0"}.get(value, value)
    return value


def compare(path):
    packets = sorted(GOLDEN.glob("*.hex"), key=lambda golden: golden.name.encode())
    lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    if len(packets) < 45 or len(lines) < len(packets):
        sys.exit(f"{len(packets)} golden packets, {len(lines)} lines of tshark")
    for packet, line in zip(packets, lines):
        text = packet.read_text(encoding="utf-8").splitlines()
        message = m.parse(bytes.fromhex("".join(row.split("#")[0] for row in text)))
        columns = line.split("\t")
        got = {name: [plain(name, value) for value in column.split("|")] if column else []
               for name, column in zip(FIELDS, columns)}
        want = expected(message)
        for name in FIELDS:
            if got.get(name) != want[name]:
                sys.exit(f"{packet.name}: madcap.{name}: tshark has {got.get(name)}, "
                         f"expected {want[name]}")
    print(f"{len(packets)} golden packets, {len(FIELDS)} fields each")


if __name__ == "__main__":
    if sys.argv[1:] == ["fields"]:
        print("\n".join(f"-e\nmadcap.{name}" for name in FIELDS))
    else:
        compare(sys.argv[2])
