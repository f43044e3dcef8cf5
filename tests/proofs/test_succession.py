"""Certificates outlive their departments: what a verifier says after a rename, a merge and a split."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import verify as standalone
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle
from ledger.proofs.policy import make_policy
from ledger.proofs.statement import Statement
from ledger.proofs.verify import verify_bundle
from ledger.registers.certificates.records import SuspendCertificate
from ledger.registers.members.values import Merge, Passing, Plan, Rename, Split
from ledger.registers.shared import Responsibility, responsibility_key
from tests.proofs.memory_ledger import IDENTIFIER, MemoryLedger, ledger_with_certificate
from tests.proofs.reorganised import HEIR, ISSUER, MERGE, NEXT, RENAME, SPLIT, carry_out
from tests.proofs.small_network import PLANNING

Json = dict[str, Any]


def reorganised(*plans: Plan) -> MemoryLedger:
    """Return a ledger on which a certificate was issued and then all of these plans were carried out."""
    ledger = ledger_with_certificate()
    for number, plan in enumerate(plans):
        assert carry_out(ledger, plan, f"R{number}")
    return ledger


def verify(ledger: MemoryLedger, change: Callable[[Json], None] = lambda bundle: None) -> Statement:
    """Return the statement on the certificate's bundle, after a change of the bundle's JSON."""
    bundle = json.loads(build_bundle(ledger.view(), IDENTIFIER))
    change(bundle)
    policy = make_policy(ValidatorSet.of_genesis(ledger.genesis), ledger.genesis.founders, parse_day("2027-12-31"))
    return verify_bundle(rfc8785.dumps(bundle), policy, now_ms=ledger.state.time_ms)


def test_a_bundle_without_a_reorganisation_says_nothing_of_one() -> None:
    """Its form is what it was before there were any."""
    ledger = reorganised()
    assert not {"succession", "successor"} & json.loads(build_bundle(ledger.view(), IDENTIFIER))["state"].keys()
    document = verify(ledger).as_json()
    assert (document["successor"], document["issuer_formerly"], document["issuer_ended"]) == (None, None, None)


def test_after_a_rename_the_issuer_has_both_names() -> None:
    """Its credit code is what identifies it."""
    statement = verify(reorganised(RENAME))
    assert statement.exit_code == 0
    assert "Issued by    Market Supervision (市场监管局) [11110000A00000230N]" in statement.as_text()
    assert "Formerly     市场监督管理局" in statement.as_text()
    assert statement.as_json()["issuer_formerly"] == "市场监督管理局"


def test_after_a_merge_the_successor_is_named_with_the_block() -> None:
    """The certificate goes on naming who issued it, and stays valid."""
    statement = verify(reorganised(MERGE))
    assert statement.exit_code == 0
    assert "Ended        with block 7" in statement.as_text()
    assert "Passed to    Planning & Natural Resources (规划和自然资源委员会) [11110000A00000118P] (block 7)" in (
        statement.as_text()
    )
    document = statement.as_json()
    assert document["issuer"]["id"] == ISSUER
    assert (document["successor"]["id"], document["successor"]["height"], document["issuer_ended"]) == (HEIR, 7, 7)


def test_after_a_split_the_issuer_goes_on_and_the_successor_is_named() -> None:
    """Only what was named has passed on."""
    document = verify(reorganised(SPLIT)).as_json()
    assert (document["verdict"], document["successor"]["id"], document["issuer_ended"]) == ("established", HEIR, None)


def test_the_last_of_several_successors_is_the_one_named() -> None:
    """What passed on twice is with whom it came to last."""
    onwards = Merge(predecessors=(HEIR,), successor=NEXT, responsibilities=("AY-01",))
    document = verify(reorganised(SPLIT, onwards, RENAME)).as_json()
    assert (document["verdict"], document["successor"]["id"], document["successor"]["height"]) == (
        "established",
        NEXT,
        10,
    )


def test_what_came_back_to_the_issuer_has_no_successor() -> None:
    """The bundle is in the form of one that never left."""
    back = Split(department=HEIR, ends=False, passings=(Passing(responsibility="AY-01", successor=ISSUER),))
    assert verify(reorganised(SPLIT, back)).as_json()["successor"] is None


def test_a_certificate_that_nobody_took_over_says_so() -> None:
    """It is genuine and valid; who would suspend it is not to be seen."""
    statement = verify(reorganised(Merge(predecessors=(ISSUER,), successor=HEIR, responsibilities=())))
    assert statement.exit_code == 0
    assert any("nobody took over AY-01" in sentence for sentence in statement.not_checked)


def test_what_the_successor_does_is_part_of_the_certificates_story() -> None:
    """Its suspension counts, and is told with its name."""
    ledger = reorganised(MERGE)
    ledger.execute(ledger.sign(PLANNING, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    assert ledger.results[-1] == b"\0"
    statement = verify(ledger)
    assert statement.exit_code == 3
    assert "certificates.suspend by Planning & Natural Resources" in statement.as_text()


@pytest.mark.parametrize("left_out", [("succession",), ("successor",), ("succession", "successor")])
def test_a_bundle_cannot_leave_out_the_successor(left_out: tuple[str, ...]) -> None:
    """The proven responsibility names it."""

    def change(bundle: Json) -> None:
        for name in left_out:
            del bundle["state"][name]

    statement = verify(reorganised(SPLIT), change)
    assert (statement.genuine, statement.exit_code) == (False, 3)
    assert "leaves out how" in statement.reasons[0]


def test_a_bundle_cannot_show_a_successor_where_there_is_none() -> None:
    """Not even a department that is true in itself."""
    statement = verify(reorganised(), lambda bundle: bundle["state"].update(successor=bundle["state"]["issuer"]))
    assert (statement.genuine, "still with the issuer" in statement.reasons[0]) == (False, True)


def test_a_bundle_cannot_show_another_successor() -> None:
    """Its key follows from the responsibility."""
    statement = verify(reorganised(MERGE), lambda bundle: bundle["state"].update(successor=bundle["state"]["issuer"]))
    assert statement.exit_code == 3


departments = st.sampled_from((ISSUER, HEIR, NEXT))
ours = st.lists(st.just("AY-01"), max_size=1).map(tuple)
plans = st.one_of(
    st.builds(Rename, department=departments, name_zh=st.sampled_from(("甲局", "乙局")), name_en=st.just("")),
    st.builds(Merge, predecessors=st.tuples(departments), successor=departments, responsibilities=ours),
    st.builds(
        Split,
        department=departments,
        ends=st.booleans(),
        passings=st.tuples(st.builds(Passing, responsibility=st.just("AY-01"), successor=departments)),
    ),
)


@settings(max_examples=15)
@given(st.lists(plans, max_size=5))
def test_a_certificate_verifies_after_reorganisations_in_any_order(history: list[Plan]) -> None:
    """With a new bundle and with the one of the day of its issue; two verifiers name who has the function now."""
    ledger = ledger_with_certificate()
    policy = make_policy(ValidatorSet.of_genesis(ledger.genesis), ledger.genesis.founders, parse_day("2027-12-31"))
    first = build_bundle(ledger.view(), IDENTIFIER)
    for number, plan in enumerate(history):
        carry_out(ledger, plan, f"R{number}")
        document = verify(ledger).as_json()
        assert (document["verdict"], document["issuer"]["id"]) == ("established", ISSUER)
        bundle = build_bundle(ledger.view(), IDENTIFIER)
        assert standalone.verify(bundle, policy, now_ms=ledger.state.time_ms) == document
        held = ledger.state.get(responsibility_key("AY-01"), Responsibility)
        assert held is not None
        assert (document["successor"] or document["issuer"])["id"] == held.department
    assert verify_bundle(first, policy, now_ms=ledger.state.time_ms).exit_code == 0
