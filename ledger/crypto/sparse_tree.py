"""A map from 32-byte keys to 32-byte values under one root, with proofs that a key is present or absent.

A sparse Merkle tree as in Jellyfish: each bit of a key, highest first, chooses left or right; an empty subtree hashes
to 32 zero bytes; a subtree with a single leaf is that leaf, however deep its key would reach. The shape follows from
the set of keys alone, so the same map has the same root whatever the order of its changes.

    leaf = SHA-256(STATE_LEAF || key || value)        node = SHA-256(STATE_NODE || left || right)

Both inputs have a fixed length. Keys must be digests: whoever could choose their bits could grow a path of 256 nodes.

A tree never changes. An update shares every subtree that it does not touch with the tree before, which stays readable.
The native core, where it is in use, keeps and hashes the nodes of the trees that start under it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, ClassVar, TypeAlias, cast

from msgspec import Meta

from ledger.crypto.backend import NativeTree, active_backend
from ledger.crypto.hashing import Tag, tagged_hash, tagged_hashes
from ledger.encoding import Canonical, Digest32
from ledger.errors import ProofError
from ledger.identifiers import Digest

DEPTH_MAX = 256
"""Bits of a key, hence the most siblings a path can have."""

EMPTY = Digest(bytes(32))
"""Hash of a subtree without leaves."""

# Plain tuples: there is one for every node of every version, and making them is most of what an update does but hash.
_Item: TypeAlias = tuple[Digest, Digest]
"""Key and value."""
_Leaf: TypeAlias = tuple[bytes, _Item]
"""Hash and item; told from a branch by its length of two."""
_Branch: TypeAlias = "tuple[bytes, _Node, _Node]"
"""Hash, left (bit 0) and right (bit 1). Below it are two leaves at least."""
_Node: TypeAlias = "_Leaf | _Branch | None"
"""A subtree; None is the empty one."""

_LEAF = Tag.STATE_LEAF.value
_NODE = Tag.STATE_NODE.value
_TOP_BIT = 1 << (DEPTH_MAX - 1)


class StateProof(Canonical, tag="state-proof", kw_only=True, frozen=True):
    """The way from the root to where a key is, or would be. One fact has one proof."""

    size_max: ClassVar[int] = DEPTH_MAX * 34 + 128

    siblings: Annotated[tuple[Digest32, ...], Meta(max_length=DEPTH_MAX)]
    """32-byte hashes beside the path, from the bottom upwards, at most 256; zero bytes for an empty subtree."""

    leaf: tuple[Digest32, Digest32] | None
    """Key and value of the other leaf that stands where the key would be; None if there is none."""


class SparseTree:
    """One version of the map. Immutable; `SparseTree.EMPTY` is where every history starts."""

    __slots__ = ("_top",)

    EMPTY: ClassVar[SparseTree]

    def __init__(self, top: _Node) -> None:
        self._top = top

    @property
    def root(self) -> Digest:
        """The 32-byte root; zero bytes for the empty map."""
        return _hash_of(self._top)

    def update(self, changes: Mapping[Digest, Digest | None]) -> SparseTree:
        """Return the tree after all `changes`: a new value for a key, or None to delete it, present or not.

        Args:
            changes: 32-byte keys with 32-byte values or None, in any order.

        Raises:
            ValueError: A key or a value is not 32 bytes long.

        Time O(changes x depth); subtrees that several changes reach are hashed once.
        """
        if self._top is None and (library := active_backend().library) is not None:
            return _NativeSparseTree(library.SparseTree(_LEAF, _NODE)).update(changes)
        for key, value in changes.items():
            if len(key) != 32 or (value is not None and len(value) != 32):
                raise ValueError(f"key {key.hex()} or its value does not have 32 bytes")
        items = sorted(changes.items())
        numbers = [int.from_bytes(key, "big") for key, _ in items]
        if not items:
            return self
        top = _apply(self._top, items, numbers, 0, len(items), 0, _TOP_BIT)
        return SparseTree(top)

    def update_hashed(
        self, keys: Sequence[bytes], values: Sequence[bytes], *, key_tag: Tag, value_tag: Tag
    ) -> SparseTree:
        """Return the tree after the hash of each value was set under the hash of its key.

        Args:
            keys, values: As many values as keys; of several values for one key the last counts.

        Raises:
            ValueError: There are more of one than of the other.
        """
        digests = zip(tagged_hashes(key_tag, keys), tagged_hashes(value_tag, values), strict=True)
        return self.update(dict(digests))

    def get(self, key: Digest) -> Digest | None:
        """Return the value under `key`, or None."""
        item, _ = self._descend(key)
        return item[1] if item is not None and item[0] == key else None

    def prove(self, key: Digest) -> StateProof:
        """Return the proof that `key` has its value, or that it has none."""
        item, siblings = self._descend(key)
        met = None if item is None or item[0] == key else item
        return StateProof(siblings=tuple(reversed(siblings)), leaf=met)

    def _descend(self, key: Digest) -> tuple[_Item | None, list[Digest]]:
        """Return the item or the empty subtree on the key's path, and the hashes beside the path from the top down."""
        node, number, half, siblings = self._top, int.from_bytes(key, "big"), _TOP_BIT, []
        while node is not None and len(node) == 3:
            _, left, right = node
            node, sibling = (right, left) if number & half else (left, right)
            siblings.append(_hash_of(sibling))
            half >>= 1
        return node and node[1], siblings


class _NativeSparseTree(SparseTree):
    """A tree whose nodes the native core keeps."""

    __slots__ = ("_tree",)

    def __init__(self, tree: NativeTree) -> None:
        self._tree = tree

    @property
    def root(self) -> Digest:
        return Digest(self._tree.root)

    def update(self, changes: Mapping[Digest, Digest | None]) -> SparseTree:
        return _NativeSparseTree(self._tree.update(changes.items()))

    def update_hashed(
        self, keys: Sequence[bytes], values: Sequence[bytes], *, key_tag: Tag, value_tag: Tag
    ) -> SparseTree:
        # In one call no digest becomes an object, and nothing of it needs the interpreter but taking hold of the bytes.
        return _NativeSparseTree(self._tree.update_hashed(keys, values, key_tag.value, value_tag.value))

    def _descend(self, key: Digest) -> tuple[_Item | None, list[Digest]]:
        leaf, siblings = self._tree.descend(key)
        return cast("_Item | None", leaf), cast("list[Digest]", siblings)


SparseTree.EMPTY = SparseTree(None)


def verify_presence(root: bytes, key: bytes, value: bytes, proof: StateProof) -> None:
    """Check that the map behind `root` has `value` under `key`.

    Args:
        root: 32-byte root. Trusted already: how it came to be signed is not checked here.
        key, value: 32 bytes each.
        proof: From anywhere.

    Raises:
        ProofError: The proof has another shape than the one proof of this fact, or leads to another root.
    """
    _check_digests(key, value)
    if proof.leaf is not None:
        raise ProofError("a proof of presence carries no other leaf")
    _check_path(root, key, tagged_hash(Tag.STATE_LEAF, key + value), proof.siblings)


def verify_absence(root: bytes, key: bytes, proof: StateProof) -> None:
    """Check that the map behind `root` has nothing under `key`.

    Args:
        root: 32-byte root. Trusted already: how it came to be signed is not checked here.
        key: 32 bytes.
        proof: From anywhere.

    Raises:
        ProofError: The proof has another shape than the one proof of this fact, or leads to another root.
    """
    _check_digests(key)
    if proof.leaf is None:
        _check_path(root, key, EMPTY, proof.siblings)
        return
    _check_digests(*proof.leaf)
    other, value = proof.leaf
    if other == key:
        raise ProofError(f"key {key.hex()} is present, with value {value.hex()}")
    shared_bits = DEPTH_MAX - (int.from_bytes(key, "big") ^ int.from_bytes(other, "big")).bit_length()
    if shared_bits < len(proof.siblings):
        raise ProofError(f"the other leaf shares {shared_bits} bits with the key; its path has {len(proof.siblings)}")
    _check_path(root, key, tagged_hash(Tag.STATE_LEAF, other + value), proof.siblings)


def _check_path(root: bytes, key: bytes, bottom: Digest, siblings: tuple[Digest, ...]) -> None:
    if len(siblings) > DEPTH_MAX:
        raise ProofError(f"the path has {len(siblings)} hashes; at most {DEPTH_MAX} are possible")
    _check_digests(*siblings)
    # A leaf or an empty subtree beside an empty one would have moved up: such a path spells a shorter one.
    if siblings and siblings[0] == EMPTY:
        raise ProofError("the path starts beside an empty subtree, so it is longer than it must be")
    reached: bytes = bottom
    turns = int.from_bytes(key, "big") >> (DEPTH_MAX - len(siblings))
    for sibling in siblings:
        reached = sha256(_NODE + sibling + reached if turns & 1 else _NODE + reached + sibling).digest()
        turns >>= 1
    if reached != root:
        raise ProofError(f"the path leads to root {reached.hex()}, not {root.hex()}")


def _check_digests(*values: bytes) -> None:
    if wrong := set(map(len, values)) - {32}:
        raise ProofError(f"a key, value or hash has {wrong.pop()} bytes, not 32")


def _apply(
    node: _Node,
    items: list[tuple[Digest, Digest | None]],
    numbers: list[int],
    low: int,
    high: int,
    first: int,
    half: int,
) -> _Node:
    """Return the subtree `node` after the changes `items[low:high]`; the same object if they change nothing.

    Args:
        items, numbers: All changes in the order of their keys, and the keys as integers.
        low, high: The changes whose keys belong to this subtree; one at least.
        first: Smallest key of this subtree, as an integer.
        half: The bit that this subtree splits at: its right half starts with key `first | half`.
    """
    if high - low == 1:
        return _apply_one(node, items[low], numbers[low], half)
    left: _Node
    right: _Node
    if node is None:
        left = right = None
    elif len(node) == 2:
        # The leaf stands here for its own half, and the changes decide whether it must go further down.
        left, right = (None, node) if int.from_bytes(node[1][0], "big") & half else (node, None)
    else:
        _, left, right = node
    split, below = first | half, half >> 1
    middle = bisect_left(numbers, split, low, high)
    new_left = left if low == middle else _apply(left, items, numbers, low, middle, first, below)
    new_right = right if middle == high else _apply(right, items, numbers, middle, high, split, below)
    if new_left is left and new_right is right:
        return node
    if new_left is None or new_right is None:
        return _join(new_left, new_right)
    # As `_join` does it, without a call: this is where nearly all branches are made.
    return sha256(_NODE + new_left[0] + new_right[0]).digest(), new_left, new_right


def _apply_one(node: _Node, item: tuple[Digest, Digest | None], number: int, half: int) -> _Node:
    """As `_apply` for a single change to the key `number`, without a call for each level."""
    before = node
    path: list[_Branch] = []
    while node is not None and len(node) == 3:
        path.append(node)
        node = node[2] if number & half else node[1]
        half >>= 1
    key, value = item
    after: _Node
    if value is None:
        if node is None or node[1][0] != key:
            return before
        after = None
    else:
        after = (sha256(_LEAF + key + value).digest(), (key, value))
        if node is not None:
            if node[1] == after[1]:
                return before
            if node[1][0] != key:
                after = _fork(after, number, node, half)
    for branch in reversed(path):
        # Below the lowest bit `half` is 0: the path of a leaf at the full depth.
        half = half << 1 or 1
        left, right = (branch[1], after) if number & half else (after, branch[2])
        if left is None or right is None:
            after = _join(left, right)
        else:
            after = (sha256(_NODE + left[0] + right[0]).digest(), left, right)
    return after


def _fork(leaf: _Leaf, number: int, other: _Leaf, half: int) -> _Node:
    """Return the subtree, splitting at bit `half`, that holds exactly two leaves; `number` is the key of the first."""
    split = 1 << (number ^ int.from_bytes(other[1][0], "big")).bit_length() - 1
    node = _join(other, leaf) if number & split else _join(leaf, other)
    while split < half:
        split <<= 1
        node = _join(None, node) if number & split else _join(node, None)
    return node


def _join(left: _Node, right: _Node) -> _Node:
    """Return the subtree with these halves: a branch, unless a single leaf or nothing is left."""
    if left is None:
        if right is None or len(right) == 2:
            return right
        return sha256(_NODE + EMPTY + right[0]).digest(), None, right
    if right is None:
        if len(left) == 2:
            return left
        return sha256(_NODE + left[0] + EMPTY).digest(), left, None
    return sha256(_NODE + left[0] + right[0]).digest(), left, right


def _hash_of(node: _Node) -> Digest:
    return EMPTY if node is None else Digest(node[0])
