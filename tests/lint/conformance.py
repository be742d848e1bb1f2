#!/usr/bin/env python3
"""The tables of doc/*-conformance.md: every statement once, in order, as many as the text above
says; what implements it is there; the tests that it names are there, and where it names a whole
file that carries the number, or it says why there is none.
Usage: conformance.py [--list PROTOCOL] [ROOT]; --list shows which files carry which number."""
import glob
import os
import re
import sys


def expand(text):
    found, before, to = set(), None, False
    for word in text.split("_"):
        if word == "to":
            to = True
        elif word:
            n = int(word)
            found.update(range(before, n + 1) if to and before else [n])
            before, to = n, False
    return found


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


class Book:
    """One table: doc/NAME-conformance.md, about plugins/NAME, with tests/unit/test-NAME-*.c."""

    def __init__(self, root, path):
        self.root, self.path = root, path
        self.name = re.sub(r"-conformance\.md$", "", os.path.basename(path))
        self.text = read(path)
        self.carried = None

    # ---- which tests carry which numbers: AAP-1, AAP-1 to AAP-9, AAP-1 to 9; aap_1_2_to_4 in names

    def numbers_in(self, text):
        big, found = self.name.upper(), set()
        for match in re.finditer(rf"{big}-(\d+)(?: to (?:{big}-)?(\d+))?", text):
            found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        for match in re.finditer(r"\bTest\(([^)]*)\)", text):
            pattern = rf"(?<![A-Za-z])(?:{self.name}|{big})_((?:\d+_|to_)*\d+)(?![0-9])"
            for run in re.finditer(pattern, match[1]):
                found |= expand(run[1])
        return found

    def collect(self):
        if self.carried is not None:
            return self.carried
        self.carried, tests = {}, os.path.join(self.root, "tests")
        for folder, _, names in os.walk(tests):
            for name in names:
                if name.endswith((".c", ".h", ".py")) and os.path.basename(folder) != "lint":
                    found = self.numbers_in(read(os.path.join(folder, name)))
                    if found:
                        path = os.path.relpath(os.path.join(folder, name), tests)
                        self.carried[self.short(path)] = found
        return self.carried

    def short(self, path):
        return re.sub(rf"^unit/test-{self.name}-|\.c$", "", path)

    # ---- rows

    def rows(self):
        for line in self.text.splitlines():
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if line.startswith("|") and cells[0].isdigit():
                yield int(cells[0]), cells[1:]

    def check_names(self, text, folders, pattern):
        """`file: name, name; file` in one of FOLDERS, PATTERN for a name in it."""
        name, _, rest = text.partition(":")
        path = next((p for p in (os.path.join(self.root, d.format(name.strip())) for d in folders)
                     if os.path.isfile(p)), None)
        if path is None:
            yield f"no file {name}"
            return
        body = read(path)
        for one in filter(None, (w.strip() for w in rest.split(","))):
            if not re.search(pattern.format(re.escape(one)), body):
                yield f"no {one} in {name}"

    def check_where(self, where):
        for part in re.findall(r"`([^`]+)`", where):
            yield from self.check_names(part, (f"plugins/{self.name}/{{}}", "{}"), r"\b{}\b")

    def check_shown(self, number, shown):
        none = re.match(r"none: .{10,}", shown)
        tests = [] if none else re.findall(r"`([^`]+)`", shown)
        if not tests and not none:
            yield "neither a test nor a reason"
        for test in tests:
            if ":" in test:
                yield from self.check_names(test, (f"tests/unit/test-{self.name}-{{}}.c", "{}"),
                                            r"(?:Test\(\w+, |def ){}\b")
            elif number not in self.collect().get(test, ()):
                yield f"{test} does not carry the number"

    def check(self):
        broken, expected = [], 1
        last = re.search(r"a list of (\d+) statements", self.text)
        for number, cells in self.rows():
            if number != expected:
                broken.append(f"row {number} where {expected} is expected")
            expected = number + 1
            if len(cells) != 5:
                broken.append(f"{number}: {len(cells)} cells")
                continue
            complaints = [*self.check_where(cells[3]), *self.check_shown(number, cells[4])]
            broken += [f"{number}: {complaint}" for complaint in complaints]
        if last is None:
            broken.append("it does not say how many statements there are")
        elif expected != int(last[1]) + 1:
            broken.append(f"the table ends at {expected - 1}")
        return broken


def show(book):
    for number, _ in book.rows():
        files = sorted(p for p, found in book.collect().items() if number in found)
        print(number, " ".join(files))


def main(arguments):
    listed = None
    if "--list" in arguments:
        at = arguments.index("--list")
        listed = arguments[at + 1]
        arguments = arguments[:at] + arguments[at + 2:]
    root = next(iter(arguments), None) or os.environ.get("top_srcdir") or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "../..")
    books = [Book(root, p) for p in sorted(glob.glob(os.path.join(root, "doc/*-conformance.md")))]
    if listed is not None:
        for book in books:
            if book.name == listed:
                show(book)
        return 0
    broken = [f"doc/{book.name}-conformance.md: {b}" for book in books for b in book.check()]
    if not books:
        broken.append("no doc/*-conformance.md")
    for complaint in broken:
        print(complaint)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
