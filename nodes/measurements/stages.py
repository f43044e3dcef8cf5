"""The stages of validation, each as a function, and one timed way of blocks through all of them.

decode      blocks, envelopes and records from bytes, each compared with its own encoding
roots       record roots, envelope ids, the payload root
signatures  one batch a block
execute     the rules of the registers, and the log's entries
state root  the sparse Merkle tree over what changed
journal     the block and its results appended, one sync a block
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.blocks.block import Block, payload_root
from ledger.blocks.envelope import SUITE_AND_SIGNATURE_SIZE
from ledger.blocks.genesis import Genesis
from ledger.blocks.log import ExecutedBlock
from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.hashing import Tag, tagged_hashes
from ledger.crypto.merkle import root_of, tagged_leaf_hashes
from ledger.crypto.sparse_tree import SparseTree
from ledger.encoding import decode
from ledger.errors import InvariantBrokenError
from ledger.identifiers import ChainId, Digest
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.state.prepared import PreparedBlock, VerifyBatch
from ledger.state.store import State, updated_tree
from ledger.state.transition import Execution, execute_block, execute_envelopes
from ledger.storage.frames import Frame, FrameKind
from ledger.validation.envelopes import prepare_block, records_of, split
from nodes.collector import collector_paused
from nodes.files import DiskFolder
from nodes.journal import Journal
from nodes.measurements.rounds import Sample
from nodes.measurements.slowing import NOT_SLOWED, Slowing
from nodes.pipeline import Gauges, KnownKeys, Pipeline
from nodes.settling import Settler
from nodes.verification import verify_batch

T = TypeVar("T")

STAGES = ("decode", "roots", "signatures", "execute", "state root", "journal")

STATELESS = STAGES[:3]
"""Those that need no state, and can run ahead of the others."""

SETTLING = STAGES[4:]
"""Those that the next block's execution need not wait for."""

Signed = tuple[bytes, bytes, bytes]
"""`(public, message, signature)`."""


class Corpus(Protocol):
    """Blocks to measure with, and the state they build on; `scenarios.beijing.corpus` makes one."""

    @property
    def genesis(self) -> Genesis: ...
    @property
    def record_count(self) -> int: ...
    @property
    def refused_count(self) -> int:
        """How many of the records must be refused."""
        ...

    def state(self) -> State: ...

    def with_state_keys(self, keys: int) -> Corpus:
        """Return the same records on a state filled up to `keys` keys."""
        ...

    def blocks(self, k: int, *, records_per_block: int = ...) -> Sequence[bytes]:
        """Return encoded blocks with all records, `k` to an envelope."""
        ...


def prepare(raw: bytes) -> PreparedBlock:
    """Do what the stages `decode` and `roots` do."""
    block = decode(Block, raw)
    return prepare_block(block.header.id, block.header, block.payload)


def hash_roots(block: PreparedBlock) -> tuple[Digest, list[Digest]]:
    """Do what the stage `roots` does, once more; return the payload root and the envelopes' ids.

    All hashes of a kind in one call, as preparing a block makes them; with the native core they are made while the
    bytes are looked at, so that these here are a little dearer.
    """
    envelopes = [prepared.envelope for prepared in block.envelopes]
    ids = tagged_hashes(Tag.ENVELOPE, [prepared.signed[:-SUITE_AND_SIGNATURE_SIZE] for prepared in block.envelopes])
    leaves = tagged_leaf_hashes(Tag.RECORD, records_of(envelopes))
    roots = map(root_of, split(leaves, envelopes)) if len(leaves) > len(envelopes) else leaves
    if [envelope.header.records_root for envelope in envelopes] != list(roots):
        raise InvariantBrokenError("an envelope that was prepared has another records root than its header")
    return payload_root([prepared.raw for prepared in block.envelopes]), ids


def state_root(tree: SparseTree, execution: Execution) -> Digest:
    """Do what the stage `state root` does; `tree` is that of the state executed on, which stays as it is."""
    return updated_tree(tree, execution.changes).root


def commit(journal: Journal, raw: bytes, execution: Execution) -> None:
    """Do what the stage `journal` does: when this returns, block and results are on the disk."""
    executed = ExecutedBlock(results=execution.results, record=execution.record)
    journal.append(Frame(FrameKind.BLOCK, execution.height, raw))
    journal.append(Frame(FrameKind.EXECUTED, execution.height, executed.encode()))
    journal.sync()


@contextmanager
def open_journal(directory: Path, chain: ChainId) -> Iterator[Journal]:
    """Open an empty journal in an empty directory, without a reserve for a full disk."""
    journal = Journal.open(DiskFolder(directory), chain_id=chain, synced_offset=0, ballast_bytes=0)
    try:
        yield journal
    finally:
        journal.close()


def copy_of(state: State) -> State:
    """Return a state that can be advanced while the other stays as it is, without building the tree again."""
    copied = copy.copy(state)
    copied.values = dict(state.values)
    copied.pending_deadlines = copy.deepcopy(state.pending_deadlines)
    return copied


@dataclass
class Passes:
    """The same blocks on the same state, again and again: each time on a copy, and into a new journal."""

    state: State
    blocks: Sequence[bytes]
    refused_count: int | None
    """How many records are wrong; None if the first pass is to say it."""
    directory: Path
    """Gets one folder a pass."""
    verify: VerifyBatch = verify_batch
    slowing: Slowing = NOT_SLOWED
    root: Digest | None = None
    """State root that each pass must come to; None if the first one is to say it."""
    _done: int = field(default=0, init=False)

    def run(self) -> Sample:
        """Validate and commit all blocks once.

        Raises:
            InvariantBrokenError: Another number of records was refused, or this pass ended in another state.
            OSError, StorageFailedError: The journal cannot be written.
        """
        state = copy_of(self.state)
        with open_journal(self._new_directory(), state.chain) as journal:
            validation = _TimedValidation(state, journal, self.verify, self.slowing)
            for raw in self.blocks:
                validation.apply(raw)
        self.check(validation.refused, state.root)
        return validation.sample()

    def run_ahead(self, pipeline: Pipeline) -> Sample:
        """Validate and commit all blocks once, each prepared by `pipeline` while those before it are executed.

        The stages of the sample are the pipeline's own: what its workers and this side were busy with.
        """
        state, pipeline.gauges, refused, records = copy_of(self.state), Gauges.zero(), 0, 0
        # As at a replay.
        with open_journal(self._new_directory(), state.chain) as journal, collector_paused():
            start = time.perf_counter()
            raws = iter(self.blocks)
            with Settler(state, lambda done: commit(journal, next(raws), done), pipeline.gauges.settle) as settler:
                for prepared in pipeline.prepare(self.blocks, KnownKeys(state)):
                    outcome = execute_envelopes(state, prepared, self.verify)
                    settler.take(outcome)
                    codes = b"".join(outcome.results)
                    records += len(codes)
                    refused += len(codes) - codes.count(ACCEPTED)
            seconds = time.perf_counter() - start
        self.check(refused, state.root)
        gauges = pipeline.gauges
        return Sample(
            records,
            seconds,
            {
                "ahead": gauges.examine.busy_s,
                "wait": gauges.wait.busy_s,
                "take over": gauges.take_over.busy_s,
                "execute": gauges.execute.busy_s,
                "settle": gauges.settle.busy_s,
            },
        )

    def check(self, refused: int, root: Digest) -> None:
        """Check that a pass did what all of them must do."""
        if self.refused_count not in (None, refused):
            raise InvariantBrokenError(f"{refused} records were refused, and {self.refused_count} are wrong")
        if self.root not in (None, root):
            raise InvariantBrokenError("the same blocks gave different states")
        self.refused_count, self.root = refused, root

    def _new_directory(self) -> Path:
        self._done += 1
        place = self.directory / str(self._done)
        place.mkdir(parents=True)
        return place


class _TimedValidation:
    """Blocks one after the other through all stages on one core, with the time that each stage takes."""

    def __init__(self, state: State, journal: Journal, verify: VerifyBatch, slowing: Slowing) -> None:
        self._state, self._journal, self._verify, self._slowing = state, journal, verify, slowing
        self._stage_s = dict.fromkeys(STAGES, 0.0)
        self._records = self.refused = 0

    def apply(self, raw: bytes) -> None:
        """Validate and commit one block."""
        state, tree = self._state, self._state.tree
        signatures_s = 0.0

        def verify(items: Sequence[Signed]) -> list[bool]:
            nonlocal signatures_s
            verdicts, signatures_s = timed(lambda: self._verify(items))
            return verdicts

        prepared, prepare_s = timed(lambda: prepare(raw))
        execution, execute_s = timed(lambda: execute_block(state, prepared, verify))
        _, advance_s = timed(lambda: state.advance(execution))
        _, journal_s = timed(lambda: commit(self._journal, raw, execution))
        # Two pairs of stages run as one. The pure one of each pair is done once more, and taken from the sum.
        _, roots_s = timed(lambda: hash_roots(prepared))
        _, state_root_s = timed(lambda: state_root(tree, execution))
        self._note(
            decode=prepare_s - roots_s,
            roots=roots_s,
            signatures=signatures_s,
            execute=execute_s + advance_s - signatures_s - state_root_s,
            state_root=state_root_s,
            journal=journal_s,
        )
        codes = b"".join(execution.results)
        self._records += len(codes)
        self.refused += len(codes) - codes.count(ACCEPTED)

    def _note(self, **took_s: float) -> None:
        for name, seconds in took_s.items():
            stage = name.replace("_", " ")
            self._stage_s[stage] += self._slowing.extend(stage, seconds)

    def sample(self) -> Sample:
        """Return the times of all blocks so far. What was done twice counts once."""
        stage_s = {stage: max(0.0, seconds) for stage, seconds in self._stage_s.items()}
        return Sample(self._records, sum(stage_s.values()), stage_s)


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """Return what `function` returns, and the seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def signatures_of(state: State, raws: Iterable[bytes]) -> list[Signed]:
    """Return `(public, message, signature)` of every envelope in the blocks, in their order, with keys from `state`."""
    signed = []
    for raw in raws:
        for prepared in prepare(raw).envelopes:
            header = prepared.envelope.header
            key = state.get(envelope_key_key(header.department, header.key_id), EnvelopeKey)
            if key is None:
                raise InvariantBrokenError(f"the corpus's state has no key {header.key_id} of {header.department}")
            signed.append((key.public, bytes(prepared.id), prepared.envelope.signature))
    return signed


def run_loop(signed: Sequence[Signed]) -> Sample:
    """Verify signatures one by one with `cryptography`, key objects made before."""
    keys = {public: Ed25519PublicKey.from_public_bytes(public) for public, _, _ in signed}
    work = [(keys[public], signature, message) for public, message, signature in signed]
    start = time.perf_counter()
    for key, signature, message in work:
        key.verify(signature, message)
    return Sample(len(work), time.perf_counter() - start)
