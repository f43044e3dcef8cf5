"""The page that every node serves: the verifier of one file, byte for byte."""

from __future__ import annotations

from ledger.proofs.statement import Verdict
from tests.gateway.client import Client
from tests.proofs.other_verifiers import PAGE


def test_a_node_serves_the_page_that_verifies_bundles(client: Client) -> None:
    """As it stands beside the other verifiers, so that two people can compare what they have by its hash."""
    answer = client.get("/verify.html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == PAGE.read_bytes()
    assert client.get("/verify.html", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_the_page_knows_every_verdict() -> None:
    """A heading for each, in both languages."""
    text = PAGE.read_text(encoding="utf-8")
    for verdict in Verdict:
        assert text.count(f'"{verdict.value}": "') == 2
