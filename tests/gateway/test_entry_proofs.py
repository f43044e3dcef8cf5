"""Proofs of log entries from the gateway: C2SP, COSE, and the node's own cosignatures."""

from __future__ import annotations

import pytest

from ledger.proofs.completing import choose_size, complete
from ledger.proofs.notes import parse_note
from ledger.proofs.tlog_policy import parse_tlog_policy
from ledger.proofs.tlog_proof import parse_tlog_proof
from ledger.proofs.verify_entry import verify_entry
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE
from tests.proofs.small_network import MARKET_REGULATION

API = "/api/v1"
NOT_ISSUED = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915002", 1))
ISSUE = 7
"""Log index of the envelope with the certificate's issue, its first record."""


def now_ms(node: MemoryNode) -> int:
    return node.state.time_ms + 1_000


def test_the_proof_of_a_certificate_is_established_under_the_policy(node: MemoryNode, client: Client) -> None:
    """It is that of the record which issued the certificate."""
    response = client.get(f"{API}/certificates/{IDENTIFIER}/tlog-proof")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    statement = verify_entry(response.content, client.get("/policy").content, now_ms=now_ms(node))
    assert statement.exit_code == 0
    assert statement.as_json()["record"]["kind"] == "certificates.issue"
    assert response.text == client.get(f"{API}/entries/{ISSUE}/tlog-proof?record=0").text


def test_every_entry_under_the_checkpoint_has_a_proof(node: MemoryNode, client: Client) -> None:
    """From that of genesis to the last block record, and none beyond."""
    size = node.log.size
    for index in range(size):
        proof = client.get(f"{API}/entries/{index}/tlog-proof")
        assert verify_entry(proof.content, node.policy().encode(), now_ms=now_ms(node)).exit_code == 0
    problem(client.get(f"{API}/entries/{size}/tlog-proof"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("entries/7/tlog-proof?record=2", 404, "not_found"),
        ("entries/8/tlog-proof?record=0", 404, "not_found"),
        ("entries/7/tlog-proof?record=256", 422, "invalid_parameter"),
        ("entries/7/tlog-proof?record=-1", 422, "invalid_parameter"),
        ("entries/-1/tlog-proof", 422, "invalid_parameter"),
        ("entries/9223372036854775807/tlog-proof", 404, "not_found"),
        ("entries/9223372036854775808/tlog-proof", 422, "invalid_parameter"),
        ("entries/1e3/cose-receipt", 422, "invalid_parameter"),
        ("entries/9223372036854775807/cose-receipt", 404, "not_found"),
        ("certificates/nonsense/tlog-proof", 422, "bad_check_character"),
        (f"certificates/{NOT_ISSUED}/tlog-proof", 404, "not_found"),
        ("cosignatures/0", 422, "invalid_parameter"),
        ("cosignatures/1", 404, "not_found"),
    ],
)
def test_what_is_not_there_has_no_proof(client: Client, path: str, status: int, code: str) -> None:
    """Records, entries, certificates and cosignatures that are absent, and numbers that are none."""
    problem(client.get(f"{API}/{path}"), status, code)


def test_nothing_is_proven_before_the_first_checkpoint(empty_client: Client) -> None:
    """No quorum stands behind anything yet."""
    for path in ("entries/0/tlog-proof", "entries/0/cose-receipt", f"certificates/{IDENTIFIER}/tlog-proof"):
        problem(empty_client.get(f"{API}/{path}"), 503, "no_checkpoint")
    assert empty_client.get(f"{API}/cosignatures").json()["sizes"] == []


def test_a_node_hands_out_its_own_cosignature(node: MemoryNode, client: Client) -> None:
    """One line of its log key and one of its cosigner, for a size that it says to have cosigned."""
    (size,) = client.get(f"{API}/cosignatures").json()["sizes"]
    note = parse_note(client.get(f"{API}/cosignatures/{size}").text)
    policy = parse_tlog_policy(client.get("/policy/tools").content)
    log, cosigner = note.lines
    assert (note.size, note.root) == (size, node.log.root(size))
    assert (log.name, log.key_hash) in policy.log_keys
    assert policy.witness_keys[cosigner.name, cosigner.key_hash].name == node.me


def test_a_proof_is_completed_from_what_each_department_says(node: MemoryNode, client: Client) -> None:
    """The policy for tools names them, and carries where to ask."""
    policy = parse_tlog_policy(client.get("/policy/tools").content)
    proof = parse_tlog_proof(client.get(f"{API}/certificates/{IDENTIFIER}/tlog-proof").text)
    size = choose_size({name: [node.log.size] for name in policy.witnesses}, policy, above=proof.index)
    assert size == node.log.size
    lines = parse_note(client.get("/checkpoint").text).lines
    alone = [parse_note(f"{proof.checkpoint.body}\n{lines[0].text()}\n{line.text()}\n") for line in lines[1:]]
    assert len(complete(alone, policy).lines) == 1 + 3
    assert policy.witnesses[node.me].url == f"http://{node.me}.test"
