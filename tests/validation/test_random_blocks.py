"""With the native core a block gives what it gives without it, whatever is wrong with it."""

from __future__ import annotations

from collections import Counter

import pytest

from ledger.blocks.block import Block
from ledger.crypto.backend import installed_library
from ledger.encoding import decode
from ledger.errors import InvalidInputError
from ledger.state.store import State
from ledger.state.transition import execute_block
from ledger.validation.envelopes import prepare_block
from nodes.measurements.backends import using
from nodes.verification import verify_batch
from tests.validation.random_blocks import RULES, RandomBlocks, fresh_state

LIBRARY, PROBLEM = installed_library()

SEEDS = 20
BLOCKS_A_SEED = 50


def validate(state: State, raw: bytes) -> object:
    """Validate a block and advance the state; return everything that anybody could learn from it."""
    try:
        block = decode(Block, raw)
        prepared = prepare_block(block.header.id, block.header, block.payload, rulebook=RULES)
    except InvalidInputError as error:
        return type(error), str(error)
    execution = execute_block(state, prepared, verify_batch)
    state.advance(execution)
    return {
        "prepared": prepared,
        "results": execution.results,
        "record": execution.record,
        "entries": execution.entries,
        "changes": list(execution.changes.items()),
        "touched": execution.touched,
        "deadlines": execution.deadlines,
        "root": state.root,
    }


@pytest.mark.skipif(LIBRARY is None, reason=f"needs the native core: {PROBLEM}")
def test_1000_random_blocks_give_the_same_results_roots_and_refusals_natively_and_in_pure_python() -> None:
    """Bad envelopes, lying roots and counts, damaged records, refusals, deadlines, signatures only ZIP-215 accepts."""
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        blocks = RandomBlocks(seed)
        with using("python"):
            in_python = fresh_state()
        with using("native"):
            natively = fresh_state()
        for _ in range(BLOCKS_A_SEED):
            raw = blocks.next(in_python)
            with using("python"):
                expected = validate(in_python, raw)
            with using("native"):
                got = validate(natively, raw)
            assert got == expected
            seen.update(kinds_in(expected))
    # All of it was there to be seen, often enough.
    assert seen["executed"] > 600
    assert min(seen[kind] for kind in INVALID) >= 5, seen
    assert min(seen[label] for label in REFUSED) >= 5, seen
    assert min(seen["deadline passed"], seen["deadline lifted"]) >= 5, seen


INVALID = ("DecodeError", "RecordsMismatchError", "PayloadMismatchError", "WrongChainError")
REFUSED = (
    "accepted",
    "malformed_record",
    "unknown_department",
    "unknown_key",
    "bad_signature",
    "replayed_envelope",
    "expired_envelope",
    "valid_until_too_far",
)


def kinds_in(outcome: object) -> list[str]:
    """Name what happened in one block."""
    if isinstance(outcome, tuple):
        return [outcome[0].__name__]
    assert isinstance(outcome, dict)
    codes = [number for results in outcome["results"] for number in results]
    labels = [RULES.code_of(number).label if number else "accepted" for number in codes]
    return ["executed", *labels, *(f"deadline {deadline.status}" for deadline in outcome["deadlines"])]
