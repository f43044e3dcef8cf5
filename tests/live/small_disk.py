"""A node in small journal segments: `python -m tests.live.small_disk DIRECTORY PEER_FD GATEWAY_FD [ROOM]`.

The descriptors are sockets that listen already. With ROOM the disk under its journal has that many bytes and no more.
What it has to say goes to standard error.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

from nodes.data_directory import DataDirectory
from nodes.files import DiskFile, DiskFolder, File
from nodes.process import NodeOptions, run_node

SEGMENT_BYTES = 128 << 10
BALLAST_BYTES = 32 << 10


class SmallFolder(DiskFolder):
    """A folder on a disk of its own, with room for so many bytes."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path)
        self._room = room

    def open(self, name: str) -> File:
        return SmallFile(os.open(self.path / name, os.O_RDWR | os.O_CLOEXEC), self)

    def create(self, name: str) -> File:
        return SmallFile(os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), self)

    def take(self, growth: int) -> None:
        """Let a file grow by so many bytes, or say that the disk is full."""
        if growth > 0 and growth + sum(file.stat().st_size for file in self.path.iterdir()) > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


class SmallFile(DiskFile):
    """A file in such a folder."""

    def __init__(self, descriptor: int, folder: SmallFolder) -> None:
        super().__init__(descriptor)
        self._folder = folder

    def write(self, offset: int, data: bytes) -> None:
        self._folder.take(offset + len(data) - self.size())
        super().write(offset, data)

    def allocate(self, size: int) -> None:
        self._folder.take(size - self.size())
        super().allocate(size)


def main() -> int:
    """Run the node and return its exit code."""
    directory, peers, gateway, exchange, *room = sys.argv[1:]
    if room:
        small = property(lambda data: SmallFolder(data.path / "journal", int(room[0])))
        DataDirectory.journal = small  # type: ignore[method-assign, assignment]
    return run_node(
        Path(directory),
        peer_listener=socket.socket(fileno=int(peers)),
        gateway_listener=socket.socket(fileno=int(gateway)),
        exchange_listener=socket.socket(fileno=int(exchange)),
        options=NodeOptions(segment_bytes=SEGMENT_BYTES, ballast_bytes=BALLAST_BYTES),
    )


if __name__ == "__main__":
    sys.exit(main())
