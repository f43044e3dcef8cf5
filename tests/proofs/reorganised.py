"""Carrying out reorganisations on a ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.registers.members.records import ApproveReorganisation, CarryOutReorganisation, ProposeReorganisation
from ledger.registers.members.values import Merge, Passing, Plan, Rename, Split
from tests.proofs.memory_ledger import MemoryLedger
from tests.proofs.small_network import (
    GOVERNMENT_SERVICES,
    MARKET_REGULATION,
    PLANNING,
    PUBLIC_SECURITY,
    REGISTRAR,
    Member,
)

VOTERS = (GOVERNMENT_SERVICES, MARKET_REGULATION, PUBLIC_SECURITY, PLANNING)

ISSUER, HEIR, NEXT = (member.credit_code for member in (MARKET_REGULATION, PLANNING, PUBLIC_SECURITY))
RENAME = Rename(department=ISSUER, name_zh="市场监管局", name_en="Market Supervision")
MERGE = Merge(predecessors=(ISSUER,), successor=HEIR, responsibilities=("AY-01",))
SPLIT = Split(department=ISSUER, ends=False, passings=(Passing(responsibility="AY-01", successor=HEIR),))


def carry_out(ledger: MemoryLedger, plan: Plan, name: str = "R1", *, voters: Sequence[Member] = VOTERS) -> bool:
    """Propose, approve and carry out a plan in three blocks; return whether it could be carried out."""
    propose = ProposeReorganisation(id=name, plan=plan, newcomers=(), from_height=0, legal_basis="")
    ledger.execute(ledger.sign(REGISTRAR, propose))
    ledger.execute(*(ledger.sign(voter, ApproveReorganisation(id=name)) for voter in voters))
    ledger.execute(ledger.sign(REGISTRAR, CarryOutReorganisation(id=name)))
    return ledger.results[-1] == b"\0"
