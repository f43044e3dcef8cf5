"""Who may do what: one table, which the rules ask and which `docs/roles.md` is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ledger.blocks.record import Record
from ledger.blocks.refusals import RecordRefusal, RefusalCode, Refused
from ledger.members.departments import DIRECTORY_AUTHORITY, CreditCodeText
from ledger.registers.catalogue import DataItem, data_item_key
from ledger.registers.context import Context
from ledger.registers.ownership import owner_of
from ledger.registers.shared import PUBLIC_BODIES, ReferenceRefusal
from ledger.registers.sharing.records import (
    Acknowledge,
    AnswerObjection,
    Deliver,
    DisputeRefusal,
    DisputeRejection,
    GrantRequest,
    RaiseObjection,
    RefuseRequest,
    RejectDelivery,
    ReportDrift,
    RequestSharing,
    RevokeGrant,
    SetTerms,
    WithdrawRequest,
)
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.values import DeliveryStatus, GrantStatus, ObjectionStatus, RequestStatus


class Party(Enum):
    """As whom a department speaks of a data item."""

    OTHER = "a public body that does not own the data item"
    OWNER = "the owner of the data item"
    REQUESTER = "who made the request or the objection"
    AUTHORITY = "the directory authority, but not upon its own request or objection"


class Always(Enum):
    """The status of what has none."""

    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Who may state one kind of record."""

    parties: Mapping[Enum, tuple[Party, ...]]
    """By the status of what it is about; in another status nobody may."""
    otherwise: RefusalCode
    """Why nobody may then."""
    item_counts: bool
    """Whether the data item must be approved and not withdrawn."""


_ANSWERING: Mapping[Enum, tuple[Party, ...]] = {
    RequestStatus.AWAITING_PROVIDER: (Party.OWNER,),
    RequestStatus.ESCALATED: (Party.OWNER, Party.AUTHORITY),
    RequestStatus.AWAITING_AUTHORITY: (Party.AUTHORITY,),
}
_CORRECTING: Mapping[Enum, tuple[Party, ...]] = {
    ObjectionStatus.OPEN: (Party.OWNER,),
    ObjectionStatus.ESCALATED: (Party.OWNER, Party.AUTHORITY),
    ObjectionStatus.AWAITING_AUTHORITY: (Party.AUTHORITY,),
}
_RECEIVING: Mapping[Enum, tuple[Party, ...]] = {
    DeliveryStatus.PENDING: (Party.REQUESTER,),
    DeliveryStatus.OVERDUE: (Party.REQUESTER,),
}


def _always(*parties: Party, item_counts: bool) -> Permission:
    return Permission(parties={Always.ALWAYS: parties}, otherwise=RecordRefusal.NOT_AUTHORISED, item_counts=item_counts)


PERMISSIONS: Mapping[type[Record], Permission] = {
    RequestSharing: _always(Party.OTHER, item_counts=True),
    GrantRequest: Permission(parties=_ANSWERING, otherwise=SharingRefusal.REQUEST_NOT_OPEN, item_counts=True),
    RefuseRequest: Permission(parties=_ANSWERING, otherwise=SharingRefusal.REQUEST_NOT_OPEN, item_counts=False),
    WithdrawRequest: Permission(
        parties=dict.fromkeys(_ANSWERING, (Party.REQUESTER,)),
        otherwise=SharingRefusal.REQUEST_NOT_OPEN,
        item_counts=False,
    ),
    DisputeRefusal: Permission(
        parties={RequestStatus.REFUSED: (Party.REQUESTER,)},
        otherwise=SharingRefusal.NOT_DISPUTABLE,
        item_counts=True,
    ),
    RevokeGrant: Permission(
        parties={GrantStatus.LIVE: (Party.OWNER, Party.AUTHORITY)},
        otherwise=SharingRefusal.GRANT_ENDED,
        item_counts=False,
    ),
    Deliver: Permission(
        parties={GrantStatus.LIVE: (Party.OWNER,)}, otherwise=SharingRefusal.GRANT_ENDED, item_counts=True
    ),
    Acknowledge: Permission(parties=_RECEIVING, otherwise=SharingRefusal.DELIVERY_SETTLED, item_counts=False),
    RejectDelivery: Permission(parties=_RECEIVING, otherwise=SharingRefusal.DELIVERY_SETTLED, item_counts=False),
    RaiseObjection: _always(Party.OTHER, item_counts=True),
    AnswerObjection: Permission(parties=_CORRECTING, otherwise=SharingRefusal.OBJECTION_NOT_OPEN, item_counts=False),
    DisputeRejection: Permission(
        parties={ObjectionStatus.REJECTED: (Party.REQUESTER,)},
        otherwise=SharingRefusal.NOT_DISPUTABLE,
        item_counts=True,
    ),
    ReportDrift: _always(Party.OWNER, item_counts=False),
    SetTerms: _always(Party.AUTHORITY, item_counts=False),
}
"""By kind of record: who may state it, when."""


class Standing(NamedTuple):
    """As whom the signing department speaks, and of what."""

    party: Party
    item: DataItem
    owner: CreditCodeText


def require_standing(
    kind: type[Record], status: Enum, data_item: str, context: Context, *, requester: str | None = None
) -> Standing:
    """Check that the signing department may state a record of `kind`.

    Args:
        status: Of what the record is about; `Always.ALWAYS` if it has none.
        data_item: The data item it is about, by its id.
        requester: Who made the request or objection; None if there is none.

    Raises:
        Refused: Nobody may in this status; the data item is unknown, or does not count where it must; or the
            department is none of those who may, with the code of the first of them.
    """
    parties = _parties(kind, status)
    item = context.get(data_item_key(data_item), DataItem)
    if item is None:
        raise Refused(ReferenceRefusal.UNKNOWN_DATA_ITEM)
    if PERMISSIONS[kind].item_counts and not item.counts:
        raise Refused(ReferenceRefusal.DATA_ITEM_NOT_APPROVED)
    owner = owner_of(item, context)
    return Standing(_party(parties, context, owner, requester), item, owner)


def require_authority(kind: type[Record], context: Context) -> None:
    """Check that the signing department may state a record of `kind`, which is about no data item.

    Raises:
        Refused: NOT_AUTHORISED.
    """
    _party(_parties(kind, Always.ALWAYS), context, None, None)


def _parties(kind: type[Record], status: Enum) -> tuple[Party, ...]:
    permission = PERMISSIONS[kind]
    parties = permission.parties.get(status)
    if parties is None:
        raise Refused(permission.otherwise)
    return parties


def _party(parties: tuple[Party, ...], context: Context, owner: str | None, requester: str | None) -> Party:
    code = None
    for party in parties:
        why = why_not(party, context.department, context.roles, owner=owner, requester=requester)
        if why is None:
            return party
        code = code or why
    raise Refused(code or RecordRefusal.NOT_AUTHORISED)


def why_not(
    party: Party, department: str, roles: frozenset[str], *, owner: str | None, requester: str | None
) -> RefusalCode | None:
    """Return why a department with these roles cannot speak as `party`, or None if it can."""
    match party:
        case Party.OTHER:
            if roles.isdisjoint(PUBLIC_BODIES):
                return RecordRefusal.NOT_AUTHORISED
            return SharingRefusal.OWN_DATA_ITEM if department == owner else None
        case Party.OWNER:
            return None if department == owner else ReferenceRefusal.NOT_THE_OWNER
        case Party.REQUESTER:
            return None if department == requester else SharingRefusal.NOT_THE_REQUESTER
        case Party.AUTHORITY:
            if DIRECTORY_AUTHORITY not in roles:
                return RecordRefusal.NOT_AUTHORISED
            return SharingRefusal.OWN_REQUEST if department == requester else None
