"""Merkle trees of RFC 9162: roots, inclusion proofs, consistency proofs, and two append-only forms of the log's tree.

A leaf is SHA-256(0x00 || entry), an inner node SHA-256(0x01 || left || right), and a node without a right neighbour is
promoted to the next level unchanged. Leaves of every tree but the log's carry a domain tag after the 0x00.

Whoever builds a tree is trusted with its arguments and gets a `ValueError` for a wrong one; whatever comes with a proof
is hostile and gets a `ProofError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Self, cast

from ledger.crypto.backend import active_backend
from ledger.crypto.hashing import Tag, hash_all
from ledger.errors import ProofError
from ledger.identifiers import Digest

_LEAF = b"\x00"
_NODE = b"\x01"
_HASH_BYTES = 32
_PAIR_BYTES = 2 * _HASH_BYTES

EMPTY_ROOT = Digest(hashlib.sha256(b"").digest())
"""Root of the tree without leaves (RFC 9162, section 2.1.1)."""


def leaf_hash(entry: bytes) -> Digest:
    """Return the 32-byte leaf hash of an entry of the log, untagged so that any RFC 9162 verifier can check it."""
    return Digest(hashlib.sha256(_LEAF + entry).digest())


def tagged_leaf_prefix(tag: Tag) -> bytes:
    """Return what is hashed before a leaf's data in a tree other than the log's."""
    return _LEAF + tag.value


def tagged_leaf_hash(tag: Tag, data: bytes | memoryview) -> Digest:
    """Return the 32-byte leaf hash of `data` in a tree other than the log's: SHA-256(0x00 || tag || data)."""
    hasher = hashlib.sha256(tagged_leaf_prefix(tag))
    # Not put together first: data may be a mebibyte.
    hasher.update(data)
    return Digest(hasher.digest())


def leaf_hashes(entries: Sequence[bytes]) -> list[Digest]:
    """Return `leaf_hash(entry)` for each entry, in order."""
    return hash_all(_LEAF, entries)


def tagged_leaf_hashes(tag: Tag, entries: Sequence[bytes]) -> list[Digest]:
    """Return `tagged_leaf_hash(tag, entry)` for each entry, in order."""
    return hash_all(tagged_leaf_prefix(tag), entries)


def node_hash(left: bytes, right: bytes) -> Digest:
    """Return the 32-byte hash of the inner node above two 32-byte hashes."""
    return Digest(hashlib.sha256(_NODE + left + right).digest())


def root_of(leaf_hashes: Sequence[Digest]) -> Digest:
    """Return the root over `leaf_hashes`, which are the results of `leaf_hash()` or `tagged_leaf_hash()` in order.

    Source: RFC 9162, section 2.1.1. Time O(n), one hash a leaf.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    if (library := active_backend().library) is not None:
        return Digest(library.merkle_root(leaf_hashes))
    level = list(leaf_hashes)
    while len(level) > 1:
        promoted = level[len(level) & ~1 :]
        level = _parents(level)
        level += promoted
    return level[0]


def root_of_tagged(tag: Tag, entries: Sequence[bytes]) -> Digest:
    """Return the root of the tree, other than the log's, whose leaves are `tagged_leaf_hash(tag, entry)` in order."""
    if (library := active_backend().library) is not None:
        return Digest(library.merkle_root_of(tagged_leaf_prefix(tag), entries))
    return root_of(tagged_leaf_hashes(tag, entries))


def inclusion_path(leaf_hashes: Sequence[Digest], index: int) -> tuple[Digest, ...]:
    """Return the siblings of leaf `index`, from the leaf upwards, in the tree over all `leaf_hashes`.

    Raises:
        ValueError: There is no such leaf.
    """
    return LogTree(leaf_hashes).inclusion_path(index, len(leaf_hashes))


def consistency_path(leaf_hashes: Sequence[Digest], size_old: int) -> tuple[Digest, ...]:
    """Return the proof that the tree over the first `size_old` of `leaf_hashes` is a prefix of the tree over all.

    Raises:
        ValueError: `size_old` is not between 1 and the number of leaves.
    """
    return LogTree(leaf_hashes).consistency_path(size_old, len(leaf_hashes))


def root_from_path(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> Digest:
    """Return the one root under which `path` proves `leaf` to be entry `index` of `size`.

    Args:
        leaf: 32-byte leaf hash, not the entry itself.
        index, size: Zero-based position and number of leaves.
        path: 32-byte sibling hashes from the leaf upwards.

    Raises:
        ProofError: There is no such position, or the path does not have exactly the siblings that position has.

    Source: RFC 9162, section 2.1.3.2. Time O(log size).
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    # Below the level where the leaf's ancestors join the right edge every node has a sibling; on the edge itself only
    # right children have one, the others are promoted.
    levels_below_edge = (index ^ (size - 1)).bit_length()
    _check_path(path, length=levels_below_edge + (index >> levels_below_edge).bit_count())
    node: bytes = _digest(leaf, "the leaf hash")
    # Hashed in place, since verifiers climb some ten levels for each of many proofs.
    digest_of = hashlib.sha256
    for level, sibling in enumerate(path):
        is_right = level >= levels_below_edge or index >> level & 1
        node = digest_of(_NODE + sibling + node if is_right else _NODE + node + sibling).digest()
    return Digest(node)


def verify_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is entry `index` of the tree of `size` leaves behind `root`.

    Args:
        leaf: 32-byte leaf hash from `leaf_hash()` or `tagged_leaf_hash()`, not the entry itself.
        index, size: Zero-based position and number of leaves, `0 <= index < size`.
        path: 32-byte sibling hashes from the leaf upwards, at most `size.bit_length()` of them.
        root: 32-byte root. Trusted already: its signatures are not checked here.

    Raises:
        ProofError: The path has the wrong length or leads to another root.

    Source: RFC 9162, section 2.1.3.2. Time O(log size).
    """
    reached = root_from_path(leaf, index=index, size=size, path=path)
    if reached != root:
        raise ProofError(f"leaf {index} of {size} leads to root {reached.hex()}, not {root.hex()}")


def verify_consistency(
    *, size_old: int, size_new: int, root_old: bytes, root_new: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree behind `root_new` begins with all the leaves of the tree behind `root_old`.

    Args:
        size_old, size_new: Numbers of leaves, `1 <= size_old <= size_new`. Every tree begins with the empty one, so a
            proof from size 0 would show nothing and is refused.
        root_old, root_new: 32-byte roots. Trusted already to be of these sizes: signatures are not checked here.
        path: 32-byte hashes as made by `consistency_path()`; empty if the sizes are equal.

    Raises:
        ProofError: The sizes allow no proof, the path has the wrong length, or it leads to another root.

    Source: RFC 9162, section 2.1.4.2. Time O(log size_new).
    """
    if not 1 <= size_old <= size_new:
        raise ProofError(f"no consistency proof leads from {size_old} to {size_new} leaves")
    if size_old == size_new:
        _check_path(path, length=0)
        if root_old != root_new:
            raise ProofError(f"two roots of size {size_new}: {root_old.hex()} and {root_new.hex()}")
        return
    # The proof climbs from the last complete subtree of the old tree. If that subtree is the whole old tree, the proof
    # leaves it out, because the verifier has its root already.
    level, node = _last_complete_subtree(size_old)
    starts_from_root = node == 0
    levels_below_edge = (node ^ (size_new - 1 >> level)).bit_length()
    length = levels_below_edge + (node >> levels_below_edge).bit_count() + (not starts_from_root)
    _check_path(path, length=length)
    reached_old = reached_new = Digest(bytes(root_old if starts_from_root else path[0]))
    siblings = path if starts_from_root else path[1:]
    for height, sibling in enumerate(siblings):
        # A left sibling was there before; a right sibling is new to the old tree.
        if height >= levels_below_edge or node >> height & 1:
            reached_old = node_hash(sibling, reached_old)
            reached_new = node_hash(sibling, reached_new)
        else:
            reached_new = node_hash(reached_new, sibling)
    if reached_old != root_old:
        raise ProofError(f"consistency path leads to old root {reached_old.hex()}, not {root_old.hex()}")
    if reached_new != root_new:
        raise ProofError(f"consistency path leads to new root {reached_new.hex()}, not {root_new.hex()}")


class CompactRange:
    """The right frontier of a growing tree: the roots of its complete subtrees, enough to append and to give the root.

    Holds one hash for each set bit of `size`, so it is the part of the log's tree that is worth persisting.
    """

    __slots__ = ("_nodes", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._nodes: list[Digest] = []

    @classmethod
    def from_nodes(cls, size: int, nodes: Sequence[bytes]) -> Self:
        """Return the frontier of `size` leaves whose complete subtrees have the roots `nodes`, largest first.

        The hashes are taken as they are: compare `root()` with a trusted one.

        Raises:
            ProofError: There is not one 32-byte hash for each set bit of `size`.
        """
        if size < 0:
            raise ProofError(f"a tree cannot have {size} leaves")
        _check_path(nodes, length=size.bit_count())
        restored = cls()
        restored._size = size
        restored._nodes = [Digest(bytes(node)) for node in nodes]
        return restored

    @property
    def size(self) -> int:
        """Number of leaves appended so far."""
        return self._size

    @property
    def nodes(self) -> tuple[Digest, ...]:
        """Roots of the complete subtrees, largest (leftmost) first; what `from_nodes()` takes."""
        return tuple(self._nodes)

    def append(self, leaf: Digest) -> None:
        """Add one leaf hash at the right. Amortised O(1) hashes."""
        node = leaf
        # Each trailing 1 in the old size is a complete subtree that the new leaf makes half of a larger one.
        merged = self._size
        while merged & 1:
            node = node_hash(self._nodes.pop(), node)
            merged >>= 1
        self._nodes.append(node)
        self._size += 1

    def root(self) -> Digest:
        """Return the root over all leaves appended so far. Time O(log size)."""
        return _fold_right(self._nodes)

    def copy(self) -> CompactRange:
        """Return a frontier that grows on its own from here."""
        twin = CompactRange()
        twin._size = self._size
        twin._nodes = self._nodes.copy()
        return twin


class LogTree:
    """An append-only tree that answers for every size it ever had.

    Keeps the root of every complete subtree, level by level: two hashes a leaf, 64 bytes, and all questions cost
    O(log size).
    """

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Iterable[Digest] = ()) -> None:
        self._levels = [bytearray()]
        self.extend(list(leaf_hashes))

    @property
    def size(self) -> int:
        """Number of leaves appended so far."""
        return len(self._levels[0]) // _HASH_BYTES

    def append(self, leaf: Digest) -> None:
        """Add one leaf hash at the right. Amortised O(1) hashes."""
        self.extend((leaf,))

    def extend(self, leaf_hashes: Sequence[Digest]) -> None:
        """Add leaf hashes at the right, in order. Amortised O(1) hashes each, in one call for every level."""
        nodes = leaf_hashes
        for number in count():
            if number == len(self._levels):
                self._levels.append(bytearray())
            level = self._levels[number]
            # Without its right neighbour the last node had no parent yet.
            start = len(level) // _PAIR_BYTES * _PAIR_BYTES
            level += b"".join(nodes)
            pairs = [bytes(level[at : at + _PAIR_BYTES]) for at in range(start, len(level) - _HASH_BYTES, _PAIR_BYTES)]
            if not pairs:
                return
            nodes = hash_all(_NODE, pairs)

    def leaf(self, index: int) -> Digest:
        """Return leaf hash `index`.

        Raises:
            ValueError: There is no such leaf.
        """
        if not 0 <= index < self.size:
            raise ValueError(f"leaf {index} is not in a tree of {self.size} leaves")
        return self._node(0, index)

    def complete_nodes(self, level: int, start: int, end: int) -> bytes:
        """Return the roots of the complete subtrees `start` to `end - 1` of 2^level leaves, 32 bytes each, in a row.

        Raises:
            ValueError: The tree has not so many complete subtrees of this size.
        """
        complete = self.size >> level
        if not 0 <= start < end <= complete:
            raise ValueError(f"there are {complete} complete subtrees of 2^{level} leaves, and not {start} to {end}")
        return bytes(self._levels[level][_HASH_BYTES * start : _HASH_BYTES * end])

    def root(self, size: int | None = None) -> Digest:
        """Return the root over the first `size` leaves; over all of them without an argument.

        Raises:
            ValueError: The tree is not that large.
        """
        if size is None:
            size = self.size
        self._check_size(size)
        return self._root_of_range(0, size)

    def inclusion_path(self, index: int, size: int) -> tuple[Digest, ...]:
        """Return the siblings of leaf `index`, from the leaf upwards, in the tree over the first `size` leaves.

        Raises:
            ValueError: The tree is not that large, or has no such leaf.

        Source: RFC 9162, section 2.1.3.1.
        """
        self._check_size(size)
        if not 0 <= index < size:
            raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
        return tuple(self._siblings_above(0, index, size))

    def consistency_path(self, size_old: int, size_new: int) -> tuple[Digest, ...]:
        """Return the proof that the first `size_old` leaves are a prefix of the first `size_new`.

        Raises:
            ValueError: Not `1 <= size_old <= size_new`, or the tree is not that large.

        Source: RFC 9162, section 2.1.4.1.
        """
        self._check_size(size_new)
        if not 1 <= size_old <= size_new:
            raise ValueError(f"no consistency proof leads from {size_old} to {size_new} leaves")
        if size_old == size_new:
            return ()
        level, node = _last_complete_subtree(size_old)
        # The verifier knows the old root, so a subtree that is the whole old tree is left out.
        start = [] if node == 0 else [self._node(level, node)]
        return (*start, *self._siblings_above(level, node, size_new))

    def _siblings_above(self, level: int, node: int, size: int) -> list[Digest]:
        """Return the siblings on the way from a node, the `node`-th of its level, to the root over `size` leaves."""
        siblings = []
        while (1 << level) < size:
            sibling = node ^ 1
            start, end = sibling << level, sibling + 1 << level
            if end <= size:
                siblings.append(self._node(level, sibling))
            elif start < size:
                siblings.append(self._root_of_range(start, size))
            level += 1
            node >>= 1
        return siblings

    def _root_of_range(self, start: int, end: int) -> Digest:
        """Return the root over leaves `start` to `end - 1`, where a power of two >= `end - start` divides `start`."""
        nodes = []
        for level in range((end - start).bit_length() - 1, -1, -1):
            if end - start >> level & 1:
                # The lower bits of the length lie to the right of this subtree, and the shift drops them.
                nodes.append(self._node(level, (end >> level) - 1))
        return _fold_right(nodes)

    def _node(self, level: int, number: int) -> Digest:
        return Digest(bytes(self._levels[level][_HASH_BYTES * number : _HASH_BYTES * (number + 1)]))

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise ValueError(f"size {size} is not between 0 and the {self.size} leaves of this tree")


def _parents(level: list[Digest]) -> list[Digest]:
    """Return the hashes above the complete pairs of `level`; an odd last node is left out."""
    sha256 = hashlib.sha256
    pairs = zip(level[::2], level[1::2], strict=False)
    return cast("list[Digest]", [sha256(_NODE + left + right).digest() for left, right in pairs])


def _fold_right(nodes: Sequence[Digest]) -> Digest:
    """Return the root above complete subtrees of falling size."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root


def _last_complete_subtree(size: int) -> tuple[int, int]:
    """Return level and number within its level of the rightmost complete subtree of a tree with `size` >= 1 leaves."""
    level = (size & -size).bit_length() - 1
    return level, (size >> level) - 1


def _check_path(path: Sequence[bytes], *, length: int) -> None:
    if len(path) != length:
        raise ProofError(f"the path has {len(path)} hashes where exactly {length} belong")
    if wrong := set(map(len, path)) - {32}:
        raise ProofError(f"a hash of the path has {wrong.pop()} bytes, not 32")


def _digest(value: bytes, what: str) -> Digest:
    if len(value) != 32:
        raise ProofError(f"{what} has {len(value)} bytes, not 32")
    return Digest(bytes(value))
