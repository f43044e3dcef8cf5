"""What a member has executed: the state, the log, where each block's entries stand, and the newest blocks in full."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ledger.blocks.genesis import Genesis
from ledger.blocks.log import BlockRecord, ExecutedBlock
from ledger.consensus.messages import Proposal
from ledger.crypto.merkle import LogTree, leaf_hash, leaf_hashes
from ledger.errors import NotYetError
from ledger.identifiers import Digest, EnvelopeId, Height
from ledger.replica.attested import Lookback, Touches, place_of
from ledger.replica.cache import MemberCache
from ledger.state.prepared import PreparedBlock, VerifyBatch
from ledger.state.store import State
from ledger.state.transition import Execution, execute_block
from ledger.validation.envelopes import prepare_payload

PLACEMENTS_BLOCKS = 1_024
PLACEMENTS_ENVELOPES = 65_536
"""Newest blocks, and envelopes in them, that can be looked up by id here; the index has the rest."""


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
    """Committed blocks and what became of them, by height. A real node reads them from its journal."""

    def add(self, raw: bytes, executed: ExecutedBlock) -> None:
        """Take note of an executed block; heights come in order, from 1."""

    def get(self, height: Height) -> bytes | None:
        """Return the encoded block; None if it is not there, or cannot be read now."""

    def executed(self, height: Height) -> ExecutedBlock | None:
        """Return the block's results; None if they are not there, or cannot be read now."""


class MemoryArchive:
    """All blocks in memory, for simulations and tests."""

    def __init__(self) -> None:
        self._blocks: list[tuple[bytes, ExecutedBlock]] = []

    def add(self, raw: bytes, executed: ExecutedBlock) -> None:
        """Keep the next block."""
        if executed.record.height != len(self._blocks) + 1:
            raise ValueError(f"block {executed.record.height} archived after {len(self._blocks)}")
        self._blocks.append((raw, executed))

    def get(self, height: Height) -> bytes | None:
        """Return the encoded block."""
        return self._blocks[height - 1][0] if 1 <= height <= len(self._blocks) else None

    def executed(self, height: Height) -> ExecutedBlock | None:
        """Return the block's results."""
        return self._blocks[height - 1][1] if 1 <= height <= len(self._blocks) else None


class _RecentBlock(NamedTuple):
    """What is kept in memory of an executed block."""

    height: Height
    first_index: int
    """Log index of its first entry."""
    ids: tuple[EnvelopeId, ...]
    entries: tuple[bytes, ...]
    executed: ExecutedBlock


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
        self._genesis_record = self.head
        self._indices: dict[EnvelopeId, int] = {}
        """Log index of each envelope in the recent blocks, where it was committed first."""
        self._recent: deque[_RecentBlock] = deque()

    def prepared(self, proposal: Proposal) -> PreparedBlock:
        """Return the decoded block.

        Raises:
            InvalidInputError: An envelope is not well-formed: the block is invalid.
        """
        block = self._cache.blocks.get(proposal.id)
        if block is None:
            known = {raw: e for raw in proposal.block.payload if (e := self._cache.envelopes.get(raw)) is not None}
            block = prepare_payload(proposal.id, proposal.header, proposal.block.payload, known=known)
            self._cache.blocks.put(block)
        return block

    def execute(self, proposal: Proposal) -> tuple[PreparedBlock, Execution]:
        """Execute the next committed block; the log and the state are past it when this returns."""
        block = self.prepared(proposal)
        execution = execute_block(self.state, block, self._verify)
        first_index = self.log.size
        values = self.state.values
        self.lookback.note(execution.height, self.state.tree, {key: values.get(key) for key in execution.changes})
        self.state.advance(execution)
        self.log.extend(leaf_hashes(execution.entries))
        for index, touched in enumerate(execution.touched, first_index):
            self.touches.note(index, touched)
        self._sizes.append(self.log.size)
        self.head = execution.record
        self.archive.add(proposal.raw, execution.executed)
        self._note_recent(block, execution, first_index)
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
        """Return the results of each envelope of an executed block, and the encoded block record.

        Raises:
            NotYetError: The block is not a recent one and cannot be read now.
        """
        if height == 0:
            return (), self._genesis_record.encode()
        recent = self._recent_at(height)
        executed = recent.executed if recent is not None else self.archive.executed(height)
        if executed is None:
            raise NotYetError(f"the results of height {height} cannot be read at this node now")
        return executed.results, executed.record.encode()

    def placement(self, envelope: EnvelopeId) -> Placement | None:
        """Return where an envelope of the recent blocks stands, the first time it was committed."""
        index = self._indices.get(envelope)
        if index is None:
            return None
        height, position = self.place(index)
        recent = self._recent_at(height)
        if recent is None:
            return None
        executed = recent.executed
        return Placement(height, executed.record.time_ms, index, executed.results[position], recent.entries[position])

    def _recent_at(self, height: Height) -> _RecentBlock | None:
        position = height - self._recent[0].height if self._recent else -1
        return self._recent[position] if 0 <= position < len(self._recent) else None

    def _note_recent(self, block: PreparedBlock, execution: Execution, first_index: int) -> None:
        ids = tuple([envelope.id for envelope in block.envelopes])
        recent = _RecentBlock(execution.height, first_index, ids, execution.entries, execution.executed)
        self._recent.append(recent)
        for index, envelope in enumerate(recent.ids, first_index):
            self._indices.setdefault(envelope, index)
        while len(self._recent) > 1 and (
            len(self._recent) > PLACEMENTS_BLOCKS or len(self._indices) > PLACEMENTS_ENVELOPES
        ):
            forgotten = self._recent.popleft()
            for index, envelope in enumerate(forgotten.ids, forgotten.first_index):
                if self._indices.get(envelope) == index:
                    del self._indices[envelope]


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
