"""The sparse tree against a map and a tree written straight from the definition."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.hashing import Tag, sha256
from ledger.crypto.sparse_tree import DEPTH_MAX, EMPTY, SparseTree, StateProof, verify_absence, verify_presence
from ledger.encoding import decode
from ledger.errors import ProofError
from ledger.identifiers import Digest

pytestmark = pytest.mark.usefixtures("each_backend")

ONE, TWO, THREE = sha256(b"one"), sha256(b"two"), sha256(b"three")


def key_of(first: int, last: int = 0) -> Digest:
    """A key from its first and last byte: few of them, so that long shared prefixes are common."""
    return Digest(bytes([first, *[0] * 30, last]))


FEW_KEYS = st.builds(key_of, st.sampled_from([0, 1, 2, 0x40, 0x80, 0x81, 0xFF]), st.sampled_from([0, 1, 2, 3, 0x80]))
KEYS = FEW_KEYS | st.integers(0, 1000).map(lambda number: sha256(b"%d" % number))
VALUES = st.integers(0, 5).map(lambda number: sha256(b"value %d" % number))
MAPS = st.dictionaries(KEYS, VALUES, max_size=25)
CHANGES = st.dictionaries(KEYS, VALUES | st.none(), max_size=12)


def defined_root(content: Mapping[Digest, Digest], depth: int = 0) -> bytes:
    """The root as the module's docstring defines it, from the set of items alone."""
    if not content:
        return bytes(32)
    if len(content) == 1:
        ((key, value),) = content.items()
        return hashlib.sha256(b"mulu/state-leaf/1\x00" + key + value).digest()
    halves: tuple[dict[Digest, Digest], dict[Digest, Digest]] = ({}, {})
    for key, value in content.items():
        halves[key[depth // 8] >> 7 - depth % 8 & 1][key] = value
    left, right = (defined_root(half, depth + 1) for half in halves)
    return hashlib.sha256(b"mulu/state-node/1\x00" + left + right).digest()


def changed(content: Mapping[Digest, Digest], changes: Mapping[Digest, Digest | None]) -> dict[Digest, Digest]:
    merged = {**content, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def leads_nowhere(proof: StateProof, root: bytes, key: Digest, value: Digest) -> None:
    """Neither kind of fact follows from the proof."""
    with pytest.raises(ProofError):
        verify_presence(root, key, value, proof)
    with pytest.raises(ProofError):
        verify_absence(root, key, proof)


@given(MAPS, st.lists(CHANGES, max_size=4))
def test_the_root_is_that_of_the_content(
    content: dict[Digest, Digest], batches: list[dict[Digest, Digest | None]]
) -> None:
    """After any batches of puts and deletes, root and values are those of a plain map with the same content."""
    tree = SparseTree.EMPTY.update(content)
    for changes in ({}, *batches):
        before, root_before = tree, tree.root
        tree, content_before, content = tree.update(changes), content, changed(content, changes)
        assert tree.root == defined_root(content)
        for key in {*content_before, *changes}:
            assert tree.get(key) == content.get(key)
            assert before.get(key) == content_before.get(key)
        assert before.root == root_before


@given(MAPS, st.randoms(use_true_random=False))
def test_the_order_of_changes_does_not_matter(content: dict[Digest, Digest], rng: random.Random) -> None:
    """One key at a time in any order gives the root of one batch."""
    items = list(content.items())
    rng.shuffle(items)
    tree = SparseTree.EMPTY
    for key, value in items:
        tree = tree.update({key: value})
    assert tree.root == SparseTree.EMPTY.update(content).root


@given(MAPS, MAPS)
def test_deleting_what_was_added_restores_the_root(content: dict[Digest, Digest], more: dict[Digest, Digest]) -> None:
    """In one batch or key by key."""
    tree = SparseTree.EMPTY.update(content)
    added = {key: value for key, value in more.items() if key not in content}
    grown = tree.update(added)
    assert grown.update(dict.fromkeys(added)).root == tree.root
    for key in added:
        grown = grown.update({key: None})
    assert grown.root == tree.root


@given(MAPS, st.lists(KEYS, max_size=5))
def test_every_key_has_one_proof_of_presence_or_absence(content: dict[Digest, Digest], others: list[Digest]) -> None:
    """The proof of what is so verifies, and nothing else follows from it."""
    tree = SparseTree.EMPTY.update(content)
    for key in {*content, *others}:
        proof = decode(StateProof, tree.prove(key).encode())
        if key in content:
            verify_presence(tree.root, key, content[key], proof)
            with pytest.raises(ProofError):
                verify_absence(tree.root, key, proof)
            with pytest.raises(ProofError):
                verify_presence(tree.root, key, sha256(content[key]), proof)
        else:
            verify_absence(tree.root, key, proof)
            with pytest.raises(ProofError):
                verify_presence(tree.root, key, ONE, proof)
        with pytest.raises(ProofError):
            verify_presence(sha256(tree.root), key, content.get(key, ONE), proof)


@given(MAPS, KEYS, st.data())
def test_a_changed_proof_leads_nowhere(content: dict[Digest, Digest], key: Digest, data: st.DataObject) -> None:
    """A turned bit, a sibling more or less, or another leaf."""
    tree = SparseTree.EMPTY.update(content)
    value, proof = content.get(key, ONE), tree.prove(key)
    siblings = list(proof.siblings)
    leads_nowhere(msgspec.structs.replace(proof, siblings=(EMPTY, *siblings)), tree.root, key, value)
    leads_nowhere(msgspec.structs.replace(proof, siblings=(*siblings, EMPTY)), tree.root, key, value)
    leads_nowhere(msgspec.structs.replace(proof, leaf=(sha256(key), TWO)), tree.root, key, value)
    if siblings:
        leads_nowhere(msgspec.structs.replace(proof, siblings=tuple(siblings[1:])), tree.root, key, value)
        place, bit = data.draw(st.integers(0, len(siblings) - 1)), data.draw(st.integers(0, 255))
        turned = int.from_bytes(siblings[place], "big") ^ 1 << bit
        siblings[place] = Digest(turned.to_bytes(32, "big"))
        leads_nowhere(msgspec.structs.replace(proof, siblings=tuple(siblings)), tree.root, key, value)


@given(
    st.lists(st.binary(max_size=33), max_size=5), st.none() | st.tuples(st.binary(max_size=33), st.binary(max_size=33))
)
def test_hostile_proofs_raise_nothing_but_proof_errors(
    siblings: list[Digest], leaf: tuple[Digest, Digest] | None
) -> None:
    """Lengths and contents are anybody's."""
    leads_nowhere(StateProof(siblings=tuple(siblings), leaf=leaf), THREE, ONE, TWO)


def test_a_longer_spelling_of_a_true_fact_is_refused() -> None:
    """Even under a root that somebody built without collapsing, a leaf beside nothing is no proof."""
    leaf = hashlib.sha256(Tag.STATE_LEAF.value + key_of(0) + ONE).digest()
    root = hashlib.sha256(Tag.STATE_NODE.value + leaf + EMPTY).digest()
    with pytest.raises(ProofError, match="longer than it must be"):
        verify_presence(root, key_of(0), ONE, StateProof(siblings=(EMPTY,), leaf=None))
    with pytest.raises(ProofError, match="longer than it must be"):
        verify_absence(root, key_of(0, 1), StateProof(siblings=(EMPTY,), leaf=(key_of(0), ONE)))


def test_a_leaf_elsewhere_proves_no_absence() -> None:
    """The other leaf must stand on the key's own path; a true leaf of another branch does not."""
    tree = SparseTree.EMPTY.update({key_of(0): ONE, key_of(0x80): TWO})
    proof = tree.prove(key_of(0))
    assert len(proof.siblings) == 1
    forged = StateProof(siblings=proof.siblings, leaf=(key_of(0), ONE))
    with pytest.raises(ProofError, match="shares 0 bits"):
        verify_absence(tree.root, key_of(0x80, 1), forged)
    with pytest.raises(ProofError, match="present"):
        verify_absence(tree.root, key_of(0), forged)


def test_the_deepest_leaves_work_and_no_path_is_longer() -> None:
    """Two keys that differ in their last bit stand at depth 256; they come, change, go and are proven."""
    twins = {key_of(7, 0): ONE, key_of(7, 1): TWO}
    tree = SparseTree.EMPTY.update(twins).update({key_of(7, 1): THREE})
    assert tree.root == defined_root({**twins, key_of(7, 1): THREE})
    proof = tree.prove(key_of(7, 1))
    assert len(proof.siblings) == DEPTH_MAX
    verify_presence(tree.root, key_of(7, 1), THREE, proof)
    assert tree.update({key_of(7, 0): None}).root == defined_root({key_of(7, 1): THREE})
    too_long = StateProof(siblings=(*proof.siblings, ONE), leaf=None)
    with pytest.raises(ProofError, match="at most 256"):
        verify_presence(tree.root, key_of(7, 1), THREE, too_long)


def test_the_empty_map_has_the_empty_root() -> None:
    """32 zero bytes; every absence follows from it without a path."""
    assert SparseTree.EMPTY.root == EMPTY == bytes(32)
    assert SparseTree.EMPTY.prove(ONE) == StateProof(siblings=(), leaf=None)
    verify_absence(EMPTY, ONE, SparseTree.EMPTY.prove(ONE))


def test_many_keys_agree_with_the_definition() -> None:
    """Thousands of keys in two batches with deletions, as a block brings them."""
    content = {sha256(b"key %d" % number): sha256(b"value %d" % number) for number in range(3000)}
    changes: dict[Digest, Digest | None] = {sha256(b"key %d" % number): ONE for number in range(2000, 4000)}
    changes |= {sha256(b"key %d" % number): None for number in range(0, 2500, 3)}
    tree = SparseTree.EMPTY.update(content).update(changes)
    assert tree.root == defined_root(changed(content, changes))


@pytest.mark.parametrize("changes", [{ONE[:31]: TWO}, {ONE: TWO[:31]}, {ONE + b"\x00": None}])
def test_keys_and_values_have_32_bytes(changes: dict[Digest, Digest | None]) -> None:
    """Anything else would make the leaf's hash ambiguous; it is the caller's mistake."""
    with pytest.raises(ValueError):
        SparseTree.EMPTY.update(changes)
