"""What departments state about sharing.

Purposes, reasons and conditions go on the ledger as they are written and stay there: they never name persons.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ledger.blocks.record import Record
from ledger.encoding import Digest32, Key32
from ledger.registers.catalogue import DirectoryId
from ledger.registers.sharing.values import (
    DayText,
    DeliveryNumber,
    Fields,
    IdleDays,
    Mode,
    Months,
    Reason,
    Rejection,
    Remark,
    Rows,
    Selection,
    SharingId,
    WorkingDays,
)

Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class RequestSharing(Record, tag="sharing.request", kw_only=True):
    """The signing department asks for these fields of another department's data item, for this purpose."""

    id: SharingId
    data_item: DirectoryId
    fields: Fields
    selection: Selection
    purpose: Remark
    """Must not be empty."""
    legal_basis: Remark
    """Must not be empty for what is not shared."""
    mode: Mode
    volume_max: Rows
    """Rows of all deliveries together."""
    last_day: DayText
    """Last day of use."""
    recipient_key: Key32
    """X25519 public key of the requester, to which the keys of deliveries are sealed."""
    renews: SharingId | None
    """A grant of the requester for the same data item, which ends when this is granted."""


class GrantRequest(Record, tag="sharing.grant", kw_only=True):
    """Who has to answer a request gives what was asked for, or less."""

    request: SharingId
    fields: Fields
    volume_max: Rows
    last_day: DayText
    conditions: Remark


class RefuseRequest(Record, tag="sharing.refuse", kw_only=True):
    """Who has to answer a request says no, and why."""

    request: SharingId
    reason: Reason


class WithdrawRequest(Record, tag="sharing.withdraw_request", kw_only=True):
    """The requester no longer waits for an answer."""

    request: SharingId
    reason: Reason


class DisputeRefusal(Record, tag="sharing.dispute", kw_only=True):
    """The requester asks the directory authority to decide upon what the owner has refused."""

    request: SharingId
    reason: Reason


class RevokeGrant(Record, tag="sharing.revoke_grant", kw_only=True):
    """The owner of the data item, or the directory authority, ends a grant."""

    grant: SharingId
    reason: Reason


class Deliver(Record, tag="sharing.deliver", kw_only=True):
    """The owner has sealed rows for the requester; they leave once this is on the ledger."""

    grant: SharingId
    number: DeliveryNumber
    """One more than that of the grant's delivery before."""
    table: DirectoryId
    rows: Rows
    size_bytes: Count
    chunks: Count
    commitment: Digest32
    sealed: Digest32
    schema: Digest32
    """As in `values.Delivery`."""


class Acknowledge(Record, tag="sharing.acknowledge", kw_only=True):
    """The requester has received and checked a delivery."""

    grant: SharingId
    number: DeliveryNumber
    commitment: Digest32
    sealed: Digest32
    """Both as received; they must be those of the delivery."""


class RejectDelivery(Record, tag="sharing.reject_delivery", kw_only=True):
    """The requester has received something else than was granted or stated; its rows do not count."""

    grant: SharingId
    number: DeliveryNumber
    reason: Rejection


class RaiseObjection(Record, tag="sharing.object", kw_only=True):
    """The signing department has found another department's data item wrong."""

    id: SharingId
    data_item: DirectoryId
    kind: Literal["wrong", "incomplete", "outdated"]
    details: Digest32


class AnswerObjection(Record, tag="sharing.correct", kw_only=True):
    """Who has to answer an objection has corrected the data, or finds that they are right."""

    objection: SharingId
    outcome: Literal["corrected", "rejected"]
    reason: Reason


class DisputeRejection(Record, tag="sharing.dispute_objection", kw_only=True):
    """Who objected asks the directory authority to decide upon what the owner has rejected."""

    objection: SharingId
    reason: Reason


class ReportDrift(Record, tag="sharing.report_drift", kw_only=True):
    """The owner has found this schema in its database; nothing is delivered from the table while another is published.

    Reporting the published schema takes an earlier report back.
    """

    table: DirectoryId
    observed: Digest32


class SetTerms(Record, tag="sharing.set_terms", kw_only=True):
    """The directory authority sets the terms of what is requested, granted or delivered from now on."""

    answer_working_days: WorkingDays
    authority_working_days: WorkingDays
    delivery_working_days: WorkingDays
    acknowledge_working_days: WorkingDays
    correction_working_days: WorkingDays
    idle_days: IdleDays
    grant_months_max: Months
