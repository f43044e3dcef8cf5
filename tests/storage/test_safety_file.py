"""The safety record's file: read at start, written in turn, and silent after the first failure."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ledger.errors import StorageFailedError
from ledger.storage.safety_slots import SLOT_BYTES, SLOTS_BYTES
from nodes.files import DiskFolder
from nodes.safety_file import SAFETY_FILE, SafetyFile
from tests.storage.fault_disk import FaultDisk


def test_the_record_written_last_is_read_at_the_next_start(tmp_path: Path) -> None:
    """Records take turns in a file whose size never changes, and each start goes on from the newest."""
    folder = DiskFolder(tmp_path)
    SafetyFile.create(folder)
    for vote in range(1, 6):
        safety = SafetyFile.open(folder)
        assert safety.found.payload == (b"vote %d" % (vote - 1) if vote > 1 else None)
        assert safety.found.unreadable == 0
        safety.write(b"vote %d" % vote, synced_offset=vote)
        safety.close()
        assert (tmp_path / SAFETY_FILE).stat().st_size == SLOTS_BYTES
    assert (tmp_path / SAFETY_FILE).stat().st_mode & 0o777 == 0o600


def test_an_existing_record_is_never_started_again(tmp_path: Path) -> None:
    """There is no way back to a member that has signed nothing."""
    SafetyFile.create(DiskFolder(tmp_path))
    with pytest.raises(StorageFailedError, match="never started again"):
        SafetyFile.create(DiskFolder(tmp_path))


def test_a_deleted_file_is_not_a_first_start(tmp_path: Path) -> None:
    """Whoever deletes the file silences the member: nothing is read, and nothing can be written (P22)."""
    safety = SafetyFile.open(DiskFolder(tmp_path))
    assert safety.found.unreadable == 2
    with pytest.raises(StorageFailedError, match="new key by reconfiguration"):
        safety.write(b"vote", synced_offset=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("records", range(5))
@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_slot_is_the_next_to_be_written(tmp_path: Path, records: int, damaged: int) -> None:
    """The readable slot is left alone until the damaged one holds a record again; then both are good."""
    folder = DiskFolder(tmp_path)
    SafetyFile.create(folder)
    safety = SafetyFile.open(folder)
    for vote in range(records):
        safety.write(b"vote %d" % vote, synced_offset=0)
    safety.close()
    path = tmp_path / SAFETY_FILE
    data = bytearray(path.read_bytes())
    data[damaged * SLOT_BYTES + 40] ^= 0xFF
    path.write_bytes(data)
    safety = SafetyFile.open(folder)
    assert safety.found.unreadable == 1
    safety.write(b"settled", synced_offset=0)
    safety.close()
    good = 1 - damaged
    assert path.read_bytes()[good * SLOT_BYTES :][:SLOT_BYTES] == bytes(data[good * SLOT_BYTES :][:SLOT_BYTES])
    safety = SafetyFile.open(folder)
    assert (safety.found.payload, safety.found.unreadable) == (b"settled", 0)
    safety.close()


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failed_write_is_the_last(operation: str, code: int) -> None:
    """After one failure every write is refused, also one the disk would take; the next start finds what was safe."""
    disk = FaultDisk()
    SafetyFile.create(disk.folder("node"))
    safety = SafetyFile.open(disk.folder("node"))
    safety.write(b"vote 1", synced_offset=1)
    long_vote = b"vote 2".ljust(3_000, b".")
    disk.failing = lambda done, name: code if done == operation else None
    with pytest.raises(StorageFailedError, match="must stop"):
        safety.write(long_vote, synced_offset=2)
    disk.failing = lambda done, name: None
    with pytest.raises(StorageFailedError, match="must stop"):
        safety.write(long_vote, synced_offset=2)
    found = SafetyFile.open(disk.folder("node")).found
    assert found.payload == b"vote 1"


def test_a_record_that_only_the_cache_holds_is_not_found() -> None:
    """After a failed sync the cache shows a record the disk never got; the next start looks at the disk."""
    disk = FaultDisk()
    SafetyFile.create(disk.folder("node"))
    safety = SafetyFile.open(disk.folder("node"))
    disk.failing = lambda done, name: errno.EIO if done == "sync" else None
    with pytest.raises(StorageFailedError):
        safety.write(b"vote 1", synced_offset=1)
    disk.failing = lambda done, name: None
    shown = disk.folder("node").open(SAFETY_FILE).read(0, SLOTS_BYTES)
    assert b"vote 1" in shown
    assert SafetyFile.open(disk.folder("node")).found.payload is None
