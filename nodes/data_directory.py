"""A member's data on one disk: which network it belongs to, and that one process alone has it.

    PATH/
      chain-id     the format of this directory and the network's id; made last, so that with it all the rest is there
      lock         held by the process that has the directory open, with its process id
      safety       the safety record (`nodes.safety_file`)
      journal/     the journal (`nodes.journal`)
      keys/        the keys (`nodes.keystore`, which has its own checks and its own lock)

There is no way to start a directory again. A safety record or a journal that is gone is a loss, and shows as one when
it is opened; only a path that never held either can be made into a data directory.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from ledger.errors import StorageFailedError
from ledger.identifiers import ChainId
from nodes.files import DiskFolder, FailStop, write_new_file
from nodes.safety_file import SAFETY_FILE, SafetyFile

CHAIN_ID_FILE, LOCK_FILE, JOURNAL_FOLDER, KEYS_FOLDER = "chain-id", "lock", "journal", "keys"

_FORMAT = "mulu data directory 1"


class DirectoryInUseError(StorageFailedError):
    """Another process has the data directory open."""

    code = "directory_in_use"

    def __init__(self, path: Path, *, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path} is in use by {holder}: stop that one first, two would sign against each other")
        self.path, self.pid = path, pid


class ForeignDataError(StorageFailedError):
    """The data directory belongs to another network."""

    code = "foreign_data"

    def __init__(self, path: Path, *, expected: ChainId, found: ChainId) -> None:
        super().__init__(
            f"{path} belongs to network {found.hex()}, and this node to network {expected.hex()}: "
            "give the node its own directory, or the genesis that the directory was made for"
        )
        self.path, self.expected, self.found = path, expected, found


class DataDirectory:
    """One open data directory. Close it, or use it in a `with`, to give up the lock.

    Open it in the process that will use it: a forked child shares its parent's lock.
    """

    def __init__(self, path: Path, lock: int) -> None:
        """Use `open`. `lock` is a descriptor that carries the lock."""
        self.path = path
        self._lock: int | None = lock

    @staticmethod
    def exists(path: Path) -> bool:
        """Return whether `path` was made into a data directory. If so, `open` it, whatever else may be missing."""
        return (path / CHAIN_ID_FILE).exists()

    @classmethod
    def create(cls, path: Path, chain_id: ChainId) -> None:
        """Make `path` the data directory of a member that has never signed anything.

        What a crash has left of an earlier attempt is completed. Keys and other files there are left alone.

        Args:
            path: An existing directory, or a name in one.
            chain_id: Of the network that the data will belong to, 32 bytes.

        Raises:
            DirectoryInUseError: Another process is at it.
            StorageFailedError: There are data already, with or without the name of their network; or the disk refused.
        """
        with FailStop(path):
            path.mkdir(mode=0o700, exist_ok=True)
            DiskFolder(path.parent).sync()
            lock = _lock(path)
            try:
                _check_unused(path)
                (path / JOURNAL_FOLDER).mkdir(mode=0o700, exist_ok=True)
                folder = DiskFolder(path)
                if SAFETY_FILE not in folder.names():
                    SafetyFile.create(folder)
                folder.sync()
                write_new_file(folder, CHAIN_ID_FILE, f"{_FORMAT}\n{chain_id.hex()}\n".encode())
            finally:
                os.close(lock)

    @classmethod
    def open(cls, path: Path, chain_id: ChainId) -> Self:
        """Lock the data directory at `path`, and check that it belongs to the network `chain_id`.

        Raises:
            DirectoryInUseError: Another process, or another `DataDirectory` of this one, has it open.
            ForeignDataError: It belongs to another network.
            StorageFailedError: It is no data directory, or one of a format this program does not know.
        """
        if not cls.exists(path):
            raise StorageFailedError(f"{path} is no data directory: it has no file {CHAIN_ID_FILE}; create it first")
        with FailStop(path):
            lock = _lock(path)
            try:
                if (found := _read_chain_id(path / CHAIN_ID_FILE)) != chain_id:
                    raise ForeignDataError(path, expected=chain_id, found=found)
                (path / JOURNAL_FOLDER).mkdir(mode=0o700, exist_ok=True)
            except BaseException:
                os.close(lock)
                raise
        return cls(path, lock)

    @property
    def folder(self) -> DiskFolder:
        """Where the safety record is."""
        return DiskFolder(self.path)

    @property
    def journal(self) -> DiskFolder:
        """Where the journal is."""
        return DiskFolder(self.path / JOURNAL_FOLDER)

    @property
    def keys(self) -> Path:
        """Where the keys are, for `Keystore.open`."""
        return self.path / KEYS_FOLDER

    def close(self) -> None:
        """Give up the lock. Doing it twice does no harm."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lock(path: Path) -> int:
    """Return a descriptor that holds the lock; the kernel gives the lock up when the process ends, however it ends."""
    descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).strip()
        os.close(descriptor)
        raise DirectoryInUseError(path, pid=int(holder) if holder.isdigit() else None) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_unused(path: Path) -> None:
    if DataDirectory.exists(path):
        raise StorageFailedError(f"{path} is a data directory already: open it")
    journal = path / JOURNAL_FOLDER
    if journal.exists() and any(journal.iterdir()):
        raise StorageFailedError(f"{journal} holds a journal, but {path} has no file {CHAIN_ID_FILE}: put it back")
    folder = DiskFolder(path)
    if SAFETY_FILE not in folder.names():
        return
    safety = SafetyFile.open(folder)
    safety.close()
    if safety.found.payload is not None or safety.found.unreadable:
        raise StorageFailedError(
            f"{path / SAFETY_FILE} holds a member's record, but {path} has no file {CHAIN_ID_FILE}: put it back"
        )


def _read_chain_id(path: Path) -> ChainId:
    text = path.read_bytes().decode("ascii", errors="replace")
    head, _, rest = text.partition("\n")
    if head != _FORMAT:
        raise StorageFailedError(f"{path} says {head[:80]!r}; this program reads {_FORMAT!r}")
    try:
        chain_id = bytes.fromhex(rest)
    except ValueError:
        chain_id = b""
    if len(chain_id) != 32:
        raise StorageFailedError(f"{path} names no network: 64 hexadecimal digits are missing; put the file back")
    return ChainId(chain_id)
