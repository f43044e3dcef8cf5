"""What the native core calls surely canonical is what decoding and encoding again finds canonical."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest

from ledger.blocks.envelope import Envelope, seal
from ledger.crypto.backend import installed_library
from ledger.crypto.hashing import Tag, sha256
from ledger.crypto.merkle import tagged_leaf_prefix
from ledger.encoding import Canonical, Decoder, _has_one_spelling
from ledger.errors import DecodeError, InvalidInputError
from ledger.identifiers import ChainId, Height, KeyId
from ledger.registers import RULEBOOK
from scenarios.beijing.corpus import make_corpus
from tests.state.small_ledger import HOUSING
from tests.validation.respelling import nearly

CHAIN = ChainId(sha256(b"a chain"))
LIBRARY, PROBLEM = installed_library()
needs_library = pytest.mark.skipif(LIBRARY is None, reason=f"needs the native core: {PROBLEM}")


class Unsigned:
    """Stands for a signer where nobody verifies."""

    public = bytes(32)

    def sign(self, message: bytes) -> bytes:
        """Return what is no signature."""
        return bytes(64)


def sealed(records: Sequence[bytes]) -> bytes:
    """Return the bytes of an envelope with these records."""
    return seal(
        records,
        chain=CHAIN,
        department=HOUSING,
        key_id=KeyId(1),
        sequence=1,
        valid_until=Height(10),
        signer=Unsigned(),
    ).encode()


def in_doubt(records: Sequence[bytes]) -> list[int]:
    """Return the positions of records that the native core is not sure of."""
    assert LIBRARY is not None
    envelopes = [sealed(records[start : start + 256]) for start in range(0, len(records), 256)]
    found = LIBRARY.examine_envelopes(envelopes, CHAIN, Tag.ENVELOPE.value, tagged_leaf_prefix(Tag.RECORD))
    assert found is not None
    return found[2]


def decoded_or_none(decode: Callable[[bytes], object], raw: bytes) -> object:
    """Return what decoding gives, or None where it raises."""
    try:
        return decode(raw)
    except DecodeError:
        return None


def compare_records(seed: str, count: int) -> tuple[int, int]:
    """Decode `count` damaged records in both ways, which must agree; return how many were values, and sure ones."""
    rng = random.Random(seed)
    corpus = make_corpus(departments=3, records_per_department=24, state_keys=100)
    models = [raw for own in corpus.records.values() for raw in own]
    values = sure = 0
    for _ in range(0, count, 4_096):
        records = [nearly(rng.choice(models), rng) for _ in range(4_096)]
        doubtful = set(in_doubt(records))
        expected = [decoded_or_none(RULEBOOK.decode_record, raw) for raw in records]
        # Alone each, because one that is none makes all of a batch go the long way.
        assert [RULEBOOK.decode_records([raw], [0] if at in doubtful else []) for at, raw in enumerate(records)] == [
            [record] for record in expected
        ]
        values += sum(record is not None for record in expected)
        sure += len(records) - len(doubtful)
    return values, sure


@needs_library
def test_whoever_skips_the_sure_ones_decodes_the_same_records() -> None:
    """Over damaged and respelled records of every kind: the same values, and None for the same ones."""
    values, sure = compare_records("respelled", 20_000)
    assert values > 2_000
    assert sure > values // 2


def compare_envelopes(seed: str, count: int) -> int:
    """Examine `count` damaged envelopes natively, and by types and encoding; return how many are accepted."""
    rng = random.Random(seed)
    models = [sealed([b"\x92\xa1a\x01"]), sealed([b"noise", b"", bytes(300)] * 6)]
    decoder, accepted = Decoder(Envelope), 0
    assert LIBRARY is not None
    for _ in range(count):
        raw = nearly(rng.choice(models), rng)
        found = LIBRARY.examine_envelopes([raw], CHAIN, Tag.ENVELOPE.value, tagged_leaf_prefix(Tag.RECORD))
        natively = None if found is None else decoder.decode_all([raw], doubtful=())
        envelope = decoded_or_none(decoder.decode, raw)
        if isinstance(envelope, Envelope):
            try:
                envelope.check_records()
            except InvalidInputError:
                envelope = None
        if isinstance(envelope, Envelope) and envelope.header.chain == CHAIN and envelope.header.department.isascii():
            assert natively == [envelope]
            assert found is not None
            assert found[0] == [envelope.header.id]
            accepted += 1
        else:
            assert natively is None
    return accepted


@needs_library
def test_envelopes_are_taken_apart_as_their_types_say() -> None:
    """Over damaged and respelled envelopes: the same are accepted, with the same ids; the rest is looked at again."""
    assert compare_envelopes("respelled", 20_000) > 2_000


@needs_library
def test_characters_that_are_sure_are_inert_in_normalisation() -> None:
    """No decomposition, no combining class, never the second half of a composition: form C cannot change any."""
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    texts = [character.encode() for character in characters]
    unsure = set(in_doubt([bytes([0xA0 | len(text)]) + text for text in texts]))
    sure = {character for at, character in enumerate(characters) if at not in unsure}
    assert len(sure) > 20_000
    second_halves = {
        chr(int(parts[1], 16))
        for character in characters
        if len(parts := unicodedata.decomposition(character).split()) == 2 and not parts[0].startswith("<")
    }
    assert not sure & second_halves
    assert not any(map(unicodedata.combining, sure))
    assert all(unicodedata.normalize("NFD", character) == character for character in sure)


class Bare(Canonical, tag="bare", kw_only=True):
    """Has no field of its own, so that its version may be left out."""


class Optional(Canonical, tag="optional", kw_only=True):
    """Its last field may be left out."""

    number: int = 0


class Measured(Canonical, tag="measured", kw_only=True):
    """Holds what is no plain item."""

    length: float


class Around(Canonical, tag="around", kw_only=True):
    """Holds such a value further inside."""

    size_max: ClassVar[int] = 100
    inner: tuple[Bare | None, ...]
    number: int


@pytest.mark.parametrize("kind", [Bare, Optional, Measured, Around])
def test_types_with_two_spellings_are_always_encoded_again(kind: type[Canonical]) -> None:
    """Whatever is said about their bytes."""
    assert not _has_one_spelling(kind)
    assert Decoder(Bare).decode_all([b"\x91\xa4bare"], doubtful=()) is None
    assert Decoder(Bare).decode_all([b"\x92\xa4bare\x01"], doubtful=()) == [Bare()]


def test_every_record_and_the_envelope_have_one_spelling() -> None:
    """So that nothing of a block is encoded again where the native core is."""
    assert _has_one_spelling(Envelope)
    assert all(map(_has_one_spelling, RULEBOOK.rules))
