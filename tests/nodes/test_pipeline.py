"""Blocks prepared ahead are those prepared in place, whoever did it and whatever went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from ledger.blocks.block import Block
from ledger.blocks.envelope import seal
from ledger.crypto.signatures import verify_batch
from ledger.encoding import decode
from ledger.errors import InvalidInputError
from ledger.identifiers import Height, KeyId
from ledger.state.prepared import PreparedBlock
from ledger.state.transition import execute_block
from ledger.storage.frames import Frame, FrameKind
from ledger.validation.ahead import findings_of, prepare_ahead, take_over
from ledger.validation.envelopes import prepare_block
from nodes import pipeline
from nodes.measurements.backends import using
from nodes.pipeline import KnownKeys, Pipeline, workers_for
from scenarios.beijing.corpus import Corpus, make_block, make_corpus


@cache
def corpus() -> Corpus:
    """Three departments with 24 records each."""
    return make_corpus(departments=3, records_per_department=24, state_keys=100)


@cache
def blocks() -> tuple[bytes, ...]:
    """The records in blocks of six envelopes with two records each."""
    return corpus().blocks(2, records_per_block=12)


def in_place(raw: bytes) -> PreparedBlock:
    """Return the block as it is prepared without a pipeline."""
    block = decode(Block, raw)
    return prepare_block(block.header.id, block.header, block.payload)


def invalid() -> bytes:
    """Return a block whose envelope is none."""
    c = corpus()
    return make_block(
        [b"noise"], chain=c.genesis.chain, parent=c.genesis.chain, height=1, time_ms=1, proposer=c.proposer
    ).encode()


def with_malformed_record() -> bytes:
    """Return a block with records of which one is of no known kind."""
    c = corpus()
    department = next(iter(c.keys))
    sealed = seal(
        [c.records[department][0], b"noise", c.records[department][1]],
        chain=c.genesis.chain,
        department=department,
        key_id=KeyId(1),
        sequence=c.sequences[department] + 1,
        valid_until=Height(c.height + 5),
        signer=c.keys[department],
    ).encode()
    return make_block(
        [sealed],
        chain=c.genesis.chain,
        parent=c.genesis.chain,
        height=c.height + 1,
        time_ms=c.time_ms + 1,
        proposer=c.proposer,
    ).encode()


@pytest.mark.parametrize("raw", [*range(len(blocks())), "malformed"])
def test_what_is_taken_over_is_what_was_prepared(raw: int | str) -> None:
    """From the same bytes and the findings alone the same values come out, and those of preparing in place."""
    data = with_malformed_record() if isinstance(raw, str) else blocks()[raw]
    keys = KnownKeys(corpus().state()).by_name
    ahead = prepare_ahead(data, keys, verify_batch)
    assert take_over(data, findings_of(ahead)) == ahead
    assert ahead._replace(verified=()) == in_place(data)
    assert None not in ahead.verified


@pytest.mark.parametrize(("backend", "workers"), [("auto", 0), ("auto", 2), ("python", 1), ("python", 2)])
def test_blocks_come_in_order_and_execute_to_the_same_state(backend: str, workers: int) -> None:
    """With and without threads or processes; and no signature is asked about that was verified ahead."""
    expected, state = corpus().state(), corpus().state()
    for raw in blocks():
        expected.advance(execute_block(expected, in_place(raw), verify_batch))
    with using(backend), Pipeline(workers=workers) as line:
        for prepared in line.prepare(iter(blocks()), KnownKeys(state)):
            state.advance(execute_block(state, prepared, nobody_asks))
    assert (state.height, state.root) == (expected.height, expected.root)
    assert line.gauges.examine.blocks == line.gauges.execute.blocks == len(blocks())
    assert line.gauges.examine.busy_s > 0


def nobody_asks(items: object) -> list[bool]:
    """Stand for a verifier that has nothing left to do."""
    raise AssertionError("a signature was verified twice")


def test_a_key_that_was_not_known_is_verified_on_execution_and_known_from_then_on() -> None:
    """Nothing is taken for verified that was not; the next blocks are verified ahead again."""
    state = corpus().state()
    keys = KnownKeys(state)
    missing = dict(keys.by_name)
    keys.by_name.clear()
    asked: list[int] = []

    def verify(items: list[tuple[bytes, bytes, bytes]]) -> list[bool]:
        asked.append(len(items))
        return verify_batch(items)

    with Pipeline(workers=0) as line:
        for prepared in line.prepare(blocks(), keys):
            state.advance(execute_block(state, prepared, verify))  # type: ignore[arg-type]
    assert asked == [6]
    assert keys.by_name.items() <= missing.items()


def test_a_key_that_does_not_count_any_more_counts_for_nothing() -> None:
    """A signature verified ahead under another key than the one as of the parent block is verified again, and fails."""
    state = corpus().state()
    ahead = prepare_ahead(blocks()[0], KnownKeys(state).by_name, verify_batch)
    stale = ahead._replace(verified=(bytes(32),) * len(ahead.envelopes))
    refused = execute_block(state, stale, lambda items: [False] * len(items))
    assert all(set(codes) == {4} for codes in refused.results)


def test_a_bad_signature_is_left_to_execution() -> None:
    """It makes no block invalid, and is refused there as it always was."""
    state = corpus().state()
    ahead = prepare_ahead(blocks()[0], KnownKeys(state).by_name, lambda items: [False] * len(items))
    assert set(ahead.verified) == {None}
    execution = execute_block(state, ahead, verify_batch)
    assert execution.entries == execute_block(state, in_place(blocks()[0]), verify_batch).entries


@pytest.mark.parametrize(("backend", "workers"), [("auto", 0), ("auto", 1), ("python", 1)])
def test_an_invalid_block_is_reported_at_its_turn(backend: str, workers: int) -> None:
    """The blocks before it come out, and its error is the one that preparing it gives."""
    raws = [*blocks()[:3], invalid(), *blocks()[3:]]
    with using(backend), Pipeline(workers=workers) as line:
        prepared = line.prepare(iter(raws), KnownKeys(corpus().state()))
        assert [next(prepared).id for _ in range(3)] == [in_place(raw).id for raw in raws[:3]]
        with pytest.raises(InvalidInputError):
            next(prepared)


def test_frames_come_as_they_are_with_their_blocks_before_them() -> None:
    """Every frame in its place; a block is there when its frame is; an invalid one is left to the reader."""
    frames = [
        frame
        for height, raw in enumerate([*blocks(), invalid()], 1)
        for frame in (
            Frame(FrameKind.BLOCK, Height(height), raw),
            Frame(FrameKind.EXECUTED, Height(height), b"results"),
        )
    ]
    there: list[PreparedBlock] = []
    with Pipeline(workers=1) as line:
        seen = []
        for frame in line.prepare_frames(iter(frames), KnownKeys(corpus().state()), there.append):
            seen.append(frame)
            if frame.kind is FrameKind.BLOCK and frame.payload != invalid():
                assert there[-1].header == decode(Block, frame.payload).header
    assert seen == frames
    assert len(there) == len(blocks())


def test_no_more_is_read_ahead_than_the_workers_need() -> None:
    """A reader that does not ask makes everything before it wait."""
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield blocks()[0]

    with Pipeline(workers=1) as line:
        next(line.prepare(endless(), KnownKeys(corpus().state())))
    assert read == 1 + pipeline.BLOCKS_AHEAD_PER_WORKER


def test_a_worker_that_dies_is_missed_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """The blocks come all the same, prepared in place, and the log says so."""
    with using("python"), Pipeline(workers=1) as line:
        prepared = line.prepare(iter(blocks()), KnownKeys(corpus().state()))
        first = next(prepared)
        for process in line._pool._processes.values():  # type: ignore[union-attr]
            process.kill()
        ids = [first.id, *(block.id for block in prepared)]
    assert ids == [in_place(raw).id for raw in blocks()]
    assert "a worker has died" in caplog.text


def test_a_short_journal_gets_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would start longer than the replay takes; nor are there any where there is one core."""
    assert workers_for(1_000) == 0
    monkeypatch.setattr(pipeline.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert workers_for(1 << 40) == 0
    monkeypatch.setattr(pipeline.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert workers_for(1 << 40) >= 1
