"""What the state holds of sharing, and the keys. Terms, breaches and figures stand in modules of their own.

Numbers of rows are the volume of a request, a grant and a delivery; data themselves are never here.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta

from ledger.encoding import Canonical, Digest32, Key32, ShortText, UInt63
from ledger.members.departments import CreditCodeText
from ledger.registers.catalogue import DirectoryId, Name

SharingId = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[0-9A-Z]+(-[0-9A-Z]+)*$")]
"""Id of a request and the grant that comes of it, or of an objection; for example `AN-R17`. Chosen by who asks."""
DayText = Annotated[str, Meta(min_length=10, max_length=10)]
"""A day, `2025-10-01`, at the network's offset from UTC."""
Reason = Annotated[str, Meta(min_length=1, max_length=2_000)]
Remark = Annotated[str, Meta(max_length=2_000)]
Rows = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
"""A number of rows; with 10^12 at most, sums of millions of deliveries still fit 63 bits."""
DeliveryNumber = Annotated[int, Meta(ge=1, lt=1 << 31)]
WorkingDays = Annotated[int, Meta(ge=0, le=250)]
IdleDays = Annotated[int, Meta(ge=1, le=3_660)]
Months = Annotated[int, Meta(ge=1, le=120)]
SharingType = Literal[1, 2, 3]
"""1 unconditional, 2 conditional, 3 not shared: as in the catalogue's sharing attributes."""
Mode = Literal["database", "file", "service", "verification"]
"""How data are handed over; a verification answers yes or no and hands over no row."""
Basis = Literal["unconditional", "provider", "authority"]
"""What a grant rests on: the catalogue alone, its owner's word, or that of the directory authority."""
Rejection = Literal["beyond-grant", "tampered", "truncated", "commitment", "schema"]
"""Why a requester does not take a delivery."""
DutyKind = Literal["answer", "decide", "deliver", "acknowledge", "correct"]
"""The owner answers a request, delivers, and corrects; the requester acknowledges; the directory authority decides."""


class RequestStatus(Enum):
    """Where a request stands."""

    AWAITING_PROVIDER = "awaiting-provider"
    """For the owner of the data item to answer."""
    ESCALATED = "escalated"
    """The owner did not answer in time: the directory authority may answer too."""
    AWAITING_AUTHORITY = "awaiting-authority"
    """Not shared, or disputed: for the directory authority to decide."""
    GRANTED = "granted"
    REFUSED = "refused"
    """By the owner; the requester may dispute it."""
    DENIED = "denied"
    """By the directory authority, for good."""
    WITHDRAWN = "withdrawn"
    """By the requester."""


class GrantStatus(Enum):
    """Whether a grant has ended before its last day. The last day itself is read from the grant, never swept."""

    LIVE = "live"
    REVOKED = "revoked"
    RENEWED = "renewed"
    """Another grant came in its place."""


class DeliveryStatus(Enum):
    """What the requester has said of a delivery."""

    PENDING = "pending"
    OVERDUE = "overdue"
    """Nothing, and the time for it is over. It can still be acknowledged or rejected."""
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"


class ObjectionStatus(Enum):
    """Where an objection stands."""

    OPEN = "open"
    """For the owner of the data item to answer."""
    ESCALATED = "escalated"
    """The owner did not answer in time: the directory authority may answer too."""
    AWAITING_AUTHORITY = "awaiting-authority"
    """Disputed: for the directory authority to decide."""
    CORRECTED = "corrected"
    REJECTED = "rejected"
    """By the owner; who objected may dispute it."""
    DISMISSED = "dismissed"
    """By the directory authority, for good."""


class Duty(Canonical, tag="sharing-duty", kw_only=True):
    """What somebody has to do, by when, and how often that was not done in time."""

    kind: DutyKind
    due_ms: UInt63
    """The deadline that runs; 0 once the last of them passed."""
    passed: Annotated[tuple[UInt63, ...], Meta(max_length=3)]
    """Deadlines that passed; each is a breach."""


class Condition(Canonical, tag="sharing-condition", kw_only=True):
    """That rows have one of these values in an information item. Values name groups, `valid` or `2025`, not persons."""

    information_item: Name
    values: Annotated[tuple[ShortText, ...], Meta(min_length=1, max_length=100)]


Fields = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=500)]
"""Names of information items, distinct."""
Selection = Annotated[tuple[Condition, ...], Meta(max_length=20)]
"""Rows that fulfil all conditions; all rows if there is none."""


class Request(Canonical, tag="sharing/request", kw_only=True):
    """What a department wants of a data item, why, and what came of it."""

    id: SharingId
    requester: CreditCodeText
    provider: CreditCodeText
    """Who owned the data item when it was requested. `ledger.registers.ownership` says who does now."""
    data_item: DirectoryId
    fields: Fields
    selection: Selection
    purpose: Reason
    legal_basis: Remark
    mode: Mode
    volume_max: Rows
    last_day: DayText
    recipient_key: Key32
    """X25519: the keys of deliveries are sealed to it."""
    renews: SharingId | None
    """The grant that ends when this is granted."""
    sharing_type: SharingType
    """Of the data item when it was requested."""
    status: RequestStatus
    duty: Duty | None
    """To answer or to decide; None once that is done."""
    requested_ms: UInt63
    requested_height: UInt63
    """Time and height of the block that made it."""
    answered_by: CreditCodeText | None
    """Who granted or refused it last; None while nobody did, or nobody had to."""
    answer_reason: Remark
    """Why it was refused or withdrawn; empty otherwise."""
    answered_ms: UInt63
    answered_height: UInt63
    """Of the newest answer or of the withdrawal; 0 while there is none."""


class Grant(Canonical, tag="sharing/grant", kw_only=True):
    """What a requester may get, under the id of its request. It may not be passed on."""

    id: SharingId
    requester: CreditCodeText
    provider: CreditCodeText
    """Who owned the data item when it was granted."""
    data_item: DirectoryId
    fields: Fields
    selection: Selection
    mode: Mode
    volume_max: Rows
    """Rows of all deliveries together."""
    last_day: DayText
    """The whole day belongs to it."""
    conditions: Remark
    """What the provider asks of the requester, or empty."""
    recipient_key: Key32
    basis: Basis
    status: GrantStatus
    ended_reason: Remark
    """Empty while live."""
    duty: Duty | None
    """To deliver for the first time, in the modes database and file; a service waits to be called."""
    granted_ms: UInt63
    granted_height: UInt63
    deliveries: UInt63
    """Number of the newest delivery; 0 before the first."""
    open_delivery: UInt63
    """Number of the delivery that waits for the requester's word; 0 if none does."""
    pending: Rows
    """Rows of that delivery."""
    used: Rows
    """Rows of all acknowledged deliveries; `used + pending <= volume_max`."""


class Delivery(Canonical, tag="sharing/delivery", kw_only=True):
    """That a provider has sealed rows for a requester. With the requester's acknowledgement it is the receipt."""

    grant: SharingId
    number: DeliveryNumber
    table: DirectoryId
    rows: Rows
    size_bytes: UInt63
    """Of the ciphertext."""
    chunks: UInt63
    commitment: Digest32
    """Keyed commitment to the rows; the key travels with them."""
    sealed: Digest32
    """Digest of the ciphertext as it travels."""
    schema: Digest32
    """Schema hash of the table, as published and as found in the database."""
    status: DeliveryStatus
    rejection: Rejection | None
    duty: Duty | None
    """To acknowledge or reject it; None once that is done."""
    delivered_ms: UInt63
    delivered_height: UInt63
    settled_ms: UInt63
    settled_height: UInt63
    """Of the acknowledgement or rejection; 0 while there is none."""


class Objection(Canonical, tag="sharing/objection", kw_only=True):
    """That a department has found a data item wrong, and what came of it."""

    id: SharingId
    objector: CreditCodeText
    data_item: DirectoryId
    kind: Literal["wrong", "incomplete", "outdated"]
    details: Digest32
    """Of the details, which go from department to department outside the ledger."""
    status: ObjectionStatus
    duty: Duty | None
    """To correct or to decide; None once that is done."""
    raised_ms: UInt63
    raised_height: UInt63
    answered_by: CreditCodeText | None
    answer_reason: Remark
    answered_ms: UInt63
    answered_height: UInt63
    """Of the newest answer; 0 while there is none."""


class Drift(Canonical, tag="sharing/drift", kw_only=True):
    """The schema that a table's owner has found in its database. The table drifts while its own hash is another."""

    table: DirectoryId
    observed: Digest32
    reported_ms: UInt63
    reported_height: UInt63


REQUESTS = b"sharing/request/"
GRANTS = b"sharing/grant/"
DELIVERIES = b"sharing/delivery/"
OBJECTIONS = b"sharing/objection/"
DRIFTS = b"sharing/drift/"


def request_key(name: str) -> bytes:
    """Return the state key of a request."""
    return REQUESTS + name.encode()


def grant_key(name: str) -> bytes:
    """Return the state key of a grant; its name is that of its request."""
    return GRANTS + name.encode()


def delivery_key(grant: str, number: int) -> bytes:
    """Return the state key of a delivery. Those of a grant stand in their order."""
    return b"%b%b/%010d" % (DELIVERIES, grant.encode(), number)


def objection_key(name: str) -> bytes:
    """Return the state key of an objection."""
    return OBJECTIONS + name.encode()


def drift_key(table: str) -> bytes:
    """Return the state key of what was reported of a table's schema."""
    return DRIFTS + table.encode()
