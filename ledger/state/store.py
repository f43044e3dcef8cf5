"""The state as of one block: a map from keys to values, and the sparse Merkle tree over it.

Values are kept decoded, so that a rule's read is one look-up; their bytes are made once, when they change, and again
when somebody asks for a proof. The tree holds digests alone. Both are derived: from the genesis and the blocks, or
from a snapshot of keys and value bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from ledger.blocks.genesis import Genesis
from ledger.crypto.hashing import Tag, tagged_hash
from ledger.crypto.sparse_tree import SparseTree, StateProof
from ledger.encoding import Canonical, encode, encode_all
from ledger.errors import InvariantBrokenError
from ledger.identifiers import Digest, Height
from ledger.members.calendar import Calendar
from ledger.members.validators import ValidatorSet
from ledger.registers import RULEBOOK
from ledger.registers.deadlines import Deadline
from ledger.registers.register import Rulebook
from ledger.state.deadlines import PendingDeadlines

if TYPE_CHECKING:
    from ledger.state.transition import Execution, Outcome

T = TypeVar("T", bound=Canonical)


class State:
    """What all registers hold after the block at `height`. Changed by `advance` alone.

    Attributes:
        height, time_ms: Of the last executed block; 0 and the time of creation at genesis.
        chain, network: Id and name of the network.
        calendar, validators, rulebook: What does not change between epochs.
    """

    def __init__(
        self,
        genesis: Genesis,
        *,
        height: Height,
        time_ms: int,
        values: Mapping[bytes, Canonical],
        rulebook: Rulebook = RULEBOOK,
    ) -> None:
        self.height, self.time_ms = height, time_ms
        self.chain, self.network = genesis.chain, genesis.name
        self.calendar = Calendar(
            {day.date: day.working for day in genesis.calendar},
            utc_offset_hours=genesis.parameters.utc_offset_hours,
        )
        self.validators = ValidatorSet.of_genesis(genesis)
        self.rulebook = rulebook
        self.values: dict[bytes, Canonical] = dict(values)
        self.tree = updated_tree(SparseTree.EMPTY, values)
        self.pending_deadlines = PendingDeadlines(v for v in values.values() if isinstance(v, Deadline))

    @classmethod
    def of_genesis(cls, genesis: Genesis, *, rulebook: Rulebook = RULEBOOK) -> State:
        """Return the state before the first block."""
        return cls(
            genesis,
            height=Height(0),
            time_ms=genesis.created_ms,
            values=rulebook.found(genesis),
            rulebook=rulebook,
        )

    @classmethod
    def of_snapshot(
        cls,
        genesis: Genesis,
        items: Iterable[tuple[bytes, bytes]],
        *,
        height: Height,
        time_ms: int,
        rulebook: Rulebook = RULEBOOK,
    ) -> State:
        """Return the state that `items()` came from. Whether its root is the recorded one is the caller's to compare.

        Args:
            items: Pairs of key and canonical value bytes, in any order.

        Raises:
            DecodeError: A value is not of any kind that the registers know.
        """
        values = {key: rulebook.decode_value(raw) for key, raw in items}
        return cls(genesis, height=height, time_ms=time_ms, values=values, rulebook=rulebook)

    @property
    def root(self) -> Digest:
        """The 32-byte root of the tree, as it stands in the block record of `height`."""
        return self.tree.root

    def __len__(self) -> int:
        return len(self.values)

    def get(self, key: bytes, kind: type[T]) -> T | None:
        """Return the value under `key`, or None.

        Raises:
            InvariantBrokenError: The value there is of another kind.
        """
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind):
            raise InvariantBrokenError(f"state key {key!r} holds a {type(value).__name__}, not a {kind.__name__}")
        return value

    def value_bytes(self, key: bytes) -> bytes | None:
        """Return the canonical bytes of the value under `key`, or None."""
        value = self.values.get(key)
        return None if value is None else encode(value)

    def prove(self, key: bytes) -> StateProof:
        """Return the proof that `key` has its value as of this state, or that it has none."""
        return self.tree.prove(key_digest(key))

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, Canonical]]:
        """Yield keys that begin with `prefix` and their values, ascending. Sorts all keys; not for rules."""
        for key in sorted(key for key in self.values if key.startswith(prefix)):
            yield key, self.values[key]

    def advance(self, execution: Execution) -> None:
        """Apply what `execute_block` computed on this state.

        Raises:
            ValueError: It was computed on another height.
        """
        self.advance_values(execution)
        self.tree = execution.tree

    def advance_values(self, outcome: Outcome) -> None:
        """Apply all of it but the tree, so that the next block can be executed; `root` and `prove` are a block behind.

        Whoever calls this sets `tree` when `settle` has made it.

        Raises:
            ValueError: It was computed on another height.
        """
        if outcome.height != self.height + 1:
            raise ValueError(f"execution of height {outcome.height} applied to the state of height {self.height}")
        self.height, self.time_ms = outcome.height, outcome.block.header.time_ms
        self.values.update(outcome.changes)
        for deadline in outcome.deadlines:
            self.pending_deadlines.apply(deadline)


def key_digest(key: bytes) -> Digest:
    """Return the 32 bytes under which a state key stands in the tree."""
    return tagged_hash(Tag.STATE_KEY, key)


def value_digest(value: bytes) -> Digest:
    """Return the 32 bytes that the tree holds for a value's canonical bytes."""
    return tagged_hash(Tag.STATE_VALUE, value)


def updated_tree(tree: SparseTree, changes: Mapping[bytes, Canonical]) -> SparseTree:
    """Return the tree after new values by state key; each value is encoded here, once a block."""
    return tree.update_hashed(
        list(changes), encode_all(changes.values()), key_tag=Tag.STATE_KEY, value_tag=Tag.STATE_VALUE
    )
