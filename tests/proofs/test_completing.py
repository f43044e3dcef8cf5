"""A checkpoint is completed for a policy from what each named department has said alone, whoever lies or is silent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.proofs.completing import choose_size, complete
from ledger.proofs.cosigned import NotEstablishedError, check_witnessed
from ledger.proofs.notes import SignedCheckpoint
from ledger.proofs.tlog_policy import parse_tlog_policy
from tests.proofs.proven_log import proven_log, turned

LOG = proven_log(53)
POLICY = parse_tlog_policy(LOG.tools_policy.encode())
NAMED, NEEDED = 32, 25


def alone(index: int) -> SignedCheckpoint:
    """Return what the node of one validator hands out: its log line and its cosignature."""
    return LOG.note(index, log=index)


@given(st.sets(st.integers(min_value=0, max_value=52), max_size=53))
def test_25_of_the_named_complete_a_checkpoint_and_nobody_else_does(asked: set[int]) -> None:
    """The lines are those of named departments alone, no more than needed, and one of a log."""
    notes = [alone(index) for index in sorted(asked)]
    if len([index for index in asked if index < NAMED]) < NEEDED:
        with pytest.raises(NotEstablishedError):
            complete(notes, POLICY)
        return
    completed = complete(notes, POLICY)
    signers = check_witnessed(completed, POLICY)
    assert len(signers) == len(completed.lines) - 1 == NEEDED
    assert set(signers) <= set(POLICY.witnesses)


def test_a_liar_is_as_good_as_one_who_is_silent() -> None:
    """Lines that do not verify, in whose name they may be, and checkpoints of another root do no harm."""
    notes = [alone(index) for index in range(NEEDED)]
    forged = [line._replace(signature=turned(line.signature)) for note in notes for line in note.lines]
    lies = [replace(notes[0], lines=tuple(forged[:50])), replace(notes[0], root=turned(notes[0].root))]
    assert complete([*lies, *notes], POLICY) == complete(notes, POLICY)
    with pytest.raises(NotEstablishedError):
        complete([*lies, *notes[1:]], POLICY)


def test_cosignatures_without_a_log_line_are_not_enough() -> None:
    """A foreign tool asks for one of the logs that its policy lists."""
    notes = [replace(note, lines=note.lines[1:]) for note in map(alone, range(NAMED))]
    with pytest.raises(NotEstablishedError):
        complete(notes, POLICY)


def test_the_largest_size_is_chosen_that_enough_departments_name() -> None:
    """Beyond the entry; what too few have cosigned does not count, however large."""
    names = list(POLICY.witnesses)
    cosigned = {name: [100, 90] for name in names[:NEEDED]}
    cosigned |= {name: [110, 90, 80] for name in names[NEEDED:]}
    assert choose_size(cosigned, POLICY, above=50) == 100
    assert choose_size({**cosigned, names[0]: [90]}, POLICY, above=50) == 90
    assert choose_size(cosigned, POLICY, above=99) == 100
    assert choose_size(cosigned, POLICY, above=100) is None
    assert choose_size({}, POLICY, above=0) is None
