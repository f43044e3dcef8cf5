"""How a grant comes of a request, and ends. All checks go before the first put."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.registers.context import Context
from ledger.registers.sharing.days import end_ms, is_over
from ledger.registers.sharing.duties import begin_duty, end_duty
from ledger.registers.sharing.figures import count_use
from ledger.registers.sharing.permissions import is_of, known, require_standing
from ledger.registers.sharing.records import RevokeGrant
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.terms import terms_of
from ledger.registers.sharing.values import Basis, Grant, GrantStatus, Request, grant_key

DELIVERED_MODES = frozenset({"database", "file"})
"""Modes in which the provider hands over by itself. A service or a verification waits until the requester calls."""


def make_grant(request: Request, item_owner: str, basis: Basis, conditions: str, context: Context) -> None:
    """Put the grant of all that `request` still says, and end the one it renews."""
    key = grant_key(request.id)
    if request.renews is not None:
        before = context.get(grant_key(request.renews), Grant)
        # It may have been revoked, or renewed by another request, while this one waited.
        if before is not None and before.status is GrantStatus.LIVE:
            _end(before, GrantStatus.RENEWED, f"renewed as {request.id}", context)
    grant = Grant(
        id=request.id,
        requester=request.requester,
        provider=item_owner,
        data_item=request.data_item,
        fields=request.fields,
        selection=request.selection,
        mode=request.mode,
        volume_max=request.volume_max,
        last_day=request.last_day,
        conditions=conditions,
        recipient_key=request.recipient_key,
        basis=basis,
        status=GrantStatus.LIVE,
        ended_reason="",
        duty=None,
        granted_ms=context.time_ms,
        granted_height=int(context.height),
        deliveries=0,
        open_delivery=0,
        pending=0,
        used=0,
    )
    context.put(key, owe_delivery(grant, context))
    count_use(request.data_item, context, grants=1)


def revoke_grant(record: RevokeGrant, context: Context) -> None:
    """End a grant. What was delivered before can still be acknowledged or rejected."""
    grant = known(RevokeGrant, grant_key(record.grant), Grant, context)
    require_standing(RevokeGrant, grant.status, grant.data_item, context, requester=grant.requester)
    _end(grant, GrantStatus.REVOKED, record.reason, context)


def owe_delivery(grant: Grant, context: Context) -> Grant:
    """Return the grant with the duty to deliver, if the provider hands over by itself and may still do so."""
    if grant.mode not in DELIVERED_MODES or grant.status is not GrantStatus.LIVE or is_over(grant.last_day, context):
        return grant
    working_days = terms_of(context).delivery_working_days
    latest_ms = end_ms(grant.last_day, context)
    return replace(grant, duty=begin_duty("deliver", working_days, grant_key(grant.id), context, latest_ms=latest_ms))


def require_renewable(name: str, data_item: str, context: Context) -> None:
    """Check that the signing department has a grant `name` for the data item that has not ended but by its date.

    Raises:
        Refused: UNKNOWN_GRANT, NOT_RENEWABLE.
    """
    grant = context.get(grant_key(name), Grant)
    if grant is None:
        raise Refused(SharingRefusal.UNKNOWN_GRANT)
    own = is_of(grant.requester, context.department, context)
    if not own or grant.data_item != data_item or grant.status is not GrantStatus.LIVE:
        raise Refused(SharingRefusal.NOT_RENEWABLE)


def _end(grant: Grant, status: GrantStatus, reason: str, context: Context) -> None:
    key = grant_key(grant.id)
    end_duty(grant.duty, key, context)
    context.put(key, replace(grant, status=status, ended_reason=reason, duty=None))
