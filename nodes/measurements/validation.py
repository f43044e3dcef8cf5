"""How fast blocks are validated and committed: from their bytes to a state root and a durable journal.

Each round measures, one after the other, a plain loop over the signatures with `cryptography` (key objects made before)
and the whole validation at each number of records an envelope. Ratios are taken within a round, because the speed of a
shared machine drifts between them; what is reported are medians over the rounds and their spread.

    decode      blocks, envelopes and records from bytes, each compared with its own encoding
    roots       record roots, envelope ids, the payload root
    signatures  one batch a block
    execute     the rules of the registers, and the log's entries
    state root  the sparse Merkle tree over what changed
    journal     the block and its results appended, one sync a block
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.blocks.block import Block
from ledger.blocks.envelope import Envelope
from ledger.blocks.genesis import Genesis
from ledger.blocks.log import ExecutedBlock
from ledger.blocks.refusals import ACCEPTED
from ledger.crypto.signatures import verify_batch
from ledger.crypto.sparse_tree import SparseTree
from ledger.encoding import decode
from ledger.errors import DecodeError, InvariantBrokenError
from ledger.identifiers import ChainId, Digest
from ledger.members.departments import EnvelopeKey, envelope_key_key
from ledger.registers import RULEBOOK
from ledger.state.prepared import PreparedBlock, VerifyBatch
from ledger.state.store import State, tree_changes
from ledger.state.transition import Execution, execute_block
from ledger.storage.frames import Frame, FrameKind
from ledger.validation.envelopes import prepare_block
from nodes.files import DiskFolder
from nodes.journal import Journal

T = TypeVar("T")

STAGES = ("decode", "roots", "signatures", "execute", "state root", "journal")

SIGNED_TOGETHER = (1, 256)
"""Records an envelope that are measured: the fewest and the most."""


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

    def blocks(self, k: int) -> Sequence[bytes]:
        """Return encoded blocks with all records, `k` to an envelope."""
        ...


class Figure(NamedTuple):
    """One figure over all rounds."""

    median: float
    spread: float
    """Largest less smallest, relative to the median."""

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Return the figure of what the rounds gave."""
        middle = statistics.median(samples)
        return cls(middle, (max(samples) - min(samples)) / middle if middle else 0.0)


@dataclass(frozen=True, kw_only=True)
class ValidationFigures:
    """What was measured at one number of records an envelope."""

    k: int
    blocks: int
    records_per_second: Figure
    ratio_to_loop: Figure
    stage_us: Mapping[str, float]
    """Microseconds a record by stage, medians; in the order of `STAGES`."""

    @property
    def binding(self) -> str:
        """The stage that takes longest."""
        return max(self.stage_us, key=lambda stage: self.stage_us[stage])


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything one run has measured."""

    rounds: int
    records: int
    refused: int
    state_keys: int
    cpu_share: float
    """Processor time of this process by the time that passed: well below 1, others were at work on the same cores."""
    loop_per_second: Figure
    validation: tuple[ValidationFigures, ...]


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One way through all blocks."""

    total_s: float
    """From the first block's bytes to the last one's sync."""
    stage_s: Mapping[str, float]
    state_root: Digest


def measure(
    corpus: Corpus,
    directory: Path,
    *,
    rounds: int,
    verify: VerifyBatch = verify_batch,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Measure validation on `corpus` in `rounds` rounds.

    Args:
        directory: Where journals are written, in a temporary folder; the disk under it is part of what is measured.
        verify: The verifier that validation uses; the loop it is compared with stays the same.
        progress: Called after each round with the number of rounds done.

    Raises:
        InvariantBrokenError: Two passes ended in different states, or another number of records was refused.
        OSError, StorageFailedError: The journal cannot be written.
    """
    if rounds < 1:
        raise ValueError("at least one round")
    blocks = {k: corpus.blocks(k) for k in SIGNED_TOGETHER}
    signed = signatures_of(corpus, blocks[min(blocks)])
    loops: list[float] = []
    passes: dict[int, list[_Pass]] = {k: [] for k in blocks}
    with tempfile.TemporaryDirectory(prefix="mulu-bench-", dir=directory) as folder, _settled_collector():
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        for number in range(rounds):
            loops.append(len(signed) / loop_seconds(signed))
            for k, raws in blocks.items():
                place = Path(folder) / f"{number}-{k}"
                place.mkdir()
                passes[k].append(_pass(corpus, raws, place, verify))
            progress(number + 1)
        cpu_share = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
    for k, taken in passes.items():
        if len(roots := {one.state_root for one in taken}) != 1:
            raise InvariantBrokenError(f"the same blocks (k = {k}) gave {len(roots)} different states")
    return Report(
        rounds=rounds,
        records=corpus.record_count,
        refused=corpus.refused_count,
        state_keys=len(corpus.state()),
        cpu_share=cpu_share,
        loop_per_second=Figure.of(loops),
        validation=tuple(_figures(k, corpus, len(blocks[k]), taken, loops) for k, taken in passes.items()),
    )


def decode_block(raw: bytes) -> None:
    """Do what the stage `decode` does, and nothing else."""
    for envelope in decode(Block, raw).payload:
        for record in decode(Envelope, envelope).records:
            try:
                RULEBOOK.decode_record(record)
            except DecodeError:
                continue


def prepare(raw: bytes) -> PreparedBlock:
    """Do what the stages `decode` and `roots` do."""
    block = decode(Block, raw)
    return prepare_block(block.header.id, block.header, block.payload)


def state_root(tree: SparseTree, execution: Execution) -> Digest:
    """Do what the stage `state root` does; `tree` is that of the state executed on, which stays as it is."""
    return tree.update(tree_changes(execution.changes)).root


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


class _Stopwatch:
    """Adds up the time of calls under a name each."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def time(self, name: str, function: Callable[..., T], *arguments: object) -> T:
        """Return what `function` returns for `arguments`."""
        start = time.perf_counter()
        result = function(*arguments)
        self.seconds[name] += time.perf_counter() - start  # type: ignore[assignment]
        return result


def _pass(corpus: Corpus, raws: Sequence[bytes], directory: Path, verify: VerifyBatch) -> _Pass:
    """Validate and commit all blocks once, on a new state and into a new journal."""
    state, watch, refused = corpus.state(), _Stopwatch(), 0
    gc.collect()
    with open_journal(directory, corpus.genesis.chain) as journal:
        for raw in raws:
            tree = state.tree
            prepared = watch.time("prepare", prepare, raw)
            execution = watch.time("apply", execute_block, state, prepared, partial(watch.time, "signatures", verify))
            watch.time("advance", state.advance, execution)
            watch.time("journal", commit, journal, raw, execution)
            # Two pairs of stages run as one. The pure one of each pair is done once more, and taken from the sum.
            watch.time("decode", decode_block, raw)
            watch.time("state root", state_root, tree, execution)
            refused += sum(code != ACCEPTED for codes in execution.results for code in codes)
    if refused != corpus.refused_count:
        raise InvariantBrokenError(f"{refused} records were refused, and {corpus.refused_count} are wrong")
    took = watch.seconds
    applied = took["apply"] + took["advance"]
    return _Pass(
        total_s=took["prepare"] + applied + took["journal"],
        stage_s={
            "decode": took["decode"],
            "roots": max(0.0, took["prepare"] - took["decode"]),
            "signatures": took["signatures"],
            "execute": max(0.0, applied - took["signatures"] - took["state root"]),
            "state root": took["state root"],
            "journal": took["journal"],
        },
        state_root=state.root,
    )


def _figures(k: int, corpus: Corpus, blocks: int, passes: Sequence[_Pass], loops: Sequence[float]) -> ValidationFigures:
    rates = [corpus.record_count / one.total_s for one in passes]
    return ValidationFigures(
        k=k,
        blocks=blocks,
        records_per_second=Figure.of(rates),
        ratio_to_loop=Figure.of([rate / loop for rate, loop in zip(rates, loops, strict=True)]),
        stage_us={
            stage: statistics.median(one.stage_s[stage] for one in passes) / corpus.record_count * 1e6
            for stage in STAGES
        },
    )


def signatures_of(corpus: Corpus, raws: Iterable[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    """Return `(public, message, signature)` of every envelope in the blocks, in their order."""
    state = corpus.state()
    signed = []
    for raw in raws:
        for prepared in prepare(raw).envelopes:
            header = prepared.envelope.header
            key = state.get(envelope_key_key(header.department, header.key_id), EnvelopeKey)
            if key is None:
                raise InvariantBrokenError(f"the corpus's state has no key {header.key_id} of {header.department}")
            signed.append((key.public, bytes(prepared.id), prepared.envelope.signature))
    return signed


def loop_seconds(signed: Sequence[tuple[bytes, bytes, bytes]]) -> float:
    """Return how long it takes to verify signatures one by one with `cryptography`, key objects made before."""
    keys = {public: Ed25519PublicKey.from_public_bytes(public) for public, _, _ in signed}
    work = [(keys[public], signature, message) for public, message, signature in signed]
    start = time.perf_counter()
    for key, signature, message in work:
        key.verify(signature, message)
    return time.perf_counter() - start


@contextmanager
def _settled_collector() -> Iterator[None]:
    """Keep the corpus out of the garbage collector's way, as a node does with its imports."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
