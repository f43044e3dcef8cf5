"""The check characters of the identifiers in this ledger: one function a standard, none of which looks anything up.

Each standard weighs the characters of a text so that a wrong one, or a swap of two neighbours, changes the character at
the end: always or nearly always, because organisation codes have 36 characters for the 11 values of their check. A
right check character proves only that a text was typed correctly, never that the organisation, person or certificate
exists.

All functions are on the path of execution. They work on ASCII bytes with tables made once at import, and a table's
entry for a byte outside the alphabet is what reports that byte, so that no character is looked at twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from operator import mul
from typing import Any, TypeAlias

from ledger.errors import CheckCharacterError
from ledger.identifiers import CreditCode

DIGITS_AND_CAPITALS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The alphabet of ISO/IEC 7064 MOD 37,36 and of organisation codes; a character's value is its position."""

CREDIT_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""31 characters, without I, O, S, V and Z, which are easily misread. Source: GB 32100-2015."""

_OUTSIDE = 0xFF
"""Value of a byte that is in no alphabet."""


def _value_table(alphabet: str) -> bytes:
    """Return the 256-byte table for `bytes.translate` from ASCII to values, `_OUTSIDE` where there is no value."""
    table = bytearray([_OUTSIDE]) * 256
    for value, character in enumerate(alphabet):
        table[ord(character)] = value
    return bytes(table)


def _ascii(text: str) -> bytes:
    """Return one byte a character; "?", which is in no alphabet here, for whatever is not ASCII."""
    return text.encode("ascii", "replace")


def _values(what: str, text: str, table: bytes) -> bytes:
    """Return the values of the characters of `text`, or raise for the first that is outside the alphabet."""
    values = _ascii(text).translate(table)
    if _OUTSIDE in values:
        position = values.index(_OUTSIDE)
        raise CheckCharacterError(
            what, expected="a character of its alphabet", got=f"{text[position]!r} at position {position + 1}"
        )
    return values


def _require_length(what: str, text: str, length: int) -> None:
    if len(text) != length:
        raise CheckCharacterError(what, expected=f"{length} characters", got=f"{len(text)}")


def _weigh(values: Iterable[int], weights: Iterable[int]) -> int:
    return sum(map(mul, values, weights))


# ISO/IEC 7064 MOD 37,36, also published as GB/T 17710-2008: any length, one check character.


CheckState: TypeAlias = "list[Any]"
"""How far the recursion has come after a text: entry `byte` is the state after one more character."""

_CHECK = 256
"""The entry after those of all bytes is the check character that belongs after the text; None in the lost state."""


def _mod_37_36_start() -> CheckState:
    """Return the state before any text, from which all others can be reached; the standard's p is 36 there.

    p runs from 1 to 36. Each byte outside the alphabet leads to the lost state, and from there each byte does.
    """
    lost: CheckState = []
    lost += [lost] * 256 + [None]
    # The modulus by 36 turns the 36 of p = 1 into 0; a plain 37 - p would run out of the alphabet there.
    states = {p: [lost] * 256 + [DIGITS_AND_CAPITALS[(37 - p) % 36]] for p in range(1, 37)}
    for p, state in states.items():
        for value, character in enumerate(DIGITS_AND_CAPITALS):
            # Never 0: 37 is prime, and what is doubled runs from 1 to 36.
            state[ord(character)] = states[2 * ((p + value) % 36 or 36) % 37]
    return states[36]


_MOD_37_36_START = _mod_37_36_start()


def mod_37_36(text: str) -> str:
    """Return the check character, one of 0-9A-Z, that belongs after `text`.

    Args:
        text: Characters of 0-9A-Z, any number of them, without the check character.

    Raises:
        CheckCharacterError: A character is not one of 0-9A-Z.

    Source: ISO/IEC 7064:2003, hybrid system MOD 37,36; GB/T 17710-2008.
    """
    check = mod_37_36_after(text, _MOD_37_36_START)
    if check is None:
        outside = next(character for character in text if character not in DIGITS_AND_CAPITALS)
        raise CheckCharacterError("MOD 37,36 text", expected="only 0-9 and A-Z", got=repr(outside))
    return check


def mod_37_36_state(text: str) -> CheckState:
    """Return how far the recursion has come after `text`, for texts that begin alike: their beginning counts once."""
    state = _MOD_37_36_START
    for byte in text.encode("ascii", "replace"):
        state = state[byte]
    return state


def mod_37_36_after(text: str, state: CheckState) -> str | None:
    """Return the check character after `text`, which follows on the text that `mod_37_36_state` gave `state` for.

    None if a character of either is not of 0-9A-Z.
    """
    for byte in text.encode("ascii", "replace"):
        state = state[byte]
    check: str | None = state[_CHECK]
    return check


# GB 11714: organisation codes, 8 characters and a check character.

_ORGANISATION_VALUES = _value_table(DIGITS_AND_CAPITALS)
_ORGANISATION_WEIGHTS = bytes((3, 7, 9, 10, 5, 8, 4, 2))
_ORGANISATION_CHECK = "0X987654321"
"""By the weighed sum mod 11: 11 minus it, with X for 10 and 0 for 11."""


def organisation_code_check_character(first8: str) -> str:
    """Return the check character, a digit or X, of an organisation code.

    Args:
        first8: The code's first 8 characters, of 0-9A-Z.

    Raises:
        CheckCharacterError: There are not 8 characters, or one is not of 0-9A-Z.

    Source: GB 11714-1997.
    """
    _require_length("organisation code without check character", first8, 8)
    values = _values("organisation code", first8, _ORGANISATION_VALUES)
    return _ORGANISATION_CHECK[_weigh(values, _ORGANISATION_WEIGHTS) % 11]


# GB 32100: unified social credit codes, 18 characters.

_CREDIT_VALUES = _value_table(CREDIT_CODE_ALPHABET)
_CREDIT_WEIGHTS = bytes(pow(3, position, 31) for position in range(17))


def credit_code_check_character(first17: str) -> str:
    """Return the last character of a unified social credit code.

    Args:
        first17: The first 17 characters, all of `CREDIT_CODE_ALPHABET`. The organisation code's own check character
            among them (position 17) is taken as it stands.

    Raises:
        CheckCharacterError: There are not 17 characters, or one is outside the alphabet.

    Source: GB 32100-2015; the weight of position i is 3^(i-1) mod 31.
    """
    _require_length("credit code without check character", first17, 17)
    return _credit_check(_values("credit code", first17, _CREDIT_VALUES))


def _credit_check(values: bytes) -> str:
    # The weights end at position 17, and with them the sum, whether or not a check character follows.
    return CREDIT_CODE_ALPHABET[-_weigh(values, _CREDIT_WEIGHTS) % 31]


def check_credit_code(text: str) -> CreditCode:
    """Check a unified social credit code and return it under its own type.

    The parts: registration authority (1 character), kind of body (1), region (6 digits), organisation code (8 and its
    own check character), check character. Whether authority, kind, region and organisation exist is not checked here.

    Raises:
        CheckCharacterError: `text` is not 18 characters of the alphabet with digits for the region, or one of the two
            check characters is another. The outer one is reported first, because it covers the inner one.

    Source: GB 32100-2015, with GB 11714-1997 for positions 9 to 17.
    """
    _require_length("credit code", text, 18)
    if (check := _credit_check(_values("credit code", text, _CREDIT_VALUES))) != text[17]:
        raise CheckCharacterError("credit code's check character", expected=check, got=text[17])
    if not text[2:8].isdigit():
        raise CheckCharacterError("credit code's region", expected="6 digits", got=text[2:8])
    if (check := organisation_code_check_character(text[8:16])) != text[16]:
        raise CheckCharacterError("credit code's organisation check character", expected=check, got=text[16])
    return CreditCode(text)


# GB 11643: citizen numbers, 17 digits and a check character.

_DIGIT_VALUES = _value_table("0123456789")
_CITIZEN_WEIGHTS = bytes(pow(2, 17 - position, 11) for position in range(17))
_CITIZEN_CHECK = "10X98765432"


def check_citizen_number(text: str) -> None:
    """Check a citizen number's shape, date of birth and check character.

    The parts: region (6 digits), date of birth (YYYYMMDD), sequence (3, odd for men), check character. Old regions stay
    valid in the numbers of those who were born there, so that regions are not looked up. Errors name at most the check
    character: the number itself is personal data and belongs in no log.

    Raises:
        CheckCharacterError: `text` is not 17 digits and a check character, the day of birth is in no calendar, or the
            check character is another.

    Source: GB 11643-1999; the check character is ISO/IEC 7064 MOD 11-2.
    """
    _require_length("citizen number", text, 18)
    values = _ascii(text[:17]).translate(_DIGIT_VALUES)
    if _OUTSIDE in values or text[17] not in _CITIZEN_CHECK:
        raise CheckCharacterError("citizen number", expected="17 digits, then a digit or X", got="another character")
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        raise CheckCharacterError("citizen number", expected="a date of birth", got="no day of the calendar") from None
    if (check := _CITIZEN_CHECK[_weigh(values, _CITIZEN_WEIGHTS) % 11]) != text[17]:
        raise CheckCharacterError("citizen number's check character", expected=check, got=text[17])
