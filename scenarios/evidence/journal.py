"""An independent reader of a node's journal.

It shares no code with the node that wrote it: the frame is written down a second time, from its description in
`ledger.storage.frames`, over `hashlib` and `google_crc32c`, and what is inside in `scenarios.evidence.forms`. So a
mistake that a node makes both when it writes and when it reads is seen here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c

from scenarios.evidence.forms import (
    Checkpoint,
    EvidenceError,
    ExecutedHeight,
    StoredBlock,
    StoredEnvelope,
    VoteCertificate,
    certificate_of,
    checkpoint_of,
    pack,
    read_block,
    read_envelope,
    read_executed,
    read_justification,
    tagged_hash,
    unpack,
)

__all__ = [
    "EvidenceError",
    "Journal",
    "pack",
    "read_journal",
    "read_journal_directory",
    "read_journals",
    "tagged_hash",
    "unpack",
]

BLOCK, QUORUM_CERTIFICATE, TIMEOUT_CERTIFICATE, EXECUTED, CHECKPOINT = 1, 2, 3, 4, 5

_MAGIC = b"MULU"
_HEAD = struct.Struct(">4sBIQBI")
_CHECKSUM_BYTES = 4
_LINK_BYTES = 16


@dataclass(slots=True)
class Journal:
    """Everything the checks need of one node's journal."""

    node: str
    blocks: dict[bytes, StoredBlock] = field(default_factory=dict)
    """By id; some were proposed and never committed."""
    executed: dict[int, ExecutedHeight] = field(default_factory=dict)
    """By height, genesis included."""
    executed_twice: list[int] = field(default_factory=list)
    """Heights with two outcomes that differ."""
    certificates: list[VoteCertificate] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    @property
    def height(self) -> int:
        """The highest executed height."""
        return max(self.executed, default=0)

    def block_at(self, height: int) -> StoredBlock:
        """Return the executed block at a height from 1.

        Raises:
            EvidenceError: The height was not executed, or its block is not here.
        """
        executed = self.executed.get(height)
        if executed is None:
            raise EvidenceError(f"{self.node}: height {height} was not executed, although {self.height} was")
        block = self.blocks.get(executed.block)
        if block is None or block.height != height:
            raise EvidenceError(f"{self.node}, height {height}: the executed block is not in the journal")
        return block

    def results_at(self, height: int) -> list[tuple[StoredEnvelope, bytes]]:
        """Return each envelope of the executed block at a height with the codes of its records; genesis has none.

        Raises:
            EvidenceError: As `block_at`, or an envelope cannot be read, or there is not one code a record.
        """
        payload = self.block_at(height).payload if height else ()
        results = self.executed[height].results
        if len(payload) != len(results):
            raise EvidenceError(f"{self.node}, height {height}: {len(results)} results for {len(payload)} envelopes")
        envelopes = [read_envelope(raw) for raw in payload]
        for envelope, codes in zip(envelopes, results, strict=True):
            if len(envelope.records) != len(codes):
                name, records = envelope.id.hex()[:16], len(envelope.records)
                raise EvidenceError(f"{self.node}, envelope {name}: {len(codes)} codes for {records} records")
        return list(zip(envelopes, results, strict=True))


def read_journals(directories: Mapping[str, Path], *, chain: bytes) -> tuple[list[Journal], list[str]]:
    """Return the journals of the nodes at these directories, and why others of them cannot be read."""
    journals, unreadable = [], []
    for node, directory in directories.items():
        try:
            journals.append(read_journal_directory(node, directory, chain=chain))
        except EvidenceError as error:
            unreadable.append(str(error))
    return journals, unreadable


def read_journal_directory(node: str, directory: Path, *, chain: bytes | None = None) -> Journal:
    """Read the journal under a node's directory; the segments' names are offsets and sort by them.

    Raises:
        EvidenceError: As `read_journal`, or there is no journal, or the disk does not give it.
    """
    try:
        # A segment that is not the last is cut to its length; the last one ends in the zeros of preallocated space.
        parts = [segment.read_bytes() for segment in sorted((directory / "journal").glob("*.frames"))]
    except OSError as error:
        raise EvidenceError(f"{node}: the journal cannot be read: {error.strerror}") from error
    if not parts:
        raise EvidenceError(f"{node}: there is no journal")
    return read_journal(node, b"".join(parts), chain=chain)


def read_journal(node: str, data: bytes, *, chain: bytes | None = None) -> Journal:
    """Read a journal's bytes, from its first frame up to where no whole frame follows.

    A write that was cut short at the end is everyday life when nodes are killed; whole frames beyond damage are not.

    Args:
        chain: The network's id, which the first frame is chained to; None to take any network's journal.

    Raises:
        EvidenceError: The first frame does not belong to the network, a whole frame holds what it must not or stands
            beyond a damaged one, or nothing was executed.
    """
    journal = Journal(node)
    for kind, height, payload in _frames(node, data, None if chain is None else _link(chain)):
        try:
            _take(journal, kind, height, payload)
        except EvidenceError as error:
            raise EvidenceError(f"{node}: frame of kind {kind} at height {height}: {error}") from error
    if 0 not in journal.executed:
        raise EvidenceError(f"{node}: the journal does not begin with the genesis")
    return journal


def _frames(node: str, data: bytes, link: bytes | None) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while (end := _end_of_frame(data, offset)) is not None:
        if link is not None and data[end - _LINK_BYTES : end] != link:
            raise EvidenceError(f"{node}: the frame at offset {offset} is not chained to what stands before it")
        _, _, _, height, kind, _ = _HEAD.unpack_from(data, offset)
        yield kind, height, data[offset + _HEAD.size : end - _LINK_BYTES]
        offset, link = end, _link(data[offset:end])
    beyond = data.find(_MAGIC, offset + 1)
    while beyond >= 0:
        if _end_of_frame(data, beyond) is not None:
            raise EvidenceError(f"{node}: the frame at offset {offset} is damaged; a whole one stands at {beyond}")
        beyond = data.find(_MAGIC, beyond + 1)


def _end_of_frame(data: bytes, offset: int) -> int | None:
    """Return where the whole frame at `offset` ends, or None if none begins there."""
    if offset + _HEAD.size + _LINK_BYTES > len(data):
        return None
    magic, version, length, _, _, checksum = _HEAD.unpack_from(data, offset)
    end: int = offset + _HEAD.size + length + _LINK_BYTES
    if magic != _MAGIC or version != 1 or end > len(data):
        return None
    before = data[offset : offset + _HEAD.size - _CHECKSUM_BYTES]
    return end if google_crc32c.value(before + data[offset + _HEAD.size : end]) == checksum else None


def _take(journal: Journal, kind: int, height: int, payload: bytes) -> None:
    if kind == BLOCK:
        block = read_block(payload)
        journal.blocks[block.id] = block
        # A node need not keep the parent's certificate a second time.
        if (certificate := read_justification(block.justification)) is not None:
            journal.certificates.append(certificate)
    elif kind == QUORUM_CERTIFICATE:
        journal.certificates.append(certificate_of(unpack(payload)))
    elif kind == CHECKPOINT:
        journal.checkpoints.append(checkpoint_of(unpack(payload)))
    elif kind == EXECUTED:
        executed = read_executed(payload)
        if executed.height != height:
            raise EvidenceError(f"the block record speaks of height {executed.height}")
        if journal.executed.setdefault(height, executed) != executed:
            journal.executed_twice.append(height)
    elif kind != TIMEOUT_CERTIFICATE:
        raise EvidenceError("frames of this kind are not known")


def _link(previous: bytes) -> bytes:
    return tagged_hash("frame", previous)[:_LINK_BYTES]
