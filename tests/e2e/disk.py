"""A disk for the daemon of tests/support/disk-vfs.c: faults on demand, and what a power cut may
leave of its files.

The model of a power cut: what was written before a successful sync of the same file stays. Of what
was written later, each part that lies in a sector of 512 octets stays, is lost, or is torn,
independently of all others; so does each truncation. Files appear and vanish in their order, and
for good with the next sync of a journal, which syncs the directory, too."""

import collections
import dataclasses
import mmap
import os
import pathlib
import shutil
import struct

SECTOR = 512
FIELDS = ("fail_write", "short_write", "full", "fail_sync", "fail_truncate", "count", "fail_read",
          "random", "writes", "syncs", "faults")
_ENTRY = struct.Struct("=B3xIQQ")
_SIZE = 16 * 8


class Control:
    """Chances of faults (of a million) and counters, by name, shared with the running daemon."""

    def __init__(self, path, seed):
        self.path = path
        pathlib.Path(path).write_bytes(bytes(_SIZE))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), _SIZE)
        self["random"] = seed * 2 + 1

    def __getitem__(self, name):
        return struct.unpack_from("=Q", self.memory, 8 * FIELDS.index(name))[0]

    def __setitem__(self, name, value):
        struct.pack_into("=Q", self.memory, 8 * FIELDS.index(name), value)

    def heal(self):
        for name in FIELDS[:7]:
            self[name] = 0


@dataclasses.dataclass
class _File:
    durable: bytearray
    current: bytearray
    pending: list = dataclasses.field(default_factory=list)     # (place in the log, change)


def _apply(content, change):
    kind, offset, data = change
    if kind == "T":
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset:offset + len(data)] = data


def _pieces(change):
    kind, offset, data = change
    if kind == "T":
        return [change]
    pieces = []
    while data:
        size = SECTOR - offset % SECTOR
        pieces.append((kind, offset, data[:size]))
        offset, data = offset + size, data[size:]
    return pieces


class Disk:
    """The files of FOLDER as a log of changes since it was made tells of them."""

    def __init__(self, folder, log):
        self.folder, self.log = pathlib.Path(folder), pathlib.Path(log)
        self.restart()

    def restart(self):
        """What is in the folder now is durable."""
        self.log.write_bytes(b"")
        self.base = {path.name: path.read_bytes() for path in self._paths(self.folder)}

    @staticmethod
    def _paths(folder):
        return [path for path in sorted(folder.iterdir()) if path.name.startswith("mallocd.db") and
                not path.name.endswith("-shm")]

    def _entries(self):
        data, at = self.log.read_bytes(), 0
        while at + _ENTRY.size <= len(data):
            kind, length, number, offset = _ENTRY.unpack_from(data, at)
            end = at + _ENTRY.size + length
            if end > len(data):
                break
            yield at, chr(kind), number, offset, data[at + _ENTRY.size:end]
            at = end

    def replay(self):
        self.names = {name: _File(bytearray(data), bytearray(data))
                      for name, data in self.base.items()}
        self.lasting = dict(self.names)
        self.moves = collections.deque()        # of names, not durable yet
        self.opened = {}                        # (name, file) by the number of the opening
        for at, kind, number, offset, data in self._entries():
            if kind == "O":
                self._open(data.decode(), number)
            elif kind == "D":
                self.names.pop(data.decode(), None)
                self.moves.append((data.decode(), None))
                if offset:
                    self._sync_names()
            elif kind == "S":
                self._sync(*self.opened[number], offset)
            else:
                change = kind, offset, data
                file = self.opened[number][1]
                _apply(file.current, change)
                file.pending.append((at, change))

    def _open(self, name, number):
        if name not in self.names:
            self.names[name] = _File(bytearray(), bytearray())
            self.moves.append((name, self.names[name]))
        self.opened[number] = name, self.names[name]

    def _sync(self, name, file, began):
        while file.pending and file.pending[0][0] < began:
            _apply(file.durable, file.pending.pop(0)[1])
        if name.endswith(("-wal", "-journal")):
            self._sync_names()

    def _sync_names(self):
        while self.moves:
            self._move(self.lasting, *self.moves.popleft())

    @staticmethod
    def _move(names, name, file):
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file

    def _matches(self):
        there = {path.name: path.read_bytes() for path in self._paths(self.folder)}
        return all(there.get(name, b"") == file.current for name, file in self.names.items())

    def settle(self):
        """After the daemon was killed: the log tells what it did. SIGKILL may end a write at any
        page, that of an entry as well as the one that it tells of, which is the last."""
        entries = list(self._entries())
        end = entries[-1][0] + _ENTRY.size + len(entries[-1][4]) if entries else 0
        os.truncate(self.log, end)
        self.replay()
        if self._matches():
            return
        at, kind, number, offset, data = entries.pop()
        os.truncate(self.log, at)
        self.replay()
        if kind == "W":
            done = self._common(self.opened[number][0], offset, data)
            with open(self.log, "ab") as log:
                log.write(_ENTRY.pack(ord(kind), len(done), number, offset) + done)
            self.replay()
        if not self._matches():
            raise AssertionError("the log of the disk does not tell what is on it")

    def _common(self, name, offset, data):
        """As much of DATA as the file has there."""
        path = self.folder / name
        there = path.read_bytes()[offset:offset + len(data)] if path.exists() else b""
        return data[:next((n for n, octet in enumerate(there) if octet != data[n]), len(there))]

    def cut(self, chance, folder):
        """What the power's loss left, in FOLDER; a word on it."""
        keep = chance.choice((0.0, 1.0, 0.5, chance.random(), chance.random()))
        torn = chance.choice((0.0, 0.1, 0.5))
        names = dict(self.lasting)
        for _, move in zip(range(chance.randint(0, len(self.moves))), self.moves):
            self._move(names, *move)
        shutil.rmtree(folder, ignore_errors=True)
        pathlib.Path(folder).mkdir()
        unsynced = 0
        for name, file in names.items():
            content = bytearray(file.durable)
            for _, change in file.pending:
                for piece in _pieces(change):
                    unsynced += 1
                    self._keep(chance, content, piece, keep, torn)
            pathlib.Path(folder, name).write_bytes(content)
        return f"{unsynced} sectors unsynced, {keep:.2f} kept, {torn:.1f} of them torn"

    @staticmethod
    def _keep(chance, content, piece, keep, torn):
        kind, offset, data = piece
        if chance.random() >= keep:
            return
        if kind == "W" and len(data) > 1 and chance.random() < torn:
            at = chance.randrange(1, len(data))
            rest = chance.randbytes(len(data) - at) if chance.random() < 0.3 else b""
            data = chance.choice((data[:at] + rest, rest + data[len(rest):]))
        _apply(content, (kind, offset, data))
