"""The state's tree when it is large: how many updates a second it takes."""

from __future__ import annotations

import itertools

from ledger.crypto.hashing import sha256
from ledger.crypto.sparse_tree import SparseTree
from ledger.identifiers import Digest
from nodes.measurements.rounds import Sample, Task
from nodes.measurements.stages import timed

SMALL_KEYS, LARGE_KEYS = 1_000, 1_000_000
BATCH = 10_000
"""Distinct keys that one update changes: those of a large block."""


def tree_task(keys: int) -> Task:
    """Make a tree of `keys` keys, with the backend of this process; return the task that updates it.

    Each update is the next version of the same tree: nine keys of ten are there already, one is new.
    """
    tree = SparseTree.EMPTY.update({_digest(number): _digest(number + 1) for number in range(keys)})
    rounds = itertools.count(1)

    def run() -> Sample:
        nonlocal tree
        number = next(rounds)
        value = _digest(-number)
        step = max(1, keys // BATCH)
        there = [_digest(position * step + number % step) for position in range(BATCH * 9 // 10)]
        new = [_digest(keys * (number + 1) + position) for position in range(BATCH // 10)]
        changes = dict.fromkeys([*there, *new], value)

        def update() -> SparseTree:
            updated = tree.update(changes)
            # Nobody is done before the root is known.
            assert len(updated.root) == 32
            return updated

        tree, seconds = timed(update)
        return Sample(len(changes), seconds)

    return run


def _digest(number: int) -> Digest:
    return Digest(sha256(number.to_bytes(12, "big", signed=True)))
