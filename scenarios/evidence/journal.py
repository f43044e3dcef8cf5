"""An independent reader of a node's journal.

It shares no code with the node that wrote it: the forms below are written down a second time, from their description,
over `msgpack`, `hashlib` and `google_crc32c`. So a mistake that a node makes both when it writes and when it reads is
seen here. The description of a frame is in `ledger.storage.frames`, that of the values in `ledger.blocks`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import msgpack

BLOCK, QUORUM_CERTIFICATE, EXECUTED, CHECKPOINT = 1, 2, 4, 5

_HEAD = struct.Struct(">4sBIQBI")
_LINK_BYTES = 16


class EvidenceError(Exception):
    """The evidence itself cannot be read; no check over it can hold."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as the journal holds it."""

    id: bytes
    round: int
    height: int
    parent: bytes
    time_ms: int
    justification: bytes
    payload_root: bytes
    checkpoint: tuple[Any, ...] | None
    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ExecutedHeight:
    """What the node says came out of the block at a height."""

    block: bytes
    parent: bytes
    time_ms: int
    state_root: bytes
    results: tuple[bytes, ...]
    record: bytes
    """The block record's own bytes, a leaf of the log."""


@dataclass(slots=True)
class Journal:
    """Everything the checks need of one node's journal."""

    node: str
    blocks: dict[bytes, StoredBlock] = field(default_factory=dict)
    executed: dict[int, ExecutedHeight] = field(default_factory=dict)
    executed_twice: list[int] = field(default_factory=list)
    """Heights with two EXECUTED frames that differ."""
    quorum_certificates: list[tuple[Any, ...]] = field(default_factory=list)
    checkpoints: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def height(self) -> int:
        """The highest executed height."""
        return max(self.executed, default=0)


def read_journal_directory(node: str, directory: Path) -> Journal:
    """Read the journal under a node's directory; the segments' names are offsets and sort by them."""
    segments = sorted((directory / "journal").glob("*.frames"))
    if not segments:
        raise EvidenceError(f"{directory} holds no journal")
    parts = [segment.read_bytes() for segment in segments]
    # A segment that is not the last is cut to its length; the last one ends in the zeros of preallocated space.
    return read_journal(node, b"".join(parts))


def read_journal(node: str, data: bytes, *, chain: bytes | None = None) -> Journal:
    """Read a journal's bytes, from its first frame up to where no whole frame follows.

    Raises:
        EvidenceError: The first frame does not belong to network `chain`, or a whole frame holds what it must not.
    """
    journal = Journal(node)
    offset, link = 0, None if chain is None else _link(chain)
    while offset + _HEAD.size + _LINK_BYTES <= len(data):
        magic, version, length, height, kind, checksum = _HEAD.unpack_from(data, offset)
        end = offset + _HEAD.size + length + _LINK_BYTES
        if magic != b"MULU" or version != 1 or end > len(data):
            break
        frame = data[offset:end]
        if google_crc32c.value(frame[: _HEAD.size - 4] + frame[_HEAD.size :]) != checksum:
            break
        if link is not None and frame[-_LINK_BYTES:] != link:
            break
        _take(journal, kind, height, frame[_HEAD.size : -_LINK_BYTES])
        offset, link = end, _link(frame)
    if not journal.executed:
        raise EvidenceError(f"{node}: the journal holds no executed block")
    return journal


def tagged_hash(tag: str, data: bytes) -> bytes:
    """SHA-256 under a domain tag, written down again."""
    return hashlib.sha256(f"mulu/{tag}/1\0".encode() + data).digest()


def pack(value: Any) -> bytes:
    """The canonical bytes of arrays, integers, text, bytes and nil, by an independent encoder."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes) -> Any:
    """The value behind canonical bytes."""
    return msgpack.unpackb(data, use_list=False, raw=False, strict_map_key=True, max_map_len=0, max_ext_len=0)


def _take(journal: Journal, kind: int, height: int, payload: bytes) -> None:
    try:
        value = unpack(payload)
        if kind == BLOCK:
            block = _block(value)
            journal.blocks[block.id] = block
        elif kind == QUORUM_CERTIFICATE:
            journal.quorum_certificates.append(value)
        elif kind == CHECKPOINT:
            journal.checkpoints.append(value)
        elif kind == EXECUTED:
            executed = _executed(value)
            if journal.executed.setdefault(height, executed) != executed:
                journal.executed_twice.append(height)
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise EvidenceError(f"{journal.node}: frame of kind {kind} at height {height}: {error}") from error


def _block(value: tuple[Any, ...]) -> StoredBlock:
    tag, _, header, _suite, _signature, payload = value
    if tag != "proposal":
        raise ValueError(f"a block frame holds {tag!r}")
    _, _, _chain, _epoch, round_, height, parent, _author, justification, root, _count, checkpoint, time_ms = header
    return StoredBlock(
        id=tagged_hash("block", pack(header)),
        round=round_,
        height=height,
        parent=parent,
        time_ms=time_ms,
        justification=justification,
        payload_root=root,
        checkpoint=checkpoint,
        envelopes=payload,
    )


def _executed(value: tuple[Any, ...]) -> ExecutedHeight:
    tag, _, results, record = value
    if tag != "executed":
        raise ValueError(f"an executed frame holds {tag!r}")
    _, _, _height, block, parent, time_ms, state_root, _validators, _deadlines = record
    return ExecutedHeight(
        block=block, parent=parent, time_ms=time_ms, state_root=state_root, results=results, record=pack(record)
    )


def _link(previous: bytes) -> bytes:
    return tagged_hash("frame", previous)[:_LINK_BYTES]
