"""A library that other people wrote for COSE Receipts accepts those of this ledger, and refuses what was changed.

scitt-cose reads RFC 9942 receipts with the RFC 9162 profile; it has its own Merkle tree and its own COSE.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitt_cose import verify_receipt

from ledger.blocks.checkpoint import key_hash
from ledger.crypto.signatures import Signer
from nodes.gateway.cose_receipt import make_receipt
from tests.proofs.proven_log import ISSUE_INDEX, ProvenLog, proven_log
from tests.proofs.small_network import key

GOLDEN = Path(__file__).parents[1] / "proofs" / "golden"

ALGORITHM, KEY_ID, CLAIMS, STRUCTURE, PROOFS, INCLUSION = 1, 4, 15, 395, 396, -1


def signer_of(log: ProvenLog) -> Signer:
    return key(log.ledger.genesis.name, log.code(0), "log")


def pem(signer: Signer) -> bytes:
    public = Ed25519PublicKey.from_public_bytes(signer.public)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def judge(receipt: bytes, entry: bytes, signer: Signer) -> Any:
    return verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=pem(signer))


@pytest.mark.parametrize("validators", [7, 53])
def test_a_foreign_library_accepts_the_receipt_of_every_entry(validators: int) -> None:
    """It finds the root, the size, the place, and who issued the receipt."""
    log = proven_log(validators)
    for index, entry in enumerate(log.ledger.entries):
        found = judge(make_receipt(log.view, index, signer_of(log)), entry, signer_of(log))
        assert found.ok, found.errors
        assert (found.root, found.tree_size) == (log.ledger.log.root().hex(), log.ledger.log.size)
        assert (found.leaf_index, found.issuer) == (index, log.ledger.genesis.origin)


Change = Callable[[list[Any], list[Any], dict[int, Any]], object]
"""Changes the four parts, the inclusion proof or the protected headers of a receipt."""


def changed(receipt: bytes, change: Change) -> bytes:
    """Return the receipt after `change(parts, proof, protected)`."""
    tag = cbor2.loads(receipt)
    parts = list(tag.value)
    (blob,) = parts[1][PROOFS][INCLUSION]
    size, index, path = cbor2.loads(blob)
    proof, protected = [size, index, list(path)], dict(cbor2.loads(parts[0]))
    change(parts, proof, protected)
    parts[0] = cbor2.dumps(protected, canonical=True)
    parts[1] = {PROOFS: {INCLUSION: [cbor2.dumps(proof)]}}
    return cbor2.dumps(cbor2.CBORTag(18, parts))


def turned(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


CHANGES: dict[str, Change] = {
    "another index": lambda _, proof, __: proof.__setitem__(1, proof[1] ^ 1),
    "another size": lambda _, proof, __: proof.__setitem__(0, proof[0] * 4),
    "a shorter path": lambda _, proof, __: proof[2].pop(),
    "a turned bit in the path": lambda _, proof, __: proof[2].__setitem__(0, turned(proof[2][0])),
    "another signature": lambda parts, _, __: parts.__setitem__(3, turned(parts[3])),
    "another issuer": lambda _, __, protected: protected.__setitem__(CLAIMS, {1: "another"}),
    "another key id": lambda _, __, protected: protected.__setitem__(KEY_ID, b"none"),
    "another algorithm": lambda _, __, protected: protected.__setitem__(ALGORITHM, -7),
    "another structure": lambda _, __, protected: protected.__setitem__(STRUCTURE, 2),
    "an attached root": lambda parts, _, __: parts.__setitem__(2, bytes(32)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_foreign_library_refuses_what_was_changed(name: str) -> None:
    """The proof, the signature, and what the signature covers."""
    log = proven_log(7)
    receipt, entry = make_receipt(log.view, ISSUE_INDEX, signer_of(log)), log.ledger.entries[ISSUE_INDEX]
    assert judge(changed(receipt, lambda *_: None), entry, signer_of(log)).ok
    assert not judge(changed(receipt, CHANGES[name]), entry, signer_of(log)).ok


def test_a_foreign_library_refuses_another_entry_and_another_key() -> None:
    """A receipt is of one entry, by one department."""
    log = proven_log(7)
    receipt, entry = make_receipt(log.view, ISSUE_INDEX, signer_of(log)), log.ledger.entries[ISSUE_INDEX]
    assert not judge(receipt, log.ledger.entries[0], signer_of(log)).ok
    assert not judge(receipt, entry, key(log.ledger.genesis.name, log.code(1), "log")).ok
    for cut in (b"", receipt[:-1], receipt + b"\x00"):
        assert not judge(cut, entry, signer_of(log)).ok


def test_the_receipt_of_the_test_network_has_these_bytes() -> None:
    """A change of the form would end what other tools read of us. Its headers are those of RFC 9942."""
    log = proven_log(4)
    receipt = make_receipt(log.view, ISSUE_INDEX, signer_of(log))
    assert (GOLDEN / "issue.cose").read_bytes() == receipt
    protected, unprotected, payload, signature = cbor2.loads(receipt).value
    origin = log.ledger.genesis.origin
    kid = key_hash(origin, 0x01, signer_of(log).public)
    assert dict(cbor2.loads(protected)) == {ALGORITHM: -8, KEY_ID: kid, CLAIMS: {1: origin}, STRUCTURE: 1}
    assert list(unprotected) == [PROOFS]
    assert payload is None
    assert len(signature) == 64


@pytest.mark.parametrize("index", [-1, 10])
def test_there_is_no_receipt_of_an_entry_beyond_the_checkpoint(index: int) -> None:
    """The signer's word is for what is in the log."""
    log = proven_log(4)
    with pytest.raises(ValueError, match="none with index"):
        make_receipt(log.view, index, signer_of(log))
