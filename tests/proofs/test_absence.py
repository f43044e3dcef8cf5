"""That a ledger has no certificate of some identifier: proven, and only as of now."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785

from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.absence import PresentError, build_absence
from ledger.proofs.policy import make_policy
from ledger.proofs.statement import Statement
from ledger.proofs.verify import MAX_AGE_S, verify_bundle
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE, ledger_with_certificate
from tests.proofs.small_network import MARKET_REGULATION, found

GENESIS = found()
LEDGER = ledger_with_certificate(GENESIS)
POLICY = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2027-12-31"))
MADE_UP = [
    format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, f"2025091{number:04}", 1))
    for number in range(40)
]
ABSENCE = build_absence(LEDGER.view(), MADE_UP[0])


def verify(data: bytes, age_s: int = 0, **options: Any) -> Statement:
    """Return the statement so many seconds after the last block."""
    return verify_bundle(data, POLICY, now_ms=LEDGER.state.time_ms + age_s * 1000, **options)


def test_a_certificate_that_nobody_issued_is_refuted_with_block_and_signers() -> None:
    """Wherever its place in the state: beside other leaves, or where nothing is."""
    for identifier in MADE_UP:
        statement = verify(build_absence(LEDGER.view(), identifier))
        assert (statement.exit_code, statement.genuine, statement.status) == (3, False, None)
        assert identifier in statement.reasons[0]
        assert "block 4" in statement.reasons[0]
        assert len(statement.signers) == 3
    leaves = {"leaf" in json.loads(build_absence(LEDGER.view(), identifier))["absence"] for identifier in MADE_UP}
    assert leaves == {True, False}


def test_an_old_absence_says_nothing() -> None:
    """The certificate could have been issued since."""
    for require in ("all", "genuine"):
        statement = verify(ABSENCE, MAX_AGE_S + 1, require=require)
        assert (statement.exit_code, statement.genuine) == (4, None)
        assert "newer bundle" in statement.reasons[1]


def test_what_is_there_is_not_proven_absent() -> None:
    """Neither by the ledger nor by a file that names another identifier."""
    with pytest.raises(PresentError):
        build_absence(LEDGER.view(), IDENTIFIER)
    document = json.loads(ABSENCE)
    document["certificate"] = IDENTIFIER
    assert "forged or changed" in verify(rfc8785.dumps(document)).reasons[0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda a: a["absence"]["siblings"].pop(), 3),
        (lambda a: a["absence"]["siblings"].clear(), 3),
        (lambda a: a["absence"].update(leaf={"key": a["absence"]["siblings"][0], "value": ABSENCE.decode()[:0]}), 4),
        (lambda a: a["absence"].update(leaf={"key": "A" * 43 + "=", "value": "A" * 43 + "="}), 3),
        (lambda a: a["block"].update(index=a["block"]["index"] - 1), 3),
        (lambda a: a.update(format="mulu.absence/2"), 4),
        (lambda a: a.update(remark=1), 4),
    ],
)
def test_a_changed_absence_says_so(change: Callable[[Any], Any], code: int) -> None:
    """As for a bundle: what does not hold together is 3, what has another form is 4; neither says it is absent."""
    document = json.loads(ABSENCE)
    change(document)
    statement = verify(rfc8785.dumps(document))
    assert statement.exit_code == code
    assert not statement.reasons[0].startswith("the ledger has no")
