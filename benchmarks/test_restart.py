"""A cold restart: the journal is scanned, and every block in it decoded, verified and executed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.corpus import corpus, note_rate
from ledger.blocks.log import ExecutedBlock
from ledger.encoding import decode
from ledger.state.store import State
from ledger.state.transition import execute_block
from ledger.storage.frames import FrameKind
from nodes.files import DiskFolder
from nodes.journal import Journal
from nodes.measurements.stages import commit, copy_of, open_journal, prepare
from nodes.verification import verify_batch

RECORDS_PER_BLOCK = 256


@pytest.mark.benchmark(group="restart", disable_gc=False, min_rounds=7)
@pytest.mark.parametrize("k", [1, 256])
def test_cold_restart(benchmark: BenchmarkFixture, tmp_path: Path, k: int) -> None:
    """What execution gives again is what the journal says it gave, and the state is the one before the restart."""
    before = corpus().state()
    state, chain = copy_of(before), corpus().genesis.chain
    with open_journal(tmp_path, chain) as journal:
        for raw in corpus().blocks(k, records_per_block=RECORDS_PER_BLOCK):
            execution = execute_block(state, prepare(raw), verify_batch)
            state.advance(execution)
            commit(journal, raw, execution)
        synced = journal.synced

    def restart() -> State:
        replayed = copy_of(before)
        journal = Journal.open(DiskFolder(tmp_path), chain_id=chain, synced_offset=synced, ballast_bytes=0)
        try:
            for _, frame in journal.frames():
                if frame.kind is FrameKind.BLOCK:
                    execution = execute_block(replayed, prepare(frame.payload), verify_batch)
                else:
                    assert decode(ExecutedBlock, frame.payload).results == execution.results
                    replayed.advance(execution)
        finally:
            journal.close()
        return replayed

    assert benchmark(restart).root == state.root
    note_rate(benchmark)
