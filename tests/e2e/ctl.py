"""mallocctl as a subprocess, and a daemon for it: what the tests of both share."""

import json
import os
import subprocess
import unittest

import harness

CONFIG = """[daemon]
roles = maas
ethernet = ignore

[scope local]
family = ipv4
first = 239.255.0.0
last = 239.255.255.255
ttl = 16
name[en] = Site local

[scope wide]
family = ipv4
first = 239.192.0.0
last = 239.195.255.255

[range lab]
scope = local
first = 239.255.1.0
last = 239.255.2.255

[range big]
scope = wide
first = 239.192.16.0
last = 239.192.47.255

[reserve camera-7]
scope = local
addresses = 239.255.1.16-239.255.1.31
comment = static sender
"""
DONE, FAILED, USAGE, NO_DAEMON = range(4)


class Result:
    def __init__(self, completed):
        self.status, self.out, self.err = completed.returncode, completed.stdout, completed.stderr


def ctl(*words, path=None, env=None, **options):
    """mallocctl with WORDS, at the socket PATH."""
    command = [harness.program("mallocctl")] + (["-s", str(path)] if path else []) + list(words)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MALLOCD_PLUGIN_DIR": harness.PLUGINS}
    environment.pop("MALLOCD_SOCKET", None)
    return Result(subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True,
                                 timeout=120, env={**environment, **(env or {})}, **options))


class WithDaemon(unittest.TestCase):
    """One daemon for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon(CONFIG)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()
        assert "Sanitizer" not in cls.daemon.log(), cls.daemon.log()

    def ctl(self, *words, expect=DONE, **options):
        result = ctl(*words, path=self.daemon.socket, **options)
        self.assertEqual(result.status, expect, result.err or result.out)
        if expect != DONE:
            self.assertRegex(result.err, r"(?m)^mallocctl: .", "it must say why")
            self.assertEqual(result.out, "")
        return result

    def json(self, *words, **options):
        out = self.ctl("--json", *words, **options).out
        self.assertEqual(out.count("\n"), 1, "one line")
        return json.loads(out)
