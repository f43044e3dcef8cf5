"""How a department objects to wrong data, and how they are corrected. All checks go before the first put."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.registers.context import Context
from ledger.registers.sharing.duties import begin_duty, end_duty, is_late
from ledger.registers.sharing.figures import THE_AUTHORITY, count_score
from ledger.registers.sharing.permissions import Always, Party, known, require_standing
from ledger.registers.sharing.records import AnswerObjection, DisputeRejection, RaiseObjection
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.terms import terms_of
from ledger.registers.sharing.values import Objection, ObjectionStatus, objection_key


def raise_objection(record: RaiseObjection, context: Context) -> None:
    """Put an objection for the owner of the data item to answer."""
    require_standing(RaiseObjection, Always.ALWAYS, record.data_item, context)
    key = objection_key(record.id)
    if context.get(key, Objection) is not None:
        raise Refused(SharingRefusal.ID_USED)
    duty = begin_duty("correct", terms_of(context).correction_working_days, key, context)
    context.put(
        key,
        Objection(
            id=record.id,
            objector=context.department,
            data_item=record.data_item,
            kind=record.kind,
            details=record.details,
            status=ObjectionStatus.OPEN,
            duty=duty,
            raised_ms=context.time_ms,
            raised_height=int(context.height),
            answered_by=None,
            answer_reason="",
            answered_ms=0,
            answered_height=0,
        ),
    )


def answer_objection(record: AnswerObjection, context: Context) -> None:
    """Say that the data were corrected, or need not be: the directory authority for good."""
    objection = known(AnswerObjection, objection_key(record.objection), Objection, context)
    standing = require_standing(
        AnswerObjection, objection.status, objection.data_item, context, requester=objection.objector
    )
    by_authority = standing.party is Party.AUTHORITY
    if record.outcome == "corrected":
        status = ObjectionStatus.CORRECTED
    else:
        status = ObjectionStatus.DISMISSED if by_authority else ObjectionStatus.REJECTED
    late = int(is_late(objection, context, by_authority=by_authority))
    holder = THE_AUTHORITY if by_authority else standing.owner
    count_score(holder, context, corrections_in_time=1 - late, corrections_late=late)
    key = objection_key(objection.id)
    end_duty(objection.duty, key, context)
    context.put(
        key,
        replace(
            objection,
            status=status,
            duty=None,
            answered_by=context.department,
            answer_reason=record.reason,
            answered_ms=context.time_ms,
            answered_height=int(context.height),
        ),
    )


def dispute_rejection(record: DisputeRejection, context: Context) -> None:
    """Let the directory authority decide. Its answer is final."""
    objection = known(DisputeRejection, objection_key(record.objection), Objection, context)
    require_standing(DisputeRejection, objection.status, objection.data_item, context, requester=objection.objector)
    key = objection_key(objection.id)
    duty = begin_duty("decide", terms_of(context).authority_working_days, key, context)
    context.put(key, replace(objection, status=ObjectionStatus.AWAITING_AUTHORITY, duty=duty))
