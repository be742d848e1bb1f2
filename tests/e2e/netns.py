"""Network namespaces for tests: made without names, entered by one thread, gone with the process.

    netns.main()                 at the end of a test script, which gets namespaces of its own
    left, right = Namespace(), Namespace()
    link(left, "a0", right, "b0")
    left.add("a0", "192.0.2.1/24", "2001:db8::1/64")
    with left: ...               sockets and processes made here belong to it
"""

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from harness import wait_until

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
_libc = ctypes.CDLL(None, use_errno=True)
_MARK = "MALLOCD_E2E_INSIDE"


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A new network namespace; as a context, the calling thread is in it."""

    def __init__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.unshare(CLONE_NEWNET))
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.setns(home, CLONE_NEWNET))
        os.close(home)
        self.homes = []
        self.ip("link", "set", "lo", "up")

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self):
        self.homes.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        _check(_libc.setns(self.fd, CLONE_NEWNET))
        return self

    def __exit__(self, *_):
        home = self.homes.pop()
        _check(_libc.setns(home, CLONE_NEWNET))
        os.close(home)

    def run(self, *command):
        with self:
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, *arguments):
        return self.run("ip", *arguments)

    def up(self, interface):
        self.ip("link", "set", interface, "up")

    def down(self, interface):
        self.ip("link", "set", interface, "down")

    def add(self, interface, *addresses):
        """Addresses with a prefix length; no duplicate address detection delays them."""
        for address in addresses:
            nodad = ("nodad",) if ":" in address else ()
            self.ip("address", "add", address, "dev", interface, *nodad)

    def wait_for_carrier(self, interface):
        """The kernel notices it a moment later, and drops what is sent before."""
        wait_until(lambda: "state UP" in self.ip("-o", "link", "show", interface) and
                   "ff00::/8" in self.ip("-6", "route", "show", "table", "local", "dev", interface),
                   f"for the carrier of {interface}")


def link(one, name, other, peer):
    """A veth pair, up, without link-local addresses (which would first be probed for)."""
    one.ip("link", "add", name, "type", "veth", "peer", "name", peer, "netns", other.path)
    for side, interface in (one, name), (other, peer):
        side.ip("link", "set", interface, "addrgenmode", "none")
    for side, interface in (one, name), (other, peer):
        side.up(interface)
    for side, interface in (one, name), (other, peer):
        side.wait_for_carrier(interface)


class Bridge:
    """A switch that floods multicast, in a namespace of its own."""

    def __init__(self):
        self.space = Namespace()
        self.space.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0",
                      "mcast_snooping", "0")
        self.space.up("br0")
        self.ports = 0

    def plug(self, other, name):
        self.ports += 1
        port = f"p{self.ports}"
        link(self.space, port, other, name)
        self.space.ip("link", "set", port, "master", "br0")
        wait_until(lambda: "state forwarding" in self.space.run(
            "bridge", "link", "show", "dev", port), "for the bridge")


class Capture:
    """All frames of an interface into a pcap file, by a packet socket."""

    def __init__(self, space, interface, path):
        with space:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.settimeout(0.2)
        self.path = str(path)
        self.file = open(path, "wb")
        self.file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                frame = self.socket.recv(65535)
            except TimeoutError:
                if self.ending.is_set():
                    return
                continue
            now = time.time_ns()
            self.file.write(struct.pack("=IIII", now // 10**9, now % 10**9 // 1000, len(frame),
                                        len(frame)) + frame)

    def stop(self):
        """Ends when nothing more comes; the path of the file."""
        self.ending.set()
        self.thread.join()
        self.socket.close()
        self.file.close()
        return self.path


def _skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def enter():
    """Goes on in namespaces of the process's own, as root there; ends it with 77 without them."""
    if os.environ.get(_MARK):
        del os.environ[_MARK]
        return
    for needed in "unshare", "ip":
        if not shutil.which(needed):
            _skip(f"no {needed}")
    unshare = ["unshare", "--mount", "--net"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    if subprocess.run(unshare + ["ip", "link", "add", "try0", "type", "veth"],
                      capture_output=True).returncode != 0:
        _skip("no network namespaces here")
    os.environ[_MARK] = "1"
    os.execvp("unshare", unshare + [sys.executable] + sys.argv)


def _summary(result):
    """What failed, once more and briefly, at the end, where nobody cuts it off: of each the first
    line of what was raised, and how to run it again where the test's `again` says so."""
    for test, text in result.failures + result.errors:
        last = text.rpartition("Traceback (most recent call last):\n")[2]
        said = [line for line in last.splitlines() if line and not line.startswith(" ")] or [""]
        print(f"failed: {test}: {said[0][:400]} {getattr(test, 'again', '')}".rstrip(), flush=True)


def main():
    """Runs the unittest cases of the script; status 77 where all that could run was skipped."""
    enter()
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    _summary(result)
    if result.testsRun == len(result.skipped) and result.wasSuccessful():
        sys.exit(77)
    sys.exit(not result.wasSuccessful())


