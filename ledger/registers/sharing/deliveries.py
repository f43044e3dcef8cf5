"""How rows go from a provider to a requester, as far as the ledger sees. All checks go before the first put.

A delivery is on the ledger before its first byte leaves the provider, so what a requester got can be asked for even if
it never answers. Its rows stay reserved until it does; they count as used once it has acknowledged them.
"""

from __future__ import annotations

from msgspec.structs import replace

from ledger.blocks.refusals import Refused
from ledger.errors import InvariantBrokenError
from ledger.registers.approved import approved_metadata
from ledger.registers.catalogue import DataItem, Table, table_key
from ledger.registers.context import Context
from ledger.registers.shared import ReferenceRefusal
from ledger.registers.sharing.days import is_over
from ledger.registers.sharing.duties import begin_duty, end_duty
from ledger.registers.sharing.figures import count_score, count_use
from ledger.registers.sharing.grants import owe_delivery
from ledger.registers.sharing.permissions import Always, Standing, known, require_standing
from ledger.registers.sharing.records import Acknowledge, Deliver, RejectDelivery, ReportDrift
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.terms import terms_of
from ledger.registers.sharing.values import (
    Delivery,
    DeliveryStatus,
    Drift,
    Grant,
    Rejection,
    delivery_key,
    drift_key,
    grant_key,
)


def deliver(record: Deliver, context: Context) -> None:
    """Put a delivery, and reserve its rows."""
    grant = known(Deliver, grant_key(record.grant), Grant, context)
    standing = require_standing(Deliver, grant.status, grant.data_item, context, requester=grant.requester)
    _check_grant(grant, standing.item, context)
    _check_delivery(record, grant, context)
    key = delivery_key(grant.id, record.number)
    duty = begin_duty("acknowledge", terms_of(context).acknowledge_working_days, key, context)
    context.put(
        key,
        Delivery(
            grant=grant.id,
            number=record.number,
            table=record.table,
            rows=record.rows,
            size_bytes=record.size_bytes,
            chunks=record.chunks,
            commitment=record.commitment,
            sealed=record.sealed,
            schema=record.schema,
            status=DeliveryStatus.PENDING,
            rejection=None,
            duty=duty,
            delivered_ms=context.time_ms,
            delivered_height=int(context.height),
            settled_ms=0,
            settled_height=0,
        ),
    )
    end_duty(grant.duty, grant_key(grant.id), context)
    context.put(
        grant_key(grant.id),
        replace(grant, duty=None, deliveries=record.number, open_delivery=record.number, pending=record.rows),
    )
    count_use(grant.data_item, context, deliveries=1)


def acknowledge(record: Acknowledge, context: Context) -> None:
    """Count a delivery's rows as used: this and the delivery together are its receipt."""
    grant, delivery, standing = _open_delivery(record, context)
    if (record.commitment, record.sealed) != (delivery.commitment, delivery.sealed):
        raise Refused(SharingRefusal.RECEIPT_MISMATCH)
    _settle(grant, delivery, DeliveryStatus.ACKNOWLEDGED, None, context)
    count_use(grant.data_item, context, rows=delivery.rows)
    count_score(standing.owner, context, rows_served=delivery.rows)
    count_score(grant.requester, context, rows_obtained=delivery.rows)


def reject_delivery(record: RejectDelivery, context: Context) -> None:
    """Give a delivery's rows back to the grant. Who hands over by itself owes another delivery."""
    grant, delivery, standing = _open_delivery(record, context)
    _settle(owe_delivery(grant, context), delivery, DeliveryStatus.REJECTED, record.reason, context)
    count_score(standing.owner, context, deliveries_rejected=1)


def report_drift(record: ReportDrift, context: Context) -> None:
    """Note which schema a table has in its database."""
    table = known(ReportDrift, table_key(record.table), Table, context)
    require_standing(ReportDrift, Always.ALWAYS, table.data_item, context)
    key = drift_key(table.id)
    if record.observed == table.schema and context.get(key, Drift) is None:
        raise Refused(SharingRefusal.NO_DRIFT)
    drift = Drift(
        table=table.id,
        observed=record.observed,
        reported_ms=context.time_ms,
        reported_height=int(context.height),
    )
    context.put(key, drift)


def _check_grant(grant: Grant, item: DataItem, context: Context) -> None:
    """Check that a grant allows deliveries now, apart from who speaks."""
    if is_over(grant.last_day, context):
        raise Refused(SharingRefusal.GRANT_EXPIRED)
    # A revision that waits for approval neither takes from what was granted nor opens what the approved one has closed.
    if grant.basis != "authority" and approved_metadata(item, context).sharing.type == 3:
        raise Refused(SharingRefusal.NO_LONGER_SHARED)


def _check_delivery(record: Deliver, grant: Grant, context: Context) -> None:
    """Check what a delivery says of itself, in the order of its fields."""
    if record.number != grant.deliveries + 1:
        raise Refused(SharingRefusal.DELIVERY_NOT_NEXT)
    if grant.open_delivery:
        raise Refused(SharingRefusal.DELIVERY_OPEN)
    table = context.get(table_key(record.table), Table)
    if table is None:
        raise Refused(ReferenceRefusal.UNKNOWN_TABLE)
    if table.data_item != grant.data_item or table.withdrawn_height:
        raise Refused(SharingRefusal.TABLE_OF_OTHER_ITEM)
    if record.rows > grant.volume_max - grant.used or (grant.mode == "verification" and record.rows != 1):
        raise Refused(SharingRefusal.VOLUME_EXCEEDED)
    if record.schema != table.schema:
        raise Refused(SharingRefusal.SCHEMA_NOT_CURRENT)
    drift = context.get(drift_key(table.id), Drift)
    if drift is not None and drift.observed != table.schema:
        raise Refused(SharingRefusal.SCHEMA_DRIFTED)


def _open_delivery(record: Acknowledge | RejectDelivery, context: Context) -> tuple[Grant, Delivery, Standing]:
    grant = known(type(record), grant_key(record.grant), Grant, context)
    delivery = context.get(delivery_key(record.grant, record.number), Delivery)
    if delivery is None:
        raise Refused(SharingRefusal.UNKNOWN_DELIVERY)
    standing = require_standing(type(record), delivery.status, grant.data_item, context, requester=grant.requester)
    return grant, delivery, standing


def _settle(
    grant: Grant, delivery: Delivery, status: DeliveryStatus, rejection: Rejection | None, context: Context
) -> None:
    """Close a delivery; its rows are no longer reserved, and used if it was acknowledged."""
    if grant.open_delivery != delivery.number:
        raise InvariantBrokenError(f"delivery {delivery.number} of {grant.id} is open, and another is said to be")
    key = delivery_key(grant.id, delivery.number)
    end_duty(delivery.duty, key, context)
    context.put(
        key,
        replace(
            delivery,
            status=status,
            rejection=rejection,
            duty=None,
            settled_ms=context.time_ms,
            settled_height=int(context.height),
        ),
    )
    used = grant.used + (delivery.rows if status is DeliveryStatus.ACKNOWLEDGED else 0)
    context.put(grant_key(grant.id), replace(grant, open_delivery=0, pending=0, used=used))
