#!/usr/bin/env python3
"""Branch coverage of what must be covered, held against the argued list in doc/coverage.md.

Usage: branches.py [--list] EXPORT LIST ROOT

EXPORT is what "llvm-cov export" says, ROOT the source tree. A branch is one outcome of one
condition: each operand of && and || counts for itself, each case of a switch, and the condition
inside of MIN, MAX, CLAMP and ABS. What an assertion asserts is no branch: it can't be false.

Exit status: 0 all that is not taken stands in the list, 1 something does not, or the list is out of
date. --list prints what is not taken in the list's form."""
import collections
import fnmatch
import json
import os
import re
import sys

FILES = ['core/wire.[ch]', 'core/address*.[ch]', 'core/allocator*.[ch]', 'core/leases*.[ch]',
         'core/space*.[ch]', 'plugins/madcap/madcap-wire*.[ch]',
         'plugins/madcap/madcap-server*.[ch]',
         'plugins/madcap/madcap-client*.[ch]', 'plugins/madcap/madcap-groups.[ch]'] + [
           f'plugins/aap/aap-{part}.[ch]' for part in (
             'ana', 'asa', 'asrp', 'auth', 'choose', 'claim', 'conflict', 'coordinator', 'defence',
             'intervals', 'keys', 'own*', 'peers', 'pool', 'prealloc', 'ranges', 'record*',
             'requests', 'scope', 'seq', 'sequence', 'time', 'used', 'wanted', 'wire*',
             'zone*')] + [
           f'plugins/masc/masc-{part}.[ch]' for part in (
             'wire*', 'open', 'session*', 'limits', 'cache*', 'compare', 'flood', 'forecast',
             'holes', 'peers', 'plan*', 'refused', 'update*', 'zone*',
             'clash', 'local', 'own*', 'tree')]
CHOOSING = {'MIN', 'MAX', 'CLAMP', 'ABS'}
ASSERTION = re.compile(r'\bg_(?:assert|return|warn_if)\w*\s*\(')
EXPANSION = 1


def is_any(path, patterns):
    return any(fnmatch.fnmatch(path, p) for p in patterns)


class Source:
    def __init__(self, path):
        with open(path, encoding='utf-8') as f:
            text = f.read()
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.asserted = list(self._asserted())

    def offset(self, line, column):
        return self.starts[line - 1] + column - 1

    def between(self, place):
        return ' '.join(self.text[self.offset(*place[:2]):self.offset(*place[2:])].split())

    def _asserted(self):
        for m in ASSERTION.finditer(self.text):
            depth, i = 1, m.end()
            while depth and i < len(self.text):
                depth += {'(': 1, ')': -1}.get(self.text[i], 0)
                i += 1
            yield m.start(), i

    def is_asserted(self, place):
        at = self.offset(*place[:2])
        return any(a <= at < b for a, b in self.asserted)


class Branches:
    """(file, function, condition, side) -> how often it was taken, and where it stands."""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.sources = {}
        self.sides = {}

    def source(self, name):
        if name not in self.sources:
            self.sources[name] = Source(os.path.join(self.root, name))
        return self.sources[name]

    def relative(self, path):
        path = os.path.relpath(os.path.realpath(path), self.root)
        return path if is_any(path, FILES) else None

    def add_function(self, function):
        own = self.relative(function['filenames'][0])
        if own is None:
            return
        source = self.source(own)
        # Where an expansion stands in our text: from the number that its region was given.
        called_at = {r[6]: (r[5], r[:4]) for r in function['regions'] if r[7] == EXPANSION}
        for branch in function['branches']:
            place, file_id = branch[:4], branch[6]
            outer = place
            while file_id in called_at:
                file_id, outer = called_at[file_id]
            where = self.relative(function['filenames'][file_id])
            if where != own or source.is_asserted(outer):
                continue
            if outer is place:
                what = source.between(place)
            elif source.between(outer) in CHOOSING:
                line = source.text.splitlines()[outer[0] - 1].strip()
                what = source.between(outer) + ' in ' + line
            else:
                continue
            self._add(own, function['name'].split(':')[-1], outer, place, what, branch)

    def _add(self, own, name, outer, place, what, branch):
        for side, count in (('true', branch[4]), ('false', branch[5])):
            if what.startswith(('case ', 'default')) and side == 'false':
                continue
            key = (own, tuple(outer), tuple(place), side)
            old = self.sides.get(key, (name, what, 0))
            self.sides[key] = (old[0], old[1], old[2] + count)


def read_list(path):
    """Lines "- FILE FUNCTION: `CONDITION` true|false"; what stands around them is the argument."""
    listed = collections.Counter()
    with open(path, encoding='utf-8') as f:
        for line in f:
            m = re.match(r'- (\S+) (\w+): `(.+)` (true|false)(?: x(\d+))?$', line.rstrip())
            if m:
                listed[m.group(1, 2, 3, 4)] += int(m.group(5) or 1)
    return listed


def main():
    arguments = [a for a in sys.argv[1:] if a != '--list']
    if len(arguments) != 3:
        sys.exit(__doc__)
    export, list_path, root = arguments
    with open(export, encoding='utf-8') as f:
        functions = json.load(f)['data'][0]['functions']
    branches = Branches(root)
    for function in functions:
        branches.add_function(function)

    total, taken, missing = (collections.Counter() for _ in range(3))
    at = {}
    for (own, outer, _, side), (name, what, count) in sorted(branches.sides.items()):
        total[own] += 1
        taken[own] += count > 0
        if count == 0:
            missing[own, name, what, side] += 1
            at[own, name, what, side] = outer[0]
    if '--list' in sys.argv:
        for (own, name, what, side), n in missing.items():
            times = f' x{n}' if n > 1 else ''
            print(f'- {own} {name}: `{what}` {side}{times}')
        return 0

    listed = read_list(list_path)
    argued = collections.Counter()
    for key, n in missing.items():
        argued[key[0]] += min(n, listed[key])
    for own in sorted(total):
        left = total[own] - taken[own] - argued[own]
        print(f'{100 * taken[own] / total[own]:6.1f} %  {total[own]:5d} branches  '
              f'{argued[own]:3d} listed  '
              f'{left:3d} open  {own}')
    n, k, a = sum(total.values()), sum(taken.values()), sum(argued.values())
    print(f'{100 * k / n:6.1f} %  {n:5d} branches  {a:3d} listed  {n - k - a:3d} open  in all')
    for key in missing:
        if missing[key] > listed[key]:
            own, name, what, side = key
            print(f'{own}:{at[key]}: {name}: never {side}: {what}')
    for key in listed:
        if listed[key] > missing[key]:
            own, name, what, side = key
            print(f'{list_path}: {own} {name}: `{what}` is {side} now, or gone: '
                  'take it off the list')
    return 1 if missing - listed or listed - missing else 0


sys.exit(main())
