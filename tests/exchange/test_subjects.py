"""Tags of subjects: HMAC as everybody computes it, one subject however written, and no hit between two tags."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.content import Scalar
from nodes.exchange.subjects import TAG_BYTES, Tagger, holds_tag, normal_form

KEY = bytes(range(32))


def one_by_one(identifiers: Sequence[Scalar]) -> bytes:
    """Return the tags as the standard library makes them."""
    return b"".join(hmac.digest(KEY, normal_form(one), "sha256")[:TAG_BYTES] for one in identifiers)


@given(identifiers=st.lists(st.one_of(st.text(max_size=100), st.binary(max_size=100), st.integers(0, 1 << 63))))
def test_a_tag_is_half_of_an_hmac(identifiers: list[str | bytes | int]) -> None:
    """Made in two passes over the batch, and the same as made one by one."""
    assert Tagger(KEY).tags(identifiers) == one_by_one(identifiers)


@given(identifiers=st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=12)))
def test_many_have_the_tags_of_each(identifiers: list[str]) -> None:
    """What is done to all at once is what would be done to each, line ends and combining characters included."""
    assert Tagger(KEY).tags(identifiers) == one_by_one(identifiers)


@pytest.mark.parametrize(
    "identifiers", [["a\nb", "c"], ["e", "\u0301e"], ["ß", "ﬁ"], ["a", "ς", "Σ\u0345"], ["\u1100", "\u1161"]]
)
def test_no_rule_reaches_into_the_next(identifiers: list[str]) -> None:
    """Of letters that would grow together, or look at what stands beside them."""
    assert Tagger(KEY).tags(identifiers) == one_by_one(identifiers)


FULL_WIDTH = "".join(chr(ord(character) + 0xFEE0) for character in "11010119900101123X")


@pytest.mark.parametrize(
    "written",
    ["11010119900101123X", "11010119900101123x", " 110101 19900101 123X ", "110101-19900101-123x", FULL_WIDTH],
)
def test_one_subject_has_one_tag_however_it_is_written(written: str) -> None:
    """Case, width, blanks and hyphens do not count."""
    assert Tagger(KEY).tags([written]) == Tagger(KEY).tags(["11010119900101123X"])


def test_a_number_is_the_same_subject_as_its_digits() -> None:
    """One database holds it as text, another as an integer."""
    assert Tagger(KEY).tags([13800000001]) == Tagger(KEY).tags(["13800000001"])


def test_nil_is_nobody() -> None:
    """A row without an identifier has no tag."""
    assert Tagger(KEY).tags([None, "a", None]) == Tagger(KEY).tags(["a"])


def test_another_key_gives_other_tags() -> None:
    """So that two deliveries about one person have nothing in common."""
    assert Tagger(KEY).tags(["a"]) != Tagger(bytes(32)).tags(["a"])
    with pytest.raises(ValueError, match="not 32"):
        Tagger(b"short")


@given(tags=st.lists(st.binary(min_size=TAG_BYTES, max_size=TAG_BYTES), max_size=6), at=st.integers(0, 80))
def test_only_whole_tags_are_found(tags: list[bytes], at: int) -> None:
    """Bytes that lie across the border of two tags are no hit, unless they are a tag as well."""
    joined = b"".join(tags)
    for tag in tags:
        assert holds_tag(joined, tag)
    window = joined[at : at + TAG_BYTES]
    if len(window) == TAG_BYTES:
        assert holds_tag(joined, window) == (window in tags)
