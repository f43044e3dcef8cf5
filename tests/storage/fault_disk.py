"""A disk in memory that loses power, fills up and fails, behind the interface of `nodes.files`.

Written data is pending until its file is synced, a name until its folder is. When the power goes, each pending write
is kept, dropped, torn, zeroed or garbled, each pending name kept or dropped, independently of what was done before or
after: harsher than most file systems, and no kinder than any.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

from nodes.disk_space import DiskSpace

TORN_LENGTHS = (1, 7, 511, 512, 513)

Fate = Callable[[bytes, bytes], bytes | None]
"""What the disk holds of a pending write after the power went: (old bytes, new bytes) -> bytes; None for the old."""


class PowerLostError(BaseException):
    """The process is gone in the middle of an operation. Not an `Exception`: nobody gets to handle it."""


class FaultDisk:
    """Folders under one power supply."""

    def __init__(self) -> None:
        self._folders: dict[str, FaultFolder] = {}
        self.steps_left: int | None = None
        """Operations until the power goes; None for never."""
        self.failing: Callable[[str, str], int | None] = lambda operation, name: None
        """(operation, name) -> the errno it fails with, or None. A write that fails has written half."""
        self.lies: Callable[[str], bool] = lambda name: False
        """Name of a file, or of a folder with a slash -> whether its syncs do nothing and say they did."""

        self.space = DiskSpace(size_bytes=1 << 40, free_bytes=1 << 39)
        """What the disk says of itself; nothing here takes from it."""

    def folder(self, name: str) -> FaultFolder:
        return self._folders.setdefault(name, FaultFolder(self, name))

    def step(self, operation: str, name: str) -> None:
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise PowerLostError
        if (code := self.failing(operation, name)) is not None:
            raise OSError(code, os.strerror(code))

    def power_back(self, fate: Fate, keep_name: Callable[[], bool]) -> None:
        """Decide what is left of everything pending."""
        self.steps_left = None
        for folder in self._folders.values():
            for change in folder.pending:
                if keep_name():
                    folder.apply(folder.durable, change)
            folder.pending.clear()
            folder.cached = dict(folder.durable)
            for inode in folder.cached.values():
                inode.power_back(fate)


class FaultFolder:
    """A folder of such a disk."""

    def __init__(self, disk: FaultDisk, name: str) -> None:
        self._disk = disk
        self._name = name + "/"
        self.durable: dict[str, Inode] = {}
        self.cached: dict[str, Inode] = {}
        self.pending: list[dict[str, Inode | None]] = []
        """Changes that are kept or dropped as one: name -> file, or None for a name that is removed."""

    @property
    def path(self) -> Path:
        return Path(self._name)

    @staticmethod
    def apply(names: dict[str, Inode], change: dict[str, Inode | None]) -> None:
        for name, inode in change.items():
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode

    def names(self) -> list[str]:
        return list(self.cached)

    def open(self, name: str) -> FaultFile:
        if name not in self.cached:
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        return FaultFile(self._disk, name, self.cached[name])

    def create(self, name: str) -> FaultFile:
        assert name not in self.cached
        self._change("create", name, {name: Inode()})
        return self.open(name)

    def rename(self, old: str, new: str) -> None:
        assert new not in self.cached
        self._change("rename", old, {old: None, new: self.cached[old]})

    def remove(self, name: str) -> None:
        assert name in self.cached
        self._change("remove", name, {name: None})

    def sync(self) -> None:
        self._disk.step("sync", self._name)
        if not self._disk.lies(self._name):
            self.durable = dict(self.cached)
            self.pending.clear()

    def space(self) -> DiskSpace:
        self._disk.step("space", self._name)
        return self._disk.space

    def _change(self, operation: str, name: str, change: dict[str, Inode | None]) -> None:
        self._disk.step(operation, name)
        self.apply(self.cached, change)
        self.pending.append(change)


class Inode:
    """What a file holds: on the disk, and as processes see it."""

    def __init__(self) -> None:
        self.durable = b""
        self.cached = b""
        self.pending: list[tuple[int, bytes] | int] = []
        """Writes (offset, data), and sizes the file was cut or stretched to."""

    def power_back(self, fate: Fate) -> None:
        for change in self.pending:
            if isinstance(change, int):
                # Lengths are metadata, and metadata is kept or dropped, never garbled.
                if fate(b"\x00", b"\x01") == b"\x01":
                    self.durable = resized(self.durable, change)
            else:
                offset, new = change
                old = self.durable[offset : offset + len(new)].ljust(len(new), b"\x00")
                if (left := fate(old, new)) is not None:
                    self.durable = overwritten(self.durable, offset, left)
        self.pending.clear()
        self.cached = self.durable


class FaultFile:
    """An open file of such a disk."""

    def __init__(self, disk: FaultDisk, name: str, inode: Inode) -> None:
        self._disk = disk
        self._name = name
        self._inode = inode

    def size(self) -> int:
        return len(self._inode.cached)

    def read(self, offset: int, size: int) -> bytes:
        return self._inode.cached[offset : offset + size]

    def write(self, offset: int, data: bytes) -> None:
        try:
            self._disk.step("write", self._name)
        except OSError:
            self._write(offset, data[: len(data) // 2])
            raise
        except PowerLostError:
            self._write(offset, data)
            raise
        self._write(offset, data)

    def _write(self, offset: int, data: bytes) -> None:
        self._inode.cached = overwritten(self._inode.cached, offset, data)
        self._inode.pending.append((offset, data))

    def allocate(self, size: int) -> None:
        self._disk.step("allocate", self._name)
        if size > self.size():
            self._resize(size)

    def truncate(self, size: int) -> None:
        self._disk.step("truncate", self._name)
        self._resize(size)

    def _resize(self, size: int) -> None:
        self._inode.cached = resized(self._inode.cached, size)
        self._inode.pending.append(size)

    def sync(self) -> None:
        try:
            self._disk.step("sync", self._name)
        except OSError:
            # As Linux does it: what could not be written is forgotten, yet readers still see it in the cache.
            self._inode.pending.clear()
            raise
        if not self._disk.lies(self._name):
            for change in self._inode.pending:
                if isinstance(change, int):
                    self._inode.durable = resized(self._inode.durable, change)
                else:
                    self._inode.durable = overwritten(self._inode.durable, *change)
            self._inode.pending.clear()

    def drop_cache(self) -> None:
        if not self._inode.pending:
            self._inode.cached = self._inode.durable

    def close(self) -> None:
        pass


def random_fates(rng: random.Random) -> tuple[Fate, Callable[[], bool]]:
    """Return the arguments of `power_back` for a crash drawn from `rng`."""

    def fate(old: bytes, new: bytes) -> bytes | None:
        match rng.choice(("kept", "dropped", "torn", "zeroed", "garbled")):
            case "kept":
                return new
            case "dropped":
                return None
            case "torn":
                return torn(old, new, rng.choice((*TORN_LENGTHS, rng.randint(0, len(new)))))
            case "zeroed":
                return bytes(len(new))
            case _:
                start = rng.randrange(len(new) + 1)
                return new[:start] + rng.randbytes(len(new) - start)

    return fate, lambda: rng.random() < 0.5


def torn(old: bytes, new: bytes, length: int) -> bytes:
    """Return `old` with only the first `length` bytes of `new` in place."""
    return new[:length] + old[length:]


def overwritten(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset].ljust(offset, b"\x00") + new + data[offset + len(new) :]


def resized(data: bytes, size: int) -> bytes:
    return data[:size].ljust(size, b"\x00")
