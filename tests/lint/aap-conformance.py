#!/usr/bin/env python3
"""The table of doc/aap-conformance.md: every statement once, in order; what implements it is there;
the tests that it names carry its number, or it says why there is none.
Usage: aap-conformance.py [--list] [ROOT]; --list shows which files carry which number."""
import os
import re
import sys

LAST = 169


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


def numbers_in(text):
    """AAP-1, AAP-1 to AAP-9, AAP-1 to 9; aap_1_2_to_4 and AAP_1_2 in names."""
    found = set()
    for match in re.finditer(r"AAP-(\d+)(?: to (?:AAP-)?(\d+))?", text):
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    for match in re.finditer(r"\bTest\(([^)]*)\)", text):
        for run in re.finditer(r"(?<![A-Za-z])(?:aap|AAP)_((?:\d+_|to_)*\d+)(?![0-9])", match[1]):
            found |= expand(run[1])
    return found


def collect(root):
    files = {}
    for folder, _, names in os.walk(os.path.join(root, "tests")):
        for name in names:
            if name.endswith((".c", ".h", ".py")) and os.path.basename(folder) != "lint":
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8", errors="replace") as f:
                    found = numbers_in(f.read())
                if found:
                    files[os.path.relpath(path, os.path.join(root, "tests"))] = found
    return files


def short(path):
    return re.sub(r"^unit/test-aap-|\.c$", "", path)


def rows_of(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if line.startswith("|") and cells[0].isdigit():
                yield int(cells[0]), cells[1:]


def check_where(root, where):
    """`file.c: function, function; file.c` below plugins/aap, or a path of its own."""
    for part in re.findall(r"`([^`]+)`", where):
        name, _, functions = part.partition(":")
        paths = [os.path.join(root, d, name.strip()) for d in ("plugins/aap", "")]
        path = next((p for p in paths if os.path.isfile(p)), None)
        if path is None:
            yield f"no file {name}"
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for function in filter(None, (w.strip() for w in functions.split(","))):
            if not re.search(rf"\b{re.escape(function)}\b", text):
                yield f"no {function} in {name}"


def check(root):
    files = {short(path): found for path, found in collect(root).items()}
    broken, expected = [], 1
    for number, cells in rows_of(os.path.join(root, "doc/aap-conformance.md")):
        if number != expected:
            broken.append(f"row {number} where {expected} is expected")
        expected = number + 1
        if len(cells) != 5:
            broken.append(f"{number}: {len(cells)} cells")
            continue
        where, shown = cells[3], cells[4]
        broken += [f"{number}: {complaint}" for complaint in check_where(root, where)]
        none = re.match(r"none: .{10,}", shown)
        tests = [] if none else re.findall(r"`([^`]+)`", shown)
        if not tests and not none:
            broken.append(f"{number}: neither a test nor a reason")
        broken += [f"{number}: {t} does not carry the number" for t in tests
                   if number not in files.get(t, ())]
    if expected != LAST + 1:
        broken.append(f"the table ends at {expected - 1}")
    return broken


def main(arguments):
    root = next((a for a in arguments if not a.startswith("--")), None) or os.environ.get(
        "top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    if "--list" in arguments:
        files = collect(root)
        for n in range(1, LAST + 1):
            print(n, " ".join(sorted(short(p) for p, found in files.items() if n in found)))
        return 0
    broken = check(root)
    for complaint in broken:
        print(f"doc/aap-conformance.md: {complaint}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
