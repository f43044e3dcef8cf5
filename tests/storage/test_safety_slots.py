"""The two slots: the newest record that can be trusted, and how much cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.storage.safety_slots import (
    SLOT_BYTES,
    SLOT_PAYLOAD_BYTES_MAX,
    SLOTS_BYTES,
    SlotsRead,
    blank_slots,
    encode_slot,
    read_slots,
    slot_offset,
)


def file_of(*sequences: int) -> bytes:
    """Return the file after the records `sequences` were written over a new one, record s being `b"record s"`."""
    data = bytearray(blank_slots())
    for sequence in sequences:
        start = slot_offset(sequence)
        data[start : start + SLOT_BYTES] = encode_slot(sequence, b"record %d" % sequence, synced_offset=sequence * 100)
    return bytes(data)


def test_a_slot_has_these_very_bytes() -> None:
    """A record written by any version of this program is read by every later one."""
    encoded = encode_slot(7, b"round 41", synced_offset=65_536)
    assert encoded.rstrip(b"\x00").hex() == "5341464501000000000000000700000000000100000008ab33306e726f756e64203431"
    assert len(encoded) == SLOT_BYTES


def test_a_new_file_holds_no_record_and_is_readable() -> None:
    """A first start is told from a loss: nothing was ever signed, and nothing is unreadable."""
    assert len(blank_slots()) == SLOTS_BYTES
    assert read_slots(blank_slots()) == SlotsRead(None, 1, 0, unreadable=0)


@pytest.mark.parametrize("data", [b"", bytes(SLOTS_BYTES), bytes(17), b"\xff" * SLOTS_BYTES])
def test_a_missing_or_zeroed_file_is_never_a_new_one(data: bytes) -> None:
    """Zeros are what a disk gives back for what it has lost, so they read as loss."""
    assert read_slots(data) == SlotsRead(None, 0, 0, unreadable=2)


@given(st.integers(2, 50))
def test_the_newer_of_two_records_counts(last: int) -> None:
    """Records take turns, and the last one written is read."""
    written = read_slots(file_of(*range(2, last + 1)))
    assert written == SlotsRead(b"record %d" % last, last, last * 100, unreadable=0)


@given(st.integers(3, 50), st.integers(0, SLOT_BYTES * 8 - 1))
def test_a_turned_bit_leaves_the_record_before_and_says_so(last: int, bit: int) -> None:
    """One bit anywhere in the newest slot: the older record is read, with one slot unreadable."""
    data = bytearray(file_of(*range(2, last + 1)))
    data[slot_offset(last) + bit // 8] ^= 1 << bit % 8
    found = read_slots(bytes(data))
    assert (found.payload, found.sequence, found.unreadable) == (b"record %d" % (last - 1), last - 1, 1)


@pytest.mark.parametrize("torn", [0, 1, 7, 20, 35, 36, 511, 512, 513, SLOT_BYTES])
def test_a_torn_record_is_the_old_one_the_new_one_or_unreadable(torn: int) -> None:
    """Whatever part of record 4 reached the disk, record 3 still stands."""
    before, after = file_of(2, 3), file_of(2, 3, 4)
    found = read_slots(after[:torn] + before[torn:])
    whole = encode_slot(4, b"record 4", synced_offset=400)
    if whole[:torn] == before[:torn]:
        assert found == SlotsRead(b"record 3", 3, 300, unreadable=0)
    elif whole[torn:] == before[torn:SLOT_BYTES]:
        assert found == SlotsRead(b"record 4", 4, 400, unreadable=0)
    else:
        assert found == SlotsRead(b"record 3", 3, 300, unreadable=1)


def test_a_zeroed_slot_is_unreadable_and_not_unwritten() -> None:
    """An acknowledged record that the disk has zeroed is missed, even the first of all."""
    for last in (2, 3, 4):
        data = bytearray(file_of(*range(2, last + 1)))
        data[slot_offset(last) : slot_offset(last) + SLOT_BYTES] = bytes(SLOT_BYTES)
        assert read_slots(bytes(data)).unreadable == 1


def test_a_record_in_the_wrong_slot_is_unreadable() -> None:
    """A write that went astray overwrote the other record: nothing there can be trusted."""
    data = bytearray(file_of(2, 3))
    data[slot_offset(3) : slot_offset(3) + SLOT_BYTES] = encode_slot(4, b"record 4", synced_offset=0)
    assert read_slots(bytes(data)) == SlotsRead(b"record 2", 2, 200, unreadable=1)


def test_a_lost_write_shows_by_the_gap_it_leaves() -> None:
    """Records 7 and 4 side by side: the disk dropped a record it had acknowledged, and maybe a newer one."""
    assert read_slots(file_of(2, 3, 4, 7)) == SlotsRead(b"record 7", 7, 700, unreadable=1)


@given(st.binary(max_size=SLOTS_BYTES + 10))
def test_reading_never_raises(data: bytes) -> None:
    """Whatever the file holds, the answer is a count of what is unreadable."""
    assert read_slots(data).unreadable == 2


@pytest.mark.parametrize("payload", [b"", bytes(SLOT_PAYLOAD_BYTES_MAX + 1)])
def test_a_record_that_does_not_fit_is_refused(payload: bytes) -> None:
    """An empty record would read as none, a longer one would reach into the other slot."""
    with pytest.raises(ValueError):
        encode_slot(2, payload, synced_offset=0)
    largest = encode_slot(2, bytes([1]) * SLOT_PAYLOAD_BYTES_MAX, synced_offset=0)
    assert len(largest) == SLOT_BYTES
