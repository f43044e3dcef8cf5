"""Programs that other people wrote, for other logs, accept this ledger's proofs and refuse what was changed in them.

`transparencydev` (the libraries of transparency.dev) enforces the quorum of the policy; `xmod` (the packages behind
Go's checksum database) knows no policy, and judges the log's signature and the path. Neither shares code with Mulu, but
transparency.dev reads notes with x/mod.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.foreign.go_programs import Judge, judge_with
from tests.proofs.proven_log import as_case, proven_log, spoilt, spoilt_quorum

SIZES = (7, 53)


@pytest.fixture
def judge(optional_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The programs, built once a run."""
    return judge_with(optional_tool("go"), tmp_path_factory.getbasetemp() / "go")


@pytest.mark.parametrize("program", ["xmod", "transparencydev"])
@pytest.mark.parametrize("validators", SIZES)
def test_a_foreign_program_accepts_the_proof_of_every_entry(judge: Judge, program: str, validators: int) -> None:
    """Envelopes and block records, the first, the last and those between, under the policy for tools."""
    log = proven_log(validators)
    note = log.tools_proof.checkpoint
    cases = []
    for index, entry in enumerate(log.ledger.entries):
        proof = log.proof(note, index, None)
        cases.append(as_case(f"entry {index}", log, proof, log.tools_policy, entry=entry))
    verdicts = judge(program, cases)
    assert len(verdicts) == log.ledger.log.size
    assert set(verdicts.values()) == {""}


@pytest.mark.parametrize("program", ["xmod", "transparencydev"])
@pytest.mark.parametrize("validators", SIZES)
def test_a_foreign_program_refuses_what_was_changed(judge: Judge, program: str, validators: int) -> None:
    """The path, the index, the root, the size, the origin, the log's line; and another entry beside the proof."""
    log = proven_log(validators)
    proof = log.tools_proof
    cases = [as_case(name, log, changed, log.tools_policy) for name, changed in spoilt(log, proof)]
    cases.append(as_case("another entry", log, proof, log.tools_policy, entry=b"another entry"))
    verdicts = judge(program, cases)
    assert len(verdicts) == len(cases)
    assert {name for name, why in verdicts.items() if not why} == set()


@pytest.mark.parametrize("validators", SIZES)
def test_a_foreign_program_enforces_the_quorum(judge: Judge, validators: int) -> None:
    """One cosigner too few, one twice, one with another time, one with a key that came along: each is refused."""
    log = proven_log(validators)
    cases = [as_case(name, log, changed, log.tools_policy) for name, changed in spoilt_quorum(log, log.tools_proof)]
    verdicts = judge("transparencydev", cases)
    assert {name for name, why in verdicts.items() if not why} == set()
    assert all("policy" in why for why in verdicts.values()), verdicts


def test_a_foreign_program_does_not_count_departments_that_the_policy_does_not_name(judge: Judge) -> None:
    """A quorum of 53 that leaves out most of the named 32 is a quorum here, and none for the tools' policy."""
    log = proven_log(53)
    unnamed_first = log.proof(log.note(*range(17, 53), log=20))
    verdicts = judge("transparencydev", [as_case("a quorum", log, unnamed_first, log.tools_policy)])
    assert "policy" in verdicts["a quorum"]
