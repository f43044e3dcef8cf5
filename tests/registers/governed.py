"""Good records for the tests of sharing, each to be spoilt in one place by `replace`, and a ledger to put them on."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.crypto.hashing import sha256
from ledger.members.calendar import format_day, parse_day
from ledger.registers.catalogue import Sharing, schema_hash
from ledger.registers.directories.records import ApproveDataItem, ApproveResponsibility, PublishDataItem
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
from tests.registers.catalogue import COLUMNS, METADATA, data_item, responsibility, table
from tests.state.small_ledger import AUTHORITY, CREATED_MS, DAY_MS, HOUSING, MARKET, REGISTRAR, SmallLedger

OPEN, CONDITIONAL, CLOSED = "AN-01-D1", "AN-01-D2", "AN-01-D3"
"""Data items of housing: shared unconditionally, on conditions, and not."""
TABLES = {OPEN: "AN-01-T1", CONDITIONAL: "AN-01-T2", CLOSED: "AN-01-T3"}
SHARINGS = {
    OPEN: Sharing(type=1, condition="", mode="database"),
    CONDITIONAL: Sharing(type=2, condition="for permits only", mode="database"),
    CLOSED: Sharing(type=3, condition="Statistics Law, article 25", mode="database"),
}
FIRST_DAY, LAST_DAY = "2025-09-15", "2025-12-31"


def item(name: str, revision: int = 1, *, under: str = "AN-01") -> PublishDataItem:
    """Return a publication of one of the three items."""
    sharing = SHARINGS.get(name, SHARINGS[OPEN])
    return replace(data_item(name, revision, under), metadata=replace(METADATA, sharing=sharing))


def request(name: str = "AY-R1", of: str = CONDITIONAL, **other: object) -> RequestSharing:
    """Return a good request for ten rows until the end of the year."""
    good = RequestSharing(
        id=name,
        data_item=of,
        fields=("permit number", "issued on"),
        selection=(),
        purpose="to check permits at the counter",
        legal_basis="Anti-Fraud Law, article 7" if of == CLOSED else "",
        mode="database",
        volume_max=10,
        last_day=LAST_DAY,
        recipient_key=sha256(name.encode()),
        renews=None,
    )
    return replace(good, **other)


def grant(name: str = "AY-R1", **other: object) -> GrantRequest:
    """Return a grant of all that `request` asks for."""
    good = GrantRequest(
        request=name, fields=("permit number", "issued on"), volume_max=10, last_day=LAST_DAY, conditions=""
    )
    return replace(good, **other)


def refuse(name: str = "AY-R1") -> RefuseRequest:
    """Return a refusal."""
    return RefuseRequest(request=name, reason="not needed for it")


def withdraw(name: str = "AY-R1") -> WithdrawRequest:
    """Return what ends the wait for an answer."""
    return WithdrawRequest(request=name, reason="done otherwise")


def dispute(name: str = "AY-R1") -> DisputeRefusal:
    """Return a dispute of a refusal."""
    return DisputeRefusal(request=name, reason="the condition is fulfilled")


def revoke(name: str = "AY-R1") -> RevokeGrant:
    """Return a revocation."""
    return RevokeGrant(grant=name, reason="used for something else")


def deliver(name: str = "AY-R1", number: int = 1, *, of: str = CONDITIONAL, **other: object) -> Deliver:
    """Return a delivery of four rows."""
    good = Deliver(
        grant=name,
        number=number,
        table=TABLES[of],
        rows=4,
        size_bytes=400,
        chunks=1,
        commitment=sha256(f"rows {name} {number}".encode()),
        sealed=sha256(f"sealed {name} {number}".encode()),
        schema=schema_hash(COLUMNS),
    )
    return replace(good, **other)


def acknowledge(name: str = "AY-R1", number: int = 1) -> Acknowledge:
    """Return the acknowledgement of `deliver` with the same arguments."""
    made = deliver(name, number)
    return Acknowledge(grant=name, number=number, commitment=made.commitment, sealed=made.sealed)


def reject(name: str = "AY-R1", number: int = 1) -> RejectDelivery:
    """Return a rejection."""
    return RejectDelivery(grant=name, number=number, reason="beyond-grant")


def objection(name: str = "AY-O1", of: str = OPEN) -> RaiseObjection:
    """Return an objection."""
    return RaiseObjection(id=name, data_item=of, kind="wrong", details=sha256(b"row 3 is of another house"))


def correct(name: str = "AY-O1", outcome: str = "corrected") -> AnswerObjection:
    """Return an answer to an objection."""
    return replace(AnswerObjection(objection=name, outcome="corrected", reason="looked at"), outcome=outcome)


def dispute_rejection(name: str = "AY-O1") -> DisputeRejection:
    """Return a dispute of a rejected objection."""
    return DisputeRejection(objection=name, reason="it is still wrong")


def drift(of: str = CONDITIONAL, observed: bytes = b"changed") -> ReportDrift:
    """Return a report that a table has another schema than it was published with."""
    return ReportDrift(table=TABLES[of], observed=sha256(observed))


def terms(**other: object) -> SetTerms:
    """Return the terms that hold by default, to be set."""
    good = SetTerms(
        answer_working_days=10,
        authority_working_days=5,
        delivery_working_days=20,
        acknowledge_working_days=5,
        correction_working_days=10,
        idle_days=180,
        grant_months_max=12,
    )
    return replace(good, **other)


def shared() -> SmallLedger:
    """Return a ledger with three data items of housing and their tables, approved."""
    ledger = SmallLedger()
    assert ledger.put(HOUSING, responsibility()) == ["accepted"]
    assert ledger.put(REGISTRAR, ApproveResponsibility(id="AN-01", revision=1)) == ["accepted"]
    assert ledger.put(HOUSING, *map(item, TABLES)) == ["accepted"] * 3
    assert ledger.put(AUTHORITY, *(ApproveDataItem(id=name, revision=1) for name in TABLES)) == ["accepted"] * 3
    assert ledger.put(HOUSING, *(table(name, of=of) for of, name in TABLES.items())) == ["accepted"] * 3
    return ledger


def used() -> SmallLedger:
    """Return a ledger on which each kind of value of sharing stands."""
    ledger = shared()
    ledger.put(MARKET, request(), objection())
    ledger.put(HOUSING, grant(), deliver(), drift())
    ledger.put(AUTHORITY, terms(), time_ms=day_ms("2025-12-31"))
    return ledger


def day_ms(day: str) -> int:
    """Return the time at which the fictional network begins its days, 08:00 at UTC+8, on a day."""
    return CREATED_MS + (parse_day(day) - parse_day(FIRST_DAY)) * DAY_MS


def day_after(day: str, days: int = 1) -> str:
    """Return a later day."""
    return format_day(type(parse_day(day))(parse_day(day) + days))
