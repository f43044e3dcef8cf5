"""The stateless stage: bytes of envelopes and blocks, decoded, checked against their own hashes, ready to execute.

Nothing here looks at the state, so it can run ahead of execution and on another core. What it refuses makes a block
invalid (P9a); what only the state can tell is left to `ledger.state.transition` and becomes a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ledger.blocks.block import BlockHeader
from ledger.blocks.envelope import Envelope, payload_leaf
from ledger.blocks.record import Record
from ledger.crypto.merkle import root_of
from ledger.encoding import decode
from ledger.errors import DecodeError, InvalidInputError
from ledger.identifiers import BlockId, ChainId, Digest
from ledger.registers import RULEBOOK
from ledger.registers.register import Rulebook
from ledger.state.prepared import PreparedBlock, PreparedEnvelope


class WrongChainError(InvalidInputError):
    """An envelope was signed for another network than the one it was handed to."""

    code = "wrong_chain"

    def __init__(self, *, expected: ChainId, got: bytes) -> None:
        super().__init__(f"the envelope was signed for chain {got.hex()}, this is chain {expected.hex()}")
        self.expected, self.got = expected, got


class PayloadMismatchError(InvalidInputError):
    """The envelopes of a block are not those its header commits to."""

    code = "payload_mismatch"


def prepare_envelope(raw: bytes, chain: ChainId, rulebook: Rulebook = RULEBOOK) -> PreparedEnvelope:
    """Return what `raw` says, after all checks that need neither keys nor state.

    Raises:
        OversizeError, DecodeError: `raw` is not the canonical form of an envelope.
        WrongChainError: The envelope is for another network.
        RecordsMismatchError: The signed header commits to other records, or the suite is unknown.
    """
    envelope = decode(Envelope, raw)
    header = envelope.header
    if header.chain != Digest(chain):
        raise WrongChainError(expected=chain, got=header.chain)
    envelope.check_records()
    records = tuple([_record_or_none(record, rulebook) for record in envelope.records])
    return PreparedEnvelope(raw, envelope, header.id, payload_leaf(raw), records)


def prepare_block(
    block: BlockId,
    header: BlockHeader,
    payload: Sequence[bytes],
    *,
    rulebook: Rulebook = RULEBOOK,
    known: Mapping[bytes, PreparedEnvelope] | None = None,
) -> PreparedBlock:
    """Return the block's envelopes, prepared, after comparing them with the header.

    Args:
        block: The header's id, not computed again here.
        payload: Full bytes of each envelope, in order.
        known: Envelopes of this chain that were prepared on admission, by their full bytes; taken as they are.

    Raises:
        PayloadMismatchError: Another count or root than the header states.
        InvalidInputError: As for `prepare_envelope`; one bad envelope makes the block invalid.
    """
    if len(payload) != header.payload_count:
        raise PayloadMismatchError(f"the header states {header.payload_count} envelopes, the block has {len(payload)}")
    chain = ChainId(header.chain)
    known = known or {}
    envelopes = tuple([known.get(raw) or prepare_envelope(raw, chain, rulebook) for raw in payload])
    root = root_of([envelope.leaf for envelope in envelopes])
    if root != header.payload_root:
        raise PayloadMismatchError(
            f"the header states payload root {header.payload_root.hex()}, the envelopes give {root.hex()}"
        )
    return PreparedBlock(block, header, envelopes)


def _record_or_none(raw: bytes, rulebook: Rulebook) -> Record | None:
    try:
        return rulebook.decode_record(raw)
    except DecodeError:
        return None
