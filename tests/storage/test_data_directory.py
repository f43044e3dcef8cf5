"""The data directory: one process, one network, never started again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ledger.errors import StorageFailedError
from ledger.identifiers import ChainId
from nodes.data_directory import DataDirectory, DirectoryInUseError, ForeignDataError
from nodes.safety_file import SafetyFile

CHAIN = ChainId(b"\x07" * 32)
OTHER_CHAIN = ChainId(b"\x08" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a new data directory."""
    path = tmp_path / "BM"
    DataDirectory.create(path, CHAIN)
    return path


def test_a_new_directory_has_never_signed_anything(path: Path) -> None:
    """It is readable for its owner alone, its journal is empty, and its safety record is blank, not missing."""
    with DataDirectory.open(path, CHAIN) as data:
        assert data.journal.names() == []
        safety = SafetyFile.open(data.folder)
        assert (safety.found.payload, safety.found.unreadable) == (None, 0)
        safety.close()
        assert data.keys == path / "keys"
    assert (path / "chain-id").read_text() == "mulu data directory 1\n" + "07" * 32 + "\n"
    for private in (path, path / "journal"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_a_second_process_is_refused_and_told_who_is_there(path: Path) -> None:
    """The lock is exclusive, names its holder, and is free again when the holder lets go."""
    data = DataDirectory.open(path, CHAIN)
    with pytest.raises(DirectoryInUseError, match=f"in use by process {os.getpid()}") as refused:
        DataDirectory.open(path, CHAIN)
    assert refused.value.pid == os.getpid()
    data.close()
    data.close()
    DataDirectory.open(path, CHAIN).close()


def test_a_holder_without_a_number_is_still_a_holder(path: Path) -> None:
    """The process id in the file is for people; the lock does not depend on it."""
    with DataDirectory.open(path, CHAIN):
        (path / "lock").write_text("")
        with pytest.raises(DirectoryInUseError, match="another process"):
            DataDirectory.open(path, CHAIN)


def test_data_of_another_network_are_refused(path: Path) -> None:
    """The error names both networks; the directory is not locked afterwards."""
    with pytest.raises(ForeignDataError, match=f"{CHAIN.hex()}.*{OTHER_CHAIN.hex()}.*own directory"):
        DataDirectory.open(path, OTHER_CHAIN)
    DataDirectory.open(path, CHAIN).close()


def test_a_directory_that_was_never_made_is_not_opened(tmp_path: Path) -> None:
    """Opening makes nothing: a mistyped path is an error, not a new member."""
    with pytest.raises(StorageFailedError, match="no data directory"):
        DataDirectory.open(tmp_path, CHAIN)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_with_keys_becomes_a_data_directory(tmp_path: Path) -> None:
    """Keys are made before the network is; they are left as they are."""
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "consensus.pem").write_text("key")
    DataDirectory.create(tmp_path, CHAIN)
    assert (tmp_path / "keys" / "consensus.pem").read_text() == "key"


def test_an_interrupted_making_is_completed(path: Path) -> None:
    """Without its last file a new directory can be made again, and is as new."""
    (path / "chain-id").unlink()
    assert not DataDirectory.exists(path)
    DataDirectory.create(path, OTHER_CHAIN)
    DataDirectory.open(path, OTHER_CHAIN).close()


def test_nothing_is_started_again(path: Path) -> None:
    """Neither a made directory, nor one with a record or a journal whose network was forgotten, can be made anew."""
    with pytest.raises(StorageFailedError, match="already"):
        DataDirectory.create(path, CHAIN)
    with DataDirectory.open(path, CHAIN) as data:
        safety = SafetyFile.open(data.folder)
        safety.write(b"vote 1", synced_offset=0)
        safety.close()
    (path / "chain-id").unlink()
    with pytest.raises(StorageFailedError, match="holds a member's record"):
        DataDirectory.create(path, CHAIN)
    (path / "safety").unlink()
    (path / "journal" / f"{0:020}.frames").touch()
    with pytest.raises(StorageFailedError, match="holds a journal"):
        DataDirectory.create(path, CHAIN)


@pytest.mark.parametrize("text", ["", "mulu data directory 2\n" + "07" * 32, "mulu data directory 1\n07", "\xff\n"])
def test_an_unknown_format_is_refused(path: Path, text: str) -> None:
    """A directory that a later version made, or somebody edited, is not guessed at."""
    (path / "chain-id").write_text(text, encoding="latin-1")
    with pytest.raises(StorageFailedError, match="chain-id"):
        DataDirectory.open(path, CHAIN)
