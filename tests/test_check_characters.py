"""The check characters against published identifiers, and against what each standard promises to detect."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.check_characters import (
    CREDIT_CODE_ALPHABET,
    DIGITS_AND_CAPITALS,
    check_citizen_number,
    check_credit_code,
    credit_code_check_character,
    mod_37_36,
    organisation_code_check_character,
)
from ledger.errors import CheckCharacterError

VECTORS: dict[str, list[Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "check_characters.json").read_text(encoding="utf-8")
)


def vectors(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", VECTORS[name], ids=lambda vector: str(vector)[:60])


@vectors("mod_37_36")
def test_mod_37_36_gives_the_published_character(vector: dict[str, str]) -> None:
    """The character computed here is the one other people computed, the edge case p = 1 included."""
    assert mod_37_36(vector["text"]) == vector["check"]


@vectors("mod_37_36_outside")
def test_mod_37_36_names_a_character_outside_its_alphabet(vector: str) -> None:
    """A text with any other character has no check character, whatever follows it."""
    with pytest.raises(CheckCharacterError) as caught:
        mod_37_36(vector + "0" * 40)
    assert caught.value.got == repr(next(c for c in vector if c not in DIGITS_AND_CAPITALS))


@given(st.text(DIGITS_AND_CAPITALS, max_size=80))
def test_mod_37_36_is_the_recursion_of_the_standard(text: str) -> None:
    """The tables give what the recursion written out in ISO/IEC 7064 gives."""
    p = 36
    for character in text:
        t = (p + int(character, 36)) % 36
        p = 2 * (t if t else 36) % 37
    assert (p + int(mod_37_36(text), 36)) % 36 == 1


@given(st.text(DIGITS_AND_CAPITALS, min_size=1, max_size=80), st.data())
def test_mod_37_36_detects_every_single_substitution(text: str, data: st.DataObject) -> None:
    """One wrong character anywhere changes the check character."""
    position = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(DIGITS_AND_CAPITALS).filter(lambda c: c != text[position]))
    assert mod_37_36(text) != mod_37_36(text[:position] + other + text[position + 1 :])


@vectors("credit_codes")
def test_a_published_credit_code_is_right_and_any_other_last_character_wrong(vector: dict[str, str]) -> None:
    """Both check characters of real codes agree with the standard, and the error names the right one."""
    code = vector["text"]
    assert check_credit_code(code) == code
    assert credit_code_check_character(code[:17]) == code[17]
    assert organisation_code_check_character(code[8:16]) == code[16]
    for other in set(CREDIT_CODE_ALPHABET) - {code[17]}:
        with pytest.raises(CheckCharacterError) as caught:
            check_credit_code(code[:17] + other)
        assert (caught.value.expected, caught.value.got) == (code[17], other)


@vectors("credit_codes_wrong")
def test_a_wrong_credit_code_is_refused_for_its_reason(vector: dict[str, str]) -> None:
    """The error says what the standard expects in the place that is wrong."""
    with pytest.raises(CheckCharacterError) as caught:
        check_credit_code(vector["text"])
    assert caught.value.expected == vector["expected"]


@given(st.sampled_from([vector["text"] for vector in VECTORS["credit_codes"]]), st.data())
def test_a_credit_code_with_any_one_character_changed_is_refused(code: str, data: st.DataObject) -> None:
    """Modulus 31 is prime and no weight is 0, so that every single substitution shows."""
    position = data.draw(st.integers(0, 17))
    other = data.draw(st.characters().filter(lambda c: c != code[position]))
    with pytest.raises(CheckCharacterError):
        check_credit_code(code[:position] + other + code[position + 1 :])


@given(st.text(max_size=20) | st.text(CREDIT_CODE_ALPHABET, min_size=18, max_size=18))
def test_no_text_makes_the_credit_code_check_fail_in_another_way(text: str) -> None:
    """Whatever is sent, the answer is the code itself or a `CheckCharacterError`."""
    with suppress(CheckCharacterError):
        assert check_credit_code(text) == text


def test_a_credit_code_whose_region_is_no_number_is_refused() -> None:
    """A right check character does not make up for letters in the region."""
    first17 = "11A10000000021135"
    with pytest.raises(CheckCharacterError) as caught:
        check_credit_code(first17 + credit_code_check_character(first17))
    assert caught.value.expected == "6 digits"


def test_a_credit_code_around_a_wrong_organisation_code_is_refused() -> None:
    """The inner check character is checked as well as the outer one."""
    first17 = "11110000000021136"
    with pytest.raises(CheckCharacterError) as caught:
        check_credit_code(first17 + credit_code_check_character(first17))
    assert (caught.value.expected, caught.value.got) == ("5", "6")


@vectors("organisation_codes")
def test_organisation_codes_end_in_the_published_character(vector: dict[str, str]) -> None:
    """The values 10 and 11 are written X and 0."""
    assert organisation_code_check_character(vector["first8"]) == vector["check"]


@pytest.mark.parametrize("first8", ["M000100", "M000100YY", "m000100Y", "M000100-"])
def test_a_text_that_is_no_organisation_code_has_no_check_character(first8: str) -> None:
    """Length and alphabet are checked before anything is computed."""
    with pytest.raises(CheckCharacterError):
        organisation_code_check_character(first8)


@vectors("citizen_numbers")
def test_a_right_citizen_number_passes_and_any_other_last_character_does_not(vector: dict[str, str]) -> None:
    """Exactly one of the eleven characters fits, and the error names it."""
    number = vector["text"]
    check_citizen_number(number)
    for other in set("0123456789X") - {number[17]}:
        with pytest.raises(CheckCharacterError) as caught:
            check_citizen_number(number[:17] + other)
        assert (caught.value.expected, caught.value.got) == (number[17], other)


@vectors("citizen_numbers_wrong")
def test_a_wrong_citizen_number_is_refused_without_being_repeated(vector: dict[str, str]) -> None:
    """The error gives the reason, but never the number: it is personal data."""
    with pytest.raises(CheckCharacterError) as caught:
        check_citizen_number(vector["text"])
    assert caught.value.expected == vector["expected"]
    assert vector["text"] not in str(caught.value)
