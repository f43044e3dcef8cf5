"""How departments are renamed, merged and split: the registrar proposes, a quorum approves, then it is carried out.

A plan is checked when it is proposed, so that nobody approves what cannot be, and again when it is carried out, because
the members may have changed in between. Carrying it out costs a few values for each department and responsibility that
it names, and nothing for what rests on those: `ledger.registers.ownership` finds that through its responsibility.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.errors import InvariantBrokenError
from ledger.members.departments import (
    REGISTRAR,
    EnvelopeKey,
    KeyOwner,
    department_key,
    envelope_key_key,
    key_owner_key,
)
from ledger.registers.context import Context
from ledger.registers.members.electorate import is_decided
from ledger.registers.members.keys import require_proven
from ledger.registers.members.plans import departments_after, passings_of
from ledger.registers.members.records import (
    ApproveReorganisation,
    CarryOutReorganisation,
    ProposeReorganisation,
    WithdrawReorganisation,
)
from ledger.registers.members.refusals import MembersRefusal
from ledger.registers.members.values import (
    FIRST_KEY,
    Newcomer,
    Passing,
    Reorganisation,
    Succession,
    reorganisation_key,
    succession_key,
)
from ledger.registers.shared import Responsibility, require_role, responsibility_key


def propose_reorganisation(record: ProposeReorganisation, context: Context) -> None:
    """Put a plan before the departments, if it could be carried out as things are."""
    require_role(context, REGISTRAR)
    key = reorganisation_key(record.id)
    if context.get(key, Reorganisation) is not None:
        raise Refused(MembersRefusal.REORGANISATION_ID_USED)
    departments_after(record.plan, record.newcomers, context)
    # Once is enough: unlike all else in a plan, whether a key is good does not change.
    for newcomer in record.newcomers:
        require_proven(newcomer.envelope_key, department=newcomer.credit_code, purpose=FIRST_KEY, context=context)
    context.put(
        key,
        Reorganisation(
            id=record.id,
            plan=record.plan,
            newcomers=record.newcomers,
            from_height=record.from_height,
            legal_basis=record.legal_basis,
            proposed_height=int(context.height),
            approvals=(),
            status="proposed",
            settled_height=0,
        ),
    )


def approve_reorganisation(record: ApproveReorganisation, context: Context) -> None:
    """Count the signing department among those that have approved a plan."""
    reorganisation = _proposed(record.id, context)
    if context.validators.index_of(context.department) is None:
        raise Refused(MembersRefusal.NO_VOTE)
    if context.department in reorganisation.approvals:
        raise Refused(MembersRefusal.APPROVED_BY_IT_BEFORE)
    approvals = tuple(sorted((*reorganisation.approvals, context.department)))
    context.put(reorganisation_key(record.id), replace(reorganisation, approvals=approvals))


def withdraw_reorganisation(record: WithdrawReorganisation, context: Context) -> None:
    """Take a plan back that was not carried out."""
    require_role(context, REGISTRAR)
    _settle(_proposed(record.id, context), "withdrawn", context)


def carry_out_reorganisation(record: CarryOutReorganisation, context: Context) -> None:
    """Make a plan true that a quorum has approved. Any member may ask for it, because the quorum has decided."""
    reorganisation = _proposed(record.id, context)
    if context.height < reorganisation.from_height:
        raise Refused(MembersRefusal.TOO_EARLY)
    if not is_decided(reorganisation.approvals, context):
        raise Refused(MembersRefusal.NO_QUORUM)
    after = departments_after(reorganisation.plan, reorganisation.newcomers, context)
    for credit_code, department in after.items():
        context.put(department_key(credit_code), department)
    for newcomer in reorganisation.newcomers:
        _register_key(newcomer, context)
    for passing in passings_of(reorganisation.plan):
        _pass_on(passing, reorganisation.id, context)
    _settle(reorganisation, "carried_out", context)


def _proposed(name: str, context: Context) -> Reorganisation:
    reorganisation = context.get(reorganisation_key(name), Reorganisation)
    if reorganisation is None:
        raise Refused(MembersRefusal.UNKNOWN_REORGANISATION)
    if reorganisation.status != "proposed":
        raise Refused(MembersRefusal.REORGANISATION_SETTLED)
    return reorganisation


def _settle(reorganisation: Reorganisation, status: Literal["carried_out", "withdrawn"], context: Context) -> None:
    settled = replace(reorganisation, status=status, settled_height=int(context.height))
    context.put(reorganisation_key(reorganisation.id), settled)


def _register_key(newcomer: Newcomer, context: Context) -> None:
    public = newcomer.envelope_key.public
    context.put(key_owner_key(public), KeyOwner(department=newcomer.credit_code, purpose=FIRST_KEY))
    context.put(
        envelope_key_key(newcomer.credit_code, 1),
        EnvelopeKey(
            department=newcomer.credit_code,
            key_id=1,
            public=public,
            valid_from=context.height + 1,
            valid_to=None,
            revocation_reason="",
        ),
    )


def _pass_on(passing: Passing, reorganisation: str, context: Context) -> None:
    """Give a responsibility to its successor. It belongs to the directories; who has it is for a quorum to say."""
    key = responsibility_key(passing.responsibility)
    responsibility = context.get(key, Responsibility)
    if responsibility is None:
        raise InvariantBrokenError(f"a plan that was checked moves {passing.responsibility}, which does not exist")
    context.put(key, replace(responsibility, department=passing.successor))
    context.put(
        succession_key(passing.responsibility),
        Succession(
            responsibility=passing.responsibility,
            predecessor=responsibility.department,
            department=passing.successor,
            height=int(context.height),
            reorganisation=reorganisation,
        ),
    )
