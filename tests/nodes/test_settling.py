"""What is settled on a thread is what execution gives when it does all of it at once."""

from __future__ import annotations

import threading
from functools import cache

import pytest

from ledger.blocks.block import Block
from ledger.crypto.signatures import verify_batch
from ledger.encoding import decode
from ledger.identifiers import BlockId
from ledger.state.prepared import PreparedBlock
from ledger.state.transition import Execution, execute_block, execute_envelopes
from ledger.validation.envelopes import prepare_block
from nodes.measurements.backends import using
from nodes.pipeline import Gauge
from nodes.settling import BLOCKS_BEHIND_MAX, Settler
from scenarios.beijing.corpus import Corpus, make_corpus


@cache
def corpus() -> Corpus:
    """Three departments with 24 records each."""
    return make_corpus(departments=3, records_per_department=24, state_keys=100)


@cache
def blocks() -> tuple[PreparedBlock, ...]:
    """The records in six blocks."""
    decoded = [decode(Block, raw) for raw in corpus().blocks(2, records_per_block=12)]
    return tuple([prepare_block(block.header.id, block.header, block.payload) for block in decoded])


@pytest.mark.parametrize("backend", ["auto", "python"])
def test_blocks_settled_behind_execution_are_those_executed_whole(backend: str) -> None:
    """Records, roots, entries and the last state, in order; each block is counted."""
    with using(backend):
        at_once, behind, gauge = corpus().state(), corpus().state(), Gauge()
        expected: list[Execution] = []
        settled: list[Execution] = []
        for block in blocks():
            expected.append(execute_block(at_once, block, verify_batch))
            at_once.advance(expected[-1])
        with Settler(behind, settled.append, gauge) as settler:
            for block in blocks():
                settler.take(execute_envelopes(behind, block, verify_batch))
    assert [(e.record, e.entries, e.results) for e in settled] == [(e.record, e.entries, e.results) for e in expected]
    assert (behind.height, behind.root, behind.values) == (at_once.height, at_once.root, at_once.values)
    assert (gauge.blocks, gauge.queued) == (len(blocks()), 0)


def test_execution_waits_when_too_many_blocks_are_behind() -> None:
    """A slow disk makes the stages before it wait, and memory stays bounded."""
    state, may_go_on = corpus().state(), threading.Event()
    taken: list[BlockId] = []

    def all_taken() -> None:
        with Settler(state, lambda execution: may_go_on.wait(10)) as settler:
            for block in blocks():
                settler.take(execute_envelopes(state, block, verify_batch))
                taken.append(block.id)
                if len(taken) == BLOCKS_BEHIND_MAX:
                    at_the_bound.set()

    at_the_bound = threading.Event()
    thread = threading.Thread(target=all_taken)
    thread.start()
    assert at_the_bound.wait(10)
    assert len(taken) == BLOCKS_BEHIND_MAX
    may_go_on.set()
    thread.join(10)
    assert len(taken) == len(blocks())


def test_what_goes_wrong_behind_is_raised_where_blocks_are_executed() -> None:
    """A disk that fails does not fail silently, and nothing after that block is settled."""
    state = corpus().state()
    settled: list[int] = []

    def fail_at_the_second(execution: Execution) -> None:
        settled.append(execution.height)
        if len(settled) == 2:
            raise OSError("the disk is full")

    def take_all() -> None:
        with Settler(state, fail_at_the_second) as settler:
            for block in blocks():
                settler.take(execute_envelopes(state, block, verify_batch))

    with pytest.raises(OSError, match="the disk is full"):
        take_all()
    assert settled == [block.header.height for block in blocks()[:2]]


def test_an_execution_of_another_height_is_a_mistake_of_the_caller() -> None:
    """The state is as it was."""
    state = corpus().state()
    outcome = execute_envelopes(state, blocks()[0], verify_batch)
    with Settler(state, lambda execution: None) as settler:
        settler.take(outcome)
        with pytest.raises(ValueError, match="height"):
            settler.take(outcome)
    assert state.height == outcome.height
