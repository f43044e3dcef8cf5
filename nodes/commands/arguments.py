"""What the words after a command must look like, as types of argparse: a usage error names the argument and a good one.

Asked before any node is, so that a mistyped word never becomes a path, a list of everything, or a record. Who may do
what with it is for the ledger to say.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from unicodedata import normalize

from ledger.errors import InvalidInputError
from ledger.members.calendar import parse_day

ID_CHARACTERS_MAX = 80
REMARK_CHARACTERS_MAX = 2_000
"""Both as records have them (`ledger.registers.sharing.values`)."""

_ID = re.compile("[0-9A-Z]+(-[0-9A-Z]+)*")
_DEPARTMENT = re.compile(r"[\w-]{1,40}")
"""The short code is what the founders chose, a credit code has 18 characters, and the authority's role a name."""


def identifier(argument: str) -> str:
    """Return the id of something that a department has put on the ledger.

    Raises:
        argparse.ArgumentTypeError: None can look like this.
    """
    if not _ID.fullmatch(argument) or len(argument) > ID_CHARACTERS_MAX:
        raise argparse.ArgumentTypeError(
            f"not an id: {argument!r}; write up to {ID_CHARACTERS_MAX} capital letters, digits and single hyphens, "
            "as in AL-R1 or AY-01-D1"
        )
    return argument


def department(argument: str) -> str:
    """Return what names a department.

    Raises:
        argparse.ArgumentTypeError: It can be no code.
    """
    if not _DEPARTMENT.fullmatch(argument):
        raise argparse.ArgumentTypeError(
            f"not a department: {argument!r}; write its short code, as in AY, or its credit code of 18 characters"
        )
    return argument


def day(argument: str) -> str:
    """Return a day in its one spelling.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        parse_day(argument)
    except InvalidInputError:
        raise argparse.ArgumentTypeError(f"not a day: {argument!r}; write it as in 2026-12-31") from None
    return argument


def number(first: int, last: int) -> Callable[[str], int]:
    """Return the type of a whole number from `first` to `last`, in digits alone."""

    def parse(argument: str) -> int:
        digits = argument.isascii() and argument.isdecimal() and len(argument) <= len(str(last))
        if not digits or not first <= int(argument) <= last:
            raise argparse.ArgumentTypeError(f"not a number from {first:,} to {last:,}: {argument!r}")
        return int(argument)

    return parse


def text(argument: str) -> str:
    """Return a text as the ledger takes it: in normalisation form C.

    Raises:
        argparse.ArgumentTypeError: It is empty, or longer than a record holds.
    """
    if not argument:
        raise argparse.ArgumentTypeError("is empty; write a text, or leave the option out where it may be")
    return remark(argument)


def remark(argument: str) -> str:
    """Return a text that may be empty. Otherwise as `text`."""
    composed = normalize("NFC", argument)
    if len(composed) > REMARK_CHARACTERS_MAX:
        raise argparse.ArgumentTypeError(
            f"has {len(composed):,} characters; at most {REMARK_CHARACTERS_MAX:,} go on the ledger"
        )
    return composed
