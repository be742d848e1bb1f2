"""A small site for the end-to-end tests: a configuration, hosts on one link, and questions asked
with the codec of madcap.py."""

import itertools
import os
import secrets
import shutil
import subprocess
import tempfile

import madcap
from harness import Daemon, PATIENCE, SOURCE
from netns import Capture, Namespace, link

LOCAL, ORG, SITE6 = "239.255.0.0", "239.192.0.0", "ff15::db8:8000:0"
LOCAL_GROUP, ORG_GROUP, SITE6_GROUP = "239.255.255.254", "239.195.255.254", "ff15::db8:8fff:fffe"
SERVER, SERVER6 = "192.0.2.1", "2001:db8::1"
CLIENT, CLIENT_TOO, CLIENT6 = "192.0.2.50", "192.0.2.51", "2001:db8::50"

DAEMON = """[daemon]
roles = maas
plugins = madcap
log-level = debug
"""
SCOPES = f"""
[scope local]
family = ipv4
first = {LOCAL}
last = 239.255.255.255
ttl = 16
name[en] = Site local
name[fr] = Site
default-language = en
nests-inside = org

[scope org]
family = ipv4
first = {ORG}
last = 239.195.255.255
ttl = 32
name[en] = Organization
name[de] = Organisation
default-language = en

[scope site6]
family = ipv6
first = {SITE6}
last = ff15::db8:8fff:ffff
ttl = 16
name[en] = Site six
default-language = en
"""
RANGES = """
[range local]
scope = local
first = 239.255.1.0
last = 239.255.199.255

[range org]
scope = org
first = 239.192.1.0
last = 239.192.255.255

[range site6]
scope = site6
first = ff15::db8:8000:0
last = ff15::db8:8000:ffff
"""
CONFIG = DAEMON + SCOPES + RANGES + "\n[madcap]\n"
_xids = itertools.count(int.from_bytes(secrets.token_bytes(3), "big"))


def new_id():
    """A lease identifier of the random kind (RFC 2730 2.4)."""
    return b"\0" + secrets.token_bytes(16)


def message(type_, options=None, lease=None, xid=None, family=madcap.IPV4):
    """A message with a new xid and a new lease identifier if none are given; options in order."""
    given = {madcap.LEASE_ID: lease or new_id(), **(options or {})}
    if lease == b"":
        del given[madcap.LEASE_ID]
    return madcap.Message(type_, family, next(_xids) if xid is None else xid,
                          dict(sorted(given.items())))


class Client:
    """A socket of a host, and questions to a server."""

    def __init__(self, host, version=4, address=None, server=None):
        with host.space:
            self.endpoint = madcap.Endpoint(host.interface, version, address=address)
        self.server = server or (SERVER if version == 4 else SERVER6)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.endpoint.close()

    def answers(self, msg, to=None, bytes_too=False):
        """What comes back before the answer to a GETINFO that is sent behind MSG (a Message or
        bytes): the server takes datagrams in their order, so silence needs no waiting. What must
        first become durable is answered later; ask for that with ask()."""
        probe = message(madcap.GETINFO, {madcap.REQUEST_LIST: [madcap.CURRENT_TIME]})
        data = msg if isinstance(msg, bytes) else madcap.build(msg)
        self.endpoint.send(data, to or self.server)
        self.endpoint.send(madcap.build(probe), self.server)
        found = []
        for data, _ in self.endpoint.receive(PATIENCE):
            answer = madcap.parse(data)
            if answer.xid == probe.xid:
                return found
            found.append((answer, data) if bytes_too else answer)
        raise AssertionError("the server does not answer at all")

    def exchange(self, msg, to=None, until=PATIENCE):
        """(answer, its bytes), or an error where none comes."""
        data = msg if isinstance(msg, bytes) else madcap.build(msg)
        self.endpoint.send(data, to or self.server)
        for answer, _ in self.endpoint.receive(until):
            parsed = madcap.parse(answer)
            if parsed.xid == int.from_bytes(data[4:8], "big"):
                return parsed, answer
        raise AssertionError(f"no answer to {madcap.TYPE_NAMES.get(data[1], data[1])}")

    def ask(self, type_, options=None, to=None, **more):
        """The answer to a new message, checked against table 5."""
        answer, _ = self.exchange(message(type_, options, **more), to)
        madcap.check(answer, answers=type_)
        return answer

    def request(self, scope=LOCAL, options=None, **more):
        if ":" in scope:
            more.setdefault("family", madcap.IPV6)
        return self.ask(madcap.REQUEST, {madcap.SCOPE: scope, **(options or {})}, **more)


class Host:
    """A namespace with one interface."""

    def __init__(self, interface, *addresses):
        self.space = Namespace()
        self.interface = interface
        self.addresses = addresses

    def configure(self):
        self.space.add(self.interface, *self.addresses)


SERVER_ADDRESSES = SERVER + "/24", SERVER6 + "/64", "fe80::1/64"
CLIENT_ADDRESSES = CLIENT + "/24", CLIENT_TOO + "/24", CLIENT6 + "/64", "fe80::50/64"


class Site:
    """A server and a client on a link of their own."""

    def __init__(self):
        self.server = Host("s0", *SERVER_ADDRESSES)
        self.client = Host("c0", *CLIENT_ADDRESSES)
        self.connect()

    def connect(self):
        link(self.server.space, "s0", self.client.space, "c0")
        self.server.configure()
        self.client.configure()

    def daemon(self, madcap_keys="", config=CONFIG, **more):
        return Daemon(config + madcap_keys, network=self.server.space, **more)

    def capture(self, path):
        return Capture(self.client.space, "c0", path)


# ---- tshark ------------------------------------------------------------------------------------

def have_dissector():
    if not shutil.which("tshark"):
        return False
    version = subprocess.run(["tshark", "--version"], capture_output=True, text=True).stdout
    return "with Lua" in version


def dissect(path, wanted, *fields):
    """Rows of FIELDS (lists of text) for the packets that the display filter WANTED selects."""
    home = tempfile.mkdtemp(prefix="mal-home-")
    command = ["tshark", "-n", "-r", path, "-X",
               f"lua_script:{SOURCE / 'contrib' / 'wireshark' / 'madcap.lua'}", "-Y", wanted,
               "-T", "fields", "-E", "separator=/t", "-E", "occurrence=f"]
    for field in fields:
        command += ["-e", field]
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home})
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if done.returncode != 0 or "Lua Error" in done.stdout + done.stderr:
        raise AssertionError(f"tshark: {done.stderr}{done.stdout}")
    return [line.split("\t") for line in done.stdout.splitlines()]
