"""Domains for the end-to-end tests of MASC (RFC 2909): a backbone, on it the coordinators, behind
each of them a link with the servers and clients of its domain."""

import ipaddress

import madcap
import madcap_site
from harness import Client, Daemon, RpcError, wait_until
from netns import Bridge, Namespace

WORLD = "233.252.0.0"
SCOPES = f"""
[scope domain]
family = ipv4
first = 239.251.0.0
last = 239.251.255.255
ttl = 63

[scope world]
family = ipv4
first = {WORLD}
last = 233.252.3.255
ttl = 127
divisible = yes
"""
AAP_TIMES = """
startup-wait = 1
announce-wait = 1
resend-wait = 1
repeat-interval = 3
asa-interval = 1
asrp-interval = 1
delete-grace = 2
reuse-guard = 2
preallocate = 0
block = 4
own-lifetime = {own_lifetime}
"""
MASC_TIMES = """
waiting-period = {waiting_period}
initiate-claim-delay = 1
holdtime = 6
connect-retry = 1
backoff = 1
backoff-most = 4
prefix-lifetime = {prefix_lifetime}
renew-interval = {renew_interval}
plan-interval = 2
extra-holding-time = 2
unit = 28
"""
# What a lease is held beyond its end has its place in the prefix, too.
MADCAP = "\n[madcap]\ninterfaces = lan0\nextra-allocation-time = 2\n"
TIMES = {"waiting_period": 3, "prefix_lifetime": 600, "renew_interval": 60, "own_lifetime": 300}
PATIENCE = 60


def addresses(lease):
    """Those of an answer of lease.request, or of a lease in lease.list."""
    found = set()
    for text in lease["addresses"]:
        first, _, last = text.partition("-")
        one, two = (int(ipaddress.ip_address(t)) for t in (first, last or first))
        found |= set(range(one, two + 1))
    return found


def in_ranges(ranges):
    return addresses({"addresses": [f"{r['first']}-{r['last']}" for r in ranges]})


class Node:
    """A namespace with a daemon. LINKS: (interface, bridge, address with prefix length)."""

    def __init__(self, *links):
        self.space = Namespace()
        self.ports = {}
        self.daemon = None
        for interface, bridge, address in links:
            bridge.plug(self.space, interface)
            self.space.add(interface, address)
            self.ports[interface] = bridge, f"p{bridge.ports}"

    def start(self, config):
        self.daemon = Daemon(config, network=self.space)

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()

    def rpc(self, method, **params):
        return self.daemon.rpc(method, **params)

    def cut(self, interface):
        bridge, port = self.ports[interface]
        bridge.space.ip("link", "set", port, "nomaster")

    def heal(self, interface):
        bridge, port = self.ports[interface]
        bridge.space.ip("link", "set", port, "master", "br0")
        wait_until(lambda: "state forwarding" in bridge.space.run(
            "bridge", "link", "show", "dev", port), "for the bridge")

    def ranges(self, level="available", source=None):
        return [r for r in self.rpc("range.list")["ranges"]
                if r["level"] == level and source in (None, r["source"])]

    def world(self):
        """What it knows of the scope, available or owned."""
        return [r for r in self.rpc("range.list")["ranges"] if r["scope"] == "world"]

    def metric(self, plugin, name):
        return self.rpc("stats.get")[plugin][name]

    def owned(self):
        return in_ranges(self.ranges("owned"))

    def peers(self):
        return {p["peer"]: p["state"] for p in self.rpc("masc.peers")["peers"]}

    def request(self, count=1, lifetime=30, **more):
        """Waits as long as it takes until there is space."""
        with Client(self.daemon.socket, PATIENCE) as client:
            return client.call("lease.request", scope="world", count=count, lifetime=lifetime,
                               wait=True, **more)

    def renewed(self, lease, lifetime):
        """None where it can't be yet: what is owned is made to last longer then."""
        try:
            return self.rpc("lease.renew", lease=lease["lease"], lifetime=lifetime)
        except RpcError:
            return None

    def request_patiently(self, count=1, patience=PATIENCE, **more):
        """As a client that comes again when it was told that there is nothing yet."""
        def ask():
            try:
                return self.request(count, **more)
            except RpcError:
                return None
        return wait_until(ask, f"for {count} addresses:\n{self.daemon.log()[-4000:]}", patience)


def peer(name, address, role, domain_id, more=""):
    return (f"\n[masc-peer {name}]\naddress = {address}\nrole = {role}\ndomain-id = {domain_id}\n"
            f"{more}")


class Domain:
    """NUMBER, 1 to 9, makes its AS number and the addresses of its link."""

    def __init__(self, backbone, number):
        self.number = number
        self.domain_id = 64500 + number
        self.address = f"198.51.100.{10 + number}"
        self.net = ipaddress.ip_network(f"203.0.113.{number * 16}/28")
        self.bridge = Bridge()
        self.coordinator = Node(("up0", backbone, self.address + "/24"),
                                ("lan0", self.bridge, self.at(1)))
        self.servers = [Node(("lan0", self.bridge, self.at(2 + i))) for i in range(2)]
        self.client_at = None

    def at(self, host):
        return f"{self.net[host]}/28"

    def masc(self, peers, times):
        return (f"\n[masc]\ndomain-id = {self.domain_id}\nnode-id = {self.address}\n"
                + MASC_TIMES.format(**times) + peers)

    @staticmethod
    def aap(times):
        return "\n[aap]\ninterfaces = lan0\n" + AAP_TIMES.format(**times)

    def start(self, peers, times):
        """Each tier in processes of its own."""
        self.coordinator.start(
            "[daemon]\nroles = prefix-coordinator\nplugins = aap; masc\nlog-level = debug\n"
            + SCOPES + self.aap(times) + self.masc(peers, times))
        for server in self.servers:
            server.start("[daemon]\nroles = maas\nplugins = madcap; aap\nlog-level = debug\n"
                         + SCOPES + self.aap(times) + MADCAP)

    def start_as_one(self, peers, times):
        """All three tiers in the coordinator's process; the other servers stay down."""
        self.coordinator.start(
            "[daemon]\nroles = client; maas; prefix-coordinator\nplugins = madcap; aap; masc\n"
            "log-level = debug\n" + SCOPES + self.aap(times) + self.masc(peers, times)
            + MADCAP + f"servers = {self.net[1]}\n")

    def stop(self):
        for node in [*self.servers, self.coordinator]:
            node.stop()

    def client(self, server=None):
        """A MADCAP client on the domain's link, that asks SERVER (a node's address)."""
        if self.client_at is None:
            host = madcap_site.Host("c0")
            self.bridge.plug(host.space, "c0")
            host.addresses = (self.at(12),)
            host.configure()
            self.client_at = host
        return madcap_site.Client(self.client_at, server=server or str(self.net[2]))

    def nodes(self):
        return [n for n in [self.coordinator, *self.servers] if n.daemon is not None]

    def leases(self):
        return [lease for node in self.nodes() for lease in node.daemon.leases()]

    def prefixes(self):
        """What MASC made available here."""
        return in_ranges(self.coordinator.ranges(source="masc"))

    def ends(self):
        """When the last of that is over, as it stands now."""
        return max(r["until"] for r in self.coordinator.ranges(source="masc"))

    def routes(self):
        return sorted(r["prefix"] for r in self.coordinator.rpc("route.list")["routes"])

    def madcap_lease(self, client, count=1, lifetime=30, patience=PATIENCE):
        """An ACK by a REQUEST that is sent again and again, as RFC 2730 2.2 has it."""
        options = {madcap.SCOPE: WORLD, madcap.LEASE_TIME: lifetime, madcap.NUMBER: (count, count)}

        def ask():
            message = madcap_site.message(madcap.REQUEST, options)
            for _ in range(30):
                client.endpoint.send(madcap.build(message), client.server)
                for data, _ in client.endpoint.receive(1.0):
                    answer = madcap.parse(data)
                    if answer.xid == message.xid:
                        return answer if answer.type == madcap.ACK else None
            return None
        return wait_until(ask, f"for {count} addresses by MADCAP", patience)
