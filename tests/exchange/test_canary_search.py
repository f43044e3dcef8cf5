"""The search for canaries finds each of them, in each encoding, wherever it stands; and nothing else."""

from __future__ import annotations

import base64
import json
from random import Random
from urllib.parse import quote

import msgspec
import pytest

from tests.exchange.canaries import PEOPLE, CanarySearch, canary_values, made_up_people, spellings

VALUES = canary_values(made_up_people(1))
SEARCH = CanarySearch.of(VALUES)
NOISE = Random(2).randbytes(1 << 16)


def test_there_are_a_thousand_and_no_two_are_alike() -> None:
    """Nor is one a part of another, so that each sighting is of one value."""
    assert len(set(VALUES)) == len(VALUES) == 4 * PEOPLE == 1_000
    everything = "\n".join(VALUES)
    assert all(everything.count(value) == 1 for value in VALUES)


def test_every_value_is_found_in_every_encoding() -> None:
    """At the place where it stands, in the midst of noise."""
    for value in VALUES:
        for encoding, pattern in spellings(value):
            data = NOISE[:101] + pattern + NOISE[101:160]
            assert (value, encoding, 101) in SEARCH.find(data), (value, encoding)


@pytest.mark.parametrize("offset", range(17))
def test_the_place_does_not_matter(offset: int) -> None:
    """Also at the very end, and across all borders of words."""
    data = NOISE[:offset] + VALUES[0].encode()
    assert [(one.value, one.offset) for one in SEARCH.find(data)] == [(VALUES[0], offset)]


@pytest.mark.parametrize("value", VALUES[:4], ids=["name", "identity number", "phone", "address"])
@pytest.mark.parametrize("around", range(6))
def test_what_libraries_write_is_found(value: str, around: int) -> None:
    """The encodings are those of the encoders, at whichever distance from the beginning."""
    text, before, after = value.encode(), NOISE[:around], NOISE[7 : 7 + around]
    row = [1, value, None]
    for written in (
        before + text + after,
        before + value.encode("utf-16-le"),
        before + value.encode("utf-16-be"),
        (before + text + after).hex().encode(),
        (before + text + after).hex().upper().encode(),
        base64.b64encode(before + text + after),
        base64.urlsafe_b64encode(before + text + after),
        msgspec.msgpack.encode(row),
        msgspec.json.encode(row),
        json.dumps(row).encode(),
        quote(f"/{value}/").encode(),
    ):
        assert value in {one.value for one in SEARCH.find(written)}


def test_numbers_are_found_as_numbers() -> None:
    """A phone or an identity number that some codec has made an integer."""
    for value in VALUES:
        if value.isdigit():
            assert value in {one.value for one in SEARCH.find(msgspec.msgpack.encode([True, int(value)]))}


def test_nothing_is_found_where_nothing_is() -> None:
    """Neither in noise, nor in what looks alike, nor in half a value."""
    others = "\n".join(canary_values(made_up_people(3))).encode()
    half = VALUES[1].encode()[:-1]
    unlike = b"\n".join(line for line in others.splitlines() if line.decode() not in VALUES)
    assert SEARCH.find(NOISE) == SEARCH.find(half) == SEARCH.find(unlike) == SEARCH.find(b"") == []
