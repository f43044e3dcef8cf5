"""The register of certificates: each rule with its code, the state machine, and the invariants under random records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.crypto.hashing import sha256
from ledger.identifiers import CreditCode
from ledger.registers.certificates.identifier import parse_identifier
from ledger.registers.certificates.queries import certificates_of_type, lineage, types
from ledger.registers.certificates.records import (
    ChangeCertificate,
    LiftSuspension,
    RecordCopy,
    RecordVerification,
    RetireType,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.certificates.refusals import CertificatesRefusal
from ledger.registers.certificates.values import (
    TRANSITIONS,
    Certificate,
    CertificateType,
    CertificateUse,
    Operation,
    Status,
    certificate_key,
    status_at,
    type_key,
    use_key,
)
from ledger.registers.directories.records import WithdrawResponsibility
from tests.registers.catalogue import (
    TYPE,
    TYPE_OF_MARKET,
    catalogued,
    certificate_type,
    identifier,
    issue,
    responsibility,
)
from tests.state.small_ledger import CREATED_MS, DAY_MS, HOUSING, MARKET, TAX, SmallLedger

ONE = identifier("20250915001")
TWO = identifier("20250915002")
THREE = identifier("20250915003")
WRONG_CREDIT_CODE = HOUSING[:17] + "E"
OTHER_TYPE = "11100000C00000016E999"


def certificate(ledger: SmallLedger, name: str = ONE) -> Certificate:
    """Return the certificate's value."""
    value = ledger.state.get(certificate_key(name), Certificate)
    assert value is not None
    return value


def status(ledger: SmallLedger, name: str = ONE, *, days_later: int = 0) -> Status:
    """Return the certificate's status as of the head, or some days later."""
    return status_at(certificate(ledger, name), ledger.state.calendar, ledger.state.time_ms + days_later * DAY_MS)


def issued(*names: str) -> SmallLedger:
    """Return a ledger with these certificates of the housing department."""
    ledger = catalogued()
    for name in names:
        assert ledger.put(HOUSING, issue(name)) == ["accepted"]
    return ledger


def with_check(name: str) -> str:
    """Return the identifier with another last character."""
    return name[:-1] + ("0" if name[-1] != "0" else "1")


SUSPEND = SuspendCertificate(certificate=ONE, reason="inspection")
LIFT = LiftSuspension(certificate=ONE, reason="mended")
COPY = RecordCopy(certificate=ONE, reason="tender", valid_until="2025-12-31")
VERIFY = RecordVerification(certificate=ONE, purpose="counter check")


def revoke(kind: str = "revoked", name: str = ONE) -> RevokeCertificate:
    """Return a record that ends a certificate."""
    return RevokeCertificate(certificate=name, kind=kind, reason="because")  # type: ignore[arg-type]


def change(revision: int = 2, name: str = ONE) -> ChangeCertificate:
    """Return a record that changes a certificate's content."""
    return ChangeCertificate(certificate=name, revision=revision, content=sha256(b"new"), reason="renamed")


REFUSED: list[tuple[str, CreditCode, Record]] = [
    ("identifier_shape", HOUSING, issue("1.2.156.3005.2.here")),
    ("identifier_shape", HOUSING, issue(identifier("20250915009", version=0))),
    ("identifier_shape", HOUSING, certificate_type("11100000C00000016E02X")),
    ("identifier_check_character", HOUSING, issue(with_check(TWO))),
    ("credit_code_check_character", HOUSING, issue(identifier("20250915009", issuer=WRONG_CREDIT_CODE))),
    ("credit_code_check_character", HOUSING, issue(identifier("20250915009", kind="11100000C00000016F022"))),
    ("credit_code_check_character", HOUSING, certificate_type("11100000C00000016F022")),
    ("foreign_issuer", HOUSING, issue(identifier("20250915009", issuer=MARKET))),
    ("foreign_issuer", MARKET, issue(identifier("20250915009", kind=TYPE_OF_MARKET))),
    ("unknown_type", HOUSING, issue(identifier("20250915009", kind=OTHER_TYPE))),
    ("unknown_type", HOUSING, RetireType(code=OTHER_TYPE, reason="never was")),
    ("type_not_own", HOUSING, issue(identifier("20250915009", kind=TYPE_OF_MARKET))),
    ("type_not_own", HOUSING, RetireType(code=TYPE_OF_MARKET, reason="mischief")),
    ("type_defined_before", HOUSING, certificate_type()),
    ("unknown_responsibility", HOUSING, certificate_type(OTHER_TYPE, under="AN-09")),
    ("not_own_responsibility", HOUSING, certificate_type(OTHER_TYPE, under="AY-01")),
    ("bad_term", HOUSING, certificate_type(OTHER_TYPE, term="2 years")),
    ("bad_date", HOUSING, issue(TWO, valid_from="2025-02-29")),
    ("bad_date", HOUSING, issue(TWO, valid_from="9999-01-01")),
    ("bad_date", HOUSING, replace(COPY, valid_until="2025-13-01")),
    ("identifier_used", HOUSING, issue(ONE)),
    ("version_not_next", HOUSING, issue(identifier("20250915009", version=2))),
    ("version_not_next", HOUSING, issue(identifier("20250915009", version=2), replaces=ONE)),
    ("version_not_next", HOUSING, issue(identifier("20250915001", version=3), replaces=ONE)),
    ("unknown_certificate", HOUSING, change(name=TWO)),
    ("unknown_certificate", HOUSING, issue(TWO, replaces=THREE)),
    ("unknown_certificate", HOUSING, replace(VERIFY, certificate=TWO)),
    ("not_the_issuer", MARKET, SUSPEND),
    ("not_the_issuer", MARKET, change()),
    ("not_the_issuer", MARKET, revoke()),
    ("illegal_state_change", HOUSING, LIFT),
    ("content_not_next", HOUSING, change(revision=3)),
]


@pytest.mark.parametrize(("label", "department", "record"), REFUSED)
def test_a_broken_rule_has_its_code(label: str, department: CreditCode, record: Record) -> None:
    """On a ledger where all else is in order; the state does not move."""
    ledger = issued(ONE)
    values = dict(ledger.state.items(b"certificates/"))
    assert ledger.put(department, record) == [label]
    assert dict(ledger.state.items(b"certificates/")) == values


def test_every_code_of_the_register_is_reached() -> None:
    """No code is documented that no record can get."""
    elsewhere = {"type_retired", "replaces_other_type"}
    assert {code.label for code in CertificatesRefusal} <= {label for label, _, _ in REFUSED} | elsewhere


def test_an_issue_stands_as_its_verifiers_need_it() -> None:
    """Identifier, type, issuer, commitments, term by the type, time and height of the block."""
    ledger = issued(ONE)
    record = issue(ONE)
    assert certificate(ledger) == Certificate(
        identifier=ONE,
        type_code=TYPE,
        issuer=HOUSING,
        holder=record.holder,
        content=record.content,
        status=Status.VALID,
        change_reason="",
        issued_ms=ledger.state.time_ms,
        issued_height=ledger.state.height,
        valid_from="2025-09-15",
        valid_until="2027-09-15",
        revision=1,
        predecessor=None,
        successor=None,
        changes=0,
        changed_ms=ledger.state.time_ms,
        changed_height=ledger.state.height,
    )


def test_a_type_needs_an_approved_responsibility_and_stops_with_it() -> None:
    """Neither definition nor issue goes without the registrar's approval; what was issued stays valid."""
    ledger = catalogued()
    ledger.put(HOUSING, responsibility("AN-02"))
    assert ledger.put(HOUSING, certificate_type(OTHER_TYPE, under="AN-02")) == ["responsibility_not_approved"]
    ledger.put(HOUSING, issue(ONE))
    ledger.put(HOUSING, WithdrawResponsibility(id="AN-01", reason="reform"))
    assert ledger.put(HOUSING, issue(TWO)) == ["responsibility_not_approved"]
    assert status(ledger) is Status.VALID


def test_a_retired_type_issues_no_more() -> None:
    """Its certificates stay and can still be suspended."""
    ledger = issued(ONE)
    assert ledger.put(HOUSING, RetireType(code=TYPE, reason="merged"), issue(TWO), SUSPEND) == [
        "accepted",
        "type_retired",
        "accepted",
    ]
    assert ledger.put(HOUSING, RetireType(code=TYPE, reason="again")) == ["type_retired"]


def test_a_replacement_lets_the_old_one_lapse_and_links_both() -> None:
    """With a new serial, or with the same serial and the next version; the line can be followed from any of them."""
    ledger = issued(ONE)
    renewed = identifier("20250915001", version=2)
    assert ledger.put(HOUSING, issue(renewed, replaces=ONE)) == ["accepted"]
    assert ledger.put(HOUSING, issue(TWO, replaces=renewed)) == ["accepted"]
    assert [status(ledger, name) for name in (ONE, renewed, TWO)] == [Status.LAPSED, Status.LAPSED, Status.VALID]
    assert certificate(ledger).successor == renewed
    assert certificate(ledger, TWO).predecessor == renewed
    for name in (ONE, renewed, TWO):
        assert [found.identifier for found in lineage(ledger.state, name)] == [ONE, renewed, TWO]
    assert lineage(ledger.state, THREE) == ()
    assert ledger.put(HOUSING, issue(THREE, replaces=ONE)) == ["illegal_state_change"]


def test_a_replacement_keeps_its_type() -> None:
    """A certificate of one type does not come in the place of another."""
    ledger = issued(ONE)
    assert ledger.put(HOUSING, certificate_type(OTHER_TYPE)) == ["accepted"]
    assert ledger.put(HOUSING, issue(identifier("1", kind=OTHER_TYPE), replaces=ONE)) == ["replaces_other_type"]


def test_expiry_is_read_from_the_date() -> None:
    """The last day belongs to the term; on the next one only an ending or a replacement is allowed."""
    ledger = issued(ONE)
    last_day = ledger.state.calendar.end_of_day_ms(ledger.state.calendar.day_at(CREATED_MS)) + 730 * DAY_MS
    at = [status_at(certificate(ledger), ledger.state.calendar, last_day + ms) for ms in (0, 1)]
    assert at == [Status.VALID, Status.EXPIRED]
    ledger.execute(time_ms=last_day)
    assert ledger.put(HOUSING, SUSPEND, change(), COPY, LIFT, time_ms=last_day + 1) == ["illegal_state_change"] * 4
    assert certificate(ledger).status is Status.VALID
    assert ledger.put(HOUSING, issue(TWO, valid_from="2027-09-16", replaces=ONE)) == ["accepted"]


def test_a_certificate_may_begin_later() -> None:
    """Until its first day it is not yet valid, and cannot be suspended or copied."""
    ledger = catalogued()
    ledger.put(HOUSING, issue(ONE, valid_from="2025-09-17"))
    assert [status(ledger, days_later=days) for days in (0, 1, 2)] == [
        Status.NOT_YET_VALID,
        Status.NOT_YET_VALID,
        Status.VALID,
    ]
    assert ledger.put(HOUSING, SUSPEND, COPY, change(), revoke("cancelled")) == [
        "illegal_state_change",
        "illegal_state_change",
        "accepted",
        "accepted",
    ]


REACH: dict[Status, tuple[Record, ...]] = {
    Status.VALID: (),
    Status.SUSPENDED: (SUSPEND,),
    Status.WITHDRAWN: (revoke("withdrawn"),),
    Status.CANCELLED: (revoke("cancelled"),),
    Status.REVOKED: (revoke("revoked"),),
    Status.LAPSED: (issue(TWO, replaces=ONE),),
}
PERFORM: dict[Operation, Record] = {
    Operation.CHANGE: change(),
    Operation.SUSPEND: SUSPEND,
    Operation.LIFT: LIFT,
    Operation.WITHDRAW: revoke("withdrawn"),
    Operation.CANCEL: revoke("cancelled"),
    Operation.REVOKE: revoke("revoked"),
    Operation.REPLACE: issue(THREE, replaces=ONE),
    Operation.COPY: COPY,
}


def _table() -> Iterator[tuple[Status, Operation]]:
    for before in REACH:
        for operation in Operation:
            yield before, operation


@pytest.mark.parametrize(("before", "operation"), list(_table()))
def test_the_table_is_what_happens(before: Status, operation: Operation) -> None:
    """Each operation in each status that is stored: the table's status afterwards, or `illegal_state_change`."""
    ledger = issued(ONE)
    if REACH[before]:
        assert ledger.put(HOUSING, *REACH[before]) == ["accepted"]
    after = TRANSITIONS[before].get(operation)
    assert ledger.put(HOUSING, PERFORM[operation]) == ["accepted" if after else "illegal_state_change"]
    assert status(ledger) is (after or before)


def test_the_ends_are_final_and_suspension_is_not() -> None:
    """The table as the law has it, said once more in other words."""
    final = {Status.WITHDRAWN, Status.CANCELLED, Status.REVOKED, Status.LAPSED}
    assert {before for before, row in TRANSITIONS.items() if not row} == final
    assert TRANSITIONS.keys() == set(Status)
    assert {before for before, row in TRANSITIONS.items() if Operation.LIFT in row} == {Status.SUSPENDED}
    assert {before for before, row in TRANSITIONS.items() if Operation.SUSPEND in row} == {Status.VALID}


def test_changes_are_counted_with_reason_and_time() -> None:
    """Content moves to its next revision; a status change leaves it."""
    ledger = issued(ONE)
    assert ledger.put(HOUSING, change(), SUSPEND, LIFT) == ["accepted"] * 3
    value = certificate(ledger)
    assert (value.revision, value.changes, value.change_reason) == (2, 3, "mended")
    assert (value.changed_height, value.changed_ms) == (ledger.state.height, ledger.state.time_ms)
    assert value.content == sha256(b"new")


def test_copies_and_verifications_leave_the_certificate_alone() -> None:
    """Any department may record them; a revoked certificate can still be verified, but not copied."""
    ledger = issued(ONE)
    before = certificate(ledger)
    assert ledger.put(MARKET, COPY, VERIFY) == ["accepted", "accepted"]
    assert ledger.put(TAX, VERIFY) == ["accepted"]
    assert certificate(ledger) == before
    ledger.put(HOUSING, revoke())
    assert ledger.put(TAX, VERIFY, COPY) == ["accepted", "illegal_state_change"]
    use = ledger.state.get(use_key(ONE), CertificateUse)
    assert use == CertificateUse(identifier=ONE, copies=1, verifications=3, last_ms=ledger.state.time_ms)


def test_types_and_their_certificates_can_be_listed() -> None:
    """In ascending order, whatever their status."""
    ledger = issued(TWO, ONE)
    ledger.put(HOUSING, revoke())
    assert [kind.code for kind in types(ledger.state)] == sorted([TYPE, TYPE_OF_MARKET])
    assert [found.identifier for found in certificates_of_type(ledger.state, TYPE)] == [ONE, TWO]
    assert list(certificates_of_type(ledger.state, TYPE_OF_MARKET)) == []


A_1, A_2, B_1, B_2 = (identifier(serial, version=version) for serial in "AB" for version in (1, 2))
OF_MARKET = identifier("A", kind=TYPE_OF_MARKET, issuer=MARKET)
NAMES = st.sampled_from([A_1, A_1, A_2, B_1, B_2, OF_MARKET])
DAYS = st.sampled_from(["2023-09-14", "2025-09-15", "2025-09-15", "2026-01-01"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["issue", "replace", "change", "suspend", "suspend", "lift", "end", "copy", "verify"]),
        NAMES,
        NAMES,
        DAYS,
        st.sampled_from([None, None, None, None, MARKET, TAX]),
    ),
    min_size=10,
    max_size=40,
)
"""What happens, to which certificate, beside which other, on which day, and by whom if not by the issuer."""


def _record(ledger: SmallLedger, verb: str, name: str, other: str, day: str) -> Record:
    value = ledger.state.get(certificate_key(name), Certificate)
    match verb:
        case "issue":
            return issue(name, valid_from=day)
        case "replace":
            return issue(other, valid_from=day, replaces=name)
        case "change":
            return change(value.revision + 1 if value else 2, name)
        case "suspend":
            return replace(SUSPEND, certificate=name)
        case "lift":
            return replace(LIFT, certificate=name)
        case "end":
            return revoke({"2023-09-14": "withdrawn", "2025-09-15": "cancelled"}.get(day, "revoked"), name)
        case "copy":
            return replace(COPY, certificate=name)
    return replace(VERIFY, certificate=name)


@settings(max_examples=150)
@given(STEPS)
def test_the_certificates_keep_their_invariants(steps: list[tuple[str, str, str, str, CreditCode | None]]) -> None:
    """Under any records of any departments: right issuers, legal steps, lines without forks, ends that stay ends."""
    ledger = issued(B_1)
    for verb, name, other, day, stranger in steps:
        department = stranger or parse_identifier(name).issuer
        before = dict(ledger.state.items(b"certificates/certificate/"))
        ledger.put(department, _record(ledger, verb, name, other, day))
        after = dict(ledger.state.items(b"certificates/certificate/"))
        assert before.keys() <= after.keys()
        for key, value in after.items():
            assert isinstance(value, Certificate)
            old = before.get(key)
            if old == value:
                continue
            assert department == value.issuer
            if old is None:
                continue
            assert isinstance(old, Certificate)
            stood = status_at(old, ledger.state.calendar, ledger.state.time_ms)
            assert value.status in TRANSITIONS[stood].values()
            assert (value.identifier, value.holder, value.valid_until, value.predecessor) == (
                old.identifier,
                old.holder,
                old.valid_until,
                old.predecessor,
            )
            assert value.changes == old.changes + 1
    _check_links(ledger)


def _check_links(ledger: SmallLedger) -> None:
    for _, value in ledger.state.items(b"certificates/certificate/"):
        assert isinstance(value, Certificate)
        parts = parse_identifier(value.identifier)
        assert (parts.issuer, parts.type_code) == (value.issuer, value.type_code)
        kind = ledger.state.get(type_key(value.type_code), CertificateType)
        assert kind is not None
        assert kind.department == value.issuer
        assert (value.status is Status.LAPSED) == (value.successor is not None)
        if value.successor is not None:
            successor = certificate(ledger, value.successor)
            assert (successor.predecessor, successor.type_code) == (value.identifier, value.type_code)
        if value.predecessor is not None:
            assert certificate(ledger, value.predecessor).successor == value.identifier
