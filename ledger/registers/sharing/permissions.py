"""Who may do what: one table, which the rules ask and which `docs/roles.md` is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeVar

from ledger.blocks.record import Record
from ledger.blocks.refusals import RecordRefusal, RefusalCode, Refused
from ledger.encoding import Canonical
from ledger.members.departments import DIRECTORY_AUTHORITY, CreditCodeText
from ledger.registers.catalogue import DataItem, data_item_key
from ledger.registers.context import Context
from ledger.registers.ownership import owner_of, stands_in
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

T = TypeVar("T", bound=Canonical)


class Party(Enum):
    """As whom a department speaks of a data item."""

    OTHER = "a public body, not the owner of the data item"
    OWNER = "the owner of the data item"
    REQUESTER = "who asked"
    AUTHORITY = "the directory authority, unless it asked itself"


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
    unknown: RefusalCode
    """Why nobody may if what it names was never there."""
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


def _always(*parties: Party, unknown: RefusalCode, item_counts: bool) -> Permission:
    return Permission(
        parties={Always.ALWAYS: parties},
        otherwise=RecordRefusal.NOT_AUTHORISED,
        unknown=unknown,
        item_counts=item_counts,
    )


def _on_request(parties: Mapping[Enum, tuple[Party, ...]], otherwise: RefusalCode, *, item_counts: bool) -> Permission:
    return Permission(
        parties=parties, otherwise=otherwise, unknown=SharingRefusal.UNKNOWN_REQUEST, item_counts=item_counts
    )


def _on_grant(parties: Mapping[Enum, tuple[Party, ...]], otherwise: RefusalCode, *, item_counts: bool) -> Permission:
    return Permission(
        parties=parties, otherwise=otherwise, unknown=SharingRefusal.UNKNOWN_GRANT, item_counts=item_counts
    )


def _on_objection(
    parties: Mapping[Enum, tuple[Party, ...]], otherwise: RefusalCode, *, item_counts: bool
) -> Permission:
    return Permission(
        parties=parties, otherwise=otherwise, unknown=SharingRefusal.UNKNOWN_OBJECTION, item_counts=item_counts
    )


PERMISSIONS: Mapping[type[Record], Permission] = {
    RequestSharing: _always(Party.OTHER, unknown=ReferenceRefusal.UNKNOWN_DATA_ITEM, item_counts=True),
    GrantRequest: _on_request(_ANSWERING, SharingRefusal.REQUEST_NOT_OPEN, item_counts=True),
    RefuseRequest: _on_request(_ANSWERING, SharingRefusal.REQUEST_NOT_OPEN, item_counts=False),
    WithdrawRequest: _on_request(
        dict.fromkeys(_ANSWERING, (Party.REQUESTER,)), SharingRefusal.REQUEST_NOT_OPEN, item_counts=False
    ),
    DisputeRefusal: _on_request(
        {RequestStatus.REFUSED: (Party.REQUESTER,)}, SharingRefusal.NOT_DISPUTABLE, item_counts=True
    ),
    RevokeGrant: _on_grant(
        {GrantStatus.LIVE: (Party.OWNER, Party.AUTHORITY)}, SharingRefusal.GRANT_ENDED, item_counts=False
    ),
    Deliver: _on_grant({GrantStatus.LIVE: (Party.OWNER,)}, SharingRefusal.GRANT_ENDED, item_counts=True),
    Acknowledge: _on_grant(_RECEIVING, SharingRefusal.DELIVERY_SETTLED, item_counts=False),
    RejectDelivery: _on_grant(_RECEIVING, SharingRefusal.DELIVERY_SETTLED, item_counts=False),
    RaiseObjection: _always(Party.OTHER, unknown=ReferenceRefusal.UNKNOWN_DATA_ITEM, item_counts=True),
    AnswerObjection: _on_objection(_CORRECTING, SharingRefusal.OBJECTION_NOT_OPEN, item_counts=False),
    DisputeRejection: _on_objection(
        {ObjectionStatus.REJECTED: (Party.REQUESTER,)}, SharingRefusal.NOT_DISPUTABLE, item_counts=True
    ),
    ReportDrift: _always(Party.OWNER, unknown=ReferenceRefusal.UNKNOWN_TABLE, item_counts=False),
    SetTerms: _always(Party.AUTHORITY, unknown=RecordRefusal.NOT_AUTHORISED, item_counts=False),
}
"""By kind of record: who may state it, when."""


class Speaker(NamedTuple):
    """What matters of the signing department, apart from its name."""

    roles: frozenset[str]
    owns: bool
    """Whether the data item is its own."""
    asked: bool
    """Whether it, or a department whose successor it is, made the request or objection."""


class Standing(NamedTuple):
    """As whom the signing department speaks, and of what."""

    party: Party
    item: DataItem
    owner: CreditCodeText


def require_standing(
    kind: type[Record], status: Enum, data_item: str, context: Context, *, requester: CreditCodeText | None = None
) -> Standing:
    """Check that the signing department may state a record of `kind`.

    Args:
        status: Of what the record is about; `Always.ALWAYS` if it has none.
        data_item: The data item it is about, by its id.
        requester: Who made the request or objection; None if there is none.

    Raises:
        Refused: UNKNOWN_DATA_ITEM, or as `party_of` does.
    """
    item = context.get(data_item_key(data_item), DataItem)
    if item is None:
        raise Refused(ReferenceRefusal.UNKNOWN_DATA_ITEM)
    owner, department = owner_of(item, context), context.department
    asked = requester is not None and is_of(requester, department, context)
    speaker = Speaker(context.roles, owns=department == owner, asked=asked)
    party = party_of(kind, status, speaker, item_counts=item.counts)
    return Standing(party, item, owner)


def is_of(requester: CreditCodeText, department: CreditCodeText, context: Context) -> bool:
    """Return whether `department` made a request, or took the place of the one that did in a reorganisation."""
    return department == requester or stands_in(department, requester, context)


def require_authority(kind: type[Record], context: Context) -> None:
    """Check that the signing department may state a record of `kind`, which is about no data item.

    Raises:
        Refused: NOT_AUTHORISED.
    """
    party_of(kind, Always.ALWAYS, Speaker(context.roles, owns=False, asked=False), item_counts=True)


def known(kind: type[Record], key: bytes, value: type[T], context: Context) -> T:
    """Return the value that a record of `kind` names by its state key.

    Raises:
        Refused: It was never there; the code is the kind's own.
    """
    found = context.get(key, value)
    if found is None:
        raise Refused(PERMISSIONS[kind].unknown)
    return found


def party_of(kind: type[Record], status: Enum, speaker: Speaker, *, item_counts: bool) -> Party:
    """Return as whom `speaker` may state a record of `kind`.

    Raises:
        Refused: Nobody may in this status; the data item does not count where it must; or the speaker is none of those
            who may, with the code of the first of them.
    """
    permission = PERMISSIONS[kind]
    parties = permission.parties.get(status)
    if parties is None:
        raise Refused(permission.otherwise)
    if permission.item_counts and not item_counts:
        raise Refused(ReferenceRefusal.DATA_ITEM_NOT_APPROVED)
    refusals = []
    for party in parties:
        why = _why_not(party, speaker)
        if why is None:
            return party
        refusals.append(why)
    raise Refused(refusals[0])


def _why_not(party: Party, speaker: Speaker) -> RefusalCode | None:
    match party:
        case Party.OTHER:
            if speaker.roles.isdisjoint(PUBLIC_BODIES):
                return RecordRefusal.NOT_AUTHORISED
            return SharingRefusal.OWN_DATA_ITEM if speaker.owns else None
        case Party.OWNER:
            return None if speaker.owns else ReferenceRefusal.NOT_THE_OWNER
        case Party.REQUESTER:
            return None if speaker.asked else SharingRefusal.NOT_THE_REQUESTER
        case Party.AUTHORITY:
            if DIRECTORY_AUTHORITY not in speaker.roles:
                return RecordRefusal.NOT_AUTHORISED
            return SharingRefusal.OWN_REQUEST if speaker.asked else None
