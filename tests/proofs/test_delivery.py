"""Receipts of deliveries: what one proves offline, and what it cannot be made to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.hashing import sha256
from ledger.errors import DecodeError, InvalidInputError, NotFoundError, ProofError
from ledger.members.calendar import parse_day
from ledger.members.departments import department_key
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import build_bundle, prove_value
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.delivery import SuccessionProof, build_receipt, verify_receipt
from ledger.proofs.policy import make_policy
from ledger.registers.sharing.records import Acknowledge, Deliver, RejectDelivery
from tests.proofs.memory_ledger import IDENTIFIER, MemoryLedger
from tests.proofs.reorganised import MERGE, carry_out
from tests.proofs.shared_data import ledger_with_hops
from tests.proofs.small_network import GOVERNMENT_SERVICES, MARKET_REGULATION, PLANNING, Member, found

GENESIS = found()
POLICY = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2027-12-31"))
LEDGER, DELIVERIES = ledger_with_hops(GENESIS)
(FIRST, SECOND) = DELIVERIES
RECEIPT = build_receipt(LEDGER.view(), *SECOND)
OTHER = build_receipt(LEDGER.view(), *FIRST)


def test_a_receipt_says_who_gave_what_to_whom() -> None:
    """Both sides by their signatures, the item and the purpose, and how much it was."""
    proven = verify_receipt(RECEIPT, POLICY)
    assert (proven.grant, proven.number) == SECOND
    assert proven.provider == PLANNING.credit_code
    assert proven.requester == MARKET_REGULATION.credit_code
    assert proven.purpose == "办理登记 to handle applications"
    assert (proven.delivery.rows, proven.delivery.commitment) == (12, sha256(b"rows"))
    assert len(proven.signers) == ValidatorSet.of_genesis(GENESIS).quorum


def changed(change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> bytes:
    """Return the receipt after a change that may take parts of another one."""
    document = json.loads(RECEIPT)
    change(document, json.loads(OTHER))
    return rfc8785.dumps(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda mine, other: mine.update(grant=other["grant"]),
        lambda mine, other: mine.update(number=2),
        lambda mine, other: mine.update(delivery=other["delivery"]),
        lambda mine, other: mine.update(records=other["records"]),
        lambda mine, other: mine.update(records=other["records"], grant=other["grant"], keys=other["keys"]),
        lambda mine, other: mine["records"].update(acknowledgement=other["records"]["acknowledgement"]),
        lambda mine, other: mine["records"].update(request=other["records"]["request"]),
        lambda mine, other: mine["keys"].pop(),
        lambda mine, other: mine["keys"].reverse(),
    ],
    ids=[
        "another grant",
        "another number",
        "another's state",
        "another's records",
        "another's records and keys",
        "another's acknowledgement",
        "another's request",
        "a key less",
        "keys in another order",
    ],
)
def test_parts_of_different_deliveries_make_no_receipt(change: Callable[[Any, Any], Any]) -> None:
    """Each part is true by itself: what is false is what they are put together to say."""
    with pytest.raises(ProofError):
        verify_receipt(changed(change), POLICY)


@given(at=st.integers(0, len(RECEIPT) - 1), bit=st.integers(0, 7))
def test_any_turned_bit_is_found(at: int, bit: int) -> None:
    """Whatever is turned, nothing is proven, and no other exception escapes."""
    turned = bytearray(RECEIPT)
    turned[at] ^= 1 << bit
    with pytest.raises(InvalidInputError):
        verify_receipt(bytes(turned), POLICY)


@given(data=st.binary(max_size=200))
def test_bytes_are_a_receipt_or_raise(data: bytes) -> None:
    """Whatever a stranger hands in."""
    with pytest.raises(DecodeError):
        verify_receipt(data, POLICY)


def test_a_receipt_of_another_network_is_no_evidence() -> None:
    """It may be true there; this policy cannot say."""
    other = found("another.example")
    policy = make_policy(ValidatorSet.of_genesis(other), other.founders, parse_day("2027-12-31"))
    with pytest.raises(NotEstablishedError):
        verify_receipt(RECEIPT, policy)


def test_what_was_rejected_or_never_answered_has_no_receipt() -> None:
    """There is one signature then, and a receipt takes two."""
    ledger, deliveries = ledger_with_hops(GENESIS)
    grant, _ = deliveries[-1]
    state_second(ledger, grant)
    with pytest.raises(NotFoundError, match="no Acknowledge"):
        build_receipt(ledger.view(), grant, 2)
    ledger.execute(ledger.sign(MARKET_REGULATION, RejectDelivery(grant=grant, number=2, reason="tampered")))
    assert ledger.results[-2:] == [b"\x00", b"\x00"]
    with pytest.raises(NotFoundError, match="no Acknowledge"):
        build_receipt(ledger.view(), grant, 2)
    with pytest.raises(NotFoundError):
        build_receipt(ledger.view(), grant, 3)


def state_second(ledger: MemoryLedger, grant: str) -> Deliver:
    """State a second delivery of Planning under a grant, and return it."""
    first = verify_receipt(build_receipt(ledger.view(), grant, 1), POLICY).delivery
    stated = Deliver(
        grant=grant, number=2, table=first.table, rows=1, size_bytes=1, chunks=1,
        commitment=sha256(b"c"), sealed=sha256(b"s"), schema=first.schema,
    )  # fmt: skip
    ledger.execute(ledger.sign(PLANNING, stated))
    return stated


def acknowledged_by(member: Member) -> tuple[MemoryLedger, str]:
    """Return a ledger on which the requester was merged into a department that acknowledged, or before."""
    ledger, deliveries = ledger_with_hops(GENESIS)
    grant, _ = deliveries[-1]
    stated = state_second(ledger, grant)
    receipt = Acknowledge(grant=grant, number=2, commitment=stated.commitment, sealed=stated.sealed)
    if member is MARKET_REGULATION:
        ledger.execute(ledger.sign(member, receipt))
    assert carry_out(ledger, MERGE)
    if member is not MARKET_REGULATION:
        ledger.execute(ledger.sign(member, receipt))
    assert ledger.results[-1] == b"\0"
    return ledger, grant


def test_a_successor_acknowledges_in_the_place_of_who_requested() -> None:
    """The receipt proves that too, from the state: who requested has ended, and who acknowledged came of it."""
    ledger, grant = acknowledged_by(PLANNING)
    receipt = build_receipt(ledger.view(), grant, 2)
    proven = verify_receipt(receipt, POLICY)
    assert (proven.requester, proven.acknowledged_by) == (MARKET_REGULATION.credit_code, PLANNING.credit_code)
    silent = json.loads(receipt)
    del silent["succession"]
    with pytest.raises(NotEstablishedError, match="does not show that it took the place"):
        verify_receipt(rfc8785.dumps(silent), POLICY)


@pytest.mark.parametrize(
    "change",
    [
        lambda succession: succession.update(requester=succession["successor"]),
        lambda succession: succession.update(successor=succession["requester"]),
        lambda succession: succession["requester"]["siblings"].reverse(),
    ],
)
def test_another_department_is_no_successor(change: Callable[[dict[str, Any]], Any]) -> None:
    """Both departments are shown as the state has them."""
    ledger, grant = acknowledged_by(PLANNING)
    document = json.loads(build_receipt(ledger.view(), grant, 2))
    change(document["succession"])
    with pytest.raises(ProofError):
        verify_receipt(rfc8785.dumps(document), POLICY)


def test_a_receipt_from_before_a_reorganisation_needs_no_successor() -> None:
    """Who requested acknowledged, and nothing later changes that; a successor that is shown all the same is wrong."""
    ledger, grant = acknowledged_by(MARKET_REGULATION)
    receipt = build_receipt(ledger.view(), grant, 2)
    proven = verify_receipt(receipt, POLICY)
    assert proven.requester == proven.acknowledged_by == MARKET_REGULATION.credit_code
    other, _ = acknowledged_by(PLANNING)
    succession = json.loads(build_receipt(other.view(), grant, 2))["succession"]
    with pytest.raises(ProofError, match="a successor is shown"):
        verify_receipt(rfc8785.dumps(json.loads(receipt) | {"succession": succession}), POLICY)


def test_only_a_successor_may_stand_in() -> None:
    """Whoever the state does not call one is refuted, whatever else the receipt proves."""
    ledger, _ = acknowledged_by(PLANNING)
    requester, stranger = MARKET_REGULATION.credit_code, GOVERNMENT_SERVICES.credit_code
    shown = SuccessionProof(
        requester=prove_value(ledger.view(), department_key(requester)),
        successor=prove_value(ledger.view(), department_key(stranger)),
    )
    with pytest.raises(ProofError, match="did not take the place"):
        shown.check(requester, stranger, root=ledger.state.root)


def test_a_bundle_shows_no_hop_that_a_successor_acknowledged() -> None:
    """It has no place for the proof, and no reader would believe it without."""
    ledger, grant = acknowledged_by(PLANNING)
    with pytest.raises(NotFoundError, match="in the place of"):
        build_bundle(ledger.view(), IDENTIFIER, deliveries=[(grant, 2)])
