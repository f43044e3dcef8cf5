"""The byte forms that the checks look at, written down a second time from their description in `ledger.blocks`.

Whatever the bytes are, a reader here gives a value of the stated types or raises `EvidenceError`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgpack  # type: ignore[import-untyped]

from scenarios.evidence.trees import tagged_leaf

DIGEST_BYTES = 32
SIGNATURE_BYTES = 64

_NONE = type(None)

Parts = tuple[Any, ...]
"""A decoded array: tag, version, then the fields in their order."""


class EvidenceError(Exception):
    """What a run left behind contradicts what was claimed, or cannot be read at all; one sentence."""


@dataclass(frozen=True, slots=True)
class StoredEnvelope:
    """An envelope as a block carries it."""

    id: bytes
    department: str
    """Credit code of who signed."""
    signed: tuple[Parts, int, bytes]
    """Header, suite and signature: what the log's entry repeats."""
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """What a quorum of votes for a block says of the parent that it commits."""

    height: int
    block: bytes
    payload_root: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class VoteCertificate:
    """A certificate of votes; nothing about it was checked but its form."""

    epoch: int
    round: int
    block: bytes
    parent_round: int
    parent: bytes
    commit: Commit | None
    voters: tuple[int, ...]
    signatures: bytes
    """64 bytes a voter."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log size and root with cosignatures; nothing about it was checked but its form."""

    height: int
    size: int
    root: bytes
    cosignatures: tuple[tuple[int, int, bytes], ...]
    """Validator, Unix time in seconds, signature."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as a journal holds it."""

    id: bytes
    round: int
    height: int
    parent: bytes
    author: int
    """Position of the proposing validator."""
    time_ms: int
    justification: bytes
    payload_root: bytes
    """What the header commits to; `checks` compares it with the envelopes."""
    checkpoint: Checkpoint | None
    payload: tuple[bytes, ...]
    """Full bytes of each envelope."""


@dataclass(frozen=True, slots=True)
class ExecutedHeight:
    """What a node says came out of the block at a height."""

    height: int
    block: bytes
    parent: bytes
    time_ms: int
    state_root: bytes
    results: tuple[bytes, ...]
    """For each envelope the codes of its records."""
    deadlines: tuple[bytes, ...]
    """State keys of what the block found to be due, in the order in which it acted upon them."""
    record: bytes
    """The block record's own bytes, a leaf of the log."""


def tagged_hash(tag: str, data: bytes) -> bytes:
    """Return SHA-256 under a domain tag, for example `envelope`."""
    return hashlib.sha256(f"mulu/{tag}/1\0".encode() + data).digest()


def pack(value: Any) -> bytes:
    """Return the canonical bytes of arrays, integers, text, bytes, booleans and nil, by an independent encoder."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes) -> Any:
    """Return the value behind canonical bytes; arrays come as tuples.

    Raises:
        EvidenceError: Not MessagePack, or not the spelling that packing the value gives.
    """
    try:
        value = msgpack.unpackb(data, use_list=False, raw=False, strict_map_key=True, max_map_len=0, max_ext_len=0)
        if pack(value) == data:
            return value
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise EvidenceError(f"not MessagePack: {type(error).__name__} {error}") from error
    raise EvidenceError("not in canonical form")


def fields(value: Any, tag: str, *kinds: type | tuple[type, ...]) -> Parts:
    """Return the fields of `[tag, 1, field, ...]`, one of each kind in `kinds`; True is no int here.

    Raises:
        EvidenceError: Another tag, version, count or kind.
    """
    if not isinstance(value, tuple) or value[:2] != (tag, 1) or type(value[1]) is not int:
        raise EvidenceError(f"expected {tag} version 1, found {str(value)[:60]}")
    if len(value) != len(kinds) + 2:
        raise EvidenceError(f"{tag} has {len(kinds)} fields, not {len(value) - 2}")
    for position, (field, kind) in enumerate(zip(value[2:], kinds, strict=True)):
        if type(field) not in (kind if isinstance(kind, tuple) else (kind,)):
            raise EvidenceError(f"{tag}: field {position} is of type {type(field).__name__}")
    return value[2:]


# Every one of 53 journals holds the same envelopes and most of the same blocks: each is decoded, and kept, once.


@lru_cache(maxsize=1 << 16)
def read_envelope(raw: bytes) -> StoredEnvelope:
    """Return the envelope whose bytes are `raw`. Its signature and its records are not checked here."""
    header, suite, signature, records = fields(unpack(raw), "signed", tuple, int, bytes, tuple)
    _, department, *_ = fields(header, "envelope", bytes, str, int, int, int, bytes, int)
    return StoredEnvelope(
        tagged_hash("envelope", pack(header)), department, (header, suite, signature), _all_bytes(records)
    )


@lru_cache(maxsize=1 << 12)
def read_block(raw: bytes) -> StoredBlock:
    """Return the block whose bytes are `raw`. What it commits to and who signed it are not checked here."""
    header, _suite, _signature, payload = fields(unpack(raw), "proposal", tuple, int, bytes, tuple)
    _chain, _epoch, round_, height, parent, author, justification, root, _count, checkpoint, time_ms = fields(
        header, "block", bytes, int, int, int, bytes, int, bytes, bytes, int, (tuple, _NONE), int
    )
    return StoredBlock(
        id=tagged_hash("block", pack(header)),
        round=round_,
        height=height,
        parent=parent,
        author=author,
        time_ms=time_ms,
        justification=justification,
        payload_root=root,
        checkpoint=None if checkpoint is None else checkpoint_of(checkpoint),
        payload=_all_bytes(payload),
    )


@lru_cache(maxsize=1 << 14)
def payload_leaf(raw: bytes) -> bytes:
    """Return the leaf of an envelope's full bytes in a block's payload tree."""
    return tagged_leaf("payload", raw)


@lru_cache(maxsize=1 << 12)
def read_executed(raw: bytes) -> ExecutedHeight:
    """Return what an EXECUTED frame says."""
    results, record = fields(unpack(raw), "executed", tuple, tuple)
    height, block, parent, time_ms, state_root, _validators, deadlines = fields(
        record, "log-block", int, bytes, bytes, int, bytes, bytes, tuple
    )
    return ExecutedHeight(
        height, block, parent, time_ms, state_root, _all_bytes(results), _all_bytes(deadlines), pack(record)
    )


@lru_cache(maxsize=1 << 12)
def read_justification(raw: bytes) -> VoteCertificate | None:
    """Return the certificate of the parent in a block's justification; None where the engine needs none."""
    if not raw:
        return None
    parent_certificate, _ = fields(unpack(raw), "justification", tuple, (tuple, _NONE))
    return certificate_of(parent_certificate)


def certificate_of(value: Any) -> VoteCertificate:
    """Return the certificate of votes in a decoded array."""
    vote, voters, signatures = fields(value, "quorum-certificate", tuple, tuple, bytes)
    epoch, round_, block, parent_round, parent, commit = fields(
        vote, "vote-data", int, int, bytes, int, bytes, (tuple, _NONE)
    )
    if commit is not None:
        commit = Commit(*fields(commit, "commit", int, bytes, bytes, int))
    if any(type(voter) is not int for voter in voters):
        raise EvidenceError("a voter is a number")
    return VoteCertificate(epoch, round_, block, parent_round, parent, commit, voters, signatures)


def checkpoint_of(value: Any) -> Checkpoint:
    """Return the checkpoint in a decoded array."""
    _epoch, height, size, root, cosignatures = fields(value, "checkpoint", int, int, int, bytes, tuple)
    return Checkpoint(height, size, root, tuple(map(_cosignature, cosignatures)))


def _cosignature(value: Any) -> tuple[int, int, bytes]:
    match value:
        # Not by `fields`, which takes ten times as long: 53 journals hold half a million cosignatures.
        case ("cosignature", 1, int(validator), int(time_s), bytes(signature)):
            return validator, time_s, signature
    raise EvidenceError(f"expected cosignature version 1, found {str(value)[:60]}")


def _all_bytes(values: Parts) -> tuple[bytes, ...]:
    if any(type(value) is not bytes for value in values):
        raise EvidenceError("expected an array of byte strings")
    return values
