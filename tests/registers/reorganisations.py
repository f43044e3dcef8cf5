"""Plans for the tests of reorganisations, and the way from a plan to the state after it."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.identifiers import CreditCode
from ledger.members.departments import Department, department_key
from ledger.registers.members.records import (
    ApproveReorganisation,
    CarryOutReorganisation,
    ProposeReorganisation,
)
from ledger.registers.members.values import Merge, Newcomer, Passing, Plan, Rename, Split
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, NETWORK, REGISTRAR, SmallLedger, key_of, proven

VOTERS = (HOUSING, MARKET, AUTHORITY)
WORKS = CreditCode("11110000A00000433B")
"""A credit code that is right and nobody's: that of a department which is yet to come."""

RENAME = Rename(department=HOUSING, name_zh="住房局", name_en="Housing Bureau")
MERGE = Merge(predecessors=(HOUSING,), successor=MARKET, responsibilities=("AN-01",))
SPLIT = Split(department=HOUSING, ends=False, passings=(Passing(responsibility="AN-01", successor=MARKET),))


def department_of(ledger: SmallLedger, credit_code: CreditCode) -> Department:
    """Return a department's value."""
    department = ledger.state.get(department_key(credit_code), Department)
    assert department is not None
    return department


def passing(successor: CreditCode = MARKET, name: str = "AN-01") -> Passing:
    """Return one passing."""
    return Passing(responsibility=name, successor=successor)


def newcomer(credit_code: CreditCode = WORKS, *, roles: Sequence[str] = ("department",)) -> Newcomer:
    """Return a department with a good key that is yet to come."""
    return Newcomer(
        credit_code=credit_code,
        code="WK",
        name_zh="工程局",
        name_en="Works Bureau",
        roles=tuple(roles),  # type: ignore[arg-type]
        envelope_key=proven(NETWORK, credit_code, "envelope/1", key_of(credit_code, "envelope/1")),
    )


def proposal(
    plan: Plan, name: str = "R1", *, newcomers: Sequence[Newcomer] = (), from_height: int = 0
) -> ProposeReorganisation:
    """Return a good proposal."""
    return ProposeReorganisation(
        id=name, plan=plan, newcomers=tuple(newcomers), from_height=from_height, legal_basis=""
    )


def propose_and_approve(ledger: SmallLedger, *proposals: ProposeReorganisation) -> None:
    """Put proposals on the ledger, and the approval of every department with a vote that is still a member."""
    for proposed in proposals:
        assert ledger.put(REGISTRAR, proposed) == ["accepted"]
        for voter in VOTERS:
            assert ledger.put(voter, ApproveReorganisation(id=proposed.id))[0] in ("accepted", "unknown_department")


def reorganise(ledger: SmallLedger, plan: Plan, name: str = "R1", *, newcomers: Sequence[Newcomer] = ()) -> None:
    """Propose, approve and carry out a plan."""
    propose_and_approve(ledger, proposal(plan, name, newcomers=newcomers))
    assert ledger.put(REGISTRAR, CarryOutReorganisation(id=name)) == ["accepted"]
