"""The check behind `make compose-check` believes only a quorum, so a green run of it means something."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ledger.blocks.checkpoint import checkpoint_text, cosignature_line, cosigned_bytes, log_line
from ledger.blocks.envelope import Envelope
from ledger.blocks.genesis import possession_bytes
from ledger.blocks.log import EnvelopeEntry
from ledger.crypto.merkle import leaf_hash, node_hash
from ledger.crypto.signatures import Signer, verify_strict
from ledger.encoding import decode
from ledger.errors import ProofError
from ledger.identifiers import CreditCode, Digest
from ledger.members.founding import MemberProfile
from ledger.proofs.cosigned import NotEstablishedError
from ledger.proofs.policy import Policy, parse_policy
from ledger.registers.members.records import AddEnvelopeKey
from nodes.gateway.schemas import InclusionProof, ReceiptForm, Result
from nodes.keystore import KeyName, Keystore
from nodes.network import KEYS_DIRECTORY, POLICY_FILE, Network, NodeAddress, default_parameters, prepare_network
from scripts import compose_check

MEMBERS = {
    "BM": "11110000A00000345W",
    "AY": "11110000A00000230N",
    "AF": "11110000A00000062L",
    "AL": "11110000A00000118P",
    "X1": "11110000B00000019G",
}


class Prepared(NamedTuple):
    """A network on disk, and the keys of it that a test signs with."""

    network: Network
    policy: Policy
    envelope: Envelope
    cosigners: dict[CreditCode, Signer]
    """By credit code in ascending order; the four with a vote."""
    log: Signer
    """Of the node that gives the receipt."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The network of docker-compose.yml, and an envelope of its registrar."""
    out = tmp_path_factory.mktemp("network")
    network = prepare_network(
        out,
        name="compose.example",
        members=[
            MemberProfile(
                credit_code=CreditCode(credit_code),
                code=code,
                name_zh=code,
                name_en=code,
                name_before="",
                roles=frozenset({"registrar" if code == compose_check.REGISTRAR else "department"}),
            )
            for code, credit_code in MEMBERS.items()
        ],
        addresses={
            CreditCode(credit_code): NodeAddress(host=code.lower(), peer_port=7000, gateway_port=8000)
            for code, credit_code in MEMBERS.items()
            if code != compose_check.REGISTRAR
        },
        parameters=default_parameters(4),
        calendar=(),
        now=datetime(2026, 1, 5, tzinfo=UTC),
        seed=bytes(32),
    ).network
    cosigners: dict[CreditCode, Signer] = {}
    for code, credit_code in MEMBERS.items():
        with Keystore.open(out / code / KEYS_DIRECTORY) as keys:
            if code == compose_check.REGISTRAR:
                envelope = compose_check.new_envelope(network, code, keys, 1)
            else:
                cosigners[CreditCode(credit_code)] = keys.signers[KeyName.COSIGNER]
                log = keys.signers[KeyName.LOG]
    policy = parse_policy(Path(out / POLICY_FILE).read_text(encoding="utf-8"))
    return Prepared(network, policy, envelope, dict(sorted(cosigners.items())), log)


def receipt(prepared: Prepared, *, results: bytes = b"\x00", signers: list[CreditCode] | None = None) -> Any:
    """Return what a gateway would answer: the envelope's entry is the second of two, signed by the first three."""
    envelope, policy = prepared.envelope, prepared.policy
    entry = EnvelopeEntry(
        header=envelope.header, suite=envelope.suite, signature=envelope.signature, results=results
    ).encode()
    sibling = leaf_hash(b"the block record of height 0")
    root = Digest(node_hash(sibling, leaf_hash(entry)))
    body = checkpoint_text(policy.origin, 2, root)
    lines = [log_line(policy.origin, prepared.log.public, prepared.log.sign(body.encode()))]
    for time_s, credit_code in enumerate(list(prepared.cosigners)[:3] if signers is None else signers, start=1):
        signer = prepared.cosigners[credit_code]
        signature = signer.sign(cosigned_bytes(body, time_s))
        lines.append(cosignature_line(f"{policy.origin}/{credit_code}", signer.public, time_s, signature))
    return ReceiptForm(
        envelope=envelope.header.id.hex(),
        height=1,
        time="2026-01-05T09:00:00.000+08:00",
        log_index=1,
        results=[Result(number=number, code="") for number in results],
        entry=base64.b64encode(entry).decode(),
        inclusion=InclusionProof(
            index=1, size=2, leaf_hash=leaf_hash(entry).hex(), path=[sibling.hex()], root=root.hex()
        ),
        checkpoint=body + "\n" + "".join(f"{line}\n" for line in lines),
    ).model_dump()


def test_a_receipt_with_a_quorum_is_believed(prepared: Prepared) -> None:
    """Three of four cosignatures and a path to the root they signed are enough, and it is said whose they are."""
    recorded = compose_check.check_receipt(receipt(prepared), prepared.envelope, prepared.policy)
    assert recorded == compose_check.Recorded(index=1, size=2, cosigners=tuple(prepared.cosigners)[:3])


def test_too_few_or_repeated_cosigners_are_not_a_quorum(prepared: Prepared) -> None:
    """One department that signs three times is one department."""
    one, two, *_ = prepared.cosigners
    for signers in ([one], [one, two], [one, one, one], [one, two, two]):
        with pytest.raises(NotEstablishedError):
            compose_check.check_receipt(receipt(prepared, signers=signers), prepared.envelope, prepared.policy)


def test_a_refused_record_is_not_taken_for_recorded(prepared: Prepared) -> None:
    """A receipt proves refusals too, so the code in the entry decides, whatever the receipt says beside it."""
    refused = receipt(prepared, results=b"\x05")
    refused["results"] = receipt(prepared)["results"]
    with pytest.raises(compose_check.CheckFailedError, match=r"refused with codes \[5\]"):
        compose_check.check_receipt(refused, prepared.envelope, prepared.policy)


def test_an_entry_that_was_not_signed_for_is_refused(prepared: Prepared) -> None:
    """A gateway cannot put another result under a checkpoint that others signed."""
    answer = receipt(prepared, results=b"\x05")
    answer["entry"] = receipt(prepared)["entry"]
    with pytest.raises(ProofError):
        compose_check.check_receipt(answer, prepared.envelope, prepared.policy)


def test_a_receipt_for_another_envelope_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    """A gateway cannot answer with a true receipt of something else."""
    with Keystore.create(tmp_path / "keys", common_name="other", now=datetime(2026, 1, 5, tzinfo=UTC)) as keys:
        other = compose_check.new_envelope(prepared.network, compose_check.REGISTRAR, keys, 2)
    with pytest.raises(compose_check.CheckFailedError, match="the receipt is for envelope"):
        compose_check.check_receipt(receipt(prepared), other, prepared.policy)


def test_the_envelope_states_a_key_that_its_sender_holds(prepared: Prepared) -> None:
    """The record that the check submits is one that the members' rules accept."""
    prepared.envelope.check_records()
    registrar = next(founder for founder in prepared.network.genesis.founders if founder.code == "X1")
    verify_strict(registrar.envelope_key.public, prepared.envelope.header.id, prepared.envelope.signature)
    record = decode(AddEnvelopeKey, prepared.envelope.records[0])
    message = possession_bytes(
        prepared.network.genesis.name, MEMBERS["X1"], f"envelope/{record.key_id}", record.key.public
    )
    verify_strict(record.key.public, message, record.key.possession)


def test_the_gateways_are_those_that_the_compose_file_publishes() -> None:
    """The check asks each service at its own port."""
    compose = yaml.safe_load((compose_check.PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    published = {
        name: f"http://{service['ports'][0].removesuffix(':8000')}"
        for name, service in compose["services"].items()
        if "ports" in service
    }
    assert published == compose_check.GATEWAYS


def test_without_an_engine_the_check_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 7 is neither success nor failure: nothing was tried."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["compose_check.py"])
    assert compose_check.main() == 7
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no container engine answers" in printed.err
