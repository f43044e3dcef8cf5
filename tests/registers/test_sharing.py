"""Sharing: from a request to its receipt, and every reason to say no on the way."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks.record import Record
from ledger.crypto.hashing import sha256
from ledger.identifiers import CreditCode
from ledger.members.departments import Department, department_key
from ledger.registers.catalogue import Column, InformationItem, schema_hash
from ledger.registers.directories.records import ApproveDataItem, PublishDataItem, WithdrawDataItem, WithdrawTable
from ledger.registers.sharing.figures import ItemUse, Score, score_key, use_key
from ledger.registers.sharing.recipient_keys import is_of_small_order
from ledger.registers.sharing.refusals import SharingRefusal
from ledger.registers.sharing.terms import DEFAULT_TERMS, TERMS_KEY, Terms
from ledger.registers.sharing.values import (
    Condition,
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
from tests.registers.catalogue import COLUMNS, METADATA, table
from tests.registers.governed import (
    CLOSED,
    CONDITIONAL,
    OPEN,
    SHARINGS,
    TABLES,
    acknowledge,
    correct,
    day_ms,
    deliver,
    dispute,
    dispute_rejection,
    drift,
    grant,
    item,
    objection,
    refuse,
    reject,
    request,
    revoke,
    shared,
    terms,
    withdraw,
)
from tests.state.small_ledger import AUTHORITY, HOUSING, MARKET, REGISTRAR, TAX, SmallLedger

ACCEPTED = ["accepted"]
Step = tuple[CreditCode, Record]


def request_of(ledger: SmallLedger, name: str = "AY-R1") -> Request:
    """Return the request, which must be there."""
    found = ledger.state.get(request_key(name), Request)
    assert found is not None
    return found


def grant_of(ledger: SmallLedger, name: str = "AY-R1") -> Grant:
    """Return the grant, which must be there."""
    found = ledger.state.get(grant_key(name), Grant)
    assert found is not None
    return found


def play(ledger: SmallLedger, *steps: Step) -> SmallLedger:
    """Put each record, which must be accepted."""
    for department, record in steps:
        assert ledger.put(department, record) == ACCEPTED, record
    return ledger


ASKED: Step = (MARKET, request())
GRANTED: Sequence[Step] = (ASKED, (HOUSING, grant()))
DELIVERED: Sequence[Step] = (*GRANTED, (HOUSING, deliver()))
RECEIVED: Sequence[Step] = (*DELIVERED, (MARKET, acknowledge()))
OBJECTED: Sequence[Step] = ((MARKET, objection()),)


def test_a_conditional_item_goes_from_request_to_acknowledgement() -> None:
    """Each step is one record by whoever must take it, and the figures follow."""
    ledger = play(shared(), ASKED)
    assert request_of(ledger).status is RequestStatus.AWAITING_PROVIDER
    assert ledger.state.get(grant_key("AY-R1"), Grant) is None
    play(ledger, (HOUSING, grant(volume_max=9)), (HOUSING, deliver()))
    given = grant_of(ledger)
    assert (given.volume_max, given.pending, given.used, given.basis) == (9, 4, 0, "provider")
    play(ledger, (MARKET, acknowledge()))
    given = grant_of(ledger)
    assert (given.pending, given.used, given.deliveries, given.open_delivery) == (0, 4, 1, 0)
    assert ledger.state.get(use_key(CONDITIONAL), ItemUse) == ItemUse(
        data_item=CONDITIONAL, requests=1, grants=1, deliveries=1, rows=4, last_used_ms=ledger.state.time_ms
    )
    served, obtained = (ledger.state.get(score_key(name), Score) for name in (HOUSING, MARKET))
    assert served is not None
    assert obtained is not None
    assert (served.requests_received, served.answered_in_time, served.rows_served) == (1, 1, 4)
    assert (obtained.requests_sent, obtained.rows_obtained, obtained.rows_served) == (1, 4, 0)
    assert len(ledger.state.pending_deadlines) == 0


def test_an_unconditional_item_is_granted_at_once() -> None:
    """Nobody has to answer; only the delivery is waited for."""
    ledger = play(shared(), (MARKET, request(of=OPEN)))
    asked, given = request_of(ledger), grant_of(ledger)
    assert (asked.status, asked.duty, asked.answered_by) == (RequestStatus.GRANTED, None, None)
    assert (given.fields, given.volume_max, given.basis) == (asked.fields, 10, "unconditional")
    assert given.duty is not None
    assert given.duty.kind == "deliver"


def test_an_item_that_is_not_shared_goes_to_the_directory_authority() -> None:
    """With a legal basis; the owner cannot grant it, and the authority's refusal is final."""
    ledger = play(shared(), (MARKET, request(of=CLOSED)), (MARKET, request("AY-R2", CLOSED)))
    assert ledger.put(HOUSING, grant()) == ["not_authorised"]
    play(ledger, (AUTHORITY, grant()), (AUTHORITY, refuse("AY-R2")), (HOUSING, deliver(of=CLOSED)))
    assert (grant_of(ledger).basis, request_of(ledger, "AY-R2").status) == ("authority", RequestStatus.DENIED)
    assert ledger.put(MARKET, dispute("AY-R2")) == ["not_disputable"]


def test_a_refusal_stands_on_the_ledger_and_can_be_disputed_once() -> None:
    """The authority grants or denies; its word ends it."""
    ledger = play(shared(), ASKED, (HOUSING, refuse()))
    refused = request_of(ledger)
    assert (refused.status, refused.answered_by, refused.answer_reason) == (
        RequestStatus.REFUSED,
        HOUSING,
        "not needed for it",
    )
    play(ledger, (MARKET, dispute()))
    assert ledger.put(HOUSING, grant()) == ["not_authorised"]
    play(ledger, (AUTHORITY, refuse()))
    assert request_of(ledger).status is RequestStatus.DENIED
    assert ledger.put(MARKET, dispute()) == ["not_disputable"]


def test_the_authority_does_not_decide_upon_its_own_request() -> None:
    """Neither what it asks for nor what it disputes."""
    ledger = play(shared(), (AUTHORITY, request(of=CLOSED)))
    assert ledger.put(AUTHORITY, grant()) == ["own_request"]
    assert ledger.put(AUTHORITY, refuse()) == ["own_request"]


def test_a_withdrawn_request_waits_for_nothing() -> None:
    """Its deadline is lifted, and nobody can answer it any more."""
    ledger = play(shared(), ASKED, (MARKET, withdraw()))
    assert request_of(ledger).status is RequestStatus.WITHDRAWN
    assert len(ledger.state.pending_deadlines) == 0
    assert ledger.put(HOUSING, grant(), refuse()) == ["request_not_open", "request_not_open"]
    assert ledger.put(MARKET, withdraw()) == ["request_not_open"]


def test_a_renewal_ends_what_it_renews() -> None:
    """From the moment it is granted; until then the earlier grant holds, and no grant is renewed twice."""
    ledger = play(shared(), *GRANTED, (MARKET, request("AY-R2", renews="AY-R1")), (HOUSING, deliver()))
    assert grant_of(ledger).status is GrantStatus.LIVE
    play(ledger, (HOUSING, grant("AY-R2")))
    assert (grant_of(ledger).status, grant_of(ledger, "AY-R2").status) == (GrantStatus.RENEWED, GrantStatus.LIVE)
    assert ledger.put(HOUSING, deliver(number=2)) == ["grant_ended"]
    # What was under way when it ended can still be received.
    play(ledger, (MARKET, acknowledge()))
    assert ledger.put(MARKET, request("AY-R3", renews="AY-R1")) == ["not_renewable"]


def test_a_renewal_does_not_bring_back_what_was_revoked() -> None:
    """What was renewed had ended while the renewal waited, and says why."""
    ledger = play(shared(), *GRANTED, (MARKET, request("AY-R2", renews="AY-R1")), (HOUSING, revoke()))
    play(ledger, (HOUSING, grant("AY-R2")))
    assert (grant_of(ledger).status, grant_of(ledger).ended_reason) == (GrantStatus.REVOKED, revoke().reason)
    assert grant_of(ledger, "AY-R2").status is GrantStatus.LIVE


def test_terms_are_checked_again_at_renewal() -> None:
    """What was granted under earlier terms is not granted again under later ones."""
    ledger = play(shared(), *GRANTED, (AUTHORITY, terms(grant_months_max=1)))
    assert ledger.put(MARKET, request("AY-R2", renews="AY-R1")) == ["term_too_long"]
    assert ledger.put(HOUSING, deliver()) == ACCEPTED


def test_a_revoked_grant_takes_no_delivery() -> None:
    """By the owner or the authority; what had left can still be answered."""
    for who in (HOUSING, AUTHORITY):
        ledger = play(shared(), *DELIVERED, (who, revoke()))
        assert (grant_of(ledger).status, grant_of(ledger).duty) == (GrantStatus.REVOKED, None)
        assert ledger.put(HOUSING, deliver(number=2)) == ["grant_ended"]
        play(ledger, (MARKET, acknowledge()))
        assert grant_of(ledger).used == 4


def test_a_rejected_delivery_uses_nothing_and_is_owed_again() -> None:
    """It counts against the provider, who has to deliver anew."""
    ledger = play(shared(), *DELIVERED, (MARKET, reject()))
    given, first = grant_of(ledger), ledger.state.get(delivery_key("AY-R1", 1), Delivery)
    assert first is not None
    assert (first.status, first.rejection) == (DeliveryStatus.REJECTED, "beyond-grant")
    assert (given.used, given.pending, given.open_delivery) == (0, 0, 0)
    assert given.duty is not None
    assert given.duty.kind == "deliver"
    score = ledger.state.get(score_key(HOUSING), Score)
    assert score is not None
    assert score.deliveries_rejected == 1
    play(ledger, (HOUSING, deliver(number=2, rows=10)), (MARKET, acknowledge(number=2)))
    assert grant_of(ledger).used == 10


def test_the_owner_of_what_is_withdrawn_can_still_say_no() -> None:
    """A grant needs a data item that counts; a refusal, a revocation and an acknowledgement do not."""
    ledger = play(shared(), *DELIVERED, (MARKET, request("AY-R2")))
    play(ledger, (HOUSING, WithdrawDataItem(id=CONDITIONAL, reason="moved")))
    assert ledger.put(HOUSING, grant("AY-R2"), deliver(number=2)) == ["data_item_not_approved"] * 2
    play(ledger, (HOUSING, refuse("AY-R2")), (MARKET, acknowledge()), (HOUSING, revoke()))


def test_a_grant_ends_when_the_item_is_no_longer_shared() -> None:
    """Once the authority has approved that; a revision that waits takes nothing, and its own grants go on."""
    ledger = play(shared(), *GRANTED, (MARKET, request("AY-R2")), (HOUSING, refuse("AY-R2")))
    play(ledger, (MARKET, dispute("AY-R2")), (AUTHORITY, grant("AY-R2")))
    closed = item(CONDITIONAL, 2)
    closed = replace(closed, metadata=replace(closed.metadata, sharing=SHARINGS[CLOSED]))
    play(ledger, (HOUSING, closed), (HOUSING, deliver()), (MARKET, acknowledge()))
    play(ledger, (AUTHORITY, ApproveDataItem(id=CONDITIONAL, revision=2)))
    assert ledger.put(HOUSING, deliver(number=2)) == ["no_longer_shared"]
    play(ledger, (HOUSING, deliver("AY-R2")))


def published(name: str, revision: int, like: str) -> PublishDataItem:
    """Return a revision of a data item that is shared as another one is."""
    anew = item(name, revision)
    return replace(anew, metadata=replace(anew.metadata, sharing=SHARINGS[like]))


def test_an_owner_alone_does_not_open_what_the_authority_has_closed() -> None:
    """What a revision says that waits for approval is its owner's word; a request goes by what was approved."""
    ledger = play(shared(), (HOUSING, published(CLOSED, 2, OPEN)), (HOUSING, published(CLOSED, 3, CONDITIONAL)))
    assert ledger.put(MARKET, request(of=CLOSED, legal_basis="")) == ["legal_basis_missing"]
    play(ledger, (MARKET, request(of=CLOSED)))
    assert (request_of(ledger).sharing_type, request_of(ledger).status) == (3, RequestStatus.AWAITING_AUTHORITY)
    play(ledger, (AUTHORITY, ApproveDataItem(id=CLOSED, revision=3)), (MARKET, request("AY-R2", CLOSED)))
    assert request_of(ledger, "AY-R2").status is RequestStatus.AWAITING_PROVIDER
    # The same again changes nothing of what counts; and what was kept of the first revision is old.
    play(ledger, (HOUSING, published(CLOSED, 4, CONDITIONAL)), (HOUSING, published(CLOSED, 5, OPEN)))
    play(ledger, (MARKET, request("AY-R3", CLOSED)))
    assert request_of(ledger, "AY-R3").status is RequestStatus.AWAITING_PROVIDER


def test_a_field_is_asked_for_once_its_revision_is_approved() -> None:
    """An owner cannot add one to what is granted at once; one that a waiting revision leaves out is still there."""
    fields = (*METADATA.information_items, InformationItem(name="phone", type="C", length=20))
    longer = replace(item(OPEN, 2), metadata=replace(item(OPEN).metadata, information_items=fields))
    ledger = play(shared(), (HOUSING, longer))
    asked = request(of=OPEN, fields=("phone",))
    assert ledger.put(MARKET, asked) == ["unknown_information_item"]
    play(ledger, (AUTHORITY, ApproveDataItem(id=OPEN, revision=2)), (HOUSING, item(OPEN, 3)), (MARKET, asked))
    assert grant_of(ledger).fields == ("phone",)


def test_a_revision_that_waits_does_not_open_a_closed_item_again() -> None:
    """Nor does it close one: what the authority approved last decides upon each delivery."""
    ledger = play(shared(), *GRANTED, (HOUSING, published(CONDITIONAL, 2, CLOSED)))
    play(ledger, (HOUSING, deliver()), (MARKET, acknowledge()))
    play(ledger, (AUTHORITY, ApproveDataItem(id=CONDITIONAL, revision=2)), (HOUSING, published(CONDITIONAL, 3, OPEN)))
    assert ledger.put(HOUSING, deliver(number=2)) == ["no_longer_shared"]
    play(ledger, (AUTHORITY, ApproveDataItem(id=CONDITIONAL, revision=3)), (HOUSING, deliver(number=2)))


def test_a_drifting_table_delivers_nothing_until_it_is_published_as_it_is() -> None:
    """Or until its owner finds the published schema in the database again."""
    columns = (*COLUMNS, Column(name="extra", type="TEXT", length=None, information_item=""))
    changed = schema_hash(columns)
    ledger = play(shared(), *GRANTED, (HOUSING, replace(drift(), observed=changed)))
    assert ledger.put(HOUSING, deliver(), deliver(schema=changed)) == ["schema_drifted", "schema_not_current"]
    anew = replace(table(TABLES[CONDITIONAL], 2, CONDITIONAL), columns=columns, schema=changed)
    play(ledger, (HOUSING, anew), (HOUSING, deliver(schema=changed)))
    ledger = play(shared(), *GRANTED, (HOUSING, drift()), (HOUSING, replace(drift(), observed=schema_hash(COLUMNS))))
    play(ledger, (HOUSING, deliver()))


def test_a_service_waits_to_be_called() -> None:
    """Only who hands over by itself can be late with it; a verification has exactly one answer."""
    ledger = play(shared(), (MARKET, request(of=OPEN, mode="verification")))
    assert grant_of(ledger).duty is None
    assert ledger.put(HOUSING, deliver(of=OPEN, rows=0), deliver(of=OPEN, rows=2)) == ["volume_exceeded"] * 2
    play(ledger, (HOUSING, deliver(of=OPEN, rows=1)))


def test_an_objection_is_answered_and_can_be_disputed_once() -> None:
    """The owner corrects or rejects; then the authority decides for good."""
    ledger = play(shared(), *OBJECTED, (HOUSING, correct(outcome="rejected")), (MARKET, dispute_rejection()))
    assert ledger.put(HOUSING, correct()) == ["not_authorised"]
    play(ledger, (AUTHORITY, correct(outcome="rejected")))
    found = ledger.state.get(objection_key("AY-O1"), Objection)
    assert found is not None
    assert found.status is ObjectionStatus.DISMISSED
    assert ledger.put(MARKET, dispute_rejection()) == ["not_disputable"]
    assert ledger.put(HOUSING, correct()) == ["objection_not_open"]


def test_a_successor_speaks_for_the_department_that_asked() -> None:
    """Once a reorganisation has ended that one: for its requests and grants, and to renew them."""
    ledger = play(shared(), *DELIVERED)
    assert ledger.put(TAX, acknowledge()) == ["not_the_requester"]
    ended, successor = (ledger.state.get(department_key(name), Department) for name in (MARKET, TAX))
    assert ended is not None
    assert successor is not None
    ledger.state.values[department_key(MARKET)] = replace(ended, valid_to=ledger.state.height, successors=(TAX,))
    ledger.state.values[department_key(TAX)] = replace(successor, predecessors=(MARKET,))
    play(ledger, (TAX, acknowledge()), (TAX, request("X2-R1", renews="AY-R1")), (HOUSING, grant("X2-R1")))
    assert (grant_of(ledger).status, grant_of(ledger, "X2-R1").requester) == (GrantStatus.RENEWED, TAX)


def test_the_last_day_belongs_to_the_grant() -> None:
    """A delivery is in time until its midnight at UTC+8, and late from then on."""
    for offset_ms, label in ((0, "accepted"), (1, "grant_expired")):
        ledger = play(shared(), *GRANTED)
        midnight = day_ms("2025-12-31") + 16 * 3_600_000 - 1
        assert ledger.put(HOUSING, deliver(), time_ms=midnight + offset_ms) == [label]


def test_terms_are_the_default_until_they_are_set() -> None:
    """The state of a network that never set any has no value of them."""
    ledger = shared()
    assert ledger.state.get(TERMS_KEY, Terms) is None
    play(ledger, (AUTHORITY, terms()))
    assert ledger.state.get(TERMS_KEY, Terms) == replace(DEFAULT_TERMS, set_height=ledger.state.height)
    assert ledger.put(HOUSING, terms()) == ["not_authorised"]


def asking(label: str, **other: object) -> tuple[str, Sequence[Step], Step]:
    """Return a line of the table: the label that a request with this fault gets."""
    return label, (), (MARKET, request(**other))


REFUSED: Sequence[tuple[str, Sequence[Step], Step]] = (
    asking("unknown_data_item", of="AN-09-D9"),
    asking("repeated_name", fields=("permit number", "permit number")),
    asking("repeated_name", selection=(Condition(information_item="permit number", values=("A",)),) * 2),
    asking("unknown_information_item", fields=("phone",)),
    asking("unknown_information_item", selection=(Condition(information_item="phone", values=("1",)),)),
    asking("purpose_missing", purpose=""),
    asking("purpose_missing", purpose=" \u3000"),
    asking("legal_basis_missing", of=CLOSED, legal_basis=" "),
    asking("mode_not_offered", mode="service"),
    asking("bad_last_day", last_day="2025-09-14"),
    asking("bad_last_day", last_day="2025-09-31"),
    asking("bad_last_day", last_day="15/09/2025"),
    asking("term_too_long", last_day="2026-09-16"),
    asking("unsafe_recipient_key", recipient_key=bytes(32)),
    asking("unknown_grant", renews="AY-R0"),
    ("own_data_item", (), (HOUSING, request())),
    ("id_used", (ASKED,), (TAX, request())),
    ("id_used", OBJECTED, (TAX, objection())),
    ("not_renewable", GRANTED, (TAX, request("X2-R1", renews="AY-R1"))),
    ("not_renewable", GRANTED, (MARKET, request("AY-R2", CLOSED, renews="AY-R1"))),
    ("not_renewable", (*GRANTED, (HOUSING, revoke())), (MARKET, request("AY-R2", renews="AY-R1"))),
    ("unknown_request", (), (HOUSING, grant())),
    ("unknown_request", (), (HOUSING, refuse())),
    ("unknown_request", (), (MARKET, withdraw())),
    ("unknown_request", (), (MARKET, dispute())),
    ("request_not_open", GRANTED, (HOUSING, grant())),
    ("request_not_open", GRANTED, (HOUSING, refuse())),
    ("not_the_owner", (ASKED,), (MARKET, grant())),
    ("not_the_owner", (ASKED,), (AUTHORITY, refuse())),
    ("own_request", ((AUTHORITY, request(of=CLOSED)),), (AUTHORITY, grant())),
    ("not_the_requester", (ASKED,), (TAX, withdraw())),
    ("not_disputable", (ASKED,), (MARKET, dispute())),
    ("not_the_requester", (ASKED, (HOUSING, refuse())), (TAX, dispute())),
    ("repeated_name", (ASKED,), (HOUSING, grant(fields=("issued on", "issued on")))),
    ("beyond_request", ((MARKET, request(fields=("issued on",))),), (HOUSING, grant())),
    ("beyond_request", (ASKED,), (HOUSING, grant(volume_max=11))),
    ("beyond_request", (ASKED,), (HOUSING, grant(last_day="2026-01-01"))),
    ("bad_last_day", (ASKED,), (HOUSING, grant(last_day="2025-09-14"))),
    ("unknown_grant", (ASKED,), (HOUSING, deliver())),
    ("unknown_grant", (), (HOUSING, revoke())),
    ("not_the_owner", GRANTED, (TAX, revoke())),
    ("grant_ended", (*GRANTED, (HOUSING, revoke())), (HOUSING, revoke())),
    ("not_the_owner", GRANTED, (MARKET, deliver())),
    ("delivery_not_next", GRANTED, (HOUSING, deliver(number=2))),
    ("delivery_not_next", DELIVERED, (HOUSING, deliver())),
    ("delivery_open", DELIVERED, (HOUSING, deliver(number=2))),
    ("unknown_table", GRANTED, (HOUSING, deliver(table="AN-01-T9"))),
    ("table_of_other_item", GRANTED, (HOUSING, deliver(of=OPEN))),
    (
        "table_of_other_item",
        (*GRANTED, (HOUSING, WithdrawTable(id=TABLES[CONDITIONAL], reason="moved"))),
        (HOUSING, deliver()),
    ),
    ("volume_exceeded", GRANTED, (HOUSING, deliver(rows=11))),
    ("volume_exceeded", RECEIVED, (HOUSING, deliver(number=2, rows=7))),
    ("schema_not_current", GRANTED, (HOUSING, deliver(schema=sha256(b"other")))),
    ("schema_drifted", (*GRANTED, (HOUSING, drift())), (HOUSING, deliver())),
    ("unknown_grant", (), (MARKET, acknowledge())),
    ("unknown_delivery", GRANTED, (MARKET, acknowledge())),
    ("unknown_delivery", DELIVERED, (MARKET, reject(number=2))),
    ("not_the_requester", DELIVERED, (TAX, acknowledge())),
    ("not_the_requester", DELIVERED, (HOUSING, acknowledge())),
    ("receipt_mismatch", DELIVERED, (MARKET, replace(acknowledge(), sealed=sha256(b"other")))),
    ("receipt_mismatch", DELIVERED, (MARKET, replace(acknowledge(), commitment=sha256(b"other")))),
    ("delivery_settled", RECEIVED, (MARKET, acknowledge())),
    ("delivery_settled", RECEIVED, (MARKET, reject())),
    ("own_data_item", (), (HOUSING, objection())),
    ("unknown_objection", (), (HOUSING, correct())),
    ("unknown_objection", (), (MARKET, dispute_rejection())),
    ("not_the_owner", OBJECTED, (MARKET, correct())),
    ("objection_not_open", (*OBJECTED, (HOUSING, correct())), (HOUSING, correct())),
    ("not_disputable", (*OBJECTED, (HOUSING, correct())), (MARKET, dispute_rejection())),
    ("unknown_table", (), (HOUSING, drift().__class__(table="AN-01-T9", observed=sha256(b"")))),
    ("not_the_owner", (), (MARKET, drift())),
    ("no_drift", (), (HOUSING, replace(drift(), observed=schema_hash(COLUMNS)))),
    ("not_authorised", (), (REGISTRAR, terms())),
)


@pytest.mark.parametrize(
    ("label", "before", "step"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_breaks_a_rule_is_refused_and_changes_nothing(label: str, before: Sequence[Step], step: Step) -> None:
    """With the code that says which rule."""
    ledger = play(shared(), *before)
    values, waiting = dict(ledger.state.items(b"sharing/")), len(ledger.state.pending_deadlines)
    assert ledger.put(*step) == [label]
    assert dict(ledger.state.items(b"sharing/")) == values
    assert len(ledger.state.pending_deadlines) == waiting


def test_every_code_of_the_register_is_reached() -> None:
    """No code is documented that no record can get."""
    elsewhere = {"grant_expired", "no_longer_shared"}
    assert {code.label for code in SharingRefusal} <= {label for label, _, _ in REFUSED} | elsewhere


SMALL_ORDER = [
    # https://cr.yp.to/ecdh.html, "How do I validate Curve25519 public keys?", in little-endian bytes.
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("text", SMALL_ORDER)
def test_keys_of_the_published_list_are_judged_as_the_library_does(text: str) -> None:
    """It reads keys with the highest bit ignored, so that two of them give a secret."""
    key = bytes.fromhex(text)
    assert is_of_small_order(key) == _gives_no_secret(key)


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_safe_exactly_if_the_library_can_use_it(key: bytes) -> None:
    """No key is refused to which something could be sealed."""
    assert is_of_small_order(key) == _gives_no_secret(key)


def _gives_no_secret(key: bytes) -> bool:
    try:
        X25519PrivateKey.from_private_bytes(sha256(b"any")).exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        return True
    return False
