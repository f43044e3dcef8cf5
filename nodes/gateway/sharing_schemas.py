"""The forms of what the gateway tells of sharing; `schemas` says how all forms are written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nodes.gateway.schemas import ChangeForm, DepartmentName, Form, Hex32, Moment, NamedThing

Time = str
RequestStatusName = Literal[
    "awaiting-provider", "escalated", "awaiting-authority", "granted", "refused", "denied", "withdrawn"
]
GrantStatusName = Literal["live", "expired", "revoked", "renewed"]
DeliveryStatusName = Literal["pending", "overdue", "acknowledged", "rejected"]
ObjectionStatusName = Literal["open", "escalated", "awaiting-authority", "corrected", "rejected", "dismissed"]
DutyName = Literal["answer", "decide", "deliver", "acknowledge", "correct"]


class DutyForm(Form):
    """What somebody still has to do."""

    kind: DutyName
    due: Time | None = Field(description="the deadline that runs; null once the last of them passed")
    passed: list[Time] = Field(description="deadlines that passed; each is a breach")


class ConditionForm(Form):
    """That rows have one of these values in an information item."""

    information_item: str
    values: list[str]


class RequestForm(Form):
    """What a department wants of a data item, why, and what came of it."""

    id: str = Field(examples=["AF-R1"])
    status: RequestStatusName
    requester: DepartmentName
    provider: DepartmentName = Field(description="who owns the data item now")
    data_item: NamedThing
    sharing_type: Literal[1, 2, 3] = Field(description="when it was requested")
    fields: list[str]
    selection: list[ConditionForm]
    purpose: str
    legal_basis: str
    mode: Literal["database", "file", "service", "verification"]
    volume_max: int = Field(description="rows of all deliveries together")
    last_day: str = Field(examples=["2025-12-31"])
    renews: str | None
    duty: DutyForm | None = Field(description="to answer or to decide; null once that is done")
    requested: Moment
    answered: Moment | None
    answered_by: DepartmentName | None = Field(description="null for what was granted at once, or not answered")
    answer_reason: str


class GrantForm(Form):
    """What a requester may get, under the id of its request."""

    id: str
    status: GrantStatusName
    requester: DepartmentName
    provider: DepartmentName = Field(description="who owns the data item now, and so delivers")
    data_item: NamedThing
    fields: list[str]
    selection: list[ConditionForm]
    mode: Literal["database", "file", "service", "verification"]
    volume_max: int
    used: int = Field(description="rows of all acknowledged deliveries")
    pending: int = Field(description="rows of the delivery that waits for the requester's word")
    left: int = Field(description="rows that may still be delivered")
    last_day: str
    conditions: str
    basis: Literal["unconditional", "provider", "authority"]
    ended_reason: str
    duty: DutyForm | None = Field(description="to deliver for the first time")
    granted: Moment
    deliveries: int = Field(description="number of the newest delivery; 0 before the first")


class RequestCase(Form):
    """A request with the grant that came of it."""

    request: RequestForm
    grant: GrantForm | None
    as_of: Moment


class DeliveryForm(Form):
    """That a provider has sealed rows for a requester."""

    grant: str
    number: int
    status: DeliveryStatusName
    requester: DepartmentName
    provider: DepartmentName = Field(description="who owned the data item when it was granted")
    data_item: NamedThing
    table: str
    rows: int
    size_bytes: int = Field(description="of the ciphertext")
    chunks: int
    commitment: Hex32 = Field(description="keyed commitment to the rows; the key travels with them")
    sealed: Hex32 = Field(description="digest of the ciphertext")
    schema_hash: Hex32
    rejection: Literal["beyond-grant", "tampered", "truncated", "commitment", "schema"] | None
    duty: DutyForm | None = Field(description="to acknowledge or reject it")
    delivered: Moment
    settled: Moment | None


class ObjectionForm(Form):
    """That a department has found a data item wrong, and what came of it."""

    id: str
    status: ObjectionStatusName
    objector: DepartmentName
    provider: DepartmentName = Field(description="who owns the data item now")
    data_item: NamedThing
    kind: Literal["wrong", "incomplete", "outdated"]
    details: Hex32 = Field(description="digest of the details, which travel outside the ledger")
    duty: DutyForm | None
    raised: Moment
    answered: Moment | None
    answered_by: DepartmentName | None
    answer_reason: str


class BreachForm(Form):
    """That a duty was not done in time."""

    id: str = Field(description="of the request, grant or objection that it is about")
    subject: Literal["request", "grant", "delivery", "objection"]
    duty: DutyName
    late: DepartmentName | None = Field(description="null for the directory authority as such")
    data_item: NamedThing
    stage: int = Field(description="1 for the first breach of the duty, 3 for the last")
    due: Time = Field(description="the deadline that passed")
    recorded: Moment
    cured: Moment | None = Field(description="block in which it was done after all; null while the breach is open")


class SharingReceipt(Form):
    """What shows that data were shared, or not: a delivery with its acknowledgement, or a refusal.

    `statements` are the records that make it, each signed by its department: `/api/v1/entries/{log_index}/tlog-proof`
    proves one of them to anybody.
    """

    request: str
    outcome: Literal["pending", "overdue", "acknowledged", "rejected", "refused", "denied"]
    requester: DepartmentName
    provider: DepartmentName
    data_item: NamedThing
    fields: list[str] = Field(description="that were granted, or asked for in vain")
    purpose: str
    reason: str = Field(description="of a refusal or a rejection; else empty")
    delivery: DeliveryForm | None = Field(description="null for a refusal")
    statements: list[ChangeForm]


class ScoreForm(Form):
    """What a department did and failed to do, and its place among the others."""

    rank: int | None = Field(
        description="1 is best; null for the directory authority as such, and for who has no score"
    )
    department: DepartmentName | None = Field(description="null for the directory authority as such")
    answered_in_time_permille: int | None = Field(
        description="an open breach counts as late; null if nothing was asked"
    )
    requests_received: int
    requests_sent: int
    answered_at_once: int
    answered_in_time: int
    answered_late: int
    refused: int
    corrections_in_time: int
    corrections_late: int
    rows_served: int
    rows_obtained: int
    deliveries_rejected: int
    breaches: int
    breaches_open: int
    data_items: int
    idle_items: list[str]
    broken_links: list[str]


class LeagueTable(Form):
    """All departments with data items or a score, the best first; and the directory authority as such."""

    items: list[ScoreForm]
    authority: ScoreForm
    as_of: Moment


class ScorePage(Form):
    """The score of one department."""

    score: ScoreForm
    as_of: Moment


class TermsForm(Form):
    """Working days within which each step is due, and what limits a grant."""

    answer_working_days: int
    authority_working_days: int
    delivery_working_days: int
    acknowledge_working_days: int
    correction_working_days: int
    idle_days: int
    grant_months_max: int
    set_height: int = Field(description="at which the directory authority has set them; 0 for those of the beginning")


class RequestPage(Form):
    """Requests, ascending by id."""

    items: list[RequestForm]
    next: str | None
    as_of: Moment


class GrantPage(Form):
    """Grants, ascending by id."""

    items: list[GrantForm]
    next: str | None
    as_of: Moment


class DeliveryPage(Form):
    """Deliveries, ascending by grant and number."""

    items: list[DeliveryForm]
    next: str | None
    as_of: Moment


class ObjectionPage(Form):
    """Objections, ascending by id."""

    items: list[ObjectionForm]
    next: str | None
    as_of: Moment


class BreachPage(Form):
    """Breaches, in the order of their deadlines."""

    items: list[BreachForm]
    next: str | None
    as_of: Moment


class ReceiptPage(Form):
    """Receipts, ascending by request and number."""

    items: list[SharingReceipt]
    next: str | None
    as_of: Moment
