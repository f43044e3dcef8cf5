"""The stateless stage: bytes of envelopes and blocks, decoded, checked against their own hashes, ready to execute.

Nothing here looks at the state, so it can run ahead of execution and on another core. What it refuses makes a block
invalid (P9a); what only the state can tell is left to `ledger.state.transition` and becomes a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from itertools import chain as chained
from typing import TypeVar

from ledger.blocks.block import BlockHeader, payload_root
from ledger.blocks.envelope import Envelope, signed_part
from ledger.blocks.record import Record
from ledger.crypto.hashing import Tag, tagged_hashes
from ledger.crypto.merkle import root_of, tagged_leaf_hashes
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Decoder, decode, encode
from ledger.errors import InvalidInputError
from ledger.identifiers import BlockId, ChainId, Digest
from ledger.registers import RULEBOOK
from ledger.registers.register import Rulebook
from ledger.state.prepared import PreparedBlock, PreparedEnvelope

V = TypeVar("V")


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
    records = rulebook.decode_records(envelope.records)
    return PreparedEnvelope(raw, envelope, header.id, signed_part(raw, len(encode(header))), tuple(records))


def prepare_envelopes(raws: Sequence[bytes], chain: ChainId, rulebook: Rulebook = RULEBOOK) -> list[PreparedEnvelope]:
    """Return `prepare_envelope` of each, in order, all of them stage by stage.

    Raises:
        InvalidInputError: What `prepare_envelope` raises for the first that is not well-formed.
    """
    decoded = decode_envelopes(raws)
    prepared = None if decoded is None else _compare_hashes(raws, decoded, chain, rulebook)
    # Something is wrong with one of them: one by one it is found, and why.
    return prepared or [prepare_envelope(raw, chain, rulebook) for raw in raws]


def decode_envelopes(raws: Sequence[bytes]) -> list[Envelope] | None:
    """Return the envelopes whose canonical bytes are `raws`; None if one of them is not the bytes of any."""
    if max(map(len, raws), default=0) > Envelope.size_max:
        return None
    return _decoder.decode_all(raws)


def parse_envelopes(raws: Sequence[bytes]) -> list[Envelope]:
    """Return the envelopes whose canonical bytes are known to be `raws`; nothing is checked."""
    return _decoder.parse_all(raws)


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
    prepared = prepare_payload(block, header, payload, rulebook=rulebook, known=known)
    if (root := payload_root(payload)) != header.payload_root:
        raise PayloadMismatchError(
            f"the header states payload root {header.payload_root.hex()}, the envelopes give {root.hex()}"
        )
    return prepared


def prepare_payload(
    block: BlockId,
    header: BlockHeader,
    payload: Sequence[bytes],
    *,
    rulebook: Rulebook = RULEBOOK,
    known: Mapping[bytes, PreparedEnvelope] | None = None,
) -> PreparedBlock:
    """As `prepare_block` for a payload that was compared with the header already, as consensus does with every block.

    Raises:
        InvalidInputError: As for `prepare_envelope`; one bad envelope makes the block invalid.
    """
    chain = ChainId(header.chain)
    if not known:
        return PreparedBlock(block, header, tuple(prepare_envelopes(payload, chain, rulebook)))
    fresh = iter(prepare_envelopes([raw for raw in payload if raw not in known], chain, rulebook))
    return PreparedBlock(block, header, tuple([known.get(raw) or next(fresh) for raw in payload]))


_decoder = Decoder(Envelope)


def _compare_hashes(
    raws: Sequence[bytes], envelopes: Sequence[Envelope], chain: ChainId, rulebook: Rulebook
) -> list[PreparedEnvelope] | None:
    """Return the decoded envelopes, prepared, with one call for all hashes of a kind; None if one of them is bad."""
    chain_digest = Digest(chain)
    headers = [encode(envelope.header) for envelope in envelopes]
    ids = tagged_hashes(Tag.ENVELOPE, headers)
    record_bytes = list(chained.from_iterable([envelope.records for envelope in envelopes]))
    leaves = tagged_leaf_hashes(Tag.RECORD, record_bytes)
    records = rulebook.decode_records(record_bytes)
    roots = leaves
    if len(leaves) > len(envelopes):
        roots = [root_of(own) for own in split(leaves, envelopes)]
    for envelope, root in zip(envelopes, roots, strict=True):
        header = envelope.header
        if (
            root != header.records_root
            or header.chain != chain_digest
            or envelope.suite != ED25519_SHA256
            or len(envelope.records) != header.record_count
        ):
            return None
    return assemble(raws, envelopes, ids, list(map(len, headers)), records)


def assemble(
    raws: Sequence[bytes],
    envelopes: Sequence[Envelope],
    ids: Iterable[bytes],
    header_sizes: Iterable[int],
    records: Sequence[Record | None],
) -> list[PreparedEnvelope]:
    """Return prepared envelopes from what was found out about each, and about the records of all in a row."""
    signed = map(signed_part, raws, header_sizes)
    own_records = split(records, envelopes)
    return list(map(PreparedEnvelope._make, zip(raws, envelopes, ids, signed, own_records, strict=True)))


def split(values: Sequence[V], envelopes: Sequence[Envelope]) -> Iterable[tuple[V, ...]]:
    """Return what belongs to each envelope of the values that belong to the records of all in a row."""
    if len(values) == len(envelopes):
        # None is without records, so each has one.
        return zip(values, strict=True)
    ends = accumulate([len(envelope.records) for envelope in envelopes], initial=0)
    return [tuple(values[start:end]) for start, end in pairwise(ends)]
