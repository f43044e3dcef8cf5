"""What is decoded and hashed for many at once is what is decoded and hashed for each alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks.envelope import seal
from ledger.blocks.log import EnvelopeEntry
from ledger.crypto.hashing import Tag, sha256, tagged_hash, tagged_hashes
from ledger.crypto.merkle import leaf_hash, leaf_hashes, tagged_leaf_hash, tagged_leaf_hashes
from ledger.encoding import Canonical, Decoder
from ledger.errors import DecodeError, InvalidInputError
from ledger.identifiers import ChainId, Height, KeyId
from ledger.registers import RULEBOOK
from ledger.registers.members.records import RevokeEnvelopeKey
from ledger.state.prepared import PreparedEnvelope
from ledger.validation.envelopes import prepare_envelope, prepare_envelopes
from tests.state.small_ledger import HOUSING, key_of

CHAIN = ChainId(sha256(b"a chain"))

TEXT = st.text(max_size=6) | st.sampled_from(["é", "e\u0301", "\u0301", "名称", "\n\u0301", "\u1100\u1161", "\uac00"])


class Line(Canonical, tag="line", kw_only=True):
    """Text inside text."""

    text: str
    number: int


class Page(Canonical, tag="page", kw_only=True):
    """Every way in which a value can hold text."""

    title: str
    digest: bytes
    lines: tuple[Line, ...]
    first: Line | None
    note: str | None


PAGES = Decoder(Page)

lines = st.builds(Line, text=TEXT, number=st.integers(0, 9))
pages = st.builds(
    Page,
    title=TEXT,
    digest=st.binary(max_size=8),
    lines=st.lists(lines, max_size=3).map(tuple),
    first=st.none() | lines,
    note=st.none() | TEXT,
)


def texts_of(value: Any) -> list[str]:
    """Return all texts of a value, by a walk over what it would be without types."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts_of(item)]
    return []


def alone(raws: list[bytes]) -> list[Page] | None:
    """Return what decoding one by one gives; None if it fails for any."""
    try:
        return [PAGES.decode(raw) for raw in raws]
    except DecodeError:
        return None


@given(pages)
def test_text_is_normal_wherever_it_stands(page: Page) -> None:
    """A value is refused exactly if one of its texts, at any depth, is not in form C."""
    raw = page.encode()
    normal = all(unicodedata.is_normalized("NFC", text) for text in texts_of(msgspec.msgpack.decode(raw)))
    assert (alone([raw]) == [page]) is normal


@given(st.lists(pages.map(Canonical.encode) | st.binary(max_size=20), max_size=4))
def test_many_values_decode_as_each_does(raws: list[bytes]) -> None:
    """All of them at once, or None if one is not what it should be."""
    assert PAGES.decode_all(raws) == alone(raws)


@given(st.lists(pages.map(Canonical.encode), min_size=1, max_size=3), st.data())
def test_a_turned_byte_among_many_is_seen(raws: list[bytes], data: st.DataObject) -> None:
    """Wherever it is, the verdict is that of decoding one by one: no other spelling, no bytes left over."""
    which = data.draw(st.integers(0, len(raws) - 1))
    turned = bytearray(raws[which])
    turned[data.draw(st.integers(0, len(turned) - 1))] ^= data.draw(st.integers(1, 255))
    raws[which] = bytes(turned) + data.draw(st.sampled_from([b"", b"\x00", b"\xc0"]))
    assert PAGES.decode_all(raws) == alone(raws)


def test_values_cannot_lend_each_other_bytes() -> None:
    """Two values cut at another place are no two values, although their bytes in a row are the same."""
    first, second = (Line(text=text, number=1).encode() for text in ("ab", "c"))
    decoder = Decoder(Line)
    assert decoder.decode_all([first, second]) is not None
    assert decoder.decode_all([first + second[:2], second[2:]]) is None


RECORDS = [RevokeEnvelopeKey(key_id=number, reason=reason).encode() for number, reason in ((1, "因故"), (2, "lost"))]
ANY_RECORD = st.sampled_from(RECORDS) | st.binary(max_size=12) | st.just(bytes(65_537))


@given(st.lists(ANY_RECORD, max_size=4))
def test_many_records_decode_as_each_does(raws: list[bytes]) -> None:
    """A record that is none, or is too long, is None and takes no other with it."""

    def record_or_none(raw: bytes) -> object:
        try:
            return RULEBOOK.decode_record(raw)
        except DecodeError:
            return None

    assert RULEBOOK.decode_records(raws) == [record_or_none(raw) for raw in raws]


def sealed(records: tuple[bytes, ...], sequence: int) -> bytes:
    """Return an envelope's bytes."""
    return seal(
        records,
        chain=CHAIN,
        department=HOUSING,
        key_id=KeyId(1),
        sequence=sequence,
        valid_until=Height(10),
        signer=key_of(HOUSING, "envelope/1"),
    ).encode()


ENVELOPES = [
    sealed((RECORDS[0],), 1),
    sealed((RECORDS[0], b"noise", RECORDS[1]), 1 << 40),
    sealed((RECORDS[1],) * 256, 3),
]


def outcome(prepare: Callable[[], list[PreparedEnvelope]]) -> object:
    """Return what it returns, or the kind and the words of what it raises."""
    try:
        return prepare()
    except InvalidInputError as error:
        return type(error), str(error)


@given(st.lists(st.sampled_from(ENVELOPES), min_size=1, max_size=3), st.data())
def test_a_payload_is_prepared_as_each_envelope_is(raws: list[bytes], data: st.DataObject) -> None:
    """The same values in the same order, or the same refusal in the same words; whatever byte is turned."""
    if data.draw(st.booleans()):
        which = data.draw(st.integers(0, len(raws) - 1))
        turned = bytearray(raws[which])
        turned[data.draw(st.integers(0, min(300, len(turned)) - 1))] ^= data.draw(st.integers(1, 255))
        raws[which] = bytes(turned)
    assert outcome(lambda: prepare_envelopes(raws, CHAIN)) == outcome(
        lambda: [prepare_envelope(r, CHAIN) for r in raws]
    )


@given(st.sampled_from(ENVELOPES), st.binary(min_size=1, max_size=256))
def test_the_log_repeats_an_envelope_without_encoding_it(raw: bytes, results: bytes) -> None:
    """The bytes copied from the envelope are those that encoding the entry gives."""
    prepared = prepare_envelope(raw, CHAIN)
    entry = EnvelopeEntry.of(prepared.envelope, results).encode()
    assert EnvelopeEntry.encode_all([prepared.signed, prepared.signed], [results, results]) == [entry, entry]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_many_hashes_are_the_hashes_of_each(values: list[bytes]) -> None:
    """Under a tag, as leaves under a tag, and as leaves of the log."""
    assert tagged_hashes(Tag.ENVELOPE, values) == [tagged_hash(Tag.ENVELOPE, value) for value in values]
    assert tagged_leaf_hashes(Tag.RECORD, values) == [tagged_leaf_hash(Tag.RECORD, value) for value in values]
    assert leaf_hashes(values) == [leaf_hash(value) for value in values]
