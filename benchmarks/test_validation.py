"""Each stage of validation alone, on one block: `pytest benchmarks/`.

`mulu bench validation` measures the stages together and as ratios; this is for comparing one stage before and after a
change, with pytest-benchmark's own means: `--benchmark-autosave`, `--benchmark-compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.corpus import block_of, corpus, note_rate, prepared_of
from ledger.state.transition import execute_block
from nodes.journal import Journal
from nodes.measurements.stages import (
    commit,
    hash_roots,
    open_journal,
    prepare,
    run_loop,
    signatures_of,
    state_root,
)
from nodes.verification import verify_batch

pytestmark = pytest.mark.benchmark(group="validation", disable_gc=False, min_rounds=7)

K = pytest.mark.parametrize("k", [1, 256])


def trusting(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Take every signature for good: another test measures them."""
    return [True] * len(items)


@K
def test_roots(benchmark: BenchmarkFixture, k: int) -> None:
    """Record roots, envelope ids, and the payload root."""
    prepared = prepared_of(k)
    payload_root, ids = benchmark(hash_roots, prepared)
    note_rate(benchmark)
    assert payload_root == prepared.header.payload_root
    assert ids == [envelope.id for envelope in prepared.envelopes]


@K
def test_decode_and_roots(benchmark: BenchmarkFixture, k: int) -> None:
    """Block, envelopes and records from their bytes, each in its one spelling and compared with its hashes."""
    prepared = benchmark(prepare, block_of(k))
    note_rate(benchmark)
    assert sum(len(envelope.records) for envelope in prepared.envelopes) == corpus().record_count


@K
def test_signatures(benchmark: BenchmarkFixture, k: int) -> None:
    """All signatures of the block, in one batch."""
    verdicts = benchmark(verify_batch, signatures_of(corpus().state(), [block_of(k)]))
    note_rate(benchmark)
    assert len(verdicts) == corpus().record_count // k
    assert all(verdicts)


def test_loop(benchmark: BenchmarkFixture) -> None:
    """What everything is compared with: the signatures of single records, verified one by one."""
    signed = signatures_of(corpus().state(), [block_of(1)])
    assert benchmark(run_loop, signed).count == corpus().record_count
    note_rate(benchmark)


@K
def test_execute_with_state_root(benchmark: BenchmarkFixture, k: int) -> None:
    """The registers' rules, the log's entries, and the state root."""
    state = corpus().state()
    execution = benchmark(execute_block, state, prepared_of(k), trusting)
    note_rate(benchmark)
    assert sum(code != 0 for codes in execution.results for code in codes) == corpus().refused_count


@K
def test_state_root(benchmark: BenchmarkFixture, k: int) -> None:
    """The sparse Merkle tree over what the block changed."""
    state = corpus().state()
    execution = execute_block(state, prepared_of(k), trusting)
    root = benchmark(state_root, state.tree, execution)
    note_rate(benchmark)
    assert root == execution.record.state_root


@K
def test_journal(benchmark: BenchmarkFixture, tmp_path: Path, k: int) -> None:
    """The block and its results appended to a new journal, and one sync."""
    raw, chain = block_of(k), corpus().genesis.chain
    execution = execute_block(corpus().state(), prepared_of(k), trusting)
    with ExitStack() as journals:

        def open_next() -> tuple[tuple[Journal], dict[str, object]]:
            place = tmp_path / str(len(list(tmp_path.iterdir())))
            place.mkdir()
            return (journals.enter_context(open_journal(place, chain)),), {}

        benchmark.pedantic(lambda journal: commit(journal, raw, execution), setup=open_next, rounds=7)
    note_rate(benchmark)
    assert all(len(list(place.iterdir())) == 1 for place in tmp_path.iterdir())
