"""The log: one entry for every envelope, then one block record, in one append-only RFC 9162 tree over all history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from ledger.blocks.envelope import Envelope, EnvelopeHeader
from ledger.encoding import Canonical, Digest32, Signature64, UInt63, encode_bytes
from ledger.limits import DEADLINES_PER_BLOCK_MAX, JOURNAL_FRAME_BYTES_MAX, RECORDS_PER_ENVELOPE_MAX


class EnvelopeEntry(Canonical, tag="log-envelope", kw_only=True):
    """What the log says of an envelope: what was signed, by which signature, and the result of each record.

    The records themselves hang from the header's records root.
    """

    size_max: ClassVar[int] = 65_535
    """A tile of the C2SP log layout holds entries up to this size."""

    header: EnvelopeHeader
    suite: int
    signature: Signature64
    results: Annotated[bytes, Meta(min_length=1, max_length=RECORDS_PER_ENVELOPE_MAX)]
    """One code a record, in order; 0 is accepted."""

    @classmethod
    def of(cls, envelope: Envelope, results: bytes) -> EnvelopeEntry:
        """Return the entry of `envelope`, whose records got the codes `results`."""
        return cls(header=envelope.header, suite=envelope.suite, signature=envelope.signature, results=results)

    @staticmethod
    def encode_all(signed: Sequence[bytes], results: Sequence[bytes]) -> list[bytes]:
        """Return `of(envelope, results).encode()` for the envelopes with these `signed_part`s, which are copied whole.

        Args:
            results: For each envelope one code a record.
        """
        # Few results are distinct where envelopes hold one record each.
        field_of = {codes: encode_bytes(codes) for codes in set(results)}
        return [_BEFORE_SIGNED_PART + part + field_of[codes] for part, codes in zip(signed, results, strict=True)]


_BEFORE_SIGNED_PART = b"\x96\xac" + b"log-envelope" + b"\x01"
"""An array of six, the tag and the version; the next three fields are those of the envelope."""


class BlockRecord(Canonical, tag="log-block", kw_only=True):
    """What the log says of a block after its execution; the chain of `parent` ids is the hash chain."""

    size_max: ClassVar[int] = 65_535

    height: UInt63
    block: Digest32
    parent: Digest32
    time_ms: UInt63
    state_root: Digest32
    """Root of the state after this block."""
    validators_hash: Digest32
    """Who signs checkpoints over this block."""
    deadlines: Annotated[tuple[bytes, ...], Meta(max_length=DEADLINES_PER_BLOCK_MAX)]
    """Keys of the deadlines that passed and were acted upon at the start of this block, in order."""


class ExecutedBlock(Canonical, tag="executed", kw_only=True):
    """What a member keeps in its journal of a block it has executed: evidence, which executing again gives again."""

    size_max: ClassVar[int] = JOURNAL_FRAME_BYTES_MAX

    results: tuple[bytes, ...]
    """The codes of each envelope's records, in the order of the payload."""
    record: BlockRecord


LogEntry = EnvelopeEntry | BlockRecord
"""Told apart by the tag inside."""
