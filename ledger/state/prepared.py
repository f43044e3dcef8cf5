"""What the transition takes: envelopes and blocks that were decoded and compared with their own hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from ledger.blocks.block import BlockHeader
from ledger.blocks.envelope import Envelope
from ledger.blocks.record import Record
from ledger.identifiers import BlockId, EnvelopeId

VerifyBatch = Callable[[Sequence[tuple[bytes, bytes, bytes]]], list[bool]]
"""Says for each `(public, message, signature)`, in order, whether it verifies under ZIP-215."""


class PreparedEnvelope(msgspec.Struct, frozen=True, gc=False):
    """An envelope whose header commits to its records. Its signature was not checked.

    A struct, because a named tuple takes seven times as long to make. It never has a byte form.
    """

    raw: bytes
    """The full bytes, as in a block's payload."""
    envelope: Envelope
    id: EnvelopeId
    """Also the message that was signed."""
    signed: bytes
    """Header, suite and signature as they stand in `raw` (`ledger.blocks.envelope.signed_part`)."""
    records: tuple[Record | None, ...]
    """None for a record that is not the canonical form of any known kind: it will be refused, not the envelope."""


def key_names(envelopes: Iterable[PreparedEnvelope]) -> list[tuple[str, int]]:
    """Return for each envelope whose key signed it, and which: credit code and key id."""
    headers = [prepared.envelope.header for prepared in envelopes]
    return [(header.department, header.key_id) for header in headers]


class PreparedBlock(NamedTuple):
    """A block whose header commits to its envelopes. Nothing about consensus was checked."""

    id: BlockId
    header: BlockHeader
    envelopes: tuple[PreparedEnvelope, ...]
    verified: tuple[bytes | None, ...] = ()
    """For each envelope a public key that its signature is valid under, if one was tried ahead; empty: none was."""
