"""Deliveries that fed a certificate: what a bundle shows of them, and what it cannot pretend."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785

from ledger.crypto.merkle import leaf_hash
from ledger.errors import NotFoundError
from ledger.members.calendar import parse_day
from ledger.members.validators import ValidatorSet
from ledger.proofs.bundle import Opening, build_bundle
from ledger.proofs.policy import make_policy
from ledger.proofs.verify import verify_bundle
from tests.proofs.memory_ledger import FIELDS, HOLDER, IDENTIFIER, MemoryLedger, issue_certificate
from tests.proofs.shared_data import ledger_with_hops, share
from tests.proofs.small_network import MARKET_REGULATION, PLANNING, PUBLIC_SECURITY, found, members_with

GENESIS = found()
POLICY = make_policy(ValidatorSet.of_genesis(GENESIS), GENESIS.founders, parse_day("2027-12-31"))
LEDGER, DELIVERIES = ledger_with_hops(GENESIS)
BUNDLE = build_bundle(LEDGER.view(), IDENTIFIER, deliveries=DELIVERIES)


def code_of(bundle: bytes, ledger: MemoryLedger = LEDGER) -> int:
    """Return the exit code at the time of the ledger's last block."""
    return verify_bundle(bundle, POLICY, now_ms=ledger.state.time_ms).exit_code


def test_each_hop_is_named_with_both_sides_and_the_purpose() -> None:
    """From the first source to the issuer; that the issue rests on them is said to be unchecked."""
    statement = verify_bundle(BUNDLE, POLICY, now_ms=LEDGER.state.time_ms)
    assert statement.exit_code == 0
    received = statement.as_json()["received"]
    assert [(each["provider"], each["requester"]) for each in received] == [
        ("Public Security Bureau (公安局, AF)", "Planning & Natural Resources (规划和自然资源委员会, AL)"),
        ("Planning & Natural Resources (规划和自然资源委员会, AL)", "Market Regulation (市场监督管理局, AY)"),
    ]
    assert received[0]["purpose"] == "办理登记 to handle applications"
    assert received[0]["data_item"] in statement.as_text()
    assert any("rests on the data above" in sentence for sentence in statement.not_checked)


@pytest.mark.parametrize(
    "change",
    [
        lambda hops: hops.reverse(),
        lambda hops: hops.pop(),
        lambda hops: hops[0].update(delivery=hops[1]["delivery"]),
        lambda hops: hops[0].update(acknowledgement=hops[1]["acknowledgement"]),
        lambda hops: hops[0].update(request=hops[1]["request"]),
    ],
    ids=["in another order", "without the last", "another's delivery", "another's receipt", "another's request"],
)
def test_hops_that_do_not_lead_to_the_issuer_are_refuted(change: Callable[[list[Any]], Any]) -> None:
    """Each record is true by itself: what is false is what they are put together to say."""
    document = json.loads(BUNDLE)
    change(document["hops"])
    assert code_of(rfc8785.dumps(document)) == 3


def test_no_hop_is_written_as_no_key() -> None:
    """An empty list would be a second spelling."""
    document = json.loads(BUNDLE)
    document["hops"] = []
    assert code_of(rfc8785.dumps(document)) == 4


def test_data_that_came_after_the_issue_fed_nothing() -> None:
    """The order is that of the log, not of anybody's clock."""
    ledger = issue_certificate(MemoryLedger(GENESIS))
    late = share(ledger, PLANNING, MARKET_REGULATION, 1)
    assert code_of(build_bundle(ledger.view(), IDENTIFIER, deliveries=[late]), ledger) == 3


def test_data_that_went_elsewhere_fed_nothing() -> None:
    """Neither the issuer nor a later provider got them."""
    ledger = MemoryLedger(GENESIS)
    elsewhere = share(ledger, PLANNING, PUBLIC_SECURITY, 1)
    issue_certificate(ledger)
    assert code_of(build_bundle(ledger.view(), IDENTIFIER, deliveries=[elsewhere]), ledger) == 3


def test_a_delivery_that_nobody_acknowledged_is_no_hop() -> None:
    """There is nothing to prove; the asker learns which delivery it was."""
    with pytest.raises(NotFoundError, match="AY-R7"):
        build_bundle(LEDGER.view(), IDENTIFIER, deliveries=[("AY-R7", 1)])


def test_five_hops_among_53_departments_fit_in_64_kib() -> None:
    """With 36 cosignatures, every field, the holder, and paths as long as those of 100 million entries."""
    genesis = found("mulu.large.example", members_with(53))
    ledger, deliveries = ledger_with_hops(genesis, hops=5)
    data = build_bundle(ledger.view(), IDENTIFIER, Opening(content=FIELDS, holder=HOLDER), deliveries)
    document = json.loads(data)
    paths = [proof["logged"]["path"] for hop in document["hops"] for proof in hop.values()]
    paths += [proof["logged"]["path"] for proof in (*document["records"], document["approval"])]
    sibling = len(json.dumps(leaf_hash(b"").hex())) * 2 // 3
    longer = sum(27 - len(path) for path in paths) * sibling
    assert len(data) + longer <= 64 << 10
