"""Commitments open for their own key and data only; shown fields belong to the content, hidden ones stay hidden."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.commitments import (
    Field,
    Part,
    check_commitment,
    commit,
    content_root,
    disclose,
    field_leaf,
    verify_disclosure,
)
from ledger.crypto.hashing import Tag, sha256
from ledger.crypto.merkle import node_hash, root_of
from ledger.encoding import decode
from ledger.errors import ProofError
from ledger.identifiers import Digest

KEYS = st.binary(min_size=32, max_size=32)

FIELDS = [
    Field(name=name, value=value, salt=sha256(name.encode()))
    for name, value in (("姓名", "张三"), ("性别", "女"), ("住址", "东城区"), ("有效期", "2031-05-01"))
]
ROOT = content_root(FIELDS)


def test_a_commitment_is_hmac_over_tag_and_data() -> None:
    """As any other HMAC-SHA-256 computes it."""
    expected = hmac.new(b"k" * 32, b"mulu/holder/1\x00Zhang San", hashlib.sha256).digest()
    assert commit(Tag.HOLDER, b"k" * 32, b"Zhang San") == expected


@given(KEYS, st.binary(max_size=100), st.binary(max_size=100))
def test_a_commitment_opens_for_its_own_key_tag_and_data_only(key: bytes, data: bytes, other: bytes) -> None:
    """With any of the three changed it does not."""
    commitment = commit(Tag.HOLDER, key, data)
    check_commitment(commitment, Tag.HOLDER, key, data)
    openings = [(Tag.FIELD, key, data), (Tag.HOLDER, sha256(key), data), (Tag.HOLDER, key[:31], data)]
    if other != data:
        openings.append((Tag.HOLDER, key, other))
    for tag, opening_key, opened in openings:
        with pytest.raises(ProofError):
            check_commitment(commitment, tag, opening_key, opened)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_32_bytes(size: int) -> None:
    """A shorter key is padded by HMAC and would open under several spellings."""
    with pytest.raises(ValueError):
        commit(Tag.HOLDER, bytes(size), b"data")


def test_a_field_leaf_is_what_the_format_says() -> None:
    """Tagged leaf over a salted HMAC of the length-prefixed name and value."""
    salted = hmac.new(b"s" * 32, b"mulu/field/1\x00\x00\x00\x00\x02ab\x00\x00\x00\x01c", hashlib.sha256).digest()
    leaf = field_leaf(Field(name="ab", value="c", salt=b"s" * 32))
    assert leaf == hashlib.sha256(b"\x00mulu/content/1\x00" + salted).digest()
    assert leaf != field_leaf(Field(name="a", value="bc", salt=b"s" * 32))


@given(st.sets(st.sampled_from([field.name for field in FIELDS])))
def test_any_fields_can_be_shown_and_the_others_stay_hidden(names: set[str]) -> None:
    """The root follows from every choice, and hidden parts are digests."""
    parts = disclose(FIELDS, names)
    shown = verify_disclosure(parts, root=ROOT)
    assert {field.name for field in shown} == names
    assert sum(isinstance(part, bytes) for part in parts) == len(FIELDS) - len(names)


@given(st.integers(0, 3), st.sampled_from(["name", "value", "salt"]))
def test_a_changed_field_leads_to_another_root(place: int, attribute: str) -> None:
    """Name, value and salt are all bound."""
    parts: list[Part] = list(disclose(FIELDS, [FIELDS[place].name]))
    field = FIELDS[place]
    changed = {"name": field.name, "value": field.value, "salt": field.salt}
    changed[attribute] = sha256(b"other") if attribute == "salt" else "其他"
    parts[place] = Field(**changed)
    with pytest.raises(ProofError, match="lead to root"):
        verify_disclosure(parts, root=ROOT)


def test_hidden_neighbours_cannot_be_passed_off_as_one_field() -> None:
    """The tree's root alone would allow it; the number of fields that is bound to it does not."""
    merged = node_hash(field_leaf(FIELDS[2]), field_leaf(FIELDS[3]))
    assert root_of([field_leaf(FIELDS[0]), field_leaf(FIELDS[1]), merged]) == root_of([*map(field_leaf, FIELDS)])
    with pytest.raises(ProofError, match="lead to root"):
        verify_disclosure((FIELDS[0], FIELDS[1], merged), root=ROOT)


def test_one_name_stands_for_one_field() -> None:
    """When the content is made it is the caller's mistake, when it is shown the sender's."""
    twins = [FIELDS[0], Field(name=FIELDS[0].name, value="李四", salt=bytes(32))]
    with pytest.raises(ValueError, match="two fields"):
        content_root(twins)
    with pytest.raises(ProofError, match="two fields"):
        verify_disclosure(twins, root=ROOT)


@pytest.mark.parametrize(
    "part",
    [
        Digest(bytes(31)),
        Field(name="e\u0301", value="", salt=bytes(32)),
        Field(name="", value="\ud800", salt=bytes(32)),
        Field(name="", value="", salt=bytes(31)),
    ],
    ids=["short digest", "not NFC", "lone surrogate", "short salt"],
)
def test_parts_of_the_wrong_shape_are_refused(part: Part) -> None:
    """Whatever a sender made of them, the answer is a `ProofError`."""
    with pytest.raises(ProofError):
        verify_disclosure([part], root=ROOT)


def test_only_fields_that_exist_can_be_shown() -> None:
    """A wrong name is the caller's mistake, not an empty disclosure."""
    with pytest.raises(ValueError, match="身高"):
        disclose(FIELDS, ["身高"])


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_field_has_one_byte_form(field: Field) -> None:
    """It comes back from its bytes."""
    assert decode(Field, field.encode()) == field
