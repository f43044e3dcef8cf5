"""The journal's frames: how each is written down, chained to the one before it, and found again after a crash.

    offset  size  field
    0       4     magic "MULU"
    4       1     version, 1
    5       4     length of the payload in bytes, big-endian like every number here
    9       8     height
    17      1     kind
    18      4     CRC-32C of all other bytes of the frame, those before it and those after it
    22      n     payload
    22+n    16    link: the first 16 bytes of the tagged SHA-256 of the previous frame

The checksum tells a damaged frame from a whole one; the link tells a whole frame that belongs here from one that an
earlier life of the file, or another network, has left behind. Neither defends against somebody who may write to the
disk: certificates do that.

A reader who knows up to where the journal had been synced can tell a write that a crash cut short from damage to what
was safe already (`scan`). The first is everyday life and is cut off; the second must never be.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

import google_crc32c

from ledger.crypto.hashing import Tag, tagged_hash
from ledger.errors import DecodeError, OversizeError
from ledger.identifiers import ChainId, Height
from ledger.limits import JOURNAL_FRAME_BYTES_MAX

MAGIC = b"MULU"
VERSION = 1
LINK_BYTES = 16

_HEAD = struct.Struct(">4sBIQB")
_CHECKSUM = struct.Struct(">I")
HEADER_BYTES = _HEAD.size + _CHECKSUM.size
"""Bytes before the payload: what a reader needs to learn a frame's length."""

FRAME_OVERHEAD_BYTES = HEADER_BYTES + LINK_BYTES
PAYLOAD_BYTES_MAX = JOURNAL_FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES


class FrameKind(IntEnum):
    """What a frame's payload is. The numbers are on disk for ever: none is changed, none is used again."""

    BLOCK = 1
    """A block with its payload, stored before it is voted on; it may never be committed."""
    QUORUM_CERTIFICATE = 2
    TIMEOUT_CERTIFICATE = 3
    EXECUTED = 4
    """Results and block record of a committed block. Evidence only: replaying the blocks gives them again."""
    CHECKPOINT = 5
    """The newest checkpoint that a quorum has cosigned."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing the journal keeps."""

    kind: FrameKind
    height: Height
    """Of the block that is kept or that the certificate or checkpoint speaks of."""
    payload: bytes
    """At most `PAYLOAD_BYTES_MAX` bytes, in the byte form of their own kind."""


class FrameChain:
    """The end of a chain of frames: gives the bytes of each next frame and moves on."""

    def __init__(self, link: bytes) -> None:
        """Continue after the frame that `link` names: `first_link`, `link_of` or the `link` of a `Scan`."""
        self.link = link

    def encode(self, frame: Frame) -> bytes:
        """Return the bytes of `frame` as the next of the chain.

        Raises:
            ValueError: The payload is longer than `PAYLOAD_BYTES_MAX`. The chain has not moved.
        """
        encoded = encode_frame(frame, self.link)
        self.link = link_of(encoded)
        return encoded


@dataclass(frozen=True, slots=True)
class FramePosition:
    """Where a whole frame stands; `decode_frame` reads it."""

    offset: int
    size: int
    """Bytes of the whole frame."""
    kind: FrameKind
    height: Height


class Verdict(Enum):
    """What follows the last whole frame."""

    CLEAN = "clean"
    """Nothing, or the zeros of preallocated space."""
    TORN_TAIL = "torn tail"
    """Bytes that were never known to be safe: cut off everything from `Scan.end`, whole frames further on included."""
    CORRUPT = "corrupt"
    """Bytes that had been synced are damaged or gone: never cut off; set aside, and fetch the blocks from others."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a stretch of journal holds."""

    frames: Sequence[FramePosition]
    """The whole frames, in order, from the start up to the first bad one."""
    end: int
    """Offset just after the last whole frame."""
    link: bytes
    """What the next frame will be chained to."""
    verdict: Verdict
    fault: str | None
    """Why no whole frame stands at `end`; None if the verdict is clean."""


def first_link(chain_id: ChainId) -> bytes:
    """Return the link of a journal's first frame. It names the network, so that no journal continues another's."""
    return tagged_hash(Tag.FRAME, chain_id)[:LINK_BYTES]


def link_of(encoded: bytes) -> bytes:
    """Return the 16-byte link to the frame whose whole bytes are `encoded`."""
    return tagged_hash(Tag.FRAME, encoded)[:LINK_BYTES]


def encode_frame(frame: Frame, previous: bytes) -> bytes:
    """Return the bytes of `frame`, chained to the frame with the link `previous`.

    Raises:
        ValueError: The payload is longer than `PAYLOAD_BYTES_MAX`, or `previous` is not a link.
    """
    if len(frame.payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a frame holds at most {PAYLOAD_BYTES_MAX} bytes of payload, not {len(frame.payload)}")
    if len(previous) != LINK_BYTES:
        raise ValueError(f"a link has {LINK_BYTES} bytes, not {len(previous)}")
    head = _HEAD.pack(MAGIC, VERSION, len(frame.payload), frame.height, frame.kind)
    body = frame.payload + previous
    return head + _CHECKSUM.pack(_checksum_of(head, body)) + body


def frame_size(header: bytes) -> int:
    """Return the bytes of the whole frame that begins with `header`, for readers that fetch a frame in two steps.

    Args:
        header: At least `HEADER_BYTES` bytes. Their checksum is not looked at here.

    Raises:
        DecodeError: No frame of this version begins here.
        OversizeError: The frame claims to be longer than `JOURNAL_FRAME_BYTES_MAX`.
    """
    if len(header) < HEADER_BYTES:
        raise DecodeError(f"the bytes end after {len(header)} of a frame header's {HEADER_BYTES}")
    magic, version, length, _, _ = _HEAD.unpack_from(header)
    if magic != MAGIC:
        raise DecodeError(f"a frame begins with {MAGIC.hex()}, not {magic.hex()}")
    if version != VERSION:
        raise DecodeError(f"the frame has version {version}; this program reads version {VERSION}")
    size: int = FRAME_OVERHEAD_BYTES + length
    if size > JOURNAL_FRAME_BYTES_MAX:
        raise OversizeError("a journal frame", size=size, size_max=JOURNAL_FRAME_BYTES_MAX)
    return size


def decode_frame(encoded: bytes, *, previous: bytes | None = None) -> Frame:
    """Return the frame whose whole bytes are `encoded`.

    Args:
        encoded: Exactly one frame.
        previous: The link the frame must carry. None when a single frame is read out of its row: its place in the
            chain was checked by the scan that found it.

    Raises:
        DecodeError: The bytes are damaged, cut short or too many, or the frame follows another one than `previous`.
    """
    size = frame_size(encoded)
    if len(encoded) != size:
        raise DecodeError(f"the frame has {size} bytes, not {len(encoded)}")
    head, body = encoded[: _HEAD.size], encoded[HEADER_BYTES:]
    (stated,) = _CHECKSUM.unpack_from(encoded, _HEAD.size)
    if stated != (computed := _checksum_of(head, body)):
        raise DecodeError(f"the frame states checksum {stated:08x}; its bytes have {computed:08x}")
    if previous is not None and body[-LINK_BYTES:] != previous:
        raise DecodeError(f"the frame is chained to {body[-LINK_BYTES:].hex()}, not to {previous.hex()}")
    _, _, _, height, kind = _HEAD.unpack(head)
    try:
        return Frame(FrameKind(kind), Height(height), body[:-LINK_BYTES])
    except ValueError as error:
        raise DecodeError(f"frames of kind {kind} are not known") from error


def scan(data: bytes, *, previous: bytes, synced_offset: int) -> Scan:
    """Find the whole frames of a stretch of journal, and say what the rest is.

    Args:
        data: The stretch from a frame's first byte on, with whatever follows the last frame.
        previous: Link of the frame before the stretch.
        synced_offset: Offset within `data` up to which it is known to have been synced; may be negative or beyond its
            end. A bad frame before it is damage, a bad frame at or after it a write that a crash cut short.

    Offsets count from the first byte of `data`. Time O(len(data)); payloads are checked, not kept.
    """
    frames: list[FramePosition] = []
    offset, link = 0, previous
    fault: str | None = None
    while fault is None and offset < len(data):
        try:
            size = frame_size(data[offset : offset + HEADER_BYTES])
            encoded = data[offset : offset + size]
            frame = decode_frame(encoded, previous=link)
        except DecodeError as error:
            fault = str(error)
        else:
            frames.append(FramePosition(offset, size, frame.kind, frame.height))
            offset, link = offset + size, link_of(encoded)
    if offset < synced_offset:
        verdict, fault = Verdict.CORRUPT, fault or "the bytes end here"
    elif data.count(0, offset) == len(data) - offset:
        verdict, fault = Verdict.CLEAN, None
    else:
        verdict = Verdict.TORN_TAIL
    return Scan(frames, offset, link, verdict, fault)


def _checksum_of(head: bytes, body: bytes) -> int:
    checksum: int = google_crc32c.extend(google_crc32c.value(head), body)
    return checksum
