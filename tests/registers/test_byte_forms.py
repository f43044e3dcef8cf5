"""The byte forms of all records and values, pinned: a change of one is a change of what departments sign.

Each form is given by the first 8 bytes of its SHA-256. A deliberate change raises the version and is told in the
changelog.
"""

from __future__ import annotations

import msgpack
import pytest
from msgspec.structs import replace

from ledger.crypto.hashing import sha256
from ledger.encoding import Canonical
from ledger.registers import REGISTERS
from ledger.registers.catalogue import APPROVED
from ledger.registers.certificates.records import (
    ChangeCertificate,
    LiftSuspension,
    RecordCopy,
    RecordVerification,
    RetireType,
    RevokeCertificate,
    SuspendCertificate,
)
from ledger.registers.deadlines import Deadline
from ledger.registers.directories.records import (
    ApproveDataItem,
    ApproveResponsibility,
    PublishSystem,
    WithdrawDataItem,
    WithdrawResponsibility,
    WithdrawTable,
)
from ledger.registers.members.records import (
    AddEnvelopeKey,
    ApproveReorganisation,
    CarryOutReorganisation,
    RevokeEnvelopeKey,
    WithdrawReorganisation,
)
from ledger.registers.sharing.values import Condition
from tests.registers import governed
from tests.registers.catalogue import catalogued, certificate_type, data_item, identifier, issue, responsibility, table
from tests.registers.reorganisations import MERGE, newcomer, proposal, reorganise
from tests.state.small_ledger import HOUSING, NETWORK, key_of, proven

ONE, TWO = identifier("1"), identifier("2")
SYSTEM = PublishSystem(id="AN-S1", revision=1, name_zh="许可系统", name_en="", location="cloud", protection_level=3)
VERIFICATION = RecordVerification(certificate=TWO, purpose="counter check")
RECORDS: tuple[Canonical, ...] = (
    AddEnvelopeKey(key_id=2, key=proven(NETWORK, HOUSING, "envelope/2", key_of("two"))),
    RevokeEnvelopeKey(key_id=2, reason="rotated"),
    proposal(MERGE, newcomers=[newcomer()], from_height=7),
    ApproveReorganisation(id="R1"),
    WithdrawReorganisation(id="R1", reason="postponed"),
    CarryOutReorganisation(id="R1"),
    responsibility(),
    ApproveResponsibility(id="AN-01", revision=1),
    WithdrawResponsibility(id="AN-01", reason="reform"),
    data_item(),
    ApproveDataItem(id="AN-01-D1", revision=1),
    WithdrawDataItem(id="AN-01-D1", reason="reform"),
    SYSTEM,
    table(),
    WithdrawTable(id="AN-01-T1", reason="reform"),
    certificate_type(),
    RetireType(code="11100000C00000016E022", reason="merged"),
    issue(TWO, replaces=ONE),
    ChangeCertificate(certificate=TWO, revision=2, content=sha256(b"new"), reason="renamed"),
    SuspendCertificate(certificate=TWO, reason="inspection"),
    LiftSuspension(certificate=TWO, reason="mended"),
    RevokeCertificate(certificate=TWO, kind="revoked", reason="fraud"),
    RecordCopy(certificate=TWO, reason="tender", valid_until=None),
    VERIFICATION,
    governed.request(selection=(Condition(information_item="permit number", values=("A",)),), renews="AY-R0"),
    governed.grant(),
    governed.refuse(),
    governed.withdraw(),
    governed.dispute(),
    governed.revoke(),
    governed.deliver(),
    governed.acknowledge(),
    governed.reject(),
    governed.objection(),
    governed.correct(),
    governed.dispute_rejection(),
    governed.drift(),
    governed.terms(),
)
RECORD_FORMS = {
    "members.add_key": "1591f32c823e81a9",
    "members.revoke_key": "e6b80c6037752383",
    "members.propose_reorganisation": "14c0abe96a6c20a0",
    "members.approve_reorganisation": "5bd43f932aa9c309",
    "members.withdraw_reorganisation": "50052e4248d68871",
    "members.carry_out_reorganisation": "2cbf1577bc575ec9",
    "directories.publish_responsibility": "22ae1275c0d0e546",
    "directories.approve_responsibility": "f56a0f58e22512b7",
    "directories.withdraw_responsibility": "8d2d32baf3096a4f",
    "directories.publish_data_item": "0b4fbcefdbadf003",
    "directories.approve_data_item": "7d17fc988c694b85",
    "directories.withdraw_data_item": "faa9050f6ebab537",
    "directories.publish_system": "9eaa0db7659f7208",
    "directories.publish_table": "44eef76045ad8b2a",
    "directories.withdraw_table": "649f8f0d044da931",
    "certificates.define_type": "1bceb507441fbb6b",
    "certificates.retire_type": "f7053e377d11fc05",
    "certificates.issue": "2dc6c2db5b8af82b",
    "certificates.change": "6a6ce25fd52272a1",
    "certificates.suspend": "103cb91cad1bbd39",
    "certificates.lift": "fbd89078abdee258",
    "certificates.revoke": "f7243d9a6ff10046",
    "certificates.copy": "04cf0bb8b1c50a56",
    "certificates.verify": "766bc266ff7dd348",
    "sharing.request": "53ba8f8347b02e6e",
    "sharing.grant": "85b7e6cb2950653c",
    "sharing.refuse": "0a0cf89716e58486",
    "sharing.withdraw_request": "ac045fddfb2fe241",
    "sharing.dispute": "5087f3050d30f003",
    "sharing.revoke_grant": "005a7cdc3f2134aa",
    "sharing.deliver": "2a83bf95a37dbd80",
    "sharing.acknowledge": "05b22ce27b85fda6",
    "sharing.reject_delivery": "d31ad60b887eb542",
    "sharing.object": "be8d379b83ff62e5",
    "sharing.correct": "43d36dbf9135e285",
    "sharing.dispute_objection": "7031f8f78cff4ec7",
    "sharing.report_drift": "8b05ec3a937f738f",
    "sharing.set_terms": "2710a473b9e8d380",
}
VALUE_FORMS = {
    "certificates/certificate": "482d3ce7083ab4e8",
    "certificates/type": "9a38e38442ff2664",
    "certificates/use": "8221d153f18dcff1",
    "deadlines/deadline": "2d3f0ff9f62dc066",
    "directories/approved-metadata": "32e9e6f0563836bc",
    "directories/data-item": "f954ec6224696a7a",
    "directories/responsibility": "cb1dc85fec6229f0",
    "directories/system": "c1741522d9c22705",
    "directories/table": "1bcc6500b5259796",
    "members/department": "bc00828cd3da8b0a",
    "members/envelope-key": "9df7308c92196d57",
    "members/key-owner": "2098c0e7fd16363d",
    "members/replay-window": "8f4b5954ab4e9325",
    "members/reorganisation": "07bdf80fa1ca09f2",
    "members/succession": "bfa6bd652831d819",
    "sharing/breach": "04659619b6d7ede4",
    "sharing/delivery": "39d68dddcc6a050a",
    "sharing/drift": "171a8d57d8f6882b",
    "sharing/grant": "4e0efafde2877b1e",
    "sharing/objection": "9b52770e4fba3856",
    "sharing/request": "954048be54561983",
    "sharing/score": "935856c10392f841",
    "sharing/terms": "91fa2eb8f5f0c3b6",
    "sharing/use": "4052d873e154eed4",
}


def tag_of(kind: type[Canonical]) -> str:
    """Return the tag that begins the byte form."""
    return str(kind.__struct_config__.tag)


def values() -> dict[str, Canonical]:
    """Return one value of each kind, by tag, as a small ledger holds them."""
    ledger = catalogued()
    ledger.put(HOUSING, SYSTEM, table(), issue(ONE), issue(TWO, replaces=ONE), VERIFICATION)
    reorganised = catalogued()
    reorganise(reorganised, MERGE)
    found = {tag_of(type(value)): value for each in (reorganised, ledger) for _, value in each.state.items()}
    found |= {tag_of(type(value)): value for _, value in governed.used().state.items(b"sharing/")}
    revised = governed.shared()
    revised.put(HOUSING, replace(governed.item(governed.OPEN, 2), metadata=governed.item(governed.CLOSED).metadata))
    found |= {tag_of(type(value)): value for _, value in revised.state.items(APPROVED)}
    deadline = Deadline(due_ms=1, subject=b"a/b", status="pending", set_height=1, settled_height=0)
    return found | {tag_of(Deadline): deadline}


def test_a_form_is_pinned_for_every_kind() -> None:
    """A new record or value comes with its line here."""
    assert RECORD_FORMS.keys() == {tag_of(kind) for register in REGISTERS for kind in register.rules}
    assert VALUE_FORMS.keys() == {tag_of(kind) for register in REGISTERS for kind in register.values} | {
        tag_of(Deadline)
    }


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: tag_of(type(record)))
def test_a_record_has_the_form_it_always_had(record: Canonical) -> None:
    """And an independent reader finds a tag, version 1 and the fields in it."""
    raw = record.encode()
    assert sha256(raw)[:8].hex() == RECORD_FORMS[tag_of(type(record))]
    assert msgpack.unpackb(raw)[:2] == [tag_of(type(record)), 1]


def test_values_have_the_forms_they_always_had() -> None:
    """One of each kind, as a fixed history makes it."""
    assert {tag: sha256(value.encode())[:8].hex() for tag, value in values().items()} == VALUE_FORMS
