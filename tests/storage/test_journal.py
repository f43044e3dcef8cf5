"""The journal on real files and on a disk that fails: read back, cut where torn, set aside where damaged."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ledger.errors import NotFoundError, StorageFailedError
from ledger.identifiers import ChainId, Height
from ledger.storage.frames import FRAME_OVERHEAD_BYTES, Frame, FrameKind
from nodes.files import DiskFolder, DiskFullError, Folder
from nodes.journal import Journal
from tests.storage.fault_disk import FaultDisk

CHAIN = ChainId(b"\x07" * 32)
SEGMENT_BYTES = 1_000
FRAME_BYTES = 300
"""Three frames fill a segment."""


def block(height: int) -> Frame:
    return Frame(FrameKind.BLOCK, Height(height), bytes([height]) * (FRAME_BYTES - FRAME_OVERHEAD_BYTES))


def opened(folder: Folder, *, synced_offset: int = 0, ballast_bytes: int = 0) -> Journal:
    return Journal.open(
        folder,
        chain_id=CHAIN,
        synced_offset=synced_offset,
        segment_bytes=SEGMENT_BYTES,
        ballast_bytes=ballast_bytes,
    )


def written(folder: Folder, blocks: int) -> int:
    """Write `blocks` blocks from height 0 on, and return the synced offset."""
    journal = opened(folder)
    for height in range(blocks):
        assert journal.append(block(height)) == height * FRAME_BYTES
    synced = journal.sync()
    journal.close()
    return synced


def heights_in(journal: Journal) -> list[int]:
    return [frame.height for _, frame in journal.frames()]


def segments_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_journal_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """All frames come back in order over several starts, by iteration, by offset and by height."""
    folder = DiskFolder(tmp_path)
    synced = 0
    for start in range(4):
        journal = opened(folder, synced_offset=synced)
        assert heights_in(journal) == list(range(start * 5))
        for height in range(start * 5, start * 5 + 5):
            journal.append(block(height))
        synced = journal.sync()
        assert synced == journal.synced == journal.end == (start * 5 + 5) * FRAME_BYTES
        for offset, frame in journal.frames():
            assert journal.read(offset) == frame
            assert journal.blocks_at(frame.height) == (offset,)
        journal.close()


def test_the_segments_one_after_the_other_are_the_stream(tmp_path: Path) -> None:
    """Each is named after its first offset and cut to its length when the next begins; the last is preallocated."""
    written(DiskFolder(tmp_path), 7)
    names = [f"{base:020}.frames" for base in (0, 900, 1_800)]
    assert segments_of(tmp_path) == names
    assert [(tmp_path / name).stat().st_size for name in names] == [900, 900, SEGMENT_BYTES]


def test_a_frame_longer_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    """Segments may be small: a frame is never split, and never refused for them."""
    journal = opened(DiskFolder(tmp_path))
    big = Frame(FrameKind.BLOCK, Height(2), b"\x02" * 5_000)
    offsets = [journal.append(block(1)), journal.append(big), journal.append(block(3))]
    synced = journal.sync()
    journal.close()
    journal = opened(DiskFolder(tmp_path), synced_offset=synced)
    assert [offset for offset, _ in journal.frames()] == offsets
    assert journal.read(offsets[1]) == big
    journal.close()


def test_the_index_knows_blocks_and_results_by_height(tmp_path: Path) -> None:
    """All blocks of a height are found, of its results the newest; no other kinds; a restart knows the same."""
    journal = opened(DiskFolder(tmp_path))
    kinds = (FrameKind.BLOCK, FrameKind.BLOCK, FrameKind.QUORUM_CERTIFICATE, FrameKind.EXECUTED, FrameKind.EXECUTED)
    offsets = [journal.append(Frame(kind, Height(9), b"x")) for kind in kinds]
    synced = journal.sync()
    for again in range(2):
        if again:
            journal.close()
            journal = opened(DiskFolder(tmp_path), synced_offset=synced)
        assert journal.blocks_at(Height(9)) == (offsets[0], offsets[1])
        assert journal.executed_at(Height(9)) == offsets[4]
        assert journal.blocks_at(Height(8)) == ()
        assert journal.executed_at(Height(8)) is None
    journal.close()


def test_offsets_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    """Beyond the end nothing is found; inside a frame no frame is made up."""
    journal = opened(DiskFolder(tmp_path))
    journal.append(block(0))
    with pytest.raises(NotFoundError, match="ends at 300"):
        journal.read(300)
    with pytest.raises(NotFoundError):
        journal.read(-1)
    with pytest.raises(StorageFailedError, match="at 1"):
        journal.read(1)
    journal.close()


def test_a_torn_tail_is_cut_off_down_to_the_zeros(tmp_path: Path) -> None:
    """A bad frame beyond the synced offset goes with the whole frame behind it, which must not come back later."""
    written(DiskFolder(tmp_path), 3)
    segment = tmp_path / f"{0:020}.frames"
    data = bytearray(segment.read_bytes())
    data[FRAME_BYTES + 50] ^= 1
    segment.write_bytes(data)
    journal = opened(DiskFolder(tmp_path), synced_offset=FRAME_BYTES)
    assert heights_in(journal) == [0]
    # The same block again: had the frame behind it been left there, it would follow this one by its link.
    journal.append(block(1))
    synced = journal.sync()
    journal.close()
    journal = opened(DiskFolder(tmp_path), synced_offset=synced)
    assert heights_in(journal) == [0, 1]
    journal.close()


def test_damage_to_what_was_synced_is_set_aside_and_named(tmp_path: Path) -> None:
    """The damaged segment keeps every byte under another name, the error says where and what next, and stays."""
    synced = written(DiskFolder(tmp_path), 3)
    segment = tmp_path / f"{0:020}.frames"
    data = bytearray(segment.read_bytes())
    data[FRAME_BYTES + 50] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StorageFailedError, match=rf"{segment.name} is damaged at byte 300.*fetched from other members"):
        opened(DiskFolder(tmp_path), synced_offset=synced)
    assert segments_of(tmp_path) == [segment.name + ".quarantined"]
    assert (tmp_path / (segment.name + ".quarantined")).read_bytes() == data
    with pytest.raises(StorageFailedError, match="set aside as damaged"):
        opened(DiskFolder(tmp_path), synced_offset=synced)


def test_a_segment_before_the_last_is_safe_whatever_the_safety_record_says(tmp_path: Path) -> None:
    """A lost safety record makes no torn tail of an old segment: it was synced before the next began."""
    written(DiskFolder(tmp_path), 7)
    segment = tmp_path / f"{900:020}.frames"
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StorageFailedError, match=rf"{segment.name} is damaged at byte 600"):
        opened(DiskFolder(tmp_path), synced_offset=0)


@pytest.mark.parametrize("missing", [0, 900, 1_800])
def test_a_missing_segment_is_missed(tmp_path: Path, missing: int) -> None:
    """First, middle or last: the start is refused, and the segments that are left are not touched."""
    synced = written(DiskFolder(tmp_path), 7)
    (tmp_path / f"{missing:020}.frames").unlink()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StorageFailedError, match="segments are missing"):
        opened(DiskFolder(tmp_path), synced_offset=synced)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == left


def test_a_deleted_journal_is_not_a_first_start(tmp_path: Path) -> None:
    """With a safety record that knows of synced frames, an empty folder is a loss."""
    with pytest.raises(StorageFailedError, match="ends at 0, but had been synced up to 300"):
        opened(DiskFolder(tmp_path), synced_offset=300)


def test_another_networks_journal_is_not_continued(tmp_path: Path) -> None:
    """The first frame names the network, so a copied folder is damage, not history."""
    synced = written(DiskFolder(tmp_path), 2)
    with pytest.raises(StorageFailedError, match="is chained to"):
        Journal.open(DiskFolder(tmp_path), chain_id=ChainId(b"\x08" * 32), synced_offset=synced)


@pytest.mark.parametrize("operation", ["create", "allocate", "write"])
def test_a_full_disk_leaves_the_journal_as_it_was(operation: str) -> None:
    """Wherever the space runs out, nothing is half written, the next step is named, and with room it goes on."""
    disk = FaultDisk()
    folder = disk.folder("journal")
    journal = opened(folder)
    journal.append(block(0))
    journal.append(block(1))
    journal.append(block(2))
    disk.failing = lambda done, name: errno.ENOSPC if done == operation else None
    for _ in range(2):
        with pytest.raises(DiskFullError, match="free space"):
            journal.append(block(3))
        assert (journal.end, heights_in(journal)) == (900, [0, 1, 2])
        stream = b"".join(folder.open(name).read(0, 9_999) for name in sorted(folder.names()))
        assert stream[900:].strip(b"\x00") == b""
    # A crash at this point finds whole frames only.
    assert heights_in(opened(folder)) == [0, 1, 2]
    disk.failing = lambda done, name: None
    assert journal.append(block(3)) == 900
    assert journal.sync() == 1_200
    assert heights_in(opened(folder, synced_offset=1_200)) == [0, 1, 2, 3]


def test_a_small_frame_after_a_full_disk_is_not_hidden_by_a_name_that_comes_back() -> None:
    """The segment that did not fit is removed for good before a smaller frame takes its offset."""
    disk = FaultDisk()
    journal = opened(disk.folder("journal"))
    for height in range(3):
        journal.append(block(height))
    disk.failing = lambda done, name: errno.ENOSPC if done == "allocate" else None
    with pytest.raises(DiskFullError):
        journal.append(block(3))
    small = Frame(FrameKind.QUORUM_CERTIFICATE, Height(3), b"small")
    journal.append(small)
    synced = journal.sync()
    disk.failing = lambda done, name: None
    # Of all that is pending, the disk keeps the first name and drops the rest.
    disk.power_back(lambda old, new: None, iter((True, *[False] * 9)).__next__)
    assert list(opened(disk.folder("journal"), synced_offset=synced).frames())[-1] == (900, small)


@pytest.mark.parametrize(
    ("operation", "code"), [("write", errno.EIO), ("sync", errno.EIO), ("sync", errno.ENOSPC), ("truncate", errno.EIO)]
)
def test_the_first_failure_is_the_last_attempt(operation: str, code: int) -> None:
    """After a failed write or sync nothing is tried again, though the disk might take it; reading goes on."""
    disk = FaultDisk()
    journal = opened(disk.folder("journal"))
    for height in range(3):
        journal.append(block(height))
    disk.failing = lambda done, name: code if done == operation else None
    with pytest.raises(StorageFailedError, match="must stop") as first:
        journal.append(block(3))
    assert not isinstance(first.value, DiskFullError)
    disk.failing = lambda done, name: None
    for attempt in (journal.sync, lambda: journal.append(block(3)), journal.release_ballast):
        with pytest.raises(StorageFailedError, match="must stop"):
            attempt()
    assert journal.read(0) == block(0)


def test_frames_that_only_the_cache_holds_are_not_found() -> None:
    """After a failed sync the cache shows frames the disk never got; the next start looks at the disk."""
    disk = FaultDisk()
    journal = opened(disk.folder("journal"))
    journal.append(block(0))
    synced = journal.sync()
    journal.append(block(1))
    disk.failing = lambda done, name: errno.EIO if done == "sync" else None
    with pytest.raises(StorageFailedError):
        journal.sync()
    disk.failing = lambda done, name: None
    assert heights_in(journal) == [0, 1]
    assert heights_in(opened(disk.folder("journal"), synced_offset=synced)) == [0]


def test_frames_of_a_process_that_died_are_safe_before_they_count() -> None:
    """Frames found beyond the synced offset are synced by the start that finds them."""
    disk = FaultDisk()
    opened(disk.folder("journal")).append(block(0))
    restarted = opened(disk.folder("journal"))
    assert (heights_in(restarted), restarted.synced) == ([0], FRAME_BYTES)
    disk.power_back(lambda old, new: None, lambda: False)
    assert heights_in(opened(disk.folder("journal"), synced_offset=restarted.synced)) == [0]


def test_the_ballast_is_held_and_given_back(tmp_path: Path) -> None:
    """The reserve really takes space, is given back once, and is there again after the next start."""
    journal = opened(DiskFolder(tmp_path), ballast_bytes=1 << 20)
    ballast = tmp_path / "ballast"
    assert ballast.stat().st_blocks * 512 >= 1 << 20
    assert journal.release_ballast()
    assert not ballast.exists()
    assert not journal.release_ballast()
    space = journal.space()
    assert 0 < space.free_bytes <= space.size_bytes
    journal.close()
    opened(DiskFolder(tmp_path), ballast_bytes=1 << 20).close()
    assert ballast.exists()


def test_a_disk_without_room_for_ballast_still_starts() -> None:
    """No ballast, and no half of one: the journal itself works."""
    disk = FaultDisk()
    disk.failing = lambda done, name: errno.ENOSPC if (done, name) == ("allocate", "ballast") else None
    journal = opened(disk.folder("journal"), ballast_bytes=1 << 20)
    assert "ballast" not in disk.folder("journal").names()
    assert journal.append(block(0)) == 0


def test_a_full_disk_at_the_first_start_is_named() -> None:
    """There is not even room for the first segment: the error says so, and nothing is left behind."""
    disk = FaultDisk()
    disk.failing = lambda done, name: errno.ENOSPC if done == "allocate" else None
    with pytest.raises(DiskFullError):
        opened(disk.folder("journal"))
    assert disk.folder("journal").names() == []
