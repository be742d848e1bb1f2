"""MADCAP (RFC 2730, RFC 2907) in pure Python: a second codec, written from the RFCs and not from
the daemon's sources, so that the two can be held against each other; and sockets to speak it with.

    msg = Message(GETINFO, IPV4, xid=1, options={LEASE_ID: b"\0...", REQUEST_LIST: [SCOPE_LIST]})
    with Endpoint("eth0") as client:
        client.send(build(msg), "239.255.255.254")
        for data, peer in client.receive(until=1.0):
            print(parse(data))
"""

import dataclasses
import ipaddress
import select
import socket
import struct
import time

PORT = 2535
IPV4, IPV6 = 1, 2
NO_OPTION = 0xFFFF

# table 2
DISCOVER, OFFER, REQUEST, RENEW, ACK, NAK, RELEASE, GETINFO = range(1, 9)
TYPE_NAMES = {DISCOVER: "DISCOVER", OFFER: "OFFER", REQUEST: "REQUEST", RENEW: "RENEW", ACK: "ACK",
              NAK: "NAK", RELEASE: "RELEASE", GETINFO: "GETINFO"}
FROM_SERVER = (OFFER, ACK, NAK)

# section 3, in numerical order; NESTING: RFC 2907 section 5
(END, LEASE_TIME, SERVER_ID, LEASE_ID, SCOPE, REQUEST_LIST, START_TIME, NUMBER, LANGUAGE,
 SCOPE_LIST, RANGES, CURRENT_TIME, FEATURES, RETRY_TIME, MIN_LEASE_TIME, MAX_START_TIME, ERROR,
 NESTING) = range(18)
OPTION_NAMES = ("End", "Lease Time", "Server Identifier", "Lease Identifier", "Multicast Scope",
                "Option Request List", "Start Time", "Number of Addresses Requested",
                "Requested Language", "Multicast Scope List", "List of Address Ranges",
                "Current Time", "Feature List", "Retry Time", "Minimum Lease Time",
                "Maximum Start Time", "Error", "Multicast Scope Nesting State")

# table 4, 3.17, table 3
SERVER_MOBILITY, RETRY_AFTER, SHARED_LEASE_ID = range(3)
NOT_COMPLETED, INVALID_REQUEST, CLOCK_SKEW, LEASE_ID_UNKNOWN, FEATURE_UNSUPPORTED = range(5)
RANDOM_LEASE_ID, ADDRESS_LEASE_ID = range(2)

U32_OPTIONS = (LEASE_TIME, START_TIME, CURRENT_TIME, RETRY_TIME, MIN_LEASE_TIME, MAX_START_TIME)


class Ignore(Exception):
    """What was received is no MADCAP message: a receiver stays silent."""


class Bad(Exception):
    """A message that a server answers with Invalid Request, naming .option; .message is what could
    be understood of it (header and lease identifier)."""

    def __init__(self, option, reason, message=None):
        super().__init__(f"option {option}: {reason}")
        self.option = option
        self.reason = reason
        self.message = message


@dataclasses.dataclass
class Message:
    """Values by option code: int for times; bytes for LEASE_ID and LANGUAGE; an address for SCOPE
    and SERVER_ID (or a tuple of family number and bytes, where the family is unknown); [code] for
    REQUEST_LIST; (min, desired) for NUMBER; [Scope]; [(address, count)] for RANGES; Features;
    (code, bytes) for ERROR; Nesting. The order of the dictionary is that of the message."""
    type: int
    family: int = IPV4
    xid: int = 0
    options: dict = dataclasses.field(default_factory=dict)
    unknown: list = dataclasses.field(default_factory=list)

    def __getitem__(self, code):
        return self.options[code]

    def __contains__(self, code):
        return code in self.options

    def get(self, code, default=None):
        return self.options.get(code, default)


@dataclasses.dataclass
class Name:
    language: bytes
    text: str
    default: bool = False


@dataclasses.dataclass
class Scope:
    first: object
    last: object
    ttl: int
    names: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Features:
    supported: list = dataclasses.field(default_factory=list)
    requested: list = dataclasses.field(default_factory=list)
    required: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Nesting:
    """rows[x][y]: scope x nests inside scope y."""
    rows: list
    ignored: bool = False


# ---- table 5 ------------------------------------------------------------------------------------

def _column(must, may=()):
    # Lease Identifier and End are in every message, Feature List may be.
    return frozenset(must) | {LEASE_ID}, frozenset(may) | {FEATURES}


_WANTS = (LEASE_TIME, START_TIME, NUMBER, RANGES, CURRENT_TIME, MIN_LEASE_TIME, MAX_START_TIME)
_GRANT = _column((LEASE_TIME, SERVER_ID, SCOPE, RANGES), (START_TIME, CURRENT_TIME, RETRY_TIME))
TABLE5 = {
    GETINFO: _column((REQUEST_LIST,), (LANGUAGE,)),
    (ACK, GETINFO): _column((SERVER_ID,), (SCOPE_LIST, CURRENT_TIME, NESTING)),
    DISCOVER: _column((SCOPE,), _WANTS),
    OFFER: _column((LEASE_TIME, SERVER_ID, SCOPE), (START_TIME, RANGES, CURRENT_TIME)),
    REQUEST: _column((SCOPE,), _WANTS + (SERVER_ID,)),
    (REQUEST, "multicast"): _column((SCOPE, SERVER_ID), _WANTS),
    (ACK, REQUEST): _GRANT,
    RENEW: _column((), (LEASE_TIME, START_TIME, CURRENT_TIME, MIN_LEASE_TIME, MAX_START_TIME)),
    (ACK, RENEW): _GRANT,
    RELEASE: _column(()),
    (ACK, RELEASE): _column((SERVER_ID,)),
    NAK: _column((SERVER_ID, ERROR)),
}


def rules(type_, answers=None, multicast=False):
    """(must, may) for a kind of message; empty sets for one that there isn't."""
    if type_ == ACK:
        return TABLE5.get((ACK, answers), (frozenset(), frozenset()))
    if type_ == REQUEST and multicast:
        return TABLE5[REQUEST, "multicast"]
    return TABLE5.get(type_, (frozenset(), frozenset()))


def check(message, answers=None, multicast=False):
    """Raises Bad for the lowest option that is missing or not allowed."""
    must, may = rules(message.type, answers, multicast)
    for code in range(1, 18):
        if code in must and code not in message:
            raise Bad(code, "missing", message)
        if code in message and code not in must | may:
            raise Bad(code, "forbidden", message)


# ---- addresses ----------------------------------------------------------------------------------

def _octets(family):
    return {IPV4: 4, IPV6: 16}[family]


def _family_of(address):
    return IPV4 if address.version == 4 else IPV6


def as_address(value):
    return ipaddress.ip_address(value) if isinstance(value, str) else value


def _address(raw):
    return ipaddress.IPv4Address(raw) if len(raw) == 4 else ipaddress.IPv6Address(raw)


# ---- parsing ------------------------------------------------------------------------------------

class _Short(Exception):
    pass


class _Octets:
    """Takes octets off the front of a bytes object."""

    def __init__(self, raw):
        self.raw = raw

    def take(self, count):
        if len(self.raw) < count:
            raise _Short
        head, self.raw = self.raw[:count], self.raw[count:]
        return head

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def all(self):
        return self.take(len(self.raw))


class _Wrong(Exception):
    """The content of an option breaks its definition."""


def _codes(raw):
    if len(raw) % 2:
        raise _Short
    return [code for (code,) in struct.iter_unpack("!H", raw)]


def _parse_server_id(octets, message):
    family = octets.number(2)
    raw = octets.all()
    if not raw:
        raise _Short
    if family not in (IPV4, IPV6):
        return family, raw
    if len(raw) != _octets(family):
        raise _Short
    return _address(raw)


def _parse_lease_id(octets, message):
    if not octets.raw:
        raise _Short
    return octets.all()


def _parse_scope(octets, message):
    return _address(octets.take(_octets(message.family)))


def _parse_request_list(octets, message):
    if not octets.raw:
        raise _Short
    return _codes(octets.all())


def _parse_number(octets, message):
    minimum, desired = octets.number(2), octets.number(2)
    if minimum > desired:
        raise _Wrong("minimum above desired")
    return minimum, desired


def _parse_name(octets):
    flags = octets.number(1)
    language = octets.take(octets.number(1))
    raw = octets.take(octets.number(1))
    if not language or not raw or 0 in raw:
        raise _Wrong("empty language or name")
    try:
        return Name(language, raw.decode("utf-8"), bool(flags & 0x80))
    except UnicodeDecodeError:
        raise _Wrong("name is not UTF-8") from None


def _parse_scope_list(octets, message):
    scopes = []
    if not octets.raw:
        return scopes
    size = _octets(message.family)
    for _ in range(octets.number(1)):
        first, last = _address(octets.take(size)), _address(octets.take(size))
        ttl, names = octets.number(1), octets.number(1)
        scopes.append(Scope(first, last, ttl, [_parse_name(octets) for _ in range(names)]))
        if first > last:
            raise _Wrong("first after last")
    if len({scope.first for scope in scopes}) < len(scopes):
        raise _Wrong("scope ID twice")
    return scopes


def _parse_ranges(octets, message):
    ranges = []
    size = _octets(message.family)
    while octets.raw:
        first, count = _address(octets.take(size)), octets.number(2)
        if count == 0 or int(first) + count > 1 << 8 * size:
            raise _Wrong("impossible block size")
        ranges.append((first, count))
    return ranges


def _parse_features(octets, message):
    features = Features(*(_codes(octets.take(2 * octets.number(2))) for _ in range(3)))
    if message.type in FROM_SERVER:
        if features.requested:
            raise _Wrong("a server requests features")
    elif RETRY_AFTER in features.requested + features.required:
        raise _Wrong("Retry After may only be supported")
    return features


def _parse_error(octets, message):
    code, extra = octets.number(2), octets.all()
    exact = {NOT_COMPLETED: 2, INVALID_REQUEST: 2, CLOCK_SKEW: 4, LEASE_ID_UNKNOWN: 0}
    if len(extra) != exact.get(code, len(extra)):
        raise _Short
    if code == FEATURE_UNSUPPORTED:
        _codes(extra)
    return code, extra


def _parse_nesting(octets, message):
    count = octets.number(1)
    rows = []
    for x in range(count):
        raw = octets.take(-(-(count - 1) // 8))
        bits = [bit == "1" for bit in "".join(f"{octet:08b}" for octet in raw)][:count - 1]
        rows.append(bits[:x] + [True] + bits[x:])
    return Nesting(rows)


_PARSERS = {
    SERVER_ID: _parse_server_id, LEASE_ID: _parse_lease_id, SCOPE: _parse_scope,
    REQUEST_LIST: _parse_request_list, NUMBER: _parse_number,
    LANGUAGE: lambda octets, message: octets.all(), SCOPE_LIST: _parse_scope_list,
    RANGES: _parse_ranges, FEATURES: _parse_features, ERROR: _parse_error, NESTING: _parse_nesting,
}
_PARSERS.update(dict.fromkeys(U32_OPTIONS, lambda octets, message: octets.number(4)))


def split(data):
    """Header fields and [(code, bytes)], without End; raises Ignore where the syntax is wrong."""
    if len(data) < 12:
        raise Ignore("shorter than 12 octets")
    version, type_, family, xid = struct.unpack("!BBHI", data[:8])
    if version != 0:
        raise Ignore("version is not 0")
    octets = _Octets(data[8:])
    found = []
    try:
        while True:
            code = octets.number(2)
            value = octets.take(octets.number(2))
            if code == END:
                break
            found.append((code, value))
    except _Short:
        raise Ignore("option runs past the end, or no End") from None
    if value or octets.raw:
        raise Ignore("End is not the last, empty option")
    return type_, family, xid, found


def _parse_option(message, code, value):
    octets = _Octets(value)
    try:
        parsed = _PARSERS[code](octets, message)
    except _Short:
        raise Bad(code, "length") from None
    except _Wrong as wrong:
        raise Bad(code, str(wrong)) from None
    if octets.raw:
        raise Bad(code, "length")
    message.options[code] = parsed


def _parse_companions(message):
    if CURRENT_TIME not in message and any(
            code in message for code in (START_TIME, MAX_START_TIME, RETRY_TIME)):
        raise Bad(CURRENT_TIME, "missing")
    if NESTING in message:
        if SCOPE_LIST not in message:
            raise Bad(NESTING, "without a scope list")
        message[NESTING].ignored = len(message[NESTING].rows) != len(message[SCOPE_LIST])


def parse(data):
    """The Message, or Ignore or Bad."""
    type_, family, xid, found = split(data)
    message = Message(type_, family, xid)
    lease_id = next((value for code, value in found if code == LEASE_ID), b"")
    answerable = Message(type_, family, xid, {LEASE_ID: lease_id} if lease_id else {})
    try:
        if type_ not in TYPE_NAMES:
            raise Bad(NO_OPTION, "message type")
        if family not in (IPV4, IPV6):
            raise Bad(NO_OPTION, "address family")
        for code, value in found:
            if code not in _PARSERS:
                message.unknown.append((code, value))
            elif code in message:
                raise Bad(code, "twice")
            else:
                _parse_option(message, code, value)
        _parse_companions(message)
    except Bad as bad:
        raise Bad(bad.option, bad.reason, answerable) from None
    return message


# ---- building -----------------------------------------------------------------------------------

def _build_codes(codes):
    return struct.pack(f"!{len(codes)}H", *codes)


def _build_server_id(value):
    if isinstance(value, tuple):
        return struct.pack("!H", value[0]) + value[1]
    value = as_address(value)
    return struct.pack("!H", _family_of(value)) + value.packed


def _build_scope_list(scopes):
    out = bytearray([len(scopes)])
    for scope in scopes:
        out += as_address(scope.first).packed + as_address(scope.last).packed
        out += bytes([scope.ttl, len(scope.names)])
        for name in scope.names:
            text = name.text.encode("utf-8")
            out += bytes([0x80 if name.default else 0, len(name.language)]) + name.language
            out += bytes([len(text)]) + text
    return bytes(out)


def _build_nesting(nesting):
    rows = nesting.rows
    out = bytearray([len(rows)])
    width = -(-(len(rows) - 1) // 8) * 8
    for x, row in enumerate(rows):
        bits = "".join("1" if nests else "0" for y, nests in enumerate(row) if y != x)
        bits = bits.ljust(width, "0")
        out += bytes(int(bits[at:at + 8], 2) for at in range(0, width, 8))
    return bytes(out)


def _build_features(features):
    lists = features.supported, features.requested, features.required
    return b"".join(struct.pack("!H", len(codes)) + _build_codes(codes) for codes in lists)


_BUILDERS = {
    SERVER_ID: _build_server_id, LEASE_ID: bytes, SCOPE: lambda value: as_address(value).packed,
    REQUEST_LIST: _build_codes, NUMBER: lambda value: struct.pack("!HH", *value), LANGUAGE: bytes,
    SCOPE_LIST: _build_scope_list,
    RANGES: lambda value: b"".join(as_address(first).packed + struct.pack("!H", count)
                                   for first, count in value),
    FEATURES: _build_features, ERROR: lambda value: struct.pack("!H", value[0]) + value[1],
    NESTING: _build_nesting,
}
_BUILDERS.update(dict.fromkeys(U32_OPTIONS, lambda value: struct.pack("!I", value)))


def build_option(code, value):
    """One option with code and length; VALUE as in Message.options."""
    raw = _BUILDERS[code](value)
    return struct.pack("!HH", code, len(raw)) + raw


def build_raw(type_, family, xid, options, version=0, end=b"\0\0\0\0"):
    """A datagram from (code, bytes) pairs, sound or not."""
    return (struct.pack("!BBHI", version, type_, family, xid) +
            b"".join(struct.pack("!HH", code, len(raw)) + raw for code, raw in options) + end)


def build(message):
    """The datagram, options in the order of the dictionary, unknown ones behind; not checked."""
    return build_raw(message.type, message.family, message.xid,
                     [(code, _BUILDERS[code](value)) for code, value in message.options.items()] +
                     list(message.unknown))


def error_extra(message):
    """What an Error option's extra data says: option code, time, feature codes, or the bytes."""
    code, extra = message[ERROR]
    if code in (NOT_COMPLETED, INVALID_REQUEST, CLOCK_SKEW):
        return int.from_bytes(extra, "big")
    return _codes(extra) if code == FEATURE_UNSUPPORTED else extra


# ---- sockets ------------------------------------------------------------------------------------

class Endpoint:
    """A UDP socket that speaks from one interface, for either transport family."""

    def __init__(self, interface=None, version=4, ttl=16, port=0, address=None):
        self.version = version
        self.index = socket.if_nametoindex(interface) if interface else 0
        self.socket = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6,
                                    socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == 4:
            request = struct.pack("@4s4si", bytes(4), bytes(4), self.index)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            if interface:
                self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        else:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
            if interface:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self.index)
        self.socket.bind(self._to(address or ("0.0.0.0" if version == 4 else "::"), port))
        self.socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def join(self, group):
        raw = ipaddress.ip_address(group).packed
        if self.version == 4:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                   struct.pack("@4s4si", raw, bytes(4), self.index))
        else:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                                   struct.pack("@16sI", raw, self.index))

    def _to(self, address, port):
        if self.version == 4:
            return address, port
        zone = self.index if address.lower().startswith(("fe8", "ff")) else 0
        return address, port, 0, zone

    def send(self, data, address, port=PORT):
        self.socket.sendto(data, self._to(str(address), port))

    def receive(self, until=1.0):
        """Yields (data, (address, port)) for as many seconds."""
        deadline = time.monotonic() + until
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                try:
                    data, peer = self.socket.recvfrom(65535)
                except ConnectionRefusedError:
                    continue
                yield data, peer[:2]

    def exchange(self, message, address, port=PORT, until=2.0, want=lambda answer: True):
        """Sends MESSAGE (a Message or bytes); the first answer with its xid that WANT accepts, or
        None after UNTIL seconds. No retransmission."""
        data = message if isinstance(message, bytes) else build(message)
        xid = struct.unpack("!I", data[4:8])[0]
        self.send(data, address, port)
        for answer, _ in self.receive(until):
            parsed = parse(answer)
            if parsed.xid == xid and parsed.type in FROM_SERVER and want(parsed):
                return parsed
        return None


def collect(endpoint, message, address, port=PORT, until=1.0):
    """Sends and returns all answers with the message's xid that come in UNTIL seconds."""
    endpoint.send(build(message), address, port)
    answers = []
    for data, _ in endpoint.receive(until):
        parsed = parse(data)
        if parsed.xid == message.xid and parsed.type in FROM_SERVER:
            answers.append(parsed)
    return answers
