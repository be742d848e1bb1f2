"""AAP (draft-ietf-malloc-aap-04) in pure Python: a second codec, written from the draft's formats
and not from the daemon's sources, so that the two can be held against each other.

    msg = Message(ACLM, IPV4, rseq=27, time=962409600,
                  ranges=[Range("233.252.0.16", "233.252.0.19", 962416800)])
    assert parse(build(msg)) == msg
"""

import dataclasses
import ipaddress
import struct

PORT = 2878
IPV4, IPV6 = 1, 2
ACLM, AIU, AITU, ASA, ASRP, ANA = range(6)
TYPE_NAMES = ("ACLM", "AIU", "AITU", "ASA", "ASRP", "ANA")
MANY = 0xFFFFFFFF           # in-use count: more than can be said
REASONS = ("short", "version", "type", "family", "length", "range-order", "not-multicast",
           "range-prefix", "count")


class Drop(Exception):
    """A receiver ignores the datagram; .reason is one of REASONS."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def as_address(value):
    return ipaddress.ip_address(value) if isinstance(value, str) else value


@dataclasses.dataclass
class Range:
    """Both ends included; .value is an end time, in an ASRP the number of addresses in use."""
    first: object
    last: object
    value: int

    def __post_init__(self):
        self.first, self.last = as_address(self.first), as_address(self.last)


@dataclasses.dataclass
class Message:
    """.requests: (count, end time); an ANA has one, an ASRP any number. .expiration: ASA only."""
    type: int
    family: int = IPV4
    rseq: int = 0
    mseq: int = 0
    time: int = 0
    expiration: int = 0
    ranges: list = dataclasses.field(default_factory=list)
    requests: list = dataclasses.field(default_factory=list)


# ---- parsing ------------------------------------------------------------------------------------

def _check(first, last):
    """FIRST and LAST as octets."""
    if first > last:
        raise Drop("range-order")
    for address in (first, last):
        if address[0] != 0xFF if len(address) == 16 else not 224 <= address[0] <= 239:
            raise Drop("not-multicast")
    if len(first) == 16 and first[:2] != last[:2]:
        raise Drop("range-prefix")


def _ranges(data, size):
    out = []
    for at in range(0, len(data), 2 * size + 4):
        first, last = data[at:at + size], data[at + size:at + 2 * size]
        _check(first, last)
        value, = struct.unpack("!I", data[at + 2 * size:at + 2 * size + 4])
        out.append(Range(ipaddress.ip_address(first), ipaddress.ip_address(last), value))
    return out


def _parse_asrp(message, body, size):
    whole = 2 * size + 4
    if not body or len(body) - 1 < body[0] * whole:
        raise Drop("length")
    reports, rest = body[1:1 + body[0] * whole], body[1 + body[0] * whole:]
    message.ranges = _ranges(reports, size)
    if not rest or len(rest) - 1 != rest[0] * 8:
        raise Drop("length")
    message.requests = list(struct.iter_unpack("!II", rest[1:]))


def parse(data):
    """The Message, or Drop with the first reason."""
    if len(data) < 12:
        raise Drop("short")
    version, type_, family, sequence, time = struct.unpack("!BBHII", data[:12])
    if version:
        raise Drop("version")
    if type_ > ANA:
        raise Drop("type")
    if family not in (IPV4, IPV6):
        raise Drop("family")
    message = Message(type_, family, sequence >> 8, sequence & 0xFF, time)
    size, body = 4 if family == IPV4 else 16, data[12:]
    if type_ == ASRP:
        _parse_asrp(message, body, size)
    elif type_ == ANA:
        if len(body) != 8:
            raise Drop("length")
        message.requests = [struct.unpack("!II", body)]
        if message.requests[0][0] == 0:
            raise Drop("count")
    else:
        if type_ == ASA:
            if len(body) < 4:
                raise Drop("length")
            message.expiration, = struct.unpack("!I", body[:4])
            body = body[4:]
        if len(body) % (2 * size + 4) or (not body and type_ != ASA):
            raise Drop("length")
        message.ranges = _ranges(body, size)
    return message


# ---- building -----------------------------------------------------------------------------------

def build(message):
    """Checks nothing: tests want wrong ones, too."""
    out = struct.pack("!BBHII", 0, message.type, message.family, message.rseq << 8 | message.mseq,
                      message.time)
    if message.type == ASA:
        out += struct.pack("!I", message.expiration)
    if message.type == ASRP:
        out += bytes([len(message.ranges)])
    for one in message.ranges:
        out += one.first.packed + one.last.packed + struct.pack("!I", one.value)
    if message.type == ASRP:
        out += bytes([len(message.requests)])
    for count, end in message.requests:
        out += struct.pack("!II", count, end)
    return out


# ---- meaning ------------------------------------------------------------------------------------

def is_resent(message):
    """An ASA that a MAAS sent on behalf of a silent coordinator (3.2.10.2)."""
    return message.time >= message.expiration


def adjust(field, current_time, now):
    """FIELD of a message of CURRENT_TIME, in the clock of who received it at NOW (5.3.1)."""
    return max(0, min(0xFFFFFFFF, field + now - current_time))


def group4(network, offset=7):
    """The AAP address of an IPv4 scope."""
    return ipaddress.ip_network(network).broadcast_address - offset
