"""Bundles that show how data came to the issuer, and proofs that there is no such certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ledger.proofs.verify import verify_bundle
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from nodes.gateway.app import create_app
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE, issue_certificate
from tests.proofs.shared_data import share
from tests.proofs.small_network import MARKET_REGULATION, PLANNING

API = "/api/v1"
MADE_UP = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915099", 1))


@pytest.fixture
def fed(empty_node: MemoryNode) -> Iterator[Client]:
    """Ask a node on which data came to the issuer before it issued."""
    assert share(empty_node, PLANNING, MARKET_REGULATION, 1) == ("AY-R1", 1)
    issue_certificate(empty_node)
    empty_node.cosign()
    with asyncio.Runner() as loop:
        yield Client(create_app(empty_node), loop)


def test_a_bundle_shows_the_deliveries_that_are_asked_for(empty_node: MemoryNode, fed: Client) -> None:
    """None without asking; unknown ones are not found, and names of another form are refused."""
    bundle = f"{API}/certificates/{IDENTIFIER}/bundle"
    for query, received in (("", []), ("?delivery=AY-R1/1", ["AY-R1/1"])):
        answer = fed.get(bundle + query)
        statement = verify_bundle(answer.content, empty_node.policy(), now_ms=empty_node.state.time_ms)
        assert statement.exit_code == 0
        assert [each["delivery"] for each in statement.as_json()["received"]] == received
        assert fed.get(bundle + query, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    problem(fed.get(f"{bundle}?delivery=AY-R1/2"), 404, "not_found")
    problem(fed.get(f"{bundle}?delivery=AY-R1"), 422, "invalid_parameter")
    problem(fed.get(bundle + "?" + "&".join(["delivery=AY-R1/1"] * 17)), 422, "invalid_parameter")


def test_an_absence_is_proven_and_a_presence_is_not(empty_node: MemoryNode, fed: Client) -> None:
    """Whoever asks for the absence of what is there is sent to its bundle."""
    answer = fed.get(f"{API}/certificates/{MADE_UP}/absence")
    statement = verify_bundle(answer.content, empty_node.policy(), now_ms=empty_node.state.time_ms)
    assert (statement.exit_code, statement.genuine) == (3, False)
    assert statement.reasons[0].startswith(f"the ledger has no certificate {MADE_UP}")
    problem(fed.get(f"{API}/certificates/{IDENTIFIER}/absence"), 409, "present")
