"""Duties and their deadlines: how lateness becomes a breach without anyone sending anything, and how it is cured.

A duty begins with a deadline on the value that waits for it: a request, a grant, a delivery, an objection. Once a
block's time is beyond the deadline, that block records a breach, lets the directory authority answer in the owner's
place, and sets the next deadline, counted from that block. After the third, none runs any more; the duty stays, and
whenever it is done, its breaches are cured.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol, cast

from msgspec.structs import replace

from ledger.encoding import Canonical, ShortText, UInt63
from ledger.errors import InvariantBrokenError
from ledger.registers.catalogue import DataItem, DirectoryId, data_item_key
from ledger.registers.context import Context
from ledger.registers.ownership import owner_of
from ledger.registers.sharing.days import is_over
from ledger.registers.sharing.figures import THE_AUTHORITY, count_score
from ledger.registers.sharing.terms import terms_of
from ledger.registers.sharing.values import (
    DELIVERIES,
    GRANTS,
    OBJECTIONS,
    REQUESTS,
    Delivery,
    DeliveryStatus,
    Duty,
    DutyKind,
    Grant,
    Objection,
    ObjectionStatus,
    Request,
    RequestStatus,
    SharingId,
    grant_key,
)

BREACHES_MAX = 3
"""Breaches of one duty. They show that nobody acts; a fourth would show nothing new."""


class Breach(Canonical, tag="sharing/breach", kw_only=True):
    """That a duty was not done in time."""

    subject: bytes
    """State key of what waited."""
    id: SharingId
    """Of the request, grant or objection that it is about."""
    data_item: DirectoryId
    kind: DutyKind
    holder: ShortText
    """Credit code of who was late, or `figures.THE_AUTHORITY`."""
    stage: UInt63
    """1 for the first breach of the duty, 3 for the last."""
    due_ms: UInt63
    """The deadline that passed."""
    passed_ms: UInt63
    passed_height: UInt63
    """Time and height of the block that recorded it."""
    cured_ms: UInt63
    cured_height: UInt63
    """Of the block in which the duty was done, or was not wanted any more; 0 while the breach is open."""


class Waiting(Protocol):
    """A value with a duty in it."""

    @property
    def duty(self) -> Duty | None:
        """What is waited for, or None."""


BREACHES = b"sharing/breach/"

_ESCALATIONS: Mapping[Enum, Enum] = {
    RequestStatus.AWAITING_PROVIDER: RequestStatus.ESCALATED,
    ObjectionStatus.OPEN: ObjectionStatus.ESCALATED,
    DeliveryStatus.PENDING: DeliveryStatus.OVERDUE,
}
"""The status after the first breach, where it changes."""

_NEXT_KIND: Mapping[DutyKind, DutyKind] = {"answer": "decide", "correct": "decide"}
"""Whose deadline comes next: the authority's, once the owner is late with an answer."""


def breach_key(due_ms: int, subject: bytes) -> bytes:
    """Return the state key of a breach; breaches stand in the order of their deadlines."""
    return b"%b%016d/%b" % (BREACHES, due_ms, subject.removeprefix(b"sharing/"))


def begin_duty(
    kind: DutyKind, working_days: int, subject: bytes, context: Context, *, latest_ms: int | None = None
) -> Duty:
    """Set the deadline of something that has to be done from now on; return what the subject's value must hold.

    Args:
        working_days: From the block's day on, which is not counted.
        latest_ms: When it has to be done at the latest, if that is earlier.
    """
    due_ms = context.calendar.due_ms(context.time_ms, working_days)
    if latest_ms is not None:
        due_ms = min(due_ms, latest_ms)
    context.set_deadline(due_ms, subject)
    return Duty(kind=kind, due_ms=due_ms, passed=())


def end_duty(duty: Duty | None, subject: bytes, context: Context) -> None:
    """Lift the deadline that runs and cure the breaches there were: it is done, or not wanted any more.

    To be called before what waited is put without its duty.
    """
    if duty is None:
        return
    passed = duty.passed
    if duty.due_ms:
        context.lift_deadline(duty.due_ms, subject)
        if _has_passed(duty, context):
            _put_breach(_waiting(subject, context), duty, subject, context)
            passed = (*passed, duty.due_ms)
    for due_ms in passed:
        key = breach_key(due_ms, subject)
        breach = context.get(key, Breach)
        if breach is None:
            raise InvariantBrokenError(f"{subject!r} has passed a deadline at {due_ms}, and there is no breach")
        context.put(key, replace(breach, cured_ms=context.time_ms, cured_height=int(context.height)))
        count_score(breach.holder, context, breaches_cured=1)


def is_late(waiting: Request | Objection, context: Context, *, by_authority: bool) -> bool:
    """Return whether who answers now should have answered before.

    Args:
        by_authority: Whether the directory authority answers. The first deadline of what has escalated to it was the
            owner's.
    """
    duty = waiting.duty
    passed = 0 if duty is None else len(duty.passed) + _has_passed(duty, context)
    escalated = waiting.status in (RequestStatus.ESCALATED, ObjectionStatus.ESCALATED)
    return passed > (1 if by_authority and escalated else 0)


def pass_deadline(subject: bytes, context: Context) -> None:
    """Record the breach of a duty whose deadline has passed, and set the next deadline. Nobody speaks."""
    value = _waiting(subject, context)
    if (duty := cast(Waiting, value).duty) is None:
        raise InvariantBrokenError(f"a deadline passed for {subject!r}, which waits for nothing")
    _put_breach(value, duty, subject, context)
    passed = (*duty.passed, duty.due_ms)
    next_ms = 0
    # Nobody can deliver any more under a grant that is over.
    if len(passed) < BREACHES_MAX and not (isinstance(value, Grant) and is_over(value.last_day, context)):
        next_ms = context.calendar.due_ms(context.time_ms, terms_of(context).authority_working_days)
        context.set_deadline(next_ms, subject)
    late = Duty(kind=_NEXT_KIND.get(duty.kind, duty.kind), due_ms=next_ms, passed=passed)
    context.put(subject, _escalated(value, late))


def _has_passed(duty: Duty, context: Context) -> bool:
    """Return whether the deadline that runs is over: one block acts upon so many, and this may be among the rest."""
    return 0 < duty.due_ms < context.time_ms


def _put_breach(value: Canonical, duty: Duty, subject: bytes, context: Context) -> None:
    """Record that the deadline that runs has passed, and count it with whoever was late."""
    grant = _grant_of(value, context) if isinstance(value, Delivery) else None
    about = grant or cast("Request | Grant | Objection", value)
    holder = _holder_of(duty.kind, about, context)
    context.put(
        breach_key(duty.due_ms, subject),
        Breach(
            subject=subject,
            id=about.id,
            data_item=about.data_item,
            kind=duty.kind,
            holder=holder,
            stage=len(duty.passed) + 1,
            due_ms=duty.due_ms,
            passed_ms=context.time_ms,
            passed_height=int(context.height),
            cured_ms=0,
            cured_height=0,
        ),
    )
    count_score(holder, context, breaches=1)


def _waiting(subject: bytes, context: Context) -> Canonical:
    for prefix, kind in _SUBJECTS.items():
        if subject.startswith(prefix) and (value := context.get(subject, kind)) is not None:
            return value
    raise InvariantBrokenError(f"a deadline was set for {subject!r}, which can wait for nothing")


_SUBJECTS: Mapping[bytes, type[Canonical]] = {
    REQUESTS: Request,
    GRANTS: Grant,
    DELIVERIES: Delivery,
    OBJECTIONS: Objection,
}


def _grant_of(delivery: Delivery, context: Context) -> Grant:
    grant = context.get(grant_key(delivery.grant), Grant)
    if grant is None:
        raise InvariantBrokenError(f"a delivery was made under {delivery.grant}, which was never granted")
    return grant


def _holder_of(kind: DutyKind, about: Request | Grant | Objection, context: Context) -> str:
    """Return who has to do it as of now: a data item, and with it the duty, may have got another owner."""
    if kind == "decide":
        return THE_AUTHORITY
    if kind == "acknowledge":
        assert isinstance(about, Grant)
        return about.requester
    item = context.get(data_item_key(about.data_item), DataItem)
    if item is None:
        raise InvariantBrokenError(f"{about.id} is about {about.data_item}, which was never published")
    return owner_of(item, context)


def _escalated(value: Canonical, duty: Duty) -> Canonical:
    match value:
        case Request() | Objection() | Delivery():
            return replace(value, duty=duty, status=_ESCALATIONS.get(value.status, value.status))
        case Grant():
            return replace(value, duty=duty)
    raise InvariantBrokenError(f"a {type(value).__name__} can wait for nothing")
