"""The virtual disk loses what was not synced, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import StorageFailedError
from ledger.identifiers import ChainId, Height
from ledger.storage.frames import Frame, FrameKind
from scenarios.simulator.disk import FATES, VirtualDisk, VirtualFile
from scenarios.simulator.streams import Stream, Streams

CHAIN = ChainId(bytes(range(32)))


def frame(number: int, size: int = 700) -> Frame:
    return Frame(FrameKind.BLOCK, Height(number), bytes([number]) * size)


def new_disk(seed: int = 1) -> VirtualDisk:
    return VirtualDisk(CHAIN, Stream(seed))


def test_what_was_synced_is_read_back() -> None:
    """Frames and safety record come back as they were written, in order."""
    disk = new_disk()
    for number in range(3):
        disk.append(frame(number))
    disk.sync_journal()
    disk.write_safety(b"one")
    disk.sync_safety()
    disk.lose_power()
    frames, safety = disk.read_back()
    assert frames == [frame(number) for number in range(3)]
    assert (safety.payload, safety.unreadable) == (b"one", 0)
    assert safety.synced_offset == disk.synced_offset == len(disk.journal)


@given(seed=st.integers(0, 10_000), synced=st.integers(0, 4), pending=st.integers(0, 4))
def test_a_power_loss_keeps_all_that_was_synced(seed: int, synced: int, pending: int) -> None:
    """Of what was pending a prefix may be left; what comes back is never anything that was not written."""
    disk = new_disk(seed)
    for number in range(synced):
        disk.append(frame(number))
    disk.sync_journal()
    for number in range(synced, synced + pending):
        disk.append(frame(number))
    disk.lose_power()
    frames, _ = disk.read_back()
    assert frames[:synced] == [frame(number) for number in range(synced)]
    assert frames == [frame(number) for number in range(len(frames))]


@given(seed=st.integers(0, 10_000), saved=st.integers(1, 5))
def test_a_power_loss_during_a_save_leaves_the_record_before_or_after(seed: int, saved: int) -> None:
    """The other slot is never touched: at most one is unreadable, and an acknowledged record is known or known to be
    in doubt.
    """
    disk = new_disk(seed)
    for number in range(saved):
        disk.write_safety(b"%d" % number)
        disk.sync_safety()
    disk.write_safety(b"%d" % saved)
    disk.lose_power()
    _, safety = disk.read_back()
    assert safety.unreadable <= 1
    expected = {b"%d" % saved, b"%d" % (saved - 1)}
    if safety.unreadable:
        # The slot of the record before the acknowledged one was being overwritten.
        expected = {b"%d" % (saved - 1)}
    assert safety.payload in expected


def test_every_fate_of_a_pending_write_comes_up() -> None:
    """Kept, dropped, torn, zeroed, garbled: a disk that knows only some of them would test less than it says."""
    old, new = b"o" * 600, b"n" * 600
    seen = set()
    for seed in range(200):
        file = VirtualFile(bytearray(old))
        file.write(0, new)
        file.lose_power(Stream(seed))
        left = bytes(file.durable)
        if left == new:
            seen.add("kept")
        elif left == old:
            seen.add("dropped")
        elif left == bytes(600):
            seen.add("zeroed")
        elif left.startswith(b"n") and left.endswith(b"o") and set(left) == set(b"no"):
            seen.add("torn")
        else:
            seen.add("garbled")
    assert seen == set(FATES)


def test_a_torn_tail_is_cut_off_and_written_over() -> None:
    """After a power loss the journal goes on behind the last whole frame, and reads as one chain."""
    for seed in range(50):
        disk = new_disk(seed)
        disk.append(frame(0))
        disk.sync_journal()
        disk.append(frame(1))
        disk.append(frame(2))
        disk.lose_power()
        kept, _ = disk.read_back()
        disk.append(frame(9))
        disk.sync_journal()
        disk.lose_power()
        frames, _ = disk.read_back()
        assert frames == [*kept, frame(9)]


def test_damage_to_what_was_synced_is_found() -> None:
    """A turned byte below the offset that the safety record names is damage, never taken for a torn tail."""
    disk = new_disk()
    disk.append(frame(0))
    disk.sync_journal()
    disk.write_safety(b"one")
    disk.sync_safety()
    disk._journal.durable[100] ^= 1
    with pytest.raises(StorageFailedError):
        disk.read_back()


def test_a_record_counts_as_durable_only_once_synced() -> None:
    """`durable_safety` and `synced_offset` say what a power loss cannot take away."""
    disk = new_disk()
    disk.append(frame(0))
    assert disk.synced_offset == 0
    disk.sync_journal()
    assert disk.synced_offset == len(disk.journal) > 0
    disk.write_safety(b"one")
    assert disk.durable_safety is None
    disk.sync_safety()
    assert disk.durable_safety == b"one"


def test_a_disk_does_the_same_from_the_same_seed() -> None:
    """What is left after power losses follows from the draws alone."""

    def left(seed: int) -> bytes:
        disk = VirtualDisk(CHAIN, Streams(seed).named("disk", 0))
        for number in range(6):
            disk.append(frame(number))
            if number == 2:
                disk.sync_journal()
        disk.lose_power()
        disk.read_back()
        return disk.journal

    assert left(4) == left(4)
    assert len({left(seed) for seed in range(20)}) > 1
