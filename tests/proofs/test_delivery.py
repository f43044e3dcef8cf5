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
from ledger.members.validators import ValidatorSet
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.delivery import build_receipt, verify_receipt
from ledger.proofs.policy import make_policy
from ledger.registers.sharing.records import Deliver, RejectDelivery
from tests.proofs.shared_data import ledger_with_hops
from tests.proofs.small_network import MARKET_REGULATION, PLANNING, found

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
    first = verify_receipt(build_receipt(ledger.view(), grant, 1), POLICY).delivery
    stated = Deliver(
        grant=grant, number=2, table=first.table, rows=1, size_bytes=1, chunks=1,
        commitment=sha256(b"c"), sealed=sha256(b"s"), schema=first.schema,
    )  # fmt: skip
    ledger.execute(ledger.sign(PLANNING, stated))
    with pytest.raises(NotFoundError, match="no Acknowledge"):
        build_receipt(ledger.view(), grant, 2)
    ledger.execute(ledger.sign(MARKET_REGULATION, RejectDelivery(grant=grant, number=2, reason="tampered")))
    assert ledger.results[-2:] == [b"\x00", b"\x00"]
    with pytest.raises(NotFoundError, match="no Acknowledge"):
        build_receipt(ledger.view(), grant, 2)
    with pytest.raises(NotFoundError):
        build_receipt(ledger.view(), grant, 3)
