"""docs/mulu.statement-1.schema.json: every statement follows it, and what is no statement does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.proofs.cases import good_cases
from tests.proofs.mutations import mutants
from tests.proofs.other_verifiers import by_stand_alone
from tests.proofs.test_agreement import by_mulu

PROJECT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((PROJECT / "docs" / "mulu.statement-1.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
GOOD = by_mulu(next(case for case in good_cases() if case.name == "with hops"))


def test_the_schema_is_one() -> None:
    """Against the meta-schema of its draft."""
    Draft202012Validator.check_schema(SCHEMA)


def test_statements_of_good_and_changed_bundles_follow_the_schema() -> None:
    """Those of `mulu verify` and of the stand-alone file; the page's are equal to them."""
    for case in (*good_cases(), *mutants(good_cases(), 150, 3)):
        VALIDATOR.validate(by_mulu(case))
        VALIDATOR.validate(by_stand_alone(case))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("holder"),
        lambda s: s.update(remark=1),
        lambda s: s.update(verdict="valid"),
        lambda s: s.update(genuine=None),
        lambda s: s.update(status="lapsed"),
        lambda s: s.update(verdict="refuted"),
        lambda s: s.update(events=[]),
        lambda s: s["received"][0].update(rows=-1),
        lambda s: s["as_of"].pop("time"),
        lambda s: s.update(signers=s["signers"] * 2),
    ],
)
def test_what_is_no_statement_does_not(change: Callable[[dict[str, Any]], Any]) -> None:
    """A key too few or too many, an unknown word, answers that contradict each other, a cosigner twice."""
    statement = json.loads(json.dumps(GOOD))
    VALIDATOR.validate(statement)
    change(statement)
    assert not VALIDATOR.is_valid(statement)
