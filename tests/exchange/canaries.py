"""Made-up personal data that must turn up nowhere but where they belong, and a search for them in any encoding.

Nobody is meant: identity numbers are of a region that does not exist (99), phones begin with 100, which no operator
gives out, and names are drawn from a seed. Their form is the real one, so whatever treats such values treats these so.
"""

from __future__ import annotations

import base64
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import NamedTuple
from urllib.parse import quote

import msgspec

PEOPLE = 250
"""With four values each: a thousand canaries."""

_SURNAMES = "欧阳司徒上官诸葛东方慕容令狐宇文尉迟公孙"
_GIVEN = "翀甯骞祎旻昱琤骅翊弢珺晗霁岫筠蘅澍鄞翯琎赟峤垚淼焱鑫犇骉羴"
_STREETS = "望舒棠梨云栖听雨枕流漱石"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""Of the check character of an identity number, GB 11643."""


class Person(NamedTuple):
    """Somebody who does not exist."""

    name: str
    identity_number: str
    phone: str
    address: str


def made_up_people(seed: int) -> list[Person]:
    """Return `PEOPLE` people, no two of whom share a value."""
    draws = Random(seed)
    people: dict[str, Person] = {}
    for number in range(PEOPLE):
        place = 2 * draws.randrange(len(_SURNAMES) // 2)
        name = _SURNAMES[place : place + 2] + "".join(draws.sample(_GIVEN, 2))
        while name in people:
            name = _SURNAMES[place : place + 2] + "".join(draws.sample(_GIVEN, 2))
        birth = f"{draws.randrange(1950, 2005)}{draws.randrange(1, 13):02}{draws.randrange(1, 29):02}"
        people[name] = Person(
            name=name,
            identity_number=_with_check_character(f"99{draws.randrange(10_000):04}{birth}{number:03}"),
            phone=f"100{draws.randrange(10**5):05}{number:03}",
            address=f"{''.join(draws.sample(_STREETS, 3))}胡同{number + 1}号院{draws.randrange(1, 90)}室",
        )
    return list(people.values())


def _with_check_character(digits: str) -> str:
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, _WEIGHTS, strict=True)) % 11]


class Sighting(NamedTuple):
    """A canary where it was found."""

    value: str
    encoding: str
    offset: int


def spellings(value: str) -> Iterator[tuple[str, bytes]]:
    """Yield every way in which a value is looked for, with its name.

    MessagePack writes text as UTF-8 behind a length, which the plain search finds; what is its own are the numbers.
    """
    text = value.encode()
    yield "UTF-8", text
    yield "UTF-16, little-endian", value.encode("utf-16-le")
    yield "UTF-16, big-endian", value.encode("utf-16-be")
    yield "hex, lower case", text.hex().encode()
    yield "hex, upper case", text.hex().upper().encode()
    for shift in range(3):
        for alphabet, encode in (("standard", base64.b64encode), ("for addresses", base64.urlsafe_b64encode)):
            yield (
                f"base64, {alphabet}, {shift} bytes in",
                _certain_base64(encode(bytes(shift) + text), shift, len(text)),
            )
    if value.isdigit():
        yield "MessagePack, number", msgspec.msgpack.encode(int(value))
    if not value.isascii():
        yield "JSON, escaped", value.encode("ascii", "backslashreplace")
        yield "address, escaped", quote(value, safe="").encode()


def _certain_base64(encoded: bytes, shift: int, length: int) -> bytes:
    """Return the characters that are made of the value's own bits alone, whatever stands before and behind it."""
    return encoded[-(-8 * shift // 6) : 8 * (shift + length) // 6]


_PREFIX = 8
"""Bytes by which a spelling is found first; all are at least as long."""


@dataclass(frozen=True)
class CanarySearch:
    """Looks for many values at once.

    All stretches of eight bytes are compared with a set of beginnings, by the interpreter's own loops: a megabyte takes
    about as long for a thousand values as for one.
    """

    spelled: dict[int, list[tuple[str, str, bytes]]]
    """By the first eight bytes, as a machine word: value, name of the encoding, all bytes."""

    @classmethod
    def of(cls, values: Iterable[str]) -> CanarySearch:
        """Return a search for `values`, each of which must be long enough to be told from noise."""
        spelled = defaultdict(list)
        for value in values:
            for encoding, pattern in spellings(value):
                assert len(pattern) >= _PREFIX, (value, encoding)
                spelled[int.from_bytes(pattern[:_PREFIX], sys.byteorder)].append((value, encoding, pattern))
        return cls(dict(spelled))

    def find(self, data: bytes) -> list[Sighting]:
        """Return all sightings in `data`, in the order of the encodings' beginnings."""
        beginnings = set(self.spelled)
        found = []
        for shift in range(_PREFIX):
            size = (len(data) - shift) // _PREFIX * _PREFIX
            if size <= 0:
                continue
            with memoryview(data)[shift : shift + size].cast("Q") as words:
                if beginnings.isdisjoint(words):
                    continue
                places = [place for place, word in enumerate(words) if word in beginnings]
                candidates = [(words[place], place * _PREFIX + shift) for place in places]
            found += [
                Sighting(value, encoding, at)
                for word, at in candidates
                for value, encoding, pattern in self.spelled[word]
                if data.startswith(pattern, at)
            ]
        return found


def canary_values(people: Sequence[Person]) -> list[str]:
    """Return all values of people, each of them a canary."""
    return list(chain.from_iterable(people))
