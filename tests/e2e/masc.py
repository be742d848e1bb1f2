"""MASC (RFC 2909 sections 7 and 8) in pure Python: a second codec, written from the RFC and not
from the daemon's sources, so that the two can be held against each other.

    msg = Open(role=CHILD, domain=64501, node=0xC0000201)
    assert parse(build(msg)) == msg
"""

import dataclasses
import ipaddress
import struct

PORT = 2587
IPV4, IPV6 = 1, 2
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
INTERNAL, CHILD, SIBLING, PARENT = range(4)
IN_USE, DENIED, EXPAND, NEW, MANAGED, WITHDRAW = range(6)
MOST = 4096
MINIMUM = {OPEN: 20, UPDATE: 40}
SUBCODES = {1: range(3), 2: (0, 1, 2, 3, 6, 7, 8, 9, 10, 13),
            3: (0, 1, 2, 5, *range(10, 30)), 4: (0,), 5: range(3), 6: (0,), 7: (0,)}
CAN_STAY = {(1, 2), (3, 2), *((3, subcode) for subcode in range(10, 30) if subcode != 13)}
ORIGINS = {IN_USE: "ICS", DENIED: "IP", EXPAND: "ICS", NEW: "ICS", MANAGED: "IP",
           WITHDRAW: "ICSP"}
SIZES = {IPV4: 4, IPV6: 16}


class Fault(Exception):
    """.code, .subcode, .data are those of the NOTIFICATION; .silent: none is sent (8.6)."""

    def __init__(self, code, subcode, data=b"", silent=False):
        super().__init__(f"{code}.{subcode}")
        self.code, self.subcode, self.data, self.silent = code, subcode, data[:MOST - 6], silent


@dataclasses.dataclass
class Open:
    """Identifiers are numbers."""
    role: int
    domain: int
    node: int
    parent: int = 0
    hold: int = 240
    family: int = IPV4


@dataclasses.dataclass
class Claim:
    """.address is an ipaddress, .length that of its mask."""
    type: int
    role: int
    deprecated: bool
    timestamp: int
    lifetime: int
    holdtime: int
    domain: int
    node: int
    address: object
    length: int


@dataclasses.dataclass
class Update:
    """.refused: a Fault for each attribute that was refused alone."""
    claims: list
    refused: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Notification:
    code: int
    subcode: int
    open: bool = False
    data: bytes = b""


@dataclasses.dataclass
class Keepalive:
    pass


# ---- parsing ------------------------------------------------------------------------------------

def _number(octets):
    return int.from_bytes(octets, "big")


def _parameters_ok(data):
    while data:
        if len(data) < 2 or len(data) < 2 + data[0]:
            return False
        data = data[2 + data[0]:]
    return True


def _fields(data, size, count):
    return [data[i * size:(i + 1) * size] for i in range(count)]


def _parse_open(body):
    version, octet, hold = struct.unpack("!BBH", body[:4])
    if version != 1:
        raise Fault(2, 1, b"\1")
    family, role = octet >> 2 & 31, octet & 3
    if family not in SIZES:
        raise Fault(2, 13, body)
    size = SIZES[family]
    if len(body) < 4 + 3 * size or not _parameters_ok(body[4 + 3 * size:]):
        raise Fault(2, 0, body)
    domain, node, parent = map(_number, _fields(body[4:], size, 3))
    if domain == 0:
        raise Fault(2, 2, body)
    if node == 0:
        raise Fault(2, 3, body)
    if hold in (1, 2):
        raise Fault(2, 6, body)
    return Open(role, domain, node, parent, hold, family)


def _is_multicast(octets):
    return octets[0] == 0xFF if len(octets) == 16 else 224 <= octets[0] <= 239


def _mask_length(octets):
    bits = "".join(f"{octet:08b}" for octet in octets)
    ones = len(bits) - len(bits.lstrip("1"))
    if ones == 0:
        raise Fault(3, 11)
    if "1" in bits[ones:]:
        raise Fault(3, 12)
    if ones < (4 if len(octets) == 4 else 8):
        raise Fault(3, 11)
    return ones


def _claim(type_, data):
    """DATA is behind the attribute's header and long enough."""
    octet, stamp, life, hold = struct.unpack("!xBxxIII", data[:16])
    size, role = SIZES[octet >> 2 & 31], octet & 3
    domain, node, address, mask = _fields(data[16:], size, 4)
    if _number(address) == 0:
        if type_ not in (NEW, DENIED, WITHDRAW):
            raise Fault(3, 10)
    elif not _is_multicast(address):
        raise Fault(3, 10)
    length = _mask_length(mask)
    if _number(address) & ~_number(mask):
        raise Fault(3, 10)
    if "ICSP"[role] not in ORIGINS[type_]:
        raise Fault(3, 14)
    if _number(domain) == 0:
        raise Fault(3, 15)
    if _number(node) == 0:
        raise Fault(3, 16)
    return Claim(type_, role, octet > 127, stamp, life, hold, _number(domain), _number(node),
                 ipaddress.ip_address(address), length)


def _check_fatal(attribute):
    """What is wrong so much that the connection has to be closed."""
    if len(attribute) < 8:
        raise Fault(3, 5, attribute)
    size = SIZES.get(attribute[5] >> 2 & 31)
    if size is None:
        raise Fault(3, 13, attribute)
    if len(attribute) < 20 + 4 * size:
        raise Fault(3, 5, attribute)
    if not _parameters_ok(attribute[20 + 4 * size:]):
        raise Fault(3, 1, attribute)


def _attributes(body):
    while body:
        if len(body) < 4:
            raise Fault(3, 1, body)
        length, type_ = _number(body[:2]), body[2]
        if length < 4 or length > len(body) or length % 4:
            raise Fault(3, 5 if type_ <= WITHDRAW else 1, body)
        if type_ <= WITHDRAW:
            _check_fatal(body[:length])
        yield type_, body[:length]
        body = body[length:]


def _parse_update(body):
    update = Update([])
    for type_, attribute in list(_attributes(body)):
        if type_ >= 128:
            continue
        try:
            if type_ > WITHDRAW:
                raise Fault(3, 2)
            update.claims.append(_claim(type_, attribute[4:]))
        except Fault as fault:
            update.refused.append(Fault(3, fault.subcode, attribute))
    return update


def _parse_notification(data):
    keeps_open = len(data) > 4 and data[4] > 127
    if len(data) >= 6:
        code, subcode = data[4] & 127, data[5]
        if subcode in SUBCODES.get(code, ()) and (not keeps_open or (code, subcode) in CAN_STAY):
            return Notification(code, subcode, keeps_open, data[6:])
    raise Fault(6, 0, data, silent=not keeps_open)


def parse(data):
    """The message in DATA, or Fault. A stream is to be cut up by frames() before."""
    if len(data) < 4 or _number(data[:2]) != len(data) or len(data) > MOST:
        raise Fault(1, 1, data)
    type_, body = data[2], data[4:]
    if type_ not in (OPEN, UPDATE, NOTIFICATION, KEEPALIVE):
        raise Fault(1, 2, data)
    if len(data) < MINIMUM.get(type_, 0) or (type_ == KEEPALIVE and body):
        raise Fault(1, 1, data)
    if type_ == OPEN:
        return _parse_open(body)
    if type_ == UPDATE:
        return _parse_update(body)
    return _parse_notification(data) if type_ == NOTIFICATION else Keepalive()


def frames(stream):
    """([whole messages], what is left). A Length that cannot be ends it: the header is the last."""
    out = []
    while len(stream) >= 4:
        length = _number(stream[:2])
        if not 4 <= length <= MOST:
            return out + [stream[:4]], b""
        if length > len(stream):
            break
        out.append(stream[:length])
        stream = stream[length:]
    return out, stream


# ---- building -----------------------------------------------------------------------------------

def _id(value, family):
    return value.to_bytes(SIZES[family], "big")


def build_claim(claim):
    family = IPV4 if claim.address.version == 4 else IPV6
    size = SIZES[family]
    octet = claim.deprecated << 7 | family << 2 | claim.role
    mask = (1 << 8 * size) - (1 << (8 * size - claim.length))
    return (struct.pack("!HBxxBxxIII", 20 + 4 * size, claim.type, octet, claim.timestamp,
                        claim.lifetime, claim.holdtime) + _id(claim.domain, family)
            + _id(claim.node, family) + claim.address.packed + mask.to_bytes(size, "big"))


def build_raw(type_, body):
    return struct.pack("!HBx", 4 + len(body), type_) + body


def build(message):
    """Checks nothing: tests want wrong ones, too."""
    if isinstance(message, Keepalive):
        return build_raw(KEEPALIVE, b"")
    if isinstance(message, Notification):
        head = bytes([message.open << 7 | message.code, message.subcode])
        return build_raw(NOTIFICATION, head + message.data)
    if isinstance(message, Update):
        return build_raw(UPDATE, b"".join(map(build_claim, message.claims)))
    head = struct.pack("!BBH", 1, message.family << 2 | message.role, message.hold)
    ids = (message.domain, message.node, message.parent)
    return build_raw(OPEN, head + b"".join(_id(one, message.family) for one in ids))


def answer(fault, keep_open=True):
    """The NOTIFICATION for FAULT, or None."""
    if fault.silent:
        return None
    stays = keep_open and (fault.code, fault.subcode) in CAN_STAY
    return build(Notification(fault.code, fault.subcode, stays, fault.data))


# ---- meaning ------------------------------------------------------------------------------------

def beats(one, other):
    """5.1.1; both are PREFIX_IN_USE, CLAIM_DENIED, CLAIM_TO_EXPAND or NEW_CLAIM."""
    return (one.type, one.timestamp, one.node) < (other.type, other.timestamp, other.node)
