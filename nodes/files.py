"""A folder and its files, reduced to what durable storage needs: the seam between the journal and the disk.

`DiskFolder` is the real one. Tests put a disk in its place that loses power, fills up or fails. Everything here raises
plain `OSError`; what a failure means is for the callers to say.

Two facts of POSIX shape the interface: bytes are safe only after their file was synced, and a name (made, changed or
removed) only after its folder was.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Protocol

from ledger.errors import StorageFailedError
from nodes.disk_space import DiskSpace, space_at

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class File(Protocol):
    """An open file, read and written by position."""

    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes; fewer only at the end of the file."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data`, or raise; part of it may be written then."""
        ...

    def allocate(self, size: int) -> None:
        """Reserve space for the first `size` bytes; what lies beyond the present end reads as zeros."""
        ...

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """Return when all that was written is on the disk."""
        ...

    def drop_cache(self) -> None:
        """After a `sync`: let later reads come from the disk.

        After a sync that failed, the kernel may show pages it never wrote and count them as written. Whoever starts
        again after such a failure must look at the disk itself.
        """
        ...

    def close(self) -> None: ...


class Folder(Protocol):
    """A folder of files."""

    @property
    def path(self) -> Path: ...

    def names(self) -> list[str]: ...

    def open(self, name: str) -> File:
        """Open a file that exists, for reading and writing."""
        ...

    def create(self, name: str) -> File:
        """Make a file that does not exist yet, readable and writable for its owner alone."""
        ...

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def sync(self) -> None:
        """Return when all names made, changed or removed are on the disk."""
        ...

    def space(self) -> DiskSpace:
        """Return how large the file system is, and how much of it is free."""
        ...


class DiskFile:
    """A file of the operating system."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        # One call gives at most 2 GiB, and fewer bytes when a signal comes in between.
        while size > 0 and (part := os.pread(self._descriptor, size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def allocate(self, size: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, size)
        elif size > self.size():
            os.ftruncate(self._descriptor, size)  # macOS: the size is right, the space is not promised

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        # fdatasync leaves out the times of the file, never its length; macOS has only fsync.
        getattr(os, "fdatasync", os.fsync)(self._descriptor)

    def drop_cache(self) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        os.close(self._descriptor)


class DiskFolder:
    """A folder of the operating system."""

    def __init__(self, path: Path) -> None:
        """Stand for the folder at `path`, which exists."""
        self._path = path

    @property
    def path(self) -> Path:
        return self._path

    def names(self) -> list[str]:
        return [entry.name for entry in self._path.iterdir()]

    def open(self, name: str) -> File:
        return DiskFile(os.open(self._path / name, os.O_RDWR | os.O_CLOEXEC))

    def create(self, name: str) -> File:
        return DiskFile(os.open(self._path / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def rename(self, old: str, new: str) -> None:
        (self._path / old).rename(self._path / new)

    def remove(self, name: str) -> None:
        (self._path / name).unlink()

    def sync(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def space(self) -> DiskSpace:
        return space_at(self._path)


def write_new_file(folder: Folder, name: str, data: bytes) -> None:
    """Make the file `name` with the bytes `data`, durably: after a crash it is there in full, or not at all.

    Only for names that do not exist yet. A left-over of an earlier attempt is written over.
    """
    unfinished = name + ".new"
    if unfinished in folder.names():
        folder.remove(unfinished)
    file = folder.create(unfinished)
    try:
        file.write(0, data)
        file.sync()
    finally:
        file.close()
    folder.rename(unfinished, name)
    folder.sync()


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a power loss.

    One that is there already is replaced, in one step and with its permissions; what fails before leaves it as it is.

    Raises:
        OSError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    # A left-over of an earlier attempt, or something that others may have put there.
    partial.unlink(missing_ok=True)
    try:
        with partial.open("xb") as file:
            if path.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    DiskFolder(path.parent).sync()


class DiskFullError(StorageFailedError):
    """The file system has no room. Nothing is half written: the node stops, and goes on when started with room."""

    code = "disk_full"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"no space left for {path}: the last write was taken back; free space on this file system "
            "and start the node again"
        )
        self.path = path


class FailStop:
    """Makes the first failed write or sync the last one (S4).

    After a failed sync nobody knows what is on the disk, and the kernel may forget the pages it could not write, so
    that a second sync succeeds without them. Hence no second attempt: every later use raises as well.

        with self._fail_stop:
            file.sync()
    """

    def __init__(self, path: Path) -> None:
        """Guard the writes to what stands at `path`, named in the error."""
        self._path = path
        self._cause: OSError | None = None

    def __enter__(self) -> None:
        if self._cause is not None:
            raise self._error(self._cause) from self._cause

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            self._cause = error
            raise self._error(error) from error

    def _error(self, cause: OSError) -> StorageFailedError:
        return StorageFailedError(
            f"{self._path}: {cause.strerror or cause}; what is on the disk is not known, so this process must stop: "
            "check the disk, then start again"
        )
