"""Sealed chunks on disk: what a provider has promised to serve, and what a requester has received so far.

    FOLDER/GRANT-NUMBER.sealed      the sealed chunks one after the other, and nothing else
    FOLDER/GRANT-NUMBER.tags        of a provider: the tags of the subjects served
    FOLDER/....partial              a file that is being written; what a crash leaves of one goes at the next start

All chunks but the last have one length, so the place of each is known. Nothing here can be read without keys that are
not here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from ledger.crypto.sealing import CHUNK_BYTES_MAX, TAG_BYTES
from nodes.files import DiskFile, DiskFolder

SEALED_CHUNK_BYTES = CHUNK_BYTES_MAX + TAG_BYTES
"""Of every chunk but the last, which is not longer."""

SEALED, TAGS, PARTIAL = ".sealed", ".tags", ".partial"


def stem(grant: str, number: int) -> str:
    """Return the name of a delivery's files, without what follows the dot. Grants are named in capitals and digits."""
    return f"{grant}-{number}"


class ChunkFolder:
    """A folder of chunk files, for this process's user alone."""

    def __init__(self, path: Path) -> None:
        """Make the folder if it is not there, and remove what was never finished."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        for entry in path.iterdir():
            if entry.name.endswith(PARTIAL):
                entry.unlink()
        DiskFolder(path).sync()

    def write(self, name: str) -> NewFile:
        """Begin a file; it gets its name when it is finished."""
        return NewFile(self.path / name)

    def open(self, name: str, *, create: bool = False) -> ChunkFile:
        """Open a file of chunks.

        Raises:
            FileNotFoundError: It is not there, and was not to be made.
        """
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return ChunkFile(DiskFile(os.open(self.path / name, flags, 0o600)))

    def read(self, name: str) -> bytes:
        """Return a whole file, or nothing if it is not there."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return b""

    def remove(self, name: str) -> None:
        """Remove a file for good; nothing if it is not there."""
        (self.path / name).unlink(missing_ok=True)
        DiskFolder(self.path).sync()


class NewFile:
    """A file that is there under its name in full, or not at all. Use it in a `with`; `finish` comes last in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self.size = 0

    def append(self, data: bytes) -> None:
        """Write at the end."""
        self._file.write(data)
        self.size += len(data)

    def finish(self, *, another_follows: bool = False) -> None:
        """Return when the file is on the disk under its name, in the place of an earlier one.

        Args:
            another_follows: Another file of the folder is finished next, and makes this one's name durable too.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        if not another_follows:
            DiskFolder(self._path.parent).sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What waits in the buffer finds no room on a full disk, and without `finish` nobody wants it.
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


class ChunkFile:
    """Chunks by their number. Use it in a `with`."""

    def __init__(self, file: DiskFile) -> None:
        self._file = file

    def chunk(self, index: int) -> bytes:
        """Return chunk `index`, from 0; empty behind the end."""
        return self._file.read(index * SEALED_CHUNK_BYTES, SEALED_CHUNK_BYTES)

    def put(self, index: int, chunk: bytes) -> None:
        """Write chunk `index`."""
        self._file.write(index * SEALED_CHUNK_BYTES, chunk)

    def intact(self, is_right: Callable[[int, bytes], bool]) -> int:
        """Return how many chunks from the first are as they should be.

        What follows is written anew: after a power loss the file may hold anything where nothing was synced.
        """
        count = 0
        while (chunk := self.chunk(count)) and is_right(count, chunk):
            count += 1
        return count

    def chunks(self, count: int) -> Iterator[bytes]:
        """Yield the first `count` chunks."""
        for index in range(count):
            yield self.chunk(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
