"""The stateless stage: what makes an envelope or a block invalid, and what is left to execution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.block import BlockHeader
from ledger.blocks.envelope import Envelope, RecordsMismatchError, seal
from ledger.blocks.log import EnvelopeEntry
from ledger.blocks.record import Record
from ledger.crypto.hashing import sha256
from ledger.encoding import decode
from ledger.errors import DecodeError, InvalidInputError, OversizeError
from ledger.identifiers import ChainId, Height, KeyId
from ledger.limits import ENVELOPE_BYTES_MAX
from ledger.registers.members.records import RevokeEnvelopeKey
from ledger.validation.envelopes import PayloadMismatchError, WrongChainError, prepare_block, prepare_envelope
from tests.headers import uncertified_header
from tests.state.small_ledger import HOUSING, key_of

CHAIN = ChainId(sha256(b"a chain"))
OTHER_CHAIN = ChainId(sha256(b"another chain"))
RECORD = RevokeEnvelopeKey(key_id=1, reason="because")


def sealed(*records: Record | bytes, chain: ChainId = CHAIN, sequence: int = 1) -> bytes:
    """Return an envelope's bytes."""
    return seal(
        [record if isinstance(record, bytes) else record.encode() for record in records],
        chain=chain,
        department=HOUSING,
        key_id=KeyId(1),
        sequence=sequence,
        valid_until=Height(10),
        signer=key_of(HOUSING, "envelope/1"),
    ).encode()


def header_over(payload: list[bytes], **changes: object) -> BlockHeader:
    """Return the header of a first block over these envelopes."""
    header = uncertified_header(CHAIN, payload, parent=CHAIN, height=1, time_ms=1)
    return replace(header, **changes)  # type: ignore[arg-type]


def test_a_prepared_envelope_holds_what_its_bytes_say() -> None:
    """Id, signed part and decoded records; a record that nobody knows is None and spoils nothing."""
    raw = sealed(RECORD, b"noise", RECORD)
    prepared = prepare_envelope(raw, CHAIN)
    assert prepared.raw == raw
    assert prepared.envelope.encode() == raw
    assert prepared.id == prepared.envelope.header.id
    entry = EnvelopeEntry.of(prepared.envelope, b"\x00").encode()
    assert EnvelopeEntry.encode_all([prepared.signed], [b"\x00"]) == [entry]
    assert prepared.records == (RECORD, None, RECORD)


def test_the_id_does_not_depend_on_the_signature() -> None:
    """A second signature over the same header is no second envelope."""
    envelope = decode(Envelope, sealed(RECORD))
    again = replace(envelope, signature=bytes(64))
    assert prepare_envelope(again.encode(), CHAIN).id == prepare_envelope(envelope.encode(), CHAIN).id


def test_an_envelope_for_another_network_is_refused() -> None:
    """The error names both chains and has a stable code."""
    with pytest.raises(WrongChainError, match=f"{OTHER_CHAIN.hex()}, this is chain {CHAIN.hex()}") as caught:
        prepare_envelope(sealed(RECORD, chain=OTHER_CHAIN), CHAIN)
    assert caught.value.code == "wrong_chain"


def test_other_records_than_those_signed_are_refused() -> None:
    """One swapped, one left out, one added, or a suite that nobody knows."""
    envelope = decode(Envelope, sealed(RECORD, b"second"))
    for spoilt in (
        replace(envelope, records=envelope.records[::-1]),
        replace(envelope, records=envelope.records[:1]),
        replace(envelope, records=(*envelope.records, b"third")),
        replace(envelope, suite=2),
    ):
        with pytest.raises(RecordsMismatchError):
            prepare_envelope(spoilt.encode(), CHAIN)


def test_an_oversize_envelope_is_not_looked_at() -> None:
    """One byte beyond the bound is enough."""
    with pytest.raises(OversizeError, match=str(ENVELOPE_BYTES_MAX)):
        prepare_envelope(bytes(ENVELOPE_BYTES_MAX + 1), CHAIN)


@given(st.binary(max_size=400))
def test_any_bytes_give_an_envelope_or_a_decode_error(raw: bytes) -> None:
    """Nothing else escapes."""
    with pytest.raises(DecodeError):
        prepare_envelope(raw, CHAIN)


GOOD = sealed(RECORD, b"noise")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_turned_byte_is_refused_or_gives_another_envelope(position: int, flip: int) -> None:
    """No two spellings give one value: what still prepares encodes to the turned bytes."""
    turned = bytearray(GOOD)
    turned[position] ^= flip
    try:
        prepared = prepare_envelope(bytes(turned), CHAIN)
    except InvalidInputError:
        return
    assert prepared.envelope.encode() == bytes(turned)


def test_a_block_is_its_envelopes_in_their_order() -> None:
    """Each is prepared; an empty block is a block."""
    payload = [sealed(RECORD), sealed(RECORD, sequence=2)]
    header = header_over(payload)
    block = prepare_block(header.id, header, payload)
    assert (block.id, block.header) == (header.id, header)
    assert [prepared.raw for prepared in block.envelopes] == payload
    empty = header_over([])
    assert prepare_block(empty.id, empty, []).envelopes == ()


def test_a_payload_that_is_not_the_headers_is_refused() -> None:
    """Another order, another count, another root: the header commits to all of it."""
    payload = [sealed(RECORD), sealed(RECORD, sequence=2)]
    header = header_over(payload)
    for other in (payload[::-1], payload[:1], [*payload, payload[0]]):
        with pytest.raises(PayloadMismatchError, match="the header states"):
            prepare_block(header.id, header, other)


def test_one_bad_envelope_makes_the_block_invalid() -> None:
    """What needs no state to be seen is the proposer's fault."""
    for bad in (b"noise", sealed(RECORD, chain=OTHER_CHAIN)):
        header = header_over([bad])
        with pytest.raises(InvalidInputError):
            prepare_block(header.id, header, [bad])


def test_what_was_prepared_on_admission_is_taken_as_it_is() -> None:
    """The same object comes back for the same bytes, and nothing for others; roots are compared all the same."""
    raw, other = sealed(RECORD), sealed(RECORD, sequence=2)
    prepared = prepare_envelope(raw, CHAIN)
    header = header_over([other, raw])
    block = prepare_block(header.id, header, [other, raw], known={raw: prepared})
    assert block.envelopes[1] is prepared
    assert block.envelopes[0].raw == other
    with pytest.raises(PayloadMismatchError):
        prepare_block(header.id, header, [raw, other], known={raw: prepared})
