#!/usr/bin/env python3
"""Holds the daemon's AAP codec against the independent one in aap.py, in both directions: random
messages, golden packets, and both of these broken. AAP_TEST_SEED repeats a run, AAP_TEST_ROUNDS
makes it longer."""

import dataclasses
import ipaddress
import random
import sys

import aap as a
from codec import Codec

# ---- random messages ----------------------------------------------------------------------------

class Maker:
    def __init__(self, rng):
        self.rng = rng

    def number(self, bits=32):
        return self.rng.choice((0, 1, (1 << bits) - 1, self.rng.getrandbits(bits)))

    def range(self, family):
        if family == a.IPV4:
            low, high = 0xE0000000, 0xEFFFFFFF
            ends = [self.rng.choice((low, high, self.rng.randint(low, high))) for _ in range(2)]
            make = ipaddress.IPv4Address
        else:
            prefix = 0xFF00 | self.rng.getrandbits(8)
            ends = [prefix << 112 | self.number(112) for _ in range(2)]
            make = ipaddress.IPv6Address
        first, last = sorted(ends)
        return a.Range(make(first), make(last), self.number())

    def message(self, type_):
        family = self.rng.choice((a.IPV4, a.IPV6))
        message = a.Message(type_, family, self.number(24), self.number(8), self.number())
        if type_ == a.ASA:
            message.expiration = self.number()
        if type_ != a.ANA:
            low = 0 if type_ in (a.ASA, a.ASRP) else 1
            many = self.rng.choice((1, 3, 40, 255))
            message.ranges = [self.range(family) for _ in range(self.rng.randint(low, many))]
        if type_ == a.ASRP:
            message.requests = [(self.number(), self.number())
                                for _ in range(self.rng.choice((0, 1, 7, 255)))]
        if type_ == a.ANA:
            message.requests = [(self.number() or 1, self.number())]
        return message

    def broken(self, data):
        """DATA cut, prolonged, with octets changed, or of another type, family or count."""
        out = bytearray(data)
        how = self.rng.randrange(6)
        if how == 0:
            return data[:self.rng.randrange(len(data) + 1)]
        if how == 1:
            return data + self.rng.randbytes(self.rng.choice((1, 8, 12, 36)))
        if how == 2 and len(out) > 12:
            out[12] = (out[12] + self.rng.choice((-1, 1))) % 256
        elif how == 3:
            out[self.rng.randrange(4)] ^= 1 << self.rng.randrange(3)
        elif how == 4 and len(out) > 12:
            at = self.rng.randrange(12, len(out))
            out[at:at] = self.rng.randbytes(self.rng.choice((1, 4, 12)))
        else:
            for _ in range(self.rng.randint(1, 4)):
                octet = self.rng.choice((0, 0xE0, 0xFF, self.rng.getrandbits(8)))
                out[self.rng.randrange(len(out))] = octet
        return bytes(out)


# ---- JSON as tests/support/aap-json.c speaks it -------------------------------------------------

def to_json(message):
    out = dataclasses.asdict(message)
    out["ranges"] = [[str(one.first), str(one.last), one.value] for one in message.ranges]
    out["requests"] = [list(request) for request in message.requests]
    return out


def canonical(answer):
    """Addresses in Python's spelling."""
    if "ranges" in answer:
        answer["ranges"] = [[*(str(ipaddress.ip_address(end)) for end in ends), value]
                            for *ends, value in answer["ranges"]]
    return answer


def expected(data):
    try:
        return to_json(a.parse(data))
    except a.Drop as drop:
        return {"fault": drop.reason}


def main():
    codec = Codec("aap", 2878, 1200)
    maker = Maker(random.Random(codec.seed))
    messages = [maker.message(number % 6) for number in range(codec.rounds)]
    packets = [octets for octets, _ in codec.golden()]
    if len(packets) < 21:
        sys.exit(f"only {len(packets)} golden packets")
    datagrams = packets + [a.build(message) for message in messages]
    datagrams += [maker.broken(data) for data in packets * 50 + datagrams * 3]
    seen = codec.check_decoding(datagrams, expected, canonical,
                                lambda got: [got.get("fault", "ok")])
    codec.check_encoding(messages, to_json, a.build)
    print(f"seed {codec.seed}: {len(datagrams)} decoded {seen}, {len(messages)} encoded")
    missing = {"ok", *a.REASONS} - set(seen)
    if missing or seen["ok"] < codec.rounds:
        sys.exit(f"the generator has become too tame: never {sorted(missing)}")


if __name__ == "__main__":
    main()
