"""Every combination of record, status, role and data item does what docs/roles.md says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache

import pytest
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.encoding import Canonical
from ledger.identifiers import CreditCode
from ledger.members.departments import Department, department_key
from ledger.registers.catalogue import DataItem, data_item_key, table_key
from ledger.registers.shared import Responsibility, responsibility_key
from ledger.registers.sharing.permissions import PERMISSIONS, Always
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
from ledger.registers.sharing.values import (
    Delivery,
    DeliveryStatus,
    Grant,
    GrantStatus,
    Objection,
    ObjectionStatus,
    Request,
    RequestStatus,
    delivery_key,
    grant_key,
    objection_key,
    request_key,
)
from ledger.state.transition import execute_block
from scripts.roles_table import ROLES, SHARING_TYPES, Item, verdict
from tests.registers.governed import (
    CLOSED,
    CONDITIONAL,
    OPEN,
    TABLES,
    acknowledge,
    correct,
    deliver,
    dispute,
    dispute_rejection,
    drift,
    grant,
    objection,
    refuse,
    reject,
    request,
    revoke,
    shared,
    terms,
    withdraw,
)
from tests.state.small_ledger import HOUSING, MARKET, TAX, SmallLedger, labels, trusting

SPEAKER = TAX
"""Is given each role in turn, and each relation to the data item and the request."""

STATUSES: Mapping[type[Record], type[Enum]] = {
    RequestSharing: Always,
    GrantRequest: RequestStatus,
    RefuseRequest: RequestStatus,
    WithdrawRequest: RequestStatus,
    DisputeRefusal: RequestStatus,
    RevokeGrant: GrantStatus,
    Deliver: GrantStatus,
    Acknowledge: DeliveryStatus,
    RejectDelivery: DeliveryStatus,
    RaiseObjection: Always,
    AnswerObjection: ObjectionStatus,
    DisputeRejection: ObjectionStatus,
    ReportDrift: Always,
    SetTerms: Always,
}
NAMES = {1: OPEN, 2: CONDITIONAL, 3: CLOSED}


@cache
def example() -> Mapping[bytes, Canonical]:
    """Return a state in which there is a request, a grant, a delivery and an objection, each of market regulation."""
    ledger = shared()
    for department, record in (
        (MARKET, request()),
        (HOUSING, grant()),
        (HOUSING, deliver()),
        (MARKET, objection(of=CONDITIONAL)),
    ):
        assert ledger.put(department, record) == ["accepted"]
    return dict(ledger.state.values)


def record_of(kind: type[Record], name: str) -> Record:
    """Return a record that nothing is wrong with, about the data item `name`."""
    records = {
        RequestSharing: request("X2-R1", name),
        GrantRequest: grant(),
        RefuseRequest: refuse(),
        WithdrawRequest: withdraw(),
        DisputeRefusal: dispute(),
        RevokeGrant: revoke(),
        Deliver: deliver(table=TABLES.get(name, "AN-09-T9")),
        Acknowledge: acknowledge(),
        RejectDelivery: reject(),
        RaiseObjection: objection("X2-O1", name),
        AnswerObjection: correct(),
        DisputeRejection: dispute_rejection(),
        ReportDrift: drift().__class__(table=TABLES.get(name, "AN-09-T9"), observed=drift().observed),
        SetTerms: terms(),
    }
    return records[kind]


def arranged(ledger: SmallLedger, item: Item, status: Enum, role: str, *, asked: bool) -> str:
    """Set the ledger's state to the case; return the data item's id."""
    name = NAMES[SHARING_TYPES.get(item, 2)] if item is not Item.UNKNOWN else "AN-09-D9"
    values = dict(example())
    speaker = values[department_key(SPEAKER)]
    assert isinstance(speaker, Department)
    values[department_key(SPEAKER)] = replace(speaker, roles=(role,))
    if item is Item.OWN:
        values[responsibility_key("AN-01")] = replace(_responsibility(values), department=SPEAKER)
    if item in (Item.UNAPPROVED, Item.WITHDRAWN):
        found = values[data_item_key(name)]
        assert isinstance(found, DataItem)
        change = {"approved_revision": 0} if item is Item.UNAPPROVED else {"withdrawn_height": 1}
        values[data_item_key(name)] = replace(found, **change)
    requester = SPEAKER if asked else MARKET
    if item in (Item.UNKNOWN, Item.UNAPPROVED):
        for key in (request_key("AY-R1"), grant_key("AY-R1"), delivery_key("AY-R1", 1), objection_key("AY-O1")):
            del values[key]
        values.pop(table_key(TABLES.get(name, "")), None)
    else:
        values.update(_named(values, name, status, requester))
    ledger.state.values = values
    return name


def _responsibility(values: Mapping[bytes, Canonical]) -> Responsibility:
    found = values[responsibility_key("AN-01")]
    assert isinstance(found, Responsibility)
    return found


def _named(
    values: Mapping[bytes, Canonical], name: str, status: Enum, requester: CreditCode
) -> Iterator[tuple[bytes, Canonical]]:
    """Yield request, grant, delivery and objection about the data item, with `status` where it is one of theirs."""
    asked = values[request_key("AY-R1")]
    assert isinstance(asked, Request)
    at = status if isinstance(status, RequestStatus) else RequestStatus.GRANTED
    yield request_key("AY-R1"), replace(asked, data_item=name, requester=requester, status=at, duty=None)
    given = values[grant_key("AY-R1")]
    assert isinstance(given, Grant)
    given = replace(given, data_item=name, requester=requester, duty=None, basis="authority")
    if isinstance(status, GrantStatus):
        given = replace(given, status=status, deliveries=0, open_delivery=0, pending=0)
    yield grant_key("AY-R1"), given
    made = values[delivery_key("AY-R1", 1)]
    assert isinstance(made, Delivery)
    word = status if isinstance(status, DeliveryStatus) else DeliveryStatus.PENDING
    yield delivery_key("AY-R1", 1), replace(made, status=word, duty=None)
    raised = values[objection_key("AY-O1")]
    assert isinstance(raised, Objection)
    stands = status if isinstance(status, ObjectionStatus) else ObjectionStatus.OPEN
    yield objection_key("AY-O1"), replace(raised, data_item=name, objector=requester, status=stands, duty=None)


def happened(ledger: SmallLedger, record: Record) -> str:
    """Return what executing the record on the state gives; the state stays as it is."""
    block = ledger.prepare([ledger.envelope(SPEAKER, record, sequence=1)])
    execution = execute_block(ledger.state, block, trusting)
    (label,) = labels(execution.results[0])
    if label != "accepted":
        return label
    if isinstance(record, RequestSharing):
        made = execution.changes[request_key(record.id)]
        assert isinstance(made, Request)
        return made.status.value
    return "yes"


def test_every_record_of_the_register_is_in_the_table() -> None:
    """A new one comes with its permission, and with its statuses here."""
    assert PERMISSIONS.keys() == STATUSES.keys()
    for kind, permission in PERMISSIONS.items():
        assert set(permission.parties) <= set(STATUSES[kind])


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_case_is_what_the_table_says(kind: type[Record]) -> None:
    """In every status, for every role and data item, for who asked and who did not."""
    ledger = shared()
    for status in STATUSES[kind]:
        for item in Item:
            for role in ROLES:
                for asked in (False, True):
                    name = arranged(ledger, item, status, role, asked=asked)
                    expected = verdict(kind, status, item, role, asked=asked)
                    assert happened(ledger, record_of(kind, name)) == expected, (status, item, role, asked)
