#!/usr/bin/env python3
"""The code in doc/plugin-guide.md is the example plugin, whole and in order; its configuration is
right; the shell commands name files that are there."""

import difflib
import re
import subprocess
import unittest

import built

GUIDE = built.SOURCE / "doc/plugin-guide.md"


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def code(text):
    return "\n".join(blocks(text, "c"))


class Guide(unittest.TestCase):
    def setUp(self):
        self.text = GUIDE.read_text()

    def test_the_code_is_the_plugin(self):
        difference = list(difflib.unified_diff(
            built.POOL.read_text().splitlines(), code(self.text).splitlines(), str(built.POOL),
            str(GUIDE), lineterm="", n=1))
        self.assertFalse(difference, "\n".join(difference))

    def test_it_can_fail(self):
        self.assertNotEqual(code(self.text.replace("POOL_IDLE", "POOL_LAZY", 1)),
                            built.POOL.read_text())
        self.assertEqual(code("no code at all"), "")

    def test_fences_are_of_known_kinds(self):
        kinds = re.findall(r"^```(.*)$", self.text, re.M)
        self.assertEqual(set(kinds[0::2]) - {"c", "sh", "ini"}, set())
        self.assertEqual(set(kinds[1::2]), {""})

    def test_it_names_files_that_are_there(self):
        names = re.findall(r"`((?:doc|tests|plugins|core)/[A-Za-z0-9_./-]+)`", self.text)
        names += ["doc/" + name for name in re.findall(r"\]\(([^)#:]+)\)", self.text)]
        self.assertTrue(names)
        for name in names:
            self.assertTrue((built.SOURCE / name).exists(), name)

    def test_shell_blocks_parse(self):
        for block in blocks(self.text, "sh"):
            subprocess.run(["sh", "-n"], input=block, text=True, check=True)


if __name__ == "__main__":
    unittest.main()
