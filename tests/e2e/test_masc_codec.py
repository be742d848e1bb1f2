#!/usr/bin/env python3
"""Holds the daemon's MASC codec against the independent one in masc.py, in both directions: random
messages, golden messages, and both of these broken; and what each answers to a broken one, to the
octet. MASC_TEST_SEED repeats a run, MASC_TEST_ROUNDS makes it longer."""

import ipaddress
import json
import random
import sys

import masc as m
from codec import Codec

# What the codec alone can find.
FAULTS = {(1, 1), (1, 2), (6, 0), *((2, subcode) for subcode in (0, 1, 2, 3, 6, 13)),
          *((3, subcode) for subcode in (1, 2, 5, 10, 11, 12, 13, 14, 15, 16))}


# ---- random messages ----------------------------------------------------------------------------

class Maker:
    def __init__(self, rng):
        self.rng = rng

    def number(self, bits=32):
        return self.rng.choice((0, 1, (1 << bits) - 1, self.rng.getrandbits(bits)))

    def id(self, family):
        return self.number(8 * m.SIZES[family]) or 1

    def open(self):
        family = self.rng.choice((m.IPV4, m.IPV6))
        hold = self.rng.choice((0, 3, 240, 65535, self.rng.randint(3, 65535)))
        parent = self.number(8 * m.SIZES[family])
        return m.Open(self.rng.randrange(4), self.id(family), self.id(family), parent, hold, family)

    def claim(self):
        family, type_ = self.rng.choice((m.IPV4, m.IPV6)), self.rng.randrange(6)
        bits, shortest = (32, 4) if family == m.IPV4 else (128, 8)
        length = self.rng.choice((shortest, bits, self.rng.randint(shortest, bits)))
        head = 0xE << 28 if family == m.IPV4 else 0xFF << 120
        address = (head | self.rng.getrandbits(bits - shortest)) >> bits - length << bits - length
        if type_ in (m.NEW, m.DENIED, m.WITHDRAW) and self.rng.random() < 0.1:
            address = 0
        role = "ICSP".index(self.rng.choice(m.ORIGINS[type_]))
        make = ipaddress.IPv4Address if family == m.IPV4 else ipaddress.IPv6Address
        return m.Claim(type_, role, self.rng.random() < 0.2, self.number(), self.number(),
                       self.number(), self.id(family), self.id(family), make(address), length)

    def message(self, which):
        if which == 0:
            return self.open()
        if which == 1:
            code = self.rng.choice(list(m.SUBCODES))
            subcode = self.rng.choice(list(m.SUBCODES[code]))
            data = self.rng.randbytes(self.rng.choice((0, 1, 4, 60, m.MOST - 6)))
            stays = (code, subcode) in m.CAN_STAY and self.rng.random() < 0.5
            return m.Notification(code, subcode, stays, data)
        if which == 2:
            return m.Keepalive()
        return m.Update([self.claim() for _ in range(self.rng.choice((1, 1, 2, 5, 48)))])

    def field_changed(self, out):
        """One that means something: header, version, family, lengths, types, addresses, masks."""
        places = [2, 4, 5, 6, 7, 8, 9, 10, 11, 24, 28, 32, 35, 36, 37, 39, 56, 71, 72, 87]
        if out[2] == m.OPEN and self.rng.random() < 0.3:
            out[6:8] = 0, self.rng.randint(1, 3)
            return
        if out[2] == m.UPDATE and self.rng.random() < 0.3:
            out[9] = out[9] & ~3 | self.rng.randrange(4)
            return
        place = self.rng.choice([at for at in places if at < len(out)] or [2])
        out[place] = self.rng.choice((0, 1, 2, 4, 8, 32, 36, 84, 128, 224, 255,
                                      self.rng.getrandbits(8)))

    def broken(self, data):
        out = bytearray(data)
        how = self.rng.randrange(7)
        if how == 0:
            return data[:self.rng.randrange(len(data) + 1)]
        if how == 1:
            out = out[:self.rng.randrange(4, len(out) + 1)]
        elif how == 2:
            out += self.rng.randbytes(self.rng.choice((1, 2, 4, 8, 36)))
        elif how == 3 and len(out) > 4:
            at = self.rng.randrange(4, len(out))
            out[at:at + self.rng.choice((0, 4))] = bytes(self.rng.choice((4, 12)))
        elif how == 4 and len(out) > 16:
            at = self.rng.choice((8, 12, 16, 24, 28, 40))
            out[at:at + 4] = bytes(4)
        elif how == 5:
            for _ in range(self.rng.randint(1, 4)):
                out[self.rng.randrange(len(out))] = self.rng.getrandbits(8)
        else:
            self.field_changed(out)
        if how in (1, 2, 3, 4) and self.rng.random() < 0.95:
            out[:2] = min(len(out), 65535).to_bytes(2, "big")
        return bytes(out)


# ---- JSON as tests/support/masc-json.c speaks it ------------------------------------------------

def id_text(value):
    return str(ipaddress.IPv6Address(value))


def claim_list(claim):
    return [claim.type, claim.role, int(claim.deprecated), claim.timestamp, claim.lifetime,
            claim.holdtime, id_text(claim.domain), id_text(claim.node), str(claim.address),
            claim.length]


def to_json(message):
    if isinstance(message, m.Keepalive):
        return {"type": m.KEEPALIVE}
    if isinstance(message, m.Notification):
        return {"type": m.NOTIFICATION, "code": message.code, "subcode": message.subcode,
                "open": message.open, "data": message.data.hex()}
    if isinstance(message, m.Update):
        return {"type": m.UPDATE, "claims": [claim_list(claim) for claim in message.claims],
                "answers": [m.answer(fault).hex() for fault in message.refused]}
    return {"type": m.OPEN, "family": message.family, "role": message.role, "hold": message.hold,
            "domain": id_text(message.domain), "node": id_text(message.node),
            "parent": id_text(message.parent)}


def spelled(text):
    return str(ipaddress.ip_address(text))


def canonical(answer):
    """Addresses in Python's spelling."""
    for name in {"domain", "node", "parent"} & set(answer):
        answer[name] = spelled(answer[name])
    for claim in answer.get("claims", ()):
        claim[6:9] = map(spelled, claim[6:9])
    return answer


def expected(data):
    try:
        return to_json(m.parse(data))
    except m.Fault as fault:
        return {"fault": [fault.code, fault.subcode], "answer": (m.answer(fault) or b"").hex()}


def keys_of(got):
    yield tuple(got["fault"]) if "fault" in got else "ok"
    for refused in map(bytes.fromhex, got.get("answers", ())):
        yield refused[4] & 127, refused[5]


def check_comparison(codec, maker):
    pairs = []
    while len(pairs) < codec.rounds:
        one, other = maker.claim(), maker.claim()
        if one.type <= m.NEW and other.type <= m.NEW:
            pairs.append((one, other))
    lists = [f"beats {json.dumps([claim_list(claim) for claim in pair])}" for pair in pairs]
    for (one, other), answer in zip(pairs, codec.run(lists)):
        want = m.beats(one, other) - m.beats(other, one)
        if answer["order"] != want:
            sys.exit(f"comparison differs: {one} {other}: {want}, daemon {answer['order']}")


def main():
    codec = Codec("masc", 2587, 800)
    maker = Maker(random.Random(codec.seed))
    messages = [maker.message(number % 6) for number in range(codec.rounds)]
    packets = [octets for octets, _ in codec.golden()]
    if len(packets) < 42:
        sys.exit(f"only {len(packets)} golden messages")
    octets = packets + [m.build(message) for message in messages]
    if m.frames(b"".join(octets) + b"\0\4\4") != (octets, b"\0\4\4"):
        sys.exit("masc.py cuts up a stream wrongly")
    octets += [maker.broken(data) for data in packets * 60 + octets * 3]
    seen = codec.check_decoding(octets, expected, canonical, keys_of)
    codec.check_encoding(messages, to_json, m.build)
    check_comparison(codec, maker)
    print(f"seed {codec.seed}: {len(octets)} decoded {seen}, {len(messages)} encoded")
    missing = FAULTS - set(seen)
    if missing or seen["ok"] < codec.rounds:
        sys.exit(f"the generator has become too tame: never {sorted(missing)}")


if __name__ == "__main__":
    main()
