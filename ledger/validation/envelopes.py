"""The stateless stage: bytes of envelopes and blocks, decoded, checked against their own hashes, ready to execute.

Nothing here looks at the state, so it can run ahead of execution and on another core. What it refuses makes a block
invalid (P9a); what only the state can tell is left to `ledger.state.transition` and becomes a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from itertools import chain as chained
from typing import NamedTuple, TypeVar, cast

from ledger.blocks.block import BlockHeader, payload_root
from ledger.blocks.envelope import Envelope, signed_part
from ledger.blocks.record import Record
from ledger.crypto.backend import Library, active_backend
from ledger.crypto.hashing import Tag, tagged_hashes
from ledger.crypto.merkle import root_of, tagged_leaf_hashes, tagged_leaf_prefix
from ledger.crypto.suites import ED25519_SHA256
from ledger.encoding import Decoder, decode, encode
from ledger.errors import InvalidInputError
from ledger.identifiers import BlockId, ChainId, Digest, EnvelopeId
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
    examined = _examine(raws, chain) if max(map(len, raws), default=0) <= Envelope.size_max else None
    if examined is None:
        # Something is wrong with one of them: one by one it is found, and why.
        return [prepare_envelope(raw, chain, rulebook) for raw in raws]
    records = rulebook.decode_records(records_of(examined.envelopes), examined.doubtful)
    return assemble(raws, examined.envelopes, examined.ids, examined.signed, records)


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


class _Examined(NamedTuple):
    """Envelopes that are what their bytes say; about their records, see `doubtful`."""

    envelopes: list[Envelope]
    ids: list[EnvelopeId]
    signed: list[bytes]
    doubtful: Sequence[int] | None
    """As for `Rulebook.decode_records`."""


def _examine(raws: Sequence[bytes], chain: ChainId) -> _Examined | None:
    """Return what `raws` are, none of them longer than an envelope may be; None if one of them is bad."""
    library = active_backend().library
    return _examine_in_python(raws, chain) if library is None else _examine_natively(library, raws, chain)


def _examine_natively(library: Library, raws: Sequence[bytes], chain: ChainId) -> _Examined | None:
    found = library.examine_envelopes(raws, chain, Tag.ENVELOPE.value, tagged_leaf_prefix(Tag.RECORD))
    if found is None:
        return None
    ids, signed, doubtful = found
    envelopes = _decoder.decode_all(raws, doubtful=())
    return None if envelopes is None else _Examined(envelopes, cast("list[EnvelopeId]", ids), signed, doubtful)


def _examine_in_python(raws: Sequence[bytes], chain: ChainId) -> _Examined | None:
    """As natively, with one call for all hashes of a kind."""
    envelopes: list[Envelope] | None = _decoder.decode_all(raws)
    if envelopes is None:
        return None
    leaves = tagged_leaf_hashes(Tag.RECORD, records_of(envelopes))
    roots = map(root_of, split(leaves, envelopes)) if len(leaves) > len(envelopes) else leaves
    for envelope, root in zip(envelopes, roots, strict=True):
        header = envelope.header
        if (
            root != header.records_root
            or header.chain != Digest(chain)
            or envelope.suite != ED25519_SHA256
            or len(envelope.records) != header.record_count
        ):
            return None
    headers = [encode(envelope.header) for envelope in envelopes]
    ids = cast("list[EnvelopeId]", tagged_hashes(Tag.ENVELOPE, headers))
    return _Examined(envelopes, ids, list(map(signed_part, raws, map(len, headers))), None)


def records_of(envelopes: Iterable[Envelope]) -> list[bytes]:
    """Return the encodings of the records of all envelopes in a row."""
    return list(chained.from_iterable([envelope.records for envelope in envelopes]))


def assemble(
    raws: Sequence[bytes],
    envelopes: Sequence[Envelope],
    ids: Sequence[EnvelopeId],
    signed: Sequence[bytes],
    records: Sequence[Record | None],
) -> list[PreparedEnvelope]:
    """Return prepared envelopes from what was found out about each, and about the records of all in a row."""
    return list(map(PreparedEnvelope, raws, envelopes, ids, signed, split(records, envelopes)))


def split(values: Sequence[V], envelopes: Sequence[Envelope]) -> Iterable[tuple[V, ...]]:
    """Return what belongs to each envelope of the values that belong to the records of all in a row."""
    if len(values) == len(envelopes):
        # None is without records, so each has one.
        return zip(values, strict=True)
    ends = accumulate([len(envelope.records) for envelope in envelopes], initial=0)
    return [tuple(values[start:end]) for start, end in pairwise(ends)]
