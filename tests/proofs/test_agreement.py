"""Three verifiers that share no code give one verdict: `mulu verify`, `ledger/verify.py` and `ledger/verify.html`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.proofs.verify import verify_bundle
from tests.proofs.cases import Case, good_cases
from tests.proofs.mutations import mutants
from tests.proofs.other_verifiers import Node, by_stand_alone

CHUNKS = 8
MUTANTS = int(os.environ.get("MULU_MUTANTS", "1600"))
"""Changed bundles that both Python verifiers read; `make mutated-bundles` asks for 10,000, and the page for all."""
MUTANTS_OF_PAGE = MUTANTS if "MULU_MUTANTS" in os.environ else 400

Answers = tuple[str, bool | None]


def by_mulu(case: Case) -> dict[str, Any]:
    """Return what `mulu verify` says."""
    require: Any = case.require
    return verify_bundle(case.data, case.policy, now_ms=case.now_ms, require=require).as_json()


def answers(statement: dict[str, Any]) -> Answers:
    """Return what two verifiers must agree on whatever the file holds; the reasons are in each one's own words."""
    return statement["verdict"], statement["genuine"]


@pytest.fixture(scope="module")
def node(optional_tool: Callable[[str], Path]) -> Iterator[Node]:
    """Return the page's script in Node.js."""
    running = Node(optional_tool("node"))
    yield running
    running.close()


@pytest.mark.parametrize("case", good_cases(), ids=lambda case: case.name)
def test_of_a_good_bundle_all_say_the_same_to_the_last_word(case: Case, node: Node) -> None:
    """The whole statement is one JSON value: answers, names, times, reasons, and what was not checked."""
    statement = by_mulu(case)
    assert by_stand_alone(case) == statement
    assert node.statement(case) == statement


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_of_changed_bundles_both_python_verifiers_say_the_same(chunk: int) -> None:
    """Whatever was changed; and what a changed bundle still establishes, the good one establishes too."""
    for case in mutants(good_cases(), MUTANTS // CHUNKS, chunk):
        statement = by_mulu(case)
        assert answers(by_stand_alone(case)) == answers(statement), case.name
        check_no_forgery(case, statement)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_of_changed_bundles_the_page_says_the_same(chunk: int, node: Node) -> None:
    """The page's script as it stands, in Node.js."""
    for case in mutants(good_cases(), MUTANTS_OF_PAGE // CHUNKS, chunk):
        assert answers(node.statement(case)) == answers(by_mulu(case)), case.name


def check_no_forgery(case: Case, statement: dict[str, Any]) -> None:
    """Check that a statement about a changed bundle claims nothing that a good bundle does not."""
    if not statement["genuine"]:
        return
    shown = ("fields", "holder", "received", "not_checked", "age_s", "fresh", "verdict", "reasons")
    proven = {name: value for name, value in statement.items() if name not in shown}
    for good in good_cases():
        claims = by_mulu(Case(good.name, good.data, case.now_ms, good.policy, case.require))
        if proven == {name: value for name, value in claims.items() if name not in shown}:
            opened = statement["fields"].items() <= ALL_OPEN["fields"].items()
            assert opened, case.name
            assert statement["holder"] in (None, ALL_OPEN["holder"]), case.name
            return
    raise AssertionError(f"{case.name}: established what no good bundle says")


ALL_OPEN = by_mulu(next(case for case in good_cases() if case.name == "all fields and the holder"))
