"""What the benchmarks of single stages work on: one block, small enough for many rounds."""

from __future__ import annotations

from functools import cache

from pytest_benchmark.fixture import BenchmarkFixture

from ledger.state.prepared import PreparedBlock
from nodes.measurements.stages import prepare
from scenarios.beijing.corpus import Corpus, make_corpus


@cache
def corpus() -> Corpus:
    """Four departments with 256 records each, in one block, on a state of 10,000 keys."""
    return make_corpus(departments=4)


@cache
def block_of(k: int) -> bytes:
    """Return the block with `k` records to an envelope."""
    (raw,) = corpus().blocks(k)
    return raw


@cache
def prepared_of(k: int) -> PreparedBlock:
    """Return that block, decoded and compared with its hashes."""
    return prepare(block_of(k))


def note_rate(benchmark: BenchmarkFixture, records: int | None = None) -> None:
    """Put records a second beside the times, where times were taken at all."""
    if benchmark.stats is not None:
        benchmark.extra_info["records_per_second"] = round(
            (records or corpus().record_count) / benchmark.stats.stats.median
        )
