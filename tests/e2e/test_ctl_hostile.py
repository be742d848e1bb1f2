#!/usr/bin/env python3
"""The control socket and callers who mean no good, and mallocctl with somebody at the other end who
is no mallocd."""

import os
import pathlib
import pwd
import socket
import subprocess
import threading
import unittest

import harness
from ctl import CONFIG, DONE, FAILED, WithDaemon, ctl


class Hostile(WithDaemon):
    """Nothing that a caller does stops the daemon or makes it large."""

    def tearDown(self):
        self.assertEqual(self.daemon.rpc("status")["state"], "ok")
        status = pathlib.Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        size = int(status.split("VmRSS:")[1].split()[0])
        self.assertLess(size, 512 * 1024, "KiB; a sanitizer keeps what was freed")

    def raw(self, data, lines):
        """The answers to DATA, as many LINES."""
        with harness.Client(self.daemon.socket) as client:
            client.socket.sendall(data)
            return [client.read() for _ in range(lines)]

    def test_what_is_not_a_request(self):
        deep = b"[" * 5000 + b"]" * 5000
        nested = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{"a":' + deep + b"}}"
        for line, code in ((b"garbage", -32700), (b"{", -32700), (b"\0\0\0", -32700),
                           (b"1", -32600), (b'"x"', -32600),
                           (b'{"jsonrpc":"2.0","id":1,\0"method":"status"}', -32700),
                           (b"\xff\xfe\xfd", -32700), (b"{}", -32600), (deep, -32700),
                           (nested, -32700), (b"{} {}", -32700), (b"null", -32600),
                           (b'[{"jsonrpc":"2.0","id":1,"method":"status"}]', -32600),
                           (b'{"jsonrpc":"1.0","id":1,"method":"status"}', -32600),
                           (b'{"jsonrpc":"2.0","id":{},"method":"status"}', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
                           (b'{"jsonrpc":"2.0","id":1,"method":"status","params":[1]}', -32602),
                           (b'{"jsonrpc":"2.0","id":1,"method":"status","params":{"x":1}}', -32602),
                           (b'{"jsonrpc":"2.0","id":1,"method":"no.such"}', -32601)):
            with self.subTest(line[:60]):
                answer = self.raw(line + b"\n", 1)[0]
                self.assertEqual(answer["error"]["code"], code)
                self.assertTrue(answer["error"]["message"])

    def test_a_line_of_100_mb(self):
        with harness.Client(self.daemon.socket) as client:
            piece = b"x" * (1 << 20)
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                for _ in range(100):
                    client.socket.sendall(piece)

    def test_a_line_that_is_too_long_is_told(self):
        self.assertIn("1 MiB", self.raw(b"x" * ((1 << 20) + 1), 1)[0]["error"]["message"])

    def test_a_caller_that_does_not_read(self):
        """It loses its connection; the others notice nothing."""
        line = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n'
        with harness.Client(self.daemon.socket) as client:
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                for i in range(20000):
                    client.socket.sendall(line)
                    if i % 1000 == 0:
                        self.daemon.rpc("status")

    def test_too_many_connections(self):
        clients = []
        try:
            for _ in range(200):
                try:
                    clients.append(harness.Client(self.daemon.socket))
                except BlockingIOError:
                    pass                # the queue of those who wait is full
        finally:
            for client in clients:
                client.close()
        harness.wait_until(lambda: ctl("status", path=self.daemon.socket).status == DONE)

    def test_a_second_daemon(self):
        other = harness.Daemon(CONFIG, state_dir=self.daemon.state_dir, start=False)
        with self.assertRaises(harness.DaemonFailed) as failed:
            other.start()
        self.assertEqual(failed.exception.status, FAILED)
        self.assertRegex(failed.exception.log, "(?s)mallocd: .*(in use|another|locked)")
        third = harness.Daemon(CONFIG, start=False)
        third.config_file.write_text(third.config_file.read_text().replace(
            str(third.socket), str(self.daemon.socket)))
        command = [harness.program("mallocd"), "-c", str(third.config_file), "--foreground"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("is another mallocd running?", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
    def test_others_may_only_read(self):
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.daemon.folder.chmod(0o755)
        try:
            seen = ctl("leases", path=self.daemon.socket, **who)
        except PermissionError:
            self.skipTest("nobody can't reach the build folder")
        if seen.status not in range(4):
            self.skipTest("nobody can't run the programs of the build folder")
        self.assertEqual(seen.status, DONE, seen.err)
        for words in ("request --scope local", "release 00", "config reload", "store check",
                      "reserve add x --scope local --addresses 239.255.1.9"):
            denied = ctl(*words.split(), path=self.daemon.socket, **who)
            self.assertEqual(denied.status, FAILED, words)
            self.assertIn("control-group", denied.err)
        self.assertEqual(self.json("leases")["leases"], [])
        for text, status, says in ((CONFIG, DONE, ""),
                                   (CONFIG + "wrong = 1\n", FAILED, "wrong: there is no")):
            file = self.daemon.folder / "mine.conf"
            file.write_text(text)
            file.chmod(0o644)
            checked = ctl("config", "check", str(file), path=self.daemon.socket, **who)
            self.assertEqual(checked.status, status, checked.err)
            self.assertIn("checked by mallocctl itself", checked.err)
            self.assertIn(says, checked.err)


class StrangeDaemons(unittest.TestCase):
    """mallocctl with somebody at the other end who is no mallocd."""

    def against(self, *answers, words=("status",), hang=False):
        """mallocctl, where ANSWERS (bytes) come to each of its requests in turn, then the end."""
        path = harness.temporary_folder() / "s.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        release = threading.Event()

        def serve():
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as lines:
                try:
                    for answer in answers:
                        lines.readline()
                        peer.sendall(answer)
                    if hang:
                        release.wait(60)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        result = ctl(*words, path=path)
        release.set()
        thread.join(60)
        listener.close()
        self.assertLess(result.status, 4, result.err)
        return result

    DISCOVERED = (b'{"jsonrpc":"2.0","id":1,"result":{"methods":[{"name":"status","params":[]},'
                  b'{"name":"x.y","params":[{"name":"a_b","type":"colour","required":true}]}]}}\n')

    def test_no_json(self):
        for answer, text in ((b"", "closed the connection"),
                             (b"hello\n", "does not speak JSON-RPC"),
                             (b"[1]\n", "does not speak"), (b'{"id":1}', "closed the connection"),
                             (b"[" * 100000 + b"\n", "does not speak"),
                             (b'{"id":1,"result":{}}\n', "another version"),
                             (b'{"id":1,"result":null}\n', "another version"),
                             (b'{"id":1,"error":{}}\n', "without a reason"),
                             (b'{"id":null,"error":{"message":"no \\u001b[2J more"}}\n',
                              "no ?[2J more")):
            with self.subTest(answer[:30]):
                result = self.against(answer)
                self.assertEqual((result.status, result.out), (FAILED, ""))
                self.assertIn(text, result.err)

    def test_answers_of_another_shape(self):
        for answer in (b"{}", b"[]", b"1", b'"x"', b'{"leases":7,"store":[],"plugins":{}}', b"true",
                       b'{"plugins":[1,null],"roles":{"a":1}}', b'{"uptime":"x","version":{}}'):
            with self.subTest(answer):
                line = b'{"jsonrpc":"2.0","id":2,"result":' + answer + b"}\n"
                self.assertEqual(self.against(self.DISCOVERED, line).status, DONE)

    def test_progress_is_shown(self):
        progress = b'{"method":"progress","params":{"message":"half \\u0007way"}}\n'
        result = self.against(self.DISCOVERED, progress + b'{"id":2,"result":{"colour":"red"}}\n',
                              words=("x", "y", "--a-b", "green"))
        self.assertEqual((result.status, result.out), (DONE, "colour  red\n"))
        self.assertEqual(result.err, "half ?way\n")

    def test_an_answer_without_end(self):
        result = self.against(b"x" * (65 << 20))
        self.assertEqual(result.status, FAILED)
        self.assertIn("64 MiB", result.err)

    def test_no_answer(self):
        result = self.against(b"", hang=True, words=("--timeout", "1", "status"))
        self.assertEqual(result.status, FAILED)
        self.assertIn("gave no sign", result.err)


if __name__ == "__main__":
    unittest.main()
