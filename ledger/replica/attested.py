"""A member as of its newest checkpoint with a quorum: what bundles and state proofs are made from.

The state runs ahead of that checkpoint by a few blocks. Of those blocks the old values are kept until the checkpoint
has passed them, and the old trees, which share almost all of their nodes with the new one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.blocks.block import Block
from ledger.blocks.checkpoint import QuorumCheckpoint
from ledger.blocks.envelope import Envelope
from ledger.blocks.log import EnvelopeEntry
from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.sparse_tree import SparseTree, StateProof
from ledger.encoding import Canonical, decode, encode
from ledger.errors import NotYetError
from ledger.identifiers import Digest, Height
from ledger.limits import RECORDS_PER_ENVELOPE_MAX
from ledger.members.validators import ValidatorSet

if TYPE_CHECKING:
    from ledger.replica.history import History


@dataclass(frozen=True, slots=True)
class _Before:
    height: Height
    tree: SparseTree
    """As it was before the block of `height`."""
    values: Mapping[bytes, Canonical | None]
    """What the block changed, as it was before."""


class Lookback:
    """What the newest blocks have changed, back to the checkpoint."""

    def __init__(self) -> None:
        self._blocks: deque[_Before] = deque()

    def note(self, height: Height, tree: SparseTree, values: Mapping[bytes, Canonical | None]) -> None:
        """Keep what is about to change by the block of `height`; heights come in order."""
        self._blocks.append(_Before(height, tree, values))

    def forget(self, height: int) -> None:
        """Drop the blocks up to `height`: nobody asks for what was before them any more."""
        while self._blocks and self._blocks[0].height <= height:
            self._blocks.popleft()

    def tree_at(self, height: int, newest: SparseTree) -> SparseTree:
        """Return the tree after the block of `height`."""
        return next((before.tree for before in self._blocks if before.height > height), newest)

    def value_at(self, height: int, key: bytes, newest: Canonical | None) -> Canonical | None:
        """Return the value after the block of `height`."""
        for before in self._blocks:
            if before.height > height and key in before.values:
                return before.values[key]
        return newest


class Touches:
    """Which accepted records have set each state key: 8 bytes a record and key."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, array[int]] = {}

    def note(self, index: int, touched: Sequence[Sequence[bytes]]) -> None:
        """Note the keys that each record of the envelope at log index `index` has set."""
        for position, keys in enumerate(touched):
            for key in keys:
                self._by_key.setdefault(key, array("Q")).append(index * RECORDS_PER_ENVELOPE_MAX + position)

    def of(self, key: bytes, *, before: int) -> list[tuple[int, int]]:
        """Return `(log index, position)` of the records that set `key`, those below log index `before`, ascending."""
        places = (divmod(place, RECORDS_PER_ENVELOPE_MAX) for place in self._by_key.get(key, ()))
        return [(index, position) for index, position in places if index < before]


class AttestedView:
    """A `ledger.proofs.view.LedgerView` over a member's history. Valid until the member executes its next block."""

    def __init__(
        self,
        history: History,
        validators: ValidatorSet,
        checkpoint: QuorumCheckpoint,
        log_signature: tuple[bytes, bytes],
    ) -> None:
        """As of `checkpoint`, which the member has executed as far as it reaches.

        Args:
            log_signature: The member's log key and its signature over the checkpoint's text.
        """
        self.validators = validators
        self.checkpoint = checkpoint
        self.log_signature = log_signature
        self._history = history
        self._tree = history.lookback.tree_at(checkpoint.height, history.state.tree)

    def value_bytes(self, key: bytes) -> bytes | None:
        """Return the canonical bytes of a state value, or None."""
        newest = self._history.state.values.get(key)
        value = self._history.lookback.value_at(self.checkpoint.height, key, newest)
        return None if value is None else encode(value)

    def prove(self, key: bytes) -> StateProof:
        """Return the proof that the state has its value, or none, under `key`."""
        return self._tree.prove(tagged_hash(Tag.STATE_KEY, key))

    def entry(self, index: int) -> bytes:
        """Return the bytes of a log entry, put together from its block and its results."""
        height, position = self._history.place(index)
        results, record = self._history.outcome(height)
        if position == len(results):
            return record
        return EnvelopeEntry.of(self.envelope(index), results[position]).encode()

    def inclusion_path(self, index: int) -> tuple[Digest, ...]:
        """Return the siblings of a log entry, from the leaf upwards, in the tree of `checkpoint.size` entries."""
        return self._history.log.inclusion_path(index, self.checkpoint.size)

    def envelope(self, index: int) -> Envelope:
        """Return the envelope of a log entry, with its records.

        Raises:
            NotYetError: The block cannot be read here now.
        """
        height, position = self._history.place(index)
        raw = self._history.archive.get(height)
        if raw is None:
            raise NotYetError(f"the block of height {height} cannot be read at this node now")
        return decode(Envelope, decode(Block, raw).payload[position])

    def history(self, key: bytes) -> list[tuple[int, int]]:
        """Return which accepted records set the state key: log index and position in the envelope, ascending."""
        return self._history.touches.of(key, before=self.checkpoint.size)


def place_of(sizes: array[int], index: int) -> tuple[Height, int]:
    """Return height and position in its block of the log entry `index`, given the log's size after each height.

    Raises:
        ValueError: The log is not that large.
    """
    if not 0 <= index < sizes[-1]:
        raise ValueError(f"the log has {sizes[-1]} entries, and none with index {index}")
    height = bisect_right(sizes, index)
    return Height(height), index - (sizes[height - 1] if height else 0)
