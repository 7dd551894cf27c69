"""A disk that loses power, and one that fails: `disk.c`, preloaded into processes, and what it wrote down read back."""

from __future__ import annotations

import atexit
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntFlag
from functools import cache
from pathlib import Path, PurePath

import pytest

_LINE = struct.Struct("<c3xII4xq")
SECTOR = 512
"""What a disk writes whole."""


class Calls(IntFlag):
    """Calls that can be made to fail, as `disk.c` numbers them."""

    OPEN = 1
    READ = 2
    WRITE = 4
    SYNC = 8
    TRUNCATE = 16
    NAMES = 32


@cache
def library() -> Path:
    """Compile the library that is preloaded; skip the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("the disk that loses power is written in C, and there is no gcc")
    directory = tempfile.mkdtemp(prefix="disk")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = Path(directory) / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl", "-lpthread"], check=True)
    return path


def preloaded(root: Path, journal: Path | None = None) -> dict[str, str]:
    """Give the environment of a process whose files below a directory are on such a disk."""
    return {"LD_PRELOAD": str(library()), "DISK_ROOT": str(root), "DISK_JOURNAL": str(journal or "")}


@dataclass(frozen=True)
class Entry:
    """One line of a journal, told before it was done: `W`rite, `T`runcate, `S`ync, `F`ailed sync, and of names
    `C`reate, `U`nlink, `R`ename, `L`ink, `M`ake a directory."""

    kind: str
    path: PurePath
    offset: int
    data: bytes


def read_journal(path: Path) -> Iterator[Entry]:
    """Read a journal; a line that was cut short was never done."""
    text, at = path.read_bytes(), 0
    while at + _LINE.size <= len(text):
        kind, path_size, data_size, offset = _LINE.unpack_from(text, at)
        named, data, end = at + _LINE.size, at + _LINE.size + path_size, at + _LINE.size + path_size + data_size
        if end > len(text):
            return
        yield Entry(kind.decode(), PurePath(text[named:data].decode()), offset, text[data:end])
        at = end


@dataclass
class File:
    """What is surely on the disk, and what was written since."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[Entry] = field(default_factory=list)

    def sync(self) -> None:
        for entry in self.pending:
            _apply(self.content, entry)
        self.pending.clear()

    def after_the_cut(self, dice: random.Random, share: float) -> bytes:
        """Give the content when the power comes back: of what wasn't synced any part may be there, in whole sectors."""
        content = bytearray(self.content)
        for entry in self.pending:
            if dice.random() >= share:
                continue
            kept = entry
            if entry.kind == "W" and dice.random() < 0.2:
                first = (entry.offset // SECTOR + 1) * SECTOR - entry.offset
                sectors = range(first, len(entry.data), SECTOR)
                kept = Entry("W", entry.path, entry.offset, entry.data[: dice.choice(sectors) if sectors else None])
            _apply(content, kept)
        return bytes(content)


def _apply(content: bytearray, entry: Entry) -> None:
    size, end = len(content), entry.offset + len(entry.data)
    if entry.kind == "T":
        content[entry.offset :] = b"\0" * max(0, entry.offset - size)
        return
    if end > size:
        content.extend(b"\0" * (end - size))
    content[entry.offset : end] = entry.data


class Disk:
    """The files below a directory, as they are on the disk after what a journal tells."""

    def __init__(self, root: Path) -> None:
        """Begin with what is there now, all of it on the disk."""
        self.root = PurePath(root)
        self.names: dict[PurePath, File | None] = {
            path: None if path.is_dir() else File(bytearray(path.read_bytes())) for path in root.rglob("*")
        }
        """What the processes see; None is a directory."""
        self.kept = dict(self.names)
        """Names that are surely on the disk."""
        self.changes: list[tuple[PurePath, File | None, bool]] = []
        """Names that were made (True) or removed since their directory was synced."""
        self.syncs = self.checkpoints = 0

    def follow(self, journal: Path) -> None:
        """Do what the journal tells."""
        for entry in read_journal(journal):
            if entry.kind in "WT":
                self._file(entry.path).pending.append(entry)
            elif entry.kind == "S":
                self._sync(entry.path)
            elif entry.kind == "F":
                self._file(entry.path).pending.clear()
            else:
                self._name(entry)

    def _file(self, path: PurePath) -> File:
        file = self.names[path]
        assert file is not None
        return file

    def _sync(self, path: PurePath) -> None:
        self.syncs += 1
        file = self.names.get(path)
        if file is not None:
            self.checkpoints += path.suffix == ".db" and bool(file.pending)
            file.sync()
            return
        for changed, what, is_made in self.changes:
            if changed.parent == path:
                self._keep(changed, what, is_made=is_made)
        self.changes = [change for change in self.changes if change[0].parent != path]

    def _keep(self, path: PurePath, what: File | None, *, is_made: bool) -> None:
        if is_made:
            self.kept[path] = what
        else:
            self.kept.pop(path, None)

    def _change(self, path: PurePath, what: File | None, *, is_made: bool) -> None:
        self.changes.append((path, what, is_made))
        if is_made:
            self.names[path] = what
        else:
            self.names.pop(path, None)

    def _name(self, entry: Entry) -> None:
        if entry.kind in "CM":
            self._change(entry.path, File() if entry.kind == "C" else None, is_made=True)
        if entry.kind in "RL":
            self._change(PurePath(entry.data.decode()), self.names.get(entry.path), is_made=True)
        if entry.kind in "RU":
            self._change(entry.path, None, is_made=False)

    def cut(self, target: Path, dice: random.Random, share: float) -> None:
        """Write what is there when the power comes back into another directory.

        `share` of what wasn't synced is there. Names change in the order in which they were changed.
        """
        names = dict(self.kept)
        of_names = self.changes[: round(share * dice.random() * len(self.changes))] if share < 1 else self.changes
        for path, what, is_made in of_names:
            if is_made:
                names[path] = what
            else:
                names.pop(path, None)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path in sorted(names):
            there, file = target / path.relative_to(self.root), names[path]
            # Without its directory a file can't be found, and shared memory ends with the power.
            if not there.parent.is_dir() or path.name.endswith("-shm"):
                continue
            if file is None:
                there.mkdir()
            else:
                there.write_bytes(file.after_the_cut(dice, share))
