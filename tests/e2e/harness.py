"""A mallocd under test: started with a configuration, ready when it answers on its control socket,
stopped by its process id, its log collected. Nothing waits for a fixed time.

    with Daemon(CONFIG) as daemon:
        print(daemon.rpc("status")["state"])
"""

import atexit
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
SOURCE = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
# Seconds; only what has failed ever waits so long, or runs on a machine that does much else.
PATIENCE = float(os.environ.get("E2E_PATIENCE") or 60)
PLUGINS = os.environ.get("MALLOCD_PLUGIN_DIR") or str(BUILD / "plugins" / "loadable")
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_running = []


class RpcError(Exception):
    """An error answer; .code and .args[0] as the daemon said them."""

    def __init__(self, error):
        super().__init__(error.get("message"))
        self.code = error.get("code")
        self.data = error.get("data")


class DaemonFailed(Exception):
    """It ended instead of serving; .status, .log."""

    def __init__(self, status, log):
        super().__init__(f"mallocd ended with status {status}:\n{log[-3000:]}")
        self.status = status
        self.log = log


def wait_until(condition, what="", patience=PATIENCE):
    """The first true value of CONDITION(), which is asked again and again, but not for ever."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience} s in vain {what}".rstrip())
        time.sleep(0.005)
    return value


def program(name):
    """The path of mallocd or mallocctl of the build under test."""
    return str(BUILD / name)


def temporary_folder():
    """A short path, since socket paths are; gone when the test ends."""
    path = tempfile.mkdtemp(prefix="mal-", dir="/tmp")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return pathlib.Path(path)


def die_with_parent():
    """For preexec_fn: what a killed test has started must not stay."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Client:
    """One connection to a control socket."""

    def __init__(self, path, patience=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.lines = self.socket.makefile("rb")
        self.ids = itertools.count(1)
        self.notifications = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lines.close()
        self.socket.close()

    def read(self):
        """The next object, answer or notification."""
        line = self.lines.readline()
        if not line:
            raise ConnectionError("the daemon closed the control connection")
        return json.loads(line)

    def call(self, method, **params):
        number = next(self.ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self.read()
            if answer.get("id") != number:
                self.notifications.append(answer)
            elif "error" in answer:
                raise RpcError(answer["error"])
            else:
                return answer["result"]


class Daemon:
    """CONFIG: the text of a configuration without what follows from FOLDER, that is state-dir and
    control-socket, which are put behind its "[daemon]" line. NETWORK: a context manager in which it
    is started (see netns.Namespace). COMMAND: the program of the build, with what stands before it;
    ENVIRONMENT: more of it."""

    def __init__(self, config, folder=None, network=None, state_dir=None, start=True,
                 command=("mallocd",), environment=()):
        self.folder = pathlib.Path(folder) if folder else temporary_folder()
        self.state_dir = pathlib.Path(state_dir) if state_dir else self.folder / "state"
        self.socket = self.folder / "control.sock"
        self.config_file = self.folder / "mallocd.conf"
        self.log_file = self.folder / "log"
        self.network = network
        self.command = [*command[:-1], program(command[-1])]
        self.environment = dict(environment)
        self.process = None
        self.state_dir.mkdir(exist_ok=True)
        self.configure(config)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def configure(self, config):
        lines = [f"state-dir = {self.state_dir}", f"control-socket = {self.socket}"]
        if "control-group" not in config:
            lines.append("control-group =")
        text = config.replace("[daemon]\n", "[daemon]\n" + "\n".join(lines) + "\n", 1)
        self.config_file.write_text(text)

    def _spawn(self):
        command = [*self.command, "-c", str(self.config_file), "--foreground"]
        with self.network or contextlib.nullcontext(), open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,
                env={**os.environ, "MALLOCD_PLUGIN_DIR": PLUGINS, **self.environment})
        _running.append(self.process)

    def _is_ready(self):
        if self.process.poll() is not None:
            raise DaemonFailed(self.process.returncode, self.log())
        try:
            return self.rpc("status")
        except (FileNotFoundError, ConnectionError):
            return None

    def start(self):
        """Returns when it serves; raises DaemonFailed where it ends instead."""
        self._spawn()
        try:
            wait_until(self._is_ready, "for the daemon")
        except AssertionError as failed:
            raise AssertionError(f"{failed}:\n{self.log()[-3000:]}") from None

    def run(self):
        """Starts it and waits for its end, that of a daemon which can't serve; its exit status."""
        self._spawn()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("mallocd serves:\n" + self.log()) from None
        return self._forget()

    def rpc(self, method, **params):
        with Client(self.socket) as client:
            return client.call(method, **params)

    def leases(self, **params):
        """All pages of lease.list."""
        found, cursor = [], None
        with Client(self.socket) as client:
            while True:
                page = client.call("lease.list", limit=1000, **params,
                                   **({"cursor": cursor} if cursor else {}))
                found += page["leases"]
                cursor = page["next"]
                if cursor is None:
                    return found

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it with SIGTERM, which must end it well."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("mallocd does not end:\n" + self.log()) from None
        status = self._forget()
        if status != 0:
            raise AssertionError(f"mallocd ended with status {status}:\n{self.log()}")

    def kill(self):
        """SIGKILL, as if the power had gone."""
        self.process.kill()
        self.process.wait()
        self._forget()

    def _forget(self):
        process, self.process = self.process, None
        _running.remove(process)
        return process.returncode

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""


@atexit.register
def _end_all():
    for process in list(_running):
        if process.poll() is None:
            process.kill()
            process.wait()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
