#!/usr/bin/env python3
"""Holds the daemon's MADCAP codec against the independent one in madcap.py, in both directions:
random messages, golden packets, and both of these broken. MADCAP_TEST_SEED repeats a run,
MADCAP_TEST_ROUNDS makes it longer."""

import ipaddress
import json
import random
import sys

import madcap as m
from codec import Codec

KINDS = [(m.GETINFO, None, False), (m.ACK, m.GETINFO, False), (m.DISCOVER, None, True),
         (m.OFFER, None, False), (m.REQUEST, None, False), (m.REQUEST, None, True),
         (m.ACK, m.REQUEST, False), (m.RENEW, None, False), (m.ACK, m.RENEW, False),
         (m.RELEASE, None, False), (m.ACK, m.RELEASE, False), (m.NAK, None, False)]


# ---- random messages ----------------------------------------------------------------------------

class Maker:
    def __init__(self, rng):
        self.rng = rng

    def address(self, family, low=0):
        size = 32 if family == m.IPV4 else 128
        value = self.rng.choice((0, low, (1 << size) - 1, self.rng.getrandbits(size)))
        return ipaddress.IPv4Address(value) if family == m.IPV4 else ipaddress.IPv6Address(value)

    def octets(self, low, high):
        return self.rng.randbytes(self.rng.randint(low, high))

    def codes(self, high, choices=range(20)):
        return [self.rng.choice((*choices, self.rng.getrandbits(16)))
                for _ in range(self.rng.randint(0, high))]

    def name(self):
        text = "".join(self.rng.choice("aZ 0éß中\U0001f4e1\x01\"\\")
                       for _ in range(self.rng.randint(1, self.rng.choice((3, 20, 60)))))
        language = bytes(self.rng.randint(1, 255) for _ in range(self.rng.randint(1, 9)))
        return m.Name(language, text, self.rng.random() < .5)

    def scopes(self, family):
        scopes = {}
        for _ in range(self.rng.choice((0, 1, 2, 7, 8, 9, 17, 30))):
            first, last = sorted((self.address(family), self.address(family)))
            scopes[first] = m.Scope(first, last, self.rng.getrandbits(8),
                                    [self.name() for _ in range(self.rng.randint(0, 3))])
        return list(scopes.values())

    def ranges(self, family):
        size = 32 if family == m.IPV4 else 128
        blocks = [(self.address(family), self.rng.choice((1, 2, 65535, self.rng.randint(1, 65535))))
                  for _ in range(self.rng.choice((0, 1, 2, 20)))]
        return [(first, count) for first, count in blocks if int(first) + count <= 1 << size]

    def features(self, type_):
        if type_ in m.FROM_SERVER:
            return m.Features(self.codes(4), [], self.codes(4))
        asked = [[code for code in self.codes(4) if code != m.RETRY_AFTER] for _ in range(2)]
        return m.Features(self.codes(4), *asked)

    def error(self):
        code = self.rng.choice((0, 1, 2, 3, 4, 5, 1024, self.rng.getrandbits(16)))
        sizes = {0: 2, 1: 2, 2: 4, 3: 0, 4: 2 * self.rng.randint(0, 5)}
        return code, self.rng.randbytes(sizes.get(code, self.rng.randint(0, 9)))

    def nesting(self, scopes):
        count = len(scopes)
        return m.Nesting([[x == y or self.rng.random() < .5 for y in range(count)]
                          for x in range(count)])

    def value(self, code, message):
        family = message.family
        makers = {
            m.SERVER_ID: lambda: self.address(self.rng.choice((m.IPV4, m.IPV6))),
            m.LEASE_ID: lambda: self.octets(1, self.rng.choice((3, 17, 300))),
            m.SCOPE: lambda: self.address(family),
            m.REQUEST_LIST: lambda: self.codes(9) + [m.SCOPE_LIST],
            m.NUMBER: lambda: tuple(sorted(self.rng.getrandbits(16) for _ in range(2))),
            m.LANGUAGE: lambda: self.octets(0, 12),
            m.SCOPE_LIST: lambda: self.scopes(family),
            m.RANGES: lambda: self.ranges(family),
            m.FEATURES: lambda: self.features(message.type),
            m.ERROR: self.error,
            m.NESTING: lambda: self.nesting(message[m.SCOPE_LIST]),
        }
        return makers.get(code, lambda: self.rng.getrandbits(32))()

    def message(self, kind):
        type_, answers, multicast = kind
        message = m.Message(type_, self.rng.choice((m.IPV4, m.IPV6)), self.rng.getrandbits(32))
        must, may = m.rules(type_, answers, multicast)
        chosen = set(must) | {code for code in may if self.rng.random() < .5}
        if chosen & {m.START_TIME, m.MAX_START_TIME, m.RETRY_TIME}:
            chosen.add(m.CURRENT_TIME)
        if m.NESTING in chosen:
            chosen.add(m.SCOPE_LIST)
        order = sorted(chosen)
        for code in order:
            message.options[code] = self.value(code, message)
        if self.rng.random() < .5:
            self.rng.shuffle(order)
            message.options = {code: message.options[code] for code in order}
        if self.rng.random() < .3:
            message.unknown = [(self.rng.randint(18, 0xFFFF), self.octets(0, 9)) for _ in range(2)]
        return message

    def broken(self, data):
        """DATA cut, prolonged, with octets changed, or an option left out, doubled or damaged."""
        how = self.rng.randrange(6)
        if how == 0:
            return data[:self.rng.randrange(len(data))]
        if how == 1:
            return data + self.octets(1, 5)
        out = bytearray(data)
        if how == 2:
            for _ in range(self.rng.randint(1, 4)):
                octet = self.rng.choice((0, 1, 0xFF, self.rng.getrandbits(8)))
                out[self.rng.randrange(len(out))] = octet
            return bytes(out)
        try:
            type_, family, xid, options = m.split(data)
        except m.Ignore:
            return bytes(out)
        if options and how == 3:
            options.insert(self.rng.randrange(len(options) + 1), self.rng.choice(options))
        elif options and how == 4:
            options.pop(self.rng.randrange(len(options)))
        elif options:
            at = self.rng.randrange(len(options))
            code, raw = options[at]
            cut = self.rng.randint(0, len(raw))
            options[at] = code, raw[:cut] + self.octets(0, 3) + raw[cut + self.rng.randint(0, 3):]
        return m.build_raw(self.rng.choice((type_,) * 9 + (9,)), family, xid, options)


# ---- JSON as tests/support/madcap-json.c speaks it ----------------------------------------------

def to_json(code, value):
    if code == m.SERVER_ID:
        if isinstance(value, tuple):
            return [value[0], None]
        return [m.IPV4 if value.version == 4 else m.IPV6, str(value)]
    if code in (m.LEASE_ID, m.LANGUAGE):
        return value.hex()
    if code == m.SCOPE:
        return str(value)
    if code == m.SCOPE_LIST:
        return [[str(scope.first), str(scope.last), scope.ttl,
                 [[name.language.hex(), name.text, name.default] for name in scope.names]]
                for scope in value]
    if code == m.RANGES:
        return [[str(first), count] for first, count in value]
    if code == m.FEATURES:
        return [value.supported, value.requested, value.required]
    if code == m.ERROR:
        return [value[0], value[1].hex()]
    if code == m.NESTING:
        count = len(value.rows)
        rows = [[False] * count] * count if value.ignored else value.rows
        return [rows, value.ignored]
    return list(value) if isinstance(value, tuple) else value


def canonical(value):
    """Addresses in one spelling, whoever wrote them."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else value
    except ValueError:
        return value


def expected(data, answers, multicast):
    """What madcap-json should say of DATA, as far as the two are to agree."""
    try:
        message = m.parse(data)
    except m.Ignore:
        return {"outcome": "ignore"}
    except m.Bad as bad:
        lease_id = bad.message.get(m.LEASE_ID)
        return {"outcome": "bad", "option": bad.option, "type": bad.message.type,
                "xid": bad.message.xid, "lease_id": lease_id.hex() if lease_id else None}
    out = {"outcome": "ok", "type": message.type, "family": message.family, "xid": message.xid,
           "options": {str(code): canonical(to_json(code, value))
                       for code, value in message.options.items()}}
    try:
        m.check(message, answers, multicast)
        out["check"] = None
    except m.Bad as bad:
        out["check"] = bad.option
    return out


def observed(answer):
    outcome = answer["outcome"]
    if outcome == "ignore":
        return {"outcome": "ignore"}
    if outcome == "bad":
        return {"outcome": "bad", "option": answer["fault"]["option"], "type": answer["type"],
                "xid": answer["xid"], "lease_id": answer.get("lease_id")}
    return {"outcome": "ok", "type": answer["type"], "family": answer["family"],
            "xid": answer["xid"], "check": answer["check"] and answer["check"]["option"],
            "options": {code: canonical(value) for code, value in answer["options"].items()}}


# ---- the two directions -------------------------------------------------------------------------

def golden(codec):
    numbers = {name: number for number, name in m.TYPE_NAMES.items()}
    for octets, lines in codec.golden():
        directives = dict((line[2:].strip() + "=").split("=")[:2] for line in lines
                          if line.startswith("#!"))
        yield octets, numbers.get(directives.get("answers")), "multicast" in directives


def check_decoding(codec, datagrams):
    answers = codec.run([f"decode {answers or 0} {int(multicast)} {data.hex()}"
                         for data, answers, multicast in datagrams])
    seen = {}
    for (data, answers_type, multicast), answer in zip(datagrams, answers):
        got = observed(answer)
        codec.must_agree(f"decoding differs for {data.hex()}: {answer}",
                         expected(data, answers_type, multicast), got)
        key = got["outcome"], got.get("option")
        seen[key] = seen.get(key, 0) + 1
    return seen


def encodable(message):
    """The daemon's encoder wants the scope list before the nesting state; JSON has no key twice."""
    order = list(message.options)
    if m.NESTING in order and order.index(m.NESTING) < order.index(m.SCOPE_LIST):
        return False
    return len({code for code, _ in message.unknown}) == len(message.unknown)


def check_encoding(codec, messages):
    requests = []
    for message, (_, answers, multicast) in messages:
        options = {str(code): to_json(code, value) for code, value in message.options.items()}
        options.update((str(code), raw.hex()) for code, raw in message.unknown)
        requests.append("encode " + json.dumps({
            "type": message.type, "answers": answers or 0, "multicast": multicast,
            "family": message.family, "xid": message.xid, "options": options}))
    for (message, _), answer in zip(messages, codec.run(requests)):
        codec.must_agree(f"encoding differs for {message}: {answer}", m.build(message).hex(),
                         answer.get("hex"))


def check_refusals(codec, maker, rounds):
    """With one option too many or too few: the daemon's encoder names it as check() does."""
    requests, wanted = [], []
    while len(requests) < rounds:
        kind = maker.rng.choice(KINDS)
        message = maker.message(kind)
        code = maker.rng.randint(1, 16)
        if code in message:
            del message.options[code]
        else:
            message.options[code] = maker.value(code, message)
        message.options = dict(sorted(message.options.items()))
        try:
            m.check(message, kind[1], kind[2])
        except m.Bad as bad:
            if bad.option == code and (message.type, code) != (m.NAK, m.LEASE_ID):
                options = {str(c): to_json(c, v) for c, v in message.options.items()}
                requests.append("encode " + json.dumps({
                    "type": message.type, "answers": kind[1] or 0, "multicast": kind[2],
                    "family": message.family, "xid": message.xid, "options": options}))
                wanted.append((code, message))
    for (code, message), answer in zip(wanted, codec.run(requests)):
        codec.must_agree(f"refused option differs for {message}: {answer}", code,
                         answer.get("fault", {}).get("option"))


def main():
    codec = Codec("madcap", 2730, 3000)
    rounds = codec.rounds
    maker = Maker(random.Random(codec.seed))
    messages = []
    for number in range(rounds):
        kind = KINDS[number % len(KINDS)]
        messages.append((maker.message(kind), kind))
    datagrams = list(golden(codec))
    if len(datagrams) < 45:
        sys.exit(f"only {len(datagrams)} golden packets")
    datagrams += [(m.build(message), answers, multicast)
                  for message, (_, answers, multicast) in messages]
    datagrams += [(maker.broken(data), answers, multicast)
                  for data, answers, multicast in datagrams * 3]

    ordered = [(message, kind) for message, kind in messages if encodable(message)]
    seen = check_decoding(codec, datagrams)
    check_encoding(codec, ordered)
    check_refusals(codec, maker, rounds // 3)
    outcomes = {outcome: sum(n for (o, _), n in seen.items() if o == outcome)
                for outcome in ("ok", "ignore", "bad")}
    faults = {option for outcome, option in seen if outcome == "bad"}
    print(f"seed {codec.seed}: {len(datagrams)} decoded {outcomes}, {len(ordered)} encoded, "
          f"{rounds // 3} refused; options at fault: {sorted(faults)}")
    missing = set(range(1, 18)) | {m.NO_OPTION}
    if not missing <= faults or min(outcomes.values()) < rounds // 10:
        sys.exit(f"the generator has become too tame: {sorted(missing - faults)} never at fault")


if __name__ == "__main__":
    main()
