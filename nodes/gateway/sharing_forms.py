"""From the values of sharing to the gateway's forms."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import InvariantBrokenError
from ledger.members.calendar import format_day
from ledger.registers.catalogue import DataItem, data_item_key
from ledger.registers.ownership import owner_of
from ledger.registers.sharing.duties import Breach
from ledger.registers.sharing.figures import THE_AUTHORITY
from ledger.registers.sharing.queries import Receipt, ScoreCard
from ledger.registers.sharing.values import (
    Condition,
    Delivery,
    Duty,
    Grant,
    GrantStatus,
    Objection,
    Request,
    grant_key,
)
from nodes.gateway import forms
from nodes.gateway import sharing_schemas as schemas
from nodes.gateway.node_view import NodeView
from nodes.gateway.schemas import ChangeForm, DepartmentName, Moment, NamedThing
from nodes.index import Change


def request(node: NodeView, found: Request) -> schemas.RequestForm:
    """Return a request as JSON has it."""
    return schemas.RequestForm(
        id=found.id,
        status=found.status.value,
        requester=forms.department(node, found.requester),
        provider=forms.department(node, owner_now(node, found.data_item)),
        data_item=_named_item(node, found.data_item),
        sharing_type=found.sharing_type,
        fields=list(found.fields),
        selection=_selection(found.selection),
        purpose=found.purpose,
        legal_basis=found.legal_basis,
        mode=found.mode,
        volume_max=found.volume_max,
        last_day=found.last_day,
        renews=found.renews,
        duty=_duty(node, found.duty),
        requested=forms.moment(node, found.requested_height, found.requested_ms),
        answered=_later(node, found.answered_height, found.answered_ms),
        answered_by=_perhaps(node, found.answered_by),
        answer_reason=found.answer_reason,
    )


def grant(node: NodeView, found: Grant) -> schemas.GrantForm:
    """Return a grant as JSON has it."""
    return schemas.GrantForm(
        id=found.id,
        status=grant_status(node, found),
        requester=forms.department(node, found.requester),
        provider=forms.department(node, owner_now(node, found.data_item)),
        data_item=_named_item(node, found.data_item),
        fields=list(found.fields),
        selection=_selection(found.selection),
        mode=found.mode,
        volume_max=found.volume_max,
        used=found.used,
        pending=found.pending,
        left=found.volume_max - found.used - found.pending,
        last_day=found.last_day,
        conditions=found.conditions,
        basis=found.basis,
        ended_reason=found.ended_reason,
        duty=_duty(node, found.duty),
        granted=forms.moment(node, found.granted_height, found.granted_ms),
        deliveries=found.deliveries,
    )


def grant_status(node: NodeView, found: Grant) -> schemas.GrantStatusName:
    """Return where a grant stands now; that it has expired follows from its last day alone."""
    match found.status:
        case GrantStatus.REVOKED:
            return "revoked"
        case GrantStatus.RENEWED:
            return "renewed"
    # Days in this spelling sort as they follow each other.
    today = format_day(node.state.calendar.day_at(node.state.time_ms))
    return "expired" if found.last_day < today else "live"


def delivery(node: NodeView, found: Delivery) -> schemas.DeliveryForm:
    """Return a delivery as JSON has it."""
    under = grant_of(node, found)
    return schemas.DeliveryForm(
        grant=found.grant,
        number=found.number,
        status=found.status.value,
        requester=forms.department(node, under.requester),
        provider=forms.department(node, under.provider),
        data_item=_named_item(node, under.data_item),
        table=found.table,
        rows=found.rows,
        size_bytes=found.size_bytes,
        chunks=found.chunks,
        commitment=found.commitment.hex(),
        sealed=found.sealed.hex(),
        schema_hash=found.schema.hex(),
        rejection=found.rejection,
        duty=_duty(node, found.duty),
        delivered=forms.moment(node, found.delivered_height, found.delivered_ms),
        settled=_later(node, found.settled_height, found.settled_ms),
    )


def grant_of(node: NodeView, found: Delivery) -> Grant:
    """Return the grant under which a delivery was made."""
    under = node.state.get(grant_key(found.grant), Grant)
    if under is None:
        raise InvariantBrokenError(f"a delivery was made under {found.grant}, which was never granted")
    return under


def objection(node: NodeView, found: Objection) -> schemas.ObjectionForm:
    """Return an objection as JSON has it."""
    return schemas.ObjectionForm(
        id=found.id,
        status=found.status.value,
        objector=forms.department(node, found.objector),
        provider=forms.department(node, owner_now(node, found.data_item)),
        data_item=_named_item(node, found.data_item),
        kind=found.kind,
        details=found.details.hex(),
        duty=_duty(node, found.duty),
        raised=forms.moment(node, found.raised_height, found.raised_ms),
        answered=_later(node, found.answered_height, found.answered_ms),
        answered_by=_perhaps(node, found.answered_by),
        answer_reason=found.answer_reason,
    )


def breach(node: NodeView, found: Breach) -> schemas.BreachForm:
    """Return a breach as JSON has it."""
    return schemas.BreachForm(
        id=found.id,
        subject=found.subject.split(b"/")[1].decode(),  # type: ignore[arg-type]
        duty=found.kind,
        late=_holder(node, found.holder),
        data_item=_named_item(node, found.data_item),
        stage=found.stage,
        due=_time(node, found.due_ms),
        recorded=forms.moment(node, found.passed_height, found.passed_ms),
        cured=_later(node, found.cured_height, found.cured_ms),
    )


def receipt(node: NodeView, found: Receipt, statements: Sequence[Change]) -> schemas.SharingReceipt:
    """Return a receipt with the records that make it."""
    asked, delivered = found.request, found.delivery
    given = node.state.get(grant_key(asked.id), Grant) if delivered else None
    return schemas.SharingReceipt(
        request=asked.id,
        outcome=delivered.status.value if delivered else asked.status.value,  # type: ignore[arg-type]
        requester=forms.department(node, asked.requester),
        provider=forms.department(node, asked.provider),
        data_item=_named_item(node, asked.data_item),
        fields=list(given.fields if given else asked.fields),
        purpose=asked.purpose,
        reason=(delivered.rejection or "") if delivered else asked.answer_reason,
        delivery=delivery(node, delivered) if delivered else None,
        statements=[ChangeForm(**forms.change(node, change)) for change in statements],
    )


def score(node: NodeView, card: ScoreCard, rank: int | None) -> schemas.ScoreForm:
    """Return a score-card as JSON has it; `rank` is its place in the league table."""
    counted = card.score
    return schemas.ScoreForm(
        rank=rank,
        department=_holder(node, card.holder),
        answered_in_time_permille=card.answered_in_time_permille,
        requests_received=counted.requests_received,
        requests_sent=counted.requests_sent,
        answered_at_once=counted.answered_at_once,
        answered_in_time=counted.answered_in_time,
        answered_late=counted.answered_late,
        refused=counted.refused,
        corrections_in_time=counted.corrections_in_time,
        corrections_late=counted.corrections_late,
        rows_served=counted.rows_served,
        rows_obtained=counted.rows_obtained,
        deliveries_rejected=counted.deliveries_rejected,
        breaches=counted.breaches,
        breaches_open=card.breaches_open,
        data_items=card.data_items,
        idle_items=list(card.idle_items),
        broken_links=list(card.broken_links),
    )


def owner_now(node: NodeView, data_item: str) -> str:
    """Return the credit code of who owns a data item now."""
    return owner_of(_item(node, data_item), node.state)


def parties(node: NodeView, about: Request | Grant) -> tuple[str, ...]:
    """Return the credit codes of who asked, and of who owned the data item then and owns it now."""
    return about.requester, about.provider, owner_now(node, about.data_item)


def _item(node: NodeView, name: str) -> DataItem:
    item = node.state.get(data_item_key(name), DataItem)
    if item is None:
        raise InvariantBrokenError(f"{name} is shared, and was never published")
    return item


def _named_item(node: NodeView, name: str) -> NamedThing:
    metadata = _item(node, name).metadata
    return NamedThing(id=name, name_en=metadata.name_en, name_zh=metadata.name_zh)


def _holder(node: NodeView, holder: str) -> DepartmentName | None:
    return None if holder == THE_AUTHORITY else forms.department(node, holder)


def _perhaps(node: NodeView, credit_code: str | None) -> DepartmentName | None:
    return None if credit_code is None else forms.department(node, credit_code)


def _duty(node: NodeView, duty: Duty | None) -> schemas.DutyForm | None:
    if duty is None:
        return None
    return schemas.DutyForm(
        kind=duty.kind,
        due=_time(node, duty.due_ms) if duty.due_ms else None,
        passed=[_time(node, due_ms) for due_ms in duty.passed],
    )


def _selection(selection: Sequence[Condition]) -> list[schemas.ConditionForm]:
    return [schemas.ConditionForm(information_item=c.information_item, values=list(c.values)) for c in selection]


def _time(node: NodeView, time_ms: int) -> str:
    return forms.moment(node, 0, time_ms).time


def _later(node: NodeView, height: int, time_ms: int) -> Moment | None:
    """Return the block in which something came to an end, or None while it has not."""
    return forms.moment(node, height, time_ms) if height else None
