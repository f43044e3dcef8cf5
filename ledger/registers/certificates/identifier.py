"""The identifier of an e-certificate, as GB/T 36904-2018 writes it.

    1.2.156.3005.2 . 11100000000013338W011 . 11110000000021135M . 20230329701 . 003 . Y
    root             type code               issuer               serial        |     check character
                                                                                version

(without the spaces). A type code is the credit code of the body that defines the type, then three digits. The check
character is ISO/IEC 7064 MOD 37,36 over type code, issuer, serial and version, without the root and the dots.

Identifiers in the wild also name issuers and types that are no credit codes. On this ledger every issuer is a member,
known by its credit code, so that they are refused here; `ledger.check_characters.mod_37_36` still computes their check
character.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Self

from ledger.check_characters import CheckState, check_credit_code, mod_37_36, mod_37_36_after, mod_37_36_state
from ledger.errors import CheckCharacterError
from ledger.identifiers import CertificateIdentifier, CreditCode

ROOT = "1.2.156.3005.2"
"""The object identifier under which all certificate identifiers stand."""

VERSION_MAX = 999
"""The last version that fits the three digits. The first is 1."""

# [0-9] and not \d, which would also take the digits of other scripts.
_TYPE_CODE = re.compile(r"([0-9A-Z]{18})([0-9]{3})")
_SERIAL = re.compile(r"[0-9A-Z]{1,32}")
_IDENTIFIER = re.compile(
    re.escape(ROOT) + r"\.([0-9A-Z]{18}[0-9]{3})\.([0-9A-Z]{18})\.([0-9A-Z]{1,32})\.([0-9]{3})\.([0-9A-Z])"
)
_HEAD = re.compile(re.escape(ROOT) + r"\.([0-9A-Z]{21})\.([0-9A-Z]{18})\.")
_HEAD_LENGTH = len(ROOT) + 1 + 21 + 1 + 18 + 1
_SERIAL_MAX = 32
_VERSIONS = {f".{version:03}.": version for version in range(1, VERSION_MAX + 1)}
"""By what stands between the serial and the check character."""
_CODES_KEPT = 4_096
"""Type codes and issuers remembered as right, so that each is computed once: more than a city has, 100 bytes each."""

_SHAPE = f"{ROOT}.TYPE.ISSUER.SERIAL.VERSION.CHECK, of 21, 18, 1 to 32, 3 and 1 characters"


class IdentifierShapeError(CheckCharacterError):
    """A text is not put together as an identifier, or as the part of one that it stands for."""


class IdentifierCheckError(CheckCharacterError):
    """An identifier has the right shape and ends in the wrong check character."""


class _Parts(NamedTuple):
    type_code: str
    """21 characters: the credit code of the defining body and a number of three digits."""
    issuer: CreditCode
    serial: str
    """1 to 32 characters of 0-9A-Z, chosen by the issuer."""
    version: int
    """1 to 999; goes up when a certificate is changed and keeps its serial."""


class IdentifierParts(_Parts):
    """What an identifier says. Parts that exist are right: each is checked when the value is made.

    Raises:
        IdentifierShapeError: A part has the wrong shape.
        CheckCharacterError: A credit code in it is wrong.
    """

    __slots__ = ()

    def __new__(cls, type_code: str, issuer: CreditCode, serial: str, version: int) -> Self:
        check_type_code(type_code)
        _check_issuer(issuer)
        if not _SERIAL.fullmatch(serial):
            raise IdentifierShapeError("certificate serial", expected="1 to 32 of 0-9A-Z", got=repr(serial))
        if not 1 <= version <= VERSION_MAX:
            raise IdentifierShapeError("certificate version", expected=f"001 to {VERSION_MAX}", got=f"{version:03}")
        return cls._make((type_code, issuer, serial, version))


@lru_cache(_CODES_KEPT)
def check_type_code(text: str) -> None:
    """Check the code of a certificate type: a credit code and three digits.

    Raises:
        IdentifierShapeError: The shape is another.
        CheckCharacterError: The credit code is wrong.
    """
    if not (match := _TYPE_CODE.fullmatch(text)):
        raise IdentifierShapeError("certificate type code", expected="a credit code and 3 digits", got=repr(text))
    check_credit_code(match[1])


@lru_cache(_CODES_KEPT)
def _check_issuer(text: str) -> None:
    check_credit_code(text)


def format_identifier(parts: IdentifierParts) -> CertificateIdentifier:
    """Return the identifier of these parts, with root, dots and check character."""
    version = f"{parts.version:03}"
    check = mod_37_36(parts.type_code + parts.issuer + parts.serial + version)
    return CertificateIdentifier(f"{ROOT}.{parts.type_code}.{parts.issuer}.{parts.serial}.{version}.{check}")


def parse_identifier(text: str) -> IdentifierParts:
    """Read an identifier; `format_identifier` of the result gives `text` again.

    Raises:
        IdentifierShapeError: The shape is not the one above.
        IdentifierCheckError: The check character is another; reported before any part, because it covers them all.
        CheckCharacterError: A credit code in it is wrong.

    Source: GB/T 36904-2018.
    """
    if (parts := _parse_right(text)) is not None:
        return parts
    # Something is wrong with it: what comes first in the order of the errors above is found part by part.
    if not (match := _IDENTIFIER.fullmatch(text)):
        raise IdentifierShapeError("certificate identifier", expected=_SHAPE, got=repr(text))
    type_code, issuer, serial, version, got = match.groups()
    if (check := mod_37_36(type_code + issuer + serial + version)) != got:
        raise IdentifierCheckError("certificate identifier's check character", expected=check, got=got)
    return IdentifierParts(type_code, CreditCode(issuer), serial, int(version))


def _parse_right(text: str) -> IdentifierParts | None:
    """Return the parts of an identifier without a mistake, in a fraction of the time; None of one with a mistake."""
    head = _right_head(text[:_HEAD_LENGTH])
    if head is None:
        return None
    type_code, issuer, state = head
    serial, version = text[_HEAD_LENGTH:-6], _VERSIONS.get(text[-6:-1])
    # A character outside the alphabet, a dot in the serial too, has no check character: none needs to be looked for.
    if (
        version is None
        or not 1 <= len(serial) <= _SERIAL_MAX
        or mod_37_36_after(serial + text[-5:-2], state) != text[-1]
    ):
        return None
    # What `IdentifierParts()` would check is known, and `_make` would count what it is given.
    return tuple.__new__(IdentifierParts, (type_code, issuer, serial, version))


@lru_cache(_CODES_KEPT)
def _right_head(text: str) -> tuple[str, CreditCode, CheckState] | None:
    """Return type code, issuer and the check's state after both, from all before the serial; None if it is wrong."""
    if not (match := _HEAD.fullmatch(text)):
        return None
    type_code, issuer = match.groups()
    try:
        check_type_code(type_code)
        _check_issuer(issuer)
    except CheckCharacterError:
        return None
    return type_code, CreditCode(issuer), mod_37_36_state(type_code + issuer)
