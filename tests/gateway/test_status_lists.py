"""Status lists as a node serves them: the bit of a certificate follows what becomes of it."""

from __future__ import annotations

import json

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from ledger.proofs.jose import base64url, did_of
from ledger.proofs.status_list import ENTRIES_PER_LIST, place_of
from ledger.registers.certificates.identifier import IdentifierParts, format_identifier
from ledger.registers.certificates.records import LiftSuspension, RevokeCertificate, SuspendCertificate
from ledger.registers.certificates.values import certificate_key
from tests.gateway.client import Client, problem
from tests.gateway.memory_node import MemoryNode
from tests.proofs.memory_ledger import IDENTIFIER, TYPE_CODE, issue
from tests.proofs.small_network import MARKET_REGULATION
from tests.proofs.test_credential import bits_of

SUCCESSOR = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915001", 2))

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")


def bits(client: Client, node: MemoryNode, purpose: str) -> set[int]:
    """Return which bits the node's list 0 has set; its signature was checked by a library of others."""
    answer = client.get(f"/status-lists/{purpose}/0")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vc+jwt")
    assert node.log_signer is not None
    jwk = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": base64url(node.log_signer.public)})
    credential = json.loads(jws.deserialize_compact(answer.text, jwk, algorithms=["EdDSA"]).payload)
    assert credential["issuer"] == did_of(node.log_signer.public)
    assert credential["validFrom"] < credential["validUntil"]
    assert credential["credentialSubject"]["statusPurpose"] == purpose
    return bits_of(credential["credentialSubject"]["encodedList"])


def bit_of(node: MemoryNode, identifier: str) -> int:
    """Return where a certificate's bit is, by its first record in the log."""
    return place_of(*node.touched[certificate_key(identifier)][0]).bit


def test_a_bit_follows_its_certificate(node: MemoryNode, client: Client) -> None:
    """Suspended and lifted, then ended for good: in the one list, in none, in the other."""
    mine = bit_of(node, IDENTIFIER)
    assert (bits(client, node, "suspension"), bits(client, node, "revocation")) == (set(), set())
    for record, suspended, ended in (
        (SuspendCertificate(certificate=IDENTIFIER, reason="inspection"), {mine}, set()),
        (LiftSuspension(certificate=IDENTIFIER, reason="nothing found"), set(), set()),
        (RevokeCertificate(certificate=IDENTIFIER, kind="cancelled", reason="closed"), set(), {mine}),
    ):
        node.execute(node.sign(MARKET_REGULATION, record))
        assert (bits(client, node, "suspension"), bits(client, node, "revocation")) == (suspended, ended)


def test_who_is_replaced_in_the_block_of_its_issue_keeps_its_own_bit(node: MemoryNode, client: Client) -> None:
    """The record that issues the successor sets both, and is the place of the successor alone."""
    other = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915007", 1))
    follows = format_identifier(IdentifierParts(TYPE_CODE, MARKET_REGULATION.credit_code, "20250915007", 2))
    node.execute(node.sign(MARKET_REGULATION, issue(other), issue(follows, replaces=other)))
    assert node.results[-1] == b"\x00\x00"
    assert bits(client, node, "revocation") == {bit_of(node, other)}
    assert bit_of(node, follows) == bit_of(node, other) + 1


def test_a_list_can_be_kept_until_it_changes(node: MemoryNode, client: Client) -> None:
    """The same block gives the same bytes; the next one another list."""
    answer = client.get("/status-lists/revocation/0")
    assert client.get("/status-lists/revocation/0").content == answer.content
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/status-lists/revocation/0", headers=known).status_code == 304
    node.execute(node.sign(MARKET_REGULATION, SuspendCertificate(certificate=IDENTIFIER, reason="inspection")))
    assert client.get("/status-lists/revocation/0", headers=known).status_code == 200


def test_lists_that_are_not_there_are_problems(node: MemoryNode, client: Client) -> None:
    """Beyond the log, of no number, for no purpose."""
    assert node.log.size < ENTRIES_PER_LIST
    problem(client.get("/status-lists/revocation/1"), 404, "not_found")
    problem(client.get("/status-lists/revocation/-1"), 422, "invalid_parameter")
    problem(client.get("/status-lists/revocation/99999999999999999999"), 422, "invalid_parameter")
    problem(client.get("/status-lists/message/0"), 422, "invalid_parameter")
