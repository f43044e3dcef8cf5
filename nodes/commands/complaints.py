"""What the library that checks values says of them, in words for who has typed or written them."""

from __future__ import annotations

import re

_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_WRONG_KIND = re.compile(r"^Expected `(\w+)`, got `(\w+)`$")
_WORDINGS = (
    (r"^Expected `(?:str|array)` of length >= 1$", "must not be empty"),
    (r"^Expected `str` of length <= (\d+)$", r"has a text of more than \1 characters"),
    (r"^Expected `array` of length <= (\d+)$", r"has more than \1 parts"),
    (r"^Expected `int` <= (\d+)$", r"must not be more than \1"),
    (r"^Expected `str` matching regex .*$", "must be capital letters, digits and single hyphens, as in AY-01-D1"),
    (r"^Object missing required field `(.+)`$", r"`\1` is missing"),
    (r"^Object contains unknown field `(.+)`$", r"nothing is called `\1`"),
    (r"^Invalid enum value (.+)$", r"\1 is none of what it can be"),
)


def in_words(complaint: str) -> str:
    """Return a complaint of msgspec, without the place it is about, in words; any other as it is."""
    if (kinds := _WRONG_KIND.fullmatch(complaint)) is not None:
        expected, got = (_KINDS.get(kind, kind) for kind in kinds.groups())
        return f"must be {expected}, not {got}"
    for pattern, words in _WORDINGS:
        complaint = re.sub(pattern, words, complaint)
    return complaint
