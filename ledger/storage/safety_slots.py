"""The safety record's two slots: written in turn, so that the record before survives a write that a crash cuts short.

The file is 8,192 bytes: two slots of 4 KiB, one disk page each. Slot `sequence % 2` holds record `sequence`:

    offset  size  field
    0       4     magic "SAFE"
    4       1     version, 1
    5       8     sequence, big-endian like every number here
    13      8     synced offset of the journal when the record was made
    21      2     length of the payload in bytes
    23      4     CRC-32C of all bytes before it and of the payload
    27      n     payload, then zeros to the end of the slot

A new file is not empty: `blank_slots` gives it two readable slots without a payload. So a zeroed slot, which is what
many disks return for a page they have lost, is never taken for one that was never written. A file that is missing, or
too short, reads as two unreadable slots.

A torn write and rot look the same. So one unreadable slot means that the newest record may be gone, however good the
other one looks: P21 says what a member may still assume then, and P22 what it must do if both are unreadable.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import google_crc32c

SLOT_BYTES = 4_096
SLOTS_BYTES = 2 * SLOT_BYTES

_MAGIC = b"SAFE"
_VERSION = 1
_HEAD = struct.Struct(">4sBQQH")
_CHECKSUM = struct.Struct(">I")
_PAYLOAD_START = _HEAD.size + _CHECKSUM.size

SLOT_PAYLOAD_BYTES_MAX = SLOT_BYTES - _PAYLOAD_START


@dataclass(frozen=True, slots=True)
class SlotsRead:
    """What the two slots say together."""

    payload: bytes | None
    """The newest record that can be read; None if no record was ever written, or none can be read."""
    sequence: int
    """Of that record, or of the newer blank; 0 if both slots are unreadable."""
    synced_offset: int
    """Up to where the journal was synced when that record was made; a lower bound if a slot is unreadable."""
    unreadable: int
    """Slots of which nothing can be trusted: 0, 1 (a newer record may be lost, P21) or 2 (P22)."""


@dataclass(frozen=True, slots=True)
class _Slot:
    sequence: int
    synced_offset: int
    payload: bytes


def slot_offset(sequence: int) -> int:
    """Return where in the file record `sequence` goes, in bytes."""
    return sequence % 2 * SLOT_BYTES


def encode_slot(sequence: int, payload: bytes, *, synced_offset: int) -> bytes:
    """Return the 4,096 bytes of one slot.

    Args:
        sequence: One more than the newest that was read or written; 2 in a new file.
        payload: The safety record in its own byte form, 1 to `SLOT_PAYLOAD_BYTES_MAX` bytes.
        synced_offset: Up to where the journal is synced, in bytes.

    Raises:
        ValueError: The payload is empty, which would read as no record, or too long.
    """
    if not 1 <= len(payload) <= SLOT_PAYLOAD_BYTES_MAX:
        raise ValueError(f"a slot holds 1 to {SLOT_PAYLOAD_BYTES_MAX} bytes, not {len(payload)}")
    return _encode(_Slot(sequence, synced_offset, payload))


def blank_slots() -> bytes:
    """Return the 8,192 bytes of a new file: two slots, numbered 0 and 1, readable, without a record."""
    return _encode(_Slot(0, 0, b"")) + _encode(_Slot(1, 0, b""))


def read_slots(data: bytes) -> SlotsRead:
    """Return the newest record of the file's bytes `data`, and how much of them cannot be trusted.

    A slot is unreadable if it is damaged, holds a record that belongs in the other slot, or one that is not the
    neighbour of the other slot's: then a write went astray, and which of them is a guess. Never raises.
    """
    readable = [slot for position in (0, 1) if (slot := _decode(data, position)) is not None]
    if not readable:
        return SlotsRead(None, 0, 0, unreadable=2)
    newest = max(readable, key=lambda slot: slot.sequence)
    neighbours = len(readable) == 2 and abs(readable[0].sequence - readable[1].sequence) == 1
    return SlotsRead(newest.payload or None, newest.sequence, newest.synced_offset, unreadable=0 if neighbours else 1)


def _encode(slot: _Slot) -> bytes:
    head = _HEAD.pack(_MAGIC, _VERSION, slot.sequence, slot.synced_offset, len(slot.payload))
    checksum = _CHECKSUM.pack(google_crc32c.value(head + slot.payload))
    return (head + checksum + slot.payload).ljust(SLOT_BYTES, b"\x00")


def _decode(data: bytes, position: int) -> _Slot | None:
    encoded = data[position * SLOT_BYTES : (position + 1) * SLOT_BYTES]
    if len(encoded) != SLOT_BYTES:
        return None
    _, _, sequence, synced_offset, length = _HEAD.unpack_from(encoded)
    slot = _Slot(sequence, synced_offset, encoded[_PAYLOAD_START : _PAYLOAD_START + length])
    belongs_here = slot_offset(sequence) == position * SLOT_BYTES
    # Encoding again compares magic, version, length, checksum and the zeros behind the payload, all at once.
    return slot if belongs_here and _encode(slot) == encoded else None
