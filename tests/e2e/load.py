"""Load on a server from one socket, and a ledger of what the server has acknowledged."""

import dataclasses
import random
import select
import struct
import time

import harness
import madcap
from madcap import ACK, LEASE_ID, NAK, RANGES, RELEASE, RENEW, REQUEST
from madcap_site import CLIENT, LOCAL, SERVER


class Broken(AssertionError):
    """The server broke its word."""


@dataclasses.dataclass
class Lease:
    id: bytes
    blocks: tuple = ()          # (first, count); empty: never acknowledged
    start: int = 0              # wall clock; 0: it has begun
    until: int = 0              # at least
    released: str = ""          # "asked": it may be gone; "acknowledged": it is
    lifetime: int = 0           # what its REQUEST says
    number: bytes = b""
    story: list = dataclasses.field(default_factory=list)   # for who reads a failure


@dataclasses.dataclass
class Asked:
    type: int
    lease: Lease
    at: int                     # wall clock, seconds
    sent: float                 # monotonic
    data: bytes


class Ledger:
    """Everything one client was told, and whether what it is told next agrees with it."""

    def __init__(self):
        self.leases = {}
        self.holders = {}       # address: leases acknowledged there
        self.acknowledged = 0

    def live(self):
        now = time.time()
        return [lease for lease in self.leases.values()
                if lease.blocks and not lease.released and lease.until > now]

    def unanswered(self):
        return [lease for lease in self.leases.values() if not lease.blocks and not lease.released]

    @staticmethod
    def _addresses(blocks):
        return [first + n for first, count in blocks for n in range(count)]

    def granted(self, lease, blocks, start, until):
        if lease.blocks and lease.blocks != blocks:
            raise Broken(f"{lease.id.hex()} had {lease.blocks} and has {blocks}")
        now = time.time()
        lease.blocks, lease.start = blocks, max(start, lease.start)
        lease.until = max(lease.until, until)
        for address in self._addresses(blocks):
            others = [other for other in self.holders.get(address, ())
                      if other is not lease and not other.released and other.until > now]
            for other in others:
                if max(now, lease.start) < other.until and max(now, other.start) < lease.until:
                    raise Broken(f"{address} is leased to {other.id.hex()} {other.story} and to "
                                 f"{lease.id.hex()} {lease.story}")
            self.holders[address] = others + [lease]

    def answered(self, asked, type_, blocks, start, lifetime, error):
        """What the server said to what was asked. START: 0 where it is at once."""
        lease = asked.lease
        lease.story.append(f"{madcap.TYPE_NAMES[asked.type]} at {asked.at}: {time.time():.3f} "
                           f"{madcap.TYPE_NAMES[type_]} from {start} for {lifetime}")
        if type_ == NAK:
            sure = lease.blocks and not lease.released and lease.until > time.time()
            if sure and error == madcap.LEASE_ID_UNKNOWN:
                raise Broken(f"{lease.id.hex()} is unknown")
            return
        self.acknowledged += 1
        if asked.type == RELEASE:
            lease.released = "acknowledged"
        elif lease.released != "acknowledged":
            self.granted(lease, blocks, start, (start or asked.at) + lifetime)

    def compare(self, found):
        """FOUND: the items of lease.list."""
        there, holders = {bytes.fromhex(item["lease"]): item for item in found}, {}
        now = time.time()
        for id_, item in there.items():
            blocks = _blocks(item["addresses"])
            if id_ not in self.leases:
                raise Broken(f"{id_.hex()} is leased, and nobody asked for it")
            for address in self._addresses(blocks):
                for other in holders.setdefault(address, []):
                    if item["start"] < other["end"] and other["start"] < item["end"]:
                        raise Broken(f"{address} is leased twice: {item} {other}")
                holders[address].append(item)
        for lease in self.leases.values():
            item = there.get(lease.id)
            if lease.released == "acknowledged":
                if item and item["state"] == "leased" and item["end"] > _text(now):
                    raise Broken(f"{lease.id.hex()} was released and came back")
            elif lease.blocks and not lease.released and lease.until > now + 1:
                if not item:
                    raise Broken(f"{lease.id.hex()} is gone; it was leased until {lease.until}")
                if _blocks(item["addresses"]) != lease.blocks:
                    raise Broken(f"{lease.id.hex()} had {lease.blocks}, has {item['addresses']}")
                if item["end"] < _text(lease.until):
                    raise Broken(f"{lease.id.hex()} ends {item['end']}, before {lease.until}")


def _text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _blocks(spans):
    blocks = []
    for span in spans:
        first, _, last = span.partition("-")
        first, last = (int(madcap.as_address(text)) for text in (first, last or first))
        blocks.append((first, last - first + 1))
    return tuple(blocks)


class Load:
    """REQUEST, RENEW and RELEASE, WINDOW under way at a time; SEED decides which."""
    LOST = 0.25                 # seconds; after these nothing is awaited any more
    AGAIN = 1.0                 # seconds
    LIVE = 1500                 # about so many leases

    def __init__(self, host, seed, window=64, address=CLIENT, short=0.05):
        with host.space:
            self.endpoint = madcap.Endpoint(host.interface, address=address)
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.window, self.short = window, short
        self.under_way = {}     # xid: Asked
        self.xid = self.chance.getrandbits(30)
        self.naks = 0
        self.renewable = []

    def close(self):
        self.endpoint.close()

    def _send(self, type_, lease, lifetime=None, more=()):
        now = time.time()
        options = [(LEASE_ID, lease.id), *more]
        if lifetime:
            options.append((madcap.LEASE_TIME, struct.pack("!I", lifetime)))
        self.xid += 1
        data = madcap.build_raw(type_, madcap.IPV4, self.xid, sorted(options))
        # The server may have looked at the clock just before this came.
        self.under_way[self.xid] = Asked(type_, lease, int(now), time.monotonic(), data)
        self.endpoint.send(data, SERVER)

    def wish(self):
        """A lease that nobody has asked for yet."""
        short = self.chance.random() < self.short
        lease = Lease(b"\0" + self.chance.randbytes(16),
                      lifetime=self.chance.choice((1, 2)) if short else 7200,
                      number=struct.pack("!HH", 1, self.chance.choice((1, 1, 1, 4))))
        self.ledger.leases[lease.id] = lease
        return lease

    def request(self, lease=None):
        lease = lease or self.wish()
        self._send(REQUEST, lease, lease.lifetime,
                   [(madcap.SCOPE, madcap.as_address(LOCAL).packed), (madcap.NUMBER, lease.number)])

    def renew(self, lease):
        """Never for less: what it is to end with stays known whatever becomes of the answer."""
        self._send(RENEW, lease, max(7200, lease.until - int(time.time())) + 60)

    def release(self, lease):
        lease.released = "asked"
        self._send(RELEASE, lease)

    def _pick(self):
        """A live lease that is not under way, or None."""
        while self.renewable:
            at = self.chance.randrange(len(self.renewable))
            lease = self.renewable[at]
            self.renewable[at] = self.renewable[-1]
            self.renewable.pop()
            if not lease.released and lease.until > time.time() + 1:
                return lease
        return None

    def _ask(self):
        dice = self.chance.random()
        lease = self._pick() if dice < 0.5 else None
        if lease is None:
            self.request()
        elif dice < (0.25 if len(self.renewable) < self.LIVE else 0.45):
            self.release(lease)
        else:
            self.renew(lease)

    def _take(self, data):
        type_, _, xid, options = madcap.split(data)
        asked = self.under_way.pop(xid, None)
        options = dict(options)
        if asked is None or type_ not in (ACK, NAK):
            return
        self.naks += type_ == NAK
        blocks = tuple(struct.iter_unpack("!IH", options.get(RANGES, b"")))
        error = int.from_bytes(options.get(madcap.ERROR, b"\xff\xff")[:2], "big")
        start, lifetime = (int.from_bytes(options.get(code, b""), "big")
                           for code in (madcap.START_TIME, madcap.LEASE_TIME))
        self.ledger.answered(asked, type_, blocks, start, lifetime, error)
        if type_ == ACK and asked.type != RELEASE and not asked.lease.released:
            self.renewable.append(asked.lease)

    def receive(self, patience):
        """All that is there; waits for the first."""
        found = 0
        while select.select([self.endpoint.socket], [], [], 0 if found else patience)[0]:
            try:
                self._take(self.endpoint.socket.recv(2048))
            except ConnectionRefusedError:
                pass
            found += 1
        return found

    def _give_up(self):
        late = time.monotonic() - self.LOST
        for xid in [xid for xid, asked in self.under_way.items() if asked.sent < late]:
            asked = self.under_way.pop(xid)
            if asked.type == RENEW and not asked.lease.released:
                self.renewable.append(asked.lease)

    def run(self, going):
        """As long as GOING() is true."""
        turn = 0
        while going():
            while len(self.under_way) < self.window:
                self._ask()
            self.receive(0.002)
            turn += 1
            if turn % 16 == 0:
                self._give_up()

    def drain(self):
        """What a server that was killed had sent before."""
        while self.receive(0.01):
            pass
        self.abandon()

    def abandon(self):
        """What was under way never will be answered."""
        self.under_way.clear()
        self.renewable = self.ledger.live()

    def settle(self):
        """Until all is answered. A server may leave a datagram unread where more comes than it can
        answer, so each is sent again now and then, as clients do."""
        again = time.monotonic() + self.AGAIN
        deadline = time.monotonic() + harness.PATIENCE
        while self.under_way and (now := time.monotonic()) < deadline:
            self.receive(0.05)
            if now >= again:
                again = now + self.AGAIN
                for asked in self.under_way.values():
                    self.endpoint.send(asked.data, SERVER)
        left, self.under_way = len(self.under_way), {}
        return left

    def ask_one_by_one(self, ask, leases):
        """ASK(each of LEASES), a window at a time; how many were refused or got no answer."""
        refused, silent, leases = -self.naks, 0, list(leases)
        while leases:
            for lease in leases[:self.window]:
                ask(lease)
            del leases[:self.window]
            silent += self.settle()
        return refused + self.naks, silent

    def probe(self, leases):
        """Each is renewed over the wire."""
        refused, silent = self.ask_one_by_one(self.renew, leases)
        if refused or silent:
            raise Broken(f"of {len(leases)} leases {refused} could not be renewed, {silent} got no "
                         "answer")
        self.renewable = self.ledger.live()
