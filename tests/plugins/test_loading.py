#!/usr/bin/env python3
"""Shared objects that the real mallocd loads, or refuses with a clear sentence: at start and under
--check. What is wrong is compiled here, from the installed headers."""

import os
import subprocess
import sys
import unittest

import built

sys.path.insert(0, str(built.SOURCE / "tests/e2e"))
import harness                  # noqa: E402

GOOD = """
#include <mallocd/plugin.h>
static int instance;
static void *open_it(const MalHost *host, GError **error)
{ (void)host, (void)error; %(open)s; return &instance; }
static bool start(void *data, GError **error) { (void)data, (void)error; %(start)s; return true; }
static void stop(void *data) { (void)data; }
static const MalConfKey keys[] = {
  { .key = "colour", .type = MAL_CONF_STRING, .fallback = "red", .help = "A colour." },
  { .key = "number", .type = MAL_CONF_INTEGER, .min = 1, .max = 9, .fallback = "1",
    .help = "One to nine." },
};
static const MalConfGroup groups[] = {
  { "%(group)s", false, keys, G_N_ELEMENTS(keys), "Nothing." }
};
const MalPlugin mal_plugin = {
  .abi = %(abi)s, .name = "%(name)s", .version = "1", .summary = "does nothing",
  .roles = MAL_ROLE_MAAS, .groups = groups, .n_groups = 1,
  .open = open_it, .start = start, .stop = %(stop_hook)s, .close = stop,
};
"""
FAIL = 'g_set_error(error, MAL_ERROR, MAL_ERROR_NETWORK, "%s"); return %s'
DEFAULTS = {"open": "", "start": "", "abi": "MAL_PLUGIN_ABI", "stop_hook": "stop"}
SOURCES = {
    "good": {},
    "other": {},
    "old": {"abi": "MAL_PLUGIN_ABI - 1"},
    "new": {"abi": "MAL_PLUGIN_ABI + 1"},
    "hookless": {"stop_hook": "NULL"},
    "misnamed": {"name": "somebody"},
    "greedy": {"group": "daemon"},
    "twin": {"group": "good"},
    "cantopen": {"open": FAIL % ("no memory is left", "NULL")},
    "cantstart": {"start": FAIL % ("port 2535 is in use", "false")},
}
CONFIG = "[daemon]\nroles = maas\nplugins = %s\n"


class Loading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = harness.temporary_folder()
        built.install_headers(cls.folder)
        cls.plugins = cls.folder / "plugins"
        cls.plugins.mkdir()
        for name, changes in SOURCES.items():
            text = GOOD % {**DEFAULTS, "name": name, "group": name, **changes}
            cls.compile(name, text)
        cls.compile("nosymbol", "int somebody_else = 1;\n")
        cls.compile("unresolved", GOOD % {**DEFAULTS, "name": "unresolved", "group": "unresolved",
                                          "open": "mal_nobody_has_this()"},
                    "void mal_nobody_has_this(void);\n")
        (cls.plugins / "rubbish.so").write_text("this is no shared object\n")
        harness.PLUGINS = str(cls.plugins)
        cls.all = ", ".join(sorted(path.stem for path in cls.plugins.glob("*.so")))

    @classmethod
    def compile(cls, name, text, before=""):
        source = cls.folder / f"{name}.c"
        source.write_text(before + text)
        built.compile_plugin(source, cls.plugins / f"{name}.so", cls.folder)

    def check(self, config):
        """Exit status and standard error of mallocd --check."""
        path = self.folder / "check.conf"
        path.write_text(config)
        run = subprocess.run([harness.program("mallocd"), "-c", str(path), "--check"], text=True,
                             env={**os.environ, "MALLOCD_PLUGIN_DIR": str(self.plugins)},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return run.returncode, run.stderr.replace(str(path), "FILE")

    def start(self, config):
        """Exit status and log of a daemon that does not come up."""
        daemon = harness.Daemon(config, start=False)
        with self.assertRaises(harness.DaemonFailed) as failed:
            daemon.start()
            daemon.stop()
        log = failed.exception.log.replace(str(daemon.config_file), "FILE")
        return failed.exception.status, log

    def refused(self, plugins, sentence, rest="", line=None):
        """Both ways, one sentence. LINE: of the error in the file; the started daemon's has three
        lines more above."""
        config = CONFIG % plugins + rest
        for way, more in ((self.check, 0), (self.start, 3)):
            with self.subTest(plugins=plugins, way=way.__name__):
                status, text = way(config)
                place = f"FILE:{line + more}: " if line else ""
                self.assertEqual((status, text), (1, f"mallocd: {place}{sentence}\n"))

    def not_loaded(self, plugins, sentence):
        """As above; the place is the list of plugins."""
        self.refused(plugins, "[daemon] plugins: " + sentence, line=3)

    def test_good_ones_load(self):
        self.assertEqual(self.check(CONFIG % "good; other"), (0, ""))
        with harness.Daemon(CONFIG % "good; other") as daemon:
            plugins = {p["name"]: p for p in daemon.rpc("plugin.list")["plugins"]}
            self.assertEqual({name: p["state"] for name, p in plugins.items()},
                             {"good": "running", "other": "running"})
            self.assertEqual(plugins["good"]["path"], str(self.plugins / "good.so"))

    def test_without_one_of_its_roles_it_is_idle(self):
        with harness.Daemon("[daemon]\nroles = client\nplugins = good; cantopen\n") as daemon:
            self.assertEqual([p["state"] for p in daemon.rpc("plugin.list")["plugins"]],
                             ["idle", "idle"])

    def test_another_abi(self):
        for name, abi in ("old", 0), ("new", 2):
            self.not_loaded(name, f"plugin {self.plugins}/{name}.so was built for plugin ABI "
                                  f"{abi}, this mallocd has ABI 1: build it again against the "
                                  "installed headers")

    def test_no_descriptor(self):
        self.not_loaded("nosymbol", f"{self.plugins}/nosymbol.so is not a mallocd plugin: it has "
                                    "no symbol mal_plugin")

    def test_a_hook_is_missing(self):
        self.not_loaded("hookless", f"plugin {self.plugins}/hookless.so: its descriptor lacks a "
                                    "name, a summary, or one of the hooks open, start, stop, close")

    def test_another_name_inside(self):
        self.not_loaded("misnamed", f"plugin {self.plugins}/misnamed.so calls itself somebody: "
                                    "rename the file")

    def test_a_file_that_is_not_there(self):
        self.not_loaded("god", f"plugin god: there is no file {self.plugins}/god.so (plugins in "
                               f"this directory: {self.all}); correct plugins or plugin-dir")

    def test_named_twice(self):
        # The configuration's own check comes first.
        self.refused("good; good", "[daemon] plugins: 'good' is listed twice", line=3)

    def test_a_name_that_is_none(self):
        self.not_loaded("../good", "\"../good\" is not the name of a plugin (letters, digits, '-', "
                                   "'_')")

    def test_names_of_the_daemon_itself(self):
        for name in "core", "config", "control", "local":
            self.not_loaded(name, f"{name} can't be the name of a plugin, since the daemon uses it "
                                  "itself")

    def test_what_the_linker_says(self):
        for name, cause in (("unresolved", "undefined symbol: mal_nobody_has_this"),
                            ("rubbish", "")):
            for way in self.check, self.start:
                status, text = way(CONFIG % name)
                self.assertEqual(status, 1)
                self.assertRegex(text, rf"^mallocd: .*:\d+: \[daemon\] plugins: "
                                       rf"plugin {self.plugins}/{name}\.so can't be loaded: "
                                       rf".*{self.plugins}/{name}\.so: .*{cause}")

    def test_groups_that_another_has(self):
        self.refused("greedy", "plugin greedy brings the configuration group [daemon], which core "
                               "has already")
        self.refused("good; twin", "plugin twin brings the configuration group [good], which good "
                                   "has already")

    def test_keys_of_its_group(self):
        for line, sentence in (
                ("colur = blue", "[good] colur: there is no such key; did you mean 'colour'?"),
                ("number = 10", "[good] number: 10 is not within 1 to 9")):
            self.refused("good", sentence, f"[good]\n{line}\n", line=5)
        self.refused("good", "[god]: there is no such group; did you mean [good]?", "[god]\n",
                     line=4)

    def test_who_fails_to_open_or_start(self):
        for name, cause in (("cantopen", "no memory is left"),
                            ("cantstart", "port 2535 is in use")):
            self.assertEqual(self.check(CONFIG % name), (0, ""))
            status, text = self.start(CONFIG % ("good; " + name))
            self.assertEqual(status, 1)
            self.assertIn(f"mallocd: plugin {name}: {cause}\n", text)


if __name__ == "__main__":
    unittest.main()
