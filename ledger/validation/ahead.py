"""Stateless work done ahead, by whoever has a core to spare, and taken over where the state is.

What is found about a block says nothing that its bytes and the keys asked about do not say already, so it can be made
in another process and come back small: the hashes, which records are none, and which signatures are valid. The one who
takes it over builds the values again, without comparing or hashing anything a second time.

Keys are those known when the work is done. Execution asks for the keys as of the parent block, and verifies for itself
whatever was not verified under exactly those.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

from ledger.blocks.block import Block
from ledger.blocks.envelope import SUITE_AND_SIGNATURE_SIZE, signed_part
from ledger.encoding import Decoder, decode
from ledger.identifiers import BlockId, EnvelopeId
from ledger.registers import RULEBOOK
from ledger.registers.register import Rulebook
from ledger.state.prepared import PreparedBlock, VerifyBatch, key_names
from ledger.validation.envelopes import assemble, parse_envelopes, prepare_block, records_of

SigningKeys = Mapping[tuple[str, int], bytes]
"""Public keys by credit code and key id."""


class Findings(NamedTuple):
    """What `examine` has found out about the bytes of a block."""

    block: BlockId
    ids: tuple[EnvelopeId, ...]
    header_sizes: tuple[int, ...]
    """Bytes of each envelope's header."""
    not_records: tuple[int, ...]
    """Which of all records, counted through, are the canonical form of no known kind."""
    verified: tuple[bytes | None, ...]
    """As in `PreparedBlock`."""


def prepare_ahead(raw: bytes, keys: SigningKeys, verify: VerifyBatch, rulebook: Rulebook = RULEBOOK) -> PreparedBlock:
    """Return the block whose bytes are `raw`, decoded, compared with its hashes, and its signatures verified.

    Raises:
        InvalidInputError: As for `prepare_block`. That a signature fails makes no block invalid here.
    """
    block = decode(Block, raw)
    prepared = prepare_block(block.header.id, block.header, block.payload, rulebook=rulebook)
    return prepared._replace(verified=verified_under(prepared, keys, verify))


def verified_under(block: PreparedBlock, keys: SigningKeys, verify: VerifyBatch) -> tuple[bytes | None, ...]:
    """Return for each envelope the key of `keys` that its signature is valid under, or None."""
    envelopes = block.envelopes
    publics = list(map(keys.get, key_names(envelopes)))
    items = [
        (public, prepared.id, prepared.envelope.signature)
        for public, prepared in zip(publics, envelopes, strict=True)
        if public is not None
    ]
    verdicts = verify(items) if items else []
    if len(verdicts) == len(publics) and all(verdicts):
        return tuple(publics)
    left = iter(verdicts)
    return tuple([public if public is not None and next(left) else None for public in publics])


def findings_of(block: PreparedBlock) -> Findings:
    """Return what of a block prepared ahead must be sent to let `take_over` build it again."""
    records = chain.from_iterable([envelope.records for envelope in block.envelopes])
    return Findings(
        block.id,
        tuple([envelope.id for envelope in block.envelopes]),
        tuple([len(envelope.signed) - SUITE_AND_SIGNATURE_SIZE for envelope in block.envelopes]),
        tuple([number for number, record in enumerate(records) if record is None]),
        block.verified,
    )


def take_over(raw: bytes, findings: Findings, rulebook: Rulebook = RULEBOOK) -> PreparedBlock:
    """Return the block that `findings` are about, as `prepare_ahead` would.

    Args:
        raw: The very bytes that were examined: nothing about them is checked again.
        findings: Made by this program on this machine; nobody else is believed.
    """
    (block,) = _blocks.parse_all([raw])
    envelopes = parse_envelopes(block.payload)
    records = rulebook.parse_records(records_of(envelopes), frozenset(findings.not_records))
    signed = list(map(signed_part, block.payload, findings.header_sizes))
    prepared = assemble(block.payload, envelopes, findings.ids, signed, records)
    return PreparedBlock(findings.block, block.header, tuple(prepared), findings.verified)


_blocks = Decoder(Block)
