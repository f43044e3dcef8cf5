"""Certificate identifiers: published ones are read, and nothing that differs from one is."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.check_characters import DIGITS_AND_CAPITALS, mod_37_36
from ledger.errors import CheckCharacterError
from ledger.identifiers import CreditCode
from ledger.registers.certificates import identifier
from ledger.registers.certificates.identifier import (
    ROOT,
    IdentifierParts,
    check_type_code,
    format_identifier,
    parse_identifier,
)

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "check_characters.json").read_text(encoding="utf-8")
)
PUBLISHED = "1.2.156.3005.2.11100000000013338W011.11110000000021135M.20230329701.003.Y"


@pytest.mark.parametrize("vector", VECTORS["identifiers"], ids=lambda vector: vector["origin"])
def test_a_published_identifier_is_read_and_written_alike(vector: dict[str, str]) -> None:
    """Reading and writing are inverse on identifiers of real certificates."""
    assert format_identifier(parse_identifier(vector["text"])) == vector["text"]


@pytest.mark.parametrize("vector", VECTORS["identifiers_wrong"], ids=lambda vector: vector["origin"])
def test_a_published_wrong_identifier_is_refused(vector: dict[str, str]) -> None:
    """Wrong check characters, illegal characters and issuers without a credit code are all refused."""
    with pytest.raises(CheckCharacterError):
        parse_identifier(vector["text"])


def test_the_parts_are_the_ones_between_the_dots() -> None:
    """The version is a number; everything else stays as written."""
    assert parse_identifier(PUBLISHED) == IdentifierParts(
        "11100000000013338W011", CreditCode("11110000000021135M"), "20230329701", 3
    )


def test_a_wrong_check_character_is_named_beside_the_right_one() -> None:
    """The error shows the two characters that disagree."""
    with pytest.raises(CheckCharacterError) as caught:
        parse_identifier(PUBLISHED[:-1] + "X")
    assert (caught.value.expected, caught.value.got) == ("Y", "X")


@pytest.mark.parametrize(
    ("type_code", "issuer", "serial", "version"),
    [
        ("11100000000013338X011", "11110000000021135M", "1", "001"),  # the defining body's check character
        ("11100000000013338W011", "11110000000021135N", "1", "001"),  # the issuer's check character
        ("11100000000013338W011", "11110000000021135M", "1", "000"),  # versions start at 001
        ("11100000000013338W01A", "11110000000021135M", "1", "001"),  # the type's number has a letter
        ("11100000000013338W011", "11110000000021135M", "", "001"),  # no serial
        ("11100000000013338W011", "11110000000021135M", "1" * 33, "001"),  # the serial is too long
        ("11100000000013338W011", "11110000000021135M", "1", "1000"),  # four digits of version
    ],
)
def test_a_right_check_character_does_not_save_a_wrong_part(
    type_code: str, issuer: str, serial: str, version: str
) -> None:
    """Each part is checked in itself, under an outer check character that is right."""
    check = mod_37_36(type_code + issuer + serial + version)
    with pytest.raises(CheckCharacterError):
        parse_identifier(f"{ROOT}.{type_code}.{issuer}.{serial}.{version}.{check}")


@pytest.mark.parametrize("version", [0, 1000, -1])
def test_parts_with_an_impossible_version_cannot_be_made(version: int) -> None:
    """A value that could not be written is refused before it exists."""
    with pytest.raises(CheckCharacterError):
        IdentifierParts("11100000000013338W011", CreditCode("11110000000021135M"), "1", version)


@pytest.mark.parametrize("text", ["", "11110000000021135M", "11100000000013338W0１1", "11110000000021135N001"])
def test_a_type_code_is_a_right_credit_code_and_three_ascii_digits(text: str) -> None:
    """Digits of other scripts look right and are not."""
    with pytest.raises(CheckCharacterError):
        check_type_code(text)


@given(
    st.sampled_from([vector["text"] for vector in VECTORS["credit_codes"]]),
    st.integers(0, 999),
    st.sampled_from([vector["text"] for vector in VECTORS["credit_codes"]]),
    st.text(DIGITS_AND_CAPITALS, min_size=1, max_size=32),
    st.integers(1, 999),
)
def test_what_is_written_is_read_back(body: str, number: int, issuer: str, serial: str, version: int) -> None:
    """All parts that can exist survive the way through text."""
    parts = IdentifierParts(f"{body}{number:03}", CreditCode(issuer), serial, version)
    assert parse_identifier(format_identifier(parts)) == parts


@given(st.integers(0, len(PUBLISHED) - 1), st.characters())
def test_one_changed_character_is_always_noticed(position: int, other: str) -> None:
    """The check character covers every part, and root and dots can only be themselves."""
    changed = PUBLISHED[:position] + other + PUBLISHED[position + 1 :]
    if changed != PUBLISHED:
        with pytest.raises(CheckCharacterError):
            parse_identifier(changed)


@given(st.text(max_size=100) | st.from_regex(r"1\.2\.156\.3005\.2(\.[0-9A-Z]{1,33}){5}\n?", fullmatch=True))
def test_any_text_is_an_identifier_or_a_check_character_error(text: str) -> None:
    """No other exception escapes, and no identifier has a second spelling."""
    with suppress(CheckCharacterError):
        assert format_identifier(parse_identifier(text)) == text


def parsed(text: str) -> object:
    """Return the parts of `text`, or kind and words of the error."""
    try:
        return parse_identifier(text)
    except CheckCharacterError as error:
        return type(error), str(error)


@given(
    st.sampled_from([PUBLISHED, PUBLISHED[:-1] + "0", PUBLISHED.replace("W011", "W01A")])
    | st.builds(
        lambda position, other: PUBLISHED[:position] + other + PUBLISHED[position + 1 :],
        st.integers(0, len(PUBLISHED) - 1),
        st.sampled_from(DIGITS_AND_CAPITALS + ".\n１"),
    )
    | st.from_regex(
        r"1\.2\.156\.3005\.2\.11100000000013338W011\.11110000000021135M(\.[0-9A-Z]{1,4}){3}", fullmatch=True
    )
)
def test_the_short_way_leads_where_the_long_one_does(text: str) -> None:
    """Parts and errors are the same as without what is kept of identifiers that began alike."""
    short = parsed(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identifier, "_parse_right", lambda text: None)
        assert parsed(text) == short
