"""What a member has executed: the state, the log, where each block's entries stand, and the newest blocks in full."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from ledger.blocks.genesis import Genesis
from ledger.blocks.log import BlockRecord
from ledger.consensus.messages import Proposal
from ledger.crypto.merkle import LogTree, leaf_hash
from ledger.identifiers import Digest, EnvelopeId, Height
from ledger.replica.attested import Lookback, Touches, place_of
from ledger.replica.cache import MemberCache
from ledger.state.prepared import PreparedBlock, VerifyBatch
from ledger.state.store import State
from ledger.state.transition import Execution, execute_block
from ledger.validation.envelopes import prepare_payload

PLACEMENTS_BLOCKS = 1_024
"""Newest blocks whose envelopes can be looked up by id here; the index has the rest."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an envelope stands in the log, and what became of its records."""

    height: Height
    time_ms: int
    """Of the block."""
    index: int
    """Of its entry in the log."""
    results: bytes
    """One code a record; 0 is accepted."""
    entry: bytes
    """The entry itself."""


class BlockArchive(Protocol):
    """Committed blocks by height, for members that catch up. A real node reads them from its journal."""

    def add(self, height: Height, raw: bytes) -> None:
        """Take note of a committed block; heights come in order."""

    def get(self, height: Height) -> bytes | None:
        """Return the encoded block."""


class MemoryArchive:
    """All blocks in memory, for simulations and tests."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def add(self, height: Height, raw: bytes) -> None:
        """Keep the next block."""
        if height != len(self._blocks) + 1:
            raise ValueError(f"block {height} archived after {len(self._blocks)}")
        self._blocks.append(raw)

    def get(self, height: Height) -> bytes | None:
        """Return the encoded block."""
        return self._blocks[height - 1] if 1 <= height <= len(self._blocks) else None


class History:
    """The executed prefix. Grows by `execute`, block by block, and never shrinks."""

    def __init__(
        self, genesis: Genesis, *, verify: VerifyBatch, cache: MemberCache, archive: BlockArchive | None = None
    ) -> None:
        self.state = State.of_genesis(genesis)
        self.archive = archive if archive is not None else MemoryArchive()
        self._verify = verify
        self._cache = cache
        self.head = genesis_record(genesis, self.state)
        """Block record of the newest block."""
        self.log = LogTree([leaf_hash(self.head.encode())])
        """Tree over the leaf hashes of all entries."""
        self.lookback = Lookback()
        self.touches = Touches()
        self._sizes = array("Q", [1])
        self._outcomes: list[tuple[tuple[bytes, ...], bytes]] = [((), self.head.encode())]
        self._placements: dict[EnvelopeId, Placement] = {}
        self._recent: deque[tuple[EnvelopeId, ...]] = deque()

    def prepared(self, proposal: Proposal) -> PreparedBlock:
        """Return the decoded block.

        Raises:
            InvalidInputError: An envelope is not well-formed: the block is invalid.
        """
        block = self._cache.blocks.get(proposal.id)
        if block is None:
            known = {raw: e for raw in proposal.block.payload if (e := self._cache.envelopes.get(raw)) is not None}
            block = prepare_payload(proposal.id, proposal.header, proposal.block.payload, known=known)
            self._cache.blocks.put(proposal.id, block)
        return block

    def execute(self, proposal: Proposal) -> tuple[PreparedBlock, Execution]:
        """Execute the next committed block; the log and the state are past it when this returns."""
        block = self.prepared(proposal)
        execution = execute_block(self.state, block, self._verify)
        first_index = self.log.size
        values = self.state.values
        self.lookback.note(execution.height, self.state.tree, {key: values.get(key) for key in execution.changes})
        self.state.advance(execution)
        for entry in execution.entries:
            self.log.append(leaf_hash(entry))
        for index, touched in enumerate(execution.touched, first_index):
            self.touches.note(index, touched)
        self._sizes.append(self.log.size)
        self._outcomes.append((execution.results, execution.entries[-1]))
        self.head = execution.record
        self.archive.add(execution.height, proposal.raw)
        self._note_placements(block, execution, first_index)
        return block, execution

    def log_size(self, height: int) -> int | None:
        """Return the size of the log after the block of `height`."""
        return self._sizes[height] if 0 <= height < len(self._sizes) else None

    def log_root(self, size: int) -> Digest | None:
        """Return the root over the first `size` entries."""
        return self.log.root(size) if size <= self.log.size else None

    def place(self, index: int) -> tuple[Height, int]:
        """Return height and position in its block of a log entry; the block record comes after the envelopes.

        Raises:
            ValueError: The log is not that large.
        """
        return place_of(self._sizes, index)

    def outcome(self, height: Height) -> tuple[tuple[bytes, ...], bytes]:
        """Return the results of each envelope of an executed block, and the encoded block record."""
        return self._outcomes[height]

    def placement(self, envelope: EnvelopeId) -> Placement | None:
        """Return where an envelope of the newest `PLACEMENTS_BLOCKS` blocks stands, the first time it was committed."""
        return self._placements.get(envelope)

    def _note_placements(self, block: PreparedBlock, execution: Execution, first_index: int) -> None:
        for position, envelope in enumerate(block.envelopes):
            placement = Placement(
                execution.height,
                execution.record.time_ms,
                first_index + position,
                execution.results[position],
                execution.entries[position],
            )
            self._placements.setdefault(envelope.id, placement)
        self._recent.append(tuple(envelope.id for envelope in block.envelopes))
        if len(self._recent) > PLACEMENTS_BLOCKS:
            for forgotten in self._recent.popleft():
                self._placements.pop(forgotten, None)


def genesis_record(genesis: Genesis, state: State) -> BlockRecord:
    """Return the block record of height 0: leaf 0 of the log."""
    return BlockRecord(
        height=0,
        block=Digest(genesis.chain),
        parent=Digest(bytes(32)),
        time_ms=genesis.created_ms,
        state_root=state.root,
        validators_hash=state.validators.hash,
        deadlines=(),
    )
