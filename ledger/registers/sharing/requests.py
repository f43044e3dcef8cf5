"""How a department asks for data, and who answers. All checks go before the first put.

A request for an unconditional data item is granted in the same execution; one for a conditional item waits for the
owner, one for an item that is not shared for the directory authority. What the owner refuses can be disputed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.registers.approved import approved_metadata
from ledger.registers.catalogue import DataItemMetadata
from ledger.registers.context import Context
from ledger.registers.shared import ReferenceRefusal
from ledger.registers.sharing.days import require_last_day
from ledger.registers.sharing.duties import begin_duty, end_duty, is_late
from ledger.registers.sharing.figures import THE_AUTHORITY, count_score, count_use
from ledger.registers.sharing.grants import make_grant, require_renewable
from ledger.registers.sharing.permissions import Always, Party, Standing, known, require_standing
from ledger.registers.sharing.recipient_keys import is_of_small_order
from ledger.registers.sharing.records import (
    DisputeRefusal,
    GrantRequest,
    RefuseRequest,
    RequestSharing,
    WithdrawRequest,
)
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.terms import terms_of
from ledger.registers.sharing.values import Basis, Request, RequestStatus, SharingType, request_key

FIRST_STATUS: Mapping[SharingType, RequestStatus] = {
    1: RequestStatus.GRANTED,
    2: RequestStatus.AWAITING_PROVIDER,
    3: RequestStatus.AWAITING_AUTHORITY,
}
"""What comes of a request at once, by how the data item is shared."""


def request_sharing(record: RequestSharing, context: Context) -> None:
    """Put a request; what comes of it at once follows from how the data item is shared."""
    standing = require_standing(RequestSharing, Always.ALWAYS, record.data_item, context)
    key = request_key(record.id)
    if context.get(key, Request) is not None:
        raise Refused(SharingRefusal.ID_USED)
    offered = approved_metadata(standing.item, context)
    _check_request(record, offered, context)
    request = Request(
        id=record.id,
        requester=context.department,
        provider=standing.owner,
        data_item=record.data_item,
        fields=record.fields,
        selection=record.selection,
        purpose=record.purpose,
        legal_basis=record.legal_basis,
        mode=record.mode,
        volume_max=record.volume_max,
        last_day=record.last_day,
        recipient_key=record.recipient_key,
        renews=record.renews,
        sharing_type=offered.sharing.type,
        status=FIRST_STATUS[offered.sharing.type],
        duty=None,
        requested_ms=context.time_ms,
        requested_height=int(context.height),
        answered_by=None,
        answer_reason="",
        answered_ms=0,
        answered_height=0,
    )
    match request.status:
        case RequestStatus.GRANTED:
            make_grant(request, standing.owner, "unconditional", "", context)
            count_score(standing.owner, context, requests_received=1, answered_at_once=1)
            request = replace(request, answered_ms=context.time_ms, answered_height=int(context.height))
        case RequestStatus.AWAITING_PROVIDER:
            duty = begin_duty("answer", terms_of(context).answer_working_days, key, context)
            count_score(standing.owner, context, requests_received=1)
            request = replace(request, duty=duty)
        case RequestStatus.AWAITING_AUTHORITY:
            duty = begin_duty("decide", terms_of(context).authority_working_days, key, context)
            count_score(THE_AUTHORITY, context, requests_received=1)
            request = replace(request, duty=duty)
    context.put(key, request)
    count_score(context.department, context, requests_sent=1)
    count_use(record.data_item, context, requests=1)


def grant_request(record: GrantRequest, context: Context) -> None:
    """Grant what was asked for, or less."""
    request = known(GrantRequest, request_key(record.request), Request, context)
    standing = require_standing(GrantRequest, request.status, request.data_item, context, requester=request.requester)
    _check_distinct(record.fields)
    require_last_day(record.last_day, context)
    if (
        not set(record.fields) <= set(request.fields)
        or record.volume_max > request.volume_max
        or record.last_day > request.last_day
    ):
        raise Refused(SharingRefusal.BEYOND_REQUEST)
    narrowed = replace(request, fields=record.fields, volume_max=record.volume_max, last_day=record.last_day)
    basis: Basis = "authority" if standing.party is Party.AUTHORITY else "provider"
    make_grant(narrowed, standing.owner, basis, record.conditions, context)
    _answer(request, RequestStatus.GRANTED, "", standing, context)


def refuse_request(record: RefuseRequest, context: Context) -> None:
    """Say no: the owner for the time being, the directory authority for good."""
    request = known(RefuseRequest, request_key(record.request), Request, context)
    standing = require_standing(RefuseRequest, request.status, request.data_item, context, requester=request.requester)
    status = RequestStatus.DENIED if standing.party is Party.AUTHORITY else RequestStatus.REFUSED
    _answer(request, status, record.reason, standing, context, refused=1)


def withdraw_request(record: WithdrawRequest, context: Context) -> None:
    """End the wait for an answer."""
    request = known(WithdrawRequest, request_key(record.request), Request, context)
    require_standing(WithdrawRequest, request.status, request.data_item, context, requester=request.requester)
    _close(request, RequestStatus.WITHDRAWN, record.reason, context)


def dispute_refusal(record: DisputeRefusal, context: Context) -> None:
    """Let the directory authority decide. Its answer is final."""
    request = known(DisputeRefusal, request_key(record.request), Request, context)
    require_standing(DisputeRefusal, request.status, request.data_item, context, requester=request.requester)
    key = request_key(request.id)
    duty = begin_duty("decide", terms_of(context).authority_working_days, key, context)
    context.put(key, replace(request, status=RequestStatus.AWAITING_AUTHORITY, duty=duty))
    count_score(THE_AUTHORITY, context, requests_received=1)


def _check_request(record: RequestSharing, offered: DataItemMetadata, context: Context) -> None:
    """Check what a request says of itself, in the order of its fields, against what was approved of the data item."""
    _check_distinct(record.fields)
    named = [condition.information_item for condition in record.selection]
    _check_distinct(named)
    known = {information_item.name for information_item in offered.information_items}
    if not known.issuperset(record.fields) or not known.issuperset(named):
        raise Refused(ReferenceRefusal.UNKNOWN_INFORMATION_ITEM)
    if not record.purpose.strip():
        raise Refused(SharingRefusal.PURPOSE_MISSING)
    sharing = offered.sharing
    if sharing.type == 3 and not record.legal_basis.strip():
        raise Refused(SharingRefusal.LEGAL_BASIS_MISSING)
    if record.mode not in (sharing.mode, "verification"):
        raise Refused(SharingRefusal.MODE_NOT_OFFERED)
    require_last_day(record.last_day, context)
    if is_of_small_order(record.recipient_key):
        raise Refused(SharingRefusal.UNSAFE_RECIPIENT_KEY)
    if record.renews is not None:
        require_renewable(record.renews, record.data_item, context)


def _check_distinct(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise Refused(ReferenceRefusal.REPEATED_NAME)


def _answer(
    request: Request, status: RequestStatus, reason: str, standing: Standing, context: Context, *, refused: int = 0
) -> None:
    holder = THE_AUTHORITY if standing.party is Party.AUTHORITY else standing.owner
    late = int(is_late(request, context, by_authority=standing.party is Party.AUTHORITY))
    count_score(holder, context, answered_in_time=1 - late, answered_late=late, refused=refused)
    _close(request, status, reason, context, answered_by=context.department)


def _close(
    request: Request, status: RequestStatus, reason: str, context: Context, *, answered_by: str | None = None
) -> None:
    key = request_key(request.id)
    end_duty(request.duty, key, context)
    context.put(
        key,
        replace(
            request,
            status=status,
            duty=None,
            answered_by=answered_by,
            answer_reason=reason,
            answered_ms=context.time_ms,
            answered_height=int(context.height),
        ),
    )
