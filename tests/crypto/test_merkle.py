"""RFC 9162 trees against the RFC's own definitions and against the vectors of transparency-dev/merkle."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.hashing import Tag
from ledger.crypto.merkle import (
    EMPTY_ROOT,
    CompactRange,
    LogTree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_from_path,
    root_of,
    tagged_leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from ledger.errors import ProofError
from ledger.identifiers import Digest

pytestmark = pytest.mark.usefixtures("each_backend")

VECTORS = Path(__file__).parents[1] / "vectors"
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(70)]


def load(file: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / file).read_text())
    return vectors


def path_of(vector: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(sibling) for sibling in vector["proof"] or ()]


def split_point(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def defined_root(leaves: Sequence[Digest]) -> Digest:
    """MTH(D[n]) of RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return Digest(hashlib.sha256(b"").digest())
    if len(leaves) == 1:
        return leaves[0]
    k = split_point(len(leaves))
    return Digest(hashlib.sha256(b"\x01" + defined_root(leaves[:k]) + defined_root(leaves[k:])).digest())


def defined_inclusion_path(index: int, leaves: Sequence[Digest]) -> tuple[Digest, ...]:
    """PATH(m, D[n]) of RFC 9162, section 2.1.3.1, word for word."""
    if len(leaves) == 1:
        return ()
    k = split_point(len(leaves))
    if index < k:
        return (*defined_inclusion_path(index, leaves[:k]), defined_root(leaves[k:]))
    return (*defined_inclusion_path(index - k, leaves[k:]), defined_root(leaves[:k]))


def defined_consistency_path(size_old: int, leaves: Sequence[Digest], known: bool = True) -> tuple[Digest, ...]:
    """SUBPROOF(m, D[n], b) of RFC 9162, section 2.1.4.1, word for word."""
    if size_old == len(leaves):
        return () if known else (defined_root(leaves),)
    k = split_point(len(leaves))
    if size_old <= k:
        return (*defined_consistency_path(size_old, leaves[:k], known), defined_root(leaves[k:]))
    return (*defined_consistency_path(size_old - k, leaves[k:], False), defined_root(leaves[:k]))


INCLUSION_VECTORS = load("rfc6962_inclusion.json")
CONSISTENCY_VECTORS = load("rfc6962_consistency.json")


def is_of_rfc_9162(vector: dict[str, Any]) -> bool:
    """Whether a consistency vector starts at leaf 0 of a tree that is not empty; the others are of a newer draft."""
    return "start" not in vector or (vector["start"] == 0 and vector["end"] > 0)


def test_all_published_vectors_are_run_but_those_of_the_newer_draft() -> None:
    """All 302 inclusion cases run, and 189 of 216 consistency cases: the rest are subtrees empty or not at leaf 0."""
    assert len(INCLUSION_VECTORS) == 302
    assert sum(map(is_of_rfc_9162, CONSISTENCY_VECTORS)) == 189
    left_out = [vector["name"] for vector in CONSISTENCY_VECTORS if not is_of_rfc_9162(vector)]
    assert len(left_out) == 27
    assert all(name.startswith("subtreeconsistency/") for name in left_out)


@pytest.mark.parametrize("vector", INCLUSION_VECTORS, ids=lambda vector: vector["name"])
def test_inclusion_agrees_with_transparency_dev(vector: dict[str, Any]) -> None:
    """Good paths verify and bad ones raise; a subtree [start, end) is a tree of its own."""
    start, end = vector.get("start", 0), vector.get("end", vector.get("treeSize"))

    def verify() -> None:
        verify_inclusion(
            base64.b64decode(vector["leafHash"]),
            index=vector["leafIdx"] - start,
            size=end - start,
            path=path_of(vector),
            root=base64.b64decode(vector["root"]),
        )

    if vector["wantErr"]:
        with pytest.raises(ProofError):
            verify()
    else:
        verify()


@pytest.mark.parametrize("vector", list(filter(is_of_rfc_9162, CONSISTENCY_VECTORS)), ids=lambda vector: vector["name"])
def test_consistency_agrees_with_transparency_dev(vector: dict[str, Any]) -> None:
    """Good paths verify and bad ones raise."""

    def verify() -> None:
        verify_consistency(
            size_old=vector.get("size1", vector.get("end")),
            size_new=vector.get("size2", vector.get("size")),
            root_old=base64.b64decode(vector["root1"]),
            root_new=base64.b64decode(vector["root2"]),
            path=path_of(vector),
        )

    if vector["wantErr"]:
        with pytest.raises(ProofError):
            verify()
    else:
        verify()


def test_hashes_carry_their_prefixes() -> None:
    """0x00 before a leaf, then its tag if it has one; 0x01 before two children."""
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()
    assert tagged_leaf_hash(Tag.RECORD, b"x") == hashlib.sha256(b"\x00mulu/record/1\x00x").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_four_ways_to_a_root_agree(size: int) -> None:
    """`root_of`, the frontier, the log's tree built at once or leaf by leaf, and the definition give one root."""
    expected = defined_root(LEAVES[:size])
    frontier, grown = CompactRange(), LogTree()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
        grown.append(leaf)
    assert root_of(LEAVES[:size]) == expected
    assert frontier.root() == expected
    assert grown.root() == expected
    assert LogTree(LEAVES[:size]).root() == expected
    assert LogTree(LEAVES).root(size) == expected
    assert frontier.size == grown.size == size


def test_the_empty_tree_has_the_root_of_the_rfc() -> None:
    """SHA-256 of nothing."""
    assert root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 35))
def test_inclusion_paths_are_those_of_the_definition_and_verify(size: int) -> None:
    """For every leaf of every size, however the tree was made."""
    leaves, tree = LEAVES[:size], LogTree(LEAVES)
    for index in range(size):
        path = tree.inclusion_path(index, size)
        assert path == inclusion_path(leaves, index) == defined_inclusion_path(index, leaves)
        verify_inclusion(leaves[index], index=index, size=size, path=path, root=root_of(leaves))


@pytest.mark.parametrize("size_new", range(1, 35))
def test_consistency_paths_are_those_of_the_definition_and_verify(size_new: int) -> None:
    """From every smaller size to every size."""
    leaves, tree = LEAVES[:size_new], LogTree(LEAVES)
    for size_old in range(1, size_new + 1):
        path = tree.consistency_path(size_old, size_new)
        assert path == consistency_path(leaves, size_old) == defined_consistency_path(size_old, leaves)
        verify_consistency(
            size_old=size_old,
            size_new=size_new,
            root_old=root_of(leaves[:size_old]),
            root_new=root_of(leaves),
            path=path,
        )


@given(st.data())
def test_a_path_proves_one_leaf_at_one_place(data: st.DataObject) -> None:
    """With another leaf, another index, or any bit of the path turned, the path no longer leads to the root."""
    size = data.draw(st.integers(2, len(LEAVES)))
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    root, path = root_of(LEAVES[:size]), LogTree(LEAVES).inclusion_path(index, size)
    turned = [bytearray(sibling) for sibling in path]
    bit = data.draw(st.integers(0, 256 * len(path) - 1))
    turned[bit // 256][bit % 256 // 8] ^= 1 << bit % 8
    for leaf, place, siblings in (
        (LEAVES[other], index, path),
        (LEAVES[index], other, path),
        (LEAVES[index], index, [bytes(sibling) for sibling in turned]),
        (LEAVES[index], index, path[:-1]),
        (LEAVES[index], index, (*path, LEAVES[0])),
    ):
        with pytest.raises(ProofError):
            verify_inclusion(leaf, index=place, size=size, path=siblings, root=root)


@given(st.integers(-5, 1 << 70), st.integers(-5, 1 << 70), st.lists(st.binary(max_size=40), max_size=80))
def test_hostile_proofs_raise_nothing_but_proof_errors(first: int, second: int, path: list[bytes]) -> None:
    """Whatever the numbers and the path, the answer is a `ProofError`."""
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[0], index=first, size=second, path=path, root=b"no such root")
    with pytest.raises(ProofError):
        verify_consistency(size_old=first, size_new=second, root_old=b"old", root_new=b"new", path=path)


def test_a_leaf_hash_of_another_length_is_refused() -> None:
    """So that no part of a longer value can be passed off as a leaf hash."""
    with pytest.raises(ProofError, match="31 bytes"):
        root_from_path(LEAVES[0][:31], index=0, size=1, path=[])


@pytest.mark.parametrize("size", range(len(LEAVES)))
def test_a_frontier_survives_being_stored_and_copied(size: int) -> None:
    """Restored from its nodes it grows as before, and a copy grows without the original."""
    frontier = CompactRange()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
    assert len(frontier.nodes) == size.bit_count()
    twin, restored = frontier.copy(), CompactRange.from_nodes(size, frontier.nodes)
    for grown in (twin, restored):
        grown.append(LEAVES[size])
        assert grown.root() == defined_root(LEAVES[: size + 1])
    assert frontier.root() == defined_root(LEAVES[:size])


@pytest.mark.parametrize(("size", "nodes"), [(3, LEAVES[:1]), (4, LEAVES[:2]), (-1, []), (1, [b"short"])])
def test_a_frontier_of_the_wrong_shape_is_refused(size: int, nodes: list[bytes]) -> None:
    """One 32-byte node for each set bit of the size, nothing else."""
    with pytest.raises(ProofError):
        CompactRange.from_nodes(size, nodes)


def test_questions_a_tree_cannot_answer_are_the_callers_mistake() -> None:
    """Sizes and positions outside the tree raise `ValueError`."""
    tree = LogTree(LEAVES[:5])
    for ask in (
        lambda: tree.root(6),
        lambda: tree.root(-1),
        lambda: tree.leaf(5),
        lambda: tree.leaf(-1),
        lambda: tree.inclusion_path(3, 3),
        lambda: tree.inclusion_path(0, 6),
        lambda: tree.consistency_path(0, 3),
        lambda: tree.consistency_path(4, 3),
        lambda: inclusion_path(LEAVES[:5], 5),
        lambda: consistency_path(LEAVES[:5], 6),
    ):
        with pytest.raises(ValueError):
            ask()
    assert tree.leaf(4) == LEAVES[4]


@given(st.lists(st.integers(0, 9), max_size=8))
def test_a_log_that_grows_in_steps_is_the_log(steps: list[int]) -> None:
    """However many leaves come at once, every hash inside is that of the tree made in one piece."""
    leaves = [leaf_hash(bytes([number])) for number in range(sum(steps))]
    grown = LogTree()
    for start, step in zip(accumulate([0, *steps]), steps, strict=False):
        grown.extend(leaves[start : start + step])
    whole = LogTree(leaves)
    assert grown.size == whole.size == len(leaves)
    for size in range(len(leaves) + 1):
        assert grown.root(size) == whole.root(size) == root_of(leaves[:size])
    for index in range(len(leaves)):
        assert grown.inclusion_path(index, len(leaves)) == whole.inclusion_path(index, len(leaves))
