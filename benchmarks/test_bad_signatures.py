"""What bad signatures cost: none, one, ten, and nothing but bad ones, of 1,024 in a block."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.corpus import block_of, corpus, note_rate, prepared_of
from ledger.blocks.refusals import EnvelopeRefusal
from ledger.state.transition import execute_block
from nodes.measurements.stages import signatures_of
from nodes.verification import verify_batch

pytestmark = pytest.mark.benchmark(group="bad signatures", disable_gc=False, min_rounds=7)


@pytest.mark.parametrize("bad", [0, 1, 10, 1_024])
def test_every_bad_signature_is_found(benchmark: BenchmarkFixture, bad: int) -> None:
    """The verdicts name exactly those, whatever it takes."""
    items = signatures_of(corpus().state(), [block_of(1)])
    positions = sorted({number * len(items) // max(1, bad) for number in range(bad)})
    for position in positions:
        public, message, signature = items[position]
        items[position] = public, message, signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]
    verdicts = benchmark(verify_batch, items)
    note_rate(benchmark)
    assert [position for position, verdict in enumerate(verdicts) if not verdict] == positions


def test_a_block_with_one_bad_signature(benchmark: BenchmarkFixture) -> None:
    """Executed whole: its envelope is refused, under its index, and all others are as they were."""
    block = prepared_of(1)
    spoilt = block.envelopes[700]
    signature = spoilt.envelope.signature
    broken = spoilt._replace(envelope=replace(spoilt.envelope, signature=signature[:63] + bytes([signature[63] ^ 1])))
    envelopes = (*block.envelopes[:700], broken, *block.envelopes[701:])
    execution = benchmark(execute_block, corpus().state(), block._replace(envelopes=envelopes), verify_batch)
    note_rate(benchmark)
    assert execution.results[700] == bytes([EnvelopeRefusal.BAD_SIGNATURE.number])
    assert sum(codes[0] == EnvelopeRefusal.BAD_SIGNATURE.number for codes in execution.results) == 1
